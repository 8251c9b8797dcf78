package cloudtrail

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
)

const (
	testAccount = "111122223333"
	testRegion  = "eu-central-1"
)

// fakeCall is a call that a fakeAWS was made.
type fakeCall struct {
	operation string
	body      map[string]any
	header    http.Header
	at        time.Time
}

// fakeAWS answers CloudTrail's calls by operation and remembers them. It knows nothing of trails.
type fakeAWS struct {
	*httptest.Server
	// answer returns the HTTP status and the body of an answer; nil: every call succeeds with {}.
	answer func(fakeCall) (status int, body string)
	// silent tells which calls are never answered; nil: none. It holds for those who want no network.
	silent func(fakeCall) bool

	mu    sync.Mutex
	calls []fakeCall
}

func newFakeAWS(t *testing.T, answer func(fakeCall) (int, string)) *fakeAWS {
	t.Helper()
	f := &fakeAWS{answer: answer}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

// ServeHTTP implements http.Handler.
func (f *fakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call, err := f.take(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	f.reply(w, call)
}

// take reads a call and remembers it.
func (f *fakeAWS) take(r *http.Request) (fakeCall, error) {
	target := r.Header.Get("X-Amz-Target")
	call := fakeCall{operation: target[strings.LastIndex(target, ".")+1:], header: r.Header, at: time.Now()}
	if err := json.NewDecoder(r.Body).Decode(&call.body); err != nil {
		return call, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	return call, nil
}

func (f *fakeAWS) reply(w http.ResponseWriter, call fakeCall) {
	status, body := http.StatusOK, "{}"
	if f.answer != nil {
		status, body = f.answer(call)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	io.WriteString(w, body) //nolint:errcheck // The client will tell.
}

// RoundTrip implements http.RoundTripper, for those who want no network.
func (f *fakeAWS) RoundTrip(r *http.Request) (*http.Response, error) {
	call, err := f.take(r)
	if err != nil {
		return nil, err
	}
	if f.silent != nil && f.silent(call) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	recorder := httptest.NewRecorder()
	f.reply(recorder, call)
	return recorder.Result(), nil
}

// made returns the calls so far.
func (f *fakeAWS) made() []fakeCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]fakeCall{}, f.calls...)
}

// count returns how many calls of an operation were made so far.
func (f *fakeAWS) count(operation string) int {
	n := 0
	for _, call := range f.made() {
		if call.operation == operation {
			n++
		}
	}
	return n
}

// refusal is the body by which AWS refuses a call.
func refusal(code, message string) string {
	data, err := json.Marshal(map[string]string{"__type": code, "Message": message})
	if err != nil {
		panic(err)
	}
	return string(data)
}

// testConfig is a configuration for the endpoint that retries nothing and waits for nothing.
func testConfig(endpoint string) aws.Config {
	return aws.Config{
		Region:       testRegion,
		BaseEndpoint: aws.String(endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""),
		HTTPClient:   http.DefaultClient,
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
}

func testClient(endpoint string) *cloudtrail.Client {
	return cloudtrail.NewFromConfig(testConfig(endpoint))
}

// memorySessions returns Sessions of the SDK's real clients, with their retries, in front of an AWS that takes no time
// and no network, so that they work in a synctest bubble.
func memorySessions(transport http.RoundTripper, edit func(*Options)) *Sessions {
	options := Options{
		Config:     testConfig("http://emulator"),
		RateLimits: RateLimitOff,
		ClusterID:  "cluster/1",
		Version:    "v1.2.3",
	}
	options.Config.Retryer = func() aws.Retryer { return newRetryer("", 0) }
	options.Config.HTTPClient = &http.Client{Transport: transport}
	if edit != nil {
		edit(&options)
	}
	return NewSessions(options)
}

// memorySession returns a session with the operator's own credentials, which was opened without a call.
func memorySession(sessions *Sessions) *Session {
	return &Session{
		AccountID:   testAccount,
		sessions:    sessions,
		credentials: newSessionCredentials(sessions.options.Config.Credentials, sessions.options.Now),
		stsRegion:   testRegion,
		regions:     map[string]*usedRegion{},
	}
}

// memoryRegion returns a region of such a session. endpoint "" is AWS's own.
func memoryRegion(mode RateLimitMode, endpoint string, meter Meter, server *fakeAWS) *Region {
	sessions := memorySessions(server, func(o *Options) {
		o.RateLimits, o.Meter = mode, meter
		if o.Config.BaseEndpoint = aws.String(endpoint); endpoint == "" {
			o.Config.BaseEndpoint = nil
		}
	})
	return memorySession(sessions).Region(testRegion)
}

// pass lets time pass in a synctest bubble.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // The bubble's clock.

// took returns how long something takes on the bubble's clock.
func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// newRandom returns the random numbers of a seed.
func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }
