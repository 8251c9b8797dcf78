package manifest

import (
	"fmt"
	"regexp"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Position is where something is in a file. Lines and columns count from 1, columns in characters; 0 is unknown.
type Position struct {
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// End is the column after it, in the same line.
	End int `json:"-"`
}

// In returns where something in a file is as compilers say it, which editors and terminals make links of.
func (p Position) In(file string) string {
	switch {
	case p.Line == 0:
		return file
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", file, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", file, p.Line, p.Column)
	}
}

// Place is where an object is.
type Place struct {
	node *yaml.Node
	// before is how many lines of the file come before those that the node counts.
	before int
}

// step is a step of a path: the name of a field, or an index in brackets.
var step = regexp.MustCompile(`[^.\[\]]+`)

// Position returns where the field of a path is, such as spec.eventSelectors[0].readWriteType. If it is not there, it
// is the position of the last of the path that is, so of the object without any.
func (p Place) Position(path string) Position {
	node, found := p.node, first(p.node)
	for _, name := range step.FindAllString(path, -1) {
		key, value := lookup(node, name)
		if key == nil {
			break
		}
		node, found = value, key
	}
	return p.of(found)
}

// of returns the position of a node.
func (p Place) of(node *yaml.Node) Position {
	if node.Line == 0 {
		return Position{Line: p.before + 1}
	}
	at := Position{Line: node.Line + p.before, Column: node.Column}
	if node.Kind == yaml.ScalarNode {
		at.End = at.Column + utf8.RuneCountInString(node.Value)
		if node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			at.End += len(`""`)
		}
	}
	return at
}

// first returns the first key of an object, or the object itself.
func first(node *yaml.Node) *yaml.Node {
	if node = resolve(node); node.Kind == yaml.MappingNode && len(node.Content) > 0 {
		return node.Content[0]
	}
	return node
}

// resolve returns what an alias is of.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		// An anchor is of no alias.
		return node.Alias
	}
	return node
}

// lookup returns what says where a field or an item is, and its value; nil if there is none.
func lookup(node *yaml.Node, name string) (key, value *yaml.Node) {
	switch node = resolve(node); node.Kind {
	case yaml.MappingNode:
		return lookupField(node, name, map[*yaml.Node]bool{})
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(node.Content) {
			return first(node.Content[i]), node.Content[i]
		}
	}
	return nil, nil
}

// lookupField returns the key and the value of a field of a mapping, or of one that it merges. An anchor may merge
// itself, so it remembers which ones it has seen.
func lookupField(mapping *yaml.Node, name string, seen map[*yaml.Node]bool) (key, value *yaml.Node) {
	if mapping.Kind != yaml.MappingNode || seen[mapping] {
		return nil, nil
	}
	seen[mapping] = true
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if resolve(mapping.Content[i]).Value == name {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}

	for _, merged := range mergedInto(mapping) {
		if key, value = lookupField(merged, name, seen); key != nil {
			return key, value
		}
	}
	return nil, nil
}

// mergedInto returns the mappings that a mapping merges, the first of which counts.
func mergedInto(mapping *yaml.Node) []*yaml.Node {
	var merged []*yaml.Node
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value != "<<" {
			continue
		}
		value := resolve(mapping.Content[i+1])
		if value.Kind != yaml.SequenceNode {
			merged = append(merged, value)
			continue
		}
		for _, one := range value.Content {
			merged = append(merged, resolve(one))
		}
	}
	return merged
}

// child returns a field's value, an empty node if there is none.
func child(node *yaml.Node, name string) *yaml.Node {
	if _, value := lookup(node, name); value != nil {
		return resolve(value)
	}
	return &yaml.Node{}
}

// valueOf returns a field's scalar value, "" if there is none.
func valueOf(node *yaml.Node, name string) string {
	if value := child(node, name); value.Kind == yaml.ScalarNode {
		return value.Value
	}
	return ""
}

// item returns the place of an item of a list, or of the list if it is not found.
func (p Place) item(i int) Place {
	if items := child(p.node, "items"); items.Kind == yaml.SequenceNode && i < len(items.Content) {
		return Place{resolve(items.Content[i]), p.before}
	}
	return p
}

// Has tells whether the field of a path is there.
func (p Place) Has(path string) bool {
	node := p.node
	for _, name := range step.FindAllString(path, -1) {
		_, value := lookup(node, name)
		if value == nil {
			return false
		}
		node = value
	}
	return true
}
