package cloudtrailtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// digestTime is how digests write times.
const digestTime = "2006-01-02T15:04:05Z"

// Digest is the content of a digest file.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html
type Digest struct {
	AccountID             string      `json:"awsAccountId"`
	StartTime             string      `json:"digestStartTime"`
	EndTime               string      `json:"digestEndTime"`
	Bucket                string      `json:"digestS3Bucket"`
	Object                string      `json:"digestS3Object"`
	Fingerprint           string      `json:"digestPublicKeyFingerprint"`
	Algorithm             string      `json:"digestSignatureAlgorithm"`
	NewestEventTime       *string     `json:"newestEventTime"`
	OldestEventTime       *string     `json:"oldestEventTime"`
	PreviousBucket        *string     `json:"previousDigestS3Bucket"`
	PreviousObject        *string     `json:"previousDigestS3Object"`
	PreviousHash          *string     `json:"previousDigestHashValue"`
	PreviousHashAlgorithm *string     `json:"previousDigestHashAlgorithm"`
	PreviousSignature     *string     `json:"previousDigestSignature"`
	LogFiles              []DigestLog `json:"logFiles"`
}

// signedDigest is what the next digest says of one.
type signedDigest struct{ bucket, object, hash, signature string }

// deliverDigest delivers the digest of the hour.
func (n *chain) deliverDigest(s *Server, at time.Time) {
	end := n.hourEnd()
	o, signed := n.digest(s.logs, digestOf{
		start: n.start, end: end, signed: at, logs: n.vouched, previous: n.previous,
	})
	n.putDigest(s, o, at)
	n.previous = signed
	if len(n.late) > 0 {
		n.backfills = append(n.backfills, backfill{n.start, end, n.late})
	}
}

// deliverBackfills delivers the digests of log files that were missing before: some hours later, or all of them when
// the chain ends.
func (n *chain) deliverBackfills(s *Server, at time.Time) {
	for len(n.backfills) > 0 && (!n.vouching || !at.Before(n.backfills[0].end.Add(backfillDelay))) {
		b := n.backfills[0]
		n.backfills = n.backfills[1:]
		o, signed := n.digest(s.logs, digestOf{
			start: b.start, end: b.end, signed: at, logs: b.logs, previous: n.previousBackfill, isBackfill: true,
		})
		n.putDigest(s, o, at)
		if !s.logs.UnlinkedBackfills {
			n.previousBackfill = signed
		}
	}
}

// digestOf is what a digest is about.
type digestOf struct {
	start, end time.Time
	// signed is when it is signed.
	signed     time.Time
	logs       []DigestLog
	previous   *signedDigest
	isBackfill bool
}

// digest makes a digest and signs it.
func (n *chain) digest(d *logDelivery, of digestOf) (*object, *signedDigest) {
	suffix := ""
	if of.isBackfill {
		suffix = "_backfill"
	}
	key := fmt.Sprintf("%s/%s_CloudTrail-Digest_%s_%s_%s_%s%s.json.gz", n.folder("CloudTrail-Digest", of.end),
		n.key.account, n.key.region, n.name, n.home, of.end.Format("20060102T150405Z"), suffix)
	signer := d.signerAt(n.key.region, of.signed)
	doc := Digest{
		AccountID: n.key.account, StartTime: of.start.Format(digestTime), EndTime: of.end.Format(digestTime),
		Bucket: n.bucket, Object: key, Fingerprint: signer.fingerprint(), Algorithm: "SHA256withRSA",
		LogFiles: append([]DigestLog{}, of.logs...),
	}
	doc.follow(of.previous, d.ShortHashes)
	for _, log := range of.logs {
		if doc.OldestEventTime == nil || log.Oldest < *doc.OldestEventTime {
			doc.OldestEventTime = &log.Oldest
		}
		if doc.NewestEventTime == nil || log.Newest > *doc.NewestEventTime {
			doc.NewestEventTime = &log.Newest
		}
	}

	raw, _ := json.Marshal(doc) //nolint:errcheck // plain data
	signature := signer.sign(doc, raw)
	metadata := map[string]string{"signature": signature, "signature-algorithm": doc.Algorithm}
	if of.isBackfill {
		metadata["backfill-generation-timestamp"] = of.signed.Format(digestTime)
	}
	return newObject(Object{
		Bucket: n.bucket, Key: key, Content: pack(raw), Metadata: metadata, LastModified: of.signed,
		ContentType: "application/json", ContentEncoding: "gzip",
	}), &signedDigest{n.bucket, key, hexSum(raw), signature}
}

// follow says what the digest before is. A starting digest has nulls.
func (d *Digest) follow(previous *signedDigest, short bool) {
	if previous == nil {
		return
	}
	hash := previous.hash
	if short {
		hash = strings.TrimLeft(hash, "0")
	}
	d.PreviousBucket, d.PreviousObject, d.PreviousSignature = &previous.bucket, &previous.object, &previous.signature
	d.PreviousHash, d.PreviousHashAlgorithm = &hash, new("SHA-256")
}

// toSign is the string that is signed of a digest with some content.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html
func (d Digest) toSign(raw []byte) string {
	previous := "null"
	if d.PreviousSignature != nil {
		previous = *d.PreviousSignature
	}
	return strings.Join([]string{d.EndTime, d.Bucket + "/" + d.Object, hexSum(raw), previous}, "\n")
}
