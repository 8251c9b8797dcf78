package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"
)

// testTrail is a trail of the account with its home in the region, told from others of its name by its prefix.
func testTrail(name, prefix string) *Trail {
	return &Trail{
		ARN:        TrailARN(testRegion, testAccount, name),
		Name:       name,
		HomeRegion: testRegion,
		Settings:   Settings{S3KeyPrefix: prefix},
	}
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

// refresh makes sure that what a snapshot holds is not older than that.
func refresh(
	ctx context.Context,
	s *snapshot,
	maxAge time.Duration,
	fetch func(context.Context) ([]*Trail, error),
) error {
	return s.refresh(ctx, time.Now().Add(-maxAge), maxWait, fetch)
}

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
		"as it is now":               {time.Second, 0, 2},
		"a read's age is from begin": {time.Second, time.Second - 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				s := newSnapshot(time.Now, ownWritesSettle)
				read := &slowRead{takes: time.Second, answer: nothing}
				g.Expect(refresh(t.Context(), s, time.Hour, read.fetch)).To(Succeed())
				pass(c.age - time.Second)
				g.Expect(refresh(t.Context(), s, c.maxAge, read.fetch)).To(Succeed())
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
		read := &slowRead{
			takes:  time.Second,
			answer: func(n int) ([]*Trail, error) { return []*Trail{testTrail("audit", strconv.Itoa(n))}, nil },
		}
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() {
				g.Expect(refresh(t.Context(), s, freshForChange, read.fetch)).To(Succeed())
				g.Expect(s.find("", "audit").S3KeyPrefix).To(Equal("1"))
			})
		}
		pass(time.Millisecond)
		// Who asks for what is true now is not served by a read that began before.
		wait.Go(func() {
			g.Expect(refresh(t.Context(), s, 0, read.fetch)).To(Succeed())
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
			g.Expect(refresh(ctx, s, 0, read.fetch)).To(MatchError(context.Canceled))
			g.Expect(time.Since(start)).To(Equal(100*time.Millisecond), "who gives up waits no longer")
		})
		synctest.Wait() // It is the one that fetches.
		wait.Go(func() { g.Expect(refresh(t.Context(), s, freshForChange, read.fetch)).To(Succeed()) })
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
		g.Expect(refresh(t.Context(), s, 0, read.fetch)).To(MatchError(context.DeadlineExceeded))
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
			g.Expect(refresh(t.Context(), s, time.Minute, read.fetch)).To(Succeed())
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

// TestSnapshotFailedRead holds that a read that failed counts for all who would have been served by it, and for nobody
// else.
func TestSnapshotFailedRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		s := newSnapshot(time.Now, ownWritesSettle)
		failure := errors.New("no")
		read := &slowRead{takes: time.Second, answer: func(n int) ([]*Trail, error) {
			if n == 2 {
				return nil, failure
			}
			return []*Trail{testTrail("audit", strconv.Itoa(n))}, nil
		}}
		g.Expect(refresh(t.Context(), s, 0, read.fetch)).To(Succeed())
		pass(unused / 2)
		after := time.Now()
		for _, err := range together(100, func() error { return s.refresh(t.Context(), after, maxWait, read.fetch) }) {
			g.Expect(err).To(MatchError(failure))
		}
		g.Expect(s.find("", "audit").S3KeyPrefix).To(Equal("1"), "what was known stays known")
		g.Expect(s.refresh(t.Context(), after, maxWait, read.fetch)).
			To(MatchError(failure), "who looks again is told the same")
		g.Expect(read.count.Load()).To(BeEquivalentTo(2))
		g.Expect(refresh(t.Context(), s, time.Minute, read.fetch)).
			To(Succeed(), "who is content with what is known is not told")
		g.Expect(refresh(t.Context(), s, 0, read.fetch)).To(Succeed(), "the next one reads anew")
		g.Expect(s.find("", "audit").S3KeyPrefix).To(Equal("3"))
	})
}

// TestSnapshotOwnWrites lays our own writes over reads that began at some time before or after them.
func TestSnapshotOwnWrites(t *testing.T) {
	t.Parallel()
	const settle = 5 * time.Second
	old := testTrail("audit", "old")
	created := func(s *snapshot) { s.put(old.ARN, testTrail("audit", "new")) }
	changed := func(s *snapshot) { s.change(old.ARN, "settings", func(t *Trail) { t.S3KeyPrefix = "new" }) }
	deleted := func(s *snapshot) { s.put(old.ARN, nil) }
	for name, c := range map[string]struct {
		read   []*Trail // What is read, before and after the write.
		write  func(*snapshot)
		after  time.Duration
		prefix string // What is found; "": nothing
	}{
		"changed, no read since":                {[]*Trail{old}, changed, -1, "new"},
		"changed, not seen yet":                 {[]*Trail{old}, changed, time.Second, "new"},
		"changed, a read when it has settled":   {[]*Trail{old}, changed, settle, "new"},
		"changed, a later read":                 {[]*Trail{old}, changed, settle + 1, "old"},
		"changed, and deleted by somebody else": {nil, changed, time.Second, ""},
		"created, no read since":                {nil, created, -1, "new"},
		"created, not seen yet":                 {nil, created, time.Second, "new"},
		"created, and changed by somebody else": {[]*Trail{old}, created, time.Second, "old"},
		"created, and deleted by somebody else": {nil, created, settle + 1, ""},
		"deleted, no read since":                {[]*Trail{old}, deleted, -1, ""},
		"deleted, still seen":                   {[]*Trail{old}, deleted, time.Second, ""},
		"deleted, and created by somebody else": {[]*Trail{old}, deleted, settle + 1, "old"},
		"created and changed, not seen yet": {nil, func(s *snapshot) {
			created(s)
			s.change(old.ARN, "settings", func(t *Trail) { t.S3KeyPrefix += "er" })
		}, time.Second, "newer"},
		"changed and deleted, still seen": {[]*Trail{old}, func(s *snapshot) {
			changed(s)
			deleted(s)
		}, time.Second, ""},
		"deleted and created, the old one still seen": {[]*Trail{old}, func(s *snapshot) {
			deleted(s)
			created(s)
		}, time.Second, "new"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				s := newSnapshot(time.Now, settle)
				read := &slowRead{answer: func(int) ([]*Trail, error) { return c.read, nil }}
				g.Expect(refresh(t.Context(), s, 0, read.fetch)).To(Succeed())
				pass(time.Minute)
				g.Expect(refresh(t.Context(), s, 0, read.fetch)).To(Succeed())
				c.write(s)
				if c.after >= 0 {
					pass(c.after)
					g.Expect(refresh(t.Context(), s, 0, read.fetch)).To(Succeed())
					g.Expect(read.count.Load()).To(BeEquivalentTo(3))
				}
				byARN, byName, all := s.find(old.ARN, ""), s.find("", old.Name), s.all()
				g.Expect(old.S3KeyPrefix).To(Equal("old"), "what was read is not scribbled on")
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

// TestSnapshotOwnWritesOfOnePart holds that what several writes make of a part of a trail is believed as a whole: a
// read that shows none of them is not mixed with the last one.
func TestSnapshotOwnWritesOfOnePart(t *testing.T) {
	t.Parallel()
	const settle = 5 * time.Second
	trail := testTrail("audit", "read")
	set := func(s *snapshot, part, more string) {
		s.change(trail.ARN, part, func(t *Trail) { t.S3KeyPrefix += more })
	}
	for name, c := range map[string]struct {
		parts []string // Of the writes, three seconds after each other.
		after time.Duration
		want  string
	}{
		"all are unsettled":            {[]string{"tags", "tags"}, time.Second, "read 0 1"},
		"the last one is":              {[]string{"tags", "tags"}, 4 * time.Second, "read 0 1"},
		"none is any more":             {[]string{"tags", "tags"}, 6 * time.Second, "read"},
		"the last is of another part":  {[]string{"tags", "settings"}, 4 * time.Second, "read 1"},
		"the last but one is of their": {[]string{"tags", "settings", "tags"}, 4 * time.Second, "read 0 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				s := newSnapshot(time.Now, settle)
				read := &slowRead{answer: func(int) ([]*Trail, error) { return []*Trail{trail}, nil }}
				g.Expect(refresh(t.Context(), s, 0, read.fetch)).To(Succeed())
				for i, part := range c.parts {
					if i > 0 {
						pass(3 * time.Second)
					}
					set(s, part, fmt.Sprint(" ", i))
				}
				pass(c.after)
				g.Expect(refresh(t.Context(), s, 0, read.fetch)).To(Succeed())
				g.Expect(s.find(trail.ARN, "").S3KeyPrefix).To(Equal(c.want))
			})
		})
	}
}

// TestSnapshotWriteDuringRead writes while a slow read is under way: the read began before the write, and knows nothing
// of it.
func TestSnapshotWriteDuringRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		s := newSnapshot(time.Now, 0)
		read := &slowRead{
			takes:  10 * time.Second,
			answer: func(int) ([]*Trail, error) { return []*Trail{testTrail("audit", "old")}, nil },
		}
		var wait sync.WaitGroup
		wait.Go(func() { g.Expect(refresh(t.Context(), s, 0, read.fetch)).To(Succeed()) })
		pass(5 * time.Second)
		s.change(testTrail("audit", "").ARN, "settings", func(t *Trail) { t.S3KeyPrefix = "new" })
		wait.Wait()
		g.Expect(s.find("", "audit").S3KeyPrefix).To(Equal("new"))
	})
}

// TestOverlaysAreOfTheirOwnFields holds that our own change of a trail hides nothing that somebody else changes at the
// same time.
func TestOverlaysAreOfTheirOwnFields(t *testing.T) {
	t.Parallel()
	const describe = `{"trailList": [{"TrailARN": "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit",
		"Name": "audit", "HomeRegion": "eu-central-1",
		"S3BucketName": "%s", "S3KeyPrefix": "%s", "IncludeGlobalServiceEvents": %t, "HasCustomEventSelectors": %t}]}`
	bucket, prefix, global, selectors := "logs", "old", true, false
	server := &fakeAWS{}
	server.answer = func(call fakeCall) (int, string) {
		switch call.operation {
		case "DescribeTrails":
			return http.StatusOK, fmt.Sprintf(describe, bucket, prefix, global, selectors)
		case "UpdateTrail": // It is not seen at once.
			return http.StatusOK, `{"TrailARN": "arn", "S3BucketName": "logs", "S3KeyPrefix": "new",
				"IncludeGlobalServiceEvents": true, "KmsKeyId": "arn:key"}`
		default:
			return http.StatusOK, `{}`
		}
	}
	inBubble(t, server, func(o *Options) { o.RateLimits = RateLimitOff }, func(g Gomega, d *driver, region *Region) {
		var found *Trail
		find := func(ctx context.Context) (err error) {
			found, err = region.FindNow(ctx, "", "audit")
			return err
		}
		g.Expect(d.reconcile(find)).To(Succeed())
		g.Expect(d.reconcile(func(ctx context.Context) error {
			err := region.Update(ctx, found, Change{S3KeyPrefix: aws.String("new"), KMSKeyID: aws.String("alias/key")}, nil)
			return errors.Join(err, region.AddTags(ctx, found, map[string]string{"owner": "me"}, nil))
		})).To(Succeed())
		g.Expect(found.S3KeyPrefix).To(Equal("new"))

		bucket, global, selectors = "mallory", false, true
		pass(time.Second)
		g.Expect(d.reconcile(find)).To(Succeed())
		g.Expect(found.S3KeyPrefix).To(Equal("new"), "what we have changed is believed")
		g.Expect(found.KMSKeyARN).To(Equal("arn:key"))
		g.Expect(found.Tags).To(Equal(map[string]string{"owner": "me"}))
		g.Expect(found.S3BucketName).To(Equal("mallory"), "and the rest is what AWS shows")
		g.Expect(found.IncludeGlobalServiceEvents).To(BeFalse())
		g.Expect(*found.HasEventSelectors).To(BeTrue())

		pass(ownWritesSettle)
		g.Expect(d.reconcile(find)).To(Succeed())
		g.Expect(found.S3KeyPrefix).To(Equal("old"), "what AWS does not keep is not believed for ever")
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
			g.Expect(refresh(t.Context(), s, time.Hour, read.fetch)).To(Succeed())
			s.put(arn, testTrail("audit", "ours"))
			s.distrust(arn)
			g.Expect(refresh(t.Context(), s, time.Hour, read.fetch)).To(Succeed())
			g.Expect(s.find(arn, "").S3KeyPrefix).To(Equal("2"))
			g.Expect(refresh(t.Context(), s, time.Hour, read.fetch)).To(Succeed())
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
			wait.Go(func() { g.Expect(refresh(t.Context(), s, time.Hour, read.fetch)).To(Succeed()) })
			pass(time.Second / 2)
			s.distrust(arn)
			g.Expect(refresh(t.Context(), s, time.Hour, read.fetch)).To(Succeed())
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
	const before = "arn:aws:cloudtrail:eu-central-1:111122223333:trail/before"
	for name, c := range map[string]struct {
		read      []*Trail
		arn, name string
		prefix    string // "": nothing is found
	}{
		"by name":                       {[]*Trail{own, shadow}, "", "audit", "own"},
		"by ARN":                        {[]*Trail{own, shadow}, shadow.ARN, "audit", "shadow"},
		"by name when the ARN is gone":  {[]*Trail{own, shadow}, before, "audit", "own"},
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
			read := &slowRead{answer: func(int) ([]*Trail, error) { return c.read, nil }}
			g.Expect(refresh(t.Context(), s, 0, read.fetch)).To(Succeed())
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
				if err := refresh(t.Context(), s, time.Millisecond, read.fetch); err != nil {
					t.Error(err)
				}
				s.find(arn, "audit")
				s.all()
			}
		})
	}
	wait.Wait()
	g.Expect(refresh(t.Context(), s, 0, read.fetch)).To(Succeed())
}
