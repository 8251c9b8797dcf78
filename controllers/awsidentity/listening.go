package awsidentity

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/eventqueue"
)

// follow listens to the event queue of an identity and returns how it goes; nil when it has none. The identity is
// reconciled again when that changes.
func (r *Reconciler) follow(identity *v1alpha1.AWSIdentity) *eventqueue.State {
	if r.Events == nil {
		return nil
	}
	key := types.NamespacedName{Name: identity.Name}
	return r.Events.Follow(identity, func() { r.queue.Wake(key) })
}

// setListening writes how it goes with the event queue.
func setListening(identity *v1alpha1.AWSIdentity, state *eventqueue.State) {
	if state == nil {
		meta.RemoveStatusCondition(&identity.Status.Conditions, v1alpha1.ConditionListening)
		return
	}
	say := func(status metav1.ConditionStatus, reason, message string) {
		set(identity, v1alpha1.ConditionListening, status, reason, message)
	}

	var awsError *cloudtrail.Error
	switch {
	case errors.As(state.Err, &awsError) && !awsError.OfQueue():
		say(metav1.ConditionFalse, v1alpha1.ReasonQueueUnreachable, explain(identity, awsError))
	case awsError != nil && awsError.Class == cloudtrail.Permission:
		say(metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, fmt.Sprintf("%v — %s", state.Err, queueRemedy(identity)))
	case state.Err != nil:
		say(metav1.ConditionFalse, v1alpha1.ReasonQueueUnreachable,
			fmt.Sprintf("%v — check that the queue %s exists and can be reached", state.Err, identity.Spec.EventQueueURL))
	case state.Silent:
		say(metav1.ConditionFalse, v1alpha1.ReasonSilent,
			"the operator has changed trails, and no event of that came through the queue — check the EventBridge rule, that "+
				"the queue's policy lets it send, and that a trail of the account logs management events")
	case state.Received:
		say(metav1.ConditionTrue, v1alpha1.ReasonListening, "receiving events from "+identity.Spec.EventQueueURL)
	case !known(identity):
		say(metav1.ConditionUnknown, v1alpha1.ReasonConnecting, "waiting for the queue's first answer")
	}
}

// known tells whether the status says how it goes with the queue that the spec names. A process that has just begun
// does not know better.
func known(identity *v1alpha1.AWSIdentity) bool {
	listening := meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionListening)
	return listening != nil && listening.ObservedGeneration == identity.Generation
}

// queueRemedy says what the identity needs to be allowed to.
func queueRemedy(identity *v1alpha1.AWSIdentity) string {
	return fmt.Sprintf(
		"AWSIdentity %q (%s) needs permission for sqs:ReceiveMessage and sqs:DeleteMessage on the queue %s, "+
			"in its own policy and, in another account, in the queue's policy, and for kms:Decrypt if a KMS key encrypts it",
		identity.Name,
		identity.Status.ARN,
		identity.Spec.EventQueueURL,
	)
}
