package compliance_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/randfill"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/compliance"
)

// oracles are conditions on the spec, as policies at admission have them, written apart from the controls. s is the
// spec as the API server has it.
var oracles = map[string]string{
	"multi-region":        `has(s.isMultiRegionTrail) && s.isMultiRegionTrail`,
	"log-file-validation": `has(s.enableLogFileValidation) && s.enableLogFileValidation`,
	"kms-encryption":      `has(s.kmsKeyID) && s.kmsKeyID != ''`,
	"cloudwatch-logs": `has(s.cloudWatchLogsLogGroupARN) && s.cloudWatchLogsLogGroupARN != '' &&
		has(s.cloudWatchLogsRoleARN) && s.cloudWatchLogsRoleARN != ''`,
	"logging":           `!has(s.logging) || s.logging`,
	"management-events": readsAndWrites,
}

// oneSelector is the condition of policies and scanners that want one selector for all management events.
const oneSelector = `(!has(s.eventSelectors) && !has(s.advancedEventSelectors))
	|| (has(s.eventSelectors) && s.eventSelectors.exists(e,
		(!has(e.includeManagementEvents) || e.includeManagementEvents)
		&& (!has(e.readWriteType) || e.readWriteType == 'All')
		&& (!has(e.excludeManagementEventSources) || size(e.excludeManagementEventSources) == 0)))
	|| (has(s.advancedEventSelectors) && s.advancedEventSelectors.exists(a,
		a.fieldSelectors.exists(f, f.field == 'eventCategory' && has(f.equals) && 'Management' in f.equals)
		&& a.fieldSelectors.all(f, f.field == 'eventCategory')))`

// readsAndWrites is what is really recorded: a selector for reads and one for writes do as well, and a source that one
// basic selector excludes is not recorded at all.
const readsAndWrites = `(!has(s.eventSelectors) && !has(s.advancedEventSelectors))
	|| (has(s.eventSelectors)
		&& ['ReadOnly', 'WriteOnly'].all(kind, s.eventSelectors.exists(e,
			(!has(e.includeManagementEvents) || e.includeManagementEvents)
			&& (!has(e.readWriteType) || e.readWriteType in ['All', kind])))
		&& s.eventSelectors.all(e,
			has(e.includeManagementEvents) && !e.includeManagementEvents
			|| !has(e.excludeManagementEventSources) || size(e.excludeManagementEventSources) == 0))
	|| (has(s.advancedEventSelectors)
		&& ['true', 'false'].all(readOnly, s.advancedEventSelectors.exists(a,
			a.fieldSelectors.exists(f, f.field == 'eventCategory' && has(f.equals) && 'Management' in f.equals)
			&& a.fieldSelectors.all(f, f.field == 'eventCategory'
				|| f.field == 'readOnly' && has(f.equals) && readOnly in f.equals))))`

const (
	oracleSeed   = 20260102
	oracleTrails = 1500
)

// TestControlsAgreeWithOracles holds that controls say of random specs what the conditions of policies say. Where a
// control asks for what is recorded rather than for one selector, the two differ as documented.
func TestControlsAgreeWithOracles(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	random := rand.New(rand.NewPCG(oracleSeed, 0))
	everything, programs := named(g, "all"), map[string]cel.Program{"one selector": program(g, oneSelector)}
	for control, condition := range oracles {
		programs[control] = program(g, condition)
	}

	seen, split, excluded := map[string]int{}, 0, 0
	for range oracleTrails {
		trail := &v1alpha1.Trail{Spec: randomSpec(random)}
		spec, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&trail.Spec)
		g.Expect(err).NotTo(HaveOccurred())
		results := everything.JudgeManifest(trail)
		says := func(condition string) bool {
			value, _, err := programs[condition].Eval(map[string]any{"s": spec})
			g.Expect(err).NotTo(HaveOccurred())
			return value.Value() == true
		}

		for control := range oracles {
			want := compliance.Fail
			if says(control) {
				want = compliance.Pass
			}
			result := resultOf(g, results, control)
			g.Expect(result.Outcome).To(Equal(want), "%s of %v: %s", control, spec, result.Message)
			seen[control+" "+string(want)]++
		}
		switch {
		case says("management-events") && !says("one selector"):
			split++ // A selector for reads, and one for writes.
		case !says("management-events") && says("one selector"):
			excluded++ // Another basic selector excludes a source.
		}
	}

	// The specs tell the conditions apart, or the test shows nothing.
	for control := range oracles {
		g.Expect(seen[control+" pass"]).To(BeNumerically(">", oracleTrails/50), control)
		g.Expect(seen[control+" fail"]).To(BeNumerically(">", oracleTrails/50), control)
	}
	g.Expect(split).To(BeNumerically(">", 0))
	g.Expect(excluded).To(BeNumerically(">", 0))
}

func program(g *WithT, condition string) cel.Program {
	environment, err := cel.NewEnv(cel.Variable("s", cel.DynType), ext.Strings())
	g.Expect(err).NotTo(HaveOccurred())
	ast, issues := environment.Compile(condition)
	g.Expect(issues.Err()).NotTo(HaveOccurred())
	compiled, err := environment.Program(ast)
	g.Expect(err).NotTo(HaveOccurred())
	return compiled
}

// randomSpec returns a spec, which the API server may or may not accept, of fields that controls look at.
func randomSpec(random *rand.Rand) v1alpha1.TrailSpec {
	flag := func() *bool { return pick(random, nil, new(true), new(false)) }
	spec := v1alpha1.TrailSpec{
		S3BucketName:               "audit-logs",
		IsMultiRegionTrail:         flag(),
		EnableLogFileValidation:    flag(),
		IncludeGlobalServiceEvents: flag(),
		Logging:                    flag(),
		KMSKeyID:                   pick(random, "", "alias/trail"),
		CloudWatchLogsLogGroupARN:  pick(random, "", "arn:aws:logs:us-east-1:111122223333:log-group:trail:*"),
		CloudWatchLogsRoleARN:      pick(random, "", "arn:aws:iam::111122223333:role/trail"),
	}
	switch random.IntN(3) {
	case 0:
		for range 1 + random.IntN(3) {
			spec.EventSelectors = append(spec.EventSelectors, randomSelector(random))
		}
	case 1:
		for range 1 + random.IntN(3) {
			spec.AdvancedEventSelectors = append(spec.AdvancedEventSelectors, randomAdvanced(random))
		}
	}
	return spec
}

func randomSelector(random *rand.Rand) v1alpha1.EventSelector {
	none := []string(nil)
	return v1alpha1.EventSelector{
		ReadWriteType:                 pick(random, "", v1alpha1.ReadWriteAll, v1alpha1.ReadOnly, v1alpha1.WriteOnly),
		IncludeManagementEvents:       pick(random, nil, nil, new(true), new(false)),
		ExcludeManagementEventSources: pick(random, none, none, []string{}, []string{"kms.amazonaws.com"}),
	}
}

func randomAdvanced(random *rand.Rand) v1alpha1.AdvancedEventSelector {
	fields := []v1alpha1.AdvancedFieldSelector{
		{Field: "eventCategory", Equals: []string{pick(random, "Management", "Management", "Data")}},
	}
	if random.IntN(2) == 0 {
		fields = append(fields, v1alpha1.AdvancedFieldSelector{
			Field: "readOnly", Equals: []string{pick(random, "true", "false")},
		})
	}
	if random.IntN(4) == 0 {
		fields = append(fields, v1alpha1.AdvancedFieldSelector{
			Field: pick(random, "eventSource", "eventName", "resources.type"), NotEquals: []string{"kms.amazonaws.com"},
		})
	}
	random.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return v1alpha1.AdvancedEventSelector{FieldSelectors: fields}
}

func pick[T any](random *rand.Rand, choices ...T) T { return choices[random.IntN(len(choices))] }

// randomTrail returns a Trail of a cluster with a spec that is likely, and a status that is anything.
func randomTrail(random *rand.Rand, filler *randfill.Filler) *v1alpha1.Trail {
	trail := goodTrail()
	if random.IntN(2) == 0 {
		filler.Fill(trail)
	}
	if random.IntN(2) == 0 {
		trail.Spec = randomSpec(random)
	}
	for _, change := range []change{
		suspended, deleting, observed, unprocessed, undecoded, unseen, absent, unread, stopped, drifted(nil),
		differs("isMultiRegionTrail", pick(random, "true", "false")), differs("kmsKeyID", ""),
		func(t *v1alpha1.Trail) { t.Status.LatestDigestDeliveryTime = nil },
		func(t *v1alpha1.Trail) { t.Status.StartLoggingTime = ago(time.Minute) },
	} {
		if random.IntN(6) == 0 {
			change(trail)
		}
	}
	return trail
}

// TestEveryTrailIsJudged holds what is true of all results, whatever the Trail is.
func TestEveryTrailIsJudged(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	random := rand.New(rand.NewPCG(oracleSeed, 1))
	filler := randfill.NewWithSeed(oracleSeed).NilChance(0.3).NumElements(0, 3).Funcs(
		func(at *metav1.Time, _ randfill.Continue) {
			*at = *ago(time.Duration(random.Int64N(int64(48 * time.Hour))))
		},
	)
	everything := named(g, "all")

	for range oracleTrails {
		trail := randomTrail(random, filler)
		before := trail.DeepCopy()
		results := everything.Judge(trail, now)
		g.Expect(trail).To(Equal(before), "judging changes nothing")
		g.Expect(everything.Judge(trail, now)).To(Equal(results), "the same is said again")
		g.Expect(results).To(HaveLen(len(everything.Controls)))

		paused := trail.DeepCopy()
		suspended(paused)
		whilePaused := everything.Judge(paused, now)
		for i, result := range append(results, everything.JudgeManifest(trail)...) {
			about := result.Control.ID + ": " + result.Message
			g.Expect(compliance.Outcomes()).To(ContainElement(result.Outcome), about)
			g.Expect(result.Message).NotTo(BeEmpty(), about)
			g.Expect(strings.IndexFunc(result.Message, func(r rune) bool { return !unicode.IsPrint(r) })).To(Equal(-1), about)
			if result.Outcome == compliance.Fail {
				g.Expect(result.Message).To(MatchRegexp(`spec\.|status\.|condition `), "%s: names what to change", about)
			}
			// Nobody gets rid of a failure by suspending the Trail, but what is not read again is late for no fault of its own.
			late := strings.Contains(result.Message, "delivered since") || strings.Contains(result.Message, "delivered yet")
			if i < len(results) && result.Outcome == compliance.Fail && !late {
				g.Expect(whilePaused[i].Outcome).To(Equal(compliance.Fail), about+" "+whilePaused[i].Message)
			}
		}
	}
}
