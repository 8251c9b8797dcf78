package apiserver_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	. "github.com/onsi/ginkgo/v2"
)

var _ = Describe("Random requests", func() {
	for seed := range uint64(4) {
		alike(fmt.Sprintf("from seed %d", seed), func(s *session, namespace string) {
			walk{s, rand.New(rand.NewPCG(seed, 0)), trails(namespace), map[string]string{}}.run(250)
		})
	}
})

// walk makes random requests about two objects.
type walk struct {
	*session
	random *rand.Rand
	path   string
	// seen are resource versions, by object; they may be old.
	seen map[string]string
}

func (w walk) run(steps int) {
	watches := []*stream{
		w.watch(w.path + "?watch=true"),
		w.watch(w.path + "?watch=true&labelSelector=a%3Dx"),
		w.watch(w.path+"?watch=true&labelSelector=a", metadataOnly),
	}
	for range steps {
		w.step()
	}
	w.do("POST", w.path, trail("last", ", annotations: {sentinel: x}, labels: {a: x}"))
	for _, watch := range watches {
		watch.all()
	}
}

// one returns one of the texts.
func (w walk) one(texts ...string) string { return texts[w.random.IntN(len(texts))] }

func (w walk) step() {
	name := w.one("one", "two")
	path := w.path + "/" + name
	// What is drawn is drawn in any case, so that both servers get the same requests.
	metadata := w.metadata(name)
	spec := w.one("audit-logs", "other-logs", "audit-logs", "INVALID_")
	status := w.one("", "status: {observedGeneration: 1}", "status: {observedGeneration: 2, syncedDigest: x}",
		"status: {observedGeneration: x}")
	query := w.one("", "", "", "?dryRun=All")
	body := replace(trail(name, metadata), "audit-logs", spec) + status
	patch := w.one(
		`{"metadata":{"labels":{"a":"x"}}}`, `{"metadata":{"labels":{"a":"y"}}}`, `{"metadata":{"labels":null}}`,
		`{"metadata":{"finalizers":["example.com/f"]}}`, `{"metadata":{"finalizers":null}}`,
		`{"metadata":{"finalizers":["example.com/f","example.com/g"]}}`,
		`{"spec":{"s3KeyPrefix":"x"}}`, `{"spec":{"s3KeyPrefix":null}}`, `{"spec":{"region":"us-east-1"}}`,
		`{"status":{"observedGeneration":3}}`, `{"status":null}`, `{"metadata":{"annotations":{"a":"b"}}}`,
	)
	preconditions := w.one("{}", "{}", `{"preconditions":{"resourceVersion":"1"}}`, `{"propagationPolicy":"Foreground"}`)

	var answer response
	switch w.random.IntN(9) {
	case 0, 1:
		answer = w.do("POST", w.path+query, body)
	case 2:
		answer = w.do("PUT", path+query, body)
	case 3:
		answer = w.do("PUT", path+"/status"+query, body)
	case 4, 5:
		answer = w.do("PATCH", path+query, patch, mergePatch)
	case 6:
		answer = w.do("PATCH", path+"/status"+query, patch, mergePatch)
	case 7:
		answer = w.do("DELETE", path+query, preconditions)
	default:
		answer = w.do("GET", path, nil)
	}
	if version := answer.version(); version != "" && !strings.Contains(query, "dryRun") {
		w.seen[name] = version
	}
}

// metadata returns random metadata.
func (w walk) metadata(name string) string {
	out := w.one("", ", labels: {a: x}", ", labels: {a: y}")
	out += w.one("", "", ", finalizers: [example.com/f]", ", finalizers: [example.com/f, example.com/g]")
	out += w.one("", ", annotations: {a: b}")
	current := w.version(w.path + "/" + name)
	switch w.one("current", "current", "current", "seen", "none") {
	case "current":
		if current != "" {
			out += fmt.Sprintf(", resourceVersion: %q", current)
		}
	case "seen":
		if w.seen[name] != "" {
			out += fmt.Sprintf(", resourceVersion: %q", w.seen[name])
		}
	default:
	}
	return out
}
