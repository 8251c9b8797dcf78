package cloudtrailtest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
)

// asJSON is a value without the SDK's pointers.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	wants(t, err, "")
	return string(raw)
}

func data(kind string, values ...string) []types.DataResource {
	return []types.DataResource{{Type: &kind, Values: values}}
}

func values(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("arn:aws:s3:::bucket-%d/", i)
	}
	return out
}

func TestBasicSelectors(t *testing.T) {
	const bad = "InvalidEventSelectorsException"
	all := types.EventSelector{ReadWriteType: "All", IncludeManagementEvents: aws.Bool(true)}
	of := func(kind string, values ...string) []types.EventSelector {
		return []types.EventSelector{{DataResources: data(kind, values...)}}
	}
	without := func(sources ...string) []types.EventSelector {
		return []types.EventSelector{{ExcludeManagementEventSources: sources}}
	}
	for name, c := range map[string]struct {
		selectors []types.EventSelector
		want      string
		custom    bool
	}{
		"empty":                     {[]types.EventSelector{}, bad, false},
		"the default":               {[]types.EventSelector{all}, "", false},
		"the default, left out":     {[]types.EventSelector{{}}, "", false},
		"twice the default":         {[]types.EventSelector{all, all}, "", true},
		"five":                      {[]types.EventSelector{all, all, all, all, all}, "", true},
		"six":                       {[]types.EventSelector{all, all, all, all, all, all}, bad, false},
		"writes only":               {[]types.EventSelector{{ReadWriteType: "WriteOnly"}}, "", true},
		"read-only, as in the docs": {[]types.EventSelector{{ReadWriteType: "read-only"}}, bad, false},
		"nothing at all":            {[]types.EventSelector{{IncludeManagementEvents: aws.Bool(false)}}, bad, false},
		"data only": {[]types.EventSelector{{
			IncludeManagementEvents: aws.Bool(false),
			DataResources:           data("AWS::S3::Object", "arn:aws:s3:::bucket/"),
		}}, "", true},
		"all of S3":              {of("AWS::S3::Object", "arn:aws:s3"), "", true},
		"all of S3, older":       {of("AWS::S3::Object", "arn:aws:s3:::"), "", true},
		"a prefix":               {of("AWS::S3::Object", "arn:aws:s3:::bucket/a/b"), "", true},
		"a bucket without slash": {of("AWS::S3::Object", "arn:aws:s3:::bucket"), bad, false},
		"a wildcard":             {of("AWS::S3::Object", "arn:aws:s3:::*"), bad, false},
		"another partition":      {of("AWS::S3::Object", "arn:aws-cn:s3:::bucket/"), bad, false},
		"all functions":          {of("AWS::Lambda::Function", "arn:aws:lambda"), "", true},
		"a function": {
			of("AWS::Lambda::Function", "arn:aws:lambda:us-west-2:111111111111:function:helloworld"),
			"", true,
		},
		"functions with a wildcard": {of("AWS::Lambda::Function", "arn:aws:lambda:*"), bad, false},
		"all tables":                {of("AWS::DynamoDB::Table", "arn:aws:dynamodb"), "", true},
		"a table": {
			of("AWS::DynamoDB::Table", "arn:aws:dynamodb:us-west-2:111111111111:table/orders"),
			"", true,
		},
		"a type for advanced ones": {of("AWS::SNS::Topic", "arn:aws:sns"), bad, false},
		"a type without values":    {of("AWS::S3::Object"), bad, false},
		"250 values": {[]types.EventSelector{
			{DataResources: data("AWS::S3::Object", values(125)...)},
			{DataResources: data("AWS::S3::Object", values(125)...)},
		}, "", true},
		"251 values": {[]types.EventSelector{
			{DataResources: data("AWS::S3::Object", values(125)...)},
			{DataResources: data("AWS::S3::Object", values(126)...)},
		}, bad, false},
		"without KMS":        {without("kms.amazonaws.com"), "", true},
		"without both":       {without("kms.amazonaws.com", "rdsdata.amazonaws.com"), "", true},
		"without KMS, twice": {without("kms.amazonaws.com", "kms.amazonaws.com"), bad, false},
		"without another":    {without("s3.amazonaws.com"), bad, false},
		"sources of no events at all": {[]types.EventSelector{{
			IncludeManagementEvents:       aws.Bool(false),
			DataResources:                 data("AWS::S3::Object", "arn:aws:s3"),
			ExcludeManagementEventSources: []string{"kms.amazonaws.com"},
		}}, bad, false},
		"no sources, explicitly empty": {[]types.EventSelector{{ExcludeManagementEventSources: []string{}}}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			cl := e.in(region)
			create(t, cl, "audit")
			put, err := cl.PutEventSelectors(
				ctx,
				&cloudtrail.PutEventSelectorsInput{TrailName: aws.String("audit"), EventSelectors: c.selectors},
			)
			wants(t, err, c.want)
			got, err := cl.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: aws.String("audit")})
			wants(t, err, "")
			if c.want == "" {
				equal(t, "put answers what get does", asJSON(t, put.EventSelectors), asJSON(t, got.EventSelectors))
			}
			trail, err := cl.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: aws.String("audit")})
			wants(t, err, "")
			equal(t, "custom", *trail.Trail.HasCustomEventSelectors, c.custom)
			if !c.custom {
				equal(
					t,
					"default",
					asJSON(t, got.EventSelectors),
					`[{"DataResources":[],"ExcludeManagementEventSources":[],"IncludeManagementEvents":true,"ReadWriteType":"All"}]`,
				)
			}
		})
	}
}

func field(name, op string, values ...string) types.AdvancedFieldSelector {
	f := types.AdvancedFieldSelector{Field: &name}
	switch op {
	case "Equals":
		f.Equals = values
	case "NotEquals":
		f.NotEquals = values
	case "StartsWith":
		f.StartsWith = values
	case "EndsWith":
		f.EndsWith = values
	case "NotStartsWith":
		f.NotStartsWith = values
	case "NotEndsWith":
		f.NotEndsWith = values
	}
	return f
}

func fields(f ...types.AdvancedFieldSelector) types.AdvancedEventSelector {
	return types.AdvancedEventSelector{FieldSelectors: f}
}

func TestAdvancedSelectors(t *testing.T) {
	management, ofData := field("eventCategory", "Equals", "Management"), field("eventCategory", "Equals", "Data")
	network := field("eventCategory", "Equals", "NetworkActivity")
	objects := field("resources.type", "Equals", "AWS::S3::Object")
	const bad = "InvalidEventSelectorsException"
	one := func(f ...types.AdvancedFieldSelector) []types.AdvancedEventSelector {
		return []types.AdvancedEventSelector{fields(f...)}
	}
	named := func(name string) []types.AdvancedEventSelector {
		return []types.AdvancedEventSelector{
			{Name: &name, FieldSelectors: []types.AdvancedFieldSelector{management}},
		}
	}
	for name, c := range map[string]struct {
		selectors []types.AdvancedEventSelector
		want      string
	}{
		"empty":             {[]types.AdvancedEventSelector{}, bad},
		"management":        {one(management), ""},
		"management, reads": {one(management, field("readOnly", "Equals", "true")), ""},
		"without KMS": {
			one(management, field("eventSource", "NotEquals", "kms.amazonaws.com", "rdsdata.amazonaws.com")),
			"",
		},
		"only KMS":           {one(management, field("eventSource", "Equals", "kms.amazonaws.com")), bad},
		"without S3":         {one(management, field("eventSource", "NotEquals", "s3.amazonaws.com")), bad},
		"management by name": {one(management, field("eventName", "Equals", "RunInstances")), bad},
		"no category":        {one(objects), bad},
		"no fields":          {[]types.AdvancedEventSelector{{FieldSelectors: []types.AdvancedFieldSelector{}}}, bad},
		"a category of Lake": {one(field("eventCategory", "Equals", "ConfigurationItem")), bad},
		"two categories":     {one(field("eventCategory", "Equals", "Management", "Data"), objects), bad},
		"category by prefix": {one(field("eventCategory", "StartsWith", "Man")), bad},
		"data":               {one(ofData, objects), ""},
		"data of no type":    {one(ofData), bad},
		"data of two types":  {one(ofData, field("resources.type", "Equals", "AWS::S3::Object", "AWS::SNS::Topic")), bad},
		"type twice":         {one(ofData, objects, objects), bad},
		"a malformed type":   {one(ofData, field("resources.type", "Equals", "S3")), bad},
		"a new type":         {one(ofData, field("resources.type", "Equals", "AWS::Quantum::Entanglement")), ""},
		"not a type":         {one(ofData, field("resources.type", "NotEquals", "AWS::S3::Object")), bad},
		"data with every field": {one(
			ofData,
			objects,
			field("eventName", "StartsWith", "Put"),
			field("eventSource", "Equals", "s3.amazonaws.com"),
			field("eventType", "NotEquals", "AwsServiceEvent"),
			field("readOnly", "Equals", "false"),
			field("resources.ARN", "NotStartsWith", "arn:aws:s3:::logs/"),
			field("sessionCredentialFromConsole", "Equals", "true"),
			field("userIdentity.arn", "NotEndsWith", "/robot"),
		), ""},
		"a field of the other": {one(ofData, objects, field("vpcEndpointId", "Equals", "vpce-1")), bad},
		"network": {one(
			network,
			field("eventSource", "Equals", "s3.amazonaws.com"),
			field("errorCode", "Equals", "VpceAccessDenied"),
			field("vpcEndpointId", "Equals", "vpce-1"),
			field("eventName", "Equals", "GetObject"),
		), ""},
		"network of no source": {one(network), bad},
		"network of two sources": {
			one(network, field("eventSource", "Equals", "s3.amazonaws.com", "ec2.amazonaws.com")),
			bad,
		},
		"network of a type": {one(network, field("eventSource", "Equals", "s3.amazonaws.com"), objects), bad},
		"readOnly perhaps":  {one(management, field("readOnly", "Equals", "maybe")), bad},
		"readOnly both":     {one(management, field("readOnly", "Equals", "true", "false")), bad},
		"readOnly not":      {one(management, field("readOnly", "NotEquals", "true")), bad},
		"no operator":       {one(management, field("readOnly", "")), bad},
		"an operator without values": {one(ofData, objects, types.AdvancedFieldSelector{
			Field:     aws.String("eventName"),
			Equals:    []string{"PutObject"},
			NotEquals: []string{},
		}), bad},
		"an empty value":   {one(ofData, objects, field("eventName", "Equals", "")), bad},
		"a value too long": {one(ofData, objects, field("eventName", "Equals", strings.Repeat("x", 2049))), bad},
		"a value and its contrary": {one(ofData, objects, types.AdvancedFieldSelector{
			Field:     aws.String("eventName"),
			Equals:    []string{"A"},
			NotEquals: []string{"A"},
		}), bad},
		"no field's name": {one(management, field("", "Equals", "x")), bad},
		"a name of 1000":  {named(strings.Repeat("n", 1000)), ""},
		"a name of 1001":  {named(strings.Repeat("n", 1001)), bad},
		"500 values":      {one(ofData, objects, field("resources.ARN", "StartsWith", values(498)...)), ""},
		"501 values": {
			[]types.AdvancedEventSelector{
				fields(ofData, objects, field("resources.ARN", "StartsWith", values(498)...)),
				fields(management),
			},
			bad,
		},
		"six selectors": {
			[]types.AdvancedEventSelector{
				fields(management), fields(management), fields(management),
				fields(management), fields(management), fields(management),
			},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			cl := e.in(region)
			create(t, cl, "audit")
			put, err := cl.PutEventSelectors(
				ctx,
				&cloudtrail.PutEventSelectorsInput{TrailName: aws.String("audit"), AdvancedEventSelectors: c.selectors},
			)
			wants(t, err, c.want)
			got, err := cl.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: aws.String("audit")})
			wants(t, err, "")
			if c.want != "" {
				equal(t, "nothing changed", len(got.AdvancedEventSelectors), 0)
				return
			}
			equal(t, "selectors", asJSON(t, got.AdvancedEventSelectors), asJSON(t, c.selectors))
			equal(t, "put answers them too", asJSON(t, put.AdvancedEventSelectors), asJSON(t, c.selectors))
			equal(t, "no basic ones", got.EventSelectors == nil, true)
			trail, err := cl.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: aws.String("audit")})
			wants(t, err, "")
			equal(t, "custom", *trail.Trail.HasCustomEventSelectors, true)
		})
	}
}

func TestOneKindReplacesTheOther(t *testing.T) {
	e := start(t)
	c := e.in(region)
	create(t, c, "audit")
	put := func(in *cloudtrail.PutEventSelectorsInput) string {
		t.Helper()
		in.TrailName = aws.String("audit")
		_, err := c.PutEventSelectors(ctx, in)
		if err != nil {
			return code(err)
		}
		got, _ := e.Trail(account, region, "audit")
		return fmt.Sprint(len(got.EventSelectors), " ", len(got.AdvancedEventSelectors))
	}
	basic := []types.EventSelector{{ReadWriteType: "WriteOnly"}}
	advanced := []types.AdvancedEventSelector{fields(field("eventCategory", "Equals", "Management"))}
	equal(t, "basic", put(&cloudtrail.PutEventSelectorsInput{EventSelectors: basic}), "1 0")
	equal(t, "advanced", put(&cloudtrail.PutEventSelectorsInput{AdvancedEventSelectors: advanced}), "0 1")
	equal(t, "basic again", put(&cloudtrail.PutEventSelectorsInput{EventSelectors: basic}), "1 0")
	equal(
		t,
		"both",
		put(&cloudtrail.PutEventSelectorsInput{EventSelectors: basic, AdvancedEventSelectors: advanced}),
		"InvalidEventSelectorsException",
	)
	equal(t, "neither", put(&cloudtrail.PutEventSelectorsInput{}), "InvalidEventSelectorsException")
	equal(
		t,
		"the default",
		put(&cloudtrail.PutEventSelectorsInput{EventSelectors: []types.EventSelector{{ReadWriteType: "All"}}}),
		"0 0",
	)
	snapshot, _ := e.Trail(account, region, "audit")
	equal(t, "updated", snapshot.UpdatedTime, e.clock.Now())
}

func TestInsights(t *testing.T) {
	rate, errorRate := types.InsightTypeApiCallRateInsight, types.InsightTypeApiErrorRateInsight
	one := func(kind types.InsightType, categories ...types.SourceEventCategory) types.InsightSelector {
		return types.InsightSelector{InsightType: kind, EventCategories: categories}
	}
	onlyReads := []types.EventSelector{{ReadWriteType: "ReadOnly"}}
	onlyData := []types.EventSelector{
		{IncludeManagementEvents: aws.Bool(false), DataResources: data("AWS::S3::Object", "arn:aws:s3")},
	}
	advancedReads := []types.AdvancedEventSelector{
		fields(field("eventCategory", "Equals", "Management"), field("readOnly", "Equals", "true")),
	}
	advancedData := []types.AdvancedEventSelector{
		fields(field("eventCategory", "Equals", "Data"), field("resources.type", "Equals", "AWS::SNS::Topic")),
	}
	const bad = "InvalidInsightSelectorsException"
	for name, c := range map[string]struct {
		selectors []types.EventSelector
		advanced  []types.AdvancedEventSelector
		insights  []types.InsightSelector
		want      string
		get       string
	}{
		"call rate": {insights: []types.InsightSelector{one(rate)}},
		"both": {
			insights: []types.InsightSelector{one(rate, "Management"), one(errorRate, "Management")},
		},
		"none":             {insights: []types.InsightSelector{}, get: "InsightNotEnabledException"},
		"twice":            {insights: []types.InsightSelector{one(rate), one(rate)}, want: bad},
		"another type":     {insights: []types.InsightSelector{one("ApiMoodInsight")}, want: bad},
		"no type":          {insights: []types.InsightSelector{{}}, want: bad},
		"another category": {insights: []types.InsightSelector{one(rate, "Insight")}, want: bad},
		"a category twice": {
			insights: []types.InsightSelector{one(rate, "Management", "Management")},
			want:     bad,
		},
		"no category, explicitly": {
			insights: []types.InsightSelector{{InsightType: rate, EventCategories: []types.SourceEventCategory{}}},
			want:     bad,
		},
		"data without data events": {insights: []types.InsightSelector{one(rate, "Data")}, want: bad},
		"data": {
			selectors: onlyData,
			insights:  []types.InsightSelector{one(rate, "Data"), one(errorRate, "Data")},
		},
		"management without such events": {
			selectors: onlyData,
			insights:  []types.InsightSelector{one(errorRate)},
			want:      bad,
		},
		"call rate without writes": {selectors: onlyReads, insights: []types.InsightSelector{one(rate)}, want: bad},
		"error rate of reads":      {selectors: onlyReads, insights: []types.InsightSelector{one(errorRate)}},
		"advanced: call rate, reads only": {
			advanced: advancedReads,
			insights: []types.InsightSelector{one(rate)},
			want:     bad,
		},
		"advanced: error rate, reads only": {advanced: advancedReads, insights: []types.InsightSelector{one(errorRate)}},
		"advanced: data":                   {advanced: advancedData, insights: []types.InsightSelector{one(rate, "Data")}},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			cl := e.in(region)
			create(t, cl, "audit")
			name := aws.String("audit")
			if c.selectors != nil || c.advanced != nil {
				_, err := cl.PutEventSelectors(
					ctx,
					&cloudtrail.PutEventSelectorsInput{
						TrailName:              name,
						EventSelectors:         c.selectors,
						AdvancedEventSelectors: c.advanced,
					},
				)
				wants(t, err, "")
			}
			put, err := cl.PutInsightSelectors(
				ctx,
				&cloudtrail.PutInsightSelectorsInput{TrailName: name, InsightSelectors: c.insights},
			)
			wants(t, err, c.want)
			got, err := cl.GetInsightSelectors(ctx, &cloudtrail.GetInsightSelectorsInput{TrailName: name})
			if c.want != "" {
				c.get = "InsightNotEnabledException"
			}
			wants(t, err, c.get)
			trail, err := cl.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: name})
			wants(t, err, "")
			equal(t, "has insights", *trail.Trail.HasInsightSelectors, c.get == "")
			if c.get == "" {
				equal(t, "put answers what get does", asJSON(t, put.InsightSelectors), asJSON(t, got.InsightSelectors))
				equal(t, "categories are told", len(got.InsightSelectors[0].EventCategories) > 0, true)
				_, err := cl.PutInsightSelectors(
					ctx,
					&cloudtrail.PutInsightSelectorsInput{TrailName: name, InsightSelectors: []types.InsightSelector{}},
				)
				wants(t, err, "")
				_, err = cl.GetInsightSelectors(ctx, &cloudtrail.GetInsightSelectorsInput{TrailName: name})
				wants(t, err, "InsightNotEnabledException")
			}
		})
	}
}

func TestEventDataStoresAreNotHere(t *testing.T) {
	c := start(t).in(region)
	store := aws.String("EXAMPLE-f852-4e8f-8bd1-bcf6cEXAMPLE")
	_, err := c.GetInsightSelectors(ctx, &cloudtrail.GetInsightSelectorsInput{EventDataStore: store})
	wants(t, err, "UnsupportedOperationException")
	_, err = c.GetInsightSelectors(ctx, &cloudtrail.GetInsightSelectorsInput{EventDataStore: store, TrailName: store})
	wants(t, err, "InvalidParameterCombinationException")
	_, err = c.GetInsightSelectors(ctx, &cloudtrail.GetInsightSelectorsInput{})
	wants(t, err, "InvalidParameterException")
}

func TestEventConfiguration(t *testing.T) {
	type input = cloudtrail.PutEventConfigurationInput
	const bad = "InvalidParameterException"
	one := func(templates ...types.Template) []types.AggregationConfiguration {
		return []types.AggregationConfiguration{{EventCategory: "Data", Templates: templates}}
	}
	for name, c := range map[string]struct {
		in   input
		want string
	}{
		"one":              {input{AggregationConfigurations: one("API_ACTIVITY")}, ""},
		"all":              {input{AggregationConfigurations: one("API_ACTIVITY", "RESOURCE_ACCESS", "USER_ACTIONS")}, ""},
		"off":              {input{AggregationConfigurations: []types.AggregationConfiguration{}}, ""},
		"two":              {input{AggregationConfigurations: append(one("API_ACTIVITY"), one("USER_ACTIONS")...)}, bad},
		"another template": {input{AggregationConfigurations: one("MOOD")}, bad},
		"a template twice": {input{AggregationConfigurations: one("API_ACTIVITY", "API_ACTIVITY")}, bad},
		"no template":      {input{AggregationConfigurations: one([]types.Template{}...)}, bad},
		"another category": {input{AggregationConfigurations: []types.AggregationConfiguration{
			{EventCategory: "Management", Templates: []types.Template{"API_ACTIVITY"}},
		}}, bad},
		"nothing": {input{}, bad},
		"of a data store": {
			input{MaxEventSize: "Large", AggregationConfigurations: one("API_ACTIVITY")},
			"InvalidParameterCombinationException",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			cl := e.in(region)
			arn := create(t, cl, "audit").TrailARN
			c.in.TrailName = arn
			if name == "no template" {
				c.in.AggregationConfigurations[0].Templates = []types.Template{}
			}
			_, err := cl.PutEventConfiguration(ctx, &c.in)
			wants(t, err, c.want)
			got, err := cl.GetEventConfiguration(ctx, &cloudtrail.GetEventConfigurationInput{TrailName: arn})
			wants(t, err, "")
			want := []types.AggregationConfiguration{}
			if c.want == "" {
				want = c.in.AggregationConfigurations
			}
			equal(t, "configuration", asJSON(t, got.AggregationConfigurations), asJSON(t, want))
			snapshot, _ := e.Trail(account, region, "audit")
			equal(t, "snapshot", len(snapshot.AggregationConfigurations), len(want))
		})
	}
}
