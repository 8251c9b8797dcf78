package cloudtrailtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fault makes calls go wrong. A call takes the first fault that matches it.
type Fault struct {
	// Operation, AccountID and Region select the calls, "" any. STS operations can be named too; STS is in the region of
	// the signature.
	Operation string `json:"operation,omitempty"`
	AccountID string `json:"accountID,omitempty"`
	Region    string `json:"region,omitempty"`
	// PrincipalARN selects the calls of who makes them: an ARN, or with a final * all that begin so. A role session's ARN
	// is arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION.
	PrincipalARN string `json:"principalARN,omitempty"`
	// RoleARN, an ARN or with a final * all that begin so, and RoleAccountID select the calls of AssumeRole by the role.
	RoleARN       string `json:"roleARN,omitempty"`
	RoleAccountID string `json:"roleAccountID,omitempty"`

	// Code is the error to answer instead of doing it, with Message and Status (default: those that go with the code).
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Partial lets every other entry of a batch, the first one included, fail with Code instead of the whole call. It
	// means nothing for calls that are no batches.
	Partial bool `json:"partial,omitempty"`
	// Status without Code is answered by something in front of AWS, such as a load balancer, with Body: HTML, or nothing.
	Status int    `json:"status,omitempty"`
	Body   string `json:"body,omitempty"`
	// Times is how many calls go wrong, 0 all until the faults are cleared.
	Times int `json:"times,omitempty"`
	// Probability is the chance that a matching call goes wrong, 0 meaning 1.
	Probability float64 `json:"probability,omitempty"`
	// Latency is added, by the wall clock. A fault may be latency alone.
	Latency time.Duration `json:"-"`
	// Hang takes the call and never answers, until the client gives up or the server is closed.
	Hang bool `json:"hang,omitempty"`
	// DropConnection resets the connection before anything is done.
	DropConnection bool `json:"dropConnection,omitempty"`
	// DropAfter does what the call asks for, then cuts the connection instead of answering: DropConnection with After.
	DropAfter bool `json:"dropAfter,omitempty"`
	// After does what the call asks for first; then it goes wrong as the rest of the fault says.
	After bool `json:"after,omitempty"`
	// CutBody does what the call asks for, answers, and cuts the connection in the middle of the answer's body.
	CutBody bool `json:"cutBody,omitempty"`
	// NotApplied answers a write, and records it, as if it had been done, and changes nothing.
	NotApplied bool `json:"notApplied,omitempty"`
}

// does says whether anything goes wrong with the calls that the fault selects.
func (f Fault) does() bool {
	return f.Code != "" || f.Status != 0 || f.Latency > 0 || f.Hang || f.DropConnection || f.DropAfter || f.CutBody ||
		f.NotApplied
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

// noFault is taken by the calls that nothing happens to.
var noFault = &fault{}

// matchFault returns the fault that this call takes, and spends it.
func (s *Server) matchFault(c *call) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !f.matches(c) {
			continue
		}
		if f.Probability > 0 && s.chance.float(forFaults, place{c.account, c.region}) >= f.Probability {
			continue
		}
		if f.Times > 0 {
			if f.left--; f.left == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return f
	}
	return noFault
}

func (f *fault) matches(c *call) bool {
	if f.Operation != "" && f.Operation != c.operation || f.AccountID != "" && f.AccountID != c.account ||
		f.Region != "" && f.Region != c.region || f.PrincipalARN != "" && !matchesARN(f.PrincipalARN, c.caller.arn) {
		return false
	}
	if f.RoleARN == "" && f.RoleAccountID == "" {
		return true
	}
	role := c.role()
	a, isRole := parseARN(role)
	return isRole && (f.RoleARN == "" || matchesARN(f.RoleARN, role)) &&
		(f.RoleAccountID == "" || f.RoleAccountID == a.account)
}

// matchesARN says whether an ARN is the one wanted or, where that ends in *, begins so.
func matchesARN(want, got string) bool {
	if prefix, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(got, prefix)
	}
	return got == want
}

// latency is how long the call is held up.
func (f *fault) latency(c *call) time.Duration {
	if c.isActor {
		return 0
	}
	return f.Latency
}

// after says whether the call is carried out before it goes wrong.
func (f *fault) after() bool { return f.After || f.DropAfter }

// failure is what is answered instead of AWS's answer, or not answered; nil for none.
func (f *fault) failure(c *call) error {
	switch {
	case f.Hang:
		return errNoAnswer
	case f.DropConnection, f.DropAfter:
		return errReset
	case f.Code != "" && f.entryFailure(c) == nil:
		return f.asError(c)
	case f.Status != 0:
		return &broken{what: fmt.Sprintf("Status%d", f.Status), status: f.Status, body: f.Body}
	}
	return nil
}

// entryFailure is what entries of the call's batch fail with; nil for none.
func (f *fault) entryFailure(c *call) error {
	if !f.Partial || f.Code == "" || c.operation != "DeleteMessageBatch" {
		return nil
	}
	return f.asError(c)
}

func (f *fault) asError(c *call) error {
	e := &APIError{Code: f.Code, Message: f.Message, Status: f.Status}
	if e.Message == "" {
		e.Message = c.defaultMessage(f.Code)
	}
	if e.Status == 0 {
		e.Status = statusOf(f.Code)
	}
	return e
}
