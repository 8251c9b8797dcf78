// Package clock is time in tests: a clock that a test sets, and times that a machine's clocks make only by accident.
package clock

import (
	"sync"
	"time"
	"unsafe"
)

// Clock is a clock that a test sets. The zero value is the wall clock. Calls that nobody waits for any more may read it
// while the test sets it.
type Clock struct {
	mu sync.Mutex
	// at is what the clock was set to; zero: it is the wall clock.
	at time.Time
	// since is when it began to go on from there by itself; zero: it stands still.
	since time.Time
}

// New returns a clock that stands still at this time.
func New(at time.Time) *Clock { return &Clock{at: at} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

// now needs the lock.
func (c *Clock) now() time.Time {
	switch {
	case c.at.IsZero():
		return time.Now()
	case c.since.IsZero():
		return c.at
	default:
		return c.at.Add(time.Since(c.since))
	}
}

// Set makes the clock stand still at this time; at the zero time it becomes the wall clock.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.since = at, time.Time{}
}

// Add makes time pass at once. A clock that stands still stands still afterwards, and one that goes on goes on.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() {
		c.at = time.Now()
		c.since = c.at
	}
	c.at = c.at.Add(d)
}

// Run makes the clock go on by itself from where it stands.
func (c *Clock) Run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.since = c.now(), time.Now()
}

// Ahead returns a time whose monotonic clock is ahead of its wall clock, as those of two machines may be, or of one
// that was suspended. The time must have a monotonic clock, as time.Now's has.
func Ahead(t time.Time, by time.Duration) time.Time {
	parts := (*struct {
		wall uint64
		ext  int64
	})(unsafe.Pointer(&t)) // There is no other way to a time whose clocks disagree.
	parts.ext += int64(by)
	return t
}
