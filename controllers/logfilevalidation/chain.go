package logfilevalidation

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/digest"
)

// chain is how far a chain was validated.
type chain struct {
	digest.Chain
	// position is where the last walk ended; a walk from nowhere begins at start.
	position digest.Position
	start    time.Time
	// known is until when everything about the chain was told or is acknowledged.
	known time.Time
	// empty says that there was no digest of the chain after start.
	empty bool
	// gone says that no digest of the chain is in the bucket any more, which was told.
	gone bool
	// lag is why the last walk went no further; nil: it went as far as the chain goes. shown says that the status tells.
	lag   *digest.Finding
	shown bool
	// tried says that the validation under way has come to where the chain lags.
	tried bool
	// reported are the findings behind position, with their hours: the next walk comes by them again.
	reported map[uint64]time.Time
	// unverifiable is what the walk under way could not verify.
	unverifiable []*digest.Finding
}

// hashSeed makes the hashes of findings those of this process.
var hashSeed = maphash.MakeSeed()

// hashOf tells findings of a chain apart, without keeping their texts: there may be very many.
func hashOf(f *digest.Finding) uint64 {
	return maphash.Comparable(hashSeed, [4]string{string(f.Class), f.Bucket, f.Object, f.Time.UTC().String()})
}

// until returns until when the chain is validated.
func (c *chain) until() time.Time {
	if c.position.End.After(c.start) {
		return c.position.End
	}
	return c.start
}

// isNew tells whether a finding is new, and remembers it. A walk that stopped is repeated from the last digest that is
// proved, and then reports again what it found behind that.
func (c *chain) isNew(f *digest.Finding) bool {
	if !f.Time.After(c.known) {
		return false
	}
	key := hashOf(f)
	if _, ok := c.reported[key]; ok {
		return false
	}
	if c.reported == nil {
		c.reported = map[uint64]time.Time{}
	}
	c.reported[key] = f.Time
	return true
}

// walked takes note of where a walk ended that was to go until a time, the last one of its validation or not, and
// returns what it could not verify and passed.
func (c *chain) walked(position digest.Position, until time.Time, last bool) (passed []*digest.Finding) {
	if position != (digest.Position{}) {
		c.position = position
	}
	c.lag = nil
	for _, f := range c.unverifiable {
		switch {
		case f.Time.After(c.position.End):
			c.lag = cmp.Or(c.lag, f)
		case f.Time.After(c.known):
			passed = append(passed, f)
		}
	}
	c.unverifiable = nil
	maps.DeleteFunc(c.reported, func(_ uint64, end time.Time) bool { return !end.After(c.position.End) })

	nothing := c.position == (digest.Position{}) && c.lag == nil
	c.empty = nothing && last
	if nothing && !last && until.After(c.start) {
		c.start = until
	}
	return passed
}

// clone returns the chain as it was after the last walk.
func (c *chain) clone() *chain {
	same := *c
	same.reported, same.unverifiable = maps.Clone(c.reported), nil
	return &same
}

// begin makes the chain begin at a time, if it has not come so far.
func (c *chain) begin(start time.Time) {
	if start.After(c.until()) {
		c.position, c.lag, c.reported = digest.Position{}, nil, nil
	}
	if start.After(c.start) {
		c.start = start
	}
	if start.After(c.known) {
		c.known = start
	}
}

// reopen makes a chain begin at a time again that had come further before a restart. It returns false if it had not.
func (c *chain) reopen(start time.Time) bool {
	if !c.empty || !c.start.After(start) {
		return false
	}
	c.start, c.empty = start, false
	return true
}

// summary is how far all chains are.
type summary struct {
	chains int
	// until is when all chains are validated that are not in lagging; the zero time: there is none.
	until time.Time
	// lagging are the first of laggingCount chains that lag.
	lagging      []v1alpha1.LaggingChain
	laggingCount int
}

// summarize tells how far chains are. A lagging chain that is not listed holds back the time for all, as it would not
// be known after a restart how far it is.
func summarize(chains map[digest.Chain]*chain) summary {
	var s summary
	var lagging []*chain
	hold := func(c *chain) {
		if s.until.IsZero() || c.until().Before(s.until) {
			s.until = c.until()
		}
	}
	for _, c := range chains {
		if c.gone {
			continue
		}
		s.chains++
		switch {
		case c.lag != nil && c.shown:
			lagging = append(lagging, c)
		case !c.empty:
			hold(c)
		}
	}

	slices.SortFunc(lagging, func(a, b *chain) int {
		return cmp.Or(a.until().Compare(b.until()), compareChains(a.Chain, b.Chain))
	})
	s.laggingCount = len(lagging)
	for i, c := range lagging {
		if i < maxLagging {
			s.lagging = append(s.lagging, c.shownLag())
		} else {
			hold(c)
		}
	}
	return s
}

// shownLag is the chain as a status has it.
func (c *chain) shownLag() v1alpha1.LaggingChain {
	lag := v1alpha1.LaggingChain{
		OrganizationID: c.OrganizationID, AccountID: c.AccountID, Region: c.Region,
		Reason: shown(c.lag.Reason, maxReason), Message: shown(c.lag.Message, maxMessage),
	}
	if c.position != (digest.Position{}) || !c.start.IsZero() {
		lag.ValidatedUntil = v1alpha1.TimeOrNil(c.until())
	}
	return lag
}

func compareChains(a, b digest.Chain) int {
	return cmp.Or(
		cmp.Compare(a.OrganizationID, b.OrganizationID),
		cmp.Compare(a.AccountID, b.AccountID),
		cmp.Compare(a.Region, b.Region),
	)
}
