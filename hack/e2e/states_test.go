package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/e2e/argocd"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// gallery is the namespace of the Trails that show a state each.
const gallery = "gallery"

// update has what the operator wrote become config/argocd's testdata.
var update = os.Getenv("UPDATE") != ""

// agrees are the states of kstatus that go with a health. kstatus knows no failure but that of Stalled, and no
// suspension.
var agrees = map[string][]status.Status{
	"Healthy":     {status.CurrentStatus},
	"Degraded":    {status.FailedStatus, status.InProgressStatus},
	"Progressing": {status.InProgressStatus, status.TerminatingStatus},
	"Suspended":   {status.InProgressStatus, status.CurrentStatus},
}

// expectHealth waits until an object, as the operator has written it, has a health by Argo CD's script, and sees that
// kstatus agrees. The name of the state is that of its testdata; "" for one that has none.
func (c *cluster) expectHealth(ctx context.Context, kind, state, namespace, name, want string) {
	GinkgoHelper()
	folder := filepath.Join(root, "config", "argocd", "resource_customizations", "trail-operator.dev", kind)
	script, err := os.ReadFile(filepath.Join(folder, "health.lua"))
	Expect(err).NotTo(HaveOccurred())
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	var health argocd.Health
	Eventually(func(g Gomega) {
		g.Expect(c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)).To(Succeed())
		var err error
		health, err = argocd.HealthOf(string(script), object.Object)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(health.Status).To(Equal(want), health.Message)
	}, maxWait, often).Should(Succeed(), "health of %s %s", kind, name)
	Expect(health.Message).NotTo(BeEmpty())
	result, err := status.Compute(object)
	Expect(err).NotTo(HaveOccurred())
	Expect(agrees[want]).To(ContainElement(result.Status), "kstatus of %s %s: %s", kind, name, result.Message)
	if update && state != "" {
		record(folder, state, object, health)
	}
}

// record keeps an object as testdata, without what differs from run to run.
func record(folder, state string, object *unstructured.Unstructured, health argocd.Health) {
	GinkgoHelper()
	const then = "2026-01-02T03:04:05Z"
	object.SetManagedFields(nil)
	object.SetUID("00000000-0000-0000-0000-000000000000")
	object.SetResourceVersion("1")
	object.SetLabels(nil)
	annotations := object.GetAnnotations()
	for key := range annotations {
		if strings.Contains(key, "kubectl") || strings.Contains(key, "helm") || strings.Contains(key, "argocd") {
			delete(annotations, key)
		}
	}
	object.SetAnnotations(annotations)
	steady(object.Object, then)
	text, err := yaml.Marshal(object.Object)
	Expect(err).NotTo(HaveOccurred())
	Expect(os.MkdirAll(filepath.Join(folder, "testdata"), 0o755)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(folder, "testdata", state+".yaml"), text, 0o644)).To(Succeed())

	type row struct {
		HealthStatus argocd.Health `json:"healthStatus"`
		InputPath    string        `json:"inputPath"`
	}
	var table struct {
		Tests []row `json:"tests"`
	}
	file := filepath.Join(folder, "health_test.yaml")
	if text, err := os.ReadFile(file); err == nil {
		Expect(yaml.Unmarshal(text, &table)).To(Succeed())
	}
	path := "testdata/" + state + ".yaml"
	table.Tests = slices.DeleteFunc(table.Tests, func(r row) bool { return r.InputPath == path })
	table.Tests = append(table.Tests, row{health, path})
	slices.SortFunc(table.Tests, func(a, b row) int { return strings.Compare(a.InputPath, b.InputPath) })
	text, err = yaml.Marshal(table)
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(file, text, 0o644)).To(Succeed())
}

// steady replaces all times.
func steady(value any, then string) any {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			value[key] = steady(inner, then)
		}
	case []any:
		for i, inner := range value {
			value[i] = steady(inner, then)
		}
	case string:
		if _, err := time.Parse(time.RFC3339, value); err == nil {
			return then
		}
	}
	return value
}

// exhibit brings Trails, AWSIdentities, EventLookups and LogFileValidations into each of their states.
func (c *cluster) exhibit(ctx context.Context) {
	GinkgoHelper()
	c.aws.PutBucket(cloudtrailtest.Bucket{Name: "closed-bucket", DenyCloudTrail: true})
	console := c.aws.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + account + ":user/somebody"})
	for _, name := range []string{"stalled", "observed-elsewhere"} {
		_, err := console.Do(region, "CreateTrail", map[string]any{"Name": name, "S3BucketName": "example-audit-logs"})
		Expect(err).NotTo(HaveOccurred())
	}
	c.aws.AddRole(cloudtrailtest.Role{ARN: "arn:aws:iam::444455556666:role/refused", Deny: true})
	c.apply(
		identityManifest("refused", "roleARN: arn:aws:iam::444455556666:role/refused", "allowedNamespaces: {from: All}"),
	)
	c.apply(identityManifest("of-others", "allowedNamespaces: {from: Selector, selector: {matchLabels: {team: others}}}"))
	c.apply(
		trailManifest(
			gallery,
			"healthy",
			"isMultiRegionTrail: true",
			"enableLogFileValidation: true",
			"tags: [{key: team, value: security}]",
		),
	)
	c.apply(trailManifest(gallery, "not-logging", "logging: false"))
	c.apply(trailManifest(gallery, "stalled"))
	c.apply(
		trailManifest(
			gallery,
			"observed",
			"name: observed-elsewhere",
			"managementPolicy: Observe",
			"enableLogFileValidation: true",
		),
	)
	c.apply(strings.Replace(trailManifest(gallery, "bucket-policy"), "example-audit-logs", "closed-bucket", 1))
	c.apply(trailManifest(gallery, "delivery-error"))
	c.apply(trailManifest(gallery, "not-allowed", "identityRef: {name: of-others}"))
	c.apply(trailManifest(gallery, "identity-refused", "identityRef: {name: refused}"))
	c.apply(trailManifest(gallery, "suspended"))
	c.apply(trailManifest(gallery, "deleting", "region: eu-west-3"))

	c.expectHealth(ctx, "Trail", "healthy", gallery, "healthy", "Healthy")
	c.expectHealth(ctx, "Trail", "not-logging", gallery, "not-logging", "Healthy")
	c.expectHealth(ctx, "Trail", "stalled", gallery, "stalled", "Degraded")
	c.expectHealth(ctx, "Trail", "observed", gallery, "observed", "Degraded")
	c.expectHealth(ctx, "Trail", "bucket-policy", gallery, "bucket-policy", "Degraded")
	c.expectHealth(ctx, "Trail", "not-allowed", gallery, "not-allowed", "Degraded")
	c.expectHealth(ctx, "Trail", "identity-refused", gallery, "identity-refused", "Degraded")

	By("a delivery that fails")
	c.expectHealth(ctx, "Trail", "", gallery, "delivery-error", "Healthy")
	failure := "AccessDenied"
	Expect(
		c.aws.SetDelivery(trailARN(region, "delivery-error"), cloudtrailtest.Delivery{LatestDeliveryError: &failure}),
	).To(BeTrue())
	c.expectHealth(ctx, "Trail", "delivery-error", gallery, "delivery-error", "Degraded")

	By("a Trail that is suspended")
	c.expectHealth(ctx, "Trail", "", gallery, "suspended", "Healthy")
	c.apply(trailManifest(gallery, "suspended", "suspend: true"))
	c.expectReason(ctx, gallery, "suspended", v1alpha1.ReasonSuspended)
	c.expectHealth(ctx, "Trail", "suspended", gallery, "suspended", "Suspended")

	By("a Trail that cannot be deleted")
	c.expectHealth(ctx, "Trail", "", gallery, "deleting", "Healthy")
	denied := c.aws.Inject(
		cloudtrailtest.Fault{
			Operation: "DeleteTrail",
			Region:    "eu-west-3",
			Code:      "AccessDeniedException",
			Status:    http.StatusBadRequest,
			Message:   "not authorized to perform cloudtrail:DeleteTrail",
		},
	)
	deleting := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: gallery, Name: "deleting"}}
	Expect(c.client.Delete(ctx, deleting)).To(Succeed())
	c.expectReason(ctx, gallery, "deleting", "AccessDeniedException")
	c.expectHealth(ctx, "Trail", "", gallery, "deleting", "Progressing")
	c.aws.ClearFault(denied)
	c.reconcile(gallery, "deleting")
	Eventually(
		func() bool { return apierrors.IsNotFound(c.get(ctx, deleting)) },
		maxWait,
		often,
	).Should(BeTrue(), "the Trail is to go once AWS lets it")

	By("identities")
	c.expectHealth(ctx, "AWSIdentity", "healthy", "", "default", "Healthy")
	c.expectHealth(ctx, "AWSIdentity", "refused", "", "refused", "Degraded")
	Expect(c.client.Delete(ctx, &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "refused"}})).To(Succeed())
	Eventually(func(g Gomega) {
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "refused"}}
		g.Expect(c.get(ctx, identity)).To(Succeed())
		g.Expect(meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionReady).Reason).
			To(Equal(v1alpha1.ReasonInUse))
	}, maxWait, often).Should(Succeed(), "an identity that is used waits for its Trails")
	c.expectHealth(ctx, "AWSIdentity", "", "", "refused", "Progressing")
	c.kubectl(
		"patch",
		"trail",
		"identity-refused",
		"--namespace="+gallery,
		"--type=merge",
		`--patch={"spec":{"deletionPolicy":"Retain"}}`,
	)
	c.kubectl("delete", "trail", "identity-refused", "--namespace="+gallery, "--timeout=30s")
	Eventually(func() bool {
		return apierrors.IsNotFound(c.get(ctx, &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "refused"}}))
	}, maxWait, often).Should(BeTrue(), "the identity is to go with its last Trail")

	By("lookups")
	c.apply(lookupManifest(gallery, "complete", "attribute: {key: EventName, value: CreateTrail}", "maxResults: 2"))
	c.expectHealth(ctx, "EventLookup", "complete", gallery, "complete", "Healthy")
	c.aws.Inject(
		cloudtrailtest.Fault{
			Operation: "LookupEvents",
			Region:    "eu-west-2",
			Code:      "InvalidLookupAttributesException",
			Message:   "The lookup attribute is not valid.",
		},
	)
	c.apply(strings.Replace(lookupManifest(gallery, "failed"), region, "eu-west-2", 1))
	c.expectHealth(ctx, "EventLookup", "failed", gallery, "failed", "Degraded")

	By("validations")
	healthy := trailARN(region, "healthy")
	Expect(c.aws.DeliverHours(healthy, 3)).To(Succeed())
	c.apply(validationManifest(gallery, "intact", "healthy"))
	c.expectHealth(ctx, "LogFileValidation", "intact", gallery, "intact", "Healthy")
	c.apply(validationManifest(gallery, "validation-off", "not-logging"))
	c.expectHealth(ctx, "LogFileValidation", "validation-off", gallery, "validation-off", "Degraded")
	c.apply(validationManifest(gallery, "paused", "healthy", "suspend: true"))
	c.expectHealth(ctx, "LogFileValidation", "suspended", gallery, "paused", "Suspended")
	_, err := c.aws.Tamper(cloudtrailtest.Tampering{Kind: cloudtrailtest.Alter, TrailARN: healthy, Position: 1})
	Expect(err).NotTo(HaveOccurred())
	c.apply(validationManifest(gallery, "tampered", "healthy"))
	c.expectHealth(ctx, "LogFileValidation", "tampered", gallery, "tampered", "Degraded")
}

// exercise has the operator use each right that it has in a namespace, and those that it has for AWSIdentities.
func (c *cluster) exercise(ctx context.Context, namespace string, watchesNamespaces bool) {
	GinkgoHelper()
	By("drift whose repair AWS keeps from us for a while: it is told once")
	name := namespace + "-drifting"
	c.apply(trailManifest(namespace, name))
	c.expectReason(ctx, namespace, name, v1alpha1.ReasonAvailable)
	throttled := c.aws.Inject(
		cloudtrailtest.Fault{Operation: "StartLogging", Code: "ThrottlingException", Message: "Rate exceeded"},
	)
	_, err := c.aws.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + account + ":user/intruder"}).
		Do(region, "StopLogging", map[string]any{"Name": name})
	Expect(err).NotTo(HaveOccurred())
	told := func() map[string]int {
		var events eventsv1.EventList
		Expect(c.client.List(ctx, &events, client.InNamespace(namespace))).To(Succeed())
		reasons := map[string]int{}
		for i := range events.Items {
			if events.Items[i].Regarding.Name == name {
				reasons[events.Items[i].Reason]++
			}
		}
		return reasons
	}
	Eventually(told, maxWait, often).Should(HaveKey("DriftDetected"), "drift is told when it is found")
	c.aws.ClearFault(throttled)
	Eventually(func() bool {
		found, _ := c.aws.Trail(account, region, name)
		return found.IsLogging
	}, maxWait, often).Should(BeTrue(), "the operator is to start logging again")
	Eventually(told, maxWait, often).Should(
		And(HaveKeyWithValue("DriftDetected", 1), HaveKeyWithValue("DriftRepaired", 1)),
		"each once, however often it was tried",
	)

	By("a change, before which the object is read from the API server itself")
	c.apply(trailManifest(namespace, name, "enableLogFileValidation: true"))
	Eventually(func() bool {
		found, _ := c.aws.Trail(account, region, name)
		return found.EnableLogFileValidation
	}, maxWait, often).Should(BeTrue(), "the operator is to turn validation on")

	By("an identity that chooses namespaces by their labels")
	selective := namespace + "-selective"
	c.apply(
		identityManifest(selective, "allowedNamespaces: {from: Selector, selector: {matchLabels: {allowed: \"yes\"}}}"),
	)
	c.apply(trailManifest(namespace, selective, "identityRef: {name: "+selective+"}"))
	c.expectReason(ctx, namespace, selective, v1alpha1.ReasonNamespaceNotAllowed)
	c.kubectl("label", "namespace", namespace, "allowed=yes")
	if !watchesNamespaces {
		c.reconcile(namespace, selective)
	}
	c.expectReason(ctx, namespace, selective, v1alpha1.ReasonAvailable)

	By("a lookup that is deleted when its time is over")
	lookup := &v1alpha1.EventLookup{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "short"}}
	c.apply(lookupManifest(namespace, "short", "ttlSecondsAfterFinished: 0"))
	Eventually(
		func() bool { return apierrors.IsNotFound(c.get(ctx, lookup)) },
		maxWait,
		often,
	).Should(BeTrue(), "the lookup is to go")

	By("a validation that is deleted when its time is over")
	Expect(c.aws.DeliverHours(trailARN(region, name), 6)).To(Succeed())
	ago := func(age time.Duration) string {
		return strconv.Quote(time.Now().UTC().Add(-age).Format(time.RFC3339))
	}
	c.apply(validationManifest(namespace, "short", name,
		"startTime: "+ago(5*time.Hour), "endTime: "+ago(2*time.Hour), "ttlSecondsAfterFinished: 0"))
	validation := &v1alpha1.LogFileValidation{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "short"}}
	Eventually(
		func() bool { return apierrors.IsNotFound(c.get(ctx, validation)) },
		maxWait,
		often,
	).Should(BeTrue(), "the validation is to go")

	By("an identity that turns bad, good and bad again, and then goes")
	flapping := namespace + "-flapping"
	role := "arn:aws:iam::444455556666:role/" + flapping
	c.aws.AddRole(cloudtrailtest.Role{ARN: role})
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: flapping}}
	for i, deny := range []bool{true, false, true, false} {
		c.aws.AddRole(cloudtrailtest.Role{ARN: role, Deny: deny})
		// Another external id makes it another session.
		c.apply(identityManifest(flapping, "roleARN: "+role, fmt.Sprintf("externalID: attempt-%d", i)))
		Eventually(func(g Gomega) {
			g.Expect(c.get(ctx, identity)).To(Succeed())
			g.Expect(identity.Status.ObservedGeneration).To(Equal(identity.Generation))
			g.Expect(meta.IsStatusConditionTrue(identity.Status.Conditions, v1alpha1.ConditionReady)).To(Equal(!deny))
		}, maxWait, often).Should(Succeed(), "AWSIdentity %s, denied: %v", flapping, deny)
	}
	c.kubectl("delete", "awsidentity", flapping, "--timeout=30s")
}

// reconcile has the operator look at a Trail now.
func (c *cluster) reconcile(namespace, name string) {
	GinkgoHelper()
	c.kubectl(
		"annotate",
		"trail",
		name,
		"--namespace="+namespace,
		"--overwrite",
		"trail-operator.dev/reconcile-at="+time.Now().Format(time.RFC3339Nano),
	)
}

// expectReason waits for the reason of a Trail's Ready condition.
func (c *cluster) expectReason(ctx context.Context, namespace, name, reason string) {
	GinkgoHelper()
	found := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	Eventually(func(g Gomega) {
		g.Expect(c.get(ctx, found)).To(Succeed())
		ready := meta.FindStatusCondition(found.Status.Conditions, v1alpha1.ConditionReady)
		g.Expect(ready).NotTo(BeNil())
		g.Expect(ready.Reason).To(Equal(reason), ready.Message)
	}, maxWait, often).Should(Succeed(), "Trail %s", name)
}

func trailARN(region, name string) string {
	return "arn:aws:cloudtrail:" + region + ":" + account + ":trail/" + name
}

func identityManifest(name string, spec ...string) string {
	return manifest("AWSIdentity", "", name, spec...)
}

func validationManifest(namespace, name, trail string, spec ...string) string {
	return manifest("LogFileValidation", namespace, name, append([]string{"trailRef: {name: " + trail + "}"}, spec...)...)
}

func lookupManifest(namespace, name string, spec ...string) string {
	return manifest("EventLookup", namespace, name, append([]string{"region: " + region}, spec...)...)
}

func manifest(kind, namespace, name string, spec ...string) string {
	metadata, err := json.Marshal(map[string]string{"name": name, "namespace": namespace})
	Expect(err).NotTo(HaveOccurred())
	return fmt.Sprintf(
		"apiVersion: %s\nkind: %s\nmetadata: %s\nspec:\n  %s\n",
		v1alpha1.GroupVersion,
		kind,
		metadata,
		strings.Join(spec, "\n  "),
	)
}
