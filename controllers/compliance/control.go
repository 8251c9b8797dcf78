package compliance

import (
	"time"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Outcome is what a control says of an object.
type Outcome string

// The outcomes.
const (
	// Pass means that what the control asks for is there.
	Pass Outcome = "pass"
	// Fail means that it is not there.
	Fail Outcome = "fail"
	// Skip means that this cannot be told, or does not apply.
	Skip Outcome = "skip"
)

// Outcomes returns all outcomes, in the order in which they are counted and shown.
func Outcomes() []Outcome { return []Outcome{Pass, Fail, Skip} }

// Severity is how bad it is if a control fails, on AWS Security Hub's scale. Controls that Security Hub has too are
// rated as it rates them.
type Severity string

// The severities, the worst first.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
)

// Severities returns all severities, the worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low} }

// Reference is a requirement of a framework, such as 3.1 of FrameworkCIS50.
type Reference struct {
	// Framework is the name and the version of the framework.
	Framework string
	// ID is what the framework calls the requirement.
	ID string
}

// Control is a question about an object, and which requirements of frameworks ask it.
type Control struct {
	// ID names the control, such as multi-region. It does not change, as metrics and reports have it.
	ID string
	// Title says what the control asks for, in one sentence without a period.
	Title string
	// Severity is how bad it is if the control fails.
	Severity Severity
	// Field is the path of the field that decides, such as spec.isMultiRegionTrail.
	Field string
	// Remedy says what to do if the control fails, in one sentence without a period that begins with a verb.
	Remedy string
	// References are the requirements that the control answers. Of several of one framework, the first fits best.
	References []Reference

	// judge judges a Trail, and judgeAccount an AWSIdentity. One of the two is nil.
	judge        func(*subject) finding
	judgeAccount func(*v1alpha1.AWSIdentity, time.Time) finding
	// restsOn is what a pass rests on, and so what must be known of a Trail for it.
	restsOn basis
}

// ReferenceIn returns what a framework calls the control's requirement, "" if the framework does not have it.
func (c *Control) ReferenceIn(framework string) string {
	for _, reference := range c.References {
		if reference.Framework == framework {
			return reference.ID
		}
	}
	return ""
}

// Result is what a control says of one object.
type Result struct {
	// Control is the control. It is shared, and must not be changed.
	Control *Control
	// Outcome is what it says.
	Outcome Outcome
	// Message is what was seen. If the control fails, it also says what to change, and names the field; if it is skipped,
	// why. It is one line that is safe to print, and does not change while the outcome's cause does not.
	Message string
}

// finding is an outcome and what was seen.
type finding struct {
	outcome Outcome
	message string
}

func pass(message string) finding { return finding{Pass, message} }
func fail(message string) finding { return finding{Fail, message} }
func skip(message string) finding { return finding{Skip, message} }
