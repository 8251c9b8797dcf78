package cloudtrailtest

import (
	"fmt"
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

// Do performs a CloudTrail operation as the actor: with the operation's own validation, errors (an *APIError) and
// history, but without signature, rate limits, faults, hooks or a trace in Calls. Parameters and result have the names of the
// API, such as {"Name": "audit"}.
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
	out, err := s.perform(&call{
		operation: operation, account: a.actor.AccountID, region: region, partition: partitionOf(region), requestID: newID(),
		params: newMembers(fields),
		caller: caller{
			accessKeyID: a.actor.AccessKeyID, account: a.actor.AccountID, region: region, arn: a.actor.ARN,
			principalID: principalID(a.actor.ARN), sourceIP: a.actor.SourceIPAddress, userAgent: a.actor.UserAgent,
		},
	})
	if err != nil {
		return nil, err
	}
	return viaJSON(out)
}
