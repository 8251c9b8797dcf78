package command_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/controllers/command"
)

// bind returns a command that prints its name and flags.
func bind(name string) func(*flag.FlagSet) command.Run {
	return func(flags *flag.FlagSet) command.Run {
		speed := flags.String("speed", "slow", "How fast.")
		loud := flags.Bool("loud", false, "Not quietly.")
		return func(_ context.Context, output io.Writer) error {
			_, err := fmt.Fprintln(output, name, *speed, *loud)
			return err
		}
	}
}

// fail returns a command that fails.
func fail(err error) func(*flag.FlagSet) command.Run {
	return func(*flag.FlagSet) command.Run { return func(context.Context, io.Writer) error { return err } }
}

var program = command.Program{
	Name:    "radio",
	Summary: "Play.",
	Default: command.Command{Summary: "Play what is on.", Bind: bind("default")},
	Commands: []command.Command{
		{Name: "record", Summary: "Record what is on.", Bind: bind("record")},
		{Name: "rewind", Summary: "Rewind.", Bind: fail(&command.ExitError{Code: 3, Err: errors.New("half\nway")})},
		{Name: "validate-tapes", Summary: "Listen to all tapes.", Bind: fail(errors.New("tape\x1b[2J\ntorn"))},
		{
			Name:    "tune",
			Summary: "Find a station.",
			Bind:    fail(fmt.Errorf("tuning: %w", &command.UsageError{Err: errors.New("no such station")})),
		},
	},
}

func TestProgram(t *testing.T) {
	for arguments, c := range map[string]struct {
		output, message string
		exitCode        int
	}{
		"":                           {"default slow false\n", "", 0},
		"--speed fast":               {"default fast false\n", "", 0},
		"-speed=fast -loud":          {"default fast true\n", "", 0},
		"--":                         {"default slow false\n", "", 0},
		"record":                     {"record slow false\n", "", 0},
		"record --loud --speed=fast": {"record fast true\n", "", 0},

		"validate-tapes": {"", `radio validate-tapes: tape\x1b[2J\ntorn`, 1},

		"rewind": {"", `radio rewind: half\nway`, 3},

		"tune":              {"", `radio tune: tuning: no such station`, 2},
		"recordd":           {"", `radio: unknown command "recordd": did you mean record?`, 2},
		"validate":          {"", `radio: unknown command "validate": did you mean validate-tapes?`, 2},
		"TUNE":              {"", `radio: unknown command "TUNE": did you mean tune?`, 2},
		"hlep":              {"", `radio: unknown command "hlep": did you mean help?`, 2},
		"dance":             {"", `radio: unknown command "dance"`, 2},
		"help dance":        {"", `radio: unknown command "dance"`, 2},
		"record tape":       {"", `radio record: unexpected argument "tape"`, 2},
		"record tune":       {"", `radio record: unexpected argument "tune"`, 2},
		"help record tape":  {"", `radio record: unexpected argument "tape"`, 2},
		"--loud record":     {"", `radio: unexpected argument "record": a command comes first, before all flags`, 2},
		"-":                 {"", `radio: unexpected argument "-"`, 2},
		"-- tape":           {"", `radio: unexpected argument "tape"`, 2},
		"record --speeed=1": {"", `radio record: unknown flag --speeed: did you mean --speed?`, 2},
		"record --volume=1": {"", `radio record: unknown flag --volume`, 2},
		"record --speed":    {"", `radio record: flag needs an argument: -speed`, 2},
		"record --loud true": {"", `radio record: unexpected argument "true": the value of a flag that is true or false ` +
			"follows a =, as in --flag=true", 2},
	} {
		t.Run("radio "+arguments, func(t *testing.T) {
			g := NewWithT(t)
			var output, messages bytes.Buffer
			exitCode := program.Run(t.Context(), strings.Fields(arguments), &output, &messages)
			g.Expect(output.String()).To(Equal(c.output))
			message, advice, _ := strings.Cut(messages.String(), "\n")
			g.Expect(message).To(Equal(c.message))
			if exitCode == command.ExitUsage {
				name, _, _ := strings.Cut(message, ":")
				g.Expect(advice).To(Equal(name + " --help shows the usage.\n"))
			} else {
				g.Expect(advice).To(BeEmpty())
			}
			g.Expect(exitCode).To(Equal(c.exitCode))
		})
	}
}

func TestHelpHasHelp(t *testing.T) {
	g := NewWithT(t)
	var output bytes.Buffer
	g.Expect(program.Run(t.Context(), []string{"help", "help"}, &output, io.Discard)).To(Equal(command.ExitSuccess))
	g.Expect(output.String()).To(Equal(programHelp))
}

func TestAnEmptyArgumentIsNoCommand(t *testing.T) {
	g := NewWithT(t)
	var messages bytes.Buffer
	g.Expect(program.Run(t.Context(), []string{""}, io.Discard, &messages)).To(Equal(command.ExitUsage))
	g.Expect(messages.String()).To(HavePrefix("radio: unknown command \"\"\n"))
}

const programHelp = `Play.

Usage:
  radio [flags]          Play what is on.
  radio COMMAND [flags]

Commands:
  record          Record what is on.
  rewind          Rewind.
  validate-tapes  Listen to all tapes.
  tune            Find a station.
  help            Show the usage of a command.

Flags:
  --loud
    	Not quietly.
  --speed string
    	How fast. (default "slow")
`

const recordHelp = `Record what is on.

Usage:
  radio record [flags]

Flags:
  --loud
    	Not quietly.
  --speed string
    	How fast. (default "slow")
`

func TestHelp(t *testing.T) {
	for arguments, want := range map[string]string{
		"help": programHelp, "--help": programHelp, "-h": programHelp, "--loud --help": programHelp,
		"help --speed=1": programHelp,
		"help record":    recordHelp, "record --help": recordHelp, "record -h": recordHelp,
		"tune --help": "Find a station.\n\nUsage:\n  radio tune [flags]\n",
	} {
		t.Run("radio "+arguments, func(t *testing.T) {
			g := NewWithT(t)
			var output, messages bytes.Buffer
			g.Expect(program.Run(t.Context(), strings.Fields(arguments), &output, &messages)).To(Equal(command.ExitSuccess))
			g.Expect(output.String()).To(Equal(want))
			g.Expect(messages.String()).To(BeEmpty())
		})
	}
}
