package report

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/trail-operator/trail-operator/controllers/compliance"
)

// Format says which API the reports are of. It is a flag.Value.
type Format string

// The formats.
const (
	// None writes no reports.
	None Format = ""
	// OpenReports writes Reports and ClusterReports of openreports.io/v1alpha1.
	OpenReports Format = "openreports"
	// WGPolicy writes PolicyReports and ClusterPolicyReports of wgpolicyk8s.io/v1alpha2, which OpenReports has followed.
	WGPolicy Format = "wgpolicy"
)

// api is what a Format is in Kubernetes.
type api struct {
	version schema.GroupVersion
	// prefix is that of the kinds' names before Report.
	prefix string
	// sourced says that a report has a field for its source. Without it, each result has one.
	sourced bool
	// severities are those that the API does not know, with the next one that it knows.
	severities map[compliance.Severity]compliance.Severity
}

var apis = map[Format]api{
	OpenReports: {
		version: schema.GroupVersion{Group: "openreports.io", Version: "v1alpha1"},
		sourced: true,
	},
	WGPolicy: {
		version: schema.GroupVersion{Group: "wgpolicyk8s.io", Version: "v1alpha2"},
		prefix:  "Policy",
		// The CRD had no other than high, medium and low at first, and many clusters have it as it was then.
		severities: map[compliance.Severity]compliance.Severity{compliance.Critical: compliance.High},
	},
}

// none is what None is called.
const none = "none"

// String implements flag.Value.
func (f *Format) String() string { return cmp.Or(string(*f), none) }

// Set implements flag.Value. There is one format at a time: tools that read both would count each result twice.
func (f *Format) Set(value string) error {
	format := Format(value)
	if value == none {
		format = None
	}
	_, known := apis[format]
	switch {
	case !known && format != None:
		return fmt.Errorf("it must be %s, %s or %s", OpenReports, WGPolicy, none)
	case *f != None && format != None && *f != format:
		return fmt.Errorf("it is %s already, and cannot be both", *f)
	default:
		*f = format
		return nil
	}
}

// kind is a kind of report.
type kind struct {
	schema.GroupVersionKind

	api        api
	namespaced bool
}

// kindOf returns the kind of a format's reports about objects that are namespaced or not.
func kindOf(format Format, namespaced bool) kind {
	of := apis[format]
	name := of.prefix + "Report"
	if !namespaced {
		name = "Cluster" + name
	}
	return kind{GroupVersionKind: of.version.WithKind(name), api: of, namespaced: namespaced}
}

// plural is the name of the kind's resource.
func (k kind) plural() string { return strings.ToLower(k.Kind) + "s" }

// mapper knows where the kind is served, so that nobody need ask.
func (k kind) mapper() meta.RESTMapper {
	scope := meta.RESTScopeRoot
	if k.namespaced {
		scope = meta.RESTScopeNamespace
	}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{k.GroupVersion()})
	plural, singular := k.GroupVersion().WithResource(k.plural()), k.GroupVersion().WithResource(strings.ToLower(k.Kind))
	mapper.AddSpecific(k.GroupVersionKind, plural, singular, scope)
	return mapper
}
