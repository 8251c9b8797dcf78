package quickstart

import (
	"os"
	"os/exec"
	"path/filepath"
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
		document, err := os.ReadFile(filepath.Join(root, "docs", "quickstart-kind.md"))
		Expect(err).NotTo(HaveOccurred())
		install := regexp.MustCompile(`(?m)^    helm (install [^\\\n]*(?:\\\n[^\\\n]*)+)$`).
			FindStringSubmatch(string(document))
		Expect(install).NotTo(BeNil())
		script := strings.Replace(install[1], "install", "bin/helm template --show-only templates/deployment.yaml", 1)

		shell := exec.Command("bash", "-euc", script)
		shell.Dir, shell.Env = root, append(os.Environ(), "HOST=192.0.2.1")
		output, err := shell.Output()
		Expect(err).NotTo(HaveOccurred(), script)
		deployment := &appsv1.Deployment{}
		Expect(yaml.Unmarshal(output, deployment)).To(Succeed())
		operator := deployment.Spec.Template.Spec.Containers[0]
		Expect(operator.Image).To(Equal("trail-operator.local/trail-operator:dev"))
		Expect(string(document)).To(ContainSubstring("make image IMG=" + operator.Image + "\n"))
		Expect(operator.Env).To(ContainElement(corev1.EnvVar{Name: "AWS_ENDPOINT_URL", Value: "http://192.0.2.1:4566"}))
		Expect(operator.EnvFrom).To(HaveLen(1))
		Expect(operator.EnvFrom[0].SecretRef.Name).To(Equal("aws-credentials"))
		Expect(string(document)).To(ContainSubstring("create secret generic aws-credentials"))
	})
})
