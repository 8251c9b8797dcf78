package digest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

var (
	accountFolder      = regexp.MustCompile(`^\d{12}$`)
	organizationFolder = regexp.MustCompile(`^o-[a-z0-9]{10,32}$`)
	regionFolder       = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]+)+-\d+$`)
)

// firstKeys is how many keys are looked through for a digest of the trail before the last ones are.
const firstKeys = 1000

// finder finds the chains of a trail.
type finder struct {
	*Validator
	trail Trail

	mu     sync.Mutex
	chains []Chain
	errs   []error
}

// find returns what it finds, in order, and what could not be listed.
func (f *finder) find(ctx context.Context) ([]Chain, error) {
	root := rootOf(f.trail)
	var owners []Chain
	owners = append(owners, Chain{AccountID: f.trail.AccountID})
	if f.trail.Organization {
		for _, organization := range f.folders(ctx, root, organizationFolder) {
			for _, account := range f.folders(ctx, root+organization+"/", accountFolder) {
				owners = append(owners, Chain{OrganizationID: organization, AccountID: account})
			}
		}
	}
	parallel(owners, func(owner Chain) { f.findRegions(ctx, owner) })

	chains := withoutOlder(f.chains)
	slices.SortFunc(chains, func(a, b Chain) int {
		return cmp.Or(cmp.Compare(a.AccountID, b.AccountID), cmp.Compare(a.Region, b.Region),
			cmp.Compare(a.OrganizationID, b.OrganizationID))
	})
	if ended := ctx.Err(); ended != nil {
		return chains, ended
	}
	return chains, errors.Join(f.errs...)
}

// withoutOlder leaves out what the management account of an organization had before its trail became that of the
// organization. The chain continues in the folder of the organization, from where the older part is found.
func withoutOlder(chains []Chain) []Chain {
	ofOrganization := map[Chain]bool{}
	for _, chain := range chains {
		if chain.OrganizationID != "" {
			ofOrganization[Chain{AccountID: chain.AccountID, Region: chain.Region}] = true
		}
	}
	return slices.DeleteFunc(chains, func(chain Chain) bool { return ofOrganization[chain] })
}

// findRegions finds the regions of an account in which the trail has a digest.
func (f *finder) findRegions(ctx context.Context, owner Chain) {
	root := rootOf(f.trail)
	if owner.OrganizationID != "" {
		root += owner.OrganizationID + "/"
	}
	regions := f.folders(ctx, root+owner.AccountID+"/"+digestFolder+"/", regionFolder)
	parallel(regions, func(region string) {
		chain := owner
		chain.Region = region
		found, err := f.hasDigest(ctx, namingOf(f.trail, chain))
		f.mu.Lock()
		defer f.mu.Unlock()
		if err != nil {
			f.errs = append(f.errs, fmt.Errorf("listing the digests of account %s in %s: %w", chain.AccountID, region, err))
		}
		if found {
			f.chains = append(f.chains, chain)
		}
	})
}

// folders returns the folders under a prefix that look right. What cannot be listed is noted.
func (f *finder) folders(ctx context.Context, prefix string, like *regexp.Regexp) []string {
	var found []string
	err := f.limits().do(ctx, func() error {
		var err error
		found, err = f.options.Storage.Folders(ctx, f.trail.Bucket, prefix)
		return err
	})
	if err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.errs = append(f.errs, fmt.Errorf("listing %q in bucket %q: %w", prefix, f.trail.Bucket, err))
	}
	return slices.DeleteFunc(found, func(folder string) bool { return !like.MatchString(folder) })
}

// hasDigest tells whether there is a digest of the trail in a folder. Usually the first key is one. Where other trails
// deliver to the same folder and did so for years before, the last days are looked at before all of the years are.
func (f *finder) hasDigest(ctx context.Context, names naming) (bool, error) {
	found, ended, err := f.lookThrough(ctx, names, names.current.folder, firstKeys)
	if found || ended || err != nil {
		return found, err
	}
	day := f.now().UTC()
	for range 2 {
		prefix := names.current.folder + day.Format(dayLayout) + names.file
		if found, _, err = f.lookThrough(ctx, names, prefix, firstKeys); found || err != nil {
			return found, err
		}
		day = day.Add(-24 * time.Hour)
	}
	found, _, err = f.lookThrough(ctx, names, names.current.folder, 0)
	return found, err
}

// lookThrough looks for a digest of the trail in a list, in so many keys at most (0: in all). It tells whether it is
// there, and whether it has seen the whole list.
func (f *finder) lookThrough(
	ctx context.Context,
	names naming,
	prefix string,
	atMost int,
) (found, ended bool, err error) {
	seen := 0
	err = f.limits().do(ctx, func() error {
		for object, err := range f.options.Storage.List(ctx, names.current.bucket, prefix, "") {
			if err != nil {
				return err
			}
			if n, ok := parseName(names.current, object.Key, names.file); ok && !n.misplaced {
				found = true
				return nil
			}
			if seen++; seen == atMost {
				return nil
			}
		}
		ended = true
		return nil
	})
	return found, ended, err
}

// foldersAtOnce is how many folders are looked into at once on each level. The limits let fewer be listed at once.
const foldersAtOnce = 32

// parallel does something for each of some values, for many at once.
func parallel[T any](values []T, do func(T)) {
	var group errgroup.Group
	group.SetLimit(foldersAtOnce)
	for _, value := range values {
		group.Go(func() error {
			do(value)
			return nil
		})
	}
	_ = group.Wait() //nolint:errcheck // None fails.
}
