package cloudtrailtest

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// stsNamespace is the XML namespace and STS's only API version.
const (
	stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"
	stsVersion   = "2011-06-15"
)

type stsHandler func(*Server, *call, url.Values) (any, error)

var stsOperations = map[string]stsHandler{
	"AssumeRole":        (*Server).assumeRole,
	"GetCallerIdentity": (*Server).getCallerIdentity,
}

// serveSTS answers the query protocol: parameters in a form, answers in XML.
func (x *exchange) serveSTS() {
	out, err := x.sts()
	if x.failed(err, x.writeXMLError) {
		return
	}
	x.writeXML(http.StatusOK, out)
}

func (x *exchange) sts() (out any, err error) {
	s, c := x.server, x.call
	form, err := x.form()
	if err == nil {
		c.operation = form.Get("Action")
	}
	c.params = newMembers(formFields(form))

	handler, known := stsOperations[c.operation]
	switch {
	case err != nil:
	case c.operation == "":
		// Neither a target nor an action: nothing that AWS would know how to route.
		err = fail("MissingAction", "The request is missing an action or a required parameter.")
	case !known || form.Get("Version") != stsVersion:
		err = fail("InvalidAction", "Could not find operation %s for version %s", c.operation, form.Get("Version"))
	}

	if err == nil {
		err = x.authenticate("sts")
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
		c.recorders = s.recorders(place{c.account, c.region})
		var err error
		out, err = handler(s, c, form)
		s.file(c, nil, asAPIError(err))
		return nil, err
	})
	return out, err
}

// form reads the parameters from the body, or from the query of a GET.
func (x *exchange) form() (url.Values, error) {
	switch {
	case x.r.Method == http.MethodGet:
		return x.r.URL.Query(), nil
	case x.r.Method == http.MethodPost &&
		strings.HasPrefix(x.r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		form, err := url.ParseQuery(string(x.body))
		if err != nil {
			return nil, fail("MalformedQueryString", "The query string contains a syntax error.")
		}
		return form, nil
	}
	return nil, fail("UnknownOperationException", "The request names no operation.")
}

func formFields(form url.Values) map[string]any {
	fields := map[string]any{}
	for name := range form {
		if name != "Action" && name != "Version" {
			fields[name] = form.Get(name)
		}
	}
	return fields
}

// Limits of AssumeRole, https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
var (
	roleARN = regexp.MustCompile(
		`^arn:(aws|aws-cn|aws-us-gov):iam::([0-9]{12}):role/((?:[\x21-\x7e]+/)?([\w+=,.@-]{1,64}))$`,
	)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalID  = regexp.MustCompile(`^[\w+=,.@:/\-]*$`)
	tagText     = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

const (
	minSession, maxSession, defaultSession = 900, 43200, 3600
	maxSessionTags                         = 50
	maxExternalID                          = 1224
)

// assumeRole issues a session of a role.
func (s *Server) assumeRole(c *call, form url.Values) (any, error) {
	match := roleARN.FindStringSubmatch(form.Get("RoleArn"))
	switch {
	case form.Get("RoleArn") == "":
		return nil, stsInvalid("roleArn", "", "Member must not be null")
	case match == nil:
		return nil, fail("ValidationError", "%s is invalid", form.Get("RoleArn"))
	case form.Get("RoleSessionName") == "":
		return nil, stsInvalid("roleSessionName", "", "Member must not be null")
	case !sessionName.MatchString(form.Get("RoleSessionName")):
		return nil, stsInvalid(
			"roleSessionName",
			form.Get("RoleSessionName"),
			`Member must satisfy regular expression pattern: [\w+=,.@-]* and have length between 2 and 64`,
		)
	case form.Has("ExternalId") && !validExternalID(form.Get("ExternalId")):
		return nil, stsInvalid(
			"externalId",
			form.Get("ExternalId"),
			`Member must satisfy regular expression pattern: [\w+=,.@:\/-]* and have length between 2 and 1224`,
		)
	case strings.HasSuffix(c.caller.arn, ":root"):
		return nil, fail("AccessDenied", "Roles may not be assumed by root accounts.")
	}

	tags, transitive, err := sessionTags(form)
	if err != nil {
		return nil, err
	}
	role, registered := s.roles[match[0]]
	duration, err := sessionDuration(form.Get("DurationSeconds"), role, c.caller.session != nil)
	if err != nil {
		return nil, err
	}

	denied := func(action string) error {
		return fail(
			"AccessDenied",
			"User: %s is not authorized to perform: sts:%s on resource: %s",
			c.caller.arn,
			action,
			match[0],
		)
	}
	switch {
	case match[1] != c.partition, !registered && s.opts.RegisteredRolesOnly, s.goneRoles[match[0]], !role.trusts(c.caller):
		return nil, denied("AssumeRole")
	case role.ExternalID != "" && role.ExternalID != form.Get("ExternalId"):
		return nil, denied("AssumeRole")
	case role.DenyTagSession && len(tags) > 0:
		return nil, denied("TagSession")
	}

	if previous := c.caller.session; previous != nil {
		for _, key := range previous.transitive {
			if _, again := tags[key]; again {
				return nil, fail(
					"ValidationError",
					"One of the specified transitive tag keys can't be set "+
						"because it conflicts with a transitive tag key from the calling session.",
				)
			}
			tags[key] = previous.tags[key]
			transitive = append(transitive, key)
		}
	}

	n := s.issue(c, match, form.Get("RoleSessionName"), duration)
	n.tags, n.transitive = tags, transitive
	return assumeRoleResponse(c, n), nil
}

func validExternalID(id string) bool {
	return len(id) >= 2 && len(id) <= maxExternalID && externalID.MatchString(id)
}

// issue makes and remembers a session.
func (s *Server) issue(c *call, match []string, name string, duration time.Duration) *session {
	account, roleName := match[2], match[4]
	at := place{account: account}
	n := &session{
		accessKeyID: "ASIA" + uniqueID(s.chance.id(forSessions, at))[:16],
		secret:      base64.StdEncoding.EncodeToString(s.chance.bytes(forSessions, at, 30)),
		token:       "IQoJb3JpZ2luX2Vj" + base64.StdEncoding.EncodeToString(s.chance.bytes(forSessions, at, 240)),
		account:     account,
		arn:         fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", match[1], account, roleName, name),
		principalID: roleID(account, roleName, s.roleIDs[match[0]]) + ":" + name,
		roleARN:     match[0], roleName: roleName,
		issued: c.now, expiration: c.now.Add(duration).Truncate(time.Second),
	}
	s.keepSession(n, c.now)
	return n
}

// sessionTags reads Tags.member.N and TransitiveTagKeys.member.N.
func sessionTags(form url.Values) (tags map[string]string, transitive []string, err error) {
	tags = map[string]string{}
	folded := map[string]bool{}

	for i := 1; form.Has(fmt.Sprintf("Tags.member.%d.Key", i)) || form.Has(fmt.Sprintf("Tags.member.%d.Value", i)); i++ {
		key, value := form.Get(fmt.Sprintf("Tags.member.%d.Key", i)), form.Get(fmt.Sprintf("Tags.member.%d.Value", i))
		switch {
		case i > maxSessionTags:
			return nil, nil, stsInvalid("tags", "", "Member must have length less than or equal to 50")
		case utf8.RuneCountInString(key) < 1 || utf8.RuneCountInString(key) > 128 || !tagText.MatchString(key):
			return nil, nil, stsInvalid(
				fmt.Sprintf("tags.%d.member.key", i),
				key,
				`Member must have length between 1 and 128 and satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+`,
			)
		case utf8.RuneCountInString(value) > 256 || !tagText.MatchString(value):
			return nil, nil, stsInvalid(
				fmt.Sprintf("tags.%d.member.value", i),
				value,
				`Member must have length less than or equal to 256 and `+
					`satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]*`,
			)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, nil, fail("ValidationError", "System tags cannot be added/updated by requester")
		case folded[strings.ToLower(key)]:
			return nil, nil, fail(
				"InvalidParameterValue",
				"Duplicate tag keys found. Please note that Tag keys are case insensitive.",
			)
		}

		folded[strings.ToLower(key)] = true
		tags[key] = value
	}

	for i := 1; form.Has(fmt.Sprintf("TransitiveTagKeys.member.%d", i)); i++ {
		key := form.Get(fmt.Sprintf("TransitiveTagKeys.member.%d", i))
		if _, ok := tags[key]; !ok {
			return nil, nil, fail("ValidationError", "The specified transitive tag key must be included in the requested tags.")
		}
		transitive = append(transitive, key)
	}

	return tags, transitive, nil
}

// sessionDuration reads DurationSeconds: within AWS's bounds, the role's, and one hour where a role assumes a role.
func sessionDuration(text string, role Role, chained bool) (time.Duration, error) {
	longest := role.MaxSessionDuration
	if longest == 0 {
		longest = defaultSession * time.Second
	}
	if text == "" {
		return min(defaultSession*time.Second, longest), nil
	}

	n, err := strconv.Atoi(text)
	d := time.Duration(n) * time.Second
	switch {
	case err != nil:
		return 0, fail("MalformedInput", "Could not parse DurationSeconds")
	case n < minSession:
		return 0, stsInvalid("durationSeconds", text, "Member must have value greater than or equal to 900")
	case n > maxSession:
		return 0, stsInvalid("durationSeconds", text, "Member must have value less than or equal to 43200")
	case chained && d > time.Hour:
		return 0, fail(
			"ValidationError",
			"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
		)
	case d > longest:
		return 0, fail("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}

	return d, nil
}

func stsInvalid(member, value, constraint string) error {
	shown := "null"
	if value != "" {
		shown = "'" + value + "'"
	}
	return fail(
		"ValidationError",
		"1 validation error detected: Value %s at '%s' failed to satisfy constraint: %s",
		shown,
		member,
		constraint,
	)
}

// getCallerIdentity tells who the caller is. It needs no permission.
func (s *Server) getCallerIdentity(c *call, _ url.Values) (any, error) {
	type result struct {
		Arn     string
		UserID  string `xml:"UserId"`
		Account string
	}
	return struct {
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
		Result  result   `xml:"GetCallerIdentityResult"`
		Meta    metadata `xml:"ResponseMetadata"`
	}{Result: result{c.caller.arn, c.caller.principalID, c.account}, Meta: metadata{c.requestID}}, nil
}

type metadata struct {
	RequestID string `xml:"RequestId"`
}

func assumeRoleResponse(c *call, n *session) any {
	type user struct {
		AssumedRoleID string `xml:"AssumedRoleId"`
		Arn           string
	}
	type creds struct {
		AccessKeyID     string `xml:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      string
	}
	type result struct {
		AssumedRoleUser  user
		Credentials      creds
		PackedPolicySize int `xml:",omitempty"`
	}

	packed := 0
	for k, v := range n.tags {
		packed += len(k) + len(v)
	}

	return struct {
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
		Result  result   `xml:"AssumeRoleResult"`
		Meta    metadata `xml:"ResponseMetadata"`
	}{
		Result: result{
			user{n.principalID, n.arn},
			creds{n.accessKeyID, n.secret, n.token, n.expiration.Format(time.RFC3339)},
			min(100, (packed+39)/40),
		},
		Meta: metadata{c.requestID},
	}
}

// asSTSError translates what authentication answers into STS's codes and statuses.
func asSTSError(e *APIError) *APIError {
	out := *e
	switch e.Code {
	case "MissingAuthenticationTokenException":
		out.Code, out.Message = "MissingAuthenticationToken", "Request is missing Authentication Token"
	case "UnrecognizedClientException":
		out.Code, out.Message = "InvalidClientTokenId", "The security token included in the request is invalid."
	case "InvalidSignatureException":
		out.Code = "SignatureDoesNotMatch"
	case "IncompleteSignatureException":
		out.Code = "IncompleteSignature"
	case "ExpiredTokenException":
		out.Code, out.Message = "ExpiredToken", "The security token included in the request is expired"
	}

	if out.Status == http.StatusBadRequest &&
		slices.Contains(
			[]string{
				"MissingAuthenticationToken",
				"InvalidClientTokenId",
				"SignatureDoesNotMatch",
				"ExpiredToken",
				"AccessDenied",
				"RegionDisabledException",
			},
			out.Code,
		) {
		out.Status = http.StatusForbidden
	}

	return &out
}

func (x *exchange) writeXMLError(e *APIError) {
	e = asSTSError(e)
	type detail struct {
		Type, Code, Message string
	}
	kind := "Sender"
	if e.Status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	x.writeXML(e.Status, struct {
		XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
		Error     detail
		RequestID string `xml:"RequestId"`
	}{Error: detail{kind, e.Code, e.Message}, RequestID: x.id()})
}

func (x *exchange) writeXML(status int, v any) {
	raw, err := xml.MarshalIndent(v, "", "  ")
	if err != nil {
		status, raw = http.StatusInternalServerError, nil
	}
	x.write(status, "text/xml", raw)
}
