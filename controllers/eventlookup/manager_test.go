package eventlookup_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/eventlookup"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// soon is how long anything may take that a watch brings about.
const soon = 20 * time.Second

// start runs the controller as the operator does, in the world's namespace and these. From then on time passes by
// itself.
func (w *world) start(ctx context.Context, namespaces ...string) {
	GinkgoHelper()
	w.maxWait = 0
	w.restart(w.limits)
	w.Clock.Run()
	options := w.ManagerOptions(namespaces...)
	options.Cache.ByObject = map[client.Object]cache.ByObject{
		&v1alpha1.EventLookup{}: {Transform: eventlookup.WithoutEvents},
	}
	consistent := len(namespaces) == 0
	options.Client.Cache.EnableReadYourWritesConsistency = &consistent
	w.StartManager(ctx, options, func(manager ctrl.Manager) {
		reconciler, err := eventlookup.New(eventlookup.Options{
			Client:   manager.GetClient(),
			Recorder: manager.GetEventRecorder("trail-operator"),
			Sessions: w.sessions,
			Now:      w.Clock.Now,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(reconciler.SetupWithManager(manager)).To(Succeed())
	})
}

// table is what kubectl get shows of the world's lookups: the names of the columns and the cells.
func (w *world) table(ctx context.Context) (columns []string, rows [][]any) {
	GinkgoHelper()
	config := rest.CopyConfig(restConfig)
	config.GroupVersion, config.APIPath = &v1alpha1.GroupVersion, "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(w.Client.Scheme()).WithoutConversion()
	rester, err := rest.RESTClientFor(config)
	Expect(err).NotTo(HaveOccurred())
	data, err := rester.Get().
		Namespace(w.Namespace).
		Resource("eventlookups").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").
		Do(ctx).
		Raw()
	Expect(err).NotTo(HaveOccurred())
	var table metav1.Table
	Expect(json.Unmarshal(data, &table)).To(Succeed())
	for _, column := range table.ColumnDefinitions {
		if column.Priority == 0 {
			columns = append(columns, column.Name)
		}
	}
	for _, row := range table.Rows {
		rows = append(rows, row.Cells[:len(columns)])
	}
	return columns, rows
}

var _ = Describe("The running controller", func() {
	It("answers many questions at once without a call too many", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.do(w.user("alice"), "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "trail-logs"})
		for range 120 {
			w.do(w.user("alice"), "StartLogging", map[string]any{"Name": "audit"})
		}
		w.restart(cloudtrail.RateLimitOn)
		w.start(context.WithoutCancel(ctx))
		var lookups []*v1alpha1.EventLookup
		for range 4 {
			lookups = append(lookups, w.ask(ctx, v1alpha1.EventLookupSpec{MaxResults: aws.Int32(1000)}))
		}
		for _, lookup := range lookups {
			Eventually(func() bool { return w.get(ctx, lookup).Finished() }).WithContext(ctx).WithTimeout(soon).
				Should(BeTrue(), "a lookup is run when it is created")
			found := w.get(ctx, lookup)
			expectComplete(found)
			Expect(found.Status.Events).To(HaveLen(121))
		}
		Expect(w.AWS.Throttled()).To(BeZero())
		Expect(w.AWS.CallCounts()["LookupEvents"]).To(Equal(len(lookups) * 3))
	})

	It("answers one tenant however much another one asks", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.do(w.user("alice"), "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "trail-logs"})
		for range 120 {
			w.do(w.user("alice"), "StartLogging", map[string]any{"Name": "audit"})
		}
		w.restart(cloudtrail.RateLimitOn)
		modest := w.CreateNamespace(ctx)
		w.start(context.WithoutCancel(ctx), modest)
		var greedy []*v1alpha1.EventLookup
		for range 50 {
			greedy = append(greedy, w.ask(ctx, v1alpha1.EventLookupSpec{MaxResults: aws.Int32(1000)}))
		}
		finished := func() int {
			n := 0
			for _, lookup := range greedy {
				if w.get(ctx, lookup).Finished() {
					n++
				}
			}
			return n
		}
		Eventually(func() int { return w.AWS.CallCounts()["LookupEvents"] }).WithContext(ctx).WithTimeout(soon).
			Should(BeNumerically(">=", 4), "the first ones are run")

		lookup := w.askIn(ctx, modest, v1alpha1.EventLookupSpec{MaxResults: aws.Int32(1000)})
		Eventually(func() bool { return w.get(ctx, lookup).Finished() }).WithContext(ctx).WithTimeout(10*time.Second).
			Should(BeTrue(), "it has every other call of two a second, and needs three")
		Expect(w.get(ctx, lookup).Status.Events).To(HaveLen(121))
		Expect(finished()).To(BeNumerically("<", 20), "the others go on, a few at a time")
		Expect(w.AWS.Throttled()).To(BeZero())
	})

	It("answers in one region while another one is silent", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.do(w.user("alice"), "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "trail-logs"})
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "LookupEvents", Region: silentRegion, Latency: time.Hour})
		var tenants []string
		for range 12 {
			tenants = append(tenants, w.CreateNamespace(ctx))
		}
		w.restart(cloudtrail.RateLimitOn)
		w.start(context.WithoutCancel(ctx), tenants...)
		for _, tenant := range tenants {
			for range 4 {
				w.askIn(ctx, tenant, v1alpha1.EventLookupSpec{Region: silentRegion})
			}
		}
		Eventually(w.silent.Load).WithContext(ctx).WithTimeout(soon).
			Should(BeEquivalentTo(2), "the silent region is asked as much as it takes in a second")
		for range 3 {
			lookup := w.ask(ctx, v1alpha1.EventLookupSpec{})
			Eventually(func() bool { return w.get(ctx, lookup).Finished() }).WithContext(ctx).WithTimeout(5*time.Second).
				Should(BeTrue(), "its workers do not wait for the other region")
			expectComplete(w.get(ctx, lookup))
		}
	})

	It("goes on when the identity comes, and deletes what is over", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{NoRateLimit: true})
		w.start(context.WithoutCancel(ctx))
		name := w.Namespace + "-late"
		lookup := w.ask(ctx, v1alpha1.EventLookupSpec{
			IdentityRef:             &v1alpha1.IdentityReference{Name: name},
			TTLSecondsAfterFinished: aws.Int32(1),
		})
		Eventually(func() []metav1.Condition { return w.get(ctx, lookup).Status.Conditions }).WithContext(ctx).
			WithTimeout(soon).Should(ContainElement(HaveField("Reason", "IdentityNotFound")))
		w.CreateIdentity(ctx, name, v1alpha1.AWSIdentitySpec{})
		Eventually(func() bool {
			return apierrors.IsNotFound(w.Client.Get(ctx, client.ObjectKeyFromObject(lookup), &v1alpha1.EventLookup{}))
		}).WithContext(ctx).WithTimeout(soon).Should(BeTrue(), "it is answered, and deleted a second later")
		Expect(w.AWS.CallCounts()["LookupEvents"]).To(Equal(1))
	})

	It("shows in kubectl get what came of a lookup", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{NoRateLimit: true})
		w.do(w.user("alice"), "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "trail-logs"})
		w.do(w.user("mallory"), "StopLogging", map[string]any{"Name": "audit"})
		lookup, _, err := w.run(ctx,
			w.ask(ctx, v1alpha1.EventLookupSpec{Attribute: attribute("EventName", "StopLogging"), Since: "7d"}))
		Expect(err).NotTo(HaveOccurred())
		columns, rows := w.table(ctx)
		Expect(columns).To(Equal([]string{"Name", "Complete", "Attribute", "Value", "Events", "Truncated", "Status", "Age"}))
		Expect(rows).To(HaveLen(1))
		Expect(strings.TrimSpace(fmt.Sprint(rows[0][:7]...))).
			To(Equal(fmt.Sprint(lookup.Name, "True", "EventName", "StopLogging", 1, false, complete(lookup).Message)))
		Expect(complete(lookup).Message).
			To(HavePrefix("StopLogging by arn:aws:iam::111122223333:user/mallory from 198.51.100.7 at 20"))
	})
})
