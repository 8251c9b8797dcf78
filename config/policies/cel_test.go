package policies_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/coverage"
)

var _ = Describe("The expressions of the policies", func() {
	It("exempt the same people in the same way, and are of one version", func(ctx SpecContext) {
		p := read(renderings["kustomize"](ctx))
		want := p.policies["deletion"].Spec
		for rule, policy := range p.policies {
			got := policy.Spec
			Expect(got.Variables[len(got.Variables)-3:]).To(Equal(want.Variables[len(want.Variables)-3:]), rule)
			Expect(got.AuditAnnotations).To(Equal(want.AuditAnnotations), rule)
			Expect(got.FailurePolicy).To(HaveValue(Equal(admissionv1.Fail)), rule)
			Expect(got.Validations).To(HaveLen(1), rule)
			Expect(got.Validations[0].Expression).To(Equal("variables.satisfied || variables.exempt"), rule)
			Expect(got.MatchConstraints.ResourceRules).To(HaveLen(1), rule)
			Expect(got.MatchConstraints.ResourceRules[0].APIVersions).
				To(HaveExactElements(v1alpha1.GroupVersion.Version), "%s: the API server converts from others", rule)
			Expect(got.MatchConstraints.ObjectSelector).To(BeNil(), "%s: a tenant chooses the labels of its objects", rule)
		}
	})

	It("cost little enough for the largest objects", func(ctx SpecContext) {
		p := read(renderings["kustomize"](ctx))
		p.install(ctx)
		namespace, b := createNamespace(ctx, nil), ways["suspension"]
		for rule := range p.policies {
			p.bindIn(ctx, namespace, rule)
		}
		kept, tenant := b.new(namespace), as(editor, nil)
		store(ctx, kept)
		Eventually(func() error { return b.attempt(ctx, tenant, kept) }).WithTimeout(inForce).
			Should(beRefused(b.rule, b.message), "the policies are in force")

		for _, largest := range []func(*v1alpha1.TrailSpec){manyAdvancedSelectors, manySelectors} {
			t := trail(namespace)
			largest(&t.Spec)
			Expect(tenant.Create(ctx, t)).To(Succeed())
			Expect(edit(ctx, tenant, t, func(t *v1alpha1.Trail) { touch(t) })).To(Succeed())
			Expect(
				edit(ctx, tenant, t, func(t *v1alpha1.Trail) { t.Spec.S3KeyPrefix = "there" }),
			).To(beRefused("destination", ""))
		}
	})

	It("mean by all management events what controllers/coverage means", func(ctx SpecContext) {
		p := read(renderings["kustomize"](ctx))
		p.install(ctx)
		b, namespace := ways["write events only"], p.bind(ctx, "management-events")
		tenant := as(editor, nil)
		Eventually(func(ctx context.Context) error {
			t := trail(namespace)
			b.apply(t)
			return tenant.Create(ctx, t, client.DryRunAll)
		}).WithContext(ctx).WithTimeout(inForce).Should(beRefused(b.rule, b.message), "the policy is in force")

		seed := uint64(GinkgoRandomSeed())
		random, complete := rand.New(rand.NewPCG(seed, seed)), 0
		const trails = 600
		for range trails {
			t := trail(namespace)
			t.Spec.EventSelectors, t.Spec.AdvancedEventSelectors = randomSelectors(random)
			want := coverage.ManagementEvents(t.Spec.EventSelectors, t.Spec.AdvancedEventSelectors).Complete()
			err := tenant.Create(ctx, t, client.DryRunAll)
			Expect(err == nil).To(Equal(want), "%v\n%s", err, cmp.Diff(v1alpha1.TrailSpec{}, t.Spec))
			if err != nil {
				Expect(err).To(beRefused(b.rule, b.message))
				continue
			}
			complete++
		}
		Expect(complete).To(And(BeNumerically(">", trails/10), BeNumerically("<", trails-trails/10)), "both occur often")
	})
})

// manyAdvancedSelectors makes a spec as long as its schema lets it be. The last selector takes management events.
func manyAdvancedSelectors(s *v1alpha1.TrailSpec) {
	const selectors, fields = 99, 3
	for range selectors {
		selector := v1alpha1.AdvancedEventSelector{Name: strings.Repeat("n", 1000)}
		selector.FieldSelectors = []v1alpha1.AdvancedFieldSelector{
			{Field: "eventCategory", Equals: []string{"Data"}},
			{Field: "resources.type", Equals: []string{"AWS::S3::Object"}},
		}
		for i := range fields {
			selector.FieldSelectors = append(selector.FieldSelectors, v1alpha1.AdvancedFieldSelector{
				Field: fmt.Sprintf("resources.%d", i), StartsWith: []string{strings.Repeat("v", 2048)},
			})
		}
		s.AdvancedEventSelectors = append(s.AdvancedEventSelectors, selector)
	}
	s.AdvancedEventSelectors = append(s.AdvancedEventSelectors, v1alpha1.AdvancedEventSelector{
		FieldSelectors: []v1alpha1.AdvancedFieldSelector{{Field: "eventCategory", Equals: []string{"Management"}}},
	})
	manyTags(s)
}

// manySelectors does the same with basic event selectors.
func manySelectors(s *v1alpha1.TrailSpec) {
	for i := range 5 {
		var values []string
		for j := range 50 {
			values = append(values, fmt.Sprintf("arn:aws:s3:::%s/%d", strings.Repeat("v", 2000), j))
		}
		s.EventSelectors = append(s.EventSelectors, v1alpha1.EventSelector{
			IncludeManagementEvents: new(i == 4),
			DataResources:           []v1alpha1.DataResource{{Type: "AWS::S3::Object", Values: values}},
		})
	}
	manyTags(s)
}

// manyTags leaves room for one more.
func manyTags(s *v1alpha1.TrailSpec) {
	for i := len(s.Tags); i < 48; i++ {
		s.Tags = append(s.Tags, v1alpha1.Tag{Key: fmt.Sprintf("%d%s", i, strings.Repeat("k", 120)), Value: "v"})
	}
}

// randomSelectors returns event selectors of one kind or the other, of which about half take all management events.
func randomSelectors(random *rand.Rand) ([]v1alpha1.EventSelector, []v1alpha1.AdvancedEventSelector) {
	var (
		basic    []v1alpha1.EventSelector
		advanced []v1alpha1.AdvancedEventSelector
	)
	if random.IntN(2) == 0 {
		for range random.IntN(4) {
			basic = append(basic, randomBasic(random))
		}
		return basic, nil
	}

	for range random.IntN(4) {
		advanced = append(advanced, randomAdvanced(random))
	}
	return nil, advanced
}

func randomBasic(random *rand.Rand) v1alpha1.EventSelector {
	types := []v1alpha1.ReadWriteType{
		"",
		"All",
		v1alpha1.ReadOnly,
		v1alpha1.WriteOnly,
		v1alpha1.ReadOnly,
		v1alpha1.WriteOnly,
	}
	s := v1alpha1.EventSelector{ReadWriteType: types[random.IntN(len(types))]}
	if random.IntN(2) == 0 {
		s.IncludeManagementEvents = new(random.IntN(3) > 0)
	}
	switch random.IntN(8) {
	case 0:
		s.ExcludeManagementEventSources = []string{"kms.amazonaws.com"}
	case 1:
		s.ExcludeManagementEventSources = []string{}
	}
	return s
}

func randomAdvanced(random *rand.Rand) v1alpha1.AdvancedEventSelector {
	category, fields := "Management", []v1alpha1.AdvancedFieldSelector(nil)
	if random.IntN(5) == 0 {
		category = "Data"
		fields = append(fields, v1alpha1.AdvancedFieldSelector{Field: "resources.type", Equals: []string{"AWS::S3::Object"}})
	}
	fields = append(fields, v1alpha1.AdvancedFieldSelector{Field: "eventCategory", Equals: []string{category}})
	if random.IntN(2) == 0 {
		value := []string{"true", "false"}[random.IntN(2)]
		fields = append(fields, v1alpha1.AdvancedFieldSelector{Field: "readOnly", Equals: []string{value}})
	}
	if random.IntN(6) == 0 {
		fields = append(
			fields,
			v1alpha1.AdvancedFieldSelector{Field: "eventSource", NotEquals: []string{"kms.amazonaws.com"}},
		)
	}
	random.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return v1alpha1.AdvancedEventSelector{FieldSelectors: fields}
}
