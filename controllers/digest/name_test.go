package digest

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNames holds which keys are of a chain, and what they say.
func TestNames(t *testing.T) {
	t.Parallel()
	trail := Trail{Name: "main_eu-west-1", HomeRegion: "eu-west-1", AccountID: "111122223333", Bucket: "b", Prefix: "p"}
	chain := Chain{AccountID: "111122223333", Region: "us-east-1"}
	const folder = "p/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/"
	const file = "111122223333_CloudTrail-Digest_us-east-1_main_eu-west-1_eu-west-1_"
	for name, test := range map[string]struct {
		key                         string
		ok, backfill, misplaced, at bool
	}{
		"own":                 {key: folder + "2026/02/27/" + file + "20260227T003649Z.json.gz", ok: true, at: true},
		"backfill":            {key: folder + "2026/02/27/" + file + "20260227T003649Z_backfill.json.gz", ok: true, backfill: true, at: true},
		"another day":         {key: folder + "2026/02/28/" + file + "20260227T003649Z.json.gz", ok: true, misplaced: true, at: true},
		"deeper":              {key: folder + "x/2026/02/27/" + file + "20260227T003649Z.json.gz"},
		"of another prefix":   {key: "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/02/27/" + file + "20260227T003649Z.json.gz", ok: true},
		"of an organization":  {key: "AWSLogs/o-x/111122223333/CloudTrail-Digest/us-east-1/2026/02/27/" + file + "20260227T003649Z.json.gz", ok: true},
		"of a longer account": {key: "9" + folder[len("p/AWSLogs/"):] + "2026/02/27/" + file + "20260227T003649Z.json.gz"},
		"another trail": {
			key: folder + "2026/02/27/" + strings.ReplaceAll(file, "main_eu-west-1", "main") + "20260227T003649Z.json.gz",
		},
		"another trail with a time in its name": {
			key: folder + "2026/02/27/" + file + "20260227T003649Z.json.gz_eu-west-1_20260227T003649Z.json.gz",
		},
		"no time":     {key: folder + "2026/02/27/" + file + "20260231T003649Z.json.gz"},
		"no digits":   {key: folder + "2026/02/27/" + file + "2026022xT003649Z.json.gz"},
		"nothing":     {key: ""},
		"a slash":     {key: "/"},
		"short":       {key: "a/b"},
		"control":     {key: folder + "2026/02/27/" + file + "20260227T003649Z.json.gz\n"},
		"of a folder": {key: folder + "2026/02/27/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names := namingOf(trail, chain)
			n, ok := names.parse("b", test.key)
			if ok != test.ok || n.backfill != test.backfill || n.misplaced != test.misplaced {
				t.Fatalf("%v, %+v", ok, n)
			}
			if end := time.Date(2026, 2, 27, 0, 36, 49, 0, time.UTC); ok && !n.time.Equal(end) {
				t.Errorf("ends at %s", n.time)
			}
			if ok && test.at != (n.place == names.current) {
				t.Errorf("is in %v", n.place)
			}
			if ok && !n.backfill && !n.misplaced && names.key(n.place, n.time) != test.key {
				t.Errorf("makes %s of %s", names.key(n.place, n.time), test.key)
			}
		})
	}
}

// TestOrder holds that keys are in the order of time, with a backfill digest after the digest of its hour.
func TestOrder(t *testing.T) {
	t.Parallel()
	names := namingOf(Trail{Name: "main", HomeRegion: "eu-west-1"}, Chain{AccountID: "111122223333", Region: "us-east-1"})
	at := time.Date(2025, 12, 31, 21, 0, 0, 0, time.UTC)
	var keys []string
	for range 10 {
		keys = append(keys, names.key(names.current, at), names.after(names.current, at))
		at = at.Add(47 * time.Minute)
	}
	if !slices.IsSorted(keys) {
		t.Error(keys)
	}
}
