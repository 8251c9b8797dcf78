package trail

import (
	"context"
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

const (
	// unseen is how long a trail that was created may stay invisible to reads.
	unseen = 15 * time.Second
	// retainWait is how long deletionPolicy Retain waits for AWS to let the owner tag be removed.
	retainWait = 30 * time.Second
)

// finalize deletes the object's trail or lets go of it, and then lets the object go. DeleteTrail is called for no trail
// but one whose owner tag, read right then, is ours.
func (r *Reconciler) finalize(ctx context.Context, trail *v1alpha1.Trail, record *record) outcome {
	if !controllerutil.ContainsFinalizer(trail, v1alpha1.Finalizer) {
		return outcome{target: target{Trail: trail}, gone: true}
	}
	o := outcome{target: target{Trail: trail}}
	if !trail.Spec.ObserveOnly() {
		r.dispose(ctx, trail, record, &o)
	}
	if o.err != nil {
		if !trail.Spec.Retained() || !r.givesUp(record, o.err) {
			return o
		}
		o.retained = true
	}
	if err := r.removeFinalizer(ctx, trail); err != nil {
		o.err = err
		return o
	}
	o.err, o.gone = nil, true
	return o
}

// givesUp tells whether an object that is only to be let go is let go although its trail could not be: at once when
// that does not pass by itself, and after a while when it may.
func (r *Reconciler) givesUp(record *record, err error) bool {
	now := r.Now()
	if record.retaining.IsZero() {
		record.retaining = now
	}
	if isAboutTrail(err) && !isTransient(err) {
		return true
	}
	kubernetes := cloudtrail.PendingOf(err) == nil && !isAboutTrail(err)
	return !kubernetes && now.Sub(record.retaining) >= retainWait
}

// dispose deletes the trail, or for deletionPolicy Retain removes its owner tag. A trail that is gone or not ours is
// disposed of already.
func (r *Reconciler) dispose(ctx context.Context, trail *v1alpha1.Trail, record *record, o *outcome) {
	w, err := r.open(ctx, trail, record)
	o.target = w.target
	if err != nil {
		o.err = err
		return
	}
	found, err := r.findForDeletion(ctx, w)
	if err != nil || found == nil {
		o.err = err
		return
	}

	s := step{operation: deleteTrail}
	guard := func(ctx context.Context) error { return r.mayDelete(ctx, w, found) }
	if trail.Spec.Retained() {
		s = step{operation: removeTags, keys: []string{v1alpha1.OwnerTagKey}}
		err = w.region.RemoveTags(ctx, found, s.keys, guard)
	} else {
		err = w.region.Delete(ctx, found.ARN, guard)
	}
	switch {
	case errors.Is(err, errNotOurs):
		o.left = isKnown(w.target, found)
	case cloudtrail.Is(err, cloudtrail.NotFound):
		o.err = r.absentHere(ctx, w)
	case err != nil:
		o.err = err
	default:
		o.results = append(o.results, result{step: s})
	}
}

// errNotOurs says that a trail is somebody else's by now.
var errNotOurs = &cloudtrail.Error{
	Operation: deleteTrail,
	Class:     cloudtrail.FixAWS,
	Code:      v1alpha1.ReasonOwnedByAnother,
	Message:   "the trail belongs to somebody else",
}

// findForDeletion returns the object's trail, nil when there is certainly none.
func (r *Reconciler) findForDeletion(ctx context.Context, w *work) (*cloudtrail.Trail, error) {
	found, err := w.region.Find(ctx, w.Status.TrailARN, w.TrailName())
	if err == nil && found == nil {
		// To let go of an object is final, so that there is no trail must be true now.
		found, err = w.region.FindNow(ctx, w.Status.TrailARN, w.TrailName())
	}
	switch {
	case err != nil:
		return nil, err
	case found == nil || found.HomeRegion != w.caller.Region:
		return nil, r.absentHere(ctx, w)
	default:
		return found, confirmHome(ctx, w.region, w.target, found)
	}
}

// absentHere returns nil when there is no trail in the account in which it was created.
func (r *Reconciler) absentHere(ctx context.Context, w *work) error {
	if err := r.absent(w); err != nil {
		return err
	}
	return confirmHome(ctx, w.region, w.target, nil)
}

// absent returns nil when a trail that reads do not show is not there, and errUnseen when that is not certain yet: a
// CreateTrail that was sent just now, by this process or by one before it, may have created it.
func (r *Reconciler) absent(w *work) error {
	account, _ := home(w.Trail)
	if account == "" {
		return nil
	}
	now := r.Now()
	sent := latest(w.record.created, r.memory.begin(now))
	if now.Sub(sent) < unseen || recentlyCreated(w.Trail, w.record, now) {
		return errUnseen
	}
	return nil
}

// errUnseen says that it is too early to tell whether there is a trail.
var errUnseen = &cloudtrail.Error{
	Operation: "DescribeTrails",
	Class:     cloudtrail.Transient,
	Code:      v1alpha1.ReasonDeleting,
	Message:   "the object's trail may have just been created, and may not be visible yet",
}

// mayDelete makes sure that the object is still to be deleted, and that the trail is still ours.
func (r *Reconciler) mayDelete(ctx context.Context, w *work, found *cloudtrail.Trail) error {
	tags, err := w.region.TagsNow(ctx, found.ARN)
	switch {
	case err != nil:
		return err
	case ownershipOf(tags, w.owner) != ours:
		return errNotOurs
	default:
		return r.confirm(ctx, w.Trail)
	}
}

// deletionMessage says why an object that is being deleted is still there, and what helps.
func deletionMessage(message string) string {
	return "the trail cannot be deleted yet: " + message +
		" (or set spec.deletionPolicy: Retain to leave the trail in AWS and release this object)"
}
