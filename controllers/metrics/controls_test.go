package metrics_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/compliance"
	"github.com/trail-operator/trail-operator/controllers/metrics"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// judging returns metrics of a registry of their own that judge by a profile, at a time.
func judging(profile string, now *time.Time) *prometheus.Registry {
	GinkgoHelper()
	by, err := compliance.ProfileNamed(profile)
	Expect(err).NotTo(HaveOccurred())
	registry := prometheus.NewPedanticRegistry()
	_, err = metrics.New(ctx, metrics.Options{
		Registerer: registry, Cache: objects, Elected: following(), Interval: time.Minute, Version: "v1", Profile: by,
		DefaultRegion: "eu-central-1", Now: func() time.Time { return *now },
	})
	Expect(err).NotTo(HaveOccurred())
	return registry
}

// judgesTrails is part of the suite's ordered container, which fills the cache.
func judgesTrails() {
	It("judges Trails by the profile, and again as time passes", func() {
		now := at("2026-01-02T12:00:00Z").Time
		fsbp, cis := judging("fsbp", &now), judging("cis-5.0", &now)
		trail := newTrail("judged")
		Eventually(trailLines).WithArguments(fsbp, "judged", "", "eu-central-1").Should(ContainElements(
			`control_failed{control="multi-region",profile="fsbp",severity="high"} 1`,
			`control_failed{control="kms-encryption",profile="fsbp",severity="medium"} 1`,
			`control_failed{control="log-file-validation",profile="fsbp",severity="low"} 1`,
			`control_failed{control="cloudwatch-logs",profile="fsbp",severity="low"} 1`,
			`controls{outcome="pass",profile="fsbp"} 0`,
			`controls{outcome="fail",profile="fsbp"} 4`,
			`controls{outcome="skip",profile="fsbp"} 2`,
		))
		Expect(lines(cis, `control="s3-object-writes"`)).To(HaveLen(1))
		Expect(lines(fsbp, `control="s3-object-writes"`)).To(BeEmpty())

		trail.Spec.EnableLogFileValidation = new(true)
		Expect(cluster.Update(ctx, trail)).To(Succeed())
		trail.Status = v1alpha1.TrailStatus{
			ObservedGeneration: trail.Generation,
			TrailARN:           "arn:aws:cloudtrail:eu-central-1:111122223333:trail/judged",
			Conditions: []metav1.Condition{
				condition(v1alpha1.ConditionSynced, metav1.ConditionTrue, v1alpha1.ReasonSynced),
				condition(v1alpha1.ConditionLogging, metav1.ConditionTrue, v1alpha1.ReasonLogging),
			},
			LatestDigestDeliveryTime: new(at("2026-01-02T11:30:00Z")),
		}
		Expect(cluster.Status().Update(ctx, trail)).To(Succeed())
		Eventually(trailLines).WithArguments(fsbp, "judged", "", "eu-central-1").Should(And(
			ContainElements(`controls{outcome="pass",profile="fsbp"} 3`, `controls{outcome="fail",profile="fsbp"} 3`),
			Not(ContainElement(ContainSubstring(`control="log-file-validation"`))),
		))

		now = now.Add(3 * time.Hour)
		Expect(trailLines(fsbp, "judged", "", "eu-central-1")).
			To(ContainElement(ContainSubstring(`control="log-file-validation"`)), "no digest came for three hours")
	})
}

// stored is a cache that has these Trails and nothing else.
type stored struct {
	informertest.FakeInformers
	trails []v1alpha1.Trail
}

func (s *stored) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if trails, ok := list.(*v1alpha1.TrailList); ok {
		trails.Items = s.trails
	}
	return nil
}

// BenchmarkCollect gathers the series of the Trails of a large installation, as a scrape does, without judging and with
// it. It needs no API server.
func BenchmarkCollect(b *testing.B) {
	RegisterTestingT(b)
	trails := make([]v1alpha1.Trail, 2000)
	for i := range trails {
		trails[i] = v1alpha1.Trail{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("trail-", i)},
			Spec:       v1alpha1.TrailSpec{S3BucketName: "audit-logs"},
		}
	}
	cached := &stored{FakeInformers: informertest.FakeInformers{Scheme: testbed.Scheme()}, trails: trails}
	for _, profile := range append([]*compliance.Profile{nil}, compliance.Profiles()[0]) {
		b.Run(fmt.Sprintf("profile=%t", profile != nil), func(b *testing.B) {
			registry := prometheus.NewRegistry()
			_, err := metrics.New(b.Context(), metrics.Options{
				Registerer: registry, Cache: cached, Elected: following(), Interval: time.Minute, Version: "v1",
				Profile: profile,
			})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := registry.Gather(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
