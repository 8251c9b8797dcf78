package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// Fields of a trail, by the names that they have in a drift, with the operation that sets them. It is a second reading
// of the API, apart from the operator's own.
const (
	fieldTrail     = "trail"
	fieldOwnerTag  = "ownerTag"
	fieldTags      = "tags"
	fieldLogging   = "logging"
	fieldSelectors = "eventSelectors" // And advancedEventSelectors, which take their place.
	fieldInsights  = "insightSelectors"
	fieldAggregate = "aggregationConfigurations"
)

// setBy returns the operations that set a field.
func setBy(field string) []string {
	switch field {
	case fieldTrail:
		return []string{"CreateTrail", "DeleteTrail"}
	case fieldOwnerTag, fieldTags:
		return []string{"AddTags", "RemoveTags"}
	case fieldLogging:
		return []string{"StartLogging", "StopLogging"}
	case fieldSelectors:
		return []string{"PutEventSelectors"}
	case fieldInsights:
		return []string{"PutInsightSelectors"}
	case fieldAggregate:
		return []string{"PutEventConfiguration"}
	default:
		return []string{"UpdateTrail"}
	}
}

// fieldsOf returns what a trail in AWS holds. Tags are those with these keys.
func fieldsOf(trail *cloudtrailtest.Trail, owner string, tagKeys []string) map[string]string {
	if trail == nil {
		return map[string]string{fieldTrail: "false"}
	}
	tags := map[string]string{}
	for _, tagKey := range tagKeys {
		if value, ok := trail.Tags[tagKey]; ok {
			tags[tagKey] = value
		}
	}

	return map[string]string{
		fieldTrail:                   "true",
		fieldOwnerTag:                text(trail.Tags[v1alpha1.OwnerTagKey] == owner),
		fieldTags:                    text(tags),
		fieldLogging:                 text(trail.IsLogging),
		fieldSelectors:               selectors(trail.EventSelectors, trail.AdvancedEventSelectors),
		fieldInsights:                text(withCategories(trail.InsightSelectors)),
		fieldAggregate:               text(trail.AggregationConfigurations),
		"s3BucketName":               trail.S3BucketName,
		"s3KeyPrefix":                trail.S3KeyPrefix,
		"snsTopicName":               trail.SnsTopicARN[strings.LastIndex(trail.SnsTopicARN, ":")+1:],
		"kmsKeyID":                   trail.KmsKeyARN,
		"cloudWatchLogsLogGroupARN":  trail.CloudWatchLogsLogGroupARN,
		"cloudWatchLogsRoleARN":      trail.CloudWatchLogsRoleARN,
		"includeGlobalServiceEvents": text(trail.IncludeGlobalServiceEvents),
		"isMultiRegionTrail":         text(trail.IsMultiRegionTrail),
		"enableLogFileValidation":    text(trail.EnableLogFileValidation),
		"isOrganizationTrail":        text(trail.IsOrganizationTrail),
	}
}

// wantedBy returns what AWS is to hold for a Trail. A field that the spec leaves alone is not among them.
func wantedBy(trail *v1alpha1.Trail) map[string]string {
	spec, tags := &trail.Spec, map[string]string{}
	for _, tag := range spec.Tags {
		tags[tag.Key] = tag.Value
	}

	wanted := map[string]string{
		fieldTrail:                   "true",
		fieldOwnerTag:                "true",
		fieldTags:                    text(tags),
		fieldLogging:                 text(spec.LoggingDesired()),
		fieldSelectors:               selectors(basicOf(spec), advancedOf(spec)),
		fieldInsights:                text(withCategories(insightsOf(spec))),
		fieldAggregate:               text(aggregationsOf(spec)),
		"s3BucketName":               spec.S3BucketName,
		"s3KeyPrefix":                spec.S3KeyPrefix,
		"snsTopicName":               spec.SNSTopicName,
		"kmsKeyID":                   spec.KMSKeyID,
		"cloudWatchLogsLogGroupARN":  spec.CloudWatchLogsLogGroupARN,
		"cloudWatchLogsRoleARN":      spec.CloudWatchLogsRoleARN,
		"includeGlobalServiceEvents": text(spec.GlobalServiceEventsDesired()),
		"isMultiRegionTrail":         text(spec.MultiRegionDesired()),
		"enableLogFileValidation":    text(spec.LogFileValidationDesired()),
		"isOrganizationTrail":        text(spec.OrganizationDesired()),
	}

	if len(spec.AggregationConfigurations) == 0 && !trail.Status.AggregationApplied {
		delete(wanted, fieldAggregate) // Aggregation that others have set up is not the spec's.
	}
	if spec.ObserveOnly() {
		delete(wanted, fieldOwnerTag)
	}
	return wanted
}

func basicOf(spec *v1alpha1.TrailSpec) []cloudtrailtest.EventSelector {
	return as[[]cloudtrailtest.EventSelector](spec.EventSelectors)
}

func advancedOf(spec *v1alpha1.TrailSpec) []cloudtrailtest.AdvancedEventSelector {
	return as[[]cloudtrailtest.AdvancedEventSelector](spec.AdvancedEventSelectors)
}

func insightsOf(spec *v1alpha1.TrailSpec) []cloudtrailtest.InsightSelector {
	return as[[]cloudtrailtest.InsightSelector](spec.InsightSelectors)
}

// selectors returns both kinds of selectors as text; "" are CloudTrail's default.
func selectors(basic []cloudtrailtest.EventSelector, advanced []cloudtrailtest.AdvancedEventSelector) string {
	isDefault := func(s cloudtrailtest.EventSelector) bool {
		return s.ReadWriteType == "All" && s.IncludeManagementEvents && len(s.DataResources) == 0 &&
			len(s.ExcludeManagementEventSources) == 0
	}
	if len(basic) == 1 && isDefault(basic[0]) {
		basic = nil
	}
	return strings.ReplaceAll(text(basic)+text(advanced), "null", "[]")
}

// named returns the field of a name that a drift has.
func named(field string) string {
	if field == "advancedEventSelectors" {
		return fieldSelectors
	}
	return field
}

// withCategories returns the selectors with the event category that they have where none is given.
func withCategories(selectors []cloudtrailtest.InsightSelector) []cloudtrailtest.InsightSelector {
	selectors = slices.Clone(selectors)
	for i := range selectors {
		if len(selectors[i].EventCategories) == 0 {
			selectors[i].EventCategories = []string{"Management"}
		}
	}
	return selectors
}

func aggregationsOf(spec *v1alpha1.TrailSpec) []cloudtrailtest.AggregationConfiguration {
	return as[[]cloudtrailtest.AggregationConfiguration](spec.AggregationConfigurations)
}

// as converts between types whose JSON has the same names in another case.
func as[T any](from any) (to T) {
	data, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(data, &to)
	}
	if err != nil {
		panic(err) // The types do not resemble each other any more: nothing can be simulated.
	}
	return to
}

// text returns a value as text; what is empty is "".
func text(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	if s := string(data); s != "null" && s != "[]" && s != "{}" {
		return s
	}
	return ""
}

// differing describes the fields in which two differ, of those that the first has, in order.
func differing(wanted, held map[string]string) []string {
	var fields []string
	for _, field := range slices.Sorted(maps.Keys(wanted)) {
		if wanted[field] != held[field] {
			fields = append(fields, fmt.Sprintf("%s: %q is %q", field, wanted[field], held[field]))
		}
	}
	if wanted[fieldTrail] != held[fieldTrail] {
		return []string{"there is no trail"}
	}
	return fields
}
