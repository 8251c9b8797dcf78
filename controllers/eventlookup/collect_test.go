package eventlookup

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// TestEventsAreBounded holds how much is kept of one event, whoever has written it.
func TestEventsAreBounded(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	long := strings.Repeat("x", 5000)
	e := cloudtrail.Event{
		ID: long, Name: long, Source: long, Username: long, IdentityARN: long, AccessKeyID: long,
		SourceIPAddress: long, UserAgent: long, ErrorCode: long, ErrorMessage: long,
	}
	for i := range 100 {
		e.Resources = append(e.Resources, cloudtrail.Resource{Type: long, Name: fmt.Sprint(i) + long})
	}
	event := fromEvent(e)
	cut := func(limit int) string { return long[:limit-len("…")] + "…" }
	g.Expect(event.Resources).To(HaveLen(10))
	for i, resource := range event.Resources {
		g.Expect(resource.ResourceName).To(And(HavePrefix(fmt.Sprint(i)+"x"), HaveSuffix("x…"), HaveLen(512)))
		g.Expect(resource.ResourceType).To(Equal(cut(512)))
	}
	event.Resources = nil
	g.Expect(event).To(Equal(v1alpha1.Event{
		EventID:         cut(512),
		EventName:       cut(512),
		EventSource:     cut(512),
		Username:        cut(512),
		IdentityARN:     cut(512),
		AccessKeyID:     cut(512),
		SourceIPAddress: cut(512),
		UserAgent:       cut(1024),
		ErrorCode:       cut(512),
		ErrorMessage:    cut(1024),
	}))
}
