package digest_test

import (
	"bytes"
	"context"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// object is an object in memory.
type object struct {
	body     []byte
	metadata map[string]string
	modified time.Time
}

// storage is S3 in memory. It counts what it is asked, and may fail.
type storage struct {
	mu      sync.Mutex
	buckets map[string]map[string]*object
	sorted  map[string][]string
	// asOf hides what was written later; the zero time: nothing.
	asOf time.Time
	// fail returns the error of an operation on a key or prefix; nil: none.
	fail func(operation, bucket, key string) error
	// wait is called before every answer, and again for each page of a list.
	wait  func()
	calls map[string]int
	opens map[string]int
}

const pageSize = 1000

func newStorage() *storage {
	return &storage{
		buckets: map[string]map[string]*object{}, sorted: map[string][]string{},
		calls: map[string]int{}, opens: map[string]int{},
	}
}

func (s *storage) put(bucket, key string, o *object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[bucket] == nil {
		s.buckets[bucket] = map[string]*object{}
	}
	s.buckets[bucket][key] = o
	delete(s.sorted, bucket)
}

func (s *storage) get(t testing.TB, bucket, key string) *object {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.buckets[bucket][key]
	if found == nil {
		t.Fatalf("no %s in %s", key, bucket)
	}
	return found
}

func (s *storage) remove(bucket, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.buckets[bucket], key)
	delete(s.sorted, bucket)
}

// copy returns a storage with the same objects, of which one can be exchanged for another.
func (s *storage) copy() *storage {
	c := newStorage()
	for bucket, objects := range s.buckets {
		c.buckets[bucket] = maps.Clone(objects)
	}
	c.asOf = s.asOf
	return c
}

// count notes a call, and returns how it fails.
func (s *storage) count(ctx context.Context, operation, bucket, key string) error {
	if s.wait != nil {
		s.wait()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[operation]++
	if operation == "Open" {
		s.opens[key]++
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.fail != nil {
		return s.fail(operation, bucket, key)
	}
	return nil
}

// keys returns the keys of a bucket under a prefix after a key.
func (s *storage) keys(bucket, prefix, after string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[bucket] == nil {
		return nil, digest.ErrNotFound
	}
	if s.sorted[bucket] == nil {
		s.sorted[bucket] = slices.Sorted(maps.Keys(s.buckets[bucket]))
	}
	sorted := s.sorted[bucket]
	from, found := slices.BinarySearch(sorted, max(prefix, after))
	if found && after >= prefix {
		from++
	}
	to := from
	for to < len(sorted) && strings.HasPrefix(sorted[to], prefix) {
		to++
	}
	return sorted[from:to], nil
}

func (s *storage) shown(bucket, key string) *object {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.buckets[bucket][key]
	if o == nil || !s.asOf.IsZero() && o.modified.After(s.asOf) {
		return nil
	}
	return o
}

// List implements digest.Storage.
func (s *storage) List(ctx context.Context, bucket, prefix, after string) iter.Seq2[digest.Object, error] {
	return func(yield func(digest.Object, error) bool) {
		if err := s.count(ctx, "List", bucket, prefix); err != nil {
			yield(digest.Object{}, err)
			return
		}
		keys, err := s.keys(bucket, prefix, after)
		if err != nil {
			yield(digest.Object{}, err)
			return
		}
		for i, key := range keys {
			if i > 0 && i%pageSize == 0 {
				if err := s.count(ctx, "List", bucket, prefix); err != nil {
					yield(digest.Object{}, err)
					return
				}
			}
			o := s.shown(bucket, key)
			if o == nil {
				continue
			}
			if !yield(digest.Object{Key: key, Size: int64(len(o.body)), LastModified: o.modified}, nil) {
				return
			}
		}
	}
}

// Folders implements digest.Storage.
func (s *storage) Folders(ctx context.Context, bucket, prefix string) ([]string, error) {
	if err := s.count(ctx, "Folders", bucket, prefix); err != nil {
		return nil, err
	}
	keys, err := s.keys(bucket, prefix, "")
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, key := range keys {
		folder, _, isFolder := strings.Cut(key[len(prefix):], "/")
		if isFolder && !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	return folders, nil
}

// Open implements digest.Storage.
func (s *storage) Open(ctx context.Context, bucket, key string) (*digest.Content, error) {
	if err := s.count(ctx, "Open", bucket, key); err != nil {
		return nil, err
	}
	o := s.shown(bucket, key)
	if o == nil {
		return nil, digest.ErrNotFound
	}
	body := io.NopCloser(bytes.NewReader(o.body))
	return &digest.Content{
		Body: body, Size: int64(len(o.body)), Metadata: maps.Clone(o.metadata), LastModified: o.modified,
	}, nil
}

// resetCalls forgets what was asked.
func (s *storage) resetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.calls)
	clear(s.opens)
}
