package cloudtrailtest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// APIError is an error as AWS answers it.
type APIError struct {
	// Code is AWS's error code, such as TrailNotFoundException.
	Code string
	// Message is AWS's message.
	Message string
	// Status is the HTTP status, 400 for nearly everything.
	Status int
}

// Error returns code and message.
func (e *APIError) Error() string { return e.Code + ": " + e.Message }

// ErrorCode returns the code, as smithy's APIError does.
func (e *APIError) ErrorCode() string { return e.Code }

// ErrorMessage returns the message, as smithy's APIError does.
func (e *APIError) ErrorMessage() string { return e.Message }

// fail returns an API error with the status that its code goes with.
func fail(code, format string, args ...any) error {
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	return &APIError{Code: code, Message: message, Status: statusOf(code)}
}

// statusOf returns the HTTP status of a CloudTrail error code: 400, but for what is the service's own fault.
func statusOf(code string) int {
	switch code {
	case "InternalFailure", "InternalServerError", "InternalServiceError", "InternalFailureException":
		return http.StatusInternalServerError
	case "ServiceUnavailable", "ServiceUnavailableException":
		return http.StatusServiceUnavailable
	case "RequestEntityTooLarge":
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// fromFramework says that the error comes from the front end which all AWS JSON services share, and not from
// CloudTrail. These carry "message" where CloudTrail's own carry "Message".
func fromFramework(code string) bool {
	switch code {
	case "UnknownOperationException", "SerializationException", "ValidationException", "AccessDeniedException",
		"MissingAuthenticationTokenException", "IncompleteSignatureException", "InvalidSignatureException",
		"UnrecognizedClientException", "ExpiredTokenException", "InternalFailure", "ServiceUnavailable":
		return true
	}
	return false
}

// asAPIError turns whatever a handler returned into an API error.
func asAPIError(err error) *APIError {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*APIError](err); ok {
		return e
	}
	return &APIError{Code: "InternalFailure", Message: err.Error(), Status: http.StatusInternalServerError}
}

// unknownTrail is the answer to a trail that does not exist, or not for this caller.
func unknownTrail(ident, account string) error {
	return fail("TrailNotFoundException", "Unknown trail: %s for the user: %s", ident, account)
}

// notNull is how the front end rejects a missing required member.
func notNull(member string) error {
	return fail(
		"ValidationException",
		"1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null",
		lowerFirst(member),
	)
}

// defaultMessages are the messages of injected errors that name none.
var defaultMessages = map[string]string{
	"ThrottlingException": "Rate exceeded",
	"ConflictException": "The specified resource is not ready for an operation. " +
		"Wait a few minutes, and then try the operation again.",
	"InternalFailure": "The request processing has failed because of " +
		"an unknown error, exception or failure.",
	"InternalServerError": "The request processing has failed because of " +
		"an unknown error, exception or failure.",
	"ServiceUnavailable":                  "The request has failed due to a temporary failure of the server.",
	"ExpiredTokenException":               "The security token included in the request is expired",
	"UnrecognizedClientException":         "The security token included in the request is invalid.",
	"InsufficientSnsTopicPolicyException": "SNS Topic does not exist or the topic policy is incorrect!",
	"SlowDown":                            "Please reduce your request rate.",
	"InternalError":                       "We encountered an internal error. Please try again.",
	"NoSuchKey":                           "The specified key does not exist.",
	"NoSuchBucket":                        "The specified bucket does not exist",
	"InvalidObjectState":                  "The operation is not valid for the object's storage class",
}

// defaultMessage returns what AWS says with a code when an injected fault does not.
func (c *call) defaultMessage(code string) string {
	if m, ok := defaultMessages[code]; ok {
		return m
	}
	if code == "AccessDeniedException" || code == "AccessDenied" {
		return c.denial("because no identity-based policy allows the " + c.action() + " action")
	}
	return strings.TrimSuffix(code, "Exception")
}

// denial is the message of a call that IAM denies, with the reason at its end.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
func (c *call) denial(reason string) string {
	on := ""
	if resource := c.resource(); resource != "" {
		on = " on resource: " + resource
	}
	return fmt.Sprintf("User: %s is not authorized to perform: %s%s %s", c.caller.arn, c.action(), on, reason)
}

// action is the permission that the call needs.
func (c *call) action() string {
	if c.service() == "sqs" {
		// SQS says it in lower case.
		return strings.ToLower("sqs:" + c.operation)
	}
	if permission, ok := s3Permissions[c.operation]; ok {
		return "s3:" + permission
	}
	return c.service() + ":" + c.operation
}

// service is the service that the call is for, by its operation.
func (c *call) service() string {
	if _, ok := operations[c.operation]; ok {
		return "cloudtrail"
	}
	if _, ok := sqsOperations[c.operation]; ok {
		return "sqs"
	}
	if _, ok := s3Operations[c.operation]; ok {
		return "s3"
	}
	return "sts"
}

// resource is the ARN of what IAM judges the call by: the trail, the role or the queue that it names, "" for what is
// not about one.
func (c *call) resource() string {
	ident := c.target()
	switch {
	case c.service() == "sqs":
		return c.queueARN()
	case c.service() == "s3":
		return arn{partitionOf(c.region), "s3", "", "", ident}.String()
	case ident == "", c.operation == "DescribeTrails":
		return ""
	case strings.HasPrefix(ident, "arn:"):
		return ident
	}
	return trailARN(c.region, c.account, ident)
}
