package cloudtrail

import "time"

// Meter is told of every try of every AWS call. It is safe for concurrent use.
type Meter interface {
	// Called tells of one try of an operation, its error code ("" for success) and how long AWS took.
	Called(region, operation, code string, took time.Duration)
	// Waited tells how long a call waited for CloudTrail's rate limit of its class: read, lookup or write.
	Waited(region, class string, waited time.Duration)
}

type noMeter struct{}

func (noMeter) Called(string, string, string, time.Duration) {}
func (noMeter) Waited(string, string, time.Duration)         {}
