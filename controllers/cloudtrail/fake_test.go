package cloudtrail

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

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
}

// fakeAWS answers CloudTrail's calls by operation and remembers them. It knows nothing of trails.
type fakeAWS struct {
	*httptest.Server
	// answer returns the HTTP status and the body of an answer; nil: every call succeeds with {}.
	answer func(fakeCall) (status int, body string)

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
	data, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	target := r.Header.Get("X-Amz-Target")
	call := fakeCall{operation: target[strings.LastIndex(target, ".")+1:], header: r.Header}
	if err := json.Unmarshal(data, &call.body); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.mu.Unlock()
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
	recorder := httptest.NewRecorder()
	f.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// made returns the calls so far.
func (f *fakeAWS) made() []fakeCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]fakeCall{}, f.calls...)
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
