package simulation

import (
	"cmp"
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"
)

// scheduler decides what happens when. All goroutines of the operator run until they wait: for an answer to a request,
// or for time to pass. Then the next event takes place, alone, at its virtual time.
type scheduler struct {
	seed  uint64
	start time.Time
	// requests are those that were made since the last event.
	mu       sync.Mutex
	requests []*request
	made     chan struct{}

	events eventHeap
	last   uint64
	// seen counts the requests of a kind: how long the next one takes depends on that, and not on the others.
	seen map[string]uint64
	// before is called before each event, when all goroutines wait.
	before func()
	// served counts events.
	served int
}

// collected is how many events there are between two collections of garbage. Nothing else may collect any.
const collected = 10_000

// Steps counts the steps of all simulations of this process: one whose steps do not become more is stuck.
var Steps atomic.Int64

// event is something that takes place at a time.
type event struct {
	at time.Time
	// number is in the order in which events were planned.
	number uint64
	do     func()
}

func newScheduler(seed uint64) *scheduler {
	return &scheduler{
		seed: seed, start: time.Now(), made: make(chan struct{}, 1), seen: map[string]uint64{}, before: func() {},
	}
}

// elapsed returns how long the simulation has run, in virtual time.
func (s *scheduler) elapsed() time.Duration { return time.Since(s.start) }

// at plans an event.
func (s *scheduler) at(when time.Time, do func()) {
	s.last++
	heap.Push(&s.events, &event{when, s.last, do})
}

// after plans an event after some time.
func (s *scheduler) after(wait time.Duration, do func()) { s.at(time.Now().Add(wait), do) }

// step lets the next event take place, or time pass to it. It returns false when the time has elapsed.
func (s *scheduler) step(until time.Duration) bool {
	synctest.Wait()
	Steps.Add(1)
	s.admit()
	s.before()

	now := time.Now()
	if len(s.events) > 0 && !s.events[0].at.After(now) {
		next, _ := heap.Pop(&s.events).(*event) //nolint:errcheck // It holds nothing else.
		s.served++
		next.do()
		if s.served%collected == 0 {
			runtime.GC() // Now, as all goroutines wait: it must not interrupt one.
		}
		return true
	}
	end := s.start.Add(until)
	if !end.After(now) {
		return false
	}
	if len(s.events) > 0 && s.events[0].at.Before(end) {
		end = s.events[0].at
	}

	timer := time.NewTimer(end.Sub(now))
	defer timer.Stop()
	select {
	case <-s.made:
	case <-timer.C:
	}
	return true
}

// admit plans the requests that were made since the last event. Which of them was made first is not told, as that is
// for the Go scheduler to choose: they are planned in the order of their keys.
func (s *scheduler) admit() {
	s.mu.Lock()
	made := s.requests
	s.requests = nil
	s.mu.Unlock()

	slices.SortStableFunc(made, func(a, b *request) int { return cmp.Compare(a.key, b.key) })
	for _, r := range made {
		r.arrive()
	}
}

// submit hands a request over to the scheduler.
func (s *scheduler) submit(r *request) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	select {
	case s.made <- struct{}{}:
	default:
	}
}

// chance returns a source of chance for the next thing of a kind: the same for the same seed, whatever else happens.
func (s *scheduler) chance(kind string) *rand.Rand {
	s.seen[kind]++
	return chanceOf(s.seed, fmt.Sprintf("%s %d", kind, s.seen[kind]))
}

// chanceOf returns the source of chance of a name.
func chanceOf(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// between returns a time between two.
func between(chance *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(chance.Float64()*float64(most-least))
}

// eventHeap holds events, the next one first.
type eventHeap []*event

// Len implements heap.Interface.
func (h eventHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h eventHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].number < h[j].number
}

// Swap implements heap.Interface.
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *eventHeap) Push(x any) {
	if e, ok := x.(*event); ok {
		*h = append(*h, e)
	}
}

// Pop implements heap.Interface.
func (h *eventHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
