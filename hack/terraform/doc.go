// Package terraform checks the Terraform modules in config/aws/events without Terraform and its provider: that they are
// formatted, that everything they refer to exists, and that they have the patterns and the policies of the
// CloudFormation templates. The tests evaluate the modules as Terraform does, with names in place of what AWS assigns.
package terraform
