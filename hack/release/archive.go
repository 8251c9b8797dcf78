package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// file is a file in an archive.
type file struct {
	name    string
	mode    int64
	content []byte
}

// writeArchive writes files, in their order, into a tar.gz that has nothing of this machine in it.
func writeArchive(path string, files []file, modified time.Time) (err error) {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close(), os.Chtimes(path, modified, modified)) }()

	compressed := gzip.NewWriter(out)
	archive := tar.NewWriter(compressed)
	for _, f := range files {
		header := &tar.Header{
			Typeflag: tar.TypeReg,
			Name:     f.name,
			Mode:     f.mode,
			Size:     int64(len(f.content)),
			ModTime:  modified,
			Format:   tar.FormatPAX,
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(f.content); err != nil {
			return err
		}
	}

	return errors.Join(archive.Close(), compressed.Close())
}

// readArchive returns the files of a tar.gz, in their order.
func readArchive(path string) (_ []file, err error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()

	uncompressed, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return readTar(uncompressed)
}

// readTar returns the files of a tar, in their order, without the folders.
func readTar(in io.Reader) ([]file, error) {
	var files []file
	for archive := tar.NewReader(in); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}

		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: header.Name, mode: header.Mode, content: content})
	}
}

// openArchive returns the only index in an image's archive, which it unpacks into a folder. remove removes the folder.
func openArchive(path string) (index v1.ImageIndex, remove func() error, err error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("the image's archive, which hack/image writes: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	files, err := readTar(in)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}

	folder, err := os.MkdirTemp("", "release")
	if err != nil {
		return nil, nil, err
	}
	remove = func() error { return os.RemoveAll(folder) }
	if index, err = unpack(files, folder); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), remove())
	}
	return index, remove, nil
}

// unpack writes the files of an image layout into a folder, and returns the only index in it.
func unpack(files []file, folder string) (v1.ImageIndex, error) {
	for _, f := range files {
		target := filepath.Join(folder, filepath.FromSlash(f.name))
		if !strings.HasPrefix(target, folder+string(filepath.Separator)) {
			return nil, fmt.Errorf("%s is outside of the archive", f.name)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(target, f.content, 0o600); err != nil {
			return nil, err
		}
	}

	outer, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, err
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, fmt.Errorf("%d images in the archive, want one index", len(manifest.Manifests))
	}
	return outer.ImageIndex(manifest.Manifests[0].Digest)
}
