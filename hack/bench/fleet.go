package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
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

func newFleet(ctx context.Context, s settings, z size) (_ *fleet, err error) {
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
	environment := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("config", "crd", "bases")}, ErrorIfCRDPathMissing: true}
	f.cleanups = append(f.cleanups, environment.Stop)
	if f.rest, err = environment.Start(); err != nil {
		return nil, err
	}
	f.rest.QPS = -1
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), rbacv1.AddToScheme(scheme), authenticationv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	if f.client, err = client.New(f.rest, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	if err := f.createServiceAccount(ctx); err != nil {
		return nil, err
	}
	if err := f.serveAWS(ctx); err != nil {
		return nil, err
	}
	return f, f.createIdentities(ctx)
}

// createServiceAccount writes a kubeconfig with a token, which is what a pod has. An API server checks certificates at every request, which
// costs much more.
func (f *fleet) createServiceAccount(ctx context.Context) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "trail-operator"}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "trail-operator"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "trail-operator"}},
	}
	token := &authenticationv1.TokenRequest{}
	err := f.client.Create(ctx, account)
	if err == nil {
		err = f.client.Create(ctx, binding)
	}
	if err == nil {
		err = f.client.SubResource("token").Create(ctx, account, token)
	}
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["bench"] = &clientcmdapi.Cluster{Server: f.rest.Host, CertificateAuthorityData: f.rest.CAData}
	config.AuthInfos["bench"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	config.Contexts["bench"] = &clientcmdapi.Context{Cluster: "bench", AuthInfo: "bench"}
	config.CurrentContext = "bench"
	f.kubeconfig = filepath.Join(f.dir, "kubeconfig")
	return clientcmd.WriteToFile(*config, f.kubeconfig)
}

func (f *fleet) close() error {
	var err error
	for _, v := range slices.Backward(f.cleanups) {
		err = errors.Join(err, v())
	}
	return err
}

func (f *fleet) serveAWS(ctx context.Context) error {
	f.aws = cloudtrailtest.New(cloudtrailtest.Options{
		OpenResources: true, NoTrailLimit: !f.limits, NoRateLimit: !f.limits, Latency: f.latency, NoCallLog: true, MaxHistory: 1,
	})
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	f.endpoint = "http://" + listener.Addr().String()
	server := &http.Server{Handler: f.aws, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener) //nolint:errcheck // It ends when it is closed.
	f.cleanups = append(f.cleanups, server.Close)
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

// floor is how many seconds it takes at least to make so many calls for each trail, of which so many are writes: AWS's latency, or
// where it holds its quota of a write a second and account, whose first write does not wait.
func (f *fleet) floor(calls, writes float64) float64 {
	floor := calls * f.latency.Seconds() * math.Max(1, float64(f.trails)/workers)
	if !f.limits {
		return floor
	}
	perAccount := math.Ceil(float64(f.trails) / float64(f.accounts()))
	return math.Max(floor, perAccount*writes-1)
}

func (f *fleet) each(ctx context.Context, do func(context.Context, *v1alpha1.Trail) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(creators)
	for i := range f.trails {
		trail := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: trailName(i)}}
		trail.Spec = v1alpha1.TrailSpec{S3BucketName: "trail-operator-bench", Region: region, IdentityRef: &v1alpha1.IdentityReference{Name: f.identityOf(i)}}
		group.Go(func() error { return do(ctx, trail) })
	}
	return group.Wait()
}

// apiWrites counts the writes of Trails and of events, as the API server's own metrics tell. The bench itself creates and deletes
// Trails, which the operator never does.
func (f *fleet) apiWrites(ctx context.Context) (trails, events float64, err error) {
	httpClient, err := rest.HTTPClientFor(f.rest)
	if err != nil {
		return 0, 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(f.rest.Host, "/")+"/metrics", http.NoBody)
	if err != nil {
		return 0, 0, err
	}
	response, err := httpClient.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close() //nolint:errcheck // A body that was only read.
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return 0, 0, err
	}
	for _, metric := range families["apiserver_request_total"].GetMetric() {
		labels := map[string]string{}
		for _, label := range metric.GetLabel() {
			labels[label.GetName()] = label.GetValue()
		}
		write := labels["verb"] == "PATCH" || labels["verb"] == "APPLY" || labels["verb"] == "PUT" || labels["verb"] == "POST"
		switch {
		case labels["resource"] == "trails" && write && labels["verb"] != "POST":
			trails += metric.GetCounter().GetValue()
		case labels["resource"] == "events" && write:
			events += metric.GetCounter().GetValue()
		}
	}
	return trails, events, nil
}
