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

// readDocuments returns the texts of the documents by their paths from the root, which is the working directory.
func readDocuments(t *testing.T) map[string]string {
	t.Helper()
	documents, err := filepath.Glob("docs/*.md")
	if err != nil || len(documents) == 0 {
		t.Fatalf("no documents in docs: %v", err)
	}

	texts := map[string]string{}
	for _, document := range append(documents, "README.md", chart+"/README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		texts[document] = string(text)
	}
	return texts
}

// TestDocsNameOneNamespace holds that what the documents install and ask is in the namespace of config, so that a
// command of one page works after the installation of another. Only releases of tenants have namespaces of their own.
func TestDocsNameOneNamespace(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	checked := 0
	for document, text := range readDocuments(t) {
		for line := range strings.Lines(text) {
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

// TestDocsNameThePublishedImage holds that the documents pull the image that config and the chart install.
func TestDocsNameThePublishedImage(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	published, err := readImage()
	if err != nil {
		t.Fatal(err)
	}
	tagged := regexp.MustCompile(regexp.QuoteMeta(published.NewName) + `:([\w.-]+)`)

	for document, text := range readDocuments(t) {
		for _, found := range tagged.FindAllStringSubmatch(text, -1) {
			if found[1] != published.NewTag {
				t.Errorf("%s: %s, but config installs the tag %s", document, found[0], published.NewTag)
			}
		}
	}
}

// ofRelease tells whether a command is in the namespace of config, or installs the release TENANT into TENANT-operator.
func ofRelease(namespace, command string) bool {
	tenant, ok := strings.CutSuffix(namespace, "-operator")
	return namespace == "trail-operator-system" || ok && strings.Contains(command, "helm install "+tenant+" ")
}
