package logfilevalidation_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/digest"
	"github.com/trail-operator/trail-operator/controllers/logfilevalidation"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
	"github.com/trail-operator/trail-operator/hack/testbed/clock"
)

const (
	account = testbed.Account
	region  = testbed.Region
	// soon is how long anything may take that happens in the background.
	soon = 20 * time.Second
	// bucket is where the trails of the specs deliver.
	bucket = "trail-logs"
)

var trailARN = "arn:aws:cloudtrail:" + region + ":" + account + ":trail/audit"

var restConfig *rest.Config

func TestLogFileValidation(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "LogFileValidation controller")
}

var _ = BeforeSuite(func() {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))
	restConfig = testbed.Start()
})

// opening is when the first digests of a spec begin.
var opening = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

// world is a world with a controller that works when the spec says so, on a bucket that the spec fills.
type world struct {
	*testbed.World
	// logs are what is validated; nil: what the emulator delivers, with the sessions of a process.
	logs       *logs
	sessions   func() *cloudtrail.Sessions
	reconciler *logfilevalidation.Reconciler
	stop       func()
}

func newWorld(ctx context.Context) *world {
	GinkgoHelper()
	now := clock.New(opening)
	w := &world{
		World: testbed.NewWorld(ctx, restConfig, testbed.WorldOptions{
			AWS: cloudtrailtest.Options{OpenResources: true, NoTrailLimit: true, Now: now.Now}, Clock: now,
		}),
		logs: &logs{now: now.Now, chains: map[digest.Chain][]hour{}, walks: map[digest.Chain][]digest.Walk{}},
	}
	w.restart(ctx)
	return w
}

// restart starts the controller anew: what it had in memory is lost.
func (w *world) restart(ctx context.Context) {
	GinkgoHelper()
	if w.stop != nil {
		w.stop()
	}
	options := logfilevalidation.Options{Client: w.Client, Recorder: w.Events, Meter: noMeter{}, Now: w.Clock.Now}
	if w.logs != nil {
		options.Open = w.logs.open
	} else {
		access := logfilevalidation.Access{Client: w.Client, Sessions: w.sessions(), Now: w.Clock.Now}
		options.Open = access.Opener()
	}
	var err error
	w.reconciler, err = logfilevalidation.New(options)
	Expect(err).NotTo(HaveOccurred())

	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- w.reconciler.Start(running) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		Eventually(ended).WithTimeout(soon).Should(Receive(BeNil()), "the background ends when it is told to")
	})
	DeferCleanup(w.stop)
}

// create creates a validation of the trail in the world's namespace.
func (w *world) create(ctx context.Context, spec v1alpha1.LogFileValidationSpec) *v1alpha1.LogFileValidation {
	GinkgoHelper()
	if spec.TrailARN == "" && spec.TrailRef == nil {
		spec.TrailARN, spec.S3BucketName = trailARN, bucket
	}
	if spec.StartTime == "" {
		spec.StartTime = timestamp(opening)
	}
	v := &v1alpha1.LogFileValidation{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, GenerateName: "validation-"}, Spec: spec,
	}
	Expect(w.Client.Create(ctx, v)).To(Succeed())
	testbed.ExpectKstatus(v, status.InProgressStatus)
	return v
}

// reconcile makes the controller look at an object once.
func (w *world) reconcile(ctx context.Context, v *v1alpha1.LogFileValidation) reconcile.Result {
	GinkgoHelper()
	request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(v)}
	result, err := reconcile.AsReconciler(w.Client, w.reconciler).Reconcile(ctx, request)
	Expect(err).NotTo(HaveOccurred())
	return result
}

// validate has the controller validate an object that is due, and returns it as it is when it rests.
func (w *world) validate(ctx context.Context, v *v1alpha1.LogFileValidation) *v1alpha1.LogFileValidation {
	GinkgoHelper()
	Eventually(func() time.Duration { return w.reconcile(ctx, v).RequeueAfter }).WithTimeout(soon).
		Should(BeNumerically(">", 0), "the validation ends, and says when it comes back")
	w.reconcile(ctx, v) // It may have ended after the last progress was written, and before it was asked when it is due.
	return w.get(ctx, v)
}

// finish is validate for a range.
func (w *world) finish(ctx context.Context, v *v1alpha1.LogFileValidation) *v1alpha1.LogFileValidation {
	GinkgoHelper()
	Eventually(func() bool {
		w.reconcile(ctx, v)
		return w.get(ctx, v).Finished()
	}).WithTimeout(soon).Should(BeTrue(), "the range is complete")
	return w.get(ctx, v)
}

func (w *world) get(ctx context.Context, v *v1alpha1.LogFileValidation) *v1alpha1.LogFileValidation {
	GinkgoHelper()
	found := &v1alpha1.LogFileValidation{}
	Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(v), found)).To(Succeed())
	return found
}

// edit changes the spec of an object.
func (w *world) edit(
	ctx context.Context, v *v1alpha1.LogFileValidation, change func(*v1alpha1.LogFileValidationSpec),
) {
	GinkgoHelper()
	found := w.get(ctx, v)
	change(&found.Spec)
	Expect(w.Client.Update(ctx, found)).To(Succeed())
}

// logs are the digests of a trail, as a Validator finds them.
type logs struct {
	now func() time.Time

	mu        sync.Mutex
	chains    map[digest.Chain][]hour
	openErr   error
	chainsErr error
	walks     map[digest.Chain][]digest.Walk
	requests  []logfilevalidation.Request
	// hold keeps walks from going on until it is closed; nil: nothing does.
	hold chan struct{}
	// waiting counts the walks that are held.
	waiting int
}

// hour is a digest.
type hour struct {
	end   time.Time
	found []digest.Finding
	// stop is why a walk stops before the digest; "": it does not.
	stop string
}

func chainOf(accountID, region string) digest.Chain {
	return digest.Chain{AccountID: accountID, Region: region}
}

// change changes the logs.
func (l *logs) change(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// deliver adds digests until now to a chain.
func (l *logs) deliver(c digest.Chain) {
	l.change(func() {
		last := opening
		if hours := l.chains[c]; len(hours) > 0 {
			last = hours[len(hours)-1].end
		}
		for end := last.Add(time.Hour); !end.After(l.now()); end = end.Add(time.Hour) {
			l.chains[c] = append(l.chains[c], hour{end: end})
		}
	})
}

// tamper puts findings into the last digest of a chain.
func (l *logs) tamper(c digest.Chain, class digest.Class, objects ...string) {
	l.change(func() {
		last := &l.chains[c][len(l.chains[c])-1]
		for _, object := range objects {
			last.found = append(last.found, digest.Finding{
				Class: class, Chain: c, Bucket: bucket, Object: object, Time: last.end, Message: "it is not what it was",
			})
		}
	})
}

func (l *logs) open(
	_ context.Context, request logfilevalidation.Request, _ *logfilevalidation.Source,
) (*logfilevalidation.Source, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = append(l.requests, request)
	return &logfilevalidation.Source{Validator: l, Trail: request.Trail}, l.openErr
}

func (l *logs) Chains(context.Context, digest.Trail) ([]digest.Chain, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []digest.Chain
	for c, hours := range l.chains {
		if len(hours) > 0 {
			found = append(found, c)
		}
	}
	return found, l.chainsErr
}

func (l *logs) Walk(ctx context.Context, walk digest.Walk) (digest.Position, error) {
	l.mu.Lock()
	hours, hold := l.chains[walk.Chain], l.hold
	l.walks[walk.Chain] = append(l.walks[walk.Chain], walk)
	if hold != nil {
		l.waiting++
	}
	l.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return walk.From, ctx.Err()
		}
	}

	position := walk.From
	for _, h := range hours {
		// A walk from nowhere begins with the digest that covers the start.
		if !h.end.After(position.End) || position.Object == "" && h.end.Before(walk.Start) ||
			!walk.Until.IsZero() && h.end.After(walk.Until) {
			continue
		}
		object := fmt.Sprintf("%s/%s/%s.json.gz", walk.Chain.AccountID, walk.Chain.Region, h.end.Format(time.RFC3339))
		result := digest.Result{Kind: digest.KindDigest, Chain: walk.Chain, Bucket: bucket, Object: object, End: h.end}
		if h.stop != "" {
			result.Finding = &digest.Finding{
				Class: digest.Unverifiable, Chain: walk.Chain, Reason: h.stop, Bucket: bucket, Object: object, Time: h.end,
				Message: "GetObject: " + h.stop,
			}
			walk.Report(result)
			if !walk.GoOn {
				return position, nil
			}
			position = digest.Position{Bucket: bucket, Object: object, End: h.end}
			continue
		}
		walk.Report(result)
		for _, finding := range h.found {
			walk.Report(digest.Result{
				Kind: digest.KindLog, Chain: walk.Chain, Bucket: bucket, Object: finding.Object, End: h.end, Finding: &finding,
			})
		}
		position = digest.Position{Bucket: bucket, Object: object, End: h.end}
	}
	return position, ctx.Err()
}

// walked returns how often a chain was walked, and forgets it.
func (l *logs) walked(c digest.Chain) []digest.Walk {
	l.mu.Lock()
	defer l.mu.Unlock()
	walks := l.walks[c]
	delete(l.walks, c)
	return walks
}

// held returns how many walks have been held.
func (l *logs) held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}

func timestamp(t time.Time) v1alpha1.Timestamp { return v1alpha1.Timestamp(t.Format(time.RFC3339)) }

// conditions are the conditions of an object by type, as "status reason".
func conditions(v *v1alpha1.LogFileValidation) map[string]string {
	found := map[string]string{}
	for _, c := range v.Status.Conditions {
		found[c.Type] = string(c.Status) + " " + c.Reason
	}
	return found
}

// message is that of a condition.
func message(v *v1alpha1.LogFileValidation, conditionType string) string {
	GinkgoHelper()
	condition := meta.FindStatusCondition(v.Status.Conditions, conditionType)
	Expect(condition).NotTo(BeNil())
	return condition.Message
}

// expectIntact checks that everything is proved until a time.
func expectIntact(v *v1alpha1.LogFileValidation, until time.Time) {
	GinkgoHelper()
	Expect(conditions(v)).To(Equal(map[string]string{"Ready": "True Intact", "Intact": "True Intact"}), "%+v", v.Status)
	Expect(v.Status.ValidatedUntil.Time).To(BeTemporally("==", until))
	Expect(v.Status.ObservedGeneration).To(Equal(v.Generation))
	testbed.ExpectKstatus(v, status.CurrentStatus)
}
