package simulation

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"

	"github.com/trail-operator/trail-operator/controllers/operator"
)

// process is one of the operator. All that it knows is lost with it.
type process struct {
	name      string
	world     *World
	scheduler *scheduler
	registry  *prometheus.Registry
	begun     time.Time
	stop      context.CancelFunc
	// ended gets the operator's error when it has ended.
	ended chan error
	dead  atomic.Bool

	// frozen says that the process stands still: it gets no answers and sends nothing. held are the requests that it would
	// have sent since, and arrived the answers that wait.
	frozen bool
	// asked is when the process has asked AWS last whose its credentials are, and askedBefore when it had before they led
	// to another account.
	asked, askedBefore time.Time
	// owners are the owner tags of trails, by ARN, as the process was last told about a single trail.
	owners        map[string]string
	held, arrived []*request
	thawed        chan struct{}
}

// start starts the operator.
func (w *World) start() {
	w.processes++
	ctx, stop := context.WithCancel(w.ctx)
	p := &process{
		name:      fmt.Sprintf("operator-%d", w.processes),
		world:     w,
		scheduler: w.scheduler,
		registry:  prometheus.NewRegistry(),
		begun:     time.Now(),
		stop:      stop,
		ended:     make(chan error, 1),
		owners:    map[string]string{},
	}
	arguments := []string{
		"--metrics-bind-address=0", "--health-probe-bind-address=0", "--aws-rate-limits=on",
		"--resync-interval=" + w.shape.Resync.String(),
		"--leader-election-namespace=kube-system", "--leader-elect=" + fmt.Sprint(w.shape.LeaderElection),
	}
	options := operator.Options{Version: "simulated"}
	set := flag.NewFlagSet(p.name, flag.ContinueOnError)
	options.BindFlags(set)
	if err := set.Parse(arguments); err != nil {
		w.note("%s cannot start: %v", p.name, err)
		return
	}

	environment := operator.Environment{
		Cluster: w.cluster(p), AWS: w.aws(p), Metrics: p.registry, Shared: true,
	}
	w.note("%s starts", p.name)
	w.alive = append(w.alive, p)
	go func() {
		err := operator.RunIn(ctx, environment, options)
		p.ended <- err
		w.scheduler.submit(&request{link: &link{process: p}, key: p.name + " ends", operation: ending, err: err})
	}()
}

// cluster returns a configuration that leads to the API server.
func (w *World) cluster(p *process) *rest.Config {
	config := w.api.Config()
	config.Transport = &link{
		process: p, name: "api", server: w.api, conditions: func() conditions { return w.apiNetwork }, around: w.aroundAPI,
	}
	return config
}

// aws returns a configuration that leads to the emulated AWS.
func (w *World) aws(p *process) aws.Config {
	config := w.awsConfig.Copy()
	config.HTTPClient = &http.Client{Timeout: clientTimeout, Transport: &link{
		process: p, name: "aws", server: w.emulator.Client().Transport,
		conditions: func() conditions { return w.awsNetwork }, around: w.aroundAWS,
	}}
	return config
}

func (p *process) isDead() bool { return p.dead.Load() }

// crash ends the process at once. What it has sent may still arrive.
func (w *World) crash(p *process) {
	if p.isDead() {
		return
	}
	w.note("%s crashes", p.name)
	w.bury(p)
}

// bury lets a dead process end, which nothing more is heard of. One that is still starting ends when it has started:
// until then controller-runtime's manager would wait for its own parts by spinning.
func (w *World) bury(p *process) {
	p.dead.Store(true)
	p.thaw()
	w.forget(p)
	w.scheduler.at(p.begun.Add(starting), p.stop)
}

// starting is how long a process takes to start, at most: caches that do not fill end it after two minutes.
const starting = 3 * time.Minute

// restarted is how long the kubelet waits before it starts a process again that has ended by itself.
const restarted = 10 * time.Second

// ended takes note of a process that has ended. One that nobody has stopped is started again.
func (w *World) ended(p *process, err error) {
	if !slices.Contains(w.alive, p) {
		return
	}
	w.note("%s has ended: %v", p.name, err)
	w.forget(p)
	p.dead.Store(true)
	w.scheduler.after(restarted, func() { w.start() })
}

// terminate asks the process to end, as the kubelet does.
func (w *World) terminate(p *process) {
	w.note("%s is told to end", p.name)
	if time.Since(p.begun) < starting {
		w.bury(p) // It has done nothing yet that has to be completed.
		return
	}
	p.stop()
	w.forget(p)
}

// freeze lets the process stand still.
func (w *World) freeze(p *process) {
	if p.isDead() || p.frozen {
		return
	}
	w.note("%s freezes", p.name)
	p.frozen, p.thawed = true, make(chan struct{})
}

// thaw lets it go on: what was answered arrives, and what it was about to send was not sent. Whether it notices first
// what was answered or how late it is, is left to chance.
func (p *process) thaw() {
	if !p.frozen {
		return
	}
	p.frozen = false
	late := p.scheduler.chance(p.name+" thaws").IntN(2) == 0
	if late {
		close(p.thawed)
	}
	for _, r := range p.arrived {
		r.answer(r.response, r.err)
	}
	if !late {
		close(p.thawed)
	}
	for _, r := range p.held {
		r.answer(nil, errReset)
	}
	p.arrived, p.held = nil, nil
}

// wait waits for the answer to a request. A process that stands still does not notice that the time for it is over.
func (p *process) wait(ctx context.Context, r *request) (*http.Response, error) {
	select {
	case <-r.answered:
	case <-ctx.Done():
		if frozen := p.thawed; frozen != nil {
			<-frozen
		}
		select {
		case <-r.answered:
		default:
			r.over = true
			return nil, context.Cause(ctx)
		}
	}
	return r.response, r.err
}
