// Package normalize is the contract between logs as they arrive and events as rules read them: a data set splits an
// object's bytes into records, turns each record into one ECS event or says why it cannot, and adds the fields of the
// stream that the event lands in.
//
// It knows no data set itself: those are the packages below it. It reads no files, looks at no clock and stores
// nothing; values that do not fit their field's type are the store's matter.
//
//	ct := cloudtrail.New(cloudtrail.Options{})
//	err := ct.Split(r, name, func(raw event.Raw) error {
//		e, err := ct.Normalize(raw, &counts) // err: *normalize.Rejected
//		…
//		ct.Finish(e)
//		return nil
//	})
package normalize

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// DataSet is one kind of log. It is safe for concurrent use.
type DataSet interface {
	// Name names the data set, as configurations write it.
	Name() string

	// Split reads one uncompressed object and calls yield for each record in it, in order. The Raw's Data belongs to
	// the callee. Memory is bounded by MaxRecord. An error of yield ends the split and is returned as it is; whatever
	// makes the rest of the object unreadable is an *ObjectError, and the records before it have been yielded.
	// A record that is broken but whose end can be found is yielded like any other: Normalize rejects it.
	Split(r io.Reader, object string, yield func(event.Raw) error) error

	// Normalize turns one record into one event, or returns a *Rejected. The event keeps raw as its Source, or that part
	// of it which is not the wrapping of a document. counts must not be shared between goroutines.
	Normalize(raw event.Raw, counts *Counts) (*event.Event, error)

	// Finish adds to a normalised, enriched event the fields that belong to its stream and not to its record.
	Finish(e *event.Event)
}

// Limits on an object that is split.
const (
	// MaxRecord is the size from which a record makes its object unreadable, in bytes.
	MaxRecord = 16 << 20
	// MaxValues is how many values a record may hold, those within others counted: they take far more memory than text.
	MaxValues = 1 << 18
	// MaxBarren is how many bytes may pass without a record before an object counts as unreadable.
	MaxBarren = 64 << 20
)

// The reasons for which a record is rejected.
const (
	NotJSON     = "not-json"      // the bytes are no JSON
	NotAnObject = "not-an-object" // JSON, but not an object
	NoEventTime = "no-event-time" // nothing in the record says when it happened
	TooDeep     = "too-deep"      // nested deeper than event.MaxDepth
	TooMany     = "too-many"      // the record holds more than MaxValues values
	NoSource    = "no-source"     // a search hit, or an action of _bulk, without its document
	BulkUpdate  = "bulk-update"   // an action of _bulk that changes a document
	BulkDelete  = "bulk-delete"   // an action of _bulk that removes a document
	BadField    = "bad-field"     // a field has a name that no field can have
	BadStream   = "bad-stream"    // the record names a stream that it cannot land in
)

// The reasons for which the rest of an object is not read.
const (
	BadSyntax      = "bad-syntax"       // the bytes are no JSON, in a place where the next record cannot be found
	Truncated      = "truncated"        // the object ends inside a list of records
	RecordTooLarge = "record-too-large" // a record exceeds MaxRecord
	NoRecords      = "no-records"       // MaxBarren bytes passed without a record
	PayloadTooLong = "payload-too-long" // what is packed inside the object unpacks to too much
	Unreadable     = "unreadable"       // reading the object failed
)

// Rejected says why a record did not become an event.
type Rejected struct {
	Reason string // one of the codes above
	Detail string // what was found, for a person
}

func (r *Rejected) Error() string {
	if r.Detail == "" {
		return "record rejected: " + r.Reason
	}
	return "record rejected: " + r.Reason + ": " + r.Detail
}

// ObjectError says why, and from where on, an object could not be read.
type ObjectError struct {
	Object string // its name
	Offset int64  // where in the uncompressed object
	Reason string // one of the codes above
	Err    error  // what happened
}

func (e *ObjectError) Error() string {
	return fmt.Sprintf("split %s at offset %d: %s: %v", e.Object, e.Offset, e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *ObjectError) Unwrap() error { return e.Err }

// Counts counts what became of records. The zero Counts is ready.
type Counts struct {
	Records       int64            // records seen
	Events        int64            // records that became events
	Rejected      map[string]int64 // records that did not, by reason
	DuplicateKeys int64            // keys that came twice in one object, of which the last value was kept
}

// Reject counts a rejection and returns it.
func (c *Counts) Reject(reason, detail string) *Rejected {
	if c.Rejected == nil {
		c.Rejected = map[string]int64{}
	}
	c.Rejected[reason]++
	return &Rejected{Reason: reason, Detail: detail}
}

// Add adds the counts of o, such as another worker's.
func (c *Counts) Add(o Counts) {
	c.Records += o.Records
	c.Events += o.Events
	c.DuplicateKeys += o.DuplicateKeys
	for reason, n := range o.Rejected {
		if c.Rejected == nil {
			c.Rejected = map[string]int64{}
		}
		c.Rejected[reason] += n
	}
}

// ParseObject reads a record, which has to be one JSON object, and counts the keys that came twice in it. What it returns
// is valid until the parser's next call (event.Parser.ParseInPlace). Bytes that are no JSON have no such keys counted.
func ParseObject(parser *event.Parser, record []byte) (object event.Value, duplicates int, bad *Rejected) {
	object, duplicates, err := parser.ParseInPlace(record)
	switch {
	case errors.Is(err, event.ErrTooDeep):
		return event.Value{}, 0, &Rejected{TooDeep, err.Error()}
	case errors.Is(err, event.ErrTooMany):
		return event.Value{}, 0, &Rejected{TooMany, err.Error()}
	case err != nil:
		return event.Value{}, 0, &Rejected{NotJSON, err.Error()}
	case object.Kind() != event.KindObject:
		return event.Value{}, duplicates, &Rejected{NotAnObject, fmt.Sprintf("%.80q", record)}
	}
	return object, duplicates, nil
}

// ContentID is the ID of an event whose record names none: it is the same for the same bytes.
func ContentID(record []byte) string {
	sum := sha256.Sum256(record)
	return "sha256:" + hex.EncodeToString(sum[:16])
}

// Registry finds data sets by name.
type Registry struct {
	sets map[string]DataSet
}

// NewRegistry returns a registry of sets. Two of the same name are an error.
func NewRegistry(sets ...DataSet) (*Registry, error) {
	r := &Registry{sets: make(map[string]DataSet, len(sets))}
	for _, s := range sets {
		if _, twice := r.sets[s.Name()]; twice {
			return nil, fmt.Errorf("register data set %q: the name is taken", s.Name())
		}
		r.sets[s.Name()] = s
	}
	return r, nil
}

// Get returns the data set called name; false when there is none.
func (r *Registry) Get(name string) (DataSet, bool) {
	s, ok := r.sets[name]
	return s, ok
}

// Names returns the names of all data sets, sorted.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.sets))
	for name := range r.sets {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
