package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/compliance"
	"github.com/trail-operator/trail-operator/controllers/text"
)

const (
	// source is what reports call this program, and the value of the label by which it knows its own.
	source    = "trail-operator"
	managedBy = "app.kubernetes.io/managed-by"
	// category is what the results are about.
	category = "AWS CloudTrail"
	// propertyControl is the property with the control's ID. The other properties are named as frameworks are.
	propertyControl = "control"

	// maxResults is how many results a report has at most, and maxText how many bytes each text in it: a report is
	// 200 kB at most, a seventh of what the API server takes.
	maxResults, maxText = 50, 1024
)

// results returns what a profile says as reports have it.
func results(profile *compliance.Profile, judged []compliance.Result) []Result {
	results := make([]Result, 0, min(len(judged), maxResults))
	for _, result := range judged[:min(len(judged), maxResults)] {
		results = append(results, Result{
			Policy: profile.Policy, Rule: profile.RuleID(result.Control),
			Category: category, Severity: result.Control.Severity,
			Outcome: result.Outcome, Scored: true,
			Message:    text.Cut(text.Printable(result.Message), maxText),
			Properties: properties(result.Control),
		})
	}
	return results
}

// properties name the control, its title, and for each framework the requirements that it answers.
func properties(control *compliance.Control) map[string]string {
	requirements := map[string][]string{}
	for _, reference := range control.References {
		requirements[reference.Framework] = append(requirements[reference.Framework], reference.ID)
	}
	properties := map[string]string{propertyControl: control.ID, "title": text.Cut(control.Title, maxText)}
	for framework, ids := range requirements {
		properties[framework] = text.Cut(strings.Join(ids, ", "), maxText)
	}
	return properties
}

// subject is the kind of object that reports are about.
type subject struct {
	kind string
	// prefix is that of the reports' names.
	prefix string
}

var (
	trails     = subject{kind: "Trail", prefix: "trail-"}
	identities = subject{kind: "AWSIdentity", prefix: "awsidentity-"}
)

// reportName returns the name of an object's report: the object's behind its kind, so that it is none that other
// programs give to theirs. A name that would be too long ends in a digest.
func (s subject) reportName(object client.Object) string {
	name := s.prefix + object.GetName()
	if len(name) <= validation.DNS1123SubdomainMaxLength {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	suffix := "-" + hex.EncodeToString(sum[:8])
	return strings.TrimRight(name[:validation.DNS1123SubdomainMaxLength-len(suffix)], "-.") + suffix
}

// owner returns the reference by which the report goes with its object. It does not block the deletion of that, for
// which some clusters ask for the right to change its finalizers.
func (s subject) owner(object client.Object) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: s.kind, Name: object.GetName(), UID: object.GetUID(),
		Controller: new(true),
	}
}

// scope returns the reference to what the results are about.
func (s subject) scope(object client.Object) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: s.kind,
		Namespace: object.GetNamespace(), Name: object.GetName(), UID: object.GetUID(),
	}
}

// fill writes results into a report, in their order. Those that it has already keep their time.
func (k kind) fill(report *Report, s subject, object client.Object, results []Result, now time.Time) {
	if report.Labels == nil {
		report.Labels = map[string]string{}
	}
	report.Labels[managedBy] = source
	report.OwnerReferences = []metav1.OwnerReference{s.owner(object)}
	report.Scope = s.scope(object)
	if k.api.sourced {
		report.Source = source
	}

	before := report.Results
	report.Summary, report.Results = Summary{}, make([]Result, 0, len(results))
	for _, result := range results {
		k.adapt(&result)
		result.Timestamp = since(before, &result, now)
		report.Summary.count(result.Outcome)
		report.Results = append(report.Results, result)
	}
}

// adapt makes a result one that the kind can have.
func (k kind) adapt(result *Result) {
	if !k.api.sourced {
		result.Source = source
	}
	if severity, unknown := k.api.severities[result.Severity]; unknown {
		result.Severity = severity
	}
}

// since returns since when a result is what it is. It compares only what every CRD of the kind has: a field that the
// API server drops must not make the result a new one each time.
func since(before []Result, result *Result, now time.Time) metav1.Timestamp {
	at := slices.IndexFunc(before, func(b Result) bool {
		return b.Policy == result.Policy && b.Rule == result.Rule &&
			b.Outcome == result.Outcome && b.Message == result.Message
	})
	if at < 0 || before[at].Timestamp.Seconds == 0 {
		return metav1.Timestamp{Seconds: now.Unix()}
	}
	return before[at].Timestamp
}

func (s *Summary) count(outcome compliance.Outcome) {
	switch outcome {
	case compliance.Pass:
		s.Pass++
	case compliance.Fail:
		s.Fail++
	case compliance.Skip:
		s.Skip++
	}
}

// sum returns a digest of what is written into a report, but the times of its results.
func (r *Report) sum() string {
	results := slices.Clone(r.Results)
	for i := range results {
		results[i].Timestamp = metav1.Timestamp{}
	}
	written := Report{
		ObjectMeta: metav1.ObjectMeta{
			Labels:          map[string]string{managedBy: r.Labels[managedBy]},
			OwnerReferences: r.OwnerReferences,
		},
		Source: r.Source, Scope: r.Scope, Summary: r.Summary, Results: results,
	}
	content, err := json.Marshal(written)
	if err != nil {
		return "" // Nothing in it is unknown to JSON.
	}
	sum := sha256.Sum256(content)
	return string(sum[:])
}

// stripForCache is the cache's transform for reports: it keeps whose a report is, and a digest of what it says.
func stripForCache(object any) (any, error) {
	report, ok := object.(*Report)
	if !ok {
		return object, nil // A tombstone.
	}
	return &Report{
		TypeMeta: report.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Namespace: report.Namespace, Name: report.Name,
			UID: report.UID, ResourceVersion: report.ResourceVersion,
			OwnerReferences: report.OwnerReferences,
		},
		digest: report.sum(),
	}, nil
}
