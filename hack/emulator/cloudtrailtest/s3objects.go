package cloudtrailtest

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// metadataStart is how the headers of an object's own metadata begin.
const metadataStart = "X-Amz-Meta-"

// headBucket says that the bucket is there; the region is in a header of every answer.
func (s *Server) headBucket(_ *call, q *s3Request) (*s3Answer, error) {
	if s.bucket(q).NoList {
		return nil, fail("AccessDenied", "Access Denied")
	}
	return &s3Answer{}, nil
}

// getBucketLocation returns the bucket's region: for us-east-1 nothing.
func (s *Server) getBucketLocation(c *call, q *s3Request) (*s3Answer, error) {
	region := s.bucket(q).Region
	orDefault(&region, c.region)
	if region == "us-east-1" {
		region = ""
	}
	return &s3Answer{xml: struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
		Region  string   `xml:",chardata"`
	}{Region: region}}, nil
}

// bucket returns the bucket's settings, those of a new one for a bucket that is not registered.
func (s *Server) bucket(q *s3Request) Bucket { return s.resources.buckets.known[q.bucket] }

// find returns the object of the request's key. Who may not list a bucket is not told that an object is not there:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html.
func (s *Server) findObject(c *call, q *s3Request, key string) (*object, error) {
	o := s.object(q.bucket, key)
	switch {
	case o != nil:
		return o, nil
	case s.bucket(q).NoList:
		return nil, fail("AccessDenied", "%s",
			c.denial("because no identity-based policy allows the s3:ListBucket action"))
	}
	return nil, fail("NoSuchKey", "The specified key does not exist.")
}

// getObject returns an object, or the headers that go with it.
func (s *Server) getObject(c *call, q *s3Request) (*s3Answer, error) {
	o, err := s.findObject(c, q, q.key)
	if err != nil {
		return nil, err
	}
	if q.operation == "GetObject" && slices.Contains(archives, o.StorageClass) {
		return nil, fail("InvalidObjectState", "The operation is not valid for the object's storage class")
	}

	out := &s3Answer{header: o.headers(), body: o.Content}
	if q.header.Get("X-Amz-Checksum-Mode") == "ENABLED" && q.header.Get("Range") == "" {
		out.header.Set("X-Amz-Checksum-Crc64nvme", o.checksum)
		out.header.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
	return out, out.cut(q.header.Get("Range"))
}

func (o *object) headers() http.Header {
	h := http.Header{}
	h.Set("Content-Type", o.ContentType)
	h.Set("ETag", `"`+o.etag+`"`)
	h.Set("Last-Modified", o.LastModified.Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	h.Set("X-Amz-Server-Side-Encryption", "AES256")
	if o.ContentEncoding != "" {
		h.Set("Content-Encoding", o.ContentEncoding)
	}
	if o.StorageClass != "STANDARD" {
		h.Set("X-Amz-Storage-Class", o.StorageClass)
	}
	for name, value := range o.Metadata {
		// In lowercase, as S3 has it: some clients take the names as they come.
		h["x-amz-meta-"+name] = []string{value}
	}
	return h
}

// cut leaves the range of bytes that a client asks for, such as bytes=0-99.
func (a *s3Answer) cut(bytes string) error {
	if bytes == "" {
		return nil
	}
	size := len(a.body)
	first, last, ok := strings.Cut(strings.TrimPrefix(bytes, "bytes="), "-")
	from, err := strconv.Atoi(first)
	to := size - 1
	if last != "" && err == nil {
		to, err = strconv.Atoi(last)
	}
	if !ok || err != nil || from >= size || to < from {
		return fail("InvalidRange", "The requested range is not satisfiable")
	}

	to = min(to, size-1)
	a.status, a.body = http.StatusPartialContent, a.body[from:to+1]
	a.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, size))
	return nil
}

// putObject stores an object.
func (s *Server) putObject(c *call, q *s3Request) (*s3Answer, error) {
	if len(q.key) > maxKey {
		return nil, fail("KeyTooLongError", "Your key is too long")
	}
	o := newObject(Object{
		Bucket: q.bucket, Key: q.key, Content: q.body, Metadata: q.metadata(), LastModified: s.deliveryTime(c.now),
		ContentType: q.header.Get("Content-Type"), ContentEncoding: q.encoding(),
		StorageClass: q.header.Get("X-Amz-Storage-Class"),
	})
	if !c.notApplied {
		s.store(o)
	}
	return &s3Answer{header: http.Header{"Etag": {`"` + o.etag + `"`}, "X-Amz-Server-Side-Encryption": {"AES256"}}}, nil
}

// metadata is what the request says of the object's own.
func (q *s3Request) metadata() map[string]string {
	out := map[string]string{}
	for name, values := range q.header {
		if own, ok := strings.CutPrefix(name, metadataStart); ok {
			out[strings.ToLower(own)] = strings.Join(values, ",")
		}
	}
	return out
}

// encoding is how the object is encoded, without the chunks in which it came.
func (q *s3Request) encoding() string {
	var out []string
	for one := range strings.SplitSeq(q.header.Get("Content-Encoding"), ",") {
		if one = strings.TrimSpace(one); one != "" && one != "aws-chunked" {
			out = append(out, one)
		}
	}
	return strings.Join(out, ",")
}

// copyObject stores a copy of an object: with its metadata or, if the request says so, with other ones.
func (s *Server) copyObject(c *call, q *s3Request) (*s3Answer, error) {
	source, err := url.PathUnescape(strings.TrimPrefix(q.header.Get("X-Amz-Copy-Source"), "/"))
	bucket, key, ok := strings.Cut(source, "/")
	if err != nil || !ok {
		return nil, fail("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	from := *q
	from.bucket = bucket
	b, exists := s.resources.buckets.get(bucket, s.opts.OpenResources)
	switch {
	case !exists:
		return nil, fail("NoSuchBucket", "The specified bucket does not exist")
	case !b.admits(c.caller):
		return nil, fail("AccessDenied", "Access Denied")
	}
	o, err := s.findObject(c, &from, key)
	if err != nil {
		return nil, err
	}
	if slices.Contains(archives, o.StorageClass) {
		return nil, fail("InvalidObjectState", "The operation is not valid for the object's storage class")
	}

	replace := q.header.Get("X-Amz-Metadata-Directive") == "REPLACE"
	class := q.header.Get("X-Amz-Storage-Class")
	if bucket == q.bucket && key == q.key && !replace && (class == "" || class == o.StorageClass) {
		return nil, fail("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself "+
			"without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	n := o.copy()
	n.Bucket, n.Key, n.StorageClass, n.LastModified = q.bucket, q.key, class, s.deliveryTime(c.now)
	if replace {
		n.Metadata, n.ContentType, n.ContentEncoding = q.metadata(), q.header.Get("Content-Type"), q.encoding()
	}
	stored := newObject(n)
	if !c.notApplied {
		s.store(stored)
	}
	return &s3Answer{xml: struct {
		XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
		LastModified string
		ETag         string
	}{LastModified: stored.LastModified.Format(s3Time), ETag: `"` + stored.etag + `"`}}, nil
}

// deleteObject removes an object. There is no error for one that is not there.
func (s *Server) deleteObject(c *call, q *s3Request) (*s3Answer, error) {
	if !c.notApplied {
		s.discardObject(q.bucket, q.key)
	}
	return &s3Answer{status: http.StatusNoContent}, nil
}
