package trail

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// TestCreation holds what is believed of the annotation that tells where a trail was created: what this very object
// wrote.
func TestCreation(t *testing.T) {
	t.Parallel()
	const whole = `{"uid":"trail-uid","account":"111122223333","region":"eu-central-1","tagKeys":["team"]}`
	for name, c := range map[string]struct {
		annotation string
		known      bool
	}{
		"none":              {"", false},
		"its own":           {whole, true},
		"of another object": {`{"uid":"other","account":"111122223333","region":"eu-central-1"}`, false},
		"of nobody":         {`{"account":"111122223333","region":"eu-central-1"}`, false},
		"garbage":           {"garbage", false},
		"cut off":           {whole[:len(whole)-1], false},
		"of another form at its end": {
			`{"uid":"trail-uid","account":"111122223333","region":"eu-central-1","tagKeys":5}`, false,
		},
		"with what a later one knows": {whole[:len(whole)-1] + `,"later":true}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := testTrail(func(trail *v1alpha1.Trail) {
				trail.Annotations = map[string]string{v1alpha1.AnnotationCreation: c.annotation}
			})
			known, ok := creationOf(trail)
			account, region := home(trail)
			g.Expect(ok).To(Equal(c.known))
			if c.known {
				g.Expect(known).To(Equal(creation{"trail-uid", testAccount, testRegion, []string{"team"}}))
				g.Expect([]string{account, region}).To(Equal([]string{testAccount, testRegion}))
			} else {
				g.Expect(known).To(BeZero())
				g.Expect([]string{account, region}).To(Equal([]string{"", ""}), "a trail may be anywhere")
			}
		})
	}

	t.Run("the status knows better", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		trail := testTrail(func(trail *v1alpha1.Trail) {
			trail.Annotations = map[string]string{v1alpha1.AnnotationCreation: whole}
			trail.Status.AccountID, trail.Status.HomeRegion = "444455556666", "us-east-1"
		})
		account, region := home(trail)
		g.Expect([]string{account, region}).To(Equal([]string{"444455556666", "us-east-1"}))
	})
}

func TestSets(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	g.Expect(isSubset(nil, nil)).To(BeTrue())
	g.Expect(isSubset([]string{"a"}, []string{"b", "a"})).To(BeTrue())
	g.Expect(isSubset([]string{"a", "c"}, []string{"b", "a"})).To(BeFalse())
	one := []string{"c", "a"}
	g.Expect(union(one, []string{"b", "a"})).To(Equal([]string{"a", "b", "c"}))
	g.Expect(one).To(Equal([]string{"c", "a"}))
	g.Expect(union(nil, nil)).To(BeEmpty())
}

// liveObject is an API server that holds one object's metadata, or answers with an error.
type liveObject struct {
	client.Reader
	metav1.ObjectMeta
	err error
}

// Get implements client.Reader.
func (l liveObject) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	if metadata, ok := object.(*metav1.PartialObjectMetadata); ok {
		metadata.ObjectMeta = l.ObjectMeta
	}
	return l.err
}

// TestConfirm holds that an object is not acted for that is another one by now, wants something else, goes, or does not
// wait for its trail: each of these for itself.
func TestConfirm(t *testing.T) {
	t.Parallel()
	notFound := apierrors.NewNotFound(schema.GroupResource{Resource: "trails"}, "audit")
	silent := errors.New("no answer")
	for name, c := range map[string]struct {
		live func(*metav1.ObjectMeta)
		err  error
		want error
	}{
		"as it is believed to be": {},
		"with another version": {live: func(o *metav1.ObjectMeta) {
			o.ResourceVersion, o.Labels = "9", map[string]string{"a": "b"}
		}},
		"another of its name": {live: func(o *metav1.ObjectMeta) { o.UID = "other-uid" }, want: errChanged},
		"with another spec":   {live: func(o *metav1.ObjectMeta) { o.Generation++ }, want: errChanged},
		"being deleted":       {live: func(o *metav1.ObjectMeta) { o.DeletionTimestamp = ago(0) }, want: errChanged},
		"without our finalizer": {live: func(o *metav1.ObjectMeta) {
			o.Finalizers = []string{"other/finalizer"}
		}, want: errChanged},
		"gone":           {err: notFound, want: errChanged},
		"not to be read": {err: silent, want: silent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := testTrail(func(trail *v1alpha1.Trail) { trail.Finalizers = []string{v1alpha1.Finalizer} })
			live := liveObject{ObjectMeta: *trail.ObjectMeta.DeepCopy(), err: c.err}
			if c.live != nil {
				c.live(&live.ObjectMeta)
			}
			err := (&Reconciler{Options: Options{Live: live}}).confirm(t.Context(), trail)
			if c.want == nil {
				NewWithT(t).Expect(err).NotTo(HaveOccurred())
			} else {
				NewWithT(t).Expect(err).To(MatchError(c.want))
			}
		})
	}
}
