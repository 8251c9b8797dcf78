package cloudtrail

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/text"
)

func fromTrail(t types.Trail) Trail {
	return Trail{
		ARN:                 aws.ToString(t.TrailARN),
		Name:                aws.ToString(t.Name),
		HomeRegion:          aws.ToString(t.HomeRegion),
		Settings:            fromSettings(t),
		HasEventSelectors:   t.HasCustomEventSelectors,
		HasInsightSelectors: t.HasInsightSelectors,
	}
}

func fromCreate(out *cloudtrail.CreateTrailOutput, homeRegion string, tags map[string]string) Trail {
	trail := fromTrail(alike[types.Trail](*out))
	trail.HomeRegion, trail.Tags = homeRegion, maps.Clone(tags)
	trail.HasEventSelectors, trail.HasInsightSelectors = aws.Bool(false), aws.Bool(false)
	return trail
}

func fromUpdate(out *cloudtrail.UpdateTrailOutput) Settings {
	return fromSettings(alike[types.Trail](*out))
}

func fromSettings(t types.Trail) Settings {
	return Settings{
		S3BucketName:               aws.ToString(t.S3BucketName),
		S3KeyPrefix:                aws.ToString(t.S3KeyPrefix),
		SNSTopicARN:                aws.ToString(t.SnsTopicARN),
		KMSKeyARN:                  aws.ToString(t.KmsKeyId),
		CloudWatchLogsLogGroupARN:  aws.ToString(t.CloudWatchLogsLogGroupArn),
		CloudWatchLogsRoleARN:      aws.ToString(t.CloudWatchLogsRoleArn),
		IncludeGlobalServiceEvents: aws.ToBool(t.IncludeGlobalServiceEvents),
		IsMultiRegionTrail:         aws.ToBool(t.IsMultiRegionTrail),
		EnableLogFileValidation:    aws.ToBool(t.LogFileValidationEnabled),
		IsOrganizationTrail:        aws.ToBool(t.IsOrganizationTrail),
	}
}

// alike returns the fields of one of the SDK's structures as another one that has fields of the same names and types:
// what CreateTrail and UpdateTrail take, and what these and DescribeTrails answer.
func alike[T any](from any) T {
	var to T
	source, fields := reflect.ValueOf(from), reflect.ValueOf(&to).Elem()
	for field, target := range fields.Fields() {
		if value := source.FieldByName(field.Name); field.IsExported() && value.IsValid() {
			target.Set(value)
		}
	}
	return to
}

// toCreate leaves out what is "": CreateTrail knows no clearing.
func toCreate(name string, settings Change, tags map[string]string) *cloudtrail.CreateTrailInput {
	for _, setting := range reflect.ValueOf(&settings).Elem().Fields() {
		if text, ok := reflect.TypeAssert[*string](setting); ok && aws.ToString(text) == "" {
			setting.SetZero()
		}
	}
	in := alike[cloudtrail.CreateTrailInput](*toUpdate(name, settings))
	in.TagsList = toTags(tags)
	return &in
}

func toUpdate(arn string, c Change) *cloudtrail.UpdateTrailInput {
	return &cloudtrail.UpdateTrailInput{
		Name:                       aws.String(arn),
		S3BucketName:               c.S3BucketName,
		S3KeyPrefix:                c.S3KeyPrefix,
		SnsTopicName:               c.SNSTopicName,
		KmsKeyId:                   c.KMSKeyID,
		CloudWatchLogsLogGroupArn:  c.CloudWatchLogsLogGroupARN,
		CloudWatchLogsRoleArn:      c.CloudWatchLogsRoleARN,
		IncludeGlobalServiceEvents: c.IncludeGlobalServiceEvents,
		IsMultiRegionTrail:         c.IsMultiRegionTrail,
		EnableLogFileValidation:    c.EnableLogFileValidation,
		IsOrganizationTrail:        c.IsOrganizationTrail,
	}
}

func stringOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// toTags returns the tags ordered by key, so that equal calls are equal.
func toTags(tags map[string]string) []types.Tag {
	list := make([]types.Tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}

func fromTags(list []types.Tag) map[string]string {
	tags := make(map[string]string, len(list))
	for _, tag := range list {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return tags
}

// toSelectors returns the input that sets the selectors. CloudTrail rejects an empty list, so none is spelled out
// as the default selector.
func toSelectors(arn string, s Selectors) *cloudtrail.PutEventSelectorsInput {
	in := &cloudtrail.PutEventSelectorsInput{TrailName: aws.String(arn)}
	switch {
	case len(s.Advanced) > 0:
		in.AdvancedEventSelectors = toAdvanced(s.Advanced)
	case len(s.Basic) > 0:
		in.EventSelectors = toBasic(s.Basic)
	default:
		in.EventSelectors = toBasic([]v1alpha1.EventSelector{{}})
	}
	return in
}

func toBasic(selectors []v1alpha1.EventSelector) []types.EventSelector {
	list := make([]types.EventSelector, 0, len(selectors))
	for _, s := range selectors {
		selector := types.EventSelector{
			ReadWriteType:                 types.ReadWriteTypeAll,
			IncludeManagementEvents:       aws.Bool(s.IncludeManagementEvents == nil || *s.IncludeManagementEvents),
			ExcludeManagementEventSources: s.ExcludeManagementEventSources,
		}
		if s.ReadWriteType != "" {
			selector.ReadWriteType = types.ReadWriteType(s.ReadWriteType)
		}
		for _, d := range s.DataResources {
			selector.DataResources = append(selector.DataResources,
				types.DataResource{Type: aws.String(d.Type), Values: d.Values})
		}
		list = append(list, selector)
	}
	return list
}

func toAdvanced(selectors []v1alpha1.AdvancedEventSelector) []types.AdvancedEventSelector {
	list := make([]types.AdvancedEventSelector, 0, len(selectors))
	for _, s := range selectors {
		selector := types.AdvancedEventSelector{Name: stringOrNil(s.Name)}
		for _, f := range s.FieldSelectors {
			selector.FieldSelectors = append(selector.FieldSelectors, types.AdvancedFieldSelector{
				Field:         aws.String(f.Field),
				Equals:        f.Equals,
				NotEquals:     f.NotEquals,
				StartsWith:    f.StartsWith,
				NotStartsWith: f.NotStartsWith,
				EndsWith:      f.EndsWith,
				NotEndsWith:   f.NotEndsWith,
			})
		}
		list = append(list, selector)
	}
	return list
}

func fromSelectors(basic []types.EventSelector, advanced []types.AdvancedEventSelector) Selectors {
	var s Selectors
	for _, b := range basic {
		selector := v1alpha1.EventSelector{
			ReadWriteType:                 v1alpha1.ReadWriteType(b.ReadWriteType),
			IncludeManagementEvents:       b.IncludeManagementEvents,
			ExcludeManagementEventSources: b.ExcludeManagementEventSources,
		}
		for _, d := range b.DataResources {
			selector.DataResources = append(selector.DataResources,
				v1alpha1.DataResource{Type: aws.ToString(d.Type), Values: d.Values})
		}
		s.Basic = append(s.Basic, selector)
	}

	for _, a := range advanced {
		selector := v1alpha1.AdvancedEventSelector{Name: aws.ToString(a.Name)}
		for _, f := range a.FieldSelectors {
			selector.FieldSelectors = append(selector.FieldSelectors, v1alpha1.AdvancedFieldSelector{
				Field:         aws.ToString(f.Field),
				Equals:        f.Equals,
				NotEquals:     f.NotEquals,
				StartsWith:    f.StartsWith,
				NotStartsWith: f.NotStartsWith,
				EndsWith:      f.EndsWith,
				NotEndsWith:   f.NotEndsWith,
			})
		}
		s.Advanced = append(s.Advanced, selector)
	}
	return s
}

func toInsights(selectors []v1alpha1.InsightSelector) []types.InsightSelector {
	list := make([]types.InsightSelector, 0, len(selectors))
	for _, s := range selectors {
		selector := types.InsightSelector{InsightType: types.InsightType(s.InsightType)}
		for _, c := range s.EventCategories {
			selector.EventCategories = append(selector.EventCategories, types.SourceEventCategory(c))
		}
		list = append(list, selector)
	}
	return list
}

func fromInsights(selectors []types.InsightSelector) []v1alpha1.InsightSelector {
	list := make([]v1alpha1.InsightSelector, 0, len(selectors))
	for _, s := range selectors {
		selector := v1alpha1.InsightSelector{InsightType: v1alpha1.InsightType(s.InsightType)}
		for _, c := range s.EventCategories {
			selector.EventCategories = append(selector.EventCategories, v1alpha1.InsightEventCategory(c))
		}
		list = append(list, selector)
	}
	return list
}

func toAggregations(configurations []v1alpha1.AggregationConfiguration) []types.AggregationConfiguration {
	list := make([]types.AggregationConfiguration, 0, len(configurations))
	for _, c := range configurations {
		configuration := types.AggregationConfiguration{EventCategory: types.EventCategoryAggregation(c.EventCategory)}
		for _, t := range c.Templates {
			configuration.Templates = append(configuration.Templates, types.Template(t))
		}
		list = append(list, configuration)
	}
	return list
}

func fromAggregations(configurations []types.AggregationConfiguration) []v1alpha1.AggregationConfiguration {
	list := make([]v1alpha1.AggregationConfiguration, 0, len(configurations))
	for _, c := range configurations {
		configuration := v1alpha1.AggregationConfiguration{EventCategory: v1alpha1.AggregationEventCategory(c.EventCategory)}
		for _, t := range c.Templates {
			configuration.Templates = append(configuration.Templates, v1alpha1.AggregationTemplate(t))
		}
		list = append(list, configuration)
	}
	return list
}

func fromStatus(out *cloudtrail.GetTrailStatusOutput) Status {
	return Status{
		IsLogging:                         aws.ToBool(out.IsLogging),
		StartLoggingTime:                  fromTime(out.StartLoggingTime),
		StopLoggingTime:                   fromTime(out.StopLoggingTime),
		LatestDeliveryTime:                fromTime(out.LatestDeliveryTime),
		LatestDeliveryError:               shown(aws.ToString(out.LatestDeliveryError)),
		LatestNotificationTime:            fromTime(out.LatestNotificationTime),
		LatestNotificationError:           shown(aws.ToString(out.LatestNotificationError)),
		LatestDigestDeliveryTime:          fromTime(out.LatestDigestDeliveryTime),
		LatestDigestDeliveryError:         shown(aws.ToString(out.LatestDigestDeliveryError)),
		LatestCloudWatchLogsDeliveryTime:  fromTime(out.LatestCloudWatchLogsDeliveryTime),
		LatestCloudWatchLogsDeliveryError: shown(aws.ToString(out.LatestCloudWatchLogsDeliveryError)),
	}
}

// maxShown bounds the texts of AWS's that people read, in bytes.
const maxShown = 2048

// shown returns a text of AWS's for people to read: of one line, without what a terminal would act on, and not too
// long.
func shown(s string) string { return text.Cut(text.Escape(s), maxShown) }

// fromTime returns a time of AWS's; zero for none, and for one that no call to CloudTrail was made at, which the API
// server would not take.
func fromTime(t *time.Time) time.Time {
	if t == nil || t.Year() < 1970 || t.Year() >= 3000 {
		return time.Time{}
	}
	return *t
}
