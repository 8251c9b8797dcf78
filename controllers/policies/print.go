package policies

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// write prints policies.
func write(policies []*Policy, format Format, output io.Writer) error {
	var (
		printed string
		err     error
	)
	switch format {
	case JSON:
		printed, err = text.JSON(report{policies}, "  ")
	case Bare:
		printed, err = one(policies)
	default:
		printed, err = asText(policies)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(output, printed)
	return err
}

// report is everything in one document.
type report struct {
	Policies []*Policy `json:"policies"`
}

// json returns the document as JSON.
func (d Document) json(indent string) (string, error) { return text.JSON(d, indent) }

// one returns the only policy.
func one(policies []*Policy) (string, error) {
	if len(policies) > 1 {
		names := make([]string, 0, len(policies))
		for _, p := range policies {
			names = append(names, p.title())
		}
		return "", fmt.Errorf("--output policy prints one policy, and there are several (%s): choose with --only, "+
			"and by the files that are read", strings.Join(names, "; "))
	}
	return policies[0].Document.json("  ")
}

// asText returns each policy below what it is of.
func asText(policies []*Policy) (string, error) {
	var b strings.Builder
	for i, p := range policies {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "# %s\n", text.Escape(p.title()))
		fmt.Fprintf(&b, "# For Trail %s.\n", text.Escape(strings.Join(p.Trails, ", ")))
		for _, note := range p.Notes {
			fmt.Fprintf(&b, "# %s\n", text.Escape(note))
		}
		document, err := p.Document.json("  ")
		if err != nil {
			return "", err
		}
		b.WriteString(document)
	}
	return b.String(), nil
}

// titles say where a policy of a kind goes.
var titles = map[Kind]string{
	Bucket:       "The policy of bucket %s",
	Topic:        "The policy of topic %s",
	Key:          "The policy of key %s",
	LogRoleTrust: "The trust policy of the role for CloudWatch Logs %s",
	LogRole:      "The permissions of the role for CloudWatch Logs %s",
	Operator:     "The permissions of the operator in AWS: %s",
	MemberTrust:  "The trust policy of the role %s",
	Hub:          "The permissions of the operator's own role to assume others: %s",
}

// title says where the policy goes.
func (p *Policy) title() string { return fmt.Sprintf(titles[p.Kind], p.Of) }

// keyARN returns the ARN of a trail's key. An ID or an alias is of the account and the region of the trail.
func (s *subject) keyARN() string {
	id := s.Trail.Spec.KMSKeyID
	switch {
	case arn.IsARN(id):
		return id
	case !strings.HasPrefix(id, alias):
		id = "key/" + id
	}
	return arn.ARN{
		Partition: cloudtrail.Partition(s.Region), Service: "kms", Region: s.Region, AccountID: s.AccountID, Resource: id,
	}.String()
}

// alias begins an alias of a key.
const alias = "alias/"

// note adds what to look at before the policy of a Trail is used.
func (p *Policy) note(s *subject) {
	var notes []string
	switch p.Kind {
	case Bucket, Topic:
		notes = append(notes, "If it has a policy already, add the statements to it: a new policy replaces the old one.")
	case Key:
		notes = append(notes, "If it has a policy already, add the statements to it: a new policy replaces the old one. "+
			"Bucket and key have to be in the same region.")
		if strings.Contains(p.Of, ":"+alias) {
			notes = append(notes, "aws kms describe-key tells the ID of the key, which aws kms put-key-policy asks for.")
		}
	case Operator:
		notes = append(notes, "EventLookups need nothing else. Event queues and the validation of log files do.")
	}
	if s.managementAssumed && p.Kind != MemberTrust && p.Kind != Hub {
		notes = append(notes, fmt.Sprintf("Account %s is taken for the management account of the organization. "+
			"If it is a delegated administrator, give --management-account-id.", s.ManagementAccountID))
	}

	for _, note := range notes {
		if !slices.Contains(p.Notes, note) {
			p.Notes = append(p.Notes, note)
		}
	}
}
