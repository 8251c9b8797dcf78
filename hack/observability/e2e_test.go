package observability_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/sandbox"
)

// insecure trusts the certificate that the operator makes at its start.
var insecure = &http.Client{
	Timeout:   10 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
}

// newTrail creates a Trail, changed by options.
func (w *world) newTrail(namespace, name string, options ...func(*v1alpha1.Trail)) *v1alpha1.Trail {
	GinkgoHelper()
	trail := &v1alpha1.Trail{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.TrailSpec{S3BucketName: "audit-logs"},
	}
	for _, option := range options {
		option(trail)
	}
	Expect(w.Create(ctx, trail)).To(Succeed())
	return trail
}

func inRegion(region string) func(*v1alpha1.Trail) {
	return func(t *v1alpha1.Trail) { t.Spec.Region = region }
}

func asIdentity(name string) func(*v1alpha1.Trail) {
	return func(t *v1alpha1.Trail) { t.Spec.IdentityRef = &v1alpha1.IdentityReference{Name: name} }
}

// is returns a Trail's Ready condition as STATUS REASON.
func (w *world) is(trail *v1alpha1.Trail) (string, error) {
	if err := w.Get(ctx, client.ObjectKeyFromObject(trail), trail); err != nil {
		return "", err
	}
	for _, condition := range trail.Status.Conditions {
		if condition.Type == v1alpha1.ConditionReady {
			return string(condition.Status) + " " + condition.Reason, nil
		}
	}
	return "", nil
}

// deliver makes the emulator report a delivery, over every channel of the trail.
func (w *world) deliver(trail *v1alpha1.Trail, at time.Time) {
	GinkgoHelper()
	delivery := cloudtrailtest.Delivery{LatestDeliveryTime: &at}
	if trail.Spec.LogFileValidationDesired() {
		delivery.LatestDigestDeliveryTime = &at
	}
	Expect(w.aws.SetDelivery(trail.Status.TrailARN, delivery)).To(BeTrue())
}

// identityCommand is a command of docs/events.md about the identity default.
var identityCommand = regexp.MustCompile(`(?m)^ *(kubectl (\w+) awsidentity default .*)$`)

// commands returns the commands of docs/events.md about the identity default that use a verb of kubectl, in order.
func commands(verb string) []string {
	GinkgoHelper()
	var found []string
	for _, match := range identityCommand.FindAllStringSubmatch(string(readFile("docs/events.md")), -1) {
		if match[2] == verb {
			found = append(found, match[1])
		}
	}
	Expect(found).NotTo(BeEmpty(), "docs/events.md has a command kubectl %s awsidentity default", verb)
	return found
}

// events is the queue to which EventBridge sends what CloudTrail records in the operator's own account.
var events = cloudtrailtest.Queue{AccountID: hub, Region: "us-east-1", Name: "trail-operator"}

// listen creates the queue, to which EventBridge sends events, and names it in the identity default as docs/events.md
// says.
func (w *world) listen() {
	GinkgoHelper()
	Expect(w.aws.CreateQueue(events)).To(Succeed())
	w.aws.Forward(cloudtrailtest.Rule{QueueARN: events.ARN(), AccountID: events.AccountID, Region: events.Region})
	w.shell(commands("patch")[0], "url="+w.awsURL+"/"+events.AccountID+"/"+events.Name)
}

// by performs an operation as somebody else.
func (w *world) by(actor, region, operation string, parameters map[string]any) {
	GinkgoHelper()
	_, err := w.aws.As(cloudtrailtest.Actor{ARN: actor}).Do(region, operation, parameters)
	Expect(err).NotTo(HaveOccurred())
}

var _ = Describe("The operator in front of a real Prometheus", Ordered, func() {
	var (
		w                                            *world
		operators                                    []*operator
		prom                                         *prometheus
		token                                        string
		plain, loud, far, paused, quiet, seen, still *v1alpha1.Trail
	)

	BeforeAll(func() {
		prometheusTool("prometheus")
		w = newWorld()
		token = w.token("default", "prometheus")
		w.letRead("default", "prometheus")
		Expect(
			w.Create(ctx, &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "member"}, Spec: v1alpha1.AWSIdentitySpec{
				RoleARN:           "arn:aws:iam::" + member + ":role/trail-operator",
				AllowedNamespaces: &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll},
			}}),
		).To(Succeed())

		// Somebody else's trail, that has been logging for hours.
		w.ahead.Store(int64(-5 * time.Hour))
		w.by(
			"arn:aws:iam::111122223333:user/alice",
			"us-east-1",
			"CreateTrail",
			map[string]any{"Name": "still", "S3BucketName": "audit-logs"},
		)
		w.by("arn:aws:iam::111122223333:user/alice", "us-east-1", "StartLogging", map[string]any{"Name": "still"})
		w.ahead.Store(0)
		w.by(
			"arn:aws:iam::111122223333:user/alice",
			"us-east-1",
			"CreateTrail",
			map[string]any{"Name": "seen", "S3BucketName": "audit-logs"},
		)
		w.by("arn:aws:iam::111122223333:user/alice", "us-east-1", "StartLogging", map[string]any{"Name": "seen"})

		w.listen()
		Expect(sandbox.InstallCRDs(ctx, w.config, sandbox.OpenReports, "config", "crd")).To(Succeed())
		w.createFiles("config/reports/role.yaml", "config/reports/role_binding.yaml")

		for range 2 {
			operators = append(operators, w.run("--resync-interval=1s", "--reports=openreports"))
		}
		plain = w.newTrail("default", "plain")
		loud = w.newTrail("default", "loud", func(t *v1alpha1.Trail) { t.Spec.EnableLogFileValidation = new(true) })
		far = w.newTrail("default", "far", inRegion("eu-west-1"), asIdentity("member"))
		quiet = w.newTrail("default", "quiet", func(t *v1alpha1.Trail) { t.Spec.Logging = new(false) })
		seen = w.newTrail(
			"default",
			"seen",
			func(t *v1alpha1.Trail) { t.Spec.ManagementPolicy = v1alpha1.ManagementPolicyObserve },
		)
		still = w.newTrail(
			"default",
			"still",
			func(t *v1alpha1.Trail) { t.Spec.AdoptionPolicy = v1alpha1.AdoptionPolicyIfUnowned },
		)
		paused = w.newTrail("default", "paused", func(t *v1alpha1.Trail) { t.Spec.Suspend = new(true) })
		for _, trail := range []*v1alpha1.Trail{plain, loud, far, quiet, seen, still} {
			Eventually(w.is, "60s").WithArguments(trail).Should(Equal("True Available"), trail.Name)
			w.deliver(trail, time.Now())
		}
		Eventually(w.is, "30s").WithArguments(paused).Should(Equal("Unknown Suspended"))
		// A delivery of hours ago would be stale until the operator has seen the new one.
		Eventually(func() (*metav1.Time, error) {
			_, err := w.is(still)
			return still.Status.LatestDeliveryTime, err
		}, "30s").ShouldNot(BeNil())
		prom = startPrometheus(token, "3s", operators...)
	})

	It("is alive and ready, also as the replica that waits", func() {
		for _, o := range operators {
			for _, probe := range []string{"/healthz", "/readyz"} {
				Eventually(func() (int, error) {
					code, _, err := page("http://"+o.probes+probe, "")
					return code, err
				}, "30s").Should(Equal(http.StatusOK), probe)
			}
		}
	})

	It("tells its version", func() {
		output, err := exec.Command(w.binary, "--version").Output()
		Expect(err).NotTo(HaveOccurred())
		Expect(string(output)).To(Equal("v1.2.3-test\n"))
	})

	It("shows its metrics to those that may read them only", func() {
		address := "https://" + operators[0].metrics + "/metrics"
		code, _, err := page(address, "")
		Expect(err).NotTo(HaveOccurred())
		Expect(code).To(Equal(http.StatusUnauthorized))
		code, _, err = page(address, w.token("default", "stranger"))
		Expect(err).NotTo(HaveOccurred())
		Expect(code).To(Equal(http.StatusForbidden))
		code, text, err := page(address, token)
		Expect(err).NotTo(HaveOccurred())
		Expect(code).To(Equal(http.StatusOK))
		Expect(text).To(MatchRegexp(`(?m)^trail_operator_build_info\{.*version="v1.2.3-test"`))
	})

	It("alerts nobody about a healthy fleet", func() {
		Eventually(
			prom.query,
			"60s",
		).WithArguments("min(count_over_time(trail_operator_build_info[10m])) >= 15").
			ShouldNot(BeEmpty(), "scraped 15 times")
		Expect(prom.query("count(up == 1)")).To(ConsistOf(HaveField("Value", ContainElement("2"))))
		Expect(prom.alerts()).To(BeEmpty())
		// Prometheus itself takes seconds to begin to scrape, which is longer than the cut wait of TrailOperatorAbsent.
		Expect(
			prom.query(`count_over_time(ALERTS{alertstate="firing",alertname!="TrailOperatorAbsent"}[10m])`),
		).To(BeEmpty(), "none ever fired")
	})

	// fires waits until an alert fires about something, and returns its description.
	fires := func(name, about string) string {
		GinkgoHelper()
		Eventually(prom.firing, "90s", "500ms").WithArguments(name).Should(HaveKey(about), name)
		firing, err := prom.firing(name)
		Expect(err).NotTo(HaveOccurred())
		return firing[about]
	}

	It("fires TrailNotReady, with the reason", func() {
		w.aws.DeleteBucket("no-such-bucket")
		w.newTrail("default", "bucketless", func(t *v1alpha1.Trail) { t.Spec.S3BucketName = "no-such-bucket" })
		Expect(fires("TrailNotReady", "default/bucketless")).To(ContainSubstring("S3BucketDoesNotExistException"))
	})

	It("fires TrailNotLogging when a trail stays stopped", func() {
		w.by(eve, "us-east-1", "StopLogging", map[string]any{"Name": "seen"})
		fires("TrailNotLogging", "default/seen")
	})

	It("fires TrailDeliveryFailing, with AWS's code", func() {
		Expect(
			w.aws.SetDelivery(loud.Status.TrailARN, cloudtrailtest.Delivery{LatestDeliveryError: new("AccessDenied")}),
		).To(BeTrue())
		Expect(fires("TrailDeliveryFailing", "default/loud")).To(ContainSubstring("AccessDenied"))
	})

	It("fires TrailDeliveryStale when nothing arrives and no error is told", func() {
		w.deliver(still, time.Now().Add(-4*time.Hour))
		fires("TrailDeliveryStale", "default/still")
	})

	It("fires TrailDrifted though the drift is repaired, and says who it was", func() {
		w.by(eve, "us-east-1", "StopLogging", map[string]any{"Name": plain.Status.TrailARN})
		fires("TrailDrifted", "default/plain")
		Eventually(
			prom.firing,
			"90s",
			"500ms",
		).WithArguments("TrailDrifted").
			Should(HaveKeyWithValue("default/plain", ContainSubstring(eve)))
		Expect(w.is(plain)).To(Equal("True Available"))
	})

	It("fires LogFileTampered, and says what was found", func() {
		w.aws.SetLogDelivery(&cloudtrailtest.LogDelivery{})
		defer w.aws.SetLogDelivery(nil)
		Expect(w.aws.DeliverHours(loud.Status.TrailARN, 3)).To(Succeed())
		_, err := w.aws.Tamper(cloudtrailtest.Tampering{
			Kind: cloudtrailtest.Alter, TrailARN: loud.Status.TrailARN, Position: 1,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(w.Create(ctx, &v1alpha1.LogFileValidation{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "loud"},
			Spec:       v1alpha1.LogFileValidationSpec{TrailRef: &v1alpha1.TrailReference{Name: "loud"}},
		})).To(Succeed())
		fires("LogFileTampered", "default/loud")
		Eventually(prom.firing, "30s", "500ms").WithArguments("LogFileTampered").
			Should(HaveKeyWithValue("default/loud", ContainSubstring("1 DigestAltered")))
	})

	It("says that it listens, to whoever asks as docs/events.md says", func() {
		w.shell(commands("wait")[0])
		Expect(w.shell(commands("get")[0])).To(MatchRegexp(`(?m)^Listening=True Listening: receiving events from http://`))
	})

	It("counts what it hears of, and how late", func() {
		for _, expression := range []string{
			`trail_operator_event_messages_total{identity="default",kind="trail"} >= 2`,
			`trail_operator_event_messages_total{identity="default",kind="own"} > 0`,
			`trail_operator_event_delay_seconds_count{identity="default"} >= 2`,
			`time() - trail_operator_event_last_received_timestamp_seconds{identity="default"} < 600`,
		} {
			Eventually(prom.query, "30s").WithArguments(expression).Should(HaveLen(1), "the leader tells: %s", expression)
		}
	})

	It("counts how long a deletion took", func() {
		gone := w.newTrail("default", "gone")
		Eventually(w.is, "60s").WithArguments(gone).Should(Equal("True Available"))
		Expect(w.Delete(ctx, gone)).To(Succeed())
		Eventually(
			prom.query,
			"60s",
		).WithArguments("sum(trail_operator_trail_deletion_duration_seconds_count) == 1").
			ShouldNot(BeEmpty())
		Eventually(
			prom.query,
			"30s",
		).WithArguments(`trail_operator_trail_info{name="gone"}`).
			Should(BeEmpty(), "series die with their object")
	})

	It("fires TrailDeletionStuck when AWS does not delete", func() {
		w.aws.Inject(cloudtrailtest.Fault{Operation: "DeleteTrail", Code: "AccessDeniedException"})
		Expect(w.Delete(ctx, quiet)).To(Succeed())
		Expect(fires("TrailDeletionStuck", "default/quiet")).To(ContainSubstring("AccessDeniedException"))
		fires("TrailOperatorAWSDenied", "us-east-1 DeleteTrail")
	})

	It("fires nothing but that", func() {
		Eventually(func() ([]string, error) {
			all, err := prom.alerts()
			var firing []string
			for _, a := range all {
				if a.State == "firing" {
					firing = append(firing, a.Labels["alertname"]+" "+a.Labels["name"]+a.Labels["operation"])
				}
			}
			return firing, err
		}, "30s").Should(ConsistOf(
			"TrailNotReady bucketless",
			"TrailNotReady loud",
			"TrailNotReady seen",
			"TrailNotLogging seen",
			"TrailDeliveryFailing loud",
			"TrailDeliveryStale still",
			"TrailDrifted plain",
			"LogFileTampered loud",
			"TrailDrifted seen",
			"TrailDeletionStuck quiet",
			"TrailOperatorAWSDenied DeleteTrail",
		))
	})

	It("fires AWSIdentityNotListening when the queue is gone", func() {
		w.aws.DeleteQueue(events.ARN())
		fires("AWSIdentityNotListening", "default")
		Expect(w.aws.CreateQueue(events)).To(Succeed())
		Eventually(prom.firing, "90s", "500ms").WithArguments("AWSIdentityNotListening").Should(BeEmpty())
	})

	It("fires TrailAccountNotRecorded when no trail records the whole account, and not for one that is recorded", func() {
		for _, name := range []string{"default", "member"} {
			identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: name}}
			patch := []byte(`{"spec":{"assessCoverage":true}}`)
			Expect(w.Patch(ctx, identity, client.RawPatch("application/merge-patch+json", patch))).To(Succeed())
		}
		fires("TrailAccountNotRecorded", "default")
		Eventually(prom.query, "60s").
			WithArguments(`trail_operator_awsidentity_account_recorded{name="member"} == 0`).ShouldNot(BeEmpty())

		everywhere := w.newTrail("default", "everywhere", inRegion("eu-north-1"), asIdentity("member"),
			func(t *v1alpha1.Trail) { t.Spec.IsMultiRegionTrail = new(true) })
		Eventually(w.is, "60s").WithArguments(everywhere).Should(Equal("True Available"))
		w.deliver(everywhere, time.Now())
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "member"}}
		patch := []byte(`{"metadata":{"annotations":{"trail-operator.dev/reconcile-at":"everywhere"}}}`)
		Expect(w.Patch(ctx, identity, client.RawPatch("application/merge-patch+json", patch))).To(Succeed())
		Eventually(prom.query, "60s").
			WithArguments(`trail_operator_awsidentity_account_recorded{name="member"} == 1`).ShouldNot(BeEmpty())
		Eventually(prom.firing, "60s").WithArguments("TrailAccountNotRecorded").Should(And(HaveLen(1), HaveKey("default")))
	})

	It("fires TrailOperatorAWSDenied, for STS too", func() {
		w.aws.Inject(cloudtrailtest.Fault{Operation: "AssumeRole", Code: "AccessDenied"})
		Expect(
			w.Create(
				ctx,
				&v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "distrusted"}, Spec: v1alpha1.AWSIdentitySpec{
					RoleARN:           "arn:aws:iam::777788889999:role/trail-operator",
					AllowedNamespaces: &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll},
				}},
			),
		).To(Succeed())
		w.newTrail("default", "distrusted", asIdentity("distrusted"))
		fires("TrailOperatorAWSDenied", "us-east-1 AssumeRole")
	})

	It("fires TrailOperatorAWSThrottled, in the region where it happens", func() {
		w.aws.Inject(
			cloudtrailtest.Fault{
				Operation:   "GetTrailStatus",
				Region:      "eu-west-1",
				Code:        "ThrottlingException",
				Probability: 0.7,
			},
		)
		fires("TrailOperatorAWSThrottled", "eu-west-1")
	})

	It("fires TrailOperatorReconcileErrors while AWS fails, and stays alive and ready", func() {
		w.aws.Inject(cloudtrailtest.Fault{Operation: "GetCallerIdentity", Code: "InternalFailure"})
		w.aws.Inject(cloudtrailtest.Fault{Region: "us-east-1", Code: "InternalFailure"})
		for _, name := range []string{"default", "member"} {
			identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: name}}
			Expect(
				w.Patch(
					ctx,
					identity,
					client.RawPatch(
						"application/merge-patch+json",
						[]byte(`{"metadata":{"annotations":{"trail-operator.dev/reconcile-at":"now"}}}`),
					),
				),
			).To(Succeed())
		}
		fires("TrailOperatorReconcileErrors", "awsidentity")
		for _, o := range operators {
			for _, probe := range []string{"/healthz", "/readyz"} {
				code, _, err := page("http://"+o.probes+probe, "")
				Expect(err).NotTo(HaveOccurred())
				Expect(code).To(Equal(http.StatusOK), "AWS being down is no reason to restart a pod")
			}
		}
	})

	It("has every query of the dashboard return data", func() {
		variables := strings.NewReplacer("$__rate_interval", "10s", "$__range", "10m", "$__interval", "5s",
			"$job", ".*", "$namespace", ".*", "$account_id", ".*", "$region", ".*")
		shown := readDashboard()
		Expect(len(shown.queries())).To(BeNumerically(">", 30))
		for where, expression := range shown.queries() {
			expression = variables.Replace(expression)
			Expect(expression).NotTo(ContainSubstring("$"), where)
			result, err := prom.history(expression)
			Expect(err).NotTo(HaveOccurred(), where)
			Expect(hasNumber(result)).To(BeTrue(), "%s returned no data: %s", where, expression)
		}
		for _, variable := range shown.Templating.List {
			if variable.Type != "query" {
				continue
			}
			asked := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(variable.Definition)
			Expect(asked).To(HaveLen(3), variable.Definition)
			Expect(
				prom.get("/api/v1/label/"+asked[2]+"/values", url.Values{"match[]": {asked[1]}}),
			).NotTo(MatchJSON("[]"), variable.Name)
		}
		// Who, in the table of drifts, and both accounts, in the fleet's. On a busy machine a scrape may just have failed.
		Expect(
			prom.history(`trail_operator_trail_last_drift_info{actor="` + eve + `",event_name="StopLogging",fields="logging"}`),
		).NotTo(BeEmpty())
		Expect(
			prom.history(
				`count(count by (account_id, region) (trail_operator_trail_info{account_id=~"` + hub + `|` + member + `"})) == 2`,
			),
		).NotTo(BeEmpty())
	})

	It("listens no more when the field is removed as docs/events.md says", func() {
		patches := commands("patch")
		w.shell(patches[len(patches)-1])
		Eventually(func() (string, error) {
			identity := &v1alpha1.AWSIdentity{}
			err := w.Get(ctx, client.ObjectKey{Name: "default"}, identity)
			return fmt.Sprint(identity.Spec.EventQueueURL, identity.Status.Conditions), err
		}, "60s").ShouldNot(ContainSubstring(v1alpha1.ConditionListening))
	})

	It("fires TrailOperatorNoLeader when no replica gets the lease, and goes on about the trails", func() {
		for _, o := range operators {
			o.stop()
		}
		lease := &coordinationv1.Lease{}
		Expect(w.Get(ctx, client.ObjectKey{Namespace: systemNamespace, Name: "trail-operator"}, lease)).To(Succeed())
		now := metav1.NowMicro()
		lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds = new("a-node-that-is-lost"), new(int32(3600))
		lease.Spec.RenewTime, lease.Spec.AcquireTime = &now, &now
		Expect(w.Update(ctx, lease)).To(Succeed())
		follower := w.run()
		second := startPrometheus(token, "3s", follower)
		Eventually(second.firing, "90s", "500ms").WithArguments("TrailOperatorNoLeader").ShouldNot(BeEmpty())
		Eventually(second.firing, "90s", "500ms").WithArguments("TrailNotReady").Should(HaveKey("default/bucketless"))
		follower.stop()
		Eventually(second.firing, "90s", "500ms").WithArguments("TrailOperatorAbsent").ShouldNot(BeEmpty())
	})

	It("has told events about all that people ask the time of", func() {
		var events corev1.EventList
		Expect(w.List(ctx, &events, client.InNamespace("default"))).To(Succeed())
		told := map[string]int{}
		for i := range events.Items {
			told[events.Items[i].InvolvedObject.Name+" "+events.Items[i].Reason]++
		}
		for _, event := range []string{
			"plain Created", "plain DriftDetected", "plain DriftRepaired", "bucketless S3BucketDoesNotExistException",
			"loud S3DeliveryFailed", "gone Deleted", "quiet AccessDeniedException", "paused Suspended",
		} {
			Expect(told).To(HaveKeyWithValue(event, 1), "told once: %v", told)
		}
	})
})

// hasNumber tells whether a series has a value that is a number.
func hasNumber(result []sample) bool {
	for _, series := range result {
		for _, value := range series.Values {
			if text := fmt.Sprint(value[1]); text != "NaN" {
				return true
			}
		}
	}
	return false
}
