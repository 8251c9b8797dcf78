package logfilevalidation

import (
	"context"
	"slices"
	"sync"
)

// pool runs tasks in the background, a few at once. Namespaces take turns, and so do the tasks of a namespace.
type pool struct {
	atOnce int

	mu      sync.Mutex
	waiting []*task
	running map[*task]struct{}
	// served are how many turns each namespace with tasks has had.
	served map[string]int
	// changed says that there may be a task to begin.
	changed chan struct{}
}

// task is work that the pool does in one or more turns.
type task struct {
	namespace string
	// work works for a turn, and returns whether there is more to do. yield tells whether others wait.
	work func(ctx context.Context, yield func() bool) (more bool)
	// cancel ends the turn that is under way; nil: there is none. ended says that there is to be none any more.
	cancel context.CancelFunc
	ended  bool
}

func newPool(atOnce int) *pool {
	return &pool{
		atOnce: atOnce, running: map[*task]struct{}{}, served: map[string]int{}, changed: make(chan struct{}, 1),
	}
}

// add has the pool run a task.
func (p *pool) add(t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.served[t.namespace]; !ok {
		p.served[t.namespace] = p.fewestTurns() // Whoever comes later has no claim to turns of the past.
	}
	p.waiting = append(p.waiting, t)
	p.tell()
}

// end cancels a task. It may go on for a moment.
func (p *pool) end(t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.ended = true
	if t.cancel != nil {
		t.cancel()
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(other *task) bool { return other == t })
	p.forget(t.namespace)
}

// run runs tasks until the context ends, and returns when none is running any more.
func (p *pool) run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		for t := p.next(); t != nil; t = p.next() {
			turn, cancel := context.WithCancel(ctx)
			p.begin(t, cancel)
			group.Go(func() {
				defer cancel()
				p.done(t, t.work(turn, p.busy))
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		}
	}
}

// next takes the task whose turn it is; nil: there is none, or enough are running.
func (p *pool) next() *task {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 || len(p.running) >= p.atOnce {
		return nil
	}

	first := 0
	for i, t := range p.waiting {
		if p.served[t.namespace] < p.served[p.waiting[first].namespace] {
			first = i
		}
	}
	t := p.waiting[first]
	p.waiting = slices.Delete(p.waiting, first, first+1)
	p.running[t] = struct{}{}
	p.served[t.namespace]++
	return t
}

// begin notes how a turn is canceled.
func (p *pool) begin(t *task, cancel context.CancelFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.cancel = cancel
	if t.ended {
		cancel()
	}
}

// done ends a turn.
func (p *pool) done(t *task, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, t)
	t.cancel = nil
	if more && !t.ended {
		p.waiting = append(p.waiting, t)
	}
	p.forget(t.namespace)
	p.tell()
}

// busy tells whether tasks wait for others to end.
func (p *pool) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting) > 0
}

// fewestTurns returns the fewest turns that any namespace has had. The caller holds the lock.
func (p *pool) fewestTurns() int {
	fewest := -1
	for _, turns := range p.served {
		if fewest < 0 || turns < fewest {
			fewest = turns
		}
	}
	return max(fewest, 0)
}

// forget forgets the turns of a namespace without tasks. The caller holds the lock.
func (p *pool) forget(namespace string) {
	for t := range p.running {
		if t.namespace == namespace {
			return
		}
	}
	if !slices.ContainsFunc(p.waiting, func(t *task) bool { return t.namespace == namespace }) {
		delete(p.served, namespace)
	}
}

// tell wakes run. The caller holds the lock.
func (p *pool) tell() {
	select {
	case p.changed <- struct{}{}:
	default: // It is known already.
	}
}
