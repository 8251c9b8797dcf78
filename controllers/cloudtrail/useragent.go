package cloudtrail

import (
	"context"
	"fmt"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

type actorKey struct{}

// WithActor returns a context whose AWS calls carry the object's namespace/name in their user agent, so
// that CloudTrail's history tells which manifest acted.
func WithActor(ctx context.Context, namespacedName string) context.Context {
	return context.WithValue(ctx, actorKey{}, namespacedName)
}

// actorOf returns the object on whose behalf a context calls AWS, "" for nobody's.
func actorOf(ctx context.Context) string {
	if actor, ok := ctx.Value(actorKey{}).(string); ok {
		return actor
	}
	return ""
}

// userAgentProduct is how the operator's calls are known in CloudTrail's history.
const userAgentProduct = "trail-operator"

// userAgent appends "trail-operator/VERSION (NAMESPACE/NAME)" to the SDK's user agent.
func userAgent(version string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		extend := middleware.BuildMiddlewareFunc("TrailOperatorUserAgent", func(
			ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler,
		) (middleware.BuildOutput, middleware.Metadata, error) {
			request, ok := in.Request.(*smithyhttp.Request)
			if !ok {
				return middleware.BuildOutput{}, middleware.Metadata{}, fmt.Errorf("unknown transport type %T", in.Request)
			}
			agent := request.Header.Get("User-Agent") + " " + userAgentProduct + "/" + version
			if actor := actorOf(ctx); actor != "" {
				agent += " (" + actor + ")"
			}
			request.Header.Set("User-Agent", agent)
			return next.HandleBuild(ctx, in)
		})
		return stack.Build.Add(extend, middleware.After)
	}
}
