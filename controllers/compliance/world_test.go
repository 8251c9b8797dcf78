package compliance_test

import (
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/compliance"
)

// now is when everything is judged.
var now = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// ago returns a time of a status.
func ago(d time.Duration) *metav1.Time { return new(metav1.NewTime(now.Add(-d))) }

// change is a change to a Trail.
type change func(*v1alpha1.Trail)

// goodTrail returns a Trail of a cluster that passes every control that can be passed, changed.
func goodTrail(changes ...change) *v1alpha1.Trail {
	trail := &v1alpha1.Trail{
		ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "audit", Generation: 3},
		Spec: v1alpha1.TrailSpec{
			S3BucketName:              "audit-logs",
			KMSKeyID:                  "alias/trail",
			CloudWatchLogsLogGroupARN: "arn:aws:logs:us-east-1:111122223333:log-group:trail:*",
			CloudWatchLogsRoleARN:     "arn:aws:iam::111122223333:role/trail",
			IsMultiRegionTrail:        new(true),
			EnableLogFileValidation:   new(true),
			EventSelectors: []v1alpha1.EventSelector{{DataResources: []v1alpha1.DataResource{
				{Type: "AWS::S3::Object", Values: []string{"arn:aws:s3"}},
			}}},
			Tags:           []v1alpha1.Tag{{Key: "team", Value: "security"}},
			DeletionPolicy: v1alpha1.DeletionPolicyRetain,
		},
		Status: v1alpha1.TrailStatus{
			ObservedGeneration:               3,
			TrailARN:                         "arn:aws:cloudtrail:us-east-1:111122223333:trail/audit",
			IsLogging:                        new(true),
			StartLoggingTime:                 ago(30 * 24 * time.Hour),
			LatestDeliveryTime:               ago(5 * time.Minute),
			LatestDigestDeliveryTime:         ago(time.Hour),
			LatestCloudWatchLogsDeliveryTime: ago(5 * time.Minute),
		},
	}
	for _, conditionType := range []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionSynced, v1alpha1.ConditionLogging, v1alpha1.ConditionDelivering,
	} {
		set(trail, conditionType, metav1.ConditionTrue, conditionType)
	}
	for _, change := range changes {
		change(trail)
	}
	return trail
}

// set sets a condition.
func set(trail *v1alpha1.Trail, conditionType string, status metav1.ConditionStatus, reason string) {
	unset(trail, conditionType)
	trail.Status.Conditions = append(trail.Status.Conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: "as AWS says", LastTransitionTime: *ago(time.Hour),
	})
}

func unset(trail *v1alpha1.Trail, conditionType string) {
	var others []metav1.Condition
	for _, condition := range trail.Status.Conditions {
		if condition.Type != conditionType {
			others = append(others, condition)
		}
	}
	trail.Status.Conditions = others
}

// Changes that several tests make.

func suspended(t *v1alpha1.Trail) { t.Spec.Suspend = new(true) }

func deleting(t *v1alpha1.Trail) { t.DeletionTimestamp = ago(time.Minute) }

func observed(t *v1alpha1.Trail) { t.Spec.ManagementPolicy = v1alpha1.ManagementPolicyObserve }

func unprocessed(t *v1alpha1.Trail) { t.Generation++ }

func undecoded(t *v1alpha1.Trail) { t.DecodeError = "spec.tags: \x1b[31mno" }

// unseen has no status yet.
func unseen(t *v1alpha1.Trail) { t.Status = v1alpha1.TrailStatus{ObservedGeneration: -1} }

// absent has no trail in AWS, as AWS refuses to create it.
func absent(t *v1alpha1.Trail) {
	t.Status = v1alpha1.TrailStatus{ObservedGeneration: t.Generation}
	set(t, v1alpha1.ConditionReady, metav1.ConditionFalse, "S3BucketDoesNotExistException")
	set(t, v1alpha1.ConditionSynced, metav1.ConditionFalse, "S3BucketDoesNotExistException")
}

// unread could not be read when it was last looked at.
func unread(t *v1alpha1.Trail) {
	set(t, v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonIdentityUnusable)
	set(t, v1alpha1.ConditionLogging, metav1.ConditionUnknown, v1alpha1.ReasonNotLookedAt)
	set(t, v1alpha1.ConditionDelivering, metav1.ConditionUnknown, v1alpha1.ReasonNotLookedAt)
}

// stopped does not log, although it should.
func stopped(t *v1alpha1.Trail) {
	t.Status.IsLogging, t.Status.StopLoggingTime = new(false), ago(time.Minute)
	set(t, v1alpha1.ConditionLogging, metav1.ConditionFalse, v1alpha1.ReasonStopped)
}

// differs has another value in AWS.
func differs(field, found string) change {
	return func(t *v1alpha1.Trail) {
		t.Status.Differences = append(t.Status.Differences, v1alpha1.Difference{Field: field, Found: found})
		set(t, v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonDifferent)
	}
}

// basic has these event selectors.
func basic(selectors ...v1alpha1.EventSelector) change {
	return func(t *v1alpha1.Trail) { t.Spec.EventSelectors, t.Spec.AdvancedEventSelectors = selectors, nil }
}

// advanced has these advanced event selectors, each a list of field selectors.
func advanced(selectors ...[]v1alpha1.AdvancedFieldSelector) change {
	return func(t *v1alpha1.Trail) {
		t.Spec.EventSelectors = nil
		for _, fields := range selectors {
			t.Spec.AdvancedEventSelectors = append(t.Spec.AdvancedEventSelectors,
				v1alpha1.AdvancedEventSelector{FieldSelectors: fields})
		}
	}
}

// where is one advanced event selector: that of field selectors.
func where(fields ...v1alpha1.AdvancedFieldSelector) []v1alpha1.AdvancedFieldSelector { return fields }

// equals is a field selector.
func equals(field string, values ...string) v1alpha1.AdvancedFieldSelector {
	return v1alpha1.AdvancedFieldSelector{Field: field, Equals: values}
}

// named returns a profile that is known.
func named(g *WithT, name string) *compliance.Profile {
	profile, err := compliance.ProfileNamed(name)
	g.Expect(err).NotTo(HaveOccurred())
	return profile
}

// resultOf returns what one control says.
func resultOf(g *WithT, results []compliance.Result, control string) compliance.Result {
	for _, result := range results {
		if result.Control.ID == control {
			return result
		}
	}
	g.Expect(results).To(BeEmpty(), "there is no control %s", control)
	return compliance.Result{}
}
