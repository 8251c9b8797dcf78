package trail_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// limited returns a process's memory that keeps to CloudTrail's limits and calls AWS as the operator does.
func (f *fleetOf) limited(ctx context.Context, around func(aws.HTTPClient) aws.HTTPClient) *cloudtrail.Sessions {
	GinkgoHelper()
	config, err := cloudtrail.LoadConfig(ctx, region)
	Expect(err).NotTo(HaveOccurred())
	config.BaseEndpoint, config.Credentials = aws.String(f.Endpoint), f
	config.HTTPClient = around(config.HTTPClient)
	return cloudtrail.NewSessions(cloudtrail.Options{
		Config: config, ClusterID: clusterID, Version: "test", RateLimits: cloudtrail.RateLimitOn,
	})
}

// stopAll stops all trails of the fleet, as somebody in their accounts.
func (f *fleetOf) stopAll() {
	GinkgoHelper()
	for _, held := range f.AWS.Trails() {
		intruder := f.AWS.As(cloudtrailtest.Actor{ARN: fmt.Sprintf("arn:aws:iam::%s:user/intruder", held.AccountID)})
		f.do(intruder, "StopLogging", map[string]any{"Name": held.ARN})
	}
}

// allLog waits until all trails log.
func (f *fleetOf) allLog(ctx context.Context, within time.Duration, why string) {
	GinkgoHelper()
	Eventually(func() (stopped int) {
		for _, held := range f.AWS.Trails() {
			if !held.IsLogging {
				stopped++
			}
		}
		return stopped
	}).WithContext(ctx).WithTimeout(within).WithPolling(100*time.Millisecond).Should(BeZero(), why)
}

// What people have: several full trails in each account, an AWS that takes its time, and its limits.
var _ = Describe("Five full trails in each of ten accounts, looked at every ten seconds", func() {
	It("become ready, log again when somebody has stopped all of them, and cost few calls", func(ctx context.Context) {
		f := newFleet(ctx, 10, 5, cloudtrailtest.Options{Latency: 60 * time.Millisecond})
		f.spec, f.interval = full, 10*time.Second
		f.eachTrail(ctx, func(ctx context.Context, object client.Object) error { return f.Client.Create(ctx, object) })
		f.run(ctx, f.limited(ctx, func(sent aws.HTTPClient) aws.HTTPClient { return sent }))
		f.allReady(ctx)
		f.expectOneEach(ctx)

		By("stopping all of them")
		f.stopAll()
		f.allLog(ctx, time.Minute,
			"each is looked at within an interval, and started within CloudTrail's limits") // It takes some 15 seconds.
		Eventually(func() int {
			told := 0
			for _, one := range f.list(ctx) {
				if one.Status.LastDrift != nil && one.Status.LastDrift.RepairedTime != nil {
					told++
				}
			}
			return told
		}).WithContext(ctx).WithTimeout(time.Minute).Should(Equal(f.count()), "each is told")

		By("leaving them alone")
		f.AWS.ResetCalls()
		Eventually(func() int { return f.AWS.CallCounts()["GetTrailStatus"] }).WithContext(ctx).WithTimeout(time.Minute).
			Should(BeNumerically(">=", 3*f.count()), "they are looked at")
		counts := f.AWS.CallCounts()
		reads := f.cloudTrailCalls() - counts["LookupEvents"] // Who stopped them is still being looked for.
		Expect(float64(reads)/float64(counts["GetTrailStatus"])).To(BeNumerically("<=", 5), "calls a look: %v", counts)
		delete(counts, "LookupEvents")
		Expect(writesOf(counts)).To(BeEmpty())
		Expect(f.AWS.Throttled()).To(BeZero())
	})
})

// counting counts the requests that are under way to a region.
type counting struct {
	aws.HTTPClient
	region string
	count  *atomic.Int32
}

// Do implements aws.HTTPClient.
func (c counting) Do(request *http.Request) (*http.Response, error) {
	if strings.Contains(request.Header.Get("Authorization"), "/"+c.region+"/") {
		c.count.Add(1)
		defer c.count.Add(-1)
	}
	return c.HTTPClient.Do(request)
}

// One tenant, one account and one role must not be everybody's trouble.
var _ = Describe("Neighbors of a silent region, of a slow account and of a role that hangs", func() {
	const (
		silent = "eu-south-2"
		slow   = "300000000001"
		hangs  = "arn:aws:iam::300000000002:role/trail-operator"
	)

	It("have their trails repaired and their lookups answered", func(ctx context.Context) {
		f := newFleet(ctx, 4, 3, cloudtrailtest.Options{Latency: 20 * time.Millisecond})
		f.spec, f.interval = full, 10*time.Second
		tenant := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "tenant-"}}
		Expect(f.Client.Create(ctx, tenant)).To(Succeed())
		f.others = []string{tenant.Name}
		for name, role := range map[string]string{"slow": "arn:aws:iam::" + slow + ":role/trail-operator", "hangs": hangs} {
			identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: tenant.Name + "-" + name}}
			identity.Spec.RoleARN, identity.Spec.AllowedNamespaces = role, &v1alpha1.AllowedNamespaces{
				From: v1alpha1.NamespacesFromAll,
			}
			Expect(f.Client.Create(ctx, identity)).To(Succeed())
		}
		var asked atomic.Int32
		f.eachTrail(ctx, func(ctx context.Context, object client.Object) error { return f.Client.Create(ctx, object) })
		f.run(ctx, f.limited(ctx, func(sent aws.HTTPClient) aws.HTTPClient { return counting{sent, silent, &asked} }))
		f.allReady(ctx)

		By("a tenant with trails and lookups in a region that never answers, and with identities that are slow or hang")
		f.AWS.Inject(cloudtrailtest.Fault{Region: silent, Hang: true})
		f.AWS.Inject(cloudtrailtest.Fault{AccountID: slow, Latency: 30 * time.Second})
		f.AWS.Inject(cloudtrailtest.Fault{Operation: "AssumeRole", RoleARN: hangs, Hang: true})
		shared := &v1alpha1.IdentityReference{Name: f.identityOf(0)}
		for number := range 300 {
			object := &v1alpha1.Trail{
				ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Name, Name: fmt.Sprintf("trail-%03d", number)},
				Spec:       full,
			}
			switch {
			case number < 200:
				object.Spec.IdentityRef, object.Spec.Region = shared, silent
			case number < 250:
				object.Spec.IdentityRef = &v1alpha1.IdentityReference{Name: tenant.Name + "-slow"}
			default:
				object.Spec.IdentityRef = &v1alpha1.IdentityReference{Name: tenant.Name + "-hangs"}
			}
			Expect(f.Client.Create(ctx, object)).To(Succeed())
		}
		for number := range 100 {
			lookup := &v1alpha1.EventLookup{
				ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Name, Name: fmt.Sprintf("lookup-%03d", number)},
			}
			lookup.Spec.IdentityRef, lookup.Spec.Region = shared, silent
			Expect(f.Client.Create(ctx, lookup)).To(Succeed())
		}
		Eventually(asked.Load).WithTimeout(soon).Should(BeNumerically(">", 0), "the silent region is being asked")

		for range 3 {
			By("stopping the neighbors' trails")
			f.stopAll()
			lookup := &v1alpha1.EventLookup{ObjectMeta: metav1.ObjectMeta{Namespace: f.Namespace, GenerateName: "neighbor-"}}
			lookup.Spec.IdentityRef = &v1alpha1.IdentityReference{Name: f.identityOf(1)}
			Expect(f.Client.Create(ctx, lookup)).To(Succeed())
			Eventually(func() bool {
				Expect(f.Client.Get(ctx, client.ObjectKeyFromObject(lookup), lookup)).To(Succeed())
				return lookup.Finished()
			}).WithContext(ctx).WithTimeout(soon).Should(BeTrue(), "the neighbor's lookup is answered") // It takes a second.
			f.allLog(ctx, 40*time.Second, "the neighbors' trails log again") // Two intervals, and the time of a busy machine.
		}
		Expect(asked.Load()).To(BeNumerically("<=", 4), "few calls wait for the silent region, and for all")
	})
})

// A role that cannot be assumed is asked for once for all who use it.
var _ = Describe("A role that must not be assumed", func() {
	It("is not asked for by each of its 300 Trails", func(ctx context.Context) {
		f := newFleet(ctx, 1, 300, cloudtrailtest.Options{})
		f.AWS.Inject(cloudtrailtest.Fault{Operation: "AssumeRole", Code: "AccessDenied", Message: "no"})
		f.eachTrail(ctx, func(ctx context.Context, object client.Object) error { return f.Client.Create(ctx, object) })
		f.run(ctx, f.limited(ctx, func(sent aws.HTTPClient) aws.HTTPClient { return sent }))
		Eventually(func() (told int) {
			for _, one := range f.list(ctx) {
				c := meta.FindStatusCondition(one.Status.Conditions, v1alpha1.ConditionReady)
				if c != nil && c.Reason == "AccessDenied" {
					told++
				}
			}
			return told
		}).WithContext(ctx).WithTimeout(manyTrails).Should(Equal(f.count()), "each says why")
		Expect(f.AWS.CallCounts()["AssumeRole"]).To(BeNumerically("<=", 10), "in a few seconds")
	})
})
