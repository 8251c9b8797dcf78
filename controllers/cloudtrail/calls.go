package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"
)

// Calls are the calls to AWS of one reconcile of one object, and what they were answered.
//
// A worker does not wait for AWS. A call that is not answered within a moment, or that CloudTrail's rate limit does not
// allow yet, ends the reconcile with a *Pending. The call goes on by itself, or keeps its place in the queue. Then the
// reconcile is run again from its beginning, and a call that was answered gives the same answer without being made
// again. So a reconcile is written as if every call returned at once, and it makes progress however often it has to
// wait.
//
// One reconcile uses them at a time.
type Calls struct {
	namespace, name string
	wake            func()

	mu sync.Mutex
	// of is what is reconciled: what was answered for something else does not count. nil: nothing.
	of    any
	began time.Time
	// fresh is how old a shared read may be, and urgency the place of this reconcile among those of its namespace.
	fresh   time.Duration
	urgency urgency
	// wrote says that a write was made.
	wrote bool
	// answers are nil before Begin and after End: nobody asks any more.
	answers map[string]*answer
	// asked counts what this run has asked, as one thing may be asked several times.
	asked    map[string]int
	reserved map[limitKey]*reservation
}

// answer is a call that is under way or answered.
type answer struct {
	operation string
	sent      time.Time
	done      chan struct{}
	// value, err and since when they are known are there when done is closed.
	value    any
	err      error
	answered time.Time

	mu sync.Mutex
	// awaited says that a reconcile has ended that is to be run again when the call is answered.
	awaited bool
}

func (a *answer) isDone() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// await sees to it that the object is woken when the call is answered. It returns false when it is answered already.
func (a *answer) await() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.isDone() {
		return false
	}
	a.awaited = true
	return true
}

// failed tells whether the call, or the shared work that stands for it, has failed.
func (a *answer) failed() bool {
	work, ok := a.value.(interface{ failed() bool })
	return a.err != nil || ok && work.failed()
}

// Reason is why an object is reconciled. It says how old what was read of AWS may be, and who comes first under
// CloudTrail's rate limit.
type Reason int

const (
	// ForResync is the regular look at an object that works.
	ForResync Reason = iota
	// ForChange is for an object that is new or was changed.
	ForChange
	// ForRetry is another try of something that failed.
	ForRetry
	// ForRequest is for a person who asks: nothing that was read before counts.
	ForRequest
	// ForAssessment is for what is looked at beside the work, which must not wait for it.
	ForAssessment
)

// Pending is the error of a call that is not answered yet. The reconcile is to be run again when it is woken, at the
// latest after the time given here.
type Pending struct {
	// Operation is the AWS operation that is waited for.
	Operation string
	// After is when to run again if nothing wakes the reconcile.
	After time.Duration
}

// Error says what is waited for.
func (p *Pending) Error() string { return p.Operation + " is not answered yet" }

// PendingOf returns the *Pending in an error, nil when there is none.
func PendingOf(err error) *Pending {
	if pending, ok := errors.AsType[*Pending](err); ok {
		return pending
	}
	return nil
}

// NewCalls returns the calls of an object. wake is called when a call that it waits for can go on; it must not block.
func NewCalls(namespace, name string, wake func()) *Calls {
	return &Calls{namespace: namespace, name: name, wake: wake}
}

type callsKey struct{}

func callsOf(ctx context.Context) *Calls {
	calls, _ := ctx.Value(callsKey{}).(*Calls) //nolint:errcheck // None is nil.
	return calls
}

// tenantOf returns the namespace on whose behalf a context calls AWS, "" for nobody's.
func tenantOf(ctx context.Context) string {
	if c := callsOf(ctx); c != nil {
		return c.namespace
	}
	return ""
}

const (
	// outlives is how long what was read for a reconcile that waits for its first write is believed at least: an endpoint
	// that does not answer keeps a reconcile for as long as all of its calls take to fail, one after the other, and has to
	// be told of then.
	outlives = 10 * sharedReadTimeout
	// wroteOutlives is the same after a write.
	wroteOutlives = 10 * time.Minute
)

// Begin begins a run of a reconcile, and returns the context for it. What an earlier run for the same thing was
// answered is kept; anything comparable can stand for the thing, such as the object's generation. resync is how often
// the object is reconciled. It fails with a *Pending while a write for another thing is under way.
func (c *Calls) Begin(
	ctx context.Context,
	of any,
	reason Reason,
	resync time.Duration,
	now time.Time,
) (context.Context, error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.of != of || c.outlived(resync, now) {
		for _, a := range c.answers {
			if classOfOperation(a.operation) == writeClass && a.await() {
				return ctx, &Pending{Operation: a.operation, After: shortestWait}
			}
		}
		c.abandon()
		c.of, c.began, c.wrote, c.answers = of, now, false, map[string]*answer{}
		c.fresh, c.urgency = freshFor(reason, resync), regular
		switch reason {
		case ForChange, ForRetry:
			c.urgency = whenIdle
		case ForAssessment:
			c.urgency = background
		}
	}
	c.asked = map[string]int{}

	ctx = WithActor(ctx, c.namespace+"/"+c.name)
	return context.WithValue(ctx, callsKey{}, c), nil
}

// outlived tells whether what was read is too old to go on with. The places in the queues are kept, and a call that is
// under way is waited for.
func (c *Calls) outlived(resync time.Duration, now time.Time) bool {
	oldest := now
	for _, a := range c.answers {
		if !a.isDone() {
			return false
		}
		if a.sent.Before(oldest) {
			oldest = a.sent
		}
	}
	if len(c.answers) == 0 {
		oldest = c.began
	}
	if c.wrote {
		return now.Sub(oldest) > wroteOutlives
	}
	return now.Sub(oldest) > max(resync, outlives)
}

// Retry forgets the calls that failed, or all calls, so that the next run makes them again. What else was answered is
// kept.
func (c *Calls) Retry(all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.answers, func(_ string, a *answer) bool { return a.isDone() && (all || a.failed()) })
}

// End forgets what was answered and gives up what is waited for: the reconcile is complete, or the object is gone.
func (c *Calls) End(sessions *Sessions) {
	c.mu.Lock()
	c.abandon()
	reserved := c.reserved
	c.of, c.answers, c.asked, c.reserved = nil, nil, nil, nil
	c.mu.Unlock()

	for key, r := range reserved {
		sessions.limits.cancel(key, r)
	}
}

// abandon sees to it that nobody is woken for what is under way. The caller holds the lock.
func (c *Calls) abandon() {
	for _, a := range c.answers {
		a.mu.Lock()
		a.awaited = false
		a.mu.Unlock()
	}
}

// Since returns a time that nothing is older than that the reconcile under way was answered.
func (c *Calls) Since() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.began.Add(-c.fresh)
}

// Began returns when the reconcile under way began.
func (c *Calls) Began() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.began
}

// SentAt returns when the last call of an operation was sent, the zero time when there was none.
func (c *Calls) SentAt(operation string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	var last time.Time
	for _, a := range c.answers {
		if a.operation == operation && a.sent.After(last) {
			last = a.sent
		}
	}
	return last
}

// question is a call to be made.
type question struct {
	// operation is AWS's name of it, and subject what it is about, such as an ARN.
	operation, subject string
	// urgent puts the call before all others of its namespace.
	urgent bool
	// unlimited says that no limit of CloudTrail holds for it.
	unlimited bool
	// guard is called right before the call is sent; the call is not made when it fails.
	guard func(context.Context) error
	// newer asks for an answer that was got no longer ago than that; 0: any of this reconcile.
	newer time.Duration
}

// ask makes a call, or gives the answer that it got. Without Calls in the context it just waits for the answer.
func ask[T any](ctx context.Context, r *Region, q question, call func(context.Context) (T, error)) (T, error) {
	var none T
	c := callsOf(ctx)
	if c == nil {
		if err := q.check(ctx); err != nil {
			return none, err
		}
		return invoke(ctx, r, call)
	}

	key, a, err := c.find(q, r.now())
	if err != nil {
		return none, err
	}
	if a == nil {
		invocation := func(ctx context.Context) (any, error) { return invoke(ctx, r, call) }
		if a, err = c.send(ctx, r, q, key, invocation); err != nil {
			return none, err
		}
	}
	if err := a.wait(ctx, r.longestWait()); err != nil {
		return none, err
	}
	if a.err != nil {
		return none, a.err
	}
	value, _ := a.value.(T) //nolint:errcheck // It is what the call returned.
	return value, nil
}

// check calls the guard.
func (q *question) check(ctx context.Context) error {
	if q.guard == nil {
		return nil
	}
	return q.guard(ctx)
}

// ended is the error of what is asked after End: the object has gone in the middle of a run, of which nothing may be
// left behind.
func ended(operation string) error { return &Pending{Operation: operation, After: shortestWait} }

// find returns the key of a question in this run, and the answer to it or nil.
func (c *Calls) find(q question, now time.Time) (string, *answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		return "", nil, ended(q.operation)
	}
	key := q.operation + " " + q.subject
	c.asked[key]++
	key = fmt.Sprintf("%s %d", key, c.asked[key])
	a := c.answers[key]
	if a != nil && q.newer > 0 && a.isDone() && now.Sub(a.answered) > q.newer {
		a = nil
	}
	return key, a, nil
}

// send sends a call when its time has come. It is answered in the background.
func (c *Calls) send(
	ctx context.Context,
	r *Region,
	q question,
	key string,
	call func(context.Context) (any, error),
) (*answer, error) {
	limited := limitKey{regionKey{r.accountID, r.name}, classOfOperation(q.operation)}
	reserved, err := c.reserve(r, q, limited)
	if err != nil {
		return nil, err
	}
	checked := time.Now() // What the guard finds out may be as old as that.
	if err := q.check(ctx); err != nil {
		if PendingOf(err) == nil {
			c.giveUp(r, limited) // Others wait for it, and nobody knows when this call may be made.
		}
		if _, ok := errors.AsType[*Error](err); ok {
			// The reconcile goes on to other calls: it must not come back to this one each time that it waits for them.
			c.keep(key, "guard of "+q.operation, nil, err, r.now())
		}
		return nil, err
	}

	// The call is nobody's: a worker that ends does not end it.
	calling, cancel := context.WithTimeout(context.WithoutCancel(ctx), sharedReadTimeout)
	if q.guard != nil {
		calling = context.WithValue(calling, sendByKey{}, checked.Add(guardHolds))
	}
	if reserved != nil {
		calling = context.WithValue(calling, reservationKey{}, &reservedCall{reservation: reserved})
	}
	a := &answer{operation: q.operation, sent: r.now(), done: make(chan struct{})}
	c.mu.Lock()
	if c.answers == nil {
		c.mu.Unlock()
		cancel()
		return nil, ended(q.operation)
	}
	c.answers[key] = a
	c.wrote = c.wrote || limited.class == writeClass && !q.unlimited
	delete(c.reserved, limited)
	c.mu.Unlock()

	go func() {
		defer cancel()
		a.value, a.err = call(calling)
		if reserved != nil {
			r.limits.cancel(limited, reserved) // It was not used, as the call failed before it was sent.
		}
		a.mu.Lock()
		a.answered = r.now()
		close(a.done)
		awaited := a.awaited
		a.mu.Unlock()
		if awaited {
			c.wake()
		}
	}()
	return a, nil
}

// reserve returns the reservation for a call when it is granted, and else a *Pending. Where no limit holds it returns
// nil.
func (c *Calls) reserve(r *Region, q question, key limitKey) (*reservation, error) {
	if q.unlimited {
		return nil, nil
	}

	c.mu.Lock()
	reserved, ok := c.reserved[key]
	how := c.urgency
	c.mu.Unlock()
	if q.urgent {
		how = urgent
	}

	if !ok || r.limits.lost(reserved) {
		reserved = r.limits.reserve(key, c.namespace, how, c.wake)
		if !c.hold(key, reserved) {
			r.limits.cancel(key, reserved)
			return nil, ended(q.operation)
		}
	}
	if !r.limits.ready(reserved) {
		return nil, &Pending{Operation: q.operation, After: r.limits.wait(key, reserved)}
	}
	return reserved, nil
}

// hold keeps a reservation for the runs to come. It returns false when there will be none.
func (c *Calls) hold(key limitKey, reserved *reservation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		return false
	}
	if c.reserved == nil {
		c.reserved = map[limitKey]*reservation{}
	}
	c.reserved[key] = reserved
	return true
}

// giveUp gives up the reservation of a kind, if there is one.
func (c *Calls) giveUp(r *Region, key limitKey) {
	c.mu.Lock()
	reserved, ok := c.reserved[key]
	delete(c.reserved, key)
	c.mu.Unlock()
	if ok {
		r.limits.cancel(key, reserved)
	}
}

// wait waits for an answer for a moment.
func (a *answer) wait(ctx context.Context, maxWait time.Duration) error {
	if a.isDone() {
		return nil
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return classify(a.operation, ctx.Err())
	case <-timer.C:
	}
	if !a.await() {
		return nil
	}
	return &Pending{Operation: a.operation, After: unansweredWait}
}

// keep notes what was found out for a question without a call of its own.
func (c *Calls) keep(key, operation string, value any, err error, now time.Time) *answer {
	a := &answer{operation: operation, sent: now, done: make(chan struct{}), value: value, err: err, answered: now}
	close(a.done)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers != nil {
		c.answers[key] = a
	}
	return a
}

// invoke makes a call. When AWS rejects the credentials that it was signed with, it is made once more with new ones.
func invoke[T any](ctx context.Context, r *Region, call func(context.Context) (T, error)) (T, error) {
	return invokeAs(ctx, r.session, call)
}

// invokeAs is invoke for a call to anything but CloudTrail.
func invokeAs[T any](ctx context.Context, s *Session, call func(context.Context) (T, error)) (T, error) {
	credentials := s.credentials
	used := credentials.current()
	value, err := call(ctx)
	if !credentials.rejected(used, err) {
		return value, err
	}
	value, err = call(ctx)
	if err == nil {
		credentials.accepted()
	}
	return value, err
}

// once returns what was found out at the first run of a reconcile at all its later runs, too.
func once[T any](
	ctx context.Context,
	operation, subject string,
	now time.Time,
	find func(*Calls) (T, error),
) (T, error) {
	c := callsOf(ctx)
	if c == nil {
		return find(nil)
	}
	key, a, err := c.find(question{operation: operation, subject: subject}, now)
	if err != nil {
		var none T
		return none, err
	}
	if a == nil {
		value, err := find(c)
		if PendingOf(err) != nil {
			return value, err
		}
		a = c.keep(key, operation, value, err, now)
	}
	value, _ := a.value.(T) //nolint:errcheck // It is of the type that was kept.
	return value, a.err
}
