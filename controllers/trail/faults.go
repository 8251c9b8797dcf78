package trail

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// faults remembers since when each trail meets passing faults, so that they are shown only when they last. It is lost with
// the process, which just shows them later.
type faults struct {
	mu    sync.Mutex
	began map[types.NamespacedName]time.Time
}

// since returns how long faults have lasted, from the first on.
func (f *faults) since(key types.NamespacedName, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	began, ok := f.began[key]
	if !ok {
		f.began[key] = now
		return 0
	}
	return now.Sub(began)
}

// end forgets the faults of a trail.
func (f *faults) end(key types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.began, key)
}
