package digest

import (
	"context"
	"time"
)

// Steps are completed together, so that their log files are listed and read in parallel: those of so many digests, or
// of fewer that have so many log files.
const (
	stepsAtOnce = 256
	logsAtOnce  = 4096
)

// add adds a step, and completes those before when there are enough.
func (r *run) add(ctx context.Context, s step) error {
	r.steps = append(r.steps, s)
	r.logs += len(s.checks)
	if r.options.Mode == Digests || len(r.steps) >= stepsAtOnce || r.logs >= logsAtOnce {
		return r.flush(ctx)
	}
	return nil
}

// flush completes the steps and reports them in order.
func (r *run) flush(ctx context.Context) error {
	steps := r.steps
	r.steps, r.logs = nil, 0
	if len(steps) == 0 {
		return nil
	}
	if err := r.vouch(ctx, r.vouchUntil(steps)); err != nil {
		return err
	}

	completed := r.startChecks(ctx, steps)
	defer completed.close()
	for i := range steps {
		if err := completed.wait(ctx, i); err != nil {
			return err
		}
		if failed := r.stopped(&steps[i]); failed != nil {
			return r.halt(failed.result, failed.failure)
		}
		r.complete(&steps[i])
	}
	return nil
}

// complete reports a step: the walk has come so far.
func (r *run) complete(s *step) {
	for i := range s.results {
		r.report(s.results[i])
	}
	for _, check := range s.checks {
		if check.failure != nil {
			check.result.Finding = check.failure.finding(check.result)
		}
		r.report(check.result)
	}
	if s.at != (Position{}) {
		r.committed = s.at
	}
}

func (r *run) report(result Result) {
	if r.Report != nil {
		r.Report(result)
	}
}

// stopped returns the first log file of a step at which the walk must stop.
func (r *run) stopped(s *step) *logCheck {
	for _, check := range s.checks {
		if check.failure != nil && r.halts(check.failure) {
			return check
		}
	}
	return nil
}

// stop completes what came before something that may be readable later, reports that, and ends the walk.
func (r *run) stop(ctx context.Context, result Result, failure *fault) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	return r.halt(result, failure)
}

func (r *run) halt(result Result, failure *fault) error {
	result.Finding = failure.finding(result)
	r.report(result)
	return errStopped
}

// finish completes what is left, and looks at what should be after the last digest if the list has ended before that
// was told by a digest.
func (r *run) finish(ctx context.Context, atEnd bool) error {
	before := r.committed
	if err := r.flush(ctx); err != nil {
		return err
	}
	if !r.Until.IsZero() {
		if err := r.vouch(ctx, earlier(r.committed.End, r.now.Add(-settled))); err != nil {
			r.committed = before // What is not vouched for is looked for again with the last steps.
			return err
		}
	}
	if !atEnd {
		return nil
	}
	return r.checkTail(ctx)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
