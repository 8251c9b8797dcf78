return {
  ["reconcile"] = {["displayName"] = "Reconcile", ["iconClass"] = "fa fa-fw fa-refresh"},
}
