package policies_test

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// trail returns a Trail that keeps every rule.
func trail(namespace string) *v1alpha1.Trail {
	return &v1alpha1.Trail{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    namespace,
			GenerateName: "audit-",
			Labels:       map[string]string{"shard": "a"},
		},
		Spec: v1alpha1.TrailSpec{
			S3BucketName:              "example-audit-logs",
			IsMultiRegionTrail:        new(true),
			IsOrganizationTrail:       new(true),
			EnableLogFileValidation:   new(true),
			KMSKeyID:                  "alias/audit",
			CloudWatchLogsLogGroupARN: "arn:aws:logs:eu-central-1:111122223333:log-group:audit:*",
			CloudWatchLogsRoleARN:     "arn:aws:iam::111122223333:role/trail-logs",
			DeletionPolicy:            v1alpha1.DeletionPolicyRetain,
			Tags:                      []v1alpha1.Tag{{Key: "team", Value: "security"}, {Key: "cost-center", Value: "1"}},
		},
	}
}

// validation returns a LogFileValidation that goes on for ever.
func validation(namespace string) *v1alpha1.LogFileValidation {
	return &v1alpha1.LogFileValidation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    namespace,
			GenerateName: "audit-",
			Labels:       map[string]string{"shard": "a"},
		},
		Spec: v1alpha1.LogFileValidationSpec{
			TrailARN:     "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit",
			S3BucketName: "example-audit-logs",
		},
	}
}

// broken is a way to break a rule.
type broken struct {
	rule    string
	message string
	// Either of them makes the change.
	trail      func(*v1alpha1.Trail)
	validation func(*v1alpha1.LogFileValidation)
	// changed says that the rule is about changes, so that a new object cannot break it.
	changed bool
}

// new returns an object that keeps all rules.
func (b broken) new(namespace string) client.Object {
	if b.trail != nil {
		return trail(namespace)
	}
	return validation(namespace)
}

func (b broken) apply(object client.Object) {
	switch object := object.(type) {
	case *v1alpha1.Trail:
		b.trail(object)
	case *v1alpha1.LogFileValidation:
		b.validation(object)
	}
}

// spec breaks a rule by the spec of a Trail.
func spec(change func(*v1alpha1.TrailSpec)) func(*v1alpha1.Trail) {
	return func(t *v1alpha1.Trail) { change(&t.Spec) }
}

// validationSpec breaks a rule by the spec of a LogFileValidation.
func validationSpec(change func(*v1alpha1.LogFileValidationSpec)) func(*v1alpha1.LogFileValidation) {
	return func(v *v1alpha1.LogFileValidation) { change(&v.Spec) }
}

// ways are all ways in which the tests break rules, by what they do.
var ways = map[string]broken{
	"one region": {
		rule: "multi-region", message: "spec.isMultiRegionTrail must be true",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.IsMultiRegionTrail = new(false) }),
	},
	"no word of regions": {
		rule: "multi-region", message: "(Security Hub CloudTrail.1, CIS 5.0 3.1)",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.IsMultiRegionTrail = nil }),
	},
	"write events only": {
		rule: "management-events", message: "spec.eventSelectors or spec.advancedEventSelectors must take all",
		trail: spec(func(s *v1alpha1.TrailSpec) {
			s.EventSelectors = []v1alpha1.EventSelector{{ReadWriteType: v1alpha1.WriteOnly}}
		}),
	},
	"no digests": {
		rule: "log-file-validation", message: "spec.enableLogFileValidation must be true",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.EnableLogFileValidation = new(false) }),
	},
	"no key": {
		rule: "kms", message: "spec.kmsKeyID must name the KMS key",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "" }),
	},
	"no CloudWatch Logs": {
		rule: "cloudwatch-logs", message: "spec.cloudWatchLogsLogGroupARN and spec.cloudWatchLogsRoleARN must be set",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.CloudWatchLogsLogGroupARN, s.CloudWatchLogsRoleARN = "", "" }),
	},
	"deletion in AWS": {
		rule: "deletion-policy", message: "spec.deletionPolicy must be Retain",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.DeletionPolicy = "" }),
	},
	"a day between two looks": {
		rule: "interval", message: "spec.interval must be at most 1h, but is 24h",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.Interval = &metav1.Duration{Duration: 24 * time.Hour} }),
	},
	"a tag too few": {
		rule: "required-tags", message: "spec.tags must have cost-center (Security Hub CloudTrail.9)",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.Tags = s.Tags[:1] }),
	},
	"a bucket of somebody else": {
		rule: "allowed-buckets", message: "spec.s3BucketName must be one of example-audit-logs, but is example-audit-logs2",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.S3BucketName = "example-audit-logs2" }),
	},
	"a key of somebody else": {
		rule: "allowed-keys", message: "but is arn:aws:kms:eu-central-1:444455556666:key/1",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "arn:aws:kms:eu-central-1:444455556666:key/1" }),
	},
	"an identity of somebody else": {
		rule: "allowed-identities", message: "spec.identityRef.name must be one of default, member-*, but is other",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.IdentityRef = &v1alpha1.IdentityReference{Name: "other"} }),
	},
	"no logging": {
		rule: "logging", message: "spec.logging must not be false",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.Logging = new(false) }),
	},
	"suspension": {
		rule: "suspend", message: "spec.suspend must not be true",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.Suspend = new(true) }),
	},
	"a takeover": {
		rule: "adoption-policy", message: "spec.adoptionPolicy Always takes over trails of other owners",
		trail: spec(func(s *v1alpha1.TrailSpec) { s.AdoptionPolicy = v1alpha1.AdoptionPolicyAlways }),
	},
	"observation only": {
		rule: "management-policy", message: "spec.managementPolicy must not become Observe", changed: true,
		trail: spec(func(s *v1alpha1.TrailSpec) { s.ManagementPolicy = v1alpha1.ManagementPolicyObserve }),
	},
	"fewer regions": {
		rule: "coverage", message: "change back spec.isMultiRegionTrail, spec.includeGlobalServiceEvents, or ask one",
		changed: true,
		trail: spec(func(s *v1alpha1.TrailSpec) {
			s.IsMultiRegionTrail, s.IncludeGlobalServiceEvents = nil, new(false)
		}),
	},
	"fewer accounts": {
		rule: "coverage", message: "change back spec.isOrganizationTrail", changed: true,
		trail: spec(func(s *v1alpha1.TrailSpec) { s.IsOrganizationTrail = nil }),
	},
	"no more digests": {
		rule: "coverage", message: "change back spec.enableLogFileValidation", changed: true,
		trail: spec(func(s *v1alpha1.TrailSpec) { s.EnableLogFileValidation = nil }),
	},
	"other events": {
		rule: "coverage", message: "change back spec.eventSelectors", changed: true,
		trail: spec(func(s *v1alpha1.TrailSpec) { s.EventSelectors = []v1alpha1.EventSelector{{}} }),
	},
	"other events, advanced": {
		rule: "coverage", message: "change back spec.advancedEventSelectors", changed: true,
		trail: spec(func(s *v1alpha1.TrailSpec) {
			s.AdvancedEventSelectors = []v1alpha1.AdvancedEventSelector{{FieldSelectors: []v1alpha1.AdvancedFieldSelector{
				{Field: "eventCategory", Equals: []string{"Management"}},
			}}}
		}),
	},
	"another bucket and prefix": {
		rule: "destination", message: "change back spec.s3BucketName, spec.s3KeyPrefix, or ask one", changed: true,
		trail: spec(func(s *v1alpha1.TrailSpec) { s.S3BucketName, s.S3KeyPrefix = "nobody-reads-this", "there" }),
	},
	"another key": {
		rule: "destination", message: "change back spec.kmsKeyID", changed: true,
		trail: spec(func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "alias/other" }),
	},
	"another topic": {
		rule: "destination", message: "change back spec.snsTopicName", changed: true,
		trail: spec(func(s *v1alpha1.TrailSpec) { s.SNSTopicName = "other" }),
	},
	"no more CloudWatch Logs": {
		rule: "destination", changed: true,
		message: "change back spec.cloudWatchLogsLogGroupARN, spec.cloudWatchLogsRoleARN",
		trail:   spec(func(s *v1alpha1.TrailSpec) { s.CloudWatchLogsLogGroupARN, s.CloudWatchLogsRoleARN = "", "" }),
	},
	"another identity": {
		rule: "destination", message: "change back spec.identityRef", changed: true,
		trail: spec(func(s *v1alpha1.TrailSpec) { s.IdentityRef = &v1alpha1.IdentityReference{Name: "member-b"} }),
	},
	"another operator": {
		rule: "protected-labels", message: "change back shard, or ask one", changed: true,
		trail: func(t *v1alpha1.Trail) { t.Labels["shard"] = "nobody" },
	},
	"no operator": {
		rule: "protected-labels", message: "change back shard, or ask one", changed: true,
		validation: func(v *v1alpha1.LogFileValidation) { v.Labels = nil },
	},
	"a validation suspended": {
		rule: "validation-changes", message: "change back spec.suspend", changed: true,
		validation: validationSpec(func(s *v1alpha1.LogFileValidationSpec) { s.Suspend = new(true) }),
	},
	"a validation from later on": {
		rule: "validation-changes", message: "change back spec.startTime", changed: true,
		validation: validationSpec(func(s *v1alpha1.LogFileValidationSpec) { s.StartTime = "2026-01-02T03:04:05Z" }),
	},
	"a validation of another bucket": {
		rule:    "validation-changes",
		message: "change back spec.s3BucketName, spec.s3KeyPrefix",
		changed: true,
		validation: validationSpec(
			func(s *v1alpha1.LogFileValidationSpec) { s.S3BucketName, s.S3KeyPrefix = "clean", "there" },
		),
	},
	"a validation by another identity": {
		rule: "validation-changes", message: "change back spec.identityRef", changed: true,
		validation: validationSpec(func(s *v1alpha1.LogFileValidationSpec) {
			s.IdentityRef = &v1alpha1.IdentityReference{Name: "other"}
		}),
	},
	"a validation of fewer accounts, less thorough, less often": {
		rule: "validation-changes", changed: true,
		message: "change back spec.organization, spec.samplePercent, spec.mode, spec.interval",
		validation: validationSpec(func(s *v1alpha1.LogFileValidationSpec) {
			s.Organization, s.Mode, s.SamplePercent = new(true), "Sample", new(int32(1))
			s.Interval = &metav1.Duration{Duration: 24 * time.Hour}
		}),
	},
}

// attempt tries what breaks a rule, without effect: a change of the object that is stored, or a new one.
func (b broken) attempt(
	ctx context.Context,
	c client.Client,
	stored client.Object,
	options ...client.UpdateOption,
) error {
	object := copyOf(stored)
	b.apply(object)
	return c.Update(ctx, object, append(options, client.DryRunAll)...)
}
