# The event queue of trail-operator: CloudTrail's calls in this account and region, and those that the module forward
# forwards from other regions and accounts.

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

  rule_arns = concat(
    [for rule in aws_cloudwatch_event_rule.direct : rule.arn],
    [for rule in aws_cloudwatch_event_rule.forwarded : rule.arn],
  )

  queues = {
    events       = aws_sqs_queue.events
    dead_letters = aws_sqs_queue.dead_letters
  }
}

resource "aws_sqs_queue" "events" {
  name                       = "${var.name_prefix}-events"
  message_retention_seconds  = 3600
  visibility_timeout_seconds = 60
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = var.key_arn == null ? true : null
  kms_master_key_id          = var.key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 5
  })
}

# What the operator could not read, and what EventBridge could not deliver to the queue.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name_prefix}-events-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = var.key_arn == null ? true : null
  kms_master_key_id         = var.key_arn
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.events.arn]
  })
}

resource "aws_sqs_queue_policy" "queues" {
  for_each = local.queues

  queue_url = each.value.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "EventBridgeSendsEvents"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = each.value.arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = local.rule_arns }
          StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
        }
      },
      {
        Sid       = "NobodyCallsWithoutTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = each.value.arn
        Condition = {
          Bool = { "aws:SecureTransport" = "false" }
        }
      },
    ]
  })
}

# This account and region.
resource "aws_cloudwatch_event_rule" "direct" {
  for_each = local.watched

  name          = "${var.name_prefix}-${each.key}"
  description   = "Changes of CloudTrail trails, or of what they need, for trail-operator."
  event_pattern = jsonencode(each.value)
}

resource "aws_cloudwatch_event_target" "direct" {
  for_each = aws_cloudwatch_event_rule.direct

  rule      = each.value.name
  target_id = "queue"
  arn       = aws_sqs_queue.events.arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters.arn
  }

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 185
  }
}

# Other regions and accounts: the module forward sends to this bus. A bus of its own, so that the policy of the default
# bus stays as it is.
resource "aws_cloudwatch_event_bus" "forwarded" {
  name = "${var.name_prefix}-events"
}

resource "aws_cloudwatch_event_bus_policy" "forwarded" {
  count = length(var.accounts) > 0 || var.organization_id != null ? 1 : 0

  event_bus_name = aws_cloudwatch_event_bus.forwarded.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for accounts in [var.accounts] : {
        Sid       = "AccountsForwardEvents"
        Effect    = "Allow"
        Principal = { AWS = accounts }
        Action    = "events:PutEvents"
        Resource  = aws_cloudwatch_event_bus.forwarded.arn
      } if length(accounts) > 0],
      [for organization in [var.organization_id] : {
        Sid       = "OrganizationForwardsEvents"
        Effect    = "Allow"
        Principal = "*"
        Action    = "events:PutEvents"
        Resource  = aws_cloudwatch_event_bus.forwarded.arn
        Condition = {
          StringEquals = { "aws:PrincipalOrgID" = organization }
        }
      } if organization != null],
    )
  })
}

resource "aws_cloudwatch_event_rule" "forwarded" {
  for_each = local.watched

  name           = "${var.name_prefix}-forwarded-${each.key}"
  description    = "Changes of trails, or of what they need, in other regions and accounts, for trail-operator."
  event_bus_name = aws_cloudwatch_event_bus.forwarded.name
  event_pattern  = jsonencode(each.value)
}

resource "aws_cloudwatch_event_target" "forwarded" {
  for_each = aws_cloudwatch_event_rule.forwarded

  rule           = each.value.name
  event_bus_name = aws_cloudwatch_event_bus.forwarded.name
  target_id      = "queue"
  arn            = aws_sqs_queue.events.arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters.arn
  }

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 185
  }
}

resource "aws_iam_policy" "operator" {
  name_prefix = "${var.name_prefix}-events-"
  description = "Lets trail-operator read its event queue."

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "ReceiveEvents"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
        Resource = aws_sqs_queue.events.arn
      }],
      [for key in [var.key_arn] : {
        Sid      = "DecryptEvents"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = key
      } if key != null],
    )
  })
}

resource "aws_iam_role_policy_attachment" "operator" {
  count = var.operator_role_name == null ? 0 : 1

  role       = var.operator_role_name
  policy_arn = aws_iam_policy.operator.arn
}
