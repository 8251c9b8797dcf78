package accountcoverage_test

import (
	"context"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/accountcoverage"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// run starts this controller and that of identities, as the operator does, and lets the clock run.
func (w *world) run(ctx context.Context) {
	GinkgoHelper()
	w.StartManager(ctx, w.ManagerOptions(), func(manager ctrl.Manager) {
		accounts := w.options()
		accounts.Client = manager.GetClient()
		reconciler, err := accountcoverage.New(accounts)
		Expect(err).NotTo(HaveOccurred())
		Expect(reconciler.SetupWithManager(manager)).To(Succeed())

		identities, err := awsidentity.New(awsidentity.Options{
			Client: manager.GetClient(), Trails: w.Client, Recorder: w.Events, Sessions: w.sessions, Now: w.Clock.Now,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(identities.SetupWithManager(manager)).To(Succeed())
	})
}

// condition returns the status of a condition, "" for none.
func condition(identity *v1alpha1.AWSIdentity, conditionType string) metav1.ConditionStatus {
	if found := meta.FindStatusCondition(identity.Status.Conditions, conditionType); found != nil {
		return found.Status
	}
	return ""
}

// edit changes an identity without a lock, as kubectl does.
func (w *world) edit(ctx context.Context, identity *v1alpha1.AWSIdentity, change func(*v1alpha1.AWSIdentity)) {
	GinkgoHelper()
	before := w.get(ctx, identity)
	after := before.DeepCopy()
	change(after)
	Expect(w.Client.Patch(ctx, after, client.MergeFrom(before))).To(Succeed())
}

var _ = Describe("The running controllers", func() {
	It("both write the status, and keep what is the other's", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.trail(account, region, "audit", nil)
		w.run(ctx)
		identities := make([]*v1alpha1.AWSIdentity, 20)
		for i := range identities {
			identities[i] = w.identity(ctx, v1alpha1.AWSIdentitySpec{})
		}
		settled := func() {
			GinkgoHelper()
			for _, identity := range identities {
				Eventually(func(g Gomega) {
					found := w.get(ctx, identity)
					g.Expect(condition(found, v1alpha1.ConditionReady)).To(Equal(metav1.ConditionTrue))
					g.Expect(condition(found, v1alpha1.ConditionRecorded)).To(Equal(metav1.ConditionTrue))
					g.Expect(found.Status.Coverage).NotTo(BeNil())
					g.Expect(found.Status.AccountID).To(Equal(account))
					g.Expect(found.Status.ObservedGeneration).To(Equal(found.Generation))
					g.Expect(recordedOf(found).ObservedGeneration).To(Equal(found.Generation))
					g.Expect(found.Status.LastHandledReconcileAt).To(Equal(v1alpha1.ReconcileRequest(found)))
				}).WithContext(ctx).WithTimeout(soon).Should(Succeed(), "each controller writes what is its own")
			}
		}
		settled()

		for round := range 5 { // Both begin at the same moment.
			for _, identity := range identities {
				w.edit(ctx, identity, func(i *v1alpha1.AWSIdentity) {
					i.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: strconv.Itoa(round)}
					i.Spec.AllowedRegions = []string{region, "eu-west-" + strconv.Itoa(1+round)}
				})
			}
			settled()
		}

		for _, identity := range identities {
			w.edit(ctx, identity, func(i *v1alpha1.AWSIdentity) { i.Spec.AssessCoverage = new(false) })
		}
		for _, identity := range identities {
			Eventually(func(g Gomega) {
				found := w.get(ctx, identity)
				g.Expect(condition(found, v1alpha1.ConditionRecorded)).To(BeEmpty())
				g.Expect(found.Status.Coverage).To(BeNil())
				g.Expect(found.Status.ObservedGeneration).To(Equal(found.Generation))
				g.Expect(condition(found, v1alpha1.ConditionReady)).To(Equal(metav1.ConditionTrue))
			}).WithContext(ctx).WithTimeout(soon).Should(Succeed(), "nothing is left of what nobody asks for")
		}
	})

	It("assess an account anew when a Trail of the identity turns, is changed or goes", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		arn := w.trail(account, region, "audit", nil)
		identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{})
		object := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "audit"}}
		object.Spec = v1alpha1.TrailSpec{
			S3BucketName: "trail-logs", IdentityRef: &v1alpha1.IdentityReference{Name: identity.Name},
		}
		Expect(w.Client.Create(ctx, object)).To(Succeed())
		w.run(ctx)
		becomes := func(want metav1.ConditionStatus) {
			GinkgoHelper()
			Eventually(func() metav1.ConditionStatus {
				return condition(w.get(ctx, identity), v1alpha1.ConditionRecorded)
			}).WithContext(ctx).WithTimeout(soon).Should(Equal(want), "what has changed is looked at when it has settled")
		}
		becomes(metav1.ConditionTrue)

		By("turning")
		w.Clock.Add(2 * time.Minute) // Since the last assessment.
		w.do(account, region, "StopLogging", map[string]any{"Name": arn})
		turned := object.DeepCopy()
		turned.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionLogging, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonStopped,
			LastTransitionTime: metav1.Now(),
		}}
		Expect(w.Client.Status().Patch(ctx, turned, client.MergeFrom(object))).To(Succeed())
		becomes(metav1.ConditionFalse)

		By("changing")
		w.Clock.Add(2 * time.Minute)
		w.do(account, region, "StartLogging", map[string]any{"Name": arn})
		changed := turned.DeepCopy()
		changed.Spec.Logging = new(true)
		Expect(w.Client.Patch(ctx, changed, client.MergeFrom(turned))).To(Succeed())
		becomes(metav1.ConditionTrue)

		By("going")
		w.Clock.Add(2 * time.Minute)
		w.do(account, region, "DeleteTrail", map[string]any{"Name": arn})
		Expect(w.Client.Delete(ctx, changed)).To(Succeed())
		becomes(metav1.ConditionFalse)
	})

	It("assess members anew when their owner's identity has something new to say", func(ctx context.Context) {
		const management, member = "888877776666", "444455556666"
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.AWS.SetOrganization(cloudtrailtest.Organization{
			ID: "o-exampleorgid", ManagementAccount: management, Members: []string{member},
		})
		arn := w.trail(management, region, "org", map[string]any{"IsOrganizationTrail": true})
		w.selects(management, region, arn, advancedAll)
		w.run(ctx)
		of := w.identity(ctx, v1alpha1.AWSIdentitySpec{RoleARN: roleIn(member)})
		becomes := func(want metav1.ConditionStatus) {
			GinkgoHelper()
			Eventually(func() metav1.ConditionStatus {
				return condition(w.get(ctx, of), v1alpha1.ConditionRecorded)
			}).WithContext(ctx).WithTimeout(soon).Should(Equal(want), "the member hears of it")
		}
		becomes(metav1.ConditionUnknown)

		w.Clock.Add(2 * time.Minute)
		owner := w.identity(ctx, v1alpha1.AWSIdentitySpec{RoleARN: roleIn(management)})
		becomes(metav1.ConditionTrue)

		w.Clock.Add(2 * time.Minute)
		w.selects(management, region, arn, withoutKMS)
		w.edit(ctx, owner, func(i *v1alpha1.AWSIdentity) {
			i.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
		})
		becomes(metav1.ConditionFalse)
	})
})
