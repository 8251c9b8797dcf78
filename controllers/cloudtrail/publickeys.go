package cloudtrail

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// PublicKeys are the public keys of CloudTrail as an identity may read them. Each region has keys of its own.
type PublicKeys struct{ session *Session }

var _ digest.Keys = (*PublicKeys)(nil)

// PublicKeys returns the public keys that the session may read.
func (s *Session) PublicKeys() *PublicKeys { return &PublicKeys{s} }

// PublicKeys implements digest.Keys. It waits for CloudTrail's rate limit.
func (k *PublicKeys) PublicKeys(ctx context.Context, region string, from, to time.Time) ([]digest.PublicKey, error) {
	r := k.session.Region(region)
	keys, err := invoke(patient(ctx), r, func(ctx context.Context) ([]digest.PublicKey, error) {
		return r.listPublicKeys(ctx, from, to)
	})
	if err != nil {
		return nil, unavailable(ctx, err, func(e *Error) string { return k.remedy(region, e) })
	}
	return keys, nil
}

// patient returns a context whose calls are not those of a reconcile, which would not wait for their answers.
func patient(ctx context.Context) context.Context {
	return context.WithValue(ctx, callsKey{}, (*Calls)(nil))
}

// listPublicKeys reads the public keys whose private keys signed digests between two times.
func (r *Region) listPublicKeys(ctx context.Context, from, to time.Time) ([]digest.PublicKey, error) {
	var keys []digest.PublicKey
	pages := cloudtrail.NewListPublicKeysPaginator(r.api,
		&cloudtrail.ListPublicKeysInput{StartTime: aws.Time(from), EndTime: aws.Time(to)},
		func(o *cloudtrail.ListPublicKeysPaginatorOptions) { o.StopOnDuplicateToken = true },
	)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, r.as)
		if err != nil {
			return nil, classify("ListPublicKeys", err)
		}
		for _, key := range page.PublicKeyList {
			keys = append(keys, digest.PublicKey{Fingerprint: aws.ToString(key.Fingerprint), DER: key.Value})
		}
	}
	return keys, nil
}

// remedy says what helps where the keys of a region cannot be read, "" if AWS's message does.
func (k *PublicKeys) remedy(region string, e *Error) string {
	switch e.Code {
	case "AccessDenied", "AccessDeniedException":
		return Reader{ARN: k.session.ARN()}.KeysRemedy()
	case "InvalidClientTokenId", "OptInRequired", "RegionDisabledException", "UnrecognizedClientException":
		return fmt.Sprintf("enable the region %s for account %s, or validate as an account that has it: "+
			"the keys are the same for all accounts", region, k.session.AccountID)
	default:
		return ""
	}
}
