package compliance_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/compliance"
)

const (
	passes  = compliance.Pass
	fails   = compliance.Fail
	skipped = compliance.Skip
)

// judged is a Trail and what a control must say of it, with a part of the message.
type judged struct {
	about   string
	changes []change
	outcome compliance.Outcome
	message string
}

// changed is one case of a table.
func changed(about string, outcome compliance.Outcome, message string, changes ...change) judged {
	return judged{about, changes, outcome, message}
}

// settings is what all controls share that rest on a field of the spec and on what AWS holds of it.
func settings(field, right, wrong string, cleared change, more ...judged) []judged {
	return append([]judged{
		changed("the spec asks for it, and AWS matches", passes, ""),
		changed("the spec does not ask for it", fails, "spec.", cleared),
		changed("AWS differs, and will be repaired", fails, field, differs(field, wrong)),
		changed("the spec does not ask for it, and AWS will be repaired", fails, "spec.", cleared, differs(field, right)),
		changed("another field differs", passes, "", differs("s3KeyPrefix", "other")),
		changed("AWS does not keep a value of another field", passes, "", differs("s3KeyPrefix", "other"),
			func(t *v1alpha1.Trail) {
				set(t, v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonNotKept)
			}),
		changed("only observed, and AWS matches", passes, "", observed),
		changed("only observed, and AWS differs", fails, "managementPolicy", observed, differs(field, wrong)),
		changed("suspended", skipped, "spec.suspend", suspended),
		changed("suspended, and the spec does not ask for it", fails, "spec.", suspended, cleared),
		changed("being deleted", skipped, "deleted", deleting),
		changed("the spec is newer than the status", skipped, "not processed", unprocessed),
		changed("never looked at", skipped, "", unseen),
		changed("there is no trail", skipped, "no trail", absent),
		changed("not read", skipped, "Synced", unread),
		changed("never compared", skipped, "compared", func(t *v1alpha1.Trail) { unset(t, v1alpha1.ConditionSynced) }),
		changed("the trail is another's", skipped, v1alpha1.ReasonOwnedByAnother, func(t *v1alpha1.Trail) {
			set(t, v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonOwnedByAnother)
		}),
		changed("the spec is not understood", skipped, `\x1b[31mno`, undecoded),
	}, more...)
}

// channel is what controls share that rest on deliveries.
func deliveries(within time.Duration, last func(*v1alpha1.Trail) **metav1.Time, code func(*v1alpha1.Trail) *string,
) []judged {
	at := func(d time.Duration) change {
		return func(t *v1alpha1.Trail) { *last(t) = ago(d) }
	}
	never := func(t *v1alpha1.Trail) { *last(t) = nil }
	started := func(d time.Duration) change {
		return func(t *v1alpha1.Trail) { t.Status.StartLoggingTime = ago(d) }
	}
	failing := func(t *v1alpha1.Trail) { *code(t) = "AccessDenied\x1b" }
	return []judged{
		changed("delivered just within the limit", passes, "are delivered", at(within-time.Second)),
		changed("delivered too long ago", fails, ago(within).UTC().Format(time.RFC3339), at(within)),
		changed("an error", fails, `AccessDenied\x1b`, failing),
		changed("never delivered", fails, "yet", never),
		changed("never delivered, but logging was just started", skipped, "not due", never, started(within-time.Second)),
		changed("never delivered since logging was started", fails, "yet", never, started(within)),
		changed("delivered long ago, and logging was started again", skipped, "not due", at(1000*time.Hour),
			started(time.Minute)),
		changed("never delivered, and suspended", skipped, "spec.suspend", never, suspended),
		changed("an error, and suspended", fails, "AccessDenied", failing, suspended),
		changed("not logging", skipped, "not logging", never, stopped),
		changed("an error, and not logging", fails, "AccessDenied", failing, stopped),
	}
}

// tables are the cases of each control. Conditions are those of section 5 and 6 of the survey of benchmarks and
// scanners that docs/compliance.md sums up.
var tables = map[string][]judged{
	// spec.isMultiRegionTrail == true (default false)
	"multi-region": settings(
		"isMultiRegionTrail",
		"true",
		"false",
		func(t *v1alpha1.Trail) { t.Spec.IsMultiRegionTrail = new(false) },
		changed(
			"absent",
			fails,
			"spec.isMultiRegionTrail: true",
			func(t *v1alpha1.Trail) { t.Spec.IsMultiRegionTrail = nil },
		),
		changed("only observed, and AWS has it although the spec does not ask", passes, "isMultiRegionTrail true", observed,
			func(t *v1alpha1.Trail) { t.Spec.IsMultiRegionTrail = nil }, differs("isMultiRegionTrail", "true")),
	),

	// spec.logging absent/true; status.isLogging == true, condition Logging
	"logging": {
		changed("logging", passes, "recording"),
		changed("spelled out", passes, "", func(t *v1alpha1.Trail) { t.Spec.Logging = new(true) }),
		changed("not to log", fails, "spec.logging: false", func(t *v1alpha1.Trail) { t.Spec.Logging = new(false) }),
		changed("not to log, and not logging", fails, "spec.logging: false", stopped,
			func(t *v1alpha1.Trail) { t.Spec.Logging = new(false) }),
		changed("only observed, and logging although it is not to", passes, "", observed,
			func(t *v1alpha1.Trail) { t.Spec.Logging = new(false) }),
		changed("only observed, and not logging", fails, "condition Logging", observed, stopped),
		changed("stopped", fails, "condition Logging", stopped),
		changed("stopped and suspended", fails, "condition Logging", stopped, suspended),
		changed("suspended", skipped, "spec.suspend", suspended),
		changed("being deleted", skipped, "deleted", deleting),
		changed("the spec is newer than the status", skipped, "not processed", unprocessed),
		changed("never looked at", skipped, "", unseen),
		changed("there is no trail", fails, "nothing is recorded", absent),
		changed("not read", skipped, "could not be asked", unread),
		changed("AWS differs in something else", passes, "", differs("kmsKeyID", "")),
		changed("the spec is not understood", skipped, "", undecoded),
	},

	// neither selector list, or a selector of all read and write events with nothing excluded
	"management-events": settings("eventSelectors", "", "[ReadOnly]",
		basic(v1alpha1.EventSelector{ReadWriteType: v1alpha1.ReadOnly}),
		changed("CloudTrail's default", passes, "", basic()),
		changed("basic: only reads", fails, "no management events that change something",
			basic(v1alpha1.EventSelector{ReadWriteType: v1alpha1.ReadOnly})),
		changed("basic: only writes", fails, "no management events that only read: let a selector of spec.eventSelectors",
			basic(v1alpha1.EventSelector{ReadWriteType: v1alpha1.WriteOnly})),
		changed("basic: reads and writes apart", passes, "",
			basic(v1alpha1.EventSelector{ReadWriteType: v1alpha1.ReadOnly},
				v1alpha1.EventSelector{ReadWriteType: v1alpha1.WriteOnly})),
		changed("basic: a source is excluded", fails, "kms.amazonaws.com",
			basic(v1alpha1.EventSelector{ExcludeManagementEventSources: []string{"kms.amazonaws.com"}})),
		changed("basic: none", fails, "no management events that only read and no management events that change something",
			basic(v1alpha1.EventSelector{IncludeManagementEvents: new(false)})),
		changed("advanced: all, whatever the selector's name", passes, "",
			advanced(where(equals("eventCategory", "Management")))),
		changed("advanced: reads and writes apart", passes, "", advanced(
			where(equals("eventCategory", "Management"), equals("readOnly", "true")),
			where(equals("eventCategory", "Management"), equals("readOnly", "false")))),
		changed("advanced: only writes", fails, "spec.advancedEventSelectors",
			advanced(where(equals("eventCategory", "Management"), equals("readOnly", "false")))),
		changed("advanced: a source is excluded", fails, `eventSource notEquals kms.amazonaws.com\x1b`,
			advanced(where(equals("eventCategory", "Management"),
				v1alpha1.AdvancedFieldSelector{Field: "eventSource", NotEquals: []string{"kms.amazonaws.com\x1b"}}))),
		changed("advanced: only data events", fails, "spec.advancedEventSelectors",
			advanced(where(equals("eventCategory", "Data"), equals("resources.type", "AWS::S3::Object")))),
		changed("advanced: AWS differs", fails, "advancedEventSelectors",
			advanced(where(equals("eventCategory", "Management"))), differs("advancedEventSelectors", "[]")),
		changed("only observed, and AWS has other selectors, whatever they are", fails, "managementPolicy", observed,
			basic(v1alpha1.EventSelector{ReadWriteType: v1alpha1.ReadOnly}), differs("eventSelectors", "[All]")),
	),

	// includeGlobalServiceEvents absent/true (multi-region implies)
	"global-service-events": settings("includeGlobalServiceEvents", "true", "false",
		func(t *v1alpha1.Trail) {
			t.Spec.IsMultiRegionTrail, t.Spec.IncludeGlobalServiceEvents = nil, new(false)
		},
		changed("spelled out", passes, "", func(t *v1alpha1.Trail) { t.Spec.IncludeGlobalServiceEvents = new(true) }),
		changed("only observed, and AWS has it although the spec does not ask", passes, "", observed,
			func(t *v1alpha1.Trail) { t.Spec.IncludeGlobalServiceEvents = new(false) },
			differs("includeGlobalServiceEvents", "true")),
	),

	// spec.enableLogFileValidation == true (default false); status.latestDigestDeliveryTime < 3 h, no
	// latestDigestDeliveryError
	"log-file-validation": append(settings("enableLogFileValidation", "true", "false",
		func(t *v1alpha1.Trail) { t.Spec.EnableLogFileValidation = new(false) },
		changed("absent", fails, "spec.enableLogFileValidation: true",
			func(t *v1alpha1.Trail) { t.Spec.EnableLogFileValidation = nil }),
	), deliveries(3*time.Hour,
		func(t *v1alpha1.Trail) **metav1.Time { return &t.Status.LatestDigestDeliveryTime },
		func(t *v1alpha1.Trail) *string { return &t.Status.LatestDigestDeliveryError })...),

	// spec.kmsKeyID not empty
	"kms-encryption": settings("kmsKeyID", "arn:aws:kms:us-east-1:111122223333:key/1", "",
		func(t *v1alpha1.Trail) { t.Spec.KMSKeyID = "" },
		changed("only observed, and AWS has a key although the spec names none", passes, "", observed,
			func(t *v1alpha1.Trail) { t.Spec.KMSKeyID = "" }, differs("kmsKeyID", "arn:aws:kms:us-east-1:111122223333:key/1")),
		changed("AWS has no key", fails, "kmsKeyID without a value", differs("kmsKeyID", "")),
	),

	"kms-key-rotation": {
		changed("a key", skipped, "spec.kmsKeyID"),
		changed("no key", skipped, "names no key", func(t *v1alpha1.Trail) { t.Spec.KMSKeyID = "" }),
	},

	// both ARNs; status.latestCloudWatchLogsDeliveryTime < 24 h and no error
	"cloudwatch-logs": append(settings(
		"cloudWatchLogsLogGroupARN",
		"arn:aws:logs:1",
		"",
		func(t *v1alpha1.Trail) { t.Spec.CloudWatchLogsLogGroupARN = "" },
		changed(
			"no role",
			fails,
			"spec.cloudWatchLogsRoleARN",
			func(t *v1alpha1.Trail) { t.Spec.CloudWatchLogsRoleARN = "" },
		),
		changed("AWS has another role", fails, "cloudWatchLogsRoleARN", differs("cloudWatchLogsRoleARN", "arn:other")),
	), deliveries(24*time.Hour,
		func(t *v1alpha1.Trail) **metav1.Time { return &t.Status.LatestCloudWatchLogsDeliveryTime },
		func(t *v1alpha1.Trail) *string { return &t.Status.LatestCloudWatchLogsDeliveryError })...),

	// no latestDeliveryError; latestDeliveryTime recent (quiet account: digest time is the better pulse)
	"delivery": append(
		deliveries(24*time.Hour,
			func(t *v1alpha1.Trail) **metav1.Time {
				t.Status.LatestDigestDeliveryTime = nil
				return &t.Status.LatestDeliveryTime
			},
			func(t *v1alpha1.Trail) *string { return &t.Status.LatestDeliveryError }),
		changed(
			"a quiet account",
			passes,
			"",
			func(t *v1alpha1.Trail) { t.Status.LatestDeliveryTime = ago(1000 * time.Hour) },
		),
		changed("a quiet account, from the start", passes, "", func(t *v1alpha1.Trail) { t.Status.LatestDeliveryTime = nil }),
		changed("log files before digests", passes, "", func(t *v1alpha1.Trail) { t.Status.LatestDigestDeliveryTime = nil }),
		changed("no digests, and few events, none of them lately", skipped, "spec.enableLogFileValidation", quiet,
			func(t *v1alpha1.Trail) { t.Status.LatestDeliveryTime = ago(1000 * time.Hour) }),
		changed("no digests, and few events, one of them lately", passes, "", quiet),
		changed("few events, but digests are due every hour", fails, "since", quiet, func(t *v1alpha1.Trail) {
			t.Spec.EnableLogFileValidation, t.Status.LatestDeliveryTime = new(true), ago(1000*time.Hour)
		}),
		changed("no digests, but all management events", fails, "since", func(t *v1alpha1.Trail) {
			t.Spec.EnableLogFileValidation, t.Status.LatestDigestDeliveryTime = nil, nil
			t.Status.LatestDeliveryTime = ago(1000 * time.Hour)
		}),
		changed("AWS differs in something else", passes, "", differs("kmsKeyID", "")),
		changed("not read", skipped, "not logging", unread, func(t *v1alpha1.Trail) {
			t.Status.LatestDeliveryTime, t.Status.LatestDigestDeliveryTime = nil, nil
		}),
		changed("suspended", skipped, "spec.suspend", suspended),
		changed("suspended with an error", fails, "AccessDenied", suspended,
			func(t *v1alpha1.Trail) { t.Status.LatestDeliveryError = "AccessDenied" }),
		changed("there is no trail", skipped, "no trail", absent),
		changed("never looked at", skipped, "", unseen),
	),

	"bucket-access-logging": {changed("any", skipped, "spec.s3BucketName")},

	"s3-object-writes": s3Events(v1alpha1.WriteOnly, v1alpha1.ReadOnly, "false", "true"),
	"s3-object-reads":  s3Events(v1alpha1.ReadOnly, v1alpha1.WriteOnly, "true", "false"),

	"change-detection": append(kept(),
		changed("only observed", passes, "", observed),
	),
	// managementPolicy Manage, suspend false
	"managed": append(kept(),
		changed("only observed", fails, "spec.managementPolicy: Manage", observed),
	),

	// Synced, lastDrift.repairedTime
	"drift-free": {
		changed("never changed", passes, ""),
		changed("repaired", passes, "", drifted(ago(time.Minute))),
		changed("not repaired", fails, `logging, \x1b`, drifted(nil)),
		changed("not repaired, and suspended", fails, "status.lastDrift", drifted(nil), suspended),
		changed("AWS differs", fails, "condition Synced", differs("kmsKeyID", "")),
		changed("AWS refuses the spec", fails, "S3BucketDoesNotExistException", absent),
		changed("not read", fails, v1alpha1.ReasonIdentityUnusable, unread),
		changed("never compared", skipped, "", func(t *v1alpha1.Trail) { unset(t, v1alpha1.ConditionSynced) }),
		changed("unknown", skipped, "", func(t *v1alpha1.Trail) {
			set(t, v1alpha1.ConditionSynced, metav1.ConditionUnknown, v1alpha1.ReasonNotLookedAt)
		}),
		changed("suspended", skipped, "spec.suspend", suspended),
		changed("never looked at", skipped, "", unseen),
		changed("the spec is not understood", skipped, "", undecoded),
	},

	// deletionPolicy Retain
	"retained": {
		changed("retained", passes, ""),
		changed("deleted", fails, "spec.deletionPolicy: Retain",
			func(t *v1alpha1.Trail) { t.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete }),
		changed("the default", fails, "spec.deletionPolicy: Retain", func(t *v1alpha1.Trail) { t.Spec.DeletionPolicy = "" }),
		changed("only observed, so never deleted", passes, "", observed,
			func(t *v1alpha1.Trail) { t.Spec.DeletionPolicy = "" }),
		changed("suspended", passes, "", suspended),
		changed("the spec is not understood", skipped, "", undecoded),
	},

	// spec.tags contains required keys (the operator's owner tag alone does not count)
	"tags": settings("tags", "", "team=other", func(t *v1alpha1.Trail) { t.Spec.Tags = nil }),
}

func kept() []judged {
	return []judged{
		changed("managed", passes, ""),
		changed("suspended", fails, "spec.suspend", suspended),
		changed("being deleted", skipped, "deleted", deleting),
		changed("the spec is not understood", fails, `\x1b[31mno`, undecoded),
		changed("never looked at", passes, "", unseen),
	}
}

// quiet records too little to expect a delivery every day.
func quiet(t *v1alpha1.Trail) {
	t.Spec.EnableLogFileValidation, t.Status.LatestDigestDeliveryTime = nil, nil
	t.Spec.EventSelectors = []v1alpha1.EventSelector{{ReadWriteType: v1alpha1.WriteOnly}}
}

// drifted was changed by somebody.
func drifted(repaired *metav1.Time) change {
	return func(t *v1alpha1.Trail) {
		t.Status.LastDrift = &v1alpha1.Drift{
			DetectedTime: *ago(time.Hour), Fields: []string{"logging", "\x1b"}, RepairedTime: repaired,
		}
	}
}

// s3Events are the cases of the data events of S3 of one kind: basic selectors with arn:PARTITION:s3 or the prefix of
// all ARNs; advanced selectors of resources.type AWS::S3::Object that nothing narrows.
func s3Events(kind, other v1alpha1.ReadWriteType, readOnly, otherReadOnly string) []judged {
	of := func(kind v1alpha1.ReadWriteType, typ string, arns ...string) change {
		return basic(v1alpha1.EventSelector{}, v1alpha1.EventSelector{
			ReadWriteType: kind, IncludeManagementEvents: new(false),
			DataResources: []v1alpha1.DataResource{{Type: typ, Values: arns}},
		})
	}
	data, object := equals("eventCategory", "Data"), equals("resources.type", "AWS::S3::Object")
	arn := func(s v1alpha1.AdvancedFieldSelector) v1alpha1.AdvancedFieldSelector {
		s.Field = "resources.ARN"
		return s
	}
	const s3 = "AWS::S3::Object"
	cases := settings(
		"eventSelectors",
		"",
		"[]",
		basic(),
		changed("basic: all buckets", passes, "", of(kind, s3, "arn:aws:s3")),
		changed("basic: all buckets, by the prefix", passes, "", of("All", s3, "arn:aws:s3:::")),
		changed("basic: all buckets of another partition", passes, "", of("", s3, "arn:aws-us-gov:s3:::")),
		changed("basic: all buckets among others", passes, "", of(kind, s3, "arn:aws:s3:::one/", "arn:aws:s3")),
		changed("basic: the other kind", fails, "spec.eventSelectors", of(other, s3, "arn:aws:s3")),
		changed("basic: one bucket", fails, "spec.eventSelectors", of(kind, s3, "arn:aws:s3:::one/")),
		changed("basic: a wildcard, which AWS does not document", fails, "", of(kind, s3, "arn:aws:s3:::*/*")),
		changed("basic: another type", fails, "", of(kind, "AWS::Lambda::Function", "arn:aws:s3")),
		changed("basic: no ARN", fails, "", of(kind, s3, "s3", "arn:s3", "arn::s3:::", "x:aws:s3:::", "")),
		changed("no selectors at all", fails, "spec.advancedEventSelectors", basic()),
		changed("advanced: all", passes, "", advanced(where(data, object))),
		changed("advanced: this kind", passes, "", advanced(where(object, equals("readOnly", readOnly), data))),
		changed("advanced: the other kind", fails, "", advanced(where(data, object, equals("readOnly", otherReadOnly)))),
		changed("advanced: every ARN", passes, "", advanced(where(data, object,
			arn(v1alpha1.AdvancedFieldSelector{StartsWith: []string{"arn:aws:s3:::"}})))),
		changed("advanced: one bucket", fails, "", advanced(where(data, object,
			arn(v1alpha1.AdvancedFieldSelector{StartsWith: []string{"arn:aws:s3:::one/"}})))),
		changed("advanced: every ARN but some", fails, "", advanced(where(data, object, arn(v1alpha1.AdvancedFieldSelector{
			StartsWith: []string{"arn:aws:s3:::"}, NotStartsWith: []string{"arn:aws:s3:::one/"},
		})))),
		changed("advanced: one object", fails, "", advanced(where(data, object,
			arn(v1alpha1.AdvancedFieldSelector{Equals: []string{"arn:aws:s3:::one/a"}})))),
		changed("advanced: narrowed by name", fails, "", advanced(where(data, object, equals("eventName", "PutObject")))),
		changed("advanced: compared in a way that AWS refuses", fails, "", advanced(where(data,
			v1alpha1.AdvancedFieldSelector{
				Field: "resources.type", Equals: []string{s3}, NotEquals: []string{s3},
			}))),
		changed("advanced: another type", fails, "", advanced(where(data, equals("resources.type", "AWS::S3::AccessPoint")))),
		changed("advanced: another category", fails, "", advanced(where(equals("eventCategory", "Management"), object))),
		changed("advanced: no type", fails, "", advanced(where(data))),
		changed(
			"single-region",
			fails,
			"spec.isMultiRegionTrail",
			func(t *v1alpha1.Trail) { t.Spec.IsMultiRegionTrail = nil },
		),
		changed("single-region in AWS", fails, "", differs("isMultiRegionTrail", "false")),
	)
	return cases
}

// TestControls holds what each control says of Trails of a cluster.
func TestControls(t *testing.T) {
	t.Parallel()
	everything := named(NewWithT(t), "all")
	for _, control := range everything.Controls {
		cases := tables[control.ID]
		NewWithT(t).Expect(cases).NotTo(BeEmpty(), "the control %s has no cases", control.ID)
		for _, c := range cases {
			t.Run(fmt.Sprintf("%s: %s", control.ID, c.about), func(t *testing.T) {
				t.Parallel()
				g := NewWithT(t)
				result := resultOf(g, everything.Judge(goodTrail(c.changes...), now), control.ID)
				g.Expect(result.Outcome).To(Equal(c.outcome), result.Message)
				g.Expect(result.Message).To(ContainSubstring(c.message))
				g.Expect(result.Control).To(BeIdenticalTo(control))
			})
		}
	}
	NewWithT(t).Expect(tables).To(HaveLen(len(everything.Controls)))
}
