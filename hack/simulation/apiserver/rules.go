package apiserver

import (
	"context"
	"reflect"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// rules are the CEL rules of a schema, by the parts that an update leaves unchanged: without those below these parts. A
// rule that does not look at the old value says of an unchanged part what it has said before; and if it was violated
// then, ratcheting lets that pass. To leave them out saves most of the time that a write takes.
type rules map[unchanged]*cel.Validator

// unchanged tells which parts of an object an update leaves as they are.
type unchanged struct{ spec, status bool }

func compileRules(schema *structuralschema.Structural) rules {
	out := rules{}
	for _, parts := range []unchanged{{}, {spec: true}, {status: true}, {spec: true, status: true}} {
		reduced := schema.DeepCopy()
		if parts.spec {
			keepTransitionRules(reduced, "spec")
		}
		if parts.status {
			keepTransitionRules(reduced, "status")
		}
		out[parts] = cel.NewValidator(reduced, true, celconfig.PerCallLimit)
	}
	return out
}

// keepTransitionRules removes all rules below a property but those that look at the old value.
func keepTransitionRules(schema *structuralschema.Structural, property string) {
	if part, has := schema.Properties[property]; has {
		visitor := structuralschema.Visitor{Structural: func(s *structuralschema.Structural) bool {
			s.XValidations = slices.DeleteFunc(s.XValidations, func(rule apiextensionsv1.ValidationRule) bool {
				return !strings.Contains(rule.Rule+rule.MessageExpression, "oldSelf")
			})
			return true
		}}
		visitor.Visit(&part)
		schema.Properties[property] = part
	}
}

// validate evaluates the rules for an object that replaces another, or for a new one with nil.
func (r rules) validate(
	ctx context.Context, schema *structuralschema.Structural, custom, before *unstructured.Unstructured,
	options ...cel.Option,
) field.ErrorList {
	var parts unchanged
	var old any
	if before != nil {
		old = before.Object
		parts.spec = reflect.DeepEqual(custom.Object["spec"], before.Object["spec"])
		parts.status = reflect.DeepEqual(custom.Object["status"], before.Object["status"])
	}
	errs, _ := r[parts].Validate(ctx, nil, schema, custom.Object, old, celconfig.RuntimeCELCostBudget, options...)
	return errs
}
