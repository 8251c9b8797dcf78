package apiserver

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/operation"
	machineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/storage/names"
)

// customStrategy has the rules for custom resources. They are those of k8s.io/apiextensions-apiserver's
// pkg/registry/customresource, which cannot be imported without etcd's client.
type customStrategy struct {
	runtime.ObjectTyper
	names.NameGenerator
	*schemas
}

// NamespaceScoped tells whether objects are in namespaces.
func (c customStrategy) NamespaceScoped() bool { return c.namespaced }

// AllowCreateOnUpdate says no.
func (customStrategy) AllowCreateOnUpdate(context.Context) bool { return false }

// AllowUnconditionalUpdate says no: an update needs a resource version.
func (customStrategy) AllowUnconditionalUpdate(context.Context) bool { return false }

// Canonicalize does nothing.
func (customStrategy) Canonicalize(runtime.Object) {}

// PrepareForCreate removes a status that has a subresource, and sets the first generation.
func (c customStrategy) PrepareForCreate(_ context.Context, object runtime.Object) {
	custom := content(object)
	if c.hasStatus {
		delete(custom.Object, "status")
	}
	custom.SetGeneration(1)
}

// PrepareForUpdate keeps a status that has a subresource, and counts the generation on if anything but metadata
// changes.
func (c customStrategy) PrepareForUpdate(_ context.Context, object, old runtime.Object) {
	custom, before := content(object), content(old)
	if c.hasStatus {
		if status, had := before.Object["status"]; had {
			custom.Object["status"] = status
		} else {
			delete(custom.Object, "status")
		}
	}
	if !equality.Semantic.DeepEqual(withoutMetadata(custom), withoutMetadata(before)) {
		custom.SetGeneration(before.GetGeneration() + 1)
	}
}

func withoutMetadata(object *unstructured.Unstructured) map[string]any {
	out := make(map[string]any, len(object.Object))
	for key, value := range object.Object {
		if key != "metadata" {
			out[key] = value
		}
	}
	return out
}

// Validate validates a new object.
func (c customStrategy) Validate(ctx context.Context, object runtime.Object) field.ErrorList {
	custom := content(object)
	errs := c.validateKind(custom)
	if len(errs) == 0 {
		errs = append(errs, c.validateMetadata(ctx, operation.Create, custom, nil)...)
		errs = append(errs, validation.ValidateCustomResource(nil, custom.Object, c.validators[unchanged{}])...)
	}
	errs = append(errs, objectmeta.Validate(ctx, nil, custom.Object, c.structural, false)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.structural, custom.Object)...)
	return sorted(append(errs, c.validateRules(ctx, errs, custom, nil, unchanged{})...))
}

// ValidateUpdate validates a changed object. What was invalid before may stay as it is.
func (c customStrategy) ValidateUpdate(ctx context.Context, object, old runtime.Object) field.ErrorList {
	custom, before := content(object), content(old)
	parts, correlated := findUnchanged(custom, before), c.correlate(custom, before)

	errs := c.validateKind(custom)
	if len(errs) == 0 {
		errs = append(errs, c.validateMetadata(ctx, operation.Update, custom, before)...)
		errs = append(errs, validation.ValidateCustomResourceUpdate(
			nil, custom.Object, before.Object, c.validators[parts], validation.WithRatcheting(correlated))...)
	}
	errs = append(errs, objectmeta.Validate(ctx, nil, custom.Object, c.structural, false)...)
	errs = append(errs, c.validateLists(custom, before)...)
	return sorted(append(errs, c.validateRules(ctx, errs, custom, before, parts, cel.WithRatcheting(correlated))...))
}

// validateLists validates sets and maps in lists, unless they were invalid before.
func (c customStrategy) validateLists(custom, before *unstructured.Unstructured) field.ErrorList {
	errs := listtype.ValidateListSetsAndMaps(nil, c.structural, custom.Object)
	if len(errs) > 0 && len(listtype.ValidateListSetsAndMaps(nil, c.structural, before.Object)) > 0 {
		return nil
	}
	return errs
}

func (c customStrategy) correlate(custom, before *unstructured.Unstructured) *common.CorrelatedObject {
	return common.NewCorrelatedObject(custom.Object, before.Object, &model.Structural{Structural: c.structural})
}

// WarningsOnCreate warns of names of finalizers.
func (customStrategy) WarningsOnCreate(_ context.Context, object runtime.Object) []string {
	return finalizerWarnings(content(object).GetFinalizers(), nil)
}

// WarningsOnUpdate warns of names of new finalizers.
func (customStrategy) WarningsOnUpdate(_ context.Context, object, old runtime.Object) []string {
	return finalizerWarnings(content(object).GetFinalizers(), content(old).GetFinalizers())
}

// customStatusStrategy has the rules for the status of a custom resource.
type customStatusStrategy struct{ customStrategy }

// PrepareForUpdate takes the status and leaves everything else as it was.
func (customStatusStrategy) PrepareForUpdate(_ context.Context, object, old runtime.Object) {
	custom := content(object)
	status, has := custom.Object["status"]
	custom.Object = content(old).DeepCopy().Object
	if has {
		custom.Object["status"] = status
	} else {
		delete(custom.Object, "status")
	}
}

// ValidateUpdate validates a changed status, and the rules of the object.
func (c customStatusStrategy) ValidateUpdate(ctx context.Context, object, old runtime.Object) field.ErrorList {
	custom, before := content(object), content(old)
	parts, correlated := findUnchanged(custom, before), c.correlate(custom, before)

	errs := c.validateKind(custom)
	if len(errs) == 0 {
		errs = append(errs, c.validateMetadata(ctx, operation.Update, custom, before)...)
		if status, has := custom.Object["status"]; has {
			errs = append(errs, validation.ValidateCustomResourceUpdate(field.NewPath("status"), status,
				before.Object["status"], c.statusValidator, validation.WithRatcheting(correlated.Key("status")))...)
		}
	}
	errs = append(errs, c.validateLists(custom, before)...)
	return sorted(append(errs, c.validateRules(ctx, errs, custom, before, parts, cel.WithRatcheting(correlated))...))
}

// WarningsOnUpdate returns none.
func (customStatusStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// sorted sorts errors. The validators go through maps, so that the real server lists them in a random order.
func sorted(errs field.ErrorList) field.ErrorList {
	slices.SortStableFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// content returns the custom resource; nothing else comes here.
func content(object runtime.Object) *unstructured.Unstructured {
	custom, isCustom := object.(*unstructured.Unstructured)
	if !isCustom {
		return &unstructured.Unstructured{Object: map[string]any{}}
	}
	return custom
}

// validateKind checks that the object is of the kind of its resource.
func (c customStrategy) validateKind(custom *unstructured.Unstructured) field.ErrorList {
	var errs field.ErrorList
	if got := custom.GetKind(); got != c.kind.Kind {
		errs = append(errs, field.Invalid(field.NewPath("kind"), got, "must be "+c.kind.Kind))
	}
	if got, want := custom.GetAPIVersion(), c.kind.GroupVersion().String(); got != want {
		errs = append(errs, field.Invalid(field.NewPath("apiVersion"), got, "must be "+want))
	}
	return errs
}

// validateMetadata validates the metadata as the machinery's own types.
func (c customStrategy) validateMetadata(
	ctx context.Context, verb operation.Type, custom, before *unstructured.Unstructured,
) field.ErrorList {
	metadata, errs := metadataOf(custom)
	if len(errs) > 0 {
		return errs
	}

	var old *metav1.ObjectMeta
	validateName := machineryvalidation.ValidateNameFunc(machineryvalidation.NameIsDNSSubdomain)
	if before != nil {
		if old, errs = metadataOf(before); len(errs) > 0 {
			return errs
		}
		validateName = nil
	}
	return machineryvalidation.ValidateObjectMetaDeclaratively(ctx, verb, metadata, old, c.namespaced, validateName,
		field.NewPath("metadata"), false)
}

func metadataOf(custom *unstructured.Unstructured) (*metav1.ObjectMeta, field.ErrorList) {
	raw, _ := custom.Object["metadata"].(map[string]any) //nolint:errcheck // The decoder has seen to it.
	metadata := &metav1.ObjectMeta{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, metadata); err != nil {
		return nil, field.ErrorList{field.Invalid(field.NewPath("metadata"), raw, err.Error())}
	}
	return metadata, nil
}

// validateRules evaluates the CEL rules for a new object, or with before for one that replaces another, unless what was
// found already would make them fail.
func (c customStrategy) validateRules(
	ctx context.Context, found field.ErrorList, custom, before *unstructured.Unstructured, parts unchanged,
	options ...cel.Option,
) field.ErrorList {
	for _, err := range found {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany,
			field.ErrorTypeTypeInvalid:
			return field.ErrorList{field.Invalid(nil, nil, "some validation rules were not checked because the object was "+
				"invalid; correct the existing errors to complete validation")}
		default:
		}
	}

	var old any
	if before != nil {
		old = before.Object
	}
	errs, _ := c.rules[parts].Validate(
		ctx, nil, c.structural, custom.Object, old, celconfig.RuntimeCELCostBudget, options...)
	return errs
}
