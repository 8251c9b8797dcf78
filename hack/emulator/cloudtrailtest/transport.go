package cloudtrailtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// NewHTTPClient returns an HTTP client for SDK clients that talk to an emulator next door, with connections of its own.
//
// It avoids a race that smithy-go (v1.28.8) loses now and then, under load, against a server that answers at once: it
// closes
// the request's body as soon as the answer's headers are in; if net/http has not yet looked for the end of the body, it
// takes what it then finds for a failed write and closes the connection under the answer that is still being read,
// which ends in "deserialization failed … use of closed network connection". A body that lies in memory is not
// affected.
func NewHTTPClient() *http.Client {
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		base = &http.Transport{}
	}
	return &http.Client{Transport: inMemory{base.Clone()}}
}

// inMemory sends request bodies from memory.
type inMemory struct{ *http.Transport }

// RoundTrip sends a copy of the request.
func (t inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return t.Transport.RoundTrip(r)
	}
	body, err := drain(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return t.Transport.RoundTrip(r)
}

// drain reads a request's body and closes it.
func drain(body io.ReadCloser) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	raw, err := io.ReadAll(body)
	if closed := body.Close(); err == nil {
		err = closed
	}
	return raw, err
}

// Client returns an HTTP client, for SDK clients too, whose requests the emulator answers without a network, whatever
// their host: the handler runs in the goroutine of the caller. Cut connections, hanging calls and deadlines look as
// they do on a network. With an emulator that is made inside a synctest bubble, everything stays in the bubble and
// waits take no time.
func (s *Server) Client() *http.Client { return &http.Client{Transport: direct{s}} }

// direct is an http.RoundTripper that calls the emulator.
type direct struct{ server *Server }

// RoundTrip serves the request.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := drain(r.Body)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}

	in := r.Clone(ctx)
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	in.RemoteAddr, in.RequestURI = "127.0.0.1:0", r.URL.RequestURI()
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	w := &memoryWriter{header: http.Header{}}
	aborted := w.serve(d.server, in)
	if aborted && w.sent == nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return w.response(r, aborted), nil
}

// memoryWriter is an http.ResponseWriter that keeps the answer.
type memoryWriter struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
}

// Header returns the headers to send.
func (w *memoryWriter) Header() http.Header { return w.header }

// WriteHeader fixes status and headers.
func (w *memoryWriter) WriteHeader(status int) {
	if w.sent == nil {
		w.status, w.sent = status, w.header.Clone()
	}
}

// Write adds to the body.
func (w *memoryWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Flush does nothing: whatever is written has been sent.
func (w *memoryWriter) Flush() {}

// serve runs the handler and says whether it cut the connection.
func (w *memoryWriter) serve(h http.Handler, r *http.Request) (aborted bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler { //nolint:errorlint // what was panicked with, itself
				panic(p)
			}
			aborted = true
		}
	}()
	h.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK)
	return false
}

// response is the answer, with a body that ends too early if the connection was cut.
func (w *memoryWriter) response(r *http.Request, aborted bool) *http.Response {
	out := &http.Response{
		Status: fmt.Sprint(
			w.status,
			" ",
			http.StatusText(w.status),
		),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{},
		ContentLength: int64(w.body.Len()),
		Request:       r,
	}

	for name, values := range w.sent {
		out.Header[http.CanonicalHeaderKey(name)] = values
	}
	if promised, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64); err == nil {
		out.ContentLength = promised
	}
	out.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))

	var body io.Reader = &w.body
	if aborted {
		body = io.MultiReader(body, cutShort{})
	}
	out.Body = io.NopCloser(body)
	return out
}

// cutShort is the end of a body of which more was promised.
type cutShort struct{}

// Read fails.
func (cutShort) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
