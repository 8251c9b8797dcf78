// Package command makes a program of commands: it finds the one that the arguments name, parses its flags, and
// refuses arguments that nothing reads.
//
// Flags are the standard library's: controller-runtime and zap declare theirs with it, and pflag, which is what Cobra
// has, takes no long flag with one dash.
package command

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/trail-operator/trail-operator/controllers/text"
)

// The exit codes of a program: a failure of what was asked for is not a mistake in the asking. A command may have more,
// for failures of several kinds: see ExitError.
const (
	ExitSuccess = 0
	ExitFailure = 1
	ExitUsage   = 2
)

// Program is what arguments choose from.
type Program struct {
	// Name of the program, as one types it.
	Name string
	// Summary is a sentence on what the program is for.
	Summary string
	// Default is what the program does without a command. It has no name.
	Default Command
	// Commands are what it does besides.
	Commands []Command
}

// Command is one thing that a program does.
type Command struct {
	// Name is the argument that asks for it.
	Name string
	// Summary is a sentence on what it does.
	Summary string
	// Bind declares the flags and returns what to run when they are parsed. No argument may follow the flags.
	Bind func(flags *flag.FlagSet) Run
}

// Run does what a command does. What it was asked for goes to output, and nothing else.
type Run func(ctx context.Context, output io.Writer) error

// UsageError is an error that other arguments would mend.
type UsageError struct{ Err error }

// Error implements error.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with the arguments.
func (e *UsageError) Unwrap() error { return e.Err }

// ExitError is an error that the program ends for with a code of its own.
type ExitError struct {
	// Code is the exit code. A command says in its documentation what its codes mean.
	Code int
	Err  error
}

// Error implements error.
func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns what has failed.
func (e *ExitError) Unwrap() error { return e.Err }

// misused returns a UsageError.
func misused(format string, values ...any) error { return &UsageError{fmt.Errorf(format, values...)} }

// help asks for the help of the command that follows.
const help = "help"

// Run runs what the arguments ask for and returns the exit code. Errors are printed to messages: they may hold what
// others wrote, such as AWS's messages, so they are escaped.
func (p *Program) Run(ctx context.Context, arguments []string, output, messages io.Writer) (exitCode int) {
	command, arguments, err := p.find(arguments)
	if err == nil {
		err = p.run(ctx, command, arguments, output)
	}
	if err == nil {
		return ExitSuccess
	}

	name := p.nameOf(command)
	fmt.Fprintf(messages, "%s: %s\n", name, text.Escape(err.Error()))
	if _, ok := errors.AsType[*UsageError](err); ok {
		fmt.Fprintf(messages, "%s --help shows the usage.\n", name)
		return ExitUsage
	}
	if e, ok := errors.AsType[*ExitError](err); ok {
		return e.Code
	}
	return ExitFailure
}

// find returns the command that the arguments name, and what follows its name.
func (p *Program) find(arguments []string) (Command, []string, error) {
	if len(arguments) == 0 || strings.HasPrefix(arguments[0], "-") {
		return p.Default, arguments, nil
	}
	if arguments[0] == help {
		return p.find(append(slices.Clone(arguments[1:]), "--help"))
	}
	for _, command := range p.Commands {
		if command.Name == arguments[0] {
			return command, arguments[1:], nil
		}
	}
	return p.Default, nil, misused("unknown command %q%s", arguments[0], suggestion(arguments[0], p.names(), ""))
}

// names returns the names of all commands.
func (p *Program) names() []string {
	names := make([]string, 0, len(p.Commands)+1)
	names = append(names, help)
	for _, command := range p.Commands {
		names = append(names, command.Name)
	}
	return names
}

// nameOf returns what one types for a command.
func (p *Program) nameOf(command Command) string {
	return strings.TrimSpace(p.Name + " " + command.Name)
}

func (p *Program) run(ctx context.Context, command Command, arguments []string, output io.Writer) error {
	flags := flag.NewFlagSet(p.nameOf(command), flag.ContinueOnError)
	// The library would print the error and all flags below it.
	flags.SetOutput(io.Discard)
	run := command.Bind(flags)
	err := flags.Parse(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return p.help(command, flags, output)
	case err != nil:
		return flagError(flags, err)
	case flags.NArg() > 0:
		return p.surplus(command, flags.Arg(0))
	default:
		return run(ctx, output)
	}
}

// flagError returns the error of parsing flags; an unknown flag may be a misspelled one.
func flagError(flags *flag.FlagSet, err error) error {
	unknown, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !ok {
		return &UsageError{err}
	}
	var names []string
	flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return misused("unknown flag --%s%s", unknown, suggestion(unknown, names, "--"))
}

// surplus returns the error for an argument that nothing reads.
func (p *Program) surplus(command Command, argument string) error {
	switch {
	case command.Name == "" && slices.Contains(p.names(), argument):
		return misused("unexpected argument %q: a command comes first, before all flags", argument)
	case argument == "true" || argument == "false":
		return misused("unexpected argument %[1]q: the value of a flag that is true or false follows a =, "+
			"as in --flag=%[1]s", argument)
	default:
		return misused("unexpected argument %q", argument)
	}
}

// help prints how a command is used.
func (p *Program) help(command Command, flags *flag.FlagSet, output io.Writer) error {
	var b strings.Builder
	name := p.nameOf(command)
	if command.Name == "" {
		fmt.Fprintf(&b, "%s\n\nUsage:\n", p.Summary)
		fmt.Fprintf(&b, "  %-*s  %s\n", len(name)+len(" COMMAND [flags]"), name+" [flags]", command.Summary)
		fmt.Fprintf(&b, "  %s COMMAND [flags]\n\nCommands:\n", name)
		commands := append(slices.Clone(p.Commands), Command{Name: help, Summary: "Show the usage of a command."})
		for _, c := range commands {
			fmt.Fprintf(&b, "  %-*s  %s\n", longest(p.names()), c.Name, c.Summary)
		}
	} else {
		fmt.Fprintf(&b, "%s\n\nUsage:\n  %s [flags]\n", command.Summary, name)
	}

	var defaults strings.Builder
	flags.SetOutput(&defaults)
	flags.PrintDefaults()
	if defaults.Len() > 0 {
		fmt.Fprintf(&b, "\nFlags:\n%s", longFlag.ReplaceAllString(defaults.String(), "  --$1"))
	}
	_, err := io.WriteString(output, b.String())
	return err
}

// longFlag is a flag of more than a letter in the library's list. The library takes flags with one dash or two, and
// prints one; the documentation has two.
var longFlag = regexp.MustCompile(`(?m)^  -(\w[\w.-])`)

func longest(names []string) int {
	return len(slices.MaxFunc(names, func(a, b string) int { return cmp.Compare(len(a), len(b)) }))
}
