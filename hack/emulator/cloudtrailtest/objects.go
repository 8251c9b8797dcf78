package cloudtrailtest

import (
	"crypto/md5" //nolint:gosec // what S3 makes ETags of
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc64"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
)

// maxObjectBytes is the greatest object that a client can put. CloudTrail's log files have at most 50 MB:
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html.
const maxObjectBytes = 64 << 20

// maxKey is the greatest length of an object's key in bytes.
const maxKey = 1024

// Object is an object in a bucket of S3.
type Object struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	// Content is what is stored, as it is: packed, if it was put so. Who gets an Object must not change it.
	Content []byte `json:"content,omitempty"`
	// Metadata is the object's own (x-amz-meta-…), with lowercase names.
	Metadata        map[string]string `json:"metadata,omitempty"`
	ContentType     string            `json:"contentType,omitempty"`
	ContentEncoding string            `json:"contentEncoding,omitempty"`
	// StorageClass is STANDARD if "". An object in an archive, such as GLACIER, cannot be read.
	StorageClass string `json:"storageClass,omitempty"`
	// LastModified is when the object was put, by the clock that DeliveryTime reads.
	LastModified time.Time `json:"lastModified,omitzero"`
}

// archives are the storage classes whose objects have to be restored before they can be read.
var archives = []string{"GLACIER", "DEEP_ARCHIVE"}

// object is an object as it is stored. It is replaced and never changed.
type object struct {
	Object
	etag string
	// checksum is the CRC-64/NVME, which S3 makes of every object.
	checksum string
}

var crc64NVME = crc64.MakeTable(0x9a6c9329ac4bc9b5)

func newObject(o Object) *object {
	sum := md5.Sum(o.Content) //nolint:gosec // what S3 makes ETags of
	check := binary.BigEndian.AppendUint64(nil, crc64.Checksum(o.Content, crc64NVME))
	n := &object{o, hex.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(check)}
	n.Metadata = maps.Clone(o.Metadata)
	orDefault(&n.StorageClass, "STANDARD")
	orDefault(&n.ContentType, "binary/octet-stream")
	n.LastModified = o.LastModified.UTC().Truncate(time.Second)
	return n
}

// contents are the objects of a bucket.
type contents struct {
	objects map[string]*object
	// keys are sorted. They may lack what was added since, and still have what was removed.
	keys, added []string
}

func (b *contents) put(o *object) {
	if _, ok := b.objects[o.Key]; !ok {
		b.added = append(b.added, o.Key)
	}
	b.objects[o.Key] = o
}

// sorted returns the keys in order; those of objects that were removed may be among them.
func (b *contents) sorted() []string {
	if len(b.added) > 0 {
		slices.Sort(b.added)
		b.keys = slices.Compact(mergeSorted(b.keys, b.added))
		b.added = nil
	}
	if len(b.keys) > 2*len(b.objects)+1000 {
		b.keys = slices.DeleteFunc(b.keys, func(key string) bool { return b.objects[key] == nil })
	}
	return b.keys
}

func mergeSorted(x, y []string) []string {
	if len(x) == 0 || len(y) == 0 || x[len(x)-1] <= y[0] {
		return append(x, y...)
	}
	out := make([]string, 0, len(x)+len(y))
	for len(x) > 0 && len(y) > 0 {
		if y[0] < x[0] {
			x, y = y, x
		}
		out, x = append(out, x[0]), x[1:]
	}
	return append(append(out, x...), y...)
}

// from returns the objects under a prefix whose keys are after another one, in order, until yield says no.
func (b *contents) from(prefix, after string, yield func(*object) bool) {
	keys := b.sorted()
	start := sort.Search(len(keys), func(i int) bool { return keys[i] >= prefix && (after == "" || keys[i] > after) })
	for _, key := range keys[start:] {
		if !strings.HasPrefix(key, prefix) {
			return
		}
		if o := b.objects[key]; o != nil && !yield(o) {
			return
		}
	}
}

// stored returns what is in a bucket, nil for nothing. The caller holds the lock.
func (s *Server) stored(bucket string) *contents { return s.objects[bucket] }

// object returns an object, nil for none. The caller holds the lock.
func (s *Server) object(bucket, key string) *object {
	if b := s.stored(bucket); b != nil {
		return b.objects[key]
	}
	return nil
}

// store puts an object, replacing one of the same key. The caller holds the lock.
func (s *Server) store(o *object) {
	b := s.objects[o.Bucket]
	if b == nil {
		b = &contents{objects: map[string]*object{}}
		s.objects[o.Bucket] = b
	}
	b.put(o)
}

// discardObject removes an object and says whether it was there. The caller holds the lock.
func (s *Server) discardObject(bucket, key string) bool {
	if s.object(bucket, key) == nil {
		return false
	}
	delete(s.objects[bucket].objects, key)
	return true
}

// errObject marks an object that S3 would not take.
var errObject = errors.New("not an object")

// PutObject puts an object, replacing one of the same key, whoever may do so. Without a LastModified, it is put now.
func (s *Server) PutObject(o Object) error {
	switch {
	case validBucketName(o.Bucket) != nil:
		return fmt.Errorf("%w: %q is not the name of a bucket", errObject, o.Bucket)
	case o.Key == "" || len(o.Key) > maxKey:
		return fmt.Errorf("%w: a key has 1 to %d bytes", errObject, maxKey)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver()
	if o.LastModified.IsZero() {
		o.LastModified = s.deliveryTime(s.now())
	}
	s.store(newObject(o))
	return nil
}

// Object returns an object, and whether it exists.
func (s *Server) Object(bucket, key string) (Object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver()
	o := s.object(bucket, key)
	if o == nil {
		return Object{}, false
	}
	return o.copy(), true
}

func (o *object) copy() Object {
	n := o.Object
	n.Metadata = maps.Clone(o.Metadata)
	return n
}

// Objects returns the objects of a bucket under a prefix, in the order of their keys.
func (s *Server) Objects(bucket, prefix string) []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver()
	out := []Object{}
	if b := s.stored(bucket); b != nil {
		b.from(prefix, "", func(o *object) bool { out = append(out, o.copy()); return true })
	}
	return out
}

// DeleteObject removes an object and says whether it was there.
func (s *Server) DeleteObject(bucket, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver()
	return s.discardObject(bucket, key)
}
