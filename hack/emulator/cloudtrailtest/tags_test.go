package cloudtrailtest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
)

func manyTags(prefix string, n int) []types.Tag {
	var out []types.Tag
	for i := range n {
		out = append(out, tagsOf(fmt.Sprint(prefix, i), "v")...)
	}
	return out
}

func TestTags(t *testing.T) {
	const bad = "InvalidTagParameterException"
	umlauts := func(n int) string { return strings.Repeat("ü", n) }
	for name, c := range map[string]struct {
		add  []types.Tag
		want string
		tags string
	}{
		"one":         {tagsOf("team", "ops"), "", "map[env:prod team:ops]"},
		"overwrites":  {tagsOf("env", "test"), "", "map[env:test]"},
		"empty value": {tagsOf("a", ""), "", "map[a: env:prod]"},
		"no value":    {[]types.Tag{{Key: aws.String("a")}}, "", "map[a: env:prod]"},
		"letters of any script": {
			tagsOf("käse", "チーズ + 1_2.3:4/5=6@7-8"),
			"",
			"map[env:prod käse:チーズ + 1_2.3:4/5=6@7-8]",
		},
		"key of 128":            {tagsOf(umlauts(128), ""), "", "map[env:prod " + umlauts(128) + ":]"},
		"key of 129":            {tagsOf(umlauts(129), ""), bad, "map[env:prod]"},
		"no key":                {tagsOf("", "x"), bad, "map[env:prod]"},
		"value of 256":          {tagsOf("a", umlauts(256)), "", "map[a:" + umlauts(256) + " env:prod]"},
		"value of 257":          {tagsOf("a", umlauts(257)), bad, "map[env:prod]"},
		"characters":            {tagsOf("a;b", "x"), bad, "map[env:prod]"},
		"characters of value":   {tagsOf("a", "x{}"), bad, "map[env:prod]"},
		"reserved":              {tagsOf("aws:cloudformation:stack", "x"), bad, "map[env:prod]"},
		"reserved, in capitals": {tagsOf("AWS:x", "x"), bad, "map[env:prod]"},
		"twice":                 {tagsOf("a", "1", "a", "2"), bad, "map[env:prod]"},
		"in two cases":          {tagsOf("a", "1", "A", "2"), "", "map[A:2 a:1 env:prod]"},
		"none":                  {[]types.Tag{}, bad, "map[env:prod]"},
		"50 more":               {manyTags("k", 50), "TagsLimitExceededException", "map[env:prod]"},
		"51 at once":            {manyTags("k", 51), bad, "map[env:prod]"},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			cl := e.in(region)
			arn := create(t, cl, "audit", func(in *cloudtrail.CreateTrailInput) { in.TagsList = tagsOf("env", "prod") }).TrailARN
			_, err := cl.AddTags(ctx, &cloudtrail.AddTagsInput{ResourceId: arn, TagsList: c.add})
			wants(t, err, c.want)
			got, _ := e.Trail(account, region, "audit")
			equal(t, "tags", fmt.Sprint(got.Tags), c.tags)
		})
	}
}

func TestTagsOfCreate(t *testing.T) {
	e := start(t)
	wants(
		t,
		tryCreate(e.in(region), "audit", func(in *cloudtrail.CreateTrailInput) { in.TagsList = manyTags("k", 51) }),
		"TagsLimitExceededException",
	)
	wants(
		t,
		tryCreate(e.in(region), "audit", func(in *cloudtrail.CreateTrailInput) { in.TagsList = tagsOf("a", "1", "a", "2") }),
		"InvalidTagParameterException",
	)
	wants(
		t,
		tryCreate(e.in(region), "audit", func(in *cloudtrail.CreateTrailInput) { in.TagsList = manyTags("k", 50) }),
		"",
	)
}

func TestRemoveTags(t *testing.T) {
	e := start(t)
	c := e.in(region)
	arn := create(
		t,
		c,
		"audit",
		func(in *cloudtrail.CreateTrailInput) { in.TagsList = tagsOf("a", "1", "b", "2") },
	).TrailARN
	_, err := c.RemoveTags(
		ctx,
		&cloudtrail.RemoveTagsInput{
			ResourceId: arn,
			TagsList:   []types.Tag{{Key: aws.String("a")}, {Key: aws.String("gone")}},
		},
	)
	wants(t, err, "")
	got, _ := e.Trail(account, region, "audit")
	equal(t, "tags", fmt.Sprint(got.Tags), "map[b:2]")
	_, err = c.RemoveTags(ctx, &cloudtrail.RemoveTagsInput{ResourceId: arn, TagsList: tagsOf("", "")})
	wants(t, err, "InvalidTagParameterException")
}

func TestListTags(t *testing.T) {
	e := start(t)
	c := e.in(region)
	arn := *create(t, c, "audit", func(in *cloudtrail.CreateTrailInput) {
		in.TagsList = append(tagsOf("b", "2", "a", ""), types.Tag{Key: aws.String("n")})
	}).TrailARN
	other := *create(t, c, "other").TrailARN
	foreign := *create(t, e.account("222233334444", region), "audit").TrailARN
	away := *create(t, e.in("us-east-1"), "away", multiRegion).TrailARN

	out, err := c.ListTags(ctx, &cloudtrail.ListTagsInput{ResourceIdList: []string{arn, other}})
	wants(t, err, "")
	equal(
		t,
		"resources",
		fmt.Sprint(len(out.ResourceTagList), *out.ResourceTagList[0].ResourceId == arn, len(out.ResourceTagList[1].TagsList)),
		"2 true 0",
	)
	tags := out.ResourceTagList[0].TagsList
	equal(
		t,
		"tags",
		fmt.Sprint(*tags[0].Key, *tags[0].Value, *tags[1].Key, *tags[1].Value, *tags[2].Key, tags[2].Value == nil),
		"ab2ntrue",
	)

	many := func(n int) []string {
		var out []string
		for range n {
			out = append(out, arn)
		}
		return out
	}
	for name, one := range map[string]struct {
		client *cloudtrail.Client
		idents []string
		want   string
	}{
		"20":                  {c, many(20), ""},
		"21":                  {c, many(21), "ValidationException"},
		"none":                {c, []string{}, "ValidationException"},
		"by name":             {c, []string{"audit"}, "CloudTrailARNInvalidException"},
		"one is foreign":      {c, []string{arn, foreign}, "CloudTrailARNInvalidException"},
		"one is elsewhere":    {c, []string{arn, away}, "CloudTrailARNInvalidException"},
		"one does not exist":  {c, []string{arn, arn + "x"}, "ResourceNotFoundException"},
		"from another region": {e.in("us-east-1"), []string{arn}, "CloudTrailARNInvalidException"},
		"an event data store": {
			c,
			[]string{"arn:aws:cloudtrail:eu-west-1:111122223333:eventdatastore/x"},
			"EventDataStoreNotFoundException",
		},
		"a channel": {
			c,
			[]string{"arn:aws:cloudtrail:eu-west-1:111122223333:channel/x"},
			"ChannelNotFoundException",
		},
		"a dashboard": {
			c,
			[]string{"arn:aws:cloudtrail:eu-west-1:111122223333:dashboard/x"},
			"ResourceNotFoundException",
		},
		"something else": {
			c,
			[]string{"arn:aws:cloudtrail:eu-west-1:111122223333:moon/x"},
			"ResourceTypeNotSupportedException",
		},
		"of another service": {c, []string{"arn:aws:s3:::trail/x"}, "CloudTrailARNInvalidException"},
	} {
		_, err := one.client.ListTags(ctx, &cloudtrail.ListTagsInput{ResourceIdList: one.idents})
		if code(err) != one.want {
			t.Errorf("%s: %v, want %q", name, err, one.want)
		}
		if len(one.idents) == 0 {
			continue
		}
		ident := one.idents[len(one.idents)-1]
		if name == "21" {
			one.want = ""
		}
		_, err = one.client.AddTags(ctx, &cloudtrail.AddTagsInput{ResourceId: &ident, TagsList: tagsOf("z", "1")})
		if code(err) != one.want {
			t.Errorf("%s, AddTags: %v, want %q", name, err, one.want)
		}
		_, err = one.client.RemoveTags(ctx, &cloudtrail.RemoveTagsInput{ResourceId: &ident, TagsList: tagsOf("z", "1")})
		if code(err) != one.want {
			t.Errorf("%s, RemoveTags: %v, want %q", name, err, one.want)
		}
	}
	_, err = c.ListTags(ctx, &cloudtrail.ListTagsInput{ResourceIdList: []string{arn}, NextToken: aws.String("x")})
	wants(t, err, "InvalidTokenException")
	_, err = c.ListTags(ctx, &cloudtrail.ListTagsInput{ResourceIdList: []string{arn, foreign}})
	equal(
		t,
		"message",
		message(err),
		"AccountID in ARN is wrong, you can only access resources with AccountID 111122223333.",
	)
	_, err = e.in("us-east-1").ListTags(ctx, &cloudtrail.ListTagsInput{ResourceIdList: []string{arn}})
	equal(t, "message", message(err), "Region in ARN is wrong, you can only access resources in region us-east-1.")
}
