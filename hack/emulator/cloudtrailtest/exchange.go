package cloudtrailtest

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody is the greatest request body that is read.
const maxBody = 1 << 20

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_emulator/") {
		s.admin.ServeHTTP(w, r)
		return
	}
	x := &exchange{server: s, w: w, r: r, call: &call{}}
	toS3 := r.Header.Get("X-Amz-Target") == "" && isS3(r)
	limit := int64(maxBody)
	if toS3 {
		limit = maxObjectBytes
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		x.writeJSONError(asAPIError(fail("RequestEntityTooLarge", "The request is too large.")))
		return
	}
	x.body = body
	if !s.wait(r.Context().Done(), s.opts.Latency) {
		cut(w)
		return
	}

	switch target := r.Header.Get("X-Amz-Target"); {
	case toS3:
		x.serveS3()
	case strings.HasPrefix(target, sqsTarget):
		x.serveSQS()
	case target != "":
		x.serveCloudTrail()
	default:
		x.serveSTS()
	}
}

// exchange is one HTTP request with its answer.
type exchange struct {
	server *Server
	w      http.ResponseWriter
	r      *http.Request
	body   []byte
	call   *call
}

func (x *exchange) serveCloudTrail() {
	out, err := x.cloudTrail()
	if x.failed(err, x.writeJSONError) {
		return
	}
	raw, err := json.Marshal(out)
	if err != nil {
		x.writeJSONError(asAPIError(err))
		return
	}
	x.write(http.StatusOK, "application/x-amz-json-1.1", raw)
}

// cloudTrail does what the request asks for.
func (x *exchange) cloudTrail() (map[string]any, error) {
	s, c := x.server, x.call
	op, err := x.targetOperation()
	c.operation = op
	if err == nil {
		err = x.authenticate("cloudtrail")
	}
	if err == nil {
		c.params, err = parseMembers(x.body)
	}
	if err != nil {
		s.record(c, err)
		return nil, err
	}
	return s.attempt(x.r.Context().Done(), c, func() (map[string]any, error) { return s.perform(c) })
}

// authenticate notes in the call who makes it.
func (x *exchange) authenticate(service string) error {
	return x.authenticateBy(service, func(r *http.Request, sig signature, secret string) error {
		return verify(r, x.body, sig, secret)
	})
}

// authenticateBy notes in the call who makes it, with a service's own way to verify signatures.
func (x *exchange) authenticateBy(service string, check verifier) error {
	who, err := x.server.authenticate(x.r, service, check)
	c := x.call
	c.caller, c.account, c.region, c.partition = who, who.account, who.region, partitionOf(who.region)
	c.requestID = x.server.chance.id(forRequestIDs, place{c.account, c.region})
	return err
}

// attempt lets limits, revoked sessions and faults have their say before do, and faults after it. gone is closed when
// the client gives up.
func (s *Server) attempt(gone <-chan struct{}, c *call, do func() (map[string]any, error)) (map[string]any, error) {
	err := s.spend(c)
	if err == nil {
		err = c.denied()
	}
	if err != nil {
		s.refuse(c, err)
		return nil, err
	}

	f := s.matchFault(c)
	if !s.wait(gone, f.latency(c)) {
		return nil, errReset
	}
	failure := f.failure(c)
	if failure != nil && !f.after() {
		s.refuse(c, failure)
		s.hang(gone, c, f)
		return nil, failure
	}

	c.notApplied, c.cutBody, c.entryFailure = f.NotApplied, f.CutBody, f.entryFailure(c)
	out, err := s.execute(c, do, failure)
	if failure != nil {
		s.hang(gone, c, f)
		return nil, failure
	}
	return out, err
}

// refuse files and records a call that is not carried out. What does not come from AWS has not reached it.
func (s *Server) refuse(c *call, err error) {
	if _, ok := errors.AsType[*APIError](err); ok {
		s.fileFailure(c, err)
	}
	s.record(c, err)
}

// execute carries a call out, with the hooks around it, and records it: with the failure, if that is answered instead.
func (s *Server) execute(c *call, do func() (map[string]any, error), failure error) (map[string]any, error) {
	n, before, after := s.enter(c)
	before(c.operation, n)
	out, err := do()
	if failure == nil || isReset(failure) {
		s.record(c, err)
	} else {
		s.record(c, failure)
	}
	after(c.operation, n)
	return out, err
}

// broken is an answer that does not come from AWS.
type broken struct {
	// what is what the log of calls says.
	what string
	// status is answered with body by something in front of AWS. 0: the connection is cut.
	status int
	body   string
}

func (b *broken) Error() string { return b.what }

// errReset is a connection that is cut instead of answering, errNoAnswer one that is cut after the client, or the
// server, gave up.
var (
	errReset    = &broken{what: "ConnectionReset"}
	errNoAnswer = &broken{what: "NoAnswer"}
)

func isReset(err error) bool {
	b, ok := errors.AsType[*broken](err)
	return ok && b.status == 0
}

// failed writes an error, an API error with write, and says whether there is one.
func (x *exchange) failed(err error, write func(*APIError)) bool {
	if err == nil {
		return false
	}
	b, ok := errors.AsType[*broken](err)
	switch {
	case !ok:
		write(asAPIError(err))
	case b.status == 0:
		cut(x.w)
	default:
		if b.body != "" {
			x.w.Header().Set("Content-Type", "text/html")
		}
		x.w.WriteHeader(b.status)
		io.WriteString(x.w, b.body) //nolint:errcheck // the client went away
	}
	return true
}

// targetOperation reads the operation's name from X-Amz-Target: what follows the last dot, after either prefix in use.
func (x *exchange) targetOperation() (string, error) {
	target := x.r.Header.Get("X-Amz-Target")
	dot := strings.LastIndexByte(target, '.')
	prefix, op := target[:max(dot, 0)], target[dot+1:]
	unknown := fail("UnknownOperationException", "The operation %s is not known.", op)
	switch {
	case x.r.Method != http.MethodPost || x.r.URL.Path != "/" && x.r.URL.Path != "":
		return op, unknown
	case prefix != "CloudTrail_20131101" && prefix != "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101":
		return op, unknown
	case !strings.HasPrefix(x.r.Header.Get("Content-Type"), "application/x-amz-json-1.1"):
		return op, unknown
	case notEmulated[op]:
		return op, fail("UnsupportedOperationException", "The operation %s is not supported.", op)
	}
	if _, ok := operations[op]; !ok {
		return op, unknown
	}
	return op, nil
}

func (x *exchange) writeJSONError(e *APIError) {
	member := "Message"
	if fromFramework(e.Code) {
		member = "message"
	}
	answer := map[string]string{"__type": e.Code, member: e.Message}
	raw, _ := json.Marshal(answer) //nolint:errcheck // Strings always encode.
	x.write(e.Status, "application/x-amz-json-1.1", raw)
}

// id returns the request's id.
func (x *exchange) id() string {
	if x.call.requestID == "" {
		x.call.requestID = x.server.chance.id(forRequestIDs, place{})
	}
	return x.call.requestID
}

// write answers with a body of a type.
func (x *exchange) write(status int, contentType string, raw []byte) {
	h := x.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Amzn-Requestid", x.id())
	x.send(status, raw)
}

// send sends an answer, or the first half of it and cuts the connection where a fault says so.
func (x *exchange) send(status int, raw []byte) {
	if !x.call.cutBody {
		x.w.WriteHeader(status)
		x.w.Write(raw) //nolint:errcheck // the client went away
		return
	}
	x.w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	x.w.WriteHeader(status)
	x.w.Write(raw[:len(raw)/2])             //nolint:errcheck // it is being cut
	http.NewResponseController(x.w).Flush() //nolint:errcheck // likewise
	panic(http.ErrAbortHandler)
}

// cut closes the connection without an answer, as a reset where the platform allows.
func cut(w http.ResponseWriter) {
	h, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := h.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) //nolint:errcheck // an orderly close will do as well
	}
	conn.Close() //nolint:errcheck // it is being cut
}

// wait waits and says whether somebody still wants an answer: neither the client gave up nor the server was closed.
func (s *Server) wait(gone <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-gone:
	case <-s.closed:
	}
	return false
}

// hang waits, where the fault says so, until nobody wants an answer any more.
func (s *Server) hang(gone <-chan struct{}, c *call, f *fault) {
	if !f.Hang || c.isActor {
		return
	}
	select {
	case <-gone:
	case <-s.closed:
	}
}
