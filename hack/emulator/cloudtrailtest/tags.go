package cloudtrailtest

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Tag.html and API_ListTags.html.
const (
	maxTags       = 50
	maxTagKey     = 128
	maxTagValue   = 256
	maxListedARNs = 20
)

// tag is a tag of a request. A missing value is kept as such: "the tag will be created with a value of null".
type tag struct {
	key   string
	value *string
}

func readTags(in []members) []tag {
	out := make([]tag, 0, len(in))
	for _, m := range in {
		out = append(out, tag{m.text("Key"), m.optText("Value")})
	}
	return out
}

// addTo validates tags and puts them into a set. A tag that is there already gets the new value.
func addTo(set map[string]*string, tags []tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		if err := validTagKey(t.key); err != nil {
			return err
		}
		if v := deref(t.value); utf8.RuneCountInString(v) > maxTagValue || !tagText.MatchString(v) {
			return fail("InvalidTagParameterException", "Tag value for key %s is not valid.", t.key)
		}
		if seen[t.key] {
			return fail("InvalidTagParameterException", "Tag key %s is specified more than once.", t.key)
		}
		seen[t.key] = true
		set[t.key] = t.value
	}
	if len(set) > maxTags {
		return fail("TagsLimitExceededException", "The number of tags exceeds the limit of 50.")
	}
	return nil
}

func validTagKey(key string) error {
	switch n := utf8.RuneCountInString(key); {
	case n < 1 || n > maxTagKey || !tagText.MatchString(key):
		return fail("InvalidTagParameterException", "Tag key %s is not valid.", key)
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return fail("InvalidTagParameterException", "Tag key %s is not valid: keys that begin with aws: are reserved.", key)
	}
	return nil
}

// addTags adds tags to a trail and overwrites those that it has.
func (s *Server) addTags(c *call) (map[string]any, error) {
	t, tags, err := s.tagRequest(c)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(t.tags)
	if err := addTo(all, tags); err != nil {
		return nil, err
	}
	n := *t
	n.tags = all
	s.commit(c, t, &n)
	return nil, nil
}

// removeTags removes tags by key; keys that are not there do no harm.
func (s *Server) removeTags(c *call) (map[string]any, error) {
	t, tags, err := s.tagRequest(c)
	if err != nil {
		return nil, err
	}
	left := maps.Clone(t.tags)
	for _, one := range tags {
		if err := validTagKey(one.key); err != nil {
			return nil, err
		}
		delete(left, one.key)
	}
	n := *t
	n.tags = left
	s.commit(c, t, &n)
	return nil, nil
}

// tagRequest reads what AddTags and RemoveTags have in common.
func (s *Server) tagRequest(c *call) (*trail, []tag, error) {
	in, given := c.params.structures("TagsList")
	tags := readTags(in)
	ident := c.params.optText("ResourceId")
	switch {
	case c.params.problem() != nil:
		return nil, nil, c.params.problem()
	case ident == nil:
		return nil, nil, notNull("ResourceId")
	case !given:
		return nil, nil, notNull("TagsList")
	case len(tags) == 0:
		return nil, nil, fail("InvalidTagParameterException", "Specify at least one tag.")
	case len(tags) > maxTags:
		return nil, nil, fail("InvalidTagParameterException", "Specify at most 50 tags.")
	}
	t, err := s.tagged(c, *ident, toWrite)
	c.trail = t
	return t, tags, err
}

// listTags lists the tags of up to 20 trails at home in this region. All of them have to have the same owner.
func (s *Server) listTags(c *call) (map[string]any, error) {
	idents, given := c.params.texts("ResourceIdList")
	token := c.params.optText("NextToken")
	switch {
	case c.params.problem() != nil:
		return nil, c.params.problem()
	case !given:
		return nil, notNull("ResourceIdList")
	case len(idents) == 0 || len(idents) > maxListedARNs:
		return nil, fail(
			"ValidationException",
			"1 validation error detected: Value at 'resourceIdList' failed to satisfy constraint: "+
				"Member must have length between 1 and 20",
		)
	case token != nil:
		return nil, fail("InvalidTokenException", "NextToken is reserved for future use.")
	}

	list := make([]map[string]any, 0, len(idents))
	owner := ""
	for _, ident := range idents {
		t, err := s.tagged(c, ident, toRead)
		if err != nil {
			return nil, err
		}
		if owner != "" && t.owner != owner {
			return nil, wrongAccount(c.account)
		}
		owner = t.owner

		tags := make([]map[string]any, 0, len(t.tags))
		for _, key := range slices.Sorted(maps.Keys(t.tags)) {
			one := map[string]any{"Key": key}
			if v := t.tags[key]; v != nil {
				one["Value"] = *v
			}
			tags = append(tags, one)
		}
		list = append(list, map[string]any{"ResourceId": ident, "TagsList": tags})
	}

	return map[string]any{"ResourceTagList": list}, nil
}

// tagged finds the trail that a tag operation names: by ARN only, of this account (or of the organization, for its
// delegated administrators) and in its home region.
func (s *Server) tagged(c *call, ident string, want access) (*trail, error) {
	a, ok := parseARN(ident)
	if kind, _, _ := strings.Cut(a.resource, "/"); ok && a.service == "cloudtrail" && kind != "trail" {
		return nil, notATrail(kind, ident)
	}
	if err := validTrailARN(ident, c.partition); err != nil {
		return nil, err
	}

	t := s.byARN[ident]
	if want == toRead {
		t = s.seen(c, a.account, ident)
	}

	switch {
	case a.account != c.account && (t == nil || !s.manages(c.account, t)):
		return nil, wrongAccount(c.account)
	case a.region != c.region:
		return nil, fail(
			"CloudTrailARNInvalidException",
			"Region in ARN is wrong, you can only access resources in region %s.",
			c.region,
		)
	case t == nil || want == toRead && s.fresh(t, c.now):
		return nil, fail("ResourceNotFoundException", "Unknown trail: %s for the user: %s", ident, c.account)
	}
	return t, nil
}

func wrongAccount(account string) error {
	return fail(
		"CloudTrailARNInvalidException",
		"AccountID in ARN is wrong, you can only access resources with AccountID %s.",
		account,
	)
}

// notATrail answers for the resources of CloudTrail that are not emulated, of which there are none.
func notATrail(kind, ident string) error {
	switch kind {
	case "eventdatastore":
		return fail("EventDataStoreNotFoundException", "Event data store %s is not found.", ident)
	case "channel":
		return fail("ChannelNotFoundException", "Channel %s is not found.", ident)
	case "dashboard":
		return fail("ResourceNotFoundException", "Dashboard %s is not found.", ident)
	}
	return fail("ResourceTypeNotSupportedException", "Resource type %s is not supported.", kind)
}
