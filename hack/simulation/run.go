package simulation

import (
	"context"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Result is what came of a run.
type Result struct {
	Seed uint64
	// Violation is the first invariant that did not hold; nil: all held.
	Violation *Violation
	// Lines are the last lines of the history, and History is a digest of all of it.
	Lines   []string
	History uint64
	// Simulated is how much virtual time has passed, and Events how many events took place in it.
	Simulated time.Duration
	Events    int
}

// Run simulates the world of a seed and a shape with a script; nil is its own. It must be called in a synctest bubble.
// show gets each line of the history; nil: nobody does. The operator's goroutines are still there when it returns.
func Run(ctx context.Context, seed uint64, shape Shape, script []Action, show func(string)) (*Result, error) {
	log.SetLogger(logr.Discard()) // Without one, it keeps who has asked for it.
	if script == nil {
		script = Script(seed, shape)
	}
	w, err := newWorld(ctx, seed, shape, show)
	if err != nil {
		return nil, err
	}

	w.start()
	if shape.LeaderElection {
		w.start()
	}
	w.play(script)
	w.scheduler.after(shape.Disturbed/2, w.deny)
	w.proceed(shape.Disturbed)
	w.calmDown()
	w.proceed(shape.Disturbed + settling)
	if w.violation == nil {
		w.checkQuiet()
		w.quiet = true
		w.proceed(shape.Disturbed + settling + resting)
		w.quiet = false
	}
	if w.violation == nil && shape.Churns {
		w.checkGrowth()
	}

	return &Result{
		Seed: seed, Violation: w.violation, Lines: slices.Clone(w.lines), History: w.history,
		Simulated: w.scheduler.elapsed(), Events: w.scheduler.served,
	}, nil
}

// proceed lets everything happen until an elapsed time, or until an invariant does not hold.
func (w *World) proceed(until time.Duration) {
	for ok := true; ok && w.violation == nil; {
		ok = w.scheduler.step(until)
	}
}
