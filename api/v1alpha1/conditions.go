package v1alpha1

// Condition types. Ready is the summary; Reconciling and Stalled follow kstatus: they exist only
// while they are true, and never together.
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
	// ConditionReconciling is True while the controller is still at work on the object.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when only a change of the object can help.
	ConditionStalled = "Stalled"
)

// Reasons that are ours. When AWS refuses a call, the reason is AWS's own error code instead, such
// as S3BucketDoesNotExistException.
const (
	// ReasonAvailable says that all is as the spec says.
	ReasonAvailable = "Available"
	// ReasonSynced says that AWS holds what the spec says.
	ReasonSynced = "Synced"
	// ReasonDifferent says that AWS holds something else than the spec, and nothing repairs it
	// because of managementPolicy Observe.
	ReasonDifferent = "Different"
	// ReasonTrailNotFound says that the trail does not exist and is not created, because of
	// managementPolicy Observe.
	ReasonTrailNotFound = "TrailNotFound"
	// ReasonNotOwned says that the trail exists in AWS without an owner, and adoptionPolicy does not allow taking it over.
	ReasonNotOwned = "NotOwned"
	// ReasonOwnedByAnother says that the trail in AWS belongs to another object or cluster.
	ReasonOwnedByAnother = "OwnedByAnother"
	// ReasonWrongHomeRegion says that a trail of that name has its home in another region.
	ReasonWrongHomeRegion = "WrongHomeRegion"
	// ReasonOwnerUnknown says that it could not be read whose trail it is, so that nothing but its logging is repaired.
	ReasonOwnerUnknown = "OwnerUnknown"
	// ReasonNotKept says that AWS accepts what the spec says and then reports something else.
	ReasonNotKept = "NotKept"
	// ReasonNotLookedAt says that AWS could not be asked.
	ReasonNotLookedAt = "NotLookedAt"
	// ReasonLogging says that the trail is logging.
	ReasonLogging = "Logging"
	// ReasonStoppedBySpec says that the trail does not log because spec.logging is false.
	ReasonStoppedBySpec = "StoppedBySpec"
	// ReasonStopped says that the trail does not log although spec.logging is true.
	ReasonStopped = "Stopped"
	// ReasonDelivered says that CloudTrail reports no delivery error.
	ReasonDelivered = "NoDeliveryError"
	// ReasonS3DeliveryFailed says that log files do not reach the bucket.
	ReasonS3DeliveryFailed = "S3DeliveryFailed"
	// ReasonNotificationFailed says that notifications do not reach the SNS topic.
	ReasonNotificationFailed = "NotificationFailed"
	// ReasonDigestDeliveryFailed says that digest files do not reach the bucket.
	ReasonDigestDeliveryFailed = "DigestDeliveryFailed"
	// ReasonCloudWatchLogsDeliveryFailed says that events do not reach the log group.
	ReasonCloudWatchLogsDeliveryFailed = "CloudWatchLogsDeliveryFailed"
	// ReasonSuspended says that spec.suspend stops all work on the object.
	ReasonSuspended = "Suspended"
	// ReasonDeleting says that the object is being deleted.
	ReasonDeleting = "Deleting"
	// ReasonRetrying says that AWS answered with a passing fault and the call will be repeated.
	ReasonRetrying = "Retrying"
	// ReasonIdentityNotFound says that the AWSIdentity does not exist.
	ReasonIdentityNotFound = "IdentityNotFound"
	// ReasonNamespaceNotAllowed says that the AWSIdentity does not allow the object's namespace.
	ReasonNamespaceNotAllowed = "NamespaceNotAllowed"
	// ReasonIdentityUnusable says that AWS did not accept the AWSIdentity's credentials.
	ReasonIdentityUnusable = "IdentityUnusable"
	// ReasonAccountChanged says that the AWSIdentity leads to another AWS account than before.
	ReasonAccountChanged = "AccountChanged"
	// ReasonRegionNotAllowed says that the AWSIdentity's partition does not have the region, or that the AWSIdentity does
	// not allow it.
	ReasonRegionNotAllowed = "RegionNotAllowed"
	// ReasonRegionUnknown says that neither the spec nor the operator's configuration names a region.
	ReasonRegionUnknown = "RegionUnknown"
	// ReasonInvalidSpec says that this version of the operator cannot decode the spec. The API server stored it under
	// another version of the schema.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonInUse says that an AWSIdentity is being deleted while Trails still use it.
	ReasonInUse = "InUse"
)

// Annotations, finalizers and tags.
const (
	// Finalizer keeps a Trail until its trail in AWS is deleted or let go.
	Finalizer = "trail-operator.dev/finalizer"
	// AnnotationReconcileAt forces a reconcile whenever its value changes. The value is echoed in
	// status.lastHandledReconcileAt.
	AnnotationReconcileAt = "trail-operator.dev/reconcile-at"
	// AnnotationFluxReconcileAt is Flux's annotation of the same meaning ("flux reconcile").
	AnnotationFluxReconcileAt = "reconcile.fluxcd.io/requestedAt"
	// AnnotationCreation tells where the operator was about to create the trail, or to take one over, so that it knows
	// after a crash where to look: the account and the region, the object's UID, and the keys of the tags.
	AnnotationCreation = "trail-operator.dev/creation"
	// OwnerTagKey is the AWS tag that names the Trail object that owns a trail, as
	// <cluster-id>/<namespace>/<name>.
	OwnerTagKey = "trail-operator.dev/owner"
	// DefaultIdentityName is the AWSIdentity of a Trail that names none.
	DefaultIdentityName = "default"
)
