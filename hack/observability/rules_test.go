package observability_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/controllers/metrics"
)

// root is the repository.
const root = "../.."

// Where a firing alert's text leads to.
const runbook = "https://github.com/trail-operator/trail-operator/blob/main/docs/runbook.md#"

// rules is a PrometheusRule.
type rules struct {
	Spec struct {
		Groups []group `json:"groups"`
	} `json:"spec"`
}

type group struct {
	Name  string `json:"name"`
	Rules []rule `json:"rules"`
}

type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func readFile(path string) []byte {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(root, path))
	Expect(err).NotTo(HaveOccurred())
	return text
}

func readRules() rules {
	GinkgoHelper()
	var read rules
	Expect(yaml.Unmarshal(readFile("config/prometheus/rules.yaml"), &read)).To(Succeed())
	return read
}

// alerts returns the alerts of all groups.
func (r rules) alerts() []rule {
	var all []rule
	for _, g := range r.Spec.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// write writes the rules as Prometheus reads them, with every `for` replaced when it is not "".
func (r rules) write(path, instead string) {
	GinkgoHelper()
	for _, g := range r.Spec.Groups {
		for i := range g.Rules {
			if instead != "" && g.Rules[i].For != "" {
				g.Rules[i].For = instead
			}
		}
	}
	text, err := yaml.Marshal(r.Spec)
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(path, text, 0o600)).To(Succeed())
}

// dashboard is what is read of a Grafana dashboard.
type dashboard struct {
	Panels []struct {
		Title   string `json:"title"`
		Type    string `json:"type"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
	Annotations struct {
		List []struct {
			Name string `json:"name"`
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Type       string `json:"type"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
}

// queries returns the dashboard's expressions by where they are.
func (d dashboard) queries() map[string]string {
	found := map[string]string{}
	for i, panel := range d.Panels {
		for j, target := range panel.Targets {
			found[fmt.Sprintf("panel %d %q, query %c", i, panel.Title, 'A'+j)] = target.Expr
		}
	}
	for _, annotation := range d.Annotations.List {
		if annotation.Expr != "" {
			found["annotation "+annotation.Name] = annotation.Expr
		}
	}
	return found
}

func readDashboard() dashboard {
	GinkgoHelper()
	var read dashboard
	Expect(json.Unmarshal(readFile("config/grafana/dashboard.json"), &read)).To(Succeed())
	return read
}

// prometheusTool returns the path of prometheus or promtool, which are got if they are not there. Where that is not
// possible the test is skipped, but for CI.
func prometheusTool(name string) string {
	GinkgoHelper()
	output, err := exec.Command("./prometheus.sh").Output()
	if err != nil && os.Getenv("CI") == "" {
		Skip("no Prometheus: " + err.Error())
	}
	Expect(err).NotTo(HaveOccurred())
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return filepath.Join(lines[len(lines)-1], name)
}

// metricNames are names of metrics in an expression; label names and functions do not end or begin like these.
var metricNames = regexp.MustCompile(
	`\b(trail_operator|controller_runtime|workqueue|leader_election|rest_client|process|go)_[a-z_]+\b`,
)

// suffixes are what Prometheus appends to a histogram's name.
var suffixes = regexp.MustCompile(`_(bucket|sum|count)$`)

var _ = Describe("Alerts", func() {
	It("fire in their situation and in no other, as promtool finds", func() {
		folder := GinkgoT().TempDir()
		readRules().write(filepath.Join(folder, "rules.yaml"), "")
		Expect(
			os.WriteFile(filepath.Join(folder, "alerts.yaml"), readFile("hack/observability/alerts.yaml"), 0o600),
		).To(Succeed())
		promtool := prometheusTool("promtool")
		for _, arguments := range [][]string{
			{"check", "rules", "--lint-fatal", "rules.yaml"},
			{"test", "rules", "alerts.yaml"},
		} {
			command := exec.Command(promtool, arguments...)
			command.Dir = folder
			output, err := command.CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), string(output))
		}
	})

	It("each have a test in which they fire, and one in which they do not", func() {
		var tests struct {
			Tests []struct {
				AlertRuleTest []struct {
					AlertName string `json:"alertname"`
					ExpAlerts []any  `json:"exp_alerts"`
				} `json:"alert_rule_test"`
			} `json:"tests"`
		}
		Expect(yaml.Unmarshal(readFile("hack/observability/alerts.yaml"), &tests)).To(Succeed())
		fires, rests := map[string]bool{}, map[string]bool{}
		for _, test := range tests.Tests {
			for _, one := range test.AlertRuleTest {
				fires[one.AlertName] = fires[one.AlertName] || len(one.ExpAlerts) > 0
				rests[one.AlertName] = rests[one.AlertName] || len(one.ExpAlerts) == 0
			}
		}
		for _, alert := range readRules().alerts() {
			Expect(fires).To(HaveKeyWithValue(alert.Alert, true))
			Expect(rests).To(HaveKeyWithValue(alert.Alert, true))
		}
	})

	It("lead to a section of the runbook that ends in commands", func() {
		sections := map[string]string{}
		for _, section := range strings.Split(string(readFile("docs/runbook.md")), "\n## ")[1:] {
			title, text, _ := strings.Cut(section, "\n")
			sections[title] = strings.TrimSpace(text)
		}
		alerts := readRules().alerts()
		Expect(sections).To(HaveLen(len(alerts)))
		for _, alert := range alerts {
			Expect(alert.Annotations).To(HaveKeyWithValue("runbook_url", runbook+strings.ToLower(alert.Alert)))
			Expect(alert.Annotations).To(And(HaveKey("summary"), HaveKey("description")))
			Expect(alert.Labels).To(HaveKeyWithValue("severity", BeElementOf("warning", "critical")))
			Expect(sections).To(HaveKey(alert.Alert))
			commands := strings.Split(sections[alert.Alert], "```sh\n")
			Expect(commands).To(HaveLen(2), "one block of commands in the section of %s", alert.Alert)
			Expect(
				commands[1],
			).To(And(HaveSuffix("\n```"), ContainSubstring("kubectl ")), "the section of %s ends in commands", alert.Alert)
		}
	})
})

var _ = Describe("Alerts and dashboard", func() {
	It("use metrics that the operator defines", func() {
		defined := map[string]metrics.Type{}
		for _, definition := range metrics.Definitions() {
			defined[definition.FullName()] = definition.Type
		}
		expressions := readDashboard().queries()
		for _, alert := range readRules().alerts() {
			expressions[alert.Alert] = alert.Expr
		}
		used := map[string]bool{}
		for where, expression := range expressions {
			for _, name := range metricNames.FindAllString(expression, -1) {
				if strings.HasPrefix(name, "trail_operator_") {
					used[suffixes.ReplaceAllString(name, "")] = true
					Expect(defined).To(HaveKey(suffixes.ReplaceAllString(name, "")), where)
				}
			}
		}
		for name := range defined {
			Expect(used).To(HaveKey(name), "a metric that nobody looks at")
		}
	})
})

var _ = Describe("docs/metrics.md", func() {
	It("is up to date", func() {
		written := filepath.Join(GinkgoT().TempDir(), "metrics.md")
		command := exec.Command("go", "run", "./hack/observability/docs", written)
		command.Dir = root
		output, err := command.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(output))
		text, err := os.ReadFile(written)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(readFile("docs/metrics.md"))).To(Equal(string(text)), "run make docs")
	})
})
