package cloudtrail

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
)

// TestFlight holds that work is done once for all who wait for it, on none of their contexts.
func TestFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		failure := errors.New("no")
		d := newDriver(t, nil, "team", "audit")
		ctx, err := d.calls.Begin(t.Context(), 1, ForResync, time.Minute, time.Now())
		g.Expect(err).NotTo(HaveOccurred())
		ctx, cancel := context.WithCancel(ctx)
		var landed atomic.Bool
		f := fly(ctx, "Work", time.Now(), func(ctx context.Context) error {
			g.Expect(actorOf(ctx)).To(BeEmpty(), "it is nobody's")
			g.Expect(callsOf(ctx)).To(BeNil())
			g.Expect(tenantOf(ctx)).To(BeEmpty())
			pass(time.Second)
			g.Expect(ctx.Err()).NotTo(HaveOccurred())
			return failure
		}, func(f *flight) {
			g.Expect(f.isOver()).To(BeFalse(), "nobody has heard of the end yet")
			g.Expect(f.err).To(MatchError(failure))
			landed.Store(true)
		})
		expectPending(g, f.wait(ctx, maxWait), "Work")
		cancel()
		g.Expect(f.wait(ctx, time.Hour)).To(MatchError(ContainSubstring("Canceled")))

		others := together(50, func() error { return f.wait(t.Context(), maxWait) })
		g.Expect(errors.Join(others...)).NotTo(HaveOccurred(), "whoever is no reconcile waits for the end")
		g.Expect(landed.Load()).To(BeTrue())
		g.Expect(f.isOver()).To(BeTrue())
		g.Expect(f.err).To(MatchError(failure))
		g.Expect(d.woken()).To(Equal(1))
		g.Expect(f.wait(context.WithValue(t.Context(), callsKey{}, d.calls), 0)).
			To(Succeed(), "who comes later does not wait")
		pass(time.Hour)
		g.Expect(d.woken()).To(BeZero())
	})
}

// TestFlightsEnd holds that work that does not end is given up.
func TestFlightsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		f := fly(t.Context(), "Work", time.Now(), func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, func(*flight) {})
		g.Expect(took(func() { g.Expect(f.wait(t.Context(), 0)).To(Succeed()) })).To(Equal(sharedReadTimeout))
		g.Expect(f.err).To(MatchError(context.DeadlineExceeded))
	})
}

// TestReadsOfOtherTimes holds who is served by which read: one that is newer than what somebody has found out is asked
// for while an older one is under way.
func TestReadsOfOtherTimes(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{answer: slowly(2*time.Second, nil)}
	inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
		find := func(ctx context.Context) error {
			_, err := region.Find(ctx, "", "audit")
			return err
		}
		newer, newest := newDriver(d.t, d.sessions, "team", "newer"), newDriver(d.t, d.sessions, "team", "newest")
		newer.reason, newest.reason = ForRequest, ForRequest
		expectPending(g, d.run(find), "DescribeTrails")
		pass(time.Second)
		expectPending(g, newer.run(find), "DescribeTrails")
		expectPending(g, newest.run(find), "DescribeTrails")
		g.Expect(server.made()).To(HaveLen(1), "one read at a time")
		pass(time.Second)
		g.Expect(d.reconcile(find)).To(Succeed())
		g.Expect(took(func() { g.Expect(newer.reconcile(find)).To(Succeed()) })).
			To(BeNumerically("~", 2*time.Second, maxWait))
		g.Expect(newest.reconcile(find)).To(Succeed())
		g.Expect(server.made()).To(HaveLen(2), "one read for both")
		g.Expect(newer.unwoken + newest.unwoken).To(BeZero())
		g.Expect(newer.longest).To(BeNumerically("<=", maxWait))
	})
}

// TestFailedReadsOfRegions holds that an error of a shared read is the answer for a reconcile, and for all others at
// that time.
func TestFailedReadsOfRegions(t *testing.T) {
	t.Parallel()
	server := &fakeAWS{answer: func(fakeCall) (int, string) { return 400, refusal("AccessDeniedException", "no") }}
	inBubble(t, server, nil, func(g Gomega, d *driver, region *Region) {
		find := func(ctx context.Context) error {
			_, err := region.Find(ctx, "", "audit")
			return err
		}
		d.reason = ForRetry
		for range 3 {
			g.Expect(Is(d.reconcile(find), Permission)).To(BeTrue())
		}
		g.Expect(server.made()).To(HaveLen(1), "reconciles within seconds share it")
		pass(freshForChange + 1)
		g.Expect(Is(d.reconcile(find), Permission)).To(BeTrue())
		g.Expect(server.made()).To(HaveLen(2))
	})
}
