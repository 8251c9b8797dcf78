package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/mod/semver"
)

// path is that of a file of the repository.
func (r *release) path(file string) string { return filepath.Join(r.root, file) }

// asset is the path of a file that users take.
func (r *release) asset(name string) string { return filepath.Join(r.dist, name) }

// archive is the image's archive, which hack/image has written.
func (r *release) archive() string {
	return r.asset(fmt.Sprintf("%s_%s_image.tar", program, r.version))
}

// sbom is the SBOM of an image, which hack/image has written.
func (r *release) sbom(platform v1.Platform) string {
	return r.asset(fmt.Sprintf("%s_%s_%s_%s.spdx.json", program, r.version, platform.OS, platform.Architecture))
}

// chart is the packed chart, as helm names it.
func (r *release) chart() string { return r.asset(program + "-" + r.chartVersion() + ".tgz") }

// chartVersion is the version as charts have it, without the v.
func (r *release) chartVersion() string { return strings.TrimPrefix(r.version, "v") }

// image is the image's name in the registry, without a tag.
func (r *release) image() string { return r.registry + "/" + program }

// charts is the folder of charts in the registry. Charts and images do not share a repository, so that their tags and
// signatures are apart.
func (r *release) charts() string { return r.registry + "/charts" }

// isPrerelease tells whether this is a version such as v0.1.0-rc.1, which is for tests.
func (r *release) isPrerelease() bool { return semver.Prerelease(r.version) != "" }
