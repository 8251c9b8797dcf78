package cloudtrailtest

import (
	"iter"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// EventSelector is a basic event selector, as AWS answers it.
type EventSelector struct {
	ReadWriteType                 string
	IncludeManagementEvents       bool
	DataResources                 []DataResource
	ExcludeManagementEventSources []string
}

// DataResource names resources whose data events are logged.
type DataResource struct {
	Type   string
	Values []string
}

// AdvancedEventSelector is an advanced event selector.
type AdvancedEventSelector struct {
	Name           string `json:",omitempty"`
	FieldSelectors []FieldSelector
}

// FieldSelector is one condition of an advanced event selector.
type FieldSelector struct {
	Field         string
	Equals        []string `json:",omitempty"`
	StartsWith    []string `json:",omitempty"`
	EndsWith      []string `json:",omitempty"`
	NotEquals     []string `json:",omitempty"`
	NotStartsWith []string `json:",omitempty"`
	NotEndsWith   []string `json:",omitempty"`
}

// defaultSelector is what a trail has when none was put: all management events and no data events.
func defaultSelector() EventSelector {
	return EventSelector{
		ReadWriteType:                 "All",
		IncludeManagementEvents:       true,
		DataResources:                 []DataResource{},
		ExcludeManagementEventSources: []string{},
	}
}

func (e EventSelector) isDefault() bool {
	return e.ReadWriteType == "All" && e.IncludeManagementEvents && len(e.DataResources) == 0 &&
		len(e.ExcludeManagementEventSources) == 0
}

func (t *trail) hasCustomSelectors() bool { return len(t.basic) > 0 || len(t.advanced) > 0 }

// Limits of https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html.
const (
	maxSelectors      = 5
	maxDataResources  = 250
	maxAdvancedValues = 500
	maxSelectorName   = 1000
	maxFieldValue     = 2048
)

func badSelectors(format string, args ...any) error {
	return fail("InvalidEventSelectorsException", format, args...)
}

// getEventSelectors returns the trail's selectors: the default one if none was put. Members of an organization do not
// get those of its trail. AWS documents for GetTrailStatus that they name the trail by its ARN, and says nothing of the
// kind here; people have found that the call fails: https://github.com/cloud-custodian/cloud-custodian/pull/6394.
func (s *Server) getEventSelectors(c *call) (map[string]any, error) {
	t, err := s.named(c, "TrailName", toRead)
	if err != nil {
		return nil, err
	}
	if !s.manages(c.account, t) {
		return nil, unknownTrail(t.arn, c.account)
	}
	return t.selectorFields(), nil
}

func (t *trail) selectorFields() map[string]any {
	out := map[string]any{"TrailARN": t.arn}
	switch {
	case len(t.advanced) > 0:
		out["AdvancedEventSelectors"] = t.advanced
	case len(t.basic) > 0:
		out["EventSelectors"] = t.basic
	default:
		out["EventSelectors"] = []EventSelector{defaultSelector()}
	}
	return out
}

// putEventSelectors replaces the trail's selectors, of whichever kind, by those of the request.
func (s *Server) putEventSelectors(c *call) (map[string]any, error) {
	basicIn, hasBasic := c.params.structures("EventSelectors")
	advancedIn, hasAdvanced := c.params.structures("AdvancedEventSelectors")
	basic, advanced := readBasic(basicIn), readAdvanced(advancedIn)
	t, err := s.named(c, "TrailName", toWrite)
	if err != nil {
		return nil, err
	}

	switch {
	case hasBasic && hasAdvanced:
		return nil, badSelectors("You can use either EventSelectors or AdvancedEventSelectors, but not both.")
	case !hasBasic && !hasAdvanced:
		return nil, badSelectors("You must specify either EventSelectors or AdvancedEventSelectors.")
	case hasBasic:
		err = validBasic(basic, c.partition)
	default:
		err = validAdvanced(advanced)
	}
	if err != nil {
		return nil, err
	}

	if len(basic) == 1 && basic[0].isDefault() {
		basic = nil
	}
	n := *t
	n.basic, n.advanced, n.updated = basic, advanced, c.now
	return s.commit(c, t, &n).selectorFields(), nil
}

func readBasic(in []members) []EventSelector {
	out := make([]EventSelector, 0, len(in))
	for _, m := range in {
		e := defaultSelector()
		set(&e.ReadWriteType, m.optText("ReadWriteType"))
		set(&e.IncludeManagementEvents, m.flag("IncludeManagementEvents"))
		if sources, ok := m.texts("ExcludeManagementEventSources"); ok {
			e.ExcludeManagementEventSources = sources
		}
		resources, _ := m.structures("DataResources")
		for _, r := range resources {
			values, _ := r.texts("Values")
			e.DataResources = append(e.DataResources, DataResource{r.text("Type"), values})
		}
		out = append(out, e)
	}
	return out
}

func validBasic(selectors []EventSelector, partition string) error {
	if len(selectors) < 1 || len(selectors) > maxSelectors {
		return badSelectors("Specify a valid number of selectors (1 to 5) for your trail.")
	}

	values := 0
	for _, e := range selectors {
		if !slices.Contains([]string{"All", "ReadOnly", "WriteOnly"}, e.ReadWriteType) {
			return badSelectors("Value %s for ReadWriteType is invalid.", e.ReadWriteType)
		}
		if !e.IncludeManagementEvents && len(e.DataResources) == 0 {
			return badSelectors("An event selector that does not include management events must specify DataResources.")
		}
		if err := validExcludedSources(e); err != nil {
			return err
		}

		for _, r := range e.DataResources {
			if err := validDataResource(r, partition); err != nil {
				return err
			}
			values += len(r.Values)
		}
	}

	if values > maxDataResources {
		return badSelectors("Specify a valid number of DataResources.Values (0 to 250) for all your selectors.")
	}
	return nil
}

var excludableSources = []string{"kms.amazonaws.com", "rdsdata.amazonaws.com"}

func validExcludedSources(e EventSelector) error {
	for i, source := range e.ExcludeManagementEventSources {
		if !slices.Contains(excludableSources, source) || slices.Contains(e.ExcludeManagementEventSources[:i], source) {
			return badSelectors("Value %s for ExcludeManagementEventSources is invalid.", source)
		}
	}
	if len(e.ExcludeManagementEventSources) > 0 && !e.IncludeManagementEvents {
		return badSelectors("ExcludeManagementEventSources can only be specified when IncludeManagementEvents is true.")
	}
	return nil
}

// dataValues are the forms of DataResources.Values by type, after arn:PARTITION: — everything of the type, or one
// resource. An S3 value needs the slash after the bucket: without, AWS rejects it.
var dataValues = map[string]*regexp.Regexp{
	"AWS::S3::Object": regexp.MustCompile(`^s3(:::([a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^*]*)?)?$`),
	"AWS::Lambda::Function": regexp.MustCompile(
		`^lambda(:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9-_]+(:[A-Za-z0-9-_$]+)?)?$`,
	),
	"AWS::DynamoDB::Table": regexp.MustCompile(
		`^dynamodb(:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]{3,255}(/stream/.+)?)?$`,
	),
}

func validDataResource(r DataResource, partition string) error {
	form := dataValues[r.Type]
	if form == nil {
		return badSelectors("Value %s for DataResources.Type is invalid.", r.Type)
	}
	if len(r.Values) == 0 {
		return badSelectors("Specify a valid number of DataResources.Values (1 to 250) for your selector.")
	}
	for _, value := range r.Values {
		rest, ok := strings.CutPrefix(value, "arn:"+partition+":")
		if !ok || !form.MatchString(rest) {
			return badSelectors("Value %s for DataResources.Values is invalid.", value)
		}
	}
	return nil
}

func readAdvanced(in []members) []AdvancedEventSelector {
	out := make([]AdvancedEventSelector, 0, len(in))
	for _, m := range in {
		e := AdvancedEventSelector{Name: m.text("Name"), FieldSelectors: []FieldSelector{}}
		fields, _ := m.structures("FieldSelectors")
		for _, f := range fields {
			one := FieldSelector{Field: f.text("Field")}
			for name, values := range one.operators() {
				// Empty but present is an error that validation has to see.
				*values, _ = f.texts(name)
			}
			e.FieldSelectors = append(e.FieldSelectors, one)
		}
		out = append(out, e)
	}
	return out
}

// operators returns the operators' values by name, in an order of their own: it decides which of two errors is
// answered.
func (f *FieldSelector) operators() iter.Seq2[string, *[]string] {
	return func(yield func(string, *[]string) bool) {
		_ = yield("Equals", &f.Equals) && yield("StartsWith", &f.StartsWith) && yield("EndsWith", &f.EndsWith) &&
			yield("NotEquals", &f.NotEquals) && yield("NotStartsWith", &f.NotStartsWith) && yield("NotEndsWith", &f.NotEndsWith)
	}
}

// category says which fields an event category's selectors have on a trail, and which of them they need.
type category struct{ required, allowed []string }

// categories, of https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_AdvancedFieldSelector.html. The further
// categories there are for event data stores only.
var categories = map[string]category{
	"Management": {[]string{"eventCategory"}, []string{"eventCategory", "eventSource", "readOnly"}},
	"Data": {[]string{"eventCategory", "resources.type"}, []string{
		"eventCategory", "resources.type", "eventName", "eventSource", "eventType", "readOnly", "resources.ARN",
		"sessionCredentialFromConsole", "userIdentity.arn",
	}},
	"NetworkActivity": {[]string{"eventCategory", "eventSource"}, []string{
		"eventCategory", "eventSource", "eventName", "errorCode", "vpcEndpointId",
	}},
}

func validAdvanced(selectors []AdvancedEventSelector) error {
	if len(selectors) == 0 {
		return badSelectors("Specify at least one advanced event selector.")
	}
	values := 0
	for _, e := range selectors {
		if utf8.RuneCountInString(e.Name) > maxSelectorName {
			return badSelectors("The name of an advanced event selector has at most 1000 characters.")
		}
		n, err := validFields(e)
		if err != nil {
			return err
		}
		values += n
	}
	if values > maxAdvancedValues {
		return badSelectors("Specify up to 500 values for all conditions in all advanced event selectors for your trail.")
	}
	return nil
}

// validFields checks the conditions of one selector and returns the number of their values.
func validFields(e AdvancedEventSelector) (values int, err error) {
	byField := map[string]FieldSelector{}
	for _, f := range e.FieldSelectors {
		if _, twice := byField[f.Field]; twice {
			return 0, badSelectors("Field %s appears more than once in an advanced event selector.", f.Field)
		}
		byField[f.Field] = f
		n, err := validOperators(f)
		if err != nil {
			return 0, err
		}
		values += n
	}

	chosen, ok := byField["eventCategory"]
	if !ok {
		return 0, badSelectors("An advanced event selector must have a field selector for eventCategory.")
	}
	kind, ok := categories[chosen.Equals[0]]
	if !ok {
		return 0, badSelectors("Value %s for eventCategory is invalid.", chosen.Equals[0])
	}

	for _, field := range kind.required {
		if _, ok := byField[field]; !ok {
			return 0, badSelectors(
				"An advanced event selector for %s events must have a field selector for %s.",
				chosen.Equals[0],
				field,
			)
		}
	}
	for _, f := range e.FieldSelectors {
		if !slices.Contains(kind.allowed, f.Field) {
			return 0, badSelectors(
				"Field %s is not supported in an advanced event selector for %s events.",
				f.Field,
				chosen.Equals[0],
			)
		}
	}

	return values, validSource(chosen.Equals[0], byField["eventSource"])
}

var resourceType = regexp.MustCompile(`^[A-Za-z0-9]+::[A-Za-z0-9]+::[A-Za-z0-9]+$`)

// validOperators checks the operators of one condition and returns the number of their values.
func validOperators(f FieldSelector) (values int, err error) {
	if f.Field == "" {
		return 0, badSelectors("A field selector must have a Field.")
	}

	for name, list := range f.operators() {
		if *list == nil {
			continue
		}
		if len(*list) == 0 {
			return 0, badSelectors("Operator %s of field %s has no values.", name, f.Field)
		}
		for _, v := range *list {
			if v == "" || utf8.RuneCountInString(v) > maxFieldValue {
				return 0, badSelectors("Values of field %s must have 1 to 2048 characters.", f.Field)
			}
		}
		values += len(*list)
		if name != "Equals" && slices.Contains([]string{"readOnly", "eventCategory", "resources.type"}, f.Field) {
			return 0, badSelectors("Field %s only supports the operator Equals.", f.Field)
		}
	}

	switch {
	case values == 0:
		return 0, badSelectors("Field selector for %s has no operator.", f.Field)
	case slices.ContainsFunc(f.Equals, func(v string) bool { return slices.Contains(f.NotEquals, v) }):
		return 0, badSelectors("Field %s has the same value in Equals and NotEquals.", f.Field)
	case f.Field == "readOnly" && (len(f.Equals) != 1 || f.Equals[0] != "true" && f.Equals[0] != "false"):
		return 0, badSelectors("Field readOnly takes one value, true or false.")
	case (f.Field == "eventCategory" || f.Field == "resources.type") && len(f.Equals) != 1:
		return 0, badSelectors("Field %s takes one value.", f.Field)
	case f.Field == "resources.type" && !resourceType.MatchString(f.Equals[0]):
		return 0, badSelectors("Value %s for resources.type is invalid.", f.Equals[0])
	}

	return values, nil
}

// validSource checks eventSource, which takes the least where a trail logs management or network activity events: the
// former may leave out two noisy sources, the latter names one.
func validSource(kind string, f FieldSelector) error {
	if f.Field == "" || kind == "Data" {
		return nil
	}
	total := 0
	for _, list := range f.operators() {
		total += len(*list)
	}
	switch {
	case kind == "Management" && (total != len(f.NotEquals) ||
		slices.ContainsFunc(f.NotEquals, func(v string) bool { return !slices.Contains(excludableSources, v) })):
		return badSelectors(
			"Field eventSource of management events only supports NotEquals with kms.amazonaws.com and rdsdata.amazonaws.com.",
		)
	case kind == "NetworkActivity" && (len(f.Equals) != 1 || total != 1):
		return badSelectors("Field eventSource of network activity events takes one value with Equals.")
	}
	return nil
}

// logs says whether the trail's selectors log events of a category ("Management" or "Data"), writes at the least if
// writes is set.
func (t *trail) logs(kind string, writes bool) bool {
	if len(t.advanced) > 0 {
		return slices.ContainsFunc(t.advanced, func(e AdvancedEventSelector) bool {
			right, readsOnly := false, false
			for _, f := range e.FieldSelectors {
				right = right || f.Field == "eventCategory" && slices.Equal(f.Equals, []string{kind})
				readsOnly = readsOnly || f.Field == "readOnly" && slices.Equal(f.Equals, []string{"true"})
			}
			return right && !(writes && readsOnly)
		})
	}
	basic := t.basic
	if len(basic) == 0 {
		basic = []EventSelector{defaultSelector()}
	}
	return slices.ContainsFunc(basic, func(e EventSelector) bool {
		return (kind == "Management" && e.IncludeManagementEvents || kind == "Data" && len(e.DataResources) > 0) &&
			!(writes && e.ReadWriteType == "ReadOnly")
	})
}

func copyBasic(in []EventSelector) []EventSelector {
	out := slices.Clone(in)
	for i := range out {
		out[i].ExcludeManagementEventSources = slices.Clone(out[i].ExcludeManagementEventSources)
		out[i].DataResources = slices.Clone(out[i].DataResources)
		for j := range out[i].DataResources {
			out[i].DataResources[j].Values = slices.Clone(out[i].DataResources[j].Values)
		}
	}
	return out
}

func copyAdvanced(in []AdvancedEventSelector) []AdvancedEventSelector {
	out := slices.Clone(in)
	for i := range out {
		out[i].FieldSelectors = slices.Clone(out[i].FieldSelectors)
		for j := range out[i].FieldSelectors {
			for _, values := range out[i].FieldSelectors[j].operators() {
				*values = slices.Clone(*values)
			}
		}
	}
	return out
}
