package compositions

import (
	"encoding/json"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

// healthOf runs Argo CD's script for an object.
func healthOf(object map[string]any) string {
	GinkgoHelper()
	script, err := os.ReadFile(filepath.Join(root, "config", "argocd", "audittrail.lua"))
	Expect(err).NotTo(HaveOccurred())
	content, err := json.Marshal(object)
	Expect(err).NotTo(HaveOccurred())
	state := lua.NewState()
	DeferCleanup(state.Close)
	decoded, err := luajson.Decode(state, content)
	Expect(err).NotTo(HaveOccurred())
	state.SetGlobal("obj", decoded)
	Expect(state.DoString(string(script))).To(Succeed())
	return state.GetField(state.Get(-1), "status").String()
}

var _ = DescribeTable("Argo CD's health of an AuditTrail is",
	func(want string, metadata, status map[string]any) {
		if metadata == nil {
			metadata = map[string]any{"generation": 2}
		}
		Expect(healthOf(map[string]any{"metadata": metadata, "status": status})).To(Equal(want))
	},
	Entry("nothing yet", "Progressing", nil, nil),
	Entry("kro's, ready", "Healthy", nil, map[string]any{"state": "ACTIVE", "conditions": []any{
		map[string]any{"type": "Ready", "status": "True", "observedGeneration": 2},
	}}),
	Entry("kro's, ready for the spec before", "Progressing", nil, map[string]any{"conditions": []any{
		map[string]any{"type": "Ready", "status": "True", "observedGeneration": 1},
	}}),
	Entry("kro's, waiting for the Trail", "Progressing", nil, map[string]any{"state": "IN_PROGRESS", "conditions": []any{
		map[string]any{"type": "Ready", "status": "False", "observedGeneration": 2, "message": "trail"},
	}}),
	Entry("kro's, failed", "Degraded", nil, map[string]any{"state": "ERROR", "conditions": []any{
		map[string]any{"type": "Ready", "status": "False", "observedGeneration": 2},
	}}),
	Entry("Crossplane's, ready", "Healthy", nil, map[string]any{"conditions": []any{
		map[string]any{"type": "Synced", "status": "True"}, map[string]any{"type": "Ready", "status": "True"},
	}}),
	Entry("Crossplane's, not composed", "Degraded", nil, map[string]any{"conditions": []any{
		map[string]any{"type": "Synced", "status": "False"}, map[string]any{"type": "Ready", "status": "True"},
	}}),
	Entry("Crossplane's, creating", "Progressing", nil, map[string]any{"conditions": []any{
		map[string]any{"type": "Synced", "status": "True"}, map[string]any{"type": "Ready", "status": "False"},
	}}),
	Entry("being deleted", "Progressing", map[string]any{"deletionTimestamp": "2026-01-01T00:00:00Z"},
		map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}),
)
