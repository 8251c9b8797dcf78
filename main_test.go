package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/controllers/check"
	"github.com/trail-operator/trail-operator/controllers/command"
	"github.com/trail-operator/trail-operator/controllers/validatelogs"
)

func TestOperator(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Operator")
}

// execute runs the program and returns what it printed and its exit code.
func execute(ctx context.Context, arguments ...string) (output, messages string, exitCode int) {
	var out, errors bytes.Buffer
	exitCode = program.Run(ctx, arguments, &out, &errors)
	return out.String(), errors.String(), exitCode
}

var _ = Describe("The arguments", func() {
	const noCluster = "--kubeconfig=/nonexistent"

	It("start the operator where no command is among them, with one dash or two", func(ctx context.Context) {
		for _, arguments := range [][]string{
			{noCluster}, {"-kubeconfig", "/nonexistent"}, {noCluster, "-leader-elect=false", "--resync-interval", "1m"},
		} {
			_, messages, exitCode := execute(ctx, arguments...)
			Expect(messages).To(HavePrefix("trail-operator: loading the Kubernetes client configuration: "), "%v", arguments)
			Expect(exitCode).To(Equal(command.ExitFailure))
		}
	})

	It("may be those of config/manager", func() {
		content, err := os.ReadFile(filepath.Join("config", "manager", "manager.yaml"))
		Expect(err).NotTo(HaveOccurred())
		deployment := &appsv1.Deployment{}
		Expect(yaml.UnmarshalStrict(content, deployment)).To(Succeed())
		arguments := deployment.Spec.Template.Spec.Containers[0].Args
		Expect(arguments).NotTo(BeEmpty())
		set := flag.NewFlagSet("test", flag.ContinueOnError)
		set.SetOutput(io.Discard)
		bindOperator(set)
		Expect(set.Parse(arguments)).To(Succeed())
	})

	It("may be those of the Job in config/samples", func() {
		content, err := os.ReadFile(filepath.Join("config", "samples", "jobs", "job_validate_logs.yaml"))
		Expect(err).NotTo(HaveOccurred())
		_, manifest, _ := strings.Cut(string(content), "\n---\n")
		job := &batchv1.Job{}
		Expect(yaml.UnmarshalStrict([]byte(manifest), job)).To(Succeed())
		arguments := job.Spec.Template.Spec.Containers[0].Args
		Expect(arguments[0]).To(Equal("validate-logs"))
		for i := range arguments {
			arguments[i] = strings.ReplaceAll(arguments[i], "$(JOB_COMPLETION_INDEX)", "15")
		}

		options := validatelogs.Options{}
		set := flag.NewFlagSet("test", flag.ContinueOnError)
		set.SetOutput(io.Discard)
		options.BindFlags(set)
		Expect(set.Parse(arguments[1:])).To(Succeed())
		Expect(options.Validate()).To(Succeed())
		Expect(options.Shard.Count).To(BeEquivalentTo(*job.Spec.Completions), "each pod has a shard")
		codes := map[batchv1.PodFailurePolicyAction][]int32{}
		for _, rule := range job.Spec.PodFailurePolicy.Rules {
			if rule.OnExitCodes != nil {
				codes[rule.Action] = rule.OnExitCodes.Values
			}
		}
		Expect(codes).To(Equal(map[batchv1.PodFailurePolicyAction][]int32{
			batchv1.PodFailurePolicyActionFailIndex: {validatelogs.ExitFindings, validatelogs.ExitUnchecked},
			batchv1.PodFailurePolicyActionFailJob:   {command.ExitUsage},
		}))
	})

	It("ask for the version", func(ctx context.Context) {
		output, messages, exitCode := execute(ctx, "--version")
		Expect([]any{output, messages, exitCode}).To(HaveExactElements(version+"\n", "", command.ExitSuccess))
	})

	It("ask for help", func(ctx context.Context) {
		for _, arguments := range []string{"help", "--help", "-h"} {
			output, _, exitCode := execute(ctx, arguments)
			Expect(exitCode).To(Equal(command.ExitSuccess))
			Expect(output).To(And(
				ContainSubstring("\n  export "), ContainSubstring("\n  --kubeconfig "), ContainSubstring("\n  --zap-log-level "),
			))
		}
		output, _, _ := execute(ctx, "help")
		Expect(output).To(And(ContainSubstring("\n  check "), ContainSubstring("\n  policies ")))
		for _, arguments := range [][]string{{"help", "export"}, {"export", "--help"}} {
			output, _, exitCode := execute(ctx, arguments...)
			Expect(exitCode).To(Equal(command.ExitSuccess))
			Expect(output).To(And(
				ContainSubstring("trail-operator export [flags]"), ContainSubstring("\n  --observe"),
				Not(ContainSubstring("--zap-log-level")),
			))
		}
	})

	for arguments, message := range map[string]string{
		"exprot":                            `trail-operator: unknown command "exprot": did you mean export?`,
		"exprot " + noCluster:               `trail-operator: unknown command "exprot": did you mean export?`,
		noCluster + " export":               `trail-operator: unexpected argument "export": a command comes first`,
		noCluster + " --leader-elect false": `trail-operator: unexpected argument "false": the value of a flag`,
		noCluster + " --worker=1":           "trail-operator: unknown flag --worker",
		noCluster + " --cluster-di=a":       "trail-operator: unknown flag --cluster-di: did you mean --cluster-id?",
		noCluster + " --resync-interval=1":  "trail-operator: invalid value",
		"export everything":                 `trail-operator export: unexpected argument "everything"`,
		"export --all-region":               "trail-operator export: unknown flag --all-region: did you mean --all-regions?",
		"validate-logs --start-time=2026":   "trail-operator validate-logs: invalid value",
		"validate-logs --mode=Full":         "trail-operator validate-logs: --trail-arn is required",
		"check":                             "trail-operator check: -f is required",
		"check manifests":                   `trail-operator check: unexpected argument "manifests"`,
		"check -f=a --profile=cis":          `trail-operator check: there is no compliance profile "cis"`,
		"check -f=a --recursiv":             "trail-operator check: unknown flag --recursiv: did you mean --recursive?",
		"policies":                          "trail-operator policies: -f is required",
		"policies -f=a --account-id=1":      `trail-operator policies: --account-id "1" is not an account`,
		"policies -f=a --only=bukket":       "trail-operator policies: invalid value",
		"export --all-regions --region=x":   "trail-operator export: give --region or --all-regions, not both",
	} {
		It("are refused: "+arguments, func(ctx context.Context) {
			output, messages, exitCode := execute(ctx, strings.Fields(arguments)...)
			Expect(messages).To(HavePrefix(message))
			Expect(messages).To(HaveSuffix(" --help shows the usage.\n"))
			Expect(output).To(BeEmpty())
			Expect(exitCode).To(Equal(command.ExitUsage))
		})
	}

	It("may lead to an error of AWS, which has no power over a terminal", func(ctx context.Context) {
		aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "<ErrorResponse><Error><Code>AccessDenied</Code>"+
				"<Message>no\u009b2J\u2028\u202eyes</Message></Error></ErrorResponse>")
		}))
		DeferCleanup(aws.Close)
		for name, value := range map[string]string{
			"AWS_ENDPOINT_URL": aws.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
			"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		} {
			GinkgoT().Setenv(name, value)
		}
		output, messages, exitCode := execute(ctx, "export", "--region=eu-west-1")
		Expect([]any{output, messages, exitCode}).To(HaveExactElements(
			"", "trail-operator export: GetCallerIdentity: AccessDenied: no\\u009b2J \\u202eyes\n", command.ExitFailure,
		))
	})
})

var _ = Describe("docs/check.md", func() {
	var (
		content string
		flags   []string
	)

	BeforeEach(func(ctx context.Context) {
		document, err := os.ReadFile(filepath.Join("docs", "check.md"))
		Expect(err).NotTo(HaveOccurred())
		content = string(document)
		help, _, _ := execute(ctx, "check", "--help")
		for _, match := range regexp.MustCompile(`(?m)^  (-{1,2}[a-z-]+)`).FindAllStringSubmatch(help, -1) {
			flags = append(flags, match[1])
		}

		// The document's manifest is what its commands judge, as a file and as the standard input.
		folder := GinkgoT().TempDir()
		manifest := filepath.Join(folder, "manifests", "audit.yaml")
		Expect(os.Mkdir(filepath.Dir(manifest), 0o755)).To(Succeed())
		Expect(os.WriteFile(manifest, []byte(blocks(content, "yaml")[0]), 0o600)).To(Succeed())
		GinkgoT().Chdir(folder)
		input, err := os.Open(manifest)
		Expect(err).NotTo(HaveOccurred())
		before := os.Stdin
		os.Stdin = input
		DeferCleanup(func() {
			os.Stdin = before
			Expect(input.Close()).To(Succeed())
		})
	})

	It("lists each flag", func() {
		Expect(flags).To(HaveLen(7))
		for _, name := range flags {
			Expect(content).To(ContainSubstring("| `" + name + "` |"))
		}
	})

	It("shows what is printed", func(ctx context.Context) {
		commands := blocks(content, "sh")
		output, messages, exitCode := execute(ctx, strings.Fields(commands[0])[1:]...)
		Expect(output).To(Equal(blocks(content, "text")[0]))
		Expect(messages).To(Equal("trail-operator check: 3 failures\n"))
		Expect(exitCode).To(Equal(check.ExitFailures))
	})

	It("has commands that run", func(ctx context.Context) {
		command := regexp.MustCompile(`trail-operator (check [^|\n]+)`)
		arguments := regexp.MustCompile(`"([^"]*)"|(\S+)`)
		count := 0
		for _, block := range blocks(content, "sh") {
			for _, match := range command.FindAllStringSubmatch(block, -1) {
				var words []string
				for _, word := range arguments.FindAllStringSubmatch(match[1], -1) {
					words = append(words, word[1]+word[2])
				}
				_, err := os.Stdin.Seek(0, io.SeekStart)
				Expect(err).NotTo(HaveOccurred())
				output, messages, exitCode := execute(ctx, words...)
				Expect(exitCode).To(Equal(check.ExitFailures), "%s\n%s\n%s", match[0], output, messages)
				count++
			}
		}
		Expect(count).To(BeNumerically(">", 6))
	})

	It("has workflows that are YAML", func() {
		for _, block := range blocks(content, "yaml") {
			Expect(yaml.UnmarshalStrict([]byte(block), &map[string]any{})).To(Succeed(), block)
		}
	})
})

var _ = Describe("docs/iam.md", func() {
	const manifest = `
apiVersion: trail-operator.dev/v1alpha1
kind: Trail
metadata: {namespace: security, name: audit}
spec: {region: eu-central-1, s3BucketName: example-audit-logs}
`
	var content string

	BeforeEach(func() {
		document, err := os.ReadFile(filepath.Join("docs", "iam.md"))
		Expect(err).NotTo(HaveOccurred())
		content = string(document)
		folder := GinkgoT().TempDir()
		Expect(os.Mkdir(filepath.Join(folder, "manifests"), 0o755)).To(Succeed())
		for _, name := range []string{"trail.yaml", filepath.Join("manifests", "trail.yaml")} {
			Expect(os.WriteFile(filepath.Join(folder, name), []byte(manifest), 0o600)).To(Succeed())
		}
		GinkgoT().Chdir(folder)
	})

	It("lists each flag of the command policies", func(ctx context.Context) {
		help, _, _ := execute(ctx, "policies", "--help")
		flags := regexp.MustCompile(`(?m)^  (-{1,2}[a-z-]+)`).FindAllStringSubmatch(help, -1)
		Expect(flags).To(HaveLen(8))
		for _, match := range flags {
			Expect(content).To(ContainSubstring("| `" + match[1] + "` |"))
		}
	})

	It("has commands that run, and shows what is printed", func(ctx context.Context) {
		commands := regexp.MustCompile(`trail-operator (policies [^|>\n]+)`).
			FindAllStringSubmatch(blocks(content, "sh")[0], -1)
		Expect(commands).To(HaveLen(3))
		var outputs []string
		for _, match := range commands {
			output, messages, exitCode := execute(ctx, strings.Fields(match[1])...)
			Expect(exitCode).To(Equal(command.ExitSuccess), "%s\n%s", match[0], messages)
			Expect(output).To(ContainSubstring("444455556666"))
			outputs = append(outputs, output)
		}
		Expect(outputs[0]).To(HavePrefix(blocks(content, "text")[0]))
		for _, output := range outputs[1:] {
			Expect(json.Valid([]byte(output))).To(BeTrue())
		}
	})
})

// blocks returns the blocks of a language in a document.
func blocks(document, language string) []string {
	var found []string
	for _, part := range strings.Split(document, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		found = append(found, block)
	}
	return found
}

var _ = Describe("The log", func() {
	It("has the fields of its loggers in every line, and no line below its level", func() {
		var lines bytes.Buffer
		log := newLogger(zap.Options{DestWriter: &lines})
		trail := log.WithValues("trail", "audit").WithName("trail")
		log.V(1).Info("hidden")
		trail.V(1).Info("hidden")
		trail.WithValues("region", "eu-central-1").Info("changed", "steps", "CreateTrail")
		trail.Error(errors.New("no"), "refused")
		log.Info("plain")
		Expect(strings.Split(strings.TrimSpace(lines.String()), "\n")).To(HaveExactElements(
			And(
				ContainSubstring(`"msg":"changed"`),
				ContainSubstring(`"trail":"audit","region":"eu-central-1","steps":"CreateTrail"`),
				ContainSubstring(`"logger":"trail"`),
			),
			And(
				ContainSubstring(`"msg":"refused"`),
				ContainSubstring(`"trail":"audit","error":"no"`),
				Not(ContainSubstring("region")),
			),
			And(ContainSubstring(`"msg":"plain"`), Not(ContainSubstring("audit"))),
		))
	})
})
