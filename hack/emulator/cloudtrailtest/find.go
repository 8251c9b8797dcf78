package cloudtrailtest

import "strings"

// access is what an operation wants with the trail that it names.
type access int

const (
	// toRead may go to a shadow trail, by ARN.
	toRead access = iota
	// toWrite goes to the home region.
	toWrite
)

// find returns the trail that a name or an ARN means to this caller, and notes it in the call.
func (s *Server) find(c *call, ident string, want access) (*trail, error) {
	var t *trail
	var err error
	if strings.HasPrefix(ident, "arn:") {
		t, err = s.findByARN(c, ident, want)
	} else {
		t, err = s.findByName(c, ident, want)
	}
	c.trail = t
	return t, err
}

// findByName finds a trail that the caller's account owns and that is at home in the region. A name never means a
// shadow trail, nor, for members and delegated administrators, the organization's trail: "To get the status of a shadow
// trail, you must specify its ARN". Writing to the account's own shadow trail is told apart.
func (s *Server) findByName(c *call, name string, want access) (*trail, error) {
	if err := validTrailName(name); err != nil {
		return nil, err
	}
	a := s.account(c.account)
	t := a.home[c.region][name]
	if want == toRead && c.age > 0 {
		t = s.seen(c, c.account, trailARN(c.region, c.account, name))
	}
	if t != nil {
		return t, nil
	}
	if t := a.multi[shadowKey(c.region, name)]; t != nil && want == toWrite {
		return nil, wrongRegion(t, c.region)
	}
	return nil, unknownTrail(trailARN(c.region, c.account, name), c.account)
}

// findByARN finds a trail of the caller's account, or one of its organization.
func (s *Server) findByARN(c *call, ident string, want access) (*trail, error) {
	if err := validTrailARN(ident, c.partition); err != nil {
		return nil, err
	}

	t := s.byARN[ident]
	if want == toRead && c.age > 0 {
		a, _ := parseARN(ident)
		t = s.seen(c, a.account, ident)
	}

	switch {
	case t == nil, t.owner != c.account && !s.sees(c.account, t):
		return nil, unknownTrail(ident, c.account)
	case want == toRead && !t.shows(c.region):
		// "Trails are viewable only in the Regions where they log events."
		return nil, unknownTrail(ident, c.account)
	case want == toRead:
		return t, nil
	case !s.manages(c.account, t):
		return nil, fail(
			"NotOrganizationMasterAccountException",
			"The request was made by account %s, "+
				"which is not the management account or a delegated administrator of the organization.",
			c.account,
		)
	case t.home != c.region:
		return nil, wrongRegion(t, c.region)
	}

	return t, nil
}

// sees says whether an account sees another account's trail: as a member of the organization, if it is for all of them.
func (s *Server) sees(account string, t *trail) bool {
	return t.orgTrail && s.org.isManagement(t.owner) && s.org.isMember(account)
}

// manages says whether an account may change a trail: its owner, or a delegated administrator of the organization.
func (s *Server) manages(account string, t *trail) bool {
	return t.owner == account || s.sees(account, t) && s.org.isDelegated(account)
}

func wrongRegion(t *trail, region string) error {
	return fail(
		"InvalidHomeRegionException",
		"Trail %s can only be modified in its home region %s, not in %s.",
		t.name,
		t.home,
		region,
	)
}
