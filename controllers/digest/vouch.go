package digest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

const (
	// settled is how old a log file is before a digest must vouch for it: backfill digests come late.
	settled = 24 * time.Hour
	// lately is how long after a log file was written a digest vouches for it, unless it is a backfill digest.
	lately = 2 * time.Hour
	// candidatesAtOnce bounds how many log files are looked for in digests at once, and so the memory that takes: anybody
	// who can write to the bucket decides how many there are.
	candidatesAtOnce = 10_000
)

// vouching finds log files that no digest vouches for. CloudTrail delivers one digest after the other, so a log file
// can only be judged once those are there that may vouch for it: the time that is looked at ends settled before the
// end of the walk. A walk that continues another looks at the time from settled before the place where it continues,
// so all times are looked at, and nothing has to be remembered between walks. What the digests of this walk vouch for
// is known already. Other digests, of this trail and of all others that deliver to the same folder, are read only for
// log files that these do not vouch for: in a walk that continues every hour, the one or two of the same hour a day
// ago.
type vouching struct {
	// from is when the time begins that was not looked at; the zero time: with the first digest.
	from time.Time
	// places are where digests of the chain lie.
	places []place
	// known are the log files that the digests of this walk vouch for, by the end of the digest's hour.
	known map[logKey]time.Time
}

// candidate is a log file for which no digest is known yet.
type candidate struct {
	logKey
	in                place
	written, modified time.Time
}

func (v *vouching) begin(r *run) {
	v.known = map[logKey]time.Time{}
	if r.at != (Position{}) {
		v.from = r.at.End.Add(-settled)
	}
}

// visit notes a place in which there may be log files.
func (v *vouching) visit(in place) {
	if !slices.Contains(v.places, in) {
		v.places = append(v.places, in)
	}
}

// add notes what a digest vouches for.
func (v *vouching) add(f *file) {
	if v.from.IsZero() {
		v.from = f.start
	}
	for _, log := range f.logs {
		v.known[logKey{log.Bucket, log.Key}] = f.end
	}
}

// vouchUntil returns until when log files can be judged when some steps are completed.
func (r *run) vouchUntil(steps []step) time.Time {
	for _, s := range slices.Backward(steps) {
		if s.at != (Position{}) {
			return s.at.End.Add(-settled)
		}
	}
	return time.Time{}
}

// vouch reports the log files until a time that no digest vouches for.
func (r *run) vouch(ctx context.Context, until time.Time) error {
	from := r.vouching.from
	until = until.Truncate(time.Minute)
	if r.options.Mode == Digests || from.IsZero() || !from.Before(until) {
		return nil
	}

	for day := from.UTC().Truncate(24 * time.Hour); day.Before(until); day = day.Add(24 * time.Hour) {
		for _, in := range r.vouching.places {
			if err := r.vouchDay(ctx, in, day, span{from, until}); err != nil {
				return err
			}
		}
	}
	r.vouching.from = until
	for key, end := range r.vouching.known {
		if end.Before(until) {
			delete(r.vouching.known, key)
		}
	}
	return nil
}

// vouchDay looks at the log files of a day in a place that are of a time.
func (r *run) vouchDay(ctx context.Context, in place, day time.Time, of span) error {
	var found []candidate
	folder := in.logs() + day.Format(dayLayout)
	for object, err := range r.listDay(ctx, in.bucket, folder, day, of) {
		if errors.Is(err, ErrNotFound) {
			break
		}
		if err != nil {
			result := Result{Kind: KindLog, Chain: r.Chain, Bucket: in.bucket, Object: folder, End: of.to}
			return r.haltNow(ctx, result, err, fmt.Sprintf("The list of the log files under %q in bucket %q", folder, in.bucket))
		}
		if one, ok := r.candidateOf(in, object, day, of); ok {
			found = append(found, one)
		}

		if len(found) == candidatesAtOnce {
			if err := r.judgeCandidates(ctx, found); err != nil {
				return err
			}
			found = nil
		}
	}
	return r.judgeCandidates(ctx, found)
}

// listDay lists the log files of a day that are of a time, and maybe more.
func (r *run) listDay(ctx context.Context, bucket, folder string, day time.Time, of span) iter.Seq2[Object, error] {
	first := folder
	// At the end of a day also what is not named as CloudTrail names it is looked at.
	wholeDay := !day.Add(24 * time.Hour).After(of.to)
	if !wholeDay && day.Before(of.from) {
		first += r.Chain.AccountID + "_" + logFolder + "_" + r.Chain.Region + "_" + of.from.UTC().Format(minuteLayout)
	}
	return func(yield func(Object, error) bool) {
		for object, err := range listFrom(ctx, r.options.Storage, bucket, folder, first) {
			written, ok := parseLogTime(object.Key)
			if err == nil && ok && !wholeDay && !written.Before(of.to) {
				return
			}
			if !yield(object, err) {
				return
			}
		}
	}
}

// candidateOf returns an object that is not known to be vouched for, if it is of a time. One that is not named as
// CloudTrail names log files is of the end of its day.
func (r *run) candidateOf(in place, object Object, day time.Time, of span) (candidate, bool) {
	key := logKey{in.bucket, object.Key}
	if _, known := r.vouching.known[key]; known || strings.HasSuffix(object.Key, "/") {
		return candidate{}, false
	}
	written, ok := parseLogTime(object.Key)
	if !ok {
		written = day.Add(24*time.Hour - time.Minute)
	}
	if written.Before(of.from.Truncate(time.Minute)) || !written.Before(of.to) {
		return candidate{}, false
	}
	return candidate{logKey: key, in: in, written: written, modified: object.LastModified}, true
}

// judgeCandidates looks for digests that vouch for log files, and reports those for which there is none.
func (r *run) judgeCandidates(ctx context.Context, found []candidate) error {
	if len(found) == 0 {
		return nil
	}
	search := newSearch(r, found)
	for _, pass := range search.passes() {
		if err := pass(ctx); err != nil {
			return err
		}
		if len(search.left) == 0 {
			return nil
		}
	}

	for _, one := range found {
		if _, left := search.left[one.logKey]; !left || one.written.Before(search.first) {
			continue
		}
		result := Result{Kind: KindLog, Chain: r.Chain, Bucket: one.bucket, Object: one.key, End: r.hourOf(one.written)}
		result.Start = result.End.Add(-hour)
		result.Finding = search.unproved(one).finding(result)
		r.report(result)
	}
	return nil
}

// hourOf returns the end of the hour of the chain's digests that a time is in.
func (r *run) hourOf(t time.Time) time.Time {
	end := r.known()
	return end.Add(-end.Sub(t).Truncate(hour))
}

// haltNow ends the walk because of an error, unless the error is the context's.
func (r *run) haltNow(ctx context.Context, result Result, err error, what string) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	return r.halt(result, faultOf(err, what))
}
