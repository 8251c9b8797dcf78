package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const (
	// hub is the identity whose queue gets the events of all accounts.
	hub, hubAccount = "hub", "400000000000"
	// eventDelay is how long EventBridge takes to deliver an event.
	eventDelay = time.Second
	// intruders is how many intruders there are at a time, each in another account.
	intruders = 8
	// burstTrails is how many trails are stopped at once. The single changes are to other trails, if there are any: after
	// a change, a trail is looked at often.
	burstTrails = 200
	// eventPatience is how long a change may take until it is repaired and named.
	eventPatience = 2 * time.Minute
	// foreignPerMinute is how many events come that concern no trail of the fleet, and foreignFor how long they do.
	foreignPerMinute = 10_000
	foreignFor       = 30 * time.Second
)

// hubQueue is the queue that the hub names.
var hubQueue = cloudtrailtest.Queue{AccountID: hubAccount, Region: region, Name: "trail-operator"}

// listen makes the events of all accounts come to the operator, and waits until it receives from their queue.
func (m *measurement) listen(ctx context.Context) error {
	if _, ok := m.aws.QueueState(hubQueue.ARN()); ok {
		return nil
	}
	if err := m.aws.CreateQueue(hubQueue); err != nil {
		return err
	}
	m.aws.Forward(cloudtrailtest.Rule{QueueARN: hubQueue.ARN()})
	m.aws.SetForwarding(cloudtrailtest.Forwarding{MinDelay: eventDelay, MaxDelay: eventDelay})

	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: hub}}
	identity.Spec.RoleARN = "arn:aws:iam::" + hubAccount + ":role/trail-operator"
	identity.Spec.EventQueueURL = fmt.Sprintf("%s/%s/%s", m.endpoint, hubAccount, hubQueue.Name)
	if err := m.client.Create(ctx, identity); err != nil {
		return err
	}

	err := untilDone(ctx, m.client, client.ObjectKeyFromObject(identity), identity, func(i *v1alpha1.AWSIdentity) bool {
		return meta.IsStatusConditionTrue(i.Status.Conditions, v1alpha1.ConditionListening)
	})
	return errors.Join(err, wait(ctx, settleTime))
}

// foreign lets the hub's queue get events that concern no trail of the fleet.
func (m *measurement) foreign(ctx context.Context) (outcome, error) {
	var result outcome
	start, sent := time.Now(), 0
	for elapsed := time.Duration(0); elapsed < foreignFor; elapsed = time.Since(start) {
		for ; sent < int(elapsed.Minutes()*foreignPerMinute); sent++ {
			if err := m.aws.SendMessage(hubQueue.ARN(), foreignEvent(sent)); err != nil {
				return result, err
			}
		}
		if err := wait(ctx, glance); err != nil {
			return result, err
		}
	}

	result.took = time.Since(start)
	state, _ := m.aws.QueueState(hubQueue.ARN())
	result.left = float64(len(state.Visible) + len(state.InFlight))
	return result, nil
}

// changes lets intruders stop single trails, several at a time in different accounts.
func (m *measurement) changes(ctx context.Context) (outcome, error) {
	var result outcome
	w, err := m.watchTrails(ctx)
	if err != nil {
		return result, err
	}
	defer w.stop()

	victims := m.accountByAccount()
	if len(victims) > burstTrails {
		victims = slices.DeleteFunc(victims, func(trail int) bool { return trail < burstTrails })
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(intruders)
	for n := range m.stops {
		group.Go(func() error {
			c, err := m.intrude(w, victims[n%len(victims)], n)
			if err != nil {
				return err
			}
			return w.untilOver(ctx, c)
		})
	}
	err = group.Wait()
	result.repaired, result.named = w.spreads()
	return result, err
}

// burst lets intruders stop trails of many accounts at once.
func (m *measurement) burst(ctx context.Context) (outcome, error) {
	part := *m.fleet
	part.trails = min(m.trails, burstTrails)
	// The event, a look, StartLogging, GetTrailStatus.
	result := outcome{floor: eventDelay.Seconds() + part.floor(2+part.average(part.readsOf), (*fleet).readsOf, one)}
	w, err := m.watchTrails(ctx)
	if err != nil {
		return result, err
	}
	defer w.stop()

	result.began = time.Now()
	changes := make([]*change, 0, part.trails)
	for n := range part.trails {
		c, err := m.intrude(w, n, m.stops+n)
		if err != nil {
			return result, err
		}
		changes = append(changes, c)
	}
	for _, c := range changes {
		if err := w.untilOver(ctx, c); err != nil {
			return result, err
		}
	}
	result.repaired, result.named = w.spreads()
	return result, nil
}

// accountByAccount returns the trails in an order in which neighbors are of different accounts.
func (z size) accountByAccount() []int {
	perAccount := z.perAccount
	if perAccount == 0 {
		perAccount = z.trails
	}
	order := make([]int, 0, z.trails)
	for first := range perAccount {
		for trail := first; trail < z.trails; trail += perAccount {
			order = append(order, trail)
		}
	}
	return order
}

// change is what an intruder did to a trail, and what came of it. Times that are not known yet are zero.
type change struct {
	trail, actor          string
	made, repaired, named time.Time
	// told is the last drift that the status tells of, as seen last.
	told *v1alpha1.Drift
}

// watcher sees when changes are repaired in AWS and when statuses name who made them.
type watcher struct {
	stop func()

	mu sync.Mutex
	// trails are the fleet's, by name.
	trails map[string]cloudtrailtest.Trail
	all    []*change
	// last is the last change of each trail, by its ARN.
	last map[string]*change
}

// watchTrails watches the fleet's trails until stop is called.
func (m *measurement) watchTrails(ctx context.Context) (*watcher, error) {
	watching, err := client.NewWithWatch(m.fleet.rest, client.Options{Scheme: m.client.Scheme()})
	if err != nil {
		return nil, err
	}
	w := &watcher{trails: map[string]cloudtrailtest.Trail{}, last: map[string]*change{}}
	for _, held := range m.aws.Trails() {
		w.trails[held.Name] = held
	}

	ctx, cancel := context.WithCancel(ctx)
	go func() {
		// The API server ends the watch of a client that is too slow. Each watch begins with all trails as they are.
		for ctx.Err() == nil {
			seen, err := watching.Watch(ctx, &v1alpha1.TrailList{}, client.InNamespace(namespace))
			if err != nil {
				if wait(ctx, glance) != nil {
					return
				}
				continue
			}
			for event := range seen.ResultChan() {
				if trail, ok := event.Object.(*v1alpha1.Trail); ok {
					w.see(trail)
				}
			}
		}
	}()
	m.aws.OnWrite(w.write)
	w.stop = func() {
		m.aws.OnWrite(nil)
		cancel()
	}
	return w, nil
}

// write sees what is written to AWS.
func (w *watcher) write(write cloudtrailtest.Write) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.last[write.TrailARN]; c != nil && write.Operation == "StartLogging" && c.repaired.IsZero() {
		c.repaired = time.Now()
	}
}

// see sees a status.
func (w *watcher) see(trail *v1alpha1.Trail) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, drift := w.last[trail.Status.TrailARN], trail.Status.LastDrift
	if c == nil || drift == nil || !c.named.IsZero() {
		return
	}
	c.told = drift
	if drift.Attribution == v1alpha1.DriftAttributionFound && drift.Actor == c.actor {
		c.named = time.Now()
	}
}

// intrude lets an intruder with a name of its own stop a trail.
func (m *measurement) intrude(w *watcher, trail, number int) (*change, error) {
	name := trailName(trail)
	held, ok := w.trails[name]
	if !ok {
		return nil, fmt.Errorf("there is no %s in AWS", name)
	}
	c := &change{
		trail: name,
		actor: fmt.Sprintf("arn:aws:iam::%s:user/intruder-%d", held.AccountID, number),
		made:  time.Now(),
	}
	w.mu.Lock()
	w.all, w.last[held.ARN] = append(w.all, c), c
	w.mu.Unlock()
	return c, m.stopTrail(&held, c.actor)
}

// untilOver waits until a change is repaired and named.
func (w *watcher) untilOver(ctx context.Context, c *change) error {
	for {
		w.mu.Lock()
		is := *c
		w.mu.Unlock()
		switch {
		case !is.repaired.IsZero() && !is.named.IsZero():
			return nil
		case time.Since(is.made) > eventPatience:
			return fmt.Errorf("%s: after %s, repaired: %t, named: %t; the status tells of %+v", is.trail, eventPatience,
				!is.repaired.IsZero(), !is.named.IsZero(), is.told)
		}
		if err := wait(ctx, glance); err != nil {
			return err
		}
	}
}

// spreads returns how long after their events had arrived the changes were repaired, and named.
func (w *watcher) spreads() (repaired, named spread) {
	w.mu.Lock()
	defer w.mu.Unlock()
	since := func(of func(*change) time.Time) spread {
		seconds := make([]float64, 0, len(w.all))
		for _, c := range w.all {
			seconds = append(seconds, max(0, of(c).Sub(c.made.Add(eventDelay)).Seconds()))
		}
		return spreadOf(seconds)
	}
	return since(func(c *change) time.Time { return c.repaired }), since(func(c *change) time.Time { return c.named })
}

// spread is how long something took that was done many times, in seconds.
type spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// spreadOf returns the spread of values.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	at := func(share float64) float64 { return values[int(math.Ceil(share*float64(len(values))))-1] }
	return spread{P50: at(0.5), P99: at(0.99), Max: at(1)}
}

// String tells the spread.
func (s spread) String() string {
	return fmt.Sprintf("p50 %.2f s, p99 %.2f s, max %.2f s", s.P50, s.P99, s.Max)
}
