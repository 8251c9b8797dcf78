package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"sigs.k8s.io/yaml"
)

// preparedFor is the registry that `make release-test` has prepared the release for.
const preparedFor = "registry.example.com/team"

// prepared returns the release that `make release-test` has written, to be pushed to a registry on loopback.
func prepared(t *testing.T, options ...registry.Option) *release {
	t.Helper()
	dist := os.Getenv("DIST")
	if dist == "" {
		t.Skip("DIST names no release: run make release-test")
	}
	options = append(options, registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(registry.New(options...))
	t.Cleanup(server.Close)

	return &release{
		version:  os.Getenv("VERSION"),
		registry: strings.TrimPrefix(server.URL, "http://") + "/team",
		dist:     dist,
		helm:     os.Getenv("HELM"),
		created:  time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
	}
}

// pushed pushes a release, and returns what push has printed.
func pushed(t *testing.T, r *release) map[string]string {
	t.Helper()
	// Neither the credentials of whoever runs the test nor their settings of Helm.
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("HELM_REGISTRY_CONFIG", filepath.Join(t.TempDir(), "config.json"))
	t.Setenv("HELM_CACHE_HOME", t.TempDir())

	var out bytes.Buffer
	if err := r.push(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	printed := map[string]string{}
	for line := range strings.Lines(out.String()) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		printed[key] = value
	}
	return printed
}

// TestPushedImage pulls what a node would, and runs it.
func TestPushedImage(t *testing.T) {
	for title, referrers := range map[string]bool{"a registry with referrers": true, "one without, as ghcr.io": false} {
		t.Run(title, func(t *testing.T) {
			r := prepared(t, registry.WithReferrersSupport(referrers))
			printed := pushed(t, r)
			pinned, err := name.NewDigest(printed["image"] + "@" + printed["image_digest"])
			if err != nil {
				t.Fatal(err)
			}
			tagged, err := name.NewTag(r.image() + ":" + r.version)
			if err != nil {
				t.Fatal(err)
			}
			if head, err := remote.Head(tagged); err != nil || head.Digest.String() != pinned.DigestStr() {
				t.Errorf("the tag has %v (%v), want %s", head, err, pinned)
			}

			index, err := remote.Index(pinned)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Index(index); err != nil {
				t.Error(err)
			}
			manifest, err := index.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			for _, descriptor := range manifest.Manifests {
				checkSBOM(t, r, pinned.Context(), descriptor)
			}
			runImage(t, r, pinned)
		})
	}
}

// checkSBOM finds the SBOM of an image as a tool does that knows the image only.
func checkSBOM(t *testing.T, r *release, repository name.Repository, image v1.Descriptor) {
	t.Helper()
	index, err := remote.Referrers(repository.Digest(image.Digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].ArtifactType != "application/spdx+json" {
		t.Fatalf("referrers of %s: %+v, want one SBOM", image.Platform, manifest.Manifests)
	}

	artifact, err := remote.Image(repository.Digest(manifest.Manifests[0].Digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := artifact.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers (%v), want the SBOM", len(layers), err)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(r.sbom(*image.Platform))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) || !bytes.Contains(got, []byte(image.Digest.Hex)) {
		t.Errorf("what refers to %s is not its SBOM", image.Platform)
	}
}

// runImage runs the binary of an image, if this machine can.
func runImage(t *testing.T, r *release, pinned name.Digest) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the image is for linux")
	}
	image, err := remote.Image(pinned, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	if err != nil {
		t.Fatal(err)
	}
	content := mutate.Extract(image)
	files, err := readTar(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := content.Close(); err != nil {
		t.Fatal(err)
	}
	checkVersion(t, r, files)
}

// checkVersion runs the program among some files.
func checkVersion(t *testing.T, r *release, files []file) {
	t.Helper()
	for _, f := range files {
		if f.name != program {
			continue
		}
		binary := filepath.Join(t.TempDir(), program)
		if err := os.WriteFile(binary, f.content, 0o700); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(binary, "--version").CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != r.version {
			t.Errorf("the binary says %q (%v), want %s", out, err, r.version)
		}
		return
	}
	t.Error("there is no binary")
}

// TestPushedChart pulls the chart as a user does.
func TestPushedChart(t *testing.T) {
	r := prepared(t)
	printed := pushed(t, r)
	folder := t.TempDir()
	chart := "oci://" + r.charts() + "/" + program
	for _, arguments := range [][]string{
		{"pull", chart, "--version", r.chartVersion(), "--plain-http", "--destination", folder},
		{"pull", chart + "@" + printed["chart_digest"], "--plain-http", "--destination", t.TempDir()},
	} {
		if _, err := output(exec.Command(r.helm, arguments...)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(folder, filepath.Base(r.chart())))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(r.chart())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the pulled chart is not the one that was pushed")
	}

	// A second registry, another time zone and a file that was touched make no difference.
	again := prepared(t)
	t.Setenv("TZ", "Asia/Tokyo")
	if err := os.Chtimes(r.chart(), time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := pushed(t, again)["chart_digest"]; got != printed["chart_digest"] {
		t.Errorf("pushed twice, the chart has the digests %s and %s", printed["chart_digest"], got)
	}
}

// TestChart renders the packed chart: it installs the image by its digest, unless the values name another one.
func TestChart(t *testing.T) {
	r := prepared(t)
	digest := imageDigest(t, r)
	for title, test := range map[string]struct {
		set  string
		want string
	}{
		"by default":           {set: "image.pullPolicy=Always", want: preparedFor + "/trail-operator@" + digest},
		"from another mirror":  {set: "image.repository=mirror.example.com/to", want: "mirror.example.com/to@" + digest},
		"of a tag":             {set: "image.tag=v9", want: preparedFor + "/trail-operator:v9"},
		"of another digest":    {set: "image.digest=sha256:" + zeros, want: preparedFor + "/trail-operator@sha256:" + zeros},
		"of a tag that is one": {set: "image.tag=" + r.version, want: preparedFor + "/trail-operator:" + r.version},
	} {
		t.Run(title, func(t *testing.T) {
			rendered, err := output(exec.Command(r.helm, "template", "x", r.chart(), "--set", test.set))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(rendered), test.want+"\n") && !strings.Contains(string(rendered), test.want+`"`) {
				t.Errorf("the chart does not install %s", test.want)
			}
		})
	}

	shown, err := output(exec.Command(r.helm, "show", "chart", r.chart()))
	if err != nil {
		t.Fatal(err)
	}
	var chart struct {
		Version     string            `json:"version"`
		AppVersion  string            `json:"appVersion"`
		Annotations map[string]string `json:"annotations"`
	}
	if err := yaml.Unmarshal(shown, &chart); err != nil {
		t.Fatal(err)
	}
	if chart.Version != r.chartVersion() || chart.AppVersion != r.version {
		t.Errorf("the chart has the versions %s and %s", chart.Version, chart.AppVersion)
	}
	if got := chart.Annotations["artifacthub.io/prerelease"]; got != "true" {
		t.Errorf("a prerelease is marked as %q", got)
	}
}

// checkDocumentedSums runs the command of the guide that compares the checksums.
func checkDocumentedSums(t *testing.T, r *release) {
	t.Helper()
	const documented = "sha256sum --check --ignore-missing SHA256SUMS"
	guide, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(guide, []byte("\n    "+documented+"\n")) {
		t.Fatal("docs/install.md says nothing of " + documented)
	}
	command := exec.Command("sh", "-c", documented)
	command.Dir = r.dist
	if _, err := output(command); err != nil {
		t.Error(err)
	}
}

var zeros = strings.Repeat("0", 64)

// imageDigest is the digest of the image in the archive.
func imageDigest(t *testing.T, r *release) string {
	t.Helper()
	index, remove, err := openArchive(r.archive())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
	}()
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func TestManifests(t *testing.T) {
	r := prepared(t)
	install, err := os.ReadFile(r.asset("install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(install, []byte("image: "+preparedFor+"/trail-operator@"+imageDigest(t, r)+"\n")) {
		t.Error("install.yaml does not name the image by its digest")
	}
	crds, err := os.ReadFile(r.asset("crds.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const kind = "\nkind: CustomResourceDefinition\n"
	if got, want := bytes.Count(install, []byte(kind)), bytes.Count(crds, []byte(kind)); want == 0 || got != want {
		t.Errorf("install.yaml has %d CRDs, and crds.yaml %d", got, want)
	}
	for _, kind := range []string{"Namespace", "Deployment", "ServiceAccount", "ClusterRole", "AWSIdentity"} {
		if !bytes.Contains(install, []byte("\nkind: "+kind+"\n")) {
			t.Errorf("install.yaml has no %s", kind)
		}
	}
}

// TestBinaries compares all checksums, and runs the binary in the archive for this machine.
func TestBinaries(t *testing.T) {
	r := prepared(t)
	sums, err := os.ReadFile(r.asset(sumsFile))
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for line := range strings.Lines(string(sums)) {
		sum, asset, _ := strings.Cut(strings.TrimSpace(line), "  ")
		content, err := os.ReadFile(r.asset(asset))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(content)); got != sum {
			t.Errorf("%s has %s, and the list says %s", asset, got, sum)
		}
		listed++
	}
	entries, err := os.ReadDir(r.dist)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(entries) - 2; listed != want {
		t.Errorf("%d checksums for %d files", listed, want)
	}
	checkDocumentedSums(t, r)

	if runtime.GOOS == "linux" {
		files, err := readArchive(r.asset(fmt.Sprintf("%s_%s_linux_%s.tar.gz", program, r.version, runtime.GOARCH)))
		if err != nil {
			t.Fatal(err)
		}
		checkVersion(t, r, files)
	}
}
