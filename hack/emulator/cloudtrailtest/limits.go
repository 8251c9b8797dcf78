package cloudtrailtest

import (
	"strings"
	"time"
)

// Request rates per account and region, of https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html.
const (
	readRate   = 10.0
	lookupRate = 2.0
	writeRate  = 1.0

	// jitter is by how much a request may come too early and still pass. It is borrowed from the next one, so the rate over
	// time is never exceeded; without it a client that sends exactly at the rate would depend on the network's mood.
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

// rateOf returns the class of an operation and its rate a second.
func (s *Server) rateOf(op string) (class string, rate float64) {
	switch {
	case op == "LookupEvents":
		class, rate = "lookup", lookupRate
	case strings.HasPrefix(op, "Get"), strings.HasPrefix(op, "Describe"), strings.HasPrefix(op, "List"):
		class, rate = "read", readRate
	default:
		class, rate = "write", writeRate
	}
	if s.opts.PerOperationRate {
		class = op
	}
	return class, rate
}

// spend takes one request out of the rate of its class, or answers that there is none left. STS has no rate here.
func (s *Server) spend(c *call) error {
	if _, isCloudTrail := operations[c.operation]; !isCloudTrail || s.opts.NoRateLimit {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	class, rate := s.rateOf(c.operation)
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
