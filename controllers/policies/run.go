package policies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/manifest"
)

// Run prints the policies for the Trails of manifests. The same manifests give the same text. Where anything cannot be
// read or is not known, it prints nothing: policies of some of the Trails would look like those of all.
func Run(ctx context.Context, o Options, output io.Writer) error {
	found, err := read(ctx, o)
	if err != nil {
		return err
	}
	r := &resolver{Options: o, identities: found.identities}
	var subjects []subject
	for _, trail := range found.trails {
		s, err := r.resolve(ctx, trail)
		if err != nil {
			return fmt.Errorf("%s: %w", nameOf(trail), err)
		}
		subjects = append(subjects, s)
	}

	policies, err := r.collect(subjects)
	if err != nil {
		return err
	}
	return write(policies, o.Format, output)
}

// manifests are what the files have.
type manifests struct {
	trails     []*v1alpha1.Trail
	identities map[string]*v1alpha1.AWSIdentity
}

// read reads the files.
func read(ctx context.Context, o Options) (manifests, error) {
	schema, err := manifest.NewSchema(o.CRDs...)
	if err != nil {
		return manifests{}, err
	}
	var problems []string
	paths := manifest.Find(o.Names, true, func(path string, err error) {
		problems = append(problems, fmt.Sprintf("%s: cannot be read: %v", manifest.Shown(path), err))
	})

	found := manifests{identities: map[string]*v1alpha1.AWSIdentity{}}
	for _, path := range paths {
		content, err := manifest.ReadFile(ctx, path, o.Input)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: cannot be read: %v", manifest.Shown(path), err))
			continue
		}
		problems = append(problems, found.add(manifest.Shown(path), schema.Read(content))...)
	}

	switch {
	case len(problems) > 0:
		return manifests{}, errors.New(strings.Join(problems, "; "))
	case len(found.trails) == 0:
		return manifests{}, errors.New("there is no Trail in the files")
	default:
		return found, nil
	}
}

// add adds what a file has, and returns what is wrong with it.
func (m *manifests) add(path string, contents manifest.Contents) []string {
	var problems []string
	for _, p := range contents.Problems {
		problems = append(problems, strings.Join(nonEmpty(p.Position.In(path), p.Object, p.Message), ": "))
	}
	for _, trail := range contents.Trails {
		m.trails = append(m.trails, trail.Trail)
	}
	for _, identity := range contents.Identities {
		if m.identities[identity.Name] != nil {
			problems = append(problems, fmt.Sprintf("%s: AWSIdentity %s is there twice", path, identity.Name))
		}
		m.identities[identity.Name] = identity
	}
	return problems
}

func nonEmpty(parts ...string) []string {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return kept
}

// nameOf returns the namespace and the name of a Trail.
func nameOf(trail *v1alpha1.Trail) string {
	name := cmp.Or(trail.Name, trail.GenerateName+"*")
	if trail.Namespace == "" {
		return name
	}
	return trail.Namespace + "/" + name
}

// subject is a Trail of which everything is known that policies name.
type subject struct {
	cloudtrail.Subject
	// identity is that of the Trail; nil for the default one if no file has it, which has no role then.
	identity *v1alpha1.AWSIdentity
	// managementAssumed: the account of the identity is taken for the management account of the organization.
	managementAssumed bool
}
