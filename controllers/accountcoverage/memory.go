package accountcoverage

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// memory is what the controller remembers of identities from one reconcile to the next.
type memory struct {
	mu         sync.Mutex
	identities map[types.UID]*record
	// changed is when something has changed that identities are to be assessed for, by their names.
	changed map[string]time.Time
}

// record is what is remembered of one identity.
type record struct {
	calls *cloudtrail.Calls
	// handled is the reconcile annotation that this process has acted on.
	handled string
	// running is the assessment under way, and assessed when the last one of this process began.
	running  *assessment
	assessed time.Time
}

// assessment is one assessment of an account, however often its reconcile has to wait for AWS.
type assessment struct {
	began      time.Time
	generation int64
	// request is the reconcile annotation that it acts on.
	request string
}

// requested tells whether an identity has a request that was not acted on yet.
func (r *record) requested(identity *v1alpha1.AWSIdentity) bool {
	return v1alpha1.IsRequested(identity, r.handled)
}

// of returns the record of an identity. wake is called when a call to AWS can go on.
func (m *memory) of(identity *v1alpha1.AWSIdentity, wake func(types.NamespacedName)) *record {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.identities[identity.UID]
	if !ok {
		key := types.NamespacedName{Name: identity.Name}
		known = &record{
			calls:   cloudtrail.NewCalls("", identity.Name, func() { wake(key) }),
			handled: identity.Status.LastHandledReconcileAt,
		}
		if m.identities == nil {
			m.identities = map[types.UID]*record{}
		}
		m.identities[identity.UID] = known
	}
	return known
}

// change notes that an identity is to be assessed.
func (m *memory) change(name string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changed == nil {
		m.changed = map[string]time.Time{}
	}
	m.changed[name] = at
}

// changedAt returns when something has last changed of an identity, the zero time for never.
func (m *memory) changedAt(name string) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed[name]
}

// unchange forgets changes that an assessment has seen.
func (m *memory) unchange(name string, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.changed[name].After(until) {
		delete(m.changed, name)
	}
}

// forget drops what is remembered of an identity.
func (m *memory) forget(uid types.UID, name string, sessions *cloudtrail.Sessions) {
	m.mu.Lock()
	known, ok := m.identities[uid]
	delete(m.identities, uid)
	delete(m.changed, name)
	m.mu.Unlock()
	if ok {
		known.calls.End(sessions)
	}
}
