package cloudtrail

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// snapshot is what was last read of all trails of a region, shared by all that ask: one DescribeTrails and a ListTags
// for each twenty trails answer for everyone.
type snapshot struct {
	now    func() time.Time
	settle time.Duration
	flight singleflight.Group

	mu     sync.Mutex
	taken  time.Time // when the read began; zero: never read, or not to be believed any more
	doubts int       // how often the snapshot was distrusted: a read that began before the last doubt is not believed
	byARN  map[string]*Trail
	byName map[string]*Trail
	// written are the answers to our own writes, by ARN, until later reads have settled.
	written map[string]write
	used    time.Time
	release *time.Timer // nil: nothing is held
}

// unused is how long what was read is held after it was last used: longer than anybody is served from it but those who wait for a turn
// under the rate limit, and than own writes are believed.
const unused = 15 * time.Second

type write struct {
	at    time.Time
	trail *Trail // nil: deleted
}

func newSnapshot(now func() time.Time, settle time.Duration) *snapshot {
	return &snapshot{now: now, settle: settle}
}

// refresh makes sure that the snapshot is at most maxAge old; it calls fetch when it is older. Of callers at the
// same time one fetches for all, on a context of its own: a caller that gives up must not fail the others.
func (s *snapshot) refresh(ctx context.Context, maxAge time.Duration, fetch func(context.Context) ([]*Trail, error)) error {
	notBefore := s.now().Add(-maxAge)
	for !s.takenSince(notBefore) {
		result := s.flight.DoChan("", func() (any, error) {
			shared, cancel := context.WithTimeout(patient(context.WithoutCancel(ctx)), sharedReadTimeout)
			defer cancel()
			start, doubts := s.begin()
			trails, err := fetch(shared)
			if err == nil {
				s.store(start, doubts, trails)
			}
			return nil, err
		})
		select {
		case r := <-result:
			if r.Err != nil {
				return r.Err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// begin returns when a read begins and how often the snapshot was distrusted before.
func (s *snapshot) begin() (time.Time, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now(), s.doubts
}

// takenSince tells whether what is held was read since then; it stays held for the caller if so.
func (s *snapshot) takenSince(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken.IsZero() || s.taken.Before(t) {
		return false
	}
	s.use()
	return true
}

// use notes that what is held is used. The caller holds the lock.
func (s *snapshot) use() {
	s.used = time.Now()
	if s.release == nil {
		s.release = time.AfterFunc(max(unused, s.settle), s.forget)
	}
}

// forget lets go of what nobody uses: of thousands of accounts few are looked at together.
func (s *snapshot) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if left := max(unused, s.settle) - time.Since(s.used); left > 0 {
		s.release.Reset(left)
		return
	}
	s.release = nil
	s.taken = time.Time{}
	s.byARN, s.byName, s.written = nil, nil, nil
}

// find returns a copy of the trail with the ARN or else of that name, nil when there is none. The ARN may be "".
func (s *snapshot) find(arn, name string) *Trail {
	s.mu.Lock()
	defer s.mu.Unlock()
	trail, ok := s.byARN[arn]
	if !ok {
		trail = s.byName[name]
	}
	if trail == nil {
		return nil
	}
	found := *trail
	return &found
}

// all returns copies of all trails, in no order.
func (s *snapshot) all() []Trail {
	s.mu.Lock()
	defer s.mu.Unlock()
	trails := make([]Trail, 0, len(s.byARN))
	for _, t := range s.byARN {
		trails = append(trails, *t)
	}
	return trails
}

// store takes a read that began at start. Our own later or unsettled writes are believed over it.
func (s *snapshot) store(start time.Time, doubts int, trails []*Trail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = start
	if doubts != s.doubts {
		s.taken = time.Time{}
	}
	s.use()
	s.byARN, s.byName = make(map[string]*Trail, len(trails)), make(map[string]*Trail, len(trails))
	for _, t := range trails {
		s.lay(t)
	}
	for arn, w := range s.written {
		if start.Sub(w.at) > s.settle {
			delete(s.written, arn)
			continue
		}
		s.layWrite(arn, w.trail)
	}
}

// put lays the answer to one of our own writes over what was read; nil for a trail that was deleted.
func (s *snapshot) put(arn string, trail *Trail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if trail != nil {
		kept := *trail
		trail = &kept
	}
	s.use()
	if s.written == nil {
		s.written = map[string]write{}
	}
	s.written[arn] = write{at: s.now(), trail: trail}
	s.layWrite(arn, trail)
}

func (s *snapshot) layWrite(arn string, trail *Trail) {
	if trail != nil {
		s.lay(trail)
		return
	}
	if old, ok := s.byARN[arn]; ok {
		delete(s.byARN, arn)
		if s.byName[old.Name] == old {
			delete(s.byName, old.Name)
		}
	}
}

// lay puts a trail into both indexes. A name is seen twice only where an organization's trail has the name of an
// account's own: the account's own, which has its home here, wins.
func (s *snapshot) lay(t *Trail) {
	if s.byARN == nil {
		s.byARN, s.byName = map[string]*Trail{}, map[string]*Trail{}
	}
	s.byARN[t.ARN] = t
	if old, ok := s.byName[t.Name]; !ok || old.ARN == t.ARN || old.AccountID() != t.AccountID() && old.IsOrganizationTrail {
		s.byName[t.Name] = t
	}
}

// distrust makes the next read fetch anew, and forgets our own write of the trail: AWS has shown that it is not so.
func (s *snapshot) distrust(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = time.Time{}
	s.doubts++
	delete(s.written, arn)
}
