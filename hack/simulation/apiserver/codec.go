package apiserver

import (
	"encoding/json"
	"fmt"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/crdserverscheme"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
)

// customCodec reads custom resources: unknown fields are pruned, defaults are set.
type customCodec struct {
	*schemas
	lenient, strict runtime.Decoder
}

func newCustomCodec(s *schemas) customCodec {
	creator, typer := unstructuredCreator{}, crdserverscheme.NewUnstructuredObjectTyper()
	return customCodec{
		schemas: s,
		lenient: jsonserializer.NewSerializerWithOptions(
			jsonserializer.DefaultMetaFactory, creator, typer, jsonserializer.SerializerOptions{}),
		strict: jsonserializer.NewSerializerWithOptions(
			jsonserializer.DefaultMetaFactory, creator, typer, jsonserializer.SerializerOptions{Strict: true}),
	}
}

// unstructuredCreator creates objects of any kind.
type unstructuredCreator struct{}

// New returns an object with nothing but its kind.
func (unstructuredCreator) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	return object, nil
}

func (c customCodec) empty() runtime.Object {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(c.kind)
	return object
}

func (c customCodec) load(object runtime.Object, _ []byte) (runtime.Object, error) {
	custom := content(object).DeepCopy()
	defaulting.Default(custom.Object, c.structural)
	return custom, nil
}

func (c customCodec) decode(data []byte, strict bool) (runtime.Object, *schema.GroupVersionKind, error) {
	decoder := c.lenient
	if strict {
		decoder = c.strict
	}
	object, kind, err := decoder.Decode(data, &c.kind, c.empty())

	var found []error
	if err != nil {
		strictError, isStrict := runtime.AsStrictDecodingError(err)
		if !isStrict || object == nil {
			return nil, kind, err
		}
		found = strictError.Errors()
	}

	custom := content(object)
	unknown, err := c.coerce(custom, strict)
	if err != nil {
		return nil, kind, err
	}
	if kind.GroupVersion() == c.kind.GroupVersion() && kind.Kind == c.kind.Kind {
		defaulting.Default(custom.Object, c.structural)
	}

	for _, path := range unknown {
		found = append(found, fmt.Errorf("unknown field %q", path))
	}
	if len(found) > 0 {
		return custom, kind, runtime.NewStrictDecodingError(found)
	}
	return custom, kind, nil
}

// coerce prunes an object, and reads its metadata as the machinery's type. It returns the paths of unknown fields if
// they are asked for.
func (c customCodec) coerce(custom *unstructured.Unstructured, paths bool) ([]string, error) {
	metadata, has, unknown, err := objectmeta.GetObjectMetaWithOptions(custom.Object,
		objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: paths})
	if err != nil {
		return nil, err
	}
	kind, apiVersion := custom.Object["kind"], custom.Object["apiVersion"]

	if custom.GroupVersionKind() == c.kind {
		unknown = append(unknown, pruning.PruneWithOptions(custom.Object, c.structural, true,
			structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: paths})...)
		defaulting.PruneNonNullableNullsWithoutDefaults(custom.Object, c.structural)

		err, more := objectmeta.CoerceWithOptions(nil, custom.Object, c.structural, false,
			objectmeta.CoerceOptions{ReturnUnknownFieldPaths: paths})
		if err != nil {
			return nil, err
		}
		unknown = append(unknown, more...)
	}

	custom.Object["kind"], custom.Object["apiVersion"] = kind, apiVersion
	if has {
		if err := objectmeta.SetObjectMeta(custom.Object, metadata); err != nil {
			return nil, err
		}
	}
	return unknown, nil
}

// typedCodec reads objects of a kind that has a Go type.
type typedCodec struct {
	kind            schema.GroupVersionKind
	create          func() runtime.Object
	setDefaults     func(runtime.Object)
	lenient, strict runtime.Decoder
}

func newTypedCodec(
	scheme *runtime.Scheme, kind schema.GroupVersionKind, create func() runtime.Object, setDefaults func(runtime.Object),
) typedCodec {
	return typedCodec{
		kind: kind, create: create, setDefaults: setDefaults,
		lenient: jsonserializer.NewSerializerWithOptions(
			jsonserializer.DefaultMetaFactory, scheme, scheme, jsonserializer.SerializerOptions{}),
		strict: jsonserializer.NewSerializerWithOptions(
			jsonserializer.DefaultMetaFactory, scheme, scheme, jsonserializer.SerializerOptions{Strict: true}),
	}
}

func (c typedCodec) empty() runtime.Object {
	object := c.create()
	object.GetObjectKind().SetGroupVersionKind(c.kind)
	return object
}

func (c typedCodec) load(_ runtime.Object, data []byte) (runtime.Object, error) {
	object := c.create()
	if err := json.Unmarshal(data, object); err != nil {
		return nil, fmt.Errorf("reading a stored %s: %w", c.kind.Kind, err)
	}
	return object, nil
}

func (c typedCodec) decode(data []byte, strict bool) (runtime.Object, *schema.GroupVersionKind, error) {
	decoder := c.lenient
	if strict {
		decoder = c.strict
	}
	object, kind, err := decoder.Decode(data, &c.kind, c.create())
	if object == nil {
		return nil, kind, err
	}
	object.GetObjectKind().SetGroupVersionKind(*kind)
	c.setDefaults(object)
	return object, kind, err
}
