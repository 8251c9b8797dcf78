package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/client-go/rest"
)

// Options are what a Server is made of. The zero value is a server without custom resources.
type Options struct {
	// CRDs are the custom resources that the server has, each with one version that is served and stored. They are
	// compiled once in a process; two servers with the same CRDs share what comes of it. They must not be changed.
	CRDs []*apiextensionsv1.CustomResourceDefinition
	// Seed chooses UIDs and generated names. Servers with the same seed and the same requests in the same order give the
	// same answers.
	Seed uint64
	// Now is the time of the server; nil: time.Now, which is virtual in a synctest bubble.
	Now func() time.Time
	// HoldWatches leaves it to the caller of Watches what is delivered when, and when a watch ends. Without it, events
	// are delivered as they happen, and a watch ends with its timeoutSeconds.
	HoldWatches bool
	// Lag is asked when a read may be answered from the past, as by a watch cache that lags behind: a get, list or watch
	// with resourceVersion=0, and a list or watch with resourceVersionMatch=NotOlderThan. It says how many resource
	// versions behind the answer is. An answer never is older than the request allows or than Compact has left. It may be
	// older than what this server has shown before, as with several kube-apiservers. Nil: no lag. It is called while the
	// server is locked and must not call it.
	Lag func() uint64
}

// Server is an API server in memory. It is safe for concurrent use.
type Server struct {
	options   Options
	resources []*resource

	mutex    sync.Mutex
	random   *rand.Rand
	revision uint64
	// compacted is the oldest resource version from which a watch can start.
	compacted uint64
	tables    map[schema.GroupResource]*table
	watches   []*Watch
	opened    int
	requests  map[Request]int
}

// systemNamespaces are in every new cluster.
var systemNamespaces = []string{
	metav1.NamespaceDefault, corev1.NamespaceNodeLease, metav1.NamespacePublic, metav1.NamespaceSystem,
}

// New returns a server that has the system's namespaces and nothing else.
func New(options Options) (*Server, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	known, err := builtin()
	if err != nil {
		return nil, err
	}
	resources := slices.Clone(known)
	for _, crd := range options.CRDs {
		custom, err := compile(crd)
		if err != nil {
			return nil, fmt.Errorf("CustomResourceDefinition %s: %w", crd.Name, err)
		}
		resources = append(resources, custom)
	}

	s := &Server{
		options:   options,
		resources: resources,
		random:    rand.New(rand.NewPCG(options.Seed, options.Seed)),
		revision:  1,
		compacted: 1,
		tables:    map[schema.GroupResource]*table{},
		requests:  map[Request]int{},
	}
	for _, resource := range resources {
		if s.tables[resource.GroupResource()] != nil {
			return nil, fmt.Errorf("there are two resources %s", resource.GroupResource())
		}
		s.tables[resource.GroupResource()] = newTable(resource)
	}

	for _, name := range systemNamespaces {
		if err := s.addNamespace(name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// addNamespace creates a namespace, not counted as a request.
func (s *Server) addNamespace(name string) error {
	body, err := json.Marshal(metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
	})
	if err != nil {
		return err
	}

	s.mutex.Lock()
	defer s.mutex.Unlock()
	table := s.tables[schema.GroupResource{Resource: "namespaces"}]
	r := newRequest(context.Background(), "create", table, "")
	r.body = body
	if _, err := s.create(r); err != nil {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	return nil
}

// Config returns the configuration of a client. All its requests are answered in the goroutine of the caller, without a
// network. It has no limit of its own on requests.
func (s *Server) Config() *rest.Config {
	return &rest.Config{
		Host:          "http://apiserver.simulation",
		Transport:     s,
		ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON, AcceptContentTypes: runtime.ContentTypeJSON},
		QPS:           -1,
	}
}

// RoundTrip implements http.RoundTripper. A request whose context has ended is not served. The answer to a watch has a
// body that waits for events in Read; all other answers are complete.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}

	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.serve(r, body), nil
}

// Compact forgets the past: a watch or list from an older resource version than the current one is answered with 410
// Expired from now on. Watches that are open keep what they have not delivered yet.
func (s *Server) Compact() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.compacted = s.revision
	for _, table := range s.tables {
		table.compact(s.compacted)
	}
}

// ResourceVersion returns the resource version of the latest change.
func (s *Server) ResourceVersion() uint64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.revision
}

// parseVersion reads a resource version; none is 0.
func parseVersion(text string) (uint64, error) {
	return storage.APIObjectVersioner{}.ParseResourceVersion(text)
}

func formatVersion(version uint64) string { return strconv.FormatUint(version, 10) }
