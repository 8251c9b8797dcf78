package cloudtrailtest_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// TestTamper holds that each way to tamper is one that shows, in an object that was put now, and nowhere else.
func TestTamper(t *testing.T) {
	const moved = home + "2026/03/01/111122223333_CloudTrail-Digest_eu-west-1_audit_eu-west-1_20260301T100000Z.json.gz"
	type how = cloudtrailtest.Tampering
	const (
		unverified = "verification error"
		otherHash  = "another hash"
		notNext    = "the previous digest is another one"
		elsewhere  = "has been moved"
		cutShort   = "unexpected EOF"
		archived   = "InvalidObjectState"
		foreign    = "the key is unknown"
	)
	both := []string{elsewhere, unverified}
	for name, test := range map[string]struct {
		tampering how
		// wrong is what the checker finds, changed how many objects are others than before.
		wrong   []string
		changed int
	}{
		"a digest deleted":           {how{Kind: cloudtrailtest.Delete, Position: 3}, []string{notNext}, 0},
		"the newest digest deleted":  {how{Kind: cloudtrailtest.Delete, Position: -1}, nil, 0},
		"a digest altered":           {how{Kind: cloudtrailtest.Alter}, []string{otherHash, unverified, notNext}, 1},
		"a signature altered":        {how{Kind: cloudtrailtest.AlterSignature}, []string{unverified, notNext}, 1},
		"metadata dropped":           {how{Kind: cloudtrailtest.DropMetadata, Position: -1}, []string{unverified}, 1},
		"a digest signed again":      {how{Kind: cloudtrailtest.Resign, Position: -1}, []string{otherHash, foreign}, 1},
		"a digest moved":             {how{Kind: cloudtrailtest.Move, To: moved, Position: -1}, both, 1},
		"a digest copied":            {how{Kind: cloudtrailtest.Copy, To: moved, Position: -1}, both, 1},
		"a digest replaced":          {how{Kind: cloudtrailtest.Replace, Position: -1}, both, 1},
		"a digest truncated":         {how{Kind: cloudtrailtest.Truncate, Position: -1}, []string{cutShort}, 1},
		"a digest unpacked":          {how{Kind: cloudtrailtest.Unpack, Position: -1}, []string{"invalid header"}, 1},
		"a digest archived":          {how{Kind: cloudtrailtest.Archive, Position: -1}, []string{archived}, 1},
		"bytes behind a digest":      {how{Kind: cloudtrailtest.AppendBytes, Position: -1}, []string{"6 bytes behind"}, 1},
		"a log file deleted":         {how{Kind: cloudtrailtest.Delete, Position: 2, Log: 1}, []string{"NoSuchKey"}, 0},
		"a log file altered":         {how{Kind: cloudtrailtest.Alter, Position: 2, Log: 2}, []string{otherHash}, 1},
		"bytes behind a log file":    {how{Kind: cloudtrailtest.AppendBytes, Log: 1}, []string{"6 bytes behind"}, 1},
		"a member behind a log file": {how{Kind: cloudtrailtest.AppendMember, Log: 1}, []string{"bytes behind"}, 1},
		"a log file truncated":       {how{Kind: cloudtrailtest.Truncate, Log: 1}, []string{cutShort}, 1},
		"a log file archived":        {how{Kind: cloudtrailtest.Archive, Log: 1}, []string{archived}, 1},
		"a log file planted":         {how{Kind: cloudtrailtest.Plant, Position: 2}, nil, 1},
		"the newest deleted":         {how{Kind: cloudtrailtest.DeleteNewest, Count: 2, WithLogs: true}, nil, 0},
		"a region deleted":           {how{Kind: cloudtrailtest.DeleteRegion}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := delivering()
			arn := e.audit(t, multiRegion)
			wants(t, e.DeliverHours(arn, 6), "")
			e.check(t, region, home).intact(t)
			before := e.Objects(bucket, "")

			test.tampering.TrailARN = arn
			keys, err := e.Tamper(test.tampering)
			wants(t, err, "")
			for _, want := range test.wrong {
				got := e.check(t, region, home).wrong
				equal(t, "finds "+want+" in "+strings.Join(got, "\n"),
					slices.ContainsFunc(got, func(text string) bool { return strings.Contains(text, want) }), true)
			}
			e.check(t, "us-east-1", strings.ReplaceAll(home, region, "us-east-1")).intact(t)

			changed := 0
			for _, o := range e.Objects(bucket, "") {
				same := slices.ContainsFunc(before, func(was cloudtrailtest.Object) bool {
					return was.Key == o.Key && was.LastModified.Equal(o.LastModified) && bytes.Equal(was.Content, o.Content)
				})
				if !same {
					changed++
					equal(t, "key", slices.Contains(keys, o.Key), true)
					equal(t, "time", o.LastModified, e.DeliveryTime())
				}
			}
			equal(t, "changed", changed, test.changed)
		})
	}
}

func TestTamperWithWhat(t *testing.T) {
	e := delivering(func(d *cloudtrailtest.LogDelivery) { d.EmptyHours = 1 })
	arn := e.audit(t)
	wants(t, e.DeliverHours(arn, 3), "")
	put(t, e.s3("test", "test", region), "plain", "this is no gzip file")
	for want, tampering := range map[string]cloudtrailtest.Tampering{
		`there is no trail "x"`:                  {Kind: cloudtrailtest.Delete, TrailARN: "x"},
		"the chain has 3 digests and none at 3":  {Kind: cloudtrailtest.Delete, TrailARN: arn, Position: 3},
		"the digest lists 0 log files":           {Kind: cloudtrailtest.Delete, TrailARN: arn, Log: 1},
		"to which key?":                          {Kind: cloudtrailtest.Move, TrailARN: arn},
		"the object has no signature":            {Kind: cloudtrailtest.AlterSignature, Bucket: bucket, Key: "plain"},
		"gzip: invalid header":                   {Kind: cloudtrailtest.Alter, Bucket: bucket, Key: "plain"},
		"there is no digest before it":           {Kind: cloudtrailtest.Replace, TrailARN: arn},
		`"Nothing" is not a kind`:                {Kind: "Nothing", TrailARN: arn},
		`there is no object "y" in bucket "x"`:   {Kind: cloudtrailtest.Delete, Bucket: "x", Key: "y"},
		"the chain has 3 digests, not 4":         {Kind: cloudtrailtest.DeleteNewest, TrailARN: arn, Count: 4},
		"in which bucket?":                       {Kind: cloudtrailtest.Plant, Key: "y"},
		"the chain has 3 digests and none at -4": {Kind: cloudtrailtest.Plant, TrailARN: arn, Position: -4},
		`there is no trail "arn:x"`:              {Kind: cloudtrailtest.DeleteRegion, TrailARN: "arn:x"},
	} {
		_, err := e.Tamper(tampering)
		wants(t, err, "cannot tamper: "+want)
	}

	// Digests of empty hours can be altered, too.
	_, err := e.Tamper(cloudtrailtest.Tampering{Kind: cloudtrailtest.Alter, TrailARN: arn, Position: -1})
	wants(t, err, "")
	equal(t, "wrong", len(e.check(t, region, home).wrong) > 0, true)
	keys, err := e.Tamper(
		cloudtrailtest.Tampering{Kind: cloudtrailtest.Plant, Bucket: bucket, Key: "AWSLogs/planted.json.gz"},
	)
	wants(t, err, "")
	equal(t, "planted", keys[0], "AWSLogs/planted.json.gz")
}

// TestTamperThroughS3 holds that people can tamper as they do with AWS.
func TestTamperThroughS3(t *testing.T) {
	e := delivering()
	arn := e.audit(t)
	wants(t, e.DeliverHours(arn, 3), "")
	client := e.s3("test", "test", region)
	digests := e.Digests(arn, "", "")
	_, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &digests[1].Key})
	wants(t, err, "")
	put(t, client, digests[2].Key, "nothing")
	equal(t, "wrong", len(e.check(t, region, home).wrong), 1)
	e.clock.add(time.Hour)
	equal(t, "digests go on", len(e.Digests(arn, "", "")), 3)
}
