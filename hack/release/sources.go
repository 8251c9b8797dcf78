package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// check returns the notes of the version if the sources are those of it.
func (r *release) check() (notes, error) {
	if err := r.checkSources(); err != nil {
		return notes{}, err
	}
	return readNotes(r.path("CHANGELOG.md"), r.version)
}

// checkSources finds out whether the sources are those of this version: config/default and the chart, when used from a
// checkout of the tag, must install the image of the tag. `make manifests` has the chart follow the kustomization.
func (r *release) checkSources() error {
	if r.isPrerelease() {
		return nil
	}
	text, err := os.ReadFile(r.path(chartDir + "/Chart.yaml"))
	if err != nil {
		return err
	}
	var chart struct {
		Version    string `json:"version"`
		AppVersion string `json:"appVersion"`
	}
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return err
	}

	if chart.AppVersion != r.version || chart.Version != r.chartVersion() {
		return fmt.Errorf("%s is of version %s and appVersion %s, not of %s: see docs/release.md",
			chartDir, chart.Version, chart.AppVersion, r.version)
	}
	return nil
}
