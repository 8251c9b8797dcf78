package trail

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// unseen is how long a trail that was created may stay invisible to reads.
const unseen = 15 * time.Second

// maybeUnseen tells whether the object may have a trail that reads do not show yet: one that only a crashed process knew of, as
// no verdict was written, or one that is known to have been created just now.
func maybeUnseen(trail *v1alpha1.Trail, now time.Time) bool {
	if len(trail.Status.Conditions) > 0 && trail.Status.TrailARN == "" {
		return false
	}
	created := latest(trail.CreationTimestamp.Time, timeOf(trail.Status.StartLoggingTime))
	if drift := trail.Status.LastDrift; drift != nil {
		created = latest(created, timeOf(drift.RepairedTime))
	}
	return now.Sub(created) < unseen
}

// absent returns nil when a trail that reads do not show is not there, and errUnseen when that is not certain yet.
func (r *Reconciler) absent(trail *v1alpha1.Trail) error {
	if maybeUnseen(trail, r.Now()) {
		return errUnseen
	}
	return nil
}

// errUnseen says that it is too early to tell whether there is a trail.
var errUnseen = &cloudtrail.Error{Operation: "DescribeTrails", Class: cloudtrail.Transient, Code: v1alpha1.ReasonDeleting, Message: "the object is new: a trail of it may not be visible yet"}

// finalize deletes the object's trail or lets go of it, and then lets the object go. DeleteTrail is called for no trail but one whose
// owner tag, read right then, is ours.
func (r *Reconciler) finalize(ctx context.Context, trail *v1alpha1.Trail) verdict {
	var v verdict
	if !controllerutil.ContainsFinalizer(trail, v1alpha1.Finalizer) {
		v.gone = true
		return v
	}
	if !trail.Spec.Observed() {
		v.err = r.release(ctx, trail, &v)
	}
	if v.err != nil && (!trail.Spec.Retained() || mayPass(v.err)) {
		return v
	}
	if v.err = r.removeFinalizer(ctx, trail); v.err == nil {
		v.gone = true
	}
	return v
}

// mayPass tells whether an error is worth waiting for even where the trail is only to be let go.
func mayPass(err error) bool { return isTransient(err) || !tellable(err) }

// release deletes the trail, or for deletionPolicy Retain removes its owner tag. A trail that is gone or not ours is
// released already.
func (r *Reconciler) release(ctx context.Context, trail *v1alpha1.Trail, v *verdict) error {
	region, err := r.open(ctx, trail, v)
	if err != nil {
		return err
	}
	found, err := region.Find(ctx, trail.Status.TrailARN, trail.TrailName(), cloudtrail.FreshForChange)
	if err == nil && found == nil {
		// To let go of an object is final, so that there is no trail must be true now.
		found, err = region.Find(ctx, trail.Status.TrailARN, trail.TrailName(), cloudtrail.FreshNow)
	}
	if err != nil {
		return err
	}
	if found == nil || found.HomeRegion != v.region {
		return r.absent(trail)
	}
	if err := region.ReserveDelete(ctx); err != nil {
		return err
	}
	found.Tags, found.TagsErr = region.Tags(ctx, found.ARN)
	switch {
	case cloudtrail.Is(found.TagsErr, cloudtrail.NotFound):
		return r.absent(trail)
	case found.TagsErr != nil:
		return found.TagsErr
	case ownershipOf(found.Tags, r.ownerOf(trail)) != ours:
		return nil
	}
	s := step{operation: deleteTrail}
	if trail.Spec.Retained() {
		s = step{operation: removeTags, keys: []string{v1alpha1.OwnerTagKey}}
		err = region.RemoveTags(ctx, found, s.keys)
	} else {
		err = region.Delete(ctx, found.ARN)
	}
	if err != nil && !cloudtrail.Is(err, cloudtrail.NotFound) {
		return err
	}
	v.done = append(v.done, s)
	return nil
}

// deletionMessage says why an object that is being deleted is still there, and what helps.
func deletionMessage(message string) string {
	return "the trail cannot be deleted yet: " + message + " (or set spec.deletionPolicy: Retain to leave the trail in AWS and let this object go)"
}
