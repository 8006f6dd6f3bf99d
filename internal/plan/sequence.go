package plan

import (
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// Sequence finds events that follow each other, stage by stage, and belong together by their keys. Its rows are Found,
// one a sequence, in the order in which their last events lie; of those with one last event the one that begins earlier
// comes first, then that with the lesser keys.
//
// Each combination of key values is a machine of its own that takes the events of In in order (Order), each at the last
// stage first, so that no event follows itself. An event of the first stage begins a sequence. One of a later stage goes
// on with the sequence whose last event is the latest at the stage before; that one and all older ones there are then
// gone, even where the event cannot be joined to it: because it lies more than MaxSpan after the first event, or because
// an event of Until lies between the two, or is the earlier of them.
//
// Of the events of a Missing stage, with the keys of the sequence, there must be none: between two stages none with a time
// strictly between theirs. Before the first and after the last stage, let L and T be the nearest that lie strictly
// before the first and after the last event, or, where there is no missing stage on this side, the first and the last
// event themselves: the sequence counts if there is no L, or no T, or T − L is more than MaxSpan. What a sequence comes to
// is not known before that has passed, or the events end.
type Sequence struct {
	In     Node
	Order  Order
	Stages []Stage
	// MaxSpan bounds the time from the first event to the last, which may be as long; 0: no bound. Missing stages need one.
	MaxSpan time.Duration
	// Until ends the sequences of its keys that have begun; nil: nothing does.
	Until *Stage
}

// Sample finds events of every stage that belong together by their keys, in any order. Its rows are Found, in ascending
// order of the keys, null first: for each combination of key values of which every stage has an event the first PerKey
// tuples of different events, one a stage. The first are those with the first events (Order) of the first stage, then
// of the second, and so on. Its stages are never missing, and run once.
type Sample struct {
	In     Node
	Order  Order
	Stages []Stage
	PerKey int // 0 is 1
}

// MaxStages is the number of stages that a Sequence or Sample may have, Until included; MaxRuns how often one may run.
const (
	MaxStages = 64
	MaxRuns   = 100
)

// Stage is a step of a Sequence or a Sample: the events for which Cond is True.
type Stage struct {
	Cond expr.Cond
	// Keys are as many in all stages; events belong together if the values are equal (event.Compare), one by one.
	Keys []Key
	// Missing says that there must be no such event. Not every stage is missing.
	Missing bool
	// Runs is how often the stage follows itself; 0 is 1. A missing one takes as many places in the row.
	Runs int
}

// Key is a field by which events belong together. An event with several values of it, each counted once, belongs to
// each; of several keys to every combination.
type Key struct {
	// Field is what is read. Without a Path the key is null.
	Field expr.Field
	// Optional makes null the key of events without a value, which else are none of the stage's.
	Optional bool
}

// Order is how the events of a Sequence or Sample follow each other: by time, then by Ties in ascending order, nulls
// last, then by stream and ID. A Sequence leaves out events without a time, or with several; to a Sample they come last.
type Order struct {
	Time string // the path of a date; "" is @timestamp
	Ties []expr.Value
}

// Value is the time of an event.
func (o Order) Value() expr.One { return expr.One{Field: dateField(o.path())} }

func (o Order) path() string {
	if o.Time == "" {
		return Timestamp
	}
	return o.Time
}

// Sort returns the order as that of a Sort.
func (o Order) Sort(in Node) Sort {
	s := Sort{In: in, Keys: []SortKey{{Value: o.Value()}}}
	for _, x := range o.Ties {
		s.Keys = append(s.Keys, SortKey{Value: x})
	}
	return s
}

// Found is a row of a Sequence or Sample.
type Found struct {
	// Number counts the rows from 1, in their order.
	Number int64
	// Keys are the values that the events share, null where they share none. Of values that are equal and yet not the same
	// (1 and 1.0) they are those of the first event: of a sample that of its first stage.
	Keys []event.Value
	// Events are those of the stages, one for each run; nil where an event is missing. They have an ID, a stream and
	// fields, and no source.
	Events []*event.Event
}

// The fields of a row that is Found, below which nodes above may read: "events.fields.user.name" holds the names of all
// its events, and a Nested condition on "events" looks at each by itself.
const (
	FoundNumber = "number"
	FoundKeys   = "keys"
	FoundEvents = "events" // a list of objects, null where an event is missing
	FoundFields = "fields" // within events, besides:
	FoundID     = "id"
	FoundStream = "stream"
)

// Row returns f as a row. It has no ID and no stream. The row shares the
// events' memory: they must not change any more.
func (f Found) Row() *event.Event {
	events := make([]event.Value, len(f.Events))
	for i, e := range f.Events {
		if e == nil {
			continue
		}
		events[i] = event.Object(
			event.Member{Key: FoundFields, Value: e.Object()},
			event.Member{Key: FoundID, Value: event.String(e.ID)},
			event.Member{Key: FoundStream, Value: event.String(e.Stream)})
	}
	row := &event.Event{}
	row.SetAll([]event.Field{
		{Path: FoundEvents, Value: event.List(events...)},
		{Path: FoundKeys, Value: event.List(f.Keys...)},
		{Path: FoundNumber, Value: event.Int(f.Number)}})
	return row
}

// FoundIn returns what the row of a Sequence or Sample says, as much of it as a Project has left: one of a path below
// events leaves nothing of events that are missing, or have no such field.
func FoundIn(row *event.Event) Found {
	f := Found{Number: row.Get(FoundNumber).Int(), Keys: row.Get(FoundKeys).Items()}
	for _, v := range row.Get(FoundEvents).Items() {
		if v.IsNull() {
			f.Events = append(f.Events, nil)
			continue
		}
		e := &event.Event{ID: v.Member(FoundID).Str(), Stream: v.Member(FoundStream).Str()}
		members := v.Member(FoundFields).Members()
		fields := make([]event.Field, len(members))
		for i, m := range members {
			fields[i] = event.Field{Path: m.Key, Value: m.Value}
		}
		e.SetAll(fields)
		f.Events = append(f.Events, e)
	}
	return f
}
