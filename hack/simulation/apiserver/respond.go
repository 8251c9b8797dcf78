package apiserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/net"
)

// answer is what a request for objects is answered with, if not with an error.
type answer struct {
	code   int
	body   []byte
	stream *stream
}

// serve answers a request.
func (s *Server) serve(r *http.Request, body []byte) *http.Response {
	request := s.parse(r, body)
	if request == nil {
		return s.serveDiscovery(r)
	}
	s.requests[request.kind()]++

	var out answer
	err := request.negotiate(r.Header.Get("Accept"))
	if err == nil {
		out, err = s.dispatch(request)
	}
	if err != nil {
		status := statusOf(err)
		response := respondJSON(r, int(status.Code), status)
		request.addWarnings(response)
		return response
	}

	response := respond(r, out.code, "application/json", out.body)
	request.addWarnings(response)
	if out.stream != nil {
		response.Body, response.ContentLength = out.stream, -1
		response.TransferEncoding = []string{"chunked"}
	}
	return response
}

// dispatch serves a request for objects.
func (s *Server) dispatch(r *request) (answer, error) {
	if err := r.checkVerb(); err != nil {
		return answer{}, err
	}
	switch r.verb {
	case "get":
		return s.serveGet(r)
	case "list":
		return s.serveList(r)
	case "watch":
		return s.serveWatch(r)
	case "create":
		return s.serveCreate(r)
	case "update":
		return s.serveUpdate(r)
	case "patch":
		return s.servePatch(r)
	case "delete":
		return s.serveDelete(r)
	case "deletecollection":
		return s.serveDeleteCollection(r)
	default:
		return answer{}, apierrors.NewMethodNotSupported(r.groupResource(), r.verb)
	}
}

// kind returns what a request is counted as.
func (r *request) kind() Request {
	resource := r.groupResource()
	if r.subresource != "" {
		resource.Resource += "/" + r.subresource
	}
	return Request{Verb: r.verb, Resource: resource, UserAgent: r.userAgent}
}

func (r *request) addWarnings(response *http.Response) {
	for _, text := range r.warnings {
		if header, err := net.NewWarningHeader(299, "-", text); err == nil {
			response.Header.Add("Warning", header)
		}
	}
}

// object returns the answer that consists of an object.
func (r *request) object(code int, object *version) answer {
	return answer{code: code, body: r.form.object(object)}
}

// form is in which form objects are answered.
type form int

const (
	formObject form = iota
	formMetadata
)

// negotiate chooses the form of the answer.
func (r *request) negotiate(accept string) error {
	if accept == "" {
		return nil
	}
	for clause := range strings.SplitSeq(accept, ",") {
		media, parameters, err := mime.ParseMediaType(strings.TrimSpace(clause))
		if err != nil || media != "application/json" && media != "*/*" && media != "application/*" {
			continue
		}
		switch parameters["as"] {
		case "":
			r.form = formObject
			return nil
		case "PartialObjectMetadata", "PartialObjectMetadataList":
			if parameters["g"] == metav1.GroupName && parameters["v"] == metav1.SchemeGroupVersion.Version {
				r.form = formMetadata
				return nil
			}
		default:
		}
	}
	return notAcceptable()
}

func notAcceptable() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable,
		Message: "only the following media types are accepted: application/json",
	}}
}

// object returns an object in this form.
func (f form) object(v *version) []byte {
	if f == formObject {
		return v.json
	}
	partial := meta.AsPartialObjectMetadata(v.metadata())
	partial.TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"}
	body, err := json.Marshal(partial)
	if err != nil {
		return []byte("{}")
	}
	return body
}

func rawExtension(body []byte) runtime.RawExtension { return runtime.RawExtension{Raw: body} }

// statusOf returns what a client is told of an error.
func statusOf(err error) *metav1.Status {
	status := metav1.Status{}
	var known apierrors.APIStatus
	if errors.As(err, &known) {
		status = known.Status()
	} else {
		status = metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: err.Error(),
		}
	}
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	if status.Code == 0 {
		status.Code = http.StatusInternalServerError
	}
	return &status
}

func respondJSON(r *http.Request, code int, content any) *http.Response {
	body, err := json.Marshal(content)
	if err != nil {
		return respond(r, http.StatusInternalServerError, "text/plain", []byte(err.Error()))
	}
	return respond(r, code, "application/json", body)
}

func respond(r *http.Request, code int, contentType string, body []byte) *http.Response {
	return &http.Response{
		Status:        fmt.Sprint(code, " ", http.StatusText(code)),
		StatusCode:    code,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {contentType}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       r,
	}
}
