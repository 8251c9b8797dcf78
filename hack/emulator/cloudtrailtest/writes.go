package cloudtrailtest

import "time"

// Write is one write that was accepted.
type Write struct {
	Time      time.Time
	Operation string
	// AccountID and Region are where the call went.
	AccountID, Region string
	// PrincipalARN is who called, with AccessKeyID from SourceIPAddress as UserAgent.
	PrincipalARN, AccessKeyID, SourceIPAddress, UserAgent string
	TrailARN                                              string
	// Before and After are the trail around the write, nil for none.
	Before, After *Trail
	// NotApplied says that a fault swallowed the write: nothing changed.
	NotApplied bool
}

// OnWrite sets a function that is called for each accepted write, including those of actors and those that change
// nothing. The calls are synchronous and in the order in which the writes take effect, before anybody can see them. The
// function runs under the emulator's lock and must not call the emulator. nil: none.
func (s *Server) OnWrite(hook func(Write)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onWrite = hook
}

// Read is one read that was answered.
type Read struct {
	Time      time.Time
	Operation string
	// AccountID and Region are where the call went.
	AccountID, Region       string
	PrincipalARN, UserAgent string
	// Target is the trail (name or ARN) that the request names, "" for none or several.
	Target string
	// Age is how old the state was that the read saw.
	Age time.Duration
	// Error is the code of the error that was answered, "" for success.
	Error string
}

// OnRead sets a function that is called for each answered read, on the same terms as that of OnWrite.
func (s *Server) OnRead(hook func(Read)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onRead = hook
}

// OnStore sets a function that may change what a write stores, as a service does that normalizes its input. It gets the
// operation and the trail that is about to be stored, and changes the latter. With echo, the write's own answer shows
// what the request asked for; without, it shows what is stored. Changes to the trail's ARN, name, account, region,
// times and deliveries are ignored. The function is called on the same terms as that of OnWrite. nil: none.
func (s *Server) OnStore(normalize func(operation string, t *Trail), echo bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onStore, s.echo = normalize, echo
}

// commit makes a write that is found good: after takes the place of before, either of which is nil for none. It returns
// the trail that the write's answer shows.
func (s *Server) commit(c *call, before, after *trail) *trail {
	shown, stored := after, after
	if after != nil && s.onStore != nil {
		t := after.snapshot()
		s.onStore(c.operation, &t)
		stored = after.with(t)
		if !s.echo {
			shown = stored
		}
	}
	if c.notApplied {
		stored = before
	} else {
		s.replace(before, stored, c.now)
	}
	s.reportWrite(c, before, stored)
	return shown
}

func (s *Server) reportWrite(c *call, before, after *trail) {
	if s.onWrite == nil {
		return
	}
	w := Write{
		Time: c.now, Operation: c.operation, AccountID: c.account, Region: c.region, PrincipalARN: c.caller.arn,
		AccessKeyID: c.caller.accessKeyID, SourceIPAddress: c.caller.sourceIP, UserAgent: c.caller.userAgent,
		TrailARN: c.trail.arn, NotApplied: c.notApplied,
	}
	if before != nil {
		was := before.snapshot()
		w.Before = &was
	}
	if after != nil {
		is := after.snapshot()
		w.After = &is
	}
	s.onWrite(w)
}

func (s *Server) reportRead(c *call, err *APIError) {
	if s.onRead == nil {
		return
	}
	r := Read{
		Time: c.now, Operation: c.operation, AccountID: c.account, Region: c.region,
		PrincipalARN: c.caller.arn, UserAgent: c.caller.userAgent, Target: c.target(), Age: c.age,
	}
	if err != nil {
		r.Error = err.Code
	}
	s.onRead(r)
}
