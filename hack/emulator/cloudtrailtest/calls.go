package cloudtrailtest

import (
	"errors"
	"maps"
	"slices"
	"time"
)

// Call is one request that reached the emulator.
type Call struct {
	Time time.Time `json:"time"`
	// AccountID and Region are "" where the signature did not tell them.
	AccountID string `json:"accountID"`
	Region    string `json:"region"`
	Operation string `json:"operation"`
	// Error is the code of the error that was answered, "" for success. For what a fault did to the connection or put in
	// front of AWS it is ConnectionReset, NoAnswer or Status and a number.
	Error       string `json:"error,omitempty"`
	AccessKeyID string `json:"accessKeyID"`
	UserAgent   string `json:"userAgent"`
	// Params is the request as it was sent. It is shared: not to be changed.
	Params map[string]any `json:"params,omitempty"`
	// Target is the trail (name or ARN), role, queue (URL or name), bucket or object (BUCKET/KEY) that the request names.
	Target string `json:"target,omitempty"`
}

// Calls returns the calls since the start, or since ResetCalls, oldest first.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call{}, s.calls...)
}

// CallCounts returns the number of calls by operation, those of STS, SQS and S3 included.
func (s *Server) CallCounts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

// Throttled returns the number of calls that exceeded a request rate. Injected throttling does not count.
func (s *Server) Throttled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.throttled
}

// ResetCalls forgets the calls, their counts and the hooks' ordinals.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.counts, s.throttled, s.ordinal = nil, map[string]int{}, 0, 0
}

// OnCall sets hooks that are called synchronously right before and right after an operation executes, outside of the
// emulator's lock. n counts the executed operations from 1, across all operations, since the start or ResetCalls. Calls
// that do not get as far as executing (bad signature, throttled, injected error) have no hook calls. Either may be nil.
func (s *Server) OnCall(before, after func(op string, n int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

// OnLog sets a function that is told of every call when it is over, for a log line.
func (s *Server) OnLog(log func(Call)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logger = log
}

// enter counts a call that executes and returns the hooks around it. Actors' calls have none.
func (s *Server) enter(c *call) (n int, before, after func(string, int)) {
	none := func(string, int) {}
	if c.isActor {
		return 0, none, none
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ordinal++
	before, after = s.before, s.after
	if before == nil {
		before = none
	}
	if after == nil {
		after = none
	}
	return s.ordinal, before, after
}

// record counts a call and keeps it, unless it is an actor's.
func (s *Server) record(c *call, err error) {
	if c.isActor {
		return
	}

	entry := Call{
		Time: s.now(), AccountID: c.account, Region: c.region, Operation: c.operation,
		AccessKeyID: c.caller.accessKeyID, UserAgent: c.caller.userAgent, Params: c.params.fields, Target: c.target(),
	}
	if b, ok := errors.AsType[*broken](err); ok {
		entry.Error = b.what
	} else if err != nil {
		entry.Error = asAPIError(err).Code
	}

	s.mu.Lock()
	s.counts[c.operation]++
	if !s.opts.NoCallLog {
		if len(s.calls) >= s.opts.MaxCalls {
			s.calls = slices.Delete(s.calls, 0, max(1, s.opts.MaxCalls/10))
		}
		s.calls = append(s.calls, entry)
	}
	logger := s.logger
	s.mu.Unlock()

	if logger != nil {
		logger(entry)
	}
}

// role returns the role that the request names, "" for none.
func (c *call) role() string {
	if c.operation != "AssumeRole" {
		return ""
	}
	role, ok := c.params.fields["RoleArn"].(string)
	if !ok {
		return ""
	}
	return role
}

// target returns the trail, role, queue, bucket or object that the request names.
func (c *call) target() string {
	if bucket, ok := c.params.fields["Bucket"].(string); ok {
		if key, ok := c.params.fields["Key"].(string); ok {
			return bucket + "/" + key
		}
		return bucket
	}
	for _, name := range []string{"Name", "TrailName", "ResourceId", "RoleArn", "QueueUrl", "QueueName"} {
		if s, ok := c.params.fields[name].(string); ok {
			return s
		}
	}
	for _, name := range []string{"trailNameList", "ResourceIdList"} {
		if list, ok := c.params.fields[name].([]any); ok && len(list) == 1 {
			if s, ok := list[0].(string); ok {
				return s
			}
		}
	}
	return ""
}
