package compliance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// DefaultProfile is the name of the profile that is used if none is named.
const DefaultProfile = "default"

// Profile is a set of controls that a benchmark asks for.
type Profile struct {
	// Name is what flags and metrics call it, such as cis-5.0.
	Name string
	// Title is its name in prose.
	Title string
	// Policy is what reports call it, such as cis-aws-foundations-5.0.
	Policy string
	// Framework is the framework whose requirements it holds, "" if it is the operator's own selection.
	Framework string
	// Controls are about a Trail, in the order of Controls.
	Controls []*Control
	// AccountControls are about the account of an AWSIdentity, in the order of AccountControls.
	AccountControls []*Control

	// ids are the requirements of the framework that the profile holds, all if there are none.
	ids []string
}

// Profiles returns all profiles: the operator's own first, then those of frameworks.
func Profiles() []*Profile { return slices.Clone(profiles) }

// ProfileNamed returns a profile. The error lists the known names.
func ProfileNamed(name string) (*Profile, error) {
	for _, profile := range profiles {
		if profile.Name == name {
			return profile, nil
		}
	}
	return nil, fmt.Errorf("there is no compliance profile %q: the profiles are %s", name, ProfileNames())
}

// ProfileNames returns the names of all profiles, separated by commas, as usage texts have them.
func ProfileNames() string {
	names := make([]string, 0, len(profiles))
	for _, profile := range profiles {
		names = append(names, profile.Name)
	}
	return strings.Join(names, ", ")
}

// RuleID returns what the profile's framework calls a control of the profile, such as 3.2. Several controls can share a
// requirement. In a profile without a framework, it is the control's own ID.
func (p *Profile) RuleID(control *Control) string {
	for _, reference := range control.References {
		if p.holds(reference) {
			return reference.ID
		}
	}
	return control.ID
}

// holds tells whether a requirement belongs to the profile.
func (p *Profile) holds(reference Reference) bool {
	return reference.Framework == p.Framework && (len(p.ids) == 0 || slices.Contains(p.ids, reference.ID))
}

// Judge judges a Trail of a cluster by its spec and status, in the order of Controls.
func (p *Profile) Judge(trail *v1alpha1.Trail, now time.Time) []Result {
	return p.results(&subject{trail: trail, now: now, live: true})
}

// JudgeManifest judges a Trail that was not applied yet, by what its spec asks for. Controls that need a status are
// skipped.
func (p *Profile) JudgeManifest(trail *v1alpha1.Trail) []Result {
	return p.results(&subject{trail: trail})
}

func (p *Profile) results(s *subject) []Result {
	results := make([]Result, 0, len(p.Controls))
	for _, control := range p.Controls {
		f := s.finding(control)
		results = append(results, Result{Control: control, Outcome: f.outcome, Message: f.message})
	}
	return results
}

// JudgeAccount judges the account of an AWSIdentity, in the order of AccountControls. An account that is not assessed
// (spec.assessCoverage) is skipped.
func (p *Profile) JudgeAccount(identity *v1alpha1.AWSIdentity, now time.Time) []Result {
	results := make([]Result, 0, len(p.AccountControls))
	for _, control := range p.AccountControls {
		f := control.judgeAccount(identity, now)
		results = append(results, Result{Control: control, Outcome: f.outcome, Message: f.message})
	}
	return results
}

// profiles are all profiles.
var profiles = []*Profile{
	chosen(DefaultProfile, "Default", func(c *Control) bool {
		return !slices.Contains([]string{"tags", "bucket-access-logging", "kms-key-rotation"}, c.ID)
	}),
	chosen("all", "All controls", func(*Control) bool { return true }),
	chosen("security-trail", "AWS Config cloudtrail-security-trail-enabled", func(c *Control) bool {
		return slices.Contains(c.References, Reference{FrameworkConfig, securityTrail})
	}),
	of(FrameworkSecurityHub, Profile{
		Name: "fsbp", Policy: "aws-foundational-security-best-practices", Title: "AWS Foundational Security Best Practices",
		ids: []string{"CloudTrail.1", "CloudTrail.2", "CloudTrail.4", "CloudTrail.5"},
	}),
	of(FrameworkCIS30, Profile{Name: "cis-3.0", Policy: "cis-aws-foundations-3.0", Title: FrameworkCIS30}),
	of(FrameworkCIS401, Profile{Name: "cis-4.0.1", Policy: "cis-aws-foundations-4.0.1", Title: FrameworkCIS401}),
	of(FrameworkCIS50, Profile{Name: "cis-5.0", Policy: "cis-aws-foundations-5.0", Title: FrameworkCIS50}),
	of(FrameworkPCI, Profile{Name: "pci-4.0.1", Policy: "pci-dss-4.0.1", Title: FrameworkPCI}),
	of(FrameworkNIST, Profile{Name: "nist-800-53-r5", Policy: "nist-800-53-r5", Title: FrameworkNIST}),
}

// of returns a profile with the controls that a framework asks for.
func of(framework string, p Profile) *Profile {
	p.Framework = framework
	asked := func(c *Control) bool { return slices.ContainsFunc(c.References, p.holds) }
	p.Controls, p.AccountControls = which(controls, asked), which(accountControls, asked)
	return &p
}

// chosen returns a profile of the operator's own choice.
func chosen(name, title string, wanted func(*Control) bool) *Profile {
	return &Profile{
		Name: name, Title: title, Policy: "trail-operator-" + name,
		Controls: which(controls, wanted), AccountControls: which(accountControls, wanted),
	}
}

// which returns the controls that are wanted.
func which(controls []*Control, wanted func(*Control) bool) []*Control {
	return slices.DeleteFunc(slices.Clone(controls), func(c *Control) bool { return !wanted(c) })
}
