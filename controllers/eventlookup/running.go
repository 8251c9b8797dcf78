package eventlookup

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// longestRun is how long a lookup may take: a thousand events are twenty pages, of which an account and region gives
// two a second to all who ask.
const longestRun = time.Hour

// running are the lookups that are being run, with what AWS has answered them so far.
type running struct {
	mu    sync.Mutex
	calls map[types.UID]*lookupCalls
	// count is how many of them there are of a namespace with an identity.
	count map[string]int
}

type lookupCalls struct {
	*cloudtrail.Calls
	counted string
}

// begin returns the calls of a lookup, and whether they are new; nil when too many others of its namespace are being
// run with its identity.
func (r *running) begin(
	lookup *v1alpha1.EventLookup,
	wake func(types.NamespacedName),
) (calls *cloudtrail.Calls, isNew bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.calls[lookup.UID]; ok {
		return known.Calls, false
	}
	counted := lookup.Namespace + "/" + lookup.IdentityName()
	if r.count[counted] >= runningAtOnce {
		return nil, false
	}
	r.count[counted]++
	key := types.NamespacedName{Namespace: lookup.Namespace, Name: lookup.Name}
	calls = cloudtrail.NewCalls(key.Namespace, key.Name, func() { wake(key) })
	r.calls[lookup.UID] = &lookupCalls{calls, counted}
	return calls, true
}

// retry makes the next run go on with the page that failed; the first one, when the page is not to be had any more.
func (r *running) retry(uid types.UID, err error) {
	r.mu.Lock()
	known, ok := r.calls[uid]
	r.mu.Unlock()
	if ok {
		known.Retry(cloudtrail.IsPageLost(err))
	}
}

// end forgets a lookup that is finished, or gone, or to be tried again later.
func (r *running) end(uid types.UID, sessions *cloudtrail.Sessions) {
	r.mu.Lock()
	known, ok := r.calls[uid]
	delete(r.calls, uid)
	if ok {
		if r.count[known.counted]--; r.count[known.counted] == 0 {
			delete(r.count, known.counted)
		}
	}
	r.mu.Unlock()
	if ok {
		known.End(sessions)
	}
}
