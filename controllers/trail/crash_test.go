package trail_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// death cuts the process's context right before or right after its call number at is made. It also counts the calls.
type death struct {
	cancel context.CancelFunc
	at     int
	after  bool

	mu    sync.Mutex
	calls []string
}

var errDead = errors.New("the process is dead")

// send makes a call, unless the process is dead.
func (d *death) send(request *http.Request) (*http.Response, error) {
	if d == nil {
		return http.DefaultClient.Do(request)
	}
	number := d.count(operationOf(request))
	dies := d.cancel != nil && number >= d.at
	if dies && (!d.after || number > d.at) {
		d.cancel()
		return nil, errDead
	}
	response, err := http.DefaultClient.Do(request)
	if dies && err == nil {
		d.cancel()
		_, err = io.Copy(io.Discard, response.Body)
		return nil, errors.Join(errDead, err, response.Body.Close())
	}
	return response, err
}

// count notes a call and returns its number, from 0.
func (d *death) count(operation string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, operation)
	return len(d.calls) - 1
}

// recorded returns the calls that were made, in order.
func (d *death) recorded() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

func operationOf(request *http.Request) string {
	target := request.Header.Get("X-Amz-Target")
	if target == "" {
		return "STS"
	}
	return target[strings.LastIndex(target, ".")+1:]
}

// flow is something that the controller does in several calls to AWS.
type flow struct {
	// before is the state that the flow begins with, after is what the user does then.
	before, after func(context.Context, *world)
	// right checks the end state.
	right func(context.Context, *world)
}

var rich = v1alpha1.TrailSpec{
	S3BucketName:              "trail-logs",
	S3KeyPrefix:               "audit",
	SNSTopicName:              "trail-topic",
	KMSKeyID:                  "alias/trail",
	CloudWatchLogsLogGroupARN: logGroup,
	CloudWatchLogsRoleARN:     logRole,
	EnableLogFileValidation:   truthy(),
	AdvancedEventSelectors: []v1alpha1.AdvancedEventSelector{
		{Name: "management", FieldSelectors: []v1alpha1.AdvancedFieldSelector{managementOnly}}, dataEvents[0],
	},
	InsightSelectors: []v1alpha1.InsightSelector{{InsightType: "ApiCallRateInsight"}},
	AggregationConfigurations: []v1alpha1.AggregationConfiguration{
		{EventCategory: "Data", Templates: []v1alpha1.AggregationTemplate{"API_ACTIVITY"}},
	},
	Tags: []v1alpha1.Tag{{Key: "team", Value: "security"}},
}

var poor = v1alpha1.TrailSpec{
	S3BucketName: "other-bucket",
	Tags:         []v1alpha1.Tag{{Key: "stage", Value: "live"}},
	Logging:      falsy(),
}

func applied(spec v1alpha1.TrailSpec) func(context.Context, *world) {
	return func(ctx context.Context, w *world) { w.apply(ctx, "audit", spec) }
}

func settled(spec v1alpha1.TrailSpec) func(context.Context, *world) {
	return func(ctx context.Context, w *world) {
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
	}
}

func holds(spec v1alpha1.TrailSpec) func(context.Context, *world) {
	return func(ctx context.Context, w *world) {
		GinkgoHelper()
		w.expectSettled(ctx, "audit", spec)
		Expect(w.AWS.Trails()).To(HaveLen(1), "exactly one trail")
	}
}

func deleted(ctx context.Context, w *world) {
	GinkgoHelper()
	Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
}

// handMade creates a trail by hand that is nobody's.
func handMade(_ context.Context, w *world) {
	GinkgoHelper()
	admin := w.AWS.As(cloudtrailtest.Actor{
		ARN: "arn:aws:iam::" + account + ":user/admin", AccountID: account, AccessKeyID: "AKIAADMIN",
	})
	_, err := admin.Do(region, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "hand-made"})
	Expect(err).NotTo(HaveOccurred())
}

var flows = map[string]flow{
	"create":      {before: func(context.Context, *world) {}, after: applied(rich), right: holds(rich)},
	"update":      {before: settled(rich), after: applied(poor), right: holds(poor)},
	"update back": {before: settled(poor), after: applied(rich), right: holds(rich)},
	"adoption": {
		before: handMade,
		after: func(ctx context.Context, w *world) {
			spec := rich
			spec.AdoptionPolicy = v1alpha1.AdoptionPolicyIfUnowned
			w.apply(ctx, "audit", spec)
		},
		right: holds(rich),
	},
	"delete": {before: settled(rich), after: deleted, right: func(ctx context.Context, w *world) {
		GinkgoHelper()
		Expect(w.AWS.Trails()).To(BeEmpty(), "nothing is orphaned")
		w.expectGone(ctx, "audit")
	}},
	"retain": {
		before: func(ctx context.Context, w *world) {
			spec := poor
			spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain
			settled(spec)(ctx, w)
		},
		after: deleted,
		right: func(ctx context.Context, w *world) {
			GinkgoHelper()
			w.expectGone(ctx, "audit")
			Expect(w.held("audit").Tags).To(Equal(map[string]string{"stage": "live"}), "the trail stays, without an owner")
		},
	},
	"delete of what is not ours": {
		before: func(ctx context.Context, w *world) {
			settled(poor)(ctx, w)
			_, err := w.intruder().Do(region, "AddTags", map[string]any{
				"ResourceId": w.held("audit").ARN,
				"TagsList":   []any{map[string]any{"Key": v1alpha1.OwnerTagKey, "Value": "other-cluster/a/b"}},
			})
			Expect(err).NotTo(HaveOccurred())
		},
		after: deleted,
		right: func(ctx context.Context, w *world) {
			GinkgoHelper()
			w.expectGone(ctx, "audit")
			Expect(w.held("audit").Tags).
				To(HaveKeyWithValue(v1alpha1.OwnerTagKey, "other-cluster/a/b"), "somebody else's trail is not touched")
		},
	},
}

// In every flow the process dies right before and right after each of its calls to AWS; another one takes over. The
// steps come from a recording of the flow itself.
var _ = Describe("A crash at any call to AWS", func() {
	for name, f := range flows {
		It("leaves nothing wrong behind: "+name, func(ctx context.Context) {
			recorded := record(ctx, f)
			Expect(recorded).NotTo(BeEmpty())
			for at := range recorded {
				for _, after := range []bool{false, true} {
					By(fmt.Sprintf("dying at call %d of %v, after it: %t", at, recorded, after))
					w := startFlow(ctx, f)
					dying, cancel := context.WithCancel(ctx)
					w.death.Store(&death{cancel: cancel, at: at, after: after})
					_, err := w.look(dying, "audit")
					Expect(err).To(HaveOccurred(), "it died")
					cancel()
					w.restart()
					w.lookUntilQuiet(ctx)
					f.right(ctx, w)
				}
			}
		})
	}
})

func startFlow(ctx context.Context, f flow) *world {
	GinkgoHelper()
	w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
	w.prepareResources()
	f.before(ctx, w)
	f.after(ctx, w)
	w.restart()
	return w
}

// record runs a flow to its end and returns its calls to AWS.
func record(ctx context.Context, f flow) []string {
	GinkgoHelper()
	w := startFlow(ctx, f)
	recorder := &death{}
	w.death.Store(recorder)
	_, err := w.look(ctx, "audit")
	Expect(err).NotTo(HaveOccurred())
	calls := recorder.recorded()
	w.death.Store(nil)
	f.right(ctx, w)
	return calls
}

// lookUntilQuiet looks as the queue would: again after an error, until a look ends well.
func (w *world) lookUntilQuiet(ctx context.Context) {
	GinkgoHelper()
	var err error
	for range 5 {
		var result time.Duration
		looked, failed := w.look(ctx, "audit")
		result, err = looked.RequeueAfter, failed
		if err == nil && (result == 0 || result > time.Minute) {
			return
		}
	}
	Expect(err).NotTo(HaveOccurred())
}
