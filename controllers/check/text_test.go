package check

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	. "github.com/onsi/gomega"
)

// TestFileURI holds that a file of the working folder has a relative URI, without links.
func TestFileURI(t *testing.T) {
	g := NewWithT(t)
	root := t.TempDir()
	resolved, err := filepath.EvalSymlinks(root)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.MkdirAll(filepath.Join(root, "work", "a b"), 0o755)).To(Succeed())
	for _, name := range []string{"work/a b/c:d%.yaml", "outside.yaml", "work/e:f.yaml"} {
		g.Expect(os.WriteFile(filepath.Join(root, name), nil, 0o600)).To(Succeed())
	}
	g.Expect(os.Symlink("a b/c:d%.yaml", filepath.Join(root, "work", "link.yaml"))).To(Succeed())
	t.Chdir(filepath.Join(root, "work"))

	for file, want := range map[string]string{
		"a b/c:d%.yaml":                      "a%20b/c:d%25.yaml",
		"link.yaml":                          "a%20b/c:d%25.yaml",
		"e:f.yaml":                           "./e:f.yaml",
		filepath.Join(root, "work/e:f.yaml"): "./e:f.yaml",
		"../outside.yaml":                    "file://" + resolved + "/outside.yaml",
		"stdin":                              "stdin",
	} {
		g.Expect(fileURI(file)).To(Equal(want), file)
	}
}

func TestPlural(t *testing.T) {
	t.Parallel()
	got := []string{plural(0, "file"), plural(1, "Trail"), plural(2, "failure")}
	NewWithT(t).Expect(slices.Equal(got, []string{"0 files", "1 Trail", "2 failures"})).To(BeTrue())
}
