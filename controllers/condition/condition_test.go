package condition_test

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/controllers/condition"
)

func TestTurned(t *testing.T) {
	t.Parallel()
	ready := func(status metav1.ConditionStatus, reason, message string) []metav1.Condition {
		var conditions []metav1.Condition
		condition.Set(&conditions, 7, "Ready", status, reason, message)
		return conditions
	}
	good, bad := ready(metav1.ConditionTrue, "Available", ""), ready(metav1.ConditionFalse, "Denied", "a")
	for name, c := range map[string]struct {
		before, after []metav1.Condition
		turned        bool
		event         string
	}{
		"the first one":  {nil, good, true, "Normal"},
		"status":         {good, bad, true, "Warning"},
		"back":           {bad, good, true, "Normal"},
		"unknown":        {good, ready(metav1.ConditionUnknown, "Available", ""), true, "Normal"},
		"reason":         {bad, ready(metav1.ConditionFalse, "Gone", "a"), true, "Warning"},
		"message":        {bad, ready(metav1.ConditionFalse, "Denied", "b"), false, ""},
		"nothing":        {good, good, false, ""},
		"none":           {nil, nil, false, ""},
		"removed":        {good, nil, false, ""},
		"of other types": {good, ready(metav1.ConditionTrue, "Available", ""), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			turned := condition.Turned(c.before, c.after, "Ready")
			g.Expect(turned != nil).To(Equal(c.turned))
			if turned != nil {
				g.Expect(condition.EventType(turned)).To(Equal(c.event))
			}
		})
	}
}

func TestSetAndRemove(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var conditions []metav1.Condition
	condition.Set(&conditions, 1, "Ready", metav1.ConditionTrue, "Available", "")
	condition.Set(&conditions, 2, "Ready", metav1.ConditionFalse, "Denied", "no")
	condition.Set(&conditions, 2, "Stalled", metav1.ConditionTrue, "Denied", "no")
	condition.Set(&conditions, 2, "Reconciling", metav1.ConditionTrue, "Denied", "no")
	condition.Remove(&conditions, "Stalled", "Reconciling", "NotThere")
	g.Expect(conditions).To(HaveLen(1))
	g.Expect(conditions[0]).To(And(HaveField("ObservedGeneration", int64(2)), HaveField("Message", "no")))
}
