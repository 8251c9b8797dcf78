package cloudtrail

import "time"

// How long what was read from AWS may be believed, and how long AWS is waited for, each with its reason.
const (
	// freshForChange is for acting on a person's change: long enough that hundreds of manifests applied
	// at once share one DescribeTrails, short enough that nobody notices. What is not known of a trail is
	// found out by the write itself, which AWS refuses if the trail is there already.
	freshForChange = 2 * time.Second
	// freshForResyncAtLeast and freshForResyncAtMost bound how old a shared read may be at a regular look. The looks of an
	// account and region come at one time, so it is the time that it takes to go through them.
	freshForResyncAtLeast = 200 * time.Millisecond
	freshForResyncAtMost  = 5 * time.Second
	// OwnerFresh is how old what is known of a trail's owner may be when the trail is written to. The calls of one account
	// and region wait for each other, and a shared read for each of them would take the rate limit of all.
	OwnerFresh = 10 * time.Second
	// ownWritesSettle is how long an answer to our own write is believed over a later read: CloudTrail's
	// reads are eventually consistent.
	ownWritesSettle = 5 * time.Second
	// claimSettles is how long after a trail was claimed it is read whose it is: longer than another operator takes from
	// reading that it is nobody's to claiming it, too.
	claimSettles = 2 * time.Second
	// guardHolds is for how long a call may be sent after it was made sure that it may be: a process that was frozen
	// in between must not send it.
	guardHolds = 2 * time.Second
	// maxWait is how long a worker waits for an answer before it turns to something else. AWS answers in less as a rule.
	maxWait = 100 * time.Millisecond
	// unansweredWait is when a reconcile comes back to a call that is under way, should it not be woken up.
	unansweredWait = 5 * time.Second
	// sharedReadTimeout ends whatever runs on no worker's context: calls, shared reads, the opening of sessions.
	sharedReadTimeout = time.Minute
	// callTimeout ends one try of one call. CloudTrail answers in less than a second as a rule. It is also how long S3 may
	// send nothing of an object.
	callTimeout = 30 * time.Second
	// connectTimeout and handshakeTimeout end the attempt to reach an endpoint: one that is there answers within a round
	// trip.
	connectTimeout   = 3 * time.Second
	handshakeTimeout = 5 * time.Second
	// credentialsExpiry is how long before its end a role's credentials are renewed: a call that waits for the rate
	// limit or is retried must not outlive what it was signed with.
	credentialsExpiry = time.Minute
	// firstReopen and lastReopen bound the wait before STS is asked anew for what it has refused, which doubles. It is
	// asked once for all objects that use the identity.
	firstReopen = time.Second
	lastReopen  = time.Minute
	// firstRenewal and lastRenewal bound the wait between two renewals of credentials that AWS rejects, which doubles
	// while that does not help: a missing permission looks like a role that was created anew.
	firstRenewal = 10 * time.Second
	lastRenewal  = 10 * time.Minute
	// regionUnused and clientUnused are how long what belongs to a region is kept after its last use.
	regionUnused = 2 * time.Minute
	clientUnused = 10 * time.Minute
)

// freshFor is how old a shared read may be for a reconcile.
func freshFor(reason Reason, resync time.Duration) time.Duration {
	switch reason {
	case ForRequest:
		return 0
	case ForResync, ForAssessment:
		return min(max(resync/20, freshForResyncAtLeast), freshForResyncAtMost)
	default:
		return freshForChange
	}
}
