package trail

import (
	"unique"

	corev1 "k8s.io/api/core/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// StripForCache is the cache's transform for Trails: it drops what nobody reads, and keeps what most Trails say only
// once.
func StripForCache(object any) (any, error) {
	trail, ok := object.(*v1alpha1.Trail)
	if !ok {
		return object, nil // A tombstone.
	}
	trail.ManagedFields = nil
	delete(trail.Annotations, corev1.LastAppliedConfigAnnotation)

	for _, s := range []*string{
		&trail.Namespace, &trail.Spec.Region, &trail.Spec.S3BucketName, &trail.Spec.KMSKeyID,
		&trail.Status.HomeRegion, &trail.Status.AccountID,
	} {
		share(s)
	}
	for i := range trail.Finalizers {
		share(&trail.Finalizers[i])
	}
	for i := range trail.Status.Conditions {
		condition := &trail.Status.Conditions[i]
		share(&condition.Type)
		share(&condition.Status)
		share(&condition.Reason)
		share(&condition.Message)
	}
	return trail, nil
}

// share makes equal strings one.
func share[S ~string](s *S) { *s = S(unique.Make(string(*s)).Value()) }
