package export_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	. "github.com/onsi/gomega"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"
	k8syaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/export"
)

// fragments are what a hostile string is made of.
var fragments = slices.Concat(
	// What ends a line for one parser or another.
	[]string{"\n", "\r", "\r\n", "\v", "\f", "\u0085", "\u2028", "\u2029"},
	// What cannot be seen, or shows as something else than it is.
	[]string{"\x00", "\t", "\x7f", "\u00a0", "\u00ad", "\u200b", "\ufeff", "\ufffd", "\ufffe", "\u0301", "\U000e0041"},
	[]string{"\x1b[2J", "\x1b]0;title\a", "\u009b31m", "\b\b\b", "\u202e", "\u2066", "\u2069", "\u200f"},
	// What begins or ends a document, a comment, a string or a list.
	[]string{"---", "...", "\n---\n", "\n...\n", "\u2028---\u2028", "\u2028...\u2028", "%YAML 1.1", "#", " # ", "# "},
	[]string{": ", ":", "- ", "? ", ",", "'", "''", `"`, `\`, `\"`, `\u2028`, `\n`, "{", "}", "[", "]", " ", "  "},
	[]string{"*a", "&a ", "!", "!!binary ", "|", ">", "|-\n  ", "@", "`"},
	// What a parser takes for something else than a string.
	[]string{"~", "<<", "=", "null", "Null", "yes", "No", "ON", "off", "y", "N", "true", "False"},
	[]string{"0o7", "017", "0x1F", "1_000", "1e3", "12:30:45", ".inf", ".NaN", "-1", "+1", "2026-11-21"},
	// What is harmless.
	[]string{"name", "Größe", "大", "😀", "arn:aws:s3:::", "AWS::S3::Object"},
	// What an attacker is after.
	[]string{"\nkind: ClusterRoleBinding\n", "\rkind: ClusterRoleBinding\r"},
	[]string{"\u2028apiVersion: rbac.authorization.k8s.io/v1\u2028kind: ClusterRoleBinding\u2028"},
)

// hostile makes up strings and what has strings.
type hostile struct {
	*rand.Rand
	// own is a fragment more.
	own string
}

func (h hostile) text() string {
	var b strings.Builder
	for range 1 + h.IntN(4) {
		if h.own != "" && h.IntN(3) == 0 {
			b.WriteString(h.own)
		} else {
			b.WriteString(fragments[h.IntN(len(fragments))])
		}
	}
	return b.String()
}

// perhaps is a text, or none.
func (h hostile) perhaps() string {
	if h.IntN(4) == 0 {
		return ""
	}
	return h.text()
}

// some are up to three of a kind.
func some[T any](h hostile, one func() T) []T {
	var all []T
	for range h.IntN(4) {
		all = append(all, one())
	}
	return all
}

func (h hostile) perhapsBool(standard bool) *bool {
	if h.IntN(2) == 0 {
		return nil
	}
	other := !standard
	return &other
}

func (h hostile) fieldSelector() v1alpha1.AdvancedFieldSelector {
	return v1alpha1.AdvancedFieldSelector{
		Field: h.text(), Equals: some(h, h.text), NotEquals: some(h, h.text),
		StartsWith: some(h, h.text), NotStartsWith: some(h, h.text), EndsWith: some(h, h.text), NotEndsWith: some(h, h.text),
	}
}

func (h hostile) spec() v1alpha1.TrailSpec {
	spec := v1alpha1.TrailSpec{
		Name:                       h.text(),
		Region:                     region,
		S3BucketName:               h.text(),
		S3KeyPrefix:                h.perhaps(),
		SNSTopicName:               h.perhaps(),
		KMSKeyID:                   h.perhaps(),
		CloudWatchLogsLogGroupARN:  h.perhaps(),
		CloudWatchLogsRoleARN:      h.perhaps(),
		IncludeGlobalServiceEvents: h.perhapsBool(true),
		IsMultiRegionTrail:         h.perhapsBool(false),
		Logging:                    new(h.perhapsBool(true) == nil),
		Suspend:                    new(false),
		AdoptionPolicy:             v1alpha1.AdoptionPolicyIfUnowned,
		InsightSelectors: some(h, func() v1alpha1.InsightSelector {
			return v1alpha1.InsightSelector{
				InsightType: v1alpha1.InsightType(h.text()),
				EventCategories: some(h, func() v1alpha1.InsightEventCategory {
					return v1alpha1.InsightEventCategory(h.text())
				}),
			}
		}),
		AggregationConfigurations: some(h, func() v1alpha1.AggregationConfiguration {
			return v1alpha1.AggregationConfiguration{
				EventCategory: v1alpha1.AggregationEventCategory(h.text()),
				Templates:     []v1alpha1.AggregationTemplate{v1alpha1.AggregationTemplate(h.text())},
			}
		}),
		Tags: some(h, func() v1alpha1.Tag { return v1alpha1.Tag{Key: h.text(), Value: h.perhaps()} }),
	}
	if h.IntN(2) == 0 {
		spec.EventSelectors = some(h, func() v1alpha1.EventSelector {
			return v1alpha1.EventSelector{
				ReadWriteType:                 v1alpha1.ReadWriteType(h.text()),
				IncludeManagementEvents:       h.perhapsBool(true),
				ExcludeManagementEventSources: some(h, h.text),
				DataResources: some(h, func() v1alpha1.DataResource {
					return v1alpha1.DataResource{Type: h.text(), Values: []string{h.text(), h.text()}}
				}),
			}
		})
	} else {
		spec.AdvancedEventSelectors = some(h, func() v1alpha1.AdvancedEventSelector {
			return v1alpha1.AdvancedEventSelector{
				Name:           h.perhaps(),
				FieldSelectors: []v1alpha1.AdvancedFieldSelector{h.fieldSelector(), h.fieldSelector()},
			}
		})
	}
	return spec
}

// hostileAWS answers with strings of an attacker wherever AWS answers with strings, also where CloudTrail would not
// take them.
type hostileAWS struct {
	account string
	trails  map[string]v1alpha1.TrailSpec // by ARN
	remarks map[string]string             // tags of every trail that are only remarked on
	tagsErr map[string]string             // the answer to ListTags, if it fails
}

func newHostileAWS(h hostile) *hostileAWS {
	a := &hostileAWS{account: account, trails: map[string]v1alpha1.TrailSpec{}}
	if h.IntN(4) == 0 {
		a.account = "1\u2028" + strings.NewReplacer(":", "", "\x00", "").Replace(strings.Map(inXML, h.text()))
	}
	for i := range 1 + h.IntN(3) {
		spec := h.spec()
		reserved := func(tag v1alpha1.Tag) bool { return strings.HasPrefix(strings.ToLower(tag.Key), "aws:") }
		spec.Tags = slices.DeleteFunc(spec.Tags, reserved)
		slices.SortFunc(spec.Tags, func(a, b v1alpha1.Tag) int { return strings.Compare(a.Key, b.Key) })
		spec.Tags = slices.CompactFunc(spec.Tags, func(a, b v1alpha1.Tag) bool { return a.Key == b.Key })
		a.trails[fmt.Sprintf("arn:aws:cloudtrail:%s:%s:trail/%d", region, a.account, i)] = spec
	}
	switch h.IntN(3) {
	case 0:
		a.tagsErr = map[string]string{"__type": h.text(), "Message": h.text()}
		if h.IntN(2) == 0 {
			a.tagsErr["__type"] = "AccessDeniedException"
		}
	case 1:
		a.remarks = map[string]string{
			v1alpha1.OwnerTagKey:             h.text(),
			"aws:" + h.text():                h.text(),
			"trail-operator.dev/" + h.text(): h.text(),
		}
	}
	return a
}

// inXML drops what cannot stand in XML.
func inXML(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\u0085' || r == '\ufffe' {
		return -1
	}
	return r
}

// ServeHTTP implements http.Handler.
func (a *hostileAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, isJSON := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !isJSON {
		var escaped bytes.Buffer
		if err := xml.EscapeText(&escaped, []byte(a.account)); err != nil {
			panic(err)
		}
		fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">`+
			`<GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/operator</Arn><UserId>x</UserId>`+
			`<Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, escaped.String())
		return
	}
	var request struct{ TrailName, Name string }
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		panic(err)
	}
	status, answer := a.answer(operation, request.TrailName+request.Name)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(err)
	}
}

func (a *hostileAWS) answer(operation, arn string) (status int, answer any) {
	spec := a.trails[arn]
	switch operation {
	case "DescribeTrails":
		return http.StatusOK, object{"trailList": a.describe()}
	case "ListTrails":
		return http.StatusOK, object{"Trails": list{object{"HomeRegion": region}}}
	case "ListTags":
		if a.tagsErr != nil {
			return http.StatusBadRequest, a.tagsErr
		}
		return http.StatusOK, object{"ResourceTagList": a.tags()}
	case "GetEventSelectors":
		return http.StatusOK, object{
			"EventSelectors": capitals(spec.EventSelectors), "AdvancedEventSelectors": capitals(spec.AdvancedEventSelectors),
		}
	case "GetInsightSelectors":
		return http.StatusOK, object{"InsightSelectors": capitals(spec.InsightSelectors)}
	case "GetEventConfiguration":
		return http.StatusOK, object{"AggregationConfigurations": capitals(spec.AggregationConfigurations)}
	case "GetTrailStatus":
		return http.StatusOK, object{"IsLogging": *spec.Logging}
	default:
		return http.StatusBadRequest, object{"__type": "UnknownOperationException"}
	}
}

func (a *hostileAWS) describe() list {
	var trails list
	for arn, spec := range a.trails {
		trails = append(trails, object{
			"TrailARN":                   arn,
			"Name":                       spec.Name,
			"HomeRegion":                 spec.Region,
			"S3BucketName":               spec.S3BucketName,
			"S3KeyPrefix":                spec.S3KeyPrefix,
			"SnsTopicARN":                spec.SNSTopicName,
			"KmsKeyId":                   spec.KMSKeyID,
			"CloudWatchLogsLogGroupArn":  spec.CloudWatchLogsLogGroupARN,
			"CloudWatchLogsRoleArn":      spec.CloudWatchLogsRoleARN,
			"IncludeGlobalServiceEvents": spec.IncludeGlobalServiceEvents == nil,
			"IsMultiRegionTrail":         spec.IsMultiRegionTrail != nil,
			"HasCustomEventSelectors":    true,
		})
	}
	return trails
}

func (a *hostileAWS) tags() list {
	var resources list
	for arn, spec := range a.trails {
		var tags list
		for _, tag := range spec.Tags {
			tags = append(tags, object{"Key": tag.Key, "Value": tag.Value})
		}
		for key, value := range a.remarks {
			tags = append(tags, object{"Key": key, "Value": value})
		}
		resources = append(resources, object{"ResourceId": arn, "TagsList": tags})
	}
	return resources
}

// capitals is a value with its JSON's keys as AWS has them.
func capitals(value any) any {
	content, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	var tree any
	if err := json.Unmarshal(content, &tree); err != nil {
		panic(err)
	}
	return capitalized(tree)
}

func capitalized(tree any) any {
	switch v := tree.(type) {
	case object:
		renamed := object{}
		for key, value := range v {
			renamed[strings.ToUpper(key[:1])+key[1:]] = capitalized(value)
		}
		return renamed
	case list:
		for i := range v {
			v[i] = capitalized(v[i])
		}
	}
	return tree
}

// want are the specs that the export is to have.
func (a *hostileAWS) want() []v1alpha1.TrailSpec {
	var want []v1alpha1.TrailSpec
	for _, spec := range a.trails {
		if a.tagsErr != nil {
			spec.Tags = nil
		}
		want = append(want, spec)
	}
	return want
}

// parsers read a stream of YAML documents as different programs do: kubectl splits it at lines that begin with ---, and
// reads each part with one parser; kustomize leaves all of it to another one.
var parsers = map[string]func(exported string) ([]any, error){
	"kubectl": func(exported string) ([]any, error) {
		decoder := k8syaml.NewYAMLOrJSONDecoder(strings.NewReader(exported), 4096)
		return decodeAll(decoder.Decode)
	},
	"yaml.v3": func(exported string) ([]any, error) {
		decoder := yaml.NewDecoder(strings.NewReader(exported))
		return decodeAll(decoder.Decode)
	},
}

func decodeAll(decode func(any) error) ([]any, error) {
	var all []any
	for {
		var one any
		err := decode(&one)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if one != nil {
			all = append(all, one)
		}
	}
}

// strict decodes an object as the API server does, which refuses unknown fields.
func strict(g *WithT, value any) *v1alpha1.Trail {
	content, err := json.Marshal(value)
	g.Expect(err).NotTo(HaveOccurred())
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	one := &v1alpha1.Trail{}
	g.Expect(decoder.Decode(one)).To(Succeed(), "%s", content)
	return one
}

// An attacker may choose every string that AWS answers with. The export holds the trails that there are, with these
// strings as they are, and nothing else.
func FuzzExport(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed, "")
	}
	for i, fragment := range fragments {
		f.Add(uint64(i), fragment)
	}
	f.Setenv("AWS_ACCESS_KEY_ID", "test")
	f.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	f.Setenv("AWS_CONFIG_FILE", "/dev/null")
	f.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	f.Setenv("AWS_REGION", region)

	f.Fuzz(func(t *testing.T, seed uint64, own string) {
		g := NewWithT(t)
		aws := newHostileAWS(hostile{rand.New(rand.NewPCG(seed, 0)), strings.ToValidUTF8(own, "")})
		server := httptest.NewUnstartedServer(aws)
		// A process that exports many times would run out of ports.
		server.Config.SetKeepAlivesEnabled(false)
		server.Start()
		defer server.Close()
		t.Setenv("AWS_ENDPOINT_URL", server.URL)

		var output bytes.Buffer
		g.Expect(export.Run(t.Context(), export.Options{AllRegions: true, Namespace: "default"}, &output)).To(Succeed())
		exported := output.String()
		g.Expect(strings.IndexFunc(exported, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) })).To(Equal(-1),
			"nothing but \\n ends a line for any parser, and nothing shows as what it is not:\n%q", exported)

		for parser, parse := range parsers {
			documents, err := parse(exported)
			g.Expect(err).NotTo(HaveOccurred(), "%s:\n%s", parser, exported)
			var specs []v1alpha1.TrailSpec
			names := map[string]bool{}
			for _, document := range documents {
				one := strict(g, document)
				g.Expect(one.APIVersion + " " + one.Kind).To(Equal("trail-operator.dev/v1alpha1 Trail"))
				g.Expect(one.Namespace).To(Equal("default"))
				g.Expect(validation.IsDNS1123Subdomain(one.Name)).To(BeEmpty(), one.Name)
				g.Expect(names).NotTo(HaveKey(one.Name))
				names[one.Name] = true
				one.Spec.Name = one.TrailName()
				specs = append(specs, one.Spec)
			}
			byName := cmpopts.SortSlices(func(a, b v1alpha1.TrailSpec) bool {
				return a.Name+a.S3BucketName < b.Name+b.S3BucketName
			})
			g.Expect(cmp.Diff(aws.want(), specs, byName)).To(BeEmpty(), parser)
		}
	})
}
