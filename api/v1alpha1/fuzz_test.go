package v1alpha1_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	kjson "sigs.k8s.io/json"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

const (
	// fuzzSeed and fuzzObjects say which random objects of each kind are tried, and how many.
	fuzzSeed    = 20260102
	fuzzObjects = 150
	// fuzzWorkers is how many requests are under way at once.
	fuzzWorkers = 4
	// fuzzName is the name of the object of each kind whose status is written.
	fuzzName = "fuzz"
)

// An object that the API server accepts and its Go type refuses would stop the operator for everybody. So every field
// of every CRD, and of metadata, is given values of all sorts in dry runs. What the API server accepts must decode, and
// must still say the same when it is written back. The fields are taken from the CRDs and the Go types, so that a new
// one is tried without a line here.
var _ = Describe("What the API server accepts", func() {
	It("decodes, and is written back as it was", func(ctx context.Context) {
		targets := newTargets(ctx)
		var work errgroup.Group
		work.SetLimit(fuzzWorkers)
		tried := map[string]bool{}
		for _, t := range targets {
			for _, m := range t.members[1:] {
				if key := m.key(); !tried[key] {
					tried[key] = true
					work.Go(func() error { return t.try(ctx, m) })
				}
			}
			for _, o := range t.randomObjects() {
				work.Go(func() error { return t.send(ctx, o) })
			}
		}
		Expect(work.Wait()).To(Succeed())

		var problems []string
		for _, t := range targets {
			problems = append(problems, t.problems...)
			GinkgoWriter.Printf("%s: %d requests, %d objects accepted\n", t.gvk.Kind, t.requests, t.accepted)
			Expect(t.accepted).To(BeNumerically(">", fuzzObjects), "%s: what is accepted shows too little", t.gvk.Kind)
		}
		slices.Sort(problems)
		Expect(problems).To(BeEmpty(), strings.Join(problems, "\n"))
	})
})

// target is a version of a kind.
type target struct {
	gvk        schema.GroupVersionKind
	plural     string
	namespaced bool
	codecs     serializer.CodecFactory
	client     rest.Interface
	// members are all that may be in an object; the first is the object itself.
	members []member
	// bare has what the schema requires and no more; samples are those of config; stored is in the API server.
	bare    any
	samples []any
	stored  any

	mutex              sync.Mutex
	requests, accepted int
	problems           []string
}

// attempt is an object to send.
type attempt struct {
	object any
	// status says that only its status is written.
	status bool
	// about is what is odd about it.
	about string
}

func newTargets(ctx context.Context) []*target {
	GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(configDir, "crd", "bases", "*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	Expect(files).NotTo(BeEmpty())
	var targets []*target
	for _, file := range files {
		plural := strings.TrimPrefix(filepath.Base(file), v1alpha1.GroupVersion.Group+"_")
		crd := testbed.CRD(strings.TrimSuffix(plural, ".yaml"))
		for i := range crd.Spec.Versions {
			targets = append(targets, newTarget(ctx, &crd.Spec, &crd.Spec.Versions[i]))
		}
	}
	return targets
}

func newTarget(
	ctx context.Context, crd *apiextensionsv1.CustomResourceDefinitionSpec,
	version *apiextensionsv1.CustomResourceDefinitionVersion,
) *target {
	GinkgoHelper()
	t := &target{
		gvk:        schema.GroupVersionKind{Group: crd.Group, Version: version.Name, Kind: crd.Names.Kind},
		plural:     crd.Names.Plural,
		namespaced: crd.Scope == apiextensionsv1.NamespaceScoped,
		codecs:     serializer.NewCodecFactory(apiserver.Scheme()),
	}
	config := rest.CopyConfig(restConfig)
	config.GroupVersion, config.APIPath = new(t.gvk.GroupVersion()), "/apis"
	config.NegotiatedSerializer = t.codecs.WithoutConversion()
	var err error
	t.client, err = rest.RESTClientFor(config)
	Expect(err).NotTo(HaveOccurred())

	typed, err := apiserver.Scheme().New(t.gvk)
	Expect(err).NotTo(HaveOccurred())
	openAPI := *version.Schema.OpenAPIV3Schema.DeepCopy()
	openAPI.Properties["metadata"] = schemaOf(reflect.TypeFor[metav1.ObjectMeta]())
	delete(openAPI.Properties, "apiVersion")
	delete(openAPI.Properties, "kind")
	t.members = members(openAPI, reflect.TypeOf(typed).Elem())

	t.bare = with(skeleton(openAPI), openAPI, []any{"metadata", "name"}, fuzzName+"-bare")
	t.bare = with(t.bare, openAPI, []any{"apiVersion"}, t.gvk.GroupVersion().String())
	t.bare = with(t.bare, openAPI, []any{"kind"}, t.gvk.Kind)
	t.addSamples(ctx)
	return t
}

// addSamples takes the samples of the kind, and stores the first of them.
func (t *target) addSamples(ctx context.Context) {
	GinkgoHelper()
	for _, sample := range readManifests("samples") {
		if sample.GroupVersionKind() != t.gvk {
			continue
		}
		if t.namespaced {
			sample.SetNamespace(metav1.NamespaceDefault)
		}
		t.samples = append(t.samples, sample.Object)
	}
	Expect(t.samples).NotTo(BeEmpty(), "config/samples has no %s", t.gvk.Kind)

	stored := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(as[map[string]any](t.samples[0]))}
	stored.SetName(fuzzName)
	Expect(apiserver.Create(ctx, stored)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(apiserver.Delete(ctx, stored)).To(Succeed()) })
	t.stored = stored.Object
}

// bases are the objects to put a member into, the one with the least in it first.
func (t *target) bases(m member) []any {
	if m.inStatus() {
		return []any{t.stored}
	}
	return append([]any{t.bare}, t.samples...)
}

// with is a copy of an object with a value in a place.
func (t *target) with(object any, at place, value raw) any {
	return with(object, t.members[0].schema, at.keys, value)
}

// try gives a member all values that are written down, in an object in which the API server accepts the member.
func (t *target) try(ctx context.Context, m member) error {
	if m.goType == nil {
		t.problem("%s is in the schema and not in the Go type", m)
		return nil
	}
	base, at, err := t.foothold(ctx, m)
	if err != nil {
		return err
	}
	if base == nil {
		if m.path[0] != "metadata" { // The API server does not take all of it from clients.
			t.problem("%s: the API server accepts nothing that is tried: let one of config/samples show the field", m)
		}
		return nil
	}
	for _, value := range adversarial(m.schema, m.goType) {
		a := attempt{t.with(base, at, value), m.inStatus(), m.String() + ": " + value.short()}
		if err := t.send(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// foothold is an object that the API server accepts with the member in it, and where it is; nil when there is none. The
// bare object comes first: a sample may have the member already, but also others that it has to go with.
func (t *target) foothold(ctx context.Context, m member) (base any, at place, err error) {
	type candidate struct {
		base any
		place
	}
	var candidates []candidate
	for _, base := range t.bases(m) {
		for _, p := range places(base, m.path) {
			candidates = append(candidates, candidate{base, p})
		}
	}
	slices.SortStableFunc(candidates[1:], func(a, b candidate) int { return a.missing - b.missing })

	for _, c := range candidates[:min(len(candidates), 12)] {
		if c.missing == 0 {
			return c.base, c.place, nil
		}
		for _, value := range likely(m.schema) {
			object := t.with(c.base, c.place, value)
			_, accepted, err := t.write(ctx, encode(object), m.inStatus())
			if accepted || err != nil {
				return object, c.place, err
			}
		}
	}
	return nil, at, nil
}

// randomObjects are objects with several random members, all of them in the spec, in the status or in metadata.
func (t *target) randomObjects() []attempt {
	source := rand.New(rand.NewPCG(fuzzSeed, 0))
	var attempts []attempt
	for n := range fuzzObjects {
		m := t.members[1+source.IntN(len(t.members)-1)]
		var part []member
		for _, other := range t.members[1:] {
			if other.path[0] == m.path[0] {
				part = append(part, other)
			}
		}
		bases := t.bases(m)
		a := attempt{bases[source.IntN(len(bases))], m.inStatus(), fmt.Sprintf("random object %d", n)}
		for range 1 + source.IntN(4) {
			if found := places(a.object, m.path); len(found) > 0 {
				value := random(source, m.schema, m.goType)
				a.object = t.with(a.object, found[source.IntN(len(found))], value)
				a.about += fmt.Sprintf(", %s: %s", m, value.short())
			}
			m = part[source.IntN(len(part))]
		}
		attempts = append(attempts, a)
	}
	return attempts
}

// send sends an object, and notes what is wrong with it if it is accepted.
func (t *target) send(ctx context.Context, a attempt) error {
	answer, accepted, err := t.write(ctx, encode(a.object), a.status)
	if !accepted || err != nil {
		return err
	}
	fault, err := t.fault(ctx, answer, a.status)
	if fault != "" {
		t.problem("%s is accepted, but %s", a.about, fault)
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.accepted++
	return err
}

func (t *target) problem(format string, arguments ...any) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.problems = append(t.problems, t.gvk.Kind+" "+fmt.Sprintf(format, arguments...))
}

// write is a dry run of creating an object, or of writing the status of the one that is stored.
func (t *target) write(ctx context.Context, body raw, status bool) (answer []byte, accepted bool, err error) {
	t.mutex.Lock()
	t.requests++
	t.mutex.Unlock()
	request := t.client.Post()
	if status {
		request = t.client.Put().Name(fuzzName).SubResource("status")
	}
	var code int
	answer, err = request.NamespaceIfScoped(metav1.NamespaceDefault, t.namespaced).Resource(t.plural).
		Param("dryRun", metav1.DryRunAll).Param("fieldValidation", "Ignore").
		SetHeader("Content-Type", "application/json").Body([]byte(body)).Do(ctx).StatusCode(&code).Raw()
	switch {
	case code >= http.StatusBadRequest && code < http.StatusInternalServerError:
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("%w, for %s", err, body.short())
	default:
		return answer, true, nil
	}
}

// fault says what is wrong with an object as the API server answers it, "" if nothing is.
func (t *target) fault(ctx context.Context, answer []byte, status bool) (string, error) {
	typed, fault := t.decode(answer)
	if fault != "" {
		return "does not decode: " + fault, nil
	}
	written, err := json.Marshal(typed)
	if err != nil || reflect.DeepEqual(tree(answer), tree(written)) {
		return "", err
	}
	back, accepted, err := t.write(ctx, raw(written), status)
	if err != nil {
		return "", err
	}
	if !accepted {
		return "is refused as it is written back: " + raw(written).short(), nil
	}
	again, fault := t.decode(back)
	if fault != "" {
		return "does not decode after it was written back: " + fault, nil
	}

	for name, field := range map[string]string{"spec": "Spec", "status": "Status"} {
		before, after := partOf(typed, field), partOf(again, field)
		if name == "status" && before.IsZero() {
			continue // An empty status is not written, and the API server puts the default in its place.
		}
		if !toTheSecond.DeepEqual(before.Interface(), after.Interface()) {
			return fmt.Sprintf("becomes %+v, no longer %+v, when it is written back", after, before), nil
		}
		if lost := difference(tree(answer)[name], tree(back)[name], name); lost != "" {
			return "is changed when it is written back: " + lost, nil
		}
	}
	return "", nil
}

// decode decodes an object as a client does, and its parts once more so that nothing is forgiven.
func (t *target) decode(data []byte) (typed runtime.Object, fault string) {
	typed, _, err := t.codecs.UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		return nil, err.Error()
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return nil, err.Error()
	}
	for name, field := range map[string]string{"metadata": "ObjectMeta", "spec": "Spec", "status": "Status"} {
		if parts[name] == nil {
			continue
		}
		part := partOf(typed, field)
		alone := reflect.New(part.Type())
		unknown, err := kjson.UnmarshalStrict(parts[name], alone.Interface())
		switch {
		case err != nil:
			return nil, name + ": " + err.Error()
		case len(unknown) > 0:
			return nil, fmt.Sprintf("%s: %v", name, unknown)
		case !equality.Semantic.DeepEqual(alone.Elem().Interface(), part.Interface()):
			return nil, name + " decodes to something else in an object than alone"
		}
	}
	return typed, ""
}

func partOf(typed runtime.Object, field string) reflect.Value {
	return reflect.ValueOf(typed).Elem().FieldByName(field)
}

// tree is what an object is without its Go type.
func tree(data []byte) map[string]any {
	content := map[string]any{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &content); err != nil {
		panic(err)
	}
	return content
}

// toTheSecond compares values of Go types as metav1.Time is written, to the second.
var toTheSecond = func() conversion.Equalities {
	same := equality.Semantic.Copy()
	err := same.AddFunc(func(a, b metav1.Time) bool { return sameSecond(a.Time, b.Time) })
	if err != nil {
		panic(err)
	}
	return same
}()

func sameSecond(a, b time.Time) bool { return a.Truncate(time.Second).Equal(b.Truncate(time.Second)) }

// difference says what of a value another one has lost. What is empty may be absent. A duration may be written in
// another way, and so may a time in the status, and to the second.
func difference(before, after any, path string) string {
	if after == nil && (before == nil || reflect.ValueOf(before).IsZero()) {
		return ""
	}
	switch before := before.(type) {
	case map[string]any:
		for name, value := range before {
			if lost := difference(value, as[map[string]any](after)[name], path+"."+name); lost != "" {
				return lost
			}
		}
		return ""
	case []any:
		after := as[[]any](after)
		if len(before) != len(after) {
			return fmt.Sprintf("%s has %d items, no longer %d", path, len(after), len(before))
		}
		for i, value := range before {
			if lost := difference(value, after[i], fmt.Sprintf("%s[%d]", path, i)); lost != "" {
				return lost
			}
		}
		return ""
	case string:
		if sameText(before, as[string](after), strings.HasPrefix(path, "status.")) {
			return ""
		}
	}
	if before != after {
		return fmt.Sprintf("%s is %v, no longer %v", path, after, before)
	}
	return ""
}

func sameText(before, after string, inStatus bool) bool {
	if before == after {
		return true
	}
	if d, err := time.ParseDuration(before); err == nil {
		e, err := time.ParseDuration(after)
		return err == nil && d == e
	}
	a, err := time.Parse(time.RFC3339, before)
	if err != nil || !inStatus {
		return false
	}
	b, err := time.Parse(time.RFC3339, after)
	return err == nil && sameSecond(a, b)
}
