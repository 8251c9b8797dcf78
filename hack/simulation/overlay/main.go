// Command overlay writes what go build -overlay needs to build the simulation with a Go runtime in which nothing is
// left to chance, so that the same seed gives the same history:
//
//	overlay DIRECTORY
//
// A select takes the first case that is ready, timers of the same moment of virtual time run in the order in which they
// were set, a goroutine runs until it waits (or for a second, as some wait by spinning), and hashes, the order of maps
// and math/rand come from a sequence that is the same in every process. It changes copies of a few lines of the
// runtime's sources, and fails where it does not find them: another version of Go may need other changes.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// change replaces a text of a file of the runtime by another one.
type change struct{ file, from, to string }

// next are two sequences of numbers that look random (splitmix64): one for new threads, of which there are more or
// fewer each time, and one for everything else. One processor makes them safe.
const next = `
var simulated, simulatedThreads uint64

func nextSimulated(sequence *uint64) uint64 {
	*sequence += 0x9e3779b97f4a7c15
	z := *sequence
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
`

var changes = []change{
	{"proc.go", "const forcePreemptNS = 10 * 1000 * 1000 // 10ms", "const forcePreemptNS = 1000 * 1000 * 1000"},
	{"time.go", "t.rand = cheaprand()", "t.rand = 0"},
	{"select.go", "j := cheaprandn(uint32(norder + 1))", "j := uint32(norder)"},
	{
		"rand.go",
		"func bootstrapRand() uint64 {\n",
		"func bootstrapRand() uint64 {\n\treturn nextSimulated(&simulatedThreads)\n",
	},
	{"rand.go", "func rand() uint64 {\n", "func rand() uint64 {\n\treturn nextSimulated(&simulated)\n"},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "overlay:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("give the directory to write to")
	}
	directory, err := filepath.Abs(arguments[0])
	if err != nil {
		return err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("finding Go's sources: %w", err)
	}
	sources := filepath.Join(strings.TrimSpace(string(root)), "src", "runtime")

	replaced, err := copies(sources, directory)
	if err != nil {
		return err
	}
	overlay, err := json.MarshalIndent(map[string]any{"Replace": replaced}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, "overlay.json"), overlay, 0o644)
}

// copies writes the changed copies, and returns where that of each file is.
func copies(sources, directory string) (map[string]string, error) {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for _, c := range changes {
		text, ok := texts[c.file]
		if !ok {
			read, err := os.ReadFile(filepath.Join(sources, c.file))
			if err != nil {
				return nil, err
			}
			text = string(read)
		}
		if strings.Count(text, c.from) != 1 {
			return nil, fmt.Errorf("%s has no single %q: this version of Go needs another change", c.file, c.from)
		}
		texts[c.file] = strings.Replace(text, c.from, c.to, 1)
	}
	texts["rand.go"] += next

	replaced := map[string]string{}
	for file, text := range texts {
		written := filepath.Join(directory, file+".changed") // No package is to be seen here.
		if err := os.WriteFile(written, []byte(text), 0o644); err != nil {
			return nil, err
		}
		replaced[filepath.Join(sources, file)] = written
	}
	return replaced, nil
}
