// Package events_test checks the templates in this folder: against what CloudFormation takes, and that they send the
// right events and allow nothing else. hack/terraform checks that the Terraform modules do the same.
package events_test
