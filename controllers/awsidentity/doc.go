// Package awsidentity says who may use which AWSIdentity, checks identities with AWS, and keeps those that are in use
// from being deleted.
package awsidentity
