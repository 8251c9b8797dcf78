package logfilevalidation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/digest"
	"github.com/trail-operator/trail-operator/controllers/text"
)

const (
	// maxFindings is how many findings a status lists, and how many are told one by one in events.
	maxFindings = 20
	// maxLagging is how many lagging chains a status lists.
	maxLagging = 20
	// maxMessage, maxObject and maxReason bound in bytes what the bucket's writers and AWS have written. A key of S3 has
	// at most 1024.
	maxMessage = 1024
	maxObject  = 1024
	maxReason  = 128
)

// severity is the order of the classes, the most severe first.
var severity = []digest.Class{
	digest.DigestAltered, digest.LogAltered, digest.DigestMissing, digest.LogDeleted, digest.ChainBroken,
	digest.LogNotVouchedFor, digest.Unverifiable,
}

// rank returns the place of a class in the order of severity.
func rank(class string) int { return slices.Index(severity, digest.Class(class)) }

// findings are findings that were not told yet: counts of all of them, and as many as a status lists.
type findings struct {
	classes map[digest.Class]classCount
	worst   []v1alpha1.Finding
}

type classCount struct {
	count  int64
	latest time.Time
}

// add adds a finding.
func (f *findings) add(found *digest.Finding) {
	f.count(found.Class, 1, found.Time)
	f.worst = worstOf(append(f.worst, fromFinding(found)))
}

func (f *findings) count(class digest.Class, count int64, latest time.Time) {
	if f.classes == nil {
		f.classes = map[digest.Class]classCount{}
	}
	known := f.classes[class]
	known.count += count
	if latest.After(known.latest) {
		known.latest = latest
	}
	f.classes[class] = known
}

// merge adds others.
func (f *findings) merge(others findings) {
	for class, counted := range others.classes {
		f.count(class, counted.count, counted.latest)
	}
	f.worst = worstOf(append(f.worst, others.worst...))
}

// worstOf returns the findings that a status lists: the most severe, and of these the latest.
func worstOf(all []v1alpha1.Finding) []v1alpha1.Finding {
	slices.SortStableFunc(all, func(a, b v1alpha1.Finding) int {
		return cmp.Or(cmp.Compare(rank(a.Class), rank(b.Class)), v1alpha1.TimeOf(b.Time).Compare(v1alpha1.TimeOf(a.Time)))
	})
	return all[:min(len(all), maxFindings)]
}

// record adds what was found to a status, and returns what is new in it and how many more there are that it does not
// list. What the status lists already is known: after a restart the last hour is looked at again.
func record(status *v1alpha1.LogFileValidationStatus, found findings) (told []v1alpha1.Finding, more int64) {
	found.classes = maps.Clone(found.classes)
	for _, finding := range found.worst {
		if slices.ContainsFunc(status.Findings, func(known v1alpha1.Finding) bool { return same(known, finding) }) {
			class := digest.Class(finding.Class)
			counted := found.classes[class]
			counted.count--
			found.classes[class] = counted
			continue
		}
		told = append(told, finding)
	}

	for _, class := range severity {
		if counted := found.classes[class]; counted.count > 0 {
			more += counted.count
			countClass(status, class, counted)
		}
	}
	more -= int64(len(told))
	status.Findings = worstOf(append(slices.Clone(status.Findings), told...))
	countFindings(status)
	return told, more
}

func countClass(status *v1alpha1.LogFileValidationStatus, class digest.Class, counted classCount) {
	i := slices.IndexFunc(status.FindingClasses, func(c v1alpha1.FindingClass) bool { return c.Class == string(class) })
	if i < 0 {
		i = len(status.FindingClasses)
		status.FindingClasses = append(status.FindingClasses, v1alpha1.FindingClass{Class: string(class)})
	}
	known := &status.FindingClasses[i]
	known.Count += counted.count
	if counted.latest.After(v1alpha1.TimeOf(known.LatestTime)) {
		known.LatestTime = v1alpha1.TimeOrNil(counted.latest)
	}
	slices.SortStableFunc(status.FindingClasses, func(a, b v1alpha1.FindingClass) int {
		return cmp.Compare(rank(a.Class), rank(b.Class))
	})
}

// acknowledge removes the findings until a time. Of those that are not listed it is known when the last one of their
// class was.
func acknowledge(status *v1alpha1.LogFileValidationStatus, until time.Time) {
	listed := map[string]int64{}
	status.Findings = slices.DeleteFunc(slices.Clone(status.Findings), func(f v1alpha1.Finding) bool {
		gone := !v1alpha1.TimeOf(f.Time).After(until)
		if gone {
			listed[f.Class]++
		}
		return gone
	})
	classes := slices.Clone(status.FindingClasses)
	for i := range classes {
		if classes[i].Count -= listed[classes[i].Class]; !v1alpha1.TimeOf(classes[i].LatestTime).After(until) {
			classes[i].Count = 0
		}
	}
	status.FindingClasses = slices.DeleteFunc(classes, func(c v1alpha1.FindingClass) bool { return c.Count <= 0 })
	countFindings(status)
}

func countFindings(status *v1alpha1.LogFileValidationStatus) {
	var count int64
	for _, class := range status.FindingClasses {
		count += class.Count
	}
	status.FindingCount = &count
	status.FindingsTruncated = count > int64(len(status.Findings))
}

// tampered tells whether there is a finding that means more than that something could not be read.
func tampered(status *v1alpha1.LogFileValidationStatus) bool {
	return slices.ContainsFunc(status.FindingClasses, func(c v1alpha1.FindingClass) bool {
		return digest.Class(c.Class) != digest.Unverifiable
	})
}

// tell says a finding in a sentence.
func tell(f v1alpha1.Finding) string {
	return fmt.Sprintf("%s: s3://%s/%s (account %s, region %s, hour until %s): %s",
		f.Class, f.Bucket, f.Object, f.AccountID, f.Region, shownTime(v1alpha1.TimeOf(f.Time)), f.Message)
}

// tellClasses says how many findings there are of each class.
func tellClasses(classes []v1alpha1.FindingClass) string {
	counts := make([]string, 0, len(classes))
	for _, class := range classes {
		counts = append(counts, fmt.Sprintf("%d %s", class.Count, class.Class))
	}
	return strings.Join(counts, ", ")
}

func fromFinding(f *digest.Finding) v1alpha1.Finding {
	return v1alpha1.Finding{
		Class:     string(f.Class),
		Reason:    shown(f.Reason, maxReason),
		AccountID: f.Chain.AccountID,
		Region:    f.Chain.Region,
		Bucket:    shown(f.Bucket, maxObject),
		Object:    shown(f.Object, maxObject),
		Time:      v1alpha1.TimeOrNil(f.Time),
		Message:   shown(f.Message, maxMessage),
	}
}

func same(a, b v1alpha1.Finding) bool {
	return a.Class == b.Class && a.AccountID == b.AccountID && a.Region == b.Region &&
		a.Bucket == b.Bucket && a.Object == b.Object && v1alpha1.TimeOf(a.Time).Equal(v1alpha1.TimeOf(b.Time))
}

// shown returns a text of others as it can be written and shown.
func shown(s string, limit int) string { return text.Cut(text.Printable(s), limit) }

func shownTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
