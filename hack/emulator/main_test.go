package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
)

// output is what the command prints, to be read while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	line chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.text.Write(p)
	select {
	case o.line <- struct{}{}:
	default:
	}
	return n, err
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// command is the command while it runs.
type command struct {
	*output
	url   string
	stop  func()
	ended chan error
}

// begin runs the command on a free port.
func begin(t *testing.T, args ...string) *command {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	c := &command{&output{line: make(chan struct{}, 1)}, "", stop, make(chan error, 1)}
	go func() { c.ended <- run(ctx, append([]string{"--listen", "127.0.0.1:0"}, args...), c) }()
	select {
	case <-c.line:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing printed")
	}
	match := regexp.MustCompile(`^listening on (http://127\.0\.0\.1:[1-9][0-9]*)\n$`).FindStringSubmatch(c.String())
	if match == nil {
		t.Fatalf("printed %q", c)
	}
	c.url = match[1]
	return c
}

// client returns a client of eu-west-1.
func (c *command) client(key, secret string) *cloudtrail.Client {
	return cloudtrail.New(cloudtrail.Options{
		Region:       "eu-west-1",
		BaseEndpoint: aws.String(c.url),
		Credentials:  credentials.NewStaticCredentialsProvider(key, secret, ""),
	})
}

// admin calls the admin API and returns its answer.
func (c *command) admin(t *testing.T, method, path, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+"/_emulator/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.Body.Close() != nil {
		t.Fatal(string(raw), err)
	}
	return string(raw)
}

func TestRun(t *testing.T) {
	c := begin(
		t,
		"--log",
		"--no-rate-limit",
		"--credentials",
		"K:s:arn:aws:iam::222233334444:user/u",
		"--read-lag",
		"1s",
		"--history-lag-max",
		"5m",
		"--queue",
		"222233334444/eu-west-1/events",
		"--forwarding-delay",
		"1s",
		"--log-delivery",
		"1s",
		"--log-delivery-regions",
		"us-east-1,us-west-2",
	)
	created, err := c.client("K", "s").CreateTrail(t.Context(), &cloudtrail.CreateTrailInput{
		Name:         aws.String("audit"),
		S3BucketName: aws.String("any-bucket"),
	})
	if err != nil || *created.TrailARN != "arn:aws:cloudtrail:eu-west-1:222233334444:trail/audit" {
		t.Fatal(created, err)
	}
	if body := c.admin(t, http.MethodGet, "healthz", ""); !strings.Contains(body, "ok") {
		t.Fatal(body)
	}
	body := strings.Join(strings.Fields(c.admin(t, http.MethodGet, "lags", "")), "")
	if body != `{"read":"1s","readMax":"0s","history":"0s","historyMax":"5m0s"}` {
		t.Fatal(body)
	}
	for path, want := range map[string]string{
		"queues":     "arn:aws:sqs:eu-west-1:222233334444:events",
		"rules":      `"accountID": "222233334444"`,
		"forwarding": `"minDelay": "1s"`,

		"log-delivery": `"hour": "1s"`,
	} {
		if body := c.admin(t, http.MethodGet, path, ""); !strings.Contains(body, want) {
			t.Fatal(body)
		}
	}
	c.stop()
	if err := <-c.ended; err != nil {
		t.Fatal(err)
	}
	want := `account=222233334444 region=eu-west-1 operation=CreateTrail target="audit" result=ok ` +
		`key=K agent="aws-sdk-go-v2`
	if !strings.Contains(c.String(), want) {
		t.Fatalf("%s does not contain %s", c, want)
	}
}

// The command ends at once, also while calls hang.
func TestRunEndsWhileCallsHang(t *testing.T) {
	c := begin(t, "--log")
	c.admin(t, http.MethodPost, "faults", `{"hang": true}`)
	answered := make(chan error, 1)
	go func() { _, err := c.client("test", "test").DescribeTrails(t.Context(), nil); answered <- err }()
	for hangs := false; !hangs; hangs = strings.Contains(c.String(), "result=NoAnswer") {
		select {
		case <-c.line:
		case <-time.After(10 * time.Second):
			t.Fatal("no call")
		}
	}
	c.stop()
	if err := <-c.ended; err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err == nil {
		t.Fatal("the call was answered")
	}
}

func TestRunRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"an argument":         {"now"},
		"an unknown flag":     {"--faster"},
		"half of credentials": {"--credentials", "K:s"},
		"half of a queue":     {"--queue", "111122223333/eu-west-1"},
		"no queue's account":  {"--queue", "1/eu-west-1/events"},
		"no address":          {"--listen", "nowhere"},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
