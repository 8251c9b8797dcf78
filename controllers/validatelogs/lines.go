package validatelogs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trail-operator/trail-operator/controllers/digest"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// line is what is printed at once: a line of JSON, or some text.
type line interface {
	// text returns the line as text, "" for none. What others have chosen is escaped.
	text() string
}

// moment is a time as CloudTrail writes it.
type moment time.Time

// String returns the time in UTC, to the second.
func (m moment) String() string { return time.Time(m).UTC().Format("2006-01-02T15:04:05Z") }

// MarshalText implements encoding.TextMarshaler.
func (m moment) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// IsZero tells whether there is a time.
func (m moment) IsZero() bool { return time.Time(m).IsZero() }

// Types of lines.
const (
	typeStart   = "start"
	typeResult  = "result"
	typeGap     = "gap"
	typeChain   = "chain"
	typeNote    = "note"
	typeError   = "error"
	typeSummary = "summary"
)

// startLine says what is validated.
type startLine struct {
	Type      string      `json:"type"`
	TrailARN  string      `json:"trailARN"`
	StartTime moment      `json:"startTime"`
	EndTime   moment      `json:"endTime"`
	Bucket    string      `json:"bucket"`
	Prefix    string      `json:"prefix,omitempty"`
	Mode      digest.Mode `json:"mode"`
	Shard     string      `json:"shard,omitempty"`
}

func (l startLine) text() string {
	return fmt.Sprintf("Validating log files for trail %s between %s and %s\n\n",
		text.Escape(l.TrailARN), l.StartTime, l.EndTime)
}

// Status of a result.
const (
	statusValid     = "valid"
	statusInvalid   = "invalid"
	statusUnchecked = "unchecked"
)

// resultLine is what became of a digest or a log file, or a gap between digests.
type resultLine struct {
	Type           string       `json:"type"`
	Kind           digest.Kind  `json:"kind,omitempty"`
	Status         string       `json:"status,omitempty"`
	Class          digest.Class `json:"class,omitempty"`
	Reason         string       `json:"reason,omitempty"`
	OrganizationID string       `json:"organizationID,omitempty"`
	AccountID      string       `json:"accountID"`
	Region         string       `json:"region"`
	Bucket         string       `json:"bucket,omitempty"`
	Object         string       `json:"object,omitempty"`
	StartTime      moment       `json:"startTime,omitzero"`
	EndTime        moment       `json:"endTime,omitzero"`
	Time           moment       `json:"time,omitzero"`
	Read           bool         `json:"read,omitempty"`
	Bytes          int64        `json:"bytes,omitempty"`
	Message        string       `json:"message,omitempty"`
}

// newResultLine returns the line of a result.
func newResultLine(r digest.Result) resultLine {
	l := resultLine{
		Type: typeResult, Kind: r.Kind, Status: statusValid,
		OrganizationID: r.Chain.OrganizationID, AccountID: r.Chain.AccountID, Region: r.Chain.Region,
		Bucket: r.Bucket, Object: r.Object, StartTime: moment(r.Start), EndTime: moment(r.End), Read: r.Read, Bytes: r.Bytes,
	}
	if r.Kind == digest.KindGap && r.Finding == nil {
		l.Type, l.Kind, l.Status = typeGap, "", ""
	}
	if f := r.Finding; f != nil {
		l.Status = statusInvalid
		if f.Class == digest.Unverifiable {
			l.Status = statusUnchecked
		}
		l.Class, l.Reason, l.Message, l.Time = f.Class, f.Reason, f.Message, moment(f.Time)
		l.Bucket, l.Object = cmp.Or(f.Bucket, l.Bucket), cmp.Or(f.Object, l.Object)
	}
	return l
}

// subjects are the AWS CLI's words for what a result is about.
var subjects = map[digest.Kind]string{
	digest.KindDigest:   "Digest file",
	digest.KindBackfill: "(backfill) Digest file",
	digest.KindLog:      "Log file",
	digest.KindGap:      "Gap",
}

func (l resultLine) text() string {
	if l.Type == typeGap {
		return fmt.Sprintf("No log files were delivered by CloudTrail between %s and %s\t%s\t%s\n",
			l.StartTime, l.EndTime, text.Escape(l.AccountID), text.Escape(l.Region))
	}
	columns := []string{subjects[l.Kind], "s3://" + text.Escape(l.Bucket+"/"+l.Object)}
	switch l.Status {
	case statusValid:
		columns = append(columns, "valid")
	case statusUnchecked:
		columns = append(columns, "NOT CHECKED: "+text.Escape(l.Reason))
	default:
		columns = append(columns, "INVALID: "+string(l.Class))
	}
	if l.Status != statusValid {
		columns = append(columns,
			text.Escape(l.AccountID), text.Escape(l.Region), l.Time.String(), text.Escape(l.Message))
	}
	return strings.Join(columns, "\t") + "\n"
}

// chainLine says what was found of a chain.
type chainLine struct {
	Type           string `json:"type"`
	OrganizationID string `json:"organizationID,omitempty"`
	AccountID      string `json:"accountID"`
	Region         string `json:"region"`
	found
}

func (l chainLine) text() string {
	valid := "nothing valid found"
	if !l.FoundEndTime.IsZero() {
		valid = fmt.Sprintf("found %s to %s", l.FoundStartTime, l.FoundEndTime)
	}
	return fmt.Sprintf("Chain\t%s\t%s\t%s\n", text.Escape(l.AccountID), text.Escape(l.Region), valid)
}

// noteLine is a remark on the whole run, or an error of it.
type noteLine struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

func (l noteLine) text() string {
	if l.Type == typeError {
		return "NOT CHECKED: " + text.Escape(l.Message) + "\n"
	}
	return "Note: " + text.Escape(l.Message) + "\n"
}

// count is how many of a kind were found to be what.
type count struct {
	Valid     int `json:"valid"`
	Invalid   int `json:"invalid"`
	Unchecked int `json:"unchecked"`
}

func (c *count) add(status string) {
	switch status {
	case statusValid:
		c.Valid++
	case statusInvalid:
		c.Invalid++
	default:
		c.Unchecked++
	}
}

func (c count) total() int { return c.Valid + c.Invalid + c.Unchecked }

// text says how many of how many are what, as the AWS CLI does.
func (c count) text(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d/%d %s files valid", c.Valid, c.total(), name)
	if c.Invalid > 0 {
		fmt.Fprintf(&b, ", %d/%d %s files INVALID", c.Invalid, c.total(), name)
	}
	if c.Unchecked > 0 {
		fmt.Fprintf(&b, ", %d/%d %s files NOT CHECKED", c.Unchecked, c.total(), name)
	}
	return b.String()
}

// found is what was found, of a chain or of all.
type found struct {
	// FoundStartTime and FoundEndTime are the range of the valid digests, within the range that was asked for.
	FoundStartTime moment `json:"foundStartTime,omitzero"`
	FoundEndTime   moment `json:"foundEndTime,omitzero"`
	Digests        count  `json:"digests"`
	Backfill       count  `json:"backfillDigests"`
	Logs           count  `json:"logFiles"`
	// LogsRead is how many log files were read, and BytesRead how many compressed bytes that took.
	LogsRead  int   `json:"logFilesRead"`
	BytesRead int64 `json:"bytesRead"`
	Gaps      int   `json:"gaps"`
	// Findings are how many findings there are of each class.
	Findings map[digest.Class]int `json:"findings"`
}

// add counts a result. The range is the one that was asked for.
func (f *found) add(r digest.Result, l resultLine, start, end time.Time) {
	if l.Class != "" {
		if f.Findings == nil {
			f.Findings = map[digest.Class]int{}
		}
		f.Findings[l.Class]++
	}
	switch r.Kind {
	case digest.KindDigest:
		f.Digests.add(l.Status)
	case digest.KindBackfill:
		f.Backfill.add(l.Status)
	case digest.KindLog:
		f.Logs.add(l.Status)
		f.BytesRead += r.Bytes
		if r.Read {
			f.LogsRead++
		}
	case digest.KindGap:
		f.Gaps++
	}
	if l.Status == statusValid && (r.Kind == digest.KindDigest || r.Kind == digest.KindBackfill) {
		f.extend(later(r.Start, start), earlier(r.End, end))
	}
}

// extend makes the range that was found as long as to include another.
func (f *found) extend(from, to time.Time) {
	if f.FoundStartTime.IsZero() || from.Before(time.Time(f.FoundStartTime)) {
		f.FoundStartTime = moment(from)
	}
	if to.After(time.Time(f.FoundEndTime)) {
		f.FoundEndTime = moment(to)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// summaryLine is the end.
type summaryLine struct {
	Type      string `json:"type"`
	TrailARN  string `json:"trailARN"`
	StartTime moment `json:"startTime"`
	EndTime   moment `json:"endTime"`
	Chains    int    `json:"chains"`
	found
	// Errors are how many errors there were besides those of single files.
	Errors   int `json:"errors"`
	ExitCode int `json:"exitCode"`
	// mode is what was done about log files.
	mode digest.Mode
	// spaced says that there are lines before it.
	spaced bool
}

// invalid and unchecked are how many findings there are.
func (l *summaryLine) invalid() int {
	all := 0
	for _, n := range l.Findings {
		all += n
	}
	return all - l.Findings[digest.Unverifiable]
}

func (l *summaryLine) unchecked() int { return l.Findings[digest.Unverifiable] + l.Errors }

func (l *summaryLine) text() string {
	var b strings.Builder
	if l.spaced {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "Results requested for %s to %s\n", l.StartTime, l.EndTime)
	switch {
	case l.Digests.total()+l.Backfill.total() == 0:
		b.WriteString("No digests found\n")
	case l.FoundStartTime.IsZero():
		b.WriteString("No valid digests found in range\n")
	default:
		fmt.Fprintf(&b, "Results found for %s to %s:\n", l.FoundStartTime, l.FoundEndTime)
	}

	fmt.Fprintf(&b, "\n%d chains of digest files (one for each account and region)\n", l.Chains)
	if l.Digests.total() > 0 {
		fmt.Fprintf(&b, "%s\n", l.Digests.text("digest"))
	}
	if l.Backfill.total() > 0 {
		fmt.Fprintf(&b, "%s\n", l.Backfill.text("backfill digest"))
	}
	switch {
	case l.Logs.total() > 0:
		fmt.Fprintf(&b, "%s (%d read, %s)\n", l.Logs.text("log"), l.LogsRead, size(l.BytesRead))
	case l.mode == digest.Digests:
		b.WriteString("no log files looked at (--mode Digests)\n")
	}
	if n := l.unchecked(); n > 0 {
		fmt.Fprintf(&b, "%d could not be checked\n", n)
	}
	for _, class := range slices.Sorted(maps.Keys(l.Findings)) {
		fmt.Fprintf(&b, "%d %s\n", l.Findings[class], class)
	}
	return b.String()
}

// size returns a number of bytes for people.
func size(bytes int64) string {
	const unit = 1000
	n, names := float64(bytes), []string{"B", "kB", "MB", "GB", "TB"}
	for n >= unit && len(names) > 1 {
		n, names = n/unit, names[1:]
	}
	if n < 10 && names[0] != "B" {
		return fmt.Sprintf("%.1f %s", n, names[0])
	}
	return fmt.Sprintf("%.0f %s", n, names[0])
}
