package trail

import (
	"crypto/rand"
	"errors"
	"io"
	"maps"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// writer plays a controller that looks at one trail again and again, with an AWS that keeps what it is told, or does
// not.
type writer struct {
	trail  *v1alpha1.Trail
	record *record
	now    time.Time
	// shows is what reads show now.
	shows func() func(*observation)
	// keeps tells whether a read right after a write shows what was written.
	keeps bool

	// began is when the writer began, and wrote when it has written since.
	began time.Time
	wrote []time.Duration
}

func newWriter(shows func(*observation)) *writer {
	return &writer{
		trail: testTrail(synced), record: newRecord(), now: testNow, began: testNow, keeps: true,
		shows: func() func(*observation) { return shows },
	}
}

// look looks at the trail once, and writes what differs and does not rest.
func (w *writer) look() resting {
	t, o := targetOf(w.trail), holding(w.trail, w.shows())
	differences := differencesOf(t, o)
	resting := w.record.rest(t, o, differences, w.now)
	w.record.learn(outcomeOf(w.trail, o, nil), w.now)
	for _, d := range resting.without(differences) {
		w.wrote = append(w.wrote, w.now.Sub(w.began))
		// The answer to the first write is believed. That it is kept is read after the second.
		is := writtenField{wanted: d.wanted, before: d.found, at: w.now}
		w.record.learnWritten(d.number, is, !w.keeps && w.record.wasWritten(d))
	}
	return resting
}

// lookFor looks every so often, for a while.
func (w *writer) lookFor(while, every time.Duration) (notKept bool) {
	for end := w.now.Add(while); w.now.Before(end); w.now = w.now.Add(every) {
		if resting := w.look(); len(resting.notKept) > 0 {
			notKept = true
		}
	}
	return notKept
}

// TestValueThatIsNotKept holds that a value that AWS never keeps is written three times, and then ever more seldom.
func TestValueThatIsNotKept(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	w := newWriter(prefixed)
	w.keeps = false
	g.Expect(w.lookFor(time.Hour, time.Second)).To(BeTrue())
	g.Expect(w.wrote).To(Equal([]time.Duration{
		0, settles, 2 * settles,
		2*settles + 2*time.Minute, 2*settles + 6*time.Minute, 2*settles + 14*time.Minute,
		2*settles + 24*time.Minute, 2*settles + 34*time.Minute, 2*settles + 44*time.Minute,
		2*settles + 54*time.Minute,
	}))
}

// TestValueThatIsShownLate holds that a value is written once when AWS takes its time to show it.
func TestValueThatIsShownLate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		late   time.Duration
		writes int
	}{
		"at once": {0, 1}, "a moment later": {2 * time.Second, 1}, "just in time": {settles - time.Second, 1},
		"later than that": {settles + 5*time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			w := newWriter(nil)
			w.shows = func() func(*observation) {
				if len(w.wrote) > 0 && w.now.Sub(w.began) >= c.late {
					return nil
				}
				return prefixed
			}
			w.keeps = c.late < settles
			w.lookFor(time.Minute, time.Second)
			g.Expect(w.wrote).To(HaveLen(c.writes))
			g.Expect(w.record.written).To(BeEmpty(), "what was seen to be kept is forgotten")

			w.shows, w.began, w.wrote = func() func(*observation) { return prefixed }, w.now, nil
			g.Expect(w.look().notKept).To(BeEmpty())
			g.Expect(w.wrote).To(Equal([]time.Duration{0}), "a later change is another one")
		})
	}
}

// TestValueThatIsChangedBack holds that somebody who changes a value back each time is answered each time, and is never
// taken for an AWS that does not keep it.
func TestValueThatIsChangedBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		every  time.Duration
		writes int // At least.
	}{
		"each minute": {time.Minute, 60},
		"at once":     {time.Second, 240}, // AWS may take 15 seconds to show what it was told.
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			w := newWriter(prefixed)
			g.Expect(w.lookFor(time.Hour, c.every)).To(BeFalse())
			g.Expect(len(w.wrote)).To(BeNumerically(">=", c.writes))
		})
	}

	t.Run("to another value each time", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		w := newWriter(nil)
		w.keeps = false
		w.shows = func() func(*observation) {
			return func(o *observation) { o.trail.S3KeyPrefix = w.now.String() }
		}
		g.Expect(w.lookFor(time.Minute, time.Second)).To(BeFalse())
		g.Expect(w.wrote).To(HaveLen(60))
	})
}

// TestSlowRead holds that it counts when AWS was asked: its answer may be long on its way.
func TestSlowRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		asked    time.Duration // After the write.
		settling bool
	}{
		"soon after the write": {time.Second, true}, "before it": {-time.Minute, true},
		"when it must be shown": {settles + time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(synced), newRecord()
			begin(t, record)
			record.written = map[int]writtenField{
				numberOf("s3KeyPrefix"): {before: "intruder", at: record.calls.Began().Add(-c.asked)},
			}
			o := decide(&work{target: targetOf(trail), record: record, observed: holding(trail, prefixed)})
			g.Expect(namesOf(o.found)).To(Equal([]string{"s3KeyPrefix"}))
			if c.settling {
				g.Expect(namesOf(o.settling)).To(Equal([]string{"s3KeyPrefix"}))
				g.Expect(o.drift).To(BeEmpty())
			} else {
				g.Expect(namesOf(o.drift)).To(Equal([]string{"s3KeyPrefix"}))
				g.Expect(o.settling).To(BeEmpty())
			}
		})
	}
}

// TestNewTrailThatIsShownLate holds that what AWS shows of a trail before the calls that follow its creation is no
// difference that somebody made, also when a read that lags less has shown them already.
func TestNewTrailThatIsShownLate(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail, record := fullTrail(nil), newRecord()
	target := targetOf(trail)
	steps := planOf(trail, holding(trail, noTrail))
	record.learn(outcomeOf(trail, holding(trail, nil), func(o *outcome) {
		o.results = accepted(steps...)
		o.open = nil
	}), testNow)
	for number, w := range record.written {
		w.at = testNow
		record.written[number] = w
	}
	record.learn(outcomeOf(trail, holding(trail, nil), nil), testNow.Add(time.Second))

	again := holding(trail, func(o *observation) {
		o.status.value.IsLogging = false
		o.selectors.value = cloudtrail.Selectors{}
		o.insights.value, o.aggregations.value = nil, nil
	})
	differences := differencesOf(target, again)
	g.Expect(namesOf(differences)).To(ContainElement(fieldLogging))
	resting := record.rest(target, again, differences, testNow.Add(2*time.Second))
	g.Expect(namesOf(resting.without(differences))).To(BeEmpty())
}

// TestLoggingThatIsStoppedAgain holds that CloudTrail's own time of a stop tells it from a start that is not shown yet.
func TestLoggingThatIsStoppedAgain(t *testing.T) {
	t.Parallel()
	stoppedAt := func(at time.Time) func(*observation) {
		return both(stopped, func(o *observation) { o.status.value.StopLoggingTime = at })
	}
	for name, c := range map[string]struct {
		stop   time.Duration // After the start.
		writes int
	}{
		"not shown yet":                  {-time.Hour, 1},
		"stopped again":                  {30 * time.Second, 2},
		"stopped again, by a slow clock": {-clockSkew + time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			w := newWriter(stoppedAt(testNow.Add(-time.Hour)))
			w.look()
			w.shows = func() func(*observation) { return stoppedAt(testNow.Add(c.stop)) }
			w.now = testNow.Add(settles / 2)
			w.look()
			g.Expect(w.wrote).To(HaveLen(c.writes))
		})
	}
}

// TestLoggingThatIsStoppedEachTime holds that somebody who stops a trail as soon as it was started, even before that
// could be
// read, is not taken for an AWS that does not keep it: the trail is started at each look.
func TestLoggingThatIsStoppedEachTime(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	w := newWriter(nil)
	w.keeps = false
	w.shows = func() func(*observation) {
		return both(stopped, func(o *observation) { o.status.value.StopLoggingTime = w.now.Add(-time.Second) })
	}
	g.Expect(w.lookFor(10*time.Minute, 2*time.Second)).To(BeFalse())
	g.Expect(w.wrote).To(HaveLen(300))
}

// TestNotKeptIsTriedAgain holds what ends the wait before a value that AWS does not keep is written again.
func TestNotKeptIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*writer)
		writes int
	}{
		"nothing": {func(*writer) {}, 0},
		"a person asks": {func(w *writer) {
			w.trail.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
		}, 1},
		"the spec says something else": {func(w *writer) { w.trail.Spec.S3KeyPrefix = "new" }, 1},
		"AWS holds something else": {func(w *writer) {
			w.shows = func() func(*observation) { return func(o *observation) { o.trail.S3KeyPrefix = "other" } }
		}, 1},
		"another process": {func(w *writer) { w.record = newRecord() }, 1},
		"time":            {func(w *writer) { w.now = w.now.Add(rewriteFirst) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			w := newWriter(prefixed)
			w.keeps = false
			g.Expect(w.lookFor(4*settles, time.Second)).To(BeTrue())
			g.Expect(w.wrote).To(HaveLen(3))

			w.wrote = nil
			c.change(w)
			resting := w.look()
			g.Expect(w.wrote).To(HaveLen(c.writes))
			g.Expect(resting.notKept).To(HaveLen(1 - c.writes))
		})
	}
}

// TestOneRestsAlone holds that what rests keeps nothing else from being written.
func TestOneRestsAlone(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	w := newWriter(prefixed)
	w.look()
	w.shows = func() func(*observation) { return both(prefixed, stopped) }
	w.now = w.now.Add(time.Second)
	resting := w.look()
	g.Expect(namesOf(resting.settling)).To(Equal([]string{"s3KeyPrefix"}))
	g.Expect(resting.notKept).To(BeEmpty())
	g.Expect(w.wrote).To(Equal([]time.Duration{0, time.Second}))
}

// TestJudge holds what is made of differences that are there right after they were to be ended: AWS may just not show
// it yet, or does
// not keep it when it was so before.
func TestJudge(t *testing.T) {
	t.Parallel()
	written := func(times int) writtenField { return writtenField{times: times} }
	for name, c := range map[string]struct {
		field             string
		written           map[string]writtenField // By field.
		ended, untouched  bool
		settling, notKept []string
	}{
		"the first time": {field: "s3KeyPrefix", settling: []string{"s3KeyPrefix"}},
		"the second time": {
			field: "s3KeyPrefix", written: map[string]writtenField{"s3KeyPrefix": written(0)},
			settling: []string{"s3KeyPrefix"},
		},
		"the third time": {
			field: "s3KeyPrefix", written: map[string]writtenField{"s3KeyPrefix": written(1)},
			notKept: []string{"s3KeyPrefix"},
		},
		"the fourth time": {
			field: "s3KeyPrefix", written: map[string]writtenField{"s3KeyPrefix": written(2)},
			notKept: []string{"s3KeyPrefix"},
		},
		"another value before": {
			field: "s3KeyPrefix", written: map[string]writtenField{"s3KeyPrefix": {wanted: "x", times: 5}},
			settling: []string{"s3KeyPrefix"},
		},
		"another field before": {
			field: "s3KeyPrefix", written: map[string]writtenField{"kmsKeyID": written(5)},
			settling: []string{"s3KeyPrefix"},
		},
		"logging is never lost": {
			field: "logging", written: map[string]writtenField{"logging": {wanted: "true", times: 5}},
			settling: []string{"logging"},
		},
		"nor is a trail": {
			field: "trail", written: map[string]writtenField{"trail": {wanted: "exists", times: 5}},
			settling: []string{"trail"},
		},
		"it is ended": {
			field: "s3KeyPrefix", written: map[string]writtenField{"s3KeyPrefix": written(5)}, ended: true,
		},
		"it could not be ended": {
			field: "s3KeyPrefix", written: map[string]writtenField{"s3KeyPrefix": written(5)}, untouched: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(nil), newRecord()
			record.written = map[int]writtenField{}
			for field, w := range c.written {
				record.written[numberOf(field)] = w
			}
			s := step{operation: updateTrail, sets: differ(trail, c.field)}
			o := &outcome{target: targetOf(trail), open: s.sets, results: accepted(s)}
			if c.ended {
				o.open = nil
			}
			if c.untouched {
				o.results = answered(awsError(cloudtrail.FixAWS, "a", "b", "c"), s)
			}
			o.judge(record)
			g.Expect(namesOf(o.settling)).To(ConsistOf(c.settling))
			g.Expect(namesOf(o.notKept)).To(ConsistOf(c.notKept))
		})
	}
}

// TestTrailThatIsNotShownYet holds when a trail that reads do not show may be there all the same.
func TestTrailThatIsNotShownYet(t *testing.T) {
	t.Parallel()
	turned := func(status metav1.ConditionStatus, since time.Duration) func(*v1alpha1.Trail) {
		return func(trail *v1alpha1.Trail) {
			trail.Status.Conditions = []metav1.Condition{
				{Type: v1alpha1.ConditionSynced, Status: status, LastTransitionTime: *ago(since)},
			}
		}
	}
	started := func(since time.Duration) func(*v1alpha1.Trail) {
		return func(trail *v1alpha1.Trail) { trail.Status.StartLoggingTime = ago(since) }
	}
	repaired := func(since time.Duration) func(*v1alpha1.Trail) {
		return func(trail *v1alpha1.Trail) { trail.Status.LastDrift = &v1alpha1.Drift{RepairedTime: ago(since)} }
	}
	open := func(trail *v1alpha1.Trail) { trail.Status.LastDrift = &v1alpha1.Drift{DetectedTime: *ago(time.Second)} }
	for name, c := range map[string]struct {
		trail    func(*v1alpha1.Trail)
		created  time.Duration // How long ago this process has created it; 0: it has not.
		settling bool
	}{
		"nothing is known":        {synced, 0, false},
		"created just now":        {synced, time.Second, true},
		"created a while ago":     {synced, settles, false},
		"started just now":        {both(synced, started(time.Second)), 0, true},
		"started a while ago":     {both(synced, started(settles)), time.Minute, false},
		"repaired just now":       {both(synced, repaired(time.Second)), 0, true},
		"repaired a while ago":    {both(synced, repaired(settles)), 0, false},
		"not repaired":            {both(synced, open), 0, false},
		"in sync since just now":  {both(synced, turned(metav1.ConditionTrue, time.Second)), 0, true},
		"in sync since a while":   {both(synced, turned(metav1.ConditionTrue, settles)), 0, false},
		"out of sync since now":   {both(synced, turned(metav1.ConditionFalse, time.Second)), 0, false},
		"there never was one yet": {nil, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(c.trail), newRecord()
			if c.created > 0 {
				record.created = testNow.Add(-c.created)
			}
			target, o := targetOf(trail), holding(trail, noTrail)
			resting := record.rest(target, o, differencesOf(target, o), testNow)
			g.Expect(isEmpty(resting.settling)).To(Equal(!c.settling))
			g.Expect(isEmpty(resting.without(differencesOf(target, o)))).To(Equal(c.settling))
			g.Expect(resting.notKept).To(BeEmpty())
		})
	}
}

// TestWhatAnotherProcessHasWritten holds which differences may be read of AWS as it was before the process before this
// one wrote to it.
func TestWhatAnotherProcessHasWritten(t *testing.T) {
	t.Parallel()
	madeSync := func(since time.Duration) func(*v1alpha1.Trail) {
		return both(synced, func(trail *v1alpha1.Trail) {
			trail.Status.Conditions = []metav1.Condition{
				{Type: v1alpha1.ConditionSynced, Status: metav1.ConditionTrue, LastTransitionTime: *ago(since)},
			}
		})
	}
	prefix := func(o *observation) { o.trail.S3KeyPrefix = "before" }
	stopped := func(since time.Duration) func(*observation) {
		return func(o *observation) {
			o.status.value.IsLogging, o.status.value.StopLoggingTime = false, testNow.Add(-since)
		}
	}
	for name, c := range map[string]struct {
		trail    func(*v1alpha1.Trail)
		differs  func(*observation)
		inSync   string // The field that this process has seen in sync.
		settling bool
	}{
		"by another, just now":         {madeSync(time.Second), prefix, "", true},
		"by another, a while ago":      {madeSync(settles), prefix, "", false},
		"seen in sync by this one":     {madeSync(time.Second), prefix, "s3KeyPrefix", false},
		"the spec has changed since":   {both(madeSync(time.Second), wantsPrefix), prefix, "", false},
		"stopped before it was synced": {madeSync(time.Second), stopped(time.Hour), "", true},
		"stopped since":                {madeSync(10 * time.Second), stopped(5 * time.Second), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(c.trail), newRecord()
			if c.inSync != "" {
				record.inSync[numberOf(c.inSync)] = testNow.Unix()
			}
			target, o := targetOf(trail), holding(trail, c.differs)
			resting := record.rest(target, o, differencesOf(target, o), testNow)
			g.Expect(isEmpty(resting.settling)).To(Equal(!c.settling))
			g.Expect(resting.all(differencesOf(target, o))).To(Equal(c.settling))
		})
	}
}

// wantsPrefix changes what is wanted.
func wantsPrefix(trail *v1alpha1.Trail) { trail.Spec.S3KeyPrefix = "wanted-now" }

// TestSort holds which steps of a plan are worth a call.
func TestSort(t *testing.T) {
	t.Parallel()
	const claim, start, bucket = "AddTags{trail-operator.dev/owner}", "StartLogging", "UpdateTrail{s3BucketName}"
	wrong := awsError(cloudtrail.FixSpec, "a", "InvalidParameterException", "no")
	broken := awsError(cloudtrail.FixAWS, "a", "KmsException", "no")
	adopts := func(trail *v1alpha1.Trail) { trail.Spec.AdoptionPolicy = v1alpha1.AdoptionPolicyIfUnowned }
	always := func(trail *v1alpha1.Trail) { trail.Spec.AdoptionPolicy = v1alpha1.AdoptionPolicyAlways }
	asked := func(trail *v1alpha1.Trail) {
		trail.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
	}
	off := func(trail *v1alpha1.Trail) { trail.Spec.Logging = aws.Bool(false) }
	hidden, outOfReach := tagsFail(cloudtrail.Permission), tagsFail(cloudtrail.Transient)
	type refusals = map[string]error
	for name, c := range map[string]struct {
		trail   func(*v1alpha1.Trail)
		has     func(*observation)
		refused refusals // By what the step is.
		rests   []string // By field.
		tried   string
		held    string
	}{
		"all": {synced, both(stopped, otherBucket), nil, nil, start + ", " + bucket, ""},
		"a refused one is held": {
			synced, both(stopped, otherBucket), refusals{bucket: wrong}, nil, start, bucket,
		},
		"all are held": {
			synced, both(stopped, otherBucket), refusals{bucket: wrong, start: wrong}, nil, "", start + ", " + bucket,
		},
		"what something else in AWS may end is tried": {
			synced, otherBucket, refusals{bucket: broken}, nil, bucket, "",
		},
		"a person asks":          {both(synced, asked), otherBucket, refusals{bucket: wrong}, nil, bucket, ""},
		"what rests is left out": {synced, both(stopped, otherBucket), nil, []string{"s3BucketName"}, start, ""},
		"what rests is not held": {
			synced, both(stopped, otherBucket), refusals{bucket: wrong}, []string{"s3BucketName"}, start, "",
		},
		"all rest": {synced, both(stopped, otherBucket), nil, []string{"s3BucketName", "logging"}, "", ""},

		"a creation": {nil, noTrail, nil, nil, "CreateTrail, StartLogging", ""},
		"nothing goes before a creation that is held": {
			nil, noTrail, refusals{"CreateTrail": wrong}, nil, "", "CreateTrail",
		},
		"nothing goes before a creation that rests": {synced, noTrail, nil, []string{"trail"}, "", ""},

		"a claim": {adopts, both(stopped, untagged), nil, nil, claim + ", " + start, ""},
		"nothing goes before a claim that is held": {
			adopts, both(stopped, untagged), refusals{claim: wrong}, nil, "", claim,
		},
		"nothing goes before a claim that rests": {
			adopts, both(stopped, untagged), nil, []string{"ownerTag"}, "", "",
		},
		"of one that was ours the rest goes on": {
			synced, both(stopped, untagged, otherBucket), refusals{claim: wrong}, nil, start + ", " + bucket, claim,
		},

		"of one that is another's by now nothing goes before a claim that is held": {
			both(synced, always), both(stopped, taggedOver), refusals{claim: wrong}, nil, "", claim,
		},

		"owner hidden, ours before: it is started and nothing else": {
			synced, both(stopped, hidden, otherBucket), nil, nil, start, "",
		},
		"owner hidden, ours before, refused": {
			synced, both(stopped, hidden), refusals{start: wrong}, nil, "", start,
		},
		"owner hidden, not ours before": {nil, both(stopped, hidden, otherBucket), nil, nil, "", ""},
		"owner hidden, another trail was ours": {
			both(synced, func(t *v1alpha1.Trail) { t.Status.TrailARN += "2" }), both(stopped, hidden), nil, nil, "",
			"",
		},
		"owner out of reach for a moment": {synced, both(stopped, outOfReach), nil, nil, "", ""},
		"owner hidden: it is not stopped": {
			both(off, synced), both(func(o *observation) { o.status.value.IsLogging = true }, hidden), nil, nil, "",
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(c.trail), newRecord()
			o := outcomeOf(trail, holding(trail, c.has), nil)
			steps := planOf(trail, o.observed)
			record.refused = map[string]error{}
			for _, s := range steps {
				if err, ok := c.refused[s.String()]; ok {
					record.refused[s.key()] = err
				}
			}
			for _, field := range c.rests {
				o.notKept = append(o.notKept, difference{number: numberOf(field)})
			}

			tried, held := record.sort(steps, o.target, o)
			g.Expect(describe(tried)).To(Equal(c.tried))
			var heldSteps []step
			for _, h := range held {
				heldSteps = append(heldSteps, h.step)
				g.Expect(h.err).To(MatchError(record.refused[h.key()]), "with AWS's answer")
			}
			g.Expect(describe(heldSteps)).To(Equal(c.held))
		})
	}
}

// TestAlone holds which settings are changed by a call of their own.
func TestAlone(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail, record := testTrail(nil), newRecord()
	differences := differ(trail, "s3BucketName", "s3KeyPrefix", "kmsKeyID")
	bucket, prefix, key := differences[0], differences[1], differences[2]
	target := targetOf(trail)
	record.refused = map[string]error{
		updateOf(target, bucket).key():      awsError(cloudtrail.FixSpec, "a", "b", "c"),
		updateOf(target, key, prefix).key(): awsError(cloudtrail.FixSpec, "a", "b", "c"),
	}
	alone := record.alone(target, resting{notKept: []difference{prefix}})
	g.Expect(alone(bucket)).To(BeTrue(), "AWS has refused it")
	g.Expect(alone(prefix)).To(BeTrue(), "it rests")
	g.Expect(alone(key)).To(BeFalse(), "AWS has refused it together with another one")
	bucket.wanted = "another-bucket"
	g.Expect(alone(bucket)).To(BeFalse(), "AWS has refused another value")
}

// TestLearn holds what is remembered of refusals: those of the last reconcile, of what AWS has understood.
func TestLearn(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail, record := testTrail(synced), newRecord()
	wrong := awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", "no")
	steps := stepsOn(trail, "s3BucketName", "s3KeyPrefix", "kmsKeyID", "isMultiRegionTrail")
	record.learn(outcomeOf(trail, holding(trail, nil), func(o *outcome) {
		o.results = []result{
			{steps[0], wrong},
			{steps[1], awsError(cloudtrail.FixAWS, "UpdateTrail", "KmsException", "no")},
			{steps[2], awsError(cloudtrail.Transient, "UpdateTrail", "ServiceUnavailable", "no")},
			{steps[3], awsError(cloudtrail.Permission, "UpdateTrail", "AccessDeniedException", "no")},
		}
	}), testNow)
	g.Expect(record.refused).To(And(HaveLen(2), HaveKeyWithValue(steps[0].key(), wrong), HaveKey(steps[1].key())))

	record.learn(outcomeOf(trail, nil, func(o *outcome) { o.results = answered(wrong, steps[0]) }), testNow)
	g.Expect(record.refused).To(HaveLen(1), "only what was tried or held counts")
	record.learn(outcomeOf(trail, holding(trail, nil), nil), testNow)
	g.Expect(record.refused).To(BeEmpty())
}

// TestLearnTags holds that tags that take two calls are remembered as set once: a read that lags behind one or both of
// them shows no drift.
func TestLearnTags(t *testing.T) {
	t.Parallel()
	trail, record := fullTrail(synced), newRecord()
	trail.Status.ManagedTagKeys = []string{"env", "old", "team"}
	holds := func(tags map[string]string) *observation {
		return holding(trail, func(o *observation) {
			o.trail.Tags = map[string]string{v1alpha1.OwnerTagKey: testOwner}
			maps.Copy(o.trail.Tags, tags)
		})
	}
	o := holds(map[string]string{"env": "test", "old": "1"})
	steps := planOf(trail, o)
	NewWithT(t).Expect(steps).To(HaveLen(2), "RemoveTags and AddTags")
	record.learn(outcomeOf(trail, o, func(o *outcome) { o.results, o.open = accepted(steps...), nil }), testNow)

	is := record.written[numberOf(fieldTags)]
	is.at = testNow
	record.written[numberOf(fieldTags)] = is

	for name, c := range map[string]struct {
		tags     map[string]string
		settling bool
	}{
		"behind both":    {map[string]string{"env": "test", "old": "1"}, true},
		"behind AddTags": {map[string]string{"env": "test"}, true},
		"somebody's own": {map[string]string{"env": "forged"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, target := holds(c.tags), targetOf(trail)
			resting := record.rest(target, o, differencesOf(target, o), testNow.Add(time.Second))
			NewWithT(t).Expect(resting.settling).To(HaveLen(map[bool]int{true: 1}[c.settling]))
		})
	}
}

// TestLearnWritten holds what is remembered of fields that were set, until they are seen to be kept.
func TestLearnWritten(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail, record := testTrail(synced), newRecord()
	prefix, logging := numberOf("s3KeyPrefix"), numberOf(fieldLogging)
	now := testNow
	look := func(has func(*observation), done ...step) {
		record.learn(outcomeOf(trail, holding(trail, has), func(o *outcome) {
			o.results = accepted(done...)
			if len(done) > 0 {
				o.open = nil // As AWS's answers say.
			}
		}), now)
	}
	o := holding(trail, both(prefixed, stopped))
	look(both(prefixed, stopped), planOf(trail, o)...)
	g.Expect(record.written).To(And(HaveLen(2), HaveKey(prefix), HaveKey(logging)))
	g.Expect(record.written[prefix]).To(Equal(writtenField{before: "intruder"}))

	look(both(prefixed, func(o *observation) { o.status.err = errNoTrail }))
	g.Expect(record.written).To(HaveLen(2), "the one differs, and the other was not read")
	look(prefixed)
	g.Expect(record.written).To(And(HaveLen(1), HaveKey(prefix)), "it was seen to be kept")
	look(noTrail)
	g.Expect(record.written).To(HaveKey(prefix), "it was not read")

	record.written[prefix] = writtenField{before: "intruder", at: testNow}
	look(nil)
	g.Expect(record.written).To(HaveKey(prefix), "a read that lags more may still show what was before")
	now = testNow.Add(settles)
	look(nil)
	g.Expect(record.written).To(BeEmpty())
	record.written[prefix] = writtenField{before: "intruder"}

	d := differencesOf(targetOf(trail), o)[1]
	g.Expect(d.name).To(Equal("s3KeyPrefix"))
	is := writtenField{wanted: d.wanted, before: d.found, at: testNow}
	record.learnWritten(prefix, is, true)
	g.Expect(record.written[prefix].times).To(Equal(1), "it was read right after the write")
	is.wanted = "another"
	record.learnWritten(prefix, is, true)
	g.Expect(record.written[prefix].times).To(BeZero(), "another value is counted anew")
	record.learnWritten(prefix, is, false)
	g.Expect(record.written).NotTo(HaveKey(prefix), "AWS keeps it")
}

// TestAttributedMeanwhile holds that a status that was written is known again when it tells meanwhile who made a drift.
func TestAttributedMeanwhile(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail, record, completed := testTrail(synced), newRecord(), false
	trail.Status.LastDrift = &v1alpha1.Drift{Fields: []string{fieldLogging}, Attribution: v1alpha1.DriftAttributionPending}
	trail.Status.EarlierDrifts = []v1alpha1.Drift{{Fields: []string{fieldTags}}}
	record.unwritten(trail, &outcome{}, io.ErrUnexpectedEOF, func() { completed = true })

	another := trail.DeepCopy()
	another.Status.LastDrift.Fields = []string{fieldTags}
	g.Expect(record.completed(another)).To(BeFalse())
	trail.Status.LastDrift.Attribution, trail.Status.LastDrift.Actor = v1alpha1.DriftAttributionFound, "mallory"
	trail.Status.EarlierDrifts = nil
	g.Expect(record.completed(trail)).To(BeTrue())
	g.Expect(completed).To(BeTrue())
}

// TestUnconfirmed holds what becomes of a reconcile of which it is not known whether its status was written.
func TestUnconfirmed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		now                func(*v1alpha1.Trail) // What the object is at the next reconcile.
		completed, learned bool
	}{
		"it was written": {
			func(trail *v1alpha1.Trail) {
				trail.Status = v1alpha1.TrailStatus{TrailARN: testARN, LastSyncedTime: ago(0)}
			},
			true, false,
		},
		"it was not": {nil, false, false},
		"it was not, and something else is worked on": {func(trail *v1alpha1.Trail) { trail.Generation++ }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			completed, record := false, newRecord()
			refused := awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", "no")
			now := metav1.NewTime(testNow.Add(time.Millisecond)) // As conditions have it.
			o := &outcome{results: answered(refused, step{operation: updateTrail}), inSync: []int64{1}}
			write := func(err error, arn string, at *metav1.Time) {
				trail := testTrail(func(trail *v1alpha1.Trail) {
					trail.Status = v1alpha1.TrailStatus{TrailARN: arn, LastSyncedTime: at}
				})
				record.unwritten(trail, o, err, func() { completed = true })
			}
			lost, conflict := errors.New("connection reset"), apierrors.NewConflict(schema.GroupResource{}, "audit", nil)
			write(lost, testARN, &now)
			write(lost, testARN, ago(time.Minute))
			write(lost, testARN, ago(time.Minute))
			write(conflict, "another", nil)
			g.Expect(record.unconfirmed.statuses).To(HaveLen(2), "a conflict says that it was not written")
			for range maxUnconfirmed - 2 {
				write(lost, rand.Text(), nil)
			}
			g.Expect(record.unconfirmed.statuses).To(HaveLen(maxUnconfirmed))
			last := newRecord()
			last.unconfirmed = &unconfirmed{statuses: record.unconfirmed.statuses}
			last.unwritten(testTrail(nil), o, lost, nil)
			g.Expect(last.unconfirmed.statuses).To(HaveLen(maxUnconfirmed), "the oldest is forgotten")

			record.begin(testTrail(c.now), testNow)
			g.Expect(completed).To(Equal(c.completed))
			g.Expect(record.refused).To(HaveLen(map[bool]int{true: 1}[c.learned]))
			g.Expect(record.inSync).NotTo(Equal([]int64{1}), "a drift may not have been told")
			g.Expect(record.unconfirmed == nil).To(Equal(c.completed || c.learned), "else it may still be seen to be written")
		})
	}
}

// What reads show after a re-creation whose answer was lost is not believed at once.
func TestMayBeFormer(t *testing.T) {
	t.Parallel()
	creates := outcome{results: accepted(step{operation: createTrail})}
	starts := outcome{results: accepted(step{operation: startLogging})}
	for name, c := range map[string]struct {
		uncreated bool
		created   int
		outcome   outcome
		is        bool
	}{
		"its answer was lost":          {true, 1, outcome{}, true},
		"only what comes after":        {true, 1, starts, true},
		"it was answered":              {true, 1, creates, false},
		"long ago":                     {true, 15, outcome{}, false},
		"a trail that is always there": {false, 1, outcome{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &record{uncreated: c.uncreated, created: secondsAgo(c.created)}
			NewWithT(t).Expect(r.mayBeFormer(&c.outcome, testNow)).To(Equal(c.is))
		})
	}
}
