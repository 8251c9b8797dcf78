package apiserver

import (
	"encoding/json"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apiserver/pkg/registry/rest"
)

// serveDelete deletes an object, or marks one that has finalizers.
func (s *Server) serveDelete(r *request) (answer, error) {
	options, err := r.deleteOptions()
	if err != nil {
		return answer{}, err
	}

	remove := s.delete
	if r.resource.kind == "Namespace" {
		remove = s.deleteNamespace
	}
	deleted, marked, err := remove(r, options)
	if err != nil {
		return answer{}, err
	}
	if marked != nil {
		code := http.StatusOK
		if orphan := options.OrphanDependents; orphan != nil && !*orphan { //nolint:staticcheck // Clients may still send it.
			code = http.StatusAccepted
		}
		return r.object(code, marked), nil
	}
	metadata := deleted.metadata()
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusSuccess,
		Details: &metav1.StatusDetails{
			Name: metadata.GetName(), Group: r.resource.Group, Kind: r.resource.Resource, UID: metadata.GetUID(),
		},
	})
	return answer{code: http.StatusOK, body: body}, err
}

// deleteOptions reads the options from the body or the query.
func (r *request) deleteOptions() (*metav1.DeleteOptions, error) {
	options := &metav1.DeleteOptions{}
	if len(r.body) == 0 {
		return options, decodeOptions(r, options, validation.ValidateDeleteOptions)
	}
	if err := r.checkContentType(); err != nil {
		return nil, err
	}
	kind := metav1.SchemeGroupVersion.WithKind("DeleteOptions")
	decoder := metainternal.Codecs.UniversalDecoder(metav1.SchemeGroupVersion)
	if _, _, err := decoder.Decode(r.body, &kind, options); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return options, invalidOptions(options, validation.ValidateDeleteOptions(options))
}

// delete deletes the object, or marks it as being deleted if it has finalizers.
func (s *Server) delete(r *request, options *metav1.DeleteOptions) (deleted, marked *version, err error) {
	existing := r.table.get(r.key())
	if existing == nil {
		return nil, nil, apierrors.NewNotFound(r.groupResource(), r.name)
	}
	object := existing.object.DeepCopyObject()
	if _, _, err := rest.BeforeDelete(r.strategy(), r.context, object, options); err != nil {
		return nil, nil, err
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, nil, err
	}

	if r.resource.collectable {
		accessor.SetFinalizers(garbageFinalizers(accessor.GetFinalizers(), options))
	}
	dryRun := isDryRun(options.DryRun)
	if len(accessor.GetFinalizers()) > 0 {
		s.markDeleted(accessor)
		marked, err = s.put(r.table, r.key(), object, dryRun)
		return nil, marked, err
	}
	if dryRun {
		return existing, nil, nil
	}
	return existing, nil, s.remove(r.table, r.key())
}

// markDeleted sets what tells that an object is being deleted.
func (s *Server) markDeleted(accessor metav1.Object) {
	now := metav1.NewTime(s.options.Now())
	if accessor.GetDeletionTimestamp() == nil && accessor.GetGeneration() > 0 {
		accessor.SetGeneration(accessor.GetGeneration() + 1)
	}
	if at := accessor.GetDeletionTimestamp(); at == nil || at.After(now.Time) {
		accessor.SetDeletionTimestamp(&now)
	}
	none := int64(0)
	accessor.SetDeletionGracePeriodSeconds(&none)
}

// garbageFinalizers returns the finalizers with those of the garbage collector, as a deletion asks for them.
func garbageFinalizers(finalizers []string, options *metav1.DeleteOptions) []string {
	orphan := slices.Contains(finalizers, metav1.FinalizerOrphanDependents)
	foreground := slices.Contains(finalizers, metav1.FinalizerDeleteDependents) && !orphan
	if policy := options.PropagationPolicy; policy != nil {
		orphan, foreground = *policy == metav1.DeletePropagationOrphan, *policy == metav1.DeletePropagationForeground
	}
	if given := options.OrphanDependents; given != nil { //nolint:staticcheck // Clients may still send it.
		orphan, foreground = *given, false
	}

	out := slices.DeleteFunc(slices.Clone(finalizers), func(finalizer string) bool {
		return finalizer == metav1.FinalizerOrphanDependents && !orphan ||
			finalizer == metav1.FinalizerDeleteDependents && !foreground
	})
	if orphan && !slices.Contains(out, metav1.FinalizerOrphanDependents) {
		out = append(out, metav1.FinalizerOrphanDependents)
	}
	if foreground && !slices.Contains(out, metav1.FinalizerDeleteDependents) {
		out = append(out, metav1.FinalizerDeleteDependents)
	}
	return out
}

// serveDeleteCollection deletes what is selected, and answers with what that was.
func (s *Server) serveDeleteCollection(r *request) (answer, error) {
	options, err := r.deleteOptions()
	if err != nil {
		return answer{}, err
	}
	listOptions, selection, err := r.listOptions()
	if err != nil {
		return answer{}, err
	}
	revision, _, err := s.listAt(listOptions)
	if err != nil {
		return answer{}, err
	}

	var found []*version
	for _, v := range r.table.list(selection.namespace, revision) {
		if !selection.matches(v) {
			continue
		}
		found = append(found, v)
		one := *r
		one.namespace, one.name = v.metadata().GetNamespace(), v.metadata().GetName()
		if _, _, err := s.delete(&one, options.DeepCopy()); err != nil && !apierrors.IsNotFound(err) {
			return answer{}, err
		}
	}
	return r.list(metav1.ListMeta{ResourceVersion: formatVersion(revision)}, found)
}
