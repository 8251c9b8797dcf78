// Package operator is the whole of trail-operator's controllers, as one process runs them.
package operator

import (
	"flag"
	"strings"
	"time"

	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/compliance"
	"github.com/trail-operator/trail-operator/controllers/report"
)

// Options are the operator's settings. BindFlags gives them their defaults.
type Options struct {
	// Version is that of the program.
	Version string

	metricsAddress, probeAddress string
	pprofAddress                 string
	metricsSecure                bool
	metricsCertDir               string
	leaderElect                  bool
	leaderElectionNamespace      string
	leaderElectionID             string
	resyncInterval               time.Duration
	workers                      int
	clusterID                    string
	awsRegion                    string
	rateLimits                   cloudtrail.RateLimitMode
	watchNamespaces              string
	watchLabelSelector           string
	profile                      profile
	reports                      report.Format
}

// BindFlags declares the flags of the options.
func (o *Options) BindFlags(set *flag.FlagSet) {
	set.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "The address to serve metrics on. 0 turns them off.")
	set.BoolVar(&o.metricsSecure, "metrics-secure", true,
		"Serve metrics over HTTPS, to callers that Kubernetes authenticates and authorizes.")
	set.StringVar(&o.metricsCertDir, "metrics-cert-dir", "",
		"The directory with tls.crt and tls.key for the metrics. Defaults to a self-signed certificate.")
	set.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081",
		"The address to serve /healthz and /readyz on. 0 turns them off.")
	set.StringVar(
		&o.pprofAddress,
		"pprof-bind-address",
		"0",
		"The address to serve Go's profiles on, under /debug/pprof/. Anybody who can reach the port can read them, "+
			"so use localhost:6060 or similar. 0 turns them off.",
	)

	set.BoolVar(
		&o.leaderElect,
		"leader-elect",
		true,
		"Elect a leader, so that only one of several replicas works at a time.",
	)
	set.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "",
		"The namespace of the leader election's lease. Defaults to the pod's namespace.")
	set.StringVar(&o.leaderElectionID, "leader-election-id", "trail-operator",
		"The name of the leader election's lease. Operators in the same namespace that work on different Trails need "+
			"different names.")

	set.DurationVar(&o.resyncInterval, "resync-interval", 5*time.Minute,
		"How often to resync a Trail without spec.interval: to check for drift and refresh the status.")
	set.IntVar(
		&o.workers,
		"max-concurrent-reconciles",
		64,
		"How many Trails to reconcile at once. They mostly wait for AWS.",
	)
	set.StringVar(&o.clusterID, "cluster-id", "",
		"The ID of this cluster in the owner tags of its trails. Defaults to the UID of the namespace kube-system.")

	set.StringVar(&o.awsRegion, "aws-region", "",
		"The region of Trails without spec.region. Defaults to the AWS SDK's region, such as AWS_REGION.")
	o.rateLimits = cloudtrail.RateLimitAuto
	set.Var(&o.rateLimits, "aws-rate-limits",
		"When to stay within CloudTrail's rate limits: on, off, or auto (at AWS's own endpoints from the start, "+
			"at others once they throttle).")

	set.StringVar(
		&o.watchNamespaces,
		"watch-namespaces",
		"",
		"The namespaces to watch, separated by commas. If empty, all namespaces.",
	)
	set.StringVar(&o.watchLabelSelector, "watch-label-selector", "",
		"Reconcile only Trails, EventLookups and LogFileValidations with matching labels, such as shard=a, so that several "+
			"operators can share a cluster.")

	o.profile = profile{compliance.Profiles()[0]}
	set.Var(&o.profile, "compliance-profile",
		"The compliance profile to judge Trails by, in metrics and reports: "+compliance.ProfileNames()+", or none.")
	set.Var(&o.reports, "reports",
		"Write how Trails and accounts are judged into reports: openreports (Report and ClusterReport of openreports.io), "+
			"wgpolicy (PolicyReport and ClusterPolicyReport of wgpolicyk8s.io), or none. The cluster needs their CRDs.")
}

// shares tells whether other operators may work in the same cluster, on other Trails.
func (o Options) shares() bool { return o.scoped() || o.watchLabelSelector != "" }

// scoped tells whether the operator works in some namespaces only. It may have no rights but in these then, so it does
// not watch Namespaces and reads them one by one.
func (o Options) scoped() bool { return strings.Trim(o.watchNamespaces, ", ") != "" }

// namespaces returns those to work in; none: all.
func (o Options) namespaces() []string {
	var namespaces []string
	for namespace := range strings.SplitSeq(o.watchNamespaces, ",") {
		if namespace = strings.TrimSpace(namespace); namespace != "" {
			namespaces = append(namespaces, namespace)
		}
	}
	return namespaces
}
