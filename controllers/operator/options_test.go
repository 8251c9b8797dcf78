package operator

import (
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// TestNoWriteWithoutTheLease holds that the operator's calls are those of the leader: a process that competes for the
// lease reads, and sends no write before it holds it.
func TestNoWriteWithoutTheLease(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	lock, mayWrite, err := newLock(
		&rest.Config{Host: "http://localhost:1"},
		Options{leaderElect: true, leaderElectionNamespace: "default", leaderElectionID: "trail-operator"},
	)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(lock).NotTo(BeNil())
	alone, unasked, err := newLock(nil, Options{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(alone).To(BeNil())

	emulator := cloudtrailtest.New(cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
	server := httptest.NewServer(emulator)
	t.Cleanup(server.Close)
	config := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), HTTPClient: cloudtrailtest.NewHTTPClient(),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	create := func(mayWrite func() error) error {
		session, err := newSessions(config, "cluster", nil, mayWrite, Options{}).Open(t.Context(), &v1alpha1.AWSIdentity{})
		g.Expect(err).NotTo(HaveOccurred())
		_, err = session.Region("us-east-1").Trails(t.Context())
		g.Expect(err).NotTo(HaveOccurred(), "reads are free")
		_, err = session.Region("us-east-1").
			Create(t.Context(), "audit", cloudtrail.Change{S3BucketName: aws.String("trail-logs")}, nil, nil)
		return err
	}
	g.Expect(create(mayWrite)).To(MatchError(cloudtrail.ErrNotLeading))
	g.Expect(emulator.Trails()).To(BeEmpty())
	g.Expect(emulator.CallCounts()).NotTo(HaveKey("CreateTrail"))
	g.Expect(create(unasked)).To(Succeed())
	g.Expect(emulator.Trails()).To(HaveLen(1))
}

// TestMetricsAreForReaders holds that metrics are served by HTTPS to whom Kubernetes allows them, unless the flag says
// otherwise.
func TestMetricsAreForReaders(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	secure := metricsOptions(Options{metricsSecure: true})
	g.Expect(secure.SecureServing).To(BeTrue())
	g.Expect(secure.FilterProvider).NotTo(BeNil())
	open := metricsOptions(Options{})
	g.Expect(open.SecureServing).To(BeFalse())
	g.Expect(open.FilterProvider).To(BeNil())
}

// TestClusterIDThatIsGiven holds that a backup can be restored under the id of the cluster that it was made in; nothing
// is read for it.
func TestClusterIDThatIsGiven(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	g.Expect(clusterID(t.Context(), nil, "the-old-one")).To(Equal("the-old-one"))
}

// TestCaches holds what is cached and how it is read: what the label selector chooses of Trails and EventLookups, and
// after the process's own writes wherever the library can.
func TestCaches(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options            Options
		consistent, direct bool
	}{
		"all":            {Options{}, true, false},
		"a label":        {Options{watchLabelSelector: "shard=a"}, true, false},
		"a namespace":    {Options{watchNamespaces: "one"}, true, true},
		"two namespaces": {Options{watchNamespaces: "one,two", watchLabelSelector: "shard=a"}, false, true},
		"nothing named":  {Options{watchNamespaces: " , "}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			caches, err := cacheOptions(c.options)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(caches.ByObject).To(HaveLen(3))
			for object, of := range caches.ByObject {
				g.Expect(of.Label.String()).To(Equal(c.options.watchLabelSelector), "%T", object)
				g.Expect(of.Label.Matches(labels.Set{"shard": "b"})).To(Equal(c.options.watchLabelSelector == ""))
			}
			reads := clientOptions(caches, c.options).Cache
			g.Expect(reads.EnableReadYourWritesConsistency).To(HaveValue(Equal(c.consistent)))
			direct := HaveLen(1)
			if !c.direct {
				direct = BeEmpty()
			}
			g.Expect(reads.DisableFor).To(direct, "it may have no right to watch Namespaces")
			g.Expect(trailOptions(c.options).NamespacesUnwatched).To(Equal(c.direct))
		})
	}
}
