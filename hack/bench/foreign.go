package main

import (
	"fmt"
	"strings"
	"time"
)

// foreignAccounts is how many accounts there are whose trails are not the fleet's.
const foreignAccounts = 1000

// foreignCalls are calls that a hub's rules forward, of other trails and of what these depend on: source, operation and
// parameters, in which NAME is another name for each event.
var foreignCalls = [][3]string{
	{"cloudtrail", "StopLogging", `{"name":"arn:aws:cloudtrail:REGION:ACCOUNT:trail/trail-NAME"}`},
	{"cloudtrail", "UpdateTrail", `{"name":"trail-NAME","s3BucketName":"logs-NAME","isMultiRegionTrail":true,` +
		`"enableLogFileValidation":true,"includeGlobalServiceEvents":true}`},
	{"cloudtrail", "AddTags", `{"resourceId":"arn:aws:cloudtrail:REGION:ACCOUNT:trail/trail-NAME",` +
		`"tagsList":[{"key":"team","value":"NAME"}]}`},
	{"s3", "PutBucketPolicy", `{"bucketName":"logs-NAME","Host":"logs-NAME.s3.REGION.amazonaws.com","policy":"",` +
		`"bucketPolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject",` +
		`"Principal":{"Service":"cloudtrail.amazonaws.com"},"Resource":"arn:aws:s3:::logs-NAME/AWSLogs/ACCOUNT/*"}]}}`},
	{"iam", "AttachRolePolicy", `{"roleName":"role-NAME","policyArn":"arn:aws:iam::aws:policy/ReadOnlyAccess"}`},
	{"kms", "DisableKey", `{"keyId":"arn:aws:kms:REGION:ACCOUNT:key/NAME"}`},
}

// foreignRecord is an event as EventBridge delivers it, of the usual size: somebody has assumed a role and used a
// program.
const foreignRecord = `{"version":"0","id":"6a7e8feb-b491-4cf7-a9f1-UNIQUE",` +
	`"detail-type":"AWS API Call via CloudTrail","source":"aws.SOURCE",` +
	`"account":"ACCOUNT","time":"TIME","region":"REGION","resources":[],"detail":{` +
	`"eventVersion":"1.11","userIdentity":{"type":"AssumedRole",` +
	`"principalId":"AROAEXAMPLEEXAMPLE00:deployment-pipeline-UNIQUE",` +
	`"arn":"arn:aws:sts::ACCOUNT:assumed-role/deployment-pipeline/deployment-pipeline-UNIQUE",` +
	`"accountId":"ACCOUNT","accessKeyId":"ASIAEXAMPLEEXAMPLE00","sessionContext":{` +
	`"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLEEXAMPLE00",` +
	`"arn":"arn:aws:iam::ACCOUNT:role/deployment-pipeline","accountId":"ACCOUNT","userName":"deployment-pipeline"},` +
	`"attributes":{"creationDate":"TIME","mfaAuthenticated":"false"},"webIdFederationData":{` +
	`"federatedProvider":"arn:aws:iam::ACCOUNT:oidc-provider/token.actions.example.com",` +
	`"attributes":{"aud":"sts.amazonaws.com","sub":"repo:example/infrastructure:ref:refs/heads/main"}}}},` +
	`"eventTime":"TIME","eventSource":"SOURCE.amazonaws.com","eventName":"OPERATION","awsRegion":"REGION",` +
	`"sourceIPAddress":"198.51.100.23","userAgent":"APN/1.0 HashiCorp/1.0 Terraform/1.9.8 ` +
	`(+https://www.terraform.io) terraform-provider-aws/5.76.0 ` +
	`aws-sdk-go-v2/1.32.4 ua/2.1 os/linux lang/go#1.23.3 md/GOOS#linux md/GOARCH#amd64 api/SOURCE#1.50.0",` +
	`"requestParameters":PARAMETERS,"responseElements":null,` +
	`"requestID":"11111111-2222-3333-4444-UNIQUE","eventID":"99999999-8888-7777-6666-UNIQUE","readOnly":false,` +
	`"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"ACCOUNT","eventCategory":"Management",` +
	`"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256",` +
	`"clientProvidedHostHeader":"SOURCE.REGION.amazonaws.com"}}}`

// foreignEvent returns an event that concerns no trail of the fleet.
func foreignEvent(number int) string {
	call := foreignCalls[number%len(foreignCalls)]
	event := strings.NewReplacer("SOURCE", call[0], "OPERATION", call[1], "PARAMETERS", call[2]).Replace(foreignRecord)
	return strings.NewReplacer(
		"ACCOUNT", fmt.Sprintf("%012d", 500000000000+number%foreignAccounts),
		"REGION", region,
		"TIME", time.Now().UTC().Format(time.RFC3339),
		"UNIQUE", fmt.Sprintf("%012x", number),
		"NAME", fmt.Sprintf("%05d", number),
	).Replace(event)
}
