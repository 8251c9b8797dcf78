package digest

import (
	"regexp"
	"strings"
	"time"
)

// Parts of the keys of digests and log files.
const (
	logRoot       = "AWSLogs/"
	digestFolder  = "CloudTrail-Digest"
	logFolder     = "CloudTrail"
	dayLayout     = "2006/01/02/"
	stampLayout   = "20060102T150405Z"
	minuteLayout  = "20060102T1504Z"
	digestEnding  = ".json.gz"
	backfillMark  = "_backfill"
	backfillAfter = backfillMark + digestEnding
)

// hour is what a digest covers.
const hour = time.Hour

// place is where digests of a chain lie: the bucket, and the folder of the region, which ends in a slash. The days are
// folders in it.
type place struct {
	bucket, folder string
}

// logs returns the folder of the log files that belongs to a folder of digests.
func (p place) logs() string {
	at := strings.LastIndex(p.folder, "/"+digestFolder+"/")
	if at < 0 {
		return ""
	}
	return p.folder[:at] + "/" + logFolder + "/" + p.folder[at+len(digestFolder)+2:]
}

// name is the name of a digest: where it lies, and what its key says.
type name struct {
	place
	key string
	// time is when the hour of the digest ends, as the key says.
	time     time.Time
	backfill bool
	// misplaced says that the digest is in the folder of another day.
	misplaced bool
}

// naming makes and reads the keys of a chain's digests.
type naming struct {
	current place
	// folder is what the folder of any place of the chain ends in, and file what the names of its digests begin with. The
	// name of a trail may hold what separates the parts, so names are compared with it rather than split.
	folder, file string
}

// namingOf returns the naming of a chain.
func namingOf(trail Trail, chain Chain) naming {
	folder := chain.AccountID + "/" + digestFolder + "/" + chain.Region + "/"
	organization := ""
	if chain.OrganizationID != "" {
		organization = chain.OrganizationID + "/"
	}
	return naming{
		current: place{bucket: trail.Bucket, folder: rootOf(trail) + organization + folder},
		folder:  "/" + folder,
		file:    fileOf(chain) + trail.Name + "_" + trail.HomeRegion + "_",
	}
}

// rootOf returns the folder of the accounts and organizations.
func rootOf(trail Trail) string {
	if trail.Prefix == "" {
		return logRoot
	}
	return trail.Prefix + "/" + logRoot
}

// fileOf returns what the names of the digests of an account and a region begin with, whatever their trail.
func fileOf(chain Chain) string {
	return chain.AccountID + "_" + digestFolder + "_" + chain.Region + "_"
}

// key returns the key of the digest that ends at a time.
func (n naming) key(in place, end time.Time) string { return n.stamp(in, end) + digestEnding }

// after returns the key that all digests of a time or before sort before or are equal to, and no later one.
func (n naming) after(in place, end time.Time) string { return n.stamp(in, end) + backfillAfter }

func (n naming) stamp(in place, end time.Time) string {
	end = end.UTC()
	return in.folder + end.Format(dayLayout) + n.file + end.Format(stampLayout)
}

// parse reads a key of the chain, wherever its folder is.
func (n naming) parse(bucket, key string) (name, bool) {
	folder, _, _ := cutDay(key)
	if !strings.HasSuffix("/"+folder, n.folder) {
		return name{}, false
	}
	return parseName(place{bucket: bucket, folder: folder}, key, n.file)
}

// cutDay splits a key into what is before the folder of the day, the day, and what is behind.
func cutDay(key string) (folder, day, file string) {
	slash := strings.LastIndexByte(key, '/')
	start := slash + 1 - len(dayLayout)
	if start < 0 {
		return "", "", key[slash+1:]
	}
	return key[:start], key[start : slash+1], key[slash+1:]
}

// ending is what follows the name of the trail and its home region.
var ending = regexp.MustCompile(`^(\d{8}T\d{6}Z)(` + backfillMark + `)?` + regexp.QuoteMeta(digestEnding) + `$`)

// parseName reads the key of a digest in a place, whose file begins with a text that ends before the time.
func parseName(in place, key, file string) (name, bool) {
	folder, day, base := cutDay(key)
	rest, ok := strings.CutPrefix(base, file)
	if !ok || !strings.HasPrefix(key, in.folder) {
		return name{}, false
	}
	found := ending.FindStringSubmatch(rest)
	if found == nil {
		return name{}, false
	}
	end, err := time.Parse(stampLayout, found[1])
	if err != nil {
		return name{}, false
	}
	return name{
		place: in, key: key, time: end, backfill: found[2] != "",
		misplaced: folder != in.folder || day != end.Format(dayLayout),
	}, true
}

// stampAt finds the time at the end of the name of any trail's digest.
var stampAt = regexp.MustCompile(`\d{8}T\d{6}Z(` + backfillMark + `)?` + regexp.QuoteMeta(digestEnding) + `$`)

// parseAny reads the key of a digest of any trail for an account and a region.
func parseAny(in place, key, file string) (name, bool) {
	at := stampAt.FindStringIndex(key)
	slash := strings.LastIndexByte(key, '/')
	if len(at) == 0 || at[0] <= slash || !strings.HasPrefix(key[slash+1:], file) {
		return name{}, false
	}
	return parseName(in, key, key[slash+1:at[0]])
}

// logTime is the minute in the name of a log file.
var logTime = regexp.MustCompile(`^\d{12}_` + logFolder + `_[a-z0-9-]+_(\d{8}T\d{4}Z)_`)

// parseLogTime returns the minute in which CloudTrail wrote a log file, as its key says.
func parseLogTime(key string) (time.Time, bool) {
	found := logTime.FindStringSubmatch(key[strings.LastIndexByte(key, '/')+1:])
	if found == nil {
		return time.Time{}, false
	}
	written, err := time.Parse(minuteLayout, found[1])
	return written, err == nil
}
