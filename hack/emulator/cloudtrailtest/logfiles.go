package cloudtrailtest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// DigestLog is a log file in a digest.
type DigestLog struct {
	Bucket    string `json:"s3Bucket"`
	Object    string `json:"s3Object"`
	Hash      string `json:"hashValue"`
	Algorithm string `json:"hashAlgorithm"`
	Newest    string `json:"newestEventTime"`
	Oldest    string `json:"oldestEventTime"`
}

// folder is where the chain's objects of a kind and a day are.
func (n *chain) folder(kind string, at time.Time) string {
	parts := []string{n.prefix, "AWSLogs", n.organization, n.key.account, kind, n.key.region, at.Format("2006/01/02")}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "/")
}

// logFile makes a log file of the events that are pending and, if it is to be filled, of made-up ones.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
func (n *chain) logFile(d LogDelivery, at time.Time, filled bool) (*object, DigestLog) {
	from := n.rand("log file", at)
	key := fmt.Sprintf("%s/%s_CloudTrail_%s_%s_%s.json.gz",
		n.folder("CloudTrail", at), n.key.account, n.key.region, at.Format("20060102T1504Z"), unique(from))

	w := newLogWriter()
	for _, document := range n.pending {
		w.add([]byte(document), eventTime(document))
	}
	if filled {
		for i := 0; i < 3 || w.packed.Len() < d.LogSize; i++ {
			w.fill(n, from, at.Add(-time.Duration(300+from.IntN(600))*time.Second), d.LogSize > 0)
		}
	}
	content, sum := w.close()

	o := newObject(Object{
		Bucket: n.bucket, Key: key, Content: content, ContentType: "application/json", ContentEncoding: "gzip",
		LastModified: at,
	})
	return o, DigestLog{n.bucket, key, sum, "SHA-256", w.newest, w.oldest}
}

// unique is the part of a log file's name that tells it from others.
func unique(from *rand.Rand) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	out := make([]byte, 16)
	for i := range out {
		out[i] = alphabet[from.IntN(len(alphabet))]
	}
	return string(out)
}

// eventTime is the eventTime of an event's document.
func eventTime(document string) string {
	var e struct {
		Time string `json:"eventTime"`
	}
	if json.Unmarshal([]byte(document), &e) != nil {
		return ""
	}
	return e.Time
}

// logWriter packs events and hashes what it packs.
type logWriter struct {
	packed         bytes.Buffer
	gz             *gzip.Writer
	sum            hash.Hash
	to             io.Writer
	n              int
	oldest, newest string
}

func newLogWriter() *logWriter {
	w := &logWriter{sum: sha256.New()}
	w.gz = gzip.NewWriter(&w.packed)
	w.to = io.MultiWriter(w.gz, w.sum)
	w.write([]byte(`{"Records":[`))
	return w
}

func (w *logWriter) write(raw []byte) {
	w.to.Write(raw) //nolint:errcheck // it goes to memory
}

func (w *logWriter) add(event []byte, at string) {
	if w.n++; w.n > 1 {
		w.write([]byte{','})
	}
	w.write(event)
	if w.oldest == "" || at < w.oldest {
		w.oldest = at
	}
	w.newest = max(w.newest, at)
}

// fill adds a made-up event, a long one that does not pack well if it is to take room.
func (w *logWriter) fill(n *chain, from *rand.Rand, when time.Time, long bool) {
	at, note := when.Format(time.RFC3339), ""
	if long {
		raw := make([]byte, 4096)
		for i := range raw {
			raw[i] = byte(from.Uint32())
		}
		note = hex.EncodeToString(raw)
	}
	event := fmt.Appendf(nil, madeUp, n.key.account, at, n.key.region, from.IntN(256), note,
		from.Uint64(), from.Uint64(), from.Uint64(), n.key.account)
	w.add(event, at)
}

// madeUp is an event.
const madeUp = `{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","accountId":%q},"eventTime":%q,` +
	`"eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances","awsRegion":%q,` +
	`"sourceIPAddress":"198.51.100.%d","userAgent":"aws-cli/2.9.19","requestParameters":{"note":%q},` +
	`"responseElements":null,"requestID":"%016x","eventID":"%016x%016x","readOnly":true,"eventType":"AwsApiCall",` +
	`"managementEvent":true,"recipientAccountId":%q,"eventCategory":"Management"}`

// close returns the packed file and the hash of what is in it.
func (w *logWriter) close() (content []byte, sum string) {
	w.write([]byte(`]}`))
	w.gz.Close() //nolint:errcheck // it goes to memory
	return bytes.Clone(w.packed.Bytes()), hex.EncodeToString(w.sum.Sum(nil))
}

func pack(raw []byte) []byte {
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	gz.Write(raw) //nolint:errcheck // it goes to memory
	gz.Close()    //nolint:errcheck // likewise
	return out.Bytes()
}
