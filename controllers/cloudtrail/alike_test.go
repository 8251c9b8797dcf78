package cloudtrail

import (
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	. "github.com/onsi/gomega"
)

// TestAlike holds that the SDK's structures have the fields that are copied between them, with the same types: a new
// version of the SDK may change that.
func TestAlike(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to any
		// without are the fields of from that to does not have.
		without []string
	}{
		"CreateTrail's answer": {cloudtrail.CreateTrailOutput{}, types.Trail{}, []string{"ResultMetadata"}},
		"UpdateTrail's answer": {cloudtrail.UpdateTrailOutput{}, types.Trail{}, []string{"ResultMetadata"}},
		"UpdateTrail's input":  {cloudtrail.UpdateTrailInput{}, cloudtrail.CreateTrailInput{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			to := reflect.TypeOf(c.to)
			var missing []string
			for field := range reflect.TypeOf(c.from).Fields() {
				if !field.IsExported() {
					continue
				}
				twin, ok := to.FieldByName(field.Name)
				if !ok || twin.Type != field.Type {
					missing = append(missing, field.Name)
				}
			}
			g.Expect(missing).To(ConsistOf(c.without))
		})
	}
}

// TestChangeIsOfTheSettings holds that a Change has the fields of Settings in their order, and that each is sent and
// read.
func TestChangeIsOfTheSettings(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	settings, change := reflect.TypeFor[Settings](), reflect.TypeFor[Change]()
	g.Expect(change.NumField()).To(Equal(settings.NumField()))
	for i := range change.NumField() {
		g.Expect(change.Field(i).Type).To(Equal(reflect.PointerTo(settings.Field(i).Type)))
		stem := strings.TrimRight(strings.TrimSuffix(strings.TrimSuffix(change.Field(i).Name, "Name"), "ID"), "ARN")
		g.Expect(settings.Field(i).Name).To(HavePrefix(stem))
	}

	var all Change
	for i := range change.NumField() {
		value := reflect.New(change.Field(i).Type.Elem())
		if value.Elem().Kind() == reflect.Bool {
			value.Elem().SetBool(true)
		} else {
			value.Elem().SetString(change.Field(i).Name)
		}
		reflect.ValueOf(&all).Elem().Field(i).Set(value)
	}
	var sent []string
	for field, value := range reflect.ValueOf(*toUpdate("audit", all)).Fields() {
		if field.IsExported() && value.IsNil() {
			sent = append(sent, field.Name)
		}
	}
	g.Expect(sent).To(BeEmpty(), "fields of UpdateTrail that no Change sets")

	answer := types.Trail{}
	for field, value := range reflect.ValueOf(&answer).Elem().Fields() {
		if !field.IsExported() {
			continue
		}
		switch value.Interface().(type) {
		case *string:
			value.Set(reflect.ValueOf(aws.String(field.Name)))
		case *bool:
			value.Set(reflect.ValueOf(aws.Bool(true)))
		}
	}
	read := reflect.ValueOf(fromSettings(answer))
	for i := range read.NumField() {
		g.Expect(read.Field(i).IsZero()).To(BeFalse(), "%s is not read from AWS's answer", settings.Field(i).Name)
	}
}
