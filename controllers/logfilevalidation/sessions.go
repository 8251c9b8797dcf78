package logfilevalidation

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/digest"
)

const (
	// objectsAtOnce is how many objects of S3 are read at once, of all validations.
	objectsAtOnce = 32
	// askAgain is when CloudTrail is asked again that has refused to tell: each refused call is an event that may alarm
	// somebody.
	askAgain = 24 * time.Hour
)

// Access is what AWS is validated through.
type Access struct {
	// Client reads AWSIdentities and Namespaces.
	Client   client.Reader
	Sessions *cloudtrail.Sessions
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// limits and seed are those of all validations.
	limits *digest.Limits
	seed   [32]byte
}

// Opener returns what validates with the identities of objects, as far as these may be used.
func (a Access) Opener() Opener {
	if a.Now == nil {
		a.Now = time.Now
	}
	a.limits = digest.NewLimits(objectsAtOnce)
	rand.Read(a.seed[:]) // It never fails: https://pkg.go.dev/crypto/rand#Read.
	return a.open
}

// opened is what a Source was opened with; another one with the same can do without.
type opened struct {
	session       *cloudtrail.Session
	mode          digest.Mode
	samplePercent int
}

// open implements Opener.
func (a Access) open(ctx context.Context, request Request, last *Source) (*Source, error) {
	ctx = cloudtrail.WithActor(ctx, request.Namespace+"/"+request.Name)
	caller, region, err := a.enter(ctx, request, request.Trail.HomeRegion)
	if err != nil {
		return nil, explained(err, request, caller)
	}
	trail := request.Trail
	if trail.Bucket == "" {
		if trail, err = describe(ctx, region, request); err != nil {
			return nil, explained(err, request, caller)
		}
	}

	is := opened{region.Session(), request.Mode, request.SamplePercent}
	if last != nil && last.opened == is {
		// It knows the public keys, and what it may not ask.
		return &Source{Validator: last.Validator, Trail: trail, Delivery: last.Delivery, opened: is}, nil
	}
	deliveries := &deliveries{access: a, request: request}
	return &Source{
		Validator: digest.New(digest.Options{
			Storage: region.Session().Storage(),
			Keys:    &keys{access: a, request: request, keys: region.Session().PublicKeys()},
			Mode:    request.Mode, SamplePercent: request.SamplePercent, Seed: a.seed,
			Limits: a.limits, Now: a.Now,
		}),
		Trail: trail, Delivery: deliveries.of, opened: is,
	}, nil
}

// enter returns CloudTrail in a region, if the object's identity may be used there.
func (a Access) enter(
	ctx context.Context, request Request, region string,
) (cloudtrail.Caller, *cloudtrail.Region, error) {
	return awsidentity.Enter(ctx, a.Client, a.Sessions, awsidentity.User{
		Namespace: request.Namespace, Identity: request.Identity, Region: region,
	})
}

// describe asks CloudTrail where the trail delivers.
func describe(ctx context.Context, region *cloudtrail.Region, request Request) (digest.Trail, error) {
	trail := request.Trail
	settings, err := region.Settings(ctx, request.ARN)
	if cloudtrail.Is(err, cloudtrail.NotFound) {
		return trail, &Refusal{v1alpha1.ReasonTrailNotFound, fmt.Sprintf(
			"there is no trail %s: if it was deleted, set spec.s3BucketName in a new LogFileValidation", request.ARN)}
	}
	if err != nil {
		return trail, err
	}
	if !settings.EnableLogFileValidation && !request.Range {
		return trail, &Refusal{
			v1alpha1.ReasonValidationOff,
			fmt.Sprintf("the trail %s delivers no digests, so its log files "+
				"cannot be proved: enable log file validation", request.ARN),
		}
	}
	trail.Bucket, trail.Prefix = settings.S3BucketName, settings.S3KeyPrefix
	trail.Organization = settings.IsOrganizationTrail
	return trail, nil
}

// explained returns an error of AWS with what its identity needs.
func explained(err error, request Request, caller cloudtrail.Caller) error {
	awsError, ok := errors.AsType[*cloudtrail.Error](err)
	if !ok || awsError.Class != cloudtrail.Permission {
		return err
	}
	remedy := cloudtrail.PermissionRemedy(awsError, request.Identity, caller.ARN)
	return &Refusal{awsError.Reason(), awsError.Error() + " — " + remedy}
}

// deliveries tell what CloudTrail says about its last digests.
type deliveries struct {
	access  Access
	request Request

	mu sync.Mutex
	// denied is until when CloudTrail is not asked, as the identity may not.
	denied time.Time
}

// of returns what CloudTrail says about its last digest of a chain; nil: it does not say. It knows no more than the
// trail's own account. What the Trail says must do where CloudTrail may not be asked.
func (d *deliveries) of(ctx context.Context, request Request, chain digest.Chain) *digest.Delivery {
	known := request.Delivery
	if chain.AccountID == request.Trail.AccountID {
		if status, ok := d.ask(ctx, chain.Region); ok {
			return &digest.Delivery{
				Time: status.LatestDigestDeliveryTime, Error: status.LatestDigestDeliveryError, Stopped: !status.IsLogging,
			}
		}
		if chain.Region == request.Trail.HomeRegion {
			return known
		}
	}
	if known != nil && known.Stopped {
		return &digest.Delivery{Stopped: true}
	}
	return nil
}

// ask asks CloudTrail, if that is allowed.
func (d *deliveries) ask(ctx context.Context, region string) (status cloudtrail.Status, ok bool) {
	now := d.access.Now()
	d.mu.Lock()
	denied := now.Before(d.denied)
	d.mu.Unlock()
	if denied {
		return status, false
	}

	_, in, err := d.access.enter(ctx, d.request, region)
	if err == nil {
		status, err = in.Status(ctx, d.request.ARN)
	}
	if cloudtrail.Is(err, cloudtrail.Permission) {
		d.mu.Lock()
		d.denied = now.Add(askAgain)
		d.mu.Unlock()
	}
	return status, err == nil
}

// keys are the public keys of the regions in which the object's identity may be used.
type keys struct {
	access  Access
	request Request
	keys    digest.Keys
}

// PublicKeys implements digest.Keys.
func (k *keys) PublicKeys(ctx context.Context, region string, from, to time.Time) ([]digest.PublicKey, error) {
	if _, _, err := k.access.enter(ctx, k.request, region); err != nil {
		return nil, unavailable(ctx, err)
	}
	return k.keys.PublicKeys(ctx, region, from, to)
}

// unavailable returns an error as digest.Keys promises it.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	found := &digest.UnavailableError{Reason: v1alpha1.ReasonRetrying, Message: err.Error(), Transient: true, Err: err}
	if access, ok := errors.AsType[*awsidentity.AccessError](err); ok {
		found.Reason, found.Transient = access.Reason, false
	}
	if awsError, ok := errors.AsType[*cloudtrail.Error](err); ok {
		found.Reason, found.Transient = awsError.Code, awsError.Class == cloudtrail.Transient
	}
	return found
}
