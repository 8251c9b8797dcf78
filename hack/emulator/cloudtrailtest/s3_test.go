package cloudtrailtest_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// s3 returns a client of S3, which does not retry.
func (e *emulator) s3(id, secret, region string, change ...func(*s3.Options)) *s3.Client {
	o := s3.Options{
		Region: region, BaseEndpoint: aws.String(e.url), RetryMaxAttempts: 1, HTTPClient: e.http, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	}
	for _, f := range change {
		f(&o)
	}
	return s3.New(o)
}

func put(t *testing.T, client *s3.Client, key, content string, change ...func(*s3.PutObjectInput)) {
	t.Helper()
	in := &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(content)}
	for _, f := range change {
		f(in)
	}
	_, err := client.PutObject(ctx, in)
	wants(t, err, "")
}

func get(client *s3.Client, key string) (string, *s3.GetObjectOutput, error) {
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		return "", nil, err
	}
	raw, err := io.ReadAll(out.Body)
	return string(raw), out, err
}

// awkward is a key with everything that is encoded in a path, or is not.
const awkward = "a b/+=&%41:@!$'()*,;~-_.é/x.json.gz"

func TestObjects(t *testing.T) {
	for name, change := range map[string]func(*s3.Options){
		"path style":       func(*s3.Options) {},
		"virtual host":     func(o *s3.Options) { o.UsePathStyle = false },
		"AWS's endpoints":  func(o *s3.Options) { o.UsePathStyle, o.BaseEndpoint = false, nil },
		"AWS's path style": func(o *s3.Options) { o.BaseEndpoint = nil },
	} {
		t.Run(name, func(t *testing.T) {
			e := direct()
			client := e.s3("test", "test", region, change)
			put(t, client, awkward, "hello", func(in *s3.PutObjectInput) {
				in.Metadata = map[string]string{"Signature": "abc"}
				in.ContentEncoding = aws.String("gzip")
			})

			content, out, err := get(client, awkward)
			wants(t, err, "")
			equal(t, "content", content, "hello")
			equal(t, "metadata", out.Metadata["signature"], "abc")
			equal(t, "encoding", aws.ToString(out.ContentEncoding), "gzip")
			equal(t, "time", *out.LastModified, e.clock.Now())
			equal(t, "ETag", aws.ToString(out.ETag), `"5d41402abc4b2a76b9719d911017c592"`)
			head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String(awkward)})
			wants(t, err, "")
			equal(t, "size", aws.ToInt64(head.ContentLength), 5)

			_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(awkward)})
			wants(t, err, "")
			_, _, err = get(client, awkward)
			wants(t, err, "NoSuchKey")
			_, err = client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String(awkward)})
			wants(t, err, "NotFound")
		})
	}
}

// TestObjectsOverHTTP holds that objects survive a network, with requests that come with a body in chunks.
func TestObjectsOverHTTP(t *testing.T) {
	e := start(t)
	client := e.s3("test", "test", region)
	content := strings.Repeat("0123456789", 300_000)
	put(t, client, "big", content)
	got, _, err := get(client, "big")
	wants(t, err, "")
	equal(t, "content", got == content, true)
	equal(t, "stored", bytes.Equal(mustObject(t, e, "big").Content, []byte(content)), true)
}

func mustObject(t *testing.T, e *emulator, key string) cloudtrailtest.Object {
	t.Helper()
	o, ok := e.Object(bucket, key)
	if !ok {
		t.Fatalf("there is no object %q", key)
	}
	return o
}

// TestBucketAccess holds who may do what with a bucket, and what S3 answers to the others.
func TestBucketAccess(t *testing.T) {
	const reader = "444455556666"
	for name, test := range map[string]struct {
		bucket  cloudtrailtest.Bucket
		account string
		region  string
		missing string
		list    string
		head    int
	}{
		"its own account": {cloudtrailtest.Bucket{AccountID: account, Region: region}, account, region, "NoSuchKey", "", 200},
		"of nobody":       {cloudtrailtest.Bucket{}, reader, region, "NoSuchKey", "", 200},
		"another account": {
			cloudtrailtest.Bucket{AccountID: account, Region: region}, reader, region, "AccessDenied", "AccessDenied", 403,
		},
		"another account that is let in": {
			cloudtrailtest.Bucket{AccountID: account, AllowedPrincipals: []string{reader}}, reader, region, "NoSuchKey", "", 200,
		},
		"a user that is let in": {
			cloudtrailtest.Bucket{AccountID: account, AllowedPrincipals: []string{"arn:aws:iam::" + reader + ":user/*"}},
			reader, region, "NoSuchKey", "", 200,
		},
		"another user is let in": {
			cloudtrailtest.Bucket{AccountID: account, AllowedPrincipals: []string{"arn:aws:iam::" + reader + ":role/*"}},
			reader, region, "AccessDenied", "AccessDenied", 403,
		},
		"who may not list is not told what is missing": {
			cloudtrailtest.Bucket{NoList: true}, account, region, "AccessDenied", "AccessDenied", 403,
		},
		"the wrong region": {
			cloudtrailtest.Bucket{Region: "us-west-2"}, account, region, "PermanentRedirect", "PermanentRedirect", 301,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := direct()
			test.bucket.Name = bucket
			e.PutBucket(test.bucket)
			wants(t, e.PutObject(cloudtrailtest.Object{Bucket: bucket, Key: "k", Content: []byte("x")}), "")
			e.account(test.account, region)
			client := e.s3("AK"+test.account, "s", test.region)

			_, _, err := get(client, "missing")
			wants(t, err, test.missing)
			_, _, err = get(client, "k")
			wants(t, err, map[bool]string{true: "", false: test.missing}[test.list == "" || test.bucket.NoList])
			_, err = client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
			wants(t, err, test.list)

			_, err = client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(bucket)})
			status, at := 200, ""
			if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
				status, at = answer.HTTPStatusCode(), answer.Response.Header.Get("X-Amz-Bucket-Region")
			}
			equal(t, "status of HeadBucket", status, test.head)
			if test.head != 200 && test.bucket.Region != "" {
				equal(t, "region", at, test.bucket.Region)
			}
			location, err := client.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String(bucket)})
			if test.head != 403 || test.bucket.NoList {
				wants(t, err, "")
				want := s3types.BucketLocationConstraint(test.bucket.Region)
				if want == "" {
					want = region
				}
				equal(t, "location", location.LocationConstraint, want)
			}
		})
	}
}

func TestS3Errors(t *testing.T) {
	e := direct()
	client := e.s3("test", "test", region)
	e.DeleteBucket("no-such-bucket")
	_, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("no-such-bucket")})
	wants(t, err, "NoSuchBucket")
	_, err = client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("No_Bucket")})
	wants(t, err, "InvalidBucketName")
	_, err = client.GetObject(
		ctx,
		&s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), VersionId: aws.String("1")},
	)
	wants(t, err, "NotImplemented")
	_, err = client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), MaxKeys: aws.Int32(-1)})
	wants(t, err, "InvalidArgument")
	_, err = client.ListObjectsV2(
		ctx,
		&s3.ListObjectsV2Input{Bucket: aws.String(bucket), ContinuationToken: aws.String("x")},
	)
	wants(t, err, "InvalidArgument")

	e.PutBucket(cloudtrailtest.Bucket{Name: "in-america", Region: "us-west-2", AccountID: account})
	global := e.s3("test", "test", "us-east-1", func(o *s3.Options) { o.UsePathStyle = false })
	global = s3.New(global.Options(), func(o *s3.Options) { o.BaseEndpoint = aws.String("https://s3.amazonaws.com") })
	_, err = global.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("in-america")})
	wants(t, err, "AuthorizationHeaderMalformed")
	_, err = e.s3("test", "test", "us-west-2").ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: aws.String("in-america"), ExpectedBucketOwner: aws.String("444455556666"),
	})
	wants(t, err, "AccessDenied")

	for id, want := range map[string]string{"nobody": "InvalidAccessKeyId", "test": "SignatureDoesNotMatch"} {
		_, _, err = get(e.s3(id, "wrong", region), "k")
		wants(t, err, want)
	}
	put(t, client, "archived", "x", func(in *s3.PutObjectInput) { in.StorageClass = s3types.StorageClassDeepArchive })
	_, _, err = get(client, "archived")
	wants(t, err, "InvalidObjectState")
	head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("archived")})
	wants(t, err, "")
	equal(t, "class", head.StorageClass, s3types.StorageClassDeepArchive)
}

// TestS3Sessions holds that temporary credentials end at S3, too.
func TestS3Sessions(t *testing.T) {
	e := direct()
	out, err := e.sts("test", "test", "").AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::444455556666:role/reader"), RoleSessionName: aws.String("ss"),
	})
	wants(t, err, "")
	session := out.Credentials
	e.PutBucket(cloudtrailtest.Bucket{
		Name: bucket, AccountID: account, AllowedPrincipals: []string{"arn:aws:iam::444455556666:role/reader"},
	})
	client := func(token string) *s3.Client {
		return e.s3("", "", region, func(o *s3.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(*session.AccessKeyId, *session.SecretAccessKey, token)
		})
	}
	_, _, err = get(client(*session.SessionToken), "k")
	wants(t, err, "NoSuchKey")
	_, _, err = get(client("another"), "k")
	wants(t, err, "InvalidToken")
	e.RevokeSessions("arn:aws:iam::444455556666:role/reader")
	_, _, err = get(client(*session.SessionToken), "k")
	wants(t, err, "AccessDenied")
	e.ExpireSessions("arn:aws:iam::444455556666:role/reader")
	_, _, err = get(client(*session.SessionToken), "k")
	wants(t, err, "ExpiredToken")
}

func TestS3Faults(t *testing.T) {
	e := direct()
	client := e.s3("test", "test", region)
	put(t, client, "k", "0123456789")
	e.Inject(cloudtrailtest.Fault{Operation: "GetObject", Code: "SlowDown", Times: 1})
	_, _, err := get(client, "k")
	wants(t, err, "SlowDown")
	answer, _ := errors.AsType[*smithyhttp.ResponseError](err)
	equal(t, "status", answer.HTTPStatusCode(), http.StatusServiceUnavailable)

	e.Inject(
		cloudtrailtest.Fault{Operation: "ListObjectsV2", Code: "AccessDenied", PrincipalARN: "arn:aws:iam::*", Times: 1},
	)
	_, err = client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	wants(t, err, "AccessDenied")
	equal(t, "message", message(err), "User: arn:aws:iam::111122223333:user/operator is not authorized to perform: "+
		"s3:ListBucket on resource: arn:aws:s3:::trail-logs because no identity-based policy allows the s3:ListBucket action")

	e.Inject(cloudtrailtest.Fault{Operation: "GetObject", CutBody: true, Times: 1})
	_, _, err = get(client, "k")
	equal(t, "cut", errors.Is(err, io.ErrUnexpectedEOF), true)
	e.Inject(cloudtrailtest.Fault{Operation: "PutObject", NotApplied: true, Times: 1})
	put(t, client, "lost", "x")
	_, ok := e.Object(bucket, "lost")
	equal(t, "stored", ok, false)

	equal(t, "counted", e.CallCounts()["GetObject"], 2)
	calls := e.Calls()
	equal(t, "target", calls[len(calls)-1].Target, bucket+"/lost")
}

// listed is all keys and common prefixes of a list, page by page.
func listed(t *testing.T, client *s3.Client, in s3.ListObjectsV2Input) (keys, prefixes []string, pages int) {
	t.Helper()
	in.Bucket = aws.String(bucket)
	for p := s3.NewListObjectsV2Paginator(client, &in); p.HasMorePages(); pages++ {
		page, err := p.NextPage(ctx)
		wants(t, err, "")
		equal(t, "count", int(*page.KeyCount), len(page.Contents)+len(page.CommonPrefixes))
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
		for _, c := range page.CommonPrefixes {
			prefixes = append(prefixes, *c.Prefix)
		}
	}
	return keys, prefixes, pages
}

func TestListObjects(t *testing.T) {
	e := direct()
	client := e.s3("test", "test", region)
	for _, key := range []string{"a", "b/1", "b/2", "b/c/3", "b-4", "d/5", "gone", "z"} {
		put(t, client, key, key)
	}
	equal(t, "deleted", e.DeleteObject(bucket, "gone"), true)
	for name, test := range map[string]struct {
		in             s3.ListObjectsV2Input
		keys, prefixes string
		pages          int
	}{
		"everything":   {s3.ListObjectsV2Input{}, "a b-4 b/1 b/2 b/c/3 d/5 z", "", 1},
		"pages":        {s3.ListObjectsV2Input{MaxKeys: aws.Int32(2)}, "a b-4 b/1 b/2 b/c/3 d/5 z", "", 4},
		"a full page":  {s3.ListObjectsV2Input{MaxKeys: aws.Int32(7)}, "a b-4 b/1 b/2 b/c/3 d/5 z", "", 1},
		"a prefix":     {s3.ListObjectsV2Input{Prefix: aws.String("b/")}, "b/1 b/2 b/c/3", "", 1},
		"after a key":  {s3.ListObjectsV2Input{StartAfter: aws.String("b/1")}, "b/2 b/c/3 d/5 z", "", 1},
		"after no key": {s3.ListObjectsV2Input{StartAfter: aws.String("b/0")}, "b/1 b/2 b/c/3 d/5 z", "", 1},
		"after a key, with a prefix": {
			s3.ListObjectsV2Input{StartAfter: aws.String("b/1"), Prefix: aws.String("b/")}, "b/2 b/c/3", "", 1,
		},
		"folders": {s3.ListObjectsV2Input{Delimiter: aws.String("/")}, "a b-4 z", "b/ d/", 1},
		"folders in pages": {
			s3.ListObjectsV2Input{Delimiter: aws.String("/"), MaxKeys: aws.Int32(1)}, "a b-4 z", "b/ d/", 5,
		},
		"folders in a folder": {
			s3.ListObjectsV2Input{Delimiter: aws.String("/"), Prefix: aws.String("b/")}, "b/1 b/2", "b/c/", 1,
		},
		"nothing": {s3.ListObjectsV2Input{Prefix: aws.String("x")}, "", "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			keys, prefixes, pages := listed(t, client, test.in)
			equal(t, "keys", strings.Join(keys, " "), test.keys)
			equal(t, "prefixes", strings.Join(prefixes, " "), test.prefixes)
			equal(t, "pages", pages, test.pages)
		})
	}

	out, err := client.ListObjects(ctx, &s3.ListObjectsInput{
		Bucket: aws.String(bucket), Delimiter: aws.String("/"), MaxKeys: aws.Int32(3),
	})
	wants(t, err, "")
	equal(t, "next marker", aws.ToString(out.NextMarker), "b/")
	out, err = client.ListObjects(ctx, &s3.ListObjectsInput{
		Bucket: aws.String(bucket), Delimiter: aws.String("/"), Marker: out.NextMarker,
	})
	wants(t, err, "")
	equal(t, "rest", len(out.Contents)+len(out.CommonPrefixes), 2)

	put(t, client, awkward, "x")
	encoded, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: aws.String(bucket), EncodingType: s3types.EncodingTypeUrl, Prefix: aws.String("a b"),
	})
	wants(t, err, "")
	equal(t, "encoded", *encoded.Contents[0].Key,
		"a+b/%2B%3D%26%2541%3A%40%21%24%27%28%29%2A%2C%3B~-_.%C3%A9/x.json.gz")
}

// TestManyObjects holds that lists stay in order whatever is put and deleted.
func TestManyObjects(t *testing.T) {
	e := direct()
	client := e.s3("test", "test", region)
	want := map[string]bool{}
	for i := range 3000 {
		key := fmt.Sprintf("%d/%d", i%7, (i*7919)%3000)
		wants(t, e.PutObject(cloudtrailtest.Object{Bucket: bucket, Key: key, Content: []byte(key)}), "")
		want[key] = true
		if i%3 == 0 {
			e.DeleteObject(bucket, key)
			delete(want, key)
		}
		if i%500 == 0 {
			keys, _, _ := listed(t, client, s3.ListObjectsV2Input{})
			equal(t, "sorted", slices.IsSorted(keys), true)
			equal(t, "number", len(keys), len(want))
		}
	}
	keys, _, pages := listed(t, client, s3.ListObjectsV2Input{})
	equal(t, "number", len(keys), len(want))
	equal(t, "pages", pages, 2)
	for _, key := range keys {
		equal(t, key, want[key], true)
	}
}

func TestCopyAndRange(t *testing.T) {
	e := direct()
	client := e.s3("test", "test", region)
	put(
		t,
		client,
		"from",
		"0123456789",
		func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"signature": "abc"} },
	)
	e.clock.add(time.Hour)
	copied := func(change func(*s3.CopyObjectInput)) error {
		in := &s3.CopyObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("to"), CopySource: aws.String(bucket + "/from"),
		}
		change(in)
		_, err := client.CopyObject(ctx, in)
		return err
	}
	wants(t, copied(func(*s3.CopyObjectInput) {}), "")
	o := mustObject(t, e, "to")
	equal(t, "metadata", o.Metadata["signature"], "abc")
	equal(t, "time", o.LastModified, e.clock.Now())
	wants(t, copied(func(in *s3.CopyObjectInput) { in.MetadataDirective = s3types.MetadataDirectiveReplace }), "")
	equal(t, "metadata", len(mustObject(t, e, "to").Metadata), 0)
	wants(t, copied(func(in *s3.CopyObjectInput) { in.Key = aws.String("from") }), "InvalidRequest")
	wants(t, copied(func(in *s3.CopyObjectInput) { in.CopySource = aws.String(bucket + "/missing") }), "NoSuchKey")

	for bytes, want := range map[string]string{
		"bytes=0-3": "0123", "bytes=8-": "89", "bytes=8-100": "89", "bytes=10-": "InvalidRange", "x": "InvalidRange",
	} {
		out, err := client.GetObject(ctx, &s3.GetObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("from"), Range: aws.String(bytes),
		})
		if err != nil {
			wants(t, err, want)
			continue
		}
		raw, err := io.ReadAll(out.Body)
		wants(t, err, "")
		equal(t, bytes, string(raw), want)
	}
}

// signedRequest is a request to put an object that is signed by hand.
type signedRequest struct {
	payload string
	body    string
	header  map[string]string
	when    time.Time
	after   func(*http.Request)
}

// send signs the request, changes it afterwards, and returns the code of the error that is answered, "" for none.
func (r signedRequest) send(t *testing.T, e *emulator) string {
	t.Helper()
	in, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://s3.eu-west-1.amazonaws.com/"+bucket+"/k",
		strings.NewReader(r.body))
	wants(t, err, "")
	if r.payload != "" {
		in.Header.Set("X-Amz-Content-Sha256", r.payload)
	}
	for name, value := range r.header {
		in.Header.Set(name, value)
	}
	when := time.Now()
	if !r.when.IsZero() {
		when = r.when
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	keys := aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}
	wants(t, signer.SignHTTP(ctx, keys, in, r.payload, "s3", region, when), "")
	if r.after != nil {
		r.after(in)
	}
	out, err := e.http.Do(in)
	wants(t, err, "")
	raw, err := io.ReadAll(out.Body)
	wants(t, err, "")
	wants(t, out.Body.Close(), "")
	if out.StatusCode == http.StatusOK {
		return ""
	}
	var failure struct{ Code string }
	wants(t, xml.Unmarshal(raw, &failure), "")
	return failure.Code
}

func TestS3Signatures(t *testing.T) {
	const (
		unsigned = "UNSIGNED-PAYLOAD"
		trailing = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
		signed   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	)
	hello, other := cloudtrailtest.HexSum([]byte("hello")), cloudtrailtest.HexSum([]byte("other"))
	chunked := map[string]string{"Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": "5"}
	with := func(name, value string) map[string]string { return map[string]string{name: value} }
	for name, test := range map[string]struct {
		signedRequest
		want string
	}{
		"a hash":          {signedRequest{payload: hello, body: "hello"}, ""},
		"unsigned":        {signedRequest{payload: unsigned, body: "hello"}, ""},
		"another hash":    {signedRequest{payload: other, body: "hello"}, "XAmzContentSHA256Mismatch"},
		"no hash":         {signedRequest{body: "hello"}, "MissingSecurityHeader"},
		"too long ago":    {signedRequest{payload: unsigned, when: time.Now().Add(-time.Hour)}, "RequestTimeTooSkewed"},
		"ten minutes ago": {signedRequest{payload: unsigned, when: time.Now().Add(-10 * time.Minute)}, ""},
		"a header unsigned": {
			signedRequest{payload: unsigned, after: func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "b") }}, "AccessDenied",
		},
		"another path": {
			signedRequest{payload: unsigned, after: func(r *http.Request) { r.URL.Path += "2" }}, "SignatureDoesNotMatch",
		},
		"no signature": {
			signedRequest{payload: unsigned, after: func(r *http.Request) { r.Header.Del("Authorization") }}, "AccessDenied",
		},
		"a wrong MD5": {signedRequest{payload: unsigned, body: "hello", header: with("Content-Md5", "x")}, "BadDigest"},
		"a wrong checksum": {
			signedRequest{payload: unsigned, body: "hello", header: with("X-Amz-Checksum-Crc32", "AAAAAA==")}, "BadDigest",
		},
		"a checksum": {
			signedRequest{payload: unsigned, body: "hello", header: with("X-Amz-Checksum-Crc32", "NhCmhg==")}, "",
		},
		"chunks": {signedRequest{
			payload: trailing, header: chunked,
			body: "3\r\nhel\r\n2\r\nlo\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
		}, ""},
		"a wrong trailer": {signedRequest{
			payload: trailing, header: chunked, body: "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
		}, "BadDigest"},
		"a chunk missing": {
			signedRequest{payload: trailing, body: "3\r\nhel\r\n0\r\n\r\n", header: chunked}, "IncompleteBody",
		},
		"a chunk cut": {signedRequest{payload: trailing, body: "5\r\nhel", header: chunked}, "IncompleteBody"},
		"chunks of a liar": {signedRequest{
			payload: signed, header: chunked, body: "5;chunk-signature=00\r\nhello\r\n0;chunk-signature=00\r\n\r\n",
		}, "SignatureDoesNotMatch"},
		"chunks without any": {signedRequest{payload: signed, body: "hello", header: chunked}, "IncompleteBody"},
	} {
		t.Run(name, func(t *testing.T) {
			e := direct()
			equal(t, "code", test.send(t, e), test.want)
			o, ok := e.Object(bucket, "k")
			equal(t, "stored", ok, test.want == "")
			if ok && test.body != "" {
				equal(t, "content", string(o.Content), "hello")
				equal(t, "encoding", o.ContentEncoding, "")
			}
		})
	}
}

// TestSignedChunks holds that chunks are verified as S3 documents it.
func TestSignedChunks(t *testing.T) {
	e := direct()
	const payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	r := signedRequest{payload: payload, header: map[string]string{
		"Content-Encoding": "gzip,aws-chunked", "X-Amz-Decoded-Content-Length": "5",
	}}
	r.after = func(in *http.Request) {
		stamp := in.Header.Get("X-Amz-Date")
		authorization := in.Header.Get("Authorization")
		seed := authorization[strings.LastIndexByte(authorization, '=')+1:]
		body := signChunks(stamp, seed, "hel", "lo", "")
		in.Body, in.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	equal(t, "code", r.send(t, e), "")
	o := mustObject(t, e, "k")
	equal(t, "content", string(o.Content), "hello")
	equal(t, "encoding", o.ContentEncoding, "gzip")
}

// signChunks frames chunks.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
func signChunks(stamp, previous string, chunks ...string) string {
	mac := func(key []byte, text string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	scope := []string{stamp[:8], region, "s3", "aws4_request"}
	key := []byte("AWS4test")
	for _, part := range scope {
		key = mac(key, part)
	}
	var out strings.Builder
	for _, chunk := range chunks {
		previous = hex.EncodeToString(mac(key, strings.Join([]string{
			"AWS4-HMAC-SHA256-PAYLOAD", stamp, strings.Join(scope, "/"), previous, cloudtrailtest.HexSum(nil),
			cloudtrailtest.HexSum([]byte(chunk)),
		}, "\n")))
		fmt.Fprintf(&out, "%x;chunk-signature=%s\r\n%s\r\n", len(chunk), previous, chunk)
	}
	return out.String()
}
