// Command generate writes config/argocd/argocd-cm.yaml, the ConfigMap patch that gives Argo CD the scripts in
// config/argocd/resource_customizations.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	folder := filepath.Join("..", "..", "config", "argocd")
	scripts := filepath.Join(folder, "resource_customizations")
	var out strings.Builder
	out.WriteString(`# Generated from resource_customizations by make argocd. Do not edit.
#
# How Argo CD handles Trails, AWSIdentities, EventLookups and LogFileValidations. Merge the keys into the ConfigMap
# argocd-cm with kubectl patch configmap argocd-cm --namespace argocd --patch-file argocd-cm.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
  labels:
    app.kubernetes.io/name: argocd-cm
    app.kubernetes.io/part-of: argocd
data:
`)

	kinds, err := filepath.Glob(filepath.Join(scripts, "*", "*", "health.lua"))
	if err != nil {
		return err
	}
	for _, health := range kinds {
		kind := filepath.Dir(health)
		key := filepath.Base(filepath.Dir(kind)) + "_" + filepath.Base(kind)
		if err := writeScript(&out, 2, "resource.customizations.health."+key, health); err != nil {
			return err
		}

		actions, err := filepath.Glob(filepath.Join(kind, "actions", "*", "action.lua"))
		if err != nil {
			return err
		}
		if len(actions) == 0 {
			continue
		}

		fmt.Fprintf(&out, "  resource.customizations.actions.%s: |\n", key)
		if err := writeScript(&out, 4, "discovery.lua", filepath.Join(kind, "actions", "discovery.lua")); err != nil {
			return err
		}
		out.WriteString("    definitions:\n")
		for _, action := range actions {
			fmt.Fprintf(&out, "      - name: %s\n", filepath.Base(filepath.Dir(action)))
			if err := writeScript(&out, 8, "action.lua", action); err != nil {
				return err
			}
		}
	}

	return os.WriteFile(filepath.Join(folder, "argocd-cm.yaml"), []byte(out.String()), 0o644)
}

// writeScript writes a script as a block of text.
func writeScript(out *strings.Builder, indent int, key, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	margin := strings.Repeat(" ", indent)
	fmt.Fprintf(out, "%s%s: |\n", margin, key)
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) != "" {
			out.WriteString(margin + "  ")
		}
		out.WriteString(line)
	}
	return nil
}
