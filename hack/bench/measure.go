package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// measure takes a fleet through its life: idle, converge, rest, drift, restart, deletion.
func measure(ctx context.Context, s settings, count int) (figures []figure, err error) {
	f, err := newFleet(ctx, s, count)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			log, readErr := os.ReadFile(filepath.Join(f.dir, "operator.log"))
			fmt.Fprintf(os.Stderr, "the end of the operator's log:\n%s\n", log[max(0, len(log)-4000):])
			err = errors.Join(err, readErr)
		}
		err = errors.Join(err, f.close())
	}()
	if err := f.startOperator(ctx); err != nil {
		return nil, err
	}
	stopped := false
	defer func() {
		if !stopped {
			err = errors.Join(err, f.stopOperator())
		}
	}()
	for _, scenario := range []struct {
		name  string
		floor float64
		run   func(context.Context) (looks float64, err error)
	}{
		{"idle", 0, f.idle},
		{"converge", f.convergeFloor(), f.converge},
		{"rest", 0, f.rests},
		{"drift", 0, f.drift},
		{"restart", 0, f.restart},
		{"deletion", f.deletionFloor(), f.deletion},
	} {
		measured, err := f.scenario(ctx, scenario.name, scenario.run)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", scenario.name, err)
		}
		measured.Floor = scenario.floor
		figures = append(figures, measured)
		fmt.Fprintf(os.Stderr, "%d trails: %s took %.2f s\n", count, scenario.name, measured.Seconds)
	}
	stopped = true
	return figures, f.stopOperator()
}

// scenario measures one part of a fleet's life.
func (f *fleet) scenario(ctx context.Context, name string, run func(context.Context) (float64, error)) (figure, error) {
	trailsBefore, eventsBefore, err := f.apiWrites(ctx)
	if err != nil {
		return figure{}, err
	}
	pid := f.operator.Process.Pid
	before, err := f.process()
	if err != nil {
		return figure{}, err
	}
	f.aws.ResetCalls()
	start := time.Now()
	looks, err := run(ctx)
	seconds := time.Since(start).Seconds()
	if err != nil {
		return figure{}, err
	}
	after, err := f.process()
	if err != nil {
		return figure{}, err
	}
	if f.operator.Process.Pid != pid {
		before.cpuSeconds = 0 // A process of its own.
	}
	trailsAfter, eventsAfter, err := f.apiWrites(ctx)
	if err != nil {
		return figure{}, err
	}
	per := float64(f.count) * max(looks, 1)
	result := figure{
		Trails: f.count, Accounts: f.accounts(), Limits: f.limits, Scenario: name, Seconds: seconds, Throttles: f.aws.Throttled(),
		WritesPerTrail: (trailsAfter - trailsBefore) / per, EventsPerTrail: (eventsAfter - eventsBefore) / per,
		PeakMiB: after.peakMiB, RestMiB: after.restMiB,
		CPUSeconds: after.cpuSeconds - before.cpuSeconds, CPUShare: (after.cpuSeconds - before.cpuSeconds) / seconds,
		Calls: map[string]float64{},
	}
	for operation, n := range f.aws.CallCounts() {
		result.Calls[operation] = float64(n) / per
		result.CallsPerTrail += float64(n) / per
	}
	return result, nil
}

// workers is the operator's default number of them, for the floor.
const workers = 64

// callsToConverge are CreateTrail, StartLogging and GetTrailStatus; two of them are writes.
const callsToConverge, writesToConverge = 3, 2

// convergeFloor is the time that AWS's latency, or with limits AWS's quota of a write a second and account, takes at least.
func (f *fleet) convergeFloor() float64 {
	return f.floor(callsToConverge, writesToConverge)
}

// deletionFloor is the same for ListTags and DeleteTrail.
func (f *fleet) deletionFloor() float64 { return f.floor(2, 1) }

func (f *fleet) floor(calls, writes float64) float64 {
	latency := calls * f.latency.Seconds() * math.Max(1, float64(f.count)/workers)
	if !f.limits {
		return latency
	}
	perAccount := math.Ceil(float64(f.count) / float64(f.accounts()))
	return math.Max(latency, perAccount*writes-1)
}

// settleTime is how long an idle operator is watched.
const settleTime = 3 * time.Second

func (f *fleet) idle(ctx context.Context) (float64, error) { return 0, wait(ctx, settleTime) }

func (f *fleet) converge(ctx context.Context) (float64, error) {
	if err := f.each(ctx, func(ctx context.Context, trail *v1alpha1.Trail) error { return f.client.Create(ctx, trail) }); err != nil {
		return 0, err
	}
	return 0, f.until(ctx, ready)
}

// rests watches a fleet that has nothing to do for several looks. How many of them fall into that time depends on the phase of the
// account, so they are counted: each asks for the status once.
func (f *fleet) rests(ctx context.Context) (float64, error) {
	err := wait(ctx, time.Duration(f.looks)*f.interval)
	return float64(f.aws.CallCounts()["GetTrailStatus"]) / float64(f.count), err
}

// drift lets somebody stop all trails at once.
func (f *fleet) drift(ctx context.Context) (float64, error) {
	for _, held := range f.aws.Trails() {
		intruder := f.aws.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + held.AccountID + ":user/intruder", AccountID: held.AccountID, SourceIPAddress: "198.51.100.7", AccessKeyID: "AKIAINTRUDER"})
		if _, err := intruder.Do(held.HomeRegion, "StopLogging", map[string]any{"Name": held.ARN}); err != nil {
			return 0, err
		}
	}
	return 0, f.until(ctx, func(t *v1alpha1.Trail) bool {
		return ready(t) && t.Status.LastDrift != nil && t.Status.LastDrift.RepairedTime != nil
	})
}

// restart starts the operator anew, and changes one trail right after: the change must not wait for the others.
func (f *fleet) restart(ctx context.Context) (float64, error) {
	if err := f.stopOperator(); err != nil {
		return 0, err
	}
	f.aws.ResetCalls()
	start := time.Now()
	if err := f.startOperator(ctx); err != nil {
		return 0, err
	}
	trail := &v1alpha1.Trail{}
	if err := f.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: fmt.Sprintf("trail-%05d", f.count-1)}, trail); err != nil {
		return 0, err
	}
	trail.Spec.S3KeyPrefix = "changed"
	if err := f.client.Update(ctx, trail); err != nil {
		return 0, err
	}
	if err := f.until(ctx, ready); err != nil {
		return 0, err
	}
	fmt.Fprintf(os.Stderr, "a change made at the start was done after %.2f s\n", time.Since(start).Seconds())
	return 1, f.untilLookedAt(ctx)
}

// untilLookedAt waits until AWS has been asked for the status of every trail.
func (f *fleet) untilLookedAt(ctx context.Context) error {
	for f.aws.CallCounts()["GetTrailStatus"] < f.count {
		if err := wait(ctx, glance); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleet) deletion(ctx context.Context) (float64, error) {
	if err := f.each(ctx, func(ctx context.Context, trail *v1alpha1.Trail) error { return f.client.Delete(ctx, trail) }); err != nil {
		return 0, err
	}
	for len(f.aws.Trails()) > 0 {
		if err := wait(ctx, glance); err != nil {
			return 0, err
		}
	}
	for {
		var list v1alpha1.TrailList
		if err := f.client.List(ctx, &list, client.Limit(1)); err != nil {
			return 0, err
		}
		if len(list.Items) == 0 {
			return 0, nil
		}
		if err := wait(ctx, glance); err != nil {
			return 0, err
		}
	}
}

// glance is how often the bench looks whether something is done. It is coarser for big fleets, whose listing costs.
const glance = 50 * time.Millisecond

func ready(trail *v1alpha1.Trail) bool {
	return trail.Status.ObservedGeneration == trail.Generation &&
		meta.IsStatusConditionTrue(trail.Status.Conditions, v1alpha1.ConditionReady) &&
		meta.IsStatusConditionTrue(trail.Status.Conditions, v1alpha1.ConditionLogging)
}

// until waits for all trails. While AWS does not log with all of them, listing them would only take processor time from the operator.
func (f *fleet) until(ctx context.Context, condition func(*v1alpha1.Trail) bool) error {
	for {
		var list v1alpha1.TrailList
		if err := f.client.List(ctx, &list); err != nil {
			return err
		}
		done := 0
		for i := range list.Items {
			if condition(&list.Items[i]) {
				done++
			}
		}
		if done == f.count {
			return nil
		}
		if err := wait(ctx, max(glance, time.Duration(f.count)*glance/1000)); err != nil {
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
