package logfilevalidation

import (
	"context"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// Validator validates chains of digests. It is a *digest.Validator.
type Validator interface {
	Chains(ctx context.Context, trail digest.Trail) ([]digest.Chain, error)
	Walk(ctx context.Context, walk digest.Walk) (digest.Position, error)
}

var _ Validator = (*digest.Validator)(nil)

// Request says what is to be validated, and for whom.
type Request struct {
	// Namespace and Name are the object's, and Identity is the name of its AWSIdentity.
	Namespace, Name, Identity string
	// ARN is the trail's.
	ARN string
	// Trail is where it delivers; without a bucket, CloudTrail is asked.
	Trail digest.Trail
	// Range says that a time is validated that is over: it does not matter whether the trail still delivers digests.
	Range bool
	// Delivery is what is known about the digests of the home region without asking; nil: nothing.
	Delivery *digest.Delivery
	// Mode and SamplePercent are the object's.
	Mode          digest.Mode
	SamplePercent int
}

// Source is where a trail is validated.
type Source struct {
	Validator
	// Trail is where the trail delivers.
	Trail digest.Trail
	// Delivery returns what CloudTrail says about its last digest of a chain, nil where it does not say.
	Delivery func(ctx context.Context, request Request, chain digest.Chain) *digest.Delivery
	// opened is what it was opened with.
	opened opened
}

// Opener returns the source for a request. The last one for the object, or nil, is given along, as what it remembers is
// of use. The error is a *Refusal, a *awsidentity.AccessError or a *cloudtrail.Error, or else the context's or one of
// the Kubernetes API.
type Opener func(ctx context.Context, request Request, last *Source) (*Source, error)

// Refusal says why nothing can be validated.
type Refusal struct {
	// Reason is a condition reason, such as TrailNotFound.
	Reason string
	// Message tells what to change.
	Message string
}

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }
