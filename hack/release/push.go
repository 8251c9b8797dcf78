package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// spdx is the media type of an SBOM. https://www.iana.org/assignments/media-types/application/spdx+json
const spdx types.MediaType = "application/spdx+json"

// push pushes the image with its SBOMs, and the chart. It prints the names by digest, to be signed, as NAME=VALUE.
func (r *release) push(ctx context.Context, out io.Writer) error {
	image, err := name.NewTag(r.image()+":"+r.version, name.StrictValidation)
	if err != nil {
		return err
	}
	chart, err := name.NewTag(r.charts()+"/"+program+":"+r.chartVersion(), name.StrictValidation)
	if err != nil {
		return err
	}

	pushed, err := r.pushImage(ctx, image)
	if err != nil {
		return err
	}
	packed, err := r.pushChart(ctx, chart)
	if err != nil {
		return err
	}

	_, err = fmt.Fprintf(out, "image=%s\nimage_digest=%s\nchart=%s\nchart_digest=%s\n",
		image.Context(), pushed, chart.Context(), packed)
	return err
}

// options are how to reach a registry: with the credentials of docker login.
func options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
}

// pushImage pushes the images, then their SBOMs, and the tag last, so that it never names what is incomplete.
func (r *release) pushImage(ctx context.Context, tag name.Tag) (_ v1.Hash, err error) {
	index, remove, err := openArchive(r.archive())
	if err != nil {
		return v1.Hash{}, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	digest, err := index.Digest()
	if err != nil {
		return v1.Hash{}, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return v1.Hash{}, err
	}

	if err := remote.WriteIndex(tag.Context().Digest(digest.String()), index, options(ctx)...); err != nil {
		return v1.Hash{}, err
	}
	for _, descriptor := range manifest.Manifests {
		if err := r.pushSBOM(ctx, tag.Context(), descriptor); err != nil {
			return v1.Hash{}, err
		}
	}

	return digest, remote.Tag(tag, index, options(ctx)...)
}

// pushSBOM pushes the SBOM of an image as an artifact that refers to it.
// https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
func (r *release) pushSBOM(ctx context.Context, repository name.Repository, image v1.Descriptor) error {
	content, err := os.ReadFile(r.sbom(*image.Platform))
	if err != nil {
		return err
	}
	artifact, err := sbomArtifact(content, image)
	if err != nil {
		return err
	}
	digest, err := artifact.Digest()
	if err != nil {
		return err
	}
	return remote.Write(repository.Digest(digest.String()), artifact, options(ctx)...)
}

// sbomArtifact is the artifact of an SBOM. Its type is the one of its config, for registries older than artifactType.
func sbomArtifact(content []byte, image v1.Descriptor) (v1.Image, error) {
	artifact := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), spdx)
	artifact, err := mutate.AppendLayers(artifact, static.NewLayer(content, spdx))
	if err != nil {
		return nil, err
	}

	subject := v1.Descriptor{MediaType: image.MediaType, Digest: image.Digest, Size: image.Size}
	refers, ok := mutate.Subject(artifact, subject).(v1.Image)
	if !ok {
		return nil, errors.New("an image with a subject is no image")
	}
	return refers, nil
}

// pushChart pushes the chart by helm, and returns its digest.
func (r *release) pushChart(ctx context.Context, tag name.Tag) (v1.Hash, error) {
	arguments := []string{"push", r.chart(), "oci://" + r.charts()}
	if tag.Registry.Scheme() == "http" {
		arguments = append(arguments, "--plain-http")
	}
	// The artifact's time is the one of the file, in the time zone of the process.
	if err := os.Chtimes(r.chart(), r.created, r.created); err != nil {
		return v1.Hash{}, err
	}
	command := exec.CommandContext(ctx, r.helm, arguments...)
	command.Env = append(os.Environ(), "TZ=UTC")
	if _, err := output(command); err != nil {
		return v1.Hash{}, err
	}

	found, err := remote.Head(tag, options(ctx)...)
	if err != nil {
		return v1.Hash{}, err
	}
	return found.Digest, nil
}
