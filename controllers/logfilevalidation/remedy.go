package logfilevalidation

import (
	"cmp"
	"fmt"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/digest"
)

// remedyOf says what to do about something that could not be verified, "" if its message does or nothing helps.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func remedyOf(v *v1alpha1.LogFileValidation, reason string) string {
	bucket := cmp.Or(v.Status.S3BucketName, v.Spec.S3BucketName, "of the trail")
	switch reason {
	case digest.ReasonArchived:
		return "restore the objects from their archive tier, or move spec.startTime behind them"
	case digest.ReasonKeyUnknown:
		return fmt.Sprintf("enable the region for the account of AWSIdentity %q, whose CloudTrail has the public keys of the "+
			"region", v.IdentityName())
	case digest.ReasonOverdue:
		return "check whether the trail logs, whether its account is still in the organization and its region enabled, and " +
			"let the AWSIdentity call cloudtrail:GetTrailStatus, which says whether a digest was delivered"
	case digest.ReasonTooLarge:
		return "look at the object: CloudTrail writes none of this size"
	case "NoSuchBucket":
		return fmt.Sprintf("the bucket %s is gone: recreate it, or correct the bucket in the spec", bucket)
	case "KMS.DisabledException", "KMS.InvalidStateException", "KMS.KMSInvalidStateException", "KMS.NotFoundException":
		return "enable the KMS key that the bucket's objects are encrypted with"
	}
	if cloudtrail.Outcome(reason) == "denied" {
		return fmt.Sprintf("AWSIdentity %q needs s3:ListBucket on the bucket %s, s3:GetObject on its objects, kms:Decrypt on "+
			"their key, and cloudtrail:ListPublicKeys; in another account, the policies of bucket and key must allow it, too",
			v.IdentityName(), bucket)
	}
	return ""
}
