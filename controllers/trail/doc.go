// Package trail keeps each Trail's trail in AWS as its spec says:
//
//	observe → which state? → plan → apply → status
//
// The state and the plan are pure functions of the spec and the observation. Status is written by one patch, at one
// exit.
package trail
