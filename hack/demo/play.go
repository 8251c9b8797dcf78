package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/sandbox"
)

const (
	account = "111122223333"
	region  = "us-east-1"
	// maxWait is how long anything may take before the demo says that it failed.
	maxWait = 90 * time.Second
	// glance is how often the demo looks at the objects.
	glance = 200 * time.Millisecond
)

// identityFile is the AWSIdentity "default" that an installation comes with.
var identityFile = filepath.Join("config", "identity", "default.yaml")

func (s *stage) play(ctx context.Context) error {
	if err := s.applySamples(ctx); err != nil {
		return err
	}
	if err := s.intrude(ctx); err != nil {
		return err
	}
	if err := s.tamper(ctx); err != nil {
		return err
	}
	return s.breakBucket(ctx)
}

// applySamples applies config/samples as `kubectl apply --server-side` does and shows the trails becoming ready.
func (s *stage) applySamples(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join("config", "samples", "*.yaml"))
	if err != nil {
		return err
	}

	var objects []*unstructured.Unstructured
	for _, file := range append([]string{identityFile}, files...) {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		found, err := readObjects(file)
		if err != nil {
			return err
		}
		objects = append(objects, found...)
	}

	if err := errors.Join(s.makeObserved(objects), s.moveQueues(objects)); err != nil {
		return err
	}

	chapter("A user applies config/samples")
	for _, object := range objects {
		if err := s.apply(ctx, object); err != nil {
			return err
		}
	}
	var listening *metav1.Condition
	err = s.until(ctx, "all trails match their manifests", func(trails []v1alpha1.Trail) bool {
		listening = s.listening(ctx)
		return len(trails) > 0 && listening != nil &&
			!slices.ContainsFunc(trails, func(t v1alpha1.Trail) bool { return !t.Spec.Suspended() && !isReady(&t) })
	})
	if err != nil {
		return err
	}
	say("EventBridge sends what happens to them to a queue. AWSIdentity events names it, and its status says:")
	return printYAML(listening)
}

// moveQueues lets the samples' identities name the emulated queue.
func (s *stage) moveQueues(objects []*unstructured.Unstructured) error {
	field := []string{"spec", "eventQueueURL"}
	url := s.endpoint + "/" + events.AccountID + "/" + events.Name
	for _, object := range objects {
		if _, found, err := unstructured.NestedString(object.Object, field...); err != nil || !found {
			continue
		}
		if err := unstructured.SetNestedField(object.Object, url, field...); err != nil {
			return err
		}
	}
	return nil
}

// listening returns how the identity of the samples says that the operator receives from its queue, nil before it does.
func (s *stage) listening(ctx context.Context) *metav1.Condition {
	identity := &v1alpha1.AWSIdentity{}
	if err := s.client.Get(ctx, client.ObjectKey{Name: "events"}, identity); err != nil {
		return nil
	}
	condition := meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionListening)
	if condition == nil || condition.Status != metav1.ConditionTrue {
		return nil
	}
	return condition
}

// makeObserved creates the trails that the samples only observe: somebody else's, made by hand.
func (s *stage) makeObserved(objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		policy, _, err := unstructured.NestedString(object.Object, "spec", "managementPolicy")
		if err != nil || policy != string(v1alpha1.ManagementPolicyObserve) {
			continue
		}
		bucket, _, err := unstructured.NestedString(object.Object, "spec", "s3BucketName")
		if err != nil {
			return err
		}
		name, found, err := unstructured.NestedString(object.Object, "spec", "name")
		if err != nil {
			return err
		}
		if !found {
			name = object.GetName()
		}
		say("(AWS already has a trail %s, created by hand. One of the samples observes it.)", name)
		admin := s.aws.As(actor("admin", "192.0.2.10"))
		_, created := admin.Do(region, "CreateTrail", map[string]any{"Name": name, "S3BucketName": bucket})
		_, started := admin.Do(region, "StartLogging", map[string]any{"Name": name})
		if err := errors.Join(created, started); err != nil {
			return err
		}
	}
	return nil
}

// intrude plays an intruder with stolen credentials, and shows the repair. Only the events of the calls can wake the
// operator so soon, and name who made them.
func (s *stage) intrude(ctx context.Context) error {
	trails, err := s.trails(ctx)
	if err != nil {
		return err
	}

	i := slices.IndexFunc(trails, func(t v1alpha1.Trail) bool {
		return isReady(&t) && !t.Spec.ObserveOnly() && t.Spec.LoggingDesired() && t.Status.HomeRegion == region
	})
	if i < 0 {
		return errors.New("no sample trail to tamper with")
	}
	target := trails[i]

	chapter("An intruder stops the logging of %s and changes its bucket prefix", target.TrailName())
	began := time.Now()
	intruder := s.aws.As(actor("intruder", "198.51.100.7"))
	_, stopped := intruder.Do(region, "StopLogging", map[string]any{"Name": target.TrailName()})
	_, updated := intruder.Do(
		region,
		"UpdateTrail",
		map[string]any{"Name": target.TrailName(), "S3KeyPrefix": "nobody-looks-here"},
	)
	if err := errors.Join(stopped, updated); err != nil {
		return err
	}

	err = s.until(ctx, "", func(trails []v1alpha1.Trail) bool {
		return slices.ContainsFunc(trails, func(t v1alpha1.Trail) bool {
			held, ok := s.aws.Trail(account, region, target.TrailName())
			return ok && held.IsLogging && held.S3KeyPrefix == target.Spec.S3KeyPrefix &&
				t.Name == target.Name && isExplained(t.Status.LastDrift)
		})
	})
	if err != nil {
		return err
	}

	found := &v1alpha1.Trail{}
	if err := s.client.Get(ctx, client.ObjectKeyFromObject(&target), found); err != nil {
		return err
	}
	say(
		"Detected and repaired %.1f s after the intrusion, of which EventBridge took %s. status.lastDrift says who did it:",
		time.Since(began).Seconds(), eventDelay,
	)
	if err := printYAML(found.Status.LastDrift); err != nil {
		return err
	}
	say("CloudTrail's event history (LookupEvents) shows these calls in %.0f minutes.", historyLag.Minutes())
	return nil
}

// isExplained tells whether a drift is repaired, and who made it is known for certain.
func isExplained(drift *v1alpha1.Drift) bool {
	return drift != nil && drift.RepairedTime != nil && drift.Attribution == v1alpha1.DriftAttributionFound
}

// breakBucket shows what a user sees who forgot the bucket policy, and that no one need touch the object once it is
// there.
func (s *stage) breakBucket(ctx context.Context) error {
	const bucket = "trail-operator-demo-locked"
	chapter("A user forgot the bucket policy: CloudTrail cannot write to %s", bucket)
	s.aws.PutBucket(cloudtrailtest.Bucket{Name: bucket, DenyCloudTrail: true})

	locked := &v1alpha1.Trail{}
	locked.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Trail"))
	locked.Namespace, locked.Name = "default", "forgot-the-policy"
	locked.Spec.S3BucketName = bucket
	if err := s.client.Create(ctx, locked); err != nil {
		return err
	}

	err := s.until(ctx, "", func(trails []v1alpha1.Trail) bool {
		return slices.ContainsFunc(trails, func(t v1alpha1.Trail) bool {
			ready := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
			return t.Name == locked.Name && ready != nil && ready.Reason == "InsufficientS3BucketPolicyException"
		})
	})
	if err != nil {
		return err
	}

	if err := s.client.Get(ctx, client.ObjectKeyFromObject(locked), locked); err != nil {
		return err
	}
	say("The Ready condition shows AWS's error and the policy statements to add:")
	if err := printYAML(meta.FindStatusCondition(locked.Status.Conditions, v1alpha1.ConditionReady)); err != nil {
		return err
	}

	chapter("An administrator adds them. Nobody touches the object")
	s.aws.PutBucket(cloudtrailtest.Bucket{Name: bucket})
	_, err = s.aws.As(actor("admin", "192.0.2.10")).Call(cloudtrailtest.OtherCall{
		Service: "s3", Region: region, Operation: "PutBucketPolicy", Parameters: map[string]any{"bucketName": bucket},
	})
	if err != nil {
		return err
	}
	return s.until(ctx, "the Trail recovered by itself", func(trails []v1alpha1.Trail) bool {
		return slices.ContainsFunc(trails, func(t v1alpha1.Trail) bool { return t.Name == locked.Name && isReady(&t) })
	})
}

// removeAll deletes everything and shows what is left in AWS.
func (s *stage) removeAll(ctx context.Context) error {
	chapter("The user deletes everything")
	trails, err := s.trails(ctx)
	if err != nil {
		return err
	}

	outlive := map[string]string{}
	for i := range trails {
		trail := &trails[i]
		switch {
		case trail.Spec.ObserveOnly():
			outlive[trail.Status.TrailARN] = "it was only observed"
		case trail.Spec.Retained():
			outlive[trail.Status.TrailARN] = "deletionPolicy: Retain"
		}
		if err := s.client.Delete(ctx, trail); err != nil {
			return err
		}
	}

	if err := s.until(
		ctx,
		"no Trail object is left",
		func(trails []v1alpha1.Trail) bool { return len(trails) == 0 },
	); err != nil {
		return err
	}

	admin := s.aws.As(actor("admin", "192.0.2.10"))
	for _, left := range s.aws.Trails() {
		why, ok := outlive[left.ARN]
		if !ok {
			return fmt.Errorf("the trail %s is left in AWS", left.ARN)
		}
		say("  %s stays in AWS: %s. Its administrator deletes it by hand.", left.ARN, why)
		if _, err := admin.Do(left.HomeRegion, "DeleteTrail", map[string]any{"Name": left.ARN}); err != nil {
			return err
		}
	}
	if left := s.aws.Trails(); len(left) > 0 {
		return fmt.Errorf("%d trails are left in AWS", len(left))
	}

	chapter("Now no trail is left in AWS. That was the demo; now try it with KEEP=1")
	return nil
}

func actor(name, address string) cloudtrailtest.Actor {
	return cloudtrailtest.Actor{
		ARN: "arn:aws:iam::" + account + ":user/" + name, AccountID: account,
		SourceIPAddress: address, UserAgent: "aws-cli/2.31.0", AccessKeyID: "AKIAIOSFODNN7EXAMPLE",
	}
}

func isReady(trail *v1alpha1.Trail) bool {
	return trail.Status.ObservedGeneration == trail.Generation &&
		meta.IsStatusConditionTrue(trail.Status.Conditions, v1alpha1.ConditionReady)
}

// readObjects reads the manifests of a file.
func readObjects(file string) ([]*unstructured.Unstructured, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	objects, err := sandbox.Objects(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return objects, nil
}

// apply applies a manifest as `kubectl apply --server-side` does.
func (s *stage) apply(ctx context.Context, object *unstructured.Unstructured) error {
	mapping, err := s.client.RESTMapper().RESTMapping(object.GroupVersionKind().GroupKind())
	if err != nil {
		return err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace && object.GetNamespace() == "" {
		object.SetNamespace(metav1.NamespaceDefault)
	}
	say("  %s/%s", strings.ToLower(object.GetKind()), object.GetName())
	return s.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("demo"))
}

func (s *stage) trails(ctx context.Context) ([]v1alpha1.Trail, error) {
	var list v1alpha1.TrailList
	err := s.client.List(ctx, &list)
	return list.Items, err
}

// until shows the Trails until they are as the condition wants, and says so.
func (s *stage) until(ctx context.Context, then string, condition func([]v1alpha1.Trail) bool) error {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	began := time.Now()
	var screen screen

	for {
		table, err := s.table(ctx)
		if err != nil {
			return err
		}
		screen.show(table)
		trails, err := s.trails(ctx)
		if err != nil {
			return err
		}
		if condition(trails) {
			if then != "" {
				say("After %.1f s %s.", time.Since(began).Seconds(), then)
			}
			return nil
		}

		select {
		case <-time.After(glance):
		case <-ctx.Done():
			return fmt.Errorf("gave up after %s: %w", time.Since(began).Round(time.Second), ctx.Err())
		}
	}
}

func printYAML(value any) error {
	content, err := yaml.Marshal(value)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(content)) {
		fmt.Print("    " + line)
	}
	return nil
}
