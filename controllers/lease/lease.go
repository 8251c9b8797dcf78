// Package lease is the leader election's lease, which also tells whether this process may still act as the leader.
package lease

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

const (
	// Duration is how long other replicas wait for the leader to renew the lease before one of them leads.
	Duration = 15 * time.Second
	// RenewDeadline is how long the leader tries to renew the lease before it gives up.
	RenewDeadline = 10 * time.Second
	// RetryPeriod is how often it tries.
	RetryPeriod = 2 * time.Second
)

// Lock is the lease that replicas compete for.
//
// A process that is frozen, or starved of processor time, finds out that it does not lead any more only some time after
// it goes on. Held tells it at once: another replica leads no earlier than Duration after the lease was last renewed.
type Lock struct {
	resourcelock.Interface
	// renewed is when the last renewal that succeeded was begun; nil: the lease is not held.
	renewed atomic.Pointer[time.Time]
}

// namespaceFile is where a pod finds its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// New returns the lease of that name; the namespace "" is the pod's.
func New(config *rest.Config, namespace, name string) (*Lock, error) {
	if namespace == "" {
		own, err := os.ReadFile(namespaceFile)
		if err != nil {
			return nil, fmt.Errorf("finding the namespace of the leader election's lease "+
				"(outside of a cluster, set --leader-election-namespace): %w", err)
		}
		namespace = strings.TrimSpace(string(own))
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("finding the name of this host: %w", err)
	}

	// Who leads is in the lease itself, in the logs and in a metric: it needs no events.
	identity := resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())}
	inner, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, name, identity,
		rest.AddUserAgent(config, "leader-election"), RenewDeadline)
	if err != nil {
		return nil, fmt.Errorf("creating the leader election's lease: %w", err)
	}
	return &Lock{Interface: inner}, nil
}

// Create implements resourcelock.Interface.
func (l *Lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(record, func() error { return l.Interface.Create(ctx, record) })
}

// Update implements resourcelock.Interface.
func (l *Lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(record, func() error { return l.Interface.Update(ctx, record) })
}

// write writes the lease, and notes what that says of who holds it.
func (l *Lock) write(record resourcelock.LeaderElectionRecord, write func() error) error {
	mine := record.HolderIdentity == l.Identity()
	if !mine {
		l.renewed.Store(nil) // It is being released: another process may hold it before the answer is here, or without one.
	}
	begun := time.Now()
	err := write()
	if err == nil && mine {
		l.renewed.Store(&begun)
	}
	return err
}

// Held returns nil while no other replica can lead, and cloudtrail.ErrNotLeading when one may. It goes by the wall
// clock, too, as the other may stand still while the machine is suspended.
func (l *Lock) Held() error {
	renewed := l.renewed.Load()
	if renewed == nil {
		return cloudtrail.ErrNotLeading
	}
	now := time.Now()
	if now.Sub(*renewed) >= Duration || now.Round(0).Sub(renewed.Round(0)) >= Duration {
		return cloudtrail.ErrNotLeading
	}
	return nil
}
