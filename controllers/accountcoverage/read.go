package accountcoverage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/coverage"
)

// reader reads the trails of an account as an identity. Nothing but reads that the operator makes of its own trails,
// too, so it needs no further permission.
type reader struct {
	identity *v1alpha1.AWSIdentity
	session  *cloudtrail.Session
	// start is the region in which most is read.
	start *cloudtrail.Region
	// owners returns what the owners of an organization's trails know of them.
	owners func() (owners, error)
	now    time.Time
}

// account returns what can be read of the account. The error is a *Pending, or one that passes: what is denied is a
// part of the answer.
func (r *reader) account(ctx context.Context) (coverage.Account, error) {
	account := coverage.Account{ID: r.session.AccountID}
	shown, err := r.trails(ctx, &account)
	if err != nil {
		return account, err
	}
	for i := range shown {
		if err := r.complete(ctx, &shown[i]); err != nil {
			return account, err
		}
		if !shown[i].gone {
			account.Trails = append(account.Trails, shown[i].Trail)
		}
	}
	return account, nil
}

// found is a trail that was found, with what is needed to read the rest of it.
type found struct {
	coverage.Trail
	described cloudtrail.Trail
	// gone says that somebody has deleted it since.
	gone bool
}

// trails returns the trails that are listed or shown, in order, and notes in the account why some may be missing. Every
// region shows the trails of all regions, also those of the organization; the others are looked for in their home
// regions, as far as the identity may be used there.
func (r *reader) trails(ctx context.Context, account *coverage.Account) ([]found, error) {
	byARN := map[string]found{}
	show := func(region *cloudtrail.Region) error {
		described, err := region.Trails(ctx)
		if passes(err) {
			return err
		}
		if err != nil {
			account.Unread = r.unknown(err)
		}
		for _, t := range described {
			byARN[t.ARN] = foundIn(t)
		}
		return nil
	}

	if err := show(r.start); err != nil {
		return nil, err
	}
	listed, err := r.start.AllTrails(ctx)
	if passes(err) {
		return nil, err
	}
	if err != nil {
		account.Unread = r.unknown(err)
	}
	for _, region := range homes(listed, byARN) {
		if region == r.start.Name() || !r.mayCall(region) {
			continue
		}
		if err := show(r.session.Region(region)); err != nil {
			return nil, err
		}
	}

	for _, t := range listed {
		if _, ok := byARN[t.ARN]; !ok && !r.mayCall(t.HomeRegion) {
			byARN[t.ARN] = hidden(t)
		}
	}
	return sorted(byARN), nil
}

// homes returns the home regions of the trails that were not shown yet, in order.
func homes(listed []cloudtrail.ListedTrail, shown map[string]found) []string {
	var regions []string
	for _, t := range listed {
		if _, ok := shown[t.ARN]; !ok {
			regions = append(regions, t.HomeRegion)
		}
	}
	slices.Sort(regions)
	return slices.Compact(regions)
}

func sorted(byARN map[string]found) []found {
	all := make([]found, 0, len(byARN))
	for _, t := range byARN {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.ARN, b.ARN) })
	return all
}

// foundIn returns a trail that DescribeTrails shows.
func foundIn(t cloudtrail.Trail) found {
	return found{described: t, Trail: coverage.Trail{
		ARN:        t.ARN,
		HomeRegion: t.HomeRegion,
		Settings: &coverage.Settings{
			MultiRegion:         t.IsMultiRegionTrail,
			Organization:        t.IsOrganizationTrail,
			GlobalServiceEvents: t.IncludeGlobalServiceEvents,
		},
	}}
}

// hidden returns a trail whose home region the identity must not call. It is of that region only, or every region would
// show it.
func hidden(t cloudtrail.ListedTrail) found {
	why := &coverage.Unknown{Reason: v1alpha1.ReasonRegionNotAllowed, Message: fmt.Sprintf(
		"the trail %s cannot be read, as spec.allowedRegions does not allow region %s", t.ARN, t.HomeRegion)}
	return found{Trail: coverage.Trail{
		ARN: t.ARN, HomeRegion: t.HomeRegion, StatusUnknown: why, EventsUnknown: why,
	}}
}

// complete reads whether a trail logs and delivers, and which events it records. What a member of an organization may
// not read of its trail, the owner's identity may have read.
func (r *reader) complete(ctx context.Context, t *found) error {
	if t.Settings == nil {
		return nil
	}
	region := r.start
	if r.mayCall(t.HomeRegion) {
		region = r.session.Region(t.HomeRegion)
	}
	if err := r.status(ctx, region, t); err != nil || t.gone {
		return err
	}
	if err := r.events(ctx, region, t); err != nil || t.gone {
		return err
	}
	if (t.Status == nil || t.Events == nil) && r.isForeign(t) {
		return r.askOwner(t)
	}
	return nil
}

func (r *reader) status(ctx context.Context, region *cloudtrail.Region, t *found) error {
	status, err := region.Status(ctx, t.ARN)
	if err != nil {
		return r.failed(t, &t.StatusUnknown, err)
	}
	t.Status = &coverage.Status{
		Logging: status.IsLogging,
		Fault:   coverage.DeliveryFault(status, t.described.EnableLogFileValidation, r.now),
	}
	if t.Status.Fault != "" {
		t.Status.Remedy = r.remedy(t)
	}
	return nil
}

func (r *reader) events(ctx context.Context, region *cloudtrail.Region, t *found) error {
	if has := t.described.HasEventSelectors; has != nil && !*has {
		t.Events = new(coverage.ManagementEvents(nil, nil))
		return nil
	}
	selectors, err := region.Selectors(ctx, t.ARN)
	if err != nil {
		return r.failed(t, &t.EventsUnknown, err)
	}
	t.Events = new(coverage.ManagementEvents(selectors.Basic, selectors.Advanced))
	return nil
}

// failed takes note of why a part of a trail could not be read. The only error is one that passes.
func (r *reader) failed(t *found, part **coverage.Unknown, err error) error {
	switch {
	case passes(err):
		return err
	case cloudtrail.Is(err, cloudtrail.NotFound) && !r.isForeign(t):
		t.gone = true
	default:
		*part = r.unknown(err)
	}
	return nil
}

// askOwner takes what could not be read from what the identity of the account that owns the trail has read.
func (r *reader) askOwner(t *found) error {
	known, err := r.owners()
	if err != nil {
		return err
	}
	if owners, ok := known[t.ARN]; ok {
		t.Complete(owners)
	}

	why := &coverage.Unknown{Reason: v1alpha1.ReasonOwnerNotAssessed, Message: fmt.Sprintf(
		"account %s is a member of an organization and may not read all of its trail %s — set spec.assessCoverage of an "+
			"AWSIdentity of account %s, which owns the trail, to true, and see that its Recorded is not Unknown",
		r.session.AccountID, t.ARN, ownerOf(t.ARN))}
	for _, unknown := range []**coverage.Unknown{&t.StatusUnknown, &t.EventsUnknown} {
		if *unknown == nil || (*unknown).Reason != v1alpha1.ReasonAccessDenied {
			*unknown = why
		}
	}
	return nil
}

// isForeign tells whether a trail belongs to another account.
func (r *reader) isForeign(t *found) bool { return ownerOf(t.ARN) != r.session.AccountID }

// mayCall tells whether the identity may be used in a region.
func (r *reader) mayCall(region string) bool { return mayCall(r.identity, r.session.ARN(), region) }

// unknown says why something could not be read, and what helps.
func (r *reader) unknown(err error) *coverage.Unknown {
	reason, message := explain(r.identity, r.session.ARN(), err)
	return &coverage.Unknown{Reason: reason, Message: message}
}

// remedy says what to do about the fault of a delivery.
func (r *reader) remedy(t *found) string {
	if t.Status.Fault == coverage.FaultNothingDelivered {
		return fmt.Sprintf("CloudTrail reports no error, but has not delivered even a digest for hours: check the bucket %s "+
			"and its policy", t.described.S3BucketName)
	}
	trail := &v1alpha1.Trail{Spec: v1alpha1.TrailSpec{
		S3BucketName:        t.described.S3BucketName,
		S3KeyPrefix:         t.described.S3KeyPrefix,
		KMSKeyID:            t.described.KMSKeyARN,
		IsOrganizationTrail: &t.described.IsOrganizationTrail,
	}}
	trail.Status.TrailARN = t.ARN
	return cloudtrail.DeliveryRemedy(cloudtrail.DeliveryS3, t.Status.Fault, cloudtrail.Subject{
		Trail:  trail,
		Caller: cloudtrail.Caller{Region: t.HomeRegion, AccountID: ownerOf(t.ARN), ARN: r.session.ARN()},
	})
}

// passes tells whether an error is none of what was read: it passes, or the answer is yet to come.
func passes(err error) bool {
	_, isAWS := errors.AsType[*cloudtrail.Error](err)
	return err != nil && (!isAWS || cloudtrail.Is(err, cloudtrail.Transient))
}

// mayCall tells whether an identity, known to AWS by this ARN, may be used in a region.
func mayCall(identity *v1alpha1.AWSIdentity, callerARN, region string) bool {
	return region != "" && identity.Spec.AllowsRegion(region) && cloudtrail.InPartition(callerARN, region)
}

// startRegion returns the region in which an account is read: the operator's own if the identity may be used there, or
// else the first that it may; "" for none.
func startRegion(identity *v1alpha1.AWSIdentity, callerARN, own string) string {
	candidates := append([]string{own, cloudtrail.FirstRegion(callerARN)}, slices.Sorted(
		slices.Values(identity.Spec.AllowedRegions))...)
	for _, region := range candidates {
		if mayCall(identity, callerARN, region) {
			return region
		}
	}
	return ""
}

// ownerOf returns the account that owns a trail, "" if its ARN is none.
func ownerOf(trailARN string) string {
	trail, _ := cloudtrail.ParseTrailARN(trailARN)
	return trail.AccountID
}
