package eventlookup

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/condition"
)

// setRunning says where and of when AWS is being asked. The time is that of the first try.
func setRunning(lookup *v1alpha1.EventLookup, region *cloudtrail.Region, now time.Time) error {
	status := &lookup.Status
	status.AccountID, status.Region = region.AccountID(), region.Name()
	if status.EndTime == nil {
		start, end, err := lookup.Spec.Range(now.Truncate(time.Second))
		if err != nil {
			return err
		}
		status.StartTime, status.EndTime = timeOrNil(start), timeOrNil(end)
	}
	if meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionComplete) == nil {
		setWaiting(lookup, v1alpha1.ReasonRunning, "searching CloudTrail's event history")
	}
	return nil
}

// setWaiting says why there is no answer yet. The generation is not observed before there is one.
func setWaiting(lookup *v1alpha1.EventLookup, reason, message string) {
	set(lookup, v1alpha1.ConditionComplete, metav1.ConditionFalse, reason, message)
	set(lookup, v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason, message)
}

// setComplete takes the answer.
func setComplete(lookup *v1alpha1.EventLookup, found answer, now time.Time) {
	status := &lookup.Status
	status.Events = found.events
	count, refused := int32(len(found.events)), int32(found.refused) //nolint:gosec // At most 1000.
	status.EventCount, status.ErrorCount, status.Truncated = &count, &refused, &found.truncated
	reason := v1alpha1.ReasonLookedUp
	if found.truncated {
		reason = v1alpha1.ReasonTruncated
	}
	set(lookup, v1alpha1.ConditionComplete, metav1.ConditionTrue, reason, summary(found))
	setFinished(lookup, now)
}

// setFailed says that AWS rejected the question for good.
func setFailed(lookup *v1alpha1.EventLookup, reason, message string, now time.Time) {
	set(lookup, v1alpha1.ConditionComplete, metav1.ConditionFalse, reason, message)
	set(lookup, v1alpha1.ConditionFailed, metav1.ConditionTrue, reason, message)
	set(lookup, v1alpha1.ConditionStalled, metav1.ConditionTrue, reason, message)
	setFinished(lookup, now)
}

func setFinished(lookup *v1alpha1.EventLookup, now time.Time) {
	lookup.Status.ObservedGeneration = lookup.Generation
	lookup.Status.CompletionTime = timeOrNil(now.Truncate(time.Second))
	condition.Remove(&lookup.Status.Conditions, v1alpha1.ConditionReconciling)
}

func set(lookup *v1alpha1.EventLookup, conditionType string, status metav1.ConditionStatus, reason, message string) {
	condition.Set(&lookup.Status.Conditions, lookup.Generation, conditionType, status, reason, message)
}

// summary tells the answer in one line, as kubectl get shows it: the latest event, and how many there are.
func summary(found answer) string {
	if len(found.events) == 0 {
		return "no events"
	}
	text := found.latest
	if earlier := len(found.events) - 1; earlier > 0 {
		text += fmt.Sprintf(", and %d earlier", earlier)
	}
	if found.truncated {
		text += "; there are more, which were not kept: choose a shorter period, or increase maxResults"
	}
	return text
}

// invalid is an error of a question that cannot be asked.
type invalid struct{ reason, message string }

// Error returns the message.
func (i *invalid) Error() string { return i.message }

// validate returns an *invalid for a question that the API server refuses by now, but has stored before it did.
func validate(lookup *v1alpha1.EventLookup) error {
	if lookup.DecodeError != "" {
		return &invalid{v1alpha1.ReasonInvalidSpec, lookup.DecodeError}
	}
	if _, _, err := lookup.Spec.Range(time.Time{}); err != nil {
		return &invalid{v1alpha1.ReasonInvalidTime, err.Error()}
	}
	return nil
}

// createAnother ends the message of a question that has failed.
const createAnother = " — create another EventLookup"

// explain returns a reason and a message for an error, "" for one of the Kubernetes API.
func explain(lookup *v1alpha1.EventLookup, callerARN string, err error) (reason, message string) {
	var unasked *invalid
	var refusal *awsidentity.AccessError
	var awsError *cloudtrail.Error
	switch {
	case errors.As(err, &unasked):
		return unasked.reason, unasked.message + createAnother
	case errors.As(err, &refusal):
		return refusal.Reason, refusal.Message
	case errors.As(err, &awsError) && awsError.Class == cloudtrail.Permission:
		remedy := cloudtrail.PermissionRemedy(awsError, lookup.IdentityName(), callerARN)
		return awsError.Reason(), awsError.Error() + " — " + remedy
	case errors.As(err, &awsError) && rejected(err):
		return awsError.Reason(), awsError.Error() + createAnother
	case errors.As(err, &awsError):
		return awsError.Reason(), awsError.Error()
	default:
		return "", ""
	}
}

// rejected tells whether the fault is in the question itself, as AWS finds or the operator before it asks.
func rejected(err error) bool {
	var unasked *invalid
	var awsError *cloudtrail.Error
	return errors.As(err, &unasked) ||
		errors.As(err, &awsError) && awsError.Class == cloudtrail.FixSpec && awsError.Operation == "LookupEvents"
}
