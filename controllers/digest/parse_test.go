package digest

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5" //nolint:gosec // CloudTrail's fingerprints.
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"
)

func packed(t testing.TB, contents ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, content := range contents {
		writer := gzip.NewWriter(&out)
		if _, err := io.WriteString(writer, content); err != nil {
			t.Fatal(err)
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// TestGunzip holds that a file is one gzip member and nothing else.
func TestGunzip(t *testing.T) {
	t.Parallel()
	one := packed(t, "content")
	interrupted := errors.New("interrupted")
	full := errors.New("full")
	for name, test := range map[string]struct {
		from   io.Reader
		to     io.Writer
		limit  int64
		expect error
	}{
		"one member":         {from: bytes.NewReader(one)},
		"in single bytes":    {from: iotest.OneByteReader(bytes.NewReader(one))},
		"with its end":       {from: iotest.DataErrReader(bytes.NewReader(one))},
		"two members":        {from: bytes.NewReader(packed(t, "content", "more")), expect: errBehind},
		"an empty member":    {from: bytes.NewReader(packed(t, "content", "")), expect: errBehind},
		"a byte behind":      {from: bytes.NewReader(append(bytes.Clone(one), 0)), expect: errBehind},
		"empty":              {from: bytes.NewReader(nil), expect: errNotGzip},
		"not packed":         {from: bytes.NewReader([]byte("content")), expect: errNotGzip},
		"cut":                {from: bytes.NewReader(one[:len(one)-1]), expect: errNotGzip},
		"as large as it may": {from: bytes.NewReader(one), limit: 7},
		"too large":          {from: bytes.NewReader(one), limit: 6, expect: errTooLarge},
		"interrupted": {
			from:   io.MultiReader(bytes.NewReader(one[:len(one)/2]), iotest.ErrReader(interrupted)),
			expect: interrupted,
		},
		"interrupted at its end": {from: io.MultiReader(bytes.NewReader(one), iotest.ErrReader(interrupted)), expect: interrupted},
		"nowhere to write":       {from: bytes.NewReader(one), to: failingWriter{full}, expect: full},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if test.to == nil {
				test.to = &out
			}
			if test.limit == 0 {
				test.limit = 1000
			}
			n, err := gunzip(test.to, test.from, test.limit)
			if !errors.Is(err, test.expect) || test.expect == nil && err != nil {
				t.Fatal(err)
			}
			if err == nil && (out.String() != "content" || n != int64(len(one))) {
				t.Errorf("%q of %d bytes", out.String(), n)
			}
		})
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

// TestParseKey holds which keys are taken. CloudTrail's own example is in both encodings.
func TestParseKey(t *testing.T) {
	t.Parallel()
	fingerprint := func(der []byte) string {
		sum := md5.Sum(der) //nolint:gosec // CloudTrail's fingerprints.
		return hex.EncodeToString(sum[:])
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	elliptical, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]PublicKey{
		"an elliptic curve": {Fingerprint: fingerprint(elliptical), DER: elliptical},
		"no key":            {Fingerprint: fingerprint([]byte("key")), DER: []byte("key")},
		"another's":         {Fingerprint: fingerprint(nil), DER: elliptical},
	} {
		if _, err := parseKey(key); err == nil {
			t.Error(name)
		}
	}
}

const realHeader = `{"awsAccountId":"123456789012","digestStartTime":"2015-08-17T14:01:31Z",
"digestEndTime":"2015-08-17T15:01:31Z","digestS3Bucket":"amzn-s3-demo-bucket","digestS3Object":"AWSLogs/1/x.json.gz",
"digestPublicKeyFingerprint":"31e8b5433410dfb61a9dc45cc65b22ff","digestSignatureAlgorithm":"SHA256withRSA",
"newestEventTime":"2015-08-17T14:52:27Z","oldestEventTime":null,"previousDigestS3Bucket":"amzn-s3-demo-bucket",
"previousDigestS3Object":"AWSLogs/1/w.json.gz","previousDigestHashValue":"97fb791cf91ffc440d274f8190dbdd9aa09c34432aba82739df18b6d3c13df2",
"previousDigestHashAlgorithm":"SHA-256","previousDigestSignature":"50887CCF","logFiles":[{"s3Bucket":"amzn-s3-demo-bucket",
"s3Object":"AWSLogs/1/l.json.gz","hashValue":"9bb6196fc6b84d6f075a56548feca262bd99ba3c2de41b618e5b6e22c1fc71f6",
"hashAlgorithm":"SHA-256","newestEventTime":"2015-08-17T14:52:27Z","oldestEventTime":"2015-08-17T14:42:27Z"}]}`

// TestParseHeader holds what is read of a digest as it is documented.
func TestParseHeader(t *testing.T) {
	t.Parallel()
	h, err := parseHeader([]byte(realHeader))
	if err != nil {
		t.Fatal(err)
	}
	logs, err := h.logFiles()
	if err != nil || len(logs) != 1 || logs[0].Key != "AWSLogs/1/l.json.gz" {
		t.Errorf("%v, %v", logs, err)
	}
	if l := h.link(); l.signature != "50887ccf" || len(l.hash) != 64 || l.hash[:2] != "09" ||
		l.key != "AWSLogs/1/w.json.gz" {
		t.Errorf("%+v", l)
	}
	const text = "2015-08-17T15:01:31Z\nb/k\nhash\n50887CCF"
	if signed := signedText(h, "b", "k", "hash"); signed != text {
		t.Errorf("%q is signed", signed)
	}
	h.PreviousSignature = nil
	if signed := signedText(h, "b", "k", "hash"); signed != "2015-08-17T15:01:31Z\nb/k\nhash\nnull" {
		t.Errorf("%q is signed", signed)
	}
}

// FuzzDigest holds that nothing that can be written into a bucket breaks what reads it.
func FuzzDigest(f *testing.F) {
	for _, content := range []string{
		realHeader, `{}`, `[]`, `null`, ``, `{"logFiles":null}`, `{"logFiles":{}}`, `{"logFiles":[null,1,"",{}]}`,
		`{"digestEndTime":"9999-99-99T99:99:99Z"}`, `{"previousDigestSignature":1}`, "{\"digestS3Object\":\"\\u0000\\n\"}",
	} {
		f.Add([]byte(content), "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/02/27/"+
			"111122223333_CloudTrail-Digest_us-east-1_main_eu-west-1_20260227T003649Z.json.gz")
	}
	f.Add(packed(f, realHeader), "/")
	f.Add(packed(f, realHeader, ""), "2026/02/27/")
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}, "")
	names := namingOf(Trail{Name: "main", HomeRegion: "eu-west-1"}, Chain{AccountID: "111122223333", Region: "us-east-1"})

	f.Fuzz(func(t *testing.T, content []byte, key string) {
		var out bytes.Buffer
		if n, err := gunzip(&out, bytes.NewReader(content), 1<<20); err == nil && n != int64(len(content)) {
			t.Errorf("%d of %d bytes are enough", n, len(content))
		}
		if h, err := parseHeader(content); err == nil {
			h.link()
			signedText(h, "bucket", key, "hash")
			_, _ = h.logFiles()                          //nolint:errcheck // It must not panic.
			_, _, _ = signatureOf(name{}, h, &Content{}) //nolint:errcheck // It must not panic.
		}
		if n, ok := names.parse("bucket", key); ok {
			n.logs()
			if !n.misplaced && !n.backfill && names.key(n.place, n.time) != key {
				t.Errorf("%q becomes %q", key, names.key(n.place, n.time))
			}
		}
		if n, ok := parseAny(
			names.current,
			key,
			fileOf(Chain{AccountID: "111122223333", Region: "us-east-1"}),
		); ok &&
			n.time.IsZero() {
			t.Errorf("%q has no time", key)
		}
		if written, ok := parseLogTime(key); ok && written.Equal(time.Time{}) {
			t.Errorf("%q has no time", key)
		}
		(&logCheck{log: logFile{Key: key}}).id().folder()
	})
}
