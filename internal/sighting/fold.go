package sighting

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Fold returns the sightings of the program in the events that at shows, one row per tuple, day of the time field and
// segment, sorted. Nothing is stored: the caller commits the rows together with the mark at.Seq.
func (p Program) Fold(ctx context.Context, q store.Querier, at store.Snapshot) ([]store.Sighting, error) {
	type key struct {
		tuple        store.Tuple
		day, segment store.Day
		stream       string
	}
	id := p.ID()
	rows := map[key]*store.Sighting{}
	err := p.each(ctx, q, nil, at, func(o Occurrence, s seen) {
		k := key{o.Tuple, store.DayOf(s.Time), s.segment, s.stream}
		row := rows[k]
		if row == nil {
			row = &store.Sighting{Program: id, Tuple: k.tuple, Day: k.day, Stream: k.stream, Segment: k.segment}
			rows[k] = row
		}
		row.Merge(store.Sighting{First: s.Time, Last: s.Time, Count: 1, FirstEvent: s.Event})
	})
	if err != nil {
		return nil, fmt.Errorf("fold seq %d..%d into %s: %w", at.After, at.Seq, id, err)
	}
	out := make([]store.Sighting, 0, len(rows))
	for _, row := range rows {
		out = append(out, *row)
	}
	slices.SortFunc(out, func(a, b store.Sighting) int {
		return cmp.Or(bytes.Compare(a.Tuple[:], b.Tuple[:]), cmp.Compare(a.Day, b.Day), cmp.Compare(a.Stream, b.Stream),
			cmp.Compare(a.Segment, b.Segment))
	})
	return out, nil
}

// seen is a sight with the segment that the event lies in.
type seen struct {
	Sight
	stream  string
	segment store.Day
}

// each calls f for every tuple of every event that at shows and that matches, within span where it is not nil.
func (p Program) each(ctx context.Context, q store.Querier, span *Span, at store.Snapshot, f func(Occurrence, seen)) error {
	rows, err := exec.Query(ctx, q, p.matching(span), at)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e := rows.Event()
		t, timed := p.Time.Of(e)
		if !timed {
			continue
		}
		segment, _ := plan.TimeField{Primary: plan.Timestamp}.Of(e)
		tuples, err := Tuples(p.Fields, e)
		if err != nil {
			return err
		}
		for _, o := range tuples {
			f(o, seen{Sight{t, e.ID}, e.Stream, store.DayOf(segment)})
		}
	}
	return rows.Err()
}
