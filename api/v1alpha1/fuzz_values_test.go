package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// raw is JSON as it is sent. Not all of it is what an encoder would write.
type raw string

// short is the beginning of it, for people.
func (r raw) short() string {
	const enough = 120
	if len(r) <= enough {
		return string(r)
	}
	return fmt.Sprintf("%s… (%d bytes)", r[:enough], len(r))
}

// encode encodes maps and lists, and in them raw JSON and what json.Unmarshal makes of scalars.
func encode(value any) raw {
	switch value := value.(type) {
	case raw:
		return value
	case map[string]any:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(value)) {
			parts = append(parts, string(encode(name)+":"+encode(value[name])))
		}
		return raw("{" + strings.Join(parts, ",") + "}")
	case []any:
		var parts []string
		for _, item := range value {
			parts = append(parts, string(encode(item)))
		}
		return raw("[" + strings.Join(parts, ",") + "]")
	default:
		text, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		return raw(text)
	}
}

// Values to try.
var (
	likelyTexts = []raw{
		`"Ready"`, `"a"`, `"production"`, `"2026-01-02T03:04:05Z"`, `"10m"`, `"7d"`, `"us-east-1"`, `"true"`, `"In"`,
		`"111122223333"`, `"https://cloudtrail.example.com"`, `"kms.amazonaws.com"`, `"AWS::S3::Object"`,
		`"arn:aws:s3:::logs/"`, `"arn:aws:iam::111122223333:role/trail"`, `"trail-operator.dev/v1alpha1"`,
	}
	oddTexts = []raw{
		`""`, `" "`, `"\u0000"`, `"\u2028\u2029"`, "\"\u2028\"", "\"\u0085\"", "\"\xff\xfe\"",
		`"\ud800"`, `"\udc00\ud800"`, `"\ud83d\ude00"`, `"e\u0301"`, `"1"`, `"null"`, `"{}"`, `"a/b"`, `"../.."`,
		`"<&>"`, raw(`"` + strings.Repeat("a", 300) + `"`), raw(`"` + strings.Repeat("é", 70_000) + `"`),
	}
	times = []raw{
		`"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05z"`, `"2026-01-02t03:04:05Z"`, `"2026-01-02t03:04:05z"`,
		`"2026-01-02 03:04:05Z"`, `"2026-01-02T03:04:05"`, `"2026-01-02T03:04:05+01:00"`, `"2026-01-02T03:04:05+0100"`,
		`"2026-01-02T03:04:05+01"`, `"2026-01-02T03:04:05-00:00"`, `"2026-01-02T03:04:05+24:00"`,
		`"2026-01-02T03:04:05+99:99"`, `"2026-01-02T03:04:05+00:60"`, `"2026-01-02T03:04:05−01:00"`,
		`"2026-01-02T03:04:05x1Z"`, `"2026-01-02T03:04:05ZT"`, `"2026-01-02T03:04:05ZZ"`, `"2026-01-02T03:04:05Z\n"`,
		`" 2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05.5Z"`, `"2026-01-02T03:04:05,5Z"`, `"2026-01-02T03:04:05.Z"`,
		`"2026-01-02T03:04:05.123456789Z"`, `"2026-01-02T03:04:05.1234567890123Z"`, `"2026-01-02T3:04:05Z"`,
		`"2026-1-2T03:04:05Z"`, `"2026-01-02T24:00:00Z"`, `"2026-01-02T03:60:05Z"`, `"2016-12-31T23:59:60Z"`,
		`"2026-02-29T00:00:00Z"`, `"2028-02-29T00:00:00Z"`, `"2100-02-29T00:00:00Z"`, `"2026-04-31T00:00:00Z"`,
		`"2026-13-01T00:00:00Z"`, `"2026-00-00T00:00:00Z"`, `"0000-01-01T00:00:00Z"`, `"0000-01-01T00:00:00+23:59"`,
		`"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"9999-12-31T23:59:59-23:59"`, `"10000-01-01T00:00:00Z"`,
		`"-001-01-01T00:00:00Z"`, `"+2026-01-02T03:04:05Z"`, `"٢٠٢٦-01-02T03:04:05Z"`, `"2026-01-02"`,
		`"20260102T030405Z"`, `"2026-W01-5T03:04:05Z"`, `"1767323045"`, `"now"`,
	}
	durations = []raw{
		`"10m"`, `"1h30m"`, `"1.5h"`, `".5h"`, `"1.h"`, `"+1h"`, `"-1h"`, `"1"`, `"0"`, `"1d"`, `"1D"`, `"1us"`, `"1µs"`,
		`"1μs"`, `"10M"`, `"10m "`, `"00010m"`, `"1e3s"`, `"9999999h"`, `"99999999999999999999s"`, `"1h-1m"`,
		`"0.00000000000000000000001h1h"`, `"P1D"`, `"٣m"`,
	}
	numbers = []raw{
		`0`, `-0`, `-1`, `1.0`, `1.5`, `0.1`, `1e2`, `1E+2`, `100e-1`, `1e-7`, `1e20`, `1e400`, `-1e400`,
		`2147483647`, `2147483648`, `-2147483648`, `-2147483649`, `3000000000`, `4294967297`, `9007199254740993`,
		`9007199254740993.0`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775808`,
		`-9223372036854775809`, `18446744073709551616`, `1` + raw(strings.Repeat("0", 400)),
	}
	strangers  = []raw{`null`, `true`, `1`, `"1"`, `[]`, `["a"]`, `{}`}
	containers = []raw{
		`[null]`, `[[]]`, `[{}]`, `[1]`, `{"":""}`, `{"a":null}`, `{"a":1}`, `{"a":"b"}`, `{"a":1,"a":2}`,
	}
)

// likely are values that a schema may well let in, the likeliest first.
func likely(schema apiextensionsv1.JSONSchemaProps) []raw {
	var values []raw
	for _, value := range schema.Enum {
		values = append(values, raw(value.Raw))
	}
	switch {
	case len(values) > 0:
		return values
	case schema.Type == "string" && schema.Format != "":
		return []raw{`"2026-01-02T03:04:05Z"`, `"10m"`}
	case schema.Type == "string":
		return likelyTexts
	case schema.Type == "integer", schema.Type == "number":
		return []raw{`1`, `10`, `100`}
	case schema.Type == "boolean":
		return []raw{`true`, `false`}
	default:
		return []raw{encode(skeleton(schema))}
	}
}

// adversarial are values that a schema may let in although nobody has thought of them.
func adversarial(schema apiextensionsv1.JSONSchemaProps, goType reflect.Type) []raw {
	switch {
	case schema.Type == "string" && goType.Kind() == reflect.String && goType.NumMethod() == 0:
		return slices.Concat(oddTexts, strangers) // Nothing is made of such a text.
	case schema.Type == "string":
		return slices.Concat(times, durations, oddTexts, strangers)
	case schema.Type == "integer", schema.Type == "number":
		return slices.Concat(numbers, strangers)
	case schema.Type == "boolean":
		return strangers
	default:
		return slices.Concat(strangers, containers)
	}
}

// random is a value that is written down nowhere: one that is, with a few of its characters changed.
func random(source *rand.Rand, schema apiextensionsv1.JSONSchemaProps, goType reflect.Type) raw {
	values := adversarial(schema, goType)
	if source.IntN(2) == 0 {
		values = likely(schema)
	}
	value := values[source.IntN(len(values))]
	if schema.Type != "string" || value[0] != '"' || len(value) < 3 || len(value) > 100 {
		return value
	}

	text := []rune(strings.Trim(string(value), `"`))
	alphabet := []rune("0123456789-+:.,TtZz hmsd/é\u2028")
	for range 1 + source.IntN(2) {
		at, character := source.IntN(len(text)), alphabet[source.IntN(len(alphabet))]
		switch source.IntN(3) {
		case 0:
			text[at] = character
		case 1:
			text = slices.Insert(text, at, character)
		default:
			text = slices.Insert(text, at, text[at])
		}
	}
	return raw(`"` + string(text) + `"`)
}

// skeleton is a value with what its schema requires, and no more.
func skeleton(schema apiextensionsv1.JSONSchemaProps) any {
	switch schema.Type {
	case "object":
		object := map[string]any{}
		for _, name := range schema.Required {
			object[name] = skeleton(schema.Properties[name])
		}
		return object
	case "array":
		if schema.MinItems != nil && *schema.MinItems > 0 {
			return []any{skeleton(*schema.Items.Schema)}
		}
		return []any{}
	default:
		return likely(schema)[0]
	}
}

// member is a value in the objects of a kind: a field, an item of a list, or a value of a map.
type member struct {
	// path are the names of properties, with "[]" for the items of a list and "{}" for the values of a map.
	path   []string
	schema apiextensionsv1.JSONSchemaProps
	// goType is what the value decodes into, nil if the Go type has no such field; parent is what that is in.
	goType, parent reflect.Type
}

// String is the path as people write it.
func (m member) String() string { return strings.ReplaceAll(strings.Join(m.path, "."), ".[]", "[]") }

func (m member) inStatus() bool { return m.path[0] == "status" }

// key is the same for members that are one field of a Go type that is used in several places, with one schema.
func (m member) key() string { return fmt.Sprint(m.parent, m.path[len(m.path)-1], encode(m.schema)) }

// members are all values that a schema describes, those that contain others before these.
func members(schema apiextensionsv1.JSONSchemaProps, goType reflect.Type) []member {
	all := []member{{schema: schema, goType: goType}}
	for i := 0; i < len(all); i++ {
		m := all[i]
		inside := func(name string, schema apiextensionsv1.JSONSchemaProps) {
			path := append(slices.Clone(m.path), name)
			all = append(all, member{path, schema, typeInside(m.goType, name), m.goType})
		}
		for _, name := range slices.Sorted(maps.Keys(m.schema.Properties)) {
			inside(name, m.schema.Properties[name])
		}
		if m.schema.Items != nil && m.schema.Items.Schema != nil {
			inside("[]", *m.schema.Items.Schema)
		}
		if m.schema.AdditionalProperties != nil && m.schema.AdditionalProperties.Schema != nil {
			inside("{}", *m.schema.AdditionalProperties.Schema)
		}
	}
	return all
}

// typeInside is the Go type of a member of a value of a Go type, nil if it has no such member.
func typeInside(goType reflect.Type, name string) reflect.Type {
	if goType == nil {
		return nil
	}
	var inside reflect.Type
	switch goType.Kind() {
	case reflect.Slice, reflect.Map:
		inside = goType.Elem()
	case reflect.Struct:
		for _, field := range reflect.VisibleFields(goType) {
			if tag, _, _ := strings.Cut(field.Tag.Get("json"), ","); tag == name {
				inside = field.Type
			}
		}
	default:
	}
	if inside != nil && inside.Kind() == reflect.Pointer {
		inside = inside.Elem()
	}
	return inside
}

// schemaOf is a schema for one of Kubernetes' own types, which CRDs do not describe.
func schemaOf(goType reflect.Type) apiextensionsv1.JSONSchemaProps {
	switch goType {
	case reflect.TypeFor[metav1.Time]():
		return apiextensionsv1.JSONSchemaProps{Type: "string", Format: "date-time"}
	case reflect.TypeFor[metav1.FieldsV1]():
		return apiextensionsv1.JSONSchemaProps{Type: "object"}
	}

	switch goType.Kind() {
	case reflect.Pointer:
		return schemaOf(goType.Elem())
	case reflect.String:
		return apiextensionsv1.JSONSchemaProps{Type: "string"}
	case reflect.Bool:
		return apiextensionsv1.JSONSchemaProps{Type: "boolean"}
	case reflect.Int64:
		return apiextensionsv1.JSONSchemaProps{Type: "integer"}
	case reflect.Slice:
		items := &apiextensionsv1.JSONSchemaPropsOrArray{Schema: new(schemaOf(goType.Elem()))}
		return apiextensionsv1.JSONSchemaProps{Type: "array", Items: items}
	case reflect.Map:
		values := &apiextensionsv1.JSONSchemaPropsOrBool{Schema: new(schemaOf(goType.Elem()))}
		return apiextensionsv1.JSONSchemaProps{Type: "object", AdditionalProperties: values}
	case reflect.Struct:
		schema := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{}}
		for _, field := range reflect.VisibleFields(goType) {
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			schema.Properties[name] = schemaOf(field.Type)
			if options == "" {
				schema.Required = append(schema.Required, name)
			}
		}
		return schema
	default:
		panic("no schema for " + goType.String())
	}
}

// place is where in an object a member is or may be put: keys of maps and indexes of lists.
type place struct {
	keys []any
	// missing is how many of the keys the object has not got.
	missing int
}

// places are all places of a member in an object, those first of which most is there.
func places(object any, path []string) []place {
	if len(path) == 0 {
		return []place{{}}
	}
	var found []place
	inside := func(key, value any, missing int) {
		for _, p := range places(value, path[1:]) {
			found = append(found, place{append([]any{key}, p.keys...), p.missing + missing})
		}
	}
	switch path[0] {
	case "[]":
		list := as[[]any](object)
		for i, item := range list {
			inside(i, item, 0)
		}
		if len(list) == 0 {
			inside(0, nil, 1)
		}
	case "{}":
		inside("a", nil, 1)
	default:
		value, ok := as[map[string]any](object)[path[0]]
		missing := 1
		if ok {
			missing = 0
		}
		inside(path[0], value, missing)
	}
	slices.SortStableFunc(found, func(a, b place) int { return a.missing - b.missing })
	return found
}

// with is a copy of an object with a value in a place. What is missing on the way there is made of the schema.
func with(object any, schema apiextensionsv1.JSONSchemaProps, keys []any, value any) any {
	if len(keys) == 0 {
		return value
	}
	if object == nil {
		object = skeleton(schema)
	}
	if index, ok := keys[0].(int); ok {
		list := slices.Clone(as[[]any](object))
		if index == len(list) {
			list = append(list, nil)
		}
		list[index] = with(list[index], *schema.Items.Schema, keys[1:], value)
		return list
	}

	properties, name := map[string]any{}, as[string](keys[0])
	maps.Copy(properties, as[map[string]any](object))
	inside, ok := schema.Properties[name]
	if !ok && schema.AdditionalProperties != nil {
		inside = *schema.AdditionalProperties.Schema
	}
	properties[name] = with(properties[name], inside, keys[1:], value)
	return properties
}

// as is a value if it is of a type, else that type's zero value.
func as[T any](value any) (typed T) {
	if value, ok := value.(T); ok {
		typed = value
	}
	return typed
}
