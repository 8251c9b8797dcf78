package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// aboutTheRelease matches a command about a release of the chart or the operator's Deployment, and namespaceFlag its
// namespace.
var (
	aboutTheRelease = regexp.MustCompile(
		`kubectl .*\bdeploy(ment)?[/ ]trail-operator\b|helm \w+ \S+ charts/trail-operator\b`,
	)
	namespaceFlag = regexp.MustCompile(`(?:^| )(?:-n|--namespace)[ =](\S+)`)
)

// TestDocsNameOneNamespace holds that what the documents install and ask is in the namespace of config, so that a
// command of one page works after the installation of another. Only releases of tenants have namespaces of their own.
func TestDocsNameOneNamespace(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	documents = append(documents, "README.md", chart+"/README.md")

	checked := 0
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !aboutTheRelease.MatchString(line) {
				continue
			}
			checked++
			if flags := namespaceFlag.FindStringSubmatch(line); len(flags) == 0 || !ofRelease(flags[1], line) {
				t.Errorf("%s: not in the namespace trail-operator-system: %s", document, strings.TrimSpace(line))
			}
		}
	}
	if checked == 0 {
		t.Error("no document has a command about the release")
	}
}

// ofRelease tells whether a command is in the namespace of config, or installs the release TENANT into TENANT-operator.
func ofRelease(namespace, command string) bool {
	tenant, ok := strings.CutSuffix(namespace, "-operator")
	return namespace == "trail-operator-system" || ok && strings.Contains(command, "helm install "+tenant+" ")
}
