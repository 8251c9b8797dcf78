// Package export prints manifests for trails that exist already. Applied, they change nothing in AWS but the owner tag.
package export
