package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/sandbox"
)

const (
	region    = "us-east-1"
	namespace = "default"
	// creators is how many objects the bench creates or deletes at once.
	creators = 64
)

// fleet is a control plane, an emulated AWS and its trails.
type fleet struct {
	settings
	size
	dir        string
	aws        *cloudtrailtest.Server
	endpoint   string
	rest       *rest.Config
	client     client.Client
	kubeconfig string
	cleanups   []func() error
}

// newFleet starts what a fleet needs. change makes its AWS another one than the usual.
func newFleet(ctx context.Context, s settings, z size, change ...func(*cloudtrailtest.Options)) (_ *fleet, err error) {
	f := &fleet{settings: s, size: z}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()

	if f.dir, err = os.MkdirTemp("", "trail-operator-bench-"); err != nil {
		return nil, err
	}
	f.cleanups = append(f.cleanups, func() error { return os.RemoveAll(f.dir) })

	environment := sandbox.ControlPlane(".")
	f.cleanups = append(f.cleanups, environment.Stop)
	if f.rest, err = environment.Start(); err != nil {
		return nil, err
	}
	f.rest.QPS = -1

	scheme, err := sandbox.Scheme()
	if err != nil {
		return nil, err
	}
	if f.client, err = client.New(f.rest, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}

	if err := errors.Join(f.installReports(ctx), f.createServiceAccount(ctx)); err != nil {
		return nil, err
	}
	if err := f.serveAWS(ctx, change); err != nil {
		return nil, err
	}
	return f, f.createIdentities(ctx)
}

// createServiceAccount writes a kubeconfig with the token of a ServiceAccount, which is what a pod has.
func (f *fleet) createServiceAccount(ctx context.Context) error {
	const name = "trail-operator"
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
	}
	if err := f.client.Create(ctx, account); err != nil {
		return err
	}
	if err := f.client.Create(ctx, binding); err != nil {
		return err
	}

	token, err := sandbox.CreateToken(ctx, f.client, namespace, name)
	if err != nil {
		return err
	}
	f.kubeconfig = filepath.Join(f.dir, "kubeconfig")
	return sandbox.WriteKubeconfig(f.kubeconfig, f.rest, token)
}

func (f *fleet) close() error {
	var err error
	for _, v := range slices.Backward(f.cleanups) {
		err = errors.Join(err, v())
	}
	return err
}

func (f *fleet) serveAWS(ctx context.Context, change []func(*cloudtrailtest.Options)) error {
	options := cloudtrailtest.Options{
		OpenResources: true,
		NoTrailLimit:  !f.limits,
		NoRateLimit:   !f.limits,
		Latency:       f.latency,
		NoCallLog:     true,
		MaxHistory:    1,
	}
	for _, change := range change {
		change(&options)
	}
	f.aws = cloudtrailtest.New(options)

	endpoint, stop, err := sandbox.Serve(ctx, f.aws)
	if err != nil {
		return err
	}
	f.endpoint = endpoint
	f.cleanups = append(f.cleanups, stop)
	return nil
}

// identityOf names the identity of a trail; the first account is the operator's own.
func (f *fleet) identityOf(trail int) string {
	if f.perAccount == 0 {
		return v1alpha1.DefaultIdentityName
	}
	return fmt.Sprintf("account-%05d", trail/f.perAccount)
}

func (f *fleet) createIdentities(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(creators)
	for account := range f.accounts() {
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: f.identityOf(account * max(f.perAccount, 1))}}
		identity.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}
		if f.perAccount > 0 {
			identity.Spec.RoleARN = fmt.Sprintf("arn:aws:iam::%012d:role/trail-operator", 200000000000+account)
		}
		group.Go(func() error { return f.client.Create(ctx, identity) })
	}
	return group.Wait()
}

// trailName names a trail by its number.
func trailName(i int) string { return fmt.Sprintf("trail-%05d", i) }

// workers is the operator's default number of them.
const workers = 64

// readsPerSecond is AWS's quota for the reads of an account, as many of which do not wait.
const readsPerSecond = 10

// floor is how many seconds it takes at least to make calls, of which there are so many for each trail on average:
// AWS's latency, or where it holds its quotas, the reads of the account that has the most, or its writes, of which AWS
// takes one a second; nil: there are none.
func (f *fleet) floor(calls float64, reads, writes func(*fleet, int) int) float64 {
	floor := calls * f.latency.Seconds() * math.Max(1, float64(f.trails)/workers)
	if !f.limits {
		return floor
	}
	return math.Max(floor, math.Max(float64(f.most(reads)-readsPerSecond)/readsPerSecond, float64(f.most(writes)-1)))
}

// most returns the calls of the account that has the most.
func (f *fleet) most(calls func(*fleet, int) int) int {
	if calls == nil {
		return 0
	}
	most, perAccount := 0, map[int]int{}
	for i := range f.trails {
		account := i / max(f.perAccount, 1)
		perAccount[account] += calls(f, i)
		most = max(most, perAccount[account])
	}
	return most
}

// selectors returns how many kinds of selectors a trail has.
func (f *fleet) selectors(i int) int {
	spec := f.spec(i)
	kinds := 0
	for _, set := range []bool{
		len(spec.AdvancedEventSelectors) > 0,
		len(spec.InsightSelectors) > 0,
		len(spec.AggregationConfigurations) > 0,
	} {
		if set {
			kinds++
		}
	}
	return kinds
}

// creations is how many writes the creation of a trail takes: CreateTrail, StartLogging, and a Put for each kind of
// selectors.
func (f *fleet) creations(i int) int { return 2 + f.selectors(i) }

// readsOf is how many reads a look at a trail takes of its own.
func (f *fleet) readsOf(i int) int { return 1 + f.selectors(i) }

// one is a call for each trail.
func one(*fleet, int) int { return 1 }

// average returns the average of something over all trails.
func (f *fleet) average(of func(int) int) float64 {
	sum := 0
	for i := range f.trails {
		sum += of(i)
	}
	return float64(sum) / float64(f.trails)
}

// someSelectors is one of how many usual trails has event selectors.
const someSelectors = 10

// spec returns the spec of a trail.
func (f *fleet) spec(i int) v1alpha1.TrailSpec {
	spec := v1alpha1.TrailSpec{
		S3BucketName: "trail-operator-bench",
		Region:       region,
		IdentityRef:  &v1alpha1.IdentityReference{Name: f.identityOf(i)},
	}
	if f.shape != usual && f.shape != full {
		return spec
	}

	spec.S3KeyPrefix = "audit"
	spec.EnableLogFileValidation, spec.IsMultiRegionTrail = new(true), new(true)
	spec.Tags = []v1alpha1.Tag{{Key: "team", Value: "security"}, {Key: "stage", Value: "live"}}

	if f.shape == full || i%someSelectors == 0 {
		spec.AdvancedEventSelectors = []v1alpha1.AdvancedEventSelector{
			{
				Name:           "management",
				FieldSelectors: []v1alpha1.AdvancedFieldSelector{{Field: "eventCategory", Equals: []string{"Management"}}},
			},
			{Name: "objects", FieldSelectors: []v1alpha1.AdvancedFieldSelector{
				{Field: "eventCategory", Equals: []string{"Data"}}, {Field: "resources.type", Equals: []string{"AWS::S3::Object"}},
			}},
		}
	}

	if f.shape == full {
		spec.InsightSelectors = []v1alpha1.InsightSelector{{InsightType: "ApiCallRateInsight"}}
		spec.AggregationConfigurations = []v1alpha1.AggregationConfiguration{
			{EventCategory: "Data", Templates: []v1alpha1.AggregationTemplate{"API_ACTIVITY"}},
		}
	}

	return spec
}

// each does something to all trails, several at once and in no order: people do not create them account by account.
func (f *fleet) each(ctx context.Context, do func(context.Context, *v1alpha1.Trail) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(creators)
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(f.trails) { // The same order each time.
		trail := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: trailName(i)}, Spec: f.spec(i)}
		group.Go(func() error { return do(ctx, trail) })
	}
	return group.Wait()
}

// writes are how many writes the API server has served.
type writes struct{ trails, events, reports float64 }

// apiWrites counts the writes of Trails, of events and of reports, as the API server's own metrics tell. The bench
// itself creates and deletes Trails, which the operator never does.
func (f *fleet) apiWrites(ctx context.Context) (count writes, err error) {
	httpClient, err := rest.HTTPClientFor(f.rest)
	if err != nil {
		return count, err
	}

	request, err := http.NewRequestWithContext(
		ctx,
		http.MethodGet,
		strings.TrimSuffix(f.rest.Host, "/")+"/metrics",
		http.NoBody,
	)
	if err != nil {
		return count, err
	}
	response, err := httpClient.Do(request)
	if err != nil {
		return count, err
	}
	defer response.Body.Close() //nolint:errcheck // A body that was only read.

	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return count, err
	}

	for _, metric := range families["apiserver_request_total"].GetMetric() {
		labels := map[string]string{}
		for _, label := range metric.GetLabel() {
			labels[label.GetName()] = label.GetValue()
		}
		write := labels["verb"] == "PATCH" || labels["verb"] == "APPLY" || labels["verb"] == "PUT" || labels["verb"] == "POST"
		switch {
		case labels["resource"] == "trails" && write && labels["verb"] != "POST":
			count.trails += metric.GetCounter().GetValue()
		case labels["resource"] == "events" && write:
			count.events += metric.GetCounter().GetValue()
		case labels["resource"] == "reports" && write:
			count.reports += metric.GetCounter().GetValue()
		}
	}

	return count, nil
}
