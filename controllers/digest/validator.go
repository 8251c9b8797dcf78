package digest

import (
	"context"
	"time"
)

// Options are what a Validator needs.
type Options struct {
	Storage Storage
	// Keys are asked once for each key, as a Validator remembers them.
	Keys Keys
	// Mode is Digests if "".
	Mode Mode
	// SamplePercent is how many of 100 log files Sample reads. Which ones depends on their names and on Seed, which
	// nobody else should know.
	SamplePercent int
	Seed          [32]byte
	// Limits bounds the work of all Validators that share it; nil: a bound of its own.
	Limits *Limits
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Limits bounds how many objects are read at once.
type Limits struct {
	objects chan struct{}
	// large has a place for one digest that is larger than others.
	large chan struct{}
}

// NewLimits returns a bound.
func NewLimits(objects int) *Limits {
	return &Limits{objects: make(chan struct{}, max(1, objects)), large: make(chan struct{}, 1)}
}

// Walk is one walk along a chain.
type Walk struct {
	Trail Trail
	Chain Chain
	// From is where the last walk ended. A walk from nowhere begins with the digest that covers Start, or else with the
	// first one after it; the zero Start is the beginning of the chain.
	From  Position
	Start time.Time
	// Until is where to stop: a digest that ends later is not validated, but read if that tells what is missing before
	// Until. The zero Until is now: then a chain that goes no further for hours is told.
	Until time.Time
	// GoOn says that nobody walks the chain again: what cannot be read is reported and passed like all else, unless it may
	// be readable in a moment.
	GoOn bool
	// Delivery is what CloudTrail says about its last digest of the chain; nil: not known.
	Delivery *Delivery
	// Report is told of everything that was looked at, in the order of time within the chain's digests; it is called by
	// one goroutine at a time. nil: nobody is.
	Report func(Result)
}

// Delivery is what GetTrailStatus says about the digests of one region of the trail's own account.
type Delivery struct {
	// Time is LatestDigestDeliveryTime, the zero time if there is none.
	Time time.Time
	// Error is LatestDigestDeliveryError, "" if there is none.
	Error string
	// Stopped says that the trail does not log, or that validation is off, so that no digest is to come.
	Stopped bool
}

// Validator validates chains, several at once if it is asked to.
type Validator struct {
	options Options
	keyring *keyring
}

// New returns a Validator.
func New(options Options) *Validator {
	if options.Mode == "" {
		options.Mode = Digests
	}
	if options.Limits == nil {
		options.Limits = NewLimits(defaultObjects)
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Validator{options: options, keyring: newKeyring(options.Keys)}
}

func (v *Validator) limits() *Limits { return v.options.Limits }

func (v *Validator) now() time.Time { return v.options.Now() }

// Chains returns the chains of a trail for which there is a digest in the bucket, by account and region. It fails where
// a folder cannot be listed, with what it found elsewhere.
func (v *Validator) Chains(ctx context.Context, trail Trail) ([]Chain, error) {
	return (&finder{Validator: v, trail: trail}).find(ctx)
}

// Walk validates a chain and returns how far it came. What is wrong with the bucket is reported and passed: a walk goes
// on behind it. At what may be readable later (no access, no answer, an unknown key) it stops, unless it is to go on,
// reports that as Unverifiable, and returns the position before, so that the next walk tries again. The error is the
// context's only.
func (v *Validator) Walk(ctx context.Context, walk Walk) (Position, error) {
	return newRun(v, walk).walk(ctx)
}
