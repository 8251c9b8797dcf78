package trail

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// observation is what AWS holds of a trail. Each part of it is read by a call of its own, and fails for itself: what
// could be read is acted on.
type observation struct {
	// trail is nil when there is none, or when nothing is known of it.
	trail *cloudtrail.Trail
	// settingsErr is why it is not known whether there is a trail, and what its settings are. If the trail was known
	// before, its ARN, tags and other parts are there all the same.
	settingsErr error
	// managementAccountID is the management account of the organization, "" where no trail of it tells.
	managementAccountID string

	status       part[cloudtrail.Status]
	selectors    part[cloudtrail.Selectors]
	insights     part[[]v1alpha1.InsightSelector]
	aggregations part[[]v1alpha1.AggregationConfiguration]
}

// part is a part of an observation, or why it could not be read.
type part[T any] struct {
	value T
	err   error
}

// read makes a part of what a call returns. It fails only when the call is not answered yet.
func read[T any](value T, err error) (part[T], error) {
	if cloudtrail.PendingOf(err) != nil {
		return part[T]{}, err
	}
	return part[T]{value, err}, nil
}

// errNotRead says that a part was not read, as the trail is not ours to look at.
var errNotRead = errors.New("the trail is not ours to look at")

// err returns why not all of the trail is known that is ours to know; nil when it is.
func (o *observation) err() error {
	errs := []error{o.settingsErr, o.status.err, o.selectors.err, o.insights.err, o.aggregations.err}
	if o.trail != nil {
		errs = append(errs, o.trail.TagsErr)
	}
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, errNotRead) })...)
}

// observe reads what AWS holds of the trail. What guards its logging is read first. What the shared reads show to be
// empty is not read, and of a trail that is not ours to manage nothing more is read than whose it is. The only error is
// that of a call that is not answered yet.
func observe(ctx context.Context, region *cloudtrail.Region, t target) (*observation, error) {
	o, err := findTrail(ctx, region, t)
	if err != nil || o.trail == nil {
		return o, err
	}
	here := o.trail.HomeRegion == region.Name()
	managed := here && readable(t, o.trail)
	if !managed {
		o.selectors.err, o.insights.err, o.aggregations.err = errNotRead, errNotRead, errNotRead
	}
	if !managed && !(here && isKnown(t, o.trail)) {
		o.status.err = errNotRead
		return o, nil
	}

	if o.status, err = read(region.Status(ctx, o.trail.ARN)); err != nil || !managed {
		return o, err // The logging of one that was ours goes on being reported.
	}
	return o, o.readSelectors(ctx, region, t)
}

// findTrail finds the trail among all of the region. When these cannot be read, one that was known before is gone on
// with by its ARN.
func findTrail(ctx context.Context, region *cloudtrail.Region, t target) (*observation, error) {
	found, err := read(region.Find(ctx, t.Status.TrailARN, t.TrailName()))
	o := &observation{trail: found.value, settingsErr: found.err, managementAccountID: region.ManagementAccountID()}
	if err == nil && found.err == nil {
		confirmed, err := read(struct{}{}, confirmHome(ctx, region, t, found.value))
		if o.settingsErr = confirmed.err; confirmed.err != nil {
			o.trail = nil
		}
		return o, err
	}
	if err != nil || t.Status.TrailARN == "" {
		return o, err
	}

	o.trail = &cloudtrail.Trail{
		ARN:        t.Status.TrailARN,
		Name:       t.TrailName(),
		HomeRegion: cmp.Or(t.Status.HomeRegion, region.Name()),
	}
	tags, err := read(region.Tags(ctx, o.trail.ARN))
	o.trail.Tags, o.trail.TagsErr = tags.value, tags.err
	return o, err
}

// confirmHome makes sure that it is in the account of the object's trail that another one was found, or none: the
// credentials may belong to another account by now, which has no such trail, or one of the same name.
func confirmHome(ctx context.Context, region *cloudtrail.Region, t target, found *cloudtrail.Trail) error {
	if account, _ := home(t.Trail); account == "" || found != nil && isKnown(t, found) {
		return nil
	}
	return region.ConfirmAccount(ctx)
}

// readSelectors reads event selectors, insights and aggregations.
func (o *observation) readSelectors(ctx context.Context, region *cloudtrail.Region, t target) (err error) {
	arn, spec := o.trail.ARN, &t.Spec
	if has(o, o.trail.HasEventSelectors, len(spec.EventSelectors)+len(spec.AdvancedEventSelectors) > 0) {
		if o.selectors, err = read(region.Selectors(ctx, arn)); err != nil {
			return err
		}
	}
	if has(o, o.trail.HasInsightSelectors, len(spec.InsightSelectors) > 0) {
		if o.insights, err = read(region.Insights(ctx, arn)); err != nil {
			return err
		}
	}

	wanted := len(spec.AggregationConfigurations) > 0 || t.Status.AggregationApplied
	if wanted || o.selectors.err != nil || selectsData(o.selectors.value) {
		if o.aggregations, err = read(region.Aggregations(ctx, arn)); err != nil {
			return err
		}
		if !wanted && !isTransient(o.aggregations.err) {
			// They are somebody else's at most: that they cannot be read, as an older IAM policy does not allow it, is no reason
			// to fail.
			o.aggregations.err = errNotRead
		}
	}
	return nil
}

// readable tells whether the trail is ours to look at in full.
func readable(t target, found *cloudtrail.Trail) bool {
	return t.Spec.ObserveOnly() || found.TagsErr != nil || mayManage(t, found)
}

// has tells whether selectors are to be read: where DescribeTrails or the spec says that there are some. What AWS
// counts as its default is not left to its word: a selector that it reports as none would be put again at every look.
// What DescribeTrails did not tell may be there.
func has(o *observation, reported *bool, wanted bool) bool {
	return reported != nil && *reported || wanted || o.settingsErr != nil
}

// selectsData tells whether data events are logged, without which there is nothing to aggregate.
func selectsData(s cloudtrail.Selectors) bool {
	return slices.ContainsFunc(s.Basic, func(b v1alpha1.EventSelector) bool { return len(b.DataResources) > 0 }) ||
		slices.ContainsFunc(s.Advanced, func(a v1alpha1.AdvancedEventSelector) bool {
			return slices.ContainsFunc(a.FieldSelectors, func(f v1alpha1.AdvancedFieldSelector) bool {
				return f.Field == fieldEventCategory && slices.Contains(f.Equals, "Data")
			})
		})
}
