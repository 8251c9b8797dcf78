package cloudtrail

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// operationClass is a group of operations that share one of CloudTrail's rate limits.
type operationClass int

const (
	readClass operationClass = iota
	lookupClass
	writeClass
	operationClasses
)

// perSecond are CloudTrail's limits per account and region; none of them can be raised.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html
var perSecond = [operationClasses]int{readClass: 10, lookupClass: 2, writeClass: 1}

// unlimitedInFlight is how many calls of a class may be under way at once in an account and region where no limits are
// kept to: an endpoint that does not answer must not pile up calls.
const unlimitedInFlight = 64

// String returns the name of the class, as metrics show it.
func (c operationClass) String() string {
	return [operationClasses]string{"read", "lookup", "write"}[c]
}

func classOfOperation(operation string) operationClass {
	switch {
	case operation == "LookupEvents":
		return lookupClass
	case strings.HasPrefix(operation, "Get"),
		strings.HasPrefix(operation, "Describe"),
		strings.HasPrefix(operation, "List"):
		return readClass
	default:
		return writeClass
	}
}

// RateLimitMode says when the operator keeps to CloudTrail's rate limits.
type RateLimitMode string

const (
	// RateLimitAuto keeps to them at AWS's own endpoints from the first call on, and at others, such as LocalStack, as
	// soon as one throttles.
	RateLimitAuto RateLimitMode = "auto"
	// RateLimitOn always keeps to them.
	RateLimitOn RateLimitMode = "on"
	// RateLimitOff never does.
	RateLimitOff RateLimitMode = "off"
)

// Set implements flag.Value.
func (m *RateLimitMode) Set(value string) error {
	switch mode := RateLimitMode(value); mode {
	case RateLimitAuto, RateLimitOn, RateLimitOff:
		*m = mode
		return nil
	default:
		return fmt.Errorf("%q is not one of auto, on, off", value)
	}
}

// String implements flag.Value.
func (m *RateLimitMode) String() string { return string(*m) }

// limits keep the operator below CloudTrail's request rates, and share each of them fairly among the tenants that wait
// for it: in turns among namespaces, and within a namespace by urgency.
type limits struct {
	engaged atomic.Bool
	never   bool

	mu     sync.Mutex
	quotas map[limitKey]*quota
	last   uint64 // The number of the last reservation.
}

type regionKey struct{ accountID, region string }

// limitKey is what a limit holds for.
type limitKey struct {
	regionKey
	class operationClass
}

func newLimits(mode RateLimitMode, awsEndpoint bool) *limits {
	l := &limits{never: mode == RateLimitOff, quotas: map[limitKey]*quota{}}
	l.engaged.Store(mode == RateLimitOn || mode == RateLimitAuto && awsEndpoint)
	return l
}

// urgency orders the reservations of one tenant.
type urgency int

const (
	// background is for what nobody waits for: it comes after all that others wait for, of whichever tenant, for as long
	// as backgroundWaits.
	background urgency = iota
	// whenIdle is for what is new or fails: it comes after what works.
	whenIdle
	// regular is for a resync or a change of what works.
	regular
	// urgent is for what others wait for, and for a trail that was stopped.
	urgent
)

// quota is one rate limit at work. It lets as many calls through as AWS takes in a second, each counted from when it is
// sent until a second after it is answered: a call that is held up on its way cannot come in together with the next
// ones.
type quota struct {
	key limitKey
	// sent are the calls that are under way, with when they were sent, by their number.
	sent map[uint64]time.Time
	// granted are the reservations that may call and have not called yet.
	granted []*reservation
	// answered are when the calls of the last second were answered, in order.
	answered []time.Time
	// tenants are those who wait, the next one first.
	tenants []*tenant
	timer   *time.Timer
}

// tenant is what one namespace waits for.
type tenant struct {
	name    string
	waiting reservations
}

// reservation is a place in the queue for one call, and then the right to make it.
type reservation struct {
	number  uint64
	tenant  string
	urgency urgency
	made    time.Time
	// granted is since when the call may be made; zero while it waits.
	granted time.Time
	// lost says that the call was not made in time. It does not get into the queue again by itself: whoever was to make it
	// may be gone.
	lost bool
	// wake is called once, when it is granted.
	wake func()
}

// grantLost is how long a call may be delayed after it was granted before its place is given to others.
const grantLost = 10 * time.Second

// reservations are ordered by urgency, and then by age.
type reservations []*reservation

// Len implements heap.Interface.
func (r reservations) Len() int { return len(r) }

// Less implements heap.Interface.
func (r reservations) Less(i, j int) bool {
	if r[i].urgency != r[j].urgency {
		return r[i].urgency > r[j].urgency
	}
	return r[i].number < r[j].number
}

// Swap implements heap.Interface.
func (r reservations) Swap(i, j int) { r[i], r[j] = r[j], r[i] }

// Push implements heap.Interface.
func (r *reservations) Push(x any) {
	*r = append(*r, x.(*reservation)) //nolint:forcetypeassert,errcheck // Only reservations are pushed.
}

// Pop implements heap.Interface.
func (r *reservations) Pop() any {
	last := (*r)[len(*r)-1]
	(*r)[len(*r)-1] = nil
	*r = (*r)[:len(*r)-1]
	return last
}

// reserve takes a place in the queue. The reservation is granted at once if nobody waits and the rate allows the call;
// otherwise wake is called when it is granted. Every reservation ends in cancel, or in call and its end.
func (l *limits) reserve(key limitKey, tenantName string, how urgency, wake func()) *reservation {
	l.mu.Lock()
	l.last++
	r := &reservation{number: l.last, tenant: tenantName, urgency: how, made: time.Now(), wake: wake}
	q, ok := l.quotas[key]
	if !ok {
		q = &quota{key: key, sent: map[uint64]time.Time{}}
		l.quotas[key] = q
	}
	q.enqueue(r)
	woken := l.grant(q, time.Now())
	l.mu.Unlock()
	for _, other := range woken {
		if other != r {
			other.wake()
		}
	}
	return r
}

// ready tells whether the call may be made.
func (l *limits) ready(r *reservation) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !r.granted.IsZero() && !r.lost
}

// lost tells whether the call may not be made any more, as it was not made in time.
func (l *limits) lost(r *reservation) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return r.lost
}

// wait returns about how long it takes until a reservation is granted.
func (l *limits) wait(key limitKey, r *reservation) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	q, ok := l.quotas[key]
	if !ok || !r.granted.IsZero() {
		return shortestWait
	}
	ahead := len(q.sent) + len(q.granted) + len(q.answered)
	for _, t := range q.tenants {
		// In turns, each other tenant is served as often as ours is, at most.
		ahead += len(t.waiting)
	}
	return max(time.Duration(ahead/l.limit(key.class))*time.Second, shortestWait)
}

// shortestWait is the shortest time that a caller is told to come back after. It is woken up earlier when its time has
// come.
const shortestWait = time.Second

// cancel gives up a reservation, granted or not. One that is over is left alone.
func (l *limits) cancel(key limitKey, r *reservation) {
	l.change(key, func(q *quota, _ time.Time) { q.remove(r) })
}

// call notes that the call of a granted reservation is sent. It fails when the grant was lost in between.
func (l *limits) call(key limitKey, r *reservation) bool {
	called := false
	l.change(key, func(q *quota, now time.Time) {
		if i := slices.Index(q.granted, r); i >= 0 {
			q.granted = slices.Delete(q.granted, i, i+1)
			q.sent[r.number] = now
			called = true
		}
	})
	return called
}

// end notes that a call that was sent is answered, or given up.
func (l *limits) end(key limitKey, r *reservation) {
	l.change(key, func(q *quota, now time.Time) {
		delete(q.sent, r.number)
		if l.hold() {
			q.answered = append(q.answered, now)
		}
	})
}

// throttled notes that AWS throttled a call. Others share the account's quota: what AWS takes in a second is left to
// them. Calls that were under way together are throttled together, and cost no more than one of them.
func (l *limits) throttled(key limitKey) {
	l.engaged.Store(!l.never)
	if l.never {
		return
	}
	l.change(key, func(q *quota, now time.Time) {
		for len(q.answered) < l.limit(key.class) {
			q.answered = append(q.answered, now)
		}
		for i := range q.answered {
			q.answered[i] = now
		}
	})
}

// slow tells whether a call of an account and region is under way for longer than that.
func (l *limits) slow(key regionKey, longer time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for class := range operationClasses {
		if q, ok := l.quotas[limitKey{key, class}]; ok {
			for _, at := range q.sent {
				if now.Sub(at) > longer {
					return true
				}
			}
		}
	}
	return false
}

// change changes a quota and grants what can be granted then.
func (l *limits) change(key limitKey, change func(*quota, time.Time)) {
	l.mu.Lock()
	q, ok := l.quotas[key]
	if !ok {
		l.mu.Unlock()
		return
	}
	now := time.Now()
	change(q, now)
	woken := l.grant(q, now)
	l.mu.Unlock()
	for _, r := range woken {
		r.wake()
	}
}

// hold tells whether the limits are kept to.
func (l *limits) hold() bool { return !l.never && l.engaged.Load() }

// limit is how many calls of a class an account and region takes at once, or in a second.
func (l *limits) limit(class operationClass) int {
	if l.hold() {
		return perSecond[class]
	}
	return unlimitedInFlight
}

// grant grants as many reservations as the rate allows and returns them, for the caller to wake. It lets go of a quota
// that is as good as new. The caller holds the lock.
func (l *limits) grant(q *quota, now time.Time) []*reservation {
	q.expire(now, l.hold())
	var granted []*reservation
	for len(q.tenants) > 0 && len(q.sent)+len(q.granted)+len(q.answered) < l.limit(q.key.class) {
		r := q.next(now)
		r.granted = now
		q.granted = append(q.granted, r)
		granted = append(granted, r)
	}
	l.schedule(q, now)
	return granted
}

// schedule looks at a quota again when something of it is over. The caller holds the lock.
func (l *limits) schedule(q *quota, now time.Time) {
	var next time.Time
	switch {
	case len(q.answered) > 0:
		next = q.answered[0].Add(time.Second)
	case len(q.granted) > 0:
		next = q.granted[0].granted.Add(grantLost)
	case len(q.tenants) == 0 && len(q.sent) == 0:
		delete(l.quotas, q.key)
	}

	if next.IsZero() {
		if q.timer != nil {
			q.timer.Stop()
			q.timer = nil
		}
		return
	}
	if q.timer == nil {
		q.timer = time.AfterFunc(next.Sub(now), func() { l.change(q.key, func(*quota, time.Time) {}) })
		return
	}
	q.timer.Reset(next.Sub(now))
}

// enqueue puts a reservation behind those of its tenant.
func (q *quota) enqueue(r *reservation) {
	for _, t := range q.tenants {
		if t.name == r.tenant {
			heap.Push(&t.waiting, r)
			return
		}
	}
	q.tenants = append(q.tenants, &tenant{name: r.tenant, waiting: reservations{r}})
}

// backgroundWaits is how long the background lets all others go first: where there is never an end to them, it takes
// turns with them then.
const backgroundWaits = time.Minute

// next takes the next reservation out of the queue: tenants take turns, but for those that are in the background.
func (q *quota) next(now time.Time) *reservation {
	i := max(0, slices.IndexFunc(q.tenants, func(t *tenant) bool {
		first := t.waiting[0]
		return first.urgency > background || now.Sub(first.made) > backgroundWaits
	}))
	t := q.tenants[i]
	r, _ := heap.Pop(&t.waiting).(*reservation) //nolint:errcheck // Only reservations are in it.
	q.tenants = slices.Delete(q.tenants, i, i+1)
	if len(t.waiting) > 0 {
		q.tenants = append(q.tenants, t)
	}
	return r
}

// remove takes a reservation out, wherever it is.
func (q *quota) remove(r *reservation) {
	if i := slices.Index(q.granted, r); i >= 0 {
		q.granted = slices.Delete(q.granted, i, i+1)
		return
	}
	for n, t := range q.tenants {
		if i := slices.Index(t.waiting, r); i >= 0 {
			heap.Remove(&t.waiting, i)
			if len(t.waiting) == 0 {
				q.tenants = slices.Delete(q.tenants, n, n+1)
			}
			return
		}
	}
}

// expire forgets the answers of more than a second ago, and the grants that nobody has used in time.
func (q *quota) expire(now time.Time, hold bool) {
	over := 0
	for over < len(q.answered) && (!hold || now.Sub(q.answered[over]) >= time.Second) {
		over++
	}
	q.answered = slices.Delete(q.answered, 0, over)
	if len(q.answered) == 0 {
		q.answered = nil
	}
	for len(q.granted) > 0 && now.Sub(q.granted[0].granted) >= grantLost {
		q.granted[0].lost = true
		q.granted = slices.Delete(q.granted, 0, 1)
	}
}

// acquire waits for a reservation for as long as the context lasts, and takes it.
func (l *limits) acquire(ctx context.Context, key limitKey, tenantName string, how urgency) (*reservation, error) {
	for {
		granted := make(chan struct{})
		r := l.reserve(key, tenantName, how, func() { close(granted) })
		if !l.ready(r) {
			select {
			case <-granted:
			case <-ctx.Done():
				l.cancel(key, r)
				return nil, ctx.Err()
			}
		}
		if l.call(key, r) {
			return r, nil
		}
	}
}

// reservedCall is a reservation that a call was given, for its first try.
type reservedCall struct {
	reservation *reservation
	used        bool
}

type reservationKey struct{}

// sendByKey holds until when a call may be sent.
type sendByKey struct{}

// take returns a reservation for a try: the one that the call was given, or one that it waits for.
func (l *limits) take(ctx context.Context, key limitKey) (*reservation, error) {
	if given, ok := ctx.Value(reservationKey{}).(*reservedCall); ok && !given.used {
		given.used = true
		if l.call(key, given.reservation) {
			return given.reservation, nil
		}
	}
	return l.acquire(ctx, key, tenantOf(ctx), urgent)
}

// maySend tells whether a call may be sent now. One that had to be sent by some time is refused when it is late by
// either clock, as a machine that was suspended may not know, and a write when this process must not write any more.
func maySend(ctx context.Context, class operationClass, options *Options) error {
	now := time.Now()
	if by, ok := ctx.Value(sendByKey{}).(time.Time); ok && (now.After(by) || now.Round(0).After(by.Round(0))) {
		return errLate
	}
	if class == writeClass {
		return options.MayWrite()
	}
	return nil
}

// errLate is the error of a call that could not be sent as long as it was known that it may be.
var errLate = errors.New("the call was delayed and is no longer sent")

// middleware makes every try of a call take a reservation first, and asks right before it is sent whether it may be: it
// stands inside of the SDK's retries.
func (l *limits) middleware(key regionKey, options *Options) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		limit := middleware.FinalizeMiddlewareFunc("TrailOperatorRateLimit", func(
			ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
		) (middleware.FinalizeOutput, middleware.Metadata, error) {
			operation := middleware.GetOperationName(ctx)
			limited := limitKey{key, classOfOperation(operation)}
			taken, err := l.take(ctx, limited)
			if err != nil {
				err = fmt.Errorf("waiting for CloudTrail's rate limit: %w", err)
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
			defer l.end(limited, taken)
			options.Meter.Waited(key.region, limited.class.String(), taken.granted.Sub(taken.made))

			start := time.Now()
			out, metadata, err := next.HandleFinalize(ctx, in)
			options.Meter.Called(key.region, operation, errorCode(err), time.Since(start))
			if isThrottle(errorCode(err)) {
				l.throttled(limited)
			}
			return out, metadata, err
		})

		// The last step, as it may take long to get the credentials that a call is signed with.
		guard := middleware.DeserializeMiddlewareFunc("TrailOperatorMaySend", func(
			ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
		) (middleware.DeserializeOutput, middleware.Metadata, error) {
			if err := maySend(ctx, classOfOperation(middleware.GetOperationName(ctx)), options); err != nil {
				return middleware.DeserializeOutput{}, middleware.Metadata{}, err
			}
			return next.HandleDeserialize(ctx, in)
		})

		return errors.Join(stack.Finalize.Insert(limit, "Retry", middleware.After),
			stack.Deserialize.Add(guard, middleware.After))
	}
}

// errorCode returns the code of an error as metrics count it, "" for none.
func errorCode(err error) string {
	if err == nil {
		return ""
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	_, code, _ := classifyTransport(err)
	return code
}
