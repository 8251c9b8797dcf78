// Package v1alpha1 contains the API of trail-operator: Trail, AWSIdentity, EventLookup and LogFileValidation in the
// group trail-operator.dev.
//
// +kubebuilder:object:generate=true
// +groupName=trail-operator.dev
package v1alpha1
