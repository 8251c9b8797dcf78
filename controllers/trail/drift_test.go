package trail

import (
	"slices"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// pass is a reconcile of a story.
type pass struct {
	// spec is how the user has changed the spec before, and drift how AWS was changed.
	spec  func(*v1alpha1.TrailSpec)
	drift func(*observation)
	// refuses is AWS's answer to the repair of a field; nil: it accepts all.
	refuses map[string]error
	// unread says that nothing could be read.
	unread error
}

// follow makes the passes, a minute apart, on a Trail that was in sync a minute before the first, or that is new. It
// returns which of
// them have found a new drift.
func follow(trail *v1alpha1.Trail, isNew bool, passes ...pass) (found []int) {
	record := newRecord()
	if !isNew {
		setStatus(trail, record, outcomeOf(trail, holding(trail, nil), nil), true, testNow.Add(-time.Minute))
	}
	for n, p := range passes {
		before := holding(trail, p.drift) // The spec may be another one by now.
		if p.spec != nil {
			p.spec(&trail.Spec)
			trail.Generation++
		}
		now := testNow.Add(time.Duration(n)*time.Minute + 300*time.Millisecond)
		if setStatus(trail, record, p.outcome(trail, before), true, now) {
			found = append(found, n)
		}
	}
	return found
}

func (p *pass) outcome(trail *v1alpha1.Trail, o *observation) *outcome {
	if p.unread != nil {
		return outcomeOf(trail, nil, func(o *outcome) { o.err = p.unread })
	}
	found := outcomeOf(trail, o, nil)
	if trail.Spec.ObserveOnly() || !slices.Contains([]state{stateAbsent, stateOutOfSync, stateDrifted}, found.state) {
		return found
	}
	for _, d := range found.found {
		err := p.refuses[d.name]
		found.results = append(found.results, result{step{operation: d.operation, sets: []difference{d}}, err})
		if err == nil {
			found.open = slices.DeleteFunc(
				slices.Clone(found.open), func(o difference) bool { return o.number == d.number },
			)
		}
	}
	return found
}

// TestDrift holds what is remembered of a difference that somebody made, over several passes a minute apart.
func TestDrift(t *testing.T) {
	t.Parallel()
	passing := awsError(cloudtrail.Transient, "UpdateTrail", "ServiceUnavailable", "no")
	refused := awsError(cloudtrail.FixAWS, "UpdateTrail", "KmsException", "no")
	minute := func(n int) *metav1.Time { return &metav1.Time{Time: testNow.Add(time.Duration(n) * time.Minute)} }
	keyed := func(o *observation) { o.trail.KMSKeyARN = otherKeyARN }
	inSync := pass{}
	ownChange := pass{spec: func(s *v1alpha1.TrailSpec) { s.S3KeyPrefix += "x" }}
	repaired := pass{drift: both(stopped, prefixed)}
	interrupted := pass{drift: both(stopped, prefixed), refuses: map[string]error{"s3KeyPrefix": passing}}
	prefixRepaired := pass{drift: prefixed}
	andMore := pass{
		drift: both(keyed, prefixed), refuses: map[string]error{"s3KeyPrefix": passing, "kmsKeyID": passing},
	}
	notRepaired := pass{drift: keyed, refuses: map[string]error{"kmsKeyID": refused}}
	keyRepaired := pass{drift: keyed}
	gone := pass{drift: noTrail, refuses: map[string]error{"trail": refused}}
	observed := pass{drift: prefixed}
	taken := pass{drift: taggedOver}
	madeAnew := pass{drift: both(taggedOver, prefixed, stopped)}
	elsewhere := pass{drift: both(madeAnew.drift, func(o *observation) { o.trail.HomeRegion = "us-east-1" })}
	for name, c := range map[string]struct {
		isNew, observe bool
		passes         []pass
		found          []int    // The passes that have found a new drift.
		fields         []string // The last drift's; nil: there was none.
		detected       *metav1.Time
		repaired       *metav1.Time
		earlier        []*metav1.Time // When earlier drifts were repaired, if that was looked at.
	}{
		"none":                          {passes: []pass{inSync, inSync}},
		"the user's own change is none": {passes: []pass{ownChange}},
		"what was never held is none":   {isNew: true, passes: []pass{notRepaired, keyRepaired}},
		"repaired at once": {
			passes: []pass{inSync, repaired}, found: []int{1},
			fields: []string{"logging", "s3KeyPrefix"}, detected: minute(1), repaired: minute(1),
		},
		"repaired, and in sync ever since": {
			passes: []pass{repaired, inSync, inSync}, found: []int{0},
			fields: []string{"logging", "s3KeyPrefix"}, detected: minute(0), repaired: minute(0),
		},
		"interrupted by a passing fault": {
			passes: []pass{interrupted}, found: []int{0},
			fields: []string{"logging", "s3KeyPrefix"}, detected: minute(0),
		},
		"interrupted, then repaired": {
			passes: []pass{interrupted, prefixRepaired}, found: []int{0},
			fields: []string{"logging", "s3KeyPrefix"}, detected: minute(0), repaired: minute(1),
		},
		"interrupted, and more has changed: another drift": {
			passes: []pass{interrupted, andMore}, found: []int{0, 1}, fields: []string{"kmsKeyID"},
			detected: minute(1),
		},
		"interrupted, and the repaired part once more: another drift": {
			passes: []pass{interrupted, interrupted}, found: []int{0, 1}, fields: []string{"logging"},
			detected: minute(1),
			repaired: minute(1),
		},
		"refused": {
			passes: []pass{notRepaired, notRepaired}, found: []int{0}, fields: []string{"kmsKeyID"},
			detected: minute(0),
		},
		"refused, and another value of it: another drift": {
			passes: []pass{
				notRepaired, {drift: func(o *observation) { o.trail.KMSKeyARN = "" }, refuses: notRepaired.refuses},
			},
			found: []int{0, 1}, fields: []string{"kmsKeyID"}, detected: minute(1),
		},
		"refused, then accepted": {
			passes: []pass{notRepaired, notRepaired, keyRepaired}, found: []int{0},
			fields: []string{"kmsKeyID"}, detected: minute(0), repaired: minute(2),
		},
		"refused, then undone by themselves": {
			passes: []pass{notRepaired, inSync}, found: []int{0},
			fields: []string{"kmsKeyID"}, detected: minute(0), repaired: minute(1),
		},
		"observed": {
			observe: true, passes: []pass{observed, observed}, found: []int{0},
			fields: []string{"s3KeyPrefix"}, detected: minute(0),
		},
		"observed, undone by themselves": {
			observe: true, passes: []pass{observed, observed, inSync}, found: []int{0},
			fields: []string{"s3KeyPrefix"}, detected: minute(0), repaired: minute(2),
		},
		"observed, undone and done again: another drift": {
			observe: true, passes: []pass{observed, inSync, observed}, found: []int{0, 2},
			fields: []string{"s3KeyPrefix"}, detected: minute(2),
		},
		"deleted, and refused": {
			passes: []pass{gone}, found: []int{0}, fields: []string{"trail"}, detected: minute(0),
		},
		"deleted, refused again and again": {
			passes: []pass{gone, gone, gone}, found: []int{0}, fields: []string{"trail"}, detected: minute(0),
		},
		"not repaired by not looking": {
			passes: []pass{notRepaired, {unread: refused}}, found: []int{0}, fields: []string{"kmsKeyID"},
			detected: minute(0),
		},
		"nobody's trail: not repaired by that": {
			passes: []pass{notRepaired, taken, taken}, found: []int{0, 1}, fields: []string{"ownerTag"},
			detected: minute(1),
			earlier:  []*metav1.Time{nil},
		},
		"another's, with other settings: told once": {
			passes: []pass{taken, {drift: both(taggedOver, prefixed, stopped)}}, found: []int{0},
			fields:   []string{"ownerTag"},
			detected: minute(0),
		},
		"made anew by another: told once": {
			passes: []pass{gone, madeAnew, madeAnew}, found: []int{0, 1},
			fields: []string{"logging", "ownerTag", "s3KeyPrefix"}, detected: minute(1), earlier: []*metav1.Time{nil},
		},
		"a home elsewhere: told once": {
			passes: []pass{gone, elsewhere, elsewhere}, found: []int{0, 1},
			fields: []string{"logging", "ownerTag", "s3KeyPrefix"}, detected: minute(1), earlier: []*metav1.Time{nil},
		},
		"after an error, which it is not hidden by": {
			passes: []pass{{unread: refused}, repaired}, found: []int{1},
			fields: []string{"logging", "s3KeyPrefix"}, detected: minute(1), repaired: minute(1),
		},
		"while something else is refused": {
			passes: []pass{{spec: ownChange.spec, refuses: map[string]error{"s3KeyPrefix": refused}}, keyRepaired},
			found:  []int{1}, fields: []string{"kmsKeyID"}, detected: minute(1), repaired: minute(1),
		},
		"once more: the last one": {
			observe: true, passes: []pass{repaired, inSync, observed}, found: []int{0, 2},
			fields: []string{"s3KeyPrefix"}, detected: minute(2),
		},
		"once more, repaired: the last one": {
			passes: []pass{notRepaired, inSync, repaired}, found: []int{0, 2},
			fields: []string{"logging", "s3KeyPrefix"}, detected: minute(2), repaired: minute(2),
		},
		"a change of the user's in between": {
			passes: []pass{repaired, ownChange}, found: []int{0},
			fields: []string{"logging", "s3KeyPrefix"}, detected: minute(0), repaired: minute(0),
		},
		"a change of the user's to what AWS holds": {
			observe: true, passes: []pass{
				observed, {spec: func(s *v1alpha1.TrailSpec) { s.S3KeyPrefix = "intruder" }, drift: prefixed},
			},
			found: []int{0}, fields: []string{"s3KeyPrefix"}, detected: minute(0), repaired: minute(1),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := testTrail(func(trail *v1alpha1.Trail) { trail.Spec.KMSKeyID = testKeyID })
			if c.observe {
				observes(trail)
			}
			g.Expect(follow(trail, c.isNew, c.passes...)).To(Equal(c.found))
			drift := trail.Status.LastDrift
			if c.fields == nil {
				g.Expect(drift).To(BeNil())
				return
			}
			g.Expect(drift.Fields).To(Equal(c.fields))
			g.Expect(drift.DetectedTime).To(Equal(*c.detected), "in whole seconds, as the API keeps them")
			g.Expect(drift.RepairedTime).To(Equal(c.repaired))
			for n, repaired := range c.earlier {
				g.Expect(trail.Status.EarlierDrifts[n].RepairedTime).To(Equal(repaired))
			}
			g.Expect(drift.Attribution).To(Equal(v1alpha1.DriftAttributionPending))
		})
	}
}

// TestEarlierDrifts holds which drifts before the last one are kept: those of which it is not certain who made them, at
// most five, the
// latest first.
func TestEarlierDrifts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		drifts  int
		certain v1alpha1.DriftAttribution // What becomes known of each before the next one.
		earlier []string
	}{
		"one":                  {1, v1alpha1.DriftAttributionPending, nil},
		"two":                  {2, v1alpha1.DriftAttributionPending, []string{"0"}},
		"two, the first named": {2, v1alpha1.DriftAttributionProvisional, []string{"0"}},
		"two, the first found": {2, v1alpha1.DriftAttributionFound, nil},
		"two, nobody found":    {2, v1alpha1.DriftAttributionNotFound, nil},
		"six":                  {6, v1alpha1.DriftAttributionPending, []string{"4", "3", "2", "1", "0"}},
		"too many":             {8, v1alpha1.DriftAttributionPending, []string{"6", "5", "4", "3", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(synced), newRecord()
			for n := range c.drifts {
				o := outcomeOf(
					trail, holding(trail, func(o *observation) { o.trail.S3KeyPrefix = strconv.Itoa(n) }), nil,
				)
				g.Expect(noteDrift(trail, record, o, testNow)).To(BeTrue())
				trail.Status.LastDrift.AttributionMessage = strconv.Itoa(n)
				trail.Status.LastDrift.Attribution = c.certain
			}
			var earlier []string
			for _, drift := range trail.Status.EarlierDrifts {
				earlier = append(earlier, drift.AttributionMessage)
			}
			g.Expect(earlier).To(Equal(c.earlier))
			g.Expect(trail.Status.LastDrift.AttributionMessage).To(Equal(strconv.Itoa(c.drifts - 1)))
		})
	}
}

// TestTimeOfLoggingChange holds that a drift tells when CloudTrail says that logging was stopped or started.
func TestTimeOfLoggingChange(t *testing.T) {
	t.Parallel()
	changed := func(o *observation) {
		o.status.value.StartLoggingTime, o.status.value.StopLoggingTime = testNow.Add(-time.Hour), testNow.Add(
			-1500*time.Millisecond,
		)
	}
	off := false
	for name, c := range map[string]struct {
		trail func(*v1alpha1.Trail)
		drift func(*observation)
		want  *metav1.Time
	}{
		"stopped":          {synced, both(stopped, changed), ago(2 * time.Second)},
		"stopped and more": {synced, both(stopped, prefixed, changed), ago(2 * time.Second)},
		"started": {
			both(func(trail *v1alpha1.Trail) { trail.Spec.Logging = &off }, synced),
			both(func(o *observation) { o.status.value.IsLogging = true }, changed), ago(time.Hour),
		},
		"something else":        {synced, both(prefixed, changed), nil},
		"AWS does not tell one": {synced, stopped, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := testTrail(c.trail)
			g.Expect(noteDrift(trail, newRecord(), outcomeOf(trail, holding(trail, c.drift), nil), testNow)).To(
				BeTrue(),
			)
			g.Expect(trail.Status.LastDrift.LoggingChangedTime).To(Equal(c.want))
		})
	}
}

// TestLoggingChangedAgain holds that a trail that was started and stopped again has drifted twice, also when the
// operator does not know that it was started.
func TestLoggingChangedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		told, started, stopped int // Seconds ago.
		again                  bool
	}{
		"stopped once":                 {60, 90, 60, false},
		"stopped twice":                {60, 90, 30, false}, // Should AWS report the second one.
		"started and stopped again":    {60, 50, 30, true},
		"started again":                {60, 50, 60, false},
		"all in the second of the one": {60, 60, 60, false},
		"it is not told when":          {0, 50, 30, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := testTrail(synced)
			o := outcomeOf(trail, holding(trail, func(o *observation) {
				o.status.value.IsLogging = false
				o.status.value.StartLoggingTime, o.status.value.StopLoggingTime = secondsAgo(c.started), secondsAgo(c.stopped)
			}), nil)
			trail.Status.Differences = []v1alpha1.Difference{of(o.drift, fieldLogging)[0].shown()}
			trail.Status.LastDrift = &v1alpha1.Drift{
				Fields:       []string{fieldLogging},
				DetectedTime: metav1.NewTime(secondsAgo(c.told)),
			}
			if c.told > 0 {
				trail.Status.LastDrift.LoggingChangedTime = v1alpha1.TimeOrNil(secondsAgo(c.told))
			}
			NewWithT(t).Expect(noteDrift(trail, newRecord(), o, testNow)).To(Equal(c.again))
		})
	}
}

// TestShownDifferences holds what the status shows of differences when parts could not be read.
func TestShownDifferences(t *testing.T) {
	t.Parallel()
	no := awsError(cloudtrail.Transient, "a", "b", "c")
	before := []v1alpha1.Difference{
		{Field: "advancedEventSelectors", Found: "x"}, {Field: "logging", Found: "false"},
		{Field: "s3KeyPrefix", Found: "old"},
	}
	for name, c := range map[string]struct {
		has   func(*observation)
		shown []v1alpha1.Difference
	}{
		"all is as it ought to be": {nil, nil},
		"by name": {
			both(stopped, prefixed, untagged),
			[]v1alpha1.Difference{
				{Field: "logging", Found: "false"}, {Field: "ownerTag"}, {Field: "s3KeyPrefix", Found: "intruder"},
			},
		},
		"no settings": {
			func(o *observation) { o.settingsErr = no }, before[2:],
		},
		"no settings, and more": {
			both(func(o *observation) { o.settingsErr = no }, untagged), []v1alpha1.Difference{
				{Field: "ownerTag"}, before[2],
			},
		},
		"no status":    {func(o *observation) { o.status.err = no }, before[1:2]},
		"no selectors": {func(o *observation) { o.selectors.err = no }, before[:1]},
		"nothing":      {func(o *observation) { *o = observation{settingsErr: no} }, before},
		"not ours to read": {
			func(o *observation) { o.selectors.err, o.status.err, o.settingsErr = errNotRead, no, no }, before[1:],
		},
		"there is no trail": {noTrail, []v1alpha1.Difference{{Field: "trail"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := testTrail(nil)
			target, o := targetOf(trail), holding(trail, c.has)
			trail.Status.Differences = before
			NewWithT(t).Expect(shownOf(&trail.Status, o, differencesOf(target, o))).To(Equal(c.shown))
		})
	}
}

// TestForeignDifferences holds that nothing is shown of how a trail differs that is not ours, but that it is not.
func TestForeignDifferences(t *testing.T) {
	t.Parallel()
	for name, owned := range map[string]func(*observation){"another's": taggedOver, "nobody's": untagged} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := testTrail(nil)
			o := outcomeOf(trail, holding(trail, both(prefixed, otherBucket, owned)), nil)
			g.Expect(o.state.isForeign()).To(BeTrue())
			g.Expect(namesOf(o.shownDifferences(trail))).To(ConsistOf(fieldOwnerTag))
		})
	}
}

// TestRepairedDrifts holds which drifts are taken for repaired: those of which no field is shown to differ.
func TestRepairedDrifts(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	drift := func(repaired *metav1.Time, fields ...string) v1alpha1.Drift {
		return v1alpha1.Drift{Fields: fields, RepairedTime: repaired}
	}
	last := drift(nil, "s3KeyPrefix", "logging")
	status := v1alpha1.TrailStatus{
		Differences: []v1alpha1.Difference{{Field: "logging", Found: "false"}, {Field: "tags"}},
		LastDrift:   &last,
		EarlierDrifts: []v1alpha1.Drift{
			drift(nil, "kmsKeyID"), drift(ago(time.Hour), "kmsKeyID"), drift(nil, "tags", "kmsKeyID"),
		},
	}
	noteRepaired(&status, testNow.Add(time.Millisecond))
	g.Expect(status.LastDrift.RepairedTime).To(BeNil())
	g.Expect(status.EarlierDrifts[0].RepairedTime).To(Equal(ago(0)))
	g.Expect(status.EarlierDrifts[1].RepairedTime).To(Equal(ago(time.Hour)), "it was repaired before")
	g.Expect(status.EarlierDrifts[2].RepairedTime).To(BeNil())

	status.Differences = nil
	noteRepaired(&status, testNow)
	g.Expect(status.LastDrift.RepairedTime).To(Equal(ago(0)))
	noteRepaired(&v1alpha1.TrailStatus{}, testNow)
}

// TestDriftWhileSettling holds that what AWS may just not show yet is no news before it lasts, and news then: an
// intruder who changes a
// value back at once is told of, too.
func TestDriftWhileSettling(t *testing.T) {
	t.Parallel()
	intruder := []v1alpha1.Difference{{Field: "s3KeyPrefix", Found: "intruder"}}
	settles := func(o *outcome) { o.settling, o.drift = of(o.open, "s3KeyPrefix"), nil }
	for name, c := range map[string]struct {
		before, during []v1alpha1.Difference
		lasts          bool // It is a new drift when it lasts.
	}{
		"a repair that was seen":            {nil, nil, true},
		"a repair that was not seen yet":    {intruder, intruder, false},
		"a repair of another change before": {[]v1alpha1.Difference{{Field: "s3KeyPrefix", Found: "x"}}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(synced), newRecord()
			trail.Status.Differences = c.before
			g.Expect(setStatus(trail, record, ends(prefixed, settles)(trail), false, testNow)).To(BeFalse())
			g.Expect(trail.Status.Differences).To(Equal(c.during))
			g.Expect(setStatus(trail, record, ends(prefixed, nil)(trail), false, testNow)).To(Equal(c.lasts))
			g.Expect(trail.Status.Differences).To(Equal(intruder))
		})
	}

	t.Run("something else is told meanwhile", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		trail, record := testTrail(synced), newRecord()
		o := ends(both(prefixed, stopped), func(o *outcome) {
			o.settling, o.drift = of(o.open, "s3KeyPrefix"), of(o.open, fieldLogging)
		})(trail)
		g.Expect(setStatus(trail, record, o, true, testNow)).To(BeTrue())
		g.Expect(trail.Status.LastDrift.Fields).To(Equal([]string{"logging"}))
		g.Expect(trail.Status.Differences).To(Equal([]v1alpha1.Difference{{Field: "logging", Found: "false"}}))
	})
}

// TestDriftWhileWriting holds that what somebody does while the operator writes, or what reads did not show before, is
// told as drift, too, and that what reads may just not show yet is not.
func TestDriftWhileWriting(t *testing.T) {
	t.Parallel()
	stoppedAt := both(stopped, func(o *observation) { o.status.value.StopLoggingTime = testNow })
	for name, c := range map[string]struct {
		during func(*observation)
		told   []string
	}{
		"nothing":                 {nil, nil},
		"a stop":                  {stoppedAt, []string{"logging"}},
		"a start that lags":       {stopped, nil},
		"what is written, again":  {prefixed, nil},
		"both, at the same time":  {both(prefixed, stoppedAt), []string{"logging"}},
		"a change that lags, too": {both(prefixed, stopped), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(synced), newRecord()
			record.written = map[int]writtenField{
				numberOf(fieldLogging): {wanted: "true", before: "false", at: testNow.Add(-time.Second)},
			}
			before := holding(trail, prefixed)
			o := outcomeOf(trail, before, func(o *outcome) { o.results = accepted(planOf(trail, before)...) })
			g.Expect(setStatus(trail, record, o, true, testNow)).To(BeTrue(), "the one that is repaired")

			w := &work{target: o.target, record: record, observed: holding(trail, c.during)}
			o.observed, o.open = w.observed, differencesOf(w.target, w.observed)
			o.judge(record)
			o.noticeOthers(w)
			drifted := setStatus(trail, record, o, true, testNow)
			g.Expect(drifted).To(Equal(c.told != nil))
			if drifted {
				g.Expect(trail.Status.LastDrift.Fields).To(Equal(c.told))
				g.Expect(trail.Status.LastDrift.LoggingChangedTime.Time).To(Equal(testNow))
				g.Expect(notReadyOf(trail, o).message).To(ContainSubstring("logging"))
			}
		})
	}
}

// TestLastInSync holds since when a difference may have been there.
func TestLastInSync(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		known  map[string]time.Duration // How long ago this process knew the fields to be in sync.
		status *metav1.Time             // lastSyncedTime, of the process before.
		fields []string
		want   *metav1.Time // nil: never
	}{
		"never":            {nil, nil, []string{"logging"}, nil},
		"known":            {map[string]time.Duration{"logging": time.Minute}, nil, []string{"logging"}, ago(time.Minute)},
		"another is known": {map[string]time.Duration{"kmsKeyID": time.Minute}, nil, []string{"logging"}, nil},
		"of two the earlier one": {
			map[string]time.Duration{"logging": time.Minute, "kmsKeyID": time.Hour}, nil,
			[]string{"logging", "kmsKeyID"}, ago(time.Hour),
		},
		"of two one was never": {
			map[string]time.Duration{"logging": time.Minute}, nil, []string{"logging", "kmsKeyID"}, nil,
		},
		"by the status": {nil, ago(time.Hour), []string{"logging"}, ago(time.Hour)},
		"known later": {
			map[string]time.Duration{"logging": time.Minute}, ago(time.Hour), []string{"logging"}, ago(time.Minute),
		},
		"of two one by the status": {
			map[string]time.Duration{"logging": time.Minute}, ago(time.Hour), []string{"logging", "kmsKeyID"},
			ago(time.Hour),
		},
		"never after now": {map[string]time.Duration{"logging": -time.Minute}, nil, []string{"logging"}, ago(0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(synced), newRecord()
			for field, since := range c.known {
				record.inSync[numberOf(field)] = testNow.Add(-since).Unix()
			}
			trail.Status.LastSyncedTime = c.status
			var want time.Time
			if c.want != nil {
				want = c.want.Time
			}
			g.Expect(record.lastInSync(&trail.Status, differ(trail, c.fields...), testNow)).To(
				BeTemporally("==", want),
			)
		})
	}
}

// TestDriftTellsWhenItWasInSync holds that a drift has the time of its own fields.
func TestDriftTellsWhenItWasInSync(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail, record := testTrail(synced), newRecord()
	record.inSync[numberOf(fieldLogging)] = testNow.Add(-time.Minute).Unix()
	record.inSync[numberOf("s3KeyPrefix")] = testNow.Add(-time.Hour).Unix()
	trail.Status.Differences = []v1alpha1.Difference{{Field: "s3KeyPrefix", Found: "intruder"}}
	g.Expect(noteDrift(trail, record, outcomeOf(trail, holding(trail, both(stopped, prefixed)), nil), testNow)).To(
		BeTrue(),
	)
	g.Expect(trail.Status.LastDrift.Fields).To(Equal([]string{"logging"}), "the other one is no news")
	g.Expect(trail.Status.LastDrift.LastInSyncTime.Time).To(BeTemporally("==", testNow.Add(-time.Minute)))
}

// TestDriftKeepsItsBeginning holds since when a difference may have been there, over interrupted repairs.
func TestDriftKeepsItsBeginning(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail, record := testTrail(synced), newRecord()
	interrupted := func(lastInSync, now time.Time) bool {
		record.inSync[numberOf(fieldLogging)] = lastInSync.Unix()
		o := outcomeOf(trail, holding(trail, stopped), func(o *outcome) {
			o.results = answered(
				awsError(cloudtrail.Transient, "StartLogging", "ServiceUnavailable", "no"),
				planOf(trail, o.observed)...,
			)
		})
		return setStatus(trail, record, o, true, now)
	}
	g.Expect(interrupted(testNow.Add(-time.Hour), testNow)).To(BeTrue())
	g.Expect(interrupted(testNow.Add(-time.Minute), testNow.Add(time.Minute))).To(BeFalse())
	g.Expect(trail.Status.LastDrift.LastInSyncTime.Time).To(BeTemporally("==", testNow.Add(-time.Hour)))
	g.Expect(trail.Status.LastDrift.Attribution).To(Equal(v1alpha1.DriftAttributionPending))
}

// TestDriftThatIsToldLater holds since when a drift may have been there that was repaired before it could be written
// down: what is known after the repair was not known when it was made.
func TestDriftThatIsToldLater(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	record := newRecord()
	for number := range record.inSync {
		record.inSync[number] = testNow.Add(-time.Hour).Unix()
	}
	for range 2 { // The API server takes the status at the second try.
		trail := testTrail(synced)
		o := outcomeOf(trail, holding(trail, stopped), func(o *outcome) {
			o.results, o.open = accepted(planOf(trail, o.observed)...), nil
		})
		g.Expect(setStatus(trail, record, o, true, testNow)).To(BeTrue())
		g.Expect(trail.Status.LastDrift.LastInSyncTime.Time).To(BeTemporally("==", testNow.Add(-time.Hour)))
	}
}

// TestNoteInSync holds since when fields are known to be in sync: as old as what was read may be, and AWS's answers may
// lag behind.
func TestNoteInSync(t *testing.T) {
	t.Parallel()
	read := testNow.Add(-readLag)
	for name, c := range map[string]struct {
		has     func(*observation)
		before  time.Time
		logging time.Time
		others  time.Time
		all     time.Time // When all but what differs was in sync.
	}{
		"all was read":            {nil, time.Time{}, read, read, read},
		"it was known later":      {nil, testNow.Add(-time.Second), testNow.Add(-time.Second), read, read},
		"it was known before":     {nil, testNow.Add(-time.Hour), read, read, read},
		"it differs":              {stopped, time.Time{}, time.Time{}, read, read},
		"it differs, and did not": {stopped, testNow.Add(-time.Hour), testNow.Add(-time.Hour), read, read},
		"it was not read": {
			func(o *observation) { o.status.err = errNoTrail }, time.Time{}, time.Time{}, read, time.Time{},
		},
		"it was read a while ago": {
			func(o *observation) { o.status.err = errNoTrail }, testNow.Add(-time.Hour), testNow.Add(-time.Hour),
			read, testNow.Add(-time.Hour),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail, record := testTrail(synced), newRecord()
			at := func(field string) time.Time {
				if record.inSync[numberOf(field)] == 0 {
					return time.Time{}
				}
				return time.Unix(record.inSync[numberOf(field)], 0)
			}
			if !c.before.IsZero() {
				record.inSync[numberOf(fieldLogging)] = c.before.Unix()
			}
			o := outcomeOf(trail, holding(trail, c.has), nil)
			record.inSync = record.inSyncAfter(o, testNow)
			g.Expect(at(fieldLogging)).To(BeTemporally("==", c.logging))
			g.Expect(at("kmsKeyID")).To(BeTemporally("==", c.others))
			g.Expect(lastSynced(record.inSync, o)).To(BeTemporally("==", c.all))
		})
	}

	t.Run("it was set since", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		trail, record := testTrail(nil), newRecord()
		start, update := step{operation: startLogging, sets: differ(trail, fieldLogging)}, stepsOn(trail, "kmsKeyID")[0]
		sendLogging(t, record)
		o := outcomeOf(trail, holding(trail, nil), func(o *outcome) { o.results = accepted(start, update) })
		record.inSync = record.inSyncAfter(o, testNow)
		g.Expect(record.inSync[numberOf(fieldLogging)]).To(
			Equal(testNow.Unix()), "a write is of the time when it was sent",
		)
		g.Expect(record.inSync[numberOf("kmsKeyID")]).To(Equal(read.Unix()), "no such call was sent")

		created := step{operation: createTrail, sets: differ(trail, fieldTrail)}
		o.results = accepted(created)
		record.inSync = record.inSyncAfter(o, testNow)
		g.Expect(record.inSync).To(HaveEach(testNow.Unix()), "a creation sets them all")
	})

	t.Run("not before the beginning of time", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		trail, record := testTrail(synced), newRecord()
		record.inSync = record.inSyncAfter(outcomeOf(trail, holding(trail, nil), nil), time.Time{})
		g.Expect(record.inSync).To(HaveEach(BeZero()))
	})
}
