package coverage

import (
	"time"

	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// pulse is how long a trail with log file validation may deliver nothing. CloudTrail delivers a digest every hour, also
// of an hour without events, and is late at times.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-intro.html
const pulse = 6 * time.Hour

// FaultNothingDelivered is the fault of a trail that reports no error and has not even delivered digests for hours.
const FaultNothingDelivered = "NothingDelivered"

// DeliveryFault returns why the log files of a trail do not reach its bucket: the error of the latest delivery, or
// FaultNothingDelivered; "" if they do.
//
// The time of the latest delivery alone says nothing, as a quiet account has no events to deliver. Digests are the
// pulse where log file validation is on: neither a digest nor a log file for six hours while the trail logs is a fault.
// Errors of digests, notifications and CloudWatch Logs keep no log file from its bucket.
func DeliveryFault(status cloudtrail.Status, validation bool, now time.Time) string {
	if status.LatestDeliveryError != "" {
		return status.LatestDeliveryError
	}
	if !validation || !status.IsLogging || status.LatestDigestDeliveryTime.IsZero() {
		return ""
	}
	for _, sign := range []time.Time{
		status.LatestDigestDeliveryTime, status.LatestDeliveryTime, status.StartLoggingTime,
	} {
		if now.Sub(sign) <= pulse {
			return ""
		}
	}
	return FaultNothingDelivered
}
