package apiserver

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// standardFinalizers are those without a domain.
var standardFinalizers = []string{
	metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents, string(corev1.FinalizerKubernetes),
}

// validateUnqualified refuses a finalizer without a domain that is none of Kubernetes'.
func validateUnqualified(finalizer string, path *field.Path) field.ErrorList {
	if strings.Contains(finalizer, "/") || slices.Contains(standardFinalizers, finalizer) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, finalizer,
		"name is neither a standard finalizer name nor is it fully qualified")}
}

// finalizerWarnings warns of finalizers that are new and have a name that could be another's, too.
func finalizerWarnings(finalizers, before []string) []string {
	added := slices.DeleteFunc(slices.Clone(finalizers), func(finalizer string) bool {
		return slices.Contains(before, finalizer)
	})
	slices.Sort(added)

	var warnings []string
	for _, finalizer := range slices.Compact(added) {
		for _, message := range validation.IsQualifiedName(finalizer) {
			warnings = append(warnings, fmt.Sprintf("metadata.finalizers: %q: %s", finalizer, message))
		}
		if strings.Contains(finalizer, "/") || slices.Contains(standardFinalizers, finalizer) {
			continue
		}
		advice := "prefer a domain-qualified finalizer name"
		if strings.Contains(finalizer, ".") {
			advice += " including a path (/)"
		}
		warnings = append(warnings, fmt.Sprintf(
			"metadata.finalizers: %q: %s to avoid accidental conflicts with other finalizer writers", finalizer, advice))
	}
	return warnings
}
