package cloudtrail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// Storage reads buckets with the credentials of an identity. They may be in any account and region that these may read
// from.
type Storage struct {
	session *Session
	retryer aws.Retryer // nil: the clients' own.

	mu sync.Mutex
	// regions are those of the buckets that are not in the session's own.
	regions map[string]string
}

var _ digest.Storage = (*Storage)(nil)

// maxBuckets bounds of how many buckets it is remembered where they are.
const maxBuckets = 1000

// Operations of S3 that are called.
const (
	getObject   = "GetObject"
	listObjects = "ListObjectsV2"
)

// Storage returns what the session may read of S3.
func (s *Session) Storage() *Storage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.storage == nil {
		s.storage = &Storage{session: s, regions: map[string]string{}}
		if newRetryer := s.sessions.options.Config.Retryer; newRetryer != nil {
			s.storage.retryer = newRetryer()
		}
	}
	return s.storage
}

// newS3 returns a client of S3 for the region of a configuration. Another endpoint than AWS's own has no host for each
// bucket.
func newS3(cfg aws.Config, streams aws.HTTPClient, meter Meter) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.HTTPClient = streams
		o.UsePathStyle = !isAWSEndpoint(aws.ToString(o.BaseEndpoint))
		// Digests have hashes of all that is read. A checksum that does not match would look like a failure of the network.
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		// The name of a bucket that ends as those of directory buckets do is no reason to call CreateSession.
		o.DisableS3ExpressSessionAuth = aws.Bool(true)
		o.APIOptions = append(append([]func(*middleware.Stack) error{}, o.APIOptions...), metered(cfg.Region, meter))
	})
}

// as makes a call that of the session.
func (s *Storage) as(o *s3.Options) {
	o.Credentials = s.session.credentials
	if s.retryer != nil {
		o.Retryer = s.retryer
	}
}

// firstKeys is how many keys the first page of a whole folder has. Whoever lists one mostly wants to know whether there
// is anything, and each of the 1,000 keys of a page costs time to read.
const firstKeys = 10

// List implements digest.Storage.
func (s *Storage) List(ctx context.Context, bucket, prefix, startAfter string) iter.Seq2[digest.Object, error] {
	in := &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix}
	if startAfter == "" {
		in.MaxKeys = aws.Int32(firstKeys)
	} else {
		in.StartAfter = &startAfter
	}
	return func(yield func(digest.Object, error) bool) {
		for page, err := range s.pages(ctx, in) {
			if err != nil {
				yield(digest.Object{}, err)
				return
			}
			for i := range page.Contents {
				if !yield(objectOf(page, &page.Contents[i])) {
					return
				}
			}
		}
	}
}

// objectOf returns an object of a page.
func objectOf(page *s3.ListObjectsV2Output, o *types.Object) (digest.Object, error) {
	key, err := decoded(page, o.Key)
	return digest.Object{Key: key, Size: aws.ToInt64(o.Size), LastModified: aws.ToTime(o.LastModified)}, err
}

// Folders implements digest.Storage.
func (s *Storage) Folders(ctx context.Context, bucket, prefix string) ([]string, error) {
	var folders []string
	in := &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, Delimiter: aws.String("/")}
	for page, err := range s.pages(ctx, in) {
		if err != nil {
			return nil, err
		}
		for _, common := range page.CommonPrefixes {
			folder, err := decoded(page, common.Prefix)
			if err != nil {
				return nil, err
			}
			folders = append(folders, strings.TrimSuffix(strings.TrimPrefix(folder, prefix), "/"))
		}
	}
	return folders, nil
}

// pages yields the pages of a list. Keys are asked for in the encoding of URLs, as XML has no place for the control
// characters that a key may have, and one such key would hide all others.
func (s *Storage) pages(ctx context.Context, in *s3.ListObjectsV2Input) iter.Seq2[*s3.ListObjectsV2Output, error] {
	in.EncodingType = types.EncodingTypeUrl
	subject := object{bucket: aws.ToString(in.Bucket), key: aws.ToString(in.Prefix)}
	return func(yield func(*s3.ListObjectsV2Output, error) bool) {
		for {
			page, err := call(ctx, s, listObjects, subject, func(
				ctx context.Context, client *s3.Client,
			) (*s3.ListObjectsV2Output, error) {
				limited, cancel := context.WithTimeout(ctx, sharedReadTimeout)
				defer cancel()
				return client.ListObjectsV2(limited, in, s.as)
			})
			if !yield(page, err) || err != nil {
				return
			}
			in.MaxKeys = nil
			if in.ContinuationToken = page.NextContinuationToken; aws.ToString(in.ContinuationToken) == "" {
				return
			}
		}
	}
}

// decoded returns a key of a page.
func decoded(page *s3.ListObjectsV2Output, encoded *string) (string, error) {
	if page.EncodingType != types.EncodingTypeUrl {
		return aws.ToString(encoded), nil
	}
	key, err := url.QueryUnescape(aws.ToString(encoded))
	if err != nil {
		return "", &digest.UnavailableError{
			Reason: "RequestFailed", Message: fmt.Sprintf("%s: the key %q is not encoded: %v", listObjects, key, err), Err: err,
		}
	}
	return key, nil
}

// Open implements digest.Storage.
func (s *Storage) Open(ctx context.Context, bucket, key string) (*digest.Content, error) {
	subject := object{bucket, key}
	out, err := call(ctx, s, getObject, subject, func(
		ctx context.Context, client *s3.Client,
	) (*s3.GetObjectOutput, error) {
		return client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key}, s.as)
	})
	if err != nil {
		return nil, err
	}
	failed := func(err error) error { return s.failed(ctx, getObject, subject, err) }
	return &digest.Content{
		Body:         &body{ReadCloser: out.Body, failed: failed},
		Size:         aws.ToInt64(out.ContentLength),
		Metadata:     out.Metadata,
		LastModified: aws.ToTime(out.LastModified),
	}, nil
}

// body is an object that is being read.
type body struct {
	io.ReadCloser
	failed func(error) error
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.failed(err)
	}
	return n, err
}

// object is what a call is about: an object, or all objects of a bucket whose keys begin with the key.
type object struct{ bucket, key string }

// bucketNames is the form of a bucket's name; buckets of us-east-1 from before 2018 may have letters and marks that
// newer ones must not have. The SDK would take an ARN, and call whatever that names.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var bucketNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$`)

// call makes a call in the region of a bucket, and where the bucket turns out to be in another one, once more there.
func call[T any](
	ctx context.Context,
	s *Storage,
	operation string,
	subject object,
	send func(context.Context, *s3.Client) (T, error),
) (T, error) {
	var none T
	if !bucketNames.MatchString(subject.bucket) {
		return none, &digest.UnavailableError{
			Reason:  "InvalidBucketName",
			Message: fmt.Sprintf("%s: %q cannot be the name of a bucket", operation, subject.bucket),
		}
	}
	region := s.regionOf(subject.bucket)
	invocation := func(ctx context.Context) (T, error) { return send(ctx, s.session.sessions.bucketsOf(region)) }
	value, err := invokeAs(patient(ctx), s.session, invocation)
	if elsewhere := redirectedTo(err); elsewhere != "" && elsewhere != region {
		region = elsewhere
		s.isIn(subject.bucket, region)
		value, err = invokeAs(patient(ctx), s.session, invocation)
	}
	if err != nil {
		return none, s.failed(ctx, operation, subject, err)
	}
	return value, nil
}

// regionOf returns where a bucket is, or where to ask.
func (s *Storage) regionOf(bucket string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.regions[bucket], s.session.stsRegion)
}

// isIn notes where S3 says that a bucket is.
func (s *Storage) isIn(bucket, region string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.regions) >= maxBuckets {
		clear(s.regions)
	}
	s.regions[bucket] = region
}

// regionName is the form of a region's name, as it becomes a part of a host's.
var regionName = regexp.MustCompile(`^[a-z]{2,5}(?:-[a-z]+)+-\d+$`)

// redirectedTo returns the region of the bucket that an error is about, "" if it does not say. S3 says it to whoever
// asks in a wrong region, before it looks at what else is wrong.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingRouting.html
func redirectedTo(err error) string {
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok || response.Response == nil {
		return ""
	}
	region := response.Response.Header.Get("X-Amz-Bucket-Region")
	if !regionName.MatchString(region) {
		return ""
	}
	return region
}

// failed returns the error of a call as digest.Storage promises it. A bucket that is gone is no object that is gone: it
// may never have had the name, or have lost all that could be proved.
func (s *Storage) failed(ctx context.Context, operation string, subject object, err error) error {
	if errorCode(err) == "NoSuchKey" && operation == getObject {
		return digest.ErrNotFound
	}
	return unavailable(ctx, classify(operation, err), func(e *Error) string { return s.remedy(subject, e) })
}

// unavailable returns an *Error as an *digest.UnavailableError, or the error of the context if that has ended. remedy
// says what helps, or "".
func unavailable(ctx context.Context, err error, remedy func(*Error) string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return &digest.UnavailableError{Reason: unknownError, Message: err.Error(), Err: err}
	}
	reason := e.Code
	if reason == "InvalidObjectState" {
		reason = digest.ReasonArchived
	}
	message := e.Error()
	if helps := remedy(e); helps != "" {
		message += " — " + helps
	}
	return &digest.UnavailableError{Reason: reason, Message: message, Transient: e.Class == Transient, Err: e}
}

// remedy says what helps where S3 refuses a call, "" if its message does.
func (s *Storage) remedy(subject object, e *Error) string {
	reader := Reader{
		ARN: s.session.ARN(), Bucket: subject.bucket, Region: s.regionOf(subject.bucket), Folder: folderOf(subject.key),
	}
	switch {
	case e.Code == "InvalidObjectState":
		return "restore the object from its archive tier first"
	case e.Code == "NoSuchBucket":
		return "check the name of the bucket: if it was deleted, nothing in it can be proved any more"
	case strings.HasPrefix(e.Code, "KMS."):
		return "check the state of the key that the object is encrypted with"
	case e.Code != "AccessDenied":
		return ""
	case strings.Contains(e.Message, "kms:"):
		return reader.DecryptRemedy()
	case e.Operation == getObject:
		return reader.GetRemedy()
	default:
		return reader.ListRemedy()
	}
}

// folderOf returns the part of a key up to AWSLogs/, with all that CloudTrail writes below it.
func folderOf(key string) string {
	const logs = "AWSLogs/"
	if before, _, found := strings.Cut(key, logs); found {
		return before + logs
	}
	return ""
}
