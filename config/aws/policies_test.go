// Package aws_test checks the IAM policies in this folder against what the operator calls and says.
package aws_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// stringList is a JSON string, or a list of them.
type stringList []string

func (l *stringList) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = stringList{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(text, &many); err != nil {
		return err
	}
	slices.Sort(many)
	*l = many
	return nil
}

type statement struct {
	Sid       string
	Effect    string
	Principal map[string]string
	Action    stringList
	Resource  stringList
	Condition map[string]map[string]string
}

func read(t *testing.T, name string) []statement {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Version   string
		Statement []statement
	}
	if err := json.Unmarshal(text, &policy); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if policy.Version != "2012-10-17" {
		t.Errorf("%s: version %q", name, policy.Version)
	}
	return policy.Statement
}

// actions are the CloudTrail actions that the policies allow.
func actions(t *testing.T, names ...string) []string {
	t.Helper()
	var allowed []string
	for _, name := range names {
		for _, s := range read(t, name) {
			for _, action := range s.Action {
				if strings.HasPrefix(action, "cloudtrail:") {
					allowed = append(allowed, action)
				}
			}
		}
	}
	slices.Sort(allowed)
	return allowed
}

// calls are the CloudTrail operations that the operator can call at all.
func calls(t *testing.T) []string {
	t.Helper()
	api := reflect.TypeFor[cloudtrail.API]()
	var operations []string
	for method := range api.Methods() {
		operations = append(operations, "cloudtrail:"+method.Name)
	}
	slices.Sort(operations)
	return operations
}

// onlyOfReaders is what nobody calls but those who validate log files, which is for another role than the operator's.
const onlyOfReaders = "cloudtrail:ListPublicKeys"

// ofTrails are the CloudTrail operations that the operator calls for Trails.
func ofTrails(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(calls(t), func(action string) bool { return action == onlyOfReaders })
}

func TestOperatorPolicyAllowsWhatTheOperatorCalls(t *testing.T) {
	if difference := cmp.Diff(ofTrails(t), actions(t, "operator-policy.json")); difference != "" {
		t.Errorf("operator-policy.json allows something else than the operator calls (-calls +policy):\n%s", difference)
	}
}

func TestObservePolicyAllowsReadsOnly(t *testing.T) {
	reads := slices.DeleteFunc(ofTrails(t), func(action string) bool {
		operation := strings.TrimPrefix(action, "cloudtrail:")
		return !strings.HasPrefix(operation, "Get") && !strings.HasPrefix(operation, "List") &&
			!strings.HasPrefix(operation, "Describe") && !strings.HasPrefix(operation, "Lookup")
	})
	if difference := cmp.Diff(reads, actions(t, "operator-observe-policy.json")); difference != "" {
		t.Errorf(
			"operator-observe-policy.json allows something else than the operator's reads (-reads +policy):\n%s",
			difference,
		)
	}
}

func TestPoliciesAllowNoWildcardActions(t *testing.T) {
	names, err := filepath.Glob("*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no policies: %v", err)
	}
	for _, name := range names {
		sids := map[string]bool{}
		for _, s := range read(t, name) {
			if s.Sid == "" || sids[s.Sid] || s.Effect != "Allow" {
				t.Errorf("%s: statement %q: want a Sid of its own, and Allow", name, s.Sid)
			}
			sids[s.Sid] = true
			for _, action := range s.Action {
				if strings.HasSuffix(action, "*") && action != "kms:GenerateDataKey*" && s.Sid != "AccountAdministersKey" {
					t.Errorf("%s: %s allows %s", name, s.Sid, action)
				}
			}
			if service := s.Principal["Service"]; service == "cloudtrail.amazonaws.com" &&
				s.Condition["StringEquals"]["aws:SourceArn"] == "" {
				t.Errorf("%s: %s lets CloudTrail act for anybody's trail: aws:SourceArn is missing", name, s.Sid)
			}
		}
	}
}

// TestResourcePoliciesAreWhatTheOperatorAsksFor compares the policies with the statements in the operator's own
// messages.
func TestResourcePoliciesAreWhatTheOperatorAsksFor(t *testing.T) {
	organization := true
	for name, test := range map[string]struct {
		code string
		spec v1alpha1.TrailSpec
		file string
	}{
		"bucket": {code: "InsufficientS3BucketPolicyException", file: "bucket-policy.json"},
		"bucket of an organization": {
			code: "InsufficientS3BucketPolicyException", file: "bucket-organization-policy.json",
			spec: v1alpha1.TrailSpec{IsOrganizationTrail: &organization},
		},
		"topic":                       {code: "InsufficientSnsTopicPolicyException", file: "topic-policy.json"},
		"key":                         {code: "InsufficientEncryptionPolicyException", file: "key-policy.json"},
		"role that cannot be assumed": {code: "InvalidCloudWatchLogsRoleArnException", file: "log-role-policy.json"},
		"role of an organization": {
			code: "InvalidCloudWatchLogsRoleArnException", file: "log-role-organization-policy.json",
			spec: v1alpha1.TrailSpec{IsOrganizationTrail: &organization},
		},
	} {
		t.Run(name, func(t *testing.T) {
			spec := test.spec
			spec.S3BucketName, spec.S3KeyPrefix = "example-audit-logs", "prefix"
			spec.SNSTopicName = "audit"
			spec.CloudWatchLogsLogGroupARN = "arn:aws:logs:eu-central-1:111122223333:log-group:audit:*"
			spec.CloudWatchLogsRoleARN = "arn:aws:iam::111122223333:role/trail-logs"
			message := cloudtrail.Explain(&cloudtrail.Error{Operation: "CreateTrail", Code: test.code}, cloudtrail.Subject{
				Trail:               &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Name: "audit"}, Spec: spec},
				Caller:              cloudtrail.Caller{AccountID: "111122223333", Region: "eu-central-1"},
				ManagementAccountID: "111122223333",
			})
			message = strings.ReplaceAll(message, "ORGANIZATION-ID", "o-exampleorgid")
			start := strings.Index(message, "[")
			if start < 0 {
				t.Fatalf("the message holds no statements: %s", message)
			}
			var wanted []statement
			if err := json.NewDecoder(strings.NewReader(message[start:])).Decode(&wanted); err != nil {
				t.Fatalf("%v: %s", err, message)
			}
			offered := read(t, test.file)
			for i := range offered {
				offered[i].Sid = ""
			}
			for _, s := range wanted {
				if !slices.ContainsFunc(offered, func(o statement) bool { return cmp.Equal(s, o) }) {
					t.Errorf("%s lacks the statement that the operator asks for: %+v", test.file, s)
				}
			}
		})
	}
}

// TestLogReaderPolicyAllowsWhatValidationCalls compares the policy with the calls to CloudTrail, and with the
// statements in the messages that say what else is missing.
func TestLogReaderPolicyAllowsWhatValidationCalls(t *testing.T) {
	called := []string{"cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", onlyOfReaders}
	for _, action := range called {
		if !slices.Contains(calls(t), action) {
			t.Errorf("nothing calls %s", action)
		}
	}
	if difference := cmp.Diff(called, actions(t, "log-reader-policy.json")); difference != "" {
		t.Errorf("log-reader-policy.json allows something else than validation calls (-calls +policy):\n%s", difference)
	}

	wanted := slices.DeleteFunc(readerStatements(t), func(s statement) bool { return s.Action[0] == onlyOfReaders })
	offered := slices.DeleteFunc(withoutSids(t, "log-reader-policy.json"), func(s statement) bool {
		return strings.HasPrefix(s.Action[0], "cloudtrail:")
	})
	if difference := cmp.Diff(wanted, offered); difference != "" {
		t.Errorf("log-reader-policy.json allows something else than is asked for (-asked for +policy):\n%s", difference)
	}
}

// TestPoliciesForReadersOfOtherAccounts: what a reader's own policy allows on bucket and key, theirs must, too.
func TestPoliciesForReadersOfOtherAccounts(t *testing.T) {
	var offered []statement
	for _, file := range []string{"log-reader-bucket-policy.json", "log-reader-key-policy.json"} {
		for _, s := range withoutSids(t, file) {
			if s.Principal["AWS"] != "arn:aws:iam::777788889999:role/log-reader" {
				t.Errorf("%s allows it for %v", file, s.Principal)
			}
			s.Principal = nil
			if slices.Contains(s.Action, "kms:Decrypt") {
				s.Resource = stringList{readerKey} // In a key's policy, * is the key.
			}
			offered = append(offered, s)
		}
	}
	wanted := slices.DeleteFunc(readerStatements(t), func(s statement) bool { return s.Action[0] == onlyOfReaders })
	if difference := cmp.Diff(wanted, offered); difference != "" {
		t.Errorf("the policies allow something else than is asked for (-asked for +policies):\n%s", difference)
	}
}

// readerKey is the key in the reader's policy.
const readerKey = "arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// readerStatements are the statements that messages ask for, in the order of the policy: for the list, the log files,
// the key and the public keys.
func readerStatements(t *testing.T) []statement {
	t.Helper()
	reader := cloudtrail.Reader{Bucket: "example-audit-logs", Region: "eu-central-1", Folder: "prefix/AWSLogs/"}
	var all []statement
	for _, message := range []string{
		reader.ListRemedy(), reader.GetRemedy(), reader.DecryptRemedy(), reader.KeysRemedy(),
	} {
		message = strings.ReplaceAll(message, "KEY-ARN", readerKey)
		var wanted []statement
		_, statements, _ := strings.Cut(message, ": [")
		if err := json.NewDecoder(strings.NewReader("[" + statements)).Decode(&wanted); err != nil {
			t.Fatalf("%v: %s", err, message)
		}
		for _, s := range wanted {
			if !slices.ContainsFunc(all, func(known statement) bool { return cmp.Equal(known, s) }) {
				all = append(all, s)
			}
		}
	}
	return all
}

// withoutSids are the statements of a policy, which messages give no names.
func withoutSids(t *testing.T, file string) []statement {
	t.Helper()
	statements := read(t, file)
	for i := range statements {
		statements[i].Sid = ""
	}
	return statements
}
