package awsidentity_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/trail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

const (
	hub  = testbed.Account
	role = "arn:aws:iam::444455556666:role/trail-operator"
	// soon is how long anything may take that a watch brings about.
	soon = 30 * time.Second
)

var restConfig *rest.Config

func TestAWSIdentity(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "AWSIdentity controller")
}

var _ = BeforeSuite(func() {
	restConfig = testbed.Start()
})

// world is a world with a controller, which works when the test says so. The identity has the namespace's name.
type world struct {
	*testbed.World
	sessions *cloudtrail.Sessions
	reconc   reconcile.Reconciler
	// asked counts the calls to STS.
	asked atomic.Int32
}

func newWorld(ctx context.Context, options cloudtrailtest.Options) *world {
	GinkgoHelper()
	options.OpenResources, options.NoRateLimit = true, true
	w := &world{}
	w.World = testbed.NewWorld(ctx, restConfig, testbed.WorldOptions{AWS: options, Received: func(r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "" {
			w.asked.Add(1)
		}
	}})
	w.sessions = w.newSessions(testbed.AnswerTimeout)
	reconciler, err := awsidentity.New(w.options(w.Client, w.Events))
	Expect(err).NotTo(HaveOccurred())
	w.reconc = reconcile.AsReconciler(w.Client, reconciler)
	return w
}

// newSessions returns sessions of which none is open. A reconcile waits for so long for an answer of AWS; 0: as long as
// in the operator.
func (w *world) newSessions(maxWait time.Duration) *cloudtrail.Sessions {
	return w.NewSessions(func(o *cloudtrail.Options) {
		o.Config.Retryer = func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), 1) }
		o.MaxWait = maxWait
	})
}

func (w *world) options(c client.Client, recorder events.EventRecorder) awsidentity.Options {
	return awsidentity.Options{Client: c, Trails: w.Client, Recorder: recorder, Sessions: w.sessions, Now: w.Clock.Now}
}

// apply creates the identity with this spec, or changes its spec.
func (w *world) apply(ctx context.Context, spec v1alpha1.AWSIdentitySpec) {
	GinkgoHelper()
	if spec.AllowedNamespaces == nil {
		spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}
	}
	identity := &v1alpha1.AWSIdentity{}
	err := w.Client.Get(ctx, client.ObjectKey{Name: w.Namespace}, identity)
	if apierrors.IsNotFound(err) {
		identity = &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}, Spec: spec}
		Expect(w.Client.Create(ctx, identity)).To(Succeed())
		testbed.ExpectKstatus(identity, status.InProgressStatus)
		return
	}
	Expect(err).NotTo(HaveOccurred())
	before := identity.DeepCopy()
	identity.Spec = spec
	// No lock, as kubectl apply has none: a controller at work writes in between.
	Expect(w.Client.Patch(ctx, identity, client.MergeFrom(before))).To(Succeed())
}

func (w *world) get(ctx context.Context) *v1alpha1.AWSIdentity {
	GinkgoHelper()
	identity := &v1alpha1.AWSIdentity{}
	Expect(w.Client.Get(ctx, client.ObjectKey{Name: w.Namespace}, identity)).To(Succeed())
	return identity
}

func (w *world) look(ctx context.Context) (reconcile.Result, error) {
	return w.reconc.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKey{Name: w.Namespace}})
}

// settle looks, which must succeed, and returns the identity as it is then. A second look finds nothing to write.
func (w *world) settle(ctx context.Context) *v1alpha1.AWSIdentity {
	GinkgoHelper()
	_, err := w.look(ctx)
	Expect(err).NotTo(HaveOccurred())
	found := w.get(ctx)
	_, err = w.look(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(w.get(ctx).ResourceVersion).To(Equal(found.ResourceVersion), "what has not changed is not written")
	return found
}

// trail creates a Trail that uses an identity.
func (w *world) trail(ctx context.Context, name, identity string) *v1alpha1.Trail {
	GinkgoHelper()
	object := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
	object.Spec = v1alpha1.TrailSpec{S3BucketName: "trail-logs", IdentityRef: &v1alpha1.IdentityReference{Name: identity}}
	Expect(w.Client.Create(ctx, object)).To(Succeed())
	return object
}

func expectReady(identity *v1alpha1.AWSIdentity, want metav1.ConditionStatus, reason string) string {
	GinkgoHelper()
	found := meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionReady)
	Expect(found).NotTo(BeNil())
	Expect(found.Status).To(Equal(want), "%s: %s", found.Reason, found.Message)
	Expect(found.Reason).To(Equal(reason), found.Message)
	Expect(found.ObservedGeneration).To(Equal(identity.Generation))
	return found.Message
}

var _ = Describe("An identity", func() {
	It("shows whom AWS takes it for: the operator itself", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.apply(ctx, v1alpha1.AWSIdentitySpec{})
		found := w.settle(ctx)
		testbed.ExpectKstatus(found, status.CurrentStatus)
		Expect(found.Status.AccountID).To(Equal(hub))
		Expect(found.Status.ARN).To(Equal("arn:aws:iam::111122223333:user/operator"))
		Expect(expectReady(found, metav1.ConditionTrue, v1alpha1.ReasonAvailable)).To(ContainSubstring(found.Status.ARN))
		Expect(w.AWS.CallCounts()).To(Equal(map[string]int{"GetCallerIdentity": 2}))
	})

	It("shows whom AWS takes it for: a role, whose session names the cluster", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role})
		found := w.settle(ctx)
		testbed.ExpectKstatus(found, status.CurrentStatus)
		Expect(found.Status.AccountID).To(Equal("444455556666"))
		Expect(found.Status.ARN).
			To(Equal("arn:aws:sts::444455556666:assumed-role/trail-operator/trail-operator-test-cluster"))
		Expect(w.DrainEvents()).To(ConsistOf(HavePrefix("Normal Available ")))
	})

	It("warns when nobody may use it", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
		Expect(w.Client.Create(ctx, identity)).To(Succeed())
		Expect(expectReady(w.settle(ctx), metav1.ConditionTrue, v1alpha1.ReasonAvailable)).
			To(ContainSubstring("no namespace may use it until spec.allowedNamespaces allows some"))
	})

	Describe("that AWS refuses", func() {
		tags := []v1alpha1.SessionTag{{Key: "cluster", Value: "test"}}
		for name, c := range map[string]struct {
			role     *cloudtrailtest.Role // nil: there is none.
			spec     v1alpha1.AWSIdentitySpec
			messages []string
			// repair is what an administrator then does in AWS.
			repair cloudtrailtest.Role
		}{
			"there is no such role": {
				nil, v1alpha1.AWSIdentitySpec{RoleARN: role},
				[]string{
					"sts:AssumeRole", "check that role " + role + " exists",
					"arn:aws:iam::111122223333:user/operator", "trust policy",
				},
				cloudtrailtest.Role{ARN: role},
			},
			"the role does not trust the operator": {
				&cloudtrailtest.Role{ARN: role, TrustedPrincipals: []string{"999999999999"}},
				v1alpha1.AWSIdentitySpec{RoleARN: role},
				[]string{"its trust policy allows the operator's own identity"},
				cloudtrailtest.Role{ARN: role, TrustedPrincipals: []string{hub}},
			},
			"the external id is wrong": {
				&cloudtrailtest.Role{ARN: role, ExternalID: "another"},
				v1alpha1.AWSIdentitySpec{RoleARN: role, ExternalID: "9f1c2d"},
				[]string{"with the external ID in the spec"},
				cloudtrailtest.Role{ARN: role, ExternalID: "9f1c2d"},
			},
			"the role's trust policy knows no tags": {
				&cloudtrailtest.Role{ARN: role, DenyTagSession: true},
				v1alpha1.AWSIdentitySpec{RoleARN: role, SessionTags: tags},
				[]string{"with sts:TagSession"},
				cloudtrailtest.Role{ARN: role},
			},
		} {
			It("says what to do, and heals when it is done: "+name, func(ctx context.Context) {
				w := newWorld(ctx, cloudtrailtest.Options{RegisteredRolesOnly: true})
				if c.role != nil {
					w.AWS.AddRole(*c.role)
				}
				w.apply(ctx, c.spec)
				found := w.settle(ctx)
				message := expectReady(found, metav1.ConditionFalse, "AccessDenied")
				for _, words := range c.messages {
					Expect(message).To(ContainSubstring(words))
				}
				testbed.ExpectKstatus(found, status.InProgressStatus)
				Expect(found.Status.AccountID).To(BeEmpty())
				Expect(w.DrainEvents()).To(ConsistOf(HavePrefix("Warning AccessDenied ")))
				refused := time.Now()
				for lasted, wait := range map[time.Duration]time.Duration{
					0: 5 * time.Second, 10 * time.Minute: 150 * time.Second, 24 * time.Hour: 5 * time.Minute,
				} {
					w.Clock.Set(refused.Add(lasted))
					result, err := w.look(ctx)
					Expect(err).NotTo(HaveOccurred())
					Expect(result.RequeueAfter).To(BeNumerically("~", wait, 5*time.Second),
						"the repair is noticed by itself, also after %s", lasted)
				}

				w.AWS.AddRole(c.repair)
				found = w.settle(ctx)
				expectReady(found, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
				testbed.ExpectKstatus(found, status.CurrentStatus)
				Expect(found.Status.AccountID).To(Equal("444455556666"))
			})
		}
	})

	It("passes external id and session tags to AssumeRole, and only where the spec has them", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.apply(ctx, v1alpha1.AWSIdentitySpec{
			RoleARN:     role,
			ExternalID:  "9f1c2d",
			SessionTags: []v1alpha1.SessionTag{{Key: "cluster", Value: "test"}, {Key: "empty"}},
		})
		w.settle(ctx)
		assumed := func() map[string]any {
			GinkgoHelper()
			for _, call := range w.AWS.Calls() {
				if call.Operation == "AssumeRole" {
					return call.Params
				}
			}
			Fail("no AssumeRole")
			return nil
		}
		Expect(assumed()).To(And(
			HaveKeyWithValue("RoleArn", role),
			HaveKeyWithValue("ExternalId", "9f1c2d"),
			HaveKeyWithValue("RoleSessionName", "trail-operator-test-cluster"),
			HaveKeyWithValue("Tags.member.1.Key", "cluster"),
			HaveKeyWithValue("Tags.member.1.Value", "test"),
			HaveKeyWithValue("Tags.member.2.Key", "empty"),
		))
		w.AWS.ResetCalls()
		w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role})
		w.settle(ctx)
		Expect(assumed()).NotTo(Or(HaveKey("ExternalId"), HaveKey("Tags.member.1.Key")))
	})

	It("is checked again, as a role can be withdrawn behind our back", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role})
		w.settle(ctx)
		result, err := w.look(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeNumerically(">", time.Minute), "but not often")
		w.AWS.Inject(cloudtrailtest.Fault{
			Operation: "GetCallerIdentity",
			Code:      "ExpiredToken",
			Message:   "The security token included in the request is expired",
		})
		expectReady(w.settle(ctx), metav1.ConditionFalse, "ExpiredToken")
		w.AWS.ClearFaults()
		expectReady(w.settle(ctx), metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	})

	It("gets new credentials when AWS does not accept those of a role, and nobody notices", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role})
		found := w.settle(ctx)
		w.DrainEvents()
		calls := w.AWS.Calls()
		w.AWS.DeleteCredentials(calls[len(calls)-1].AccessKeyID)
		w.AWS.ResetCalls()
		_, err := w.look(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(w.AWS.CallCounts()).To(Equal(map[string]int{"GetCallerIdentity": 1, "AssumeRole": 1}))
		Expect(w.get(ctx).ResourceVersion).To(Equal(found.ResourceVersion))
		Expect(w.DrainEvents()).To(BeEmpty())
	})

	It("shows the account that a changed role leads to", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role})
		w.settle(ctx)
		w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: "arn:aws:iam::777788889999:role/trail-operator"})
		testbed.ExpectKstatus(w.get(ctx), status.InProgressStatus)
		found := w.settle(ctx)
		Expect(found.Status.AccountID).To(Equal("777788889999"))
		testbed.ExpectKstatus(found, status.CurrentStatus)
	})

	It("is tried again after a passing fault, which is shown of a new identity only", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		fault := cloudtrailtest.Fault{
			Operation: "GetCallerIdentity",
			Code:      "ServiceUnavailable",
			Message:   "Try again.",
			Status:    503,
		}
		w.AWS.Inject(fault)
		w.apply(ctx, v1alpha1.AWSIdentitySpec{})
		_, err := w.look(ctx)
		Expect(err).To(MatchError(ContainSubstring("ServiceUnavailable")), "the queue tries again")
		found := w.get(ctx)
		expectReady(found, metav1.ConditionFalse, "ServiceUnavailable")
		Expect(meta.IsStatusConditionTrue(found.Status.Conditions, v1alpha1.ConditionReconciling)).To(BeTrue())
		testbed.ExpectKstatus(found, status.InProgressStatus)
		w.AWS.ClearFaults()
		found = w.settle(ctx)
		testbed.ExpectKstatus(found, status.CurrentStatus)
		Expect(meta.FindStatusCondition(found.Status.Conditions, v1alpha1.ConditionReconciling)).To(BeNil())

		w.AWS.Inject(fault)
		_, err = w.look(ctx)
		Expect(err).To(HaveOccurred())
		Expect(w.get(ctx).ResourceVersion).To(Equal(found.ResourceVersion))
	})

	It("echoes a reconcile annotation when it has looked", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.apply(ctx, v1alpha1.AWSIdentitySpec{})
		w.settle(ctx)
		for _, annotation := range []string{v1alpha1.AnnotationReconcileAt, v1alpha1.AnnotationFluxReconcileAt} {
			identity := w.get(ctx)
			identity.Annotations = map[string]string{annotation: "now " + annotation}
			Expect(w.Client.Update(ctx, identity)).To(Succeed())
			Expect(w.settle(ctx).Status.LastHandledReconcileAt).To(Equal("now " + annotation))
		}
	})

	It("is checked with new credentials, also right after it was opened when a reconcile annotation asks for it",
		func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{})
			w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role})
			_, err := w.look(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(w.AWS.CallCounts()).
				To(Equal(map[string]int{"GetCallerIdentity": 1, "AssumeRole": 1}), "to open it is to check it")

			w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role, ExternalID: "9f1c2d"})
			identity := w.get(ctx)
			identity.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
			Expect(w.Client.Update(ctx, identity)).To(Succeed())
			w.AWS.ResetCalls()
			_, err = w.look(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(w.AWS.CallCounts()).
				To(Equal(map[string]int{"GetCallerIdentity": 2, "AssumeRole": 2}), "opened, and checked as asked for")

			w.AWS.ResetCalls()
			_, err = w.look(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(w.AWS.CallCounts()).To(Equal(map[string]int{"GetCallerIdentity": 1, "AssumeRole": 1}), "once")
		})

	It("is kept while Trails use it, and names them", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.apply(ctx, v1alpha1.AWSIdentitySpec{})
		w.settle(ctx)
		var trails []*v1alpha1.Trail
		for i := range 7 {
			trails = append(trails, w.trail(ctx, fmt.Sprintf("trail-%d", i), w.Namespace))
		}
		w.trail(ctx, "of-another", "another-identity")
		Expect(w.Client.Delete(ctx, w.get(ctx))).To(Succeed())
		found := w.settle(ctx)
		testbed.ExpectKstatus(found, status.TerminatingStatus)
		Expect(expectReady(found, metav1.ConditionFalse, v1alpha1.ReasonInUse)).To(And(
			ContainSubstring(w.Namespace+"/trail-0, "),
			ContainSubstring(w.Namespace+"/trail-4 and 2 more"),
			Not(ContainSubstring("of-another")),
		))
		for _, one := range trails[:6] {
			Expect(w.Client.Delete(ctx, one)).To(Succeed())
		}
		Expect(expectReady(w.settle(ctx), metav1.ConditionFalse, v1alpha1.ReasonInUse)).
			To(HaveSuffix(": " + w.Namespace + "/trail-6"))
		deleted := time.Now()
		for lasted, wait := range map[time.Duration]time.Duration{0: 5 * time.Second, 24 * time.Hour: 5 * time.Minute} {
			w.Clock.Set(deleted.Add(lasted))
			result, err := w.look(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(result.RequeueAfter).To(Equal(wait), "a Trail that nobody watches wakes nobody")
		}
		Expect(w.Client.Delete(ctx, trails[6])).To(Succeed())
		_, err := w.look(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(
			apierrors.IsNotFound(w.Client.Get(ctx, client.ObjectKey{Name: w.Namespace}, &v1alpha1.AWSIdentity{})),
		).To(BeTrue())
	})

	It("goes even if AWS does not know it any more", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{RegisteredRolesOnly: true})
		w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role})
		w.settle(ctx)
		Expect(w.Client.Delete(ctx, w.get(ctx))).To(Succeed())
		_, err := w.look(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(
			apierrors.IsNotFound(w.Client.Get(ctx, client.ObjectKey{Name: w.Namespace}, &v1alpha1.AWSIdentity{})),
		).To(BeTrue())
	})
})

// start runs the controllers of identities and Trails as the operator does.
func (w *world) start(ctx context.Context) {
	GinkgoHelper()
	w.sessions = w.newSessions(0)
	w.StartManager(ctx, w.ManagerOptions(), func(manager ctrl.Manager) {
		identities, err := awsidentity.New(w.options(manager.GetClient(), manager.GetEventRecorder("trail-operator")))
		Expect(err).NotTo(HaveOccurred())
		Expect(identities.SetupWithManager(manager)).To(Succeed())
		trails, err := trail.New(trail.Options{
			Client:    manager.GetClient(),
			Live:      manager.GetAPIReader(),
			Recorder:  manager.GetEventRecorder("trail-operator"),
			Sessions:  w.sessions,
			ClusterID: testbed.ClusterID,
			Interval:  time.Hour,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(trails.SetupWithManager(ctx, manager, 4)).To(Succeed())
	})
}

// ready waits for the reason of the identity's Ready.
func (w *world) ready(ctx context.Context, reason string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		ready := meta.FindStatusCondition(w.get(ctx).Status.Conditions, v1alpha1.ConditionReady)
		g.Expect(ready).NotTo(BeNil())
		g.Expect(ready.Reason).To(Equal(reason))
	}).WithContext(ctx).WithTimeout(soon).Should(Succeed(), "the identity is reconciled when it changes")
}

// reason waits for the reason of a Trail's Ready.
func (w *world) reason(ctx context.Context, name, reason string) *v1alpha1.Trail {
	GinkgoHelper()
	object := &v1alpha1.Trail{}
	Eventually(func(g Gomega) {
		g.Expect(w.Client.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: name}, object)).To(Succeed())
		ready := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReady)
		g.Expect(ready).NotTo(BeNil())
		g.Expect(ready.Reason).To(Equal(reason))
	}).WithContext(ctx).WithTimeout(soon).Should(Succeed(), "the Trail is looked at when its identity changes")
	return object
}

var _ = Describe("The running controllers", func() {
	It("look at Trails again when their identity changes, and let it go when none names it any more",
		func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{RegisteredRolesOnly: true})
			w.start(ctx)
			w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role, ExternalID: "wrong"})
			w.AWS.AddRole(cloudtrailtest.Role{ARN: role, ExternalID: "9f1c2d"})
			w.trail(ctx, "audit", w.Namespace)
			w.reason(ctx, "audit", "AccessDenied")

			w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role, ExternalID: "9f1c2d"})
			object := w.reason(ctx, "audit", v1alpha1.ReasonAvailable)
			Expect(object.Status.AccountID).To(Equal("444455556666"))

			w.AWS.AddRole(cloudtrailtest.Role{ARN: "arn:aws:iam::777788889999:role/trail-operator"})
			w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: "arn:aws:iam::777788889999:role/trail-operator"})
			w.reason(ctx, "audit", v1alpha1.ReasonAccountChanged)

			others := &v1alpha1.AllowedNamespaces{
				From:     v1alpha1.NamespacesFromSelector,
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "other"}},
			}
			w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role, ExternalID: "9f1c2d", AllowedNamespaces: others})
			w.reason(ctx, "audit", v1alpha1.ReasonNamespaceNotAllowed)
			w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role, ExternalID: "9f1c2d"})
			object = w.reason(ctx, "audit", v1alpha1.ReasonAvailable)

			Expect(w.Client.Delete(ctx, w.get(ctx))).To(Succeed())
			w.ready(ctx, v1alpha1.ReasonInUse)

			By("naming another identity in the Trail")
			next := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace + "-next"}}
			next.Spec = v1alpha1.AWSIdentitySpec{
				RoleARN:           role,
				ExternalID:        "9f1c2d",
				AllowedNamespaces: &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll},
			}
			Expect(w.Client.Create(ctx, next)).To(Succeed())
			before := object.DeepCopy()
			object.Spec.IdentityRef.Name = next.Name
			Expect(w.Client.Patch(ctx, object, client.MergeFrom(before))).To(Succeed())
			gone := func(name string) func() bool {
				return func() bool {
					return apierrors.IsNotFound(w.Client.Get(ctx, client.ObjectKey{Name: name}, &v1alpha1.AWSIdentity{}))
				}
			}
			Eventually(
				gone(w.Namespace),
			).WithContext(ctx).
				WithTimeout(soon).
				Should(BeTrue(), "nobody uses the first one any more")
			w.reason(ctx, "audit", v1alpha1.ReasonAvailable)

			By("deleting both together: the Trail goes first")
			Expect(w.Client.Delete(ctx, next)).To(Succeed())
			Expect(w.Client.Delete(ctx, object)).To(Succeed())
			Eventually(gone(next.Name)).WithContext(ctx).WithTimeout(soon).Should(BeTrue(), "it goes with its last Trail")
			Expect(w.AWS.Trails()).To(BeEmpty(), "the trail could be deleted by its identity")
		})
})

var _ = Describe("The running controller of identities", func() {
	It("checks an identity at once when a reconcile annotation asks for it", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.start(ctx)
		w.apply(ctx, v1alpha1.AWSIdentitySpec{RoleARN: role})
		w.ready(ctx, v1alpha1.ReasonAvailable)
		w.AWS.ResetCalls()
		identity := w.get(ctx)
		before := identity.DeepCopy()
		identity.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
		Expect(w.Client.Patch(ctx, identity, client.MergeFrom(before))).To(Succeed())
		Eventually(func() string { return w.get(ctx).Status.LastHandledReconcileAt }).WithContext(ctx).WithTimeout(soon).
			Should(Equal("now"), "the annotation wakes the controller")
		Expect(w.AWS.CallCounts()).To(HaveKeyWithValue("AssumeRole", 1))
	})

	It("checks other identities while STS does not answer for some", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "AssumeRole", Latency: time.Hour})
		var hanging []*v1alpha1.AWSIdentity
		for i := range 100 { // More than there are workers.
			identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", w.Namespace, i)}}
			identity.Spec.RoleARN = role
			Expect(w.Client.Create(ctx, identity)).To(Succeed())
			hanging = append(hanging, identity)
		}
		w.start(ctx)
		Eventually(w.asked.Load).WithContext(ctx).WithTimeout(soon).
			Should(BeNumerically(">=", len(hanging)), "they are all on their way")

		w.apply(ctx, v1alpha1.AWSIdentitySpec{})
		w.ready(ctx, v1alpha1.ReasonAvailable)
		for _, identity := range hanging {
			Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(identity), identity)).To(Succeed())
			Expect(identity.Status.Conditions).To(BeEmpty(), "nothing is known of them yet")
			Expect(w.Client.Delete(ctx, identity)).To(Succeed())
		}
		for _, identity := range hanging {
			Eventually(func() bool {
				return apierrors.IsNotFound(w.Client.Get(ctx, client.ObjectKeyFromObject(identity), identity))
			}).WithContext(ctx).WithTimeout(soon).Should(BeTrue(), "they can be deleted all the same")
		}
	})

	It("lets an identity go when its last user was a Trail that it does not watch", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.start(ctx)
		w.apply(ctx, v1alpha1.AWSIdentitySpec{})
		w.ready(ctx, v1alpha1.ReasonAvailable)
		elsewhere := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "elsewhere-"}}
		Expect(w.Client.Create(ctx, elsewhere)).To(Succeed())
		object := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: elsewhere.Name, Name: "audit"}}
		object.Spec.S3BucketName = "trail-logs"
		object.Spec.IdentityRef = &v1alpha1.IdentityReference{Name: w.Namespace}
		Expect(w.Client.Create(ctx, object)).To(Succeed())
		Expect(w.Client.Delete(ctx, w.get(ctx))).To(Succeed())
		w.ready(ctx, v1alpha1.ReasonInUse)

		Expect(w.Client.Delete(ctx, object)).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(w.Client.Get(ctx, client.ObjectKey{Name: w.Namespace}, &v1alpha1.AWSIdentity{}))
		}).WithContext(ctx).WithTimeout(soon).Should(BeTrue(), "the Trails are listed again")
	})
})

var _ = Describe("Options", func() {
	It("are refused when they are not complete", func() {
		_, err := awsidentity.New(awsidentity.Options{})
		Expect(err).To(MatchError(ContainSubstring("required")))
	})
})
