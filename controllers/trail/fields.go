package trail

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// target is a Trail, and what the trail in AWS is compared with besides its spec.
type target struct {
	*v1alpha1.Trail
	caller cloudtrail.Caller
	// owner is the value that the owner tag is to have.
	owner string
	// takesBack tells whether the owner that a trail's tag names would take it back at once.
	takesBack func(*cloudtrail.Trail) bool
}

// Fields that are no fields of the spec.
const (
	fieldTrail    = "trail"    // There is a trail.
	fieldOwnerTag = "ownerTag" // It carries the owner tag.
	fieldTags     = "tags"
	fieldLogging  = "logging"
)

// field is a part of the spec that AWS holds, or does not.
type field struct {
	name string
	// operation sets the field.
	operation string
	// unknown returns why it is not known what AWS holds; nil when it is known.
	unknown func(*observation) error
	// wanted and found are what the spec says and what AWS holds, as texts.
	wanted func(target) string
	found  func(target, *observation) string
	// same compares the two by their meaning; nil: they are the same when the texts are.
	same func(target, *observation) bool
	// set puts what the spec says into an UpdateTrail; nil for other operations.
	set func(*cloudtrail.Change, *v1alpha1.TrailSpec)
}

// fields are all of them. Digests in the status go by their order: new ones go to the end.
var fields = []field{
	{
		name: fieldTrail, operation: createTrail, unknown: func(o *observation) error { return o.settingsErr },
		wanted: func(target) string { return "exists" },
		found: func(_ target, o *observation) string {
			if o.trail == nil {
				return ""
			}
			return "exists"
		},
	},
	{
		name: fieldOwnerTag, operation: addTags, unknown: unknownTags,
		// An observer owns nothing, and what it has observed was not its own when it manages later.
		wanted: func(t target) string {
			if t.Spec.ObserveOnly() {
				return ""
			}
			return t.owner
		},
		found: func(_ target, o *observation) string { return o.trail.Tags[v1alpha1.OwnerTagKey] },
		same: func(t target, o *observation) bool {
			return t.Spec.ObserveOnly() || o.trail.Tags[v1alpha1.OwnerTagKey] == t.owner
		},
	},
	{
		name: fieldLogging, operation: startLogging,
		unknown: func(o *observation) error { return errors.Join(unknownTrail(o), o.status.err) },
		wanted:  func(t target) string { return strconv.FormatBool(t.Spec.LoggingDesired()) },
		found:   func(_ target, o *observation) string { return strconv.FormatBool(o.status.value.IsLogging) },
	},
	textSetting(
		"s3BucketName",
		func(s *v1alpha1.TrailSpec) *string { return &s.S3BucketName },
		func(s *cloudtrail.Settings) string { return s.S3BucketName },
		func(c *cloudtrail.Change) **string { return &c.S3BucketName },
	),
	textSetting(
		"s3KeyPrefix",
		func(s *v1alpha1.TrailSpec) *string { return &s.S3KeyPrefix },
		func(s *cloudtrail.Settings) string { return s.S3KeyPrefix },
		func(c *cloudtrail.Change) **string { return &c.S3KeyPrefix },
	),
	textSetting(
		"snsTopicName",
		func(s *v1alpha1.TrailSpec) *string { return &s.SNSTopicName },
		func(s *cloudtrail.Settings) string { return s.SNSTopicARN },
		func(c *cloudtrail.Change) **string { return &c.SNSTopicName },
	).comparedBy(func(t target, found string) bool {
		return cloudtrail.TopicARN(t.caller.Region, t.caller.AccountID, t.Spec.SNSTopicName) == found
	}),
	textSetting(
		"kmsKeyID",
		func(s *v1alpha1.TrailSpec) *string { return &s.KMSKeyID },
		func(s *cloudtrail.Settings) string { return s.KMSKeyARN },
		func(c *cloudtrail.Change) **string { return &c.KMSKeyID },
	).comparedBy(func(t target, found string) bool { return sameKey(t.Trail, found) }),
	textSetting(
		"cloudWatchLogsLogGroupARN",
		func(s *v1alpha1.TrailSpec) *string { return &s.CloudWatchLogsLogGroupARN },
		func(s *cloudtrail.Settings) string { return s.CloudWatchLogsLogGroupARN },
		nil,
	).comparedBy(func(t target, found string) bool {
		return sameLogGroup(t.Spec.CloudWatchLogsLogGroupARN, found)
	}).setBy(setLogGroupAndRole),
	textSetting(
		"cloudWatchLogsRoleARN",
		func(s *v1alpha1.TrailSpec) *string { return &s.CloudWatchLogsRoleARN },
		func(s *cloudtrail.Settings) string { return s.CloudWatchLogsRoleARN },
		nil,
	).setBy(setLogGroupAndRole),
	flagSetting(
		"includeGlobalServiceEvents",
		(*v1alpha1.TrailSpec).GlobalServiceEventsDesired,
		func(s *cloudtrail.Settings) bool { return s.IncludeGlobalServiceEvents },
		func(c *cloudtrail.Change) **bool { return &c.IncludeGlobalServiceEvents },
	),
	flagSetting(
		"isMultiRegionTrail",
		(*v1alpha1.TrailSpec).MultiRegionDesired,
		func(s *cloudtrail.Settings) bool { return s.IsMultiRegionTrail },
		func(c *cloudtrail.Change) **bool { return &c.IsMultiRegionTrail },
	),
	flagSetting(
		"enableLogFileValidation",
		(*v1alpha1.TrailSpec).LogFileValidationDesired,
		func(s *cloudtrail.Settings) bool { return s.EnableLogFileValidation },
		func(c *cloudtrail.Change) **bool { return &c.EnableLogFileValidation },
	),
	flagSetting(
		"isOrganizationTrail",
		(*v1alpha1.TrailSpec).OrganizationDesired,
		func(s *cloudtrail.Settings) bool { return s.IsOrganizationTrail },
		func(c *cloudtrail.Change) **bool { return &c.IsOrganizationTrail },
	),
	{
		name: "eventSelectors", operation: putEventSelectors,
		unknown: func(o *observation) error { return errors.Join(unknownTrail(o), o.selectors.err) },
		wanted:  func(t target) string { return selectorsText(wantedSelectors(&t.Spec)) },
		found:   func(_ target, o *observation) string { return selectorsText(o.selectors.value) },
		same: func(t target, o *observation) bool {
			return sameSelectors(wantedSelectors(&t.Spec), o.selectors.value)
		},
	},
	{
		name: "insightSelectors", operation: putInsightSelectors,
		unknown: func(o *observation) error { return errors.Join(unknownTrail(o), o.insights.err) },
		wanted:  func(t target) string { return listText(normalInsights(t.Spec.InsightSelectors)) },
		found:   func(_ target, o *observation) string { return listText(normalInsights(o.insights.value)) },
	},
	{
		name: "aggregationConfigurations", operation: putEventConfiguration,
		unknown: func(o *observation) error { return errors.Join(unknownTrail(o), o.aggregations.err) },
		wanted:  func(t target) string { return listText(normalAggregations(t.Spec.AggregationConfigurations)) },
		found:   func(_ target, o *observation) string { return listText(normalAggregations(o.aggregations.value)) },
	},
	{
		name: fieldTags, operation: addTags, unknown: unknownTags,
		wanted: func(t target) string { return asJSON(specTags(t.Trail)) },
		found:  func(t target, o *observation) string { return asJSON(managedTags(t.Trail, o.trail.Tags)) },
	},
}

// selectorsText returns event selectors as a text, "" for CloudTrail's default.
func selectorsText(s cloudtrail.Selectors) string {
	normal := normalSelectors(s)
	return listText(normal.Advanced) + listText(normal.Basic)
}

// listText returns a list as a text, "" for none.
func listText[T any](list []T) string {
	if len(list) == 0 {
		return ""
	}
	return asJSON(list)
}

func unknownTrail(o *observation) error {
	if o.trail == nil {
		return errNoTrail
	}
	return nil
}

func unknownTags(o *observation) error {
	if o.trail == nil {
		return errNoTrail
	}
	return o.trail.TagsErr
}

func unknownSettings(o *observation) error {
	return errors.Join(unknownTrail(o), o.settingsErr)
}

// errNoTrail says that a field is not known, as there is no trail.
var errNoTrail = errors.New("there is no trail")

// textSetting is a field that UpdateTrail sets.
func textSetting(
	name string,
	wanted func(*v1alpha1.TrailSpec) *string,
	found func(*cloudtrail.Settings) string,
	change func(*cloudtrail.Change) **string,
) field {
	return field{
		name: name, operation: updateTrail, unknown: unknownSettings,
		wanted: func(t target) string { return *wanted(&t.Spec) },
		found:  func(_ target, o *observation) string { return found(&o.trail.Settings) },
		set:    func(c *cloudtrail.Change, s *v1alpha1.TrailSpec) { *change(c) = wanted(s) },
	}
}

// flagSetting is a field that UpdateTrail sets.
func flagSetting(
	name string,
	wanted func(*v1alpha1.TrailSpec) bool,
	found func(*cloudtrail.Settings) bool,
	change func(*cloudtrail.Change) **bool,
) field {
	return field{
		name: name, operation: updateTrail, unknown: unknownSettings,
		wanted: func(t target) string { return strconv.FormatBool(wanted(&t.Spec)) },
		found:  func(_ target, o *observation) string { return strconv.FormatBool(found(&o.trail.Settings)) },
		set:    func(c *cloudtrail.Change, s *v1alpha1.TrailSpec) { *change(c) = new(wanted(s)) },
	}
}

// comparedBy returns the field with another comparison of what AWS holds.
func (f field) comparedBy(same func(t target, found string) bool) field {
	found := f.found
	f.same = func(t target, o *observation) bool { return same(t, found(t, o)) }
	return f
}

// setBy returns the field with another way to set it.
func (f field) setBy(set func(*cloudtrail.Change, *v1alpha1.TrailSpec)) field {
	f.set = set
	return f
}

// setLogGroupAndRole sets the two together, as CloudTrail wants them.
func setLogGroupAndRole(c *cloudtrail.Change, s *v1alpha1.TrailSpec) {
	c.CloudWatchLogsLogGroupARN, c.CloudWatchLogsRoleARN = &s.CloudWatchLogsLogGroupARN, &s.CloudWatchLogsRoleARN
}

// isNamed tells whether the field is known by that name.
func (f *field) isNamed(name string) bool {
	return f.name == name || f.operation == putEventSelectors && name == "advancedEventSelectors"
}

// difference is a field that AWS holds otherwise than the spec says.
type difference struct {
	field
	// number is the field's place among the fields.
	number int
	// name is the field as people know it: selectors have two names.
	name          string
	wanted, found string
}

// differencesOf returns the fields that AWS holds otherwise, as far as it is known what AWS holds.
func differencesOf(t target, o *observation) []difference {
	var differences []difference
	for number, f := range fields {
		if f.unknown(o) != nil {
			continue
		}
		d := difference{field: f, number: number, name: f.name, wanted: f.wanted(t), found: f.found(t, o)}
		if f.same == nil && d.wanted == d.found || f.same != nil && f.same(t, o) {
			continue
		}
		if f.operation == putEventSelectors {
			d.name = selectorField(&t.Spec, o)
		}
		differences = append(differences, d)
	}
	return differences
}

// selectorField names the field of the spec that selectors differ in: the one that is set, else the kind that AWS
// holds.
func selectorField(spec *v1alpha1.TrailSpec, o *observation) string {
	if len(spec.AdvancedEventSelectors) > 0 || len(spec.EventSelectors) == 0 && len(o.selectors.value.Advanced) > 0 {
		return "advancedEventSelectors"
	}
	return "eventSelectors"
}

// namesOf returns the names of the fields that differ.
func namesOf(differences []difference) []string {
	names := make([]string, 0, len(differences))
	for _, d := range differences {
		names = append(names, d.name)
	}
	return names
}

// maxFound bounds what the status shows of what AWS holds, in bytes.
const maxFound = 256

// shown is the difference as the status has it. A text that is cut ends in a digest, as another value must be another
// text.
func (d *difference) shown() v1alpha1.Difference {
	found := text.Escape(d.found)
	if len(found) > maxFound {
		found = fmt.Sprintf("%s sha256:%x", text.Cut(found, maxFound), sha256.Sum256([]byte(d.found)))
	}
	return v1alpha1.Difference{Field: d.name, Found: found}
}

// digests are, for each field, a digest of what the spec said when AWS held it. They are kept in the status as text:
// whether a difference is drift must not depend on what else went wrong, nor on this process.
type digests []byte

// digestSize is the size of one digest in bytes. Two values of a field share a digest once in 16 million times; drift
// would be taken for a change of the spec then.
const digestSize = 3

func digestsOf(status *v1alpha1.TrailStatus) digests {
	known, err := base64.RawURLEncoding.DecodeString(status.SyncedDigest)
	if err != nil {
		known = nil // It is not ours.
	}
	d := make(digests, digestSize*len(fields))
	copy(d, known)
	return d
}

// String returns the digests as the status has them.
func (d digests) String() string {
	if strings.Trim(string(d), "\x00") == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(d)
}

func digestOf(wanted string) []byte {
	digest := sha256.Sum256([]byte(wanted))
	digest[0] |= 1 // No digest is that of nothing.
	return digest[:digestSize]
}

func (d digests) of(number int) []byte { return d[digestSize*number:][:digestSize] }

// synced tells whether AWS once held that value of a field.
func (d digests) synced(number int, wanted string) bool {
	return bytes.Equal(d.of(number), digestOf(wanted))
}

// noteSynced notes the fields that AWS holds as the spec says, and forgets those of which the spec says something else
// than it did: what AWS becomes meanwhile is no drift should the spec be changed back.
func (d digests) noteSynced(t target, o *observation, differences []difference) {
	for number, f := range fields {
		wanted := f.wanted(t)
		switch {
		case f.unknown(o) == nil && !isAmong(differences, number):
			copy(d.of(number), digestOf(wanted))
		case !d.synced(number, wanted):
			clear(d.of(number))
		}
	}
}

// forgetUncreated forgets the fields that CreateTrail does not set.
func (d digests) forgetUncreated() {
	for number, f := range fields {
		if !slices.Contains([]string{createTrail, updateTrail, addTags}, f.operation) {
			clear(d.of(number))
		}
	}
}

// forgetChanged forgets the fields that the steps set to something else than what AWS once held, and tells whether
// there are any: the spec has changed, and may be changed back before the steps are known to be taken.
func (d digests) forgetChanged(t target, steps []step) (forgot bool) {
	for number, f := range fields {
		isSet := slices.ContainsFunc(steps, func(s step) bool { return s.writes(number) })
		if isSet && !d.synced(number, f.wanted(t)) && !bytes.Equal(d.of(number), make([]byte, digestSize)) {
			clear(d.of(number))
			forgot = true
		}
	}
	return forgot
}

// numberOf returns the place of a field among the fields.
func numberOf(name string) int {
	return slices.IndexFunc(fields, func(f field) bool { return f.name == name })
}

func isAmong(differences []difference, number int) bool {
	for i := range differences {
		if differences[i].number == number {
			return true
		}
	}
	return false
}
