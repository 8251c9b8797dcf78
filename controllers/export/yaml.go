package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trail-operator/trail-operator/controllers/text"
)

// comment returns text as one line of a YAML comment. Every comment of an export is made here, as most have strings of
// AWS in them: any line break that a parser knows, such as U+2028 in a tag, would end the comment, and the rest of the
// string would be YAML.
func comment(remark string) string { return "# " + text.Escape(remark) + "\n" }

// encode returns an object as block YAML that every parser of YAML 1.1 and 1.2 reads alike. Parsers differ in which
// characters break a line and in which words are booleans, numbers or more, so a string that is more than a plain name
// is in double quotes, on one line, with what is not printable escaped.
func encode(object any) (string, error) {
	content, err := json.Marshal(object)
	if err != nil {
		return "", err
	}
	var tree any
	if err := json.Unmarshal(content, &tree); err != nil {
		return "", err
	}
	root, err := node(tree)
	if err != nil {
		return "", err
	}

	var encoded bytes.Buffer
	encoder := yaml.NewEncoder(&encoded)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(root); err != nil {
		return "", err
	}
	if err := encoder.Close(); err != nil {
		return "", err
	}

	var b strings.Builder
	for line := range strings.Lines(encoded.String()) {
		// The encoder leaves some invisible characters as they are. They are in double quotes, where YAML has the
		// same escapes.
		b.WriteString(text.Escape(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String(), nil
}

// node returns the YAML of a JSON value.
func node(value any) (*yaml.Node, error) {
	n := &yaml.Node{}

	switch v := value.(type) {
	case map[string]any:
		n.Kind = yaml.MappingNode
		for _, key := range slices.Sorted(maps.Keys(v)) {
			child, err := node(v[key])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			n.Content = append(n.Content, scalar(key), child)
		}
		return n, nil
	case []any:
		n.Kind = yaml.SequenceNode
		for _, item := range v {
			child, err := node(item)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		return n, nil
	case string:
		return scalar(v), nil
	default:
		return n, n.Encode(v)
	}
}

var (
	// plain are the strings that no parser takes for anything else, apart from the words below: names, paths and ARNs.
	plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./:*-]*[A-Za-z0-9_./*-]$`)
	// words are what YAML 1.1 or 1.2 takes for a boolean or for nothing, in small letters.
	words = []string{"yes", "no", "on", "off", "true", "false", "null"}
)

// scalar returns the YAML of a string.
func scalar(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if !plain.MatchString(s) || slices.Contains(words, strings.ToLower(s)) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
