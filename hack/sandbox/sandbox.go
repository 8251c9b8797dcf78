// Package sandbox is what it takes to run the operator on one machine alone, in a test or a program: a control plane,
// an address of loopback to serve AWS at, and kubeconfigs. It knows no test framework; hack/testbed does.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// ControlPlane returns an etcd and a kube-apiserver from KUBEBUILDER_ASSETS, not started yet, which get the CRDs of the
// repository whose root this is. With EMULATED_KUBERNETES, such as 1.33, the API server behaves like that version: it
// has the kinds, the features and the functions of CEL that the version has.
func ControlPlane(root string) *envtest.Environment {
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	if version := os.Getenv("EMULATED_KUBERNETES"); version != "" {
		environment.ControlPlane.GetAPIServer().Configure().
			Set("emulated-version", version).
			Set("min-compatibility-version", version)
	}
	return environment
}

// Scheme returns a scheme that knows Kubernetes' kinds, CRDs and ours.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	err := errors.Join(
		clientgoscheme.AddToScheme(scheme),
		apiextensionsv1.AddToScheme(scheme),
		v1alpha1.AddToScheme(scheme),
	)
	return scheme, err
}

// FreeAddress returns an address of loopback, HOST:PORT, at which nobody listens.
func FreeAddress(ctx context.Context) (string, error) {
	listener, err := listen(ctx)
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// Serve serves HTTP at an address of loopback until stop is called, and returns its URL. stop does not wait for
// requests that are not answered yet: it closes their connections. Its error says why the server ended earlier, if it
// did.
func Serve(ctx context.Context, handler http.Handler) (url string, stop func() error, err error) {
	listener, err := listen(ctx)
	if err != nil {
		return "", nil, err
	}

	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()

	stop = func() error {
		err := server.Close()
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}
	return "http://" + listener.Addr().String(), stop, nil
}

func listen(ctx context.Context) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening at loopback: %w", err)
	}
	return listener, nil
}
