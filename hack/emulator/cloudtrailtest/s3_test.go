package cloudtrailtest_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

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

var _ = http.MethodGet
