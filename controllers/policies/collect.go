package policies

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// Kind is what a policy is of.
type Kind string

// Kinds of policies.
const (
	// Bucket is the policy of an S3 bucket.
	Bucket Kind = "bucket"
	// Topic is the policy of an SNS topic.
	Topic Kind = "topic"
	// Key is the policy of a KMS key.
	Key Kind = "key"
	// LogRoleTrust is the trust policy of a role for CloudWatch Logs.
	LogRoleTrust Kind = "log-role-trust"
	// LogRole are the permissions of a role for CloudWatch Logs.
	LogRole Kind = "log-role"
	// Operator are the permissions of a role of the operator.
	Operator Kind = "operator"
	// MemberTrust is the trust policy of a role that the operator assumes.
	MemberTrust Kind = "member-trust"
	// Hub are the permissions of the operator's own role to assume others.
	Hub Kind = "hub"
)

// kinds are all kinds, in the order in which policies are printed.
var kinds = []Kind{Bucket, Topic, Key, LogRoleTrust, LogRole, Operator, MemberTrust, Hub}

// Policy is what one resource or role of AWS needs.
type Policy struct {
	Kind Kind `json:"kind"`
	// Of is what the policy is of: the name of a bucket, or the ARN of a topic, a key, an alias of a key, or a role.
	Of string `json:"of"`
	// Trails are the Trails that need it, as NAMESPACE/NAME.
	Trails []string `json:"trails"`
	// Notes say what to look at before it is used.
	Notes    []string `json:"notes,omitempty"`
	Document Document `json:"policy"`
}

// Document is an IAM policy.
type Document struct {
	Version   string                 `json:"Version"`
	Statement []cloudtrail.Statement `json:"Statement"`
}

// version is that of the language of policies.
const version = "2012-10-17"

// ownRole is what the operator's own role is called if its ARN is not known.
const ownRole = "the operator's own role"

// collection collects policies: each resource has one for all Trails.
type collection []*Policy

// collect returns the policies that Trails need.
func (r *resolver) collect(subjects []subject) ([]*Policy, error) {
	var c collection
	for i := range subjects {
		s := &subjects[i]
		c.ofDeliveries(s)
		c.add(Operator, cmp.Or(s.ARN, ownRole), s, s.OperatorPolicy())
		if s.identity != nil && s.identity.Spec.RoleARN != "" && r.wants(MemberTrust, Hub) {
			if r.RoleARN == "" {
				return nil, fmt.Errorf("AWSIdentity %s has a role, which has to trust the operator's own: give --role-arn",
					s.identity.Name)
			}
			c.add(MemberTrust, s.identity.Spec.RoleARN, s, trust(r.RoleARN, s.identity))
			c.add(Hub, r.RoleARN, s, assume(s.identity))
		}
	}

	c = slices.DeleteFunc(c, func(p *Policy) bool { return !r.wants(p.Kind) })
	slices.SortStableFunc(c, func(a, b *Policy) int {
		return cmp.Or(
			cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)), cmp.Compare(a.Of, b.Of))
	})
	if len(c) == 0 {
		return nil, fmt.Errorf("no Trail needs a policy of the kind %s", r.Only)
	}
	return c, c.finish()
}

// wants tells whether policies of any of the kinds are asked for.
func (r *resolver) wants(of ...Kind) bool { return r.Only == "" || slices.Contains(of, r.Only) }

// ofDeliveries adds the policies of what a trail delivers to.
func (c *collection) ofDeliveries(s *subject) {
	spec := &s.Trail.Spec
	c.add(Bucket, spec.S3BucketName, s, s.BucketPolicy())
	if spec.SNSTopicName != "" {
		c.add(Topic, cloudtrail.TopicARN(s.Region, s.AccountID, spec.SNSTopicName), s, s.TopicPolicy())
	}
	if spec.KMSKeyID != "" {
		c.add(Key, s.keyARN(), s, s.KeyPolicy())
	}
	if spec.CloudWatchLogsRoleARN != "" {
		c.add(LogRoleTrust, spec.CloudWatchLogsRoleARN, s, s.LogRoleTrustPolicy())
		c.add(LogRole, spec.CloudWatchLogsRoleARN, s, s.LogRolePolicy())
	}
}

// add adds statements for a Trail to the policy of a resource.
func (c *collection) add(kind Kind, of string, s *subject, statements []cloudtrail.Statement) {
	i := slices.IndexFunc(*c, func(p *Policy) bool { return p.Kind == kind && p.Of == of })
	if i < 0 {
		*c = append(*c, &Policy{Kind: kind, Of: of, Document: Document{Version: version}})
		i = len(*c) - 1
	}
	policy := (*c)[i]
	if name := nameOf(s.Trail); !slices.Contains(policy.Trails, name) {
		policy.Trails = append(policy.Trails, name)
	}
	policy.Document.Statement = merge(policy.Document.Statement, statements)
	policy.note(s)
}

// trust returns the trust policy of an identity's role.
func trust(operator string, identity *v1alpha1.AWSIdentity) []cloudtrail.Statement {
	principal := map[string]string{"AWS": operator}
	assumed := cloudtrail.Statement{
		Sid: "TrustOperator", Effect: "Allow", Principal: principal, Action: cloudtrail.Strings{"sts:AssumeRole"},
	}
	if id := identity.Spec.ExternalID; id != "" {
		assumed.Condition = cloudtrail.Conditions{"StringEquals": {"sts:ExternalId": {id}}}
	}

	policy := []cloudtrail.Statement{assumed}
	if len(identity.Spec.SessionTags) > 0 {
		policy = append(policy, cloudtrail.Statement{
			Sid: "TrustSessionTags", Effect: "Allow", Principal: principal, Action: cloudtrail.Strings{"sts:TagSession"},
		})
	}
	return policy
}

// assume returns what the operator's own role needs to assume an identity's.
func assume(identity *v1alpha1.AWSIdentity) []cloudtrail.Statement {
	actions := cloudtrail.Strings{"sts:AssumeRole"}
	if len(identity.Spec.SessionTags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	return []cloudtrail.Statement{{
		Sid: "AssumeMemberRoles", Effect: "Allow", Action: actions,
		Resource: cloudtrail.Strings{identity.Spec.RoleARN},
	}}
}

// maxBucketPolicy is how many bytes the policy of a bucket may have.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
const maxBucketPolicy = 20 << 10

// finish numbers the statements, whose names have to differ within a policy, and notes policies that are too large.
func (c collection) finish() error {
	for _, policy := range c {
		number(policy.Document.Statement)
		if policy.Kind != Bucket {
			continue
		}
		compact, err := policy.Document.json("")
		if err != nil {
			return err
		}
		if len(compact) > maxBucketPolicy {
			return errors.New("the policy of bucket " + policy.Of + " would be larger than the 20 KB that S3 takes: " +
				"let the Trails have the same prefix, or more buckets")
		}
	}
	return nil
}
