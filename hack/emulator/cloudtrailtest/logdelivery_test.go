package cloudtrailtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

func TestQuick(t *testing.T) {
	e := direct(func(o *cloudtrailtest.Options) {
		o.LogDelivery = &cloudtrailtest.LogDelivery{LogsPerHour: 2, Regions: []string{"eu-west-1", "us-east-1"}, LateLogs: 0.3}
		o.Seed = 7
	})
	client := e.in(region)
	out := create(t, client, "audit", multiRegion, func(in *cloudtrail.CreateTrailInput) { in.EnableLogFileValidation = new(true) })
	_, err := client.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: out.Name})
	wants(t, err, "")
	wants(t, e.DeliverHours(*out.TrailARN, 24), "")
	e.clock.add(3 * time.Hour)
	for _, o := range e.Objects(bucket, "") {
		fmt.Println(o.LastModified, o.Key, len(o.Content), len(o.Metadata))
	}
	st, err := client.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: out.Name})
	fmt.Println(st.LatestDeliveryTime, st.LatestDigestDeliveryTime, err)
	keys, err := client.ListPublicKeys(ctx, &cloudtrail.ListPublicKeysInput{})
	fmt.Println(*keys.PublicKeyList[0].Fingerprint, len(keys.PublicKeyList[0].Value), keys.PublicKeyList[0].ValidityStartTime, err)
}
