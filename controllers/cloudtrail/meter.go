package cloudtrail

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
)

// Meter is told of every try of every AWS call. It is safe for concurrent use.
type Meter interface {
	// Called tells of one try of an operation, its error code ("" for success) and how long AWS took.
	Called(region, operation, code string, took time.Duration)
	// Waited tells how long a call waited for CloudTrail's rate limit of its class: read, lookup or write.
	Waited(region, class string, waited time.Duration)
	// Used tells from time to time which regions were used lately: what is known of others can be forgotten.
	Used(regions map[string]bool)
}

type noMeter struct{}

func (noMeter) Called(string, string, string, time.Duration) {}
func (noMeter) Waited(string, string, time.Duration)         {}
func (noMeter) Used(map[string]bool)                         {}

// Outcome sorts an error code as Meter is told it: ok, throttled, denied (the caller may not), refused (what is asked
// for cannot be), missing (there is no such trail) or failed (it may work the next time).
func Outcome(code string) string {
	class, known := classes[code]
	switch {
	case code == "":
		return "ok"
	case isThrottle(code):
		return "throttled"
	case code == noCredentials, known && class == Permission:
		return "denied"
	case known && class == NotFound:
		return "missing"
	case known && class != Transient:
		return "refused"
	default:
		return "failed"
	}
}

// KnownCode returns an error code as a label of a metric: OK for success, and Other for a code that AWS is not known to
// use, as an endpoint may answer with any.
func KnownCode(code string) string {
	_, known := classes[code]
	switch {
	case code == "":
		return "OK"
	case known, isThrottle(code), ownCodes[code]:
		return code
	default:
		return "Other"
	}
}

// ownCodes are our own codes, for what AWS did not answer.
var ownCodes = map[string]bool{
	"AccountChanged": true,
	"Canceled":       true,
	"NetworkError":   true,
	noCredentials:    true,
	"NotSent":        true,
	"RequestFailed":  true,
	"RequestTimeout": true,
}

// newSTS returns an STS client whose calls are metered. STS has no limit that the operator could come near to.
func newSTS(cfg aws.Config, meter Meter) *sts.Client {
	return sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.APIOptions = append(append([]func(*middleware.Stack) error{}, o.APIOptions...), metered(cfg.Region, meter))
	})
}

// metered meters each try of the calls of a client for which no limit of ours holds.
func metered(region string, meter Meter) func(*middleware.Stack) error {
	count := middleware.FinalizeMiddlewareFunc("TrailOperatorMeter", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		start := time.Now()
		out, metadata, err := next.HandleFinalize(ctx, in)
		meter.Called(region, middleware.GetOperationName(ctx), errorCode(err), time.Since(start))
		return out, metadata, err
	})
	return func(stack *middleware.Stack) error { return stack.Finalize.Insert(count, "Retry", middleware.After) }
}
