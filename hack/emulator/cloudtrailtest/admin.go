package cloudtrailtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// adminHandler serves the admin API: JSON under /_emulator/, without authentication. README.md describes it.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { answerAdmin(w, r, do) })
	}

	handle("GET /_emulator/healthz", func(*http.Request) (any, error) { return map[string]string{"status": "ok"}, nil })
	handle("GET /_emulator/counts", s.adminCounts)
	handle("GET /_emulator/calls", s.adminCalls)
	handle("DELETE /_emulator/calls", func(*http.Request) (any, error) { s.ResetCalls(); return done() })
	handle("GET /_emulator/trails", s.adminTrails)
	handle("PUT /_emulator/delivery", s.adminDelivery)
	handle("GET /_emulator/faults", func(*http.Request) (any, error) { return s.listFaults(), nil })
	handle("POST /_emulator/faults", s.adminInject)
	handle("PUT /_emulator/faults", s.adminInject)
	handle("DELETE /_emulator/faults", s.adminClearFaults)
	handle("GET /_emulator/lags", func(*http.Request) (any, error) { return showLags(s.Lags()), nil })
	handle("PUT /_emulator/lags", s.adminLags)
	handle("POST /_emulator/sessions/revoke", func(r *http.Request) (any, error) { return ofRole(r, s.RevokeSessions) })
	handle("POST /_emulator/sessions/expire", func(r *http.Request) (any, error) { return ofRole(r, s.ExpireSessions) })
	handle("GET /_emulator/organization", func(*http.Request) (any, error) { return s.organization(), nil })
	handle("PUT /_emulator/organization", func(r *http.Request) (any, error) { return take(r, s.SetOrganization) })
	handle(
		"DELETE /_emulator/organization",
		func(*http.Request) (any, error) { s.SetOrganization(Organization{}); return done() },
	)
	handle("POST /_emulator/act", s.adminAct)
	s.serveQueues(handle)
	s.serveObjects(handle)
	handle("POST /_emulator/reset", func(*http.Request) (any, error) { s.Reset(); return done() })

	collection(
		handle,
		"buckets",
		"name",
		func() any { return locked(s, s.resources.buckets.list) },
		s.PutBucket,
		s.DeleteBucket,
	)
	collection(
		handle,
		"topics",
		"arn",
		func() any { return locked(s, s.resources.topics.list) },
		s.PutTopic,
		s.DeleteTopic,
	)
	collection(handle, "keys", "arn", func() any { return locked(s, s.resources.keys.list) }, s.PutKey, s.DeleteKey)
	collection(
		handle,
		"log-groups",
		"arn",
		func() any { return locked(s, s.resources.logGroups.list) },
		s.PutLogGroup,
		s.DeleteLogGroup,
	)
	collection(
		handle,
		"log-roles",
		"arn",
		func() any { return locked(s, s.resources.logRoles.list) },
		s.PutLogRole,
		s.DeleteLogRole,
	)
	collection(handle, "roles", "arn", func() any { return locked(s, s.listRoles) }, s.AddRole, s.DeleteRole)
	collection(
		handle,
		"credentials",
		"accessKeyID",
		func() any { return locked(s, s.listCredentials) },
		s.AddCredentials,
		s.DeleteCredentials,
	)

	return mux
}

// errUsage marks an admin request that makes no sense.
var errUsage = errors.New("bad request")

func done() (any, error) { return map[string]string{"status": "ok"}, nil }

// answerAdmin writes the result, or the error with AWS's code where it has one.
func answerAdmin(w http.ResponseWriter, r *http.Request, do func(*http.Request) (any, error)) {
	out, err := do(r)
	status := http.StatusOK
	var api *APIError
	switch {
	case errors.As(err, &api):
		status, out = http.StatusBadRequest, map[string]string{"code": api.Code, "message": api.Message}
	case err != nil:
		status, out = http.StatusBadRequest, map[string]string{"message": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.Encode(out) //nolint:errcheck // the client went away
}

// collection serves GET, PUT (one object) and DELETE (?id=…) of one kind of thing.
func collection[T any](
	handle func(string, func(*http.Request) (any, error)),
	name, id string,
	list func() any,
	put func(T),
	remove func(string),
) {
	path := " /_emulator/" + name
	handle("GET"+path, func(*http.Request) (any, error) { return list(), nil })

	handle("PUT"+path, func(r *http.Request) (any, error) {
		raw := map[string]any{}
		v, err := decode[T](r, raw)
		if err != nil {
			return nil, err
		}
		if text, ok := raw[id].(string); !ok || text == "" {
			return nil, fmt.Errorf("%w: %s is required", errUsage, id)
		}
		put(v)
		return done()
	})

	handle("DELETE"+path, func(r *http.Request) (any, error) {
		which := r.URL.Query().Get(id)
		if which == "" {
			return nil, fmt.Errorf("%w: ?%s= is required", errUsage, id)
		}
		remove(which)
		return done()
	})
}

// decode reads a request's JSON body strictly; raw, if given, gets the same as it came.
func decode[T any](r *http.Request, raw map[string]any) (T, error) {
	var v T
	var body json.RawMessage
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody)).Decode(&body); err != nil {
		return v, fmt.Errorf("%w: %w", errUsage, err)
	}
	if raw != nil {
		if err := json.Unmarshal(body, &raw); err != nil {
			return v, fmt.Errorf("%w: %w", errUsage, err)
		}
	}
	if err := decodeStrictly(body, &v); err != nil {
		return v, fmt.Errorf("%w: %w", errUsage, err)
	}
	return v, nil
}

func take[T any](r *http.Request, use func(T)) (any, error) {
	v, err := decode[T](r, nil)
	if err != nil {
		return nil, err
	}
	use(v)
	return done()
}

func locked[T any](s *Server, read func() T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return read()
}

func (s *Server) adminCounts(*http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for _, n := range s.counts {
		total += n
	}
	return map[string]any{
		"calls":     maps.Clone(s.counts),
		"total":     total,
		"throttled": s.throttled,
		"trails":    len(s.byARN),
	}, nil
}

// adminCalls lists calls, filtered by ?operation=, ?account= and ?region=.
func (s *Server) adminCalls(r *http.Request) (any, error) {
	q := r.URL.Query()
	return slices.DeleteFunc(s.Calls(), func(c Call) bool {
		return differs(q.Get("operation"), c.Operation) || differs(q.Get("account"), c.AccountID) ||
			differs(q.Get("region"), c.Region)
	}), nil
}

// adminTrails lists trails, filtered by ?account= and ?region= (the home region).
func (s *Server) adminTrails(r *http.Request) (any, error) {
	q := r.URL.Query()
	return slices.DeleteFunc(s.Trails(), func(t Trail) bool {
		return differs(q.Get("account"), t.AccountID) || differs(q.Get("region"), t.HomeRegion)
	}), nil
}

func differs(want, got string) bool { return want != "" && want != got }

func (s *Server) adminDelivery(r *http.Request) (any, error) {
	in, err := decode[struct {
		ARN string `json:"arn"`
		Delivery
	}](r, nil)
	if err != nil {
		return nil, err
	}
	if !s.SetDelivery(in.ARN, in.Delivery) {
		return nil, fmt.Errorf("%w: there is no trail %q", errUsage, in.ARN)
	}
	return done()
}

// adminFault is a Fault in JSON, with its latency as a text such as 250ms.
type adminFault struct {
	ID string `json:"id,omitempty"`
	Fault
	Left    int    `json:"left,omitempty"`
	Latency string `json:"latency,omitempty"`
}

func (s *Server) adminInject(r *http.Request) (any, error) {
	in, err := decode[adminFault](r, nil)
	if err != nil {
		return nil, err
	}
	if in.Latency != "" {
		if in.Fault.Latency, err = time.ParseDuration(in.Latency); err != nil {
			return nil, fmt.Errorf("%w: %w", errUsage, err)
		}
	}
	if !in.Fault.does() {
		return nil, fmt.Errorf(
			"%w: a fault needs code, status, latency, hang, dropConnection, dropAfter, cutBody or notApplied",
			errUsage,
		)
	}
	return map[string]string{"id": s.Inject(in.Fault)}, nil
}

func (s *Server) adminClearFaults(r *http.Request) (any, error) {
	id := r.URL.Query().Get("id")
	switch {
	case id == "":
		s.ClearFaults()
	case !s.ClearFault(id):
		return nil, fmt.Errorf("%w: there is no fault %q", errUsage, id)
	}
	return done()
}

func (s *Server) listFaults() []adminFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]adminFault, 0, len(s.faults))
	for _, f := range s.faults {
		one := adminFault{ID: f.id, Fault: f.Fault, Left: f.left}
		if f.Fault.Latency > 0 {
			one.Latency = f.Fault.Latency.String()
		}
		out = append(out, one)
	}
	return out
}

// adminLags are Lags in JSON, as texts such as 250ms.
type adminLags struct {
	Read       string `json:"read"`
	ReadMax    string `json:"readMax"`
	History    string `json:"history"`
	HistoryMax string `json:"historyMax"`
}

func showLags(l Lags) adminLags {
	return adminLags{l.Read.String(), l.ReadMax.String(), l.History.String(), l.HistoryMax.String()}
}

// adminLags sets the lags; those that are left out become none.
func (s *Server) adminLags(r *http.Request) (any, error) {
	in, err := decode[adminLags](r, nil)
	if err != nil {
		return nil, err
	}
	var l Lags
	err = parseDurations(
		duration{in.Read, &l.Read}, duration{in.ReadMax, &l.ReadMax},
		duration{in.History, &l.History}, duration{in.HistoryMax, &l.HistoryMax},
	)
	if err != nil {
		return nil, err
	}
	s.SetLags(l)
	return done()
}

// ofRole does something with the sessions of the role that the request names.
func ofRole(r *http.Request, do func(roleARN string)) (any, error) {
	in, err := decode[struct {
		RoleARN string `json:"roleARN"`
	}](r, nil)
	if err != nil {
		return nil, err
	}
	if in.RoleARN == "" {
		return nil, fmt.Errorf("%w: roleARN is required", errUsage)
	}
	do(in.RoleARN)
	return done()
}

func (s *Server) organization() Organization {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.org == nil {
		return Organization{}
	}
	return s.org.Organization
}

func (s *Server) listRoles() []Role {
	out := make([]Role, 0, len(s.roles))
	for _, arn := range slices.Sorted(maps.Keys(s.roles)) {
		out = append(out, s.roles[arn])
	}
	return out
}

// listCredentials lists access keys without their secrets.
func (s *Server) listCredentials() []Credentials {
	out := make([]Credentials, 0, len(s.credentials))
	for _, id := range slices.Sorted(maps.Keys(s.credentials)) {
		c := s.credentials[id]
		c.SecretAccessKey, c.SessionToken = "", ""
		out = append(out, c)
	}
	return out
}

// adminAct performs an operation as another actor.
func (s *Server) adminAct(r *http.Request) (any, error) {
	in, err := decode[struct {
		Actor
		Region     string         `json:"region"`
		Operation  string         `json:"operation"`
		Parameters map[string]any `json:"parameters"`
	}](r, nil)
	if err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	return s.As(in.Actor).Do(in.Region, in.Operation, in.Parameters)
}
