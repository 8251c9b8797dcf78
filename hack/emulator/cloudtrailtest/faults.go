package cloudtrailtest

import (
	"fmt"
	"slices"
	"time"
)

// Fault makes calls go wrong. A call takes the first fault that matches it.
type Fault struct {
	// Operation, AccountID and Region select the calls, "" any. STS operations can be named too; STS is in the region of
	// the signature.
	Operation, AccountID, Region string
	// Code is the error to answer instead of doing it, with Message and Status (default: those that go with the code).
	Code, Message string
	Status        int
	// Times is how many calls go wrong, 0 all until the faults are cleared.
	Times int
	// Probability is the chance that a matching call goes wrong, 0 meaning 1.
	Probability float64
	// Latency is added, by the wall clock. A fault may be latency alone.
	Latency time.Duration
	// DropConnection resets the connection before anything is done.
	DropConnection bool
	// DropAfter does what the call asks for, then cuts the connection instead of answering.
	DropAfter bool
}

type fault struct {
	Fault
	id   string
	left int
}

// Inject adds a fault and returns its id.
func (s *Server) Inject(f Fault) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faultSeq++
	id = fmt.Sprintf("fault-%d", s.faultSeq)
	s.faults = append(s.faults, &fault{Fault: f, id: id, left: f.Times})
	return id
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// ClearFault removes one fault and says whether it was there.
func (s *Server) ClearFault(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.faults)
	s.faults = slices.DeleteFunc(s.faults, func(f *fault) bool { return f.id == id })
	return len(s.faults) < n
}

// matchFault returns the fault that this call takes, nil for none, and spends it.
func (s *Server) matchFault(c *call) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Operation != "" && f.Operation != c.operation || f.AccountID != "" && f.AccountID != c.account ||
			f.Region != "" && f.Region != c.region {
			continue
		}
		if f.Probability > 0 && s.random.Float64() >= f.Probability {
			continue
		}
		if f.Times > 0 {
			if f.left--; f.left == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return f
	}
	return nil
}

func (f *fault) asError(c *call) error {
	e := &APIError{Code: f.Code, Message: f.Message, Status: f.Status}
	if e.Message == "" {
		e.Message = defaultMessage(f.Code, c.caller.arn, c.operation)
	}
	if e.Status == 0 {
		e.Status = statusOf(f.Code)
	}
	return e
}
