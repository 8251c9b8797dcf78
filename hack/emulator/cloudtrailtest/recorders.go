package cloudtrailtest

import (
	"slices"
	"time"
)

// recorders returns the trails that log and show in an account and region, if trails deliver at all. The caller holds
// the lock.
func (s *Server) recorders(at place) []*trail {
	if s.logs == nil || at.account == "" {
		return nil
	}
	var out []*trail
	for _, t := range s.visible(at.account, at.region) {
		if t.logging {
			out = append(out, t)
		}
	}
	return out
}

// log lets the next log files of trails have an event that they select.
func (s *Server) log(at place, e *event, trails []*trail) {
	for _, t := range trails {
		n := s.logs.chains[chainKey{t.arn, at.account, at.region}]
		if n != nil && t.records(e) {
			n.record(s.logs.LogDelivery, e.document(), s.deliveryTime(s.now()))
			s.logs.due = time.Time{}
		}
	}
}

// records says whether the trail's selectors log a management event. Advanced selectors log no reads here.
func (t *trail) records(e *event) bool {
	switch {
	case isGlobal(e.source) && !t.globalEvents:
		return false
	case !e.readOnly:
		return t.selects(e.source)
	case len(t.advanced) > 0:
		return false
	}
	basic := t.basic
	if len(basic) == 0 {
		basic = []EventSelector{defaultSelector()}
	}
	return slices.ContainsFunc(basic, func(sel EventSelector) bool {
		return sel.IncludeManagementEvents && sel.ReadWriteType != "WriteOnly" &&
			!slices.Contains(sel.ExcludeManagementEventSources, e.source)
	})
}

// deliveredLogs returns deliveries with those of log files and digests in the caller's account and region, if trails
// deliver. What a lagging read shows is up to date in this.
func (s *Server) deliveredLogs(c *call, t *trail, d deliveries) deliveries {
	if s.logs == nil {
		return d
	}
	n := s.logs.chains[chainKey{t.arn, c.account, c.region}]
	if n == nil {
		return d
	}
	if n.status.s3 != (channel{}) && d.s3.err == "" {
		d.s3 = n.status.s3
	}
	if n.status.digest != (channel{}) && d.digest.err == "" {
		d.digest = n.status.digest
	}
	return d
}
