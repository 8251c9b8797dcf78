package trail

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// notInAWS are the fields of a spec that AWS does not hold, and what they are for.
var notInAWS = map[string]string{
	"name":             "which trail",
	"region":           "where",
	"identityRef":      "as whom",
	"adoptionPolicy":   "whose",
	"deletionPolicy":   "what a deletion does",
	"managementPolicy": "whether anything is written",
	"suspend":          "whether anything is done",
	"interval":         "how often",
}

// TestEveryFieldIsKept holds that each field of a spec is a row of the table by which plan, drift and attribution go,
// or is none of AWS's.
func TestEveryFieldIsKept(t *testing.T) {
	t.Parallel()
	spec := reflect.TypeFor[v1alpha1.TrailSpec]()
	names := map[string]bool{}
	for part := range spec.Fields() {
		name, _, _ := strings.Cut(part.Tag.Get("json"), ",")
		names[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			kept := slices.ContainsFunc(fields, func(f field) bool { return f.isNamed(name) })
			g.Expect(kept).To(Equal(notInAWS[name] == ""), "a row of fields in fields.go, or a line of notInAWS")
		})
	}
	g := NewWithT(t)
	for name := range notInAWS {
		g.Expect(names).To(HaveKey(name), "there is no such field any more")
	}
	for _, f := range fields {
		if f.name != fieldTrail && f.name != fieldOwnerTag {
			g.Expect(names).To(HaveKey(f.name))
		}
	}
}

// TestEverySettingIsSet holds that CreateTrail is given every setting, so that none is left to what AWS takes for a
// default.
func TestEverySettingIsSet(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	settings := reflect.ValueOf(settingsOf(&v1alpha1.TrailSpec{}))
	for i := range settings.NumField() {
		g.Expect(settings.Field(i).IsNil()).To(BeFalse(), reflect.TypeFor[cloudtrail.Change]().Field(i).Name)
	}
}
