package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/trail-operator/trail-operator/hack/sandbox"
)

// requests returns what a user asked of the API server, from this byte of the audit log on.
func (c *cluster) requests(user string, from int64) []auditv1.Event {
	GinkgoHelper()
	file, err := os.Open(c.audit)
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(file.Close()).To(Succeed()) }()
	_, err = file.Seek(from, io.SeekStart)
	Expect(err).NotTo(HaveOccurred())

	var events []auditv1.Event
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if !bytes.Contains(scanner.Bytes(), []byte(user)) {
			continue
		}
		var event auditv1.Event
		Expect(json.Unmarshal(scanner.Bytes(), &event)).To(Succeed())
		if event.User.Username == user && event.ObjectRef != nil {
			events = append(events, event)
		}
	}
	Expect(scanner.Err()).NotTo(HaveOccurred())
	return events
}

// auditEnd is where the audit log ends now.
func (c *cluster) auditEnd() int64 {
	GinkgoHelper()
	info, err := os.Stat(c.audit)
	Expect(err).NotTo(HaveOccurred())
	return info.Size()
}

// forbidden are the requests that RBAC refused.
func forbidden(events []auditv1.Event) []string {
	refused := map[string]bool{}
	for _, event := range events {
		if event.Annotations["authorization.k8s.io/decision"] == "forbid" {
			refused[fmt.Sprintf("%s %s", event.Verb, event.RequestURI)] = true
		}
	}
	return slices.Sorted(maps.Keys(refused))
}

// A right is one verb on one resource that a role gives.
type right struct {
	// source is how the API server notes whence the right comes.
	source                      string
	group, resource, name, verb string
}

// rightsIn are the rights that rendered manifests give the operator.
func rightsIn(manifests string) []right {
	GinkgoHelper()
	roles := map[string][]rbacv1.PolicyRule{}
	sources := map[string]string{}
	objects, err := sandbox.Objects([]byte(manifests))
	Expect(err).NotTo(HaveOccurred())
	for _, object := range objects {
		kind, namespace := object.GetKind(), object.GetNamespace()
		switch kind {
		case "ClusterRole", "Role":
			var role rbacv1.ClusterRole // A Role has the same rules.
			Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role)).To(Succeed())
			roles[kind+" "+namespace+"/"+object.GetName()] = role.Rules
		case "ClusterRoleBinding", "RoleBinding":
			var binding rbacv1.ClusterRoleBinding // A RoleBinding has the same fields.
			Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &binding)).To(Succeed())
			if slices.ContainsFunc(
				binding.Subjects,
				func(s rbacv1.Subject) bool { return s.Kind == "ServiceAccount" && s.Name == release },
			) {
				name := binding.Name
				if kind == "RoleBinding" {
					name += "/" + namespace
				}
				sources[binding.RoleRef.Kind+" "+namespace+"/"+binding.RoleRef.Name] =
					fmt.Sprintf("RBAC: allowed by %s %q of %s %q ", kind, name, binding.RoleRef.Kind, binding.RoleRef.Name)
			}
		}
	}
	var rights []right
	for role, source := range sources {
		Expect(roles).To(HaveKey(role), "a binding names a role that the chart does not have")
		for _, rule := range roles[role] {
			names := rule.ResourceNames
			if len(names) == 0 {
				names = []string{""}
			}
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, name := range names {
						for _, verb := range rule.Verbs {
							rights = append(rights, right{source, group, resource, name, verb})
						}
					}
				}
			}
		}
	}
	return rights
}

// uses tells whether a request needed the right.
func (r right) uses(event auditv1.Event) bool {
	resource := event.ObjectRef.Resource
	if event.ObjectRef.Subresource != "" {
		resource += "/" + event.ObjectRef.Subresource
	}
	return event.Verb == r.verb && event.ObjectRef.APIGroup == r.group && resource == r.resource &&
		(r.name == "" || r.name == event.ObjectRef.Name) &&
		strings.HasPrefix(event.Annotations["authorization.k8s.io/reason"], r.source)
}

// unused are the rights that no request needed.
func unused(rights []right, events []auditv1.Event) []string {
	var idle []string
	for _, r := range rights {
		if !slices.ContainsFunc(events, r.uses) {
			idle = append(
				idle,
				fmt.Sprintf(
					"%s %s.%s %s (%s)",
					r.verb,
					r.resource,
					r.group,
					r.name,
					strings.TrimPrefix(r.source, "RBAC: allowed by "),
				),
			)
		}
	}
	slices.Sort(idle)
	return idle
}
