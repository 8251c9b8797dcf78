package terraform

import "github.com/zclconf/go-cty/cty"

// block is what the provider takes in a block: its arguments, nested blocks, and what can be referred to besides.
type block struct {
	required map[string]cty.Type
	optional map[string]cty.Type
	blocks   map[string]block
	exported []string
}

type types = map[string]cty.Type

var tags = cty.Map(cty.String)

// resources are the resource types in the modules, from the documentation of version 5 and 6 of the provider
// hashicorp/aws. The provider's schema is in no Go module that is small enough to depend on, so that this list has what
// the documentation says of these types, less what is deprecated or of no use for them.
var resources = map[string]block{
	"aws_cloudwatch_event_bus": {
		required: types{"name": cty.String},
		optional: types{"description": cty.String, "kms_key_identifier": cty.String, "tags": tags},
		exported: []string{"arn", "id"},
	},
	"aws_cloudwatch_event_bus_policy": {
		required: types{"policy": cty.String},
		optional: types{"event_bus_name": cty.String},
		exported: []string{"id"},
	},
	"aws_cloudwatch_event_rule": {
		optional: types{
			"name": cty.String, "name_prefix": cty.String, "description": cty.String, "event_bus_name": cty.String,
			"event_pattern": cty.String, "force_destroy": cty.Bool, "role_arn": cty.String,
			"schedule_expression": cty.String, "tags": tags,
		},
		exported: []string{"arn", "id"},
	},
	"aws_cloudwatch_event_target": {
		required: types{"arn": cty.String, "rule": cty.String},
		optional: types{
			"event_bus_name": cty.String, "force_destroy": cty.Bool, "input": cty.String, "input_path": cty.String,
			"role_arn": cty.String, "target_id": cty.String,
		},
		blocks: map[string]block{
			"dead_letter_config": {optional: types{"arn": cty.String}},
			"retry_policy": {
				optional: types{"maximum_event_age_in_seconds": cty.Number, "maximum_retry_attempts": cty.Number},
			},
		},
		exported: []string{"id"},
	},
	"aws_iam_policy": {
		required: types{"policy": cty.String},
		optional: types{
			"description": cty.String, "name": cty.String, "name_prefix": cty.String, "path": cty.String, "tags": tags,
		},
		exported: []string{"arn", "id", "policy_id"},
	},
	"aws_iam_role": {
		required: types{"assume_role_policy": cty.String},
		optional: types{
			"description": cty.String, "force_detach_policies": cty.Bool, "max_session_duration": cty.Number,
			"name": cty.String, "name_prefix": cty.String, "path": cty.String, "permissions_boundary": cty.String,
			"tags": tags,
		},
		exported: []string{"arn", "id", "name", "unique_id"},
	},
	"aws_iam_role_policy": {
		required: types{"policy": cty.String, "role": cty.String},
		optional: types{"name": cty.String, "name_prefix": cty.String},
		exported: []string{"id"},
	},
	"aws_iam_role_policy_attachment": {required: types{"policy_arn": cty.String, "role": cty.String}},
	"aws_sqs_queue": {
		optional: types{
			"delay_seconds": cty.Number, "kms_data_key_reuse_period_seconds": cty.Number, "kms_master_key_id": cty.String,
			"max_message_size": cty.Number, "message_retention_seconds": cty.Number, "name": cty.String,
			"name_prefix": cty.String, "policy": cty.String, "receive_wait_time_seconds": cty.Number,
			"redrive_allow_policy": cty.String, "redrive_policy": cty.String, "sqs_managed_sse_enabled": cty.Bool,
			"tags": tags, "visibility_timeout_seconds": cty.Number,
		},
		exported: []string{"arn", "id", "url"},
	},
	"aws_sqs_queue_policy":               {required: types{"policy": cty.String, "queue_url": cty.String}},
	"aws_sqs_queue_redrive_allow_policy": {required: types{"queue_url": cty.String, "redrive_allow_policy": cty.String}},
}

// sources are the data sources in the modules, from the same documentation.
var sources = map[string]block{
	"aws_caller_identity": {exported: []string{"account_id", "arn", "id", "user_id"}},
}
