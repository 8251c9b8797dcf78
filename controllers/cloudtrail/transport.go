package cloudtrail

import (
	"bytes"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// inMemory sends request bodies from memory.
//
// smithy-go (v1.28.8) closes a request's body as soon as the answer's headers are in. If net/http has not yet looked
// for the body's end, it takes that for a failed write and closes the connection under an answer that is still being
// read, and the call fails with "use of closed network connection". A body that cannot be closed is not affected.
type inMemory struct{ aws.HTTPClient }

// Do implements aws.HTTPClient. CloudTrail's and STS's requests are some kilobytes.
func (c inMemory) Do(request *http.Request) (*http.Response, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return c.HTTPClient.Do(request)
	}
	body, err := io.ReadAll(request.Body)
	if closed := request.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	request = request.WithContext(request.Context()) // A copy.
	request.Body = io.NopCloser(bytes.NewReader(body))
	return c.HTTPClient.Do(request)
}

// streaming returns the HTTP client of a configuration for answers of any size: instead of the time that a call takes,
// it bounds the time in which nothing of an answer comes in. It has connections of its own.
func streaming(configured aws.HTTPClient) aws.HTTPClient {
	limited, ok := configured.(inMemory)
	if !ok {
		return configured
	}
	client, ok := limited.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return configured
	}
	return inMemory{client.WithTimeout(0).WithReadTimeout(callTimeout)}
}
