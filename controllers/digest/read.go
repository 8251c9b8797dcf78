package digest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// maxDigest bounds the content of a digest: 90,000 log files in an hour.
	maxDigest = 32 << 20
	// smallDigest is what any digest may take. Only one larger one is in memory at a time: that of a busy account, or one
	// that somebody has made to fill the memory.
	smallDigest = 1 << 20
)

// reader reads the digests of a chain and of other trails beside it.
type reader struct {
	*Validator
	account string
	keys    *keyQuery
}

// read reads a digest and verifies all that it says of itself. It fails with a *fault or the context's error. Of a
// digest whose key is not known the file is returned, too.
func (r *reader) read(ctx context.Context, n name) (*file, error) {
	var found *file
	err := r.limits().do(ctx, func() error {
		var err error
		found, err = r.readNow(ctx, n)
		return err
	})
	return found, err
}

func (r *reader) readNow(ctx context.Context, n name) (*file, error) {
	content, err := r.options.Storage.Open(ctx, n.bucket, n.key)
	if err != nil {
		return nil, r.unread(ctx, err)
	}
	defer content.Body.Close() //nolint:errcheck // It was read to its end, or is given up.

	text := &contentBuffer{ctx: ctx.Done(), large: r.limits().large}
	defer text.free()
	switch _, err = gunzip(text, content.Body, maxDigest); {
	case errors.Is(err, errNotGzip), errors.Is(err, errBehind):
		return nil, tampered(DigestAltered, "The digest is not as CloudTrail writes it: %v.", err)
	case errors.Is(err, errTooLarge):
		return nil, &fault{
			class:   Unverifiable,
			reason:  ReasonTooLarge,
			message: "The digest is larger than any that CloudTrail writes.",
		}
	case err != nil:
		return nil, r.unread(ctx, err)
	}
	return r.verified(ctx, n, content, text.Bytes())
}

// unread says what an error of the storage means.
func (r *reader) unread(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	if errors.Is(err, ErrNotFound) {
		return tampered(DigestMissing, "The digest was deleted while its chain was validated.")
	}
	return faultOf(err, "The digest")
}

// verified checks a digest in the order in which it can be understood.
func (r *reader) verified(ctx context.Context, n name, content *Content, text []byte) (*file, error) {
	h, err := parseHeader(text)
	if err != nil {
		return nil, tampered(DigestAltered, "The digest is not as CloudTrail writes it: %v.", err)
	}
	if err := r.inPlace(n, h); err != nil {
		return nil, err
	}
	signature, signed, err := signatureOf(n, h, content)
	if err != nil {
		return nil, err
	}

	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:])
	found := &file{
		name: n, modified: content.LastModified, start: h.start, end: h.end,
		hash: hash, signature: signature, previous: h.link(),
	}
	key, err := r.keys.find(ctx, h.Fingerprint, signed)
	if err != nil {
		return found, err
	}
	if !verify(key, signedText(h, n.bucket, n.key, hash), signature) {
		return nil, tampered(
			DigestAltered,
			"The signature in the digest's metadata is not CloudTrail's signature of this digest.",
		)
	}
	return found, r.readLogs(found, h)
}

// inPlace checks that a digest is where it says that it is.
func (r *reader) inPlace(n name, h *header) error {
	switch {
	case h.Bucket != n.bucket || h.Key != n.key:
		return tampered(DigestAltered, "The digest has been moved: it says that it is %q in bucket %q.", h.Key, h.Bucket)
	case h.Account != r.account:
		return tampered(DigestAltered, "The digest says that it is of account %q.", h.Account)
	default:
		return nil
	}
}

// signatureOf returns the signature in the metadata of a digest, and when it was made.
func signatureOf(n name, h *header, content *Content) (string, span, error) {
	signature, algorithm := content.Metadata[signatureField], content.Metadata[signatureAlgorithmField]
	if signature == "" || algorithm == "" {
		return "", span{}, tampered(DigestAltered, "The digest's metadata has no signature: CloudTrail's objects have one, "+
			"and lose it when somebody else writes them, also when they are copied or restored.")
	}
	for _, said := range []string{algorithm, h.Algorithm} {
		if said != "" && said != signatureAlgorithm {
			return "", span{}, tampered(
				DigestAltered,
				"The digest says that it is signed with %q, which CloudTrail does not use.",
				said,
			)
		}
	}
	if !n.backfill {
		return strings.ToLower(signature), span{h.start, h.end}, nil
	}

	// A backfill digest is signed when it is made, maybe with a later key than those of its hour.
	generated, err := time.Parse(time.RFC3339, content.Metadata[generationField])
	if err != nil {
		return "", span{}, tampered(DigestAltered, "The backfill digest's metadata does not say when it was generated.")
	}
	return strings.ToLower(signature), span{generated, generated}, nil
}

// readLogs reads what a digest that is verified vouches for, if that is asked for.
func (r *reader) readLogs(found *file, h *header) error {
	if r.options.Mode == Digests {
		return nil
	}
	var err error
	if found.logs, err = h.logFiles(); err != nil {
		return tampered(DigestAltered, "The digest is not as CloudTrail writes it: %v.", err)
	}
	return nil
}

// contentBuffer keeps the content of a digest. When that becomes large it waits until no other is.
type contentBuffer struct {
	bytes.Buffer
	ctx   <-chan struct{}
	large chan struct{}
	held  bool
}

var errEnded = errors.New("the context has ended")

// Write implements io.Writer.
func (b *contentBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > smallDigest && !b.held {
		select {
		case b.large <- struct{}{}:
			b.held = true
		case <-b.ctx:
			return 0, errEnded
		}
	}
	return b.Buffer.Write(p)
}

// free lets the next large one in.
func (b *contentBuffer) free() {
	if b.held {
		<-b.large
	}
}

// describe names a digest in a message.
func (n name) describe() string { return fmt.Sprintf("%q in bucket %q", n.key, n.bucket) }
