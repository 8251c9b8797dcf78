// Command overlay writes what go build -overlay needs to build the simulation with a Go runtime in which nothing is
// left to chance, so that the same seed gives the same history:
//
//	overlay DIRECTORY
//
// A select chooses among what is ready, maps have their order, and math/rand and hashes their numbers, by a sequence
// that is the same in every process. Timers of the same moment of virtual time run in the order in which they were
// set. A goroutine runs until it waits, also while it calls the system, and who waited long for a mutex is not
// preferred. One that waits by spinning over a select lets virtual time pass. It changes copies of a few lines of the
// sources of the runtime, and fails where it does not find them: another version of Go may need other changes.
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

// change replaces a text of a file of the standard library by another one.
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

// spinning tells whether a goroutine has chosen many times without ever waiting.
const spinning = `
var spin struct {
	goroutine uint64
	tick      uint32
	selects   int
}

func isSpinning(gp *g) bool {
	if tick := gp.m.p.ptr().schedtick; spin.goroutine != gp.goid || spin.tick != tick {
		spin.goroutine, spin.tick, spin.selects = gp.goid, tick, 0
	}
	spin.selects++
	return gp.bubble != nil && spin.selects%1000 == 0
}
`

var changes = []change{
	{"runtime/proc.go", "const forcePreemptNS = 10 * 1000 * 1000 // 10ms", "const forcePreemptNS = 1000 * 1000 * 1000"},
	{
		"runtime/proc.go",
		"!sysretake && int64(pd.syscalltick) != syst {",
		"!sysretake && (gomaxprocs == 1 || int64(pd.syscalltick) != syst) {",
	},
	{"internal/sync/mutex.go", "starvationThresholdNs = 1e6", "starvationThresholdNs = 1e18"},
	{"runtime/time.go", "t.rand = cheaprand()", "t.rand = 0"},
	{
		"runtime/select.go",
		"j := cheaprandn(uint32(norder + 1))",
		"j := uint32(nextSimulated(&simulated) % uint64(norder+1))",
	},
	{
		"runtime/select.go",
		"	gp := getg()\n	if debugSelect {",
		"	gp := getg()\n	if isSpinning(gp) {\n		timeSleep(1e9)\n	}\n	if debugSelect {",
	},
	{"runtime/select.go", "func selectgo(", spinning + "\nfunc selectgo("},
	{
		"runtime/rand.go",
		"func bootstrapRand() uint64 {\n",
		next + "\nfunc bootstrapRand() uint64 {\n\treturn nextSimulated(&simulatedThreads)\n",
	},
	{"runtime/rand.go", "mp.cheaprand = rand()", "mp.cheaprand = nextSimulated(&simulatedThreads)"},
	{"runtime/rand.go", "func rand() uint64 {\n", "func rand() uint64 {\n\treturn nextSimulated(&simulated)\n"},
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
	replaced, err := copies(directory)
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
func copies(directory string) (map[string]string, error) {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("finding Go's sources: %w", err)
	}
	sources := filepath.Join(strings.TrimSpace(string(root)), "src")

	replaced := map[string]string{}
	for _, c := range changes {
		source := filepath.Join(sources, c.file)
		written, known := replaced[source]
		read := written
		if !known { // The name must not let a package be seen here.
			read, written = source, filepath.Join(directory, strings.ReplaceAll(c.file, "/", "-")+".changed")
		}

		content, err := os.ReadFile(read)
		if err != nil {
			return nil, err
		}
		text := string(content)
		if strings.Count(text, c.from) != 1 {
			return nil, fmt.Errorf("%s has no single %q: this version of Go needs another change", c.file, c.from)
		}
		if err := os.WriteFile(written, []byte(strings.Replace(text, c.from, c.to, 1)), 0o644); err != nil {
			return nil, err
		}
		replaced[source] = written
	}
	return replaced, nil
}
