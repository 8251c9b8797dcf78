package digest_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

var modes = []digest.Mode{digest.Digests, digest.Existence, digest.Sample, digest.Full}

// seeds is how many worlds the property tests make.
var seeds = flag.Uint64("seeds", 16, "how many worlds the property tests make")

// randomWorld returns the deliveries of some trails to some buckets.
func randomWorld(random *rand.Rand) []*delivery {
	w := newWorld()
	names := []string{"main", "main_eu-west-1", "a.b-c_d", "main_eu-west-1_20260101T000000Z"}
	accounts := []string{"111122223333", "444455556666"}
	regions := []string{"us-east-1", "ap-northeast-1"}
	each := []time.Duration{30 * 24 * time.Hour, 17 * time.Hour}[random.IntN(2)]
	for i, region := range regions {
		w.addKeys(region, i, each)
	}

	var all []*delivery
	organization := []string{"", "o-abcdefghij"}[random.IntN(2)]
	prefix := []string{"", "p", "a/b"}[random.IntN(3)]
	hours := 5 + random.IntN(60)
	trails := 1 + random.IntN(3)
	for _, name := range names[:trails] {
		trail := digest.Trail{
			Name: name, HomeRegion: "eu-west-1", AccountID: accounts[0], Bucket: "one", Prefix: prefix,
			Organization: organization != "",
		}
		for _, account := range accounts[:1+random.IntN(2)] {
			for _, region := range regions[:1+random.IntN(2)] {
				chain := digest.Chain{OrganizationID: organization, AccountID: account, Region: region}
				begin := epoch.Add(time.Duration(random.IntN(7200)) * time.Second)
				d := w.deliver(trail, chain, begin)
				d.random(random, hours, trails == 1)
				all = append(all, d)
			}
		}
	}
	return all
}

// random delivers hours in which this and that happens. A change of the bucket or the prefix leaves log files behind
// that the first digest in the new place vouches for, unless other trails' log files are there, too: their validators
// do not know of that place.
func (d *delivery) random(random *rand.Rand, hours int, alone bool) {
	var late []log
	for i := range hours {
		moved := d.trail
		switch what := random.IntN(40); {
		case what == 0 && i > 0:
			d.end(time.Duration(1+random.IntN(3599)) * time.Second)
			d.begin(time.Duration(random.IntN(4*3600)) * time.Second)
		case what == 1 && i > 0:
			d.begin(0)
		case what == 2 && len(late) == 0:
			moved.Prefix = fmt.Sprint("prefix", random.IntN(2))
		case what == 3 && len(late) == 0:
			moved.Bucket = []string{"one", "two", "three"}[random.IntN(3)]
		case what == 4 && i < hours-6:
			at := d.at.Add(time.Minute)
			late = append(late, d.putLog(at, at.Add(3*time.Hour+time.Duration(random.IntN(30))*time.Minute)))
		case what == 5 && i > 0 && !d.digests[len(d.digests)-1].backfill:
			d.backfill(time.Duration(random.IntN(20*3600))*time.Second, 1+random.IntN(2))
		}

		if !alone {
			d.trail = moved
		}
		end := d.at.Add(time.Hour)
		var made []log
		late = slices.DeleteFunc(late, func(one log) bool {
			due := one.modified.Before(end)
			if due {
				made = append(made, one)
			}
			return due
		})
		for range random.IntN(5) {
			at := d.at.Add(time.Duration(random.IntN(3540)) * time.Second)
			made = append(made, d.putLog(at, at.Add(time.Minute)))
		}
		d.trail = moved // The digest of the hour of a change is where CloudTrail delivers then.
		d.digest(end, made)
	}
}

// TestIntact holds that a bucket in which nobody has done anything has no finding, wherever a walk begins and however
// it is cut: the results are the same.
func TestIntact(t *testing.T) {
	t.Parallel()
	for seed := range *seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			for _, d := range randomWorld(random) {
				mode := modes[random.IntN(len(modes))]
				whole := d.validate(t, settings{mode: mode})
				d.expectWhole(t, mode, whole)
				d.expectSameInPieces(t, random, mode, whole)
				d.expectSameLive(t, random, mode, whole)
				d.expectFromAnywhere(t, random, mode)
			}
		})
	}
}

// expectWhole expects that a walk has seen everything and found nothing.
func (d *delivery) expectWhole(t *testing.T, mode digest.Mode, w walked) {
	t.Helper()
	if found := w.findings(); len(found) > 0 {
		t.Fatalf("%s: %+v", mode, found)
	}
	count := map[digest.Kind]int{}
	for _, result := range w.results {
		count[result.Kind]++
	}
	expected := map[digest.Kind]int{}
	for i, one := range d.digests {
		switch {
		case one.backfill:
			expected[digest.KindBackfill]++
		case one.first && i > 0:
			expected[digest.KindGap]++
			fallthrough
		default:
			expected[digest.KindDigest]++
		}
		if mode != digest.Digests && len(one.logs) > 0 {
			expected[digest.KindLog] += len(one.logs)
		}
	}
	if difference := cmp.Diff(expected, count); difference != "" {
		t.Fatalf("%s: results (-expected +is):\n%s", mode, difference)
	}
	if hourly := d.hourly(); w.position.Object != hourly[len(hourly)-1].key {
		t.Fatalf("%s: the walk came to %v", mode, w.position)
	}
}

// expectSameInPieces walks until some time, and on from there.
func (d *delivery) expectSameInPieces(t *testing.T, random *rand.Rand, mode digest.Mode, whole walked) {
	t.Helper()
	var pieces walked
	until := epoch
	for until.Before(d.at) {
		until = until.Add(time.Duration(random.IntN(20*3600)) * time.Second)
		piece := d.validate(t, settings{mode: mode, until: until, from: pieces.position})
		pieces = walked{append(pieces.results, piece.results...), piece.position}
	}
	if difference := cmp.Diff(whole, pieces, cmp.AllowUnexported(walked{})); difference != "" {
		t.Fatalf("%s: in pieces (-whole +pieces):\n%s", mode, difference)
	}
}

// expectSameLive walks now and then while CloudTrail delivers. Backfill digests come late: only what comes with the
// others is seen.
func (d *delivery) expectSameLive(t *testing.T, random *rand.Rand, mode digest.Mode, whole walked) {
	t.Helper()
	var pieces walked
	live := d.storage.copy()
	for now := epoch; now.Before(d.at.Add(time.Hour)); {
		now = now.Add(time.Duration(random.IntN(5*3600)) * time.Second)
		live.asOf = now
		piece := walkChain(t, live, d.keys, d.trail, d.chain, settings{
			mode: mode, now: now, from: pieces.position, delivery: &digest.Delivery{Stopped: true},
		})
		pieces = walked{append(pieces.results, piece.results...), piece.position}
	}
	if difference := cmp.Diff(withoutBackfill(whole), withoutBackfill(pieces)); difference != "" {
		t.Fatalf("%s: live (-whole +live):\n%s", mode, difference)
	}
}

// withoutBackfill returns the results of digests, gaps and findings.
func withoutBackfill(w walked) []digest.Result {
	return slices.DeleteFunc(slices.Clone(w.results), func(result digest.Result) bool {
		return result.Finding == nil && (result.Kind == digest.KindBackfill || result.Kind == digest.KindLog)
	})
}

// expectFromAnywhere begins a walk somewhere.
func (d *delivery) expectFromAnywhere(t *testing.T, random *rand.Rand, mode digest.Mode) {
	t.Helper()
	for range 3 {
		start := epoch.Add(time.Duration(random.Int64N(int64(d.at.Sub(epoch)))))
		if random.IntN(3) == 0 {
			start = d.digests[random.IntN(len(d.digests))].end
		}
		w := d.validate(t, settings{mode: mode, start: start})
		if found := w.findings(); len(found) > 0 {
			t.Fatalf("%s from %s: %+v", mode, start, found)
		}
		expected := slices.IndexFunc(d.digests, func(one *delivered) bool { return !one.backfill && one.end.After(start) })
		switch {
		case expected < 0 && len(w.results) > 0:
			t.Fatalf("%s from %s: there is %v", mode, start, w.results[0])
		case expected >= 0 && (len(w.results) == 0 || w.results[0].Object != d.digests[expected].key):
			t.Fatalf("%s from %s: it begins with %v and not with %s", mode, start, w.results[:min(1, len(w.results))],
				d.digests[expected].key)
		}
	}
}
