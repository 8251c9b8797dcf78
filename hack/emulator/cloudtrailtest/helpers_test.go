package cloudtrailtest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
	key     = "arn:aws:kms:eu-west-1:111122223333:key/12345678-1234-1234-1234-123456789012"
	group   = "arn:aws:logs:eu-west-1:111122223333:log-group:trails:*"
	role    = "arn:aws:iam::111122223333:role/logs"
	topic   = "arn:aws:sns:eu-west-1:111122223333:trails"
	bucket  = "trail-logs"
)

var ctx = context.Background()

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// emulator is a running emulator.
type emulator struct {
	*cloudtrailtest.Server
	url   string
	clock *clock
	http  *http.Client
}

// start runs an emulator. Request rates are off unless asked for by withRates.
func start(t *testing.T, change ...func(*cloudtrailtest.Options)) *emulator {
	t.Helper()
	e := direct(change...)
	ts := httptest.NewServer(e.Server)
	t.Cleanup(ts.Close)
	t.Cleanup(e.Close) // First, so that nothing hangs.
	e.url, e.http = ts.URL, cloudtrailtest.NewHTTPClient()
	t.Cleanup(e.http.CloseIdleConnections)
	return e
}

// direct makes an emulator that is called without a network. Request rates are off unless asked for by withRates.
func direct(change ...func(*cloudtrailtest.Options)) *emulator {
	c := newClock()
	opts := cloudtrailtest.Options{Now: c.Now, OpenResources: true, NoRateLimit: true}
	for _, f := range change {
		f(&opts)
	}
	srv := cloudtrailtest.New(opts)
	return &emulator{srv, "http://emulator", c, srv.Client()}
}

// answer is one HTTP answer, or what went wrong on its way.
type answer struct {
	status  string
	headers http.Header
	body    string
	wrong   string
}

// recorder keeps every answer, to the byte.
type recorder struct {
	http.RoundTripper
	answers []answer
}

// record keeps the answers from now on.
func (e *emulator) record() *recorder {
	r := &recorder{RoundTripper: e.http.Transport}
	e.http.Transport = r
	return r
}

// RoundTrip records the answer.
func (r *recorder) RoundTrip(in *http.Request) (*http.Response, error) {
	out, err := r.RoundTripper.RoundTrip(in)
	if err != nil {
		r.answers = append(r.answers, answer{wrong: err.Error()})
		return nil, err
	}
	raw, err := io.ReadAll(out.Body)
	if closed := out.Body.Close(); err == nil {
		err = closed
	}
	one := answer{status: out.Status, headers: out.Header, body: string(raw)}
	out.Body = io.NopCloser(bytes.NewReader(raw))
	if err != nil {
		one.wrong = err.Error()
		out.Body = io.NopCloser(io.MultiReader(bytes.NewReader(raw), iotest.ErrReader(err)))
	}
	r.answers = append(r.answers, one)
	return out, nil
}

// in returns a client of a region with the default credentials, which does not retry.
func (e *emulator) in(region string) *cloudtrail.Client { return e.as("test", "test", "", region) }

func (e *emulator) as(id, secret, token, region string) *cloudtrail.Client {
	return cloudtrail.New(cloudtrail.Options{
		Region: region, BaseEndpoint: aws.String(e.url), RetryMaxAttempts: 1, HTTPClient: e.http,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
	})
}

func (e *emulator) sts(id, secret, token string) *sts.Client {
	return sts.New(sts.Options{
		Region: region, BaseEndpoint: aws.String(e.url), RetryMaxAttempts: 1, HTTPClient: e.http,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
	})
}

// account returns a client of another account.
func (e *emulator) account(id, region string) *cloudtrail.Client {
	e.AddCredentials(
		cloudtrailtest.Credentials{AccessKeyID: "AK" + id, SecretAccessKey: "s", ARN: "arn:aws:iam::" + id + ":user/u"},
	)
	return e.as("AK"+id, "s", "", region)
}

// create makes a trail and fails the test if it cannot.
func create(
	t *testing.T,
	client *cloudtrail.Client,
	name string,
	change ...func(*cloudtrail.CreateTrailInput),
) *cloudtrail.CreateTrailOutput {
	t.Helper()
	in := &cloudtrail.CreateTrailInput{Name: &name, S3BucketName: aws.String(bucket)}
	for _, f := range change {
		f(in)
	}
	out, err := client.CreateTrail(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func multiRegion(in *cloudtrail.CreateTrailInput) { in.IsMultiRegionTrail = aws.Bool(true) }

// code returns the error's code, "" for none.
func code(err error) string {
	if err == nil {
		return ""
	}
	var api interface{ ErrorCode() string }
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return err.Error()
}

func message(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorMessage()
	}
	return ""
}

// wants fails the test if the error is not of the code.
func wants(t *testing.T, err error, want string) {
	t.Helper()
	if code(err) != want {
		t.Fatalf("got %q (%v), want %q", code(err), err, want)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func stsTag(k, v string) ststypes.Tag { return ststypes.Tag{Key: &k, Value: &v} }

func stsTags(k, v string) []ststypes.Tag { return []ststypes.Tag{stsTag(k, v)} }

// tagsOf makes tags from keys and values in turn.
func tagsOf(pairs ...string) []types.Tag {
	var out []types.Tag
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return out
}
