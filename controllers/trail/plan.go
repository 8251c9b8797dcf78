package trail

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// Operations that a plan consists of, by AWS's names.
const (
	createTrail           = "CreateTrail"
	updateTrail           = "UpdateTrail"
	startLogging          = "StartLogging"
	stopLogging           = "StopLogging"
	putEventSelectors     = "PutEventSelectors"
	putInsightSelectors   = "PutInsightSelectors"
	putEventConfiguration = "PutEventConfiguration"
	addTags               = "AddTags"
	removeTags            = "RemoveTags"
	deleteTrail           = "DeleteTrail"
)

// step is one call to AWS.
type step struct {
	operation string
	// sets are the differences that it ends.
	sets []difference
	// change is what CreateTrail and UpdateTrail set.
	change cloudtrail.Change
	// tags are CreateTrail's and AddTags's.
	tags map[string]string
	// keys are RemoveTags's.
	keys []string
	// spec is what CreateTrail is made from, as a text.
	spec string
}

// claims tells whether the step makes a trail ours.
func (s step) claims() bool { return s.operation == addTags && s.tags[v1alpha1.OwnerTagKey] != "" }

// writes tells whether the step sets a field. A creation sets them all.
func (s step) writes(number int) bool { return s.operation == createTrail || isAmong(s.sets, number) }

// key says what the step is to do: AWS is not asked again for what it has refused.
func (s step) key() string {
	parts := make([]string, 1, 1+2*len(s.sets))
	parts[0] = s.operation + s.spec
	for _, d := range s.sets {
		parts = append(parts, d.name, d.wanted)
	}
	return strings.Join(parts, "\n")
}

// String returns the step as events and logs show it, such as UpdateTrail{s3KeyPrefix}.
func (s step) String() string {
	switch s.operation {
	case updateTrail:
		return fmt.Sprintf("%s{%s}", s.operation, strings.Join(fieldsOf([]step{s}), ", "))
	case addTags:
		return fmt.Sprintf("%s{%s}", s.operation, strings.Join(slices.Sorted(maps.Keys(s.tags)), ", "))
	case removeTags:
		return fmt.Sprintf("%s{%s}", s.operation, strings.Join(s.keys, ", "))
	default:
		return s.operation
	}
}

// describe returns the steps as events and logs show them.
func describe(steps []step) string {
	texts := make([]string, 0, len(steps))
	for _, s := range steps {
		texts = append(texts, s.String())
	}
	return strings.Join(texts, ", ")
}

// fieldsOf returns the fields that the steps set, each once, in order.
func fieldsOf(steps []step) []string {
	names := make([]string, 0, len(steps))
	for _, s := range steps {
		names = append(names, namesOf(s.sets)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// plan returns the calls that end the differences, in the order in which they are to be made. alone tells which
// settings are to be changed by a call of their own.
func plan(t target, o *observation, differences []difference, alone func(difference) bool) []step {
	if o.trail == nil {
		return planCreate(t, differences)
	}
	start, stop := planLogging(t, differences)
	claim := planOwner(t, differences)
	rest := slices.Concat(planTags(t, o, differences), planSettings(t, differences, alone), planSelectors(t, differences))
	if wasOurs(t, o.trail) {
		return slices.Concat(start, claim, rest, stop)
	}
	return slices.Concat(claim, start, rest, stop) // Nothing else is done to a trail before it is ours.
}

// planCreate creates the trail and starts its logging at once: what AWS may refuse of the rest must not leave it
// silent.
func planCreate(t target, missing []difference) []step {
	if len(missing) == 0 {
		return nil
	}
	create := step{
		operation: createTrail,
		sets:      missing,
		tags:      wantedTags(t),
		change:    settingsOf(&t.Spec),
		spec:      asJSON(t.Spec),
	}
	after := differencesOf(t, &observation{trail: &cloudtrail.Trail{}}) // From what a new trail holds.
	start, _ := planLogging(t, after)
	return slices.Concat([]step{create}, start, planSelectors(t, after))
}

// specTags returns the tags of the spec.
func specTags(trail *v1alpha1.Trail) map[string]string {
	tags := make(map[string]string, len(trail.Spec.Tags)+1)
	for _, tag := range trail.Spec.Tags {
		tags[tag.Key] = tag.Value
	}
	return tags
}

// wantedTags returns the tags of the spec and the owner tag.
func wantedTags(t target) map[string]string {
	tags := specTags(t.Trail)
	tags[v1alpha1.OwnerTagKey] = t.owner
	return tags
}

// managedTags returns those of the tags that the spec sets, or has set once. Other people's are left alone.
func managedTags(trail *v1alpha1.Trail, found map[string]string) map[string]string {
	managed := map[string]string{}
	keep := func(key string) {
		if value, ok := found[key]; ok && key != v1alpha1.OwnerTagKey {
			managed[key] = value
		}
	}
	for _, tag := range trail.Spec.Tags {
		keep(tag.Key)
	}
	for _, key := range trail.Status.ManagedTagKeys {
		keep(key)
	}
	return managed
}

// planOwner sets the owner tag.
func planOwner(t target, differences []difference) []step {
	missing := of(differences, fieldOwnerTag)
	if len(missing) == 0 {
		return nil
	}
	return []step{{operation: addTags, sets: missing, tags: map[string]string{v1alpha1.OwnerTagKey: t.owner}}}
}

// planTags sets the tags of the spec, and removes what the spec once set.
func planTags(t target, o *observation, differences []difference) []step {
	differing := of(differences, fieldTags)
	if len(differing) == 0 {
		return nil
	}
	wanted := specTags(t.Trail)
	missing := map[string]string{}
	for key, value := range wanted {
		if has, ok := o.trail.Tags[key]; !ok || has != value {
			missing[key] = value
		}
	}
	var dropped []string
	for key := range managedTags(t.Trail, o.trail.Tags) {
		if _, keep := wanted[key]; !keep {
			dropped = append(dropped, key)
		}
	}
	slices.Sort(dropped)

	var steps []step
	if len(dropped) > 0 {
		steps = append(steps, step{operation: removeTags, sets: differing, keys: dropped})
	}
	if len(missing) > 0 {
		steps = append(steps, step{operation: addTags, sets: differing, tags: missing})
	}
	return steps
}

// planLogging starts logging, or stops it. A trail is started before anything else that AWS may refuse, and stopped
// after it.
func planLogging(t target, differences []difference) (start, stop []step) {
	differing := of(differences, fieldLogging)
	switch {
	case len(differing) == 0:
		return nil, nil
	case t.Spec.LoggingDesired():
		return []step{{operation: startLogging, sets: differing}}, nil
	default:
		return nil, []step{{operation: stopLogging, sets: differing}}
	}
}

// planSettings names in UpdateTrail just what differs: it leaves alone what is not named, and "" clears. Settings that
// AWS has refused are changed by calls of their own, so that they keep no others from being changed.
func planSettings(t target, differences []difference, alone func(difference) bool) []step {
	var together step
	var steps []step
	for _, d := range differences {
		switch {
		case d.set == nil:
		case alone(d):
			steps = append(steps, updateOf(t, d))
		default:
			together.sets = append(together.sets, d)
		}
	}
	if len(together.sets) > 0 {
		steps = append([]step{updateOf(t, together.sets...)}, steps...)
	}
	return steps
}

// settingsOf returns all that CreateTrail sets.
func settingsOf(spec *v1alpha1.TrailSpec) cloudtrail.Change {
	var settings cloudtrail.Change
	for _, f := range fields {
		if f.set != nil {
			f.set(&settings, spec)
		}
	}
	return settings
}

// updateOf returns the UpdateTrail that ends the differences.
func updateOf(t target, differences ...difference) step {
	s := step{operation: updateTrail, sets: differences}
	for _, d := range differences {
		d.set(&s.change, &t.Spec)
	}
	return s
}

// split returns a step as several, of which each ends one difference; just the step when it cannot be parted.
func (s step) split(t target) []step {
	if s.operation != updateTrail || len(s.sets) < 2 {
		return []step{s}
	}
	parts := make([]step, 0, len(s.sets))
	for _, d := range s.sets {
		parts = append(parts, updateOf(t, d))
	}
	return parts
}

func wantedSelectors(spec *v1alpha1.TrailSpec) cloudtrail.Selectors {
	return cloudtrail.Selectors{Basic: spec.EventSelectors, Advanced: spec.AdvancedEventSelectors}
}

// planSelectors sets event selectors, insights and aggregation. Aggregation works on data events, so it ends before
// the selectors change and begins after; and Insights on management events, so they follow the selectors.
func planSelectors(t target, differences []difference) []step {
	aggregate := put(differences, putEventConfiguration)
	selectors, insights := put(differences, putEventSelectors), put(differences, putInsightSelectors)
	if len(t.Spec.AggregationConfigurations) == 0 {
		return slices.Concat(aggregate, selectors, insights)
	}
	return slices.Concat(selectors, insights, aggregate)
}

// put returns the step of an operation that sets one field as a whole, if the field differs.
func put(differences []difference, operation string) []step {
	for _, d := range differences {
		if d.operation == operation {
			return []step{{operation: operation, sets: []difference{d}}}
		}
	}
	return nil
}

// of returns those of the differences that are of a field.
func of(differences []difference, name string) []difference {
	for i := range differences {
		if differences[i].field.name == name {
			return differences[i : i+1]
		}
	}
	return nil
}
