package cloudtrail

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// fakeS3 answers as S3 does. It is a transport, for those who want no network.
type fakeS3 struct {
	answer func(w http.ResponseWriter, r *http.Request)

	mu    sync.Mutex
	calls []*http.Request
}

// RoundTrip implements http.RoundTripper.
func (f *fakeS3) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.calls = append(f.calls, r)
	f.mu.Unlock()
	recorder := httptest.NewRecorder()
	f.answer(recorder, r)
	return recorder.Result(), nil
}

// regionOfCall is the region that a call was signed for.
func regionOfCall(r *http.Request) string {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	return strings.Split(scope, "/")[2]
}

// refuse answers with an error of S3.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message><RequestId>1</RequestId></Error>", code, message)
}

// storageOf returns the storage of a session in front of an S3.
func storageOf(server *fakeS3, edit func(*Options)) *Storage {
	return memorySession(memorySessions(server, edit)).Storage()
}

// listed is a page of ListObjectsV2.
type listed struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	EncodingType          string
	NextContinuationToken string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []listedObject
	CommonPrefixes        []struct{ Prefix string }
}

type listedObject struct {
	Key          string
	Size         int
	LastModified string `xml:",omitempty"`
}

func (l listed) write(w http.ResponseWriter) {
	l.EncodingType = "url"
	xml.NewEncoder(w).Encode(l) //nolint:errcheck // The client will tell.
}

func TestList(t *testing.T) {
	g := NewWithT(t)
	server := &fakeS3{answer: func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		g.Expect(query.Get("encoding-type")).To(Equal("url"))
		g.Expect(query.Get("prefix")).To(Equal("p/AWSLogs/"))
		g.Expect(query.Get("start-after")).To(Equal("p/AWSLogs/0"))
		page := listed{Contents: []listedObject{{url.QueryEscape("p/AWSLogs/\x01 +é"), 7, "2026-01-02T03:04:05Z"}}}
		if query.Get("continuation-token") == "" {
			page = listed{NextContinuationToken: "next", IsTruncated: true, Contents: []listedObject{{Key: "p/AWSLogs/a"}}}
		}
		page.write(w)
	}}
	var objects []digest.Object
	for object, err := range storageOf(server, nil).List(t.Context(), "logs", "p/AWSLogs/", "p/AWSLogs/0") {
		g.Expect(err).NotTo(HaveOccurred())
		object.LastModified = object.LastModified.UTC()
		objects = append(objects, object)
	}
	g.Expect(objects).To(HaveExactElements(
		digest.Object{Key: "p/AWSLogs/a"},
		digest.Object{
			Key: "p/AWSLogs/\x01 +é", Size: 7, LastModified: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
	))
}

func TestListStopsEarly(t *testing.T) {
	g := NewWithT(t)
	server := &fakeS3{answer: func(w http.ResponseWriter, _ *http.Request) {
		listed{NextContinuationToken: "next", IsTruncated: true, Contents: []listedObject{{Key: "a"}, {Key: "b"}}}.write(w)
	}}
	for _, err := range storageOf(server, nil).List(t.Context(), "logs", "", "") {
		g.Expect(err).NotTo(HaveOccurred())
		break
	}
	g.Expect(server.calls).To(HaveLen(1))
}

// A folder that is listed from its beginning is mostly listed for its first key.
func TestListBeginsSmall(t *testing.T) {
	g := NewWithT(t)
	var asked []string
	server := &fakeS3{answer: func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("max-keys"))
		page := listed{Contents: []listedObject{{Key: "b"}}}
		if r.URL.Query().Get("continuation-token") == "" {
			page = listed{NextContinuationToken: "next", IsTruncated: true, Contents: []listedObject{{Key: "a"}}}
		}
		page.write(w)
	}}
	for _, after := range []string{"", "0"} {
		for _, err := range storageOf(server, nil).List(t.Context(), "logs", "", after) {
			g.Expect(err).NotTo(HaveOccurred())
		}
	}
	g.Expect(asked).To(Equal([]string{"10", "", "", ""}))
}

func TestFolders(t *testing.T) {
	g := NewWithT(t)
	server := &fakeS3{answer: func(w http.ResponseWriter, r *http.Request) {
		g.Expect(r.URL.Query().Get("delimiter")).To(Equal("/"))
		listed{
			Contents:       []listedObject{{Key: "AWSLogs/file"}},
			CommonPrefixes: []struct{ Prefix string }{{"AWSLogs/111122223333/"}, {"AWSLogs/a+b/"}},
		}.write(w)
	}}
	folders, err := storageOf(server, nil).Folders(t.Context(), "logs", "AWSLogs/")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(folders).To(Equal([]string{"111122223333", "a b"}))
}

// What is stored comes as it is stored: nothing unpacks it on the way, and nothing collects it before it is read.
func TestOpen(t *testing.T) {
	g := NewWithT(t)
	reader, writer := io.Pipe()
	storage := storageOf(&fakeS3{}, func(o *Options) {
		o.Config.HTTPClient = clientFunc(func(r *http.Request) (*http.Response, error) {
			g.Expect(r.Header.Get("Accept-Encoding")).To(Equal("identity"))
			g.Expect(r.URL.Path).To(Equal("/logs/a key"))
			g.Expect(r.Header.Get("Authorization")).To(ContainSubstring("Credential=AKIDTEST/"))
			return &http.Response{StatusCode: http.StatusOK, ContentLength: 5, Body: reader, Header: http.Header{
				"Content-Encoding": {"gzip"}, "Content-Length": {"5"},
				"Last-Modified": {"Fri, 02 Jan 2026 03:04:05 GMT"}, "X-Amz-Meta-Signature-Algorithm": {"SHA256withRSA"},
			}}, nil
		})
	})
	content, err := storage.Open(t.Context(), "logs", "a key")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(content.Size).To(BeEquivalentTo(5))
	g.Expect(content.Metadata).To(Equal(map[string]string{"signature-algorithm": "SHA256withRSA"}))
	g.Expect(content.LastModified.UTC()).To(Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)))

	go io.WriteString(writer, "\x1f\x8b") //nolint:errcheck // The reader will tell.
	got := make([]byte, 5)
	g.Expect(content.Body.Read(got)).To(Equal(2), "what has come in so far")
	writer.CloseWithError(io.ErrUnexpectedEOF)
	_, err = content.Body.Read(got)
	g.Expect(err).To(BeAssignableToTypeOf(&digest.UnavailableError{}))
	g.Expect(err).To(HaveField("Transient", BeTrue()), "a connection that breaks is no proof of anything")
	g.Expect(content.Body.Close()).To(Succeed())
}

func TestStorageErrors(t *testing.T) {
	for name, test := range map[string]struct {
		status        int
		code, message string
		reason        string
		transient     bool
		missing       bool
		says          string
	}{
		"missing object": {status: 404, code: "NoSuchKey", missing: true},
		"missing bucket": {status: 404, code: "NoSuchBucket", reason: "NoSuchBucket", says: "check the name of the bucket"},
		"a page of something else": {
			status: 404, code: "", reason: "NotFound", says: "Not Found",
		},
		"no access": {
			status: 403, code: "AccessDenied", message: "Access Denied", reason: "AccessDenied",
			says: `[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::logs/p/AWSLogs/*"},` +
				`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::logs",` +
				`"Condition":{"StringLike":{"s3:prefix":"p/AWSLogs/*"}}}]`,
		},
		"no access to the key": {
			status: 403, code: "AccessDenied", message: "User is not authorized to perform: kms:Decrypt", reason: "AccessDenied",
			says: `[{"Effect":"Allow","Action":"kms:Decrypt","Resource":"KEY-ARN",` +
				`"Condition":{"StringEquals":{"kms:ViaService":"s3.` + testRegion + `.amazonaws.com"}}}]`,
		},
		"a key that is disabled": {
			status: 400, code: "KMS.DisabledException", reason: "KMS.DisabledException", says: "state of the key",
		},
		"archived": {
			status: 403, code: "InvalidObjectState", reason: digest.ReasonArchived, says: "restore the object",
		},
		"throttled":  {status: 503, code: "SlowDown", reason: "SlowDown", transient: true},
		"in trouble": {status: 500, code: "InternalError", reason: "InternalError", transient: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := &fakeS3{answer: func(w http.ResponseWriter, _ *http.Request) {
				if test.code == "" {
					w.WriteHeader(test.status)
					return
				}
				refuse(w, test.status, test.code, test.message)
			}}
			storage := storageOf(server, func(o *Options) { o.Config.Retryer = func() aws.Retryer { return aws.NopRetryer{} } })
			_, err := storage.Open(t.Context(), "logs", "p/AWSLogs/111122223333/CloudTrail/x.json.gz")
			if test.missing {
				g.Expect(err).To(MatchError(digest.ErrNotFound))
				return
			}
			g.Expect(err).To(BeAssignableToTypeOf(&digest.UnavailableError{}))
			g.Expect(err).To(And(
				HaveField("Reason", test.reason), HaveField("Transient", test.transient),
				HaveField("Message", And(HavePrefix("GetObject: "), ContainSubstring(test.says))),
			))
		})
	}
}

// No list says that something is not there because it could not be read.
func TestListErrors(t *testing.T) {
	g := NewWithT(t)
	server := &fakeS3{answer: func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "AccessDenied", "no") }}
	storage := storageOf(server, nil)
	_, err := storage.Folders(t.Context(), "logs", "p/AWSLogs/")
	g.Expect(err).To(MatchError(ContainSubstring(`"s3:prefix":"p/AWSLogs/*"`)))
	for _, err := range storage.List(t.Context(), "logs", "AWSLogs/1", "") {
		g.Expect(err).To(HaveField("Reason", "AccessDenied"))
	}
}

func TestBucketsOfOtherRegions(t *testing.T) {
	g := NewWithT(t)
	home := "eu-west-3"
	server := &fakeS3{}
	server.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Bucket-Region", home)
		if regionOfCall(r) != home {
			refuse(w, http.StatusMovedPermanently, "PermanentRedirect", "elsewhere")
			return
		}
		refuse(w, http.StatusNotFound, "NoSuchKey", "")
	}
	storage := storageOf(server, nil)
	open := func(bucket string) []string {
		server.calls = nil
		_, err := storage.Open(t.Context(), bucket, "key")
		g.Expect(err).To(MatchError(digest.ErrNotFound))
		var regions []string
		for _, call := range server.calls {
			regions = append(regions, regionOfCall(call))
		}
		return regions
	}
	g.Expect(open("logs")).To(Equal([]string{testRegion, "eu-west-3"}))
	g.Expect(open("logs")).To(Equal([]string{"eu-west-3"}))
	home = "ap-south-1" // It was deleted, and created anew.
	g.Expect(open("logs")).To(Equal([]string{"eu-west-3", "ap-south-1"}))
	for n := range 2 * maxBuckets {
		storage.isIn(fmt.Sprintf("bucket-%d", n), home)
	}
	g.Expect(len(storage.regions)).To(BeNumerically("<=", maxBuckets))
}

func TestARedirectLeadsToNoHostOfOthers(t *testing.T) {
	g := NewWithT(t)
	server := &fakeS3{answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Bucket-Region", "evil.example.com/")
		refuse(w, http.StatusMovedPermanently, "PermanentRedirect", "elsewhere")
	}}
	_, err := storageOf(server, nil).Open(t.Context(), "logs", "key")
	g.Expect(err).To(HaveField("Reason", "PermanentRedirect"))
	g.Expect(server.calls).To(HaveLen(1))
}

func TestHostsOfBuckets(t *testing.T) {
	for name, test := range map[string]struct{ endpoint, bucket, url string }{
		"AWS":         {"", "logs", "https://logs.s3.eu-central-1.amazonaws.com/key"},
		"dots":        {"", "my.logs", "https://s3.eu-central-1.amazonaws.com/my.logs/key"},
		"an emulator": {"http://127.0.0.1:4566", "logs", "http://127.0.0.1:4566/logs/key"},
		"a VPC endpoint": {
			"https://bucket.vpce-1.s3.eu-central-1.vpce.amazonaws.com", "logs",
			"https://logs.bucket.vpce-1.s3.eu-central-1.vpce.amazonaws.com/key",
		},
		"a directory bucket": {"", "logs--euc1-az1--x-s3", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := &fakeS3{answer: func(w http.ResponseWriter, _ *http.Request) { refuse(w, 404, "NoSuchKey", "") }}
			storage := storageOf(server, func(o *Options) {
				o.Config.Region, o.Config.BaseEndpoint = "eu-central-1", nil
				if test.endpoint != "" {
					o.Config.BaseEndpoint = aws.String(test.endpoint)
				}
			})
			storage.session.stsRegion = "eu-central-1"
			_, err := storage.Open(t.Context(), test.bucket, "key")
			g.Expect(err).To(HaveOccurred())
			for _, call := range server.calls {
				g.Expect(call.URL.Query()).NotTo(HaveKey("session"), "nobody may create a session")
				call.URL.RawQuery = ""
				if test.url != "" {
					g.Expect(call.URL.String()).To(Equal(test.url))
				}
			}
		})
	}
}

// The name of a bucket is in what was read from a bucket. It must not lead to anything else.
func TestNamesOfBuckets(t *testing.T) {
	server := &fakeS3{answer: func(w http.ResponseWriter, _ *http.Request) { refuse(w, 404, "NoSuchKey", "") }}
	storage := storageOf(server, nil)
	for _, name := range []string{
		"", "a", "../x", "a/b", "a b", "logs?x", strings.Repeat("a", 256),
		"arn:aws:s3:eu-central-1:111122223333:accesspoint/x",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := storage.Open(t.Context(), name, "key")
			NewWithT(t).Expect(err).To(HaveField("Reason", "InvalidBucketName"))
		})
	}
	NewWithT(t).Expect(server.calls).To(BeEmpty())
}

func TestStorageOfAContextThatEnds(t *testing.T) {
	g := NewWithT(t)
	ctx, cancel := context.WithCancel(t.Context())
	server := &fakeS3{answer: func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		refuse(w, 503, "SlowDown", "")
	}}
	_, err := storageOf(server, nil).Open(ctx, "logs", "key")
	g.Expect(err).To(MatchError(context.Canceled))
}

// Calls to S3 count as all others do, and a reconcile's Calls do not end a read that takes longer than a moment.
func TestCallsToS3AreMetered(t *testing.T) {
	g := NewWithT(t)
	meter := &countingMeter{}
	server := &fakeS3{answer: func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "AccessDenied", "") }}
	storage := storageOf(server, func(o *Options) { o.Meter = meter })
	calls := NewCalls("team", "audit", func() {})
	ctx, err := calls.Begin(t.Context(), 1, ForChange, time.Minute, time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	_, err = storage.Open(ctx, "logs", "key")
	g.Expect(err).To(HaveField("Reason", "AccessDenied"))
	g.Expect(meter.called).To(Equal([]string{testRegion + " GetObject AccessDenied"}))
	g.Expect(server.calls[0].Header.Get("User-Agent")).To(HaveSuffix("trail-operator/v1.2.3 (team/audit)"))
}

type countingMeter struct {
	noMeter
	called []string
	used   map[string]bool
}

func (m *countingMeter) Called(region, operation, code string, _ time.Duration) {
	m.called = append(m.called, region+" "+operation+" "+code)
}

func (m *countingMeter) Used(regions map[string]bool) { m.used = regions }

// Clients of S3 are shared by all sessions, and let go of when nobody uses them.
func TestClientsOfS3(t *testing.T) {
	g := NewWithT(t)
	meter := &countingMeter{}
	server := &fakeS3{answer: func(w http.ResponseWriter, _ *http.Request) { refuse(w, 404, "NoSuchKey", "") }}
	sessions := memorySessions(server, func(o *Options) { o.Meter = meter })
	g.Expect(sessions.bucketsOf("eu-west-3")).To(BeIdenticalTo(sessions.bucketsOf("eu-west-3")))
	sessions.sweep()
	g.Expect(sessions.buckets).To(HaveLen(1))
	g.Expect(meter.used).To(HaveKey("eu-west-3"))
	g.Expect(sessions.sweeper).NotTo(BeNil())
	sessions.buckets["eu-west-3"].used = time.Now().Add(-2 * clientUnused)
	sessions.sweep()
	g.Expect(sessions.buckets).To(BeEmpty())
	g.Expect(meter.used).NotTo(HaveKey("eu-west-3"))
}

// An object of 50 MB may take as long as it takes, as long as it goes on.
func TestStreams(t *testing.T) {
	g := NewWithT(t)
	cleanEnvironment(t, withKeys(map[string]string{"AWS_REGION": testRegion}))
	cfg, err := LoadConfig(t.Context(), "")
	g.Expect(err).NotTo(HaveOccurred())
	client, ok := streaming(cfg.HTTPClient).(inMemory)
	g.Expect(ok).To(BeTrue())
	buildable, ok := client.HTTPClient.(*awshttp.BuildableClient)
	g.Expect(ok).To(BeTrue())
	g.Expect(buildable.GetTimeout()).To(BeZero())
	stalls, _ := buildable.GetReadTimeout()
	g.Expect(stalls).To(Equal(callTimeout))
	g.Expect(buildable.GetTransport().MaxIdleConnsPerHost).To(Equal(maxIdleConnsPerHost))
}
