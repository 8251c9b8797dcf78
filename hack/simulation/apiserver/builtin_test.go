package apiserver_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
)

var _ = Describe("Kubernetes' own kinds", func() {
	alike("namespaces", func(s *session, namespace string) {
		path := namespaces + "/" + namespace
		s.do("GET", path, nil)
		s.do("GET", namespaces+"/kube-system", nil, metadataOnly)
		s.do("POST", namespaces, "metadata: {name: "+namespace+"}")
		s.do("POST", namespaces, "metadata: {name: 'Upper'}")
		s.do("POST", namespaces, "metadata: {name: 'with.dot'}")
		s.do("POST", namespaces, "metadata: {}")
		s.do("POST", namespaces, "metadata: {generateName: made-}\nspec: {finalizers: [example.com/f]}\nstatus: {phase: Odd}")
		s.do("POST", namespaces, "metadata: {name: y, labels: {'': x}}\nspec: {finalizers: [short]}")
		s.do("PUT", path, "metadata: {name: "+namespace+", labels: {a: b}}\nspec: {finalizers: []}\nstatus: {phase: Odd}")
		s.do("PUT", path, "metadata: {name: "+namespace+", labels: {a: b}}")
		s.do("PUT", path, "metadata: {name: "+namespace+", resourceVersion: '1'}")
		s.do("PUT", path, "metadata: {name: other}")
		s.do("PUT", namespaces+"/missing", "metadata: {name: missing}")
		s.do("PATCH", path, `{"metadata":{"labels":{"kubernetes.io/metadata.name":"other"}}}`, mergePatch)
		s.do("PATCH", path, `{"metadata":{"labels":{"x":"y"}}}`, strategicPatch)
		s.do("PATCH", path+"/status", `{"status":{"phase":"Terminating"}}`, mergePatch)
		s.do("PATCH", path+"/status", `{"status":{"conditions":[{"type":"X","status":"True"}]}}`, strategicPatch)
		s.do("DELETE", namespaces+"/default", nil)
		s.do("DELETE", namespaces+"/kube-system", nil)
		s.do("DELETE", namespaces+"/missing", nil)
		s.do("DELETE", path, `{"preconditions":{"uid":"other"}}`)
		s.do("DELETE", path, `{"preconditions":{"resourceVersion":"1"}}`)

		s.do("POST", trails(namespace), trail("one", ""))
		s.do("DELETE", path, nil)
		s.do("DELETE", path, nil)
		s.do("POST", trails(namespace), trail("two", ""))
		s.do("POST", trails(namespace), trail("", ", generateName: made-"))
		s.do("PATCH", trails(namespace)+"/one", `{"metadata":{"labels":{"a":"b"}}}`, mergePatch)
		s.do("DELETE", trails(namespace)+"/one", nil)
		got := s.do("GET", path, nil)
		s.do("PUT", path+"/finalize", "metadata: {name: "+namespace+", resourceVersion: '"+got.version()+"'}\nspec: {}")
		s.do("GET", path, nil)
		s.do("GET", trails(namespace), nil)
	})

	alike("deletion of a namespace with finalizers", func(s *session, namespace string) {
		path := namespaces + "/" + namespace
		s.do("PATCH", path, `{"metadata":{"finalizers":["example.com/f"]}}`, mergePatch)
		s.do("DELETE", path, nil)
		s.do("PUT", path+"/finalize", "metadata: {name: "+namespace+", finalizers: [example.com/f]}\nspec: {}")
		s.do("DELETE", path, nil)
		s.do("PATCH", path, `{"metadata":{"finalizers":null}}`, mergePatch)
		s.do("GET", path, nil)
	})

	alike("leases", func(s *session, namespace string) {
		base := "/apis/coordination.k8s.io/v1/namespaces/" + namespace + "/leases"
		lease := func(metadata, spec string) string {
			return "metadata: {name: one" + metadata + "}\nspec: {" + spec + "}"
		}
		held := "holderIdentity: me, leaseDurationSeconds: 15, leaseTransitions: 1, " +
			"acquireTime: '2026-01-01T00:00:00.123456Z', renewTime: '2026-01-01T00:00:00.000000Z'"
		s.do("GET", base+"/one", nil)
		s.do("POST", base, lease("", held))
		s.do("POST", base, lease("", held))
		s.do("POST", "/apis/coordination.k8s.io/v1/namespaces/missing/leases", lease("", held))
		s.do("POST", base, "metadata: {name: two}\nspec: {leaseDurationSeconds: 0, leaseTransitions: -1}")
		s.do("POST", base, "metadata: {name: two}\nspec: {leaseDurationSeconds: text}")
		s.do("POST", base, "metadata: {name: two}\nspec: {renewTime: yesterday}")
		s.do("POST", base, "metadata: {name: two}\nspec: {unknown: 1}")
		s.do("POST", base, "metadata: {name: Two}\nspec: {strategy: OldestEmulationVersion, preferredHolder: x}")
		s.do("POST", base, "metadata: {name: three}\nspec: {strategy: OldestEmulationVersion, preferredHolder: x}")
		s.do("POST", base, "apiVersion: coordination.k8s.io/v1\nkind: Odd\nmetadata: {name: four}")
		s.do("PUT", base+"/one", lease("", held))
		s.do("PUT", base+"/one", lease(", resourceVersion: '1'", held))
		s.do("PUT", base+"/one", lease(", uid: other, resourceVersion: '1'", held))
		s.do("PUT", base+"/one", lease(", resourceVersion: '"+s.version(base+"/one")+"'", held))
		s.do("PUT", base+"/one", lease(", resourceVersion: '"+s.version(base+"/one")+"'", "holderIdentity: you"))
		s.do("PUT", base+"/one", lease(", resourceVersion: '"+s.version(base+"/one")+"'", "leaseDurationSeconds: -1"))
		s.do("PUT", base+"/new", "metadata: {name: new}\nspec: {holderIdentity: me}")
		s.do("PUT", base+"/newer", "metadata: {name: newer, resourceVersion: '5'}\nspec: {holderIdentity: me}")
		s.do("PUT", base+"/newest", "metadata: {name: newest, uid: x}\nspec: {holderIdentity: me}")
		s.do("PATCH", base+"/one", `{"spec":{"holderIdentity":"third"}}`, mergePatch)
		s.do("PATCH", base+"/one", `{"spec":{"holderIdentity":"third"}}`, strategicPatch)
		s.do("PATCH", base+"/one", `{"spec":{"leaseDurationSeconds":"x"}}`, mergePatch)
		s.do("PATCH", base+"/one", `{"spec":{"unknown":"x"}}`, mergePatch)
		s.do("PATCH", base+"/one", `[{"op":"remove","path":"/spec/holderIdentity"}]`, jsonPatch)
		s.do("GET", base, nil)
		s.do("GET", base, nil, metadataList)
		s.do("GET", base+"/one", nil, metadataOnly)
		s.do("GET", base+"?fieldSelector=spec.x%3D1", nil)
		s.do("GET", base+"/one/status", nil)
		s.do("PATCH", base, `{}`, mergePatch)
		s.do("POST", base+"/one", lease("", held))
		w := s.watch(base + "?watch=true")
		s.do("DELETE", base+"/one", nil)
		s.do("DELETE", base+"/one", nil)
		s.do("POST", base, "metadata: {name: last, annotations: {sentinel: x}}")
		w.all()
	})

	alike("events", func(s *session, namespace string) {
		base := "/apis/events.k8s.io/v1/namespaces/" + namespace + "/events"
		regarding := "regarding: {kind: Trail, namespace: " + namespace + ", name: one}"
		event := func(name, more string) string {
			return "metadata: {name: " + name + "}\n" + regarding + "\n" + more
		}
		good := "eventTime: '2026-01-01T00:00:00.123456Z'\nreportingController: op\nreportingInstance: op-1\n" +
			"action: Do\nreason: Done\nnote: text\ntype: Normal\n"
		s.do("POST", base, event("one", good))
		s.do("POST", base, event("one", good))
		s.do("POST", base, event("bare", ""))
		s.do("POST", base, event("deprecated", good+"deprecatedCount: 1\ndeprecatedSource: {component: x}\n"+
			"deprecatedFirstTimestamp: '2026-01-01T00:00:00Z'\ndeprecatedLastTimestamp: '2026-01-01T00:00:00Z'"))
		s.do("POST", base, event("series", good+"series: {count: 1}"))
		s.do("POST", base, event("odd-type", strings.Replace(good, "Normal", "Odd", 1)))
		s.do("POST", base, event("long", strings.NewReplacer(
			"Do\n", strings.Repeat("a", 129)+"\n", "Done", strings.Repeat("r", 129),
			"op-1", strings.Repeat("i", 129), "text", strings.Repeat("n", 1025),
		).Replace(good)))
		s.do("POST", base, event("controller", replace(good, "reportingController: op", "reportingController: 'a b'")))
		s.do("POST", base, "metadata: {name: other}\nregarding: {kind: Trail, namespace: elsewhere, name: one}\n"+good)
		s.do("POST", base, "metadata: {name: cluster}\nregarding: {kind: Namespace, name: one}\n"+good)
		s.do("POST", base, event("Upper", good))
		s.do("POST", "/apis/events.k8s.io/v1/namespaces/missing/events", event("one", good))
		s.do("PATCH", base+"/one", `{"series":{"count":2,"lastObservedTime":"2026-01-01T00:00:00.000001Z"}}`, strategicPatch)
		s.do("PATCH", base+"/one", `{"series":{"count":1}}`, mergePatch)
		for _, patch := range []string{
			`{"note":"other","reason":"Other","action":"x","type":"Warning","reportingInstance":"z"}`,
			`{"regarding":{"name":"two"},"related":{"name":"x"},"eventTime":"2027-01-01T00:00:00Z"}`,
		} {
			s.do("PATCH", base+"/one", patch, mergePatch)
		}
		s.do("PUT", base+"/one", event("one", good))
		s.do("PUT", base+"/two", event("two", good))
		s.do("GET", base+"?fieldSelector=reason%3DDone", nil)
		s.do("GET", base+"?fieldSelector=regarding.name%3Done", nil)
		s.do("GET", base+"?fieldSelector=odd%3Done", nil)
		s.do("DELETE", base+"/one", nil)
		s.do("DELETE", base+"/two", `{"propagationPolicy":"Foreground"}`)
		s.do("GET", base+"/one", nil)
	})

	alike("discovery", func(s *session, _ string) {
		for _, path := range []string{
			group, "/apis/trail-operator.dev", "/apis/events.k8s.io/v1", "/apis/coordination.k8s.io/v1",
			"/apis/unknown.dev", "/apis/unknown.dev/v1", "/apis/trail-operator.dev/v9", "/unknown",
		} {
			s.do("GET", path, nil)
		}
	})
})
