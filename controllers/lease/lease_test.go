package lease

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	fakecoordination "k8s.io/client-go/kubernetes/typed/coordination/v1/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/hack/testbed/clock"
)

func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // The clock of a synctest bubble.

// newAPI returns an API server that knows leases, and refuses a write of what has changed since it was read.
func newAPI(t *testing.T) *fakecoordination.FakeCoordinationV1 {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := coordinationv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	tracker := clienttesting.NewObjectTracker(scheme, serializer.NewCodecFactory(scheme).UniversalDecoder())
	api := &fakecoordination.FakeCoordinationV1{Fake: &clienttesting.Fake{}}
	api.AddReactor("*", "*", clienttesting.ObjectReaction(tracker))
	api.PrependReactor("update", "leases", func(action clienttesting.Action) (bool, runtime.Object, error) {
		update, _ := action.(clienttesting.UpdateAction)         //nolint:errcheck // It is what the reactor is for.
		written, _ := update.GetObject().(*coordinationv1.Lease) //nolint:errcheck // Likewise.
		found, err := tracker.Get(action.GetResource(), written.Namespace, written.Name)
		if err != nil {
			return true, nil, err
		}
		current, _ := found.(*coordinationv1.Lease) //nolint:errcheck // Likewise.
		if current.ResourceVersion != written.ResourceVersion {
			return true, nil, apierrors.NewConflict(action.GetResource().GroupResource(),
				written.Name, errors.New("it has changed"))
		}
		version, _ := strconv.Atoi(current.ResourceVersion) //nolint:errcheck // None is 0.
		written.ResourceVersion = strconv.Itoa(version + 1)
		return true, written, tracker.Update(action.GetResource(), written, written.Namespace)
	})
	return api
}

// process is a replica, which may be frozen.
type process struct {
	*Lock
	inner *freezer
	leads atomic.Bool
}

// freezer is a lease whose holder may be frozen in the middle of a request, or lose its answers.
type freezer struct {
	resourcelock.Interface
	mu     sync.Mutex
	frozen chan struct{} // nil: it is not.
	err    error
}

func (f *freezer) freeze() (thaw func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = make(chan struct{})
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		close(f.frozen)
		f.frozen = nil
	})
}

func (f *freezer) wait() error {
	f.mu.Lock()
	frozen, err := f.frozen, f.err
	f.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
	return err
}

// Get implements resourcelock.Interface.
func (f *freezer) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if err := f.wait(); err != nil {
		return nil, nil, err
	}
	return f.Interface.Get(ctx)
}

// Update implements resourcelock.Interface.
func (f *freezer) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if err := f.wait(); err != nil {
		return err
	}
	return f.Interface.Update(ctx, record)
}

func newProcess(api *fakecoordination.FakeCoordinationV1, identity string) *process {
	inner := &freezer{Interface: &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: "trail-operator", Name: "leader"},
		Client:     api,
		LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
	}}
	return &process{Lock: &Lock{Interface: inner}, inner: inner}
}

// run competes for the lease until the context ends.
func (p *process) run(ctx context.Context, t *testing.T) {
	t.Helper()
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: p.Lock, LeaseDuration: Duration, RenewDeadline: RenewDeadline, RetryPeriod: RetryPeriod, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { p.leads.Store(true) },
			OnStoppedLeading: func() { p.leads.Store(false) },
		},
	})
	if err != nil {
		t.Error(err)
		return
	}
	elector.Run(ctx)
}

// mayWrite tells which of the processes may write. Two of them never may.
func mayWrite(g Gomega, processes ...*process) string {
	allowed := ""
	for _, p := range processes {
		if err := p.Held(); err == nil {
			g.Expect(allowed).To(BeEmpty(), "%s may write at the same time", p.Identity())
			allowed = p.Identity()
		} else {
			g.Expect(err).To(MatchError(cloudtrail.ErrNotLeading))
		}
	}
	return allowed
}

// slowestPoll is how long a process that waits for the lease may take from one attempt to the next: the library adds a
// random part to the period, so that replicas do not try at the same time.
const slowestPoll = time.Duration((1 + leaderelection.JitterFactor) * float64(RetryPeriod))

// slowestTakeover is how long a process may take to lead after the leader has renewed the lease for the last time. It
// counts Duration from when it reads that renewal, which is an attempt later, and leads with the attempt after that.
const slowestTakeover = slowestPoll + Duration + slowestPoll

// TestTwoProcesses has two replicas compete for a lease: whatever befalls the first, the two never may write at a time,
// and the second takes over.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		// befall is what befalls the first process, which ends it in the end.
		befall func(t *testing.T, first *process, stop context.CancelFunc)
		// until is when the second may write at the latest.
		until time.Duration
	}{
		"it is frozen before it renews the lease": {func(t *testing.T, first *process, _ context.CancelFunc) {
			t.Helper()
			time.AfterFunc(2*time.Minute, first.inner.freeze())
		}, slowestTakeover},
		"it does not reach the API server": {func(_ *testing.T, first *process, _ context.CancelFunc) {
			first.inner.mu.Lock()
			defer first.inner.mu.Unlock()
			first.inner.err = errors.New("out of reach")
		}, slowestTakeover},
		"it ends, and releases the lease": {func(_ *testing.T, _ *process, stop context.CancelFunc) {
			stop()
		}, slowestPoll},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g, api := NewWithT(t), newAPI(t)
				first, second := newProcess(api, "first"), newProcess(api, "second")
				g.Expect(mayWrite(g, first, second)).To(BeEmpty())
				var running sync.WaitGroup
				firstRuns, stopFirst := context.WithCancel(t.Context())
				secondRuns, stopSecond := context.WithCancel(t.Context())
				running.Go(func() { first.run(firstRuns, t) })
				pass(time.Second)
				running.Go(func() { second.run(secondRuns, t) })
				for range 600 {
					g.Expect(mayWrite(g, first, second)).To(Equal("first"), "it renews the lease")
					pass(100 * time.Millisecond)
				}

				c.befall(t, first, stopFirst)
				const step = 10 * time.Millisecond
				for start := time.Now(); mayWrite(g, first, second) != "second"; pass(step) {
					g.Expect(time.Since(start)).To(BeNumerically("<", c.until+step))
				}
				for range 3000 {
					g.Expect(mayWrite(g, first, second)).To(Equal("second"), "also when the first one goes on")
					pass(100 * time.Millisecond)
				}
				g.Expect(first.leads.Load()).To(BeFalse())
				g.Expect(second.leads.Load()).To(BeTrue())
				stopFirst()
				stopSecond()
				running.Wait()
				g.Expect(mayWrite(g, first, second)).To(BeEmpty())
			})
		})
	}
}

// TestHeld holds when a process may write, by when the last renewal was begun.
func TestHeld(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		renewed *time.Time
		held    bool
	}{
		"never":                          {nil, false},
		"just now":                       {&now, true},
		"some time ago":                  {new(now.Add(-Duration / 2)), true},
		"too long ago":                   {new(now.Add(-Duration)), false},
		"too long ago by the wall clock": {new(clock.Ahead(now.Add(-Duration), Duration)), false},
		"too long ago by the machine's":  {new(clock.Ahead(now, -Duration)), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lock := &Lock{}
			lock.renewed.Store(c.renewed)
			if c.held {
				NewWithT(t).Expect(lock.Held()).To(Succeed())
			} else {
				NewWithT(t).Expect(lock.Held()).To(MatchError(cloudtrail.ErrNotLeading))
			}
		})
	}
}

// scripted is a lease whose writes take their time and end as they are told to.
type scripted struct {
	resourcelock.Interface
	takes time.Duration
	err   error
}

func (s *scripted) write() error {
	pass(s.takes)
	return s.err
}

// Create implements resourcelock.Interface.
func (s *scripted) Create(context.Context, resourcelock.LeaderElectionRecord) error { return s.write() }

// Update implements resourcelock.Interface.
func (s *scripted) Update(context.Context, resourcelock.LeaderElectionRecord) error { return s.write() }

// Identity implements resourcelock.Interface.
func (s *scripted) Identity() string { return "me" }

// TestRenewals holds what the writes of a lease say of who holds it.
func TestRenewals(t *testing.T) {
	t.Parallel()
	mine, released := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}, resourcelock.LeaderElectionRecord{}
	inBubble := func(name string, test func(context.Context, Gomega, *Lock, *scripted)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				inner := &scripted{}
				test(t.Context(), NewWithT(t), &Lock{Interface: inner}, inner)
			})
		})
	}
	inBubble("a renewal counts from when it was begun", func(ctx context.Context, g Gomega, lock *Lock, inner *scripted) {
		inner.takes = 5 * time.Second
		g.Expect(lock.Create(ctx, mine)).To(Succeed())
		pass(Duration - inner.takes - 1)
		g.Expect(lock.Held()).To(Succeed())
		pass(1)
		g.Expect(lock.Held()).To(MatchError(cloudtrail.ErrNotLeading))
		g.Expect(lock.Update(ctx, mine)).To(Succeed())
		g.Expect(lock.Held()).To(Succeed())
	})
	inBubble("one whose answer came too late holds nothing",
		func(ctx context.Context, g Gomega, lock *Lock, inner *scripted) {
			inner.takes = Duration
			g.Expect(lock.Create(ctx, mine)).To(Succeed())
			g.Expect(lock.Held()).To(MatchError(cloudtrail.ErrNotLeading))
		})
	inBubble("renewals that fail end nothing before its time",
		func(ctx context.Context, g Gomega, lock *Lock, inner *scripted) {
			g.Expect(lock.Create(ctx, mine)).To(Succeed())
			inner.err = errors.New("no")
			for range int(Duration/time.Second) - 1 {
				pass(time.Second)
				g.Expect(lock.Update(ctx, mine)).To(MatchError(inner.err))
				g.Expect(lock.Held()).To(Succeed())
			}
			pass(time.Second)
			g.Expect(lock.Held()).To(MatchError(cloudtrail.ErrNotLeading))
		})
	inBubble("a claim that fails holds nothing", func(ctx context.Context, g Gomega, lock *Lock, inner *scripted) {
		inner.err = errors.New("no")
		g.Expect(lock.Create(ctx, mine)).To(MatchError(inner.err))
		g.Expect(lock.Update(ctx, mine)).To(MatchError(inner.err))
		g.Expect(lock.Held()).To(MatchError(cloudtrail.ErrNotLeading))
	})
	for _, failure := range []error{nil, errors.New("no")} {
		inBubble(fmt.Sprintf("a release ends it before it is sent (%v)", failure),
			func(ctx context.Context, g Gomega, lock *Lock, inner *scripted) {
				g.Expect(lock.Create(ctx, mine)).To(Succeed())
				inner.takes, inner.err = time.Second, failure
				done := make(chan error, 1)
				go func() { done <- lock.Update(ctx, released) }()
				synctest.Wait()
				g.Expect(lock.Held()).To(MatchError(cloudtrail.ErrNotLeading), "another process may lead before the answer is here")
				if failure == nil {
					g.Expect(<-done).To(Succeed())
				} else {
					g.Expect(<-done).To(MatchError(failure))
				}
				g.Expect(lock.Held()).To(MatchError(cloudtrail.ErrNotLeading))
			})
	}
}

// TestNew holds whose the lease is and where it lies.
func TestNew(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	first, err := New(&rest.Config{}, "trail-operator", "leader")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(first.Describe()).To(Equal("trail-operator/leader"))
	second, err := New(&rest.Config{}, "trail-operator", "leader")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(first.Identity()).NotTo(Equal(second.Identity()), "two processes of a host are two")
	g.Expect(first.Held()).To(MatchError(cloudtrail.ErrNotLeading))
	_, err = New(&rest.Config{}, "", "leader")
	g.Expect(err).To(MatchError(ContainSubstring("set --leader-election-namespace")), "this is no pod")
}

// TestPace holds that the leader gives up before another replica leads.
func TestPace(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	g.Expect(RenewDeadline).To(BeNumerically("<", Duration))
	g.Expect(RetryPeriod).To(BeNumerically("<", RenewDeadline))
}
