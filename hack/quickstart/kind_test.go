package quickstart

import (
	"os"
	"os/exec"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

var _ = Describe("docs/quickstart-kind.md", func() {
	It("installs an operator that calls the emulator with the Secret that it creates", func() {
		document := readDocument("quickstart-kind.md")
		install := regexp.MustCompile(`(?m)^    helm (install [^\\\n]*(?:\\\n[^\\\n]*)+)$`).
			FindStringSubmatch(document)
		Expect(install).NotTo(BeNil())
		script := strings.Replace(install[1], "install", "bin/"+renderDeployment, 1)

		shell := exec.Command("bash", "-euc", script)
		shell.Dir, shell.Env = root, append(os.Environ(), "HOST=192.0.2.1")
		output, err := shell.Output()
		Expect(err).NotTo(HaveOccurred(), script)
		operator := parseDeployment(string(output)).Spec.Template.Spec.Containers[0]
		Expect(operator.Image).To(Equal("trail-operator.local/trail-operator:dev"))
		Expect(document).To(ContainSubstring("make image IMG=" + operator.Image + "\n"))
		Expect(operator.Env).To(ContainElement(corev1.EnvVar{Name: "AWS_ENDPOINT_URL", Value: "http://192.0.2.1:4566"}))
		Expect(operator.EnvFrom).To(HaveLen(1))
		Expect(operator.EnvFrom[0].SecretRef.Name).To(Equal("aws-credentials"))
		Expect(document).To(ContainSubstring("create secret generic aws-credentials"))
	})
})

// renderDeployment is Helm's command that prints the Deployment of a release alone; the release and the chart follow.
const renderDeployment = "helm template --show-only templates/deployment.yaml"

// parseDeployment returns the Deployment that Helm has printed.
func parseDeployment(text string) *appsv1.Deployment {
	GinkgoHelper()
	deployment := &appsv1.Deployment{}
	Expect(yaml.Unmarshal([]byte(text), deployment)).To(Succeed())
	return deployment
}
