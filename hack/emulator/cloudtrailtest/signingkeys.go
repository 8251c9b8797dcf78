package cloudtrailtest

import (
	"crypto"
	"crypto/md5" //nolint:gosec // what CloudTrail makes fingerprints of
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"slices"
	"sync"
	"time"
)

// Two primes of 1024 bits, made for the emulator. All its keys have them, and differ in their exponents: so that making
// a key takes no time, and the same keys come with every start. That such keys are worthless does not matter, as
// everybody can read them here.
const (
	primeP = "f0a5474ad26a0ae7f4a5c197a86be02341767e66d0583e5ba97d7837341d1a7a285bc17634055040121984fbf39f702f" +
		"7f514f6158cc2a5e1dde158d139b9a6007dbac0bd66557b7c1f125d3f8c148c74c2424cca39cbc0ed91cf4910238c6c2" +
		"fdbd6dc9cc0f897c7543aa4949769ce12c6d541f42e0f5ec8db8f54eac1f3b6b"
	primeQ = "d1b759b0bbee8b13266fc4dac1b9cd4bc0fa890dae609aaca129d72151e94848e7dffb1b686df048f2b26516bc7e3f1f" +
		"a0e12ae1c72836ba2dbe4ddc17919f5918da30f193589acc04b18e0adcf4f53aee6e0d45bc2e0a9f2cd5f1274e9763bd" +
		"089c2f8c5d48ab80de4686ae1e474b827215269753691fe89afa02974f9ff051"
)

// firstKeys is when the first keys began to sign: before the time at which the clock of a synctest bubble starts.
var firstKeys = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)

// maxPeriods is how many periods back public keys are listed.
const maxPeriods = 400

// signer is a key of CloudTrail in a region, with which it signs digests from one time on until the next key does.
type signer struct {
	region string
	number int
	// from is when the key begins to sign and to be valid, until when the next one signs.
	from, until, validUntil time.Time
	pkix                    bool
}

// signerAt is the key that signs in a region at a time.
func (d *logDelivery) signerAt(region string, at time.Time) signer {
	number := int(at.Sub(d.firstKey(region)) / d.keyPeriod())
	return d.signer(region, number)
}

// keyPeriod is how long a key signs: it stays valid for a 30th longer.
func (d *logDelivery) keyPeriod() time.Duration { return d.KeyLifetime - d.KeyLifetime/30 }

// firstKey is when the first key of a region began: regions change keys at different times.
func (d *logDelivery) firstKey(region string) time.Time {
	offset := time.Duration(random(0, "keys", region).Int64N(int64(d.keyPeriod())))
	return firstKeys.Add(-offset).Truncate(time.Second)
}

func (d *logDelivery) signer(region string, number int) signer {
	from := d.firstKey(region).Add(time.Duration(number) * d.keyPeriod())
	return signer{
		region: region, number: number, from: from, until: from.Add(d.keyPeriod()), validUntil: from.Add(d.KeyLifetime),
		pkix: d.PKIXEvery > 0 && number%d.PKIXEvery == 0,
	}
}

// periodsApart is after how many periods a region has the same keys again. exponentsEach is how many exponents are
// tried for a key.
const periodsApart, exponentsEach = 2048, 32

// id is what tells the key from all others.
func (k signer) id() int {
	region := slices.Index(DefaultRegions(), k.region)
	if region < 0 {
		region = len(DefaultRegions()) + int(random(0, "region", k.region).Int64N(20))
	}
	return region*periodsApart + k.number%periodsApart
}

// signingKeys are the keys that were made so far.
var signingKeys = struct {
	sync.Mutex
	byID map[int]*rsa.PrivateKey
}{byID: map[int]*rsa.PrivateKey{}}

// private returns the private key.
func (k signer) private() *rsa.PrivateKey {
	signingKeys.Lock()
	defer signingKeys.Unlock()
	id := k.id()
	if signingKeys.byID[id] == nil {
		signingKeys.byID[id] = newKey(65537 + int64(id)*2*exponentsEach)
	}
	return signingKeys.byID[id]
}

// newKey returns the key of the first exponent that will do.
func newKey(exponent int64) *rsa.PrivateKey {
	p, _ := new(big.Int).SetString(primeP, 16)
	q, _ := new(big.Int).SetString(primeQ, 16)
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	for ; ; exponent += 2 {
		d := new(big.Int).ModInverse(big.NewInt(exponent), phi)
		if d == nil {
			continue
		}
		key := &rsa.PrivateKey{
			PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: int(exponent)}, D: d, Primes: []*big.Int{p, q},
		}
		key.Precompute()
		return key
	}
}

// der is the public key as ListPublicKeys returns it.
func (k signer) der() []byte {
	public := &k.private().PublicKey
	if k.pkix {
		raw, _ := x509.MarshalPKIXPublicKey(public) //nolint:errcheck // RSA keys always encode
		return raw
	}
	return x509.MarshalPKCS1PublicKey(public)
}

func (k signer) fingerprint() string {
	sum := md5.Sum(k.der()) //nolint:gosec // what CloudTrail makes fingerprints of
	return hex.EncodeToString(sum[:])
}

// sign returns the signature of a digest with some content.
func (k signer) sign(doc Digest, raw []byte) string {
	sum := sha256.Sum256([]byte(doc.toSign(raw)))
	signature, _ := rsa.SignPKCS1v15(nil, k.private(), crypto.SHA256, sum[:]) //nolint:errcheck // the key is good
	return hex.EncodeToString(signature)
}

// listPublicKeys returns the keys of the region whose private keys signed digests in a range of time.
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_ListPublicKeys.html
func (s *Server) listPublicKeys(c *call) (map[string]any, error) {
	s.deliver()
	now := s.deliveryTime(c.now)
	start, end := now, now
	from, to, token := c.params.timestamp("StartTime"), c.params.timestamp("EndTime"), c.params.optText("NextToken")
	if err := c.params.problem(); err != nil {
		return nil, err
	}
	set(&start, from)
	set(&end, to)
	switch {
	case token != nil:
		// "Reserved for future use."
		return nil, fail("InvalidTokenException", "The token that you specified is not valid.")
	case start.After(end):
		return nil, fail("InvalidTimeRangeException", "The start time must be before the end time.")
	}

	list := []map[string]any{}
	for _, key := range s.signers(c.region, start, end, now) {
		list = append(list, map[string]any{
			"Fingerprint": key.fingerprint(), "Value": key.der(),
			"ValidityStartTime": seconds(key.from), "ValidityEndTime": seconds(key.validUntil),
		})
	}
	return map[string]any{"PublicKeyList": list}, nil
}

// signers returns the keys that signed in a region between two times, until now.
func (s *Server) signers(region string, start, end, now time.Time) []signer {
	d := s.logs
	if d == nil {
		d = &logDelivery{LogDelivery: LogDelivery{}.withDefaults(0)}
	}
	if end.After(now) {
		end = now
	}
	first := d.firstKey(region)
	if oldest := now.Add(-maxPeriods * d.keyPeriod()); oldest.After(first) {
		first = oldest
	}
	if start.Before(first) {
		start = first
	}
	var out []signer
	for key := d.signerAt(region, start); !key.from.After(end); key = d.signer(region, key.number+1) {
		out = append(out, key)
	}
	return out
}
