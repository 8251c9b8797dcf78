package check

import (
	"fmt"
	"strings"

	"github.com/trail-operator/trail-operator/controllers/compliance"
	"github.com/trail-operator/trail-operator/controllers/manifest"
)

// schemaVersion is the version of the report as JSON. It increases with a change that readers must know of; a field
// more is none.
const schemaVersion = 1

// Report is what was judged, by what. It is printed as JSON, so its fields stay.
type Report struct {
	SchemaVersion int `json:"schemaVersion"`
	// Version is that of the program.
	Version string              `json:"version"`
	Profile Profile             `json:"profile"`
	FailOn  compliance.Severity `json:"failOn"`
	// Controls are those of the profile, in its order.
	Controls []Control `json:"controls"`
	// Trails are in the order of the files, and of their place in them.
	Trails []Trail `json:"trails"`
	// Problems are first those of files and folders that were not found, then in the same order.
	Problems []Problem `json:"problems"`
	// ForeignTrails are the Trails of other API groups, such as ACK's, which are not judged.
	ForeignTrails []Foreign `json:"foreignTrails"`
	Summary       Summary   `json:"summary"`

	profile *compliance.Profile
}

// Profile is what is judged by.
type Profile struct {
	Name  string `json:"name"`
	Title string `json:"title"`
}

// Control is a control of the profile.
type Control struct {
	ID string `json:"id"`
	// Rule is what the profile's framework calls the control.
	Rule       string              `json:"rule"`
	Title      string              `json:"title"`
	Severity   compliance.Severity `json:"severity"`
	Field      string              `json:"field"`
	Remedy     string              `json:"remedy"`
	References []Reference         `json:"references"`
}

// Trail is a Trail that was judged.
type Trail struct {
	File      string `json:"file"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	manifest.Position
	// Results are those of all controls of the profile, in its order.
	Results []Result `json:"results"`
}

// Result is what a control says of a Trail.
type Result struct {
	// Control is the ID of the control.
	Control  string              `json:"control"`
	Severity compliance.Severity `json:"severity"`
	Outcome  compliance.Outcome  `json:"outcome"`
	// Message is what was seen; of a failure also what to change, and of a skip why.
	Message string `json:"message"`
	// Field is the path of the field that decides, and Position where it is. If the field is not there, it is the position
	// of what it would be in.
	Field string `json:"field"`
	manifest.Position
	// Suppressed says that the control would fail, and that the arguments skip it.
	Suppressed bool `json:"suppressed,omitempty"`

	control *compliance.Control
}

// Reference is a requirement of a framework.
type Reference struct {
	Framework string `json:"framework"`
	ID        string `json:"id"`
}

// Problem is why something could not be judged.
type Problem struct {
	File string `json:"file"`
	// Trail is the namespace and the name of the Trail, "" if it is no Trail's.
	Trail string `json:"trail,omitempty"`
	manifest.Position
	Message string `json:"message"`
}

// Foreign counts the Trails of an API group that is not the operator's.
type Foreign struct {
	Group string `json:"group"`
	Count int    `json:"count"`
}

// Summary counts.
type Summary struct {
	Files  int `json:"files"`
	Trails int `json:"trails"`
	Pass   int `json:"pass"`
	Fail   int `json:"fail"`
	Skip   int `json:"skip"`
	// Failing are the failures that are severe enough to fail the command.
	Failing        int                         `json:"failing"`
	FailBySeverity map[compliance.Severity]int `json:"failBySeverity"`
	Problems       int                         `json:"problems"`
	// OtherObjects are objects that are no Trails.
	OtherObjects int `json:"otherObjects"`
	ExitCode     int `json:"exitCode"`
}

// name returns the namespace and the name.
func (t *Trail) name() string {
	if t.Namespace == "" {
		return t.Name
	}
	return t.Namespace + "/" + t.Name
}

// failures returns the results that fail.
func (t *Trail) failures() []Result {
	var failures []Result
	for _, result := range t.Results {
		if result.Outcome == compliance.Fail {
			failures = append(failures, result)
		}
	}
	return failures
}

// describe adds the controls of the profile.
func (r *Report) describe() {
	for _, control := range r.profile.Controls {
		r.Controls = append(r.Controls, Control{
			ID: control.ID, Rule: r.profile.RuleID(control), Title: control.Title, Severity: control.Severity,
			Field: control.Field, Remedy: control.Remedy, References: r.references(control),
		})
	}
}

// references returns the requirements that a control answers: those of the profile's framework, or all if the profile
// is of none.
func (r *Report) references(control *compliance.Control) []Reference {
	references := []Reference{}
	for _, reference := range control.References {
		if r.profile.Framework == "" || r.profile.Framework == reference.Framework {
			references = append(references, Reference(reference))
		}
	}
	return references
}

// mainFrameworks are those that people look for first.
var mainFrameworks = []string{
	compliance.FrameworkSecurityHub, compliance.FrameworkCIS50, compliance.FrameworkPCI, compliance.FrameworkNIST,
}

// mainReferences returns the references in short. If the profile is of no framework, these are those of the main
// frameworks that fit best.
func (r *Report) mainReferences(control *compliance.Control) []Reference {
	if r.profile.Framework != "" {
		return r.references(control)
	}
	var references []Reference
	for _, framework := range mainFrameworks {
		if id := control.ReferenceIn(framework); id != "" {
			references = append(references, Reference{framework, id})
		}
	}
	return references
}

// grouped returns references in prose, one text for each framework, such as "PCI DSS 4.0.1: 10.3.4, 10.3.2".
func grouped(references []Reference) []string {
	var texts []string
	last := ""
	for _, reference := range references {
		if reference.Framework == last {
			texts[len(texts)-1] += ", " + reference.ID
			continue
		}
		texts = append(texts, reference.Framework+": "+reference.ID)
		last = reference.Framework
	}
	return texts
}

// plural returns a number of things, such as 1 Trail or 2 Trails.
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if stem, found := strings.CutSuffix(one, "y"); found {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, one)
}
