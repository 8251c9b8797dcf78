package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A source of docs/comparison.md is a footnote: a cell refers to it, and it is defined at the end, by links.
var (
	sourceReference  = regexp.MustCompile(`\[\^([\w-]+)\]`)
	sourceDefinition = regexp.MustCompile(`(?m)^\[\^([\w-]+)\]: (.*)$`)
	linkToTest       = regexp.MustCompile("\\[`([^`]+)`\\]\\(([^)]+_test\\.go)\\)")
)

// TestComparisonHasSources holds that every cell of the comparison has a source, that every source is defined once, by
// a link, and used, and that the tests that are named exist. That the links lead is checked with those of all
// documents.
func TestComparisonHasSources(t *testing.T) {
	t.Parallel()
	const folder = "docs"
	content, err := os.ReadFile(filepath.Join(folder, "comparison.md"))
	if err != nil {
		t.Fatal(err)
	}

	defined := map[string]bool{}
	for _, definition := range sourceDefinition.FindAllStringSubmatch(string(content), -1) {
		name, source := definition[1], definition[2]
		if defined[name] {
			t.Errorf("%s is defined twice", name)
		}
		if !strings.Contains(source, "](") {
			t.Errorf("%s has no link: %s", name, source)
		}
		defined[name] = true
		checkNamedTests(t, folder, source)
	}

	used := map[string]bool{}
	for _, cell := range comparedCells(string(content)) {
		references := sourceReference.FindAllStringSubmatch(cell, -1)
		if len(references) == 0 {
			t.Errorf("no source: %q", cell)
		}
		for _, reference := range references {
			used[reference[1]] = true
		}
	}
	if !maps.Equal(defined, used) {
		t.Errorf("defined are\n%q, used\n%q", slices.Sorted(maps.Keys(defined)), slices.Sorted(maps.Keys(used)))
	}
}

// comparedCells are the cells of all tables, without headings and without the first column, which says what is
// compared.
func comparedCells(document string) []string {
	var cells []string
	inTable := false
	for line := range strings.Lines(document) {
		row, isRow := strings.CutPrefix(strings.TrimSpace(line), "|")
		switch {
		case !isRow:
			inTable = false
		case strings.HasPrefix(row, "---"):
			inTable = true
		case inTable:
			columns := strings.Split(strings.TrimSuffix(row, "|"), "|")
			cells = append(cells, columns[1:]...)
		}
	}
	return cells
}

// checkNamedTests holds that a test function, or the text of a spec, is in the file to which its name links.
func checkNamedTests(t *testing.T, folder, source string) {
	t.Helper()
	for _, found := range linkToTest.FindAllStringSubmatch(source, -1) {
		name, path := found[1], filepath.Join(folder, found[2])
		content, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		inCode := `("` + name
		if strings.HasPrefix(name, "Test") {
			inCode = "func " + name + "("
		}
		if !strings.Contains(string(content), inCode) {
			t.Errorf("%s has no %s", path, name)
		}
	}
}

// TestQuestionsLeadOn holds that every answer of docs/faq.md leads to a document that says more.
func TestQuestionsLeadOn(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join("docs", "faq.md"))
	if err != nil {
		t.Fatal(err)
	}

	questions := strings.Split(string(content), "\n## ")[1:]
	if len(questions) == 0 {
		t.Fatal("no questions")
	}
	for _, question := range questions {
		title, answer, _ := strings.Cut(question, "\n")
		if !strings.HasSuffix(title, "?") || !strings.Contains(answer, "](") {
			t.Errorf("no question with a link: %s", title)
		}
	}
}
