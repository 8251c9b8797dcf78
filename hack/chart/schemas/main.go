// Command schemas writes the JSON schemas that kubeconform checks manifests with, so that it needs no network: those of
// Kubernetes from its OpenAPI document, and those of custom resources from their CRDs. Fields that a schema does not
// know are refused.
//
//	schemas TARGET-FOLDER SWAGGER-JSON CRD-FOLDER...
//
// A source is a path, or MODULE@VERSION:PATH, a path in a Go module.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 2 {
		return errors.New("give arguments: schemas TARGET-FOLDER SWAGGER-JSON CRD-FOLDER [CRD-FOLDER]")
	}

	target := arguments[0]
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}

	sources := make([]string, 0, len(arguments)-1)
	for _, argument := range arguments[1:] {
		source, err := resolve(argument)
		if err != nil {
			return err
		}
		sources = append(sources, source)
	}

	if err := writeKubernetes(target, sources[0]); err != nil {
		return err
	}
	for _, folder := range sources[1:] {
		if err := writeCustom(target, folder); err != nil {
			return err
		}
	}
	return nil
}

// resolve returns the path of a source, and gets its module if it is in one.
func resolve(source string) (string, error) {
	module, path, inModule := strings.Cut(source, ":")
	if !inModule {
		return source, nil
	}
	command := exec.Command("go", "mod", "download", "-json", module)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go mod download %s: %w", module, err)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(output, &downloaded); err != nil {
		return "", err
	}
	return filepath.Join(downloaded.Dir, path), nil
}

// object is a JSON object.
type object = map[string]any

// writeKubernetes writes the schema of every kind of a Kubernetes OpenAPI v2 document.
func writeKubernetes(target, swagger string) error {
	text, err := os.ReadFile(swagger)
	if err != nil {
		return err
	}
	var document struct {
		Definitions map[string]object `json:"definitions"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("%s: %w", swagger, err)
	}

	for name, definition := range document.Definitions {
		adapt(name, definition)
	}
	for name, definition := range document.Definitions {
		group, version, kindName, ok := onlyKind(definition)
		if !ok {
			continue // Options and the like, which are of every group.
		}

		needed := object{}
		collect(document.Definitions, name, needed)
		schema := object{"$ref": "#/definitions/" + name, "definitions": needed}
		if err := write(target, group, version, kindName, schema); err != nil {
			return err
		}
	}

	return nil
}

// collect gathers a definition and all that it refers to.
func collect(definitions map[string]object, name string, into object) {
	if _, known := into[name]; known {
		return
	}
	into[name] = definitions[name]
	for _, reference := range references(definitions[name]) {
		collect(definitions, strings.TrimPrefix(reference, "#/definitions/"), into)
	}
}

func references(value any) []string {
	var found []string
	switch value := value.(type) {
	case object:
		for key, inner := range value {
			if reference, ok := inner.(string); ok && key == "$ref" {
				found = append(found, reference)
				continue
			}
			found = append(found, references(inner)...)
		}
	case []any:
		for _, inner := range value {
			found = append(found, references(inner)...)
		}
	}
	return found
}

// adapt makes a definition say in JSON Schema what Kubernetes means by it.
func adapt(name string, definition object) {
	if name == "io.k8s.apimachinery.pkg.api.resource.Quantity" {
		definition["type"] = []any{"string", "number"}
	}
	strict(definition)
}

// strict forbids fields that are not named, and lets numbers be where a number or a text may be.
func strict(value any) {
	switch value := value.(type) {
	case object:
		if value["format"] == "int-or-string" || value["x-kubernetes-int-or-string"] == true {
			delete(value, "format")
			value["type"] = []any{"integer", "string"}
		}
		_, named := value["properties"].(object)
		_, open := value["additionalProperties"]
		if preserved := value["x-kubernetes-preserve-unknown-fields"] == true; named && !open && !preserved {
			value["additionalProperties"] = false
		}
		for _, inner := range value {
			strict(inner)
		}
	case []any:
		for _, inner := range value {
			strict(inner)
		}
	}
}

// writeCustom writes the schemas of the CRDs in a folder.
func writeCustom(target, folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return err
	}

	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}

		var crd struct {
			Spec struct {
				Group string `json:"group"`
				Names struct {
					Kind string `json:"kind"`
				} `json:"names"`
				Versions []struct {
					Name   string `json:"name"`
					Schema struct {
						OpenAPIV3Schema object `json:"openAPIV3Schema"`
					} `json:"schema"`
				} `json:"versions"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal(text, &crd); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if len(crd.Spec.Versions) == 0 {
			continue // Not a CRD, such as a kustomization.
		}

		for _, version := range crd.Spec.Versions {
			schema := version.Schema.OpenAPIV3Schema
			strict(schema)
			if err := write(target, crd.Spec.Group, version.Name, crd.Spec.Names.Kind, schema); err != nil {
				return err
			}
		}
	}

	return nil
}

// write writes a schema under the name that kubeconform's template {{.ResourceKind}}{{.KindSuffix}} makes.
func write(target, group, version, kind string, schema object) error {
	name := strings.ToLower(kind)
	if group != "" {
		name += "-" + strings.ToLower(strings.Split(group, ".")[0])
	}
	text, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(target, name+"-"+version+".json"), text, 0o644)
}

// onlyKind returns the kind that a definition describes, if it describes one.
func onlyKind(definition object) (group, version, kind string, ok bool) {
	kinds, isList := definition["x-kubernetes-group-version-kind"].([]any)
	if !isList || len(kinds) != 1 {
		return "", "", "", false
	}
	only, isObject := kinds[0].(object)
	if !isObject {
		return "", "", "", false
	}
	return text(only["group"]), text(only["version"]), text(only["kind"]), true
}

// text returns a string, "" for what is none.
func text(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	return ""
}
