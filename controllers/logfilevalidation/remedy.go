package logfilevalidation

import (
	"fmt"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/digest"
)

// remedyOf says what to do about something that could not be verified, "" if its message does.
func remedyOf(v *v1alpha1.LogFileValidation, reason string) string {
	switch reason {
	case digest.ReasonArchived:
		return "restore the object from its archive tier and create another LogFileValidation, " +
			"or move spec.startTime behind it"
	case digest.ReasonKeyUnknown:
		return fmt.Sprintf(
			"check that the region is enabled for the account of AWSIdentity %q: each region has public keys of "+
				"its own",
			v.IdentityName(),
		)
	case digest.ReasonOverdue:
		return "check that the trail logs, that its account is still in the organization and its region enabled, " +
			"and let the AWSIdentity call cloudtrail:GetTrailStatus, which says whether a digest was delivered"
	case digest.ReasonTooLarge:
		return "look at the object: CloudTrail writes none of this size"
	default:
		return ""
	}
}
