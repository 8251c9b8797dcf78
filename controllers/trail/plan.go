package trail

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// Operations that a plan consists of, by AWS's names.
const (
	createTrail           = "CreateTrail"
	updateTrail           = "UpdateTrail"
	startLogging          = "StartLogging"
	stopLogging           = "StopLogging"
	putEventSelectors     = "PutEventSelectors"
	putInsightSelectors   = "PutInsightSelectors"
	putEventConfiguration = "PutEventConfiguration"
	addTags               = "AddTags"
	removeTags            = "RemoveTags"
	deleteTrail           = "DeleteTrail"
)

// fieldTrail stands among the fields for a trail that is not there at all.
const fieldTrail = "trail"

// step is one call to AWS.
type step struct {
	operation string
	// fields are the fields of the spec that differ; the owner tag is one of the tags.
	fields []string
	// change is UpdateTrail's.
	change cloudtrail.Change
	// tags are CreateTrail's and AddTags's.
	tags map[string]string
	// keys are RemoveTags's.
	keys []string
	// aggregations are PutEventConfiguration's.
	aggregations []v1alpha1.AggregationConfiguration
}

// claims tells whether the step makes a trail ours.
func (s step) claims() bool { return s.operation == addTags && s.tags[v1alpha1.OwnerTagKey] != "" }

// String returns the step as events and logs show it, such as UpdateTrail{s3KeyPrefix}.
func (s step) String() string {
	switch s.operation {
	case updateTrail:
		return fmt.Sprintf("%s{%s}", s.operation, strings.Join(s.fields, ", "))
	case addTags:
		return fmt.Sprintf("%s{%s}", s.operation, strings.Join(slices.Sorted(maps.Keys(s.tags)), ", "))
	case removeTags:
		return fmt.Sprintf("%s{%s}", s.operation, strings.Join(s.keys, ", "))
	default:
		return s.operation
	}
}

// describe returns the steps as events and logs show them.
func describe(steps []step) string {
	texts := make([]string, 0, len(steps))
	for _, s := range steps {
		texts = append(texts, s.String())
	}
	return strings.Join(texts, ", ")
}

// fieldsOf returns the fields of the spec that the steps set, each once.
func fieldsOf(steps []step) []string {
	var fields []string
	for _, s := range steps {
		fields = append(fields, s.fields...)
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// plan returns the calls that make AWS hold what the spec says; none when it does.
func plan(trail *v1alpha1.Trail, o *observation, accountID, region, owner string) []step {
	if o.trail == nil {
		return planCreate(trail, owner)
	}
	return slices.Concat(
		planTags(trail, o.trail, owner),
		// Logging comes early: whatever else AWS may refuse, an audit trail that was stopped runs again.
		planLogging(trail, o.status.IsLogging),
		planSettings(trail, o.trail, accountID, region),
		planSelectors(trail, o),
	)
}

func planCreate(trail *v1alpha1.Trail, owner string) []step {
	steps := []step{{operation: createTrail, fields: []string{fieldTrail}, tags: wantedTags(trail, owner)}}
	steps = append(steps, planSelectors(trail, &observation{})...)
	return append(steps, planLogging(trail, false)...)
}

func wantedTags(trail *v1alpha1.Trail, owner string) map[string]string {
	tags := make(map[string]string, len(trail.Spec.Tags)+1)
	for _, tag := range trail.Spec.Tags {
		tags[tag.Key] = tag.Value
	}
	tags[v1alpha1.OwnerTagKey] = owner
	return tags
}

// planTags sets the tags of the spec and the owner, and removes what the spec once set. Other people's tags are not
// touched. Tags that could not be read are not planned for. An observer owns nothing.
func planTags(trail *v1alpha1.Trail, found *cloudtrail.Trail, owner string) []step {
	if found.TagsErr != nil {
		return nil
	}
	wanted := wantedTags(trail, owner)
	if trail.Spec.Observed() {
		delete(wanted, v1alpha1.OwnerTagKey)
	}
	missing := map[string]string{}
	for key, value := range wanted {
		if has, ok := found.Tags[key]; !ok || has != value {
			missing[key] = value
		}
	}
	var dropped []string
	for _, key := range trail.Status.ManagedTagKeys {
		if _, keep := wanted[key]; keep {
			continue
		}
		if _, there := found.Tags[key]; there {
			dropped = append(dropped, key)
		}
	}
	var steps []step
	if len(dropped) > 0 {
		steps = append(steps, step{operation: removeTags, fields: []string{"tags"}, keys: dropped})
	}
	if len(missing) > 0 {
		steps = append(steps, step{operation: addTags, fields: []string{"tags"}, tags: missing})
	}
	if _, claims := missing[v1alpha1.OwnerTagKey]; claims {
		slices.Reverse(steps) // Nothing is removed from a trail before it is ours.
	}
	return steps
}

func planLogging(trail *v1alpha1.Trail, isLogging bool) []step {
	switch wanted := trail.Spec.LoggingDesired(); {
	case wanted && !isLogging:
		return []step{{operation: startLogging, fields: []string{"logging"}}}
	case !wanted && isLogging:
		return []step{{operation: stopLogging, fields: []string{"logging"}}}
	default:
		return nil
	}
}

// restarts returns the step that starts a trail's logging again, if it is ours and was stopped.
func restarts(trail *v1alpha1.Trail, o *observation, owner string) []step {
	if o.trail == nil || ownershipOf(o.trail.Tags, owner) != ours || !trail.Spec.LoggingDesired() {
		return nil
	}
	return planLogging(trail, o.status.IsLogging)
}

// planSettings names in UpdateTrail just what differs: it leaves alone what is not named, and "" clears.
func planSettings(trail *v1alpha1.Trail, found *cloudtrail.Trail, accountID, region string) []step {
	spec, has := &trail.Spec, &found.Settings
	var change cloudtrail.Change
	var fields []string
	differs := func(field string, same bool) bool {
		if !same {
			fields = append(fields, field)
		}
		return !same
	}
	if differs("s3BucketName", spec.S3BucketName == has.S3BucketName) {
		change.S3BucketName = &spec.S3BucketName
	}
	if differs("s3KeyPrefix", spec.S3KeyPrefix == has.S3KeyPrefix) {
		change.S3KeyPrefix = &spec.S3KeyPrefix
	}
	if differs("snsTopicName", cloudtrail.TopicARN(region, accountID, spec.SNSTopicName) == has.SNSTopicARN) {
		change.SNSTopicName = &spec.SNSTopicName
	}
	if differs("kmsKeyID", sameKey(trail, has.KMSKeyARN)) {
		change.KMSKeyID = &spec.KMSKeyID
	}
	sameGroup := sameLogGroup(spec.CloudWatchLogsLogGroupARN, has.CloudWatchLogsLogGroupARN)
	sameRole := spec.CloudWatchLogsRoleARN == has.CloudWatchLogsRoleARN
	otherGroup, otherRole := differs("cloudWatchLogsLogGroupARN", sameGroup), differs("cloudWatchLogsRoleARN", sameRole)
	if otherGroup || otherRole {
		// The two go together, also in the call.
		change.CloudWatchLogsLogGroupARN, change.CloudWatchLogsRoleARN = &spec.CloudWatchLogsLogGroupARN, &spec.CloudWatchLogsRoleARN
	}
	for _, flag := range []struct {
		field       string
		wanted, has bool
		change      **bool
	}{
		{"includeGlobalServiceEvents", spec.GlobalServiceEventsDesired(), has.IncludeGlobalServiceEvents, &change.IncludeGlobalServiceEvents},
		{"isMultiRegionTrail", spec.MultiRegionDesired(), has.IsMultiRegionTrail, &change.IsMultiRegionTrail},
		{"enableLogFileValidation", spec.LogFileValidationDesired(), has.EnableLogFileValidation, &change.EnableLogFileValidation},
		{"isOrganizationTrail", spec.OrganizationDesired(), has.IsOrganizationTrail, &change.IsOrganizationTrail},
	} {
		if differs(flag.field, flag.wanted == flag.has) {
			*flag.change = &flag.wanted
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return []step{{operation: updateTrail, fields: fields, change: change}}
}

func wantedSelectors(spec *v1alpha1.TrailSpec) cloudtrail.Selectors {
	return cloudtrail.Selectors{Basic: spec.EventSelectors, Advanced: spec.AdvancedEventSelectors}
}

// planSelectors sets event selectors, insights and aggregation. Aggregation works on data events, so it ends before
// the selectors change and begins after; and Insights on management events, so they follow the selectors.
func planSelectors(trail *v1alpha1.Trail, o *observation) []step {
	spec := &trail.Spec
	var steps []step
	aggregationDiffers := !sameAggregations(spec.AggregationConfigurations, o.aggregations)
	aggregate := step{operation: putEventConfiguration, fields: []string{"aggregationConfigurations"}, aggregations: spec.AggregationConfigurations}
	if aggregationDiffers && len(spec.AggregationConfigurations) == 0 {
		steps = append(steps, aggregate)
	}
	if !sameSelectors(wantedSelectors(spec), o.selectors) {
		steps = append(steps, step{operation: putEventSelectors, fields: []string{selectorField(spec, o)}})
	}
	if !sameInsights(spec.InsightSelectors, o.insights) {
		steps = append(steps, step{operation: putInsightSelectors, fields: []string{"insightSelectors"}})
	}
	if aggregationDiffers && len(spec.AggregationConfigurations) > 0 {
		steps = append(steps, aggregate)
	}
	return steps
}

// selectorField names the field of the spec that selectors differ in: the one that is set, else the kind that AWS holds.
func selectorField(spec *v1alpha1.TrailSpec, o *observation) string {
	if len(spec.AdvancedEventSelectors) > 0 || len(spec.EventSelectors) == 0 && len(o.selectors.Advanced) > 0 {
		return "advancedEventSelectors"
	}
	return "eventSelectors"
}
