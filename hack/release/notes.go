package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/mod/semver"
)

// notes is the section of the changelog for a version.
type notes struct {
	text    string
	changes []change
}

// change is an entry of the changelog, as Artifact Hub shows it.
// https://artifacthub.io/docs/topics/annotations/helm/#supported-annotations
type change struct {
	Kind        string `json:"kind"`
	Description string `json:"description"`
}

// readNotes reads the section of a version. A prerelease is of what is not released yet, which may be nothing.
func readNotes(file, version string) (notes, error) {
	changelog, err := os.ReadFile(file)
	if err != nil {
		return notes{}, err
	}
	text, found := section(string(changelog), version)
	if !found && semver.Prerelease(version) != "" {
		text, found = section(string(changelog), "Unreleased")
		found = found || text == ""
	}
	if !found {
		return notes{}, fmt.Errorf("%s has no section ## %s with an entry: see docs/release.md", file, version)
	}
	return notes{text: text, changes: changesOf(text)}, nil
}

// heading is that of a version in a changelog: `## v0.1.0`, `## [0.1.0] - 2026-01-31` and the like.
var heading = regexp.MustCompile(`^## \[?v?([^\]\s]+)\]?(?: - .*)?$`)

// section returns what is below the heading of a version, and whether there is anything.
func section(changelog, version string) (string, bool) {
	var out strings.Builder
	inside := false
	for line := range strings.Lines(changelog) {
		if match := heading.FindStringSubmatch(strings.TrimSpace(line)); match != nil {
			inside = match[1] == strings.TrimPrefix(version, "v")
			continue
		}
		if inside {
			out.WriteString(line)
		}
	}
	text := strings.TrimSpace(out.String())
	return text, text != ""
}

// kinds are the kinds of changes that Keep a Changelog has headings for; Artifact Hub has the same ones.
var kinds = map[string]string{
	"### Added":      "added",
	"### Changed":    "changed",
	"### Deprecated": "deprecated",
	"### Removed":    "removed",
	"### Fixed":      "fixed",
	"### Security":   "security",
}

// changesOf returns the entries below the headings of a section, each on one line and without Markdown.
func changesOf(text string) []change {
	var changes []change
	kind := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		entry, isEntry := strings.CutPrefix(line, "- ")
		switch {
		case strings.HasPrefix(line, "#"):
			kind = kinds[line]
		case kind == "":
		case isEntry:
			changes = append(changes, change{Kind: kind, Description: entry})
		case strings.HasPrefix(line, "  ") && len(changes) > 0:
			changes[len(changes)-1].Description += " " + strings.TrimSpace(line)
		}
	}

	for i := range changes {
		changes[i].Description = plain(changes[i].Description)
	}
	return changes
}

// link is one of Markdown; its text is the first group.
var link = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

// plain is a text without Markdown.
func plain(text string) string {
	return strings.NewReplacer("**", "", "`", "").Replace(link.ReplaceAllString(text, "$1"))
}

// writeNotes writes the notes for the release's page: the changes, and what to install.
func (r *release) writeNotes(n notes, digest v1.Hash) error {
	text := fmt.Sprintf(`%s

## Install

    helm install trail-operator oci://%s/%s --version %s --namespace trail-operator-system --create-namespace

The image is `+"`%s:%s@%s`"+`. The chart and `+"`install.yaml`"+` name it by this digest. The installation guide,
docs/install.md, says how to verify the signatures and the provenance.
`, n.text, r.charts(), program, r.chartVersion(), r.image(), r.version, digest)
	return os.WriteFile(r.asset(notesFile), []byte(strings.TrimLeft(text, "\n")), 0o644)
}
