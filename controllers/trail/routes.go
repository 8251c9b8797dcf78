package trail

import (
	"cmp"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// routes tell which Trails an event of AWS concerns: by the ARN of their trail, and by what that depends on. They are
// empty until somebody asks, as most operators receive no events: for 10,000 Trails they take megabytes.
type routes struct {
	mu sync.Mutex
	// asked says that somebody does, and that all Trails have their places.
	asked  bool
	places map[types.NamespacedName][]string
	trails map[string][]types.NamespacedName
}

// of returns the Trails at a place. all returns all Trails, for the first time.
func (r *routes) of(place string, all func() []v1alpha1.Trail) []types.NamespacedName {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked {
		r.asked = true
		r.places, r.trails = map[types.NamespacedName][]string{}, map[string][]types.NamespacedName{}
		trails := all()
		for i := range trails {
			r.put(&trails[i])
		}
	}
	return slices.Clone(r.trails[place])
}

// put gives a Trail its places. The caller holds the lock.
func (r *routes) put(trail *v1alpha1.Trail) {
	key := client.ObjectKeyFromObject(trail)
	places := placesOf(trail)
	if slices.Equal(places, r.places[key]) {
		return
	}
	r.remove(key)
	r.places[key] = places
	for _, place := range places {
		r.trails[place] = append(r.trails[place], key)
	}
}

// remove takes a Trail from its places. The caller holds the lock.
func (r *routes) remove(key types.NamespacedName) {
	for _, place := range r.places[key] {
		r.trails[place] = slices.DeleteFunc(r.trails[place], func(k types.NamespacedName) bool { return k == key })
		if len(r.trails[place]) == 0 {
			delete(r.trails, place)
		}
	}
	delete(r.places, key)
}

// placesOf returns where events concern a Trail, each place once. Before it is known in which account its trail is,
// there is nothing to be heard of.
func placesOf(trail *v1alpha1.Trail) []string {
	account, region := home(trail)
	if account == "" {
		return nil
	}
	arn := cmp.Or(trail.Status.TrailARN, cloudtrail.TrailARN(region, account, trail.TrailName()))
	places := append(cloudtrail.Dependencies(&trail.Spec, account, region, trail.Status.KMSKeyARN), arn)
	slices.Sort(places)
	return slices.Compact(places)
}

// follow keeps a Trail's places as it is now.
func (r *routes) follow(trail *v1alpha1.Trail) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked {
		r.put(trail)
	}
}

// forget takes a Trail that is gone from its places.
func (r *routes) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(key)
}
