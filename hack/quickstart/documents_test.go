package quickstart

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// readDocument returns a document of docs.
func readDocument(name string) string {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(root, "docs", name))
	Expect(err).NotTo(HaveOccurred())
	return string(content)
}

// block is a block of a document. Those that are indented, without a fence, have no language.
type block struct{ language, text string }

// anyBlock matches a block between fences, or the indented lines after a blank one.
var anyBlock = regexp.MustCompile("(?m)^ {0,3}```(.*)\n((?s:.*?\n)) {0,3}```$|^\n((?: {4,}\\S.*\n)+)")

// blocks returns the blocks of a document, in order.
func blocks(document string) []block {
	var found []block
	for _, match := range anyBlock.FindAllStringSubmatch(document, -1) {
		fenced, indented := match[2], match[3]
		indent := indented[:len(indented)-len(strings.TrimLeft(indented, " "))]
		text := strings.ReplaceAll("\n"+indented, "\n"+indent, "\n")[1:]
		found = append(found, block{language: match[1], text: fenced + text})
	}
	return found
}

// inLanguage returns the blocks of a document that are in a language, in order.
func inLanguage(document, language string) []string {
	var found []string
	for _, b := range blocks(document) {
		if b.language == language {
			found = append(found, b.text)
		}
	}
	return found
}

// guide is a document whose blocks are all accounted for.
type guide struct {
	text string
	// left are the blocks that nobody has taken, and missing the beginnings of blocks that are not there.
	left, missing []string
}

// readGuide returns a document that nobody has taken a block of.
func readGuide(name string) *guide {
	GinkgoHelper()
	g := &guide{text: readDocument(name)}
	for _, b := range blocks(g.text) {
		g.left = append(g.left, b.text)
	}
	return g
}

// take returns the first block left that begins so.
func (g *guide) take(beginning string) string {
	at := slices.IndexFunc(g.left, func(text string) bool { return strings.HasPrefix(text, beginning) })
	if at < 0 {
		g.missing = append(g.missing, beginning)
		return ""
	}
	taken := g.left[at]
	g.left = slices.Delete(g.left, at, at+1)
	return taken
}
