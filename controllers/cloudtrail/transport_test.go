package cloudtrail

import (
	"io"
	"net/http"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

type clientFunc func(*http.Request) (*http.Response, error)

func (f clientFunc) Do(request *http.Request) (*http.Response, error) { return f(request) }

// A body that its sender closes early is sent in full all the same.
func TestBodiesAreSentFromMemory(t *testing.T) {
	g := NewWithT(t)
	reader, writer := io.Pipe()
	go func() {
		_, err := io.Copy(writer, strings.NewReader("body"))
		writer.CloseWithError(err)
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1", reader)
	g.Expect(err).NotTo(HaveOccurred())
	client := inMemory{clientFunc(func(sent *http.Request) (*http.Response, error) {
		g.Expect(reader.Close()).To(Succeed(), "the sender closes its body")
		g.Expect(sent.Body.Close()).To(Succeed())
		content, err := io.ReadAll(sent.Body)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(content)).To(Equal("body"))
		return &http.Response{StatusCode: http.StatusOK}, nil
	})}
	_, err = client.Do(request) //nolint:bodyclose // There is none.
	g.Expect(err).NotTo(HaveOccurred())
}
