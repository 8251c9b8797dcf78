package validatelogs

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

func TestTimes(t *testing.T) {
	for value, want := range map[string]string{
		"2026-01-08T05:21:42Z":      "2026-01-08T05:21:42Z",
		"2026-01-08t05:21:42z":      "2026-01-08T05:21:42Z",
		"2026-01-08T05:21:42.5Z":    "2026-01-08T05:21:42.5Z",
		"2026-01-08T05:21:42+02:00": "2026-01-08T03:21:42Z",
		"2026-01-08T05:21:42":       "2026-01-08T05:21:42Z",
		"2026-01-08 05:21:42":       "2026-01-08T05:21:42Z",
		"2026-01-08 05:21":          "2026-01-08T05:21:00Z",
		"2026-01-08T05:21Z":         "2026-01-08T05:21:00Z",
		" 2026-01-08 ":              "2026-01-08T00:00:00Z",
		"2026/01/08":                "2026-01-08T00:00:00Z",
		"20260108T052142Z":          "2026-01-08T05:21:42Z",
		"20260108":                  "2026-01-08T00:00:00Z",
		"":                          "",
		"08.01.2026":                "",
		"2026-02-30":                "",
	} {
		t.Run(value, func(t *testing.T) {
			g := NewWithT(t)
			got, err := parseTime(value)
			if want == "" {
				g.Expect(err).To(HaveOccurred())
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got.Format(time.RFC3339Nano)).To(Equal(want))
		})
	}
}

func TestTrailOfAnARN(t *testing.T) {
	g := NewWithT(t)
	o := Options{
		TrailARN:    "arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/a_b.c-d",
		Start:       time.Now(),
		Concurrency: 1,
	}
	g.Expect(o.Validate()).To(Succeed())
	g.Expect(o.trail()).To(Equal(digest.Trail{Name: "a_b.c-d", HomeRegion: "cn-north-1", AccountID: "111122223333"}))
}
