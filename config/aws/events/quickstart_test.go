package events_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// quickstart is the template of docs/quickstart.md. What checks templates is here.
const quickstart = "../quickstart.yaml"

// TestQuickstartHasThePolicies holds that the template allows what the policies in its folder do, which have examples
// for names.
func TestQuickstartHasThePolicies(t *testing.T) {
	examples := strings.NewReplacer("arn:aws:", "arn:${AWS::Partition}:", "111122223333", "${AWS::AccountId}",
		"example-audit-logs/prefix", "${BucketName}", "example-audit-logs", "${BucketName}",
		"eu-central-1:111122223333:trail/audit", "${AWS::Region}:${AWS::AccountId}:trail/${TrailName}",
		"eu-central-1:111122223333:cluster/example", "${AWS::Region}:${AWS::AccountId}:cluster/${ClusterName}",
		"oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE", "${OIDCProvider}")
	resources := readTemplate(t, quickstart).resources
	role := resources["OperatorRole"].properties
	inline := as[object](as[[]any](role["Policies"])[0])

	for file, found := range map[string]any{
		"../bucket-policy.json":               render(resources["BucketPolicy"].properties["PolicyDocument"], true),
		"../operator-policy.json":             render(inline["PolicyDocument"], true),
		"../operator-trust-pod-identity.json": render(role["AssumeRolePolicyDocument"], true),
		"../operator-trust-irsa.json":         render(role["AssumeRolePolicyDocument"], false),
	} {
		var want any
		if err := json.Unmarshal([]byte(examples.Replace(string(readFile(t, file)))), &want); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if text, ok := found.(string); ok {
			found = nil
			if err := json.Unmarshal([]byte(text), &found); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
		if difference := cmp.Diff(want, found, sorted); difference != "" {
			t.Errorf("%s allows something else (-want +got):\n%s", file, difference)
		}
	}
	if kept := resources["Bucket"].deletionPolicy; kept != "Retain" {
		t.Errorf("log files go with the stack: %s", kept)
	}
}
