-- Health of a LogFileValidation: Healthy if everything is proved, Degraded if something was tampered with or cannot be
-- verified, Progressing until there is something to prove.
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
local intact = condition("Intact")

if intact ~= nil and intact.status == "False" then
  return health("Degraded", explained(intact, "the log files were tampered with"))
end
if obj.spec ~= nil and obj.spec.suspend == true then
  return health("Suspended", "suspended by spec.suspend: nothing is validated")
end
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", explained(ready, "waiting for the operator to validate"))
end

local stalled = condition("Stalled")
if stalled ~= nil and stalled.status == "True" then
  return health("Degraded", explained(stalled, "only a change to the object can help"))
end
if ready ~= nil and ready.status == "True" then
  return health("Healthy", explained(ready, "the log files are intact"))
end
if ready ~= nil and (ready.reason == "NoDigests" or ready.reason == "NotValidatedYet") then
  return health("Progressing", explained(ready, "waiting for CloudTrail to deliver digests"))
end
if ready ~= nil and ready.status == "False" then
  return health("Degraded", explained(ready, "the log files cannot be verified"))
end
return health("Progressing", explained(ready, "waiting for the operator"))
