package apiserver_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// session speaks HTTP to one API server and writes down what it answers, in a form that does not depend on the time, on
// chance and on what else has happened at the server.
type session struct {
	client *http.Client
	host   string
	// names are what stands for UIDs, resource versions and generated names in the transcript.
	names map[string]string
	// counts is how many names of each kind there are.
	counts     map[string]int
	transcript []string
}

func newSession(config *rest.Config) *session {
	GinkgoHelper()
	client, err := rest.HTTPClientFor(config)
	Expect(err).NotTo(HaveOccurred())
	return &session{
		client: client, host: strings.TrimSuffix(config.Host, "/"),
		names: map[string]string{}, counts: map[string]int{},
	}
}

// object is a JSON object.
type object = map[string]any

// response is what a server has answered.
type response struct {
	code int
	body object
}

// at returns what is below a path in the answer, or nil.
func (r response) at(path ...string) any {
	found, _, err := unstructured.NestedFieldNoCopy(r.body, path...)
	if err != nil {
		return nil
	}
	return found
}

// text returns a text below a path in the answer.
func (r response) text(path ...string) string {
	text, is := r.at(path...).(string)
	if !is {
		return ""
	}
	return text
}

func (r response) version() string { return r.text("metadata", "resourceVersion") }
func (r response) uid() string     { return r.text("metadata", "uid") }

// header is one header of a request.
type header struct{ name, value string }

var (
	mergePatch     = header{"Content-Type", "application/merge-patch+json"}
	jsonPatch      = header{"Content-Type", "application/json-patch+json"}
	strategicPatch = header{"Content-Type", "application/strategic-merge-patch+json"}
	metadataOnly   = header{"Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
	metadataList   = header{"Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
)

// do sends a request and writes the answer down. The body is JSON or YAML text, or something to encode.
func (s *session) do(method, path string, body any, headers ...header) response {
	GinkgoHelper()
	answer := s.send(context.Background(), method, path, body, headers)
	raw := content(answer)

	out := response{code: answer.StatusCode}
	line := fmt.Sprintf("%d. %s %s -> %d", len(s.transcript), method, path, answer.StatusCode)
	for _, warning := range answer.Header.Values("Warning") {
		line += "\n  warning: " + warning
	}
	if err := json.Unmarshal(raw, &out.body); err != nil {
		s.write(line + "\n  " + string(raw))
		return out
	}
	s.write(line + "\n" + s.show(out.body))
	return out
}

func (s *session) send(ctx context.Context, method, path string, body any, headers []header) *http.Response {
	GinkgoHelper()
	request, err := http.NewRequestWithContext(ctx, method, s.host+path, bytes.NewReader(encode(body)))
	Expect(err).NotTo(HaveOccurred())
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "session")
	for _, header := range headers {
		request.Header.Set(header.name, header.value)
	}
	answer, err := s.client.Do(request)
	Expect(err).NotTo(HaveOccurred(), "%s %s", method, path)
	return answer
}

// content returns the body of an answer.
func content(answer *http.Response) []byte {
	GinkgoHelper()
	raw, err := io.ReadAll(answer.Body)
	Expect(err).NotTo(HaveOccurred())
	Expect(answer.Body.Close()).To(Succeed())
	return raw
}

func encode(body any) []byte {
	GinkgoHelper()
	switch body := body.(type) {
	case nil:
		return nil
	case string:
		if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") || strings.HasPrefix(body, "!") {
			return []byte(strings.TrimPrefix(body, "!"))
		}
		raw, err := yaml.YAMLToJSON([]byte(body))
		Expect(err).NotTo(HaveOccurred())
		return raw
	default:
		raw, err := json.Marshal(body)
		Expect(err).NotTo(HaveOccurred())
		return raw
	}
}

func (s *session) write(text string) { s.transcript = append(s.transcript, s.stable(text)) }

// rename chooses what stands for a value in the transcript.
func (s *session) rename(kind, value string) string {
	if value == "" {
		return ""
	}
	key := kind + " " + value
	if s.names[key] == "" {
		s.counts[kind]++
		s.names[key] = fmt.Sprintf("<%s %d>", kind, s.counts[kind])
	}
	return s.names[key]
}

var (
	generated = regexp.MustCompile(`\b([Mm]ade-)[a-z0-9]{5}\b`)
	// managed is in messages only: it is removed from objects before.
	managed  = regexp.MustCompile(`,?\\+"managedFields\\+":\[.*?\}\]`)
	quoted   = regexp.MustCompile(`(resourceVersion\\+":\\+"|resourceVersion=)\d+`)
	times    = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	uids     = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	versions = regexp.MustCompile(`(resource version: |current: |ResourceVersion in [a-z ]+\()\d+( \(\d+\))?`)
	precise  = regexp.MustCompile(`(ResourceVersion in (?:precondition|record|object meta):? \(?)\d+`)
)

// stable replaces what differs from server to server.
func (s *session) stable(text string) string {
	text = generated.ReplaceAllString(text, "$1<random>")
	text = managed.ReplaceAllString(text, "")
	text = quoted.ReplaceAllString(text, "$1<version>")
	text = uids.ReplaceAllStringFunc(text, func(uid string) string { return s.rename("uid", uid) })
	text = versions.ReplaceAllString(text, "$1<version>")
	text = precise.ReplaceAllString(text, "$1<version>")
	return times.ReplaceAllString(text, "<time>")
}

// show returns an object as indented JSON, without what the servers may differ in.
func (s *session) show(shown object) string {
	GinkgoHelper()
	raw, err := json.Marshal(shown)
	Expect(err).NotTo(HaveOccurred())
	copied := object{}
	Expect(json.Unmarshal(raw, &copied)).To(Succeed())
	s.strip(copied)
	sortCauses(copied)
	raw, err = json.MarshalIndent(copied, "  ", "  ")
	Expect(err).NotTo(HaveOccurred())
	return "  " + string(raw)
}

// sortCauses sorts what is wrong with an object: its order is chance.
func sortCauses(status object) {
	causes, has, err := unstructured.NestedSlice(status, "details", "causes")
	if err != nil || !has || len(causes) < 2 || status["reason"] != "Invalid" {
		return
	}
	slices.SortFunc(causes, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	Expect(unstructured.SetNestedSlice(status, causes, "details", "causes")).To(Succeed())
	status["message"], _, _ = strings.Cut(fmt.Sprint(status["message"]), " is invalid: ")
}

// strip removes managedFields and renames resource versions, below all metadata.
func (s *session) strip(part any) {
	switch content := part.(type) {
	case object:
		if metadata, ok := content["metadata"].(object); ok {
			delete(metadata, "managedFields")
			_, isList := content["items"]
			isBookmark := metadata["name"] == nil
			if version, ok := metadata["resourceVersion"].(string); ok {
				metadata["resourceVersion"] = "<some version>"
				if !isList && !isBookmark {
					metadata["resourceVersion"] = s.rename("version", version)
				}
			}
			if _, ok := metadata["continue"].(string); ok {
				metadata["continue"] = "<continue>"
			}
		}
		// In the order of their names, so that what is renamed first does not depend on chance.
		keys := make([]string, 0, len(content))
		for key := range content {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			delete(content, "storageVersionHash")
			s.strip(content[key])
		}
	case []any:
		slices.SortStableFunc(content, func(a, b any) int { return strings.Compare(resourceName(a), resourceName(b)) })
		for _, element := range content {
			s.strip(element)
		}
	}
}

// stream is an open watch.
type stream struct {
	session *session
	text    string
	cancel  context.CancelFunc
	lines   chan string
}

// watch opens a watch. It is closed with the spec.
func (s *session) watch(path string, headers ...header) *stream {
	GinkgoHelper()
	ctx, cancel := context.WithCancel(context.Background())
	DeferCleanup(cancel)
	answer := s.send(ctx, http.MethodGet, path, nil, headers) //nolint:bodyclose // Closed when it ends.
	s.write(fmt.Sprintf("watch %s -> %d", path, answer.StatusCode))

	out := &stream{session: s, text: path, cancel: cancel, lines: make(chan string, 1000)}
	go func() {
		defer close(out.lines)
		for lines := bufio.NewReader(answer.Body); ; {
			line, err := lines.ReadString('\n')
			if line != "" {
				out.lines <- line
			}
			if err != nil {
				_ = answer.Body.Close() //nolint:errcheck // Its end has been read.
				return
			}
		}
	}()
	return out
}

// all writes down the events up to the first object with the annotation "sentinel", or up to the end. Bookmarks that
// are sent now and then are left out.
func (w *stream) all() {
	GinkgoHelper()
	for sentinel := false; !sentinel; {
		var line string
		var more bool
		select {
		case line, more = <-w.lines:
		case <-time.After(30 * time.Second):
			Fail(w.session.host + " has sent no event of " + w.text + " for half a minute, after\n" +
				strings.Join(w.session.transcript, "\n"))
		}
		if !more {
			w.session.write(w.text + ": the end")
			return
		}

		event := object{}
		Expect(json.Unmarshal([]byte(line), &event)).To(Succeed(), line)
		sentinel = strings.Contains(line, `"sentinel"`)
		if event["type"] != "BOOKMARK" || strings.Contains(line, "initial-events-end") {
			w.session.write(w.text + ": " + w.session.show(event))
		}
	}
	w.cancel()
}

// read returns the object in an answer.
func read(answer *http.Response) object {
	GinkgoHelper()
	all := readAll(answer)
	Expect(all).To(HaveLen(1))
	return all[0]
}

// readAll returns the objects in an answer.
func readAll(answer *http.Response) []object {
	GinkgoHelper()
	var all []object
	for decoder := json.NewDecoder(bytes.NewReader(content(answer))); ; {
		next := object{}
		err := decoder.Decode(&next)
		if errors.Is(err, io.EOF) {
			return all
		}
		Expect(err).NotTo(HaveOccurred())
		all = append(all, next)
	}
}

// resourceName returns the name of an element of discovery, which has no order.
func resourceName(element any) string {
	resource, is := element.(object)
	if !is || resource["verbs"] == nil {
		return ""
	}
	return fmt.Sprint(resource["name"])
}
