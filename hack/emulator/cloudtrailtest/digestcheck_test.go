package cloudtrailtest_test

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/md5" //nolint:gosec // what CloudTrail makes fingerprints of
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// checked is what became of the digests of a region: how many are good, and what is wrong with the others.
type checked struct {
	digests, backfills, starts, logs, empty int
	keys                                    map[string]bool
	events                                  []string
	last                                    time.Time
	wrong                                   []string
}

// checker checks digests as AWS describes it, with what S3 and ListPublicKeys answer.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html
type checker struct {
	s3   *s3.Client
	keys map[string][]byte
	out  checked
}

// check checks all digests under a prefix.
func (e *emulator) check(t *testing.T, region, prefix string, buckets ...string) checked {
	t.Helper()
	if len(buckets) == 0 {
		buckets = []string{bucket}
	}
	list, err := e.in(region).ListPublicKeys(ctx, &cloudtrail.ListPublicKeysInput{
		StartTime: aws.Time(e.DeliveryTime().AddDate(0, -3, 0)), EndTime: aws.Time(e.DeliveryTime()),
	})
	wants(t, err, "")
	c := &checker{s3: e.s3("test", "test", "eu-west-1"), keys: map[string][]byte{}, out: checked{keys: map[string]bool{}}}
	for _, key := range list.PublicKeyList {
		sum := md5.Sum(key.Value) //nolint:gosec // what CloudTrail makes fingerprints of
		equal(t, "fingerprint", aws.ToString(key.Fingerprint), hex.EncodeToString(sum[:]))
		equal(t, "validity", key.ValidityEndTime.After(*key.ValidityStartTime), true)
		c.keys[*key.Fingerprint] = key.Value
	}

	for _, from := range buckets {
		var previous *digest
		pages := s3.NewListObjectsV2Paginator(
			c.s3,
			&s3.ListObjectsV2Input{Bucket: &from, Prefix: &prefix, MaxKeys: aws.Int32(7)},
		)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			wants(t, err, "")
			for _, o := range page.Contents {
				previous = c.digest(from, *o.Key, previous)
			}
		}
	}
	return c.out
}

// digest is a digest that was read.
type digest struct {
	cloudtrailtest.Digest
	hash, signature string
}

func (c *checker) complain(key, format string, args ...any) {
	c.out.wrong = append(c.out.wrong, key[strings.LastIndexByte(key, '/')+1:]+": "+fmt.Sprintf(format, args...))
}

// digest checks one digest, and that it follows the one before it in the list.
func (c *checker) digest(from, key string, previous *digest) *digest {
	raw, metadata, err := c.read(from, key)
	if err != nil {
		c.complain(key, "%v", err)
		return nil
	}
	d := &digest{signature: metadata["signature"], hash: hashOf(raw)}
	if err := json.Unmarshal(raw, &d.Digest); err != nil {
		c.complain(key, "%v", err)
		return nil
	}
	if d.Bucket != from || d.Object != key {
		c.complain(key, "has been moved")
	}
	before := "null"
	if d.PreviousSignature != nil {
		before = *d.PreviousSignature
	}
	toSign := d.EndTime + "\n" + from + "/" + key + "\n" + d.hash + "\n" + before
	if err := verifySignature(c.keys[d.Fingerprint], toSign, d.signature); err != nil {
		c.complain(key, "%v", err)
	}

	c.out.keys[d.Fingerprint] = true
	for _, log := range d.LogFiles {
		c.log(log)
	}
	if strings.HasSuffix(key, "_backfill.json.gz") {
		if metadata["backfill-generation-timestamp"] == "" {
			c.complain(key, "no time of its generation")
		}
		c.out.backfills++
		return previous
	}
	c.follows(key, d, previous)
	return d
}

// follows checks the chain.
func (c *checker) follows(key string, d, previous *digest) {
	c.out.digests++
	if len(d.LogFiles) == 0 {
		c.out.empty++
		if d.OldestEventTime != nil || d.NewestEventTime != nil || d.LogFiles == nil {
			c.complain(key, "an empty hour has times of events")
		}
	}
	c.out.last = parse(d.EndTime)
	if stamp := parse(d.EndTime).Format("20060102T150405Z"); !strings.Contains(key, stamp) {
		c.complain(key, "the name is not that of %s", stamp)
	}
	if d.PreviousObject == nil {
		c.out.starts++
		if d.PreviousBucket != nil || d.PreviousHash != nil || d.PreviousSignature != nil || d.PreviousHashAlgorithm != nil {
			c.complain(key, "half a previous digest")
		}
		return
	}
	switch {
	case previous == nil:
		c.complain(key, "the previous digest is not there")
	case *d.PreviousObject != previous.Object, *d.PreviousBucket != previous.Bucket,
		strings.TrimLeft(*d.PreviousHash, "0") != strings.TrimLeft(previous.hash, "0"),
		*d.PreviousSignature != previous.signature:
		c.complain(key, "the previous digest is another one")
	case d.StartTime != previous.EndTime:
		c.complain(key, "begins at %s and not at %s", d.StartTime, previous.EndTime)
	}
}

func (c *checker) log(log cloudtrailtest.DigestLog) {
	raw, _, err := c.read(log.Bucket, log.Object)
	switch {
	case err != nil:
		c.complain(log.Object, "%v", err)
		return
	case hashOf(raw) != log.Hash:
		c.complain(log.Object, "another hash")
	}
	var content struct {
		Records []struct {
			Name string `json:"eventName"`
			Time string `json:"eventTime"`
		}
	}
	if err := json.Unmarshal(raw, &content); err != nil {
		c.complain(log.Object, "%v", err)
	}
	for _, record := range content.Records {
		c.out.events = append(c.out.events, record.Name)
		if record.Time < log.Oldest || record.Time > log.Newest {
			c.complain(log.Object, "an event of %s is not between %s and %s", record.Time, log.Oldest, log.Newest)
		}
	}
	c.out.logs++
}

// read returns an object's unpacked content, which has to be one gzip stream and nothing more.
func (c *checker) read(from, key string) ([]byte, map[string]string, error) {
	out, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &from, Key: &key})
	if err != nil {
		return nil, nil, fmt.Errorf("%s", code(err))
	}
	stored, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, nil, err
	}
	behind := bytes.NewReader(stored)
	gz, err := gzip.NewReader(behind)
	if err != nil {
		return nil, nil, err
	}
	gz.Multistream(false)
	raw, err := io.ReadAll(gz)
	if err == nil && behind.Len() > 0 {
		err = fmt.Errorf("%d bytes behind the content", behind.Len())
	}
	return raw, out.Metadata, err
}

func hashOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func parse(text string) time.Time {
	at, err := time.Parse("2006-01-02T15:04:05Z", text)
	if err != nil {
		panic(err)
	}
	return at
}

// verifySignature verifies with a key in either encoding.
func verifySignature(der []byte, toSign, signature string) error {
	if der == nil {
		return fmt.Errorf("the key is unknown")
	}
	key, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		parsed, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			return err
		}
		var isRSA bool
		if key, isRSA = parsed.(*rsa.PublicKey); !isRSA {
			return fmt.Errorf("a key of type %T", parsed)
		}
	}
	raw, err := hex.DecodeString(signature)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(toSign))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], raw)
}

// intact fails the test if anything is wrong.
func (c checked) intact(t *testing.T) checked {
	t.Helper()
	if len(c.wrong) > 0 {
		t.Fatalf("wrong:\n%s", strings.Join(c.wrong, "\n"))
	}
	return c
}

func (c checked) has(t *testing.T, events ...string) {
	t.Helper()
	for _, name := range events {
		if !slices.Contains(c.events, name) {
			t.Fatalf("no %s in the log files: %v", name, c.events)
		}
	}
}
