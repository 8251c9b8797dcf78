package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// scenarioOf is a part of a fleet's life.
type scenarioOf struct {
	name string
	run  func(*measurement, context.Context) (outcome, error)
	// prepare is done before, and is not measured; nil: nothing.
	prepare func(*measurement, context.Context) error
}

// life is a fleet's: what is measured of it, in this order.
var life = []scenarioOf{
	{name: "idle", run: (*measurement).idle},
	{name: "converge", run: (*measurement).converge},
	{name: "rest", run: (*measurement).rest},
	{name: "events-foreign", run: (*measurement).foreign, prepare: (*measurement).listen},
	{name: "events-burst", run: (*measurement).burst, prepare: (*measurement).listen},
	{name: "events-changes", run: (*measurement).changes, prepare: (*measurement).listen},
	{name: "drift", run: (*measurement).drift},
	{name: "neighbors", run: (*measurement).neighbors},
	{name: "restart", run: (*measurement).restart},
	{name: "deletion", run: (*measurement).deletion},
}

// scenarioNames are the names of the scenarios.
func scenarioNames() []string { return append(lifeNames(), apart...) }

// lifeNames are the names of the scenarios of a fleet's life.
func lifeNames() []string {
	names := make([]string, 0, len(life))
	for _, part := range life {
		names = append(names, part.name)
	}
	return names
}

// outcome is what a scenario knows of itself.
type outcome struct {
	// floor is how many seconds the work takes at least; 0: not told.
	floor float64
	// looks is how often each trail was looked at, for figures of a look; 0: for figures of the whole scenario.
	looks float64
	// began is when the work began; zero: at once.
	began time.Time
	// took is how long the work took; zero: until the end.
	took time.Duration
	// aside is how many seconds something beside it took.
	aside float64
	// repaired and named are how long after their events had arrived changes were repaired, and named in statuses.
	repaired, named spread
	// left is how many messages are in the queue at the end.
	left float64
}

// measurement takes a fleet through its life.
type measurement struct {
	*fleet
	operator *operator
}

// measure returns the figures of each scenario.
func measure(ctx context.Context, s settings, z size) (figures []figure, err error) {
	f, err := newFleet(ctx, s, z)
	if err != nil {
		return nil, err
	}

	m := &measurement{fleet: f}
	defer func() { err = m.end(err) }()

	if m.operator, err = f.startOperator(ctx); err != nil {
		return nil, err
	}

	for _, part := range life {
		if !slices.Contains(s.scenarios, part.name) {
			continue
		}
		if part.prepare != nil {
			if err := part.prepare(m, ctx); err != nil {
				return nil, fmt.Errorf("before %s: %w", part.name, err)
			}
		}
		measured, err := m.scenario(ctx, part.name, part.run)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %s took %.2f s\n", z, part.name, measured.Seconds)
		figures = append(figures, measured)
	}

	return figures, nil
}

// end ends the operator and what it needs, and shows the end of its log if something failed, which it returns.
func (m *measurement) end(err error) error {
	if err != nil {
		log, readErr := os.ReadFile(filepath.Join(m.dir, logName))
		fmt.Fprintf(os.Stderr, "the end of the operator's log:\n%s\n", log[max(0, len(log)-4000):])
		err = errors.Join(err, readErr)
	}
	if m.operator != nil {
		err = errors.Join(err, m.operator.stop())
	}
	return errors.Join(err, m.close())
}

// scenario measures one part of a fleet's life.
func (m *measurement) scenario(
	ctx context.Context,
	name string,
	run func(*measurement, context.Context) (outcome, error),
) (figure, error) {
	wrote, err := m.apiWrites(ctx)
	if err != nil {
		return figure{}, err
	}
	if err := m.operator.resetPeak(); err != nil {
		return figure{}, err
	}
	before, err := m.operator.usage()
	if err != nil {
		return figure{}, err
	}
	if name == "idle" {
		before.cpuSeconds = 0 // Its start belongs to it.
	}

	process := m.operator
	profiled := m.profileCPU(ctx, name)
	m.aws.ResetCalls()
	start := time.Now()
	result, err := run(m, ctx)
	if !result.began.IsZero() {
		start = result.began
	}
	seconds := cmp.Or(result.took, time.Since(start)).Seconds()
	if err := errors.Join(err, profiled()); err != nil {
		return figure{}, err
	}

	after, err := m.operator.usage()
	if err != nil {
		return figure{}, err
	}
	if m.operator != process {
		before.cpuSeconds = 0
	}
	writes, err := m.apiWrites(ctx)
	if err != nil {
		return figure{}, err
	}

	per := float64(m.trails) * max(result.looks, 1)
	measured := figure{
		Trails: m.trails, Accounts: m.accounts(), Limits: m.limits, Shape: m.shape, Scenario: name,
		Seconds: seconds, Floor: result.floor, Aside: result.aside, Throttles: float64(m.aws.Throttled()),
		WritesPerTrail: (writes.trails - wrote.trails) / per, EventsPerTrail: (writes.events - wrote.events) / per,
		ReportsPerTrail: (writes.reports - wrote.reports) / per,
		PeakMiB:         after.peakMiB, RestMiB: after.restMiB, AnonymousMiB: after.anonymousMiB,
		CPUSeconds: after.cpuSeconds - before.cpuSeconds, CPUShare: (after.cpuSeconds - before.cpuSeconds) / seconds,
		Calls: map[string]float64{}, Repaired: result.repaired, Named: result.named, Left: result.left,
	}
	for operation, n := range m.aws.CallCounts() {
		measured.Calls[operation] = float64(n) / per
		measured.CallsPerTrail += float64(n) / per
	}

	return measured, m.profileHeap(ctx, name)
}

// profileSeconds is how long a profile of processor time is taken; shorter scenarios are not profiled to their ends.
const profileSeconds = 2

// profileCPU begins a profile of the operator's processor time, and returns what waits for it.
func (m *measurement) profileCPU(ctx context.Context, scenario string) (wait func() error) {
	if m.profiles == "" || scenario == "idle" || scenario == "restart" {
		return func() error { return nil }
	}
	var group errgroup.Group
	group.Go(func() error {
		return m.operator.profile(ctx, fmt.Sprintf("profile?seconds=%d", profileSeconds), m.profileFile(scenario, "cpu"))
	})
	return group.Wait
}

func (m *measurement) profileHeap(ctx context.Context, scenario string) error {
	if m.profiles == "" {
		return nil
	}
	return m.operator.profile(ctx, "heap", m.profileFile(scenario, "heap"))
}

func (m *measurement) profileFile(scenario, kind string) string {
	return filepath.Join(m.profiles, fmt.Sprintf("%d-%d-%s-%s.pprof", m.trails, m.accounts(), scenario, kind))
}

// settleTime is how long an idle operator is watched.
const settleTime = 3 * time.Second

// idle begins when the operator knows all identities.
func (m *measurement) idle(ctx context.Context) (outcome, error) {
	for account := range m.accounts() {
		key := client.ObjectKey{Name: m.identityOf(account * max(m.perAccount, 1))}
		err := untilDone(ctx, m.client, key, &v1alpha1.AWSIdentity{}, func(identity *v1alpha1.AWSIdentity) bool {
			return meta.IsStatusConditionTrue(identity.Status.Conditions, v1alpha1.ConditionReady)
		})
		if err != nil {
			return outcome{}, err
		}
	}
	return outcome{}, wait(ctx, settleTime)
}

func (m *measurement) converge(ctx context.Context) (outcome, error) {
	// GetTrailStatus, and the writes.
	result := outcome{floor: m.floor(1+m.average(m.creations), one, (*fleet).creations)}
	start := time.Now()
	if err := m.each(
		ctx,
		func(ctx context.Context, trail *v1alpha1.Trail) error { return m.client.Create(ctx, trail) },
	); err != nil {
		return result, err
	}
	if err := m.untilCalled(ctx, "StartLogging", m.trails); err != nil {
		return result, err
	}
	if err := m.untilAll(ctx, ready); err != nil {
		return result, err
	}
	result.took = time.Since(start)
	return result, m.untilReported(ctx)
}

// rest watches a fleet that has nothing to do for several looks. How many of them fall into that time depends on the
// phase of the account, so they are counted: each asks for the status once.
func (m *measurement) rest(ctx context.Context) (outcome, error) {
	err := wait(ctx, time.Duration(m.looks)*m.interval)
	return outcome{looks: float64(m.aws.CallCounts()["GetTrailStatus"]) / float64(m.trails)}, err
}

// drift lets somebody stop all trails at once. They are found at their next looks.
func (m *measurement) drift(ctx context.Context) (outcome, error) {
	// A look, StartLogging, GetTrailStatus.
	result := outcome{floor: m.interval.Seconds() + m.floor(2+m.average(m.readsOf), (*fleet).readsOf, one)}
	if m.accounts() == 1 {
		result.floor = 0 // One account's looks come at one time, anywhere in the interval.
	}
	if err := m.stopAll(); err != nil {
		return result, err
	}
	m.aws.ResetCalls()
	if err := m.untilCalled(ctx, "StartLogging", m.trails); err != nil {
		return result, err
	}
	return result, m.untilAll(ctx, func(t *v1alpha1.Trail) bool {
		return ready(t) && t.Status.LastDrift != nil && t.Status.LastDrift.RepairedTime != nil
	})
}

// stopAll lets somebody stop all trails.
func (m *measurement) stopAll() error {
	for _, held := range m.aws.Trails() {
		if err := m.stopTrail(&held, "arn:aws:iam::"+held.AccountID+":user/intruder"); err != nil {
			return err
		}
	}
	return nil
}

// stopTrail lets somebody stop a trail.
func (m *measurement) stopTrail(held *cloudtrailtest.Trail, actor string) error {
	intruder := m.aws.As(cloudtrailtest.Actor{
		ARN:             actor,
		AccountID:       held.AccountID,
		SourceIPAddress: "198.51.100.7",
		AccessKeyID:     "AKIAINTRUDER",
	})
	_, err := intruder.Do(held.HomeRegion, "StopLogging", map[string]any{"Name": held.ARN})
	return err
}

// restart starts the operator anew, and changes one trail right after: the change must not wait until all are looked
// at.
func (m *measurement) restart(ctx context.Context) (outcome, error) {
	var result outcome
	if err := m.operator.stop(); err != nil {
		return result, err
	}

	m.aws.ResetCalls()
	result.began = time.Now()
	var err error
	if m.operator, err = m.startOperator(ctx); err != nil {
		return result, err
	}

	key := client.ObjectKey{Namespace: namespace, Name: trailName(m.trails - 1)}
	trail := &v1alpha1.Trail{}
	if err := m.client.Get(ctx, key, trail); err != nil {
		return result, err
	}
	trail.Spec.S3KeyPrefix = "changed"
	if err := m.client.Update(ctx, trail); err != nil {
		return result, err
	}
	if err := m.untilCalled(ctx, "UpdateTrail", 1); err != nil {
		return result, err
	}
	result.aside = time.Since(result.began).Seconds()

	// DescribeTrails, a look.
	result.floor = m.floor(1+m.average(m.readsOf), (*fleet).readsOf, nil)
	if err := m.untilCalled(ctx, "GetTrailStatus", m.trails); err != nil {
		return result, err
	}
	return result, untilDone(ctx, m.client, key, trail, ready)
}

func (m *measurement) deletion(ctx context.Context) (outcome, error) {
	// ListTags, DeleteTrail.
	result := outcome{floor: m.floor(2, one, one)}

	if err := m.each(
		ctx,
		func(ctx context.Context, trail *v1alpha1.Trail) error { return m.client.Delete(ctx, trail) },
	); err != nil {
		return result, err
	}
	if err := m.untilCalled(ctx, "DeleteTrail", m.trails); err != nil {
		return result, err
	}

	for {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TrailList"))
		if err := m.client.List(ctx, &list, client.Limit(1)); err != nil {
			return result, err
		}
		if len(list.Items) == 0 {
			return result, nil
		}
		if err := wait(ctx, glance); err != nil {
			return result, err
		}
	}
}

// glance is how often the bench looks whether something is done.
const glance = 20 * time.Millisecond

func ready(trail *v1alpha1.Trail) bool {
	return trail.Status.ObservedGeneration == trail.Generation &&
		meta.IsStatusConditionTrue(trail.Status.Conditions, v1alpha1.ConditionReady) &&
		meta.IsStatusConditionTrue(trail.Status.Conditions, v1alpha1.ConditionLogging)
}

// untilCalled waits until AWS was called that often. It costs nothing: what the bench asks of the API server meanwhile
// would be taken from the operator.
func (m *measurement) untilCalled(ctx context.Context, operation string, times int) error {
	for m.aws.CallCounts()[operation] < times {
		if err := wait(ctx, glance); err != nil {
			return err
		}
	}
	return nil
}

// untilAll waits for all trails. It lists them once, and then asks for those that were not done one by one.
func (m *measurement) untilAll(ctx context.Context, condition func(*v1alpha1.Trail) bool) error {
	var list v1alpha1.TrailList
	if err := m.client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return err
	}
	if len(list.Items) != m.trails {
		return fmt.Errorf("there are %d trails instead of %d", len(list.Items), m.trails)
	}
	list.Items = slices.DeleteFunc(list.Items, func(t v1alpha1.Trail) bool { return condition(&t) })
	for i := range list.Items {
		if err := untilDone(
			ctx,
			m.client,
			client.ObjectKeyFromObject(&list.Items[i]),
			&list.Items[i],
			condition,
		); err != nil {
			return err
		}
	}
	return nil
}

// untilDone waits for one object.
func untilDone[O client.Object](
	ctx context.Context,
	reader client.Reader,
	key client.ObjectKey,
	object O,
	condition func(O) bool,
) error {
	for {
		if err := reader.Get(ctx, key, object); err != nil {
			return err
		}
		if condition(object) {
			return nil
		}
		if err := wait(ctx, glance); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
