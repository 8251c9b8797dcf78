package simulation_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/trail-operator/trail-operator/hack/simulation"
)

var (
	seeds = flag.Int(
		"seeds",
		0,
		"how many worlds to simulate; make simulate does, with a runtime of Go that it builds for that",
	)
	first   = flag.Uint64("seed", 0, "the first seed; 0: a new one each time")
	brief   = flag.Bool("brief", false, "simulate worlds that are much shorter, and so many more of them")
	lasting = flag.Duration("for", 0, "how long to simulate new worlds, instead of how many")
	script  = flag.String("script", "", "a file with a script to play in the world of the first seed")
	show    = flag.Bool("history", false, "show all that happens in the world of the first seed")
	folder  = flag.String("folder", "", "where to write reduced scripts to; empty: they are not reduced")
)

// child is set in the environment of a process that simulates one world.
const child = "SIMULATED_SEED"

// shapeOf returns the shape of a seed's world, as the flags say.
func shapeOf(seed uint64) simulation.Shape { return simulation.ShapeOf(seed, *brief) }

// scriptOf returns the script of a seed's world.
func scriptOf(seed uint64) []simulation.Action { return simulation.Script(seed, shapeOf(seed)) }

// outcome is what a child prints in its last line.
type outcome struct {
	simulation.Result
	Error string
}

// TestWorld simulates one world: each is a process of its own, as Go's runtime remembers what was before.
func TestWorld(t *testing.T) {
	var seed uint64
	if _, err := fmt.Sscan(os.Getenv(child), &seed); err != nil {
		t.Skip("TestSimulation runs it")
	}
	var actions []simulation.Action
	if *script != "" {
		content, err := os.ReadFile(*script)
		if err == nil {
			err = json.Unmarshal(content, &actions)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var log func(string)
	var history strings.Builder // To print is to wait for the system.
	if *show {
		log = func(line string) { fmt.Fprintln(&history, line) }
	}

	go watch()
	debug.SetGCPercent(-1)
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(t *testing.T) {
		rand.Seed(int64(seed)) //nolint:staticcheck // Kubernetes' libraries use it.
		var told outcome
		result, err := simulation.Run(t.Context(), seed, shapeOf(seed), actions, log)
		if err == nil {
			told.Result = *result
		} else {
			told.Error = err.Error()
		}
		line, err := json.Marshal(told)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s\n%s%s\n", &history, prefix, line)
		pprof.StopCPUProfile() // The end of the process would not write it.
		os.Exit(0)             // The operator's goroutines need not end: what a process that was killed has begun never does.
	})
}

const prefix = "OUTCOME "

// determined is set by the linker when Go's runtime leaves nothing to chance.
var determined string

// timePasses is the invariant that nothing runs for ever at one moment of virtual time, and noTime how a process ends
// in which something does.
const (
	timePasses = "time passes"
	noTime     = "something runs and runs, and no time passes"
)

// watch ends the process if nothing happens any more for a while: virtual time does not pass while anything runs.
func watch() {
	last := int64(-1)
	for range time.Tick(time.Minute) {
		if steps := simulation.Steps.Load(); steps != last {
			last = steps
			continue
		}
		debug.SetTraceback("all")
		panic(noTime)
	}
}

// simulate runs one world in a process of its own.
func simulate(ctx context.Context, seed uint64, arguments ...string) (*outcome, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return simulateWith(ctx, executable, seed, arguments...)
}

// simulateWith runs one world with a build of these tests, which may be another one than this.
func simulateWith(ctx context.Context, executable string, seed uint64, arguments ...string) (*outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute) // On a busy machine, a long world takes ten.
	defer cancel()
	command := exec.CommandContext(
		ctx,
		executable,
		append([]string{"-test.run=^TestWorld$", "-test.timeout=0", fmt.Sprint("-brief=", *brief)}, arguments...)...)
	command.Env = append(os.Environ(), fmt.Sprint(child, "=", seed),
		"GOMAXPROCS=1", "GODEBUG=randseednop=0,asyncpreemptoff=1,profstackdepth=32", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	var output, messages bytes.Buffer
	command.Stdout, command.Stderr = &output, &messages
	if *show {
		command.Stdout = &tee{&output, os.Stdout}
	}
	runErr := command.Run()

	var told outcome
	lines := bufio.NewScanner(&output)
	lines.Buffer(nil, 64<<20)
	var last []string
	for lines.Scan() {
		if line, ok := strings.CutPrefix(lines.Text(), prefix); ok {
			if err := json.Unmarshal([]byte(line), &told); err != nil {
				return nil, err
			}
			if told.Error != "" {
				return nil, errors.New(told.Error)
			}
			return &told, nil
		}
		last = append(last, lines.Text())
	}
	if strings.Contains(messages.String(), noTime) {
		violation := &simulation.Violation{Invariant: timePasses, What: firstLines(messages.String(), 200)}
		return &outcome{Result: simulation.Result{Seed: seed, Violation: violation}}, nil
	}
	return nil, fmt.Errorf(
		"%w\n%s\n%s",
		runErr,
		strings.Join(last[max(0, len(last)-30):], "\n"),
		firstLines(messages.String(), 60),
	)
}

// tee writes to both.
type tee struct {
	one, other interface{ Write([]byte) (int, error) }
}

// Write implements io.Writer.
func (t *tee) Write(p []byte) (int, error) {
	if n, err := t.one.Write(p); err != nil {
		return n, err
	}
	return t.other.Write(p)
}

func firstLines(text string, count int) string {
	lines := strings.SplitN(text, "\n", count+1)
	return strings.Join(lines[:min(count, len(lines))], "\n")
}

// TestSimulation simulates worlds, on all processors.
func TestSimulation(t *testing.T) {
	if os.Getenv(child) != "" {
		t.Skip("this process simulates one world")
	}
	if *seeds == 0 && *lasting == 0 {
		t.Skip("make simulate simulates worlds")
	}
	begin := *first
	if begin == 0 {
		begin = uint64(time.Now().UnixNano()) % 1_000_000_000_000
	}
	var arguments []string
	if *script != "" {
		arguments = append(arguments, "-script="+*script)
	}
	if *show {
		arguments = append(arguments, "-history")
	}

	var (
		group     sync.WaitGroup
		mu        sync.Mutex
		next      = begin
		began     = time.Now()
		simulated time.Duration
		events    int
		worlds    int
	)
	more := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if t.Failed() || *lasting == 0 && next >= begin+uint64(*seeds) || *lasting > 0 && time.Since(began) > *lasting {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range runtime.NumCPU() {
		group.Go(func() {
			for seed, ok := more(); ok; seed, ok = more() {
				told, err := simulate(t.Context(), seed, arguments...)
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
					return
				}
				mu.Lock()
				worlds++
				simulated += told.Simulated
				events += told.Events
				mu.Unlock()
				if told.Violation != nil {
					report(t, told)
				}
			}
		})
	}
	group.Wait()

	took := time.Since(began)
	days := simulated.Hours() / 24
	t.Logf("%d worlds from seed %d: %.1f days simulated in %s, %.0f days an hour, %.0f events a second",
		worlds, begin, days, took.Round(time.Second), days/took.Hours(), float64(events)/took.Seconds())
}

// TestSameHistory holds that the same seed gives the same history, to the event. It needs a runtime in which nothing is
// left to chance, as make simulate builds it.
func TestSameHistory(t *testing.T) {
	if os.Getenv(child) != "" {
		t.Skip("this process simulates one world")
	}
	if determined == "" {
		t.Skip("Go's runtime leaves something to chance: make simulate builds another one")
	}
	for _, seed := range []uint64{3, 21} {
		var before *outcome
		for range 3 {
			told, err := simulate(t.Context(), seed)
			switch {
			case err != nil:
				t.Fatal(err)
			case before != nil && told.History != before.History:
				t.Errorf("seed %d: %d events with the digest %x, and then %d with %x", seed, before.Events, before.History,
					told.Events, told.History)
			}
			before = told
		}
	}
}

// report says what was found, and reduces the script to what it takes.
func report(t *testing.T, told *outcome) {
	t.Helper()
	t.Errorf("seed %d: %s\n%s", told.Seed, told.Violation, strings.Join(told.Lines, "\n"))
	if *folder == "" || told.Violation.Invariant == timePasses {
		return
	}
	if *script != "" {
		return
	}
	file := filepath.Join(*folder, fmt.Sprintf("violation-%d.json", told.Seed))
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	reduced := reduce(t, executable, told, file)
	lines := make([]string, 0, len(reduced))
	for _, action := range reduced {
		lines = append(lines, action.String())
	}
	t.Logf("seed %d needs %d of %d actions (in %s; make simulate SEED=%d SCRIPT=%s%s plays them):\n%s", told.Seed,
		len(reduced), len(scriptOf(told.Seed)), file, told.Seed, file, map[bool]string{true: " BRIEF=1"}[*brief],
		strings.Join(lines, "\n"))
}

// reduce writes to a file what of the script of a seed it takes for a violation of a build of these tests.
func reduce(t *testing.T, executable string, told *outcome, file string) []simulation.Action {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(actions []simulation.Action) {
		content, err := json.MarshalIndent(append([]simulation.Action{}, actions...), "", "  ")
		if err == nil {
			err = os.WriteFile(file, append(content, '\n'), 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}
	reduced := simulation.Reduce(scriptOf(told.Seed), 60, func(actions []simulation.Action) bool {
		write(actions)
		again, err := simulateWith(t.Context(), executable, told.Seed, "-script="+file)
		return err == nil && again.Violation != nil && again.Violation.Invariant == told.Violation.Invariant
	})
	write(reduced)
	return reduced
}
