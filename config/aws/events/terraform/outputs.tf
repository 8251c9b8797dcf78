output "queue_url" {
  description = "For spec.eventQueueURL of the AWSIdentity."
  value       = aws_sqs_queue.events.url
}

output "queue_arn" {
  description = "The queue."
  value       = aws_sqs_queue.events.arn
}

output "dead_letters_url" {
  description = "The dead-letter queue. Alarm on messages in it."
  value       = aws_sqs_queue.dead_letters.url
}

output "policy_arn" {
  description = "The policy that the operator's role needs."
  value       = aws_iam_policy.operator.arn
}

output "event_bus_arn" {
  description = "For event_bus_arn of the module forward."
  value       = aws_cloudwatch_event_bus.forwarded.arn
}
