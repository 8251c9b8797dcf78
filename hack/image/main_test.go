package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1"
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
	path := archive(t)
	checkTar(t, path)
	index := load(t, path)
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
			checkBinary(t, files[program], machines[architecture])
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
	unpacked, err := io.ReadAll(content)
	if err := errors.Join(err, content.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "layer.tar")
	if err := os.WriteFile(path, unpacked, 0o600); err != nil {
		t.Fatal(err)
	}
	checkTar(t, path)

	files := map[string]file{}
	for _, f := range untar(t, path) {
		files[f.name] = f
	}
	want := []string{"etc/", "etc/group", "etc/passwd", "etc/ssl/", "etc/ssl/certs/", certificate, "tmp/", program}
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
	for _, segment := range binary.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Error("the binary is linked dynamically")
		}
	}
}

// checkTar has tar list an archive: unlike Go's reader, it insists on the end of the archive.
func checkTar(t *testing.T, path string) {
	t.Helper()
	if output, err := exec.Command("tar", "-tf", path).CombinedOutput(); err != nil {
		t.Errorf("tar -tf %s: %v\n%s", path, err, output)
	}
}

// untar returns what is in an archive.
func untar(t *testing.T, path string) []file {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	var files []file
	for reader := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{name: header.Name, mode: header.Mode, content: text})
	}
}

// describe unpacks the archive and returns the layout in it, and the descriptor of its only index.
func describe(t *testing.T, path string) (v1.ImageIndex, v1.Descriptor) {
	t.Helper()
	folder := t.TempDir()
	for _, f := range untar(t, path) {
		target := filepath.Join(folder, filepath.FromSlash(f.name))
		if strings.HasSuffix(f.name, "/") {
			if err := os.MkdirAll(target, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(target, f.content, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	outer, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("the archive has %d images, want 1", len(manifest.Manifests))
	}
	return outer, manifest.Manifests[0]
}

// load returns the only index in the archive.
func load(t *testing.T, path string) v1.ImageIndex {
	t.Helper()
	outer, descriptor := describe(t, path)
	index, err := outer.ImageIndex(descriptor.Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func TestRunNeedsBinaries(t *testing.T) {
	output := filepath.Join(t.TempDir(), "image.tar")
	if err := run([]string{"-binaries", t.TempDir(), "-name", "example:v1", "-output", output}); err == nil {
		t.Error("an image without a binary was written")
	}
}

// writeArchive writes the archive of an image whose binary is a text, and returns its path.
func writeArchive(t *testing.T, imageName string) string {
	t.Helper()
	binaries := t.TempDir()
	if err := os.MkdirAll(filepath.Join(binaries, "linux-amd64"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(binaries, "linux-amd64", program), []byte("binary"), 0o600); err != nil {
		t.Fatal(err)
	}

	output := filepath.Join(t.TempDir(), "image.tar")
	if err := run([]string{"-binaries", binaries, "-version", "v1", "-name", imageName, "-output", output}); err != nil {
		t.Fatal(err)
	}
	return output
}

func TestSameInputsGiveTheSameBytes(t *testing.T) {
	var archives [][]byte
	for range 2 {
		content, err := os.ReadFile(writeArchive(t, "example:v1"))
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, content)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of the same inputs differ")
	}
}

// TestTarIsComplete has files of all lengths around a block of an archive, which is padded.
func TestTarIsComplete(t *testing.T) {
	for _, length := range []int{0, 1, 511, 512, 513} {
		content, err := tarOf([]file{{name: "file", mode: 0o644, content: make([]byte, length)}})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "file.tar")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		checkTar(t, path)
	}
}

// TestName holds by which name containerd has an imported image: the one that the kubelet asks for when a pod has this
// image, which is the name as Docker's reference library normalizes it.
func TestName(t *testing.T) {
	for imageName, want := range map[string]string{
		"trail-operator":                              "docker.io/library/trail-operator:latest",
		"trail-operator:v1":                           "docker.io/library/trail-operator:v1",
		"example/trail-operator:v1":                   "docker.io/example/trail-operator:v1",
		"docker.io/trail-operator:v1":                 "docker.io/library/trail-operator:v1",
		"ghcr.io/trail-operator/trail-operator:v1":    "ghcr.io/trail-operator/trail-operator:v1",
		"registry.example.com:5000/trail-operator:v1": "registry.example.com:5000/trail-operator:v1",
	} {
		_, descriptor := describe(t, writeArchive(t, imageName))
		if got := descriptor.Annotations["io.containerd.image.name"]; got != want {
			t.Errorf("%s: containerd has it as %q, want %q", imageName, got, want)
		}
		_, tag, _ := strings.Cut(path.Base(want), ":")
		if got := descriptor.Annotations["org.opencontainers.image.ref.name"]; got != tag {
			t.Errorf("%s: the reference in the layout is %q, want %q", imageName, got, tag)
		}
	}

	digested := "trail-operator@sha256:" + strings.Repeat("0", 64)
	for _, imageName := range []string{"Trail-Operator:v1", "trail-operator:", digested} {
		if named, err := parseName(imageName); err == nil {
			t.Errorf("%s: taken as %s", imageName, named)
		}
	}
}
