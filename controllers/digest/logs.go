package digest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"sync"
	"time"
)

// deliveredWithin is how long after the end of a digest's hour the log files that it vouches for may have been written.
const deliveredWithin = time.Hour

// logCheck is a log file that a digest vouches for, and what became of looking at it.
type logCheck struct {
	log logFile
	// before is the time before which CloudTrail has written it.
	before time.Time
	// sampled says that its content is read.
	sampled bool
	result  Result
	failure *fault
}

// checksOf returns what is to be looked at of the log files that a digest vouches for.
func (r *run) checksOf(f *file, of Result) []*logCheck {
	if r.options.Mode == Digests {
		return nil
	}
	r.vouching.add(f)
	before := f.end
	if f.backfill {
		before = f.modified // It is of log files that came later than the digest of their hour.
	}

	checks := make([]*logCheck, 0, len(f.logs))
	for _, log := range f.logs {
		checks = append(checks, &logCheck{
			log: log, before: before.Add(deliveredWithin), sampled: r.sampled(log),
			result: Result{
				Kind: KindLog, Chain: r.Chain, Bucket: log.Bucket, Object: log.Key, Start: of.Start, End: of.End,
			},
		})
	}
	return checks
}

// checks are the log files of steps that are being looked at.
type checks struct {
	*Validator
	listed map[logKey]time.Time
	failed map[logKey]*fault
	cancel context.CancelFunc
	work   sync.WaitGroup
	// steps has for each step a channel that is closed when its log files were looked at.
	steps []chan struct{}
}

type logKey struct{ bucket, key string }

func (c *logCheck) id() logKey { return logKey{c.log.Bucket, c.log.Key} }

// folder returns the folder that a log file is in.
func (k logKey) folder() logKey { return logKey{k.bucket, k.key[:strings.LastIndexByte(k.key, '/')+1]} }

// startChecks begins to look at the log files of steps. close must be called.
func (r *run) startChecks(ctx context.Context, steps []step) *checks {
	ctx, cancel := context.WithCancel(ctx)
	c := &checks{Validator: r.Validator, cancel: cancel, listed: map[logKey]time.Time{}, failed: map[logKey]*fault{}}
	for range steps {
		c.steps = append(c.steps, make(chan struct{}))
	}
	c.work.Go(func() {
		if r.options.Mode != Full {
			c.list(ctx, steps)
		}
		c.checkAll(ctx, steps)
	})
	return c
}

// close ends what is still going on, and waits for it.
func (c *checks) close() {
	c.cancel()
	c.work.Wait()
}

// wait waits until the log files of a step were looked at.
func (c *checks) wait(ctx context.Context, i int) error {
	select {
	case <-c.steps[i]:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkAll looks at the log files of steps, in order and in parallel.
func (c *checks) checkAll(ctx context.Context, steps []step) {
	for i := range steps {
		var group sync.WaitGroup
		for _, check := range steps[i].checks {
			if !c.mustRead(check) {
				c.judgeListed(check)
				continue
			}
			if err := c.limits().acquire(ctx); err != nil {
				check.failure = faultIn(ctx, err, "")
				break
			}
			group.Go(func() {
				defer c.limits().release()
				c.read(ctx, check)
			})
		}
		c.work.Go(func() {
			group.Wait()
			close(c.steps[i])
		})
	}
}

// mustRead tells whether a log file has to be opened: to be read, or because it is not in the list. What was delivered
// after the list was read is not in it either.
func (c *checks) mustRead(check *logCheck) bool {
	if check.sampled {
		return true
	}
	if _, failed := c.failed[check.id().folder()]; failed {
		return false
	}
	modified, listed := c.listed[check.id()]
	late := modified.After(check.before)
	return !listed || late && c.options.Mode == Sample
}

// judgeListed judges a log file by the list.
func (c *checks) judgeListed(check *logCheck) {
	if failure, failed := c.failed[check.id().folder()]; failed {
		check.failure = failure
		return
	}
	check.judgeTime(c.listed[check.id()])
}

// judgeTime judges a log file by the time at which it was written.
func (c *logCheck) judgeTime(modified time.Time) {
	if modified.After(c.before) {
		c.failure = tampered(
			LogAltered,
			"The log file was written again at %s, after CloudTrail delivered it: the digest that "+
				"vouches for it is of the hour until %s.",
			at(modified),
			at(c.result.End),
		)
	}
}

// list lists the folders of the log files, from the first to the last that is needed, in parallel.
func (c *checks) list(ctx context.Context, steps []step) {
	folders := foldersOf(steps)
	var mu sync.Mutex
	var group sync.WaitGroup
	for folder, needed := range folders {
		if err := c.limits().acquire(ctx); err != nil {
			break // The steps wait for a context that has ended, too.
		}
		group.Go(func() {
			defer c.limits().release()
			found, err := c.listFolder(ctx, folder, needed)

			mu.Lock()
			defer mu.Unlock()
			maps.Copy(c.listed, found)
			if err != nil {
				c.failed[folder] = faultIn(
					ctx,
					err,
					fmt.Sprintf("The list of the log files under %q in bucket %q", folder.key, folder.bucket),
				)
			}
		})
	}
	group.Wait()
}

// foldersOf returns the keys that are needed of each folder. Of a folder in which all are read none is.
func foldersOf(steps []step) map[logKey]map[string]bool {
	folders := map[logKey]map[string]bool{}
	for i := range steps {
		for _, check := range steps[i].checks {
			folder := check.id().folder()
			if folders[folder] == nil {
				folders[folder] = map[string]bool{}
			}
			folders[folder][check.log.Key] = true
		}
	}
	return folders
}

// listFolder returns when objects of a folder were written.
func (c *checks) listFolder(ctx context.Context, folder logKey, needed map[string]bool) (map[logKey]time.Time, error) {
	first, last := "", ""
	for key := range needed {
		if first == "" || key < first {
			first = key
		}
		last = max(last, key)
	}
	found := map[logKey]time.Time{}
	for object, err := range listFrom(ctx, c.options.Storage, folder.bucket, folder.key, first) {
		if errors.Is(err, ErrNotFound) || err == nil && object.Key > last {
			break
		}
		if err != nil {
			return found, err
		}
		if needed[object.Key] {
			found[logKey{folder.bucket, object.Key}] = object.LastModified
		}
	}
	return found, nil
}

// listFrom lists the objects of a folder from a key on. A list begins after a key, so it is begun a little before.
func listFrom(ctx context.Context, storage Storage, bucket, folder, first string) iter.Seq2[Object, error] {
	return storage.List(ctx, bucket, folder, first[:max(0, len(first)-1)])
}
