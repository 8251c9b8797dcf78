// Command trail-operator keeps AWS CloudTrail trails in line with Kubernetes Trail objects.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"

	"github.com/go-logr/logr"
	uberzap "go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/trail-operator/trail-operator/controllers/check"
	"github.com/trail-operator/trail-operator/controllers/command"
	"github.com/trail-operator/trail-operator/controllers/export"
	"github.com/trail-operator/trail-operator/controllers/operator"
	"github.com/trail-operator/trail-operator/controllers/policies"
	"github.com/trail-operator/trail-operator/controllers/validatelogs"
)

// version is set by the build.
var version = "dev"

// gcPercent is GOGC where the environment does not set it: the operator mostly waits, so it has more time to collect
// garbage than a fleet of it may have memory.
const gcPercent = 40

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(program.Run(ctrl.SetupSignalHandler(), os.Args[1:], os.Stdout, os.Stderr))
}

// program is what the arguments choose from.
var program = command.Program{
	Name:    "trail-operator",
	Summary: "Keep AWS CloudTrail trails in line with Kubernetes Trail objects.",
	Default: command.Command{Summary: "Run the operator.", Bind: bindOperator},
	Commands: []command.Command{
		{Name: "check", Summary: "Judge the Trails of manifests by a compliance profile.", Bind: bindCheck},
		{Name: "export", Summary: "Print manifests for existing trails.", Bind: bindExport},
		{Name: "policies", Summary: "Print what AWS must allow for the Trails of manifests.", Bind: bindPolicies},
		{
			Name:    "validate-logs",
			Summary: "Prove that a trail's log files are as CloudTrail has delivered them.",
			Bind:    bindValidateLogs,
		},
	},
}

func bindOperator(set *flag.FlagSet) command.Run {
	options := operator.Options{Version: version}
	options.BindFlags(set)
	ctrl.RegisterFlags(set)
	showVersion := set.Bool("version", false, "Print the version and exit.")
	// A stack trace of the library's queue under every error of AWS tells nobody anything.
	log := zap.Options{StacktraceLevel: zapcore.PanicLevel}
	log.BindFlags(set)

	return func(ctx context.Context, output io.Writer) error {
		if *showVersion {
			_, err := fmt.Fprintln(output, version)
			return err
		}
		ctrl.SetLogger(newLogger(log))
		return operator.Run(ctx, options)
	}
}

// trailCRD is what the API server holds Trails against.
//
//go:embed config/crd/bases/trail-operator.dev_trails.yaml
var trailCRD []byte

func bindCheck(set *flag.FlagSet) command.Run {
	options := check.Options{CRD: trailCRD, Input: os.Stdin, Version: version}
	options.BindFlags(set)
	return func(ctx context.Context, output io.Writer) error {
		if err := options.Validate(); err != nil {
			return &command.UsageError{Err: err}
		}
		return check.Run(ctx, options, output)
	}
}

func bindExport(set *flag.FlagSet) command.Run {
	options := export.Options{Version: version}
	options.BindFlags(set)
	return func(ctx context.Context, output io.Writer) error {
		if err := options.Validate(); err != nil {
			return &command.UsageError{Err: err}
		}
		return export.Run(ctx, options, output)
	}
}

// awsIdentityCRD is what the API server holds AWSIdentities against.
//
//go:embed config/crd/bases/trail-operator.dev_awsidentities.yaml
var awsIdentityCRD []byte

func bindPolicies(set *flag.FlagSet) command.Run {
	options := policies.Options{CRDs: [][]byte{trailCRD, awsIdentityCRD}, Input: os.Stdin}
	options.BindFlags(set)
	return func(ctx context.Context, output io.Writer) error {
		if err := options.Validate(); err != nil {
			return &command.UsageError{Err: err}
		}
		return policies.Run(ctx, options, output)
	}
}

func bindValidateLogs(set *flag.FlagSet) command.Run {
	options := validatelogs.Options{Version: version}
	options.BindFlags(set)
	if term.IsTerminal(int(os.Stderr.Fd())) {
		options.Terminal = os.Stderr
	}
	return func(ctx context.Context, output io.Writer) error {
		if err := options.Validate(); err != nil {
			return &command.UsageError{Err: err}
		}
		return validatelogs.Run(ctx, options, output)
	}
}

// newLogger returns the logger of the options. Every line is written: the library would drop most of many changes of
// one second, and only from a level below debug on it does not; so that is its level, and the level that is asked for
// is set on top.
func newLogger(options zap.Options) logr.Logger {
	if options.Development {
		return zap.New(zap.UseFlagOptions(&options))
	}
	level := options.Level
	if level == nil {
		level = zapcore.InfoLevel
	}
	options.Level = zapcore.Level(math.MinInt8)
	options.ZapOpts = append(
		options.ZapOpts,
		uberzap.IncreaseLevel(level),
		uberzap.WrapCore(func(core zapcore.Core) zapcore.Core { return lazyCore{core} }),
	)
	return zap.New(zap.UseFlagOptions(&options))
}

// lazyCore encodes the fields of a logger when it writes its first line: most reconciles write none.
type lazyCore struct{ zapcore.Core }

// With implements zapcore.Core.
func (c lazyCore) With(fields []zapcore.Field) zapcore.Core {
	return lazyCore{zapcore.NewLazyWith(c.Core, fields)}
}
