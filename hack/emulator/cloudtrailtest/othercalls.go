package cloudtrailtest

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// globalServices are the services whose calls are recorded in one region of each partition, wherever they are made.
var globalServices = []string{"iam", "organizations"}

// globalRegions are those regions.
var globalRegions = map[string]string{"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}

func isGlobal(source string) bool {
	return slices.ContainsFunc(globalServices, func(name string) bool { return source == name+".amazonaws.com" })
}

// EventResource is a resource that an event refers to.
type EventResource struct {
	// Type is a CloudFormation type, such as AWS::S3::Bucket.
	Type string `json:"type"`
	Name string `json:"name"`
}

// OtherCall is a write to a service that is not emulated, as CloudTrail records it.
type OtherCall struct {
	// Service is the service's prefix: s3, kms, sns, iam, logs.
	Service string `json:"service"`
	// Region is where the call goes. IAM's calls are recorded in the one region that the partition has for them.
	Region    string `json:"region"`
	Operation string `json:"operation"`
	// Parameters and Response are requestParameters and responseElements, with the names that the record has, such as
	// bucketName.
	Parameters map[string]any  `json:"parameters,omitempty"`
	Response   map[string]any  `json:"response,omitempty"`
	Resources  []EventResource `json:"resources,omitempty"`
	// ErrorCode and ErrorMessage are set for a call that failed.
	ErrorCode    string `json:"errorCode,omitempty"`
	ErrorMessage string `json:"errorMessage,omitempty"`
}

// errNoOtherCall marks a call that cannot be recorded.
var errNoOtherCall = errors.New("not a call of another service")

// Call records a call of the actor to a service that is not emulated, in the history of the actor's account and of the
// call's region, and forwards it as rules say. Nothing else changes: the resource itself is that of PutBucket and the
// like. It returns the id of the event.
func (a ActingAs) Call(o OtherCall) (eventID string, err error) {
	s := a.server
	switch {
	case o.Service == "" || o.Operation == "":
		return "", fmt.Errorf("%w: service and operation are required", errNoOtherCall)
	case o.Service == "cloudtrail" || o.Service == "sts":
		return "", fmt.Errorf("%w: %s is emulated", errNoOtherCall, o.Service)
	case !s.regions[o.Region]:
		return "", fmt.Errorf("%w: there is no region %q", errNoOtherCall, o.Region)
	}

	e := &event{source: o.Service + ".amazonaws.com", name: o.Operation, verbatim: true}
	region := o.Region
	if isGlobal(e.source) {
		region = globalRegions[partitionOf(region)]
	}
	if e.request, err = viaJSON(o.Parameters); err != nil {
		return "", err
	}
	if o.ErrorCode != "" {
		e.err = &APIError{Code: o.ErrorCode, Message: o.ErrorMessage}
	} else if e.response, err = viaJSON(o.Response); err != nil {
		return "", err
	}
	for _, r := range o.Resources {
		e.resources = append(e.resources, eventResource{r.Type, r.Name})
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	at, now := place{a.actor.AccountID, region}, s.now()
	e.caller = a.actor.caller(region)
	e.id, e.requestID = s.chance.id(forEventIDs, at), s.chance.id(forRequestIDs, at)
	e.time = now.Add(s.opts.EventDelay).Truncate(time.Second)
	s.keep(at, e, now)
	s.deliver()
	s.log(at, e, s.recorders(at))
	if s.selects(at, e.source) {
		s.forward(at, e)
	}
	return e.id, nil
}
