package cloudtrailtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// members reads the members of one JSON structure by their exact names: AWS, unlike encoding/json, tells `name` from
// `Name`. A value of the wrong type is a SerializationException, kept until problem is asked; a null is an absent
// member.
type members struct {
	fields map[string]any
	first  *error
}

// parseMembers decodes a request body, which has to be one JSON object.
func parseMembers(body []byte) (members, error) {
	fields := map[string]any{}
	if len(bytes.TrimSpace(body)) > 0 {
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		if err := dec.Decode(&fields); err != nil || dec.More() {
			return members{}, fail("SerializationException", "Unable to parse the request body as a JSON object.")
		}
	}
	return newMembers(fields), nil
}

func newMembers(fields map[string]any) members {
	var first error
	return members{fields: fields, first: &first}
}

// problem returns the first value that had the wrong type.
func (m members) problem() error { return *m.first }

func (m members) wrong(name, want string, got any) {
	if *m.first == nil {
		*m.first = fail("SerializationException", "%s of member %s can not be converted to %s", jsonKind(got), name, want)
	}
}

func jsonKind(v any) string {
	switch v.(type) {
	case string:
		return "STRING_VALUE"
	case bool:
		return "TRUE_VALUE or FALSE_VALUE"
	case json.Number, float64, int:
		return "NUMBER_VALUE"
	case []any:
		return "Start of list"
	default:
		return "Start of structure or map"
	}
}

// has says whether the member is there and not null.
func (m members) has(name string) bool { return m.fields[name] != nil }

// text returns a string member, "" if absent.
func (m members) text(name string) string {
	if s := m.optText(name); s != nil {
		return *s
	}
	return ""
}

// optText returns a string member, nil if absent.
func (m members) optText(name string) *string {
	switch v := m.fields[name].(type) {
	case nil:
		return nil
	case string:
		return &v
	default:
		m.wrong(name, "String", v)
		return nil
	}
}

// flag returns a boolean member, nil if absent.
func (m members) flag(name string) *bool {
	switch v := m.fields[name].(type) {
	case nil:
		return nil
	case bool:
		return &v
	default:
		m.wrong(name, "Boolean", v)
		return nil
	}
}

// integer returns an integer member, nil if absent.
func (m members) integer(name string) *int {
	switch v := m.fields[name].(type) {
	case nil:
		return nil
	case json.Number:
		if n, err := v.Int64(); err == nil && n >= math.MinInt32 && n <= math.MaxInt32 {
			i := int(n)
			return &i
		}
		m.wrong(name, "Integer", v)
	default:
		m.wrong(name, "Integer", v)
	}
	return nil
}

// timestamp returns a timestamp member (epoch seconds, as a number), nil if absent.
func (m members) timestamp(name string) *time.Time {
	switch v := m.fields[name].(type) {
	case nil:
		return nil
	case json.Number:
		if f, err := v.Float64(); err == nil {
			t := time.UnixMilli(int64(math.Round(f * 1000))).UTC()
			return &t
		}
		m.wrong(name, "Timestamp", v)
	default:
		m.wrong(name, "Timestamp", v)
	}
	return nil
}

// list returns a list member and whether it is there.
func (m members) list(name string) ([]any, bool) {
	switch v := m.fields[name].(type) {
	case nil:
		return nil, false
	case []any:
		return v, true
	default:
		m.wrong(name, "List", v)
		return nil, false
	}
}

// texts returns a list of strings and whether it is there.
func (m members) texts(name string) ([]string, bool) {
	items, ok := m.list(name)
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(items))
	for _, item := range items {
		s, isText := item.(string)
		if !isText {
			m.wrong(name, "String", item)
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// structures returns a list of structures and whether it is there. They share the list's problem.
func (m members) structures(name string) ([]members, bool) {
	items, ok := m.list(name)
	if !ok {
		return nil, false
	}
	out := make([]members, 0, len(items))
	for _, item := range items {
		fields, isStruct := item.(map[string]any)
		if !isStruct {
			m.wrong(name, "Structure", item)
			return nil, false
		}
		out = append(out, members{fields: fields, first: m.first})
	}
	return out, true
}

// viaJSON returns v as a client would have sent it: objects, lists, strings, booleans and json.Numbers only.
func viaJSON(v any) (map[string]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	out := map[string]any{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}
	return out, nil
}

// seconds is a timestamp as AWS JSON 1.1 writes it: epoch seconds with milliseconds.
type seconds time.Time

// MarshalJSON writes the number.
func (t seconds) MarshalJSON() ([]byte, error) {
	ms := time.Time(t).UnixMilli()
	if ms%1000 == 0 {
		return fmt.Appendf(nil, "%d", ms/1000), nil
	}
	return fmt.Appendf(nil, "%d.%03d", ms/1000, ms%1000), nil
}

// decodeStrictly decodes JSON into v and rejects members that v does not have.
func decodeStrictly(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}
