package trail

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const (
	testAccount  = "111122223333"
	testRegion   = "eu-central-1"
	testARN      = "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"
	testOwner    = "cluster/security/audit"
	anotherOwner = "other-cluster/security/audit"
	testCaller   = "arn:aws:sts::111122223333:assumed-role/op/s"
	testKeyID    = "0b6f2e7a-1111-4222-8333-444455556666"
	testKeyARN   = "arn:aws:kms:eu-central-1:111122223333:key/" + testKeyID
	otherKeyARN  = "arn:aws:kms:eu-central-1:111122223333:key/ffffffff-1111-4222-8333-444455556666"
	aliasARN     = "arn:aws:kms:eu-central-1:111122223333:alias/trail"
	testGroup    = "arn:aws:logs:eu-central-1:111122223333:log-group:trail"
	testRole     = "arn:aws:iam::111122223333:role/trail-logs"
)

// testNow is when tests take place.
var testNow = time.Date(2026, 11, 21, 5, 0, 0, 0, time.UTC)

// secondsAgo returns the time that many seconds before the tests.
func secondsAgo(n int) time.Time { return testNow.Add(-time.Duration(n) * time.Second) }

func ago(d time.Duration) *metav1.Time { return &metav1.Time{Time: testNow.Add(-d)} }

var (
	someSelectors = []v1alpha1.EventSelector{{ReadWriteType: v1alpha1.WriteOnly}}
	someAdvanced  = []v1alpha1.AdvancedEventSelector{
		selecting("", equals("eventCategory", "Data"), equals("resources.type", "AWS::S3::Object")),
	}
	someInsights     = []v1alpha1.InsightSelector{{InsightType: "ApiCallRateInsight"}}
	someAggregations = []v1alpha1.AggregationConfiguration{
		{EventCategory: "Data", Templates: []v1alpha1.AggregationTemplate{"API_ACTIVITY"}},
	}
)

func basic(selectors ...v1alpha1.EventSelector) cloudtrail.Selectors {
	return cloudtrail.Selectors{Basic: selectors}
}

func advanced(selectors ...v1alpha1.AdvancedEventSelector) cloudtrail.Selectors {
	return cloudtrail.Selectors{Advanced: selectors}
}

// selecting is an advanced selector with these conditions.
func selecting(name string, conditions ...v1alpha1.AdvancedFieldSelector) v1alpha1.AdvancedEventSelector {
	return v1alpha1.AdvancedEventSelector{Name: name, FieldSelectors: conditions}
}

func equals(field string, values ...string) v1alpha1.AdvancedFieldSelector {
	return v1alpha1.AdvancedFieldSelector{Field: field, Equals: values}
}

// testTrail is an object after it was edited.
func testTrail(edit func(*v1alpha1.Trail)) *v1alpha1.Trail {
	trail := &v1alpha1.Trail{
		ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "audit", UID: "trail-uid", Generation: 3},
		Spec:       v1alpha1.TrailSpec{S3BucketName: "logs"},
	}
	if edit != nil {
		edit(trail)
	}
	return trail
}

// fullTrail has every field of the spec set to something that is not its default.
func fullTrail(edit func(*v1alpha1.Trail)) *v1alpha1.Trail {
	return testTrail(func(trail *v1alpha1.Trail) {
		trail.Spec = v1alpha1.TrailSpec{
			S3BucketName: "logs", S3KeyPrefix: "prefix", SNSTopicName: "topic", KMSKeyID: testKeyID,
			CloudWatchLogsLogGroupARN: testGroup, CloudWatchLogsRoleARN: testRole, IncludeGlobalServiceEvents: aws.Bool(
				true,
			),
			IsMultiRegionTrail: aws.Bool(true), EnableLogFileValidation: aws.Bool(true), IsOrganizationTrail: aws.Bool(
				true,
			),
			AdvancedEventSelectors: someAdvanced, InsightSelectors: someInsights,
			AggregationConfigurations: someAggregations,
			Tags:                      []v1alpha1.Tag{{Key: "team", Value: "security"}, {Key: "env", Value: "prod"}},
		}
		trail.Status.ManagedTagKeys = []string{"env", "team"}
		if edit != nil {
			edit(trail)
		}
	})
}

func observes(trail *v1alpha1.Trail) { trail.Spec.ManagementPolicy = v1alpha1.ManagementPolicyObserve }

// both edits one thing by several edits, of which each may be nil.
func both[T any](edits ...func(T)) func(T) {
	return func(edited T) {
		for _, edit := range edits {
			if edit != nil {
				edit(edited)
			}
		}
	}
}

// targetOf is an object with the place in AWS where tests look for its trail.
func targetOf(trail *v1alpha1.Trail) target {
	return target{
		Trail:     trail,
		caller:    cloudtrail.Caller{Region: testRegion, AccountID: testAccount, ARN: testCaller},
		owner:     testOwner,
		takesBack: func(*cloudtrail.Trail) bool { return false },
	}
}

// synced makes an object one whose spec AWS has been seen to hold, all of it.
func synced(trail *v1alpha1.Trail) {
	t := targetOf(trail)
	known := digestsOf(&trail.Status)
	known.noteSynced(t, holding(trail, nil), nil)
	trail.Status.SyncedDigest = known.String()
	trail.Status.TrailARN, trail.Status.HomeRegion, trail.Status.AccountID = testARN, testRegion, testAccount
}

// syncedBefore makes an object one whose spec was changed since AWS was seen to hold it, by this edit.
func syncedBefore(change func(*v1alpha1.TrailSpec)) func(*v1alpha1.Trail) {
	return func(trail *v1alpha1.Trail) {
		synced(trail)
		trail.Generation++
		change(&trail.Spec)
	}
}

// holding is an observation of an AWS that holds just what the spec says, in AWS's words, after it was edited.
func holding(trail *v1alpha1.Trail, edit func(*observation)) *observation {
	spec := &trail.Spec
	o := &observation{
		trail: &cloudtrail.Trail{
			ARN:  cloudtrail.TrailARN(testRegion, testAccount, trail.TrailName()),
			Name: trail.TrailName(), HomeRegion: testRegion,
			Settings: cloudtrail.Settings{
				S3BucketName: spec.S3BucketName, S3KeyPrefix: spec.S3KeyPrefix,
				SNSTopicARN:                cloudtrail.TopicARN(testRegion, testAccount, spec.SNSTopicName),
				CloudWatchLogsRoleARN:      spec.CloudWatchLogsRoleARN,
				IncludeGlobalServiceEvents: spec.GlobalServiceEventsDesired(),
				IsMultiRegionTrail:         spec.MultiRegionDesired(),
				EnableLogFileValidation:    spec.LogFileValidationDesired(),
				IsOrganizationTrail:        spec.OrganizationDesired(),
			},
			Tags: wantedTags(targetOf(trail)),
		},
	}
	o.selectors.value, o.insights.value = wantedSelectors(spec), spec.InsightSelectors
	o.aggregations.value = spec.AggregationConfigurations
	o.status.value.IsLogging = spec.LoggingDesired()
	if spec.KMSKeyID != "" {
		o.trail.KMSKeyARN = testKeyARN
	}
	if spec.CloudWatchLogsLogGroupARN != "" {
		o.trail.CloudWatchLogsLogGroupARN = testGroup + ":*"
	}
	if edit != nil {
		edit(o)
	}
	return o
}

// Edits of what AWS holds.
var (
	noTrail       = func(o *observation) { o.trail = nil }
	stopped       = func(o *observation) { o.status.value.IsLogging = false }
	prefixed      = func(o *observation) { o.trail.S3KeyPrefix = "intruder" }
	otherBucket   = func(o *observation) { o.trail.S3BucketName = "other" }
	selectsWrites = func(o *observation) { o.selectors.value = basic(someSelectors...) }
	untagged      = func(o *observation) { delete(o.trail.Tags, v1alpha1.OwnerTagKey) }
	taggedOver    = func(o *observation) { o.trail.Tags[v1alpha1.OwnerTagKey] = anotherOwner }
)

// tagsFail makes an observation one whose tags could not be read.
func tagsFail(class cloudtrail.Class) func(*observation) {
	return func(o *observation) {
		o.trail.Tags, o.trail.TagsErr = nil, awsError(class, "ListTags", "AccessDeniedException", "no")
	}
}

func awsError(class cloudtrail.Class, operation, code, message string) error {
	return &cloudtrail.Error{Operation: operation, Class: class, Code: code, Message: message}
}

// outcomeOf is what a reconcile found that observed o and did nothing, after it was edited.
func outcomeOf(trail *v1alpha1.Trail, o *observation, edit func(*outcome)) *outcome {
	found := &outcome{target: targetOf(trail), observed: o}
	if o != nil {
		differences := differencesOf(found.target, o)
		found.found, found.open, found.drift = differences, differences, driftOf(found.target, differences)
		found.loggingChanged = loggingChanged(trail, o)
		found.state = stateOf(found.target, o, differences)
	}
	if edit != nil {
		edit(found)
	}
	return found
}

// planOf plans with no setting to be changed by a call of its own.
func planOf(trail *v1alpha1.Trail, o *observation) []step {
	t := targetOf(trail)
	return plan(t, o, differencesOf(t, o), func(difference) bool { return false })
}

// differ returns differences of these fields from what AWS holds.
func differ(trail *v1alpha1.Trail, names ...string) []difference {
	var differences []difference
	for _, name := range names {
		number := numberOf(name)
		differences = append(differences, difference{
			field: fields[number], number: number, name: name, wanted: fields[number].wanted(targetOf(trail)),
		})
	}
	return differences
}

// stepsOn are UpdateTrails of these fields, each of one.
func stepsOn(trail *v1alpha1.Trail, names ...string) []step {
	var steps []step
	for _, d := range differ(trail, names...) {
		steps = append(steps, step{operation: updateTrail, sets: []difference{d}})
	}
	return steps
}

// accepted are steps that AWS has accepted, and answered those that it has answered with an error.
func accepted(steps ...step) []result { return answered(nil, steps...) }

func answered(err error, steps ...step) []result {
	results := make([]result, 0, len(steps))
	for _, s := range steps {
		results = append(results, result{s, err})
	}
	return results
}

// nobody is woken.
func nobody(types.NamespacedName) {}

// newRecord is the record of a Trail of which nothing is remembered.
func newRecord() *record {
	return (&memory{}).of(testTrail(nil), nobody, nobody)
}

// newAWS returns an AWS and a session in it, by a clock that stands still.
func newAWS(t *testing.T) (*cloudtrailtest.Server, *cloudtrail.Session) {
	t.Helper()
	emulator := cloudtrailtest.New(cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
	server := httptest.NewServer(emulator)
	t.Cleanup(server.Close)
	sessions := cloudtrail.NewSessions(cloudtrail.Options{
		Config: aws.Config{
			Region: testRegion, BaseEndpoint: aws.String(server.URL), HTTPClient: cloudtrailtest.NewHTTPClient(),
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		},
		RateLimits: cloudtrail.RateLimitOff, MaxWait: time.Minute, Now: func() time.Time { return testNow },
	})
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{UID: "identity-uid"}}
	session, err := sessions.Open(t.Context(), identity)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return emulator, session
}

// begin begins a reconcile.
func begin(t *testing.T, record *record) context.Context {
	t.Helper()
	ctx, err := record.calls.Begin(t.Context(), attempt{generation: 1}, cloudtrail.ForRequest, time.Hour, testNow)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return ctx
}

// sendLogging creates a trail and starts its logging, so that the record knows when these calls were sent.
func sendLogging(t *testing.T, record *record) {
	t.Helper()
	g := NewWithT(t)
	_, session := newAWS(t)
	region := session.Region(testRegion)
	ctx := begin(t, record)
	found, err := region.Create(ctx, "audit", settingsOf(&testTrail(nil).Spec), nil, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(region.StartLogging(ctx, found, nil)).To(Succeed())
}
