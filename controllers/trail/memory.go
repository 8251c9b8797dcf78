package trail

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// memory is what the controller remembers of Trails from one reconcile to the next. It is lost with the process, after
// which some things are tried once more, or told less exactly.
type memory struct {
	mu     sync.Mutex
	trails map[types.UID]*record
	// busy are the trails in AWS that are being written to, with the records of the Trails on whose behalf.
	busy map[string]*record
	// began is when this process began to reconcile.
	began time.Time
}

// record is what is remembered of one Trail. Two reconciles of a Trail never run at a time; what others read is under
// the memory's lock.
type record struct {
	// calls are those of the reconcile that is under way, and lookups those of the search for who made a drift.
	calls, lookups *cloudtrail.Calls
	// holds is the trail in AWS that is being written to; "" for none.
	holds string
	// gone says that there is no such Trail any more, although it may still be worked on.
	gone bool
	// resynced is when all of the trail was read last.
	resynced time.Time
	// hints are what was heard from outside.
	hints hints

	// underWay is what the reconcile under way came to in its last run; nil when none is.
	underWay *outcome
	// unconfirmed is what came of the last reconcile when its status may not have been written; nil when it was.
	unconfirmed *unconfirmed

	// retaining is since when the object is to be let go of without deleting its trail.
	retaining time.Time
	// failing is since when passing faults are met; zero: the last reconcile met none.
	failing time.Time
	// inSync is when each field was last known to be as the spec says, in Unix seconds; 0: not known.
	inSync []int64
	// created is when CreateTrail was last sent and may have been accepted, and createdBefore when the time before that.
	created, createdBefore time.Time
	// uncreated says that no status was written since then, or none that can be believed (see mayBeFormer): what
	// CreateTrail does not set is not what it was.
	uncreated bool
	// refused are the steps that AWS has refused, by what they were to do, with its answers.
	refused map[string]error
	// written are the fields that were set and were not seen to be kept since, by their number.
	written map[int]writtenField
}

// of returns the record of a Trail. wake is called when a call to AWS on its behalf can go on, and lookup when one of
// the search for who made a drift can.
func (m *memory) of(trail *v1alpha1.Trail, wake, lookup func(types.NamespacedName)) *record {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.trails[trail.UID]
	if !ok {
		key := types.NamespacedName{Namespace: trail.Namespace, Name: trail.Name}
		known = &record{
			calls:   cloudtrail.NewCalls(key.Namespace, key.Name, func() { wake(key) }),
			lookups: cloudtrail.NewCalls(key.Namespace, key.Name, func() { lookup(key) }),
			inSync:  make([]int64, len(fields)),
		}
		if m.trails == nil {
			m.trails, m.busy = map[types.UID]*record{}, map[string]*record{}
		}
		m.trails[trail.UID] = known
	}
	return known
}

// forget drops what is remembered of a Trail that is gone.
func (m *memory) forget(uid types.UID, sessions *cloudtrail.Sessions) {
	m.mu.Lock()
	known, ok := m.trails[uid]
	if ok {
		known.gone = true
		delete(m.trails, uid)
	}
	m.mu.Unlock()
	if !ok {
		return
	}
	m.release(known)
	known.calls.End(sessions)
	known.lookups.End(sessions)
}

// begin notes when this process began to reconcile, and returns it.
func (m *memory) begin(now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.began.IsZero() {
		m.began = now
	}
	return m.began
}

// take reserves a trail in AWS for the writes of one Trail, which gives up any other that it had. It fails while
// another Trail has it.
func (m *memory) take(r *record, arn string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if holder, taken := m.busy[arn]; r.gone || taken && holder != r {
		return false
	}
	delete(m.busy, r.holds)
	m.busy[arn], r.holds = r, arn
	return true
}

// release gives up the trail that a Trail has reserved.
func (m *memory) release(r *record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.holds != "" {
		delete(m.busy, r.holds)
		r.holds = ""
	}
}

// Resynced returns when all of a Trail's trail was last read, the zero time when this process has not done so.
func (r *Reconciler) Resynced(uid types.UID) time.Time {
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	if known, ok := r.memory.trails[uid]; ok {
		return known.resynced
	}
	return time.Time{}
}
