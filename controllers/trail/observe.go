package trail

import (
	"context"
	"slices"
	"time"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// observation is what AWS holds of a trail.
type observation struct {
	// trail is nil when there is none.
	trail        *cloudtrail.Trail
	selectors    cloudtrail.Selectors
	insights     []v1alpha1.InsightSelector
	aggregations []v1alpha1.AggregationConfiguration
	status       cloudtrail.Status
}

// observe reads what AWS holds of the trail, as it was at most maxAge ago. What the shared reads show to be empty is not
// read, and of a trail that is not ours to manage nothing more is read than whose it is.
func observe(ctx context.Context, region *cloudtrail.Region, trail *v1alpha1.Trail, owner string, maxAge time.Duration) (*observation, error) {
	o := &observation{}
	var err error
	if o.trail, err = region.Find(ctx, trail.Status.TrailARN, trail.TrailName(), maxAge); err != nil || o.trail == nil {
		return o, err
	}
	if o.trail.HomeRegion != region.Name() || !readable(trail, o.trail, owner) {
		return o, nil
	}
	arn := o.trail.ARN
	if has(o.trail, o.trail.HasEventSelectors, len(trail.Spec.EventSelectors)+len(trail.Spec.AdvancedEventSelectors) > 0) {
		if o.selectors, err = region.Selectors(ctx, arn); err != nil {
			return o, err
		}
	}
	if has(o.trail, o.trail.HasInsightSelectors, len(trail.Spec.InsightSelectors) > 0) {
		if o.insights, err = region.Insights(ctx, arn); err != nil {
			return o, err
		}
	}
	if o.aggregations, err = observeAggregations(ctx, region, trail, o); err != nil {
		return o, err
	}
	if !o.trail.New {
		o.status, err = region.Status(ctx, arn)
	}
	return o, err
}

// observeAggregations reads the aggregation configurations where there can be some. Where the spec has none and never had, they
// are somebody else's at most: that they cannot be read, as an older IAM policy does not allow it, is no reason to fail.
func observeAggregations(ctx context.Context, region *cloudtrail.Region, trail *v1alpha1.Trail, o *observation) ([]v1alpha1.AggregationConfiguration, error) {
	wanted := len(trail.Spec.AggregationConfigurations) > 0 || trail.Status.AggregationApplied
	if !wanted && !selectsData(o.selectors) {
		return nil, nil
	}
	found, err := region.Aggregations(ctx, o.trail.ARN)
	if err != nil && !wanted && !isTransient(err) {
		return nil, nil
	}
	return found, err
}

// readable tells whether the trail is ours to look at in full.
func readable(trail *v1alpha1.Trail, found *cloudtrail.Trail, owner string) bool {
	return trail.Spec.Observed() || found.TagsErr != nil || mayManage(trail.Spec.Adoption(), ownershipOf(found.Tags, owner))
}

// has tells whether selectors are to be read: where DescribeTrails or the spec says that there are some. What AWS counts as
// its default is not left to its word: a selector that it reports as none would be put again at every look. A trail that this
// process has just created has none.
func has(found *cloudtrail.Trail, reported *bool, wanted bool) bool {
	return reported != nil && *reported || wanted && !found.New
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
