package manifest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFile is how many bytes a file may have. A thousand Trails as `kustomize build` prints them have about one million.
const maxFile = 64 << 20

// extensions are those of files that are read in folders, as kubectl does.
var extensions = []string{".json", ".yaml", ".yml"}

// StandardInput is the name of the standard input.
const StandardInput = "-"

// Find returns the files to read of names, each of which is a file, a folder with files or StandardInput. Recursive
// also finds those in the folders of folders. Problem is told what cannot be read.
func Find(names []string, recursive bool, problem func(path string, err error)) []string {
	f := &finder{recursive: recursive, seen: map[string]bool{}, problem: problem}
	for _, name := range names {
		f.add(name)
	}
	return f.found
}

// Shown returns a path as messages have it: clean, and with slashes.
func Shown(path string) string {
	if path == StandardInput {
		return "stdin"
	}
	return filepath.ToSlash(filepath.Clean(path))
}

// finder finds the files to read, in the order of their names.
type finder struct {
	recursive bool
	// root is the folder that is searched, as the real path.
	root string
	// seen are the real paths of the files and folders that were found: links may lead to where one was.
	seen map[string]bool
	// found are the paths of the files.
	found []string
	// problem is told what cannot be read.
	problem func(path string, err error)
}

// errLeadsOut is of a link to a folder outside of the one that is searched: it could lead anywhere.
var errLeadsOut = errors.New("the link leads to a folder outside: name that folder with -f")

// add adds what is named: a file whatever its extension, or a folder.
func (f *finder) add(name string) {
	if name == StandardInput {
		if !slices.Contains(f.found, name) {
			f.found = append(f.found, name)
		}
		return
	}

	info, err := os.Stat(name)
	switch {
	case err != nil:
		f.problem(name, plainError(err))
	case info.IsDir():
		f.root, err = RealPath(name)
		if err != nil {
			f.problem(name, plainError(err))
			return
		}
		f.folder(name)
	default:
		f.file(name)
	}
}

// folder adds the files in a folder. What is hidden is not read.
func (f *finder) folder(path string) {
	if f.visited(path) {
		return
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		f.problem(path, plainError(err))
	}

	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		f.entry(filepath.Join(path, entry.Name()), entry)
	}
}

// entry adds what is in a folder: a folder, or a file that may have manifests.
func (f *finder) entry(path string, entry fs.DirEntry) {
	readable := slices.Contains(extensions, strings.ToLower(filepath.Ext(path)))
	info, err := os.Stat(path)

	switch {
	case err != nil && readable:
		f.problem(path, plainError(err))
	case err != nil:
		// A link that leads nowhere, or what was deleted since.
	case info.IsDir() && !f.recursive:
	case info.IsDir() && entry.Type()&fs.ModeSymlink != 0 && f.leadsOut(path):
		f.problem(path, errLeadsOut)
	case info.IsDir():
		f.folder(path)
	case info.Mode().IsRegular() && readable:
		f.file(path)
	}
}

// file adds a file.
func (f *finder) file(path string) {
	if !f.visited(path) {
		f.found = append(f.found, path)
	}
}

// visited tells whether a file or folder was found before, under whatever name.
func (f *finder) visited(path string) bool {
	resolved, err := RealPath(path)
	if err != nil {
		// It has no other name, such as a pipe.
		resolved = path
	}
	before := f.seen[resolved]
	f.seen[resolved] = true
	return before
}

// leadsOut tells whether a path is outside of the folder that is searched.
func (f *finder) leadsOut(path string) bool {
	resolved, err := RealPath(path)
	if err != nil {
		return true
	}
	relative, err := filepath.Rel(f.root, resolved)
	return err != nil || !filepath.IsLocal(relative)
}

// RealPath returns the absolute path without links.
func RealPath(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(resolved)
}

// plainError returns why a file cannot be read, without its path, which a problem has anyway.
func plainError(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// errTooLarge is of a file that is not read to its end.
var errTooLarge = fmt.Errorf("larger than %d MiB: split it", maxFile>>20)

// ReadFile returns the content of a file, or of the input. It waits for a pipe until the context ends.
func ReadFile(ctx context.Context, path string, input io.Reader) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	type answer struct {
		content []byte
		err     error
	}
	answers := make(chan answer, 1)
	go func() {
		content, err := readAll(path, input)
		answers <- answer{content, err}
	}()

	select {
	case a := <-answers:
		return a.content, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func readAll(path string, input io.Reader) ([]byte, error) {
	if path != StandardInput {
		file, err := os.Open(path)
		if err != nil {
			return nil, plainError(err)
		}
		defer file.Close() //nolint:errcheck // It was only read.
		input = file
	}

	content, err := io.ReadAll(io.LimitReader(input, maxFile+1))
	if err != nil {
		return nil, plainError(err)
	}
	if len(content) > maxFile {
		return nil, errTooLarge
	}
	return content, nil
}
