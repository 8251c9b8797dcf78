package cloudtrailtest_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// TestConcurrentUse is for the race detector: everything at once.
func TestConcurrentUse(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.RecordReads = true })
	e.OnCall(func(string, int) {}, func(string, int) {})
	var wg sync.WaitGroup
	for worker := range 8 {
		c := e.account(fmt.Sprintf("%012d", 100+worker%4), region)
		wg.Go(func() {
			for i := range 10 {
				name := fmt.Sprintf("trail-%d-%d", worker, i%2)
				_ = tryCreate(c, name, everything) //nolint:errcheck // some find the quota used up
				for range writes(c, name) {
				}
				_, err := c.DescribeTrails(ctx, nil)
				_, err2 := c.LookupEvents(ctx, &cloudtrail.LookupEventsInput{MaxResults: aws.Int32(5)})
				if err != nil || err2 != nil {
					t.Error(err, err2)
				}
				e.Trails()
				e.Calls()
				e.CallCounts()
				e.PutBucket(cloudtrailtest.Bucket{Name: fmt.Sprint("bucket-", worker)})
				e.ClearFault(e.Inject(cloudtrailtest.Fault{Operation: "Nothing", Code: "X"}))
				e.clock.add(time.Second)
			}
		})
	}
	wg.Wait()
}

// fleet fills an emulator with trails over accounts, five each.
func fleet(b *testing.B, trails int, opts cloudtrailtest.Options) *cloudtrailtest.Server {
	b.Helper()
	opts.OpenResources, opts.NoCallLog = true, true
	srv := cloudtrailtest.New(opts)
	for i := range trails {
		account := fmt.Sprintf("%012d", i/5+1)
		_, err := srv.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + account + ":user/u"}).
			Do(region, "CreateTrail", map[string]any{
				"Name": fmt.Sprintf("trail-%d", i%5), "S3BucketName": bucket, "IsMultiRegionTrail": true,
			})
		if err != nil {
			b.Fatal(err)
		}
		srv.AddCredentials(cloudtrailtest.Credentials{AccessKeyID: "AK" + account, SecretAccessKey: "s", AccountID: account})
	}
	return srv
}

// BenchmarkFleet measures one signed call among 10,000 trails in 2,000 accounts, with request rates, a call of each
// account in turn.
func BenchmarkFleet(b *testing.B) {
	for _, c := range []struct {
		name, operation, body string
		opts                  cloudtrailtest.Options
	}{
		{"read", "DescribeTrails", "{}", cloudtrailtest.Options{}},
		{"read that lags", "DescribeTrails", "{}", cloudtrailtest.Options{ReadLagMax: time.Hour}},
		{"write", "StartLogging", `{"Name":"trail-0"}`, cloudtrailtest.Options{MaxHistory: 100}},
		{
			"write seen late", "StartLogging", `{"Name":"trail-0"}`,
			cloudtrailtest.Options{MaxHistory: 100, ReadLagMax: time.Minute},
		},
		{"lookup", "LookupEvents", `{"MaxResults":5}`, cloudtrailtest.Options{}},
		{"seeded", "DescribeTrails", "{}", cloudtrailtest.Options{Seed: 1}},
	} {
		b.Run(c.name, func(b *testing.B) {
			now := newClock()
			c.opts.Now = now.Now
			srv := fleet(b, 10_000, c.opts)
			signer := v4.NewSigner()
			body := []byte(c.body)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if i%2000 == 0 {
					now.add(time.Second)
				}
				req := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://emulator/", bytes.NewReader(body))
				req.Header.Set("Content-Type", "application/x-amz-json-1.1")
				req.Header.Set("X-Amz-Target", "CloudTrail_20131101."+c.operation)
				creds := aws.Credentials{AccessKeyID: fmt.Sprintf("AK%012d", i%2000+1), SecretAccessKey: "s"}
				if err := signer.SignHTTP(
					ctx,
					creds,
					req,
					cloudtrailtest.HexSum(body),
					"cloudtrail",
					region,
					time.Now(),
				); err != nil {
					b.Fatal(err)
				}
				rec := httptest.NewRecorder()
				srv.ServeHTTP(rec, req)
				if rec.Code != http.StatusOK {
					b.Fatal(rec.Body)
				}
			}
		})
	}
}
