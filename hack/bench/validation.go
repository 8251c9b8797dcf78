package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const (
	// These scenarios are no parts of a fleet's life.
	validationScenario, validateLogsScenario, coverageScenario = "validation", "validate-logs", "coverage"

	// archiveBucket is where the validated trail delivers to, and managementAccount whose trail it is.
	archiveBucket, managementAccount = "trail-operator-bench", "111122223333"
	// chainRegions is how many regions the trail delivers for: those that an account has enabled by default.
	chainRegions = 17
	// hoursBefore is how many hours of the chains are there when validation begins.
	hoursBefore = 2
	// validationPatience is how long one validation may take.
	validationPatience = 5 * time.Minute
)

// apart are the scenarios that are no parts of a fleet's life.
var apart = []string{validateLogsScenario, validationScenario, coverageScenario}

// lateClock is a clock that is behind, for hours that are to pass at once.
type lateClock struct{ behind atomic.Int64 }

// now returns the time.
func (c *lateClock) now() time.Time { return time.Now().Add(-time.Duration(c.behind.Load())) }

// advance lets time pass.
func (c *lateClock) advance(d time.Duration) { c.behind.Add(-int64(d)) }

// validated is what it cost to validate the digests of an organization for a while.
type validated struct {
	cost
	// Chains is how many chains there are, and Hours how many new digests each of them has.
	Chains int     `json:"chains"`
	Hours  float64 `json:"hours"`
}

// share returns the share of a core that this takes when hours last an hour.
func (v *validated) share() float64 {
	if v.Hours == 0 {
		return 0
	}
	return v.CPUSeconds / (v.Hours * time.Hour.Seconds())
}

// perChain returns how often an operation was called for each chain.
func (v *validated) perChain(operation string) float64 {
	return v.Calls[operation] / float64(max(v.Chains, 1))
}

// step is a part of a validation's life.
type step struct {
	name string
	// hours is how many hours pass before, and come in it.
	hours int
	run   func(*validationOf, context.Context) error
}

// validationLife is what is measured of a LogFileValidation.
var validationLife = []step{
	{"without", 0, (*validationOf).without},
	{"first", hoursBefore, (*validationOf).create},
	{"hour", 1, (*validationOf).revalidate},
	{"nothing new", 0, (*validationOf).revalidate},
	{"restart", 1, (*validationOf).restart},
	{"rest", 0, (*validationOf).without},
}

// validationOf takes a LogFileValidation of an organization's trail through its life.
type validationOf struct {
	*measurement
	clock  *lateClock
	arn    string
	chains int
	// asked counts the reconcile annotations.
	asked int
}

// validationFigures measures a LogFileValidation of an organization with so many member accounts.
func validationFigures(ctx context.Context, s settings) (figures []validated, err error) {
	clock := &lateClock{}
	clock.behind.Store(int64(2 * time.Hour)) // As many as pass in its life.
	f, err := newFleet(ctx, s, size{trails: 1, latency: s.awsLatency}, func(o *cloudtrailtest.Options) {
		o.Now = clock.now
		o.LogDelivery = &cloudtrailtest.LogDelivery{Regions: standardRegions(), LogsPerHour: 1}
	})
	if err != nil {
		return nil, err
	}
	v := &validationOf{
		measurement: &measurement{fleet: f}, clock: clock, chains: (1 + s.members) * chainRegions,
	}
	defer func() { err = v.end(err) }()

	if v.operator, err = f.startOperator(ctx); err != nil {
		return nil, err
	}
	if err := v.deliver(); err != nil {
		return nil, err
	}
	for _, part := range validationLife {
		measured, err := v.step(ctx, part)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		figures = append(figures, measured)
	}
	return figures, nil
}

// standardRegions returns the home region of the trail, and other ones.
func standardRegions() []string {
	regions := slices.DeleteFunc(cloudtrailtest.DefaultRegions(), func(name string) bool { return name == region })
	return append([]string{region}, regions[:chainRegions-1]...)
}

// deliver creates a trail of the organization, and lets CloudTrail deliver the first hours.
func (v *validationOf) deliver() (err error) {
	organization := cloudtrailtest.Organization{ID: "o-exampleorgid", ManagementAccount: managementAccount}
	for i := range v.members {
		organization.Members = append(organization.Members, fmt.Sprintf("%012d", 200000000000+i))
	}
	v.aws.SetOrganization(organization)
	v.arn, err = createLoggingTrail(v.aws, map[string]any{"IsMultiRegionTrail": true, "IsOrganizationTrail": true})
	if err != nil {
		return err
	}
	return v.aws.DeliverHours(v.arn, hoursBefore)
}

// createLoggingTrail creates a trail of the management account, which delivers digests.
func createLoggingTrail(aws *cloudtrailtest.Server, settings map[string]any) (arn string, err error) {
	all := map[string]any{"Name": "audit", "S3BucketName": archiveBucket, "EnableLogFileValidation": true}
	maps.Copy(all, settings)
	admin := aws.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + managementAccount + ":user/admin"})
	if _, err := admin.Do(region, "CreateTrail", all); err != nil {
		return "", err
	}
	_, err = admin.Do(region, "StartLogging", map[string]any{"Name": "audit"})
	return "arn:aws:cloudtrail:" + region + ":" + managementAccount + ":trail/audit", err
}

// step measures one part.
func (v *validationOf) step(ctx context.Context, part step) (validated, error) {
	if part.name != "first" && part.hours > 0 {
		v.clock.advance(time.Duration(part.hours) * time.Hour)
		v.aws.Objects(archiveBucket, "none") // Whoever looks has all delivered that is due, which takes a while.
	}
	spent, err := v.spend(ctx, validationScenario, part.name, func(ctx context.Context) error { return part.run(v, ctx) })
	return validated{cost: spent, Chains: v.chains, Hours: float64(part.hours)}, err
}

// without watches the operator while it has nothing to do.
func (v *validationOf) without(ctx context.Context) error { return wait(ctx, settleTime) }

// create creates the object, and waits until all is validated.
func (v *validationOf) create(ctx context.Context) error {
	object := &v1alpha1.LogFileValidation{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "audit"}}
	object.Spec.TrailARN, object.Spec.Mode = v.arn, v1alpha1.ValidationModeDigests
	if err := v.client.Create(ctx, object); err != nil {
		return err
	}
	return v.untilIntact(ctx, func(*v1alpha1.LogFileValidation) bool { return true })
}

// revalidate has the object validated at once.
func (v *validationOf) revalidate(ctx context.Context) error {
	v.asked++
	asked := fmt.Sprint(v.asked)
	object := &v1alpha1.LogFileValidation{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "audit"}}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationReconcileAt, asked)
	if err := v.client.Patch(ctx, object, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		return err
	}
	return v.untilIntact(ctx, func(is *v1alpha1.LogFileValidation) bool {
		return is.Status.LastHandledReconcileAt == asked
	})
}

// restart starts the operator anew, and has it validate at once.
func (v *validationOf) restart(ctx context.Context) (err error) {
	if err := v.operator.stop(); err != nil {
		return err
	}
	v.aws.ResetCalls()
	if v.operator, err = v.startOperator(ctx); err != nil {
		return err
	}
	return v.revalidate(ctx)
}

// untilIntact waits until all chains are validated, and something else holds.
func (v *validationOf) untilIntact(ctx context.Context, condition func(*v1alpha1.LogFileValidation) bool) error {
	ctx, cancel := context.WithTimeout(ctx, validationPatience)
	defer cancel()
	is := &v1alpha1.LogFileValidation{}
	key := client.ObjectKey{Namespace: namespace, Name: "audit"}
	err := untilDone(ctx, v.client, key, is, func(is *v1alpha1.LogFileValidation) bool {
		return meta.IsStatusConditionTrue(is.Status.Conditions, v1alpha1.ConditionReady) && is.Status.Chains != nil &&
			int(*is.Status.Chains) == v.chains && condition(is)
	})
	if err != nil {
		return fmt.Errorf("%w: %+v", err, is.Status)
	}
	return nil
}

// showValidations prints a table, and under it the AWS calls by operation.
func showValidations(out io.Writer, figures []validated) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "scenario\tchains\tnew hours\tseconds\tCPU s\tCPU % at real pace\tGetObject a chain\t"+
		"ListObjectsV2 a chain\tpeak MiB\trest MiB\tanonymous\t")
	for i := range figures {
		v := &figures[i]
		fmt.Fprintf(table, "%s\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%.3f\t%.3f\t%.0f\t%.0f\t%.0f\t\n", v.Scenario, v.Chains, v.Hours,
			v.Seconds, v.CPUSeconds, 100*v.share(), v.perChain("GetObject"), v.perChain("ListObjectsV2"), v.PeakMiB, v.RestMiB,
			v.AnonymousMiB)
	}
	if err := table.Flush(); err != nil {
		return err
	}

	for i := range figures {
		figures[i].showCalls(out)
	}
	return nil
}
