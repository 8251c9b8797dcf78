package cloudtrailtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

func exampleClient(server *cloudtrailtest.Server) *cloudtrail.Client {
	return cloudtrail.New(cloudtrail.Options{
		Region:       "eu-west-1",
		HTTPClient:   server.Client(),
		BaseEndpoint: aws.String("http://emulator"),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:      aws.NopRetryer{},
	})
}

// The SDK's client, without a network.
func ExampleNew() {
	ctx := context.Background()
	server := cloudtrailtest.New(cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
	defer server.Close()
	client := exampleClient(server)

	created, err := client.CreateTrail(ctx, &cloudtrail.CreateTrailInput{
		Name: aws.String("audit"), S3BucketName: aws.String("logs"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	status, err := client.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: created.TrailARN})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(*created.TrailARN)
	fmt.Println("logging:", *status.IsLogging)
	// Output:
	// arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit
	// logging: false
}

// A fault that AWS answers with, once.
func ExampleServer_Inject() {
	ctx := context.Background()
	server := cloudtrailtest.New(cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
	defer server.Close()
	client := exampleClient(server)

	server.Inject(cloudtrailtest.Fault{Operation: "DescribeTrails", Code: "ThrottlingException", Times: 1})
	for range 2 {
		_, err := client.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{})
		if answer, ok := errors.AsType[smithy.APIError](err); ok {
			fmt.Println(answer.ErrorCode())
		} else {
			fmt.Println(err)
		}
	}
	// Output:
	// ThrottlingException
	// <nil>
}

// Somebody else, whose calls are in the event history.
func ExampleServer_As() {
	server := cloudtrailtest.New(cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
	defer server.Close()
	mallory := server.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::111122223333:user/mallory"})

	for _, call := range []struct {
		operation string
		params    map[string]any
	}{
		{"CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "logs"}},
		{"StartLogging", map[string]any{"Name": "audit"}},
		{"StopLogging", map[string]any{"Name": "audit"}},
	} {
		if _, err := mallory.Do("eu-west-1", call.operation, call.params); err != nil {
			fmt.Println(err)
		}
	}
	trail, _ := server.Trail("111122223333", "eu-west-1", "audit")
	fmt.Println("logging:", trail.IsLogging)
	// Output:
	// logging: false
}

// What somebody does arrives in a queue, as in AWS through CloudTrail and EventBridge.
func ExampleServer_Forward() {
	server := cloudtrailtest.New(cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
	defer server.Close()
	alice := server.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::111122223333:user/alice"})
	do := func(operation string, params map[string]any) {
		if _, err := alice.Do("eu-west-1", operation, params); err != nil {
			fmt.Println(err)
		}
	}
	do("CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "logs"})
	do("StartLogging", map[string]any{"Name": "audit"})

	queue := cloudtrailtest.Queue{AccountID: "111122223333", Region: "eu-west-1", Name: "events"}
	if err := server.CreateQueue(queue); err != nil {
		fmt.Println(err)
	}
	server.Forward(cloudtrailtest.Rule{AccountID: "111122223333", QueueARN: queue.ARN()})
	do("StopLogging", map[string]any{"Name": "audit"})

	client := sqs.New(sqs.Options{
		Region:       "eu-west-1",
		HTTPClient:   server.Client(),
		BaseEndpoint: aws.String("http://emulator"),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	out, err := client.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(queue.URL()), WaitTimeSeconds: 20,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, message := range out.Messages {
		var event struct{ Detail struct{ EventName string } }
		if err := json.Unmarshal([]byte(*message.Body), &event); err != nil {
			fmt.Println(err)
		}
		fmt.Println(event.Detail.EventName)
	}
	// Output:
	// StopLogging
}
