package logfilevalidation

import (
	"errors"
	"time"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/digest"
	"github.com/trail-operator/trail-operator/controllers/requeue"
)

// trouble is what can be done about something that could not be verified, in the order in which it matters when to try
// again.
type trouble int

const (
	// none: all was verified.
	none trouble = iota
	// lasting trouble ends some day or never: the object is archived, or no digest was delivered.
	lasting
	// passing trouble ends by itself, as a rule within seconds: AWS throttles, or does not answer.
	passing
	// repairable trouble ends when somebody repairs it: a permission is missing, or the trail.
	repairable
)

const (
	// hideFaults is how long passing trouble is retried before the status shows it.
	hideFaults = time.Minute
	// giveUp is how long what cannot be verified in a range is retried before it is passed.
	giveUp = 30 * time.Minute
	// slowRetry is how often lasting trouble in a range is retried.
	slowRetry = 5 * time.Minute
)

// troubleOf classifies why a validation failed.
func troubleOf(err error) trouble {
	if err == nil {
		return none
	}
	if unavailable, ok := errors.AsType[*digest.UnavailableError](err); ok {
		if unavailable.Transient {
			return passing
		}
		return troubleOfReason(unavailable.Reason)
	}
	if _, ok := errors.AsType[*Refusal](err); ok {
		return repairable
	}
	if _, ok := errors.AsType[*awsidentity.AccessError](err); ok {
		return repairable
	}
	if awsError, ok := errors.AsType[*cloudtrail.Error](err); ok && awsError.Class != cloudtrail.Transient {
		return repairable
	}
	return passing
}

// troubleOfReason classifies the reason of what is not verifiable.
func troubleOfReason(reason string) trouble {
	switch reason {
	case digest.ReasonArchived, digest.ReasonKeyUnknown, digest.ReasonOverdue, digest.ReasonTooLarge:
		return lasting
	}
	switch outcome := cloudtrail.Outcome(reason); {
	case outcome == "throttled", outcome == "failed" && isCode(reason), reason == v1alpha1.ReasonRetrying:
		return passing
	default:
		return repairable
	}
}

// isCode tells whether a reason is a code of AWS that is known.
func isCode(reason string) bool { return cloudtrail.KnownCode(reason) != "Other" }

// retryAfter returns when to validate again. The bounds of an interval are those of the spec; a range has none.
func retryAfter(t trouble, lasted, interval time.Duration) time.Duration {
	switch {
	case t == none, t == lasting && interval > 0:
		return interval
	case t == lasting:
		return slowRetry
	case interval > 0:
		return min(requeue.AfterRefusal(lasted), interval)
	default:
		return requeue.AfterRefusal(lasted)
	}
}
