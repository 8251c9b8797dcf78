# Forwards CloudTrail's calls in this account and region to trail-operator's event bus in another region or account, the
# one of the module in the folder above. IAM's calls come in us-east-1 only (us-gov-west-1 in GovCloud).

data "aws_caller_identity" "current" {}

locals {
  # Every pattern matches on source: EventBridge lets nobody but AWS send events from aws.*.
  patterns = {
    trails = {
      source        = ["aws.cloudtrail"]
      "detail-type" = ["AWS API Call via CloudTrail"]
      detail = {
        eventSource = ["cloudtrail.amazonaws.com"]
        eventName = [
          "CreateTrail",
          "UpdateTrail",
          "DeleteTrail",
          "StartLogging",
          "StopLogging",
          "PutEventSelectors",
          "PutInsightSelectors",
          "PutEventConfiguration",
          "AddTags",
          "RemoveTags",
        ]
      }
    }
    prerequisites = {
      source        = ["aws.s3", "aws.kms", "aws.sns", "aws.iam", "aws.logs"]
      "detail-type" = ["AWS API Call via CloudTrail"]
      detail = {
        eventSource = [
          "s3.amazonaws.com",
          "kms.amazonaws.com",
          "sns.amazonaws.com",
          "iam.amazonaws.com",
          "logs.amazonaws.com",
        ]
        eventName = [
          "CreateBucket",
          "DeleteBucket",
          "PutBucketPolicy",
          "DeleteBucketPolicy",
          "PutKeyPolicy",
          "EnableKey",
          "DisableKey",
          "ScheduleKeyDeletion",
          "CancelKeyDeletion",
          "CreateTopic",
          "DeleteTopic",
          "SetTopicAttributes",
          "AddPermission",
          "RemovePermission",
          "CreateRole",
          "DeleteRole",
          "UpdateAssumeRolePolicy",
          "PutRolePolicy",
          "DeleteRolePolicy",
          "AttachRolePolicy",
          "DetachRolePolicy",
          "CreateLogGroup",
          "DeleteLogGroup",
        ]
      }
    }
  }

  watched = { for name, pattern in local.patterns : name => pattern if name == "trails" || var.watch_prerequisites }
}

resource "aws_cloudwatch_event_rule" "forward" {
  for_each = local.watched

  name          = "${var.name_prefix}-forward-${each.key}"
  description   = "Forwards changes of CloudTrail trails, or of what they need, to trail-operator."
  event_pattern = jsonencode(each.value)
}

resource "aws_cloudwatch_event_target" "forward" {
  for_each = aws_cloudwatch_event_rule.forward

  rule      = each.value.name
  target_id = "trail-operator"
  arn       = var.event_bus_arn
  role_arn  = aws_iam_role.forward.arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters.arn
  }

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 185
  }
}

resource "aws_iam_role" "forward" {
  name_prefix = "${var.name_prefix}-"
  description = "Lets EventBridge forward events to trail-operator's event bus."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EventBridgeForwards"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        ArnEquals    = { "aws:SourceArn" = [for rule in aws_cloudwatch_event_rule.forward : rule.arn] }
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
      }
    }]
  })
}

resource "aws_iam_role_policy" "forward" {
  name = "forward"
  role = aws_iam_role.forward.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "ForwardEvents"
      Effect   = "Allow"
      Action   = "events:PutEvents"
      Resource = var.event_bus_arn
    }]
  })
}

# What EventBridge could not forward.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name_prefix}-forward-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "EventBridgeSendsEvents"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.dead_letters.arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = [for rule in aws_cloudwatch_event_rule.forward : rule.arn] }
          StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
        }
      },
      {
        Sid       = "NobodyCallsWithoutTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.dead_letters.arn
        Condition = {
          Bool = { "aws:SecureTransport" = "false" }
        }
      },
    ]
  })
}
