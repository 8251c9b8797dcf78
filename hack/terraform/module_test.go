package terraform

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functions are the functions that the modules call.
var functions = map[string]function.Function{
	"can":        tryfunc.CanFunc,
	"concat":     stdlib.ConcatFunc,
	"jsonencode": stdlib.JSONEncodeFunc,
	"length":     stdlib.LengthFunc,
	"regex":      stdlib.RegexFunc,
}

// part is a part of a module with an address, such as var.name_prefix and aws_sqs_queue.events.
type part struct {
	body       *hclsyntax.Body
	expression hclsyntax.Expression
	kind, name string
	data       bool
}

// module is a Terraform module: its parts by their addresses, and what they evaluate to.
type module struct {
	parts  map[string]part
	values map[string]cty.Value
	used   map[string]bool
	// named are the names of what AWS assigns, by the addresses of resources.
	named map[string]string
}

// instance is a resource, one of for_each and of count too.
type instance struct {
	address string
	value   cty.Value
}

// parse reads a module from its files, by name.
func parse(files map[string][]byte) (*module, error) {
	m := &module{parts: map[string]part{}, values: map[string]cty.Value{}, used: map[string]bool{}}
	for name, text := range files {
		file, diagnostics := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
		if diagnostics.HasErrors() {
			return nil, diagnostics
		}
		body := as[*hclsyntax.Body](file.Body)
		for _, b := range body.Blocks {
			if err := m.add(b); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// as is the value if it is of the type, and else the type's zero.
func as[T any](value any) T {
	typed, ok := value.(T)
	if !ok {
		return *new(T)
	}
	return typed
}

func (m *module) add(b *hclsyntax.Block) error {
	switch address := join(b.Labels...); b.Type {
	case "terraform":
		return nil
	case "variable":
		return m.put("var."+address, part{body: b.Body, kind: "variable", name: address})
	case "output":
		return m.put("output."+address, part{body: b.Body, kind: "output", name: address})
	case "data":
		return m.put("data."+address, part{body: b.Body, kind: b.Labels[0], name: b.Labels[1], data: true})
	case "resource":
		return m.put(address, part{body: b.Body, kind: b.Labels[0], name: b.Labels[1]})
	case "locals":
		for name, attribute := range b.Body.Attributes {
			if err := m.put("local."+name, part{expression: attribute.Expr, kind: "local", name: name}); err != nil {
				return err
			}
		}
		return nil
	default:
		return fmt.Errorf("%s: unknown block %s", b.TypeRange, b.Type)
	}
}

func (m *module) put(address string, p part) error {
	if _, found := m.parts[address]; found {
		return fmt.Errorf("%s is there twice", address)
	}
	m.parts[address] = p
	return nil
}

func join(labels ...string) string {
	address := ""
	for i, label := range labels {
		if i > 0 {
			address += "."
		}
		address += label
	}
	return address
}

// evaluate evaluates a module with values of its variables, and returns its resources.
func (m *module) evaluate(variables map[string]cty.Value) ([]instance, error) {
	for name := range variables {
		if _, found := m.parts["var."+name]; !found {
			return nil, fmt.Errorf("undefined variable %s", name)
		}
	}

	var instances []instance
	pending := slices.Sorted(maps.Keys(m.parts))
	for len(pending) > 0 {
		var waiting []string
		for _, address := range pending {
			ready, err := m.ready(address)
			if err != nil {
				return nil, err
			}
			if !ready {
				waiting = append(waiting, address)
				continue
			}
			made, err := m.evaluatePart(address, variables)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", address, err)
			}
			instances = append(instances, made...)
		}
		if len(waiting) == len(pending) {
			return nil, fmt.Errorf("these wait for each other: %v", waiting)
		}
		pending = waiting
	}
	return instances, nil
}

// unused are the variables, the locals and the data sources that nothing refers to.
func (m *module) unused() []string {
	var unused []string
	for address, p := range m.parts {
		if !m.used[address] && (p.kind == "variable" || p.kind == "local" || p.data) {
			unused = append(unused, address)
		}
	}
	return unused
}

// ready says whether everything is evaluated that a part refers to. It is an error if something does not exist.
func (m *module) ready(address string) (bool, error) {
	p := m.parts[address]
	ready := true
	for _, reference := range p.references() {
		target := reference.RootName()
		switch target {
		case "each", "count":
			continue
		case "data":
			target = join(target, attribute(reference, 1), attribute(reference, 2))
		default:
			target = join(target, attribute(reference, 1))
		}
		if target == address && p.kind == "variable" { // In its validation.
			continue
		}
		if _, found := m.parts[target]; !found {
			return false, fmt.Errorf("%s: undefined reference %s", reference.SourceRange(), target)
		}
		m.used[target] = true
		if _, found := m.values[target]; !found {
			ready = false
		}
	}
	return ready, nil
}

func attribute(reference hcl.Traversal, position int) string {
	if position < len(reference) {
		if step, ok := reference[position].(hcl.TraverseAttr); ok {
			return step.Name
		}
	}
	return "?"
}

func (p part) references() []hcl.Traversal {
	if p.expression != nil {
		return p.expression.Variables()
	}
	return inBody(p.body, p.kind == "variable")
}

func inBody(body *hclsyntax.Body, variable bool) []hcl.Traversal {
	var references []hcl.Traversal
	for name, attribute := range body.Attributes {
		if !variable || name != "type" {
			references = append(references, attribute.Expr.Variables()...)
		}
	}
	for _, b := range body.Blocks {
		references = append(references, inBody(b.Body, false)...)
	}
	return references
}

// context is what expressions can refer to.
func (m *module) context(more map[string]cty.Value) *hcl.EvalContext {
	groups := map[string]map[string]cty.Value{}
	data := map[string]map[string]cty.Value{}
	for address, value := range m.values {
		p := m.parts[address]
		group, in := p.kind, groups
		switch {
		case p.data:
			in = data
		case p.kind == "variable":
			group = "var"
		}
		if in[group] == nil {
			in[group] = map[string]cty.Value{}
		}
		in[group][p.name] = value
	}

	variables := maps.Clone(more)
	if variables == nil {
		variables = map[string]cty.Value{}
	}
	for group, members := range groups {
		variables[group] = cty.ObjectVal(members)
	}
	kinds := map[string]cty.Value{}
	for kind, members := range data {
		kinds[kind] = cty.ObjectVal(members)
	}
	variables["data"] = cty.ObjectVal(kinds)
	return &hcl.EvalContext{Variables: variables, Functions: functions}
}

func (m *module) evaluatePart(address string, variables map[string]cty.Value) ([]instance, error) {
	p := m.parts[address]
	switch {
	case p.expression != nil:
		value, diagnostics := p.expression.Value(m.context(nil))
		m.values[address] = value
		return nil, problem(diagnostics)
	case p.kind == "variable":
		return nil, m.variable(address, p, variables)
	case p.kind == "output":
		value, err := m.block(p.body, block{
			required: types{"value": cty.String, "description": cty.String},
		}, nil)
		m.values[address] = value
		return nil, err
	case p.data:
		known, found := sources[p.kind]
		if !found {
			return nil, fmt.Errorf("no schema for %s", p.kind)
		}
		value, err := m.block(p.body, known, nil)
		m.values[address] = m.export(address, value, known)
		return nil, err
	default:
		return m.resource(address, p)
	}
}

func problem(diagnostics hcl.Diagnostics) error {
	if diagnostics.HasErrors() {
		return diagnostics
	}
	return nil
}

func (m *module) variable(address string, p part, variables map[string]cty.Value) error {
	if p.body.Attributes["type"] == nil || p.body.Attributes["description"] == nil {
		return errors.New("no type, or no description")
	}
	kind, diagnostics := typeexpr.TypeConstraint(p.body.Attributes["type"].Expr)
	if diagnostics.HasErrors() {
		return diagnostics
	}
	value, given := variables[p.name]
	if standard := p.body.Attributes["default"]; !given && standard != nil {
		if value, diagnostics = standard.Expr.Value(nil); diagnostics.HasErrors() {
			return diagnostics
		}
	} else if !given {
		return errors.New("no value")
	}
	value, err := convert.Convert(value, kind)
	if err != nil {
		return err
	}

	m.values[address] = value
	for _, b := range p.body.Blocks {
		valid, diagnostics := b.Body.Attributes["condition"].Expr.Value(m.context(nil))
		if diagnostics.HasErrors() || valid.False() {
			return fmt.Errorf("%#v is not valid: %w", value, problem(diagnostics))
		}
	}
	return nil
}

// resource evaluates the instances of a resource.
func (m *module) resource(address string, p part) ([]instance, error) {
	known, found := resources[p.kind]
	if !found {
		return nil, fmt.Errorf("no schema for %s", p.kind)
	}
	one := func(address string, more map[string]cty.Value) (instance, error) {
		value, err := m.block(p.body, known, more)
		return instance{address, m.export(address, value, known)}, err
	}
	each, count := p.body.Attributes["for_each"], p.body.Attributes["count"]
	if each == nil && count == nil {
		made, err := one(address, nil)
		m.values[address] = made.value
		return []instance{made}, err
	}

	var all []instance
	if count != nil {
		number, diagnostics := count.Expr.Value(m.context(nil))
		if diagnostics.HasErrors() {
			return nil, diagnostics
		}
		if number.Equals(cty.NumberIntVal(1)).True() {
			made, err := one(address, nil)
			all = append(all, made)
			if err != nil {
				return nil, err
			}
		}
		m.values[address] = cty.EmptyTupleVal
		return all, nil
	}

	members, diagnostics := each.Expr.Value(m.context(nil))
	if diagnostics.HasErrors() {
		return nil, diagnostics
	}
	values := map[string]cty.Value{}
	for key, value := range members.AsValueMap() {
		made, err := one(fmt.Sprintf("%s[%q]", address, key), map[string]cty.Value{
			"each": cty.ObjectVal(map[string]cty.Value{"key": cty.StringVal(key), "value": value}),
		})
		if err != nil {
			return nil, err
		}
		all = append(all, made)
		values[key] = made.value
	}
	m.values[address] = cty.ObjectVal(values)
	return all, nil
}

// block evaluates the arguments of a block, and its nested blocks.
func (m *module) block(body *hclsyntax.Body, known block, more map[string]cty.Value) (cty.Value, error) {
	values := map[string]cty.Value{}
	for name, argument := range body.Attributes {
		want, found := known.required[name]
		if !found {
			want, found = known.optional[name]
		}
		if !found && (name == "for_each" || name == "count") {
			continue
		}
		if !found {
			return cty.NilVal, fmt.Errorf("%s: unknown argument %s", argument.NameRange, name)
		}
		value, diagnostics := argument.Expr.Value(m.context(more))
		if diagnostics.HasErrors() {
			return cty.NilVal, diagnostics
		}
		converted, err := convert.Convert(value, want)
		if err != nil {
			return cty.NilVal, fmt.Errorf("%s: wrong type: %w", argument.NameRange, err)
		}
		values[name] = converted
	}
	for name := range known.required {
		if _, found := values[name]; !found {
			return cty.NilVal, fmt.Errorf("%s is missing", name)
		}
	}
	for name, want := range known.optional {
		if _, found := values[name]; !found {
			values[name] = cty.NullVal(want)
		}
	}

	for _, nested := range body.Blocks {
		inner, found := known.blocks[nested.Type]
		if !found {
			return cty.NilVal, fmt.Errorf("%s: unknown block %s", nested.TypeRange, nested.Type)
		}
		value, err := m.block(nested.Body, inner, more)
		if err != nil {
			return cty.NilVal, err
		}
		values[nested.Type] = value
	}
	return cty.ObjectVal(values), nil
}

// export adds what AWS assigns: the name of the resource in CloudFormation's notation, such as ${Queue.Arn}.
func (m *module) export(address string, value cty.Value, known block) cty.Value {
	if value == cty.NilVal {
		return value
	}
	name, found := m.named[address]
	if !found {
		name = address
	}
	values := value.AsValueMap()
	if values == nil {
		values = map[string]cty.Value{}
	}
	for _, attribute := range known.exported {
		if given, set := values[attribute]; set && !given.IsNull() {
			continue
		}
		text := "${" + name + "." + attribute + "}"
		switch attribute {
		case "arn":
			text = "${" + name + ".Arn}"
		case "url":
			text = "${" + name + "}"
		case "account_id":
			text = "${AWS::AccountId}"
		}
		values[attribute] = cty.StringVal(text)
	}
	return cty.ObjectVal(values)
}
