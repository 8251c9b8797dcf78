package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const (
	release          = "trail-operator"
	releaseNamespace = "trail-operator-system"
	serviceAccount   = "system:serviceaccount:" + releaseNamespace + ":" + release
	// takeover is how long a replica may need to notice that the leader is gone, and to take over.
	takeover = 45 * time.Second
	// lists has a replica list what it is going to watch, as it must where the API server is older than streaming lists.
	lists = "KUBE_FEATURE_WatchListClient=false"
	// fleet is how many Trails a namespace holds that is deleted.
	fleet = 40
)

func TestE2E(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "End to end")
}

// The story of a cluster: the steps follow each other.
var _ = Describe("A release of the chart", Ordered, func() {
	var (
		c         *cluster
		operators []*operator
		began     time.Time
		// chart is the packed one, in a registry.
		chart string
	)
	values := func(more ...string) []string {
		arguments := append(
			[]string{"--namespace", releaseNamespace, "--plain-http"},
			"--set",
			"aws.region="+region,
			"--set",
			"aws.endpointURL="+c.endpoint,
			"--set",
			"resyncInterval=2s",
		)
		for _, value := range more {
			arguments = append(arguments, "--set", value)
		}
		return arguments
	}
	upgrade := func(chart string, more ...string) {
		GinkgoHelper()
		c.helm(append([]string{"upgrade", "--install", release, chart}, values(more...)...)...)
	}
	// requests are the operator's, from this byte of the audit log on.
	expectRights := func(from int64, more ...string) {
		GinkgoHelper()
		requests := c.requests(serviceAccount, from)
		Expect(forbidden(requests)).To(BeEmpty(), "requests of the operator that its roles do not allow")
		manifests := c.helm(append([]string{"template", release, chartFolder}, values(more...)...)...)
		Expect(unused(rightsIn(manifests), requests)).To(BeEmpty(), "rights that the operator did not need")
	}
	trail := func(namespace, name string) *v1alpha1.Trail {
		return &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	beReady := HaveField(
		"Status.Conditions",
		ContainElement(And(HaveField("Type", "Ready"), HaveField("Status", metav1.ConditionTrue))),
	)
	eventuallyReady := func(ctx context.Context, object client.Object, within time.Duration) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			g.Expect(c.get(ctx, object)).To(Succeed())
			g.Expect(object).To(beReady)
		}, within, often).Should(Succeed(), "%T %s is to be ready", object, object.GetName())
	}
	leader := func() *operator {
		for _, o := range operators {
			if o.leads() {
				return o
			}
		}
		return nil
	}

	BeforeAll(func(ctx SpecContext) {
		c = startCluster(ctx)
		chart = c.pushChart()
		c.createNamespace(ctx, releaseNamespace, map[string]string{
			"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest",
		})
	})

	AfterEach(func() {
		if CurrentSpecReport().Failed() {
			c.showLogs()
		}
	})

	It("is installed with an earlier version of the CRDs", func(ctx SpecContext) {
		upgrade(earlierChart(c))
		c.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
		c.createNamespace(ctx, "survivors", nil)
		c.apply(trailManifest("survivors", "survivor"))
		output, err := c.run(
			strings.NewReader(trailManifest("survivors", "later", "interval: 10m")),
			kubectlBinary(),
			"apply",
			"--server-side",
			"--filename=-",
		)
		Expect(err).To(HaveOccurred(), "the earlier CRD has no spec.interval:\n%s", output)

		By("the identity that came after the CRDs")
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		Expect(c.get(ctx, identity)).To(Succeed())
		Expect(identity.Spec.AllowedNamespaces.From).To(Equal(v1alpha1.NamespacesFromAll))
	})

	It("is upgraded, and its CRDs with it", func(ctx SpecContext) {
		survivor := trail("survivors", "survivor")
		Expect(c.get(ctx, survivor)).To(Succeed())
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		Expect(c.get(ctx, identity)).To(Succeed())

		By("not with values that Helm 3 would not bring to an identity that came as a hook")
		output, err := c.run(nil, filepath.Join(root, "bin", "helm"),
			append([]string{"upgrade", release, chart}, values("defaultIdentity.assessCoverage=true")...)...)
		Expect(err).To(HaveOccurred(), "the identity would keep its old values, silently")
		c.runCommands(output, 2)
		Expect(c.get(ctx, identity)).To(Succeed())
		Expect(identity.Spec.AssessCoverage).To(HaveValue(BeTrue()))
		Expect(identity.Annotations).NotTo(HaveKey(HavePrefix("helm.sh/hook")))
		upgrade(chart, "defaultIdentity.assessCoverage=true")

		By("and from then on with any")
		upgrade(chart)
		Expect(c.get(ctx, identity)).To(Succeed())
		Expect(identity.Spec.AssessCoverage).To(HaveValue(BeFalse()))

		By("the CRDs")
		Eventually(func() error {
			_, err := c.run(
				strings.NewReader(trailManifest("survivors", "later", "interval: 10m")),
				kubectlBinary(),
				"apply",
				"--server-side",
				"--filename=-",
			)
			return err
		}, maxWait, often).Should(Succeed(), "the CRD of this version has spec.interval")

		By("what there was is still there")
		after := trail("survivors", "survivor")
		Expect(c.get(ctx, after)).To(Succeed())
		Expect(after.UID).To(Equal(survivor.UID))
		same := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		Expect(c.get(ctx, same)).To(Succeed())
		Expect(same.UID).To(Equal(identity.UID), "the release has taken over the identity that came as a hook")
	})

	It("has pods that Pod Security restricted admits", func(ctx SpecContext) {
		Eventually(func(g Gomega) {
			var pods corev1.PodList
			g.Expect(c.client.List(ctx, &pods, client.InNamespace(releaseNamespace))).To(Succeed())
			g.Expect(pods.Items).To(HaveLen(2))
		}, maxWait, often).Should(Succeed(), "the controller manager creates the pods of the Deployment")
	})

	It("shows what the operator has not looked at as progressing", func(ctx SpecContext) {
		c.createNamespace(ctx, gallery, map[string]string{"team": "security"})
		c.apply(trailManifest(gallery, "new"))
		c.expectHealth(ctx, "Trail", "new", gallery, "new", "Progressing")
		c.apply(
			"apiVersion: trail-operator.dev/v1alpha1\nkind: EventLookup\n" +
				"metadata:\n  name: new\n  namespace: " + gallery + "\n" +
				"spec:\n  region: us-east-1\n",
		)
		c.expectHealth(ctx, "EventLookup", "new", gallery, "new", "Progressing")
		c.expectHealth(ctx, "AWSIdentity", "new", "", "default", "Progressing")
		c.apply(validationManifest(gallery, "new", "healthy"))
		c.expectHealth(ctx, "LogFileValidation", "new", gallery, "new", "Progressing")
	})

	It("runs with two replicas, one of which leads", func(ctx SpecContext) {
		began = time.Now()
		operators = []*operator{c.startOperator(ctx, "operator-a", lists), c.startOperator(ctx, "operator-b")}
		for _, o := range operators {
			Eventually(func(g Gomega) {
				response, err := http.Get("http://" + o.probes + "/readyz")
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(response.Body.Close()).To(Succeed())
				g.Expect(response.StatusCode).To(Equal(http.StatusOK))
			}, maxWait, often).Should(Succeed(), "%s is to become ready", o.name)
		}
		Eventually(leader, maxWait, often).ShouldNot(BeNil(), "one of the two is to lead")
		eventuallyReady(ctx, &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, maxWait)
		eventuallyReady(ctx, trail("survivors", "survivor"), maxWait)
		eventuallyReady(ctx, trail("survivors", "later"), maxWait)
		Expect(operators[0].leads() && operators[1].leads()).To(BeFalse(), "both replicas lead")

		By("a Trail that AWS will not answer about for a while")
		c.aws.Inject(
			cloudtrailtest.Fault{
				Region:  "ap-south-1",
				Code:    "InternalFailure",
				Status:  http.StatusInternalServerError,
				Message: "We encountered an internal error.",
			},
		)
		c.apply(trailManifest(gallery, "reconciling", "region: ap-south-1"))
	})

	It("changes nothing when it is upgraded to what it is", func() {
		before := c.fingerprints()
		upgrade(chart)
		Expect(c.fingerprints()).To(Equal(before))
	})

	It("serves metrics to those who may read them, and to nobody else", func(ctx SpecContext) {
		for _, name := range []string{"prometheus", "stranger"} {
			Expect(
				c.client.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}),
			).To(Succeed())
		}
		for _, o := range operators {
			Eventually(scrape, maxWait, often).WithArguments(o, "").Should(HaveField("StatusCode", http.StatusUnauthorized))
			Expect(scrape(o, c.token(ctx, "default", "stranger"))).To(HaveField("StatusCode", http.StatusForbidden))
		}
		By("by the bindings in the documents")
		c.expectDocumentedReaders(ctx, operators[0])

		By("by a value of the chart")
		upgrade(
			chart,
			"metrics.readers[0].kind=ServiceAccount",
			"metrics.readers[0].name=prometheus",
			"metrics.readers[0].namespace=default",
		)
		for _, o := range operators {
			Eventually(scrape, maxWait, often).WithArguments(o, c.token(ctx, "default", "prometheus")).Should(And(
				HaveField("StatusCode", http.StatusOK), HaveField("Body", ContainSubstring("controller_runtime_"))))
		}
	})

	DescribeTable("applies the samples", func(ctx SpecContext, namespace string, arguments ...string) {
		c.createNamespace(ctx, namespace, nil)
		samples := c.samples(namespace)
		c.createObserved()
		c.apply(samples, arguments...)
		Eventually(func(g Gomega) {
			var trails v1alpha1.TrailList
			g.Expect(c.client.List(ctx, &trails, client.InNamespace(namespace))).To(Succeed())
			g.Expect(trails.Items).NotTo(BeEmpty())
			for _, item := range trails.Items {
				g.Expect(item.Status.ObservedGeneration).To(Equal(item.Generation), item.Name)
			}
		}, maxWait, often).Should(Succeed(), "the operator is to look at every sample")
		var applied v1alpha1.TrailList
		Expect(c.client.List(ctx, &applied, client.InNamespace(namespace))).To(Succeed())
		for _, item := range applied.Items {
			// Nobody looks at what is suspended, and the identity other-account allows other namespaces.
			if item.Name != "suspended" && item.Name != "other-account" {
				eventuallyReady(ctx, trail(namespace, item.Name), maxWait)
			}
		}

		By("a second time, which changes nothing")
		specs := c.specs(ctx, namespace)
		output := c.apply(samples, arguments...)
		Expect(output).NotTo(Or(ContainSubstring("configured"), ContainSubstring("created")))
		Expect(c.specs(ctx, namespace)).To(Equal(specs))
		diff, err := c.run(
			strings.NewReader(samples),
			kubectlBinary(),
			append([]string{"diff", "--filename=-"}, arguments...)...)
		Expect(err).NotTo(HaveOccurred(), "kubectl diff finds a difference:\n%s", diff)

		By("without owning a field of a spec")
		var trails v1alpha1.TrailList
		Expect(c.client.List(ctx, &trails, client.InNamespace(namespace))).To(Succeed())
		for _, item := range trails.Items {
			for _, fields := range item.ManagedFields {
				if !strings.HasPrefix(fields.Manager, "kubectl") {
					Expect(
						fields.FieldsV1.GetRawString(),
					).NotTo(ContainSubstring(`"f:spec"`), "%s owns fields of %s's spec", fields.Manager, item.Name)
				}
			}
		}

		By("and deletes them")
		c.deleteNamespace(ctx, namespace)
	},
		Entry("on the client's side", "client-side"),
		Entry("on the server's side", "server-side", "--server-side"),
	)

	It("shows each state as what it is, to Argo CD and to kstatus", func(ctx SpecContext) {
		c.exhibit(ctx)
	})

	It("needs its rights in a namespace", func(ctx SpecContext) {
		c.createNamespace(ctx, "team-a", map[string]string{"team": "a"})
		c.exercise(ctx, "team-a", true)
	})

	It("lets users view and edit Trails by the roles that they have", func(ctx SpecContext) {
		for verb, role := range map[string]string{"get": "view", "create": "edit", "delete": "admin"} {
			Expect(client.IgnoreAlreadyExists(c.client.Create(ctx, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: role},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
				Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: role + "er"}},
			}))).To(Succeed())
			may := func(resource string) (string, error) {
				return c.canI(verb, resource, "--namespace=team-a", "--as="+role+"er")
			}
			Eventually(
				may,
				maxWait,
				often,
			).WithArguments("trails.trail-operator.dev").
				Should(Equal("yes"), "%s may %s trails", role, verb)
			Eventually(
				may,
				maxWait,
				often,
			).WithArguments("eventlookups.trail-operator.dev").
				Should(Equal("yes"), "%s may %s eventlookups", role, verb)
			Expect(may("logfilevalidations.trail-operator.dev")).To(Equal("yes"), "%s may %s logfilevalidations", role, verb)
			Expect(may("awsidentities.trail-operator.dev")).To(Equal("no"), "%s may not %s awsidentities", role, verb)
		}
	})

	It("shows a fault of AWS that lasts as progress, not as failure", func(ctx SpecContext) {
		const hidden = time.Minute // The operator's hideFaults.
		Eventually(
			func() time.Duration { return time.Since(began) },
			hidden+time.Second,
			often,
		).Should(BeNumerically(">", hidden))
		Eventually(func(g Gomega) {
			// Its own next try may be a minute away. Faster than this, the annotation would get into the way of the status.
			c.reconcile(gallery, "reconciling")
			g.Eventually(func() bool {
				found := trail(gallery, "reconciling")
				return c.get(ctx, found) == nil &&
					meta.IsStatusConditionTrue(found.Status.Conditions, v1alpha1.ConditionReconciling)
			}, 15*time.Second, often).Should(BeTrue())
		}, 2*maxWait, often).Should(Succeed(), "the operator shows a fault that lasts for a minute")
		c.expectHealth(ctx, "Trail", "reconciling", gallery, "reconciling", "Progressing")
		c.aws.ClearFaults()
		c.reconcile(gallery, "reconciling")
		eventuallyReady(ctx, trail(gallery, "reconciling"), 2*maxWait)
	})

	It("survives the death of its leader", func(ctx SpecContext) {
		dead := leader()
		Expect(dead).NotTo(BeNil())
		dead.kill()
		c.apply(trailManifest("team-a", "after-the-leader"))
		eventuallyReady(ctx, trail("team-a", "after-the-leader"), takeover)
		Expect(leader()).NotTo(BeNil())
		operators = append(operators, c.startOperator(ctx, "operator-c"))
	})

	It("deletes the trails of a namespace that is deleted", func(ctx SpecContext) {
		c.createNamespace(ctx, "fleet", nil)
		var manifests strings.Builder
		for i := range fleet {
			manifests.WriteString("---\n" + trailManifest("fleet", fmt.Sprintf("fleet-%02d", i)))
		}
		c.apply(manifests.String(), "--server-side")
		Eventually(func() int { return c.trailsInAWS("fleet-") }, maxWait, often).Should(Equal(fleet))
		c.deleteNamespace(ctx, "fleet")
		Expect(c.trailsInAWS("fleet-")).To(BeZero())
	})

	It("has used each of its rights, and has wanted no other", func() {
		expectRights(
			0,
			"metrics.readers[0].kind=ServiceAccount",
			"metrics.readers[0].name=prometheus",
			"metrics.readers[0].namespace=default",
		)
	})

	It("is uninstalled without loss of a trail", func(ctx SpecContext) {
		for _, o := range operators {
			o.stop()
		}
		trailsInAWS := len(c.aws.Trails())
		var before v1alpha1.TrailList
		Expect(c.client.List(ctx, &before)).To(Succeed())
		c.helm("uninstall", release, "--namespace", releaseNamespace)
		var after v1alpha1.TrailList
		Expect(c.client.List(ctx, &after)).To(Succeed(), "the CRDs stay")
		Expect(after.Items).To(HaveLen(len(before.Items)), "the Trails stay")
		for _, item := range after.Items {
			Expect(item.DeletionTimestamp).To(BeNil(), item.Name)
		}
		Expect(
			c.get(ctx, &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "default"}}),
		).To(Succeed(), "the identity stays")
		Expect(c.aws.Trails()).To(HaveLen(trailsInAWS))
	})

	It("is installed again, for one namespace, with rights in that only", func(ctx SpecContext) {
		c.createNamespace(ctx, "team-b", map[string]string{"team": "b"})
		By("as if it were the first time: its lease is gone, too")
		c.kubectl("delete", "lease", release, "--namespace="+releaseNamespace)
		from := c.auditEnd()
		only := []string{"watchNamespaces={team-b}", "replicas=1"}
		upgrade(chart, only...)
		o := c.startOperator(ctx, "operator-d", lists)
		Eventually(o.leads, maxWait, often).Should(BeTrue())
		c.exercise(ctx, "team-b", false)
		Eventually(
			scrape,
			maxWait,
			often,
		).WithArguments(o, c.token(ctx, "default", "prometheus")).
			Should(HaveField("StatusCode", http.StatusForbidden))

		By("not in another")
		c.apply(trailManifest("team-a", "unseen"))
		Consistently(func(g Gomega) {
			found := trail("team-a", "unseen")
			g.Expect(c.get(ctx, found)).To(Succeed())
			g.Expect(found.Status.Conditions).To(BeEmpty())
		}, 2*time.Second, often).Should(Succeed())
		o.stop()
		expectRights(from, only...)
	})
})

// answer is what the metrics' endpoint said.
type answer struct {
	StatusCode int
	Body       string
}

// scrape reads a replica's metrics as Prometheus does, with a token.
func scrape(o *operator, token string) (answer, error) {
	request, err := http.NewRequestWithContext(
		context.Background(),
		http.MethodGet,
		"https://"+o.metrics+"/metrics",
		http.NoBody,
	)
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	httpClient := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{
			InsecureSkipVerify: true,
		}, // The certificate is self-signed, as the chart's ServiceMonitor says too.
	}}
	defer httpClient.CloseIdleConnections()
	response, err := httpClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(body)}, errors.Join(err, response.Body.Close())
}

// earlierChart returns a chart of an earlier version, whose Trails had no spec.interval.
func earlierChart(c *cluster) string {
	GinkgoHelper()
	folder := filepath.Join(c.folder, "earlier")
	Expect(os.CopyFS(folder, os.DirFS(chartFolder))).To(Succeed())
	text, err := os.ReadFile(filepath.Join(root, "config", "crd", "bases", "trail-operator.dev_trails.yaml"))
	Expect(err).NotTo(HaveOccurred())
	crd := &apiextensionsv1.CustomResourceDefinition{}
	Expect(yaml.Unmarshal(text, crd)).To(Succeed())
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	Expect(spec.Properties).To(HaveKey("interval"))
	delete(spec.Properties, "interval")
	crd.Annotations["helm.sh/resource-policy"] = "keep"
	text, err = yaml.Marshal(crd)
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(filepath.Join(folder, "templates", "crds", "trails.yaml"), text, 0o600)).To(Succeed())
	return folder
}

// samples are the manifests in config/samples, for a namespace. Their queue is the emulator's, as no test may call AWS.
func (c *cluster) samples(namespace string) string {
	GinkgoHelper()
	folder := filepath.Join(c.folder, "samples-"+namespace)
	Expect(os.CopyFS(filepath.Join(folder, "samples"), os.DirFS(filepath.Join(root, "config", "samples")))).To(Succeed())
	Expect(
		os.WriteFile(
			filepath.Join(folder, "kustomization.yaml"),
			[]byte(`namespace: `+namespace+`
resources: [samples]
patches:
  - target: {kind: AWSIdentity, name: events}
    patch: '[{"op": "replace", "path": "/spec/eventQueueURL", "value": "`+c.endpoint+"/"+account+`/trail-operator"}]'
`),
			0o600,
		),
	).To(Succeed())
	return c.kubectl("kustomize", folder)
}

// createObserved creates the trail that a sample observes, for the spec that calls it.
func (c *cluster) createObserved() {
	GinkgoHelper()
	admin := c.aws.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + account + ":user/somebody"})
	do := func(operation string, parameters map[string]any) {
		GinkgoHelper()
		parameters["Name"] = "made-by-hand"
		_, err := admin.Do(region, operation, parameters)
		Expect(err).NotTo(HaveOccurred())
	}
	do("CreateTrail", map[string]any{"S3BucketName": "trail-operator-demo-logs"})
	do("StartLogging", map[string]any{})
	DeferCleanup(func() { do("DeleteTrail", map[string]any{}) })
}

// fingerprints are the resource versions of what a release consists of.
func (c *cluster) fingerprints() map[string]string {
	GinkgoHelper()
	const columns = "--output=custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion"
	const selector = "--selector=app.kubernetes.io/part-of=trail-operator"
	output := c.kubectl("get", "crd,clusterrole,clusterrolebinding,awsidentities", selector, "--no-headers", columns) +
		c.kubectl(
			"get",
			"serviceaccount,service,role,rolebinding,poddisruptionbudget",
			"--namespace="+releaseNamespace,
			selector,
			"--no-headers",
			columns,
		)
	found := map[string]string{}
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		found[fields[0]+" "+fields[1]] = fields[2]
	}
	return found
}

// specs are the generations of what a namespace holds: they change with the specs only.
func (c *cluster) specs(ctx context.Context, namespace string) map[string]int64 {
	GinkgoHelper()
	found := map[string]int64{}
	var trails v1alpha1.TrailList
	Expect(c.client.List(ctx, &trails, client.InNamespace(namespace))).To(Succeed())
	for _, item := range trails.Items {
		found["Trail "+item.Name] = item.Generation
	}
	var lookups v1alpha1.EventLookupList
	Expect(c.client.List(ctx, &lookups, client.InNamespace(namespace))).To(Succeed())
	for _, item := range lookups.Items {
		found["EventLookup "+item.Name] = item.Generation
	}
	var validations v1alpha1.LogFileValidationList
	Expect(c.client.List(ctx, &validations, client.InNamespace(namespace))).To(Succeed())
	for _, item := range validations.Items {
		found["LogFileValidation "+item.Name] = item.Generation
	}
	return found
}

// trailsInAWS counts the trails in AWS whose names begin so.
func (c *cluster) trailsInAWS(prefix string) int {
	count := 0
	for _, found := range c.aws.Trails() {
		if strings.HasPrefix(found.Name, prefix) {
			count++
		}
	}
	return count
}
