package apiserver_test

import (
	. "github.com/onsi/ginkgo/v2"
)

var _ = Describe("Deletions", func() {
	alike("without finalizers", func(s *session, namespace string) {
		path := trails(namespace) + "/one"
		s.do("DELETE", path, nil)
		s.do("POST", trails(namespace), trail("one", ""))
		s.do("DELETE", path+"?dryRun=All", nil)
		s.do("DELETE", path, `{"preconditions":{"uid":"other"}}`)
		s.do("DELETE", path, `{"preconditions":{"resourceVersion":"1"}}`)
		s.do("DELETE", path, `{"kind":"Other","apiVersion":"v1"}`)
		s.do("DELETE", path, `{"propagationPolicy":"Odd"}`)
		s.do("DELETE", path, `{"propagationPolicy":"Background","orphanDependents":true}`)
		s.do("DELETE", path, `{"gracePeriodSeconds":-5,"preconditions":{"uid":"other"}}`)
		s.do("DELETE", path, "!{")
		got := s.do("GET", path, nil)
		s.do("DELETE", path, `{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":30,"preconditions":{"uid":"`+
			got.uid()+`","resourceVersion":"`+got.version()+`"}}`)
		s.do("GET", path, nil)
		s.do("DELETE", trails("missing")+"/one", nil)
		s.do("POST", trails(namespace), trail("one", ""))
		s.do("DELETE", path+"?propagationPolicy=Background&gracePeriodSeconds=0", nil)
	})

	alike("with finalizers", func(s *session, namespace string) {
		path := trails(namespace) + "/one"
		w := s.watch(trails(namespace) + "?watch=true")
		s.do("POST", trails(namespace), trail("one", ", finalizers: [example.com/a, example.com/b]"))
		s.do("DELETE", path, nil)
		s.do("DELETE", path, nil)
		s.do("DELETE", path, `{"preconditions":{"resourceVersion":"1"}}`)
		s.do("GET", path, nil)
		s.do("POST", trails(namespace), trail("one", ""))
		s.do("PATCH", path, `{"metadata":{"finalizers":["example.com/a","example.com/b","example.com/c"]}}`, mergePatch)
		s.do("PATCH", path, `{"metadata":{"finalizers":["example.com/c"]}}`, mergePatch)
		s.do("PATCH", path, `{"metadata":{"labels":{"a":"b"}}}`, mergePatch)
		s.do("PATCH", path, `{"spec":{"s3BucketName":"other-logs"}}`, mergePatch)
		s.do("PATCH", path+"/status", `{"status":{"observedGeneration":1}}`, mergePatch)
		s.do("PATCH", path+"/status", `{"metadata":{"finalizers":null},"status":{"observedGeneration":2}}`, mergePatch)
		s.do("PATCH", path, `{"metadata":{"deletionTimestamp":null,"deletionGracePeriodSeconds":null}}`, mergePatch)
		s.do("PATCH", path, `{"metadata":{"deletionGracePeriodSeconds":60}}`, mergePatch)
		s.do("PATCH", path, `{"metadata":{"finalizers":["example.com/b"]}}`, mergePatch)
		s.do("PATCH", path+"?dryRun=All", `{"metadata":{"finalizers":null}}`, mergePatch)
		s.do("GET", path, nil)
		s.do("PUT", path, trail("one", ", resourceVersion: '"+s.version(path)+"'"))
		s.do("GET", path, nil)
		s.do("POST", trails(namespace), trail("one", ""))
		s.do("POST", trails(namespace), trail("last", ", annotations: {sentinel: x}"))
		w.all()
	})

	alike("of an invalid object", func(s *session, namespace string) {
		path := trails(namespace) + "/one"
		s.do("POST", trails(namespace), trail("one", ", finalizers: [example.com/a]"))
		s.do("DELETE", path+"?dryRun=All", nil)
		s.do("DELETE", path, nil)
		s.do("PATCH", path, `{"metadata":{"finalizers":null},"spec":{"s3BucketName":"INVALID_"}}`, mergePatch)
		s.do("PATCH", path, `[{"op":"remove","path":"/metadata/finalizers/0"}]`, jsonPatch)
		s.do("GET", path, nil)
	})

	alike("with the garbage collector's finalizers", func(s *session, namespace string) {
		for _, policy := range []string{
			`{"propagationPolicy":"Foreground"}`, `{"propagationPolicy":"Orphan"}`, `{"propagationPolicy":"Background"}`,
			`{"orphanDependents":true}`, `{"orphanDependents":false}`,
		} {
			path := trails(namespace) + "/one"
			s.do("POST", trails(namespace), trail("one", ""))
			s.do("DELETE", path, policy)
			s.do("DELETE", path, `{"propagationPolicy":"Orphan"}`)
			s.do("DELETE", path, `{"propagationPolicy":"Background"}`)
			s.do("GET", path, nil)
			s.do("PATCH", path, `{"metadata":{"finalizers":null}}`, mergePatch)

			s.do("POST", trails(namespace), trail("one", ", finalizers: [example.com/a]"))
			s.do("DELETE", path, policy)
			s.do("PATCH", path, `{"metadata":{"finalizers":null}}`, mergePatch)
		}
	})

	alike("of many", func(s *session, namespace string) {
		s.do("POST", trails(namespace), trail("one", ", labels: {a: b}"))
		s.do("POST", trails(namespace), trail("two", ", labels: {a: b}, finalizers: [example.com/a]"))
		s.do("POST", trails(namespace), trail("three", ""))
		s.do("DELETE", trails(namespace)+"?labelSelector=a%3Db", nil)
		s.do("GET", trails(namespace), nil)
		s.do("DELETE", trails(namespace), `{"propagationPolicy":"Background"}`)
		s.do("GET", trails(namespace), nil)
		s.do("DELETE", namespaces, nil)
	})
})
