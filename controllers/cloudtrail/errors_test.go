package cloudtrail

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/controllers/text"
)

// errorTable is what CloudTrail's and STS's error codes ask for.
var errorTable = map[Class][]string{
	FixSpec: {
		"InvalidTrailNameException",
		"InvalidS3BucketNameException",
		"InvalidS3PrefixException",
		"InvalidSnsTopicNameException",
		"InvalidKmsKeyIdException",
		"InvalidParameterException",
		"InvalidParameterCombinationException",
		"InvalidEventSelectorsException",
		"InvalidInsightSelectorsException",
		"InvalidTagParameterException",
		"CloudWatchLogsDeliveryUnavailableException",
		"UnsupportedOperationException",
		"TrailNotProvidedException",
		"ResourceTypeNotSupportedException",
		"ValidationException",
		"InvalidLookupAttributesException",
		"InvalidMaxResultsException",
		"InvalidTimeRangeException",
		"InvalidEventCategoryException",
	},
	FixAWS: {
		"S3BucketDoesNotExistException",
		"InsufficientS3BucketPolicyException",
		"InsufficientSnsTopicPolicyException",
		"InsufficientEncryptionPolicyException",
		"KmsException",
		"KmsKeyNotFoundException",
		"KmsKeyDisabledException",
		"InvalidCloudWatchLogsRoleArnException",
		"InvalidCloudWatchLogsLogGroupArnException",
		"CloudTrailInvalidClientTokenIdException",
		"CloudTrailAccessNotEnabledException",
		"OrganizationNotInAllFeaturesModeException",
		"OrganizationsNotInUseException",
		"NoManagementAccountSLRExistsException",
		"NotOrganizationMasterAccountException",
		"MaximumNumberOfTrailsExceededException",
		"NotOrganizationManagementAccountException",
		"TagsLimitExceededException",
		"PackedPolicyTooLarge",
		"CloudTrailARNInvalidException",
		"InvalidHomeRegionException",
		"SomethingNewException", // What AWS adds is shown, and retried slowly.
	},
	Transient: {
		"ThrottlingException",
		"Throttling",
		"RequestLimitExceeded",
		"TooManyRequestsException",
		"LimitExceededException",
		"RequestThrottled",
		"ConflictException",
		"ConcurrentModificationException",
		"InternalFailure",
		"InternalServerError",
		"ServiceUnavailable",
		"RequestTimeout",
		"RequestAbortedException",
		"InvalidTokenException",
		"InvalidNextTokenException",
		"IDPCommunicationError",
	},
	NotFound:      {"TrailNotFoundException", "ResourceNotFoundException", "InsightNotEnabledException"},
	AlreadyExists: {"TrailAlreadyExistsException"},
	Permission: {
		"AccessDeniedException",
		"AccessDenied",
		"UnrecognizedClientException",
		"ExpiredTokenException",
		"ExpiredToken",
		"InvalidClientTokenId",
		"InsufficientDependencyServiceAccessPermissionException",
		"InsufficientIAMAccessPermissionException",
		"OperationNotPermittedException",
		"InvalidSignatureException",
		"SignatureDoesNotMatch",
		"RegionDisabledException",
		"OptInRequired",
		"InvalidIdentityToken",
		"IDPRejectedClaim",
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
					_, err := c.CreateTrail(t.Context(), &cloudtrail.CreateTrailInput{
						Name: aws.String("trail"), S3BucketName: aws.String("bucket"),
					})
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
					err := classify(operation, call(cloudtrail.NewFromConfig(config)))
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

// TestAnswersWithoutACode has the SDK's clients read answers that are not those of AWS's services: CloudTrail's speak
// JSON, STS's XML.
func TestAnswersWithoutACode(t *testing.T) {
	t.Parallel()
	const page = "the answer, HTTP 200 OK, is not from AWS: " +
		"check the endpoint, and whether there is a proxy in between"
	answered := func(status string) string { return "AWS answered HTTP " + status + " without an explanation" }
	for name, c := range map[string]struct {
		status  int
		body    string
		class   Class
		code    string
		message string
	}{
		"a fault without a body":         {500, "", Transient, "HTTP500", answered("500 Internal Server Error")},
		"a bad gateway without a body":   {502, "", Transient, "HTTP502", answered("502 Bad Gateway")},
		"a load balancer's page":         {503, "<p>", Transient, "HTTP503", answered("503 Service Unavailable")},
		"a gateway's page":               {504, "<p>", Transient, "HTTP504", answered("504 Gateway Timeout")},
		"a status that nobody knows":     {599, "", Transient, "HTTP599", answered("599")},
		"a refusal without a body":       {403, "", FixAWS, "HTTP403", answered("403 Forbidden")},
		"a page of something in between": {400, "<p>", FixAWS, "HTTP400", answered("400 Bad Request")},
		"a proxy":                        {407, "<p>", FixAWS, "HTTP407", answered("407 Proxy Authentication Required")},
		"a request that came too late":   {408, "", Transient, "HTTP408", answered("408 Request Timeout")},
		"too many requests":              {429, "", Transient, "HTTP429", answered("429 Too Many Requests")},
		"a redirect":                     {302, "<p>", Transient, "HTTP302", answered("302 Found")},
		"a success that is not of AWS":   {200, "<p>", Transient, "RequestFailed", page},
		"a success of another protocol":  {200, "<Welcome/>", Transient, "RequestFailed", page},
	} {
		for operation, call := range map[string]func(aws.Config) error{
			"DescribeTrails": func(config aws.Config) error {
				_, err := cloudtrail.NewFromConfig(config).DescribeTrails(t.Context(), &cloudtrail.DescribeTrailsInput{})
				return err
			},
			"GetCallerIdentity": func(config aws.Config) error {
				_, err := sts.NewFromConfig(config).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
				return err
			},
		} {
			t.Run(name+" to "+operation, func(t *testing.T) {
				t.Parallel()
				g := NewWithT(t)
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(c.status)
					io.WriteString(w, c.body) //nolint:errcheck // The client will tell.
				}))
				t.Cleanup(server.Close)
				var known *Error
				g.Expect(errors.As(classify(operation, call(testConfig(server.URL))), &known)).To(BeTrue())
				g.Expect(known.Class.String()).To(Equal(c.class.String()))
				g.Expect(known.Code).To(Equal(c.code))
				g.Expect(known.Message).To(Equal(c.message))
				g.Expect(known.Reason()).To(Equal(c.code))
			})
		}
	}
}

// TestOddAnswers has CloudTrail answer with a status that does not go with the code, or with half of what an error has.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  int
		body    string
		class   Class
		code    string
		message string
	}{
		"a fault of AWS": {500, refusal("NewException", "oh"), Transient, "NewException", "oh"},
		"a code that the table knows": {
			500, refusal("AccessDeniedException", "no"), Permission, "AccessDeniedException", "no",
		},
		"a new code for a throttle": {429, refusal("NewException", "no"), Transient, "NewException", "no"},
		"a code with its namespace": {
			400, refusal("com.amazonaws.cloudtrail#TrailNotFoundException", "no"),
			NotFound, "TrailNotFoundException", "no",
		},
		"a throttle by another name": {
			400, refusal("BandwidthLimitExceeded", "no"), Transient, "BandwidthLimitExceeded", "no",
		},
		"an answer that says nothing": {
			400, "{}", FixAWS, "HTTP400", "AWS answered HTTP 400 Bad Request without an explanation",
		},
		"a message without a code": {
			403, `{"message": "Forbidden by the\ngateway (Request ID: 7a62)"}`,
			FixAWS, "HTTP403", "AWS answered HTTP 403 Forbidden: Forbidden by the gateway",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			server := newFakeAWS(t, func(fakeCall) (int, string) { return c.status, c.body })
			_, err := testClient(server.URL).DescribeTrails(t.Context(), &cloudtrail.DescribeTrailsInput{})
			var known *Error
			g.Expect(errors.As(classify("DescribeTrails", err), &known)).To(BeTrue())
			g.Expect(known.Class.String()).To(Equal(c.class.String()))
			g.Expect(known.Code).To(Equal(c.code))
			g.Expect(known.Message).To(Equal(c.message))
		})
	}
}

// TestNetworkErrors has the SDK's own client fail on its way.
func TestNetworkErrors(t *testing.T) {
	t.Parallel()
	address := func(port int) net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: port} }
	failed := func(operation string, from, to int, err error) *net.OpError {
		return &net.OpError{Op: operation, Net: "tcp", Source: address(from), Addr: address(to), Err: err}
	}
	for name, c := range map[string]struct {
		dial    func(port int) (net.Conn, error)
		code    string
		message string
	}{
		"no such host": {
			func(int) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{
					Err:        "no such host",
					Name:       "cloudtrail.nowhere.amazonaws.com",
					Server:     "10.0.0.2:53",
					IsNotFound: true,
				}}
			},
			"NetworkError", "no address found for cloudtrail.nowhere.amazonaws.com",
		},
		"refused": {
			func(port int) (net.Conn, error) {
				return nil, failed("dial", port, 443, os.NewSyscallError("connect", syscall.ECONNREFUSED))
			},
			"NetworkError", "dial: connect: connection refused",
		},
		"a proxy that refuses": {
			func(port int) (net.Conn, error) {
				err := failed("dial", port, 3128, os.NewSyscallError("connect", syscall.ECONNREFUSED))
				return nil, &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err}
			},
			"NetworkError", "dial: connect: connection refused",
		},
		"timeout": {
			func(port int) (net.Conn, error) {
				return nil, failed("dial", port, 443, os.ErrDeadlineExceeded)
			},
			"RequestTimeout", "AWS did not answer in time",
		},
		"reset": {
			func(port int) (net.Conn, error) {
				return brokenConn{failed("read", port, 443, os.NewSyscallError("read", syscall.ECONNRESET))}, nil
			},
			"NetworkError", "read: connection reset by peer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			for port := range 3 {
				config := testConfig("http://cloudtrail.example")
				config.HTTPClient = &http.Client{
					Transport: &http.Transport{
						DialContext: func(context.Context, string, string) (net.Conn, error) { return c.dial(50000 + port) },
					},
				}
				_, err := cloudtrail.NewFromConfig(config).DescribeTrails(t.Context(), &cloudtrail.DescribeTrailsInput{})
				var known *Error
				g.Expect(errors.As(classify("DescribeTrails", err), &known)).To(BeTrue())
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
	assumeRole := func(err error) error {
		return &smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: err}
	}
	sts := assumeRole(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	notCached := func(err error) error { return fmt.Errorf("failed to refresh cached credentials, %w", err) }
	const detail = "current time 2026-01-01T00:00:01Z is after 2026-01-01T00:00:00Z"
	for name, c := range map[string]struct {
		err     error
		class   Class
		code    string
		message string
	}{
		"shutting down":        {describe(canceled, tls.URL), Transient, "Canceled", "shutting down"},
		"out of time":          {describe(late, tls.URL), Transient, "RequestTimeout", "in time"},
		"an unknown authority": {describe(t.Context(), tls.URL), Transient, "NetworkError", "AWS_CA_BUNDLE"},
		"an expired certificate": {
			x509.CertificateInvalidError{Reason: x509.Expired, Detail: detail}, Transient, "NetworkError", "expired",
		},
		"no credentials": {
			&credentialsError{errors.New("no provider")}, Permission, "NoCredentials", "ServiceAccount",
		},
		"no instance metadata": {
			&credentialsError{notCached(imds)}, Permission, "NoCredentials", "ServiceAccount",
		},
		"no credentials for a role": {
			&credentialsError{assumeRole(&credentialsError{imds})}, Permission, "NoCredentials", "ServiceAccount",
		},
		"STS out of reach": {
			&credentialsError{notCached(sts)}, Transient, "NetworkError", "connection refused",
		},
		"shutting down in STS": {&credentialsError{context.Canceled}, Transient, "Canceled", "shutting down"},
		"something else":       {errors.New("0xc000123456"), Transient, "RequestFailed", "without an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			// As the SDK would wrap it.
			err := classify("DescribeTrails",
				&smithy.OperationError{ServiceID: "CloudTrail", OperationName: "DescribeTrails", Err: c.err})
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
	g.Expect(classify("DescribeTrails", nil)).To(Succeed())
	first := classify("ListTags", &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"})
	second := classify("DescribeTrails", fmt.Errorf("reading the region: %w", first))
	var known *Error
	g.Expect(errors.As(second, &known)).To(BeTrue())
	g.Expect(known.Operation).To(Equal("ListTags"), "the call that failed, not the one that led to it")
	g.Expect(Is(second, Permission)).To(BeTrue())
	g.Expect(Is(errors.New("other"), Transient)).To(BeFalse())
	g.Expect(Is(nil, Transient)).To(BeFalse())
}

func TestMessagesAreQuiet(t *testing.T) {
	t.Parallel()
	const (
		denied = "User: arn:aws:sts::111122223333:assumed-role/op/trail-operator is not authorized to perform: " +
			"cloudtrail:CreateTrail on resource: arn:aws:cloudtrail:us-east-1:111122223333:trail/a " +
			"because no identity-based policy allows the cloudtrail:CreateTrail action"
		brackets = "Trail names are 3 to 128 characters (no spaces)."
	)
	for name, c := range map[string]struct{ said, shown string }{
		"nothing to hide": {"The bucket trail-logs does not exist.", "The bucket trail-logs does not exist."},
		"another service's request": {
			"Access denied. (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException; " +
				"Request ID: 7a62c49f-347e-4fc4-9331-6e8eEXAMPLE; Proxy: null)",
			"Access denied.",
		},
		"the newer form of it": {
			"Access denied. (Service: Kms, Status Code: 400, Request ID: 7a62c49f-347e-4fc4-9331-6e8eEXAMPLE) " +
				"(SDK Attempt Count: 1)",
			"Access denied.",
		},
		"a request id alone":       {"Try later; request id: 7a62c49f-347e-4fc4-9331-6e8eEXAMPLE.", "Try later."},
		"a request id in brackets": {"Try later (Request ID: 7a62c49f)", "Try later"},
		"a late signature": {
			"Signature expired: 20261121T050935Z is now earlier than 20261121T051000Z (20261121T051500Z - 5 min.)",
			"Signature expired: … is now earlier than … (… - 5 min.)",
		},
		"a wrong signature": {
			"The request signature we calculated does not match the signature you provided.\n\n" +
				"The Canonical String for this request should have been\n'POST\n/\n\nx-amz-date:20261121T050935Z'",
			"The request signature we calculated does not match the signature you provided.",
		},
		"an encoded message": {
			"You are not authorized. Encoded authorization failure message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCm",
			"You are not authorized.",
		},
		"an ARN with a session":       {denied, denied},
		"brackets that say something": {brackets, brackets},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := classify("CreateTrail", &smithy.GenericAPIError{Code: "KmsException", Message: c.said})
			NewWithT(t).Expect(err).To(MatchError("CreateTrail: KmsException: " + c.shown))
		})
	}
}

// reasonPattern is what the API server takes as the reason of a metav1.Condition, of at most 1024 characters.
var reasonPattern = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)

func TestReasons(t *testing.T) {
	t.Parallel()
	for code, reason := range map[string]string{
		"S3BucketDoesNotExistException":  "S3BucketDoesNotExistException",
		"KMS.DisabledException":          "KMS_DisabledException",
		"Client.Auth Failure!":           "Client_Auth_Failure",
		"HTTP502":                        "HTTP502",
		"503":                            "UnknownError",
		"503 Slow Down":                  "Slow_Down",
		"":                               "UnknownError",
		"Too:many,":                      "Too:many",
		"Größe":                          "Gr_e",
		"No\nSuch\x1b[31mThing\xff":      "No_Such_31mThing",
		"A" + strings.Repeat("b", 2000):  "A" + strings.Repeat("b", maxReason-1),
		strings.Repeat("Ab,", 2000):      strings.Repeat("Ab,", maxReason/3) + "Ab",
		strings.Repeat("_,:9", 2000):     "UnknownError",
		"A" + strings.Repeat(":,_", 999): "A",
	} {
		t.Run(code[:min(len(code), 30)], func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			g.Expect((&Error{Code: code}).Reason()).To(Equal(reason))
			g.Expect(reasonPattern.MatchString(reason)).To(BeTrue())
		})
	}
	for _, codes := range errorTable {
		for _, code := range codes {
			NewWithT(t).Expect((&Error{Code: code}).Reason()).To(Equal(code))
		}
	}
}

// TestAnyReason holds that every code, which whoever answers at an endpoint chooses, has a reason that the API server
// takes.
func TestAnyReason(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	random := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		code := make([]byte, random.IntN(200))
		for i := range code {
			if code[i] = byte(random.Uint32()); random.IntN(2) == 0 {
				code[i] = "azAZ09_,:. "[random.IntN(11)]
			}
		}
		reason := (&Error{Code: string(code)}).Reason()
		g.Expect(reasonPattern.MatchString(reason)).To(BeTrue(), "%q of %q", reason, code)
		g.Expect(len(reason)).To(BeNumerically("<=", maxReason))
	}
}

// TestTextsOfAnybody holds what a code and a message are made of that somebody else has chosen.
func TestTextsOfAnybody(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	server := newFakeAWS(t, func(fakeCall) (int, string) {
		code := "Evil\x1b[2J" + strings.Repeat("Exception", 10_000)
		return http.StatusBadRequest, refusal(code, "\u202eso it is\n"+strings.Repeat("so it is ", 12_000))
	})
	_, err := testClient(server.URL).DescribeTrails(t.Context(), &cloudtrail.DescribeTrailsInput{})
	var known *Error
	g.Expect(errors.As(classify("DescribeTrails", err), &known)).To(BeTrue())
	g.Expect(known.Code).To(HavePrefix(`Evil\x1b[2JException`))
	g.Expect(known.Message).To(HavePrefix(`\u202eso it is so it is`))
	g.Expect(known.Class).To(Equal(FixAWS))
	for name, message := range map[string]string{
		"the error": known.Error(), "its explanation": Explain(known, testSubject(testRegion, nil)),
		"a permission": PermissionRemedy(known, "default", testCaller),
	} {
		g.Expect(len(message)).To(BeNumerically("<", 8<<10), "%s: a condition takes 32768", name)
		g.Expect(text.Printable(message)).To(Equal(message), name)
	}
}

// neverReturned are errors that the SDK's types allow to operations that the operator calls, but that cannot come: they
// are of event data stores and channels, which it never names, and of session policies, which it never passes.
var neverReturned = []string{
	"ChannelARNInvalidException", "ChannelNotFoundException", "EventDataStoreARNInvalidException",
	"EventDataStoreNotFoundException", "InactiveEventDataStoreException", "InvalidEventDataStoreCategoryException",
	"InvalidEventDataStoreStatusException", "MalformedPolicyDocument",
}

// TestSDKErrorsAreClassified holds that somebody has decided on each error that the SDK knows of an operation that the
// operator calls. An update of the SDK that adds one fails here until it is in the table of classes.
func TestSDKErrorsAreClassified(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	known := errorsOf(g, "github.com/aws/aws-sdk-go-v2/service/cloudtrail")
	for method := range reflect.TypeFor[API]().Methods() {
		g.Expect(known).To(HaveKey(method.Name))
		expectClassified(g, method.Name, known[method.Name])
	}
	g.Expect(known["CreateTrail"]).To(ContainElement("TrailAlreadyExistsException"), "the SDK's source is understood")

	known = errorsOf(g, "github.com/aws/aws-sdk-go-v2/service/sts")
	for _, operation := range []string{"AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"} {
		g.Expect(known).To(HaveKey(operation))
		expectClassified(g, operation, known[operation])
	}
	g.Expect(known["AssumeRole"]).To(ContainElement("RegionDisabledException"), "the SDK's source is understood")
}

func expectClassified(g Gomega, operation string, codes []string) {
	for _, code := range codes {
		_, classified := classes[code]
		classified = classified || isThrottle(code) || slices.Contains(neverReturned, code)
		g.Expect(classified).To(BeTrue(), "what is to be done about %s of %s?", code, operation)
	}
}

// errorsOf returns the error codes that an SDK package knows of each operation. Only its source tells: the function
// that reads an operation's errors compares the code with each.
func errorsOf(g Gomega, path string) map[string][]string {
	found, err := build.Import(path, ".", build.FindOnly)
	g.Expect(err).NotTo(HaveOccurred())
	source := filepath.Join(found.Dir, "deserializers.go")
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
	g.Expect(err).NotTo(HaveOccurred())
	codes := map[string][]string{}
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		_, operation, ok := strings.Cut(function.Name.Name, "_deserializeOpError")
		if !ok {
			continue
		}
		codes[operation] = []string{}
		ast.Inspect(function, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			called, isSelector := call.Fun.(*ast.SelectorExpr)
			if !isSelector || called.Sel.Name != "EqualFold" {
				return true
			}
			literal, isLiteral := call.Args[0].(*ast.BasicLit)
			g.Expect(isLiteral).To(BeTrue())
			code, err := strconv.Unquote(literal.Value)
			g.Expect(err).NotTo(HaveOccurred())
			codes[operation] = append(codes[operation], code)
			return true
		})
	}
	return codes
}

// pemOf returns the certificate of a TLS server, as AWS_CA_BUNDLE takes it.
func pemOf(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}
