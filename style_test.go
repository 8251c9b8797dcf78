package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// longest is how many lines a function may have without a paragraph, if it has more than so many steps.
const longest, steps = 20, 3

// TestParagraphs holds that long functions have a blank line between their steps.
func TestParagraphs(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"main.go", "api", "controllers", "hack"} {
		err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			generated := strings.Contains(path, "zz_generated")
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || generated {
				return err
			}
			return checkParagraphs(t, path)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func checkParagraphs(t *testing.T, path string) error {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, content, parser.SkipObjectResolution)
	if err != nil {
		return err
	}

	lines := strings.Split(string(content), "\n")
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Body == nil {
			continue
		}
		start, end := files.Position(function.Body.Lbrace).Line, files.Position(function.Body.Rbrace).Line
		body := lines[start:max(start, end-1)]
		if len(function.Body.List) > steps && len(body) > longest &&
			!slices.Contains(body, "") {
			t.Errorf("%s:%d: %s has %d lines without a paragraph", path, start, function.Name.Name, len(body))
		}
	}
	return nil
}

// TestMakeHelp holds that make's help lists every target that has a description.
func TestMakeHelp(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	described := regexp.MustCompile(`(?m)^([^\s:#]+):.* ## `).FindAllStringSubmatch(string(makefile), -1)
	if len(described) == 0 {
		t.Fatal("no target has a description")
	}
	help, err := exec.CommandContext(t.Context(), "make", "help").CombinedOutput()
	if err != nil {
		t.Fatalf("make help: %v\n%s", err, help)
	}
	for _, target := range described {
		if !strings.Contains("\n"+string(help), "\n  "+target[1]+" ") {
			t.Errorf("make help does not list %s", target[1])
		}
	}
}
