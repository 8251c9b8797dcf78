package cloudtrailtest

import "time"

// Options are how an emulator differs from AWS with nothing prepared. The zero value is the strict one: no bucket
// exists, every limit holds, history and reads are up to date at once.
type Options struct {
	// Now is the emulator's clock: trail and event times, rate limits, lags, session expiry. Default time.Now. Only the
	// freshness of signatures is judged by the wall clock, because clients sign with theirs.
	Now func() time.Time
	// OpenResources makes every well-formed bucket, topic, key, log group and role exist with the right policy, except
	// those registered otherwise or deleted.
	OpenResources bool
	// NoTrailLimit lifts the quota of 5 trails a region.
	NoTrailLimit bool
	// NoRateLimit lifts the request rates: 10/s for reads, 2/s for LookupEvents, 1/s for the rest.
	NoRateLimit bool
	// PerOperationRate gives every operation a rate of its own. Default is the strict reading of the quotas page: one rate
	// for all reads together, one for all operations that are neither reads nor LookupEvents.
	PerOperationRate bool
	// Latency is added to every answer, by the wall clock.
	Latency time.Duration
	// HistoryLag is how long a recorded event cannot be looked up yet. AWS: "within about 5 minutes", at times 15. With a
	// longer HistoryLagMax, each event has a lag of its own between the two: see Lags.
	HistoryLag, HistoryLagMax time.Duration
	// Forwarding is how rules deliver events: see SetForwarding.
	Forwarding Forwarding
	// ReadLag is how far behind the truth the reads of trails are, of everything and not only of new trails. With a longer
	// ReadLagMax, each read has a lag of its own between the two: see Lags.
	ReadLag, ReadLagMax time.Duration
	// ConsistencyLag is how long DescribeTrails, ListTrails, GetTrail and ListTags do not show a new trail.
	ConsistencyLag time.Duration
	// EventDelay is how much later than its effect a call is completed. The time of its event is "the date and time the
	// request was completed", so with a delay it may be a second after the StopLoggingTime of GetTrailStatus.
	EventDelay time.Duration
	// RepeatedCallsMoveTimes lets StartLogging of a trail that is logging move StartLoggingTime, and StopLogging of one
	// that is not logging move StopLoggingTime. AWS does not document it; by the wording of the two fields, they stay.
	RepeatedCallsMoveTimes bool
	// DeliveryInterval advances the delivery times of logging trails: every so often on the emulator's clock something has
	// been delivered. 0: delivery times are only those that SetDelivery sets, so that a quiet fleet stays quiet.
	DeliveryInterval time.Duration
	// LogDelivery lets logging trails deliver log files and digests to their buckets. nil: nothing is delivered.
	LogDelivery *LogDelivery
	// ShortPolls answers ReceiveMessage at once, whatever it says of waiting: for who lets time pass between calls only,
	// and makes the client wait by MessageDue.
	ShortPolls bool
	// Seed decides everything random: faults with a probability, lags, and all ids, keys and tokens. Two servers of the
	// same seed answer the same requests at the same times alike, to the byte. 0: ids, keys and tokens that nobody can
	// know.
	Seed int64
	// RecordReads records reads in the history as well, not only writes.
	RecordReads bool
	// MaxHistory is the greatest number of events kept for an account and region; the oldest go first. 0: all of 90 days.
	MaxHistory int
	// NoCallLog keeps the counters of calls but not the calls.
	NoCallLog bool
	// MaxCalls is the greatest number of calls kept; the oldest go first. Default 100,000.
	MaxCalls int
	// Regions are the regions that exist. Default DefaultRegions().
	Regions []string
	// RegisteredRolesOnly lets only registered roles be assumed. Default: any role in any account.
	RegisteredRolesOnly bool
	// ListTrailsPageSize is the length of a page of ListTrails, which AWS does not document. Default 100.
	ListTrailsPageSize int
}

func (o Options) lags() Lags { return Lags{o.ReadLag, o.ReadLagMax, o.HistoryLag, o.HistoryLagMax} }

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxCalls == 0 {
		o.MaxCalls = 100_000
	}
	if o.Regions == nil {
		o.Regions = DefaultRegions()
	}
	if o.ListTrailsPageSize == 0 {
		o.ListTrailsPageSize = 100
	}
	return o
}
