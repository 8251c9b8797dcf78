package trail

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// Comparison is by meaning: what a user wrote and what AWS answers are often different texts for one thing.

const (
	fieldEventCategory = "eventCategory"
	categoryManagement = "Management"
)

// sameLogGroup compares log group ARNs; the ending :* says nothing.
func sameLogGroup(a, b string) bool {
	return strings.TrimSuffix(a, ":*") == strings.TrimSuffix(b, ":*")
}

// sameKey compares a key of the spec with the ARN that AWS reports. An alias says nothing of the key behind it, so it
// is compared by what it stood for when it was last applied.
func sameKey(trail *v1alpha1.Trail, reported string) bool {
	wanted := trail.Spec.KMSKeyID
	switch {
	case wanted == "" || reported == "" || wanted == reported:
		return wanted == reported
	case isAlias(wanted) && trail.Status.KMSKeyID == wanted:
		return reported == trail.Status.KMSKeyARN
	case isAlias(wanted):
		// Never applied by us. Writing it resolves it; where nothing is written it cannot be known, and is not reported.
		return trail.Spec.ObserveOnly()
	case arn.IsARN(wanted):
		return false
	default:
		return strings.HasSuffix(reported, ":key/"+wanted)
	}
}

func isAlias(key string) bool {
	return strings.HasPrefix(key, "alias/") || arn.IsARN(key) && strings.Contains(key, ":alias/")
}

// sameSelectors compares event selectors as sets; CloudTrail's default is the same as none.
func sameSelectors(wanted, reported cloudtrail.Selectors) bool {
	wanted, reported = normalSelectors(wanted), normalSelectors(reported)
	if len(wanted.Basic)+len(wanted.Advanced) == 0 {
		return len(reported.Basic) == 0 && (len(reported.Advanced) == 0 || isDefaultAdvanced(reported.Advanced))
	}
	return sameJSON(wanted, reported)
}

// normalSelectors returns selectors with defaults spelled out, in order, without duplicates, the default basic selector
// as none.
func normalSelectors(s cloudtrail.Selectors) cloudtrail.Selectors {
	var normal cloudtrail.Selectors
	for _, b := range s.Basic {
		normal.Basic = append(normal.Basic, normalBasic(b))
	}
	for _, a := range s.Advanced {
		normal.Advanced = append(normal.Advanced, normalAdvanced(a))
	}
	normal.Basic, normal.Advanced = distinct(normal.Basic), distinct(normal.Advanced)
	if len(normal.Basic) == 1 && sameJSON(normal.Basic[0], normalBasic(v1alpha1.EventSelector{})) {
		normal.Basic = nil
	}
	return normal
}

func normalBasic(s v1alpha1.EventSelector) v1alpha1.EventSelector {
	management := s.IncludeManagementEvents == nil || *s.IncludeManagementEvents
	normal := v1alpha1.EventSelector{
		ReadWriteType:                 s.ReadWriteType,
		IncludeManagementEvents:       &management,
		ExcludeManagementEventSources: distinct(s.ExcludeManagementEventSources),
	}
	if normal.ReadWriteType == "" {
		normal.ReadWriteType = v1alpha1.ReadWriteAll
	}
	values := map[string][]string{}
	for _, d := range s.DataResources {
		values[d.Type] = append(values[d.Type], d.Values...)
	}
	for _, resourceType := range slices.Sorted(maps.Keys(values)) {
		normal.DataResources = append(normal.DataResources,
			v1alpha1.DataResource{Type: resourceType, Values: distinct(values[resourceType])})
	}
	return normal
}

func normalAdvanced(s v1alpha1.AdvancedEventSelector) v1alpha1.AdvancedEventSelector {
	normal := v1alpha1.AdvancedEventSelector{Name: s.Name}
	for _, f := range s.FieldSelectors {
		normal.FieldSelectors = append(normal.FieldSelectors, v1alpha1.AdvancedFieldSelector{
			Field:         f.Field,
			Equals:        distinct(f.Equals),
			NotEquals:     distinct(f.NotEquals),
			StartsWith:    distinct(f.StartsWith),
			NotStartsWith: distinct(f.NotStartsWith),
			EndsWith:      distinct(f.EndsWith),
			NotEndsWith:   distinct(f.NotEndsWith),
		})
	}
	normal.FieldSelectors = distinct(normal.FieldSelectors)
	return normal
}

// isDefaultAdvanced tells whether advanced selectors log what the default logs: all management events, nothing else.
func isDefaultAdvanced(selectors []v1alpha1.AdvancedEventSelector) bool {
	management := []v1alpha1.AdvancedFieldSelector{{Field: fieldEventCategory, Equals: []string{categoryManagement}}}
	return len(selectors) == 1 && sameJSON(
		normalAdvanced(v1alpha1.AdvancedEventSelector{FieldSelectors: selectors[0].FieldSelectors}),
		v1alpha1.AdvancedEventSelector{FieldSelectors: management},
	)
}

// normalInsights returns insight selectors in order, without duplicates; no categories means management events.
func normalInsights(selectors []v1alpha1.InsightSelector) []v1alpha1.InsightSelector {
	normal := make([]v1alpha1.InsightSelector, 0, len(selectors))
	for _, s := range selectors {
		categories := distinct(s.EventCategories)
		if len(categories) == 0 {
			categories = []v1alpha1.InsightEventCategory{v1alpha1.InsightEventCategoryManagement}
		}
		normal = append(normal, v1alpha1.InsightSelector{InsightType: s.InsightType, EventCategories: categories})
	}
	return distinct(normal)
}

// normalAggregations returns aggregation configurations in order, without duplicates and those that aggregate nothing.
func normalAggregations(configurations []v1alpha1.AggregationConfiguration) []v1alpha1.AggregationConfiguration {
	var normal []v1alpha1.AggregationConfiguration
	for _, c := range configurations {
		if len(c.Templates) > 0 {
			normal = append(normal,
				v1alpha1.AggregationConfiguration{EventCategory: c.EventCategory, Templates: distinct(c.Templates)})
		}
	}
	return distinct(normal)
}

// distinct returns the elements in a fixed order, each once; nil for none.
func distinct[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	byText := make(map[string]T, len(list))
	for _, element := range list {
		byText[asJSON(element)] = element
	}
	elements := make([]T, 0, len(byText))
	for _, key := range slices.Sorted(maps.Keys(byText)) {
		elements = append(elements, byText[key])
	}
	return elements
}

func sameJSON(a, b any) bool { return asJSON(a) == asJSON(b) }

// asJSON returns a value as JSON. Our API types can always be marshaled; a failure would be a bug of theirs.
func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) //nolint:forbidigo // Nobody could do anything about it.
	}
	return string(data)
}
