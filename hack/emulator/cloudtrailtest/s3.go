package cloudtrailtest

import (
	"encoding/xml"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// s3Handler does what a request asks for. It is called with the lock held, for a bucket that exists.
type s3Handler func(*Server, *call, *s3Request) (*s3Answer, error)

// s3Operations are the operations of S3 that are emulated.
var s3Operations map[string]s3Handler

func init() {
	s3Operations = map[string]s3Handler{
		"GetBucketLocation": (*Server).getBucketLocation,
		"HeadBucket":        (*Server).headBucket,
		"ListObjects":       (*Server).listObjects,
		"ListObjectsV2":     (*Server).listObjects,
		"GetObject":         (*Server).getObject,
		"HeadObject":        (*Server).getObject,
		"PutObject":         (*Server).putObject,
		"CopyObject":        (*Server).copyObject,
		"DeleteObject":      (*Server).deleteObject,
	}
}

// s3Permissions are the permissions that operations need, where their names differ.
var s3Permissions = map[string]string{
	"HeadBucket": "ListBucket", "ListObjects": "ListBucket", "ListObjectsV2": "ListBucket",
	"HeadObject": "GetObject", "CopyObject": "PutObject",
}

// s3Request is a request to S3.
type s3Request struct {
	operation   string
	bucket, key string
	// endpoint is the region whose endpoint the request went to. "" is that of the signature: the host does not tell.
	// global is the endpoint of no region, which leads to the bucket wherever it is.
	endpoint string
	query    url.Values
	header   http.Header
	// body is what is to be stored, without the framing of chunks.
	body []byte
	// expected is the region that an error asks the client to use.
	expected string
}

// global is the endpoint s3.amazonaws.com.
const global = "global"

// s3Answer is an answer of S3: with a body as it is, or with one in XML.
type s3Answer struct {
	status int
	header http.Header
	body   []byte
	xml    any
}

// s3Host is an endpoint of S3: that of a region or the global one, with the bucket in front of it or not.
var s3Host = regexp.MustCompile(
	`^(?:(.+)\.)?s3(?:[.-]dualstack)?(?:[.-]([a-z]{2}(?:-[a-z]+)+-[0-9]))?\.amazonaws\.com(?:\.cn)?$`,
)

// isS3 says whether a request is one to S3: by the service of its signature or, without one, by its host.
func isS3(r *http.Request) bool {
	if header := r.Header.Get("Authorization"); header != "" {
		sig, err := parseAuthorization(header)
		return err == nil && sig.service == "s3"
	}
	scope := strings.Split(r.URL.Query().Get("X-Amz-Credential"), "/")
	return len(scope) == 5 && scope[3] == "s3" || s3Host.MatchString(hostname(r))
}

func hostname(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return r.Host
}

// serveS3 answers S3's protocol: HTTP's own methods, headers and statuses, with XML.
func (x *exchange) serveS3() {
	q := x.readS3Request()
	out, err := x.s3(q)
	if x.failed(err, func(e *APIError) { x.writeS3Error(q, e) }) {
		return
	}

	raw := out.body
	if out.xml != nil {
		body, err := xml.Marshal(out.xml)
		if err != nil {
			x.writeS3Error(q, asAPIError(err))
			return
		}
		raw = append([]byte(xml.Header), body...)
		x.w.Header().Set("Content-Type", "application/xml")
	}
	maps.Copy(x.w.Header(), out.header)
	if out.status == 0 {
		out.status = http.StatusOK
	}
	x.writeS3(out.status, raw)
}

func (x *exchange) s3(q *s3Request) (out *s3Answer, err error) {
	s, c := x.server, x.call
	c.operation = q.operation
	c.params = newMembers(q.fields())
	handle, known := s3Operations[q.operation]
	if !known {
		err = fail("NotImplemented", "A header you provided implies functionality that is not implemented")
	}
	if err == nil {
		err = x.authenticateS3(q)
	}
	if err != nil {
		s.record(c, err)
		return nil, err
	}

	_, err = s.attempt(x.r.Context().Done(), c, func() (map[string]any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.now = s.now()
		s.deliver()
		region, err := s.admitS3(c, q)
		if region != "" {
			x.w.Header().Set("X-Amz-Bucket-Region", region)
		}
		if err == nil {
			out, err = handle(s, c, q)
		}
		return nil, err
	})
	return out, err
}

// subresources are the queries that ask for something of a bucket or an object that is not emulated.
var subresources = []string{
	"accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering", "inventory",
	"legal-hold", "lifecycle", "logging", "metadataTable", "metrics", "notification", "object-lock", "ownershipControls",
	"partNumber", "policy", "policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore", "retention",
	"select", "session", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
	"X-Amz-Algorithm",
}

// readS3Request reads what a request is about, from its host and path.
func (x *exchange) readS3Request() *s3Request {
	q := &s3Request{query: x.r.URL.Query(), header: x.r.Header, body: x.body}
	path := strings.TrimPrefix(x.r.URL.Path, "/")
	if virtual, ok := x.virtualHost(q); ok {
		q.bucket, q.key = virtual, path
	} else {
		q.bucket, q.key, _ = strings.Cut(path, "/")
	}

	q.operation = q.named(x.r.Method)
	return q
}

// virtualHost returns the bucket that the host names, and notes the region of the endpoint. Besides the hosts of AWS
// there may be bucket.HOST for any HOST; whether a host is one of them is told by the buckets that there are.
func (x *exchange) virtualHost(q *s3Request) (string, bool) {
	host := hostname(x.r)
	if match := s3Host.FindStringSubmatch(host); match != nil {
		q.endpoint = match[2]
		orDefault(&q.endpoint, global)
		return match[1], match[1] != ""
	}

	label, _, dotted := strings.Cut(host, ".")
	if !dotted || net.ParseIP(host) != nil {
		return "", false
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(x.r.URL.Path, "/"), "/")
	s := x.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.knowsBucket(label) {
		return label, true
	}
	return label, s.opts.OpenResources && !s.knowsBucket(first) && validBucketName(label) == nil
}

// knowsBucket says whether somebody has named a bucket: it was registered or deleted, or something was put in it, or is
// going to be.
func (s *Server) knowsBucket(name string) bool {
	if _, ok := s.resources.buckets.known[name]; ok || s.resources.buckets.gone[name] || s.objects[name] != nil {
		return true
	}
	for _, t := range s.byARN {
		if t.bucket == name {
			return true
		}
	}
	return false
}

// named returns the operation's name, or a name that is not emulated.
func (q *s3Request) named(method string) string {
	for _, name := range subresources {
		if q.query.Has(name) {
			return method + " ?" + name
		}
	}

	switch what := map[bool]string{true: "Bucket", false: "Object"}[q.key == ""]; {
	case q.bucket == "":
		return "ListBuckets"
	case what == "Object" && method == http.MethodPut && q.header.Get("X-Amz-Copy-Source") != "":
		return "CopyObject"
	case what == "Bucket" && method == http.MethodGet && q.query.Has("location"):
		return "GetBucketLocation"
	case what == "Bucket" && method == http.MethodGet && q.query.Get("list-type") == "2":
		return "ListObjectsV2"
	case what == "Bucket" && method == http.MethodGet:
		return "ListObjects"
	default:
		return strings.ToUpper(method[:1]) + strings.ToLower(method[1:]) + what
	}
}

// fields are the request's members, for the record of calls.
func (q *s3Request) fields() map[string]any {
	out := map[string]any{}
	for name, value := range map[string]string{
		"Bucket": q.bucket, "Key": q.key, "Prefix": q.query.Get("prefix"), "Delimiter": q.query.Get("delimiter"),
		"StartAfter": q.query.Get("start-after"), "CopySource": q.header.Get("X-Amz-Copy-Source"),
	} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

// admitS3 says whether the caller may do to the bucket what the request asks for, and returns the bucket's region, ""
// if nobody is told.
func (s *Server) admitS3(c *call, q *s3Request) (region string, err error) {
	b, ok := s.resources.buckets.get(q.bucket, s.opts.OpenResources)
	switch {
	case validBucketName(q.bucket) != nil:
		return "", fail("InvalidBucketName", "The specified bucket is not valid.")
	case !ok:
		return "", fail("NoSuchBucket", "The specified bucket does not exist")
	}

	region = b.Region
	orDefault(&region, c.region)
	if err := q.misdirected(c.region, region); err != nil {
		return region, err
	}
	if owner := q.header.Get("X-Amz-Expected-Bucket-Owner"); owner != "" && b.AccountID != "" && owner != b.AccountID {
		return region, fail("AccessDenied", "Access Denied")
	}
	if !b.admits(c.caller) {
		return region, fail("AccessDenied", "%s",
			c.denial("because no resource-based policy allows the "+c.action()+" action"))
	}
	return region, nil
}

// misdirected is the answer to a request that went to another region than the bucket's, or was signed for another one
// than it went to. The location of a bucket can be asked for in any region.
func (q *s3Request) misdirected(signed, region string) error {
	endpoint := q.endpoint
	if endpoint == "" {
		endpoint = signed
	}
	if endpoint == global {
		endpoint = region
	}
	switch {
	case q.operation == "GetBucketLocation":
		return nil
	case endpoint != region:
		q.expected = region
		return fail("PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified "+
			"endpoint. Please send all future requests to this endpoint.")
	case signed != endpoint:
		q.expected = region
		return fail("AuthorizationHeaderMalformed",
			"The authorization header is malformed; the region '%s' is wrong; expecting '%s'", signed, region)
	}
	return nil
}

// admits says whether the bucket's policy, or being of its account, lets a caller use it.
func (b Bucket) admits(who caller) bool {
	return b.AccountID == "" || who.account == b.AccountID || who.isOneOf(b.AllowedPrincipals)
}

// writeS3 answers with a body; to HEAD with the headers that go with it.
func (x *exchange) writeS3(status int, raw []byte) {
	h := x.w.Header()
	h.Set("X-Amz-Request-Id", x.id())
	h.Set("X-Amz-Id-2", uniqueID(x.id()))
	h.Set("Server", "AmazonS3")
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	if x.r.Method == http.MethodHead || status == http.StatusNoContent {
		if status == http.StatusNoContent {
			h.Del("Content-Length")
		}
		raw = nil
	}
	x.send(status, raw)
}

// s3Statuses are the HTTP statuses of S3's errors, https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
var s3Statuses = map[string]int{
	"AccessDenied":                http.StatusForbidden,
	"AccountProblem":              http.StatusForbidden,
	"AllAccessDisabled":           http.StatusForbidden,
	"ExpiredToken":                http.StatusBadRequest,
	"IncompleteBody":              http.StatusBadRequest,
	"InternalError":               http.StatusInternalServerError,
	"InvalidAccessKeyId":          http.StatusForbidden,
	"InvalidObjectState":          http.StatusForbidden,
	"InvalidRange":                http.StatusRequestedRangeNotSatisfiable,
	"NoSuchBucket":                http.StatusNotFound,
	"NoSuchKey":                   http.StatusNotFound,
	"NotImplemented":              http.StatusNotImplemented,
	"PermanentRedirect":           http.StatusMovedPermanently,
	"PreconditionFailed":          http.StatusPreconditionFailed,
	"RequestTimeTooSkewed":        http.StatusForbidden,
	"ServiceUnavailable":          http.StatusServiceUnavailable,
	"SignatureDoesNotMatch":       http.StatusForbidden,
	"SlowDown":                    http.StatusServiceUnavailable,
	"TemporaryRedirect":           http.StatusTemporaryRedirect,
	"AuthorizationQueryParameter": http.StatusBadRequest,
}

// s3Codes are S3's codes for errors of the front end that other services share.
var s3Codes = map[string]string{
	"AccessDeniedException":               "AccessDenied",
	"ExpiredTokenException":               "ExpiredToken",
	"IncompleteSignatureException":        "AuthorizationHeaderMalformed",
	"InternalFailure":                     "InternalError",
	"InvalidSignatureException":           "SignatureDoesNotMatch",
	"MissingAuthenticationTokenException": "AccessDenied",
	"RequestEntityTooLarge":               "EntityTooLarge",
	"UnrecognizedClientException":         "InvalidAccessKeyId",
}

// s3Error is an error in XML.
type s3Error struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Key       string `xml:",omitempty"`
	Bucket    string `xml:"BucketName,omitempty"`
	Region    string `xml:",omitempty"`
	Endpoint  string `xml:",omitempty"`
	RequestID string `xml:"RequestId"`
	HostID    string `xml:"HostId"`
}

// writeS3Error answers an error. The code may be one of another service, which S3 has a code of its own for.
func (x *exchange) writeS3Error(q *s3Request, e *APIError) {
	out := s3Error{Code: e.Code, Message: e.Message, RequestID: x.id(), HostID: uniqueID(x.id())}
	if code, ok := s3Codes[e.Code]; ok {
		out.Code = code
	}
	status := e.Status
	if known, ok := s3Statuses[out.Code]; ok && slices.Contains([]int{0, http.StatusBadRequest}, e.Status) {
		status = known
	}

	switch out.Code {
	case "NoSuchKey":
		out.Key = q.key
	case "NoSuchBucket":
		out.Bucket = q.bucket
	case "AuthorizationHeaderMalformed":
		out.Region = q.expected
	case "PermanentRedirect":
		out.Bucket, out.Endpoint = q.bucket, q.bucket+".s3."+q.expected+".amazonaws.com"
	}

	raw, _ := xml.Marshal(out) //nolint:errcheck // plain data
	x.w.Header().Set("Content-Type", "application/xml")
	x.writeS3(status, append([]byte(xml.Header), raw...))
}
