package main

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/cmd/crane/cmd"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const (
	// guide tells how to get the archive to a registry.
	guide = "../../docs/install.md"
	// exampleRegistry is the registry that the guide's commands push to.
	exampleRegistry = "registry.example.com"
)

// TestDocumentedPush follows the guide: it runs the commands that push the archive with crane, by crane's own code, and
// pulls from the registry what a node of either architecture would.
func TestDocumentedPush(t *testing.T) {
	pushed := load(t, archive(t))
	host := serveRegistry(t)

	commands := commandsOf(t, guide, "mkdir -p bin/layout", "crane push")

	t.Chdir(t.TempDir())
	if err := os.Mkdir("bin", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(archive(t), filepath.Join("bin", "image.tar")); err != nil {
		t.Fatal(err)
	}

	var reference string
	for _, command := range commands {
		command = strings.ReplaceAll(command, exampleRegistry, host)
		arguments := strings.Fields(command)
		if arguments[0] != "crane" {
			if output, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, output)
			}
			continue
		}
		reference = arguments[len(arguments)-1]
		crane := cmd.New("crane", "", nil)
		crane.SetArgs(arguments[1:])
		crane.SetOut(io.Discard)
		if err := crane.ExecuteContext(t.Context()); err != nil {
			t.Fatalf("%s: %v", command, err)
		}
	}

	checkPulled(t, reference, pushed)
}

// serveRegistry serves an empty registry on loopback, and returns its HOST:PORT.
func serveRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// commandsOf returns the commands of a document that begin so, in their order. Each of the beginnings must be there.
func commandsOf(t *testing.T, document string, beginnings ...string) []string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}

	var commands []string
	missing := map[string]bool{}
	for _, beginning := range beginnings {
		missing[beginning] = true
	}
	for line := range strings.Lines(string(text)) {
		command, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "    ")
		for _, beginning := range beginnings {
			if ok && strings.HasPrefix(command, beginning) {
				commands = append(commands, command)
				delete(missing, beginning)
			}
		}
	}
	if len(missing) > 0 {
		t.Fatalf("%s has no command with %v", document, missing)
	}
	return commands
}

// checkPulled compares what is in a registry with what was pushed, as a node of each architecture pulls it.
func checkPulled(t *testing.T, reference string, pushed v1.ImageIndex) {
	t.Helper()
	from, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(from)
	if err != nil {
		t.Fatalf("%s is no index: %v", reference, err)
	}
	checkDigest(t, reference, index, pushed)
	if err := validate.Index(index); err != nil {
		t.Errorf("%s is damaged: %v", reference, err)
	}

	manifest, err := pushed.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		image, err := remote.Image(from, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: architecture}))
		if err != nil {
			t.Fatalf("pulling %s on %s: %v", reference, architecture, err)
		}
		for _, descriptor := range manifest.Manifests {
			if descriptor.Platform.Architecture == architecture {
				want, err := pushed.Image(descriptor.Digest)
				if err != nil {
					t.Fatal(err)
				}
				checkDigest(t, reference+" on "+architecture, image, want)
			}
		}
		if architecture == runtime.GOARCH && runtime.GOOS == "linux" {
			runImage(t, image)
		}
	}
}

// digester is an image or an index.
type digester interface{ Digest() (v1.Hash, error) }

func checkDigest(t *testing.T, what string, got, want digester) {
	t.Helper()
	gotDigest, err := got.Digest()
	if err != nil {
		t.Fatal(err)
	}
	wantDigest, err := want.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if gotDigest != wantDigest {
		t.Errorf("%s has the digest %s, want %s", what, gotDigest, wantDigest)
	}
}

// runImage runs the binary of an image, which says of which version it is.
func runImage(t *testing.T, image v1.Image) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), program)
	if err := os.WriteFile(binary, checkLayer(t, image)[program].content, 0o700); err != nil {
		t.Fatal(err)
	}

	output, err := exec.Command(binary, "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("running the image: %v\n%s", err, output)
	}
	label := config.Config.Labels["org.opencontainers.image.version"]
	if got := strings.TrimSpace(string(output)); got != label {
		t.Errorf("the image runs version %q, its label says %q", got, label)
	}
}
