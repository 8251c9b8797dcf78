package apiserver

import (
	"encoding/json"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// Event is one event of a watch.
type Event struct {
	Type watch.EventType
	// Namespace and Name are of the object; both are empty for a bookmark or an error.
	Namespace, Name string
	// ResourceVersion is the one that the watch has reached with the event.
	ResourceVersion uint64
}

// Watch is an open watch. Its methods may be called when it has ended; then they do nothing.
type Watch struct {
	server    *Server
	number    int
	userAgent string
	table     *table
	selection selection
	form      form
	bookmarks bool
	stream    *stream
	// queue are the initial events that were not delivered yet.
	queue []queued
	// changes are those that were not delivered yet; reached is the resource version before them.
	changes []change
	reached uint64
}

// queued is an event of an object.
type queued struct {
	kind   watch.EventType
	object *version
}

// initialEventsEnd is the type of the bookmark that ends the initial events, while it is queued.
const initialEventsEnd watch.EventType = "INITIAL_EVENTS_END"

// Watches returns the open watches in the order in which they were opened.
func (s *Server) Watches() []*Watch {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.watches = slices.DeleteFunc(s.watches, func(w *Watch) bool { return w.stream.ended() })
	return slices.Clone(s.watches)
}

// Number counts the watches of a server: that of the first is 1.
func (w *Watch) Number() int { return w.number }

// Resource returns what is watched.
func (w *Watch) Resource() schema.GroupVersionResource { return w.table.resource.GroupVersionResource }

// Namespace returns the namespace that is watched; "": all.
func (w *Watch) Namespace() string { return w.selection.namespace }

// Selector returns the label selector and the field selector, as in a request; "" for what has none.
func (w *Watch) Selector() (labels, fields string) {
	return w.selection.labels.String(), w.selection.fields.String()
}

// MetadataOnly tells whether the watch asks for PartialObjectMetadata.
func (w *Watch) MetadataOnly() bool { return w.form == formMetadata }

// UserAgent returns who watches.
func (w *Watch) UserAgent() string { return w.userAgent }

// Pending returns how many events can be delivered.
func (w *Watch) Pending() int {
	w.server.mutex.Lock()
	defer w.server.mutex.Unlock()
	pending := len(w.queue)
	for i := range w.changes {
		if _, seen := w.selection.event(&w.changes[i]); seen {
			pending++
		}
	}
	return pending
}

// Next returns the event that Deliver would deliver.
func (w *Watch) Next() (event Event, has bool) {
	w.server.mutex.Lock()
	defer w.server.mutex.Unlock()
	next, revision, has := w.peek()
	if !has {
		return Event{}, false
	}
	return describe(next, revision), true
}

// Deliver delivers the next event and returns it.
func (w *Watch) Deliver() (event Event, delivered bool) {
	w.server.mutex.Lock()
	defer w.server.mutex.Unlock()
	return w.deliver()
}

// Bookmark delivers a bookmark, as the API server does about once a minute. It tells how far the watch is, if the watch
// allows bookmarks and has delivered its initial events.
func (w *Watch) Bookmark() (delivered bool) {
	w.server.mutex.Lock()
	defer w.server.mutex.Unlock()
	if !w.bookmarks || len(w.queue) > 0 || w.reached == 0 {
		return false
	}
	return w.write(watch.Bookmark, w.bookmark(false))
}

// End ends the watch as the API server does when its timeout has passed.
func (w *Watch) End() {
	w.server.mutex.Lock()
	defer w.server.mutex.Unlock()
	w.stream.end()
}

// Expire ends the watch with an error, as one that is too old: 410 Expired. The watcher lists anew.
func (w *Watch) Expire() {
	w.server.mutex.Lock()
	defer w.server.mutex.Unlock()
	w.fail(apierrors.NewResourceExpired("too old resource version: " + formatVersion(w.reached) + " (" +
		formatVersion(w.server.revision) + ")"))
}

// fail delivers an error and ends the watch.
func (w *Watch) fail(err error) {
	if body, err := json.Marshal(statusOf(err)); err == nil {
		w.write(watch.Error, body)
	}
	w.stream.end()
}

// open begins to follow a table.
func (s *Server) open(w *Watch) {
	s.opened++
	w.number = s.opened
	s.watches = append(s.watches, w)
	if !s.options.HoldWatches {
		w.deliverAll()
	}
}

// notify gives the last change of a table to its watches.
func (s *Server) notify(t *table) {
	s.watches = slices.DeleteFunc(s.watches, func(w *Watch) bool { return w.stream.ended() })
	for _, w := range s.watches {
		if w.table != t {
			continue
		}
		w.changes = append(w.changes, t.changes[len(t.changes)-1])
		if !s.options.HoldWatches {
			w.deliverAll()
		}
	}
}

func (w *Watch) deliverAll() {
	for {
		if _, delivered := w.deliver(); !delivered {
			return
		}
	}
}

func (w *Watch) deliver() (Event, bool) {
	next, revision, has := w.peek()
	if !has {
		return Event{}, false
	}
	if len(w.queue) > 0 {
		w.queue = w.queue[1:]
	} else {
		w.changes = w.changes[1:]
		w.reached = revision
	}

	var delivered bool
	switch next.kind {
	case initialEventsEnd:
		delivered = w.write(watch.Bookmark, w.bookmark(true))
	default:
		delivered = w.write(next.kind, w.form.object(next.object))
	}
	return describe(next, revision), delivered
}

// peek returns the next event, and drops changes that the watch does not see.
func (w *Watch) peek() (next queued, revision uint64, has bool) {
	if w.stream.ended() {
		return queued{}, 0, false
	}
	if len(w.queue) > 0 {
		return w.queue[0], w.reached, true
	}
	for len(w.changes) > 0 {
		first := &w.changes[0]
		if event, seen := w.selection.event(first); seen {
			return event, first.revision, true
		}
		w.reached = first.revision
		w.changes = w.changes[1:]
	}
	return queued{}, 0, false
}

func describe(event queued, revision uint64) Event {
	if event.kind == initialEventsEnd {
		return Event{Type: watch.Bookmark, ResourceVersion: revision}
	}
	metadata := event.object.metadata()
	return Event{
		Type: event.kind, Namespace: metadata.GetNamespace(), Name: metadata.GetName(), ResourceVersion: revision,
	}
}

// bookmark returns an object with nothing but the resource version that the watch has reached.
func (w *Watch) bookmark(end bool) []byte {
	mark := &version{object: w.table.resource.codec.empty()}
	if accessor, err := meta.Accessor(mark.object); err == nil && end {
		accessor.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	if err := mark.stamp(w.reached); err != nil {
		return []byte("{}")
	}
	return w.form.object(mark)
}

// write writes an event to the body of the answer.
func (w *Watch) write(kind watch.EventType, object []byte) bool {
	line, err := json.Marshal(metav1.WatchEvent{Type: string(kind), Object: rawExtension(object)})
	return err == nil && w.stream.write(append(line, '\n'))
}

// event returns what a watch with this selection sees of a change.
func (s *selection) event(c *change) (event queued, seen bool) {
	before, after := c.before != nil && s.matches(c.before), c.after != nil && s.matches(c.after)
	switch {
	case before && after:
		return queued{watch.Modified, c.after}, true
	case after:
		return queued{watch.Added, c.after}, true
	case before && c.after == nil:
		return queued{watch.Deleted, c.last}, true
	case before:
		return queued{watch.Deleted, c.before.restamped(c.revision)}, true
	default:
		return queued{}, false
	}
}

// restamped returns an object with another resource version.
func (v *version) restamped(revision uint64) *version {
	out := &version{object: v.object.DeepCopyObject(), data: v.data}
	if err := out.stamp(revision); err != nil {
		return v
	}
	return out
}
