// Package eventqueue receives what EventBridge tells of calls that CloudTrail has recorded: from the SQS queue that an
// AWSIdentity names, with that identity's credentials. Who hears of it decides what it means; the look that follows
// finds out what is so.
//
// A message is deleted when it has been heard, and when it does not concern anybody. One that cannot be read is left,
// so that SQS moves it into the dead-letter queue of the queue's redrive policy. Nothing is kept in this process that
// would be lost with it.
package eventqueue
