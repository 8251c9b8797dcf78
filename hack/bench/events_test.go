package main

import (
	"slices"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

func TestForeignEvent(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	seen := map[string]bool{}
	for number := range 2 * len(foreignCalls) {
		event := foreignEvent(number)
		g.Expect(len(event)).To(BeNumerically("~", 2048, 300), "as long as people's")
		notice, err := cloudtrail.ParseNotice(event)
		g.Expect(err).NotTo(HaveOccurred(), event)
		g.Expect(notice.TrailARN != "" || notice.Dependency != "").To(BeTrue(), event)
		g.Expect(seen).NotTo(HaveKey(notice.TrailARN + notice.Dependency))
		seen[notice.TrailARN+notice.Dependency] = true
	}
}

func TestSpreadOf(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var values []float64
	for value := range 200 {
		values = append(values, float64(200-value))
	}
	g.Expect(spreadOf(values)).To(Equal(spread{P50: 100, P99: 198, Max: 200}))
	g.Expect(spreadOf([]float64{3})).To(Equal(spread{P50: 3, P99: 3, Max: 3}))
	g.Expect(spreadOf(nil)).To(Equal(spread{}))
}

func TestAccountByAccount(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	g.Expect(size{trails: 7, perAccount: 3}.accountByAccount()).To(Equal([]int{0, 3, 6, 1, 4, 2, 5}))
	g.Expect(size{trails: 3}.accountByAccount()).To(Equal([]int{0, 1, 2}), "all in one account")
	order := size{trails: 500, perAccount: 5}.accountByAccount()
	slices.Sort(order)
	g.Expect(slices.Compact(order)).To(HaveLen(500), "each once")
}
