// Package policies is the command `trail-operator policies`: it prints what AWS has to allow before the Trails of
// manifests can become ready, with their own names: the policies of their buckets, topics, keys and roles, and the
// operator's own. It needs no cluster, no AWS account and no network.
//
// The statements are those that the operator asks for in its messages (package cloudtrail). Policies give power, so
// nothing is guessed: what no manifest tells, such as the account, is asked for, and a name that policies would take
// for a pattern is refused.
package policies
