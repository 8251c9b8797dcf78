package apiserver

import (
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// unchanged tells which parts of an object an update leaves as they are.
type unchanged struct{ spec, status bool }

// allUnchanged are all values of unchanged.
var allUnchanged = []unchanged{{}, {spec: true}, {status: true}, {spec: true, status: true}}

// findUnchanged compares an object with the one that it replaces.
func findUnchanged(custom, before *unstructured.Unstructured) unchanged {
	return unchanged{
		spec:   reflect.DeepEqual(custom.Object["spec"], before.Object["spec"]),
		status: reflect.DeepEqual(custom.Object["status"], before.Object["status"]),
	}
}

// names returns the properties that are unchanged.
func (u unchanged) names() []string {
	var out []string
	if u.spec {
		out = append(out, "spec")
	}
	if u.status {
		out = append(out, "status")
	}
	return out
}
