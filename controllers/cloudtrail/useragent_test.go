package cloudtrail

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// TestUserAgent holds how the operator's calls are known in CloudTrail's history.
func TestUserAgent(t *testing.T) {
	t.Parallel()
	server := newFakeSTS(t, (*httptest.Server).Start)
	session, err := testSessions(server.URL).Open(WithActor(t.Context(), "security/opener"), testIdentity(nil))
	if err != nil {
		t.Fatal(err)
	}
	region := session.Region(testRegion)
	for name, c := range map[string]struct {
		actor     string // "": nobody
		operation string
		call      func(context.Context) error
		ends      string
	}{
		"on behalf of an object": {
			"security/audit", "StartLogging",
			func(ctx context.Context) error { return region.StartLogging(ctx, &Trail{ARN: "arn"}, nil) },
			" trail-operator/v1.2.3 (security/audit)",
		},
		"on nobody's behalf": {
			"", "StopLogging",
			func(ctx context.Context) error { return region.StopLogging(ctx, &Trail{ARN: "arn"}, nil) },
			" trail-operator/v1.2.3",
		},
		"for all": {
			"security/audit", "DescribeTrails",
			func(ctx context.Context) error {
				_, err := region.Find(ctx, "arn", "")
				return err
			}, " trail-operator/v1.2.3",
		},
		"of a session that is opened for all": {
			"", "GetCallerIdentity", func(context.Context) error { return nil }, " trail-operator/v1.2.3",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			ctx := t.Context()
			if namespace, name, ok := strings.Cut(c.actor, "/"); ok {
				ctx = begun(t, namespace, name, ForRequest)
			}
			g.Expect(c.call(ctx)).To(Succeed())
			made := server.made(c.operation)
			g.Expect(made).To(HaveLen(1))
			g.Expect(made[0].UserAgent).To(HaveSuffix(c.ends))
			g.Expect(made[0].UserAgent).To(HavePrefix("aws-sdk-go-v2/"), "the SDK's own stays")
			g.Expect(strings.Count(made[0].UserAgent, "trail-operator/")).To(Equal(1))
		})
	}
	t.Run("of an identity's check", func(t *testing.T) {
		t.Parallel()
		other := newFakeSTS(t, (*httptest.Server).Start)
		g := NewWithT(t)
		sessions := testSessions(other.URL)
		identity := testIdentity(func(identity *v1alpha1.AWSIdentity) {
			identity.Spec.RoleARN = "arn:aws:iam::444455556666:role/r"
		})
		for range 2 {
			_, err := sessions.Check(t.Context(), identity, false)
			g.Expect(err).NotTo(HaveOccurred())
		}
		g.Expect(other.made("GetCallerIdentity")).To(HaveEach(HaveField("UserAgent", HaveSuffix(" trail-operator/v1.2.3"))))
	})
}
