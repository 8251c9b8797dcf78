package trail

import (
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// synced is the condition that the last look left, of the trail's generation that many generations ago.
func synced(status metav1.ConditionStatus, generationsAgo int64) func(*v1alpha1.Trail) {
	return func(trail *v1alpha1.Trail) {
		trail.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionSynced, Status: status, ObservedGeneration: trail.Generation - generationsAgo}}
	}
}

// TestOwnership is the table of ownership: whose trail may be managed under which policy, in sync or not.
func TestOwnership(t *testing.T) {
	t.Parallel()
	const never, ifUnowned, always = v1alpha1.AdoptionPolicyNever, v1alpha1.AdoptionPolicyIfUnowned, v1alpha1.AdoptionPolicyAlways
	for name, c := range map[string]struct {
		owner  string // The tag; "-": there is no trail.
		policy v1alpha1.AdoptionPolicy
		// The state when all but the owner tag is as the spec says, and when something else differs.
		same, differs state
	}{
		"absent":                          {"-", "", stateAbsent, stateAbsent},
		"absent, never":                   {"-", never, stateAbsent, stateAbsent},
		"absent, if unowned":              {"-", ifUnowned, stateAbsent, stateAbsent},
		"absent, always":                  {"-", always, stateAbsent, stateAbsent},
		"ours":                            {testOwner, "", stateInSync, stateOutOfSync},
		"ours, never":                     {testOwner, never, stateInSync, stateOutOfSync},
		"ours, if unowned":                {testOwner, ifUnowned, stateInSync, stateOutOfSync},
		"ours, always":                    {testOwner, always, stateInSync, stateOutOfSync},
		"unowned":                         {"", "", stateNotOwned, stateNotOwned},
		"unowned, never":                  {"", never, stateNotOwned, stateNotOwned},
		"unowned, if unowned":             {"", ifUnowned, stateOutOfSync, stateOutOfSync},
		"unowned, always":                 {"", always, stateOutOfSync, stateOutOfSync},
		"another's":                       {"cluster/other/audit", "", stateOwnedByAnother, stateOwnedByAnother},
		"another's, never":                {"cluster/other/audit", never, stateOwnedByAnother, stateOwnedByAnother},
		"another's, if unowned":           {"cluster/other/audit", ifUnowned, stateOwnedByAnother, stateOwnedByAnother},
		"another's, always":               {"cluster/other/audit", always, stateOutOfSync, stateOutOfSync},
		"of our name in another cluster":  {"other/security/audit", ifUnowned, stateOwnedByAnother, stateOwnedByAnother},
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
					o.status.IsLogging = row.logging
					switch c.owner {
					case "-":
						o.trail = nil
					case "":
						delete(o.trail.Tags, v1alpha1.OwnerTagKey)
					default:
						o.trail.Tags[v1alpha1.OwnerTagKey] = c.owner
					}
				})
				NewWithT(t).Expect(stateOf(trail, o, testOwner, testRegion, planOf(trail, o)).String()).To(Equal(row.want.String()))
			})
		}
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	absent := func(o *observation) { o.trail = nil }
	differs := func(o *observation) { o.status.IsLogging = false }
	elsewhere := func(o *observation) { o.trail.HomeRegion = "us-east-1" }
	unowned := func(o *observation) { delete(o.trail.Tags, v1alpha1.OwnerTagKey) }
	unreadable := func(class cloudtrail.Class, and func(*observation)) func(*observation) {
		return func(o *observation) {
			o.trail.Tags, o.trail.TagsErr = nil, &cloudtrail.Error{Operation: "ListTags", Class: class}
			if and != nil {
				and(o)
			}
		}
	}
	observes := func(and func(*v1alpha1.Trail)) func(*v1alpha1.Trail) {
		return func(trail *v1alpha1.Trail) {
			trail.Spec.ManagementPolicy = v1alpha1.ManagementPolicyObserve
			if and != nil {
				and(trail)
			}
		}
	}
	isSynced, wasSyncedBefore, isNotSynced := synced(metav1.ConditionTrue, 0), synced(metav1.ConditionTrue, 1), synced(metav1.ConditionFalse, 0)
	for name, c := range map[string]struct {
		trail func(*v1alpha1.Trail)
		has   func(*observation)
		want  state
	}{
		"in sync":                                  {isSynced, nil, stateInSync},
		"in sync at first sight":                   {nil, nil, stateInSync},
		"drift: changed":                           {isSynced, differs, stateDrifted},
		"drift: deleted":                           {isSynced, absent, stateDrifted},
		"the user's own change":                    {wasSyncedBefore, differs, stateOutOfSync},
		"the user's own change, and deleted":       {wasSyncedBefore, absent, stateAbsent},
		"not repaired yet":                         {isNotSynced, differs, stateOutOfSync},
		"never created":                            {isNotSynced, absent, stateAbsent},
		"a home elsewhere":                         {nil, elsewhere, stateElsewhere},
		"a home elsewhere, synced before":          {isSynced, elsewhere, stateElsewhere},
		"a home elsewhere, observed":               {observes(nil), elsewhere, stateElsewhere},
		"the owner tag is gone":                    {isSynced, unowned, stateNotOwned},
		"tags hidden, in sync":                     {isSynced, unreadable(cloudtrail.Permission, nil), stateInSync},
		"tags hidden, in sync at first sight":      {nil, unreadable(cloudtrail.Permission, nil), stateInSync},
		"tags hidden, in sync, generations later":  {wasSyncedBefore, unreadable(cloudtrail.Permission, nil), stateInSync},
		"tags hidden, something to write":          {nil, unreadable(cloudtrail.Permission, differs), stateOwnerUnknown},
		"tags hidden, something drifted":           {isSynced, unreadable(cloudtrail.Permission, differs), stateOwnerUnknown},
		"tags hidden, always":                      {func(trail *v1alpha1.Trail) { trail.Spec.AdoptionPolicy = v1alpha1.AdoptionPolicyAlways }, unreadable(cloudtrail.Permission, differs), stateOwnerUnknown},
		"tags out of reach, in sync":               {isSynced, unreadable(cloudtrail.Transient, nil), stateInSync},
		"tags out of reach, the spec has changed":  {wasSyncedBefore, unreadable(cloudtrail.Transient, nil), stateOwnerUnknown},
		"tags out of reach, something to write":    {wasSyncedBefore, unreadable(cloudtrail.Transient, differs), stateOwnerUnknown},
		"observed, absent":                         {observes(nil), absent, stateAbsent},
		"observed, in sync":                        {observes(nil), nil, stateInSync},
		"observed, not ours":                       {observes(nil), unowned, stateInSync},
		"observed, not ours, differs":              {observes(nil), func(o *observation) { unowned(o); differs(o) }, stateOutOfSync},
		"observed, drifted":                        {observes(isSynced), differs, stateDrifted},
		"observed, deleted":                        {observes(isSynced), absent, stateDrifted},
		"observed, tags hidden":                    {observes(nil), unreadable(cloudtrail.Permission, nil), stateInSync},
		"observed, tags hidden, something differs": {observes(nil), unreadable(cloudtrail.Permission, differs), stateOutOfSync},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := testTrail(c.trail)
			o := holding(trail, c.has)
			NewWithT(t).Expect(stateOf(trail, o, testOwner, testRegion, planOf(trail, o)).String()).To(Equal(c.want.String()))
		})
	}
}

// TestSpecRefused holds when AWS is not asked again what it has refused.
func TestSpecRefused(t *testing.T) {
	t.Parallel()
	stalled := func(reason string, generationsAgo int64) func(*v1alpha1.Trail) {
		return func(trail *v1alpha1.Trail) {
			trail.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: reason, ObservedGeneration: trail.Generation - generationsAgo}}
		}
	}
	for name, c := range map[string]struct {
		trail   func(*v1alpha1.Trail)
		refused bool
	}{
		"never":                            {nil, false},
		"refused":                          {stalled("InvalidS3PrefixException", 0), true},
		"refused, and changed since":       {stalled("InvalidS3PrefixException", 1), false},
		"not owned is a state of AWS":      {stalled(v1alpha1.ReasonNotOwned, 0), false},
		"another's is a state of AWS":      {stalled(v1alpha1.ReasonOwnedByAnother, 0), false},
		"a home elsewhere is one, too":     {stalled(v1alpha1.ReasonWrongHomeRegion, 0), false},
		"not stalled, just not synced yet": {synced(metav1.ConditionFalse, 0), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(specRefused(testTrail(c.trail))).To(Equal(c.refused))
		})
	}
}

// TestReadable holds that of a trail that is not ours nothing more is read than whose it is.
func TestReadable(t *testing.T) {
	t.Parallel()
	owned := func(owner string) *cloudtrail.Trail {
		return &cloudtrail.Trail{Tags: map[string]string{v1alpha1.OwnerTagKey: owner}}
	}
	for name, c := range map[string]struct {
		policy   v1alpha1.ManagementPolicy
		found    *cloudtrail.Trail
		readable bool
	}{
		"ours":                {"", owned(testOwner), true},
		"another's":           {"", owned("another"), false},
		"nobody's":            {"", owned(""), false},
		"hidden":              {"", &cloudtrail.Trail{TagsErr: errors.New("no")}, true},
		"another's, observed": {v1alpha1.ManagementPolicyObserve, owned("another"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := testTrail(func(trail *v1alpha1.Trail) { trail.Spec.ManagementPolicy = c.policy })
			NewWithT(t).Expect(readable(trail, c.found, testOwner)).To(Equal(c.readable))
		})
	}
}

// TestSelectorsAreRead holds where selectors are read.
func TestSelectorsAreRead(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, c := range map[string]struct {
		reported *bool
		wanted   bool
		created  bool
		read     bool
	}{
		"none":                         {&no, false, false, false},
		"none, AWS says nothing":       {nil, false, false, false},
		"some":                         {&yes, true, false, true},
		"some that nobody wants":       {&yes, false, false, true},
		"wanted, AWS says nothing":     {nil, true, false, true},
		"wanted, AWS says it has none": {&no, true, false, true},
		"wanted, but just created":     {&no, true, true, false},
		"just put":                     {&yes, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(has(&cloudtrail.Trail{New: c.created}, c.reported, c.wanted)).To(Equal(c.read))
		})
	}
}
