package trail

import (
	"maps"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	kstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// testNow is when verdicts are reported in tests.
var testNow = time.Date(2026, 11, 21, 5, 0, 0, 0, time.UTC)

// kstatusOf is what kubectl wait, Argo CD and Flux make of the object.
func kstatusOf(g Gomega, trail *v1alpha1.Trail) string {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(trail)
	g.Expect(err).NotTo(HaveOccurred())
	result, err := kstatus.Compute(&unstructured.Unstructured{Object: object})
	g.Expect(err).NotTo(HaveOccurred())
	return string(result.Status)
}

// conditionsOf shows conditions as "Ready=True Available".
func conditionsOf(trail *v1alpha1.Trail) map[string]string {
	conditions := map[string]string{}
	for _, c := range trail.Status.Conditions {
		conditions[c.Type] = string(c.Status) + " " + c.Reason
	}
	return conditions
}

// at is a verdict of a look at the region, that observed o.
func at(o *observation, edit func(*verdict)) verdict {
	v := verdict{region: testRegion, accountID: testAccount, callerARN: "arn:aws:sts::111122223333:assumed-role/op/s", observed: o, state: stateInSync}
	if edit != nil {
		edit(&v)
	}
	return v
}

func awsError(class cloudtrail.Class, operation, code, message string) error {
	return &cloudtrail.Error{Operation: operation, Class: class, Code: code, Message: message}
}

// age sets back when conditions turned, as if that had been some time ago.
func age(trail *v1alpha1.Trail) {
	for i := range trail.Status.Conditions {
		trail.Status.Conditions[i].LastTransitionTime = metav1.NewTime(testNow.Add(-time.Hour))
	}
}

// TestStatus goes through the verdicts. Every status is held to kstatus, and to be the same at the next look.
func TestStatus(t *testing.T) {
	t.Parallel()
	type conditions = map[string]string
	const ready, syncedType, logging, delivering, stalled, reconciling = v1alpha1.ConditionReady, v1alpha1.ConditionSynced, v1alpha1.ConditionLogging,
		v1alpha1.ConditionDelivering, v1alpha1.ConditionStalled, v1alpha1.ConditionReconciling
	with := func(edit func(*observation)) *observation { return holding(testTrail(nil), edit) }
	observe := func(trail *v1alpha1.Trail) { trail.Spec.ManagementPolicy = v1alpha1.ManagementPolicyObserve }
	off := func(trail *v1alpha1.Trail) { trail.Spec.Logging = aws.Bool(false) }
	deleted := func(trail *v1alpha1.Trail) { trail.DeletionTimestamp = &metav1.Time{Time: testNow} }
	deliveryError := func(set func(*cloudtrail.Status)) verdict {
		return at(with(func(o *observation) { set(&o.status) }), nil)
	}
	failed := func(err error) func(*verdict) {
		return func(v *verdict) {
			v.state, v.err, v.open = stateOutOfSync, err, []step{{operation: updateTrail, fields: []string{"s3BucketName"}}}
		}
	}
	fine := conditions{logging: "True Logging", delivering: "True NoDeliveryError"}
	and := func(more, base conditions) conditions {
		all := maps.Clone(base)
		maps.Copy(all, more)
		return all
	}
	for name, c := range map[string]struct {
		trail   func(*v1alpha1.Trail)
		verdict verdict
		want    conditions
		message string // Part of Ready's.
		kstatus string
	}{
		"in sync": {
			nil, at(with(nil), nil),
			and(conditions{ready: "True Available", syncedType: "True Synced"}, fine), "logging to s3://logs", "Current",
		},
		"in sync, with a prefix": {
			func(trail *v1alpha1.Trail) { trail.Spec.S3KeyPrefix = "company/audit" }, at(with(nil), nil),
			and(conditions{ready: "True Available", syncedType: "True Synced"}, fine), "logging to s3://logs/company/audit", "Current",
		},
		"in sync, not to log": {
			off, at(with(func(o *observation) { o.status.IsLogging = false }), nil),
			conditions{ready: "True Available", syncedType: "True Synced", logging: "False StoppedBySpec", delivering: "True NoDeliveryError"},
			"spec.logging is false", "Current",
		},
		"just created": {
			nil, at(with(nil), func(v *verdict) { v.state, v.done = stateAbsent, []step{{operation: createTrail}} }),
			and(conditions{ready: "True Available", syncedType: "True Synced"}, fine), "logging to", "Current",
		},
		"stopped, and nothing to do about it": {
			nil, at(with(func(o *observation) { o.status.IsLogging = false }), nil),
			conditions{ready: "False Stopped", syncedType: "True Synced", logging: "False Stopped", delivering: "True NoDeliveryError"},
			"records no events although", "InProgress",
		},
		"the bucket refuses": {
			nil, deliveryError(func(s *cloudtrail.Status) { s.LatestDeliveryError = "AccessDenied" }),
			conditions{ready: "False S3DeliveryFailed", syncedType: "True Synced", logging: "True Logging", delivering: "False S3DeliveryFailed"},
			"do not reach the bucket: AccessDenied — add to the policy of bucket logs", "InProgress",
		},
		"the bucket refuses digests": {
			nil, deliveryError(func(s *cloudtrail.Status) { s.LatestDigestDeliveryError = "NoSuchBucket" }),
			conditions{ready: "False DigestDeliveryFailed", syncedType: "True Synced", logging: "True Logging", delivering: "False DigestDeliveryFailed"},
			"NoSuchBucket", "InProgress",
		},
		"the topic refuses": {
			nil, deliveryError(func(s *cloudtrail.Status) { s.LatestNotificationError = "AuthorizationError" }),
			conditions{ready: "False NotificationFailed", syncedType: "True Synced", logging: "True Logging", delivering: "False NotificationFailed"},
			"AuthorizationError", "InProgress",
		},
		"the log group refuses": {
			nil, deliveryError(func(s *cloudtrail.Status) { s.LatestCloudWatchLogsDeliveryError = "AccessDenied" }),
			conditions{ready: "False CloudWatchLogsDeliveryFailed", syncedType: "True Synced", logging: "True Logging", delivering: "False CloudWatchLogsDeliveryFailed"},
			"events do not reach the log group", "InProgress",
		},
		"all refuse: the bucket first": {
			nil, deliveryError(func(s *cloudtrail.Status) {
				s.LatestDeliveryError, s.LatestDigestDeliveryError, s.LatestNotificationError, s.LatestCloudWatchLogsDeliveryError = "a", "b", "c", "d"
			}),
			conditions{ready: "False S3DeliveryFailed", syncedType: "True Synced", logging: "True Logging", delivering: "False S3DeliveryFailed"},
			": a — ", "InProgress",
		},
		"the spec is wrong": {
			nil, at(with(nil), failed(awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", "too long"))),
			and(conditions{ready: "False InvalidS3PrefixException", syncedType: "False InvalidS3PrefixException", stalled: "True InvalidS3PrefixException"}, fine), "change the spec", "Failed",
		},
		"the spec was wrong before": {
			func(trail *v1alpha1.Trail) {
				set(trail, stalled, metav1.ConditionTrue, "InvalidS3PrefixException", "UpdateTrail: too long")
			},
			at(with(nil), func(v *verdict) { v.state, v.held, v.open = stateOutOfSync, true, []step{{operation: updateTrail}} }),
			and(conditions{ready: "False InvalidS3PrefixException", syncedType: "False InvalidS3PrefixException", stalled: "True InvalidS3PrefixException"}, fine), "UpdateTrail: too long", "Failed",
		},
		"the spec is wrong, and there is no trail": {
			nil, at(&observation{}, func(v *verdict) {
				v.state, v.err = stateAbsent, awsError(cloudtrail.FixSpec, "CreateTrail", "InvalidTrailNameException", "no")
			}),
			conditions{ready: "False InvalidTrailNameException", syncedType: "False InvalidTrailNameException", stalled: "True InvalidTrailNameException"},
			"CreateTrail: no", "Failed",
		},
		"something in AWS is wrong": {
			nil, at(with(nil), failed(awsError(cloudtrail.FixAWS, "UpdateTrail", "InsufficientS3BucketPolicyException", "no"))),
			and(conditions{ready: "False InsufficientS3BucketPolicyException", syncedType: "False InsufficientS3BucketPolicyException"}, fine), `"aws:SourceArn":"arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"`, "InProgress",
		},
		"something in AWS is wrong, by an odd code": {
			nil, at(with(nil), failed(awsError(cloudtrail.FixAWS, "UpdateTrail", "Some.Thing New", "no"))),
			and(conditions{ready: "False Some_Thing_New", syncedType: "False Some_Thing_New"}, fine), "UpdateTrail: no", "InProgress",
		},
		"not permitted": {
			nil, at(nil, func(v *verdict) {
				v.err = awsError(cloudtrail.Permission, "DescribeTrails", "AccessDeniedException", "no")
			}),
			conditions{ready: "False AccessDeniedException", syncedType: "False AccessDeniedException", logging: "Unknown NotLookedAt", delivering: "Unknown NotLookedAt"},
			`AWSIdentity "default" (arn:aws:sts::111122223333:assumed-role/op/s) needs permission for cloudtrail:DescribeTrails`, "InProgress",
		},
		"AWS has a fault": {
			nil, at(nil, func(v *verdict) {
				v.err = awsError(cloudtrail.Transient, "DescribeTrails", "ServiceUnavailable", "later")
			}),
			conditions{ready: "False ServiceUnavailable", syncedType: "False ServiceUnavailable", logging: "Unknown NotLookedAt", delivering: "Unknown NotLookedAt", reconciling: "True Retrying"},
			"DescribeTrails: later", "InProgress",
		},
		"gone in between": {
			nil, at(with(nil), failed(awsError(cloudtrail.NotFound, "UpdateTrail", "TrailNotFoundException", "no"))),
			and(conditions{ready: "False TrailNotFoundException", syncedType: "False TrailNotFoundException", reconciling: "True Retrying"}, fine), "no", "InProgress",
		},
		"there in between": {
			nil, at(&observation{}, func(v *verdict) {
				v.state, v.err = stateAbsent, awsError(cloudtrail.AlreadyExists, "CreateTrail", "TrailAlreadyExistsException", "yes")
			}),
			conditions{ready: "False TrailAlreadyExistsException", syncedType: "False TrailAlreadyExistsException", reconciling: "True Retrying"},
			"yes", "InProgress",
		},
		"AWS does not show the change yet": {
			nil, at(with(nil), func(v *verdict) {
				v.state, v.done, v.open = stateOutOfSync, []step{{operation: updateTrail}}, []step{{operation: updateTrail, fields: []string{"kmsKeyID"}}}
			}),
			and(conditions{ready: "False Different", syncedType: "False Different", reconciling: "True Retrying"}, fine), "does not show it yet in kmsKeyID", "InProgress",
		},
		"no identity": {
			nil,
			verdict{err: &awsidentity.Refusal{Reason: v1alpha1.ReasonIdentityNotFound, Message: "no such identity"}},
			conditions{ready: "False IdentityNotFound", syncedType: "False IdentityNotFound", logging: "Unknown NotLookedAt", delivering: "Unknown NotLookedAt"},
			"no such identity", "InProgress",
		},
		"another account": {
			nil,
			verdict{err: &awsidentity.Refusal{Reason: v1alpha1.ReasonAccountChanged, Message: "leads to account 444455556666"}},
			conditions{ready: "False AccountChanged", syncedType: "False AccountChanged", logging: "Unknown NotLookedAt", delivering: "Unknown NotLookedAt"},
			"444455556666", "InProgress",
		},
		"a home elsewhere": {
			nil, at(with(func(o *observation) { o.trail.HomeRegion = "us-east-1" }), func(v *verdict) { v.state, v.open = stateElsewhere, []step{{operation: startLogging}} }),
			conditions{ready: "False WrongHomeRegion", syncedType: "False WrongHomeRegion", stalled: "True WrongHomeRegion"},
			"spec.region us-east-1", "Failed",
		},
		"nobody's": {
			nil, at(with(nil), func(v *verdict) { v.state, v.open = stateNotOwned, []step{{operation: addTags}} }),
			conditions{ready: "False NotOwned", syncedType: "False NotOwned", stalled: "True NotOwned"},
			"adoptionPolicy: IfUnowned", "Failed",
		},
		"somebody else's": {
			nil, at(with(func(o *observation) { o.trail.Tags[v1alpha1.OwnerTagKey] = "other/ns/name" }), func(v *verdict) { v.state, v.open = stateOwnedByAnother, []step{{operation: addTags}} }),
			conditions{ready: "False OwnedByAnother", syncedType: "False OwnedByAnother", stalled: "True OwnedByAnother"},
			"belongs to other/ns/name", "Failed",
		},
		"somebody's, who cannot be told": {
			nil, at(with(nil), func(v *verdict) {
				v.state, v.err = stateOwnerUnknown, awsError(cloudtrail.Permission, "ListTags", "AccessDeniedException", "no")
			}),
			and(conditions{ready: "False AccessDeniedException", syncedType: "False AccessDeniedException"}, fine), "needs permission for cloudtrail:ListTags", "InProgress",
		},
		"observed, in sync": {
			observe, at(with(nil), nil),
			and(conditions{ready: "True Available", syncedType: "True Synced"}, fine), "logging to", "Current",
		},
		"observed, different": {
			observe, at(with(nil), func(v *verdict) {
				v.state, v.open = stateOutOfSync, []step{{operation: updateTrail, fields: []string{"s3KeyPrefix"}}, {operation: putInsightSelectors, fields: []string{"insightSelectors"}}}
			}),
			and(conditions{ready: "False Different", syncedType: "False Different"}, fine), "AWS differs in insightSelectors, s3KeyPrefix; managementPolicy Observe changes nothing (Manage would call UpdateTrail{s3KeyPrefix}, PutInsightSelectors)", "InProgress",
		},
		"observed, absent": {
			observe, at(&observation{}, func(v *verdict) { v.state, v.open = stateAbsent, []step{{operation: createTrail}} }),
			conditions{ready: "False TrailNotFound", syncedType: "False TrailNotFound"},
			"no trail audit in region eu-central-1 of account 111122223333", "InProgress",
		},
		"suspended": {
			nil,
			verdict{suspended: true},
			conditions{ready: "Unknown Suspended"},
			"suspended by spec.suspend", "InProgress",
		},
		"cannot be deleted: AWS": {
			deleted, at(nil, func(v *verdict) {
				v.err = awsError(cloudtrail.Permission, "DeleteTrail", "AccessDeniedException", "no")
			}),
			conditions{ready: "False AccessDeniedException", reconciling: "True Retrying"},
			"cannot be deleted yet: DeleteTrail: no — AWSIdentity", "Terminating",
		},
		"cannot be deleted: the identity": {
			deleted,
			verdict{err: &awsidentity.Refusal{Reason: v1alpha1.ReasonIdentityNotFound, Message: "no such identity"}},
			conditions{ready: "False IdentityNotFound", reconciling: "True Retrying"},
			"set spec.deletionPolicy: Retain", "Terminating",
		},
		"cannot be deleted: the spec": {
			deleted, at(nil, func(v *verdict) {
				v.err = awsError(cloudtrail.FixSpec, "DeleteTrail", "InvalidHomeRegionException", "no")
			}),
			conditions{ready: "False InvalidHomeRegionException", reconciling: "True Retrying"},
			"cannot be deleted yet", "Terminating",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := testTrail(c.trail)
			trail.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
			setStatus(trail, c.verdict, testNow)
			g.Expect(conditionsOf(trail)).To(Equal(c.want))
			g.Expect(meta.FindStatusCondition(trail.Status.Conditions, ready).Message).To(ContainSubstring(c.message))
			g.Expect(kstatusOf(g, trail)).To(Equal(c.kstatus))
			g.Expect(trail.Status.ObservedGeneration).To(Equal(trail.Generation))
			g.Expect(trail.Status.LastHandledReconcileAt).To(Equal("now"))
			expectSane(g, trail)

			age(trail)
			before := trail.DeepCopy()
			setStatus(trail, c.verdict, testNow.Add(time.Minute))
			g.Expect(equality.Semantic.DeepEqual(trail.Status, before.Status)).To(BeTrue(), "the same verdict is the same status: no write\n%+v\n%+v", before.Status, trail.Status)
		})
	}
}

var reasonPattern = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`) // Of metav1.Condition.

// expectSane holds what is true of every status.
func expectSane(g Gomega, trail *v1alpha1.Trail) {
	conditions := trail.Status.Conditions
	stalled, reconciling := meta.FindStatusCondition(conditions, v1alpha1.ConditionStalled), meta.FindStatusCondition(conditions, v1alpha1.ConditionReconciling)
	g.Expect(stalled != nil && reconciling != nil).To(BeFalse(), "Stalled and Reconciling exclude each other")
	for _, c := range conditions {
		g.Expect(c.ObservedGeneration).To(Equal(trail.Generation), c.Type)
		g.Expect(c.Reason).To(MatchRegexp(reasonPattern.String()), c.Type)
		g.Expect(strings.ToLower(c.Message)).NotTo(ContainSubstring("request id"))
		g.Expect(c.Message).NotTo(BeEmpty())
		if c.Type == v1alpha1.ConditionStalled || c.Type == v1alpha1.ConditionReconciling {
			g.Expect(c.Status).To(Equal(metav1.ConditionTrue), "there only while true")
		}
	}
	if meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) {
		g.Expect(stalled).To(BeNil())
		g.Expect(reconciling).To(BeNil())
	}
}

// TestStatusChanges goes from each of some verdicts to each other: nothing of the one is left in the other.
func TestStatusChanges(t *testing.T) {
	t.Parallel()
	verdicts := map[string]verdict{
		"in sync": at(holding(testTrail(nil), nil), nil),
		"stalled": at(holding(testTrail(nil), nil), func(v *verdict) {
			v.err = awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", "no")
		}),
		"retrying": at(nil, func(v *verdict) {
			v.err = awsError(cloudtrail.Transient, "DescribeTrails", "ServiceUnavailable", "later")
		}),
		"refused":   at(holding(testTrail(nil), nil), func(v *verdict) { v.err = awsError(cloudtrail.FixAWS, "UpdateTrail", "KmsException", "no") }),
		"not owned": at(holding(testTrail(nil), nil), func(v *verdict) { v.state = stateNotOwned }),
		"absent": at(&observation{}, func(v *verdict) {
			v.state, v.err = stateAbsent, awsError(cloudtrail.FixAWS, "CreateTrail", "S3BucketDoesNotExistException", "no")
		}),
	}
	for first, from := range verdicts {
		for second, to := range verdicts {
			t.Run("from "+first+" to "+second, func(t *testing.T) {
				t.Parallel()
				g := NewWithT(t)
				fresh, used := testTrail(nil), testTrail(nil)
				setStatus(fresh, to, testNow)
				setStatus(used, from, testNow)
				used.Generation++
				fresh.Generation++
				age(used)
				setStatus(used, to, testNow)
				g.Expect(conditionsOf(used)).To(Equal(conditionsOf(fresh)))
				g.Expect(used.Status.ObservedGeneration).To(Equal(used.Generation))
				expectSane(g, used)
			})
		}
	}
}

// TestTransitionTimes holds that a condition keeps its time until it turns.
func TestTransitionTimes(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail := testTrail(nil)
	refused := func(message string) verdict {
		return at(holding(trail, nil), func(v *verdict) {
			v.err = awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", message)
		})
	}
	turned := func(conditionType string) bool {
		return !meta.FindStatusCondition(trail.Status.Conditions, conditionType).LastTransitionTime.Time.Equal(testNow.Add(-time.Hour))
	}
	setStatus(trail, refused("one"), testNow)
	age(trail)
	setStatus(trail, refused("two"), testNow)
	g.Expect(turned(v1alpha1.ConditionStalled)).To(BeFalse(), "another message is no turn")
	g.Expect(turned(v1alpha1.ConditionReady)).To(BeFalse())
	setStatus(trail, at(holding(trail, nil), nil), testNow)
	g.Expect(turned(v1alpha1.ConditionReady)).To(BeTrue())
	g.Expect(turned(v1alpha1.ConditionLogging)).To(BeFalse())
}

// TestNewObject holds that waiters do not take an object for ready that nobody has looked at yet.
func TestNewObject(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail := testTrail(nil)
	trail.Status.ObservedGeneration = -1 // As the CRD's default says.
	g.Expect(kstatusOf(g, trail)).To(Equal("InProgress"))
	setStatus(trail, at(holding(trail, nil), nil), testNow)
	g.Expect(kstatusOf(g, trail)).To(Equal("Current"))
	trail.Generation++
	g.Expect(kstatusOf(g, trail)).To(Equal("InProgress"), "a changed spec is not ready until it was looked at")
}

// TestSuspendedStatus holds that what was seen last stays.
func TestSuspendedStatus(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail := testTrail(nil)
	setStatus(trail, at(holding(trail, nil), func(v *verdict) {
		v.err = awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", "no")
	}), testNow)
	trail.Generation++
	setStatus(trail, verdict{suspended: true}, testNow)
	g.Expect(conditionsOf(trail)).To(Equal(map[string]string{
		"Ready": "Unknown Suspended", "Synced": "False InvalidS3PrefixException", "Logging": "True Logging", "Delivering": "True NoDeliveryError",
	}))
	g.Expect(trail.Status.TrailARN).NotTo(BeEmpty())
	g.Expect(trail.Status.ObservedGeneration).To(Equal(trail.Generation))
}

func TestRecordedTrail(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	moment := func(n int) time.Time { return time.Unix(int64(1000+n), 123456789).UTC() }
	shown := func(n int) *metav1.Time { return &metav1.Time{Time: time.Unix(int64(1000+n), 0).UTC()} }
	trail := fullTrail(func(trail *v1alpha1.Trail) { trail.Status = v1alpha1.TrailStatus{ManagedTagKeys: []string{"old"}} })
	o := holding(trail, func(o *observation) {
		o.status = cloudtrail.Status{
			IsLogging: true, StartLoggingTime: moment(1), StopLoggingTime: moment(2), LatestDeliveryTime: moment(3), LatestDeliveryError: "a",
			LatestNotificationTime: moment(4), LatestNotificationError: "b", LatestDigestDeliveryTime: moment(5), LatestDigestDeliveryError: "c",
			LatestCloudWatchLogsDeliveryTime: moment(6), LatestCloudWatchLogsDeliveryError: "d",
		}
	})
	recordTrail(trail, at(o, nil))
	want := v1alpha1.TrailStatus{
		TrailARN: "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit", HomeRegion: testRegion, AccountID: testAccount,
		SNSTopicARN: "arn:aws:sns:eu-central-1:111122223333:topic", KMSKeyID: testKeyID, KMSKeyARN: testKeyARN,
		ManagedTagKeys: []string{"env", "team"}, AggregationApplied: true,
		IsLogging: aws.Bool(true), StartLoggingTime: shown(1), StopLoggingTime: shown(2), LatestDeliveryTime: shown(3), LatestDeliveryError: "a",
		LatestNotificationTime: shown(4), LatestNotificationError: "b", LatestDigestDeliveryTime: shown(5), LatestDigestDeliveryError: "c",
		LatestCloudWatchLogsDeliveryTime: shown(6), LatestCloudWatchLogsDeliveryError: "d",
	}
	g.Expect(trail.Status).To(Equal(want))

	recordTrail(trail, verdict{})
	g.Expect(trail.Status).To(Equal(want), "what was not read stays")

	o.status = cloudtrail.Status{}
	recordTrail(trail, at(o, nil))
	g.Expect(trail.Status.LatestDeliveryTime).To(BeNil(), "the zero time is no time")
	g.Expect(trail.Status.LatestDeliveryError).To(BeEmpty())
	g.Expect(trail.Status.IsLogging).To(HaveValue(BeFalse()))
}

// TestClearedTrail holds what is known of a trail that is gone, field by field, so that a new field is thought of here.
func TestClearedTrail(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	kept := map[string]bool{
		"ObservedGeneration": true, "Conditions": true, "HomeRegion": true, "AccountID": true, "ManagedTagKeys": true, "AggregationApplied": true,
		"LastDrift": true, "EarlierDrifts": true, "LastHandledReconcileAt": true,
	}
	var status v1alpha1.TrailStatus
	for i, all := 0, reflect.ValueOf(&status).Elem(); i < all.NumField(); i++ {
		switch field := all.Field(i); field.Kind() {
		case reflect.Pointer:
			field.Set(reflect.New(field.Type().Elem()))
		case reflect.Slice:
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
		case reflect.String:
			field.SetString("known")
		case reflect.Bool:
			field.SetBool(true)
		case reflect.Int64:
			field.SetInt(1)
		default:
			t.Fatalf("this test must learn to set %s", all.Type().Field(i).Name)
		}
	}
	clearTrail(&status)
	for i, after := 0, reflect.ValueOf(status); i < after.NumField(); i++ {
		name := after.Type().Field(i).Name
		g.Expect(!after.Field(i).IsZero()).To(Equal(kept[name]), name)
	}
}

// TestManagedTagKeys holds when it is forgotten that a tag was ours.
func TestManagedTagKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trail   func(*v1alpha1.Trail)
		verdict func(*verdict)
		keys    []string
	}{
		"when all is done":            {nil, nil, []string{"new"}},
		"not while something is open": {nil, func(v *verdict) { v.open = []step{{operation: removeTags}} }, []string{"old"}},
		"not by an observer":          {func(trail *v1alpha1.Trail) { trail.Spec.ManagementPolicy = v1alpha1.ManagementPolicyObserve }, nil, []string{"old"}},
		"not when tags were not read": {nil, func(v *verdict) {
			v.observed.trail.TagsErr = awsError(cloudtrail.Permission, "ListTags", "AccessDeniedException", "no")
		}, []string{"old"}},
		"not of a trail that was gone":    {nil, func(v *verdict) { v.observed, v.state = &observation{}, stateAbsent }, []string{"old"}},
		"not of a trail that is not ours": {nil, func(v *verdict) { v.state = stateNotOwned }, []string{"old"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := testTrail(c.trail)
			trail.Spec.Tags, trail.Status.ManagedTagKeys = []v1alpha1.Tag{{Key: "new"}}, []string{"old"}
			recordTrail(trail, at(holding(trail, nil), c.verdict))
			NewWithT(t).Expect(trail.Status.ManagedTagKeys).To(Equal(c.keys))
		})
	}
}

// TestRememberedKey holds what an alias is remembered to stand for.
func TestRememberedKey(t *testing.T) {
	t.Parallel()
	put := step{operation: updateTrail, change: cloudtrail.Change{KMSKeyID: aws.String("alias/trail")}}
	for name, c := range map[string]struct {
		key     string
		done    []step
		id, arn string
	}{
		"applied by an update":              {"alias/trail", []step{put}, "alias/trail", testKeyARN},
		"applied by creation":               {"alias/trail", []step{{operation: createTrail}}, "alias/trail", testKeyARN},
		"not applied: as before":            {"alias/trail", []step{{operation: updateTrail}, {operation: startLogging}}, "alias/before", otherKeyARN},
		"nothing done: as before":           {"alias/trail", nil, "alias/before", otherKeyARN},
		"not an alias: as AWS says, always": {testKeyID, nil, testKeyID, testKeyARN},
		"none: as AWS says, always":         {"", nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := testTrail(func(trail *v1alpha1.Trail) {
				trail.Spec.KMSKeyID, trail.Status.KMSKeyID, trail.Status.KMSKeyARN = c.key, "alias/before", otherKeyARN
			})
			o := holding(trail, nil)
			rememberKey(trail, o, c.done)
			recordTrail(trail, at(o, nil))
			g.Expect(trail.Status.KMSKeyID).To(Equal(c.id))
			g.Expect(trail.Status.KMSKeyARN).To(Equal(c.arn))
		})
	}
}
