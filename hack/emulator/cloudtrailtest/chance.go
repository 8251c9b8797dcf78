package cloudtrailtest

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	mathrand "math/rand/v2"
	"sync"
	"time"
)

// purpose is what something random is for.
type purpose string

const (
	forRequestIDs purpose = "request ids"
	forEventIDs   purpose = "event ids"
	forSessions   purpose = "sessions"
	forTokens     purpose = "page tokens"
	forFaults     purpose = "faults"
	forReads      purpose = "read lags"
	forHistory    purpose = "history lags"
	forMessages   purpose = "message ids"
	forReceives   purpose = "repeated receives"
	forEnvelopes  purpose = "envelope ids"
	forDeliveries purpose = "event deliveries"
)

// chance is where everything random comes from. Each purpose has a stream of its own in each place, so that what
// happens in one account changes nothing that is drawn in another.
type chance struct {
	seed    int64
	mu      sync.Mutex
	streams map[stream]*mathrand.Rand
}

type stream struct {
	purpose purpose
	place
}

func newChance(seed int64) *chance { return &chance{seed: seed, streams: map[stream]*mathrand.Rand{}} }

// source returns a stream. The caller holds the lock.
func (c *chance) source(p purpose, at place) *mathrand.Rand {
	key := stream{p, at}
	r := c.streams[key]
	if r == nil {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s|%s|%s", p, at.account, at.region)
		r = mathrand.New(mathrand.NewPCG(uint64(c.seed), h.Sum64()))
		c.streams[key] = r
	}
	return r
}

// float returns a number in [0, 1).
func (c *chance) float(p purpose, at place) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.source(p, at).Float64()
}

// between returns a duration from shortest to longest, both included.
func (c *chance) between(p purpose, at place, shortest, longest time.Duration) time.Duration {
	if longest <= shortest {
		return shortest
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return shortest + time.Duration(c.source(p, at).Int64N(int64(longest-shortest)+1))
}

// bytes returns n bytes: of the seed, or without one such as nobody can know.
func (c *chance) bytes(p purpose, at place, n int) []byte {
	b := make([]byte, (n+7)/8*8)
	if c.seed == 0 {
		rand.Read(b)
		return b[:n]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	source := c.source(p, at)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], source.Uint64())
	}
	return b[:n]
}

// id returns a UUID.
func (c *chance) id(p purpose, at place) string {
	b := c.bytes(p, at, 16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
