package v1alpha1

import (
	"fmt"
	"time"
)

// A time in a spec is a text with a rule, and neither a metav1.Time nor of the format date-time:
//
//   - An API server takes for a date-time what metav1.Time does not decode, such as 2026-01-02t03:04:05z. For a string
//     of any format it even takes a list.
//   - metav1.Time does not write back what it has read: it drops fractions of a second and the offset.
//   - A rule on a date-time fails to be evaluated for a text that is no time, and so does timestamp(). If an object is
//     stored with such a text, the API server then refuses every write of it, that of the status too. A rule that is
//     merely false does not count for what a write leaves as it is.

// Timestamp is a time of the years 2000 to 2099 as in RFC 3339: a date, T, a time of day, and Z for UTC or an offset
// from it, such as 2026-01-02T03:04:05Z or 2026-01-02T04:04:05+01:00.
//
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule="self.matches('^20([0-9]{2}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|[0-9]{2}-(0[469]|11)-(0[1-9]|[12][0-9]|30)|[0-9]{2}-02-(0[1-9]|1[0-9]|2[0-8])|([02468][048]|[13579][26])-02-29)T([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$')",message="a time must be a date of the years 2000 to 2099, T, a time of day, and Z or an offset from UTC, such as 2026-01-02T03:04:05Z or 2026-01-02T04:04:05+01:00"
type Timestamp string

// Time returns the time. It fails for a text that is no time, which only an object can hold that was stored before the
// API server refused it.
func (t Timestamp) Time() (time.Time, error) {
	at, err := time.Parse(time.RFC3339, string(t))
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time such as 2026-01-02T03:04:05Z", string(t))
	}
	return at, nil
}
