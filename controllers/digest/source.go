package digest

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Storage reads S3. Errors are ErrNotFound or *UnavailableError, or those of the context.
type Storage interface {
	// List yields the objects of a bucket under a prefix whose keys come after another key ("" for all), in the order of
	// their keys. It ends with the first error.
	List(ctx context.Context, bucket, prefix, startAfter string) iter.Seq2[Object, error]
	// Folders returns what is between the prefix, which ends in a slash, and the next slash, in order and without it.
	Folders(ctx context.Context, bucket, prefix string) ([]string, error)
	// Open returns an object with its content as it is stored, without unpacking it. The caller closes the Body.
	Open(ctx context.Context, bucket, key string) (*Content, error)
}

// Object is an object in a list.
type Object struct {
	Key          string
	Size         int64
	LastModified time.Time
}

// Content is an object that is being read. A read fails as a Storage does.
type Content struct {
	Body io.ReadCloser
	Size int64
	// Metadata is the object's own, with lowercase names without x-amz-meta-.
	Metadata     map[string]string
	LastModified time.Time
}

// Keys finds CloudTrail's public keys. Errors are *UnavailableError, or those of the context.
type Keys interface {
	// PublicKeys returns the keys of a region whose private keys signed digests between two times.
	PublicKeys(ctx context.Context, region string, from, to time.Time) ([]PublicKey, error)
}

// PublicKey is a key as CloudTrail returns it.
type PublicKey struct {
	// Fingerprint is in the digests that the key has signed: the MD5 of the key, in hex.
	Fingerprint string
	// DER is the key: PKCS #1, or SubjectPublicKeyInfo.
	DER []byte
}

// ErrNotFound says that an object or a bucket is not there.
var ErrNotFound = errors.New("not found")

// UnavailableError says that something could not be read, which does not mean that it is not there.
type UnavailableError struct {
	// Reason is AWS's error code, or one of the Reason constants.
	Reason string
	// Message says what was asked, and what AWS answered.
	Message string
	// Transient says that the same may succeed a moment later: it was throttled, or there was no answer.
	Transient bool
	Err       error
}

// Error returns the message.
func (e *UnavailableError) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }
