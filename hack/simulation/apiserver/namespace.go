package apiserver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// namespaceStrategy has the rules for namespaces: those of k8s.io/kubernetes' pkg/registry/core/namespace.
type namespaceStrategy struct{ baseStrategy }

// NamespaceScoped says no.
func (namespaceStrategy) NamespaceScoped() bool { return false }

// setNamespaceDefaults labels a namespace with its name.
func setNamespaceDefaults(object runtime.Object) {
	if namespace := as[corev1.Namespace](object); namespace.Name != "" {
		labelNamespace(namespace)
	}
}

func labelNamespace(namespace *corev1.Namespace) {
	if namespace.Labels == nil {
		namespace.Labels = map[string]string{}
	}
	namespace.Labels[corev1.LabelMetadataName] = namespace.Name
}

// PrepareForCreate makes the namespace active, and keeps it from being deleted before its content.
func (namespaceStrategy) PrepareForCreate(_ context.Context, object runtime.Object) {
	namespace := as[corev1.Namespace](object)
	namespace.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
	if !slices.Contains(namespace.Spec.Finalizers, corev1.FinalizerKubernetes) {
		namespace.Spec.Finalizers = append(namespace.Spec.Finalizers, corev1.FinalizerKubernetes)
	}
}

// PrepareForUpdate keeps finalizers and status.
func (namespaceStrategy) PrepareForUpdate(_ context.Context, object, old runtime.Object) {
	namespace, before := as[corev1.Namespace](object), as[corev1.Namespace](old)
	namespace.Spec.Finalizers, namespace.Status = before.Spec.Finalizers, before.Status
}

// Validate validates a new namespace.
func (namespaceStrategy) Validate(_ context.Context, object runtime.Object) field.ErrorList {
	namespace, is := object.(*corev1.Namespace)
	if !is {
		return unexpectedKind(object)
	}
	errs := validation.ValidateObjectMeta(
		&namespace.ObjectMeta, false, validation.ValidateNamespaceName, field.NewPath("metadata"))
	path := func(int) *field.Path { return field.NewPath("spec", "finalizers") }
	return append(errs, validateFinalizers(namespace, path)...)
}

// ValidateUpdate validates a changed namespace.
func (s namespaceStrategy) ValidateUpdate(ctx context.Context, object, old runtime.Object) field.ErrorList {
	return append(s.Validate(ctx, object), validateNamespaceUpdate(object, old)...)
}

// Canonicalize labels a namespace whose name was generated.
func (namespaceStrategy) Canonicalize(object runtime.Object) {
	labelNamespace(as[corev1.Namespace](object))
}

func validateNamespaceUpdate(object, old runtime.Object) field.ErrorList {
	namespace, is := object.(*corev1.Namespace)
	if !is {
		return unexpectedKind(object)
	}
	return validation.ValidateObjectMetaUpdate(
		&namespace.ObjectMeta, &as[corev1.Namespace](old).ObjectMeta, field.NewPath("metadata"))
}

func validateFinalizers(namespace *corev1.Namespace, path func(int) *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, finalizer := range namespace.Spec.Finalizers {
		errs = append(errs, validation.ValidateFinalizerName(string(finalizer), path(i))...)
		errs = append(errs, validateUnqualified(string(finalizer), path(i))...)
	}
	return errs
}

// namespaceStatusStrategy has the rules for the status of namespaces.
type namespaceStatusStrategy struct{ namespaceStrategy }

// PrepareForUpdate keeps the finalizers.
func (namespaceStatusStrategy) PrepareForUpdate(_ context.Context, object, old runtime.Object) {
	as[corev1.Namespace](object).Spec = as[corev1.Namespace](old).Spec
}

// ValidateUpdate validates a changed status.
func (namespaceStatusStrategy) ValidateUpdate(_ context.Context, object, old runtime.Object) field.ErrorList {
	errs := validateNamespaceUpdate(object, old)
	namespace, path := as[corev1.Namespace](object), field.NewPath("status", "Phase")
	switch phase := namespace.Status.Phase; {
	case namespace.DeletionTimestamp.IsZero() && phase != corev1.NamespaceActive:
		errs = append(errs, field.Invalid(path, phase, "may only be 'Active' if `deletionTimestamp` is empty"))
	case !namespace.DeletionTimestamp.IsZero() && phase != corev1.NamespaceTerminating:
		errs = append(errs, field.Invalid(path, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"))
	}
	return errs
}

// namespaceFinalizeStrategy has the rules for removing the finalizers of namespaces.
type namespaceFinalizeStrategy struct{ namespaceStrategy }

// PrepareForUpdate keeps the status.
func (namespaceFinalizeStrategy) PrepareForUpdate(_ context.Context, object, old runtime.Object) {
	as[corev1.Namespace](object).Status = as[corev1.Namespace](old).Status
}

// ValidateUpdate validates changed finalizers.
func (namespaceFinalizeStrategy) ValidateUpdate(_ context.Context, object, old runtime.Object) field.ErrorList {
	errs := validateNamespaceUpdate(object, old)
	return append(errs, validateFinalizers(as[corev1.Namespace](object), field.NewPath("spec", "finalizers").Index)...)
}

// hasSpecFinalizers tells whether an object is a namespace that still has something to be deleted.
func hasSpecFinalizers(object runtime.Object) bool {
	namespace, is := object.(*corev1.Namespace)
	return is && len(namespace.Spec.Finalizers) > 0
}

// admitInto checks that the namespace of a new object takes it: the admission plugin NamespaceLifecycle.
func (s *Server) admitInto(r *request, name string) error {
	if !r.resource.namespaced {
		return nil
	}
	namespaces := schema.GroupResource{Resource: "namespaces"}
	found := s.tables[namespaces].get(r.namespace)
	if found == nil {
		return apierrors.NewNotFound(namespaces, r.namespace)
	}
	if as[corev1.Namespace](found.object).Status.Phase != corev1.NamespaceTerminating {
		return nil
	}

	err := apierrors.NewForbidden(r.groupResource(), name, fmt.Errorf(
		"unable to create new content in namespace %s because it is being terminated", r.namespace))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type:    corev1.NamespaceTerminatingCause,
		Message: fmt.Sprintf("namespace %s is being terminated", r.namespace),
		Field:   "metadata.namespace",
	})
	return err
}

// immortal are the namespaces that cannot be deleted.
var immortal = []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic}

// errImmortal is what is said of them.
var errImmortal = errors.New("this namespace may not be deleted")

// deleteNamespace marks a namespace as Terminating. Its finalizer stays until CollectNamespaces.
func (s *Server) deleteNamespace(r *request, options *metav1.DeleteOptions) (deleted, marked *version, err error) {
	existing := r.table.get(r.name)
	if existing == nil {
		return nil, nil, apierrors.NewNotFound(r.groupResource(), r.name)
	}
	namespace := as[corev1.Namespace](existing.object.DeepCopyObject())
	if err := checkNamespace(r, namespace, options.Preconditions); err != nil {
		return nil, nil, err
	}
	switch {
	case namespace.DeletionTimestamp == nil && slices.Contains(immortal, r.name):
		return nil, nil, apierrors.NewForbidden(r.groupResource(), r.name, errImmortal)
	case namespace.DeletionTimestamp != nil && len(namespace.Spec.Finalizers) > 0:
		return nil, existing, nil
	case namespace.DeletionTimestamp != nil:
		return s.delete(r, options)
	default:
	}

	now := metav1.NewTime(s.options.Now())
	namespace.DeletionTimestamp = &now
	namespace.Status.Phase = corev1.NamespaceTerminating
	namespace.Finalizers = garbageFinalizers(namespace.Finalizers, options)
	marked, err = s.put(r.table, r.name, namespace, isDryRun(options.DryRun))
	return nil, marked, err
}

// checkNamespace checks the preconditions of a deletion.
func checkNamespace(r *request, namespace *corev1.Namespace, preconditions *metav1.Preconditions) error {
	if preconditions == nil {
		return nil
	}
	if uid := preconditions.UID; uid != nil && *uid != namespace.UID {
		return apierrors.NewConflict(r.groupResource(), r.name, unmet("UID", *uid, namespace.UID))
	}
	if version := preconditions.ResourceVersion; version != nil && *version != namespace.ResourceVersion {
		return apierrors.NewConflict(
			r.groupResource(), r.name, unmet("ResourceVersion", *version, namespace.ResourceVersion))
	}
	return nil
}

// unmet says, with the API server's words, that a precondition is not met.
func unmet[T ~string](what string, want, found T) error {
	//nolint:staticcheck // The API server begins so.
	return fmt.Errorf("Precondition failed: %s in precondition: %v, %s in object meta: %v", what, want, what, found)
}

// CollectNamespaces does once what the namespace controller of kube-controller-manager does: it deletes what is in
// Terminating namespaces, and the namespaces in which nothing is left. Objects with finalizers are left to those who
// set them. It returns the names of the namespaces that still are Terminating. The server never does this by itself.
func (s *Server) CollectNamespaces() ([]string, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	namespaces := s.tables[schema.GroupResource{Resource: "namespaces"}]

	var waiting []string
	for _, v := range namespaces.list("", s.revision) {
		namespace := as[corev1.Namespace](v.object)
		if namespace.DeletionTimestamp == nil {
			continue
		}
		left, err := s.empty(namespace.Name)
		if err != nil {
			return nil, err
		}
		if left || len(namespace.Finalizers) > 0 {
			waiting = append(waiting, namespace.Name)
			continue
		}
		if err := s.remove(namespaces, namespace.Name); err != nil {
			return nil, err
		}
	}
	return waiting, nil
}

// empty deletes what is in a namespace, and tells whether something is left.
func (s *Server) empty(namespace string) (left bool, err error) {
	for _, resource := range s.resources {
		if !resource.namespaced {
			continue
		}
		table := s.tables[resource.GroupResource()]
		for _, v := range table.list(namespace, s.revision) {
			r := newRequest(context.Background(), "delete", table, namespace)
			r.name = v.metadata().GetName()
			_, marked, err := s.delete(r, &metav1.DeleteOptions{})
			if err != nil {
				return false, err
			}
			left = left || marked != nil
		}
	}
	return left, nil
}
