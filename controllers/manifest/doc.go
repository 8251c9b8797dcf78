// Package manifest reads Trails and AWSIdentities of manifests, as kubectl and the API server do and as strictly: from
// files, folders or the standard input, in YAML or JSON, without a cluster.
//
// Manifests come from whoever opened the pull request. So a file can be anything: what is read is bounded, and what
// cannot be read is a problem and never left out silently.
package manifest
