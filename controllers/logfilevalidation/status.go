package logfilevalidation

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/condition"
	"github.com/trail-operator/trail-operator/controllers/digest"
)

// setStatus makes the status say what was found since the last time, nil for nothing, and returns the findings that are
// new in it, and how many more there are. All conditions are derived here and nowhere else.
func setStatus(
	v *v1alpha1.LogFileValidation, news *progress, start, now time.Time,
) (told []v1alpha1.Finding, more int64) {
	status := &v.Status
	if was := status.StartTime; was == nil || !was.Time.Equal(start.Truncate(time.Second)) {
		if start.After(v1alpha1.TimeOf(was)) {
			acknowledge(status, start)
		}
		status.StartTime = v1alpha1.TimeOrNil(start)
	}
	if news != nil {
		setProgress(status, news)
		told, more = record(status, news.findings)
	}

	switch {
	case v.Spec.Suspended():
		setSuspended(v)
	case news != nil && !news.ended.IsZero():
		setEnded(v, news)
	case status.ObservedGeneration != v.Generation:
		setValidating(v, now)
	case tampered(status):
		setConclusion(v, conclude(v, nil))
	}
	return told, more
}

// setProgress copies how far the validation is.
func setProgress(status *v1alpha1.LogFileValidationStatus, news *progress) {
	status.DigestCount += news.digests
	status.LogFileCount += news.logs
	status.GapCount += news.gaps
	if news.trail.Bucket == "" {
		return
	}

	status.TrailARN = cloudtrail.TrailARN(news.trail.HomeRegion, news.trail.AccountID, news.trail.Name)
	status.S3BucketName, status.S3KeyPrefix = news.trail.Bucket, news.trail.Prefix
	chains, lagging := int32(news.summary.chains+news.missing), int32(news.summary.laggingCount) //nolint:gosec // Few.
	status.Chains, status.LaggingCount, status.LaggingChains = &chains, &lagging, news.summary.lagging
	if !news.summary.until.IsZero() {
		status.ValidatedUntil = v1alpha1.TimeOrNil(news.summary.until)
	}
	if !news.ended.IsZero() {
		status.LastValidationTime = v1alpha1.TimeOrNil(news.ended)
	}
}

// conclusion is what is to be thought of the log files.
type conclusion struct {
	intact          metav1.ConditionStatus
	reason, message string
}

// conclude says whether the log files are intact. Tampering comes first, then what cannot be verified.
func conclude(v *v1alpha1.LogFileValidation, news *progress) conclusion {
	status := &v.Status
	unknown := func(reason, message string) conclusion {
		return conclusion{metav1.ConditionUnknown, reason, message}
	}
	lagging := len(status.LaggingChains) > 0

	switch {
	case tampered(status):
		return conclusion{metav1.ConditionFalse, v1alpha1.ReasonTampered, tellTampered(status)}
	case news != nil && news.err != nil:
		return unknown(explain(v, news.err))
	case lagging:
		return unknown(tellLagging(v))
	case len(status.Findings) > 0:
		return unknown(tellUnverifiable(v))

	case news != nil && news.missing > 0:
		return unknown(v1alpha1.ReasonChainsMissing, fmt.Sprintf(
			"%d of %d chains that were validated before are not in bucket %s any more: look into its access logs, and move "+
				"spec.startTime forward to acknowledge this", news.missing, *status.Chains, status.S3BucketName))
	case status.Chains == nil || *status.Chains == 0:
		return unknown(v1alpha1.ReasonNoDigests, tellNoDigests(status))
	case status.ValidatedUntil == nil || !status.ValidatedUntil.After(v1alpha1.TimeOf(status.StartTime)):
		return unknown(
			v1alpha1.ReasonNotValidatedYet,
			fmt.Sprintf("no digest was delivered since %s: CloudTrail delivers one "+
				"an hour", shownTime(v1alpha1.TimeOf(status.StartTime))),
		)
	default:
		return conclusion{metav1.ConditionTrue, v1alpha1.ReasonIntact, fmt.Sprintf("%s intact from %s until %s",
			countOf(int64(*status.Chains), "chain is", "chains are"),
			shownTime(v1alpha1.TimeOf(status.StartTime)), shownTime(v1alpha1.TimeOf(status.ValidatedUntil)))}
	}
}

// setEnded sets the conditions after a validation has ended.
func setEnded(v *v1alpha1.LogFileValidation, news *progress) {
	v.Status.ObservedGeneration = v.Generation
	v.Status.LastHandledReconcileAt = news.asked
	c := conclude(v, news)
	if news.complete {
		v.Status.CompletionTime = v1alpha1.TimeOrNil(news.ended)
	}
	setConclusion(v, c)
	condition.Remove(&v.Status.Conditions, v1alpha1.ConditionReconciling)
}

// setConclusion sets what follows from a conclusion.
func setConclusion(v *v1alpha1.LogFileValidation, c conclusion) {
	set(v, v1alpha1.ConditionIntact, c.intact, c.reason, c.message)
	if v.Spec.IsRange() {
		if v.Finished() {
			set(v, v1alpha1.ConditionComplete, metav1.ConditionTrue, v1alpha1.ReasonValidated, tellComplete(&v.Status))
		} else {
			set(v, v1alpha1.ConditionComplete, metav1.ConditionFalse, c.reason, c.message)
		}
	}

	ready := metav1.ConditionFalse
	if c.intact == metav1.ConditionTrue {
		ready = metav1.ConditionTrue
	}
	set(v, v1alpha1.ConditionReady, ready, c.reason, c.message)
	// What was found stays found, and a range that is complete stays as it is.
	if c.intact == metav1.ConditionFalse || v.Finished() && ready != metav1.ConditionTrue {
		set(v, v1alpha1.ConditionStalled, metav1.ConditionTrue, c.reason, c.message)
		condition.Remove(&v.Status.Conditions, v1alpha1.ConditionReconciling)
	} else {
		condition.Remove(&v.Status.Conditions, v1alpha1.ConditionStalled)
	}
}

// setValidating says that there is no result for the spec as it is now.
func setValidating(v *v1alpha1.LogFileValidation, now time.Time) {
	if tampered(&v.Status) {
		setConclusion(v, conclude(v, nil))
		return
	}
	reason, message := v1alpha1.ReasonValidating, "validating"
	if until := v1alpha1.TimeOf(v.Status.ValidatedUntil); !until.IsZero() {
		message = "validated until " + shownTime(until)
	}
	if _, end, err := v.Range(); err == nil && v.Spec.IsRange() && now.Before(end.Add(digestsDelay)) {
		reason = v1alpha1.ReasonWaitingForDigests
		message = "the last digests of the range are delivered until " + shownTime(end.Add(digestsDelay))
	}

	if isUnknown(v) {
		set(v, v1alpha1.ConditionIntact, metav1.ConditionUnknown, v1alpha1.ReasonNotValidatedYet, message)
	}
	if v.Spec.IsRange() {
		set(v, v1alpha1.ConditionComplete, metav1.ConditionFalse, reason, message)
	}
	set(v, v1alpha1.ConditionReady, metav1.ConditionUnknown, reason, message)
	set(v, v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason, message)
	condition.Remove(&v.Status.Conditions, v1alpha1.ConditionStalled)
}

// setSuspended says that nothing is known any more. What was found stays.
func setSuspended(v *v1alpha1.LogFileValidation) {
	v.Status.ObservedGeneration = v.Generation
	set(v, v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonSuspended,
		"suspended by spec.suspend: nothing is validated")
	condition.Remove(&v.Status.Conditions, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled)
}

// setRejected says that the operator does not understand the spec.
func setRejected(v *v1alpha1.LogFileValidation, invalid error) {
	message := v.DecodeError
	if message == "" {
		message = invalid.Error()
	}
	message += " — create another LogFileValidation"
	v.Status.ObservedGeneration = v.Generation
	if isUnknown(v) {
		set(v, v1alpha1.ConditionIntact, metav1.ConditionUnknown, v1alpha1.ReasonInvalidSpec, message)
	}
	set(v, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec, message)
	set(v, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec, message)
	condition.Remove(&v.Status.Conditions, v1alpha1.ConditionReconciling)
}

func set(
	v *v1alpha1.LogFileValidation, conditionType string, status metav1.ConditionStatus, reason, message string,
) {
	condition.Set(&v.Status.Conditions, v.Generation, conditionType, status, reason, message)
}

// isUnknown tells whether nothing is known about the log files.
func isUnknown(v *v1alpha1.LogFileValidation) bool {
	intact := meta.FindStatusCondition(v.Status.Conditions, v1alpha1.ConditionIntact)
	return intact == nil || intact.Status == metav1.ConditionUnknown
}

// explain returns a reason and a message for why nothing could be validated.
func explain(v *v1alpha1.LogFileValidation, err error) (reason, message string) {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal.Reason, refusal.Message
	}
	if access, ok := errors.AsType[*awsidentity.AccessError](err); ok {
		return access.Reason, access.Message
	}
	if unavailable, ok := errors.AsType[*digest.UnavailableError](err); ok {
		return reasonOf(unavailable.Reason), withRemedy(v, shown(unavailable.Message, maxMessage), unavailable.Reason)
	}
	if awsError, ok := errors.AsType[*cloudtrail.Error](err); ok {
		return awsError.Reason(), awsError.Error()
	}
	return v1alpha1.ReasonRetrying, shown(err.Error(), maxMessage)
}

// tellTampered says what was found, the most severe finding first.
func tellTampered(status *v1alpha1.LogFileValidationStatus) string {
	if len(status.Findings) == 0 {
		return tellClasses(status.FindingClasses)
	}
	return tell(status.Findings[0]) + others(*status.FindingCount-1)
}

// tellUnverifiable says what could not be verified and was passed.
func tellUnverifiable(v *v1alpha1.LogFileValidation) (reason, message string) {
	first := v.Status.Findings[0]
	reason = v1alpha1.ReasonUnverifiable
	if first.Reason != "" {
		reason = reasonOf(first.Reason)
	}
	return reason, withRemedy(v, tell(first)+others(*v.Status.FindingCount-1), first.Reason)
}

// tellLagging says which chain is furthest behind, and why.
func tellLagging(v *v1alpha1.LogFileValidation) (reason, message string) {
	status := &v.Status
	first := status.LaggingChains[0]
	until := "nothing of it is validated"
	if first.ValidatedUntil != nil {
		until = "it is validated until " + shownTime(first.ValidatedUntil.Time)
	}
	said := fmt.Sprintf("the chain of account %s and region %s goes no further (%s): %s",
		first.AccountID, first.Region, until, first.Message)
	if more := int64(*status.LaggingCount) - 1; more > 0 {
		said += "; " + countOf(more, "other chain lags", "other chains lag")
	}
	return reasonOf(first.Reason), withRemedy(v, said, first.Reason)
}

func tellNoDigests(status *v1alpha1.LogFileValidationStatus) string {
	place := status.S3BucketName
	if status.S3KeyPrefix != "" {
		place += "/" + status.S3KeyPrefix
	}
	return fmt.Sprintf("there is no digest of the trail in bucket %s: check that log file validation is enabled, and the "+
		"bucket and its prefix; CloudTrail delivers the first digest about an hour after it was enabled", place)
}

// tellComplete says what was validated in a range.
func tellComplete(status *v1alpha1.LogFileValidationStatus) string {
	var chains int64
	if status.Chains != nil {
		chains = int64(*status.Chains)
	}
	return fmt.Sprintf("%s, %s and %s were looked at", countOf(chains, "chain", "chains"),
		countOf(status.DigestCount, "digest", "digests"), countOf(status.LogFileCount, "log file", "log files"))
}

func others(count int64) string {
	if count <= 0 {
		return ""
	}
	return "; and " + countOf(count, "other finding", "other findings")
}

func countOf(count int64, one, several string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", count, several)
}

// reasonOf returns the reason of a condition for the reason of what is not verifiable.
func reasonOf(reason string) string {
	return (&cloudtrail.Error{Code: reason}).Reason()
}

// withRemedy adds what to do about a reason.
func withRemedy(v *v1alpha1.LogFileValidation, said, reason string) string {
	if remedy := remedyOf(v, reason); remedy != "" && !strings.Contains(said, " — ") {
		return said + " — " + remedy
	}
	return said
}
