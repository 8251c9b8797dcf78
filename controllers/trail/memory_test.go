package trail

import (
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// trailOf is an object with this UID.
func trailOf(uid types.UID) *v1alpha1.Trail {
	return testTrail(func(trail *v1alpha1.Trail) { trail.UID = uid })
}

func noSessions() *cloudtrail.Sessions { return cloudtrail.NewSessions(cloudtrail.Options{}) }

// TestMemory holds that what is remembered of a Trail is its own, and goes with it.
func TestMemory(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var m memory
	m.forget("one", noSessions())
	one, other := m.of(trailOf("one"), nobody, nobody), m.of(trailOf("other"), nobody, nobody)
	g.Expect(one).NotTo(BeIdenticalTo(other))
	g.Expect(one.inSync).To(HaveLen(len(fields)))
	one.failing = testNow
	g.Expect(m.of(trailOf("one"), nobody, nobody)).To(BeIdenticalTo(one))
	g.Expect(other.failing).To(BeZero())

	m.forget("one", noSessions())
	m.forget("one", noSessions())
	g.Expect(m.of(trailOf("one"), nobody, nobody).failing).To(
		BeZero(), "an object of the name that is made anew is another one",
	)
	g.Expect(m.of(trailOf("other"), nobody, nobody)).To(BeIdenticalTo(other))
	m.forget("one", noSessions())
	m.forget("other", noSessions())
	g.Expect(m.trails).To(BeEmpty())
}

// TestOneWriterOfATrail holds that of several Trails which name one trail in AWS one at a time writes to it.
func TestOneWriterOfATrail(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var m memory
	one, other := m.of(trailOf("one"), nobody, nobody), m.of(trailOf("other"), nobody, nobody)
	g.Expect(m.take(one, testARN)).To(BeTrue())
	g.Expect(m.take(one, testARN)).To(BeTrue(), "it has it already")
	g.Expect(m.take(other, testARN)).To(BeFalse())
	g.Expect(m.take(other, testARN+"-2")).To(BeTrue(), "another trail")
	m.release(other)
	g.Expect(m.take(other, testARN)).To(BeFalse(), "nobody gives up what is another's")
	m.release(one)
	m.release(one)
	g.Expect(m.take(other, testARN)).To(BeTrue())

	m.forget("other", noSessions())
	g.Expect(m.take(one, testARN)).To(BeTrue(), "what a Trail has is given up when it is gone")
	m.release(one)
	g.Expect(m.busy).To(BeEmpty())
}

// TestOneTrailOfAWriter holds that a Trail that turns to another trail in AWS, as its identity leads elsewhere now,
// gives up the first.
func TestOneTrailOfAWriter(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var m memory
	one, other := m.of(trailOf("one"), nobody, nobody), m.of(trailOf("other"), nobody, nobody)
	g.Expect(m.take(one, testARN)).To(BeTrue())
	g.Expect(m.take(one, testARN+"-2")).To(BeTrue())
	g.Expect(m.take(other, testARN)).To(BeTrue())
	g.Expect(m.take(one, testARN)).To(BeFalse())
	g.Expect(m.take(other, testARN+"-2")).To(BeFalse(), "who asks in vain keeps what it has")
	m.release(one)
	m.release(other)
	g.Expect(m.busy).To(BeEmpty())
}

// TestWriterThatIsGone holds that a Trail that goes while it is worked on reserves no trail any more: nobody would give
// it up.
func TestWriterThatIsGone(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var m memory
	gone := m.of(trailOf("one"), nobody, nobody)
	m.forget("one", noSessions())
	g.Expect(m.take(gone, testARN)).To(BeFalse())
	g.Expect(m.take(m.of(trailOf("other"), nobody, nobody), testARN)).To(BeTrue())
}

// TestBegin holds that it is remembered when this process began to reconcile.
func TestBegin(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var m memory
	g.Expect(m.begin(testNow)).To(Equal(testNow))
	g.Expect(m.begin(testNow.Add(time.Hour))).To(Equal(testNow))
}

// TestResynced holds when all of a trail was read last.
func TestResynced(t *testing.T) {
	t.Parallel()
	no := awsError(cloudtrail.Transient, "a", "b", "c")
	for name, c := range map[string]struct {
		ends     ending
		resynced bool
	}{
		"all was read":        {ends(nil, nil), true},
		"there is none":       {ends(noTrail, nil), true},
		"it differs":          {ends(otherBucket, answers(no)), true},
		"a part was not read": {ends(func(o *observation) { o.insights.err = no }, nil), false},
		"tags were not read":  {ends(tagsFail(cloudtrail.Permission), nil), false},
		"nothing was read":    {fails(no), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			r, trail := &Reconciler{}, testTrail(nil)
			g.Expect(r.Resynced(trail.UID)).To(BeZero())
			r.learn(r.recordOf(trail), c.ends(trail), testNow)
			g.Expect(r.Resynced(trail.UID)).To(BeTemporally("==", map[bool]time.Time{true: testNow}[c.resynced]))
		})
	}
}

// TestMemoryRace holds that the memory may be used by many workers at a time; it is for the race detector.
func TestMemoryRace(t *testing.T) {
	t.Parallel()
	r, sessions := &Reconciler{}, noSessions()
	var wait sync.WaitGroup
	for _, uid := range []types.UID{"a", "b", "c", "d"} {
		wait.Go(func() {
			for range 200 {
				record := r.recordOf(trailOf(uid))
				r.memory.begin(testNow)
				if r.memory.take(record, testARN) {
					r.learn(record, ends(nil, nil)(trailOf(uid)), testNow)
					r.memory.release(record)
				}
				r.Resynced("a")
				r.memory.forget(uid, sessions)
			}
		})
	}
	wait.Wait()
	NewWithT(t).Expect(r.memory.busy).To(BeEmpty())
}
