// Package validatelogs is the command `trail-operator validate-logs`: it proves for a time range that the log files of
// a trail are as CloudTrail has delivered them. Its flags are those of `aws cloudtrail validate-logs`, and mean the
// same.
package validatelogs
