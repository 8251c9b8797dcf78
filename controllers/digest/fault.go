package digest

import (
	"context"
	"errors"
	"fmt"
)

// fault is why something is not proved: what becomes a Finding. It is an error within this package only.
type fault struct {
	class   Class
	reason  string
	message string
	// stops says that the same may be known later, so that a walk stops here and the next one tries it again.
	stops bool
	// transient says that it may be known in a moment.
	transient bool
}

// Error returns the message.
func (f *fault) Error() string { return f.message }

// faultOf returns what an error that is not of the context says about an object that is described in words.
func faultOf(err error, what string) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	unavailable, ok := errors.AsType[*UnavailableError](err)
	if !ok {
		return &fault{
			class: Unverifiable, reason: reasonFailed, stops: true, transient: true,
			message: fmt.Sprintf("%s could not be read: %q.", what, err.Error()),
		}
	}
	return &fault{
		class: Unverifiable, reason: unavailable.Reason,
		message: fmt.Sprintf("%s could not be read: %q.", what, unavailable.Message),
		// What is true of one object, and does not change by itself, must not keep a walk from going on.
		stops:     unavailable.Reason != ReasonArchived && unavailable.Reason != ReasonTooLarge,
		transient: unavailable.Transient,
	}
}

// reasonFailed is the reason of an error that says nothing about itself.
const reasonFailed = "Failed"

// faultIn is faultOf, but for the error of a context that has ended, which becomes no finding.
func faultIn(ctx context.Context, err error, what string) *fault {
	if ended := ctx.Err(); ended != nil {
		return &fault{class: Unverifiable, reason: reasonFailed, stops: true, transient: true, message: ended.Error()}
	}
	return faultOf(err, what)
}

// tampered returns a fault of a class that does not pass.
func tampered(class Class, format string, values ...any) *fault {
	return &fault{class: class, message: fmt.Sprintf(format, values...)}
}

// finding returns the finding about an object.
func (f *fault) finding(result Result) *Finding {
	return &Finding{
		Class: f.class, Chain: result.Chain, Reason: f.reason,
		Bucket: result.Bucket, Object: result.Object, Time: result.End, Message: f.message,
	}
}
