package simulation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"
)

// keptOfEach is how many objects on the heap the operator may keep for each Trail that has come and gone: a map has
// grown, an error was the last one.
const keptOfEach = 2

// checkGrowth lets all Trails come and go a few times, and holds that the operator keeps nothing of them.
func (w *World) checkGrowth() {
	runtime.MemProfileRate = 1 // All objects that are made from now on.
	first := w.heldAfterRound()
	second := w.heldAfterRound()
	third := w.heldAfterRound()

	grown, total := map[string]int64{}, int64(0)
	for site := range third { // What is made once, such as a cache of a type's encoder, is not made in both rounds.
		grown[site] = max(0, min(second[site]-first[site], third[site]-second[site]))
		total += grown[site]
	}
	if total > keptOfEach*slotCount {
		w.violated("nothing grows", "%d objects are kept of %d Trails that are gone: %s", total, slotCount, most(grown))
	}
}

// comeAndGo creates all Trails, has an intruder at each of them, and deletes them.
func (w *World) comeAndGo() {
	for number := range slotCount {
		s := slotOf(number)
		w.create(newTrail(s, w.shape, rand.New(rand.NewPCG(uint64(number), 0))))
	}
	w.pass(3 * time.Minute)
	for number := range slotCount {
		s := slotOf(number)
		w.act(intruders[0], s, call{"StopLogging", map[string]any{"Name": s.arn()}})
		w.ask(number)
	}
	w.pass(5 * time.Minute)
	for number := range slotCount {
		w.remove(slotOf(number))
	}
	w.pass(10 * time.Minute)
}

// pass lets everything happen for a while.
func (w *World) pass(d time.Duration) { w.proceed(w.scheduler.elapsed() + d) }

// heldAfterRound lets all Trails come and go, and counts the objects on the heap that the operator's own code has made,
// by the function that did.
func (w *World) heldAfterRound() map[string]int64 {
	w.comeAndGo()
	w.pass(time.Hour) // Until no retry is planned any more.
	for range 4 {
		runtime.GC() // The profile is as of the one before the last, and strings that are unique go later.
	}
	records := make([]runtime.MemProfileRecord, 10_000)
	n, ok := runtime.MemProfile(records, false)
	for !ok {
		records = make([]runtime.MemProfileRecord, 2*n)
		n, ok = runtime.MemProfile(records, false)
	}

	counts := map[string]int64{}
	for i := range records[:n] {
		// What the world has made for it is not the operator's, and metrics are of operations and codes, of which there are
		// not many, and not of Trails.
		maker := makerOf(&records[i])
		if strings.HasPrefix(maker, "controllers/") && !strings.HasPrefix(maker, "controllers/metrics.") {
			counts[maker] += records[i].InUseObjects()
		}
	}
	return counts
}

// makerOf returns this module's function that has made the objects of a record, "" for none.
func makerOf(record *runtime.MemProfileRecord) string {
	frames := runtime.CallersFrames(record.Stack())
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		if maker, ours := strings.CutPrefix(frame.Function, module); ours {
			return maker
		}
	}
	return ""
}

// module is what the names of this module's functions begin with.
const module = "github.com/trail-operator/trail-operator/"

// most shows the functions that have the most.
func most(counts map[string]int64) string {
	sites := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return int(counts[b] - counts[a]) })
	var parts []string
	for _, site := range sites[:min(10, len(sites))] {
		parts = append(parts, fmt.Sprintf("%s %d", site, counts[site]))
	}
	return strings.Join(parts, ", ")
}
