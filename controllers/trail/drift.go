package trail

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// maxEarlierDrifts is how many drifts before the last one are remembered until it is certain who made them: with
// somebody who changes a trail again and again, before the history tells.
const maxEarlierDrifts = 5

// readLag is how far AWS's answers may lie behind what was changed: its reads are eventually consistent.
const readLag = 30 * time.Second

// recordBefore writes into the status what a crash must not lose before AWS is written to: a new drift, and that AWS
// does not hold any more what a changed spec wanted before. That the API server cannot be written to keeps no drift
// from being repaired; it is told afterwards then.
func (r *Reconciler) recordBefore(ctx context.Context, w *work, o *outcome, steps []step) error {
	before := w.Status.DeepCopy()
	drifted := false
	note := func() bool {
		before = w.Status.DeepCopy()
		synced := digestsOf(&w.Status)
		forgot := synced.forgetChanged(w.target, steps)
		if forgot {
			w.Status.SyncedDigest = synced.String()
		}
		if !noteDrift(w.Trail, w.record, o, r.Now()) {
			return forgot
		}
		drifted = true
		w.Status.Differences = shownOf(&w.Status, o.observed, o.shownDifferences(w.Trail))
		if len(of(o.drift, fieldTrail)) > 0 {
			forgetUncreated(w.Trail)
		}
		return true
	}
	if !note() {
		return nil
	}

	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		err := r.writeStatus(ctx, before, w.Trail)
		if !apierrors.IsConflict(err) {
			return err
		}
		// Somebody else has written the object. If it wants what it wanted, the drift is written into it as it is now.
		if reread := r.reread(ctx, w.Trail); reread != nil {
			return reread
		}
		if w.record.completed(w.Trail) {
			return errChanged // By us: the drift is told and repaired already.
		}
		note()
		return err
	})
	switch {
	case err == nil && drifted:
		r.emitDrift(w.Trail)
		return nil
	case err == nil, len(o.drift) == 0, errors.Is(err, errChanged), errors.Is(err, cloudtrail.ErrNotLeading),
		apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return err
	default:
		ctrl.LoggerFrom(ctx).Error(err, "a drift is repaired before it is recorded")
		w.Status = *before
		return nil
	}
}

// forgetUncreated forgets what AWS held of a trail that is created anew: what further calls have to set is not
// somebody's next change.
func forgetUncreated(trail *v1alpha1.Trail) {
	synced := digestsOf(&trail.Status)
	synced.forgetUncreated()
	trail.Status.SyncedDigest = synced.String()
}

// reread reads the object anew; it must want what it wanted.
func (r *Reconciler) reread(ctx context.Context, trail *v1alpha1.Trail) error {
	live := &v1alpha1.Trail{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(trail), live); err != nil {
		return err
	}
	if live.UID != trail.UID || attemptOf(live) != attemptOf(trail) {
		return errChanged
	}
	trail.ObjectMeta, trail.Status = live.ObjectMeta, live.Status
	return nil
}

// noteDrift notes the differences that somebody made in AWS, if some of them are new, and tells whether they are.
func noteDrift(trail *v1alpha1.Trail, record *record, o *outcome, now time.Time) bool {
	status := &trail.Status
	news := slices.DeleteFunc(slices.Clone(o.drift), func(d difference) bool {
		return slices.Contains(status.Differences, d.shown()) && !(d.field.name == fieldLogging && o.changedAgain(trail))
	})
	if len(news) == 0 {
		return false
	}

	drift := &v1alpha1.Drift{
		DetectedTime:   metav1.NewTime(now.Truncate(time.Second)),
		LastInSyncTime: v1alpha1.TimeOrNil(record.lastInSync(status, news, now)),
		Fields:         fieldsOf([]step{{sets: news}}),
		Attribution:    v1alpha1.DriftAttributionPending,
	}
	if len(of(news, fieldLogging)) > 0 {
		drift.LoggingChangedTime = v1alpha1.TimeOrNil(o.loggingChanged)
	}
	if last := status.LastDrift; last != nil && isUncertain(last) {
		earlier := append([]v1alpha1.Drift{*last}, status.EarlierDrifts...)
		status.EarlierDrifts = earlier[:min(len(earlier), maxEarlierDrifts)]
	}
	status.LastDrift = drift
	return true
}

// loggingChanged returns when logging was stopped against the spec, or started, as CloudTrail reports it.
func loggingChanged(trail *v1alpha1.Trail, o *observation) time.Time {
	if trail.Spec.LoggingDesired() {
		return o.status.value.StopLoggingTime
	}
	return o.status.value.StartLoggingTime
}

// changedAgain tells whether logging was changed once more since that was told: CloudTrail reports that it was as the
// spec says in between. A repair whose answer was lost may have ended what was told. What is told is in whole seconds.
func (o *outcome) changedAgain(trail *v1alpha1.Trail) bool {
	restored := o.observed.status.value.StartLoggingTime
	if !trail.Spec.LoggingDesired() {
		restored = o.observed.status.value.StopLoggingTime
	}
	last := trail.Status.LastDrift
	return last != nil && last.LoggingChangedTime != nil && restored.After(last.LoggingChangedTime.Add(time.Second)) &&
		o.loggingChanged.After(restored)
}

// isUncertain tells whether it is still to be found out who made a drift.
func isUncertain(drift *v1alpha1.Drift) bool {
	return drift.Attribution == v1alpha1.DriftAttributionPending ||
		drift.Attribution == v1alpha1.DriftAttributionProvisional
}

// noteRepaired notes which drifts AWS does not show any more.
func noteRepaired(status *v1alpha1.TrailStatus, now time.Time) {
	repaired := func(drift *v1alpha1.Drift) {
		open := slices.ContainsFunc(status.Differences,
			func(d v1alpha1.Difference) bool { return slices.Contains(drift.Fields, d.Field) })
		if drift.RepairedTime == nil && !open {
			drift.RepairedTime = v1alpha1.TimeOrNil(now)
		}
	}
	if status.LastDrift != nil {
		repaired(status.LastDrift)
	}
	for i := range status.EarlierDrifts {
		repaired(&status.EarlierDrifts[i])
	}
}

// shownOf returns the differences as the status has them. Of fields of which it could not be read what AWS holds, those
// stay that were there; of those that are not ours to read, none.
func shownOf(status *v1alpha1.TrailStatus, o *observation, differences []difference) []v1alpha1.Difference {
	var shown []v1alpha1.Difference
	for _, d := range differences {
		shown = append(shown, d.shown())
	}
	for _, was := range status.Differences {
		unknown := (o.trail != nil || o.settingsErr != nil) && slices.ContainsFunc(fields, func(f field) bool {
			err := f.unknown(o)
			return f.isNamed(was.Field) && err != nil && !errors.Is(err, errNotRead)
		})
		if unknown && !slices.ContainsFunc(shown, func(d v1alpha1.Difference) bool { return d.Field == was.Field }) {
			shown = append(shown, was)
		}
	}
	slices.SortFunc(shown, func(a, b v1alpha1.Difference) int { return strings.Compare(a.Field, b.Field) })
	return shown
}

// lastInSync returns when all of the fields were last known to be as the spec says; zero when they never were. The
// status tells it where this process does not know.
func (r *record) lastInSync(status *v1alpha1.TrailStatus, differences []difference, now time.Time) time.Time {
	last := now
	for _, d := range differences {
		at := time.Unix(r.inSync[d.number], 0)
		if r.inSync[d.number] == 0 {
			at = v1alpha1.TimeOf(status.LastSyncedTime)
		}
		if at.Before(last) {
			last = at
		}
	}
	return last
}

// inSyncAfter returns when each field was last known to be as the spec says, after an outcome: at a time that nothing
// is older than that was read, and when it was set since.
func (r *record) inSyncAfter(o *outcome, since time.Time) []int64 {
	inSync := slices.Clone(r.inSync)
	for number, f := range fields {
		if f.unknown(o.observed) != nil || isAmong(o.open, number) {
			continue
		}
		at := since.Add(-readLag)
		for _, s := range o.done() {
			if s.writes(number) {
				at = latest(at, r.calls.SentAt(s.operation))
			}
		}
		inSync[number] = max(inSync[number], at.Unix())
	}
	return inSync
}

// lastSynced returns when all fields but those that differ were last known to be as the spec says; zero when that is
// not known.
func lastSynced(inSync []int64, o *outcome) time.Time {
	var last time.Time
	for number, at := range inSync {
		switch {
		case isAmong(o.open, number), errors.Is(fields[number].unknown(o.observed), errNotRead):
		case at == 0:
			return time.Time{}
		case last.IsZero(), time.Unix(at, 0).Before(last):
			last = time.Unix(at, 0)
		}
	}
	return last
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
