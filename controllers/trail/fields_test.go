package trail_test

import (
	"context"
	"encoding/json"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

const (
	topicARN = "arn:aws:sns:us-east-1:111122223333:trail-topic"
	keyARN   = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555"
	otherKey = "arn:aws:kms:us-east-1:111122223333:key/99999999-2222-3333-4444-555555555555"
	logGroup = "arn:aws:logs:us-east-1:111122223333:log-group:trail:*"
	logRole  = "arn:aws:iam::111122223333:role/trail-logs"
)

// fieldCase takes one field of the spec through its life: set at creation, changed, cleared, and changed by somebody
// else.
type fieldCase struct {
	set, change, clear func(*v1alpha1.TrailSpec)
	// drift is what somebody else does, as operation and parameters; the operator must undo it.
	drift  string
	params map[string]any
	// field is what status.lastDrift must name.
	field string
}

func truthy() *bool { return aws.Bool(true) }
func falsy() *bool  { return aws.Bool(false) }

var managementOnly = v1alpha1.AdvancedFieldSelector{Field: "eventCategory", Equals: []string{"Management"}}

var fieldCases = map[string]fieldCase{
	"s3BucketName": {
		set:    func(s *v1alpha1.TrailSpec) { s.S3BucketName = "one-bucket" },
		change: func(s *v1alpha1.TrailSpec) { s.S3BucketName = "other-bucket" },
		clear:  func(s *v1alpha1.TrailSpec) { s.S3BucketName = "one-bucket" },
		drift:  "UpdateTrail", params: map[string]any{"S3BucketName": "intruders-bucket"}, field: "s3BucketName",
	},
	"s3KeyPrefix": {
		set:    func(s *v1alpha1.TrailSpec) { s.S3KeyPrefix = "audit" },
		change: func(s *v1alpha1.TrailSpec) { s.S3KeyPrefix = "audit/2026" },
		clear:  func(s *v1alpha1.TrailSpec) { s.S3KeyPrefix = "" },
		drift:  "UpdateTrail", params: map[string]any{"S3KeyPrefix": "hidden"}, field: "s3KeyPrefix",
	},
	"snsTopicName by name": {
		set:    func(s *v1alpha1.TrailSpec) { s.SNSTopicName = "trail-topic" },
		change: func(s *v1alpha1.TrailSpec) { s.SNSTopicName = "other-topic" },
		clear:  func(s *v1alpha1.TrailSpec) { s.SNSTopicName = "" },
		drift:  "UpdateTrail", params: map[string]any{"SnsTopicName": "intruders-topic"}, field: "snsTopicName",
	},
	"snsTopicName by ARN": {
		set:    func(s *v1alpha1.TrailSpec) { s.SNSTopicName = topicARN },
		change: func(s *v1alpha1.TrailSpec) { s.SNSTopicName = strings.Replace(topicARN, "trail", "other", 1) },
		clear:  func(s *v1alpha1.TrailSpec) { s.SNSTopicName = "" },
		drift:  "UpdateTrail", params: map[string]any{"SnsTopicName": "intruders-topic"}, field: "snsTopicName",
	},
	"kmsKeyID by ARN": {
		set:    func(s *v1alpha1.TrailSpec) { s.KMSKeyID = keyARN },
		change: func(s *v1alpha1.TrailSpec) { s.KMSKeyID = otherKey },
		clear:  func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "" },
		drift:  "UpdateTrail", params: map[string]any{"KmsKeyId": otherKey}, field: "kmsKeyID",
	},
	"kmsKeyID by id": {
		set:    func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "11111111-2222-3333-4444-555555555555" },
		change: func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "99999999-2222-3333-4444-555555555555" },
		clear:  func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "" },
		drift:  "UpdateTrail", params: map[string]any{"KmsKeyId": otherKey}, field: "kmsKeyID",
	},
	"kmsKeyID by alias": {
		set:    func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "alias/trail" },
		change: func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "arn:aws:kms:us-east-1:111122223333:alias/other" },
		clear:  func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "" },
		drift:  "UpdateTrail", params: map[string]any{"KmsKeyId": otherKey}, field: "kmsKeyID",
	},
	"cloudWatchLogs": {
		set: func(s *v1alpha1.TrailSpec) {
			s.CloudWatchLogsLogGroupARN, s.CloudWatchLogsRoleARN = logGroup, logRole
		},
		change: func(s *v1alpha1.TrailSpec) {
			s.CloudWatchLogsLogGroupARN = strings.Replace(logGroup, "trail", "other", 1)
			s.CloudWatchLogsRoleARN = strings.Replace(logRole, "trail", "other", 1)
		},
		clear:  func(s *v1alpha1.TrailSpec) { s.CloudWatchLogsLogGroupARN, s.CloudWatchLogsRoleARN = "", "" },
		drift:  "UpdateTrail",
		params: map[string]any{"CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": ""},
		field:  "cloudWatchLogsLogGroupARN",
	},
	"includeGlobalServiceEvents": {
		set:    func(s *v1alpha1.TrailSpec) { s.IncludeGlobalServiceEvents = falsy() },
		change: func(s *v1alpha1.TrailSpec) { s.IncludeGlobalServiceEvents = truthy() },
		clear:  func(s *v1alpha1.TrailSpec) { s.IncludeGlobalServiceEvents = nil },
		drift:  "UpdateTrail",
		params: map[string]any{"IncludeGlobalServiceEvents": true},
		field:  "includeGlobalServiceEvents",
	},
	"isMultiRegionTrail": {
		set:    func(s *v1alpha1.TrailSpec) { s.IsMultiRegionTrail = truthy() },
		change: func(s *v1alpha1.TrailSpec) { s.IsMultiRegionTrail = falsy() },
		clear:  func(s *v1alpha1.TrailSpec) { s.IsMultiRegionTrail = nil },
		drift:  "UpdateTrail", params: map[string]any{"IsMultiRegionTrail": false}, field: "isMultiRegionTrail",
	},
	"enableLogFileValidation": {
		set:    func(s *v1alpha1.TrailSpec) { s.EnableLogFileValidation = truthy() },
		change: func(s *v1alpha1.TrailSpec) { s.EnableLogFileValidation = falsy() },
		clear:  func(s *v1alpha1.TrailSpec) { s.EnableLogFileValidation = nil },
		drift:  "UpdateTrail", params: map[string]any{"EnableLogFileValidation": false}, field: "enableLogFileValidation",
	},
	"isOrganizationTrail": {
		set:    func(s *v1alpha1.TrailSpec) { s.IsOrganizationTrail = truthy() },
		change: func(s *v1alpha1.TrailSpec) { s.IsOrganizationTrail = falsy() },
		clear:  func(s *v1alpha1.TrailSpec) { s.IsOrganizationTrail = nil },
		drift:  "UpdateTrail", params: map[string]any{"IsOrganizationTrail": false}, field: "isOrganizationTrail",
	},
	"logging on": {
		set:    func(s *v1alpha1.TrailSpec) { s.Logging = truthy() },
		change: func(s *v1alpha1.TrailSpec) { s.Logging = falsy() },
		clear:  func(s *v1alpha1.TrailSpec) { s.Logging = nil },
		drift:  "StopLogging", field: "logging",
	},
	"logging off": {
		set:    func(s *v1alpha1.TrailSpec) { s.Logging = falsy() },
		change: func(s *v1alpha1.TrailSpec) { s.Logging = truthy() },
		clear:  func(s *v1alpha1.TrailSpec) { s.Logging = nil },
		drift:  "StartLogging", field: "logging",
	},
	"eventSelectors": {
		set: func(s *v1alpha1.TrailSpec) {
			s.EventSelectors = []v1alpha1.EventSelector{
				{
					ReadWriteType:                 v1alpha1.WriteOnly,
					IncludeManagementEvents:       truthy(),
					ExcludeManagementEventSources: []string{"kms.amazonaws.com"},
				},
			}
		},
		change: func(s *v1alpha1.TrailSpec) {
			s.EventSelectors = []v1alpha1.EventSelector{
				{ReadWriteType: v1alpha1.ReadWriteAll, IncludeManagementEvents: truthy()},
				{
					ReadWriteType:           v1alpha1.WriteOnly,
					IncludeManagementEvents: falsy(),
					DataResources: []v1alpha1.DataResource{
						{Type: "AWS::S3::Object", Values: []string{"arn:aws:s3:::one-bucket/", "arn:aws:s3:::other-bucket/"}},
					},
				},
			}
		},
		clear: func(s *v1alpha1.TrailSpec) { s.EventSelectors = nil },
		drift: "PutEventSelectors",
		params: map[string]any{
			"EventSelectors": []any{map[string]any{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": true}},
		},
		field: "eventSelectors",
	},
	"advancedEventSelectors": {
		set: func(s *v1alpha1.TrailSpec) {
			s.AdvancedEventSelectors = []v1alpha1.AdvancedEventSelector{
				{
					Name:           "writes",
					FieldSelectors: []v1alpha1.AdvancedFieldSelector{managementOnly, {Field: "readOnly", Equals: []string{"false"}}},
				},
			}
		},
		change: func(s *v1alpha1.TrailSpec) {
			s.AdvancedEventSelectors = []v1alpha1.AdvancedEventSelector{
				{Name: "all management", FieldSelectors: []v1alpha1.AdvancedFieldSelector{managementOnly}},
				{Name: "objects", FieldSelectors: []v1alpha1.AdvancedFieldSelector{
					{Field: "eventCategory", Equals: []string{"Data"}}, {Field: "resources.type", Equals: []string{"AWS::S3::Object"}},
					{Field: "resources.ARN", StartsWith: []string{"arn:aws:s3:::one-bucket/"}, NotEndsWith: []string{".tmp"}},
				}},
			}
		},
		clear: func(s *v1alpha1.TrailSpec) { s.AdvancedEventSelectors = nil },
		drift: "PutEventSelectors",
		params: map[string]any{
			"EventSelectors": []any{map[string]any{"ReadWriteType": "All", "IncludeManagementEvents": true}},
		},
		field: "advancedEventSelectors",
	},
	"from basic selectors to advanced": {
		set: func(s *v1alpha1.TrailSpec) {
			s.EventSelectors = []v1alpha1.EventSelector{{ReadWriteType: v1alpha1.ReadOnly, IncludeManagementEvents: truthy()}}
		},
		change: func(s *v1alpha1.TrailSpec) {
			s.EventSelectors = nil
			s.AdvancedEventSelectors = []v1alpha1.AdvancedEventSelector{
				{
					Name:           "reads",
					FieldSelectors: []v1alpha1.AdvancedFieldSelector{managementOnly, {Field: "readOnly", Equals: []string{"true"}}},
				},
			}
		},
		clear: func(s *v1alpha1.TrailSpec) { s.EventSelectors, s.AdvancedEventSelectors = nil, nil },
		drift: "PutEventSelectors",
		params: map[string]any{"AdvancedEventSelectors": []any{map[string]any{"Name": "nothing", "FieldSelectors": []any{
			map[string]any{
				"Field":  "eventCategory",
				"Equals": []any{"Management"},
			},
			map[string]any{"Field": "readOnly", "Equals": []any{"false"}},
		}}}},
		field: "eventSelectors",
	},
	"insightSelectors": {
		set: func(s *v1alpha1.TrailSpec) {
			s.InsightSelectors = []v1alpha1.InsightSelector{{InsightType: "ApiCallRateInsight"}}
		},
		change: func(s *v1alpha1.TrailSpec) {
			s.InsightSelectors = []v1alpha1.InsightSelector{
				{InsightType: "ApiErrorRateInsight", EventCategories: []v1alpha1.InsightEventCategory{"Management"}},
			}
		},
		clear: func(s *v1alpha1.TrailSpec) { s.InsightSelectors = nil },
		drift: "PutInsightSelectors", params: map[string]any{"InsightSelectors": []any{}}, field: "insightSelectors",
	},
	"aggregationConfigurations": {
		set: func(s *v1alpha1.TrailSpec) {
			s.AdvancedEventSelectors = dataEvents
			s.AggregationConfigurations = []v1alpha1.AggregationConfiguration{
				{EventCategory: "Data", Templates: []v1alpha1.AggregationTemplate{"API_ACTIVITY"}},
			}
		},
		change: func(s *v1alpha1.TrailSpec) {
			s.AdvancedEventSelectors = dataEvents
			s.AggregationConfigurations = []v1alpha1.AggregationConfiguration{
				{EventCategory: "Data", Templates: []v1alpha1.AggregationTemplate{"RESOURCE_ACCESS", "USER_ACTIONS"}},
			}
		},
		clear:  func(s *v1alpha1.TrailSpec) { s.AggregationConfigurations, s.AdvancedEventSelectors = nil, nil },
		drift:  "PutEventConfiguration",
		params: map[string]any{"AggregationConfigurations": []any{}},
		field:  "aggregationConfigurations",
	},
	"tags": {
		set: func(s *v1alpha1.TrailSpec) { s.Tags = []v1alpha1.Tag{{Key: "team", Value: "security"}, {Key: "empty"}} },
		change: func(s *v1alpha1.TrailSpec) {
			s.Tags = []v1alpha1.Tag{{Key: "team", Value: "audit"}, {Key: "stage", Value: "live"}}
		},
		clear:  func(s *v1alpha1.TrailSpec) { s.Tags = nil },
		drift:  "AddTags",
		params: map[string]any{"TagsList": []any{map[string]any{"Key": "team", "Value": "intruders"}}},
		field:  "tags",
	},
}

var dataEvents = []v1alpha1.AdvancedEventSelector{{Name: "objects", FieldSelectors: []v1alpha1.AdvancedFieldSelector{
	{Field: "eventCategory", Equals: []string{"Data"}}, {Field: "resources.type", Equals: []string{"AWS::S3::Object"}},
}}}

var _ = Describe("Every field of the spec", func() {
	for name, c := range fieldCases {
		It("is set, changed, cleared and repaired: "+name, func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			w.prepareResources()
			spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs"}

			By("setting it at creation")
			c.set(&spec)
			w.apply(ctx, "audit", spec)
			w.expectSettled(ctx, "audit", spec)

			By("drifting behind our back")
			params := map[string]any{nameParameter(c.drift): w.held("audit").ARN}
			maps.Copy(params, c.params)
			_, err := w.intruder().Do(region, c.drift, params)
			Expect(err).NotTo(HaveOccurred())
			found := w.expectSettled(ctx, "audit", spec)
			Expect(found.Status.LastDrift).NotTo(BeNil(), "the drift is told")
			Expect(found.Status.LastDrift.Fields).To(ContainElement(c.field))
			Expect(found.Status.LastDrift.RepairedTime).NotTo(BeNil())

			By("changing it")
			c.change(&spec)
			w.apply(ctx, "audit", spec)
			w.expectSettled(ctx, "audit", spec)

			By("clearing it")
			c.clear(&spec)
			w.apply(ctx, "audit", spec)
			w.expectSettled(ctx, "audit", spec)

			By("deleting the object")
			Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
			_, err = w.look(ctx, "audit")
			Expect(err).NotTo(HaveOccurred())
			Expect(w.AWS.Trails()).To(BeEmpty(), "nothing is left in AWS")
			w.expectGone(ctx, "audit")
		})
	}
})

// prepareResources registers what the cases need beyond names that just exist.
func (w *world) prepareResources() {
	w.AWS.SetOrganization(cloudtrailtest.Organization{ManagementAccount: account, ID: "o-1234567890"})
	w.AWS.PutKey(cloudtrailtest.Key{ARN: keyARN, Aliases: []string{"alias/trail"}})
	w.AWS.PutKey(cloudtrailtest.Key{ARN: otherKey, Aliases: []string{"alias/other"}})
}

// nameParameter is how an operation names its trail.
func nameParameter(operation string) string {
	switch operation {
	case "AddTags", "RemoveTags":
		return "ResourceId"
	case "PutEventSelectors", "PutInsightSelectors", "PutEventConfiguration":
		return "TrailName"
	default:
		return "Name"
	}
}

// expectSettled looks until AWS holds what the spec says: once. A second look must change nothing, neither in AWS nor
// at the API server.
func (w *world) expectSettled(ctx context.Context, name string, spec v1alpha1.TrailSpec) *v1alpha1.Trail {
	GinkgoHelper()
	found := w.settle(ctx, name)
	testbed.ExpectKstatus(found, status.CurrentStatus)
	Expect(meta.IsStatusConditionTrue(found.Status.Conditions, v1alpha1.ConditionReady)).
		To(BeTrue(), "conditions: %v", found.Status.Conditions)
	Expect(found.Status.ObservedGeneration).To(Equal(found.Generation))
	w.expectHeld(name, spec)

	w.AWS.ResetCalls()
	w.writes = 0
	again := w.settle(ctx, name)
	Expect(again.ResourceVersion).To(Equal(found.ResourceVersion), "a look that found nothing wrote to the API server")
	Expect(w.writes).To(BeZero(), "a look that found nothing wrote to the API server")
	Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty(), "a look that found nothing wrote to AWS")
	return found
}

// writesOf returns the operations that are not reads.
func writesOf(counts map[string]int) map[string]int {
	writes := map[string]int{}
	for operation, n := range counts {
		isRead := strings.HasPrefix(operation, "Get") || strings.HasPrefix(operation, "Describe") ||
			strings.HasPrefix(operation, "List")
		if !isRead && operation != "AssumeRole" {
			writes[operation] = n
		}
	}
	return writes
}

// expectHeld checks that AWS holds exactly what the spec says. It is written without the controller's own comparison.
func (w *world) expectHeld(name string, spec v1alpha1.TrailSpec) {
	GinkgoHelper()
	held := w.held(name)
	Expect(held.S3BucketName).To(Equal(spec.S3BucketName))
	Expect(held.S3KeyPrefix).To(Equal(spec.S3KeyPrefix))
	topic := spec.SNSTopicName
	if topic != "" && !strings.HasPrefix(topic, "arn:") {
		topic = "arn:aws:sns:us-east-1:" + account + ":" + topic
	}
	Expect(held.SnsTopicARN).To(Equal(topic))
	Expect(held.KmsKeyARN).To(Equal(map[string]string{
		"": "", keyARN: keyARN, otherKey: otherKey,
		"11111111-2222-3333-4444-555555555555": keyARN, "99999999-2222-3333-4444-555555555555": otherKey,
		"alias/trail": keyARN, "arn:aws:kms:us-east-1:111122223333:alias/other": otherKey,
	}[spec.KMSKeyID]))
	Expect(strings.TrimSuffix(held.CloudWatchLogsLogGroupARN, ":*")).
		To(Equal(strings.TrimSuffix(spec.CloudWatchLogsLogGroupARN, ":*")))
	Expect(held.CloudWatchLogsRoleARN).To(Equal(spec.CloudWatchLogsRoleARN))
	Expect(held.IncludeGlobalServiceEvents).
		To(Equal(spec.IncludeGlobalServiceEvents == nil || *spec.IncludeGlobalServiceEvents))
	Expect(held.IsMultiRegionTrail).To(Equal(aws.ToBool(spec.IsMultiRegionTrail)))
	Expect(held.EnableLogFileValidation).To(Equal(aws.ToBool(spec.EnableLogFileValidation)))
	Expect(held.IsOrganizationTrail).To(Equal(aws.ToBool(spec.IsOrganizationTrail)))
	Expect(held.IsLogging).To(Equal(spec.Logging == nil || *spec.Logging))

	tags := map[string]string{"trail-operator.dev/owner": clusterID + "/" + w.Namespace + "/" + name}
	for _, tag := range spec.Tags {
		tags[tag.Key] = tag.Value
	}
	Expect(held.Tags).To(Equal(tags))

	basic := held.EventSelectors
	if isDefault(basic) {
		basic = nil
	}
	Expect(asJSON(basic)).To(MatchJSON(asAWS(spec.EventSelectors)))
	Expect(asJSON(held.AdvancedEventSelectors)).To(MatchJSON(asAWS(spec.AdvancedEventSelectors)))
	Expect(asJSON(held.AggregationConfigurations)).To(MatchJSON(asAWS(spec.AggregationConfigurations)))
	var insights []string
	for _, s := range held.InsightSelectors {
		insights = append(insights, s.InsightType)
	}
	var wanted []string
	for _, s := range spec.InsightSelectors {
		wanted = append(wanted, string(s.InsightType))
	}
	Expect(insights).To(ConsistOf(wanted))
}

func isDefault(selectors []cloudtrailtest.EventSelector) bool {
	standard := []cloudtrailtest.EventSelector{{ReadWriteType: "All", IncludeManagementEvents: true}}
	return len(selectors) == 1 && asJSON(selectors) == asJSON(standard)
}

// asJSON returns a value as JSON without what is empty.
func asJSON(v any) string {
	GinkgoHelper()
	data, err := json.Marshal(v)
	Expect(err).NotTo(HaveOccurred())
	var tree any
	Expect(json.Unmarshal(data, &tree)).To(Succeed())
	return marshal(prune(tree, func(key string) string { return key }))
}

// asAWS returns a part of a spec as AWS's JSON: the same fields, with capitals.
func asAWS(v any) string {
	GinkgoHelper()
	data, err := json.Marshal(v)
	Expect(err).NotTo(HaveOccurred())
	var tree any
	Expect(json.Unmarshal(data, &tree)).To(Succeed())
	return marshal(prune(tree, func(key string) string { return strings.ToUpper(key[:1]) + key[1:] }))
}

func marshal(v any) string {
	GinkgoHelper()
	data, err := json.Marshal(v)
	Expect(err).NotTo(HaveOccurred())
	if string(data) == "null" {
		return "[]"
	}
	return string(data)
}

// prune drops what is empty and renames the keys.
func prune(v any, rename func(string) string) any {
	switch v := v.(type) {
	case map[string]any:
		pruned := map[string]any{}
		for key, value := range v {
			if value = prune(value, rename); value != nil && value != "" {
				pruned[rename(key)] = value
			}
		}
		return pruned
	case []any:
		var pruned []any
		for _, value := range v {
			pruned = append(pruned, prune(value, rename))
		}
		if pruned == nil {
			return nil
		}
		return pruned
	default:
		return v
	}
}
