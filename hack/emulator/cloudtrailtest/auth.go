package cloudtrailtest

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Credentials are an access key that the emulator knows.
type Credentials struct {
	AccessKeyID     string `json:"accessKeyID"`
	SecretAccessKey string `json:"secretAccessKey"`
	// SessionToken has to be sent with the key if it is not empty.
	SessionToken string `json:"sessionToken,omitempty"`
	// AccountID is the account of calls signed with the key. Default: the account of ARN.
	AccountID string `json:"accountID"`
	// ARN is who the key belongs to: a user, a role session or an account's root. Default: a user named as the key.
	ARN string `json:"arn"`
	// Inactive is a key that is switched off: it is rejected as if it did not exist.
	Inactive bool `json:"inactive,omitempty"`
}

// AddCredentials makes an access key known, replacing one of the same id: from then on the key belongs to whom c says.
func (s *Server) AddCredentials(c Credentials) {
	if c.AccountID == "" {
		if a, ok := parseARN(c.ARN); ok {
			c.AccountID = a.account
		}
	}
	if c.ARN == "" {
		c.ARN = "arn:aws:iam::" + c.AccountID + ":user/" + c.AccessKeyID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credentials[c.AccessKeyID] = c
}

// DeleteCredentials makes an access key unknown.
func (s *Server) DeleteCredentials(accessKeyID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.credentials, accessKeyID)
}

// caller is who signed a request, and from where.
type caller struct {
	accessKeyID string
	account     string
	region      string
	arn         string
	// principalID is the unique id: AIDA… of a user, AROA…:session of a role session.
	principalID string
	sourceIP    string
	userAgent   string
	// session is set for temporary credentials that the emulator issued.
	session *session
}

// signature is a parsed Authorization header.
type signature struct {
	accessKeyID, date, region, service string
	signedHeaders                      []string
	value                              string
}

const algorithm = "AWS4-HMAC-SHA256"

// clockSkew is by how much a signature's time may differ from the wall clock.
const clockSkew = 5 * time.Minute

// verifier compares a request's signature with the one that the secret gives.
type verifier func(r *http.Request, sig signature, secret string) error

// authenticate verifies the request's signature and returns who made it. The error carries CloudTrail's codes; the
// other services translate them into their own.
func (s *Server) authenticate(r *http.Request, service string, check verifier) (caller, error) {
	who := caller{sourceIP: remoteIP(r), userAgent: r.UserAgent()}
	header := r.Header.Get("Authorization")
	if header == "" {
		return who, fail("MissingAuthenticationTokenException", "Missing Authentication Token")
	}

	sig, err := parseAuthorization(header)
	if err != nil {
		return who, err
	}

	who.accessKeyID = sig.accessKeyID
	secret, token, err := s.identify(&who)
	if err != nil {
		return who, err
	}

	if r.Header.Get("X-Amz-Security-Token") != token {
		return who, fail("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	if sig.service != service {
		return who, fail("InvalidSignatureException", "Credential should be scoped to correct service: '%s'. ", service)
	}
	if !s.regions[sig.region] {
		return who, fail("InvalidSignatureException", "Credential should be scoped to a valid region. ")
	}
	who.region = sig.region
	if s.isDisabled(place{who.account, who.region}) {
		return who, fail("UnrecognizedClientException", "The security token included in the request is invalid.")
	}

	if err := check(r, sig, secret); err != nil {
		return who, err
	}
	if who.session != nil && !s.now().Before(who.session.expiration) {
		return who, fail("ExpiredTokenException", "The security token included in the request is expired")
	}
	return who, nil
}

// identify fills in whose access key it is and returns its secret and session token.
func (s *Server) identify(who *caller) (secret, token string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	invalid := fail("UnrecognizedClientException", "The security token included in the request is invalid.")
	if c, ok := s.credentials[who.accessKeyID]; ok {
		if c.Inactive {
			return "", "", invalid
		}
		who.account, who.arn, who.principalID = c.AccountID, c.ARN, principalID(c.ARN)
		return c.SecretAccessKey, c.SessionToken, nil
	}
	if session, ok := s.sessions[who.accessKeyID]; ok {
		who.account, who.arn, who.principalID, who.session = session.account, session.arn, session.principalID, session
		return session.secret, session.token, nil
	}
	return "", "", invalid
}

func parseAuthorization(header string) (signature, error) {
	incomplete := func(what string) (signature, error) {
		return signature{}, fail(
			"IncompleteSignatureException",
			"Authorization header requires '%s' parameter. Authorization=%s",
			what,
			strings.SplitN(header, " ", 2)[0],
		)
	}

	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return signature{}, fail(
			"IncompleteSignatureException",
			"Unsupported AWS 'algorithm': '%s'.",
			strings.SplitN(header, " ", 2)[0],
		)
	}

	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if fields[name] == "" {
			return incomplete(name)
		}
	}

	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" {
		return signature{}, fail(
			"IncompleteSignatureException",
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'",
			fields["Credential"],
		)
	}

	return signature{
		scope[0],
		scope[1],
		scope[2],
		scope[3],
		strings.Split(fields["SignedHeaders"], ";"),
		fields["Signature"],
	}, nil
}

// verify compares the signature with the one that the secret gives.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
func verify(r *http.Request, body []byte, sig signature, secret string) error {
	stamp := r.Header.Get("X-Amz-Date")
	signed, err := time.Parse("20060102T150405Z", stamp)
	if err != nil {
		return fail("IncompleteSignatureException", "Date must be in ISO-8601 'basic format'. Got '%s'.", stamp)
	}
	if !strings.HasPrefix(stamp, sig.date) || len(sig.date) != 8 {
		return fail(
			"InvalidSignatureException",
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s'.",
			sig.date,
			stamp[:8],
		)
	}
	if wall := time.Now(); signed.Before(wall.Add(-clockSkew)) || signed.After(wall.Add(clockSkew)) {
		return fail(
			"InvalidSignatureException",
			"Signature expired: %s is not within 5 minutes of %s",
			stamp,
			wall.UTC().Format("20060102T150405Z"),
		)
	}

	for _, required := range []string{"host", "x-amz-date"} {
		if !slices.Contains(sig.signedHeaders, required) {
			return fail("InvalidSignatureException", "'%s' must be a 'SignedHeader' in the AWS Authorization.", required)
		}
	}

	// The hash is computed and never taken from X-Amz-Content-Sha256, so that a body which does not match fails.
	path := cmp.Or(r.URL.EscapedPath(), "/")
	canonical := canonicalRequest(r, path, sig.signedHeaders, hexSum(body))
	if !hmac.Equal([]byte(sig.of(stamp, canonical, secret)), []byte(sig.value)) {
		return wrongSignature()
	}
	return nil
}

func wrongSignature() error {
	return fail(
		"InvalidSignatureException",
		"The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method. "+
			"Consult the service documentation for details.",
	)
}

// scope is what the signature is good for.
func (n signature) scope() string {
	return strings.Join([]string{n.date, n.region, n.service, "aws4_request"}, "/")
}

// key is what a secret signs with in the scope.
func (n signature) key(secret string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{n.date, n.region, n.service, "aws4_request"} {
		key = sign(key, part)
	}
	return key
}

// of is the signature that the secret gives for a request.
func (n signature) of(stamp, canonical, secret string) string {
	toSign := strings.Join([]string{algorithm, stamp, n.scope(), hexSum([]byte(canonical))}, "\n")
	return hex.EncodeToString(sign(n.key(secret), toSign))
}

// canonicalRequest is what is signed of a request: with its path as the service encodes it, and the hash of its body.
func canonicalRequest(r *http.Request, path string, signedHeaders []string, payload string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", r.Method, path, canonicalQuery(r.URL.Query()))

	for _, name := range signedHeaders {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{fmt.Sprint(r.ContentLength)}
		}
		trimmed := make([]string, 0, len(values))
		for _, v := range values {
			trimmed = append(trimmed, strings.Join(strings.Fields(v), " "))
		}
		fmt.Fprintf(&b, "%s:%s\n", name, strings.Join(trimmed, ","))
	}

	fmt.Fprintf(&b, "\n%s\n%s", strings.Join(signedHeaders, ";"), payload)
	return b.String()
}

func canonicalQuery(query url.Values) string {
	var pairs []string
	for name, values := range query {
		for _, v := range values {
			pairs = append(pairs, uriEncode(name)+"="+uriEncode(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

func uriEncode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func sign(key []byte, data string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(data))
	return mac.Sum(nil)
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func remoteIP(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// principalID returns a unique id as IAM gives: stable for an ARN, with the prefix of its kind.
func principalID(arn string) string {
	a, _ := parseARN(arn)
	kind, rest, _ := strings.Cut(a.resource, "/")
	switch kind {
	case "root":
		return a.account
	case "assumed-role":
		role, session, _ := strings.Cut(rest, "/")
		return roleID(a.account, role, 0) + ":" + session
	}
	return "AIDA" + uniqueID(arn)
}

// roleID is the unique id of a role after as many of the same name were deleted.
func roleID(account, role string, deleted int) string {
	name := account + "/" + role
	if deleted > 0 {
		name = fmt.Sprintf("%s#%d", name, deleted)
	}
	return "AROA" + uniqueID(name)
}

// uniqueID returns 17 characters of IAM's alphabet that stand for s.
func uniqueID(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	sum := sha256.Sum256([]byte(s))
	id := make([]byte, 17)
	for i := range id {
		id[i] = alphabet[int(sum[i])%len(alphabet)]
	}
	return string(id)
}
