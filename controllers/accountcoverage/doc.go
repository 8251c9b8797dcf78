// Package accountcoverage assesses the accounts of AWSIdentities that ask for it: it reads the trails of an account and
// writes into the status of the AWSIdentity what they record together. What it finds is judged by controllers/coverage.
package accountcoverage
