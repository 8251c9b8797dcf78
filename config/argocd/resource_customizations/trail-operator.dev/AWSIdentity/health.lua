-- Health of an AWSIdentity: Healthy if AWS accepts it, Degraded if AWS refuses it. The condition Recorded is left out: it
-- speaks of the account, which no sync of the manifest breaks or mends.
local function condition(type)
  if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, c in ipairs(obj.status.conditions) do
      if c.type == type then
        return c
      end
    end
  end
  return nil
end

local function health(status, message)
  return {status = status, message = message}
end

local function explained(c, fallback)
  if c ~= nil and c.message ~= nil and c.message ~= "" then
    return c.message
  end
  return fallback
end

local ready = condition("Ready")

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "waiting for the operator to reconcile this generation")
end

local stalled = condition("Stalled")
if stalled ~= nil and stalled.status == "True" then
  return health("Degraded", explained(stalled, "only a change to the object can help"))
end
local reconciling = condition("Reconciling")
if reconciling ~= nil and reconciling.status == "True" then
  return health("Progressing", explained(reconciling, "the operator is working on it"))
end
if ready ~= nil and ready.status == "True" then
  return health("Healthy", explained(ready, "AWS accepts the identity"))
end
if ready ~= nil and ready.status == "False" then
  return health("Degraded", explained(ready, "AWS does not accept the identity"))
end
return health("Progressing", explained(ready, "waiting for the operator"))
