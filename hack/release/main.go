// Command release makes what a user takes from a release, of the binaries and of the image that are built already, and
// pushes the image and the chart to a registry. The same inputs give the same bytes. Both work without the network,
// except for the registry that is named.
//
//	release check     -version VERSION -registry REGISTRY
//	release prepare   -version VERSION -registry REGISTRY -binaries DIR -platforms "OS-ARCH ..." -dist DIR
//	release push      -version VERSION -registry REGISTRY -dist DIR
//	release manifests -version VERSION -registry REGISTRY -digest DIGEST -dist DIR
//
// check finds out, before anything is built, whether the sources are those of the version. prepare expects the image's
// archive and its SBOMs in DIST, where hack/image has written them. manifests writes the manifests of prepare alone,
// for an image that need not exist, so that tests can apply them. All are run from the repository's root or with -root,
// and take the time of the sources from SOURCE_DATE_EPOCH.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/mod/semver"
)

const (
	program  = "trail-operator"
	chartDir = "charts/trail-operator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is what is to be released, and where.
type release struct {
	// version is a semantic version with a v, such as v0.1.0.
	version string
	// registry has the image as REGISTRY/trail-operator and the chart as REGISTRY/charts/trail-operator.
	registry string
	// root is the repository.
	root string
	// binaries has OS-ARCH/trail-operator of each of the platforms.
	binaries  string
	platforms []string
	// dist is the folder with what users take.
	dist string
	// helm and kustomize are the tools.
	helm, kustomize string
	// created is the time that everything has, in place of the time at which it is made.
	created time.Time
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		return errors.New("want check, prepare, push or manifests")
	}

	r := &release{}
	flags := flag.NewFlagSet("release "+arguments[0], flag.ContinueOnError)
	flags.StringVar(&r.version, "version", "", "version, such as v0.1.0")
	flags.StringVar(&r.registry, "registry", "", "registry with a path, such as ghcr.io/example")
	flags.StringVar(&r.root, "root", ".", "the repository")
	flags.StringVar(&r.binaries, "binaries", "bin/image", "folder with OS-ARCH/trail-operator")
	platforms := flags.String("platforms", "", "OS-ARCH of the binaries, separated by spaces")
	flags.StringVar(&r.dist, "dist", "dist", "folder of what is released")
	digest := flags.String("digest", "", "the image's digest, for manifests")
	flags.StringVar(&r.helm, "helm", "bin/helm", "the program")
	flags.StringVar(&r.kustomize, "kustomize", "bin/kustomize", "the program")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	r.platforms = strings.Fields(*platforms)

	if err := r.complete(); err != nil {
		return err
	}
	switch arguments[0] {
	case "check":
		_, err := r.check()
		return err
	case "prepare":
		return r.prepare(ctx)
	case "push":
		return r.push(ctx, os.Stdout)
	case "manifests":
		image, err := v1.NewHash(*digest)
		if err != nil {
			return fmt.Errorf("-digest: %w", err)
		}
		return r.writeManifests(ctx, image)
	default:
		return fmt.Errorf("unknown command %q: want check, prepare, push or manifests", arguments[0])
	}
}

// complete checks the arguments, and adds what the environment says.
func (r *release) complete() error {
	// A tag of an image may have no plus sign, so a version may have no build metadata.
	if semver.Canonical(r.version) != r.version || r.version == "" {
		return fmt.Errorf("version %q: want a complete semantic version with a v, such as v0.1.0", r.version)
	}
	if r.registry == "" {
		return errors.New("-registry is required")
	}

	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH, the time of the sources in seconds since 1970: %w", err)
	}
	r.created = time.Unix(seconds, 0).UTC()
	return nil
}

// prepare writes everything that is made of the image's archive, the binaries and the repository.
func (r *release) prepare(ctx context.Context) (err error) {
	index, remove, err := openArchive(r.archive())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	notes, err := r.check()
	if err != nil {
		return err
	}

	if err := r.packBinaries(); err != nil {
		return err
	}
	if err := r.writeManifests(ctx, digest); err != nil {
		return err
	}
	if err := r.packChart(ctx, digest, notes); err != nil {
		return err
	}

	if err := r.writeNotes(notes, digest); err != nil {
		return err
	}
	return r.writeSums()
}
