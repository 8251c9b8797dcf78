package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
)

const changelog = `# Changelog

## Unreleased

### Added

- Something new

## [0.2.0] - 2026-11-22

Read this first.

### Changed

- **Trail**: one thing of
  two lines, see [the guide](docs/guide.md)
- another ` + "`thing`" + `

### Security

- a fix

## v0.1.0

### Removed
`

func TestNotes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "CHANGELOG.md")
	if err := os.WriteFile(file, []byte(changelog), 0o600); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string][]change{
		"v0.3.0-rc.1": {{Kind: "added", Description: "Something new"}},
		"v0.2.0": {
			{Kind: "changed", Description: "Trail: one thing of two lines, see the guide"},
			{Kind: "changed", Description: "another thing"},
			{Kind: "security", Description: "a fix"},
		},
		"v0.1.0": nil,
	} {
		n, err := readNotes(file, version)
		if err != nil {
			t.Errorf("%s: %v", version, err)
		}
		if !slices.Equal(n.changes, want) {
			t.Errorf("%s has %q, want %q", version, n.changes, want)
		}
	}

	n, err := readNotes(file, "v0.2.0")
	if err != nil || !strings.HasPrefix(n.text, "Read this first.") || !strings.HasSuffix(n.text, "- a fix") {
		t.Errorf("the notes are %q (%v)", n.text, err)
	}
	if n, err := readNotes(file, "v0.3.0"); err == nil {
		t.Errorf("a version without a section has the notes %q", n.text)
	}
}

// TestNothingUnreleased has the changelog as it is just after a release.
func TestNothingUnreleased(t *testing.T) {
	file := filepath.Join(t.TempDir(), "CHANGELOG.md")
	if err := os.WriteFile(file, []byte("## Unreleased\n\n## v0.1.0\n\n- all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := readNotes(file, "v0.2.0-rc.1"); err != nil || n.text != "" {
		t.Errorf("the notes are %q (%v)", n.text, err)
	}
}

func TestArguments(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1795000000")
	for _, arguments := range [][]string{
		nil,
		{"publish", "-version", "v0.1.0", "-registry", "registry.example.com/team"},
		{"push", "-version", "0.1.0", "-registry", "registry.example.com/team"},
		{"push", "-version", "v0.1", "-registry", "registry.example.com/team"},
		{"push", "-version", "v0.1.0+build", "-registry", "registry.example.com/team"},
		{"push", "-version", "v0.1.0"},
		{"push", "-registry", "registry.example.com/team"},
		{"manifests", "-version", "v0.1.0", "-registry", "registry.example.com/team", "-digest", "latest"},
	} {
		if err := run(t.Context(), arguments); err == nil {
			t.Errorf("%q was taken", arguments)
		}
	}
}

// TestCheck holds that no release installs another version's image from a checkout of its tag, or has no notes.
func TestCheck(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1795000000")
	root := t.TempDir()
	for name, text := range map[string]string{
		chartDir + "/Chart.yaml": "version: 0.1.0\nappVersion: v0.1.0\n",
		"CHANGELOG.md":           "## Unreleased\n\n- New.\n\n## v0.1.0 - 2026-12-01\n\n- The first one.\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(version string) error {
		return run(t.Context(),
			[]string{"check", "-root", root, "-version", version, "-registry", "registry.example.com/team"})
	}

	for version, want := range map[string]bool{"v0.1.0": true, "v0.2.0": false, "v0.2.0-rc.1": true} {
		if err := check(version); (err == nil) != want {
			t.Errorf("%s: %v", version, err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "CHANGELOG.md"), []byte("## Unreleased\n\n- New.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := check("v0.1.0"); err == nil || !strings.Contains(err.Error(), "no section ## v0.1.0") {
		t.Errorf("without notes: %v", err)
	}
}

// TestArchiveStaysInside holds that an image's archive cannot write outside of the folder it is unpacked to.
func TestArchiveStaysInside(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "inside")
	if _, err := unpack([]file{{name: "../outside"}}, folder); err == nil || !strings.Contains(err.Error(), "outside of") {
		t.Errorf("unpacked ../outside: %v", err)
	}
}

// TestArchiveIsReproducible packs the same files at two times of the clock.
func TestArchiveIsReproducible(t *testing.T) {
	modified := time.Unix(1795000000, 0)
	var written [][]byte
	for range 2 {
		path := filepath.Join(t.TempDir(), "x.tar.gz")
		if err := writeArchive(path, []file{{name: "a", mode: 0o755, content: []byte("b")}}, modified); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || !info.ModTime().Equal(modified) {
			t.Errorf("the file is of %v (%v)", info.ModTime(), err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		written = append(written, content)
	}
	if !bytes.Equal(written[0], written[1]) {
		t.Error("two archives of the same files differ")
	}
}

// TestSBOMsDiffer holds that an SBOM is one of a single image.
func TestSBOMsDiffer(t *testing.T) {
	content := []byte("{}")
	var digests []v1.Hash
	for _, hex := range []string{"a", "b"} {
		artifact, err := sbomArtifact(content, v1.Descriptor{Digest: v1.Hash{Algorithm: "sha256", Hex: hex}})
		if err != nil {
			t.Fatal(err)
		}
		digest, err := artifact.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
	}
	if digests[0] == digests[1] {
		t.Error("the same artifact refers to two images")
	}
}
