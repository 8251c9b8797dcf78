package cloudtrailtest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Tampering is what somebody does to a bucket, whoever may do so, to log files or digests in it.
type Tampering struct {
	Kind TamperingKind `json:"kind"`
	// Bucket and Key are the object that it is done to.
	Bucket string `json:"bucket,omitempty"`
	Key    string `json:"key,omitempty"`
	// TrailARN, AccountID and Region are instead a chain of digests, and Position a digest of it: 0 is the oldest, -1 the
	// newest one. Default: the trail's own account and home region. Log is the number of one of the digest's log files,
	// from 1; 0 is the digest.
	TrailARN  string `json:"arn,omitempty"`
	AccountID string `json:"accountID,omitempty"`
	Region    string `json:"region,omitempty"`
	Position  int    `json:"position,omitempty"`
	Log       int    `json:"log,omitempty"`
	// To is the key to which Move and Copy go. Replace takes the object there.
	To string `json:"to,omitempty"`
	// Count is how many digests DeleteNewest deletes, WithLogs says that it deletes their log files, too.
	Count    int  `json:"count,omitempty"`
	WithLogs bool `json:"withLogs,omitempty"`
}

// TamperingKind is a way to tamper.
type TamperingKind string

// Ways to tamper.
const (
	// Delete deletes the object.
	Delete TamperingKind = "Delete"
	// Alter changes the packed content in one place, without touching the metadata: an event of a log file, a hash in a
	// digest or, without one, its start.
	Alter TamperingKind = "Alter"
	// AlterSignature changes a digit of a digest's signature.
	AlterSignature TamperingKind = "AlterSignature"
	// DropMetadata removes the object's own metadata, as a restored backup may.
	DropMetadata TamperingKind = "DropMetadata"
	// Resign alters a digest and signs it with a key that is not CloudTrail's.
	Resign TamperingKind = "Resign"
	// Move and Copy put the object at another key, with everything that belongs to it.
	Move TamperingKind = "Move"
	Copy TamperingKind = "Copy"
	// Replace puts the content and the metadata of another object in the place of this one: of the digest before it, if To
	// is not set.
	Replace TamperingKind = "Replace"
	// AppendBytes appends bytes behind the packed content, AppendMember a second packed content.
	AppendBytes  TamperingKind = "AppendBytes"
	AppendMember TamperingKind = "AppendMember"
	// Truncate leaves half of the object.
	Truncate TamperingKind = "Truncate"
	// Unpack stores the content unpacked.
	Unpack TamperingKind = "Unpack"
	// Archive moves the object to an archive, where it cannot be read.
	Archive TamperingKind = "Archive"
	// Plant puts a log file that no digest lists: at Key, or among the log files of the digest.
	Plant TamperingKind = "Plant"
	// DeleteRegion deletes all digests and log files of a chain.
	DeleteRegion TamperingKind = "DeleteRegion"
	// DeleteNewest deletes the newest digests of a chain.
	DeleteNewest TamperingKind = "DeleteNewest"
)

// errTampering marks tampering that is not possible.
var errTampering = errors.New("cannot tamper")

// Tamper tampers and returns the keys of the objects that were changed, deleted or put.
func (s *Server) Tamper(t Tampering) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver()
	switch t.Kind {
	case DeleteRegion:
		return s.deleteRegion(t)
	case DeleteNewest:
		return s.deleteNewest(t)
	case Plant:
		return s.plant(t)
	}

	o, err := s.tampered(t)
	if err != nil {
		return nil, err
	}
	return s.tamperWith(t, o)
}

// Digests returns the digests of a chain that are in the trail's bucket, oldest first, without backfill digests. An
// account or region that is "" is the trail's own.
func (s *Server) Digests(trailARN, accountID, region string) []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver()
	found, err := s.digestsOf(Tampering{TrailARN: trailARN, AccountID: accountID, Region: region})
	out := make([]Object, 0, len(found))
	if err != nil {
		return out
	}
	for _, o := range found {
		out = append(out, o.copy())
	}
	return out
}

// ReadDigest returns what a digest says. It fails if the object is not one.
func ReadDigest(o Object) (Digest, error) {
	var d Digest
	raw, err := unpack(o.Content)
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal(raw, &d)
}

// chainOf returns where the objects of a chain are. It may have ended.
func (s *Server) chainOf(t Tampering) (*chain, error) {
	trail := s.byARN[t.TrailARN]
	if trail == nil {
		return nil, fmt.Errorf("%w: there is no trail %q", errTampering, t.TrailARN)
	}
	orDefault(&t.AccountID, trail.owner)
	orDefault(&t.Region, trail.home)
	n := newChain(chainKey{t.TrailARN, t.AccountID, t.Region}, trail, s.deliverySeed)
	n.bucket, n.prefix, n.organization = trail.bucket, trail.prefix, s.organizationOf(trail)
	return n, nil
}

func (s *Server) digestsOf(t Tampering) ([]*object, error) {
	n, err := s.chainOf(t)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s_CloudTrail-Digest_%s_%s_%s_", n.key.account, n.key.region, n.name, n.home)
	isDigest := regexp.MustCompile("/" + regexp.QuoteMeta(name) + `\d{8}T\d{6}Z\.json\.gz$`)
	var out []*object
	if b := s.stored(n.bucket); b != nil {
		b.from(n.regionFolder("CloudTrail-Digest"), "", func(o *object) bool {
			if isDigest.MatchString(o.Key) {
				out = append(out, o)
			}
			return true
		})
	}
	return out, nil
}

// regionFolder is what all keys of a kind of objects of the chain begin with.
func (n *chain) regionFolder(kind string) string {
	return strings.TrimSuffix(n.folder(kind, time.Time{}), time.Time{}.Format("2006/01/02"))
}

// tampered returns the object that something is done to.
func (s *Server) tampered(t Tampering) (*object, error) {
	if t.Key != "" {
		if o := s.object(t.Bucket, t.Key); o != nil {
			return o, nil
		}
		return nil, fmt.Errorf("%w: there is no object %q in bucket %q", errTampering, t.Key, t.Bucket)
	}

	all, err := s.digestsOf(t)
	if err != nil {
		return nil, err
	}
	at := t.Position
	if at < 0 {
		at += len(all)
	}
	if at < 0 || at >= len(all) {
		return nil, fmt.Errorf("%w: the chain has %d digests and none at %d", errTampering, len(all), t.Position)
	}
	if t.Log == 0 {
		return all[at], nil
	}

	d, err := ReadDigest(all[at].Object)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTampering, err)
	}
	if t.Log > len(d.LogFiles) {
		return nil, fmt.Errorf("%w: the digest lists %d log files", errTampering, len(d.LogFiles))
	}
	log := d.LogFiles[t.Log-1]
	if o := s.object(log.Bucket, log.Object); o != nil {
		return o, nil
	}
	return nil, fmt.Errorf("%w: there is no object %q in bucket %q", errTampering, log.Object, log.Bucket)
}

// tamperWith tampers with one object.
func (s *Server) tamperWith(t Tampering, o *object) ([]string, error) {
	n := o.copy()
	n.LastModified = s.deliveryTime(s.now())
	switch t.Kind {
	case Delete:
		s.discardObject(o.Bucket, o.Key)
		return []string{o.Key}, nil
	case Move, Copy:
		if n.Key = t.To; t.To == "" || len(t.To) > maxKey {
			return nil, fmt.Errorf("%w: to which key?", errTampering)
		}
		s.store(newObject(n))
		if t.Kind == Move {
			s.discardObject(o.Bucket, o.Key)
			return []string{o.Key, n.Key}, nil
		}
		return []string{n.Key}, nil
	}

	if err := s.change(t, &n); err != nil {
		return nil, fmt.Errorf("%w: %w", errTampering, err)
	}
	s.store(newObject(n))
	return []string{n.Key}, nil
}

// change changes an object that stays where it is.
func (s *Server) change(t Tampering, o *Object) (err error) {
	switch t.Kind {
	case Alter:
		return o.alter()
	case AlterSignature:
		if o.Metadata["signature"] == "" {
			return errors.New("the object has no signature")
		}
		o.Metadata["signature"] = otherDigit(o.Metadata["signature"])
	case DropMetadata:
		o.Metadata = nil
	case Resign:
		return o.resign()
	case Replace:
		return s.replaceObject(t, o)
	case AppendBytes:
		o.Content = append(slices.Clone(o.Content), "hidden"...)
	case AppendMember:
		o.Content = append(slices.Clone(o.Content), pack([]byte(`{"Records":[]}`))...)
	case Truncate:
		o.Content = o.Content[:len(o.Content)/2]
	case Unpack:
		o.Content, err = unpack(o.Content)
	case Archive:
		o.StorageClass = "GLACIER"
	default:
		return fmt.Errorf("%q is not a kind", t.Kind)
	}
	return err
}

// otherDigit returns hexadecimal digits of which the first one is another.
func otherDigit(text string) string {
	if text[0] == '0' {
		return "1" + text[1:]
	}
	return "0" + text[1:]
}

// Places where content is altered: the first one that there is.
var alterable = []struct {
	where *regexp.Regexp
	alter func(found string) string
}{
	{regexp.MustCompile(`"hashValue":"[0-9a-f]`), func(found string) string {
		last := len(found) - 1
		return found[:last] + otherDigit(found[last:])
	}},
	{regexp.MustCompile(`"digestStartTime":"[0-9]{4}`), func(string) string { return `"digestStartTime":"2001` }},
	{regexp.MustCompile(`"eventName":"[^"]*"`), func(string) string { return `"eventName":"Nothing"` }},
}

func (o *Object) alter() error {
	raw, err := unpack(o.Content)
	if err != nil {
		return err
	}
	for _, one := range alterable {
		if at := one.where.FindIndex(raw); at != nil {
			altered := one.alter(string(raw[at[0]:at[1]]))
			o.Content = pack(slices.Concat(raw[:at[0]], []byte(altered), raw[at[1]:]))
			return nil
		}
	}
	return errors.New("it is neither a digest nor a log file")
}

// foreign is a key that CloudTrail does not have.
var foreign = signer{region: "somewhere else", number: -1}

func (o *Object) resign() error {
	if err := o.alter(); err != nil {
		return err
	}
	d, err := ReadDigest(*o)
	if err != nil {
		return err
	}
	d.Fingerprint = foreign.fingerprint()
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	o.Content = pack(raw)
	o.Metadata["signature"] = foreign.sign(d, raw)
	return nil
}

func (s *Server) replaceObject(t Tampering, o *Object) error {
	bucket, key := o.Bucket, t.To
	if key == "" {
		d, err := ReadDigest(*o)
		if err != nil {
			return err
		}
		if d.PreviousObject == nil {
			return errors.New("there is no digest before it")
		}
		bucket, key = *d.PreviousBucket, *d.PreviousObject
	}
	by := s.object(bucket, key)
	if by == nil {
		return fmt.Errorf("there is no object %q", key)
	}
	n := by.copy()
	o.Content, o.Metadata = n.Content, n.Metadata
	return nil
}

// plant puts a log file of one event that did not happen.
func (s *Server) plant(t Tampering) ([]string, error) {
	at := s.deliveryTime(s.now())
	where := Object{Bucket: t.Bucket, Key: t.Key}
	n := &chain{key: chainKey{"", t.AccountID, t.Region}}
	if t.Key == "" {
		digest, err := s.tampered(Tampering{
			TrailARN: t.TrailARN, AccountID: t.AccountID, Region: t.Region, Position: t.Position,
		})
		if err != nil {
			return nil, err
		}
		if n, err = s.chainOf(t); err != nil {
			return nil, err
		}
		d, err := ReadDigest(digest.Object)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errTampering, err)
		}
		if at, err = time.Parse(digestTime, d.StartTime); err != nil {
			return nil, fmt.Errorf("%w: %w", errTampering, err)
		}
		at = at.Add(time.Minute)
		where.Bucket = n.bucket
	}

	o, _ := n.logFile(LogDelivery{}, at, true)
	n.seed++
	planted := o.copy()
	planted.Bucket, planted.LastModified = where.Bucket, s.deliveryTime(s.now())
	if where.Key != "" {
		planted.Key = where.Key
	}
	if validBucketName(planted.Bucket) != nil {
		return nil, fmt.Errorf("%w: in which bucket?", errTampering)
	}
	s.store(newObject(planted))
	return []string{planted.Key}, nil
}

// deleteRegion deletes everything of a chain.
func (s *Server) deleteRegion(t Tampering) ([]string, error) {
	n, err := s.chainOf(t)
	if err != nil {
		return nil, err
	}
	var gone []string
	if b := s.stored(n.bucket); b != nil {
		for _, kind := range []string{"CloudTrail", "CloudTrail-Digest"} {
			b.from(n.regionFolder(kind), "", func(o *object) bool { gone = append(gone, o.Key); return true })
		}
	}
	for _, key := range gone {
		s.discardObject(n.bucket, key)
	}
	return gone, nil
}

// deleteNewest deletes the newest digests of a chain, with what they list if that is asked for.
func (s *Server) deleteNewest(t Tampering) ([]string, error) {
	all, err := s.digestsOf(t)
	if err != nil {
		return nil, err
	}
	if t.Count < 1 || t.Count > len(all) {
		return nil, fmt.Errorf("%w: the chain has %d digests, not %d", errTampering, len(all), t.Count)
	}
	var gone []string
	for _, o := range all[len(all)-t.Count:] {
		if d, err := ReadDigest(o.Object); t.WithLogs && err == nil {
			for _, log := range d.LogFiles {
				s.discardObject(log.Bucket, log.Object)
				gone = append(gone, log.Object)
			}
		}
		s.discardObject(o.Bucket, o.Key)
		gone = append(gone, o.Key)
	}
	return gone, nil
}

// unpack returns the content of a gzip file.
func unpack(content []byte) ([]byte, error) {
	gz, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(gz)
}
