package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Options are what Sessions need.
type Options struct {
	// Config is the SDK's configuration, from LoadConfig.
	Config aws.Config
	// ClusterID names the cluster in AssumeRole's session name.
	ClusterID string
	// Version of the operator, for the user agent.
	Version string
	// RateLimits says when to keep to CloudTrail's rate limits; default auto.
	RateLimits RateLimitMode
	// Meter is told of every AWS call; nil: nobody is.
	Meter Meter
	// MayWrite is asked right before each write to CloudTrail is sent, which is not made when it fails: a process that
	// does not lead any more returns ErrNotLeading. nil: it may.
	MayWrite func() error
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Settle is how long reads may lag behind writes: for that long an answer to our own write is believed over a later
	// read; default 5 seconds.
	Settle *time.Duration
	// MaxWait is how long a reconcile waits for an answer of AWS before it returns a *Pending; default 100 milliseconds.
	MaxWait time.Duration
}

// ErrNotLeading says that another process may lead by now, so that this one must not write.
var ErrNotLeading = errors.New("another process may be the leader by now")

// maxIdleConnsPerHost keeps a connection for each of many calls at once: one endpoint serves a region of all accounts,
// and a new TLS connection costs more than a call.
const maxIdleConnsPerHost = 256

// maxConnsPerHost bounds the connections to an endpoint, should all accounts of a region be slow.
const maxConnsPerHost = 1024

// LoadConfig loads the SDK's default configuration: environment, shared files, IRSA, EKS Pod Identity, instance
// metadata. region overrides the environment's when it is not "". The HTTP client is the SDK's own, so that
// AWS_CA_BUNDLE and proxies work; it keeps enough connections for many calls at once.
func LoadConfig(ctx context.Context, region string) (aws.Config, error) {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns = 0
		t.MaxIdleConnsPerHost = maxIdleConnsPerHost
		t.MaxConnsPerHost = maxConnsPerHost
		t.TLSHandshakeTimeout = handshakeTimeout
	}).WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).WithTimeout(callTimeout)

	options := []func(*config.LoadOptions) error{config.WithHTTPClient(client)}
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("loading the AWS configuration: %w", err)
	}

	// Not an option either: AWS_CA_BUNDLE is put into the SDK's own client only.
	cfg.HTTPClient = inMemory{cfg.HTTPClient}
	// Not an option of the above, which would keep it from reading AWS_MAX_ATTEMPTS and AWS_RETRY_MODE.
	cfg.Retryer = func() aws.Retryer { return newRetryer(cfg.RetryMode, cfg.RetryMaxAttempts) }
	return cfg, nil
}

// conflict is CloudTrail's ConflictException, which means that another change of the same trail is under way.
var conflict = retry.RetryableErrorCode{Codes: map[string]struct{}{"ConflictException": {}}}

// newRetryer retries what the SDK's mode retries, and conflicts; attempts 0 is the SDK's default.
func newRetryer(mode aws.RetryMode, attempts int) aws.Retryer {
	options := func(o *retry.StandardOptions) {
		o.Retryables = append(o.Retryables, conflict)
		if attempts > 0 {
			o.MaxAttempts = attempts
		}
	}
	if mode == aws.RetryModeAdaptive {
		return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
			o.StandardOptions = append(o.StandardOptions, options)
		})
	}
	return retry.NewStandard(options)
}

// Sessions are the AWSIdentities at work, one Session for each, and what they share: the rate limits of each account
// and region, and the SDK's clients, each of which takes kilobytes. What nobody uses is let go of.
type Sessions struct {
	options Options
	limits  *limits

	mu       sync.Mutex
	sessions map[types.UID]*openSession
	clients  map[clientKey]*client
	sts      map[string]*sts.Client
	queues   map[string]bool // The regions with queues.
	// buckets are the clients of S3 by region, and streams their connections; nil: there was no client yet.
	buckets map[string]*bucketClient
	streams aws.HTTPClient
	sweeper *time.Timer // nil: there is nothing to sweep
}

type clientKey struct{ region, endpoint string }

type client struct {
	API
	used time.Time
}

type bucketClient struct {
	*s3.Client
	used time.Time
}

// openSession is a Session that is open, is being opened, or could not be opened, for one generation of its identity.
type openSession struct {
	generation int64
	last       *opening
	// reopen is the pace at which it is tried anew when it could not be opened.
	reopen backoff
}

// NewSessions returns Sessions of which none is open.
func NewSessions(options Options) *Sessions {
	if options.Meter == nil {
		options.Meter = noMeter{}
	}
	if options.MayWrite == nil {
		options.MayWrite = func() error { return nil }
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Settle == nil {
		options.Settle = aws.Duration(ownWritesSettle)
	}
	if options.MaxWait == 0 {
		options.MaxWait = maxWait
	}
	if options.RateLimits == "" {
		options.RateLimits = RateLimitAuto
	}

	options.Config.Credentials = ownCredentialsOf(options.Config.Credentials, options.Now)
	return &Sessions{
		options:  options,
		limits:   newLimits(options.RateLimits, isAWSEndpoint(endpointOf(options.Config))),
		sessions: map[types.UID]*openSession{},
		clients:  map[clientKey]*client{},
		sts:      map[string]*sts.Client{},
		queues:   map[string]bool{},
		buckets:  map[string]*bucketClient{},
	}
}

// config is the SDK's configuration for a region, with the operator's own credentials.
func (s *Sessions) config(region string) aws.Config {
	cfg := s.options.Config.Copy()
	cfg.Region = region
	cfg.APIOptions = append(cfg.APIOptions, userAgent(s.options.Version))
	return cfg
}

// clientFor returns the client for a region and an endpoint, "" for the configuration's.
func (s *Sessions) clientFor(region, endpoint string) API {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := clientKey{region, endpoint}
	known, ok := s.clients[key]
	if !ok {
		known = &client{API: cloudtrail.NewFromConfig(s.config(region), func(o *cloudtrail.Options) {
			if endpoint != "" {
				o.BaseEndpoint = aws.String(endpoint)
			}
		})}
		s.clients[key] = known
		s.sweepLater()
	}
	known.used = time.Now()
	return known.API
}

// stsFor returns the STS client for a region.
func (s *Sessions) stsFor(region string) *sts.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.sts[region]
	if !ok {
		known = newSTS(s.config(region), s.options.Meter)
		s.sts[region] = known
	}
	return known
}

// bucketsOf returns the client of S3 for a region.
func (s *Sessions) bucketsOf(region string) *s3.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.buckets[region]
	if !ok {
		if s.streams == nil {
			s.streams = streaming(s.options.Config.HTTPClient)
		}
		known = &bucketClient{Client: newS3(s.config(region), s.streams, s.options.Meter)}
		s.buckets[region] = known
		s.sweepLater()
	}
	known.used = time.Now()
	return known.Client
}

// endpointOf returns the endpoint that the environment names for CloudTrail, "" for AWS's own.
func endpointOf(cfg aws.Config) string {
	return aws.ToString(cloudtrail.NewFromConfig(cfg).Options().BaseEndpoint)
}

// isAWSEndpoint tells whether an endpoint is one of AWS's own, to which the published limits apply.
func isAWSEndpoint(endpoint string) bool {
	if endpoint == "" {
		return true
	}
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return true
	}
	for _, domain := range []string{
		"amazonaws.com", "amazonaws.com.cn", "api.aws", "api.amazonwebservices.com.cn",
		"c2s.ic.gov", "sc2s.sgov.gov", "amazonaws.eu",
	} {
		if strings.HasSuffix("."+strings.ToLower(parsed.Hostname()), "."+domain) {
			return true
		}
	}
	return false
}

// DefaultRegion is the operator's own region, "" when it has none.
func (s *Sessions) DefaultRegion() string { return s.options.Config.Region }

// Session is an AWSIdentity at work: its credentials and the account that they lead to.
type Session struct {
	// AccountID is the account of the credentials.
	AccountID   string
	sessions    *Sessions
	credentials *sessionCredentials
	// stsRegion is where STS is called.
	stsRegion string
	endpoint  string
	// fresh says that nobody has checked the session since it was opened, which was a check.
	fresh atomic.Bool

	mu       sync.Mutex
	regions  map[string]*usedRegion
	checking *flight // nil: it was never checked
	storage  *Storage
}

type usedRegion struct {
	*Region
	used time.Time
}

// Caller says where AWS is called, and as whom. What is not known yet is "".
type Caller struct {
	// Region is the region that is called, and AccountID the account of the credentials.
	Region, AccountID string
	// ARN is the caller as AWS knows it, such as arn:aws:sts::111122223333:assumed-role/trail-operator/session.
	ARN string
}

// ARN returns the caller's ARN, as AWS tells it.
func (s *Session) ARN() string { return s.credentials.arn() }

// Open returns the session of an identity. It is opened at the first call, whenever the identity's spec has changed,
// and from time to time when that has failed. The errors are *Error, or *Pending where the context has Calls.
func (s *Sessions) Open(ctx context.Context, identity *v1alpha1.AWSIdentity) (*Session, error) {
	return s.session(ctx, identity, false)
}

// Check asks AWS anew who the identity is, with new credentials, as its role can be deleted or its trust withdrawn at
// any time. The credentials in use are replaced by those that it gets, and kept when it gets none: they may be good for
// a while. A session that was just opened is not checked at once, unless a person requests it.
func (s *Sessions) Check(ctx context.Context, identity *v1alpha1.AWSIdentity, requested bool) (*Session, error) {
	session, err := s.session(ctx, identity, true)
	if err != nil {
		return nil, err
	}
	check, err := once(ctx, "Check", string(identity.UID), s.options.Now(), func(*Calls) (*flight, error) {
		return session.check(ctx, identity, requested), nil
	})
	switch {
	case err != nil:
		return nil, err
	case check == nil:
		return session, nil
	}
	if err := check.wait(ctx, s.options.MaxWait); err != nil {
		return nil, err
	}
	if check.err != nil {
		return nil, check.err
	}
	return s.session(ctx, identity, false) // It may lead to another account.
}

// opening is an attempt to open a session.
type opening struct {
	*flight
	// session is there when the flight is over without an error.
	session *Session
}

// session returns the session of an identity when it is open. retry opens one at once that could not be opened.
func (s *Sessions) session(ctx context.Context, identity *v1alpha1.AWSIdentity, retry bool) (*Session, error) {
	subject := fmt.Sprintf("%s %d", identity.UID, identity.Generation)
	attempt, err := once(ctx, "Open", subject, s.options.Now(), func(*Calls) (*opening, error) {
		return s.opening(ctx, identity, retry), nil
	})
	if err != nil {
		return nil, err
	}
	if err := attempt.wait(ctx, s.options.MaxWait); err != nil {
		return nil, err
	}
	return attempt.session, attempt.err
}

// opening returns the attempt that has opened the session of an identity, or is about to, and begins one if it is time
// to.
func (s *Sessions) opening(ctx context.Context, identity *v1alpha1.AWSIdentity, retry bool) *opening {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.sessions[identity.UID]
	if ok && known.generation > identity.Generation {
		return known.last // Others know the identity as it is now.
	}
	if !ok || known.generation < identity.Generation {
		known = &openSession{generation: identity.Generation, reopen: backoff{first: firstReopen, last: lastReopen}}
		s.sessions[identity.UID] = known
	}
	if last := known.last; last != nil &&
		(!last.isOver() || last.err == nil || !retry && !known.reopen.passed(s.options.Now())) {
		return last
	}

	next := &opening{}
	next.flight = fly(ctx, getCallerIdentity, s.options.Now(), func(ctx context.Context) (err error) {
		next.session, err = s.open(ctx, identity)
		return err
	}, func(f *flight) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if f.err != nil {
			known.reopen.begin(s.options.Now())
		}
	})
	known.last = next
	return next
}

// Forget drops the session of an identity, so that the next call opens it anew.
func (s *Sessions) Forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, uid)
}

// open opens a session.
func (s *Sessions) open(ctx context.Context, identity *v1alpha1.AWSIdentity) (*Session, error) {
	stsRegion := s.stsRegion(identity)
	credentials := newSessionCredentials(s.provider(identity, stsRegion), s.options.Now)
	caller, err := s.callerOf(ctx, stsRegion, credentials)
	if err != nil {
		return nil, classify(openOperation(identity, err), err)
	}

	session := &Session{
		AccountID:   aws.ToString(caller.Account),
		sessions:    s,
		credentials: credentials,
		stsRegion:   stsRegion,
		endpoint:    identity.Spec.EndpointURL,
		regions:     map[string]*usedRegion{},
	}
	session.fresh.Store(true)
	credentials.belongTo(caller)
	if identity.Spec.RoleARN == "" {
		callerOf := func(ctx context.Context, found aws.Credentials) (*sts.GetCallerIdentityOutput, error) {
			return s.callerOf(ctx, stsRegion, awscredentials.StaticCredentialsProvider{Value: found})
		}
		credentials.verify(session.AccountID, callerOf, func() { s.Forget(identity.UID) })
	}
	return session, nil
}

// stsRegion is where STS is called for an identity: in the operator's own region, or in one that every account of the
// role's partition has. An object's region must not decide it, as the session serves all objects.
func (s *Sessions) stsRegion(identity *v1alpha1.AWSIdentity) string {
	role, err := arn.Parse(identity.Spec.RoleARN)
	switch {
	case s.options.Config.Region != "":
		return s.options.Config.Region
	case err == nil && role.Partition == "aws-cn":
		return "cn-north-1"
	case err == nil && role.Partition == "aws-us-gov":
		return "us-gov-west-1"
	default:
		return "us-east-1"
	}
}

// provider returns where the credentials of an identity come from, without any yet.
func (s *Sessions) provider(identity *v1alpha1.AWSIdentity, stsRegion string) aws.CredentialsProvider {
	if identity.Spec.RoleARN == "" {
		return s.options.Config.Credentials
	}
	role := stscreds.NewAssumeRoleProvider(s.stsFor(stsRegion), identity.Spec.RoleARN, s.assumeRoleOptions(identity))
	return aws.NewCredentialsCache(role, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = credentialsExpiry })
}

// callerOf asks AWS whose the credentials are.
func (s *Sessions) callerOf(
	ctx context.Context,
	stsRegion string,
	credentials aws.CredentialsProvider,
) (*sts.GetCallerIdentityOutput, error) {
	return s.stsFor(stsRegion).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.Options) {
		o.Credentials = credentials
	})
}

// getCallerIdentity is STS's operation that tells whose credentials are.
const getCallerIdentity = "GetCallerIdentity"

// openOperation tells which operation failed in opening a session.
func openOperation(identity *v1alpha1.AWSIdentity, err error) string {
	var credentials *credentialsError
	if identity.Spec.RoleARN != "" && errors.As(err, &credentials) {
		return "AssumeRole"
	}
	return getCallerIdentity
}

// notInSessionName are the characters that a role session name must not have.
var notInSessionName = regexp.MustCompile(`[^A-Za-z0-9_+=,.@-]+`)

func (s *Sessions) assumeRoleOptions(identity *v1alpha1.AWSIdentity) func(*stscreds.AssumeRoleOptions) {
	return func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = sessionName(s.options.ClusterID)
		if identity.Spec.ExternalID != "" {
			o.ExternalID = aws.String(identity.Spec.ExternalID)
		}
		for _, tag := range identity.Spec.SessionTags {
			o.Tags = append(o.Tags, ststypes.Tag{Key: aws.String(tag.Key), Value: aws.String(tag.Value)})
		}
	}
}

// sessionName returns the role session name, which tells in CloudTrail's history which cluster acted. At most 64
// characters.
func sessionName(clusterID string) string {
	name := "trail-operator-" + notInSessionName.ReplaceAllString(clusterID, "-")
	return name[:min(len(name), 64)]
}

// check returns the check of the session that is under way, or begins one. It returns nil when none is needed.
func (s *Session) check(ctx context.Context, identity *v1alpha1.AWSIdentity, requested bool) *flight {
	if s.fresh.CompareAndSwap(true, false) && !requested {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checking == nil || s.checking.isOver() {
		s.checking = fly(ctx, getCallerIdentity, s.sessions.options.Now(), func(ctx context.Context) error {
			return s.renew(ctx, identity)
		}, func(*flight) {})
	}
	return s.checking
}

// renew replaces the credentials by new ones, if there are any to be had.
func (s *Session) renew(ctx context.Context, identity *v1alpha1.AWSIdentity) error {
	provider := s.sessions.provider(identity, s.stsRegion)
	if own, ok := provider.(*ownCredentials); ok {
		own.Invalidate()
		if err := own.get(ctx); err != nil {
			return classify(getCallerIdentity, err)
		}
	}
	caller, err := s.sessions.callerOf(ctx, s.stsRegion, taggedCredentials{provider})
	if err != nil {
		return classify(openOperation(identity, err), err)
	}
	if aws.ToString(caller.Account) != s.AccountID {
		s.sessions.Forget(identity.UID)
		return nil
	}
	s.credentials.replace(provider, caller)
	return nil
}

// confirm asks AWS whose the credentials are right now.
func (s *Session) confirm(ctx context.Context) error {
	caller, err := s.sessions.callerOf(ctx, s.stsRegion, s.credentials)
	if err == nil && aws.ToString(caller.Account) != s.AccountID {
		err = &credentialsError{&movedError{from: s.AccountID, to: aws.ToString(caller.Account)}}
		s.credentials.moved()
	}
	return classify(getCallerIdentity, err)
}

// Region returns the session's client for a region.
func (s *Session) Region(name string) *Region {
	// Whoever uses the region uses its client, which is kept for longer. Not under our lock: the sweep takes both in the
	// other order.
	api := s.sessions.clientFor(name, s.endpoint)

	s.mu.Lock()
	defer s.mu.Unlock()
	region, ok := s.regions[name]
	if !ok {
		options := &s.sessions.options
		region = &usedRegion{Region: &Region{
			api:       api,
			session:   s,
			as:        s.as(regionKey{s.AccountID, name}),
			accountID: s.AccountID,
			name:      name,
			limits:    s.sessions.limits,
			snapshot:  newSnapshot(options.Now, *options.Settle),
			now:       options.Now,
			maxWait:   options.MaxWait,
		}}
		s.regions[name] = region
	}
	region.used = time.Now()
	return region.Region
}

// as returns what makes a call that of the session: its credentials, and the limits and retries of the account and
// region, so that one account's troubles do not use up the retries of another.
func (s *Session) as(key regionKey) func(*cloudtrail.Options) {
	limit := s.sessions.limits.middleware(key, &s.sessions.options)
	var retryer aws.Retryer
	if s.sessions.options.Config.Retryer != nil {
		retryer = s.sessions.options.Config.Retryer()
	}
	return func(o *cloudtrail.Options) {
		o.Credentials = s.credentials
		if retryer != nil {
			o.Retryer = retryer
		}
		o.APIOptions = append(o.APIOptions, limit)
	}
}

// sweepEvery is how often what nobody uses is looked for.
const sweepEvery = time.Minute

// sweepLater sees to it that what nobody uses is let go of. The caller holds the lock.
func (s *Sessions) sweepLater() {
	if s.sweeper == nil {
		s.sweeper = time.AfterFunc(sweepEvery, s.sweep)
	}
}

// sweep lets go of regions and clients that nobody has used for a while, and of the series of regions without a client.
func (s *Sessions) sweep() {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.sessions {
		if known.last.isOver() && known.last.session != nil {
			known.last.session.sweep(now)
		}
	}

	used := maps.Clone(s.queues)
	for region := range s.sts {
		used[region] = true
	}
	for key, client := range s.clients {
		if now.Sub(client.used) > clientUnused {
			delete(s.clients, key)
		} else {
			used[key.region] = true
		}
	}
	for region, client := range s.buckets {
		if now.Sub(client.used) > clientUnused {
			delete(s.buckets, region)
		} else {
			used[region] = true
		}
	}
	s.options.Meter.Used(used)

	s.sweeper = nil
	if len(s.clients)+len(s.buckets) > 0 {
		s.sweepLater()
	}
}

// sweep lets go of the session's regions that nobody has used for a while.
func (s *Session) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, region := range s.regions {
		if now.Sub(region.used) > regionUnused && region.snapshot.idle() {
			delete(s.regions, name)
		}
	}
}
