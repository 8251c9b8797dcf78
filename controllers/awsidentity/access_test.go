package awsidentity

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// clientWith returns a client that holds an identity "default" with these allowed namespaces, and the namespaces "prod"
// with the label tier=prod and "dev" without.
func clientWith(t *testing.T, allowed *v1alpha1.AllowedNamespaces) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	namespace := func(name string, labels map[string]string) *corev1.Namespace {
		labels["kubernetes.io/metadata.name"] = name // As the API server does.
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&v1alpha1.AWSIdentity{
			ObjectMeta: metav1.ObjectMeta{Name: "default"},
			Spec:       v1alpha1.AWSIdentitySpec{AllowedNamespaces: allowed},
		},
		namespace("prod", map[string]string{"tier": "prod"}), namespace("dev", map[string]string{}),
	).Build()
}

func selects(selector *metav1.LabelSelector) *v1alpha1.AllowedNamespaces {
	return &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromSelector, Selector: selector}
}

// TestAccess is the table of who may use an identity. What is not allowed is forbidden.
func TestAccess(t *testing.T) {
	t.Parallel()
	expression := func(key string, operator metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
		return &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: operator, Values: values}},
		}
	}
	labels := func(key, value string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
	const nameLabel = "kubernetes.io/metadata.name"
	somethingNew := &v1alpha1.AllowedNamespaces{From: "Some", Selector: labels("tier", "prod")}
	for name, c := range map[string]struct {
		allowed   *v1alpha1.AllowedNamespaces
		prod, dev bool
	}{
		"nobody":                     {nil, false, false},
		"nothing said":               {&v1alpha1.AllowedNamespaces{}, false, false},
		"all":                        {&v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}, true, true},
		"something new":              {somethingNew, false, false},
		"a selector that is missing": {selects(nil), false, false},
		"an empty selector":          {selects(&metav1.LabelSelector{}), true, true},
		"by label":                   {selects(labels("tier", "prod")), true, false},
		"by another value":           {selects(labels("tier", "test")), false, false},
		"by name":                    {selects(labels(nameLabel, "dev")), false, true},
		"by expression":              {selects(expression("tier", metav1.LabelSelectorOpDoesNotExist)), false, true},
		"by a list":                  {selects(expression(nameLabel, metav1.LabelSelectorOpIn, "dev", "prod")), true, true},
		"by nonsense":                {selects(expression("tier", "Resembles", "prod")), false, false},
	} {
		for namespace, may := range map[string]bool{"prod": c.prod, "dev": c.dev} {
			t.Run(name+", "+namespace, func(t *testing.T) {
				t.Parallel()
				g := NewWithT(t)
				identity, err := Access(t.Context(), clientWith(t, c.allowed), "default", namespace)
				if may {
					g.Expect(err).NotTo(HaveOccurred())
					g.Expect(identity.Name).To(Equal("default"))
					return
				}
				var refusal *AccessError
				g.Expect(errors.As(err, &refusal)).To(BeTrue())
				g.Expect(refusal.Reason).To(Equal(v1alpha1.ReasonNamespaceNotAllowed))
				g.Expect(refusal.Message).
					To(And(ContainSubstring(`"default"`), ContainSubstring(namespace), ContainSubstring("spec.allowedNamespaces")))
				g.Expect(identity).To(BeNil(), "who is refused gets nothing")
			})
		}
	}
}

func TestAccessToNothing(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	_, err := Access(t.Context(), clientWith(t, nil), "prod", "dev")
	var refusal *AccessError
	g.Expect(errors.As(err, &refusal)).To(BeTrue())
	g.Expect(refusal.Reason).To(Equal(v1alpha1.ReasonIdentityNotFound))
	g.Expect(refusal).To(MatchError(ContainSubstring(`AWSIdentity "prod" does not exist`)))
}

// TestAccessUnknown holds that what could not be read is neither allowed nor refused: it is asked again.
func TestAccessUnknown(t *testing.T) {
	t.Parallel()
	unreadable := errors.New("etcdserver: request timed out")
	failOn := func(failing string) interceptor.Funcs {
		return interceptor.Funcs{
			Get: func(
				ctx context.Context, c client.WithWatch, key client.ObjectKey,
				object client.Object, options ...client.GetOption,
			) error {
				if key.Name == failing {
					return unreadable
				}
				return c.Get(ctx, key, object, options...)
			},
		}
	}
	everybody := selects(&metav1.LabelSelector{})
	for name, c := range map[string]struct {
		failing, namespace string
		err                error
	}{
		"the identity":           {"default", "prod", unreadable},
		"the namespace":          {"prod", "prod", unreadable},
		"a namespace that is no": {"", "gone", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			identity, err := Access(t.Context(),
				interceptor.NewClient(clientWith(t, everybody), failOn(c.failing)), "default", c.namespace)
			g.Expect(err).To(HaveOccurred())
			if c.err != nil {
				g.Expect(err).To(MatchError(c.err))
			}
			var refusal *AccessError
			g.Expect(errors.As(err, &refusal)).To(BeFalse())
			g.Expect(identity).To(BeNil())
		})
	}
	t.Run("all need no look at the namespace", func(t *testing.T) {
		t.Parallel()
		all := &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}
		_, err := Access(t.Context(), interceptor.NewClient(clientWith(t, all), failOn("prod")), "default", "prod")
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
	})
}

// TestRegions is the table of the regions that an identity may be used in. It holds before anybody is asked, as far as
// it is known whose the credentials are.
func TestRegions(t *testing.T) {
	t.Parallel()
	const own, refused = "the operator's own credentials", v1alpha1.ReasonRegionNotAllowed
	role := func(partition string) string { return "arn:" + partition + ":iam::111122223333:role/r" }
	for name, c := range map[string]struct {
		allowed        []string
		region, caller string
		reason         string
	}{
		"any":                            {nil, "eu-west-1", role("aws"), ""},
		"one of the list":                {[]string{"us-east-1", "eu-west-1"}, "eu-west-1", role("aws"), ""},
		"none of the list":               {[]string{"us-east-1", "eu-west-1"}, "eu-central-1", role("aws"), refused},
		"like one of the list":           {[]string{"us-east-1"}, "us-east-10", own, refused},
		"none of the list, nobody knows": {[]string{"us-east-1"}, "eu-west-1", own, refused},
		"of another partition":           {nil, "us-east-1", role("aws-cn"), refused},
		"of its partition":               {nil, "cn-north-1", role("aws-cn"), ""},
		"of the list, but not its own":   {[]string{"us-east-1"}, "us-east-1", role("aws-us-gov"), refused},
		"not known":                      {nil, "", role("aws"), v1alpha1.ReasonRegionUnknown},
		"not known, with a list":         {[]string{"us-east-1"}, "", own, v1alpha1.ReasonRegionUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "payments"}}
			identity.Spec.AllowedRegions = c.allowed
			err := allowsRegion(identity, cloudtrail.Caller{Region: c.region, ARN: c.caller})
			if c.reason == "" {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			var refusal *AccessError
			g.Expect(errors.As(err, &refusal)).To(BeTrue(), "%v", err)
			g.Expect(refusal.Reason).To(Equal(c.reason))
			if c.reason == v1alpha1.ReasonRegionNotAllowed {
				g.Expect(refusal.Message).To(And(ContainSubstring("payments"), ContainSubstring(c.region)))
			}
		})
	}
}
