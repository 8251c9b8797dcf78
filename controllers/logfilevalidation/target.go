package logfilevalidation

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/digest"
)

// request returns what is to be validated as the object and its Trail say. The error is a *Refusal, or one of the
// Kubernetes API.
func (r *Reconciler) request(ctx context.Context, v *v1alpha1.LogFileValidation) (Request, error) {
	request := Request{
		Namespace: v.Namespace, Name: v.Name, Identity: v.IdentityName(),
		Range: v.Spec.IsRange(),
		Mode:  digest.Mode(v.Spec.ValidationMode()),
	}
	if v.Spec.SamplePercent != nil {
		request.SamplePercent = int(*v.Spec.SamplePercent)
	}

	if v.Spec.TrailRef != nil {
		return r.ofTrail(ctx, request, v.Spec.TrailRef.Name)
	}
	trail, err := parseTrail(v.Spec.TrailARN)
	if err != nil {
		return request, err
	}
	trail.Bucket, trail.Prefix = v.Spec.S3BucketName, v.Spec.S3KeyPrefix
	trail.Organization = v.Spec.Organization != nil && *v.Spec.Organization
	request.ARN, request.Trail = v.Spec.TrailARN, trail
	return request, nil
}

// ofTrail completes a request with what a Trail of the same namespace says.
func (r *Reconciler) ofTrail(ctx context.Context, request Request, name string) (Request, error) {
	trail := &v1alpha1.Trail{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: request.Namespace, Name: name}, trail)
	switch {
	case apierrors.IsNotFound(err):
		return request, &Refusal{v1alpha1.ReasonTrailNotFound, fmt.Sprintf(
			"there is no Trail %q in namespace %s: create it, or create a LogFileValidation with another trailRef",
			name, request.Namespace)}
	case err != nil:
		return request, fmt.Errorf("reading Trail %s: %w", name, err)
	case trail.DecodeError != "":
		return request, &Refusal{v1alpha1.ReasonInvalidSpec, fmt.Sprintf("Trail %q: %s", name, trail.DecodeError)}
	case trail.Status.TrailARN == "":
		return request, &Refusal{v1alpha1.ReasonTrailNotFound, fmt.Sprintf(
			"Trail %q has no trail in AWS yet: its Ready condition says why", name)}
	case !trail.Spec.LogFileValidationDesired() && !request.Range:
		return request, &Refusal{v1alpha1.ReasonValidationOff, fmt.Sprintf(
			"Trail %q delivers no digests, so its log files cannot be proved: set spec.enableLogFileValidation: true", name)}
	}

	found, err := parseTrail(trail.Status.TrailARN)
	if err != nil {
		return request, err
	}
	found.Bucket, found.Prefix = trail.Spec.S3BucketName, trail.Spec.S3KeyPrefix
	found.Organization = trail.Spec.OrganizationDesired()
	request.ARN, request.Trail, request.Delivery = trail.Status.TrailARN, found, deliveryOf(trail)
	return request, nil
}

// deliveryOf returns what the status of a Trail tells about the digests of its home region; nil: nothing.
func deliveryOf(trail *v1alpha1.Trail) *digest.Delivery {
	status := &trail.Status
	if status.IsLogging == nil {
		return nil
	}
	delivery := &digest.Delivery{Error: status.LatestDigestDeliveryError, Stopped: !*status.IsLogging}
	if status.LatestDigestDeliveryTime != nil {
		delivery.Time = status.LatestDigestDeliveryTime.Time
	}
	return delivery
}

// parseTrail returns what an ARN tells of a trail. The error is a *Refusal.
func parseTrail(trailARN string) (digest.Trail, error) {
	trail, ok := cloudtrail.ParseTrailARN(trailARN)
	if !ok {
		return trail, &Refusal{v1alpha1.ReasonInvalidSpec, fmt.Sprintf("%q is not the ARN of a trail", trailARN)}
	}
	return trail, nil
}
