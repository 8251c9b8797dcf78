package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// tenantDeeds are what tenants do: all that the API server lets them do in their namespaces.
var tenantDeeds = []deed{
	{"tenant creates", 10, func(w *World, a Action, chance *rand.Rand) {
		w.create(newTrail(slotOf(a.Slot), w.shape, chance))
	}},
	{"tenant changes the spec", 12, func(w *World, a Action, chance *rand.Rand) {
		w.edit(a.Slot, func(trail *v1alpha1.Trail) { vary(&trail.Spec, slotOf(a.Slot), w.shape, chance) })
	}},
	{"tenant changes the policies", 4, func(w *World, a Action, chance *rand.Rand) {
		w.edit(a.Slot, func(trail *v1alpha1.Trail) {
			trail.Spec.DeletionPolicy = []v1alpha1.DeletionPolicy{"Delete", "Delete", "Retain"}[chance.IntN(3)]
			trail.Spec.AdoptionPolicy = []v1alpha1.AdoptionPolicy{"Never", "IfUnowned", "Always"}[chance.IntN(3)]
			trail.Spec.ManagementPolicy = []v1alpha1.ManagementPolicy{"Manage", "Manage", "Observe"}[chance.IntN(3)]
		})
	}},
	{"tenant suspends or resumes", 4, func(w *World, a Action, _ *rand.Rand) {
		w.edit(a.Slot, func(trail *v1alpha1.Trail) { trail.Spec.Suspend = new(!trail.Spec.Suspended()) })
	}},
	{"tenant deletes", 5, func(w *World, a Action, _ *rand.Rand) { w.remove(slotOf(a.Slot)) }},
	{"tenant deletes what is being created, while AWS lags", 3, func(w *World, a Action, chance *rand.Rand) {
		s := slotOf(a.Slot)
		w.remove(s)
		w.later(a, chance, time.Minute, 2*time.Minute, func() {
			w.lag(a, chance)
			w.create(newTrail(s, w.shape, chance))
			w.traps = append(w.traps, &trap{about: s.arn(), after: true, do: func() { w.remove(s) }})
		})
	}},
	{"tenant releases the trail, observes it, and manages it again", 2, func(w *World, a Action, chance *rand.Rand) {
		s := slotOf(a.Slot)
		w.edit(a.Slot, func(trail *v1alpha1.Trail) { trail.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })
		w.remove(s)
		w.later(a, chance, time.Minute, 2*time.Minute, func() {
			trail := newTrail(s, w.shape, chance)
			trail.Spec.AdoptionPolicy, trail.Spec.ManagementPolicy = "", v1alpha1.ManagementPolicyObserve
			w.create(trail)
		})
		w.later(a, chance, 3*time.Minute, 10*time.Minute, func() {
			w.edit(a.Slot, func(trail *v1alpha1.Trail) { trail.Spec.ManagementPolicy = v1alpha1.ManagementPolicyManage })
		})
	}},
	{"tenant asks for a look", 3, func(w *World, a Action, _ *rand.Rand) { w.ask(a.Slot) }},
	{"tenant labels", 2, func(w *World, a Action, _ *rand.Rand) {
		w.edit(a.Slot, func(trail *v1alpha1.Trail) {
			metav1.SetMetaDataLabel(&trail.ObjectMeta, "changed", fmt.Sprint(a.Number))
		})
	}},
	{"tenant looks events up", 3, func(w *World, a Action, chance *rand.Rand) {
		s := slotOf(a.Slot)
		lookup := &v1alpha1.EventLookup{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, GenerateName: "lookup-"}}
		lookup.Spec = v1alpha1.EventLookupSpec{
			Region: regions[s.region], IdentityRef: &v1alpha1.IdentityReference{Name: s.identity}, Since: "1h",
			TTLSecondsAfterFinished: new(int32(chance.IntN(3600))),
		}
		w.request(w.user.Create(w.ctx, lookup))
	}},
}

// adminDeeds are what administrators of the cluster do.
var adminDeeds = []deed{
	{"admin forbids an identity to a namespace", 2, func(w *World, a Action, chance *rand.Rand) {
		w.editIdentity(a.Slot, func(identity *v1alpha1.AWSIdentity) {
			identity.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{
				From:     v1alpha1.NamespacesFromSelector,
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": slotOf(a.Slot).namespace}},
			}
		})
		w.later(a, chance, time.Minute, 30*time.Minute, func() {
			w.editIdentity(a.Slot, func(identity *v1alpha1.AWSIdentity) {
				identity.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}
			})
		})
	}},
	{"admin leads an identity to another account", 2, func(w *World, a Action, chance *rand.Rand) {
		account := slotOf(a.Slot).account
		if account == 0 {
			return
		}
		w.editIdentity(a.Slot, func(identity *v1alpha1.AWSIdentity) {
			identity.Spec.RoleARN = identityOf(3 - account).Spec.RoleARN
		})
		w.later(a, chance, time.Minute, 30*time.Minute, func() {
			w.editIdentity(a.Slot, func(identity *v1alpha1.AWSIdentity) {
				identity.Spec.RoleARN = identityOf(account).Spec.RoleARN
			})
		})
	}},
}

// create creates a Trail.
func (w *World) create(trail *v1alpha1.Trail) {
	name := trail.Namespace + "/" + trail.Name
	w.request(w.user.Create(w.ctx, trail))
	w.changed(name)
}

// remove deletes the Trail of a slot.
func (w *World) remove(s slot) {
	w.request(w.user.Delete(w.ctx, &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name}}))
	w.changed(s.String())
}

// ask asks for a look at the Trail of a slot.
func (w *World) ask(number int) {
	w.edit(number, func(trail *v1alpha1.Trail) {
		metav1.SetMetaDataAnnotation(&trail.ObjectMeta, v1alpha1.AnnotationReconcileAt, time.Now().Format(time.RFC3339Nano))
	})
}

// edit changes the Trail of a slot, if there is one.
func (w *World) edit(number int, change func(*v1alpha1.Trail)) {
	s := slotOf(number)
	trail := &v1alpha1.Trail{}
	if err := w.user.Get(w.ctx, client.ObjectKey{Namespace: s.namespace, Name: s.name}, trail); err != nil {
		w.request(err)
		return
	}
	change(trail)
	w.request(w.user.Update(w.ctx, trail))
	w.changed(s.String())
}

// editAll changes what the specs want of all trails of a slot's account.
func (w *World) editAll(s slot, chance *rand.Rand) {
	for number := range slotCount {
		if slotOf(number).account == s.account {
			w.edit(number, func(trail *v1alpha1.Trail) { vary(&trail.Spec, slotOf(number), w.shape, chance) })
		}
	}
}

// editIdentity changes the identity of a slot.
func (w *World) editIdentity(number int, change func(*v1alpha1.AWSIdentity)) {
	identity := &v1alpha1.AWSIdentity{}
	if err := w.user.Get(w.ctx, client.ObjectKey{Name: slotOf(number).identity}, identity); err != nil {
		w.request(err)
		return
	}
	change(identity)
	w.request(w.user.Update(w.ctx, identity))
}

// request notes what the API server has answered to a person.
func (w *World) request(err error) {
	if err != nil {
		w.note("the API server says %s", apierrors.ReasonForError(err))
	}
}

// later does something after a time, and at the end at the latest.
func (w *World) later(a Action, chance *rand.Rand, least, most time.Duration, do func()) {
	end := w.scheduler.start.Add(w.shape.Disturbed)
	when := time.Now().Add(between(chance, least, most))
	if when.After(end) {
		when = end
	}
	w.scheduler.at(when, func() {
		w.note("end of %s", a)
		do()
	})
}
