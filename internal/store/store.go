// Package store says what an event store does: the interfaces that engines implement, the rows they exchange, and their
// errors. It holds no engine: mem (the reference), duck (the default) and opensearch are below it, and storetest holds
// them to these contracts.
//
// A store holds four things: events by stream (alerts are events of the stream AlertStream), the states of alerts,
// sightings, and records (versioned JSON documents by kind). A Change writes to any of them at once.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// AlertStream is the stream that alerts land in; it is queried like any other.
const AlertStream = ".alerts-security.alerts-default"

// Snapshot is a state of the store that later commits do not change: what was committed with After < seq ≤ Seq.
type Snapshot struct {
	// Seq is the sequence number of the last commit that is seen.
	Seq uint64
	// After hides what was committed up to and with this number; 0 hides nothing.
	After uint64
	// Committed is the stamp of the commit Seq: no event committed later has an earlier stamp.
	Committed time.Time
}

// Querier runs plans over a snapshot. It is safe for concurrent use.
type Querier interface {
	// Query runs p over the events that at shows. Rows come in the order that p asks for; without a Sort the order is
	// undefined. A node that the engine cannot run returns *Unsupported before any row. Cancelling ctx ends the query
	// soon (100 ms) and Rows.Err returns ctx.Err(). The rows of alerts carry their present state.
	Query(ctx context.Context, p plan.Node, at Snapshot) (Rows, error)
}

// Rows are the rows of a query, read once, by one goroutine. Close is always called; it may be called twice.
type Rows interface {
	// Next moves to the next row; false at the end or at an error.
	Next() bool
	// Event is the present row. It belongs to the caller, but for the bytes of its Source, which nobody may write to.
	Event() *event.Event
	// Err is the error that ended the rows, nil at their end.
	Err() error
	Close() error
}

// Catalog tells what is stored. It is safe for concurrent use.
type Catalog interface {
	// Latest is the snapshot that shows everything committed so far.
	Latest(ctx context.Context) (Snapshot, error)
	// Streams returns the streams that patterns name (see plan.Scan), sorted by name; nil names all but alerts.
	Streams(ctx context.Context, patterns []string) ([]Stream, error)
}

// Stream is what the store knows of a stream. Its bounds may be wider than the events are, never narrower.
type Stream struct {
	Name     string
	Events   int64
	Time     Span // of @timestamp
	Ingested Span // of event.ingested
	Seq      struct{ First, Last uint64 }
	// Paths are the paths that its events hold, sorted, at most MaxPaths.
	Paths []string
}

// MaxPaths bounds the paths that a Stream lists.
const MaxPaths = 20_000

// Span is a stretch of time, both ends included, in milliseconds; the zero Span is empty.
type Span struct{ From, To time.Time }

// Empty reports whether s holds no instant.
func (s Span) Empty() bool { return s.From.IsZero() && s.To.IsZero() || s.To.Before(s.From) }

// Include returns s widened to hold t.
func (s Span) Include(t time.Time) Span {
	if s.Empty() {
		return Span{t, t}
	}
	if t.Before(s.From) {
		s.From = t
	}
	if t.After(s.To) {
		s.To = t
	}
	return s
}

// Record is a versioned JSON document, named by kind and ID.
type Record struct {
	Kind, ID string
	Version  int64 // 1 at the first write, one more at each
	Data     []byte
}

// Records reads the records: rules, checkpoints, runs, dead letters, landings … It is safe for concurrent use.
type Records interface {
	// Get returns one record, or ErrNotFound.
	Get(ctx context.Context, kind, id string) (Record, error)
	// List returns up to n records of a kind with IDs greater than after, sorted by ID; n ≤ 10,000.
	List(ctx context.Context, kind, after string, n int) ([]Record, error)
}

// Sightings reads what Changes said of who did what when. It is safe for concurrent use.
type Sightings interface {
	// Sightings returns the rows of the program for the tuples, merged by tuple, day and segment; nil: of all tuples.
	Sightings(ctx context.Context, program string, tuples []Tuple) ([]Sighting, error)
	// SightingDays returns the number of events that the program's sightings count, by day.
	SightingDays(ctx context.Context, program string) (map[Day]int64, error)
}

// Writer applies changes. It is safe for concurrent use; changes are applied one after the other.
type Writer interface {
	// Apply commits c whole or not at all, and fills c.Outcome. Records with a version that is not the stored one
	// return ErrVersion, a stamp earlier than the last commit's ErrClock. When Apply returns nil the change is durable.
	// Applying the same Change again is harmless: events and alerts are known by their IDs.
	Apply(ctx context.Context, c *Change) error
}

// Store is everything at once.
type Store interface {
	Querier
	Catalog
	Records
	Sightings
	Writer
	Close() error
}

// ErrNotFound says that there is no such record.
var ErrNotFound = errors.New("not found")

// ErrVersion says that a record is not at the version that the change asked for.
var ErrVersion = errors.New("the record has another version")

// ErrClock says that a change is stamped earlier than the last commit.
var ErrClock = errors.New("the stamp lies before the last commit's")

// Unsupported says that an engine cannot run a node; exec then runs it in Go.
type Unsupported struct {
	Node plan.Node
	Why  string
}

// Error says which node and why.
func (u *Unsupported) Error() string {
	return fmt.Sprintf("unsupported plan node %T: %s", u.Node, u.Why)
}
