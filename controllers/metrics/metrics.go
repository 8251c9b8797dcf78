// Package metrics is what the operator tells Prometheus, beyond what controller-runtime tells.
//
// Series about objects are derived from the cache at scrape time: they cost nothing at rest, and die with their object.
// Every replica has the same, so aggregate them with max. Counters and histograms tell what one process did: sum them.
package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/compliance"
)

// Definition is a metric: what docs/metrics.md says of it, and what Prometheus is told.
type Definition struct {
	// Name without the prefix trail_operator_.
	Name string
	Type Type
	// Help is one sentence.
	Help string
	// Labels in the order of their values.
	Labels []string
	// Buckets of a histogram, in the metric's unit.
	Buckets []float64
	// ByObject says that there is a series for each object, the same on every replica.
	ByObject bool
}

// Type is a metric's type in Prometheus.
type Type string

// The types in use.
const (
	Gauge     Type = "gauge"
	Counter   Type = "counter"
	Histogram Type = "histogram"
)

// FullName is the name in Prometheus.
func (d Definition) FullName() string { return "trail_operator_" + d.Name }

// trailLabels are on every series of a Trail. account_id and region hang on the object, so they add no series.
var trailLabels = []string{"namespace", "name", "account_id", "region"}

// ofTrail are the labels of a Trail's series, with others.
func ofTrail(others ...string) []string { return append(slices.Clone(trailLabels), others...) }

// ofIdentity are the labels of an AWSIdentity's series, with others.
func ofIdentity(others ...string) []string { return append([]string{"name", "account_id"}, others...) }

// The metrics, all of them.
var (
	trailInfo = Definition{
		Name: "trail_info", Type: Gauge, ByObject: true, Labels: ofTrail("trail", "identity", "management_policy"),
		Help: "1 for every Trail, with the trail's name in AWS, the AWSIdentity, " +
			"and whether the operator writes to AWS (Manage) or not (Observe).",
	}
	trailCondition = Definition{
		Name: "trail_condition", Type: Gauge, ByObject: true, Labels: ofTrail("type", "status"),
		Help: "1 for the current status (True, False, Unknown) of a Trail's condition " +
			"(Ready, Synced, Logging, Delivering, Stalled), 0 for the other statuses.",
	}
	trailReadyReason = Definition{
		Name: "trail_ready_reason", Type: Gauge, ByObject: true, Labels: ofTrail("reason"),
		Help: "1 for the reason of a Trail's Ready condition. The reason is Unseen until the Trail is first reconciled.",
	}
	trailSuspended = Definition{
		Name: "trail_suspended", Type: Gauge, ByObject: true, Labels: ofTrail(),
		Help: "1 if spec.suspend stops all work on a Trail, 0 otherwise.",
	}
	trailInterval = Definition{
		Name: "trail_interval_seconds", Type: Gauge, ByObject: true, Labels: ofTrail(),
		Help: "How often a Trail is resynced, in seconds. Its other metrics can be as old as that.",
	}
	trailLastResync = Definition{
		Name: "trail_last_resync_timestamp_seconds", Type: Gauge, ByObject: true, Labels: ofTrail(),
		Help: "When the leader last read a trail from AWS completely, in seconds since 1970. Absent until it has done so.",
	}
	trailLogging = Definition{
		Name: "trail_logging", Type: Gauge, ByObject: true, Labels: ofTrail(),
		Help: "1 if CloudTrail reports that the trail is recording events, 0 if not. Absent while this is unknown.",
	}
	trailLoggingDesired = Definition{
		Name: "trail_logging_desired", Type: Gauge, ByObject: true, Labels: ofTrail(),
		Help: "1 if the spec wants the trail to record events, 0 otherwise.",
	}
	trailLoggingStarted = Definition{
		Name: "trail_logging_started_timestamp_seconds", Type: Gauge, ByObject: true, Labels: ofTrail(),
		Help: "When logging was last started, in seconds since 1970.",
	}
	trailLastDelivery = Definition{
		Name: "trail_last_delivery_timestamp_seconds", Type: Gauge, ByObject: true, Labels: ofTrail("channel"),
		Help: "When CloudTrail last delivered over a channel (s3, digest, cloudwatch_logs, sns), " +
			"in seconds since 1970. Absent before the first delivery.",
	}
	trailDeliveryError = Definition{
		Name: "trail_delivery_error", Type: Gauge, ByObject: true, Labels: ofTrail("channel", "code"),
		Help: "1 while CloudTrail reports an error, with its code, " +
			"for the latest delivery over a channel (s3, digest, cloudwatch_logs, sns).",
	}
	trailDrifts = Definition{
		Name: "trail_drifts_total", Type: Counter, ByObject: true, Labels: ofTrail(),
		Help: "How many times the leader has found a trail changed in AWS.",
	}
	trailLastDrift = Definition{
		Name: "trail_last_drift_timestamp_seconds", Type: Gauge, ByObject: true, Labels: ofTrail(),
		Help: "When a trail was last found changed in AWS, in seconds since 1970. Absent if it never was.",
	}
	trailLastDriftInfo = Definition{
		Name: "trail_last_drift_info", Type: Gauge, ByObject: true,
		Labels: ofTrail("fields", "repaired", "actor", "event_name"),
		Help: "1 for the last drift of a Trail, with the fields that differed, whether it is repaired (true, false), " +
			"and, once they are known, the ARN of the actor and the call.",
	}
	trailDeleting = Definition{
		Name: "trail_deletion_timestamp_seconds", Type: Gauge, ByObject: true, Labels: ofTrail(),
		Help: "When the deletion of a Trail was requested, in seconds since 1970. Absent unless it is being deleted.",
	}
	trailDeletion = Definition{
		Name: "trail_deletion_duration_seconds", Type: Histogram, Labels: nil,
		Buckets: []float64{1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 14400, 86400},
		Help: "How long the deletion of a Trail took, in seconds, from the request until the object was gone, " +
			"as measured by the leader.",
	}
	trailControls = Definition{
		Name: "trail_controls", Type: Gauge, ByObject: true, Labels: ofTrail("profile", "outcome"),
		Help: "Number of controls of the compliance profile (--compliance-profile) by what they say of a Trail: pass, " +
			"fail, or skip if it cannot be told.",
	}
	trailControlFailed = Definition{
		Name: "trail_control_failed", Type: Gauge, ByObject: true, Labels: ofTrail("profile", "control", "severity"),
		Help: "1 for every control of the compliance profile that a Trail fails, with the control's severity " +
			"(critical, high, medium, low).",
	}
	identityCondition = Definition{
		Name:     "awsidentity_condition",
		Type:     Gauge,
		ByObject: true,
		Labels:   ofIdentity("type", "status"),
		Help: "1 for the current status (True, False, Unknown) of an AWSIdentity's condition " +
			"(Ready, Listening if it has an event queue, and Recorded if its account is assessed), 0 for the other statuses.",
	}
	accountRecorded = Definition{
		Name: "awsidentity_account_recorded", Type: Gauge, ByObject: true, Labels: ofIdentity(),
		Help: "1 if all management events of the account of an AWSIdentity are recorded, 0 if not. " +
			"Absent while this is unknown, and unless spec.assessCoverage is true, like the other metrics about accounts.",
	}
	accountAssessed = Definition{
		Name: "awsidentity_account_assessed_timestamp_seconds", Type: Gauge, ByObject: true, Labels: ofIdentity(),
		Help: "When the account of an AWSIdentity was last assessed, in seconds since 1970.",
	}
	accountTrails = Definition{
		Name: "awsidentity_account_trails", Type: Gauge, ByObject: true, Labels: ofIdentity(),
		Help: "Number of trails, managed or not, that record events of the account of an AWSIdentity.",
	}
	accountCoveredRegion = Definition{
		Name: "awsidentity_account_covered_region", Type: Gauge, ByObject: true, Labels: ofIdentity("region"),
		Help: "1 for each region, or * for all regions, in which all management events are recorded. " +
			"At most 20 regions of an account are told.",
	}
	accountPaidCopies = Definition{
		Name: "awsidentity_account_paid_copies", Type: Gauge, ByObject: true, Labels: ofIdentity("region"),
		Help: "Number of copies of management events beyond the first, which is free of charge, " +
			"by region, or * for every region. At most 20 regions of an account are told. Absent where there are none.",
	}
	validationCondition = Definition{
		Name: "logfilevalidation_condition", Type: Gauge, ByObject: true, Labels: ofValidation("type", "status"),
		Help: "1 for the current status (True, False, Unknown) of a LogFileValidation's condition " +
			"(Ready, Intact, Stalled, and Complete if it has an end), 0 for the other statuses.",
	}
	validationReason = Definition{
		Name: "logfilevalidation_intact_reason", Type: Gauge, ByObject: true, Labels: ofValidation("reason"),
		Help: "1 for the reason of a LogFileValidation's Intact condition. " +
			"The reason is Unseen until the LogFileValidation is first reconciled.",
	}
	validationSuspended = Definition{
		Name: "logfilevalidation_suspended", Type: Gauge, ByObject: true, Labels: ofValidation(),
		Help: "1 if spec.suspend stops all work on a LogFileValidation, 0 otherwise.",
	}
	validationInterval = Definition{
		Name: "logfilevalidation_interval_seconds", Type: Gauge, ByObject: true, Labels: ofValidation(),
		Help: "How often a LogFileValidation validates what is new, in seconds. Absent if it has an end.",
	}
	validatedUntil = Definition{
		Name: "logfilevalidation_validated_until_timestamp_seconds", Type: Gauge, ByObject: true, Labels: ofValidation(),
		Help: "Until when the log files of a LogFileValidation were validated, in seconds since 1970: since its start, " +
			"if none were yet.",
	}
	validationChains = Definition{
		Name: "logfilevalidation_chains", Type: Gauge, ByObject: true, Labels: ofValidation(),
		Help: "Number of chains of digests, one for each account and region. Absent until they are known.",
	}
	validationLagging = Definition{
		Name: "logfilevalidation_lagging_chains", Type: Gauge, ByObject: true, Labels: ofValidation(),
		Help: "Number of chains that could not be validated as far as they go. Absent until they are known.",
	}
	validationFindings = Definition{
		Name: "logfilevalidation_findings", Type: Gauge, ByObject: true, Labels: ofValidation("class"),
		Help: "Number of findings since spec.startTime, by class: DigestAltered, LogAltered, DigestMissing, LogDeleted, " +
			"ChainBroken, LogNotVouchedFor, Unverifiable.",
	}
	validatedObjects = Definition{
		Name: "validated_objects_total", Type: Counter, Labels: []string{"kind", "outcome"},
		Help: "Number of digests, backfill digests and log files that were looked at, by kind (Digest, Backfill, Log) and " +
			"outcome: Valid, or the class of the finding.",
	}
	validatedBytes = Definition{
		Name: "validated_log_bytes_total", Type: Counter, Labels: nil,
		Help: "Number of compressed bytes of log files that were read.",
	}
	eventMessages = Definition{
		Name: "event_messages_total", Type: Counter, Labels: []string{"identity", "kind"},
		Help: "Number of messages received from the event queue of an AWSIdentity, by kind: trail (a change of a managed " +
			"trail), dependency (a change of a bucket, key, topic, role or log group that a trail uses), refused (an attempt " +
			"that AWS has refused), own (the operator's own call), foreign (nothing of a Trail), unknown (another kind of " +
			"event), unreadable (left to the dead-letter queue).",
	}
	eventDelay = Definition{
		Name: "event_delay_seconds", Type: Histogram, Labels: []string{"identity"},
		Buckets: []float64{0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 900, 3600},
		Help: "How long after a call its event reached the operator and woke the Trails that it concerns, in seconds. " +
			"The time of an event is in whole seconds.",
	}
	eventLast = Definition{
		Name: "event_last_received_timestamp_seconds", Type: Gauge, Labels: []string{"identity"},
		Help: "When the last message was received from the event queue of an AWSIdentity, in seconds since 1970, " +
			"as known to the leader.",
	}
	reportsServed = Definition{
		Name: "reports_served", Type: Gauge, Labels: []string{"kind"},
		Help: "1 if the API server serves a kind of report (--reports) and the operator may read it, 0 if no reports of " +
			"that kind are written, as known to the leader.",
	}
	reportWrites = Definition{
		Name: "report_writes_total", Type: Counter, Labels: []string{"kind", "verb"},
		Help: "Number of reports (--reports) that were written, by verb: create, update, delete.",
	}
	awsCalls = Definition{
		Name: "aws_api_calls_total", Type: Counter, Labels: []string{"region", "operation", "code", "outcome"},
		Help: "Number of attempts of AWS calls, by AWS's error code (OK for success) and outcome: " +
			"ok, throttled, denied, refused, missing, failed.",
	}
	awsDuration = Definition{
		Name: "aws_api_call_duration_seconds", Type: Histogram, Labels: []string{"region", "operation"},
		Buckets: []float64{0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
		Help:    "How long AWS took to answer an attempt of a call, in seconds.",
	}
	awsWait = Definition{
		Name: "aws_rate_limit_wait_seconds", Type: Histogram, Labels: []string{"region", "class"},
		Buckets: []float64{0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300},
		Help: "How long an attempt of a CloudTrail call waited for the operator's own rate limit " +
			"of its class (read, lookup, write), which stays below CloudTrail's.",
	}
	buildInfo = Definition{
		Name: "build_info", Type: Gauge, Labels: []string{"version", "revision", "goversion"},
		Help: "1 for the running version.",
	}
)

// Definitions returns the metrics in the order of the documentation.
func Definitions() []Definition {
	return []Definition{
		trailInfo, trailCondition, trailReadyReason, trailSuspended, trailInterval, trailLastResync,
		trailLogging, trailLoggingDesired, trailLoggingStarted, trailLastDelivery, trailDeliveryError,
		trailDrifts, trailLastDrift, trailLastDriftInfo, trailDeleting, trailDeletion, trailControls, trailControlFailed,
		identityCondition, accountRecorded, accountAssessed, accountTrails, accountCoveredRegion, accountPaidCopies,
		validationCondition, validationReason, validationSuspended, validationInterval, validatedUntil,
		validationChains, validationLagging, validationFindings, validatedObjects, validatedBytes,
		eventMessages, eventDelay, eventLast, reportsServed, reportWrites, awsCalls, awsDuration, awsWait, buildInfo,
	}
}

func (d Definition) desc() *prometheus.Desc {
	return prometheus.NewDesc(d.FullName(), d.Help, d.Labels, nil)
}

func (d Definition) histogram() *prometheus.HistogramVec {
	options := prometheus.HistogramOpts{Name: d.FullName(), Help: d.Help, Buckets: d.Buckets}
	return prometheus.NewHistogramVec(options, d.Labels)
}

// Options are what Metrics need. All but DefaultRegion, Profile and Now are required.
type Options struct {
	// Registerer is where the metrics are registered, controller-runtime's registry as a rule.
	Registerer prometheus.Registerer
	// Cache is where the objects are.
	Cache cache.Cache
	// Elected is closed when this process leads: counters of objects count on the leader only.
	Elected <-chan struct{}
	// Interval is how often a Trail is looked at whose spec does not say.
	Interval time.Duration
	// DefaultRegion is the region of a Trail whose spec names none.
	DefaultRegion string
	// Profile is what Trails are judged by. They are not judged if it is nil.
	Profile *compliance.Profile
	// Version of the operator.
	Version string
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Metrics are the operator's metrics: a collector for Prometheus, and the meter of AWS calls.
type Metrics struct {
	options   Options
	descs     map[string]*prometheus.Desc
	calls     *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	wait      *prometheus.HistogramVec
	deletion  *prometheus.HistogramVec
	events    *eventMetrics
	validated *validationMetrics
	reports   *reportMetrics
	revision  string
	// regions are the regions of the series of AWS calls, with when they were last used.
	regionsMutex sync.Mutex
	regions      map[string]struct{}

	synced      []toolscache.InformerSynced
	resynced    func(types.UID) time.Time
	driftsMutex sync.Mutex
	drifts      map[types.UID]int
}

var (
	_ prometheus.Collector = (*Metrics)(nil)
	_ cloudtrail.Meter     = (*Metrics)(nil)
)

// New returns Metrics that are registered. It refuses options that are not complete.
func New(ctx context.Context, options Options) (*Metrics, error) {
	if options.Registerer == nil || options.Cache == nil || options.Elected == nil ||
		options.Interval <= 0 || options.Version == "" {
		return nil, errors.New("metrics: Registerer, Cache, Elected, Interval and Version are required")
	}
	if options.Now == nil {
		options.Now = time.Now
	}

	calls := prometheus.CounterOpts{Name: awsCalls.FullName(), Help: awsCalls.Help}
	m := &Metrics{
		options:   options,
		descs:     map[string]*prometheus.Desc{},
		calls:     prometheus.NewCounterVec(calls, awsCalls.Labels),
		duration:  awsDuration.histogram(),
		wait:      awsWait.histogram(),
		deletion:  trailDeletion.histogram(),
		events:    newEventMetrics(),
		validated: newValidationMetrics(),
		reports:   newReportMetrics(),
		revision:  revision(),
		regions:   map[string]struct{}{},
		drifts:    map[types.UID]int{},
		resynced:  func(types.UID) time.Time { return time.Time{} },
	}
	for _, definition := range Definitions() {
		m.descs[definition.Name] = definition.desc()
	}

	// The histogram has no labels: it exists from the start, so that the first deletion is an increase.
	m.deletion.WithLabelValues()
	if err := m.follow(ctx); err != nil {
		return nil, err
	}
	if err := options.Registerer.Register(m); err != nil {
		return nil, fmt.Errorf("registering the metrics: %w", err)
	}
	return m, nil
}

// FollowResyncs makes the metrics tell when each Trail's trail was last read, the zero time if never. It is to be
// called before the metrics are collected.
func (m *Metrics) FollowResyncs(resynced func(types.UID) time.Time) { m.resynced = resynced }

// follow makes the cache hold what is told of, and hears of drifts and deletions from it.
func (m *Metrics) follow(ctx context.Context) error {
	trails, err := m.options.Cache.GetInformer(ctx, &v1alpha1.Trail{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("following Trails: %w", err)
	}
	identities, err := m.options.Cache.GetInformer(ctx, &v1alpha1.AWSIdentity{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("following AWSIdentities: %w", err)
	}
	validations, err := m.options.Cache.GetInformer(ctx, &v1alpha1.LogFileValidation{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("following LogFileValidations: %w", err)
	}

	functions := toolscache.ResourceEventHandlerFuncs{UpdateFunc: m.updated, DeleteFunc: m.deleted}
	handler, err := trails.AddEventHandler(functions)
	if err != nil {
		return fmt.Errorf("following Trails: %w", err)
	}
	m.synced = []toolscache.InformerSynced{
		trails.HasSynced, identities.HasSynced, validations.HasSynced, handler.HasSynced,
	}
	return nil
}

// leads tells whether this process is the leader.
func (m *Metrics) leads() bool {
	select {
	case <-m.options.Elected:
		return true
	default:
		return false
	}
}

// updated counts drifts.
func (m *Metrics) updated(before, after any) {
	was, ok := before.(*v1alpha1.Trail)
	is, also := after.(*v1alpha1.Trail)
	if !ok || !also || !m.leads() || is.Status.LastDrift == nil {
		return
	}
	if was.Status.LastDrift != nil && was.Status.LastDrift.DetectedTime.Equal(&is.Status.LastDrift.DetectedTime) {
		return
	}
	m.driftsMutex.Lock()
	defer m.driftsMutex.Unlock()
	m.drifts[is.UID]++
}

// deleted observes how long a deletion took. An object that only left what is watched was not deleted.
func (m *Metrics) deleted(object any) {
	if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	trail, ok := object.(*v1alpha1.Trail)
	if !ok {
		return
	}
	if trail.DeletionTimestamp != nil && m.leads() {
		m.deletion.WithLabelValues().Observe(max(0, m.options.Now().Sub(trail.DeletionTimestamp.Time).Seconds()))
	}
	m.driftsMutex.Lock()
	defer m.driftsMutex.Unlock()
	delete(m.drifts, trail.UID)
}

// driftsOf returns how many drifts of a Trail this process has counted.
func (m *Metrics) driftsOf(trail *v1alpha1.Trail) float64 {
	m.driftsMutex.Lock()
	defer m.driftsMutex.Unlock()
	return float64(m.drifts[trail.UID])
}

// Called implements cloudtrail.Meter.
func (m *Metrics) Called(region, operation, code string, took time.Duration) {
	region = m.region(region)
	m.calls.WithLabelValues(region, operation, cloudtrail.KnownCode(code), cloudtrail.Outcome(code)).Inc()
	m.duration.WithLabelValues(region, operation).Observe(took.Seconds())
}

// Waited implements cloudtrail.Meter.
func (m *Metrics) Waited(region, class string, waited time.Duration) {
	m.wait.WithLabelValues(m.region(region), class).Observe(waited.Seconds())
}

// Used implements cloudtrail.Meter: the series of regions that nobody has called for a while go.
func (m *Metrics) Used(used map[string]bool) {
	m.regionsMutex.Lock()
	defer m.regionsMutex.Unlock()
	for region := range m.regions {
		if used[region] {
			continue
		}
		delete(m.regions, region)
		labels := prometheus.Labels{"region": region}
		m.calls.DeletePartialMatch(labels)
		m.duration.DeletePartialMatch(labels)
		m.wait.DeletePartialMatch(labels)
	}
}

const (
	// maxRegions bounds the regions that have series of their own: AWS has about forty, and anybody can name others.
	maxRegions = 64
	// otherRegions is the label of all others.
	otherRegions = "other"
)

// region returns the label of a region.
func (m *Metrics) region(name string) string {
	m.regionsMutex.Lock()
	defer m.regionsMutex.Unlock()
	if _, known := m.regions[name]; known {
		return name
	}
	if len(m.regions) >= maxRegions {
		return otherRegions
	}
	m.regions[name] = struct{}{}
	return name
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range m.descs {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(series chan<- prometheus.Metric) {
	m.gauge(series, buildInfo, 1, m.options.Version, m.revision, runtime.Version())
	m.calls.Collect(series)
	m.duration.Collect(series)
	m.wait.Collect(series)
	m.deletion.Collect(series)
	m.events.collect(series)
	m.validated.collect(series)
	m.reports.collect(series)
	m.collectObjects(series)
}

// collectObjects tells of the objects in the cache. Until it is filled there is nothing to tell, which is no error:
// /readyz is what says so.
func (m *Metrics) collectObjects(series chan<- prometheus.Metric) {
	for _, synced := range m.synced {
		if !synced() {
			return
		}
	}

	ctx := context.Background() // A collector is given none, and the cache answers from memory.
	var identities v1alpha1.AWSIdentityList
	var trails v1alpha1.TrailList
	var validations v1alpha1.LogFileValidationList
	if m.options.Cache.List(ctx, &identities, client.UnsafeDisableDeepCopy) != nil ||
		m.options.Cache.List(ctx, &trails, client.UnsafeDisableDeepCopy) != nil ||
		m.options.Cache.List(ctx, &validations, client.UnsafeDisableDeepCopy) != nil {
		return
	}

	accounts := map[string]string{}
	for i := range identities.Items {
		identity := &identities.Items[i]
		accounts[identity.Name] = identity.Status.AccountID
		m.collectIdentity(series, identity)
	}
	for i := range trails.Items {
		trail := &trails.Items[i]
		m.collectTrail(series, trail, cmp.Or(trail.Status.AccountID, accounts[trail.IdentityName()]))
	}
	for i := range validations.Items {
		m.collectValidation(series, &validations.Items[i])
	}
}

func (m *Metrics) collectTrail(series chan<- prometheus.Metric, trail *v1alpha1.Trail, account string) {
	spec, status := &trail.Spec, &trail.Status
	region := cmp.Or(spec.Region, status.HomeRegion, m.options.DefaultRegion)
	labels := []string{trail.Namespace, trail.Name, account, region}
	tell := func(definition Definition, value float64, others ...string) {
		m.gauge(series, definition, value, append(slices.Clip(labels), others...)...)
	}
	tellTime := func(definition Definition, t *metav1.Time, others ...string) {
		if !t.IsZero() {
			tell(definition, float64(t.Unix()), others...)
		}
	}
	tell(trailInfo, 1, trail.TrailName(), trail.IdentityName(),
		string(cmp.Or(spec.ManagementPolicy, v1alpha1.ManagementPolicyManage)))
	tell(trailSuspended, truth(spec.Suspended()))
	tell(trailInterval, spec.ResyncInterval(m.options.Interval).Seconds())
	if at := m.resynced(trail.UID); !at.IsZero() {
		tell(trailLastResync, float64(at.Unix()))
	}
	tell(trailLoggingDesired, truth(spec.LoggingDesired()))
	m.collectConditions(series, trail, labels)

	logging := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionLogging)
	if logging != nil && logging.Status != metav1.ConditionUnknown {
		tell(trailLogging, truth(logging.Status == metav1.ConditionTrue))
	}
	tellTime(trailLoggingStarted, status.StartLoggingTime)
	for _, channel := range []struct {
		name, code string
		last       *metav1.Time
	}{
		{"s3", status.LatestDeliveryError, status.LatestDeliveryTime},
		{"digest", status.LatestDigestDeliveryError, status.LatestDigestDeliveryTime},
		{"cloudwatch_logs", status.LatestCloudWatchLogsDeliveryError, status.LatestCloudWatchLogsDeliveryTime},
		{"sns", status.LatestNotificationError, status.LatestNotificationTime},
	} {
		tellTime(trailLastDelivery, channel.last, channel.name)
		if channel.code != "" {
			tell(trailDeliveryError, 1, channel.name, channel.code)
		}
	}

	series <- prometheus.MustNewConstMetric(m.descs[trailDrifts.Name],
		prometheus.CounterValue, m.driftsOf(trail), labels...)
	if drift := status.LastDrift; drift != nil {
		tellTime(trailLastDrift, &drift.DetectedTime)
		tell(trailLastDriftInfo, 1, strings.Join(drift.Fields, ","),
			strconv.FormatBool(drift.RepairedTime != nil), drift.Actor, drift.EventName)
	}
	tellTime(trailDeleting, trail.DeletionTimestamp)
	m.collectControls(series, trail, labels)
}

// collectConditions tells the conditions. Ready and Synced of a Trail that was not looked at yet are Unknown, and what
// is not Stalled is not; the others are told while they are known of.
func (m *Metrics) collectConditions(series chan<- prometheus.Metric, trail *v1alpha1.Trail, labels []string) {
	conditions := trail.Status.Conditions
	m.condition(series, trailCondition, conditions, v1alpha1.ConditionReady, metav1.ConditionUnknown, labels...)
	m.condition(series, trailCondition, conditions, v1alpha1.ConditionSynced, metav1.ConditionUnknown, labels...)
	m.condition(series, trailCondition, conditions, v1alpha1.ConditionStalled, metav1.ConditionFalse, labels...)
	m.condition(series, trailCondition, conditions, v1alpha1.ConditionLogging, "", labels...)
	m.condition(series, trailCondition, conditions, v1alpha1.ConditionDelivering, "", labels...)
	reason := "Unseen"
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil {
		reason = ready.Reason
	}
	m.gauge(series, trailReadyReason, 1, append(slices.Clip(labels), reason)...)
}

// condition tells a condition, which has the status absent when it is not there; "": nothing is told then.
func (m *Metrics) condition(
	series chan<- prometheus.Metric,
	definition Definition,
	conditions []metav1.Condition,
	conditionType string,
	absent metav1.ConditionStatus,
	labels ...string,
) {
	is := absent
	if condition := meta.FindStatusCondition(conditions, conditionType); condition != nil {
		is = condition.Status
	}
	if is == "" {
		return
	}
	for _, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
		m.gauge(series, definition, truth(status == is), append(slices.Clip(labels), conditionType, string(status))...)
	}
}

func (m *Metrics) gauge(series chan<- prometheus.Metric, definition Definition, value float64, labels ...string) {
	series <- prometheus.MustNewConstMetric(m.descs[definition.Name], prometheus.GaugeValue, value, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// revision returns the commit that the program was built from, "" when the build does not know it.
func revision() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, setting := range build.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return ""
}
