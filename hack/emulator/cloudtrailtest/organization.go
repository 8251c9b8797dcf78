package cloudtrailtest

import "slices"

// Organization is the one organization that the emulator has.
type Organization struct {
	// ID is the organization's id, such as o-exampleorgid.
	ID                string `json:"id"`
	ManagementAccount string `json:"managementAccount"`
	// DelegatedAdministrators may manage organization trails for the management account. They are members as well, whether
	// or not Members lists them.
	DelegatedAdministrators []string `json:"delegatedAdministrators,omitempty"`
	// Members are the accounts besides the management account.
	Members []string `json:"members,omitempty"`
	// ConsolidatedBillingOnly is an organization without all features: OrganizationNotInAllFeaturesModeException.
	ConsolidatedBillingOnly bool `json:"consolidatedBillingOnly,omitempty"`
	// TrustedAccessDisabled is an organization that does not trust CloudTrail: CloudTrailAccessNotEnabledException.
	TrustedAccessDisabled bool `json:"trustedAccessDisabled,omitempty"`
	// NoServiceLinkedRole is a management account without CloudTrail's service-linked role, which delegated administrators
	// need: NoManagementAccountSLRExistsException.
	NoServiceLinkedRole bool `json:"noServiceLinkedRole,omitempty"`
}

type organization struct {
	Organization
	members   map[string]bool
	delegated map[string]bool
}

// SetOrganization replaces the organization. An empty ManagementAccount is no organization.
func (s *Server) SetOrganization(o Organization) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver()
	defer s.arrange()
	if o.ManagementAccount == "" {
		s.org = nil
		return
	}
	o.DelegatedAdministrators, o.Members = slices.Clone(o.DelegatedAdministrators), slices.Clone(o.Members)
	org := &organization{Organization: o, members: map[string]bool{}, delegated: map[string]bool{}}
	for _, m := range o.Members {
		org.members[m] = true
	}
	for _, d := range o.DelegatedAdministrators {
		org.members[d], org.delegated[d] = true, true
	}
	delete(org.members, o.ManagementAccount)
	s.org = org
}

// isMember says whether the account belongs to the organization without being its management account.
func (o *organization) isMember(account string) bool { return o != nil && o.members[account] }

func (o *organization) isDelegated(account string) bool { return o != nil && o.delegated[account] }

func (o *organization) isManagement(account string) bool {
	return o != nil && o.ManagementAccount == account
}

// trailOwner returns who owns an organization trail that the account creates, or why the account may not.
func (o *organization) trailOwner(account string) (string, error) {
	switch {
	case !o.isManagement(account) && !o.isMember(account):
		return "", fail("OrganizationsNotInUseException", "Your account is not a member of an organization.")
	case !o.isManagement(account) && !o.isDelegated(account):
		return "", fail(
			"NotOrganizationMasterAccountException",
			"The request was made by account %s, "+
				"which is not the management account or a delegated administrator of the organization.",
			account,
		)
	case o.ConsolidatedBillingOnly:
		return "", fail(
			"OrganizationNotInAllFeaturesModeException",
			"The organization is not configured to support all features.",
		)
	case o.TrustedAccessDisabled:
		return "", fail(
			"CloudTrailAccessNotEnabledException",
			"Trusted access between CloudTrail and Organizations is not enabled.",
		)
	case o.NoServiceLinkedRole && o.isDelegated(account):
		return "", fail(
			"NoManagementAccountSLRExistsException",
			"The management account does not have a service-linked role for CloudTrail.",
		)
	}
	return o.ManagementAccount, nil
}
