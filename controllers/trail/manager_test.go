package trail_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/trail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// soon is how long anything may take that a watch or a short interval brings about.
const soon = 20 * time.Second

// start runs the controller as the operator does, with watches and a queue, looking at this interval.
func (w *world) start(ctx context.Context, every time.Duration) {
	GinkgoHelper()
	w.StartManager(ctx, w.ManagerOptions(), func(manager ctrl.Manager) {
		reconciler, err := trail.New(trail.Options{
			Client:    manager.GetClient(),
			Live:      manager.GetAPIReader(),
			Recorder:  manager.GetEventRecorder("trail-operator"),
			Sessions:  w.sessions,
			ClusterID: clusterID,
			Interval:  every,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(reconciler.SetupWithManager(ctx, manager, 4)).To(Succeed())
	})
}

// eventually waits until the Trail is as wanted.
func (w *world) eventually(ctx context.Context, name, why string, wanted func(*v1alpha1.Trail) bool) {
	GinkgoHelper()
	Eventually(func() bool { return wanted(w.get(ctx, name)) }).WithContext(ctx).WithTimeout(soon).Should(BeTrue(), why)
}

func ready(t *v1alpha1.Trail) bool {
	return t.Status.ObservedGeneration == t.Generation &&
		meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionReady)
}

var _ = Describe("The running controller", func() {
	var w *world
	BeforeEach(func(ctx context.Context) {
		w = newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.Clock.Set(time.Time{}) // The wall clock.
		w.restart()
	})

	It("finds drift by itself, at its interval", func(ctx context.Context) {
		w.start(context.WithoutCancel(ctx), time.Second)
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.eventually(ctx, "audit", "a new trail becomes ready", ready)
		_, err := w.intruder().Do(region, "StopLogging", map[string]any{"Name": "audit"})
		Expect(err).NotTo(HaveOccurred())
		w.eventually(ctx, "audit", "the next look repairs it", func(t *v1alpha1.Trail) bool {
			return t.Status.LastDrift != nil && t.Status.LastDrift.RepairedTime != nil && ready(t)
		})
		Expect(w.held("audit").IsLogging).To(BeTrue())
	})

	It("looks at once when a reconcile annotation changes", func(ctx context.Context) {
		w.start(context.WithoutCancel(ctx), time.Hour)
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.eventually(ctx, "audit", "a new trail becomes ready", ready)
		_, err := w.intruder().Do(region, "StopLogging", map[string]any{"Name": "audit"})
		Expect(err).NotTo(HaveOccurred())
		for _, annotation := range []string{v1alpha1.AnnotationReconcileAt, v1alpha1.AnnotationFluxReconcileAt} {
			object := w.get(ctx, "audit")
			before := object.DeepCopy()
			meta := metav1.Now().Format(time.RFC3339Nano)
			object.Annotations = map[string]string{annotation: meta}
			Expect(w.Client.Patch(ctx, object, client.MergeFrom(before))).To(Succeed())
			w.eventually(ctx, "audit", annotation+" is echoed",
				func(t *v1alpha1.Trail) bool { return t.Status.LastHandledReconcileAt == meta })
		}
		Expect(w.held("audit").IsLogging).To(BeTrue(), "the look repaired the trail, an hour before its time")
	})

	It("tries again when the identity allows the namespace, or appears", func(ctx context.Context) {
		w.start(context.WithoutCancel(ctx), time.Hour)
		name := w.identity
		w.identity = name + "-later"
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		reason := func(want string) func(*v1alpha1.Trail) bool {
			return func(t *v1alpha1.Trail) bool {
				c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
				return c != nil && c.Reason == want
			}
		}
		w.eventually(ctx, "audit", "there is no identity", reason(v1alpha1.ReasonIdentityNotFound))
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: w.identity}}
		identity.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{
			From:     v1alpha1.NamespacesFromSelector,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "security"}},
		}
		Expect(w.Client.Create(ctx, identity)).To(Succeed())
		w.eventually(ctx, "audit", "the identity does not select the namespace", reason(v1alpha1.ReasonNamespaceNotAllowed))
		Expect(w.AWS.CallCounts()).To(BeEmpty())

		namespace := &corev1.Namespace{}
		Expect(w.Client.Get(ctx, client.ObjectKey{Name: w.Namespace}, namespace)).To(Succeed())
		namespace.Labels["team"] = "security"
		Expect(w.Client.Update(ctx, namespace)).To(Succeed())
		w.eventually(ctx, "audit", "the namespace has the label now", ready)
	})

	It("deletes the trail with its object", func(ctx context.Context) {
		w.start(context.WithoutCancel(ctx), time.Hour)
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.eventually(ctx, "audit", "a new trail becomes ready", ready)
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		Eventually(func() error {
			return w.Client.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: "audit"}, &v1alpha1.Trail{})
		}).WithContext(ctx).WithTimeout(soon).ShouldNot(Succeed(), "the object goes when its trail is gone")
		Expect(w.AWS.Trails()).To(BeEmpty())
	})
})
