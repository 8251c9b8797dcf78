package digest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// tampering is something that somebody does to a digest or to what it vouches for.
type tampering struct {
	name string
	// do tampers with the i-th digest, and returns what must be found.
	do func(d *delivery, i int) []expected
	// logs says that it needs a log file, and so cannot be seen without looking at them.
	logs bool
	// content says that it is only seen where log files are read.
	content bool
}

// seenIn tells whether a mode is to see it. Of digests two modes are enough: they read them alike.
func (t tampering) seenIn(mode digest.Mode) bool {
	switch {
	case t.content:
		return mode == digest.Full
	case t.logs:
		return mode != digest.Digests
	default:
		return mode == digest.Digests || mode == digest.Full
	}
}

// expected is a finding without its words.
type expected struct {
	class digest.Class
	key   string
	time  time.Time
}

func (e expected) String() string {
	return fmt.Sprintf("%s %s %s", e.class, e.key, e.time.Format(time.RFC3339))
}

// rewrite changes an object when everything else was there for long.
func (d *delivery) rewrite(bucket, key string, change func(o *object)) {
	o := *d.buckets[bucket][key]
	o.body, o.metadata = slices.Clone(o.body), maps.Clone(o.metadata)
	change(&o)
	d.put(bucket, key, &o)
}

// onDigest is a tampering that leaves the digest where it is, and makes it another one.
func onDigest(name string, change func(o *object)) tampering {
	return tampering{name: name, do: func(d *delivery, i int) []expected {
		one := d.hourly()[i]
		d.rewrite(one.bucket, one.key, change)
		return []expected{{digest.DigestAltered, one.key, one.end}}
	}}
}

// onLog is a tampering with the last log file of a digest.
func onLog(name string, class digest.Class, content bool, change func(d *delivery, l log)) tampering {
	return tampering{name: name, logs: true, content: content, do: func(d *delivery, i int) []expected {
		one := d.hourly()[i]
		l := one.logs[len(one.logs)-1]
		change(d, l)
		return []expected{{class, l.key, one.end}}
	}}
}

// field changes a field of a digest.
func field(name string, value any) func(*object) {
	return func(o *object) {
		fields := map[string]any{}
		if err := json.Unmarshal(unpack(o.body), &fields); err != nil {
			panic(err)
		}
		if value == nil {
			delete(fields, name)
		} else {
			fields[name] = value
		}
		content, err := json.Marshal(fields)
		if err != nil {
			panic(err)
		}
		o.body = pack(content)
	}
}

// bomb is a gzip file of nothing but zeros, larger than any digest.
var bomb = pack(bytes.Repeat([]byte{' '}, 33<<20))

// tamperings are what INTEGRITY's readers know how to do, and more.
var tamperings = []tampering{
	{name: "digest deleted", do: func(d *delivery, i int) []expected {
		one := d.hourly()[i]
		d.remove(one.bucket, one.key)
		return []expected{{digest.DigestMissing, one.key, one.end}}
	}},
	{name: "three digests deleted", do: func(d *delivery, i int) []expected {
		var all []expected
		hourly := d.hourly()
		for j, one := range hourly[i:min(i+3, len(hourly))] {
			if i+j+1 < len(hourly) && hourly[i+j+1].first || placeOf(one) != placeOf(hourly[i]) {
				break // What is before a gap leaves a longer gap, and where the change was is not known any more.
			}
			d.remove(one.bucket, one.key)
			if hourly[i].first {
				all = nil // Nothing tells how many there were before.
			}
			all = append(all, expected{digest.DigestMissing, one.key, one.end})
		}
		return all
	}},
	onDigest("log file added", field("logFiles", []any{map[string]any{"s3Bucket": "archive"}})),
	onDigest("time changed", field("digestEndTime", "2026-02-26T20:00:00Z")),
	onDigest("time removed", field("digestStartTime", nil)),
	onDigest("starts a chain", field("previousDigestSignature", nil)),
	onDigest("other account", field("awsAccountId", "999988887777")),
	onDigest("other bucket", field("digestS3Bucket", "elsewhere")),
	onDigest("no fingerprint", field("digestPublicKeyFingerprint", nil)),
	onDigest("other algorithm", field("digestSignatureAlgorithm", "SHA1withRSA")),
	onDigest("space added", func(o *object) { o.body = pack(append(unpack(o.body), ' ')) }),
	onDigest("bytes behind", func(o *object) { o.body = append(o.body, "hidden"...) }),
	onDigest("zero behind", func(o *object) { o.body = append(o.body, 0) }),
	onDigest("member behind", func(o *object) { o.body = append(o.body, pack([]byte("hidden"))...) }),
	onDigest("empty member behind", func(o *object) { o.body = append(o.body, pack(nil)...) }),
	onDigest("cut", func(o *object) { o.body = o.body[:len(o.body)-9] }),
	onDigest("empty", func(o *object) { o.body = nil }),
	onDigest("not packed", func(o *object) { o.body = unpack(o.body) }),
	onDigest("not JSON", func(o *object) { o.body = pack([]byte("not JSON")) }),
	onDigest("array", func(o *object) { o.body = pack([]byte(`[]`)) }),
	onDigest("deep", func(o *object) { o.body = pack(bytes.Repeat([]byte(`[`), 1<<20)) }),
	onDigest("null", func(o *object) { o.body = pack([]byte(`null`)) }),
	onDigest("checksum", func(o *object) { o.body[len(o.body)-6] ^= 1 }),
	onDigest("no metadata", func(o *object) { o.metadata = nil }),
	onDigest("no algorithm", func(o *object) { delete(o.metadata, "signature-algorithm") }),
	onDigest("unknown algorithm", func(o *object) { o.metadata["signature-algorithm"] = "none" }),
	onDigest("other signature", func(o *object) { o.metadata["signature"] = strings.Repeat("ab", 256) }),
	onDigest("no hex", func(o *object) { o.metadata["signature"] = "signed" }),
	onDigest("signature cut", func(o *object) { o.metadata["signature"] = o.metadata["signature"][2:] }),
	{name: "other digest's content", do: func(d *delivery, i int) []expected {
		hourly := d.hourly()
		one, other := hourly[i], hourly[(i+len(hourly)-1)%len(hourly)]
		o := *d.buckets[other.bucket][other.key]
		d.put(one.bucket, one.key, &o)
		return []expected{{digest.DigestAltered, one.key, one.end}}
	}},
	{name: "copied to another time", do: func(d *delivery, i int) []expected {
		one := d.hourly()[i]
		o := *d.buckets[one.bucket][one.key]
		end := one.end.Add(-7 * time.Minute)
		key := strings.ReplaceAll(one.key, one.end.Format("20060102T150405Z"), end.Format("20060102T150405Z"))
		key = strings.ReplaceAll(key, one.end.Format("/2006/01/02/"), end.Format("/2006/01/02/"))
		d.put(one.bucket, key, &o)
		return []expected{{digest.DigestAltered, key, end}}
	}},
	{name: "copied to another day", do: func(d *delivery, i int) []expected {
		one := d.hourly()[i]
		o := *d.buckets[one.bucket][one.key]
		key := strings.ReplaceAll(d.digestKey(one.end), one.end.Format("/2006/01/02/"), "/2026/03/31/")
		d.put(d.trail.Bucket, key, &o)
		return []expected{{digest.DigestAltered, key, one.end}}
	}},
	{name: "backfill digest made up", do: func(d *delivery, i int) []expected {
		one := d.hourly()[i]
		o := *d.buckets[one.bucket][one.key]
		o.metadata = maps.Clone(o.metadata)
		o.metadata["backfill-generation-timestamp"] = one.end.Format(time.RFC3339)
		key := strings.TrimSuffix(one.key, ".json.gz") + "_backfill.json.gz"
		d.put(one.bucket, key, &o)
		return []expected{{digest.DigestAltered, key, one.end}}
	}},

	onLog("log deleted", digest.LogDeleted, false, func(d *delivery, l log) { d.remove(l.bucket, l.key) }),
	onLog("log written again", digest.LogAltered, false, func(d *delivery, l log) {
		d.rewrite(l.bucket, l.key, func(o *object) {
			o.body, o.modified = pack([]byte(`{"Records":[]}`)), o.modified.Add(3*time.Hour)
		})
	}),
	onLog("log altered", digest.LogAltered, true, func(d *delivery, l log) {
		d.rewrite(l.bucket, l.key, func(o *object) { o.body = pack([]byte(`{"Records":[]}`)) })
	}),
	onLog("log with bytes behind", digest.LogAltered, true, func(d *delivery, l log) {
		d.rewrite(l.bucket, l.key, func(o *object) { o.body = append(o.body, 1) })
	}),
	onLog("log with a member behind", digest.LogAltered, true, func(d *delivery, l log) {
		d.rewrite(l.bucket, l.key, func(o *object) { o.body = append(o.body, pack([]byte("hidden"))...) })
	}),
	onLog("log cut", digest.LogAltered, true, func(d *delivery, l log) {
		d.rewrite(l.bucket, l.key, func(o *object) { o.body = o.body[:len(o.body)-1] })
	}),
	onLog("log unpacked", digest.LogAltered, true, func(d *delivery, l log) {
		d.rewrite(l.bucket, l.key, func(o *object) { o.body = unpack(o.body) })
	}),
	onLog("log emptied", digest.LogAltered, true, func(d *delivery, l log) {
		d.rewrite(l.bucket, l.key, func(o *object) { o.body = nil })
	}),
}

// tableChain delivers 45 hours with rotations of the keys and a change of bucket and prefix.
func tableChain() *delivery {
	w := newWorld()
	w.addKeys(oneChain.Region, 0, 30*time.Hour) // A rotation: 15 hours after the epoch.
	d := w.deliver(oneTrail, oneChain, epoch)
	for i := range 45 {
		if i == 30 {
			d.trail.Bucket, d.trail.Prefix = "archive2", "moved"
		}
		d.hours([]int{2, 0, 3, 1, 5}[i%5])
	}
	return d
}

// positions are where in the table's chain somebody tampers.
var positions = []struct {
	name  string
	index int
}{
	{"first", 0}, {"in an empty hour", 1}, {"second", 2}, {"in the middle", 7},
	{"last of a key", 13}, {"first of a key", 14}, {"second of a key", 15},
	{"before a move", 28}, {"last before a move", 29}, {"first after a move", 30}, {"after a move", 32},
	{"last but one", 43}, {"last", 44},
}

// TestTampering holds that every tampering is found everywhere, and nothing else.
func TestTampering(t *testing.T) {
	t.Parallel()
	intact := tableChain()
	for _, position := range positions {
		for _, tampering := range tamperings {
			if tampering.logs && len(intact.digests[position.index].logs) == 0 {
				continue
			}
			t.Run(tampering.name+" "+position.name, func(t *testing.T) {
				t.Parallel()
				d := intact.fork()
				from := settings{}
				if i := position.index; i > 0 {
					from.from = positionOf(d.hourly()[i-1])
				}
				must := tampering.do(d, position.index)
				for _, mode := range modes {
					if !tampering.seenIn(mode) {
						continue
					}
					from.mode, from.delivery = mode, &digest.Delivery{Time: d.at.Add(4 * time.Minute)}
					w := d.validate(t, from)
					d.expectExactly(t, mode, w, must, d.hourly()[position.index])
					if position.name != "first after a move" {
						from.from = digest.Position{}
						d.expectExactly(t, mode, d.validate(t, from), must, d.hourly()[position.index])
					}
				}
			})
		}
	}
}

// traced tells whether somebody who deletes a digest leaves a trace. That of the last digest before a gap leaves a
// longer gap, and that of the first one after a change of the bucket or the prefix takes the way back with it.
func traced(hourly []*delivered, i int) bool {
	lastBeforeGap := i+1 < len(hourly) && hourly[i+1].first
	return !lastBeforeGap && (i == 0 || placeOf(hourly[i]) == placeOf(hourly[i-1]))
}

func placeOf(one *delivered) string {
	root, _, _ := strings.Cut(one.key, "CloudTrail-Digest")
	return one.bucket + "/" + root
}

// positionOf is where a walk is that has come to a digest.
func positionOf(one *delivered) digest.Position {
	return digest.Position{
		Bucket: one.bucket, Object: one.key, End: one.end, Hash: one.hash, Signature: one.signature,
	}
}

// fork returns a delivery to a bucket of its own with the same objects.
func (d *delivery) fork() *delivery {
	copied := *d
	copied.world = &world{storage: d.storage.copy(), keys: &publicKeys{signers: d.keys.signers}}
	return &copied
}

// expectExactly expects findings, and no others but that nobody vouches for the log files of a digest that is not
// believed.
func (d *delivery) expectExactly(t *testing.T, mode digest.Mode, w walked, must []expected, at *delivered) {
	t.Helper()
	var found []expected
	for _, one := range w.findings() {
		found = append(found, expected{one.Class, one.Object, one.Time})
		if one.Chain != d.chain || one.Message == "" || one.Bucket == "" {
			t.Errorf("%s: not complete: %+v", mode, one)
		}
	}
	for _, one := range must {
		if !slices.Contains(found, one) {
			t.Errorf("%s: not found: %s", mode, one)
		}
	}
	for _, one := range found {
		if !slices.Contains(must, one) && (one.class != digest.LogNotVouchedFor || must[0].time.After(one.time)) {
			t.Errorf("%s: found: %s", mode, one)
		}
	}
	if t.Failed() {
		t.Logf("must: %v\nat: %s\nfound: %v", must, at.key, found)
	}
}

// TestRandomTampering holds that whatever is done to any bucket is found.
func TestRandomTampering(t *testing.T) {
	t.Parallel()
	for seed := range *seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			all := randomWorld(random)
			for range 20 {
				d := all[random.IntN(len(all))].fork()
				tampering := tamperings[random.IntN(len(tamperings))]
				hourly := d.hourly()
				i := random.IntN(len(hourly))
				if tampering.logs && len(hourly[i].logs) == 0 || !traced(hourly, i) {
					continue
				}
				mode := modes[random.IntN(len(modes))]
				if !tampering.seenIn(mode) {
					mode = digest.Full
				}

				must := tampering.do(d, i)
				w := d.validate(t, settings{mode: mode, delivery: &digest.Delivery{Time: d.at.Add(4 * time.Minute)}})
				for _, one := range must {
					if !slices.ContainsFunc(w.findings(), func(f digest.Finding) bool {
						return f.Class == one.class && f.Object == one.key && f.Time.Equal(one.time)
					}) {
						t.Errorf("%s of %s in %s is not found: %s\n%+v", tampering.name, hourly[i].key, mode, one, w.findings())
					}
				}
			}
		})
	}
}
