package digest_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// TestCost holds what an hour of a chain costs that is walked every hour.
func TestCost(t *testing.T) {
	t.Parallel()
	for mode, expect := range map[digest.Mode]map[string]int{
		digest.Digests: {"List": 1, "Open": 1},
		// The digests, the new log files, those of a day ago, and the digests of a day ago; of these the two that may vouch
		// for them are read.
		digest.Existence: {"List": 4, "Open": 3},
		digest.Full:      {"List": 3, "Open": 5},
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			d := shortChain(50)
			from := positionOf(d.digests[48])
			d.resetCalls()
			w := d.validate(t, settings{mode: mode, from: from})
			if len(w.findings()) > 0 || w.position.Object != d.last.key {
				t.Fatalf("found %v, came to %v", w.findings(), w.position)
			}
			if difference := cmp.Diff(expect, d.calls); difference != "" {
				t.Errorf("calls (-expected +is):\n%s", difference)
			}
			for key, n := range d.opens {
				if n > 1 {
					t.Errorf("%s was read %d times", key, n)
				}
			}
		})
	}
}

// TestNothingNew holds that a walk costs one list if nothing is new.
func TestNothingNew(t *testing.T) {
	t.Parallel()
	d := shortChain(30)
	for _, mode := range modes {
		d.resetCalls()
		w := d.validate(t, settings{mode: mode, from: positionOf(d.last)})
		if difference := cmp.Diff(map[string]int{"List": 1}, d.calls); difference != "" || len(w.results) > 0 {
			t.Errorf("%s: calls (-expected +is):\n%s", mode, difference)
		}
	}
}

// TestNothingTwice holds that no walk reads anything twice.
func TestNothingTwice(t *testing.T) {
	t.Parallel()
	d := shortChain(100)
	for _, mode := range modes {
		d.resetCalls()
		d.validate(t, settings{mode: mode})
		for key, n := range d.opens {
			if n > 1 {
				t.Errorf("%s: %s was read %d times", mode, key, n)
			}
		}
		const lists = 30
		if d.calls["List"] > lists {
			t.Errorf("%s: %v", mode, d.calls)
		}
	}
}

// TestKeysAreAskedOnce holds that walks at once share what CloudTrail says about keys, and ask little about keys that
// it does not know.
func TestKeysAreAskedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.addKeys("us-east-1", 0, 1000*time.Hour)
	w.addKeys("eu-west-1", 1, 20*time.Hour)
	var all []*delivery
	for i := range 6 {
		chain := digest.Chain{AccountID: fmt.Sprintf("%012d", i), Region: []string{"us-east-1", "eu-west-1"}[i%2]}
		trail := digest.Trail{Name: "main", HomeRegion: "eu-west-1", AccountID: chain.AccountID, Bucket: "archive"}
		all = append(all, w.deliver(trail, chain, epoch).hours(slices.Repeat([]int{0}, 40)...))
	}
	validator := digest.New(digest.Options{Storage: w.storage, Keys: w.keys, Now: func() time.Time { return all[0].at }})
	var group sync.WaitGroup
	for range 3 {
		for _, d := range all {
			group.Go(func() {
				position, err := validator.Walk(t.Context(), digest.Walk{Trail: d.trail, Chain: d.chain})
				if err != nil || position.Object != d.last.key {
					t.Errorf("%v, %v", position, err)
				}
			})
		}
	}
	group.Wait()
	// us-east-1 has one key in this time, and eu-west-1 has three, of which one question may tell two.
	if n := len(w.keys.calls); n < 3 || n > 4 {
		t.Errorf("asked %v", w.keys.calls)
	}
}

// TestUnknownKeys holds how little is asked about keys that CloudTrail does not know.
func TestUnknownKeys(t *testing.T) {
	t.Parallel()
	d := shortChain(60)
	known := d.keys.signers[oneChain.Region]
	d.keys.signers[oneChain.Region] = nil
	w := d.validate(t, settings{})
	if found := w.findings(); len(found) != 1 || found[0].Reason != digest.ReasonKeyUnknown {
		t.Errorf("found %v", found)
	}
	if n := len(d.keys.calls); n != 2 {
		t.Errorf("asked %d times", n)
	}
	known[0].public.Fingerprint, known[1].public.Fingerprint = known[1].public.Fingerprint, known[0].public.Fingerprint
	d.keys.signers[oneChain.Region] = known
	if found := d.validate(t, settings{}).findings(); len(found) != 1 || found[0].Reason != digest.ReasonKeyUnknown {
		t.Errorf("with the wrong keys found %v", found)
	}
}

// TestKeysWidely holds that a key is found that was used longer than CloudTrail says.
func TestKeysWidely(t *testing.T) {
	t.Parallel()
	d := shortChain(10)
	for i := range d.keys.signers[oneChain.Region] {
		key := &d.keys.signers[oneChain.Region][i]
		key.from, key.to = key.from.Add(-20*24*time.Hour), key.to.Add(-20*24*time.Hour)
	}
	d.keys.signers[oneChain.Region] = d.keys.signers[oneChain.Region][:1]
	if found := d.validate(t, settings{}).findings(); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	if len(d.keys.calls) != 2 {
		t.Errorf("asked %v", d.keys.calls)
	}
}

// TestSample holds that a sample is the same every time, of about the size that is asked for, and another one with
// another seed.
func TestSample(t *testing.T) {
	t.Parallel()
	d := newWorld().deliver(oneTrail, oneChain, epoch).hours(slices.Repeat([]int{20}, 20)...)
	sample := func(percent int, seed byte) map[string]bool {
		read := map[string]bool{}
		validator := digest.New(digest.Options{
			Storage: d.storage, Keys: d.keys, Mode: digest.Sample, SamplePercent: percent, Seed: [32]byte{seed},
			Now: func() time.Time { return d.at },
		})
		_, err := validator.Walk(t.Context(), digest.Walk{Trail: d.trail, Chain: d.chain, Report: func(result digest.Result) {
			if result.Read {
				read[result.Object] = true
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return read
	}
	first := sample(25, 1)
	if n := len(first); n < 60 || n > 140 {
		t.Errorf("%d of 400 were read", n)
	}
	if !maps.Equal(first, sample(25, 1)) || maps.Equal(first, sample(25, 2)) {
		t.Error("the seed does not decide which")
	}
	if n := len(sample(0, 1)); n != 0 {
		t.Errorf("%d were read of none", n)
	}
	if n := len(sample(100, 1)); n != 400 {
		t.Errorf("%d were read of 400", n)
	}
}

// TestLimits holds that so many objects are read at once, and no more, over all walks.
func TestLimits(t *testing.T) {
	t.Parallel()
	d := shortChain(100)
	const limit = 5
	counted := &countedStorage{storage: d.storage}
	limits := digest.NewLimits(limit)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			validator := digest.New(digest.Options{
				Storage: counted, Keys: d.keys, Mode: digest.Full, Limits: limits, Now: func() time.Time { return d.at },
			})
			position, err := validator.Walk(t.Context(), digest.Walk{Trail: d.trail, Chain: d.chain})
			if err != nil || position.Object != d.last.key {
				t.Errorf("%v, %v", position, err)
			}
		})
	}
	group.Wait()
	if counted.most != limit {
		t.Errorf("%d objects were open at once", counted.most)
	}
}

// countedStorage counts the objects that are open.
type countedStorage struct {
	*storage
	mu         sync.Mutex
	open, most int
}

// Open implements digest.Storage.
func (c *countedStorage) Open(ctx context.Context, bucket, key string) (*digest.Content, error) {
	c.mu.Lock()
	c.open++
	c.most = max(c.most, c.open)
	c.mu.Unlock()
	runtime.Gosched()
	content, err := c.storage.Open(ctx, bucket, key)
	if err != nil {
		c.closed()
		return nil, err
	}
	content.Body = countedBody{content.Body, c}
	return content, nil
}

func (c *countedStorage) closed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
}

type countedBody struct {
	io.ReadCloser
	of *countedStorage
}

func (b countedBody) Close() error {
	b.of.closed()
	return b.ReadCloser.Close()
}

// TestUntilCost holds that of the digests after a range only the first is read.
func TestUntilCost(t *testing.T) {
	t.Parallel()
	d := shortChain(100)
	d.validate(t, settings{until: d.digests[49].end})
	if n := d.calls["Open"]; n != 51 {
		t.Errorf("%d digests were read", n)
	}
}

// TestBackfillKey holds that a backfill digest is verified with a key of the time when it was made.
func TestBackfillKey(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.addKeys(oneChain.Region, 0, 60*24*time.Hour)
	d := w.deliver(oneTrail, oneChain, epoch).hours(1, 1)
	d.backfill(110*24*time.Hour, 1)
	d.hours(1)
	if found := d.validate(t, settings{mode: digest.Full}).findings(); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}
