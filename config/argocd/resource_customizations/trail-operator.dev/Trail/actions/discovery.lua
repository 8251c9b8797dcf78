local suspended = obj.spec ~= nil and obj.spec.suspend == true

return {
  ["suspend"] = {["disabled"] = suspended, ["displayName"] = "Suspend", ["iconClass"] = "fa fa-fw fa-pause-circle"},
  ["resume"] = {["disabled"] = not suspended, ["displayName"] = "Resume", ["iconClass"] = "fa fa-fw fa-play-circle"},
  ["reconcile"] = {["disabled"] = suspended, ["displayName"] = "Reconcile", ["iconClass"] = "fa fa-fw fa-refresh"},
}
