package cloudtrailtest

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// createTrail makes a trail. It does not log until StartLogging.
func (s *Server) createTrail(c *call) (map[string]any, error) {
	in := c.params
	name := in.text("Name")
	cfg := settings{globalEvents: true}
	change := readChange(in)
	tags, _ := in.structures("TagsList")
	newTags := readTags(tags)
	if err := in.problem(); err != nil {
		return nil, err
	}
	if err := validTrailName(name); err != nil {
		return nil, err
	}

	if change.bucket == nil {
		change.bucket = new(string)
	}

	owner := c.account
	if deref(change.orgTrail) {
		var err error
		if owner, err = s.org.trailOwner(c.account); err != nil {
			return nil, err
		}
	}
	if err := s.apply(c, owner, &cfg, change); err != nil {
		return nil, err
	}

	tagSet := map[string]*string{}
	if err := addTo(tagSet, newTags); err != nil {
		return nil, err
	}
	t := &trail{
		arn: trailARN(c.region, owner, name), name: name, home: c.region, owner: owner, createdBy: c.account,
		settings: cfg, tags: tagSet, created: c.now, updated: c.now,
	}

	if err := s.vacant(t, t.multiRegion); err != nil {
		return nil, err
	}
	if err := s.withinQuota(t, c.region, t.multiRegion); err != nil {
		return nil, err
	}
	if err := s.checkResources(t, cfg); err != nil {
		return nil, err
	}

	c.trail = t
	return s.commit(c, nil, t).settingsFields(), nil
}

// updateTrail changes the settings that the request names and leaves the others.
func (s *Server) updateTrail(c *call) (map[string]any, error) {
	change := readChange(c.params)
	ident := c.params.text("Name")
	if err := c.params.problem(); err != nil {
		return nil, err
	}

	t, err := s.find(c, ident, toWrite)
	if err != nil {
		return nil, err
	}
	if change.orgTrail != nil && *change.orgTrail != t.orgTrail {
		if err := s.mayConvert(c.account); err != nil {
			return nil, err
		}
	}

	cfg := t.settings
	if err := s.apply(c, t.owner, &cfg, change); err != nil {
		return nil, err
	}
	if cfg.multiRegion && !t.multiRegion {
		if err := s.vacant(t, true); err != nil {
			return nil, err
		}
		if err := s.withinQuota(t, "", true); err != nil {
			return nil, err
		}
	}
	if err := s.checkResources(t, cfg); err != nil {
		return nil, err
	}

	n := *t
	n.settings, n.updated = cfg, c.now
	return s.commit(c, t, &n).settingsFields(), nil
}

// mayConvert says whether an account may turn a trail into an organization trail or back: "only the management
// account".
func (s *Server) mayConvert(account string) error {
	owner, err := s.org.trailOwner(account)
	if err == nil && owner != account {
		err = fail(
			"NotOrganizationMasterAccountException",
			"Only the management account can convert a trail to or from an organization trail.",
		)
	}
	return err
}

// deleteTrail deletes a trail with everything that belongs to it.
func (s *Server) deleteTrail(c *call) (map[string]any, error) {
	t, err := s.named(c, "Name", toWrite)
	if err != nil {
		return nil, err
	}
	s.commit(c, t, nil)
	return nil, nil
}

// startLogging starts logging. There is no error for a trail that is logging already.
func (s *Server) startLogging(c *call) (map[string]any, error) {
	t, err := s.named(c, "Name", toWrite)
	if err != nil {
		return nil, err
	}
	n := *t
	if !t.logging || s.opts.RepeatedCallsMoveTimes {
		n.delivery = s.delivered(t, c.now)
		n.logging, n.started = true, c.now
	}
	s.commit(c, t, &n)
	return nil, nil
}

// stopLogging stops logging. There is no error for a trail that is not logging.
func (s *Server) stopLogging(c *call) (map[string]any, error) {
	t, err := s.named(c, "Name", toWrite)
	if err != nil {
		return nil, err
	}
	n := *t
	if t.logging || s.opts.RepeatedCallsMoveTimes {
		n.delivery = s.delivered(t, c.now)
		n.logging, n.stopped = false, c.now
	}
	s.commit(c, t, &n)
	return nil, nil
}

// named finds the trail that the request's only interesting member names.
func (s *Server) named(c *call, member string, want access) (*trail, error) {
	ident := c.params.text(member)
	if err := c.params.problem(); err != nil {
		return nil, err
	}
	return s.find(c, ident, want)
}

// getTrail returns one trail's settings.
func (s *Server) getTrail(c *call) (map[string]any, error) {
	t, err := s.named(c, "Name", toRead)
	if err != nil {
		return nil, err
	}
	if s.fresh(t, c.now) {
		return nil, unknownTrail(t.arn, c.account)
	}
	return map[string]any{"Trail": t.fields()}, nil
}

// describeTrails returns the settings of the trails in this region, or of those that are named. Names mean trails of
// this account and region only; what is not found is left out.
func (s *Server) describeTrails(c *call) (map[string]any, error) {
	includeShadows := c.params.flag("includeShadowTrails")
	idents, _ := c.params.texts("trailNameList")
	if err := c.params.problem(); err != nil {
		return nil, err
	}

	var found []*trail
	if len(idents) == 0 {
		found = s.visibleTo(c)
	}
	seen := map[*trail]bool{}
	for _, ident := range idents {
		t, err := s.find(c, ident, toRead)
		if err != nil && asAPIError(err).Code != "TrailNotFoundException" {
			return nil, err
		}
		if err == nil && !seen[t] {
			seen[t] = true
			found = append(found, t)
		}
	}

	list := make([]map[string]any, 0, len(found))
	for _, t := range found {
		isShadow := t.home != c.region || t.owner != c.account
		if isShadow && includeShadows != nil && !*includeShadows || s.fresh(t, c.now) {
			continue
		}
		list = append(list, t.fields())
	}

	return map[string]any{"trailList": list}, nil
}

// listTrails lists the trails of the account, of all regions, a page at a time: "Returns the name, ARN, and home Region
// of trails in the current account."
func (s *Server) listTrails(c *call) (map[string]any, error) {
	token := c.params.optText("NextToken")
	if err := c.params.problem(); err != nil {
		return nil, err
	}

	after, purpose := "", []string{c.operation, c.account, c.region}
	if token != nil {
		if err := s.openToken(*token, purpose, &after); err != nil {
			return nil, err
		}
	}

	list := []map[string]any{}
	last := ""
	for _, t := range s.seenTrails(c, func(t *trail) bool { return partitionOf(t.home) == c.partition }) {
		if position := t.name + "|" + t.arn; position > after && !s.fresh(t, c.now) {
			if len(list) == s.opts.ListTrailsPageSize {
				return map[string]any{"Trails": list, "NextToken": s.sealToken(purpose, last)}, nil
			}
			list = append(list, map[string]any{"TrailARN": t.arn, "Name": t.name, "HomeRegion": t.home})
			last = position
		}
	}

	return map[string]any{"Trails": list}, nil
}

// change is what a request wants changed: nil leaves a setting, "" clears it.
type change struct {
	bucket, prefix, topic, key, logGroup, logRole *string
	globalEvents, multiRegion, validation         *bool
	orgTrail                                      *bool
}

func readChange(in members) change {
	return change{
		in.optText("S3BucketName"), in.optText("S3KeyPrefix"), in.optText("SnsTopicName"), in.optText("KmsKeyId"),
		in.optText("CloudWatchLogsLogGroupArn"), in.optText("CloudWatchLogsRoleArn"),
		in.flag("IncludeGlobalServiceEvents"), in.flag("IsMultiRegionTrail"), in.flag("EnableLogFileValidation"),
		in.flag("IsOrganizationTrail"),
	}
}

// apply validates a change and makes it in cfg.
func (s *Server) apply(c *call, owner string, cfg *settings, to change) error {
	if to.bucket != nil {
		if err := validBucketName(*to.bucket); err != nil {
			return err
		}
		cfg.bucket = *to.bucket
	}
	if to.prefix != nil {
		if err := validPrefix(*to.prefix); err != nil {
			return err
		}
		cfg.prefix = *to.prefix
	}

	if err := applyTopic(c, cfg, to.topic); err != nil {
		return err
	}

	if to.key != nil {
		cfg.keyARN = ""
		if *to.key != "" {
			key, err := s.resolveKey(c, *to.key)
			if err != nil {
				return err
			}
			cfg.keyARN = key
		}
	}

	set(&cfg.logGroupARN, to.logGroup)
	set(&cfg.logRoleARN, to.logRole)
	if to.logGroup != nil || to.logRole != nil {
		if err := validLogs(c, owner, *cfg); err != nil {
			return err
		}
	}

	set(&cfg.globalEvents, to.globalEvents)
	set(&cfg.multiRegion, to.multiRegion)
	set(&cfg.validation, to.validation)
	set(&cfg.orgTrail, to.orgTrail)
	if cfg.multiRegion && !cfg.globalEvents {
		return fail("InvalidParameterCombinationException", "Multi-Region trail must include global service events.")
	}
	return nil
}

func applyTopic(c *call, cfg *settings, topic *string) error {
	if topic == nil {
		return nil
	}
	cfg.topic, cfg.topicARN = *topic, ""
	if *topic == "" {
		return nil
	}
	resolved, err := resolveTopic(c, *topic)
	cfg.topicARN = resolved
	return err
}

func set[T any](field, to *T) {
	if to != nil {
		*field = *to
	}
}

// vacant says whether the trail's name is free wherever the trail is going to show.
func (s *Server) vacant(t *trail, everywhere bool) error {
	a := s.account(t.owner)
	taken := func(other *trail) bool { return other != nil && other != t }
	exists := fail("TrailAlreadyExistsException", "Trail %s already exists for customer: %s", t.name, t.owner)
	if taken(a.home[t.home][t.name]) || taken(a.multi[shadowKey(t.home, t.name)]) {
		return exists
	}
	for _, o := range s.orgShadows(t.owner, t.home) {
		if o.name == t.name {
			return exists
		}
	}
	if !everywhere {
		return nil
	}
	for region, trails := range a.home {
		if partitionOf(region) == partitionOf(t.home) && taken(trails[t.name]) {
			return exists
		}
	}
	return nil
}

// withinQuota says whether every region in which the trail is going to show has room: region alone, or with everywhere
// all the other regions of the partition too. Shadow trails count where they show.
func (s *Server) withinQuota(t *trail, region string, everywhere bool) error {
	if s.opts.NoTrailLimit {
		return nil
	}
	for _, r := range s.opts.Regions {
		if r != region && (!everywhere || partitionOf(r) != partitionOf(t.home) || r == t.home) {
			continue
		}
		if n := len(s.visible(t.owner, r)); n >= trailsPerRegion {
			return fail("MaximumNumberOfTrailsExceededException", "User: %s already has %d trails in %s.", t.owner, n, r)
		}
	}
	return nil
}

// settingsFields are the settings as CreateTrail and UpdateTrail answer them.
func (t *trail) settingsFields() map[string]any {
	out := map[string]any{
		"Name": t.name, "TrailARN": t.arn, "S3BucketName": t.bucket,
		"IncludeGlobalServiceEvents": t.globalEvents, "IsMultiRegionTrail": t.multiRegion,
		"LogFileValidationEnabled": t.validation, "IsOrganizationTrail": t.orgTrail,
	}
	// "Trail objects with string values are only returned if values for the objects exist in a trail's configuration."
	for name, value := range map[string]string{
		"S3KeyPrefix": t.prefix, "SnsTopicName": t.topic, "SnsTopicARN": t.topicARN, "KmsKeyId": t.keyARN,
		"CloudWatchLogsLogGroupArn": t.logGroupARN, "CloudWatchLogsRoleArn": t.logRoleARN,
	} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

// fields are the settings as GetTrail and DescribeTrails answer them.
func (t *trail) fields() map[string]any {
	out := t.settingsFields()
	out["HomeRegion"] = t.home
	out["HasCustomEventSelectors"] = t.hasCustomSelectors()
	out["HasInsightSelectors"] = len(t.insights) > 0
	return out
}

// sealed is the content of a page token.
type sealed struct {
	For   string `json:"f"`
	State any    `json:"s"`
}

// sealToken makes a page token that only serves for the same purpose again.
func (s *Server) sealToken(purpose, state any) string {
	raw, _ := json.Marshal(sealed{s.purpose(purpose), state}) //nolint:errcheck // plain data
	return base64.RawURLEncoding.EncodeToString(
		sign(s.tokenKey, string(raw)),
	) + "." + base64.RawURLEncoding.EncodeToString(
		raw,
	)
}

// openToken reads a token that sealToken made for the same purpose.
func (s *Server) openToken(token string, purpose, state any) error {
	invalid := fail(
		"InvalidNextTokenException",
		"Invalid next token: the token is not valid, or was used with different parameters.",
	)
	mac, content, _ := strings.Cut(token, ".")
	sum, err := base64.RawURLEncoding.DecodeString(mac)
	if err != nil {
		return invalid
	}
	raw, err := base64.RawURLEncoding.DecodeString(content)
	if err != nil || !hmac.Equal(sum, sign(s.tokenKey, string(raw))) {
		return invalid
	}
	in := sealed{State: state}
	if err := json.Unmarshal(raw, &in); err != nil || in.For != s.purpose(purpose) {
		return invalid
	}
	return nil
}

func (s *Server) purpose(p any) string {
	raw, _ := json.Marshal(p) //nolint:errcheck // plain data
	return hexSum(append(raw, s.tokenKey...))
}
