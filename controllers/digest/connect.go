package digest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// longestLookahead is how many digests of unknown keys are passed at most in the search for one that can be believed.
const longestLookahead = 1000

// is tells whether a position is the digest that a link names.
func (p Position) is(l *link) bool { return p.Object == l.key && p.Bucket == l.bucket }

// follows tells whether the digest that a link names was judged since the last one that was as it should.
func (r *run) follows(l *link) bool {
	return r.at.is(l) || r.proved.is(l) || r.unread[l.key]
}

// connect judges what is between the last digest that was judged and one that CloudTrail has signed: digests in another
// bucket or under another prefix, where CloudTrail delivered before, and digests that are missing.
func (r *run) connect(ctx context.Context, f *file) error {
	if f.previous == nil || r.follows(f.previous) {
		return nil
	}
	before, ok := r.names.parse(f.previous.bucket, f.previous.key)
	if !ok || before.backfill || !before.time.Before(f.time) || r.beforeStart(before) {
		return nil
	}

	// The digest is signed, so it is CloudTrail that says where the one before is.
	if before.place != f.place {
		if err := r.walkBranch(ctx, before); err != nil || r.follows(f.previous) {
			return err
		}
	}
	return r.judgeAbsent(ctx, before)
}

// beforeStart tells whether a digest is none of this walk, as the walk starts from nowhere and later.
func (r *run) beforeStart(n name) bool { return r.at == (Position{}) && !n.time.After(r.Start) }

// walkBranch walks the digests of another place that were not judged, up to a digest.
func (r *run) walkBranch(ctx context.Context, to name) error {
	waiting := r.backfills
	r.backfills = nil
	err := r.walkPlace(ctx, to.place, r.startAfter(to.place), r.names.after(to.place, to.time))
	r.backfills = slices.Concat(r.backfills, waiting)
	return err
}

// judgeAbsent judges a digest that another one says is before it, but that was not in the list.
func (r *run) judgeAbsent(ctx context.Context, before name) error {
	found, err := r.read(ctx, before)
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	failure, _ := errors.AsType[*fault](err)
	gone := failure != nil && failure.class == DigestMissing

	switch passed := !before.time.After(r.known()); {
	case passed && r.at.Hash != "":
		return nil // The chain does not continue where it was: compare tells.
	case gone:
		return r.addMissing(ctx, before, passed)
	case passed:
		return r.judgeEarlier(ctx, before, found, failure)
	case failure != nil && before.time.After(r.until):
		return nil
	case failure != nil && r.halts(failure):
		return r.stop(ctx, r.result(KindDigest, before), failure)
	case failure != nil:
		return r.passNamed(ctx, before, failure)
	default:
		return r.judgeVerified(ctx, nil, &item{name: before, file: found})
	}
}

// passNamed goes on behind a digest that is not as it was, and that another one names.
func (r *run) passNamed(ctx context.Context, before name, failure *fault) error {
	s := r.fail(&item{name: before}, failure)
	s.at = Position{Bucket: before.bucket, Object: before.key, End: before.time}
	r.moveTo(s.at)
	return r.add(ctx, s)
}

// judgeEarlier judges a digest that comes before the place where the walk has continued, which was not as it should. An
// earlier walk has judged it, unless it came late.
func (r *run) judgeEarlier(ctx context.Context, before name, found *file, failure *fault) error {
	r.unread[before.key] = true
	if failure != nil && failure.stops {
		return r.stop(ctx, r.result(KindDigest, before), failure)
	}
	if failure != nil {
		return r.add(ctx, r.fail(&item{name: before}, failure))
	}
	result := r.resultOf(KindDigest, found)
	return r.add(ctx, step{results: []Result{result}, checks: r.checksOf(found, result)})
}

// addMissing adds what is missing between the last digest that was judged and one that another digest names, which is
// the last one that is missing. The others had their ends in the hours before it.
func (r *run) addMissing(ctx context.Context, last name, alone bool) error {
	for _, end := range r.missingEnds(last, alone) {
		n := name{place: last.place, key: r.names.key(last.place, end), time: end}
		if r.unread[n.key] || n.time.After(r.until) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}

		why := "It should have been between the digests before and after it."
		if n.key == last.key {
			n, why = last, "The digest after it names it as the one before."
		}
		s := r.fail(&item{name: n}, tampered(DigestMissing,
			"The digest of the hour until %s is not there. %s", end.Format(time.RFC3339), why))
		if !alone {
			s.at = Position{Bucket: n.bucket, Object: n.key, End: n.time}
			r.moveTo(s.at)
		}
		if err := r.add(ctx, s); err != nil {
			return err
		}
	}
	r.unread[last.key] = true
	return nil
}

// missingEnds returns when the hours end of which there is no digest. Digests are an hour apart.
func (r *run) missingEnds(last name, alone bool) []time.Time {
	ends := []time.Time{last.time}
	from := r.known()
	if !r.proved.End.IsZero() {
		from = r.proved.End
	}
	if alone || from.IsZero() {
		return ends
	}
	for end := last.time.Add(-hour); end.After(from); end = end.Add(-hour) {
		ends = append(ends, end)
	}
	slices.Reverse(ends)
	return ends
}

// compare holds a digest that CloudTrail has signed against the one before. It returns the time between them if the
// chain begins anew, and what is wrong otherwise. Nothing tells whether a digest right before such a time was deleted:
// then the time is longer.
func (r *run) compare(f *file) (*Result, *fault) {
	switch l := f.previous; {
	case r.at == (Position{}):
		return nil, nil // The one before is the anchor of a walk from nowhere.
	case l == nil:
		gap := Result{Kind: KindGap, Chain: r.Chain, Start: r.at.End, End: f.start}
		if gap.End.Before(gap.Start) {
			gap.Start = gap.End
		}
		return &gap, nil
	case r.proved.is(l):
		return nil, r.compareTo(r.proved, f)
	case r.unread[l.key]:
		return nil, nil // It was reported, and nothing is known to compare with.
	default:
		return nil, tampered(ChainBroken, "The digest continues the chain from %q in bucket %q, but the one before it is %q.",
			l.key, l.bucket, r.at.Object)
	}
}

// compareTo holds a digest against the one before.
//
// The hash of the one before is not compared: its signature covers the same content, and was verified when it was read.
// One real digest is known in which this hash is not as it is documented, so that alone it would be a false alarm.
func (r *run) compareTo(before Position, f *file) *fault {
	switch {
	case f.previous.signature != before.Signature:
		return tampered(
			ChainBroken,
			"The digest before it is signed, but it is not the one that this digest says was before it: "+
				"their signatures differ.",
		)
	case !f.start.Equal(before.End):
		return tampered(ChainBroken, "The digest starts at %s, but the one before it ends at %s.",
			f.start.Format(time.RFC3339), before.End.Format(time.RFC3339))
	default:
		return nil
	}
}

// failureOf returns why a digest is not believed; nil: CloudTrail has signed it. What the digest itself does not
// tell, because it or its key could not be read, the next digest that CloudTrail has signed may tell: whether there
// was such a digest, and which content it had. Otherwise anybody could stop a walk with a file that cannot be read.
func (r *run) failureOf(ctx context.Context, digests *stream, next *item) (*fault, error) {
	if next.err == nil {
		return nil, nil
	}
	failure := faultIn(ctx, next.err, "The digest")
	if !failure.stops {
		return failure, nil
	}

	// Whoever cannot write a digest that is read can still write many whose keys nobody knows.
	most := ahead
	if failure.reason == ReasonKeyUnknown {
		most = longestLookahead
	}
	for i := range most {
		later, err := digests.peek(ctx, i)
		if ended := ctx.Err(); ended != nil {
			return nil, ended
		}
		if err != nil || later == nil {
			return failure, nil
		}
		if !later.backfill && !later.misplaced && later.err == nil {
			return r.explainedBy(next, later.file, failure), nil
		}
	}
	return failure, nil
}

// explainedBy returns what a later digest that CloudTrail has signed says about one that could not be read, or whose
// signature could not be verified.
func (r *run) explainedBy(unknown *item, later *file, failure *fault) *fault {
	l := later.previous
	if l == nil {
		return failure
	}
	before, ok := r.names.parse(l.bucket, l.key)
	switch {
	case !ok || before.place != unknown.place:
		return failure
	case l.key < unknown.key:
		return tampered(DigestAltered, "The digest is not part of the chain: %q continues it from %q.", later.key, l.key)
	case l.key > unknown.key || unknown.file == nil:
		return failure
	case hexOf(unknown.file.hash) != l.hash || unknown.file.signature != l.signature:
		return tampered(DigestAltered, "The digest is not the one that %q says was before it.", later.key)
	default:
		return nil
	}
}

// listOf describes the list of a place in a message.
func listOf(in place) string {
	return fmt.Sprintf("The list of the digests under %q in bucket %q", in.folder, in.bucket)
}
