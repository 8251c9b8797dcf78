// Package digest proves with CloudTrail's digest files that log files are as CloudTrail has delivered them.
//
// Every hour CloudTrail delivers a signed digest file for each account and region of a trail. It has the hashes of the
// log files of that hour, and the hash and the signature of the digest before: a chain. A Validator walks a chain
// forward, from where it was last. It reads a bucket and public keys through two interfaces and knows nothing else, so
// it is the same for the operator, the command line and tests.
//
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html
package digest
