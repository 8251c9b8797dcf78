package v1alpha1_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

func TestEventLookupRange(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)
	first, second := now.Add(-72*time.Hour), now.Add(-48*time.Hour)
	const written, writtenInBerlin = "2026-03-12T12:00:00Z", "2026-03-13T13:00:00+01:00"
	for name, c := range map[string]struct {
		spec       v1alpha1.EventLookupSpec
		start, end time.Time
	}{
		"all of the history": {v1alpha1.EventLookupSpec{}, time.Time{}, now},
		"a start":            {v1alpha1.EventLookupSpec{StartTime: written}, first, now},
		"an end":             {v1alpha1.EventLookupSpec{EndTime: writtenInBerlin}, time.Time{}, second},
		"both":               {v1alpha1.EventLookupSpec{StartTime: written, EndTime: writtenInBerlin}, first, second},
		"days":               {v1alpha1.EventLookupSpec{Since: "7d"}, now.AddDate(0, 0, -7), now},
		"days and hours":     {v1alpha1.EventLookupSpec{Since: "1d12h"}, now.Add(-36 * time.Hour), now},
		"hours and less": {
			v1alpha1.EventLookupSpec{Since: "1h2m3s"},
			now.Add(-time.Hour - 2*time.Minute - 3*time.Second), now,
		},
		"before an end": {v1alpha1.EventLookupSpec{Since: "1d", EndTime: writtenInBerlin}, first, second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			start, end, err := c.spec.Range(now)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(start).To(BeTemporally("==", c.start))
			g.Expect(end).To(BeTemporally("==", c.end))
		})
	}
}

// A lookup that was stored before the API server refused such a value says what is wrong with it.
func TestEventLookupRangeFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec    v1alpha1.EventLookupSpec
		message string
	}{
		"a start that is none": {
			v1alpha1.EventLookupSpec{StartTime: "2026-01-02t03:04:05z"},
			`spec.startTime: "2026-01-02t03:04:05z" is not a time such as 2026-01-02T03:04:05Z`,
		},
		"an end that is none": {
			v1alpha1.EventLookupSpec{StartTime: "2026-01-02T03:04:05Z", EndTime: "tomorrow"},
			`spec.endTime: "tomorrow" is not a time such as 2026-01-02T03:04:05Z`,
		},
		"since in weeks": {
			v1alpha1.EventLookupSpec{Since: "1w"}, `spec.since: time: unknown unit "w" in duration "1w"`,
		},
		"since in no number of days": {
			v1alpha1.EventLookupSpec{Since: "xd"}, `spec.since: "xd": the days are not a number`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := c.spec.Range(time.Now())
			NewWithT(t).Expect(err).To(MatchError(c.message))
		})
	}
}
