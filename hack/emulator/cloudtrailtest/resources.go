package cloudtrailtest

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Bucket is an S3 bucket with what its policy lets CloudTrail do.
type Bucket struct {
	Name string `json:"name"`
	// Region is where the bucket is; "" leaves it open, and with it whether a key is in the same region.
	Region string `json:"region,omitempty"`
	// DenyCloudTrail is a policy that does not let CloudTrail in.
	DenyCloudTrail bool `json:"denyCloudTrail,omitempty"`
	// AllowedPrefixes are the key prefixes that the policy covers, "" being no prefix. Empty: every prefix.
	AllowedPrefixes []string `json:"allowedPrefixes,omitempty"`
	// AllowedTrailARNs are the values of the policy's aws:SourceArn condition. Empty: no such condition.
	AllowedTrailARNs []string `json:"allowedTrailARNs,omitempty"`
	// AccountID owns the bucket. "" leaves it open: then everybody may use it.
	AccountID string `json:"accountID,omitempty"`
	// AllowedPrincipals are who else the bucket's policy lets in, besides its own account: account ids, and ARNs of users,
	// roles and role sessions, which may end in *.
	AllowedPrincipals []string `json:"allowedPrincipals,omitempty"`
	// NoList lets nobody list the bucket. A missing object then answers AccessDenied, as one that may not be read.
	NoList bool `json:"noList,omitempty"`
}

// Topic is an SNS topic.
type Topic struct {
	ARN string `json:"arn"`
	// DenyCloudTrail is a policy that does not let CloudTrail publish.
	DenyCloudTrail bool `json:"denyCloudTrail,omitempty"`
}

// Key is a KMS key.
type Key struct {
	ARN string `json:"arn"`
	// Aliases are the key's aliases in its region and account, such as alias/trails.
	Aliases []string `json:"aliases,omitempty"`
	// DenyCloudTrail is a policy that does not let CloudTrail generate data keys.
	DenyCloudTrail bool `json:"denyCloudTrail,omitempty"`
	// Disabled answers KmsKeyDisabledException. The SDK says that this exception is no longer in use: see Unusable.
	Disabled bool `json:"disabled,omitempty"`
	// Unusable answers KmsException, as for a key that waits for its deletion.
	Unusable bool `json:"unusable,omitempty"`
}

// LogGroup is a CloudWatch Logs log group.
type LogGroup struct {
	// ARN is the log group's ARN, with or without the trailing :*.
	ARN string `json:"arn"`
}

// LogRole is a role for CloudTrail to write to a log group with.
type LogRole struct {
	ARN string `json:"arn"`
	// DenyCloudTrail is a trust policy without cloudtrail.amazonaws.com: InvalidCloudWatchLogsRoleArnException.
	DenyCloudTrail bool `json:"denyCloudTrail,omitempty"`
	// DenyLogs is a role that may not create log streams or put events: AWS answers
	// InvalidCloudWatchLogsLogGroupArnException.
	DenyLogs bool `json:"denyLogs,omitempty"`
}

// registry holds resources of one kind. In an open world, what was deleted is remembered as gone.
type registry[T any] struct {
	known map[string]T
	gone  map[string]bool
}

func newRegistry[T any]() registry[T] {
	return registry[T]{known: map[string]T{}, gone: map[string]bool{}}
}

func (r registry[T]) put(id string, v T) {
	r.known[id] = v
	delete(r.gone, id)
}

func (r registry[T]) remove(id string) {
	delete(r.known, id)
	r.gone[id] = true
}

// get returns the resource and whether it exists; in an open world, everything does that was not deleted.
func (r registry[T]) get(id string, open bool) (v T, exists bool) {
	v, exists = r.known[id]
	return v, exists || open && !r.gone[id]
}

func (r registry[T]) list() []T {
	ids := make([]string, 0, len(r.known))
	for id := range r.known {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	out := make([]T, 0, len(ids))
	for _, id := range ids {
		out = append(out, r.known[id])
	}
	return out
}

type resources struct {
	buckets   registry[Bucket]
	topics    registry[Topic]
	keys      registry[Key]
	aliases   map[string]string // alias ARN → key ARN
	logGroups registry[LogGroup]
	logRoles  registry[LogRole]
}

func newResources() resources {
	return resources{
		buckets: newRegistry[Bucket](), topics: newRegistry[Topic](), keys: newRegistry[Key](), aliases: map[string]string{},
		logGroups: newRegistry[LogGroup](), logRoles: newRegistry[LogRole](),
	}
}

// PutBucket creates or replaces a bucket.
func (s *Server) PutBucket(b Bucket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver()
	s.resources.buckets.put(b.Name, b)
}

// DeleteBucket makes the bucket not exist, with OpenResources too. What is in it is there again with the bucket.
func (s *Server) DeleteBucket(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver()
	s.resources.buckets.remove(name)
}

// PutTopic creates or replaces a topic.
func (s *Server) PutTopic(t Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resources.topics.put(t.ARN, t)
}

// DeleteTopic makes the topic not exist, with OpenResources too.
func (s *Server) DeleteTopic(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resources.topics.remove(arn)
}

// PutKey creates or replaces a key with its aliases.
func (s *Server) PutKey(k Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropAliases(k.ARN)
	s.resources.keys.put(k.ARN, k)
	for _, alias := range k.Aliases {
		s.resources.aliases[aliasARN(k.ARN, alias)] = k.ARN
	}
}

// DeleteKey makes the key and its aliases not exist, with OpenResources too.
func (s *Server) DeleteKey(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropAliases(arn)
	s.resources.keys.remove(arn)
}

func (s *Server) dropAliases(keyARN string) {
	for _, alias := range s.resources.keys.known[keyARN].Aliases {
		delete(s.resources.aliases, aliasARN(keyARN, alias))
	}
}

func aliasARN(keyARN, alias string) string {
	a, _ := parseARN(keyARN)
	a.resource = "alias/" + strings.TrimPrefix(alias, "alias/")
	return a.String()
}

// PutLogGroup creates a log group.
func (s *Server) PutLogGroup(g LogGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resources.logGroups.put(strings.TrimSuffix(g.ARN, ":*"), g)
}

// DeleteLogGroup makes the log group not exist, with OpenResources too.
func (s *Server) DeleteLogGroup(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resources.logGroups.remove(strings.TrimSuffix(arn, ":*"))
}

// PutLogRole creates or replaces a role for CloudWatch Logs.
func (s *Server) PutLogRole(r LogRole) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resources.logRoles.put(r.ARN, r)
}

// DeleteLogRole makes the role not exist, with OpenResources too.
func (s *Server) DeleteLogRole(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resources.logRoles.remove(arn)
}

// checkResources asks everything that the settings point to, as CreateTrail and UpdateTrail do before they change
// anything.
func (s *Server) checkResources(t *trail, cfg settings) error {
	if err := s.checkBucket(t.arn, cfg); err != nil {
		return err
	}
	if cfg.topicARN != "" {
		if topic, ok := s.resources.topics.get(cfg.topicARN, s.opts.OpenResources); !ok || topic.DenyCloudTrail {
			return fail("InsufficientSnsTopicPolicyException", "SNS Topic does not exist or the topic policy is incorrect!")
		}
	}
	if err := s.checkKey(cfg); err != nil {
		return err
	}
	return s.checkLogs(cfg)
}

func (s *Server) checkBucket(trailARN string, cfg settings) error {
	bucket, ok := s.resources.buckets.get(cfg.bucket, s.opts.OpenResources)
	switch {
	case !ok:
		return fail("S3BucketDoesNotExistException", "S3 bucket %s does not exist!", cfg.bucket)
	case bucket.DenyCloudTrail,
		len(bucket.AllowedPrefixes) > 0 && !slices.Contains(bucket.AllowedPrefixes, cfg.prefix),
		len(bucket.AllowedTrailARNs) > 0 && !slices.Contains(bucket.AllowedTrailARNs, trailARN):
		return fail(
			"InsufficientS3BucketPolicyException",
			"Incorrect S3 bucket policy is detected for bucket: %s",
			cfg.bucket,
		)
	}
	return nil
}

func (s *Server) checkKey(cfg settings) error {
	if cfg.keyARN == "" {
		return nil
	}

	key, ok := s.resources.keys.get(cfg.keyARN, s.opts.OpenResources)
	bucket := s.resources.buckets.known[cfg.bucket]
	a, _ := parseARN(cfg.keyARN)
	switch {
	case !ok:
		return fail("KmsKeyNotFoundException", "KMS key %s is not found.", cfg.keyARN)
	case bucket.Region != "" && bucket.Region != a.region:
		return fail(
			"KmsKeyNotFoundException",
			"The KMS key %s and the S3 bucket %s are not in the same Region.",
			cfg.keyARN,
			cfg.bucket,
		)
	case key.Disabled:
		return fail("KmsKeyDisabledException", "KMS key %s is disabled.", cfg.keyARN)
	case key.Unusable:
		return fail("KmsException", "There is an issue with the KMS key %s.", cfg.keyARN)
	case key.DenyCloudTrail:
		return fail(
			"InsufficientEncryptionPolicyException",
			"Insufficient permissions to access S3 bucket %s or KMS key %s.",
			cfg.bucket,
			cfg.keyARN,
		)
	}

	return nil
}

func (s *Server) checkLogs(cfg settings) error {
	if cfg.logGroupARN == "" {
		return nil
	}
	if _, ok := s.resources.logGroups.get(strings.TrimSuffix(cfg.logGroupARN, ":*"), s.opts.OpenResources); !ok {
		return fail("InvalidCloudWatchLogsLogGroupArnException", "Check the log group ARN: CloudTrail can't validate it.")
	}
	role, ok := s.resources.logRoles.get(cfg.logRoleARN, s.opts.OpenResources)
	switch {
	case !ok || role.DenyCloudTrail:
		return fail("InvalidCloudWatchLogsRoleArnException", "Access denied. Check the trust relationships for your role.")
	case role.DenyLogs:
		return fail("InvalidCloudWatchLogsLogGroupArnException", "Access denied. Check the permissions for your role.")
	}
	return nil
}

var (
	keyID     = regexp.MustCompile(`^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$`)
	aliasName = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`)
)

// resolveKey turns what KmsKeyId may be (id, key ARN, alias, alias ARN) into the key's ARN, with which AWS answers. An
// id or alias is one of the caller's account and region.
func (s *Server) resolveKey(c *call, id string) (string, error) {
	invalid := fail("InvalidKmsKeyIdException", "The KMS key ID %s is not valid.", id)
	a := arn{c.partition, "kms", c.region, c.account, id}
	switch {
	case strings.HasPrefix(id, "arn:"):
		var ok bool
		if a, ok = parseARN(
			id,
		); !ok || a.service != "kms" || a.partition != c.partition || a.region == "" ||
			!accountID.MatchString(a.account) {
			return "", invalid
		}
	case strings.HasPrefix(id, "alias/"):
	default:
		a.resource = "key/" + id
	}

	if key, isKey := strings.CutPrefix(a.resource, "key/"); isKey {
		if !keyID.MatchString(key) {
			return "", invalid
		}
		return a.String(), nil
	}

	if !aliasName.MatchString(a.resource) {
		return "", invalid
	}
	if target, ok := s.resources.aliases[a.String()]; ok {
		return target, nil
	}
	if !s.opts.OpenResources {
		return "", fail("KmsKeyNotFoundException", "KMS key %s is not found.", id)
	}

	// In an open world an alias leads to the same key whenever it is asked for.
	sum := sha256.Sum256([]byte(a.String()))
	a.resource = fmt.Sprintf("key/%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	return a.String(), nil
}
