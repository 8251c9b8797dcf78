package apiserver

import (
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Objects returns the objects of a resource as they are now, sorted by namespace and name. They are copies.
func (s *Server) Objects(resource schema.GroupResource) ([]*unstructured.Unstructured, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	table, err := s.table(resource)
	if err != nil {
		return nil, err
	}
	found := table.list("", s.revision)
	out := make([]*unstructured.Unstructured, 0, len(found))
	for _, v := range found {
		object, err := v.unstructured()
		if err != nil {
			return nil, err
		}
		out = append(out, object)
	}
	return out, nil
}

// Object returns an object as it is now, or nil. It is a copy.
func (s *Server) Object(resource schema.GroupResource, namespace, name string) (*unstructured.Unstructured, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	table, err := s.table(resource)
	if err != nil {
		return nil, err
	}
	found := table.get(table.key(namespace, name))
	if found == nil {
		return nil, nil //nolint:nilnil // There is none, and that is no error.
	}
	return found.unstructured()
}

// Version is an object from one resource version on.
type Version struct {
	ResourceVersion uint64
	// Object is a copy; nil: the object is deleted.
	Object *unstructured.Unstructured
}

// History returns all versions of an object, and of others of the same name before it, oldest first, as far as Compact
// has left them.
func (s *Server) History(resource schema.GroupResource, namespace, name string) ([]Version, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	table, err := s.table(resource)
	if err != nil {
		return nil, err
	}
	versions := table.versions[table.key(namespace, name)]
	out := make([]Version, 0, len(versions))
	for _, v := range versions {
		next := Version{ResourceVersion: v.revision}
		if v.object != nil {
			if next.Object, err = v.unstructured(); err != nil {
				return nil, err
			}
		}
		out = append(out, next)
	}
	return out, nil
}

// Requests returns how many requests for objects there were of each kind, refused ones too.
func (s *Server) Requests() map[Request]int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return maps.Clone(s.requests)
}

// table returns the table of a resource.
func (s *Server) table(resource schema.GroupResource) (*table, error) {
	if table := s.tables[resource]; table != nil {
		return table, nil
	}
	return nil, fmt.Errorf("this server has no resource %s", resource)
}

// unstructured returns a copy of the object, as a client would see it.
func (v *version) unstructured() (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(v.json)
}
