package cloudtrailtest

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// slotsPerHour is how often an hour CloudTrail looks whether there is something to deliver.
const slotsPerHour = 12

// backfillDelay is how many hours after a digest the log files come that are missing in it.
const backfillDelay = 3 * time.Hour

// chainKey is for what a trail delivers: one account and one region.
type chainKey struct{ trail, account, region string }

func (k chainKey) compare(other chainKey) int {
	return cmp.Or(strings.Compare(k.trail, other.trail), strings.Compare(k.account, other.account),
		strings.Compare(k.region, other.region))
}

// chain is what a trail delivers for an account and a region: log files, and while validation is on a chain of
// digests. It lives in hours, each of which is one digest's.
type chain struct {
	key                          chainKey
	name, home                   string
	seed                         int64
	bucket, prefix, organization string

	// start is when the hour under way began, slot how much of it is done.
	start time.Time
	slot  int
	// end is when the hour ends early, if it does.
	end time.Time
	// logging and vouching say that log files are delivered now, and that digests list them. signing says that a digest
	// ends the hour under way, and restart that the one after it starts anew.
	logging, vouching, signing, restart bool

	// vouched are the log files of the hour, late those that its digest misses, backfills those of former hours.
	vouched, late []DigestLog
	backfills     []backfill
	// previous and previousBackfill are the digests before.
	previous, previousBackfill *signedDigest
	// pending are the documents of recorded events.
	pending []string

	// out is what was delivered and is not stored yet.
	out []*object
	// heldLogs and heldDigests wait for a bucket that takes them.
	heldLogs    []heldLog
	heldDigests []*object
	status      deliveries
	// target is until when to deliver, whatever the time.
	target time.Time
	// due is when the chain delivers next.
	due time.Time
}

// backfill is an hour with log files that were missing in its digest.
type backfill struct {
	start, end time.Time
	logs       []DigestLog
}

// heldLog is a log file that waits for its bucket.
type heldLog struct {
	object *object
	entry  DigestLog
}

func newChain(key chainKey, t *trail, seed int64) *chain {
	return &chain{key: key, name: t.name, home: t.home, seed: seed}
}

// rand is a source for one purpose at one moment.
func (n *chain) rand(purpose string, at time.Time) *rand.Rand {
	return random(n.seed, purpose, n.key.trail, n.key.account, n.key.region, at.Format(time.RFC3339))
}

// isIdle says that nothing is to be delivered any more.
func (n *chain) isIdle() bool { return !n.logging && !n.signing && len(n.pending) == 0 }

// set says whether the chain delivers log files and vouches for them from now on.
func (n *chain) set(d LogDelivery, logging, vouching bool, now time.Time) {
	if !n.logging && !n.signing && logging {
		n.begin(now)
	}
	switch {
	case vouching && !n.vouching && n.signing && !n.start.Equal(now):
		// The hour under way ends a chain, and the next one begins another.
		n.restart = true
	case vouching && !n.vouching:
		n.begin(now)
		n.signing, n.previous, n.previousBackfill = true, nil, nil
	case !vouching && n.vouching && !now.After(n.start):
		// The hour has not begun: there is nothing to end.
		n.signing = n.previous != nil
	case !vouching && n.vouching && d.EndEarly:
		n.end = now
	}
	n.logging, n.vouching = logging, vouching
	n.due, _ = n.next(d)
}

// begin begins an hour: every chain has minutes of its own.
func (n *chain) begin(now time.Time) {
	n.start = now.Add(time.Duration(n.rand("start", now).IntN(300)) * time.Second)
	n.slot, n.end = 0, time.Time{}
}

// skip returns until when the chain has to deliver so that some hours are done. A chain that has delivered nothing yet
// is moved back, so that they end now.
func (n *chain) skip(d LogDelivery, hours int) time.Time {
	if n.slot == 0 && n.previous == nil && len(n.vouched) == 0 {
		n.start = n.start.Add(-time.Duration(hours)*time.Hour - 10*time.Minute)
	}
	last := n.start.Add(time.Duration(hours-1) * time.Hour)
	return last.Add(time.Hour + n.digestDelay(d, last))
}

func (d LogDelivery) slots() int { return max(slotsPerHour, d.LogsPerHour) }

func (n *chain) hourEnd() time.Time {
	if !n.end.IsZero() {
		return n.end
	}
	return n.start.Add(time.Hour)
}

// slotTime is when a slot of the hour is.
func (n *chain) slotTime(d LogDelivery, slot int) time.Time {
	width := time.Hour / time.Duration(d.slots())
	return n.start.Add(width*time.Duration(slot+1) - width/10).Truncate(time.Second)
}

// digestDelay is how long after an hour its digest comes: before the first log file of the next one.
func (n *chain) digestDelay(d LogDelivery, start time.Time) time.Duration {
	most := min(3*time.Minute, time.Hour/time.Duration(d.slots())/2)
	return time.Second + time.Duration(n.rand("digest delay", start).Int64N(int64(most))).Truncate(time.Second)
}

// never is when a chain that is idle delivers.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// next is when the chain delivers next, and in which slot of the hour: behind the last one it is the digest.
func (n *chain) next(d LogDelivery) (at time.Time, slot int) {
	if n.isIdle() {
		return never, 0
	}
	waiting := len(n.pending)+len(n.heldLogs)+len(n.heldDigests) > 0
	for slot := n.slot; slot < d.slots(); slot++ {
		if at := n.slotTime(d, slot); !at.After(n.hourEnd()) && (waiting || n.isFilled(d, slot)) {
			return at, slot
		}
	}
	return n.hourEnd().Add(n.digestDelay(d, n.start)), d.slots()
}

// advance delivers what there is until a time. Different chains may advance at once.
func (n *chain) advance(s *Server, until time.Time) {
	d := s.logs.LogDelivery
	if !n.target.IsZero() {
		until = n.target
		n.target = time.Time{}
	}
	for {
		at, slot := n.next(d)
		if n.due = at; at.After(until) {
			return
		}
		n.deliverHeld(s, at)
		if slot < d.slots() {
			n.deliverLog(s, at, n.isFilled(d, slot))
			n.slot = slot + 1
		} else {
			n.closeHour(s, at)
		}
	}
}

// isFilled says whether a slot of the hour has made-up events.
func (n *chain) isFilled(d LogDelivery, slot int) bool {
	if !n.logging || (slot+1)*d.LogsPerHour/d.slots() == slot*d.LogsPerHour/d.slots() {
		return false
	}
	return d.EmptyHours == 0 || n.rand("empty hour", n.start).Float64() >= d.EmptyHours
}

// closeHour delivers the digest of the hour, and begins the next one.
func (n *chain) closeHour(s *Server, at time.Time) {
	d := s.logs.LogDelivery
	if !n.logging {
		n.deliverLog(s, n.hourEnd(), false)
	}
	if n.signing {
		n.deliverDigest(s, at)
	}
	n.deliverBackfills(s, at)

	n.start, n.slot, n.end = n.hourEnd(), 0, time.Time{}
	n.vouched, n.late = nil, nil
	if n.restart || !n.vouching {
		n.previous, n.previousBackfill = nil, nil
	}
	n.restart, n.signing = false, n.vouching
	if n.signing && n.previous == nil {
		// A chain that begins anew has minutes of its own.
		n.start = n.start.Add(time.Duration(n.rand("start", n.start).Int64N(int64(d.slotWidth() / 2)))).Truncate(time.Second)
	}
}

func (d LogDelivery) slotWidth() time.Duration { return time.Hour / time.Duration(d.slots()) }

// deliverLog delivers a log file, if there is anything to log.
func (n *chain) deliverLog(s *Server, at time.Time, filled bool) {
	if !filled && len(n.pending) == 0 {
		return
	}
	d := s.logs.LogDelivery
	o, entry := n.logFile(d, at, filled)
	n.pending = nil
	if problem := s.deliveryProblem(n, false); problem != "" {
		n.status.s3.err = problem
		n.heldLogs = append(n.heldLogs, heldLog{o, entry})
		n.heldLogs = n.heldLogs[max(0, len(n.heldLogs)-maxHeld):]
		return
	}
	n.delivered(o)
	n.status.s3 = channel{time: at}
	n.vouch(entry, d.LateLogs > 0 && d.LateLogs > n.rand("late log", at).Float64())
}

// vouch notes a log file for the digest of the hour, or for a later one.
func (n *chain) vouch(entry DigestLog, isLate bool) {
	switch {
	case !n.signing, n.logging && !n.vouching:
		// It is delivered while validation is off, and never listed.
	case isLate:
		n.late = append(n.late, entry)
	default:
		n.vouched = append(n.vouched, entry)
	}
}

func (n *chain) delivered(o *object) { n.out = append(n.out, o) }

// deliverHeld delivers what the bucket has not taken so far, if it does now.
func (n *chain) deliverHeld(s *Server, at time.Time) {
	if len(n.heldLogs) > 0 && s.deliveryProblem(n, false) == "" {
		for _, held := range n.heldLogs {
			o := *held.object
			o.LastModified = at
			n.delivered(&o)
			n.vouch(held.entry, false)
		}
		n.heldLogs, n.status.s3 = nil, channel{time: at}
	}
	if len(n.heldDigests) > 0 && s.deliveryProblem(n, true) == "" {
		for _, held := range n.heldDigests {
			o := *held
			o.LastModified = at
			n.delivered(&o)
		}
		n.heldDigests, n.status.digest = nil, channel{time: at}
	}
}

// putDigest delivers a digest, or keeps it for a bucket that does not take it.
func (n *chain) putDigest(s *Server, o *object, at time.Time) {
	if problem := s.deliveryProblem(n, true); problem != "" {
		n.status.digest.err = problem
		n.heldDigests = append(n.heldDigests, o)
		n.heldDigests = n.heldDigests[max(0, len(n.heldDigests)-maxHeld):]
		return
	}
	n.delivered(o)
	n.status.digest = channel{time: at}
}

// deliveryProblem is why the bucket of a chain takes nothing, as S3 says it; "" if it does. An error that SetDelivery
// has set is one, too.
func (s *Server) deliveryProblem(n *chain, digest bool) string {
	if t := s.byARN[n.key.trail]; t != nil {
		set := t.delivery.s3.err
		if digest {
			set = t.delivery.digest.err
		}
		if set != "" {
			return set
		}
	}
	b, ok := s.resources.buckets.get(n.bucket, s.opts.OpenResources)
	switch {
	case !ok:
		return "NoSuchBucket"
	case b.DenyCloudTrail, len(b.AllowedPrefixes) > 0 && !slices.Contains(b.AllowedPrefixes, n.prefix),
		len(b.AllowedTrailARNs) > 0 && !slices.Contains(b.AllowedTrailARNs, n.key.trail):
		return "AccessDenied"
	}
	return ""
}

// record notes the document of an event, which the next log file has.
func (n *chain) record(d LogDelivery, document string, now time.Time) {
	if !n.logging && !n.signing {
		return
	}
	n.pending = append(n.pending, document)
	for n.slot < d.slots() && n.slotTime(d, n.slot).Before(now) {
		n.slot++
	}
	n.due, _ = n.next(d)
}
