// Package logfilevalidation validates the log files of trails as LogFileValidations say, and records in their status
// until when they are proved and what was tampered with.
//
// A reconcile never waits for AWS: it begins a validation, which runs in the background, and writes down what that has
// found so far. Few validations run at once, and take turns between namespaces.
package logfilevalidation
