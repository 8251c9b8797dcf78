package digest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/md5" //nolint:gosec // CloudTrail's fingerprints.
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// epoch is when the tests' first digests begin: not on the hour, as with CloudTrail.
var epoch = time.Date(2026, 2, 26, 20, 36, 49, 0, time.UTC)

// signers are keys that every test uses, as making one takes long.
var signers = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 4)
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

// signer is a key of a region for a time.
type signer struct {
	from, to time.Time
	private  *rsa.PrivateKey
	public   digest.PublicKey
}

func newSigner(private *rsa.PrivateKey, pkix bool, from, to time.Time) signer {
	der := x509.MarshalPKCS1PublicKey(&private.PublicKey)
	if pkix {
		var err error
		if der, err = x509.MarshalPKIXPublicKey(&private.PublicKey); err != nil {
			panic(err)
		}
	}
	return signer{from, to, private, digest.PublicKey{Fingerprint: fingerprint(der), DER: der}}
}

func fingerprint(der []byte) string {
	sum := md5.Sum(der) //nolint:gosec // CloudTrail's fingerprints.
	return hex.EncodeToString(sum[:])
}

// publicKeys is ListPublicKeys.
type publicKeys struct {
	mu      sync.Mutex
	signers map[string][]signer
	calls   []string
	fail    func(region string) error
}

// PublicKeys implements digest.Keys.
func (k *publicKeys) PublicKeys(
	ctx context.Context,
	region string,
	from, to time.Time,
) ([]digest.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls = append(k.calls, region+" "+to.Sub(from).String())
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if k.fail != nil {
		if err := k.fail(region); err != nil {
			return nil, err
		}
	}
	var found []digest.PublicKey
	for _, s := range k.signers[region] {
		if s.from.Before(to) && from.Before(s.to) {
			found = append(found, s.public)
		}
	}
	return found, nil
}

// world is a bucket or more to which CloudTrail delivers.
type world struct {
	*storage
	keys *publicKeys
}

func newWorld() *world {
	return &world{storage: newStorage(), keys: &publicKeys{signers: map[string][]signer{}}}
}

// addKeys gives a region keys of so many days each.
func (w *world) addKeys(region string, first int, each time.Duration) {
	from := epoch.Add(-each / 2)
	for i := range signers() {
		key := signers()[(i+first)%len(signers())]
		w.keys.signers[region] = append(w.keys.signers[region], newSigner(key, i%2 == 1, from, from.Add(each)))
		from = from.Add(each)
	}
}

func (w *world) signerAt(region string, at time.Time) signer {
	found := w.keys.signers[region]
	for _, s := range found {
		if at.Before(s.to) {
			return s
		}
	}
	return found[len(found)-1]
}

// log is a log file that was delivered.
type log struct {
	bucket, key, hash string
	modified          time.Time
}

// delivered is a digest that was delivered.
type delivered struct {
	bucket, key, hash, signature string
	start, end                   time.Time
	logs                         []log
	backfill, first              bool
	// after is the digest before; nil for one that starts a chain.
	after *delivered
}

// delivery is CloudTrail's delivery for one chain.
type delivery struct {
	*world
	trail   digest.Trail
	chain   digest.Chain
	at      time.Time
	last    *delivered
	digests []*delivered
	late    []log
	count   int
}

func (w *world) deliver(trail digest.Trail, chain digest.Chain, from time.Time) *delivery {
	if w.keys.signers[chain.Region] == nil {
		w.addKeys(chain.Region, 0, 30*24*time.Hour)
	}
	return &delivery{world: w, trail: trail, chain: chain, at: from}
}

func (d *delivery) root() string {
	root := "AWSLogs/"
	if d.trail.Prefix != "" {
		root = d.trail.Prefix + "/AWSLogs/"
	}
	if d.chain.OrganizationID != "" {
		root += d.chain.OrganizationID + "/"
	}
	return root + d.chain.AccountID + "/"
}

func (d *delivery) digestKey(end time.Time) string {
	return fmt.Sprintf("%sCloudTrail-Digest/%s/%s/%s_CloudTrail-Digest_%s_%s_%s_%s.json.gz", d.root(), d.chain.Region,
		end.Format("2006/01/02"), d.chain.AccountID, d.chain.Region, d.trail.Name, d.trail.HomeRegion,
		end.Format("20060102T150405Z"))
}

func (d *delivery) logKey(at time.Time) string {
	d.count++
	sum := sha256.Sum256([]byte(fmt.Sprint(d.trail.Name, d.count)))
	return fmt.Sprintf("%sCloudTrail/%s/%s/%s_CloudTrail_%s_%s_%s.json.gz", d.root(), d.chain.Region,
		at.Format("2006/01/02"), d.chain.AccountID, d.chain.Region, at.Format("20060102T1504Z"),
		hex.EncodeToString(sum[:8]))
}

// putLog delivers a log file of some size at a time.
func (d *delivery) putLog(named, written time.Time) log {
	key := d.logKey(named)
	content := []byte(`{"Records":[{"eventName":"` + key + `"}]}`)
	sum := sha256.Sum256(content)
	d.put(d.trail.Bucket, key, &object{body: pack(content), modified: written})
	return log{d.trail.Bucket, key, hex.EncodeToString(sum[:]), written}
}

// hours delivers hours with so many log files each.
func (d *delivery) hours(logs ...int) *delivery {
	for _, n := range logs {
		var made []log
		for i := range n {
			at := d.at.Add(time.Duration(i+1) * time.Hour / time.Duration(n+1))
			made = append(made, d.putLog(at, at.Add(time.Minute)))
		}
		d.digest(d.at.Add(time.Hour), made)
	}
	return d
}

// end delivers an ending digest, and stops.
func (d *delivery) end(after time.Duration) *delivery {
	at := d.at.Add(after / 2)
	d.digest(d.at.Add(after), []log{d.putLog(at, at)})
	return d
}

// begin starts a new chain after a time.
func (d *delivery) begin(after time.Duration) *delivery {
	d.at, d.last = d.at.Add(after), nil
	return d
}

// digest delivers the digest of the time until its end.
func (d *delivery) digest(end time.Time, logs []log) *delivered {
	made := &delivered{
		bucket: d.trail.Bucket, key: d.digestKey(end), start: d.at, end: end, logs: logs, first: d.last == nil, after: d.last,
	}
	fields := d.fields(made)
	if d.last != nil {
		fields["previousDigestS3Bucket"] = d.last.bucket
		fields["previousDigestS3Object"] = d.last.key
		fields["previousDigestHashValue"] = d.last.hash
		fields["previousDigestHashAlgorithm"] = "SHA-256"
		fields["previousDigestSignature"] = d.last.signature
	}
	d.sign(made, fields, d.signerAt(d.chain.Region, end), nil, end.Add(4*time.Minute))
	d.at, d.last = end, made
	d.digests = append(d.digests, made)
	return made
}

// backfill delivers a backfill digest of the hour of the last digest, some time later.
func (d *delivery) backfill(after time.Duration, logs int) *delivered {
	made := &delivered{
		bucket: d.trail.Bucket, start: d.last.start, end: d.last.end, backfill: true,
		key: strings.TrimSuffix(d.last.key, ".json.gz") + "_backfill.json.gz",
	}
	for range logs {
		made.logs = append(made.logs, d.putLog(d.last.start.Add(time.Minute), d.last.end.Add(after/2)))
	}
	generated := d.last.end.Add(after)
	fields := d.fields(made)
	metadata := map[string]string{"backfill-generation-timestamp": generated.Format(time.RFC3339)}
	d.sign(made, fields, d.signerAt(d.chain.Region, generated), metadata, generated)
	d.digests = append(d.digests, made)
	return made
}

// fields are those that every digest has; null where there is no value.
func (d *delivery) fields(made *delivered) map[string]any {
	files := []map[string]string{}
	for _, l := range made.logs {
		files = append(files, map[string]string{
			"s3Bucket": l.bucket, "s3Object": l.key, "hashValue": l.hash, "hashAlgorithm": "SHA-256",
			"newestEventTime": made.end.Format(time.RFC3339), "oldestEventTime": made.start.Format(time.RFC3339),
		})
	}
	return map[string]any{
		"awsAccountId": d.chain.AccountID, "digestStartTime": made.start.Format(time.RFC3339),
		"digestEndTime": made.end.Format(time.RFC3339), "digestS3Bucket": made.bucket, "digestS3Object": made.key,
		"digestSignatureAlgorithm": "SHA256withRSA", "newestEventTime": nil, "oldestEventTime": nil,
		"previousDigestS3Bucket": nil, "previousDigestS3Object": nil, "previousDigestHashValue": nil,
		"previousDigestHashAlgorithm": nil, "previousDigestSignature": nil, "logFiles": files,
	}
}

// sign signs a digest and puts it into the bucket.
func (d *delivery) sign(
	made *delivered,
	fields map[string]any,
	by signer,
	metadata map[string]string,
	modified time.Time,
) {
	fields["digestPublicKeyFingerprint"] = by.public.Fingerprint
	content, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(content)
	made.hash = hex.EncodeToString(sum[:])
	previous, ok := fields["previousDigestSignature"].(string)
	if !ok {
		previous = "null"
	}
	text := sha256.Sum256([]byte(fmt.Sprintf("%s\n%s/%s\n%s\n%s",
		fields["digestEndTime"], made.bucket, made.key, made.hash, previous)))
	signature, err := rsa.SignPKCS1v15(nil, by.private, crypto.SHA256, text[:])
	if err != nil {
		panic(err)
	}

	made.signature = hex.EncodeToString(signature)
	all := map[string]string{"signature": made.signature, "signature-algorithm": "SHA256withRSA"}
	for name, value := range metadata {
		all[name] = value
	}
	d.put(made.bucket, made.key, &object{body: pack(content), metadata: all, modified: modified})
}

// hourly are the digests that are no backfill digests.
func (d *delivery) hourly() []*delivered {
	return slices.DeleteFunc(slices.Clone(d.digests), func(one *delivered) bool { return one.backfill })
}

var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// pack compresses.
func pack(content []byte) []byte {
	var out bytes.Buffer
	writer, ok := packers.Get().(*gzip.Writer)
	if !ok {
		panic("no writer")
	}
	defer packers.Put(writer)
	writer.Reset(&out)
	if _, err := writer.Write(content); err != nil {
		panic(err)
	}
	if err := writer.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// unpack is the opposite.
func unpack(packed []byte) []byte {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic(err)
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(reader); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// Names for tests that need only one chain.
var (
	oneTrail = digest.Trail{
		Name: "a_trail.of-names", HomeRegion: "eu-west-1", AccountID: "111122223333", Bucket: "archive", Prefix: "logs/of",
	}
	oneChain = digest.Chain{AccountID: "111122223333", Region: "us-east-1"}
)

// walked is what a walk found.
type walked struct {
	results  []digest.Result
	position digest.Position
}

func (w walked) findings() []digest.Finding {
	var found []digest.Finding
	for _, result := range w.results {
		if result.Finding != nil {
			found = append(found, *result.Finding)
		}
	}
	return found
}

// settings are how a test walks.
type settings struct {
	mode     digest.Mode
	now      time.Time
	start    time.Time
	until    time.Time
	from     digest.Position
	delivery *digest.Delivery
}

// validate walks a chain.
func (d *delivery) validate(t testing.TB, s settings) walked {
	t.Helper()
	if s.now.IsZero() {
		s.now = d.at.Add(30 * time.Minute)
	}
	return walkChain(t, d.storage, d.keys, d.trail, d.chain, s)
}

func walkChain(
	t testing.TB, objects digest.Storage, keys digest.Keys, trail digest.Trail, chain digest.Chain, s settings,
) walked {
	t.Helper()
	validator := digest.New(digest.Options{
		Storage: objects, Keys: keys, Mode: s.mode, SamplePercent: 50, Now: func() time.Time { return s.now },
	})
	var w walked
	position, err := validator.Walk(t.Context(), digest.Walk{
		Trail: trail, Chain: chain, From: s.from, Start: s.start, Until: s.until, Delivery: s.delivery,
		Report: func(result digest.Result) { w.results = append(w.results, result) },
	})
	if err != nil {
		t.Fatalf("walking: %v", err)
	}
	w.position = position
	return w
}
