package check

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trail-operator/trail-operator/controllers/compliance"
	"github.com/trail-operator/trail-operator/controllers/manifest"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// The types of SARIF 2.1.0 with the properties that are used here:
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
// They are no library's, as the one that is alive would bring a JSON schema library that is not into the operator's
// image. The tests hold them against that library's.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		ColumnKind  string            `json:"columnKind"`
		Results     []sarifResult     `json:"results"`
		Properties  map[string]any    `json:"properties"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string             `json:"id"`
		ShortDescription     sarifMessage       `json:"shortDescription"`
		FullDescription      sarifMessage       `json:"fullDescription"`
		Help                 sarifMessage       `json:"help"`
		HelpURI              string             `json:"helpUri"`
		DefaultConfiguration sarifConfiguration `json:"defaultConfiguration"`
		Properties           sarifProperties    `json:"properties"`
	}
	sarifMessage struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifConfiguration struct {
		Level string `json:"level"`
	}
	sarifProperties struct {
		Tags             []string `json:"tags"`
		Precision        string   `json:"precision"`
		SecuritySeverity string   `json:"security-severity,omitempty"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool `json:"executionSuccessful"`
		ExitCode            int  `json:"exitCode"`
	}
	sarifResult struct {
		RuleID              string            `json:"ruleId"`
		RuleIndex           int               `json:"ruleIndex"`
		Level               string            `json:"level"`
		Message             sarifMessage      `json:"message"`
		Locations           []sarifLocation   `json:"locations"`
		PartialFingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		PhysicalLocation sarifPhysicalLocation  `json:"physicalLocation"`
		LogicalLocations []sarifLogicalLocation `json:"logicalLocations,omitempty"`
	}
	sarifPhysicalLocation struct {
		ArtifactLocation sarifArtifactLocation `json:"artifactLocation"`
		Region           sarifRegion           `json:"region"`
	}
	sarifArtifactLocation struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndLine     int `json:"endLine"`
		EndColumn   int `json:"endColumn"`
	}
	sarifLogicalLocation struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
)

const (
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	projectURI  = "https://github.com/trail-operator/trail-operator"
	controlURI  = projectURI + "/blob/main/docs/compliance.md"
	problemURI  = projectURI + "/blob/main/docs/check.md"
	// fingerprint names how a result is recognized: by object and control, wherever they are. GitHub's action adds
	// primaryLocationLineHash, and warns of one that it would have made otherwise.
	fingerprint = "trailAndControl/v1"
	// ruleProblem is the rule of what could not be judged.
	ruleProblem        = "not-judged"
	problemDescription = "A manifest that cannot be read, or that the API server would refuse, is not judged."
)

// levels are the levels of severities.
var levels = map[compliance.Severity]string{
	compliance.Critical: "error", compliance.High: "error", compliance.Medium: "warning", compliance.Low: "note",
}

// scores are scores of severities that GitHub shows as these severities: over 9.0 is critical, from 7.0 high, from 4.0
// medium: see reportingDescriptor in
// https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support
var scores = map[compliance.Severity]string{
	compliance.Critical: "9.5", compliance.High: "8.0", compliance.Medium: "5.5", compliance.Low: "2.0",
}

// sarif returns the report as SARIF 2.1.0, with what GitHub's code scanning asks for.
func (r *Report) sarif() (string, error) {
	rules := r.sarifRules()
	results := make([]sarifResult, 0, len(r.Problems)+r.Summary.Fail)
	for i := range r.Problems {
		results = append(results, r.Problems[i].sarif(len(rules)-1))
	}
	for i := range r.Trails {
		results = append(results, r.Trails[i].sarif(rules)...)
	}

	return text.JSON(sarifLog{
		Schema: sarifSchema, Version: "2.1.0",
		Runs: []sarifRun{{
			Tool: sarifTool{sarifDriver{
				Name: "trail-operator", Version: r.Version, InformationURI: projectURI, Rules: rules,
			}},
			Invocations: []sarifInvocation{{
				ExecutionSuccessful: r.Summary.ExitCode != ExitUnjudged, ExitCode: r.Summary.ExitCode,
			}},
			ColumnKind: "unicodeCodePoints",
			Results:    results,
			Properties: map[string]any{"profile": r.Profile.Name},
		}},
	}, "  ")
}

// sarifRules returns the rules: the controls of the profile, and at last that everything can be judged. They are the
// same whatever was found.
func (r *Report) sarifRules() []sarifRule {
	rules := make([]sarifRule, 0, len(r.profile.Controls)+1)
	for _, control := range r.profile.Controls {
		rules = append(rules, r.sarifRule(control))
	}
	return append(rules, sarifRule{
		ID:                   ruleProblem,
		ShortDescription:     sarifMessage{Text: "The manifest can be judged"},
		FullDescription:      sarifMessage{Text: problemDescription},
		Help:                 sarifMessage{Text: "Correct the manifest, or render it if it is a template."},
		HelpURI:              problemURI,
		DefaultConfiguration: sarifConfiguration{"error"},
		Properties:           sarifProperties{Tags: []string{"correctness"}, Precision: "very-high"},
	})
}

// sarifRule returns the rule of a control.
func (r *Report) sarifRule(control *compliance.Control) sarifRule {
	help := fmt.Sprintf("%s.\nRemedy: %s.\nField: %s.", control.Title, control.Remedy, control.Field)
	markdown := control.Title + ".\n\n**Remedy:** " + control.Remedy + ".\n\n**Field:** `" + control.Field + "`\n"
	if references := grouped(r.references(control)); len(references) > 0 {
		help += "\nAsked for by: " + strings.Join(references, "; ") + "."
		markdown += "\n**Asked for by:**\n\n- " + strings.Join(references, "\n- ") + "\n"
	}

	references := r.mainReferences(control)
	tags := make([]string, 0, len(references)+2)
	tags = append(tags, "compliance", "security")
	for _, reference := range references {
		tags = append(tags, reference.Framework+" "+reference.ID)
	}
	return sarifRule{
		ID:                   control.ID,
		ShortDescription:     sarifMessage{Text: control.Title},
		FullDescription:      sarifMessage{Text: fmt.Sprintf("%s. %s.", control.Title, control.Remedy)},
		Help:                 sarifMessage{Text: help, Markdown: markdown},
		HelpURI:              controlURI,
		DefaultConfiguration: sarifConfiguration{levels[control.Severity]},
		Properties:           sarifProperties{tags, "very-high", scores[control.Severity]},
	}
}

// kind is the kind of what is judged.
const kind = "Trail"

// sarif returns the failures of a Trail. What is skipped is left out: code scanning shows suppressed results, too.
func (t *Trail) sarif(rules []sarifRule) []sarifResult {
	failures := t.failures()
	results := make([]sarifResult, 0, len(failures))
	for _, failure := range failures {
		results = append(results, sarifResult{
			RuleID:              failure.Control,
			RuleIndex:           slices.IndexFunc(rules, func(rule sarifRule) bool { return rule.ID == failure.Control }),
			Level:               levels[failure.Severity],
			Message:             sarifMessage{Text: fmt.Sprintf("Trail %s: %s", t.name(), failure.Message)},
			Locations:           []sarifLocation{locationOf(failure.Position, t.File, kind+" "+t.name())},
			PartialFingerprints: fingerprints(kind, t.name(), failure.Control),
		})
	}
	return results
}

// sarif returns a problem as a result, so that it is seen where it is.
func (p *Problem) sarif(rule int) sarifResult {
	object := ""
	if p.Trail != "" {
		object = kind + " " + p.Trail
	}
	return sarifResult{
		RuleID: ruleProblem, RuleIndex: rule, Level: "error",
		Message:             sarifMessage{Text: fmt.Sprintf("%s: %s", cmp.Or(object, p.File), p.Message)},
		Locations:           []sarifLocation{locationOf(p.Position, p.File, object)},
		PartialFingerprints: fingerprints(p.File, p.Trail, p.Message),
	}
}

// fingerprints returns what recognizes a result.
func fingerprints(parts ...string) map[string]string {
	hash := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return map[string]string{fingerprint: hex.EncodeToString(hash[:16])}
}

// locationOf returns where something is. A line has to be named, so it is the first if none is known.
func locationOf(p manifest.Position, file, object string) sarifLocation {
	line, column := max(p.Line, 1), max(p.Column, 1)
	location := sarifLocation{PhysicalLocation: sarifPhysicalLocation{
		ArtifactLocation: sarifArtifactLocation{fileURI(file)},
		Region:           sarifRegion{line, column, line, max(p.End, column+1)},
	}}
	if object != "" {
		location.LogicalLocations = []sarifLogicalLocation{{object, "resource"}}
	}
	return location
}

// fileURI returns the URI of a file, relative to the working folder if the file is in there: code review knows the
// files of a repository by their paths in it, and without links.
func fileURI(file string) string {
	path := filepath.FromSlash(file)
	folder, err := os.Getwd()
	if err == nil {
		folder, err = manifest.RealPath(folder)
	}
	if err != nil {
		return (&url.URL{Path: file}).String()
	}

	resolved, err := manifest.RealPath(path)
	if err != nil {
		// There is no such file, as for the standard input.
		return (&url.URL{Path: file}).String()
	}
	if relative, err := filepath.Rel(folder, resolved); err == nil && filepath.IsLocal(relative) {
		return (&url.URL{Path: filepath.ToSlash(relative)}).String()
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(resolved)}).String()
}
