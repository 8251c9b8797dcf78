package apiserver

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// stream is the body of the answer to a watch. What is written waits in memory until it is read; Read waits for it. It
// needs no goroutine, and its timer runs while Read waits only.
type stream struct {
	ctx context.Context // It is the request's, and a body has no other way to learn that it ended.
	// deadline is when it ends by itself; zero: never.
	deadline time.Time
	now      func() time.Time
	// wake has an element when there may be something new.
	wake chan struct{}

	mutex    sync.Mutex
	buffer   []byte
	complete bool
	closed   bool
}

func newStream(ctx context.Context, deadline time.Time, now func() time.Time) *stream {
	return &stream{ctx: ctx, deadline: deadline, now: now, wake: make(chan struct{}, 1)}
}

// errClosed is of a read from a body that its reader has closed.
var errClosed = errors.New("the body of a watch was read after it was closed")

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	var expired <-chan time.Time
	if !s.deadline.IsZero() {
		timer := time.NewTimer(s.deadline.Sub(s.now()))
		defer timer.Stop()
		expired = timer.C
	}

	for {
		if n, err := s.take(p); n > 0 || err != nil {
			return n, err
		}
		select {
		case <-s.wake:
		case <-expired:
			s.end()
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		}
	}
}

// take returns what is there.
func (s *stream) take(p []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch {
	case s.closed:
		return 0, errClosed
	case s.ctx.Err() != nil:
		return 0, s.ctx.Err()
	case len(s.buffer) > 0:
		n := copy(p, s.buffer)
		s.buffer = s.buffer[n:]
		return n, nil
	case s.complete:
		return 0, io.EOF
	default:
		return 0, nil
	}
}

// Close implements io.Closer: the reader wants no more.
func (s *stream) Close() error {
	s.mutex.Lock()
	s.closed = true
	s.mutex.Unlock()
	s.signal()
	return nil
}

// write appends to the body, unless it has ended.
func (s *stream) write(p []byte) bool {
	if s.ended() {
		return false
	}
	s.mutex.Lock()
	s.buffer = append(s.buffer, p...)
	s.mutex.Unlock()
	s.signal()
	return true
}

// end ends the body after what was written.
func (s *stream) end() {
	s.mutex.Lock()
	s.complete = true
	s.mutex.Unlock()
	s.signal()
}

// ended tells whether nothing more can be written.
func (s *stream) ended() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.complete || s.closed || s.ctx.Err() != nil ||
		!s.deadline.IsZero() && !s.now().Before(s.deadline)
}

func (s *stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
