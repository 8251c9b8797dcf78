package export_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/export"
	"github.com/trail-operator/trail-operator/controllers/trail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

const (
	account   = "111122223333"
	other     = "444455556666"
	ownRole   = "arn:aws:iam::111122223333:role/trail-operator"
	otherRole = "arn:aws:iam::444455556666:role/path/trail-operator"
	region    = "us-east-1"
	far       = "eu-west-1"
	clusterID = "test-cluster"
)

// apiserver is a real API server, which refuses unknown and duplicate fields as kubectl does.
var apiserver client.Client

func TestExport(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Export")
}

var _ = BeforeSuite(func() {
	lenient, err := client.New(testbed.Start(), client.Options{Scheme: testbed.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	apiserver = client.WithFieldValidation(lenient, "Strict")
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultIdentityName}}
	identity.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}
	Expect(apiserver.Create(context.Background(), identity)).To(Succeed())
})

// brownfield is an AWS that people have worked in for years.
type brownfield struct {
	*cloudtrailtest.Server
	endpoint  string
	namespace string
}

func newBrownfield(ctx context.Context) *brownfield {
	GinkgoHelper()
	options := cloudtrailtest.Options{OpenResources: true, NoTrailLimit: true, NoRateLimit: true}
	b := &brownfield{Server: cloudtrailtest.New(options)}
	server := httptest.NewServer(b)
	DeferCleanup(server.Close)
	b.endpoint = server.URL
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": b.endpoint, "AWS_REGION": region,
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		GinkgoT().Setenv(name, value)
	}
	organization := cloudtrailtest.Organization{ManagementAccount: account, ID: "o-1234567890", Members: []string{other}}
	b.SetOrganization(organization)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "brownfield-"}}
	Expect(apiserver.Create(ctx, namespace)).To(Succeed())
	b.namespace = namespace.Name
	return b
}

// trail is how somebody made a trail: CreateTrail with these parameters, then the other calls.
type handMade struct {
	create map[string]any
	calls  []handCall
}

type handCall struct {
	operation string
	params    map[string]any
}

type list = []any
type object = map[string]any

var started = handCall{"StartLogging", object{}}

func (b *brownfield) make(accountID, region, name string, h handMade) {
	GinkgoHelper()
	admin := b.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + accountID + ":user/admin"})
	params := object{"Name": name, "S3BucketName": "trail-logs"}
	maps.Copy(params, h.create)
	_, err := admin.Do(region, "CreateTrail", params)
	Expect(err).NotTo(HaveOccurred())
	for _, call := range h.calls {
		params := object{}
		if strings.Contains(call.operation, "Logging") {
			params["Name"] = name
		} else {
			params["TrailName"] = name
		}
		maps.Copy(params, call.params)
		_, err := admin.Do(region, call.operation, params)
		Expect(err).NotTo(HaveOccurred(), "%s %v", call.operation, params)
	}
}

// tags are a TagsList.
func tags(pairs ...string) list {
	var tags list
	for i := 0; i < len(pairs); i += 2 {
		tags = append(tags, object{"Key": pairs[i], "Value": pairs[i+1]})
	}
	return tags
}

func equals(field string, values ...any) object { return object{"Field": field, "Equals": values} }

var dataSelectors = list{
	object{"Name": "management, but not of KMS", "FieldSelectors": list{
		equals("eventCategory", "Management"), object{"Field": "eventSource", "NotEquals": list{"kms.amazonaws.com"}},
	}},
	object{"Name": "objects: \"quoted\", #not a comment", "FieldSelectors": list{
		equals("eventCategory", "Data"), equals("resources.type", "AWS::S3::Object"), equals("readOnly", "false"),
		object{
			"Field":      "resources.ARN",
			"StartsWith": list{"arn:aws:s3:::one-bucket/", "arn:aws:s3:::other-bucket/"}, "NotEndsWith": list{".tmp"},
		},
		object{"Field": "eventName", "NotStartsWith": list{"List"}, "EndsWith": list{"Object"}},
	}},
	object{"FieldSelectors": list{equals("eventCategory", "NetworkActivity"), equals("eventSource", "ec2.amazonaws.com")}},
}

// handMades are trails in the one account, by name, with every field somewhere.
var handMades = map[string]handMade{
	"plain":         {nil, []handCall{started}},
	"never-started": {nil, nil},
	"stopped":       {nil, []handCall{started, {"StopLogging", object{}}}},
	"every-field": {object{
		"S3KeyPrefix": "audit/2026", "SnsTopicName": "trail-topic", "KmsKeyId": "alias/trail",
		"EnableLogFileValidation": true, "IsMultiRegionTrail": true,
		"CloudWatchLogsLogGroupArn": "arn:aws:logs:us-east-1:111122223333:log-group:trail:*",
		"CloudWatchLogsRoleArn":     "arn:aws:iam::111122223333:role/service-role/trail-logs",
		"TagsList":                  tags("Cost Center", "4711", "a:b/c=d+e-f@g.h_i", "null", "größe", "", "yes", "0123"),
	}, []handCall{started}},
	"no-global-events": {object{
		"IncludeGlobalServiceEvents": false, "SnsTopicName": "arn:aws:sns:us-east-1:444455556666:central",
	}, []handCall{started}},
	"basic.selectors": {nil, []handCall{
		started,
		{"PutEventSelectors", object{"EventSelectors": list{
			object{
				"ReadWriteType": "WriteOnly", "IncludeManagementEvents": true,
				"ExcludeManagementEventSources": list{"kms.amazonaws.com"},
			},
			object{"ReadWriteType": "All", "IncludeManagementEvents": false, "DataResources": list{
				object{"Type": "AWS::S3::Object", "Values": list{"arn:aws:s3:::one-bucket/"}},
				object{"Type": "AWS::Lambda::Function", "Values": list{"arn:aws:lambda"}},
			}},
		}}},
		{"PutInsightSelectors", object{"InsightSelectors": list{
			object{"InsightType": "ApiCallRateInsight"},
			object{"InsightType": "ApiErrorRateInsight", "EventCategories": list{"Management"}},
		}}},
	}},
	"the-default-selector": {nil, []handCall{
		started,
		{"PutEventSelectors", object{"EventSelectors": list{
			object{"ReadWriteType": "All", "IncludeManagementEvents": true},
		}}},
	}},
	"advanced_selectors": {nil, []handCall{
		started,
		{"PutEventSelectors", object{"AdvancedEventSelectors": dataSelectors}},
		{"PutInsightSelectors", object{"InsightSelectors": list{
			object{"InsightType": "ApiErrorRateInsight", "EventCategories": list{"Data", "Management"}},
		}}},
		{"PutEventConfiguration", object{"AggregationConfigurations": list{
			object{"EventCategory": "Data", "Templates": list{"USER_ACTIONS", "API_ACTIVITY"}},
		}}},
	}},
	"organization":     {object{"IsOrganizationTrail": true, "IsMultiRegionTrail": true}, []handCall{started}},
	"Mixed_Case.Trail": {object{"TagsList": tags("trail-operator.dev/note", "not ours")}, []handCall{started}},

	"mixed-case.trail":                     {nil, []handCall{started}},
	"mixed-case-trail":                     {nil, []handCall{started}},
	"Mixed-Case_Trail":                     {nil, []handCall{started}},
	"2026":                                 {nil, []handCall{started}},
	strings.Repeat("x", 127) + "Z":         {nil, []handCall{started}},
	strings.Repeat("Long_Name.", 12) + "1": {nil, []handCall{started}},
}

// fill makes the trails of two accounts and two regions.
func (b *brownfield) fill() {
	GinkgoHelper()
	for name, h := range handMades {
		b.make(account, region, name, h)
	}
	b.make(account, far, "plain", handMade{object{"S3KeyPrefix": "far"}, []handCall{started}})
	b.make(account, far, "far-only", handMade{nil, nil})
	b.make(other, region, "plain", handMade{object{"S3KeyPrefix": "other"}, []handCall{started}})
}

// run exports.
func (b *brownfield) run(ctx context.Context, arguments ...string) string {
	GinkgoHelper()
	options, err := parse(append([]string{"--namespace", b.namespace}, arguments...)...)
	Expect(err).NotTo(HaveOccurred())
	var output bytes.Buffer
	Expect(export.Run(ctx, options, &output)).To(Succeed())
	return output.String()
}

// parse returns the options of a command line.
func parse(arguments ...string) (export.Options, error) {
	var options export.Options
	set := flag.NewFlagSet("export", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	options.BindFlags(set)
	if err := set.Parse(arguments); err != nil {
		return options, err
	}
	return options, options.Validate()
}

// apply applies manifests as kubectl would and returns the Trails among them.
func apply(ctx context.Context, manifests string) []*v1alpha1.Trail {
	GinkgoHelper()
	var trails []*v1alpha1.Trail
	for document := range strings.SplitSeq(manifests, "\n---\n") {
		found := &unstructured.Unstructured{}
		Expect(yaml.UnmarshalStrict([]byte(document), &found.Object)).To(Succeed(), document)
		Expect(apiserver.Create(ctx, found)).To(Succeed(), "the API server takes it as it is:\n%s", document)
		switch found.GetKind() {
		case "Trail":
			one := &v1alpha1.Trail{}
			Expect(apiserver.Get(ctx, client.ObjectKeyFromObject(found), one)).To(Succeed())
			trails = append(trails, one)
		case "AWSIdentity":
			DeferCleanup(func(ctx context.Context) { Expect(apiserver.Delete(ctx, found)).To(Succeed()) })
		}
	}
	return trails
}

// documents cuts off what stands above the first document.
func documents(exported string) string {
	_, after, _ := strings.Cut(exported, "---\n")
	return after
}

// look looks at the Trails with an operator that has just begun, and returns them as they are then.
func (b *brownfield) look(ctx context.Context, trails []*v1alpha1.Trail) {
	GinkgoHelper()
	settle := time.Duration(0)
	sessions := cloudtrail.NewSessions(cloudtrail.Options{
		Config: aws.Config{
			Region: region, BaseEndpoint: aws.String(b.endpoint),
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		},
		ClusterID: clusterID, Version: "test", Settle: &settle, MaxWait: time.Minute,
	})
	reconciler, err := trail.New(trail.Options{
		Client: apiserver, Live: apiserver, Recorder: events.NewFakeRecorder(1000), Sessions: sessions, ClusterID: clusterID,
		Interval: 1000 * time.Minute,
	})
	Expect(err).NotTo(HaveOccurred())
	for _, one := range trails {
		request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(one)}
		_, err := reconcile.AsReconciler(apiserver, reconciler).Reconcile(ctx, request)
		Expect(err).NotTo(HaveOccurred())
		Expect(apiserver.Get(ctx, client.ObjectKeyFromObject(one), one)).To(Succeed())
		conditions := one.Status.Conditions
		Expect(meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady)).To(BeTrue(), "%s: %v", one.Name, conditions)
	}
}

// writes returns how often each operation was called that writes to CloudTrail.
func (b *brownfield) writes() map[string]int {
	writes := b.CallCounts()
	maps.DeleteFunc(writes, func(operation string, _ int) bool {
		reads := func(prefix string) bool { return strings.HasPrefix(operation, prefix) }
		return slices.ContainsFunc([]string{"Get", "List", "Describe", "AssumeRole"}, reads)
	})
	return writes
}

// expectAdopted applies an export and looks: nothing changes in AWS but the owner tag.
func (b *brownfield) expectAdopted(ctx context.Context, exported string) []*v1alpha1.Trail {
	GinkgoHelper()
	trails := apply(ctx, documents(exported))
	before := b.Trails()
	b.ResetCalls()
	b.look(ctx, trails)
	Expect(b.writes()).To(Equal(map[string]int{"AddTags": len(trails)}))
	after := b.Trails()
	owned := 0
	for i := range after {
		if after[i].Tags[v1alpha1.OwnerTagKey] != "" {
			owned++
			delete(after[i].Tags, v1alpha1.OwnerTagKey)
		}
	}
	Expect(after).To(Equal(before), "the owner tag is all that changed")
	Expect(owned).To(Equal(len(trails)))

	b.ResetCalls()
	b.look(ctx, trails)
	Expect(b.writes()).To(BeEmpty(), "a second look changes nothing")
	return trails
}

func names(trails []*v1alpha1.Trail) []string {
	var names []string
	for _, one := range trails {
		names = append(names, one.TrailName()+" in "+one.Spec.Region)
	}
	return names
}

var _ = Describe("Export", func() {
	It("describes a region's trails such that applying it changes nothing but the owner tag", func(ctx context.Context) {
		b := newBrownfield(ctx)
		b.fill()
		exported := b.run(ctx, "--region", region)
		Expect(b.writes()).To(BeEmpty(), "to export is to read")
		var want []string
		for name := range handMades {
			want = append(want, name+" in "+region)
		}
		trails := b.expectAdopted(ctx, exported)
		Expect(names(trails)).To(ConsistOf(want), "each trail that has its home there, and no shadow")
		for _, one := range trails {
			Expect(one.Spec.AdoptionPolicy).To(Equal(v1alpha1.AdoptionPolicyIfUnowned))
		}
	})

	It(
		"describes every field that AWS holds or can be told to, and suspend, for GitOps engines",
		func(ctx context.Context) {
			b := newBrownfield(ctx)
			b.fill()
			exported := b.run(ctx, "--all-regions", "--observe") + b.run(ctx, "--region", region, "--identity-role", otherRole)
			spec := reflect.TypeFor[v1alpha1.TrailSpec]()
			notInAWS := []string{"deletionPolicy", "interval"}
			for field := range spec.Fields() {
				name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
				if slices.Contains(notInAWS, name) {
					Expect(exported).NotTo(ContainSubstring("\n  "+name+":"), "it is the user's choice")
					continue
				}
				Expect(
					exported,
				).To(ContainSubstring("\n  "+name+":"), "a line in manifest.go, and a trail that has it in handMades")
			}
		},
	)

	It("describes all regions, and other accounts with their identities", func(ctx context.Context) {
		b := newBrownfield(ctx)
		b.fill()
		exported := b.run(ctx, "--all-regions")
		trails := b.expectAdopted(ctx, exported)
		Expect(names(trails)).To(ContainElements("plain in "+region, "plain in "+far, "far-only in "+far))
		Expect(trails).To(HaveLen(len(handMades) + 2))

		exported = b.run(ctx, "--all-regions", "--identity-role", otherRole)
		Expect(exported).To(ContainSubstring("# allowedNamespaces: All is the export's default"))
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "other-account-"}}
		Expect(apiserver.Create(ctx, namespace)).To(Succeed())
		exported = strings.ReplaceAll(exported, "namespace: "+b.namespace, "namespace: "+namespace.Name)
		trails = b.expectOthersAdopted(ctx, exported)
		Expect(names(trails)).To(ConsistOf("plain in "+region), "the organization's trail is not the member's")
		Expect(trails[0].Spec.IdentityRef).To(Equal(&v1alpha1.IdentityReference{Name: "account-" + other}))
		Expect(trails[0].Status.AccountID).To(Equal(other))
		identity := &v1alpha1.AWSIdentity{}
		Expect(apiserver.Get(ctx, client.ObjectKey{Name: "account-" + other}, identity)).To(Succeed())
		Expect(identity.Spec.RoleARN).To(Equal(otherRole))
	})

	It("gives each trail of several accounts a name of its own", func(ctx context.Context) {
		b := newBrownfield(ctx)
		b.fill()
		exported := b.run(ctx, "--all-regions", "--identity-role", ownRole, "--identity-role", otherRole)
		trails := b.expectAdopted(ctx, exported)
		Expect(trails).To(HaveLen(len(handMades) + 3))
		plain := 0
		for _, one := range trails {
			if one.TrailName() == "plain" {
				plain++
			}
		}
		Expect(plain).To(Equal(3))
	})

	It("is the same text each time", func(ctx context.Context) {
		b := newBrownfield(ctx)
		b.fill()
		arguments := []string{"--all-regions", "--identity-role", ownRole, "--identity-role", otherRole}
		first := b.run(ctx, arguments...)
		for range 5 {
			Expect(b.run(ctx, arguments...)).To(Equal(first))
		}
		for line := range strings.Lines(first) {
			Expect(line).NotTo(ContainSubstring("status:"), "a manifest has no status")
			Expect(line).NotTo(ContainSubstring("creationTimestamp"))
		}

		By("making the same trails in another order")
		again := newBrownfield(ctx)
		again.namespace = b.namespace
		again.fill()
		Expect(again.run(ctx, arguments...)).To(Equal(first))
	})

	It("comments on its choices", func(ctx context.Context) {
		b := newBrownfield(ctx)
		b.make(account, region, "stopped", handMade{nil, nil})
		owner := tags(v1alpha1.OwnerTagKey, "other-cluster/a/b")
		b.make(account, region, "owned", handMade{object{"TagsList": owner}, []handCall{started}})
		var fifty []string
		for i := range 50 {
			fifty = append(fifty, fmt.Sprintf("key-%02d", i), "x")
		}
		b.make(account, region, "tagged", handMade{object{"TagsList": tags(fifty...)}, []handCall{started}})
		exported := b.run(ctx)
		Expect(exported).To(And(
			HavePrefix("# Trails of account "+account+" in "+region+".\n"),
			ContainSubstring("# logging: false, because the trail is stopped"),
			ContainSubstring(`# The trail belongs to "other-cluster/a/b".`),
			ContainSubstring(`# tags: without "key-49", because AWS allows 50 tags`),
		))
		Expect(apply(ctx, documents(exported))).To(HaveLen(3), "all of it passes the CRD's validation")
	})

	It("takes nothing of a tag for YAML", func(ctx context.Context) {
		b := newBrownfield(ctx)
		injected := "a\u2028---\u2028apiVersion: v1\u2028kind: Namespace\u2028metadata:\u2028  name: injected\u2028"
		hostile := tags(v1alpha1.OwnerTagKey, injected, "note", injected, "one\u2029two", "")
		b.make(account, region, "audit", handMade{object{"TagsList": hostile}, []handCall{started}})
		exported := b.run(ctx)
		Expect(exported).To(ContainSubstring(`# The trail belongs to "a\u2028---\u2028apiVersion: v1\u2028kind: `))
		trails := apply(ctx, documents(exported))
		Expect(trails).To(HaveLen(1))
		Expect(trails[0].Spec.Tags).To(ConsistOf(
			v1alpha1.Tag{Key: "note", Value: injected}, v1alpha1.Tag{Key: "one\u2029two"},
		))
		for parser, parse := range parsers {
			Expect(parse(exported)).To(HaveLen(1), parser)
		}
	})

	It("says when there is nothing", func(ctx context.Context) {
		b := newBrownfield(ctx)
		Expect(b.run(ctx)).To(Equal("# Trails of account " + account + " in " + region + ".\n"))
		Expect(b.run(ctx, "--all-regions")).To(Equal("# Account " + account + " has no trails.\n"))
	})

	It("finds all regions without one to begin with", func(ctx context.Context) {
		b := newBrownfield(ctx)
		b.make(account, far, "far-only", handMade{nil, []handCall{started}})
		GinkgoT().Setenv("AWS_REGION", "")
		Expect(documents(b.run(ctx, "--all-regions"))).To(ContainSubstring("region: " + far))

		By("saying where it asked, as nobody chose that")
		options := export.Options{AllRegions: true, Namespace: b.namespace}
		denied := cloudtrailtest.Fault{Operation: "ListTrails", Region: region, Code: "AccessDeniedException", Message: "No."}
		b.Inject(denied)
		Expect(export.Run(ctx, options, io.Discard)).To(MatchError(And(
			ContainSubstring("AWS was called in us-east-1"), ContainSubstring("set AWS_REGION"),
			ContainSubstring("ListTrails: AccessDeniedException: No."),
		)))

		By("asking in the partition of the role")
		options.Roles = []string{"arn:aws-us-gov:iam::444455556666:role/trail-operator"}
		b.Inject(cloudtrailtest.Fault{Operation: "ListTrails", Region: "us-gov-west-1", Code: "AccessDeniedException"})
		Expect(export.Run(ctx, options, io.Discard)).To(MatchError(ContainSubstring("AWS was called in us-gov-west-1")))

		By("asking for a region where one is meant")
		options = export.Options{Namespace: b.namespace}
		Expect(export.Run(ctx, options, io.Discard)).To(MatchError(ContainSubstring("give --region or --all-regions")))
	})

	It("finds all regions without one to begin with, with the credentials of a role, which STS has in some region",
		func(ctx context.Context) {
			b := newBrownfield(ctx)
			b.make(account, far, "far-only", handMade{nil, []handCall{started}})
			profiles := filepath.Join(GinkgoT().TempDir(), "config")
			Expect(os.WriteFile(profiles, []byte("[profile hands]\nrole_arn = "+ownRole+"\nsource_profile = own\n"+
				"[profile own]\naws_access_key_id = test\naws_secret_access_key = test\n"), 0o600)).To(Succeed())
			for name, value := range map[string]string{
				"AWS_CONFIG_FILE": profiles, "AWS_PROFILE": "hands", "AWS_ENDPOINT_URL_STS": b.endpoint,
				"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_REGION": "",
			} {
				GinkgoT().Setenv(name, value)
			}
			Expect(documents(b.run(ctx, "--all-regions"))).To(ContainSubstring("region: " + far))
		})

	It("describes trails to be observed, which changes nothing at all", func(ctx context.Context) {
		b := newBrownfield(ctx)
		b.fill()
		trails := apply(ctx, documents(b.run(ctx, "--observe")))
		Expect(trails).To(HaveLen(len(handMades)))
		b.ResetCalls()
		b.look(ctx, trails)
		Expect(b.writes()).To(BeEmpty())
		for _, one := range trails {
			Expect(one.Spec.ManagementPolicy).To(Equal(v1alpha1.ManagementPolicyObserve))
			conditions := one.Status.Conditions
			Expect(meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionSynced)).To(BeTrue(), "%s: %v", one.Name, conditions)
		}

		By("taking them over by an export without it, as docs/adoption.md says")
		for document := range strings.SplitSeq(documents(b.run(ctx)), "\n---\n") {
			one := &v1alpha1.Trail{}
			Expect(yaml.UnmarshalStrict([]byte(document), one)).To(Succeed())
			known := &v1alpha1.Trail{}
			Expect(apiserver.Get(ctx, client.ObjectKeyFromObject(one), known)).To(Succeed())
			one.ResourceVersion = known.ResourceVersion
			Expect(apiserver.Update(ctx, one)).To(Succeed())
		}
		b.ResetCalls()
		b.look(ctx, trails)
		Expect(b.writes()).To(Equal(map[string]int{"AddTags": len(trails)}))
	})

	It("fails where something could not be read, and does not leave it out", func(ctx context.Context) {
		for _, operation := range []string{
			"DescribeTrails", "GetEventSelectors", "GetInsightSelectors", "GetEventConfiguration", "GetTrailStatus",
			"GetCallerIdentity",
		} {
			b := newBrownfield(ctx)
			b.make(account, region, "audit", handMade{nil, []handCall{started}})
			b.Inject(cloudtrailtest.Fault{Operation: operation, Code: "AccessDeniedException", Message: "No."})
			err := export.Run(ctx, export.Options{Region: region, Namespace: "default"}, io.Discard)
			Expect(err).To(MatchError(ContainSubstring(operation)))
		}
	})

	It("leaves out tags that could not be read, and says so", func(ctx context.Context) {
		b := newBrownfield(ctx)
		b.make(account, region, "audit", handMade{object{"TagsList": tags("team", "security")}, []handCall{started}})
		b.Inject(cloudtrailtest.Fault{Operation: "ListTags", Code: "AccessDeniedException", Message: "No."})
		exported := b.run(ctx)
		Expect(exported).
			To(ContainSubstring(`# tags: left out, because they could not be read ("ListTags: AccessDeniedException: No.").`))
		Expect(exported).NotTo(ContainSubstring("team"))
	})
})

// expectOthersAdopted is expectAdopted where some trails have an owner already.
func (b *brownfield) expectOthersAdopted(ctx context.Context, exported string) []*v1alpha1.Trail {
	GinkgoHelper()
	trails := apply(ctx, documents(exported))
	b.ResetCalls()
	b.look(ctx, trails)
	Expect(b.writes()).To(Equal(map[string]int{"AddTags": len(trails)}))
	return trails
}

var _ = Describe("The arguments of export", func() {
	for arguments, message := range map[string]string{
		"--region eu-west-1 --all-regions": "not both",
		"--namespace=Audit":                `"Audit" is not the name of a namespace`,
		"--namespace=":                     `"" is not the name of a namespace`,
		"--no-such-flag":                   "not defined",
	} {
		It("are refused: "+arguments, func() {
			_, err := parse(strings.Fields(arguments)...)
			Expect(err).To(MatchError(ContainSubstring(message)))
		})
	}

	It("are understood", func() {
		arguments := "--all-regions --observe --namespace audit --identity-role one --identity-role two"
		options, err := parse(strings.Fields(arguments)...)
		Expect(err).NotTo(HaveOccurred())
		Expect(options.AllRegions).To(BeTrue())
		Expect(options.Observe).To(BeTrue())
		Expect(options.Namespace).To(Equal("audit"))
		Expect(slices.Equal(options.Roles, []string{"one", "two"})).To(BeTrue())
	})
})
