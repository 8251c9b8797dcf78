package operator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	// answerWait is how long one question to the API server may take.
	answerWait = 5 * time.Second
	// firstPause and lastPause bound the pause between two questions, which doubles from one to the next.
	firstPause = 200 * time.Millisecond
	lastPause  = 5 * time.Second
)

// awaitAPIServer waits until the API server answers. A process that ended instead would be restarted after longer and
// longer pauses, and would be absent when the API server is back. It returns an error if the context ends, or if the
// connection is not trusted, which waiting does not change.
func awaitAPIServer(ctx context.Context, config *rest.Config) error {
	config = rest.CopyConfig(config)
	config.Timeout = answerWait
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("creating a client of the API server: %w", err)
	}

	pause := wait.Backoff{Duration: firstPause, Factor: 2, Jitter: 0.1, Cap: lastPause, Steps: math.MaxInt}
	told := false
	return pause.DelayFunc().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		_, err := client.ServerVersionWithContext(ctx)
		switch {
		case err == nil, isAnswer(err):
			return true, nil
		case isDistrust(err):
			return false, fmt.Errorf("asking the API server for its version: %w", err)
		}
		if !told {
			ctrl.Log.WithName("setup").Info("waiting for the API server", "error", err.Error())
			told = true
		}
		return false, nil
	})
}

// isAnswer tells whether an error is what a working API server says, if only that it knows nobody by these credentials.
func isAnswer(err error) bool {
	switch apierrors.ReasonForError(err) {
	case metav1.StatusReasonUnauthorized, metav1.StatusReasonForbidden, metav1.StatusReasonNotFound:
		return true
	default:
		return false
	}
}

// isDistrust tells whether an error is that of a certificate.
func isDistrust(err error) bool {
	_, is := errors.AsType[*tls.CertificateVerificationError](err)
	return is
}
