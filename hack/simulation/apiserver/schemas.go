package apiserver

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/crdserverscheme"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/storage/names"
)

// schemas are what the schema of a CRD is compiled to.
type schemas struct {
	kind       schema.GroupVersionKind
	namespaced bool
	hasStatus  bool
	structural *structuralschema.Structural
	// validators are those of the schema, by the parts that an update leaves unchanged: without the schemas of these, as
	// ratcheting lets pass what was wrong there before.
	validators      map[unchanged]validation.SchemaValidator
	statusValidator validation.SchemaValidator
	rules           rules
}

// compiled are the resources of all CRDs that this process has seen, by the digest of the CRD.
var compiled = struct {
	mutex     sync.Mutex
	resources map[[sha256.Size]byte]*resource
}{resources: map[[sha256.Size]byte]*resource{}}

// compile returns the resource of a CRD.
func compile(crd *apiextensionsv1.CustomResourceDefinition) (*resource, error) {
	content, err := json.Marshal(crd.Spec)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(content)

	compiled.mutex.Lock()
	defer compiled.mutex.Unlock()
	if known := compiled.resources[digest]; known != nil {
		return known, nil
	}
	custom, err := compileCustom(crd.DeepCopy())
	if err != nil {
		return nil, err
	}
	compiled.resources[digest] = custom
	return custom, nil
}

// errUnsupported is of a CRD that has what this server does not know.
var errUnsupported = errors.New("this server cannot serve it")

func compileCustom(crd *apiextensionsv1.CustomResourceDefinition) (*resource, error) {
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
	spec := &crd.Spec
	if len(spec.Versions) != 1 || !spec.Versions[0].Served || !spec.Versions[0].Storage {
		return nil, fmt.Errorf("%w: it must have one version, served and stored", errUnsupported)
	}
	version := &spec.Versions[0]
	hasStatus := version.Subresources != nil && version.Subresources.Status != nil
	if spec.PreserveUnknownFields || version.Schema == nil || len(version.SelectableFields) > 0 ||
		version.Subresources != nil && version.Subresources.Scale != nil {
		return nil, fmt.Errorf("%w: unknown fields, no schema, selectable fields or the subresource scale", errUnsupported)
	}

	s := &schemas{
		kind:       schema.GroupVersionKind{Group: spec.Group, Version: version.Name, Kind: spec.Names.Kind},
		namespaced: spec.Scope == apiextensionsv1.NamespaceScoped,
		hasStatus:  hasStatus,
	}
	if err := s.compile(version.Schema); err != nil {
		return nil, err
	}
	return s.resource(spec), nil
}

// compile makes validators of a schema.
func (s *schemas) compile(from *apiextensionsv1.CustomResourceValidation) error {
	internal := &apiextensions.CustomResourceValidation{}
	err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(
		from, internal, nil)
	if err != nil {
		return fmt.Errorf("converting the schema: %w", err)
	}
	if s.structural, err = structuralschema.NewStructural(internal.OpenAPIV3Schema); err != nil {
		return fmt.Errorf("the schema is not structural: %w", err)
	}
	s.structural = s.structural.DeepCopy()
	if err := defaulting.PruneDefaults(s.structural); err != nil {
		return fmt.Errorf("pruning the defaults: %w", err)
	}

	s.validators = map[unchanged]validation.SchemaValidator{}
	for _, parts := range allUnchanged {
		reduced := internal.OpenAPIV3Schema.DeepCopy()
		for _, name := range parts.names() {
			if _, has := reduced.Properties[name]; has {
				reduced.Properties[name] = apiextensions.JSONSchemaProps{}
			}
		}
		if s.validators[parts], _, err = validation.NewSchemaValidator(reduced); err != nil {
			return fmt.Errorf("compiling the schema: %w", err)
		}
	}
	if status, has := internal.OpenAPIV3Schema.Properties["status"]; has && s.hasStatus {
		if s.statusValidator, _, err = validation.NewSchemaValidator(&status); err != nil {
			return fmt.Errorf("compiling the schema of the status: %w", err)
		}
	}
	s.rules = compileRules(s.structural)
	return nil
}

// resource returns the resource that is made of the schemas.
func (s *schemas) resource(spec *apiextensionsv1.CustomResourceDefinitionSpec) *resource {
	rules := customStrategy{crdserverscheme.NewUnstructuredObjectTyper(), names.SimpleNameGenerator, s}
	out := &resource{
		GroupVersionResource: s.kind.GroupVersion().WithResource(spec.Names.Plural),
		kind:                 spec.Names.Kind,
		listKind:             spec.Names.ListKind,
		singular:             spec.Names.Singular,
		shortNames:           spec.Names.ShortNames,
		categories:           spec.Names.Categories,
		namespaced:           s.namespaced,
		collectable:          true,
		verbs:                customVerbs,
		patchTypes:           []types.PatchType{types.JSONPatchType, types.MergePatchType},
		codec:                newCustomCodec(s),
		strategies:           map[string]strategy{"": rules},
	}
	if s.hasStatus {
		out.strategies["status"] = customStatusStrategy{rules}
		out.subresources = []subresource{{name: "status", verbs: statusVerbs}}
	}
	return out
}
