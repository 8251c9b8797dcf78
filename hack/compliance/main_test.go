package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/controllers/compliance"
)

// TestDocumentation holds that the tables of docs/compliance.md are those of the code.
func TestDocumentation(t *testing.T) {
	t.Chdir("../..")
	g := NewWithT(t)
	written := filepath.Join(t.TempDir(), "compliance.md")
	arguments := os.Args
	os.Args = []string{"compliance", written}
	t.Cleanup(func() { os.Args = arguments })
	g.Expect(run()).To(Succeed())
	want, err := os.ReadFile(written)
	g.Expect(err).NotTo(HaveOccurred())
	page, err := os.ReadFile(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(page)).To(Equal(string(want)), "run make docs")
}

// TestChart holds that the chart takes the profiles that there are.
func TestChart(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	text, err := os.ReadFile("../../charts/trail-operator/values.schema.json")
	g.Expect(err).NotTo(HaveOccurred())
	var schema struct {
		Properties struct {
			Compliance struct {
				Properties struct {
					Profile struct {
						Enum []string `json:"enum"`
					} `json:"profile"`
				} `json:"properties"`
			} `json:"compliance"`
		} `json:"properties"`
	}
	g.Expect(json.Unmarshal(text, &schema)).To(Succeed())

	names := []string{"none"}
	for _, profile := range compliance.Profiles() {
		names = append(names, profile.Name)
	}
	g.Expect(schema.Properties.Compliance.Properties.Profile.Enum).To(ConsistOf(names))
}
