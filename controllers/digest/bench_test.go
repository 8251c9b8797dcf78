package digest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// BenchmarkObjects validates 516 objects: 24 digests and 492 log files.
func BenchmarkObjects(b *testing.B) {
	d := newWorld().deliver(oneTrail, oneChain, epoch)
	d.hours(slices.Repeat([]int{20, 21}, 12)...)
	for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
		for _, mode := range modes {
			b.Run(fmt.Sprintf("%s/latency=%s", mode, latency), func(b *testing.B) {
				b.ReportAllocs()
				d.wait = nil
				if latency > 0 {
					d.wait = func() { <-time.After(latency) }
				}
				for b.Loop() {
					if w := d.validate(b, settings{mode: mode}); len(w.findings()) > 0 {
						b.Fatal(w.findings())
					}
				}
			})
		}
	}
}

// BenchmarkHour validates a new hour of a chain, as the operator does every hour.
func BenchmarkHour(b *testing.B) {
	d := shortChain(50)
	from := positionOf(d.digests[48])
	for _, mode := range modes {
		b.Run(string(mode), func(b *testing.B) {
			b.ReportAllocs()
			validator := digest.New(digest.Options{
				Storage: d.storage, Keys: d.keys, Mode: mode, Now: func() time.Time { return d.at },
			})
			for b.Loop() {
				position, err := validator.Walk(b.Context(), digest.Walk{Trail: d.trail, Chain: d.chain, From: from})
				if err != nil || position.Object != d.last.key {
					b.Fatal(position, err)
				}
			}
		})
	}
}

// BenchmarkLargeLogs validates log files of 50 MB, and tells how much memory that takes at most.
func BenchmarkLargeLogs(b *testing.B) {
	d := shortChain(1)
	body, hash := largeLog()
	var logs []log
	for range 4 {
		l := d.putLog(d.at.Add(time.Minute), d.at.Add(time.Minute))
		d.put(l.bucket, l.key, &object{body: body, modified: l.modified})
		l.hash = hash
		logs = append(logs, l)
	}
	d.digest(d.at.Add(time.Hour), logs)
	b.SetBytes(int64(len(body) * len(logs)))
	b.ReportAllocs()
	b.ResetTimer()

	var most, before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for ctx.Err() == nil {
				var now runtime.MemStats
				if runtime.ReadMemStats(&now); now.HeapInuse > most.HeapInuse {
					most = now
				}
				<-time.After(10 * time.Millisecond)
			}
		}()
		if w := d.validate(b, settings{mode: digest.Full}); len(w.findings()) > 0 {
			b.Fatal(w.findings())
		}
		cancel()
		<-watched
	}
	b.ReportMetric(float64(most.HeapInuse-before.HeapInuse)/(1<<20), "MiB-more")
}

// largeLog returns a log file of about 50 MB as it is stored, and the hash of its content.
func largeLog() ([]byte, string) {
	random := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // It stands for events.
	var content bytes.Buffer
	for content.Len() < 300<<20 {
		fmt.Fprintf(
			&content,
			`{"eventVersion":"1.08","eventID":"%016x-%016x","eventName":"GetObject","awsRegion":"us-east-1"},`,
			random.Uint64(),
			random.Uint64(),
		)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, bytes.NewReader(content.Bytes())); err != nil {
		panic(err)
	}
	return pack(content.Bytes()), hex.EncodeToString(sum.Sum(nil))
}
