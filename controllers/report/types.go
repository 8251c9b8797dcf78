package report

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/controllers/compliance"
)

// Report is a report of any of the kinds, with the fields that are written here.
//
// +kubebuilder:object:root=true
type Report struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Source is the program that the results are of.
	Source string `json:"source,omitempty"`
	// Scope is the object that the results are about.
	Scope *corev1.ObjectReference `json:"scope,omitempty"`
	// Summary counts the results.
	Summary Summary `json:"summary"`
	// Results are the judgements, one for each control.
	Results []Result `json:"results,omitempty"`

	// digest is that of what the report says, of one in the cache.
	digest string
}

// Summary counts the results of a report.
//
// +kubebuilder:object:generate=true
type Summary struct {
	Pass  int `json:"pass"`
	Fail  int `json:"fail"`
	Warn  int `json:"warn"`
	Error int `json:"error"`
	Skip  int `json:"skip"`
}

// Result is how one control is judged.
//
// +kubebuilder:object:generate=true
type Result struct {
	// Source is the program that the result is of, where the report does not say it.
	Source string `json:"source,omitempty"`
	// Policy is the profile, and Rule the control.
	Policy string `json:"policy"`
	Rule   string `json:"rule,omitempty"`
	// Category is what the control is about.
	Category string              `json:"category,omitempty"`
	Severity compliance.Severity `json:"severity,omitempty"`
	// Timestamp is since when the outcome and the message are what they are.
	Timestamp metav1.Timestamp   `json:"timestamp"`
	Outcome   compliance.Outcome `json:"result"`
	// Scored says that a failure counts.
	Scored bool `json:"scored,omitempty"`
	// Message says why.
	Message string `json:"message,omitempty"`
	// Properties name the control, and say which requirements of frameworks it answers.
	Properties map[string]string `json:"properties,omitempty"`
}

// List is a list of Reports of any of the kinds.
//
// +kubebuilder:object:root=true
type List struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	Items []Report `json:"items"`
}
