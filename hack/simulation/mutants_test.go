package simulation_test

import (
	"time"

	"github.com/trail-operator/trail-operator/hack/simulation"
)

// mutant is the operator with one mistake, to show that the simulation finds it.
type mutant struct {
	name string
	// file is the source file that has the mistake, of controllers. from occurs in it once, and to takes its place.
	file, from, to string
	// invariant is the one that finds it.
	invariant string
	// in tells the worlds in which it can be found; nil: in any.
	in func(simulation.Shape) bool
}

// mutants are the mistakes. The first ones take out, one by one, what was mended when people and tests attacked the
// operator from outside; then what the simulation itself has found; and then one for each other invariant, so that each
// is known to be able to fail.
var mutants = []mutant{
	{
		name: "livelock: what AWS has answered a reconcile is not kept for its next run",
		file: "cloudtrail/calls.go",
		from: "if c.of != of || c.outlived(resync, now) {",
		to:   "if c.of == c.of || c.outlived(resync, now) {",

		invariant: "AWS holds what the specs say",
		in:        func(s simulation.Shape) bool { return s.Disturbed <= 6*time.Hour }, // It asks AWS all the time.
	},
	{
		name: "side reads: Insights or aggregation that cannot be read keep a stopped trail from being started",
		file: "trail/observe.go",
		from: "return o, o.readSelectors(ctx, region, t)",
		to:   "return o, errors.Join(o.readSelectors(ctx, region, t), o.insights.err, o.aggregations.err)",

		invariant: "AWS holds what the specs say",
		in: func(s simulation.Shape) bool {
			return s.Denied == "GetInsightSelectors" || s.Denied == "GetEventConfiguration"
		},
	},
	{
		name: "held step: a step that AWS refuses holds all others",
		file: "trail/apply.go",
		from: "if err != nil && (w.observed.trail == nil ||",
		to:   "if err != nil && (true || w.observed.trail == nil ||",

		invariant: "AWS holds what the specs say",
		in:        func(s simulation.Shape) bool { return s.Denied == "AddTags" || s.Denied == "RemoveTags" },
	},
	{
		name: "owner tag: it is not looked at before a write",
		file: "trail/guard.go",
		from: "if isNew || found.TagsErr != nil {",
		to:   "if isNew || found.TagsErr != nil || true {",

		invariant: "no foreign trail is written to",
	},
	{
		name: "drift after an error: a difference is drift only while Synced is True",
		file: "trail/controller.go",
		from: "drift:          driftOf(w.target, resting.without(differences)),",
		to: `drift: func() []difference {
			if !meta.IsStatusConditionTrue(w.Status.Conditions, v1alpha1.ConditionSynced) {
				return nil
			}
			return driftOf(w.target, resting.without(differences))
		}(),`,

		invariant: "a drift is told before it is repaired",
	},
	{
		name: "wrong name: whoever is found first is named for good",
		file: "trail/attribution.go",
		from: "settled := r.Now().Sub(drift.DetectedTime.Time) >= historyLag",
		to:   "settled := true",

		invariant: "whoever is named did it",
	},
	{
		name: "account pin: the identity may lead to another account than that of the trail",
		file: "trail/controller.go",
		from: `if err == nil && account != "" && account != caller.AccountID {`,
		to:   `if err == nil && account != account {`,

		invariant: "each drift is told once, and none that is not", // It is told to be gone.
	},
	{
		name: "IfUnowned race: a trail is claimed without another look at whose it is",
		file: "trail/guard.go",
		from: "if !mayManage(w.target, &found) {",
		to:   "if false {",

		invariant: "no foreign trail is written to",
	},
	{
		name: "endless drift: what AWS does not show yet is taken for a change",
		file: "trail/settle.go",
		from: `return w.wanted == d.wanted && (w.before == d.found || w.between != "" && w.between == d.found)`,
		to:   "return false",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "late leader: a process that stood still after its last check writes, whether it still leads or not",
		file: "cloudtrail/limits.go",
		from: "func maySend(ctx context.Context, class operationClass, options *Options) error {",
		to: `func maySend(ctx context.Context, class operationClass, options *Options) error {
	if class == writeClass {
		return nil
	}`,

		invariant: "only the leader writes",
		in:        func(s simulation.Shape) bool { return s.LeaderElection },
	},
	{
		name: "two leaders: a lease that another process holds is taken for a free one",
		file: "lease/lease.go",
		from: "// Create implements resourcelock.Interface.\n",
		to: `// Get implements resourcelock.Interface.
func (l *Lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	if record != nil {
		record.HolderIdentity = ""
	}
	return record, raw, err
}

// Create implements resourcelock.Interface.
`,
		invariant: "only the leader writes",
		in:        func(s simulation.Shape) bool { return s.LeaderElection },
	},
	{
		name: "account before create: nobody asks whose the credentials are before a trail is created anew",
		file: "cloudtrail/region.go",
		from: "return r.accountID, r.session.confirm(ctx)",
		to:   "return r.accountID, nil",

		invariant: "a trail stays in its account",
	},
	{
		name: "unseen deletion: an object is let go although its trail may not be visible yet",
		file: "trail/delete.go",
		from: "if now.Sub(sent) < unseen || recentlyCreated(w.Trail, w.record, now) {",
		to:   "if sent.After(now) {",

		invariant: "no trail is left behind",
	},
	{
		name: "when a field was in sync is learned before the status is written",
		file: "trail/status.go",
		from: "o.inSync = record.inSyncAfter(o, record.calls.Since())",
		to:   "o.inSync = record.inSyncAfter(o, record.calls.Since())\n\trecord.inSync = o.inSync",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "what AWS holds between two calls that set tags is somebody's",
		file: "trail/settle.go",
		from: `(w.before == d.found || w.between != "" && w.between == d.found)`,
		to:   "w.before == d.found",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "tags that take two calls are not believed together",
		file: "cloudtrail/region.go",
		from: `return "tags"`,
		to:   "return operation",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "a status that tells meanwhile who made a drift is another one",
		file: "trail/settle.go",
		from: "if last := status.LastDrift; last != nil {",
		to:   "if last := status.LastDrift; false {",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "what a changed spec wanted before is still held",
		file: "trail/fields.go",
		from: "if isSet && !d.synced(",
		to:   "if false && isSet && !d.synced(",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "a trail that was started and stopped again has drifted once",
		file: "trail/drift.go",
		from: "o.changedAgain(trail))",
		to:   "false)",

		invariant: "a drift is told before it is repaired",
	},
	{
		name: "a status of which it is not known whether it was written is not compared",
		file: "trail/settle.go",
		from: "if last == nil || !slices.Contains(last.statuses, digestOfStatus(trail)) {",
		to:   "if true {",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "what AWS has shown once is not expected to be hidden by the next read",
		file: "trail/settle.go",
		from: "return kept && now.Sub(w.at) >= settles",
		to:   "return kept",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "a trail is told to be gone, or to be another, where nobody knows whose account is looked at",
		file: "trail/observe.go",
		from: `account == "" || found != nil && isKnown(t, found) {`,
		to:   `account == "" || true {`,

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "a trail whose owner cannot be read, and which never was the object's, is compared",
		file: "trail/state.go",
		from: "return isKnown(t, found) && (!isTransient(found.TagsErr) || tagsWereSynced(t))",
		to:   "return !isTransient(found.TagsErr) || tagsWereSynced(t)",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "what an object has observed counts as its own",
		file: "trail/fields.go",
		from: "wanted: func(t target) string {\n\t\t\tif t.Spec.ObserveOnly() {",
		to:   "wanted: func(t target) string {\n\t\t\tif false {",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "a status that was written is forgotten when a later try is refused",
		file: "trail/settle.go",
		from: "is.statuses = r.unconfirmed.statuses",
		to:   "is.statuses = nil",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "what a new trail holds before its first calls counts as nothing",
		file: "trail/plan.go",
		from: "start, _ := planLogging(t, after)",
		to: `start, _ := planLogging(t, after)
	for i := range start {
		start[i].sets[0].found = ""
	}`,

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "what somebody does while the operator writes is no drift",
		file: "trail/controller.go",
		from: "o.drift = slices.Concat(o.drift, made)",
		to:   "",

		invariant: "a drift is told before it is repaired",
	},
	{
		name: "aggregations are taken for none where the selectors cannot be read",
		file: "trail/observe.go",
		from: "if wanted || o.selectors.err != nil ||",
		to:   "if wanted ||",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "what a creation without an answer left to be done is drift",
		file: "trail/drift.go",
		from: "synced.forgetUncreated()",
		to:   "",

		invariant: "each drift is told once, and none that is not",
	},
	{
		name: "a trail is created where the credentials led when they were last asked",
		file: "trail/guard.go",
		from: "if err := w.region.ConfirmAccount(ctx); err != nil {",
		to:   "if err := w.region.ConfirmAccount(ctx); false {",

		invariant: "a trail stays in its account",
	},
	{
		name: "two Trails take a trail from each other for ever",
		file: "trail/state.go",
		from: "AdoptionPolicyAlways && !t.takesBack(found)",
		to:   "AdoptionPolicyAlways",

		invariant: "no foreign trail is written to",
	},
	{
		name: "spec.suspend is ignored",
		file: "trail/controller.go",
		from: "case trail.Spec.Suspended():",
		to:   "case false:",

		invariant: "suspended means suspended",
	},
	{
		name: "an observer writes",
		file: "trail/controller.go",
		from: "case trail.Spec.ObserveOnly(), o.state == stateUnknown,",
		to:   "case o.state == stateUnknown,",

		invariant: "observing does not write",
	},
	{
		name: "a trail is stopped instead of started",
		file: "trail/plan.go",
		from: "return []step{{operation: startLogging, sets: differing}}, nil",
		to:   "return []step{{operation: stopLogging, sets: differing}}, nil",

		invariant: "no audit trail is stopped against its spec",
	},
	{
		name: "deletionPolicy Retain deletes",
		file: "trail/delete.go",
		from: "if trail.Spec.Retained() {",
		to:   "if false {",

		invariant: "only the trails of deleted objects are deleted",
	},
	{
		name: "a trail that is in sync is written to at every look",
		file: "trail/controller.go",
		from: "o.err = r.addFinalizer(ctx, trail)",
		to: "o.err = errors.Join(r.addFinalizer(ctx, trail), " +
			"w.region.Update(ctx, w.observed.trail, settingsOf(&w.Spec), nil))",

		invariant: "a quiet world costs no write",
	},
	{
		name: "an object whose trail is gone is never let go",
		file: "trail/delete.go",
		from: "sent := latest(w.record.created, r.memory.begin(now))",
		to:   "sent := latest(now, r.memory.begin(now))",

		invariant: "what is deleted goes",
	},
	{
		name: "that a change was looked at is not worth a write of the status",
		file: "trail/controller.go",
		from: "after.LastSyncedTime = before.LastSyncedTime",
		to:   "after.LastSyncedTime, after.ObservedGeneration = before.LastSyncedTime, before.ObservedGeneration",

		invariant: "every change is looked at",
	},
	{
		name: "the history is asked once who made a drift, and not again",
		file: "trail/attribution.go",
		from: "return poll(wait), nil",
		to:   "return poll(0 * wait), nil",

		invariant: "each drift is attributed in the end",
	},
	{
		name: "a call does not say on whose behalf it is made",
		file: "cloudtrail/calls.go",
		from: `ctx = WithActor(ctx, c.namespace+"/"+c.name)`,
		to:   `ctx = WithActor(ctx, c.namespace)`,

		invariant: "no write without an object",
	},
	{
		name: "tags that the spec has dropped are not removed",
		file: "trail/plan.go",
		from: "if len(dropped) > 0 {",
		to:   "if false {",

		invariant: "AWS holds what the specs say",
	},
	{
		name: "who made a drift is asked for although it is known",
		file: "trail/attribution.go",
		from: "status.LastDrift != nil && isUncertain(status.LastDrift)",
		to:   "status.LastDrift != nil",

		invariant: "a quiet world asks for no history",
	},
	{
		name: "a call that waits for its turn is tried again at once",
		file: "cloudtrail/calls.go",
		from: "reserved, err := c.reserve(r, q, limited)\n\tif err != nil {\n",
		to:   "reserved, err := c.reserve(r, q, limited)\n\tif err != nil {\n\t\tc.wake()\n",

		invariant: "time passes",
	},
	{
		name: "what is remembered of a Trail stays when it is gone",
		file: "trail/memory.go",
		from: "delete(m.trails, uid)",
		to:   "m.trails[uid] = known",

		invariant: "nothing grows",
		in:        func(s simulation.Shape) bool { return s.Churns },
	},
	{
		name: "listening ends at a message that cannot be read",
		file: "eventqueue/queue.go",
		from: "kind = KindUnreadable\n",
		to:   "kind = KindUnreadable\n\t\tselect {}\n",

		invariant: "every event is received",
		in:        func(s simulation.Shape) bool { return s.Events },
	},
	{
		name: "Synced is True whatever differs",
		file: "trail/status.go",
		from: "setSynced(trail, notReady)",
		to:   "setSynced(trail, nil)",

		invariant: "status never lies",
		in:        func(s simulation.Shape) bool { return s.Denied != "" },
	},
}
