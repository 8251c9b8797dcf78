package compliance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/compliance"
)

// cisFrom30 is what versions 3.0, 4.0.1 and 5.0 of the CIS benchmark ask of trails, but for metric filters on other
// things than trails.
var cisFrom30 = map[string][]string{
	"3.1": {"multi-region", "logging", "management-events", "account-recorded"},
	"3.2": {"log-file-validation"},
	"3.4": {"bucket-access-logging"},
	"3.5": {"kms-encryption"},
	"3.6": {"kms-key-rotation"},
	"3.8": {"s3-object-writes"},
	"3.9": {"s3-object-reads"},
	"4.5": {"change-detection"},
}

// requirements are what the profile of each framework holds: for each requirement, the controls that answer it.
var requirements = map[string]map[string][]string{
	"cis-3.0":   cisFrom30,
	"cis-4.0.1": cisFrom30,
	"cis-5.0":   cisFrom30,
	"fsbp": {
		"CloudTrail.1": {"multi-region", "logging", "management-events", "account-recorded"},
		"CloudTrail.2": {"kms-encryption"},
		"CloudTrail.4": {"log-file-validation"},
		"CloudTrail.5": {"cloudwatch-logs"},
	},
	"pci-4.0.1": {
		"10.2.1": {
			"multi-region", "logging", "management-events", "cloudwatch-logs", "s3-object-writes", "s3-object-reads",
			"account-recorded", "account-trail-logging",
		},
		"10.3.2": {"kms-encryption"},
		"10.3.4": {"log-file-validation"},
		"10.7":   {"delivery"},
	},
	"nist-800-53-r5": {
		"AU-12":   {"multi-region", "logging", "management-events", "account-recorded"},
		"AU-9":    {"log-file-validation", "kms-encryption"},
		"AU-6(1)": {"cloudwatch-logs"},
		"AU-5":    {"delivery"},
		"CM-3":    {"drift-free"},
	},
	// Global service events, multi-region, validation, KMS, reads and writes, management events, no exclusions.
	"security-trail": {
		"multi-region":          {"multi-region"},
		"management-events":     {"management-events"},
		"global-service-events": {"global-service-events"},
		"log-file-validation":   {"log-file-validation"},
		"kms-encryption":        {"kms-encryption"},
	},
}

// TestProfilesOfFrameworks holds that each profile has exactly the controls that its framework lists.
func TestProfilesOfFrameworks(t *testing.T) {
	t.Parallel()
	for name, want := range requirements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			profile, rules := named(g, name), map[string][]string{}
			for _, control := range append(profile.Controls, profile.AccountControls...) {
				rules[profile.RuleID(control)] = append(rules[profile.RuleID(control)], control.ID)
			}
			g.Expect(rules).To(Equal(want))
		})
	}
}

// TestOwnProfiles holds the operator's own profiles.
func TestOwnProfiles(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	all, standard := named(g, "all"), named(g, compliance.DefaultProfile)
	g.Expect(all.Controls).To(Equal(compliance.Controls()))
	g.Expect(all.AccountControls).To(Equal(compliance.AccountControls()))
	g.Expect(compliance.Profiles()[0]).To(BeIdenticalTo(standard))
	left := []string{}
	for _, control := range all.Controls {
		g.Expect(all.RuleID(control)).To(Equal(control.ID))
		if !slices.Contains(standard.Controls, control) {
			left = append(left, control.ID)
		}
	}
	g.Expect(left).To(ConsistOf("tags", "bucket-access-logging", "kms-key-rotation"))

	// What the default profile must hold at least.
	for _, name := range []string{"fsbp", "security-trail", "cis-5.0"} {
		for _, control := range named(g, name).Controls {
			if slices.Contains(left, control.ID) {
				continue // It is always skipped.
			}
			g.Expect(slices.Contains(standard.Controls, control)).To(BeTrue(), "%s of %s", control.ID, name)
		}
	}
}

// TestProfileNamed holds that an unknown name is answered with the known ones.
func TestProfileNamed(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	for _, profile := range compliance.Profiles() {
		g.Expect(compliance.ProfileNamed(profile.Name)).To(BeIdenticalTo(profile))
		g.Expect(compliance.ProfileNames()).To(ContainSubstring(profile.Name))
		g.Expect(profile.Title).NotTo(BeEmpty())
		g.Expect(profile.Policy).To(MatchRegexp(`^[a-z0-9][a-z0-9.-]*$`))
		g.Expect(profile.Controls).NotTo(BeEmpty())
	}
	_, err := compliance.ProfileNamed("cis-9\x1b")
	g.Expect(err).To(MatchError(`there is no compliance profile "cis-9\x1b": the profiles are ` +
		compliance.ProfileNames()))
}

// TestDescriptions holds that each control is described, in one style, and refers to what its frameworks call it.
func TestDescriptions(t *testing.T) {
	t.Parallel()
	ids := map[string]string{
		compliance.FrameworkSecurityHub: `^(CloudTrail|S3)\.\d+$`,
		compliance.FrameworkConfig:      `^[a-z0-9]+(-[a-z0-9]+)+$`,
		compliance.FrameworkCIS30:       `^\d\.\d+$`,
		compliance.FrameworkCIS401:      `^\d\.\d+$`,
		compliance.FrameworkCIS50:       `^\d\.\d+$`,
		compliance.FrameworkPCI:         `^10\.\d(\.\d)?$`,
		compliance.FrameworkNIST:        `^[A-Z]{2}-\d+(\(\d+\))?$`,
	}
	NewWithT(t).Expect(compliance.Frameworks()).To(HaveLen(len(ids)))
	known := map[string]bool{}
	for _, control := range append(compliance.Controls(), compliance.AccountControls()...) {
		NewWithT(t).Expect(known).NotTo(HaveKey(control.ID))
		known[control.ID] = true
		t.Run(control.ID, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			g.Expect(control.ID).To(MatchRegexp(`^[a-z0-9]+(-[a-z0-9]+)*$`))
			g.Expect(control.Title).To(MatchRegexp(`^[A-Z].*[^.]$`))
			g.Expect(control.Remedy).To(MatchRegexp(`^[A-Z].*[^.]$`))
			g.Expect(compliance.Severities()).To(ContainElement(control.Severity))
			g.Expect(control.Field).To(MatchRegexp(`^(spec|status)\.[a-zA-Z0-9]+$`))
			g.Expect(control.ReferenceIn("none")).To(BeEmpty())
			for _, reference := range control.References {
				g.Expect(ids).To(HaveKey(reference.Framework))
				g.Expect(reference.ID).To(MatchRegexp(ids[reference.Framework]))
				g.Expect(control.ReferenceIn(reference.Framework)).NotTo(BeEmpty())
			}
		})
	}
}

// TestManifests holds that a Trail is judged by its spec alone before it is applied.
func TestManifests(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	everything := named(g, "all")
	inStatus := []string{"delivery", "drift-free"}
	unjudged := []string{"bucket-access-logging", "kms-key-rotation"}

	manifest := func(changes ...change) *v1alpha1.Trail {
		return goodTrail(append(changes, func(t *v1alpha1.Trail) { t.Status, t.Generation = v1alpha1.TrailStatus{}, 0 })...)
	}
	for _, result := range everything.JudgeManifest(manifest()) {
		want := compliance.Pass
		for _, id := range append(inStatus, unjudged...) {
			if result.Control.ID == id {
				want = compliance.Skip
			}
		}
		g.Expect(result.Outcome).To(Equal(want), "%s: %s", result.Control.ID, result.Message)
	}

	// What the status of a manifest says does not count: somebody wrote it by hand.
	stale := goodTrail(stopped, drifted(nil), differs("kmsKeyID", ""), unprocessed,
		func(t *v1alpha1.Trail) { t.Status.LatestDeliveryError = "AccessDenied" })
	g.Expect(everything.JudgeManifest(stale)).To(Equal(everything.JudgeManifest(manifest())))

	for control, wrong := range map[string]change{
		"multi-region":        func(t *v1alpha1.Trail) { t.Spec.IsMultiRegionTrail = nil },
		"logging":             func(t *v1alpha1.Trail) { t.Spec.Logging = new(false) },
		"management-events":   basic(v1alpha1.EventSelector{ReadWriteType: v1alpha1.WriteOnly}),
		"log-file-validation": func(t *v1alpha1.Trail) { t.Spec.EnableLogFileValidation = nil },
		"kms-encryption":      func(t *v1alpha1.Trail) { t.Spec.KMSKeyID = "" },
		"cloudwatch-logs":     func(t *v1alpha1.Trail) { t.Spec.CloudWatchLogsRoleARN = "" },
		"s3-object-writes":    basic(),
		"s3-object-reads":     basic(),
		"change-detection":    suspended,
		"managed":             observed,
		"retained":            func(t *v1alpha1.Trail) { t.Spec.DeletionPolicy = "" },
		"tags":                func(t *v1alpha1.Trail) { t.Spec.Tags = nil },
	} {
		result := resultOf(g, everything.JudgeManifest(manifest(wrong)), control)
		g.Expect(result.Outcome).To(Equal(compliance.Fail), "%s: %s", control, result.Message)
		g.Expect(result.Message).To(ContainSubstring("spec."), control)
	}

	// A suspended or observed manifest is judged by what it asks for.
	g.Expect(resultOf(g, everything.JudgeManifest(manifest(suspended)), "multi-region").Outcome).To(Equal(compliance.Pass))
}

// TestAccounts holds what is said of the account of an AWSIdentity.
func TestAccounts(t *testing.T) {
	t.Parallel()
	type trail = v1alpha1.AssessedTrail
	assessed := func(status metav1.ConditionStatus, reason string, trails ...trail) *v1alpha1.AWSIdentity {
		return &v1alpha1.AWSIdentity{
			Spec: v1alpha1.AWSIdentitySpec{AssessCoverage: new(true)},
			Status: v1alpha1.AWSIdentityStatus{
				Conditions: []metav1.Condition{
					{Type: v1alpha1.ConditionRecorded, Status: status, Reason: reason, Message: "see\x1b there"},
				},
				Coverage: &v1alpha1.Coverage{AssessedTime: *ago(time.Hour), Trails: trails, TrailCount: int32(len(trails))},
			},
		}
	}
	logging, stopped := trail{Logging: new(true)}, trail{Logging: new(false)}
	unknown := trail{}
	with := func(identity *v1alpha1.AWSIdentity, change func(*v1alpha1.AWSIdentity)) *v1alpha1.AWSIdentity {
		change(identity)
		return identity
	}
	recorded := func() *v1alpha1.AWSIdentity { return assessed("True", v1alpha1.ReasonRecorded, logging) }

	for about, c := range map[string]struct {
		identity          *v1alpha1.AWSIdentity
		recorded, logging compliance.Outcome
		message           string
	}{
		"recorded": {recorded(), passes, passes, "are recorded"},
		"narrowed by selectors": {
			assessed("False", v1alpha1.ReasonEventsExcluded, logging), fails, passes, "EventsExcluded",
		},
		"stopped": {
			assessed("False", v1alpha1.ReasonNotLogging, stopped, stopped), fails, fails, `see\x1b there`,
		},
		"no trail": {assessed("False", v1alpha1.ReasonNoTrail), fails, fails, v1alpha1.ReasonNoTrail},
		"one trail unknown": {
			assessed("Unknown", v1alpha1.ReasonAccessDenied, stopped, unknown), skipped, skipped, "Recorded",
		},
		"more trails than listed": {with(assessed("False", v1alpha1.ReasonNotLogging, stopped),
			func(i *v1alpha1.AWSIdentity) { i.Status.Coverage.TrailCount = 30 }), fails, skipped, ""},
		"no condition": {
			with(recorded(), func(i *v1alpha1.AWSIdentity) { i.Status.Conditions = nil }), skipped, passes, "",
		},
		"assessed for another spec": {
			with(recorded(), func(i *v1alpha1.AWSIdentity) { i.Generation++ }), skipped, passes, "",
		},
		"not asked for": {with(recorded(), func(i *v1alpha1.AWSIdentity) { i.Spec.AssessCoverage = nil }),
			skipped, skipped, "spec.assessCoverage: true"},
		"not assessed yet": {with(recorded(), func(i *v1alpha1.AWSIdentity) { i.Status.Coverage = nil }),
			skipped, skipped, "yet"},
		"assessed just lately enough": {with(recorded(), func(i *v1alpha1.AWSIdentity) {
			i.Status.Coverage.AssessedTime = *ago(3*time.Hour - time.Second)
		}), passes, passes, ""},
		"assessed long ago": {with(recorded(), func(i *v1alpha1.AWSIdentity) {
			i.Status.Coverage.AssessedTime = *ago(3 * time.Hour)
		}), skipped, skipped, "2026-01-02T09:00:00Z"},
		"not understood": {with(recorded(), func(i *v1alpha1.AWSIdentity) { i.DecodeError = "no" }),
			skipped, skipped, "understand"},
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			results := named(g, "all").JudgeAccount(c.identity, now)
			g.Expect(results).To(HaveLen(2))
			g.Expect(results[0].Outcome).To(Equal(c.recorded), results[0].Message)
			g.Expect(results[0].Message).To(ContainSubstring(c.message))
			g.Expect(results[1].Outcome).To(Equal(c.logging), results[1].Message)
		})
	}
}

// BenchmarkJudge judges the Trails of a large installation, as a scrape does.
func BenchmarkJudge(b *testing.B) {
	profile := compliance.Profiles()[0]
	trails := make([]*v1alpha1.Trail, 2000)
	for i := range trails {
		trails[i] = goodTrail()
		trails[i].Name = fmt.Sprint("audit-", i)
		if i%2 == 0 {
			advanced(where(equals("eventCategory", "Management")), where(equals("eventCategory", "Data"),
				equals("resources.type", strings.Repeat("x", 20))))(trails[i])
		}
	}
	for b.Loop() {
		for _, trail := range trails {
			profile.Judge(trail, now)
		}
	}
}
