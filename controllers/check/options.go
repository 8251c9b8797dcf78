package check

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/trail-operator/trail-operator/controllers/compliance"
)

// Options say what to judge, and by what.
type Options struct {
	// Names are the files and folders to read; manifest.StandardInput is the input.
	Names []string
	// Recursive also reads the folders in folders.
	Recursive bool
	// AllowEmpty takes it for a success if there is no Trail.
	AllowEmpty bool
	// Profile is the name of the profile to judge by.
	Profile string
	// FailOn is the least severity of a control whose failure fails the command.
	FailOn compliance.Severity
	// Skips are the controls that are not judged, with the reason or "".
	Skips map[string]string
	// Format is how the report is printed.
	Format Format

	// CRD is the CustomResourceDefinition of Trails, in YAML.
	CRD []byte
	// Input is the standard input.
	Input io.Reader
	// Version of the program.
	Version string
}

// Format is how a report is printed.
type Format string

// Formats.
const (
	// Text is for people: what fails, and a summary.
	Text Format = "text"
	// JSON is the whole report, also of what passes.
	JSON Format = "json"
	// SARIF is what code review shows at the lines of the manifests: SARIF 2.1.0.
	SARIF Format = "sarif"
)

// BindFlags declares the flags of `trail-operator check`.
func (o *Options) BindFlags(set *flag.FlagSet) {
	set.Func("f", "A `file` with manifests (YAML or JSON), a folder with such files, or - for standard input. Can be "+
		"given more than once. Required.", func(name string) error {
		o.Names = append(o.Names, name)
		return nil
	})
	set.BoolVar(&o.Recursive, "recursive", true, "Read the folders in folders, too.")
	set.BoolVar(&o.AllowEmpty, "allow-empty", false, "Succeed if there is no Trail.")

	set.StringVar(&o.Profile, "profile", compliance.DefaultProfile,
		"The profile to judge by: "+strings.Join(profileNames(), ", ")+".")
	o.FailOn = compliance.Low
	set.Func("fail-on", "The least `severity` of a control whose failure fails the command: low, medium, high or "+
		"critical. (default low)", severityInto(&o.FailOn))
	o.Skips = map[string]string{}
	set.Func("skip", "A `control` not to judge, with or without a reason, as in bucket-policy=\"reviewed in May\". "+
		"Can be given more than once.", o.skip)

	o.Format = Text
	set.Func("output", "How to print the report: text, json or sarif. (default text)", formatInto(&o.Format))
}

func profileNames() []string {
	profiles := compliance.Profiles()
	names := make([]string, 0, len(profiles))
	for _, profile := range profiles {
		names = append(names, profile.Name)
	}
	return names
}

func severityInto(to *compliance.Severity) func(string) error {
	return func(value string) error {
		if *to = compliance.Severity(value); !slices.Contains(compliance.Severities(), *to) {
			return errors.New("not one of low, medium, high, critical")
		}
		return nil
	}
}

func formatInto(to *Format) func(string) error {
	return func(value string) error {
		if *to = Format(value); *to != Text && *to != JSON && *to != SARIF {
			return errors.New("not one of text, json, sarif")
		}
		return nil
	}
}

// skip adds a control that is not judged.
func (o *Options) skip(value string) error {
	control, reason, _ := strings.Cut(value, "=")
	if _, twice := o.Skips[control]; twice {
		return fmt.Errorf("%s is skipped twice", control)
	}
	o.Skips[control] = reason
	return nil
}

// Validate returns an error for options that make no sense.
func (o *Options) Validate() error {
	if len(o.Names) == 0 {
		return errors.New("-f is required: a file, a folder, or - for standard input")
	}
	if slices.Contains(o.Names, "") {
		return errors.New("-f needs the name of a file or a folder")
	}
	profile, err := compliance.ProfileNamed(o.Profile)
	if err != nil {
		return err
	}
	return o.validateSkips(profile)
}

// validateSkips returns an error for a skipped control that no profile has. One that another profile has is none: the
// same arguments may serve several profiles.
func (o *Options) validateSkips(profile *compliance.Profile) error {
	known := map[string]bool{}
	for _, p := range compliance.Profiles() {
		for _, control := range p.Controls {
			known[control.ID] = true
		}
	}

	for skipped := range o.Skips {
		if !known[skipped] {
			return fmt.Errorf("--skip %q is not a control: those of the profile %s are %s",
				skipped, profile.Name, strings.Join(controlIDs(profile), ", "))
		}
	}
	return nil
}

func controlIDs(profile *compliance.Profile) []string {
	ids := make([]string, 0, len(profile.Controls))
	for _, control := range profile.Controls {
		ids = append(ids, control.ID)
	}
	return ids
}
