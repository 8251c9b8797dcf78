package apiserver_test

import (
	"net/url"

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
			answer := s.send(GinkgoT().Context(), "GET", trails(namespace)+"?resourceVersion="+past+query, nil, nil)
			s.write("list" + query + "\n" + s.show(read(answer)))
		}
	})

	alike("list in parts", func(s *session, namespace string) {
		create(s, namespace)
		first := s.do("GET", trails(namespace)+"?limit=2", nil)
		s.do("POST", trails(namespace), trail("zzz", ""))
		token := first.text("metadata", "continue")
		answer := s.send(GinkgoT().Context(), "GET", trails(namespace)+"?limit=2&continue="+token, nil, nil)
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
	// sentinels are the last objects of a script.
	sentinels := func(s *session, path string) {
		s.do("POST", path, trail("one", ", annotations: {sentinel: x}"))
		s.do("POST", path, trail("two", ", annotations: {sentinel: x}, labels: {a: b}"))
	}
	const initial = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"

	alike("from now on", func(s *session, namespace string) {
		path := trails(namespace)
		watches := []*stream{
			s.watch(path + "?watch=true"),
			s.watch(path + "?watch=1&labelSelector=a%3Db"),
			s.watch(path + "?watch=true&labelSelector=a%21%3Db"),
			s.watch(path + "?watch=true&labelSelector=%21a"),
			s.watch(path + "?watch=true&fieldSelector=metadata.name%3Done"),
			s.watch(path + "?watch=true&fieldSelector=metadata.name%21%3Done"),
			s.watch(group + "/trails?watch=true&fieldSelector=metadata.namespace%3D" + namespace),
			s.watch(path+"?watch=true", metadataOnly),
			s.watch(path+"?watch=true&labelSelector=a%3Db", metadataOnly),
		}
		change(s, path)
		sentinels(s, path)
		for _, w := range watches {
			w.all()
		}
	})

	alike("from a version", func(s *session, namespace string) {
		path := trails(namespace)
		from := s.do("GET", path, nil).version()
		change(s, path)
		sentinels(s, path)
		for _, query := range []string{
			"", "&labelSelector=a%3Db", "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan",
		} {
			w := s.watch(path + "?watch=true" + query + "&resourceVersion=" + from)
			w.text = query
			w.all()
		}
	})

	alike("with initial events", func(s *session, namespace string) {
		path := trails(namespace)
		s.do("POST", path, trail("three", ", labels: {a: b}"))
		s.do("POST", path, trail("four", ""))
		var watches []*stream
		for _, query := range []string{
			initial + "&allowWatchBookmarks=true",
			initial + "&allowWatchBookmarks=true&resourceVersion=0",
			initial + "&allowWatchBookmarks=true&resourceVersion=1",
			initial + "&allowWatchBookmarks=true&labelSelector=a",
			initial,
			"&sendInitialEvents=false&resourceVersionMatch=NotOlderThan",
			"", "&resourceVersion=0", "&labelSelector=a", "&allowWatchBookmarks=true",
		} {
			watches = append(watches, s.watch(path+"?watch=true"+query), s.watch(path+"?watch=true"+query, metadataOnly))
		}
		s.do("DELETE", path+"/four", nil)
		sentinels(s, path)
		for _, w := range watches {
			w.all()
		}
	})

	alike("that end", func(s *session, namespace string) {
		path := trails(namespace)
		s.do("POST", path, trail("one", ""))
		w := s.watch(path + "?watch=true&timeoutSeconds=1")
		w.all()
	})

	alike("that cannot be", func(s *session, namespace string) {
		path := trails(namespace)
		for _, query := range []string{
			"&sendInitialEvents=true", "&resourceVersionMatch=NotOlderThan", "&labelSelector=!!",
			"&fieldSelector=spec.x%3Dy", "&sendInitialEvents=true&resourceVersionMatch=Exact",
		} {
			s.do("GET", path+"?watch=true"+query, nil)
		}
		ours.Compact()
		s.watch(path + "?watch=true&resourceVersion=1").all()
		s.do("GET", path+"?watch=true&resourceVersion=x", nil)
	})
})
