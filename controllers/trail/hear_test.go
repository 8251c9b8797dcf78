package trail

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// inAccount is a trail that was created.
func inAccount(trail *v1alpha1.Trail) {
	trail.Status.AccountID, trail.Status.HomeRegion = testAccount, testRegion
}

func TestPlacesOf(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)

	g.Expect(placesOf(testTrail(nil))).To(BeEmpty(), "the account is not known yet")
	g.Expect(placesOf(testTrail(inAccount))).To(ConsistOf(testARN, "bucket/logs"))

	organizations := "arn:aws:cloudtrail:eu-central-1:999999999999:trail/audit"
	g.Expect(placesOf(testTrail(func(trail *v1alpha1.Trail) {
		inAccount(trail)
		trail.Status.TrailARN = organizations
	}))).To(ContainElement(organizations), "another account's trail is known by its ARN")
	g.Expect(placesOf(fullTrail(inAccount))).To(ConsistOf(testARN, "bucket/logs", "key/"+testKeyID,
		"topic/arn:aws:sns:eu-central-1:111122223333:topic", "role/111122223333/trail-logs",
		"log-group/111122223333/eu-central-1/trail"))
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var r routes
	one, other := testTrail(inAccount), testTrail(inAccount)
	other.Name, other.Spec.Name = "other", "other"
	key, otherKey := types.NamespacedName{Namespace: "security", Name: "audit"},
		types.NamespacedName{Namespace: "security", Name: "other"}
	all := func() []v1alpha1.Trail { return []v1alpha1.Trail{*one, *other} }

	g.Expect(r.trails).To(BeNil(), "nobody has asked")
	g.Expect(r.of(testARN, all)).To(ConsistOf(key))
	g.Expect(r.of("bucket/logs", all)).To(ConsistOf(key, otherKey))

	moved := one.DeepCopy()
	moved.Spec.S3BucketName = "others"
	r.put(moved)
	g.Expect(r.of("bucket/logs", all)).To(ConsistOf(otherKey))
	g.Expect(r.of("bucket/others", all)).To(ConsistOf(key))

	r.remove(key)
	r.remove(otherKey)
	g.Expect(r.trails).To(BeEmpty())
	g.Expect(r.places).To(BeEmpty())
}

func stopEvent(id string, at time.Time) cloudtrail.Event {
	return cloudtrail.Event{
		ID: id, Name: stopLogging, Source: "cloudtrail.amazonaws.com", Time: at, Trail: "audit",
		IdentityARN: "arn:aws:iam::111122223333:user/mallory",
	}
}

func TestHintChange(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var m memory
	r := &record{}
	g.Expect(m.hinted(r)).To(BeFalse())

	isNew, wait := m.hintChange(r, stopEvent("1", testNow), testNow)
	g.Expect(isNew).To(BeTrue())
	g.Expect(wait).To(BeZero())
	g.Expect(m.hinted(r)).To(BeTrue())
	isNew, _ = m.hintChange(r, stopEvent("1", testNow), testNow)
	g.Expect(isNew).To(BeFalse(), "it is delivered a second time")

	m.lookedSince(r, secondsAgo(1))
	g.Expect(m.hinted(r)).To(BeTrue(), "the look began before")
	now := testNow.Add(300 * time.Millisecond)
	m.lookedSince(r, now)
	g.Expect(m.hinted(r)).To(BeFalse())
	_, wait = m.hintChange(r, stopEvent("2", now), now)
	g.Expect(wait).To(Equal(2*hintSpacing), "it was looked at just now")

	for i := range 100 {
		_, wait = m.hintChange(r, stopEvent(fmt.Sprint("more-", i), now), now)
	}
	g.Expect(wait).To(Equal(maxHintSpacing), "there are very many")
	wait, _ = m.hintWait(r, now)
	g.Expect(wait).To(Equal(maxHintSpacing))
	g.Expect(r.hints.heard).To(HaveLen(maxHeard))
	m.hintChange(r, stopEvent("late", now), now.Add(heardFor))
	g.Expect(m.heardCalls(r, testNow, stopLogging)).To(HaveLen(1), "the others are too old")
	g.Expect(m.heardCalls(r, testNow, startLogging)).To(BeEmpty())
}

func TestHintChangeBoundsParameters(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var m memory
	r := &record{}
	e := stopEvent("1", testNow)
	e.Parameters = map[string]json.RawMessage{"name": json.RawMessage(strings.Repeat("a", maxParameters))}
	m.hintChange(r, e, testNow)
	g.Expect(m.heardCalls(r, testNow, stopLogging)[0].Parameters).To(BeNil())
}

// A call that made one drift did not make the next one, of which the event may be lost.
func TestBlame(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var m memory
	r := &record{}
	e := stopEvent("1", testNow)
	m.hintChange(r, e, testNow)
	m.blame(r, testNow, []finding{{culprit: &e}})
	g.Expect(m.heardCalls(r, testNow, stopLogging)).To(HaveLen(1))
	g.Expect(m.heardCalls(r, testNow.Add(time.Second), stopLogging)).To(BeEmpty())
}

func TestHintDependency(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var m memory
	r := &record{}
	later := testNow.Add
	g.Expect(m.hintDependency(r, true, testNow)).To(BeTrue())
	g.Expect(m.hintDependency(r, true, later(dependencySpacing-1))).To(BeFalse(), "somebody may change it very often")
	g.Expect(m.hintDependency(r, false, later(hintSpacing))).To(BeTrue(), "it waits for that")
	g.Expect(m.hintDependency(r, true, later(hintSpacing+dependencySpacing))).To(BeTrue())
}

func TestNoteRefused(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var m memory
	r := &record{}
	attempt := func(who string) *cloudtrail.Notice {
		e := stopEvent("1", testNow)
		e.IdentityARN, e.ErrorCode = who, "AccessDenied"
		return &cloudtrail.Notice{Event: e}
	}
	g.Expect(m.noteRefused(r, attempt("mallory"), testNow)).To(BeTrue())
	g.Expect(m.noteRefused(r, attempt("mallory"), testNow.Add(time.Minute))).To(BeFalse(), "it was told")
	told := 1
	for i := range 100 {
		if m.noteRefused(r, attempt(fmt.Sprint("mallory-", i)), testNow) {
			told++
		}
	}
	g.Expect(told).To(Equal(maxRefused))
	g.Expect(m.noteRefused(r, attempt("mallory"), testNow.Add(refusedSpacing))).To(BeTrue())
	g.Expect(r.hints.refused).To(HaveLen(1))
}

// Of the calls that were heard of, one is taken only where it must be the one.
func TestAmong(t *testing.T) {
	t.Parallel()
	tags := func(e cloudtrail.Event, key string) cloudtrail.Event {
		e.Name = addTags
		e.Parameters = map[string]json.RawMessage{"tagsList": json.RawMessage(`[{"key": "` + key + `"}]`)}
		return e
	}
	by := func(user string, e cloudtrail.Event) cloudtrail.Event {
		e.IdentityARN = "arn:aws:iam::111122223333:user/" + user
		return e
	}
	refused := stopEvent("refused", secondsAgo(10))
	refused.ErrorCode = "AccessDenied"
	elsewhere := stopEvent("elsewhere", secondsAgo(10))
	elsewhere.Trail = "another"
	for name, c := range map[string]struct {
		field   string
		changed *metav1.Time
		heard   []cloudtrail.Event
		culprit string
	}{
		"the stop": {fieldLogging, ago(10 * time.Second), []cloudtrail.Event{stopEvent("1", secondsAgo(10))}, "1"},
		"an event is later than the stop": {
			fieldLogging, ago(10 * time.Second), []cloudtrail.Event{stopEvent("1", secondsAgo(9))}, "1",
		},
		"a stop at another time": {
			fieldLogging, ago(10 * time.Second), []cloudtrail.Event{stopEvent("1", secondsAgo(8))}, "",
		},
		"a stop before": {
			fieldLogging, ago(10 * time.Second), []cloudtrail.Event{stopEvent("1", secondsAgo(11))}, "",
		},
		"CloudTrail tells no time": {fieldLogging, nil, []cloudtrail.Event{stopEvent("1", secondsAgo(10))}, ""},
		"two at that time": {
			fieldLogging, ago(10 * time.Second),
			[]cloudtrail.Event{stopEvent("1", secondsAgo(10)), stopEvent("2", secondsAgo(10))}, "",
		},
		"an attempt":       {fieldLogging, ago(10 * time.Second), []cloudtrail.Event{refused}, ""},
		"of another trail": {fieldLogging, ago(10 * time.Second), []cloudtrail.Event{elsewhere}, ""},
		"nothing":          {fieldLogging, ago(10 * time.Second), nil, ""},
		"the last of several": {fieldTags, nil, []cloudtrail.Event{
			tags(stopEvent("1", secondsAgo(20)), "team"), tags(stopEvent("2", secondsAgo(10)), "team"),
			tags(stopEvent("3", secondsAgo(5)), "other"),
		}, "2"},
		"the calls of two": {
			fieldTags, nil,
			[]cloudtrail.Event{
				tags(by("trudy", stopEvent("1", secondsAgo(20))), "team"), tags(stopEvent("2", secondsAgo(10)), "team"),
			},
			"",
		},
		"before AWS was in sync": {fieldTags, nil, []cloudtrail.Event{tags(stopEvent("1", secondsAgo(120)), "team")}, ""},
		"after it was found":     {fieldTags, nil, []cloudtrail.Event{tags(stopEvent("1", secondsAgo(-60)), "team")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := fullTrail(inAccount)
			w := &work{target: target{Trail: trail, owner: testOwner}}
			w.caller = cloudtrail.Caller{Region: testRegion, AccountID: testAccount, ARN: testCaller}
			drift := &v1alpha1.Drift{
				Fields: []string{c.field}, DetectedTime: metav1.NewTime(testNow), LastInSyncTime: ago(time.Minute),
				LoggingChangedTime: c.changed,
			}
			f := suspects(trail, drift)[0]
			culprit := f.among(c.heard, w, drift)
			if c.culprit == "" {
				g.Expect(culprit).To(BeNil())
			} else {
				g.Expect(culprit).NotTo(BeNil())
				g.Expect(culprit.ID).To(Equal(c.culprit))
			}
		})
	}
}

// What is heard of asks for a look for which nothing counts that was read before.
func TestReasonForHint(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var r Reconciler
	trail, record := testTrail(nil), newRecord()
	r.memory.hintChange(record, stopEvent("1", testNow), testNow)
	g.Expect(r.reasonFor(trail, record)).To(Equal(cloudtrail.ForRequest))
	r.memory.lookedSince(record, testNow)
	g.Expect(r.reasonFor(trail, record)).NotTo(Equal(cloudtrail.ForRequest))
}
