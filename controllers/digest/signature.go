package digest

import (
	"crypto"
	"crypto/md5" //nolint:gosec // CloudTrail's fingerprints are MD5; a signature is verified with the key itself.
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
)

// What CloudTrail signs with, and hashes log files with. There never was anything else.
const (
	signatureAlgorithm = "SHA256withRSA"
	hashAlgorithm      = "SHA-256"
)

// The metadata of a digest.
const (
	signatureField          = "signature"
	signatureAlgorithmField = "signature-algorithm"
	generationField         = "backfill-generation-timestamp"
)

// signedText returns what CloudTrail has signed.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html
func signedText(h *header, bucket, key, hash string) string {
	previous := "null"
	if h.PreviousSignature != nil {
		previous = *h.PreviousSignature
	}
	return h.End + "\n" + bucket + "/" + key + "\n" + hash + "\n" + previous
}

// verify tells whether the holder of a key has signed a text.
func verify(key *rsa.PublicKey, text, signature string) bool {
	raw, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(text))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], raw) == nil
}

// parseKey reads a public key, and checks that it is the one that its fingerprint says.
func parseKey(key PublicKey) (*rsa.PublicKey, error) {
	sum := md5.Sum(key.DER) //nolint:gosec // See the import.
	if fingerprint := hex.EncodeToString(sum[:]); fingerprint != key.Fingerprint {
		return nil, fmt.Errorf("the key's fingerprint is %s", fingerprint)
	}

	// CloudTrail's documentation says PKCS #1, but one of its own three examples is not.
	if public, err := x509.ParsePKCS1PublicKey(key.DER); err == nil {
		return public, nil
	}
	parsed, err := x509.ParsePKIXPublicKey(key.DER)
	if err != nil {
		return nil, err
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("it is not an RSA key")
	}
	return public, nil
}
