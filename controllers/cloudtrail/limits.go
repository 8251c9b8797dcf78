package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
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
var perSecond = [operationClasses]rate.Limit{readClass: 10, lookupClass: 2, writeClass: 1}

// String returns the name of the class, as metrics show it.
func (c operationClass) String() string {
	return [operationClasses]string{"read", "lookup", "write"}[c]
}

func classOfOperation(operation string) operationClass {
	switch {
	case operation == "LookupEvents":
		return lookupClass
	case strings.HasPrefix(operation, "Get"), strings.HasPrefix(operation, "Describe"), strings.HasPrefix(operation, "List"):
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
		return fmt.Errorf("%q is none of auto, on, off", value)
	}
}

// String implements flag.Value.
func (m *RateLimitMode) String() string { return string(*m) }

// limits holds a token bucket per account, region and operation class, so that a whole fleet of trails never asks
// faster than AWS answers. The buckets hold one second's tokens.
type limits struct {
	engaged atomic.Bool
	never   bool

	mu sync.Mutex
	// buckets give out turns.
	buckets map[limitKey]*rate.Limiter
	// gates are passed when a call is sent. Turns alone are not enough: who comes late for one would call right before the next.
	gates map[limitKey]*gate
	// turns are the tokens of those who were told to come back, with the time from which they are good.
	turns map[turnKey]time.Time
	swept time.Time
}

type regionKey struct{ accountID, region string }

// limitKey is what a limit holds for.
type limitKey struct {
	regionKey
	class operationClass
}

type turnKey struct {
	limitKey
	actor string
}

// turnLost is how long a token is kept for somebody who does not come for it.
const turnLost = 30 * time.Second

func newLimits(mode RateLimitMode, awsEndpoint bool) *limits {
	l := &limits{
		never:   mode == RateLimitOff,
		buckets: map[limitKey]*rate.Limiter{},
		gates:   map[limitKey]*gate{},
		turns:   map[turnKey]time.Time{},
	}
	l.engaged.Store(mode == RateLimitOn || mode == RateLimitAuto && awsEndpoint)
	return l
}

// bucket returns the token bucket, made full when it is first asked for. The caller holds the lock.
func (l *limits) bucket(key limitKey) *rate.Limiter {
	bucket, ok := l.buckets[key]
	if !ok {
		limit := perSecond[key.class]
		bucket = rate.NewLimiter(limit*turnsOfLimit, int(limit))
		l.buckets[key] = bucket
	}
	return bucket
}

// turnsOfLimit is which part of the limit turns are given for. The rest is the time that calls themselves take, see gate.
const turnsOfLimit = 0.95

// gate lets as many calls through as AWS takes in a second, each counted from when it is sent until a second after it is answered. A call
// that is held up on its way can so not come in together with the next one.
type gate struct {
	passed chan struct{}
	// opens is when the last call that was answered is over, in Unix nanoseconds.
	opens atomic.Int64
}

// gate returns the gate of an account, region and class.
func (l *limits) gate(key limitKey) *gate {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, ok := l.gates[key]
	if !ok {
		g = &gate{passed: make(chan struct{}, int(perSecond[key.class]))}
		l.gates[key] = g
	}
	return g
}

// enter waits until the gate is open, no longer than the patience.
func (g *gate) enter(ctx context.Context, patience time.Duration) (entered bool, err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case g.passed <- struct{}{}:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// answered opens the gate for the next call, in a second.
func (g *gate) answered() {
	g.opens.Store(time.Now().Add(time.Second).UnixNano())
	time.AfterFunc(time.Second, func() { <-g.passed })
}

// wait returns how long it is until the gate opens, as far as that is known: a call that is under way takes at least a second more.
func (g *gate) wait(now time.Time) time.Duration {
	if wait := time.Duration(g.opens.Load() - now.UnixNano()); wait > 0 {
		return wait
	}
	return time.Second
}

// end ends a turn.
func (l *limits) end(turn turnKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.turns, turn)
}

// patienceKey holds how long a caller is ready to wait for a token.
type patienceKey struct{}

// WithPatience returns a context whose AWS calls wait for CloudTrail's rate limit no longer than that. A call that would have to
// wait longer fails with an *Error whose RetryAfter tells when its turn is. The turn is kept for the context's actor until
// then, so a worker need not sleep until a busy account has time for it.
func WithPatience(ctx context.Context, patience time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, patience)
}

// patient returns a context whose calls wait as long as it takes, on nobody's behalf.
func patient(ctx context.Context) context.Context {
	return context.WithValue(WithActor(ctx, ""), patienceKey{}, nil)
}

// wait takes a token, passes the gate, and tells how long that took. Whoever gets no error must call answered.
func (l *limits) wait(ctx context.Context, key limitKey) (waited time.Duration, answered func(), err error) {
	if !l.hold() {
		return 0, func() {}, nil
	}
	operation := middleware.GetOperationName(ctx)
	delay, err := l.claim(ctx, key, operation)
	if err != nil {
		return 0, nil, err
	}
	now, turn := time.Now(), turnKey{key, actorOf(ctx)}
	if err := pause(ctx, delay); err != nil {
		l.end(turn)
		return time.Since(now), nil, err
	}
	g := l.gate(key)
	entered, err := g.enter(ctx, patienceOf(ctx))
	if err == nil && !entered {
		return time.Since(now), nil, notYet(operation, g.wait(time.Now())) // The turn is kept.
	}
	l.end(turn)
	return time.Since(now), g.answered, err
}

// reserve fails as the operation would when its turn is later than the context's actor is ready to wait. The turn is kept for the
// operation.
func (l *limits) reserve(ctx context.Context, key limitKey, operation string) error {
	if !l.hold() || actorOf(ctx) == "" {
		return nil
	}
	_, err := l.claim(ctx, key, operation)
	return err
}

// hold tells whether the limits are kept to.
func (l *limits) hold() bool { return !l.never && l.engaged.Load() }

// claim returns how long it is until the turn of the context's actor, which is kept; it fails when that is longer than the actor waits.
func (l *limits) claim(ctx context.Context, key limitKey, operation string) (time.Duration, error) {
	now := time.Now()
	delay := l.turn(turnKey{key, actorOf(ctx)}, now).Sub(now)
	if delay > patienceOf(ctx) {
		return 0, notYet(operation, delay)
	}
	return delay, nil
}

// patienceOf returns how long a context's calls wait for their turn.
func patienceOf(ctx context.Context) time.Duration {
	if patience, ok := ctx.Value(patienceKey{}).(time.Duration); ok && actorOf(ctx) != "" {
		return patience
	}
	return math.MaxInt64
}

// notYet is the error of a call whose turn is later.
func notYet(operation string, after time.Duration) *Error {
	return &Error{Operation: operation, Class: Transient, Code: codeTurn, Message: "CloudTrail's rate limit for this account and region is used up for now", RetryAfter: after}
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turn returns when the actor may call: the turn that is kept for it, or a new one.
func (l *limits) turn(turn turnKey, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	if at, ok := l.turns[turn]; ok && now.Sub(at) < turnLost {
		return at
	}
	at := now.Add(l.bucket(turn.limitKey).ReserveN(now, 1).DelayFrom(now))
	if turn.actor != "" {
		l.turns[turn] = at
	}
	return at
}

// sweep forgets the turns that nobody came for. The caller holds the lock.
func (l *limits) sweep(now time.Time) {
	if now.Sub(l.swept) < turnLost {
		return
	}
	l.swept = now
	maps.DeleteFunc(l.turns, func(_ turnKey, at time.Time) bool { return now.Sub(at) >= turnLost })
}

// waiting tells whether a turn is kept for the actor.
func (l *limits) waiting(key regionKey, actor string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for class := range operationClasses {
		if _, ok := l.turns[turnKey{limitKey{key, class}, actor}]; ok {
			return true
		}
	}
	return false
}

// throttled is told that AWS throttled a call. Others share the account's quota: the tokens of one second are theirs. Calls
// that were under way together are throttled together, and cost no more than one of them.
func (l *limits) throttled(key limitKey) {
	l.engaged.Store(!l.never)
	if l.never {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if bucket, now := l.bucket(key), time.Now(); bucket.TokensAt(now) > 0 {
		bucket.ReserveN(now, bucket.Burst())
	}
}

// middleware makes every try of a call take a token first: it stands inside of the SDK's retries.
func (l *limits) middleware(key regionKey, meter Meter) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		limit := middleware.FinalizeMiddlewareFunc("TrailOperatorRateLimit", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			operation := middleware.GetOperationName(ctx)
			limited := limitKey{key, classOfOperation(operation)}
			waited, answered, err := l.wait(ctx, limited)
			meter.Waited(key.region, limited.class.String(), waited)
			if err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("waiting for CloudTrail's rate limit: %w", err)
			}
			start := time.Now()
			out, metadata, err := next.HandleFinalize(ctx, in)
			answered()
			meter.Called(key.region, operation, errorCode(err), time.Since(start))
			if isThrottle(errorCode(err)) {
				l.throttled(limited)
			}
			return out, metadata, err
		})
		return stack.Finalize.Insert(limit, "Retry", middleware.After)
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
	_, code, _ := unanswered(err)
	return code
}
