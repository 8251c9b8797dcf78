-- EXAMPLE: health of an AuditTrail, of kro or of Crossplane (docs/compositions.md). In argocd-cm it is
-- resource.customizations.health.audit.example.com_AuditTrail.
if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "being deleted"}
end
if obj.status == nil or obj.status.conditions == nil then
  return {status = "Progressing", message = "waiting to be composed"}
end

local conditions = {}
for _, c in ipairs(obj.status.conditions) do
  conditions[c.type] = c
end

-- Crossplane's Synced, and kro's state, tell whether the composition itself fails.
local synced = conditions["Synced"]
if synced ~= nil and synced.status == "False" then
  return {status = "Degraded", message = synced.message or "not synced"}
end
local ready = conditions["Ready"]
if ready == nil then
  return {status = "Progressing", message = "waiting to be composed"}
end
if ready.observedGeneration ~= nil and ready.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "waiting for this generation"}
end
if ready.status == "True" then
  return {status = "Healthy", message = "the trail logs"}
end
if obj.status.state == "ERROR" or obj.status.state == "FAILED" then
  return {status = "Degraded", message = ready.message or obj.status.state}
end
return {status = "Progressing", message = ready.message or "waiting for what it is composed of"}
