package validatelogs_test

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	awscloudtrail "github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/controllers/command"
	"github.com/trail-operator/trail-operator/controllers/validatelogs"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const (
	home    = "eu-west-1"
	account = "111122223333"
	bucket  = "audit-logs"
	// began is when the emulator's clock begins.
	began = "2026-03-02T12:00:00Z"
)

// world is an emulated AWS with a trail that has delivered for some hours.
type world struct {
	*cloudtrailtest.Server
	trailARN string
	// handler answers all calls; nil: the server does.
	handler http.Handler
	now     time.Time
}

// newWorld returns a world in which the trail has delivered for some hours.
func newWorld(t *testing.T, hours int, edit func(*awscloudtrail.CreateTrailInput)) *world {
	t.Helper()
	g := NewWithT(t)
	now, err := time.Parse(time.RFC3339, began)
	g.Expect(err).NotTo(HaveOccurred())
	w := &world{now: now}
	w.Server = cloudtrailtest.New(cloudtrailtest.Options{
		Now: func() time.Time { return w.now }, OpenResources: true, NoRateLimit: true, Seed: 7,
		LogDelivery: &cloudtrailtest.LogDelivery{
			Hour: time.Hour, Regions: []string{home, "us-east-1", "ap-south-1"}, LogsPerHour: 2, Seed: 7,
		},
	})
	t.Cleanup(w.Close)
	w.SetOrganization(cloudtrailtest.Organization{
		ID: "o-exampleorgid", ManagementAccount: account, Members: []string{"444455556666"},
	})

	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if w.handler != nil {
			w.handler.ServeHTTP(out, r)
			return
		}
		w.ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	w.create(t, hours, edit)
	return w
}

// create creates the trail.
func (w *world) create(t *testing.T, hours int, edit func(*awscloudtrail.CreateTrailInput)) {
	t.Helper()
	in := &awscloudtrail.CreateTrailInput{
		Name: aws.String("audit"), S3BucketName: aws.String(bucket), S3KeyPrefix: aws.String("p"),
		EnableLogFileValidation: aws.Bool(true), IsMultiRegionTrail: aws.Bool(true),
	}
	if edit != nil {
		edit(in)
	}
	w.act(t, func(ctx context.Context, client *awscloudtrail.Client) error {
		created, err := client.CreateTrail(ctx, in)
		if err != nil {
			return err
		}
		w.trailARN = *created.TrailARN
		_, err = client.StartLogging(ctx, &awscloudtrail.StartLoggingInput{Name: created.TrailARN})
		return err
	})
	NewWithT(t).Expect(w.DeliverHours(w.trailARN, hours)).To(Succeed())
}

// act calls CloudTrail.
func (w *world) act(t *testing.T, call func(context.Context, *awscloudtrail.Client) error) {
	t.Helper()
	NewWithT(t).Expect(call(t.Context(), awscloudtrail.New(awscloudtrail.Options{
		Region: home, HTTPClient: w.Client(), BaseEndpoint: aws.String("http://emulator"), Retryer: aws.NopRetryer{},
		Credentials: awscredentials.NewStaticCredentialsProvider("test", "test", ""),
	}))).To(Succeed())
}

// answer is what the command has printed, and its exit code.
type answer struct {
	output, messages string
	exitCode         int
}

// validate runs the command for the trail and the last two days, with more flags.
func (w *world) validate(ctx context.Context, arguments ...string) answer {
	all := append([]string{"--trail-arn=" + w.trailARN, "--start-time=2026-02-28T12:00:00Z"}, arguments...)
	return w.run(ctx, all...)
}

// run runs the command as main does.
func (w *world) run(ctx context.Context, arguments ...string) answer {
	program := command.Program{Name: "test", Default: command.Command{Bind: func(set *flag.FlagSet) command.Run {
		options := validatelogs.Options{Version: "v1.2.3", Now: w.DeliveryTime, Pause: time.Millisecond}
		options.BindFlags(set)
		return func(ctx context.Context, output io.Writer) error {
			if err := options.Validate(); err != nil {
				return &command.UsageError{Err: err}
			}
			return validatelogs.Run(ctx, options, output)
		}
	}}}
	var output, messages bytes.Buffer
	code := program.Run(ctx, arguments, &output, &messages)
	return answer{output.String(), messages.String(), code}
}

// keys are the keys of the objects that have all parts in theirs.
func (w *world) keys(parts ...string) []string {
	var keys []string
	for _, o := range w.Objects(bucket, "") {
		has := true
		for _, part := range parts {
			has = has && strings.Contains(o.Key, part)
		}
		if has {
			keys = append(keys, o.Key)
		}
	}
	return keys
}

// restore makes the bucket what it was before.
func (w *world) restore(g Gomega, before []cloudtrailtest.Object) {
	for _, o := range w.Objects(bucket, "") {
		w.DeleteObject(bucket, o.Key)
	}
	for _, o := range before {
		g.Expect(w.PutObject(o)).To(Succeed())
	}
}
