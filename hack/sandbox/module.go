package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// The modules with the CRDs of others that this project's objects and manifests are tested against. Nothing of them is
// compiled.
const (
	// OpenReports has Report and ClusterReport of openreports.io, in config/crd.
	OpenReports = "github.com/openreports/reports-api@v0.2.1"
	// Kyverno has PolicyReport and ClusterPolicyReport of wgpolicyk8s.io, in config/crds/policyreport.
	Kyverno = "github.com/kyverno/kyverno@v1.19.1"
)

// Module returns the folder of a Go module, PATH@VERSION, on this machine, and downloads it if it is not there.
func Module(ctx context.Context, module string) (string, error) {
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	var messages bytes.Buffer
	command.Stderr = &messages
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go mod download %s: %w\n%s%s", module, err, output, &messages)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(output, &downloaded); err != nil {
		return "", fmt.Errorf("go mod download %s: %w", module, err)
	}
	return downloaded.Dir, nil
}

// InstallCRDs gives an API server the CRDs in a folder of a module, which is named as for Module.
func InstallCRDs(ctx context.Context, config *rest.Config, module string, folder ...string) error {
	root, err := Module(ctx, module)
	if err != nil {
		return err
	}
	_, err = envtest.InstallCRDs(config, envtest.CRDInstallOptions{
		Paths: []string{filepath.Join(append([]string{root}, folder...)...)}, ErrorIfPathMissing: true,
	})
	return err
}
