package cloudtrailtest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

func TestWhoSigned(t *testing.T) {
	e := start(t)
	e.AddCredentials(
		cloudtrailtest.Credentials{
			AccessKeyID:     "TEMP",
			SecretAccessKey: "s",
			SessionToken:    "token",
			ARN:             "arn:aws:sts::222233334444:assumed-role/r/s",
		},
	)
	for name, c := range map[string]struct {
		id, secret, token, region string
		want, wantSTS             string
	}{
		"known":                 {"test", "test", "", region, "", ""},
		"known with token":      {"TEMP", "s", "token", region, "", ""},
		"unknown key":           {"nobody", "test", "", region, "UnrecognizedClientException", "InvalidClientTokenId"},
		"wrong secret":          {"test", "wrong", "", region, "InvalidSignatureException", "SignatureDoesNotMatch"},
		"token missing":         {"TEMP", "s", "", region, "UnrecognizedClientException", "InvalidClientTokenId"},
		"token wrong":           {"TEMP", "s", "other", region, "UnrecognizedClientException", "InvalidClientTokenId"},
		"token where none is":   {"test", "test", "x", region, "UnrecognizedClientException", "InvalidClientTokenId"},
		"region does not exist": {"test", "test", "", "xx-moon-1", "InvalidSignatureException", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.as(c.id, c.secret, c.token, c.region).DescribeTrails(ctx, nil)
			wants(t, err, c.want)
			_, err = e.sts(c.id, c.secret, c.token).GetCallerIdentity(ctx, nil)
			wants(t, err, c.wantSTS)
		})
	}
}

// post sends a request by hand, signed unless sign is nil.
func (e *emulator) post(
	t *testing.T,
	body string,
	change, sign func(*http.Request),
) (int, map[string]string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/", strings.NewReader(body))
	wants(t, err, "")
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.DescribeTrails")
	if change != nil {
		change(req)
	}
	if sign != nil {
		sign(req)
	}
	resp, err := http.DefaultClient.Do(req)
	wants(t, err, "")
	defer resp.Body.Close() //nolint:errcheck // read only
	raw, err := io.ReadAll(resp.Body)
	wants(t, err, "")
	answer := map[string]any{}
	_ = json.Unmarshal(raw, &answer) //nolint:errcheck // XML is looked at as text
	texts := map[string]string{"": string(raw)}
	for k, v := range answer {
		if s, ok := v.(string); ok {
			texts[k] = s
		}
	}
	return resp.StatusCode, texts, resp.Header
}

// signed signs as the SDK does, as service and at the time given.
func signed(t *testing.T, body, service string, at time.Time) func(*http.Request) {
	t.Helper()
	return func(r *http.Request) {
		t.Helper()
		creds := aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}
		wants(t, v4.NewSigner().SignHTTP(ctx, creds, r, cloudtrailtest.HexSum([]byte(body)), service, region, at), "")
	}
}

func TestRequestsByHand(t *testing.T) {
	e := start(t)
	target := func(v string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-Amz-Target", v) }
	}
	header := func(name, v string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, v) }
	}
	now := time.Now()
	sign := func(body string) func(*http.Request) { return signed(t, body, "cloudtrail", now) }
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		sign   func(*http.Request)
		status int
		want   string
	}{
		"botocore's target":   {"{}", nil, sign("{}"), 200, ""},
		"the Go SDK's target": {"{}", target("CloudTrail_20131101.DescribeTrails"), sign("{}"), 200, ""},
		"empty body":          {"", nil, sign(""), 200, ""},
		"another prefix": {
			"{}", target("DynamoDB_20120810.DescribeTrails"), sign("{}"),
			400, "UnknownOperationException",
		},
		"unknown operation": {"{}", target("CloudTrail_20131101.Explode"), sign("{}"), 400, "UnknownOperationException"},
		"Lake": {
			"{}", target("CloudTrail_20131101.CreateEventDataStore"), sign("{}"), 400, "UnsupportedOperationException",
		},
		"another content type": {
			"{}", header("Content-Type", "application/json"), sign("{}"),
			400, "UnknownOperationException",
		},
		"unsigned":       {"{}", nil, nil, 400, "MissingAuthenticationTokenException"},
		"another scheme": {"{}", header("Authorization", "Basic eDp5"), nil, 400, "IncompleteSignatureException"},
		"no signature in it": {
			"{}",
			header(
				"Authorization",
				"AWS4-HMAC-SHA256 Credential=test/20260301/eu-west-1/cloudtrail/aws4_request, SignedHeaders=host",
			),
			nil, 400, "IncompleteSignatureException",
		},
		"scope too short": {
			"{}",
			header("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260301, SignedHeaders=host, Signature=00"),
			nil, 400, "IncompleteSignatureException",
		},
		"signed for STS": {"{}", nil, signed(t, "{}", "sts", now), 400, "InvalidSignatureException"},
		"signed long ago": {
			"{}", nil,
			signed(t, "{}", "cloudtrail", now.Add(-10*time.Minute)),
			400, "InvalidSignatureException",
		},
		"signed in the future": {
			"{}", nil,
			signed(t, "{}", "cloudtrail", now.Add(10*time.Minute)),
			400, "InvalidSignatureException",
		},
		"another body": {"{}", nil, sign("{ }"), 400, "InvalidSignatureException"},
		"header changed": {"{}", nil, func(r *http.Request) {
			sign("{}")(r)
			target("CloudTrail_20131101.ListTrails")(r)
		}, 400, "InvalidSignatureException"},
		"date not signed": {"{}", nil, func(r *http.Request) {
			sign("{}")(r)
			strip(r, ";x-amz-date")
		}, 400, "InvalidSignatureException"},
		"not JSON":      {"{", nil, sign("{"), 400, "SerializationException"},
		"not an object": {"[]", nil, sign("[]"), 400, "SerializationException"},
		"wrong type": {
			`{"trailNameList":"x"}`, nil, sign(`{"trailNameList":"x"}`),
			400, "SerializationException",
		},
		"wrong type in the list": {
			`{"trailNameList":[1]}`, nil, sign(`{"trailNameList":[1]}`),
			400, "SerializationException",
		},
		"null is absent": {
			`{"trailNameList":null,"includeShadowTrails":null}`,
			nil,
			sign(`{"trailNameList":null,"includeShadowTrails":null}`),
			200, "",
		},
		// What AWS does not know it ignores, names in another case among them.
		"upper camel is unknown": {`{"TrailNameList":["a!"]}`, nil, sign(`{"TrailNameList":["a!"]}`), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer, headers := e.post(t, c.body, c.change, c.sign)
			equal(t, "code", answer["__type"], c.want)
			equal(t, "status", status, c.status)
			equal(t, "request id's length", len(headers.Get("X-Amzn-Requestid")), 36)
			equal(t, "content type", headers.Get("Content-Type"), "application/x-amz-json-1.1")
		})
	}
}

func strip(r *http.Request, signedHeader string) {
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), signedHeader, "", 1))
}

func TestMessageMember(t *testing.T) {
	e := start(t)
	_, answer, _ := e.post(t, "{}", nil, nil)
	equal(t, "front end", answer["message"], "Missing Authentication Token")
	body := `{"Name":"gone"}`
	_, answer, _ = e.post(
		t,
		body,
		func(r *http.Request) { r.Header.Set("X-Amz-Target", "CloudTrail_20131101.GetTrail") },
		signed(t, body, "cloudtrail", time.Now()),
	)
	equal(
		t,
		"service",
		answer["Message"],
		"Unknown trail: arn:aws:cloudtrail:eu-west-1:111122223333:trail/gone for the user: 111122223333",
	)
}

func TestSTSByHand(t *testing.T) {
	e := start(t)
	form := func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		r.Header.Del("X-Amz-Target")
	}
	for name, c := range map[string]struct {
		body   string
		status int
		want   string
		sign   bool
	}{
		"identity": {"Action=GetCallerIdentity&Version=2011-06-15", 200, "<Account>111122223333</Account>", true},
		"namespace": {
			"Action=GetCallerIdentity&Version=2011-06-15",
			200, `xmlns="https://sts.amazonaws.com/doc/2011-06-15/"`, true,
		},
		"unsigned": {
			"Action=GetCallerIdentity&Version=2011-06-15",
			403, "<Code>MissingAuthenticationToken</Code>", false,
		},
		"unknown action":  {"Action=Explode&Version=2011-06-15", 400, "<Code>InvalidAction</Code>", true},
		"unknown version": {"Action=GetCallerIdentity&Version=2010-01-01", 400, "<Code>InvalidAction</Code>", true},
		"no action":       {"Version=2011-06-15", 400, "<Code>MissingAction</Code>", true},
		"malformed":       {"Action=%zz", 400, "<Code>MalformedQueryString</Code>", true},
		"bad duration": {
			"Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::222233334444:role/r" +
				"&RoleSessionName=ss&DurationSeconds=x",
			400, "<Code>MalformedInput</Code>", true,
		},
		"error is a sender": {"Action=Explode&Version=2011-06-15", 400, "<Type>Sender</Type>", true},
	} {
		t.Run(name, func(t *testing.T) {
			sign := signed(t, c.body, "sts", time.Now())
			if !c.sign {
				sign = nil
			}
			status, answer, _ := e.post(t, c.body, form, sign)
			equal(t, "status", status, c.status)
			if !strings.Contains(answer[""], c.want) {
				t.Fatalf("%s does not contain %s", answer[""], c.want)
			}
		})
	}
	status, answer, _ := e.post(t, "", func(r *http.Request) { form(r); r.Header.Set("Content-Type", "text/plain") }, nil)
	equal(t, "neither protocol", status, 400)
	if !strings.Contains(answer[""], "UnknownOperationException") {
		t.Fatal(answer[""])
	}
}

// STS takes its parameters from the query of a GET as well; the signature covers it.
func TestSTSByGet(t *testing.T) {
	e := start(t)
	for query, want := range map[string]string{
		"Action=GetCallerIdentity&Version=2011-06-15":               "<Account>111122223333</Account>",
		"Action=GetCallerIdentity&Version=2011-06-15&X=a+b&X=c%2Fd": "<Account>111122223333</Account>",
		"Action=GetCallerIdentity&Version=2011-06-15&changed=":      "<Code>SignatureDoesNotMatch</Code>",
	} {
		_, answer, _ := e.post(t, "", nil, func(r *http.Request) {
			r.Method, r.Body, r.ContentLength = http.MethodGet, http.NoBody, 0
			r.Header.Del("X-Amz-Target")
			r.URL.RawQuery = strings.TrimSuffix(query, "&changed=")
			signed(t, "", "sts", time.Now())(r)
			r.URL.RawQuery = query
		})
		if !strings.Contains(answer[""], want) {
			t.Errorf("%s: %s does not contain %s", query, answer[""], want)
		}
	}
}

func TestAssumeRole(t *testing.T) {
	e := start(t)
	out, err := e.sts("test", "test", "").AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::444455556666:role/ops/trail-operator"), RoleSessionName: aws.String("prod"),
		DurationSeconds: aws.Int32(900),
	})
	wants(t, err, "")
	equal(t, "arn", *out.AssumedRoleUser.Arn, "arn:aws:sts::444455556666:assumed-role/trail-operator/prod")
	equal(t, "expiration", *out.Credentials.Expiration, e.clock.Now().Add(15*time.Minute))
	id, secret, token := *out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken
	equal(t, "key", id[:4]+"/"+string(rune('0'+len(id)/10)), "ASIA/2")

	me, err := e.sts(id, secret, token).GetCallerIdentity(ctx, nil)
	wants(t, err, "")
	equal(t, "account", *me.Account, "444455556666")
	equal(t, "arn", *me.Arn, *out.AssumedRoleUser.Arn)
	equal(t, "user id", *me.UserId, *out.AssumedRoleUser.AssumedRoleId)

	create(t, e.as(id, secret, token, region), "theirs")
	if _, ok := e.Trail("444455556666", region, "theirs"); !ok {
		t.Fatal("the trail is not in the role's account")
	}
	e.clock.add(15 * time.Minute)
	_, err = e.as(id, secret, token, region).DescribeTrails(ctx, nil)
	wants(t, err, "ExpiredTokenException")
	_, err = e.sts(id, secret, token).GetCallerIdentity(ctx, nil)
	wants(t, err, "ExpiredToken")
}

func TestAssumeRoleRules(t *testing.T) {
	const arn = "arn:aws:iam::444455556666:role/r"
	long := strings.Repeat("x", 300)
	manyTags := make([]string, 0, 102)
	for i := range 51 {
		manyTags = append(manyTags, "k"+string(rune('A'+i%26))+string(rune('a'+i/26)), "v")
	}
	secretive := &cloudtrailtest.Role{ARN: arn, ExternalID: "abc"}
	trusting := func(principal string) *cloudtrailtest.Role {
		return &cloudtrailtest.Role{ARN: arn, TrustedPrincipals: []string{principal}}
	}
	for name, c := range map[string]struct {
		role       *cloudtrailtest.Role
		arn        string
		session    string
		external   string
		duration   int32
		tags       []string
		transitive []string
		want       string
	}{
		"any role":                {arn: arn},
		"another partition":       {arn: "arn:aws-cn:iam::444455556666:role/r", want: "AccessDenied"},
		"not a role":              {arn: "arn:aws:iam::444455556666:user/rrr", want: "ValidationError"},
		"session too short":       {arn: arn, session: "x", want: "ValidationError"},
		"session with a space":    {arn: arn, session: "a b", want: "ValidationError"},
		"session too long":        {arn: arn, session: strings.Repeat("x", 65), want: "ValidationError"},
		"external id wanted":      {role: secretive, arn: arn, want: "AccessDenied"},
		"external id wrong":       {role: secretive, arn: arn, external: "xyz", want: "AccessDenied"},
		"external id right":       {role: secretive, arn: arn, external: "abc"},
		"external id superfluous": {arn: arn, external: "abc"},
		"external id too short":   {arn: arn, external: "x", want: "ValidationError"},
		"denied":                  {role: &cloudtrailtest.Role{ARN: arn, Deny: true}, arn: arn, want: "AccessDenied"},
		"trusts the account":      {role: trusting("arn:aws:iam::111122223333:root"), arn: arn},
		"trusts the account id":   {role: trusting(account), arn: arn},
		"trusts the user":         {role: trusting("arn:aws:iam::111122223333:user/operator"), arn: arn},
		"trusts another":          {role: trusting("arn:aws:iam::999999999999:root"), arn: arn, want: "AccessDenied"},
		"too short a session":     {arn: arn, duration: 899, want: "ValidationError"},
		"longer than the role's":  {arn: arn, duration: 3601, want: "ValidationError"},
		"longer than any":         {arn: arn, duration: 43201, want: "ValidationError"},
		"as long as the role's": {
			role:     &cloudtrailtest.Role{ARN: arn, MaxSessionDuration: 12 * time.Hour},
			arn:      arn,
			duration: 43200,
		},
		"tags": {arn: arn, tags: []string{"team", "audit"}, transitive: []string{"team"}},
		"tags denied": {
			role: &cloudtrailtest.Role{ARN: arn, DenyTagSession: true},
			arn:  arn,
			tags: []string{"team", "audit"},
			want: "AccessDenied",
		},
		"tag key reserved":     {arn: arn, tags: []string{"aws:x", "y"}, want: "ValidationError"},
		"tag twice":            {arn: arn, tags: []string{"a", "1", "A", "2"}, want: "InvalidParameterValue"},
		"tag key too long":     {arn: arn, tags: []string{long, ""}, want: "ValidationError"},
		"tag value too long":   {arn: arn, tags: []string{"a", long}, want: "ValidationError"},
		"too many tags":        {arn: arn, tags: manyTags, want: "ValidationError"},
		"transitive is no tag": {arn: arn, transitive: []string{"team"}, want: "ValidationError"},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			if c.role != nil {
				e.AddRole(*c.role)
			}
			in := &sts.AssumeRoleInput{RoleArn: &c.arn, RoleSessionName: aws.String("session"), TransitiveTagKeys: c.transitive}
			if c.session != "" {
				in.RoleSessionName = &c.session
			}
			if c.external != "" {
				in.ExternalId = &c.external
			}
			if c.duration != 0 {
				in.DurationSeconds = &c.duration
			}
			for i := 0; i+1 < len(c.tags); i += 2 {
				in.Tags = append(in.Tags, stsTag(c.tags[i], c.tags[i+1]))
			}
			_, err := e.sts("test", "test", "").AssumeRole(ctx, in)
			wants(t, err, c.want)
		})
	}
}

func TestAssumeRoleMessages(t *testing.T) {
	e := start(t)
	e.AddRole(cloudtrailtest.Role{ARN: "arn:aws:iam::444455556666:role/r", DenyTagSession: true, ExternalID: "right"})
	in := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::444455556666:role/r"), RoleSessionName: aws.String("ss")}
	_, err := e.sts("test", "test", "").AssumeRole(ctx, in)
	equal(
		t,
		"message",
		message(err),
		"User: arn:aws:iam::111122223333:user/operator is not authorized to perform: "+
			"sts:AssumeRole on resource: arn:aws:iam::444455556666:role/r",
	)
	in.ExternalId = aws.String("right")
	in.Tags = append(in.Tags, stsTag("a", "b"))
	_, err = e.sts("test", "test", "").AssumeRole(ctx, in)
	equal(
		t,
		"message",
		message(err),
		"User: arn:aws:iam::111122223333:user/operator is not authorized to perform: "+
			"sts:TagSession on resource: arn:aws:iam::444455556666:role/r",
	)
}

func TestRegisteredRolesOnly(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.RegisteredRolesOnly = true })
	in := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::444455556666:role/r"), RoleSessionName: aws.String("ss")}
	_, err := e.sts("test", "test", "").AssumeRole(ctx, in)
	wants(t, err, "AccessDenied")
	e.AddRole(cloudtrailtest.Role{ARN: *in.RoleArn})
	_, err = e.sts("test", "test", "").AssumeRole(ctx, in)
	wants(t, err, "")
	e.DeleteRole(*in.RoleArn)
	_, err = e.sts("test", "test", "").AssumeRole(ctx, in)
	wants(t, err, "AccessDenied")
}

func TestRoleChaining(t *testing.T) {
	e := start(t)
	first, err := e.sts("test", "test", "").AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::111122223333:role/hub"), RoleSessionName: aws.String("ss"),
		Tags: stsTags("team", "audit"), TransitiveTagKeys: []string{"team"},
	})
	wants(t, err, "")
	hub := e.sts(*first.Credentials.AccessKeyId, *first.Credentials.SecretAccessKey, *first.Credentials.SessionToken)
	spoke := cloudtrailtest.Role{
		ARN:                "arn:aws:iam::444455556666:role/spoke",
		TrustedPrincipals:  []string{"arn:aws:iam::111122223333:role/hub"},
		MaxSessionDuration: 12 * time.Hour,
	}
	e.AddRole(spoke)
	in := &sts.AssumeRoleInput{RoleArn: &spoke.ARN, RoleSessionName: aws.String("ss"), DurationSeconds: aws.Int32(3601)}
	_, err = hub.AssumeRole(ctx, in)
	wants(t, err, "ValidationError")
	in.DurationSeconds = aws.Int32(3600)
	_, err = hub.AssumeRole(ctx, in)
	wants(t, err, "")
	in.Tags = stsTags("team", "other")
	_, err = hub.AssumeRole(ctx, in)
	wants(t, err, "ValidationError")
	_, err = e.sts("test", "test", "").
		AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &spoke.ARN, RoleSessionName: aws.String("ss")})
	wants(t, err, "AccessDenied")
}

func TestRootMayNotAssumeRoles(t *testing.T) {
	e := start(t)
	e.AddCredentials(
		cloudtrailtest.Credentials{AccessKeyID: "ROOT", SecretAccessKey: "s", ARN: "arn:aws:iam::111122223333:root"},
	)
	_, err := e.sts("ROOT", "s", "").AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn:         aws.String("arn:aws:iam::444455556666:role/r"),
		RoleSessionName: aws.String("ss"),
	})
	wants(t, err, "AccessDenied")
}

func TestPartitions(t *testing.T) {
	e := start(t)
	for region, want := range map[string]string{
		"cn-north-1":    "arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/audit",
		"us-gov-west-1": "arn:aws-us-gov:cloudtrail:us-gov-west-1:111122223333:trail/audit",
		"us-east-1":     "arn:aws:cloudtrail:us-east-1:111122223333:trail/audit",
	} {
		out := create(
			t,
			e.in(region),
			"audit",
			multiRegion,
			func(in *cloudtrail.CreateTrailInput) { in.SnsTopicName = aws.String("trails") },
		)
		equal(t, region, *out.TrailARN, want)
		equal(t, region, strings.Split(*out.SnsTopicARN, ":")[1], strings.Split(want, ":")[1])
	}
	described, err := e.in("cn-northwest-1").DescribeTrails(ctx, nil)
	wants(t, err, "")
	equal(t, "only its own partition's", len(described.TrailList), 1)
	_, err = e.in("cn-north-1").
		GetTrail(ctx, &cloudtrail.GetTrailInput{Name: aws.String("arn:aws:cloudtrail:cn-north-1:111122223333:trail/audit")})
	wants(t, err, "CloudTrailARNInvalidException")
}
