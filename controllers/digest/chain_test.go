package digest_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// shortChain delivers so many hours with two log files each.
func shortChain(hours int) *delivery {
	return newWorld().deliver(oneTrail, oneChain, epoch).hours(slices.Repeat([]int{2}, hours)...)
}

// resign makes CloudTrail sign a digest that says something else.
func (d *delivery) resign(one *delivered, change map[string]any) {
	fields := d.fields(one)
	if one.after != nil {
		fields["previousDigestS3Bucket"], fields["previousDigestS3Object"] = one.after.bucket, one.after.key
		fields["previousDigestHashValue"], fields["previousDigestSignature"] = one.after.hash, one.after.signature
	}
	maps.Copy(fields, change)
	d.sign(one, fields, d.signerAt(d.chain.Region, one.end), nil, one.end.Add(4*time.Minute))
}

// TestChainBroken holds what is said of digests that CloudTrail has signed but that do not fit together.
func TestChainBroken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(d *delivery) map[string]any
		class  digest.Class
	}{
		"another signature": {func(*delivery) map[string]any {
			return map[string]any{"previousDigestSignature": strings.Repeat("ab", 256)}
		}, digest.ChainBroken},
		"another start": {func(d *delivery) map[string]any {
			return map[string]any{"digestStartTime": d.digests[5].start.Add(time.Minute).Format(time.RFC3339)}
		}, digest.ChainBroken},
		"an older digest": {func(d *delivery) map[string]any {
			return map[string]any{"previousDigestS3Object": d.digests[3].key}
		}, digest.ChainBroken},
		"a later digest": {func(d *delivery) map[string]any {
			return map[string]any{"previousDigestS3Object": d.digests[7].key}
		}, digest.ChainBroken},
		"another trail's digest": {func(d *delivery) map[string]any {
			return map[string]any{"previousDigestS3Object": strings.ReplaceAll(d.digests[4].key, "a_trail", "b_trail")}
		}, digest.ChainBroken},
		"another hash, which alone is no finding": {func(*delivery) map[string]any {
			return map[string]any{"previousDigestHashValue": strings.Repeat("ab", 32)}
		}, ""},
		"a hash without its leading zero": {func(d *delivery) map[string]any {
			return map[string]any{"previousDigestHashValue": strings.TrimLeft(d.digests[4].hash, "0")}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := shortChain(6)
			d.hours(0, 0, 0)
			last := d.digests[5]
			d.resign(last, test.change(d))
			d.resign(d.digests[6], nil) // Whose one before has another signature now.
			d.resign(d.digests[7], nil)
			d.resign(d.digests[8], nil)
			w := d.validate(t, settings{mode: digest.Full})
			var expect []digest.Class
			if test.class != "" {
				expect = append(expect, test.class)
			}
			var found []digest.Class
			for _, one := range w.findings() {
				found = append(found, one.Class)
				if one.Object != last.key || !one.Time.Equal(last.end) {
					t.Errorf("about %s, not %s", one.Object, last.key)
				}
			}
			if !slices.Equal(found, expect) {
				t.Errorf("found %v", w.findings())
			}
		})
	}
}

// TestTail holds what is said when no digest follows the last one.
func TestTail(t *testing.T) {
	t.Parallel()
	const hours = 5
	last := epoch.Add(hours * time.Hour)
	for name, test := range map[string]struct {
		now      time.Duration // After the end of the last digest that is there.
		delivery *digest.Delivery
		until    time.Duration
		remove   int
		expect   []expected
		reason   string
	}{
		"in time": {now: 2 * time.Hour},
		"overdue": {
			now: 4 * time.Hour, expect: []expected{{class: digest.Unverifiable, time: last.Add(time.Hour)}}, reason: "Overdue",
		},
		"stopped":   {now: 400 * time.Hour, delivery: &digest.Delivery{Stopped: true}},
		"delivered": {now: time.Hour, delivery: &digest.Delivery{Time: last.Add(4 * time.Minute)}},
		"refused": {
			now: time.Hour, delivery: &digest.Delivery{Time: last.Add(4 * time.Minute), Error: "AccessDenied"},
			expect: []expected{{class: digest.Unverifiable, time: last.Add(time.Hour)}}, reason: "AccessDenied",
		},
		"last deleted": {
			now: time.Hour, remove: 1, delivery: &digest.Delivery{Time: last.Add(4 * time.Minute)},
			expect: []expected{{class: digest.DigestMissing, time: last}},
		},
		"three deleted": {
			now: time.Hour, remove: 3, delivery: &digest.Delivery{Time: last.Add(4 * time.Minute)},
			expect: []expected{
				{class: digest.DigestMissing, time: last.Add(-2 * time.Hour)},
				{class: digest.DigestMissing, time: last.Add(-time.Hour)},
				{class: digest.DigestMissing, time: last},
			},
		},
		"all deleted": {
			now: time.Hour, remove: hours, delivery: &digest.Delivery{Time: last.Add(4 * time.Minute)},
			expect: []expected{{class: digest.DigestMissing, time: last.Add(4 * time.Minute)}},
		},
		"the digest after the range tells": {now: 10 * time.Hour, until: -30 * time.Minute},
		"nothing is due in the range":      {now: 10 * time.Hour, until: 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := shortChain(hours)
			for _, one := range d.digests[hours-test.remove:] {
				d.remove(one.bucket, one.key)
			}
			s := settings{now: last.Add(test.now), delivery: test.delivery}
			if test.until != 0 {
				s.until = last.Add(test.until)
			}
			var found []expected
			for _, one := range d.validate(t, s).findings() {
				found = append(found, expected{class: one.Class, time: one.Time})
				if one.Reason != test.reason {
					t.Errorf("reason %q", one.Reason)
				}
			}
			if !slices.Equal(found, test.expect) {
				t.Errorf("found %v", found)
			}
		})
	}
}

// TestAllGone holds that a chain of which nothing is left is missed by who had been there.
func TestAllGone(t *testing.T) {
	t.Parallel()
	d := shortChain(5)
	at := d.validate(t, settings{}).position
	for _, one := range d.digests {
		d.remove(one.bucket, one.key)
	}
	found := d.validate(t, settings{from: at, now: d.at.Add(5 * time.Hour)}).findings()
	if len(found) != 1 || found[0].Class != digest.DigestMissing || found[0].Object != at.Object {
		t.Errorf("found %v", found)
	}
}

// TestMissingBeforeUntil holds that a digest that is missing at the end of a range is found by the one after the range.
func TestMissingBeforeUntil(t *testing.T) {
	t.Parallel()
	d := shortChain(8)
	for _, one := range d.digests[3:6] {
		d.remove(one.bucket, one.key)
	}
	w := d.validate(t, settings{until: d.digests[4].end})
	for i, one := range w.findings() {
		if one.Class != digest.DigestMissing || one.Object != d.digests[3+i].key {
			t.Errorf("found %v", one)
		}
	}
	if len(w.findings()) != 2 || w.position.Object != d.digests[4].key {
		t.Fatalf("found %v, came to %v", w.findings(), w.position)
	}
	rest := d.validate(t, settings{from: w.position})
	if found := rest.findings(); len(found) != 1 || found[0].Object != d.digests[5].key {
		t.Errorf("then found %v", found)
	}
}

// TestFuture holds that a digest of a time to come is not believed, and that no walk passes it.
func TestFuture(t *testing.T) {
	t.Parallel()
	d := shortChain(5)
	o := *d.get(t, d.last.bucket, d.last.key)
	d.put(d.last.bucket, d.digestKey(d.at.Add(1000*time.Hour)), &o)
	w := d.validate(t, settings{})
	if found := w.findings(); len(found) != 1 || found[0].Class != digest.DigestAltered ||
		w.position.Object != d.last.key {
		t.Errorf("found %v, came to %v", found, w.position)
	}
}

// TestForged holds that digests which somebody else has signed neither count nor stop the walk once CloudTrail's next
// digest tells more.
func TestForged(t *testing.T) {
	t.Parallel()
	mallory := newSigner(signers()[3], false, epoch, epoch)
	for name, test := range map[string]struct {
		forge func(d *delivery)
		next  int
		class digest.Class
		at    int
	}{
		"in place, and the next one knows better": {func(d *delivery) {
			one := d.digests[4]
			d.sign(&delivered{bucket: one.bucket, key: one.key}, d.fields(&delivered{
				bucket: one.bucket, key: one.key, start: one.start, end: one.end,
			}), mallory, nil, one.end)
		}, 1, digest.DigestAltered, 5},
		"beside the chain": {func(d *delivery) {
			end := d.at.Add(10 * time.Minute)
			key := d.digestKey(end)
			d.sign(&delivered{bucket: d.trail.Bucket, key: key}, d.fields(&delivered{
				bucket: d.trail.Bucket, key: key, start: d.at, end: end,
			}), mallory, nil, end)
		}, 1, digest.DigestAltered, 5},
		"as the last one": {func(d *delivery) {
			one := d.digests[4]
			d.sign(&delivered{bucket: one.bucket, key: one.key}, d.fields(&delivered{
				bucket: one.bucket, key: one.key, start: one.start, end: one.end,
			}), mallory, nil, one.end)
		}, 0, digest.Unverifiable, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := shortChain(5)
			test.forge(d)
			d.hours(slices.Repeat([]int{0}, test.next)...)
			w := d.validate(t, settings{})
			if found := w.findings(); len(found) != 1 || found[0].Class != test.class {
				t.Errorf("found %v", found)
			}
			if w.position.Object != d.digests[test.at].key {
				t.Errorf("came to %v", w.position)
			}
		})
	}
}

// TestKeyForgotten holds that a digest whose key CloudTrail does not return any more is proved by the next one.
func TestKeyForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.addKeys(oneChain.Region, 0, 10*time.Hour)
	d := w.deliver(oneTrail, oneChain, epoch).hours(1, 1, 1, 1, 1, 1, 1)
	w.keys.signers[oneChain.Region] = w.keys.signers[oneChain.Region][1:]
	start := slices.IndexFunc(d.digests, func(one *delivered) bool { return !one.end.Before(epoch.Add(5 * time.Hour)) })
	walk := d.validate(t, settings{start: d.digests[start-1].start, mode: digest.Full})
	if found := walk.findings(); len(found) > 0 || walk.results[0].Object != d.digests[start-1].key {
		t.Errorf("found %v, began with %v", found, walk.results[0])
	}
}

// TestNotVouchedFor holds which log files must be vouched for.
func TestNotVouchedFor(t *testing.T) {
	t.Parallel()
	folder := "logs/of/AWSLogs/111122223333/CloudTrail/us-east-1/2026/02/27/"
	named := folder + "111122223333_CloudTrail_us-east-1_20260227T0540Z_aaaaaaaaaaaaaaaa.json.gz"
	for name, test := range map[string]struct {
		key   string
		found bool
	}{
		"named like one":     {named, true},
		"named like another": {folder + "zzz.json.gz", true},
		"named before":       {folder + "000.json.gz", true},
		"in another folder":  {strings.ReplaceAll(named, "/CloudTrail/", "/CloudTrail-Insight/"), false},
		"in another region":  {strings.ReplaceAll(named, "us-east-1", "us-east-2"), false},
		"a folder":           {folder, false},
		"of the last 24 hours": {
			strings.ReplaceAll(strings.ReplaceAll(named, "/27/", "/28/"), "20260227T05", "20260228T22"), false,
		},
		"before the chain": {
			strings.ReplaceAll(strings.ReplaceAll(named, "/27/", "/26/"), "20260227T05", "20260226T03"), false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := shortChain(60)
			d.put("archive", test.key, &object{body: pack([]byte("{}")), modified: d.at})
			for _, mode := range modes[1:] {
				whole := d.validate(t, settings{mode: mode, now: d.at.Add(time.Hour)})
				d.expectUnvouched(t, whole.findings(), test.key, test.found)
				var pieces []digest.Finding
				var at digest.Position
				for _, one := range d.digests {
					live := d.fork()
					live.asOf = one.end.Add(5 * time.Minute)
					o := *live.get(t, "archive", test.key)
					o.modified = epoch
					live.put("archive", test.key, &o)
					w := live.validate(t, settings{mode: mode, from: at, now: live.asOf})
					at, pieces = w.position, append(pieces, w.findings()...)
				}
				d.expectUnvouched(t, pieces, test.key, test.found)
			}
			if found := d.validate(t, settings{mode: digest.Digests}).findings(); len(found) > 0 {
				t.Errorf("found %v", found)
			}
		})
	}
}

func (d *delivery) expectUnvouched(t *testing.T, found []digest.Finding, key string, expect bool) {
	t.Helper()
	// Every walk of a chain that is walked every hour looks at an hour, and at none twice.
	if !expect && len(found) == 0 {
		return
	}
	ofADigest := func(one *delivered) bool { return one.end.Equal(found[0].Time) }
	if !expect || len(found) != 1 || found[0].Class != digest.LogNotVouchedFor || found[0].Object != key ||
		!slices.ContainsFunc(d.digests, ofADigest) {
		t.Errorf("found %v", found)
	}
}

// TestChains holds which chains a trail has.
func TestChains(t *testing.T) {
	t.Parallel()
	w := newWorld()
	own, other := "111122223333", "444455556666"
	deliver := func(trail digest.Trail, organization, account, region string) {
		w.deliver(trail, digest.Chain{OrganizationID: organization, AccountID: account, Region: region}, epoch).hours(1, 1)
	}
	trail := digest.Trail{Name: "main_a", HomeRegion: "eu-west-1", AccountID: own, Bucket: "archive", Prefix: "p"}
	longer, ofOrganization := trail, trail
	longer.Name = "main_a_eu-west-1"
	ofOrganization.Organization = true
	deliver(trail, "", own, "eu-west-1")
	deliver(trail, "", own, "me-south-1")
	deliver(longer, "", own, "us-east-1")
	deliver(trail, "", other, "us-east-1")
	deliver(ofOrganization, "o-abcdefghij", own, "eu-west-1")
	deliver(ofOrganization, "o-abcdefghij", other, "ap-south-1")
	w.put("archive", "p/AWSLogs/o-abcdefghij/not an account/CloudTrail-Digest/x/y", &object{})

	for name, test := range map[string]struct {
		trail  digest.Trail
		expect []digest.Chain
	}{
		"of an account": {trail, []digest.Chain{
			{AccountID: own, Region: "eu-west-1"}, {AccountID: own, Region: "me-south-1"},
		}},
		"with a name that begins like another": {longer, []digest.Chain{{AccountID: own, Region: "us-east-1"}}},
		"of an organization": {ofOrganization, []digest.Chain{
			{OrganizationID: "o-abcdefghij", AccountID: own, Region: "eu-west-1"}, {AccountID: own, Region: "me-south-1"},
			{OrganizationID: "o-abcdefghij", AccountID: other, Region: "ap-south-1"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chains, err := digest.New(digest.Options{Storage: w.storage.copy()}).Chains(t.Context(), test.trail)
			if difference := cmp.Diff(test.expect, chains); difference != "" || err != nil {
				t.Errorf("%v, (-expected +is):\n%s", err, difference)
			}
		})
	}

	t.Run("with a folder that cannot be listed", func(t *testing.T) {
		t.Parallel()
		s := w.storage.copy()
		denied := &digest.UnavailableError{Reason: "AccessDenied", Message: "denied"}
		s.fail = func(_, _, key string) error {
			if strings.Contains(key, "/me-south-1/") {
				return denied
			}
			return nil
		}
		chains, err := digest.New(digest.Options{Storage: s}).Chains(t.Context(), trail)
		if !errors.Is(err, denied) || len(chains) != 1 {
			t.Errorf("%v, %v", chains, err)
		}
	})
}

// TestEnds holds that a walk ends with its context, and says how far it came.
func TestEnds(t *testing.T) {
	t.Parallel()
	d := shortChain(40)
	ctx, cancel := context.WithCancel(t.Context())
	validator := digest.New(digest.Options{
		Storage: d.storage, Keys: d.keys, Mode: digest.Full, Now: func() time.Time { return d.at },
	})
	var last digest.Result
	position, err := validator.Walk(ctx, digest.Walk{Trail: d.trail, Chain: d.chain, Report: func(result digest.Result) {
		if result.Finding != nil {
			t.Errorf("found %v", result.Finding)
		}
		if last = result; result.Kind == digest.KindLog {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || position.Object != d.digests[0].key && !position.End.Equal(last.End) {
		t.Errorf("%v, %v", position, err)
	}
}

// TestLargeDigests holds that a file that somebody has made to fill the memory is given up.
func TestLargeDigests(t *testing.T) {
	t.Parallel()
	d := shortChain(5)
	one := d.digests[2]
	d.rewrite(one.bucket, one.key, func(o *object) { o.body = bomb })
	found := d.validate(t, settings{mode: digest.Full}).findings()
	if len(found) != 1 || found[0].Class != digest.Unverifiable || found[0].Reason != digest.ReasonTooLarge {
		t.Errorf("found %v", found)
	}
	huge := pack(
		append(
			[]byte(`{"awsAccountId":"111122223333","logFiles":[`),
			append(bytes.Repeat([]byte("{},"), 1<<21), "{}]}"...)...),
	)
	d.rewrite(one.bucket, one.key, func(o *object) { o.body = huge })
	found = d.validate(t, settings{mode: digest.Full}).findings()
	if len(found) != 1 || found[0].Class != digest.DigestAltered {
		t.Errorf("found %v", found)
	}
}

// TestPlantedAhead holds that nobody can make walks pass a digest that is still on its way with a file whose key comes
// after it.
func TestPlantedAhead(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(d *delivery, key string){
		"nothing": func(d *delivery, key string) { d.put(d.trail.Bucket, key, &object{modified: epoch}) },
		"a copy": func(d *delivery, key string) {
			o := *d.buckets[d.last.bucket][d.last.key]
			o.modified = epoch
			d.put(d.trail.Bucket, key, &o)
		},
	} {
		for _, ahead := range []time.Duration{-time.Minute, 2 * time.Minute, 50 * time.Minute, 2 * time.Hour} {
			t.Run(name+" "+ahead.String(), func(t *testing.T) {
				t.Parallel()
				d := shortChain(12)
				victim := d.digests[6]
				key := d.digestKey(victim.end.Add(ahead))
				if ahead == 2*time.Hour {
					key = d.digestKey(victim.end.Add(ahead + time.Second))
				}
				plant(d, key)
				d.remove(victim.logs[0].bucket, victim.logs[0].key)

				var at digest.Position
				found := map[string]bool{}
				for _, one := range d.digests {
					for _, minutes := range []int{1, 5, 30} { // The digest is there four minutes after its end.
						live := d.fork()
						live.asOf = one.end.Add(time.Duration(minutes) * time.Minute)
						w := live.validate(t, settings{mode: digest.Existence, from: at, now: live.asOf})
						if at = w.position; at.End.After(live.asOf) {
							t.Errorf("at %s came to %v", live.asOf, at)
						}
						for _, finding := range w.findings() {
							found[string(finding.Class)+finding.Object] = true
						}
					}
				}
				expect := map[string]bool{"LogDeleted" + victim.logs[0].key: true, "DigestAltered" + key: true}
				if difference := cmp.Diff(expect, found); difference != "" || at.Object != d.last.key {
					t.Errorf("came to %v (-expected +is):\n%s", at, difference)
				}
			})
		}
	}
}

// TestLate holds that a digest which comes after a file beside it was passed is judged.
func TestLate(t *testing.T) {
	t.Parallel()
	d := shortChain(8)
	late, log := d.digests[6], d.digests[6].logs[0]
	key := d.digestKey(late.end.Add(time.Minute))
	d.put(d.trail.Bucket, key, &object{})
	before := d.fork()
	before.remove(late.bucket, late.key)
	before.remove(d.last.bucket, d.last.key)
	w := before.validate(t, settings{now: d.at.Add(5 * time.Hour), delivery: &digest.Delivery{Stopped: true}})
	if found := w.findings(); len(found) != 1 || w.position.Object != key {
		t.Fatalf("found %v, came to %v", found, w.position)
	}
	d.remove(log.bucket, log.key)
	rest := d.validate(t, settings{now: d.at.Add(5 * time.Hour), from: w.position, mode: digest.Full,
		delivery: &digest.Delivery{Stopped: true}})
	if found := rest.findings(); len(found) != 1 || found[0].Class != digest.LogDeleted {
		t.Errorf("found %v", found)
	}
}

// TestVouchedForElsewhere holds that log files are vouched for by digests that come days later, or lie in another
// bucket.
func TestVouchedForElsewhere(t *testing.T) {
	t.Parallel()
	for name, deliver := range map[string]func(d *delivery){
		"three days later": func(d *delivery) {
			late := d.putLog(d.at.Add(time.Minute), d.at.Add(73*time.Hour))
			d.hours(slices.Repeat([]int{1}, 73)...)
			d.digest(d.at.Add(time.Hour), []log{late})
		},
		"in another bucket, and back": func(d *delivery) {
			last := d.putLog(d.at.Add(time.Minute), d.at.Add(2*time.Minute))
			d.trail.Bucket = "elsewhere"
			d.digest(d.at.Add(time.Hour), []log{last})
			d.trail.Bucket = oneTrail.Bucket
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := shortChain(20)
			deliver(d)
			d.hours(slices.Repeat([]int{1}, 30)...)
			for _, each := range []time.Duration{90 * time.Minute, 20 * time.Hour, 1000 * time.Hour} {
				s := settings{mode: digest.Existence, now: d.at.Add(time.Hour)}
				for until := epoch; until.Before(d.at); {
					until = until.Add(each)
					s.until = until
					w := d.validate(t, s)
					if found := w.findings(); len(found) > 0 {
						t.Fatalf("from %s until %s found %v", s.from.End, until, found)
					}
					s.from = w.position
				}
				if s.from.Object != d.last.key {
					t.Errorf("came to %v", s.from)
				}
			}
		})
	}
}
