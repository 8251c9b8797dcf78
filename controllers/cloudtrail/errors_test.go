package cloudtrail

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/smithy-go"
	. "github.com/onsi/gomega"
)

// errorTable is what CloudTrail's and STS's error codes ask for.
var errorTable = map[Class][]string{
	FixSpec: {
		"InvalidTrailNameException", "InvalidS3BucketNameException", "InvalidS3PrefixException", "InvalidSnsTopicNameException",
		"InvalidKmsKeyIdException", "InvalidParameterException", "InvalidParameterCombinationException", "InvalidEventSelectorsException",
		"InvalidInsightSelectorsException", "InvalidTagParameterException", "TagsLimitExceededException",
		"CloudWatchLogsDeliveryUnavailableException", "UnsupportedOperationException", "CloudTrailARNInvalidException",
		"InvalidHomeRegionException", "TrailNotProvidedException", "ResourceTypeNotSupportedException", "ValidationException",
		"InvalidLookupAttributesException", "InvalidMaxResultsException", "InvalidTimeRangeException", "InvalidEventCategoryException",
	},
	FixAWS: {
		"S3BucketDoesNotExistException", "InsufficientS3BucketPolicyException", "InsufficientSnsTopicPolicyException",
		"InsufficientEncryptionPolicyException", "KmsException", "KmsKeyNotFoundException", "KmsKeyDisabledException",
		"InvalidCloudWatchLogsRoleArnException", "InvalidCloudWatchLogsLogGroupArnException", "CloudTrailInvalidClientTokenIdException",
		"CloudTrailAccessNotEnabledException", "OrganizationNotInAllFeaturesModeException", "OrganizationsNotInUseException",
		"NoManagementAccountSLRExistsException", "NotOrganizationMasterAccountException", "MaximumNumberOfTrailsExceededException",
		"SomethingNewException", // What AWS adds is shown, and retried slowly.
	},
	Transient: {
		"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException", "LimitExceededException", "RequestThrottled",
		"ConflictException", "ConcurrentModificationException", "InternalFailure", "InternalServerError", "ServiceUnavailable",
		"RequestTimeout", "RequestAbortedException", "InvalidTokenException", "InvalidNextTokenException",
	},
	NotFound:      {"TrailNotFoundException", "ResourceNotFoundException", "InsightNotEnabledException"},
	AlreadyExists: {"TrailAlreadyExistsException"},
	Permission: {
		"AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "ExpiredTokenException", "ExpiredToken", "InvalidClientTokenId",
		"InsufficientDependencyServiceAccessPermissionException", "InsufficientIAMAccessPermissionException", "OperationNotPermittedException",
		"InvalidSignatureException", "SignatureDoesNotMatch", "RegionDisabledException", "OptInRequired", "InvalidIdentityToken",
	},
}

// TestErrorCodes has AWS refuse a call with every code, once where the SDK knows the code and once where it does not.
func TestErrorCodes(t *testing.T) {
	t.Parallel()
	server := newFakeAWS(t, func(call fakeCall) (int, string) {
		return http.StatusBadRequest, refusal(call.header.Get("X-Code"), "so it is")
	})
	for class, codes := range errorTable {
		for _, code := range codes {
			for operation, call := range map[string]func(*cloudtrail.Client) error{
				"CreateTrail": func(c *cloudtrail.Client) error {
					_, err := c.CreateTrail(t.Context(), &cloudtrail.CreateTrailInput{Name: aws.String("trail"), S3BucketName: aws.String("bucket")})
					return err
				},
				"DescribeTrails": func(c *cloudtrail.Client) error {
					_, err := c.DescribeTrails(t.Context(), &cloudtrail.DescribeTrailsInput{})
					return err
				},
			} {
				t.Run(code+" of "+operation, func(t *testing.T) {
					t.Parallel()
					g := NewWithT(t)
					config := testConfig(server.URL)
					config.HTTPClient = &http.Client{Transport: headerTransport{"X-Code": code}}
					err := meaning(operation, call(cloudtrail.NewFromConfig(config)))
					var known *Error
					g.Expect(errors.As(err, &known)).To(BeTrue())
					g.Expect(known.Class.String()).To(Equal(class.String()))
					g.Expect(known.Operation).To(Equal(operation))
					g.Expect(known.Code).To(Equal(code))
					g.Expect(known.Message).To(Equal("so it is"))
					g.Expect(known.Error()).To(Equal(operation + ": " + code + ": so it is"))
					g.Expect(Is(err, class)).To(BeTrue())
					var api smithy.APIError
					g.Expect(errors.As(err, &api)).To(BeTrue(), "the SDK's error is still there")
				})
			}
		}
	}
}

type headerTransport map[string]string

func (h headerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for key, value := range h {
		r.Header.Set(key, value)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestAnswersWithoutACode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		class  Class
		code   string
	}{
		"a fault of AWS":                   {500, refusal("SomethingNewException", "oh"), Transient, "SomethingNewException"},
		"a load balancer's page":           {503, "<html>busy</html>", Transient, "RequestFailed"},
		"no body at all":                   {502, "", Transient, "UnknownError"},
		"a refusal without a body":         {403, "", FixAWS, "UnknownError"},
		"a code that the table knows":      {500, refusal("AccessDeniedException", "no"), Permission, "AccessDeniedException"},
		"a code with its namespace":        {400, refusal("com.amazonaws.cloudtrail#TrailNotFoundException", "no"), NotFound, "TrailNotFoundException"},
		"a throttle by another name":       {400, refusal("BandwidthLimitExceeded", "no"), Transient, "BandwidthLimitExceeded"},
		"a page of something in between":   {400, "<html>no</html>", Transient, "RequestFailed"},
		"an answer that says nothing":      {400, "{}", FixAWS, "UnknownError"},
		"a success that is not CloudTrail": {200, "<html>welcome</html>", Transient, "RequestFailed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			server := newFakeAWS(t, func(fakeCall) (int, string) { return c.status, c.body })
			_, err := testClient(server.URL).DescribeTrails(t.Context(), &cloudtrail.DescribeTrailsInput{})
			var known *Error
			g.Expect(errors.As(meaning("DescribeTrails", err), &known)).To(BeTrue())
			g.Expect(known.Class.String()).To(Equal(c.class.String()))
			g.Expect(known.Code).To(Equal(c.code))
		})
	}
}

// TestNetworkErrors has the SDK's own client fail on its way.
func TestNetworkErrors(t *testing.T) {
	t.Parallel()
	address := func(port int) net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: port} }
	for name, c := range map[string]struct {
		dial    func(port int) (net.Conn, error)
		code    string
		message string
	}{
		"no such host": {
			func(int) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "cloudtrail.nowhere.amazonaws.com", Server: "10.0.0.2:53", IsNotFound: true}}
			},
			"NetworkError", "no address found for cloudtrail.nowhere.amazonaws.com",
		},
		"refused": {
			func(port int) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Source: address(port), Addr: address(443), Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
			},
			"NetworkError", "dial: connect: connection refused",
		},
		"a proxy that refuses": {
			func(port int) (net.Conn, error) {
				return nil, &net.OpError{Op: "proxyconnect", Net: "tcp", Err: &net.OpError{Op: "dial", Net: "tcp", Source: address(port), Addr: address(3128), Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}
			},
			"NetworkError", "dial: connect: connection refused",
		},
		"timeout": {
			func(port int) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Source: address(port), Addr: address(443), Err: os.ErrDeadlineExceeded}
			},
			"RequestTimeout", "AWS did not answer in time",
		},
		"reset": {
			func(port int) (net.Conn, error) {
				return brokenConn{&net.OpError{Op: "read", Net: "tcp", Source: address(port), Addr: address(443), Err: os.NewSyscallError("read", syscall.ECONNRESET)}}, nil
			},
			"NetworkError", "read: connection reset by peer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			for port := range 3 {
				config := testConfig("http://cloudtrail.example")
				config.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c.dial(50000 + port) }}}
				_, err := cloudtrail.NewFromConfig(config).DescribeTrails(t.Context(), &cloudtrail.DescribeTrailsInput{})
				var known *Error
				g.Expect(errors.As(meaning("DescribeTrails", err), &known)).To(BeTrue())
				g.Expect(known.Class.String()).To(Equal("Transient"))
				g.Expect(known.Code).To(Equal(c.code))
				g.Expect(known.Message).To(ContainSubstring(c.message))
				g.Expect(known.Message).NotTo(MatchRegexp(`[0-9]`), "addresses and ports differ from try to try")
			}
		})
	}
}

// brokenConn is a connection that takes everything and answers with an error.
type brokenConn struct{ err error }

func (c brokenConn) Read([]byte) (int, error)         { return 0, c.err }
func (c brokenConn) Write(b []byte) (int, error)      { return len(b), nil }
func (c brokenConn) Close() error                     { return nil }
func (c brokenConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c brokenConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c brokenConn) SetDeadline(time.Time) error      { return nil }
func (c brokenConn) SetReadDeadline(time.Time) error  { return nil }
func (c brokenConn) SetWriteDeadline(time.Time) error { return nil }

func TestUnansweredCalls(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	t.Cleanup(cancel)
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // The handshake fails on purpose.
	tls.StartTLS()
	t.Cleanup(tls.Close)
	describe := func(ctx context.Context, endpoint string) error {
		_, err := testClient(endpoint).DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{})
		return err
	}
	imds := &smithy.OperationError{ServiceID: "ec2imds", OperationName: "GetMetadata", Err: context.DeadlineExceeded}
	sts := &smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	for name, c := range map[string]struct {
		err     error
		class   Class
		code    string
		message string
	}{
		"shutting down":             {describe(canceled, tls.URL), Transient, "Canceled", "shutting down"},
		"out of time":               {describe(late, tls.URL), Transient, "RequestTimeout", "in time"},
		"an unknown authority":      {describe(t.Context(), tls.URL), Transient, "NetworkError", "AWS_CA_BUNDLE"},
		"an expired certificate":    {x509.CertificateInvalidError{Reason: x509.Expired, Detail: "current time 2026-01-01T00:00:01Z is after 2026-01-01T00:00:00Z"}, Transient, "NetworkError", "expired"},
		"no credentials":            {&credentialsError{errors.New("no provider")}, Permission, "NoCredentials", "ServiceAccount"},
		"no instance metadata":      {&credentialsError{fmt.Errorf("failed to refresh cached credentials, %w", imds)}, Permission, "NoCredentials", "ServiceAccount"},
		"no credentials for a role": {&credentialsError{&smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: &credentialsError{imds}}}, Permission, "NoCredentials", "ServiceAccount"},
		"STS out of reach":          {&credentialsError{fmt.Errorf("failed to refresh cached credentials, %w", sts)}, Transient, "NetworkError", "connection refused"},
		"shutting down in STS":      {&credentialsError{context.Canceled}, Transient, "Canceled", "shutting down"},
		"something else":            {errors.New("0xc000123456"), Transient, "RequestFailed", "without an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			// As the SDK would wrap it.
			err := meaning("DescribeTrails", &smithy.OperationError{ServiceID: "CloudTrail", OperationName: "DescribeTrails", Err: c.err})
			var known *Error
			g.Expect(errors.As(err, &known)).To(BeTrue())
			g.Expect(known.Class.String()).To(Equal(c.class.String()))
			g.Expect(known.Code).To(Equal(c.code))
			g.Expect(known.Message).To(ContainSubstring(c.message))
			g.Expect(known.Message).NotTo(MatchRegexp(`[0-9]{2}`), "times and ports differ from try to try")
			g.Expect(errors.Is(err, c.err)).To(BeTrue(), "the cause is still there")
		})
	}
}

func TestMeaningStays(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	g.Expect(meaning("DescribeTrails", nil)).To(Succeed())
	first := meaning("ListTags", &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"})
	second := meaning("DescribeTrails", fmt.Errorf("reading the region: %w", first))
	var known *Error
	g.Expect(errors.As(second, &known)).To(BeTrue())
	g.Expect(known.Operation).To(Equal("ListTags"), "the call that failed, not the one that led to it")
	g.Expect(Is(second, Permission)).To(BeTrue())
	g.Expect(Is(errors.New("other"), Transient)).To(BeFalse())
	g.Expect(Is(nil, Transient)).To(BeFalse())
}

func TestMessagesAreQuiet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ said, shown string }{
		"nothing to hide": {"The bucket trail-logs does not exist.", "The bucket trail-logs does not exist."},
		"another service's request": {
			"Access denied. (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException; Request ID: 7a62c49f-347e-4fc4-9331-6e8eEXAMPLE; Proxy: null)",
			"Access denied.",
		},
		"the newer form of it": {
			"Access denied. (Service: Kms, Status Code: 400, Request ID: 7a62c49f-347e-4fc4-9331-6e8eEXAMPLE) (SDK Attempt Count: 1)",
			"Access denied.",
		},
		"a request id alone":       {"Try later; request id: 7a62c49f-347e-4fc4-9331-6e8eEXAMPLE.", "Try later."},
		"a request id in brackets": {"Try later (Request ID: 7a62c49f)", "Try later"},
		"a late signature": {
			"Signature expired: 20261121T050935Z is now earlier than 20261121T051000Z (20261121T051500Z - 5 min.)",
			"Signature expired: … is now earlier than … (… - 5 min.)",
		},
		"a wrong signature": {
			"The request signature we calculated does not match the signature you provided.\n\nThe Canonical String for this request should have been\n'POST\n/\n\nx-amz-date:20261121T050935Z'",
			"The request signature we calculated does not match the signature you provided.",
		},
		"an encoded message": {"You are not authorized. Encoded authorization failure message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCm", "You are not authorized."},
		"an ARN with a session": {
			"User: arn:aws:sts::111122223333:assumed-role/op/trail-operator is not authorized to perform: cloudtrail:CreateTrail on resource: arn:aws:cloudtrail:us-east-1:111122223333:trail/a because no identity-based policy allows the cloudtrail:CreateTrail action",
			"User: arn:aws:sts::111122223333:assumed-role/op/trail-operator is not authorized to perform: cloudtrail:CreateTrail on resource: arn:aws:cloudtrail:us-east-1:111122223333:trail/a because no identity-based policy allows the cloudtrail:CreateTrail action",
		},
		"brackets that say something": {"Trail names are 3 to 128 characters (no spaces).", "Trail names are 3 to 128 characters (no spaces)."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := meaning("CreateTrail", &smithy.GenericAPIError{Code: "KmsException", Message: c.said})
			NewWithT(t).Expect(err).To(MatchError("CreateTrail: KmsException: " + c.shown))
		})
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	condition := regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`) // Of metav1.Condition.
	for code, reason := range map[string]string{
		"S3BucketDoesNotExistException": "S3BucketDoesNotExistException",
		"KMS.DisabledException":         "KMS_DisabledException",
		"Client.Auth Failure!":          "Client_Auth_Failure",
		"503":                           "UnknownError",
		"":                              "UnknownError",
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			g.Expect((&Error{Code: code}).Reason()).To(Equal(reason))
			g.Expect(condition.MatchString(reason)).To(BeTrue())
		})
	}
	for _, codes := range errorTable {
		for _, code := range codes {
			NewWithT(t).Expect((&Error{Code: code}).Reason()).To(Equal(code))
		}
	}
}

// pemOf returns the certificate of a TLS server, as AWS_CA_BUNDLE takes it.
func pemOf(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}
