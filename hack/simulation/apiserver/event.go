package apiserver

import (
	"context"
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What events may have, in bytes: k8s.io/kubernetes' pkg/apis/core/validation.
const (
	maxInstance = 128
	maxAction   = 128
	maxReason   = 128
	maxNote     = 1024
)

// eventStrategy has the rules for events of events.k8s.io/v1: those of k8s.io/kubernetes' pkg/apis/core/validation,
// which calls some fields by the names that they have in core/v1.
type eventStrategy struct{ baseStrategy }

// ObjectKinds returns the kind that errors are about: that of core/v1.
func (eventStrategy) ObjectKinds(runtime.Object) ([]schema.GroupVersionKind, bool, error) {
	return []schema.GroupVersionKind{corev1.SchemeGroupVersion.WithKind("Event")}, false, nil
}

// NamespaceScoped says yes.
func (eventStrategy) NamespaceScoped() bool { return true }

// AllowCreateOnUpdate says yes.
func (eventStrategy) AllowCreateOnUpdate(context.Context) bool { return true }

// Validate validates a new event.
func (eventStrategy) Validate(_ context.Context, object runtime.Object) field.ErrorList {
	event, is := object.(*eventsv1.Event)
	if !is {
		return unexpectedKind(object)
	}
	errs := validateEvent(event)
	errs = append(errs, validation.ValidateObjectMeta(
		&event.ObjectMeta, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))...)
	errs = append(errs, validateSeries(event.Series)...)

	if event.EventTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("eventTime"), ""))
	}
	if event.Type != corev1.EventTypeNormal && event.Type != corev1.EventTypeWarning {
		errs = append(errs, field.Invalid(field.NewPath("type"), "", "has invalid value: "+event.Type))
	}
	for _, deprecated := range []struct {
		name string
		set  bool
	}{
		{"firstTimestamp", !event.DeprecatedFirstTimestamp.IsZero()},
		{"lastTimestamp", !event.DeprecatedLastTimestamp.IsZero()},
		{"count", event.DeprecatedCount != 0},
		{"source", event.DeprecatedSource != corev1.EventSource{}},
	} {
		if deprecated.set {
			errs = append(errs, field.Invalid(field.NewPath(deprecated.name), "", "needs to be unset"))
		}
	}
	return errs
}

// ValidateUpdate validates a changed event: only its series may change.
func (eventStrategy) ValidateUpdate(_ context.Context, object, old runtime.Object) field.ErrorList {
	event, is := object.(*eventsv1.Event)
	if !is {
		return unexpectedKind(object)
	}
	before := as[eventsv1.Event](old)
	errs := validateEvent(event)
	errs = append(errs, validation.ValidateObjectMetaUpdate(
		&event.ObjectMeta, &before.ObjectMeta, field.NewPath("metadata"))...)
	if !reflect.DeepEqual(event.Series, before.Series) {
		errs = append(errs, validateSeries(event.Series)...)
	}

	times := []any{event.EventTime, before.EventTime}
	if event.EventTime.Truncate(time.Microsecond).Equal(before.EventTime.Truncate(time.Microsecond)) {
		times[1] = event.EventTime
	}
	for _, kept := range []struct {
		name          string
		value, before any
	}{
		{"involvedObject", event.Regarding, before.Regarding},
		{"reason", event.Reason, before.Reason},
		{"message", event.Note, before.Note},
		{"source", event.DeprecatedSource, before.DeprecatedSource},
		{"firstTimestamp", event.DeprecatedFirstTimestamp, before.DeprecatedFirstTimestamp},
		{"lastTimestamp", event.DeprecatedLastTimestamp, before.DeprecatedLastTimestamp},
		{"count", event.DeprecatedCount, before.DeprecatedCount},
		{"reason", event.Reason, before.Reason},
		{"type", event.Type, before.Type},
		{"eventTime", times[0], times[1]},
		{"action", event.Action, before.Action},
		{"related", event.Related, before.Related},
		{"reportingController", event.ReportingController, before.ReportingController},
		{"reportingInstance", event.ReportingInstance, before.ReportingInstance},
	} {
		errs = append(errs, validation.ValidateImmutableField(kept.value, kept.before, field.NewPath(kept.name))...)
	}
	return errs
}

// validateEvent validates what old and new events have in common.
func validateEvent(event *eventsv1.Event) field.ErrorList {
	var errs field.ErrorList
	if event.EventTime.IsZero() {
		errs = validateOldEvent(event)
	} else {
		errs = validateNewEvent(event)
	}
	for _, message := range utilvalidation.IsDNS1123Subdomain(event.Namespace) {
		errs = append(errs, field.Invalid(field.NewPath("namespace"), event.Namespace, message))
	}
	return errs
}

func validateOldEvent(event *eventsv1.Event) field.ErrorList {
	regarding := event.Regarding.Namespace
	if event.Namespace == regarding || regarding == "" && event.Namespace == metav1.NamespaceDefault {
		return nil
	}
	return field.ErrorList{otherNamespace(regarding)}
}

func otherNamespace(regarding string) *field.Error {
	return field.Invalid(field.NewPath("involvedObject", "namespace"), regarding, "does not match event.namespace")
}

func validateNewEvent(event *eventsv1.Event) field.ErrorList {
	var errs field.ErrorList
	if event.Regarding.Namespace == "" && event.Namespace != metav1.NamespaceDefault &&
		event.Namespace != metav1.NamespaceSystem {
		errs = append(errs, otherNamespace(""))
	}

	controller := field.NewPath("reportingController")
	if event.ReportingController == "" {
		errs = append(errs, field.Required(controller, ""))
	}
	for _, message := range utilvalidation.IsQualifiedName(event.ReportingController) {
		errs = append(errs, field.Invalid(controller, event.ReportingController, message))
	}

	for _, text := range []struct {
		name, value string
		most        int
		required    bool
	}{
		{"reportingInstance", event.ReportingInstance, maxInstance, true},
		{"action", event.Action, maxAction, true},
		{"reason", event.Reason, maxReason, true},
		{"message", event.Note, maxNote, false},
	} {
		if text.required && text.value == "" {
			errs = append(errs, field.Required(field.NewPath(text.name), ""))
		}
		if len(text.value) > text.most {
			errs = append(errs, field.Invalid(field.NewPath(text.name), "",
				fmt.Sprintf("can have at most %d characters", text.most)))
		}
	}
	return errs
}

func validateSeries(series *eventsv1.EventSeries) field.ErrorList {
	var errs field.ErrorList
	if series == nil {
		return nil
	}
	if series.Count < 2 {
		errs = append(errs, field.Invalid(field.NewPath("series.count"), "", "should be at least 2"))
	}
	if series.LastObservedTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("series.lastObservedTime"), ""))
	}
	return errs
}
