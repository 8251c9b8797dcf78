package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/trail-operator/trail-operator/controllers/command"
	"github.com/trail-operator/trail-operator/controllers/compliance"
	"github.com/trail-operator/trail-operator/controllers/manifest"
)

// Exit codes of the command, besides those of all commands.
const (
	// ExitFailures: a control fails.
	ExitFailures = 1
	// ExitUnjudged: no control fails, but something could not be judged, or there is no Trail.
	ExitUnjudged = 3
)

// Run judges the Trails of manifests and prints a report. Its error is a *command.ExitError if a control fails or
// something could not be judged.
func Run(ctx context.Context, o Options, output io.Writer) error {
	profile, err := compliance.ProfileNamed(o.Profile)
	if err != nil {
		return err
	}
	schema, err := manifest.NewSchema(o.CRD)
	if err != nil {
		return err
	}

	r := newRun(o, profile, schema)
	for _, path := range manifest.Find(r.Names, r.Recursive, r.unreadable) {
		if err := r.read(ctx, path); err != nil {
			return &command.ExitError{Code: ExitUnjudged, Err: fmt.Errorf("interrupted: %w", err)}
		}
	}
	r.finish()
	if err := r.print(output, o.Format); err != nil {
		return err
	}
	return r.failure()
}

// run is one run of the command.
type run struct {
	Options
	Report
	schema *manifest.Schema
	// foreign counts Trails of other API groups.
	foreign map[string]int
}

func newRun(o Options, profile *compliance.Profile, schema *manifest.Schema) *run {
	r := &run{
		Options: o,
		Report: Report{
			SchemaVersion: schemaVersion, Version: o.Version, FailOn: o.FailOn, profile: profile,
			Profile: Profile{profile.Name, profile.Title},
			Trails:  []Trail{}, Problems: []Problem{}, ForeignTrails: []Foreign{},
			Summary: Summary{FailBySeverity: map[compliance.Severity]int{}},
		},
		schema:  schema,
		foreign: map[string]int{},
	}
	r.describe()
	return r
}

// unreadable notes that a file or a folder cannot be read.
func (r *run) unreadable(path string, err error) {
	r.Problems = append(r.Problems, Problem{File: manifest.Shown(path), Message: "cannot be read: " + err.Error()})
}

// read reads a file and judges its Trails. It fails only when the context ends.
func (r *run) read(ctx context.Context, path string) error {
	content, err := manifest.ReadFile(ctx, path, r.Input)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.unreadable(path, err)
		return nil
	}

	r.Summary.Files++
	found := r.schema.Read(content)
	for _, trail := range found.Trails {
		r.Trails = append(r.Trails, r.judge(manifest.Shown(path), trail))
	}
	for _, p := range found.Problems {
		r.Problems = append(r.Problems, Problem{manifest.Shown(path), p.Object, p.Position, p.Message})
	}
	r.Summary.OtherObjects += found.Others
	for group, n := range found.Foreign {
		r.foreign[group] += n
	}
	return nil
}

// judge judges a Trail.
func (r *run) judge(path string, read manifest.Trail) Trail {
	trail := Trail{
		File: path, Namespace: read.Namespace, Name: cmp.Or(read.Name, read.GenerateName+"*"),
		Position: read.Place.Position(""),
	}
	for _, judged := range r.profile.JudgeManifest(read.Trail) {
		trail.Results = append(trail.Results, r.result(judged, read.Place))
	}
	return trail
}

// result returns what a control says, with its place.
func (r *run) result(judged compliance.Result, at manifest.Place) Result {
	control := judged.Control
	field := deciding(control.Field, at)
	result := Result{
		Control: control.ID, Severity: control.Severity, Outcome: judged.Outcome, Message: judged.Message,
		Field: field, Position: at.Position(field), control: control,
	}

	if reason, skipped := r.Skips[control.ID]; skipped {
		result.Suppressed = judged.Outcome == compliance.Fail
		result.Outcome = compliance.Skip
		result.Message = fmt.Sprintf("skipped by --skip (%s): %s", cmp.Or(reason, "no reason given"), judged.Message)
	}
	return result
}

// alternatives are fields that decide a control instead of its own.
var alternatives = map[string]string{
	"spec.eventSelectors":   "spec.advancedEventSelectors",
	"spec.managementPolicy": "spec.suspend",
}

// deciding returns the field of a control that decides.
func deciding(field string, at manifest.Place) string {
	alternative := alternatives[field]
	if alternative != "" && !at.Has(field) && at.Has(alternative) {
		return alternative
	}
	return field
}

// finish adds up.
func (r *run) finish() {
	for _, trail := range r.Trails {
		for _, result := range trail.Results {
			r.count(result)
		}
	}
	for _, group := range slices.Sorted(maps.Keys(r.foreign)) {
		r.ForeignTrails = append(r.ForeignTrails, Foreign{group, r.foreign[group]})
	}
	r.Summary.Trails, r.Summary.Problems = len(r.Trails), len(r.Problems)

	switch {
	case r.Summary.Failing > 0:
		r.Summary.ExitCode = ExitFailures
	case r.Summary.Problems > 0, r.nothing():
		r.Summary.ExitCode = ExitUnjudged
	}
}

func (r *run) count(result Result) {
	switch result.Outcome {
	case compliance.Pass:
		r.Summary.Pass++
	case compliance.Skip:
		r.Summary.Skip++
	case compliance.Fail:
		r.Summary.Fail++
		r.Summary.FailBySeverity[result.Severity]++
		severities := compliance.Severities()
		if slices.Index(severities, result.Severity) <= slices.Index(severities, r.Options.FailOn) {
			r.Summary.Failing++
		}
	}
}

// nothing tells whether there is no Trail although there should be one.
func (r *run) nothing() bool { return len(r.Trails) == 0 && !r.AllowEmpty }

// failure returns why the command does not succeed, nil if it does.
func (r *run) failure() error {
	var reasons []string
	if n := r.Summary.Failing; n > 0 {
		reasons = append(reasons, plural(n, "failure"))
	}
	if n := r.Summary.Problems; n > 0 {
		reasons = append(reasons, plural(n, "problem"))
	}
	if len(reasons) == 0 && r.nothing() {
		reasons = []string{"there is no Trail to judge (--allow-empty takes this for a success)"}
	}
	if len(reasons) == 0 {
		return nil
	}
	return &command.ExitError{Code: r.Summary.ExitCode, Err: errors.New(strings.Join(reasons, ", "))}
}

// print prints the report.
func (r *run) print(output io.Writer, format Format) error {
	var (
		printed string
		err     error
	)
	switch format {
	case JSON:
		printed, err = r.json()
	case SARIF:
		printed, err = r.sarif()
	default:
		printed = r.text()
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(output, printed)
	return err
}
