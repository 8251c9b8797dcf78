package operator

import "github.com/trail-operator/trail-operator/controllers/compliance"

// noProfile is the name that turns judging off, as the empty name does.
const noProfile = "none"

// profile is the flag --compliance-profile: what Trails are judged by, if they are.
type profile struct{ *compliance.Profile }

// String returns the name of the profile.
func (p *profile) String() string {
	if p.Profile == nil {
		return noProfile
	}
	return p.Name
}

// Set takes the name of a profile. The error lists the known names.
func (p *profile) Set(name string) error {
	if name == "" || name == noProfile {
		p.Profile = nil
		return nil
	}
	named, err := compliance.ProfileNamed(name)
	if err != nil {
		return err
	}
	p.Profile = named
	return nil
}
