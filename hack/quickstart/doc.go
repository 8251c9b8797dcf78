// Package quickstart runs the commands of docs/quickstart.md and docs/install.md, block by block as a reader does:
// kubectl and Helm against a real API server, and the AWS CLI against the emulator of AWS. The API server has no nodes,
// so the tests run the operator that is installed. Of the commands of services that are not emulated (IAM, EKS, and
// what S3 does with buckets), the AWS CLI checks the parameters, and the tests what is sent.
package quickstart
