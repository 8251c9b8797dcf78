package cloudtrailtest

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// s3ClockSkew is by how much a signature's time may differ from the wall clock at S3.
const s3ClockSkew = 15 * time.Minute

// Values of X-Amz-Content-Sha256 that are no hashes.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
const (
	unsignedPayload  = "UNSIGNED-PAYLOAD"
	unsignedTrailer  = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	signedChunks     = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	signedAndTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
)

// authenticateS3 verifies the signature, takes the body out of its chunks and compares its checksums.
func (x *exchange) authenticateS3(q *s3Request) error {
	var trailer http.Header
	err := x.authenticateBy("s3", func(r *http.Request, sig signature, secret string) error {
		var err error
		q.body, trailer, err = verifyS3(r, x.body, sig, secret)
		return err
	})
	switch who := x.call.caller; {
	case err != nil && who.account != "" && who.region == "" && asAPIError(err).Code == "UnrecognizedClientException":
		// The key is known, so it is the token that is wrong.
		return fail("InvalidToken", "The provided token is malformed or otherwise invalid.")
	case err != nil:
		return err
	}
	return q.checkSums(trailer)
}

// verifyS3 verifies a signature as S3 does: the path is encoded once, and the hash of the body is what the header says,
// with which the body is compared. It returns the body without its chunks, and what trails it.
func verifyS3(r *http.Request, body []byte, sig signature, secret string) ([]byte, http.Header, error) {
	stamp := r.Header.Get("X-Amz-Date")
	signed, err := time.Parse("20060102T150405Z", stamp)
	if err != nil || len(sig.date) != 8 || !strings.HasPrefix(stamp, sig.date) {
		return nil, nil, fail("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
	}
	if wall := time.Now(); signed.Before(wall.Add(-s3ClockSkew)) || signed.After(wall.Add(s3ClockSkew)) {
		return nil, nil, fail("RequestTimeTooSkewed",
			"The difference between the request time and the current time is too large.")
	}

	payload := r.Header.Get("X-Amz-Content-Sha256")
	if payload == "" {
		return nil, nil, fail("MissingSecurityHeader", "Missing required header for this request: x-amz-content-sha256")
	}
	if err := allSigned(r.Header, sig.signedHeaders); err != nil {
		return nil, nil, err
	}
	canonical := canonicalRequest(r, encodePath(r.URL.Path), sig.signedHeaders, payload)
	if !hmac.Equal([]byte(sig.of(stamp, canonical, secret)), []byte(sig.value)) {
		return nil, nil, wrongSignature()
	}
	return unframe(r, body, payload, chunkSigner{sig, stamp, secret})
}

// allSigned says whether the host and all headers of AWS are signed.
func allSigned(header http.Header, signed []string) error {
	for name := range header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(signed, name) {
			return fail("AccessDenied", "There were headers present in the request which were not signed")
		}
	}
	if !slices.Contains(signed, "host") {
		return fail("AccessDenied", "There were headers present in the request which were not signed")
	}
	return nil
}

// encodePath encodes each byte but those that need not be, and slashes, once.
func encodePath(path string) string {
	if path == "" {
		return "/"
	}
	return strings.ReplaceAll(uriEncode(path), "%2F", "/")
}

// unframe returns the body itself.
func unframe(r *http.Request, body []byte, payload string, signer chunkSigner) ([]byte, http.Header, error) {
	switch payload {
	case unsignedPayload:
		return body, nil, nil
	case unsignedTrailer, signedChunks, signedAndTrailer:
	default:
		if hexSum(body) != payload {
			return nil, nil, fail("XAmzContentSHA256Mismatch",
				"The provided 'x-amz-content-sha256' header does not match what was computed.")
		}
		return body, nil, nil
	}

	content, trailer, err := signer.read(body, payload)
	if err != nil {
		return nil, nil, err
	}
	if strconv.Itoa(len(content)) != r.Header.Get("X-Amz-Decoded-Content-Length") {
		return nil, nil, fail("IncompleteBody", "The request body terminated unexpectedly")
	}
	return content, trailer, nil
}

// chunkSigner verifies the chunks of a body, each of which is signed after the one before.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
type chunkSigner struct {
	sig    signature
	stamp  string
	secret string
}

// read takes a body out of its chunks.
func (n chunkSigner) read(body []byte, payload string) (content []byte, trailer http.Header, err error) {
	broken := fail("IncompleteBody", "The request body terminated unexpectedly")
	previous := n.sig.value
	for {
		line, rest, ok := bytes.Cut(body, []byte("\r\n"))
		size, extension, _ := strings.Cut(string(line), ";")
		length, err := strconv.ParseUint(size, 16, 31)
		if !ok || err != nil || int(length) > len(rest) {
			return nil, nil, broken
		}

		chunk := rest[:length]
		if payload != unsignedTrailer {
			want := n.sign("AWS4-HMAC-SHA256-PAYLOAD", previous, hexSum(nil), hexSum(chunk))
			if extension != "chunk-signature="+want {
				return nil, nil, wrongSignature()
			}
			previous = want
		}
		if length == 0 {
			trailer, err := n.trailer(rest, payload, previous)
			return content, trailer, err
		}
		content = append(content, chunk...)
		if body, ok = bytes.CutPrefix(rest[length:], []byte("\r\n")); !ok {
			return nil, nil, broken
		}
	}
}

// trailer reads the headers behind the last chunk.
func (n chunkSigner) trailer(rest []byte, payload, previous string) (http.Header, error) {
	out := http.Header{}
	var signed strings.Builder
	for line := range strings.SplitSeq(string(rest), "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			out.Set(name, value)
			if !strings.EqualFold(name, "x-amz-trailer-signature") {
				fmt.Fprintf(&signed, "%s:%s\n", name, value)
			}
		}
	}
	if payload == signedAndTrailer &&
		out.Get("X-Amz-Trailer-Signature") != n.sign("AWS4-HMAC-SHA256-TRAILER", previous, hexSum([]byte(signed.String()))) {
		return nil, wrongSignature()
	}
	return out, nil
}

// sign signs a chunk or a trailer.
func (n chunkSigner) sign(kind string, parts ...string) string {
	toSign := strings.Join(append([]string{kind, n.stamp, n.sig.scope()}, parts...), "\n")
	return hex.EncodeToString(sign(n.sig.key(n.secret), toSign))
}
