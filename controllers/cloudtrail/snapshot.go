package cloudtrail

import (
	"context"
	"slices"
	"sync"
	"time"
)

// snapshot is what was last read of all trails of a region, shared by all that ask: one DescribeTrails and a ListTags
// for each twenty trails answer for everyone.
type snapshot struct {
	now    func() time.Time
	settle time.Duration

	mu sync.Mutex
	// flight is the last read, under way or over.
	flight *flight
	// taken is when the read began that is held; zero: never read, or not to be believed any more.
	taken  time.Time
	doubts int // How often the snapshot was distrusted: a read that began before the last doubt is not believed.
	byARN  map[string]*Trail
	byName map[string]*Trail
	// written are our own writes, by ARN and in order, until later reads have settled.
	written map[string][]write
	used    time.Time
	release *time.Timer // nil: nothing is held
}

// unused is how long what was read is held after it was last used: longer than anybody is served from it, and than own
// writes are believed.
const unused = 15 * time.Second

// write is a change that AWS has accepted: a trail that was created, one that was changed, or one that was deleted.
type write struct {
	at      time.Time
	created *Trail
	change  func(*Trail)
	// part is the part of a trail that a change is of; writes of one part are believed together.
	part string
}

func newSnapshot(now func() time.Time, settle time.Duration) *snapshot {
	return &snapshot{now: now, settle: settle}
}

// refresh makes sure that what is held was read after some time; it reads anew when it was not. Of callers at the same
// time one reads for all. A read that failed counts like one that did not: its error answers for everyone, too.
func (s *snapshot) refresh(
	ctx context.Context,
	after time.Time,
	maxWait time.Duration,
	fetch func(context.Context) ([]*Trail, error),
) error {
	for {
		reading, held := s.read(ctx, after, fetch)
		if held {
			return nil
		}
		if err := reading.wait(ctx, maxWait); err != nil {
			return err
		}
		if reading.err != nil && !reading.began.Before(after) {
			return reading.err
		}
	}
}

// read returns the read that is under way, or one that failed, and begins one if there is none that would do. Nothing
// need be read when it is held.
func (s *snapshot) read(
	ctx context.Context,
	after time.Time,
	fetch func(context.Context) ([]*Trail, error),
) (reading *flight, held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.taken.IsZero() && !s.taken.Before(after) {
		s.use()
		return nil, true
	}
	if f := s.flight; f != nil && (!f.isOver() || f.err != nil && !f.began.Before(after)) {
		return f, false
	}

	var trails []*Trail
	doubts := s.doubts
	s.flight = fly(ctx, "DescribeTrails", s.now(), func(ctx context.Context) (err error) {
		trails, err = fetch(ctx)
		return err
	}, func(f *flight) {
		if f.err == nil {
			s.store(f.began, doubts, trails)
		}
	})
	return s.flight, false
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
	if s.flight != nil && s.flight.isOver() {
		s.flight = nil
	}
}

// idle tells whether nothing is held.
func (s *snapshot) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.release == nil && (s.flight == nil || s.flight.isOver())
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

// managementAccountID returns the account that an organization's trail belongs to; "" when none is held.
func (s *snapshot) managementAccountID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.byARN {
		if t.IsOrganizationTrail {
			return t.AccountID()
		}
	}
	return ""
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

	for arn, writes := range s.written {
		writes = s.unsettled(writes, start)
		if len(writes) == 0 {
			delete(s.written, arn)
			continue
		}
		s.written[arn] = writes
		for _, w := range writes {
			s.layWrite(arn, w)
		}
	}
}

// unsettled returns the writes that are believed over a read that began at start. One of them holds all earlier ones of
// its part: a read that shows none of them, with the last one laid over it, is what never was.
func (s *snapshot) unsettled(writes []write, start time.Time) []write {
	held := map[string]bool{}
	kept := make([]write, 0, len(writes))
	for _, w := range slices.Backward(writes) {
		if start.Sub(w.at) > s.settle && !held[w.part] {
			continue
		}
		held[w.part] = w.change != nil
		kept = append(kept, w)
	}
	slices.Reverse(kept)
	return kept
}

// put lays a trail that was created over what was read; nil for one that was deleted.
func (s *snapshot) put(arn string, created *Trail) { s.wrote(arn, write{created: created}) }

// change lays a change of a part of a trail over what was read. It may be made several times, to different copies.
func (s *snapshot) change(arn, part string, change func(*Trail)) {
	s.wrote(arn, write{change: change, part: part})
}

func (s *snapshot) wrote(arn string, w write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.created != nil {
		kept := *w.created
		w.created = &kept
	}
	w.at = s.now()
	s.use()
	if s.written == nil {
		s.written = map[string][]write{}
	}
	s.written[arn] = append(s.written[arn], w)
	s.layWrite(arn, w)
}

func (s *snapshot) layWrite(arn string, w write) {
	old, ok := s.byARN[arn]
	switch {
	case w.created != nil:
		if !ok { // A read that shows it knows more of it.
			s.lay(w.created)
		}
	case w.change != nil:
		if ok {
			changed := *old
			w.change(&changed)
			s.lay(&changed)
		}
	case ok:
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
	old, ok := s.byName[t.Name]
	yields := ok && old.AccountID() != t.AccountID() && old.IsOrganizationTrail
	if !ok || old.ARN == t.ARN || yields {
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
