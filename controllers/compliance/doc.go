// Package compliance judges Trails, and the AWS accounts of AWSIdentities, by the controls of security benchmarks.
//
// A Control asks one question, such as whether a trail records the events of all regions, and names the requirements
// of the benchmarks that ask the same. A Profile is the set of controls that one benchmark asks for. Judging is a pure
// function of an object and the time: it calls nobody and needs no permission.
//
// A control passes if what is asked for is shown to be in AWS, as far as the status tells. It fails if it is not there,
// or is not in the spec. It is skipped, with a reason, if this cannot be told.
package compliance
