package digest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// maxLog bounds the content of a log file. CloudTrail's are 50 MB at most as they are stored.
const maxLog = 4 << 30

// reasonAlgorithm says that a log file has a hash of a kind that is not known.
const reasonAlgorithm = "HashAlgorithmUnknown"

// sampled tells whether the content of a log file is read. In a sample a hash that nobody can foresee decides, and
// always the same for the same log file.
func (v *Validator) sampled(log logFile) bool {
	switch v.options.Mode {
	case Full:
		return true
	case Sample:
		mac := hmac.New(sha256.New, v.options.Seed[:])
		mac.Write([]byte(log.Bucket + "/" + log.Key))
		const percents = 100
		return int(binary.BigEndian.Uint64(mac.Sum(nil))%percents) < v.options.SamplePercent
	default:
		return false
	}
}

// read judges a log file by its content, or, where only existence is asked for, by its being there.
func (c *checks) read(ctx context.Context, check *logCheck) {
	content, err := c.options.Storage.Open(ctx, check.log.Bucket, check.log.Key)
	if err != nil {
		check.failure = unreadLog(ctx, err)
		c.judgeUnread(ctx, check)
		return
	}
	defer content.Body.Close() //nolint:errcheck // It was read to its end, or is given up.

	late := content.LastModified.After(check.before)
	if !check.sampled && !(late && c.options.Mode == Sample) {
		check.judgeTime(content.LastModified)
		return
	}
	if check.log.Algorithm != hashAlgorithm {
		check.failure = &fault{
			class: Unverifiable, reason: reasonAlgorithm,
			message: fmt.Sprintf("The digest has a hash of the log file of an unknown kind, %q.", check.log.Algorithm),
		}
		return
	}

	check.failure = c.hash(ctx, check, content)
	if check.failure != nil && check.failure.reason == ReasonTooLarge {
		check.judgeTime(content.LastModified) // Somebody may have written a file that nobody can read to its end.
	}
}

// judgeUnread looks at when a log file was written that cannot be read: somebody who writes over it may see to that.
func (c *checks) judgeUnread(ctx context.Context, check *logCheck) {
	if failure := check.failure; failure.class != Unverifiable || failure.transient {
		return
	}
	for object, err := range listFrom(ctx, c.options.Storage, check.log.Bucket, check.log.Key, check.log.Key) {
		if err == nil && object.Key == check.log.Key && object.LastModified.After(check.before) {
			check.failure = nil
			check.judgeTime(object.LastModified)
		}
		return
	}
}

// hash compares the content of a log file with the hash in the digest.
func (c *checks) hash(ctx context.Context, check *logCheck, content *Content) *fault {
	sum := sha256.New()
	n, err := gunzip(sum, content.Body, maxLog)
	check.result.Read, check.result.Bytes = true, n
	switch {
	case errors.Is(err, errNotGzip), errors.Is(err, errBehind):
		return tampered(LogAltered, "The log file is not as CloudTrail writes it: %v.", err)
	case errors.Is(err, errTooLarge):
		return &fault{
			class: Unverifiable, reason: ReasonTooLarge,
			message: "The log file is larger than any that CloudTrail writes.",
		}
	case err != nil:
		return unreadLog(ctx, err)
	}

	if found := hex.EncodeToString(sum.Sum(nil)); found != hexOf(check.log.Hash) {
		return tampered(LogAltered, "The SHA-256 of the log file is %s; the digest has %q. It was written at %s.",
			found, check.log.Hash, at(content.LastModified))
	}
	return nil
}

// unreadLog says what an error of the storage means for a log file.
func unreadLog(ctx context.Context, err error) *fault {
	if errors.Is(err, ErrNotFound) && ctx.Err() == nil {
		return tampered(LogDeleted, "The log file is not there, although a digest vouches for it.")
	}
	return faultIn(ctx, err, "The log file")
}
