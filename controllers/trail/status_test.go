package trail

import (
	"errors"
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

// age sets back when conditions turned, as if that had been some time ago.
func age(trail *v1alpha1.Trail) {
	for i := range trail.Status.Conditions {
		trail.Status.Conditions[i].LastTransitionTime = *ago(time.Hour)
	}
}

// ending is how a reconcile of a Trail ends.
type ending func(*v1alpha1.Trail) *outcome

// ends is the end of a reconcile that has observed AWS, after it was edited.
func ends(has func(*observation), edit func(*outcome)) ending {
	return func(trail *v1alpha1.Trail) *outcome { return outcomeOf(trail, holding(testTrail(nil), has), edit) }
}

// fails is the end of a reconcile that could read nothing.
func fails(err error) ending {
	return func(trail *v1alpha1.Trail) *outcome {
		return outcomeOf(trail, nil, func(o *outcome) { o.err = err })
	}
}

// answers makes the plan for what differs be answered with an error; nil: AWS has accepted it, but does not show it.
func answers(err error) func(*outcome) {
	return func(o *outcome) { o.results = answered(err, planOf(o.Trail, o.observed)...) }
}

// TestStatus goes through the outcomes. Every status is held to kstatus, and to be the same at the next reconcile.
func TestStatus(t *testing.T) {
	t.Parallel()
	type conditions = map[string]string
	const ready, syncedType, logging, delivering, stalled, reconciling = v1alpha1.ConditionReady,
		v1alpha1.ConditionSynced,
		v1alpha1.ConditionLogging, v1alpha1.ConditionDelivering, v1alpha1.ConditionStalled, v1alpha1.ConditionReconciling
	off := func(trail *v1alpha1.Trail) { trail.Spec.Logging = aws.Bool(false) }
	deleted := func(trail *v1alpha1.Trail) { trail.DeletionTimestamp = ago(0) }
	delivers := func(set func(*cloudtrail.Status)) ending {
		return ends(func(o *observation) { set(&o.status.value) }, nil)
	}
	fine := conditions{logging: "True Logging", delivering: "True NoDeliveryError"}
	unknown := conditions{logging: "Unknown NotLookedAt", delivering: "Unknown NotLookedAt"}
	and := func(more, base conditions) conditions {
		all := conditions{}
		maps.Copy(all, base)
		maps.Copy(all, more)
		return all
	}
	// for one reason Ready and Synced are False; with what else is.
	notReady := func(reason string, base conditions, more ...string) conditions {
		all := and(conditions{ready: "False " + reason, syncedType: "False " + reason}, base)
		for _, condition := range more {
			all[condition] = "True " + reason
		}
		return all
	}
	retrying := conditions{reconciling: "True Retrying"}
	for name, c := range map[string]struct {
		trail   func(*v1alpha1.Trail)
		ends    ending
		want    conditions
		message string // Part of Ready's.
		kstatus string
	}{
		"in sync": {
			nil, ends(nil, nil), and(conditions{ready: "True Available", syncedType: "True Synced"}, fine),
			"logging to s3://logs", "Current",
		},
		"in sync, with a prefix": {
			func(trail *v1alpha1.Trail) { trail.Spec.S3KeyPrefix = "company/audit" },
			ends(func(o *observation) { o.trail.S3KeyPrefix = "company/audit" }, nil),
			and(conditions{ready: "True Available", syncedType: "True Synced"}, fine),
			"logging to s3://logs/company/audit", "Current",
		},
		"in sync, not to log": {
			off, ends(stopped, nil),
			conditions{
				ready: "True Available", syncedType: "True Synced", logging: "False StoppedBySpec",
				delivering: "True NoDeliveryError",
			},
			"spec.logging is false", "Current",
		},
		"just created": {
			nil,
			ends(nil, func(o *outcome) { o.state, o.results = stateAbsent, accepted(step{operation: createTrail}) }),
			and(conditions{ready: "True Available", syncedType: "True Synced"}, fine), "logging to", "Current",
		},
		"stopped, and nothing to do about it": {
			nil, ends(stopped, func(o *outcome) { o.open, o.state = nil, stateInSync }),
			conditions{
				ready: "False Stopped", syncedType: "True Synced", logging: "False Stopped",
				delivering: "True NoDeliveryError",
			},
			"records no events although", "InProgress",
		},
		"the bucket refuses": {
			nil, delivers(func(s *cloudtrail.Status) { s.LatestDeliveryError = "AccessDenied" }),
			conditions{
				ready: "False S3DeliveryFailed", syncedType: "True Synced", logging: "True Logging",
				delivering: "False S3DeliveryFailed",
			},
			"do not reach the bucket: AccessDenied — add to the policy of bucket logs", "InProgress",
		},
		"the bucket refuses digests": {
			nil, delivers(func(s *cloudtrail.Status) { s.LatestDigestDeliveryError = "NoSuchBucket" }),
			conditions{
				ready: "False DigestDeliveryFailed", syncedType: "True Synced", logging: "True Logging",
				delivering: "False DigestDeliveryFailed",
			},
			"NoSuchBucket", "InProgress",
		},
		"the topic refuses": {
			nil, delivers(func(s *cloudtrail.Status) { s.LatestNotificationError = "AuthorizationError" }),
			conditions{
				ready: "False NotificationFailed", syncedType: "True Synced", logging: "True Logging",
				delivering: "False NotificationFailed",
			},
			"AuthorizationError", "InProgress",
		},
		"the log group refuses": {
			nil, delivers(func(s *cloudtrail.Status) { s.LatestCloudWatchLogsDeliveryError = "AccessDenied" }),
			conditions{
				ready: "False CloudWatchLogsDeliveryFailed", syncedType: "True Synced", logging: "True Logging",
				delivering: "False CloudWatchLogsDeliveryFailed",
			},
			"events do not reach the log group", "InProgress",
		},
		"all refuse: the bucket first": {
			nil, delivers(func(s *cloudtrail.Status) {
				s.LatestDeliveryError, s.LatestDigestDeliveryError = "a", "b"
				s.LatestNotificationError, s.LatestCloudWatchLogsDeliveryError = "c", "d"
			}),
			conditions{
				ready: "False S3DeliveryFailed", syncedType: "True Synced", logging: "True Logging",
				delivering: "False S3DeliveryFailed",
			},
			": a — ", "InProgress",
		},
		"the spec is wrong": {
			nil,
			ends(
				otherBucket,
				answers(awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", "too long")),
			),
			notReady("InvalidS3PrefixException", fine, stalled), "UpdateTrail: too long — change the spec", "Failed",
		},
		"the spec is wrong, and there is no trail": {
			nil,
			ends(noTrail, answers(awsError(cloudtrail.FixSpec, "CreateTrail", "InvalidTrailNameException", "no"))),
			notReady("InvalidTrailNameException", nil, stalled), "CreateTrail: no", "Failed",
		},
		"something in AWS is wrong": {
			nil,
			ends(
				otherBucket,
				answers(awsError(cloudtrail.FixAWS, "UpdateTrail", "InsufficientS3BucketPolicyException", "no")),
			),
			notReady("InsufficientS3BucketPolicyException", fine), `"aws:SourceArn":"` + testARN + `"`, "InProgress",
		},
		"tags are used up, which others may have done": {
			nil,
			ends(otherBucket, answers(awsError(cloudtrail.FixAWS, "AddTags", "TagsLimitExceededException", "no"))),
			notReady("TagsLimitExceededException", fine), "AddTags: no", "InProgress",
		},
		"something in AWS is wrong, by an odd code": {
			nil, ends(otherBucket, answers(awsError(cloudtrail.FixAWS, "UpdateTrail", "Some.Thing New", "no"))),
			notReady("Some_Thing_New", fine), "UpdateTrail: no", "InProgress",
		},
		"not permitted": {
			nil, fails(awsError(cloudtrail.Permission, "DescribeTrails", "AccessDeniedException", "no")),
			notReady("AccessDeniedException", unknown),
			`AWSIdentity "default" (` + testCaller + `) needs permission for cloudtrail:DescribeTrails`, "InProgress",
		},
		"not permitted to see whether there is a trail": {
			nil, ends(func(o *observation) {
				*o = observation{
					settingsErr: awsError(cloudtrail.Permission, "DescribeTrails", "AccessDeniedException", "no"),
				}
			}, nil),
			notReady("AccessDeniedException", unknown), "needs permission for cloudtrail:DescribeTrails",
			"InProgress",
		},
		"not permitted to see the settings of one that is known": {
			synced, ends(func(o *observation) {
				o.settingsErr = awsError(cloudtrail.Permission, "DescribeTrails", "AccessDeniedException", "no")
			}, nil),
			notReady("AccessDeniedException", fine), "needs permission for cloudtrail:DescribeTrails", "InProgress",
		},
		"not permitted to see the status": {
			nil, ends(func(o *observation) {
				o.status.err = awsError(cloudtrail.Permission, "GetTrailStatus", "AccessDeniedException", "no")
			}, nil),
			notReady("AccessDeniedException", unknown), "needs permission for cloudtrail:GetTrailStatus",
			"InProgress",
		},
		"not permitted to see tags, which nobody needs now": {
			synced, ends(tagsFail(cloudtrail.Permission), nil),
			and(conditions{ready: "True Available", syncedType: "True Synced"}, fine), "logging to", "Current",
		},
		"not permitted to see whose the trail is, at first sight": {
			nil, ends(tagsFail(cloudtrail.Permission), nil), notReady("AccessDeniedException", nil),
			"needs permission for cloudtrail:ListTags", "InProgress",
		},
		"tags cannot be read for a moment, and may be new": {
			nil, ends(tagsFail(cloudtrail.Transient), nil), and(retrying, notReady("AccessDeniedException", nil)),
			"ListTags: no", "InProgress",
		},
		"tags cannot be read for a moment, and are known": {
			synced, ends(tagsFail(cloudtrail.Transient), nil),
			and(conditions{ready: "True Available", syncedType: "True Synced"}, fine), "logging to", "Current",
		},
		"AWS has a fault": {
			nil, fails(awsError(cloudtrail.Transient, "DescribeTrails", "ServiceUnavailable", "later")),
			and(retrying, notReady("ServiceUnavailable", unknown)), "DescribeTrails: later", "InProgress",
		},
		"gone in between": {
			nil,
			ends(otherBucket, answers(awsError(cloudtrail.NotFound, "UpdateTrail", "TrailNotFoundException", "no"))),
			and(retrying, notReady("TrailNotFoundException", fine)), "no", "InProgress",
		},
		"there in between": {
			nil,
			ends(
				noTrail,
				answers(awsError(cloudtrail.AlreadyExists, "CreateTrail", "TrailAlreadyExistsException", "yes")),
			),
			and(retrying, notReady("TrailAlreadyExistsException", nil)), "yes", "InProgress",
		},
		"AWS does not show the change yet": {
			nil, ends(func(o *observation) { o.trail.KMSKeyARN = otherKeyARN }, func(o *outcome) { o.settling = o.open }),
			and(retrying, notReady("Different", fine)), "does not show it yet: kmsKeyID", "InProgress",
		},
		"somebody changes something else meanwhile": {
			nil, ends(func(o *observation) { o.trail.KMSKeyARN = otherKeyARN }, answers(nil)),
			and(retrying, notReady("Different", fine)), "AWS differs in kmsKeyID since it was written to", "InProgress",
		},
		"AWS does not show the trail yet": {
			synced, ends(noTrail, func(o *outcome) { o.settling, o.drift = o.open, nil }),
			and(retrying, notReady("Different", nil)), "does not show it yet: trail", "InProgress",
		},
		"AWS does not keep a value": {
			nil,
			ends(func(o *observation) { o.trail.KMSKeyARN = otherKeyARN }, func(o *outcome) { o.notKept = o.open }),
			notReady("NotKept", fine),
			"does not keep it: for kmsKeyID it holds " + otherKeyARN + "; change the spec", "InProgress",
		},
		"AWS does not keep two values": {
			nil, ends(both(otherBucket, selectsWrites), func(o *outcome) {
				o.notKept = o.open
			}),
			notReady("NotKept", fine),
			"for s3BucketName, eventSelectors but does not keep it: for s3BucketName it holds other", "InProgress",
		},
		"no identity": {
			nil, fails(&awsidentity.AccessError{Reason: v1alpha1.ReasonIdentityNotFound, Message: "no such identity"}),
			notReady("IdentityNotFound", unknown), "no such identity", "InProgress",
		},
		"another account": {
			nil,
			fails(
				&awsidentity.AccessError{Reason: v1alpha1.ReasonAccountChanged, Message: "leads to account 444455556666"},
			),
			notReady("AccountChanged", unknown), "444455556666", "InProgress",
		},
		"a home elsewhere": {
			nil, ends(func(o *observation) { o.trail.HomeRegion = "us-east-1" }, nil),
			notReady("WrongHomeRegion", nil, stalled), "spec.region us-east-1", "Failed",
		},
		"nobody's": {
			nil, ends(untagged, nil), notReady("NotOwned", nil, stalled), "adoptionPolicy: IfUnowned", "Failed",
		},
		"somebody else's": {
			nil, ends(taggedOver, nil), notReady("OwnedByAnother", nil, stalled),
			"belongs to " + anotherOwner + ": choose another spec.name", "Failed",
		},
		"somebody else's, by an odd name": {
			nil, ends(func(o *observation) { o.trail.Tags[v1alpha1.OwnerTagKey] = "a\nb" }, nil),
			notReady("OwnedByAnother", nil, stalled), `belongs to a\nb: choose`, "Failed",
		},
		"somebody else's, that was ours: its logging goes on being reported": {
			synced, ends(taggedOver, nil), notReady("OwnedByAnother", fine, stalled),
			"this object managed or observed the trail " + testARN + ", which carries the owner tag of " + anotherOwner,
			"Failed",
		},
		"somebody's, who cannot be told": {
			nil, ends(both(otherBucket, tagsFail(cloudtrail.Permission)), nil),
			notReady("AccessDeniedException", nil),
			"needs permission for cloudtrail:ListTags", "InProgress",
		},
		"observed, in sync": {
			observes, ends(nil, nil), and(conditions{ready: "True Available", syncedType: "True Synced"}, fine),
			"logging to", "Current",
		},
		"observed, different": {
			observes, ends(both(prefixed, func(o *observation) { o.insights.value = someInsights }), nil),
			notReady("Different", fine), "AWS differs in insightSelectors, s3KeyPrefix; managementPolicy Observe changes " +
				"nothing (Manage would call UpdateTrail{s3KeyPrefix}, PutInsightSelectors)", "InProgress",
		},
		"observed, absent": {
			observes, ends(noTrail, nil), notReady("TrailNotFound", nil),
			"no trail audit in region eu-central-1 of account 111122223333", "InProgress",
		},
		"suspended": {
			nil, func(*v1alpha1.Trail) *outcome { return &outcome{suspended: true} },
			conditions{ready: "Unknown Suspended"}, "suspended by spec.suspend", "InProgress",
		},
		"the spec is not understood": {
			func(trail *v1alpha1.Trail) { trail.DecodeError = "spec.interval: invalid" },
			func(*v1alpha1.Trail) *outcome { return &outcome{suspended: true} },
			conditions{ready: "False InvalidSpec", stalled: "True InvalidSpec"},
			"does not understand the spec, so AWS is neither read nor changed: spec.interval: invalid", "Failed",
		},
		"cannot be deleted: AWS": {
			deleted, fails(awsError(cloudtrail.Permission, "DeleteTrail", "AccessDeniedException", "no")),
			conditions{ready: "False AccessDeniedException", reconciling: "True Retrying"},
			"cannot be deleted yet: DeleteTrail: no — AWSIdentity", "Terminating",
		},
		"cannot be deleted: the identity": {
			deleted,
			fails(&awsidentity.AccessError{Reason: v1alpha1.ReasonIdentityNotFound, Message: "no such identity"}),
			conditions{ready: "False IdentityNotFound", reconciling: "True Retrying"},
			"set spec.deletionPolicy: Retain", "Terminating",
		},
		"cannot be deleted: the spec": {
			deleted, fails(awsError(cloudtrail.FixSpec, "DeleteTrail", "InvalidHomeRegionException", "no")),
			conditions{ready: "False InvalidHomeRegionException", reconciling: "True Retrying"},
			"cannot be deleted yet", "Terminating",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(c.trail), newRecord()
			trail.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
			o := c.ends(trail)
			setStatus(trail, record, o, true, testNow)
			g.Expect(conditionsOf(trail)).To(Equal(c.want))
			g.Expect(meta.FindStatusCondition(trail.Status.Conditions, ready).Message).To(ContainSubstring(c.message))
			g.Expect(kstatusOf(g, trail)).To(Equal(c.kstatus))
			g.Expect(trail.Status.ObservedGeneration).To(Equal(trail.Generation))
			g.Expect(trail.Status.LastHandledReconcileAt).To(Equal("now"))
			expectSane(g, trail)

			age(trail)
			before := trail.DeepCopy()
			setStatus(trail, record, o, true, testNow.Add(time.Minute))
			g.Expect(equality.Semantic.DeepEqual(trail.Status, before.Status)).To(BeTrue(),
				"the same outcome is the same status: no write\n%+v\n%+v", before.Status, trail.Status)
		})
	}
}

var reasonPattern = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`) // Of metav1.Condition.

// expectSane holds what is true of every status.
func expectSane(g Gomega, trail *v1alpha1.Trail) {
	conditions := trail.Status.Conditions
	stalled := meta.FindStatusCondition(conditions, v1alpha1.ConditionStalled)
	reconciling := meta.FindStatusCondition(conditions, v1alpha1.ConditionReconciling)
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

// TestStatusChanges goes from each of some outcomes to each other: nothing of the one is left in the other.
func TestStatusChanges(t *testing.T) {
	t.Parallel()
	outcomes := map[string]ending{
		"in sync": ends(nil, nil),
		"stalled": ends(
			otherBucket, answers(awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", "no")),
		),
		"retrying":  fails(awsError(cloudtrail.Transient, "DescribeTrails", "ServiceUnavailable", "later")),
		"refused":   ends(otherBucket, answers(awsError(cloudtrail.FixAWS, "UpdateTrail", "KmsException", "no"))),
		"not kept":  ends(otherBucket, func(o *outcome) { o.notKept = o.open }),
		"not owned": ends(taggedOver, func(o *outcome) { o.observed.trail.ARN += "-2" }),
		"absent": ends(
			noTrail, answers(awsError(cloudtrail.FixAWS, "CreateTrail", "S3BucketDoesNotExistException", "no")),
		),
	}
	for first, from := range outcomes {
		for second, to := range outcomes {
			t.Run("from "+first+" to "+second, func(t *testing.T) {
				t.Parallel()
				g := NewWithT(t)
				fresh, used, record := testTrail(nil), testTrail(nil), newRecord()
				fresh.Generation++
				setStatus(fresh, newRecord(), to(fresh), true, testNow)
				setStatus(used, record, from(used), true, testNow)
				used.Generation++
				age(used)
				setStatus(used, record, to(used), true, testNow)
				g.Expect(conditionsOf(used)).To(Equal(conditionsOf(fresh)))
				g.Expect(used.Status.ObservedGeneration).To(Equal(used.Generation))
				expectSane(g, used)
			})
		}
	}
}

// TestHiddenFault holds what the status says while a fault that may pass is not shown: what was read, and nothing of
// the
// fault.
func TestHiddenFault(t *testing.T) {
	t.Parallel()
	fault := awsError(cloudtrail.Transient, "GetTrailStatus", "ServiceUnavailable", "later")
	refused := ends(otherBucket, answers(awsError(cloudtrail.FixAWS, "UpdateTrail", "KmsException", "no")))
	noSettings := func(o *observation) { o.settingsErr = fault }
	deliveryFails := func(o *observation) { o.status.value.LatestDeliveryError = "AccessDenied" }
	type conditions = map[string]string
	wellAs := func(changed conditions) conditions {
		all := conditions{
			"Ready": "True Available", "Synced": "True Synced", "Logging": "True Logging",
			"Delivering": "True NoDeliveryError",
		}
		maps.Copy(all, changed)
		return all
	}
	for name, c := range map[string]struct {
		before, now ending
		want        conditions
		observed    int64
	}{
		"nothing was read": {ends(nil, nil), fails(fault), wellAs(nil), 3},
		"a step failed":    {ends(nil, nil), ends(otherBucket, answers(fault)), wellAs(nil), 3},
		"the status was not read": {
			ends(nil, nil), ends(func(o *observation) { o.status.err = fault }, nil), wellAs(nil), 3,
		},
		"logging is stopped": {
			ends(nil, nil), ends(both(stopped, noSettings), nil),
			wellAs(conditions{"Ready": "False Stopped", "Logging": "False Stopped"}), 3,
		},
		"nothing is delivered": {
			ends(nil, nil), ends(both(deliveryFails, noSettings), nil),
			wellAs(conditions{"Ready": "False S3DeliveryFailed", "Delivering": "False S3DeliveryFailed"}), 3,
		},
		"what was not ready stays so": {
			refused, ends(otherBucket, answers(fault)),
			wellAs(conditions{"Ready": "False KmsException", "Synced": "False KmsException"}), 3,
		},
		"a new object": {
			nil, ends(func(o *observation) { o.insights.err = fault }, nil),
			conditions{"Logging": "True Logging", "Delivering": "True NoDeliveryError"}, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(nil), newRecord()
			if c.before != nil {
				setStatus(trail, record, c.before(trail), true, testNow)
			}
			trail.Generation++
			trail.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
			setStatus(trail, record, c.now(trail), false, testNow)
			g.Expect(conditionsOf(trail)).To(Equal(c.want))
			g.Expect(trail.Status.ObservedGeneration).To(Equal(c.observed))
			g.Expect(trail.Status.LastHandledReconcileAt).To(BeEmpty())
		})
	}

	t.Run("that keeps an object from being deleted", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		trail, record := testTrail(nil), newRecord()
		setStatus(trail, record, ends(nil, nil)(trail), true, testNow)
		trail.DeletionTimestamp = ago(0)
		before := trail.DeepCopy()
		setStatus(trail, record, fails(fault)(trail), false, testNow)
		g.Expect(trail).To(Equal(before))
	})

	t.Run("hides no drift", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		trail := testTrail(synced)
		g.Expect(setStatus(trail, newRecord(), ends(stopped, answers(fault))(trail), false, testNow)).To(BeTrue())
		g.Expect(trail.Status.LastDrift.Fields).To(Equal([]string{"logging"}))
		g.Expect(trail.Status.Differences).To(Equal([]v1alpha1.Difference{{Field: "logging", Found: "false"}}))
	})
}

// TestNotReady holds what is told first of several things that keep AWS from holding what the spec says: what only a
// person can
// change.
func TestNotReady(t *testing.T) {
	t.Parallel()
	wrong := awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", "no")
	broken := awsError(cloudtrail.FixAWS, "UpdateTrail", "KmsException", "no")
	denied := awsError(cloudtrail.Permission, "GetTrailStatus", "AccessDeniedException", "no")
	passing := awsError(cloudtrail.Transient, "GetEventSelectors", "ServiceUnavailable", "no")
	deniedStatus := func(o *observation) { o.status.err = denied }
	noSelectors := func(o *observation) { o.selectors.err = passing }
	noInsights := func(o *observation) { o.insights.err = passing }
	noAggregations := func(o *observation) { o.aggregations.err = passing }
	gone := func(o *observation) {
		o.settingsErr = awsError(cloudtrail.NotFound, "DescribeTrails", "TrailNotFoundException", "no")
	}
	notKept := func(o *outcome) { o.notKept = o.open }
	fails := func(errs ...error) func(*outcome) {
		return func(o *outcome) {
			for _, err := range errs {
				o.results = append(o.results, answered(err, step{operation: updateTrail})...)
			}
		}
	}
	for name, c := range map[string]struct {
		has    func(*observation)
		edit   func(*outcome)
		reason string // "": it is ready
	}{
		"nothing": {nil, nil, ""},
		"a refusal comes before all": {
			both(taggedOver, deniedStatus),
			both(fails(wrong), func(o *outcome) { o.err = &awsidentity.AccessError{Reason: "Refused"} }), "Refused",
		},
		"whose it is, before errors": {both(taggedOver, deniedStatus), fails(wrong), "OwnedByAnother"},
		"the spec, before AWS": {
			both(otherBucket, deniedStatus), fails(broken, wrong), "InvalidS3PrefixException",
		},
		"AWS, before permissions":         {both(otherBucket, deniedStatus), fails(broken), "KmsException"},
		"permissions, before what passes": {both(noSelectors, deniedStatus), nil, "AccessDeniedException"},
		"of equals the first": {
			otherBucket, fails(awsError(cloudtrail.FixAWS, "a", "One", "no"), broken), "One",
		},
		"an error of the beginning": {
			otherBucket,
			both(fails(broken), func(o *outcome) { o.err = awsError(cloudtrail.FixAWS, "a", "First", "no") }),
			"First",
		},
		"permissions, before what is lost":  {both(otherBucket, deniedStatus), notKept, "AccessDeniedException"},
		"what is not kept, before a fault":  {both(otherBucket, noSelectors), notKept, "NotKept"},
		"a fault, before differences":       {both(otherBucket, noSelectors), nil, "ServiceUnavailable"},
		"a trail that was gone for a while": {both(otherBucket, gone), nil, "TrailNotFoundException"},
		"differences":                       {otherBucket, nil, "Different"},
		"insights":                          {noInsights, nil, "ServiceUnavailable"},
		"aggregations":                      {noAggregations, nil, "ServiceUnavailable"},
		"tags that nobody needs":            {tagsFail(cloudtrail.Permission), nil, ""},
		"tags that are needed": {
			both(otherBucket, tagsFail(cloudtrail.Permission)), nil, "AccessDeniedException",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := testTrail(func(trail *v1alpha1.Trail) { trail.Status.TrailARN = testARN })
			n := notReadyOf(trail, ends(c.has, c.edit)(trail))
			if c.reason == "" {
				g.Expect(n).To(BeNil())
				return
			}
			g.Expect(n).NotTo(BeNil())
			g.Expect(n.reason).To(Equal(c.reason))
		})
	}
}

// TestTransitionTimes holds that a condition keeps its time until it turns.
func TestTransitionTimes(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail, record := testTrail(nil), newRecord()
	refused := func(message string) *outcome {
		err := awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", message)
		return ends(otherBucket, answers(err))(trail)
	}
	turned := func(conditionType string) bool {
		return !meta.FindStatusCondition(trail.Status.Conditions, conditionType).LastTransitionTime.Equal(
			ago(time.Hour),
		)
	}
	setStatus(trail, record, refused("one"), true, testNow)
	age(trail)
	setStatus(trail, record, refused("two"), true, testNow)
	g.Expect(turned(v1alpha1.ConditionStalled)).To(BeFalse(), "another message is no turn")
	g.Expect(turned(v1alpha1.ConditionReady)).To(BeFalse())
	setStatus(trail, record, ends(nil, nil)(trail), true, testNow)
	g.Expect(turned(v1alpha1.ConditionReady)).To(BeTrue())
	g.Expect(turned(v1alpha1.ConditionLogging)).To(BeFalse())
}

// TestNewObject holds that waiters do not take an object for ready that nobody has looked at yet.
func TestNewObject(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail, record := testTrail(nil), newRecord()
	trail.Status.ObservedGeneration = -1 // As the CRD's default says.
	g.Expect(kstatusOf(g, trail)).To(Equal("InProgress"))
	setStatus(trail, record, ends(nil, nil)(trail), true, testNow)
	g.Expect(kstatusOf(g, trail)).To(Equal("Current"))
	trail.Generation++
	g.Expect(kstatusOf(g, trail)).To(Equal("InProgress"), "a changed spec is not ready until it was looked at")
}

// TestSuspendedStatus holds that what was seen last stays.
func TestSuspendedStatus(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail, record := testTrail(nil), newRecord()
	refused := answers(awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", "no"))
	setStatus(trail, record, ends(otherBucket, refused)(trail), true, testNow)
	trail.Generation++
	setStatus(trail, record, &outcome{suspended: true}, true, testNow)
	g.Expect(conditionsOf(trail)).To(Equal(map[string]string{
		"Ready": "Unknown Suspended", "Synced": "False InvalidS3PrefixException", "Logging": "True Logging",
		"Delivering": "True NoDeliveryError",
	}))
	g.Expect(trail.Status.TrailARN).NotTo(BeEmpty())
	g.Expect(trail.Status.ObservedGeneration).To(Equal(trail.Generation))
}

func TestRecordedTrail(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	moment := func(n int) time.Time { return time.Unix(int64(1000+n), 123456789).UTC() }
	shown := func(n int) *metav1.Time { return &metav1.Time{Time: time.Unix(int64(1000+n), 0).UTC()} }
	trail := fullTrail(
		func(trail *v1alpha1.Trail) {
			trail.Status = v1alpha1.TrailStatus{ManagedTagKeys: []string{"env", "old"}}
		},
	)
	o := holding(trail, func(o *observation) {
		o.status.value = cloudtrail.Status{
			IsLogging: true, StartLoggingTime: moment(1), StopLoggingTime: moment(2),
			LatestDeliveryTime: moment(3), LatestDeliveryError: "a",
			LatestNotificationTime: moment(4), LatestNotificationError: "b",
			LatestDigestDeliveryTime: moment(5), LatestDigestDeliveryError: "c",
			LatestCloudWatchLogsDeliveryTime: moment(6), LatestCloudWatchLogsDeliveryError: "d",
		}
	})
	recordTrail(trail, outcomeOf(trail, o, nil))
	want := v1alpha1.TrailStatus{
		TrailARN: testARN, HomeRegion: testRegion, AccountID: testAccount,
		SNSTopicARN: "arn:aws:sns:eu-central-1:111122223333:topic", KMSKeyID: testKeyID, KMSKeyARN: testKeyARN,
		ManagedTagKeys: []string{"env", "team"}, AggregationApplied: true,
		IsLogging: aws.Bool(true), StartLoggingTime: shown(1), StopLoggingTime: shown(2),
		LatestDeliveryTime: shown(3), LatestDeliveryError: "a",
		LatestNotificationTime: shown(4), LatestNotificationError: "b",
		LatestDigestDeliveryTime: shown(5), LatestDigestDeliveryError: "c",
		LatestCloudWatchLogsDeliveryTime: shown(6), LatestCloudWatchLogsDeliveryError: "d",
	}
	g.Expect(trail.Status).To(Equal(want))

	no := errors.New("no")
	recordTrail(trail, outcomeOf(trail, &observation{settingsErr: no}, nil))
	g.Expect(trail.Status).To(Equal(want), "what was not read stays")
	recordTrail(trail, outcomeOf(trail, holding(trail, func(o *observation) {
		o.settingsErr, o.trail.Settings, o.status.err = no, cloudtrail.Settings{}, no
	}), nil))
	g.Expect(trail.Status).To(Equal(want), "nor is a part that was not read taken for empty")

	o.status.value = cloudtrail.Status{}
	recordTrail(trail, outcomeOf(trail, o, func(o *outcome) { o.results = accepted(step{operation: stopLogging}) }))
	g.Expect(trail.Status.LatestDeliveryTime).To(BeNil(), "the zero time is no time")
	g.Expect(trail.Status.LatestDeliveryError).To(BeEmpty())
	g.Expect(trail.Status.IsLogging).To(HaveValue(BeFalse()))
	g.Expect(trail.Status.OperatorARNs).To(
		Equal([]string{"arn:aws:sts::111122223333:assumed-role/op"}), "it has written",
	)

	recordTrail(trail, outcomeOf(trail, &observation{}, func(o *outcome) { o.settling = o.open }))
	g.Expect(trail.Status.TrailARN).To(Equal(testARN), "it is there, and is not shown yet")
	recordTrail(trail, outcomeOf(trail, &observation{}, nil))
	g.Expect(trail.Status.TrailARN).To(BeEmpty(), "it is gone")
}

// TestAccountOfTrail holds that a trail is in the account that AWS says: the credentials may have come to lead to
// another one right before it was created. An organization's trail is in the management account, and the object in its
// own.
func TestAccountOfTrail(t *testing.T) {
	t.Parallel()
	const other = "444455556666"
	for name, c := range map[string]struct {
		has  func(*observation)
		want string
	}{
		"a trail":                {nil, other},
		"an organization's":      {func(o *observation) { o.trail.IsOrganizationTrail = true }, testAccount},
		"settings were not read": {func(o *observation) { o.settingsErr = errors.New("no") }, testAccount},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := testTrail(nil)
			o := holding(trail, both(func(o *observation) {
				o.trail.ARN = strings.Replace(testARN, testAccount, other, 1)
			}, c.has))
			recordTrail(trail, outcomeOf(trail, o, nil))
			NewWithT(t).Expect(trail.Status.AccountID).To(Equal(c.want))
		})
	}
}

// TestClearedTrail holds what is known of a trail that is gone, field by field, so that a new field is thought of here.
func TestClearedTrail(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	kept := map[string]bool{
		"ObservedGeneration": true, "Conditions": true, "HomeRegion": true, "AccountID": true, "ManagedTagKeys": true,
		"AggregationApplied": true, "OperatorARNs": true, "SyncedDigest": true, "LastSyncedTime": true,
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

// TestManagedTagKeys holds when it is forgotten that a tag was ours, and that there was an aggregation.
func TestManagedTagKeys(t *testing.T) {
	t.Parallel()
	no := awsError(cloudtrail.Permission, "ListTags", "AccessDeniedException", "no")
	for name, c := range map[string]struct {
		trail      func(*v1alpha1.Trail)
		has        func(*observation)
		edit       func(*outcome)
		keys       []string
		aggregates bool
	}{
		"when all is done":            {nil, nil, nil, []string{"new"}, false},
		"not while something is open": {nil, prefixed, nil, []string{"old"}, true},
		"not by an observer":          {observes, nil, nil, []string{"old"}, true},
		"not when tags were not read": {
			nil, func(o *observation) { o.trail.TagsErr = no }, nil, []string{"old"}, true,
		},
		"not when anything was not read": {
			nil, func(o *observation) { o.aggregations.err = no }, nil, []string{"old"}, true,
		},
		"not of a trail that was gone":    {nil, noTrail, nil, []string{"old"}, true},
		"not of a trail that is not ours": {nil, untagged, nil, []string{"old"}, true},
		"not of one that is another's by now": {
			synced, taggedOver, func(o *outcome) { o.open = nil }, []string{"old"}, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := testTrail(func(trail *v1alpha1.Trail) { trail.Spec.Tags = []v1alpha1.Tag{{Key: "new"}} })
			if c.trail != nil {
				c.trail(trail)
			}
			trail.Status.ManagedTagKeys, trail.Status.AggregationApplied = []string{"old"}, true
			recordTrail(trail, outcomeOf(trail, holding(trail, c.has), c.edit))
			g.Expect(trail.Status.ManagedTagKeys).To(Equal(c.keys))
			g.Expect(trail.Status.AggregationApplied).To(Equal(c.aggregates))
		})
	}

	t.Run("an aggregation is remembered as soon as it was put", func(t *testing.T) {
		t.Parallel()
		trail := testTrail(nil)
		recordTrail(trail, outcomeOf(trail, holding(trail, prefixed), func(o *outcome) {
			o.results = accepted(step{operation: putEventConfiguration})
		}))
		NewWithT(t).Expect(trail.Status.AggregationApplied).To(BeTrue())
	})
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
		"applied by an update": {"alias/trail", []step{put}, "alias/trail", testKeyARN},
		"applied by creation":  {"alias/trail", []step{{operation: createTrail}}, "alias/trail", testKeyARN},
		"not applied: as before": {
			"alias/trail", []step{{operation: updateTrail}, {operation: startLogging}}, "alias/before", otherKeyARN,
		},
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
			recordTrail(trail, outcomeOf(trail, o, nil))
			g.Expect(trail.Status.KMSKeyID).To(Equal(c.id))
			g.Expect(trail.Status.KMSKeyARN).To(Equal(c.arn))
		})
	}
}

// TestOperatorARNs holds as whom the operator is known to have written: three users and roles, the latest first.
func TestOperatorARNs(t *testing.T) {
	t.Parallel()
	role := func(name string) string { return "arn:aws:sts::111122223333:assumed-role/" + name }
	for name, c := range map[string]struct {
		known  []string
		caller string
		want   []string
	}{
		"the first":             {nil, role("a/one"), []string{role("a")}},
		"in another session":    {[]string{role("a")}, role("a/two"), []string{role("a")}},
		"another role":          {[]string{role("a")}, role("b/one"), []string{role("b"), role("a")}},
		"back to the first one": {[]string{role("b"), role("a")}, role("a/two"), []string{role("a"), role("b")}},
		"a fourth": {
			[]string{role("c"), role("b"), role("a")}, role("d/one"), []string{role("d"), role("c"), role("b")},
		},
		"a user": {nil, "arn:aws:iam::111122223333:user/op", []string{"arn:aws:iam::111122223333:user/op"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(operatorARNs(c.known, c.caller)).To(Equal(c.want))
		})
	}
}

// TestSyncedDigest holds of which fields it is noted that AWS was seen to hold them.
func TestSyncedDigest(t *testing.T) {
	t.Parallel()
	all := len(fields)
	for name, c := range map[string]struct {
		trail  func(*v1alpha1.Trail)
		has    func(*observation)
		edit   func(*outcome)
		synced int // How many fields.
	}{
		"in sync":                         {nil, nil, nil, all},
		"something differs":               {nil, both(prefixed, stopped), nil, all - 2},
		"what differs was in sync before": {synced, both(prefixed, stopped), nil, all},
		"what AWS does not keep never was": {
			synced, both(prefixed, stopped), func(o *outcome) { o.notKept = of(o.open, "s3KeyPrefix") }, all - 1,
		},
		"gone":                    {synced, noTrail, nil, all},
		"never there":             {nil, noTrail, nil, 0},
		"not ours, and never was": {nil, taggedOver, nil, 0},
		"another's by now":        {synced, taggedOver, nil, 0},
		"whose is not known": {
			func(trail *v1alpha1.Trail) { trail.Status.TrailARN = testARN },
			tagsFail(cloudtrail.Transient), nil, 0,
		},
		"ours, whose is not read": {synced, tagsFail(cloudtrail.Transient), nil, all},
		"ours, its tag is gone":   {synced, untagged, nil, all},
		"nothing was read": {
			synced, func(o *observation) { *o = observation{settingsErr: errNoTrail} }, nil, all,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(c.trail), newRecord()
			o := outcomeOf(trail, holding(trail, c.has), c.edit)
			setStatus(trail, record, o, true, testNow)
			count := 0
			for number, f := range fields {
				if digestsOf(&trail.Status).synced(number, f.wanted(o.target)) {
					count++
				}
			}
			g.Expect(count).To(Equal(c.synced))
		})
	}
}
