package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"
)

const (
	// certificateModule is the module that the certificate authorities in the image come from.
	certificateModule = "golang.org/x/crypto/x509roots/fallback"
	// unknown is what a license or a place is to SPDX when nobody says it.
	unknown = "NOASSERTION"
)

// writeSBOMs writes an SPDX document for the image of every architecture into a folder.
func writeSBOMs(index v1.ImageIndex, binaries, version, folder string) error {
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	created, err := sourceDate()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}

	for _, descriptor := range manifest.Manifests {
		architecture := descriptor.Platform.Architecture
		binary, err := buildinfo.ReadFile(filepath.Join(binaries, "linux-"+architecture, program))
		if err != nil {
			return err
		}
		tool, ok := debug.ReadBuildInfo()
		if !ok {
			return errors.New("this program has no build information, so the certificates' version is unknown")
		}

		document := newSBOM(version, architecture, descriptor.Digest, created)
		if err := document.addModules(binary, tool); err != nil {
			return err
		}
		if err := document.write(filepath.Join(folder, sbomName(version, architecture))); err != nil {
			return err
		}
	}

	return nil
}

// sbomName is the name of the SBOM of an image.
func sbomName(version, architecture string) string {
	return fmt.Sprintf("%s_%s_linux_%s.spdx.json", program, version, architecture)
}

// sourceDate returns the time of the sources, by the convention of reproducible builds: SOURCE_DATE_EPOCH, in seconds
// since 1970, which is also the time if it is not set. https://reproducible-builds.org/specs/source-date-epoch/
func sourceDate() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// sbom is an SPDX document of an image. https://spdx.github.io/spdx-spec/v2.3/
type sbom struct {
	*spdx.Document

	version string
	image   common.ElementID
}

// newSBOM returns the document of an image, with nothing in it yet.
func newSBOM(version, architecture string, digest v1.Hash, created time.Time) *sbom {
	s := &sbom{version: version, image: "Image", Document: &spdx.Document{
		SPDXVersion:    spdx.Version,
		DataLicense:    spdx.DataLicense,
		SPDXIdentifier: "DOCUMENT",
		DocumentName:   fmt.Sprintf("%s %s linux/%s", program, version, architecture),
		// A namespace is an identifier, and need not be a page. The digest makes it unique.
		DocumentNamespace: fmt.Sprintf("%s/sbom/%s/%s", source, version, digest.Hex),
		CreationInfo: &spdx.CreationInfo{
			Created:  created.Format(time.RFC3339),
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "trail-operator-hack-image"}},
		},
	}}

	purl := fmt.Sprintf("pkg:oci/%s@%s?arch=%s&tag=%s", program, url.PathEscape(digest.String()), architecture, version)
	image := s.add(s.image, program, version, purl)
	image.PrimaryPackagePurpose = "CONTAINER"
	image.PackageLicenseDeclared = license
	image.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: digest.Hex}}
	s.relate(common.MakeDocElementID("", "DOCUMENT"), common.TypeRelationshipDescribe, s.image)
	return s
}

// addModules adds the modules that the program in the image is linked from, and the one of the certificate authorities,
// whose version the tool that has made the image knows.
func (s *sbom) addModules(binary *buildinfo.BuildInfo, tool *debug.BuildInfo) error {
	s.addModule(common.TypeRelationshipContains, s.image, debug.Module{Path: binary.Main.Path, Version: s.version})
	operator := moduleID(binary.Main.Path)

	// Scanners know the vulnerabilities of Go's library by this name.
	library := debug.Module{Path: "stdlib", Version: strings.TrimPrefix(binary.GoVersion, "go")}
	s.addModule(common.TypeRelationshipDependsOn, operator, library)
	for _, dependency := range binary.Deps {
		if dependency.Replace != nil {
			dependency = dependency.Replace
		}
		s.addModule(common.TypeRelationshipDependsOn, operator, *dependency)
	}

	for _, dependency := range tool.Deps {
		if dependency.Path == certificateModule {
			s.addModule(common.TypeRelationshipContains, s.image, *dependency)
			return nil
		}
	}
	return fmt.Errorf("this program is not linked from %s", certificateModule)
}

// addModule adds a Go module that another element has.
func (s *sbom) addModule(relationship string, of common.ElementID, module debug.Module) {
	id := moduleID(module.Path)
	s.add(id, module.Path, module.Version, "pkg:golang/"+module.Path+"@"+url.PathEscape(module.Version))
	s.relate(common.MakeDocElementID("", string(of)), relationship, id)
}

// add adds a package.
func (s *sbom) add(id common.ElementID, name, version, purl string) *spdx.Package {
	added := &spdx.Package{
		PackageSPDXIdentifier:   id,
		PackageName:             name,
		PackageVersion:          version,
		PackageDownloadLocation: unknown,
		PackageLicenseConcluded: unknown,
		PackageLicenseDeclared:  unknown,
		PackageCopyrightText:    unknown,
		PackageExternalReferences: []*spdx.PackageExternalReference{{
			Category: common.CategoryPackageManager,
			RefType:  common.TypePackageManagerPURL,
			Locator:  purl,
		}},
	}
	s.Packages = append(s.Packages, added)
	return added
}

func (s *sbom) relate(a common.DocElementID, relationship string, b common.ElementID) {
	s.Relationships = append(s.Relationships, &spdx.Relationship{
		RefA:         a,
		RefB:         common.MakeDocElementID("", string(b)),
		Relationship: relationship,
	})
}

// moduleID makes an identifier of a module's path: SPDX allows letters, digits, dots and hyphens only.
func moduleID(path string) common.ElementID {
	return common.ElementID("Go-" + strings.Map(func(r rune) rune {
		if r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, path))
}

func (s *sbom) write(file string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return spdxjson.Write(s.Document, out, spdxjson.Indent("  "), spdxjson.EscapeHTML(false))
}
