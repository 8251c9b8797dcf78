package trail

import (
	"testing"
	"unsafe"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// apart returns a string that shares no memory with an equal one.
func apart(s string) string { return string([]byte(s)) }

func TestStripForCache(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail := func() *v1alpha1.Trail {
		return testTrail(func(trail *v1alpha1.Trail) {
			trail.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
			trail.Annotations = map[string]string{
				"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "security",
			}
			trail.Finalizers = []string{apart(v1alpha1.Finalizer)}
			trail.Spec.S3BucketName = apart("trail-logs")
			trail.Status.Conditions = []metav1.Condition{{
				Type: apart("Ready"), Status: metav1.ConditionStatus(apart("True")),
				Reason: apart("Available"), Message: apart("logging to s3://trail-logs"),
			}}
		})
	}
	strip := func() *v1alpha1.Trail {
		object, err := StripForCache(trail())
		g.Expect(err).NotTo(HaveOccurred())
		stripped, ok := object.(*v1alpha1.Trail)
		g.Expect(ok).To(BeTrue())
		return stripped
	}
	first, second := strip(), strip()
	g.Expect(first.ManagedFields).To(BeEmpty())
	g.Expect(first.Annotations).To(Equal(map[string]string{"team": "security"}))
	want := trail()
	want.ManagedFields, want.Annotations = nil, first.Annotations
	g.Expect(first).To(Equal(want), "nothing else is lost")
	for name, of := range map[string]func(*v1alpha1.Trail) string{
		"finalizer": func(t *v1alpha1.Trail) string { return t.Finalizers[0] },
		"bucket":    func(t *v1alpha1.Trail) string { return t.Spec.S3BucketName },
		"type":      func(t *v1alpha1.Trail) string { return t.Status.Conditions[0].Type },
		"status":    func(t *v1alpha1.Trail) string { return string(t.Status.Conditions[0].Status) },
		"reason":    func(t *v1alpha1.Trail) string { return t.Status.Conditions[0].Reason },
		"message":   func(t *v1alpha1.Trail) string { return t.Status.Conditions[0].Message },
	} {
		g.Expect(unsafe.StringData(of(first))).To(BeIdenticalTo(unsafe.StringData(of(second))), name)
	}

	tombstone := toolscache.DeletedFinalStateUnknown{Key: "team/audit"}
	g.Expect(StripForCache(tombstone)).To(Equal(tombstone))
}
