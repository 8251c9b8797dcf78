// Command image writes the operator's image as an OCI archive, for several architectures, without a container engine
// and without a base image: the image holds the static binary, the certificate authorities that the Go project
// publishes, a user, and nothing else. The same inputs give the same bytes. ko, which does much more, builds on a base
// image that it pulls; here nothing is pulled.
//
//	image -binaries DIR -version VERSION -name NAME[:TAG] -output FILE.tar [-sboms DIR]
//
// The binaries are linux-ARCH/trail-operator, for every architecture. Their SBOMs tell what the images are made of.
package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	program     = "trail-operator"
	user        = "65532"
	certificate = "etc/ssl/certs/ca-certificates.crt"
	source      = "https://github.com/trail-operator/trail-operator"
	license     = "Apache-2.0"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	binaries := flags.String("binaries", "", "folder with linux-ARCH/trail-operator")
	version := flags.String("version", "dev", "version of the operator")
	imageName := flags.String("name", "", "name of the image in a pod, such as ghcr.io/example/trail-operator:v1.0.0")
	output := flags.String("output", "", "archive to write")
	sboms := flags.String("sboms", "", "folder to write the images' SBOMs to, as SPDX; none if empty")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *binaries == "" || *imageName == "" || *output == "" {
		return errors.New("-binaries, -name and -output are required")
	}
	named, err := parseName(*imageName)
	if err != nil {
		return err
	}

	index, err := buildIndex(*binaries, *version)
	if err != nil {
		return err
	}
	if err := write(index, named, *output); err != nil {
		return err
	}
	if *sboms != "" {
		if err := writeSBOMs(index, *binaries, *version, *sboms); err != nil {
			return err
		}
	}

	digest, err := index.Digest()
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%s %s@%s\n", *output, named, digest)
	return err
}

// buildIndex makes the image of every architecture that there is a binary for.
func buildIndex(binaries, version string) (v1.ImageIndex, error) {
	found, err := filepath.Glob(filepath.Join(binaries, "linux-*", program))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no linux-ARCH/%s in %s", program, binaries)
	}
	slices.Sort(found)

	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, binary := range found {
		architecture := strings.TrimPrefix(filepath.Base(filepath.Dir(binary)), "linux-")
		image, err := build(binary, architecture, version)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", binary, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}

	return index, nil
}

// build makes the image of one architecture.
func build(binary, architecture, version string) (v1.Image, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}

	files := []file{
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, content: []byte("root:x:0:\nnonroot:x:" + user + ":\n")},
		{
			name: "etc/passwd",
			mode: 0o644,
			content: []byte(
				"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:" + user + ":" + user + ":nonroot:/:/sbin/nologin\n",
			),
		},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: certificate, mode: 0o644, content: roots()},
		{name: "tmp/", mode: 0o1777},
		{name: program, mode: 0o755, content: content},
	}

	archive, err := tarOf(files)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}

	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if image, err = mutate.Append(
		image,
		mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "hack/image"}},
	); err != nil {
		return nil, err
	}

	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(image, configOf(config.DeepCopy(), architecture, version))
}

// configOf adds the platform to a config, and how to run the operator.
func configOf(config *v1.ConfigFile, architecture, version string) *v1.ConfigFile {
	config.OS, config.Architecture = "linux", architecture
	config.Config = v1.Config{
		User:       user + ":" + user,
		Entrypoint: []string{"/" + program},
		WorkingDir: "/",
		Env:        []string{"PATH=/", "SSL_CERT_FILE=/" + certificate},
		Labels: map[string]string{
			"org.opencontainers.image.title":       program,
			"org.opencontainers.image.description": "Kubernetes operator for AWS CloudTrail trails",
			"org.opencontainers.image.source":      source,
			"org.opencontainers.image.licenses":    license,
			"org.opencontainers.image.version":     version,
		},
	}
	return config
}

// roots are the certificate authorities, without those that are trusted for some certificates only.
func roots() []byte {
	var out []byte
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})...)
		}
	}
	return out
}
