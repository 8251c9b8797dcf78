package accountcoverage

import (
	"hash/fnv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

const (
	// interval is how often an account is assessed that nothing is heard of: foreign trails change behind our back. Each
	// account is assessed up to drift earlier, so that those that began together do not stay together.
	interval, drift = time.Hour, 5 * time.Minute
	// unknownInterval is how often it is assessed while it is not known whether it is recorded: people wait for what they
	// have repaired to show.
	unknownInterval = 10 * time.Minute
	// believed is how long an assessment is believed that cannot be made anew.
	believed = 2*interval + startSpread
	// settle is how long a change of a Trail is left alone: others follow as a rule, and CloudTrail's reads lag behind.
	settle = 10 * time.Second
	// pause is the time between two assessments of an account at least, whatever changes: a Trail that turns back and
	// forth must not take the rate limit of its account.
	pause = time.Minute
	// startSpread is the time over which the accounts are spread that are overdue when the process starts.
	startSpread = 5 * time.Minute
)

// dueAt returns when an identity is to be assessed.
func (r *Reconciler) dueAt(identity *v1alpha1.AWSIdentity, known *record) time.Time {
	recorded := meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionRecorded)
	if known.requested(identity) || recorded == nil || recorded.ObservedGeneration != identity.Generation {
		return time.Time{}
	}

	// Another process may have assessed it: the status tells.
	last := known.assessed
	if c := identity.Status.Coverage; c != nil {
		last = later(last, c.AssessedTime.Time)
	}
	// Not all at once where a process has started after a while.
	due := later(last.Add(interval-share(drift, identity)), r.started.Add(share(startSpread, identity)))
	if recorded.Status == metav1.ConditionUnknown {
		due = last.Add(unknownInterval)
	}
	if changed := r.memory.changedAt(identity.Name); !changed.IsZero() {
		due = earlier(due, later(changed.Add(settle), last.Add(pause)))
	}
	return due
}

// isBelieved tells whether what a status says is still believed when an account cannot be assessed anew.
func isBelieved(identity *v1alpha1.AWSIdentity, now time.Time) bool {
	recorded := meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionRecorded)
	assessed := identity.Status.Coverage
	return recorded != nil && recorded.ObservedGeneration == identity.Generation && assessed != nil &&
		now.Sub(assessed.AssessedTime.Time) < believed
}

// share returns a part of a time that is an identity's own.
func share(of time.Duration, identity *v1alpha1.AWSIdentity) time.Duration {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(identity.UID))
	return time.Duration(float64(of) * float64(hash.Sum32()) / (1 << 32))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
