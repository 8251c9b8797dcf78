package validatelogs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	smithytime "github.com/aws/smithy-go/time"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/command"
	"github.com/trail-operator/trail-operator/controllers/digest"
)

// Exit codes of the command, besides those of all commands.
const (
	// ExitFindings: something is not as CloudTrail has delivered it.
	ExitFindings = 1
	// ExitUnchecked: nothing of what could be checked is wrong, but something could not be checked.
	ExitUnchecked = 3
)

// spill is how long after the end of the range a digest may end that has log files of the range: it is of an hour.
const spill = time.Hour

// tries is how often a chain is tried where S3 or CloudTrail are in trouble, and pauseAfter how long after that.
const (
	tries      = 3
	pauseAfter = 5 * time.Second
)

// Run validates a trail and prints what it finds. Its error is a *command.ExitError if anything is wrong or could not
// be checked.
func Run(ctx context.Context, o Options, output io.Writer) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Pause = cmp.Or(o.Pause, pauseAfter)
	now := o.Now()
	v := &validation{Options: o, trail: o.trail(), now: now}
	v.report = newReport(&v.Options, now, output)

	v.report.check(v.run(ctx))
	if ctx.Err() != nil {
		v.report.check(errInterrupted)
	}
	return v.report.end()
}

// validation is one run of the command.
type validation struct {
	Options
	trail digest.Trail
	// stopped says that no digest is to come, as validation is off.
	stopped   bool
	now       time.Time
	session   *cloudtrail.Session
	validator *digest.Validator
	report    *report

	mu sync.Mutex
	// deliveries are what CloudTrail says of the digests of each region.
	deliveries map[string]*delivery
}

// run validates all chains. Its error is of what has nothing to do with a single chain.
func (v *validation) run(ctx context.Context) error {
	if err := v.open(ctx); err != nil {
		return err
	}
	if err := v.find(ctx); err != nil {
		return err
	}
	v.report.start(v.trail)

	chains, err := v.chains(ctx)
	v.report.check(err)
	v.report.expect(len(chains))
	var group errgroup.Group
	group.SetLimit(v.Concurrency)
	for _, chain := range chains {
		group.Go(func() error {
			v.walk(ctx, chain)
			return nil
		})
	}
	return group.Wait()
}

// open opens the session, and sets up the validator.
func (v *validation) open(ctx context.Context) error {
	cfg, err := cloudtrail.LoadConfig(ctx, v.Region)
	if err == nil && cfg.Region == "" {
		cfg, err = cloudtrail.LoadConfig(ctx, v.trail.HomeRegion)
	}
	if err != nil {
		return err
	}
	sessions := cloudtrail.NewSessions(cloudtrail.Options{Config: cfg, ClusterID: "validate-logs", Version: v.Version})
	identity := &v1alpha1.AWSIdentity{Spec: v1alpha1.AWSIdentitySpec{RoleARN: v.Role, ExternalID: v.ExternalID}}
	identity.UID, identity.Name = types.UID("validate-logs"), v1alpha1.DefaultIdentityName
	if v.session, err = sessions.Open(ctx, identity); err != nil {
		return err
	}

	options := digest.Options{
		Storage:       v.session.Storage(),
		Keys:          v.session.PublicKeys(),
		Mode:          v.Mode,
		SamplePercent: cmp.Or(v.SamplePercent, defaultSamplePercent),
		Limits:        digest.NewLimits(v.Concurrency),
		Now:           v.Now,
	}
	rand.Read(options.Seed[:])
	v.validator = digest.New(options)
	return nil
}

// find finds out where the trail delivers to. Whoever names the bucket may name one of another account's trail, or of
// one that is gone, so CloudTrail is not asked then, and the trail may have been an organization's.
func (v *validation) find(ctx context.Context) error {
	if v.Bucket != "" {
		v.trail.Bucket, v.trail.Prefix, v.trail.Organization = v.Bucket, strings.Trim(v.Prefix, "/"), true
		return nil
	}
	settings, err := v.session.Region(v.trail.HomeRegion).Settings(ctx, v.TrailARN)
	if err != nil {
		return fmt.Errorf("%w: give --s3-bucket and --s3-prefix if the trail cannot be read", err)
	}
	v.trail.Bucket, v.trail.Prefix = settings.S3BucketName, cmp.Or(strings.Trim(v.Prefix, "/"), settings.S3KeyPrefix)
	v.trail.Organization = settings.IsOrganizationTrail
	if v.stopped = !settings.EnableLogFileValidation; v.stopped {
		v.report.note("log file validation is off for this trail now: log files that are delivered now cannot be proved")
	}
	return nil
}

// chains returns the chains to validate. It may fail for some and return the others.
func (v *validation) chains(ctx context.Context) ([]digest.Chain, error) {
	all, err := v.allChains(ctx)
	all = v.withHome(all)
	all = slices.DeleteFunc(all, func(c digest.Chain) bool {
		return v.AccountID != "" && c.AccountID != v.AccountID || v.Region != "" && c.Region != v.Region
	})
	if err != nil {
		err = fmt.Errorf("looking for the trail's accounts and regions: %w", err)
	}
	if len(all) == 0 && err == nil {
		err = fmt.Errorf("there is no digest file of the trail in s3://%s/%s: nothing can be proved", v.trail.Bucket,
			v.trail.Prefix)
	}

	mine := slices.DeleteFunc(slices.Clone(all), func(c digest.Chain) bool { return !v.Shard.has(c) })
	if len(mine) == 0 && len(all) > 0 {
		v.report.note(fmt.Sprintf("none of the %d chains is in shard %s", len(all), v.Shard))
	}
	return mine, err
}

// withHome adds the chain of the trail's own account and home region, which each trail has: CloudTrail tells whether it
// has delivered digests of it, if all of them are gone. The organization is not known without any.
func (v *validation) withHome(all []digest.Chain) []digest.Chain {
	chain := digest.Chain{AccountID: v.trail.AccountID, Region: v.trail.HomeRegion}
	if v.trail.Organization && len(all) > 0 {
		chain.OrganizationID = all[0].OrganizationID
	}
	unknown := v.trail.Organization && chain.OrganizationID == ""
	if unknown || !v.hasDelivery(chain.AccountID) || slices.Contains(all, chain) {
		return all
	}
	return append(all, chain)
}

// allChains returns the trail's chains. While S3 is in trouble it waits and looks anew.
func (v *validation) allChains(ctx context.Context) ([]digest.Chain, error) {
	for failures := 1; ; failures++ {
		all, err := v.validator.Chains(ctx, v.trail)
		unavailable, ok := errors.AsType[*digest.UnavailableError](err)
		if !ok || !unavailable.Transient || failures == tries || smithytime.SleepWithContext(ctx, v.Pause) != nil {
			return all, err
		}
	}
}

// until is where walks stop; the zero time is now.
func (v *validation) until() time.Time {
	if v.End.IsZero() || v.End.Add(spill).After(v.now) {
		return time.Time{}
	}
	return v.End.Add(spill)
}

// walk validates a chain. Where S3 or CloudTrail are in trouble it waits, and goes on from there.
func (v *validation) walk(ctx context.Context, chain digest.Chain) {
	seen := v.report.begin(chain)
	defer seen.end()
	walk := digest.Walk{
		Trail: v.trail, Chain: chain, Start: v.Start, Until: v.until(), GoOn: true,
		Delivery: v.delivery(ctx, chain), Report: seen.add,
	}

	for failures := 0; ; {
		position, err := v.validator.Walk(ctx, walk)
		if err != nil {
			v.report.check(err)
			return
		}
		if position != walk.From {
			walk.From, failures = position, 0
		}
		if !seen.mayPass() {
			return
		}
		if failures++; failures == tries {
			v.report.check(fmt.Errorf("account %s, region %s: not checked any further, as S3 or CloudTrail are in trouble",
				chain.AccountID, chain.Region))
			return
		}
		seen.forgetLast()
		if smithytime.SleepWithContext(ctx, v.Pause) != nil {
			return
		}
	}
}

// delivery is what CloudTrail says of the digests of a region, which is asked once.
type delivery struct {
	once  sync.Once
	value *digest.Delivery
}

// hasDelivery tells whether CloudTrail says what it has delivered of the chains of an account. It says so of the
// trail's own account, to that account, and of the place where it delivers now.
func (v *validation) hasDelivery(accountID string) bool {
	return accountID == v.trail.AccountID && v.session.AccountID == v.trail.AccountID &&
		v.Bucket == "" && v.Prefix == "" && v.until().IsZero()
}

// delivery returns what CloudTrail says of the newest digest of a chain; nil: nothing.
func (v *validation) delivery(ctx context.Context, chain digest.Chain) *digest.Delivery {
	if !v.hasDelivery(chain.AccountID) {
		return nil
	}
	v.mu.Lock()
	if v.deliveries == nil {
		v.deliveries = map[string]*delivery{}
	}
	known, ok := v.deliveries[chain.Region]
	if !ok {
		known = &delivery{}
		v.deliveries[chain.Region] = known
	}
	v.mu.Unlock()

	known.once.Do(func() {
		status, err := v.session.Region(chain.Region).Status(ctx, v.TrailARN)
		if err != nil {
			v.report.note(fmt.Sprintf("CloudTrail does not say when it has delivered the newest digest of %s, "+
				"so newer ones may have been deleted without a trace: %v", chain.Region, err))
			return
		}
		known.value = &digest.Delivery{
			Time: status.LatestDigestDeliveryTime, Error: status.LatestDigestDeliveryError,
			Stopped: v.stopped || !status.IsLogging,
		}
	})
	return known.value
}

// exitError returns the error for an exit code.
func exitError(code int, format string, values ...any) *command.ExitError {
	return &command.ExitError{Code: code, Err: fmt.Errorf(format, values...)}
}

// errInterrupted says that the process was told to end.
var errInterrupted = errors.New("interrupted: only a part was checked")
