// Package report writes how Trails and accounts are judged into reports, for tools such as Policy Reporter: a Report of
// openreports.io/v1alpha1 for each Trail, and a ClusterReport for each AWSIdentity whose account is assessed; or the
// kinds of wgpolicyk8s.io/v1alpha2 that came before them, with the same content.
//
// These kinds are those of others. Their CRDs may be missing, may come and may go while the operator runs: a Store
// follows that, and nothing is read or written while they are not served. The cache holds of each report only who owns
// it and a digest of what it says, so that a Trail that is judged as before costs no request.
package report
