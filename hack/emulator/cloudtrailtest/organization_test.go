package cloudtrailtest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const (
	management = "111122223333"
	delegated  = "222233334444"
	ordinary   = "333344445555"
	outsider   = "444455556666"
)

func organization(change ...func(*cloudtrailtest.Organization)) cloudtrailtest.Organization {
	o := cloudtrailtest.Organization{
		ID:                      "o-exampleorgid",
		ManagementAccount:       management,
		DelegatedAdministrators: []string{delegated},
		Members:                 []string{ordinary},
	}
	for _, f := range change {
		f(&o)
	}
	return o
}

func forAll(in *cloudtrail.CreateTrailInput) { in.IsOrganizationTrail = aws.Bool(true) }

func TestWhoMayCreateOrganizationTrails(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*cloudtrailtest.Organization)
		account string
		want    string
	}{
		"management":              {nil, management, ""},
		"delegated administrator": {nil, delegated, ""},
		"member":                  {nil, ordinary, "NotOrganizationMasterAccountException"},
		"outsider":                {nil, outsider, "OrganizationsNotInUseException"},
		"billing only": {
			func(o *cloudtrailtest.Organization) { o.ConsolidatedBillingOnly = true },
			management, "OrganizationNotInAllFeaturesModeException",
		},
		"no trusted access": {
			func(o *cloudtrailtest.Organization) { o.TrustedAccessDisabled = true },
			management, "CloudTrailAccessNotEnabledException",
		},
		"no service-linked role": {
			func(o *cloudtrailtest.Organization) { o.NoServiceLinkedRole = true },
			delegated, "NoManagementAccountSLRExistsException",
		},
		"management without it": {func(o *cloudtrailtest.Organization) { o.NoServiceLinkedRole = true }, management, ""},
		"no organization, any more": {
			func(o *cloudtrailtest.Organization) { o.ManagementAccount = "" },
			management, "OrganizationsNotInUseException",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			o := organization()
			if c.change != nil {
				c.change(&o)
			}
			e.SetOrganization(o)
			wants(t, tryCreate(e.account(c.account, region), "org", forAll), c.want)
			if c.want == "" {
				got, ok := e.Trail(management, region, "org")
				equal(t, "owned by the management account", ok, true)
				equal(t, "created by", got.CreatedBy, c.account)
			}
		})
	}
}

func TestOrganizationTrailSeenFromOutside(t *testing.T) {
	e := start(t)
	e.SetOrganization(organization())
	arn := *create(t, e.account(delegated, region), "org", forAll, multiRegion).TrailARN
	equal(t, "ARN", arn, "arn:aws:cloudtrail:eu-west-1:111122223333:trail/org")
	create(t, e.account(management, region), "private")

	const (
		notFound      = "TrailNotFoundException"
		notManagement = "NotOrganizationMasterAccountException"
		notHome       = "InvalidHomeRegionException"
		badARN        = "CloudTrailARNInvalidException"
	)
	type seen struct{ byName, byARN, selectors, write, tags, describe string }
	for name, c := range map[string]struct {
		account, region string
		want            seen
	}{
		"management":           {management, region, seen{"", "", "", "", "", "org private"}},
		"management elsewhere": {management, "us-east-1", seen{notFound, "", "", notHome, badARN, "org"}},
		"delegated":            {delegated, region, seen{notFound, "", "", "", "", "org"}},
		"delegated elsewhere":  {delegated, "us-east-1", seen{notFound, "", "", notHome, badARN, "org"}},
		"member":               {ordinary, region, seen{notFound, "", notFound, notManagement, badARN, "org"}},
		"member elsewhere":     {ordinary, "us-east-1", seen{notFound, "", notFound, notManagement, badARN, "org"}},
		"outsider":             {outsider, region, seen{notFound, notFound, notFound, notFound, badARN, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			cl := e.account(c.account, c.region)
			_, err := cl.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: aws.String("org")})
			wants(t, err, c.want.byName)
			_, err = cl.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: &arn})
			wants(t, err, c.want.byARN)
			_, err = cl.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: &arn})
			wants(t, err, c.want.selectors)
			_, err = cl.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: &arn})
			wants(t, err, c.want.write)
			_, err = cl.UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: &arn, EnableLogFileValidation: aws.Bool(true)})
			wants(t, err, c.want.write)
			_, err = cl.ListTags(ctx, &cloudtrail.ListTagsInput{ResourceIdList: []string{arn}})
			wants(t, err, c.want.tags)
			got := ""
			for _, n := range names(t, cl, nil) {
				if got != "" {
					got += " "
				}
				got += n
			}
			equal(t, "described", got, c.want.describe)
			shadows := 0
			if c.account == management && c.region == region {
				shadows = len(names(t, cl, nil))
			}
			equal(t, "without shadows", len(names(t, cl, aws.Bool(false))), shadows)
		})
	}
	// A batch has one owner.
	own := *create(t, e.account(delegated, region), "own").TrailARN
	_, err := e.account(delegated, region).ListTags(ctx, &cloudtrail.ListTagsInput{ResourceIdList: []string{own, arn}})
	wants(t, err, "CloudTrailARNInvalidException")
	// By name, a write from the delegated administrator does not find it either.
	_, err = e.account(delegated, region).StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: aws.String("org")})
	wants(t, err, "TrailNotFoundException")
	// A shadow's name is taken.
	wants(t, tryCreate(e.account(ordinary, region), "org"), "TrailAlreadyExistsException")
	wants(t, tryCreate(e.account(outsider, region), "org"), "")
	// The delegated administrator may delete it.
	_, err = e.account(delegated, region).DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: &arn})
	wants(t, err, "")
	same(t, "left in the member", names(t, e.account(ordinary, region), nil))
}

func TestConversion(t *testing.T) {
	e := start(t)
	e.SetOrganization(organization())
	arn := create(t, e.account(management, region), "org").TrailARN
	convert := func(account string, to bool) error {
		_, err := e.account(account, region).
			UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: arn, IsOrganizationTrail: &to})
		return err
	}
	same(t, "not the member's yet", names(t, e.account(ordinary, region), nil))
	wants(t, convert(management, true), "")
	same(t, "the member's", names(t, e.account(ordinary, region), nil), "org")
	wants(t, convert(delegated, true), "") // That is no conversion.
	wants(t, convert(delegated, false), "NotOrganizationMasterAccountException")
	wants(t, convert(management, false), "")
	same(t, "no longer the member's", names(t, e.account(ordinary, region), nil))
	wants(t, convert(delegated, true), "TrailNotFoundException")
	own := create(t, e.account(ordinary, region), "own").TrailARN
	_, err := e.account(ordinary, region).
		UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: own, IsOrganizationTrail: aws.Bool(true)})
	wants(t, err, "NotOrganizationMasterAccountException")
}

func TestOrganizationTrailsCountInMembers(t *testing.T) {
	e := start(t)
	e.SetOrganization(organization())
	create(t, e.account(management, region), "org", forAll)
	for _, name := range []string{"one", "two", "three", "four"} {
		create(t, e.account(ordinary, region), name)
	}
	wants(t, tryCreate(e.account(ordinary, region), "five"), "MaximumNumberOfTrailsExceededException")
}
