package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// containerdName is the annotation of an index.json by which containerd names an image that it imports. It takes the
// value as it is, so it must be the name that the kubelet asks for: with the registry, the whole path and a tag.
// https://github.com/containerd/containerd/blob/main/core/images/annotations.go
const containerdName = "io.containerd.image.name"

// parseName returns the image name that the container runtimes make of what a pod's manifest has:
// docker.io/library/NAME:latest of NAME.
func parseName(text string) (reference.NamedTagged, error) {
	named, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		return nil, fmt.Errorf("image name %q: %w", text, err)
	}
	tagged, ok := reference.TagNameOnly(named).(reference.NamedTagged)
	if _, digested := named.(reference.Digested); digested || !ok {
		return nil, fmt.Errorf("image name %q: want a tag and no digest, as in NAME:TAG", text)
	}
	return tagged, nil
}

// write writes an image layout with one index, under its name, into an archive.
// https://github.com/opencontainers/image-spec/blob/main/image-layout.md
func write(index v1.ImageIndex, named reference.NamedTagged, output string) (err error) {
	folder, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()

	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		imagespec.AnnotationRefName: named.Tag(),
		containerdName:              named.String(),
	})); err != nil {
		return err
	}

	files, err := filesIn(os.DirFS(folder))
	if err != nil {
		return err
	}
	archive, err := tarOf(files)
	if err != nil {
		return err
	}

	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	return os.WriteFile(output, archive, 0o644)
}

// filesIn returns what is in a folder.
func filesIn(folder fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(folder, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		if entry.IsDir() {
			files = append(files, file{name: path + "/", mode: 0o755})
			return nil
		}
		content, err := fs.ReadFile(folder, path)
		files = append(files, file{name: path, mode: 0o644, content: content})
		return err
	})
	return files, err
}

// file is a file of the image, or a folder if its name ends in a slash.
type file struct {
	name    string
	mode    int64
	content []byte
}

// tarOf returns a tar of the files, in their order, which has nothing of this machine in it.
func tarOf(files []file) ([]byte, error) {
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

	// Only then is the last file padded, and the end of the archive marked.
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
