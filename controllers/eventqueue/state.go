package eventqueue

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// State is how it goes with a queue.
type State struct {
	// Err is why nothing can be received, an *cloudtrail.Error; nil when something can, or when it is not known yet.
	Err error
	// Received says that the queue was received from since this process listens to it, or the spec has changed.
	Received bool
	// Silent says that the operator has written to trails, and that no event of the account has come since.
	Silent bool
}

const (
	// silentAfter is how long after one of the operator's own writes its event is waited for. EventBridge needs seconds to
	// two minutes as a rule.
	silentAfter = 15 * time.Minute
	// undeletedFor is how long it is shown that messages could not be deleted. They come again after the queue's
	// visibility timeout; when none does, they were deleted all the same.
	undeletedFor = 15 * time.Minute
	// hideFaults is how long a passing fault is retried before it is shown.
	hideFaults = time.Minute
)

// health is what a queue's state is made of.
type health struct {
	receiving, deleting attempts
	// unheard is when the first of the operator's own writes was made since which no event of the account has come; zero:
	// there is none.
	unheard time.Time
	// silent keeps what was known before this process until something is heard.
	silent bool
}

// attempts are how the calls of one kind have ended.
type attempts struct {
	succeeded bool
	// err is why the last one has failed, and failing since when they do; nil: it has not. last is when that was.
	err           error
	failing, last time.Time
}

// ended takes note of how a call has ended.
func (a *attempts) ended(err error, now time.Time) {
	if err == nil {
		a.succeeded = true
	} else if a.err == nil {
		a.failing = now
	}
	a.err, a.last = err, now
}

// shown returns the error that is worth showing at a time: one that may pass only when it lasts.
func (a *attempts) shown(now time.Time) error {
	if a.err != nil && cloudtrail.Is(a.err, cloudtrail.Transient) && now.Sub(a.failing) < hideFaults {
		return nil
	}
	return a.err
}

// healthOf returns what the status of an identity tells of its queue.
func healthOf(identity *v1alpha1.AWSIdentity) health {
	listening := meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionListening)
	return health{silent: listening != nil && listening.Reason == v1alpha1.ReasonSilent &&
		listening.ObservedGeneration == identity.Generation}
}

// state returns what is to be shown at a time.
func (h *health) state(now time.Time) State {
	err := h.receiving.shown(now)
	if err == nil && now.Sub(h.deleting.last) < undeletedFor {
		err = h.deleting.shown(now)
	}
	return State{
		Err:      err,
		Received: h.receiving.succeeded,
		Silent:   h.silent || !h.unheard.IsZero() && now.Sub(h.unheard) >= silentAfter,
	}
}

// wrote takes note of one of the operator's own writes, and heard of an event of the account.
func (h *health) wrote(now time.Time) {
	if h.unheard.IsZero() {
		h.unheard = now
	}
}

func (h *health) heard() { h.unheard, h.silent = time.Time{}, false }
