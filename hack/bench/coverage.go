package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// coveragePatience is how long all accounts may take.
const coveragePatience = 5 * time.Minute

// assessed is what it cost to assess all accounts once, which the operator does every hour.
type assessed struct {
	cost
	Identities int `json:"identities"`
}

// share returns the share of a core that this takes once an hour.
func (a *assessed) share() float64 { return a.CPUSeconds / time.Hour.Seconds() }

// coverageLife is what is measured of identities. A reconcile annotation has each identity checked with STS, too: what
// an assessment takes is the difference between again and checks.
var coverageLife = []struct {
	name string
	run  func(*coverageOf, context.Context) error
}{
	{"identities", (*coverageOf).create},
	{"checks", (*coverageOf).request},
	{"first", (*coverageOf).optIn},
	{"again", (*coverageOf).request},
	{"rest", func(_ *coverageOf, ctx context.Context) error { return wait(ctx, settleTime) }},
}

// coverageOf takes AWSIdentities, each of an account with three trails, through their life.
type coverageOf struct {
	*measurement
	// requests counts the reconcile annotations, and assessing says that the accounts are assessed.
	requests  int
	assessing bool
}

// coverageFigures measures the assessment of accounts.
func coverageFigures(ctx context.Context, s settings) (figures []assessed, err error) {
	f, err := newFleet(ctx, s, size{trails: 1})
	if err != nil {
		return nil, err
	}
	c := &coverageOf{measurement: &measurement{fleet: f}}
	defer func() { err = c.end(err) }()
	if err := c.createTrails(); err != nil {
		return nil, err
	}
	if c.operator, err = f.startOperator(ctx); err != nil {
		return nil, err
	}

	for _, part := range coverageLife {
		spent, err := c.spend(ctx, coverageScenario, part.name, func(ctx context.Context) error { return part.run(c, ctx) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		figures = append(figures, assessed{cost: spent, Identities: s.identities})
	}
	return figures, nil
}

// accountOf returns the account of an identity.
func accountOf(identity int) string { return fmt.Sprintf("%012d", 300000000000+identity) }

// createTrails creates the trails of the accounts: one that records everything, one with selectors, and one of another
// region.
func (c *coverageOf) createTrails() error {
	const elsewhere = "eu-west-1"
	for i := range c.identities {
		admin := c.aws.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + accountOf(i) + ":user/admin"})
		for _, call := range []struct {
			region, operation string
			parameters        map[string]any
		}{
			{region, "CreateTrail", map[string]any{"Name": "all", "S3BucketName": archiveBucket, "IsMultiRegionTrail": true}},
			{region, "StartLogging", map[string]any{"Name": "all"}},
			{region, "CreateTrail", map[string]any{"Name": "reads", "S3BucketName": archiveBucket, "IsMultiRegionTrail": true}},
			{region, "StartLogging", map[string]any{"Name": "reads"}},
			{region, "PutEventSelectors", map[string]any{
				"TrailName": "reads", "EventSelectors": []any{map[string]any{"ReadWriteType": "ReadOnly"}},
			}},
			{elsewhere, "CreateTrail", map[string]any{"Name": "one-region", "S3BucketName": archiveBucket}},
			{elsewhere, "StartLogging", map[string]any{"Name": "one-region"}},
		} {
			if _, err := admin.Do(call.region, call.operation, call.parameters); err != nil {
				return err
			}
		}
	}
	return nil
}

// create creates the identities, and waits until each is ready.
func (c *coverageOf) create(ctx context.Context) error {
	err := c.eachIdentity(ctx, func(ctx context.Context, identity *v1alpha1.AWSIdentity, i int) error {
		identity.Spec.RoleARN = "arn:aws:iam::" + accountOf(i) + ":role/trail-operator"
		return c.client.Create(ctx, identity)
	})
	if err != nil {
		return err
	}
	return c.untilAllAre(ctx, func(i *v1alpha1.AWSIdentity) bool {
		return meta.IsStatusConditionTrue(i.Status.Conditions, v1alpha1.ConditionReady)
	})
}

// request asks for all identities to be looked at, and waits until they are.
func (c *coverageOf) request(ctx context.Context) error {
	c.requests++
	asked, began := fmt.Sprint(c.requests), time.Now().Truncate(time.Second)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationReconcileAt, asked)
	if err := c.patchAll(ctx, patch); err != nil {
		return err
	}
	return c.untilAllAre(ctx, func(i *v1alpha1.AWSIdentity) bool {
		looked := i.Status.LastHandledReconcileAt == asked
		return looked && (!c.assessing || recorded(i) && !i.Status.Coverage.AssessedTime.Time.Before(began))
	})
}

// optIn has all accounts assessed.
func (c *coverageOf) optIn(ctx context.Context) error {
	c.assessing = true
	if err := c.patchAll(ctx, `{"spec":{"assessCoverage":true}}`); err != nil {
		return err
	}
	return c.untilAllAre(ctx, recorded)
}

// recorded tells whether an account is recorded.
func recorded(identity *v1alpha1.AWSIdentity) bool {
	return identity.Status.Coverage != nil &&
		meta.IsStatusConditionTrue(identity.Status.Conditions, v1alpha1.ConditionRecorded)
}

func (c *coverageOf) patchAll(ctx context.Context, patch string) error {
	return c.eachIdentity(ctx, func(ctx context.Context, identity *v1alpha1.AWSIdentity, _ int) error {
		return c.client.Patch(ctx, identity, client.RawPatch("application/merge-patch+json", []byte(patch)))
	})
}

// eachIdentity does something for each identity, several at a time.
func (c *coverageOf) eachIdentity(
	ctx context.Context,
	do func(context.Context, *v1alpha1.AWSIdentity, int) error,
) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(creators)
	for i := range c.identities {
		group.Go(func() error {
			name := fmt.Sprintf("account-%05d", i)
			return do(ctx, &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: name}}, i)
		})
	}
	return group.Wait()
}

// untilAllAre waits until a condition holds for each identity.
func (c *coverageOf) untilAllAre(ctx context.Context, condition func(*v1alpha1.AWSIdentity) bool) error {
	ctx, cancel := context.WithTimeout(ctx, coveragePatience)
	defer cancel()
	for {
		var identities v1alpha1.AWSIdentityList
		if err := c.client.List(ctx, &identities); err != nil {
			return err
		}
		done := 0
		for i := range identities.Items {
			if identity := &identities.Items[i]; strings.HasPrefix(identity.Name, "account-") && condition(identity) {
				done++
			}
		}
		if done == c.identities {
			return nil
		}
		if err := wait(ctx, time.Second); err != nil {
			return fmt.Errorf("%d of %d: %w", done, c.identities, err)
		}
	}
}

// showAssessments prints a table, and under it the AWS calls by operation.
func showAssessments(out io.Writer, figures []assessed) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "scenario\tidentities\tseconds\tCPU s\tCPU % once an hour\tpeak MiB\trest MiB\tanonymous\t")
	for i := range figures {
		a := &figures[i]
		fmt.Fprintf(table, "%s\t%d\t%.2f\t%.2f\t%.3f\t%.0f\t%.0f\t%.0f\t\n", a.Scenario, a.Identities, a.Seconds,
			a.CPUSeconds, 100*a.share(), a.PeakMiB, a.RestMiB, a.AnonymousMiB)
	}
	if err := table.Flush(); err != nil {
		return err
	}

	for i := range figures {
		figures[i].showCalls(out)
	}
	return nil
}
