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
	"github.com/trail-operator/trail-operator/controllers/condition"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// setStatus makes the status say what the outcome is, and tells whether a drift is new. All conditions are derived here
// and nowhere else. Of an outcome that is not shown, which is a fault that may pass, the status says just what
// CloudTrail reports.
func setStatus(trail *v1alpha1.Trail, record *record, o *outcome, shown bool, now time.Time) (drifted bool) {
	status := &trail.Status
	if shown {
		status.ObservedGeneration = trail.Generation
		status.LastHandledReconcileAt = v1alpha1.ReconcileRequest(trail)
	}
	if o.suspended {
		setSuspended(trail)
		return false
	}
	if !trail.DeletionTimestamp.IsZero() {
		if n := notReadyOf(trail, o); shown && n != nil {
			setDeleting(trail, n)
		}
		return false
	}

	if o.observed != nil {
		drifted = noteDrift(trail, record, o, now)
		recordTrail(trail, o)
		status.Differences = shownOf(status, o.observed, o.shownDifferences(trail))
		if !o.state.isForeign() {
			noteRepaired(status, now)
		}
		noteSynced(trail, record, o)
	}
	notReady := notReadyOf(trail, o)
	if shown {
		setSynced(trail, notReady)
	}
	setLogging(trail, o, shown)
	setDelivering(trail, o, shown)
	setReady(trail, notReady, shown)
	if shown {
		setProgress(trail, notReady)
	}
	return drifted
}

// setSuspended says that nothing is known any more. The other conditions stay as they were last seen.
func setSuspended(trail *v1alpha1.Trail) {
	if trail.DecodeError != "" {
		message := "the operator does not understand the spec, so AWS is neither read nor changed: " + trail.DecodeError
		set(trail, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec, message)
		set(trail, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec, message)
		remove(trail, v1alpha1.ConditionReconciling)
		return
	}
	set(trail, v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonSuspended,
		"suspended by spec.suspend: AWS is neither read nor changed")
	remove(trail, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled)
}

// setDeleting says why the object is still there. What AWS holds stays as it was last seen.
func setDeleting(trail *v1alpha1.Trail, n *notReady) {
	n.message = deletionMessage(n.message)
	n.stalled, n.retrying = false, true
	setReady(trail, n, true)
	setProgress(trail, n)
}

// noteSynced notes which fields AWS holds as the spec says: a later difference of them is drift. A trail that is not
// ours any more was told of, and is not compared from then on.
func noteSynced(trail *v1alpha1.Trail, record *record, o *outcome) {
	switch {
	case o.state.isForeign():
		trail.Status.SyncedDigest = ""
		return
	case !o.visible(trail):
		return
	case o.observed.trail.TagsErr != nil && !wasOurs(o.target, o.observed.trail) && !trail.Spec.ObserveOnly():
		return // It may be another's, and was not ours before.
	}
	o.inSync = record.inSyncAfter(o, record.calls.Since())
	synced := digestsOf(&trail.Status)
	synced.noteSynced(o.target, o.observed, o.open)
	for _, d := range o.notKept {
		clear(synced.of(d.number))
	}
	trail.Status.SyncedDigest = synced.String()
	trail.Status.LastSyncedTime = v1alpha1.TimeOrNil(lastSynced(o.inSync, o))
}

// recordTrail copies what AWS reports of the trail. What was not read stays as it was; what is gone is cleared.
func recordTrail(trail *v1alpha1.Trail, o *outcome) {
	status := &trail.Status
	found := o.observed.trail
	switch {
	case found == nil && o.observed.settingsErr != nil:
		return
	case found == nil && len(o.settling) > 0:
		return // It is there, and is not shown yet.
	case !o.visible(trail):
		clearTrail(status)
		return
	}

	status.TrailARN, status.HomeRegion = found.ARN, found.HomeRegion
	status.AccountID = o.caller.AccountID
	if o.observed.settingsErr == nil && !found.IsOrganizationTrail {
		status.AccountID = found.AccountID() // The credentials may lead elsewhere since it was asked where they do.
	}
	if len(o.done()) > 0 {
		status.OperatorARNs = operatorARNs(status.OperatorARNs, o.caller.ARN)
	}
	if o.observed.settingsErr == nil {
		recordSettings(trail, found)
	}

	if len(o.open) == 0 && o.observed.err() == nil && !trail.Spec.ObserveOnly() && o.state != stateOwnedByAnother {
		status.ManagedTagKeys = tagKeys(trail.Spec.Tags)
		status.AggregationApplied = len(trail.Spec.AggregationConfigurations) > 0
	} else if slices.ContainsFunc(o.done(), func(s step) bool { return s.operation == putEventConfiguration }) {
		status.AggregationApplied = true
	}

	if o.observed.status.err == nil {
		recordStatus(status, &o.observed.status.value)
	}
}

// recordSettings copies what a topic and a key stand for.
func recordSettings(trail *v1alpha1.Trail, found *cloudtrail.Trail) {
	status := &trail.Status
	status.SNSTopicARN = found.SNSTopicARN
	if !isAlias(trail.Spec.KMSKeyID) {
		status.KMSKeyID, status.KMSKeyARN = found.KMSKeyARN, found.KMSKeyARN
		if sameKey(trail, found.KMSKeyARN) {
			status.KMSKeyID = trail.Spec.KMSKeyID
		}
	}
}

// recordStatus copies what CloudTrail reports of logging and delivery.
func recordStatus(status *v1alpha1.TrailStatus, s *cloudtrail.Status) {
	status.IsLogging = &s.IsLogging
	status.StartLoggingTime = v1alpha1.TimeOrNil(s.StartLoggingTime)
	status.StopLoggingTime = v1alpha1.TimeOrNil(s.StopLoggingTime)
	status.LatestDeliveryTime = v1alpha1.TimeOrNil(s.LatestDeliveryTime)
	status.LatestDeliveryError = s.LatestDeliveryError
	status.LatestNotificationTime = v1alpha1.TimeOrNil(s.LatestNotificationTime)
	status.LatestNotificationError = s.LatestNotificationError
	status.LatestDigestDeliveryTime = v1alpha1.TimeOrNil(s.LatestDigestDeliveryTime)
	status.LatestDigestDeliveryError = s.LatestDigestDeliveryError
	status.LatestCloudWatchLogsDeliveryTime = v1alpha1.TimeOrNil(s.LatestCloudWatchLogsDeliveryTime)
	status.LatestCloudWatchLogsDeliveryError = s.LatestCloudWatchLogsDeliveryError
}

// maxOperatorARNs is how many of the operator's users and roles are remembered: those of a redeployment, and of its
// undoing.
const maxOperatorARNs = 3

// operatorARNs returns as whom the operator has written, after it has written as a caller.
func operatorARNs(known []string, callerARN string) []string {
	principal := cloudtrail.Principal(callerARN)
	if len(known) > 0 && known[0] == principal {
		return known
	}
	others := slices.DeleteFunc(slices.Clone(known), func(arn string) bool { return arn == principal })
	return append([]string{principal}, others[:min(len(others), maxOperatorARNs-1)]...)
}

// visible tells whether there is a trail whose status is ours to show: one that is ours, or that was.
func (o *outcome) visible(trail *v1alpha1.Trail) bool {
	if o.observed == nil || o.observed.trail == nil {
		return false
	}
	switch o.state {
	case stateElsewhere:
		return false
	case stateNotOwned, stateOwnedByAnother, stateOwnerUnknown:
		return o.observed.trail.ARN == trail.Status.TrailARN
	default:
		return true
	}
}

// shownDifferences returns the differences that the status has. How a trail differs that is, or may be, another's is
// nobody's business. What AWS may just not show to be ended yet stays if it was there, and does not come if it was not:
// should it last, it is a new drift. Drift that was found now is shown in any case.
func (o *outcome) shownDifferences(trail *v1alpha1.Trail) []difference {
	if o.state.isForeign() || o.observed.trail != nil && !o.visible(trail) {
		return of(o.open, fieldOwnerTag)
	}
	return slices.DeleteFunc(slices.Clone(o.open), func(d difference) bool {
		return isAmong(o.settling, d.number) && !isAmong(o.drift, d.number) &&
			!slices.Contains(trail.Status.Differences, d.shown())
	})
}

// clearTrail forgets a trail that is gone or was never ours. Which account it belongs in, which tags were ours and
// which drift there was stays known.
func clearTrail(status *v1alpha1.TrailStatus) {
	*status = v1alpha1.TrailStatus{
		ObservedGeneration:     status.ObservedGeneration,
		Conditions:             status.Conditions,
		HomeRegion:             status.HomeRegion,
		AccountID:              status.AccountID,
		ManagedTagKeys:         status.ManagedTagKeys,
		AggregationApplied:     status.AggregationApplied,
		OperatorARNs:           status.OperatorARNs,
		SyncedDigest:           status.SyncedDigest,
		LastSyncedTime:         status.LastSyncedTime,
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

// notReady is why AWS does not hold what the spec says.
type notReady struct {
	reason, message string
	// stalled says that only a change of the object helps, retrying that the controller is at it.
	stalled, retrying bool
}

// notReadyOf returns what keeps AWS from holding what the spec says, nil when nothing does: what only a person can
// change first.
func notReadyOf(trail *v1alpha1.Trail, o *outcome) *notReady {
	if refusal := accessErrorOf(o.err); refusal != nil {
		return &notReady{reason: refusal.Reason, message: refusal.Message}
	}
	if n := stateNotReady(trail, o); n != nil {
		return n
	}
	errs := o.errs()
	slices.SortStableFunc(errs, func(a, b *cloudtrail.Error) int { return rank(a) - rank(b) })
	if len(errs) > 0 && rank(errs[0]) <= rankPermission {
		return errorNotReady(trail, o, errs[0])
	}
	if len(o.notKept) > 0 {
		return notKeptNotReady(o.notKept)
	}
	if len(errs) > 0 {
		return errorNotReady(trail, o, errs[0])
	}
	return differenceNotReady(trail, o)
}

// errs returns the errors of AWS calls: that of the beginning, those of steps and those of reads.
func (o *outcome) errs() []*cloudtrail.Error {
	var errs []*cloudtrail.Error
	add := func(err error) {
		if e := awsErrorOf(err); e != nil {
			errs = append(errs, e)
		}
	}

	add(o.err)
	for _, result := range o.results {
		add(result.err)
	}
	if o.observed == nil {
		return errs
	}

	add(o.observed.settingsErr)
	add(o.observed.status.err)
	if o.observed.trail != nil && o.state == stateOwnerUnknown {
		add(o.observed.trail.TagsErr)
	}
	add(o.observed.selectors.err)
	add(o.observed.insights.err)
	add(o.observed.aggregations.err)
	return errs
}

// The order in which errors are shown.
const (
	rankSpec = iota
	rankAWS
	rankPermission
	rankPassing
)

func rank(e *cloudtrail.Error) int {
	switch e.Class {
	case cloudtrail.FixSpec:
		return rankSpec
	case cloudtrail.FixAWS:
		return rankAWS
	case cloudtrail.Permission:
		return rankPermission
	default:
		return rankPassing
	}
}

func errorNotReady(trail *v1alpha1.Trail, o *outcome, e *cloudtrail.Error) *notReady {
	return &notReady{
		reason:   e.Reason(),
		message:  cloudtrail.Explain(e, subjectOf(trail, o)),
		stalled:  e.Class == cloudtrail.FixSpec,
		retrying: isTransient(e),
	}
}

func subjectOf(trail *v1alpha1.Trail, o *outcome) cloudtrail.Subject {
	subject := cloudtrail.Subject{Trail: trail, Caller: o.caller}
	if o.observed != nil {
		subject.ManagementAccountID = o.observed.managementAccountID
	}
	return subject
}

// stateNotReady says what a state keeps from being done.
func stateNotReady(trail *v1alpha1.Trail, o *outcome) *notReady {
	if o.observed == nil {
		return nil
	}

	found := o.observed.trail
	switch o.state {
	case stateElsewhere:
		message := fmt.Sprintf("the trail %s has its home in region %s: "+
			"create a Trail with spec.region %s for it, or choose another spec.name",
			found.Name, found.HomeRegion, found.HomeRegion)
		return &notReady{stalled: true, reason: v1alpha1.ReasonWrongHomeRegion, message: message}
	case stateNotOwned:
		message := fmt.Sprintf("the trail %s already exists, but this object does not own it: "+
			"set spec.adoptionPolicy: IfUnowned to take it over, or choose another spec.name", found.ARN)
		return &notReady{stalled: true, reason: v1alpha1.ReasonNotOwned, message: message}
	case stateOwnedByAnother:
		return &notReady{
			stalled: true, reason: v1alpha1.ReasonOwnedByAnother,
			message: ownedByAnother(trail, found, text.Escape(found.Tags[v1alpha1.OwnerTagKey])),
		}
	default:
		return nil
	}
}

// ownedByAnother says what helps when a trail belongs to somebody else.
func ownedByAnother(trail *v1alpha1.Trail, found *cloudtrail.Trail, owner string) string {
	switch {
	case trail.Spec.Adoption() == v1alpha1.AdoptionPolicyAlways:
		return fmt.Sprintf("the trail %s belongs to the Trail %s of this cluster, which has adoptionPolicy: Always, too, "+
			"and would take it back: choose another spec.name, or delete that Trail (with deletionPolicy: Retain), or set "+
			"its adoptionPolicy to IfUnowned to let this object take the trail over", found.ARN, owner)
	case found.ARN == trail.Status.TrailARN:
		return fmt.Sprintf("this object managed or observed the trail %s, which carries the owner tag of %s: "+
			"find out who changed the tag (status.lastDrift), remove it, "+
			"or set spec.adoptionPolicy: Always to take the trail back", found.ARN, owner)
	default:
		return fmt.Sprintf("the trail %s belongs to %s: choose another spec.name, or have the owner release it "+
			"(deletionPolicy: Retain), or set spec.adoptionPolicy: Always to take it over", found.ARN, owner)
	}
}

// notKeptNotReady says which values AWS does not keep.
func notKeptNotReady(notKept []difference) *notReady {
	d := notKept[0]
	found := d.shown().Found
	if found == "" {
		found = "nothing"
	}
	message := fmt.Sprintf("AWS accepts what the spec says for %s but does not keep it: for %s it holds %s; "+
		"change the spec to what AWS keeps, or ask AWS Support why", strings.Join(namesOf(notKept), ", "), d.name, found)
	return &notReady{reason: v1alpha1.ReasonNotKept, message: message}
}

// differenceNotReady says what differs and why nothing is done about it.
func differenceNotReady(trail *v1alpha1.Trail, o *outcome) *notReady {
	names := strings.Join(fieldsOf([]step{{sets: o.open}}), ", ")

	switch {
	case o.observed == nil:
		return nil
	case o.observed.trail == nil && trail.Spec.ObserveOnly():
		message := fmt.Sprintf(
			"there is no trail %s in region %s of account %s, and managementPolicy Observe does not create it",
			trail.TrailName(),
			o.caller.Region,
			o.caller.AccountID,
		)
		return &notReady{reason: v1alpha1.ReasonTrailNotFound, message: message}
	case len(o.open) > 0 && trail.Spec.ObserveOnly():
		never := func(difference) bool { return false }
		message := fmt.Sprintf("AWS differs in %s; managementPolicy Observe changes nothing (Manage would call %s)",
			names, describe(plan(o.target, o.observed, o.open, never)))
		return &notReady{reason: v1alpha1.ReasonDifferent, message: message}
	case len(o.resting.without(o.open)) > 0:
		message := "AWS differs in " + names + " since it was written to: it is written again at once"
		return &notReady{retrying: true, reason: v1alpha1.ReasonDifferent, message: message}
	case len(o.open) > 0:
		message := "AWS accepted the change but does not show it yet: " + names
		return &notReady{retrying: true, reason: v1alpha1.ReasonDifferent, message: message}
	default:
		return nil
	}
}

func setSynced(trail *v1alpha1.Trail, n *notReady) {
	if n != nil {
		set(trail, v1alpha1.ConditionSynced, metav1.ConditionFalse, n.reason, n.message)
		return
	}
	set(trail, v1alpha1.ConditionSynced, metav1.ConditionTrue, v1alpha1.ReasonSynced, "AWS matches the spec")
}

// isReported tells whether CloudTrail's report on the trail is known. What is not known is set to Unknown where that is
// shown, and there is no condition where there is no trail.
func isReported(trail *v1alpha1.Trail, o *outcome, shown bool, condition string) bool {
	switch {
	case o.observed == nil,
		o.observed.trail == nil && o.observed.settingsErr != nil,
		o.visible(trail) && o.observed.status.err != nil:
		if shown {
			unknown(trail, condition)
		}
		return false
	case !o.visible(trail):
		if len(o.settling) == 0 {
			remove(trail, condition)
		}
		return false
	default:
		return true
	}
}

func setLogging(trail *v1alpha1.Trail, o *outcome, shown bool) {
	switch {
	case !isReported(trail, o, shown, v1alpha1.ConditionLogging):
	case o.observed.status.value.IsLogging:
		set(trail, v1alpha1.ConditionLogging, metav1.ConditionTrue, v1alpha1.ReasonLogging, "CloudTrail is recording events")
	case !trail.Spec.LoggingDesired():
		set(trail, v1alpha1.ConditionLogging, metav1.ConditionFalse, v1alpha1.ReasonStoppedBySpec,
			"CloudTrail records no events, because spec.logging is false")
	default:
		set(trail, v1alpha1.ConditionLogging, metav1.ConditionFalse, v1alpha1.ReasonStopped,
			"CloudTrail records no events although spec.logging is true")
	}
}

func setDelivering(trail *v1alpha1.Trail, o *outcome, shown bool) {
	if !isReported(trail, o, shown, v1alpha1.ConditionDelivering) {
		return
	}

	s, subject := o.observed.status.value, subjectOf(trail, o)
	for _, delivery := range []struct {
		channel             cloudtrail.DeliveryChannel
		code, reason, whats string
	}{
		{
			cloudtrail.DeliveryS3, s.LatestDeliveryError,
			v1alpha1.ReasonS3DeliveryFailed, "log files do not reach the bucket",
		},
		{
			cloudtrail.DeliveryDigest, s.LatestDigestDeliveryError,
			v1alpha1.ReasonDigestDeliveryFailed, "digest files do not reach the bucket",
		},
		{
			cloudtrail.DeliveryCloudWatchLogs, s.LatestCloudWatchLogsDeliveryError,
			v1alpha1.ReasonCloudWatchLogsDeliveryFailed, "events do not reach the log group",
		},
		{
			cloudtrail.DeliveryNotification, s.LatestNotificationError,
			v1alpha1.ReasonNotificationFailed, "notifications do not reach the topic",
		},
	} {
		if delivery.code != "" {
			remedy := cloudtrail.DeliveryRemedy(delivery.channel, delivery.code, subject)
			set(trail, v1alpha1.ConditionDelivering, metav1.ConditionFalse, delivery.reason,
				fmt.Sprintf("%s: %s — %s", delivery.whats, delivery.code, remedy))
			return
		}
	}
	set(trail, v1alpha1.ConditionDelivering, metav1.ConditionTrue, v1alpha1.ReasonDelivered,
		"CloudTrail reports no delivery error")
}

// setReady sums up: what is not ready, else logging, else delivery. A fault that is not shown hides nothing of the
// latter two.
func setReady(trail *v1alpha1.Trail, n *notReady, shown bool) {
	logging := meta.FindStatusCondition(trail.Status.Conditions, v1alpha1.ConditionLogging)
	delivering := meta.FindStatusCondition(trail.Status.Conditions, v1alpha1.ConditionDelivering)
	destination := strings.TrimSuffix("s3://"+trail.Spec.S3BucketName+"/"+trail.Spec.S3KeyPrefix, "/")
	switch {
	case n != nil && shown:
		set(trail, v1alpha1.ConditionReady, metav1.ConditionFalse, n.reason, n.message)
	case logging != nil && logging.Reason == v1alpha1.ReasonStopped:
		set(trail, v1alpha1.ConditionReady, metav1.ConditionFalse, logging.Reason, logging.Message)
	case delivering != nil && delivering.Status == metav1.ConditionFalse:
		set(trail, v1alpha1.ConditionReady, metav1.ConditionFalse, delivering.Reason, delivering.Message)
	case !shown, logging == nil:
	case logging.Status == metav1.ConditionTrue:
		set(trail, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable, "logging to "+destination)
	default:
		set(trail, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable,
			"in sync; not logging, because spec.logging is false")
	}
}

// setProgress sets Stalled or Reconciling while they are true, and never both.
func setProgress(trail *v1alpha1.Trail, n *notReady) {
	switch {
	case n != nil && n.stalled:
		remove(trail, v1alpha1.ConditionReconciling)
		set(trail, v1alpha1.ConditionStalled, metav1.ConditionTrue, n.reason, n.message)
	case n != nil && n.retrying:
		remove(trail, v1alpha1.ConditionStalled)
		set(trail, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRetrying, n.message)
	default:
		remove(trail, v1alpha1.ConditionStalled, v1alpha1.ConditionReconciling)
	}
}

func set(trail *v1alpha1.Trail, conditionType string, status metav1.ConditionStatus, reason, message string) {
	condition.Set(&trail.Status.Conditions, trail.Generation, conditionType, status, reason, message)
}

func unknown(trail *v1alpha1.Trail, conditionType string) {
	set(trail, conditionType, metav1.ConditionUnknown, v1alpha1.ReasonNotLookedAt, "the state in AWS could not be read")
}

func remove(trail *v1alpha1.Trail, conditionTypes ...string) {
	condition.Remove(&trail.Status.Conditions, conditionTypes...)
}
