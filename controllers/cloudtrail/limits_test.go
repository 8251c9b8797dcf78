package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"
)

// recordedMeter remembers what it is told.
type recordedMeter struct {
	mu     sync.Mutex
	called []string
	waited []string
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

// memoryRegion returns a region of the SDK's real client, with its retries, in front of an AWS that takes no time and no network,
// so that it works in a synctest bubble. endpoint "" is AWS's own.
func memoryRegion(mode RateLimitMode, endpoint string, meter Meter, server *fakeAWS) *Region {
	config := testConfig(endpoint)
	if endpoint == "" {
		config.BaseEndpoint = nil
	}
	config.Retryer = func() aws.Retryer { return newRetryer(aws.RetryModeStandard, 0) }
	config.HTTPClient = &http.Client{Transport: server}
	fleet := NewFleet(Options{Config: config, RateLimits: mode, Meter: meter, Version: "v1.2.3"})
	session := &Session{AccountID: testAccount, fleet: fleet, credentials: config.Credentials, regions: map[string]*Region{}}
	return session.Region(testRegion)
}

// took returns how long something takes on the bubble's clock.
func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// impatient returns contexts of actors who wait no longer than a worker does.
func impatient(t *testing.T) func(actor string) context.Context {
	t.Helper()
	return func(actor string) context.Context {
		return WithPatience(WithActor(t.Context(), actor), 100*time.Millisecond)
	}
}

func TestOperationClasses(t *testing.T) {
	t.Parallel()
	for class, operations := range map[operationClass][]string{
		lookupClass: {"LookupEvents"},
		readClass:   {"DescribeTrails", "GetTrail", "GetTrailStatus", "GetEventSelectors", "GetInsightSelectors", "GetEventConfiguration", "ListTags", "ListTrails"},
		writeClass: {
			"CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging", "PutEventSelectors", "PutInsightSelectors", "PutEventConfiguration",
			"AddTags", "RemoveTags",
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

func TestRateLimitModes(t *testing.T) {
	t.Parallel()
	key := regionKey{testAccount, testRegion}
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
							_, answered, err := limits.wait(t.Context(), limitKey{key, readClass})
							g.Expect(err).NotTo(HaveOccurred())
							answered()
						}
					}) > 0
				}
				g.Expect(holds()).To(Equal(c.before))
				limits.throttled(limitKey{key, readClass})
				g.Expect(holds()).To(Equal(c.throttled))
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

// TestRates takes the tokens of ten seconds and of one burst.
func TestRates(t *testing.T) {
	t.Parallel()
	for class, rate := range map[operationClass]int{readClass: 10, lookupClass: 2, writeClass: 1} {
		t.Run(class.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				limits := newLimits(RateLimitOn, true)
				take := func(key regionKey, class operationClass) {
					_, answered, err := limits.wait(t.Context(), limitKey{key, class})
					g.Expect(err).NotTo(HaveOccurred())
					answered()
				}
				key := regionKey{testAccount, testRegion}
				g.Expect(took(func() {
					for range rate {
						take(key, class)
					}
				})).To(BeZero(), "one second's tokens are there at once")
				g.Expect(took(func() {
					for range 10 * rate {
						take(key, class)
					}
				})).To(And(BeNumerically(">=", 10*time.Second), BeNumerically("<", 11*time.Second)))
				g.Expect(took(func() {
					take(regionKey{testAccount, "us-east-1"}, class)
					take(regionKey{"444455556666", testRegion}, class)
					take(key, (class+1)%operationClasses)
				})).To(BeZero(), "other regions, accounts and classes have tokens of their own")
			})
		})
	}
}

// TestHeldUpCalls holds that a call counts from when it is answered: one that is held up on its way must not come in together with the
// next one, which would be throttled.
func TestHeldUpCalls(t *testing.T) {
	t.Parallel()
	for class, rate := range map[operationClass]int{readClass: 10, lookupClass: 2, writeClass: 1} {
		t.Run(class.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				limits, key := newLimits(RateLimitOn, true), regionKey{testAccount, testRegion}
				for range rate {
					_, answered, err := limits.wait(t.Context(), limitKey{key, class})
					g.Expect(err).NotTo(HaveOccurred())
					time.AfterFunc(5*time.Second, answered)
				}
				g.Expect(took(func() {
					_, answered, err := limits.wait(t.Context(), limitKey{key, class})
					g.Expect(err).NotTo(HaveOccurred())
					answered()
				})).To(BeNumerically("~", 6*time.Second, time.Millisecond))
			})
		})
	}
}

// TestClosedGate holds that a worker does not wait at a closed gate either, and that its turn is kept.
func TestClosedGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		limits, key := newLimits(RateLimitOn, true), limitKey{regionKey{testAccount, testRegion}, writeClass}
		as := impatient(t)
		refused := func(actor string) time.Duration {
			_, _, err := limits.wait(as(actor), key)
			var turn *Error
			g.Expect(errors.As(err, &turn)).To(BeTrue())
			g.Expect(limits.waiting(key.regionKey, actor)).To(BeTrue())
			return turn.RetryAfter
		}
		_, answered, err := limits.wait(as("a/first"), key)
		g.Expect(err).NotTo(HaveOccurred())
		time.Sleep(refused("a/second")) //nolint:forbidigo // The bubble's clock.

		// Its turn has come, but the first call is still under way.
		g.Expect(took(func() { g.Expect(refused("a/second")).To(Equal(time.Second)) })).To(Equal(100 * time.Millisecond))
		answered()
		var again time.Duration
		g.Expect(took(func() { again = refused("a/second") })).To(Equal(100 * time.Millisecond))
		g.Expect(again).To(Equal(900*time.Millisecond), "a second after the answer")
		time.Sleep(again) //nolint:forbidigo // The bubble's clock.
		g.Expect(took(func() {
			_, answered, err = limits.wait(as("a/second"), key)
			g.Expect(err).NotTo(HaveOccurred())
			answered()
		})).To(BeZero())
		g.Expect(limits.waiting(key.regionKey, "a/second")).To(BeFalse())
	})
}

// TestCallsThrottledTogether holds that calls that were under way together when AWS throttled them all cost the tokens of one second, and
// not of one second each.
func TestCallsThrottledTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		limits, key := newLimits(RateLimitAuto, false), regionKey{testAccount, testRegion}
		for range 100 {
			limits.throttled(limitKey{key, writeClass})
		}
		g.Expect(took(func() {
			_, answered, err := limits.wait(t.Context(), limitKey{key, writeClass})
			g.Expect(err).NotTo(HaveOccurred())
			answered()
		})).To(BeNumerically("~", time.Second, 100*time.Millisecond))
	})
}

// TestLimitsInsideRetries drives the SDK's client: every try of a call takes a token and is metered.
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
		elapsed := took(func() { g.Expect(region.StartLogging(t.Context(), trail)).To(Succeed()) })
		g.Expect(server.made()).To(HaveLen(3), "a conflict and a throttle are tried again")
		g.Expect(meter.called).To(Equal([]string{
			`eu-central-1 StartLogging "ConflictException"`, `eu-central-1 StartLogging "ThrottlingException"`, `eu-central-1 StartLogging ""`,
		}))
		g.Expect(meter.waited).To(HaveLen(3))
		g.Expect(meter.waited[0]).To(Equal("eu-central-1 write 0s"))
		g.Expect(elapsed).To(BeNumerically(">=", 2*time.Second-time.Millisecond), "the second try waits for a second, the third for another")
		g.Expect(elapsed).To(BeNumerically("<", 10*time.Second))
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
					g.Expect(reads()).To(And(BeNumerically(">=", 4*time.Second), BeNumerically("<", 4500*time.Millisecond)), "40 reads at 10 a second at most")
				}
			})
		})
	}
}

// TestPatience holds that a worker does not wait for a busy account, and that its turn is kept.
func TestPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := &fakeAWS{}
		region := memoryRegion(RateLimitOn, "http://emulator", nil, server)
		as := impatient(t)
		start := func(ctx context.Context) (time.Duration, error) {
			err := region.StartLogging(ctx, &Trail{ARN: "arn"})
			if known, ok := errors.AsType[*Error](err); ok {
				g.Expect(known.Class).To(Equal(Transient))
				g.Expect(known.Code).To(Equal("RateLimited"))
				g.Expect(known.Operation).To(Equal("StartLogging"))
				return known.RetryAfter, err
			}
			return 0, err
		}
		_, err := start(as("a/first"))
		g.Expect(err).NotTo(HaveOccurred(), "the first token is there")

		var afterB, afterC time.Duration
		g.Expect(took(func() {
			afterB, err = start(as("a/b"))
			g.Expect(err).To(HaveOccurred())
			afterC, err = start(as("a/c"))
			g.Expect(err).To(HaveOccurred())
		})).To(BeZero(), "nobody waits")
		g.Expect(afterB).To(BeNumerically("~", time.Second, 100*time.Millisecond))
		g.Expect(afterC).To(BeNumerically("~", 2*time.Second, 200*time.Millisecond))
		g.Expect(region.Waiting(as("a/b"))).To(BeTrue())
		g.Expect(region.Waiting(as("a/d"))).To(BeFalse())

		again, err := start(as("a/b"))
		g.Expect(err).To(HaveOccurred())
		g.Expect(again).To(Equal(afterB), "asking again costs no second turn")

		time.Sleep(afterB) //nolint:forbidigo // The bubble's clock.
		g.Expect(took(func() {
			_, err = start(as("a/b"))
			g.Expect(err).NotTo(HaveOccurred())
		})).To(BeZero(), "its turn has come")
		g.Expect(region.Waiting(as("a/b"))).To(BeFalse())

		time.Sleep(turnLost + 3*time.Second) //nolint:forbidigo // The bubble's clock.
		g.Expect(took(func() {
			_, err = start(as("a/d"))
			g.Expect(err).NotTo(HaveOccurred())
		})).To(BeZero())
		g.Expect(region.Waiting(as("a/c"))).To(BeFalse(), "a turn that nobody came for is forgotten")
		g.Expect(server.made()).To(HaveLen(3))
	})
}

// TestReserve holds that a turn can be had before the call, so that nothing is read for a call that has to wait.
func TestReserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := &fakeAWS{}
		region := memoryRegion(RateLimitOn, "http://emulator", nil, server)
		as := impatient(t)
		g.Expect(region.ReserveDelete(as("a/first"))).To(Succeed())
		var turn *Error
		g.Expect(errors.As(region.ReserveDelete(as("a/second")), &turn)).To(BeTrue())
		g.Expect(turn.Operation).To(Equal("DeleteTrail"))
		g.Expect(server.made()).To(BeEmpty())
		g.Expect(took(func() { g.Expect(region.Delete(as("a/first"), "arn")).To(Succeed()) })).To(BeZero(), "the turn that was reserved")
		time.Sleep(turn.RetryAfter) //nolint:forbidigo // The bubble's clock.
		g.Expect(took(func() {
			g.Expect(region.ReserveDelete(as("a/second"))).To(Succeed())
			g.Expect(region.Delete(as("a/second"), "arn")).To(Succeed())
		})).To(BeZero())
		g.Expect(region.ReserveDelete(t.Context())).To(Succeed(), "who waits as long as it takes is not sent away")
		off := memoryRegion(RateLimitOff, "http://emulator", nil, server)
		for range 3 {
			g.Expect(off.ReserveDelete(as("a/first"))).To(Succeed())
		}
	})
}

func TestWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := &fakeAWS{}
		region := memoryRegion(RateLimitOn, "http://emulator", nil, server)
		g.Expect(region.StartLogging(t.Context(), &Trail{ARN: "arn"})).To(Succeed())
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		g.Expect(took(func() {
			err := region.StartLogging(ctx, &Trail{ARN: "arn"})
			g.Expect(Is(err, Transient)).To(BeTrue())
			g.Expect(err).To(MatchError(ContainSubstring("Canceled")))
		})).To(Equal(300*time.Millisecond), "a canceled caller waits no longer")
		g.Expect(server.made()).To(HaveLen(1), "and makes no call")
	})
}

func TestSharedReadsHaveNoActor(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	ctx := patient(WithPatience(WithActor(t.Context(), "a/b"), time.Second))
	g.Expect(actorOf(ctx)).To(BeEmpty())
	g.Expect(ctx.Value(patienceKey{})).To(BeNil())
}
