package trail

import (
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	f := faults{began: map[types.NamespacedName]time.Time{}}
	one, other := types.NamespacedName{Namespace: "a", Name: "x"}, types.NamespacedName{Namespace: "b", Name: "x"}
	g.Expect(f.since(one, testNow)).To(BeZero(), "the first one")
	g.Expect(f.since(one, testNow.Add(time.Second))).To(Equal(time.Second))
	g.Expect(f.since(one, testNow.Add(time.Minute))).To(Equal(time.Minute), "counted from the first one")
	g.Expect(f.since(other, testNow.Add(time.Minute))).To(BeZero(), "each trail has its own")
	f.end(one)
	f.end(one)
	g.Expect(f.since(one, testNow.Add(time.Hour))).To(BeZero(), "a new one after all was well")
	g.Expect(f.since(other, testNow.Add(2*time.Minute))).To(Equal(time.Minute), "which ends nobody else's")
}

func TestFaultsRace(t *testing.T) {
	t.Parallel()
	f := faults{began: map[types.NamespacedName]time.Time{}}
	var wait sync.WaitGroup
	for _, name := range []string{"a", "b", "a", "b"} {
		wait.Go(func() {
			for range 1000 {
				f.since(types.NamespacedName{Name: name}, testNow)
				f.end(types.NamespacedName{Name: name})
			}
		})
	}
	wait.Wait()
	NewWithT(t).Expect(f.began).To(BeEmpty())
}
