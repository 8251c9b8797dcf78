package apiserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericrequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/warning"
)

// maxBody is how many bytes a request's body may have: MaxRequestBodyBytes of k8s.io/apiserver.
const maxBody = 3 << 20

// Request is a kind of request, to count by.
type Request struct {
	// Verb is that of RBAC: get, list, watch, create, update, patch, delete, deletecollection.
	Verb string
	// Resource is the resource, with its subresource: "trails/status".
	Resource schema.GroupResource
	// UserAgent is who asks.
	UserAgent string
}

// request is a request for objects.
type request struct {
	context     context.Context // A request has one.
	verb        string
	table       *table
	resource    *resource
	namespace   string
	name        string
	subresource string
	query       url.Values
	contentType string
	form        form
	userAgent   string
	body        []byte
	warnings    []string
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(r.Body)
	if closed := r.Body.Close(); err == nil {
		err = closed
	}
	return body, err
}

// newRequest returns a request with a context from which the rules read the namespace, and to which they add warnings.
func newRequest(ctx context.Context, verb string, table *table, namespace string) *request {
	out := &request{verb: verb, table: table, resource: table.resource, namespace: namespace}
	out.context = warning.WithWarningRecorder(genericrequest.WithNamespace(ctx, namespace), out)
	return out
}

// parse finds out what a request for objects is about; nil: it is about none. Paths are
//
//	/api/v1/… or /apis/GROUP/VERSION/…
//	…/RESOURCE[/NAME[/SUBRESOURCE]] or …/namespaces/NAMESPACE/RESOURCE[/NAME[/SUBRESOURCE]]
func (s *Server) parse(r *http.Request, body []byte) *request {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var groupVersion schema.GroupVersion
	switch {
	case len(parts) > 2 && parts[0] == "api":
		groupVersion, parts = schema.GroupVersion{Version: parts[1]}, parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		groupVersion, parts = schema.GroupVersion{Group: parts[1], Version: parts[2]}, parts[3:]
	default:
		return nil
	}

	namespace := ""
	if len(parts) > 2 && parts[0] == "namespaces" && s.find(groupVersion, parts[2]) != nil {
		namespace, parts = parts[1], parts[2:]
	}
	table := s.find(groupVersion, parts[0])
	if table == nil || len(parts) > 3 || namespace != "" && !table.resource.namespaced {
		return nil
	}
	out := newRequest(r.Context(), "", table, namespace)
	out.query, out.contentType, out.userAgent = r.URL.Query(), r.Header.Get("Content-Type"), r.UserAgent()
	out.body = body

	parts = append(parts[1:], "", "")
	out.name, out.subresource = parts[0], parts[1]
	out.verb = verbOf(r.Method, out)
	acrossNamespaces := out.verb == "list" || out.verb == "watch"
	if out.resource.namespaced && out.namespace == "" && !acrossNamespaces {
		return nil
	}
	return out
}

func (s *Server) find(groupVersion schema.GroupVersion, plural string) *table {
	table := s.tables[schema.GroupResource{Group: groupVersion.Group, Resource: plural}]
	if table == nil || table.resource.Version != groupVersion.Version {
		return nil
	}
	return table
}

// verbOf returns the verb of a request, or "" if there is none such.
func verbOf(method string, r *request) string {
	switch method {
	case http.MethodGet:
		switch {
		case r.name != "":
			return "get"
		case slices.Contains([]string{"true", "1"}, r.query.Get("watch")):
			return "watch"
		default:
			return "list"
		}
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if r.name == "" {
			return "deletecollection"
		}
		return "delete"
	default:
		return ""
	}
}

// checkVerb checks that the resource knows the verb.
func (r *request) checkVerb() error {
	custom := r.resource.storedAs == ""
	known := slices.Contains(r.resource.verbs, r.verb)
	if r.subresource != "" {
		known = r.resource.strategies[r.subresource] != nil && slices.Contains(statusVerbs, r.verb)
	}

	named := r.name != ""
	unnamed := !named && (r.verb == "update" || r.verb == "patch")
	switch {
	case custom && unnamed:
		return apierrors.NewBadRequest("name must be provided")
	case custom && r.subresource != "" && r.resource.strategies[r.subresource] == nil:
		return apierrors.NewNotFound(r.groupResource(), r.name)
	case custom && (!known || named && r.verb == "create"):
		return apierrors.NewMethodNotSupported(r.groupResource(), r.verb)
	case r.subresource != "" && r.resource.strategies[r.subresource] == nil:
		return apierrors.NewGenericServerResponse(
			http.StatusNotFound, r.verb, schema.GroupResource{}, "", "", 0, false)
	case !known || unnamed || named && r.verb == "create":
		return apierrors.NewGenericServerResponse(
			http.StatusMethodNotAllowed, r.verb, schema.GroupResource{}, "", "", 0, false)
	default:
		return nil
	}
}

// AddWarning implements warning.Recorder: the client is shown the text.
func (r *request) AddWarning(_, text string) {
	if !slices.Contains(r.warnings, text) {
		r.warnings = append(r.warnings, text)
	}
}

// groupResource returns the resource for errors.
func (r *request) groupResource() schema.GroupResource { return r.resource.GroupResource() }

// key returns what the object of the request is stored under.
func (r *request) key() string { return r.table.key(r.namespace, r.name) }

// strategy returns the rules for the request.
func (r *request) strategy() strategy { return r.resource.strategies[r.subresource] }

// decodeOptions reads the options of a verb from the query, and validates them.
func decodeOptions[T runtime.Object](r *request, into T, validate func(T) field.ErrorList) error {
	err := metainternal.ParameterCodec.DecodeParameters(r.query, metav1.SchemeGroupVersion, into)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	return invalidOptions(into, validate(into))
}

func invalidOptions(options runtime.Object, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	kind := strings.TrimPrefix(fmt.Sprintf("%T", options), "*")
	kind = kind[strings.LastIndex(kind, ".")+1:]
	return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: kind}, "", errs)
}
