package apiserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sort"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	internalvalidation "k8s.io/apimachinery/pkg/apis/meta/internalversion/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
)

// selection is which objects of a resource a list or watch is about.
type selection struct {
	resource  *resource
	namespace string
	labels    labels.Selector
	fields    fields.Selector
}

func (s *selection) everything() bool { return s.labels.Empty() && s.fields.Empty() }

// matches tells whether an object is selected.
func (s *selection) matches(v *version) bool {
	metadata := v.metadata()
	if s.namespace != "" && metadata.GetNamespace() != s.namespace {
		return false
	}
	if !s.labels.Empty() && !s.labels.Matches(labels.Set(metadata.GetLabels())) {
		return false
	}
	if s.fields.Empty() {
		return true
	}

	set := fields.Set{"metadata.name": metadata.GetName()}
	if s.resource.namespaced {
		set["metadata.namespace"] = metadata.GetNamespace()
	}
	if s.resource.fields != nil {
		maps.Copy(set, s.resource.fields(v.object))
	}
	return s.fields.Matches(set)
}

// serveGet answers with one object.
func (s *Server) serveGet(r *request) (answer, error) {
	options := &metav1.GetOptions{}
	if err := decodeOptions(r, options, func(*metav1.GetOptions) field.ErrorList { return nil }); err != nil {
		return answer{}, err
	}
	revision, err := s.past(options.ResourceVersion, options.ResourceVersion != "")
	if err != nil {
		return answer{}, err
	}
	found := r.table.at(r.key(), revision)
	if found == nil {
		return answer{}, apierrors.NewNotFound(r.groupResource(), r.name)
	}
	return r.object(http.StatusOK, found), nil
}

// past returns the resource version that a read is answered at which asks for one that is not older than what it says.
func (s *Server) past(notOlder string, mayLag bool) (uint64, error) {
	oldest, err := parseVersion(notOlder)
	if err != nil {
		return 0, err
	}
	if oldest > s.revision {
		return 0, storage.NewTooLargeResourceVersionError(oldest, s.revision, 1)
	}
	if !mayLag || s.options.Lag == nil {
		return s.revision, nil
	}
	lag := min(s.options.Lag(), s.revision)
	return max(s.revision-lag, oldest, s.compacted), nil
}

// listOptions reads the options of a list or watch, and what it selects.
func (r *request) listOptions() (*internalversion.ListOptions, selection, error) {
	options := &internalversion.ListOptions{}
	out := selection{
		resource: r.resource, namespace: r.namespace, labels: labels.Everything(), fields: fields.Everything(),
	}
	err := decodeOptions(r, options, func(options *internalversion.ListOptions) field.ErrorList {
		internalversion.SetListOptionsDefaults(options, true)
		return internalvalidation.ValidateListOptions(options, true)
	})
	if err != nil {
		return nil, out, err
	}

	if options.LabelSelector != nil {
		out.labels = options.LabelSelector
	}
	if options.FieldSelector != nil {
		out.fields = options.FieldSelector
		for _, requirement := range out.fields.Requirements() {
			if !r.resource.selectable(requirement.Field) {
				return nil, out, apierrors.NewBadRequest(r.resource.notSelectable(requirement.Field))
			}
		}
	}
	return options, out, nil
}

// serveList answers with a list.
func (s *Server) serveList(r *request) (answer, error) {
	options, selection, err := r.listOptions()
	if err != nil {
		return answer{}, err
	}
	revision, start, err := s.listAt(options)
	if err != nil {
		return answer{}, err
	}

	var found []*version
	for _, v := range r.table.list(selection.namespace, revision) {
		if selection.matches(v) {
			found = append(found, v)
		}
	}
	key := func(v *version) string { return r.table.key(v.metadata().GetNamespace(), v.metadata().GetName()) }
	found = found[sort.Search(len(found), func(i int) bool { return key(found[i]) >= start }):]

	metadata := metav1.ListMeta{ResourceVersion: formatVersion(revision)}
	if limit := int(options.Limit); limit > 0 && len(found) > limit {
		metadata.Continue, err = storage.EncodeContinue("/"+key(found[limit-1])+"\x00", "/", int64(revision))
		if err != nil {
			return answer{}, err
		}
		if selection.everything() {
			remaining := int64(len(found) - limit)
			metadata.RemainingItemCount = &remaining
		}
		found = found[:limit]
	}
	return r.list(metadata, found)
}

// listAt returns the resource version of a list, and the key that it starts with.
func (s *Server) listAt(options *internalversion.ListOptions) (revision uint64, start string, err error) {
	if options.Continue != "" {
		return s.continueAt(options)
	}
	if revision, err = parseVersion(options.ResourceVersion); err != nil {
		return 0, "", apierrors.NewBadRequest(fmt.Sprintf("invalid resource version: %v", err))
	}

	exact := options.ResourceVersionMatch == metav1.ResourceVersionMatchExact ||
		options.ResourceVersionMatch == "" && options.Limit > 0 && options.ResourceVersion != "0"
	if !exact || options.ResourceVersion == "" {
		revision, err = s.past(options.ResourceVersion, options.ResourceVersion != "")
		return revision, "", err
	}

	switch {
	case revision > s.revision:
		return 0, "", storage.NewTooLargeResourceVersionError(revision, s.revision, 1)
	case revision < s.compacted:
		return 0, "", apierrors.NewResourceExpired("The resourceVersion for the provided list is too old.")
	default:
		return revision, "", nil
	}
}

// continueAt returns where a list goes on.
func (s *Server) continueAt(options *internalversion.ListOptions) (revision uint64, start string, err error) {
	if options.ResourceVersion != "" && options.ResourceVersion != "0" {
		return 0, "", apierrors.NewBadRequest(
			"specifying resource version is not allowed when using continue")
	}
	start, at, err := storage.DecodeContinue(options.Continue, "/")
	if err != nil {
		return 0, "", apierrors.NewBadRequest(fmt.Sprintf("invalid continue token: %v", err))
	}
	if at < 0 || uint64(at) < s.compacted {
		return 0, "", apierrors.NewResourceExpired("The provided continue parameter is too old to display a consistent " +
			"list result. You can start a new list without the continue parameter.")
	}
	return uint64(at), strings.TrimPrefix(start, "/"), nil
}

// list returns the answer that consists of a list.
func (r *request) list(metadata metav1.ListMeta, found []*version) (answer, error) {
	kind := metav1.TypeMeta{APIVersion: r.resource.GroupVersion().String(), Kind: r.resource.listKind}
	if r.form == formMetadata {
		kind = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}
	}
	items := make([]json.RawMessage, 0, len(found))
	for _, v := range found {
		item, err := r.item(v)
		if err != nil {
			return answer{}, err
		}
		items = append(items, item)
	}

	body, err := json.Marshal(struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        any               `json:"metadata"`
		Items           []json.RawMessage `json:"items"`
	}{kind, r.listMetadata(metadata), items})
	return answer{code: http.StatusOK, body: body}, err
}

// item returns an object as an element of a list. Only custom resources and bare metadata have their kinds there.
func (r *request) item(v *version) ([]byte, error) {
	if r.resource.storedAs == "" || r.form == formMetadata {
		return r.form.object(v), nil
	}
	object := v.object.DeepCopyObject()
	object.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	return json.Marshal(object)
}

// listMetadata returns the metadata of a list as it is written: that of a list of custom resources always has continue.
func (r *request) listMetadata(metadata metav1.ListMeta) any {
	if r.resource.storedAs != "" || r.form == formMetadata {
		return metadata
	}
	return struct {
		Continue           string `json:"continue"`
		RemainingItemCount *int64 `json:"remainingItemCount,omitempty"`
		ResourceVersion    string `json:"resourceVersion"`
	}{metadata.Continue, metadata.RemainingItemCount, metadata.ResourceVersion}
}

// serveWatch answers with a watch.
func (s *Server) serveWatch(r *request) (answer, error) {
	options, selection, err := r.listOptions()
	if err != nil {
		return answer{}, err
	}

	var deadline time.Time
	if options.TimeoutSeconds != nil && *options.TimeoutSeconds > 0 && !s.options.HoldWatches {
		deadline = s.options.Now().Add(time.Duration(*options.TimeoutSeconds) * time.Second)
	}
	w := &Watch{
		server:    s,
		userAgent: r.userAgent,
		table:     r.table,
		selection: selection,
		form:      r.form,
		bookmarks: options.AllowWatchBookmarks,
		stream:    newStream(r.context, deadline, s.options.Now),
	}
	if err := s.start(w, options); err != nil {
		return answer{}, err
	}
	return answer{code: http.StatusOK, stream: w.stream}, nil
}

// start finds out what a watch begins with, and opens it.
func (s *Server) start(w *Watch, options *internalversion.ListOptions) error {
	initial := options.SendInitialEvents != nil && *options.SendInitialEvents
	from, err := parseVersion(options.ResourceVersion)
	if err != nil {
		return err
	}
	if initial || from == 0 {
		if from, err = s.past(options.ResourceVersion, options.ResourceVersion != ""); err != nil {
			return err
		}
	}

	w.reached = from
	if from < s.compacted {
		s.open(w)
		w.fail(apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", from, s.compacted)))
		return nil
	}
	if initial {
		for _, v := range w.table.list(w.selection.namespace, from) {
			if w.selection.matches(v) {
				w.queue = append(w.queue, queued{watch.Added, v})
			}
		}
		if options.AllowWatchBookmarks {
			w.queue = append(w.queue, queued{kind: initialEventsEnd})
		}
	}
	w.changes = append(w.changes, w.table.since(from)...)
	s.open(w)
	return nil
}
