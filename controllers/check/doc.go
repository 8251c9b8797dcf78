// Package check is the command `trail-operator check`: it judges the Trails of manifests by a compliance profile before
// anything is applied, as in a pull request. It needs no cluster, no AWS account and no network.
//
// Manifests come from whoever opened the pull request. So a file can be anything: what is read is bounded, what is
// printed is escaped, and what cannot be judged is a problem, never a pass.
package check
