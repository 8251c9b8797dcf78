package cloudtrail

import (
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

func TestPublicKeys(t *testing.T) {
	g := NewWithT(t)
	from := time.Unix(1_700_000_000, 0)
	server := &fakeAWS{answer: func(call fakeCall) (int, string) {
		g.Expect(call.body).To(HaveKeyWithValue("StartTime", BeEquivalentTo(1_700_000_000)))
		g.Expect(call.body).To(HaveKeyWithValue("EndTime", BeEquivalentTo(1_700_003_600)))
		if call.body["NextToken"] == nil {
			return http.StatusOK, `{"PublicKeyList": [{"Fingerprint": "aa", "Value": "AQI="}], "NextToken": "more"}`
		}
		return http.StatusOK, `{"PublicKeyList": [{"Fingerprint": "bb", "Value": "AwQ="}], "NextToken": "more"}`
	}}
	session := memorySession(memorySessions(server, nil))
	keys, err := session.PublicKeys().PublicKeys(t.Context(), "eu-west-3", from, from.Add(time.Hour))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(keys).To(Equal([]digest.PublicKey{
		{Fingerprint: "aa", DER: []byte{1, 2}}, {Fingerprint: "bb", DER: []byte{3, 4}},
	}))
	g.Expect(server.count("ListPublicKeys")).To(Equal(2), "a page that comes again ends the list")
	g.Expect(server.made()[0].header.Get("Authorization")).To(ContainSubstring("/eu-west-3/cloudtrail/"))
}

func TestPublicKeysThatCannotBeRead(t *testing.T) {
	for code, test := range map[string]struct {
		says      string
		transient bool
	}{
		"AccessDeniedException":       {says: `[{"Effect":"Allow","Action":"cloudtrail:ListPublicKeys","Resource":"*"}]`},
		"UnrecognizedClientException": {says: "enable the region eu-west-3 for account " + testAccount},
		"InvalidTimeRangeException":   {says: "ListPublicKeys: InvalidTimeRangeException: no"},
		"ThrottlingException":         {says: "no", transient: true},
	} {
		t.Run(code, func(t *testing.T) {
			g := NewWithT(t)
			server := &fakeAWS{answer: func(fakeCall) (int, string) { return http.StatusBadRequest, refusal(code, "no") }}
			session := memorySession(memorySessions(server, nil))
			now := time.Now()
			_, err := session.PublicKeys().PublicKeys(t.Context(), "eu-west-3", now, now)
			g.Expect(err).To(And(
				BeAssignableToTypeOf(&digest.UnavailableError{}), HaveField("Reason", code),
				HaveField("Transient", test.transient), MatchError(ContainSubstring(test.says)),
			))
		})
	}
}
