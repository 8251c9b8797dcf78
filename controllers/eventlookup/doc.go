// Package eventlookup runs each EventLookup once, records in its status what it found, and deletes it when its time is
// over.
package eventlookup
