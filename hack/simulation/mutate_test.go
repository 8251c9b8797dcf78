package simulation_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	mutated = flag.String("mutants", "", "a regular expression of the mutants of the operator that are to be found; "+
		"empty: none, as it takes long")
	overlay = flag.String("overlay", "", "the overlay of Go's runtime to build mutants with")
)

// source returns the path of the mutant's file.
func (m *mutant) source() string {
	return filepath.Join("..", "..", "controllers", filepath.FromSlash(m.file))
}

// content returns the mutant's file with its mistake.
func (m *mutant) content() (string, error) {
	read, err := os.ReadFile(m.source())
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(read), m.from); n != 1 {
		return "", fmt.Errorf("%s has %q %d times, and not once", m.file, m.from, n)
	}
	return strings.Replace(string(read), m.from, m.to, 1), nil
}

// build builds these tests with the mutant, and returns the path of the program.
func (m *mutant) build(ctx context.Context, runtime, directory string) (string, error) {
	content, err := m.content()
	if err != nil {
		return "", err
	}
	copied := filepath.Join(directory, filepath.Base(m.file))
	if err := os.WriteFile(copied, []byte(content), 0o600); err != nil {
		return "", err
	}

	read, err := os.ReadFile(runtime)
	if err != nil {
		return "", err
	}
	var replaced struct{ Replace map[string]string }
	if err := json.Unmarshal(read, &replaced); err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.source())
	if err != nil {
		return "", err
	}
	replaced.Replace[original] = copied
	written, err := json.Marshal(replaced)
	if err != nil {
		return "", err
	}
	both, program := filepath.Join(directory, "overlay.json"), filepath.Join(directory, "simulation.test")
	if err := os.WriteFile(both, written, 0o600); err != nil {
		return "", err
	}

	output, err := exec.CommandContext(ctx, "go", "test", "-overlay", both, "-vet=off", "-c", "-o", program, ".").
		CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the mutant: %w\n%s", err, output)
	}
	return program, nil
}

// find runs a program in worlds, in the order of their seeds, until an invariant does not hold. It returns nil when it
// held in as many as -seeds says, and how many that were.
func (m *mutant) find(t *testing.T, program string) (found *outcome, tried int) {
	t.Helper()
	for seed := max(*first, 1); tried < *seeds; seed++ {
		if m.in != nil && !m.in(shapeOf(seed)) {
			continue
		}
		tried++
		told, err := simulateWith(t.Context(), program, seed)
		switch {
		case err != nil:
			t.Errorf("seed %d: %v", seed, err)
			return nil, tried
		case told.Violation == nil:
		case strings.Contains(told.Violation.Invariant, m.invariant):
			return told, tried
		default:
			t.Logf("seed %d: %s", seed, told.Violation)
		}
	}
	return nil, tried
}

// slug is the name of the mutant as a part of a file's name.
func (m *mutant) slug() string {
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(m.name), "-"), "-")
}

// known returns a script that has found the mutant before, and the seed of its world.
func (m *mutant) known(t *testing.T) (seed uint64, script string, ok bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", m.slug()+".*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, err := fmt.Sscanf(strings.TrimPrefix(filepath.Base(file), m.slug()), ".%d.json", &seed); err == nil {
			return seed, file, true
		}
	}
	return 0, "", false
}

// isFoundBy tells whether the script that is known of the mutant finds it, and nothing in the operator as it is.
func (m *mutant) isFoundBy(t *testing.T, program string) bool {
	t.Helper()
	seed, script, ok := m.known(t)
	if !ok {
		return false
	}
	told, err := simulateWith(t.Context(), program, seed, "-script="+script)
	if err != nil {
		t.Fatal(err)
	}
	if told.Violation == nil || !strings.Contains(told.Violation.Invariant, m.invariant) {
		t.Logf("seed %d, %s: it does not find it any more", seed, script)
		return false
	}
	t.Logf("seed %d, %s: %s", seed, script, told.Violation)

	told, err = simulate(t.Context(), seed, "-script="+script)
	if err != nil {
		t.Fatal(err)
	}
	if told.Violation != nil {
		t.Errorf("without the mistake, seed %d, %s: %s", seed, script, told.Violation)
	}
	return true
}

// keep keeps what of its script it takes for a world to find the mutant.
func (m *mutant) keep(t *testing.T, program string, found *outcome) {
	t.Helper()
	if _, script, ok := m.known(t); ok {
		if err := os.Remove(script); err != nil {
			t.Error(err)
		}
	}
	file := filepath.Join(*folder, fmt.Sprintf("%s.%d.json", m.slug(), found.Seed))
	t.Logf("it takes %d actions, which %s has", len(reduce(t, program, found, file)), file)
}

// unmutated runs the operator as it is in the world of a seed.
func unmutated(ctx context.Context) func(seed uint64) (*outcome, error) {
	var mu sync.Mutex
	known := map[uint64]*outcome{}
	return func(seed uint64) (*outcome, error) {
		mu.Lock()
		defer mu.Unlock()
		if told, ok := known[seed]; ok {
			return told, nil
		}
		told, err := simulate(ctx, seed)
		if err == nil {
			known[seed] = told
		}
		return told, err
	}
}

// TestMutants holds that the simulation finds each mutant of the operator, by the invariant that is to find it and that
// holds for the operator as it is: with a script that has found it before, or else in new worlds.
func TestMutants(t *testing.T) {
	t.Parallel()
	if os.Getenv(child) != "" || *mutated == "" {
		t.Skip("make simulate-mutants runs it")
	}
	chosen, err := regexp.Compile(*mutated)
	if err != nil {
		t.Fatal(err)
	}
	original := unmutated(t.Context())

	for _, m := range mutants {
		if !chosen.MatchString(m.name) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			program, err := m.build(t.Context(), *overlay, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if m.isFoundBy(t, program) {
				return
			}
			began := time.Now()
			found, tried := m.find(t, program)
			took := time.Since(began).Round(time.Second)
			if found == nil {
				t.Fatalf("%q holds in %d worlds (%s)", m.invariant, tried, took)
			}
			t.Logf("seed %d, world %d, %s: %s", found.Seed, tried, took, found.Violation)

			told, err := original(found.Seed)
			if err != nil {
				t.Fatal(err)
			}
			if told.Violation != nil && told.Violation.Invariant == found.Violation.Invariant {
				t.Errorf("without the mistake, seed %d: %s", told.Seed, told.Violation)
			} else if *folder != "" {
				m.keep(t, program, found)
			}
		})
	}
}

// TestMutantsAreCurrent holds that each mutant can still be made, and is known by its name.
func TestMutantsAreCurrent(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, m := range mutants {
		names[m.name] = true
		content, err := m.content()
		if err == nil {
			_, err = parser.ParseFile(token.NewFileSet(), m.file, content, parser.AllErrors)
		}
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	if len(names) != len(mutants) {
		t.Errorf("%d mutants have %d names: %v", len(mutants), len(names), maps.Keys(names))
	}
}

// TestEachInvariantHasAMutant holds that of each invariant it can be shown that it can fail.
func TestEachInvariantHasAMutant(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{
		"the API server answers": true, "every object can be decoded": true, // They are about the world itself.
	}
	for _, m := range mutants {
		shown[m.invariant] = true
	}

	invariants := []string{timePasses}
	checked := regexp.MustCompile(`violated\("([^"]+)"`)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range checked.FindAllStringSubmatch(string(content), -1) {
			invariants = append(invariants, found[1])
		}
	}
	for invariant := range shown {
		if !slices.Contains(invariants, invariant) {
			t.Errorf("%q is no invariant", invariant)
		}
	}
	for _, invariant := range invariants {
		if !shown[invariant] {
			t.Errorf("no mutant shows that %q can fail", invariant)
		}
	}
}
