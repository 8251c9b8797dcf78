// Package cloudtrailtest emulates AWS CloudTrail, the part of AWS STS that leads to it, the way of its events through
// EventBridge to queues of Amazon SQS, and that of its log files to buckets of Amazon S3, for tests without an AWS
// account.
//
// It models AWS and not one of its clients: validation, error codes and messages, home regions, shadow trails,
// organization trails, quotas, request rates, tags, selectors and the event history are those of the service as its
// documentation (and, where that is silent, what people met in practice) describes them. It shares no code with the AWS
// SDK, so that its strictness cannot come from the client under test.
//
//	srv := cloudtrailtest.New(cloudtrailtest.Options{OpenResources: true})
//	ts := httptest.NewServer(srv)
//	client := cloudtrail.New(cloudtrail.Options{
//		Region: "eu-west-1", BaseEndpoint: aws.String(ts.URL),
//		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
//	})
//
// The account of a call is that of the access key which signed it, the region is that of the signature's credential
// scope. Server.Client does without a network, so that everything runs inside a synctest bubble; with Options.Seed,
// nothing is left to chance. ../README.md lists what is emulated and what is not.
package cloudtrailtest
