package cloudtrail

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	smithytime "github.com/aws/smithy-go/time"
	"golang.org/x/sync/errgroup"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Region is CloudTrail in one region of one account, as one identity. Its errors are *Error, or *Pending where the
// context has Calls. Trails are addressed by ARN: a name fails for an organization trail seen from a delegated
// administrator.
type Region struct {
	api     API
	session *Session
	// as makes a call that of the identity: clients are shared by all identities.
	as        func(*cloudtrail.Options)
	accountID string
	name      string
	limits    *limits
	snapshot  *snapshot
	now       func() time.Time
	// maxWait is how long a worker waits for an answer.
	maxWait time.Duration
}

// Guard is called right before a call is sent, which is not made when it fails. It may be called several times for one
// call.
type Guard func(context.Context) error

// Name returns the region's code, such as eu-central-1.
func (r *Region) Name() string { return r.name }

// AccountID returns the account of the identity.
func (r *Region) AccountID() string { return r.accountID }

// Session returns the session of the identity.
func (r *Region) Session() *Session { return r.session }

// longestWait returns how long a worker waits for an answer: not at all where another call is late already.
func (r *Region) longestWait() time.Duration {
	if r.limits.slow(regionKey{r.accountID, r.name}, r.maxWait) {
		return 0
	}
	return r.maxWait
}

// Find returns the trail with the ARN or else of the name; nil when there is none. It may have its home in another
// region. Tags that could not be read are told in TagsErr and fail nothing.
func (r *Region) Find(ctx context.Context, arn, name string) (*Trail, error) {
	return r.find(ctx, "Find", arn, name, (*Calls).Since)
}

// FindNow is Find by a read that began after the reconcile did.
func (r *Region) FindNow(ctx context.Context, arn, name string) (*Trail, error) {
	return r.find(ctx, "FindNow", arn, name, (*Calls).Began)
}

func (r *Region) find(ctx context.Context, how, arn, name string, after func(*Calls) time.Time) (*Trail, error) {
	found, err := once(ctx, how, arn+" "+name, r.now(), func(c *Calls) (*Trail, error) {
		if err := r.refresh(ctx, after(c)); err != nil {
			return nil, err
		}
		return r.snapshot.find(arn, name), nil
	})
	if err != nil || found == nil {
		return nil, err
	}
	trail := *found
	if trail.Tags == nil && trail.TagsErr == nil {
		// Not ours to batch: another account's organization trail, which fails whatever batch it is in.
		trail.Tags, trail.TagsErr = r.Tags(ctx, trail.ARN)
		if PendingOf(trail.TagsErr) != nil {
			return nil, trail.TagsErr
		}
	}
	return &trail, nil
}

// ManagementAccountID returns the management account of the account's organization, which an organization's trail that
// was found in the region tells; "" when there is none.
func (r *Region) ManagementAccountID() string { return r.snapshot.managementAccountID() }

// OwnerTag returns the value of a tag of a trail as it was at most OwnerFresh ago, "" when the trail does not have it.
// Where the region's trails cannot be read, the trail's own tags are.
func (r *Region) OwnerTag(ctx context.Context, arn, key string) (string, error) {
	switch err := r.refresh(ctx, r.now().Add(-OwnerFresh)); {
	case PendingOf(err) != nil:
		return "", err
	case err != nil:
		tags, err := r.TagsNow(ctx, arn)
		return tags[key], err
	}

	trail := r.snapshot.find(arn, "")
	switch {
	case trail == nil:
		return "", errGone
	case trail.TagsErr != nil:
		return "", trail.TagsErr
	default:
		return trail.Tags[key], nil
	}
}

// errGone says what DescribeTrails does not: it shows no trail that is gone, and fails for none.
var errGone = &Error{
	Operation: "DescribeTrails",
	Class:     NotFound,
	Code:      "TrailNotFoundException",
	Message:   "the trail is gone",
}

// refresh makes sure that what is known of the region's trails was read after some time.
func (r *Region) refresh(ctx context.Context, after time.Time) error {
	fetch := func(ctx context.Context) ([]*Trail, error) { return invoke(ctx, r, r.describe) }
	return classify("DescribeTrails", r.snapshot.refresh(ctx, after, r.maxWait, fetch))
}

// Trails returns all trails that the region shows, shadow trails included, ordered by ARN. They are as they are now; in
// a reconcile, no older than it may read.
func (r *Region) Trails(ctx context.Context) ([]Trail, error) {
	return once(ctx, "Trails", r.name, r.now(), func(c *Calls) ([]Trail, error) {
		after := r.now()
		if c != nil {
			after = c.Since()
		}
		if err := r.refresh(ctx, after); err != nil {
			return nil, err
		}
		trails := r.snapshot.all()
		slices.SortFunc(trails, func(a, b Trail) int { return strings.Compare(a.ARN, b.ARN) })
		return trails, nil
	})
}

// ListedTrail is what tells of a trail wherever it has its home.
type ListedTrail struct {
	ARN, HomeRegion string
}

// AllTrails returns the trails of the account in all regions, in the order of AWS.
func (r *Region) AllTrails(ctx context.Context) ([]ListedTrail, error) {
	return ask(ctx, r, question{operation: "ListTrails"}, func(ctx context.Context) ([]ListedTrail, error) {
		var trails []ListedTrail
		pages := cloudtrail.NewListTrailsPaginator(r.api, &cloudtrail.ListTrailsInput{})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx, r.as)
			if err != nil {
				return nil, classify("ListTrails", err)
			}
			for _, trail := range page.Trails {
				listed := ListedTrail{ARN: aws.ToString(trail.TrailARN), HomeRegion: aws.ToString(trail.HomeRegion)}
				trails = append(trails, listed)
			}
		}
		return trails, nil
	})
}

// HomeRegions returns the regions in which the account has trails, in order.
func (r *Region) HomeRegions(ctx context.Context) ([]string, error) {
	trails, err := r.AllTrails(ctx)
	regions := make([]string, 0, len(trails))
	for _, trail := range trails {
		regions = append(regions, trail.HomeRegion)
	}
	slices.Sort(regions)
	return slices.Compact(regions), err
}

// ConfirmAccount asks AWS whose the credentials are right now. It fails when they lead to another account than the
// session's.
func (r *Region) ConfirmAccount(ctx context.Context) error {
	q := question{operation: getCallerIdentity, unlimited: true, newer: guardHolds}
	_, err := ask(ctx, r, q, func(ctx context.Context) (string, error) {
		return r.accountID, r.session.confirm(ctx)
	})
	return err
}

// maxTagResources is how many trails one ListTags takes.
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_ListTags.html
const maxTagResources = 20

// tagReadsAtOnce bounds the ListTags calls of one shared read.
const tagReadsAtOnce = 8

// describe reads all trails of the region, and the tags of those that have their home here and belong to the account: a
// foreign ARN would fail its whole batch.
func (r *Region) describe(ctx context.Context) ([]*Trail, error) {
	out, err := r.api.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{}, r.as)
	if err != nil {
		return nil, classify("DescribeTrails", err)
	}

	trails := make([]*Trail, 0, len(out.TrailList))
	var own []*Trail
	for _, t := range out.TrailList {
		trail := fromTrail(t)
		trails = append(trails, &trail)
		if trail.HomeRegion == r.name && trail.AccountID() == r.accountID {
			own = append(own, &trail)
		}
	}

	var group errgroup.Group
	group.SetLimit(tagReadsAtOnce)
	for batch := range slices.Chunk(own, maxTagResources) {
		group.Go(func() error {
			r.describeTags(ctx, batch)
			return nil
		})
	}
	return trails, group.Wait()
}

// describeTags fills in the tags of up to 20 trails, or why they are not known. A trail that was deleted in between
// fails the whole batch, so what failed together is read one by one.
func (r *Region) describeTags(ctx context.Context, batch []*Trail) {
	arns := make([]string, 0, len(batch))
	for _, t := range batch {
		arns = append(arns, t.ARN)
	}
	tags, err := invoke(ctx, r, func(ctx context.Context) (map[string]map[string]string, error) {
		return r.listTags(ctx, arns)
	})
	if err != nil && len(batch) > 1 && !Is(err, Permission) && !Is(err, Transient) {
		for _, t := range batch {
			t.Tags, t.TagsErr = r.Tags(ctx, t.ARN)
		}
		return
	}
	for _, t := range batch {
		if t.TagsErr = err; err == nil {
			t.Tags = tags[t.ARN]
		}
	}
}

// Tags reads the tags of one trail.
func (r *Region) Tags(ctx context.Context, arn string) (map[string]string, error) {
	return r.tags(ctx, arn, question{subject: arn})
}

// TagsNow reads the tags of one trail right now, for what cannot be undone.
func (r *Region) TagsNow(ctx context.Context, arn string) (map[string]string, error) {
	return r.tags(ctx, arn, question{subject: arn, urgent: true, newer: guardHolds})
}

func (r *Region) tags(ctx context.Context, arn string, q question) (map[string]string, error) {
	q.operation = "ListTags"
	return ask(ctx, r, q, func(ctx context.Context) (map[string]string, error) {
		tags, err := r.listTags(ctx, []string{arn})
		return tags[arn], err
	})
}

// listTags reads the tags of up to 20 trails. The map holds each of them, also without tags.
func (r *Region) listTags(ctx context.Context, arns []string) (map[string]map[string]string, error) {
	tags := make(map[string]map[string]string, len(arns))
	for _, arn := range arns {
		tags[arn] = map[string]string{}
	}
	in := &cloudtrail.ListTagsInput{ResourceIdList: arns}
	for {
		out, err := r.api.ListTags(ctx, in, r.as)
		if err != nil {
			return nil, classify("ListTags", err)
		}
		for _, resource := range out.ResourceTagList {
			if known, ok := tags[aws.ToString(resource.ResourceId)]; ok {
				maps.Copy(known, fromTags(resource.TagsList))
			}
		}
		if aws.ToString(out.NextToken) == "" {
			return tags, nil
		}
		in.NextToken = out.NextToken
	}
}

// Status reads what CloudTrail reports of logging and delivery.
func (r *Region) Status(ctx context.Context, arn string) (Status, error) {
	return ask(ctx, r, question{operation: "GetTrailStatus", subject: arn}, func(ctx context.Context) (Status, error) {
		out, err := r.api.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: aws.String(arn)}, r.as)
		if err != nil {
			return Status{}, classify("GetTrailStatus", err)
		}
		return fromStatus(out), nil
	})
}

// Selectors reads the event selectors.
func (r *Region) Selectors(ctx context.Context, arn string) (Selectors, error) {
	q := question{operation: "GetEventSelectors", subject: arn}
	return ask(ctx, r, q, func(ctx context.Context) (Selectors, error) {
		out, err := r.api.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: aws.String(arn)}, r.as)
		if err != nil {
			return Selectors{}, classify("GetEventSelectors", err)
		}
		return fromSelectors(out.EventSelectors, out.AdvancedEventSelectors), nil
	})
}

// Insights reads the insight selectors; none is no error.
func (r *Region) Insights(ctx context.Context, arn string) ([]v1alpha1.InsightSelector, error) {
	q := question{operation: "GetInsightSelectors", subject: arn}
	return ask(ctx, r, q, func(ctx context.Context) ([]v1alpha1.InsightSelector, error) {
		out, err := r.api.GetInsightSelectors(ctx, &cloudtrail.GetInsightSelectorsInput{TrailName: aws.String(arn)}, r.as)
		switch {
		case errorCode(err) == "InsightNotEnabledException":
			return nil, nil
		case err != nil:
			return nil, classify("GetInsightSelectors", err)
		default:
			return fromInsights(out.InsightSelectors), nil
		}
	})
}

// Aggregations reads the aggregation configurations.
func (r *Region) Aggregations(ctx context.Context, arn string) ([]v1alpha1.AggregationConfiguration, error) {
	q := question{operation: "GetEventConfiguration", subject: arn}
	return ask(ctx, r, q, func(ctx context.Context) ([]v1alpha1.AggregationConfiguration, error) {
		out, err := r.api.GetEventConfiguration(ctx,
			&cloudtrail.GetEventConfigurationInput{TrailName: aws.String(arn)}, r.as)
		if err != nil {
			return nil, classify("GetEventConfiguration", err)
		}
		return fromAggregations(out.AggregationConfigurations), nil
	})
}

// about returns the question as one about a trail.
func (q question) about(t *Trail) question {
	q.subject = t.ARN + " " + q.subject
	return q
}

// wrote lays a change that AWS has accepted over what is read, and classifies the error of one that it has not.
func (r *Region) wrote(q question, t *Trail, change func(*Trail), err error) error {
	switch err = classify(q.operation, err); {
	case Is(err, NotFound):
		r.snapshot.distrust(t.ARN) // What we believed of it is wrong.
	case err == nil && change != nil:
		r.snapshot.change(t.ARN, partOf(q.operation), change)
	}
	return err
}

// partOf returns the part of a trail that an operation sets.
func partOf(operation string) string {
	if operation == "AddTags" || operation == "RemoveTags" {
		return "tags"
	}
	return operation
}

// Create creates a trail of this name, with these settings and tags, and returns it. It does not log yet.
func (r *Region) Create(
	ctx context.Context,
	name string,
	settings Change,
	tags map[string]string,
	guard Guard,
) (*Trail, error) {
	q := question{operation: "CreateTrail", subject: name, guard: guard}
	created, err := ask(ctx, r, q, func(ctx context.Context) (*Trail, error) {
		out, err := r.api.CreateTrail(ctx, toCreate(name, settings, tags), r.as)
		if err != nil {
			err = classify(q.operation, err)
			if Is(err, AlreadyExists) {
				r.snapshot.distrust(TrailARN(r.name, r.accountID, name))
			}
			return nil, err
		}
		created := fromCreate(out, r.name, tags)
		r.snapshot.put(created.ARN, &created)
		return &created, nil
	})
	if err != nil {
		return nil, err
	}
	found := *created
	return &found, nil
}

// Update changes settings of the trail. Shared reads show the change and nothing else of AWS's answer, as somebody else
// may change the rest meanwhile.
func (r *Region) Update(ctx context.Context, t *Trail, change Change, guard Guard) error {
	q := question{operation: "UpdateTrail", subject: asJSON(change), guard: guard}.about(t)
	settings, err := ask(ctx, r, q, func(ctx context.Context) (Settings, error) {
		out, err := r.api.UpdateTrail(ctx, toUpdate(t.ARN, change), r.as)
		if err != nil {
			return Settings{}, r.wrote(q, t, nil, err)
		}
		settings := fromUpdate(out)
		return settings, r.wrote(q, t, func(t *Trail) { change.take(settings, &t.Settings) }, nil)
	})
	if err == nil {
		t.Settings = settings
	}
	return err
}

// Delete deletes the trail. It fails as NotFound where there is none.
func (r *Region) Delete(ctx context.Context, arn string, guard Guard) error {
	q := question{operation: "DeleteTrail", subject: arn, guard: guard}
	_, err := ask(ctx, r, q, func(ctx context.Context) (any, error) {
		_, err := r.api.DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: aws.String(arn)}, r.as)
		switch err = classify(q.operation, err); {
		case err == nil:
			r.snapshot.put(arn, nil)
		case Is(err, NotFound):
			r.snapshot.distrust(arn)
		}
		return nil, err
	})
	return err
}

// StartLogging makes the trail record events.
func (r *Region) StartLogging(ctx context.Context, t *Trail, guard Guard) error {
	q := question{operation: "StartLogging", urgent: true, guard: guard}
	_, err := put(ctx, r, q, t, func(ctx context.Context) (*cloudtrail.StartLoggingOutput, error) {
		return r.api.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: aws.String(t.ARN)}, r.as)
	}, nil)
	return err
}

// StopLogging makes the trail record nothing.
func (r *Region) StopLogging(ctx context.Context, t *Trail, guard Guard) error {
	q := question{operation: "StopLogging", guard: guard}
	_, err := put(ctx, r, q, t, func(ctx context.Context) (*cloudtrail.StopLoggingOutput, error) {
		return r.api.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: aws.String(t.ARN)}, r.as)
	}, nil)
	return err
}

// PutSelectors sets the event selectors, empty ones to CloudTrail's default, and returns what AWS says that it holds
// then.
func (r *Region) PutSelectors(ctx context.Context, t *Trail, selectors Selectors, guard Guard) (Selectors, error) {
	q := question{operation: "PutEventSelectors", subject: asJSON(selectors), guard: guard}
	some := len(selectors.Basic)+len(selectors.Advanced) > 0
	return put(ctx, r, q, t, func(ctx context.Context) (Selectors, error) {
		out, err := r.api.PutEventSelectors(ctx, toSelectors(t.ARN, selectors), r.as)
		if err != nil {
			return Selectors{}, err
		}
		return fromSelectors(out.EventSelectors, out.AdvancedEventSelectors), nil
	}, func(t *Trail) { t.HasEventSelectors = &some })
}

// PutInsights sets the insight selectors, of which none disables Insights, and returns what AWS says that it holds
// then.
func (r *Region) PutInsights(
	ctx context.Context,
	t *Trail,
	selectors []v1alpha1.InsightSelector,
	guard Guard,
) ([]v1alpha1.InsightSelector, error) {
	q := question{operation: "PutInsightSelectors", subject: asJSON(selectors), guard: guard}
	some := len(selectors) > 0
	return put(ctx, r, q, t, func(ctx context.Context) ([]v1alpha1.InsightSelector, error) {
		in := &cloudtrail.PutInsightSelectorsInput{TrailName: aws.String(t.ARN), InsightSelectors: toInsights(selectors)}
		out, err := r.api.PutInsightSelectors(ctx, in, r.as)
		if err != nil {
			return nil, err
		}
		return fromInsights(out.InsightSelectors), nil
	}, func(t *Trail) { t.HasInsightSelectors = &some })
}

// PutAggregations sets the aggregation configurations, of which none ends aggregation, and returns what AWS says that
// it holds then.
func (r *Region) PutAggregations(
	ctx context.Context,
	t *Trail,
	configurations []v1alpha1.AggregationConfiguration,
	guard Guard,
) ([]v1alpha1.AggregationConfiguration, error) {
	q := question{operation: "PutEventConfiguration", subject: asJSON(configurations), guard: guard}
	return put(ctx, r, q, t, func(ctx context.Context) ([]v1alpha1.AggregationConfiguration, error) {
		in := &cloudtrail.PutEventConfigurationInput{
			TrailName:                 aws.String(t.ARN),
			AggregationConfigurations: toAggregations(configurations),
		}
		out, err := r.api.PutEventConfiguration(ctx, in, r.as)
		if err != nil {
			return nil, err
		}
		return fromAggregations(out.AggregationConfigurations), nil
	}, nil)
}

// put makes a call that changes a trail, and returns its answer. change is what shared reads show of it; nil: nothing.
// It is made to t, and laid over what is read for as long as reads may lag behind.
func put[T any](
	ctx context.Context,
	r *Region,
	q question,
	t *Trail,
	call func(context.Context) (T, error),
	change func(*Trail),
) (T, error) {
	answer, err := ask(ctx, r, q.about(t), func(ctx context.Context) (T, error) {
		answer, err := call(ctx)
		return answer, r.wrote(q, t, change, err)
	})
	if err == nil && change != nil {
		change(t)
	}
	return answer, err
}

// AddTags sets tags and leaves all others alone.
func (r *Region) AddTags(ctx context.Context, t *Trail, tags map[string]string, guard Guard) error {
	q := question{operation: "AddTags", subject: strings.Join(slices.Sorted(maps.Keys(tags)), ","), guard: guard}
	_, err := put(ctx, r, q, t, func(ctx context.Context) (*cloudtrail.AddTagsOutput, error) {
		return r.api.AddTags(ctx, &cloudtrail.AddTagsInput{ResourceId: aws.String(t.ARN), TagsList: toTags(tags)}, r.as)
	}, func(t *Trail) { t.setTags(func(all map[string]string) { maps.Copy(all, tags) }) })
	return err
}

// RemoveTags removes the tags with these keys.
func (r *Region) RemoveTags(ctx context.Context, t *Trail, keys []string, guard Guard) error {
	q := question{operation: "RemoveTags", subject: strings.Join(keys, ","), guard: guard}
	list := make([]types.Tag, 0, len(keys))
	for _, key := range keys {
		list = append(list, types.Tag{Key: aws.String(key)})
	}

	_, err := put(ctx, r, q, t, func(ctx context.Context) (*cloudtrail.RemoveTagsOutput, error) {
		return r.api.RemoveTags(ctx, &cloudtrail.RemoveTagsInput{ResourceId: aws.String(t.ARN), TagsList: list}, r.as)
	}, func(t *Trail) {
		t.setTags(func(all map[string]string) {
			maps.DeleteFunc(all, func(key, _ string) bool { return slices.Contains(keys, key) })
		})
	})
	return err
}

// Settings reads the settings of one trail, past all that is shared.
func (r *Region) Settings(ctx context.Context, arn string) (Settings, error) {
	return ask(ctx, r, question{operation: "DescribeTrails", subject: arn}, func(ctx context.Context) (Settings, error) {
		out, err := r.api.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{TrailNameList: []string{arn}}, r.as)
		switch {
		case err != nil:
			return Settings{}, classify("DescribeTrails", err)
		case len(out.TrailList) == 0:
			return Settings{}, errGone
		default:
			return fromTrail(out.TrailList[0]).Settings, nil
		}
	})
}

// Claimed waits after AddTags has claimed a trail until another claim at the same time would show, and returns the
// trail's tags then.
func (r *Region) Claimed(ctx context.Context, arn string) (map[string]string, error) {
	claim := question{operation: "the claim", subject: arn, unlimited: true}
	_, err := ask(ctx, r, claim, func(ctx context.Context) (any, error) {
		return nil, smithytime.SleepWithContext(ctx, min(r.snapshot.settle, claimSettles))
	})
	if err != nil {
		return nil, err
	}

	return r.tags(ctx, arn, question{subject: "claimed " + arn})
}
