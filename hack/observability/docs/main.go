// Command docs writes docs/metrics.md: the metrics that controllers/metrics defines, and the alerts of
// config/prometheus/rules.yaml. Run it in the repository's root; its argument is another file to write instead.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"strings"
	"text/template"

	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/controllers/metrics"
)

//go:embed metrics.md.tmpl
var page string

// rules is what is read of a PrometheusRule.
type rules struct {
	Spec struct {
		Groups []struct {
			Rules []rule `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

type rule struct {
	Alert  string            `json:"alert"`
	For    string            `json:"for"`
	Labels map[string]string `json:"labels"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

func run() error {
	text, err := os.ReadFile("config/prometheus/rules.yaml")
	if err != nil {
		return err
	}
	var read rules
	if err := yaml.Unmarshal(text, &read); err != nil {
		return fmt.Errorf("reading the rules: %w", err)
	}

	var alerts []rule
	for _, group := range read.Spec.Groups {
		alerts = append(alerts, group.Rules...)
	}
	var byObject, byProcess []metrics.Definition
	for _, definition := range metrics.Definitions() {
		if definition.ByObject {
			byObject = append(byObject, definition)
		} else {
			byProcess = append(byProcess, definition)
		}
	}

	parsed, err := template.New("metrics.md").Funcs(template.FuncMap{
		"lower": strings.ToLower,
		"labels": func(labels []string) string {
			if len(labels) == 0 {
				return "—"
			}
			return "`" + strings.Join(labels, "` `") + "`"
		},
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("the page's template: %w", err)
	}

	var written bytes.Buffer
	if err := parsed.Execute(
		&written,
		map[string]any{"ByObject": byObject, "ByProcess": byProcess, "Alerts": alerts},
	); err != nil {
		return fmt.Errorf("the page's template: %w", err)
	}

	target := "docs/metrics.md"
	if len(os.Args) > 1 {
		target = os.Args[1]
	}
	return os.WriteFile(target, written.Bytes(), 0o644)
}
