package cloudtrail

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
)

// recordedMeter remembers what it is told.
type recordedMeter struct {
	mu     sync.Mutex
	called []string
	waited []string
	used   map[string]bool
}

func (m *recordedMeter) Called(region, operation, code string, _ time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.called = append(m.called, fmt.Sprintf("%s %s %q", region, operation, code))
}

func (m *recordedMeter) Waited(region, class string, waited time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waited = append(m.waited, fmt.Sprintf("%s %s %v", region, class, waited))
}

func TestOperationClasses(t *testing.T) {
	t.Parallel()
	for class, operations := range map[operationClass][]string{
		lookupClass: {"LookupEvents"},
		readClass: {
			"DescribeTrails", "GetTrail", "GetTrailStatus", "GetEventSelectors", "GetInsightSelectors",
			"GetEventConfiguration", "ListTags", "ListTrails",
		},
		writeClass: {
			"CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging",
			"PutEventSelectors", "PutInsightSelectors", "PutEventConfiguration", "AddTags", "RemoveTags",
		},
	} {
		for _, operation := range operations {
			t.Run(operation, func(t *testing.T) {
				t.Parallel()
				NewWithT(t).Expect(classOfOperation(operation).String()).To(Equal(class.String()))
			})
		}
	}
}

// Used implements Meter.
func (m *recordedMeter) Used(regions map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used = regions
}

var testKey = regionKey{testAccount, testRegion}

// spend makes a call that is answered at once.
func spend(t *testing.T, l *limits, key limitKey) {
	t.Helper()
	r, err := l.acquire(t.Context(), key, "", regular)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	l.end(key, r)
}

// expectIdle checks that nothing is kept of what nobody uses any more.
func expectIdle(t *testing.T, l *limits) {
	t.Helper()
	pass(time.Minute)
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	NewWithT(t).Expect(l.quotas).To(BeEmpty())
}

func TestRateLimitModes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode              RateLimitMode
		awsEndpoint       bool
		before, throttled bool // Whether the limits hold before and after AWS throttles.
	}{
		"auto at AWS":    {RateLimitAuto, true, true, true},
		"auto elsewhere": {RateLimitAuto, false, false, true},
		"on at AWS":      {RateLimitOn, true, true, true},
		"on elsewhere":   {RateLimitOn, false, true, true},
		"off at AWS":     {RateLimitOff, true, false, false},
		"off elsewhere":  {RateLimitOff, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				limits := newLimits(c.mode, c.awsEndpoint)
				holds := func() bool {
					return took(func() {
						for range 11 {
							spend(t, limits, limitKey{testKey, readClass})
						}
					}) > 0
				}
				g.Expect(holds()).To(Equal(c.before))
				limits.throttled(limitKey{testKey, readClass})
				g.Expect(holds()).To(Equal(c.throttled))
				expectIdle(t, limits)
			})
		})
	}
	var mode RateLimitMode
	g := NewWithT(t)
	for _, value := range []string{"auto", "on", "off"} {
		g.Expect(mode.Set(value)).To(Succeed())
		g.Expect(mode.String()).To(Equal(value))
	}
	g.Expect(mode.Set("sometimes")).To(MatchError(ContainSubstring("auto, on, off")))
	g.Expect(mode).To(Equal(RateLimitOff), "a bad value changes nothing")
}

// forEachClass runs a test with new limits of each class, in virtual time.
func forEachClass(t *testing.T, test func(t *testing.T, g Gomega, limits *limits, key limitKey, rate int)) {
	t.Helper()
	for class, rate := range perSecond {
		class := operationClass(class)
		t.Run(class.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				test(t, NewWithT(t), newLimits(RateLimitOn, true), limitKey{testKey, class}, rate)
			})
		})
	}
}

// TestRates makes the calls of ten seconds and of one burst.
func TestRates(t *testing.T) {
	t.Parallel()
	forEachClass(t, func(t *testing.T, g Gomega, limits *limits, key limitKey, rate int) {
		t.Helper()
		g.Expect(took(func() {
			for range rate {
				spend(t, limits, key)
			}
		})).To(BeZero(), "what one second takes is there at once")
		g.Expect(took(func() {
			for range 10 * rate {
				spend(t, limits, key)
			}
		})).To(And(BeNumerically(">=", 10*time.Second), BeNumerically("<", 11*time.Second)))
		g.Expect(took(func() {
			spend(t, limits, limitKey{regionKey{testAccount, "us-east-1"}, key.class})
			spend(t, limits, limitKey{regionKey{"444455556666", testRegion}, key.class})
			spend(t, limits, limitKey{testKey, (key.class + 1) % operationClasses})
		})).To(BeZero(), "other regions, accounts and classes have limits of their own")
		expectIdle(t, limits)
	})
}

// TestHeldUpCalls holds that a call counts until a second after it is answered: one that is held up on its way must not
// come in together with the next one, which would be throttled.
func TestHeldUpCalls(t *testing.T) {
	t.Parallel()
	forEachClass(t, func(t *testing.T, g Gomega, limits *limits, key limitKey, rate int) {
		t.Helper()
		for range rate {
			r, err := limits.acquire(t.Context(), key, "", regular)
			g.Expect(err).NotTo(HaveOccurred())
			time.AfterFunc(5*time.Second, func() { limits.end(key, r) })
		}
		g.Expect(limits.slow(testKey, 100*time.Millisecond)).To(BeFalse())
		pass(time.Second)
		g.Expect(limits.slow(testKey, 100*time.Millisecond)).To(BeTrue(), "they are under way for a while")
		g.Expect(limits.slow(regionKey{testAccount, "us-east-1"}, 100*time.Millisecond)).To(BeFalse())
		g.Expect(took(func() { spend(t, limits, key) })).To(Equal(5 * time.Second))
		expectIdle(t, limits)
	})
}

// TestCallsThrottledTogether holds that calls that were under way together when AWS throttled them all cost what AWS
// takes in one second, and not that of one second each.
func TestCallsThrottledTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		limits, key := newLimits(RateLimitAuto, false), limitKey{testKey, writeClass}
		var sent []*reservation
		for range unlimitedInFlight {
			r, err := limits.acquire(t.Context(), key, "", regular)
			g.Expect(err).NotTo(HaveOccurred())
			sent = append(sent, r)
		}
		for _, r := range sent {
			limits.throttled(key)
			limits.end(key, r)
		}
		g.Expect(took(func() { spend(t, limits, key) })).To(Equal(time.Second))
		expectIdle(t, limits)
	})
}

// TestThrottledCallCostsASecond holds that after a call was throttled none of its class is made for a second, however
// few were made: the account's others have used up what AWS takes in it.
func TestThrottledCallCostsASecond(t *testing.T) {
	t.Parallel()
	for class := range operationClasses {
		t.Run(class.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				limits, key := newLimits(RateLimitOn, true), limitKey{testKey, class}
				r, err := limits.acquire(t.Context(), key, "", regular)
				g.Expect(err).NotTo(HaveOccurred())
				limits.throttled(key)
				limits.end(key, r)
				g.Expect(took(func() {
					next, err := limits.acquire(t.Context(), key, "", regular)
					g.Expect(err).NotTo(HaveOccurred())
					limits.end(key, next)
				})).To(Equal(time.Second))
				pass(time.Second)
				expectIdle(t, limits)
			})
		})
	}
}

// TestLimitsEngageInTheMiddle holds that calls that are under way when the first one is throttled count against the
// limit, as do those that were allowed to be made.
func TestLimitsEngageInTheMiddle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		limits, key := newLimits(RateLimitAuto, false), limitKey{testKey, readClass}
		for i := range unlimitedInFlight {
			r := limits.reserve(key, "a", regular, func() {})
			g.Expect(limits.ready(r)).To(BeTrue())
			if i%2 == 0 {
				g.Expect(limits.call(key, r)).To(BeTrue())
				time.AfterFunc(3*time.Second, func() { limits.end(key, r) })
				continue
			}
			time.AfterFunc(5*time.Second, func() {
				g.Expect(limits.call(key, r)).To(BeTrue())
				limits.end(key, r)
			})
		}
		g.Expect(limits.ready(limits.reserve(key, "gives up", regular, func() {}))).To(BeFalse())
		limits.throttled(key)
		g.Expect(took(func() { spend(t, limits, key) })).To(Equal(6 * time.Second))
	})
}

// TestLimitsInsideRetries drives the SDK's client: every try of a call has a reservation of its own and is metered.
func TestLimitsInsideRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		refusals := []string{"ConflictException", "ThrottlingException"}
		server := &fakeAWS{}
		server.answer = func(fakeCall) (int, string) {
			if n := len(server.made()); n <= len(refusals) {
				return http.StatusBadRequest, refusal(refusals[n-1], "not now")
			}
			return http.StatusOK, "{}"
		}
		meter := &recordedMeter{}
		region := memoryRegion(RateLimitOn, "http://emulator", meter, server)
		trail := &Trail{ARN: TrailARN(testRegion, testAccount, "audit")}
		elapsed := took(func() { g.Expect(region.StartLogging(t.Context(), trail, nil)).To(Succeed()) })
		g.Expect(server.made()).To(HaveLen(3), "a conflict and a throttle are tried again")
		g.Expect(meter.called).To(Equal([]string{
			`eu-central-1 StartLogging "ConflictException"`,
			`eu-central-1 StartLogging "ThrottlingException"`,
			`eu-central-1 StartLogging ""`,
		}))
		g.Expect(meter.waited).To(HaveLen(3))
		g.Expect(meter.waited[0]).To(Equal("eu-central-1 write 0s"))
		g.Expect(elapsed).To(BeNumerically(">=", 2*time.Second), "the second try waits for a second, the third for another")
		g.Expect(elapsed).To(BeNumerically("<", 10*time.Second))
		expectIdle(t, region.limits)
	})
}

// TestLimitsEngage holds that an endpoint that is not AWS's is not spared until it throttles.
func TestLimitsEngage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode       RateLimitMode
		endpoint   string
		code       string
		calm, busy time.Duration // What 40 reads take before and after one is refused, at least.
	}{
		"an emulator that throttles": {RateLimitAuto, "http://emulator", "ThrottlingException", 0, 3 * time.Second},
		"an emulator that refuses":   {RateLimitAuto, "http://emulator", "TrailNotFoundException", 0, 0},
		"never":                      {RateLimitOff, "http://emulator", "ThrottlingException", 0, 0},
		"AWS":                        {RateLimitAuto, "", "ThrottlingException", 3 * time.Second, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				refused := make(chan struct{}, 1)
				server := &fakeAWS{answer: func(fakeCall) (int, string) {
					select {
					case <-refused:
						return http.StatusBadRequest, refusal(c.code, "no")
					default:
						return http.StatusOK, "{}"
					}
				}}
				region := memoryRegion(c.mode, c.endpoint, nil, server)
				reads := func() time.Duration {
					return took(func() {
						for range 40 {
							_, err := region.Status(t.Context(), "arn")
							g.Expect(err).NotTo(HaveOccurred())
						}
					})
				}
				g.Expect(reads()).To(BeNumerically("~", c.calm, time.Second/2))
				refused <- struct{}{}
				_, err := region.Status(t.Context(), "arn")
				g.Expect(err == nil).To(Equal(c.code == "ThrottlingException"), "a throttle is tried again: %v", err)
				g.Expect(reads()).To(BeNumerically("~", c.busy, 2*time.Second))
				if c.busy == 0 {
					g.Expect(reads()).To(BeZero())
				} else {
					g.Expect(reads()).
						To(And(BeNumerically(">=", 4*time.Second), BeNumerically("<", 4500*time.Millisecond)),
							"40 reads at 10 a second at most")
				}
			})
		})
	}
}

func TestWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := &fakeAWS{}
		region := memoryRegion(RateLimitOn, "http://emulator", nil, server)
		g.Expect(region.StartLogging(t.Context(), &Trail{ARN: "arn"}, nil)).To(Succeed())
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		g.Expect(took(func() {
			err := region.StartLogging(ctx, &Trail{ARN: "arn"}, nil)
			g.Expect(Is(err, Transient)).To(BeTrue())
			g.Expect(err).To(MatchError(ContainSubstring("Canceled")))
		})).To(Equal(300*time.Millisecond), "a canceled caller waits no longer")
		g.Expect(server.made()).To(HaveLen(1), "and makes no call")
		expectIdle(t, region.limits)
	})
}

// TestNeverMoreThanTheLimit is a property test: whatever callers do, AWS sees no more calls in any second than it
// takes, and everybody who goes on asking is served.
func TestNeverMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newCrowd(seed).run(t) })
		})
	}
}

// crowd are callers that do at random what callers may do.
type crowd struct {
	seed   uint64
	limits *limits
	key    limitKey

	mu sync.Mutex
	// arrived are when AWS saw calls, and since is from when on the limits must hold; zero: never.
	arrived []time.Time
	since   time.Time
}

func newCrowd(seed uint64) *crowd {
	c := &crowd{seed: seed, key: limitKey{testKey, operationClass(seed % uint64(operationClasses))}}
	if c.limits = newLimits(RateLimitOn, false); seed%4 == 3 {
		c.limits = newLimits(RateLimitAuto, false)
	} else {
		c.since = time.Now()
	}
	return c
}

func (c *crowd) run(t *testing.T) {
	t.Helper()
	random := newRandom(c.seed)
	var callers sync.WaitGroup
	for number := range 20 + random.IntN(60) {
		own := newRandom(c.seed*1000 + uint64(number) + 1)
		tenant := fmt.Sprint("tenant-", own.IntN(8))
		callers.Go(func() {
			for range 1 + own.IntN(4) {
				pass(time.Duration(own.IntN(5000)) * time.Millisecond)
				if own.IntN(3) == 0 {
					c.callAndWait(t, own, tenant)
				} else {
					c.callWhenWoken(own, tenant)
				}
			}
		})
	}
	callers.Wait()

	c.expectRate(t)
	expectIdle(t, c.limits)
}

// callAndWait makes a call as those do who wait, for some time at most.
func (c *crowd) callAndWait(t *testing.T, random *rand.Rand, tenant string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(100+random.IntN(60_000))*time.Millisecond)
	defer cancel()
	if r, err := c.limits.acquire(ctx, c.key, tenant, urgency(random.IntN(3))); err == nil {
		c.call(random, r)
	}
}

// callWhenWoken makes a call as reconciles do, which may come late, or never.
func (c *crowd) callWhenWoken(random *rand.Rand, tenant string) {
	woken := make(chan struct{}, 1000)
	how := urgency(random.IntN(3))
	r := c.limits.reserve(c.key, tenant, how, func() { woken <- struct{}{} })
	for {
		if !c.limits.ready(r) {
			if random.IntN(10) == 0 { // The object is deleted.
				pass(time.Duration(random.IntN(5000)) * time.Millisecond)
				c.limits.cancel(c.key, r)
				return
			}
			<-woken
		}
		switch random.IntN(20) {
		case 0: // Nobody comes.
			return
		case 1:
			pass(grantLost + time.Duration(random.IntN(3000))*time.Millisecond)
		case 2:
			c.limits.cancel(c.key, r)
			return
		default:
			pass(time.Duration(random.IntN(500)) * time.Millisecond)
		}
		if c.limits.call(c.key, r) {
			c.call(random, r)
			return
		}
		if c.limits.lost(r) {
			r = c.limits.reserve(c.key, tenant, how, func() { woken <- struct{}{} })
		}
	}
}

// call is a call on its way, and back.
func (c *crowd) call(random *rand.Rand, r *reservation) {
	latency := func() time.Duration {
		if random.IntN(10) == 0 {
			return time.Duration(random.IntN(30_000)) * time.Millisecond
		}
		return time.Duration(random.IntN(300)) * time.Millisecond
	}
	pass(latency())
	c.mu.Lock()
	c.arrived = append(c.arrived, time.Now())
	throttles := random.IntN(30) == 0
	if throttles && c.since.IsZero() {
		c.since = time.Now().Add(2 * time.Minute) // The calls that are under way, or may be made, end first.
	}
	c.mu.Unlock()
	if throttles {
		c.limits.throttled(c.key)
	}
	pass(latency())
	c.limits.end(c.key, r)
}

// expectRate checks what AWS has seen.
func (c *crowd) expectRate(t *testing.T) {
	t.Helper()
	g := NewWithT(t)
	if c.since.IsZero() {
		return
	}
	held := slices.DeleteFunc(c.arrived, func(at time.Time) bool { return at.Before(c.since) })
	limit := perSecond[c.key.class]
	for i := range held[min(limit, len(held)):] {
		g.Expect(held[i+limit].Sub(held[i])).
			To(BeNumerically(">=", time.Second), "%d calls between %s and %s", limit+1, held[i], held[i+limit])
	}
}

// TestTenantsTakeTurns holds that a tenant that waits for much delays another by no more than a call.
func TestTenantsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		limits, key := newLimits(RateLimitOn, true), limitKey{testKey, writeClass}
		var mu sync.Mutex
		counts := map[string]int{}
		served := func() map[string]int {
			mu.Lock()
			defer mu.Unlock()
			return maps.Clone(counts)
		}
		queue := func(tenant string, n int) {
			for range n {
				go func() {
					r, err := limits.acquire(t.Context(), key, tenant, urgent)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					counts[tenant]++
					mu.Unlock()
					limits.end(key, r)
				}()
			}
			synctest.Wait()
		}
		queue("greedy", 200)
		pass(10 * time.Second)
		g.Expect(took(func() {
			r, err := limits.acquire(t.Context(), key, "modest", whenIdle)
			g.Expect(err).NotTo(HaveOccurred())
			limits.end(key, r)
		})).To(BeNumerically("<=", 2*time.Second), "at most one call of the other goes first")

		queue("second", 200)
		queue("third", 200)
		before := served()
		pass(30 * time.Second)
		after := served()
		for _, tenant := range []string{"greedy", "second", "third"} {
			g.Expect(after[tenant]-before[tenant]).To(BeNumerically("~", 10, 1), tenant)
		}
		pass(10 * time.Minute)
		g.Expect(served()).To(Equal(map[string]int{"greedy": 200, "second": 200, "third": 200}))
		expectIdle(t, limits)
	})
}

// TestUrgency holds who of a tenant comes first: what is urgent, then what works, then what is new or fails, and each
// in order.
func TestUrgency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		limits, key := newLimits(RateLimitOn, true), limitKey{testKey, writeClass}
		spend(t, limits, key)
		var mu sync.Mutex
		var order []string
		for _, one := range []struct {
			name string
			how  urgency
		}{
			{"new 1", whenIdle}, {"works 1", regular}, {"new 2", whenIdle},
			{"stopped 1", urgent}, {"works 2", regular}, {"stopped 2", urgent},
		} {
			go func() {
				r, err := limits.acquire(t.Context(), key, "team", one.how)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, one.name)
				mu.Unlock()
				limits.end(key, r)
			}()
			synctest.Wait()
		}
		pass(time.Minute)
		synctest.Wait()
		g.Expect(order).To(Equal([]string{"stopped 1", "stopped 2", "works 1", "works 2", "new 1", "new 2"}))
		expectIdle(t, limits)
	})
}

// TestBackground holds that what is in the background waits for all tenants, and for a minute at most.
func TestBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		limits, key := newLimits(RateLimitOn, true), limitKey{testKey, writeClass}
		spend(t, limits, key)
		start := time.Now()
		var mu sync.Mutex
		var order []string
		waited := map[string]time.Duration{}
		queue := func(name, tenant string, how urgency) {
			go func() {
				r, err := limits.acquire(t.Context(), key, tenant, how)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order, waited[name] = append(order, name), time.Since(start)
				mu.Unlock()
				limits.end(key, r)
			}()
			synctest.Wait()
		}
		queue("assessment", "", background)
		queue("new", "team", whenIdle)
		queue("works", "others", regular)
		queue("shared", "", urgent)
		pass(10 * time.Second)
		synctest.Wait()
		g.Expect(order).To(HaveLen(4))
		g.Expect(order[3]).To(Equal("assessment"))

		start = time.Now()
		for i := range 300 {
			queue(strconv.Itoa(i), "team", urgent)
		}
		queue("late", "", background)
		pass(5 * time.Minute)
		synctest.Wait()
		g.Expect(waited["late"]).To(BeNumerically("~", backgroundWaits, 3*time.Second))
		pass(time.Minute)
		expectIdle(t, limits)
	})
}

// TestLostGrants holds that a grant that nobody uses is lost, and does not come back by itself: an object that is gone
// must not take what others could have, again and again.
func TestLostGrants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		limits, key := newLimits(RateLimitOn, true), limitKey{testKey, writeClass}
		wakes := 0
		gone := limits.reserve(key, "gone", regular, func() { wakes++ })
		g.Expect(limits.ready(gone)).To(BeTrue())
		g.Expect(took(func() { spend(t, limits, key) })).To(Equal(grantLost))
		g.Expect(limits.ready(gone)).To(BeFalse())
		g.Expect(limits.call(key, gone)).To(BeFalse(), "who comes too late has to ask anew")
		for range 20 {
			g.Expect(took(func() { spend(t, limits, key) })).To(Equal(time.Second), "it is lost once and for all")
		}
		g.Expect(wakes).To(BeZero())
		limits.cancel(key, gone)
		expectIdle(t, limits)
	})
}

// TestLateCall holds that a call whose grant is lost waits for another one.
func TestLateCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		limits, key := newLimits(RateLimitOn, true), limitKey{testKey, writeClass}
		late := limits.reserve(key, "", regular, func() {})
		pass(grantLost - 1)
		g.Expect(limits.ready(late)).To(BeTrue())
		pass(1)
		synctest.Wait()
		ctx := context.WithValue(t.Context(), reservationKey{}, &reservedCall{reservation: late})
		taken, err := limits.take(ctx, key)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(taken).NotTo(BeIdenticalTo(late))
		limits.end(key, taken)
		expectIdle(t, limits)
	})
}

// TestLateReconcile holds that an object that comes back after its grant is lost gets another one.
func TestLateReconcile(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{answer: slowly(0, nil)}
	inBubble(t, server, func(o *Options) { o.RateLimits = RateLimitOn }, func(g Gomega, d *driver, region *Region) {
		for range 10 {
			spend(t, region.limits, limitKey{testKey, readClass})
		}
		read := func(ctx context.Context) error {
			_, err := region.Status(ctx, "arn")
			return err
		}
		expectPending(g, d.run(read), "GetTrailStatus")
		pass(time.Second + grantLost)
		g.Expect(d.woken()).To(Equal(1), "its time has come, and is over")
		g.Expect(d.reconcile(read)).To(Succeed())
		g.Expect(server.made()).To(HaveLen(1))
	})
}

// TestSilentRegion holds what a region costs that does not answer: no more calls under way than its limit, and no
// worker.
func TestSilentRegion(t *testing.T) {
	t.Parallel()
	for _, mode := range []RateLimitMode{RateLimitOn, RateLimitOff} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				server := &fakeAWS{silent: func(fakeCall) bool { return true }}
				sessions := memorySessions(server, func(o *Options) { o.RateLimits = mode })
				region := memorySession(sessions).Region(testRegion)
				limit := map[RateLimitMode]int{RateLimitOn: 10, RateLimitOff: unlimitedInFlight}[mode]

				var objects sync.WaitGroup
				var mu sync.Mutex
				var held, longest time.Duration
				for i := range 300 {
					objects.Go(func() {
						d := newDriver(t, sessions, fmt.Sprint("namespace-", i%20), fmt.Sprint(i))
						err := d.reconcile(func(ctx context.Context) error {
							_, err := region.Status(ctx, fmt.Sprint("arn-", i))
							return err
						})
						g.Expect(Is(err, Transient)).To(BeTrue(), "%v", err)
						mu.Lock()
						defer mu.Unlock()
						held, longest = held+d.held, max(longest, d.longest)
					})
				}
				pass(30 * time.Second)
				g.Expect(server.made()).To(HaveLen(limit))
				objects.Wait()
				g.Expect(longest).To(BeNumerically("<=", maxWait), "no worker waits for longer")
				g.Expect(held).
					To(BeNumerically("<", time.Minute), "one of them waits, and the others do not wait for what is late already")
				expectIdle(t, region.limits)
			})
		})
	}
}
