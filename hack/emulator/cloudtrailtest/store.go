package cloudtrailtest

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Trail is a trail with all its settings.
type Trail struct {
	ARN, Name string
	// AccountID owns the trail; CreatedBy created it and differs for a delegated administrator.
	AccountID, CreatedBy string
	HomeRegion           string

	S3BucketName, S3KeyPrefix                        string
	SnsTopicName, SnsTopicARN                        string
	KmsKeyARN                                        string
	CloudWatchLogsLogGroupARN, CloudWatchLogsRoleARN string
	IncludeGlobalServiceEvents                       bool
	IsMultiRegionTrail                               bool
	EnableLogFileValidation                          bool
	IsOrganizationTrail                              bool

	// EventSelectors and AdvancedEventSelectors are what was put; both are empty for the default selector.
	EventSelectors            []EventSelector
	AdvancedEventSelectors    []AdvancedEventSelector
	InsightSelectors          []InsightSelector
	AggregationConfigurations []AggregationConfiguration
	Tags                      map[string]string

	IsLogging bool
	// Zero times: never.
	CreatedTime, UpdatedTime, StartLoggingTime, StopLoggingTime time.Time
	Delivery                                                    Delivery
}

// settings are what CreateTrail and UpdateTrail set.
type settings struct {
	bucket, prefix                                  string
	topic, topicARN                                 string
	keyARN                                          string
	logGroupARN, logRoleARN                         string
	globalEvents, multiRegion, validation, orgTrail bool
}

// trail is a trail as it is stored, at one moment: a write replaces it and never changes it, so that answers may share
// its lists and reads that lag may still see it.
type trail struct {
	arn, name, home string
	owner           string
	createdBy       string
	settings
	basic        []EventSelector
	advanced     []AdvancedEventSelector
	insights     []InsightSelector
	aggregations []AggregationConfiguration
	tags         map[string]*string
	logging      bool
	created      time.Time
	updated      time.Time
	started      time.Time
	stopped      time.Time
	delivery     deliveries
}

// account is what an account owns.
type account struct {
	// home has the trails by home region and name.
	home map[string]map[string]*trail
	// multi has the multi-region trails by partition/name: names are unique across the regions in which a trail shows.
	multi map[string]*trail
	// org has the organization trails by ARN; only a management account has any.
	org map[string]*trail
	// past has what trails were, by ARN and oldest first, as far back as reads lag.
	past map[string][]past
}

func (s *Server) account(id string) *account {
	a := s.accounts[id]
	if a == nil {
		a = &account{map[string]map[string]*trail{}, map[string]*trail{}, map[string]*trail{}, map[string][]past{}}
		s.accounts[id] = a
	}
	return a
}

func shadowKey(region, name string) string { return partitionOf(region) + "/" + name }

// index makes a trail findable.
func (s *Server) index(t *trail) {
	a := s.account(t.owner)
	if a.home[t.home] == nil {
		a.home[t.home] = map[string]*trail{}
	}
	a.home[t.home][t.name] = t
	s.byARN[t.arn] = t
	if t.multiRegion {
		a.multi[shadowKey(t.home, t.name)] = t
	}
	if t.orgTrail {
		a.org[t.arn] = t
	}
}

// unindex is index undone.
func (s *Server) unindex(t *trail) {
	a := s.account(t.owner)
	delete(a.home[t.home], t.name)
	delete(s.byARN, t.arn)
	if key := shadowKey(t.home, t.name); a.multi[key] == t {
		delete(a.multi, key)
	}
	delete(a.org, t.arn)
}

// replace puts a trail in the place of another one of the same ARN; nil is none.
func (s *Server) replace(before, after *trail, now time.Time) {
	s.deliver()
	same := after
	if before != nil {
		same = before
		s.unindex(before)
	}
	if after != nil {
		s.index(after)
	}
	s.remember(before, same.owner, same.arn, now)
	s.arrange()
}

// shows says whether a trail exists, or has a shadow, in a region.
func (t *trail) shows(region string) bool {
	return t.home == region || t.multiRegion && partitionOf(t.home) == partitionOf(region)
}

// visible returns the trails that show in a region of an account, by name: its own, shadows of its own multi-region
// trails, and shadows of the organization's trails.
func (s *Server) visible(account, region string) []*trail {
	a := s.account(account)
	out := slices.Collect(maps.Values(a.home[region]))
	for _, t := range a.multi {
		if t.home != region && t.shows(region) {
			out = append(out, t)
		}
	}
	out = append(out, s.orgShadows(account, region)...)
	sortTrails(out)
	return out
}

func sortTrails(trails []*trail) {
	slices.SortFunc(trails, func(x, y *trail) int {
		if c := strings.Compare(x.name, y.name); c != 0 {
			return c
		}
		return strings.Compare(x.arn, y.arn)
	})
}

// orgShadows returns the organization's trails that show in a region of a member account.
func (s *Server) orgShadows(account, region string) []*trail {
	if !s.org.isMember(account) {
		return nil
	}
	var out []*trail
	for _, t := range s.account(s.org.ManagementAccount).org {
		if t.shows(region) {
			out = append(out, t)
		}
	}
	return out
}

// fresh says whether reads do not show the trail yet.
func (s *Server) fresh(t *trail, now time.Time) bool {
	return now.Before(t.created.Add(s.opts.ConsistencyLag))
}

// Trail returns a copy of a trail by owner, home region and name.
func (s *Server) Trail(account, region, name string) (Trail, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[account]
	if a == nil || a.home[region][name] == nil {
		return Trail{}, false
	}
	return a.home[region][name].snapshot(), true
}

// Trails returns copies of all trails, sorted by ARN.
func (s *Server) Trails() []Trail {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Trail, 0, len(s.byARN))
	for _, t := range s.byARN {
		out = append(out, t.snapshot())
	}
	slices.SortFunc(out, func(x, y Trail) int { return strings.Compare(x.ARN, y.ARN) })
	return out
}

func (t *trail) snapshot() Trail {
	tags := make(map[string]string, len(t.tags))
	for k, v := range t.tags {
		tags[k] = deref(v)
	}
	return Trail{
		ARN: t.arn, Name: t.name, AccountID: t.owner, CreatedBy: t.createdBy, HomeRegion: t.home,
		S3BucketName: t.bucket, S3KeyPrefix: t.prefix, SnsTopicName: t.topic, SnsTopicARN: t.topicARN, KmsKeyARN: t.keyARN,
		CloudWatchLogsLogGroupARN: t.logGroupARN, CloudWatchLogsRoleARN: t.logRoleARN,
		IncludeGlobalServiceEvents: t.globalEvents, IsMultiRegionTrail: t.multiRegion,
		EnableLogFileValidation: t.validation, IsOrganizationTrail: t.orgTrail,
		EventSelectors: copyBasic(t.basic), AdvancedEventSelectors: copyAdvanced(t.advanced),
		InsightSelectors: copyInsights(t.insights), AggregationConfigurations: copyAggregations(t.aggregations),
		Tags: tags, IsLogging: t.logging,
		CreatedTime: t.created, UpdatedTime: t.updated, StartLoggingTime: t.started, StopLoggingTime: t.stopped,
		Delivery: t.delivery.copy(),
	}
}

// with returns the trail with what can be set of it as in is.
func (t *trail) with(is Trail) *trail {
	n := *t
	n.settings = settings{
		bucket:       is.S3BucketName,
		prefix:       is.S3KeyPrefix,
		topic:        is.SnsTopicName,
		topicARN:     is.SnsTopicARN,
		keyARN:       is.KmsKeyARN,
		logGroupARN:  is.CloudWatchLogsLogGroupARN,
		logRoleARN:   is.CloudWatchLogsRoleARN,
		globalEvents: is.IncludeGlobalServiceEvents,
		multiRegion:  is.IsMultiRegionTrail,
		validation:   is.EnableLogFileValidation,
		orgTrail:     is.IsOrganizationTrail,
	}

	n.basic, n.advanced = copyBasic(is.EventSelectors), copyAdvanced(is.AdvancedEventSelectors)
	for i := range n.basic {
		// AWS answers empty lists, never none.
		n.basic[i].DataResources = append([]DataResource{}, n.basic[i].DataResources...)
		n.basic[i].ExcludeManagementEventSources = append([]string{}, n.basic[i].ExcludeManagementEventSources...)
	}
	n.insights, n.aggregations = copyInsights(is.InsightSelectors), copyAggregations(is.AggregationConfigurations)
	n.logging = is.IsLogging

	n.tags = make(map[string]*string, len(is.Tags))
	for key, value := range is.Tags {
		n.tags[key] = &value
		if was, ok := t.tags[key]; ok && was == nil && value == "" {
			n.tags[key] = nil
		}
	}

	return &n
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
