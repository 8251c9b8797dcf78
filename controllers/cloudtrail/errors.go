package cloudtrail

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Class is what can be done about an error.
type Class int

const (
	// Transient errors pass by themselves: throttling, conflicts, faults of AWS, the network.
	Transient Class = iota
	// FixSpec errors need a change of the object.
	FixSpec
	// FixAWS errors need a change of something else in AWS: a bucket policy, a key, a role, an organization.
	FixAWS
	// Permission errors need a change of what the identity may do.
	Permission
	// NotFound says that the trail does not exist.
	NotFound
	// AlreadyExists says that a trail of the name exists.
	AlreadyExists
)

// String returns the name of the class.
func (c Class) String() string {
	return [...]string{"Transient", "FixSpec", "FixAWS", "Permission", "NotFound", "AlreadyExists"}[c]
}

// classes says what CloudTrail's and STS's error codes ask for. Most of them reach the SDK as generic errors,
// so the code is all there is. Codes from the error sections of the API reference,
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Operations.html, and its common errors.
var classes = map[string]Class{
	"CloudTrailARNInvalidException":              FixSpec,
	"CloudWatchLogsDeliveryUnavailableException": FixSpec,
	"InvalidEventSelectorsException":             FixSpec,
	"InvalidHomeRegionException":                 FixSpec,
	"InvalidInsightSelectorsException":           FixSpec,
	"InvalidKmsKeyIdException":                   FixSpec,
	"InvalidParameterCombinationException":       FixSpec,
	"InvalidParameterException":                  FixSpec,
	"InvalidS3BucketNameException":               FixSpec,
	"InvalidS3PrefixException":                   FixSpec,
	"InvalidSnsTopicNameException":               FixSpec,
	"InvalidTagParameterException":               FixSpec,
	"InvalidTrailNameException":                  FixSpec,
	"InvalidEventCategoryException":              FixSpec,
	"ResourceTypeNotSupportedException":          FixSpec,
	"TrailNotProvidedException":                  FixSpec,
	"TagsLimitExceededException":                 FixSpec,
	"UnsupportedOperationException":              FixSpec,
	"ValidationException":                        FixSpec,
	"InvalidLookupAttributesException":           FixSpec,
	"InvalidMaxResultsException":                 FixSpec,
	"InvalidTimeRangeException":                  FixSpec,

	"CloudTrailAccessNotEnabledException":            FixAWS,
	"CloudTrailInvalidClientTokenIdException":        FixAWS,
	"InsufficientEncryptionPolicyException":          FixAWS,
	"InsufficientS3BucketPolicyException":            FixAWS,
	"InsufficientSnsTopicPolicyException":            FixAWS,
	"InvalidCloudWatchLogsLogGroupArnException":      FixAWS,
	"InvalidCloudWatchLogsRoleArnException":          FixAWS,
	"KmsException":                                   FixAWS,
	"KmsKeyDisabledException":                        FixAWS,
	"KmsKeyNotFoundException":                        FixAWS,
	"MaximumNumberOfTrailsExceededException":         FixAWS,
	"NoManagementAccountSLRExistsException":          FixAWS,
	"NotOrganizationManagementAccountException":      FixAWS,
	"NotOrganizationMasterAccountException":          FixAWS,
	"OrganizationNotInAllFeaturesModeException":      FixAWS,
	"OrganizationsNotInUseException":                 FixAWS,
	"S3BucketDoesNotExistException":                  FixAWS,
	"AccountNotFoundException":                       FixAWS,
	"AccountHasOngoingImportException":               FixAWS,
	"DelegatedAdminAccountLimitExceededException":    FixAWS,
	"CannotDelegateManagementAccountException":       FixAWS,
	"AccountRegisteredException":                     FixAWS,
	"AccountNotRegisteredException":                  FixAWS,
	"NotOrganizationDelegatedAdministratorException": FixAWS,

	"AccessDenied":          Permission,
	"AccessDeniedException": Permission,
	"AuthFailure":           Permission,
	"ExpiredToken":          Permission,
	"ExpiredTokenException": Permission,
	"IncompleteSignature":   Permission,
	"InsufficientDependencyServiceAccessPermissionException": Permission,
	"InsufficientIAMAccessPermissionException":               Permission,
	"InvalidIdentityToken":                                   Permission,
	"InvalidClientTokenId":                                   Permission,
	"InvalidSignatureException":                              Permission,
	"MissingAuthenticationToken":                             Permission,
	"MissingAuthenticationTokenException":                    Permission,
	"NotAuthorized":                                          Permission,
	"OperationNotPermittedException":                         Permission,
	"OptInRequired":                                          Permission,
	"RegionDisabledException":                                Permission,
	"SignatureDoesNotMatch":                                  Permission,
	"UnauthorizedOperation":                                  Permission,
	"UnrecognizedClientException":                            Permission,

	"InsightNotEnabledException":  NotFound,
	"ResourceNotFoundException":   NotFound,
	"TrailNotFoundException":      NotFound,
	"TrailAlreadyExistsException": AlreadyExists,

	"ConflictException":               Transient,
	"ConcurrentModificationException": Transient,
	"InternalFailure":                 Transient,
	"InternalServerError":             Transient,
	"InternalServiceError":            Transient,
	"InvalidNextTokenException":       Transient, // A page's token has expired; the next read begins anew.
	"InvalidTokenException":           Transient,
	"RequestAbortedException":         Transient,
	"RequestTimeout":                  Transient,
	"RequestTimeoutException":         Transient,
	"ServiceUnavailable":              Transient,
	"ServiceUnavailableException":     Transient,
}

// isThrottle tells whether AWS asks for fewer calls by this code. The SDK knows the codes, as it retries them.
func isThrottle(code string) bool {
	_, ok := retry.DefaultThrottleErrorCodes[code]
	return ok
}

// noCredentials is our code for a call that was not sent for want of credentials.
const noCredentials = "NoCredentials"

// Error is an error of an AWS call with its meaning. It wraps what the SDK returned.
type Error struct {
	// Operation is the AWS operation, such as CreateTrail.
	Operation string
	// Class is what can be done about it.
	Class Class
	// Code is AWS's error code, such as S3BucketDoesNotExistException, or ours for what never reached AWS: Canceled,
	// NetworkError, NoCredentials, RateLimited, RequestFailed, RequestTimeout.
	Code string
	// Message is AWS's message, without request ids: the same at every try.
	Message string
	// RetryAfter is when to try again, for a call that waits for its turn under CloudTrail's rate limit; else 0.
	RetryAfter time.Duration
	err        error
}

// codeTurn is the code of a call that waits for its turn.
const codeTurn = "RateLimited"

// Error returns operation, code and message.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %s", e.Operation, e.Code, e.Message) }

// Unwrap returns the error of the SDK.
func (e *Error) Unwrap() error { return e.err }

// notInReason are the characters that the reason of a condition must not have.
var notInReason = regexp.MustCompile(`[^A-Za-z0-9_,:]+`)

// Reason returns the code as the reason of a condition, whose characters Kubernetes limits.
func (e *Error) Reason() string {
	reason := strings.Trim(notInReason.ReplaceAllString(e.Code, "_"), "_,:0123456789")
	return cmp.Or(reason, "UnknownError")
}

// Is tells whether err is an AWS error of the class.
func Is(err error, class Class) bool {
	var e *Error
	return errors.As(err, &e) && e.Class == class
}

// meaning turns an error of the SDK into an *Error; nil stays nil.
func meaning(operation string, err error) error {
	if err == nil {
		return nil
	}
	if _, known := errors.AsType[*Error](err); known {
		return err
	}
	e := &Error{Operation: operation, err: err}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		e.Code, e.Message = api.ErrorCode(), quiet(api.ErrorMessage())
		e.Class = classOf(e.Code, err)
		return e
	}
	e.Class, e.Code, e.Message = unanswered(err)
	return e
}

// noise is what differs in a message from try to try: what other services told CloudTrail of their requests, what a
// signature should have been, and the time.
var noise = regexp.MustCompile(`(?is)\s*\((?:Service|SDK Attempt Count): [^()]*\)` +
	`|[,;]?\s*\(?\b(?:extended )?request ?id: ?[0-9a-z+/=-]+\)?` +
	`|\s*the canonical string for this request should have been.*` +
	`|\s*encoded authorization failure message: \S+`)

// times are the timestamps of messages about signatures.
var times = regexp.MustCompile(`\b[0-9]{8}T[0-9]{6}Z\b`)

// quiet returns a message without what differs from try to try: a status that changes at every try is a write at every try.
func quiet(message string) string {
	return strings.TrimSpace(times.ReplaceAllString(noise.ReplaceAllString(message, ""), "…"))
}

// classOf looks the code up. An unknown code of a 4xx answer is something that AWS added since: as it may depend on
// anything, it is shown, and retried slowly.
func classOf(code string, err error) Class {
	if class, ok := classes[code]; ok {
		return class
	}
	if isThrottle(code) {
		return Transient
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() >= http.StatusBadRequest && response.HTTPStatusCode() < http.StatusInternalServerError {
		return FixAWS
	}
	return Transient
}

// unanswered gives meaning to an error without an answer of AWS. Its texts leave out what differs from try to try, such as
// port numbers.
func unanswered(err error) (Class, string, string) {
	var netError net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return Transient, "Canceled", "the operator is shutting down"
	case isNoCredentials(err):
		return Permission, noCredentials, "no AWS credentials: give the operator's ServiceAccount an IAM role (IRSA or EKS Pod Identity), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netError) && netError.Timeout():
		return Transient, "RequestTimeout", "AWS did not answer in time"
	default:
		return unreached(err)
	}
}

// unreached gives meaning to an error of the network.
func unreached(err error) (Class, string, string) {
	var urlError *url.Error
	var opError *net.OpError
	var dnsError *net.DNSError
	var untrusted x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &dnsError):
		return Transient, "NetworkError", "no address found for " + dnsError.Name
	case errors.As(err, &untrusted):
		return Transient, "NetworkError", "the endpoint's certificate is signed by an unknown authority: set AWS_CA_BUNDLE to a file with the authority's certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Transient, "NetworkError", "the endpoint's certificate has expired or is not yet valid"
	case errors.As(err, &opError):
		for errors.As(opError.Err, &opError) {
			// An error of a proxy's connection wraps another one, whose text has ports.
			continue
		}
		return Transient, "NetworkError", opError.Op + ": " + opError.Err.Error()
	case errors.As(err, &urlError):
		return Transient, "NetworkError", urlError.Err.Error()
	default:
		return Transient, "RequestFailed", "the request failed without an answer of AWS"
	}
}

// isNoCredentials tells whether a call was not made for want of credentials: none of the SDK's sources has any. A source that
// is there and could not be reached, such as STS, is another matter.
func isNoCredentials(err error) bool {
	var innermost *credentialsError
	for credentials := innermost; errors.As(err, &credentials); err = credentials.error {
		innermost = credentials
	}
	if innermost == nil {
		return false
	}
	var call *smithy.OperationError
	return !errors.As(innermost.error, &call) || call.Service() == "ec2imds"
}
