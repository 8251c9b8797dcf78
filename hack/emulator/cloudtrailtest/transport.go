package cloudtrailtest

import (
	"bytes"
	"io"
	"net/http"
)

// NewHTTPClient returns an HTTP client for SDK clients that talk to an emulator next door, with connections of its own.
//
// It avoids a race that smithy-go (v1.28.8) loses now and then, under load, against a server that answers at once: it closes
// the request's body as soon as the answer's headers are in; if net/http has not yet looked for the end of the body, it
// takes what it then finds for a failed write and closes the connection under the answer that is still being read, which
// ends in "deserialization failed … use of closed network connection". A body that lies in memory is not affected.
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
	body, err := io.ReadAll(r.Body)
	if closed := r.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return t.Transport.RoundTrip(r)
}
