package events_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// object is a mapping of a template.
type object = map[string]any

// as is the value if it is of the type, and else the type's zero.
func as[T any](value any) T {
	typed, ok := value.(T)
	if !ok {
		return *new(T)
	}
	return typed
}

// call is an intrinsic function, such as !Ref and !Sub.
type call struct {
	function string
	argument any
}

// resource is a resource of a template.
type resource struct {
	kind       string
	condition  string
	properties object
	// deletionPolicy is Retain if the resource stays when its stack goes.
	deletionPolicy string
}

// template is a CloudFormation template.
type template struct {
	parameters map[string]object
	conditions map[string]any
	resources  map[string]resource
	outputs    map[string]object
}

// functions are the intrinsic functions that the checks understand.
var functions = []string{"Equals", "GetAtt", "If", "Join", "Not", "Ref", "Sub"}

// parse reads a template. It takes no more of YAML than CloudFormation documents: no anchors, no aliases, no merges.
func parse(text []byte) (template, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return template{}, err
	}
	value, err := decode(document.Content[0])
	if err != nil {
		return template{}, err
	}

	root, ok := value.(object)
	if !ok {
		return template{}, errors.New("the template is not a mapping")
	}
	sections := []string{
		"AWSTemplateFormatVersion", "Conditions", "Description", "Metadata", "Outputs", "Parameters", "Resources",
	}
	t := template{
		parameters: map[string]object{}, conditions: object{}, resources: map[string]resource{}, outputs: map[string]object{},
	}
	errs := []error{unknown("the template", root, sections)}
	if root["AWSTemplateFormatVersion"] != "2010-09-09" {
		errs = append(errs, fmt.Errorf("version %v", root["AWSTemplateFormatVersion"]))
	}
	errs = append(errs, section(root, "Parameters", t.parameters), section(root, "Outputs", t.outputs))
	if conditions, found := root["Conditions"].(object); found {
		t.conditions = conditions
	}

	declared := map[string]object{}
	errs = append(errs, section(root, "Resources", declared))
	for name, r := range declared {
		errs = append(
			errs,
			unknown(name, r, []string{"Condition", "DeletionPolicy", "Properties", "Type", "UpdateReplacePolicy"}),
		)
		for _, policy := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
			if value, found := r[policy]; found && value != "Retain" && value != "Delete" {
				errs = append(errs, fmt.Errorf("%s: %s %v", name, policy, value))
			}
		}
		kind := as[string](r["Type"])
		condition := as[string](r["Condition"])
		properties := as[object](r["Properties"])
		t.resources[name] = resource{kind, condition, properties, as[string](r["DeletionPolicy"])}
	}
	return t, errors.Join(errs...)
}

// section puts the members of a section into the map.
func section(root object, name string, into map[string]object) error {
	members := as[object](root[name])
	for key, value := range members {
		member, ok := value.(object)
		if !ok {
			return fmt.Errorf("%s.%s is not a mapping", name, key)
		}
		into[key] = member
	}
	return nil
}

// unknown is an error if a mapping has other keys.
func unknown(path string, value object, keys []string) error {
	for key := range value {
		if !slices.Contains(keys, key) {
			return fmt.Errorf("%s: unknown property %s", path, key)
		}
	}
	return nil
}

func decode(node *yaml.Node) (any, error) {
	if node.Anchor != "" || node.Kind == yaml.AliasNode {
		return nil, fmt.Errorf("line %d: CloudFormation documents neither anchors nor aliases", node.Line)
	}
	if strings.HasPrefix(node.Tag, "!") && !strings.HasPrefix(node.Tag, "!!") {
		return decodeCall(node)
	}
	switch node.Kind {
	case yaml.MappingNode:
		return decodeMapping(node)
	case yaml.SequenceNode:
		return decodeSequence(node)
	default:
		return decodeScalar(node)
	}
}

func decodeScalar(node *yaml.Node) (any, error) {
	var value any
	if err := node.Decode(&value); err != nil {
		return nil, err
	}
	switch value.(type) {
	case string, int, bool:
		return value, nil
	default: // A date, for example.
		return nil, fmt.Errorf("line %d: quote %s", node.Line, node.Value)
	}
}

func decodeCall(node *yaml.Node) (any, error) {
	name := strings.TrimPrefix(node.Tag, "!")
	if !slices.Contains(functions, name) {
		return nil, fmt.Errorf("line %d: unknown function %s", node.Line, name)
	}
	plain := *node
	plain.Tag = ""
	if plain.Kind == yaml.ScalarNode {
		return call{name, node.Value}, nil
	}
	argument, err := decode(&plain)
	return call{name, argument}, err
}

func decodeMapping(node *yaml.Node) (any, error) {
	values := object{}
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i].Value
		if _, found := values[key]; found || key == "<<" {
			return nil, fmt.Errorf("line %d: %s is there twice, or merges", node.Content[i].Line, key)
		}
		value, err := decode(node.Content[i+1])
		if err != nil {
			return nil, err
		}
		values[key] = value
	}
	return values, nil
}

func decodeSequence(node *yaml.Node) (any, error) {
	var values []any
	for _, member := range node.Content {
		value, err := decode(member)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// schema is testdata/cloudformation.json: what the registry of CloudFormation says of the types in the templates.
type schema struct {
	Resources map[string]struct {
		Attributes []string
		Properties map[string]property
	}
}

type property struct {
	Type     propertyType
	Required bool
}

// propertyType is one of a name such as string, a list, a map and an object.
type propertyType struct {
	name      string
	list, set *propertyType
	object    map[string]property
}

func (p *propertyType) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &p.name) == nil {
		return nil
	}
	var composed struct {
		List, Map *propertyType
		Object    map[string]property
	}
	err := json.Unmarshal(text, &composed)
	p.list, p.set, p.object = composed.List, composed.Map, composed.Object
	return err
}

// checker checks a template against the schema. It collects what is wrong.
type checker struct {
	template template
	schema   schema
	used     map[string]bool
	errs     []error
}

// check is what is wrong with a template.
func check(t template, s schema) error {
	c := &checker{template: t, schema: s, used: map[string]bool{}}
	for name, parameter := range t.parameters {
		c.parameter(name, parameter)
	}
	for name, condition := range t.conditions {
		c.value("Conditions."+name, condition, propertyType{name: "boolean"})
	}
	for name, r := range t.resources {
		known, found := s.Resources[r.kind]
		if !found {
			c.errorf("%s: no schema for %s: testdata/extract.mjs", name, r.kind)
			continue
		}
		if r.condition != "" {
			c.condition(name, r.condition)
		}
		c.object(name, r.properties, known.Properties)
		c.acyclic(name, name, nil)
	}
	for name, output := range t.outputs {
		c.object("Outputs."+name, output, map[string]property{
			"Description": {Type: propertyType{name: "string"}, Required: true},
			"Value":       {Type: propertyType{name: "string"}, Required: true},
		})
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(t.parameters)), slices.Collect(maps.Keys(t.conditions))) {
		if !c.used[name] {
			c.errorf("%s is not used", name)
		}
	}
	return errors.Join(c.errs...)
}

func (c *checker) errorf(format string, arguments ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, arguments...))
}

func (c *checker) parameter(name string, parameter object) {
	keys := []string{"AllowedPattern", "AllowedValues", "Default", "Description", "Type"}
	if err := unknown("Parameters."+name, parameter, keys); err != nil {
		c.errs = append(c.errs, err)
	}
	if kind := parameter["Type"]; kind != "String" && kind != "CommaDelimitedList" {
		c.errorf("Parameters.%s: unknown type %v", name, kind)
	}
	if parameter["Description"] == nil {
		c.errorf("Parameters.%s: no description", name)
	}

	standard, found := parameter["Default"].(string)
	if !found {
		return
	}
	if pattern, limited := parameter["AllowedPattern"].(string); limited {
		if expression, err := regexp.Compile("^(?:" + pattern + ")$"); err != nil || !expression.MatchString(standard) {
			c.errorf("Parameters.%s: the default %q is not allowed: %v", name, standard, err)
		}
	}
	if values, limited := parameter["AllowedValues"].([]any); limited && !slices.Contains(values, any(standard)) {
		c.errorf("Parameters.%s: the default %q is not allowed", name, standard)
	}
}

func (c *checker) object(path string, value object, properties map[string]property) {
	for name, member := range value {
		known, found := properties[name]
		if !found {
			c.errorf("%s: unknown property %s", path, name)
			continue
		}
		c.value(path+"."+name, member, known.Type)
	}
	for name, known := range properties {
		if _, found := value[name]; known.Required && !found {
			c.errorf("%s: %s is missing", path, name)
		}
	}
}

func (c *checker) value(path string, value any, want propertyType) {
	if function, ok := value.(call); ok {
		c.call(path, function, want)
		return
	}
	switch {
	case want.object != nil:
		if members, ok := value.(object); ok {
			c.object(path, members, want.object)
			return
		}
	case want.list != nil:
		if members, ok := value.([]any); ok {
			for i, member := range members {
				c.value(fmt.Sprintf("%s[%d]", path, i), member, *want.list)
			}
			return
		}
	case want.set != nil:
		if members, ok := value.(object); ok {
			for name, member := range members {
				c.value(path+"."+name, member, *want.set)
			}
			return
		}
	case want.name == "json":
		if members, ok := value.(object); ok {
			c.document(path, members)
			return
		}
	case want.name == "integer", want.name == "number":
		if _, ok := value.(int); ok {
			return
		}
	default:
		if fmt.Sprintf("%T", value) == map[string]string{"string": "string", "boolean": "bool"}[want.name] {
			return
		}
	}
	c.errorf("%s: %v is of the wrong type", path, value)
}

// document checks the functions in a policy or a pattern.
func (c *checker) document(path string, value any) {
	switch value := value.(type) {
	case object:
		for name, member := range value {
			c.document(path+"."+name, member)
		}
	case []any:
		for i, member := range value {
			c.document(fmt.Sprintf("%s[%d]", path, i), member)
		}
	case call:
		c.call(path, value, propertyType{name: "any"})
	}
}

// call checks a function, and that it returns what is wanted.
func (c *checker) call(path string, function call, want propertyType) {
	text := as[string](function.argument)
	members := as[[]any](function.argument)
	returns := "string"
	switch function.function {
	case "Ref":
		returns = c.reference(path, text)
	case "GetAtt":
		c.attribute(path, text)
	case "Sub":
		for _, match := range placeholder.FindAllStringSubmatch(text, -1) {
			if strings.Contains(match[1], ".") {
				c.attribute(path, match[1])
			} else if c.reference(path, match[1]) != "string" {
				c.errorf("%s: %s is not a string", path, match[1])
			}
		}
	case "If":
		c.branches(path, members, want)
		return
	case "Join":
		if len(members) != 2 {
			c.errorf("%s: !Join takes a separator and a list", path)
			return
		}
		c.value(path, members[1], propertyType{list: &propertyType{name: "string"}})
	case "Equals", "Not":
		returns = "boolean"
		for _, member := range members {
			c.document(path, member)
		}
	}

	wanted := want.name
	if want.name == "json" && function.function == "Sub" && json.Valid([]byte(text)) {
		wanted = "string" // A document may be written as a text.
	}
	if want.list != nil {
		wanted = "list"
	}
	if returns != "nothing" && wanted != "any" && wanted != returns {
		c.errorf("%s: !%s returns a %s: the wrong type", path, function.function, returns)
	}
}

func (c *checker) branches(path string, members []any, want propertyType) {
	if len(members) != 3 {
		c.errorf("%s: !If takes a condition and two values", path)
		return
	}
	name := as[string](members[0])
	c.condition(path, name)
	for _, branch := range members[1:] {
		if want.name == "any" {
			c.document(path, branch)
		} else {
			c.value(path, branch, want)
		}
	}
}

func (c *checker) condition(path, name string) {
	if _, found := c.template.conditions[name]; !found {
		c.errorf("%s: undefined condition %s", path, name)
	}
	c.used[name] = true
}

// reference is the type of what a name refers to: string, list, or nothing.
func (c *checker) reference(path, name string) string {
	c.used[name] = true
	if parameter, found := c.template.parameters[name]; found {
		return map[any]string{"String": "string", "CommaDelimitedList": "list"}[parameter["Type"]]
	}
	switch name {
	case "AWS::AccountId", "AWS::Partition", "AWS::Region":
		return "string"
	case "AWS::NoValue":
		return "nothing"
	}
	if r, found := c.template.resources[name]; !found {
		c.errorf("%s: undefined reference %s", path, name)
	} else if r.condition != "" {
		c.errorf("%s: %s does not always exist", path, name)
	}
	return "string"
}

func (c *checker) attribute(path, text string) {
	name, attribute, _ := strings.Cut(text, ".")
	if _, found := c.template.resources[name]; !found {
		c.errorf("%s: undefined reference %s", path, name)
		return
	}
	c.reference(path, name)
	if kind := c.template.resources[name].kind; !slices.Contains(c.schema.Resources[kind].Attributes, attribute) {
		c.errorf("%s: undefined reference: %s has no attribute %s", path, kind, attribute)
	}
}

// acyclic checks that a resource does not wait for itself.
func (c *checker) acyclic(start, name string, path []string) {
	for _, next := range references(c.template.resources[name].properties) {
		switch _, found := c.template.resources[next]; {
		case next == start:
			c.errorf("%s waits for itself: %v", start, append(path, name))
		case found && !slices.Contains(path, next):
			c.acyclic(start, next, append(slices.Clone(path), name))
		}
	}
}

var placeholder = regexp.MustCompile(`\$\{([^}]+)\}`)

// references are the names that a value refers to.
func references(value any) []string {
	var names []string
	switch value := value.(type) {
	case object:
		for _, member := range value {
			names = append(names, references(member)...)
		}
	case []any:
		for _, member := range value {
			names = append(names, references(member)...)
		}
	case call:
		text, isText := value.argument.(string)
		switch {
		case !isText:
			return references(value.argument)
		case value.function == "Sub":
			for _, match := range placeholder.FindAllStringSubmatch(text, -1) {
				names = append(names, strings.Split(match[1], ".")[0])
			}
		default:
			names = append(names, strings.Split(text, ".")[0])
		}
	}
	return names
}

// render is a value with its functions replaced: references are written as in !Sub, and all conditions are true or
// false. What AWS::NoValue removes is missing.
func render(value any, conditions bool) any {
	switch value := value.(type) {
	case object:
		rendered := object{}
		for name, member := range value {
			if r := render(member, conditions); r != nil {
				rendered[name] = r
			}
		}
		return rendered
	case []any:
		rendered := []any{}
		for _, member := range value {
			if r := render(member, conditions); r != nil {
				rendered = append(rendered, r)
			}
		}
		return rendered
	case call:
		return renderCall(value, conditions)
	default:
		return value
	}
}

func renderCall(function call, conditions bool) any {
	switch {
	case function.function == "If" && conditions:
		return render(as[[]any](function.argument)[1], conditions)
	case function.function == "If":
		return render(as[[]any](function.argument)[2], conditions)
	case function.argument == "AWS::NoValue":
		return nil
	case function.function == "Sub":
		return function.argument
	default:
		return fmt.Sprintf("${%v}", function.argument)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, name), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func readTemplate(t *testing.T, name string) template {
	t.Helper()
	parsed, err := parse(readFile(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return parsed
}

func TestTemplatesAreOfTheSchema(t *testing.T) {
	var s schema
	readJSON(t, "testdata/cloudformation.json", &s)
	for _, name := range []string{"queue.yaml", "forward.yaml", quickstart} {
		if err := check(readTemplate(t, name), s); err != nil {
			t.Errorf("%s:\n%v", name, err)
		}
	}
}

// TestSchemaFindsMistakes changes queue.yaml.
func TestSchemaFindsMistakes(t *testing.T) {
	var s schema
	readJSON(t, "testdata/cloudformation.json", &s)
	original := string(readFile(t, "queue.yaml"))
	for name, test := range map[string]struct{ old, replacement, want string }{
		"unknown property":          {"VisibilityTimeout:", "VisibilityTimeoutSeconds:", "unknown property"},
		"unknown nested property":   {"MaximumRetryAttempts:", "MaxRetries:", "unknown property"},
		"unknown type":              {"AWS::SQS::QueuePolicy", "AWS::SQS::Policy", "no schema"},
		"text for a number":         {"VisibilityTimeout: 60", `VisibilityTimeout: "60"`, "wrong type"},
		"number for a text":         {`QueueName: !Sub "${NamePrefix}-events"`, "QueueName: 7", "wrong type"},
		"text for a list":           {"Queues: [!Ref Queue]", "Queues: !Ref Queue", "wrong type"},
		"undefined Ref in a policy": {"!Ref OrganizationID\n\n", "!Ref Organization\n\n", "undefined reference"},
		"text for a truth":          {"true]", `"true"]`, "wrong type"},
		"list of texts for one":     {"Value: !Ref Queue", "Value: !Ref Accounts", "wrong type"},
		"missing property":          {"      Queues: [!Ref Queue]\n", "", "Queues is missing"},
		"missing nested property":   {"        - Id: queue\n          Arn", "        - Arn", "Id is missing"},
		"undefined Ref":             {"Value: !Ref Queue", "Value: !Ref Queues", "undefined reference"},
		"undefined GetAtt":          {"Resource: !GetAtt Queue.Arn", "Resource: !GetAtt Queues.Arn", "undefined reference"},
		"undefined attribute":       {"Resource: !GetAtt Queue.Arn", "Resource: !GetAtt Queue.ARN", "undefined reference"},
		"undefined Sub":             {"${NamePrefix}-trails", "${Prefix}-trails", "undefined reference"},
		"undefined condition":       {"!If [WatchesPrerequisites,", "!If [Watches,", "undefined condition"},
		"unused parameter":          {"Parameters:\n", "Parameters:\n  A: {Type: String, Description: A.}\n", "not used"},
		"a default not allowed":     {"Default: trail-operator", "Default: trail operator", "not allowed"},
		"a resource of itself":      {"!GetAtt DeadLetters.Arn", "!GetAtt Queue.Arn", "waits for itself"},
		"a resource not always":     {"Value: !Ref Queue", "Value: !Ref AccountsPolicy", "does not always exist"},
		"an alias":                  {"Queues: [!Ref Queue]", "Queues: &queues [!Ref Queue]", "anchors"},
		"twice":                     {"VisibilityTimeout: 60", "VisibilityTimeout: 60\n      VisibilityTimeout: 60", "twice"},
		"a date":                    {`Version: "2012-10-17"`, "Version: 2012-10-17", "quote"},
		"an unknown function":       {"Value: !Ref Queue", "Value: !ImportValue Queue", "unknown function"},
		"an unknown resource key":   {"Condition: HasAccounts", "Conditions: HasAccounts", "unknown property"},
		"an undefined conditional":  {"Condition: HasAccounts", "Condition: HasAccount", "undefined condition"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(original, test.old, test.replacement, 1)
			if changed == original {
				t.Fatalf("queue.yaml has no %q", test.old)
			}
			parsed, err := parse([]byte(changed))
			if err == nil {
				err = check(parsed, s)
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want an error with %q, got: %v", test.want, err)
			}
		})
	}
}
