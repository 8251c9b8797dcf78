package eventqueue

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const testAccount = "111122223333"

var testQueue = cloudtrailtest.Queue{
	AccountID: testAccount, Region: "eu-west-1", Name: "events", VisibilityTimeout: time.Minute,
}

// station is a Listener in a world of virtual time.
type station struct {
	*Listener
	aws      *cloudtrailtest.Server
	identity *v1alpha1.AWSIdentity
	// kind is what each call is said to be.
	kind Kind
	// hearing is called for each call.
	hearing func()

	turns, gone atomic.Int64
	mu          sync.Mutex
	kinds       map[Kind]int
	delayed     []time.Duration
}

func (s *station) EventReceived(_ string, kind Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kinds[kind]++
}

func (s *station) EventHeard(_ string, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delayed = append(s.delayed, after)
}

func (s *station) NotListening(string) { s.gone.Add(1) }

// received returns how many messages of a kind were received.
func (s *station) received(kind Kind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kinds[kind]
}

// atStation runs a test with a Listener that listens to an empty queue.
func atStation(t *testing.T, test func(*WithT, *station)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		s := &station{kind: KindForeign, hearing: func() {}, kinds: map[Kind]int{}}
		s.aws = cloudtrailtest.New(cloudtrailtest.Options{Seed: 1})
		g.Expect(s.aws.CreateQueue(testQueue)).To(Succeed())
		sessions := cloudtrail.NewSessions(cloudtrail.Options{ClusterID: "cluster", Version: "test", Config: aws.Config{
			Region: "eu-west-1", HTTPClient: s.aws.Client(),
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		}})
		s.identity = &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "default", UID: "uid", Generation: 1}}
		s.identity.Spec.EventQueueURL = testQueue.URL()

		var err error
		s.Listener, err = New(Options{Sessions: sessions, Meter: s, Hear: func(*cloudtrail.Notice) Kind {
			s.hearing()
			return s.kind
		}})
		g.Expect(err).NotTo(HaveOccurred())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Start(ctx) }()
		s.follow()
		s.passes(2 * time.Second)

		test(g, s)
		cancel()
		g.Expect(<-ended).To(Succeed())
	})
}

// follow follows the identity as it is now, and does so whenever something has changed.
func (s *station) follow() *State {
	return s.Follow(s.identity, func() {
		s.turns.Add(1)
		s.follow()
	})
}

// passes lets time pass.
func (s *station) passes(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // The bubble's clock.
	synctest.Wait()
}

// send sends the events of some calls.
func (s *station) send(g *WithT, count int) {
	for i := range count {
		body, err := json.Marshal(map[string]any{
			"source": "aws.cloudtrail", "detail-type": "AWS API Call via CloudTrail",
			"detail": map[string]any{
				"eventName": "StopLogging", "eventSource": "cloudtrail.amazonaws.com", "eventID": fmt.Sprint(i),
				"eventTime": time.Now().UTC(), "awsRegion": "eu-west-1", "recipientAccountId": testAccount,
				"requestParameters": map[string]any{"name": "audit"},
			},
		})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(s.aws.SendMessage(testQueue.ARN(), string(body))).To(Succeed())
	}
}

func (s *station) left(g *WithT) int {
	state, ok := s.aws.QueueState(testQueue.ARN())
	g.Expect(ok).To(BeTrue())
	return len(state.Visible) + len(state.InFlight)
}

func TestListening(t *testing.T) {
	t.Parallel()
	atStation(t, func(g *WithT, s *station) {
		g.Expect(*s.follow()).To(Equal(State{Received: true}))
		g.Expect(s.turns.Load()).To(BeEquivalentTo(1), "the first answer is news")

		s.kind = KindTrail
		s.send(g, 1)
		s.passes(3 * time.Second)
		g.Expect(s.received(KindTrail)).To(Equal(1))
		g.Expect(s.delayed).To(HaveLen(1))
		g.Expect(s.left(g)).To(BeZero())

		s.aws.ResetCalls()
		s.passes(time.Hour)
		g.Expect(s.aws.CallCounts()["ReceiveMessage"]).
			To(BeNumerically("<=", 181), "a request every 20 seconds is to be paid for")
		g.Expect(s.turns.Load()).To(BeEquivalentTo(1))
	})
}

// What was heard is deleted only then: a process that dies in between hears of it again.
func TestListeningDeletesWhatWasHeard(t *testing.T) {
	t.Parallel()
	atStation(t, func(g *WithT, s *station) {
		s.hearing = func() { g.Expect(s.aws.CallCounts()).NotTo(HaveKey("DeleteMessageBatch")) }
		s.send(g, 3)
		s.passes(3 * time.Second)
		g.Expect(s.received(KindForeign)).To(Equal(3))
		g.Expect(s.aws.CallCounts()["DeleteMessageBatch"]).To(BeNumerically(">", 0))

		s.hearing = func() {}
		s.aws.Inject(cloudtrailtest.Fault{Operation: "DeleteMessageBatch", Code: "InternalFailure", Status: 500, Times: 10})
		s.send(g, 1)
		s.passes(10 * time.Minute)
		g.Expect(s.received(KindForeign)).To(BeNumerically(">", 4), "it was received again")
		g.Expect(s.left(g)).To(BeZero())
	})
}

// With more than one can receive there are more receivers, and none of them stays.
func TestListeningUnderLoad(t *testing.T) {
	t.Parallel()
	atStation(t, func(g *WithT, s *station) {
		var hearing, busiest int
		count := func(more int) {
			s.mu.Lock()
			defer s.mu.Unlock()
			hearing += more
			busiest = max(busiest, hearing)
		}
		s.hearing = func() {
			count(1)
			time.Sleep(100 * time.Millisecond) //nolint:forbidigo // The bubble's clock.
			count(-1)
		}
		s.send(g, 400)
		s.passes(15 * time.Second)
		g.Expect(s.received(KindForeign)).To(Equal(400))
		count(0)
		g.Expect(busiest).To(Equal(maxReceivers))
		q := s.queues["uid"]
		q.mu.Lock()
		defer q.mu.Unlock()
		g.Expect(q.helpers).To(BeZero())
	})
}

func TestListeningSilent(t *testing.T) {
	t.Parallel()
	atStation(t, func(g *WithT, s *station) {
		s.Wrote("another")
		s.passes(silentAfter + time.Minute)
		g.Expect(s.follow().Silent).To(BeFalse(), "it was written as another identity")

		s.Wrote("default")
		s.passes(silentAfter - time.Minute)
		g.Expect(s.follow().Silent).To(BeFalse())
		turns := s.turns.Load()
		s.passes(2 * time.Minute)
		g.Expect(s.turns.Load()).To(Equal(turns+1), "the identity is told")
		g.Expect(s.follow().Silent).To(BeTrue())

		s.send(g, 1)
		s.passes(3 * time.Second)
		g.Expect(s.turns.Load()).To(Equal(turns + 2))
		g.Expect(s.follow().Silent).To(BeFalse())
	})
}

func TestListeningToNoQueue(t *testing.T) {
	t.Parallel()
	atStation(t, func(g *WithT, s *station) {
		s.aws.DeleteQueue(testQueue.ARN())
		s.passes(time.Minute)
		g.Expect(s.follow().Err).To(MatchError(ContainSubstring("NonExistentQueue")))
		s.aws.ResetCalls()
		s.passes(time.Hour)
		g.Expect(s.aws.CallCounts()["ReceiveMessage"]).To(BeNumerically("<=", 61))

		g.Expect(s.aws.CreateQueue(testQueue)).To(Succeed())
		s.passes(2 * time.Minute)
		g.Expect(s.follow().Err).NotTo(HaveOccurred())
	})
}

func TestListeningEnds(t *testing.T) {
	t.Parallel()
	atStation(t, func(g *WithT, s *station) {
		s.identity.Generation++
		s.follow()
		s.passes(time.Minute)
		s.aws.ResetCalls()
		s.passes(time.Minute)
		g.Expect(s.aws.CallCounts()["ReceiveMessage"]).To(BeNumerically("<=", 4), "the one before has ended")

		s.identity.Generation++
		s.identity.Spec.EventQueueURL = ""
		g.Expect(s.follow()).To(BeNil())
		g.Expect(s.gone.Load()).To(BeEquivalentTo(1))
		s.identity.Generation++
		s.identity.Spec.EventQueueURL = testQueue.URL()
		s.follow()
		s.Forget("uid")
		g.Expect(s.gone.Load()).To(BeEquivalentTo(2))
		s.passes(time.Minute)
		s.aws.ResetCalls()
		s.passes(time.Hour)
		g.Expect(s.aws.CallCounts()).NotTo(HaveKey("ReceiveMessage"))
	})
}

func TestNewRefusesHalf(t *testing.T) {
	t.Parallel()
	_, err := New(Options{})
	NewWithT(t).Expect(err).To(HaveOccurred())
}
