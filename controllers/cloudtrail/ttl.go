package cloudtrail

import "time"

// How long what was read from AWS may be believed, each with its reason.
const (
	// FreshNow asks for a read that begins after the question.
	FreshNow time.Duration = 0
	// FreshForChange is for acting on a person's change: long enough that hundreds of manifests applied
	// at once share one DescribeTrails, short enough that nobody notices. What is not known of a trail is
	// found out by the write itself, which AWS refuses if the trail is there already.
	FreshForChange = 2 * time.Second
	// FreshForTurn is for a trail whose turn under the rate limit has come: it was looked at when it began to wait.
	FreshForTurn = time.Minute
	// freshForLookAtLeast and freshForLookAtMost bound how old a shared read may be at a regular look. The looks of an account and
	// region come at one time, so it is the time that it takes to go through them.
	freshForLookAtLeast = 200 * time.Millisecond
	freshForLookAtMost  = 5 * time.Second
	// ownWritesSettle is how long an answer to our own write is believed over a later read: CloudTrail's
	// reads are eventually consistent.
	ownWritesSettle = 5 * time.Second
	// sharedReadTimeout ends a shared read, which runs on no caller's context.
	sharedReadTimeout = time.Minute
	// callTimeout ends one try of one call. CloudTrail answers in less than a second as a rule.
	callTimeout = 30 * time.Second
	// credentialsExpiry is how long before its end a role's credentials are renewed: a call that waits for the rate
	// limit or is retried must not outlive what it was signed with.
	credentialsExpiry = time.Minute
)

// FreshForLook is how old a shared read may be at a regular look with this interval.
func FreshForLook(interval time.Duration) time.Duration {
	return min(max(interval/20, freshForLookAtLeast), freshForLookAtMost)
}
