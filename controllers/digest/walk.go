package digest

import (
	"context"
	"errors"
	"iter"
	"time"
)

// longLookahead is how many digests after Until are read at most to find one that can be believed.
const longLookahead = 48

// tooEarly is how far in the future a digest may end; clocks differ.
const tooEarly = time.Hour

// What ends a walk before the list of digests does.
var (
	// errDone says that the walk has come to Until, and that the digest after it tells that nothing is missing before.
	errDone = errors.New("done")
	// errStopped says that the walk came to something that may be readable later, and has reported it.
	errStopped = errors.New("stopped")
)

// run is one walk. It judges digests in the order of their keys, and keeps what it finds out about each as a step.
// Steps are completed, with the log files, and reported in order.
type run struct {
	*reader
	Walk
	names naming
	now   time.Time
	until time.Time

	// at is the digest that was judged last, and proved the last one whose signature was right.
	at, proved Position
	// lastModified is when the digest at proved was written; the zero time if it was not read in this walk.
	lastModified time.Time
	// seen is the time of the last digest that was judged, though the walk has not passed it.
	seen time.Time
	// unread has the keys of the digests since proved that are not as they were, or not there, which was reported.
	unread map[string]bool
	// backfills are those since the last digest: they are reported with the next one.
	backfills []*item
	// beyond counts the digests after Until that cannot be believed.
	beyond int

	// committed is the digest up to which everything was reported.
	committed Position
	steps     []step
	logs      int

	vouching vouching
}

// step is what one digest, or what is in place of one, adds to the walk.
type step struct {
	results []Result
	// checks are of the log files that are vouched for, whose results follow the others.
	checks []*logCheck
	// at is how far the walk has come with this step; the zero Position: no further.
	at Position
}

func newRun(v *Validator, walk Walk) *run {
	names := namingOf(walk.Trail, walk.Chain)
	r := &run{
		reader: &reader{
			Validator: v, account: walk.Chain.AccountID,
			keys: &keyQuery{ring: v.keyring, region: walk.Chain.Region},
		},
		Walk: walk, names: names, now: v.now(), unread: map[string]bool{},
	}
	r.until = walk.Until
	if r.until.IsZero() {
		r.until = r.now.Add(tooEarly)
	}
	if _, ok := names.parse(walk.From.Bucket, walk.From.Object); ok {
		r.begin(walk.From)
	} else if r.Start.Before(walk.From.End) {
		r.Start = walk.From.End
	}
	r.vouching.begin(r)
	return r
}

// begin continues an earlier walk.
func (r *run) begin(from Position) {
	r.at, r.committed, r.seen = from, from, from.End
	if from.Hash == "" {
		r.unread[from.Object] = true
	} else {
		r.proved = from
	}
}

// walk validates the chain and returns how far it came. The error is the context's.
func (r *run) walk(ctx context.Context) (Position, error) {
	err := r.walkPlaces(ctx)
	if err == nil || errors.Is(err, errDone) {
		err = r.finish(ctx, err == nil)
	}
	if ended := ctx.Err(); ended != nil {
		return r.committed, ended
	}
	if err != nil && !errors.Is(err, errStopped) {
		return r.committed, err
	}
	return r.committed, nil
}

// walkPlaces walks what is left where the last walk was, if that was before a change of the bucket or the prefix, and
// then where CloudTrail delivers now.
func (r *run) walkPlaces(ctx context.Context) error {
	if from, ok := r.names.parse(r.From.Bucket, r.From.Object); ok && from.place != r.names.current {
		if err := r.walkPlace(ctx, from.place, r.names.after(from.place, from.time), ""); err != nil {
			return err
		}
	}
	return r.walkPlace(ctx, r.names.current, r.startAfter(r.names.current), "")
}

// startAfter returns the key after which the digests in a place are not judged yet.
func (r *run) startAfter(in place) string {
	last, ok := r.names.parse(r.at.Bucket, r.at.Object)
	if !ok {
		last.time = r.known()
	}
	if last.time.IsZero() {
		return ""
	}
	return r.names.after(in, last.time)
}

// known returns until when the chain was judged; before anything was, where the walk starts.
func (r *run) known() time.Time {
	if r.at == (Position{}) {
		return r.Start
	}
	return r.at.End
}

// walkPlace judges the digests in a place whose keys are after one key, and not after another ("": up to the end).
func (r *run) walkPlace(ctx context.Context, in place, after, last string) error {
	r.vouching.visit(in)
	streamed, digests := newStream(ctx, r.reader, func(ctx context.Context) iter.Seq2[name, error] {
		return r.list(ctx, in, after, last)
	}, r.until)
	defer digests.close()

	for {
		next, err := digests.pop(streamed)
		if err != nil {
			return r.stop(ctx, r.listed(in), faultIn(ctx, err, listOf(in)))
		}
		if next == nil {
			return nil
		}
		if err := r.judge(streamed, digests, next); err != nil {
			return err
		}
	}
}

// list yields the names of the chain's digests in a place.
func (r *run) list(ctx context.Context, in place, after, last string) iter.Seq2[name, error] {
	return func(yield func(name, error) bool) {
		for object, err := range r.options.Storage.List(ctx, in.bucket, in.folder, after) {
			if err != nil {
				yield(name{}, err)
				return
			}
			if last != "" && object.Key > last {
				return
			}
			if n, ok := parseName(in, object.Key, r.names.file); ok && !yield(n, nil) {
				return
			}
		}
	}
}

// judge says what a digest is, from what it says of itself, of the one before, and, where that is not enough, what the
// ones after it say.
func (r *run) judge(ctx context.Context, digests *stream, next *item) error {
	future := next.time.After(r.now.Add(tooEarly))
	switch inChain := !next.backfill && !next.misplaced && !future; {
	case !inChain && !r.Until.IsZero() && next.time.After(r.until):
		return r.skip()
	case next.misplaced:
		return r.add(ctx, r.fail(next, tampered(DigestAltered,
			"The digest is in the folder of a day on which its hour does not end, so CloudTrail has not put it there.")))
	case future:
		// Walks do not pass it, as the next true digest comes before it.
		return r.add(ctx, r.fail(next, tampered(DigestAltered,
			"The digest is of an hour that has not ended yet, so CloudTrail has not put it there.")))
	case next.backfill:
		r.backfills = append(r.backfills, next)
		return nil
	}

	failure, err := r.failureOf(ctx, digests, next)
	switch {
	case err != nil:
		return err
	case failure == nil:
		return r.judgeVerified(ctx, digests, next)
	case next.time.After(r.until):
		return r.skip()
	case r.halts(failure):
		return r.stop(ctx, r.result(KindDigest, next.name), failure)
	default:
		return r.pass(ctx, digests, next, failure)
	}
}

// halts tells whether a walk stops at something that is not proved.
func (r *run) halts(f *fault) bool { return f.stops && (f.transient || !r.GoOn) }

// skip passes a digest after Until that cannot be believed.
func (r *run) skip() error {
	if r.beyond++; r.beyond > longLookahead {
		return errDone
	}
	return nil
}

// pass goes on behind a digest that is not as it was. A new one is not where the next walk continues: true digests
// whose keys come before it may still be on their way, as anybody can give a file any key. It is reported again then,
// unless a true one has come after it.
func (r *run) pass(ctx context.Context, digests *stream, next *item, failure *fault) error {
	s := r.fail(next, failure)
	if next.time.After(r.now.Add(-overdue)) {
		r.unread[next.key] = true
		r.seen = next.time
		return r.add(ctx, s)
	}
	s.at = Position{Bucket: next.bucket, Object: next.key, End: next.time}
	return r.advance(ctx, digests, next, s)
}

// judgeVerified judges a digest that CloudTrail has signed by what it says of the one before.
func (r *run) judgeVerified(ctx context.Context, digests *stream, next *item) error {
	if err := r.connect(ctx, next.file); err != nil {
		return err
	}
	if next.time.After(r.until) {
		return errDone
	}

	gap, broken := r.compare(next.file)
	result := r.resultOf(KindDigest, next.file)
	if broken != nil {
		result.Finding = broken.finding(result)
	}
	s := step{checks: r.checksOf(next.file, result), at: positionOf(next.file)}
	if gap != nil {
		s.results = append(s.results, *gap)
	}
	s.results = append(s.results, result)
	r.lastModified = next.file.modified
	return r.advance(ctx, digests, next, s)
}

// advance adds a digest with the backfill digests up to its hour, and goes on behind it.
func (r *run) advance(ctx context.Context, digests *stream, next *item, s step) error {
	for {
		more, err := digests.popBackfill(ctx, next.time)
		if ended := ctx.Err(); ended != nil {
			return ended
		}
		if err != nil || more == nil {
			break // What is wrong with the list is told when the next digest is needed.
		}
		r.backfills = append(r.backfills, more)
	}
	for _, backfill := range r.backfills {
		if err := r.addBackfill(ctx, backfill, &s); err != nil {
			return err
		}
	}

	r.backfills = nil
	r.moveTo(s.at)
	return r.add(ctx, s)
}

// moveTo says which digest is the last one that was judged.
func (r *run) moveTo(at Position) {
	r.at, r.seen = at, at.End
	if at.Hash == "" {
		r.unread[at.Object] = true
		return
	}
	r.proved = at
	clear(r.unread)
}

// popBackfill takes the next digest if it is the backfill digest of an hour.
func (s *stream) popBackfill(ctx context.Context, end time.Time) (*item, error) {
	if s == nil {
		return nil, nil // The digest is none of a list.
	}
	next, err := s.peek(ctx, 0)
	if next == nil || !next.backfill || next.misplaced || !next.time.Equal(end) {
		return nil, err
	}
	return s.pop(ctx)
}

// addBackfill adds what a backfill digest says to a step.
func (r *run) addBackfill(ctx context.Context, backfill *item, s *step) error {
	if backfill.err == nil {
		result := r.resultOf(KindBackfill, backfill.file)
		s.results = append(s.results, result)
		s.checks = append(s.checks, r.checksOf(backfill.file, result)...)
		return nil
	}
	failure := faultIn(ctx, backfill.err, "The backfill digest")
	if failure.transient {
		return r.stop(ctx, r.result(KindBackfill, backfill.name), failure)
	}
	// The chain does not depend on it, so it does not keep the walk from going on.
	s.results = append(s.results, r.fail(backfill, failure).results...)
	return nil
}

// fail returns a step with a finding about a digest.
func (r *run) fail(next *item, failure *fault) step {
	kind := KindDigest
	if next.backfill {
		kind = KindBackfill
	}
	result := r.result(kind, next.name)
	result.Finding = failure.finding(result)
	return step{results: []Result{result}}
}

// result returns a result about a digest of which only the name is known.
func (r *run) result(kind Kind, n name) Result {
	result := Result{Kind: kind, Chain: r.Chain, Bucket: n.bucket, Object: n.key}
	if !n.time.IsZero() {
		result.Start, result.End = n.time.Add(-hour), n.time
	}
	return result
}

// listed returns a result about the digests in a place that were not judged.
func (r *run) listed(in place) Result {
	result := r.result(KindDigest, name{place: in, key: in.folder})
	if known := r.known(); !known.IsZero() {
		result.Start, result.End = known, known.Add(hour)
	}
	return result
}

// resultOf returns a result about a digest that was read.
func (r *run) resultOf(kind Kind, f *file) Result {
	return Result{Kind: kind, Chain: r.Chain, Bucket: f.bucket, Object: f.key, Start: f.start, End: f.end}
}

func positionOf(f *file) Position {
	return Position{Bucket: f.bucket, Object: f.key, End: f.end, Hash: f.hash, Signature: f.signature}
}
