package apiserver

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
)

// serveCreate creates the object in the body.
func (s *Server) serveCreate(r *request) (answer, error) {
	created, err := s.create(r)
	if err != nil {
		return answer{}, err
	}
	return r.object(http.StatusCreated, created), nil
}

func (s *Server) create(r *request) (*version, error) {
	options := &metav1.CreateOptions{}
	if err := decodeOptions(r, options, validation.ValidateCreateOptions); err != nil {
		return nil, err
	}
	object, accessor, err := r.decode(options.FieldValidation)
	if err != nil {
		return nil, err
	}

	rest.WipeObjectMetaSystemFields(accessor)
	accessor.SetManagedFields(nil)
	if err := rest.EnsureObjectNamespaceMatchesRequestNamespace(r.namespace, accessor); err != nil {
		return nil, err
	}
	if err := s.admitInto(r, cmp.Or(accessor.GetName(), accessor.GetGenerateName())); err != nil {
		return nil, err
	}

	if accessor.GetName() == "" && accessor.GetGenerateName() != "" {
		return s.createWithGeneratedName(r, object, isDryRun(options.DryRun))
	}
	return s.createObject(r, object, isDryRun(options.DryRun))
}

// errVersionGiven is of a new object that has a resource version already.
var errVersionGiven = errors.New("resourceVersion should not be set on objects to be created")

// nameAttempts is how many names are tried: maxNameGenerationCreateAttempts of k8s.io/apiserver.
const nameAttempts = 8

func (s *Server) createWithGeneratedName(r *request, object runtime.Object, dryRun bool) (*version, error) {
	var created *version
	var err error
	for range nameAttempts {
		attempt := object.DeepCopyObject()
		accessor, accessErr := meta.Accessor(attempt)
		if accessErr != nil {
			return nil, accessErr
		}
		accessor.SetName(s.generateName(accessor.GetGenerateName()))
		if created, err = s.createObject(r, attempt, dryRun); !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	return created, err
}

// createObject creates an object that has a name.
func (s *Server) createObject(r *request, object runtime.Object, dryRun bool) (*version, error) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	accessor.SetCreationTimestamp(metav1.NewTime(s.options.Now()))
	accessor.SetUID(s.newUID())
	if err := rest.BeforeCreate(r.strategy(), r.context, object); err != nil {
		return nil, err
	}
	if accessor.GetName() == "" {
		return nil, apierrors.NewInternalError(
			fmt.Errorf("an object without a name has passed the validation of %s", r.resource.kind))
	}

	if accessor.GetResourceVersion() != "" && !dryRun && r.verb == "create" {
		return nil, errVersionGiven
	}

	key := r.table.key(r.namespace, accessor.GetName())
	if existing := r.table.get(key); existing != nil {
		exists := apierrors.NewAlreadyExists(r.groupResource(), accessor.GetName())
		if accessor.GetGenerateName() != "" {
			exists = apierrors.NewGenerateNameConflict(r.groupResource(), accessor.GetName(), 1)
		}
		if existing.metadata().GetDeletionTimestamp() != nil {
			exists.ErrStatus.Message = "object is being deleted: " + exists.ErrStatus.Message
		}
		return nil, exists
	}
	return s.put(r.table, key, object, dryRun)
}

// decode reads the object in the body.
func (r *request) decode(fieldValidation string) (runtime.Object, metav1.Object, error) {
	if err := r.checkContentType(); err != nil {
		return nil, nil, err
	}
	lenient := fieldValidation == metav1.FieldValidationIgnore
	object, kind, err := r.resource.codec.decode(r.body, !lenient)
	if err != nil {
		strict, isStrict := runtime.AsStrictDecodingError(err)
		if !isStrict || object == nil || fieldValidation == metav1.FieldValidationStrict {
			if kind != nil && kind.Kind != "" {
				return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v",
					kind.Kind, kind.Version, r.resource.kind, err))
			}
			return nil, nil, apierrors.NewBadRequest(fmt.Sprintf(
				"the object provided is unrecognized (must be of type %s): %v (%s)", r.resource.kind, err, summary(r.body)))
		}
		for _, problem := range strict.Errors() {
			r.AddWarning("", problem.Error())
		}
	}

	if kind.GroupVersion() != r.resource.GroupVersion() {
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf(
			"the API version in the data (%s) does not match the expected API version (%s)",
			kind.GroupVersion(), r.resource.GroupVersion()))
	}
	accessor, err := meta.Accessor(object)
	return object, accessor, err
}

// summary returns the start of a body, for people.
func summary(body []byte) string {
	const most = 30
	switch {
	case len(body) == 0:
		return "<empty>"
	case body[0] == '{' && len(body) > most:
		return string(body[:most]) + " ..."
	case body[0] == '{':
		return string(body)
	case len(body) > most:
		return hex.EncodeToString(body[:most]) + " ..."
	default:
		return hex.EncodeToString(body)
	}
}

func isDryRun(options []string) bool { return slices.Contains(options, metav1.DryRunAll) }

// serveUpdate replaces an object by that in the body.
func (s *Server) serveUpdate(r *request) (answer, error) {
	options := &metav1.UpdateOptions{}
	if err := decodeOptions(r, options, validation.ValidateUpdateOptions); err != nil {
		return answer{}, err
	}
	object, accessor, err := r.decode(options.FieldValidation)
	if err != nil {
		return answer{}, err
	}
	if err := r.checkName(accessor); err != nil {
		return answer{}, err
	}

	var uid *types.UID
	if given := accessor.GetUID(); given != "" {
		uid = &given
	}
	return s.update(r, uid, isDryRun(options.DryRun), func(*version) (runtime.Object, error) { return object, nil })
}

// checkName checks that an object is the one that the request is about.
func (r *request) checkName(accessor metav1.Object) error {
	if err := rest.EnsureObjectNamespaceMatchesRequestNamespace(r.namespace, accessor); err != nil {
		return err
	}
	if name := accessor.GetName(); name != r.name {
		return apierrors.NewBadRequest(fmt.Sprintf(
			"the name of the object (%s) does not match the name on the URL (%s)", name, r.name))
	}
	return nil
}

// optimisticLock is what the API server says of a conflict.
const optimisticLock = "the object has been modified; please apply your changes to the latest version and try again"

// update replaces an object by what change makes of it. An object that is being deleted is gone with its last
// finalizer.
func (s *Server) update(
	r *request, uid *types.UID, dryRun bool, change func(existing *version) (runtime.Object, error),
) (answer, error) {
	existing := r.table.get(r.key())
	rules := r.strategy()
	if existing == nil {
		return s.updateMissing(r, uid, dryRun, change)
	}
	if found := existing.metadata().GetUID(); uid != nil && *uid != found {
		return answer{}, r.preconditionFailed(*uid, found)
	}

	object, err := change(existing)
	if err != nil {
		return answer{}, err
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return answer{}, err
	}
	accessor.SetManagedFields(nil)
	if err := r.checkVersion(object, existing); err != nil {
		return answer{}, err
	}
	if err := rest.BeforeUpdate(rules, r.context, object, existing.object); err != nil {
		return answer{}, err
	}

	if r.resource.deletedBy(existing.object, object) {
		if !dryRun {
			if err := s.remove(r.table, r.key()); err != nil {
				return answer{}, err
			}
		}
		last, err := r.resource.newVersion(object)
		if err != nil {
			return answer{}, err
		}
		if err := last.stamp(existing.revision); err != nil {
			return answer{}, err
		}
		return r.object(http.StatusOK, last), nil
	}
	updated, err := s.put(r.table, r.key(), object, dryRun)
	if err != nil {
		return answer{}, err
	}
	return r.object(http.StatusOK, updated), nil
}

// updateMissing answers the update of an object that is not there. Some kinds are created by it.
func (s *Server) updateMissing(
	r *request, uid *types.UID, dryRun bool, change func(existing *version) (runtime.Object, error),
) (answer, error) {
	if r.verb != "update" || r.subresource != "" || !r.strategy().AllowCreateOnUpdate(r.context) {
		return answer{}, apierrors.NewNotFound(r.groupResource(), r.name)
	}
	if uid != nil {
		return answer{}, r.preconditionFailed(*uid, "")
	}
	object, err := change(nil)
	if err != nil {
		return answer{}, err
	}
	if err := s.admitInto(r, r.name); err != nil {
		return answer{}, err
	}
	created, err := s.createObject(r, object, dryRun)
	if err != nil {
		return answer{}, err
	}
	return r.object(http.StatusCreated, created), nil
}

// preconditionFailed says, with the words of the storage, that the object is another one.
func (r *request) preconditionFailed(want, found types.UID) error {
	key := "/registry/" + r.resource.Group + "/" + r.resource.Resource + "/" + r.key()
	if r.resource.storedAs != "" {
		key = "/registry/" + r.resource.storedAs + "/" + r.key()
	}
	conflict := storage.NewInvalidObjError(key, unmet("UID", want, found).Error())
	return apierrors.NewConflict(r.groupResource(), r.name, conflict)
}

// checkVersion checks the optimistic lock.
func (r *request) checkVersion(object runtime.Object, existing *version) error {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return err
	}
	given, err := storage.APIObjectVersioner{}.ObjectResourceVersion(object)
	if err != nil {
		return err
	}

	switch {
	case given == 0 && r.strategy().AllowUnconditionalUpdate(r.context):
		accessor.SetResourceVersion(formatVersion(existing.revision))
		return nil
	case given == 0:
		kind := r.groupResource()
		missing := field.Invalid(
			field.NewPath("metadata", "resourceVersion"), given, "must be specified for an update")
		return apierrors.NewInvalid(
			schema.GroupKind{Group: kind.Group, Kind: kind.Resource}, r.name, field.ErrorList{missing})
	case given != existing.revision:
		return apierrors.NewConflict(r.groupResource(), r.name, errOptimisticLock)
	default:
		return nil
	}
}

// deletedBy tells whether an update deletes the object: it is being deleted, and has no finalizer any more.
func (r *resource) deletedBy(existing, updated runtime.Object) bool {
	before, err := meta.Accessor(existing)
	if err != nil {
		return false
	}
	after, err := meta.Accessor(updated)
	if err != nil {
		return false
	}
	grace := before.GetDeletionGracePeriodSeconds()
	return len(after.GetFinalizers()) == 0 && before.GetDeletionTimestamp() != nil && (grace == nil || *grace == 0) &&
		!hasSpecFinalizers(updated)
}
