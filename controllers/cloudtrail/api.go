package cloudtrail

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
)

// API is the part of CloudTrail's API that the operator uses, one method an operation.
type API interface {
	AddTags(context.Context, *cloudtrail.AddTagsInput, ...func(*cloudtrail.Options)) (*cloudtrail.AddTagsOutput, error)
	CreateTrail(
		context.Context, *cloudtrail.CreateTrailInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.CreateTrailOutput, error)
	DeleteTrail(
		context.Context, *cloudtrail.DeleteTrailInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.DeleteTrailOutput, error)
	DescribeTrails(
		context.Context, *cloudtrail.DescribeTrailsInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.DescribeTrailsOutput, error)
	GetEventConfiguration(
		context.Context, *cloudtrail.GetEventConfigurationInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.GetEventConfigurationOutput, error)
	GetEventSelectors(
		context.Context, *cloudtrail.GetEventSelectorsInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.GetEventSelectorsOutput, error)
	GetInsightSelectors(
		context.Context, *cloudtrail.GetInsightSelectorsInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.GetInsightSelectorsOutput, error)
	GetTrailStatus(
		context.Context, *cloudtrail.GetTrailStatusInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.GetTrailStatusOutput, error)
	ListPublicKeys(
		context.Context, *cloudtrail.ListPublicKeysInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.ListPublicKeysOutput, error)
	ListTags(context.Context, *cloudtrail.ListTagsInput, ...func(*cloudtrail.Options)) (*cloudtrail.ListTagsOutput, error)
	ListTrails(
		context.Context, *cloudtrail.ListTrailsInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.ListTrailsOutput, error)
	LookupEvents(
		context.Context, *cloudtrail.LookupEventsInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.LookupEventsOutput, error)
	PutEventConfiguration(
		context.Context, *cloudtrail.PutEventConfigurationInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.PutEventConfigurationOutput, error)
	PutEventSelectors(
		context.Context, *cloudtrail.PutEventSelectorsInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.PutEventSelectorsOutput, error)
	PutInsightSelectors(
		context.Context, *cloudtrail.PutInsightSelectorsInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.PutInsightSelectorsOutput, error)
	RemoveTags(
		context.Context, *cloudtrail.RemoveTagsInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.RemoveTagsOutput, error)
	StartLogging(
		context.Context, *cloudtrail.StartLoggingInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.StartLoggingOutput, error)
	StopLogging(
		context.Context, *cloudtrail.StopLoggingInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.StopLoggingOutput, error)
	UpdateTrail(
		context.Context, *cloudtrail.UpdateTrailInput, ...func(*cloudtrail.Options),
	) (*cloudtrail.UpdateTrailOutput, error)
}

var _ API = (*cloudtrail.Client)(nil)
