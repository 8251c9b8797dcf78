package cloudtrailtest

import "time"

// Delivery is what GetTrailStatus reports of a trail's deliveries: for each way of delivery the latest error and the
// latest success. In SetDelivery, nil leaves a value and an empty error or a zero time clears it.
type Delivery struct {
	LatestDeliveryError               *string    `json:"latestDeliveryError,omitempty"`
	LatestDeliveryTime                *time.Time `json:"latestDeliveryTime,omitempty"`
	LatestNotificationError           *string    `json:"latestNotificationError,omitempty"`
	LatestNotificationTime            *time.Time `json:"latestNotificationTime,omitempty"`
	LatestDigestDeliveryError         *string    `json:"latestDigestDeliveryError,omitempty"`
	LatestDigestDeliveryTime          *time.Time `json:"latestDigestDeliveryTime,omitempty"`
	LatestCloudWatchLogsDeliveryError *string    `json:"latestCloudWatchLogsDeliveryError,omitempty"`
	LatestCloudWatchLogsDeliveryTime  *time.Time `json:"latestCloudWatchLogsDeliveryTime,omitempty"`
}

// channel is one way of delivery.
type channel struct {
	err  string
	time time.Time
}

// deliveries are the four ways of delivery.
type deliveries struct{ s3, sns, digest, logs channel }

// SetDelivery sets what GetTrailStatus reports and says whether the trail exists.
func (s *Server) SetDelivery(arn string, d Delivery) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	t := s.byARN[arn]
	if t == nil {
		return false
	}

	n := *t
	now := &n.delivery
	for _, one := range []struct {
		channel *channel
		err     *string
		time    *time.Time
	}{
		{&now.s3, d.LatestDeliveryError, d.LatestDeliveryTime},
		{&now.sns, d.LatestNotificationError, d.LatestNotificationTime},
		{&now.digest, d.LatestDigestDeliveryError, d.LatestDigestDeliveryTime},
		{&now.logs, d.LatestCloudWatchLogsDeliveryError, d.LatestCloudWatchLogsDeliveryTime},
	} {
		set(&one.channel.err, one.err)
		set(&one.channel.time, one.time)
	}

	s.replace(t, &n, s.now())
	return true
}

func (d deliveries) copy() Delivery {
	err := func(c channel) *string {
		if c.err == "" {
			return nil
		}
		return &c.err
	}
	at := func(c channel) *time.Time {
		if c.time.IsZero() {
			return nil
		}
		return &c.time
	}
	return Delivery{err(d.s3), at(d.s3), err(d.sns), at(d.sns), err(d.digest), at(d.digest), err(d.logs), at(d.logs)}
}

// delivered returns the deliveries as of now: as set, or later where Options.DeliveryInterval has moved on. What has an
// error does not deliver.
func (s *Server) delivered(t *trail, now time.Time) deliveries {
	d := t.delivery
	if s.opts.DeliveryInterval <= 0 || !t.logging {
		return d
	}
	passed := now.Sub(t.started)
	if passed < s.opts.DeliveryInterval {
		return d
	}
	latest := t.started.Add(passed.Truncate(s.opts.DeliveryInterval))
	for _, one := range []struct {
		channel *channel
		inUse   bool
	}{
		{&d.s3, true}, {&d.sns, t.topicARN != ""}, {&d.digest, t.validation}, {&d.logs, t.logGroupARN != ""},
	} {
		if one.inUse && one.channel.err == "" && latest.After(one.channel.time) {
			one.channel.time = latest
		}
	}
	return d
}

// getTrailStatus reports whether the trail logs, and what became of its deliveries.
func (s *Server) getTrailStatus(c *call) (map[string]any, error) {
	t, err := s.named(c, "Name", toRead)
	if err != nil {
		return nil, err
	}

	out := map[string]any{
		"IsLogging": t.logging,
		// The fields that are "no longer in use" are still answered.
		"TimeLoggingStarted": legacyTime(t.started), "TimeLoggingStopped": legacyTime(t.stopped),
	}
	putTime(out, "StartLoggingTime", t.started)
	putTime(out, "StopLoggingTime", t.stopped)

	d := s.deliveredLogs(c, t, s.delivered(t, c.asOf()))
	for name, one := range map[string]channel{
		"LatestDelivery":               d.s3,
		"LatestNotification":           d.sns,
		"LatestDigestDelivery":         d.digest,
		"LatestCloudWatchLogsDelivery": d.logs,
	} {
		putTime(out, name+"Time", one.time)
		if one.err != "" {
			out[name+"Error"] = one.err
		}
	}
	for name, one := range map[string]channel{"LatestDeliveryAttempt": d.s3, "LatestNotificationAttempt": d.sns} {
		out[name+"Time"], out[name+"Succeeded"] = legacyTime(one.time), legacyTime(one.time)
	}

	return out, nil
}

func putTime(out map[string]any, name string, t time.Time) {
	if !t.IsZero() {
		out[name] = seconds(t)
	}
}

func legacyTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
