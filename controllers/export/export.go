package export

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// Options say what to export.
type Options struct {
	// Region to export; "" for the SDK's.
	Region string
	// AllRegions exports every region in which the account has a trail.
	AllRegions bool
	// Namespace of the manifests.
	Namespace string
	// Roles are the roles to assume, one for each account; none: the caller's own account.
	Roles []string
	// Observe gives the Trails managementPolicy Observe.
	Observe bool
	// Version of the operator, for the user agent.
	Version string
}

// BindFlags declares the flags of `trail-operator export`.
func (o *Options) BindFlags(set *flag.FlagSet) {
	set.StringVar(&o.Region, "region", "",
		"Export the trails whose home is this region. Defaults to the AWS SDK's region, such as AWS_REGION.")
	set.BoolVar(&o.AllRegions, "all-regions", false, "Export the trails of all regions. No region needs to be set.")
	set.StringVar(&o.Namespace, "namespace", metav1.NamespaceDefault, "The namespace of the manifests.")
	set.Func("identity-role",
		"The role to assume for another account, which becomes an AWSIdentity in the export. Can be given more than once.",
		func(role string) error {
			o.Roles = append(o.Roles, role)
			return nil
		})
	set.BoolVar(&o.Observe, "observe", false,
		"Write managementPolicy: Observe, so that the operator reports on the trails and changes nothing.")
}

// Validate returns an error for options that make no sense.
func (o *Options) Validate() error {
	if o.AllRegions && o.Region != "" {
		return errors.New("give --region or --all-regions, not both")
	}
	if problems := validation.IsDNS1123Label(o.Namespace); len(problems) > 0 {
		return fmt.Errorf("--namespace %q is not the name of a namespace: %s", o.Namespace, strings.Join(problems, "; "))
	}
	return nil
}

// Run prints manifests for the trails that exist, as YAML. The same trails give the same text.
func Run(ctx context.Context, o Options, output io.Writer) error {
	cfg, err := cloudtrail.LoadConfig(ctx, o.Region)
	if err != nil {
		return err
	}
	configured := cfg.Region
	if configured == "" && !o.AllRegions {
		return errors.New("no region: give --region or --all-regions, or set AWS_REGION")
	}
	roles := orSelf(o.Roles)
	if configured == "" {
		// The caller's own credentials may be those of a role, for which the SDK asks STS in the region of its configuration.
		if cfg, err = cloudtrail.LoadConfig(ctx, firstRegion(roles[0])); err != nil {
			return err
		}
	}

	e := &exporter{
		Options:    o,
		configured: configured,
		sessions:   cloudtrail.NewSessions(cloudtrail.Options{Config: cfg, ClusterID: "export", Version: o.Version}),
		taken:      names{},
	}
	for _, role := range roles {
		if err := e.exportAccount(ctx, role, output); err != nil {
			return err
		}
	}
	return nil
}

// exporter exports accounts, one after the other.
type exporter struct {
	Options
	// configured is the region of the options or of the SDK's configuration, "" if there is none.
	configured string
	sessions   *cloudtrail.Sessions
	// taken are the names of the Trails that are already exported.
	taken names
}

// orSelf returns the roles, or "" for the caller itself.
func orSelf(roles []string) []string {
	if len(roles) == 0 {
		return []string{""}
	}
	return roles
}

// exportAccount prints the manifests of the account that a role is in; the role "" is the caller itself.
func (e *exporter) exportAccount(ctx context.Context, role string, output io.Writer) error {
	identity := &v1alpha1.AWSIdentity{Spec: v1alpha1.AWSIdentitySpec{RoleARN: role}}
	identity.UID, identity.Name = types.UID("export/"+role), v1alpha1.DefaultIdentityName
	session, regions, err := e.open(ctx, identity)
	if err != nil {
		return err
	}

	var manifests []manifest
	if role != "" {
		identity.Name = "account-" + session.AccountID
		manifests = append(manifests, identityManifest(identity.Name, role))
	}
	for _, region := range regions {
		trails, err := exportRegion(ctx, session.Region(region))
		if err != nil {
			return err
		}
		for _, f := range trails {
			manifests = append(manifests, trailManifest(f, e.taken.of(f.Trail), identity.Name, e.Options))
		}
	}
	return printAll(manifests, session.AccountID, regions, output)
}

// open opens the session of an identity and returns it with the regions to export.
func (e *exporter) open(
	ctx context.Context, identity *v1alpha1.AWSIdentity,
) (*cloudtrail.Session, []string, error) {
	start := cmp.Or(e.configured, firstRegion(identity.Spec.RoleARN))
	session, err := e.sessions.Open(ctx, identity)
	if err != nil {
		return nil, nil, e.askedIn(start, err)
	}
	if !e.AllRegions {
		return session, []string{start}, nil
	}

	regions, err := session.Region(start).HomeRegions(ctx)
	if err != nil {
		return nil, nil, e.askedIn(start, err)
	}
	return session, regions, nil
}

// askedIn adds to an error which region was asked, where nobody chose it: the credentials may be of another partition,
// or must not be used there.
func (e *exporter) askedIn(region string, err error) error {
	if e.configured != "" {
		return err
	}
	return fmt.Errorf(
		"AWS was called in %s, because the AWS configuration has no region (set AWS_REGION to use another one): %w",
		region,
		err,
	)
}

// firstRegion returns the region of a role's partition that every account has, which is where to ask for the others.
// Without a role it is us-east-1.
func firstRegion(roleARN string) string {
	parsed, err := arn.Parse(roleARN)
	if err != nil {
		return firstRegions["aws"]
	}
	return cmp.Or(firstRegions[parsed.Partition], firstRegions["aws"])
}

// firstRegions are, for each partition, the region that is always on.
// https://docs.aws.amazon.com/general/latest/gr/rande-manage.html
var firstRegions = map[string]string{
	"aws":        "us-east-1",
	"aws-cn":     "cn-north-1",
	"aws-eusc":   "eusc-de-east-1",
	"aws-iso":    "us-iso-east-1",
	"aws-iso-b":  "us-isob-east-1",
	"aws-iso-e":  "eu-isoe-west-1",
	"aws-iso-f":  "us-isof-south-1",
	"aws-us-gov": "us-gov-west-1",
}

// exportRegion reads the trails of the account that have their home in the region.
func exportRegion(ctx context.Context, region *cloudtrail.Region) ([]found, error) {
	trails, err := region.Trails(ctx)
	if err != nil {
		return nil, err
	}

	var all []found
	for _, t := range trails {
		if t.HomeRegion != region.Name() || t.AccountID() != region.AccountID() {
			continue
		}

		f := found{Trail: t}
		if f.selectors, err = region.Selectors(ctx, t.ARN); err != nil {
			return nil, err
		}
		if f.insights, err = region.Insights(ctx, t.ARN); err != nil {
			return nil, err
		}
		if f.aggregations, err = region.Aggregations(ctx, t.ARN); err != nil {
			return nil, err
		}
		status, err := region.Status(ctx, t.ARN)
		if err != nil {
			return nil, err
		}
		f.isLogging = status.IsLogging
		all = append(all, f)
	}

	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func printAll(manifests []manifest, accountID string, regions []string, output io.Writer) error {
	header := fmt.Sprintf("Trails of account %s in %s.", accountID, strings.Join(regions, ", "))
	if len(regions) == 0 {
		header = fmt.Sprintf("Account %s has no trails.", accountID)
	}
	if _, err := io.WriteString(output, comment(header)); err != nil {
		return err
	}
	for _, m := range manifests {
		text, err := m.print()
		if err != nil {
			return err
		}
		if _, err := io.WriteString(output, text); err != nil {
			return err
		}
	}
	return nil
}
