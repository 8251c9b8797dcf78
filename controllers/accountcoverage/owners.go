package accountcoverage

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// owners are what the identities of accounts say of their own trails, by the trails' ARNs.
type owners map[string]*v1alpha1.AssessedTrail

// owners returns what identities know of the trails of an organization that their accounts own. What a member says of
// them does not count, which may have it from an owner, nor what is too old.
func (r *Reconciler) owners(ctx context.Context) (owners, error) {
	var identities v1alpha1.AWSIdentityList
	if err := r.Client.List(ctx, &identities, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing AWSIdentities: %w", err)
	}

	known, latest := owners{}, map[string]time.Time{}
	for i := range identities.Items {
		identity := &identities.Items[i]
		assessed := identity.Status.Coverage
		if !identity.DeletionTimestamp.IsZero() || assessed == nil || r.Now().Sub(assessed.AssessedTime.Time) > believed {
			continue
		}
		for j := range assessed.Trails {
			t := &assessed.Trails[j]
			isOwners := v1alpha1.IsTrue(t.Organization) && ownerOf(t.ARN) == identity.Status.AccountID
			if isOwners && assessed.AssessedTime.After(latest[t.ARN]) {
				known[t.ARN], latest[t.ARN] = t, assessed.AssessedTime.Time
			}
		}
	}
	return known, nil
}
