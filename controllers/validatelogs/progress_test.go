package validatelogs

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		var terminal bytes.Buffer
		from := time.Now()
		p := newProgress(&terminal, from, from.Add(100*time.Hour), time.Now)
		one, two := digest.Chain{Region: "one"}, digest.Chain{Region: "two"}
		p.expect(2)
		<-time.After(10*time.Second + showEvery/2)
		synctest.Wait()
		g.Expect(terminal.String()).To(HaveSuffix("\r\x1b[K0/2 chains, 0% of the time, 0 digests, 0 log files, 0 B"))

		p.reached(one, digest.Result{Kind: digest.KindDigest, End: from.Add(50 * time.Hour)})
		p.reached(one, digest.Result{Kind: digest.KindLog, Bytes: 2_500_000})
		<-time.After(showEvery)
		synctest.Wait()
		g.Expect(terminal.String()).To(HaveSuffix(
			"\r\x1b[K0/2 chains, 25% of the time, 1 digests, 1 log files, 2.5 MB, about 31s left"))
		p.done(one)
		p.reached(two, digest.Result{Kind: digest.KindDigest, End: from.Add(200 * time.Hour)})
		<-time.After(showEvery)
		synctest.Wait()
		g.Expect(terminal.String()).To(HaveSuffix("1/2 chains, 100% of the time, 2 digests, 1 log files, 2.5 MB"))

		p.end()
		g.Expect(terminal.String()).To(HaveSuffix("2.5 MB\r\x1b[K"), "nothing of it is left")
	})
}

func TestNoProgressWithoutATerminal(*testing.T) {
	p := newProgress(nil, time.Now(), time.Now(), time.Now)
	p.expect(1)
	p.reached(digest.Chain{}, digest.Result{})
	p.hide()
	p.end()
}
