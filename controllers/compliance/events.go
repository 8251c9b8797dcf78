package compliance

import (
	"slices"
	"strings"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/coverage"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// selectors are the names of the fields that select events.
var selectors = []string{"eventSelectors", "advancedEventSelectors"}

// judgeManagementEvents: all management events, those that read and those that write, with nothing excluded.
func judgeManagementEvents(s *subject) finding {
	events := s.managementEvents()
	return s.judgeSetting(setting{
		names: selectors, asked: events.Complete(), isRight: nil,
		right: "the trail records all management events",
		wrong: missingManagementEvents(events) + ": let a selector of " + s.selectorField() + " take all of them",
	})
}

// missingManagementEvents says which management events a trail leaves out.
func missingManagementEvents(events coverage.Events) string {
	var missing []string
	for _, kind := range []struct {
		name   string
		extent coverage.Extent
	}{
		{"management events that only read", events.Read},
		{"management events that change something", events.Write},
	} {
		switch kind.extent {
		case coverage.None:
			missing = append(missing, "no "+kind.name)
		case coverage.Some:
			missing = append(missing, "only some of the "+kind.name)
		case coverage.All:
		}
	}

	message := "the trail records " + strings.Join(missing, " and ")
	if len(events.Excluded) > 0 {
		message += " (" + text.Printable(text.Cut(strings.Join(events.Excluded, "; "), maxShown)) + ")"
	}
	return message
}

// maxShown bounds what a message shows of the text of a spec, in bytes.
const maxShown = 200

// selectorField returns the path of the field that has the trail's selectors, or may have them.
func (s *subject) selectorField() string {
	if len(s.trail.Spec.EventSelectors) > 0 {
		return "spec.eventSelectors"
	}
	return "spec.advancedEventSelectors"
}

// s3Object is the type of the resources of S3's data events.
const s3Object = "AWS::S3::Object"

// judgeS3Writes: the data events of S3 that change an object, of all buckets.
func judgeS3Writes(s *subject) finding {
	return judgeS3Events(s, v1alpha1.WriteOnly, "change", "false")
}

// judgeS3Reads: the data events of S3 that read an object, of all buckets.
func judgeS3Reads(s *subject) finding {
	return judgeS3Events(s, v1alpha1.ReadOnly, "read", "true")
}

// judgeS3Events judges the data events of S3 of one kind. As the rules of AWS Config, and as Security Hub, it asks for
// those of all buckets, present and future, in all regions.
func judgeS3Events(s *subject, kind v1alpha1.ReadWriteType, verb, readOnly string) finding {
	taken := slices.ContainsFunc(s.trail.Spec.EventSelectors, func(e v1alpha1.EventSelector) bool {
		return takesS3(&e, kind)
	}) || slices.ContainsFunc(s.trail.Spec.AdvancedEventSelectors, func(a v1alpha1.AdvancedEventSelector) bool {
		return takesS3Advanced(a.FieldSelectors, readOnly)
	})

	events := "the events that " + verb + " S3 objects"
	f := s.judgeSetting(setting{
		names: selectors, asked: taken, isRight: nil,
		right: "the trail records " + events + " of all buckets",
		wrong: "the trail does not record " + events + " of all buckets: let a selector of " + s.selectorField() +
			" take the data events of " + s3Object,
	})
	if f.outcome == Pass && judgeMultiRegion(s).outcome != Pass {
		return fail("the trail records " + events + " of its home region only: set spec.isMultiRegionTrail: true")
	}
	return f
}

// takesS3 tells whether a basic selector takes all of S3's data events of a kind.
func takesS3(selector *v1alpha1.EventSelector, kind v1alpha1.ReadWriteType) bool {
	if selector.ReadWriteType != "" && selector.ReadWriteType != v1alpha1.ReadWriteAll && selector.ReadWriteType != kind {
		return false
	}
	return slices.ContainsFunc(selector.DataResources, func(r v1alpha1.DataResource) bool {
		return r.Type == s3Object && slices.ContainsFunc(r.Values, isEveryBucket)
	})
}

// isEveryBucket tells whether an ARN stands for the objects of all buckets: arn:PARTITION:s3, or the prefix of all ARNs
// of objects, arn:PARTITION:s3:::
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DataResource.html
func isEveryBucket(arn string) bool {
	parts := strings.Split(arn, ":")
	rest := strings.Join(parts[min(2, len(parts)):], ":")
	return len(parts) > 2 && parts[0] == "arn" && parts[1] != "" && (rest == "s3" || rest == "s3:::")
}

// takesS3Advanced tells whether an advanced selector takes all of S3's data events of a kind: it asks for nothing but
// their category, their type and, possibly, their kind.
func takesS3Advanced(fields []v1alpha1.AdvancedFieldSelector, readOnly string) bool {
	data, s3 := false, false
	for i := range fields {
		field := &fields[i]
		switch field.Field {
		case "eventCategory":
			data = isOnly(field, "Data")
		case "resources.type":
			s3 = isOnly(field, s3Object)
		case "readOnly":
			if !isOnly(field, readOnly) {
				return false
			}
		case "resources.ARN":
			if !everyBucketStartsWith(field) {
				return false
			}
		default:
			return false
		}
	}
	return data && s3
}

// isOnly tells whether a field must equal one value, and is compared in no other way.
func isOnly(field *v1alpha1.AdvancedFieldSelector, value string) bool {
	return slices.Equal(field.Equals, []string{value}) && len(field.StartsWith) == 0 && hasNoOther(field)
}

// everyBucketStartsWith tells whether the ARNs of all objects satisfy a field selector: the console writes it so.
func everyBucketStartsWith(field *v1alpha1.AdvancedFieldSelector) bool {
	return slices.ContainsFunc(field.StartsWith, isEveryBucket) && len(field.Equals) == 0 && hasNoOther(field)
}

// hasNoOther tells whether a field is compared by equals and startsWith only.
func hasNoOther(field *v1alpha1.AdvancedFieldSelector) bool {
	return len(field.NotEquals)+len(field.NotStartsWith)+len(field.EndsWith)+len(field.NotEndsWith) == 0
}
