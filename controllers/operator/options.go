// Package operator is the whole of trail-operator's controllers, as one process runs them.
package operator

import (
	"flag"
	"strings"
	"time"

	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
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
}

// BindFlags declares the flags of the options.
func (o *Options) BindFlags(set *flag.FlagSet) {
	set.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "Where to serve metrics; 0 turns them off.")
	set.BoolVar(&o.metricsSecure, "metrics-secure", true,
		"Serve metrics by HTTPS to callers that Kubernetes authenticates and authorizes.")
	set.StringVar(&o.metricsCertDir, "metrics-cert-dir", "",
		"Folder with tls.crt and tls.key for the metrics; empty: a self-signed certificate.")
	set.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081",
		"Where to serve /healthz and /readyz; 0 turns them off.")
	set.StringVar(
		&o.pprofAddress,
		"pprof-bind-address",
		"0",
		"Where to serve Go's profiles under /debug/pprof/, readable by anybody who reaches the port, "+
			"so bind it to localhost:6060 or the like; 0 turns them off.",
	)

	set.BoolVar(&o.leaderElect, "leader-elect", true, "Let one of several replicas work at a time.")
	set.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "",
		"Namespace of the leader election's lease; empty: the pod's.")
	set.StringVar(&o.leaderElectionID, "leader-election-id", "trail-operator",
		"Name of the leader election's lease. Operators that share a namespace and work on different Trails need "+
			"different ones.")

	set.DurationVar(&o.resyncInterval, "resync-interval", 5*time.Minute,
		"How often to look for drift and refresh the status of a Trail without spec.interval.")
	set.IntVar(&o.workers, "max-concurrent-reconciles", 64, "How many Trails to work at once. They mostly wait for AWS.")
	set.StringVar(&o.clusterID, "cluster-id", "",
		"Name of this cluster in the owner tags of its trails; empty: the UID of the namespace kube-system.")

	set.StringVar(&o.awsRegion, "aws-region", "",
		"Region of Trails without spec.region; empty: the AWS SDK's, such as AWS_REGION.")
	o.rateLimits = cloudtrail.RateLimitAuto
	set.Var(&o.rateLimits, "aws-rate-limits",
		"When to keep to CloudTrail's rate limits: on, off, or auto: at AWS from the start, at other endpoints once they "+
			"throttle.")

	set.StringVar(&o.watchNamespaces, "watch-namespaces", "", "Namespaces to work in, separated by commas; empty: all.")
	set.StringVar(&o.watchLabelSelector, "watch-label-selector", "",
		"Work on Trails and EventLookups with matching labels only, such as shard=a. Several operators can so share a "+
			"cluster.")
}

// scoped tells whether the operator works in some namespaces only. It may have no rights but in these then, so it does
// not watch Namespaces and reads them one by one.
func (o Options) scoped() bool { return strings.Trim(o.watchNamespaces, ", ") != "" }
