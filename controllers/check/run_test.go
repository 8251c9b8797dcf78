package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/trail-operator/trail-operator/controllers/command"
	"github.com/trail-operator/trail-operator/controllers/compliance"
)

var update = flag.Bool("update", false, "write testdata/golden anew")

// crd is the CRD of Trails, read before a test changes the folder.
var crd, errCRD = os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", "trail-operator.dev_trails.yaml"))

// judge runs the command and returns what it prints, its exit code and its error.
func judge(t *testing.T, input string, arguments ...string) (output string, exitCode int, message string) {
	t.Helper()
	if errCRD != nil {
		t.Fatal(errCRD)
	}
	options := Options{CRD: crd, Input: strings.NewReader(input), Version: "test"}
	set := flag.NewFlagSet("check", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	options.BindFlags(set)
	err := set.Parse(arguments)
	if err == nil {
		err = options.Validate()
	}
	if err != nil {
		return "", command.ExitUsage, err.Error()
	}

	var b bytes.Buffer
	err = Run(t.Context(), options, &b)
	if err == nil {
		return b.String(), command.ExitSuccess, ""
	}
	e, ok := errors.AsType[*command.ExitError](err)
	if !ok {
		t.Fatal(err)
	}
	return b.String(), e.Code, e.Error()
}

// TestGolden compares what is printed with testdata/golden, which go test -update writes.
func TestGolden(t *testing.T) {
	t.Chdir("testdata")
	for _, folder := range []string{"manifests", "problems"} {
		for _, format := range []string{"text", "json", "sarif"} {
			t.Run(folder+"."+format, func(t *testing.T) {
				g := NewWithT(t)
				arguments := []string{
					"-f", folder, "--profile=security-trail", "--output=" + format, "--skip=kms-encryption=the bucket's \u202ekey",
				}
				got, exitCode, _ := judge(t, "", arguments...)
				g.Expect(exitCode).To(Equal(ExitFailures))
				path := filepath.Join("golden", folder+"."+format)
				if *update {
					g.Expect(os.WriteFile(path, []byte(got), 0o644)).To(Succeed())
				}

				want, err := os.ReadFile(path)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(got).To(Equal(string(want)))
				again, _, _ := judge(t, "", arguments...)
				g.Expect(again).To(Equal(got), "the same manifests give the same report")
			})
		}
	}
}

// trailWith returns a manifest of a Trail with more in its spec, such as "isMultiRegionTrail: true".
func trailWith(fields ...string) string {
	manifest := "apiVersion: trail-operator.dev/v1alpha1\nkind: Trail\nmetadata:\n  name: audit\nspec:\n" +
		"  s3BucketName: example-audit-logs\n"
	for _, field := range fields {
		manifest += "  " + field + "\n"
	}
	return manifest
}

// complete are the fields of a Trail that leaves nothing to be desired by the profile security-trail.
var complete = []string{"isMultiRegionTrail: true", "enableLogFileValidation: true", "kmsKeyID: alias/audit"}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	perfect, leaky := trailWith(complete...), trailWith(complete[1:]...)
	broken := "a: b: c\n---\n"
	for name, c := range map[string]struct {
		input     string
		arguments []string
		exitCode  int
		message   string
	}{
		"nothing fails":         {perfect, nil, command.ExitSuccess, ""},
		"a control fails":       {leaky, nil, ExitFailures, "1 failure"},
		"two controls fail":     {trailWith(complete[2:]...), nil, ExitFailures, "2 failures"},
		"severe enough":         {leaky, []string{"--fail-on=high"}, ExitFailures, "1 failure"},
		"not severe enough":     {leaky, []string{"--fail-on=critical"}, command.ExitSuccess, ""},
		"skipped":               {leaky, []string{"--skip=multi-region"}, command.ExitSuccess, ""},
		"another is skipped":    {leaky, []string{"--skip=kms-encryption=why not"}, ExitFailures, "1 failure"},
		"one of another":        {leaky, []string{"--skip=retained"}, ExitFailures, "1 failure"},
		"not judged":            {broken + perfect, nil, ExitUnjudged, "1 problem"},
		"not judged, and fails": {broken + leaky, nil, ExitFailures, "1 failure, 1 problem"},
		"not judged, and fails a little": {
			broken + leaky, []string{"--fail-on=critical"}, ExitUnjudged, "1 problem",
		},
		"refused":           {trailWith("isMultiRegion: true"), nil, ExitUnjudged, "1 problem"},
		"no Trail":          {"kind: A\napiVersion: v1", nil, ExitUnjudged, "there is no Trail to judge"},
		"no input":          {"", nil, ExitUnjudged, "there is no Trail to judge"},
		"none is expected":  {"", []string{"--allow-empty"}, command.ExitSuccess, ""},
		"no file":           {perfect, []string{"-f=nowhere.yaml"}, ExitUnjudged, "1 problem"},
		"unknown profile":   {perfect, []string{"--profile=cis"}, command.ExitUsage, `there is no compliance profile "cis"`},
		"unknown severity":  {perfect, []string{"--fail-on=bad"}, command.ExitUsage, "not one of low, medium, high"},
		"unknown format":    {perfect, []string{"--output=xml"}, command.ExitUsage, "not one of text, json, sarif"},
		"unknown control":   {perfect, []string{"--skip=kms"}, command.ExitUsage, `--skip "kms" is not a control: those of`},
		"skipped twice":     {perfect, []string{"--skip=tags", "--skip=tags=a"}, command.ExitUsage, "tags is skipped twice"},
		"a file of no name": {perfect, []string{"-f="}, command.ExitUsage, "-f needs the name of a file or a folder"},
	} {
		for _, format := range []string{"text", "json", "sarif"} {
			t.Run(name+"/"+format, func(t *testing.T) {
				t.Parallel()
				g := NewWithT(t)
				arguments := append([]string{"-f=-", "--profile=security-trail", "--output=" + format}, c.arguments...)
				output, exitCode, message := judge(t, c.input, arguments...)
				g.Expect(exitCode).To(Equal(c.exitCode), "%s\n%s", message, output)
				g.Expect(message).To(ContainSubstring(c.message))
				if c.message == "" {
					g.Expect(message).To(BeEmpty())
				}
				if exitCode != command.ExitUsage && format == "json" {
					var report Report
					g.Expect(json.Unmarshal([]byte(output), &report)).To(Succeed())
					g.Expect(report.Summary.ExitCode).To(Equal(exitCode))
				}
			})
		}
	}

	_, exitCode, message := judge(t, "")
	NewWithT(t).Expect(exitCode).To(Equal(command.ExitUsage))
	NewWithT(t).Expect(message).To(HavePrefix("-f is required"))
}

// TestSkip holds that a skipped control is told, also where it would have failed.
func TestSkip(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	output, _, _ := judge(t, trailWith(complete[1:]...), "-f=-", "--profile=security-trail", "--output=json",
		"--skip=multi-region=one region only", "--skip=kms-encryption")
	var report Report
	g.Expect(json.Unmarshal([]byte(output), &report)).To(Succeed())

	results := map[string]Result{}
	for _, result := range report.Trails[0].Results {
		results[result.Control] = result
	}
	g.Expect(results["multi-region"]).To(And(
		HaveField("Outcome", compliance.Skip), HaveField("Suppressed", true),
		HaveField("Message", HavePrefix("skipped by --skip (one region only): ")),
	))
	g.Expect(results["kms-encryption"]).To(And(
		HaveField("Outcome", compliance.Skip), HaveField("Suppressed", false),
		HaveField("Message", HavePrefix("skipped by --skip (no reason given): ")),
	))
}

// TestSARIFSchema holds SARIF against the schema of the standard, which go-sarif has: every property is known, and what
// the library reads is valid.
func TestSARIFSchema(t *testing.T) {
	t.Chdir("testdata")
	for _, profile := range compliance.Profiles() {
		t.Run(profile.Name, func(t *testing.T) {
			g := NewWithT(t)
			output, _, _ := judge(t, "", "-f=manifests", "-f=problems", "-f=-", "--output=sarif", "--profile="+profile.Name)
			strict := json.NewDecoder(strings.NewReader(output))
			strict.DisallowUnknownFields()
			g.Expect(strict.Decode(&sarif.Report{})).To(Succeed())
			report, err := sarif.FromString(output)
			g.Expect(err).NotTo(HaveOccurred())
			// The library writes these where they are absent, empty, which they must not be.
			run := report.Runs[0]
			run.Language, run.Tool.Driver.Language, run.NewlineSequences = "en-US", "en-US", []string{"\n"}
			g.Expect(report.Validate()).To(Succeed())
			expectCodeScanning(g, run, profile)
		})
	}
}

// expectCodeScanning holds what GitHub asks for besides:
// https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
func expectCodeScanning(g *WithT, run *sarif.Run, profile *compliance.Profile) {
	rules := run.Tool.Driver.Rules
	g.Expect(rules).To(HaveLen(len(profile.Controls) + 1))
	for _, rule := range rules {
		g.Expect([]string{*rule.ShortDescription.Text, *rule.FullDescription.Text, *rule.Help.Text}).NotTo(ContainElement(""))
		g.Expect(len(*rule.FullDescription.Text)).To(BeNumerically("<=", 1024))
	}

	seen := map[string]bool{}
	for _, result := range run.Results {
		g.Expect(*rules[result.RuleIndex].ID).To(Equal(*result.RuleID))
		g.Expect(result.Locations).To(HaveLen(1))
		physical := result.Locations[0].PhysicalLocation
		g.Expect(*physical.ArtifactLocation.URI).To(MatchRegexp(`^(manifests|problems)/[a-z0-9/.]+$`))
		g.Expect(*physical.Region.StartLine).To(BeNumerically(">", 0))
		g.Expect(*physical.Region.EndColumn).To(BeNumerically(">", *physical.Region.StartColumn))
		g.Expect(result.PartialFingerprints).To(HaveKeyWithValue(fingerprint, HaveLen(32)))
		key := *physical.ArtifactLocation.URI + result.PartialFingerprints[fingerprint]
		if *result.RuleID != ruleProblem {
			g.Expect(seen).NotTo(HaveKey(key), "two results are the same")
		}
		seen[key] = true
	}
	g.Expect(seen).NotTo(BeEmpty())
}

// TestFingerprints holds that a result is the same wherever it is in a file.
func TestFingerprints(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	of := func(input string) []string {
		output, _, _ := judge(t, input, "-f=-", "--output=sarif")
		report, err := sarif.FromString(output)
		g.Expect(err).NotTo(HaveOccurred())
		var all []string
		for _, result := range report.Runs[0].Results {
			all = append(all, result.PartialFingerprints[fingerprint])
		}
		return all
	}
	g.Expect(of("\n\n# Moved.\n" + trailWith("isMultiRegionTrail: false"))).To(Equal(of(trailWith())))
	g.Expect(of(strings.ReplaceAll(trailWith(), "audit", "other"))).NotTo(Equal(of(trailWith())))
}

// TestSamples judges the samples, which show fields rather than what is best.
func TestSamples(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	folder := filepath.Join("..", "..", "config", "samples")
	output, exitCode, message := judge(t, "", "-f", folder, "--output=json")
	g.Expect(exitCode).To(Equal(ExitFailures), message)
	var report Report
	g.Expect(json.Unmarshal([]byte(output), &report)).To(Succeed())
	g.Expect(report.Problems).To(BeEmpty())

	files, err := filepath.Glob(filepath.Join(folder, "trail_*.yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(report.Trails).To(HaveLen(len(files)))
	high := map[string]int{}
	for _, trail := range report.Trails {
		for _, result := range trail.failures() {
			if result.Severity == compliance.High {
				high[trail.Name]++
			}
		}
	}
	g.Expect(high).NotTo(HaveKey("organization"), "the sample of a trail for a whole organization records everything")
	g.Expect(high).To(HaveKey("minimal"))
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	reader, writer := io.Pipe()
	defer func() { NewWithT(t).Expect(writer.Close()).To(Succeed()) }()
	ctx, cancel := context.WithCancel(t.Context())
	options := Options{Names: []string{"-"}, Profile: "default", FailOn: "low", CRD: crd, Input: reader}
	failed := make(chan error, 1)
	go func() { failed <- Run(ctx, options, io.Discard) }()
	cancel()
	NewWithT(t).Eventually(failed).Should(Receive(MatchError(context.Canceled)), "nothing waits for the pipe")
}
