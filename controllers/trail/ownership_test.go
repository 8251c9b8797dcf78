package trail_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// someoneElse is the owner tag of a trail that another cluster manages.
const someoneElse = "other-cluster/security/audit"

// owner is the owner tag of the trail of an object of this world.
func (w *world) owner(name string) string { return clusterID + "/" + w.Namespace + "/" + name }

// make creates a trail by hand, with this owner tag if it is not "".
func (w *world) make(name, owner string) {
	GinkgoHelper()
	params := map[string]any{"Name": name, "S3BucketName": "hand-made"}
	if owner != "" {
		params["TagsList"] = []any{map[string]any{"Key": v1alpha1.OwnerTagKey, "Value": owner}}
	}
	w.do(w.intruder(), "CreateTrail", params)
}

// takeOver sets the owner tag of a trail behind the controller's back; "" removes it.
func (w *world) takeOver(name, owner string) {
	GinkgoHelper()
	operation := "AddTags"
	if owner == "" {
		operation = "RemoveTags"
	}
	w.do(w.intruder(), operation, map[string]any{
		"ResourceId": trailARN(name),
		"TagsList":   []any{map[string]any{"Key": v1alpha1.OwnerTagKey, "Value": owner}},
	})
}

var _ = Describe("Two Trails that both take a trail whoever owns it", func() {
	var w *world
	both := []string{"first", "second"}

	BeforeEach(func(ctx context.Context) {
		w = newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		for _, name := range both {
			w.apply(ctx, name, always(false))
			w.settle(ctx, name)
		}
	})

	// expectKept looks at both a few times, which writes nothing: one has the trail, and the other one says who.
	expectKept := func(ctx context.Context, holder, other string) {
		GinkgoHelper()
		w.AWS.ResetCalls()
		for range 3 {
			for _, name := range both {
				w.Clock.Add(time.Minute)
				w.settle(ctx, name)
			}
		}
		Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
		Expect(w.held("audit").Tags).To(HaveKeyWithValue(v1alpha1.OwnerTagKey, w.owner(holder)))
		expectCondition(w.get(ctx, holder), v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
		refused := w.get(ctx, other)
		expectCondition(refused, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonOwnedByAnother)
		Expect(condition(refused, v1alpha1.ConditionReady).Message).To(And(
			ContainSubstring("belongs to the Trail "+w.owner(holder)), ContainSubstring("set its adoptionPolicy to IfUnowned")))
	}

	It("do not fight over it: the first one keeps it", func(ctx context.Context) {
		expectKept(ctx, "first", "second")

		By("somebody giving it to the second one by hand, who has never held it")
		w.takeOver("audit", w.owner("second"))
		w.settle(ctx, "first")
		expectKept(ctx, "first", "second")
		Expect(w.get(ctx, "first").Status.LastDrift).NotTo(BeNil(), "that was a drift")

		By("restarting")
		w.restart()
		expectKept(ctx, "first", "second")
	})

	It("hand it over when the one that has it is suspended, and it stays there", func(ctx context.Context) {
		w.apply(ctx, "first", always(true))
		w.settle(ctx, "first")
		w.settle(ctx, "second")
		Expect(w.DrainEvents()).To(ContainElement(HavePrefix("Warning TakenOver ")))
		w.apply(ctx, "first", always(false))
		w.settle(ctx, "first")
		expectKept(ctx, "second", "first")
	})

	It("hand it over when the one that has it may not use its identity any more", func(ctx context.Context) {
		other := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: w.identity + "-other"}}
		other.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}
		Expect(w.Client.Create(ctx, other)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(w.Client.Delete(ctx, other)).To(Succeed()) })
		w.identity = other.Name
		w.apply(ctx, "second", always(false))
		expectKept(ctx, "first", "second")

		w.identity = strings.TrimSuffix(other.Name, "-other")
		w.setIdentity(ctx, func(s *v1alpha1.AWSIdentitySpec) { s.AllowedNamespaces = nil })
		w.settle(ctx, "first")
		expectCondition(w.settle(ctx, "second"), v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	})

	It("hand it over when the first one takes no trails any more, and when it is gone", func(ctx context.Context) {
		unowned := always(false)
		unowned.AdoptionPolicy = v1alpha1.AdoptionPolicyIfUnowned
		w.apply(ctx, "first", unowned)
		w.settle(ctx, "first")
		w.settle(ctx, "second")
		expectCondition(w.get(ctx, "second"), v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
		expectCondition(w.settle(ctx, "first"), v1alpha1.ConditionStalled,
			metav1.ConditionTrue, v1alpha1.ReasonOwnedByAnother)

		w.apply(ctx, "first", always(false))
		Expect(w.Client.Delete(ctx, w.get(ctx, "second"))).To(Succeed())
		w.settle(ctx, "first")
		expectCondition(w.get(ctx, "first"), v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	})
})

// always is the spec of a Trail that takes the trail audit whoever owns it.
func always(suspended bool) v1alpha1.TrailSpec {
	return v1alpha1.TrailSpec{
		Name: "audit", S3BucketName: "trail-logs", AdoptionPolicy: v1alpha1.AdoptionPolicyAlways, Suspend: new(suspended),
	}
}

var _ = Describe("A trail that is there before its object", func() {
	const managed = "" // No reason to refuse it.
	anyPolicy := []v1alpha1.AdoptionPolicy{
		"",
		v1alpha1.AdoptionPolicyNever,
		v1alpha1.AdoptionPolicyIfUnowned,
		v1alpha1.AdoptionPolicyAlways,
	}
	// The table of the documentation, cell by cell.
	for whose, c := range map[string]struct {
		owner   func(*world) string // nil: there is no trail.
		reasons map[v1alpha1.AdoptionPolicy]string
	}{
		"absent": {
			nil,
			map[v1alpha1.AdoptionPolicy]string{"": managed, "Never": managed, "IfUnowned": managed, "Always": managed},
		},
		"ours": {
			func(w *world) string { return w.owner("audit") },
			map[v1alpha1.AdoptionPolicy]string{"": managed, "Never": managed, "IfUnowned": managed, "Always": managed},
		},
		"nobody's": {
			func(*world) string { return "" },
			map[v1alpha1.AdoptionPolicy]string{
				"": v1alpha1.ReasonNotOwned, "Never": v1alpha1.ReasonNotOwned,
				"IfUnowned": managed, "Always": managed,
			},
		},
		"another's": {
			func(*world) string { return someoneElse },
			map[v1alpha1.AdoptionPolicy]string{
				"": v1alpha1.ReasonOwnedByAnother, "Never": v1alpha1.ReasonOwnedByAnother,
				"IfUnowned": v1alpha1.ReasonOwnedByAnother, "Always": managed,
			},
		},
	} {
		for _, policy := range anyPolicy {
			reason := c.reasons[policy]
			It(fmt.Sprintf("is %s, under adoptionPolicy %q: %s", whose, policy, reason), func(ctx context.Context) {
				w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
				owner := ""
				if c.owner != nil {
					owner = c.owner(w)
					w.make("audit", owner)
				}
				spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs", AdoptionPolicy: policy}
				w.apply(ctx, "audit", spec)
				if reason == managed {
					w.expectSettled(ctx, "audit", spec)
					Expect(w.get(ctx, "audit").Status.LastDrift).To(BeNil(), "what is adopted has not drifted")
					taken := ContainElement(And(HavePrefix("Warning TakenOver "), ContainSubstring(someoneElse)))
					if owner == someoneElse {
						Expect(w.DrainEvents()).To(taken, "a Warning tells that the trail was taken from somebody")
					} else {
						Expect(w.DrainEvents()).NotTo(taken)
					}
					Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
					_, err := w.look(ctx, "audit")
					Expect(err).NotTo(HaveOccurred())
					w.expectGone(ctx, "audit")
					Expect(w.AWS.Trails()).To(BeEmpty())
					return
				}
				w.expectRefused(ctx, "audit", reason)
				if owner != "" {
					Expect(condition(w.get(ctx, "audit"), v1alpha1.ConditionReady).Message).
						To(ContainSubstring(owner), "the owner is named")
				}

				By("deleting the object: the trail stays as it was")
				before := w.held("audit")
				Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
				_, err := w.look(ctx, "audit")
				Expect(err).NotTo(HaveOccurred())
				w.expectGone(ctx, "audit")
				Expect(w.held("audit")).To(Equal(before))
			})
		}
	}

	It("is managed as soon as its owner lets go of it", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.make("audit", someoneElse)
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs", AdoptionPolicy: v1alpha1.AdoptionPolicyIfUnowned}
		w.apply(ctx, "audit", spec)
		w.expectRefused(ctx, "audit", v1alpha1.ReasonOwnedByAnother)
		w.takeOver("audit", "")
		w.expectSettled(ctx, "audit", spec)
	})

	It("is waited for when its object is deleted, also if it was in sync from the first look on",
		func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			w.make("audit", w.owner("audit"))
			w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "hand-made", Logging: falsy()})
			w.AWS.ResetCalls()
			Expect(w.settle(ctx, "audit").Finalizers).To(ConsistOf(v1alpha1.Finalizer))
			Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
		})

	It("keeps no object that names it from being deleted when it has its home elsewhere, whatever tag it carries",
		func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			_, err := w.intruder().Do("eu-west-1", "CreateTrail", map[string]any{
				"Name": "audit", "S3BucketName": "hand-made", "IsMultiRegionTrail": true,
				"TagsList": []any{map[string]any{"Key": v1alpha1.OwnerTagKey, "Value": w.owner("audit")}},
			})
			Expect(err).NotTo(HaveOccurred())
			w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
			object := w.get(ctx, "audit")
			object.Finalizers = []string{v1alpha1.Finalizer}
			Expect(w.Client.Update(ctx, object)).To(Succeed())
			w.expectRefused(ctx, "audit", v1alpha1.ReasonWrongHomeRegion)
			Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
			_, err = w.look(ctx, "audit")
			Expect(err).NotTo(HaveOccurred())
			w.expectGone(ctx, "audit")
			Expect(w.AWS.Trails()).To(HaveLen(1))
		})

	It("is not taken from somebody who has claimed it since it was read whose it is", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.make("audit", "")
		w.apply(ctx, "audit",
			v1alpha1.TrailSpec{S3BucketName: "trail-logs", AdoptionPolicy: v1alpha1.AdoptionPolicyIfUnowned})
		w.writing = func(_ int, write func() error) error {
			w.writing = nil
			w.takeOver("audit", someoneElse) // While the object is written, which comes before the claim.
			return write()
		}
		w.AWS.ResetCalls()
		_, err := w.look(ctx, "audit")
		Expect(err).NotTo(HaveOccurred())
		Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
		w.expectRefused(ctx, "audit", v1alpha1.ReasonOwnedByAnother)
		Expect(w.held("audit").Tags).To(HaveKeyWithValue(v1alpha1.OwnerTagKey, someoneElse))
	})

	It("is not written to when it cannot be made ours", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.make("audit", "")
		before := w.held("audit")
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "AddTags", Code: "AccessDeniedException", Message: "No."})
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs", AdoptionPolicy: v1alpha1.AdoptionPolicyIfUnowned}
		w.apply(ctx, "audit", spec)
		for range 3 {
			expectCondition(w.settle(ctx, "audit"), v1alpha1.ConditionReady, metav1.ConditionFalse, "AccessDeniedException")
			Expect(w.held("audit")).To(Equal(before))
		}
		w.AWS.ClearFaults()
		w.expectSettled(ctx, "audit", spec)
	})
})

// expectRefused looks twice: the object is Stalled for the reason, AWS is not written to, and the second look writes
// nothing at all.
func (w *world) expectRefused(ctx context.Context, name, reason string) {
	GinkgoHelper()
	before := w.AWS.Trails()
	w.AWS.ResetCalls()
	found := w.settle(ctx, name)
	expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, reason)
	expectCondition(found, v1alpha1.ConditionStalled, metav1.ConditionTrue, reason)
	testbed.ExpectKstatus(found, status.FailedStatus)
	Expect(found.Status.TrailARN).To(BeEmpty(), "a trail that is not ours is not shown as ours")
	Expect(w.settle(ctx, name).ResourceVersion).To(Equal(found.ResourceVersion))
	Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
	Expect(w.AWS.Trails()).To(Equal(before))
}

var _ = Describe("deletionPolicy Retain", func() {
	It("takes the owner tag away and leaves the trail, so that another object may adopt it", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		spec := v1alpha1.TrailSpec{
			S3BucketName:   "trail-logs",
			DeletionPolicy: v1alpha1.DeletionPolicyRetain,
			Tags:           []v1alpha1.Tag{{Key: "team", Value: "security"}},
		}
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
		want := w.held("audit")
		want.Tags = map[string]string{"team": "security"}
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		w.AWS.ResetCalls()
		_, err := w.look(ctx, "audit")
		Expect(err).NotTo(HaveOccurred())
		w.expectGone(ctx, "audit")
		Expect(writesOf(w.AWS.CallCounts())).To(Equal(map[string]int{"RemoveTags": 1}))
		Expect(w.held("audit")).To(Equal(want), "it goes on logging as it did")

		adopting := v1alpha1.TrailSpec{
			Name:           "audit",
			S3BucketName:   "trail-logs",
			AdoptionPolicy: v1alpha1.AdoptionPolicyIfUnowned,
		}
		w.apply(ctx, "next", adopting)
		Expect(ready(w.settle(ctx, "next"))).To(BeTrue())
		Expect(w.held("audit").Tags).To(Equal(map[string]string{"team": "security", v1alpha1.OwnerTagKey: w.owner("next")}))
	})

	It("lets the object go though AWS does not allow to remove the tag, and though the identity is gone",
		func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs"}
			for _, name := range []string{"audit", "other"} {
				w.apply(ctx, name, spec)
				w.expectSettled(ctx, name, spec)
				Expect(w.Client.Delete(ctx, w.get(ctx, name))).To(Succeed())
			}
			retain := func(name string) {
				GinkgoHelper()
				spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain
				w.apply(ctx, name, spec)
				_, err := w.look(ctx, name)
				Expect(err).NotTo(HaveOccurred())
				w.expectGone(ctx, name)
				_, there := w.AWS.Trail(account, region, name)
				Expect(there).To(BeTrue(), "the trail stays")
			}
			w.AWS.Inject(cloudtrailtest.Fault{Operation: "DeleteTrail", Code: "AccessDeniedException", Message: "No."})
			w.AWS.Inject(cloudtrailtest.Fault{Operation: "RemoveTags", Code: "AccessDeniedException", Message: "No."})
			found := w.settle(ctx, "audit")
			testbed.ExpectKstatus(found, status.TerminatingStatus)
			expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, "AccessDeniedException")
			Expect(condition(found, v1alpha1.ConditionReady).Message).
				To(ContainSubstring("deletionPolicy: Retain"), "what helps is told")
			Expect(w.settle(ctx, "audit").ResourceVersion).To(Equal(found.ResourceVersion))
			retain("audit")

			identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: w.identity}}
			Expect(w.Client.Delete(ctx, identity)).To(Succeed())
			found = w.settle(ctx, "other")
			expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonIdentityNotFound)
			retain("other")
		})
})

var _ = Describe("Two Trails that name one trail", func() {
	It("do not fight: the first keeps it, the second says so, and has it when the first is gone",
		func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			first := v1alpha1.TrailSpec{Name: "the-trail", S3BucketName: "one-bucket"}
			second := v1alpha1.TrailSpec{
				Name:           "the-trail",
				S3BucketName:   "other-bucket",
				AdoptionPolicy: v1alpha1.AdoptionPolicyIfUnowned,
			}
			w.apply(ctx, "first", first)
			w.apply(ctx, "second", second)
			Expect(ready(w.settle(ctx, "first"))).To(BeTrue())
			kept := w.held("the-trail")
			for range 3 {
				w.expectRefused(ctx, "second", v1alpha1.ReasonOwnedByAnother)
				Expect(condition(w.get(ctx, "second"), v1alpha1.ConditionReady).Message).To(ContainSubstring(w.owner("first")))
				Expect(ready(w.settle(ctx, "first"))).To(BeTrue())
				w.restart()
			}
			Expect(w.held("the-trail")).To(Equal(kept))

			By("deleting the second one: the first one's trail stays")
			Expect(w.Client.Delete(ctx, w.get(ctx, "second"))).To(Succeed())
			_, err := w.look(ctx, "second")
			Expect(err).NotTo(HaveOccurred())
			w.expectGone(ctx, "second")
			Expect(w.held("the-trail")).To(Equal(kept))

			By("applying it again, and deleting the first one")
			w.apply(ctx, "second", second)
			w.expectRefused(ctx, "second", v1alpha1.ReasonOwnedByAnother)
			Expect(w.Client.Delete(ctx, w.get(ctx, "first"))).To(Succeed())
			_, err = w.look(ctx, "first")
			Expect(err).NotTo(HaveOccurred())
			Expect(ready(w.settle(ctx, "second"))).To(BeTrue())
			Expect(w.held("the-trail").S3BucketName).To(Equal("other-bucket"))
		})

	It("do not fight when both find that there is none yet", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.apply(ctx, "first", v1alpha1.TrailSpec{Name: "the-trail", S3BucketName: "one-bucket"})
		w.apply(ctx, "second", v1alpha1.TrailSpec{Name: "the-trail", S3BucketName: "other-bucket"})
		raced := false
		w.onSending(func(request *http.Request) {
			if operationOf(request) != "CreateTrail" || raced {
				return
			}
			raced = true
			_, other := w.process(clusterID, http.DefaultClient)
			_, err := other.Reconcile(ctx,
				reconcile.Request{NamespacedName: client.ObjectKey{Namespace: w.Namespace, Name: "second"}})
			Expect(err).NotTo(HaveOccurred())
		})
		_, err := w.look(ctx, "first")
		Expect(err).To(MatchError(ContainSubstring("TrailAlreadyExistsException")), "it looks again")
		w.expectRefused(ctx, "first", v1alpha1.ReasonOwnedByAnother)
		Expect(ready(w.settle(ctx, "second"))).To(BeTrue())
		Expect(w.held("the-trail").S3BucketName).To(Equal("other-bucket"))
		Expect(w.AWS.Trails()).To(HaveLen(1))
	})
})

// In one account, and for one trail, there are two who could own it.
var _ = Describe("Two that claim one trail", func() {
	It("do not both have it, though they are at it at the same time", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.settleTime = 300 * time.Millisecond
		w.restart()
		w.make("audit", "")
		spec := v1alpha1.TrailSpec{
			Name:           "audit",
			S3BucketName:   "trail-logs",
			S3KeyPrefix:    "first",
			AdoptionPolicy: v1alpha1.AdoptionPolicyIfUnowned,
		}
		w.apply(ctx, "first", spec)
		spec.S3KeyPrefix = "second"
		w.apply(ctx, "second", spec)
		_, other := w.process("other-cluster", http.DefaultClient)
		look := func(r reconcile.Reconciler, name string) {
			request := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: w.Namespace, Name: name}}
			r.Reconcile(ctx, request) //nolint:errcheck // The loser looks again.
		}
		var ended sync.WaitGroup
		w.onSending(func(request *http.Request) {
			if operationOf(request) != "AddTags" {
				return
			}
			w.onSending(nil)
			ended.Go(func() { look(other, "second") })
			Eventually(func() int { return w.AWS.CallCounts()["AddTags"] }).Should(Equal(1), "the other claims it first")
		})
		look(w.reconc, "first")
		ended.Wait()
		Expect(w.AWS.CallCounts()["AddTags"]).To(Equal(2), "both have claimed it")
		Expect(w.AWS.CallCounts()["UpdateTrail"]).To(Equal(1), "one of them goes on")
		for range 2 {
			w.Clock.Add(time.Minute)
			look(w.reconc, "first")
			look(other, "second")
		}
		Expect(ready(w.get(ctx, "first"))).To(BeTrue())
		expectCondition(w.get(ctx, "second"), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonOwnedByAnother)
		Expect(w.held("audit").S3KeyPrefix).To(Equal("first"))
	})

	It("do not both have it, though the second claims it while the first makes up its mind", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.make("audit", "")
		w.apply(ctx, "audit",
			v1alpha1.TrailSpec{S3BucketName: "trail-logs", AdoptionPolicy: v1alpha1.AdoptionPolicyIfUnowned})
		w.onSending(func(request *http.Request) {
			if operationOf(request) == "GetTrailStatus" {
				w.onSending(nil)
				w.takeOver("audit", someoneElse)
			}
		})
		w.look(ctx, "audit") //nolint:errcheck // It looks again.
		Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
		w.expectRefused(ctx, "audit", v1alpha1.ReasonOwnedByAnother)
		Expect(w.held("audit").Tags).To(HaveKeyWithValue(v1alpha1.OwnerTagKey, someoneElse))
	})

	It("are not worked on at the same time in one process", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.apply(ctx, "first", v1alpha1.TrailSpec{Name: "the-trail", S3BucketName: "one-bucket"})
		w.apply(ctx, "second", v1alpha1.TrailSpec{Name: "the-trail", S3BucketName: "other-bucket"})
		w.onSending(func(request *http.Request) {
			if operationOf(request) != "CreateTrail" {
				return
			}
			w.onSending(nil)
			result, err := w.reconc.Reconcile(ctx,
				reconcile.Request{NamespacedName: client.ObjectKey{Namespace: w.Namespace, Name: "second"}})
			Expect(err).NotTo(HaveOccurred())
			Expect(result.RequeueAfter).To(BeNumerically("<=", 2*time.Second), "it waits for the first")
		})
		Expect(ready(w.settle(ctx, "first"))).To(BeTrue())
		Expect(w.AWS.CallCounts()["CreateTrail"]).To(Equal(1))
		w.expectRefused(ctx, "second", v1alpha1.ReasonOwnedByAnother)
		Expect(w.held("the-trail").S3BucketName).To(Equal("one-bucket"))
	})
})

// outOfSync returns a world in which two calls are to be made for a trail that is ours: StartLogging and UpdateTrail.
func outOfSync(ctx context.Context) *world {
	GinkgoHelper()
	w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true})
	w.prepareResources()
	w.apply(ctx, "audit", rich)
	w.expectSettled(ctx, "audit", rich)
	w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": "elsewhere"})
	w.do(w.intruder(), "StopLogging", map[string]any{"Name": "audit"})
	return w
}

// expectStops gives the trail this owner tag while the second of the two calls waits, which then is not made.
func (w *world) expectStops(ctx context.Context, owner string) {
	GinkgoHelper()
	w.onSending(func(request *http.Request) {
		if operationOf(request) == "StartLogging" {
			w.takeOver("audit", owner)
			w.Clock.Add(11 * time.Second) // So long does the next write wait.
		}
	})
	w.AWS.ResetCalls()
	w.look(ctx, "audit") //nolint:errcheck // The trail is not ours any more.
	Expect(writesOf(w.AWS.CallCounts())).To(Equal(map[string]int{"StartLogging": 1}))
	w.onSending(nil)
}

// A call may wait long for its turn.
var _ = Describe("A trail that another owner takes while a call waits", func() {
	It("is not written to any more", func(ctx context.Context) {
		w := outOfSync(ctx)
		w.expectStops(ctx, someoneElse)
		w.look(ctx, "audit") //nolint:errcheck // The trail is not ours any more.
		expectCondition(w.get(ctx, "audit"), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonOwnedByAnother)
		Expect(w.held("audit").S3KeyPrefix).To(Equal("elsewhere"))
	})
})

var _ = Describe("A trail whose owner tag goes while a call waits", func() {
	It("is not written to any more for an object that has no memory of it", func(ctx context.Context) {
		w := outOfSync(ctx)
		restored := w.get(ctx, "audit")
		restored.Status = v1alpha1.TrailStatus{}
		Expect(w.Client.Status().Update(ctx, restored)).To(Succeed())
		w.restart()
		w.expectStops(ctx, "")
		w.expectRefused(ctx, "audit", v1alpha1.ReasonNotOwned)
		Expect(w.held("audit").S3KeyPrefix).To(Equal("elsewhere"))
	})
})

var _ = Describe("managementPolicy Observe", func() {
	It("never writes to AWS, and reports what it would change", func(ctx context.Context) {
		for whose, owner := range map[string]string{"nobody's": "", "another's": someoneElse} {
			By("a trail that is " + whose)
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			w.prepareResources()
			spec := rich
			spec.ManagementPolicy = v1alpha1.ManagementPolicyObserve
			w.apply(ctx, "audit", spec)
			found := w.settle(ctx, "audit")
			expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonTrailNotFound)
			Expect(found.Finalizers).To(BeEmpty(), "there is nothing to wait for when the object is deleted")

			w.make("audit", owner)
			found = w.settle(ctx, "audit")
			expectCondition(found, v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonDifferent)
			expectCondition(found, v1alpha1.ConditionLogging, metav1.ConditionFalse, v1alpha1.ReasonStopped)
			message := condition(found, v1alpha1.ConditionSynced).Message
			for _, word := range []string{
				"s3BucketName", "s3KeyPrefix", "snsTopicName", "kmsKeyID", "cloudWatchLogsLogGroupARN",
				"cloudWatchLogsRoleARN", "enableLogFileValidation", "advancedEventSelectors", "insightSelectors",
				"aggregationConfigurations", "tags", "logging", "AddTags{team}", "StartLogging", "UpdateTrail{",
				"PutEventSelectors", "PutInsightSelectors", "PutEventConfiguration",
			} {
				Expect(message).To(ContainSubstring(word))
			}
			Expect(w.settle(ctx, "audit").ResourceVersion).To(Equal(found.ResourceVersion))

			By("all being as the spec says")
			same := v1alpha1.TrailSpec{
				S3BucketName:     "hand-made",
				Logging:          falsy(),
				ManagementPolicy: v1alpha1.ManagementPolicyObserve,
			}
			w.apply(ctx, "audit", same)
			found = w.settle(ctx, "audit")
			testbed.ExpectKstatus(found, status.CurrentStatus)
			expectCondition(found, v1alpha1.ConditionSynced, metav1.ConditionTrue, v1alpha1.ReasonSynced)

			By("deleting the object")
			before := w.held("audit")
			Expect(w.Client.Delete(ctx, found)).To(Succeed())
			_, err := w.look(ctx, "audit")
			Expect(err).NotTo(HaveOccurred())
			w.expectGone(ctx, "audit")
			Expect(w.held("audit")).To(Equal(before))
			Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty(), "not one write in all that time")
		}
	})

	It("leaves a trail that was managed before, and takes its management up again", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs"}
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
		spec.ManagementPolicy = v1alpha1.ManagementPolicyObserve
		w.apply(ctx, "audit", spec)
		w.settle(ctx, "audit")
		w.AWS.ResetCalls()
		w.do(w.intruder(), "StopLogging", map[string]any{"Name": "audit"})
		expectCondition(w.settle(ctx, "audit"), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDifferent)
		Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
		spec.ManagementPolicy = ""
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
	})

	It("leaves a trail that was managed before as it is when the object is deleted, whatever deletionPolicy says",
		func(ctx context.Context) {
			for _, policy := range []v1alpha1.DeletionPolicy{v1alpha1.DeletionPolicyDelete, v1alpha1.DeletionPolicyRetain} {
				w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
				spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs", DeletionPolicy: policy}
				w.apply(ctx, "audit", spec)
				w.expectSettled(ctx, "audit", spec)
				spec.ManagementPolicy = v1alpha1.ManagementPolicyObserve
				w.apply(ctx, "audit", spec)
				before := w.held("audit")
				Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
				w.AWS.ResetCalls()
				w.look(ctx, "audit") //nolint:errcheck // It is gone after it.
				w.expectGone(ctx, "audit")
				Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
				Expect(w.held("audit")).To(Equal(before), "it goes on logging, and carries its owner tag")
			}
		})
})

var _ = Describe("A backup restored into a new cluster", func() {
	It("takes its trails back by --cluster-id, and not without", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.prepareResources()
		w.apply(ctx, "audit", rich)
		w.expectSettled(ctx, "audit", rich)

		By("losing the cluster: objects are restored without their status and finalizers")
		lost := w.get(ctx, "audit")
		lost.Finalizers = nil
		Expect(w.Client.Update(ctx, lost)).To(Succeed())
		Expect(w.Client.Delete(ctx, lost)).To(Succeed())
		w.expectGone(ctx, "audit")
		w.apply(ctx, "audit", rich)

		By("starting the operator with the new cluster's id")
		_, w.reconc = w.process("new-cluster", w.life)
		w.expectRefused(ctx, "audit", v1alpha1.ReasonOwnedByAnother)
		Expect(condition(w.get(ctx, "audit"), v1alpha1.ConditionReady).Message).
			To(ContainSubstring(w.owner("audit")), "the id to give is to be read there")

		By("starting it with the old one's")
		w.restart()
		w.AWS.ResetCalls()
		w.settle(ctx, "audit")
		Expect(writesOf(w.AWS.CallCounts())).
			NotTo(Or(HaveKey("CreateTrail"), HaveKey("DeleteTrail"), HaveKey("AddTags"), HaveKey("StopLogging")))
		w.expectSettled(ctx, "audit", rich)
		Expect(w.get(ctx, "audit").Status.LastDrift).To(BeNil())
	})
})

var _ = Describe("A trail that is taken over while its object is deleted", func() {
	It("is not touched, if it was taken before its owner was read", func(ctx context.Context) {
		for _, policy := range []v1alpha1.DeletionPolicy{v1alpha1.DeletionPolicyDelete, v1alpha1.DeletionPolicyRetain} {
			for at := 0; ; at++ {
				w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
				spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs", DeletionPolicy: policy}
				w.apply(ctx, "audit", spec)
				w.expectSettled(ctx, "audit", spec)
				Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
				w.restart()
				w.AWS.ResetCalls()
				var sent []string
				w.onSending(func(request *http.Request) {
					if len(sent) == at {
						w.takeOver("audit", someoneElse)
					}
					sent = append(sent, operationOf(request))
				})
				_, err := w.look(ctx, "audit")
				Expect(err).NotTo(HaveOccurred())
				w.expectGone(ctx, "audit")
				By(fmt.Sprintf("taking it over before call %d of %v", at, sent))
				if at == firstWrite(sent) {
					break // It was taken between the read of the owner and the write, which AWS gives no means against.
				}
				Expect(at).To(BeNumerically("<", len(sent)), "there is a write to get between")
				Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
				Expect(w.held("audit").Tags).To(HaveKeyWithValue(v1alpha1.OwnerTagKey, someoneElse))
			}
		}
	})

	It("is not touched, though what all share shows that it is still its own", func(ctx context.Context) {
		for _, policy := range []v1alpha1.DeletionPolicy{v1alpha1.DeletionPolicyDelete, v1alpha1.DeletionPolicyRetain} {
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs", DeletionPolicy: policy}
			w.apply(ctx, "audit", spec)
			w.expectSettled(ctx, "audit", spec)
			w.apply(ctx, "other", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
			Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())

			By("reading all trails for another object, a moment before this one is looked at")
			w.settle(ctx, "other")
			w.takeOver("audit", someoneElse)
			before := w.held("audit")
			w.AWS.ResetCalls()
			_, err := w.reconc.Reconcile(ctx,
				reconcile.Request{NamespacedName: client.ObjectKey{Namespace: w.Namespace, Name: "audit"}})
			Expect(err).NotTo(HaveOccurred())
			Expect(w.AWS.CallCounts()).
				To(Equal(map[string]int{"ListTags": 1}), "whose it is, is read right then, and nothing else is called")
			w.expectGone(ctx, "audit")
			Expect(w.held("audit")).To(Equal(before))
			Expect(w.DrainEvents()).To(ContainElement(HavePrefix("Warning Released")), "that the trail is left is told")
		}
	})
})

// firstWrite returns the place of the first write among the calls, -1 if there is none.
func firstWrite(operations []string) int {
	return slices.IndexFunc(operations,
		func(operation string) bool { return len(writesOf(map[string]int{operation: 1})) > 0 })
}

// Whatever happens to a trail, to its tags and to its objects in any order, the controller writes to no trail that is
// not its object's: looked at right before each of its writes. Each case is a seed: a failure is repeated by running
// its entry alone.
var _ = Describe("Random sequences of events around ownership", func() {
	const (
		seeds  = 60
		events = 24
	)
	for seed := range uint64(seeds) {
		It(fmt.Sprintf("lead to no write to a trail that is not ours, seed %d", seed), func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			s := &ownershipStory{world: w, random: rand.New(rand.NewPCG(seed, 2)), owned: map[types.UID]bool{}}
			w.onSending(func(request *http.Request) { s.witness(ctx, request) })
			for range events {
				event := pick(s.random, s.events()...)
				s.log = append(s.log, event.name)
				event.do(ctx)
				if s.random.IntN(5) > 0 {
					s.look(ctx)
					s.hidden = s.hidden && s.AWS.CallCounts()["ListTags"] < 2
					s.AWS.ResetCalls()
				}
				Expect(s.violations).To(BeEmpty(), "after %v", s.log)
			}
			s.end(ctx)
		})
	}
})

// ownershipStory is a random sequence of events around one trail and two objects that name it.
type ownershipStory struct {
	*world
	random     *rand.Rand
	log        []string
	violations []string
	// owned are the objects whose trail it was after a look.
	owned map[types.UID]bool
	// hidden says that the tags could not be read lately.
	hidden bool
}

type storyEvent struct {
	name string
	do   func(context.Context)
}

const storyTrail = "the-trail"

var storyObjects = []string{"first", "second"}

func (s *ownershipStory) events() []storyEvent {
	name := pick(s.random, storyObjects...)
	_, there := s.AWS.Trail(account, region, storyTrail)
	ifThere := func(do func()) func(context.Context) {
		return func(context.Context) {
			if there {
				do()
			}
		}
	}
	return []storyEvent{
		{"apply " + name, func(ctx context.Context) { s.applyRandom(ctx, name) }},
		{"apply " + name, func(ctx context.Context) { s.applyRandom(ctx, name) }},
		{"delete " + name, func(ctx context.Context) {
			object := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name}}
			Expect(client.IgnoreNotFound(s.Client.Delete(ctx, object))).To(Succeed())
		}},
		{"somebody takes the trail", ifThere(func() { s.takeOver(storyTrail, someoneElse) })},
		{"somebody removes the owner tag", ifThere(func() { s.takeOver(storyTrail, "") })},
		{"somebody gives the trail to " + name, ifThere(func() { s.takeOver(storyTrail, s.owner(name)) })},
		{
			"somebody stops the trail",
			ifThere(func() { s.do(s.intruder(), "StopLogging", map[string]any{"Name": storyTrail}) }),
		},
		{
			"somebody deletes the trail",
			ifThere(func() { s.do(s.intruder(), "DeleteTrail", map[string]any{"Name": storyTrail}) }),
		},
		{"somebody creates the trail", func(context.Context) {
			if !there {
				s.make(storyTrail, pick(s.random, "", someoneElse))
			}
		}},
		{"the tags cannot be read", func(context.Context) {
			s.hidden = true
			s.AWS.Inject(cloudtrailtest.Fault{
				Operation: "ListTags",
				Times:     2,
				Code:      pick(s.random, "AccessDeniedException", "ConflictException"),
				Message:   "No.",
			})
		}},
		{"the operator restarts", func(context.Context) { s.restart() }},
	}
}

func (s *ownershipStory) applyRandom(ctx context.Context, name string) {
	GinkgoHelper()
	if object, there := s.object(ctx, name); there && !object.DeletionTimestamp.IsZero() {
		return
	}
	spec := v1alpha1.TrailSpec{
		Name:         storyTrail,
		S3BucketName: pick(s.random, "one-bucket", "other-bucket"),
		S3KeyPrefix:  pick(s.random, "", "audit"),
		AdoptionPolicy: pick(s.random, v1alpha1.AdoptionPolicyNever,
			v1alpha1.AdoptionPolicyIfUnowned, v1alpha1.AdoptionPolicyAlways),
		DeletionPolicy:   pick(s.random, v1alpha1.DeletionPolicyDelete, v1alpha1.DeletionPolicyRetain),
		ManagementPolicy: pick(s.random, "", "", v1alpha1.ManagementPolicyManage, v1alpha1.ManagementPolicyObserve),
		Logging:          pick(s.random, nil, falsy()),
	}
	if s.random.IntN(2) == 0 {
		spec.Tags = []v1alpha1.Tag{{Key: pick(s.random, "team", "stage"), Value: "x"}}
	}
	if s.random.IntN(3) == 0 {
		spec.EventSelectors = []v1alpha1.EventSelector{{ReadWriteType: v1alpha1.WriteOnly}}
	}
	s.apply(ctx, name, spec)
}

func (s *ownershipStory) object(ctx context.Context, name string) (*v1alpha1.Trail, bool) {
	GinkgoHelper()
	object := &v1alpha1.Trail{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, object)
	if apierrors.IsNotFound(err) {
		return nil, false
	}
	Expect(err).NotTo(HaveOccurred())
	return object, true
}

// look makes the controller look at both objects. That a look fails is the queue's matter, which would look again.
func (s *ownershipStory) look(ctx context.Context) {
	for _, name := range storyObjects {
		s.world.look(ctx, name) //nolint:errcheck // The trail is not ours any more.
		held, _ := s.AWS.Trail(account, region, storyTrail)
		if object, there := s.object(ctx, name); there && held.Tags[v1alpha1.OwnerTagKey] == s.owner(name) {
			s.owned[object.UID] = true
		}
	}
}

// witness stands at the controller's way to AWS and says which calls it must not make: it looks at the trail's owner
// right then.
func (s *ownershipStory) witness(ctx context.Context, request *http.Request) {
	operation := operationOf(request)
	if operation == "STS" || operation == "CreateTrail" || len(writesOf(map[string]int{operation: 1})) == 0 {
		return // AWS refuses to create a trail that is there.
	}
	agent := request.Header.Get("User-Agent")
	_, actor, _ := strings.Cut(agent, "("+s.Namespace+"/")
	object, there := s.object(ctx, strings.TrimSuffix(actor, ")"))
	if !there {
		s.violations = append(s.violations, fmt.Sprintf("%s for an object that is gone (%s)", operation, agent))
		return
	}
	held, _ := s.AWS.Trail(account, region, storyTrail)
	has, owner := held.Tags[v1alpha1.OwnerTagKey], s.owner(object.Name)
	policy := object.Spec.Adoption()
	adopts := has == "" && policy != v1alpha1.AdoptionPolicyNever || policy == v1alpha1.AdoptionPolicyAlways
	switch {
	case object.Spec.ObserveOnly():
		s.violations = append(s.violations, operation+" for an object that only observes")
	case has == owner:
	case has == "" && object.Status.TrailARN == held.ARN && s.owned[object.UID]:
		// It was the object's: that somebody has removed the tag, or created the trail anew, does not change that.
	case operation == "StartLogging" && s.owned[object.UID] && s.hidden:
		// Nobody may keep an audit trail stopped by hiding whose it is.
	case operation == "AddTags" && adopts && object.DeletionTimestamp.IsZero() && setsOwner(request, owner):
	default:
		s.violations = append(s.violations,
			fmt.Sprintf("%s for %s (adoptionPolicy %s) while the owner is %q", operation, owner, policy, has))
	}
}

// setsOwner tells whether an AddTags sets the owner tag to this.
func setsOwner(request *http.Request, owner string) bool {
	GinkgoHelper()
	body, err := io.ReadAll(request.Body)
	Expect(err).NotTo(HaveOccurred())
	request.Body = io.NopCloser(bytes.NewReader(body))
	var in struct{ TagsList []v1alpha1.Tag }
	Expect(json.Unmarshal(body, &in)).To(Succeed())
	return slices.Contains(in.TagsList, v1alpha1.Tag{Key: v1alpha1.OwnerTagKey, Value: owner})
}

// end deletes both objects, which must go, and leave no trail that is theirs.
func (s *ownershipStory) end(ctx context.Context) {
	GinkgoHelper()
	s.AWS.ClearFaults()
	s.Clock.Add(time.Hour)
	before, _ := s.AWS.Trail(account, region, storyTrail)
	for _, name := range storyObjects {
		if object, there := s.object(ctx, name); there {
			if object.DeletionTimestamp.IsZero() {
				spec := object.Spec
				spec.ManagementPolicy, spec.DeletionPolicy = v1alpha1.ManagementPolicyManage, v1alpha1.DeletionPolicyDelete
				s.apply(ctx, name, spec)
			}
			Expect(s.Client.Delete(ctx, object)).To(Succeed())
		}
	}
	for range 4 {
		s.look(ctx)
	}
	Expect(s.violations).To(BeEmpty(), "after %v", s.log)
	for _, name := range storyObjects {
		s.expectGone(ctx, name)
	}
	if has := before.Tags[v1alpha1.OwnerTagKey]; has == someoneElse || before.ARN != "" && has == "" {
		Expect(s.held(storyTrail)).To(Equal(before), "what was not ours is as it was, after %v", s.log)
	}
}
