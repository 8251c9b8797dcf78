package cloudtrailtest

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Role is an IAM role that STS can hand out sessions of.
type Role struct {
	ARN string `json:"arn"`
	// ExternalID is what the trust policy wants in sts:ExternalId, "" nothing.
	ExternalID string `json:"externalID,omitempty"`
	// TrustedPrincipals are who may assume the role: account ids, arn:…:root of an account, user or role ARNs, "*".
	// Empty: anyone.
	TrustedPrincipals []string `json:"trustedPrincipals,omitempty"`
	// DenyTagSession leaves sts:TagSession out of the trust policy: sessions with tags are refused.
	DenyTagSession bool `json:"denyTagSession,omitempty"`
	// Deny refuses everyone.
	Deny bool `json:"deny,omitempty"`
	// MaxSessionDuration is the longest session. Default one hour, as in IAM.
	MaxSessionDuration time.Duration `json:"-"`
}

// AddRole registers a role, replacing one of the same ARN. A role that was deleted is made anew: another role of the
// same name, with another id, and without the sessions of the former one.
func (s *Server) AddRole(r Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[r.ARN] = r
	delete(s.goneRoles, r.ARN)
}

// DeleteRole makes a role not exist, also where any role can be assumed. AWS then takes the role's sessions for
// unknown: their calls answer UnrecognizedClientException, and STS InvalidClientTokenId.
func (s *Server) DeleteRole(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.roles, arn)
	s.goneRoles[arn] = true
	s.roleIDs[arn]++
	maps.DeleteFunc(s.sessions, func(_ string, n *session) bool { return n.roleARN == arn })
}

// RevokeSessions denies everything to the sessions that a role has now, as IAM's "Revoke active sessions" does with the
// policy AWSRevokeOlderSessions. Later sessions are not affected.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
func (s *Server) RevokeSessions(roleARN string) {
	s.changeSessions(roleARN, func(n *session) { n.revoked = true })
}

// ExpireSessions ends the sessions that a role has now before their time. Their calls answer ExpiredTokenException, and
// STS ExpiredToken.
func (s *Server) ExpireSessions(roleARN string) {
	now := s.now()
	s.changeSessions(roleARN, func(n *session) { n.expiration = now })
}

// changeSessions replaces the sessions of a role, which calls under way go on to use as they were.
func (s *Server) changeSessions(roleARN string, change func(*session)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, is := range s.sessions {
		if is.roleARN == roleARN {
			n := *is
			change(&n)
			s.sessions[key] = &n
		}
	}
}

// denied is the answer to a call of a revoked session. GetCallerIdentity needs no permission.
func (c *call) denied() error {
	if c.caller.session == nil || !c.caller.session.revoked || c.operation == "GetCallerIdentity" {
		return nil
	}
	code := "AccessDeniedException"
	if _, isCloudTrail := operations[c.operation]; !isCloudTrail {
		code = "AccessDenied"
	}
	return fail(code, "%s", c.denial("with an explicit deny in an identity-based policy"))
}

// trusts says whether the role's trust policy admits the caller.
func (r Role) trusts(who caller) bool {
	if r.Deny {
		return false
	}
	if len(r.TrustedPrincipals) == 0 {
		return true
	}
	return slices.ContainsFunc(r.TrustedPrincipals, func(p string) bool {
		return p == "*" || p == who.account || p == who.arn ||
			strings.HasPrefix(p, "arn:") && strings.HasSuffix(p, "::"+who.account+":root") ||
			who.session != nil && p == who.session.roleARN
	})
}

// session is a set of temporary credentials that AssumeRole issued. It is replaced and never changed.
type session struct {
	accessKeyID, secret, token string
	account                    string
	arn                        string
	principalID                string
	roleARN, roleName          string
	tags                       map[string]string
	transitive                 []string
	issued, expiration         time.Time
	// revoked denies everything to the session.
	revoked bool
}

// roleID is the role's unique id, which another role of the same name does not get.
func (n *session) roleID() string {
	id, _, _ := strings.Cut(n.principalID, ":")
	return id
}

// expiredSessions is how long an expired session is remembered, to answer that it has expired rather than that it is
// unknown.
const expiredSessions = 24 * time.Hour

// keepSession remembers a session, and drops those that expired long ago whenever their number has doubled.
func (s *Server) keepSession(n *session, now time.Time) {
	if len(s.sessions) >= s.sessionsLimit {
		maps.DeleteFunc(s.sessions, func(_ string, old *session) bool { return now.Sub(old.expiration) > expiredSessions })
		s.sessionsLimit = max(minSessions, 2*len(s.sessions))
	}
	s.sessions[n.accessKeyID] = n
}

// minSessions is how many sessions there are at least before any is dropped.
const minSessions = 1024
