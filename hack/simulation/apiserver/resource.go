package apiserver

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/registry/rest"
)

// resource is what a Server knows of one kind. It does not change, and Servers share it.
type resource struct {
	schema.GroupVersionResource
	kind, listKind, singular string
	shortNames, categories   []string
	namespaced               bool
	// collectable objects get the garbage collector's finalizers when a deletion asks for them.
	collectable bool
	// verbs and subresources are what discovery shows.
	verbs        metav1.Verbs
	subresources []subresource
	patchTypes   []types.PatchType
	codec        codec
	// strategies have the rules for writes, by subresource; that of the object itself is "".
	strategies map[string]strategy
	// storedAs is the start of the keys in etcd, where that is not GROUP/RESOURCE.
	storedAs string
	// fields returns what a field selector can select by, besides name and namespace; nil: nothing.
	fields func(object runtime.Object) fields.Set
}

// subresource is a part of an object that has requests of its own.
type subresource struct {
	name  string
	verbs metav1.Verbs
}

// strategy has the rules of one kind for writes.
type strategy interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
}

// codec reads objects of one kind.
type codec interface {
	// decode reads what a client has sent, with defaults. A strict one returns the object and a strict decoding error for
	// fields that are unknown or there twice.
	decode(data []byte, strict bool) (runtime.Object, *schema.GroupVersionKind, error)
	// load returns a stored object as it is read: a copy, with defaults.
	load(object runtime.Object, data []byte) (runtime.Object, error)
	// empty returns an object with nothing but its kind.
	empty() runtime.Object
}

// selectable tells whether a field selector can select by a field.
func (r *resource) selectable(name string) bool {
	if name == "metadata.name" || name == "metadata.namespace" && r.namespaced {
		return true
	}
	return r.fields != nil && r.fields(r.codec.empty()).Has(name)
}

// notSelectable says that a field selector cannot select by a field.
func (r *resource) notSelectable(name string) string {
	if r.fields == nil && r.storedAs != "" {
		return fmt.Sprintf("%q is not a known field selector: only \"metadata.name\", \"metadata.namespace\"", name)
	}
	return "field label not supported: " + name
}

// What the API server says that can be done with resources, in its order.
var (
	allVerbs = metav1.Verbs{
		"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
	}
	customVerbs = metav1.Verbs{
		"delete", "deletecollection", "get", "list", "patch", "create", "update", "watch",
	}
	namespaceVerbs = metav1.Verbs{"create", "delete", "get", "list", "patch", "update", "watch"}
	statusVerbs    = metav1.Verbs{"get", "patch", "update"}
)
