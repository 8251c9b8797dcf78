package trail

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// setStatus makes the status tell the verdict. All conditions are derived here and nowhere else.
func setStatus(trail *v1alpha1.Trail, v verdict, now time.Time) {
	status := &trail.Status
	status.ObservedGeneration = trail.Generation
	status.LastHandledReconcileAt = v1alpha1.ReconcileRequest(trail)
	if v.suspended {
		setSuspended(trail)
		return
	}
	if !trail.DeletionTimestamp.IsZero() {
		setDeleting(trail, blockageOf(trail, v))
		return
	}
	recordDrift(trail, v, now)
	recordTrail(trail, v)
	blocked := blockageOf(trail, v)
	setSynced(trail, blocked)
	setLogging(trail, v)
	setDelivering(trail, v)
	setReady(trail, blocked)
	setProgress(trail, blocked)
}

// setSuspended says that nothing is known any more. The other conditions stay as they were last seen.
func setSuspended(trail *v1alpha1.Trail) {
	set(trail, v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonSuspended, "suspended by spec.suspend: AWS is neither looked at nor changed")
	remove(trail, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled)
}

// setDeleting says why the object is still there. What AWS holds stays as it was last seen.
func setDeleting(trail *v1alpha1.Trail, blocked *blockage) {
	blocked.message = deletionMessage(blocked.message)
	blocked.stalled, blocked.retrying = false, true
	setReady(trail, blocked)
	setProgress(trail, blocked)
}

// recordTrail copies what AWS reports of the trail. What was not read stays as it was; what is gone is cleared.
func recordTrail(trail *v1alpha1.Trail, v verdict) {
	status := &trail.Status
	if v.observed == nil {
		return
	}
	if !v.visible() {
		clearTrail(status)
		return
	}
	found, s := v.observed.trail, v.observed.status
	status.TrailARN, status.HomeRegion = found.ARN, found.HomeRegion
	status.AccountID = v.accountID
	status.SNSTopicARN = found.SNSTopicARN
	if !isAlias(trail.Spec.KMSKeyID) {
		status.KMSKeyID, status.KMSKeyARN = found.KMSKeyARN, found.KMSKeyARN
		if sameKey(trail, found.KMSKeyARN) {
			status.KMSKeyID = trail.Spec.KMSKeyID
		}
	}
	if len(v.open) == 0 && !trail.Spec.Observed() {
		if found.TagsErr == nil {
			status.ManagedTagKeys = tagKeys(trail.Spec.Tags)
		}
		status.AggregationApplied = len(trail.Spec.AggregationConfigurations) > 0
	}
	status.IsLogging = &s.IsLogging
	status.StartLoggingTime = timeOrNil(s.StartLoggingTime)
	status.StopLoggingTime = timeOrNil(s.StopLoggingTime)
	status.LatestDeliveryTime = timeOrNil(s.LatestDeliveryTime)
	status.LatestDeliveryError = s.LatestDeliveryError
	status.LatestNotificationTime = timeOrNil(s.LatestNotificationTime)
	status.LatestNotificationError = s.LatestNotificationError
	status.LatestDigestDeliveryTime = timeOrNil(s.LatestDigestDeliveryTime)
	status.LatestDigestDeliveryError = s.LatestDigestDeliveryError
	status.LatestCloudWatchLogsDeliveryTime = timeOrNil(s.LatestCloudWatchLogsDeliveryTime)
	status.LatestCloudWatchLogsDeliveryError = s.LatestCloudWatchLogsDeliveryError
}

// visible tells whether there is a trail whose status is ours to show.
func (v verdict) visible() bool {
	if v.observed == nil || v.observed.trail == nil {
		return false
	}
	switch v.state {
	case stateElsewhere, stateNotOwned, stateOwnedByAnother:
		return false
	default:
		return true
	}
}

// clearTrail forgets a trail that is gone or was never ours. Which account it belongs in, which tags were ours and which
// drift there was stays known.
func clearTrail(status *v1alpha1.TrailStatus) {
	*status = v1alpha1.TrailStatus{
		ObservedGeneration:     status.ObservedGeneration,
		Conditions:             status.Conditions,
		HomeRegion:             status.HomeRegion,
		AccountID:              status.AccountID,
		ManagedTagKeys:         status.ManagedTagKeys,
		AggregationApplied:     status.AggregationApplied,
		LastDrift:              status.LastDrift,
		EarlierDrifts:          status.EarlierDrifts,
		LastHandledReconcileAt: status.LastHandledReconcileAt,
	}
}

func tagKeys(tags []v1alpha1.Tag) []string {
	keys := make([]string, 0, len(tags))
	for _, tag := range tags {
		keys = append(keys, tag.Key)
	}
	slices.Sort(keys)
	return keys
}

// rememberKey notes what the spec's key stood for, when it was just applied.
func rememberKey(trail *v1alpha1.Trail, o *observation, done []step) {
	if slices.ContainsFunc(done, func(s step) bool { return s.operation == createTrail || s.change.KMSKeyID != nil }) {
		trail.Status.KMSKeyID, trail.Status.KMSKeyARN = trail.Spec.KMSKeyID, o.trail.KMSKeyARN
	}
}

// blockage is why AWS does not hold what the spec says.
type blockage struct {
	reason, message string
	// stalled says that only a change of the object helps, retrying that the controller is at it.
	stalled, retrying bool
}

// blockageOf returns the first thing that keeps AWS from holding what the spec says, nil when nothing does.
func blockageOf(trail *v1alpha1.Trail, v verdict) *blockage {
	if v.held && len(v.open) > 0 {
		return heldBlockage(trail)
	}
	if refusal := refusalOf(v.err); refusal != nil {
		return &blockage{reason: refusal.Reason, message: refusal.Message}
	}
	if e := awsErrorOf(v.err); e != nil {
		return &blockage{
			reason:   e.Reason(),
			message:  cloudtrail.Explain(e, cloudtrail.Subject{Trail: trail, AccountID: v.accountID, Region: v.region, CallerARN: v.callerARN}),
			stalled:  e.Class == cloudtrail.FixSpec,
			retrying: isTransient(e),
		}
	}
	return stateBlockage(trail, v)
}

// heldBlockage repeats what AWS said when it refused this spec.
func heldBlockage(trail *v1alpha1.Trail) *blockage {
	stalled := meta.FindStatusCondition(trail.Status.Conditions, v1alpha1.ConditionStalled)
	return &blockage{reason: stalled.Reason, message: stalled.Message, stalled: true}
}

func stateBlockage(trail *v1alpha1.Trail, v verdict) *blockage {
	switch {
	case v.state == stateElsewhere:
		return &blockage{stalled: true, reason: v1alpha1.ReasonWrongHomeRegion, message: fmt.Sprintf(
			"the trail %s has its home in region %s: create a Trail with spec.region %s for it, or choose another spec.name",
			v.observed.trail.Name, v.observed.trail.HomeRegion, v.observed.trail.HomeRegion)}
	case v.state == stateNotOwned:
		return &blockage{stalled: true, reason: v1alpha1.ReasonNotOwned, message: fmt.Sprintf(
			"the trail %s exists and is not this object's: set spec.adoptionPolicy: IfUnowned to take it over, or choose another spec.name", v.observed.trail.ARN)}
	case v.state == stateOwnedByAnother:
		return &blockage{stalled: true, reason: v1alpha1.ReasonOwnedByAnother, message: fmt.Sprintf(
			"the trail %s belongs to %s: choose another spec.name, or let the owner go of it (deletionPolicy: Retain), or set spec.adoptionPolicy: Always to take it away",
			v.observed.trail.ARN, v.observed.trail.Tags[v1alpha1.OwnerTagKey])}
	case v.observed.trail == nil && trail.Spec.Observed():
		return &blockage{reason: v1alpha1.ReasonTrailNotFound, message: fmt.Sprintf(
			"there is no trail %s in region %s of account %s, and managementPolicy Observe creates none", trail.TrailName(), v.region, v.accountID)}
	case len(v.open) > 0 && trail.Spec.Observed():
		return &blockage{reason: v1alpha1.ReasonDifferent, message: fmt.Sprintf(
			"AWS differs in %s; managementPolicy Observe changes nothing (Manage would call %s)", strings.Join(fieldsOf(v.open), ", "), describe(v.open))}
	case len(v.open) > 0:
		return &blockage{retrying: true, reason: v1alpha1.ReasonDifferent, message: fmt.Sprintf(
			"AWS accepted the change and does not show it yet in %s", strings.Join(fieldsOf(v.open), ", "))}
	default:
		return nil
	}
}

func setSynced(trail *v1alpha1.Trail, o *blockage) {
	if o != nil {
		set(trail, v1alpha1.ConditionSynced, metav1.ConditionFalse, o.reason, o.message)
		return
	}
	set(trail, v1alpha1.ConditionSynced, metav1.ConditionTrue, v1alpha1.ReasonSynced, "AWS holds what the spec says")
}

func setLogging(trail *v1alpha1.Trail, v verdict) {
	switch {
	case v.observed == nil:
		unknown(trail, v1alpha1.ConditionLogging)
	case !v.visible():
		remove(trail, v1alpha1.ConditionLogging)
	case v.observed.status.IsLogging:
		set(trail, v1alpha1.ConditionLogging, metav1.ConditionTrue, v1alpha1.ReasonLogging, "CloudTrail is recording events")
	case !trail.Spec.LoggingDesired():
		set(trail, v1alpha1.ConditionLogging, metav1.ConditionFalse, v1alpha1.ReasonStoppedBySpec, "CloudTrail records no events, as spec.logging is false")
	default:
		set(trail, v1alpha1.ConditionLogging, metav1.ConditionFalse, v1alpha1.ReasonStopped, "CloudTrail records no events although spec.logging is true")
	}
}

func setDelivering(trail *v1alpha1.Trail, v verdict) {
	switch {
	case v.observed == nil:
		unknown(trail, v1alpha1.ConditionDelivering)
		return
	case !v.visible():
		remove(trail, v1alpha1.ConditionDelivering)
		return
	}
	s := v.observed.status
	subject := cloudtrail.Subject{Trail: trail, AccountID: v.accountID, Region: v.region, CallerARN: v.callerARN}
	for _, delivery := range []struct {
		channel             cloudtrail.DeliveryChannel
		code, reason, whats string
	}{
		{cloudtrail.DeliveryS3, s.LatestDeliveryError, v1alpha1.ReasonS3DeliveryFailed, "log files do not reach the bucket"},
		{cloudtrail.DeliveryDigest, s.LatestDigestDeliveryError, v1alpha1.ReasonDigestDeliveryFailed, "digest files do not reach the bucket"},
		{cloudtrail.DeliveryCloudWatchLogs, s.LatestCloudWatchLogsDeliveryError, v1alpha1.ReasonCloudWatchLogsDeliveryFailed, "events do not reach the log group"},
		{cloudtrail.DeliveryNotification, s.LatestNotificationError, v1alpha1.ReasonNotificationFailed, "notifications do not reach the topic"},
	} {
		if delivery.code != "" {
			set(trail, v1alpha1.ConditionDelivering, metav1.ConditionFalse, delivery.reason,
				fmt.Sprintf("%s: %s — %s", delivery.whats, delivery.code, cloudtrail.DeliveryRemedy(delivery.channel, delivery.code, subject)))
			return
		}
	}
	set(trail, v1alpha1.ConditionDelivering, metav1.ConditionTrue, v1alpha1.ReasonDelivered, "CloudTrail reports no delivery error")
}

// setReady sums up: what blocks, else logging, else delivery.
func setReady(trail *v1alpha1.Trail, o *blockage) {
	logging := meta.FindStatusCondition(trail.Status.Conditions, v1alpha1.ConditionLogging)
	delivering := meta.FindStatusCondition(trail.Status.Conditions, v1alpha1.ConditionDelivering)
	destination := strings.TrimSuffix("s3://"+trail.Spec.S3BucketName+"/"+trail.Spec.S3KeyPrefix, "/")
	switch {
	case o != nil:
		set(trail, v1alpha1.ConditionReady, metav1.ConditionFalse, o.reason, o.message)
	case logging.Reason == v1alpha1.ReasonStopped:
		set(trail, v1alpha1.ConditionReady, metav1.ConditionFalse, logging.Reason, logging.Message)
	case delivering.Status == metav1.ConditionFalse:
		set(trail, v1alpha1.ConditionReady, metav1.ConditionFalse, delivering.Reason, delivering.Message)
	case logging.Status == metav1.ConditionTrue:
		set(trail, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable, "logging to "+destination)
	default:
		set(trail, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable, "in sync; not logging, as spec.logging is false")
	}
}

// setProgress sets Stalled or Reconciling while they are true, and never both.
func setProgress(trail *v1alpha1.Trail, o *blockage) {
	switch {
	case o != nil && o.stalled:
		remove(trail, v1alpha1.ConditionReconciling)
		set(trail, v1alpha1.ConditionStalled, metav1.ConditionTrue, o.reason, o.message)
	case o != nil && o.retrying:
		remove(trail, v1alpha1.ConditionStalled)
		set(trail, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRetrying, o.message)
	default:
		remove(trail, v1alpha1.ConditionStalled, v1alpha1.ConditionReconciling)
	}
}

func set(trail *v1alpha1.Trail, conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&trail.Status.Conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: message, ObservedGeneration: trail.Generation,
	})
}

func unknown(trail *v1alpha1.Trail, conditionType string) {
	set(trail, conditionType, metav1.ConditionUnknown, "NotLookedAt", "AWS could not be asked")
}

func remove(trail *v1alpha1.Trail, conditionTypes ...string) {
	for _, conditionType := range conditionTypes {
		meta.RemoveStatusCondition(&trail.Status.Conditions, conditionType)
	}
}
