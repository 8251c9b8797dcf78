// Package condition sets the conditions of objects, writes them, and says what of them is worth an event.
package condition

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Set sets a condition of an object of that generation. The transition time changes with the status alone.
func Set(
	conditions *[]metav1.Condition,
	generation int64,
	conditionType string,
	status metav1.ConditionStatus,
	reason, message string,
) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: message, ObservedGeneration: generation,
	})
}

// Remove removes conditions of these types.
func Remove(conditions *[]metav1.Condition, conditionTypes ...string) {
	for _, conditionType := range conditionTypes {
		meta.RemoveStatusCondition(conditions, conditionType)
	}
}

// Turned returns the condition of a type when its status or its reason is another one than before; nil when they are
// the same, or when there is none.
func Turned(before, after []metav1.Condition, conditionType string) *metav1.Condition {
	was := meta.FindStatusCondition(before, conditionType)
	is := meta.FindStatusCondition(after, conditionType)
	if is == nil || was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return nil
	}
	return is
}

// EventType returns the type of an event about a condition for which True is good.
func EventType(condition *metav1.Condition) string {
	if condition.Status == metav1.ConditionFalse {
		return corev1.EventTypeWarning
	}
	return corev1.EventTypeNormal
}

// Patch writes the status of an object as far as it differs from before. It fails with a conflict when somebody else
// has written the object since it was read.
func Patch(ctx context.Context, c client.Client, before, object client.Object) error {
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Status().Patch(ctx, object, patch); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}
