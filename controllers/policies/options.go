package policies

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// Options say for which Trails to print which policies.
type Options struct {
	// Names are the files and folders to read; manifest.StandardInput is the input.
	Names []string
	// AccountID is the account of the operator's own credentials, "" for that of RoleARN.
	AccountID string
	// RoleARN is the operator's own role, "" if it is not known.
	RoleARN string
	// Region is that of Trails without spec.region, "" for the SDK's.
	Region string
	// OrganizationID is that of organization trails, such as o-exampleorgid.
	OrganizationID string
	// ManagementAccountID owns organization trails, "" for the account of the Trail's identity.
	ManagementAccountID string
	// Only is the kind of policies to print, "" for all.
	Only Kind
	// Format is how they are printed.
	Format Format

	// CRDs are the CustomResourceDefinitions of Trails and AWSIdentities, in YAML.
	CRDs [][]byte
	// Input is the standard input.
	Input io.Reader
}

// Format is how policies are printed.
type Format string

// Formats.
const (
	// Text is for people: each policy below what it is of.
	Text Format = "text"
	// JSON is one document with everything.
	JSON Format = "json"
	// Bare is a policy and nothing else, for a file that is given to the AWS CLI. There has to be exactly one.
	Bare Format = "policy"
)

// BindFlags declares the flags of `trail-operator policies`.
func (o *Options) BindFlags(set *flag.FlagSet) {
	set.Func(
		"f",
		"A `file` with manifests of Trails and AWSIdentities (YAML or JSON), a folder with such files, or - for "+
			"standard input. Can be given more than once. Required.",
		func(name string) error {
			o.Names = append(o.Names, name)
			return nil
		},
	)
	set.StringVar(&o.AccountID, "account-id", "",
		"The `account` of the operator's own credentials. Defaults to that of --role-arn.")
	set.StringVar(&o.RoleARN, "role-arn", "",
		"The `ARN` of the operator's own role, which the roles of AWSIdentities trust.")
	set.StringVar(&o.Region, "region", "",
		"The region of Trails without spec.region. Defaults to the AWS SDK's region, such as AWS_REGION.")
	set.StringVar(&o.OrganizationID, "organization-id", "",
		"The `ID` of the organization, such as o-exampleorgid. Required for organization trails.")
	set.StringVar(&o.ManagementAccountID, "management-account-id", "",
		"The management `account` of the organization, which owns its trails. Give it if the account of a Trail's "+
			"identity is a delegated administrator.")

	set.Func("only", "The `kind` of policies to print: "+kindNames()+".", func(value string) error {
		if o.Only = Kind(value); !slices.Contains(kinds, o.Only) {
			return errors.New("not one of " + kindNames())
		}
		return nil
	})
	o.Format = Text
	set.Func("output", "How to print them: text, json, or policy for one policy and nothing else. (default text)",
		func(value string) error {
			if o.Format = Format(value); !slices.Contains([]Format{Text, JSON, Bare}, o.Format) {
				return errors.New("not one of text, json, policy")
			}
			return nil
		})
}

func kindNames() string {
	names := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		names = append(names, string(kind))
	}
	return strings.Join(names, ", ")
}

// The forms of what AWS assigns.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_Organization.html
var (
	accountForm      = regexp.MustCompile(`^[0-9]{12}$`)
	organizationForm = regexp.MustCompile(`^o-[a-z0-9]{10,32}$`)
	regionForm       = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$`)
	roleForm         = regexp.MustCompile(`^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$`)
)

// Validate returns an error for options that make no sense.
func (o *Options) Validate() error {
	if len(o.Names) == 0 || slices.Contains(o.Names, "") {
		return errors.New("-f is required: a file, a folder, or - for standard input")
	}
	for _, option := range []struct {
		name, value, example string
		form                 *regexp.Regexp
	}{
		{"--account-id", o.AccountID, "an account, which has 12 digits", accountForm},
		{"--management-account-id", o.ManagementAccountID, "an account, which has 12 digits", accountForm},
		{"--organization-id", o.OrganizationID, "the ID of an organization, such as o-exampleorgid", organizationForm},
		{"--region", o.Region, "a region, such as eu-central-1", regionForm},
		{"--role-arn", o.RoleARN, "the ARN of a role, such as arn:aws:iam::123456789012:role/trail-operator", roleForm},
	} {
		if option.value != "" && !option.form.MatchString(option.value) {
			return fmt.Errorf("%s %q is not %s", option.name, option.value, option.example)
		}
	}

	if account := accountOf(o.RoleARN); o.AccountID != "" && account != "" && account != o.AccountID {
		return fmt.Errorf("--role-arn is of account %s and --account-id is %s", account, o.AccountID)
	}
	return nil
}

// accountOf returns the account in an ARN, "" if it is none.
func accountOf(text string) string {
	parsed, err := arn.Parse(text)
	if err != nil {
		return ""
	}
	return parsed.AccountID
}
