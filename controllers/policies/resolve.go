package policies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// resolver finds out what policies name and manifests of Trails do not tell.
type resolver struct {
	Options
	identities map[string]*v1alpha1.AWSIdentity
}

// resolve returns a Trail with everything that its policies name.
func (r *resolver) resolve(ctx context.Context, trail *v1alpha1.Trail) (subject, error) {
	if err := plain(trail); err != nil {
		return subject{}, err
	}
	identity, err := r.identity(trail)
	if err != nil {
		return subject{}, err
	}
	account, err := r.account(identity)
	if err != nil {
		return subject{}, err
	}
	region, err := r.region(ctx, trail)
	if err != nil {
		return subject{}, err
	}
	if role := r.role(identity); role != "" && !cloudtrail.InPartition(role, region) {
		return subject{}, fmt.Errorf("the region %s is not in the partition of the role %s", region, role)
	}

	organization := trail.Spec.OrganizationDesired()
	if organization && r.OrganizationID == "" {
		return subject{}, errors.New("it is an organization trail: give --organization-id, as " +
			"aws organizations describe-organization tells it")
	}
	return subject{
		Subject: cloudtrail.Subject{
			Trail:               trail,
			Caller:              cloudtrail.Caller{Region: region, AccountID: account, ARN: r.role(identity)},
			ManagementAccountID: cmp.Or(r.ManagementAccountID, account),
			OrganizationID:      r.OrganizationID,
		},
		identity:          identity,
		managementAssumed: organization && r.ManagementAccountID == "",
	}, nil
}

// identity returns the identity of a Trail. The default one has no role unless a file says so.
func (r *resolver) identity(trail *v1alpha1.Trail) (*v1alpha1.AWSIdentity, error) {
	name := trail.IdentityName()
	identity := r.identities[name]
	if identity == nil && name != v1alpha1.DefaultIdentityName {
		return nil, fmt.Errorf("AWSIdentity %s is in none of the files, and its account is not known: "+
			"add its manifest with -f", name)
	}
	if identity != nil && identity.Spec.RoleARN != "" && !roleForm.MatchString(identity.Spec.RoleARN) {
		return nil, fmt.Errorf("AWSIdentity %s: spec.roleARN %q is not the ARN of a role", name, identity.Spec.RoleARN)
	}
	return identity, nil
}

// role returns the role of an identity, "" if it is not known.
func (r *resolver) role(identity *v1alpha1.AWSIdentity) string {
	if identity == nil {
		return r.RoleARN
	}
	return cmp.Or(identity.Spec.RoleARN, r.RoleARN)
}

// account returns the account of an identity.
func (r *resolver) account(identity *v1alpha1.AWSIdentity) (string, error) {
	if identity != nil && identity.Spec.RoleARN != "" {
		return accountOf(identity.Spec.RoleARN), nil
	}
	account := cmp.Or(r.AccountID, accountOf(r.RoleARN))
	if account == "" {
		return "", errors.New("no manifest tells the account of the operator's own credentials: give --account-id, " +
			"as aws sts get-caller-identity tells it, or --role-arn")
	}
	return account, nil
}

// region returns the home region of a Trail.
func (r *resolver) region(ctx context.Context, trail *v1alpha1.Trail) (string, error) {
	region := cmp.Or(trail.Spec.Region, r.Region)
	if region == "" {
		cfg, err := cloudtrail.LoadConfig(ctx, "")
		if err != nil {
			return "", err
		}
		region = cfg.Region
	}

	switch {
	case region == "":
		return "", errors.New("it has no spec.region: give --region, or set AWS_REGION, as the operator has it")
	case !regionForm.MatchString(region):
		return "", fmt.Errorf("%q is not a region", region)
	default:
		return region, nil
	}
}

// plain returns an error if policies would take a name of a Trail for something else, such as a pattern. AWS has no
// such names, and an API server refuses them.
func plain(trail *v1alpha1.Trail) error {
	if trail.TrailName() == "" {
		return errors.New("it has no name, which policies need: generateName is not enough")
	}
	for _, field := range []struct{ name, value string }{
		{"the name of the trail", trail.TrailName()},
		{"spec.s3BucketName", trail.Spec.S3BucketName},
		{"spec.snsTopicName", trail.Spec.SNSTopicName},
		{"spec.kmsKeyID", trail.Spec.KMSKeyID},
		{"spec.cloudWatchLogsLogGroupARN", strings.TrimSuffix(trail.Spec.CloudWatchLogsLogGroupARN, ":*")},
		{"spec.cloudWatchLogsRoleARN", trail.Spec.CloudWatchLogsRoleARN},
	} {
		if strings.ContainsAny(field.value, "*?$ \t\r\n") {
			return fmt.Errorf("%s is %q, which AWS does not take for a name and policies take for a pattern",
				field.name, field.value)
		}
	}
	return nil
}
