package digest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"
)

const (
	// overdue is how long after the end of the last digest the next one should be there in any case: it covers an hour,
	// and comes within the next.
	overdue = 3 * time.Hour
	// clockSkew is how much later than an object was written GetTrailStatus may say that it was delivered.
	clockSkew = 5 * time.Minute
	// reasonDelivery is the reason of an error of CloudTrail's delivery that is no word.
	reasonDelivery = "DeliveryFailed"
)

// checkTail looks for digests that are missing after the last one. No digest tells about these.
func (r *run) checkTail(ctx context.Context) error {
	delivery := r.Delivery
	switch due := r.at.End.Add(hour); {
	case delivery != nil && delivery.Stopped, !r.Until.IsZero() && due.After(r.Until):
		return nil
	case r.at == (Position{}):
		return r.checkNothing()
	case delivery != nil && delivery.Error != "":
		r.reportTail(due, undelivered(delivery))
		return nil
	case delivery != nil && !delivery.Time.Before(due):
		return r.checkDelivered(ctx)
	default:
		return r.checkOverdue(ctx)
	}
}

// checkNothing looks at a chain without any digest.
func (r *run) checkNothing() error {
	if r.Delivery == nil || r.Delivery.Time.IsZero() || !r.Delivery.Time.After(r.Start) {
		return nil
	}
	result := r.result(KindDigest, name{place: r.names.current, key: r.names.current.folder})
	result.End = r.Delivery.Time
	failure := tampered(DigestMissing, "CloudTrail delivered a digest at %s, and there is none.", at(r.Delivery.Time))
	if r.Delivery.Error != "" {
		failure = undelivered(r.Delivery)
	}
	return r.reportLast(result, failure)
}

// checkDelivered looks whether CloudTrail has delivered a digest after the last one that is there.
func (r *run) checkDelivered(ctx context.Context) error {
	modified, err := r.modified(ctx)
	if err != nil {
		return err
	}
	if modified.IsZero() || !r.Delivery.Time.After(modified.Add(clockSkew)) {
		return r.checkOverdue(ctx)
	}

	for end := r.at.End.Add(hour); !end.After(earlier(r.Delivery.Time, r.until)); end = end.Add(hour) {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.reportTail(end, tampered(DigestMissing,
			"The digest of the hour until %s is not there, nor any after it. CloudTrail delivered one at %s.",
			at(end), at(r.Delivery.Time)))
	}
	return nil
}

// modified returns when the last digest was written; the zero time if that is not known.
func (r *run) modified(ctx context.Context) (time.Time, error) {
	if r.proved == r.at && !r.lastModified.IsZero() {
		return r.lastModified, nil
	}
	modified, err := r.modifiedOf(ctx, r.at.Bucket, r.at.Object)
	if ended := ctx.Err(); ended != nil {
		return time.Time{}, ended
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return r.at.End, nil // It is gone, too: when it was written makes no difference any more.
	case err != nil:
		return time.Time{}, r.reportLast(r.result(KindDigest, r.lastName()), faultOf(err, "The last digest"))
	default:
		return modified, nil
	}
}

// modifiedOf returns when an object was written, without reading it.
func (v *Validator) modifiedOf(ctx context.Context, bucket, key string) (time.Time, error) {
	var modified time.Time
	err := v.limits().do(ctx, func() error {
		content, err := v.options.Storage.Open(ctx, bucket, key)
		if err != nil {
			return err
		}
		modified = content.LastModified
		return content.Body.Close()
	})
	return modified, err
}

// checkOverdue looks at a chain that goes no further for hours, although nobody says that more was delivered. If the
// last digest itself, which was there, is gone, somebody has deleted it.
func (r *run) checkOverdue(ctx context.Context) error {
	if r.now.Sub(r.seen) <= overdue {
		return nil
	}
	if r.at == r.From && r.at.Hash != "" {
		_, err := r.modifiedOf(ctx, r.at.Bucket, r.at.Object)
		if ended := ctx.Err(); ended != nil {
			return ended
		}
		if errors.Is(err, ErrNotFound) {
			return r.reportLast(r.result(KindDigest, r.lastName()), tampered(DigestMissing,
				"The digest was there when it was validated. Neither it nor any after it is there now."))
		}
	}

	why := ""
	if r.Delivery != nil && !r.Delivery.Time.IsZero() {
		why = fmt.Sprintf(" CloudTrail delivered the last one at %s.", at(r.Delivery.Time))
	}
	r.reportTail(r.seen.Add(hour), &fault{
		class: Unverifiable, reason: ReasonOverdue,
		message: fmt.Sprintf("No digest is there after that of the hour until %s.%s", at(r.seen), why),
	})
	return nil
}

// reportTail reports the digest that should be there after the last one.
func (r *run) reportTail(end time.Time, failure *fault) {
	in := r.lastName().place
	result := r.result(KindDigest, name{place: in, key: r.names.key(in, end), time: end})
	if r.unread[result.Object] {
		return // It is there, or was reported.
	}
	result.Finding = failure.finding(result)
	r.report(result)
}

func (r *run) lastName() name {
	last, ok := r.names.parse(r.at.Bucket, r.at.Object)
	if !ok {
		last = name{place: r.names.current, key: r.at.Object, time: r.at.End}
	}
	return last
}

// reportLast reports something after which nothing follows.
func (r *run) reportLast(result Result, failure *fault) error {
	result.Finding = failure.finding(result)
	r.report(result)
	return nil
}

// word is what AWS's error codes look like.
var word = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)

// undelivered says that CloudTrail itself could not deliver.
func undelivered(delivery *Delivery) *fault {
	reason := reasonDelivery
	if word.MatchString(delivery.Error) {
		reason = delivery.Error
	}
	return &fault{
		class: Unverifiable, reason: reason,
		message: fmt.Sprintf("CloudTrail cannot deliver digests: %q.", delivery.Error),
	}
}

// at shows a time in a message.
func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }
