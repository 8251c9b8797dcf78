package report

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/controllers/text"
)

// takenError says that the name of an object's report is that of somebody else's.
type takenError struct{ kind, name, owner string }

// Error says what to do.
func (e *takenError) Error() string {
	return fmt.Sprintf("%s %q is of %s, so it is left as it is: delete it, and the operator's takes its place",
		e.kind, e.name, e.owner)
}

// checkOwner returns a *takenError for a report that is not of this object. One that carries our label, and no
// controller or one of the same name, is of an object that this one has replaced, or was restored from a backup.
func (s subject) checkOwner(k kind, report *Report, object client.Object) error {
	controller := metav1.GetControllerOf(report)
	if controller != nil && controller.UID == object.GetUID() {
		return nil
	}
	manager := report.Labels[managedBy]
	if manager == source && (controller == nil || controller.Kind == s.kind && controller.Name == object.GetName()) {
		return nil
	}

	taken := &takenError{kind: k.Kind, name: report.Name, owner: "somebody else"}
	switch {
	case controller != nil:
		taken.owner = text.Printable(fmt.Sprintf("%s %q", controller.Kind, controller.Name))
	case manager != "":
		taken.owner = text.Printable(manager)
	}
	return taken
}
