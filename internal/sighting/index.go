package sighting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/plan"
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

// Index answers for one program. It keeps the rows that it was asked for in memory; it is not safe for concurrent use,
// and whoever folds must commit what Fold returned, or open a new Index.
type Index struct {
	program Program
	id      string
	from    Reader
	mark    uint64
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
	switch r, err := from.Get(ctx, MarkKind, x.id); {
	case errors.Is(err, store.ErrNotFound):
		x.whole, x.days = true, map[store.Day]int64{}
	case err != nil:
		return nil, fmt.Errorf("read the mark of sightings %s: %w", x.id, err)
	default:
		var m mark
		if err := json.Unmarshal(r.Data, &m); err != nil {
			return nil, fmt.Errorf("decode the mark of sightings %s: %w", x.id, err)
		}
		x.mark = m.Seq
		if x.days, err = from.SightingDays(ctx, x.id); err != nil {
			return nil, fmt.Errorf("count sightings %s: %w", x.id, err)
		}
	}
	return x, nil
}

// Program returns the program that the index answers for.
func (x *Index) Program() Program { return x.program }

// Mark is the sequence number up to which events are folded.
func (x *Index) Mark() uint64 { return x.mark }

// Fold brings the index up to at and returns the new rows and the record of the new mark, which must be committed
// together, with all that rests on them. A volatile program folds nothing.
func (x *Index) Fold(ctx context.Context, at store.Snapshot) ([]store.Sighting, []store.RecordWrite, error) {
	if x.program.Volatile || at.Seq <= x.mark {
		return nil, nil, nil
	}
	rows, err := x.program.Fold(ctx, x.from, store.Snapshot{Seq: at.Seq, After: x.mark, Committed: at.Committed})
	if err != nil {
		return nil, nil, err
	}
	var touched []store.Tuple
	for _, r := range rows {
		if _, held := x.rows[r.Tuple]; !held {
			touched = append(touched, r.Tuple)
		}
	}
	if err := x.load(ctx, touched); err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		x.rows[r.Tuple] = add(x.rows[r.Tuple], r)
		x.days[r.Day] += r.Count
	}
	x.mark = at.Seq
	data, err := json.Marshal(mark{Seq: at.Seq})
	if err != nil {
		return nil, nil, fmt.Errorf("encode the mark of sightings %s: %w", x.id, err)
	}
	return rows, []store.RecordWrite{{Kind: MarkKind, ID: x.id, Data: data}}, nil
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

// load reads the stored rows of tuples that are not in memory.
func (x *Index) load(ctx context.Context, tuples []store.Tuple) error {
	if x.whole || len(tuples) == 0 {
		return nil
	}
	rows, err := x.from.Sightings(ctx, x.id, tuples)
	if err != nil {
		return fmt.Errorf("read sightings %s: %w", x.id, err)
	}
	for _, t := range tuples {
		x.rows[t] = []store.Sighting{}
	}
	for _, r := range rows {
		x.rows[r.Tuple] = append(x.rows[r.Tuple], r)
	}
	return nil
}

// Known reports for each tuple whether an event of the program that at shows held it within span. Whole days are
// answered by the rows; a day at either end by its first or last sighting, and where that leaves it open (both ends on
// one day, or a volatile program) by scanning the events.
func (x *Index) Known(ctx context.Context, tuples []store.Tuple, span Span, at store.Snapshot) (map[store.Tuple]bool, error) {
	known := make(map[store.Tuple]bool, len(tuples))
	if span.To.Before(span.From) {
		return known, nil
	}
	if x.program.Volatile {
		return x.scan(ctx, tuples, span, at)
	}
	var missing []store.Tuple
	for _, t := range tuples {
		if _, held := x.rows[t]; !held {
			missing = append(missing, t)
		}
	}
	if err := x.load(ctx, missing); err != nil {
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
	if len(open) == 0 {
		return known, nil
	}
	scanned, err := x.scan(ctx, open, span, at)
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
	first, last := store.DayOf(span.From), store.DayOf(span.To)
	for _, r := range rows {
		switch {
		case r.Day < first || r.Day > last || r.Last.Before(span.From) || r.First.After(span.To):
		case span.holds(r.First) || span.holds(r.Last), r.Day > first && r.Day < last:
			return true, true
		default: // seen before and after span on that day; between is open
			sure = false
		}
	}
	return false, sure
}

// scan answers from the events themselves.
func (x *Index) scan(ctx context.Context, tuples []store.Tuple, span Span, at store.Snapshot) (map[store.Tuple]bool, error) {
	at.After = 0
	rows, err := exec.Query(ctx, x.from, x.program.matching(&span), at)
	if err != nil {
		return nil, fmt.Errorf("scan the history of %s: %w", x.id, err)
	}
	defer rows.Close()
	asked := make(map[store.Tuple]bool, len(tuples))
	for _, t := range tuples {
		asked[t] = true
	}
	known := map[store.Tuple]bool{}
	for rows.Next() {
		seen, err := Tuples(x.program.Fields, rows.Event())
		if err != nil {
			return nil, fmt.Errorf("scan the history of %s: %w", x.id, err)
		}
		for _, o := range seen {
			if asked[o.Tuple] {
				known[o.Tuple] = true
			}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("scan the history of %s: %w", x.id, err)
	}
	return known, nil
}

// LookedAt is the number of sightings, of whatever tuple, that the program has on the days that span touches. A volatile
// program counts none.
func (x *Index) LookedAt(span Span) int64 {
	var n int64
	first, last := store.DayOf(span.From), store.DayOf(span.To)
	for day, count := range x.days {
		if day >= first && day <= last {
			n += count
		}
	}
	return n
}

// Last returns the tuple's last sighting before t on the days before t's; false where there is none. It is what an alert
// says of an earlier, forgotten history.
func (x *Index) Last(ctx context.Context, tuple store.Tuple, t time.Time) (time.Time, bool, error) {
	if x.program.Volatile {
		return time.Time{}, false, nil
	}
	if _, held := x.rows[tuple]; !held {
		if err := x.load(ctx, []store.Tuple{tuple}); err != nil {
			return time.Time{}, false, err
		}
	}
	var last time.Time
	for _, r := range x.rows[tuple] {
		if r.Last.Before(t) && r.Last.After(last) {
			last = r.Last
		}
	}
	return last, !last.IsZero(), nil
}

// Texts prints the values of an occurrence.
func (o Occurrence) Texts() []string {
	out := make([]string, len(o.Values))
	for i, v := range o.Values {
		out[i] = v.Text()
	}
	return out
}

// TupleOf returns the tuple of values as an event holds them, typed.
func TupleOf(values []event.Value) store.Tuple { return hash(values) }

// Matching is the plan of the program's events within span, with the fields that tuples are read from.
func (p Program) Matching(span Span) plan.Node { return p.matching(&span) }
