package cloudtrailtest

import "runtime"

// HexSum is the payload hash of a signature.
var HexSum = hexSum

// Remembered is how many former states, sessions and events the server keeps.
func (s *Server) Remembered() (states, sessions, events int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		for _, past := range a.past {
			states += len(past)
		}
	}
	for _, l := range s.history {
		events += len(l.events)
	}
	return max(states, len(s.pastQueue)), len(s.sessions), events
}

// AwaitPoll starts something that polls a queue at which nobody waits, and returns when it waits.
func (s *Server) AwaitPoll(queueARN string, start func()) {
	locked(s, func() any { s.queues[queueARN].woken = nil; return nil })
	start()
	for !locked(s, func() bool { return s.queues[queueARN].woken != nil }) {
		runtime.Gosched()
	}
}

// DeliveredObjects is how many objects the server keeps of those that trails delivered.
func (s *Server) DeliveredObjects() int {
	return locked(s, func() int { return len(s.logs.delivered) })
}
