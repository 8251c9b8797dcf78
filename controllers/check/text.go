package check

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/trail-operator/trail-operator/controllers/compliance"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// json returns the report as JSON.
func (r *Report) json() (string, error) { return text.JSON(r, "  ") }

// text returns the report for people: the problems, what fails, file by file, and a summary.
func (r *Report) text() string {
	var b strings.Builder
	for _, p := range r.Problems {
		object := ""
		if p.Trail != "" {
			object = "Trail " + p.Trail + ": "
		}
		write(&b, "%s: problem: %s%s", p.In(p.File), object, p.Message)
	}
	if len(r.Problems) > 0 {
		write(&b, "")
	}

	file := ""
	for i := range r.Trails {
		trail := &r.Trails[i]
		failures := trail.failures()
		if len(failures) == 0 {
			continue
		}

		if trail.File != file {
			file = trail.File
			write(&b, "%s", file)
		}
		write(&b, "  Trail %s (line %d): %s", trail.name(), trail.Line, plural(len(failures), "failure"))
		for j := range failures {
			r.failureText(&b, trail, &failures[j])
		}
		write(&b, "")
	}
	r.summaryText(&b)
	return b.String()
}

// failureText writes what fails, what to do, and who asks for it.
func (r *Report) failureText(b *strings.Builder, trail *Trail, result *Result) {
	write(b, "    %s: %s: %s (%s)", result.In(trail.File), result.Severity, result.Control, result.Field)
	write(b, "      %s", result.Message)
	if references := grouped(r.mainReferences(result.control)); len(references) > 0 {
		write(b, "      %s", strings.Join(references, "; "))
	}
}

// summaryText writes the summary.
func (r *Report) summaryText(b *strings.Builder) {
	s := &r.Summary
	var failures []string
	for _, severity := range compliance.Severities() {
		if n := s.FailBySeverity[severity]; n > 0 {
			failures = append(failures, fmt.Sprintf("%d %s", n, severity))
		}
	}
	failed := plural(s.Fail, "failure")
	if len(failures) > 0 {
		failed += " (" + strings.Join(failures, ", ") + ")"
	}

	write(b, "%s in %s by the profile %s: %s, %d passed, %d skipped, %s",
		plural(s.Trails, "Trail"), plural(s.Files, "file"), r.Profile.Name, failed, s.Pass, s.Skip,
		plural(s.Problems, "problem"))
	if s.Fail > s.Failing {
		write(b, "%d of the failures are less severe than --fail-on %s", s.Fail-s.Failing, r.FailOn)
	}
	if s.OtherObjects > 0 {
		write(b, "%s of other kinds: not judged", plural(s.OtherObjects, "object"))
	}
	for _, foreign := range r.ForeignTrails {
		write(b, "%s of %s: not judged", plural(foreign.Count, "Trail"), cmp.Or(foreign.Group, "no API group"))
	}
}

// write writes a line. What comes from a file has no power over a terminal.
func write(b *strings.Builder, format string, values ...any) {
	b.WriteString(text.Escape(fmt.Sprintf(format, values...)) + "\n")
}
