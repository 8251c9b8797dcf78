package digest_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// TestUnverifiable holds that what cannot be read is never tampering, never silent, and tried again if that may help.
func TestUnverifiable(t *testing.T) {
	t.Parallel()
	denied := &digest.UnavailableError{Reason: "AccessDenied", Message: "denied"}
	throttled := &digest.UnavailableError{Reason: "SlowDown", Message: "slow down", Transient: true}
	archived := &digest.UnavailableError{Reason: digest.ReasonArchived, Message: "restore it first"}
	for name, test := range map[string]struct {
		operation string
		// of is in the key that fails; the fifth digest and its first log file are fifth and log.
		of     string
		err    error
		mode   digest.Mode
		reason string
		// stops says that the walk stops at the fourth digest.
		stops bool
		// keys is the error of CloudTrail's keys.
		keys error
	}{
		"digest denied": {operation: "Open", of: "fifth", err: denied, reason: "AccessDenied", stops: true},
		"digest denied, with log files": {
			operation: "Open", of: "fifth", err: denied, mode: digest.Full, reason: "AccessDenied", stops: true,
		},
		"digest throttled":     {operation: "Open", of: "fifth", err: throttled, reason: "SlowDown", stops: true},
		"digest archived":      {operation: "Open", of: "fifth", err: archived, reason: digest.ReasonArchived},
		"unknown error":        {operation: "Open", of: "fifth", err: errors.New("odd"), reason: "Failed", stops: true},
		"digest cut off":       {operation: "Read", of: "fifth", err: throttled, reason: "SlowDown", stops: true},
		"digest cut off oddly": {operation: "Read", of: "fifth", err: io.ErrUnexpectedEOF, reason: "Failed", stops: true},
		"log denied": {
			operation: "Open", of: "log", err: denied, mode: digest.Full, reason: "AccessDenied", stops: true,
		},
		"log throttled": {
			operation: "Open", of: "log", err: throttled, mode: digest.Full, reason: "SlowDown", stops: true,
		},
		"log archived": {
			operation: "Open", of: "log", err: archived, mode: digest.Full, reason: digest.ReasonArchived,
		},
		"log cut off": {
			operation: "Read", of: "log", err: throttled, mode: digest.Full, reason: "SlowDown", stops: true,
		},
		"digests not listed": {operation: "List", of: "CloudTrail-Digest", err: denied, reason: "AccessDenied"},
		"logs not listed": {
			operation: "List", of: "/CloudTrail/", err: throttled, mode: digest.Existence, reason: "SlowDown",
		},
		"keys denied": {reason: "AccessDenied", keys: denied},
		"region unknown": {
			reason: "UnrecognizedClientException", keys: &digest.UnavailableError{Reason: "UnrecognizedClientException"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := shortChain(8)
			of := map[string]string{"fifth": d.digests[4].key, "log": d.digests[4].logs[0].key}[test.of]
			if of == "" {
				of = test.of
			}
			failing := &failingReads{storage: d.storage.copy()}
			fails := func(operation, key string) error {
				if operation == test.operation && strings.Contains(key, of) {
					return test.err
				}
				return nil
			}
			failing.fail = func(operation, _, key string) error { return fails(operation, key) }
			failing.read = func(key string) error { return fails("Read", key) }
			keys := &publicKeys{signers: d.keys.signers, fail: func(string) error { return test.keys }}

			s := settings{mode: test.mode, now: d.at.Add(time.Minute)}
			w := walkChain(t, failing, keys, d.trail, d.chain, s)
			found := w.findings()
			if len(found) != 1 || found[0].Class != digest.Unverifiable || found[0].Reason != test.reason {
				t.Fatalf("found %v", found)
			}
			switch {
			case test.stops && w.position.Object != d.digests[3].key:
				t.Errorf("came to %v", w.position)
			case !test.stops && of != test.of && w.position.Object != d.digests[7].key:
				t.Errorf("came to %v", w.position)
			case !test.stops && of == test.of && w.position != digest.Position{}:
				t.Errorf("came to %v", w.position)
			}

			// When it can be read again, all is validated, and nothing twice.
			s.from = w.position
			rest := d.validate(t, s)
			if len(rest.findings()) > 0 {
				t.Errorf("then found %v", rest.findings())
			}
			if test.stops {
				s.from = digest.Position{}
				expect := d.validate(t, s)
				valid := slices.DeleteFunc(w.results, func(result digest.Result) bool { return result.Finding != nil })
				if difference := cmp.Diff(expect.results, append(valid, rest.results...)); difference != "" {
					t.Errorf("in two pieces (-whole +pieces):\n%s", difference)
				}
			}
		})
	}
}

// failingReads is a storage whose objects cannot be read to their end.
type failingReads struct {
	*storage
	read func(key string) error
}

// Open implements digest.Storage.
func (f *failingReads) Open(ctx context.Context, bucket, key string) (*digest.Content, error) {
	content, err := f.storage.Open(ctx, bucket, key)
	if err != nil {
		return nil, err
	}
	if err := f.read(key); err != nil {
		half := io.LimitReader(content.Body, content.Size/2)
		content.Body = io.NopCloser(io.MultiReader(half, failingReader{err}))
	}
	return content, nil
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// TestUnreadableWhenWritten holds that nobody can hide that a log file was written again by making it unreadable.
func TestUnreadableWhenWritten(t *testing.T) {
	t.Parallel()
	d := shortChain(8)
	l := d.digests[4].logs[0]
	d.rewrite(l.bucket, l.key, func(o *object) { o.modified = o.modified.Add(5 * time.Hour) })
	d.fail = func(operation, _, key string) error {
		if operation == "Open" && key == l.key {
			return &digest.UnavailableError{Reason: "AccessDenied", Message: "denied"}
		}
		return nil
	}
	w := d.validate(t, settings{mode: digest.Full})
	if found := w.findings(); len(found) != 1 || found[0].Class != digest.LogAltered || w.position.Object != d.last.key {
		t.Errorf("found %v, came to %v", found, w.position)
	}
}

// TestNotInTheChain holds that a file beside the chain that cannot be read does not keep a walk from going on.
func TestNotInTheChain(t *testing.T) {
	t.Parallel()
	d := shortChain(8)
	end := d.digests[4].end.Add(time.Minute)
	key := d.digestKey(end)
	d.put(d.trail.Bucket, key, &object{})
	d.fail = func(operation, _, of string) error {
		if operation == "Open" && of == key {
			return &digest.UnavailableError{Reason: "AccessDenied", Message: "denied"}
		}
		return nil
	}
	w := d.validate(t, settings{})
	if found := w.findings(); len(found) != 1 || found[0].Class != digest.DigestAltered || found[0].Object != key {
		t.Errorf("found %v", found)
	}
	if w.position.Object != d.last.key {
		t.Errorf("came to %v", w.position)
	}
}

// TestBackfillUnread holds that a backfill digest that cannot be read does not keep a walk from going on, unless it
// can be read in a moment.
func TestBackfillUnread(t *testing.T) {
	t.Parallel()
	for _, transient := range []bool{false, true} {
		d := shortChain(4)
		backfill := d.backfill(time.Hour, 1)
		d.hours(1, 1)
		d.fail = func(operation, _, key string) error {
			if operation == "Open" && key == backfill.key {
				return &digest.UnavailableError{Reason: "Sorry", Message: "sorry", Transient: transient}
			}
			return nil
		}
		w := d.validate(t, settings{mode: digest.Full})
		found := w.findings()
		if len(found) != 1 || found[0].Reason != "Sorry" || found[0].Object != backfill.key {
			t.Errorf("transient %v: found %v", transient, found)
		}
		if stopped := w.position.Object == d.digests[2].key; stopped != transient {
			t.Errorf("transient %v: came to %v", transient, w.position)
		}
	}
}
