package export

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// found is all that AWS holds of a trail.
type found struct {
	cloudtrail.Trail
	selectors    cloudtrail.Selectors
	insights     []v1alpha1.InsightSelector
	aggregations []v1alpha1.AggregationConfiguration
	isLogging    bool
}

// manifest is an object to print, with remarks on what was chosen for it.
type manifest struct {
	object  any
	remarks []string
}

// maxTags is how many tags a Trail may have: AWS allows one more, the owner tag.
const maxTags = 49

// trailManifest returns the Trail that describes what was found.
func trailManifest(f found, name, identity string, o Options) manifest {
	m := manifest{}
	spec := v1alpha1.TrailSpec{
		Region:                    f.HomeRegion,
		S3BucketName:              f.S3BucketName,
		S3KeyPrefix:               f.S3KeyPrefix,
		SNSTopicName:              f.SNSTopicARN,
		KMSKeyID:                  f.KMSKeyARN,
		CloudWatchLogsLogGroupARN: f.CloudWatchLogsLogGroupARN,
		CloudWatchLogsRoleARN:     f.CloudWatchLogsRoleARN,
		InsightSelectors:          f.insights,
		AggregationConfigurations: f.aggregations,
		AdoptionPolicy:            v1alpha1.AdoptionPolicyIfUnowned,
	}

	if f.Name != name {
		spec.Name = f.Name
	}
	if identity != v1alpha1.DefaultIdentityName {
		spec.IdentityRef = &v1alpha1.IdentityReference{Name: identity}
	}
	if o.Observe {
		spec.ManagementPolicy = v1alpha1.ManagementPolicyObserve
	}

	// A GitOps engine reverts only the fields that Git contains, so what keeps a trail recording is always spelled out.
	spec.Logging, spec.Suspend = new(f.isLogging), new(false)
	if !f.isLogging {
		m.remarks = append(m.remarks, "logging: false, because the trail is stopped; set it to true to start logging.")
	}

	// Of the rest, only what differs from AWS's defaults is.
	spec.IncludeGlobalServiceEvents = unless(f.IncludeGlobalServiceEvents, true)
	spec.IsMultiRegionTrail = unless(f.IsMultiRegionTrail, false)
	spec.EnableLogFileValidation = unless(f.EnableLogFileValidation, false)
	spec.IsOrganizationTrail = unless(f.IsOrganizationTrail, false)
	if f.HasEventSelectors != nil && *f.HasEventSelectors {
		spec.EventSelectors, spec.AdvancedEventSelectors = f.selectors.Basic, f.selectors.Advanced
	}
	spec.Tags, m.remarks = tags(f, m.remarks)

	m.object = &v1alpha1.Trail{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Trail"},
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: name},
		Spec:       spec,
	}
	return m
}

// unless returns the value, nil when it is the default.
func unless(value, standard bool) *bool {
	if value == standard {
		return nil
	}
	return &value
}

// tags returns the tags that a spec may hold, and remarks on the others, which stay on the trail all the same.
func tags(f found, remarks []string) ([]v1alpha1.Tag, []string) {
	if f.TagsErr != nil {
		return nil, append(remarks, fmt.Sprintf("tags: left out, because they could not be read (%q).", f.TagsErr.Error()))
	}

	var list []v1alpha1.Tag
	for _, key := range slices.Sorted(maps.Keys(f.Tags)) {
		switch {
		case key == v1alpha1.OwnerTagKey:
			remarks = append(remarks,
				fmt.Sprintf("The trail belongs to %q. adoptionPolicy: Always would take it over.", f.Tags[key]))
		case strings.HasPrefix(strings.ToLower(key), "aws:"), strings.HasPrefix(key, "trail-operator.dev/"):
			remarks = append(remarks, fmt.Sprintf("tags: without %q, which is reserved; it stays on the trail.", key))
		case len(list) == maxTags:
			remarks = append(
				remarks,
				fmt.Sprintf("tags: without %q, because AWS allows 50 tags and the operator's owner tag is one of them; "+
					"remove a tag before you apply this.", key),
			)
		default:
			list = append(list, v1alpha1.Tag{Key: key, Value: f.Tags[key]})
		}
	}
	return list, remarks
}

// identityManifest returns the AWSIdentity for a role.
func identityManifest(name, roleARN string) manifest {
	return manifest{
		object: &v1alpha1.AWSIdentity{
			TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AWSIdentity"},
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: v1alpha1.AWSIdentitySpec{
				RoleARN:           roleARN,
				AllowedNamespaces: &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll},
			},
		},
		remarks: []string{
			"allowedNamespaces: All is the export's default; narrow it to the namespaces that may use this account.",
		},
	}
}

var (
	notInName  = regexp.MustCompile(`[^a-z0-9.-]+`)
	sideBySide = regexp.MustCompile(`[.-]{2,}`)
)

// AWS's greatest lengths; what an object's name is made of stays below Kubernetes' 253 characters.
const maxTrailName, maxRegion, maxAccountID = 128, 32, 12

// names gives each trail an object name of its own: the trail's name where that is one, and else what is left of it.
type names map[string]bool

func (n names) of(trail cloudtrail.Trail) string {
	name := cmp.Or(inName(trail.Name, maxTrailName), "trail")
	inRegion := join(name, inName(trail.HomeRegion, maxRegion))
	inAccount := join(inRegion, inName(trail.AccountID(), maxAccountID))
	for _, candidate := range []string{name, inRegion, inAccount} {
		if !n[candidate] {
			n[candidate] = true
			return candidate
		}
	}
	for i := 2; ; i++ {
		if candidate := join(inAccount, strconv.Itoa(i)); !n[candidate] {
			n[candidate] = true
			return candidate
		}
	}
}

// inName returns what of a text can be in an object's name, at most limit characters.
func inName(text string, limit int) string {
	text = sideBySide.ReplaceAllString(notInName.ReplaceAllString(strings.ToLower(text), "-"), "-")
	return strings.Trim(text[:min(len(text), limit)], ".-")
}

// join joins two parts of a name; the second may be empty.
func join(name, part string) string { return strings.TrimSuffix(name+"-"+part, "-") }

// print returns a manifest as a YAML document, its remarks as comments above it.
func (m manifest) print() (string, error) {
	content, err := encode(m.object)
	if err != nil {
		return "", fmt.Errorf("printing a manifest: %w", err)
	}
	var b strings.Builder
	b.WriteString("---\n")
	for _, remark := range m.remarks {
		b.WriteString(comment(remark))
	}
	b.WriteString(content)
	return b.String(), nil
}
