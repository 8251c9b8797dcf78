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
	"golang.org/x/sync/errgroup"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Region is CloudTrail in one region of one account, as one identity. Its errors are *Error. Trails are addressed by ARN:
// a name fails for an organization trail seen from a delegated administrator.
type Region struct {
	api API
	// as makes a call that of the identity: clients are shared by all identities.
	as        func(*cloudtrail.Options)
	accountID string
	name      string
	limits    *limits
	snapshot  *snapshot
}

// Name returns the region's code, such as eu-central-1.
func (r *Region) Name() string { return r.name }

// AccountID returns the account of the identity.
func (r *Region) AccountID() string { return r.accountID }

// Find returns the trail with the ARN or else of the name, as it was at most maxAge ago; nil when there is none. It may
// have its home in another region. Tags that could not be read are told in TagsErr and fail nothing.
func (r *Region) Find(ctx context.Context, arn, name string, maxAge time.Duration) (*Trail, error) {
	if err := r.snapshot.refresh(ctx, maxAge, r.describe); err != nil {
		return nil, meaning("DescribeTrails", err)
	}
	trail := r.snapshot.find(arn, name)
	if trail != nil && trail.Tags == nil && trail.TagsErr == nil {
		// Not ours to batch: another account's organization trail, which fails whatever batch it is in.
		trail.Tags, trail.TagsErr = r.Tags(ctx, trail.ARN)
	}
	return trail, nil
}

// Trails returns all trails that the region shows, shadow trails included, as they are now, ordered by ARN.
func (r *Region) Trails(ctx context.Context) ([]Trail, error) {
	if err := r.snapshot.refresh(ctx, FreshNow, r.describe); err != nil {
		return nil, meaning("DescribeTrails", err)
	}
	trails := r.snapshot.all()
	slices.SortFunc(trails, func(a, b Trail) int { return strings.Compare(a.ARN, b.ARN) })
	return trails, nil
}

// HomeRegions returns the regions in which the account has trails, in order.
func (r *Region) HomeRegions(ctx context.Context) ([]string, error) {
	var regions []string
	pages := cloudtrail.NewListTrailsPaginator(r.api, &cloudtrail.ListTrailsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, r.as)
		if err != nil {
			return nil, meaning("ListTrails", err)
		}
		for _, trail := range page.Trails {
			regions = append(regions, aws.ToString(trail.HomeRegion))
		}
	}
	slices.Sort(regions)
	return slices.Compact(regions), nil
}

// Waiting tells whether the context's actor was told to come back when its turn is.
func (r *Region) Waiting(ctx context.Context) bool {
	return r.limits.waiting(regionKey{r.accountID, r.name}, actorOf(ctx))
}

// ReserveDelete fails, as Delete would, when it is not yet the turn of the context's actor under the rate limit. It spares what
// must be read right before a deletion.
func (r *Region) ReserveDelete(ctx context.Context) error {
	return r.limits.reserve(ctx, limitKey{regionKey{r.accountID, r.name}, writeClass}, "DeleteTrail")
}

// Distrust makes the next Find read anew what AWS holds of the trail.
func (r *Region) Distrust(arn string) { r.snapshot.distrust(arn) }

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
		return nil, meaning("DescribeTrails", err)
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

// describeTags fills in the tags of up to 20 trails, or why they are not known. A trail that was deleted in between fails the
// whole batch, so what failed together is read one by one.
func (r *Region) describeTags(ctx context.Context, batch []*Trail) {
	arns := make([]string, 0, len(batch))
	for _, t := range batch {
		arns = append(arns, t.ARN)
	}
	tags, err := r.listTags(ctx, arns)
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

// Tags reads the tags of one trail, right now.
func (r *Region) Tags(ctx context.Context, arn string) (map[string]string, error) {
	tags, err := r.listTags(ctx, []string{arn})
	if err != nil {
		return nil, err
	}
	return tags[arn], nil
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
			return nil, meaning("ListTags", err)
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
	out, err := r.api.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: aws.String(arn)}, r.as)
	if err != nil {
		return Status{}, meaning("GetTrailStatus", err)
	}
	return fromStatus(out), nil
}

// Selectors reads the event selectors.
func (r *Region) Selectors(ctx context.Context, arn string) (Selectors, error) {
	out, err := r.api.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: aws.String(arn)}, r.as)
	if err != nil {
		return Selectors{}, meaning("GetEventSelectors", err)
	}
	return fromSelectors(out.EventSelectors, out.AdvancedEventSelectors), nil
}

// Insights reads the insight selectors; none is no error.
func (r *Region) Insights(ctx context.Context, arn string) ([]v1alpha1.InsightSelector, error) {
	out, err := r.api.GetInsightSelectors(ctx, &cloudtrail.GetInsightSelectorsInput{TrailName: aws.String(arn)}, r.as)
	switch {
	case errorCode(err) == "InsightNotEnabledException":
		return nil, nil
	case err != nil:
		return nil, meaning("GetInsightSelectors", err)
	default:
		return fromInsights(out.InsightSelectors), nil
	}
}

// Aggregations reads the aggregation configurations.
func (r *Region) Aggregations(ctx context.Context, arn string) ([]v1alpha1.AggregationConfiguration, error) {
	out, err := r.api.GetEventConfiguration(ctx, &cloudtrail.GetEventConfigurationInput{TrailName: aws.String(arn)}, r.as)
	if err != nil {
		return nil, meaning("GetEventConfiguration", err)
	}
	return fromAggregations(out.AggregationConfigurations), nil
}

// Create creates the trail of a spec with these tags and returns it. It does not log yet.
func (r *Region) Create(ctx context.Context, trail *v1alpha1.Trail, tags map[string]string) (*Trail, error) {
	out, err := r.api.CreateTrail(ctx, toCreate(trail, tags), r.as)
	if err != nil {
		err = meaning("CreateTrail", err)
		if Is(err, AlreadyExists) {
			r.snapshot.distrust(TrailARN(r.name, r.accountID, trail.TrailName()))
		}
		return nil, err
	}
	created := fromCreate(out, r.name, tags)
	r.snapshot.put(created.ARN, &created)
	return &created, nil
}

// Update changes settings of the trail and updates t with AWS's answer.
func (r *Region) Update(ctx context.Context, t *Trail, change Change) error {
	out, err := r.api.UpdateTrail(ctx, toUpdate(t.ARN, change), r.as)
	if err != nil {
		return r.refused("UpdateTrail", t, err)
	}
	t.Settings = settingsFromUpdate(out)
	r.snapshot.put(t.ARN, t)
	return nil
}

// Delete deletes the trail; one that is gone already is no error.
func (r *Region) Delete(ctx context.Context, arn string) error {
	_, err := r.api.DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: aws.String(arn)}, r.as)
	if err = meaning("DeleteTrail", err); err != nil && !Is(err, NotFound) {
		return err
	}
	r.snapshot.put(arn, nil)
	return nil
}

// StartLogging makes the trail record events.
func (r *Region) StartLogging(ctx context.Context, t *Trail) error {
	if _, err := r.api.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: aws.String(t.ARN)}, r.as); err != nil {
		return r.refused("StartLogging", t, err)
	}
	if t.New {
		t.New = false
		r.snapshot.put(t.ARN, t)
	}
	return nil
}

// StopLogging makes the trail record nothing.
func (r *Region) StopLogging(ctx context.Context, t *Trail) error {
	_, err := r.api.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: aws.String(t.ARN)}, r.as)
	return r.refused("StopLogging", t, err)
}

// PutSelectors sets the event selectors; empty ones set CloudTrail's default.
func (r *Region) PutSelectors(ctx context.Context, t *Trail, selectors Selectors) error {
	if _, err := r.api.PutEventSelectors(ctx, toSelectors(t.ARN, selectors), r.as); err != nil {
		return r.refused("PutEventSelectors", t, err)
	}
	t.HasEventSelectors = aws.Bool(len(selectors.Basic)+len(selectors.Advanced) > 0)
	r.snapshot.put(t.ARN, t)
	return nil
}

// PutInsights sets the insight selectors; none disables Insights.
func (r *Region) PutInsights(ctx context.Context, t *Trail, selectors []v1alpha1.InsightSelector) error {
	_, err := r.api.PutInsightSelectors(ctx, &cloudtrail.PutInsightSelectorsInput{TrailName: aws.String(t.ARN), InsightSelectors: toInsights(selectors)}, r.as)
	if err != nil {
		return r.refused("PutInsightSelectors", t, err)
	}
	t.HasInsightSelectors = aws.Bool(len(selectors) > 0)
	r.snapshot.put(t.ARN, t)
	return nil
}

// PutAggregations sets the aggregation configurations; none ends aggregation.
func (r *Region) PutAggregations(ctx context.Context, t *Trail, configurations []v1alpha1.AggregationConfiguration) error {
	_, err := r.api.PutEventConfiguration(ctx, &cloudtrail.PutEventConfigurationInput{TrailName: aws.String(t.ARN), AggregationConfigurations: toAggregations(configurations)}, r.as)
	return r.refused("PutEventConfiguration", t, err)
}

// AddTags sets tags and leaves all others alone.
func (r *Region) AddTags(ctx context.Context, t *Trail, tags map[string]string) error {
	if _, err := r.api.AddTags(ctx, &cloudtrail.AddTagsInput{ResourceId: aws.String(t.ARN), TagsList: toTags(tags)}, r.as); err != nil {
		return r.refused("AddTags", t, err)
	}
	t.Tags = maps.Clone(t.Tags)
	maps.Copy(t.Tags, tags)
	r.snapshot.put(t.ARN, t)
	return nil
}

// RemoveTags removes the tags with these keys.
func (r *Region) RemoveTags(ctx context.Context, t *Trail, keys []string) error {
	list := make([]types.Tag, 0, len(keys))
	for _, key := range keys {
		list = append(list, types.Tag{Key: aws.String(key)})
	}
	if _, err := r.api.RemoveTags(ctx, &cloudtrail.RemoveTagsInput{ResourceId: aws.String(t.ARN), TagsList: list}, r.as); err != nil {
		return r.refused("RemoveTags", t, err)
	}
	t.Tags = maps.Clone(t.Tags)
	for _, key := range keys {
		delete(t.Tags, key)
	}
	r.snapshot.put(t.ARN, t)
	return nil
}

// refused gives meaning to the error of a write. A trail that is not there shows that what we believed of it is wrong.
func (r *Region) refused(operation string, t *Trail, err error) error {
	err = meaning(operation, err)
	if Is(err, NotFound) {
		r.snapshot.distrust(t.ARN)
	}
	return err
}
