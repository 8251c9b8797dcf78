package cloudtrailtest

import "slices"

// InsightSelector is one Insights type with the event categories it is for.
type InsightSelector struct {
	InsightType     string
	EventCategories []string
}

func badInsights(format string, args ...any) error {
	return fail("InvalidInsightSelectorsException", format, args...)
}

// ofTrail refuses requests about event data stores, which share some operations with trails.
func ofTrail(in members) error {
	hasStore := in.has("EventDataStore") || in.has("InsightsDestination")
	switch {
	case hasStore && in.has("TrailName"):
		return fail(
			"InvalidParameterCombinationException",
			"You cannot specify TrailName together with EventDataStore or InsightsDestination.",
		)
	case hasStore:
		return fail("UnsupportedOperationException", "Event data stores are not supported.")
	case !in.has("TrailName"):
		return fail("InvalidParameterException", "You must specify either TrailName or EventDataStore.")
	}
	return nil
}

// getInsightSelectors returns the trail's Insights; having none is an error.
func (s *Server) getInsightSelectors(c *call) (map[string]any, error) {
	if err := ofTrail(c.params); err != nil {
		return nil, err
	}
	t, err := s.named(c, "TrailName", toRead)
	if err != nil {
		return nil, err
	}
	if len(t.insights) == 0 {
		return nil, fail(
			"InsightNotEnabledException",
			"Trail %s does not have Insights enabled. "+
				"Edit the trail settings to enable Insights, and then try the operation again.",
			t.name,
		)
	}
	return t.insightFields(), nil
}

func (t *trail) insightFields() map[string]any {
	return map[string]any{"TrailARN": t.arn, "InsightSelectors": t.insights}
}

// putInsightSelectors replaces the trail's Insights; an empty list turns them off.
func (s *Server) putInsightSelectors(c *call) (map[string]any, error) {
	if err := ofTrail(c.params); err != nil {
		return nil, err
	}

	in, given := c.params.structures("InsightSelectors")
	selectors := readInsights(in)
	t, err := s.named(c, "TrailName", toWrite)
	if err != nil {
		return nil, err
	}

	if !given {
		return nil, notNull("InsightSelectors")
	}
	if err := validInsights(t, selectors); err != nil {
		return nil, err
	}
	if len(selectors) > 0 {
		if err := s.checkBucket(t.arn, t.settings); err != nil {
			return nil, err
		}
		if err := s.checkKey(t.settings); err != nil {
			return nil, err
		}
	}

	n := *t
	n.insights, n.updated = selectors, c.now
	return s.commit(c, t, &n).insightFields(), nil
}

// readInsights reads selectors; without event categories they are for management events.
func readInsights(in []members) []InsightSelector {
	out := make([]InsightSelector, 0, len(in))
	for _, m := range in {
		one := InsightSelector{m.text("InsightType"), []string{"Management"}}
		if given, ok := m.texts("EventCategories"); ok {
			one.EventCategories = given
		}
		out = append(out, one)
	}
	return out
}

// validInsights checks the selectors against the vocabulary and against what the trail logs: call rates of management
// events need its writes, error rates its reads or writes, and those of data events any data events.
func validInsights(t *trail, selectors []InsightSelector) error {
	types := map[string]bool{}
	for _, one := range selectors {
		if !slices.Contains([]string{"ApiCallRateInsight", "ApiErrorRateInsight"}, one.InsightType) ||
			types[one.InsightType] {
			return badInsights("Value %s for InsightType is invalid.", one.InsightType)
		}
		types[one.InsightType] = true
		if len(one.EventCategories) == 0 {
			return badInsights("EventCategories must not be empty.")
		}
		for i, kind := range one.EventCategories {
			switch {
			case kind != "Management" && kind != "Data", slices.Contains(one.EventCategories[:i], kind):
				return badInsights("Value %s for EventCategories is invalid.", kind)
			case !t.logs(kind, kind == "Management" && one.InsightType == "ApiCallRateInsight"):
				return badInsights("The trail must log %s events to enable %s on them.", kind, one.InsightType)
			}
		}
	}
	return nil
}

func copyInsights(in []InsightSelector) []InsightSelector {
	out := slices.Clone(in)
	for i := range out {
		out[i].EventCategories = slices.Clone(out[i].EventCategories)
	}
	return out
}
