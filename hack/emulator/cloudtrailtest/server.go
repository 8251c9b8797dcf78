package cloudtrailtest

import (
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Server is the emulator: an http.Handler for CloudTrail, STS, SQS, S3 and the admin API. It is safe for concurrent
// use.
type Server struct {
	opts    Options
	regions map[string]bool
	admin   http.Handler
	chance  *chance
	// realClock says that no clock was injected.
	realClock bool

	mu          sync.Mutex
	accounts    map[string]*account
	byARN       map[string]*trail
	credentials map[string]Credentials
	sessions    map[string]*session
	// sessionsLimit is how many sessions there may be before those that expired long ago are dropped.
	sessionsLimit int
	roles         map[string]Role
	goneRoles     map[string]bool
	// roleIDs counts the roles of an ARN that were deleted.
	roleIDs   map[string]int
	resources resources
	org       *organization
	pastQueue []pastKey
	lags      Lags
	history   map[place]*timeline
	// queues are the queues by ARN, rules the rules by name.
	queues     map[string]*queue
	rules      map[string]Rule
	forwarding Forwarding
	// objects are what the buckets hold, logs is how trails deliver to them: nil for not at all.
	objects      map[string]*contents
	logs         *logDelivery
	deliverySeed int64
	// disabled are the regions that accounts have not enabled.
	disabled map[string][]string
	tokenKey []byte
	limits   map[limitKey]*bucket
	faults   []*fault
	faultSeq int

	calls     []Call
	counts    map[string]int
	throttled int
	ordinal   int
	before    func(op string, n int)
	after     func(op string, n int)
	logger    func(Call)
	onStore   func(operation string, t *Trail)
	echo      bool
	onWrite   func(Write)
	onRead    func(Read)
	onForward func(Forwarded)

	close  sync.Once
	closed chan struct{}
}

// place is where regional things live.
type place struct{ account, region string }

// New returns an emulator with the credentials "test"/"test" of arn:aws:iam::111122223333:user/operator.
func New(opts Options) *Server {
	s := &Server{
		opts: opts.withDefaults(), credentials: map[string]Credentials{}, resources: newResources(),
		roles: map[string]Role{}, goneRoles: map[string]bool{}, roleIDs: map[string]int{}, closed: make(chan struct{}),
		queues: map[string]*queue{}, rules: map[string]Rule{}, forwarding: opts.Forwarding, realClock: opts.Now == nil,
		disabled: map[string][]string{},
	}
	s.regions = map[string]bool{}
	for _, r := range s.opts.Regions {
		s.regions[r] = true
	}
	s.chance = newChance(s.opts.Seed)
	s.tokenKey = s.chance.bytes(forTokens, place{}, 32)
	s.lags = s.opts.lags()
	s.deliverySeed = s.opts.Seed
	if s.deliverySeed == 0 && s.opts.LogDelivery != nil {
		s.deliverySeed = mathrand.Int64()
	}
	s.clear()
	s.AddCredentials(
		Credentials{AccessKeyID: "test", SecretAccessKey: "test", ARN: "arn:aws:iam::111122223333:user/operator"},
	)
	s.admin = s.adminHandler()
	return s
}

// Close ends all waits: calls that hang or are slow are cut off, now and from now on. Everything else is still
// answered. It lets an HTTP server around the emulator shut down without waiting for those that hang.
func (s *Server) Close() { s.close.Do(func() { close(s.closed) }) }

// Reset forgets trails, history, messages, objects, sessions, calls, faults and spent request rates, and lets trails
// deliver as Options say. Credentials, roles, resources, queues, rules and the organization stay.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
}

func (s *Server) clear() {
	s.accounts = map[string]*account{}
	s.byARN = map[string]*trail{}
	s.pastQueue = nil
	s.sessions = map[string]*session{}
	s.history = map[place]*timeline{}
	for _, q := range s.queues {
		q.purge()
	}
	s.limits = map[limitKey]*bucket{}
	s.faults = nil
	s.calls = nil
	s.counts = map[string]int{}
	s.throttled = 0
	s.ordinal = 0
	s.objects = map[string]*contents{}
	s.logs = nil
	s.setLogDelivery(s.opts.LogDelivery)
}

// operation is one CloudTrail operation.
type operation struct {
	handle func(*Server, *call) (map[string]any, error)
	kind   kind
}

// kind is what an operation does. Each kind has a request rate of its own.
type kind string

const (
	write  kind = "write"
	read   kind = "read"
	lookup kind = "lookup"
)

// operations are the CloudTrail operations that are emulated.
var operations map[string]operation

func init() {
	operations = map[string]operation{
		"CreateTrail":           {(*Server).createTrail, write},
		"UpdateTrail":           {(*Server).updateTrail, write},
		"DeleteTrail":           {(*Server).deleteTrail, write},
		"GetTrail":              {(*Server).getTrail, read},
		"DescribeTrails":        {(*Server).describeTrails, read},
		"ListTrails":            {(*Server).listTrails, read},
		"GetTrailStatus":        {(*Server).getTrailStatus, read},
		"StartLogging":          {(*Server).startLogging, write},
		"StopLogging":           {(*Server).stopLogging, write},
		"GetEventSelectors":     {(*Server).getEventSelectors, read},
		"PutEventSelectors":     {(*Server).putEventSelectors, write},
		"GetInsightSelectors":   {(*Server).getInsightSelectors, read},
		"PutInsightSelectors":   {(*Server).putInsightSelectors, write},
		"GetEventConfiguration": {(*Server).getEventConfiguration, read},
		"PutEventConfiguration": {(*Server).putEventConfiguration, write},
		"AddTags":               {(*Server).addTags, write},
		"RemoveTags":            {(*Server).removeTags, write},
		"ListTags":              {(*Server).listTags, read},
		"LookupEvents":          {(*Server).lookupEvents, lookup},
		"ListPublicKeys":        {(*Server).listPublicKeys, read},
	}
}

// notEmulated are the operations of the real service that are not emulated: CloudTrail Lake and its relatives.
var notEmulated = map[string]bool{
	"CancelQuery":                          true,
	"CreateChannel":                        true,
	"CreateDashboard":                      true,
	"CreateEventDataStore":                 true,
	"DeleteChannel":                        true,
	"DeleteDashboard":                      true,
	"DeleteEventDataStore":                 true,
	"DeleteResourcePolicy":                 true,
	"DeregisterOrganizationDelegatedAdmin": true,
	"DescribeQuery":                        true,
	"DisableFederation":                    true,
	"EnableFederation":                     true,
	"GenerateQuery":                        true,
	"GetChannel":                           true,
	"GetDashboard":                         true,
	"GetEventDataStore":                    true,
	"GetImport":                            true,
	"GetQueryResults":                      true,
	"GetResourcePolicy":                    true,
	"ListChannels":                         true,
	"ListDashboards":                       true,
	"ListEventDataStores":                  true,
	"ListImportFailures":                   true,
	"ListImports":                          true,
	"ListInsightsData":                     true,
	"ListInsightsMetricData":               true,
	"ListQueries":                          true,
	"PutResourcePolicy":                    true,
	"RegisterOrganizationDelegatedAdmin":   true,
	"RestoreEventDataStore":                true,
	"SearchSampleQueries":                  true,
	"StartDashboardRefresh":                true,
	"StartEventDataStoreIngestion":         true,
	"StartImport":                          true,
	"StartQuery":                           true,
	"StopEventDataStoreIngestion":          true,
	"StopImport":                           true,
	"UpdateChannel":                        true,
	"UpdateDashboard":                      true,
	"UpdateEventDataStore":                 true,
}

// call is one request under way.
type call struct {
	operation string
	caller    caller
	account   string
	region    string
	partition string
	now       time.Time
	// age is how far behind now the state lies that a read sees.
	age       time.Duration
	requestID string
	params    members
	// trail is the trail that the handler found or made, for the history.
	trail *trail
	// selected says that a trail which logs selects the call's event, as things were before the call took effect.
	selected bool
	// recorders are the trails whose log files have the call's event, as things were before the call took effect.
	recorders []*trail
	// isActor is set where no client waits for the answer: see ActingAs.
	isActor bool
	// notApplied and cutBody are what a fault does to the call while it succeeds.
	notApplied, cutBody bool
	// entryFailure is the error with which a fault lets entries of a batch fail.
	entryFailure error
}

// perform runs the operation's handler and writes the history. A write that fails has changed nothing.
func (s *Server) perform(c *call) (map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	op := operations[c.operation]
	c.now = s.now()
	s.deliver()
	c.recorders = s.recorders(place{c.account, c.region})
	if op.kind == read {
		c.age = s.chance.between(forReads, place{c.account, c.region}, s.lags.Read, s.lags.ReadMax)
		s.forget(c.now)
	} else {
		c.selected = s.selects(place{c.account, c.region}, cloudTrailSource)
	}

	out, err := op.handle(s, c)
	if problem := c.params.problem(); problem != nil && err == nil {
		// Handlers ask before they change anything; this is for members that none of them reads.
		err, out = problem, nil
	}

	s.file(c, out, asAPIError(err))
	if op.kind != write {
		s.reportRead(c, asAPIError(err))
	}

	if out == nil && err == nil {
		out = map[string]any{}
	}
	return out, err
}

func (s *Server) now() time.Time { return s.opts.Now().UTC() }
