package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"sigs.k8s.io/yaml"
)

const github = "../../.github"

// workflows are the files of GitHub's workflows.
func workflows(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(github, "workflows", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d workflows (%v)", len(files), err)
	}
	return files
}

// TestWorkflows lints the workflows.
func TestWorkflows(t *testing.T) {
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found, err := linter.LintFiles(workflows(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		t.Error(e)
	}
}

// TestActionsArePinned holds that nobody can change what an action does by moving a tag.
func TestActionsArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	for _, workflow := range workflows(t) {
		text, err := os.ReadFile(workflow)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if _, action, ok := strings.Cut(line, "uses: "); ok && !pinned.MatchString(strings.TrimSpace(action)) {
				t.Errorf("%s: %s is not pinned by its commit, with the version as a comment", workflow, action)
			}
		}
	}
}

// TestPermissions holds that a workflow has no permissions but those that its jobs ask for.
func TestPermissions(t *testing.T) {
	for _, file := range workflows(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var workflow struct {
			Permissions *map[string]string `json:"permissions"`
		}
		if err := yaml.Unmarshal(text, &workflow); err != nil {
			t.Fatal(err)
		}
		if workflow.Permissions == nil || len(*workflow.Permissions) > 0 {
			t.Errorf("%s: the permissions of all jobs are %v, want none", file, workflow.Permissions)
		}
	}
}

// TestUpdates holds that Dependabot updates every Go module of the repository.
func TestUpdates(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(github, "dependabot.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var dependabot struct {
		Updates []struct {
			Ecosystem   string   `json:"package-ecosystem"`
			Directories []string `json:"directories"`
		} `json:"updates"`
	}
	if err := yaml.Unmarshal(text, &dependabot); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, update := range dependabot.Updates {
		if update.Ecosystem == "gomod" {
			got = append(got, update.Directories...)
		}
	}
	slices.Sort(got)
	if want := modules(t); !slices.Equal(got, want) {
		t.Errorf("Dependabot updates the modules %q, want %q", got, want)
	}
}

// modules are the folders of the repository's Go modules, as Dependabot names them.
func modules(t *testing.T) []string {
	t.Helper()
	var found []string
	root := os.DirFS("../..")
	if err := fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{"bin", "dist", ".git", "testdata"}, entry.Name()) {
			return fs.SkipDir
		}
		if entry.Name() == "go.mod" {
			found = append(found, strings.TrimSuffix("/"+strings.TrimSuffix(path, "go.mod"), "/"))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i, folder := range found {
		if folder == "" {
			found[i] = "/"
		}
	}
	slices.Sort(found)
	return found
}
