// Package apiserver is a Kubernetes API server in memory, for simulations and tests: what client-go and
// controller-runtime ask, this answers as kube-apiserver does, in the goroutine of the caller, without a network.
//
// It serves Namespaces, Leases, Events (events.k8s.io/v1) and the custom resources of given CRDs, with discovery, all
// verbs, the status subresource, optimistic locks, finalizers, generations, selectors, watches from any resource
// version and with initial events, and answers of metadata only. Custom resources are pruned, defaulted and validated
// by k8s.io/apiextensions-apiserver, metadata by k8s.io/apimachinery, and k8s.io/apiserver says what a create, an
// update and a deletion do to an object. The tests run the same requests against a kube-apiserver and compare all
// answers.
//
// # Determinism
//
// A Server starts no goroutine. It has a timer only while somebody waits for a watch that has a timeout. With the same
// Options and the same requests in the same order it gives the same answers. Made inside a testing/synctest bubble, it
// stays in the bubble, and all that waits for it is durably blocked. It knows no fault but those that its caller wants:
// Options.HoldWatches leaves it to the caller when each event of each watch is delivered, Options.Lag answers reads
// from the past, Compact forgets the past, and what happens to single requests is up to an http.RoundTripper around it.
//
// # What is different
//
//   - There is no authentication, no authorization, no admission but that of namespaces, no priority and fairness, no
//     audit, and no limit on the size of an object but that of a request.
//   - There are no managedFields: they are removed from what is written. There is no server-side apply.
//   - It speaks JSON only: no YAML, protobuf, CBOR, tables, OpenAPI, and no aggregated discovery; clients do without.
//   - A CRD has one version. Selectable fields and the subresource scale are not served. CRDs are no objects and do not
//     change.
//   - Events are in events.k8s.io/v1 only, not in v1, and do not expire after an hour.
//   - Nothing acts by itself: a deleted Namespace stays Terminating, with its content, until CollectNamespaces; owners
//     and their dependents are not collected.
//   - Bookmarks are sent at the end of initial events and by Watch.Bookmark, not every minute. Without a timeout of the
//     client's a watch does not end by itself.
//   - A request for a resource version that is yet to come is refused at once, not after 3 seconds. A watch from one
//     waits for it, as for any other.
//   - An owner reference that is there twice is kept twice. One that lacks something is refused in the words of the
//     libraries of go.mod, which are of a later minor version than the kube-apiserver that the tests compare with.
//   - What is wrong with an object is listed in an order that does not depend on chance.
//   - A strategic merge patch that does not fit the type is refused with other words.
package apiserver
