package apiserver

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// maxOperations is how many operations a JSON patch may have: maxJSONPatchOperations of k8s.io/apiserver.
const maxOperations = 10000

// servePatch changes an object as the patch in the body says. A resource version in the patch is a precondition.
func (s *Server) servePatch(r *request) (answer, error) {
	media, _, _ := strings.Cut(r.contentType, ";")
	kind := types.PatchType(media)
	if !slices.Contains(r.resource.patchTypes, kind) {
		return answer{}, unsupportedMediaType(r.resource.patchTypes)
	}
	options := &metav1.PatchOptions{}
	err := decodeOptions(r, options, func(options *metav1.PatchOptions) field.ErrorList {
		return validation.ValidatePatchOptions(options, kind)
	})
	if err != nil {
		return answer{}, err
	}
	if len(r.body) > maxBody {
		return answer{}, tooLarge()
	}

	return s.update(r, nil, isDryRun(options.DryRun), func(existing *version) (runtime.Object, error) {
		patched, strict, err := r.applyPatch(kind, existing, options.FieldValidation)
		if err != nil {
			return nil, err
		}
		object, err := r.decodePatched(patched, strict, options.FieldValidation)
		if err != nil {
			return nil, err
		}
		accessor, err := meta.Accessor(object)
		if err != nil {
			return nil, err
		}
		return object, r.checkName(accessor)
	})
}

// applyPatch returns the patched object, and what is strictly wrong with the patch.
func (r *request) applyPatch(
	kind types.PatchType, existing *version, fieldValidation string,
) (patched []byte, strict []error, err error) {
	if fieldValidation != metav1.FieldValidationIgnore {
		if strict, err = checkPatch(kind, r.body); err != nil {
			return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
		}
	}

	switch kind {
	case types.JSONPatchType:
		patched, err = applyJSONPatch(r.body, existing.json)
	case types.MergePatchType:
		if patched, err = jsonpatch.MergePatch(existing.json, r.body); err != nil {
			err = apierrors.NewBadRequest(err.Error())
		}
	default:
		patched, err = strategicpatch.StrategicMergePatch(existing.json, r.body, r.resource.codec.empty())
		if err != nil {
			err = apierrors.NewBadRequest(err.Error())
		}
	}
	return patched, strict, err
}

// patchOperation is one of a JSON patch.
type patchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	From  string `json:"from"`
	Value any    `json:"value"`
}

// checkPatch returns fields of a patch that are unknown or there twice.
func checkPatch(kind types.PatchType, patch []byte) (strict []error, err error) {
	if kind != types.JSONPatchType {
		content := map[string]any{}
		return kjson.UnmarshalStrict(patch, &content)
	}
	var operations []patchOperation
	strict, err = kjson.UnmarshalStrict(patch, &operations)
	for i, problem := range strict {
		strict[i] = fmt.Errorf("json patch %w", problem)
	}
	return strict, err
}

func applyJSONPatch(patch, document []byte) ([]byte, error) {
	operations, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if len(operations) > maxOperations {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
			"The allowed maximum operations in a JSON patch is %d, got %d", maxOperations, len(operations)))
	}
	patched, err := operations.Apply(document)
	if err != nil {
		return nil, apierrors.NewGenericServerResponse(
			http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
	}
	return patched, nil
}

// decodePatched reads a patched object.
func (r *request) decodePatched(patched []byte, strict []error, fieldValidation string) (runtime.Object, error) {
	object, _, err := r.resource.codec.decode(patched, fieldValidation != metav1.FieldValidationIgnore)
	if err != nil {
		strictError, isStrict := runtime.AsStrictDecodingError(err)
		if !isStrict || object == nil {
			return nil, invalidPatch(patched, err)
		}
		strict = append(strict, strictError.Errors()...)
	}
	if len(strict) > 0 && fieldValidation == metav1.FieldValidationStrict {
		return nil, invalidPatch(patched, runtime.NewStrictDecodingError(strict))
	}
	for _, problem := range strict {
		r.AddWarning("", problem.Error())
	}
	return object, nil
}

func invalidPatch(patched []byte, err error) error {
	return apierrors.NewInvalid(schema.GroupKind{}, "",
		field.ErrorList{field.Invalid(field.NewPath("patch"), string(patched), err.Error())})
}

// checkContentType checks that the body is JSON of a size that is allowed.
func (r *request) checkContentType() error {
	if len(r.body) > maxBody {
		return tooLarge()
	}
	media, _, _ := strings.Cut(r.contentType, ";")
	if media != "" && media != runtime.ContentTypeJSON {
		return unsupportedMediaType([]types.PatchType{types.PatchType(runtime.ContentTypeJSON)})
	}
	return nil
}

func tooLarge() error {
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", maxBody))
}

func unsupportedMediaType(accepted []types.PatchType) error {
	texts := make([]string, 0, len(accepted))
	for _, kind := range accepted {
		texts = append(texts, string(kind))
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: "the body of the request was in an unknown format - accepted media types include: " +
			strings.Join(texts, ", "),
	}}
}
