package apiserver_test

import (
	. "github.com/onsi/ginkgo/v2"
)

var _ = Describe("Writes", func() {
	alike("create", func(s *session, namespace string) {
		path := trails(namespace)
		s.do("POST", path, trail("one", ", labels: {a: b}, annotations: {c: d}"))
		s.do("GET", path+"/one", nil)
		s.do("POST", path, trail("one", ""))
		s.do("POST", path, trail("", ", generateName: made-"))
		s.do("POST", path, trail("", ", generateName: Made-"))
		s.do("POST", path, trail("", ""))
		s.do("POST", path, trail("Upper", ""))
		s.do("POST", path, trail("two", ", labels: {'not a label': b}"))
		s.do("POST", path, trail("two", ", labels: {a: 'not a value'}"))
		s.do("POST", path, trail("two", ", annotations: {'not a key': b}"))
		s.do("POST", path, trail("two", ", finalizers: ['not a finalizer']"))
		s.do("POST", path, trail("two", ", finalizers: [short, example.com, example.com/long]"))
		s.do("POST", path, trail("three", ", namespace: other"))
		s.do("POST", path, trail("three", ", uid: 5, unknown: 1"))
		s.do("POST", path, trail("three", ", ownerReferences: [{apiVersion: v1, kind: Namespace, name: x, uid: y}]"))
		s.do("POST", path, trail("four", ", resourceVersion: '17', generation: 9, uid: mine, "+
			"creationTimestamp: '2001-01-01T00:00:00Z', deletionTimestamp: '2001-01-01T00:00:00Z', selfLink: x"))
		s.do("POST", trails("missing"), trail("one", ""))
		s.do("POST", trails("missing"), trail("Upper", ""))
		s.do("POST", path+"?dryRun=All", trail("dry", ""))
		s.do("POST", path+"?dryRun=Some", trail("dry", ""))
		s.do("GET", path+"/dry", nil)
		s.do("POST", path, "apiVersion: v1\nkind: Trail\nmetadata: {name: five}")
		s.do("POST", path, "apiVersion: trail-operator.dev/v1alpha1\nkind: Other\nmetadata: {name: five}")
		s.do("POST", path, "apiVersion: trail-operator.dev/v2\nkind: Trail\nmetadata: {name: five}")
		s.do("POST", path, "metadata: {name: five}\nspec: {s3BucketName: audit-logs}")
		s.do("POST", path, "{not json")
		s.do("POST", path, "!not json")
		s.do("POST", path, `{"metadata":5}`)
		s.do("POST", path, `{"apiVersion":"trail-operator.dev/v1alpha1","kind":"Trail","metadata":{"name":7}}`)
		s.do("POST", path,
			`{"apiVersion":"trail-operator.dev/v1alpha1","kind":"Trail","metadata":{"name":"x","labels":{"a":1}}}`)
		s.do("POST", path, nil)
		s.do("POST", group+"/trails", trail("seven", ""))
		s.do("PUT", path, trail("seven", ""))
	})

	alike("create with a status", func(s *session, namespace string) {
		s.do("POST", trails(namespace), trail("one", "")+"status: {observedGeneration: 5}")
		got := s.do("GET", trails(namespace)+"/one", nil)
		s.do("PUT", trails(namespace)+"/one", got.body)
		s.do("PUT", trails(namespace)+"/one", got.body)
	})

	alike("unknown fields", func(s *session, namespace string) {
		body := trail("one", ", unknown: 1") + "unknown: 2\nstatus: {unknown: 3, observedGeneration: 3}"
		double := `{"apiVersion":"trail-operator.dev/v1alpha1","kind":"Trail","metadata":{"name":"two"},` +
			`"spec":{"s3BucketName":"audit-logs","s3BucketName":"audit-logs","region":"eu-central-1","unknown":{"deep":1}}}`
		for _, mode := range []string{"?fieldValidation=Strict", "?fieldValidation=Odd", "?fieldValidation=Ignore"} {
			s.do("POST", trails(namespace)+mode, body)
			s.do("POST", trails(namespace)+mode, double)
		}
		s.do("DELETE", trails(namespace)+"/one", nil)
		s.do("DELETE", trails(namespace)+"/two", nil)
		s.do("POST", trails(namespace), body)
		s.do("POST", trails(namespace), double)
		patch := `{"spec":{"unknown":1,"unknown":2},"other":{"a":1}}`
		for _, mode := range []string{"?fieldValidation=Strict", "?fieldValidation=Ignore", ""} {
			s.do("PATCH", trails(namespace)+"/one"+mode, patch, mergePatch)
			s.do("PATCH", trails(namespace)+"/one"+mode,
				`[{"op":"add","path":"/spec/unknown","value":1,"odd":2}]`, jsonPatch)
		}
	})

	alike("update", func(s *session, namespace string) {
		path := trails(namespace) + "/one"
		s.do("PUT", path, trail("one", ""))
		s.do("PUT", path, trail("one", ", resourceVersion: '5'"))
		created := s.do("POST", trails(namespace), trail("one", ""))
		first := s.do("GET", path, nil)
		s.do("PUT", path, trail("one", ""))
		s.do("PUT", path, trail("one", ", resourceVersion: '1'"))
		s.do("PUT", path, trail("one", ", resourceVersion: 'x'"))
		s.do("PUT", path, trail("other", ", resourceVersion: '"+first.version()+"'"))
		s.do("PUT", path, trail("one", ", namespace: other, resourceVersion: '"+first.version()+"'"))
		s.do("PUT", path, trail("one", ", uid: other, resourceVersion: '"+first.version()+"'"))
		s.do("PUT", path, trail("one", ", uid: '"+first.uid()+"', resourceVersion: '"+first.version()+"'"))
		// Only metadata, then the spec, then nothing.
		second := s.do("PUT", path, trail("one", ", labels: {a: b}, resourceVersion: '"+s.version(path)+"'"))
		s.do("PUT", path+"?dryRun=All", trail("one", ", labels: {x: y}, resourceVersion: '"+second.version()+"'"))
		s.do("PUT", path, trail("one", ", labels: {a: b}, resourceVersion: '"+second.version()+"'"))
		changed := trail("one", ", labels: {a: b}, resourceVersion: '"+second.version()+"'") + "  \n"
		s.do("PUT", path, replace(changed, "audit-logs", "other-logs"))
		s.do("PUT", path, trail("one", ", resourceVersion: '"+second.version()+"'"))
		s.do("PUT", path, replace(trail("one", ", resourceVersion: '"+s.version(path)+"'"), "audit-logs", "INVALID_"))
		s.do("PUT", path, trail("one", ", generation: 50, creationTimestamp: '2001-01-01T00:00:00Z', "+
			"deletionTimestamp: '2001-01-01T00:00:00Z', deletionGracePeriodSeconds: 5, resourceVersion: '"+s.version(path)+"'"))
		s.do("PUT", path, trail("one", ", resourceVersion: '"+s.version(path)+"'")+"status: {observedGeneration: 7}")
		s.do("PUT", trails("missing")+"/one", trail("one", ", resourceVersion: '5'"))
		_ = created
	})

	alike("update of the status", func(s *session, namespace string) {
		path := trails(namespace) + "/one"
		s.do("PUT", path+"/status", trail("one", ", resourceVersion: '5'"))
		s.do("POST", trails(namespace), trail("one", ""))
		s.do("GET", path+"/status", nil)
		with := func(more, status string) {
			s.do("PUT", path+"/status", trail("one", ", resourceVersion: '"+s.version(path)+"'"+more)+"status: "+status)
		}
		with("", "{observedGeneration: 1}")
		with("", "{observedGeneration: 1}")
		with(", labels: {a: b}, finalizers: [example.com/f], annotations: {a: b}", "{observedGeneration: 2}")
		with("", "{observedGeneration: text}")
		with("", "{observedGeneration: 1, unknown: 5}")
		with("", "{conditions: [{type: Ready, status: 'True', reason: Yes, message: '', "+
			"lastTransitionTime: '2001-01-01T00:00:00Z'}]}")
		with("", "{conditions: [{type: Ready, status: 'True', reason: Yes, message: '', "+
			"lastTransitionTime: '2001-01-01T00:00:00Z'}, {type: Ready, status: 'True', reason: Yes, message: '', "+
			"lastTransitionTime: '2001-01-01T00:00:00Z'}]}")
		with("", "{conditions: [{type: Ready, status: Perhaps, reason: 'no reason', message: ''}]}")
		with("", "null")
		with("", "[]")
		s.do("PUT", path+"/status", trail("one", ", resourceVersion: '"+s.version(path)+"'"))
		s.do("PUT", path+"/status", trail("one", "")+"status: {observedGeneration: 5}")
		s.do("PUT", path+"/status", trail("one", ", resourceVersion: '1'")+"status: {observedGeneration: 5}")
		invalid := replace(trail("one", ", resourceVersion: '"+s.version(path)+"'"), "audit-logs", "INVALID_")
		s.do("PUT", path+"/status", invalid+"status: {observedGeneration: 6}")
		s.do("POST", path+"/status", trail("one", ""))
		s.do("DELETE", path+"/status", nil)
		s.do("GET", path+"/scale", nil)
	})

	alike("patch", func(s *session, namespace string) {
		path := trails(namespace) + "/one"
		s.do("PATCH", path, `{"spec":{}}`, mergePatch)
		first := s.do("POST", trails(namespace), trail("one", ""))
		for _, patch := range []string{
			`{"metadata":{"labels":{"a":"b","c":"d"}}}`,
			`{"metadata":{"labels":{"a":null}}}`,
			`{"metadata":{"labels":{"a":null}}}`,
			`{"metadata":{"labels":null}}`,
			`{"spec":{"s3KeyPrefix":"x"}}`,
			`{"spec":{"s3KeyPrefix":null}}`,
			`{"spec":{"s3BucketName":null}}`,
			`{"spec":{"s3BucketName":7}}`,
			`{"spec":7}`,
			`{"spec":null}`,
			`{"metadata":{"resourceVersion":"1"}}`,
			`{"metadata":{"resourceVersion":"` + s.version(path) + `","labels":{"x":"y"}}}`,
			`{"metadata":{"uid":"other"}}`,
			`{"metadata":{"uid":"` + first.uid() + `"}}`,
			`{"metadata":{"name":"other"}}`,
			`{"metadata":{"namespace":"other"}}`,
			`{"metadata":{"generation":77}}`,
			`{"metadata":{"deletionTimestamp":"2001-01-01T00:00:00Z"}}`,
			`{"metadata":{"labels":{"a":5}}}`,
			`{"kind":"Other"}`,
			`{"apiVersion":"v1"}`,
			`{"status":{"observedGeneration":9}}`,
			`{}`,
			`[]`,
			`{`,
			`5`,
			``,
		} {
			s.do("PATCH", path, "!"+patch, mergePatch)
		}
		for _, patch := range []string{
			`[{"op":"add","path":"/metadata/labels","value":{"j":"k"}}]`,
			`[{"op":"test","path":"/metadata/labels/j","value":"other"}]`,
			`[{"op":"test","path":"/metadata/labels/j","value":"k"},{"op":"replace","path":"/metadata/labels/j","value":"l"}]`,
			`[{"op":"remove","path":"/metadata/labels/none"}]`,
			`[{"op":"replace","path":"/spec/s3BucketName","value":"INVALID_"}]`,
			`[{"op":"add","path":"/metadata/finalizers","value":["example.com/f"]}]`,
			`[{"op":"remove","path":"/metadata/finalizers"}]`,
			`[{"op":"odd","path":"/metadata/finalizers"}]`,
			`[{"op":"replace","path":"/metadata/resourceVersion","value":"1"}]`,
			`[]`,
			`{`,
		} {
			s.do("PATCH", path, "!"+patch, jsonPatch)
		}
		s.do("PATCH", path+"?dryRun=All", `{"metadata":{"labels":{"dry":"run"}}}`, mergePatch)
		s.do("PATCH", path+"?force=true", `{"metadata":{"labels":{"dry":"run"}}}`, mergePatch)
		s.do("PATCH", path, `{"metadata":{"labels":{"m":"o"}}}`, mergePatch, metadataOnly)
		s.do("GET", path, nil)
	})

	alike("patch of the status", func(s *session, namespace string) {
		path := trails(namespace) + "/one/status"
		s.do("PATCH", path, `{"status":{"observedGeneration":1}}`, mergePatch)
		s.do("POST", trails(namespace), trail("one", ""))
		for _, patch := range []string{
			`{"status":{"observedGeneration":1}}`,
			`{"status":{"observedGeneration":1}}`,
			`{"status":{"observedGeneration":2},"spec":{"s3BucketName":"other-logs"},"metadata":{"labels":{"a":"b"}}}`,
			`{"status":{"observedGeneration":"x"}}`,
			`{"status":null}`,
			`{"metadata":{"resourceVersion":"1"},"status":{"observedGeneration":3}}`,
			`{"metadata":{"resourceVersion":"` + s.version(trails(namespace)+"/one") + `"},"status":{"observedGeneration":4}}`,
			`{"metadata":{"uid":"other"},"status":{"observedGeneration":5}}`,
		} {
			s.do("PATCH", path, patch, mergePatch)
		}
		s.do("PATCH", path, `[{"op":"add","path":"/status/observedGeneration","value":6}]`, jsonPatch)
		s.do("GET", trails(namespace)+"/one", nil)
	})
})
