package validatelogs

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// showEvery is how often the progress is shown.
const showEvery = 200 * time.Millisecond

// hideLine returns to the beginning of a terminal's line and clears it.
const hideLine = "\r\x1b[K"

// progress shows on a terminal how far the validation is. Without a terminal it shows nothing.
type progress struct {
	terminal io.Writer // nil: there is none.
	from, to time.Time
	now      func() time.Time
	began    time.Time
	ended    chan struct{}
	stopped  sync.WaitGroup

	mu     sync.Mutex
	shown  bool
	chains int
	// complete are the chains that are done, and parts how much of each other chain is, from 0 to 1.
	complete      int
	parts         map[digest.Chain]float64
	digests, logs int
	bytes         int64
}

// newProgress returns a progress that is shown from when it is known how much there is to do.
func newProgress(terminal io.Writer, from, to time.Time, now func() time.Time) *progress {
	return &progress{
		terminal: terminal, from: from, to: to, now: now, ended: make(chan struct{}), parts: map[digest.Chain]float64{},
	}
}

// expect says how many chains there are, and begins to show the progress.
func (p *progress) expect(chains int) {
	p.mu.Lock()
	p.chains, p.began = chains, p.now()
	p.mu.Unlock()
	if p.terminal == nil {
		return
	}
	p.stopped.Go(func() {
		ticker := time.NewTicker(showEvery)
		defer ticker.Stop()
		for {
			select {
			case <-p.ended:
				return
			case <-ticker.C:
				p.show()
			}
		}
	})
}

// reached notes a result of a chain.
func (p *progress) reached(chain digest.Chain, r digest.Result) {
	if p.terminal == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += r.Bytes
	if r.Kind == digest.KindLog {
		p.logs++
		return
	}
	p.digests++
	if all := p.to.Sub(p.from); all > 0 {
		p.parts[chain] = min(max(p.parts[chain], float64(r.End.Sub(p.from))/float64(all), 0), 1)
	}
}

// done notes that a chain is done.
func (p *progress) done(chain digest.Chain) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complete++
	delete(p.parts, chain)
}

// end ends it.
func (p *progress) end() {
	close(p.ended)
	p.stopped.Wait()
	p.hide()
}

// hide makes place for a line of something else.
func (p *progress) hide() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		io.WriteString(p.terminal, hideLine) //nolint:errcheck // It is a decoration.
		p.shown = false
	}
}

// show shows how far it is.
func (p *progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	io.WriteString(p.terminal, hideLine+p.text()) //nolint:errcheck // It is a decoration.
	p.shown = true
}

// text returns how far it is. The caller holds the lock.
func (p *progress) text() string {
	part := p.part()
	line := fmt.Sprintf("%d/%d chains, %.0f%% of the time, %d digests, %d log files, %s",
		p.complete, p.chains, 100*part, p.digests, p.logs, size(p.bytes))
	// The first hundredth says little of the rest.
	if took := p.now().Sub(p.began); part >= 0.01 && part < 1 {
		left := time.Duration(float64(took) * (1 - part) / part)
		line += fmt.Sprintf(", about %s left", left.Round(time.Second))
	}
	return line
}

// part returns how much is done, from 0 to 1. The caller holds the lock.
func (p *progress) part() float64 {
	if p.chains == 0 {
		return 1
	}
	done := float64(p.complete)
	for _, part := range p.parts {
		done += part
	}
	return done / float64(p.chains)
}
