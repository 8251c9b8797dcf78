package accountcoverage

import (
	"context"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// ofTrails has identities assessed when one of their Trails has changed in a way that may matter.
func (r *Reconciler) ofTrails() handler.EventHandler {
	return handler.Funcs{
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			before, ok := e.ObjectOld.(*v1alpha1.Trail)
			after, also := e.ObjectNew.(*v1alpha1.Trail)
			if ok && also && matters(before, after) {
				r.assessSoon(ctx, q, before.IdentityName(), after.IdentityName())
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			if trail, ok := e.Object.(*v1alpha1.Trail); ok {
				r.assessSoon(ctx, q, trail.IdentityName())
			}
		},
	}
}

// matters tells whether a change of a Trail may change what its account has recorded.
func matters(before, after *v1alpha1.Trail) bool {
	if before.Generation != after.Generation {
		return true
	}
	for _, turns := range []string{
		v1alpha1.ConditionSynced, v1alpha1.ConditionLogging, v1alpha1.ConditionDelivering,
	} {
		was := meta.FindStatusCondition(before.Status.Conditions, turns)
		is := meta.FindStatusCondition(after.Status.Conditions, turns)
		if (was == nil) != (is == nil) || was != nil && was.Status != is.Status {
			return true
		}
	}
	return false
}

// ofOwners has the members of an organization assessed when what its owner's identity says of its trails has changed,
// and lets go of identities that are gone.
func (r *Reconciler) ofOwners() handler.EventHandler {
	return handler.Funcs{
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			before, ok := e.ObjectOld.(*v1alpha1.AWSIdentity)
			after, also := e.ObjectNew.(*v1alpha1.AWSIdentity)
			if ok && also && !maps.Equal(organizationTrails(before), organizationTrails(after)) {
				r.assessSoon(ctx, q, r.members(ctx, after)...)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, _ queue) {
			r.memory.forget(e.Object.GetUID(), e.Object.GetName(), r.Sessions)
		},
	}
}

// recording is what matters of an organization's trail to its members.
type recording struct {
	logging, delivering bool
	events              v1alpha1.ManagementEvents
}

// organizationTrails returns what an identity says of the organization's trails that its account owns, by their ARNs.
func organizationTrails(identity *v1alpha1.AWSIdentity) map[string]recording {
	trails := map[string]recording{}
	if identity.Status.Coverage == nil {
		return trails
	}
	for _, t := range identity.Status.Coverage.Trails {
		if v1alpha1.IsTrue(t.Organization) && ownerOf(t.ARN) == identity.Status.AccountID {
			trails[t.ARN] = recording{v1alpha1.IsTrue(t.Logging), v1alpha1.IsTrue(t.Delivering), t.ManagementEvents}
		}
	}
	return trails
}

// members returns the names of the identities of other accounts that are recorded by trails of this one's.
func (r *Reconciler) members(ctx context.Context, owner *v1alpha1.AWSIdentity) []string {
	var identities v1alpha1.AWSIdentityList
	// The handler of a watch must not wait for another watch.
	err := r.Client.List(ctx, &identities, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing AWSIdentities")
		return nil
	}

	var members []string
	for i := range identities.Items {
		identity := &identities.Items[i]
		if identity.Status.Coverage == nil || identity.Status.AccountID == owner.Status.AccountID {
			continue
		}
		if slices.ContainsFunc(identity.Status.Coverage.Trails, func(t v1alpha1.AssessedTrail) bool {
			return ownerOf(t.ARN) == owner.Status.AccountID
		}) {
			members = append(members, identity.Name)
		}
	}
	return members
}

// assessSoon has identities assessed, those that ask for it, when what has changed has settled.
func (r *Reconciler) assessSoon(ctx context.Context, q queue, names ...string) {
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		identity, key := &v1alpha1.AWSIdentity{}, types.NamespacedName{Name: name}
		// The handler of a watch must not wait for another watch. What is not there is not remembered: tenants choose names.
		if err := r.Client.Get(ctx, key, identity, client.DisableReadYourWritesConsistency); err != nil {
			if !apierrors.IsNotFound(err) {
				ctrl.LoggerFrom(ctx).Error(err, "reading an AWSIdentity", "identity", name)
			}
			continue
		}
		if identity.Spec.CoverageAssessed() {
			r.memory.change(name, r.Now())
			q.AddAfter(reconcile.Request{NamespacedName: key}, settle)
		}
	}
}
