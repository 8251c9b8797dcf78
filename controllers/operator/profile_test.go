package operator

import (
	"flag"
	"io"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/controllers/compliance"
)

// TestProfileFlag holds what Trails are judged by: the default profile, a named one, or none; an unknown name stops the
// operator at its start, and the error lists the names.
func TestProfileFlag(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	parse := func(arguments ...string) (*compliance.Profile, error) {
		var o Options
		set := flag.NewFlagSet("trail-operator", flag.ContinueOnError)
		set.SetOutput(io.Discard)
		o.BindFlags(set)
		err := set.Parse(arguments)
		return o.profile.Profile, err
	}

	for _, named := range compliance.Profiles() {
		g.Expect(parse("--compliance-profile=" + named.Name)).To(BeIdenticalTo(named))
	}
	g.Expect(parse()).To(HaveField("Name", compliance.DefaultProfile))
	g.Expect(parse("--compliance-profile=none")).To(BeNil())
	g.Expect(parse("--compliance-profile=")).To(BeNil())
	_, err := parse("--compliance-profile=cis-9")
	g.Expect(err).To(MatchError(ContainSubstring("the profiles are " + compliance.ProfileNames())))
}

// TestProfileString holds that the flag's default can be shown in its usage, also of flags that nobody has set.
func TestProfileString(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	g.Expect((&profile{}).String()).To(Equal("none"))
	g.Expect((&profile{compliance.Profiles()[0]}).String()).To(Equal("default"))
}
