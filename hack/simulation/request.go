package simulation

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"
)

// link is the network between a process and a server. Requests reach the server, and answers the process, when the
// scheduler says.
type link struct {
	process *process
	// name is "aws" or "api".
	name   string
	server http.RoundTripper
	// conditions returns how the network is now.
	conditions func() conditions
	// around is called right before and right after the server does what a request asks for.
	around func(r *request, done bool)
}

// conditions are how a network is.
type conditions struct {
	// least and most are the time for one way.
	least, most time.Duration
	// lost is the chance that a request or its answer is lost, and hangs that it takes until the client gives up.
	lost, hangs float64
}

// request is one that is under way.
type request struct {
	link *link
	// key tells what is asked, the same in each run.
	key string
	// operation is a short name: CreateTrail, or "PUT trails/status".
	operation string
	// target is what it is about, as far as the request tells.
	target string
	http   *http.Request
	body   []byte

	// owner is the owner tag of the trail that it is about, if it asks for that of a single one.
	owner      string
	tellsOwner bool

	// answered is closed when there is an answer or an error.
	answered chan struct{}
	response *http.Response
	err      error
	// over says that the client has been answered, or has given up.
	over bool
}

// errRefused is what a process gets that is dead: nobody hears of it any more.
var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

// errReset is what a process gets when a request or its answer is lost.
var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// RoundTrip implements http.RoundTripper.
func (l *link) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.process.isDead() {
		return nil, errRefused
	}
	made, err := l.request(r)
	if err != nil {
		return nil, err
	}
	l.process.scheduler.submit(made)
	return l.process.wait(r.Context(), made)
}

// request reads what is asked.
func (l *link) request(r *http.Request) (*request, error) {
	var body []byte
	if r.Body != nil {
		read, err := io.ReadAll(r.Body)
		if err := errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		body = read
	}
	made := &request{link: l, http: r, body: body, answered: make(chan struct{})}
	if l.name == "aws" {
		made.operation, made.target = awsOperation(r, body)
	} else {
		made.operation, made.target = apiOperation(r)
	}

	h := fnv.New64a()
	if l.name == "aws" && made.operation != "AssumeRole" {
		h.Write(body)
	}
	made.key = fmt.Sprintf("%s %s %s %s %s %x", l.process.name, l.name, made.operation, r.URL.Host, made.target, h.Sum64())
	return made, nil
}

// awsOperation returns operation and target of a request to AWS.
func awsOperation(r *http.Request, body []byte) (operation, target string) {
	if header := r.Header.Get("X-Amz-Target"); header != "" {
		return header[strings.LastIndex(header, ".")+1:], targetOf(body)
	}
	for part := range strings.SplitSeq(string(body), "&") {
		if value, ok := strings.CutPrefix(part, "Action="); ok {
			operation = value
		}
		if value, ok := strings.CutPrefix(part, "RoleArn="); ok {
			target = value
		}
	}
	return operation, target
}

// ending stands for the end of a process, which takes place in the order of requests.
const ending = "END"

// watching is the operation of a watch.
const watching = "WATCH"

// apiOperation returns operation and target of a request to the API server.
func apiOperation(r *http.Request) (operation, target string) {
	verb := r.Method
	if r.URL.Query().Get("watch") != "" {
		verb = watching
	}
	path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis/"), "/api/")
	return verb, path
}

// arrive plans when the request reaches the server, if it does.
func (r *request) arrive() {
	s, p := r.link.process.scheduler, r.link.process
	if r.operation == ending {
		p.world.ended(p, r.err)
		return
	}
	if p.isDead() {
		r.answer(nil, errRefused)
		return
	}
	if p.frozen {
		p.held = append(p.held, r)
		return
	}

	chance, network := s.chance(r.key), r.link.conditions()
	way, back := between(chance, network.least, network.most), between(chance, network.least, network.most)
	fate := chance.Float64()
	switch isWatch := r.operation == watching; {
	case isWatch:
		fate = 1
	case fate < network.lost/2:
		s.after(way, func() { r.answer(nil, errReset) })
		return
	}
	s.after(way, func() {
		r.poll(time.Now().Add(r.patience()), func() {
			r.serve()
			switch {
			case fate < network.lost:
				r.response, r.err = nil, errReset
			case fate < network.lost+network.hangs:
				return // The client gives up some time.
			}
			s.after(back, r.deliver)
		})
	})
}

// patience returns how long a request lets SQS wait for a message.
func (r *request) patience() time.Duration {
	var parameters struct{ WaitTimeSeconds int }
	if r.operation != receiving || json.Unmarshal(r.body, &parameters) != nil {
		return 0
	}
	return time.Duration(parameters.WaitTimeSeconds) * time.Second
}

// receiving is the operation of SQS that waits for messages.
const receiving = "ReceiveMessage"

// pollInterval is how often it is looked whether there is a message.
const pollInterval = 2 * time.Second

// poll serves a request when there is a message, or when it has waited for long enough. Time passes between events
// only.
func (r *request) poll(until time.Time, serve func()) {
	now := time.Now()
	due, waits := r.link.process.world.messageDue()
	switch {
	case !now.Before(until), waits && !due.After(now):
		serve()
	case r.over:
	default:
		next := until
		if waits && due.Before(next) {
			next = due
		}
		r.link.process.scheduler.at(earlier(next, now.Add(pollInterval)), func() { r.poll(until, serve) })
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// serve lets the server do what is asked. A request that is on its way gets there, whatever has become of its sender.
func (r *request) serve() {
	ctx := context.WithoutCancel(r.http.Context())
	if r.operation == watching {
		ctx = r.http.Context()
	}
	sent := r.http.Clone(ctx)
	sent.Body = io.NopCloser(bytes.NewReader(r.body))
	for _, values := range sent.Header {
		for i := range values {
			values[i] = strings.Clone(values[i]) // What the server keeps of it is not the process's.
		}
	}
	r.link.around(r, false)
	r.response, r.err = r.link.server.RoundTrip(sent) //nolint:bodyclose // Whoever has asked closes it.
	if r.operation == watching && r.err == nil {
		r.response.Body = watchBody{r.response.Body}
	}
	r.link.around(r, true)
}

// watchBody is the body of a watch that ends as if all had been read when its client goes away. controller-runtime's
// informers leave a goroutine behind that nobody reads from when they get an error then.
type watchBody struct{ io.ReadCloser }

// Read implements io.Reader.
func (b watchBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

// deliver brings the answer to the process.
func (r *request) deliver() {
	p := r.link.process
	if p.frozen {
		p.arrived = append(p.arrived, r)
		return
	}
	if r.tellsOwner {
		p.owners[r.target] = r.owner
	}
	r.answer(r.response, r.err)
}

// answer ends the client's wait.
func (r *request) answer(response *http.Response, err error) {
	if r.over {
		return
	}
	r.over = true
	r.response, r.err = response, err
	close(r.answered)
}

// status returns the code of the answer, 0 for none.
func (r *request) status() int {
	if r.response == nil {
		return 0
	}
	return r.response.StatusCode
}

// targetOf returns the trail or trails that a request to CloudTrail names.
func targetOf(body []byte) string {
	var parameters struct {
		Name, TrailName, ResourceID string
		ResourceIDList              []string
		TrailNameList               []string `json:"trailNameList"`
	}
	if json.Unmarshal(body, &parameters) != nil {
		return ""
	}
	named := slices.Concat(parameters.ResourceIDList, parameters.TrailNameList)
	return cmp.Or(parameters.Name, parameters.TrailName, parameters.ResourceID, strings.Join(named, ","))
}
