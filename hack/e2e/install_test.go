package e2e

import (
	"context"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/sandbox"
)

var _ = Describe("config", Ordered, func() {
	const image = "registry.example.com/team/trail-operator:v9"
	var c *cluster
	BeforeAll(func(ctx SpecContext) { c = startCluster(ctx) })

	AfterEach(func() {
		if CurrentSpecReport().Failed() {
			c.showLogs()
		}
	})

	It("is deployed by make, with another image, and stays as it is", func(ctx SpecContext) {
		before := contents(filepath.Join(root, "config"))
		// A variable of the make that runs this test is none of a user's.
		output, err := c.run(nil, "env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", "-C", root, "deploy", "IMG="+image)
		Expect(err).NotTo(HaveOccurred(), "make deploy:\n%s", output)
		Expect(contents(filepath.Join(root, "config"))).To(Equal(before), "make deploy has changed files of the repository")

		deployment := &appsv1.Deployment{}
		Expect(c.client.Get(ctx, client.ObjectKey{Namespace: releaseNamespace, Name: release}, deployment)).To(Succeed())
		container := deployment.Spec.Template.Spec.Containers[0]
		Expect(container.Image).To(Equal(image))
		Expect(container.ImagePullPolicy).To(Equal(corev1.PullIfNotPresent), "for an image that is on the node only")
	})

	It("gives the operator all it needs", func(ctx SpecContext) {
		o := c.startOperator(ctx, "operator", "AWS_ENDPOINT_URL="+c.endpoint, "AWS_REGION="+region)
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultIdentityName}}
		Eventually(func(g Gomega) {
			g.Expect(c.get(ctx, identity)).To(Succeed())
			g.Expect(identity.Status.Conditions).To(ContainElement(
				And(HaveField("Type", "Ready"), HaveField("Status", metav1.ConditionTrue))))
		}, maxWait, often).Should(Succeed(), "the default identity is to be ready")
		c.expectDocumentedReaders(ctx, o)
	})

	It("is the base of the kustomization in docs/install.md", func(ctx SpecContext) {
		_, text, found := strings.Cut(readDocument("install.md"), "```yaml\n")
		Expect(found).To(BeTrue(), "docs/install.md has a kustomization")
		text, _, found = strings.Cut(text, "```\n")
		Expect(found).To(BeTrue())

		By("beside a checkout")
		folder := filepath.Join(c.folder, "my-cluster")
		Expect(os.Mkdir(folder, 0o755)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(text), 0o600)).To(Succeed())
		checkout, err := filepath.Abs(root)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.Symlink(checkout, filepath.Join(c.folder, "trail-operator"))).To(Succeed())
		manifests := c.kubectl("kustomize", folder)
		c.expectApplicable(ctx, manifests)

		objects, err := sandbox.Objects([]byte(manifests))
		Expect(err).NotTo(HaveOccurred())
		account, deployment := &corev1.ServiceAccount{}, &appsv1.Deployment{}
		convert(objects, "ServiceAccount", account)
		convert(objects, "Deployment", deployment)
		Expect(account.Annotations).To(HaveKeyWithValue("eks.amazonaws.com/role-arn", HavePrefix("arn:aws:iam::")))
		container := deployment.Spec.Template.Spec.Containers[0]
		Expect(container.Env).To(ConsistOf(HaveField("Name", "AWS_REGION")))
		Expect(container.Image).To(Equal("registry.example.com/trail-operator:v0.1.0"))
		Expect(container.Args).NotTo(BeEmpty(), "the patch leaves the rest as it is")
	})
})

// convert makes a typed object of the only one of a kind.
func convert(objects []*unstructured.Unstructured, kind string, into any) {
	GinkgoHelper()
	found := 0
	for _, object := range objects {
		if object.GetKind() == kind {
			found++
			Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, into)).To(Succeed())
		}
	}
	Expect(found).To(Equal(1), "objects of kind %s", kind)
}

// contents are the digests of the files in a folder.
func contents(folder string) map[string][sha256.Size]byte {
	GinkgoHelper()
	found := map[string][sha256.Size]byte{}
	files := os.DirFS(folder)
	Expect(fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		found[path] = sha256.Sum256(text)
		return err
	})).To(Succeed())
	return found
}

// readDocument returns a document of docs.
func readDocument(name string) string {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(root, "docs", name))
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// bindingCommand is a command of the documents that lets a ServiceAccount read the metrics: the binding's name, and the
// ServiceAccount's namespace and name.
var bindingCommand = regexp.MustCompile(
	`(?m)^kubectl create clusterrolebinding (\S+) (?:\\\n|.)*?--serviceaccount=([^:\s]+):(\S+)$`)

// expectDocumentedReaders runs each command of the documents that lets somebody read the metrics: before it, the API
// server denies it; afterwards, the replica serves them. A binding to a role that does not exist would be taken, too.
func (c *cluster) expectDocumentedReaders(ctx context.Context, o *operator) {
	GinkgoHelper()
	for _, document := range []string{"metrics.md", "runbook.md"} {
		commands := bindingCommand.FindAllStringSubmatch(readDocument(document), -1)
		Expect(commands).NotTo(BeEmpty(), "docs/%s tells how to read the metrics", document)
		for _, command := range commands {
			binding, namespace, name := command[1], command[2], command[3]
			Expect(client.IgnoreAlreadyExists(c.client.Create(ctx,
				&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))).To(Succeed())
			Expect(client.IgnoreAlreadyExists(c.client.Create(ctx,
				&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}))).To(Succeed())
			mayRead := func() (string, error) {
				return c.canI("get", "/metrics", "--as=system:serviceaccount:"+namespace+":"+name)
			}
			Eventually(mayRead, maxWait, often).Should(Equal("no"), "before %s", command[0])

			output, err := c.run(nil, "sh", "-c", command[0])
			Expect(err).NotTo(HaveOccurred(), "%s:\n%s", command[0], output)
			Eventually(mayRead, maxWait, often).Should(Equal("yes"), "after %s", command[0])
			Eventually(scrape, maxWait, often).WithArguments(o, c.token(ctx, namespace, name)).Should(And(
				HaveField("StatusCode", 200), HaveField("Body", ContainSubstring("controller_runtime_"))), command[0])
			c.kubectl("delete", "clusterrolebinding", binding)
		}
	}
}
