variable "event_bus_arn" {
  description = "The output event_bus_arn of the module in the folder above."
  type        = string
}

variable "name_prefix" {
  description = "Begins the names of the rules, the role and the dead-letter queue."
  type        = string
  default     = "trail-operator"

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,29}$", var.name_prefix))
    error_message = "Up to 30 letters, digits, hyphens and underscores."
  }
}

variable "watch_prerequisites" {
  description = "Whether calls on buckets, keys, topics, roles and log groups are forwarded, too."
  type        = bool
  default     = true
}
