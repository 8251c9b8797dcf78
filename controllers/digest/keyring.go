package digest

import (
	"context"
	"crypto/rsa"
	"fmt"
	"sync"
	"time"
)

// How much longer than the digest's own time keys are asked for. CloudTrail signs a digest some time after its end, and
// keys change about once in 30 days.
const (
	keysBefore = time.Hour
	keysAfter  = 2 * time.Hour
	keysWidely = 35 * 24 * time.Hour
)

// keyring has the public keys that CloudTrail has returned. It keeps them: a fingerprint means the same key for ever,
// and a region has about twelve a year.
type keyring struct {
	source Keys

	mu   sync.Mutex
	keys map[keyID]ringKey
	// asking has a place for each region: who waits for it finds what the one before was told.
	asking map[string]chan struct{}
}

type keyID struct{ region, fingerprint string }

// ringKey is a key, or why it is none.
type ringKey struct {
	public *rsa.PublicKey
	err    error
}

// keyQuery is what one walk has asked for: it does not ask twice for what is not there.
type keyQuery struct {
	ring   *keyring
	region string

	mu      sync.Mutex
	err     error
	answers []span
}

// span is a time between two times.
type span struct{ from, to time.Time }

func (s span) covers(other span) bool { return !s.from.After(other.from) && !s.to.Before(other.to) }

func newKeyring(source Keys) *keyring {
	return &keyring{source: source, keys: map[keyID]ringKey{}, asking: map[string]chan struct{}{}}
}

// find returns the key that has signed something at a time. It fails with a *fault, or the context's error.
func (q *keyQuery) find(ctx context.Context, fingerprint string, at span) (*rsa.PublicKey, error) {
	id := keyID{q.region, fingerprint}
	if key, ok := q.ring.known(id); ok {
		return key.use(id)
	}
	slot := q.ring.slot(q.region)
	if err := take(ctx, slot); err != nil {
		return nil, err
	}
	defer func() { <-slot }()

	narrow := span{at.from.Add(-keysBefore), at.to.Add(keysAfter)}
	for _, asked := range []span{narrow, {at.from.Add(-keysWidely), at.to.Add(keysWidely)}} {
		if err := q.ask(ctx, id, narrow, asked); err != nil {
			return nil, err
		}
		if key, ok := q.ring.known(id); ok {
			return key.use(id)
		}
	}
	return nil, &fault{
		class: Unverifiable, reason: ReasonKeyUnknown, stops: true,
		message: fmt.Sprintf("CloudTrail in %s knows no public key with the fingerprint %q.", q.region, fingerprint),
	}
}

// ask asks for the keys of a time, unless the answer is there already or an answer in this walk had all keys of the
// time that is needed.
func (q *keyQuery) ask(ctx context.Context, id keyID, needed, asked span) error {
	if _, ok := q.ring.known(id); ok {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return q.err
	}
	for _, answer := range q.answers {
		if answer.covers(asked) || answer.wide() && answer.covers(needed) {
			return nil
		}
	}

	keys, err := q.ring.source.PublicKeys(ctx, q.region, asked.from, asked.to)
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	if err != nil {
		q.err = faultOf(err, "CloudTrail's public keys in "+q.region)
		return q.err
	}
	q.ring.add(q.region, keys)
	q.answers = append(q.answers, asked)
	return nil
}

// wide tells whether the answer was one to a widened question.
func (s span) wide() bool { return s.to.Sub(s.from) >= 2*keysWidely }

func (r *keyring) known(id keyID) (ringKey, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key, ok := r.keys[id]
	return key, ok
}

func (r *keyring) slot(region string) chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asking[region] == nil {
		r.asking[region] = make(chan struct{}, 1)
	}
	return r.asking[region]
}

func (r *keyring) add(region string, keys []PublicKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		public, err := parseKey(key)
		r.keys[keyID{region, key.Fingerprint}] = ringKey{public, err}
	}
}

// use returns the key, if it is one.
func (k ringKey) use(id keyID) (*rsa.PublicKey, error) {
	if k.err == nil {
		return k.public, nil
	}
	return nil, &fault{
		class: Unverifiable, reason: ReasonKeyUnknown, stops: true,
		message: fmt.Sprintf("CloudTrail in %s returns a public key with the fingerprint %q that cannot be used: %v.",
			id.region, id.fingerprint, k.err),
	}
}
