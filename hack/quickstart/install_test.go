package quickstart

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/sandbox"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

const (
	// maxWait is far more than an operator needs that waits for the lease of another one first.
	maxWait = 2 * time.Minute
	often   = 500 * time.Millisecond
	timeout = 10 * time.Minute
)

// notRun are the blocks of docs/install.md that this test cannot run, and why.
var notRun = map[string]string{
	`identity=https://github.com/trail-operator/trail-operator/.github/workflows/release.yaml@refs/tags/v0.1.0
issuer=https://token.actions.githubusercontent.com
cosign verify --certificate-identity $identity --certificate-oidc-issuer $issuer \
  ghcr.io/trail-operator/trail-operator:v0.1.0
cosign verify --certificate-identity $identity --certificate-oidc-issuer $issuer \
  ghcr.io/trail-operator/charts/trail-operator:0.1.0
`: "needs cosign, and a release in the registry",
	`cosign verify-blob --certificate-identity $identity --certificate-oidc-issuer $issuer \
  --bundle SHA256SUMS.sigstore.json SHA256SUMS
sha256sum --check --ignore-missing SHA256SUMS
`: "needs cosign, and the files of a release; hack/release runs the second line",
	`gh attestation verify --repo trail-operator/trail-operator oci://ghcr.io/trail-operator/trail-operator:v0.1.0
gh attestation verify --repo trail-operator/trail-operator trail-operator_v0.1.0_linux_amd64.tar.gz
`: "needs GitHub's CLI, and its attestations",
	`sudo ctr --namespace k8s.io images import bin/image.tar
kind load image-archive bin/image.tar
`: "needs a node, or a cluster of kind",
	`mkdir -p bin/layout && tar -xf bin/image.tar -C bin/layout
crane push bin/layout registry.example.com/trail-operator:v0.1.0
`: "needs the image; hack/image runs it",
	`skopeo copy --all oci-archive:bin/image.tar docker://registry.example.com/trail-operator:v0.1.0
`: "needs skopeo, and the image",
}

var _ = Describe("docs/install.md", func() {
	document := readGuide("install.md")
	check := document.take("kubectl get awsidentity default\n")

	var w *world
	// start gives the reader a cluster and a shell in a checkout.
	start := func(ctx context.Context) {
		skipIfShort()
		w = newWorld(ctx)
		w.folder = testbed.File()
		w.startCluster()
		w.install()
	}

	install, upgrade := document.take("helm install trail-operator oci://"), document.take("helm upgrade trail-operator ")
	annotate := document.take("kubectl annotate awsidentity default ")
	setRole := document.take("--set serviceAccount.annotations.")
	uninstall, removeAll := document.take("helm uninstall trail-operator "), document.take("kubectl delete trails,")
	It("installs, upgrades and uninstalls with Helm", func(ctx context.Context) {
		start(ctx)
		By("installing")
		w.run(ctx, install)
		Expect(w.identity(ctx).Annotations).To(HaveKey("helm.sh/hook"))
		stop := w.startOperator(ctx)
		w.awaitIdentity(ctx, check)

		By("upgrading")
		Expect(w.run(ctx, upgrade)).To(ContainSubstring(annotate), "the notes contain the command")
		changed := strings.TrimSpace(upgrade) + " --set defaultIdentity.assessCoverage=true " + setRole
		output, err := w.try(ctx, changed)
		Expect(err).To(HaveOccurred(), "Helm 3 would not change the identity")
		commands := regexp.MustCompile(`(?m)^ +kubectl .*\n`).FindAllString(output, -1)
		Expect(commands).To(HaveExactElements(ContainSubstring("assessCoverage"), ContainSubstring(annotate)), output)
		w.run(ctx, commands[0]+annotate)
		Expect(w.identity(ctx).Annotations).NotTo(HaveKey(HavePrefix("helm.sh/hook")))

		arguments := w.pod(ctx).Containers[0].Args
		Expect(w.run(ctx, changed)).NotTo(ContainSubstring(annotate))
		Expect(w.identity(ctx).Spec.CoverageAssessed()).To(BeTrue())
		Expect(w.pod(ctx).Containers[0].Args).To(Equal(arguments), "the values stay")
		serviceAccount := &corev1.ServiceAccount{}
		Expect(w.Get(ctx, installed, serviceAccount)).To(Succeed())
		_, role, _ := strings.Cut(strings.TrimSpace(setRole), "=")
		Expect(serviceAccount.Annotations).To(HaveKeyWithValue("eks.amazonaws.com/role-arn", role))

		By("uninstalling without loss of a trail")
		w.createTrail(ctx, region)
		crds := w.crds(ctx)
		w.run(ctx, uninstall)
		stop()
		w.expectNoOperator(ctx)
		Expect(w.crds(ctx)).To(Equal(crds))
		Expect(w.identity(ctx).DeletionTimestamp).To(BeNil())
		trail := &v1alpha1.Trail{}
		Expect(w.Get(ctx, audit, trail)).To(Succeed())
		Expect(trail.DeletionTimestamp).To(BeNil())
		Expect(w.aws.Trails()).To(ConsistOf(HaveField("IsLogging", true)))

		By("installing again")
		other := strings.TrimSpace(strings.Replace(install, " trail-operator ", " other ", 1)) + " --dry-run=server"
		output, err = w.try(ctx, other)
		Expect(err).To(HaveOccurred(), output)
		Expect(output).To(ContainSubstring("invalid ownership metadata"))
		w.run(ctx, other+" --take-ownership")
		w.run(ctx, install)
		w.startOperator(ctx)

		By("uninstalling everything")
		w.run(ctx, removeAll)
		Expect(w.aws.Trails()).To(BeEmpty())
		w.expectNoOperator(ctx)
		Expect(w.crds(ctx)).To(BeEmpty())
		Expect(w.Get(ctx, client.ObjectKey{Name: namespace}, &corev1.Namespace{})).To(Succeed(), "the namespace stays")
	}, SpecTimeout(timeout))

	installOnOpenShift := document.take("helm install trail-operator oci://")
	It("installs on OpenShift", func(ctx context.Context) {
		start(ctx)
		w.run(ctx, installOnOpenShift)

		usual := parseDeployment(w.run(ctx, renderDeployment+" trail-operator charts/trail-operator"))
		want, got := usual.Spec.Template.Spec, w.pod(ctx)
		Expect(want.SecurityContext.RunAsUser).NotTo(BeNil(), "there is something to remove")
		want.SecurityContext.RunAsUser, want.SecurityContext.RunAsGroup, want.SecurityContext.FSGroup = nil, nil, nil
		Expect(got.SecurityContext).To(Equal(want.SecurityContext))
		Expect(got.Containers[0].SecurityContext).To(Equal(want.Containers[0].SecurityContext))
	}, SpecTimeout(timeout))

	applyRelease := document.take("release=" + published)
	removeRelease := document.take("kubectl delete --ignore-not-found -f " + published)
	removeTrails, _, _ := strings.Cut(removeAll, "helm ")
	It("installs with kubectl", func(ctx context.Context) {
		start(ctx)
		version, _, _ := strings.Cut(strings.TrimPrefix(applyRelease, "release="+published), "\n")
		image := w.makeManifests(ctx, version)
		output := w.run(ctx, applyRelease)
		Expect(strings.Count(output, " condition met\n")).To(Equal(len(w.crds(ctx))), output)
		Expect(w.pod(ctx).Containers[0].Image).To(Equal(image))
		w.startOperator(ctx)
		w.awaitIdentity(ctx, check)
		w.createTrail(ctx, regionOfNodes)
		w.remove(ctx, removeTrails+removeRelease)
	}, SpecTimeout(timeout))

	applyConfig := document.take("kubectl apply --server-side -k config/default\n")
	removeConfig := document.take("kubectl delete --ignore-not-found -k config/default\n")
	It("installs with kustomize", func(ctx context.Context) {
		start(ctx)
		w.apply(ctx, applyConfig)
		w.startOperator(ctx)
		w.awaitIdentity(ctx, check)
		w.createTrail(ctx, regionOfNodes)
		w.remove(ctx, removeTrails+removeConfig)
	}, SpecTimeout(timeout))

	own := document.take("apiVersion: kustomize.config.k8s.io/")
	It("installs with a kustomization of one's own", func(ctx context.Context) {
		start(ctx)
		w.folder = GinkgoT().TempDir()
		Expect(os.Symlink(testbed.File(), filepath.Join(w.folder, "trail-operator"))).To(Succeed())
		file := regexp.MustCompile("`([^`]*/kustomization.yaml)`").FindStringSubmatch(document.text)
		command := regexp.MustCompile("`(kubectl apply [^`]*)`").FindStringSubmatch(document.text)
		Expect(file).NotTo(BeNil())
		Expect(command).NotTo(BeNil())
		Expect(os.Mkdir(filepath.Join(w.folder, filepath.Dir(file[1])), 0o755)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(w.folder, file[1]), []byte(own), 0o600)).To(Succeed())
		w.apply(ctx, command[1])

		w.expectApplied(ctx, own)
		w.startOperator(ctx)
		w.awaitIdentity(ctx, check)
		w.createTrail(ctx, region)
	}, SpecTimeout(timeout))

	associate := document.take("aws eks create-pod-identity-association ")
	It("associates a role with the ServiceAccount", func(ctx context.Context) {
		skipIfShort()
		w = newWorld(ctx)
		w.variables = "export AWS_DEFAULT_REGION=" + region + "\n"
		w.installAWSCLI(ctx)
		w.run(ctx, associate)
		var association map[string]string
		body := w.others.parameter("eks POST /clusters/example/pod-identity-associations")
		Expect(json.Unmarshal([]byte(body), &association)).To(Succeed())
		Expect(association).To(And(
			HaveKeyWithValue("namespace", installed.Namespace), HaveKeyWithValue("serviceAccount", installed.Name),
			HaveKeyWithValue("roleArn", HavePrefix("arn:aws:iam::")),
		))
	}, SpecTimeout(timeout))

	It("has no block that is neither run nor known not to be", func() {
		Expect(document.missing).To(BeEmpty(), "blocks that begin so")
		Expect(document.left).To(ConsistOf(slices.Collect(maps.Keys(notRun))), "run the block, or say in notRun why not")
	})
})

// audit is the Trail that is created in between.
var audit = client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "audit"}

// createTrail creates a Trail without a region, and waits until it is ready in the one that the operator was told.
func (w *world) createTrail(ctx context.Context, home string) {
	GinkgoHelper()
	trail := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: audit.Namespace, Name: audit.Name}}
	trail.Spec.S3BucketName = "audit-logs"
	Expect(w.Create(ctx, trail)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(w.Get(ctx, audit, trail)).To(Succeed())
		g.Expect(trail.Status.Conditions).To(ContainElement(
			And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionTrue))))
	}, maxWait, often).Should(Succeed(), "the Trail is to be ready")
	Expect(w.aws.Trails()).To(ConsistOf(HaveField("HomeRegion", home)))
}

// remove runs the commands that delete the Trails, with their trails, and what was applied.
func (w *world) remove(ctx context.Context, commands string) {
	GinkgoHelper()
	w.run(ctx, commands)
	Expect(w.aws.Trails()).To(BeEmpty())
	w.expectNoOperator(ctx)
	Eventually(w.crds, maxWait, often).WithArguments(ctx).Should(BeEmpty(), "kubectl waits for this in a cluster")
}

// expectNoOperator checks that there is no Deployment of the operator.
func (w *world) expectNoOperator(ctx context.Context) {
	GinkgoHelper()
	err := w.Get(ctx, installed, &appsv1.Deployment{})
	Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
}

// identity returns the AWSIdentity default.
func (w *world) identity(ctx context.Context) *v1alpha1.AWSIdentity {
	GinkgoHelper()
	identity := &v1alpha1.AWSIdentity{}
	Expect(w.Get(ctx, client.ObjectKey{Name: v1alpha1.DefaultIdentityName}, identity)).To(Succeed())
	return identity
}

// awaitIdentity runs the check of the credentials until it shows that AWS accepts them.
func (w *world) awaitIdentity(ctx context.Context, check string) {
	GinkgoHelper()
	Eventually(func() []string { return table(w.run(ctx, check)) }, maxWait, often).Should(
		ContainElement(HavePrefix(v1alpha1.DefaultIdentityName+" True "+account+" ")), "AWS is to accept the credentials")
}

// crds returns the names of the operator's CRDs in the cluster.
func (w *world) crds(ctx context.Context) []string {
	GinkgoHelper()
	var found []string
	var list apiextensionsv1.CustomResourceDefinitionList
	Expect(w.List(ctx, &list)).To(Succeed())
	for _, crd := range list.Items {
		if crd.Spec.Group == v1alpha1.GroupVersion.Group {
			found = append(found, crd.Name)
		}
	}
	return found
}

// makeManifests makes the manifests of a release that the reader can get, and returns the image in them.
func (w *world) makeManifests(ctx context.Context, version string) (image string) {
	GinkgoHelper()
	const registry, digest = "registry.example.com/team", "sha256:" +
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	folder := filepath.Join(w.downloads(), version)
	Expect(os.MkdirAll(folder, 0o755)).To(Succeed())
	release := exec.CommandContext(ctx, "go", "run", ".", "manifests", "-root", testbed.File(), "-dist", folder,
		"-version", version, "-registry", registry, "-digest", digest, "-kustomize", tool("kustomize"))
	release.Dir = testbed.File("hack", "release")
	release.Env = append(os.Environ(), "GOWORK=off", "SOURCE_DATE_EPOCH=0")
	output, err := release.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
	return registry + "/trail-operator@" + digest
}

// apply applies a kustomization twice, because kubectl looks for all kinds before it creates the first CRD.
func (w *world) apply(ctx context.Context, command string) {
	GinkgoHelper()
	output, err := w.try(ctx, command)
	Expect(err).To(HaveOccurred(), output)
	Expect(output).To(ContainSubstring(`no matches for kind "AWSIdentity"`))
	Eventually(w.try, maxWait, often).WithArguments(ctx, command).Should(
		ContainSubstring("awsidentity.trail-operator.dev/default "), "the API server needs a moment to serve a new kind")
}

// expectApplied checks that the objects in the cluster have what the patches and the images of a kustomization say.
func (w *world) expectApplied(ctx context.Context, text string) {
	GinkgoHelper()
	var kustomization struct {
		Patches []struct{ Patch string }
		Images  []struct{ NewName, NewTag string }
	}
	Expect(yaml.Unmarshal([]byte(text), &kustomization)).To(Succeed())
	for _, patch := range kustomization.Patches {
		objects, err := sandbox.Objects([]byte(patch.Patch))
		Expect(err).NotTo(HaveOccurred())
		Expect(objects).To(HaveLen(1))
		found := &unstructured.Unstructured{}
		found.SetGroupVersionKind(objects[0].GroupVersionKind())
		Expect(w.Get(ctx, client.ObjectKeyFromObject(objects[0]), found)).To(Succeed())
		Expect(equality.Semantic.DeepDerivative(objects[0].Object, found.Object)).To(BeTrue(), patch.Patch)
	}
	Expect(kustomization.Images).To(HaveLen(1))
	image := kustomization.Images[0]
	Expect(w.pod(ctx).Containers[0].Image).To(Equal(image.NewName + ":" + image.NewTag))
}
