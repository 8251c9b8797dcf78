package logfilevalidation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/digest"
)

const (
	// chainsAtOnce is how many chains of one object are walked at once. How many objects are read at once is bounded for
	// all.
	chainsAtOnce = 32
	// stride is how far all chains are walked before any goes on, so that a restart, or the turn of another object, loses
	// little. It is doubled while there is nothing.
	stride = 24 * time.Hour
	// turn is how long an object validates before others have their turn.
	turn = time.Minute
	// tellInterval is how often the status shows the progress of a validation.
	tellInterval = 30 * time.Second
)

// job is what a validation is to do.
type job struct {
	request Request
	start   time.Time
	// end of a range; the zero time: now.
	end time.Time
	// interval is how often to validate.
	interval time.Duration
	// asked is the reconcile annotation that this answers.
	asked string
	// goOn says that this is the last try of a range: what cannot be verified is passed.
	goOn bool
}

// progress is what was found out and is not in the status yet.
type progress struct {
	// digests, logs and gaps count what was looked at, and findings what was found, since the last progress.
	digests, logs, gaps int64
	findings            findings
	// trail is what is validated, and summary how far; without a bucket, neither is known.
	trail   digest.Trail
	summary summary
	// missing is how many chains were there before a restart and are not now.
	missing int
	// err is why nothing could be validated, or not all chains are known; nil: nothing.
	err error
	// ended is when the validation ended; the zero time: it goes on. complete says that it is not to be repeated.
	ended    time.Time
	complete bool
	// asked is the reconcile annotation that was acted on.
	asked string
}

// validation is what is known of an object beyond its status.
type validation struct {
	options *Options
	key     types.NamespacedName
	// wake has the object reconciled, to write progress or to begin anew.
	wake func(types.NamespacedName)

	mu         sync.Mutex
	generation int64
	// task is under way or waits for its turn; nil: there is none.
	task *task
	// due is when to validate next, and asked the last reconcile annotation that asked for it.
	due    time.Time
	asked  string
	source *Source
	chains map[digest.Chain]*chain
	// resume is what the status told at the start of the process, until it is validated once; nil: nothing.
	resume *resume
	// start is from when on the last validation was, and missing how many chains of resume were not found.
	start   time.Time
	missing int
	// troubled is since when something could not be verified; the zero time: all could.
	troubled time.Time
	// news is what is not in the status yet; nil: nothing. told is when the last progress was.
	news *progress
	told time.Time
}

// resume is where a validation goes on after a restart.
type resume struct {
	until   time.Time
	lagging map[digest.Chain]time.Time
	chains  int
	// classes are the classes of findings of which not all are listed, with the last hour that one is about.
	classes map[digest.Class]time.Time
	// resumed says that the chains are known.
	resumed bool
}

// resumeOf returns what a status tells; nil: nothing.
func resumeOf(v *v1alpha1.LogFileValidation) *resume {
	status := &v.Status
	if status.Chains == nil {
		return nil
	}
	r := &resume{
		until:   v1alpha1.TimeOf(status.ValidatedUntil),
		lagging: map[digest.Chain]time.Time{},
		chains:  int(*status.Chains),
	}

	if start, _, err := v.Range(); err == nil && start.After(v1alpha1.TimeOf(status.StartTime)) {
		r.chains = 0 // What is missing is acknowledged.
	}
	for _, lag := range status.LaggingChains {
		of := digest.Chain{OrganizationID: lag.OrganizationID, AccountID: lag.AccountID, Region: lag.Region}
		r.lagging[of] = v1alpha1.TimeOf(lag.ValidatedUntil)
	}
	if status.FindingsTruncated {
		r.classes = map[digest.Class]time.Time{}
		for _, class := range status.FindingClasses {
			r.classes[digest.Class(class.Class)] = v1alpha1.TimeOf(class.LatestTime)
		}
	}
	return r
}

// knows tells whether a finding is one of those that the status counts and does not list, as far as it tells.
func (r *resume) knows(f *digest.Finding) bool { return r != nil && !f.Time.After(r.classes[f.Class]) }

// startOf returns where a chain goes on.
func (r *resume) startOf(c digest.Chain) time.Time {
	if r == nil {
		return time.Time{}
	}
	if until, ok := r.lagging[c]; ok {
		return until
	}
	return r.until
}

// changed returns what is known of an object for another generation of its spec. The validation that is under way ends
// by itself.
func (v *validation) changed(generation int64) *validation {
	v.mu.Lock()
	defer v.mu.Unlock()
	next := &validation{
		options: v.options, key: v.key, wake: v.wake,
		generation: generation,
		asked:      v.asked,
		chains:     make(map[digest.Chain]*chain, len(v.chains)),
		resume:     v.resume,
		start:      v.start,
		missing:    v.missing,
		news:       v.news,
	}
	for of, c := range v.chains {
		next.chains[of] = c.clone()
	}
	v.news = nil
	return next
}

// work validates for a turn, and returns whether there is more to do.
func (v *validation) work(ctx context.Context, j job, yield func() bool) (more bool) {
	began := v.options.Now()
	found, err := v.open(ctx, j)
	if err == nil || found {
		err = errors.Join(err, v.strides(ctx, j, func() bool { return yield() && v.options.Now().Sub(began) >= turn }))
	}
	switch {
	case ctx.Err() != nil:
		return false // What was validated is kept in memory, and told when the object is validated again.
	case errors.Is(err, errYield):
		v.tell(true)
		return true
	default:
		v.finish(ctx, j, err)
		return false
	}
}

// errYield says that it is another's turn.
var errYield = errors.New("others wait")

// open finds out where to validate, and which chains there are. It returns whether any are known.
func (v *validation) open(ctx context.Context, j job) (found bool, err error) {
	v.mu.Lock()
	last := v.source
	v.mu.Unlock()
	source, err := v.options.Open(ctx, j.request, last)
	if err != nil {
		return false, err
	}
	chains, err := source.Chains(ctx, source.Trail)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}

	v.mu.Lock()
	defer v.mu.Unlock()
	v.source = source
	if j.start.After(v.start) {
		v.start, v.missing = j.start, 0
	}
	for _, of := range chains {
		known, ok := v.chains[of]
		if !ok {
			known = &chain{Chain: of}
			v.chains[of] = known
			known.begin(v.resume.startOf(of))
		}
		known.gone = false
		known.begin(j.start)
	}
	if err == nil {
		v.findMissing(chains)
	}
	return len(v.chains) > 0, err
}

// findMissing tells of the chains that were there before. Which ones these were is not known after a restart. The
// caller holds the lock.
func (v *validation) findMissing(found []digest.Chain) {
	if v.resume != nil && !v.resume.resumed {
		v.missing = max(0, v.resume.chains-len(found))
		v.resume.resumed = true
	}

	there := make(map[digest.Chain]bool, len(found))
	for _, of := range found {
		there[of] = true
	}

	for of, c := range v.chains {
		if c.gone || there[of] {
			continue
		}
		if c.lag != nil || c.position == (digest.Position{}) {
			delete(v.chains, of) // It had ended before: nothing was delivered any more.
			continue
		}
		c.gone = true
		v.pending().findings.add(&digest.Finding{
			Class: digest.DigestMissing, Chain: of,
			Bucket: c.position.Bucket, Object: c.position.Object, Time: c.position.End,
			Message: fmt.Sprintf("all digests of the chain are gone; the last one that was validated ended at %s",
				shownTime(c.position.End)),
		})
	}
}

// strides walks all chains, stride by stride, until there is no more or it is another's turn.
func (v *validation) strides(ctx context.Context, j job, yield func() bool) error {
	until, step := v.begin(j.start), stride
	for {
		until = until.Add(step)
		end := j.end
		if end.IsZero() {
			end = v.options.Now()
		}
		last := !until.Before(end)
		if last {
			until = j.end
		}

		walked, err := v.walkAll(ctx, j, until, last)
		if err != nil || last {
			return err
		}
		step *= 2
		if walked {
			step = stride
		}
		v.tell(false)
		if yield() {
			return errYield
		}
	}
}

// begin has all chains tried anew, and returns from when on there is something to do: from the start on, or later.
func (v *validation) begin(start time.Time) time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	var until []time.Time
	for _, c := range v.chains {
		c.tried = false
		if !c.gone {
			until = append(until, c.until())
		}
	}
	if len(until) == 0 {
		return start
	}
	return slices.MinFunc(until, time.Time.Compare)
}

// walkAll walks the chains until a time, the zero time for as far as they go, and returns whether there was anything in
// any of them. The error is the context's.
func (v *validation) walkAll(
	ctx context.Context, j job, until time.Time, last bool,
) (walked bool, err error) {
	v.mu.Lock()
	source := v.source
	chains := slices.SortedFunc(maps.Values(v.chains), func(a, b *chain) int { return compareChains(a.Chain, b.Chain) })
	chains = slices.DeleteFunc(chains, func(c *chain) bool {
		return c.gone || c.tried || !until.IsZero() && !c.until().Before(until)
	})
	v.mu.Unlock()

	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(chainsAtOnce)
	var some atomic.Bool
	for _, c := range chains {
		group.Go(func() error {
			found, err := v.walk(ctx, source, j, c, until, last)
			if err == nil && last && v.reopen(c, j.start) {
				found, err = v.walk(ctx, source, j, c, until, last)
			}
			if found {
				some.Store(true)
			}
			return err
		})
	}
	err = group.Wait()
	return some.Load(), err
}

// reopen tells whether a chain is to be walked from the start: it had come further before a restart, and there is
// nothing where it was to go on. It may have ended then, or somebody has deleted its newest digests.
func (v *validation) reopen(c *chain, start time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return c.reopen(start)
}

// walk walks a chain. Only one goroutine does so at a time.
func (v *validation) walk(
	ctx context.Context, source *Source, j job, c *chain, until time.Time, last bool,
) (found bool, err error) {
	c.unverifiable = nil
	walk := digest.Walk{
		Trail: source.Trail, Chain: c.Chain, From: c.position, Start: c.start, Until: until, GoOn: j.goOn,
		Report: func(r digest.Result) {
			found = true
			v.report(c, r)
		},
	}
	if until.IsZero() && source.Delivery != nil {
		walk.Delivery = source.Delivery(ctx, j.request, c.Chain)
	}
	position, err := source.Walk(ctx, walk)
	if err != nil {
		return found, err
	}

	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range c.walked(position, until, last) {
		v.pending().findings.add(f)
	}
	c.tried = c.lag != nil
	return found, nil
}

// report takes note of what was looked at.
func (v *validation) report(c *chain, r digest.Result) {
	v.mu.Lock()
	news := v.pending()
	switch r.Kind {
	case digest.KindLog:
		news.logs++
	case digest.KindGap:
		news.gaps++
	default:
		news.digests++
	}
	tampered := false
	switch {
	case r.Finding == nil:
	case r.Finding.Class == digest.Unverifiable:
		c.unverifiable = append(c.unverifiable, r.Finding)
	case c.isNew(r.Finding) && !v.resume.knows(r.Finding):
		news.findings.add(r.Finding)
		tampered = true
	}
	v.mu.Unlock()

	v.options.Meter.Validated(r)
	if tampered {
		v.tell(false)
	}
}

// pending returns what is to be told. The caller holds the lock.
func (v *validation) pending() *progress {
	if v.news == nil {
		v.news = &progress{}
	}
	return v.news
}

// tell has the progress written into the status, if now or if that was not done for a while.
func (v *validation) tell(now bool) {
	v.mu.Lock()
	at := v.options.Now()
	due := now || at.Sub(v.told) >= tellInterval
	if due {
		v.told = at
		v.summarize()
	}
	v.mu.Unlock()
	if due {
		v.wake(v.key)
	}
}

// summarize adds to what is to be told how far the chains are. The caller holds the lock.
func (v *validation) summarize() *progress {
	news := v.pending()
	news.trail, news.summary, news.missing = v.source.Trail, summarize(v.chains), v.missing
	return news
}

// finish ends a validation: what could not be verified is tried again.
func (v *validation) finish(ctx context.Context, j job, err error) {
	now := v.options.Now()
	v.mu.Lock()
	trouble := v.trouble(err)
	if trouble == none {
		v.troubled = time.Time{}
	} else if v.troubled.IsZero() {
		v.troubled = now
	}
	lasted := time.Duration(0)
	if trouble != none {
		lasted = now.Sub(v.troubled)
	}

	hidden := trouble == passing && lasted < hideFaults
	for _, c := range v.chains {
		c.shown = c.lag != nil && !hidden
	}
	if err == nil {
		v.resume = nil
	}
	v.task = nil
	v.due = now.Add(retryAfter(trouble, lasted, j.interval))
	news := v.pending()
	if v.source != nil {
		news = v.summarize()
	}
	if !hidden {
		news.err, news.ended, news.asked = err, now, j.asked
		news.complete = !j.end.IsZero() && v.source != nil && (trouble == none || j.goOn && len(v.chains) > 0)
	}
	v.told = now
	v.mu.Unlock()

	ctrl.LoggerFrom(ctx).V(1).Info("validated", "object", v.key, "error", err, "trouble", trouble, "lasted", lasted)
	v.wake(v.key)
}

// trouble returns what kept the validation from verifying all, the one that passes by itself last. The caller holds the
// lock.
func (v *validation) trouble(err error) trouble {
	worst := troubleOf(err)
	chains := 0
	for _, c := range v.chains {
		if c.lag != nil {
			worst = max(worst, troubleOfReason(c.lag.Reason))
		}
		if !c.gone {
			chains++
		}
	}
	if chains == 0 {
		worst = max(worst, repairable)
	}
	return worst
}

// take returns what is to be written into the status; nil: nothing.
func (v *validation) take() *progress {
	v.mu.Lock()
	defer v.mu.Unlock()
	news := v.news
	v.news = nil
	return news
}

// putBack keeps what could not be written.
func (v *validation) putBack(unwritten *progress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	later := v.news
	v.news = unwritten
	if later == nil {
		return
	}
	later.digests += unwritten.digests
	later.logs += unwritten.logs
	later.gaps += unwritten.gaps
	later.findings.merge(unwritten.findings)
	if later.ended.IsZero() {
		later.ended, later.err, later.complete = unwritten.ended, unwritten.err, unwritten.complete
		later.asked = unwritten.asked
	}
	v.news = later
}

// wait returns how long to wait before the object is validated: 0 when it is due, and less than 0 when that is under
// way and wakes the object by itself.
func (v *validation) wait(now time.Time) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.task != nil:
		return -1
	case v.due.After(now):
		return v.due.Sub(now)
	default:
		return 0
	}
}

// begun notes the task of the validation.
func (v *validation) begun(t *task) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.task = t
}

// endTask returns the task to be ended; nil: there is none.
func (v *validation) endTask() *task {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.task
	v.task = nil
	return t
}

// refuse notes why nothing can be validated without asking AWS.
func (v *validation) refuse(refusal *Refusal, interval time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.options.Now()
	if v.troubled.IsZero() {
		v.troubled = now
	}
	news := v.pending()
	news.err, news.ended = refusal, now
	v.due = now.Add(retryAfter(repairable, now.Sub(v.troubled), interval))
}

// ask makes the validation due now, once for each value of the reconcile annotation.
func (v *validation) ask(asked string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.asked != asked {
		v.asked, v.due = asked, time.Time{}
	}
}

// lasted returns for how long something could not be verified.
func (v *validation) lasted(now time.Time) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.troubled.IsZero() {
		return 0
	}
	return now.Sub(v.troubled)
}

// hurry makes a validation that could not verify something due now.
func (v *validation) hurry() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.troubled.IsZero() {
		v.due = time.Time{}
	}
}
