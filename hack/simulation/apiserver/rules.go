package apiserver

import (
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// rules are the CEL rules of a schema, by the parts that an update leaves unchanged: without those below these parts. A
// rule that does not look at the old value says of an unchanged part what it has said before; and if it was violated
// then, ratcheting lets that pass. To leave them out saves most of the time that a write takes.
type rules map[unchanged]*cel.Validator

func compileRules(schema *structuralschema.Structural) rules {
	out := rules{}
	for _, parts := range allUnchanged {
		reduced := schema.DeepCopy()
		for _, name := range parts.names() {
			keepTransitionRules(reduced, name)
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
