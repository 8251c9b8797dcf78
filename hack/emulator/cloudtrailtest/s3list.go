package cloudtrailtest

import (
	"encoding/xml"
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// maxListed is the greatest number of keys of a page.
const maxListed = 1000

// s3Time is how S3 writes times in XML.
const s3Time = "2006-01-02T15:04:05.000Z"

// listing is a page of a list.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
type listing struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Marker                *string
	NextMarker            string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	KeyCount              *int
	MaxKeys               int
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []listedObject
	CommonPrefixes        []listedPrefix
}

type listedObject struct {
	Key          string
	LastModified string
	ETag         string
	Size         int
	StorageClass string
}

type listedPrefix struct{ Prefix string }

// listPosition is the last thing on a page: a key, or what several keys begin with.
type listPosition struct {
	After    string `json:"a"`
	IsPrefix bool   `json:"p"`
}

// listObjects lists a bucket's objects by key, in either version of the operation.
func (s *Server) listObjects(c *call, q *s3Request) (*s3Answer, error) {
	if s.bucket(q).NoList {
		return nil, fail("AccessDenied", "%s",
			c.denial("because no identity-based policy allows the s3:ListBucket action"))
	}
	page := &listing{
		Name: q.bucket, Prefix: q.query.Get("prefix"), Delimiter: q.query.Get("delimiter"), MaxKeys: maxListed,
		EncodingType: q.query.Get("encoding-type"),
	}
	if err := page.readLimits(q); err != nil {
		return nil, err
	}
	from, err := s.listFrom(q, page)
	if err != nil {
		return nil, err
	}

	last := page.fill(s.stored(q.bucket), from)
	n := len(page.Contents) + len(page.CommonPrefixes)
	switch {
	case q.operation == "ListObjectsV2":
		page.KeyCount = &n
		if page.IsTruncated {
			page.NextContinuationToken = s.sealToken(page.purpose(), last)
		}
	case page.IsTruncated && page.Delimiter != "":
		page.NextMarker = last.After
	}
	page.encode()
	return &s3Answer{xml: page}, nil
}

// readLimits reads how many keys a page may have, and how they are written.
func (p *listing) readLimits(q *s3Request) error {
	if text := q.query.Get("max-keys"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fail("InvalidArgument", "Provided max-keys not an integer or within integer range")
		}
		if n < 0 {
			return fail("InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647")
		}
		p.MaxKeys = min(n, maxListed)
	}
	if p.EncodingType != "" && p.EncodingType != "url" {
		return fail("InvalidArgument", "Invalid Encoding Method specified in Request")
	}
	return nil
}

// purpose is what a continuation token is bound to.
func (p *listing) purpose() []string { return []string{"ListObjectsV2", p.Name, p.Prefix, p.Delimiter} }

// listFrom returns behind what the page begins.
func (s *Server) listFrom(q *s3Request, page *listing) (listPosition, error) {
	if q.operation == "ListObjects" {
		marker := q.query.Get("marker")
		page.Marker = &marker
		grouped := page.Delimiter != "" && strings.HasSuffix(marker, page.Delimiter)
		return listPosition{marker, grouped}, nil
	}

	page.StartAfter, page.ContinuationToken = q.query.Get("start-after"), q.query.Get("continuation-token")
	if !q.query.Has("continuation-token") {
		return listPosition{After: page.StartAfter}, nil
	}
	var from listPosition
	if s.openToken(page.ContinuationToken, page.purpose(), &from) != nil {
		return from, fail("InvalidArgument", "The continuation token provided is incorrect")
	}
	return from, nil
}

// fill lists what a page has room for, and returns the last of it.
func (p *listing) fill(b *contents, from listPosition) (last listPosition) {
	last = from
	if b == nil || p.MaxKeys == 0 {
		return last
	}
	keys := b.sorted()
	i := sort.Search(len(keys), func(i int) bool { return keys[i] >= p.Prefix && from.isBefore(keys[i]) })
	for n := 0; i < len(keys) && strings.HasPrefix(keys[i], p.Prefix); {
		o := b.objects[keys[i]]
		if o == nil {
			i++
			continue
		}
		if n++; n > p.MaxKeys {
			p.IsTruncated = true
			return last
		}

		common, grouped := p.common(o.Key)
		if !grouped {
			last = listPosition{After: o.Key}
			p.add(o)
			i++
			continue
		}
		last = listPosition{common, true}
		p.CommonPrefixes = append(p.CommonPrefixes, listedPrefix{common})
		i += sort.Search(len(keys)-i, func(j int) bool { return last.isBefore(keys[i+j]) })
	}
	return last
}

// isBefore says whether a key comes after the position.
func (l listPosition) isBefore(key string) bool {
	return key > l.After && !(l.IsPrefix && strings.HasPrefix(key, l.After)) || l.After == ""
}

// common returns what a key begins with up to the delimiter, and whether there is one.
func (p *listing) common(key string) (string, bool) {
	if p.Delimiter == "" {
		return "", false
	}
	at := strings.Index(key[len(p.Prefix):], p.Delimiter)
	if at < 0 {
		return "", false
	}
	return key[:len(p.Prefix)+at+len(p.Delimiter)], true
}

func (p *listing) add(o *object) {
	p.Contents = append(p.Contents, listedObject{
		o.Key, o.LastModified.Format(s3Time), `"` + o.etag + `"`, len(o.Content), o.StorageClass,
	})
}

// encode writes keys as a client asks for that could not read them in XML.
func (p *listing) encode() {
	if p.EncodingType != "url" {
		return
	}
	for _, text := range []*string{&p.Prefix, &p.Delimiter, &p.StartAfter, p.Marker, &p.NextMarker} {
		if text != nil {
			*text = encodeKey(*text)
		}
	}
	for i := range p.Contents {
		p.Contents[i].Key = encodeKey(p.Contents[i].Key)
	}
	for i := range p.CommonPrefixes {
		p.CommonPrefixes[i].Prefix = encodeKey(p.CommonPrefixes[i].Prefix)
	}
}

func encodeKey(key string) string { return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/") }
