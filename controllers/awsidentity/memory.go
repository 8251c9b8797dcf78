package awsidentity

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// memory is what the controller remembers of identities from one reconcile to the next.
type memory struct {
	mu         sync.Mutex
	identities map[types.UID]*record
}

// record is what is remembered of one identity.
type record struct {
	calls *cloudtrail.Calls
	// handled is the reconcile annotation that this process has acted on. The status does not tell: it may be that of
	// another operator in the cluster, which has sessions of its own.
	handled string
}

// of returns the record of an identity. One that is new to this process has no old session here; its status is as good
// as any memory. wake is called when a call to AWS can go on.
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

// requested tells whether an identity has a request that was not acted on yet.
func (r *record) requested(identity *v1alpha1.AWSIdentity) bool {
	return v1alpha1.IsRequested(identity, r.handled)
}

// forget drops what is remembered of an identity.
func (m *memory) forget(uid types.UID, sessions *cloudtrail.Sessions) {
	m.mu.Lock()
	known, ok := m.identities[uid]
	delete(m.identities, uid)
	m.mu.Unlock()
	if ok {
		known.calls.End(sessions)
	}
}
