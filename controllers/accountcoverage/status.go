package accountcoverage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/condition"
	"github.com/trail-operator/trail-operator/controllers/coverage"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// maxMessage bounds the message of Recorded, in bytes. A condition's may have 32768.
const maxMessage = 8192

// setAssessed writes what an assessment has found.
func setAssessed(identity *v1alpha1.AWSIdentity, account coverage.Account, began time.Time) {
	assessed := coverage.Assess(account)
	assessed.AssessedTime = metav1.NewTime(began.Truncate(time.Second))
	identity.Status.Coverage = &assessed
	c := coverage.Conclude(account)
	set(identity, c.Status, c.Reason, c.Message)
}

// setUnknown says that nothing could be read. What was found before stays, with its time, unless it may be of another
// account.
func setUnknown(identity *v1alpha1.AWSIdentity, reason, message string) {
	recorded := meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionRecorded)
	if recorded == nil || recorded.ObservedGeneration != identity.Generation {
		identity.Status.Coverage = nil
	}
	set(identity, metav1.ConditionUnknown, reason, message)
}

func set(identity *v1alpha1.AWSIdentity, status metav1.ConditionStatus, reason, message string) {
	message = text.Cut(text.Printable(message), maxMessage)
	condition.Set(&identity.Status.Conditions, identity.Generation, v1alpha1.ConditionRecorded, status, reason, message)
}

// remove removes what a status says of an account that is not to be assessed any more.
func remove(identity *v1alpha1.AWSIdentity) {
	identity.Status.Coverage = nil
	condition.Remove(&identity.Status.Conditions, v1alpha1.ConditionRecorded)
}

// explain returns the reason and the message for what an identity, known to AWS as callerARN, could not read.
func explain(identity *v1alpha1.AWSIdentity, callerARN string, err error) (reason, message string) {
	awsError, ok := errors.AsType[*cloudtrail.Error](err)
	switch {
	case !ok:
		return v1alpha1.ReasonRetrying, err.Error()
	case awsError.Class == cloudtrail.Permission:
		return v1alpha1.ReasonAccessDenied, fmt.Sprintf("%s — %s", awsError,
			cloudtrail.PermissionRemedy(awsError, identity.Name, callerARN))
	default:
		return awsError.Reason(), awsError.Error()
	}
}

// writeStatus writes the status if it has changed, and tells an event when Recorded turns.
func (r *Reconciler) writeStatus(ctx context.Context, before, identity *v1alpha1.AWSIdentity) error {
	if equality.Semantic.DeepEqual(before.Status, identity.Status) {
		return nil
	}
	after := slices.Clone(identity.Status.Conditions) // The API server's answer takes the place of the object's.
	if err := condition.Patch(ctx, r.Client, before, identity); err != nil {
		return err
	}
	is := condition.Turned(before.Status.Conditions, after, v1alpha1.ConditionRecorded)
	if is == nil || is.Status == metav1.ConditionUnknown {
		return nil
	}
	ctrl.LoggerFrom(ctx).Info("account is "+is.Reason, "recorded", is.Status, "message", is.Message)
	r.Recorder.Eventf(identity, nil, condition.EventType(is), is.Reason, "AssessCoverage", "%s", is.Message)
	return nil
}
