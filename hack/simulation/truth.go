package simulation

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// Violation is an invariant that does not hold.
type Violation struct {
	// Invariant is its name.
	Invariant string
	// At is when that was found, since the beginning.
	At time.Duration
	// What is what was found.
	What string
}

// String returns all of it.
func (v *Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.At, v.Invariant, v.What) }

// truth knows all that has happened in AWS, and holds what the operator does and says against it.
type truth struct {
	w *World
	// writes are those of each trail, the oldest first.
	writes map[string][]write
	// acting are the parameters of the call that an intruder is making.
	acting map[string]any
	// homes are the accounts in which trails were created for an object.
	homes map[types.UID]string
	// drifts are those that the statuses of an object have told, by the object's UID.
	drifts map[types.UID][]told
	// gone are the last versions of objects that are gone, by name.
	gone map[string]*v1alpha1.Trail
	// hidden are the trails, by ARN, whose tags AWS did not tell when it was asked last.
	hidden map[string]bool
}

// write is one that AWS has accepted.
type write struct {
	cloudtrailtest.Write
	// object is on whose behalf the operator wrote, "" for somebody else.
	object     string
	parameters map[string]any
}

// told is a drift in a status.
type told struct {
	detected time.Time
	fields   []string
}

func newTruth(w *World) *truth {
	return &truth{
		w: w, writes: map[string][]write{}, homes: map[types.UID]string{}, drifts: map[types.UID][]told{},
		gone: map[string]*v1alpha1.Trail{}, hidden: map[string]bool{},
	}
}

// trailResource are Trails at the API server.
var trailResource = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "trails"}

// operatorAgent is the operator's user agent, with the object that it works for.
var operatorAgent = regexp.MustCompile(`trail-operator/simulated \(([^)]+)\)`)

// violated notes that an invariant does not hold. The first one counts.
func (w *World) violated(invariant, format string, arguments ...any) {
	if w.violation == nil {
		w.violation = &Violation{invariant, w.scheduler.elapsed(), fmt.Sprintf(format, arguments...)}
		w.note("VIOLATION: %s", w.violation)
	}
}

// slack is how old what the operator knows may be when it writes: the guard's reads, the network, and what AWS shows.
func (w *World) slack() time.Duration {
	return 15*time.Second + 4*w.worst + w.emulatorLag
}

// longestLook is how long a look at a trail may take, from the first of its dozen calls to the last.
func (w *World) longestLook() time.Duration { return w.slack() + 12*w.worst }

// trail returns a Trail as it is at the API server; nil when there is none.
func (w *World) trail(name string) *v1alpha1.Trail {
	namespace, name, _ := strings.Cut(name, "/")
	object, err := w.api.Object(trailResource, namespace, name)
	if err != nil || object == nil {
		return nil
	}
	trail := &v1alpha1.Trail{}
	if runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, trail) != nil {
		return nil
	}
	return trail
}

// owner returns the owner tag of an object's trail.
func (w *World) owner(object string) string { return w.clusterID + "/" + object }

// wrote takes a write. It is called by the emulator, before anybody can see it.
func (t *truth) wrote(accepted cloudtrailtest.Write) {
	made := write{Write: accepted, parameters: t.acting}
	if found := operatorAgent.FindStringSubmatch(accepted.UserAgent); found != nil {
		made.object = found[1]
	}
	t.writes[accepted.TrailARN] = append(t.writes[accepted.TrailARN], made)
	if made.object != "" {
		t.w.note("for %s: %s", made.object, made.Operation)
		t.checkWrite(made)
	}
	if t.w.quiet {
		t.w.violated("a quiet world costs no write", "%s of %s for %s", made.Operation, made.TrailARN, made.object)
	}
}

// checkWrite holds that a write of the operator is allowed.
func (t *truth) checkWrite(made write) {
	w := t.w
	trail := w.trail(made.object)
	if trail == nil {
		trail = t.gone[made.object]
	}
	if trail == nil {
		w.violated("no write without an object", "%s of %s for %s", made.Operation, made.TrailARN, made.object)
		return
	}
	recent := t.versions(made.object, w.slack())
	allowed := func(is func(*v1alpha1.Trail) bool) bool { return slices.ContainsFunc(recent, is) }

	if made.Operation == "CreateTrail" {
		home, known := w.homeOf(trail)
		if known && home != made.AccountID && !w.justMoved() {
			w.violated("a trail stays in its account", "%s was created in %s, and now in %s", made.object, home, made.AccountID)
		}
		if !known || home == made.AccountID {
			t.homes[trail.UID] = made.AccountID
		}
	}
	switch {
	case made.Operation == "StopLogging" &&
		!allowed(func(trail *v1alpha1.Trail) bool { return !trail.Spec.LoggingDesired() }):
		w.violated("no audit trail is stopped against its spec", "%s for %s", made.TrailARN, made.object)
	case made.Operation == "DeleteTrail" &&
		!allowed(func(trail *v1alpha1.Trail) bool { return trail.DeletionTimestamp != nil && !trail.Spec.Retained() }):
		w.violated("only the trails of deleted objects are deleted", "%s for %s", made.TrailARN, made.object)
	case !allowed(func(trail *v1alpha1.Trail) bool { return trail.DeletionTimestamp != nil || !trail.Spec.Suspended() }):
		w.violated("suspended means suspended", "%s of %s for %s", made.Operation, made.TrailARN, made.object)
	case !allowed(func(trail *v1alpha1.Trail) bool { return !trail.Spec.ObserveOnly() }):
		w.violated("observing does not write", "%s of %s for %s", made.Operation, made.TrailARN, made.object)
	}
	t.checkOwner(made, recent)
	t.checkTold(made, trail)
}

// justMoved tells whether the operator's own credentials lead elsewhere since it may have asked where they do, for the
// call that AWS is at.
func (w *World) justMoved() bool {
	asked := w.serving.link.process.askedBefore
	return !asked.IsZero() && time.Since(asked) < w.longestLook()
}

// leads takes note of the process that has written the leader election's lease. One that releases it still leads until
// another one does.
func (w *World) leads(r *request) {
	var lease coordinationv1.Lease
	written := r.status() == http.StatusOK || r.status() == http.StatusCreated
	if !written || json.Unmarshal(r.body, &lease) != nil {
		return
	}
	holder := lease.Spec.HolderIdentity
	if holder != nil && *holder != "" && w.leader != r.link.process {
		w.leader, w.leadsSince = r.link.process, time.Now()
	}
}

// checkLeader holds that nobody writes when another process leads, but for what was sent before.
func (w *World) checkLeader(r *request) {
	isWrite := r.status() == http.StatusOK && slices.Contains(operations[:writeOperations], r.operation)
	sent := time.Now().Add(-w.worst)
	if isWrite && w.leader != nil && w.leader != r.link.process && sent.After(w.leadsSince) {
		w.violated("only the leader writes", "%s of %s by %s: %s leads since %s", r.operation, r.target,
			r.link.process.name, w.leader.name, w.leadsSince.Sub(w.scheduler.start))
	}
}

// versions returns the versions of an object of the last time, with the one before.
func (t *truth) versions(object string, last time.Duration) []*v1alpha1.Trail {
	since := time.Now().Add(-last)
	var recent []*v1alpha1.Trail
	for _, version := range slices.Backward(t.w.versions[object]) {
		recent = append(recent, version.trail)
		if version.from.Before(since) {
			break
		}
	}
	return recent
}

// hides takes note of whether AWS tells tags.
func (t *truth) hides(r *request) {
	if r.operation == "ListTags" {
		for arn := range strings.SplitSeq(r.target, ",") {
			t.hidden[arn] = r.status() != http.StatusOK
		}
	}
}

// ownerTold returns the owner tag that a single trail has when AWS tells its tags; false when it is not asked for.
func (t *truth) ownerTold(r *request) (tag string, ok bool) {
	if r.operation != "ListTags" || r.status() != http.StatusOK {
		return "", false
	}
	for number := range slotCount {
		if s := slotOf(number); s.arn() == r.target {
			found, exists := t.w.emulator.Trail(s.accountID, regions[s.region], s.trail)
			return found.Tags[v1alpha1.OwnerTagKey], exists
		}
	}
	return "", false
}

// ownerBelieved is how old what the operator knows of a trail's owner may be when a write is sent, and a bit: 10
// seconds when it is checked, 5 more after a write of its own, and 2 from the check until the write is sent.
const ownerBelieved = 18 * time.Second

// checkOwner holds that a trail that is written to is the object's, or may be taken over by it.
func (t *truth) checkOwner(made write, recent []*v1alpha1.Trail) {
	if made.Before == nil {
		return
	}
	w, owner := t.w, t.w.owner(made.object)
	mayTake := func(tag string) bool {
		return slices.ContainsFunc(recent, func(trail *v1alpha1.Trail) bool {
			policy := trail.Spec.Adoption()
			return policy == v1alpha1.AdoptionPolicyAlways && !t.takesBack(tag, made.TrailARN) ||
				tag == "" && policy == v1alpha1.AdoptionPolicyIfUnowned
		})
	}

	wasOurs := false
	since := time.Now().Add(-ownerBelieved - w.worst - w.emulatorLag)
	tags := []string{made.Before.Tags[v1alpha1.OwnerTagKey]}
	for _, earlier := range t.writes[made.TrailARN][:len(t.writes[made.TrailARN])-1] {
		if earlier.After == nil {
			continue
		}
		tag := earlier.After.Tags[v1alpha1.OwnerTagKey]
		released := earlier.object == made.object && earlier.Operation == "RemoveTags" && tag != owner &&
			earlier.Before != nil && earlier.Before.Tags[v1alpha1.OwnerTagKey] == owner
		wasOurs = tag == owner || wasOurs && !released
		if earlier.Before != nil && earlier.Time.After(since) {
			tags = append(tags, earlier.Before.Tags[v1alpha1.OwnerTagKey])
		}
	}
	final := made.Operation == "DeleteTrail" || tags[0] != owner && made.After.Tags[v1alpha1.OwnerTagKey] == owner
	if told, ok := w.serving.link.process.owners[made.TrailARN]; final && ok && w.emulatorLag == 0 {
		tags = []string{told} // Whose it is was read right before.
	}
	for _, tag := range tags {
		if tag == owner || tag == "" && wasOurs || mayTake(tag) {
			return
		}
	}
	if made.Operation == "StartLogging" && wasOurs && t.hidden[made.TrailARN] {
		return // Nobody keeps an audit trail stopped by hiding whose it is.
	}
	w.violated("no foreign trail is written to", "%s of %s for %s, whose owner is %q", made.Operation, made.TrailARN,
		made.object, tags[0])
}

// takesBack tells whether an owner has been a Trail for a while that has the trail, and that takes it back.
func (t *truth) takesBack(owner, arn string) bool {
	name, ours := strings.CutPrefix(owner, t.w.clusterID+"/")
	if !ours || t.w.trail(name) == nil {
		return false
	}
	return !slices.ContainsFunc(t.versions(name, t.w.slack()+slowestWatch), func(trail *v1alpha1.Trail) bool {
		return trail.Spec.Adoption() != v1alpha1.AdoptionPolicyAlways || trail.Status.TrailARN != arn ||
			trail.Spec.ObserveOnly() || trail.Spec.Suspended() || trail.DeletionTimestamp != nil
	})
}

// checkTold holds that a drift is in the status before it is repaired.
func (t *truth) checkTold(made write, trail *v1alpha1.Trail) {
	w := t.w
	if made.Before == nil || w.apiTrouble || trail.Spec.Suspended() || trail.DeletionTimestamp != nil {
		return
	}
	wanted, owner := wantedBy(trail), w.owner(made.object)
	before, after := fieldsOf(made.Before, owner, tagKeys(trail)), fieldsOf(made.After, owner, tagKeys(trail))
	for field, value := range wanted {
		if before[field] == value || after[field] != value || field == fieldOwnerTag {
			continue
		}
		cause := t.causeOf(made, trail, field, value)
		if cause == nil || !t.wasSynced(made.object, trail, cause.Time) || t.justCreated(made.TrailARN, cause.Time) {
			continue
		}

		if !slices.ContainsFunc(t.drifts[trail.UID], func(d told) bool {
			return has(d.fields, field) && !d.detected.Add(2*time.Second+clocksDiffer).Before(cause.Time)
		}) {
			w.violated("a drift is told before it is repaired", "%s of %s, which %s has changed at %s", field, made.TrailARN,
				cause.PrincipalARN, cause.Time.Sub(w.scheduler.start))
		}
	}
}

// justCreated tells whether a trail was created anew so short a time before another that what further calls are to set
// was not set yet: who changes it first cannot be told from a creation that is not complete.
func (t *truth) justCreated(arn string, at time.Time) bool {
	return slices.ContainsFunc(t.writes[arn], func(w write) bool {
		return w.Before == nil && !w.Time.After(at) && at.Sub(w.Time) < t.w.longestLook()
	})
}

// causeOf returns the write by somebody else by which a field came to differ from what an object wants; nil when it was
// none.
func (t *truth) causeOf(made write, trail *v1alpha1.Trail, field, wanted string) *write {
	writes, owner := t.writes[made.TrailARN], t.w.owner(made.object)
	for i := len(writes) - 2; i >= 0; i-- {
		earlier := &writes[i]
		if earlier.Before == nil || earlier.After == nil {
			return nil // It is another trail.
		}
		before := fieldsOf(earlier.Before, owner, tagKeys(trail))[field]
		after := fieldsOf(earlier.After, owner, tagKeys(trail))[field]
		if before != wanted || after == wanted {
			continue
		}
		if earlier.object == "" && !earlier.NotApplied {
			return earlier
		}
		return nil
	}
	return nil
}

// wasSynced tells whether the operator had said of the spec as it is now that AWS holds it, before a time.
func (t *truth) wasSynced(object string, trail *v1alpha1.Trail, at time.Time) bool {
	for _, version := range slices.Backward(t.w.versions[object]) {
		if version.trail.UID != trail.UID || version.trail.Generation != trail.Generation {
			return false
		}
		if version.from.Before(at.Add(-clocksDiffer)) {
			return slices.ContainsFunc(version.trail.Status.Conditions, func(c metav1.Condition) bool {
				return c.Type == v1alpha1.ConditionSynced && c.Status == metav1.ConditionTrue &&
					c.ObservedGeneration == trail.Generation
			})
		}
	}
	return false
}

// driftsOf returns the drifts that a status tells.
func driftsOf(trail *v1alpha1.Trail) []v1alpha1.Drift {
	drifts := slices.Clone(trail.Status.EarlierDrifts)
	if trail.Status.LastDrift != nil {
		drifts = append(drifts, *trail.Status.LastDrift)
	}
	return drifts
}

// tagKeys are the keys of the tags that are the object's.
func tagKeys(trail *v1alpha1.Trail) []string {
	keys := slices.Clone(trail.Status.ManagedTagKeys)
	for _, tag := range trail.Spec.Tags {
		keys = append(keys, tag.Key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// checkStatus holds what a status says against the truth, when it has been written.
func (t *truth) checkStatus(object string, trail *v1alpha1.Trail) {
	for _, drift := range driftsOf(trail) {
		known := slices.ContainsFunc(t.drifts[trail.UID], func(d told) bool {
			return d.detected.Equal(drift.DetectedTime.Time) && slices.Equal(d.fields, drift.Fields)
		})
		if !known {
			t.drifts[trail.UID] = append(t.drifts[trail.UID], told{drift.DetectedTime.Time, drift.Fields})
			t.w.note("%s tells of a drift of %v", object, drift.Fields)
			t.checkDrift(object, trail, &drift)
		}
		if drift.Attribution == v1alpha1.DriftAttributionFound {
			t.checkActor(object, trail, &drift)
		}
	}
}

// has tells whether a field is among those of a drift.
func has(fields []string, field string) bool {
	return slices.ContainsFunc(fields, func(name string) bool { return named(name) == field })
}

// foreign returns the writes of others to an object's trail between two times by AWS's clock, which may differ.
func (t *truth) foreign(object string, trail *v1alpha1.Trail, since, until time.Time) []write {
	var found []write
	for _, made := range t.writes[t.arnOf(trail)] {
		if made.object != object && !made.Time.Before(since) && !made.Time.After(until) {
			found = append(found, made)
		}
	}
	return found
}

// arnOf returns the ARN of an object's trail, which is in the account that its identity led to when it was created.
func (t *truth) arnOf(trail *v1alpha1.Trail) string {
	s := t.w.slotOfObject(trail.Namespace + "/" + trail.Name)
	if home, known := t.w.homeOf(trail); known {
		s.accountID = home
	}
	return s.arn()
}

// checkDrift holds that a drift that is told was made by somebody.
func (t *truth) checkDrift(object string, trail *v1alpha1.Trail, drift *v1alpha1.Drift) {
	since := t.w.scheduler.start
	if drift.LastInSyncTime != nil {
		since = drift.LastInSyncTime.Add(-t.w.slack())
	}
	until := drift.DetectedTime.Add(clocksDiffer + time.Second)
	if !t.w.moved.IsZero() && time.Since(t.w.moved) < t.w.longestLook() {
		return // At AWS an access key belongs to one account for good: what is asked while ours moves is not answered truly.
	}
	for _, field := range drift.Fields {
		field = named(field)
		made := t.foreign(object, trail, t.unreportedSince(trail, field, drift, since), until)
		if !slices.ContainsFunc(made, func(m write) bool { return m.NotApplied || changes(m, field) }) &&
			!slices.ContainsFunc(t.writes[t.arnOf(trail)], func(m write) bool { return m.NotApplied && !m.Time.Before(since) }) {
			t.w.violated("each drift is told once, and none that is not", "%s of %s at %s, in sync at %s", field, object,
				drift.DetectedTime.Sub(t.w.scheduler.start), since.Sub(t.w.scheduler.start))
		}
	}
}

// unreportedSince returns from when on a drift of a field was made that is reported now: what was made before the last
// one was reported is reported already.
func (t *truth) unreportedSince(trail *v1alpha1.Trail, field string, drift *v1alpha1.Drift, since time.Time) time.Time {
	for _, earlier := range t.drifts[trail.UID] {
		told := earlier.detected.Add(-t.w.longestLook())
		if has(earlier.fields, field) && earlier.detected.Before(drift.DetectedTime.Time) && told.After(since) {
			since = told
		}
	}
	return since
}

// deletionSwallowed tells whether AWS has said of a trail that it was deleted, although it was not.
func (t *truth) deletionSwallowed(arn string) bool {
	for _, made := range slices.Backward(t.writes[arn]) {
		switch {
		case made.Before == nil:
			return false
		case made.NotApplied && made.Operation == "DeleteTrail":
			return true
		}
	}
	return false
}

// changes tells whether a write may have made a field differ.
func changes(made write, field string) bool {
	if made.Before == nil {
		return true // What was created anew differs in anything.
	}
	if made.After == nil {
		return field == fieldTrail
	}
	if field == fieldTags || field == fieldOwnerTag {
		return text(made.Before.Tags) != text(made.After.Tags)
	}
	before, after := fieldsOf(made.Before, "", nil), fieldsOf(made.After, "", nil)
	if field == fieldAggregate && before[fieldSelectors] != after[fieldSelectors] {
		return true // Without advanced selectors there is no aggregation.
	}
	return before[field] != after[field]
}

// checkActor holds that whoever is named did it.
func (t *truth) checkActor(object string, trail *v1alpha1.Trail, drift *v1alpha1.Drift) {
	since := t.w.scheduler.start
	if drift.LastInSyncTime != nil {
		since = drift.LastInSyncTime.Add(-t.w.slack())
	}
	until := drift.DetectedTime.Add(clocksDiffer + time.Second)
	foreign := t.foreign(object, trail, since, until)

	for _, made := range foreign {
		if made.PrincipalARN != drift.Actor || made.Operation != drift.EventName {
			continue
		}
		for _, other := range foreign { // The history tells whole seconds, and not every event is heard of at once.
			atOnce := other.Operation == made.Operation && other.Time.Sub(made.Time).Abs() < 2*time.Second
			// Nor does it tell that a trail that was created meanwhile was not logging yet when it was stopped.
			isNew := other.Before == nil && made.Operation == "StopLogging" && !other.Time.After(made.Time)
			if isNew ||
				atOnce && slices.ContainsFunc(drift.Fields, func(field string) bool { return did(other, named(field)) }) {
				return
			}
		}
	}
	t.w.violated("whoever is named did it", "%s is named for %s of %s at %s", drift.Actor, drift.EventName, object,
		drift.DetectedTime.Sub(t.w.scheduler.start))
}

// did tells whether a write set a field that differs. One that sets what another one has set before did it, too; only
// logging cannot be stopped twice.
func did(made write, field string) bool {
	switch {
	case !slices.Contains(setBy(field), made.Operation):
		return false
	case changes(made, field):
		return true
	case field == fieldLogging:
		return false
	case made.Operation == "UpdateTrail":
		for name := range made.parameters {
			if strings.EqualFold(name, field) || strings.EqualFold(name, strings.TrimSuffix(field, "ARN")+"Arn") {
				return true
			}
		}
		return false
	default:
		return true
	}
}
