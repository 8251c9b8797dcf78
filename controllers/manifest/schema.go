package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	openapierrors "k8s.io/kube-openapi/pkg/validation/errors"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	kyaml "sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Schema is the schema of the kinds that are read. Their CEL rules are left to the API server: the library that
// evaluates them would make the program larger by a sixth, in every pod of the operator.
type Schema struct {
	validators map[string]*validate.SchemaValidator
	// kinds are the operator's.
	kinds *runtime.Scheme
}

// NewSchema returns the schema of CRDs in YAML.
func NewSchema(crds ...[]byte) (*Schema, error) {
	s := &Schema{validators: map[string]*validate.SchemaValidator{}, kinds: runtime.NewScheme()}
	if err := v1alpha1.AddToScheme(s.kinds); err != nil {
		return nil, err
	}
	for _, crd := range crds {
		if err := s.add(crd); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// add adds the kind of a CRD.
func (s *Schema) add(crd []byte) error {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := kyaml.UnmarshalStrict(crd, definition); err != nil {
		return fmt.Errorf("reading the CRD: %w", err)
	}
	i := slices.IndexFunc(definition.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return v.Name == v1alpha1.GroupVersion.Version && v.Schema != nil
	})
	if i < 0 {
		return fmt.Errorf("the CRD has no schema of %s", v1alpha1.GroupVersion)
	}

	content, err := json.Marshal(definition.Spec.Versions[i].Schema.OpenAPIV3Schema)
	if err != nil {
		return err
	}
	parsed := &spec.Schema{}
	if err := json.Unmarshal(content, parsed); err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	// Nobody else writes the status.
	delete(parsed.Properties, "status")
	s.validators[definition.Spec.Names.Kind] = validate.NewSchemaValidator(parsed, nil, "", strfmt.Default)
	return nil
}

// has tells whether the operator has a kind, in that version.
func (s *Schema) has(h header) bool {
	return s.kinds.Recognizes(schema.FromAPIVersionAndKind(h.APIVersion, h.Kind))
}

// validate returns what the API server refuses of an object that it can decode.
func (s *Schema) validate(kind string, content []byte) []refusal {
	var object map[string]any
	if err := json.Unmarshal(content, &object); err != nil {
		return []refusal{{"", err.Error()}}
	}

	var refused []refusal
	if metadata := (unstructured.Unstructured{Object: object}); metadata.GetName() == "" &&
		metadata.GetGenerateName() == "" {
		refused = append(refused, refusal{"metadata.name", "metadata.name is required"})
	}
	for _, err := range s.validators[kind].Validate(withoutNulls(object)).Errors {
		refused = append(refused, invalid(err))
	}
	slices.SortFunc(refused, func(a, b refusal) int {
		return strings.Compare(a.field+"\x00"+a.message, b.field+"\x00"+b.message)
	})
	return refused
}

// invalid returns what an error of validation says of which field.
func invalid(err error) refusal {
	if e, ok := errors.AsType[*openapierrors.Validation](err); ok {
		field := strings.TrimPrefix(e.Name, ".")
		return refusal{field, strings.TrimPrefix(strings.Replace(e.Error(), " in body", "", 1), ".")}
	}
	return refusal{"", err.Error()}
}

// withoutNulls returns a value without fields that are null: the API server drops them, as no field has a default.
func withoutNulls(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, field := range v {
			if field == nil {
				delete(v, name)
			} else {
				v[name] = withoutNulls(field)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return value
}
