package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/smithy-go"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// fakeSTS answers AssumeRole and GetCallerIdentity: an access key is of the account of its role, or else of
// testAccount. CloudTrail's calls succeed.
type fakeSTS struct {
	*httptest.Server

	mu sync.Mutex
	// account and code are what GetCallerIdentity answers: an account, or an error.
	account, code string
	// lifetime is how long a role's credentials last.
	lifetime time.Duration
	// reject returns the code by which AWS refuses a call, "" for none; nil: it refuses none.
	reject func(stsCall) string
	// hold is what calls wait for, and slow how long those of an operation take.
	hold  chan struct{}
	slow  map[string]time.Duration
	calls []stsCall
}

type stsCall struct {
	action, AccessKey, UserAgent string
	form                         map[string]string
}

// newMemorySTS returns one for those who want no network.
func newMemorySTS() *fakeSTS { return &fakeSTS{account: testAccount, lifetime: time.Hour} }

// RoundTrip implements http.RoundTripper.
func (f *fakeSTS) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	f.ServeHTTP(recorder, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return recorder.Result(), nil
}

func newFakeSTS(t *testing.T, start func(*httptest.Server)) *fakeSTS {
	t.Helper()
	f := newMemorySTS()
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ErrorLog = log.New(io.Discard, "", 0) // Some handshakes fail on purpose.
	start(f.Server)
	t.Cleanup(f.Close)
	return f
}

// ServeHTTP implements http.Handler.
func (f *fakeSTS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	accessKey, _, _ := strings.Cut(credential, "/")
	call := stsCall{
		action:    r.PostForm.Get("Action"),
		AccessKey: accessKey,
		UserAgent: r.UserAgent(),
		form:      map[string]string{},
	}
	for key, values := range r.PostForm {
		call.form[key] = values[0]
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		call.action = target[strings.LastIndex(target, ".")+1:]
	}
	f.mu.Lock()
	f.calls = append(f.calls, call)
	account, code, lifetime, hold, slow, rejected := f.account, f.code, f.lifetime, f.hold, f.slow[call.action], ""
	if f.reject != nil {
		rejected = f.reject(call)
	}
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}
	if slow > 0 {
		pass(slow)
	}
	switch {
	case rejected != "" && (call.action == "AssumeRole" || call.action == "GetCallerIdentity"):
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error>`+
			`</ErrorResponse>`, rejected)
	case rejected != "":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, refusal(rejected, "no"))
	case call.action == "GetCallerIdentity" && code != "" || call.action == "AssumeRole" && code == "AccessDenied":
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error>`+
			`<RequestId>7a62c49f</RequestId></ErrorResponse>`, code)
	case call.action == "GetCallerIdentity":
		fmt.Fprintf(w, `<GetCallerIdentityResponse><GetCallerIdentityResult>`+
			`<Arn>arn:aws:sts::%s:assumed-role/r/s</Arn><UserId>AROA:s</UserId><Account>%s</Account>`+
			`</GetCallerIdentityResult></GetCallerIdentityResponse>`, account, account)
	case call.action == "AssumeRole":
		fmt.Fprintf(w, `<AssumeRoleResponse><AssumeRoleResult>`+
			`<AssumedRoleUser><Arn>arn:aws:sts::444455556666:assumed-role/r/s</Arn>`+
			`<AssumedRoleId>AROA:s</AssumedRoleId></AssumedRoleUser>
			<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey>`+
			`<SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials>`+
			`</AssumeRoleResult></AssumeRoleResponse>`,
			roleKey(len(f.made("AssumeRole"))), time.Now().Add(lifetime).UTC().Format(time.RFC3339))
	default:
		fmt.Fprint(w, "{}")
	}
}

// roleKey is the access key that the n-th AssumeRole is answered, counted from 1.
func roleKey(n int) string { return "ASIAROLE" + strconv.Itoa(n) }

func (f *fakeSTS) made(action string) []stsCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []stsCall
	for _, call := range f.calls {
		if call.action == action {
			calls = append(calls, call)
		}
	}
	return calls
}

func (f *fakeSTS) set(edit func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit()
}

func testSessions(endpoint string) *Sessions {
	return NewSessions(Options{
		Config: testConfig(endpoint), ClusterID: "cluster/1", Version: "v1.2.3", MaxWait: time.Minute,
	})
}

func testIdentity(edit func(*v1alpha1.AWSIdentity)) *v1alpha1.AWSIdentity {
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "default", UID: "uid-1", Generation: 1}}
	if edit != nil {
		edit(identity)
	}
	return identity
}

// cleanEnvironment leaves nothing of the machine's AWS and proxy settings but what is given.
func cleanEnvironment(t *testing.T, environment map[string]string) {
	t.Helper()
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			t.Setenv(name, "") // Restores it afterwards.
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none,
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	for name, value := range environment {
		t.Setenv(name, value)
	}
}

func withKeys(environment map[string]string) map[string]string {
	environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"] = "AKIAENV", "secret"
	return environment
}

// TestEndpoints loads the configuration from the environment and looks where CloudTrail and STS are called.
func TestEndpoints(t *testing.T) {
	const forAll, forCloudTrail, forSTS = "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDTRAIL", "AWS_ENDPOINT_URL_STS"
	for name, c := range map[string]struct {
		environment  []string // Names of variables that point to servers of the same name.
		identity     string   // The server of the identity's endpointURL.
		cloudTrail   string
		sts          string
		spareByLimit bool // Whether the endpoint is not taken for AWS's.
	}{
		"one endpoint for all":              {[]string{forAll}, "", forAll, forAll, true},
		"CloudTrail's own":                  {[]string{forAll, forCloudTrail}, "", forCloudTrail, forAll, true},
		"CloudTrail's own and STS's own":    {[]string{forSTS, forCloudTrail}, "", forCloudTrail, forSTS, true},
		"the identity's before all others":  {[]string{forAll, forCloudTrail}, "identity", "identity", forAll, true},
		"the identity's, STS in its region": {[]string{forSTS}, "identity", "identity", forSTS, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			servers, environment := map[string]*fakeSTS{}, map[string]string{}
			for _, variable := range append(c.environment, "identity") {
				servers[variable] = newFakeSTS(t, (*httptest.Server).Start)
				environment[variable] = servers[variable].URL
			}
			cleanEnvironment(t, withKeys(environment))
			config, err := LoadConfig(t.Context(), testRegion)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(isAWSEndpoint(endpointOf(config))).NotTo(Equal(c.spareByLimit))
			identity := testIdentity(func(identity *v1alpha1.AWSIdentity) {
				if c.identity != "" {
					identity.Spec.EndpointURL = servers[c.identity].URL
				}
			})
			session, err := NewSessions(Options{Config: config}).Open(t.Context(), identity)
			g.Expect(err).NotTo(HaveOccurred())
			_, err = session.Region(testRegion).Status(t.Context(), "arn")
			g.Expect(err).NotTo(HaveOccurred())
			for server, f := range servers {
				g.Expect(f.made("GetTrailStatus")).To(HaveLen(map[bool]int{true: 1}[server == c.cloudTrail]), server)
				g.Expect(f.made("GetCallerIdentity")).To(HaveLen(map[bool]int{true: 1}[server == c.sts]), server)
			}
		})
	}
}

func TestCABundle(t *testing.T) {
	server := newFakeSTS(t, (*httptest.Server).StartTLS)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pemOf(server.Server), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		bundle string
		works  bool
	}{"with": {bundle, true}, "without": {"", false}} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			environment := map[string]string{"AWS_ENDPOINT_URL": server.URL}
			if c.bundle != "" {
				environment["AWS_CA_BUNDLE"] = c.bundle
			}
			cleanEnvironment(t, withKeys(environment))
			config, err := LoadConfig(t.Context(), testRegion)
			g.Expect(err).NotTo(HaveOccurred())
			session, err := NewSessions(Options{Config: config}).Open(t.Context(), testIdentity(nil))
			if !c.works {
				g.Expect(err).To(MatchError(ContainSubstring("set AWS_CA_BUNDLE")))
				g.Expect(Is(err, Transient)).To(BeTrue())
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			_, err = session.Region(testRegion).Status(t.Context(), "arn")
			g.Expect(err).NotTo(HaveOccurred(), "CloudTrail's client trusts it, too")
		})
	}
	t.Run("a bundle that is none is told", func(t *testing.T) {
		cleanEnvironment(t, withKeys(map[string]string{"AWS_CA_BUNDLE": bundle + ".gone"}))
		_, err := LoadConfig(t.Context(), testRegion)
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring("loading the AWS configuration")))
	})
}

// TestProxy runs this test in a process of its own, as Go reads the proxy variables once in a process.
func TestProxy(t *testing.T) {
	const child = "TEST_PROXY_CHILD"
	if os.Getenv(child) != "" {
		config, err := LoadConfig(t.Context(), testRegion)
		if err != nil {
			t.Fatal(err)
		}
		_, err = NewSessions(Options{Config: config}).Open(t.Context(), testIdentity(nil))
		NewWithT(t).Expect(Is(err, Transient)).To(BeTrue(), "the proxy lets nobody through: %v", err)
		return
	}
	g := NewWithT(t)
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		http.Error(w, "no", http.StatusBadGateway)
	}))
	t.Cleanup(proxy.Close)
	cleanEnvironment(t, withKeys(map[string]string{"HTTPS_PROXY": proxy.URL, child: "1"}))
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxy$")
	out, err := command.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(out))
	g.Expect(asked).To(Receive(Equal("CONNECT sts.eu-central-1.amazonaws.com:443")))
}

func TestNoCredentials(t *testing.T) {
	server := newFakeSTS(t, (*httptest.Server).Start)
	for name, edit := range map[string]func(*v1alpha1.AWSIdentity){
		"for the operator itself": nil,
		"for a role": func(identity *v1alpha1.AWSIdentity) {
			identity.Spec.RoleARN = "arn:aws:iam::444455556666:role/r"
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			cleanEnvironment(t, map[string]string{"AWS_ENDPOINT_URL": server.URL})
			config, err := LoadConfig(t.Context(), testRegion)
			g.Expect(err).NotTo(HaveOccurred())
			_, err = NewSessions(Options{Config: config}).Open(t.Context(), testIdentity(edit))
			g.Expect(Is(err, Permission)).To(BeTrue(), "%v", err)
			g.Expect(err).To(MatchError(ContainSubstring("NoCredentials: no AWS credentials: give")))
		})
	}
}

func TestRegionOfTheConfiguration(t *testing.T) {
	for name, c := range map[string]struct{ environment, flag, region string }{
		"from the environment":       {"us-east-1", "", "us-east-1"},
		"the flag before the others": {"us-east-1", testRegion, testRegion},
		"none":                       {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			environment := map[string]string{}
			if c.environment != "" {
				environment["AWS_REGION"] = c.environment
			}
			cleanEnvironment(t, environment)
			config, err := LoadConfig(t.Context(), c.flag)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(NewSessions(Options{Config: config}).DefaultRegion()).To(Equal(c.region))
		})
	}
}

func TestRetryer(t *testing.T) {
	t.Parallel()
	for code, again := range map[string]bool{
		"ConflictException": true, "ThrottlingException": true, "RequestTimeout": true,
		"AccessDeniedException": false, "TrailNotFoundException": false, "InsufficientS3BucketPolicyException": false,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			for _, mode := range []aws.RetryMode{"", aws.RetryModeStandard, aws.RetryModeAdaptive} {
				g.Expect(newRetryer(mode, 0).IsErrorRetryable(&smithy.GenericAPIError{Code: code})).To(Equal(again))
			}
		})
	}
}

func TestRetryAttempts(t *testing.T) {
	t.Parallel()
	for _, mode := range []aws.RetryMode{"", aws.RetryModeStandard, aws.RetryModeAdaptive} {
		for attempts, want := range map[int]int{0: retry.DefaultMaxAttempts, 1: 1, 7: 7} {
			NewWithT(t).Expect(newRetryer(mode, attempts).MaxAttempts()).To(Equal(want), "%q %d", mode, attempts)
		}
	}
}

// TestSharedClients holds that identities share a client, but neither credentials nor the retries that a client has
// left.
func TestSharedClients(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	config := testConfig("http://emulator")
	config.Retryer = func() aws.Retryer { return newRetryer(aws.RetryModeStandard, 0) }
	sessions := NewSessions(Options{Config: config})
	region := func(key string) (*Region, cloudtrail.Options) {
		session := memorySession(sessions)
		session.credentials = newSessionCredentials(credentials.NewStaticCredentialsProvider(key, "secret", ""),
			sessions.options.Now)
		region, options := session.Region(testRegion), cloudtrail.Options{}
		region.as(&options)
		return region, options
	}
	first, ofFirst := region("AKIAFIRST")
	second, ofSecond := region("AKIASECOND")
	g.Expect(first.api).To(BeIdenticalTo(second.api))
	g.Expect(ofFirst.Retryer).NotTo(BeIdenticalTo(ofSecond.Retryer))
	for key, options := range map[string]cloudtrail.Options{"AKIAFIRST": ofFirst, "AKIASECOND": ofSecond} {
		found, err := options.Credentials.Retrieve(t.Context())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(found.AccessKeyID).To(Equal(key))
	}
}

// TestRetriesOfTheConfiguration counts the tries that the environment allows.
func TestRetriesOfTheConfiguration(t *testing.T) {
	server := newFakeSTS(t, (*httptest.Server).Start)
	for name, c := range map[string]struct {
		environment map[string]string
		mode        aws.RetryMode
	}{
		"standard": {map[string]string{}, ""},
		"adaptive": {map[string]string{"AWS_RETRY_MODE": "adaptive"}, aws.RetryModeAdaptive},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			c.environment["AWS_ENDPOINT_URL"] = server.URL
			cleanEnvironment(t, withKeys(c.environment)) // With one attempt.
			config, err := LoadConfig(t.Context(), testRegion)
			g.Expect(err).NotTo(HaveOccurred())
			before := len(server.made("GetCallerIdentity"))
			server.set(func() { server.code = "Throttling" })
			_, err = NewSessions(Options{Config: config}).Open(t.Context(), testIdentity(nil))
			g.Expect(Is(err, Transient)).To(BeTrue(), "%v", err)
			g.Expect(server.made("GetCallerIdentity")).To(HaveLen(before + 1))
			g.Expect(config.RetryMode).To(Equal(c.mode))
			g.Expect(config.Retryer().IsErrorRetryable(&smithy.GenericAPIError{Code: "ConflictException"})).To(BeTrue())
		})
	}
}

func TestSessionNames(t *testing.T) {
	t.Parallel()
	const uid = "0b6f2e7a-1111-4222-8333-444455556666"
	for name, c := range map[string]struct{ clusterID, want string }{
		"a UID":                 {uid, "trail-operator-" + uid},
		"all that AWS allows":   {"A_z+=,.@-9", "trail-operator-A_z+=,.@-9"},
		"what AWS does not":     {"prod/eu west:1", "trail-operator-prod-eu-west-1"},
		"not ASCII":             {"prüfung", "trail-operator-pr-fung"},
		"longer than AWS takes": {strings.Repeat("x", 100), "trail-operator-" + strings.Repeat("x", 49)},
		"long and not ASCII":    {strings.Repeat("é", 100), "trail-operator--"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			g.Expect(sessionName(c.clusterID)).To(Equal(c.want))
			g.Expect(sessionName(c.clusterID)).To(MatchRegexp(`^[\w+=,.@-]{2,64}$`))
		})
	}
}

// TestAssumeRole goes from the operator's own key to the role's.
func TestAssumeRole(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	server := newFakeSTS(t, (*httptest.Server).Start)
	server.account = "444455556666"
	identity := testIdentity(func(identity *v1alpha1.AWSIdentity) {
		identity.Spec.RoleARN, identity.Spec.ExternalID = "arn:aws:iam::444455556666:role/r", "external/1"
		identity.Spec.SessionTags = []v1alpha1.SessionTag{{Key: "team", Value: "security"}, {Key: "empty"}}
	})
	sessions := testSessions(server.URL)
	session, err := sessions.Open(t.Context(), identity)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(session.AccountID).To(Equal("444455556666"))
	g.Expect(session.ARN()).To(Equal("arn:aws:sts::444455556666:assumed-role/r/s"))
	_, err = session.Region(testRegion).Status(t.Context(), "arn")
	g.Expect(err).NotTo(HaveOccurred())

	assumed := server.made("AssumeRole")
	g.Expect(assumed).To(HaveLen(1), "credentials are kept")
	g.Expect(assumed[0].AccessKey).To(Equal("AKIDTEST"))
	g.Expect(assumed[0].UserAgent).To(HaveSuffix(" trail-operator/v1.2.3"))
	g.Expect(assumed[0].form).To(And(
		HaveKeyWithValue("RoleArn", "arn:aws:iam::444455556666:role/r"),
		HaveKeyWithValue("RoleSessionName", "trail-operator-cluster-1"),
		HaveKeyWithValue("ExternalId", "external/1"),
		HaveKeyWithValue("Tags.member.1.Key", "team"), HaveKeyWithValue("Tags.member.1.Value", "security"),
		HaveKeyWithValue("Tags.member.2.Key", "empty"), HaveKeyWithValue("Tags.member.2.Value", ""),
	))
	g.Expect(server.made("GetCallerIdentity")).To(ConsistOf(HaveField("AccessKey", "ASIAROLE1")))
	g.Expect(server.made("GetTrailStatus")).To(ConsistOf(HaveField("AccessKey", "ASIAROLE1")))

	plain := testIdentity(func(identity *v1alpha1.AWSIdentity) {
		identity.UID, identity.Spec.RoleARN = "uid-2", "arn:aws:iam::444455556666:role/r"
	})
	_, err = sessions.Open(t.Context(), plain)
	g.Expect(err).NotTo(HaveOccurred())
	for key := range server.made("AssumeRole")[1].form {
		g.Expect(key).NotTo(Or(HavePrefix("Tags"), Equal("ExternalId")), "session tags need a trust policy of their own")
	}
}

func TestRoleCredentialsAreRenewed(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	server := newFakeSTS(t, (*httptest.Server).Start)
	server.lifetime = credentialsExpiry / 2
	session, err := testSessions(server.URL).Open(t.Context(), testIdentity(func(identity *v1alpha1.AWSIdentity) {
		identity.Spec.RoleARN = "arn:aws:iam::444455556666:role/r"
	}))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = session.Region(testRegion).Status(t.Context(), "arn")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(server.made("AssumeRole")).To(HaveLen(2), "what ends within a minute is not used any more")
}

func TestSessionsAreShared(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	server := newFakeSTS(t, (*httptest.Server).Start)
	server.hold = make(chan struct{})
	sessions := testSessions(server.URL)
	impatient, cancel := context.WithCancel(t.Context())
	var gaveUp error
	var first, others sync.WaitGroup
	first.Go(func() { _, gaveUp = sessions.Open(impatient, testIdentity(nil)) })
	g.Eventually(func() []stsCall { return server.made("GetCallerIdentity") }).
		Should(HaveLen(1), "the first caller opens the session")
	opened := make([]*Session, 50)
	for i := range opened {
		others.Go(func() {
			var err error
			if opened[i], err = sessions.Open(t.Context(), testIdentity(nil)); err != nil {
				t.Error(err)
			}
		})
	}
	cancel()
	first.Wait()
	g.Expect(gaveUp).To(MatchError(ContainSubstring("Canceled")))
	close(server.hold)
	others.Wait()
	for _, session := range opened {
		g.Expect(session).To(BeIdenticalTo(opened[0]))
	}
	g.Expect(server.made("GetCallerIdentity")).To(HaveLen(1), "one call for all, and who gives up does not end it")
	g.Expect(opened[0].Region(testRegion)).To(BeIdenticalTo(opened[0].Region(testRegion)))
	g.Expect(opened[0].Region(testRegion)).NotTo(BeIdenticalTo(opened[0].Region("us-east-1")))
}

// TestSessionsAreReopened holds when a session is opened anew.
func TestSessionsAreReopened(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		then  func(*Sessions, *fakeSTS, *v1alpha1.AWSIdentity)
		calls int
	}{
		"not for another reconcile": {func(*Sessions, *fakeSTS, *v1alpha1.AWSIdentity) {}, 1},
		"not for its status": {func(_ *Sessions, _ *fakeSTS, identity *v1alpha1.AWSIdentity) {
			identity.ResourceVersion, identity.Status.AccountID = "2", testAccount
		}, 1},
		"for a changed spec": {func(_ *Sessions, _ *fakeSTS, identity *v1alpha1.AWSIdentity) {
			identity.Generation++
		}, 2},
		"for a new object": {func(_ *Sessions, _ *fakeSTS, identity *v1alpha1.AWSIdentity) {
			identity.UID = "uid-2"
		}, 2},
		"when it was forgotten": {func(sessions *Sessions, _ *fakeSTS, identity *v1alpha1.AWSIdentity) {
			sessions.Forget(identity.UID)
		}, 2},
		"others are not forgotten": {func(sessions *Sessions, _ *fakeSTS, _ *v1alpha1.AWSIdentity) {
			sessions.Forget(types.UID("uid-2"))
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			server := newFakeSTS(t, (*httptest.Server).Start)
			sessions, identity := testSessions(server.URL), testIdentity(nil)
			_, err := sessions.Open(t.Context(), identity)
			g.Expect(err).NotTo(HaveOccurred())
			c.then(sessions, server, identity)
			_, err = sessions.Open(t.Context(), identity)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(server.made("GetCallerIdentity")).To(HaveLen(c.calls))
		})
	}
}

// TestSessionsThatCannotBeOpened holds that a session that could not be opened is opened anew after a while.
func TestSessionsThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code, message, operation string
		edit                     func(*v1alpha1.AWSIdentity)
		asked                    int // GetCallerIdentity's calls.
	}{
		"the operator's own credentials": {"ExpiredToken", "GetCallerIdentity: ExpiredToken: no", getCallerIdentity, nil, 1},
		"a role": {"AccessDenied", "AssumeRole: AccessDenied: no", "AssumeRole", func(identity *v1alpha1.AWSIdentity) {
			identity.Spec.RoleARN = "arn:aws:iam::444455556666:role/r"
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				server := newMemorySTS()
				server.code = c.code
				sessions, identity := memorySessions(server, nil), testIdentity(c.edit)
				_, err := sessions.Open(t.Context(), identity)
				g.Expect(Is(err, Permission)).To(BeTrue(), "%v", err)
				g.Expect(err).To(MatchError(c.message))
				known, _ := errors.AsType[*Error](err)
				g.Expect(known.Operation).To(Equal(c.operation))
				g.Expect(server.made(getCallerIdentity)).To(HaveLen(c.asked))

				server.set(func() { server.code = "" })
				pass(firstReopen - 1)
				_, err = sessions.Open(t.Context(), identity)
				g.Expect(err).To(MatchError(c.message), "AWS is not asked again and again")
				pass(1)
				_, err = sessions.Open(t.Context(), identity)
				g.Expect(err).NotTo(HaveOccurred())
			})
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	server := newFakeSTS(t, (*httptest.Server).Start)
	sessions, identity := testSessions(server.URL), testIdentity(nil)
	calls := func() int { return len(server.made("GetCallerIdentity")) }

	first, err := sessions.Check(t.Context(), identity, false)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(calls()).To(Equal(1), "a session that was just opened was checked by that")
	second, err := sessions.Check(t.Context(), identity, false)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(calls()).To(Equal(2))
	g.Expect(second).To(BeIdenticalTo(first))

	server.set(func() { server.code = "InvalidClientTokenId" })
	_, err = sessions.Check(t.Context(), identity, false)
	g.Expect(Is(err, Permission)).To(BeTrue(), "%v", err)

	server.set(func() { server.code, server.account = "", "444455556666" })
	third, err := sessions.Check(t.Context(), identity, false)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(third.AccountID).To(Equal("444455556666"))
	g.Expect(first.AccountID).To(Equal(testAccount), "what others hold does not change under them")
	g.Expect(third.Region(testRegion).AccountID()).To(Equal("444455556666"))
}

func TestAWSEndpoints(t *testing.T) {
	t.Parallel()
	for endpoint, is := range map[string]bool{
		"": true,
		"https://cloudtrail.eu-central-1.amazonaws.com":                    true,
		"https://cloudtrail-fips.us-east-1.amazonaws.com":                  true,
		"https://vpce-0123.cloudtrail.us-east-1.vpce.amazonaws.com":        true,
		"https://cloudtrail.cn-north-1.amazonaws.com.cn":                   true,
		"https://cloudtrail.us-east-1.api.aws":                             true,
		"https://cloudtrail.us-iso-east-1.c2s.ic.gov":                      true,
		"https://CloudTrail.US-East-1.AmazonAWS.com:443":                   true,
		"http://localhost:4566":                                            false,
		"http://127.0.0.1:4566":                                            false,
		"http://localstack.default.svc:4566":                               false,
		"https://notamazonaws.com":                                         false,
		"https://amazonaws.com.example.org":                                false,
		"https://example.org/cloudtrail.us-east-1.amazonaws.com":           false,
		"http://emulator.trail-operator.svc.cluster.local/amazonaws.com.x": false,
		":not a url": true,
	} {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(isAWSEndpoint(endpoint)).To(Equal(is))
		})
	}
}
