package trail_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/eventlookup"
	"github.com/trail-operator/trail-operator/controllers/trail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// manyTrails is how long a whole fleet may take on a busy machine.
const manyTrails = 3 * time.Minute

// atOnce is how many requests a test makes of the API server at once.
const atOnce = 16

// fleetOf is a world with as many accounts, each with a role of its own, and trails in each.
type fleetOf struct {
	*world
	accounts, perAccount int
	// spec is that of every trail, but for the identity.
	spec v1alpha1.TrailSpec
	// interval is how often each is looked at.
	interval time.Duration
	// others are namespaces besides the fleet's own that the controllers work for.
	others []string
}

func newFleet(ctx context.Context, accounts, perAccount int, options cloudtrailtest.Options) *fleetOf {
	GinkgoHelper()
	options.OpenResources = true
	f := &fleetOf{
		world: newWorld(ctx, options), accounts: accounts, perAccount: perAccount,
		spec: v1alpha1.TrailSpec{S3BucketName: "trail-logs"}, interval: time.Hour,
	}
	f.Clock.Set(time.Time{}) // The wall clock.
	for number := range accounts {
		f.CreateIdentity(ctx, f.identityOf(number), v1alpha1.AWSIdentitySpec{
			RoleARN: fmt.Sprintf("arn:aws:iam::%s:role/trail-operator", f.accountOf(number)),
		})
	}
	return f
}

func (f *fleetOf) identityOf(number int) string { return fmt.Sprintf("%s-%03d", f.Namespace, number) }
func (f *fleetOf) accountOf(number int) string  { return fmt.Sprintf("%012d", 200000000000+number) }
func (f *fleetOf) count() int                   { return f.accounts * f.perAccount }

// eachTrail does something to all Trails of the fleet, several at once.
func (f *fleetOf) eachTrail(ctx context.Context, do func(context.Context, client.Object) error) {
	GinkgoHelper()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for number := range f.count() {
		object := &v1alpha1.Trail{
			ObjectMeta: metav1.ObjectMeta{Namespace: f.Namespace, Name: fmt.Sprintf("trail-%04d", number)},
			Spec:       f.spec,
		}
		object.Spec.IdentityRef = &v1alpha1.IdentityReference{Name: f.identityOf(number / f.perAccount)}
		group.Go(func() error { return do(ctx, object) })
	}
	Expect(group.Wait()).To(Succeed())
}

func (f *fleetOf) list(ctx context.Context) []v1alpha1.Trail {
	GinkgoHelper()
	var list v1alpha1.TrailList
	Expect(f.Client.List(ctx, &list, client.InNamespace(f.Namespace))).To(Succeed())
	return list.Items
}

// allReady waits until all Trails are ready.
func (f *fleetOf) allReady(ctx context.Context) {
	GinkgoHelper()
	Eventually(func() int {
		n := 0
		for _, one := range f.list(ctx) {
			if ready(&one) {
				n++
			}
		}
		return n
	}).WithContext(ctx).WithTimeout(manyTrails).WithPolling(250*time.Millisecond).
		Should(Equal(f.count()), "all trails become ready")
}

// expectOneEach checks that AWS holds one trail for each object, logging, and that no error is left in any status.
func (f *fleetOf) expectOneEach(ctx context.Context) {
	GinkgoHelper()
	owned := map[string]int{}
	for _, held := range f.AWS.Trails() {
		Expect(held.IsLogging).To(BeTrue(), held.ARN)
		owned[held.Tags[v1alpha1.OwnerTagKey]]++
	}
	for _, one := range f.list(ctx) {
		Expect(owned[f.owner(one.Name)]).To(Equal(1), "trails of %s", one.Name)
		Expect(one.Status.LastDrift).To(BeNil(), "nobody has changed %s", one.Name)
		for _, c := range one.Status.Conditions {
			Expect(c.Status).To(Equal(metav1.ConditionTrue), "%s of %s: %s", c.Type, one.Name, c.Message)
			Expect(c.Type).NotTo(BeElementOf(v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled),
				"%s of %s: %s", c.Type, one.Name, c.Message)
		}
	}
	Expect(owned).To(HaveLen(f.count()))
}

// run runs the controllers of trails and of lookups as the operator does, on a process's memory, and counts their
// writes to the API server.
func (f *fleetOf) run(ctx context.Context, sessions *cloudtrail.Sessions) *atomic.Int64 {
	GinkgoHelper()
	var writes atomic.Int64
	options := f.ManagerOptions(f.others...)
	options.NewClient = func(config *rest.Config, options client.Options) (client.Client, error) {
		plain, err := client.NewWithWatch(config, options)
		if err != nil {
			return nil, err
		}
		return aroundWrites(plain, func(write func() error) error {
			writes.Add(1)
			return write()
		}), nil
	}

	// Nobody reads the events here.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	DeferCleanup(stop)
	go func() {
		for {
			select {
			case <-f.Events.Events:
			case <-running.Done():
				return
			}
		}
	}()

	f.StartManager(ctx, options, func(manager ctrl.Manager) {
		reconciler, err := trail.New(trail.Options{
			Client:    manager.GetClient(),
			Live:      manager.GetAPIReader(),
			Recorder:  f.Events,
			Sessions:  sessions,
			ClusterID: clusterID,
			Interval:  f.interval,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(reconciler.SetupWithManager(ctx, manager, 64)).To(Succeed())
		lookups, err := eventlookup.New(eventlookup.Options{
			Client: manager.GetClient(), Recorder: f.Events, Sessions: sessions,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(lookups.SetupWithManager(manager)).To(Succeed())
	})
	return &writes
}

// cloudTrailCalls returns how many calls were made to CloudTrail, STS's left out.
func (w *world) cloudTrailCalls() int {
	n := 0
	for operation, count := range w.AWS.CallCounts() {
		if operation != "AssumeRole" && operation != "GetCallerIdentity" {
			n += count
		}
	}
	return n
}

var _ = Describe("A storm of faults", func() {
	It("keeps none of 300 trails in 60 accounts from becoming ready, and from being deleted", func(ctx context.Context) {
		f := newFleet(ctx, 60, 5, cloudtrailtest.Options{NoRateLimit: true, Seed: 7})
		// 30 % of all calls go wrong. A call takes the first fault that strikes it.
		for _, fault := range []cloudtrailtest.Fault{
			{Probability: 0.05, Code: "ThrottlingException", Message: "Rate exceeded"},
			{Probability: 0.05, Code: "ConflictException", Message: "Another change is under way."},
			{Probability: 0.05, Code: "InternalFailure", Message: "Internal failure.", Status: http.StatusInternalServerError},
			{Probability: 0.05, Code: "ServiceUnavailable", Message: "Unavailable.", Status: http.StatusServiceUnavailable},
			{Probability: 0.05, DropConnection: true},
			{Probability: 0.05, DropAfter: true},
			{Probability: 0.03, Latency: 50 * time.Millisecond},
			{Probability: 0.005, Latency: time.Minute}, // Longer than the client waits.
		} {
			f.AWS.Inject(fault)
		}
		sessions := cloudtrail.NewSessions(cloudtrail.Options{
			Config: aws.Config{
				Region:       region,
				BaseEndpoint: aws.String(f.Endpoint),
				Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
				HTTPClient:   awshttp.NewBuildableClient().WithTimeout(3 * time.Second),
				Retryer: func() aws.Retryer {
					return retry.AddWithErrorCodes(retry.AddWithMaxBackoffDelay(retry.NewStandard(), 20*time.Millisecond),
						"ConflictException")
				},
			},
			ClusterID: clusterID, Version: "test", RateLimits: cloudtrail.RateLimitOff,
		})
		f.run(ctx, sessions)
		f.eachTrail(ctx, func(ctx context.Context, object client.Object) error { return f.Client.Create(ctx, object) })
		f.allReady(ctx)
		f.expectOneEach(ctx)
		created := 0
		for _, call := range f.AWS.Calls() {
			if call.Operation == "CreateTrail" && call.Error == "" {
				created++
			}
		}
		Expect(created).To(Equal(f.count()), "no trail was created twice")

		By("deleting all, while it storms on")
		f.eachTrail(ctx, func(ctx context.Context, object client.Object) error { return f.Client.Delete(ctx, object) })
		Eventually(func() int { return len(f.list(ctx)) }).WithContext(ctx).WithTimeout(manyTrails).
			WithPolling(250*time.Millisecond).Should(BeZero(), "all objects go")
		Expect(f.AWS.Trails()).To(BeEmpty(), "nothing is orphaned")
	})
})

var _ = Describe("CloudTrail's true limits", func() {
	It("are kept to by a fleet that is created at once, with few calls", func(ctx context.Context) {
		f := newFleet(ctx, 20, 5, cloudtrailtest.Options{})
		f.spec = v1alpha1.TrailSpec{ // As most people have it.
			S3BucketName: "trail-logs", S3KeyPrefix: "audit", EnableLogFileValidation: truthy(), IsMultiRegionTrail: truthy(),
			Tags: []v1alpha1.Tag{{Key: "team", Value: "security"}, {Key: "stage", Value: "live"}},
		}
		sessions := cloudtrail.NewSessions(cloudtrail.Options{
			Config: aws.Config{
				Region:       region,
				BaseEndpoint: aws.String(f.Endpoint),
				Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
				HTTPClient: awshttp.NewBuildableClient().
					WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = 128 }),
			},
			ClusterID: clusterID, Version: "test", RateLimits: cloudtrail.RateLimitOn,
		})
		f.eachTrail(ctx, func(ctx context.Context, object client.Object) error { return f.Client.Create(ctx, object) })
		writes := f.run(ctx, sessions)
		f.allReady(ctx)
		f.expectOneEach(ctx)
		Expect(f.AWS.Throttled()).To(BeZero(), "nothing was asked for too fast")
		perTrail := float64(f.cloudTrailCalls()) / float64(f.count())
		Expect(perTrail).To(BeNumerically("<=", 3.4), "calls: %v", f.AWS.CallCounts())
		Expect(f.AWS.CallCounts()["AssumeRole"]).To(Equal(f.accounts), "trails share their identity's session")
		Expect(float64(writes.Load())/float64(f.count())).To(BeNumerically("<=", 2), "the finalizer and the status")
	})
})

var _ = Describe("Looks with nothing to do", func() {
	It("come together, share their reads, and write nothing, over many intervals", func(ctx context.Context) {
		const intervals = 6
		f := newFleet(ctx, 20, 5, cloudtrailtest.Options{NoRateLimit: true})
		f.eachTrail(ctx, func(ctx context.Context, object client.Object) error { return f.Client.Create(ctx, object) })
		f.Clock.Set(time.Now())
		due := map[string]time.Time{}
		for _, one := range f.list(ctx) {
			due[one.Name] = f.Clock.Now()
		}
		looks := 0
		// round looks at all that is due, at once, as the queue would, and notes when it is due again.
		round := func() {
			GinkgoHelper()
			at := slices.MinFunc(slices.Collect(maps.Values(due)), time.Time.Compare)
			f.Clock.Set(at)
			var mu sync.Mutex
			group, ctx := errgroup.WithContext(ctx)
			next := map[string]time.Time{}
			for name, when := range due {
				if when.Sub(at) > 50*time.Millisecond {
					continue
				}
				group.Go(func() error {
					result, err := f.reconc.Reconcile(ctx,
						reconcile.Request{NamespacedName: client.ObjectKey{Namespace: f.Namespace, Name: name}})
					mu.Lock()
					defer mu.Unlock()
					next[name] = at.Add(result.RequeueAfter)
					return err
				})
			}
			Expect(group.Wait()).To(Succeed())
			looks += len(next)
			maps.Copy(due, next)
		}
		for _, one := range f.list(ctx) { // One by one: they write.
			_, err := f.reconc.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&one)})
			Expect(err).NotTo(HaveOccurred())
		}
		f.expectOneEach(ctx)
		versions := map[string]string{}
		for _, one := range f.list(ctx) {
			versions[one.Name] = one.ResourceVersion
		}

		By("restarting: the first look has nothing to do either")
		f.restart()
		f.Clock.Add(time.Minute)
		for name := range due {
			due[name] = f.Clock.Now()
		}
		f.writes = 0
		f.AWS.ResetCalls()
		for looks < (intervals+1)*f.count() {
			round()
		}
		Expect(float64(f.cloudTrailCalls())/float64(looks)).
			To(BeNumerically("<=", 1.5), "calls of %d looks: %v", looks, f.AWS.CallCounts())
		Expect(writesOf(f.AWS.CallCounts())).To(BeEmpty())
		Expect(f.writes).To(BeZero(), "not one write to the API server")
		for _, one := range f.list(ctx) {
			Expect(one.ResourceVersion).To(Equal(versions[one.Name]))
		}
	})
})

var _ = Describe("A trail that AWS does not show yet", func() {
	const consistency = 12 * time.Second
	spec := v1alpha1.TrailSpec{
		S3BucketName:   "trail-logs",
		EventSelectors: []v1alpha1.EventSelector{{ReadWriteType: v1alpha1.WriteOnly, IncludeManagementEvents: truthy()}},
	}
	// lookNow looks as soon as a person who has just applied the object asks for it.
	lookNow := func(ctx context.Context, w *world) error {
		_, err := w.reconc.Reconcile(ctx,
			reconcile.Request{NamespacedName: client.ObjectKey{Namespace: w.Namespace, Name: "audit"}})
		return err
	}
	created := func(w *world) int {
		n := 0
		for _, call := range w.AWS.Calls() {
			if call.Operation == "CreateTrail" && call.Error == "" {
				n++
			}
		}
		return n
	}

	It("is not created again, and has not drifted", func(ctx context.Context) {
		for _, restarts := range []bool{false, true} {
			By(fmt.Sprintf("restarting: %t", restarts))
			w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true, ConsistencyLag: consistency})
			w.apply(ctx, "audit", spec)
			Expect(lookNow(ctx, w)).To(Succeed())
			Expect(ready(w.get(ctx, "audit"))).To(BeTrue())
			for second := range 20 {
				w.Clock.Add(time.Second)
				if restarts {
					w.restart()
				}
				object := w.get(ctx, "audit")
				object.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: fmt.Sprintf("%03d", second)}
				Expect(w.Client.Update(ctx, object)).To(Succeed())
				err := lookNow(ctx, w) // It may fail: the queue looks again.
				found := w.get(ctx, "audit")
				Expect(ready(found)).To(BeTrue(), "%v after %d seconds: %v", err, second+1, found.Status.Conditions)
				Expect(found.Status.LastDrift).To(BeNil(), "after %d seconds", second+1)
			}
			Expect(w.get(ctx, "audit").Status.LastHandledReconcileAt).To(Equal("019"))
			Expect(created(w)).To(Equal(1))
			w.expectSettled(ctx, "audit", spec)
			for _, event := range w.DrainEvents() {
				Expect(event).NotTo(ContainSubstring("Drift"))
			}
		}
	})

	It("is recognized when the process died right after it was created", func(ctx context.Context) {
		w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true, ConsistencyLag: consistency})
		w.apply(ctx, "audit", spec)
		dying, cancel := context.WithCancel(ctx)
		end := &death{cancel: cancel, at: 3, after: true} // After CreateTrail.
		w.death.Store(end)
		Expect(lookNow(dying, w)).NotTo(Succeed())
		cancel()
		Expect(end.recorded()).To(HaveExactElements("STS", "DescribeTrails", "STS", "CreateTrail"))
		w.restart()
		for range 20 {
			w.Clock.Add(time.Second)
			lookNow(ctx, w) //nolint:errcheck // It may fail: the queue looks again.
		}
		Expect(created(w)).To(Equal(1))
		w.expectSettled(ctx, "audit", spec)
		Expect(w.get(ctx, "audit").Status.LastDrift).To(BeNil())
	})

	It("is not orphaned when its object is deleted at once", func(ctx context.Context) {
		for _, restarts := range []bool{false, true} {
			By(fmt.Sprintf("restarting: %t", restarts))
			w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true, ConsistencyLag: consistency})
			w.apply(ctx, "audit", spec)
			Expect(lookNow(ctx, w)).To(Succeed())
			Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
			for range 30 {
				if restarts {
					w.restart()
				}
				w.Clock.Add(time.Second)
				lookNow(ctx, w) //nolint:errcheck // It may fail: the queue looks again.
			}
			w.expectGone(ctx, "audit")
			Expect(w.AWS.Trails()).To(BeEmpty())
		}
	})
})

// apiFaults are what can become of a write to the API server.
var apiFaults = map[string]func(ctx context.Context, w *world, write func() error) error{
	"somebody changes the object first": func(ctx context.Context, w *world, write func() error) error {
		object := &v1alpha1.Trail{}
		if err := w.Client.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: "audit"}, object); err != nil {
			return err
		}
		before := object.DeepCopy()
		object.Labels = map[string]string{"changed": "meanwhile"}
		if err := w.Client.Patch(ctx, object, client.MergeFrom(before)); err != nil {
			return err
		}
		return write()
	},
	"the API server is down": func(context.Context, *world, func() error) error { return errDown },
	"the answer is lost": func(_ context.Context, _ *world, write func() error) error {
		if err := write(); err != nil {
			return err
		}
		return errDown
	},
}

var errDown = fmt.Errorf("the API server is down")

// In every flow each of its writes to the API server goes wrong in each way. The writes come from the flow itself.
var _ = Describe("A fault of the API server at any write", func() {
	for name, f := range flows {
		It("leaves nothing wrong behind: "+name, func(ctx context.Context) {
			for kind, fault := range apiFaults {
				for at := 0; ; at++ {
					By(fmt.Sprintf("at write %d: %s", at, kind))
					w := startFlow(ctx, f)
					w.writes = 0
					struck := false
					w.writing = func(number int, write func() error) error {
						if number != at {
							return write()
						}
						struck = true
						return fault(ctx, w, write)
					}
					_, err := w.look(ctx, "audit")
					w.writing = nil
					if !struck {
						break
					}
					if kind == "somebody changes the object first" {
						Expect(err).NotTo(HaveOccurred(), "a conflict is no error")
					} else {
						Expect(err).To(MatchError(errDown))
					}
					w.lookUntilQuiet(ctx)
					f.right(ctx, w)
				}
			}
		})
	}
})

// In every flow another operator of the same cluster takes over at each of its calls to AWS, while the first one has
// not noticed yet that it does not lead any more.
var _ = Describe("A change of the leader at any call to AWS", func() {
	for name, f := range flows {
		It("leaves nothing wrong behind: "+name, func(ctx context.Context) {
			for at := range record(ctx, f) {
				By(fmt.Sprintf("at call %d", at))
				w := startFlow(ctx, f)
				_, next := w.process(clusterID, http.DefaultClient)
				request := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: w.Namespace, Name: "audit"}}
				number := 0
				w.onSending(func(*http.Request) {
					if number == at {
						next.Reconcile(ctx, request) //nolint:errcheck // The queue would look again, and so does the test.
					}
					number++
				})
				w.look(ctx, "audit") //nolint:errcheck // As above.
				w.onSending(nil)
				w.reconc = next
				w.lookUntilQuiet(ctx)
				f.right(ctx, w)
			}
		})
	}
})
