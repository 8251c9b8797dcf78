package eventqueue

import (
	"context"
	"errors"
	"sync"
	"time"

	smithytime "github.com/aws/smithy-go/time"
	"golang.org/x/time/rate"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

const (
	// maxReceivers is how many receive from one queue at once at most.
	maxReceivers = 4
	// largeBatch is how many bytes ten messages may have for more receivers to help out. Those of EventBridge have some
	// kilobytes each; a message may have a megabyte.
	largeBatch = 1 << 20
	// unreadableInterval is how often a message that cannot be read is logged at most.
	unreadableInterval = time.Minute
	// shortPatience is how long SQS may wait for a message before its first answer, and for those who help out.
	shortPatience = time.Second
	// firstRetry and lastRetry bound the wait after a Receive that has failed, which doubles.
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// queue is the queue of an identity that is listened to.
type queue struct {
	listener *Listener
	identity *v1alpha1.AWSIdentity
	changed  func()
	// stop ends listening; nil: it has not begun. The Listener's lock guards it.
	stop context.CancelFunc

	mu     sync.Mutex
	health health
	shown  State
	// source is the queue in SQS as it is read with a session, and accountID the account of that.
	source     *cloudtrail.Queue
	session    *cloudtrail.Session
	accountID  string
	unreadable rate.Sometimes
	// helpers is how many receive beside listen.
	helpers int
}

func newQueue(l *Listener, identity *v1alpha1.AWSIdentity, changed func()) *queue {
	return &queue{listener: l, identity: identity, changed: changed, health: healthOf(identity),
		unreadable: rate.Sometimes{Interval: unreadableInterval},
	}
}

// state returns how it goes, and remembers that it is known.
func (q *queue) state() *State {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.shown = q.health.state(q.listener.options.Now())
	state := q.shown
	return &state
}

// note changes what is known, and tells when that changes how it goes.
func (q *queue) note(change func(*health, time.Time)) {
	now := q.listener.options.Now()
	q.mu.Lock()
	change(&q.health, now)
	turned := q.turned(q.health.state(now))
	q.mu.Unlock()
	if turned {
		q.changed()
	}
}

// turned tells whether a state is another one than the one that is shown, as far as a condition tells.
func (q *queue) turned(state State) bool {
	said := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	return state.Received != q.shown.Received || state.Silent != q.shown.Silent || said(state.Err) != said(q.shown.Err)
}

// wrote takes note of one of the operator's own writes. Each Receive finds out whether one was not heard of.
func (q *queue) wrote(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.health.wrote(now)
}

// listen receives until the context ends.
func (q *queue) listen(ctx context.Context) {
	wait := firstRetry
	for ctx.Err() == nil {
		full, err := q.receive(ctx, q.patience())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if smithytime.SleepWithContext(ctx, wait) != nil {
				return
			}
			wait = min(2*wait, lastRetry)
		default:
			wait = firstRetry
			if full {
				q.helpOut(ctx)
			}
		}
	}
}

// helpOut receives beside listen for as long as there is more than one can receive.
func (q *queue) helpOut(ctx context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.helpers == maxReceivers-1 {
		return
	}
	q.helpers++
	q.listener.group.Go(func() {
		for full := true; full && ctx.Err() == nil; {
			var err error
			if full, err = q.receive(ctx, shortPatience); err != nil {
				break // It is for listen to try again.
			}
		}
		q.mu.Lock()
		q.helpers--
		q.mu.Unlock()
	})
}

// receive receives messages once, for which SQS may wait, and deletes those that were heard. It tells whether there may
// be more.
func (q *queue) receive(ctx context.Context, patience time.Duration) (full bool, err error) {
	source, err := q.open(ctx)
	var messages []cloudtrail.Message
	if err == nil {
		messages, err = source.Receive(ctx, patience)
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	q.note(func(h *health, now time.Time) { h.receiving.ended(err, now) })
	if err != nil || len(messages) == 0 {
		return false, err
	}

	size := 0
	heard := make([]cloudtrail.Message, 0, len(messages))
	for _, m := range messages {
		size += len(m.Body)
		if q.hear(m) {
			heard = append(heard, m)
		}
	}
	err = source.Delete(ctx, heard)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	q.note(func(h *health, now time.Time) { h.deleting.ended(err, now) })
	return len(messages) == cloudtrail.MaxBatch && size < largeBatch, err
}

// patience returns how long SQS may wait for a message before it answers: long, as each answer is to be paid for, but
// not while it is not known how it goes.
func (q *queue) patience() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if h := &q.health.receiving; !h.succeeded || h.err != nil {
		return shortPatience
	}
	return cloudtrail.LongestReceive
}

// open returns the queue in SQS, read as the identity is known to AWS now.
func (q *queue) open(ctx context.Context) (*cloudtrail.Queue, error) {
	session, err := q.listener.options.Sessions.Open(ctx, q.identity)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.source == nil || q.session != session {
		if q.source, err = session.Queue(q.identity.Spec.EventQueueURL); err != nil {
			return nil, err
		}
		q.session, q.accountID = session, session.AccountID
	}
	return q.source, nil
}

// hear tells of a message, and whether it is to be deleted.
func (q *queue) hear(m cloudtrail.Message) bool {
	notice, err := cloudtrail.ParseNotice(m.Body)
	kind := KindUnknown
	switch {
	case err == nil:
		kind = q.listener.options.Hear(notice)
	case !errors.Is(err, cloudtrail.ErrNoCall):
		kind = KindUnreadable
	}

	meter, name := q.listener.options.Meter, q.identity.Name
	meter.EventReceived(name, kind)
	if notice != nil {
		q.note(func(h *health, _ time.Time) {
			if notice.AccountID == q.accountID {
				h.heard()
			}
		})
	}
	switch kind {
	case KindTrail, KindDependency, KindRefused:
		meter.EventHeard(name, max(0, q.listener.options.Now().Sub(notice.Time)))
	case KindUnreadable:
		q.unreadable.Do(func() {
			ctrl.Log.WithName("eventqueue").Info("a message cannot be read, and is left to the dead-letter queue",
				"identity", name, "error", err.Error())
		})
	}
	return kind != KindUnreadable
}
