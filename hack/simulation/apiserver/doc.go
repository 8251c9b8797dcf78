// Package apiserver is a Kubernetes API server in memory, for simulations and tests.
package apiserver
