package simulation

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// The queues of the worlds with events: EventBridge sends all calls of all accounts to the first.
var (
	eventQueue = cloudtrailtest.Queue{
		AccountID: accounts[0], Region: regions[0], Name: "events", VisibilityTimeout: time.Minute, Retention: 4 * time.Hour,
		DeadLetterQueue: deadLetters.Name, MaxReceiveCount: 5, Repeats: 0.05,
	}
	deadLetters = cloudtrailtest.Queue{AccountID: accounts[0], Region: regions[0], Name: "dead-letters"}
)

// promptly is how EventBridge delivers when nothing is wrong.
var promptly = cloudtrailtest.Forwarding{MinDelay: 500 * time.Millisecond, MaxDelay: 10 * time.Second, Duplicates: 0.05}

// furnishEvents makes the queues, and the rule that sends to them.
func (w *World) furnishEvents() error {
	if !w.shape.Events {
		return nil
	}
	for _, queue := range []cloudtrailtest.Queue{deadLetters, eventQueue} {
		if err := w.emulator.CreateQueue(queue); err != nil {
			return err
		}
	}
	w.emulator.Forward(cloudtrailtest.Rule{QueueARN: eventQueue.ARN()})
	return nil
}

// messageDue returns when the next message can be received.
func (w *World) messageDue() (time.Time, bool) {
	due, ok := w.emulator.MessageDue(eventQueue.ARN())
	return due.Add(-w.skew), ok
}

// eventDeeds are what happens to events on their way. In a world without events nothing does.
var eventDeeds = []deed{
	{"EventBridge is late, and repeats and loses events", 6, withEvents(func(w *World, a Action, chance *rand.Rand) {
		w.emulator.SetForwarding(cloudtrailtest.Forwarding{
			MinDelay: time.Second, MaxDelay: between(chance, 2*time.Second, 5*time.Minute),
			Duplicates: chance.Float64() / 2, Loss: chance.Float64(), LoseLast: chance.IntN(2) == 0,
		})
		w.later(a, chance, time.Minute, time.Hour, func() { w.emulator.SetForwarding(promptly) })
	})},
	{"the event queue is gone", 3, withEvents(func(w *World, a Action, chance *rand.Rand) {
		w.emulator.DeleteQueue(eventQueue.ARN())
		w.later(a, chance, time.Minute, 30*time.Minute, w.restoreQueue)
	})},
	{"somebody writes to the event queue", 3, withEvents(func(w *World, a Action, chance *rand.Rand) {
		for range 1 + chance.IntN(30) {
			if err := w.emulator.SendMessage(eventQueue.ARN(), w.forged(slotOf(a.Slot), chance)); err != nil {
				return // It is gone.
			}
		}
	})},
	{"somebody changes the bucket's policy", 3, withEvents(func(w *World, a Action, chance *rand.Rand) {
		s := slotOf(a.Slot)
		_, err := w.emulator.As(actor("mallory", s)).Call(cloudtrailtest.OtherCall{
			Service: "s3", Region: regions[s.region], Operation: "PutBucketPolicy",
			Parameters: map[string]any{"bucketName": fmt.Sprintf("logs-of-%s-%d", s.accountID, chance.IntN(2))},
		})
		if err != nil {
			w.note("%v", err)
		}
	})},
	{"admin takes the event queue from the identity", 2, withEvents(func(w *World, a Action, chance *rand.Rand) {
		w.setQueue("")
		w.later(a, chance, time.Minute, 30*time.Minute, func() { w.setQueue(eventQueue.URL()) })
	})},
}

// withEvents makes a deed that is done in worlds with events only.
func withEvents(do func(*World, Action, *rand.Rand)) func(*World, Action, *rand.Rand) {
	return func(w *World, a Action, chance *rand.Rand) {
		if w.shape.Events {
			do(w, a, chance)
		}
	}
}

// restoreQueue creates the queue anew, if it is gone.
func (w *World) restoreQueue() {
	if !w.shape.Events {
		return
	}
	if err := w.emulator.CreateQueue(eventQueue); err != nil {
		w.note("%v", err)
	}
}

// setQueue changes the queue of the first identity.
func (w *World) setQueue(url string) {
	if !w.shape.Events {
		return
	}
	w.editIdentity(0, func(identity *v1alpha1.AWSIdentity) { identity.Spec.EventQueueURL = url })
}

// forged returns a message that EventBridge did not send: what cannot be read, or an event of a call that nobody made.
// It blames nobody for anything: whoever may write to the queue can do that, as docs/security.md says.
func (w *World) forged(s slot, chance *rand.Rand) string {
	if chance.IntN(2) == 0 {
		return []string{
			"", "{}", "[]", "null", strings.Repeat("{", 1000), `{"source":"aws.s3","detail-type":"Object Created"}`,
		}[chance.IntN(6)]
	}
	operation, code, parameters := "AddTags", "", fmt.Sprintf(`"resourceId":%q,"tagsList":[{"key":"harmless"}]`, s.arn())
	if chance.IntN(2) == 0 {
		operation, code = operations[chance.IntN(writeOperations)], `"errorCode":"AccessDenied",`
		parameters = fmt.Sprintf(`"name":%[1]q,"trailName":%[1]q,"resourceId":%[1]q`, s.arn())
	}
	at := time.Now().Add(-between(chance, 0, time.Minute)).UTC().Format(time.RFC3339)
	return fmt.Sprintf(`{"source":"aws.cloudtrail","detail-type":"AWS API Call via CloudTrail","account":%[1]q,
		"region":%[2]q,"detail":{"eventName":%[3]q,"eventSource":"cloudtrail.amazonaws.com","eventTime":%[4]q,%[5]s
		"eventID":"forged-%[6]d","awsRegion":%[2]q,"recipientAccountId":%[1]q,
		"userIdentity":{"arn":"arn:aws:iam::%[1]s:user/innocent"},"requestParameters":{%[7]s}}}`,
		s.accountID, regions[s.region], operation, at, code, chance.Uint32(), parameters)
}

// checkEvents holds that in quiet the operator listens, and has taken all that there is.
func (w *World) checkEvents() {
	if !w.shape.Events {
		return
	}
	identity := &v1alpha1.AWSIdentity{}
	if err := w.user.Get(w.ctx, client.ObjectKey{Name: identityName(0)}, identity); err != nil {
		w.violated("the API server answers", "%v", err)
		return
	}
	listening := meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionListening)
	if listening == nil || listening.Reason != v1alpha1.ReasonListening && listening.Reason != v1alpha1.ReasonSilent {
		w.violated("status never lies", "%s listens: %+v", identity.Name, listening)
	}
	if state, ok := w.emulator.QueueState(eventQueue.ARN()); ok && len(state.Visible) > 0 {
		w.violated("every event is received", "%d are left: %s", len(state.Visible), state.Visible[0].Body)
	}
}
