package validatelogs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/command"
	"github.com/trail-operator/trail-operator/controllers/digest"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// report prints what is found as it is found, and adds it up.
type report struct {
	options *Options
	// from and to are the range that was asked for.
	from, to time.Time
	progress *progress

	mu      sync.Mutex
	output  io.Writer
	summary summaryLine
	// started says that there is more to report than one error.
	started bool
	// failure is the first error that is of no single file, and unwritten why the output is not complete.
	failure, unwritten error
}

// newReport returns a report of nothing yet.
func newReport(o *Options, now time.Time, output io.Writer) *report {
	to := o.End
	if to.IsZero() {
		to = now
	}
	return &report{
		options: o, from: o.Start, to: to, output: output, progress: newProgress(o.Terminal, o.Start, to, time.Now),
		summary: summaryLine{
			Type: typeSummary, TrailARN: o.TrailARN, StartTime: moment(o.Start), EndTime: moment(to), mode: o.Mode,
			found: found{Findings: map[digest.Class]int{}},
		},
	}
}

// start says what is validated.
func (r *report) start(trail digest.Trail) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = true
	r.print(startLine{
		Type: typeStart, TrailARN: r.options.TrailARN, StartTime: moment(r.from), EndTime: moment(r.to),
		Bucket: trail.Bucket, Prefix: trail.Prefix, Mode: r.options.Mode, Shard: r.options.Shard.String(),
	})
}

// note says something that fails nothing.
func (r *report) note(message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.print(noteLine{Type: typeNote, Message: message})
}

// check notes an error that is of no single file; nil is none.
func (r *report) check(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.Errors++
	if r.failure == nil {
		r.failure = err
	}
	if r.started || r.options.Format == JSON {
		r.print(noteLine{Type: typeError, Message: err.Error()})
	}
}

// print prints a line. The caller holds the lock.
func (r *report) print(l line) {
	printed := l.text()
	if r.options.Format == JSON {
		var err error
		if printed, err = text.JSON(l, ""); err != nil {
			r.unwritten = err
			return
		}
	}
	if _, first := l.(startLine); !first {
		r.summary.spaced = true
	}
	r.progress.hide()
	if _, err := io.WriteString(r.output, printed); err != nil {
		r.unwritten = err
	}
}

// expect says how many chains there are.
func (r *report) expect(chains int) {
	r.mu.Lock()
	r.summary.Chains = chains
	r.mu.Unlock()
	r.progress.expect(chains)
}

// begin returns the report of a chain.
func (r *report) begin(chain digest.Chain) *chainReport {
	return &chainReport{report: r, chain: chain}
}

// chainReport is the report of one chain. One goroutine at a time uses it.
type chainReport struct {
	report *report
	chain  digest.Chain
	found  found
	// last is the last result if it could not be checked: it may pass, and then it is none.
	last *digest.Result
	// alike counts what could not be checked, by reason.
	alike map[string]int
}

// add adds a result.
func (c *chainReport) add(result digest.Result) {
	c.settle()
	if result.Finding != nil && result.Finding.Class == digest.Unverifiable {
		c.last = &result
		return
	}
	c.count(result)
}

// settle adds the last result for good.
func (c *chainReport) settle() {
	if c.last != nil {
		c.count(*c.last)
	}
	c.last = nil
}

// mayPass tells whether the last result is that S3 or CloudTrail are in trouble.
func (c *chainReport) mayPass() bool {
	if c.last == nil {
		return false
	}
	switch reason := c.last.Finding.Reason; reason {
	case digest.ReasonArchived, digest.ReasonKeyUnknown, digest.ReasonOverdue, digest.ReasonTooLarge:
		return false
	default:
		outcome := cloudtrail.Outcome(reason)
		return outcome == "throttled" || outcome == "failed"
	}
}

// forgetLast forgets the last result, as it will come again if it does not pass.
func (c *chainReport) forgetLast() { c.last = nil }

// shownAlike is how many results of a chain are printed that could not be checked for the same reason.
const shownAlike = 10

// count counts a result, and prints it if somebody should see it.
func (c *chainReport) count(result digest.Result) {
	l := newResultLine(result)
	r := c.report
	c.found.add(result, l, r.from, r.to)
	r.progress.reached(c.chain, result)
	shown := l.Status != statusValid
	if l.Status == statusUnchecked {
		if c.alike == nil {
			c.alike = map[string]int{}
		}
		c.alike[l.Reason]++
		shown = c.alike[l.Reason] <= shownAlike
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.add(result, l, r.from, r.to)
	if shown || r.options.Verbose {
		r.print(l)
	}
}

// end ends the report of the chain.
func (c *chainReport) end() {
	c.settle()
	r := c.report
	r.progress.done(c.chain)
	r.mu.Lock()
	defer r.mu.Unlock()

	if !r.options.Verbose {
		for _, reason := range slices.Sorted(maps.Keys(c.alike)) {
			if more := c.alike[reason] - shownAlike; more > 0 {
				r.print(noteLine{Type: typeNote, Message: fmt.Sprintf(
					"%d more of account %s, region %s could not be checked: %s",
					more, c.chain.AccountID, c.chain.Region, reason)})
			}
		}
	}
	if r.options.Format != JSON && !r.options.Verbose {
		return
	}
	if c.found.Findings == nil {
		c.found.Findings = map[digest.Class]int{}
	}
	r.print(chainLine{
		Type: typeChain, OrganizationID: c.chain.OrganizationID, AccountID: c.chain.AccountID, Region: c.chain.Region,
		found: c.found,
	})
}

// end prints the summary and returns the error of the command.
func (r *report) end() error {
	r.progress.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.outcome()
	if err != nil {
		r.summary.ExitCode = err.Code
	}
	if r.started || r.options.Format == JSON {
		r.print(&r.summary)
	}
	switch {
	case r.unwritten != nil:
		return exitError(max(r.summary.ExitCode, ExitFindings), "writing the results: %w", r.unwritten)
	case err != nil:
		return err
	default:
		return nil
	}
}

// outcome returns the error that the counts ask for, nil if all is valid.
func (r *report) outcome() *command.ExitError {
	s := &r.summary
	switch {
	case s.invalid() > 0:
		return exitError(ExitFindings, "%d findings: not all is as CloudTrail has delivered it", s.invalid())
	case !r.started && r.failure != nil:
		return exitError(ExitUnchecked, "%w", r.failure)
	case s.unchecked() > 0:
		return exitError(ExitUnchecked, "nothing is wrong with what was checked, but %d could not be checked", s.unchecked())
	case s.Digests.total()+s.Backfill.total() == 0 && r.options.Shard.Count == 0:
		return exitError(ExitUnchecked, "there is no digest file of this time: nothing was checked")
	default:
		return nil
	}
}
