package main

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdxlib"
)

func TestSBOM(t *testing.T) {
	binary := &buildinfo.BuildInfo{
		GoVersion: "go1.26.1",
		Main:      debug.Module{Path: "github.com/trail-operator/trail-operator", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.com/a", Version: "v1.0.0+incompatible"},
			{Path: "example.com/b", Version: "v2.0.0", Replace: &debug.Module{Path: "example.com/fork", Version: "v2.0.1"}},
		},
	}
	tool := &debug.BuildInfo{Deps: []*debug.Module{
		{Path: "example.com/only-in-the-tool", Version: "v3.0.0"},
		{Path: certificateModule, Version: "v0.0.1"},
	}}
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}

	written := newSBOM("v1.2.3", "arm64", digest, time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC))
	if err := written.addModules(binary, tool); err != nil {
		t.Fatal(err)
	}
	document := writeAndRead(t, written)

	if got := document.CreationInfo.Created; got != "2026-11-22T01:02:03Z" {
		t.Errorf("created at %s", got)
	}
	want := []string{
		"pkg:golang/example.com/a@v1.0.0+incompatible",
		"pkg:golang/example.com/fork@v2.0.1",
		"pkg:golang/github.com/trail-operator/trail-operator@v1.2.3",
		"pkg:golang/golang.org/x/crypto/x509roots/fallback@v0.0.1",
		"pkg:golang/stdlib@1.26.1",
		"pkg:oci/trail-operator@sha256:" + digest.Hex + "?arch=arm64&tag=v1.2.3",
	}
	if got := purls(document); !slices.Equal(got, want) {
		t.Errorf("the SBOM has %q, want %q", got, want)
	}
}

func TestSBOMNeedsTheCertificatesVersion(t *testing.T) {
	written := newSBOM("v1.2.3", "arm64", v1.Hash{}, time.Unix(0, 0))
	if err := written.addModules(&buildinfo.BuildInfo{}, &debug.BuildInfo{}); err == nil {
		t.Error("an SBOM without the certificates was written")
	}
}

// TestSBOMOfBinary has the SBOMs of images whose binary is this test, which Go has built as it builds any program.
func TestSBOMOfBinary(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binaries := t.TempDir()
	if err := os.Mkdir(filepath.Join(binaries, "linux-amd64"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(binaries, "linux-amd64", program)); err != nil {
		t.Fatal(err)
	}

	folder := t.TempDir()
	if err := run([]string{
		"-binaries", binaries, "-version", "v1", "-name", "example:v1",
		"-output", filepath.Join(folder, "image.tar"), "-sboms", folder,
	}); err != nil {
		t.Fatal(err)
	}
	document := read(t, filepath.Join(folder, "trail-operator_v1_linux_amd64.spdx.json"))
	for _, module := range []string{"stdlib", certificateModule, "github.com/google/go-containerregistry"} {
		if !slices.ContainsFunc(purls(document), func(purl string) bool {
			return strings.HasPrefix(purl, "pkg:golang/"+module+"@")
		}) {
			t.Errorf("the SBOM lacks %s", module)
		}
	}
}

func TestSourceDate(t *testing.T) {
	for text, want := range map[string]string{"": "1970-01-01T00:00:00Z", "1795000000": "2026-11-18T11:06:40Z"} {
		t.Setenv("SOURCE_DATE_EPOCH", text)
		if got, err := sourceDate(); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%q is %s (%v), want %s", text, got.Format(time.RFC3339), err, want)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := sourceDate(); err == nil {
		t.Error("yesterday was taken for a number")
	}
}

func writeAndRead(t *testing.T, written *sbom) *spdx.Document {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sbom.json")
	if err := written.write(file); err != nil {
		t.Fatal(err)
	}
	return read(t, file)
}

// read reads a document, in which every relationship is one of packages that are there.
func read(t *testing.T, file string) *spdx.Document {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	document, err := spdxjson.Read(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(document); err != nil {
		t.Error(err)
	}
	return document
}

func purls(document *spdx.Document) []string {
	var found []string
	for _, p := range document.Packages {
		for _, reference := range p.PackageExternalReferences {
			found = append(found, reference.Locator)
		}
	}
	slices.Sort(found)
	return found
}
