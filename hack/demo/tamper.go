package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const (
	// delivered is for how many hours there are log files and digests, and validated how many of them are validated: the
	// last digests may be on their way for two hours.
	delivered = 24
	validated = delivered - 2
)

// logDelivery is what CloudTrail delivers, in the two regions in which something happens.
var logDelivery = cloudtrailtest.LogDelivery{Regions: []string{region, "eu-west-1"}, LogsPerHour: 3}

// tamper plays somebody who alters a line of a log file in the bucket, and shows that the digests prove it.
func (s *stage) tamper(ctx context.Context) error {
	trails, err := s.trails(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(trails, func(t v1alpha1.Trail) bool {
		return isReady(&t) && t.Spec.LogFileValidationDesired() && t.Status.HomeRegion == region
	})
	if i < 0 {
		return errors.New("no sample trail with log file validation")
	}
	target := trails[i]

	chapter("Somebody alters a line of a log file of %s, in the bucket", target.TrailName())
	if err := s.aws.DeliverHours(target.Status.TrailARN, delivered); err != nil {
		return err
	}
	keys, err := s.aws.Tamper(cloudtrailtest.Tampering{
		Kind: cloudtrailtest.Alter, TrailARN: target.Status.TrailARN, Position: delivered / 2, Log: 2,
	})
	if err != nil {
		return err
	}
	say("  s3://%s/%s", target.Spec.S3BucketName, keys[0])

	now := time.Now().UTC().Truncate(time.Second)
	validation := &v1alpha1.LogFileValidation{}
	validation.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("LogFileValidation"))
	validation.Namespace, validation.Name = target.Namespace, "yesterday"
	validation.Spec = v1alpha1.LogFileValidationSpec{
		TrailRef:  &v1alpha1.TrailReference{Name: target.Name},
		Mode:      v1alpha1.ValidationModeFull,
		StartTime: v1alpha1.Timestamp(now.Add(-delivered * time.Hour).Format(time.RFC3339)),
		EndTime:   v1alpha1.Timestamp(now.Add((validated - delivered) * time.Hour).Format(time.RFC3339)),
	}
	began := time.Now()
	if err := s.client.Create(ctx, validation); err != nil {
		return err
	}
	if err := s.untilComplete(ctx, validation); err != nil {
		return err
	}
	if len(validation.Status.Findings) != 1 || validation.Status.Findings[0].Object != keys[0] {
		return fmt.Errorf("the validation found %+v", validation.Status.Findings)
	}
	say(
		"A LogFileValidation of these %d hours says so after %.1f s, having read %d log files in %d regions:",
		validated, time.Since(began).Seconds(), validation.Status.LogFileCount, len(logDelivery.Regions),
	)
	return printYAML(validation.Status.Findings)
}

// untilComplete waits until a range is validated.
func (s *stage) untilComplete(ctx context.Context, validation *v1alpha1.LogFileValidation) error {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	for {
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(validation), validation); err != nil {
			return err
		}
		if meta.IsStatusConditionTrue(validation.Status.Conditions, v1alpha1.ConditionComplete) {
			return nil
		}
		select {
		case <-time.After(glance):
		case <-ctx.Done():
			return fmt.Errorf("the validation does not complete: %+v: %w", validation.Status.Conditions, ctx.Err())
		}
	}
}
