package cloudtrail

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// sessionCredentials are the credentials of a Session. What AWS rejects is got anew; what cannot be got is asked for
// once for all calls that need it; and credentials that lead to another account than the session's are not used.
type sessionCredentials struct {
	now      func() time.Time
	mu       sync.Mutex
	provider aws.CredentialsProvider
	// callerARN is the caller that AWS takes the credentials for.
	callerARN string
	// callerOf asks AWS whose new credentials are; nil: a role's cannot lead elsewhere.
	callerOf func(context.Context, aws.Credentials) (*sts.GetCallerIdentityOutput, error)
	// accountID is the account that they must lead to, and moved is called when they do not.
	accountID string
	moved     func()
	// used is the access key of the credentials that were given out last, and since when.
	used  string
	since time.Time
	// failure is why there are no credentials, until it is worth trying anew.
	failure error
	reopen  backoff
	// renewal is the pace at which credentials that AWS rejects are got anew, and renewing says that new ones are on their
	// way.
	renewal  backoff
	renewing bool
}

// backoff is a wait that doubles from time to time.
type backoff struct {
	first, last time.Duration
	wait        time.Duration
	until       time.Time
}

// passed tells whether the wait is over.
func (b *backoff) passed(now time.Time) bool { return !now.Before(b.until) }

// begin begins the next wait.
func (b *backoff) begin(now time.Time) {
	b.wait = min(max(2*b.wait, b.first), b.last)
	b.until = now.Add(b.wait)
}

// end ends the wait, and makes the next one short.
func (b *backoff) end() { b.wait, b.until = 0, time.Time{} }

func newSessionCredentials(provider aws.CredentialsProvider, now func() time.Time) *sessionCredentials {
	return &sessionCredentials{
		now:      now,
		provider: provider,
		moved:    func() {},
		reopen:   backoff{first: firstReopen, last: lastReopen},
		renewal:  backoff{first: firstRenewal, last: lastRenewal},
	}
}

// Retrieve implements aws.CredentialsProvider.
func (c *sessionCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if err := c.known(); err != nil {
		return aws.Credentials{}, err
	}
	credentials, err := c.get(ctx)
	if err != nil {
		return aws.Credentials{}, c.failed(&credentialsError{err})
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure, c.renewing = nil, false
	c.reopen.end()
	if c.used != credentials.AccessKeyID {
		c.used, c.since = credentials.AccessKeyID, c.now()
	}
	return credentials, nil
}

// get gets credentials, and makes sure that new ones lead to the session's account.
func (c *sessionCredentials) get(ctx context.Context) (aws.Credentials, error) {
	c.mu.Lock()
	provider, callerOf, used := c.provider, c.callerOf, c.used
	c.mu.Unlock()
	if provider == nil {
		return aws.Credentials{}, errors.New("no provider")
	}
	credentials, err := provider.Retrieve(ctx)
	if err != nil || callerOf == nil || credentials.AccessKeyID == used {
		return credentials, err
	}

	caller, err := callerOf(ctx, credentials)
	if err != nil {
		return credentials, err
	}
	if account := aws.ToString(caller.Account); account != c.accountID {
		c.moved()
		return credentials, &movedError{from: c.accountID, to: account}
	}
	c.belongTo(caller)
	return credentials, nil
}

// belongTo notes whom AWS takes the credentials for.
func (c *sessionCredentials) belongTo(caller *sts.GetCallerIdentityOutput) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.callerARN = aws.ToString(caller.Arn)
}

// arn returns the ARN of the caller.
func (c *sessionCredentials) arn() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.callerARN
}

// verify makes sure from now on that new credentials lead to the account.
func (c *sessionCredentials) verify(
	accountID string,
	callerOf func(context.Context, aws.Credentials) (*sts.GetCallerIdentityOutput, error),
	moved func(),
) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accountID, c.callerOf, c.moved = accountID, callerOf, moved
}

// replace replaces the credentials by others of the same account.
func (c *sessionCredentials) replace(provider aws.CredentialsProvider, caller *sts.GetCallerIdentityOutput) {
	c.belongTo(caller)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.provider, c.failure, c.renewing = provider, nil, false
	c.reopen.end()
	c.renewal.end()
}

// known returns why there are no credentials, while it is not worth trying anew.
func (c *sessionCredentials) known() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reopen.passed(c.now()) {
		return nil
	}
	return c.failure
}

func (c *sessionCredentials) failed(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		return err // It tells nothing of the credentials.
	}
	c.failure, c.renewing = err, false
	if now := c.now(); c.reopen.passed(now) { // Those who have waited together have failed once.
		c.reopen.begin(now)
	}
	return err
}

// current returns the access key of the credentials that are in use, "" for none.
func (c *sessionCredentials) current() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}

// rejected is told how a call ended that was signed with an access key. It returns true when the call is worth another
// try, with new credentials. AWS rejects those of a role that was created anew, and of sessions that were revoked, long
// before they expire by our clock.
func (c *sessionCredentials) rejected(used string, err error) bool {
	if _, unsent := errors.AsType[*credentialsError](err); unsent || !rejectsCredentials(errorCode(err)) {
		return false
	}

	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	cache, renewable := c.provider.(interface{ Invalidate() })
	if !renewable {
		return false
	}
	switch {
	case used == "":
		return false // They were the first, and so are new.
	case c.used != used, c.renewing:
		return true // Another call has got new ones, or is about to.
	case !c.renewal.passed(now), now.Sub(c.since) < firstRenewal:
		return false
	}

	c.renewal.begin(now)
	c.renewing = true
	cache.Invalidate()
	return true
}

// accepted is told that new credentials have helped.
func (c *sessionCredentials) accepted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renewal.wait = 0
}

// rejectsCredentials tells whether an error code may mean that credentials are not good any more. That something is not
// allowed may mean it, too: it is what a revoked session is told.
func rejectsCredentials(code string) bool {
	switch code {
	case "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException",
		"AccessDenied", "AccessDeniedException", "InvalidAccessKeyId", "InvalidToken":
		return true
	default:
		return false
	}
}

// credentialsError marks the errors of a credentials provider, so that a call that failed before it was sent can be
// told from one that AWS did not answer.
type credentialsError struct{ error }

// Unwrap returns the provider's error.
func (e *credentialsError) Unwrap() error { return e.error }

// movedError says that credentials lead to another account than before.
type movedError struct{ from, to string }

// Error implements error.
func (e *movedError) Error() string {
	return "the credentials belong to account " + e.to + ", and no longer to account " + e.from
}

// ownCredentials are the operator's own. When no new ones are to be had, those that it has are used for as long as they
// last: where they come from may be out of reach for a while.
type ownCredentials struct {
	source invalidatable
	now    func() time.Time

	mu   sync.Mutex
	last aws.Credentials
	// retry is the pace at which the source is asked anew when it has failed.
	retry backoff
}

// invalidatable are credentials that are got anew after Invalidate, such as an aws.CredentialsCache.
type invalidatable interface {
	aws.CredentialsProvider
	Invalidate()
}

// ownCredentialsOf returns the credentials of the SDK's configuration as the operator's own. Those that cannot be got
// anew stay as they are.
func ownCredentialsOf(configured aws.CredentialsProvider, now func() time.Time) aws.CredentialsProvider {
	if source, ok := configured.(invalidatable); ok {
		return &ownCredentials{source: source, now: now, retry: backoff{first: firstReopen, last: lastReopen}}
	}
	return taggedCredentials{configured}
}

// Retrieve implements aws.CredentialsProvider.
func (c *ownCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if last, ok := c.kept(); ok {
		return last, nil
	}
	err := c.get(ctx)

	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.last.HasKeys() || c.last.Expired() {
		return aws.Credentials{}, err
	}
	return c.last, nil
}

// Invalidate makes the next Retrieve ask for new ones.
func (c *ownCredentials) Invalidate() {
	c.source.Invalidate()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retry.end()
}

// kept returns the credentials that the operator has while it is not worth asking for new ones.
func (c *ownCredentials) kept() (aws.Credentials, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, !c.retry.passed(c.now()) && !c.last.Expired()
}

// get gets the credentials that the source has now.
func (c *ownCredentials) get(ctx context.Context) error {
	found, err := c.source.Retrieve(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.retry.begin(c.now())
		return &credentialsError{err}
	}
	c.last = found
	c.retry.end()
	return nil
}

// taggedCredentials marks the errors of credentials that no Session has.
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
