package trail_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	. "github.com/onsi/ginkgo/v2"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// Whatever sequence of specs a user applies, the trail ends equal to the last one, and a second look changes nothing.
// Each case is a seed: a failure is repeated by running its entry alone.
var _ = Describe("Random sequences of specs", func() {
	const (
		seeds        = 100
		specsPerSeed = 3
	)
	for seed := range uint64(seeds) {
		It(fmt.Sprintf("end equal to the last spec, seed %d", seed), func(ctx context.Context) {
			random := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			w.prepareResources()
			for range specsPerSeed {
				spec := randomSpec(random)
				w.apply(ctx, "audit", spec)
				w.expectSettled(ctx, "audit", spec)
			}
		})
	}
})

// randomSpec returns a valid spec in which each field is set or not.
func randomSpec(random *rand.Rand) v1alpha1.TrailSpec {
	spec := v1alpha1.TrailSpec{S3BucketName: pick(random, "one-bucket", "other-bucket")}
	for _, set := range []func(){
		func() { spec.S3KeyPrefix = pick(random, "audit", "audit/2026") },
		func() { spec.SNSTopicName = pick(random, "trail-topic", topicARN) },
		func() {
			spec.KMSKeyID = pick(random, keyARN, otherKey, "alias/trail", "11111111-2222-3333-4444-555555555555")
		},
		func() {
			other := "arn:aws:logs:us-east-1:111122223333:log-group:other:*"
			spec.CloudWatchLogsLogGroupARN, spec.CloudWatchLogsRoleARN = pick(random, logGroup, other), logRole
		},
		func() { spec.EnableLogFileValidation = pick(random, truthy(), falsy()) },
		func() { spec.IsMultiRegionTrail = truthy() },
		func() { spec.Logging = pick(random, truthy(), falsy()) },
		func() { spec.IsOrganizationTrail = pick(random, truthy(), falsy()) },
		func() {
			spec.Tags = []v1alpha1.Tag{
				{Key: pick(random, "team", "stage"), Value: pick(random, "", "a", "b")},
				{Key: "owner", Value: "x"},
			}
		},
		func() {
			if random.IntN(2) == 0 {
				fieldCases["eventSelectors"].pick(random)(&spec)
			} else {
				fieldCases["advancedEventSelectors"].pick(random)(&spec)
			}
		},
		func() { fieldCases["insightSelectors"].pick(random)(&spec) },
	} {
		if random.IntN(2) == 0 {
			set()
		}
	}
	if spec.IsMultiRegionTrail == nil && random.IntN(2) == 0 {
		spec.IncludeGlobalServiceEvents = pick(random, truthy(), falsy())
	}
	if spec.EventSelectors == nil && spec.AdvancedEventSelectors == nil && random.IntN(3) == 0 {
		fieldCases["aggregationConfigurations"].pick(random)(&spec)
		spec.InsightSelectors = nil // Data events alone: nothing for Insights on management events to analyze.
	}
	return spec
}

func pick[T any](random *rand.Rand, choices ...T) T { return choices[random.IntN(len(choices))] }

// pick returns one of the values that the case gives its field.
func (c fieldCase) pick(random *rand.Rand) func(*v1alpha1.TrailSpec) {
	return pick(random, c.set, c.change)
}
