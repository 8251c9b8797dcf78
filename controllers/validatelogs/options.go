package validatelogs

import (
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/digest"
)

// Options say what to validate.
type Options struct {
	// TrailARN is the trail.
	TrailARN string
	// Start and End are the range of time in which log files were delivered. The zero End is now.
	Start, End time.Time
	// Bucket and Prefix are where the digests are; "": where the trail delivers to.
	Bucket, Prefix string
	// AccountID and Region limit what is validated to one account and to one region that events come from; "": all.
	AccountID, Region string
	// Mode is what is done about log files.
	Mode digest.Mode
	// SamplePercent is how many of 100 log files the mode Sample reads; 0: defaultSamplePercent.
	SamplePercent int
	// Shard is the part of the chains to validate.
	Shard Shard
	// Role to assume, and the external ID that its trust policy asks for; "": the caller itself.
	Role, ExternalID string
	// Concurrency is how many objects are read at once.
	Concurrency int
	// Format is how results are printed, and Verbose prints those without a finding, too.
	Format  Format
	Verbose bool
	// Version of the operator, for the user agent.
	Version string
	// Pause is how long to wait before a chain is tried again where AWS is in trouble; 0: pauseAfter.
	Pause time.Duration
	// Terminal shows how far it is; nil: nothing does.
	Terminal io.Writer
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// defaultSamplePercent is how many of 100 log files are read by default: some of an attacker's changes are found for a
// tenth of the price.
const defaultSamplePercent = 10

// defaultConcurrency is how many objects are read at once by default: enough to hide the latency of S3, and few enough
// for its limit of 5,500 reads a second and prefix.
const defaultConcurrency = 64

// Format is how results are printed.
type Format string

// Formats.
const (
	// Text is for people: a line for each finding, and a summary.
	Text Format = "text"
	// JSON is one object a line.
	JSON Format = "json"
)

// Shard is one of several parts of the chains.
type Shard struct{ Index, Count int }

// String returns the shard as it is given, "" for all chains.
func (s Shard) String() string {
	if s.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// has tells whether a chain is in the shard. All processes decide alike, whatever else each of them finds.
func (s Shard) has(chain digest.Chain) bool {
	if s.Count == 0 {
		return true
	}
	hash := fnv.New32a()
	fmt.Fprintf(hash, "%s/%s", chain.AccountID, chain.Region)
	return hash.Sum32()%uint32(s.Count) == uint32(s.Index) //nolint:gosec // Both were checked.
}

// BindFlags declares the flags of `trail-operator validate-logs`.
func (o *Options) BindFlags(set *flag.FlagSet) {
	set.StringVar(&o.TrailARN, "trail-arn", "", "The ARN of the trail. Required.")
	set.Func("start-time", "Validate the log files that were delivered at or after this `time`, such as "+
		"2026-01-08T05:21:42Z. Times without a zone are UTC. Required.", timeInto(&o.Start))
	set.Func("end-time", "Validate the log files that were delivered at or before this `time`. Defaults to now.",
		timeInto(&o.End))
	set.StringVar(&o.Bucket, "s3-bucket", "",
		"The bucket with the digest files. Defaults to the trail's, which CloudTrail is asked for.")
	set.StringVar(&o.Prefix, "s3-prefix", "",
		"What the keys in the bucket begin with, before AWSLogs/. Defaults to the trail's, or to nothing with --s3-bucket.")
	set.StringVar(&o.AccountID, "account-id", "", "Validate this account only. Defaults to all accounts of the trail.")
	set.StringVar(&o.Region, "region", "",
		"Validate the log files of events of this region only. Defaults to all regions of the trail.")
	set.BoolVar(&o.Verbose, "verbose", false, "Print what is valid, too.")

	o.Mode = digest.Full
	set.Func("mode", "What to do about log files: Digests does not look at them, Existence lists them, "+
		"Sample reads some, and Full reads them all. (default Full)", modeInto(&o.Mode))
	set.IntVar(&o.SamplePercent, "sample-percent", 0,
		fmt.Sprintf("How many of 100 log files --mode Sample reads. (default %d)", defaultSamplePercent))

	o.Format = Text
	set.Func("output", "How to print results: text, or json, which is one object a line. (default text)",
		formatInto(&o.Format))
	set.Func("shard", "Validate one part of all, `I/N`, such as 0/16, 1/16 … 15/16. "+
		"An account's region is always in the same one.",
		shardInto(&o.Shard))
	set.StringVar(&o.Role, "identity-role", "", "The role to assume. Defaults to the caller's own credentials.")
	set.StringVar(&o.ExternalID, "external-id", "", "The external ID that the role's trust policy asks for.")
	set.IntVar(&o.Concurrency, "concurrency", defaultConcurrency, "How many objects to read at once.")
}

// layouts are the forms of times, besides RFC 3339. The AWS CLI takes all of these.
var layouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04",
	"2006-01-02 15:04",
	time.DateOnly,
	"2006/01/02",
	"20060102T150405Z07:00",
	"20060102T150405",
	"20060102",
}

// parseTime returns a time. Without a zone it is UTC.
func parseTime(value string) (time.Time, error) {
	for _, layout := range layouts {
		if parsed, err := time.Parse(layout, strings.ToUpper(strings.TrimSpace(value))); err == nil {
			return parsed.UTC(), nil
		}
	}
	return time.Time{}, errors.New("not a time such as 2026-01-08T05:21:42Z, or a day such as 2026-01-08")
}

func timeInto(to *time.Time) func(string) error {
	return func(value string) (err error) {
		*to, err = parseTime(value)
		return err
	}
}

func modeInto(to *digest.Mode) func(string) error {
	modes := []digest.Mode{digest.Digests, digest.Existence, digest.Sample, digest.Full}
	return func(value string) error {
		i := slices.IndexFunc(modes, func(m digest.Mode) bool { return strings.EqualFold(string(m), value) })
		if i < 0 {
			return errors.New("not one of Digests, Existence, Sample, Full")
		}
		*to = modes[i]
		return nil
	}
}

func formatInto(to *Format) func(string) error {
	return func(value string) error {
		if *to = Format(value); *to != Text && *to != JSON {
			return errors.New("neither text nor json")
		}
		return nil
	}
}

func shardInto(to *Shard) func(string) error {
	return func(value string) error {
		index, count, found := strings.Cut(value, "/")
		i, err := strconv.ParseUint(index, 10, 31)
		n, err2 := strconv.ParseUint(count, 10, 31)
		if !found || err != nil || err2 != nil || i >= n {
			return errors.New("not a part such as 0/16, which is the first of 16, or 15/16, which is the last")
		}
		*to = Shard{Index: int(i), Count: int(n)}
		return nil
	}
}

// accountID is the form of an account's ID, and trailName that of a trail's resource.
var (
	accountID = regexp.MustCompile(`^\d{12}$`)
	trailName = regexp.MustCompile(`^trail/[A-Za-z0-9._-]+$`)
)

// Validate returns an error for options that make no sense.
func (o *Options) Validate() error {
	parsed, err := arn.Parse(o.TrailARN)
	switch {
	case o.TrailARN == "":
		return errors.New("--trail-arn is required")
	case err != nil, parsed.Service != "cloudtrail", parsed.Region == "", !accountID.MatchString(parsed.AccountID),
		!trailName.MatchString(parsed.Resource):
		return fmt.Errorf("--trail-arn %q is not the ARN of a trail", o.TrailARN)
	case o.Start.IsZero():
		return errors.New("--start-time is required")
	case !o.End.IsZero() && o.Start.After(o.End):
		return errors.New("--start-time must be before --end-time")
	case o.AccountID != "" && !accountID.MatchString(o.AccountID):
		return fmt.Errorf("--account-id %q is not the ID of an account, which has 12 digits", o.AccountID)
	case o.SamplePercent != 0 && o.Mode != digest.Sample:
		return errors.New("--sample-percent is for --mode Sample")
	case o.SamplePercent < 0 || o.SamplePercent > 100:
		return errors.New("--sample-percent must be between 1 and 100")
	case o.Concurrency < 1:
		return errors.New("--concurrency must be at least 1")
	case o.ExternalID != "" && o.Role == "":
		return errors.New("--external-id is for --identity-role")
	default:
		return nil
	}
}

// trail returns what the ARN says of the trail.
func (o *Options) trail() digest.Trail {
	trail, _ := cloudtrail.ParseTrailARN(o.TrailARN) // It was checked.
	return trail
}
