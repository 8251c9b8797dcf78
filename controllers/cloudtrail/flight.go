package cloudtrail

import (
	"context"
	"slices"
	"sync"
	"time"
)

// flight is work that is done once for all who wait for it, on none of their contexts: one that gives up does not fail
// the others.
type flight struct {
	operation string
	// began is when the work began: by the clock that what was read is judged by, and by the machine's.
	began, start time.Time
	done         chan struct{}
	// err is there when done is closed.
	err error

	mu   sync.Mutex
	over bool
	// waiting are those to be woken at the end, who has waited longest first.
	waiting []*Calls
}

// fly begins work. It ends after sharedReadTimeout at the latest, and calls landed before anybody hears of it.
func fly(
	ctx context.Context,
	operation string,
	now time.Time,
	work func(context.Context) error,
	landed func(*flight),
) *flight {
	f := &flight{
		operation: operation,
		began:     now,
		start:     time.Now(),
		done:      make(chan struct{}),
	}
	shared, cancel := context.WithTimeout(withoutCalls(context.WithoutCancel(ctx)), sharedReadTimeout)
	go func() {
		defer cancel()
		f.err = work(shared)
		landed(f)
		close(f.done)

		f.mu.Lock()
		waiting := f.waiting
		f.over, f.waiting = true, nil
		f.mu.Unlock()
		for _, c := range waiting {
			c.wake()
		}
	}()
	return f
}

func (f *flight) isOver() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// failed tells whether the work is over and has failed.
func (f *flight) failed() bool { return f.isOver() && f.err != nil }

// wait waits for the end of the work: a reconcile for a moment, and not at all if others have waited for longer; it is
// woken up at the end. All others wait for as long as their context lasts.
func (f *flight) wait(ctx context.Context, maxWait time.Duration) error {
	c := callsOf(ctx)
	if c == nil {
		select {
		case <-f.done:
			return nil
		case <-ctx.Done():
			return classify(f.operation, ctx.Err())
		}
	}

	timer := time.NewTimer(max(0, maxWait-time.Since(f.start)))
	defer timer.Stop()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return classify(f.operation, ctx.Err())
	case <-timer.C:
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return nil // Just now.
	}
	if !slices.Contains(f.waiting, c) {
		f.waiting = append(f.waiting, c)
	}
	return &Pending{Operation: f.operation, After: unansweredWait}
}

// withoutCalls returns a context whose calls are nobody's: they wait for their turn, as a tenant of their own.
func withoutCalls(ctx context.Context) context.Context {
	return context.WithValue(WithActor(ctx, ""), callsKey{}, (*Calls)(nil))
}
