package apiserver

import (
	"context"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// leaseStrategy has the rules for leases: those of k8s.io/kubernetes' pkg/apis/coordination/validation. Coordinated
// leader election is off, as it is by default.
type leaseStrategy struct{ baseStrategy }

// NamespaceScoped says yes.
func (leaseStrategy) NamespaceScoped() bool { return true }

// AllowCreateOnUpdate says yes.
func (leaseStrategy) AllowCreateOnUpdate(context.Context) bool { return true }

// AllowUnconditionalUpdate says no.
func (leaseStrategy) AllowUnconditionalUpdate(context.Context) bool { return false }

// PrepareForCreate removes the fields of coordinated leader election.
func (leaseStrategy) PrepareForCreate(_ context.Context, object runtime.Object) {
	lease := as[coordinationv1.Lease](object)
	lease.Spec.Strategy, lease.Spec.PreferredHolder = nil, nil
}

// PrepareForUpdate removes the fields of coordinated leader election.
func (s leaseStrategy) PrepareForUpdate(ctx context.Context, object, _ runtime.Object) {
	s.PrepareForCreate(ctx, object)
}

// Validate validates a new lease.
func (leaseStrategy) Validate(_ context.Context, object runtime.Object) field.ErrorList {
	lease, is := object.(*coordinationv1.Lease)
	if !is {
		return unexpectedKind(object)
	}
	errs := validation.ValidateObjectMeta(
		&lease.ObjectMeta, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	return append(errs, validateLeaseSpec(&lease.Spec)...)
}

// ValidateUpdate validates a changed lease.
func (leaseStrategy) ValidateUpdate(_ context.Context, object, old runtime.Object) field.ErrorList {
	lease, is := object.(*coordinationv1.Lease)
	if !is {
		return unexpectedKind(object)
	}
	errs := validation.ValidateObjectMetaUpdate(
		&lease.ObjectMeta, &as[coordinationv1.Lease](old).ObjectMeta, field.NewPath("metadata"))
	return append(errs, validateLeaseSpec(&lease.Spec)...)
}

func validateLeaseSpec(spec *coordinationv1.LeaseSpec) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("spec")
	if seconds := spec.LeaseDurationSeconds; seconds != nil && *seconds <= 0 {
		errs = append(errs, field.Invalid(path.Child("leaseDurationSeconds"), *seconds, "must be greater than 0"))
	}
	if transitions := spec.LeaseTransitions; transitions != nil && *transitions < 0 {
		errs = append(errs, field.Invalid(path.Child("leaseTransitions"), *transitions,
			"must be greater than or equal to 0"))
	}
	return errs
}
