package coverage_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/coverage"
)

// TestManagementEvents holds what selectors let through, as AWS documents them and as controls judge them.
func TestManagementEvents(t *testing.T) {
	t.Parallel()
	const kms, rds = "kms.amazonaws.com", "rdsdata.amazonaws.com"
	type basic = v1alpha1.EventSelector
	type field = v1alpha1.AdvancedFieldSelector
	selector := func(fields ...field) v1alpha1.AdvancedEventSelector {
		return v1alpha1.AdvancedEventSelector{FieldSelectors: fields}
	}
	category := func(values ...string) field { return field{Field: "eventCategory", Equals: values} }
	readOnly := func(values ...string) field { return field{Field: "readOnly", Equals: values} }
	management := category("Management")
	withoutKMS := field{Field: "eventSource", NotEquals: []string{kms}}
	all := coverage.Events{Read: coverage.All, Write: coverage.All}
	readsOnly := coverage.Events{Read: coverage.All}
	writesOnly := coverage.Events{Write: coverage.All}
	some := func(excluded ...string) coverage.Events {
		return coverage.Events{Read: coverage.Some, Write: coverage.Some, Excluded: excluded}
	}

	for name, c := range map[string]struct {
		basic    []basic
		advanced []v1alpha1.AdvancedEventSelector
		want     coverage.Events
	}{
		"none: CloudTrail's default": {want: all},

		"basic: defaults":        {basic: []basic{{}}, want: all},
		"basic: spelled out":     {basic: []basic{{ReadWriteType: "All", IncludeManagementEvents: new(true)}}, want: all},
		"basic: read events":     {basic: []basic{{ReadWriteType: v1alpha1.ReadOnly}}, want: readsOnly},
		"basic: write events":    {basic: []basic{{ReadWriteType: v1alpha1.WriteOnly}}, want: writesOnly},
		"basic: data events":     {basic: []basic{{IncludeManagementEvents: new(false)}}, want: coverage.Events{}},
		"basic: read and write":  {basic: []basic{{ReadWriteType: "ReadOnly"}, {ReadWriteType: "WriteOnly"}}, want: all},
		"basic: data beside all": {basic: []basic{{IncludeManagementEvents: new(false)}, {}}, want: all},
		"basic: the write half is of data events": {
			basic: []basic{{ReadWriteType: "ReadOnly"}, {ReadWriteType: "WriteOnly", IncludeManagementEvents: new(false)}},
			want:  readsOnly,
		},
		"basic: an excluded source": {
			basic: []basic{{ExcludeManagementEventSources: []string{kms}}},
			want:  some("excludeManagementEventSources: " + kms),
		},
		"basic: sources excluded by several": {
			basic: []basic{
				{ReadWriteType: "ReadOnly", ExcludeManagementEventSources: []string{rds, kms}},
				{ReadWriteType: "WriteOnly", ExcludeManagementEventSources: []string{kms}},
			},
			want: some("excludeManagementEventSources: "+kms, "excludeManagementEventSources: "+rds),
		},
		"basic: an exclusion of one selector counts for the trail": {
			basic: []basic{{}, {ReadWriteType: "ReadOnly", ExcludeManagementEventSources: []string{kms}}},
			want:  some("excludeManagementEventSources: " + kms),
		},
		"basic: an exclusion of a selector for data events counts for nothing": {
			basic: []basic{{}, {IncludeManagementEvents: new(false), ExcludeManagementEventSources: []string{kms}}},
			want:  all,
		},

		"advanced: management":  {advanced: []v1alpha1.AdvancedEventSelector{selector(management)}, want: all},
		"advanced: data":        {advanced: []v1alpha1.AdvancedEventSelector{selector(category("Data"))}},
		"advanced: no category": {advanced: []v1alpha1.AdvancedEventSelector{selector(readOnly("true"))}},
		"advanced: no fields":   {advanced: []v1alpha1.AdvancedEventSelector{selector()}},
		"advanced: read events": {
			advanced: []v1alpha1.AdvancedEventSelector{selector(management, readOnly("true"))}, want: readsOnly,
		},
		"advanced: write events": {
			advanced: []v1alpha1.AdvancedEventSelector{selector(readOnly("false"), management)}, want: writesOnly,
		},
		"advanced: read and write in one": {
			advanced: []v1alpha1.AdvancedEventSelector{selector(management, readOnly("true", "false"))}, want: all,
		},
		"advanced: read and write in two": {
			advanced: []v1alpha1.AdvancedEventSelector{
				selector(management, readOnly("true")), selector(management, readOnly("false")),
			},
			want: all,
		},
		"advanced: both at once is nothing": {
			advanced: []v1alpha1.AdvancedEventSelector{selector(management, readOnly("true"), readOnly("false"))},
		},
		"advanced: the write half is of data events": {
			advanced: []v1alpha1.AdvancedEventSelector{
				selector(management, readOnly("true")), selector(category("Data"), readOnly("false")),
			},
			want: readsOnly,
		},
		"advanced: an excluded source": {
			advanced: []v1alpha1.AdvancedEventSelector{selector(management, withoutKMS)},
			want:     some("eventSource notEquals " + kms),
		},
		"advanced: one source only": {
			advanced: []v1alpha1.AdvancedEventSelector{
				selector(management, field{Field: "eventSource", Equals: []string{kms}}),
			},
			want: some("eventSource equals " + kms),
		},
		"advanced: exceptions are not added up": {
			advanced: []v1alpha1.AdvancedEventSelector{
				selector(management, withoutKMS), selector(management, field{Field: "eventSource", Equals: []string{kms}}),
			},
			want: some("eventSource equals "+kms, "eventSource notEquals "+kms),
		},
		"advanced: read events of most sources": {
			advanced: []v1alpha1.AdvancedEventSelector{selector(management, readOnly("true"), withoutKMS)},
			want:     coverage.Events{Read: coverage.Some, Excluded: []string{"eventSource notEquals " + kms}},
		},
		"advanced: all writes, and reads of most sources": {
			advanced: []v1alpha1.AdvancedEventSelector{
				selector(management, readOnly("false")), selector(management, withoutKMS),
			},
			want: coverage.Events{
				Read: coverage.Some, Write: coverage.All, Excluded: []string{"eventSource notEquals " + kms},
			},
		},
		"advanced: all, and something less": {
			advanced: []v1alpha1.AdvancedEventSelector{selector(management), selector(management, withoutKMS)}, want: all,
		},
		"advanced: a field that is newer than we are": {
			advanced: []v1alpha1.AdvancedEventSelector{
				selector(management, field{Field: "eventMood", StartsWith: []string{"good", "fair"}, NotEndsWith: []string{"x"}}),
			},
			want: some("eventMood startsWith good, fair and notEndsWith x"),
		},
		"advanced: readOnly by another comparison": {
			advanced: []v1alpha1.AdvancedEventSelector{
				selector(management, field{Field: "readOnly", NotEquals: []string{"true"}}),
			},
			want: some("readOnly notEquals true"),
		},
		"advanced: the category by another comparison": {
			advanced: []v1alpha1.AdvancedEventSelector{
				selector(field{Field: "eventCategory", NotEquals: []string{"Data"}}),
			},
		},
		"advanced: the name of a selector means nothing": {
			advanced: []v1alpha1.AdvancedEventSelector{
				{Name: "Management events selector", FieldSelectors: []field{category("Data")}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(coverage.ManagementEvents(c.basic, c.advanced)).To(Equal(c.want))
		})
	}
}

// TestSelectorsAgreeWithEvents holds that what is said of selectors is true of each event that they are given: all are
// taken where it says All, and none where it says None.
func TestSelectorsAgreeWithEvents(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		basic, advanced := anySelectors(random)
		said := coverage.ManagementEvents(basic, advanced)
		for _, source := range sources {
			for isRead, extent := range map[bool]coverage.Extent{true: said.Read, false: said.Write} {
				taken := takenByBasic(basic, isRead, source) || takenByAdvanced(advanced, isRead, source)
				if extent == coverage.All && !taken || extent == coverage.None && taken {
					t.Fatalf("read %t of %s is taken: %t, but it says %+v of %+v %+v",
						isRead, source, taken, said, basic, advanced)
				}
			}
		}
	}
}

// sources are what events are from. Selectors know of some.
var sources = []string{"kms.amazonaws.com", "rdsdata.amazonaws.com", "ec2.amazonaws.com"}

// anySelectors returns selectors of one kind, with fields that AWS may refuse, too.
func anySelectors(random *rand.Rand) (basic []v1alpha1.EventSelector, advanced []v1alpha1.AdvancedEventSelector) {
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	if random.IntN(2) == 0 {
		for range 1 + random.IntN(3) {
			selector := v1alpha1.EventSelector{
				ReadWriteType:           v1alpha1.ReadWriteType(one("ReadOnly", "WriteOnly", "All", "")),
				IncludeManagementEvents: []*bool{nil, new(true), new(false)}[random.IntN(3)],
			}
			if random.IntN(4) == 0 {
				selector.ExcludeManagementEventSources = []string{one(sources[:2]...)}
			}
			basic = append(basic, selector)
		}
		return basic, nil
	}

	for range 1 + random.IntN(3) {
		fields := []v1alpha1.AdvancedFieldSelector{
			{Field: "eventCategory", Equals: []string{one("Management", "Management", "Data")}},
		}
		for range random.IntN(3) {
			field := v1alpha1.AdvancedFieldSelector{Field: one("readOnly", "readOnly", "eventSource")}
			values := []string{one("true", "false")}
			if field.Field == "eventSource" {
				values = []string{one(sources...)}
			}
			if random.IntN(2) == 0 {
				field.Equals = values
			} else {
				field.NotEquals = values
			}
			fields = append(fields, field)
		}
		random.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		advanced = append(advanced, v1alpha1.AdvancedEventSelector{FieldSelectors: fields})
	}
	return nil, advanced
}

// takenByBasic tells whether basic selectors take an event. A source that one of them excludes is excluded by all.
func takenByBasic(selectors []v1alpha1.EventSelector, isRead bool, source string) bool {
	taken := false
	for _, s := range selectors {
		if s.IncludeManagementEvents != nil && !*s.IncludeManagementEvents {
			continue
		}
		if slices.Contains(s.ExcludeManagementEventSources, source) {
			return false
		}
		taken = taken || isRead && s.ReadWriteType != v1alpha1.WriteOnly || !isRead && s.ReadWriteType != v1alpha1.ReadOnly
	}
	return taken
}

// takenByAdvanced tells whether one of the selectors takes an event.
func takenByAdvanced(selectors []v1alpha1.AdvancedEventSelector, isRead bool, source string) bool {
	event := map[string]string{
		"eventCategory": "Management", "readOnly": strconv.FormatBool(isRead), "eventSource": source,
	}
	return slices.ContainsFunc(selectors, func(s v1alpha1.AdvancedEventSelector) bool {
		return !slices.ContainsFunc(s.FieldSelectors, func(f v1alpha1.AdvancedFieldSelector) bool {
			value := event[f.Field]
			return len(f.Equals) > 0 && !slices.Contains(f.Equals, value) || slices.Contains(f.NotEquals, value)
		})
	})
}
