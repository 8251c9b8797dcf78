// Package quickstart runs the commands of docs/quickstart.md, block by block as a reader does: kubectl and Helm against
// a real API server, and the AWS CLI against the emulator of AWS. The API server has no nodes, so the test runs the
// operator that the chart describes. Of the commands of services that are not emulated (IAM, EKS, and what S3 does with
// buckets), the AWS CLI checks the parameters, and the test what is sent.
package quickstart
