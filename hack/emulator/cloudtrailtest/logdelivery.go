package cloudtrailtest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// LogDelivery is how logging trails deliver log files, and digests of them, to their buckets.
//
// Deliveries happen on a clock of their own, which DeliveryTime reads: it starts with the emulator's clock and runs
// faster if an hour lasts less than one. S3 has the same clock. So in log files only the times of filler events are
// between those of digests: events of the history have the times of the emulator's clock.
//
// Nothing runs in the background: what is due is delivered when somebody looks.
type LogDelivery struct {
	// Hour is how long an hour of delivery lasts on the emulator's clock. Default an hour.
	Hour time.Duration
	// Regions are those in which a multi-region trail delivers besides its home region. Default: all of its partition that
	// the account has not disabled.
	Regions []string
	// LogsPerHour is how many log files with made-up events each account and region has an hour. The events of the history
	// are delivered in any case, within minutes.
	LogsPerHour int
	// LogSize is about how many bytes a log file with made-up events has, compressed. Default: those of a few events.
	LogSize int
	// EmptyHours is the share of the hours in which nothing happened, so that their digests list no log files.
	EmptyHours float64
	// LateLogs is the share of log files that are missing in the digest of their hour and come in a backfill digest hours
	// later. UnlinkedBackfills lets backfill digests say nothing of the ones before them. AWS documents neither.
	LateLogs          float64
	UnlinkedBackfills bool
	// EndEarly ends the last digest when the trail stops logging, and not with the hour. AWS does not document it.
	EndEarly bool
	// KeyLifetime is how long a public key is valid; a 30th before its end another one begins to sign. At least an hour.
	// Default 30 days.
	KeyLifetime time.Duration
	// PKIXEvery makes every so manieth public key a SubjectPublicKeyInfo; the others are PKCS #1. 0: none.
	PKIXEvery int
	// ShortHashes drops leading zeros of previousDigestHashValue, as seen in a digest of 2020.
	ShortHashes bool
	// Keep is how long, by DeliveryTime, delivered objects stay in the bucket before its lifecycle rule removes them.
	// Default 7 days.
	Keep time.Duration
	// Seed decides the made-up events, names and delays. Default: Options.Seed.
	Seed int64
}

// maxHeld is how many log files or digests of a chain wait for a bucket that does not take them: CloudTrail tries for
// 30 days.
const maxHeld = 30 * 24

// errLogDelivery marks log delivery that cannot be had.
var errLogDelivery = errors.New("no log delivery")

func (d LogDelivery) withDefaults(seed int64) LogDelivery {
	orDefault(&d.Hour, time.Hour)
	orDefault(&d.KeyLifetime, 30*24*time.Hour)
	orDefault(&d.Keep, 7*24*time.Hour)
	orDefault(&d.Seed, seed)
	d.KeyLifetime = max(d.KeyLifetime, time.Hour)
	d.Regions = slices.Clone(d.Regions)
	return d
}

// logDelivery is log delivery under way.
type logDelivery struct {
	LogDelivery
	// clock and time are a moment by the emulator's clock and by that of deliveries.
	clock, time time.Time
	chains      map[chainKey]*chain
	// due is when the next thing is delivered.
	due time.Time
	// delivered are the objects to remove one day, oldest first.
	delivered []deliveredObject
}

type deliveredObject struct {
	at          time.Time
	bucket, key string
}

// SetLogDelivery changes how trails deliver from now on; nil: not at all. Chains of digests go on, unless there was no
// delivery before.
func (s *Server) SetLogDelivery(d *LogDelivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setLogDelivery(d)
}

func (s *Server) setLogDelivery(d *LogDelivery) {
	s.deliver()
	if d == nil {
		s.logs = nil
		return
	}
	now := s.now()
	n := &logDelivery{
		LogDelivery: d.withDefaults(s.deliverySeed), clock: now, time: s.deliveryTime(now), chains: map[chainKey]*chain{},
	}
	if s.logs != nil {
		n.chains, n.delivered = s.logs.chains, s.logs.delivered
	}
	s.logs = n
	s.arrange()
}

// LogDelivery returns how trails deliver, and whether they do.
func (s *Server) LogDelivery() (LogDelivery, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logs == nil {
		return LogDelivery{}, false
	}
	return s.logs.LogDelivery, true
}

// DeliveryTime returns what time it is for deliveries, digests, public keys and S3.
func (s *Server) DeliveryTime() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deliveryTime(s.now())
}

// deliveryTime translates a time of the emulator's clock.
func (s *Server) deliveryTime(now time.Time) time.Time {
	if s.logs == nil {
		return now
	}
	passed := now.Sub(s.logs.clock)
	if s.logs.Hour != time.Hour {
		hours, rest := int64(passed/s.logs.Hour), passed%s.logs.Hour
		passed = time.Duration(hours)*time.Hour + time.Duration(float64(rest)/float64(s.logs.Hour)*float64(time.Hour))
	}
	return s.logs.time.Add(passed)
}

// arrange lets each trail that logs have a chain for each account and region that it delivers for, and ends the other
// ones. The caller holds the lock and has delivered what is due.
func (s *Server) arrange() {
	if s.logs == nil {
		return
	}
	now := s.deliveryTime(s.now()).Truncate(time.Second)
	wanted := map[chainKey]bool{}
	for _, t := range s.byARN {
		for _, key := range s.chainsOf(t) {
			wanted[key] = t.logging
			n := s.logs.chains[key]
			if n == nil && t.logging {
				n = newChain(key, t, s.logs.Seed)
				s.logs.chains[key] = n
			}
			if n != nil {
				n.bucket, n.prefix, n.organization = t.bucket, t.prefix, s.organizationOf(t)
				n.set(s.logs.LogDelivery, t.logging, t.logging && t.validation, now)
			}
		}
	}

	for key, n := range s.logs.chains {
		if _, ok := wanted[key]; !ok {
			n.set(s.logs.LogDelivery, false, false, now)
			if s.byARN[key.trail] == nil && n.isIdle() {
				delete(s.logs.chains, key)
			}
		}
	}
	s.logs.due = time.Time{}
}

// organizationOf is the organization's id in the keys of a trail's objects.
func (s *Server) organizationOf(t *trail) string {
	if !t.orgTrail || s.org == nil {
		return ""
	}
	return s.org.ID
}

// chainsOf returns for which accounts and regions a trail delivers.
func (s *Server) chainsOf(t *trail) []chainKey {
	accounts := []string{t.owner}
	if t.orgTrail && s.org.isManagement(t.owner) {
		accounts = slices.AppendSeq(accounts, maps.Keys(s.org.members))
	}
	regions := []string{t.home}
	if t.multiRegion {
		others := s.logs.Regions
		if others == nil {
			others = s.opts.Regions
		}
		for _, region := range others {
			if region != t.home && t.shows(region) && s.regions[region] {
				regions = append(regions, region)
			}
		}
	}

	out := make([]chainKey, 0, len(accounts)*len(regions))
	for _, account := range accounts {
		for _, region := range regions {
			if !s.isDisabled(place{account, region}) {
				out = append(out, chainKey{t.arn, account, region})
			}
		}
	}
	return out
}

// deliver delivers what is due. The caller holds the lock.
func (s *Server) deliver() {
	if s.logs == nil {
		return
	}
	now := s.deliveryTime(s.now())
	if now.Before(s.logs.due) {
		return
	}
	var due []*chain
	for _, n := range s.logs.chains {
		if !n.due.After(now) {
			due = append(due, n)
		}
	}
	s.deliverUntil(due, now)
}

// deliverUntil lets chains deliver what they have until a time, several at once: signing takes a while.
func (s *Server) deliverUntil(due []*chain, until time.Time) {
	d := s.logs
	slices.SortFunc(due, func(x, y *chain) int { return x.key.compare(y.key) })
	work := make(chan *chain, len(due))
	for _, n := range due {
		work <- n
	}
	close(work)
	var wg sync.WaitGroup
	for range min(len(due), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for n := range work {
				n.advance(s, until)
			}
		})
	}
	wg.Wait()

	for _, n := range due {
		for _, o := range n.out {
			s.store(o)
			d.delivered = append(d.delivered, deliveredObject{o.LastModified, o.Bucket, o.Key})
		}
		n.out = nil
		if s.byARN[n.key.trail] == nil && n.isIdle() {
			delete(d.chains, n.key)
		}
	}
	s.expire(until)

	d.due = until.Add(time.Hour)
	for _, n := range d.chains {
		if n.due.Before(d.due) {
			d.due = n.due
		}
	}
}

// expire removes what was delivered long ago.
func (s *Server) expire(now time.Time) {
	d := s.logs
	gone := 0
	for gone < len(d.delivered) && d.delivered[gone].at.Before(now.Add(-d.Keep)) {
		s.discardObject(d.delivered[gone].bucket, d.delivered[gone].key)
		gone++
	}
	if gone > 0 {
		clear(d.delivered[:gone])
		d.delivered = d.delivered[gone:]
	}
}

// DeliverHours delivers so many hours of a trail that logs at once, in all its accounts and regions. For an account and
// region for which nothing was delivered so far, they are the hours before now, as if the trail had logged since then.
// Otherwise they are the next ones, and may be ahead of DeliveryTime, which then has to catch up before anything more
// is delivered.
func (s *Server) DeliverHours(trailARN string, hours int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.byARN[trailARN]
	switch {
	case s.logs == nil:
		return fmt.Errorf("%w: it is switched off", errLogDelivery)
	case t == nil || !t.logging:
		return fmt.Errorf("%w: there is no trail %q that logs", errLogDelivery, trailARN)
	case time.Duration(hours)*time.Hour > s.logs.Keep:
		return fmt.Errorf("%w: objects are kept for %s, which is less than %d hours", errLogDelivery, s.logs.Keep, hours)
	}

	s.deliver()
	now := s.deliveryTime(s.now())
	var due []*chain
	for key, n := range s.logs.chains {
		if key.trail == trailARN && n.logging {
			due = append(due, n)
		}
	}
	until := now
	for _, n := range due {
		n.target = n.skip(s.logs.LogDelivery, hours)
		if n.target.After(until) {
			until = n.target
		}
	}
	s.deliverUntil(due, until)
	return nil
}

// DisableRegions makes an account have not enabled regions, and enabled all others: calls of the account in them answer
// that its token is unknown, and its trails deliver nothing from there. The account "" is every one without regions of
// its own.
func (s *Server) DisableRegions(account string, regions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver()
	s.disabled[account] = slices.Clone(regions)
	s.arrange()
}

// DisabledRegions returns the regions that accounts have not enabled.
func (s *Server) DisabledRegions() map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.disabled)
}

// isDisabled says whether an account has not enabled a region.
func (s *Server) isDisabled(at place) bool {
	own, ok := s.disabled[at.account]
	if !ok {
		own = s.disabled[""]
	}
	return slices.Contains(own, at.region)
}

// random is a source that depends on the seed and on what it is for, and on nothing else.
func random(seed int64, parts ...string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(parts, "|")))
	return rand.New(rand.NewPCG(uint64(seed), h.Sum64()))
}
