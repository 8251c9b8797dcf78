package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/v1"
	"sigs.k8s.io/yaml"
)

// kustomization is what is needed of kustomize's.
type kustomization struct {
	Resources []string      `json:"resources"`
	Images    []replacement `json:"images"`
}

// replacement is what to have instead of an image.
type replacement struct {
	Name    string `json:"name"`
	NewName string `json:"newName"`
	Digest  string `json:"digest,omitempty"`
}

// writeManifests writes the whole operator, with the image by its digest, and the CRDs alone.
func (r *release) writeManifests(ctx context.Context, digest v1.Hash) (err error) {
	crds, err := r.build(ctx, r.path("config/crd"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.asset("crds.yaml"), crds, 0o644); err != nil {
		return err
	}

	folder, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if err := r.writeKustomization(folder, digest); err != nil {
		return err
	}

	all, err := r.build(ctx, folder)
	if err != nil {
		return err
	}
	if pinned := r.image() + "@" + digest.String(); bytes.Count(all, []byte("image: "+pinned+"\n")) != 1 {
		return fmt.Errorf("the manifests have not one image %s", pinned)
	}
	return os.WriteFile(r.asset("install.yaml"), all, 0o644)
}

// writeKustomization writes a kustomization of config/default with the image that is released.
func (r *release) writeKustomization(folder string, digest v1.Hash) error {
	published, err := r.published()
	if err != nil {
		return err
	}
	base, err := relative(folder, r.path("config/default"))
	if err != nil {
		return err
	}

	text, err := yaml.Marshal(kustomization{
		Resources: []string{base},
		Images:    []replacement{{Name: published, NewName: r.image(), Digest: digest.String()}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "kustomization.yaml"), text, 0o600)
}

// relative is the path from a folder to another one, as kustomize wants it: without the links in between.
func relative(from, to string) (string, error) {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return "", err
	}
	if to, err = filepath.Abs(to); err != nil {
		return "", err
	}
	if to, err = filepath.EvalSymlinks(to); err != nil {
		return "", err
	}
	return filepath.Rel(from, to)
}

// published is the image's name in config/default.
func (r *release) published() (string, error) {
	const file = "config/manager/kustomization.yaml"
	text, err := os.ReadFile(r.path(file))
	if err != nil {
		return "", err
	}
	var manager kustomization
	if err := yaml.Unmarshal(text, &manager); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	if len(manager.Images) != 1 || manager.Images[0].NewName == "" {
		return "", fmt.Errorf("%s: want one image with newName", file)
	}
	return manager.Images[0].NewName, nil
}

// build runs kustomize.
func (r *release) build(ctx context.Context, folder string) ([]byte, error) {
	return output(exec.CommandContext(ctx, r.kustomize, "build", folder))
}

// output runs a command and returns what it prints. If it fails, the error has that and what it printed as errors.
func output(command *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", command, err, out, stderr.Bytes())
	}
	return out, nil
}
