package trail

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// TestGivesUp holds when an object that is only to be let go is let go although its trail could not be.
func TestGivesUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err        error
		now, later bool // At once, and after a while.
	}{
		"an identity refused": {&awsidentity.AccessError{}, true, true},
		"denied":              {awsError(cloudtrail.Permission, "a", "b", "c"), true, true},
		"refused":             {awsError(cloudtrail.FixAWS, "a", "b", "c"), true, true},
		"a passing fault":     {awsError(cloudtrail.Transient, "a", "b", "c"), false, true},
		"maybe not shown yet": {errUnseen, false, true},
		"not answered":        {&cloudtrail.Pending{}, false, true},
		"of Kubernetes":       {errors.New("no"), false, false},
		"the object changed":  {errChanged, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			now := testNow
			r, record := &Reconciler{Options: Options{Now: func() time.Time { return now }}}, newRecord()
			g.Expect(r.givesUp(record, c.err)).To(Equal(c.now))
			now = testNow.Add(retainWait - 1)
			g.Expect(r.givesUp(record, c.err)).To(Equal(c.now))
			now = testNow.Add(retainWait)
			g.Expect(r.givesUp(record, c.err)).To(Equal(c.later), "counted from the first time")
		})
	}
}

// TestAbsent holds when a trail that reads do not show is certainly not there.
func TestAbsent(t *testing.T) {
	t.Parallel()
	created := func(trail *v1alpha1.Trail) {
		trail.Annotations = map[string]string{
			v1alpha1.AnnotationCreation: `{"uid":"trail-uid","account":"111122223333","region":"eu-central-1"}`,
		}
	}
	for name, c := range map[string]struct {
		trail func(*v1alpha1.Trail)
		sent  time.Duration // How long ago this process has sent CreateTrail; 0: it has not.
		began time.Duration // How long ago this process began.
		gone  bool
	}{
		"there has never been one":            {nil, 0, time.Second, true},
		"it was a while ago":                  {created, unseen, time.Hour, true},
		"sent just now":                       {created, unseen - 1, time.Hour, false},
		"maybe sent by the process before":    {created, 0, unseen - 1, false},
		"sent by the process before, at most": {created, 0, unseen, true},
		"known by the status":                 {synced, 0, unseen - 1, false},
		"known by the status, a while ago":    {synced, 0, unseen, true},
		"it was started just now": {
			both(synced, func(trail *v1alpha1.Trail) { trail.Status.StartLoggingTime = ago(settles - 1) }), 0,
			time.Hour, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			r, record := &Reconciler{Options: Options{Now: func() time.Time { return testNow }}}, newRecord()
			r.memory.begin(testNow.Add(-c.began))
			if c.sent > 0 {
				record.created = testNow.Add(-c.sent)
			}
			err := r.absent(&work{target: targetOf(testTrail(c.trail)), record: record})
			if c.gone {
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).To(MatchError(errUnseen))
			}
		})
	}
}
