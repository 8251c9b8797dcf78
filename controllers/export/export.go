package export

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

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
	// Version of the operator, for the user agent.
	Version string
}

// Flags returns the options that the arguments of `trail-operator export` ask for.
func Flags(arguments []string, output io.Writer) (Options, error) {
	var o Options
	set := flag.NewFlagSet("trail-operator export", flag.ContinueOnError)
	set.SetOutput(output)
	set.StringVar(&o.Region, "region", "", "Export the trails that have their home in this region; empty: the AWS SDK's, such as AWS_REGION.")
	set.BoolVar(&o.AllRegions, "all-regions", false, "Export the trails of all regions.")
	set.StringVar(&o.Namespace, "namespace", "default", "Namespace of the manifests.")
	set.Func("identity-role", "Role to assume for another account, as an AWSIdentity of the export; may be given more than once.", func(role string) error {
		o.Roles = append(o.Roles, role)
		return nil
	})
	if err := set.Parse(arguments); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("export takes no argument %q", set.Arg(0))
	}
	if o.AllRegions && o.Region != "" {
		return o, errors.New("give --region or --all-regions, not both")
	}
	return o, nil
}

// Run prints manifests for the trails that exist, as YAML. The same trails give the same text.
func Run(ctx context.Context, o Options, output io.Writer) error {
	cfg, err := cloudtrail.LoadConfig(ctx, o.Region)
	if err != nil {
		return err
	}
	if cfg.Region == "" {
		return errors.New("no region: give --region, or set AWS_REGION")
	}
	fleet := cloudtrail.NewFleet(cloudtrail.Options{Config: cfg, ClusterID: "export", Version: o.Version})
	taken := names{}
	for _, role := range orSelf(o.Roles) {
		if err := exportAccount(ctx, fleet, o, role, taken, output); err != nil {
			return err
		}
	}
	return nil
}

// orSelf returns the roles, or "" for the caller itself.
func orSelf(roles []string) []string {
	if len(roles) == 0 {
		return []string{""}
	}
	return roles
}

func exportAccount(ctx context.Context, fleet *cloudtrail.Fleet, o Options, role string, taken names, output io.Writer) error {
	identity := &v1alpha1.AWSIdentity{Spec: v1alpha1.AWSIdentitySpec{RoleARN: role}}
	identity.UID, identity.Name = types.UID("export/"+role), v1alpha1.DefaultIdentityName
	session, err := fleet.Session(ctx, identity, fleet.DefaultRegion())
	if err != nil {
		return err
	}
	var manifests []manifest
	if role != "" {
		identity.Name = "account-" + session.AccountID
		manifests = append(manifests, identityManifest(identity.Name, role))
	}
	regions := []string{fleet.DefaultRegion()}
	if o.AllRegions {
		if regions, err = session.Region(fleet.DefaultRegion()).HomeRegions(ctx); err != nil {
			return err
		}
	}
	for _, region := range regions {
		trails, err := exportRegion(ctx, session.Region(region))
		if err != nil {
			return err
		}
		for _, f := range trails {
			manifests = append(manifests, trailManifest(f, taken.of(f.Trail), o.Namespace, identity.Name))
		}
	}
	return printAll(manifests, session.AccountID, regions, output)
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
	if _, err := fmt.Fprintf(output, "# Trails of account %s in %s.\n", accountID, strings.Join(regions, ", ")); err != nil {
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
