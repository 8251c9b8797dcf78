package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/yaml"
)

// document is a part of a file: one document of YAML or JSON.
type document struct {
	// line is that of the file in which it begins, from 1.
	line int
	text []byte
}

var (
	utf8Mark   = []byte("\ufeff")
	utf16Marks = [][]byte{{0xff, 0xfe}, {0xfe, 0xff}}
)

// errUTF16 is of a file that Windows' older shells write. kubectl does not read it either.
var errUTF16 = errors.New("is UTF-16: save it as UTF-8, which is what kubectl reads")

// split returns the documents of a file. Where one cannot be read, the others can.
func split(content []byte) ([]document, error) {
	for _, mark := range utf16Marks {
		if bytes.HasPrefix(content, mark) {
			return nil, errUTF16
		}
	}

	var documents []document
	for _, d := range splitYAML(content) {
		d.text = bytes.TrimPrefix(d.text, utf8Mark)
		documents = append(documents, d.splitJSON()...)
	}
	return documents, nil
}

// splitYAML splits at the markers of YAML, --- and ..., and leaves out what is empty.
func splitYAML(content []byte) []document {
	var (
		documents   []document
		start, end  int
		line, first = 1, 1
	)
	add := func() {
		if d := (document{first, content[start:end]}); !d.empty() {
			documents = append(documents, d)
		}
	}

	for text := range bytes.Lines(content) {
		switch {
		case isMarker(text, "---"):
			add()
			start, first = end, line
		case isMarker(text, "..."):
			add()
			start, first = end+len(text), line+1
		}
		end += len(text)
		line++
	}
	add()
	return documents
}

// isMarker tells whether a line begins with a marker. What follows --- on its line is part of the document.
func isMarker(line []byte, marker string) bool {
	rest, found := bytes.CutPrefix(line, []byte(marker))
	return found && (len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0)
}

// empty tells whether a document has nothing but markers, comments and directives.
func (d document) empty() bool {
	for line := range bytes.Lines(bytes.TrimPrefix(d.text, utf8Mark)) {
		if isMarker(line, "---") {
			line = line[len("---"):]
		}
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && line[0] != '%' {
			return false
		}
	}
	return true
}

// splitJSON splits JSON objects that follow each other, as jq prints them. What is no such thing is one document.
func (d document) splitJSON() []document {
	if !bytes.HasPrefix(bytes.TrimSpace(d.text), []byte("{")) {
		return []document{d}
	}

	var documents []document
	decoder := json.NewDecoder(bytes.NewReader(d.text))
	for {
		var object json.RawMessage
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return documents
		}
		if err != nil {
			return []document{d}
		}

		end := int(decoder.InputOffset())
		start := end - len(object)
		documents = append(documents, document{d.line + bytes.Count(d.text[:start], []byte("\n")), d.text[start:end]})
	}
}

// isJSON tells whether the document is JSON. It is YAML, too, but not each reader of YAML reads all of it.
func (d document) isJSON() bool { return json.Valid(d.text) }

// action begins an action of a Go template, such as Helm's.
const action = "{{"

// isTemplate tells whether a document that is no YAML may be a template.
func (d document) isTemplate() bool { return bytes.Contains(d.text, []byte(action)) }

// syntaxError is of a document that is no YAML.
type syntaxError struct {
	// line is that of the file.
	line    int
	message string
}

// Error implements error.
func (e *syntaxError) Error() string { return e.message }

// templateMessage is of a template that was not rendered: what it makes is not known.
const templateMessage = "is a template: give what it renders, as in helm template … | trail-operator check -f -"

// maxDocument is how many bytes a document may have: its tree has many times that. An API server takes 3 MiB at once,
// but a list of what it has is longer.
const maxDocument = 8 << 20

// errLargeDocument is of a document that has more.
var errLargeDocument = fmt.Errorf("the document is larger than %d MiB: split it", maxDocument>>20)

// parse returns the tree of a document, with the lines of the document. It is nil if there is none.
func (d document) parse() (*yaml.Node, error) {
	if len(d.text) > maxDocument {
		return nil, errLargeDocument
	}
	var tree, next yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(d.text))
	err := decoder.Decode(&tree)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil && d.isJSON():
		// It has what this reader does not know, such as a pair of surrogates. Its fields have no lines then.
		return jsonTree(d.text)
	case err != nil:
		return nil, d.syntaxError(err)
	}

	// Readers of manifests take the first document and leave the others, silently.
	switch err := decoder.Decode(&next); {
	case errors.Is(err, io.EOF):
		return tree.Content[0], nil
	case err != nil:
		return nil, d.syntaxError(err)
	default:
		return nil, &syntaxError{d.line + next.Line - 1, "a second document begins without --- before it"}
	}
}

// json returns the document as JSON, as kubectl makes it: what is a boolean is not the same in all versions of YAML.
func (d document) json() ([]byte, error) {
	if d.isJSON() {
		return d.text, nil
	}
	content, err := kyaml.YAMLToJSON(d.text)
	if err != nil {
		return nil, d.syntaxError(err)
	}
	return content, nil
}

// repeated returns the first key that a mapping has twice, nil if there is none: readers take the last, silently.
func repeated(node *yaml.Node) *yaml.Node {
	seen := map[string]bool{}
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 && child.Kind == yaml.ScalarNode {
			if seen[child.Value] {
				return child
			}
			seen[child.Value] = true
		}
		if key := repeated(child); key != nil {
			return key
		}
	}
	return nil
}

// jsonTree returns the tree of JSON, without lines.
func jsonTree(text []byte) (*yaml.Node, error) {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, err
	}
	tree := &yaml.Node{}
	return tree, tree.Encode(value)
}

// yamlLine is where the YAML libraries say in which line an error is.
var yamlLine = regexp.MustCompile(`line ([0-9]+): `)

// syntaxError returns an error of a YAML library with the line of the file. A template is rarely YAML.
func (d document) syntaxError(err error) error {
	if d.isTemplate() {
		return &syntaxError{d.line, templateMessage}
	}
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	message, _, _ = strings.Cut(message, "\n")
	e := &syntaxError{d.line, "is not YAML: " + message}
	if at := yamlLine.FindStringSubmatchIndex(message); at != nil {
		line, err := strconv.Atoi(message[at[2]:at[3]])
		if err == nil {
			e.line = d.line + line - 1
			e.message = fmt.Sprintf("is not YAML: %s%s", message[:at[0]], message[at[1]:])
		}
	}
	return e
}
