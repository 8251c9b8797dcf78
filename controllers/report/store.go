package report

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// syncTimeout is how long the cache of a kind may take until it has all of its reports.
const syncTimeout = time.Minute

// store is the reports of one kind about one kind of object.
type store struct {
	kind    kind
	subject subject
	// namespaces are those to work in; none: all.
	namespaces []string
	config     *rest.Config
	httpClient *http.Client
	// live reads and writes at the API server.
	live client.Client
	now  func() time.Time
	// wrote is told of each write, by its verb.
	wrote func(kind, verb string)
	// changed is told whose report has changed, or is gone.
	changed func(types.NamespacedName)
	// failed is told that the reports cannot be watched.
	failed func(error)

	mu sync.RWMutex
	// cached are the reports as they are in the cache; nil while the kind is not served.
	cached client.Reader
	stop   func()
}

// connect makes the store able to read and write.
func (s *store) connect() error {
	var err error
	s.live, err = client.New(s.config, client.Options{
		Scheme: s.scheme(), Mapper: s.kind.mapper(), HTTPClient: s.httpClient,
	})
	if err != nil {
		return fmt.Errorf("creating a client for %s: %w", s.kind.Kind, err)
	}
	return nil
}

// scheme knows the one kind.
func (s *store) scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypeWithName(s.kind.GroupVersionKind, &Report{})
	scheme.AddKnownTypeWithName(s.kind.GroupVersion().WithKind(s.kind.Kind+"List"), &List{})
	metav1.AddToGroupVersion(scheme, s.kind.GroupVersion())
	return scheme
}

// open fills the cache and keeps it up to date, until the context ends or the store is closed.
func (s *store) open(ctx context.Context) error {
	reports, err := cache.New(s.config, s.cacheOptions())
	if err != nil {
		return fmt.Errorf("creating a cache: %w", err)
	}
	informer, err := reports.GetInformer(ctx, &Report{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("creating a watch: %w", err)
	}
	if _, err := informer.AddEventHandler(s.handler()); err != nil {
		return fmt.Errorf("creating a watch: %w", err)
	}

	running, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { _ = reports.Start(running) }) //nolint:errcheck // It returns none that is not told to failed.
	stop := func() { cancel(); ended.Wait() }

	syncing, done := context.WithTimeout(running, syncTimeout)
	defer done()
	if !reports.WaitForCacheSync(syncing) {
		stop()
		return errors.New("reading the reports took too long, or failed")
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.cached, s.stop = reports, stop
	return nil
}

func (s *store) cacheOptions() cache.Options {
	options := cache.Options{
		Scheme: s.scheme(), Mapper: s.kind.mapper(), HTTPClient: s.httpClient,
		DefaultLabelSelector: labels.SelectorFromSet(labels.Set{managedBy: source}),
		DefaultTransform:     stripForCache,
		DefaultWatchErrorHandler: func(_ context.Context, _ *toolscache.Reflector, err error) {
			s.failed(err)
		},
	}
	if s.kind.namespaced && len(s.namespaces) > 0 {
		options.DefaultNamespaces = map[string]cache.Config{}
		for _, namespace := range s.namespaces {
			options.DefaultNamespaces[namespace] = cache.Config{}
		}
	}
	return options
}

// handler tells whose report has changed.
func (s *store) handler() toolscache.ResourceEventHandler {
	tell := func(object any) {
		if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		report, ok := object.(*Report)
		if !ok {
			return
		}
		if owner := metav1.GetControllerOf(report); owner != nil && owner.Kind == s.subject.kind {
			s.changed(types.NamespacedName{Namespace: report.Namespace, Name: owner.Name})
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: tell, UpdateFunc: func(before, after any) { tell(before); tell(after) }, DeleteFunc: tell,
	}
}

// close ends the watch, and forgets the reports.
func (s *store) close() {
	s.mu.Lock()
	stop := s.stop
	s.cached, s.stop = nil, nil
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// reader returns the cache; nil while the kind is not served.
func (s *store) reader() client.Reader {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.cached
}

// write makes the report of an object say these results. It asks the API server for nothing if the cache has it so, and
// does nothing while the kind is not served. It returns a *takenError for a name that is somebody else's.
func (s *store) write(ctx context.Context, object client.Object, results []Result) error {
	reports := s.reader()
	if reports == nil {
		return nil
	}
	key := client.ObjectKey{Namespace: object.GetNamespace(), Name: s.subject.reportName(object)}
	cached := &Report{}
	err := client.IgnoreNotFound(reports.Get(ctx, key, cached, client.UnsafeDisableDeepCopy))
	if err != nil {
		return fmt.Errorf("reading %s %s from the cache: %w", s.kind.Kind, key, err)
	}
	if len(results) == 0 {
		return s.remove(ctx, cached, object)
	}

	wanted := &Report{}
	s.kind.fill(wanted, s.subject, object, results, s.now())
	if cached.digest == wanted.sum() {
		return nil
	}
	return s.put(ctx, key, object, results)
}

// put creates or updates a report. The API server is asked for it as it is: the cache does not have its times, and may
// be behind.
func (s *store) put(ctx context.Context, key client.ObjectKey, object client.Object, results []Result) error {
	report := &Report{}
	err := s.live.Get(ctx, key, report)
	if apierrors.IsNotFound(err) {
		report.Namespace, report.Name = key.Namespace, key.Name
		s.kind.fill(report, s.subject, object, results, s.now())
		return s.done("create", s.live.Create(ctx, report))
	}
	if err != nil {
		return fmt.Errorf("reading %s %s: %w", s.kind.Kind, key, err)
	}
	if err := s.subject.checkOwner(s.kind, report, object); err != nil {
		return err
	}

	before := report.sum()
	s.kind.fill(report, s.subject, object, results, s.now())
	if report.sum() == before {
		return nil
	}
	return s.done("update", s.live.Update(ctx, report))
}

// remove deletes the report of an object that has nothing to report any more.
func (s *store) remove(ctx context.Context, cached *Report, object client.Object) error {
	if owner := metav1.GetControllerOf(cached); owner == nil || owner.UID != object.GetUID() {
		return nil
	}
	read := client.Preconditions{UID: &cached.UID, ResourceVersion: &cached.ResourceVersion}
	return s.done("delete", client.IgnoreNotFound(s.live.Delete(ctx, cached, read)))
}

// done tells of a write.
func (s *store) done(verb string, err error) error {
	if err != nil {
		return fmt.Errorf("%s of a %s: %w", verb, s.kind.Kind, err)
	}
	s.wrote(s.kind.Kind, verb)
	return nil
}
