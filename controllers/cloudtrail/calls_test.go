package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/hack/testbed/clock"
)

// driver reconciles one object as a controller does: it runs a reconcile again when it is woken, or when the *Pending
// says so.
type driver struct {
	t        *testing.T
	sessions *Sessions
	calls    *Calls
	wakes    chan struct{}
	reason   Reason
	// of is what is reconciled, and resync how often.
	of     any
	resync time.Duration

	runs int
	// held is how long workers were held, and longest the longest time of one run.
	held, longest time.Duration
	// unwoken counts the runs that no wake has brought about.
	unwoken int
}

func newDriver(t *testing.T, sessions *Sessions, namespace, name string) *driver {
	t.Helper()
	d := &driver{t: t, sessions: sessions, wakes: make(chan struct{}, 1000), reason: ForResync, of: 1, resync: time.Minute}
	d.calls = NewCalls(namespace, name, func() { d.wakes <- struct{}{} })
	return d
}

// run runs a reconcile once.
func (d *driver) run(f func(context.Context) error) error {
	d.t.Helper()
	d.runs++
	start := time.Now()
	ctx, err := d.calls.Begin(d.t.Context(), d.of, d.reason, d.resync, start)
	if err == nil {
		err = f(ctx)
	}
	took := time.Since(start)
	d.held, d.longest = d.held+took, max(d.longest, took)
	return err
}

// reconcile runs a reconcile until it is complete.
func (d *driver) reconcile(f func(context.Context) error) error {
	d.t.Helper()
	for {
		err := d.run(f)
		pending := PendingOf(err)
		if pending == nil {
			d.calls.End(d.sessions)
			return err
		}
		d.wait(pending)
	}
}

// wait waits until the reconcile is to be run again.
func (d *driver) wait(pending *Pending) {
	timer := time.NewTimer(pending.After)
	defer timer.Stop()
	select {
	case <-d.wakes:
	case <-timer.C:
		d.unwoken++
	}
}

// woken returns how often the object was woken since it was asked last.
func (d *driver) woken() int {
	synctest.Wait()
	n := 0
	for {
		select {
		case <-d.wakes:
			n++
		default:
			return n
		}
	}
}

// expectPending checks that an error is that of a call that is not answered yet.
func expectPending(g Gomega, err error, operation string) {
	pending := PendingOf(err)
	g.Expect(pending).To(HaveOccurred(), "%v", err)
	g.Expect(pending.Operation).To(Equal(operation))
	g.Expect(pending.After).To(BeNumerically(">=", shortestWait), "nobody comes back at once")
	g.Expect(pending).To(MatchError(operation + " is not answered yet"))
}

// slowly makes every answer take a time.
func slowly(takes time.Duration, answer func(fakeCall) (int, string)) func(fakeCall) (int, string) {
	return func(call fakeCall) (int, string) {
		pass(takes)
		if answer == nil {
			return http.StatusOK, "{}"
		}
		return answer(call)
	}
}

// inBubble tests one object in front of an AWS in virtual time.
func inBubble(t *testing.T, server *fakeAWS, edit func(*Options), test func(Gomega, *driver, *Region)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sessions := memorySessions(server, edit)
		d := newDriver(t, sessions, "team", "audit")
		test(NewWithT(t), d, memorySession(sessions).Region(testRegion))
		d.calls.End(sessions)
		expectIdle(t, sessions.limits)
	})
}

// TestStartComesFirst holds that of two objects of a namespace the one whose trail is stopped writes first, although it
// came later.
func TestStartComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := &fakeAWS{}
		sessions := memorySessions(server, func(o *Options) { o.RateLimits = RateLimitOn })
		region := memorySession(sessions).Region(testRegion)
		spend(t, sessions.limits, limitKey{regionKey{testAccount, testRegion}, writeClass})
		changed, stopped := newDriver(t, sessions, "team", "changed"), newDriver(t, sessions, "team", "stopped")
		change := func(ctx context.Context) error { return region.StopLogging(ctx, testTrail("changed", ""), nil) }
		start := func(ctx context.Context) error { return region.StartLogging(ctx, testTrail("stopped", ""), nil) }
		expectPending(g, changed.run(change), "StopLogging")
		expectPending(g, stopped.run(start), "StartLogging")
		pass(time.Second)
		g.Expect(changed.woken()).To(BeZero())
		g.Expect(stopped.woken()).To(Equal(1))
		g.Expect(stopped.reconcile(start)).To(Succeed())
		g.Expect(changed.reconcile(change)).To(Succeed())
		pass(time.Second)
		expectIdle(t, sessions.limits)
	})
}

// TestReplay holds that a reconcile that is run again is answered the same, and makes no call twice.
func TestReplay(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{answer: slowly(time.Second, func(call fakeCall) (int, string) {
		switch call.operation {
		case "GetTrailStatus":
			return http.StatusOK, `{"IsLogging": true}`
		case "GetEventSelectors":
			return http.StatusBadRequest, refusal("AccessDeniedException", "no")
		default:
			return http.StatusOK, `{}`
		}
	})}
	inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
		var complete int
		err := d.reconcile(func(ctx context.Context) error {
			status, err := region.Status(ctx, "arn")
			if err != nil {
				return err
			}
			g.Expect(status.IsLogging).To(BeTrue())
			_, err = region.Selectors(ctx, "arn")
			if PendingOf(err) != nil {
				return err
			}
			g.Expect(Is(err, Permission)).To(BeTrue(), "an error is replayed: %v", err)
			trail := &Trail{ARN: "arn", Tags: map[string]string{}}
			if err := region.AddTags(ctx, trail, map[string]string{"a": "1"}, nil); err != nil {
				return err
			}
			g.Expect(trail.Tags).To(Equal(map[string]string{"a": "1"}), "what the call has changed is changed at every run")
			if _, err := region.Status(ctx, "arn"); err != nil {
				return err
			}
			complete++
			return nil
		})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(complete).To(Equal(1))
		g.Expect(d.runs).To(Equal(5), "one for each call, and the last")
		g.Expect(d.unwoken).To(BeZero(), "every run is woken")
		g.Expect(d.longest).To(BeNumerically("<=", maxWait))
		operations := []string{}
		for _, call := range server.made() {
			operations = append(operations, call.operation)
		}
		g.Expect(operations).To(Equal([]string{"GetTrailStatus", "GetEventSelectors", "AddTags", "GetTrailStatus"}),
			"the same question later in a run is a call of its own")
		g.Expect(d.calls.answers).To(BeEmpty())
	})
}

// TestQuickAnswersNeedNoOtherRun holds that a reconcile whose calls are answered within a moment is run once, and that
// nobody is woken.
func TestQuickAnswersNeedNoOtherRun(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{answer: slowly(maxWait-1, nil)}
	inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
		g.Expect(d.reconcile(func(ctx context.Context) error {
			for range 5 {
				if _, err := region.Status(ctx, "arn"); err != nil {
					return err
				}
			}
			return nil
		})).To(Succeed())
		g.Expect(d.runs).To(Equal(1))
		g.Expect(d.woken()).To(BeZero(), "who does not wait is not woken: it would run again and again")
		g.Expect(server.made()).To(HaveLen(5))
	})
}

// TestReplayForAnother holds what counts for what is reconciled then.
func TestReplayForAnother(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		// between is what happens between two runs.
		between func(*driver)
		calls   int
	}{
		"the same":        {func(*driver) {}, 1},
		"another":         {func(d *driver) { d.of = 2 }, 2},
		"nothing":         {func(d *driver) { d.of = nil }, 2},
		"the same, ended": {func(d *driver) { d.calls.End(d.sessions) }, 2},
		"the same, a minute later, which is its resync": {func(*driver) { pass(time.Minute) }, 1},
		"the same, as long as it may take":              {func(*driver) { pass(outlives) }, 1},
		"the same, later":                               {func(*driver) { pass(outlives + 1) }, 2},
		"the same, later, with rare resyncs": {func(d *driver) {
			d.resync = time.Hour
			pass(time.Hour)
		}, 1},
		"the same, after a rare resync": {func(d *driver) {
			d.resync = time.Hour
			pass(time.Hour + 1)
		}, 2},
		"the same, without what failed":          {func(d *driver) { d.calls.Retry(false) }, 1},
		"the same, without what it was answered": {func(d *driver) { d.calls.Retry(true) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &fakeAWS{}
			inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
				read := func(ctx context.Context) error {
					_, err := region.Status(ctx, "arn")
					return err
				}
				g.Expect(d.run(read)).To(Succeed())
				c.between(d)
				g.Expect(d.run(read)).To(Succeed())
				g.Expect(server.made()).To(HaveLen(c.calls))
			})
		})
	}
}

// TestOutlivedAfterAWrite holds that a reconcile that has written does not go on for ever with what it knows.
func TestOutlivedAfterAWrite(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{}
	inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
		d.resync = time.Hour
		write := func(ctx context.Context) error { return region.StartLogging(ctx, &Trail{ARN: "arn"}, nil) }
		for _, later := range []time.Duration{0, wroteOutlives / 2, wroteOutlives / 2} {
			pass(later)
			g.Expect(d.run(write)).To(Succeed())
		}
		g.Expect(server.made()).To(HaveLen(1))
		pass(1)
		g.Expect(d.run(write)).To(Succeed())
		g.Expect(server.made()).To(HaveLen(2))
	})
}

// TestSilenceIsToldOf holds that a reconcile comes to its end, and can tell of it, although none of its calls is
// answered: however often objects are reconciled, and however many of them wait.
func TestSilenceIsToldOf(t *testing.T) {
	t.Parallel()
	for _, resync := range []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute} {
		t.Run(resync.String(), func(t *testing.T) {
			t.Parallel()
			server := &fakeAWS{silent: func(fakeCall) bool { return true }}
			inBubble(t, server, func(o *Options) { o.RateLimits = RateLimitOn }, func(g Gomega, d *driver, region *Region) {
				d.resync = resync
				calls := []func(context.Context) error{
					func(ctx context.Context) error { _, err := region.Find(ctx, "arn", "audit"); return err },
					func(ctx context.Context) error { _, err := region.Tags(ctx, "arn"); return err },
					func(ctx context.Context) error { _, err := region.Status(ctx, "arn"); return err },
					func(ctx context.Context) error { _, err := region.Selectors(ctx, "arn"); return err },
					func(ctx context.Context) error { _, err := region.Insights(ctx, "arn"); return err },
					func(ctx context.Context) error { _, err := region.Aggregations(ctx, "arn"); return err },
				}
				g.Expect(took(func() {
					g.Expect(d.reconcile(func(ctx context.Context) error {
						for _, call := range calls {
							err := call(ctx)
							if PendingOf(err) != nil {
								return err
							}
							g.Expect(err).To(MatchError(ContainSubstring("RequestTimeout")))
						}
						return nil
					})).To(Succeed())
				})).To(BeNumerically("~", time.Duration(len(calls))*sharedReadTimeout, time.Second))
				g.Expect(server.made()).To(HaveLen(len(calls)), "none of them is made twice")
				g.Expect(d.unwoken).To(BeNumerically("<=", 12*len(calls)), "it comes back from time to time")
			})
		})
	}
}

// TestRetry holds that the calls that failed are made again, and no others.
func TestRetry(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{}
	server.answer = func(call fakeCall) (int, string) {
		if call.operation == "GetEventSelectors" && server.count(call.operation) == 1 {
			return http.StatusBadRequest, refusal("ValidationException", "no")
		}
		return http.StatusOK, "{}"
	}
	inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
		read := func(ctx context.Context) error {
			if _, err := region.Status(ctx, "arn"); err != nil {
				return err
			}
			_, err := region.Selectors(ctx, "arn")
			return err
		}
		for range 3 {
			g.Expect(Is(d.run(read), FixSpec)).To(BeTrue())
		}
		g.Expect(server.made()).To(HaveLen(2), "an error is an answer")
		d.calls.Retry(false)
		g.Expect(d.run(read)).To(Succeed())
		g.Expect(server.count("GetTrailStatus")).To(Equal(1))
		g.Expect(server.count("GetEventSelectors")).To(Equal(2))
	})
}

// TestRetryLeavesWhatIsUnderWay holds that a call that is not answered yet is not made twice.
func TestRetryLeavesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{answer: slowly(time.Second, nil)}
	inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
		read := func(ctx context.Context) error {
			_, err := region.Status(ctx, "arn")
			return err
		}
		expectPending(g, d.run(read), "GetTrailStatus")
		d.calls.Retry(true)
		g.Expect(d.reconcile(read)).To(Succeed())
		g.Expect(server.made()).To(HaveLen(1))
	})
}

// TestRetryOfASession holds that a session that could not be opened is opened anew, and not taken for an answer.
func TestRetryOfASession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := newMemorySTS()
		server.code = "ServiceUnavailable"
		sessions := memorySessions(server,
			func(o *Options) { o.Config.Retryer = func() aws.Retryer { return aws.NopRetryer{} } })
		d := newDriver(t, sessions, "team", "audit")
		open := func(ctx context.Context) error {
			_, err := sessions.Open(ctx, testIdentity(nil))
			return err
		}
		g.Expect(Is(d.run(open), Transient)).To(BeTrue())
		server.set(func() { server.code = "" })
		pass(firstReopen)
		g.Expect(Is(d.run(open), Transient)).To(BeTrue(), "the answer counts for all of the reconcile")
		d.calls.Retry(false)
		g.Expect(d.run(open)).To(Succeed())
		g.Expect(server.made(getCallerIdentity)).To(HaveLen(2))
		d.calls.Retry(false)
		g.Expect(d.run(open)).To(Succeed())
		g.Expect(server.made(getCallerIdentity)).To(HaveLen(2), "one that is open is kept")
	})
}

// TestWriteUnderWay holds that nothing else is begun while a write is under way, as it may change what would be read.
func TestWriteUnderWay(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{answer: slowly(3*time.Second, nil)}
	inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
		write := func(ctx context.Context) error { return region.StopLogging(ctx, &Trail{ARN: "arn"}, nil) }
		read := func(ctx context.Context) error {
			_, err := region.Status(ctx, "arn")
			return err
		}
		expectPending(g, d.run(write), "StopLogging")
		d.of = 2
		expectPending(g, d.run(read), "StopLogging")
		g.Expect(server.made()).To(HaveLen(1))
		pass(3 * time.Second)
		g.Expect(d.woken()).To(Equal(1), "it is woken when the write is answered")
		expectPending(g, d.run(read), "GetTrailStatus")

		d.of = 3
		expectPending(g, d.run(write), "StopLogging")
		g.Expect(server.made()).To(HaveLen(3), "a read under way delays nothing")
	})
}

// TestEndGivesUp holds that an object that is gone keeps no place in a queue, and that nobody is woken for it.
func TestEndGivesUp(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{}
	inBubble(t, server, func(o *Options) { o.RateLimits = RateLimitOn }, func(g Gomega, d *driver, region *Region) {
		write := func(ctx context.Context) error { return region.StopLogging(ctx, &Trail{ARN: "arn"}, nil) }
		other, third := newDriver(d.t, d.sessions, "other", "audit"), newDriver(d.t, d.sessions, "third", "audit")
		g.Expect(other.run(write)).To(Succeed())
		other.calls.End(d.sessions)
		expectPending(g, d.run(write), "StopLogging")
		expectPending(g, third.run(write), "StopLogging")
		d.calls.End(d.sessions)
		pass(time.Second)
		g.Expect(d.woken()).To(BeZero())
		g.Expect(third.woken()).To(Equal(1), "who waits behind it goes first")
		g.Expect(third.run(write)).To(Succeed())
		third.calls.End(d.sessions)
	})
}

// TestEndDuringARun holds that a run whose object is gone in the middle makes no calls any more, and leaves nothing
// behind.
func TestEndDuringARun(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]func(*driver, context.Context, *Region) error{
		"before a call": func(d *driver, ctx context.Context, region *Region) error {
			d.calls.End(d.sessions)
			return region.StopLogging(ctx, &Trail{ARN: "arn"}, nil)
		},
		"in the guard of a call": func(d *driver, ctx context.Context, region *Region) error {
			return region.StopLogging(ctx, &Trail{ARN: "arn"}, func(context.Context) error {
				d.calls.End(d.sessions)
				return nil
			})
		},
		"before a shared read": func(d *driver, ctx context.Context, region *Region) error {
			d.calls.End(d.sessions)
			_, err := region.Find(ctx, "arn", "audit")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &fakeAWS{}
			inBubble(t, server, func(o *Options) { o.RateLimits = RateLimitOn }, func(g Gomega, d *driver, region *Region) {
				err := d.run(func(ctx context.Context) error { return ends(d, ctx, region) })
				g.Expect(PendingOf(err)).To(HaveOccurred(), "%v", err)
				g.Expect(server.made()).To(BeEmpty())
				g.Expect(d.calls.reserved).To(BeEmpty())
				g.Expect(d.calls.answers).To(BeNil())
				g.Expect(took(func() { spend(d.t, region.limits, limitKey{testKey, writeClass}) })).
					To(BeNumerically("<", grantLost), "its place in the queue is free")
				g.Expect(d.woken()).To(BeZero())
			})
		})
	}
}

// TestWakes holds that the object is woken when somebody waits, and never else.
func TestWakes(t *testing.T) {
	t.Parallel()
	write := func(region *Region) func(context.Context) error {
		return func(ctx context.Context) error { return region.StopLogging(ctx, &Trail{ARN: "arn"}, nil) }
	}
	on := func(o *Options) { o.RateLimits = RateLimitOn }
	t.Run("a call that is answered late", func(t *testing.T) {
		t.Parallel()
		inBubble(t, &fakeAWS{answer: slowly(time.Second, nil)}, nil, func(g Gomega, d *driver, region *Region) {
			err := d.run(write(region))
			expectPending(g, err, "StopLogging")
			g.Expect(PendingOf(err).After).To(Equal(unansweredWait))
			g.Expect(d.woken()).To(BeZero(), "there is no answer yet")
			pass(time.Second)
			g.Expect(d.woken()).To(Equal(1))
			pass(time.Minute)
			g.Expect(d.woken()).To(BeZero(), "once")
		})
	})
	t.Run("a call whose run was canceled", func(t *testing.T) {
		t.Parallel()
		inBubble(t, &fakeAWS{answer: slowly(50*time.Millisecond, nil)}, nil, func(g Gomega, d *driver, region *Region) {
			ctx, cancel := context.WithCancel(d.t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			calling, err := d.calls.Begin(ctx, 1, ForResync, time.Minute, time.Now())
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(took(func() { err = write(region)(calling) })).To(Equal(10 * time.Millisecond))
			g.Expect(err).To(MatchError(ContainSubstring("Canceled")))
			pass(time.Second)
			g.Expect(d.woken()).To(BeZero(), "nobody waits")
			g.Expect(d.run(write(region))).To(Succeed(), "the call went on all the same, and its answer counts")
		})
	})
	t.Run("a call for what is not reconciled any more", func(t *testing.T) {
		t.Parallel()
		inBubble(t, &fakeAWS{answer: slowly(time.Second, nil)}, nil, func(g Gomega, d *driver, region *Region) {
			read := func(ctx context.Context) error {
				_, err := region.Status(ctx, "arn")
				return err
			}
			expectPending(g, d.run(read), "GetTrailStatus")
			d.of = 2
			g.Expect(d.run(func(context.Context) error { return nil })).To(Succeed())
			pass(time.Second)
			g.Expect(d.woken()).To(BeZero(), "it has changed")
			expectPending(g, d.run(read), "GetTrailStatus")
			d.calls.End(d.sessions)
			pass(time.Second)
			g.Expect(d.woken()).To(BeZero(), "it is complete, or gone")
		})
	})
	t.Run("a write that another reconcile waits for", func(t *testing.T) {
		t.Parallel()
		inBubble(t, &fakeAWS{answer: slowly(time.Second, nil)}, nil, func(g Gomega, d *driver, region *Region) {
			canceled, cancel := context.WithCancel(d.t.Context())
			cancel()
			ctx, err := d.calls.Begin(canceled, 1, ForResync, time.Minute, time.Now())
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(write(region)(ctx)).To(MatchError(ContainSubstring("Canceled")))
			d.of = 2
			expectPending(g, d.run(write(region)), "StopLogging")
			pass(time.Second)
			g.Expect(d.woken()).To(Equal(1))
		})
	})
	t.Run("a reservation that is granted", func(t *testing.T) {
		t.Parallel()
		server := &fakeAWS{}
		inBubble(t, server, on, func(g Gomega, d *driver, region *Region) {
			spend(d.t, region.limits, limitKey{testKey, writeClass})
			for range 3 {
				expectPending(g, d.run(write(region)), "StopLogging")
			}
			g.Expect(d.longest).To(BeZero(), "nobody waits for a reservation")
			pass(time.Second - 1)
			g.Expect(d.woken()).To(BeZero())
			pass(1)
			g.Expect(d.woken()).To(Equal(1))
			g.Expect(d.run(write(region))).To(Succeed())
			g.Expect(server.made()).To(HaveLen(1), "asking three times costs one place in the queue")
			pass(time.Minute)
			g.Expect(d.woken()).To(BeZero())
		})
	})
	t.Run("a reservation that is granted at once", func(t *testing.T) {
		t.Parallel()
		inBubble(t, &fakeAWS{}, on, func(g Gomega, d *driver, region *Region) {
			g.Expect(d.run(write(region))).To(Succeed())
			pass(time.Minute)
			g.Expect(d.woken()).To(BeZero())
		})
	})
	t.Run("a shared read", func(t *testing.T) {
		t.Parallel()
		inBubble(t, &fakeAWS{answer: slowly(time.Second, nil)}, nil, func(g Gomega, d *driver, region *Region) {
			find := func(ctx context.Context) error {
				_, err := region.Find(ctx, "", "audit")
				return err
			}
			quick, slow := newDriver(d.t, d.sessions, "other", "quick"), newDriver(d.t, d.sessions, "other", "slow")
			expectPending(g, d.run(find), "DescribeTrails")
			expectPending(g, slow.run(find), "DescribeTrails")
			g.Expect(slow.longest).To(BeZero(), "others have waited for it long enough")
			pass(time.Second - maxWait)
			g.Expect(d.woken()).To(Equal(1))
			g.Expect(slow.woken()).To(Equal(1))
			g.Expect(quick.run(find)).To(Succeed())
			g.Expect(quick.woken()).To(BeZero())
			pass(time.Minute)
			g.Expect(d.woken()+slow.woken()+quick.woken()).To(BeZero(), "once each")
		})
	})
}

// TestCanceledWorker holds that a worker that ends, as the operator shuts down, waits for nothing.
func TestCanceledWorker(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{silent: func(fakeCall) bool { return true }}
	inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
		canceled, cancel := context.WithCancel(d.t.Context())
		cancel()
		ctx, err := d.calls.Begin(canceled, 1, ForResync, time.Minute, time.Now())
		g.Expect(err).NotTo(HaveOccurred())
		for _, call := range []func() error{
			func() error {
				_, err := region.Status(ctx, "arn")
				return err
			},
			func() error {
				_, err := region.Find(ctx, "arn", "audit")
				return err
			},
			func() error {
				_, err := d.sessions.Open(ctx, testIdentity(nil))
				return err
			},
		} {
			g.Expect(took(func() {
				err := call()
				g.Expect(Is(err, Transient)).To(BeTrue())
				g.Expect(err).To(MatchError(ContainSubstring("Canceled: the operator is shutting down")))
			})).To(BeZero())
		}
		pass(2 * time.Minute)
		g.Expect(d.woken()).To(BeZero())
	})
}

// TestNewerAnswers holds that what cannot be undone is not done on an answer that is not new any more.
func TestNewerAnswers(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{}
	inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
		tags := func(ctx context.Context) error {
			_, err := region.TagsNow(ctx, "arn")
			return err
		}
		anyTags := func(ctx context.Context) error {
			_, err := region.Tags(ctx, "arn")
			return err
		}
		g.Expect(d.run(tags)).To(Succeed())
		pass(guardHolds)
		g.Expect(d.run(tags)).To(Succeed())
		g.Expect(server.made()).To(HaveLen(1), "it is new enough")
		pass(1)
		g.Expect(d.run(anyTags)).To(Succeed())
		g.Expect(server.made()).To(HaveLen(1), "all others are answered the same as before")
		g.Expect(d.run(tags)).To(Succeed())
		g.Expect(server.made()).To(HaveLen(2))
	})
	t.Run("one that is under way is waited for", func(t *testing.T) {
		t.Parallel()
		server := &fakeAWS{answer: slowly(guardHolds+time.Second, nil)}
		inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
			tags := func(ctx context.Context) error {
				_, err := region.TagsNow(ctx, "arn")
				return err
			}
			expectPending(g, d.run(tags), "ListTags")
			pass(guardHolds + time.Second/2)
			expectPending(g, d.run(tags), "ListTags")
			g.Expect(server.made()).To(HaveLen(1))
		})
	})
}

// TestSentAt holds what is known of when calls were made.
func TestSentAt(t *testing.T) {
	t.Parallel()
	inBubble(t, &fakeAWS{}, nil, func(g Gomega, d *driver, region *Region) {
		start := time.Now()
		g.Expect(d.calls.SentAt("StopLogging")).To(BeZero())
		stop := func(ctx context.Context) error {
			pass(time.Second)
			return region.StopLogging(ctx, &Trail{ARN: "arn"}, nil)
		}
		g.Expect(d.run(stop)).To(Succeed())
		g.Expect(d.calls.SentAt("StopLogging")).To(Equal(start.Add(time.Second)))
		g.Expect(d.calls.Began()).To(Equal(start))
		g.Expect(d.run(func(ctx context.Context) error { return errors.Join(stop(ctx), stop(ctx)) })).To(Succeed())
		g.Expect(d.calls.SentAt("StopLogging")).To(Equal(start.Add(3*time.Second)), "the last of them")
		g.Expect(d.calls.Began()).To(Equal(start), "a replay is the same reconcile")
		g.Expect(d.calls.SentAt("StartLogging")).To(BeZero())
	})
}

// TestFreshness holds how old what is read may be for a reconcile.
func TestFreshness(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason  Reason
		resync  time.Duration
		fresh   time.Duration
		urgency urgency
	}{
		"a person asks":                    {ForRequest, time.Minute, 0, regular},
		"a change":                         {ForChange, time.Minute, freshForChange, whenIdle},
		"another try":                      {ForRetry, time.Minute, freshForChange, whenIdle},
		"a resync":                         {ForResync, time.Minute, 3 * time.Second, regular},
		"a resync at very short intervals": {ForResync, time.Second, freshForResyncAtLeast, regular},
		"a resync at long intervals":       {ForResync, time.Hour, freshForResyncAtMost, regular},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			calls, now := NewCalls("team", "audit", func() {}), time.Now()
			_, err := calls.Begin(t.Context(), 1, c.reason, c.resync, now)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(calls.Since()).To(Equal(now.Add(-c.fresh)))
			g.Expect(calls.urgency).To(Equal(c.urgency))
		})
	}
}

// errGuard is a guard's.
var errGuard = errors.New("the object has changed")

// TestGuards holds what may keep a write from being sent.
func TestGuards(t *testing.T) {
	t.Parallel()
	trail := func() *Trail { return &Trail{ARN: "arn"} }
	t.Run("one that fails", func(t *testing.T) {
		t.Parallel()
		server := &fakeAWS{}
		inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
			checks := 0
			stop := func(ctx context.Context) error {
				return region.StopLogging(ctx, trail(), func(context.Context) error {
					if checks++; checks < 3 {
						return errGuard
					}
					return nil
				})
			}
			for range 2 {
				g.Expect(d.run(stop)).To(MatchError(errGuard))
			}
			g.Expect(server.made()).To(BeEmpty())
			g.Expect(d.run(stop)).To(Succeed())
			g.Expect(d.run(stop)).To(Succeed())
			g.Expect(checks).To(Equal(3), "what was sent is not guarded any more")
			g.Expect(server.made()).To(HaveLen(1))
		})
	})
	t.Run("one that fails keeps nobody else from writing", func(t *testing.T) {
		t.Parallel()
		inBubble(t, &fakeAWS{}, func(o *Options) { o.RateLimits = RateLimitOn }, func(g Gomega, d *driver, region *Region) {
			for range 3 {
				g.Expect(d.run(func(ctx context.Context) error {
					return region.StopLogging(ctx, trail(), func(context.Context) error { return errGuard })
				})).To(MatchError(errGuard))
			}
			g.Expect(took(func() { spend(d.t, region.limits, limitKey{testKey, writeClass}) })).To(BeZero())
		})
	})
	t.Run("one that fails by AWS's answer is not asked again while other calls wait", func(t *testing.T) {
		t.Parallel()
		inBubble(t, &fakeAWS{}, func(o *Options) { o.RateLimits = RateLimitOn }, func(g Gomega, d *driver, region *Region) {
			denied := func(context.Context) error { return &Error{Operation: "ListTags", Class: Permission} }
			both := func(d *driver) func(context.Context) error {
				return func(ctx context.Context) error {
					err := region.StopLogging(ctx, trail(), denied)
					if PendingOf(err) != nil || d.runs > 100 {
						return err
					}
					return region.StartLogging(ctx, trail(), denied)
				}
			}
			spend(d.t, region.limits, limitKey{testKey, writeClass})
			other := newDriver(d.t, d.sessions, "other", "trail")
			var group sync.WaitGroup
			for _, driver := range []*driver{d, other} {
				group.Go(func() { g.Expect(driver.reconcile(both(driver))).To(MatchError(ContainSubstring("ListTags"))) })
			}
			group.Wait()
			g.Expect(d.runs + other.runs).To(BeNumerically("<", 10))
		})
	})
	t.Run("one whose own call is not answered yet", func(t *testing.T) {
		t.Parallel()
		server := &fakeAWS{answer: slowly(time.Second, nil)}
		inBubble(t, server, func(o *Options) { o.RateLimits = RateLimitOn }, func(g Gomega, d *driver, region *Region) {
			checks := 0
			g.Expect(d.reconcile(func(ctx context.Context) error {
				return region.StopLogging(ctx, trail(), func(ctx context.Context) error {
					checks++
					_, err := region.TagsNow(ctx, "arn")
					return err
				})
			})).To(Succeed())
			g.Expect(checks).To(Equal(2))
			g.Expect(server.count("ListTags")).To(Equal(1))
			g.Expect(server.count("StopLogging")).To(Equal(1))
			g.Expect(d.unwoken).To(BeZero())
		})
	})
	t.Run("none while the rate limit does not allow the call", func(t *testing.T) {
		t.Parallel()
		inBubble(t, &fakeAWS{}, func(o *Options) { o.RateLimits = RateLimitOn }, func(g Gomega, d *driver, region *Region) {
			spend(d.t, region.limits, limitKey{testKey, writeClass})
			checks := 0
			g.Expect(d.reconcile(func(ctx context.Context) error {
				return region.StopLogging(ctx, trail(), func(context.Context) error {
					checks++
					return nil
				})
			})).To(Succeed())
			g.Expect(checks).To(Equal(1), "it is asked right before the call is sent")
		})
	})
	t.Run("without Calls", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		server := &fakeAWS{}
		region := memoryRegion(RateLimitOff, "http://emulator", nil, server)
		err := region.StopLogging(t.Context(), trail(), func(context.Context) error { return errGuard })
		g.Expect(err).To(MatchError(errGuard))
		g.Expect(server.made()).To(BeEmpty())
	})
}

// slowCredentials are credentials that are a while in coming.
type slowCredentials struct{ takes time.Duration }

// Retrieve implements aws.CredentialsProvider.
func (c slowCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	pass(c.takes)
	return credentials.NewStaticCredentialsProvider("AKIASLOW", "secret", "").Retrieve(ctx)
}

// TestHeldUpWrites holds that a write is not sent long after it was made sure that it may be.
func TestHeldUpWrites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		// guard is how long the guard takes, and credentials how long it takes to sign the call.
		guard, credentials time.Duration
		sent               bool
	}{
		"not at all":                            {0, 0, true},
		"in the guard, just not too long":       {guardHolds, 0, true},
		"in the guard":                          {guardHolds + 1, 0, false},
		"while it is signed":                    {0, guardHolds + 1, false},
		"while it is signed, just not too long": {0, guardHolds, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &fakeAWS{}
			slow := func(o *Options) { o.Config.Credentials = slowCredentials{c.credentials} }
			inBubble(t, server, slow, func(g Gomega, d *driver, region *Region) {
				err := d.reconcile(func(ctx context.Context) error {
					return region.StopLogging(ctx, &Trail{ARN: "arn"}, func(context.Context) error {
						pass(c.guard)
						return nil
					})
				})
				if c.sent {
					g.Expect(err).NotTo(HaveOccurred())
					g.Expect(server.made()).To(HaveLen(1))
					return
				}
				known, _ := errors.AsType[*Error](err)
				g.Expect(known).To(HaveOccurred(), "%v", err)
				g.Expect(known.Code).To(Equal("NotSent"))
				g.Expect(known.Class).To(Equal(Transient))
				g.Expect(server.made()).To(BeEmpty())
			})
		})
	}
}

// TestSendBy holds that a call is late when either clock says so.
func TestSendBy(t *testing.T) {
	t.Parallel()
	now, hour := time.Now(), time.Hour
	NewWithT(t).Expect(clock.Ahead(now, hour).Sub(now)).To(Equal(hour))
	NewWithT(t).Expect(clock.Ahead(now, hour).Round(0)).To(Equal(now.Round(0)))
	for name, c := range map[string]struct {
		by   time.Time
		late bool
	}{
		"in time by both clocks":      {now.Add(hour), false},
		"late by both":                {now.Add(-hour), true},
		"late by the wall clock":      {clock.Ahead(now.Add(-hour), 2*hour), true},
		"late by the machine's clock": {clock.Ahead(now.Add(hour), -2*hour), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			ctx := context.WithValue(t.Context(), sendByKey{}, c.by)
			allowed := &Options{MayWrite: func() error { return nil }}
			for _, class := range []operationClass{readClass, lookupClass, writeClass} {
				g.Expect(errors.Is(maySend(ctx, class, allowed), errLate)).To(Equal(c.late))
			}
		})
	}
}

// TestMayWrite holds that a process that does not lead makes no writes, whatever it has begun.
func TestMayWrite(t *testing.T) {
	t.Parallel()
	server, leads := &fakeAWS{}, atomic.Bool{}
	leads.Store(true)
	server.answer = func(call fakeCall) (int, string) {
		if call.operation == "UpdateTrail" && server.count("UpdateTrail") == 1 {
			leads.Store(false)
			return http.StatusBadRequest, refusal("ConflictException", "not now")
		}
		return http.StatusOK, "{}"
	}
	mayWrite := func() error {
		if !leads.Load() {
			return ErrNotLeading
		}
		return nil
	}
	inBubble(t, server, func(o *Options) { o.MayWrite = mayWrite }, func(g Gomega, d *driver, region *Region) {
		expectNotSent := func(err error) {
			g.Expect(errors.Is(err, ErrNotLeading)).To(BeTrue(), "%v", err)
			g.Expect(Is(err, Transient)).To(BeTrue())
			g.Expect(err).To(MatchError(ContainSubstring("NotSent")))
		}
		update := func(ctx context.Context) error {
			return region.Update(ctx, &Trail{ARN: "arn"}, Change{S3KeyPrefix: aws.String("x")}, nil)
		}
		expectNotSent(d.reconcile(update))
		g.Expect(server.count("UpdateTrail")).To(Equal(1), "the next try of a call is not sent either")

		for name, write := range map[string]func(context.Context) error{
			"Create": func(ctx context.Context) error {
				_, err := region.Create(ctx, "audit", Change{S3BucketName: aws.String("logs")}, nil, nil)
				return err
			},
			"Update":  update,
			"Delete":  func(ctx context.Context) error { return region.Delete(ctx, "arn", nil) },
			"AddTags": func(ctx context.Context) error { return region.AddTags(ctx, &Trail{ARN: "arn"}, nil, nil) },
		} {
			before := len(server.made())
			expectNotSent(d.reconcile(write))
			g.Expect(server.made()).To(HaveLen(before), name)
		}
		g.Expect(d.reconcile(func(ctx context.Context) error {
			_, err := region.Status(ctx, "arn")
			return err
		})).To(Succeed(), "it may read")
		leads.Store(true)
		g.Expect(d.reconcile(update)).To(Succeed())
	})
}

// TestClaimed holds that a claim is read again only when another one at the same time would show, and that no worker
// waits for that.
func TestClaimed(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{answer: func(fakeCall) (int, string) {
		return http.StatusOK, `{"ResourceTagList": [{"ResourceId": "arn", "TagsList": [{"Key": "owner", "Value": "me"}]}]}`
	}}
	inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
		g.Expect(took(func() {
			g.Expect(d.reconcile(func(ctx context.Context) error {
				tags, err := region.Claimed(ctx, "arn")
				if err == nil {
					g.Expect(tags).To(Equal(map[string]string{"owner": "me"}))
				}
				return err
			})).To(Succeed())
		})).To(Equal(claimSettles))
		g.Expect(d.longest).To(BeNumerically("<=", maxWait))
		g.Expect(server.made()).To(HaveLen(1))
	})
}

// TestManyReconciles is a property test for the race detector too: many objects of many namespaces, with answers that
// are quick, slow, refused and throttled, changes in the middle and objects that go. All that stay are served, none of
// their calls is made twice for one reconcile, no worker waits for long, and nothing is left behind.
func TestManyReconciles(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { reconcileMany(t, seed) })
		})
	}
}

func reconcileMany(t *testing.T, seed uint64) {
	t.Helper()
	g := NewWithT(t)
	var mu sync.Mutex
	random := newRandom(seed)
	draw := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	server := &fakeAWS{answer: func(fakeCall) (int, string) {
		switch n := draw(20); {
		case n == 0:
			return http.StatusBadRequest, refusal("ThrottlingException", "no")
		case n == 1:
			return http.StatusBadRequest, refusal("ConflictException", "no")
		case n < 5:
			pass(time.Duration(draw(3000)) * time.Millisecond)
		default:
			pass(time.Duration(draw(60)) * time.Millisecond)
		}
		return http.StatusOK, "{}"
	}}
	sessions := memorySessions(server, func(o *Options) { o.RateLimits = RateLimitOn })
	region := memorySession(sessions).Region(testRegion)
	var objects sync.WaitGroup
	for i := range 40 {
		own := newRandom(seed*1000 + uint64(i) + 1)
		d := newDriver(t, sessions, fmt.Sprint("namespace-", i%7), fmt.Sprint(i))
		objects.Go(func() {
			for round := range 1 + own.IntN(3) {
				d.of = round
				subject := fmt.Sprintf("arn-%d-%d", i, round)
				switch own.IntN(5) {
				case 0: // It changes in the middle.
					expectNoError(g, d.run(func(ctx context.Context) error { return story(ctx, region, "before "+subject) }))
					d.of = "changed"
				case 1: // It is deleted in the middle.
					time.AfterFunc(time.Duration(own.IntN(2000))*time.Millisecond, func() { d.calls.End(sessions) })
					for range own.IntN(4) {
						expectNoError(g, d.run(func(ctx context.Context) error { return story(ctx, region, "gone "+subject) }))
						pass(time.Duration(own.IntN(1000)) * time.Millisecond)
					}
					pass(3 * time.Second)
					return
				}
				expectNoError(g, d.reconcile(func(ctx context.Context) error { return story(ctx, region, subject) }))
			}
			g.Expect(d.longest).To(BeNumerically("<=", 7*maxWait), "there are seven calls in a run")
		})
	}
	objects.Wait()
	expectIdle(t, sessions.limits)
	expectOnce(g, server.made())
}

// expectNoError checks that a run has ended well, or waits, or met a passing fault.
func expectNoError(g Gomega, err error) {
	g.Expect(err == nil || PendingOf(err) != nil || Is(err, Transient)).To(BeTrue(), "%v", err)
}

// story is a reconcile of seven calls.
func story(ctx context.Context, region *Region, arn string) error {
	trail := &Trail{ARN: arn}
	_, err := region.Find(ctx, arn, "")
	for _, call := range []func() error{
		func() error { _, err := region.Status(ctx, arn); return err },
		func() error { _, err := region.Selectors(ctx, arn); return err },
		func() error { _, err := region.Insights(ctx, arn); return err },
		func() error {
			return region.Update(ctx, trail, Change{S3KeyPrefix: aws.String("x")}, func(ctx context.Context) error {
				_, err := region.TagsNow(ctx, arn)
				return err
			})
		},
		func() error { return region.StartLogging(ctx, trail, nil) },
	} {
		if err == nil {
			err = call()
		}
	}
	return err
}

// expectOnce checks that no write was accepted twice for one reconcile.
func expectOnce(g Gomega, calls []fakeCall) {
	made := map[string]int{}
	for _, call := range calls {
		if call.operation == "StartLogging" {
			made[fmt.Sprint(call.body["Name"])]++
		}
	}
	g.Expect(made).NotTo(BeEmpty())
	for arn, times := range made {
		g.Expect(times).To(BeNumerically("<=", 3), "%s: the SDK's tries of one call", arn)
	}
}
