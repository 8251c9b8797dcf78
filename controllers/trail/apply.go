package trail

import (
	"context"
	"fmt"
	"slices"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// result is what became of a step. err is nil when AWS accepted it.
type result struct {
	step
	err error
}

// apply makes the calls of a plan and keeps the observation up to date with AWS's answers, so that nothing need be read
// again but the status. One refusal does not stop the other steps, which do not depend on it: a trail with a broken
// bucket policy still starts logging. But a trail that could not be made ours is left alone. The error is not about the
// trail: a call is not answered yet, or the object is not as it was believed to be. It is the last result's, too.
func (r *Reconciler) apply(ctx context.Context, w *work, steps []step) (results []result, err error) {
	for len(steps) > 0 {
		s := steps[0]
		steps = steps[1:]
		err := r.applyStep(ctx, w, s)
		if !isAboutTrail(err) {
			return append(results, result{s, err}), err
		}
		if parts := s.split(w.target); isRefused(err) && len(parts) > 1 {
			// One setting that is wrong must not keep the others from being changed.
			steps = slices.Concat(parts, steps)
			continue
		}

		results = append(results, result{s, err})
		if err != nil && (w.observed.trail == nil || s.claims() && !wasOurs(w.target, w.observed.trail) ||
			cloudtrail.Is(err, cloudtrail.NotFound)) {
			break
		}
	}

	if !slices.ContainsFunc(results, func(r result) bool { return r.err == nil }) {
		return results, nil
	}
	w.observed.status, err = read(w.region.Status(ctx, w.observed.trail.ARN))
	return results, err
}

// isRefused tells whether AWS has understood a call and will not do it as things are.
func isRefused(err error) bool {
	return cloudtrail.Is(err, cloudtrail.FixSpec) || cloudtrail.Is(err, cloudtrail.FixAWS)
}

// applyStep makes the call of a step.
func (r *Reconciler) applyStep(ctx context.Context, w *work, s step) error {
	o, spec, guard := w.observed, &w.Spec, r.guard(w, s)

	switch s.operation {
	case createTrail:
		return r.create(ctx, w, s)
	case updateTrail:
		return w.region.Update(ctx, o.trail, s.change, guard)
	case startLogging:
		return w.region.StartLogging(ctx, o.trail, guard)
	case stopLogging:
		return w.region.StopLogging(ctx, o.trail, guard)
	case putEventSelectors:
		wanted := wantedSelectors(spec)
		holds, err := w.region.PutSelectors(ctx, o.trail, wanted, guard)
		if len(holds.Basic)+len(holds.Advanced) == 0 {
			holds = wanted // Some endpoints answer with nothing.
		}
		return o.selectors.put(holds, err)
	case putInsightSelectors:
		holds, err := w.region.PutInsights(ctx, o.trail, spec.InsightSelectors, guard)
		if len(holds) == 0 {
			holds = spec.InsightSelectors
		}
		return o.insights.put(holds, err)
	case putEventConfiguration:
		holds, err := w.region.PutAggregations(ctx, o.trail, spec.AggregationConfigurations, guard)
		if len(holds) == 0 {
			holds = spec.AggregationConfigurations
		}
		return o.aggregations.put(holds, err)
	case addTags:
		return r.addTags(ctx, w, s)
	case removeTags:
		return w.region.RemoveTags(ctx, o.trail, s.keys, guard)
	default:
		return fmt.Errorf("unknown step %q", s.operation)
	}
}

// put takes what AWS holds after a write.
func (p *part[T]) put(holds T, err error) error {
	if err == nil {
		p.value, p.err = holds, nil
	}
	return err
}

// create creates the trail.
func (r *Reconciler) create(ctx context.Context, w *work, s step) error {
	created, err := w.region.Create(ctx, w.TrailName(), s.change, s.tags, r.guard(w, s))
	switch {
	case err == nil:
		w.observed.trail, w.observed.settingsErr = created, nil
	case isRefused(err), cloudtrail.Is(err, cloudtrail.Permission):
		w.record.created = w.record.createdBefore // This call has created nothing.
	}
	return err
}

// addTags adds tags. A trail that was not ours is ours when nobody else has claimed it at the same time.
func (r *Reconciler) addTags(ctx context.Context, w *work, s step) error {
	found := w.observed.trail
	claims := s.claims() && !wasOurs(w.target, found)
	if err := w.region.AddTags(ctx, found, s.tags, r.guard(w, s)); err != nil || !claims {
		return err
	}
	tags, err := w.region.Claimed(ctx, found.ARN)
	if err != nil {
		return err
	}
	found.Tags = tags
	if ownershipOf(tags, w.owner) != ours {
		return &cloudtrail.Error{
			Operation: addTags,
			Class:     cloudtrail.Transient,
			Code:      v1alpha1.ReasonOwnedByAnother,
			Message:   "somebody else claimed the trail at the same time",
		}
	}
	return nil
}
