package cloudtrailtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// allRegions lets multi-region trails deliver from everywhere.
func allRegions(d *cloudtrailtest.LogDelivery) { d.Regions = nil }

// TestAllRegions holds that a multi-region trail delivers from all regions of its partition, in each with its own keys.
func TestAllRegions(t *testing.T) {
	e := delivering(allRegions)
	wants(t, e.DeliverHours(e.audit(t, multiRegion), 2), "")
	keys := map[string]bool{}
	for _, at := range cloudtrailtest.DefaultRegions() {
		got := e.check(t, at, "AWSLogs/111122223333/CloudTrail-Digest/"+at+"/").intact(t)
		equal(t, "digests of "+at, got.digests > 0, !strings.HasPrefix(at, "cn-") && !strings.HasPrefix(at, "us-gov-"))
		for fingerprint := range got.keys {
			equal(t, "a key of two regions", keys[fingerprint], false)
			keys[fingerprint] = true
		}
	}
}

// delivering makes an emulator whose trails deliver.
func delivering(change ...func(*cloudtrailtest.LogDelivery)) *emulator {
	d := &cloudtrailtest.LogDelivery{LogsPerHour: 2, Regions: []string{"us-east-1"}}
	for _, f := range change {
		f(d)
	}
	return direct(func(o *cloudtrailtest.Options) { o.LogDelivery, o.Seed = d, 7 })
}

// audit makes a trail with validation that logs, and returns its ARN.
func (e *emulator) audit(t *testing.T, change ...func(*cloudtrail.CreateTrailInput)) string {
	t.Helper()
	change = append(change, func(in *cloudtrail.CreateTrailInput) { in.EnableLogFileValidation = new(true) })
	out := create(t, e.in(region), "audit", change...)
	e.startLogging(t)
	return *out.TrailARN
}

func (e *emulator) startLogging(t *testing.T) {
	t.Helper()
	_, err := e.in(region).StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: aws.String("audit")})
	wants(t, err, "")
}

func (e *emulator) stopLogging(t *testing.T) {
	t.Helper()
	_, err := e.in(region).StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: aws.String("audit")})
	wants(t, err, "")
}

func (e *emulator) update(t *testing.T, change func(*cloudtrail.UpdateTrailInput)) {
	t.Helper()
	in := &cloudtrail.UpdateTrailInput{Name: aws.String("audit")}
	change(in)
	_, err := e.in(region).UpdateTrail(ctx, in)
	wants(t, err, "")
}

// home is where the digests of the trail's own account and region are.
const home = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/"

func TestDelivery(t *testing.T) {
	e := delivering()
	e.audit(t, multiRegion)
	e.clock.add(5*time.Hour + 30*time.Minute)

	for _, at := range []string{"eu-west-1", "us-east-1"} {
		got := e.check(t, at, "AWSLogs/111122223333/CloudTrail-Digest/"+at+"/").intact(t)
		equal(t, "digests", got.digests, 5)
		equal(t, "starts", got.starts, 1)
		equal(t, "logs", got.logs, 10)
	}
	equal(t, "a region that is not among them", len(e.Objects(bucket, "AWSLogs/111122223333/CloudTrail/us-west-1")), 0)

	status, err := e.in(region).GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: aws.String("audit")})
	wants(t, err, "")
	digests := e.Objects(bucket, home)
	equal(t, "digest time", *status.LatestDigestDeliveryTime, digests[len(digests)-1].LastModified)
	logs := e.Objects(bucket, strings.Replace(home, "-Digest", "", 1))
	equal(t, "log time", *status.LatestDeliveryTime, logs[len(logs)-1].LastModified)
}

// TestChains holds what becomes of a chain when the trail changes.
func TestChains(t *testing.T) {
	off := func(in *cloudtrail.UpdateTrailInput) { in.EnableLogFileValidation = new(false) }
	on := func(in *cloudtrail.UpdateTrailInput) { in.EnableLogFileValidation = new(true) }
	for name, test := range map[string]struct {
		delivery        func(*cloudtrailtest.LogDelivery)
		then            func(t *testing.T, e *emulator)
		digests, starts int
		// logs is how many log files are listed, where that is the question.
		logs    int
		prefix  string
		buckets []string
	}{
		"stopped, and started after a while": {
			then: func(t *testing.T, e *emulator) {
				t.Helper()
				e.stopLogging(t)
				e.clock.add(5 * time.Hour)
				e.startLogging(t)
			},
			digests: 4 + 3, starts: 2, logs: 6 + 1 + 6, // One has StopLogging.
		},
		"stopped and started within the hour": {
			then: func(t *testing.T, e *emulator) {
				t.Helper()
				e.stopLogging(t)
				e.clock.add(time.Minute)
				e.startLogging(t)
			},
			digests: 4 + 3, starts: 2,
		},
		"stopped, and the chain ends early": {
			delivery: func(d *cloudtrailtest.LogDelivery) { d.EndEarly = true },
			then: func(t *testing.T, e *emulator) {
				t.Helper()
				e.stopLogging(t)
				e.clock.add(5 * time.Hour)
				e.startLogging(t)
			},
			digests: 4 + 3, starts: 2,
		},
		"validation off and on": {
			then: func(t *testing.T, e *emulator) {
				t.Helper()
				e.update(t, off)
				e.clock.add(5 * time.Hour)
				e.update(t, on)
			},
			// One log file has the call that switches it on. Those that came while it was off are not listed.
			digests: 4 + 3, starts: 2, logs: 6 + 1 + 6,
		},
		"validation off and on within the hour": {
			then: func(t *testing.T, e *emulator) {
				t.Helper()
				e.update(t, off)
				e.clock.add(time.Minute)
				e.update(t, on)
			},
			digests: 4 + 3, starts: 2,
		},
		"deleted": {
			then: func(t *testing.T, e *emulator) {
				t.Helper()
				_, err := e.in(region).DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: aws.String("audit")})
				wants(t, err, "")
			},
			digests: 4, starts: 1,
		},
		"another bucket": {
			then: func(t *testing.T, e *emulator) {
				t.Helper()
				e.update(t, func(in *cloudtrail.UpdateTrailInput) { in.S3BucketName = aws.String("trail-logs-2") })
			},
			digests: 7, starts: 1, buckets: []string{bucket, "trail-logs-2"},
		},
		"a setting that has nothing to do with it": {
			then: func(t *testing.T, e *emulator) {
				t.Helper()
				e.update(t, func(in *cloudtrail.UpdateTrailInput) { in.IncludeGlobalServiceEvents = new(false) })
			},
			digests: 7, starts: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := delivering(func(d *cloudtrailtest.LogDelivery) {
				if test.delivery != nil {
					test.delivery(d)
				}
			})
			e.audit(t)
			e.clock.add(3*time.Hour + 20*time.Minute)
			before := e.check(t, region, home).intact(t)
			equal(t, "digests before", before.digests, 3)
			test.then(t, e)
			e.clock.add(3*time.Hour + 50*time.Minute)

			got := e.check(t, region, home, test.buckets...)
			if len(test.buckets) > 0 {
				got.wrong = slices.DeleteFunc(got.wrong, func(text string) bool { return strings.HasSuffix(text, "is not there") })
			}
			got.intact(t)
			equal(t, "digests", got.digests, test.digests)
			equal(t, "starts", got.starts, test.starts)
			if test.logs > 0 {
				equal(t, "log files", got.logs, test.logs)
			}
		})
	}
}

// TestEventsAreDelivered holds that log files have the calls that were recorded, the one that stops the trail too.
func TestEventsAreDelivered(t *testing.T) {
	e := delivering(func(d *cloudtrailtest.LogDelivery) { d.LogsPerHour = 0 })
	e.audit(t)
	e.clock.add(2*time.Hour + 10*time.Minute)
	_, err := e.in(region).AddTags(ctx, &cloudtrail.AddTagsInput{
		ResourceId: aws.String("arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit"), TagsList: tagsOf("a", "b"),
	})
	wants(t, err, "")
	alice := e.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::111122223333:user/alice"})
	_, err = alice.Call(cloudtrailtest.OtherCall{Service: "kms", Region: region, Operation: "DisableKey"})
	wants(t, err, "")
	e.clock.add(20 * time.Minute)
	equal(t, "log files within minutes", len(e.Objects(bucket, "AWSLogs/111122223333/CloudTrail/")), 1)
	e.stopLogging(t)
	e.clock.add(5 * time.Hour)

	got := e.check(t, region, home).intact(t)
	got.has(t, "AddTags", "DisableKey", "StopLogging")
	equal(t, "digests", got.digests, 3)
	equal(t, "empty hours", got.empty, 2)
	equal(t, "log files", got.logs, 2)
}

func TestOrganizationDelivery(t *testing.T) {
	e := delivering()
	e.SetOrganization(cloudtrailtest.Organization{
		ID: "o-example", ManagementAccount: account, Members: []string{"444455556666"},
	})
	arn := e.audit(t, multiRegion, func(in *cloudtrail.CreateTrailInput) {
		in.IsOrganizationTrail, in.S3KeyPrefix = new(true), aws.String("some/prefix")
	})
	wants(t, e.DeliverHours(arn, 3), "")
	_, err := e.account("444455556666", "us-east-1").CreateTrail(ctx, &cloudtrail.CreateTrailInput{
		Name: aws.String("own"), S3BucketName: aws.String(bucket),
	})
	wants(t, err, "")
	e.clock.add(time.Hour)

	for _, one := range []string{account, "444455556666"} {
		for _, at := range []string{"eu-west-1", "us-east-1"} {
			got := e.check(t, at, "some/prefix/AWSLogs/o-example/"+one+"/CloudTrail-Digest/"+at+"/").intact(t)
			equal(t, "digests", got.digests, 4)
			equal(t, "starts", got.starts, 1)
			if one != account && at == "us-east-1" {
				got.has(t, "CreateTrail")
			}
		}
	}

	e.SetOrganization(cloudtrailtest.Organization{ID: "o-example", ManagementAccount: account})
	e.clock.add(5 * time.Hour)
	got := e.check(t, region, "some/prefix/AWSLogs/o-example/444455556666/CloudTrail-Digest/eu-west-1/").intact(t)
	equal(t, "digests of an account that has left", got.digests, 5)
}

// TestSharedBucket holds that trails which deliver to one place do not get in each other's way.
func TestSharedBucket(t *testing.T) {
	e := delivering()
	arn := e.audit(t)
	create(t, e.in(region), "audit_2", func(in *cloudtrail.CreateTrailInput) { in.EnableLogFileValidation = new(true) })
	_, err := e.in(region).StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: aws.String("audit_2")})
	wants(t, err, "")
	e.clock.add(4*time.Hour + 10*time.Minute)
	equal(t, "digests", len(e.Digests(arn, "", "")), 4)
	equal(t, "digests of both", len(e.Objects(bucket, home)), 8)
	// One more has the event that created the second trail.
	equal(t, "log files of both", len(e.Objects(bucket, "AWSLogs/111122223333/CloudTrail/")), 16+1)
}

func TestDeliveryOptions(t *testing.T) {
	for name, test := range map[string]struct {
		set   func(*cloudtrailtest.LogDelivery)
		hours int
		check func(t *testing.T, got checked)
	}{
		"keys rotate": {
			func(d *cloudtrailtest.LogDelivery) { d.KeyLifetime = 6 * time.Hour }, 48,
			func(t *testing.T, got checked) { t.Helper(); equal(t, "many keys", len(got.keys) >= 8, true) },
		},
		"keys in both encodings": {
			func(d *cloudtrailtest.LogDelivery) { d.KeyLifetime, d.PKIXEvery = 6*time.Hour, 2 }, 24,
			func(t *testing.T, got checked) { t.Helper(); equal(t, "many keys", len(got.keys) >= 4, true) },
		},
		"empty hours": {
			func(d *cloudtrailtest.LogDelivery) { d.EmptyHours = 0.5 }, 48,
			func(t *testing.T, got checked) {
				t.Helper()
				equal(t, "some are empty", got.empty > 10 && got.empty < 38, true)
			},
		},
		"late log files": {
			func(d *cloudtrailtest.LogDelivery) { d.LateLogs = 0.5 }, 48,
			func(t *testing.T, got checked) {
				t.Helper()
				equal(t, "backfills", got.backfills > 20, true)
				equal(t, "log files of the hours that are complete", got.logs >= 45*2, true)
			},
		},
		"many log files": {
			func(d *cloudtrailtest.LogDelivery) { d.LogsPerHour = 40 }, 3,
			func(t *testing.T, got checked) { t.Helper(); equal(t, "log files", got.logs, 120) },
		},
		"hashes without leading zeros": {
			func(d *cloudtrailtest.LogDelivery) { d.ShortHashes = true }, 160,
			func(t *testing.T, _ checked) { t.Helper() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := delivering(test.set)
			arn := e.audit(t)
			wants(t, e.DeliverHours(arn, test.hours), "")
			got := e.check(t, region, home).intact(t)
			equal(t, "digests", got.digests, test.hours)
			test.check(t, got)
		})
	}
}

func TestShortHashes(t *testing.T) {
	for short, want := range map[bool]bool{true: true, false: false} {
		e := delivering(func(d *cloudtrailtest.LogDelivery) { d.ShortHashes, d.LogsPerHour = short, 0 })
		arn := e.audit(t)
		wants(t, e.DeliverHours(arn, 160), "")
		found := slices.ContainsFunc(e.Digests(arn, "", ""), func(o cloudtrailtest.Object) bool {
			d, err := cloudtrailtest.ReadDigest(o)
			wants(t, err, "")
			return d.PreviousHash != nil && len(*d.PreviousHash) < 64
		})
		equal(t, "a short hash", found, want)
	}
}

// TestLogSize holds that log files can be as big as those of AWS.
func TestLogSize(t *testing.T) {
	e := delivering(func(d *cloudtrailtest.LogDelivery) { d.LogSize = 3 << 20 })
	wants(t, e.DeliverHours(e.audit(t), 1), "")
	for _, o := range e.Objects(bucket, "AWSLogs/111122223333/CloudTrail/") {
		equal(t, "size", len(o.Content) > 3<<20 && len(o.Content) < 4<<20, true)
	}
	equal(t, "log files", e.check(t, region, home).intact(t).logs, 2)
}

// TestBrokenBucket holds that a bucket which takes nothing gets everything when it does again.
func TestBrokenBucket(t *testing.T) {
	e := delivering()
	e.audit(t)
	e.clock.add(2*time.Hour + 30*time.Minute)
	e.PutBucket(cloudtrailtest.Bucket{Name: bucket, DenyCloudTrail: true})
	e.clock.add(3 * time.Hour)
	status, err := e.in(region).GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: aws.String("audit")})
	wants(t, err, "")
	equal(t, "error", aws.ToString(status.LatestDeliveryError), "AccessDenied")
	equal(t, "error of digests", aws.ToString(status.LatestDigestDeliveryError), "AccessDenied")
	equal(t, "digests", e.check(t, region, home).intact(t).digests, 2)

	e.PutBucket(cloudtrailtest.Bucket{Name: bucket})
	e.clock.add(2 * time.Hour)
	got := e.check(t, region, home).intact(t)
	equal(t, "digests", got.digests, 7)
	equal(t, "log files", got.logs, 14)
	status, err = e.in(region).GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: aws.String("audit")})
	wants(t, err, "")
	equal(t, "no error", status.LatestDeliveryError == nil && status.LatestDigestDeliveryError == nil, true)

	wants(t, map[bool]error{false: fmt.Errorf("no trail")}[e.SetDelivery(
		"arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit",
		cloudtrailtest.Delivery{LatestDigestDeliveryError: aws.String("InternalError")},
	)], "")
	e.clock.add(2 * time.Hour)
	equal(t, "digests with an error that was set", e.check(t, region, home).intact(t).digests, 7)
}

// TestFastDelivery holds that an hour can last a second.
func TestFastDelivery(t *testing.T) {
	e := delivering(func(d *cloudtrailtest.LogDelivery) { d.Hour = time.Second })
	began := e.clock.Now()
	e.audit(t)
	for range 25 {
		e.clock.add(time.Second / 5)
		e.check(t, region, home).intact(t)
	}
	got := e.check(t, region, home).intact(t)
	equal(t, "digests", got.digests >= 4 && got.digests <= 5, true)
	equal(t, "time", e.DeliveryTime(), began.Add(5*time.Hour))
	last := e.Objects(bucket, home)
	equal(t, "S3 has the same time", last[len(last)-1].LastModified.After(began.Add(4*time.Hour)), true)
}

// TestDeliveryInBubble holds that deliveries need no time and leave no goroutine in a bubble.
func TestDeliveryInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := cloudtrailtest.New(cloudtrailtest.Options{
			OpenResources: true, NoRateLimit: true,
			LogDelivery: &cloudtrailtest.LogDelivery{LogsPerHour: 1, Regions: []string{"ap-south-1"}},
		})
		e := &emulator{srv, "http://emulator", nil, srv.Client()}
		e.audit(t, multiRegion)
		<-time.After(26 * time.Hour)
		for _, at := range []string{"eu-west-1", "ap-south-1"} {
			got := e.check(t, at, "AWSLogs/111122223333/CloudTrail-Digest/"+at+"/").intact(t)
			equal(t, "digests", got.digests, 25)
		}
	})
}

// TestDeliveryIsRepeatable holds that a seed decides every byte, however often somebody looks.
func TestDeliveryIsRepeatable(t *testing.T) {
	run := func(looks int) []cloudtrailtest.Object {
		e := delivering(func(d *cloudtrailtest.LogDelivery) { d.LateLogs, d.EmptyHours = 0.2, 0.2 })
		e.audit(t, multiRegion)
		for range looks {
			e.clock.add(12 * time.Hour / time.Duration(looks))
			e.Objects(bucket, "")
		}
		return e.Objects(bucket, "")
	}
	once, often := run(1), run(200)
	equal(t, "objects", len(often), len(once))
	for i := range once {
		equal(t, "key", often[i].Key, once[i].Key)
		equal(t, "content", string(often[i].Content), string(once[i].Content))
		equal(t, "signature", often[i].Metadata["signature"], once[i].Metadata["signature"])
	}
}

// TestDeliveredObjectsExpire holds that an emulator which runs for long does not grow.
func TestDeliveredObjectsExpire(t *testing.T) {
	e := delivering(func(d *cloudtrailtest.LogDelivery) { d.Keep = 24 * time.Hour })
	arn := e.audit(t)
	counts := map[int]bool{}
	for range 20 {
		e.clock.add(24 * time.Hour)
		counts[len(e.Digests(arn, "", ""))] = true
		equal(t, "objects", len(e.Objects(bucket, "")) <= 25*3, true)
	}
	equal(t, "what the server keeps", e.DeliveredObjects() <= 25*3, true)
	wants(t, e.DeliverHours(arn, 25), "no log delivery: objects are kept for 24h0m0s, which is less than 25 hours")
}

func TestNoDelivery(t *testing.T) {
	e := direct()
	arn := e.audit(t)
	e.clock.add(5 * time.Hour)
	equal(t, "objects", len(e.Objects(bucket, "")), 0)
	wants(t, e.DeliverHours(arn, 1), "no log delivery: it is switched off")
	_, on := e.LogDelivery()
	equal(t, "on", on, false)

	e.SetLogDelivery(&cloudtrailtest.LogDelivery{})
	e.clock.add(2*time.Hour + 10*time.Minute)
	equal(t, "digests of a trail that logged before", e.check(t, region, home).intact(t).digests, 2)
	e.SetLogDelivery(&cloudtrailtest.LogDelivery{Hour: time.Minute})
	e.clock.add(2 * time.Minute)
	got := e.check(t, region, home).intact(t)
	equal(t, "digests of the same chain, faster", got.digests, 4)
	equal(t, "starts", got.starts, 1)

	e.SetLogDelivery(nil)
	e.clock.add(5 * time.Hour)
	equal(t, "digests", len(e.Digests(arn, "", "")), 4)
	e.Reset()
	equal(t, "objects after a reset", len(e.Objects(bucket, "")), 0)
}

func TestPublicKeys(t *testing.T) {
	e := delivering()
	client := e.in(region)
	now := e.clock.Now()
	list := func(from, to *time.Time) []string {
		t.Helper()
		out, err := client.ListPublicKeys(ctx, &cloudtrail.ListPublicKeysInput{StartTime: from, EndTime: to})
		wants(t, err, "")
		var prints []string
		for _, key := range out.PublicKeyList {
			equal(t, "validity", key.ValidityEndTime.Sub(*key.ValidityStartTime), 30*24*time.Hour)
			prints = append(prints, *key.Fingerprint)
		}
		return prints
	}

	current := list(nil, nil)
	equal(t, "current keys", len(current), 1)
	year := list(aws.Time(now.AddDate(-1, 0, 0)), nil)
	equal(t, "keys of a year", len(year) == 13 || len(year) == 14, true)
	equal(t, "the last one", year[len(year)-1], current[0])
	equal(t, "keys of the future", len(list(aws.Time(now.AddDate(0, 0, -1)), aws.Time(now.AddDate(1, 0, 0)))) <= 2, true)

	other, err := e.in("us-east-1").
		ListPublicKeys(ctx, &cloudtrail.ListPublicKeysInput{StartTime: aws.Time(now.AddDate(-1, 0, 0))})
	wants(t, err, "")
	for _, key := range other.PublicKeyList {
		equal(t, "a key of two regions", slices.Contains(year, *key.Fingerprint), false)
	}

	_, err = client.ListPublicKeys(
		ctx,
		&cloudtrail.ListPublicKeysInput{StartTime: &now, EndTime: aws.Time(now.Add(-time.Hour))},
	)
	wants(t, err, "InvalidTimeRangeException")
	_, err = client.ListPublicKeys(ctx, &cloudtrail.ListPublicKeysInput{StartTime: aws.Time(now.Add(time.Hour))})
	wants(t, err, "InvalidTimeRangeException")
	_, err = client.ListPublicKeys(ctx, &cloudtrail.ListPublicKeysInput{NextToken: aws.String("x")})
	wants(t, err, "InvalidTokenException")
}

// TestKeysAtRotation holds that a range which ends with a digest may not have the key that signed it afterwards.
func TestKeysAtRotation(t *testing.T) {
	e := delivering(func(d *cloudtrailtest.LogDelivery) { d.KeyLifetime, d.Keep = time.Hour, 30*24*time.Hour })
	arn := e.audit(t)
	wants(t, e.DeliverHours(arn, 300), "")
	missed := 0
	for _, o := range e.Digests(arn, "", "") {
		d, err := cloudtrailtest.ReadDigest(o)
		wants(t, err, "")
		out, err := e.in(region).ListPublicKeys(ctx, &cloudtrail.ListPublicKeysInput{
			StartTime: aws.Time(parse(d.StartTime)), EndTime: aws.Time(parse(d.EndTime)),
		})
		wants(t, err, "")
		found := false
		for _, key := range out.PublicKeyList {
			found = found || *key.Fingerprint == d.Fingerprint
		}
		if !found {
			missed++
		}
	}
	equal(t, "some are signed by the next key", missed > 0 && missed < 60, true)
}

func TestDisabledRegions(t *testing.T) {
	e := delivering()
	e.DisableRegions(account, "us-east-1", "ap-east-1")
	arn := e.audit(t, multiRegion)
	wants(t, e.DeliverHours(arn, 2), "")
	equal(t, "objects", len(e.Objects(bucket, "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/")), 0)
	_, err := e.in("ap-east-1").ListPublicKeys(ctx, &cloudtrail.ListPublicKeysInput{})
	wants(t, err, "UnrecognizedClientException")
	_, err = e.account("444455556666", "ap-east-1").ListPublicKeys(ctx, &cloudtrail.ListPublicKeysInput{})
	wants(t, err, "")
	_, err = e.s3("test", "test", "ap-east-1").ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	wants(t, err, "InvalidAccessKeyId")

	e.DisableRegions(account)
	e.clock.add(2*time.Hour + 10*time.Minute)
	got := e.check(t, "us-east-1", "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/").intact(t)
	equal(t, "digests of a region that was enabled", got.digests, 2)
}
