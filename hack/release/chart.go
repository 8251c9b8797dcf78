package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/google/go-containerregistry/pkg/v1"
	"sigs.k8s.io/yaml"
)

// digestAnnotation is where the chart's template finds the digest of the image that the chart was released with.
const digestAnnotation = "trail-operator.dev/image-digest"

// packChart packs the chart of this version, which installs the image of the digest.
func (r *release) packChart(ctx context.Context, digest v1.Hash, n notes) (err error) {
	folder, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()

	copied := filepath.Join(folder, program)
	if err := os.CopyFS(copied, os.DirFS(r.path(chartDir))); err != nil {
		return err
	}
	if err := r.annotate(filepath.Join(copied, "Chart.yaml"), digest, n); err != nil {
		return err
	}
	if err := r.setRepository(filepath.Join(copied, "values.yaml")); err != nil {
		return err
	}
	if _, err := output(exec.CommandContext(ctx, r.helm, "package", copied, "--destination", folder,
		"--version", r.chartVersion(), "--app-version", r.version)); err != nil {
		return err
	}

	// Helm 3 gives each file the time at which it packs. https://github.com/helm/helm/issues/3612
	files, err := readArchive(filepath.Join(folder, filepath.Base(r.chart())))
	if err != nil {
		return err
	}
	return writeArchive(r.chart(), files, r.created)
}

// annotate adds to a Chart.yaml what is known of a release only.
func (r *release) annotate(file string, digest v1.Hash, n notes) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var chart map[string]any
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	annotations, ok := chart["annotations"].(map[string]any)
	if !ok {
		return fmt.Errorf("%s has no annotations", file)
	}

	image := []map[string]string{{"name": program, "image": r.image() + ":" + r.version + "@" + digest.String()}}
	images, err := yaml.Marshal(image)
	if err != nil {
		return err
	}
	changes, err := yaml.Marshal(n.changes)
	if err != nil {
		return err
	}
	annotations[digestAnnotation] = digest.String()
	annotations["artifacthub.io/images"] = string(images)
	annotations["artifacthub.io/changes"] = string(changes)
	annotations["artifacthub.io/prerelease"] = fmt.Sprint(r.isPrerelease())

	if text, err = yaml.Marshal(chart); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// repositoryLine is that of the operator's image in the values.
var repositoryLine = regexp.MustCompile(`(?m)^  repository: .*$`)

// setRepository makes the image that is released the default of the values.
func (r *release) setRepository(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if found := len(repositoryLine.FindAll(text, -1)); found != 1 {
		return fmt.Errorf("%s: %d lines match %s, want one", file, found, repositoryLine)
	}
	return os.WriteFile(file, repositoryLine.ReplaceAllLiteral(text, []byte("  repository: "+r.image())), 0o644)
}
