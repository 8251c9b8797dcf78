package trail

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

func TestSameKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wanted, reported    string
		applied, appliedARN string // What the status remembers.
		policy              v1alpha1.ManagementPolicy
		same                bool
	}{
		"none":                          {"", "", "", "", "", true},
		"wanted, none there":            {testKeyID, "", "", "", "", false},
		"not wanted, one there":         {"", testKeyARN, "", "", "", false},
		"by ARN":                        {testKeyARN, testKeyARN, "", "", "", true},
		"another by ARN":                {testKeyARN, otherKeyARN, "", "", "", false},
		"by id":                         {testKeyID, testKeyARN, "", "", "", true},
		"another by id":                 {testKeyID, otherKeyARN, "", "", "", false},
		"by the end of an id":           {"444455556666", testKeyARN, "", "", "", false},
		"by a multi-region id":          {"mrk-1", "arn:aws:kms:eu-central-1:111122223333:key/mrk-1", "", "", "", true},
		"alias as it was applied":       {"alias/trail", testKeyARN, "alias/trail", testKeyARN, "", true},
		"alias, changed behind us":      {"alias/trail", otherKeyARN, "alias/trail", testKeyARN, "", false},
		"alias, taken away behind us":   {"alias/trail", "", "alias/trail", testKeyARN, "", false},
		"alias, not applied yet":        {"alias/trail", testKeyARN, "", "", "", false},
		"alias, another applied":        {"alias/trail", testKeyARN, "alias/other", testKeyARN, "", false},
		"alias, its key's id applied":   {"alias/trail", testKeyARN, testKeyID, testKeyARN, "", false},
		"alias ARN as it was applied":   {aliasARN, testKeyARN, aliasARN, testKeyARN, "", true},
		"alias ARN, changed behind us":  {aliasARN, otherKeyARN, aliasARN, testKeyARN, "", false},
		"alias ARN, not applied yet":    {aliasARN, testKeyARN, "", "", "", false},
		"alias that is only observed":   {"alias/trail", testKeyARN, "", "", v1alpha1.ManagementPolicyObserve, true},
		"alias that is observed absent": {"alias/trail", "", "", "", v1alpha1.ManagementPolicyObserve, false},
		"observed, not the alias's": {
			"alias/trail", otherKeyARN, "alias/trail", testKeyARN, v1alpha1.ManagementPolicyObserve, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := &v1alpha1.Trail{
				Spec:   v1alpha1.TrailSpec{KMSKeyID: c.wanted, ManagementPolicy: c.policy},
				Status: v1alpha1.TrailStatus{KMSKeyID: c.applied, KMSKeyARN: c.appliedARN},
			}
			NewWithT(t).Expect(sameKey(trail, c.reported)).To(Equal(c.same))
		})
	}
}

func TestSameLogGroup(t *testing.T) {
	t.Parallel()
	const group = "arn:aws:logs:eu-central-1:111122223333:log-group:trail"
	for name, c := range map[string]struct {
		wanted, reported string
		same             bool
	}{
		"none":                 {"", "", true},
		"as it is":             {group + ":*", group + ":*", true},
		"without the ending":   {group, group + ":*", true},
		"with the ending only": {group + ":*", group, true},
		"another":              {group, group + "-2:*", false},
		"not wanted":           {"", group + ":*", false},
		"not there":            {group, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(sameLogGroup(c.wanted, c.reported)).To(Equal(c.same))
		})
	}
}

func objects(values ...string) v1alpha1.DataResource {
	return v1alpha1.DataResource{Type: "AWS::S3::Object", Values: values}
}

func TestSameSelectors(t *testing.T) {
	t.Parallel()
	const kms, rds = "kms.amazonaws.com", "rdsdata.amazonaws.com"
	standard := v1alpha1.EventSelector{ReadWriteType: v1alpha1.ReadWriteAll, IncludeManagementEvents: aws.Bool(true)}
	writes := v1alpha1.EventSelector{ReadWriteType: v1alpha1.WriteOnly}
	spelledOut := v1alpha1.EventSelector{ReadWriteType: v1alpha1.WriteOnly, IncludeManagementEvents: aws.Bool(true)}
	management := selecting("Management events selector", equals("eventCategory", "Management"))
	data := selecting("data", equals("eventCategory", "Data"), equals("resources.type", "AWS::S3::Object"))
	without := func(sources ...string) cloudtrail.Selectors {
		return basic(v1alpha1.EventSelector{ExcludeManagementEventSources: sources})
	}
	of := func(resources ...v1alpha1.DataResource) cloudtrail.Selectors {
		return basic(v1alpha1.EventSelector{DataResources: resources})
	}
	where := func(condition v1alpha1.AdvancedFieldSelector) cloudtrail.Selectors {
		return advanced(selecting("", condition))
	}
	for name, c := range map[string]struct {
		wanted, reported cloudtrail.Selectors
		same             bool
	}{
		"none":                               {basic(), basic(), true},
		"none, the default there":            {basic(), basic(standard), true},
		"none, the default twice there":      {basic(), basic(standard, standard), true},
		"none, the default in advanced form": {basic(), advanced(management), true},
		"none, part of it in advanced form": {
			basic(), advanced(selecting("", equals("eventCategory", "Management"), equals("readOnly", "false"))), false,
		},
		"none, data in advanced form":      {basic(), advanced(data), false},
		"none, more in advanced form":      {basic(), advanced(management, data), false},
		"none, another there":              {basic(), basic(writes), false},
		"none, the default and more there": {basic(), basic(standard, writes), false},
		"the default, none there":          {basic(v1alpha1.EventSelector{}), basic(), true},
		"the default, spelled out":         {basic(standard), basic(standard), true},
		"the default, half spelled out": {
			basic(v1alpha1.EventSelector{ReadWriteType: v1alpha1.ReadWriteAll}), basic(standard), true,
		},
		"the default, in advanced form": {basic(standard), advanced(management), true},
		"management events excluded":    {without(kms), basic(standard), false},
		"no management events": {
			basic(v1alpha1.EventSelector{IncludeManagementEvents: aws.Bool(false)}), basic(standard), false,
		},
		"in another order":          {basic(writes, standard), basic(standard, spelledOut), true},
		"one more":                  {basic(writes, standard), basic(writes), false},
		"excluded in another order": {without(kms, rds), without(rds, kms), true},
		"values in another order":   {of(objects("arn:a", "arn:b")), of(objects("arn:b", "arn:a")), true},
		"values of one type, apart": {of(objects("arn:a"), objects("arn:b")), of(objects("arn:b", "arn:a")), true},
		"one value more":            {of(objects("arn:a", "arn:b")), of(objects("arn:a")), false},
		"values of another type": {
			of(objects("arn:a")),
			of(v1alpha1.DataResource{Type: "AWS::Lambda::Function", Values: []string{"arn:a"}}), false,
		},
		"advanced":                 {advanced(data, management), advanced(management, data), true},
		"advanced, none there":     {advanced(data), basic(), false},
		"advanced, basic there":    {advanced(data), basic(writes), false},
		"basic, advanced there":    {basic(writes), advanced(data), false},
		"advanced by another name": {advanced(data), advanced(selecting("other", data.FieldSelectors...)), false},
		"advanced, fields reversed": {
			advanced(data), advanced(selecting("data", data.FieldSelectors[1], data.FieldSelectors[0])), true,
		},
		"advanced, values reversed": {
			where(equals("eventName", "A", "B")), where(equals("eventName", "B", "A")), true,
		},
		"advanced, another value": {where(equals("eventName", "A")), where(equals("eventName", "B")), false},
		"advanced, another operator": {
			where(equals("eventName", "A")),
			where(v1alpha1.AdvancedFieldSelector{Field: "eventName", NotEquals: []string{"A"}}), false,
		},
		"advanced, empty lists there": {
			where(equals("eventName", "A")),
			where(v1alpha1.AdvancedFieldSelector{Field: "eventName", Equals: []string{"A"}, EndsWith: []string{}}), true,
		},
		"the default in advanced form": {advanced(management), advanced(management), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(sameSelectors(c.wanted, c.reported)).To(Equal(c.same))
		})
	}

	for operator, condition := range map[string]v1alpha1.AdvancedFieldSelector{
		"equals":        {Equals: []string{"x"}},
		"notEquals":     {NotEquals: []string{"x"}},
		"startsWith":    {StartsWith: []string{"x"}},
		"notStartsWith": {NotStartsWith: []string{"x"}},
		"endsWith":      {EndsWith: []string{"x"}},
		"notEndsWith":   {NotEndsWith: []string{"x"}},
	} {
		t.Run("operator "+operator, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			condition.Field = "eventName"
			g.Expect(sameSelectors(where(condition), where(condition))).To(BeTrue())
			g.Expect(sameSelectors(where(condition), where(equals("eventName")))).To(BeFalse())
		})
	}
}

func TestSameInsights(t *testing.T) {
	t.Parallel()
	const calls, errs = v1alpha1.InsightType("ApiCallRateInsight"), v1alpha1.InsightType("ApiErrorRateInsight")
	insight := func(kind v1alpha1.InsightType, categories ...v1alpha1.InsightEventCategory) v1alpha1.InsightSelector {
		return v1alpha1.InsightSelector{InsightType: kind, EventCategories: categories}
	}
	type list = []v1alpha1.InsightSelector
	for name, c := range map[string]struct {
		wanted, reported list
		same             bool
	}{
		"none":                        {nil, list{}, true},
		"default category":            {list{insight(calls)}, list{insight(calls, "Management")}, true},
		"default category not wanted": {list{insight(calls, "Data")}, list{insight(calls)}, false},
		"another category":            {list{insight(calls)}, list{insight(calls, "Data")}, false},
		"one category more": {
			list{insight(calls, "Management", "Data")}, list{insight(calls, "Management")}, false,
		},
		"categories in another order": {
			list{insight(calls, "Management", "Data")}, list{insight(calls, "Data", "Management")}, true,
		},
		"types in another order": {
			list{insight(calls), insight(errs)}, list{insight(errs), insight(calls)}, true,
		},
		"one type more": {list{insight(calls), insight(errs)}, list{insight(errs)}, false},
		"not wanted":    {nil, list{insight(errs)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := testTrail(func(trail *v1alpha1.Trail) { trail.Spec.InsightSelectors = c.wanted })
			o := holding(trail, func(o *observation) { o.insights.value = c.reported })
			NewWithT(t).Expect(isEmpty(differencesOf(targetOf(trail), o))).To(Equal(c.same))
		})
	}
}

func TestSameAggregations(t *testing.T) {
	t.Parallel()
	const activity, actions = v1alpha1.AggregationTemplate("API_ACTIVITY"), v1alpha1.AggregationTemplate("USER_ACTIONS")
	type list = []v1alpha1.AggregationConfiguration
	by := func(templates ...v1alpha1.AggregationTemplate) v1alpha1.AggregationConfiguration {
		return v1alpha1.AggregationConfiguration{EventCategory: "Data", Templates: templates}
	}
	managementBy := func(templates ...v1alpha1.AggregationTemplate) v1alpha1.AggregationConfiguration {
		return v1alpha1.AggregationConfiguration{EventCategory: "Management", Templates: templates}
	}
	for name, c := range map[string]struct {
		wanted, reported list
		same             bool
	}{
		"none":                       {nil, list{}, true},
		"none, without templates":    {nil, list{by()}, true},
		"one":                        {list{by(activity)}, list{by(activity)}, true},
		"templates in another order": {list{by(activity, actions)}, list{by(actions, activity)}, true},
		"one template more":          {list{by(activity, actions)}, list{by(actions)}, false},
		"not there":                  {list{by(activity)}, nil, false},
		"not wanted":                 {nil, list{by(activity)}, false},
		"of another category":        {list{by(activity)}, list{managementBy(activity)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := testTrail(func(trail *v1alpha1.Trail) { trail.Spec.AggregationConfigurations = c.wanted })
			o := holding(trail, func(o *observation) { o.aggregations.value = c.reported })
			NewWithT(t).Expect(isEmpty(differencesOf(targetOf(trail), o))).To(Equal(c.same))
		})
	}
}

func isEmpty(differences []difference) bool { return len(differences) == 0 }

// TestComparisonChangesNothing holds that what is compared is not put in order in place: it may be a shared cache's.
func TestComparisonChangesNothing(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	values := []string{"arn:b", "arn:a"}
	wanted := basic(v1alpha1.EventSelector{DataResources: []v1alpha1.DataResource{objects(values...)}})
	g.Expect(sameSelectors(wanted, wanted)).To(BeTrue())
	g.Expect(values).To(Equal([]string{"arn:b", "arn:a"}))
	g.Expect(wanted.Basic[0].DataResources[0].Values).To(Equal(values))
}
