package apiserver

import (
	"context"
	"errors"
	"sync"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/storage/names"
)

// builtin returns the resources that every server has. Their rules are in k8s.io/kubernetes, which is no library.
var builtin = sync.OnceValues(newBuiltin)

func newBuiltin() ([]*resource, error) {
	scheme := runtime.NewScheme()
	err := errors.Join(
		corev1.AddToScheme(scheme), coordinationv1.AddToScheme(scheme), eventsv1.AddToScheme(scheme))
	if err != nil {
		return nil, err
	}
	base := baseStrategy{ObjectTyper: scheme, NameGenerator: names.SimpleNameGenerator}
	patchTypes := []types.PatchType{types.JSONPatchType, types.MergePatchType, types.StrategicMergePatchType}
	nothing := func(runtime.Object) {}

	namespaces := namespaceStrategy{base}
	leases := leaseStrategy{base}
	events := eventStrategy{base}
	return []*resource{
		{
			GroupVersionResource: corev1.SchemeGroupVersion.WithResource("namespaces"),
			kind:                 "Namespace", listKind: "NamespaceList", singular: "namespace", shortNames: []string{"ns"},
			verbs: namespaceVerbs,
			subresources: []subresource{
				{name: "finalize", verbs: []string{"update"}}, {name: "status", verbs: statusVerbs},
			},
			storedAs:   "namespaces",
			patchTypes: patchTypes,
			codec: newTypedCodec(scheme, corev1.SchemeGroupVersion.WithKind("Namespace"),
				func() runtime.Object { return &corev1.Namespace{} }, setNamespaceDefaults),
			strategies: map[string]strategy{
				"": namespaces, "status": namespaceStatusStrategy{namespaces}, "finalize": namespaceFinalizeStrategy{namespaces},
			},
			fields: namespaceFields,
		},
		{
			GroupVersionResource: coordinationv1.SchemeGroupVersion.WithResource("leases"),
			kind:                 "Lease", listKind: "LeaseList", singular: "lease",
			namespaced:  true,
			collectable: true,
			verbs:       allVerbs,
			storedAs:    "leases",
			patchTypes:  patchTypes,
			codec: newTypedCodec(scheme, coordinationv1.SchemeGroupVersion.WithKind("Lease"),
				func() runtime.Object { return &coordinationv1.Lease{} }, nothing),
			strategies: map[string]strategy{"": leases},
		},
		{
			GroupVersionResource: eventsv1.SchemeGroupVersion.WithResource("events"),
			kind:                 "Event", listKind: "EventList", singular: "event", shortNames: []string{"ev"},
			namespaced: true,
			verbs:      allVerbs,
			storedAs:   "events",
			patchTypes: patchTypes,
			codec: newTypedCodec(scheme, eventsv1.SchemeGroupVersion.WithKind("Event"),
				func() runtime.Object { return &eventsv1.Event{} }, nothing),
			strategies: map[string]strategy{"": events},
			fields:     eventFields,
		},
	}, nil
}

// baseStrategy is what the kinds have in common.
type baseStrategy struct {
	runtime.ObjectTyper
	names.NameGenerator
}

// AllowCreateOnUpdate says no.
func (baseStrategy) AllowCreateOnUpdate(context.Context) bool { return false }

// AllowUnconditionalUpdate says yes.
func (baseStrategy) AllowUnconditionalUpdate(context.Context) bool { return true }

// PrepareForCreate does nothing.
func (baseStrategy) PrepareForCreate(context.Context, runtime.Object) {}

// PrepareForUpdate does nothing.
func (baseStrategy) PrepareForUpdate(context.Context, runtime.Object, runtime.Object) {}

// Canonicalize does nothing.
func (baseStrategy) Canonicalize(runtime.Object) {}

// WarningsOnCreate returns none.
func (baseStrategy) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }

// WarningsOnUpdate returns none.
func (baseStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// unexpectedKind is of an object that is not of the kind of its resource, which the decoder lets pass.
func unexpectedKind(object runtime.Object) field.ErrorList {
	kind := object.GetObjectKind().GroupVersionKind().Kind
	return field.ErrorList{field.Invalid(field.NewPath("kind"), kind, "is not the kind of the resource")}
}

// as returns an object as its type, or an empty one.
func as[T any](object runtime.Object) *T {
	if typed, is := any(object).(*T); is {
		return typed
	}
	return new(T)
}

// eventFields are what events can be selected by.
func eventFields(object runtime.Object) fields.Set {
	event := as[eventsv1.Event](object)
	return fields.Set{
		"reason":                    event.Reason,
		"type":                      event.Type,
		"reportingController":       event.ReportingController,
		"regarding.kind":            event.Regarding.Kind,
		"regarding.namespace":       event.Regarding.Namespace,
		"regarding.name":            event.Regarding.Name,
		"regarding.uid":             string(event.Regarding.UID),
		"regarding.apiVersion":      event.Regarding.APIVersion,
		"regarding.resourceVersion": event.Regarding.ResourceVersion,
		"regarding.fieldPath":       event.Regarding.FieldPath,
	}
}

// namespaceFields are what namespaces can be selected by.
func namespaceFields(object runtime.Object) fields.Set {
	namespace := as[corev1.Namespace](object)
	return fields.Set{"status.phase": string(namespace.Status.Phase), "name": namespace.Name}
}
