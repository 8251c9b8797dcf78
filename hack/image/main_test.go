package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// largest is what the image of one architecture may have, compressed.
const largest = 40 << 20

// archive is the image that `make image` has written.
func archive(t *testing.T) string {
	t.Helper()
	path := os.Getenv("IMAGE")
	if path == "" {
		t.Skip("IMAGE names no archive: run make image")
	}
	return path
}

func TestImage(t *testing.T) {
	index := load(t, archive(t))
	if err := validate.Index(index); err != nil {
		t.Errorf("the archive is damaged: %v", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for _, descriptor := range manifest.Manifests {
		architecture := descriptor.Platform.Architecture
		t.Run(architecture, func(t *testing.T) {
			image, err := index.Image(descriptor.Digest)
			if err != nil {
				t.Fatal(err)
			}
			checkConfig(t, image, architecture)
			files := checkLayer(t, image)
			checkBinary(t, files[name], machines[architecture])
			if !x509.NewCertPool().AppendCertsFromPEM(files[certificate].content) {
				t.Error("there are no certificate authorities")
			}
		})
		delete(machines, architecture)
	}
	if len(machines) > 0 {
		t.Errorf("there is no image for %v", machines)
	}
}

func checkConfig(t *testing.T, image v1.Image, architecture string) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("the user is %q; the kubelet can tell that it is not root only by a number", config.Config.User)
	}
	if !slices.Equal(config.Config.Entrypoint, []string{"/trail-operator"}) {
		t.Errorf("the entrypoint is %v", config.Config.Entrypoint)
	}
	if config.Architecture != architecture || config.OS != "linux" {
		t.Errorf("the platform is %s/%s, want linux/%s", config.OS, config.Architecture, architecture)
	}
}

// checkLayer returns the image's files.
func checkLayer(t *testing.T, image v1.Image) map[string]file {
	t.Helper()
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers (%v), want 1", len(layers), err)
	}
	if size, err := layers[0].Size(); err != nil || size > largest {
		t.Errorf("the layer has %d bytes (%v), want %d at most", size, err, largest)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	files := map[string]file{}
	for reader := tar.NewReader(content); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = file{name: header.Name, mode: header.Mode, content: text}
	}
	want := []string{"etc/", "etc/group", "etc/passwd", "etc/ssl/", "etc/ssl/certs/", certificate, "tmp/", name}
	for path, f := range files {
		if !slices.Contains(want, path) {
			t.Errorf("%s has no place in the image", path)
		}
		if f.mode&0o6000 != 0 {
			t.Errorf("%s is setuid or setgid", path)
		}
	}
	return files
}

func checkBinary(t *testing.T, f file, machine elf.Machine) {
	t.Helper()
	binary, err := elf.NewFile(bytes.NewReader(f.content))
	if err != nil {
		t.Fatal(err)
	}
	if binary.Machine != machine {
		t.Errorf("the binary is for %s, want %s", binary.Machine, machine)
	}
	if f.mode != 0o755 {
		t.Errorf("the binary has mode %o", f.mode)
	}
	for _, program := range binary.Progs {
		if program.Type == elf.PT_INTERP {
			t.Error("the binary is linked dynamically")
		}
	}
}

// load unpacks the archive and returns the only index in it.
func load(t *testing.T, path string) v1.ImageIndex {
	t.Helper()
	content, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	folder := t.TempDir()
	for reader := tar.NewReader(content); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(folder, filepath.FromSlash(header.Name))
		if header.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(target, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("the archive has %d images (%v), want 1", len(manifest.Manifests), err)
	}
	inner, err := index.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return inner
}

func TestRunNeedsBinaries(t *testing.T) {
	if err := run([]string{"-binaries", t.TempDir(), "-output", filepath.Join(t.TempDir(), "x.tar")}); err == nil {
		t.Error("an image without a binary was written")
	}
}

func TestSameInputsGiveTheSameBytes(t *testing.T) {
	binaries := t.TempDir()
	if err := os.MkdirAll(filepath.Join(binaries, "linux-amd64"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(binaries, "linux-amd64", name), []byte("binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	var archives [][]byte
	for range 2 {
		output := filepath.Join(t.TempDir(), "image.tar")
		if err := run([]string{"-binaries", binaries, "-version", "v1", "-output", output}); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(output)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, content)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of the same inputs differ")
	}
}
