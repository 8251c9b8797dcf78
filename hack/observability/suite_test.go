// Package observability_test shows that what the operator tells of itself is told, and helps: alerts, runbook,
// dashboard, logs.
package observability_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestObservability(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Observability")
}
