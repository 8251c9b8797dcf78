package trail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// What is believed of an object may be old: the cache lags, and a process that was frozen wakes up with what it knew.
// So right before a call that cannot be undone it is made sure, at the API server itself, that the object is as it is
// believed to be, and at AWS, that the trail is still ours.

// errChanged says that the object is not as it was believed to be.
var errChanged = errors.New("the object has changed")

// guard returns what must hold right before a step's call is sent.
func (r *Reconciler) guard(w *work, s step) cloudtrail.Guard {
	switch {
	case s.operation == createTrail:
		return func(ctx context.Context) error { return r.mayCreate(ctx, w, s) }
	case s.claims():
		return func(ctx context.Context) error { return r.mayClaim(ctx, w) }
	default:
		return func(ctx context.Context) error { return r.mayChange(ctx, w, s) }
	}
}

// mayChange makes sure that the trail is ours, and that the object still wants the change.
func (r *Reconciler) mayChange(ctx context.Context, w *work, s step) error {
	if err := r.isOurs(ctx, w); err != nil {
		return err
	}
	if s.operation == startLogging && controllerutil.ContainsFinalizer(w.Trail, v1alpha1.Finalizer) {
		return nil // An audit trail that logs is nothing to be undone.
	}
	if s.operation == addTags {
		if wrote, err := r.rememberTags(ctx, w.Trail); wrote || err != nil {
			return err
		}
	}
	return r.prepare(ctx, w, nil)
}

// mayCreate makes sure that a trail may be created: the credentials may belong to another account by now, and the
// object may be gone.
func (r *Reconciler) mayCreate(ctx context.Context, w *work, s step) error {
	if err := w.region.ConfirmAccount(ctx); err != nil {
		return err
	}
	keys := make([]string, 0, len(s.tags))
	for key := range s.tags {
		if key != v1alpha1.OwnerTagKey {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if err := r.prepare(ctx, w, keys); err != nil {
		return err
	}
	w.record.createdBefore, w.record.created, w.record.uncreated = w.record.created, r.Now(), true
	return nil
}

// mayClaim makes sure that nobody else has claimed the trail since it was read whose it is.
func (r *Reconciler) mayClaim(ctx context.Context, w *work) error {
	if err := r.prepare(ctx, w, nil); err != nil {
		return err
	}
	tags, err := w.region.TagsNow(ctx, w.observed.trail.ARN)
	if err != nil {
		return err
	}
	found := *w.observed.trail
	found.Tags = tags
	if !mayManage(w.target, &found) {
		return errChanged
	}
	return nil
}

// isOurs makes sure that the trail was ours a moment ago. Where that cannot be read, no more is done than to start
// logging.
func (r *Reconciler) isOurs(ctx context.Context, w *work) error {
	found := w.observed.trail
	isNew := r.Now().Sub(w.record.calls.SentAt(createTrail)) < cloudtrail.OwnerFresh
	if isNew || found.TagsErr != nil {
		return nil //nolint:nilerr // Whose it is cannot be read.
	}
	tag, err := w.region.OwnerTag(ctx, found.ARN, v1alpha1.OwnerTagKey)
	switch {
	case err != nil:
		return err
	case tag == w.owner, tag == "" && wasOurs(w.target, found):
		return nil
	default:
		return errChanged
	}
}

// confirm makes sure that the object is as it is believed to be.
func (r *Reconciler) confirm(ctx context.Context, trail *v1alpha1.Trail) error {
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Trail"))
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(trail), live)
	switch {
	case apierrors.IsNotFound(err):
		return errChanged
	case err != nil:
		return fmt.Errorf("reading the object: %w", err)
	case live.UID != trail.UID,
		live.Generation != trail.Generation,
		live.DeletionTimestamp.IsZero() != trail.DeletionTimestamp.IsZero(),
		!controllerutil.ContainsFinalizer(live, v1alpha1.Finalizer):
		return errChanged
	default:
		return nil
	}
}

// creation is what must be known after a crash, as a trail may have been created: the annotation AnnotationCreation. It
// tells of the object with this UID only, as annotations are copied.
type creation struct {
	UID     types.UID `json:"uid"`
	Account string    `json:"account"`
	Region  string    `json:"region"`
	TagKeys []string  `json:"tagKeys,omitempty"`
}

// creationOf returns what is known of the creation of the object's trail. An annotation that is not its own says
// nothing.
func creationOf(trail *v1alpha1.Trail) (known creation, ok bool) {
	err := json.Unmarshal([]byte(trail.Annotations[v1alpha1.AnnotationCreation]), &known)
	if err != nil || known.UID != trail.UID {
		return creation{}, false
	}
	return known, true
}

// home returns the account and the region in which the object's trail is, or may be; "" when there can be none yet.
func home(trail *v1alpha1.Trail) (account, region string) {
	if trail.Status.AccountID != "" {
		return trail.Status.AccountID, trail.Status.HomeRegion
	}
	known, _ := creationOf(trail)
	return known.Account, known.Region
}

// prepare persists what must survive a crash before a trail is created or claimed: the finalizer, and where the trail
// is. The write fails when the object is not as it is believed to be; where there is nothing to write, that is read.
func (r *Reconciler) prepare(ctx context.Context, w *work, tagKeys []string) error {
	metadata := withFinalizer(w.Trail)
	known, _ := creationOf(w.Trail)
	wanted := creation{UID: w.UID, Account: w.caller.AccountID, Region: w.caller.Region, TagKeys: tagKeys}
	persisted := known.Account == wanted.Account && known.Region == wanted.Region && isSubset(tagKeys, known.TagKeys)
	if w.Status.AccountID == "" && !persisted {
		wanted.TagKeys = union(known.TagKeys, tagKeys)
		metadata["annotations"] = map[string]string{v1alpha1.AnnotationCreation: asJSON(wanted)}
	}
	if len(metadata) == 0 {
		return r.confirm(ctx, w.Trail)
	}
	return r.patchMetadata(ctx, w.Trail, metadata)
}

// patchMetadata writes metadata of the object as it is believed to be. The API server's answer replaces the object's
// metadata and nothing else, so that a status that is being worked on is kept.
func (r *Reconciler) patchMetadata(ctx context.Context, trail *v1alpha1.Trail, metadata map[string]any) error {
	metadata["resourceVersion"] = trail.ResourceVersion
	patch, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return err
	}
	written := identified(trail)
	if err := r.Client.Patch(ctx, written, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("writing the object's metadata: %w", err)
	}
	trail.ObjectMeta = written.ObjectMeta
	return nil
}

// addFinalizer adds the finalizer if the object does not have it.
func (r *Reconciler) addFinalizer(ctx context.Context, trail *v1alpha1.Trail) error {
	metadata := withFinalizer(trail)
	if len(metadata) == 0 {
		return nil
	}
	return r.patchMetadata(ctx, trail, metadata)
}

// withFinalizer returns the metadata to be written for the object to have the finalizer; empty if it has it.
func withFinalizer(trail *v1alpha1.Trail) map[string]any {
	if controllerutil.ContainsFinalizer(trail, v1alpha1.Finalizer) {
		return map[string]any{}
	}
	return map[string]any{"finalizers": append(slices.Clone(trail.Finalizers), v1alpha1.Finalizer)}
}

// removeFinalizer removes the finalizer, which lets the object go.
func (r *Reconciler) removeFinalizer(ctx context.Context, trail *v1alpha1.Trail) error {
	left := slices.DeleteFunc(slices.Clone(trail.Finalizers), func(f string) bool { return f == v1alpha1.Finalizer })
	return client.IgnoreNotFound(r.patchMetadata(ctx, trail, map[string]any{"finalizers": left}))
}

// rememberTags notes in the status which tags are ours to remove, before they are added. It tells whether it has
// written.
func (r *Reconciler) rememberTags(ctx context.Context, trail *v1alpha1.Trail) (wrote bool, err error) {
	keys := tagKeys(trail.Spec.Tags)
	if isSubset(keys, trail.Status.ManagedTagKeys) {
		return false, nil
	}
	before := trail.Status.DeepCopy()
	trail.Status.ManagedTagKeys = union(trail.Status.ManagedTagKeys, keys)
	return true, r.writeStatus(ctx, before, trail)
}

func isSubset(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// union returns the strings of both, each once, in order.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
