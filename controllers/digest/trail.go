package digest

import "time"

// Trail says whose digests are validated, and where CloudTrail delivers them.
type Trail struct {
	// Name and HomeRegion are in the name of each digest of the trail.
	Name, HomeRegion string
	// AccountID is the account that the trail belongs to. That of an organization trail is the management account's.
	AccountID string
	// Bucket and Prefix are where CloudTrail delivers now: PREFIX/AWSLogs/…, or AWSLogs/… without a prefix. Digests from
	// before a change are found by what the digests after it say.
	Bucket, Prefix string
	// Organization says that the trail may record more accounts than its own, whose digests are under AWSLogs/o-…/.
	Organization bool
}

// Chain is the digests of a trail for one account and one region that events were delivered from.
type Chain struct {
	// OrganizationID is in the keys of an organization trail, such as o-abcdefghij; "" for other trails.
	OrganizationID string
	AccountID      string
	Region         string
}

// Position is how far a chain was walked. It is all that the next walk needs; the zero Position is nowhere.
type Position struct {
	// Bucket and Object are where the last digest was read.
	Bucket, Object string
	// End is the digestEndTime of the last digest.
	End time.Time
	// Hash is the SHA-256 of its uncompressed content, and Signature its signature, both in lowercase hex. They are ""
	// for a digest that could not be read: then the digest after it says what it was.
	Hash, Signature string
}

// Mode is what is done about the log files that a digest vouches for.
type Mode string

// Modes, from cheap to thorough.
const (
	// Digests validates digests only.
	Digests Mode = "Digests"
	// Existence also lists the log files: each must be there and not have been written since, and none may be there for
	// which no digest vouches.
	Existence Mode = "Existence"
	// Sample is Existence, and reads a part of the log files.
	Sample Mode = "Sample"
	// Full is Existence, and reads all log files.
	Full Mode = "Full"
)

// Class is what is wrong.
type Class string

// Classes of findings. All but Unverifiable mean that somebody has tampered with the bucket, or that CloudTrail or the
// bucket's own rules have removed something.
const (
	// DigestMissing: a digest was delivered, and is not there.
	DigestMissing Class = "DigestMissing"
	// DigestAltered: a digest is not what CloudTrail has signed, or not where.
	DigestAltered Class = "DigestAltered"
	// ChainBroken: a digest that CloudTrail has signed does not continue the one before.
	ChainBroken Class = "ChainBroken"
	// LogDeleted: a log file that a digest vouches for is not there.
	LogDeleted Class = "LogDeleted"
	// LogAltered: a log file is not what a digest vouches for.
	LogAltered Class = "LogAltered"
	// LogNotVouchedFor: no digest vouches for a log file, which somebody may have put there. A trail without log file
	// validation that delivers to the same place has such log files, too.
	LogNotVouchedFor Class = "LogNotVouchedFor"
	// Unverifiable: it is not known, as something could not be read. It never means that somebody has tampered.
	Unverifiable Class = "Unverifiable"
)

// Finding is something that is not proved.
type Finding struct {
	Class Class
	Chain Chain
	// Reason of an Unverifiable is a word for its cause: AWS's error code, such as AccessDenied, or one of the Reason
	// constants. It is "" for other classes.
	Reason string
	// Bucket and Object are what it is about; for what is missing, where it was or would have been.
	Bucket, Object string
	// Time is the end of the hour that is not proved: the digestEndTime of the digest that is, or would have been, of that
	// hour.
	Time time.Time
	// Message says in a sentence what was expected and what was found.
	Message string
}

// Reasons of Unverifiable that are not AWS's error codes.
const (
	// ReasonArchived: the object is in an archive tier and cannot be read before it is restored.
	ReasonArchived = "Archived"
	// ReasonKeyUnknown: CloudTrail does not return the public key that a digest names.
	ReasonKeyUnknown = "PublicKeyUnknown"
	// ReasonOverdue: no digest came for hours, and nothing says whether one was delivered.
	ReasonOverdue = "Overdue"
	// ReasonTooLarge: the object is larger than any that CloudTrail writes.
	ReasonTooLarge = "TooLarge"
)

// Kind is what a Result is about.
type Kind string

// Kinds of results.
const (
	KindDigest   Kind = "Digest"
	KindBackfill Kind = "Backfill"
	KindLog      Kind = "Log"
	// KindGap is a time for which CloudTrail has delivered no digest, as the chain began anew after it: the trail did not
	// log or validation was off. It has no object.
	KindGap Kind = "Gap"
)

// Result is what became of one thing that was looked at: it is valid if it has no Finding.
type Result struct {
	Kind           Kind
	Chain          Chain
	Bucket, Object string
	// Start and End are the hour of a digest or backfill digest, for a log file those of its digest, or the time of a gap.
	Start, End time.Time
	// Read says that the content of a log file was read, and Bytes how many compressed bytes that took.
	Read    bool
	Bytes   int64
	Finding *Finding
}
