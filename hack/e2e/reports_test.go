package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/trail-operator/trail-operator/hack/sandbox"
)

var (
	openReports = schema.GroupVersion{Group: "openreports.io", Version: "v1alpha1"}
	wgPolicy    = schema.GroupVersion{Group: "wgpolicyk8s.io", Version: "v1alpha2"}
)

var _ = Describe("Reports", Ordered, func() {
	var c *cluster
	chart := filepath.Join(root, "charts", "trail-operator")
	BeforeAll(func(ctx SpecContext) {
		c = startCluster(ctx)
		c.createNamespace(ctx, releaseNamespace, nil)
		c.createNamespace(ctx, "team", nil)
		_, err := envtest.InstallCRDs(c.rest, envtest.CRDInstallOptions{
			Paths: []string{
				filepath.Join(moduleFolder(sandbox.OpenReports), "config", "crd"),
				filepath.Join(moduleFolder(sandbox.Kyverno), "config", "crds", "policyreport"),
			},
			ErrorIfPathMissing: true,
		})
		Expect(err).NotTo(HaveOccurred())
	})

	AfterEach(func() {
		if CurrentSpecReport().Failed() {
			c.showLogs()
		}
	})

	// expectRights holds that the rights to reports are those that the operator needs.
	expectRights := func(from int64, group, manifests string) {
		GinkgoHelper()
		requests := c.requests(serviceAccount, from)
		Expect(forbidden(requests)).To(BeEmpty(), "requests of the operator that its roles do not allow")
		rights := slices.DeleteFunc(rightsIn(manifests), func(r right) bool { return r.group != group })
		Expect(rights).NotTo(BeEmpty())
		Expect(unused(rights, requests)).To(BeEmpty(), "rights that the operator did not need")
	}

	It("of OpenReports are written with the rights that the chart gives", func(ctx SpecContext) {
		from := c.auditEnd()
		values := []string{
			"--namespace", releaseNamespace, "--set", "aws.region=" + region, "--set", "aws.endpointURL=" + c.endpoint,
			"--set", "compliance.reports=openreports",
		}
		c.helm(append([]string{"upgrade", "--install", release, chart}, values...)...)
		o := c.startOperator(ctx, "operator-reports")

		c.apply(trailManifest("team", "audit"))
		c.expectRepaired(ctx, openReports.WithKind("Report"), "team", "trail-audit")
		c.kubectl("delete", "trail", "audit", "--namespace=team")
		c.expectGone(ctx, openReports.WithKind("Report"), "team", "trail-audit")

		c.kubectl("patch", "awsidentity", "default", "--type=merge", "--patch", `{"spec": {"assessCoverage": true}}`)
		c.expectRepaired(ctx, openReports.WithKind("ClusterReport"), "", "awsidentity-default")
		c.kubectl("patch", "awsidentity", "default", "--type=merge", "--patch", `{"spec": {"assessCoverage": false}}`)
		c.expectGone(ctx, openReports.WithKind("ClusterReport"), "", "awsidentity-default")

		o.stop()
		expectRights(from, openReports.Group, c.helm(append([]string{"template", release, chart}, values...)...))
	})

	It("of wgpolicyk8s.io are written in one namespace only", func(ctx SpecContext) {
		from := c.auditEnd()
		values := []string{
			"--namespace", releaseNamespace, "--set", "aws.region=" + region, "--set", "aws.endpointURL=" + c.endpoint,
			"--set", "compliance.reports=wgpolicy", "--set", "watchNamespaces={team}",
		}
		c.helm(append([]string{"upgrade", "--install", release, chart}, values...)...)
		c.kubectl("delete", "lease", release, "--namespace="+releaseNamespace, "--ignore-not-found")
		o := c.startOperator(ctx, "operator-policyreports")

		c.apply(trailManifest("team", "audit"))
		c.expectRepaired(ctx, wgPolicy.WithKind("PolicyReport"), "team", "trail-audit")
		o.stop()
		expectRights(from, wgPolicy.Group, c.helm(append([]string{"template", release, chart}, values...)...))
	})

	It("are turned on by config/reports, with the same rights", func(ctx SpecContext) {
		checkout, err := filepath.Abs(root)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.Symlink(checkout, filepath.Join(c.folder, "trail-operator"))).To(Succeed())
		folder := filepath.Join(c.folder, "my-cluster")
		Expect(os.Mkdir(folder, 0o755)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(
			"resources: [../trail-operator/config/default]\ncomponents: [../trail-operator/config/reports]\n",
		), 0o600)).To(Succeed())
		manifests := c.kubectl("kustomize", folder)
		// The chart's has another selector.
		c.kubectl("delete", "deployment", release, "--namespace="+releaseNamespace, "--ignore-not-found")
		c.expectApplicable(ctx, manifests)

		objects, err := sandbox.Objects([]byte(manifests))
		Expect(err).NotTo(HaveOccurred())
		deployment := &appsv1.Deployment{}
		convert(objects, "Deployment", deployment)
		Expect(deployment.Spec.Template.Spec.Containers[0].Args).
			To(ContainElements("--leader-elect=true", "--reports=openreports"))

		ofChart := c.helm(
			"template",
			release,
			chart,
			"--namespace",
			releaseNamespace,
			"--set",
			"compliance.reports=openreports",
		)
		Expect(rulesAbout(openReports.Group, manifests)).NotTo(BeEmpty())
		Expect(rulesAbout(openReports.Group, manifests)).To(ConsistOf(rulesAbout(openReports.Group, ofChart)))
	})
})

// rulesAbout returns the rules of rendered manifests about an API group.
func rulesAbout(group, manifests string) []any {
	GinkgoHelper()
	objects, err := sandbox.Objects([]byte(manifests))
	Expect(err).NotTo(HaveOccurred())
	var found []any
	for _, object := range objects {
		if object.GetKind() != "ClusterRole" || object.GroupVersionKind().Group != rbacv1.GroupName {
			continue
		}
		rules, _, err := unstructured.NestedSlice(object.Object, "rules")
		Expect(err).NotTo(HaveOccurred())
		for _, rule := range rules {
			content, isMap := rule.(map[string]any)
			Expect(isMap).To(BeTrue())
			groups, _, err := unstructured.NestedStringSlice(content, "apiGroups")
			Expect(err).NotTo(HaveOccurred())
			if slices.Contains(groups, group) {
				found = append(found, rule)
			}
		}
	}
	return found
}

// expectRepaired waits for a report, damages it and waits until it is as it was.
func (c *cluster) expectRepaired(ctx context.Context, kind schema.GroupVersionKind, namespace, name string) {
	GinkgoHelper()
	report := &unstructured.Unstructured{}
	report.SetGroupVersionKind(kind)
	key := client.ObjectKey{Namespace: namespace, Name: name}
	results := func() []any {
		if err := c.client.Get(ctx, key, report); err != nil {
			return nil
		}
		results, _, err := unstructured.NestedSlice(report.Object, "results")
		Expect(err).NotTo(HaveOccurred())
		return results
	}
	Eventually(results, 2*maxWait, often).ShouldNot(BeEmpty(), "%s %s is written", kind.Kind, key)

	Eventually(func() error {
		before := results()
		if err := unstructured.SetNestedSlice(report.Object, before[1:], "results"); err != nil {
			return err
		}
		return c.client.Update(ctx, report)
	}, maxWait, often).Should(Succeed())
	damaged := report.GetResourceVersion()
	Eventually(func() string {
		results()
		return report.GetResourceVersion()
	}, maxWait, often).ShouldNot(Equal(damaged), "%s %s is repaired", kind.Kind, key)
}

// expectGone waits until a report is deleted.
func (c *cluster) expectGone(ctx context.Context, kind schema.GroupVersionKind, namespace, name string) {
	GinkgoHelper()
	report := &unstructured.Unstructured{}
	report.SetGroupVersionKind(kind)
	Eventually(func() bool {
		return apierrors.IsNotFound(c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, report))
	}, 2*maxWait, often).Should(BeTrue(), "%s %s goes", kind.Kind, name)
}
