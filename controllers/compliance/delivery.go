package compliance

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/coverage"
	"github.com/trail-operator/trail-operator/controllers/text"
)

const (
	// digestsWithin is how old the latest digest file may be. CloudTrail delivers one every hour, even if nothing
	// happened:
	// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-intro.html
	digestsWithin = 3 * time.Hour
	// eventsWithin is how old the latest delivery of events may be, to the log group or to the bucket. Scanners ask for
	// the same of the log group.
	eventsWithin = 24 * time.Hour
)

// judgeLogging: spec.logging, which defaults to true, and the condition Logging, which is CloudTrail's
// status.isLogging.
func judgeLogging(s *subject) finding {
	logging := s.condition(v1alpha1.ConditionLogging)
	switch {
	case !s.trail.Spec.LoggingDesired() && !s.observedToLog():
		return fail("the trail is not to record events: remove spec.logging: false")
	case !s.live:
		return pass("the trail is to record events")
	case logging == nil && s.condition(v1alpha1.ConditionSynced) == nil:
		return skip("the trail has not been read yet")
	case logging == nil:
		return fail("no trail in AWS belongs to this Trail, so nothing is recorded: see the condition Ready")
	case logging.Status == metav1.ConditionTrue:
		return pass("CloudTrail is recording events")
	case logging.Status == metav1.ConditionFalse:
		return fail("CloudTrail records no events: see the condition Logging and status.lastDrift, " +
			"and start it if spec.managementPolicy is Observe")
	default:
		return skip("CloudTrail could not be asked whether it records events: see the condition Logging")
	}
}

// observedToLog tells whether a trail that the operator does not write to is logging, whatever the spec says.
func (s *subject) observedToLog() bool {
	return s.live && s.trail.Spec.ObserveOnly() && s.isLogging()
}

func (s *subject) isLogging() bool {
	logging := s.condition(v1alpha1.ConditionLogging)
	return logging != nil && logging.Status == metav1.ConditionTrue
}

// judgeValidation: spec.enableLogFileValidation, which defaults to false, and that digest files are delivered.
func judgeValidation(s *subject) finding {
	f := s.judgeSetting(setting{
		names: []string{"enableLogFileValidation"}, asked: s.trail.Spec.LogFileValidationDesired(), isRight: isTrue,
		right: "log file validation is turned on",
		wrong: "log files can be changed without a trace: set spec.enableLogFileValidation: true",
	})
	if f.outcome != Pass || !s.live {
		return f
	}
	return s.judgeChannel(channel{
		what: "digest files", within: digestsWithin, field: "status.latestDigestDeliveryError",
		code: s.trail.Status.LatestDigestDeliveryError, last: s.trail.Status.LatestDigestDeliveryTime,
		restsOn: onAWS,
	})
}

// judgeCloudWatchLogs: both ARNs of the spec, and that events are delivered to the log group.
func judgeCloudWatchLogs(s *subject) finding {
	spec, status := &s.trail.Spec, &s.trail.Status
	f := s.judgeSetting(setting{
		names:   []string{"cloudWatchLogsLogGroupARN", "cloudWatchLogsRoleARN"},
		asked:   spec.CloudWatchLogsLogGroupARN != "" && spec.CloudWatchLogsRoleARN != "",
		isRight: isSet,
		right:   "events are also sent to CloudWatch Logs",
		wrong: "events are not sent to CloudWatch Logs: " +
			"set spec.cloudWatchLogsLogGroupARN and spec.cloudWatchLogsRoleARN",
	})
	if f.outcome != Pass || !s.live {
		return f
	}
	return s.judgeChannel(channel{
		what: "events for the log group", within: eventsWithin, field: "status.latestCloudWatchLogsDeliveryError",
		code: status.LatestCloudWatchLogsDeliveryError, last: status.LatestCloudWatchLogsDeliveryTime,
		restsOn: onAWS,
	})
}

// channel is a way on which CloudTrail delivers.
type channel struct {
	// what is delivered, in the plural.
	what string
	// within is how old the latest delivery may be.
	within time.Duration
	// field has the code of the error of the latest delivery, if there was one.
	field, code string
	last        *metav1.Time
	// restsOn is what must be known to expect a delivery.
	restsOn basis
}

// judgeChannel tells whether CloudTrail delivers. It can be expected to as soon as the trail has been logging for as
// long as a delivery may take.
func (s *subject) judgeChannel(c channel) finding {
	reason := s.unproven(c.restsOn)
	switch {
	case c.code != "":
		return fail(c.what + " are not delivered (" + c.field + ": " + text.Printable(c.code) +
			"): see the condition Delivering")
	case reason != "":
		return skip(reason)
	case s.isRecent(c.last, c.within):
		return pass(c.what + " are delivered")
	case !s.isLogging():
		return skip(c.what + " are not delivered while the trail is not logging: see the condition Logging")
	case s.isRecent(s.trail.Status.StartLoggingTime, c.within):
		return skip(c.what + " are not due yet: logging was started less than " + inHours(c.within) + " ago")
	case c.last.IsZero():
		return fail("no " + c.what + " have been delivered yet: if they were turned on more than " + inHours(c.within) +
			" ago, see the condition Delivering")
	default:
		return fail("no " + c.what + " have been delivered since " + c.last.UTC().Format(time.RFC3339) +
			": see the condition Delivering")
	}
}

// judgeDelivery: no error of the latest delivery to the bucket, and something was delivered lately. Without events
// there are no log files, but digest files come every hour. A trail that records all management events records at least
// the operator's own.
func judgeDelivery(s *subject) finding {
	status := &s.trail.Status
	switch {
	case !s.live:
		return skip("whether log files reach the bucket shows in the status, once the Trail is applied")
	case status.LatestDeliveryError != "":
		return fail("log files do not reach the bucket (status.latestDeliveryError: " +
			text.Printable(status.LatestDeliveryError) + "): see the condition Delivering")
	case s.trail.Spec.LogFileValidationDesired() || s.managementEvents().Complete():
		return s.judgeChannel(channel{
			what: "log files", within: eventsWithin, field: "status.latestDeliveryError",
			last: later(status.LatestDeliveryTime, status.LatestDigestDeliveryTime), restsOn: onReport,
		})
	case s.isRecent(status.LatestDeliveryTime, eventsWithin):
		return pass("log files are delivered")
	default:
		return skip("no log files have been delivered within " + inHours(eventsWithin) + ", which may be because nothing " +
			"happened: to tell, set spec.enableLogFileValidation: true")
	}
}

func (s *subject) managementEvents() coverage.Events {
	return coverage.ManagementEvents(s.trail.Spec.EventSelectors, s.trail.Spec.AdvancedEventSelectors)
}

// isRecent tells whether a time is known and is not longer ago than that.
func (s *subject) isRecent(t *metav1.Time, within time.Duration) bool {
	return !t.IsZero() && s.now.Sub(t.Time) < within
}

func later(a, b *metav1.Time) *metav1.Time {
	if a.IsZero() || !b.IsZero() && a.Before(b) {
		return b
	}
	return a
}

func inHours(d time.Duration) string { return fmt.Sprintf("%.0f hours", d.Hours()) }
