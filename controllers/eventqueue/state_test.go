package eventqueue

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

var testNow = time.Date(2026, 11, 21, 5, 0, 0, 0, time.UTC)

func TestHealth(t *testing.T) {
	t.Parallel()
	denied := &cloudtrail.Error{Operation: "ReceiveMessage", Class: cloudtrail.Permission, Code: "AccessDenied"}
	failed := &cloudtrail.Error{Operation: "ReceiveMessage", Class: cloudtrail.Transient, Code: "HTTP500"}
	at := testNow.Add
	for name, c := range map[string]struct {
		happens func(*health)
		is      State
	}{
		"nothing yet": {func(*health) {}, State{}},
		"an answer":   {func(h *health) { h.receiving.ended(nil, testNow) }, State{Received: true}},
		"a refusal":   {func(h *health) { h.receiving.ended(denied, testNow) }, State{Err: denied}},
		"a deletion is refused": {func(h *health) {
			h.deleting.ended(denied, testNow)
			h.receiving.ended(nil, testNow)
		}, State{Received: true, Err: denied}},
		"a deletion was refused, and nothing has come again": {func(h *health) {
			h.deleting.ended(denied, at(-undeletedFor))
			h.receiving.ended(nil, testNow)
		}, State{Received: true}},
		"it is allowed again": {func(h *health) {
			h.receiving.ended(denied, testNow)
			h.receiving.ended(nil, testNow)
		}, State{Received: true}},
		"a fault": {func(h *health) { h.receiving.ended(failed, testNow) }, State{}},
		"a fault that lasts": {func(h *health) {
			h.receiving.ended(failed, at(-hideFaults))
			h.receiving.ended(failed, testNow)
		}, State{Err: failed}},
		"faults one by one": {func(h *health) {
			h.receiving.ended(failed, at(-hideFaults))
			h.receiving.ended(nil, at(-time.Second))
			h.receiving.ended(failed, testNow)
		}, State{Received: true}},
		"a write":                   {func(h *health) { h.wrote(testNow) }, State{}},
		"a write that is not heard": {func(h *health) { h.wrote(at(-silentAfter)) }, State{Silent: true}},
		"many writes": {func(h *health) {
			h.wrote(at(-silentAfter))
			h.wrote(testNow)
		}, State{Silent: true}},
		"a write that is heard": {func(h *health) {
			h.wrote(at(-silentAfter))
			h.heard()
		}, State{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			var h health
			c.happens(&h)
			g.Expect(h.state(testNow)).To(Equal(c.is))
		})
	}
}

// What another process has found out is believed until something is heard.
func TestHealthOf(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
	identity.Status.Conditions = []metav1.Condition{
		{
			Type:               v1alpha1.ConditionListening,
			Status:             metav1.ConditionFalse,
			Reason:             v1alpha1.ReasonSilent,
			ObservedGeneration: 2,
		},
	}
	h := healthOf(identity)
	g.Expect(h.state(testNow).Silent).To(BeTrue())
	h.heard()
	g.Expect(h.state(testNow).Silent).To(BeFalse())

	identity.Generation = 3
	h = healthOf(identity)
	g.Expect(h.state(testNow).Silent).To(BeFalse(), "it may be another queue")
}
