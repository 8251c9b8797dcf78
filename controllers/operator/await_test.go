package operator

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
)

// TestAwaitAPIServer is about API servers that answer late, or in another way than with their version.
func TestAwaitAPIServer(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string][]int{
		"at once":                        {http.StatusOK},
		"unavailable at first":           {http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusOK},
		"with too many requests":         {http.StatusTooManyRequests, http.StatusOK},
		"who are you":                    {http.StatusUnauthorized},
		"not you":                        {http.StatusForbidden},
		"what is that, as a proxy might": {http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				g.Expect(r.URL.Path).To(Equal("/version"))
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(answers[asked.Add(1)-1])
				_, err := io.WriteString(w, "{}")
				g.Expect(err).NotTo(HaveOccurred())
			}))
			defer server.Close()
			g.Expect(awaitAPIServer(t.Context(), &rest.Config{Host: server.URL})).To(Succeed())
			g.Expect(asked.Load()).To(BeEquivalentTo(len(answers)), "questions, one for each answer")
		})
	}

	t.Run("later, when it listens", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		g.Expect(err).NotTo(HaveOccurred())
		address := listener.Addr().String()
		g.Expect(listener.Close()).To(Succeed())
		awaited := make(chan error, 1)
		go func() { awaited <- awaitAPIServer(t.Context(), &rest.Config{Host: address}) }()
		g.Consistently(awaited, "500ms").ShouldNot(Receive(), "nobody listens")

		listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		g.Expect(err).NotTo(HaveOccurred())
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, err := io.WriteString(w, "{}")
			g.Expect(err).NotTo(HaveOccurred())
		}))
		g.Expect(server.Listener.Close()).To(Succeed())
		server.Listener = listener
		server.Start()
		defer server.Close()
		g.Eventually(awaited, "30s").Should(Receive(BeNil()), "it listens")
	})

	t.Run("never: the process is told to end", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		g.Expect(awaitAPIServer(ctx, &rest.Config{Host: "127.0.0.1:1"})).To(MatchError(context.Canceled))
	})

	t.Run("one that is not trusted", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
		server.StartTLS()
		defer server.Close()
		g.Expect(awaitAPIServer(t.Context(), &rest.Config{Host: server.URL})).
			To(MatchError(ContainSubstring("certificate")), "to wait would change nothing")
	})
}
