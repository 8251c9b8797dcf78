// Package simulation runs the whole operator for simulated days, in one process and under virtual time: its manager
// with caches, queues and leases, against an API server in memory (apiserver) and the emulated AWS (cloudtrailtest).
// Tenants, intruders, faults, crashes and the order in which calls are served come from a seed, and the same seed gives
// the same history. Invariants are checked at every write and at the end, after a quiet time.
//
// Everything that the operator sends to AWS or to the API server passes through the scheduler, which serves one request
// at a time: see scheduler. What happens to the world is a Script, which is made from the seed before the run, so that
// it can be reduced to what a violation needs and be run again: see Reduce. README.md says how to use it.
package simulation
