package apiserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/simulation/apiserver"
)

var trailResource = schema.GroupResource{Group: "trail-operator.dev", Resource: "trails"}

// world is a server with a client, in a synctest bubble.
type world struct {
	Gomega
	t      *testing.T
	server *apiserver.Server
	client client.WithWatch
}

// inBubble runs a test in a synctest bubble.
func inBubble(t *testing.T, options apiserver.Options, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{Gomega: NewWithT(t), t: t, server: newServer(t, options)}
		var err error
		w.client, err = client.NewWithWatch(rest.AddUserAgent(w.server.Config(), "tester"),
			client.Options{Scheme: newScheme(t)})
		w.Expect(err).NotTo(HaveOccurred())
		test(w)
	})
}

// create creates a Trail.
func (w *world) create(name string) *v1alpha1.Trail {
	trail := newTrail(name)
	w.Expect(w.client.Create(w.t.Context(), trail)).To(Succeed())
	return trail
}

// label changes the label "a" of a Trail.
func (w *world) label(trail *v1alpha1.Trail, value string) {
	before := trail.DeepCopy()
	trail.Labels = map[string]string{"a": value}
	w.Expect(w.client.Patch(w.t.Context(), trail, client.MergeFrom(before))).To(Succeed())
}

// watch opens a watch from a resource version.
func (w *world) watch(version string, options ...client.ListOption) watch.Interface {
	raw := &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version, AllowWatchBookmarks: true}}
	opened, err := w.client.Watch(w.t.Context(), &v1alpha1.TrailList{}, append(options, raw)...)
	w.Expect(err).NotTo(HaveOccurred())
	w.t.Cleanup(opened.Stop)
	return opened
}

// received returns what a watcher has got, and whether its watch has ended.
func received(watcher watch.Interface) (events []string, ended bool) {
	for {
		synctest.Wait()
		select {
		case event, more := <-watcher.ResultChan():
			if !more {
				return events, true
			}
			if trail, is := event.Object.(*v1alpha1.Trail); is {
				events = append(events, fmt.Sprint(event.Type, " ", trail.Name, " ", trail.Labels["a"]))
			} else {
				events = append(events, fmt.Sprint(event.Type, " ", apierrors.ReasonForError(apierrors.FromObject(event.Object))))
			}
		default:
			return events, false
		}
	}
}

func TestHeldWatch(t *testing.T) {
	inBubble(t, apiserver.Options{HoldWatches: true}, func(w *world) {
		one := w.create("one")
		all := w.watch(one.ResourceVersion)
		some := w.watch(one.ResourceVersion, client.InNamespace("default"), client.MatchingLabels{"a": "x"})
		w.label(one, "x")
		w.label(one, "y")
		w.create("two")
		synctest.Wait()
		w.Expect(received(all)).To(BeEmpty(), "nothing is delivered by itself")

		watches := w.server.Watches()
		w.Expect(watches).To(HaveLen(2))
		w.Expect([]int{watches[0].Number(), watches[1].Number()}).To(Equal([]int{1, 2}))
		w.Expect([]int{watches[0].Pending(), watches[1].Pending()}).To(Equal([]int{3, 2}))
		w.Expect(watches[0].UserAgent()).To(HaveSuffix("/tester"))
		w.Expect(watches[0].Resource().GroupResource()).To(Equal(trailResource))
		w.Expect(watches[1].Namespace()).To(Equal("default"))
		labels, fields := watches[1].Selector()
		w.Expect([]string{labels, fields}).To(Equal([]string{"a=x", ""}))
		w.Expect(watches[1].MetadataOnly()).To(BeFalse())

		next, has := watches[1].Next()
		w.Expect(has).To(BeTrue())
		delivered, done := watches[1].Deliver()
		w.Expect(done).To(BeTrue())
		w.Expect(delivered).To(Equal(next))
		w.Expect(delivered.Type).To(Equal(watch.Added))
		w.Expect(received(some)).To(Equal([]string{"ADDED one x"}))
		watches[1].Deliver()
		w.Expect(received(some)).To(Equal([]string{"DELETED one x"}), "as it was before, when it still matched")
		_, done = watches[1].Deliver()
		w.Expect(done).To(BeFalse())
		w.Expect(watches[1].Bookmark()).To(BeTrue())
		w.Expect(received(some)).To(Equal([]string{"BOOKMARK  "}))

		w.Expect(received(all)).To(BeEmpty())
		watches[0].Deliver()
		watches[0].End()
		events, ended := received(all)
		w.Expect(events).To(Equal([]string{"MODIFIED one x"}))
		w.Expect(ended).To(BeTrue())

		watches[1].Expire()
		events, ended = received(some)
		w.Expect(events).To(Equal([]string{"ERROR Expired"}))
		w.Expect(ended).To(BeTrue())
		w.Expect(w.server.Watches()).To(BeEmpty())
		_, done = watches[1].Deliver()
		w.Expect(done).To(BeFalse(), "it has ended")
	})
}

func TestHeldInitialEvents(t *testing.T) {
	inBubble(t, apiserver.Options{HoldWatches: true}, func(w *world) {
		w.create("one")
		options := &metav1.ListOptions{
			SendInitialEvents:    new(true),
			ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
			AllowWatchBookmarks:  true,
		}
		watcher, err := w.client.Watch(w.t.Context(), &v1alpha1.TrailList{}, &client.ListOptions{Raw: options})
		w.Expect(err).NotTo(HaveOccurred())
		defer watcher.Stop()
		w.create("two")

		opened := w.server.Watches()[0]
		w.Expect(opened.Pending()).To(Equal(3))
		w.Expect(opened.Bookmark()).To(BeFalse(), "not before the end of the initial events")
		for range 3 {
			opened.Deliver()
		}
		w.Expect(received(watcher)).To(Equal([]string{"ADDED one ", "BOOKMARK  ", "ADDED two "}))
	})
}

func TestWatchTimeout(t *testing.T) {
	for _, hold := range []bool{false, true} {
		inBubble(t, apiserver.Options{HoldWatches: hold}, func(w *world) {
			seconds := int64(300)
			watcher, err := w.client.Watch(w.t.Context(), &v1alpha1.TrailList{},
				&client.ListOptions{Raw: &metav1.ListOptions{TimeoutSeconds: &seconds}})
			w.Expect(err).NotTo(HaveOccurred())
			defer watcher.Stop()
			pass(299 * time.Second)
			_, ended := received(watcher)
			w.Expect(ended).To(BeFalse())
			pass(2 * time.Second)
			_, ended = received(watcher)
			w.Expect(ended).To(Equal(!hold), "the caller ends watches that are held")
		})
	}
}

func TestWatchEndsWithContext(t *testing.T) {
	inBubble(t, apiserver.Options{}, func(w *world) {
		ctx, cancel := context.WithCancel(w.t.Context())
		watcher, err := w.client.Watch(ctx, &v1alpha1.TrailList{})
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(w.server.Watches()).To(HaveLen(1))
		cancel()
		_, ended := received(watcher)
		w.Expect(ended).To(BeTrue())
		w.Expect(w.server.Watches()).To(BeEmpty())
		w.Expect(w.client.Get(ctx, client.ObjectKey{Namespace: "default", Name: "one"}, &v1alpha1.Trail{})).
			To(MatchError(context.Canceled))
	})
}

func TestLag(t *testing.T) {
	lag := uint64(0)
	inBubble(t, apiserver.Options{Lag: func() uint64 { return lag }}, func(w *world) {
		one := w.create("one")
		first := one.ResourceVersion
		w.label(one, "x")
		list := func(version string) string {
			trails := &v1alpha1.TrailList{}
			w.Expect(w.client.List(w.t.Context(), trails,
				&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version}})).To(Succeed())
			if len(trails.Items) == 0 {
				return "none"
			}
			return trails.Items[0].Labels["a"]
		}
		w.Expect(list("0")).To(Equal("x"))

		lag = 1
		w.Expect(list("0")).To(BeEmpty(), "the past, although the present was shown before")
		w.Expect(list("")).To(Equal("x"), "without a resource version a list shows the present")
		watcher := w.watch("0")
		w.Expect(received(watcher)).To(Equal([]string{"ADDED one ", "BOOKMARK  ", "MODIFIED one x"}))
		lag = 1000
		w.Expect(list("0")).To(Equal("none"))
		w.Expect(list(first)).To(BeEmpty(), "not older than what is asked for")
		w.server.Compact()
		w.Expect(list("0")).To(Equal("x"), "not older than what is left")
	})
}

func TestCompact(t *testing.T) {
	inBubble(t, apiserver.Options{}, func(w *world) {
		one := w.create("one")
		first := one.ResourceVersion
		w.label(one, "x")
		w.server.Compact()
		w.label(one, "y")

		events, ended := received(w.watch(first))
		w.Expect(events).To(Equal([]string{"ERROR Expired"}))
		w.Expect(ended).To(BeTrue())
		trails := &v1alpha1.TrailList{}
		err := w.client.List(w.t.Context(), trails, &client.ListOptions{Raw: &metav1.ListOptions{
			ResourceVersion: first, ResourceVersionMatch: metav1.ResourceVersionMatchExact,
		}})
		w.Expect(apierrors.IsResourceExpired(err)).To(BeTrue(), "%v", err)
		history, err := w.server.History(trailResource, "default", "one")
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(history).To(HaveLen(2), "what is now at the compacted version, and what came after it")
	})
}

func TestInspection(t *testing.T) {
	inBubble(t, apiserver.Options{}, func(w *world) {
		one := w.create("one")
		w.label(one, "x")
		w.Expect(w.client.Delete(w.t.Context(), one)).To(Succeed())
		w.create("two")
		w.Expect(apierrors.IsAlreadyExists(w.client.Create(w.t.Context(), newTrail("two")))).To(BeTrue())

		objects, err := w.server.Objects(trailResource)
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(objects).To(HaveLen(1))
		w.Expect(objects[0].GetName()).To(Equal("two"))
		w.Expect(objects[0].GetGeneration()).To(Equal(int64(1)))
		w.Expect(w.server.Object(trailResource, "default", "one")).To(BeNil())
		two, err := w.server.Object(trailResource, "default", "two")
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(two).To(Equal(objects[0]))

		history, err := w.server.History(trailResource, "default", "one")
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(history).To(HaveLen(3))
		w.Expect(history[1].Object.GetLabels()).To(Equal(map[string]string{"a": "x"}))
		w.Expect(history[1].Object.GetResourceVersion()).To(Equal(fmt.Sprint(history[1].ResourceVersion)))
		w.Expect(history[2].Object).To(BeNil())
		w.Expect(w.server.ResourceVersion()).To(BeNumerically(">", history[2].ResourceVersion))

		counts := map[string]int{}
		for request, count := range w.server.Requests() {
			w.Expect(request.UserAgent).To(HaveSuffix("/tester"))
			counts[request.Verb+" "+request.Resource.String()] += count
		}
		w.Expect(counts).To(Equal(map[string]int{
			"create trails.trail-operator.dev": 3, "patch trails.trail-operator.dev": 1, "delete trails.trail-operator.dev": 1,
		}))
		_, err = w.server.Objects(schema.GroupResource{Resource: "pods"})
		w.Expect(err).To(MatchError(ContainSubstring("no resource pods")))
	})
}

func TestSeed(t *testing.T) {
	uid := func(seed uint64) string {
		server := newServer(t, apiserver.Options{Seed: seed})
		object, err := server.Object(schema.GroupResource{Resource: "namespaces"}, "", "kube-system")
		if err != nil {
			t.Fatal(err)
		}
		return string(object.GetUID())
	}
	g := NewWithT(t)
	g.Expect(uid(1)).To(Equal(uid(1)))
	g.Expect(uid(1)).NotTo(Equal(uid(2)))
	g.Expect(uid(1)).To(MatchRegexp(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`))
}

// TestDeterminism runs the same requests against two servers with the same seed.
func TestDeterminism(t *testing.T) {
	var runs []string
	for range 2 {
		inBubble(t, apiserver.Options{Seed: 7}, func(w *world) {
			for range 5 {
				generated := newTrail("")
				generated.GenerateName = "made-"
				w.Expect(w.client.Create(w.t.Context(), generated)).To(Succeed())
				pass(time.Minute)
				w.label(generated, "x")
			}
			invalid := newTrail("invalid")
			invalid.Spec = v1alpha1.TrailSpec{S3BucketName: "_", Region: "_", S3KeyPrefix: "\n", Name: "_"}
			refused := w.client.Create(w.t.Context(), invalid)
			w.Expect(apierrors.IsInvalid(refused)).To(BeTrue())

			objects, err := w.server.Objects(trailResource)
			w.Expect(err).NotTo(HaveOccurred())
			content, err := json.Marshal(objects)
			w.Expect(err).NotTo(HaveOccurred())
			runs = append(runs, refused.Error()+string(content))
		})
	}
	NewWithT(t).Expect(runs[0]).To(Equal(runs[1]))
}

func TestCollectNamespaces(t *testing.T) {
	inBubble(t, apiserver.Options{}, func(w *world) {
		ctx := w.t.Context()
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "gone"}}
		w.Expect(w.client.Create(ctx, namespace)).To(Succeed())
		held := newTrail("held")
		held.Namespace, held.Finalizers = "gone", []string{"example.com/f"}
		free := newTrail("free")
		free.Namespace = "gone"
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "gone", Name: "lease"}}
		for _, object := range []client.Object{held, free, lease} {
			w.Expect(w.client.Create(ctx, object)).To(Succeed())
		}

		w.Expect(w.server.CollectNamespaces()).To(BeEmpty(), "nothing is Terminating")
		w.Expect(w.client.Delete(ctx, namespace)).To(Succeed())
		w.Expect(w.server.Objects(trailResource)).To(HaveLen(2), "the server deletes nothing by itself")
		w.Expect(w.server.CollectNamespaces()).To(Equal([]string{"gone"}))
		w.Expect(w.server.Objects(trailResource)).To(HaveLen(1), "one has a finalizer")

		w.Expect(w.client.Get(ctx, client.ObjectKeyFromObject(held), held)).To(Succeed())
		held.Finalizers = nil
		w.Expect(w.client.Update(ctx, held)).To(Succeed())
		w.Expect(w.server.CollectNamespaces()).To(BeEmpty())
		w.Expect(apierrors.IsNotFound(w.client.Get(ctx, client.ObjectKeyFromObject(namespace), namespace))).To(BeTrue())
	})
}

func TestClock(t *testing.T) {
	now := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	inBubble(t, apiserver.Options{Now: func() time.Time { return now }}, func(w *world) {
		trail := newTrail("one")
		trail.Finalizers = []string{"example.com/f"}
		w.Expect(w.client.Create(w.t.Context(), trail)).To(Succeed())
		w.Expect(trail.CreationTimestamp.UTC()).To(Equal(now))
		now = now.Add(time.Hour)
		w.Expect(w.client.Delete(w.t.Context(), trail)).To(Succeed())
		w.Expect(w.client.Get(w.t.Context(), client.ObjectKeyFromObject(trail), trail)).To(Succeed())
		w.Expect(trail.DeletionTimestamp.UTC()).To(Equal(now))
	})
}

func TestUnsupportedCRD(t *testing.T) {
	g := NewWithT(t)
	crds, err := readCRDs()
	g.Expect(err).NotTo(HaveOccurred())
	_, err = apiserver.New(apiserver.Options{CRDs: append(crds, crds[0])})
	g.Expect(err).To(MatchError(ContainSubstring("two resources")))
	crds[0].Spec.Versions[0].Schema = nil
	_, err = apiserver.New(apiserver.Options{CRDs: crds})
	g.Expect(err).To(MatchError(ContainSubstring("cannot serve")))
}
