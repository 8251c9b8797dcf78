package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// presence follows whether the API server serves the kind of a store, and this process may read its reports. It opens
// and closes the store.
type presence struct {
	store    *store
	interval time.Duration
	log      logr.Logger
	// opened is called when the store is open, so that all reports are written that are due.
	opened func(context.Context) error
	// served is told whether the store is open.
	served func(kind string, served bool)

	discovery rest.Interface
	// failed has something in it when the watch has failed.
	failed chan struct{}
	// told is what was logged last.
	told string
}

// errNotServed means that the API server does not know the kind.
var errNotServed = errors.New("the API server does not serve it: install its CRD to get reports")

// connect makes the presence able to ask.
func (p *presence) connect(config *rest.Config) error {
	client, err := discovery.NewDiscoveryClientForConfigAndClient(config, p.store.httpClient)
	if err != nil {
		return fmt.Errorf("creating a client for the discovery: %w", err)
	}
	p.discovery = client.RESTClient()
	return nil
}

// Start implements manager.Runnable. It asks from time to time, and when the watch fails: there is no watch for what an
// API server serves without the right to read all CRDs.
func (p *presence) Start(ctx context.Context) error {
	defer p.store.close()
	ticks := time.NewTicker(p.interval)
	defer ticks.Stop()
	for {
		p.follow(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-p.failed:
		case <-ticks.C:
		}
	}
}

// watchFailed makes the presence ask again.
func (p *presence) watchFailed(err error) {
	p.log.V(1).Info("reports cannot be watched", "error", err.Error())
	select {
	case p.failed <- struct{}{}:
	default:
	}
}

// follow opens the store when the kind is served, and closes it when it is not. An API server that does not answer says
// neither.
func (p *presence) follow(ctx context.Context) {
	err := p.ask(ctx)
	isOpen := p.store.reader() != nil
	switch {
	case err == nil && !isOpen:
		err = p.open(ctx)
	case errors.Is(err, errNotServed) || apierrors.IsForbidden(err):
		p.store.close()
	case err != nil && isOpen:
		return
	}
	if ctx.Err() != nil {
		return
	}
	p.tell(err)
}

func (p *presence) open(ctx context.Context) error {
	if err := p.store.open(ctx); err != nil {
		return err
	}
	return p.opened(ctx)
}

// tell logs what has changed, once.
func (p *presence) tell(err error) {
	p.served(p.store.kind.Kind, err == nil)
	state := "served"
	if err != nil {
		state = err.Error()
	}
	if state == p.told {
		return
	}
	p.told = state
	if err != nil {
		p.log.Info("no reports are written", "kind", p.store.kind.Kind, "reason", state)
		return
	}
	p.log.Info("reports are written", "kind", p.store.kind.Kind)
}

// ask returns nil when the kind is served and may be read, errNotServed when it is not served.
func (p *presence) ask(ctx context.Context) error {
	kind := p.store.kind
	var resources metav1.APIResourceList
	err := p.discovery.Get().AbsPath("/apis/" + kind.GroupVersion().String()).Do(ctx).Into(&resources)
	if apierrors.IsNotFound(err) {
		return errNotServed
	}
	if err != nil {
		return fmt.Errorf("asking the API server for %s: %w", kind.GroupVersion(), err)
	}
	if !slices.ContainsFunc(resources.APIResources, func(r metav1.APIResource) bool { return r.Name == kind.plural() }) {
		return errNotServed
	}

	namespaces := p.store.namespaces
	if len(namespaces) == 0 || !kind.namespaced {
		namespaces = []string{metav1.NamespaceAll}
	}
	for _, namespace := range namespaces {
		if err := p.mayList(ctx, namespace); err != nil {
			return err
		}
	}
	return nil
}

// mayList returns an error when the reports of a namespace cannot be read.
func (p *presence) mayList(ctx context.Context, namespace string) error {
	one := &List{}
	err := p.store.live.List(ctx, one, client.InNamespace(namespace), client.MatchingLabels{managedBy: source},
		client.Limit(1))
	if apierrors.IsNotFound(err) {
		return errNotServed
	}
	return err
}
