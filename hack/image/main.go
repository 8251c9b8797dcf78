// Command image writes the operator's image as an OCI archive, for several architectures, without a container engine
// and without a base image: the image holds the static binary, the certificate authorities that the Go project
// publishes, a user, and nothing else. The same inputs give the same bytes.
//
//	image -binaries DIR -version VERSION -output FILE.tar
//
// DIR holds linux-ARCH/trail-operator for every architecture.
package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	name        = "trail-operator"
	user        = "65532"
	certificate = "etc/ssl/certs/ca-certificates.crt"
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
	output := flags.String("output", "", "archive to write")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *binaries == "" || *output == "" {
		return errors.New("-binaries and -output are required")
	}

	found, err := filepath.Glob(filepath.Join(*binaries, "linux-*", name))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("no linux-ARCH/%s in %s", name, *binaries)
	}
	slices.Sort(found)

	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, binary := range found {
		architecture := strings.TrimPrefix(filepath.Base(filepath.Dir(binary)), "linux-")
		image, err := build(binary, architecture, *version)
		if err != nil {
			return fmt.Errorf("%s: %w", binary, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}

	return write(index, *version, *output)
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
		{name: name, mode: 0o755, content: content},
	}

	archive, err := archiveOf(files)
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
	return mutate.ConfigFile(image, configOf(image, architecture, version))
}

func configOf(image v1.Image, architecture, version string) *v1.ConfigFile {
	config, err := image.ConfigFile()
	if err != nil {
		config = &v1.ConfigFile{}
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	config.Config = v1.Config{
		User:       user + ":" + user,
		Entrypoint: []string{"/" + name},
		WorkingDir: "/",
		Env:        []string{"PATH=/", "SSL_CERT_FILE=/" + certificate},
		Labels: map[string]string{
			"org.opencontainers.image.title":       name,
			"org.opencontainers.image.description": "Kubernetes operator for AWS CloudTrail trails",
			"org.opencontainers.image.source":      "https://github.com/trail-operator/trail-operator",
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.version":     version,
		},
	}
	return config
}

// roots are the certificate authorities, without those that are trusted for some certificates only.
func roots() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // A buffer takes everything.
		}
	}
	return out.Bytes()
}

// file is a file of the image, or a folder if its name ends in a slash.
type file struct {
	name    string
	mode    int64
	content []byte
}

func archiveOf(files []file) ([]byte, error) {
	var out bytes.Buffer
	writer := tar.NewWriter(&out)

	for _, f := range files {
		header := &tar.Header{
			Name:     f.name,
			Mode:     f.mode,
			Size:     int64(len(f.content)),
			ModTime:  time.Unix(0, 0),
			Typeflag: tar.TypeReg,
			Format:   tar.FormatPAX,
		}
		if strings.HasSuffix(f.name, "/") {
			header.Typeflag = tar.TypeDir
		}

		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(f.content); err != nil {
			return nil, err
		}
	}

	return out.Bytes(), writer.Close()
}

// write writes an OCI layout with one index, tagged with the version, into an archive.
func write(index v1.ImageIndex, version, output string) error {
	folder, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }() // What is left is in the system's own temporary folder.

	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": version,
		"io.containerd.image.name":          name + ":" + version,
	})); err != nil {
		return err
	}

	files, err := filesIn(folder)
	if err != nil {
		return err
	}
	archive, err := archiveOf(files)
	if err != nil {
		return err
	}

	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(output, archive, 0o644); err != nil {
		return err
	}

	digest, err := index.Digest()
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%s %s\n", output, digest)
	return err
}

func filesIn(folder string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			files = append(files, file{name: filepath.ToSlash(relative) + "/", mode: 0o755})
			return nil
		}
		content, err := os.ReadFile(path)
		files = append(files, file{name: filepath.ToSlash(relative), mode: 0o644, content: content})
		return err
	})
	return files, err
}
