package trail

import (
	"context"
	"fmt"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// apply makes the calls of a plan and keeps the observation up to date with AWS's answers, so that nothing need be read
// again but the status. It returns the steps that AWS accepted and the first error. One refusal does not stop the
// other steps, which do not depend on it: a trail with a broken bucket policy still starts logging. But a trail that could not be
// made ours is left alone.
func apply(ctx context.Context, region *cloudtrail.Region, trail *v1alpha1.Trail, o *observation, steps []step) ([]step, error) {
	var done []step
	var first error
	for _, s := range steps {
		err := applyStep(ctx, region, trail, o, s)
		if err == nil {
			done = append(done, s)
			continue
		}
		if first == nil {
			first = err
		}
		if o.trail == nil || s.claims() || cloudtrail.Is(err, cloudtrail.Transient) || cloudtrail.Is(err, cloudtrail.NotFound) {
			break
		}
	}
	if len(done) == 0 || cloudtrail.Is(first, cloudtrail.Transient) {
		return done, first
	}
	var err error
	if o.status, err = region.Status(ctx, o.trail.ARN); err != nil && first == nil {
		first = err
	}
	return done, first
}

func applyStep(ctx context.Context, region *cloudtrail.Region, trail *v1alpha1.Trail, o *observation, s step) error {
	switch s.operation {
	case createTrail:
		created, err := region.Create(ctx, trail, s.tags)
		o.trail = created
		return err
	case updateTrail:
		return region.Update(ctx, o.trail, s.change)
	case startLogging:
		return region.StartLogging(ctx, o.trail)
	case stopLogging:
		return region.StopLogging(ctx, o.trail)
	case putEventSelectors:
		wanted := wantedSelectors(&trail.Spec)
		err := region.PutSelectors(ctx, o.trail, wanted)
		if err == nil {
			o.selectors = wanted
		}
		return err
	case putInsightSelectors:
		err := region.PutInsights(ctx, o.trail, trail.Spec.InsightSelectors)
		if err == nil {
			o.insights = trail.Spec.InsightSelectors
		}
		return err
	case putEventConfiguration:
		err := region.PutAggregations(ctx, o.trail, s.aggregations)
		if err == nil {
			o.aggregations = s.aggregations
		}
		return err
	case addTags:
		return region.AddTags(ctx, o.trail, s.tags)
	case removeTags:
		return region.RemoveTags(ctx, o.trail, s.keys)
	default:
		return fmt.Errorf("unknown step %q", s.operation)
	}
}
