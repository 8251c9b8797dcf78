package simulation

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/simulation/apiserver"
)

// World is a cluster, its AWS accounts, and those who work in them.
type World struct {
	ctx       context.Context
	shape     Shape
	scheduler *scheduler
	api       *apiserver.Server
	user      client.Client
	emulator  *cloudtrailtest.Server
	awsConfig aws.Config
	truth     *truth

	processes int
	alive     []*process
	// apiNetwork and awsNetwork are how the networks are now, and watchDelay is how late watches may be.
	apiNetwork, awsNetwork conditions
	watchDelay             time.Duration
	// worst is how long a request took at most lately, and emulatorLag how far behind the truth reads may be.
	worst, emulatorLag time.Duration
	// settled counts the changes of the networks.
	settled int
	// apiTrouble says that requests to the API server may fail, or have failed lately.
	apiTrouble bool
	// versions are those of each Trail, by name, the oldest first.
	versions  map[string][]version
	clusterID string
	// skew is how far the clock of AWS is from that of the operator.
	skew time.Duration
	// leader is the process that holds the leader election's lease, and leadsSince is since when.
	leader     *process
	leadsSince time.Time
	// moved is when the operator's own credentials began to lead to another account.
	moved time.Time
	// serving is the request that AWS is at.
	serving *request
	// traps are what happens right before or after the operator's next call about a trail, or to the API server.
	traps []*trap
	// delivering are the watches to which the next event is planned.
	delivering  map[*apiserver.Watch]bool
	seenVersion uint64

	// history is a digest of all that has happened, and lines are the last lines of it.
	mu        sync.Mutex
	history   uint64
	lines     []string
	log       func(string)
	quiet     bool
	violation *Violation
}

// newWorld makes the world of a seed.
func newWorld(ctx context.Context, seed uint64, shape Shape, log func(string)) (*World, error) {
	w := &World{
		ctx:        ctx,
		shape:      shape,
		scheduler:  newScheduler(seed),
		log:        log,
		delivering: map[*apiserver.Watch]bool{},
		versions:   map[string][]version{},
		apiNetwork: calm(apiLatency),
		awsNetwork: calm(awsLatency),
		watchDelay: apiLatency,
	}
	crds, err := readCRDs()
	if err != nil {
		return nil, err
	}
	if w.api, err = apiserver.New(apiserver.Options{CRDs: crds, Seed: seed, HoldWatches: true}); err != nil {
		return nil, err
	}
	w.emulator = cloudtrailtest.New(cloudtrailtest.Options{
		Now:  func() time.Time { return time.Now().Add(w.skew) },
		Seed: int64(seed>>1) + 1, OpenResources: true, NoCallLog: true, DeliveryInterval: 5 * time.Minute,
		HistoryLag: time.Minute, HistoryLagMax: 5 * time.Minute, EventDelay: 300 * time.Millisecond,
		ShortPolls: true, Forwarding: promptly,
	})
	w.truth = newTruth(w)
	w.emulator.OnWrite(w.truth.wrote)
	w.awsConfig, err = awsConfig(ctx)
	if err != nil {
		return nil, err
	}

	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	if w.user, err = client.New(w.api.Config(), client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	w.scheduler.before = w.deliverWatches
	return w, w.furnish()
}

// awsConfig is the operator's own, but for the credentials and the network.
func awsConfig(ctx context.Context) (aws.Config, error) {
	config, err := cloudtrail.LoadConfig(ctx, regions[0])
	if err != nil {
		return config, err
	}
	config.Credentials = credentials.NewStaticCredentialsProvider(ownKey, ownKey, "")
	config.HTTPClient = http.DefaultClient
	retryer := config.Retryer
	config.Retryer = func() aws.Retryer { return steady{retryer()} }
	return config, nil
}

// steady waits before a retry for a time that is not random: what is random is the network.
type steady struct{ aws.Retryer }

// RetryDelay implements aws.Retryer.
func (steady) RetryDelay(attempt int, _ error) (time.Duration, error) {
	return min(300*time.Millisecond<<min(attempt, 10), 20*time.Second), nil
}

// readCRDs reads the custom resource definitions of this repository, once.
var readCRDs = sync.OnceValues(func() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	files, err := filepath.Glob(filepath.Join("..", "..", "config", "crd", "bases", "*.yaml"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no CRDs in config/crd/bases: %w", err)
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(content, crd); err != nil {
			return nil, err
		}
		crds = append(crds, crd)
	}
	return crds, nil
})

// furnish makes what is there before anybody comes: namespaces and identities.
func (w *World) furnish() error {
	system := &corev1.Namespace{}
	if err := w.user.Get(w.ctx, client.ObjectKey{Name: "kube-system"}, system); err != nil {
		return err
	}
	w.clusterID = string(system.UID)
	for _, team := range teams {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: team, Labels: map[string]string{"team": team}}}
		if err := w.user.Create(w.ctx, namespace); err != nil {
			return err
		}
	}

	for i := range accounts {
		identity := identityOf(i)
		if w.shape.Events && i == 0 {
			identity.Spec.EventQueueURL = eventQueue.URL()
		}
		if err := w.user.Create(w.ctx, identity); err != nil {
			return err
		}
	}
	return w.furnishEvents()
}

// note writes down that something has happened.
func (w *World) note(format string, arguments ...any) {
	elapsed := w.scheduler.elapsed()
	line := fmt.Sprintf("%s %s", elapsed.Truncate(time.Millisecond), fmt.Sprintf(format, arguments...))
	w.mu.Lock()
	defer w.mu.Unlock()
	h := fnv.New64a()
	fmt.Fprintf(h, "%x %d %s", w.history, elapsed, line)
	w.history = h.Sum64()
	if w.lines = append(w.lines, line); len(w.lines) > 2*kept {
		w.lines = slices.Clone(w.lines[kept:])
	}
	if w.log != nil {
		w.log(line)
	}
}

// kept is how many lines of the history are shown with a violation.
const kept = 200

// aroundAWS is what happens around a call to AWS.
func (w *World) aroundAWS(r *request, done bool) {
	w.serving = r
	if done {
		w.note("%s %s %s: %d", r.link.process.name, r.operation, r.target, r.status())
		w.checkLeader(r)
		if w.quiet && r.operation == "LookupEvents" {
			w.violated("a quiet world asks for no history", "%s", r.link.process.name)
		}
		if r.operation == "GetCallerIdentity" {
			r.link.process.asked = time.Now()
		}
		w.truth.hides(r)
		r.owner, r.tellsOwner = w.truth.ownerTold(r)
	}
	w.spring(r, done)
}

// aroundAPI is what happens around a request to the API server.
func (w *World) aroundAPI(r *request, done bool) {
	if r.operation == watching {
		w.seenVersion = 0
	}
	if done && strings.Contains(r.target, "/leases") {
		w.leads(r)
	}
	if !done || strings.Contains(r.target, "/leases") {
		return
	}
	if r.operation != http.MethodGet {
		w.note("%s %s %s: %d", r.link.process.name, r.operation, r.target, r.status())
		parts := strings.Split(r.target, "/")
		if r.status() == http.StatusOK && len(parts) > 5 && parts[4] == "trails" {
			w.changed(parts[3] + "/" + parts[5])
		}
	}
	w.spring(r, done)
}

// deliverWatches plans the next event of each watch that has one.
func (w *World) deliverWatches() {
	if w.api.ResourceVersion() == w.seenVersion && len(w.delivering) == 0 {
		return
	}
	w.seenVersion = w.api.ResourceVersion()
	for _, watch := range w.api.Watches() {
		if w.delivering[watch] || watch.Pending() == 0 {
			continue
		}
		w.delivering[watch] = true
		chance := w.scheduler.chance(fmt.Sprint("watch ", watch.Number()))
		w.scheduler.after(between(chance, 0, w.watchDelay), func() {
			delete(w.delivering, watch)
			w.seenVersion = 0
			watch.Deliver()
		})
	}
}

// version is what a Trail was from a time on.
type version struct {
	from  time.Time
	trail *v1alpha1.Trail
}

// changed takes note of a Trail that was changed.
func (w *World) changed(name string) {
	trail := w.trail(name)
	versions := w.versions[name]
	if trail == nil {
		if len(versions) > 0 {
			w.truth.gone[name] = versions[len(versions)-1].trail
		}
		return
	}
	w.versions[name] = append(versions, version{time.Now(), trail})
	w.note("%s generation %d: differences %v; %s", name, trail.Generation, trail.Status.Differences, summary(trail))
	w.truth.checkStatus(name, trail)
}

// setAWSNetwork and setAPINetwork change how the networks are. What was sent under the former conditions may still be
// under way.
func (w *World) setAWSNetwork(now conditions) {
	if now.hangs > 0 {
		now.most = max(now.most, clientTimeout)
	}
	w.awsNetwork = now
	w.settleSlack()
}

func (w *World) setAPINetwork(now conditions) {
	w.apiTrouble = w.apiTrouble || now.lost > 0
	w.apiNetwork = now
	w.settleSlack()
}

// settleSlack takes note of how slow things are, now and for some time after.
func (w *World) settleSlack() {
	w.worst = max(w.worst, w.awsNetwork.most, w.apiNetwork.most)
	w.settled++
	this := w.settled
	w.scheduler.after(2*time.Minute, func() {
		if w.settled != this {
			return // They have changed since.
		}
		w.worst = max(w.awsNetwork.most, w.apiNetwork.most)
		w.apiTrouble = w.apiNetwork.lost > 0
	})
}

// clientTimeout is when a client gives a request up.
const clientTimeout = 30 * time.Second

// forget takes a process out of those that are alive.
func (w *World) forget(p *process) {
	w.alive = slices.DeleteFunc(w.alive, func(other *process) bool { return other == p })
}
