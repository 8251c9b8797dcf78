package cloudtrail

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Options are what a Fleet needs.
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
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Settle is how long an answer to our own write is believed over a later read; default 5 seconds.
	Settle *time.Duration
}

// maxIdleConnsPerHost keeps a connection for each of many calls at once: one endpoint serves a region of all accounts,
// and a new TLS connection costs more than a call.
const maxIdleConnsPerHost = 256

// LoadConfig loads the SDK's default configuration: environment, shared files, IRSA, EKS Pod Identity, instance
// metadata. region overrides the environment's when it is not "". The HTTP client is the SDK's own, so that
// AWS_CA_BUNDLE and proxies work; it keeps enough connections for many calls at once.
func LoadConfig(ctx context.Context, region string) (aws.Config, error) {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns = 0
		t.MaxIdleConnsPerHost = maxIdleConnsPerHost
	}).WithTimeout(callTimeout)
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(client),
	}
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
		return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) { o.StandardOptions = append(o.StandardOptions, options) })
	}
	return retry.NewStandard(options)
}

// Fleet opens Sessions, one for each AWSIdentity, and keeps what they share: the rate limits of each account and region, and the
// SDK's clients, each of which takes kilobytes.
type Fleet struct {
	options Options
	limits  *limits

	mu       sync.Mutex
	sessions map[types.UID]*openSession
	clients  map[clientKey]API
	sts      map[string]*sts.Client
}

type clientKey struct{ region, endpoint string }

// openSession is a Session that is being opened or is open, for one generation of its identity.
type openSession struct {
	generation int64
	done       chan struct{}
	session    *Session
	err        error
}

// NewFleet returns a Fleet without sessions.
func NewFleet(options Options) *Fleet {
	if options.Meter == nil {
		options.Meter = noMeter{}
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Settle == nil {
		options.Settle = aws.Duration(ownWritesSettle)
	}
	if options.RateLimits == "" {
		options.RateLimits = RateLimitAuto
	}
	return &Fleet{
		options:  options,
		limits:   newLimits(options.RateLimits, isAWSEndpoint(endpointOf(options.Config))),
		sessions: map[types.UID]*openSession{},
		clients:  map[clientKey]API{},
		sts:      map[string]*sts.Client{},
	}
}

// config is the SDK's configuration for a region, with the operator's own credentials.
func (f *Fleet) config(region string) aws.Config {
	cfg := f.options.Config.Copy()
	cfg.Region = region
	cfg.APIOptions = append(cfg.APIOptions, userAgent(f.options.Version))
	cfg.Credentials = taggedCredentials{cfg.Credentials}
	return cfg
}

// clientFor returns the client for a region and an endpoint, "" for the configuration's.
func (f *Fleet) clientFor(region, endpoint string) API {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := clientKey{region, endpoint}
	client, ok := f.clients[key]
	if !ok {
		client = cloudtrail.NewFromConfig(f.config(region), func(o *cloudtrail.Options) {
			if endpoint != "" {
				o.BaseEndpoint = aws.String(endpoint)
			}
		})
		f.clients[key] = client
	}
	return client
}

// stsFor returns the STS client for a region.
func (f *Fleet) stsFor(region string) *sts.Client {
	f.mu.Lock()
	defer f.mu.Unlock()
	client, ok := f.sts[region]
	if !ok {
		client = newSTS(f.config(region), f.options.Meter)
		f.sts[region] = client
	}
	return client
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
	for _, domain := range []string{"amazonaws.com", "amazonaws.com.cn", "api.aws", "api.amazonwebservices.com.cn", "c2s.ic.gov", "sc2s.sgov.gov", "amazonaws.eu"} {
		if strings.HasSuffix("."+strings.ToLower(parsed.Hostname()), "."+domain) {
			return true
		}
	}
	return false
}

// DefaultRegion is the operator's own region, "" when it has none.
func (f *Fleet) DefaultRegion() string { return f.options.Config.Region }

// Session is an AWSIdentity at work: its credentials and the account that they lead to.
type Session struct {
	// AccountID is the account of the credentials.
	AccountID string
	// ARN is the caller's ARN.
	ARN string

	fleet       *Fleet
	credentials aws.CredentialsProvider
	// stsRegion is where STS is called.
	stsRegion string
	endpoint  string
	// fresh says that nobody has checked the session since it was opened, which was a check.
	fresh atomic.Bool

	mu      sync.Mutex
	regions map[string]*Region
}

// Session returns the session of an identity; it is opened at the first call and whenever the identity's spec has
// changed. The errors are *Error. stsRegion is where STS is called when the operator has no region of its own.
func (f *Fleet) Session(ctx context.Context, identity *v1alpha1.AWSIdentity, stsRegion string) (*Session, error) {
	f.mu.Lock()
	open, ok := f.sessions[identity.UID]
	if !ok || open.generation != identity.Generation || open.failed() {
		open = &openSession{generation: identity.Generation, done: make(chan struct{})}
		f.sessions[identity.UID] = open
		// Opened on no caller's context: a caller that gives up must not fail the others.
		go func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, sharedReadTimeout)
			defer cancel()
			open.session, open.err = f.open(ctx, identity, stsRegion)
			close(open.done)
		}(patient(context.WithoutCancel(ctx)))
	}
	f.mu.Unlock()
	select {
	case <-open.done:
		return open.session, open.err
	case <-ctx.Done():
		return nil, meaning("GetCallerIdentity", ctx.Err())
	}
}

// failed tells whether the session could not be opened, so that the next caller tries again.
func (o *openSession) failed() bool {
	select {
	case <-o.done:
		return o.err != nil
	default:
		return false
	}
}

// Check asks AWS anew who the identity is, as its role can be deleted or its trust withdrawn at any time. The session stays
// open for as long as it leads to the same account.
func (f *Fleet) Check(ctx context.Context, identity *v1alpha1.AWSIdentity, stsRegion string) (*Session, error) {
	session, err := f.Session(ctx, identity, stsRegion)
	if err != nil || session.fresh.CompareAndSwap(true, false) {
		return session, err
	}
	caller, err := f.callerOf(ctx, session.stsRegion, session.credentials)
	if err != nil {
		return nil, meaning(openOperation(identity, err), err)
	}
	if aws.ToString(caller.Account) != session.AccountID {
		f.Forget(identity.UID)
		return f.Session(ctx, identity, stsRegion)
	}
	return session, nil
}

// Forget drops the session of an identity, so that the next call opens it anew.
func (f *Fleet) Forget(uid types.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sessions, uid)
}

func (f *Fleet) open(ctx context.Context, identity *v1alpha1.AWSIdentity, stsRegion string) (*Session, error) {
	if own := f.options.Config.Region; own != "" {
		stsRegion = own
	}
	var credentials aws.CredentialsProvider = taggedCredentials{f.options.Config.Credentials}
	if identity.Spec.RoleARN != "" {
		role := stscreds.NewAssumeRoleProvider(f.stsFor(stsRegion), identity.Spec.RoleARN, f.assumeRoleOptions(identity))
		credentials = taggedCredentials{aws.NewCredentialsCache(role, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = credentialsExpiry })}
	}
	caller, err := f.callerOf(ctx, stsRegion, credentials)
	if err != nil {
		return nil, meaning(openOperation(identity, err), err)
	}
	session := &Session{
		AccountID:   aws.ToString(caller.Account),
		ARN:         aws.ToString(caller.Arn),
		fleet:       f,
		credentials: credentials,
		stsRegion:   stsRegion,
		endpoint:    identity.Spec.EndpointURL,
		regions:     map[string]*Region{},
	}
	session.fresh.Store(true)
	return session, nil
}

// callerOf asks AWS whose the credentials are.
func (f *Fleet) callerOf(ctx context.Context, stsRegion string, credentials aws.CredentialsProvider) (*sts.GetCallerIdentityOutput, error) {
	return f.stsFor(stsRegion).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.Options) { o.Credentials = credentials })
}

// openOperation tells which operation failed in opening a session.
func openOperation(identity *v1alpha1.AWSIdentity, err error) string {
	var credentials *credentialsError
	if identity.Spec.RoleARN != "" && errors.As(err, &credentials) {
		return "AssumeRole"
	}
	return "GetCallerIdentity"
}

// notInSessionName are the characters that a role session name must not have.
var notInSessionName = regexp.MustCompile(`[^A-Za-z0-9_+=,.@-]+`)

func (f *Fleet) assumeRoleOptions(identity *v1alpha1.AWSIdentity) func(*stscreds.AssumeRoleOptions) {
	return func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = sessionName(f.options.ClusterID)
		if identity.Spec.ExternalID != "" {
			o.ExternalID = aws.String(identity.Spec.ExternalID)
		}
		for _, tag := range identity.Spec.SessionTags {
			o.Tags = append(o.Tags, ststypes.Tag{Key: aws.String(tag.Key), Value: aws.String(tag.Value)})
		}
	}
}

// sessionName returns the role session name, which tells in CloudTrail's history which cluster acted. At most 64 characters.
func sessionName(clusterID string) string {
	name := "trail-operator-" + notInSessionName.ReplaceAllString(clusterID, "-")
	return name[:min(len(name), 64)]
}

// taggedCredentials marks the errors of a credentials provider, so that a call that failed before it was sent can be told
// from one that AWS did not answer.
type taggedCredentials struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (c taggedCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if c.CredentialsProvider == nil {
		return aws.Credentials{}, &credentialsError{errors.New("no provider")}
	}
	credentials, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &credentialsError{err}
	}
	return credentials, nil
}

type credentialsError struct{ error }

// Unwrap returns the provider's error.
func (e *credentialsError) Unwrap() error { return e.error }

// Partition is the AWS partition of the session's account.
func (s *Session) Partition() string {
	parsed, err := arn.Parse(s.ARN)
	if err != nil {
		return Partition(s.stsRegion)
	}
	return parsed.Partition
}

// Region returns the session's client for a region.
func (s *Session) Region(name string) *Region {
	s.mu.Lock()
	defer s.mu.Unlock()
	region, ok := s.regions[name]
	if !ok {
		options := s.fleet.options
		region = &Region{
			api:       s.fleet.clientFor(name, s.endpoint),
			as:        s.as(regionKey{s.AccountID, name}),
			accountID: s.AccountID,
			name:      name,
			limits:    s.fleet.limits,
			snapshot:  newSnapshot(options.Now, *options.Settle),
		}
		s.regions[name] = region
	}
	return region
}

// as returns what makes a call that of the session: its credentials, and the limits and retries of the account and region, so that one
// account's troubles do not use up the retries of another.
func (s *Session) as(key regionKey) func(*cloudtrail.Options) {
	limit := s.fleet.limits.middleware(key, s.fleet.options.Meter)
	var retryer aws.Retryer
	if s.fleet.options.Config.Retryer != nil {
		retryer = s.fleet.options.Config.Retryer()
	}
	return func(o *cloudtrail.Options) {
		o.Credentials = s.credentials
		if retryer != nil {
			o.Retryer = retryer
		}
		o.APIOptions = append(o.APIOptions, limit)
	}
}
