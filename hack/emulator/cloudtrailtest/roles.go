package cloudtrailtest

import (
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

// AddRole registers a role, replacing one of the same ARN.
func (s *Server) AddRole(r Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[r.ARN] = r
}

// DeleteRole forgets a role. Sessions of it live on, as they do in AWS.
func (s *Server) DeleteRole(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.roles, arn)
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

// session is a set of temporary credentials that AssumeRole issued.
type session struct {
	accessKeyID, secret, token string
	account                    string
	arn                        string
	principalID                string
	roleARN, roleName          string
	tags                       map[string]string
	transitive                 []string
	issued, expiration         time.Time
}
