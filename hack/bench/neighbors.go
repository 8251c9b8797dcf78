package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// What the fleet's neighbors are like.
const (
	// tenant is the namespace that they share.
	tenant = "tenant"
	// silentRegion never answers.
	silentRegion = "eu-south-2"
	// slowAccount answers in slowAnswer, and hangingAccount's role is never assumed.
	slowAccount, slowAnswer = "300000000001", 30 * time.Second
	hangingAccount          = "300000000002"
	// So many trails are in each of these, and so many lookups in the silent region.
	silentTrails, slowTrails, hangingTrails = 200, 50, 50
	silentLookups                           = 100
	// troubled is for how long they are at it before the fleet's trails are stopped.
	troubled = 5 * time.Second
)

// neighbors lets somebody stop all trails of the fleet while a tenant has trails and lookups in a region that never
// answers, in an account that answers slowly, and with a role that hangs. It tells how long a lookup of the fleet takes
// meanwhile.
func (m *measurement) neighbors(ctx context.Context) (outcome, error) {
	// A look, StartLogging, GetTrailStatus.
	result := outcome{floor: m.interval.Seconds() + m.floor(2+m.average(m.readsOf), (*fleet).readsOf, one)}
	if m.accounts() == 1 {
		result.floor = 0 // One account's looks come at one time, anywhere in the interval.
	}
	for _, fault := range []cloudtrailtest.Fault{
		{Region: silentRegion, Hang: true},
		{AccountID: slowAccount, Latency: slowAnswer},
		{Operation: "AssumeRole", RoleAccountID: hangingAccount, Hang: true},
	} {
		m.aws.Inject(fault)
	}
	if err := errors.Join(m.moveIn(ctx), wait(ctx, troubled)); err != nil {
		return result, err
	}

	if err := m.stopAll(); err != nil {
		return result, err
	}
	m.aws.ResetCalls()
	result.began = time.Now()
	var group errgroup.Group
	group.Go(func() (err error) {
		result.aside, err = m.lookUp(ctx)
		return err
	})
	err := m.untilAllLog(ctx)
	result.took = time.Since(result.began)
	err = errors.Join(err, group.Wait())
	m.aws.ClearFaults()
	return result, errors.Join(err, m.moveOut(ctx))
}

// moveIn creates the tenant's objects.
func (m *measurement) moveIn(ctx context.Context) error {
	if err := m.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant}}); err != nil {
		return err
	}
	for _, account := range []string{slowAccount, hangingAccount} {
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: tenant + "-" + account}}
		identity.Spec.RoleARN = "arn:aws:iam::" + account + ":role/trail-operator"
		identity.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}
		if err := m.client.Create(ctx, identity); err != nil {
			return err
		}
	}

	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(creators)
	trails := func(count int, name, region, identity string) {
		for i := range count {
			trail := &v1alpha1.Trail{
				ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: fmt.Sprintf("%s-%03d", name, i)},
				Spec:       m.spec(0),
			}
			trail.Spec.Region, trail.Spec.IdentityRef.Name = region, identity
			group.Go(func() error { return m.client.Create(ctx, trail) })
		}
	}
	trails(silentTrails, "silent", silentRegion, m.identityOf(0))
	trails(slowTrails, "slow", region, tenant+"-"+slowAccount)
	trails(hangingTrails, "hanging", region, tenant+"-"+hangingAccount)
	for i := range silentLookups {
		lookup := &v1alpha1.EventLookup{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: fmt.Sprintf("silent-%03d", i)}}
		lookup.Spec.Region, lookup.Spec.IdentityRef = silentRegion, &v1alpha1.IdentityReference{Name: m.identityOf(0)}
		group.Go(func() error { return m.client.Create(ctx, lookup) })
	}
	return group.Wait()
}

// moveOut deletes the tenant's objects.
func (m *measurement) moveOut(ctx context.Context) error {
	err := m.client.DeleteAllOf(ctx, &v1alpha1.EventLookup{}, client.InNamespace(tenant))
	if err == nil {
		err = m.client.DeleteAllOf(ctx, &v1alpha1.Trail{}, client.InNamespace(tenant))
	}
	for err == nil {
		var left v1alpha1.TrailList
		if err = m.client.List(ctx, &left, client.InNamespace(tenant), client.Limit(1)); len(left.Items) == 0 {
			return err
		}
		err = errors.Join(err, wait(ctx, glance))
	}
	return err
}

// untilAllLog waits until all trails of the fleet log.
func (m *measurement) untilAllLog(ctx context.Context) error {
	stopped := func(held cloudtrailtest.Trail) bool { return !held.IsLogging && held.AccountID != slowAccount }
	for slices.ContainsFunc(m.aws.Trails(), stopped) {
		if err := wait(ctx, glance); err != nil {
			return err
		}
	}
	return nil
}

// lookUp returns how many seconds a lookup of the fleet takes.
func (m *measurement) lookUp(ctx context.Context) (float64, error) {
	lookup := &v1alpha1.EventLookup{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "neighbor"}}
	lookup.Spec.Region, lookup.Spec.IdentityRef = region, &v1alpha1.IdentityReference{Name: m.identityOf(m.trails - 1)}
	start := time.Now()
	if err := m.client.Create(ctx, lookup); err != nil {
		return 0, err
	}
	err := untilDone(ctx, m.client, client.ObjectKeyFromObject(lookup), lookup, (*v1alpha1.EventLookup).Finished)
	return time.Since(start).Seconds(), errors.Join(err, m.client.Delete(ctx, lookup))
}
