package cloudtrailtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

func withRates(o *cloudtrailtest.Options) { o.NoRateLimit = false }

// passes returns how many of 20 calls in the same instant pass.
func passes(do func() error) int {
	n := 0
	for range 20 {
		if code(do()) != "ThrottlingException" {
			n++
		}
	}
	return n
}

func TestRates(t *testing.T) {
	name := aws.String("gone")
	reads := map[string]func(*cloudtrail.Client) error{
		"DescribeTrails": func(c *cloudtrail.Client) error { _, err := c.DescribeTrails(ctx, nil); return err },
		"ListTrails":     func(c *cloudtrail.Client) error { _, err := c.ListTrails(ctx, nil); return err },
		"GetTrailStatus": func(c *cloudtrail.Client) error {
			_, err := c.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: name})
			return err
		},
	}
	writes := map[string]func(*cloudtrail.Client) error{
		"StartLogging": func(c *cloudtrail.Client) error {
			_, err := c.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: name})
			return err
		},
		"DeleteTrail": func(c *cloudtrail.Client) error {
			_, err := c.DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: name})
			return err
		},
		"AddTags": func(c *cloudtrail.Client) error {
			_, err := c.AddTags(ctx, &cloudtrail.AddTagsInput{ResourceId: name, TagsList: []types.Tag{}})
			return err
		},
	}
	lookups := map[string]func(*cloudtrail.Client) error{
		"LookupEvents": func(c *cloudtrail.Client) error {
			_, err := c.LookupEvents(ctx, &cloudtrail.LookupEventsInput{})
			return err
		},
	}
	for name, class := range map[string]struct {
		operations map[string]func(*cloudtrail.Client) error
		rate       int
	}{"reads": {reads, 10}, "writes": {writes, 1}, "lookups": {lookups, 2}} {
		t.Run(name, func(t *testing.T) {
			shared := start(t, withRates)
			each := start(t, withRates, func(o *cloudtrailtest.Options) { o.PerOperationRate = true })
			total := 0
			for op, do := range class.operations {
				total += passes(func() error { return do(shared.in(region)) })
				equal(t, op+" by itself", passes(func() error { return do(each.in(region)) }), class.rate)
			}
			equal(t, "together", total, class.rate)
			equal(t, "throttled", shared.Throttled(), 20*len(class.operations)-class.rate)
			for op, do := range class.operations {
				equal(t, op+" in another region", passes(func() error { return do(shared.in("us-east-1")) }), class.rate)
				equal(
					t,
					op+" in another account",
					passes(func() error { return do(shared.account("222233334444", region)) }),
					class.rate,
				)
				shared.clock.add(time.Second)
				equal(t, op+" a second later", passes(func() error { return do(shared.in(region)) }), class.rate)
				shared.clock.add(time.Hour)
				equal(t, op+" saves nothing up", passes(func() error { return do(shared.in(region)) }), class.rate)
				break // One of them is enough.
			}
		})
	}
}

func TestRateMessage(t *testing.T) {
	e := start(t, withRates)
	c := e.in(region)
	create(t, c, "audit")
	err := tryCreate(c, "other")
	wants(t, err, "ThrottlingException")
	equal(t, "message", message(err), "Rate exceeded")
	equal(t, "trails", len(e.Trails()), 1)
	// The classes do not share.
	_, err = c.DescribeTrails(ctx, nil)
	wants(t, err, "")
}

// A client that sends exactly at the rate does not depend on the network's mood; one that is faster gains nothing.
func TestJitter(t *testing.T) {
	e := start(t, withRates, func(o *cloudtrailtest.Options) { o.NoTrailLimit = true })
	for i := range 20 {
		wants(t, tryCreate(e.in(region), fmt.Sprintf("trail-%d", i)), "")
		e.clock.add(time.Second + time.Duration(40*(i%2*2-1))*time.Millisecond)
	}
	throttled := 0
	for i := range 100 {
		e.clock.add(970 * time.Millisecond)
		if tryCreate(e.in(region), fmt.Sprintf("fast-%d", i)) != nil {
			throttled++
		}
	}
	equal(t, "too fast for long", throttled > 2, true)
}

func TestNoRates(t *testing.T) {
	e := start(t)
	equal(t, "lookups", passes(func() error { _, err := e.in(region).LookupEvents(ctx, nil); return err }), 20)
}
