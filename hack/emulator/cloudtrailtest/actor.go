package cloudtrailtest

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// Actor is somebody else who works on trails.
type Actor struct {
	// ARN is who it is: a user, a role session or an account's root.
	ARN string `json:"arn"`
	// AccountID is the actor's account. Default: the ARN's.
	AccountID string `json:"accountID,omitempty"`
	// SourceIPAddress defaults to 203.0.113.7, UserAgent to the console's, AccessKeyID to one made up from the ARN.
	SourceIPAddress string `json:"sourceIPAddress,omitempty"`
	UserAgent       string `json:"userAgent,omitempty"`
	AccessKeyID     string `json:"accessKeyID,omitempty"`
	// Bound is an actor to whom request rates and faults apply as they do in AWS: its calls use up the account's rate, may
	// be throttled, and go wrong where a fault matches. Default: its calls always get through and use nothing up, so that
	// a test can set a scene whatever the operator does in the meantime.
	Bound bool `json:"bound,omitempty"`
}

// ActingAs is a server seen by an actor.
type ActingAs struct {
	server *Server
	actor  Actor
}

// As returns the server seen by an actor.
func (s *Server) As(a Actor) ActingAs {
	if parsed, ok := parseARN(a.ARN); ok && a.AccountID == "" {
		a.AccountID = parsed.account
	}
	if a.SourceIPAddress == "" {
		a.SourceIPAddress = "203.0.113.7"
	}
	if a.UserAgent == "" {
		a.UserAgent = "AWS Internal"
	}
	if a.AccessKeyID == "" {
		a.AccessKeyID = "ASIA" + uniqueID(a.ARN)[:16]
	}
	return ActingAs{s, a}
}

// caller is the actor as the one who makes a call.
func (a Actor) caller(region string) caller {
	return caller{
		accessKeyID: a.AccessKeyID, account: a.AccountID, region: region, arn: a.ARN,
		principalID: principalID(a.ARN), sourceIP: a.SourceIPAddress, userAgent: a.UserAgent,
	}
}

// Do performs a CloudTrail operation as the actor: with the operation's own validation, errors (an *APIError) and
// history, but without signature, hooks or a trace in Calls. Parameters and result have the names of the API, such as
// {"Name": "audit"}. Request rates and faults apply to an actor that is Bound; it never waits: a fault's latency is
// left out, and what would hang or be cut is an error at once.
func (a ActingAs) Do(region, operation string, params map[string]any) (map[string]any, error) {
	s := a.server
	if !s.regions[region] {
		return nil, fmt.Errorf("region %q is not one of %v", region, slices.Sorted(maps.Keys(s.regions)))
	}
	if _, ok := operations[operation]; !ok {
		return nil, fail("UnknownOperationException", "The operation %s is not known.", operation)
	}
	fields, err := viaJSON(params)
	if err != nil {
		return nil, err
	}

	c := &call{
		operation: operation, account: a.actor.AccountID, region: region, partition: partitionOf(region), isActor: true,
		requestID: s.chance.id(forRequestIDs, place{a.actor.AccountID, region}),
		params:    newMembers(fields),
		caller:    a.actor.caller(region),
	}
	do := func() (map[string]any, error) { return s.perform(c) }
	var out map[string]any
	if a.actor.Bound {
		out, err = s.attempt(nil, c, do)
	} else {
		out, err = do()
	}
	switch {
	case err != nil:
		return nil, err
	case c.cutBody:
		return nil, io.ErrUnexpectedEOF
	}
	return viaJSON(out)
}
