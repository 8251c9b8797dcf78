package cloudtrailtest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxBody is the greatest request body that is read.
const maxBody = 1 << 20

// Server is the emulator: an http.Handler for CloudTrail, STS and the admin API. It is safe for concurrent use.
type Server struct {
	opts    Options
	regions map[string]bool
	admin   http.Handler

	mu          sync.Mutex
	accounts    map[string]*account
	byARN       map[string]*trail
	credentials map[string]Credentials
	sessions    map[string]*session
	roles       map[string]Role
	resources   resources
	org         *organization
	history     map[place]*timeline
	eventSeq    uint64
	tokenKey    []byte
	limits      map[limitKey]*bucket
	faults      []*fault
	faultSeq    int
	random      *mathrand.Rand

	calls     []Call
	counts    map[string]int
	throttled int
	ordinal   int
	before    func(op string, n int)
	after     func(op string, n int)
	logger    func(Call)
}

// place is where regional things live.
type place struct{ account, region string }

// New returns an emulator with the credentials "test"/"test" of arn:aws:iam::111122223333:user/operator.
func New(opts Options) *Server {
	s := &Server{opts: opts.withDefaults(), credentials: map[string]Credentials{}, roles: map[string]Role{}, resources: newResources()}
	s.regions = map[string]bool{}
	for _, r := range s.opts.Regions {
		s.regions[r] = true
	}
	s.random = mathrand.New(mathrand.NewPCG(uint64(s.opts.Seed), 0x7261696c))
	s.tokenKey = randomBytes(32)
	s.clear()
	s.AddCredentials(Credentials{AccessKeyID: "test", SecretAccessKey: "test", ARN: "arn:aws:iam::111122223333:user/operator"})
	s.admin = s.adminHandler()
	return s
}

// Reset forgets trails, history, sessions, calls, faults and spent request rates. Credentials, roles, resources and the
// organization stay.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
}

func (s *Server) clear() {
	s.accounts = map[string]*account{}
	s.byARN = map[string]*trail{}
	s.sessions = map[string]*session{}
	s.history = map[place]*timeline{}
	s.limits = map[limitKey]*bucket{}
	s.faults = nil
	s.calls = nil
	s.counts = map[string]int{}
	s.throttled = 0
	s.ordinal = 0
}

// operation is one CloudTrail operation.
type operation struct {
	handle func(*Server, *call) (map[string]any, error)
	// readOnly is what the history says of it.
	readOnly bool
}

// operations are the CloudTrail operations that are emulated.
var operations map[string]operation

func init() {
	operations = map[string]operation{
		"CreateTrail":           {(*Server).createTrail, false},
		"UpdateTrail":           {(*Server).updateTrail, false},
		"DeleteTrail":           {(*Server).deleteTrail, false},
		"GetTrail":              {(*Server).getTrail, true},
		"DescribeTrails":        {(*Server).describeTrails, true},
		"ListTrails":            {(*Server).listTrails, true},
		"GetTrailStatus":        {(*Server).getTrailStatus, true},
		"StartLogging":          {(*Server).startLogging, false},
		"StopLogging":           {(*Server).stopLogging, false},
		"GetEventSelectors":     {(*Server).getEventSelectors, true},
		"PutEventSelectors":     {(*Server).putEventSelectors, false},
		"GetInsightSelectors":   {(*Server).getInsightSelectors, true},
		"PutInsightSelectors":   {(*Server).putInsightSelectors, false},
		"GetEventConfiguration": {(*Server).getEventConfiguration, true},
		"PutEventConfiguration": {(*Server).putEventConfiguration, false},
		"AddTags":               {(*Server).addTags, false},
		"RemoveTags":            {(*Server).removeTags, false},
		"ListTags":              {(*Server).listTags, true},
		"LookupEvents":          {(*Server).lookupEvents, true},
	}
}

// notEmulated are the operations of the real service that are not emulated: CloudTrail Lake and its relatives.
var notEmulated = map[string]bool{
	"CancelQuery": true, "CreateChannel": true, "CreateDashboard": true, "CreateEventDataStore": true, "DeleteChannel": true,
	"DeleteDashboard": true, "DeleteEventDataStore": true, "DeleteResourcePolicy": true, "DeregisterOrganizationDelegatedAdmin": true,
	"DescribeQuery": true, "DisableFederation": true, "EnableFederation": true, "GenerateQuery": true, "GetChannel": true,
	"GetDashboard": true, "GetEventDataStore": true, "GetImport": true, "GetQueryResults": true, "GetResourcePolicy": true,
	"ListChannels": true, "ListDashboards": true, "ListEventDataStores": true, "ListImportFailures": true, "ListImports": true,
	"ListInsightsData": true, "ListInsightsMetricData": true, "ListPublicKeys": true, "ListQueries": true, "PutResourcePolicy": true,
	"RegisterOrganizationDelegatedAdmin": true, "RestoreEventDataStore": true, "SearchSampleQueries": true,
	"StartDashboardRefresh": true, "StartEventDataStoreIngestion": true, "StartImport": true, "StartQuery": true,
	"StopEventDataStoreIngestion": true, "StopImport": true, "UpdateChannel": true, "UpdateDashboard": true,
	"UpdateEventDataStore": true,
}

// call is one request under way.
type call struct {
	operation string
	caller    caller
	account   string
	region    string
	partition string
	now       time.Time
	requestID string
	params    members
	// trail is the trail that the handler found or made, for the history.
	trail *trail
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_emulator/") {
		s.admin.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeJSONError(w, newID(), asAPIError(fail("RequestEntityTooLarge", "The request is too large.")))
		return
	}
	if !wait(r.Context(), s.opts.Latency) {
		return
	}
	x := &exchange{server: s, w: w, r: r, body: body, requestID: newID()}
	if r.Header.Get("X-Amz-Target") != "" {
		x.serveCloudTrail(r.Context())
		return
	}
	x.serveSTS(r.Context())
}

// exchange is one HTTP request with its answer.
type exchange struct {
	server    *Server
	w         http.ResponseWriter
	r         *http.Request
	body      []byte
	requestID string
}

func (x *exchange) serveCloudTrail(ctx context.Context) {
	c := &call{requestID: x.requestID}
	out, err, reset := x.cloudTrail(ctx, c)
	if reset {
		cut(x.w)
		return
	}
	if err != nil {
		writeJSONError(x.w, x.requestID, asAPIError(err))
		return
	}
	raw, failed := json.Marshal(out)
	if failed != nil {
		writeJSONError(x.w, x.requestID, asAPIError(failed))
		return
	}
	writeRaw(x.w, x.requestID, http.StatusOK, raw)
}

// cloudTrail does what the request asks for. reset says to cut the connection instead of answering.
func (x *exchange) cloudTrail(ctx context.Context, c *call) (out map[string]any, err error, reset bool) { //nolint:revive // reset is not part of the error
	s := x.server
	op, err := x.targetOperation()
	c.operation = op
	if err != nil {
		s.record(c, err)
		return nil, err, false
	}
	c.caller, err = s.authenticate(x.r, x.body, "cloudtrail")
	c.account, c.region, c.partition = c.caller.account, c.caller.region, partitionOf(c.caller.region)
	if err != nil {
		s.record(c, err)
		return nil, err, false
	}
	c.params, err = parseMembers(x.body)
	if err != nil {
		s.record(c, err)
		return nil, err, false
	}
	return s.attempt(ctx, c, func() (map[string]any, error) { return s.perform(c) })
}

// attempt lets limits and faults have their say before and after do, calls the hooks around it, and records the call.
func (s *Server) attempt(ctx context.Context, c *call, do func() (map[string]any, error)) (out map[string]any, err error, reset bool) { //nolint:revive // as above
	if err := s.spend(c); err != nil {
		s.fileFailure(c, err)
		s.record(c, err)
		return nil, err, false
	}
	f := s.matchFault(c)
	if f != nil {
		if !wait(ctx, f.Latency) {
			return nil, nil, true
		}
		if f.DropConnection {
			s.record(c, fail("ConnectionReset", "injected"))
			return nil, nil, true
		}
		if f.Code != "" && !f.DropAfter {
			err := f.asError(c)
			s.fileFailure(c, err)
			s.record(c, err)
			return nil, err, false
		}
	}
	n, before, after := s.enter()
	if before != nil {
		before(c.operation, n)
	}
	out, err = do()
	s.record(c, err)
	if after != nil {
		after(c.operation, n)
	}
	return out, err, f != nil && f.DropAfter
}

// perform runs the operation's handler and writes the history. A write that fails has changed nothing.
func (s *Server) perform(c *call) (map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.now = s.now()
	out, err := operations[c.operation].handle(s, c)
	if problem := c.params.problem(); problem != nil && err == nil {
		// Handlers ask before they change anything; this is for members that none of them reads.
		err, out = problem, nil
	}
	s.file(c, out, asAPIError(err))
	if out == nil && err == nil {
		out = map[string]any{}
	}
	return out, err
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

func writeJSONError(w http.ResponseWriter, requestID string, e *APIError) {
	member := "Message"
	if fromFramework(e.Code) {
		member = "message"
	}
	raw, _ := json.Marshal(map[string]string{"__type": e.Code, member: e.Message}) //nolint:errcheck // strings always encode
	writeRaw(w, requestID, e.Status, raw)
}

func writeRaw(w http.ResponseWriter, requestID string, status int, raw []byte) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", requestID)
	w.WriteHeader(status)
	w.Write(raw) //nolint:errcheck // the client went away
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

// wait waits by the wall clock and says whether the client is still there.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Server) now() time.Time { return s.opts.Now().UTC() }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// newID returns a random UUID.
func newID() string {
	b := randomBytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
