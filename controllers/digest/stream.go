package digest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"
)

// ahead is how many digests of a chain are read before they are needed.
const ahead = 64

// item is a digest in a list, with what became of reading it.
type item struct {
	name
	// done is closed when the digest was read; nil: nobody reads it.
	done chan struct{}
	file *file
	err  error
}

// stream is the digests in a place, in the order of their keys. They are read in parallel before they are needed, and
// returned in order.
type stream struct {
	reader *reader
	next   func() (name, error, bool)
	stop   func()
	cancel context.CancelFunc
	reads  sync.WaitGroup
	// until is the time after which digests are read one at a time, as probably only the first one is needed.
	until time.Time
	queue []*item
	ended bool
	err   error
}

// newStream returns the digests that list yields. close must be called.
func newStream(
	ctx context.Context,
	r *reader,
	list func(context.Context) iter.Seq2[name, error],
	until time.Time,
) (context.Context, *stream) {
	ctx, cancel := context.WithCancel(ctx)
	next, stop := iter.Pull2(list(ctx))
	return ctx, &stream{reader: r, next: next, stop: stop, cancel: cancel, until: until}
}

// close ends what is still being read, and waits for it.
func (s *stream) close() {
	s.cancel()
	s.stop()
	s.reads.Wait()
}

// pop returns the next digest; nil: there is none. The error is that of the list, or the context's.
func (s *stream) pop(ctx context.Context) (*item, error) {
	first, err := s.peek(ctx, 0)
	if first != nil {
		s.queue = s.queue[1:]
	}
	return first, err
}

// peek returns the i-th of the next digests, and leaves it there; nil: there is none.
func (s *stream) peek(ctx context.Context, i int) (*item, error) {
	s.fill(ctx, i+1)
	if i >= len(s.queue) {
		return nil, s.err
	}
	found := s.queue[i]
	if found.done == nil {
		return found, nil
	}
	select {
	case <-found.done:
		return found, ctx.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fill reads the list on until so many digests are being read, and as many more as are read ahead.
func (s *stream) fill(ctx context.Context, needed int) {
	for !s.ended && len(s.queue) < max(needed, ahead) {
		if last := len(s.queue) - 1; last+1 >= needed && last >= 0 && s.queue[last].time.After(s.until) {
			return
		}
		n, err, ok := s.next()
		if !ok || err != nil {
			s.ended = true
			if !errors.Is(err, ErrNotFound) { // A bucket that is not there has no digests.
				s.err = err
			}
			return
		}
		s.queue = append(s.queue, s.read(ctx, n))
	}
}

// read begins to read a digest.
func (s *stream) read(ctx context.Context, n name) *item {
	started := &item{name: n}
	if n.misplaced {
		return started
	}
	started.done = make(chan struct{})
	s.reads.Go(func() {
		defer close(started.done)
		started.file, started.err = s.reader.read(ctx, n)
	})
	return started
}
