package cloudtrailtest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const opsRole = "arn:aws:iam::444455556666:role/path/ops"

// session is what AssumeRole answers, as clients.
type session struct {
	*cloudtrail.Client
	sts *sts.Client
	sqs *sqs.Client
	id  string
}

func (e *emulator) assume(roleARN string) (*session, error) {
	out, err := e.sts("test", "test", "").
		AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &roleARN, RoleSessionName: aws.String("ss")})
	if err != nil {
		return nil, err
	}
	id, secret, token := *out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken
	return &session{
		e.as(id, secret, token, region), e.sts(id, secret, token), e.sqs(id, secret, token, region),
		*out.AssumedRoleUser.AssumedRoleId,
	}, nil
}

// codes are what a session is answered by CloudTrail, by AssumeRole and by GetCallerIdentity.
func (s *session) codes() string {
	_, trails := s.DescribeTrails(ctx, nil)
	_, chained := s.sts.AssumeRole(
		ctx,
		&sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::777788889999:role/r"), RoleSessionName: aws.String("ss")},
	)
	_, me := s.sts.GetCallerIdentity(ctx, nil)
	return fmt.Sprintf("%s|%s|%s", code(trails), code(chained), code(me))
}

func mustAssume(t *testing.T, e *emulator, roleARN string) *session {
	t.Helper()
	s, err := e.assume(roleARN)
	wants(t, err, "")
	return s
}

// AWS rejects sessions before they expire, each service with its own code.
func TestSessionsEndEarly(t *testing.T) {
	for name, c := range map[string]struct {
		end                   func(*emulator)
		ended, anew, assuming string
	}{
		"revoked": {func(e *emulator) { e.RevokeSessions(opsRole) }, "AccessDeniedException|AccessDenied|", "||", ""},
		"expired": {
			func(e *emulator) { e.ExpireSessions(opsRole) },
			"ExpiredTokenException|ExpiredToken|ExpiredToken",
			"||", "",
		},
		"role deleted": {
			func(e *emulator) { e.DeleteRole(opsRole) },
			"UnrecognizedClientException|InvalidClientTokenId|InvalidClientTokenId", "", "AccessDenied",
		},
		"role deleted and made anew": {
			func(e *emulator) { e.DeleteRole(opsRole); e.AddRole(cloudtrailtest.Role{ARN: opsRole}) },
			"UnrecognizedClientException|InvalidClientTokenId|InvalidClientTokenId", "||", "",
		},
		"another role's": {
			func(e *emulator) { e.RevokeSessions(opsRole + "2"); e.DeleteRole(opsRole + "2") },
			"||", "||", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := direct()
			old, other := mustAssume(t, e, opsRole), mustAssume(t, e, "arn:aws:iam::444455556666:role/other")
			equal(t, "before", old.codes(), "||")
			c.end(e)
			equal(t, "after", old.codes(), c.ended)
			equal(t, "of another role", other.codes(), "||")
			again, err := e.assume(opsRole)
			wants(t, err, c.assuming)
			if err == nil {
				equal(t, "anew", again.codes(), c.anew)
				equal(t, "still", old.codes(), c.ended)
			}
		})
	}
}

// The admin API ends sessions too.
func TestSessionsEndByTheAdminAPI(t *testing.T) {
	e := start(t)
	for path, want := range map[string]string{
		"revoke": "AccessDeniedException|AccessDenied|",
		"expire": "ExpiredTokenException|ExpiredToken|ExpiredToken",
	} {
		s := mustAssume(t, e, opsRole)
		status, _ := e.admin(t, "POST", "sessions/"+path, `{"roleARN":"`+opsRole+`"}`)
		equal(t, "status", status, 200)
		equal(t, path, s.codes(), want)
	}
}

// A denial has IAM's message, and is in the history.
func TestRevokedSession(t *testing.T) {
	e := direct()
	s := mustAssume(t, e, opsRole)
	e.RevokeSessions(opsRole)
	const who = "User: arn:aws:sts::444455556666:assumed-role/ops/ss is not authorized to perform: "
	const why = " with an explicit deny in an identity-based policy"
	_, err := s.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: aws.String("audit")})
	equal(
		t,
		"by name",
		message(err),
		who+"cloudtrail:StopLogging on resource: arn:aws:cloudtrail:eu-west-1:444455556666:trail/audit"+why,
	)
	_, err = s.LookupEvents(ctx, nil)
	equal(t, "of no trail", message(err), who+"cloudtrail:LookupEvents"+why)
	_, err = s.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{TrailNameList: []string{"audit"}})
	equal(t, "of a list", message(err), who+"cloudtrail:DescribeTrails"+why)
	_, err = s.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String(opsRole), RoleSessionName: aws.String("ss")})
	equal(t, "of a role", message(err), who+"sts:AssumeRole on resource: "+opsRole+why)
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	equal(t, "status", ok && response.HTTPStatusCode() == 403, true)

	again := mustAssume(t, e, opsRole)
	events := lookup(t, again.Client, cloudtrail.LookupEventsInput{})
	same(t, "events", eventNames(events), "StopLogging")
	equal(t, "code", fmt.Sprint(document(t, events[0])["errorCode"]), "AccessDenied")
}

// A role that is made anew is another one: its sessions have another id.
func TestRoleMadeAnew(t *testing.T) {
	e := direct()
	old := mustAssume(t, e, opsRole)
	create(t, old.Client, "old")
	e.DeleteRole(opsRole)
	e.AddRole(cloudtrailtest.Role{ARN: opsRole})
	anew := mustAssume(t, e, opsRole)
	equal(t, "the same id", anew.id == old.id, false)
	create(t, anew.Client, "new")
	for i, want := range []string{anew.id, old.id} {
		identity := member(document(t, lookup(t, anew.Client, cloudtrail.LookupEventsInput{})[i]), "userIdentity")
		equal(t, "principal", fmt.Sprint(member(identity, "principalId")), want)
		equal(
			t,
			"issuer",
			fmt.Sprint(member(member(member(identity, "sessionContext"), "sessionIssuer"), "principalId"), ":ss"),
			want,
		)
	}
}

// Sessions do not pile up. One that expired within the last day still answers that it has expired.
func TestSessionsAreBounded(t *testing.T) {
	const pause, dropped = 10 * time.Minute, 24 * time.Hour
	e := direct()
	var all []*session
	before, drops := 0, 0
	for range 3000 {
		all = append(all, mustAssume(t, e, opsRole))
		_, kept, _ := e.Remembered()
		equal(t, "no more than so many", kept <= 1024, true)
		if kept < before {
			drops++
			_, err := all[len(all)-int(dropped/pause)].DescribeTrails(ctx, nil)
			wants(t, err, "ExpiredTokenException")
		}
		before = kept
		e.clock.add(pause)
	}
	equal(t, "some were dropped", drops > 0, true)
	_, err := all[0].DescribeTrails(ctx, nil)
	wants(t, err, "UnrecognizedClientException")
}

// An access key may begin to lead elsewhere, and be switched off and on.
func TestCredentialsChange(t *testing.T) {
	e := direct()
	c, who := e.as("K", "s", "", region), e.sts("K", "s", "")
	known := cloudtrailtest.Credentials{AccessKeyID: "K", SecretAccessKey: "s", ARN: "arn:aws:iam::222233334444:user/u"}
	e.AddCredentials(known)
	create(t, c, "audit")
	me, err := who.GetCallerIdentity(ctx, nil)
	wants(t, err, "")
	equal(t, "account", *me.Account, "222233334444")

	e.AddCredentials(
		cloudtrailtest.Credentials{AccessKeyID: "K", SecretAccessKey: "s", ARN: "arn:aws:iam::777788889999:user/u"},
	)
	me, err = who.GetCallerIdentity(ctx, nil)
	wants(t, err, "")
	equal(t, "another account", *me.Account+" "+*me.Arn, "777788889999 arn:aws:iam::777788889999:user/u")
	same(t, "trails of another account", names(t, c, nil))

	known.Inactive = true
	e.AddCredentials(known)
	_, err = c.DescribeTrails(ctx, nil)
	wants(t, err, "UnrecognizedClientException")
	_, err = who.GetCallerIdentity(ctx, nil)
	wants(t, err, "InvalidClientTokenId")
	known.Inactive = false
	e.AddCredentials(known)
	same(t, "trails again", names(t, c, nil), "audit")
}
