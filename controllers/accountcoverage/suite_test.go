package accountcoverage_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/accountcoverage"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
	"github.com/trail-operator/trail-operator/hack/testbed/clock"
)

const (
	account = testbed.Account
	region  = testbed.Region
	// soon is how long anything may take that a watch brings about, after what has changed has settled.
	soon = time.Minute
)

var restConfig *rest.Config

func TestAccountCoverage(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Coverage of accounts")
}

var _ = BeforeSuite(func() {
	restConfig = testbed.Start()
})

// world is a world with the controller, which works when the test says so.
type world struct {
	*testbed.World
	sessions *cloudtrail.Sessions
	reconc   reconcile.Reconciler
}

func newWorld(ctx context.Context, options cloudtrailtest.Options) *world {
	GinkgoHelper()
	options.OpenResources, options.NoRateLimit = true, true
	w := &world{}
	w.World = testbed.NewWorld(ctx, restConfig, testbed.WorldOptions{AWS: options, Clock: &clock.Clock{}})
	w.restart()
	return w
}

// restart begins with a controller that remembers nothing.
func (w *world) restart() {
	GinkgoHelper()
	w.sessions = w.NewSessions(func(o *cloudtrail.Options) {
		o.Config.Retryer = func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), 1) }
	})
	reconciler, err := accountcoverage.New(w.options())
	Expect(err).NotTo(HaveOccurred())
	w.reconc = reconcile.AsReconciler(w.Client, reconciler)
}

func (w *world) options() accountcoverage.Options {
	return accountcoverage.Options{Client: w.Client, Recorder: w.Events, Sessions: w.sessions, Now: w.Clock.Now}
}

// identity creates an identity, of the operator's own account unless it has a role, whose account is to be assessed.
func (w *world) identity(ctx context.Context, spec v1alpha1.AWSIdentitySpec) *v1alpha1.AWSIdentity {
	GinkgoHelper()
	spec.AssessCoverage = new(true)
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{GenerateName: "coverage-"}, Spec: spec}
	Expect(w.Client.Create(ctx, identity)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { // Other specs have the same accounts.
		Expect(client.IgnoreNotFound(w.Client.Delete(ctx, identity))).To(Succeed())
		noFinalizers := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		Expect(client.IgnoreNotFound(w.Client.Patch(ctx, identity, noFinalizers))).To(Succeed())
	})
	return identity
}

// roleIn returns the ARN of a role of an account.
func roleIn(account string) string {
	return fmt.Sprintf("arn:aws:iam::%s:role/trail-operator", account)
}

// assess reconciles an identity an hour later, and returns it as it is then.
func (w *world) assess(ctx context.Context, identity *v1alpha1.AWSIdentity) *v1alpha1.AWSIdentity {
	GinkgoHelper()
	w.Clock.Add(2 * time.Hour)
	_, err := w.reconcile(ctx, identity)
	Expect(err).NotTo(HaveOccurred())
	return w.get(ctx, identity)
}

func (w *world) reconcile(ctx context.Context, identity *v1alpha1.AWSIdentity) (reconcile.Result, error) {
	return w.reconc.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(identity)})
}

func (w *world) get(ctx context.Context, identity *v1alpha1.AWSIdentity) *v1alpha1.AWSIdentity {
	GinkgoHelper()
	found := &v1alpha1.AWSIdentity{}
	Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(identity), found)).To(Succeed())
	return found
}

// do performs an operation of CloudTrail as somebody else of an account.
func (w *world) do(account, region, operation string, params map[string]any) map[string]any {
	GinkgoHelper()
	someone := w.AWS.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + account + ":user/someone"})
	answer, err := someone.Do(region, operation, params)
	Expect(err).NotTo(HaveOccurred())
	return answer
}

// trail creates a trail that logs, and returns its ARN.
func (w *world) trail(account, region, name string, settings map[string]any) string {
	GinkgoHelper()
	params := map[string]any{"Name": name, "S3BucketName": "trail-logs", "IsMultiRegionTrail": true}
	maps.Copy(params, settings)
	arn, ok := w.do(account, region, "CreateTrail", params)["TrailARN"].(string)
	Expect(ok).To(BeTrue())
	w.do(account, region, "StartLogging", map[string]any{"Name": arn})
	return arn
}

func recordedOf(identity *v1alpha1.AWSIdentity) *metav1.Condition {
	return meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionRecorded)
}

// expectRecorded checks the condition and returns its message.
func expectRecorded(identity *v1alpha1.AWSIdentity, want metav1.ConditionStatus, reason string) string {
	GinkgoHelper()
	found := recordedOf(identity)
	Expect(found).NotTo(BeNil())
	Expect(found.Status).To(Equal(want), "%s: %s", found.Reason, found.Message)
	Expect(found.Reason).To(Equal(reason), found.Message)
	Expect(found.ObservedGeneration).To(Equal(identity.Generation))
	return found.Message
}
