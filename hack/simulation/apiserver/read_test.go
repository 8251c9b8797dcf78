package apiserver_test

import (
	"net/url"
	"strings"

	. "github.com/onsi/ginkgo/v2"
)

var _ = Describe("Reads", func() {
	create := func(s *session, namespace string) {
		s.do("POST", trails(namespace), trail("one", ", labels: {app: a, by: "+namespace+"}"))
		s.do("POST", trails(namespace), trail("two", ", labels: {app: b, by: "+namespace+"}, annotations: {x: y}"))
		s.do("POST", trails(namespace), trail("three", ", labels: {by: "+namespace+"}"))
	}

	alike("get", func(s *session, namespace string) {
		create(s, namespace)
		path := trails(namespace) + "/one"
		s.do("GET", path, nil)
		s.do("GET", path, nil, metadataOnly)
		s.do("GET", path+"?resourceVersion=0", nil)
		s.do("GET", path+"?resourceVersion=1", nil)
		s.do("GET", path+"?resourceVersion=x", nil)
		s.do("GET", trails(namespace)+"/missing", nil)
		s.do("GET", trails("missing")+"/one", nil)
		s.do("GET", group+"/unknown/one", nil)
		s.do("GET", "/apis/trail-operator.dev/v2/namespaces/default/trails/one", nil)
		s.do("GET", "/apis/trail-operator.dev/v1alpha1/trails/one", nil)
		s.do("GET", path, nil, header{"Accept", "application/xml"})
	})

	alike("list", func(s *session, namespace string) {
		s.do("GET", trails(namespace), nil)
		create(s, namespace)
		list := func(query string, headers ...header) {
			s.do("GET", trails(namespace)+query, nil, headers...)
		}
		list("")
		list("", metadataList)
		for _, selector := range []string{
			"app=a", "app!=a", "app", "!app", "app in (a,b)", "app notin (a)", "app=a,by=x", "app=", "not a selector!", "app==b",
		} {
			list("?labelSelector=" + url.QueryEscape(selector))
		}
		for _, selector := range []string{
			"metadata.name=one", "metadata.name!=one", "metadata.namespace=" + namespace, "metadata.namespace=other",
			"spec.region=x", "metadata.name=one,metadata.namespace=other", "odd",
		} {
			list("?fieldSelector=" + url.QueryEscape(selector))
		}
		list("?resourceVersion=0")
		list("?resourceVersion=1")
		list("?resourceVersion=x")
		list("?resourceVersion=0&resourceVersionMatch=NotOlderThan")
		list("?resourceVersion=0&resourceVersionMatch=Exact")
		list("?resourceVersionMatch=Exact")
		list("?resourceVersion=1&resourceVersionMatch=Odd")
		list("?sendInitialEvents=true")
		s.do("GET", group+"/trails?labelSelector=by%3D"+namespace, nil)
		s.do("GET", group+"/trails?fieldSelector=metadata.namespace%3D"+namespace, nil)
		s.do("GET", trails("missing"), nil)
	})

	alike("list at a version", func(s *session, namespace string) {
		s.do("POST", trails(namespace), trail("one", ", labels: {a: old}"))
		past := s.do("GET", trails(namespace), nil).version()
		s.do("PATCH", trails(namespace)+"/one", `{"metadata":{"labels":{"a":"new"}}}`, mergePatch)
		s.do("POST", trails(namespace), trail("two", ""))
		for _, query := range []string{
			"&resourceVersionMatch=Exact", "&resourceVersionMatch=NotOlderThan", "", "&limit=1",
			"&limit=1&resourceVersionMatch=NotOlderThan",
		} {
			answer, _ := s.send(GinkgoT().Context(), "GET", trails(namespace)+"?resourceVersion="+past+query, nil, nil)
			s.write("list" + query + "\n" + s.show(read(answer)))
		}
	})

	alike("list in parts", func(s *session, namespace string) {
		create(s, namespace)
		first := s.do("GET", trails(namespace)+"?limit=2", nil)
		s.do("POST", trails(namespace), trail("zzz", ""))
		token := first.text("metadata", "continue")
		answer, _ := s.send(GinkgoT().Context(), "GET", trails(namespace)+"?limit=2&continue="+token, nil, nil)
		s.write("the rest\n" + s.show(read(answer)))
		s.do("GET", trails(namespace)+"?limit=4", nil)
		s.do("GET", trails(namespace)+"?limit=1&labelSelector=app", nil)
		s.do("GET", trails(namespace)+"?limit=1&continue=odd", nil)
		s.do("GET", trails(namespace)+"?limit=1", nil, metadataList)
	})
})

var _ = Describe("Watches", func() {
	change := func(s *session, path string) {
		s.do("POST", path, trail("one", ", labels: {a: b}"))
		s.do("PATCH", path+"/one", `{"metadata":{"annotations":{"x":"y"}}}`, mergePatch)
		s.do("PATCH", path+"/one", `{"metadata":{"annotations":{"x":"y"}}}`, mergePatch)
		s.do("POST", path, trail("two", ""))
		s.do("PATCH", path+"/one/status", `{"status":{"observedGeneration":1}}`, mergePatch)
		s.do("PATCH", path+"/two", `{"metadata":{"labels":{"a":"b"}}}`, mergePatch)
		s.do("PATCH", path+"/one", `{"metadata":{"labels":null}}`, mergePatch)
		s.do("PATCH", path+"/one", `{"metadata":{"labels":{"a":"c"}}}`, mergePatch)
		s.do("DELETE", path+"/two", nil)
		s.do("DELETE", path+"/one", nil)
	}
	const end = `?watch=true&timeoutSeconds=3`

	alike("of everything", func(s *session, namespace string) {
		path := trails(namespace)
		w := s.watch(path + end)
		change(s, path)
		w.next(9)
		w.end()
	})

	alike("by label", func(s *session, namespace string) {
		path := trails(namespace)
		w := s.watch(path + end + "&labelSelector=a%3Db")
		other := s.watch(path + end + "&labelSelector=a%21%3Db")
		change(s, path)
		w.next(6)
		w.end()
		other.next(4)
		other.end()
	})

	alike("of one object", func(s *session, namespace string) {
		path := trails(namespace)
		w := s.watch(path + end + "&fieldSelector=metadata.name%3Done")
		change(s, path)
		w.next(6)
		w.end()
	})

	alike("in all namespaces", func(s *session, namespace string) {
		w := s.watch(group + "/trails" + end + "&fieldSelector=metadata.namespace%3D" + namespace)
		change(s, trails(namespace))
		w.next(9)
		w.end()
	})

	alike("of metadata", func(s *session, namespace string) {
		path := trails(namespace)
		w := s.watch(path+end, metadataOnly)
		change(s, path)
		w.next(9)
		w.end()
	})

	alike("from a version", func(s *session, namespace string) {
		path := trails(namespace)
		from := s.do("GET", path, nil).version()
		change(s, path)
		for _, query := range []string{"", "&labelSelector=a%3Db"} {
			s.until(path+end+query+"&resourceVersion="+from, "from the version"+query)
		}
		s.until(path+end+"&resourceVersion="+from+"&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", "without initial")
	})

	alike("with initial events", func(s *session, namespace string) {
		path := trails(namespace)
		s.do("POST", path, trail("one", ", labels: {a: b}"))
		s.do("POST", path, trail("two", ""))
		for _, query := range []string{
			"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
			"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=0",
			"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=1",
			"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=a",
			"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
			"&sendInitialEvents=false&resourceVersionMatch=NotOlderThan",
			"", "&resourceVersion=0", "&labelSelector=a", "&allowWatchBookmarks=true",
		} {
			s.until(path+end+query, query)
		}
		w := s.watch(path+end+"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", metadataOnly)
		w.next(3)
		s.do("DELETE", path+"/one", nil)
		w.next(1)
		w.end()
	})

	alike("that cannot be", func(s *session, namespace string) {
		path := trails(namespace)
		for _, query := range []string{
			"&sendInitialEvents=true", "&resourceVersionMatch=NotOlderThan", "&resourceVersion=x", "&labelSelector=!!",
			"&fieldSelector=spec.x%3Dy", "&sendInitialEvents=true&resourceVersionMatch=Exact",
		} {
			s.do("GET", path+end+query, nil)
		}
		s.until(path+end+"&resourceVersion=1", "too old")
	})
})

// until writes down all of a watch until it ends.
func (s *session) until(path, text string) {
	GinkgoHelper()
	answer, _ := s.send(GinkgoT().Context(), "GET", path, nil, nil)
	s.write(text + ": " + answer.Status)
	for _, event := range readAll(answer) {
		if event["type"] == "BOOKMARK" && !strings.Contains(s.show(event), "initial-events-end") {
			continue
		}
		s.write(text + " event " + s.show(event))
	}
}
