package logfilevalidation_test

import (
	"context"
	"fmt"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/digest"
	"github.com/trail-operator/trail-operator/controllers/logfilevalidation"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

var home, other = chainOf(account, region), chainOf(account, "eu-west-1")

var _ = Describe("A LogFileValidation without an end", func() {
	It("goes on with what is new in each interval, and writes its status once", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(5 * time.Hour)
		w.logs.deliver(home)
		w.logs.deliver(other)
		v := w.validate(ctx, w.create(ctx, v1alpha1.LogFileValidationSpec{}))
		expectIntact(v, opening.Add(5*time.Hour))
		Expect(*v.Status.Chains).To(BeEquivalentTo(2))
		Expect(v.Status.DigestCount).To(BeEquivalentTo(10))
		Expect(v.Status.TrailARN).To(Equal(trailARN))
		Expect(v.Status.S3BucketName).To(Equal(bucket))
		Expect(message(v, "Ready")).To(Equal("2 chains are intact from 2026-01-02T03:00:00Z until 2026-01-02T08:00:00Z"))
		Expect(w.DrainEvents()).To(ConsistOf("Normal Intact " + message(v, "Ready")))

		w.Clock.Add(30 * time.Minute)
		Expect(w.reconcile(ctx, v).RequeueAfter).To(Equal(30*time.Minute), "it is not due")
		Expect(w.get(ctx, v).ResourceVersion).To(Equal(v.ResourceVersion))

		w.Clock.Add(31 * time.Minute)
		w.logs.deliver(home)
		w.logs.deliver(other)
		w.logs.walked(home)
		next := w.validate(ctx, v)
		expectIntact(next, opening.Add(6*time.Hour))
		Expect(next.Status.DigestCount).To(BeEquivalentTo(12))
		walks := w.logs.walked(home)
		Expect(walks).To(HaveLen(1))
		Expect(walks[0].From.End).To(BeTemporally("==", opening.Add(5*time.Hour)), "nothing is validated twice")
		Expect(w.DrainEvents()).To(BeEmpty())
	})

	It("validates at once when it is asked to", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(time.Hour)
		w.logs.deliver(home)
		v := w.validate(ctx, w.create(ctx, v1alpha1.LogFileValidationSpec{}))
		w.logs.walked(home)
		v.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
		Expect(w.Client.Update(ctx, v)).To(Succeed())
		v = w.validate(ctx, v)
		Expect(w.logs.walked(home)).To(HaveLen(1))
		Expect(v.Status.LastHandledReconcileAt).To(Equal("now"))
		w.validate(ctx, v)
		Expect(w.logs.walked(home)).To(BeEmpty())
	})

	It("takes a long time in strides", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(10*24*time.Hour + time.Minute)
		w.logs.deliver(home)
		v := w.validate(ctx, w.create(ctx, v1alpha1.LogFileValidationSpec{}))
		expectIntact(v, opening.Add(240*time.Hour))
		Expect(v.Status.DigestCount).To(BeEquivalentTo(240))
		Expect(w.logs.walked(home)).To(HaveLen(11))
	})

	It("resumes after a restart, and tells nothing twice", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(5 * time.Hour)
		w.logs.deliver(home)
		w.logs.tamper(home, digest.LogAltered, "a.json.gz")
		v := w.validate(ctx, w.create(ctx, v1alpha1.LogFileValidationSpec{}))
		Expect(w.DrainEvents()).To(HaveLen(1))

		w.restart(ctx)
		w.logs.walked(home)
		Expect(w.reconcile(ctx, v).RequeueAfter).To(Equal(time.Hour), "it is due an interval after its last validation")
		w.Clock.Add(time.Hour)
		w.logs.deliver(home)
		w.logs.tamper(home, digest.LogDeleted, "b.json.gz")
		next := w.validate(ctx, v)
		Expect(w.logs.walked(home)[0].Start).To(BeTemporally("==", opening.Add(5*time.Hour)))
		Expect(*next.Status.FindingCount).To(BeEquivalentTo(2))
		Expect(w.DrainEvents()).To(ConsistOf(HavePrefix("Warning LogDeleted")))
	})

	It("says what was tampered with, once, until that is acknowledged", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(5 * time.Hour)
		w.logs.deliver(home)
		w.logs.tamper(home, digest.LogNotVouchedFor, "planted.json.gz")
		w.logs.tamper(home, digest.LogAltered, "altered.json.gz")
		v := w.validate(ctx, w.create(ctx, v1alpha1.LogFileValidationSpec{}))
		Expect(conditions(v)).To(Equal(map[string]string{
			"Ready": "False Tampered", "Intact": "False Tampered", "Stalled": "True Tampered",
		}))
		testbed.ExpectKstatus(v, status.FailedStatus)
		Expect(message(v, "Ready")).To(Equal("LogAltered: s3://trail-logs/altered.json.gz (account 111122223333, " +
			"region us-east-1, hour until 2026-01-02T08:00:00Z): it is not what it was; and 1 other finding"))
		Expect(
			v.Status.Findings,
		).To(HaveExactElements(HaveField("Class", "LogAltered"), HaveField("Class", "LogNotVouchedFor")))
		Expect(v.Status.FindingClasses).To(HaveExactElements(
			HaveField("Class", "LogAltered"), HaveField("Class", "LogNotVouchedFor")))
		Expect(w.DrainEvents()).To(ConsistOf(HavePrefix("Warning LogAltered LogAltered: s3://trail-logs/altered.json.gz"),
			HavePrefix("Warning LogNotVouchedFor")))
		Expect(v.Status.ValidatedUntil.Time).To(BeTemporally("==", opening.Add(5*time.Hour)), "it goes on behind")

		w.Clock.Add(time.Hour)
		w.logs.deliver(home)
		v = w.validate(ctx, v)
		Expect(conditions(v)).To(HaveKeyWithValue("Intact", "False Tampered"))
		Expect(w.DrainEvents()).To(BeEmpty())

		w.edit(ctx, v, func(s *v1alpha1.LogFileValidationSpec) { s.StartTime = timestamp(opening.Add(5 * time.Hour)) })
		v = w.validate(ctx, v)
		expectIntact(v, opening.Add(6*time.Hour))
		Expect(v.Status.Findings).To(BeEmpty())
		Expect(*v.Status.FindingCount).To(BeZero())
		Expect(w.DrainEvents()).To(ConsistOf(HavePrefix("Normal Intact")))
	})

	It("lists the most severe findings, and counts all", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(time.Hour)
		w.logs.deliver(home)
		for i := range 50 {
			w.logs.tamper(home, digest.LogNotVouchedFor, fmt.Sprintf("planted-%d", i))
		}
		w.logs.tamper(home, digest.DigestAltered, "digest")
		v := w.validate(ctx, w.create(ctx, v1alpha1.LogFileValidationSpec{}))
		Expect(v.Status.Findings).To(HaveLen(20))
		Expect(v.Status.Findings[0].Class).To(Equal("DigestAltered"))
		Expect(*v.Status.FindingCount).To(BeEquivalentTo(51))
		Expect(v.Status.FindingsTruncated).To(BeTrue())
		events := w.DrainEvents()
		Expect(events).To(HaveLen(21))
		Expect(events).To(ContainElement(
			"Warning Tampered 31 more findings; in all there are 1 DigestAltered, 50 LogNotVouchedFor"))
	})

	It("lists the chains that lag, and tries them again", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(3 * time.Hour)
		w.logs.deliver(home)
		w.logs.deliver(other)
		w.logs.change(func() { w.logs.chains[other][1].stop = "AccessDenied" })
		v := w.create(ctx, v1alpha1.LogFileValidationSpec{})
		v = w.validate(ctx, v)
		Expect(conditions(v)).To(Equal(map[string]string{"Ready": "False AccessDenied", "Intact": "Unknown AccessDenied"}))
		testbed.ExpectKstatus(v, status.InProgressStatus)
		Expect(message(v, "Intact")).To(Equal("the chain of account 111122223333 and region eu-west-1 goes no further " +
			"(it is validated until 2026-01-02T04:00:00Z): GetObject: AccessDenied"))
		Expect(*v.Status.LaggingCount).To(BeEquivalentTo(1))
		Expect(v.Status.ValidatedUntil.Time).To(BeTemporally("==", opening.Add(3*time.Hour)), "the others go on")
		Expect(w.reconcile(ctx, v).RequeueAfter).To(Equal(5*time.Second), "somebody may repair it at once")
		Expect(w.DrainEvents()).To(ConsistOf(HavePrefix("Warning AccessDenied")))

		By("a restart, after which the chain goes on where it was")
		w.restart(ctx)
		w.logs.walked(other)
		w.logs.change(func() { w.logs.chains[other][1].stop = "" })
		v = w.validate(ctx, v)
		expectIntact(v, opening.Add(3*time.Hour))
		Expect(w.logs.walked(other)[0].Start).To(BeTemporally("==", opening.Add(time.Hour)))
		Expect(v.Status.LaggingChains).To(BeEmpty())
	})

	It("holds back for a chain that lags and is not listed", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(3 * time.Hour)
		for i := range 22 {
			c := chainOf(account, fmt.Sprintf("us-west-%d", i+1))
			w.logs.deliver(c)
			if i > 0 {
				w.logs.change(func() { w.logs.chains[c][1].stop = digest.ReasonOverdue })
			}
		}
		v := w.validate(ctx, w.create(ctx, v1alpha1.LogFileValidationSpec{}))
		Expect(v.Status.LaggingChains).To(HaveLen(20))
		Expect(*v.Status.LaggingCount).To(BeEquivalentTo(21))
		Expect(v.Status.ValidatedUntil.Time).To(BeTemporally("==", opening.Add(time.Hour)))
		Expect(message(v, "Ready")).To(ContainSubstring("; 20 other chains lag — check that the trail logs"))
		Expect(w.reconcile(ctx, v).RequeueAfter).To(Equal(time.Hour), "there is no hurry")
	})

	It("hides what passes by itself, and shows it when it lasts", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(2 * time.Hour)
		w.logs.deliver(home)
		v := w.validate(ctx, w.create(ctx, v1alpha1.LogFileValidationSpec{}))
		w.Clock.Add(time.Hour)
		w.logs.deliver(home)
		w.logs.change(func() { w.logs.chains[home][2].stop = "SlowDown" })
		v = w.validate(ctx, v)
		expectIntact(v, opening.Add(2*time.Hour))

		w.Clock.Add(2 * time.Minute)
		v = w.validate(ctx, v)
		Expect(conditions(v)).To(HaveKeyWithValue("Intact", "Unknown SlowDown"))
	})

	It("tells of a chain that is gone", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(2 * time.Hour)
		w.logs.deliver(home)
		w.logs.deliver(other)
		v := w.validate(ctx, w.create(ctx, v1alpha1.LogFileValidationSpec{}))
		w.logs.change(func() { delete(w.logs.chains, other) })
		w.Clock.Add(time.Hour)
		v = w.validate(ctx, v)
		Expect(
			v.Status.Findings,
		).To(HaveExactElements(And(HaveField("Class", "DigestMissing"), HaveField("Region", "eu-west-1"),
			HaveField("Object", "111122223333/eu-west-1/2026-01-02T05:00:00Z.json.gz"))))
		Expect(*v.Status.Chains).To(BeEquivalentTo(1))
		w.Clock.Add(time.Hour)
		Expect(*w.validate(ctx, v).Status.FindingCount).To(BeEquivalentTo(1))
	})

	It("tells that chains went while it was not running", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(2 * time.Hour)
		w.logs.deliver(home)
		w.logs.deliver(other)
		v := w.validate(ctx, w.create(ctx, v1alpha1.LogFileValidationSpec{}))
		w.logs.change(func() { delete(w.logs.chains, other) })
		for range 2 {
			w.restart(ctx)
			w.Clock.Add(time.Hour)
			v = w.validate(ctx, v)
			Expect(conditions(v)).To(HaveKeyWithValue("Intact", "Unknown ChainsMissing"))
			Expect(message(v, "Intact")).To(HavePrefix("1 of 2 chains that were validated before are not in bucket trail-logs"))
		}
		w.edit(ctx, v, func(s *v1alpha1.LogFileValidationSpec) { s.StartTime = timestamp(opening.Add(time.Hour)) })
		expectIntact(w.validate(ctx, v), opening.Add(2*time.Hour))
	})

	DescribeTable("says why nothing can be validated, and what to do",
		func(ctx context.Context, openErr, chainsErr error, reason, text string) {
			w := newWorld(ctx)
			w.Clock.Add(time.Hour)
			v := w.create(ctx, v1alpha1.LogFileValidationSpec{})
			w.logs.change(func() { w.logs.openErr, w.logs.chainsErr = openErr, chainsErr })
			v = w.validate(ctx, v)
			Expect(conditions(v)).To(Equal(map[string]string{"Ready": "False " + reason, "Intact": "Unknown " + reason}))
			Expect(message(v, "Ready")).To(ContainSubstring(text))
			testbed.ExpectKstatus(v, status.InProgressStatus)
			Expect(w.reconcile(ctx, v).RequeueAfter).To(Equal(5 * time.Second))
			w.logs.change(func() { w.logs.openErr, w.logs.chainsErr = nil, nil })
			w.logs.deliver(home)
			w.Clock.Add(5 * time.Second)
			expectIntact(w.validate(ctx, v), opening.Add(time.Hour))
		},
		Entry("an identity that the namespace may not use",
			&awsidentity.AccessError{Reason: "NamespaceNotAllowed", Message: "ask an administrator"}, nil,
			"NamespaceNotAllowed", "ask an administrator"),
		Entry("a trail that is gone", &logfilevalidation.Refusal{Reason: "TrailNotFound", Message: "create it"}, nil,
			"TrailNotFound", "create it"),
		Entry("a bucket that may not be listed", nil,
			&digest.UnavailableError{Reason: "AccessDenied", Message: "ListObjectsV2: AccessDenied — add to the policies"},
			"AccessDenied", "add to the policies"),
		Entry("no digest", nil, nil, "NoDigests", "CloudTrail delivers the first digest about an hour after"),
	)

	It("validates nothing while it is suspended, and goes on afterwards", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(time.Hour)
		w.logs.deliver(home)
		v := w.create(ctx, v1alpha1.LogFileValidationSpec{Suspend: new(true)})
		Expect(w.reconcile(ctx, v).RequeueAfter).To(BeZero())
		v = w.get(ctx, v)
		Expect(conditions(v)).To(Equal(map[string]string{"Ready": "Unknown Suspended"}))
		Expect(w.logs.walked(home)).To(BeEmpty())
		w.edit(ctx, v, func(s *v1alpha1.LogFileValidationSpec) { s.Suspend = nil })
		expectIntact(w.validate(ctx, v), opening.Add(time.Hour))
	})

	It("ends what is under way when it is suspended, changed or deleted", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(time.Hour)
		w.logs.deliver(home)
		hold := make(chan struct{})
		w.logs.change(func() { w.logs.hold = hold })
		v := w.create(ctx, v1alpha1.LogFileValidationSpec{})
		w.reconcile(ctx, v)
		Eventually(w.logs.held).WithTimeout(soon).Should(Equal(1), "it is under way")
		Expect(conditions(w.get(ctx, v))).To(Equal(map[string]string{
			"Ready": "Unknown Validating", "Intact": "Unknown NotValidatedYet", "Reconciling": "True Validating",
		}))
		testbed.ExpectKstatus(w.get(ctx, v), status.InProgressStatus)

		w.edit(ctx, v, func(s *v1alpha1.LogFileValidationSpec) { s.Mode = v1alpha1.ValidationModeFull })
		w.reconcile(ctx, v)
		Eventually(w.logs.held).WithTimeout(soon).Should(Equal(2), "it began anew")
		Expect(w.logs.requests[len(w.logs.requests)-1].Mode).To(Equal(digest.Full))

		w.edit(ctx, v, func(s *v1alpha1.LogFileValidationSpec) { s.Suspend = new(true) })
		w.reconcile(ctx, v)
		w.edit(ctx, v, func(s *v1alpha1.LogFileValidationSpec) { s.Suspend = nil })
		w.reconcile(ctx, v)
		Eventually(w.logs.held).WithTimeout(soon).Should(Equal(3), "it began anew")

		found := w.get(ctx, v)
		found.Finalizers = []string{"example.com/keep"}
		Expect(w.Client.Update(ctx, found)).To(Succeed())
		Expect(w.Client.Delete(ctx, found)).To(Succeed())
		w.reconcile(ctx, v)
		w.stop() // It does not return before all walks have ended, which nothing but their contexts ends.
		found = w.get(ctx, v)
		found.Finalizers = nil
		Expect(w.Client.Update(ctx, found)).To(Succeed())
	})
})

var _ = Describe("A LogFileValidation of a Trail", func() {
	It("takes the trail from it, and waits for it", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(time.Hour)
		w.logs.deliver(home)
		v := w.create(ctx, v1alpha1.LogFileValidationSpec{TrailRef: &v1alpha1.TrailReference{Name: "audit"}})
		v = w.validate(ctx, v)
		Expect(conditions(v)).To(HaveKeyWithValue("Ready", "False TrailNotFound"))

		trail := &v1alpha1.Trail{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "audit"},
			Spec: v1alpha1.TrailSpec{
				S3BucketName: bucket, S3KeyPrefix: "security", IsOrganizationTrail: new(true),
			},
		}
		Expect(w.Client.Create(ctx, trail)).To(Succeed())
		w.Clock.Add(5 * time.Second)
		Expect(message(w.validate(ctx, v), "Ready")).To(Equal(
			`Trail "audit" has no trail in AWS yet: its Ready condition says why`))

		before := trail.DeepCopy()
		trail.Status.TrailARN, trail.Status.IsLogging = trailARN, new(true)
		Expect(w.Client.Status().Patch(ctx, trail, client.MergeFrom(before))).To(Succeed())
		w.Clock.Add(5 * time.Second)
		Expect(conditions(w.validate(ctx, v))).To(HaveKeyWithValue("Ready", "False ValidationOff"))
		Expect(w.logs.requests).To(BeEmpty(), "AWS is not asked")

		before = trail.DeepCopy()
		trail.Spec.EnableLogFileValidation = new(true)
		Expect(w.Client.Patch(ctx, trail, client.MergeFrom(before))).To(Succeed())
		w.Clock.Add(5 * time.Second)
		expectIntact(w.validate(ctx, v), opening.Add(time.Hour))
		Expect(w.logs.requests).To(HaveExactElements(logfilevalidation.Request{
			Namespace: w.Namespace, Name: v.Name, Identity: "default", ARN: trailARN,
			Trail: digest.Trail{
				Name: "audit", HomeRegion: region, AccountID: account, Bucket: bucket, Prefix: "security", Organization: true,
			},
			Delivery: &digest.Delivery{}, Mode: digest.Digests,
		}))
	})

	It("takes none of another namespace", func(ctx context.Context) {
		w := newWorld(ctx)
		elsewhere := w.CreateNamespace(ctx)
		trail := &v1alpha1.Trail{
			ObjectMeta: metav1.ObjectMeta{Namespace: elsewhere, Name: "audit"},
			Spec:       v1alpha1.TrailSpec{S3BucketName: bucket, EnableLogFileValidation: new(true)},
		}
		Expect(w.Client.Create(ctx, trail)).To(Succeed())
		v := w.create(ctx, v1alpha1.LogFileValidationSpec{TrailRef: &v1alpha1.TrailReference{Name: "audit"}})
		Expect(conditions(w.validate(ctx, v))).To(HaveKeyWithValue("Ready", "False TrailNotFound"))
	})
})

var _ = Describe("A LogFileValidation with an end", func() {
	rangeOf := func(hours int) v1alpha1.LogFileValidationSpec {
		return v1alpha1.LogFileValidationSpec{
			StartTime: timestamp(opening), EndTime: timestamp(opening.Add(time.Duration(hours) * time.Hour)),
		}
	}

	It("waits for the last digests, is complete and is deleted", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(3 * time.Hour)
		w.logs.deliver(home)
		spec := rangeOf(2)
		spec.TTLSecondsAfterFinished = new(int32(600))
		v := w.create(ctx, spec)
		Expect(w.reconcile(ctx, v).RequeueAfter).To(Equal(time.Hour))
		v = w.get(ctx, v)
		Expect(conditions(v)).To(Equal(map[string]string{
			"Ready": "Unknown WaitingForDigests", "Intact": "Unknown NotValidatedYet",
			"Complete": "False WaitingForDigests", "Reconciling": "True WaitingForDigests",
		}))
		testbed.ExpectKstatus(v, status.InProgressStatus)

		w.Clock.Add(time.Hour)
		v = w.finish(ctx, v)
		Expect(conditions(v)).To(Equal(map[string]string{
			"Ready": "True Intact", "Intact": "True Intact", "Complete": "True Validated",
		}))
		testbed.ExpectKstatus(v, status.CurrentStatus)
		Expect(message(v, "Complete")).To(Equal("1 chain, 2 digests and 0 log files were looked at"))
		Expect(v.Status.ValidatedUntil.Time).To(BeTemporally("==", opening.Add(2*time.Hour)))

		Expect(w.reconcile(ctx, v).RequeueAfter).To(Equal(10 * time.Minute))
		w.Clock.Add(10 * time.Minute)
		w.reconcile(ctx, v)
		Expect(client.IgnoreNotFound(w.Client.Get(ctx, client.ObjectKeyFromObject(v), v))).To(Succeed())
	})

	It("is complete with what was tampered with", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(5 * time.Hour)
		w.logs.deliver(home)
		w.logs.change(func() {
			w.logs.chains[home][0].found = []digest.Finding{{
				Class: digest.LogDeleted, Chain: home, Bucket: bucket, Object: "a", Time: opening.Add(time.Hour), Message: "gone",
			}}
		})
		v := w.finish(ctx, w.create(ctx, rangeOf(2)))
		Expect(conditions(v)).To(Equal(map[string]string{
			"Ready": "False Tampered", "Intact": "False Tampered", "Complete": "True Validated", "Stalled": "True Tampered",
		}))
		testbed.ExpectKstatus(v, status.FailedStatus)
	})

	It("gives up on what cannot be verified after a while", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(5 * time.Hour)
		w.logs.deliver(home)
		w.logs.change(func() { w.logs.chains[home][0].stop = digest.ReasonArchived })
		v := w.validate(ctx, w.create(ctx, rangeOf(2)))
		Expect(conditions(v)).To(Equal(map[string]string{
			"Ready": "False Archived", "Intact": "Unknown Archived", "Complete": "False Archived",
		}))
		w.Clock.Add(30 * time.Minute)
		v = w.finish(ctx, v)
		Expect(conditions(v)).To(Equal(map[string]string{
			"Ready": "False Archived", "Intact": "Unknown Archived", "Complete": "True Validated", "Stalled": "True Archived",
		}))
		testbed.ExpectKstatus(v, status.FailedStatus)
		Expect(
			v.Status.ValidatedUntil.Time,
		).To(BeTemporally("==", opening.Add(2*time.Hour)), "what is behind it is validated")
		Expect(v.Status.FindingClasses).To(HaveExactElements(HaveField("Class", "Unverifiable")))
	})

	It("does not take a time without digests for proved", func(ctx context.Context) {
		w := newWorld(ctx)
		w.Clock.Add(100 * time.Hour)
		w.logs.change(func() { w.logs.chains[home] = []hour{{end: opening.Add(90 * time.Hour)}} })
		v := w.finish(ctx, w.create(ctx, rangeOf(60)))
		Expect(conditions(v)).To(HaveKeyWithValue("Intact", "Unknown NotValidatedYet"))
	})
})
