package digest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// file is a digest file as it was read.
type file struct {
	name
	modified   time.Time
	start, end time.Time
	// hash is the SHA-256 of the content, and signature that of the metadata, both in lowercase hex.
	hash, signature string
	// previous is the digest before. It is nil for a starting digest.
	previous *link
	// logs are the log files that the digest vouches for. They are read once the signature is verified.
	logs []logFile
}

// link is what a digest says about the one before.
type link struct {
	bucket, key, hash, signature string
}

// logFile is a log file as a digest has it.
type logFile struct {
	Bucket    string `json:"s3Bucket"`
	Key       string `json:"s3Object"`
	Hash      string `json:"hashValue"`
	Algorithm string `json:"hashAlgorithm"`
}

// header is all of a digest but its log files: those are not unpacked before it is known who has written them, as a
// list of nothings takes a hundred times more memory than its text.
type header struct {
	Account           string          `json:"awsAccountId"`
	Start             string          `json:"digestStartTime"`
	End               string          `json:"digestEndTime"`
	Bucket            string          `json:"digestS3Bucket"`
	Key               string          `json:"digestS3Object"`
	Fingerprint       string          `json:"digestPublicKeyFingerprint"`
	Algorithm         string          `json:"digestSignatureAlgorithm"`
	PreviousBucket    *string         `json:"previousDigestS3Bucket"`
	PreviousKey       *string         `json:"previousDigestS3Object"`
	PreviousHash      *string         `json:"previousDigestHashValue"`
	PreviousSignature *string         `json:"previousDigestSignature"`
	Logs              json.RawMessage `json:"logFiles"`

	start, end time.Time
}

// parseHeader reads the content of a digest. The error says what is wrong with it.
func parseHeader(content []byte) (*header, error) {
	h := &header{}
	if err := json.Unmarshal(content, h); err != nil {
		return nil, fmt.Errorf("it is not the JSON of a digest: %w", err)
	}
	for _, required := range [][2]string{
		{"awsAccountId", h.Account}, {"digestS3Bucket", h.Bucket}, {"digestS3Object", h.Key},
		{"digestPublicKeyFingerprint", h.Fingerprint},
	} {
		if required[1] == "" {
			return nil, fmt.Errorf("it has no %s", required[0])
		}
	}

	var err error
	if h.start, err = time.Parse(time.RFC3339, h.Start); err != nil {
		return nil, fmt.Errorf("its digestStartTime is %q", h.Start)
	}
	if h.end, err = time.Parse(time.RFC3339, h.End); err != nil {
		return nil, fmt.Errorf("its digestEndTime is %q", h.End)
	}
	if h.end.Before(h.start) {
		return nil, fmt.Errorf("it ends at %q, before it starts at %q", h.End, h.Start)
	}
	return h, nil
}

// link returns what the digest says about the one before; nil: there was none.
func (h *header) link() *link {
	if h.PreviousSignature == nil && h.PreviousKey == nil {
		return nil
	}
	return &link{
		bucket: valueOf(h.PreviousBucket), key: valueOf(h.PreviousKey),
		hash: hexOf(valueOf(h.PreviousHash)), signature: strings.ToLower(valueOf(h.PreviousSignature)),
	}
}

// logFiles reads what the digest vouches for.
func (h *header) logFiles() ([]logFile, error) {
	if len(h.Logs) == 0 {
		return nil, nil
	}
	var logs []logFile
	if err := json.Unmarshal(h.Logs, &logs); err != nil {
		return nil, fmt.Errorf("its logFiles are not those of a digest: %w", err)
	}
	return logs, nil
}

func valueOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// hexOf returns a hash as it is compared: one real digest is known in which a hash lacks its leading zero.
func hexOf(hash string) string {
	const digits = 64
	return strings.Repeat("0", max(0, digits-len(hash))) + strings.ToLower(hash)
}
