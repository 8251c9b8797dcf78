package trail

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// That AWS accepts a change does not say that it shows it: its reads lag behind, and some values it keeps in another
// form or not at all. What was just written is not written again before reads have had the time to show it, and what
// AWS does not keep is not written at every look.

const (
	// settles is how long AWS may take to show what it has accepted.
	settles = 15 * time.Second
	// notKeptAfter is how many writes in a row, after each of which a read at once does not show the value, show that AWS
	// does not keep it. Whoever changes it back would have to be as quick as that each time.
	notKeptAfter = 2
	// rewriteFirst and rewriteLast bound the wait before a value that AWS does not keep is written again, which doubles.
	rewriteFirst = 2 * time.Minute
	rewriteLast  = 10 * time.Minute
)

// writtenField is a field that was set just now, or was not seen to be kept since.
type writtenField struct {
	// wanted is what it was set to, and before what AWS held then; between is what it held between two calls that set the
	// field, "" where one call did.
	wanted, before, between string

	at time.Time
	// times is how often in a row it was set to that and a read right after it did not show it.
	times int
}

// until returns when a value that AWS does not keep is written again.
func (w *writtenField) until() time.Time {
	return w.at.Add(min(rewriteFirst<<min(w.times-notKeptAfter, 10), rewriteLast))
}

// resting are the differences that are not worth a write now.
type resting struct {
	// settling are those that AWS may just not show to be ended yet, and notKept those that it never ends.
	settling, notKept []difference
}

// has tells whether a difference rests.
func (r *resting) has(d difference) bool {
	return isAmong(r.settling, d.number) || isAmong(r.notKept, d.number)
}

// without returns the differences that do not rest.
func (r *resting) without(differences []difference) []difference {
	return slices.DeleteFunc(slices.Clone(differences), r.has)
}

// all tells whether all of the differences rest.
func (r *resting) all(differences []difference) bool { return len(r.without(differences)) == 0 }

// recentlyCreated tells whether the trail may have been created so short a time ago that reads do not show it yet.
func recentlyCreated(trail *v1alpha1.Trail, record *record, now time.Time) bool {
	created := latest(record.created, v1alpha1.TimeOf(trail.Status.StartLoggingTime))
	return now.Sub(latest(created, madeSync(trail))) < settles
}

// madeSync returns when AWS was last made to hold what the spec says, as far as the status tells.
func madeSync(trail *v1alpha1.Trail) time.Time {
	var made time.Time
	if drift := trail.Status.LastDrift; drift != nil {
		made = v1alpha1.TimeOf(drift.RepairedTime)
	}
	synced := meta.FindStatusCondition(trail.Status.Conditions, v1alpha1.ConditionSynced)
	if synced != nil && synced.Status == metav1.ConditionTrue {
		made = latest(made, synced.LastTransitionTime.Time)
	}
	return made
}

// mayBeOlder tells whether a difference may be read of AWS as it was before another process wrote to it, which had
// written right before this one began: nothing but the status tells of that.
func (r *record) mayBeOlder(t target, o *observation, d difference, now time.Time) bool {
	made := madeSync(t.Trail)
	if d.field.name == fieldLogging && loggingChanged(t.Trail, o).After(made.Add(-clockSkew)) {
		return false // Somebody has stopped it since.
	}
	return r.inSync[d.number] == 0 && now.Sub(made) < settles && digestsOf(&t.Status).synced(d.number, d.wanted)
}

// rest tells which differences are not worth a write now. It counts when AWS was asked, and not when it has answered.
func (w *work) rest(differences []difference) resting {
	return w.record.rest(w.target, w.observed, differences, w.record.calls.Since())
}

// rest tells which differences are not worth a write, of what was read at a time.
func (r *record) rest(t target, o *observation, differences []difference, now time.Time) resting {
	var resting resting
	for _, d := range differences {
		w, ok := r.written[d.number]
		ineffective := ok && w.isIneffective(t, o, d)
		switch {
		case d.field.name == fieldTrail && t.Status.TrailARN != "" && recentlyCreated(t.Trail, r, now),
			ineffective && now.Sub(w.at) < settles,
			r.mayBeOlder(t, o, d, now):
			resting.settling = append(resting.settling, d)
		case ineffective && w.times >= notKeptAfter && mayRest(d) && now.Before(w.until()) && !requested(t.Trail):
			resting.notKept = append(resting.notKept, d)
		}
	}
	return resting
}

// mayRest tells whether a value that AWS does not keep need not be written at every look. A trail that is stopped is
// always started.
func mayRest(d difference) bool { return d.field.name != fieldLogging && d.field.name != fieldTrail }

// isIneffective tells whether AWS holds what it held before a write of just what the spec says, as far as is known by
// nobody's doing.
func (w *writtenField) isIneffective(t target, o *observation, d difference) bool {
	if d.field.name == fieldLogging && loggingChanged(t.Trail, o).After(w.at.Add(-clockSkew)) {
		return false // Somebody has stopped it since.
	}
	return w.wanted == d.wanted && (w.before == d.found || w.between != "" && w.between == d.found)
}

// wasWritten tells whether a field was set to what the spec says and was not seen to be kept since.
func (r *record) wasWritten(d difference) bool {
	w, ok := r.written[d.number]
	return ok && w.wanted == d.wanted
}

// verify reads anew what was set to no effect before: a value that AWS keeps was changed by somebody, and one that it
// does not keep is not worth more writes.
func (w *work) verify(ctx context.Context, done []step) (err error) {
	o := w.observed
	for _, s := range done {
		if !slices.ContainsFunc(s.sets, w.record.wasWritten) {
			continue
		}

		arn := o.trail.ARN
		switch s.operation {
		case updateTrail:
			settings, err := read(w.region.Settings(ctx, arn))
			if err != nil {
				return err
			}
			if settings.err == nil {
				o.trail.Settings = settings.value
			}
		case putEventSelectors:
			o.selectors, err = read(w.region.Selectors(ctx, arn))
		case putInsightSelectors:
			o.insights, err = read(w.region.Insights(ctx, arn))
		case putEventConfiguration:
			o.aggregations, err = read(w.region.Aggregations(ctx, arn))
		case addTags, removeTags:
			tags, err := read(w.region.TagsNow(ctx, arn))
			if err != nil {
				return err
			}
			o.trail.Tags, o.trail.TagsErr = tags.value, tags.err
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// judge tells, of what was written and does not show, what AWS does not keep, and that it may just not show the rest
// yet.
func (o *outcome) judge(r *record) {
	for _, s := range o.done() {
		for _, d := range s.sets {
			if !isAmong(o.open, d.number) {
				continue
			}
			if was := r.written[d.number]; was.wanted == d.wanted && was.times+1 >= notKeptAfter && mayRest(d) {
				o.notKept = append(o.notKept, d)
			} else {
				o.settling = append(o.settling, d)
			}
		}
	}
}

// sort parts the steps of a plan into those that are worth a call now, and those that AWS has refused before, with its
// answers. It leaves out what rests, and whatever must wait for such a step.
func (r *record) sort(steps []step, t target, o *outcome) (tried []step, held []result) {
	owned := o.observed.trail != nil && wasOurs(t, o.observed.trail)
	mayStart := owned && cloudtrail.Is(o.observed.trail.TagsErr, cloudtrail.Permission)
	for _, s := range steps {
		refusal, wasRefused := r.refused[s.key()]
		switch {
		case o.state == stateOwnerUnknown && !(s.operation == startLogging && mayStart):
			continue // Nobody may keep an audit trail stopped by hiding whose it is.
		case o.resting.all(s.sets):
		case wasRefused && cloudtrail.Is(refusal, cloudtrail.FixSpec) && !requested(t.Trail):
			held = append(held, result{s, refusal})
		default:
			tried = append(tried, s)
			continue
		}
		if s.operation == createTrail || s.claims() && !owned {
			return nil, held
		}
	}
	return tried, held
}

// alone tells which settings are to be changed by a call of their own: those that rest, and those that AWS has refused.
func (r *record) alone(t target, resting resting) func(difference) bool {
	return func(d difference) bool {
		_, refused := r.refused[updateOf(t, d).key()]
		return refused || resting.has(d)
	}
}

// unconfirmed is a reconcile whose status the API server has refused, or has taken without an answer that arrived.
type unconfirmed struct {
	attempt attempt
	// statuses are the digests of those that it may have taken, the newest last: with time, the same answers of AWS make
	// another one.
	statuses [][sha256.Size]byte
	outcome  *outcome
	complete func()
}

// unwritten takes note that a status could not be written, or that nobody knows whether it was.
func (r *record) unwritten(trail *v1alpha1.Trail, o *outcome, err error, complete func()) {
	is := &unconfirmed{attempt: attemptOf(trail), outcome: o, complete: complete}
	if r.unconfirmed != nil {
		is.statuses = r.unconfirmed.statuses
	}
	if status := digestOfStatus(trail); !apierrors.IsConflict(err) && !slices.Contains(is.statuses, status) {
		is.statuses = append(is.statuses[max(0, len(is.statuses)-maxUnconfirmed+1):], status)
	}
	r.unconfirmed = is
}

// maxUnconfirmed is how many statuses of one reconcile are remembered that may have been written.
const maxUnconfirmed = 30

// digestOfStatus returns a digest of what a reconcile has written into a status, as JSON, in which times have whole
// seconds. Who made a drift is written by others meanwhile, and what is known of earlier ones goes when it is.
func digestOfStatus(trail *v1alpha1.Trail) [sha256.Size]byte {
	status := trail.Status
	status.EarlierDrifts = nil
	if last := status.LastDrift; last != nil {
		status.LastDrift = &v1alpha1.Drift{
			DetectedTime: last.DetectedTime, LastInSyncTime: last.LastInSyncTime, Fields: last.Fields,
			LoggingChangedTime: last.LoggingChangedTime, RepairedTime: last.RepairedTime,
		}
	}
	return sha256.Sum256([]byte(asJSON(status)))
}

// begin settles what has become of the reconcile before, if that is not certain. It is complete if the object has its
// status. Otherwise the same is tried again with the same answers of AWS; of something else that is worked on now, what
// was done in AWS is learned, but not what was in sync: a drift may not have been told yet.
func (r *record) begin(trail *v1alpha1.Trail, now time.Time) {
	if r.completed(trail) {
		return
	}
	if last := r.unconfirmed; last != nil && last.attempt != attemptOf(trail) {
		last.outcome.inSync = nil
		r.learn(last.outcome, now)
		r.unconfirmed = nil
	}
}

// completed completes the reconcile before if the object has its status, and tells whether that is so.
func (r *record) completed(trail *v1alpha1.Trail) bool {
	last := r.unconfirmed
	if last == nil || !slices.Contains(last.statuses, digestOfStatus(trail)) {
		return false
	}
	last.complete()
	r.unconfirmed = nil
	return true
}

// learn takes from an outcome what is to be known at the next one.
func (r *record) learn(o *outcome, now time.Time) {
	r.refused = nil
	for _, result := range o.results {
		if isRefused(result.err) {
			if r.refused == nil {
				r.refused = map[string]error{}
			}
			r.refused[result.key()] = result.err
		}
	}
	if o.inSync != nil {
		r.inSync = o.inSync
	}
	if o.observed == nil {
		return
	}

	maps.DeleteFunc(r.written, func(number int, w writtenField) bool {
		kept := fields[number].unknown(o.observed) == nil && !isAmong(o.found, number)
		return kept && now.Sub(w.at) >= settles // Another read may show again what was before.
	})
	for number, is := range r.writes(o.done()) {
		r.learnWritten(number, is, isAmong(o.open, number))
	}
}

// writes returns the fields that steps have set, by their number. Tags may take two calls, which set the field once.
func (r *record) writes(steps []step) map[int]writtenField {
	set := map[int]writtenField{}
	for _, s := range steps {
		for _, d := range s.sets {
			is := set[d.number]
			is.wanted, is.before, is.at = d.wanted, d.found, latest(is.at, r.calls.SentAt(s.operation))
			if s.operation == removeTags {
				is.between = withoutTags(d.found, s.keys)
			}
			set[d.number] = is
		}
	}
	return set
}

// sent returns the fields that the reconcile under way has set so far, or may have.
func (r *record) sent() map[int]writtenField {
	if r.underWay == nil {
		return nil
	}
	var steps []step
	for _, result := range r.underWay.results {
		unanswered := cloudtrail.PendingOf(result.err) != nil && !r.calls.SentAt(result.operation).IsZero()
		if result.err == nil || unanswered {
			steps = append(steps, result.step)
		}
	}
	return r.writes(steps)
}

// abandon takes note of what was set by a reconcile that is not gone on with.
func (r *record) abandon(set map[int]writtenField) {
	for number, is := range set {
		if was := r.written[number]; was.wanted == is.wanted {
			is.times = was.times
		}
		r.noteWritten(number, is)
	}
	r.underWay = nil
}

// mayBeFormer tells whether what was read may be the trail that was there before, when a trail was created anew by a
// call whose answer was lost: reads may lag behind that.
func (r *record) mayBeFormer(o *outcome, now time.Time) bool {
	creates := func(s step) bool { return s.operation == createTrail }
	return r.uncreated && !slices.ContainsFunc(o.done(), creates) && now.Sub(r.created) < settles
}

// withoutTags returns tags as a text without those of some keys.
func withoutTags(text string, keys []string) string {
	var tags map[string]string
	if json.Unmarshal([]byte(text), &tags) != nil {
		return ""
	}
	for _, key := range keys {
		delete(tags, key)
	}
	return asJSON(tags)
}

// learnWritten notes that a field was set. One that was set before to no effect and is as it was set now is kept by
// AWS.
func (r *record) learnWritten(number int, is writtenField, open bool) {
	was, ok := r.written[number]
	again := ok && was.wanted == is.wanted
	if again && !open {
		delete(r.written, number)
		return
	}
	if again {
		is.times = was.times + 1
	}
	r.noteWritten(number, is)
}

func (r *record) noteWritten(number int, is writtenField) {
	if r.written == nil {
		r.written = map[int]writtenField{}
	}
	r.written[number] = is
}
