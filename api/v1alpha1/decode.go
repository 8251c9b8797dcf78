package v1alpha1

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
)

// A typed client's list or watch fails as a whole when one object in it does not decode: somebody's one object would
// keep the operator from all others. The schemas let in only what the Go types decode. But an API server may also hold
// what an older schema let in, or what the schema of a newer version does. So the kinds decode themselves, and whatever
// their spec and status hold, an object decodes:
//
//   - A spec is known as a whole or not at all, since a field that is absent means something, too. If a field does not
//     decode, DecodeError says why, and the spec is one for which nothing is done: a Trail is suspended and leaves AWS
//     as it is when it is deleted, and no namespace may use an AWSIdentity. Whoever runs an EventLookup or a
//     LogFileValidation checks DecodeError.
//   - A field of the status that does not decode is absent. The operator finds it out anew.
//
// The types do this, and not the cache, so that it holds for every reader. An object that is sound is decoded as ever.

// UnmarshalJSON implements json.Unmarshaler. Nothing in the spec or the status makes it fail.
func (t *Trail) UnmarshalJSON(data []byte) error {
	type plain Trail
	t.DecodeError = ""
	if kjson.UnmarshalCaseSensitivePreserveInts(data, (*plain)(t)) == nil {
		return nil
	}
	*t = Trail{Spec: TrailSpec{
		Suspend:          new(true),
		ManagementPolicy: ManagementPolicyObserve,
		DeletionPolicy:   DeletionPolicyRetain,
	}}
	return decodeParts(data, &t.TypeMeta, &t.ObjectMeta, &t.Spec, &t.Status, &t.DecodeError)
}

// UnmarshalJSON implements json.Unmarshaler. Nothing in the spec or the status makes it fail.
func (i *AWSIdentity) UnmarshalJSON(data []byte) error {
	type plain AWSIdentity
	i.DecodeError = ""
	if kjson.UnmarshalCaseSensitivePreserveInts(data, (*plain)(i)) == nil {
		return nil
	}
	*i = AWSIdentity{}
	return decodeParts(data, &i.TypeMeta, &i.ObjectMeta, &i.Spec, &i.Status, &i.DecodeError)
}

// UnmarshalJSON implements json.Unmarshaler. Nothing in the spec or the status makes it fail.
func (l *EventLookup) UnmarshalJSON(data []byte) error {
	type plain EventLookup
	l.DecodeError = ""
	if kjson.UnmarshalCaseSensitivePreserveInts(data, (*plain)(l)) == nil {
		return nil
	}
	*l = EventLookup{}
	return decodeParts(data, &l.TypeMeta, &l.ObjectMeta, &l.Spec, &l.Status, &l.DecodeError)
}

// UnmarshalJSON implements json.Unmarshaler. Nothing in the spec or the status makes it fail.
func (v *LogFileValidation) UnmarshalJSON(data []byte) error {
	type plain LogFileValidation
	v.DecodeError = ""
	if kjson.UnmarshalCaseSensitivePreserveInts(data, (*plain)(v)) == nil {
		return nil
	}
	*v = LogFileValidation{}
	return decodeParts(data, &v.TypeMeta, &v.ObjectMeta, &v.Spec, &v.Status, &v.DecodeError)
}

// decodeParts decodes an object that does not decode as a whole. A spec that does not decode either is left as it is.
// It fails for what no API server answers: something that is no object, or metadata that Kubernetes' own types refuse.
func decodeParts[Spec, Status any](
	data []byte, typeMeta *metav1.TypeMeta, metadata *metav1.ObjectMeta,
	spec *Spec, status *Status, decodeError *string,
) error {
	var parts struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ObjectMeta `json:"metadata"`
		Spec            json.RawMessage   `json:"spec"`
		Status          json.RawMessage   `json:"status"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &parts); err != nil {
		return err
	}

	*typeMeta, *metadata = parts.TypeMeta, parts.Metadata
	*status, _ = decodeFields[Status](parts.Status, "status")
	decoded, failed := decodeFields[Spec](parts.Spec, "spec")
	if len(failed) > 0 {
		*decodeError = strings.Join(failed, "; ")
		return nil
	}
	*spec = decoded
	return nil
}

// decodeFields decodes the fields of an object that decode, and says of the others why they do not.
func decodeFields[T any](data json.RawMessage, path string) (decoded T, failed []string) {
	fields := map[string]json.RawMessage{}
	if len(data) > 0 {
		if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &fields); err != nil {
			return decoded, []string{fmt.Sprintf("%s: %v", path, err)}
		}
	}

	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field, err := json.Marshal(map[string]json.RawMessage{name: fields[name]})
		if err == nil {
			// What does not decode may leave a part of itself behind, so each field is tried elsewhere first.
			err = kjson.UnmarshalCaseSensitivePreserveInts(field, new(T))
		}
		if err == nil {
			err = kjson.UnmarshalCaseSensitivePreserveInts(field, &decoded)
		}
		if err != nil {
			failed = append(failed, fmt.Sprintf("%s.%s: %v", path, name, err))
		}
	}
	return decoded, failed
}
