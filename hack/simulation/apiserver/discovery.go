package apiserver

import (
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	machineryversion "k8s.io/apimachinery/pkg/version"
)

// serveDiscovery answers what the server has, and 404 for everything else.
func (s *Server) serveDiscovery(r *http.Request) *http.Response {
	if r.Method != http.MethodGet {
		return respond(r, http.StatusNotFound, "text/plain; charset=utf-8", []byte("404 page not found\n"))
	}

	switch path := strings.TrimSuffix(r.URL.Path, "/"); path {
	case "/api":
		return respondJSON(r, http.StatusOK, metav1.APIVersions{
			TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"},
			ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{
				{ClientCIDR: "0.0.0.0/0", ServerAddress: "127.0.0.1:0"},
			},
		})
	case "/apis":
		return respondJSON(r, http.StatusOK, metav1.APIGroupList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroupList"}, Groups: s.groups(),
		})
	case "/version":
		return respondJSON(r, http.StatusOK, machineryversion.Info{Major: "1", Minor: "36", GitVersion: "v1.36.0"})
	default:
		return s.serveGroup(r, path)
	}
}

// serveGroup answers what a group or a version of it has.
func (s *Server) serveGroup(r *http.Request, path string) *http.Response {
	rest, grouped := strings.CutPrefix(path, "/apis/")
	if !grouped {
		rest = strings.TrimPrefix(path, "/api/")
	}
	for _, group := range s.groups() {
		if grouped && rest == group.Name {
			group.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroup"}
			return respondJSON(r, http.StatusOK, group)
		}
	}

	if groupVersion, err := schema.ParseGroupVersion(rest); err == nil && grouped == (groupVersion.Group != "") {
		if list := s.resourceList(groupVersion); len(list.APIResources) > 0 {
			return respondJSON(r, http.StatusOK, list)
		}
	}
	return respond(r, http.StatusNotFound, "text/plain; charset=utf-8", []byte("404 page not found\n"))
}

// groups returns the groups, without that of core/v1.
func (s *Server) groups() []metav1.APIGroup {
	var out []metav1.APIGroup
	for _, resource := range s.resources {
		known := func(group metav1.APIGroup) bool { return group.Name == resource.Group }
		if resource.Group == "" || slices.ContainsFunc(out, known) {
			continue
		}
		version := metav1.GroupVersionForDiscovery{
			GroupVersion: resource.GroupVersion().String(), Version: resource.Version,
		}
		out = append(out, metav1.APIGroup{
			Name: resource.Group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version,
		})
	}
	return out
}

// resourceList returns the resources of a group's version.
func (s *Server) resourceList(groupVersion schema.GroupVersion) metav1.APIResourceList {
	out := metav1.APIResourceList{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}, GroupVersion: groupVersion.String(),
	}
	for _, resource := range s.resources {
		if resource.GroupVersion() != groupVersion {
			continue
		}
		out.APIResources = append(out.APIResources, metav1.APIResource{
			Name: resource.Resource, SingularName: resource.singular, Namespaced: resource.namespaced,
			Kind: resource.kind, Verbs: resource.verbs, ShortNames: resource.shortNames, Categories: resource.categories,
		})
		for _, sub := range resource.subresources {
			out.APIResources = append(out.APIResources, metav1.APIResource{
				Name: resource.Resource + "/" + sub.name, Namespaced: resource.namespaced,
				Kind: resource.kind, Verbs: sub.verbs,
			})
		}
	}
	return out
}
