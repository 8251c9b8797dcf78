package cloudtrailtest

import "time"

// Lags are how far behind the truth AWS shows things. Where a greatest lag is longer than the least one, each lag lies
// between the two at random, from the seed.
type Lags struct {
	// Read and ReadMax are the lag of the reads of trails (settings, selectors, tags, status, and which trails there are):
	// a read shows the state of so long ago. With ReadMax above Read, a later read may show an older state than an earlier
	// one. Writes always act on the true state.
	Read, ReadMax time.Duration
	// History and HistoryMax are the lag of events in the history. With HistoryMax above History, events do not appear in
	// the order in which they happened.
	History, HistoryMax time.Duration
}

// SetLags changes the lags from now on. What has been recorded or forgotten under the previous ones stays so: a longer
// read lag needs its time until it shows all of its past.
func (s *Server) SetLags(l Lags) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lags = l
	s.forget(s.now())
}

// Lags returns the lags.
func (s *Server) Lags() Lags {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lags
}

// keep is how long reads may need to know what was.
func (l Lags) keep() time.Duration { return max(l.Read, l.ReadMax) }

// past is a trail as it was until a moment, nil for none.
type past struct {
	until time.Time
	trail *trail
}

// pastKey is where to find a past.
type pastKey struct {
	until      time.Time
	owner, arn string
}

// remember keeps what a trail was until now, nil for none, for reads that lag.
func (s *Server) remember(before *trail, owner, arn string, now time.Time) {
	if s.lags.keep() > 0 {
		a := s.account(owner)
		a.past[arn] = append(a.past[arn], past{now, before})
		s.pastQueue = append(s.pastQueue, pastKey{now, owner, arn})
	}
	s.forget(now)
}

// forget drops the past that no read can see any more. Where the clock went back, it drops it later.
func (s *Server) forget(now time.Time) {
	horizon := now.Add(-s.lags.keep())
	n := 0
	for ; n < len(s.pastQueue) && !s.pastQueue[n].until.After(horizon); n++ {
		m := s.pastQueue[n]
		a := s.accounts[m.owner]
		a.past[m.arn][0] = past{}
		if a.past[m.arn] = a.past[m.arn][1:]; len(a.past[m.arn]) == 0 {
			delete(a.past, m.arn)
		}
	}
	clear(s.pastQueue[:n])
	if s.pastQueue = s.pastQueue[n:]; len(s.pastQueue) == 0 {
		s.pastQueue = nil
	}
}

// seen returns the trail of an ARN as a read sees it, nil if it sees none.
func (s *Server) seen(c *call, owner, arn string) *trail {
	if a := s.accounts[owner]; a != nil && c.age > 0 {
		for _, p := range a.past[arn] {
			if p.until.After(c.asOf()) {
				return p.trail
			}
		}
	}
	return s.byARN[arn]
}

// asOf is the moment whose state a read sees.
func (c *call) asOf() time.Time { return c.now.Add(-c.age) }

// seenOf adds the trails of an account that a read sees.
func (s *Server) seenOf(c *call, owner string, wanted func(*trail) bool, out []*trail) []*trail {
	a := s.accounts[owner]
	if a == nil {
		return out
	}
	add := func(t *trail) {
		if t != nil && wanted(t) {
			out = append(out, t)
		}
	}
	for _, trails := range a.home {
		for _, t := range trails {
			if len(a.past[t.arn]) == 0 {
				add(t)
			}
		}
	}
	for arn := range a.past {
		add(s.seen(c, owner, arn))
	}
	return out
}

// visibleTo returns the trails that show in the caller's account and region as a read sees them, by name.
func (s *Server) visibleTo(c *call) []*trail {
	if c.age == 0 {
		return s.visible(c.account, c.region)
	}
	return s.seenTrails(c, func(t *trail) bool { return t.shows(c.region) })
}

// seenTrails returns the trails of the caller's account and of its organization that a read sees, by name.
func (s *Server) seenTrails(c *call, wanted func(*trail) bool) []*trail {
	out := s.seenOf(c, c.account, wanted, nil)
	if s.org.isMember(c.account) {
		out = s.seenOf(c, s.org.ManagementAccount, func(t *trail) bool { return t.orgTrail && wanted(t) }, out)
	}
	sortTrails(out)
	return out
}
