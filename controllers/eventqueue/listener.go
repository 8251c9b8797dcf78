package eventqueue

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// Kind is what a message was to those who heard it.
type Kind string

// The kinds of messages.
const (
	// KindTrail is a call that changed a trail of a Trail.
	KindTrail Kind = "trail"
	// KindDependency is a call that changed what a Trail depends on, such as a bucket's policy.
	KindDependency Kind = "dependency"
	// KindRefused is an attempt to change a trail of a Trail that AWS has refused.
	KindRefused Kind = "refused"
	// KindOwn is a call of the operator itself.
	KindOwn Kind = "own"
	// KindForeign is a call that concerns no Trail.
	KindForeign Kind = "foreign"
	// KindUnknown is an event of another kind.
	KindUnknown Kind = "unknown"
	// KindUnreadable is what is not an event of EventBridge. It is left to the dead-letter queue.
	KindUnreadable Kind = "unreadable"
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{
		KindTrail, KindDependency, KindRefused, KindOwn, KindForeign, KindUnknown, KindUnreadable,
	}
}

// Meter is told what is received. It is safe for concurrent use.
type Meter interface {
	// EventReceived tells of a message of an identity's queue.
	EventReceived(identity string, kind Kind)
	// EventHeard tells how long after a call its event was heard, for those that concern a Trail.
	EventHeard(identity string, after time.Duration)
	// NotListening tells that an identity has no queue any more.
	NotListening(identity string)
}

// Options are what a Listener needs. All but Now are required.
type Options struct {
	Sessions *cloudtrail.Sessions
	// Hear is told of each call and tells what it was. It must not block.
	Hear  func(*cloudtrail.Notice) Kind
	Meter Meter
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Listener listens to the queues of identities, in the process that leads.
type Listener struct {
	options Options

	mu     sync.Mutex
	queues map[types.UID]*queue
	// added says that there is a queue that is not listened to yet.
	added chan struct{}
	group sync.WaitGroup
}

var (
	_ manager.Runnable               = (*Listener)(nil)
	_ manager.LeaderElectionRunnable = (*Listener)(nil)
)

// New returns a Listener that listens to nothing. It refuses options that are not complete.
func New(options Options) (*Listener, error) {
	if options.Sessions == nil || options.Hear == nil || options.Meter == nil {
		return nil, errors.New("eventqueue: Sessions, Hear and Meter are required")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Listener{options: options, queues: map[types.UID]*queue{}, added: make(chan struct{}, 1)}, nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (l *Listener) NeedLeaderElection() bool { return true }

// Start listens until the context ends, and returns when nothing is received any more.
func (l *Listener) Start(ctx context.Context) error {
	defer l.group.Wait()
	for {
		l.listen(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-l.added:
		}
	}
}

// listen begins to listen to the queues that are not listened to yet.
func (l *Listener) listen(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.queues {
		if q.stop != nil {
			continue
		}
		listening, cancel := context.WithCancel(ctx)
		q.stop = cancel
		l.group.Go(func() { q.listen(listening) })
	}
}

// Follow listens to the queue of an identity as its spec says, and returns how it goes; nil when it has none. changed
// is called when that is not so any more; it must not block.
func (l *Listener) Follow(identity *v1alpha1.AWSIdentity, changed func()) *State {
	q := l.queueOf(identity, changed)
	if q == nil {
		return nil
	}
	return q.state()
}

// queueOf returns the queue of an identity as its spec says, nil when it has none.
func (l *Listener) queueOf(identity *v1alpha1.AWSIdentity, changed func()) *queue {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.queues[identity.UID]
	if ok && known.identity.Generation != identity.Generation {
		l.end(known)
		ok = false
	}
	switch {
	case identity.Spec.EventQueueURL == "":
		l.options.Meter.NotListening(identity.Name)
		return nil
	case ok:
		return known
	}

	added := newQueue(l, identity.DeepCopy(), changed)
	l.queues[identity.UID] = added
	select {
	case l.added <- struct{}{}:
	default: // It is known already that there is one.
	}
	return added
}

// Forget stops listening for an identity that is gone.
func (l *Listener) Forget(uid types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.queues[uid]; ok {
		l.end(known)
		l.options.Meter.NotListening(known.identity.Name)
	}
}

// Wrote tells that the operator has written to a trail as an identity, which an event is expected of.
func (l *Listener) Wrote(identity string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.queues {
		if q.identity.Name == identity {
			q.wrote(l.options.Now())
		}
	}
}

// end stops listening to a queue. The caller holds the lock.
func (l *Listener) end(q *queue) {
	if q.stop != nil {
		q.stop()
	}
	delete(l.queues, q.identity.UID)
}
