package apiserver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/simulation/apiserver"
)

// bench is a server that has a typical Trail, and a client.
type bench struct {
	client client.Client
	trail  *v1alpha1.Trail
}

func newBench(b *testing.B, trails int) *bench {
	b.Helper()
	server := newServer(b, apiserver.Options{})
	c, err := client.New(server.Config(), client.Options{Scheme: newScheme(b)})
	if err != nil {
		b.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "samples", "trail_event_selectors.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	out := &bench{client: c}
	for i := range trails {
		out.trail = &v1alpha1.Trail{}
		if err := yaml.UnmarshalStrict(content, out.trail); err != nil {
			b.Fatal(err)
		}
		out.trail.Namespace, out.trail.Name = "default", fmt.Sprintf("trail-%d", i)
		out.must(b, c.Create(b.Context(), out.trail))
	}
	return out
}

func (*bench) must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkNew(b *testing.B) {
	newServer(b, apiserver.Options{}) // compiles the CRDs
	crds, err := readCRDs()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := apiserver.New(apiserver.Options{CRDs: crds}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	w := newBench(b, 1)
	for b.Loop() {
		w.must(b, w.client.Get(b.Context(), client.ObjectKeyFromObject(w.trail), w.trail))
	}
}

func BenchmarkList100(b *testing.B) {
	w := newBench(b, 100)
	for b.Loop() {
		w.must(b, w.client.List(b.Context(), &v1alpha1.TrailList{}))
	}
}

func BenchmarkUpdate(b *testing.B) {
	w := newBench(b, 1)
	for i := 0; b.Loop(); i++ {
		w.trail.Spec.S3KeyPrefix = fmt.Sprintf("prefix-%d", i)
		w.must(b, w.client.Update(b.Context(), w.trail))
	}
}

func BenchmarkUpdateStatus(b *testing.B) {
	w := newBench(b, 1)
	for i := 0; b.Loop(); i++ {
		w.trail.Status.ObservedGeneration = int64(i)
		w.must(b, w.client.Status().Update(b.Context(), w.trail))
	}
}

func BenchmarkPatch(b *testing.B) {
	w := newBench(b, 1)
	for i := 0; b.Loop(); i++ {
		before := w.trail.DeepCopy()
		w.trail.Labels = map[string]string{"i": fmt.Sprint(i)}
		w.must(b, w.client.Patch(b.Context(), w.trail, client.MergeFrom(before)))
	}
}
