package trail

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// TestOwnership is the table of ownership: whose trail may be managed under which policy, in sync or not.
func TestOwnership(t *testing.T) {
	t.Parallel()
	const (
		never     = v1alpha1.AdoptionPolicyNever
		ifUnowned = v1alpha1.AdoptionPolicyIfUnowned
		always    = v1alpha1.AdoptionPolicyAlways
	)
	for name, c := range map[string]struct {
		owner  string // The tag; "-": there is no trail.
		policy v1alpha1.AdoptionPolicy
		// The state when all but the owner tag is as the spec says, and when something else differs.
		same, differs state
	}{
		"absent":                {"-", "", stateAbsent, stateAbsent},
		"absent, never":         {"-", never, stateAbsent, stateAbsent},
		"absent, if unowned":    {"-", ifUnowned, stateAbsent, stateAbsent},
		"absent, always":        {"-", always, stateAbsent, stateAbsent},
		"ours":                  {testOwner, "", stateInSync, stateOutOfSync},
		"ours, never":           {testOwner, never, stateInSync, stateOutOfSync},
		"ours, if unowned":      {testOwner, ifUnowned, stateInSync, stateOutOfSync},
		"ours, always":          {testOwner, always, stateInSync, stateOutOfSync},
		"unowned":               {"", "", stateNotOwned, stateNotOwned},
		"unowned, never":        {"", never, stateNotOwned, stateNotOwned},
		"unowned, if unowned":   {"", ifUnowned, stateOutOfSync, stateOutOfSync},
		"unowned, always":       {"", always, stateOutOfSync, stateOutOfSync},
		"another's":             {"cluster/other/audit", "", stateOwnedByAnother, stateOwnedByAnother},
		"another's, never":      {"cluster/other/audit", never, stateOwnedByAnother, stateOwnedByAnother},
		"another's, if unowned": {"cluster/other/audit", ifUnowned, stateOwnedByAnother, stateOwnedByAnother},
		"another's, always":     {"cluster/other/audit", always, stateOutOfSync, stateOutOfSync},
		"of our name in another cluster": {
			"other/security/audit", ifUnowned, stateOwnedByAnother, stateOwnedByAnother,
		},
		"of a name that begins like ours": {testOwner + "2", ifUnowned, stateOwnedByAnother, stateOwnedByAnother},
	} {
		for what, row := range map[string]struct {
			logging bool
			want    state
		}{"same": {true, c.same}, "differs": {false, c.differs}} {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				trail := testTrail(func(trail *v1alpha1.Trail) { trail.Spec.AdoptionPolicy = c.policy })
				o := holding(trail, func(o *observation) {
					o.status.value.IsLogging = row.logging
					switch c.owner {
					case "-":
						o.trail = nil
					case "":
						delete(o.trail.Tags, v1alpha1.OwnerTagKey)
					default:
						o.trail.Tags[v1alpha1.OwnerTagKey] = c.owner
					}
				})
				NewWithT(t).Expect(stateOf(targetOf(trail), o, differencesOf(targetOf(trail), o)).String()).
					To(Equal(row.want.String()))
			})
		}
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	elsewhere := func(o *observation) { o.trail.HomeRegion = "us-east-1" }
	unknown := func(o *observation) {
		o.settingsErr = awsError(cloudtrail.Transient, "DescribeTrails", "ServiceUnavailable", "no")
	}
	hidden, outOfReach := tagsFail(cloudtrail.Permission), tagsFail(cloudtrail.Transient)
	always := func(trail *v1alpha1.Trail) { trail.Spec.AdoptionPolicy = v1alpha1.AdoptionPolicyAlways }
	prefix := syncedBefore(func(spec *v1alpha1.TrailSpec) { spec.S3KeyPrefix = "new" })
	tags := syncedBefore(func(spec *v1alpha1.TrailSpec) { spec.Tags = []v1alpha1.Tag{{Key: "new"}} })
	observedBefore := func(trail *v1alpha1.Trail) {
		observes(trail)
		synced(trail)
		trail.Spec.ManagementPolicy = v1alpha1.ManagementPolicyManage
	}
	tagged := func(owner string) func(*observation) {
		return func(o *observation) { o.trail.Tags[v1alpha1.OwnerTagKey] = owner }
	}
	failed := func(trail *v1alpha1.Trail) {
		set(trail, v1alpha1.ConditionSynced, metav1.ConditionFalse, "AccessDeniedException", "no")
	}
	for name, c := range map[string]struct {
		trail func(*v1alpha1.Trail)
		has   func(*observation) // What AWS holds instead of the spec as it was at first.
		want  state
	}{
		"in sync":                                {synced, nil, stateInSync},
		"in sync at first sight":                 {nil, nil, stateInSync},
		"drift: changed":                         {synced, stopped, stateDrifted},
		"drift: deleted":                         {synced, noTrail, stateDrifted},
		"drift: the owner tag is gone":           {synced, untagged, stateDrifted},
		"drift, after an error":                  {both(synced, failed), stopped, stateDrifted},
		"drift: deleted, after an error":         {both(synced, failed), noTrail, stateDrifted},
		"the user's own change":                  {prefix, nil, stateOutOfSync},
		"the user's own change, and a drift":     {prefix, stopped, stateDrifted},
		"the user's own change, and deleted":     {prefix, noTrail, stateDrifted},
		"not repaired yet":                       {failed, stopped, stateOutOfSync},
		"never created":                          {failed, noTrail, stateAbsent},
		"a home elsewhere":                       {nil, elsewhere, stateElsewhere},
		"a home elsewhere, synced before":        {synced, elsewhere, stateElsewhere},
		"a home elsewhere, observed":             {observes, elsewhere, stateElsewhere},
		"another's by now":                       {synced, taggedOver, stateOwnedByAnother},
		"another's by now, always":               {both(always, synced), taggedOver, stateDrifted},
		"tags hidden, in sync":                   {synced, hidden, stateInSync},
		"tags hidden, in sync at first sight":    {nil, hidden, stateOwnerUnknown},
		"tags hidden, in sync, the tags changed": {tags, hidden, stateInSync},
		"tags hidden, something to write":        {nil, both(hidden, stopped), stateOwnerUnknown},
		"tags hidden, something drifted":         {synced, both(hidden, stopped), stateOwnerUnknown},
		"tags hidden, always":                    {always, both(hidden, stopped), stateOwnerUnknown},
		"tags out of reach, the tags changed":    {tags, outOfReach, stateOwnerUnknown},
		"tags out of reach, at first sight":      {nil, outOfReach, stateOwnerUnknown},
		"tags out of reach, something else changed": {
			prefix, both(outOfReach, func(o *observation) { o.trail.S3KeyPrefix = "new" }), stateInSync,
		},
		"tags out of reach, in sync":              {synced, outOfReach, stateInSync},
		"tags out of reach, the spec has changed": {prefix, outOfReach, stateOwnerUnknown},
		"tags out of reach, something to write":   {prefix, both(outOfReach, stopped), stateOwnerUnknown},

		"nothing could be read":                     {nil, both(unknown, noTrail), stateUnknown},
		"nothing could be read, synced before":      {synced, both(unknown, noTrail), stateUnknown},
		"no settings, the rest is in sync":          {synced, unknown, stateUnknown},
		"no settings, the rest has drifted":         {synced, both(unknown, stopped), stateDrifted},
		"no settings, the rest is out of sync":      {nil, both(unknown, stopped), stateOutOfSync},
		"no settings, and another's":                {synced, both(unknown, taggedOver), stateOwnedByAnother},
		"no settings, observed":                     {both(observes, synced), both(unknown, stopped), stateUnknown},
		"no settings, tags hidden, the rest is not": {synced, both(unknown, hidden, stopped), stateOwnerUnknown},

		"observed, absent":                         {observes, noTrail, stateAbsent},
		"observed, in sync":                        {observes, nil, stateInSync},
		"observed, not ours":                       {observes, untagged, stateInSync},
		"observed, not ours, differs":              {observes, both(untagged, stopped), stateOutOfSync},
		"observed, drifted":                        {both(observes, synced), stopped, stateDrifted},
		"observed, deleted":                        {both(observes, synced), noTrail, stateDrifted},
		"observed before, and nobody's":            {observedBefore, untagged, stateNotOwned},
		"observed before, and another's":           {observedBefore, tagged("another"), stateOwnedByAnother},
		"observed, tags hidden":                    {observes, hidden, stateInSync},
		"observed, tags hidden, something differs": {observes, both(hidden, stopped), stateOutOfSync},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, o := targetOf(testTrail(c.trail)), holding(testTrail(nil), c.has)
			NewWithT(t).Expect(stateOf(target, o, differencesOf(target, o)).String()).To(Equal(c.want.String()))
		})
	}
}

// TestDriftOf holds which differences somebody made in AWS: those of fields that AWS was seen to hold as the spec says
// now.
func TestDriftOf(t *testing.T) {
	t.Parallel()
	no := errors.New("no")
	prefix := func(prefix string) func(*v1alpha1.TrailSpec) {
		return func(spec *v1alpha1.TrailSpec) { spec.S3KeyPrefix = prefix }
	}
	for name, c := range map[string]struct {
		trail func(*v1alpha1.Trail)
		has   func(*observation)
		drift []string
	}{
		"nothing was ever seen": {nil, stopped, nil},
		"in sync":               {synced, nil, nil},
		"one field":             {synced, stopped, []string{"logging"}},
		"several": {
			synced, both(stopped, prefixed, untagged),
			[]string{"ownerTag", "logging", "s3KeyPrefix"},
		},
		"deleted":                                {synced, noTrail, []string{"trail"}},
		"another value of the spec":              {syncedBefore(prefix("new")), nil, nil},
		"another value of the spec, and a drift": {syncedBefore(prefix("new")), stopped, []string{"logging"}},
		"another value of the spec and of AWS":   {syncedBefore(prefix("new")), prefixed, nil},
		"back to the value of before": {
			both(syncedBefore(prefix("new")), func(t *v1alpha1.Trail) { t.Spec.S3KeyPrefix = "" }), prefixed,
			[]string{"s3KeyPrefix"},
		},
		"how it is handled is no other value": {
			syncedBefore(func(spec *v1alpha1.TrailSpec) { spec.AdoptionPolicy = v1alpha1.AdoptionPolicyAlways }),
			stopped, []string{"logging"},
		},
		"after an error, which a condition shows": {
			both(synced, func(trail *v1alpha1.Trail) {
				set(trail, v1alpha1.ConditionSynced, "False", "AccessDeniedException", "no")
			}), stopped, []string{"logging"},
		},
		"a part could not be read": {
			synced, both(stopped, func(o *observation) { o.settingsErr = no }), []string{"logging"},
		},
		"the part could not be read":     {synced, both(stopped, func(o *observation) { o.status.err = no }), nil},
		"tags could not be read":         {synced, both(untagged, func(o *observation) { o.trail.TagsErr = no }), nil},
		"whether there is a trail":       {synced, func(o *observation) { o.trail, o.settingsErr = nil, no }, nil},
		"an observer sees drift as well": {both(observes, synced), stopped, []string{"logging"}},
		"an observer minds no owner":     {both(observes, synced), untagged, nil},
		"a digest that is not ours": {
			func(trail *v1alpha1.Trail) { trail.Status.SyncedDigest = "***" }, stopped, nil,
		},
		"logging that is not wanted": {
			both(func(trail *v1alpha1.Trail) { trail.Spec.Logging = aws.Bool(false) }, synced),
			func(o *observation) { o.status.value.IsLogging = true }, []string{"logging"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, o := targetOf(testTrail(c.trail)), holding(testTrail(nil), c.has)
			drift := driftOf(target, differencesOf(target, o))
			NewWithT(t).Expect(namesOf(drift)).To(ConsistOf(c.drift))
		})
	}
}
