package aws_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trail-operator/trail-operator/controllers/policies"
)

// The manifests for which the command has to print the policies of this folder.
const (
	exampleTrail = `
apiVersion: trail-operator.dev/v1alpha1
kind: Trail
metadata: {name: audit}
spec:
  region: eu-central-1
  s3BucketName: example-audit-logs
  s3KeyPrefix: prefix
  snsTopicName: audit
  kmsKeyID: 1234abcd-12ab-34cd-56ef-1234567890ab
  cloudWatchLogsLogGroupARN: arn:aws:logs:eu-central-1:111122223333:log-group:audit:*
  cloudWatchLogsRoleARN: arn:aws:iam::111122223333:role/trail-logs
`
	exampleIdentity = `
---
apiVersion: trail-operator.dev/v1alpha1
kind: AWSIdentity
metadata: {name: member}
spec:
  roleARN: arn:aws:iam::444455556666:role/trail-operator
  externalID: example-cluster
  sessionTags: [{key: team, value: security}]
`
)

// TestCommandPrintsThesePolicies holds the policies here equal to those that `trail-operator policies` prints.
func TestCommandPrintsThesePolicies(t *testing.T) {
	organization := exampleTrail + "  isOrganizationTrail: true\n"
	for name, test := range map[string]struct {
		manifest string
		kind     policies.Kind
		files    []string
	}{
		"bucket":                   {exampleTrail, policies.Bucket, []string{"bucket-policy.json"}},
		"bucket, organization":     {organization, policies.Bucket, []string{"bucket-organization-policy.json"}},
		"topic":                    {exampleTrail, policies.Topic, []string{"topic-policy.json"}},
		"key":                      {exampleTrail, policies.Key, []string{"key-policy.json"}},
		"log role":                 {exampleTrail, policies.LogRole, []string{"log-role-policy.json"}},
		"log role, organization":   {organization, policies.LogRole, []string{"log-role-organization-policy.json"}},
		"trust in the log role":    {exampleTrail, policies.LogRoleTrust, []string{"log-role-trust-policy.json"}},
		"trust of another account": {ofMember(exampleTrail), policies.MemberTrust, []string{"member-trust-policy.json"}},
		"operator": {
			without(exampleTrail, "cloudWatchLogs"), policies.Operator, []string{"operator-policy.json"},
		},
		"operator that observes": {
			exampleTrail + "  managementPolicy: Observe\n", policies.Operator, []string{"operator-observe-policy.json"},
		},
		"operator, CloudWatch Logs": {
			exampleTrail, policies.Operator, []string{"operator-policy.json", "operator-cloudwatch-logs-policy.json"},
		},
		"operator, organization": {
			without(organization, "cloudWatchLogs"), policies.Operator,
			[]string{"operator-policy.json", "operator-organization-policy.json"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var offered []statement
			for _, file := range test.files {
				offered = append(offered, read(t, file)...)
			}
			if difference := cmp.Diff(offered, printed(t, test.manifest, test.kind)); difference != "" {
				t.Errorf("the command prints something else than %v (-file +command):\n%s", test.files, difference)
			}
		})
	}
}

// TestCommandAssumesWhatTheHubPolicyAllows: the file is for all accounts of an organization, and the command's policy
// for those of the manifests.
func TestCommandAssumesWhatTheHubPolicyAllows(t *testing.T) {
	offered, wanted := read(t, "hub-policy.json"), printed(t, ofMember(exampleTrail), policies.Hub)
	for i := range offered {
		offered[i].Condition = nil
		for j, resource := range offered[i].Resource {
			offered[i].Resource[j] = strings.Replace(resource, "::*:", "::444455556666:", 1)
		}
	}
	if difference := cmp.Diff(offered, wanted); difference != "" {
		t.Errorf("the command prints something else than hub-policy.json (-file +command):\n%s", difference)
	}
}

// ofMember returns a manifest with the identity of another account.
func ofMember(manifest string) string {
	return manifest + "  identityRef: {name: member}\n" + exampleIdentity
}

// without returns a manifest without the fields of a name that begins so.
func without(manifest, prefix string) string {
	lines := slices.DeleteFunc(strings.Split(manifest, "\n"), func(line string) bool {
		return strings.HasPrefix(strings.TrimSpace(line), prefix)
	})
	return strings.Join(lines, "\n")
}

// printed returns the statements of the policy that the command prints.
func printed(t *testing.T, manifest string, kind policies.Kind) []statement {
	t.Helper()
	var crds [][]byte
	for _, name := range []string{"trails", "awsidentities"} {
		crd, err := os.ReadFile(filepath.Join("..", "crd", "bases", "trail-operator.dev_"+name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		crds = append(crds, crd)
	}

	var output bytes.Buffer
	err := policies.Run(t.Context(), policies.Options{
		Names: []string{"-"}, Input: strings.NewReader(manifest), CRDs: crds, Only: kind, Format: policies.Bare,
		RoleARN: "arn:aws:iam::111122223333:role/trail-operator", OrganizationID: "o-exampleorgid",
	}, &output)
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Version   string
		Statement []statement
	}
	if err := json.Unmarshal(output.Bytes(), &policy); err != nil {
		t.Fatalf("%v: %s", err, &output)
	}
	return policy.Statement
}
