variable "name_prefix" {
  description = "Begins the names of the queues, the rules and the event bus. One operator needs one queue of its own."
  type        = string
  default     = "trail-operator"

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,29}$", var.name_prefix))
    error_message = "Up to 30 letters, digits, hyphens and underscores."
  }
}

variable "operator_role_name" {
  description = "The operator's IAM role, to attach the policy to. Null if you attach the policy yourself."
  type        = string
  default     = null
}

variable "watch_prerequisites" {
  description = "Whether calls on buckets, keys, topics, roles and log groups are sent to the queue, too."
  type        = bool
  default     = true
}

variable "key_arn" {
  description = "A customer managed KMS key for the queues. README.md shows its policy. Null for SSE-SQS."
  type        = string
  default     = null
}

variable "accounts" {
  description = "The accounts that may forward events to this one."
  type        = list(string)
  default     = []
}

variable "organization_id" {
  description = "The organization whose accounts may forward events to this one. Null for none."
  type        = string
  default     = null
}
