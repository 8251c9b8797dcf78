package simulation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Shape is how the world of a seed differs from that of others.
type Shape struct {
	// LeaderElection runs two operators with leader election. An hour of it takes as long as five of other worlds, as it
	// writes a lease every two seconds: such worlds are shorter.
	LeaderElection bool
	// Resync is how often the operator looks at a trail by itself.
	Resync time.Duration
	// Disturbed is how long tenants, intruders and faults are at work, before all is quiet.
	Disturbed time.Duration
	// Slower is how many times rarer everything happens than in the busiest worlds, which last for hours. Others last for
	// days and weeks, as some of what goes wrong takes that long; the operator looks at trails less often there.
	Slower int
	// Events gives the operator a queue to which EventBridge sends all calls of all accounts. An hour of that takes
	// longer, too.
	Events bool
	// Denied is an operation of AWS that is denied from the middle on, also when all else is quiet; "" for none.
	Denied string
	// Churns lets all Trails come and go in the end, a few times.
	Churns bool
}

// briefly is how many times shorter brief worlds are.
const briefly = 6

// ShapeOf returns the shape of a seed's world. A brief one has the same troubles, for a shorter time.
func ShapeOf(seed uint64, brief bool) Shape {
	chance := chanceOf(seed, "shape")
	shape := Shape{
		LeaderElection: chance.IntN(8) == 0,
		Resync:         []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute}[chance.IntN(3)],
		Slower:         []int{1, 4, 8, 16}[chance.IntN(4)],
	}
	if shape.LeaderElection {
		shape.Slower = 1
		shape.Disturbed = between(chance, 2*time.Hour, 6*time.Hour).Round(time.Minute)
	} else {
		if shape.Slower > 1 {
			shape.Resync = 30 * time.Minute
		}
		shape.Disturbed = time.Duration(shape.Slower) * between(chance, 4*time.Hour, 24*time.Hour).Round(time.Minute)
	}

	shape.Events = shape.Slower == 1 && chance.IntN(2) == 0
	if chance.IntN(3) == 0 {
		denied := slices.Sorted(maps.Keys(deniedFields))
		shape.Denied = denied[chance.IntN(len(denied))]
	}
	shape.Churns = chance.IntN(12) == 0
	if brief {
		shape.Disturbed /= briefly
	}
	return shape
}

// Where the world is.
var (
	accounts = []string{"111122223333", "222233334444", "333344445555"}
	regions  = []string{"eu-west-1", "us-east-1"}
	teams    = []string{"team-a", "team-b", "team-c"}
)

// How long a request takes each way, at most, when nothing is wrong.
const (
	apiLatency = 5 * time.Millisecond
	awsLatency = 60 * time.Millisecond
)

// calm are the conditions when nothing is wrong.
func calm(latency time.Duration) conditions { return conditions{least: latency / 5, most: latency} }

// slotCount is how many Trails there may be.
const slotCount = 20

// slot is the place of one Trail: its names, and where its trail is. Two slots that share a trail fight for it.
type slot struct {
	number                 int
	namespace, name, trail string
	account, region        int
	identity, accountID    string
}

// slotOf returns a slot. Each account has five trails in its first region, and some in the second.
func slotOf(number int) slot {
	s := slot{
		number: number, namespace: teams[number%len(teams)], name: fmt.Sprintf("trail-%d", number),
		trail: fmt.Sprintf("trail-%d", number), account: number % len(accounts), region: number / 15 % len(regions),
	}
	if number%9 == 8 {
		other := slotOf(number - 3) // Of the same account.
		s.trail, s.region = other.trail, other.region
	}
	s.accountID, s.identity = accounts[s.account], identityName(s.account)
	return s
}

// contested tells whether another slot has the same trail.
func (s slot) contested() bool { return s.number%9 == 8 || s.number%9 == 5 && s.number+3 < slotCount }

// arn returns the ARN of the slot's trail.
func (s slot) arn() string {
	return fmt.Sprintf("arn:aws:cloudtrail:%s:%s:trail/%s", regions[s.region], s.accountID, s.trail)
}

// path returns the path of the slot's object at the API server.
func (s slot) path() string {
	return "trail-operator.dev/v1alpha1/namespaces/" + s.namespace + "/trails/" + s.name
}

// statusPath returns the path of the status of the slot's object at the API server.
func (s slot) statusPath() string { return s.path() + "/status" }

// String returns the name of the slot's object.
func (s slot) String() string { return s.namespace + "/" + s.name }

// identityName returns the name of an account's identity.
func identityName(account int) string {
	if account == 0 {
		return "default"
	}
	return fmt.Sprintf("account-%d", account)
}

// identityOf returns the identity of an account.
func identityOf(account int) *v1alpha1.AWSIdentity {
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: identityName(account)}}
	identity.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}
	if account > 0 {
		identity.Spec.RoleARN = "arn:aws:iam::" + accounts[account] + ":role/trail-operator"
	}
	return identity
}

// newTrail returns a Trail for a slot, of one of many kinds.
func newTrail(s slot, shape Shape, chance *rand.Rand) *v1alpha1.Trail {
	trail := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name}}
	trail.Spec = v1alpha1.TrailSpec{
		Name: s.trail, Region: regions[s.region], IdentityRef: &v1alpha1.IdentityReference{Name: s.identity},
	}
	trail.Spec.IsMultiRegionTrail = new(chance.IntN(2) == 0)
	vary(&trail.Spec, s, shape, chance)
	if chance.IntN(8) == 0 {
		trail.Spec.AdoptionPolicy = v1alpha1.AdoptionPolicyIfUnowned
	}
	if chance.IntN(8) == 0 {
		trail.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain
	}
	if chance.IntN(12) == 0 {
		trail.Spec.ManagementPolicy = v1alpha1.ManagementPolicyObserve
	}
	if s.contested() && chance.IntN(2) == 0 {
		trail.Spec.AdoptionPolicy = v1alpha1.AdoptionPolicyAlways
	}
	return trail
}

// vary sets what can be changed of a spec.
func vary(spec *v1alpha1.TrailSpec, s slot, shape Shape, chance *rand.Rand) {
	spec.S3BucketName = fmt.Sprintf("logs-of-%s-%d", s.accountID, chance.IntN(2))
	spec.S3KeyPrefix = []string{"", "audit", "audit/trails"}[chance.IntN(3)]
	spec.SNSTopicName = []string{"", "", "trail-topic"}[chance.IntN(3)]
	spec.KMSKeyID = []string{
		"", "", "arn:aws:kms:" + regions[s.region] + ":" + s.accountID + ":key/" + key,
	}[chance.IntN(3)]
	spec.CloudWatchLogsLogGroupARN, spec.CloudWatchLogsRoleARN = "", ""
	if chance.IntN(4) == 0 {
		spec.CloudWatchLogsLogGroupARN = "arn:aws:logs:" + regions[s.region] + ":" + s.accountID + ":log-group:trail:*"
		spec.CloudWatchLogsRoleARN = "arn:aws:iam::" + s.accountID + ":role/trail-logs"
	}
	spec.EnableLogFileValidation = new(chance.IntN(2) == 0)

	spec.EventSelectors, spec.AdvancedEventSelectors = nil, nil
	switch chance.IntN(4) {
	case 0:
		spec.EventSelectors = someBasic
	case 1, 2:
		spec.AdvancedEventSelectors = someAdvanced
	}
	spec.InsightSelectors, spec.AggregationConfigurations = nil, nil
	if chance.IntN(3) == 0 {
		spec.InsightSelectors = []v1alpha1.InsightSelector{{InsightType: "ApiCallRateInsight"}}
	}
	if len(spec.AdvancedEventSelectors) > 0 && chance.IntN(2) == 0 {
		spec.AggregationConfigurations = []v1alpha1.AggregationConfiguration{
			{EventCategory: "Data", Templates: []v1alpha1.AggregationTemplate{"API_ACTIVITY"}},
		}
	}

	spec.Tags = nil
	for i := range chance.IntN(5) {
		spec.Tags = append(spec.Tags, v1alpha1.Tag{Key: fmt.Sprintf("tag-%d", i), Value: fmt.Sprint(chance.IntN(3))})
	}
	spec.Logging = nil
	if chance.IntN(10) == 0 {
		spec.Logging = new(false)
	}
	spec.Interval = nil
	if chance.IntN(3) == 0 {
		shortest := time.Minute
		if shape.Slower > 1 {
			shortest = 5 * time.Minute
		}
		spec.Interval = &metav1.Duration{
			Duration: []time.Duration{shortest, 10 * time.Minute, longestInterval, longestInterval}[chance.IntN(4)],
		}
	}
}

const key = "12345678-1234-1234-1234-123456789012"

// Selectors that specs have.
var (
	someBasic = []v1alpha1.EventSelector{{
		ReadWriteType: v1alpha1.WriteOnly, IncludeManagementEvents: new(true),
		DataResources: []v1alpha1.DataResource{{Type: "AWS::S3::Object", Values: []string{"arn:aws:s3:::vault/"}}},
	}}
	someAdvanced = []v1alpha1.AdvancedEventSelector{
		{Name: "management", FieldSelectors: []v1alpha1.AdvancedFieldSelector{
			{Field: "eventCategory", Equals: []string{"Management"}},
		}},
		{Name: "data", FieldSelectors: []v1alpha1.AdvancedFieldSelector{
			{Field: "eventCategory", Equals: []string{"Data"}},
			{Field: "resources.type", Equals: []string{"AWS::S3::Object"}},
		}},
	}
)
