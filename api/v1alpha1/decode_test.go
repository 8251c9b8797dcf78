package v1alpha1_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	held := v1alpha1.TrailSpec{
		Suspend:          new(true),
		ManagementPolicy: v1alpha1.ManagementPolicyObserve,
		DeletionPolicy:   v1alpha1.DeletionPolicyRetain,
	}
	delivered := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Local())
	for name, c := range map[string]struct {
		spec, status string
		wantSpec     v1alpha1.TrailSpec
		wantStatus   v1alpha1.TrailStatus
		err          string
	}{
		"what is sound": {
			spec:       `{"s3BucketName": "logs", "interval": "10m"}`,
			status:     `{"homeRegion": "us-east-1", "latestDeliveryTime": "2026-01-02T03:04:05Z"}`,
			wantSpec:   v1alpha1.TrailSpec{S3BucketName: "logs", Interval: &metav1.Duration{Duration: 10 * time.Minute}},
			wantStatus: v1alpha1.TrailStatus{HomeRegion: "us-east-1", LatestDeliveryTime: &delivered},
		},
		"a field of a newer schema": {
			spec:     `{"s3BucketName": "logs", "color": "red"}`,
			status:   `{"mood": "good"}`,
			wantSpec: v1alpha1.TrailSpec{S3BucketName: "logs"},
		},
		"a spec with a field that does not decode: nothing of the spec": {
			spec:       `{"s3BucketName": "logs", "interval": "soon"}`,
			status:     `{"homeRegion": "us-east-1"}`,
			wantSpec:   held,
			wantStatus: v1alpha1.TrailStatus{HomeRegion: "us-east-1"},
			err:        `spec.interval: time: invalid duration "soon"`,
		},
		"a spec with several: all are named": {
			spec: `{"logging": "yes", "eventSelectors": [{"readWriteType": 7}], "interval": "soon", "s3BucketName": "logs"}`,
			err: `spec.eventSelectors: json: cannot unmarshal number into Go struct field ` +
				`EventSelector.eventSelectors.readWriteType of type v1alpha1.ReadWriteType; ` +
				`spec.interval: time: invalid duration "soon"; ` +
				`spec.logging: json: cannot unmarshal string into Go struct field TrailSpec.logging of type bool`,
			wantSpec: held,
		},
		"a spec that is no object": {
			spec:       `["logs"]`,
			status:     `{"homeRegion": "us-east-1"}`,
			wantSpec:   held,
			wantStatus: v1alpha1.TrailStatus{HomeRegion: "us-east-1"},
			err:        `spec: json: cannot unmarshal array into Go value of type map[string]json.RawMessage`,
		},
		"a status with a field that does not decode: the others": {
			spec: `{"s3BucketName": "logs"}`,
			status: `{"homeRegion": "us-east-1", "startLoggingTime": ["now"],
				"latestDeliveryTime": "2026-01-02T03:04:05Z"}`,
			wantSpec:   v1alpha1.TrailSpec{S3BucketName: "logs"},
			wantStatus: v1alpha1.TrailStatus{HomeRegion: "us-east-1", LatestDeliveryTime: &delivered},
		},
		"a status with a condition that does not decode: no condition": {
			spec: `{"s3BucketName": "logs"}`,
			status: `{"homeRegion": "us-east-1", "conditions": [
				{"type": "Ready", "lastTransitionTime": "2026-01-02T03:04:05Z"},
				{"type": "Logging", "lastTransitionTime": "2026-01-02t03:04:05z"}]}`,
			wantSpec:   v1alpha1.TrailSpec{S3BucketName: "logs"},
			wantStatus: v1alpha1.TrailStatus{HomeRegion: "us-east-1"},
		},
		"a status that is no object": {
			spec:     `{"s3BucketName": "logs"}`,
			status:   `"fine"`,
			wantSpec: v1alpha1.TrailSpec{S3BucketName: "logs"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			text := `{"apiVersion": "trail-operator.dev/v1alpha1", "kind": "Trail",
				"metadata": {"name": "audit", "generation": 7}, "spec": ` + c.spec
			if c.status != "" {
				text += `, "status": ` + c.status
			}

			found := v1alpha1.Trail{DecodeError: "of what was decoded into it before"}
			g.Expect(json.Unmarshal([]byte(text+"}"), &found)).To(Succeed())
			g.Expect(found).To(Equal(v1alpha1.Trail{
				TypeMeta:   metav1.TypeMeta{APIVersion: "trail-operator.dev/v1alpha1", Kind: "Trail"},
				ObjectMeta: metav1.ObjectMeta{Name: "audit", Generation: 7},
				Spec:       c.wantSpec, Status: c.wantStatus, DecodeError: c.err,
			}))
		})
	}
}

// What an API server answers decodes but for its spec and status, so anything else is no object of an API server.
func TestDecodeFails(t *testing.T) {
	t.Parallel()
	for name, manifest := range map[string]string{
		"metadata": `{"metadata": {"name": 7}, "spec": {"interval": "soon"}}`,
		"kind":     `{"kind": [], "spec": {"interval": "soon"}}`,
		"list":     `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(json.Unmarshal([]byte(manifest), &v1alpha1.Trail{})).NotTo(Succeed())
		})
	}
}

// Every kind decodes whatever is in its spec and status, and so do the others in a list with it.
func TestDecodeEveryKind(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	NewWithT(t).Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	kinds := 0
	for kind, goType := range scheme.KnownTypes(v1alpha1.GroupVersion) {
		_, isObject := reflect.TypeAssert[client.Object](reflect.New(goType))
		if _, hasList := scheme.KnownTypes(v1alpha1.GroupVersion)[kind+"List"]; !isObject || !hasList {
			continue
		}
		kinds++
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			list := `{"apiVersion": "trail-operator.dev/v1alpha1", "kind": "KINDList", "items": [
				{"metadata": {"name": "bad"}, "spec": [], "status": []},
				{"metadata": {"name": "good"}, "spec": {}, "status": {}}]}`
			decoded, _, err := decoder.Decode([]byte(strings.Replace(list, "KIND", kind, 1)), nil, nil)
			g.Expect(err).NotTo(HaveOccurred())
			items := reflect.ValueOf(decoded).Elem().FieldByName("Items")
			g.Expect(items.Len()).To(Equal(2))
			g.Expect(items.Index(0).FieldByName("DecodeError").String()).To(HavePrefix("spec: "))
			g.Expect(items.Index(1).FieldByName("DecodeError").String()).To(BeEmpty())
		})
	}
	NewWithT(t).Expect(kinds).To(BeNumerically(">=", 3))
}

// What does not decode is not overwritten: a patch has what its writer changed and no more.
func TestDecodeAndPatch(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	lookup := &v1alpha1.EventLookup{}
	g.Expect(json.Unmarshal([]byte(`{
		"metadata": {"name": "bad"},
		"spec": {"startTime": ["now"], "maxResults": 7},
		"status": {"endTime": "tomorrow"}
	}`), lookup)).To(Succeed())
	changed := lookup.DeepCopy()
	g.Expect(changed.DecodeError).To(HavePrefix("spec.startTime: "))
	changed.Status.Region = "us-east-1"

	patch, err := client.MergeFrom(lookup).Data(changed)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(patch)).To(Equal(`{"status":{"region":"us-east-1"}}`))
}
