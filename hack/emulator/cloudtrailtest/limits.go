package cloudtrailtest

import "time"

// Request rates per account and region, of
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html.
const (
	readRate   = 10.0
	lookupRate = 2.0
	writeRate  = 1.0

	// jitter is by how much a request may come too early and still pass. It is borrowed from the next one, so the rate
	// over time is never exceeded; without it a client that sends exactly at the rate would depend on the network's mood.
	jitter = 50 * time.Millisecond

	trailsPerRegion = 5
)

type limitKey struct {
	place
	class string
}

// bucket is a token bucket that holds one second's worth of requests.
type bucket struct {
	tokens float64
	filled time.Time
}

// rates are the requests a second of each kind of operation.
var rates = map[kind]float64{read: readRate, lookup: lookupRate, write: writeRate}

// spend takes one request out of the rate of its class, or answers that there is none left. STS and SQS have no rate
// here.
func (s *Server) spend(c *call) error {
	op, isCloudTrail := operations[c.operation]
	if !isCloudTrail || s.opts.NoRateLimit {
		return nil
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	rate, class := rates[op.kind], string(op.kind)
	if s.opts.PerOperationRate {
		class = c.operation
	}

	key, now := limitKey{place{c.account, c.region}, class}, s.now()
	b := s.limits[key]
	if b == nil {
		b = &bucket{tokens: rate, filled: now}
		s.limits[key] = b
	}
	if elapsed := now.Sub(b.filled); elapsed > 0 {
		b.tokens = min(rate, b.tokens+elapsed.Seconds()*rate)
		b.filled = now
	}

	if b.tokens < 1-rate*jitter.Seconds() {
		s.throttled++
		return fail("ThrottlingException", "Rate exceeded")
	}
	b.tokens--
	return nil
}
