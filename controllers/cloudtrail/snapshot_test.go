package cloudtrail

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
)

// testTrail is a trail of the account with its home in the region, told from others of its name by its prefix.
func testTrail(name, prefix string) *Trail {
	return &Trail{ARN: TrailARN(testRegion, testAccount, name), Name: name, HomeRegion: testRegion, Settings: Settings{S3KeyPrefix: prefix}}
}

// slowRead is a read of AWS that takes a time and counts itself.
type slowRead struct {
	takes time.Duration
	count atomic.Int32
	// answer returns what is read, given at the end of the n-th read, counted from 1.
	answer func(n int) ([]*Trail, error)
}

func (r *slowRead) fetch(ctx context.Context) ([]*Trail, error) {
	n := int(r.count.Add(1))
	select {
	case <-time.After(r.takes):
		return r.answer(n)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// nothing is a read that finds nothing.
func nothing(int) ([]*Trail, error) { return nil, nil }

func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // The clock of a synctest bubble.

func TestSnapshotFreshness(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		age, maxAge time.Duration // Since the read began, which takes a second.
		reads       int32
	}{
		"just read":                  {time.Second, time.Second, 1},
		"fresh enough":               {4 * time.Second, 5 * time.Second, 1},
		"as old as may be":           {5 * time.Second, 5 * time.Second, 1},
		"too old":                    {5*time.Second + 1, 5 * time.Second, 2},
		"as it is now":               {time.Second, FreshNow, 2},
		"a read's age is from begin": {time.Second, time.Second - 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				s := newSnapshot(time.Now, ownWritesSettle)
				read := &slowRead{takes: time.Second, answer: nothing}
				g.Expect(s.refresh(t.Context(), time.Hour, read.fetch)).To(Succeed())
				pass(c.age - time.Second)
				g.Expect(s.refresh(t.Context(), c.maxAge, read.fetch)).To(Succeed())
				g.Expect(read.count.Load()).To(Equal(c.reads))
			})
		})
	}
}

func TestSnapshotSingleFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		s := newSnapshot(time.Now, ownWritesSettle)
		read := &slowRead{takes: time.Second, answer: func(n int) ([]*Trail, error) { return []*Trail{testTrail("audit", strconv.Itoa(n))}, nil }}
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() {
				g.Expect(s.refresh(t.Context(), FreshForChange, read.fetch)).To(Succeed())
				g.Expect(s.find("", "audit").S3KeyPrefix).To(Equal("1"))
			})
		}
		pass(time.Millisecond)
		// Who asks for what is true now is not served by a read that began before.
		wait.Go(func() {
			g.Expect(s.refresh(t.Context(), FreshNow, read.fetch)).To(Succeed())
			g.Expect(s.find("", "audit").S3KeyPrefix).To(Equal("2"))
		})
		wait.Wait()
		g.Expect(read.count.Load()).To(BeEquivalentTo(2))
	})
}

func TestSnapshotCanceledCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		s := newSnapshot(time.Now, ownWritesSettle)
		read := &slowRead{takes: time.Second, answer: nothing}
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() {
			start := time.Now()
			g.Expect(s.refresh(ctx, FreshNow, read.fetch)).To(MatchError(context.Canceled))
			g.Expect(time.Since(start)).To(Equal(100*time.Millisecond), "who gives up waits no longer")
		})
		synctest.Wait() // It is the one that fetches.
		wait.Go(func() { g.Expect(s.refresh(t.Context(), FreshForChange, read.fetch)).To(Succeed()) })
		pass(100 * time.Millisecond)
		cancel()
		wait.Wait()
		g.Expect(read.count.Load()).To(BeEquivalentTo(1), "the read goes on for the others")
	})
}

func TestSnapshotHangingRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		s := newSnapshot(time.Now, ownWritesSettle)
		read := &slowRead{takes: time.Hour, answer: nothing}
		start := time.Now()
		g.Expect(s.refresh(t.Context(), FreshNow, read.fetch)).To(MatchError(context.DeadlineExceeded))
		g.Expect(time.Since(start)).To(Equal(sharedReadTimeout))
	})
}

// TestSnapshotUnused holds that what nobody uses is let go of, and what somebody uses is not.
func TestSnapshotUnused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		s := newSnapshot(time.Now, ownWritesSettle)
		read := &slowRead{answer: func(n int) ([]*Trail, error) { return []*Trail{testTrail("audit", strconv.Itoa(n))}, nil }}
		look := func() string {
			g.Expect(s.refresh(t.Context(), FreshForTurn, read.fetch)).To(Succeed())
			return s.find("", "audit").S3KeyPrefix
		}
		g.Expect(look()).To(Equal("1"))
		for range 3 {
			pass(unused - 1)
			g.Expect(look()).To(Equal("1"), "it is in use")
		}
		s.put(testTrail("audit", "").ARN, testTrail("audit", "written"))
		pass(unused + 1)
		synctest.Wait()
		g.Expect(s.find("", "audit")).To(BeNil())
		g.Expect(s.written).To(BeEmpty())
		g.Expect(look()).To(Equal("2"), "the next one reads anew")
		pass(unused + 1)
		synctest.Wait()
		g.Expect(s.byARN).To(BeEmpty(), "and it is let go of again")
	})
}

func TestSnapshotFailedRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		s := newSnapshot(time.Now, ownWritesSettle)
		failure := errors.New("no")
		read := &slowRead{answer: func(n int) ([]*Trail, error) {
			if n == 2 {
				return nil, failure
			}
			return []*Trail{testTrail("audit", strconv.Itoa(n))}, nil
		}}
		g.Expect(s.refresh(t.Context(), FreshNow, read.fetch)).To(Succeed())
		pass(unused / 2)
		g.Expect(s.refresh(t.Context(), time.Second, read.fetch)).To(MatchError(failure))
		g.Expect(s.find("", "audit").S3KeyPrefix).To(Equal("1"), "what was known stays known")
		g.Expect(s.refresh(t.Context(), time.Second, read.fetch)).To(Succeed(), "and a failure is not remembered")
		g.Expect(s.find("", "audit").S3KeyPrefix).To(Equal("3"))
	})
}

// TestSnapshotOwnWrites lays our own writes over reads that began at some time before or after them.
func TestSnapshotOwnWrites(t *testing.T) {
	t.Parallel()
	const settle = 5 * time.Second
	old, written := testTrail("audit", "old"), testTrail("audit", "new")
	for name, c := range map[string]struct {
		read   []*Trail // What is read, before and after the write.
		write  *Trail   // nil: deleted
		after  time.Duration
		prefix string // What is found; "": nothing
	}{
		"no read since":                         {[]*Trail{old}, written, -1, "new"},
		"a read that does not show it yet":      {[]*Trail{old}, written, time.Second, "new"},
		"a read when it has settled":            {[]*Trail{old}, written, settle, "new"},
		"a later read":                          {[]*Trail{old}, written, settle + 1, "old"},
		"created, not seen yet":                 {nil, written, time.Second, "new"},
		"created, and deleted by somebody else": {nil, written, settle + 1, ""},
		"deleted, no read since":                {[]*Trail{old}, nil, -1, ""},
		"deleted, still seen":                   {[]*Trail{old}, nil, time.Second, ""},
		"deleted, and created by somebody else": {[]*Trail{old}, nil, settle + 1, "old"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				s := newSnapshot(time.Now, settle)
				read := &slowRead{answer: func(int) ([]*Trail, error) { return c.read, nil }}
				g.Expect(s.refresh(t.Context(), FreshNow, read.fetch)).To(Succeed())
				pass(time.Minute)
				s.put(old.ARN, c.write)
				if c.after >= 0 {
					pass(c.after)
					g.Expect(s.refresh(t.Context(), FreshNow, read.fetch)).To(Succeed())
					g.Expect(read.count.Load()).To(BeEquivalentTo(2))
				}
				byARN, byName, all := s.find(old.ARN, ""), s.find("", old.Name), s.all()
				if c.prefix == "" {
					g.Expect(byARN).To(BeNil())
					g.Expect(byName).To(BeNil())
					g.Expect(all).To(BeEmpty())
					return
				}
				g.Expect(byARN.S3KeyPrefix).To(Equal(c.prefix))
				g.Expect(byName.S3KeyPrefix).To(Equal(c.prefix))
				g.Expect(all).To(ConsistOf(HaveField("S3KeyPrefix", c.prefix)))
			})
		})
	}
}

// TestSnapshotWriteDuringRead writes while a slow read is under way: the read began before the write, and knows nothing of it.
func TestSnapshotWriteDuringRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		s := newSnapshot(time.Now, 0)
		read := &slowRead{takes: 10 * time.Second, answer: func(int) ([]*Trail, error) { return []*Trail{testTrail("audit", "old")}, nil }}
		var wait sync.WaitGroup
		wait.Go(func() { g.Expect(s.refresh(t.Context(), FreshNow, read.fetch)).To(Succeed()) })
		pass(5 * time.Second)
		s.put(testTrail("audit", "").ARN, testTrail("audit", "new"))
		wait.Wait()
		g.Expect(s.find("", "audit").S3KeyPrefix).To(Equal("new"))
	})
}

func TestSnapshotDistrust(t *testing.T) {
	t.Parallel()
	arn := testTrail("audit", "").ARN
	answer := func(n int) ([]*Trail, error) { return []*Trail{testTrail("audit", strconv.Itoa(n))}, nil }
	t.Run("makes the next caller read, and forgets our write", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := NewWithT(t)
			s := newSnapshot(time.Now, ownWritesSettle)
			read := &slowRead{answer: answer}
			g.Expect(s.refresh(t.Context(), time.Hour, read.fetch)).To(Succeed())
			s.put(arn, testTrail("audit", "ours"))
			s.distrust(arn)
			g.Expect(s.refresh(t.Context(), time.Hour, read.fetch)).To(Succeed())
			g.Expect(s.find(arn, "").S3KeyPrefix).To(Equal("2"))
			g.Expect(s.refresh(t.Context(), time.Hour, read.fetch)).To(Succeed())
			g.Expect(read.count.Load()).To(BeEquivalentTo(2), "once is enough")
		})
	})
	t.Run("is not undone by a read that began before", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := NewWithT(t)
			s := newSnapshot(time.Now, ownWritesSettle)
			read := &slowRead{takes: time.Second, answer: answer}
			var wait sync.WaitGroup
			wait.Go(func() { g.Expect(s.refresh(t.Context(), time.Hour, read.fetch)).To(Succeed()) })
			pass(time.Second / 2)
			s.distrust(arn)
			g.Expect(s.refresh(t.Context(), time.Hour, read.fetch)).To(Succeed())
			wait.Wait()
			g.Expect(s.find(arn, "").S3KeyPrefix).To(Equal("2"))
		})
	})
}

func TestSnapshotFind(t *testing.T) {
	t.Parallel()
	own := testTrail("audit", "own")
	organization := testTrail("audit", "organization")
	organization.ARN, organization.IsOrganizationTrail = TrailARN(testRegion, "444455556666", "audit"), true
	shadow := testTrail("everywhere", "shadow")
	shadow.ARN, shadow.HomeRegion = TrailARN("us-east-1", testAccount, "everywhere"), "us-east-1"
	for name, c := range map[string]struct {
		read      []*Trail
		arn, name string
		prefix    string // "": nothing is found
	}{
		"by name":                       {[]*Trail{own, shadow}, "", "audit", "own"},
		"by ARN":                        {[]*Trail{own, shadow}, shadow.ARN, "audit", "shadow"},
		"by name when the ARN is gone":  {[]*Trail{own, shadow}, "arn:aws:cloudtrail:eu-central-1:111122223333:trail/before", "audit", "own"},
		"none":                          {[]*Trail{own, shadow}, "", "other", ""},
		"none of none":                  {nil, own.ARN, "audit", ""},
		"own before an organization's":  {[]*Trail{own, organization}, "", "audit", "own"},
		"own after an organization's":   {[]*Trail{organization, own}, "", "audit", "own"},
		"an organization's by ARN":      {[]*Trail{own, organization}, organization.ARN, "audit", "organization"},
		"an organization's, no other":   {[]*Trail{organization, shadow}, "", "audit", "organization"},
		"a shadow by name":              {[]*Trail{own, shadow}, "", "everywhere", "shadow"},
		"no name and no ARN is nothing": {[]*Trail{own, shadow}, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			s := newSnapshot(time.Now, ownWritesSettle)
			g.Expect(s.refresh(t.Context(), FreshNow, (&slowRead{answer: func(int) ([]*Trail, error) { return c.read, nil }}).fetch)).To(Succeed())
			found := s.find(c.arn, c.name)
			if c.prefix == "" {
				g.Expect(found).To(BeNil())
				return
			}
			g.Expect(found.S3KeyPrefix).To(Equal(c.prefix))
			found.S3KeyPrefix = "scribbled"
			for _, trail := range s.all() {
				g.Expect(trail.S3KeyPrefix).NotTo(Equal("scribbled"), "what is found is a copy")
			}
		})
	}
	t.Run("own stays when an organization's of its name is deleted", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		s := newSnapshot(time.Now, ownWritesSettle)
		s.put(organization.ARN, organization)
		s.put(own.ARN, own)
		s.put(organization.ARN, nil)
		g.Expect(s.find("", "audit").S3KeyPrefix).To(Equal("own"))
		g.Expect(s.find(organization.ARN, "")).To(BeNil())
	})
	t.Run("what was put is a copy", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		s := newSnapshot(time.Now, ownWritesSettle)
		mine := testTrail("audit", "put")
		s.put(mine.ARN, mine)
		mine.S3KeyPrefix = "scribbled"
		g.Expect(s.find(mine.ARN, "").S3KeyPrefix).To(Equal("put"))
	})
}

// TestSnapshotRaces does everything at once, for the race detector.
func TestSnapshotRaces(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	s := newSnapshot(time.Now, time.Millisecond)
	arn := testTrail("audit", "").ARN
	read := &slowRead{answer: func(n int) ([]*Trail, error) { return []*Trail{testTrail("audit", strconv.Itoa(n))}, nil }}
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range 200 {
				switch (worker + i) % 4 {
				case 0:
					s.put(arn, testTrail("audit", "put"))
				case 1:
					s.put(arn, nil)
				case 2:
					s.distrust(arn)
				}
				if err := s.refresh(t.Context(), time.Millisecond, read.fetch); err != nil {
					t.Error(err)
				}
				s.find(arn, "audit")
				s.all()
			}
		})
	}
	wait.Wait()
	g.Expect(s.refresh(t.Context(), FreshNow, read.fetch)).To(Succeed())
}

func TestFreshForLook(t *testing.T) {
	t.Parallel()
	var last time.Duration
	for _, interval := range []time.Duration{time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, 24 * time.Hour} {
		fresh := FreshForLook(interval)
		g := NewWithT(t)
		g.Expect(fresh).To(BeNumerically("<", interval), "two looks are never answered by one read")
		g.Expect(fresh).To(BeNumerically(">=", last))
		g.Expect(fresh).To(And(BeNumerically(">=", freshForLookAtLeast), BeNumerically("<=", freshForLookAtMost)))
		last = fresh
	}
}
