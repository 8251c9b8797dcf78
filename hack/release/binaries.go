package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	sumsFile  = "SHA256SUMS"
	notesFile = "release-notes.md"
)

// packBinaries writes an archive of the binary and the license for each platform.
func (r *release) packBinaries() error {
	license, err := os.ReadFile(r.path("LICENSE"))
	if err != nil {
		return err
	}

	for _, platform := range r.platforms {
		binary, err := os.ReadFile(filepath.Join(r.binaries, platform, program))
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s_%s_%s.tar.gz", program, r.version, strings.ReplaceAll(platform, "-", "_"))
		files := []file{
			{name: "LICENSE", mode: 0o644, content: license},
			{name: program, mode: 0o755, content: binary},
		}
		if err := writeArchive(r.asset(name), files, r.created); err != nil {
			return err
		}
	}

	return nil
}

// writeSums writes the checksums of what users take, in the format of sha256sum. The notes are for reading.
func (r *release) writeSums() error {
	entries, err := os.ReadDir(r.dist)
	if err != nil {
		return err
	}

	var sums strings.Builder
	for _, entry := range entries {
		if entry.Name() == sumsFile || entry.Name() == notesFile {
			continue
		}
		content, err := os.ReadFile(r.asset(entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}

	return os.WriteFile(r.asset(sumsFile), []byte(sums.String()), 0o644)
}
