package observability_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// total sums the values of a metric in Prometheus's text format.
func total(text, name string) float64 {
	GinkgoHelper()
	var sum float64
	for _, found := range regexp.MustCompile(`(?m)^`+name+` ([0-9.e+]+)$`).FindAllStringSubmatch(text, -1) {
		value, err := strconv.ParseFloat(found[len(found)-1], 64)
		Expect(err).NotTo(HaveOccurred())
		sum += value
	}
	return sum
}

var _ = Describe("A fleet at rest", Ordered, func() {
	const trails, intervals = 500, 10

	var (
		w     *world
		o     *operator
		token string
	)

	metricsOf := func() string {
		GinkgoHelper()
		code, text, err := page("https://"+o.metrics+"/metrics", token)
		Expect(err).NotTo(HaveOccurred())
		Expect(code).To(Equal(http.StatusOK))
		return text
	}
	looks := func() float64 {
		GinkgoHelper()
		return total(metricsOf(), `controller_runtime_reconcile_total\{controller="trail",result="[a-z_]+"\}`)
	}
	// written is the state of all that the operator writes in the cluster.
	written := func() map[string]string {
		GinkgoHelper()
		versions := map[string]string{}
		var all v1alpha1.TrailList
		Expect(w.List(ctx, &all)).To(Succeed())
		for i := range all.Items {
			versions[all.Items[i].Name] = all.Items[i].ResourceVersion
		}
		var events corev1.EventList
		Expect(w.List(ctx, &events, client.InNamespace("fleet"))).To(Succeed())
		for i := range events.Items {
			versions["event "+events.Items[i].Name] = events.Items[i].ResourceVersion
		}
		return versions
	}

	BeforeAll(func() {
		w = newWorld()
		token = w.token("default", "prometheus")
		w.letRead("default", "prometheus")
		Expect(w.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "fleet"}})).To(Succeed())
		o = w.run("--leader-elect=false", "--resync-interval=2s")
		for i := range trails {
			w.newTrail("fleet", fmt.Sprintf("trail-%03d", i))
		}
		ready := regexp.MustCompile(`(?m)^trail_operator_trail_condition\{.*status="True",type="Ready"\} 1$`)
		Eventually(func() int { return len(ready.FindAllString(metricsOf(), -1)) }, "120s", "500ms").Should(Equal(trails))
	})

	It("logs one line, and tells one event, for each trail that was created", func() {
		for _, name := range []string{"trail-000", "trail-499"} {
			Eventually(func() []string {
				var about []string
				for _, line := range o.lines() {
					if strings.Contains(line, `"name":"`+name+`"`) {
						about = append(about, line)
					}
				}
				return about
			}, "10s").Should(ConsistOf(And(ContainSubstring(`"msg":"changed AWS"`), ContainSubstring("CreateTrail"))))
		}
	})

	It("logs nothing and writes nothing in ten intervals of 500 trails", func() {
		// What was created a moment ago has settled when every trail was looked at again, and its events are written.
		first := looks()
		Eventually(looks, "120s", "500ms").Should(BeNumerically(">=", first+2*trails))
		Eventually(written, "60s", "500ms").Should(HaveLen(2*trails), "a Trail and an event each, which take their time")
		before, said, then := written(), o.lines(), looks()
		Eventually(looks, "300s", "500ms").Should(BeNumerically(">=", then+intervals*trails))
		Expect(o.lines()[len(said):]).To(BeEmpty())
		Expect(written()).To(Equal(before))
	})

	It("logs one line, and tells one event, for one change", func() {
		said, before := len(o.lines()), written()
		trail := &v1alpha1.Trail{}
		Expect(w.Get(ctx, client.ObjectKey{Namespace: "fleet", Name: "trail-007"}, trail)).To(Succeed())
		Expect(
			w.Patch(ctx, trail, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"s3KeyPrefix":"changed"}}`))),
		).To(Succeed())
		Eventually(func() int { return len(written()) }, "60s").Should(Equal(len(before)+1), "an event")
		then := looks()
		Eventually(looks, "120s", "500ms").Should(BeNumerically(">=", then+2*trails))
		Expect(o.lines()[said:]).To(ConsistOf(And(
			ContainSubstring(`"msg":"changed AWS"`),
			ContainSubstring(`"name":"trail-007"`),
			ContainSubstring("UpdateTrail"),
		)))
		Expect(written()).To(HaveLen(len(before) + 1))
	})
})
