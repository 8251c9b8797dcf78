package awsidentity

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// User is an object that uses an identity.
type User struct {
	// Namespace of the object, and the name of its Identity.
	Namespace, Identity string
	// Region that it wants to call; "" for the operator's own.
	Region string
}

// Enter returns CloudTrail in the user's region as its identity, and where and as whom that is, as far as it is known
// also with an error. The error is a *AccessError when the user may not call AWS, which is not called for it then; else
// it is one of the session.
func Enter(
	ctx context.Context,
	reader client.Reader,
	sessions *cloudtrail.Sessions,
	user User,
) (cloudtrail.Caller, *cloudtrail.Region, error) {
	caller := cloudtrail.Caller{Region: cmp.Or(user.Region, sessions.DefaultRegion())}
	identity, err := Access(ctx, reader, user.Identity, user.Namespace)
	if err != nil {
		return caller, nil, err
	}
	caller.ARN = cmp.Or(identity.Spec.RoleARN, "the operator's own credentials")
	if err := allowsRegion(identity, caller); err != nil {
		return caller, nil, err
	}

	session, err := sessions.Open(ctx, identity)
	if err != nil {
		return caller, nil, err
	}
	caller.AccountID, caller.ARN = session.AccountID, session.ARN()
	if err := allowsRegion(identity, caller); err != nil {
		return caller, nil, err
	}
	return caller, session.Region(caller.Region), nil
}

// allowsRegion returns a *AccessError when the identity must not be used in the caller's region, or cannot.
func allowsRegion(identity *v1alpha1.AWSIdentity, caller cloudtrail.Caller) error {
	switch {
	case caller.Region == "":
		return &AccessError{
			Reason:  v1alpha1.ReasonRegionUnknown,
			Message: "no region: recreate the object with spec.region, or start the operator with --aws-region or AWS_REGION",
		}
	case !identity.Spec.AllowsRegion(caller.Region):
		return &AccessError{
			Reason: v1alpha1.ReasonRegionNotAllowed,
			Message: fmt.Sprintf("AWSIdentity %q does not allow region %s: ask an administrator to allow it in "+
				"spec.allowedRegions, or recreate the object in one of: %s",
				identity.Name, caller.Region, strings.Join(identity.Spec.AllowedRegions, ", ")),
		}
	case !cloudtrail.InPartition(caller.ARN, caller.Region):
		return &AccessError{
			Reason: v1alpha1.ReasonRegionNotAllowed,
			Message: fmt.Sprintf("the AWS partition of AWSIdentity %q (%s) has no region %s: "+
				"recreate the object in one of its regions", identity.Name, caller.ARN, caller.Region),
		}
	default:
		return nil
	}
}

// AccessError says why a namespace cannot use an identity. It is an error that only a change of the object, of the
// identity or of the namespace can end.
type AccessError struct {
	// Reason is a condition reason, such as NamespaceNotAllowed.
	Reason string
	// Message tells what to change.
	Message string
}

// Error returns the message.
func (r *AccessError) Error() string { return r.Message }

// Access returns the identity of that name if objects of the namespace may use it, a *AccessError if they may not.
// What is not allowed is forbidden: an identity without allowedNamespaces serves nobody.
func Access(ctx context.Context, reader client.Reader, name, namespace string) (*v1alpha1.AWSIdentity, error) {
	identity := &v1alpha1.AWSIdentity{}
	err := reader.Get(ctx, client.ObjectKey{Name: name}, identity)
	if apierrors.IsNotFound(err) {
		return nil, &AccessError{
			Reason:  v1alpha1.ReasonIdentityNotFound,
			Message: fmt.Sprintf("AWSIdentity %q does not exist: create it, or name another one in spec.identityRef", name),
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading AWSIdentity %s: %w", name, err)
	}

	allowed, err := allows(ctx, reader, identity, namespace)
	if err != nil {
		return nil, err
	}
	if !allowed {
		return nil, &AccessError{
			Reason: v1alpha1.ReasonNamespaceNotAllowed,
			Message: fmt.Sprintf("AWSIdentity %q does not allow namespace %q: ask an administrator to allow it in "+
				"spec.allowedNamespaces, or name another one in spec.identityRef", name, namespace),
		}
	}
	return identity, nil
}

func allows(ctx context.Context, reader client.Reader, identity *v1alpha1.AWSIdentity, namespace string) (bool, error) {
	switch allowed := identity.Spec.AllowedNamespaces; {
	case allowed == nil:
		return false, nil
	case allowed.From == v1alpha1.NamespacesFromAll:
		return true, nil
	case allowed.From == v1alpha1.NamespacesFromSelector && allowed.Selector != nil:
		return matches(ctx, reader, identity, namespace)
	default:
		return false, nil
	}
}

func matches(
	ctx context.Context,
	reader client.Reader,
	identity *v1alpha1.AWSIdentity,
	namespace string,
) (bool, error) {
	wanted, err := metav1.LabelSelectorAsSelector(identity.Spec.AllowedNamespaces.Selector)
	if err != nil {
		return false, &AccessError{
			Reason: v1alpha1.ReasonNamespaceNotAllowed,
			Message: fmt.Sprintf("AWSIdentity %q does not allow namespace %q, "+
				"because its spec.allowedNamespaces.selector is not valid: %v", identity.Name, namespace, err),
		}
	}

	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	// Nothing here writes Namespaces, so there is no own write to wait for. For that, the client would watch them, even
	// where it may not.
	err = reader.Get(ctx, client.ObjectKey{Name: namespace}, object, client.DisableReadYourWritesConsistency)
	if err != nil {
		return false, fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	return wanted.Matches(labels.Set(object.Labels)), nil
}
