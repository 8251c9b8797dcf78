output "dead_letters_url" {
  description = "The dead-letter queue. Alarm on messages in it."
  value       = aws_sqs_queue.dead_letters.url
}
