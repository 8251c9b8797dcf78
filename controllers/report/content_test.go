package report

import (
	"encoding/json"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/compliance"
)

func trailNamed(name string) *v1alpha1.Trail {
	return &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID("uid-of-" + name)}}
}

// TestReportName holds that each object's report has a name of its own that the API server takes.
func TestReportName(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	long := strings.Repeat("a", validation.DNS1123SubdomainMaxLength-len("trail-"))
	names := map[string]string{}
	for _, name := range []string{
		"audit", "trail-audit", long, long + "a", long + "b",
		strings.Repeat("a.", 123) + "b", strings.Repeat("a-", 123) + "b",
	} {
		of := trails.reportName(trailNamed(name))
		g.Expect(validation.IsDNS1123Subdomain(of)).To(BeEmpty(), of)
		g.Expect(names).NotTo(HaveKey(of))
		names[of] = name
	}
	g.Expect(names).To(And(HaveKeyWithValue("trail-audit", "audit"), HaveKeyWithValue("trail-"+long, long)))
}

// TestFormat holds what the flag takes.
func TestFormat(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]Format{
		"":                                       None,
		"-reports=none":                          None,
		"-reports=openreports":                   OpenReports,
		"-reports=wgpolicy":                      WGPolicy,
		"-reports=wgpolicy -reports=wgpolicy":    WGPolicy,
		"-reports=openreports -reports=none":     None,
		"-reports=openreports,wgpolicy":          "refused",
		"-reports=openreports -reports=wgpolicy": "refused",
		"-reports=OpenReports":                   "refused",
	} {
		t.Run(arguments, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			var format Format
			set := flag.NewFlagSet("test", flag.ContinueOnError)
			set.SetOutput(io.Discard)
			set.Var(&format, "reports", "")
			err := set.Parse(strings.Fields(arguments))
			if want == "refused" {
				g.Expect(err).To(MatchError(ContainSubstring("invalid value")))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(format).To(Equal(want))
		})
	}
}

// judged returns so many results of a control with as much text as there may be.
func judged(count int) []compliance.Result {
	control := &compliance.Control{ID: "multi-region", Title: strings.Repeat("t", 5000), Severity: compliance.Critical}
	for range 500 {
		control.References = append(control.References, compliance.Reference{Framework: "A", ID: "3.1"})
	}
	results := make([]compliance.Result, count)
	for i := range results {
		results[i] = compliance.Result{Control: control, Outcome: compliance.Fail, Message: strings.Repeat("ü", 5000)}
	}
	return results
}

// TestSize holds that a report stays far below what the API server takes, 1.5 MiB, and that what others have chosen
// reaches no terminal as it is.
func TestSize(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	report := &Report{}
	kindOf(OpenReports, true).fill(
		report, trails, trailNamed("audit"), results(compliance.Profiles()[0], judged(10_000)), time.Now())
	content, err := json.Marshal(report)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(len(content)).To(BeNumerically("<", 200_000))
	g.Expect(report.Results).To(HaveLen(maxResults))
	g.Expect(report.Summary).To(Equal(Summary{Fail: maxResults}))

	hostile := judged(1)
	hostile[0].Message = "a\x1b[2Jb\nc"
	g.Expect(results(compliance.Profiles()[0], hostile)[0].Message).To(Equal(`a\x1b[2Jb c`))
}

// TestEveryProfileFits holds that no result of a profile is left out.
func TestEveryProfileFits(t *testing.T) {
	t.Parallel()
	for _, profile := range compliance.Profiles() {
		t.Run(profile.Name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := trailNamed("audit")
			judged := profile.Judge(trail, time.Now())
			written := results(profile, judged)
			g.Expect(written).To(HaveLen(len(profile.Controls)))
			for i, result := range written {
				g.Expect(result.Policy).To(Equal(profile.Policy))
				g.Expect(result.Rule).To(Equal(profile.RuleID(judged[i].Control)))
				g.Expect(result.Message).To(Equal(judged[i].Message))
				g.Expect(result.Properties).To(HaveKeyWithValue("control", judged[i].Control.ID))
			}
		})
	}
}

// TestSince holds that results keep their time until they say something else.
func TestSince(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	first, second := time.Unix(1_000, 0), time.Unix(2_000, 0)
	same := Result{Policy: "p", Rule: "1", Outcome: compliance.Pass, Message: "fine", Severity: compliance.High}
	turns := Result{Policy: "p", Rule: "2", Outcome: compliance.Pass, Message: "fine"}
	report, k := &Report{}, kindOf(OpenReports, true)
	k.fill(report, trails, trailNamed("audit"), []Result{same, turns}, first)
	before := report.sum()

	k.fill(report, trails, trailNamed("audit"), []Result{same, turns}, second)
	g.Expect(report.sum()).To(Equal(before), "the time is no part of what a report says")
	g.Expect(report.Results).To(HaveEach(HaveField("Timestamp.Seconds", first.Unix())))

	same.Severity = compliance.Low
	turns.Outcome = compliance.Fail
	k.fill(report, trails, trailNamed("audit"), []Result{turns, same}, second)
	g.Expect(report.sum()).NotTo(Equal(before))
	g.Expect(report.Results).To(HaveExactElements(
		HaveField("Timestamp.Seconds", second.Unix()), HaveField("Timestamp.Seconds", first.Unix())))
	g.Expect(report.Summary).To(Equal(Summary{Pass: 1, Fail: 1}))
}

// TestKinds holds what differs between the APIs.
func TestKinds(t *testing.T) {
	t.Parallel()
	result := []Result{{Policy: "p", Severity: compliance.Critical}}
	for _, c := range []struct {
		format         Format
		namespaced     bool
		kind, plural   string
		source, result string
		severity       compliance.Severity
	}{
		{OpenReports, true, "Report", "reports", source, "", compliance.Critical},
		{OpenReports, false, "ClusterReport", "clusterreports", source, "", compliance.Critical},
		{WGPolicy, true, "PolicyReport", "policyreports", "", source, compliance.High},
		{WGPolicy, false, "ClusterPolicyReport", "clusterpolicyreports", "", source, compliance.High},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			k, report := kindOf(c.format, c.namespaced), &Report{}
			k.fill(report, trails, trailNamed("audit"), result, time.Now())
			g.Expect([]string{k.Kind, k.plural(), report.Source, report.Results[0].Source}).
				To(Equal([]string{c.kind, c.plural, c.source, c.result}))
			g.Expect(report.Results[0].Severity).To(Equal(c.severity))
		})
	}
}

// TestCheckOwner holds whose reports are left alone.
func TestCheckOwner(t *testing.T) {
	t.Parallel()
	ours := map[string]string{managedBy: source}
	trail := trailNamed("audit")
	owner := func(change func(*metav1.OwnerReference)) []metav1.OwnerReference {
		reference := trails.owner(trail)
		change(&reference)
		return []metav1.OwnerReference{reference}
	}
	for name, c := range map[string]struct {
		labels map[string]string
		owners []metav1.OwnerReference
		// taken is who has the name, "" for nobody else.
		taken string
	}{
		"ours":                {ours, owner(func(*metav1.OwnerReference) {}), ""},
		"ours, label gone":    {nil, owner(func(*metav1.OwnerReference) {}), ""},
		"ours, owner gone":    {ours, nil, ""},
		"of an earlier Trail": {ours, owner(func(o *metav1.OwnerReference) { o.UID = "earlier" }), ""},
		"of another Trail":    {ours, owner(func(o *metav1.OwnerReference) { o.UID, o.Name = "x", "y" }), `Trail "y"`},
		"of another kind":     {ours, owner(func(o *metav1.OwnerReference) { o.UID, o.Kind = "x", "Pod" }), `Pod "audit"`},
		"of an earlier Trail, without the label": {
			nil, owner(func(o *metav1.OwnerReference) { o.UID = "earlier" }), `Trail "audit"`,
		},
		"another program's":     {map[string]string{managedBy: "kyverno\x1b"}, nil, `kyverno\x1b`},
		"nobody knows whose":    {nil, nil, "somebody else"},
		"owned, not controlled": {nil, owner(func(o *metav1.OwnerReference) { o.Controller = nil }), "somebody else"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			report := &Report{ObjectMeta: metav1.ObjectMeta{Name: "trail-audit", Labels: c.labels, OwnerReferences: c.owners}}
			err := trails.checkOwner(kindOf(OpenReports, true), report, trail)
			if c.taken == "" {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			g.Expect(err).To(MatchError(HavePrefix(`Report "trail-audit" is of ` + c.taken + ",")))
		})
	}
}

// TestIncomplete holds that options that are not complete are refused.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	_, err := New(Options{Format: OpenReports})
	g.Expect(err).To(MatchError(ContainSubstring("are required")))
}

// BenchmarkAtRest is what a change of a Trail costs that changes nothing in its report.
func BenchmarkAtRest(b *testing.B) {
	profile, trail, k := compliance.Profiles()[0], trailNamed("audit"), kindOf(OpenReports, true)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		wanted := &Report{}
		k.fill(wanted, trails, trail, results(profile, profile.Judge(trail, now)), now)
		if wanted.sum() == "" {
			b.Fatal("no digest")
		}
	}
}
