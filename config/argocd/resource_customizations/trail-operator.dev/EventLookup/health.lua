-- Health of an EventLookup: Healthy if the events are in its status, Degraded if only a new EventLookup can help,
-- Progressing until then.
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

local complete = condition("Complete")

if complete ~= nil and complete.status == "True" then
  return health("Healthy", explained(complete, "the events are in the status"))
end
for _, type in ipairs({"Failed", "Stalled"}) do
  local failed = condition(type)
  if failed ~= nil and failed.status == "True" then
    return health("Degraded", explained(failed, "AWS rejected the query"))
  end
end
return health("Progressing", explained(complete, "waiting for the operator"))
