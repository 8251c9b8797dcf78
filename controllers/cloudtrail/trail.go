package cloudtrail

import (
	"encoding/json"
	"maps"
	"reflect"
	"time"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Trail is what AWS holds of a trail.
type Trail struct {
	// ARN, Name, HomeRegion identify the trail.
	ARN, Name, HomeRegion string
	Settings
	// HasEventSelectors and HasInsightSelectors tell whether there are selectors to read; nil: AWS did not say.
	HasEventSelectors, HasInsightSelectors *bool
	// Tags are all tags of the trail; TagsErr tells why they are not known.
	Tags    map[string]string
	TagsErr error
}

// AccountID is the account that owns the trail: for an organization trail the management account.
func (t *Trail) AccountID() string { return ownerAccount(t.ARN) }

// setTags changes a copy of the tags. Tags that are not known stay so.
func (t *Trail) setTags(change func(map[string]string)) {
	if t.Tags == nil {
		return
	}
	t.Tags = maps.Clone(t.Tags)
	change(t.Tags)
}

// Settings are what CreateTrail and UpdateTrail set, as AWS reports them.
type Settings struct {
	S3BucketName              string
	S3KeyPrefix               string
	SNSTopicARN               string
	KMSKeyARN                 string
	CloudWatchLogsLogGroupARN string
	CloudWatchLogsRoleARN     string

	IncludeGlobalServiceEvents bool
	IsMultiRegionTrail         bool
	EnableLogFileValidation    bool
	IsOrganizationTrail        bool
}

// Change is what UpdateTrail is to set: nil leaves a setting as it is, "" clears it.
type Change struct {
	S3BucketName              *string
	S3KeyPrefix               *string
	SNSTopicName              *string
	KMSKeyID                  *string
	CloudWatchLogsLogGroupARN *string
	CloudWatchLogsRoleARN     *string

	IncludeGlobalServiceEvents *bool
	IsMultiRegionTrail         *bool
	EnableLogFileValidation    *bool
	IsOrganizationTrail        *bool
}

// take sets those settings that the change is about to what AWS has answered. Both have the same fields in the same
// order.
func (c *Change) take(answered Settings, settings *Settings) {
	changed, from, to := reflect.ValueOf(*c), reflect.ValueOf(answered), reflect.ValueOf(settings).Elem()
	for i := range changed.NumField() {
		if !changed.Field(i).IsNil() {
			to.Field(i).Set(from.Field(i))
		}
	}
}

// asJSON returns a value as JSON, for comparison.
func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error() // Our API types can always be marshaled.
	}
	return string(data)
}

// Selectors are a trail's event selectors: of one kind or the other, or none for CloudTrail's default.
type Selectors struct {
	Basic    []v1alpha1.EventSelector
	Advanced []v1alpha1.AdvancedEventSelector
}

// Status is what GetTrailStatus reports. Zero times and empty errors are absent.
type Status struct {
	IsLogging                         bool
	StartLoggingTime                  time.Time
	StopLoggingTime                   time.Time
	LatestDeliveryTime                time.Time
	LatestDeliveryError               string
	LatestNotificationTime            time.Time
	LatestNotificationError           string
	LatestDigestDeliveryTime          time.Time
	LatestDigestDeliveryError         string
	LatestCloudWatchLogsDeliveryTime  time.Time
	LatestCloudWatchLogsDeliveryError string
}
