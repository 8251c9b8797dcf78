package cloudtrailtest

import (
	"crypto/md5"  //nolint:gosec // Content-MD5 is what clients send
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
)

// s3Sums are the checksums that clients can send with an object, as x-amz-checksum-….
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
var s3Sums = map[string]func() hash.Hash{
	"crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"crc64nvme": func() hash.Hash { return crc64.New(crc64NVME) },
	"sha1":      sha1.New,
	"sha256":    sha256.New,
}

// checkSums compares the body with the checksums that came with it, in headers or behind it.
func (q *s3Request) checkSums(trailer http.Header) error {
	sum := encodedSum(md5.New(), q.body) //nolint:gosec // Content-MD5 is what clients send
	if want := q.header.Get("Content-Md5"); want != "" && want != sum {
		return fail("BadDigest", "The Content-MD5 you specified did not match what we received.")
	}
	for name, newSum := range s3Sums {
		for _, from := range []http.Header{q.header, trailer} {
			if want := from.Get("X-Amz-Checksum-" + name); want != "" && want != encodedSum(newSum(), q.body) {
				return fail("BadDigest", "The %s you specified did not match the calculated checksum.", name)
			}
		}
	}
	return nil
}

func encodedSum(h hash.Hash, data []byte) string {
	h.Write(data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
