package v1alpha1_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

func TestEventLookupRange(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)
	first, second := metav1.NewTime(now.Add(-72*time.Hour)), metav1.NewTime(now.Add(-48*time.Hour))
	for name, c := range map[string]struct {
		spec       v1alpha1.EventLookupSpec
		start, end time.Time
	}{
		"all of the history": {v1alpha1.EventLookupSpec{}, time.Time{}, now},
		"a start":            {v1alpha1.EventLookupSpec{StartTime: &first}, first.Time, now},
		"an end":             {v1alpha1.EventLookupSpec{EndTime: &second}, time.Time{}, second.Time},
		"both":               {v1alpha1.EventLookupSpec{StartTime: &first, EndTime: &second}, first.Time, second.Time},
		"days":               {v1alpha1.EventLookupSpec{Since: "7d"}, now.AddDate(0, 0, -7), now},
		"days and hours":     {v1alpha1.EventLookupSpec{Since: "1d12h"}, now.Add(-36 * time.Hour), now},
		"hours and less":     {v1alpha1.EventLookupSpec{Since: "1h2m3s"}, now.Add(-time.Hour - 2*time.Minute - 3*time.Second), now},
		"before an end":      {v1alpha1.EventLookupSpec{Since: "1d", EndTime: &second}, first.Time, second.Time},
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
