package cloudtrailtest

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// historyDays is how far back LookupEvents goes.
const historyDays = 90

// event is one recorded call. The document is made when it is looked up.
type event struct {
	id   string
	seq  uint64
	time time.Time
	// shown is when the event can first be looked up.
	shown     time.Time
	name      string
	source    string
	readOnly  bool
	caller    caller
	requestID string
	request   map[string]any
	response  map[string]any
	err       *APIError
	resources []eventResource
	// verbatim says that the names in request and response are as the document has them.
	verbatim bool
}

// cloudTrailSource is the event source of CloudTrail's own calls.
const cloudTrailSource = "cloudtrail.amazonaws.com"

type eventResource struct{ kind, name string }

// timeline is the events of an account and region, oldest first.
type timeline struct {
	events []*event
	seq    uint64
}

// add puts an event where its time belongs: a test's clock may go back. The oldest events go when there are more than
// limit, and when they are too old to be looked up.
func (l *timeline) add(e *event, limit int, oldest time.Time) {
	l.seq++
	e.seq = l.seq
	at := len(l.events)
	for at > 0 && l.events[at-1].time.After(e.time) {
		at--
	}
	l.events = slices.Insert(l.events, at, e)

	gone := 0
	if limit > 0 {
		gone = max(0, len(l.events)-limit)
	}
	for gone < len(l.events) && l.events[gone].time.Before(oldest) {
		gone++
	}
	clear(l.events[:gone])
	l.events = l.events[gone:]
}

// file records a call in the caller's account and region: writes always, reads where the options say so. The caller
// holds the lock.
func (s *Server) file(c *call, out map[string]any, err *APIError) {
	op, isCloudTrail := operations[c.operation]
	readOnly := op.kind != write
	if readOnly && !s.opts.RecordReads || c.account == "" || c.service() == "sqs" || c.service() == "s3" {
		return
	}

	at := place{c.account, c.region}
	e := &event{
		id: s.chance.id(forEventIDs, at), name: c.operation, source: cloudTrailSource,
		time:     c.now.Add(s.opts.EventDelay).Truncate(time.Second),
		readOnly: readOnly, caller: c.caller, requestID: c.requestID, request: c.params.fields, err: err,
		resources: c.eventResources(),
	}
	if !isCloudTrail {
		e.source = "sts.amazonaws.com"
	}
	if !readOnly && err == nil && out != nil {
		e.response = out
	}

	s.keep(at, e, c.now)
	s.log(at, e, c.recorders)
	if !readOnly && c.selected {
		s.forward(at, e)
	}
}

// keep puts an event into the history. The caller holds the lock.
func (s *Server) keep(at place, e *event, now time.Time) {
	e.shown = e.time.Add(s.chance.between(forHistory, at, s.lags.History, s.lags.HistoryMax))
	if s.history[at] == nil {
		s.history[at] = &timeline{}
	}
	s.history[at].add(e, s.opts.MaxHistory, now.AddDate(0, 0, -historyDays))
}

// fileFailure records a call that failed before its handler.
func (s *Server) fileFailure(c *call, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.now = s.now()
	s.deliver()
	c.recorders = s.recorders(place{c.account, c.region})
	c.selected = s.selects(place{c.account, c.region}, cloudTrailSource)
	s.file(c, nil, asAPIError(err))
}

// eventResources are the resources that an event refers to: the trail by name and ARN, and what the request points it
// to.
func (c *call) eventResources() []eventResource {
	var out []eventResource
	add := func(kind, name string) {
		if r := (eventResource{kind, name}); name != "" && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}

	const trailKind = "AWS::CloudTrail::Trail"
	if c.trail != nil {
		add(trailKind, c.trail.arn)
		add(trailKind, c.trail.name)
	} else if ident := c.target(); ident != "" && c.params.fields["RoleArn"] == nil {
		add(trailKind, ident)
		if _, name, ok := strings.Cut(ident, ":trail/"); ok {
			add(trailKind, name)
		}
	}

	for member, kind := range map[string]string{
		"S3BucketName":              "AWS::S3::Bucket",
		"SnsTopicName":              "AWS::SNS::Topic",
		"KmsKeyId":                  "AWS::KMS::Key",
		"CloudWatchLogsLogGroupArn": "AWS::Logs::LogGroup",
		"CloudWatchLogsRoleArn":     "AWS::IAM::Role",
		"RoleArn":                   "AWS::IAM::Role",
	} {
		if name, ok := c.params.fields[member].(string); ok {
			add(kind, name)
		}
	}

	// The trail first, the rest in a stable order.
	slices.SortStableFunc(out, func(a, b eventResource) int {
		if (a.kind == trailKind) != (b.kind == trailKind) {
			if a.kind == trailKind {
				return -1
			}
			return 1
		}
		if a.kind == trailKind {
			return 0
		}
		return strings.Compare(a.kind, b.kind)
	})

	return out
}

// username is who LookupEvents says it was: the user's name or the role session's.
func (e *event) username() string {
	a, _ := parseARN(e.caller.arn)
	return a.resource[strings.LastIndexByte(a.resource, '/')+1:]
}

// document is the CloudTrailEvent: the JSON record.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
func (e *event) document() string {
	doc := map[string]any{
		"eventVersion":       "1.11",
		"userIdentity":       e.caller.identity(),
		"eventTime":          e.time.UTC().Format(time.RFC3339),
		"eventSource":        e.source,
		"eventName":          e.name,
		"awsRegion":          e.caller.region,
		"sourceIPAddress":    e.caller.sourceIP,
		"userAgent":          e.caller.userAgent,
		"requestParameters":  lowered(e.request),
		"responseElements":   loweredResponse(e.response),
		"requestID":          e.requestID,
		"eventID":            e.id,
		"readOnly":           e.readOnly,
		"eventType":          "AwsApiCall",
		"managementEvent":    true,
		"recipientAccountId": e.caller.account,
		"eventCategory":      "Management",
	}

	if e.verbatim {
		doc["requestParameters"], doc["responseElements"] = orNull(e.request), orNull(e.response)
	}
	if e.err != nil {
		// The history has the short form of this one code.
		doc["errorCode"] = e.err.Code
		if e.err.Code == "AccessDeniedException" {
			doc["errorCode"] = "AccessDenied"
		}
		doc["errorMessage"] = e.err.Message
	}

	raw, _ := json.Marshal(doc) //nolint:errcheck // plain data
	return string(raw)
}

func orNull(fields map[string]any) any {
	if len(fields) == 0 {
		return nil
	}
	return fields
}

// lowered is a request, as it came, with its members' names as the history has them, or null for none.
func lowered(fields map[string]any) any {
	if len(fields) == 0 {
		return nil
	}
	return lowerAll(fields)
}

// loweredResponse does the same for an answer, which has structures of its own.
func loweredResponse(fields map[string]any) any {
	if len(fields) == 0 {
		return nil
	}
	normal, err := viaJSON(fields)
	if err != nil {
		return nil
	}
	return lowered(normal)
}

func lowerAll(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, value := range v {
			out[lowerFirst(name)] = lowerAll(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = lowerAll(value)
		}
		return out
	}
	return v
}

// identity is the userIdentity element.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
func (w caller) identity() map[string]any {
	out := map[string]any{"principalId": w.principalID, "arn": w.arn, "accountId": w.account, "accessKeyId": w.accessKeyID}
	a, _ := parseARN(w.arn)
	kind, rest, _ := strings.Cut(a.resource, "/")

	switch kind {
	case "root":
		out["type"] = "Root"
	case "assumed-role":
		role, _, _ := strings.Cut(rest, "/")
		issuer, id := arn{a.partition, "iam", "", a.account, "role/" + role}.String(), roleID(a.account, role, 0)
		created := ""
		if w.session != nil {
			issuer, id, created = w.session.roleARN, w.session.roleID(), w.session.issued.UTC().Format(time.RFC3339)
		}
		attributes := map[string]any{"mfaAuthenticated": "false"}
		if created != "" {
			attributes["creationDate"] = created
		}
		out["type"] = "AssumedRole"
		out["sessionContext"] = map[string]any{
			"sessionIssuer": map[string]any{
				"type": "Role", "principalId": id, "arn": issuer, "accountId": a.account, "userName": role,
			},
			"attributes": attributes,
		}
	default:
		out["type"] = "IAMUser"
		out["userName"] = rest[strings.LastIndexByte(rest, '/')+1:]
	}

	return out
}
