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

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/trail-operator/trail-operator/controllers/text"
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

// classes says what the error codes of CloudTrail, STS and S3 ask for. Most of them reach the SDK as generic errors,
// so the code is all there is. Codes from the error sections of the API reference,
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Operations.html, and its common errors.
var classes = map[string]Class{
	"CloudWatchLogsDeliveryUnavailableException": FixSpec,
	"InvalidEventSelectorsException":             FixSpec,
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
	"UnsupportedOperationException":              FixSpec,
	"ValidationException":                        FixSpec,
	"InvalidLookupAttributesException":           FixSpec,
	"InvalidMaxResultsException":                 FixSpec,
	"InvalidTimeRangeException":                  FixSpec,

	"CloudTrailARNInvalidException":             FixAWS, // Somebody has deleted or moved the trail since it was read.
	"CloudTrailAccessNotEnabledException":       FixAWS,
	"CloudTrailInvalidClientTokenIdException":   FixAWS,
	"InsufficientEncryptionPolicyException":     FixAWS,
	"InsufficientS3BucketPolicyException":       FixAWS,
	"InsufficientSnsTopicPolicyException":       FixAWS,
	"InvalidCloudWatchLogsLogGroupArnException": FixAWS,
	"InvalidCloudWatchLogsRoleArnException":     FixAWS,
	"InvalidHomeRegionException":                FixAWS, // Likewise.
	"KmsException":                              FixAWS,
	"KmsKeyDisabledException":                   FixAWS,
	"KmsKeyNotFoundException":                   FixAWS,
	"MaximumNumberOfTrailsExceededException":    FixAWS,
	"NoManagementAccountSLRExistsException":     FixAWS,
	"NotOrganizationManagementAccountException": FixAWS,
	"NotOrganizationMasterAccountException":     FixAWS,
	"OrganizationNotInAllFeaturesModeException": FixAWS,
	"OrganizationsNotInUseException":            FixAWS,
	"PackedPolicyTooLarge":                      FixAWS, // The identity's session tags, not the Trail's spec.
	"S3BucketDoesNotExistException":             FixAWS,
	"TagsLimitExceededException":                FixAWS, // Others may have used the tags up.

	// What S3 answers.
	"AuthorizationHeaderMalformed": FixAWS, // The bucket is in another region, as for a redirect.
	"InvalidBucketName":            FixAWS,
	"InvalidObjectState":           FixAWS,
	"KMS.DisabledException":        FixAWS,
	"KMS.KMSInvalidStateException": FixAWS,
	"KMS.NotFoundException":        FixAWS,
	"NoSuchBucket":                 FixAWS,
	"PermanentRedirect":            FixAWS,
	"AllAccessDisabled":            Permission,
	"InvalidAccessKeyId":           Permission,
	"InvalidToken":                 Permission,
	"RequestTimeTooSkewed":         Permission,
	"NoSuchKey":                    NotFound,
	"InternalError":                Transient,

	"AccessDenied":          Permission,
	"AccessDeniedException": Permission,
	"AuthFailure":           Permission,
	"ExpiredToken":          Permission,
	"ExpiredTokenException": Permission,
	"IDPRejectedClaim":      Permission,
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
	"IDPCommunicationError":           Transient,
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
	// Code is AWS's error code, such as S3BucketDoesNotExistException, or ours: for what never reached AWS AccountChanged,
	// Canceled, NetworkError, NoCredentials, NotSent, RequestFailed or RequestTimeout, for an answer without a code
	// HTTP502 and the like.
	Code string
	// Message is AWS's message, without request ids: the same at every try. It is printable, and short enough for a
	// condition.
	Message string
	err     error
}

// Error returns operation, code and message.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %s", e.Operation, e.Code, e.Message) }

// Unwrap returns the error of the SDK.
func (e *Error) Unwrap() error { return e.err }

// maxReason bounds a reason, which conditions and events have in common: an event's has at most 128 bytes, a
// condition's may have 1024.
const maxReason = 128

// notInReason are the characters that the reason of a condition must not have.
var notInReason = regexp.MustCompile(`[^A-Za-z0-9_,:]+`)

// Reason returns the code as the reason of a condition, whose form and length Kubernetes limits: whoever answers at an
// endpoint chooses the code.
func (e *Error) Reason() string {
	reason := strings.TrimLeft(notInReason.ReplaceAllString(e.Code, "_"), "_,:0123456789")
	reason = strings.TrimRight(reason[:min(len(reason), maxReason)], "_,:")
	return cmp.Or(reason, "UnknownError")
}

// Is tells whether err is an AWS error of the class.
func Is(err error, class Class) bool {
	var e *Error
	return errors.As(err, &e) && e.Class == class
}

// classify turns an error of the SDK into an *Error; nil stays nil.
func classify(operation string, err error) error {
	if err == nil {
		return nil
	}
	if _, known := errors.AsType[*Error](err); known || PendingOf(err) != nil {
		return err
	}
	e := &Error{Operation: operation, err: err}
	e.Class, e.Code, e.Message = inspect(err)
	e.Code = text.Cut(text.Printable(e.Code), maxCode)
	e.Message = text.Cut(text.Printable(e.Message), maxMessage)
	return e
}

// maxCode and maxMessage bound what whoever answers at an endpoint has written, in bytes. A condition's message may
// have 32768, and a remedy with a policy takes some kilobytes of them. AWS's own messages have a few hundred.
const maxCode, maxMessage = 128, 4096

// unknownError is what the SDK takes for code and message when an answer has none.
const unknownError = "UnknownError"

// inspect returns class, code and message of an error of the SDK.
func inspect(err error) (Class, string, string) {
	api, ok := errors.AsType[smithy.APIError](err)
	switch {
	case !ok:
		return classifyTransport(err)
	case api.ErrorCode() == unknownError && statusOf(err) != 0:
		return unexplained(statusOf(err), api.ErrorMessage())
	default:
		return classOf(api.ErrorCode(), err), api.ErrorCode(), stripVolatile(api.ErrorMessage())
	}
}

// statusOf returns the HTTP status of AWS's answer, 0 when there was none.
func statusOf(err error) int {
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok {
		return 0
	}
	return response.HTTPStatusCode()
}

// unexplained classifies an answer without an error code: that of a load balancer, a proxy, or a service in
// trouble.
func unexplained(status int, message string) (Class, string, string) {
	answered := strings.TrimSpace(fmt.Sprintf("AWS answered HTTP %d %s", status, http.StatusText(status)))
	if message = stripVolatile(message); message == "" || message == unknownError {
		answered += " without an explanation"
	} else {
		answered += ": " + message
	}
	return classOfStatus(status), fmt.Sprintf("HTTP%d", status), answered
}

// noise is what differs in a message from try to try: what other services told CloudTrail of their requests, what a
// signature should have been, and the time.
var noise = regexp.MustCompile(`(?is)\s*\((?:Service|SDK Attempt Count): [^()]*\)` +
	`|[,;]?\s*\(?\b(?:extended )?request ?id: ?[0-9a-z+/=-]+\)?` +
	`|\s*the canonical string for this request should have been.*` +
	`|\s*encoded authorization failure message: \S+`)

// times are the timestamps of messages about signatures.
var times = regexp.MustCompile(`\b[0-9]{8}T[0-9]{6}Z\b`)

// stripVolatile returns a message without what differs from try to try: a status that changes at every try is a write
// at every try.
func stripVolatile(message string) string {
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
	return classOfStatus(statusOf(err))
}

// classOfStatus is for what only the HTTP status says. A refusal is shown, and retried slowly.
func classOfStatus(status int) Class {
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return Transient
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		return FixAWS
	default:
		return Transient
	}
}

// classifyTransport classifies an error without an answer of AWS. Its texts leave out what differs from try to try,
// such as port numbers.
func classifyTransport(err error) (Class, string, string) {
	var netError net.Error
	var moved *movedError
	switch {
	case errors.Is(err, context.Canceled):
		return Transient, "Canceled", "the operator is shutting down"
	case errors.As(err, &moved):
		return Transient, "AccountChanged", moved.Error()
	case errors.Is(err, errLate), errors.Is(err, ErrNotLeading):
		return Transient, "NotSent", "the call was not sent, because it was no longer certain that it should be"
	case isNoCredentials(err):
		return Permission, noCredentials, "no AWS credentials: give the operator's ServiceAccount an IAM role " +
			"(IRSA or EKS Pod Identity), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netError) && netError.Timeout():
		return Transient, "RequestTimeout", "AWS did not answer in time"
	default:
		return unreached(err)
	}
}

// unreached classifies an error of the network.
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
		return Transient, "NetworkError", "the endpoint's certificate is signed by an unknown authority: " +
			"set AWS_CA_BUNDLE to a file with the authority's certificate"
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
		return unreadable(statusOf(err))
	}
}

// unreadable classifies an answer that the SDK could not read, such as a page of HTML, or to none.
func unreadable(status int) (Class, string, string) {
	switch {
	case status == 0:
		return Transient, "RequestFailed", "the request failed without an answer from AWS"
	case status < http.StatusMultipleChoices:
		return Transient, "RequestFailed", fmt.Sprintf("the answer, HTTP %d %s, is not from AWS: "+
			"check the endpoint, and whether there is a proxy in between", status, http.StatusText(status))
	default:
		return unexplained(status, "")
	}
}

// isNoCredentials tells whether a call was not made for want of credentials: none of the SDK's sources has any. A
// source that is there and could not be reached, such as STS, is another matter.
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
