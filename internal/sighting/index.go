package sighting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// MarkKind is the kind of the records that hold how far a program's sightings are folded.
const MarkKind = "sighting-mark"

// Reader is what an Index reads from: events to fold, sightings and marks.
type Reader interface {
	store.Querier
	store.Sightings
	store.Records
}

// Index answers for one program from its rows. It keeps the rows that it was asked for in memory; it is not safe for
// concurrent use, and whoever folds must commit what Fold returned, or open a new Index.
type Index struct {
	program Program
	id      string
	from    Reader
	mark    store.Snapshot // up to which everything is folded
	version int64          // of the mark's record; 0: there is none
	rows    map[store.Tuple][]store.Sighting
	whole   bool // rows holds every tuple
	days    map[store.Day]int64
}

type mark struct {
	Seq uint64 `json:"seq"`
}

// Open returns the index of a program as it is stored. A program that is not stored yet has folded nothing.
func Open(ctx context.Context, from Reader, p Program) (*Index, error) {
	x := &Index{program: p, id: p.ID(), from: from, rows: map[store.Tuple][]store.Sighting{}}
	r, err := from.Get(ctx, MarkKind, x.id)
	if errors.Is(err, store.ErrNotFound) {
		x.whole, x.days = true, map[store.Day]int64{}
		return x, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the mark of sightings %s: %w", x.id, err)
	}
	var m mark
	if err := json.Unmarshal(r.Data, &m); err != nil {
		return nil, fmt.Errorf("decode the mark of sightings %s: %w", x.id, err)
	}
	x.mark.Seq, x.version = m.Seq, r.Version
	if x.days, err = from.SightingDays(ctx, x.id); err != nil {
		return nil, fmt.Errorf("count sightings %s: %w", x.id, err)
	}
	return x, nil
}

// Program returns the program that the index answers for.
func (x *Index) Program() Program { return x.program }

// Mark is the sequence number up to which events are folded.
func (x *Index) Mark() uint64 { return x.mark.Seq }

// Fold brings the index up to at and returns the new rows and the record of the new mark, which must be committed
// together, with all that rests on them. A mark that somebody else moved meanwhile makes that commit fail
// (store.ErrVersion), so nothing is counted twice.
func (x *Index) Fold(ctx context.Context, at store.Snapshot) ([]store.Sighting, []store.RecordWrite, error) {
	if at.Seq <= x.mark.Seq {
		return nil, nil, nil
	}
	rows, err := x.program.Fold(ctx, x.from, store.Snapshot{Seq: at.Seq, After: x.mark.Seq, Committed: at.Committed})
	if err != nil {
		return nil, nil, err
	}
	var touched []store.Tuple
	for i, r := range rows {
		if i == 0 || r.Tuple != rows[i-1].Tuple {
			touched = append(touched, r.Tuple)
		}
	}
	if err := x.Load(ctx, touched); err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		x.rows[r.Tuple] = add(x.rows[r.Tuple], r)
		x.days[r.Day] += r.Count
	}
	data, err := json.Marshal(mark{Seq: at.Seq})
	if err != nil {
		return nil, nil, fmt.Errorf("encode the mark of sightings %s: %w", x.id, err)
	}
	w := store.RecordWrite{Kind: MarkKind, ID: x.id, Data: data, IfVersion: x.version}
	if x.version == 0 {
		w.IfVersion = -1
	}
	x.version++
	x.mark = at
	return rows, []store.RecordWrite{w}, nil
}

func add(rows []store.Sighting, s store.Sighting) []store.Sighting {
	for i := range rows {
		if rows[i].Day == s.Day && rows[i].Stream == s.Stream && rows[i].Segment == s.Segment {
			rows[i].Merge(s)
			return rows
		}
	}
	return append(rows, s)
}

// Load reads what is stored of tuples, so that later questions about them need no query each.
func (x *Index) Load(ctx context.Context, tuples []store.Tuple) error {
	if x.whole {
		return nil
	}
	var missing []store.Tuple
	for _, t := range tuples {
		if _, held := x.rows[t]; !held {
			missing = append(missing, t)
			x.rows[t] = []store.Sighting{}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	rows, err := x.from.Sightings(ctx, x.id, missing)
	if err != nil {
		for _, t := range missing {
			delete(x.rows, t)
		}
		return fmt.Errorf("read sightings %s: %w", x.id, err)
	}
	for _, r := range rows {
		x.rows[r.Tuple] = append(x.rows[r.Tuple], r)
	}
	return nil
}

// scan answers from the events that are folded.
func (x *Index) scan() *Scan { return NewScan(x.from, x.program, x.mark) }

// Known reports for each tuple whether an event of the program that is folded held it within span. Whole days are
// answered by the rows; a day at either end by its first or last sighting, and where that leaves it open (both ends on
// one day) by scanning the events.
func (x *Index) Known(ctx context.Context, tuples []store.Tuple, span Span) (map[store.Tuple]bool, error) {
	known := make(map[store.Tuple]bool, len(tuples))
	if span.To.Before(span.From) {
		return known, nil
	}
	if err := x.Load(ctx, tuples); err != nil {
		return nil, err
	}
	var open []store.Tuple
	for _, t := range tuples {
		switch seen, sure := within(x.rows[t], span); {
		case seen:
			known[t] = true
		case !sure:
			open = append(open, t)
		}
	}
	scanned, err := x.scan().Known(ctx, open, span)
	if err != nil {
		return nil, err
	}
	for t := range scanned {
		known[t] = true
	}
	return known, nil
}

// within reports whether one of rows was seen in span, and whether the rows alone decide it.
func within(rows []store.Sighting, span Span) (seen, sure bool) {
	sure = true
	for _, r := range rows {
		switch {
		case r.Last.Before(span.From) || r.First.After(span.To):
		case span.holds(r.First) || span.holds(r.Last):
			return true, true
		default: // seen before and after span on one day; between is open
			sure = false
		}
	}
	return false, sure
}

// First returns the first event within span that held the tuple; false where none did.
func (x *Index) First(ctx context.Context, tuple store.Tuple, span Span) (Sight, bool, error) {
	if span.To.Before(span.From) {
		return Sight{}, false, nil
	}
	if err := x.Load(ctx, []store.Tuple{tuple}); err != nil {
		return Sight{}, false, err
	}
	var first Sight
	found := false
	for _, r := range x.rows[tuple] {
		switch {
		case r.Last.Before(span.From) || r.First.After(span.To):
		case r.First.Before(span.From): // what came after it on that day, the row does not tell
			scanned, err := x.scan().first(ctx, []store.Tuple{tuple}, span)
			s, ok := scanned[tuple]
			return s, ok, err
		default:
			if s := (Sight{r.First, r.FirstEvent}); !found || s.before(first) {
				first, found = s, true
			}
		}
	}
	return first, found, nil
}

// LookedAt is the number of sightings, of whatever tuple, on the days that span touches.
func (x *Index) LookedAt(_ context.Context, span Span) (int64, error) {
	var n int64
	if span.To.Before(span.From) {
		return 0, nil
	}
	first, last := store.DayOf(span.From), store.DayOf(span.To)
	for day, count := range x.days {
		if day >= first && day <= last {
			n += count
		}
	}
	return n, nil
}

// Before returns when each tuple was seen first and last before t; tuples that were not are left out. Where a tuple was
// seen before and after t on one day, the last is the first of that day, or later.
func (x *Index) Before(ctx context.Context, tuples []store.Tuple, t time.Time) (map[store.Tuple]Span, error) {
	if err := x.Load(ctx, tuples); err != nil {
		return nil, err
	}
	out := map[store.Tuple]Span{}
	for _, tuple := range tuples {
		for _, r := range x.rows[tuple] {
			if !r.First.Before(t) {
				continue
			}
			span := include(out[tuple], r.First)
			if r.Last.Before(t) {
				span = include(span, r.Last)
			}
			out[tuple] = span
		}
	}
	return out, nil
}
