package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// TestDocsInstallTheRelease holds that the documents install and verify the release that config and the chart are of.
func TestDocsInstallTheRelease(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	published, err := readImage()
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?:charts/trail-operator(?: --version |:)|/releases/download/|@refs/tags/)v?(\d[\w.]*)`)

	checked := 0
	for document, text := range readDocuments(t) {
		for _, found := range named.FindAllStringSubmatch(text, -1) {
			checked++
			if "v"+found[1] != published.NewTag {
				t.Errorf("%s: %s, but config installs %s", document, found[0], published.NewTag)
			}
		}
	}
	if checked == 0 {
		t.Error("no document installs a release")
	}
}

// Links between documents, and their headings with what GitHub leaves out of an anchor.
var (
	link       = regexp.MustCompile(`\]\(([^)\s#]*)(?:#([^)\s]*))?\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	unanchored = regexp.MustCompile(`[^\w -]`)
)

// TestDocsLinksLead holds that the links of the documents lead to a file, and to a heading of it.
func TestDocsLinksLead(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	for document, text := range readDocuments(t) {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			path, anchor := filepath.Join(filepath.Dir(document), found[1]), found[2]
			switch {
			case strings.Contains(found[1], "://"):
				continue
			case found[1] == "":
				path = document
			}
			content, err := os.ReadFile(path)
			if info, statErr := os.Stat(path); err != nil && (statErr != nil || !info.IsDir()) {
				t.Errorf("%s: %v", document, err)
			}
			if anchor != "" && !slices.Contains(anchors(string(content)), anchor) {
				t.Errorf("%s: %s has no heading for #%s", document, path, anchor)
			}
		}
	}
}

// anchors are those of a document's headings.
func anchors(text string) []string {
	var all []string
	for _, found := range heading.FindAllStringSubmatch(text, -1) {
		title := unanchored.ReplaceAllString(strings.ToLower(found[1]), "")
		all = append(all, strings.ReplaceAll(title, " ", "-"))
	}
	return all
}

// ofRelease tells whether a command is in the namespace of config, or installs the release TENANT into TENANT-operator.
func ofRelease(namespace, command string) bool {
	tenant, ok := strings.CutSuffix(namespace, "-operator")
	return namespace == "trail-operator-system" || ok && strings.Contains(command, "helm install "+tenant+" ")
}
