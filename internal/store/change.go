package store

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// Change is what one commit writes. It belongs to Apply until Apply returns.
type Change struct {
	// At is the stamp, from the caller's clock, in milliseconds.
	At time.Time
	// Live sets the event.ingested of Events to the stamp.
	Live bool
	// Events are stored under (stream, UTC day of @timestamp, ID). The same ID with the same source bytes is a
	// duplicate and not stored again; the same ID with other bytes is stored under ConflictID, or where that is taken too
	// under the ConflictID of that and so on, and counted as a conflict. Every event has a @timestamp, a Stream and an ID.
	Events []*event.Event
	// Alerts are stored likewise in AlertStream; one whose ID is stored already (whatever its day or content) is left out.
	Alerts []*event.Event
	// States set fields of alerts, which themselves never change.
	States []AlertState
	// Sightings are added to what is stored.
	Sightings []Sighting
	// Forget removes all sightings of these programs, before Sightings are added.
	Forget []string
	// Records are written in order.
	Records []RecordWrite

	// Outcome is filled by Apply.
	Outcome Outcome
}

// Outcome says what a commit did.
type Outcome struct {
	Seq        uint64
	Stored     int // events, conflicts included
	Duplicates int
	Conflicts  int
	// Misfits counts stored values that do not fit their field's type and are therefore not matched.
	Misfits int
	// NewAlerts are the IDs of the alerts that were stored, in the order of Change.Alerts.
	NewAlerts []string
}

// ConflictID is the ID under which an event with the given source bytes is stored where its own ID is taken by one with
// other bytes of the same stream and day.
func ConflictID(id string, source []byte) string {
	sum := sha256.Sum256(source)
	return id + "-" + hex.EncodeToString(sum[:8])
}

// AlertState sets one field of an alert: its value as it is now. A null removes it.
type AlertState struct {
	Alert string
	Path  string
	Value event.Value
}

// RecordWrite writes a record.
type RecordWrite struct {
	Kind, ID string
	// Data is the new document; nil deletes.
	Data []byte
	// IfVersion asks for the stored version: 0 any, -1 none (the record must be new), else this one.
	IfVersion int64
}

// Day is a UTC day, counted from 1970-01-01.
type Day int32

// DayOf returns the UTC day of t.
func DayOf(t time.Time) Day {
	const day = 24 * 60 * 60
	s := t.Unix()
	if s < 0 {
		s -= day - 1
	}
	return Day(s / day)
}

// Start returns the instant at which the day begins.
func (d Day) Start() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

// Tuple is the hash of a tuple of values.
type Tuple [16]byte

// String writes the tuple in hex.
func (t Tuple) String() string { return hex.EncodeToString(t[:]) }

// Sighting says that events of one segment (Stream, Segment) matching a program held a tuple on a day of the rule's time
// field: when first, when last, how often, and which event came first. It expires with the segment.
type Sighting struct {
	Program     string
	Tuple       Tuple
	Day         Day // of the rule's time field
	Stream      string
	Segment     Day // of @timestamp
	First, Last time.Time
	Count       int64
	FirstEvent  string // ID of the event at First, the least where several are
}

// Merge adds what o counts to s, which must be of the same program, tuple, day and segment.
func (s *Sighting) Merge(o Sighting) {
	switch {
	case o.Count == 0:
		return
	case s.Count == 0 || o.First.Before(s.First) || o.First.Equal(s.First) && o.FirstEvent < s.FirstEvent:
		s.First, s.FirstEvent = o.First, o.FirstEvent
	}
	if s.Count == 0 || o.Last.After(s.Last) {
		s.Last = o.Last
	}
	s.Count += o.Count
}
