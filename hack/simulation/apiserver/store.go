package apiserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

// version is an object from one resource version on. It does not change.
type version struct {
	revision uint64
	// object is what is answered; nil: the object is deleted.
	object runtime.Object
	// json is the object, as it is answered.
	json []byte
	// data is the object as it is stored: without its resource version, and without defaults that nobody has written.
	data []byte
}

// change is one version following another.
type change struct {
	revision uint64
	key      string
	// before is nil for a created object; after is nil for a deleted one.
	before, after *version
	// last is a deleted object as the watches show it: with the resource version of its deletion.
	last *version
}

// table has the objects of one resource, with their past.
type table struct {
	resource *resource
	// keys are the keys of all versions, sorted, as etcd sorts them.
	keys     []string
	versions map[string][]*version
	// changes are in their order.
	changes []change
}

func newTable(resource *resource) *table {
	return &table{resource: resource, versions: map[string][]*version{}}
}

// key returns what an object is stored under.
func (t *table) key(namespace, name string) string {
	if t.resource.namespaced {
		return namespace + "/" + name
	}
	return name
}

// get returns an object as it is now, or nil.
func (t *table) get(key string) *version {
	versions := t.versions[key]
	if len(versions) == 0 || versions[len(versions)-1].object == nil {
		return nil
	}
	return versions[len(versions)-1]
}

// at returns an object as it was, or nil.
func (t *table) at(key string, revision uint64) *version {
	for _, v := range slices.Backward(t.versions[key]) {
		switch {
		case v.revision > revision:
			continue
		case v.object == nil:
			return nil
		default:
			return v
		}
	}
	return nil
}

// list returns the objects of a namespace, or of all with "", as they were.
func (t *table) list(namespace string, revision uint64) []*version {
	keys := t.keys
	if namespace != "" && t.resource.namespaced {
		prefix := namespace + "/"
		first, _ := slices.BinarySearch(keys, prefix)
		keys = keys[first:]
		end := slices.IndexFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) })
		if end >= 0 {
			keys = keys[:end]
		}
	}

	out := make([]*version, 0, len(keys))
	for _, key := range keys {
		if found := t.at(key, revision); found != nil {
			out = append(out, found)
		}
	}
	return out
}

// since returns the changes after a resource version.
func (t *table) since(revision uint64) []change {
	first, _ := slices.BinarySearchFunc(t.changes, revision+1, func(c change, revision uint64) int {
		switch {
		case c.revision < revision:
			return -1
		case c.revision > revision:
			return 1
		default:
			return 0
		}
	})
	return t.changes[first:]
}

// add appends a change.
func (t *table) add(c change) {
	if _, known := t.versions[c.key]; !known {
		at, _ := slices.BinarySearch(t.keys, c.key)
		t.keys = slices.Insert(t.keys, at, c.key)
	}
	after := c.after
	if after == nil {
		after = &version{revision: c.revision}
	}
	t.versions[c.key] = append(t.versions[c.key], after)
	t.changes = append(t.changes, c)
}

// compact forgets changes up to a resource version, and what only they were about.
func (t *table) compact(revision uint64) {
	t.changes = slices.Clone(t.since(revision))
	t.keys = slices.DeleteFunc(t.keys, func(key string) bool {
		versions := t.versions[key]
		oldest := 0
		for i, v := range versions {
			if v.revision <= revision {
				oldest = i
			}
		}
		versions = slices.Clone(versions[oldest:])
		if len(versions) == 1 && versions[0].object == nil {
			delete(t.versions, key)
			return true
		}
		t.versions[key] = versions
		return false
	})
}

// put stores an object, unless that changes nothing, and returns it as it is then.
func (s *Server) put(t *table, key string, object runtime.Object, dryRun bool) (*version, error) {
	before := t.get(key)
	next, err := t.resource.newVersion(object)
	if err != nil {
		return nil, err
	}
	if before != nil && bytes.Equal(before.data, next.data) {
		return before, nil
	}

	if dryRun {
		// A new object is answered with what the client has sent.
		revision, err := storage.APIObjectVersioner{}.ObjectResourceVersion(object)
		if before != nil {
			revision = before.revision
		}
		return next, errors.Join(err, next.stamp(revision))
	}
	if err := next.stamp(s.revision + 1); err != nil {
		return nil, err
	}
	s.revision++
	t.add(change{revision: s.revision, key: key, before: before, after: next})
	s.notify(t)
	return next, nil
}

// remove deletes a stored object.
func (s *Server) remove(t *table, key string) error {
	before := t.get(key)
	last := &version{object: before.object.DeepCopyObject(), data: before.data}
	if err := last.stamp(s.revision + 1); err != nil {
		return err
	}
	s.revision++
	t.add(change{revision: s.revision, key: key, before: before, last: last})
	s.notify(t)
	return nil
}

// newVersion returns an object as it is stored and read, without a resource version.
func (r *resource) newVersion(object runtime.Object) (*version, error) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	resourceVersion := accessor.GetResourceVersion()
	accessor.SetResourceVersion("")
	data, err := json.Marshal(object)
	accessor.SetResourceVersion(resourceVersion)
	if err != nil {
		return nil, err
	}

	loaded, err := r.codec.load(object, data)
	if err != nil {
		return nil, err
	}
	return &version{object: loaded, data: data}, nil
}

// stamp gives an object its resource version.
func (v *version) stamp(revision uint64) error {
	accessor, err := meta.Accessor(v.object)
	if err != nil {
		return err
	}
	v.revision = revision
	accessor.SetResourceVersion("")
	if revision > 0 {
		accessor.SetResourceVersion(formatVersion(revision))
	}
	v.json, err = json.Marshal(v.object)
	return err
}

// metadata returns the object's metadata.
func (v *version) metadata() metav1.Object {
	accessor, err := meta.Accessor(v.object)
	if err != nil {
		return &metav1.ObjectMeta{}
	}
	return accessor
}
