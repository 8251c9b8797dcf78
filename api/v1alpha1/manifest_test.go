package v1alpha1_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// parse reads a manifest as a person writes it.
func parse(manifest string) *unstructured.Unstructured {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	Expect(yaml.UnmarshalStrict([]byte(manifest), &object.Object)).To(Succeed(), manifest)
	return object
}

// trail is a manifest with nothing but the bucket, and over it the top-level fields of a spec in
// YAML; a field that is null there is taken out.
func trail(name, spec string) *unstructured.Unstructured {
	GinkgoHelper()
	object := parse(`
apiVersion: trail-operator.dev/v1alpha1
kind: Trail
metadata:
  namespace: default
spec:
  s3BucketName: trail-logs
`)
	object.SetName(name)
	overlay(object, spec)
	return object
}

// identity is an AWSIdentity with a spec in YAML.
func identity(name, spec string) *unstructured.Unstructured {
	GinkgoHelper()
	object := parse(`
apiVersion: trail-operator.dev/v1alpha1
kind: AWSIdentity
spec: {}
`)
	object.SetName(name)
	overlay(object, spec)
	return object
}

func overlay(object *unstructured.Unstructured, spec string) {
	GinkgoHelper()
	fields := map[string]any{}
	Expect(yaml.UnmarshalStrict([]byte(spec), &fields)).To(Succeed(), spec)
	for field, value := range fields {
		if value == nil {
			unstructured.RemoveNestedField(object.Object, "spec", field)
			continue
		}
		Expect(unstructured.SetNestedField(object.Object, normal(value), "spec", field)).To(Succeed())
	}
}

// normal gives numbers the types that the client library copies.
func normal(value any) any {
	switch value := value.(type) {
	case float64:
		return int64(value)
	case []any:
		for i := range value {
			value[i] = normal(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = normal(value[key])
		}
	}
	return value
}

// refusal is a complaint of the API server: the field that it is about and what it says.
type refusal struct {
	field, message string
}

// complaints are all that the API server has against an object. One kind is left out: that it
// has not looked at the CEL rules yet because of another complaint.
func complaints(err error) []refusal {
	GinkgoHelper()
	Expect(err).To(HaveOccurred(), "the API server accepted the object")
	Expect(apierrors.IsInvalid(err)).To(BeTrue(), "another error than a refusal of the object: %v", err)
	var status apierrors.APIStatus
	Expect(errors.As(err, &status)).To(BeTrue())
	var found []refusal
	for _, cause := range status.Status().Details.Causes {
		if strings.Contains(cause.Message, "some validation rules were not checked") {
			continue
		}
		found = append(found, refusal{cause.Field, cause.Message})
	}
	return found
}

// expectRefused wants one complaint, about the field, which contains the message. A second
// complaint about the same mistake would only distract the reader from the first.
func expectRefused(err error, field, message string) {
	GinkgoHelper()
	found := complaints(err)
	Expect(found).To(HaveLen(1), "complaints: %v", found)
	Expect(found[0].field).To(Equal(field), "field of the complaint: %v", found[0])
	Expect(found[0].message).To(ContainSubstring(message))
}

// expectAccepted creates the object and looks at what the API server made of it.
func expectAccepted(ctx context.Context, object *unstructured.Unstructured) {
	GinkgoHelper()
	manifest := object.DeepCopy()

	By("creating it")
	Expect(apiserver.Create(ctx, object)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(apiserver.Delete(ctx, object)).To(Succeed())
	})
	expectUntouched(ctx, object, manifest)

	By("applying it on the server's side, as GitOps engines do")
	applied := manifest.DeepCopy()
	for range 2 {
		Expect(apiserver.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied),
			client.FieldOwner("engine"))).To(Succeed())
		applied = withoutServersFields(applied)
	}
	expectUntouched(ctx, object, manifest)
	Expect(object.GetGeneration()).To(BeEquivalentTo(1), "generation: applying the same manifest again changed the spec")

	By("reading it as the controllers do")
	expectTyped(ctx, object)
}

// expectUntouched reads the object back: its spec is the manifest's, no field more and none
// less, and no waiter takes it for ready.
func expectUntouched(ctx context.Context, object, manifest *unstructured.Unstructured) {
	GinkgoHelper()
	Expect(apiserver.Get(ctx, client.ObjectKeyFromObject(manifest), object)).To(Succeed())
	Expect(object.Object["spec"]).To(Equal(manifest.Object["spec"]), "spec read back")
	Expect(object.Object["status"]).
		To(Equal(map[string]any{"observedGeneration": int64(-1)}), "status of an object nobody has looked at")
	result, err := status.Compute(object)
	Expect(err).NotTo(HaveOccurred())
	Expect(result.Status).To(Equal(status.InProgressStatus), "kstatus: %s", result.Message)
}

// expectTyped reads the object into its Go type, which has all of its fields.
func expectTyped(ctx context.Context, object *unstructured.Unstructured) {
	GinkgoHelper()
	typed := map[string]client.Object{
		"Trail": &v1alpha1.Trail{}, "AWSIdentity": &v1alpha1.AWSIdentity{}, "EventLookup": &v1alpha1.EventLookup{},
		"LogFileValidation": &v1alpha1.LogFileValidation{},
	}[object.GetKind()]
	Expect(apiserver.Get(ctx, client.ObjectKeyFromObject(object), typed)).To(Succeed())
	Expect(typed.GetGeneration()).To(Equal(object.GetGeneration()))
	data, err := yaml.Marshal(object.Object["spec"])
	Expect(err).NotTo(HaveOccurred())
	switch typed := typed.(type) {
	case *v1alpha1.Trail:
		expectSpec(data, typed.Spec, typed.Status.ObservedGeneration)
	case *v1alpha1.AWSIdentity:
		expectSpec(data, typed.Spec, typed.Status.ObservedGeneration)
	case *v1alpha1.LogFileValidation:
		expectSpec(data, typed.Spec, typed.Status.ObservedGeneration)
	case *v1alpha1.EventLookup:
		expectSpec(data, typed.Spec, typed.Status.ObservedGeneration)
	}
}

func expectSpec[S any](manifest []byte, spec S, observedGeneration int64) {
	GinkgoHelper()
	var want S
	Expect(yaml.UnmarshalStrict(manifest, &want)).To(Succeed(), "a field that the Go type does not have")
	Expect(spec).To(Equal(want))
	Expect(observedGeneration).To(BeEquivalentTo(-1))
}

// withoutServersFields is a manifest again after the API server's answer was written into it.
func withoutServersFields(object *unstructured.Unstructured) *unstructured.Unstructured {
	manifest := &unstructured.Unstructured{Object: map[string]any{"spec": object.Object["spec"]}}
	manifest.SetAPIVersion(object.GetAPIVersion())
	manifest.SetKind(object.GetKind())
	manifest.SetNamespace(object.GetNamespace())
	manifest.SetName(object.GetName())
	return manifest
}

// numbered is a YAML list of count items made by a format with one number.
func numbered(count int, format string) string {
	items := make([]string, count)
	for i := range items {
		items[i] = fmt.Sprintf(format, i)
	}
	return "[" + strings.Join(items, ", ") + "]"
}
