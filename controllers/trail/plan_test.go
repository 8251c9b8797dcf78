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

// planned is what a step of a plan comes to.
type planned struct {
	operation string
	fields    []string
	change    cloudtrail.Change
	tags      map[string]string
	keys      []string
}

func plannedOf(steps []step) []planned {
	var all []planned
	for _, s := range steps {
		all = append(all, planned{s.operation, namesOf(s.sets), s.change, s.tags, s.keys})
	}
	return all
}

// TestPlanOfOneField changes and clears each field, in the spec and in AWS.
func TestPlanOfOneField(t *testing.T) {
	t.Parallel()
	const otherTopic = "arn:aws:sns:eu-central-1:444455556666:topic"
	update := func(change cloudtrail.Change, fields ...string) []planned {
		return []planned{{operation: updateTrail, fields: fields, change: change}}
	}
	put := func(operation, field string) []planned {
		return []planned{{operation: operation, fields: []string{field}}}
	}
	groupAndRole := func(group, role string) cloudtrail.Change {
		return cloudtrail.Change{CloudWatchLogsLogGroupARN: &group, CloudWatchLogsRoleARN: &role}
	}
	none, off, other := aws.String(""), aws.Bool(false), aws.String("other")
	for name, c := range map[string]struct {
		spec  func(*v1alpha1.TrailSpec) // What a user changes; AWS holds the full trail.
		steps []planned
	}{
		"s3BucketName": {
			func(s *v1alpha1.TrailSpec) { s.S3BucketName = "other" },
			update(cloudtrail.Change{S3BucketName: other}, "s3BucketName"),
		},
		"s3KeyPrefix": {
			func(s *v1alpha1.TrailSpec) { s.S3KeyPrefix = "other" },
			update(cloudtrail.Change{S3KeyPrefix: other}, "s3KeyPrefix"),
		},
		"s3KeyPrefix cleared": {
			func(s *v1alpha1.TrailSpec) { s.S3KeyPrefix = "" },
			update(cloudtrail.Change{S3KeyPrefix: none}, "s3KeyPrefix"),
		},
		"snsTopicName": {
			func(s *v1alpha1.TrailSpec) { s.SNSTopicName = "other" },
			update(cloudtrail.Change{SNSTopicName: other}, "snsTopicName"),
		},
		"snsTopicName by ARN": {
			func(s *v1alpha1.TrailSpec) { s.SNSTopicName = "arn:aws:sns:eu-central-1:111122223333:topic" }, nil,
		},
		"snsTopicName of another account": {
			func(s *v1alpha1.TrailSpec) { s.SNSTopicName = otherTopic },
			update(cloudtrail.Change{SNSTopicName: aws.String(otherTopic)}, "snsTopicName"),
		},
		"snsTopicName cleared": {
			func(s *v1alpha1.TrailSpec) { s.SNSTopicName = "" },
			update(cloudtrail.Change{SNSTopicName: none}, "snsTopicName"),
		},
		"kmsKeyID": {
			func(s *v1alpha1.TrailSpec) { s.KMSKeyID = otherKeyARN },
			update(cloudtrail.Change{KMSKeyID: aws.String(otherKeyARN)}, "kmsKeyID"),
		},
		"kmsKeyID by ARN": {func(s *v1alpha1.TrailSpec) { s.KMSKeyID = testKeyARN }, nil},
		"kmsKeyID by alias": {
			func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "alias/trail" },
			update(cloudtrail.Change{KMSKeyID: aws.String("alias/trail")}, "kmsKeyID"),
		},
		"kmsKeyID cleared": {
			func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "" },
			update(cloudtrail.Change{KMSKeyID: none}, "kmsKeyID"),
		},
		"log group": {
			func(s *v1alpha1.TrailSpec) { s.CloudWatchLogsLogGroupARN = testGroup + "2" },
			update(groupAndRole(testGroup+"2", testRole), "cloudWatchLogsLogGroupARN"),
		},
		"log group with its ending": {
			func(s *v1alpha1.TrailSpec) { s.CloudWatchLogsLogGroupARN = testGroup + ":*" }, nil,
		},
		"log role": {
			func(s *v1alpha1.TrailSpec) { s.CloudWatchLogsRoleARN = testRole + "2" },
			update(groupAndRole(testGroup, testRole+"2"), "cloudWatchLogsRoleARN"),
		},
		"log group and role cleared": {
			func(s *v1alpha1.TrailSpec) { s.CloudWatchLogsLogGroupARN, s.CloudWatchLogsRoleARN = "", "" },
			update(groupAndRole("", ""), "cloudWatchLogsLogGroupARN", "cloudWatchLogsRoleARN"),
		},
		"includeGlobalServiceEvents": {
			func(s *v1alpha1.TrailSpec) { s.IncludeGlobalServiceEvents = off },
			update(cloudtrail.Change{IncludeGlobalServiceEvents: off}, "includeGlobalServiceEvents"),
		},
		"includeGlobalServiceEvents by default": {
			func(s *v1alpha1.TrailSpec) { s.IncludeGlobalServiceEvents = nil }, nil,
		},
		"isMultiRegionTrail cleared": {
			func(s *v1alpha1.TrailSpec) { s.IsMultiRegionTrail = nil },
			update(cloudtrail.Change{IsMultiRegionTrail: off}, "isMultiRegionTrail"),
		},
		"enableLogFileValidation cleared": {
			func(s *v1alpha1.TrailSpec) { s.EnableLogFileValidation = nil },
			update(cloudtrail.Change{EnableLogFileValidation: off}, "enableLogFileValidation"),
		},
		"isOrganizationTrail cleared": {
			func(s *v1alpha1.TrailSpec) { s.IsOrganizationTrail = nil },
			update(cloudtrail.Change{IsOrganizationTrail: off}, "isOrganizationTrail"),
		},
		"logging":            {func(s *v1alpha1.TrailSpec) { s.Logging = off }, put(stopLogging, "logging")},
		"logging by default": {func(s *v1alpha1.TrailSpec) { s.Logging = aws.Bool(true) }, nil},
		"from advanced to basic selectors": {
			func(s *v1alpha1.TrailSpec) { s.AdvancedEventSelectors, s.EventSelectors = nil, someSelectors },
			put(putEventSelectors, "eventSelectors"),
		},
		"advancedEventSelectors cleared": {
			func(s *v1alpha1.TrailSpec) { s.AdvancedEventSelectors = nil },
			put(putEventSelectors, "advancedEventSelectors"),
		},
		"advancedEventSelectors": {
			func(s *v1alpha1.TrailSpec) {
				management := selecting("", equals("eventCategory", "Management"))
				s.AdvancedEventSelectors = append(slices.Clone(someAdvanced), management)
			}, put(putEventSelectors, "advancedEventSelectors"),
		},
		"insightSelectors": {
			func(s *v1alpha1.TrailSpec) {
				s.InsightSelectors = []v1alpha1.InsightSelector{{InsightType: "ApiErrorRateInsight"}}
			}, put(putInsightSelectors, "insightSelectors"),
		},
		"insightSelectors cleared": {
			func(s *v1alpha1.TrailSpec) { s.InsightSelectors = nil }, put(putInsightSelectors, "insightSelectors"),
		},
		"aggregationConfigurations cleared": {
			func(s *v1alpha1.TrailSpec) { s.AggregationConfigurations = nil },
			put(putEventConfiguration, "aggregationConfigurations"),
		},
		"how it is handled": {
			func(s *v1alpha1.TrailSpec) {
				s.Interval, s.DeletionPolicy = &metav1.Duration{}, v1alpha1.DeletionPolicyRetain
				s.AdoptionPolicy = v1alpha1.AdoptionPolicyAlways
			}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			before := fullTrail(nil)
			after := fullTrail(func(trail *v1alpha1.Trail) { c.spec(&trail.Spec) })
			g.Expect(planOf(before, holding(before, nil))).To(BeEmpty(), "AWS holds what the spec says")
			g.Expect(plannedOf(planOf(after, holding(before, nil)))).To(Equal(c.steps))
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
		"stopped": {fullTrail(nil), stopped, "StartLogging"},
		"started": {
			fullTrail(func(trail *v1alpha1.Trail) { trail.Spec.Logging = aws.Bool(false) }),
			func(o *observation) { o.status.value.IsLogging = true }, "StopLogging",
		},
		"deleted": {testTrail(nil), noTrail, "CreateTrail, StartLogging"},
		"several settings": {
			fullTrail(nil), func(o *observation) {
				o.trail.S3KeyPrefix, o.trail.IsMultiRegionTrail = "intruder", false
			},
			"UpdateTrail{isMultiRegionTrail, s3KeyPrefix}",
		},
		"a prefix": {testTrail(nil), prefixed, "UpdateTrail{s3KeyPrefix}"},
		"a key by alias": {
			testTrail(func(trail *v1alpha1.Trail) {
				trail.Spec.KMSKeyID, trail.Status.KMSKeyID, trail.Status.KMSKeyARN = "alias/trail", "alias/trail", testKeyARN
			}), func(o *observation) { o.trail.KMSKeyARN = otherKeyARN }, "UpdateTrail{kmsKeyID}",
		},
		"a log group": {
			testTrail(nil), func(o *observation) {
				o.trail.CloudWatchLogsLogGroupARN, o.trail.CloudWatchLogsRoleARN = testGroup+":*", testRole
			}, "UpdateTrail{cloudWatchLogsLogGroupARN, cloudWatchLogsRoleARN}",
		},
		"selectors": {
			testTrail(nil), selectsWrites, "PutEventSelectors",
		},
		"selectors, back to none": {
			fullTrail(nil), func(o *observation) { o.selectors.value = basic() }, "PutEventSelectors",
		},
		"insights": {testTrail(nil), func(o *observation) { o.insights.value = someInsights }, "PutInsightSelectors"},
		"aggregation": {
			testTrail(nil), func(o *observation) { o.aggregations.value = someAggregations }, "PutEventConfiguration",
		},
		"the owner tag": {fullTrail(nil), untagged, "AddTags{trail-operator.dev/owner}"},
		"everything": {
			fullTrail(nil), func(o *observation) {
				owned := map[string]string{v1alpha1.OwnerTagKey: testOwner}
				*o = observation{trail: &cloudtrail.Trail{HomeRegion: testRegion, Tags: owned}}
			}, "StartLogging, AddTags{env, team}, UpdateTrail{cloudWatchLogsLogGroupARN, cloudWatchLogsRoleARN, " +
				"enableLogFileValidation, includeGlobalServiceEvents, isMultiRegionTrail, isOrganizationTrail, kmsKeyID, " +
				"s3BucketName, s3KeyPrefix, snsTopicName}, PutEventSelectors, PutInsightSelectors, PutEventConfiguration",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			g.Expect(planOf(c.trail, holding(c.trail, nil))).To(BeEmpty())
			g.Expect(describe(planOf(c.trail, holding(c.trail, c.drift)))).To(Equal(c.steps))
		})
	}
}

// TestPlanOrder holds the order in which AWS accepts the steps.
func TestPlanOrder(t *testing.T) {
	t.Parallel()
	noSelectors := func(o *observation) { o.selectors.value = basic() }
	aggregated := testTrail(func(trail *v1alpha1.Trail) {
		trail.Spec.AdvancedEventSelectors, trail.Spec.AggregationConfigurations = someAdvanced, someAggregations
	})
	insightful := testTrail(func(trail *v1alpha1.Trail) {
		trail.Spec.EventSelectors, trail.Spec.InsightSelectors = someSelectors, someInsights
	})
	noLogging := func(trail *v1alpha1.Trail) { trail.Spec.Logging = aws.Bool(false) }
	for name, c := range map[string]struct {
		trail *v1alpha1.Trail
		has   *observation
		steps string
	}{
		"aggregation ends before its data events": {
			testTrail(nil), holding(aggregated, nil), "PutEventConfiguration, PutEventSelectors",
		},
		"aggregation begins after its data events": {
			aggregated, holding(testTrail(nil), nil), "PutEventSelectors, PutEventConfiguration",
		},
		"insights follow the selectors": {
			insightful, holding(testTrail(nil), nil), "PutEventSelectors, PutInsightSelectors",
		},
		"a stopped trail is started before what AWS may refuse": {
			fullTrail(nil), holding(fullTrail(nil), both(stopped, otherBucket, noSelectors)),
			"StartLogging, UpdateTrail{s3BucketName}, PutEventSelectors",
		},
		"a trail is stopped after all else": {
			fullTrail(noLogging), holding(fullTrail(nil), both(otherBucket, noSelectors)),
			"UpdateTrail{s3BucketName}, PutEventSelectors, StopLogging",
		},
		"a trail is ours before anything else is done to it": {
			fullTrail(nil), holding(fullTrail(nil), both(stopped, otherBucket, untagged)),
			"AddTags{trail-operator.dev/owner}, StartLogging, UpdateTrail{s3BucketName}",
		},
		"one that was ours is started before its tag is put back": {
			fullTrail(synced), holding(fullTrail(nil), both(stopped, otherBucket, untagged)),
			"StartLogging, AddTags{trail-operator.dev/owner}, UpdateTrail{s3BucketName}",
		},
		"one that was ours and is another's by now is claimed first": {
			fullTrail(synced), holding(fullTrail(nil), both(stopped, otherBucket, taggedOver)),
			"AddTags{trail-operator.dev/owner}, StartLogging, UpdateTrail{s3BucketName}",
		},
		"another trail of its name was not ours": {
			fullTrail(both(synced, func(trail *v1alpha1.Trail) { trail.Status.TrailARN += "-2" })),
			holding(fullTrail(nil), both(stopped, untagged)),
			"AddTags{trail-operator.dev/owner}, StartLogging",
		},
		"tags go before tags come: there are fifty places": {
			fullTrail(func(trail *v1alpha1.Trail) { trail.Spec.Tags = []v1alpha1.Tag{{Key: "new"}} }),
			holding(fullTrail(nil), nil), "RemoveTags{env, team}, AddTags{new}",
		},
		"but not before the trail is ours": {
			fullTrail(func(trail *v1alpha1.Trail) { trail.Spec.Tags = nil }), holding(fullTrail(nil), taggedOver),
			"AddTags{trail-operator.dev/owner}, RemoveTags{env, team}",
		},
		"the owner tag is a call of its own": {
			fullTrail(nil), holding(fullTrail(nil), func(o *observation) { o.trail.Tags = map[string]string{} }),
			"AddTags{trail-operator.dev/owner}, AddTags{env, team}",
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
	observe := v1alpha1.ManagementPolicyObserve
	one, two := v1alpha1.Tag{Key: "a", Value: "1"}, v1alpha1.Tag{Key: "b", Value: "2"}
	for name, c := range map[string]struct {
		spec    []v1alpha1.Tag
		managed []string
		has     tags
		policy  v1alpha1.ManagementPolicy
		err     error
		claim   bool
		add     tags
		remove  []string
	}{
		"all there": {spec: []v1alpha1.Tag{one}, managed: []string{"a"}, has: withOwner(tags{"a": "1"})},
		"one missing": {
			spec: []v1alpha1.Tag{one, two}, managed: []string{"a", "b"}, has: withOwner(tags{"a": "1"}), add: tags{
				"b": "2",
			},
		},
		"an empty one missing":   {spec: []v1alpha1.Tag{{Key: "a"}}, has: withOwner(tags{}), add: tags{"a": ""}},
		"an empty one there":     {spec: []v1alpha1.Tag{{Key: "a"}}, has: withOwner(tags{"a": ""})},
		"another value":          {spec: []v1alpha1.Tag{one}, has: withOwner(tags{"a": "2"}), add: tags{"a": "1"}},
		"others' are left alone": {has: withOwner(tags{"theirs": "1"})},
		"others' stay, ours go": {
			managed: []string{"a", "b"}, has: withOwner(tags{"theirs": "1", "a": "1", "b": "2"}),
			remove: []string{"a", "b"},
		},
		"ours went already":              {managed: []string{"a"}, has: withOwner(tags{"theirs": "1"})},
		"no owner":                       {has: tags{}, claim: true},
		"no owner, and one more":         {spec: []v1alpha1.Tag{one}, has: tags{}, claim: true, add: tags{"a": "1"}},
		"another owner":                  {has: tags{v1alpha1.OwnerTagKey: "another"}, claim: true},
		"the owner stays":                {managed: []string{v1alpha1.OwnerTagKey}, has: withOwner(tags{})},
		"unknown":                        {spec: []v1alpha1.Tag{one}, managed: []string{"b"}, err: errors.New("no")},
		"an observer owns nothing":       {policy: observe, has: tags{}},
		"an observer sees another owner": {policy: observe, has: tags{v1alpha1.OwnerTagKey: "another"}},
		"an observer sees what is missing": {
			policy: observe, spec: []v1alpha1.Tag{one}, has: tags{}, add: tags{"a": "1"},
		},
		"an observer does not mind the rest": {policy: observe, has: tags{"theirs": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := testTrail(func(trail *v1alpha1.Trail) {
				trail.Spec.Tags, trail.Spec.ManagementPolicy, trail.Status.ManagedTagKeys = c.spec, c.policy, c.managed
			})
			var want []planned
			if c.claim {
				want = append(
					want, planned{operation: addTags, fields: []string{"ownerTag"}, tags: withOwner(tags{})},
				)
			}
			if c.remove != nil {
				want = append(want, planned{operation: removeTags, fields: []string{"tags"}, keys: c.remove})
			}
			if c.add != nil {
				want = append(want, planned{operation: addTags, fields: []string{"tags"}, tags: c.add})
			}
			o := holding(trail, func(o *observation) { o.trail.Tags, o.trail.TagsErr = c.has, c.err })
			NewWithT(t).Expect(plannedOf(planOf(trail, o))).To(Equal(want))
		})
	}
}

func TestPlanOfCreation(t *testing.T) {
	t.Parallel()
	creation := func(tags map[string]string) planned {
		tags[v1alpha1.OwnerTagKey] = testOwner
		return planned{operation: createTrail, fields: []string{"trail"}, tags: tags}
	}
	owned := creation(map[string]string{})
	start := planned{operation: startLogging, fields: []string{"logging"}}
	for name, c := range map[string]struct {
		trail *v1alpha1.Trail
		steps []planned
	}{
		"as little as can be": {testTrail(nil), []planned{owned, start}},
		"that does not log": {
			testTrail(func(trail *v1alpha1.Trail) { trail.Spec.Logging = aws.Bool(false) }), []planned{owned},
		},
		"the default selector": {
			testTrail(func(trail *v1alpha1.Trail) { trail.Spec.EventSelectors = []v1alpha1.EventSelector{{}} }),
			[]planned{owned, start},
		},
		"with basic selectors": {
			testTrail(func(trail *v1alpha1.Trail) { trail.Spec.EventSelectors = someSelectors }),
			[]planned{owned, start, {operation: putEventSelectors, fields: []string{"eventSelectors"}}},
		},
		"what was ours is gone": {
			testTrail(func(trail *v1alpha1.Trail) { trail.Status.ManagedTagKeys = []string{"old"} }),
			[]planned{owned, start},
		},
		"with everything": {fullTrail(nil), []planned{
			creation(map[string]string{"team": "security", "env": "prod"}),
			start,
			{operation: putEventSelectors, fields: []string{"advancedEventSelectors"}},
			{operation: putInsightSelectors, fields: []string{"insightSelectors"}},
			{operation: putEventConfiguration, fields: []string{"aggregationConfigurations"}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := slices.Clone(c.steps)
			want[0].change = settingsOf(&c.trail.Spec)
			NewWithT(t).Expect(plannedOf(planOf(c.trail, &observation{}))).To(Equal(want))
		})
	}

	t.Run("not while it is not known whether there is one", func(t *testing.T) {
		t.Parallel()
		NewWithT(t).Expect(planOf(fullTrail(nil), &observation{settingsErr: errors.New("no")})).To(BeEmpty())
	})
}

// TestPlanOfRefused holds that settings which AWS has refused are changed by calls of their own, after the others.
func TestPlanOfRefused(t *testing.T) {
	t.Parallel()
	trail := fullTrail(nil)
	changed := holding(trail, func(o *observation) {
		o.trail.S3BucketName, o.trail.S3KeyPrefix, o.trail.IsMultiRegionTrail = "other", "other", false
	})
	for name, c := range map[string]struct {
		refused []string
		steps   string
	}{
		"none": {nil, "UpdateTrail{isMultiRegionTrail, s3BucketName, s3KeyPrefix}"},
		"one":  {[]string{"s3BucketName"}, "UpdateTrail{isMultiRegionTrail, s3KeyPrefix}, UpdateTrail{s3BucketName}"},
		"all": {
			[]string{"s3KeyPrefix", "s3BucketName", "isMultiRegionTrail"},
			"UpdateTrail{s3BucketName}, UpdateTrail{s3KeyPrefix}, UpdateTrail{isMultiRegionTrail}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alone := func(d difference) bool { return slices.Contains(c.refused, d.name) }
			target := targetOf(trail)
			NewWithT(t).Expect(describe(plan(target, changed, differencesOf(target, changed), alone))).To(
				Equal(c.steps),
			)
		})
	}
}

// TestSplit holds that a refused UpdateTrail is parted into one for each setting, and nothing else is.
func TestSplit(t *testing.T) {
	t.Parallel()
	trail := fullTrail(nil)
	for name, c := range map[string]struct {
		drift func(*observation)
		parts []planned
	}{
		"two settings": {
			func(o *observation) { o.trail.S3BucketName, o.trail.S3KeyPrefix = "other", "other" },
			[]planned{
				{
					operation: updateTrail, fields: []string{"s3BucketName"},
					change: cloudtrail.Change{S3BucketName: aws.String("logs")},
				},
				{
					operation: updateTrail, fields: []string{"s3KeyPrefix"},
					change: cloudtrail.Change{S3KeyPrefix: aws.String("prefix")},
				},
			},
		},
		"log group and role go together in each": {
			func(o *observation) { o.trail.CloudWatchLogsLogGroupARN, o.trail.CloudWatchLogsRoleARN = "", "" },
			[]planned{
				{
					operation: updateTrail, fields: []string{"cloudWatchLogsLogGroupARN"},
					change: cloudtrail.Change{
						CloudWatchLogsLogGroupARN: aws.String(testGroup), CloudWatchLogsRoleARN: aws.String(testRole),
					},
				},
				{
					operation: updateTrail, fields: []string{"cloudWatchLogsRoleARN"},
					change: cloudtrail.Change{
						CloudWatchLogsLogGroupARN: aws.String(testGroup), CloudWatchLogsRoleARN: aws.String(testRole),
					},
				},
			},
		},
		"one setting": {
			prefixed, []planned{
				{
					operation: updateTrail, fields: []string{"s3KeyPrefix"},
					change: cloudtrail.Change{S3KeyPrefix: aws.String("prefix")},
				},
			},
		},
		"selectors": {
			func(o *observation) { o.selectors.value = basic() },
			[]planned{{operation: putEventSelectors, fields: []string{"advancedEventSelectors"}}},
		},
		"creation": {
			noTrail,
			[]planned{{
				operation: createTrail, fields: []string{"trail"},
				change: settingsOf(&trail.Spec), tags: wantedTags(targetOf(trail)),
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := planOf(trail, holding(trail, c.drift))[0]
			NewWithT(t).Expect(plannedOf(first.split(targetOf(trail)))).To(Equal(c.parts))
		})
	}
}

// TestKeyOfStep holds by what AWS's refusal of a step is known again: by what the step is to do, and nothing else.
func TestKeyOfStep(t *testing.T) {
	t.Parallel()
	keyOf := func(trail *v1alpha1.Trail, drift func(*observation)) string {
		return planOf(trail, holding(fullTrail(nil), drift))[0].key()
	}
	spec := func(change func(*v1alpha1.TrailSpec)) *v1alpha1.Trail {
		return fullTrail(func(trail *v1alpha1.Trail) { change(&trail.Spec) })
	}
	otherBucket := spec(func(s *v1alpha1.TrailSpec) { s.S3BucketName = "other" })
	for name, c := range map[string]struct {
		one, other string
		same       bool
	}{
		"the same again": {keyOf(fullTrail(nil), prefixed), keyOf(fullTrail(nil), prefixed), true},
		"AWS holds another": {
			keyOf(fullTrail(nil), prefixed),
			keyOf(fullTrail(nil), func(o *observation) { o.trail.S3KeyPrefix = "x" }), true,
		},
		"another value": {
			keyOf(fullTrail(nil), prefixed),
			keyOf(spec(func(s *v1alpha1.TrailSpec) { s.S3KeyPrefix = "x" }), prefixed), false,
		},
		"another field":  {keyOf(fullTrail(nil), prefixed), keyOf(otherBucket, nil), false},
		"one field more": {keyOf(fullTrail(nil), prefixed), keyOf(otherBucket, prefixed), false},
		"another operation": {
			keyOf(fullTrail(nil), stopped),
			keyOf(spec(func(s *v1alpha1.TrailSpec) { s.Logging = aws.Bool(false) }), nil), false,
		},
		"creation again":      {keyOf(fullTrail(nil), noTrail), keyOf(fullTrail(nil), noTrail), true},
		"creation of another": {keyOf(fullTrail(nil), noTrail), keyOf(otherBucket, noTrail), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.same {
				NewWithT(t).Expect(c.one).To(Equal(c.other))
			} else {
				NewWithT(t).Expect(c.one).NotTo(Equal(c.other))
			}
		})
	}
}

func TestFieldsOfSteps(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail := testTrail(nil)
	steps := []step{
		{sets: differ(trail, "tags")}, {sets: differ(trail, "s3KeyPrefix", "logging")}, {sets: differ(trail, "tags")},
	}
	g.Expect(fieldsOf(nil)).To(BeEmpty())
	g.Expect(fieldsOf(steps)).To(Equal([]string{"logging", "s3KeyPrefix", "tags"}))
	g.Expect(describe(nil)).To(BeEmpty())
}
