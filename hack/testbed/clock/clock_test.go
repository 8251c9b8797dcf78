package clock

import (
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
)

func TestClock(t *testing.T) {
	t.Parallel()
	advance := func(c *Clock) { c.Add(time.Minute) }
	for name, c := range map[string]struct {
		// still has the clock stand still when it is made; otherwise it is the wall clock.
		still bool
		do    func(*Clock)
		// now is what passed on the clock at once, and later what did an hour later.
		now, later time.Duration
	}{
		"the wall clock":                     {false, func(*Clock) {}, 0, time.Hour},
		"the wall clock, advanced":           {false, advance, time.Minute, 61 * time.Minute},
		"the wall clock, told to go on":      {false, (*Clock).Run, 0, time.Hour},
		"the wall clock, set":                {false, func(c *Clock) { c.Set(time.Now()) }, 0, 0},
		"one that stands still":              {true, func(*Clock) {}, 0, 0},
		"one that stands still, advanced":    {true, advance, time.Minute, time.Minute},
		"one that goes on":                   {true, (*Clock).Run, 0, time.Hour},
		"one that goes on, advanced":         {true, func(c *Clock) { c.Run(); advance(c) }, time.Minute, 61 * time.Minute},
		"one that goes on, set":              {true, func(c *Clock) { c.Run(); c.Set(time.Now()) }, 0, 0},
		"one that becomes the wall clock":    {true, func(c *Clock) { c.Set(time.Time{}) }, 0, time.Hour},
		"one that was advanced, and goes on": {true, func(c *Clock) { advance(c); c.Run() }, time.Minute, 61 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				start, tested := time.Now(), &Clock{}
				if c.still {
					tested = New(start)
				}
				c.do(tested)
				g.Expect(tested.Now().Sub(start)).To(Equal(c.now))
				<-time.After(time.Hour)
				g.Expect(tested.Now().Sub(start)).To(Equal(c.later))
			})
		})
	}
}

func TestAhead(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	now := time.Now()
	ahead := Ahead(now, time.Hour)
	g.Expect(ahead.Sub(now)).To(Equal(time.Hour), "by the monotonic clock")
	g.Expect(ahead.Round(0)).To(Equal(now.Round(0)), "by the wall clock")
}
