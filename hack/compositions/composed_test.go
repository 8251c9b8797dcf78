package compositions

import (
	"encoding/json"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
)

// onlyWithTLS is what the composed bucket policies have and config/aws/bucket-policy.json has not.
const onlyWithTLS = `{
	"Sid": "OnlyWithTLS",
	"Effect": "Deny",
	"Principal": "*",
	"Action": "s3:*",
	"Resource": ["arn:aws:s3:::example-audit-logs", "arn:aws:s3:::example-audit-logs/*"],
	"Condition": {"Bool": {"aws:SecureTransport": "false"}}
}`

// wantTrail is the spec of the Trail that the example of an AuditTrail is composed of, but for its kmsKeyID.
func wantTrail() map[string]any {
	return map[string]any{
		"name":                    "audit",
		"region":                  "eu-central-1",
		"identityRef":             map[string]any{"name": "default"},
		"s3BucketName":            "example-audit-logs",
		"s3KeyPrefix":             "prefix",
		"isMultiRegionTrail":      true,
		"enableLogFileValidation": true,
		"logging":                 true,
		"deletionPolicy":          "Retain",
	}
}

// bePolicy matches a policy with the statements of a file in config/aws, and more. The examples are of the account, the
// region and the names in config/aws.
func bePolicy(file string, more ...string) types.GomegaMatcher {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(root, "config", "aws", file))
	Expect(err).NotTo(HaveOccurred())
	var policy struct {
		Version   string            `json:"Version"`
		Statement []json.RawMessage `json:"Statement"`
	}
	Expect(json.Unmarshal(content, &policy)).To(Succeed())
	for _, statement := range more {
		policy.Statement = append(policy.Statement, json.RawMessage(statement))
	}

	want, err := json.Marshal(policy)
	Expect(err).NotTo(HaveOccurred())
	return MatchJSON(want)
}
