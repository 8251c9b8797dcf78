package digest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// search looks for digests that vouch for some log files.
type search struct {
	*run
	in   place
	left map[logKey]candidate
	// first is when the chain begins: earlier log files are none of it.
	first time.Time
	// seen are the digests that were read, and unread why one could not be.
	seen   map[string]bool
	unread *fault
	of     name
	// written and modified are the times of the log files.
	written, modified span
}

func newSearch(r *run, found []candidate) *search {
	s := &search{run: r, in: found[0].in, left: map[logKey]candidate{}, seen: map[string]bool{}}
	for i, one := range found {
		s.left[one.logKey] = one
		if i == 0 {
			s.written, s.modified = span{one.written, one.written}, span{one.modified, one.modified}
		}
		s.written, s.modified = s.written.with(one.written), s.modified.with(one.modified)
	}
	return s
}

func (s span) with(t time.Time) span {
	if t.Before(s.from) {
		s.from = t
	}
	if t.After(s.to) {
		s.to = t
	}
	return s
}

// passes are where digests are looked for, from where most log files are found.
func (s *search) passes() []func(context.Context) error {
	soon := span{s.written.from.Add(-time.Minute), s.written.to.Add(lately)}
	late := span{soon.from, s.written.to.Add(settled + hour)}
	return []func(context.Context) error{
		func(ctx context.Context) error { return s.readAll(ctx, s.in, soon, s.own) },
		func(ctx context.Context) error { return s.readAll(ctx, s.in, late, anyName) },
		s.readWhenWritten,
		s.readElsewhere,
		s.findFirst,
	}
}

// own tells whether a digest is the trail's, and the one of an hour.
func (s *search) own(n name) bool {
	_, own := parseName(n.place, n.key, s.names.file)
	return own && !n.backfill
}

func anyName(name) bool { return true }

// readWhenWritten reads the digests of when the log files were written, where that is not when their names say:
// CloudTrail tries to deliver them for 30 days.
func (s *search) readWhenWritten(ctx context.Context) error {
	written := map[time.Time]bool{}
	for _, one := range s.left {
		if one.modified.Sub(one.written) > settled {
			written[one.modified.Truncate(hour)] = true
		}
	}
	for at := range written {
		if err := s.readAll(ctx, s.in, span{at, at.Add(hour + lately)}, anyName); err != nil || len(s.left) == 0 {
			return err
		}
	}
	return nil
}

// readElsewhere reads the digests in the other places of the chain: the digest that vouches for the last log files
// before a change of the bucket or the prefix comes after it.
func (s *search) readElsewhere(ctx context.Context) error {
	for _, in := range s.vouching.places {
		if in == s.in {
			continue
		}
		late := span{s.written.from.Add(-time.Minute), s.written.to.Add(settled + hour)}
		if err := s.readAll(ctx, in, late, anyName); err != nil || len(s.left) == 0 {
			return err
		}
	}
	return nil
}

// findFirst finds out when the chain begins.
func (s *search) findFirst(ctx context.Context) error {
	for _, in := range s.vouching.places {
		for object, err := range s.options.Storage.List(ctx, in.bucket, in.folder, "") {
			if errors.Is(err, ErrNotFound) {
				break
			}
			if err != nil {
				return s.haltNow(ctx, s.listed(in), err, listOf(in))
			}
			n, ok := parseName(in, object.Key, s.names.file)
			if !ok || n.misplaced {
				continue
			}
			begin := n.time.Add(-hour)
			if f, err := s.read(ctx, n); err == nil {
				begin = f.start
			}
			if s.first.IsZero() || begin.Before(s.first) {
				s.first = begin
			}
			break
		}
	}
	return nil
}

// readAll reads the digests in a place that end in a time and are wanted, in parallel, and takes out what they vouch
// for.
func (s *search) readAll(ctx context.Context, in place, of span, wanted func(name) bool) error {
	var names []name
	for object, err := range s.options.Storage.List(ctx, in.bucket, in.folder, in.folder+of.from.UTC().Format(dayLayout)) {
		if errors.Is(err, ErrNotFound) {
			break
		}
		if err != nil {
			return s.haltNow(ctx, s.listed(in), err, listOf(in))
		}
		n, ok := parseAny(in, object.Key, fileOf(s.Chain))
		if ok && n.time.After(of.to.Add(24*time.Hour)) {
			break
		}
		if ok && !n.misplaced && !n.time.Before(of.from) && !n.time.After(of.to) && wanted(n) && !s.seen[n.key] {
			names = append(names, n)
			s.seen[n.key] = true
		}
	}

	slices.SortStableFunc(names, func(a, b name) int { return a.time.Compare(b.time) })
	for batch := range slices.Chunk(names, ahead) {
		if err := s.readBatch(ctx, batch); err != nil || len(s.left) == 0 {
			return err
		}
	}
	return nil
}

func (s *search) readBatch(ctx context.Context, batch []name) error {
	files, errs := make([]*file, len(batch)), make([]error, len(batch))
	var group sync.WaitGroup
	for i, n := range batch {
		group.Go(func() { files[i], errs[i] = s.read(ctx, n) })
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}

	for i, n := range batch {
		if errs[i] == nil {
			s.take(files[i])
			continue
		}
		failure := faultOf(errs[i], "The digest")
		if failure.transient {
			return s.halt(s.result(KindDigest, n), failure)
		}
		if failure.class == Unverifiable {
			s.unread, s.of = failure, n
		}
	}
	return nil
}

// take takes out what a digest vouches for, and notes from where its chain came.
func (s *search) take(f *file) {
	if s.own(f.name) && f.previous != nil {
		if before, ok := s.names.parse(f.previous.bucket, f.previous.key); ok {
			s.vouching.visit(before.place)
		}
	}
	for _, log := range f.logs {
		delete(s.left, logKey{log.Bucket, log.Key})
	}
}

// unproved says why a log file is not proved.
func (s *search) unproved(one candidate) *fault {
	if s.unread != nil {
		return &fault{
			class: Unverifiable, reason: s.unread.reason,
			message: "No digest that can be read vouches for the log file. The digest " + s.of.describe() +
				" cannot: " + s.unread.message,
		}
	}
	return tampered(LogNotVouchedFor, "No digest vouches for the log file, which was written at %s.", at(one.modified))
}
