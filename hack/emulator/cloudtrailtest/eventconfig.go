package cloudtrailtest

import "slices"

// AggregationConfiguration is how events of a category are aggregated.
type AggregationConfiguration struct {
	EventCategory string
	Templates     []string
}

var aggregationTemplates = []string{"API_ACTIVITY", "RESOURCE_ACCESS", "USER_ACTIONS"}

// getEventConfiguration returns the trail's aggregation; the rest of the answer is for event data stores.
func (s *Server) getEventConfiguration(c *call) (map[string]any, error) {
	if err := ofTrail(c.params); err != nil {
		return nil, err
	}
	t, err := s.named(c, "TrailName", toRead)
	if err != nil {
		return nil, err
	}
	return t.configurationFields(), nil
}

// putEventConfiguration replaces the trail's aggregation; an empty list turns it off.
func (s *Server) putEventConfiguration(c *call) (map[string]any, error) {
	if err := ofTrail(c.params); err != nil {
		return nil, err
	}

	in, given := c.params.structures("AggregationConfigurations")
	configurations := readAggregations(in)
	t, err := s.named(c, "TrailName", toWrite)
	if err != nil {
		return nil, err
	}

	switch {
	case c.params.has("ContextKeySelectors") || c.params.has("MaxEventSize"):
		return nil, fail(
			"InvalidParameterCombinationException",
			"ContextKeySelectors and MaxEventSize are for event data stores and cannot be specified with TrailName.",
		)
	case !given:
		return nil, fail("InvalidParameterException", "You must specify AggregationConfigurations for a trail.")
	}
	if err := validAggregations(configurations); err != nil {
		return nil, err
	}

	n := *t
	n.aggregations, n.updated = configurations, c.now
	return s.commit(c, t, &n).configurationFields(), nil
}

func (t *trail) configurationFields() map[string]any {
	return map[string]any{
		"TrailARN":                  t.arn,
		"AggregationConfigurations": append([]AggregationConfiguration{}, t.aggregations...),
	}
}

func readAggregations(in []members) []AggregationConfiguration {
	out := make([]AggregationConfiguration, 0, len(in))
	for _, m := range in {
		templates, _ := m.texts("Templates")
		out = append(out, AggregationConfiguration{m.text("EventCategory"), templates})
	}
	return out
}

func validAggregations(configurations []AggregationConfiguration) error {
	invalid := func(format string, args ...any) error { return fail("InvalidParameterException", format, args...) }
	if len(configurations) > 1 {
		return invalid("Specify at most one aggregation configuration.")
	}
	for _, one := range configurations {
		if one.EventCategory != "Data" {
			return invalid("Value %s for EventCategory is invalid.", one.EventCategory)
		}
		if len(one.Templates) == 0 {
			return invalid("Templates must not be empty.")
		}
		for i, template := range one.Templates {
			if !slices.Contains(aggregationTemplates, template) || slices.Contains(one.Templates[:i], template) {
				return invalid("Value %s for Templates is invalid.", template)
			}
		}
	}
	return nil
}

func copyAggregations(in []AggregationConfiguration) []AggregationConfiguration {
	out := slices.Clone(in)
	for i := range out {
		out[i].Templates = slices.Clone(out[i].Templates)
	}
	return out
}
