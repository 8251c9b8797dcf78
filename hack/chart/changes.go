package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

const changelog = "CHANGELOG.md"

// change is an entry of the annotation artifacthub.io/changes, as Artifact Hub documents it.
type change struct {
	Kind        string `json:"kind"`
	Description string `json:"description"`
}

// kindsOfChange are the kinds that Artifact Hub knows. They are the headings of Keep a Changelog, in lower case.
var kindsOfChange = []string{"added", "changed", "deprecated", "removed", "fixed", "security"}

// changesBlock is the annotation in Chart.yaml, with its lines.
var changesBlock = regexp.MustCompile(`(?m)^  artifacthub\.io/changes: \|\n(?:    .*\n)*`)

// writeChanges has the chart say what is new: the entries of the first version in the changelog that has any.
func writeChanges() error {
	text, err := os.ReadFile(changelog)
	if err != nil {
		return err
	}
	changes, err := readChanges(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", changelog, err)
	}
	lines, err := yaml.Marshal(changes)
	if err != nil {
		return err
	}

	file := chart + "/Chart.yaml"
	metadata, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !changesBlock.Match(metadata) {
		return fmt.Errorf("%s: no annotation artifacthub.io/changes", file)
	}
	indented := strings.ReplaceAll("\n"+strings.TrimSpace(string(lines)), "\n", "\n    ")
	block := "  artifacthub.io/changes: |" + indented + "\n"
	return os.WriteFile(file, changesBlock.ReplaceAllLiteral(metadata, []byte(block)), 0o644)
}

// readChanges returns the entries of the first version that has any.
func readChanges(text string) ([]change, error) {
	_, versions, _ := strings.Cut(text, "\n## ")
	for version := range strings.SplitSeq(versions, "\n## ") {
		changes, err := changesOf(version)
		if err != nil || len(changes) > 0 {
			return changes, err
		}
	}
	return nil, fmt.Errorf("no version has an entry")
}

// changesOf returns the entries of a version, in the order of the changelog.
func changesOf(version string) ([]change, error) {
	var changes []change
	parts := strings.Split(version, "\n### ")
	for _, part := range parts[1:] {
		title, list, _ := strings.Cut(part, "\n")
		kind := strings.ToLower(strings.TrimSpace(title))
		if !slices.Contains(kindsOfChange, kind) {
			return nil, fmt.Errorf("%q is no heading of Keep a Changelog", title)
		}

		entries := strings.Split("\n"+list, "\n- ")
		for _, entry := range entries[1:] {
			changes = append(changes, change{Kind: kind, Description: plain(entry)})
		}
	}
	return changes, nil
}

// Artifact Hub shows descriptions as they are, so Markdown goes.
var (
	markdownLink = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	markdownMark = strings.NewReplacer("**", "", "`", "")
)

// plain returns an entry in one line of plain text: its first paragraph.
func plain(entry string) string {
	paragraph, _, _ := strings.Cut(entry, "\n\n")
	return markdownMark.Replace(markdownLink.ReplaceAllString(strings.Join(strings.Fields(paragraph), " "), "$1"))
}
