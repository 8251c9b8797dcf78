package argocd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/hack/e2e/argocd"
)

const (
	folder         = "../../../config/argocd"
	customizations = folder + "/resource_customizations/trail-operator.dev"
)

// kinds are those with a health script, and whether they have actions.
var kinds = map[string]bool{"Trail": true, "AWSIdentity": true, "EventLookup": false, "LogFileValidation": false}

func readText(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readYAML(t *testing.T, into any, path ...string) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(readText(t, path...)), into); err != nil {
		t.Fatalf("%s: %v", filepath.Join(path...), err)
	}
}

func TestHealth(t *testing.T) {
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			script := readText(t, customizations, kind, "health.lua")
			var table struct {
				Tests []struct {
					HealthStatus argocd.Health `json:"healthStatus"`
					InputPath    string        `json:"inputPath"`
				} `json:"tests"`
			}
			readYAML(t, &table, customizations, kind, "health_test.yaml")
			tested := map[string]bool{}
			for _, test := range table.Tests {
				tested[filepath.Base(test.InputPath)] = true
				t.Run(test.InputPath, func(t *testing.T) {
					object := map[string]any{}
					readYAML(t, &object, customizations, kind, test.InputPath)
					got, err := argocd.HealthOf(script, object)
					if err != nil {
						t.Fatal(err)
					}
					if difference := cmp.Diff(test.HealthStatus, got); difference != "" {
						t.Errorf("another health (-want +got):\n%s", difference)
					}
				})
			}
			files, err := filepath.Glob(filepath.Join(customizations, kind, "testdata", "*.yaml"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no testdata: %v", err)
			}
			for _, file := range files {
				if !tested[filepath.Base(file)] {
					t.Errorf("%s is not in health_test.yaml", file)
				}
			}
		})
	}
}

// TestHealthOfAnything gives the scripts objects that lack what they look for: they must not fail.
func TestHealthOfAnything(t *testing.T) {
	for kind := range kinds {
		script := readText(t, customizations, kind, "health.lua")
		for name, object := range map[string]map[string]any{
			"bare": {"metadata": map[string]any{"generation": 1}},
			"empty status": {
				"metadata": map[string]any{"generation": 1},
				"spec":     map[string]any{},
				"status":   map[string]any{},
			},
			"status by the CRD": {
				"metadata": map[string]any{"generation": 1},
				"status":   map[string]any{"observedGeneration": -1},
			},
			"no condition yet": {
				"metadata": map[string]any{"generation": 1},
				"status":   map[string]any{"observedGeneration": 1, "conditions": []any{}},
			},
			"an unfamiliar condition": {
				"metadata": map[string]any{"generation": 1},
				"status": map[string]any{
					"observedGeneration": 1,
					"conditions":         []any{map[string]any{"type": "Other", "status": "True"}},
				},
			},
		} {
			got, err := argocd.HealthOf(script, object)
			if err != nil {
				t.Errorf("%s, %s: %v", kind, name, err)
			}
			if got.Status != "Progressing" || got.Message == "" {
				t.Errorf("%s, %s: got %+v, want Progressing and a message", kind, name, got)
			}
		}
	}
}

// TestHealthOfDeleted sees that no script is asked about an object that is being deleted: a branch for it would be
// dead.
func TestHealthOfDeleted(t *testing.T) {
	object := map[string]any{"metadata": map[string]any{"deletionTimestamp": "2026-01-02T03:04:05Z"}}
	got, err := argocd.HealthOf(`return {status = "Healthy", message = "asked"}`, object)
	if err != nil {
		t.Fatal(err)
	}
	if want := (argocd.Health{Status: "Progressing", Message: "Pending deletion"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for kind := range kinds {
		if strings.Contains(readText(t, customizations, kind, "health.lua"), "deletionTimestamp") {
			t.Errorf("the health script of %s asks whether the object is being deleted", kind)
		}
	}
}

func TestActions(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for kind, has := range kinds {
		if !has {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			actions := filepath.Join(customizations, kind, "actions")
			discovery := readText(t, actions, "discovery.lua")
			var table struct {
				DiscoveryTests []struct {
					InputPath string `json:"inputPath"`
					Result    []struct {
						Name     string `json:"name"`
						Disabled bool   `json:"disabled"`
					} `json:"result"`
				} `json:"discoveryTests"`
				ActionTests []struct {
					Action             string `json:"action"`
					InputPath          string `json:"inputPath"`
					ExpectedOutputPath string `json:"expectedOutputPath"`
				} `json:"actionTests"`
			}
			readYAML(t, &table, actions, "action_test.yaml")
			for _, test := range table.DiscoveryTests {
				object, want := map[string]any{}, map[string]argocd.Action{}
				readYAML(t, &object, actions, test.InputPath)
				for _, action := range test.Result {
					want[action.Name] = argocd.Action{Disabled: action.Disabled}
				}
				got, err := argocd.Discover(discovery, object)
				if err != nil {
					t.Fatal(err)
				}
				if difference := cmp.Diff(want, got); difference != "" {
					t.Errorf("%s: other actions (-want +got):\n%s", test.InputPath, difference)
				}
				for name := range got {
					if _, err := os.Stat(filepath.Join(actions, name, "action.lua")); err != nil {
						t.Errorf("the action %s has no script: %v", name, err)
					}
				}
			}
			for _, test := range table.ActionTests {
				object, want := map[string]any{}, map[string]any{}
				readYAML(t, &object, actions, test.InputPath)
				readYAML(t, &want, actions, test.ExpectedOutputPath)
				got, err := argocd.Act(readText(t, actions, test.Action, "action.lua"), object, now)
				if err != nil {
					t.Fatal(err)
				}
				if difference := cmp.Diff(want, got); difference != "" {
					t.Errorf("%s of %s: another object (-want +got):\n%s", test.Action, test.InputPath, difference)
				}
			}
		})
	}
}

// TestConfigMap sees that the snippet for argocd-cm holds the very scripts.
func TestConfigMap(t *testing.T) {
	var configMap struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   map[string]any    `json:"metadata"`
		Data       map[string]string `json:"data"`
	}
	readYAML(t, &configMap, folder, "argocd-cm.yaml")
	for kind, has := range kinds {
		if got, want := configMap.Data["resource.customizations.health.trail-operator.dev_"+kind], readText(
			t,
			customizations,
			kind,
			"health.lua",
		); got != want {
			t.Errorf("argocd-cm.yaml has another health script of %s: run make argocd", kind)
		}
		if !has {
			continue
		}
		var actions struct {
			Discovery   string `json:"discovery.lua"`
			Definitions []struct {
				Name   string `json:"name"`
				Action string `json:"action.lua"`
			} `json:"definitions"`
		}
		if err := yaml.UnmarshalStrict(
			[]byte(configMap.Data["resource.customizations.actions.trail-operator.dev_"+kind]),
			&actions,
		); err != nil {
			t.Fatal(err)
		}
		if actions.Discovery != readText(t, customizations, kind, "actions", "discovery.lua") {
			t.Errorf("argocd-cm.yaml has another discovery script of %s: run make argocd", kind)
		}
		scripts, err := filepath.Glob(filepath.Join(customizations, kind, "actions", "*", "action.lua"))
		if err != nil || len(scripts) != len(actions.Definitions) {
			t.Errorf(
				"argocd-cm.yaml has %d actions of %s, want %d: run make argocd (%v)",
				len(actions.Definitions),
				kind,
				len(scripts),
				err,
			)
		}
		for _, definition := range actions.Definitions {
			if definition.Action != readText(t, customizations, kind, "actions", definition.Name, "action.lua") {
				t.Errorf("argocd-cm.yaml has another action %s of %s: run make argocd", definition.Name, kind)
			}
		}
	}
}

// TestScriptsNeedNoLibraries sees that the sandbox is one: a script that reaches out fails.
func TestScriptsNeedNoLibraries(t *testing.T) {
	for _, script := range []string{
		`return {status = string.upper("x")}`,
		`return {status = os.getenv("HOME")}`,
		`return {status = io.open("/etc/passwd")}`,
	} {
		if _, err := argocd.HealthOf(script, map[string]any{}); err == nil || strings.Contains(err.Error(), "want a table") {
			t.Errorf("%s ran: %v", script, err)
		}
	}
}
