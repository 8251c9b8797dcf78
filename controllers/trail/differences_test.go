package trail

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// TestOrderOfFields holds the place of each field. The digests in the status of every Trail go by it, so a new field
// goes to the end, and one that is gone leaves its place: if fields changed places, an upgrade would take every later
// change in AWS for one of the spec, and tell of no drift.
func TestOrderOfFields(t *testing.T) {
	t.Parallel()
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		names = append(names, f.name)
	}
	NewWithT(t).Expect(names).To(Equal([]string{
		"trail",
		"ownerTag",
		"logging",
		"s3BucketName",
		"s3KeyPrefix",
		"snsTopicName",
		"kmsKeyID",
		"cloudWatchLogsLogGroupARN",
		"cloudWatchLogsRoleARN",
		"includeGlobalServiceEvents",
		"isMultiRegionTrail",
		"enableLogFileValidation",
		"isOrganizationTrail",
		"eventSelectors",
		"insightSelectors",
		"aggregationConfigurations",
		"tags",
	}))
}

// TestDifferences changes each field in AWS.
func TestDifferences(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*observation)
		shown  []v1alpha1.Difference
	}{
		"nothing": {nil, nil},
		"trail":   {noTrail, []v1alpha1.Difference{{Field: "trail"}}},
		"ownerTag, gone": {
			untagged, []v1alpha1.Difference{{Field: "ownerTag"}},
		},
		"ownerTag, another's": {
			taggedOver, []v1alpha1.Difference{{Field: "ownerTag", Found: anotherOwner}},
		},
		"logging": {stopped, []v1alpha1.Difference{{Field: "logging", Found: "false"}}},
		"s3BucketName": {
			func(o *observation) { o.trail.S3BucketName = "theirs" },
			[]v1alpha1.Difference{{Field: "s3BucketName", Found: "theirs"}},
		},
		"s3KeyPrefix": {prefixed, []v1alpha1.Difference{{Field: "s3KeyPrefix", Found: "intruder"}}},
		"snsTopicName": {
			func(o *observation) { o.trail.SNSTopicARN = "" },
			[]v1alpha1.Difference{{Field: "snsTopicName"}},
		},
		"kmsKeyID": {
			func(o *observation) { o.trail.KMSKeyARN = otherKeyARN },
			[]v1alpha1.Difference{{Field: "kmsKeyID", Found: otherKeyARN}},
		},
		"cloudWatchLogsLogGroupARN": {
			func(o *observation) { o.trail.CloudWatchLogsLogGroupARN = testGroup + "2:*" },
			[]v1alpha1.Difference{{Field: "cloudWatchLogsLogGroupARN", Found: testGroup + "2:*"}},
		},
		"cloudWatchLogsRoleARN": {
			func(o *observation) { o.trail.CloudWatchLogsRoleARN = "" },
			[]v1alpha1.Difference{{Field: "cloudWatchLogsRoleARN"}},
		},
		"includeGlobalServiceEvents": {
			func(o *observation) { o.trail.IncludeGlobalServiceEvents = false },
			[]v1alpha1.Difference{{Field: "includeGlobalServiceEvents", Found: "false"}},
		},
		"isMultiRegionTrail": {
			func(o *observation) { o.trail.IsMultiRegionTrail = false },
			[]v1alpha1.Difference{{Field: "isMultiRegionTrail", Found: "false"}},
		},
		"enableLogFileValidation": {
			func(o *observation) { o.trail.EnableLogFileValidation = false },
			[]v1alpha1.Difference{{Field: "enableLogFileValidation", Found: "false"}},
		},
		"isOrganizationTrail": {
			func(o *observation) { o.trail.IsOrganizationTrail = false },
			[]v1alpha1.Difference{{Field: "isOrganizationTrail", Found: "false"}},
		},
		"advancedEventSelectors, gone": {
			func(o *observation) { o.selectors.value = basic() },
			[]v1alpha1.Difference{{Field: "advancedEventSelectors"}},
		},
		"advancedEventSelectors, now basic": {
			selectsWrites,
			[]v1alpha1.Difference{{
				Field: "advancedEventSelectors", Found: `[{"readWriteType":"WriteOnly","includeManagementEvents":true}]`,
			}},
		},
		"insightSelectors": {
			func(o *observation) { o.insights.value = nil }, []v1alpha1.Difference{{Field: "insightSelectors"}},
		},
		"aggregationConfigurations": {
			func(o *observation) { o.aggregations.value = nil },
			[]v1alpha1.Difference{{Field: "aggregationConfigurations"}},
		},
		"tags": {
			func(o *observation) { o.trail.Tags["env"], o.trail.Tags["theirs"] = "test", "x" },
			[]v1alpha1.Difference{{Field: "tags", Found: `{"env":"test","team":"security"}`}},
		},
		"several": {
			both(stopped, untagged, prefixed),
			[]v1alpha1.Difference{
				{Field: "ownerTag"}, {Field: "logging", Found: "false"}, {Field: "s3KeyPrefix", Found: "intruder"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := fullTrail(nil)
			var shown []v1alpha1.Difference
			for _, d := range differencesOf(targetOf(trail), holding(trail, c.change)) {
				shown = append(shown, d.shown())
				g.Expect(d.field.name).To(Equal(fields[d.number].name))
				g.Expect(d.wanted).NotTo(Equal(d.found))
			}
			g.Expect(shown).To(Equal(c.shown))
		})
	}
}

// TestDifferencesOfWhatIsKnown holds that a part that could not be read differs in nothing, and hides no other part.
func TestDifferencesOfWhatIsKnown(t *testing.T) {
	t.Parallel()
	all := []string{
		"advancedEventSelectors", "aggregationConfigurations", "cloudWatchLogsLogGroupARN", "cloudWatchLogsRoleARN",
		"enableLogFileValidation", "includeGlobalServiceEvents", "insightSelectors", "isMultiRegionTrail",
		"isOrganizationTrail", "kmsKeyID", "logging", "ownerTag", "s3BucketName", "s3KeyPrefix", "snsTopicName", "tags",
	}
	settings := []string{
		"cloudWatchLogsLogGroupARN", "cloudWatchLogsRoleARN", "enableLogFileValidation", "includeGlobalServiceEvents",
		"isMultiRegionTrail", "isOrganizationTrail", "kmsKeyID", "s3BucketName", "s3KeyPrefix", "snsTopicName",
	}
	no := errors.New("no")
	for name, c := range map[string]struct {
		unread  func(*observation)
		unknown []string
	}{
		"all is known":    {nil, nil},
		"settings":        {func(o *observation) { o.settingsErr = no }, settings},
		"status":          {func(o *observation) { o.status.err = no }, []string{"logging"}},
		"tags":            {func(o *observation) { o.trail.TagsErr = no }, []string{"ownerTag", "tags"}},
		"event selectors": {func(o *observation) { o.selectors.err = no }, []string{"advancedEventSelectors"}},
		"insights":        {func(o *observation) { o.insights.err = no }, []string{"insightSelectors"}},
		"aggregation":     {func(o *observation) { o.aggregations.err = no }, []string{"aggregationConfigurations"}},
		"several": {
			func(o *observation) { o.status.err, o.insights.err = no, no }, []string{"insightSelectors", "logging"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := fullTrail(nil)
			o := &observation{trail: &cloudtrail.Trail{HomeRegion: testRegion, Tags: map[string]string{}}}
			if c.unread != nil {
				c.unread(o)
			}
			known := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(c.unknown, name) })
			differences := differencesOf(targetOf(trail), o)
			g.Expect(fieldsOf([]step{{sets: differences}})).To(Equal(known))
		})
	}

	t.Run("whether there is a trail", func(t *testing.T) {
		t.Parallel()
		trail := fullTrail(nil)
		NewWithT(t).Expect(differencesOf(targetOf(trail), &observation{settingsErr: no})).To(BeEmpty())
	})
}

// TestSelectorField holds by which of its two names a difference of event selectors is known.
func TestSelectorField(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wanted, found cloudtrail.Selectors
		field         string
	}{
		"basic for nothing":           {basic(), basic(someSelectors...), "eventSelectors"},
		"advanced for nothing":        {basic(), advanced(someAdvanced...), "advancedEventSelectors"},
		"nothing for basic":           {basic(someSelectors...), basic(), "eventSelectors"},
		"nothing for advanced":        {advanced(someAdvanced...), basic(), "advancedEventSelectors"},
		"basic instead of advanced":   {advanced(someAdvanced...), basic(someSelectors...), "advancedEventSelectors"},
		"advanced instead of basic":   {basic(someSelectors...), advanced(someAdvanced...), "eventSelectors"},
		"other basic than the wanted": {basic(someSelectors...), basic(v1alpha1.EventSelector{}), "eventSelectors"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := testTrail(func(trail *v1alpha1.Trail) {
				trail.Spec.EventSelectors, trail.Spec.AdvancedEventSelectors = c.wanted.Basic, c.wanted.Advanced
			})
			o := holding(trail, func(o *observation) { o.selectors.value = c.found })
			g.Expect(namesOf(differencesOf(targetOf(trail), o))).To(Equal([]string{c.field}))
		})
	}
}

// TestShownDifference holds that what AWS holds is shown in a bounded space, and another value as another text.
func TestShownDifference(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	shown := func(found string) string {
		d := difference{name: "tags", found: found}
		g.Expect(d.shown().Field).To(Equal("tags"))
		return d.shown().Found
	}
	long := strings.Repeat("x", maxFound)
	g.Expect(shown("")).To(BeEmpty())
	g.Expect(shown(long)).To(Equal(long))
	g.Expect(shown(long + "a")).To(MatchRegexp("^x{253}… sha256:[0-9a-f]{64}$"))
	g.Expect(shown(long + "a")).To(Equal(shown(long + "a")))
	g.Expect(shown(long + "a")).NotTo(Equal(shown(long + "b")))
	g.Expect(shown("a\nb\x1b[31m")).To(Equal(`a\nb\x1b[31m`), "on one line, without what drives a terminal")
}

// TestDigests holds that what AWS was seen to hold is known again from the status.
func TestDigests(t *testing.T) {
	t.Parallel()
	logging, prefix, tags := numberOf(fieldLogging), numberOf("s3KeyPrefix"), numberOf(fieldTags)
	of := func(text string) digests { return digestsOf(&v1alpha1.TrailStatus{SyncedDigest: text}) }
	text := func(note ...string) string {
		trail := fullTrail(nil)
		known := of("")
		for _, name := range note {
			copy(known.of(numberOf(name)), digestOf(fields[numberOf(name)].wanted(targetOf(trail))))
		}
		return known.String()
	}

	t.Run("round trip", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		written := text("logging", "tags")
		known := of(written)
		g.Expect(known.String()).To(Equal(written))
		g.Expect(known.synced(logging, "true")).To(BeTrue())
		g.Expect(known.synced(logging, "false")).To(BeFalse(), "another value")
		g.Expect(known.synced(tags, `{"env":"prod","team":"security"}`)).To(BeTrue())
		g.Expect(known.synced(prefix, "prefix")).To(BeFalse(), "not noted")
		g.Expect(known.synced(prefix, "")).To(BeFalse(), "not noted")
	})

	t.Run("what the spec says no more is forgotten", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		trail := fullTrail(func(trail *v1alpha1.Trail) { trail.Spec.S3KeyPrefix = "changed" })
		differences := []difference{{field: fields[prefix], number: prefix}, {field: fields[logging], number: logging}}
		known := of(text("logging", "tags", "s3KeyPrefix"))
		known.noteSynced(targetOf(trail), holding(trail, nil), differences)
		g.Expect(known.of(prefix)).To(Equal(make([]byte, digestSize)), "it may be changed back")
		g.Expect(known.synced(logging, "true")).To(BeTrue(), "AWS was changed, and not the spec")
	})

	t.Run("what is about to be changed is forgotten", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		trail := fullTrail(func(trail *v1alpha1.Trail) { trail.Spec.S3KeyPrefix = "changed" })
		changes := []step{{operation: updateTrail, sets: []difference{{field: fields[prefix], number: prefix}}}}
		repairs := []step{{operation: startLogging, sets: []difference{{field: fields[logging], number: logging}}}}
		known := of(text("logging", "tags", "s3KeyPrefix"))
		g.Expect(known.forgetChanged(targetOf(trail), repairs)).To(BeFalse(), "the spec says what it said")
		g.Expect(known.forgetChanged(targetOf(trail), changes)).To(BeTrue())
		g.Expect(known.of(prefix)).To(Equal(make([]byte, digestSize)))
		g.Expect(known.forgetChanged(targetOf(trail), changes)).To(BeFalse(), "it is forgotten already")
	})

	t.Run("nothing is no text", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		g.Expect(text()).To(BeEmpty())
		known := of(text("logging"))
		clear(known.of(logging))
		g.Expect(known.String()).To(BeEmpty())
	})

	t.Run("of an operator that knew fewer fields", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		raw, err := base64.RawURLEncoding.DecodeString(text("logging", "tags"))
		g.Expect(err).NotTo(HaveOccurred())
		older := of(base64.RawURLEncoding.EncodeToString(raw[:digestSize*tags]))
		g.Expect(older.synced(logging, "true")).To(BeTrue())
		g.Expect(older.synced(tags, `{"env":"prod","team":"security"}`)).To(BeFalse())
		g.Expect(older.String()).To(Equal(text("logging")))
	})

	t.Run("of an operator that knows more fields", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		newer := of(text("logging", "tags") + base64.RawURLEncoding.EncodeToString([]byte("abc")))
		g.Expect(newer).To(HaveLen(digestSize * len(fields)))
		g.Expect(newer.synced(tags, `{"env":"prod","team":"security"}`)).To(BeTrue())
	})

	for name, garbage := range map[string]string{
		"no base64": "***", "a broken end": text("logging") + "*", "base64 of another kind": "++//" + text("logging")[4:],
		"too short for one digest": "QQ",
	} {
		t.Run("garbage: "+name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			known := of(garbage)
			for number, f := range fields {
				g.Expect(known.synced(number, f.wanted(targetOf(fullTrail(nil))))).To(BeFalse(), f.name)
			}
		})
	}
}

// TestDigestOfNothing holds that a place that nothing was written to is the digest of no value.
func TestDigestOfNothing(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	for n := range 10_000 {
		g.Expect(digestOf(strings.Repeat("x", n%100) + string(rune(n)))).NotTo(Equal(make([]byte, digestSize)))
	}
}

// TestNoteSynced holds of which fields it is noted that AWS holds them: those that are known, and do not differ.
func TestNoteSynced(t *testing.T) {
	t.Parallel()
	no := errors.New("no")
	for name, c := range map[string]struct {
		has  func(*observation)
		left []string
	}{
		"all":             {nil, nil},
		"one differs":     {stopped, []string{"logging"}},
		"two differ":      {both(prefixed, untagged), []string{"ownerTag", "s3KeyPrefix"}},
		"selectors":       {func(o *observation) { o.selectors.value = basic() }, []string{"eventSelectors"}},
		"tags are hidden": {func(o *observation) { o.trail.TagsErr = no }, []string{"ownerTag", "tags"}},
		"no status":       {func(o *observation) { o.status.err = no }, []string{"logging"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := fullTrail(nil)
			target, o := targetOf(trail), holding(trail, c.has)
			known := digestsOf(&trail.Status)
			known.noteSynced(target, o, differencesOf(target, o))
			var left []string
			for number, f := range fields {
				if !known.synced(number, f.wanted(target)) {
					left = append(left, f.name)
				}
			}
			g.Expect(left).To(Equal(c.left))
		})
	}

	t.Run("what was noted before stays", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		trail := fullTrail(synced)
		target, o := targetOf(trail), holding(trail, stopped)
		known := digestsOf(&trail.Status)
		known.noteSynced(target, o, differencesOf(target, o))
		g.Expect(known.synced(numberOf(fieldLogging), "true")).To(BeTrue())
	})
}
