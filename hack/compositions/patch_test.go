package compositions

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// resources is what composition.yaml uses of function-patch-and-transform's input, pt.fn.crossplane.io/v1beta1.
type resources struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	PatchSets  []patchSet         `json:"patchSets"`
	Resources  []composedTemplate `json:"resources"`
}

type patchSet struct {
	Name    string  `json:"name"`
	Patches []patch `json:"patches"`
}

type composedTemplate struct {
	Name            string           `json:"name"`
	Base            map[string]any   `json:"base"`
	Patches         []patch          `json:"patches"`
	ReadinessChecks []readinessCheck `json:"readinessChecks"`
}

type patch struct {
	Type          string `json:"type"`
	PatchSetName  string `json:"patchSetName"`
	FromFieldPath string `json:"fromFieldPath"`
	ToFieldPath   string `json:"toFieldPath"`
	Policy        struct {
		FromFieldPath string `json:"fromFieldPath"`
	} `json:"policy"`
	Combine struct {
		Strategy  string `json:"strategy"`
		Variables []struct {
			FromFieldPath string `json:"fromFieldPath"`
		} `json:"variables"`
		String struct {
			Format string `json:"fmt"`
		} `json:"string"`
	} `json:"combine"`
	Transforms []struct {
		Type   string `json:"type"`
		String struct {
			Type   string `json:"type"`
			Format string `json:"fmt"`
		} `json:"string"`
	} `json:"transforms"`
}

type readinessCheck struct {
	Type           string `json:"type"`
	MatchCondition struct {
		Type   string `json:"type"`
		Status string `json:"status"`
	} `json:"matchCondition"`
}

// compose does what function-patch-and-transform does for a composite resource before anything of it exists: it returns
// the composed resources by name, without those that a required field is missing for.
func (r *resources) compose(composite *unstructured.Unstructured) map[string]*unstructured.Unstructured {
	GinkgoHelper()
	composed := map[string]*unstructured.Unstructured{}
	for _, template := range r.Resources {
		object := (&unstructured.Unstructured{Object: template.Base}).DeepCopy()
		if r.patch(template, "FromComposite", composite, object) {
			object.SetName(composite.GetName() + "-" + template.Name)
			object.SetNamespace(composite.GetNamespace())
			composed[template.Name] = object
		}
	}
	return composed
}

// observe does what the function does with an object that exists: it tells the composite resource of its status.
func (r *resources) observe(name string, object, composite *unstructured.Unstructured) {
	GinkgoHelper()
	for _, template := range r.Resources {
		if template.Name == name {
			r.patch(template, "ToComposite", object, composite)
		}
	}
}

// patch patches one object from the other by the patches of one direction. It says whether all required fields exist.
func (r *resources) patch(template composedTemplate, direction string, from, to *unstructured.Unstructured) bool {
	GinkgoHelper()
	complete := true
	for _, p := range r.resolve(template.Patches) {
		if !strings.Contains(p.Type, direction) {
			continue
		}
		value, found := p.value(from)
		if found {
			set(to.Object, segments(p.ToFieldPath), value)
		}
		Expect(p.Policy.FromFieldPath).To(BeElementOf("", "Required"))
		complete = complete && (found || p.Policy.FromFieldPath == "")
	}
	return complete
}

// resolve puts the patches of patch sets in their place.
func (r *resources) resolve(patches []patch) []patch {
	GinkgoHelper()
	var resolved []patch
	for _, p := range patches {
		if p.Type != "PatchSet" {
			Expect(p.Type).To(BeElementOf("FromCompositeFieldPath", "ToCompositeFieldPath", "CombineFromComposite"))
			resolved = append(resolved, p)
			continue
		}
		index := slices.IndexFunc(r.PatchSets, func(s patchSet) bool { return s.Name == p.PatchSetName })
		Expect(index).NotTo(Equal(-1), p.PatchSetName)
		resolved = append(resolved, r.PatchSets[index].Patches...)
	}
	return resolved
}

// value is what the patch makes of an object, if all that it needs is there.
func (p *patch) value(from *unstructured.Unstructured) (value any, found bool) {
	GinkgoHelper()
	if p.Type == "CombineFromComposite" {
		Expect(p.Combine.Strategy).To(Equal("string"))
		var values []any
		for _, variable := range p.Combine.Variables {
			value, found := get(from.Object, segments(variable.FromFieldPath))
			if !found {
				return nil, false
			}
			values = append(values, value)
		}
		return fmt.Sprintf(p.Combine.String.Format, values...), true
	}

	value, found = get(from.Object, segments(p.FromFieldPath))
	for _, transform := range p.Transforms {
		Expect([]string{transform.Type, transform.String.Type}).To(HaveExactElements("string", "Format"))
		value = fmt.Sprintf(transform.String.Format, value)
	}
	return value, found
}

// segments are the steps of a field path, such as spec.rule[0].days or metadata.annotations[example.com/name].
func segments(path string) []string {
	var steps []string
	for path != "" {
		if bracket, rest, found := strings.Cut(strings.TrimPrefix(path, "["), "]"); found && path[0] == '[' {
			steps, path = append(steps, bracket), strings.TrimPrefix(rest, ".")
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		steps, path = append(steps, path[:end]), strings.TrimPrefix(path[end:], ".")
	}
	return steps
}

func get(in any, steps []string) (value any, found bool) {
	if len(steps) == 0 {
		return in, true
	}
	switch in := in.(type) {
	case map[string]any:
		value, found = in[steps[0]]
	case []any:
		var index int
		_, err := fmt.Sscan(steps[0], &index)
		if found = err == nil && index < len(in); found {
			value = in[index]
		}
	}
	if !found {
		return nil, false
	}
	return get(value, steps[1:])
}

// set sets a value. The lists on the way to it must be there.
func set(in any, steps []string, value any) {
	GinkgoHelper()
	last := len(steps) == 1
	switch in := in.(type) {
	case map[string]any:
		if last {
			in[steps[0]] = value
			return
		}
		if in[steps[0]] == nil {
			in[steps[0]] = map[string]any{}
		}
		set(in[steps[0]], steps[1:], value)
	case []any:
		var index int
		Expect(fmt.Sscan(steps[0], &index)).Error().NotTo(HaveOccurred())
		Expect(index).To(BeNumerically("<", len(in)), "a list of the base")
		set(in[index], steps[1:], value)
	default:
		Fail(fmt.Sprintf("%v is no field of %v", steps, in))
	}
}

// ready says whether an object passes the checks of its template, which are for its Ready condition if there are none.
func (t *composedTemplate) ready(conditions map[string]string) bool {
	checks := map[string]string{"Ready": "True"}
	if len(t.ReadinessChecks) > 0 {
		checks = map[string]string{}
	}
	for _, check := range t.ReadinessChecks {
		checks[check.MatchCondition.Type] = check.MatchCondition.Status
	}

	passed := maps.Clone(conditions)
	maps.DeleteFunc(passed, func(condition, status string) bool { return checks[condition] != status })
	return len(passed) == len(checks)
}
