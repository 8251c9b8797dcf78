package trail

import (
	"errors"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

var (
	someSelectors    = []v1alpha1.EventSelector{{ReadWriteType: v1alpha1.WriteOnly}}
	someAdvanced     = []v1alpha1.AdvancedEventSelector{{FieldSelectors: []v1alpha1.AdvancedFieldSelector{{Field: "eventCategory", Equals: []string{"Data"}}, {Field: "resources.type", Equals: []string{"AWS::S3::Object"}}}}}
	someInsights     = []v1alpha1.InsightSelector{{InsightType: "ApiCallRateInsight"}}
	someAggregations = []v1alpha1.AggregationConfiguration{{EventCategory: "Data", Templates: []v1alpha1.AggregationTemplate{"API_ACTIVITY"}}}
)

const (
	testGroup = "arn:aws:logs:eu-central-1:111122223333:log-group:trail"
	testRole  = "arn:aws:iam::111122223333:role/trail-logs"
)

// testTrail is an object after its spec was edited.
func testTrail(edit func(*v1alpha1.Trail)) *v1alpha1.Trail {
	trail := &v1alpha1.Trail{
		ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "audit", Generation: 3},
		Spec:       v1alpha1.TrailSpec{S3BucketName: "logs"},
	}
	if edit != nil {
		edit(trail)
	}
	return trail
}

// fullTrail has every field of the spec set to something that is not its default.
func fullTrail(edit func(*v1alpha1.Trail)) *v1alpha1.Trail {
	return testTrail(func(trail *v1alpha1.Trail) {
		trail.Spec = v1alpha1.TrailSpec{
			S3BucketName: "logs", S3KeyPrefix: "prefix", SNSTopicName: "topic", KMSKeyID: testKeyID,
			CloudWatchLogsLogGroupARN: testGroup, CloudWatchLogsRoleARN: testRole, IncludeGlobalServiceEvents: aws.Bool(true),
			IsMultiRegionTrail: aws.Bool(true), EnableLogFileValidation: aws.Bool(true), IsOrganizationTrail: aws.Bool(true),
			AdvancedEventSelectors: someAdvanced, InsightSelectors: someInsights, AggregationConfigurations: someAggregations,
			Tags: []v1alpha1.Tag{{Key: "team", Value: "security"}, {Key: "env", Value: "prod"}},
		}
		trail.Status.ManagedTagKeys = []string{"env", "team"}
		if edit != nil {
			edit(trail)
		}
	})
}

// holding is an observation of an AWS that holds just what the spec says, in AWS's words, after it was edited.
func holding(trail *v1alpha1.Trail, edit func(*observation)) *observation {
	spec := &trail.Spec
	o := &observation{
		trail: &cloudtrail.Trail{
			ARN: cloudtrail.TrailARN(testRegion, testAccount, trail.TrailName()), Name: trail.TrailName(), HomeRegion: testRegion,
			Settings: cloudtrail.Settings{
				S3BucketName: spec.S3BucketName, S3KeyPrefix: spec.S3KeyPrefix, SNSTopicARN: cloudtrail.TopicARN(testRegion, testAccount, spec.SNSTopicName),
				CloudWatchLogsRoleARN: spec.CloudWatchLogsRoleARN, IncludeGlobalServiceEvents: spec.GlobalServiceEventsDesired(),
				IsMultiRegionTrail: spec.MultiRegionDesired(), EnableLogFileValidation: spec.LogFileValidationDesired(), IsOrganizationTrail: spec.OrganizationDesired(),
			},
			Tags: wantedTags(trail, testOwner),
		},
		selectors: wantedSelectors(spec), insights: spec.InsightSelectors, aggregations: spec.AggregationConfigurations,
		status: cloudtrail.Status{IsLogging: spec.LoggingDesired()},
	}
	if spec.KMSKeyID != "" {
		o.trail.KMSKeyARN = testKeyARN
	}
	if spec.CloudWatchLogsLogGroupARN != "" {
		o.trail.CloudWatchLogsLogGroupARN = testGroup + ":*"
	}
	if edit != nil {
		edit(o)
	}
	return o
}

func planOf(trail *v1alpha1.Trail, o *observation) []step {
	return plan(trail, o, testAccount, testRegion, testOwner)
}

// TestPlanOfOneField changes and clears each field, in the spec and in AWS.
func TestPlanOfOneField(t *testing.T) {
	t.Parallel()
	update := func(change cloudtrail.Change, fields ...string) []step {
		return []step{{operation: updateTrail, fields: fields, change: change}}
	}
	put := func(operation, field string) []step {
		return []step{{operation: operation, fields: []string{field}}}
	}
	none, off := aws.String(""), aws.Bool(false)
	for name, c := range map[string]struct {
		spec  func(*v1alpha1.TrailSpec) // What a user changes; AWS holds the full trail.
		steps []step
	}{
		"s3BucketName":                          {func(s *v1alpha1.TrailSpec) { s.S3BucketName = "other" }, update(cloudtrail.Change{S3BucketName: aws.String("other")}, "s3BucketName")},
		"s3KeyPrefix":                           {func(s *v1alpha1.TrailSpec) { s.S3KeyPrefix = "other" }, update(cloudtrail.Change{S3KeyPrefix: aws.String("other")}, "s3KeyPrefix")},
		"s3KeyPrefix cleared":                   {func(s *v1alpha1.TrailSpec) { s.S3KeyPrefix = "" }, update(cloudtrail.Change{S3KeyPrefix: none}, "s3KeyPrefix")},
		"snsTopicName":                          {func(s *v1alpha1.TrailSpec) { s.SNSTopicName = "other" }, update(cloudtrail.Change{SNSTopicName: aws.String("other")}, "snsTopicName")},
		"snsTopicName by ARN":                   {func(s *v1alpha1.TrailSpec) { s.SNSTopicName = "arn:aws:sns:eu-central-1:111122223333:topic" }, nil},
		"snsTopicName of another account":       {func(s *v1alpha1.TrailSpec) { s.SNSTopicName = "arn:aws:sns:eu-central-1:444455556666:topic" }, update(cloudtrail.Change{SNSTopicName: aws.String("arn:aws:sns:eu-central-1:444455556666:topic")}, "snsTopicName")},
		"snsTopicName cleared":                  {func(s *v1alpha1.TrailSpec) { s.SNSTopicName = "" }, update(cloudtrail.Change{SNSTopicName: none}, "snsTopicName")},
		"kmsKeyID":                              {func(s *v1alpha1.TrailSpec) { s.KMSKeyID = otherKeyARN }, update(cloudtrail.Change{KMSKeyID: aws.String(otherKeyARN)}, "kmsKeyID")},
		"kmsKeyID by ARN":                       {func(s *v1alpha1.TrailSpec) { s.KMSKeyID = testKeyARN }, nil},
		"kmsKeyID by alias":                     {func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "alias/trail" }, update(cloudtrail.Change{KMSKeyID: aws.String("alias/trail")}, "kmsKeyID")},
		"kmsKeyID cleared":                      {func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "" }, update(cloudtrail.Change{KMSKeyID: none}, "kmsKeyID")},
		"log group":                             {func(s *v1alpha1.TrailSpec) { s.CloudWatchLogsLogGroupARN = testGroup + "2" }, update(cloudtrail.Change{CloudWatchLogsLogGroupARN: aws.String(testGroup + "2"), CloudWatchLogsRoleARN: aws.String(testRole)}, "cloudWatchLogsLogGroupARN")},
		"log group with its ending":             {func(s *v1alpha1.TrailSpec) { s.CloudWatchLogsLogGroupARN = testGroup + ":*" }, nil},
		"log role":                              {func(s *v1alpha1.TrailSpec) { s.CloudWatchLogsRoleARN = testRole + "2" }, update(cloudtrail.Change{CloudWatchLogsLogGroupARN: aws.String(testGroup), CloudWatchLogsRoleARN: aws.String(testRole + "2")}, "cloudWatchLogsRoleARN")},
		"log group and role cleared":            {func(s *v1alpha1.TrailSpec) { s.CloudWatchLogsLogGroupARN, s.CloudWatchLogsRoleARN = "", "" }, update(cloudtrail.Change{CloudWatchLogsLogGroupARN: none, CloudWatchLogsRoleARN: none}, "cloudWatchLogsLogGroupARN", "cloudWatchLogsRoleARN")},
		"includeGlobalServiceEvents":            {func(s *v1alpha1.TrailSpec) { s.IncludeGlobalServiceEvents = off }, update(cloudtrail.Change{IncludeGlobalServiceEvents: off}, "includeGlobalServiceEvents")},
		"includeGlobalServiceEvents by default": {func(s *v1alpha1.TrailSpec) { s.IncludeGlobalServiceEvents = nil }, nil},
		"isMultiRegionTrail cleared":            {func(s *v1alpha1.TrailSpec) { s.IsMultiRegionTrail = nil }, update(cloudtrail.Change{IsMultiRegionTrail: off}, "isMultiRegionTrail")},
		"enableLogFileValidation cleared":       {func(s *v1alpha1.TrailSpec) { s.EnableLogFileValidation = nil }, update(cloudtrail.Change{EnableLogFileValidation: off}, "enableLogFileValidation")},
		"isOrganizationTrail cleared":           {func(s *v1alpha1.TrailSpec) { s.IsOrganizationTrail = nil }, update(cloudtrail.Change{IsOrganizationTrail: off}, "isOrganizationTrail")},
		"logging":                               {func(s *v1alpha1.TrailSpec) { s.Logging = off }, put(stopLogging, "logging")},
		"logging by default":                    {func(s *v1alpha1.TrailSpec) { s.Logging = aws.Bool(true) }, nil},
		"from advanced to basic selectors":      {func(s *v1alpha1.TrailSpec) { s.AdvancedEventSelectors, s.EventSelectors = nil, someSelectors }, put(putEventSelectors, "eventSelectors")},
		"advancedEventSelectors cleared":        {func(s *v1alpha1.TrailSpec) { s.AdvancedEventSelectors = nil }, put(putEventSelectors, "advancedEventSelectors")},
		"advancedEventSelectors": {func(s *v1alpha1.TrailSpec) {
			s.AdvancedEventSelectors = append(slices.Clone(someAdvanced), fields("", equals("eventCategory", "Management")))
		}, put(putEventSelectors, "advancedEventSelectors")},
		"insightSelectors": {func(s *v1alpha1.TrailSpec) {
			s.InsightSelectors = []v1alpha1.InsightSelector{{InsightType: "ApiErrorRateInsight"}}
		}, put(putInsightSelectors, "insightSelectors")},
		"insightSelectors cleared":          {func(s *v1alpha1.TrailSpec) { s.InsightSelectors = nil }, put(putInsightSelectors, "insightSelectors")},
		"aggregationConfigurations cleared": {func(s *v1alpha1.TrailSpec) { s.AggregationConfigurations = nil }, put(putEventConfiguration, "aggregationConfigurations")},
		"how it is handled": {func(s *v1alpha1.TrailSpec) {
			s.Interval, s.DeletionPolicy, s.AdoptionPolicy = &metav1.Duration{}, v1alpha1.DeletionPolicyRetain, v1alpha1.AdoptionPolicyAlways
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			before := fullTrail(nil)
			after := fullTrail(func(trail *v1alpha1.Trail) { c.spec(&trail.Spec) })
			g.Expect(planOf(before, holding(before, nil))).To(BeEmpty(), "AWS holds what the spec says")
			g.Expect(planOf(after, holding(before, nil))).To(Equal(c.steps))
		})
	}
}

// TestPlanOfDrift changes AWS.
func TestPlanOfDrift(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trail *v1alpha1.Trail
		drift func(*observation)
		steps string
	}{
		"stopped":          {fullTrail(nil), func(o *observation) { o.status.IsLogging = false }, "StartLogging"},
		"started":          {fullTrail(func(trail *v1alpha1.Trail) { trail.Spec.Logging = aws.Bool(false) }), func(o *observation) { o.status.IsLogging = true }, "StopLogging"},
		"deleted":          {testTrail(nil), func(o *observation) { o.trail = nil }, "CreateTrail, StartLogging"},
		"several settings": {fullTrail(nil), func(o *observation) { o.trail.S3KeyPrefix, o.trail.IsMultiRegionTrail = "intruder", false }, "UpdateTrail{s3KeyPrefix, isMultiRegionTrail}"},
		"a prefix":         {testTrail(nil), func(o *observation) { o.trail.S3KeyPrefix = "intruder" }, "UpdateTrail{s3KeyPrefix}"},
		"a key by alias": {testTrail(func(trail *v1alpha1.Trail) {
			trail.Spec.KMSKeyID, trail.Status.KMSKeyID, trail.Status.KMSKeyARN = "alias/trail", "alias/trail", testKeyARN
		}), func(o *observation) { o.trail.KMSKeyARN = otherKeyARN }, "UpdateTrail{kmsKeyID}"},
		"a log group": {testTrail(nil), func(o *observation) {
			o.trail.CloudWatchLogsLogGroupARN, o.trail.CloudWatchLogsRoleARN = testGroup+":*", testRole
		}, "UpdateTrail{cloudWatchLogsLogGroupARN, cloudWatchLogsRoleARN}"},
		"selectors":               {testTrail(nil), func(o *observation) { o.selectors = basic(someSelectors...) }, "PutEventSelectors"},
		"selectors, back to none": {fullTrail(nil), func(o *observation) { o.selectors = basic() }, "PutEventSelectors"},
		"insights":                {testTrail(nil), func(o *observation) { o.insights = someInsights }, "PutInsightSelectors"},
		"aggregation":             {testTrail(nil), func(o *observation) { o.aggregations = someAggregations }, "PutEventConfiguration"},
		"everything": {fullTrail(nil), func(o *observation) {
			*o = observation{trail: &cloudtrail.Trail{HomeRegion: testRegion, Tags: map[string]string{v1alpha1.OwnerTagKey: testOwner}}}
		}, "AddTags{env, team}, StartLogging, UpdateTrail{s3BucketName, s3KeyPrefix, snsTopicName, kmsKeyID, cloudWatchLogsLogGroupARN, cloudWatchLogsRoleARN, " +
			"includeGlobalServiceEvents, isMultiRegionTrail, enableLogFileValidation, isOrganizationTrail}, PutEventSelectors, PutInsightSelectors, PutEventConfiguration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			g.Expect(describe(planOf(c.trail, holding(c.trail, c.drift)))).To(Equal(c.steps))
			g.Expect(planOf(c.trail, holding(c.trail, nil))).To(BeEmpty())
		})
	}
}

// TestPlanOrder holds the order in which AWS accepts the steps.
func TestPlanOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trail *v1alpha1.Trail
		has   *observation
		steps string
	}{
		"aggregation ends before its data events": {
			testTrail(nil), holding(fullTrail(nil), func(o *observation) { o.trail.Settings, o.insights = holding(testTrail(nil), nil).trail.Settings, nil }),
			"PutEventConfiguration, PutEventSelectors",
		},
		"aggregation begins after its data events": {
			testTrail(func(trail *v1alpha1.Trail) {
				trail.Spec.AdvancedEventSelectors, trail.Spec.AggregationConfigurations = someAdvanced, someAggregations
			}), holding(testTrail(nil), nil),
			"PutEventSelectors, PutEventConfiguration",
		},
		"insights follow the selectors": {
			testTrail(func(trail *v1alpha1.Trail) {
				trail.Spec.EventSelectors, trail.Spec.InsightSelectors = someSelectors, someInsights
			}), holding(testTrail(nil), nil),
			"PutEventSelectors, PutInsightSelectors",
		},
		"a stopped trail is started before what AWS may refuse": {
			fullTrail(nil), holding(fullTrail(nil), func(o *observation) { o.status.IsLogging, o.trail.S3BucketName, o.selectors = false, "other", basic() }),
			"StartLogging, UpdateTrail{s3BucketName}, PutEventSelectors",
		},
		"a trail is ours before anything else is done to it": {
			fullTrail(nil), holding(fullTrail(nil), func(o *observation) {
				o.status.IsLogging = false
				delete(o.trail.Tags, v1alpha1.OwnerTagKey)
			}),
			"AddTags{trail-operator.dev/owner}, StartLogging",
		},
		"tags go before tags come: there are fifty places": {
			fullTrail(func(trail *v1alpha1.Trail) { trail.Spec.Tags = []v1alpha1.Tag{{Key: "new"}} }), holding(fullTrail(nil), nil),
			"RemoveTags{env, team}, AddTags{new}",
		},
		"but not before the trail is ours": {
			fullTrail(func(trail *v1alpha1.Trail) { trail.Spec.Tags = nil }), holding(fullTrail(nil), func(o *observation) { o.trail.Tags[v1alpha1.OwnerTagKey] = "another" }),
			"AddTags{trail-operator.dev/owner}, RemoveTags{env, team}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(describe(planOf(c.trail, c.has))).To(Equal(c.steps))
		})
	}
}

func TestPlanOfTags(t *testing.T) {
	t.Parallel()
	type tags = map[string]string
	withOwner := func(t tags) tags {
		t[v1alpha1.OwnerTagKey] = testOwner
		return t
	}
	for name, c := range map[string]struct {
		spec    []v1alpha1.Tag
		managed []string
		has     tags
		policy  v1alpha1.ManagementPolicy
		err     error
		add     tags
		remove  []string
	}{
		"all there":                          {spec: []v1alpha1.Tag{{Key: "a", Value: "1"}}, managed: []string{"a"}, has: withOwner(tags{"a": "1"})},
		"one missing":                        {spec: []v1alpha1.Tag{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}, managed: []string{"a", "b"}, has: withOwner(tags{"a": "1"}), add: tags{"b": "2"}},
		"an empty one missing":               {spec: []v1alpha1.Tag{{Key: "a"}}, has: withOwner(tags{}), add: tags{"a": ""}},
		"an empty one there":                 {spec: []v1alpha1.Tag{{Key: "a"}}, has: withOwner(tags{"a": ""})},
		"another value":                      {spec: []v1alpha1.Tag{{Key: "a", Value: "1"}}, has: withOwner(tags{"a": "2"}), add: tags{"a": "1"}},
		"others' are left alone":             {has: withOwner(tags{"theirs": "1"})},
		"others' are left alone, ours go":    {managed: []string{"a", "b"}, has: withOwner(tags{"theirs": "1", "a": "1", "b": "2"}), remove: []string{"a", "b"}},
		"ours went already":                  {managed: []string{"a"}, has: withOwner(tags{"theirs": "1"})},
		"no owner":                           {has: tags{}, add: withOwner(tags{})},
		"another owner":                      {has: tags{v1alpha1.OwnerTagKey: "another"}, add: withOwner(tags{})},
		"the owner is not removed":           {managed: []string{v1alpha1.OwnerTagKey}, has: withOwner(tags{})},
		"unknown":                            {spec: []v1alpha1.Tag{{Key: "a", Value: "1"}}, managed: []string{"b"}, err: errors.New("no")},
		"an observer owns nothing":           {policy: v1alpha1.ManagementPolicyObserve, has: tags{}},
		"an observer sees another owner":     {policy: v1alpha1.ManagementPolicyObserve, has: tags{v1alpha1.OwnerTagKey: "another"}},
		"an observer sees what is missing":   {policy: v1alpha1.ManagementPolicyObserve, spec: []v1alpha1.Tag{{Key: "a", Value: "1"}}, has: tags{}, add: tags{"a": "1"}},
		"an observer does not mind the rest": {policy: v1alpha1.ManagementPolicyObserve, has: tags{"theirs": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := testTrail(func(trail *v1alpha1.Trail) {
				trail.Spec.Tags, trail.Spec.ManagementPolicy, trail.Status.ManagedTagKeys = c.spec, c.policy, c.managed
			})
			var want []step
			if c.remove != nil {
				want = append(want, step{operation: removeTags, fields: []string{"tags"}, keys: c.remove})
			}
			if c.add != nil {
				want = append(want, step{operation: addTags, fields: []string{"tags"}, tags: c.add})
			}
			g.Expect(planOf(trail, holding(trail, func(o *observation) { o.trail.Tags, o.trail.TagsErr = c.has, c.err }))).To(Equal(want))
		})
	}
}

func TestPlanOfCreation(t *testing.T) {
	t.Parallel()
	owned := map[string]string{v1alpha1.OwnerTagKey: testOwner}
	creation := func(tags map[string]string) step {
		return step{operation: createTrail, fields: []string{"trail"}, tags: tags}
	}
	start := step{operation: startLogging, fields: []string{"logging"}}
	for name, c := range map[string]struct {
		trail *v1alpha1.Trail
		steps []step
	}{
		"as little as can be":   {testTrail(nil), []step{creation(owned), start}},
		"that does not log":     {testTrail(func(trail *v1alpha1.Trail) { trail.Spec.Logging = aws.Bool(false) }), []step{creation(owned)}},
		"the default selector":  {testTrail(func(trail *v1alpha1.Trail) { trail.Spec.EventSelectors = []v1alpha1.EventSelector{{}} }), []step{creation(owned), start}},
		"with basic selectors":  {testTrail(func(trail *v1alpha1.Trail) { trail.Spec.EventSelectors = someSelectors }), []step{creation(owned), {operation: putEventSelectors, fields: []string{"eventSelectors"}}, start}},
		"what was ours is gone": {testTrail(func(trail *v1alpha1.Trail) { trail.Status.ManagedTagKeys = []string{"old"} }), []step{creation(owned), start}},
		"with everything": {fullTrail(nil), []step{
			creation(map[string]string{v1alpha1.OwnerTagKey: testOwner, "team": "security", "env": "prod"}),
			{operation: putEventSelectors, fields: []string{"advancedEventSelectors"}},
			{operation: putInsightSelectors, fields: []string{"insightSelectors"}},
			{operation: putEventConfiguration, fields: []string{"aggregationConfigurations"}, aggregations: someAggregations},
			start,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(planOf(c.trail, &observation{})).To(Equal(c.steps))
		})
	}
}

func TestFieldsOfSteps(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	g.Expect(fieldsOf(nil)).To(BeEmpty())
	g.Expect(fieldsOf([]step{{fields: []string{"tags"}}, {fields: []string{"s3KeyPrefix", "logging"}}, {fields: []string{"tags"}}})).To(Equal([]string{"logging", "s3KeyPrefix", "tags"}))
	g.Expect(describe(nil)).To(BeEmpty())
}
