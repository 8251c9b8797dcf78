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

func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &output{line: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--listen", "127.0.0.1:0", "--log", "--no-rate-limit", "--credentials", "K:s:arn:aws:iam::222233334444:user/u"}, out)
	}()
	select {
	case <-out.line:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing printed")
	}
	match := regexp.MustCompile(`^listening on (http://127\.0\.0\.1:[1-9][0-9]*)\n$`).FindStringSubmatch(out.String())
	if match == nil {
		t.Fatalf("printed %q", out)
	}
	client := cloudtrail.New(cloudtrail.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(match[1]), Credentials: credentials.NewStaticCredentialsProvider("K", "s", ""),
	})
	created, err := client.CreateTrail(ctx, &cloudtrail.CreateTrailInput{Name: aws.String("audit"), S3BucketName: aws.String("any-bucket")})
	if err != nil || *created.TrailARN != "arn:aws:cloudtrail:eu-west-1:222233334444:trail/audit" {
		t.Fatal(created, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, match[1]+"/_emulator/healthz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.Body.Close() != nil || !strings.Contains(string(body), "ok") {
		t.Fatal(string(body), err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if want := `account=222233334444 region=eu-west-1 operation=CreateTrail target="audit" result=ok key=K agent="aws-sdk-go-v2`; !strings.Contains(out.String(), want) {
		t.Fatalf("%s does not contain %s", out, want)
	}
}

func TestRunRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"an argument":         {"now"},
		"an unknown flag":     {"--faster"},
		"half of credentials": {"--credentials", "K:s"},
		"no address":          {"--listen", "nowhere"},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
