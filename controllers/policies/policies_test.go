package policies

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// trail returns the manifest of a Trail whose spec has these lines.
func trail(name string, spec ...string) string {
	return "---\napiVersion: trail-operator.dev/v1alpha1\nkind: Trail\nmetadata: {namespace: a, name: " + name +
		"}\nspec:\n  " + strings.Join(spec, "\n  ") + "\n"
}

func identity(name string, spec ...string) string {
	return "---\napiVersion: trail-operator.dev/v1alpha1\nkind: AWSIdentity\nmetadata: {name: " + name +
		"}\nspec:\n  " + strings.Join(spec, "\n  ") + "\n"
}

// run runs the command and returns what it prints.
func run(t *testing.T, input string, arguments ...string) (string, error) {
	t.Helper()
	options := Options{Input: strings.NewReader(input)}
	for _, name := range []string{"trails", "awsidentities"} {
		crd, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", "trail-operator.dev_"+name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		options.CRDs = append(options.CRDs, crd)
	}
	set := flag.NewFlagSet("policies", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	options.BindFlags(set)
	if err := set.Parse(append([]string{"-f", "-"}, arguments...)); err != nil {
		return "", err
	}
	if err := options.Validate(); err != nil {
		return "", err
	}
	var b bytes.Buffer
	err := Run(t.Context(), options, &b)
	return b.String(), err
}

// withoutRegion lets the AWS SDK know no region.
func withoutRegion(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
}

const (
	inFrankfurt = "region: eu-central-1"
	toBucket    = "s3BucketName: logs"
	ofAccount   = "--account-id=111122223333"
)

// TestPrinted holds which policies are printed, as KIND OF, and strings that one of them has.
func TestPrinted(t *testing.T) {
	withoutRegion(t)
	bucket := []string{"bucket logs"}
	for name, c := range map[string]struct {
		input     string
		arguments []string
		policies  []string
		has       []string
	}{
		"what a bucket needs, and the operator": {
			trail("audit", inFrankfurt, toBucket), []string{ofAccount},
			[]string{"bucket logs", "operator the operator's own role"},
			[]string{`"arn:aws:s3:::logs/AWSLogs/111122223333/*"`, "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"},
		},
		"everything": {
			trail("audit", inFrankfurt, toBucket, "snsTopicName: topic", "kmsKeyID: alias/key",
				"cloudWatchLogsLogGroupARN: arn:aws:logs:eu-central-1:111122223333:log-group:group:*",
				"cloudWatchLogsRoleARN: arn:aws:iam::111122223333:role/logs", "identityRef: {name: member}") +
				identity("member", "roleARN: arn:aws:iam::444455556666:role/op"),
			[]string{"--role-arn=arn:aws:iam::111122223333:role/hub"},
			[]string{
				"bucket logs", "topic arn:aws:sns:eu-central-1:444455556666:topic",
				"key arn:aws:kms:eu-central-1:444455556666:alias/key",
				"log-role-trust arn:aws:iam::111122223333:role/logs", "log-role arn:aws:iam::111122223333:role/logs",
				"operator arn:aws:iam::444455556666:role/op", "member-trust arn:aws:iam::444455556666:role/op",
				"hub arn:aws:iam::111122223333:role/hub",
			},
			[]string{`"iam:PassRole"`, "log-stream:444455556666_CloudTrail_eu-central-1*"},
		},
		"keys and topics of other accounts": {
			trail("audit", inFrankfurt, toBucket, "snsTopicName: arn:aws:sns:eu-west-1:777788889999:topic",
				"kmsKeyID: arn:aws:kms:eu-central-1:777788889999:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
			[]string{ofAccount},
			[]string{
				"bucket logs", "topic arn:aws:sns:eu-west-1:777788889999:topic",
				"key arn:aws:kms:eu-central-1:777788889999:key/1234abcd-12ab-34cd-56ef-1234567890ab",
				"operator the operator's own role",
			},
			[]string{`"AWS": "arn:aws:iam::777788889999:root"`, `"kms:CallerAccount": "777788889999"`},
		},
		"a key by its ID": {
			trail("audit", inFrankfurt, toBucket, "kmsKeyID: 1234abcd-12ab-34cd-56ef-1234567890ab"),
			[]string{ofAccount, "--only=key"},
			[]string{"key arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}, nil,
		},
		"the account of the operator's role": {
			trail("audit", inFrankfurt, toBucket), []string{"--role-arn=arn:aws:iam::111122223333:role/hub"},
			[]string{"bucket logs", "operator arn:aws:iam::111122223333:role/hub"}, nil,
		},
		"China": {
			trail("audit", "region: cn-north-1", toBucket), []string{ofAccount, "--only=bucket"}, bucket,
			[]string{`"arn:aws-cn:s3:::logs"`, "arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/audit"},
		},
		"GovCloud, by the flag": {
			trail("audit", toBucket), []string{ofAccount, "--only=operator", "--region=us-gov-west-1"},
			[]string{"operator the operator's own role"}, []string{`"arn:aws-us-gov:cloudtrail:*:111122223333:trail/*"`},
		},
		"the region of the manifest before that of the flag": {
			trail("audit", inFrankfurt, toBucket), []string{ofAccount, "--only=bucket", "--region=us-east-1"}, bucket,
			[]string{"arn:aws:cloudtrail:eu-central-1:"},
		},
		"a name of the trail's own": {
			trail("audit", "name: other", inFrankfurt, toBucket), []string{ofAccount, "--only=bucket"}, bucket,
			[]string{":trail/other"},
		},
		"a prefix that policies would take for a pattern": {
			trail("audit", inFrankfurt, toBucket, `s3KeyPrefix: "*/${aws:username}?"`), []string{ofAccount, "--only=bucket"},
			bucket, []string{`"arn:aws:s3:::logs/${*}/${$}{aws:username}${?}/AWSLogs/111122223333/*"`},
		},
		"an organization's trail": {
			trail("audit", inFrankfurt, toBucket, "isOrganizationTrail: true"),
			[]string{ofAccount, "--only=bucket", "--organization-id=o-exampleorgid"}, bucket,
			[]string{
				"logs/AWSLogs/o-exampleorgid/*", "logs/AWSLogs/111122223333/*",
				"Account 111122223333 is taken for the management account",
			},
		},
		"an organization's trail by a delegated administrator": {
			trail("audit", inFrankfurt, toBucket, "isOrganizationTrail: true"), []string{
				ofAccount, "--only=operator", "--organization-id=o-exampleorgid", "--management-account-id=999988887777",
			},
			[]string{"operator the operator's own role"},
			[]string{
				`"arn:aws:cloudtrail:*:111122223333:trail/*"`, `"arn:aws:cloudtrail:*:999988887777:trail/*"`,
				"arn:aws:iam::111122223333:role/aws-service-role/",
			},
		},
		"objects of other kinds": {
			trail("audit", inFrankfurt, toBucket) + "---\napiVersion: v1\nkind: ConfigMap\n",
			[]string{ofAccount, "--only=bucket"}, bucket, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			output, err := run(t, c.input, append(c.arguments, "--output=json")...)
			g.Expect(err).NotTo(HaveOccurred())
			var printed struct {
				Policies []struct {
					Kind, Of string
					Trails   []string
				}
			}
			g.Expect(json.Unmarshal([]byte(output), &printed)).To(Succeed())
			var got []string
			for _, p := range printed.Policies {
				got = append(got, p.Kind+" "+p.Of)
				g.Expect(p.Trails).To(Equal([]string{"a/audit"}))
			}
			g.Expect(got).To(Equal(c.policies))
			for _, part := range c.has {
				g.Expect(output).To(ContainSubstring(part))
			}
			g.Expect(output).NotTo(ContainSubstring("-ID"), "a placeholder")
		})
	}
}

// TestRefused holds what is asked for before anything is printed.
func TestRefused(t *testing.T) {
	withoutRegion(t)
	plain := trail("audit", inFrankfurt, toBucket)
	for name, c := range map[string]struct {
		input     string
		arguments []string
		want      string
	}{
		"no account":       {plain, nil, "a/audit: no manifest tells the account"},
		"no region":        {trail("audit", toBucket), []string{ofAccount}, "give --region, or set AWS_REGION"},
		"no Trail":         {identity("a", "externalID: aa"), []string{ofAccount}, "there is no Trail in the files"},
		"no manifest":      {"a: b: c", []string{ofAccount}, "stdin:1: is not YAML"},
		"no file":          {plain, []string{ofAccount, "-f=nowhere"}, "nowhere: cannot be read: no such file"},
		"an unknown field": {trail("audit", "bucket: a", toBucket), []string{ofAccount}, `unknown field "spec.bucket"`},
		"an unknown identity": {
			trail("audit", inFrankfurt, toBucket, "identityRef: {name: member}"), []string{ofAccount},
			"AWSIdentity member is in none of the files",
		},
		"an identity twice": {
			plain + identity("a", "externalID: aa") + identity("a", "externalID: bb"), []string{ofAccount},
			"AWSIdentity a is there twice",
		},
		"a role that is none": {
			plain + identity("default", "roleARN: 'arn:aws:iam::111122223333:role/*'"), []string{ofAccount},
			"is not the ARN of a role",
		},
		"a role without the one that it trusts": {
			plain + identity("default", "roleARN: arn:aws:iam::444455556666:role/op"), []string{ofAccount}, "give --role-arn",
		},
		"another partition": {
			plain, []string{"--role-arn=arn:aws-cn:iam::111122223333:role/op"}, "is not in the partition of the role",
		},
		"an organization without its ID": {
			trail("audit", inFrankfurt, toBucket, "isOrganizationTrail: true"), []string{ofAccount}, "give --organization-id",
		},
		"a bucket that is a pattern": {
			trail("audit", inFrankfurt, "s3BucketName: 'logs*'"), []string{ofAccount}, `spec.s3BucketName is "logs*"`,
		},
		"a region that is a pattern": {
			trail("audit", "region: '*'", toBucket), []string{ofAccount}, `"*" is not a region`,
		},
		"a name that is made later": {
			strings.Replace(plain, "name: audit", "generateName: audit-", 1), []string{ofAccount},
			"a/audit-*: it has no name",
		},
		"an account": {plain, []string{"--account-id=1111"}, `--account-id "1111" is not an account`},
		"two accounts": {
			plain, []string{ofAccount, "--role-arn=arn:aws:iam::222233334444:role/a"}, "--account-id is 111122223333",
		},
		"an organization": {
			plain, []string{ofAccount, "--organization-id=example"}, `--organization-id "example" is not`,
		},
		"a kind":              {plain, []string{ofAccount, "--only=buckets"}, "not one of bucket, topic,"},
		"a kind nobody needs": {plain, []string{ofAccount, "--only=key"}, "no Trail needs a policy of the kind key"},
		"several, where one is": {
			plain, []string{ofAccount, "--output=policy"}, "there are several (The policy of bucket logs;",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			output, err := run(t, c.input, c.arguments...)
			g.Expect(err).To(MatchError(ContainSubstring(c.want)))
			g.Expect(output).To(BeEmpty())
		})
	}
}

// TestSharedBucket: Trails with the same folder share statements, and no trail may write to the folder of another.
func TestSharedBucket(t *testing.T) {
	g := NewWithT(t)
	output, err := run(t, trail("b", inFrankfurt, toBucket)+trail("a", inFrankfurt, toBucket)+
		trail("c", inFrankfurt, toBucket, "s3KeyPrefix: c"), ofAccount, "--only=bucket", "--output=policy")
	g.Expect(err).NotTo(HaveOccurred())
	var policy struct {
		Statement []struct {
			Sid              string
			Action, Resource string
			Condition        map[string]map[string]any
		}
	}
	g.Expect(json.Unmarshal([]byte(output), &policy)).To(Succeed())
	arn := func(name string) string { return "arn:aws:cloudtrail:eu-central-1:111122223333:trail/" + name }
	var got []any
	for _, s := range policy.Statement {
		got = append(got, []any{s.Sid, s.Resource, s.Condition["StringEquals"][cloudtrail.SourceARN]})
	}
	g.Expect(got).To(Equal([]any{
		[]any{"CloudTrailReadsAcl", "arn:aws:s3:::logs", []any{arn("a"), arn("b"), arn("c")}},
		[]any{"CloudTrailWritesLogs", "arn:aws:s3:::logs/AWSLogs/111122223333/*", []any{arn("a"), arn("b")}},
		[]any{"CloudTrailWritesLogs2", "arn:aws:s3:::logs/c/AWSLogs/111122223333/*", arn("c")},
	}))
}

// TestLargeBucketPolicy: S3 would refuse the policy.
func TestLargeBucketPolicy(t *testing.T) {
	var input strings.Builder
	for i := range 100 {
		name := "t" + strings.Repeat("a", i)
		input.WriteString(trail(name, inFrankfurt, toBucket, "s3KeyPrefix: "+name))
	}
	_, err := run(t, input.String(), ofAccount)
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("larger than the 20 KB that S3 takes")))
}

// TestText holds that each policy is below what it is of, and that names have no power over a terminal.
func TestText(t *testing.T) {
	g := NewWithT(t)
	output, err := run(t, trail(`"audit\u001b[2J"`, "name: audit", inFrankfurt, toBucket), ofAccount)
	g.Expect(err).NotTo(HaveOccurred())
	lines := slices.DeleteFunc(
		strings.Split(output, "\n"),
		func(line string) bool { return !strings.HasPrefix(line, "# ") },
	)
	g.Expect(lines).To(HaveExactElements(
		"# The policy of bucket logs",
		ContainSubstring(`# For Trail a/audit\x1b[2J.`),
		ContainSubstring("add the statements"),
		"# The permissions of the operator in AWS: the operator's own role",
		ContainSubstring("a/audit"),
		ContainSubstring("EventLookups"),
	))
	g.Expect(output).NotTo(ContainSubstring("\x1b"))
}
