// Package compositions checks what is written for kro, Crossplane, Kyverno and Gatekeeper without a cluster that runs
// them: an API server takes it under strict validation, kro's own code renders an AuditTrail, the composed policies are
// those of config/aws, and the guardrails agree with config/policies about every Trail. It is `make test-compositions`.
package compositions
