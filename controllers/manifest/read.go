package manifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
	kjson "sigs.k8s.io/json"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Contents are what a file has.
type Contents struct {
	// Trails and Identities are in the order of the file. Identities are read only with a schema of theirs.
	Trails     []Trail
	Identities []*v1alpha1.AWSIdentity
	Problems   []Problem
	// Others counts the objects of other kinds, and Foreign the Trails of other API groups, by group.
	Others  int
	Foreign map[string]int
}

// Trail is a Trail of a file.
type Trail struct {
	*v1alpha1.Trail
	// Place is where its fields are.
	Place Place
}

// Problem is why something of a file cannot be read.
type Problem struct {
	// Object is what a Trail or an AWSIdentity is called, "" if it is none.
	Object   string
	Position Position
	Message  string
}

// Kinds that are read.
const (
	trailKind    = "Trail"
	identityKind = "AWSIdentity"
)

// maxDepth is how deep lists may be in lists.
const maxDepth = 10

// reader reads files.
type reader struct {
	schema *Schema
	Contents
}

// Read returns what a file has.
func (s *Schema) Read(content []byte) Contents {
	r := &reader{schema: s, Contents: Contents{Foreign: map[string]int{}}}
	documents, err := split(content)
	if err != nil {
		r.fail(Position{Line: 1}, err.Error())
	}
	for _, d := range documents {
		r.document(d)
	}
	return r.Contents
}

// fail notes a problem that is of no object with a name.
func (r *reader) fail(at Position, message string) {
	r.Problems = append(r.Problems, Problem{Position: at, Message: message})
}

// document reads a document.
func (r *reader) document(d document) {
	err := r.objects(d)
	if e, ok := errors.AsType[*syntaxError](err); ok {
		r.fail(Position{Line: e.line}, e.message)
	} else if err != nil {
		r.fail(Position{Line: d.line}, err.Error())
	}
}

// objects reads the objects of a document. What they are is read as kubectl reads it, and not from the tree, so that
// nobody hides a Trail where two readers of YAML differ. The tree says where fields are.
func (r *reader) objects(d document) error {
	tree, err := d.parse()
	if err != nil || tree == nil {
		return err
	}
	content, err := d.json()
	if err != nil {
		return err
	}
	r.object(content, Place{tree, d.line - 1}, header{}, maxDepth)
	return nil
}

// header is what an object says that it is.
type header struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Items      json.RawMessage `json:"items"`
}

// headerOf returns the header of an object, an empty one if it is something else.
func headerOf(content []byte) header {
	var h header
	if kjson.UnmarshalCaseSensitivePreserveInts(content, &h) != nil {
		return header{}
	}
	return h
}

// group returns the API group.
func (h header) group() string {
	group, _, found := strings.Cut(h.APIVersion, "/")
	if !found {
		return ""
	}
	return group
}

// isOurs tells whether the object is of the operator's API group, of whatever version.
func (h header) isOurs() bool { return h.group() == v1alpha1.GroupVersion.Group }

// items returns the items of a list; false if it is none. As for kubectl, whatever has items is a list.
func (h header) items() ([]json.RawMessage, bool) {
	var items []json.RawMessage
	if !bytes.HasPrefix(h.Items, []byte("[")) || json.Unmarshal(h.Items, &items) != nil {
		return nil, false
	}
	return items, true
}

// item returns what an item of a list is that does not say it.
func (h header) item() header {
	if name, found := strings.CutSuffix(h.Kind, "List"); found {
		return header{APIVersion: h.APIVersion, Kind: name}
	}
	return header{}
}

// object reads an object. What does not say what it is, is as the list says that it is in.
func (r *reader) object(content []byte, at Place, unsaid header, depth int) {
	h := headerOf(content)
	if h.APIVersion == "" && h.Kind == "" {
		h.APIVersion, h.Kind = unsaid.APIVersion, unsaid.Kind
	}
	if items, isList := h.items(); isList {
		r.list(items, at, h.item(), depth)
		return
	}

	switch {
	case h.isOurs() && !r.schema.has(h):
		r.fail(at.Position("apiVersion"), fmt.Sprintf("there is no %s of %s in this version of the operator",
			cmp.Or(h.Kind, "object without kind"), h.APIVersion))
	case h.isOurs() && h.Kind == trailKind:
		r.trail(content, at)
	case h.isOurs() && h.Kind == identityKind && r.schema.validators[identityKind] != nil:
		r.identity(content, at)
	case h.Kind == trailKind:
		r.Foreign[h.group()]++
	case h.Kind != "" && h.APIVersion != "":
		r.Others++
	}
}

// list reads the items of a list.
func (r *reader) list(items []json.RawMessage, at Place, unsaid header, depth int) {
	if depth == 0 {
		r.fail(at.Position("items"), "has lists in lists, too deep")
		return
	}
	for i, item := range items {
		r.object(item, at.item(i), unsaid, depth-1)
	}
}

// trail reads a Trail.
func (r *reader) trail(content []byte, at Place) {
	// The kind's own UnmarshalJSON takes anything, for what is in a cluster already.
	type plain v1alpha1.Trail
	trail := &v1alpha1.Trail{}
	if r.decode(trailKind, content, at, (*plain)(trail)) {
		r.Trails = append(r.Trails, Trail{trail, at})
	}
}

// identity reads an AWSIdentity.
func (r *reader) identity(content []byte, at Place) {
	type plain v1alpha1.AWSIdentity
	identity := &v1alpha1.AWSIdentity{}
	if r.decode(identityKind, content, at, (*plain)(identity)) {
		r.Identities = append(r.Identities, identity)
	}
}

// decode decodes an object and tells whether it is one that an API server takes, as far as a schema tells.
func (r *reader) decode(kind string, content []byte, at Place, object any) bool {
	if bytes.Contains(content, []byte(action)) {
		r.fail(at.Position(""), templateMessage)
		return false
	}
	name := nameOf(at.node)
	if key := repeated(at.node); key != nil {
		message := fmt.Sprintf("has the field %q twice", key.Value)
		r.Problems = append(r.Problems, Problem{name, at.of(key), message})
		return false
	}

	refused := r.schema.decode(kind, content, object)
	for _, e := range refused {
		r.Problems = append(r.Problems, Problem{name, at.Position(e.field), e.message})
	}
	return len(refused) == 0
}

// nameOf returns the namespace and the name of an object, as far as it has them.
func nameOf(node *yaml.Node) string {
	metadata := child(node, "metadata")
	name := valueOf(metadata, "name")
	if prefix := valueOf(metadata, "generateName"); name == "" && prefix != "" {
		name = prefix + "*"
	}
	name = cmp.Or(name, "without a name")
	if namespace := valueOf(metadata, "namespace"); namespace != "" {
		return namespace + "/" + name
	}
	return name
}

// refusal is why an API server would refuse an object.
type refusal struct{ field, message string }

// decode decodes an object as the API server does, strictly: a field that is not known is one that nobody reads.
func (s *Schema) decode(kind string, content []byte, object any) []refusal {
	unknown, err := kjson.UnmarshalStrict(content, object)
	if err != nil {
		return []refusal{refusalOf(err)}
	}
	if len(unknown) > 0 {
		var refused []refusal
		for _, err := range unknown {
			refused = append(refused, refusalOf(err))
		}
		return refused
	}
	return s.validate(kind, content)
}

// refusalOf returns what an error of decoding says of which field.
func refusalOf(err error) refusal {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return refusal{
			e.Field,
			fmt.Sprintf("%s must be %s, not %s", cmp.Or(e.Field, "it"), typeName(e.Type), article(e.Value)),
		}
	}
	if e, ok := errors.AsType[kjson.FieldError](err); ok {
		return refusal{e.FieldPath(), err.Error()}
	}
	return refusal{"", err.Error()}
}

// typeName returns what JSON calls a type.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "a boolean"
	case reflect.String:
		return "a string"
	default:
		return "a number"
	}
}

// article returns the name of a type with an article.
func article(name string) string {
	if strings.HasPrefix(name, "array") || strings.HasPrefix(name, "object") {
		return "an " + name
	}
	return "a " + name
}
