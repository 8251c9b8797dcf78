package digest

import "context"

// A Validator of its own reads so many objects at once.
const defaultObjects = 64

// acquire waits until one more object may be read. The error is the context's.
func (l *Limits) acquire(ctx context.Context) error { return take(ctx, l.objects) }

// release says that an object was read.
func (l *Limits) release() { <-l.objects }

// do calls a function that reads an object, once it may be read.
func (l *Limits) do(ctx context.Context, read func() error) error {
	if err := l.acquire(ctx); err != nil {
		return err
	}
	defer l.release()
	return read()
}

// take waits for a place in a channel. A context that has ended takes none.
func take(ctx context.Context, places chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
