package cloudtrailtest

import (
	"fmt"
	"net/http"
	"time"
)

// serveObjects adds what the admin API has for objects in buckets, and for their delivery.
func (s *Server) serveObjects(handle func(string, func(*http.Request) (any, error))) {
	handle("GET /_emulator/objects", s.adminObjects)
	handle("PUT /_emulator/objects", s.adminPutObject)
	handle("DELETE /_emulator/objects", s.adminDeleteObject)
	handle("POST /_emulator/tamper", s.adminTamper)
	handle("GET /_emulator/log-delivery", func(*http.Request) (any, error) { return s.showLogDelivery(), nil })
	handle("PUT /_emulator/log-delivery", s.putLogDelivery)
	handle("DELETE /_emulator/log-delivery", func(*http.Request) (any, error) { s.SetLogDelivery(nil); return done() })
	handle("POST /_emulator/log-delivery/hours", s.adminDeliverHours)
	handle("GET /_emulator/disabled-regions", func(*http.Request) (any, error) { return s.DisabledRegions(), nil })
	handle("PUT /_emulator/disabled-regions", s.adminDisableRegions)
}

// listedObjectInfo is an object in a list, without its content.
type listedObjectInfo struct {
	Key          string            `json:"key"`
	Size         int               `json:"size"`
	LastModified time.Time         `json:"lastModified"`
	StorageClass string            `json:"storageClass"`
	Metadata     map[string]string `json:"metadata,omitempty"`
}

// adminObjects lists the objects of ?bucket= under ?prefix=, or shows the one of ?key= with its content.
func (s *Server) adminObjects(r *http.Request) (any, error) {
	q := r.URL.Query()
	if q.Has("key") {
		o, ok := s.Object(q.Get("bucket"), q.Get("key"))
		if !ok {
			return nil, noObject(q.Get("bucket"), q.Get("key"))
		}
		return o, nil
	}
	out := []listedObjectInfo{}
	for _, o := range s.Objects(q.Get("bucket"), q.Get("prefix")) {
		out = append(out, listedObjectInfo{o.Key, len(o.Content), o.LastModified, o.StorageClass, o.Metadata})
	}
	return out, nil
}

func noObject(bucket, key string) error {
	return fmt.Errorf("%w: there is no object %q in bucket %q", errUsage, key, bucket)
}

// adminPutObject puts an object, whose content is in base64.
func (s *Server) adminPutObject(r *http.Request) (any, error) {
	o, err := decode[Object](r, nil)
	if err != nil {
		return nil, err
	}
	if err := s.PutObject(o); err != nil {
		return nil, err
	}
	return done()
}

func (s *Server) adminDeleteObject(r *http.Request) (any, error) {
	q := r.URL.Query()
	if !s.DeleteObject(q.Get("bucket"), q.Get("key")) {
		return nil, noObject(q.Get("bucket"), q.Get("key"))
	}
	return done()
}

func (s *Server) adminTamper(r *http.Request) (any, error) {
	t, err := decode[Tampering](r, nil)
	if err != nil {
		return nil, err
	}
	keys, err := s.Tamper(t)
	if err != nil {
		return nil, err
	}
	return map[string][]string{"keys": keys}, nil
}

// adminLogDelivery is LogDelivery in JSON, with its durations as texts such as 1s.
type adminLogDelivery struct {
	Hour              string   `json:"hour,omitempty"`
	Regions           []string `json:"regions,omitempty"`
	LogsPerHour       int      `json:"logsPerHour,omitempty"`
	LogSize           int      `json:"logSize,omitempty"`
	EmptyHours        float64  `json:"emptyHours,omitempty"`
	LateLogs          float64  `json:"lateLogs,omitempty"`
	UnlinkedBackfills bool     `json:"unlinkedBackfills,omitempty"`
	EndEarly          bool     `json:"endEarly,omitempty"`
	KeyLifetime       string   `json:"keyLifetime,omitempty"`
	PKIXEvery         int      `json:"pkixEvery,omitempty"`
	ShortHashes       bool     `json:"shortHashes,omitempty"`
	Keep              string   `json:"keep,omitempty"`
	Seed              int64    `json:"seed,omitempty"`
	// Time is DeliveryTime. It is only told.
	Time time.Time `json:"time,omitzero"`
}

func (s *Server) showLogDelivery() any {
	d, ok := s.LogDelivery()
	if !ok {
		return map[string]any{}
	}
	return adminLogDelivery{
		d.Hour.String(), d.Regions, d.LogsPerHour, d.LogSize, d.EmptyHours, d.LateLogs, d.UnlinkedBackfills, d.EndEarly,
		d.KeyLifetime.String(), d.PKIXEvery, d.ShortHashes, d.Keep.String(), d.Seed, s.DeliveryTime(),
	}
}

// putLogDelivery sets how trails deliver; what is left out gets its default.
func (s *Server) putLogDelivery(r *http.Request) (any, error) {
	in, err := decode[adminLogDelivery](r, nil)
	if err != nil {
		return nil, err
	}
	d := LogDelivery{
		Regions: in.Regions, LogsPerHour: in.LogsPerHour, LogSize: in.LogSize, EmptyHours: in.EmptyHours,
		LateLogs: in.LateLogs, UnlinkedBackfills: in.UnlinkedBackfills, EndEarly: in.EndEarly, PKIXEvery: in.PKIXEvery,
		ShortHashes: in.ShortHashes, Seed: in.Seed,
	}
	err = parseDurations(
		duration{in.Hour, &d.Hour}, duration{in.KeyLifetime, &d.KeyLifetime}, duration{in.Keep, &d.Keep},
	)
	if err != nil {
		return nil, err
	}
	s.SetLogDelivery(&d)
	return done()
}

func (s *Server) adminDeliverHours(r *http.Request) (any, error) {
	in, err := decode[struct {
		ARN   string `json:"arn"`
		Hours int    `json:"hours"`
	}](r, nil)
	if err != nil {
		return nil, err
	}
	if err := s.DeliverHours(in.ARN, in.Hours); err != nil {
		return nil, err
	}
	return done()
}

func (s *Server) adminDisableRegions(r *http.Request) (any, error) {
	in, err := decode[struct {
		AccountID string   `json:"accountID"`
		Regions   []string `json:"regions"`
	}](r, nil)
	if err != nil {
		return nil, err
	}
	s.DisableRegions(in.AccountID, in.Regions...)
	return done()
}
