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
	all := types.EventSelector{ReadWriteType: "All", IncludeManagementEvents: aws.Bool(true)}
	for name, c := range map[string]struct {
		selectors []types.EventSelector
		want      string
		custom    bool
	}{
		"empty":                        {[]types.EventSelector{}, "InvalidEventSelectorsException", false},
		"the default":                  {[]types.EventSelector{all}, "", false},
		"the default, left out":        {[]types.EventSelector{{}}, "", false},
		"twice the default":            {[]types.EventSelector{all, all}, "", true},
		"five":                         {[]types.EventSelector{all, all, all, all, all}, "", true},
		"six":                          {[]types.EventSelector{all, all, all, all, all, all}, "InvalidEventSelectorsException", false},
		"writes only":                  {[]types.EventSelector{{ReadWriteType: "WriteOnly"}}, "", true},
		"read-only, as in the docs":    {[]types.EventSelector{{ReadWriteType: "read-only"}}, "InvalidEventSelectorsException", false},
		"nothing at all":               {[]types.EventSelector{{IncludeManagementEvents: aws.Bool(false)}}, "InvalidEventSelectorsException", false},
		"data only":                    {[]types.EventSelector{{IncludeManagementEvents: aws.Bool(false), DataResources: data("AWS::S3::Object", "arn:aws:s3:::bucket/")}}, "", true},
		"all of S3":                    {[]types.EventSelector{{DataResources: data("AWS::S3::Object", "arn:aws:s3")}}, "", true},
		"all of S3, older":             {[]types.EventSelector{{DataResources: data("AWS::S3::Object", "arn:aws:s3:::")}}, "", true},
		"a prefix":                     {[]types.EventSelector{{DataResources: data("AWS::S3::Object", "arn:aws:s3:::bucket/a/b")}}, "", true},
		"a bucket without slash":       {[]types.EventSelector{{DataResources: data("AWS::S3::Object", "arn:aws:s3:::bucket")}}, "InvalidEventSelectorsException", false},
		"a wildcard":                   {[]types.EventSelector{{DataResources: data("AWS::S3::Object", "arn:aws:s3:::*")}}, "InvalidEventSelectorsException", false},
		"another partition":            {[]types.EventSelector{{DataResources: data("AWS::S3::Object", "arn:aws-cn:s3:::bucket/")}}, "InvalidEventSelectorsException", false},
		"all functions":                {[]types.EventSelector{{DataResources: data("AWS::Lambda::Function", "arn:aws:lambda")}}, "", true},
		"a function":                   {[]types.EventSelector{{DataResources: data("AWS::Lambda::Function", "arn:aws:lambda:us-west-2:111111111111:function:helloworld")}}, "", true},
		"functions with a wildcard":    {[]types.EventSelector{{DataResources: data("AWS::Lambda::Function", "arn:aws:lambda:*")}}, "InvalidEventSelectorsException", false},
		"all tables":                   {[]types.EventSelector{{DataResources: data("AWS::DynamoDB::Table", "arn:aws:dynamodb")}}, "", true},
		"a table":                      {[]types.EventSelector{{DataResources: data("AWS::DynamoDB::Table", "arn:aws:dynamodb:us-west-2:111111111111:table/orders")}}, "", true},
		"a type for advanced ones":     {[]types.EventSelector{{DataResources: data("AWS::SNS::Topic", "arn:aws:sns")}}, "InvalidEventSelectorsException", false},
		"a type without values":        {[]types.EventSelector{{DataResources: data("AWS::S3::Object")}}, "InvalidEventSelectorsException", false},
		"250 values":                   {[]types.EventSelector{{DataResources: data("AWS::S3::Object", values(125)...)}, {DataResources: data("AWS::S3::Object", values(125)...)}}, "", true},
		"251 values":                   {[]types.EventSelector{{DataResources: data("AWS::S3::Object", values(125)...)}, {DataResources: data("AWS::S3::Object", values(126)...)}}, "InvalidEventSelectorsException", false},
		"without KMS":                  {[]types.EventSelector{{ExcludeManagementEventSources: []string{"kms.amazonaws.com"}}}, "", true},
		"without both":                 {[]types.EventSelector{{ExcludeManagementEventSources: []string{"kms.amazonaws.com", "rdsdata.amazonaws.com"}}}, "", true},
		"without KMS, twice":           {[]types.EventSelector{{ExcludeManagementEventSources: []string{"kms.amazonaws.com", "kms.amazonaws.com"}}}, "InvalidEventSelectorsException", false},
		"without another":              {[]types.EventSelector{{ExcludeManagementEventSources: []string{"s3.amazonaws.com"}}}, "InvalidEventSelectorsException", false},
		"sources of no events at all":  {[]types.EventSelector{{IncludeManagementEvents: aws.Bool(false), DataResources: data("AWS::S3::Object", "arn:aws:s3"), ExcludeManagementEventSources: []string{"kms.amazonaws.com"}}}, "InvalidEventSelectorsException", false},
		"no sources, explicitly empty": {[]types.EventSelector{{ExcludeManagementEventSources: []string{}}}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			cl := e.in(region)
			create(t, cl, "audit")
			put, err := cl.PutEventSelectors(ctx, &cloudtrail.PutEventSelectorsInput{TrailName: aws.String("audit"), EventSelectors: c.selectors})
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
				equal(t, "default", asJSON(t, got.EventSelectors), `[{"DataResources":[],"ExcludeManagementEventSources":[],"IncludeManagementEvents":true,"ReadWriteType":"All"}]`)
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
	for name, c := range map[string]struct {
		selectors []types.AdvancedEventSelector
		want      string
	}{
		"empty":              {[]types.AdvancedEventSelector{}, bad},
		"management":         {[]types.AdvancedEventSelector{fields(management)}, ""},
		"management, reads":  {[]types.AdvancedEventSelector{fields(management, field("readOnly", "Equals", "true"))}, ""},
		"without KMS":        {[]types.AdvancedEventSelector{fields(management, field("eventSource", "NotEquals", "kms.amazonaws.com", "rdsdata.amazonaws.com"))}, ""},
		"only KMS":           {[]types.AdvancedEventSelector{fields(management, field("eventSource", "Equals", "kms.amazonaws.com"))}, bad},
		"without S3":         {[]types.AdvancedEventSelector{fields(management, field("eventSource", "NotEquals", "s3.amazonaws.com"))}, bad},
		"management by name": {[]types.AdvancedEventSelector{fields(management, field("eventName", "Equals", "RunInstances"))}, bad},
		"no category":        {[]types.AdvancedEventSelector{fields(objects)}, bad},
		"no fields":          {[]types.AdvancedEventSelector{{FieldSelectors: []types.AdvancedFieldSelector{}}}, bad},
		"a category of Lake": {[]types.AdvancedEventSelector{fields(field("eventCategory", "Equals", "ConfigurationItem"))}, bad},
		"two categories":     {[]types.AdvancedEventSelector{fields(field("eventCategory", "Equals", "Management", "Data"), objects)}, bad},
		"category by prefix": {[]types.AdvancedEventSelector{fields(field("eventCategory", "StartsWith", "Man"))}, bad},
		"data":               {[]types.AdvancedEventSelector{fields(ofData, objects)}, ""},
		"data of no type":    {[]types.AdvancedEventSelector{fields(ofData)}, bad},
		"data of two types":  {[]types.AdvancedEventSelector{fields(ofData, field("resources.type", "Equals", "AWS::S3::Object", "AWS::SNS::Topic"))}, bad},
		"type twice":         {[]types.AdvancedEventSelector{fields(ofData, objects, objects)}, bad},
		"a malformed type":   {[]types.AdvancedEventSelector{fields(ofData, field("resources.type", "Equals", "S3"))}, bad},
		"a new type":         {[]types.AdvancedEventSelector{fields(ofData, field("resources.type", "Equals", "AWS::Quantum::Entanglement"))}, ""},
		"not a type":         {[]types.AdvancedEventSelector{fields(ofData, field("resources.type", "NotEquals", "AWS::S3::Object"))}, bad},
		"data with every field": {[]types.AdvancedEventSelector{fields(ofData, objects, field("eventName", "StartsWith", "Put"),
			field("eventSource", "Equals", "s3.amazonaws.com"), field("eventType", "NotEquals", "AwsServiceEvent"), field("readOnly", "Equals", "false"),
			field("resources.ARN", "NotStartsWith", "arn:aws:s3:::logs/"), field("sessionCredentialFromConsole", "Equals", "true"),
			field("userIdentity.arn", "NotEndsWith", "/robot"))}, ""},
		"a field of the other":       {[]types.AdvancedEventSelector{fields(ofData, objects, field("vpcEndpointId", "Equals", "vpce-1"))}, bad},
		"network":                    {[]types.AdvancedEventSelector{fields(network, field("eventSource", "Equals", "s3.amazonaws.com"), field("errorCode", "Equals", "VpceAccessDenied"), field("vpcEndpointId", "Equals", "vpce-1"), field("eventName", "Equals", "GetObject"))}, ""},
		"network of no source":       {[]types.AdvancedEventSelector{fields(network)}, bad},
		"network of two sources":     {[]types.AdvancedEventSelector{fields(network, field("eventSource", "Equals", "s3.amazonaws.com", "ec2.amazonaws.com"))}, bad},
		"network of a type":          {[]types.AdvancedEventSelector{fields(network, field("eventSource", "Equals", "s3.amazonaws.com"), objects)}, bad},
		"readOnly perhaps":           {[]types.AdvancedEventSelector{fields(management, field("readOnly", "Equals", "maybe"))}, bad},
		"readOnly both":              {[]types.AdvancedEventSelector{fields(management, field("readOnly", "Equals", "true", "false"))}, bad},
		"readOnly not":               {[]types.AdvancedEventSelector{fields(management, field("readOnly", "NotEquals", "true"))}, bad},
		"no operator":                {[]types.AdvancedEventSelector{fields(management, field("readOnly", ""))}, bad},
		"an operator without values": {[]types.AdvancedEventSelector{fields(ofData, objects, types.AdvancedFieldSelector{Field: aws.String("eventName"), Equals: []string{"PutObject"}, NotEquals: []string{}})}, bad},
		"an empty value":             {[]types.AdvancedEventSelector{fields(ofData, objects, field("eventName", "Equals", ""))}, bad},
		"a value too long":           {[]types.AdvancedEventSelector{fields(ofData, objects, field("eventName", "Equals", strings.Repeat("x", 2049)))}, bad},
		"a value and its contrary":   {[]types.AdvancedEventSelector{fields(ofData, objects, types.AdvancedFieldSelector{Field: aws.String("eventName"), Equals: []string{"A"}, NotEquals: []string{"A"}})}, bad},
		"no field's name":            {[]types.AdvancedEventSelector{fields(management, field("", "Equals", "x"))}, bad},
		"a name of 1000":             {[]types.AdvancedEventSelector{{Name: aws.String(strings.Repeat("n", 1000)), FieldSelectors: fields(management).FieldSelectors}}, ""},
		"a name of 1001":             {[]types.AdvancedEventSelector{{Name: aws.String(strings.Repeat("n", 1001)), FieldSelectors: fields(management).FieldSelectors}}, bad},
		"500 values":                 {[]types.AdvancedEventSelector{fields(ofData, objects, field("resources.ARN", "StartsWith", values(498)...))}, ""},
		"501 values":                 {[]types.AdvancedEventSelector{fields(ofData, objects, field("resources.ARN", "StartsWith", values(498)...)), fields(management)}, bad},
		"six selectors":              {[]types.AdvancedEventSelector{fields(management), fields(management), fields(management), fields(management), fields(management), fields(management)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			cl := e.in(region)
			create(t, cl, "audit")
			put, err := cl.PutEventSelectors(ctx, &cloudtrail.PutEventSelectorsInput{TrailName: aws.String("audit"), AdvancedEventSelectors: c.selectors})
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
	equal(t, "both", put(&cloudtrail.PutEventSelectorsInput{EventSelectors: basic, AdvancedEventSelectors: advanced}), "InvalidEventSelectorsException")
	equal(t, "neither", put(&cloudtrail.PutEventSelectorsInput{}), "InvalidEventSelectorsException")
	equal(t, "the default", put(&cloudtrail.PutEventSelectorsInput{EventSelectors: []types.EventSelector{{ReadWriteType: "All"}}}), "0 0")
	snapshot, _ := e.Trail(account, region, "audit")
	equal(t, "updated", snapshot.UpdatedTime, e.clock.Now())
}

func TestInsights(t *testing.T) {
	rate, errorRate := types.InsightTypeApiCallRateInsight, types.InsightTypeApiErrorRateInsight
	one := func(kind types.InsightType, categories ...types.SourceEventCategory) types.InsightSelector {
		return types.InsightSelector{InsightType: kind, EventCategories: categories}
	}
	onlyReads := []types.EventSelector{{ReadWriteType: "ReadOnly"}}
	onlyData := []types.EventSelector{{IncludeManagementEvents: aws.Bool(false), DataResources: data("AWS::S3::Object", "arn:aws:s3")}}
	const bad = "InvalidInsightSelectorsException"
	for name, c := range map[string]struct {
		selectors []types.EventSelector
		advanced  []types.AdvancedEventSelector
		insights  []types.InsightSelector
		want      string
		get       string
	}{
		"call rate":                        {insights: []types.InsightSelector{one(rate)}},
		"both":                             {insights: []types.InsightSelector{one(rate, "Management"), one(errorRate, "Management")}},
		"none":                             {insights: []types.InsightSelector{}, get: "InsightNotEnabledException"},
		"twice":                            {insights: []types.InsightSelector{one(rate), one(rate)}, want: bad},
		"another type":                     {insights: []types.InsightSelector{one("ApiMoodInsight")}, want: bad},
		"no type":                          {insights: []types.InsightSelector{{}}, want: bad},
		"another category":                 {insights: []types.InsightSelector{one(rate, "Insight")}, want: bad},
		"a category twice":                 {insights: []types.InsightSelector{one(rate, "Management", "Management")}, want: bad},
		"no category, explicitly":          {insights: []types.InsightSelector{{InsightType: rate, EventCategories: []types.SourceEventCategory{}}}, want: bad},
		"data without data events":         {insights: []types.InsightSelector{one(rate, "Data")}, want: bad},
		"data":                             {selectors: onlyData, insights: []types.InsightSelector{one(rate, "Data"), one(errorRate, "Data")}},
		"management without such events":   {selectors: onlyData, insights: []types.InsightSelector{one(errorRate)}, want: bad},
		"call rate without writes":         {selectors: onlyReads, insights: []types.InsightSelector{one(rate)}, want: bad},
		"error rate of reads":              {selectors: onlyReads, insights: []types.InsightSelector{one(errorRate)}},
		"advanced: call rate, reads only":  {advanced: []types.AdvancedEventSelector{fields(field("eventCategory", "Equals", "Management"), field("readOnly", "Equals", "true"))}, insights: []types.InsightSelector{one(rate)}, want: bad},
		"advanced: error rate, reads only": {advanced: []types.AdvancedEventSelector{fields(field("eventCategory", "Equals", "Management"), field("readOnly", "Equals", "true"))}, insights: []types.InsightSelector{one(errorRate)}},
		"advanced: data":                   {advanced: []types.AdvancedEventSelector{fields(field("eventCategory", "Equals", "Data"), field("resources.type", "Equals", "AWS::SNS::Topic"))}, insights: []types.InsightSelector{one(rate, "Data")}},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			cl := e.in(region)
			create(t, cl, "audit")
			name := aws.String("audit")
			if c.selectors != nil || c.advanced != nil {
				_, err := cl.PutEventSelectors(ctx, &cloudtrail.PutEventSelectorsInput{TrailName: name, EventSelectors: c.selectors, AdvancedEventSelectors: c.advanced})
				wants(t, err, "")
			}
			put, err := cl.PutInsightSelectors(ctx, &cloudtrail.PutInsightSelectorsInput{TrailName: name, InsightSelectors: c.insights})
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
				_, err := cl.PutInsightSelectors(ctx, &cloudtrail.PutInsightSelectorsInput{TrailName: name, InsightSelectors: []types.InsightSelector{}})
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
	one := func(templates ...types.Template) []types.AggregationConfiguration {
		return []types.AggregationConfiguration{{EventCategory: "Data", Templates: templates}}
	}
	for name, c := range map[string]struct {
		in   cloudtrail.PutEventConfigurationInput
		want string
	}{
		"one":              {cloudtrail.PutEventConfigurationInput{AggregationConfigurations: one("API_ACTIVITY")}, ""},
		"all":              {cloudtrail.PutEventConfigurationInput{AggregationConfigurations: one("API_ACTIVITY", "RESOURCE_ACCESS", "USER_ACTIONS")}, ""},
		"off":              {cloudtrail.PutEventConfigurationInput{AggregationConfigurations: []types.AggregationConfiguration{}}, ""},
		"two":              {cloudtrail.PutEventConfigurationInput{AggregationConfigurations: append(one("API_ACTIVITY"), one("USER_ACTIONS")...)}, "InvalidParameterException"},
		"another template": {cloudtrail.PutEventConfigurationInput{AggregationConfigurations: one("MOOD")}, "InvalidParameterException"},
		"a template twice": {cloudtrail.PutEventConfigurationInput{AggregationConfigurations: one("API_ACTIVITY", "API_ACTIVITY")}, "InvalidParameterException"},
		"no template":      {cloudtrail.PutEventConfigurationInput{AggregationConfigurations: one([]types.Template{}...)}, "InvalidParameterException"},
		"another category": {cloudtrail.PutEventConfigurationInput{AggregationConfigurations: []types.AggregationConfiguration{{EventCategory: "Management", Templates: []types.Template{"API_ACTIVITY"}}}}, "InvalidParameterException"},
		"nothing":          {cloudtrail.PutEventConfigurationInput{}, "InvalidParameterException"},
		"of a data store":  {cloudtrail.PutEventConfigurationInput{MaxEventSize: "Large", AggregationConfigurations: one("API_ACTIVITY")}, "InvalidParameterCombinationException"},
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
