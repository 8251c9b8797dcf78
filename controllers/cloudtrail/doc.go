// Package cloudtrail is everything that speaks AWS: sessions per AWSIdentity, clients per region,
// CloudTrail's rate limits, shared reads, the meaning of errors, and the conversion between our types
// and the SDK's. Controllers never build an SDK input and never see an SDK type.
package cloudtrail
