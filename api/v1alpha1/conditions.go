package v1alpha1

// Condition types. Ready is the summary. Reconciling and Stalled follow kstatus: each exists only while it is True,
// and they never exist together.
const (
	// ConditionReady is True when AWS holds what the spec says, the trail is logging as the spec
	// says, and CloudTrail reports no delivery error.
	ConditionReady = "Ready"
	// ConditionSynced is True when AWS holds what the spec says.
	ConditionSynced = "Synced"
	// ConditionLogging is True when CloudTrail says that the trail is logging.
	ConditionLogging = "Logging"
	// ConditionDelivering is True when CloudTrail reports no delivery error.
	ConditionDelivering = "Delivering"
	// ConditionListening is True when the operator receives from the event queue of an AWSIdentity. An AWSIdentity without
	// an event queue has no such condition.
	ConditionListening = "Listening"
	// ConditionRecorded is True when a trail records all management events of the account of an AWSIdentity, in all
	// regions. An AWSIdentity without spec.assessCoverage has no such condition. Ready does not depend on it.
	ConditionRecorded = "Recorded"
	// ConditionReconciling is True while the operator is still working on the object.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when only a change to the object can help.
	ConditionStalled = "Stalled"
)

// Reasons that the operator defines. When AWS refuses a call, the reason is AWS's own error code instead, such as
// S3BucketDoesNotExistException.
const (
	// ReasonAvailable means that everything matches the spec.
	ReasonAvailable = "Available"
	// ReasonSynced means that AWS holds what the spec says.
	ReasonSynced = "Synced"
	// ReasonDifferent means that AWS differs from the spec: either managementPolicy Observe keeps the operator from
	// repairing it, or AWS accepted the repair and does not show it yet.
	ReasonDifferent = "Different"
	// ReasonTrailNotFound means that the trail does not exist, and that managementPolicy Observe keeps the operator from
	// creating it.
	ReasonTrailNotFound = "TrailNotFound"
	// ReasonNotOwned means that the trail exists in AWS without an owner tag, and that adoptionPolicy does not allow
	// taking it over.
	ReasonNotOwned = "NotOwned"
	// ReasonOwnedByAnother means that the trail in AWS belongs to another object or cluster.
	ReasonOwnedByAnother = "OwnedByAnother"
	// ReasonWrongHomeRegion means that a trail of that name has its home in another region.
	ReasonWrongHomeRegion = "WrongHomeRegion"
	// ReasonOwnerUnknown means that the trail's owner tag could not be read, so the operator repairs nothing but its
	// logging.
	ReasonOwnerUnknown = "OwnerUnknown"
	// ReasonNotKept means that AWS accepts a value of the spec and then reports another one.
	ReasonNotKept = "NotKept"
	// ReasonNotLookedAt means that the state in AWS could not be read.
	ReasonNotLookedAt = "NotLookedAt"
	// ReasonLogging means that the trail is logging.
	ReasonLogging = "Logging"
	// ReasonStoppedBySpec means that the trail does not log because spec.logging is false.
	ReasonStoppedBySpec = "StoppedBySpec"
	// ReasonStopped means that the trail does not log although spec.logging is true.
	ReasonStopped = "Stopped"
	// ReasonDelivered means that CloudTrail reports no delivery error.
	ReasonDelivered = "NoDeliveryError"
	// ReasonS3DeliveryFailed means that log files do not reach the bucket.
	ReasonS3DeliveryFailed = "S3DeliveryFailed"
	// ReasonNotificationFailed means that notifications do not reach the SNS topic.
	ReasonNotificationFailed = "NotificationFailed"
	// ReasonDigestDeliveryFailed means that digest files do not reach the bucket.
	ReasonDigestDeliveryFailed = "DigestDeliveryFailed"
	// ReasonCloudWatchLogsDeliveryFailed means that events do not reach the log group.
	ReasonCloudWatchLogsDeliveryFailed = "CloudWatchLogsDeliveryFailed"
	// ReasonSuspended means that spec.suspend stops all work on the object.
	ReasonSuspended = "Suspended"
	// ReasonDeleting means that the object is being deleted.
	ReasonDeleting = "Deleting"
	// ReasonRetrying means that AWS answered with a transient error and that the call will be retried.
	ReasonRetrying = "Retrying"
	// ReasonIdentityNotFound means that the AWSIdentity does not exist.
	ReasonIdentityNotFound = "IdentityNotFound"
	// ReasonNamespaceNotAllowed means that the AWSIdentity does not allow the object's namespace.
	ReasonNamespaceNotAllowed = "NamespaceNotAllowed"
	// ReasonIdentityUnusable means that AWS did not accept the AWSIdentity's credentials.
	ReasonIdentityUnusable = "IdentityUnusable"
	// ReasonAccountChanged means that the AWSIdentity's credentials belong to another AWS account than before.
	ReasonAccountChanged = "AccountChanged"
	// ReasonRegionNotAllowed means that the AWSIdentity's partition does not have the region, or that the AWSIdentity does
	// not allow it.
	ReasonRegionNotAllowed = "RegionNotAllowed"
	// ReasonRegionUnknown means that neither the spec nor the operator's configuration names a region.
	ReasonRegionUnknown = "RegionUnknown"
	// ReasonInvalidSpec means that this version of the operator cannot decode the spec. The API server stored it under
	// another version of the schema.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonInUse means that an AWSIdentity is being deleted while Trails still use it.
	ReasonInUse = "InUse"
	// ReasonListening means that the operator receives from the event queue.
	ReasonListening = "Listening"
	// ReasonConnecting means that the operator has not been answered by the event queue yet.
	ReasonConnecting = "Connecting"
	// ReasonQueueUnreachable means that the event queue does not exist, or does not answer.
	ReasonQueueUnreachable = "QueueUnreachable"
	// ReasonAccessDenied means that the identity may not receive from the event queue, or not delete from it, or, for
	// Recorded, that it may not read the trails of its account.
	ReasonAccessDenied = "AccessDenied"
	// ReasonSilent means that no event of the operator's own writes came through the event queue.
	ReasonSilent = "Silent"
	// ReasonRecorded means that all management events of the account are recorded.
	ReasonRecorded = "Recorded"
	// ReasonNoTrail means that the account has no trail.
	ReasonNoTrail = "NoTrail"
	// ReasonNotMultiRegion means that the trail that is the closest to recording the account is not multi-region.
	ReasonNotMultiRegion = "NotMultiRegion"
	// ReasonNotLogging means that the trail that is the closest to recording the account is not logging.
	ReasonNotLogging = "NotLogging"
	// ReasonEventsExcluded means that the event selectors of the trail that is the closest to recording the account leave
	// management events out.
	ReasonEventsExcluded = "EventsExcluded"
	// ReasonNotDelivering means that the trail that is the closest to recording the account does not deliver.
	ReasonNotDelivering = "NotDelivering"
	// ReasonOwnerNotAssessed means that only the account that owns an organization's trail can tell what it records, and
	// that no AWSIdentity of that account says so.
	ReasonOwnerNotAssessed = "OwnerNotAssessed"
)

// Annotations, finalizers and tags.
const (
	// Finalizer keeps a Trail until its trail in AWS is deleted or released.
	Finalizer = "trail-operator.dev/finalizer"
	// AnnotationReconcileAt forces a reconcile whenever its value changes. The value is echoed in
	// status.lastHandledReconcileAt.
	AnnotationReconcileAt = "trail-operator.dev/reconcile-at"
	// AnnotationFluxReconcileAt is Flux's annotation with the same meaning ("flux reconcile").
	AnnotationFluxReconcileAt = "reconcile.fluxcd.io/requestedAt"
	// AnnotationCreation records where the operator was about to create a trail, or to take one over, so that it knows
	// where to look after a crash: the account and the region, the object's UID, and the keys of the tags.
	AnnotationCreation = "trail-operator.dev/creation"
	// OwnerTagKey is the AWS tag that names the Trail object that owns a trail, as
	// <cluster-id>/<namespace>/<name>.
	OwnerTagKey = "trail-operator.dev/owner"
	// DefaultIdentityName is the name of the AWSIdentity that is used if an object does not name one.
	DefaultIdentityName = "default"
)
