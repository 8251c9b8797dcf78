// Package coverage judges what the trails of an account record together: pure functions from what was read of the
// trails to what of the account is recorded, and what is not.
package coverage
