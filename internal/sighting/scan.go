package sighting

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// Scan answers from the events themselves: the same as an Index, at the cost of the whole span. It is for programs that
// cannot be remembered, because their query means something else at each run (date math). It is not safe for concurrent
// use.
type Scan struct {
	program Program
	from    store.Querier
	at      store.Snapshot
}

// NewScan returns the answers for p over what at shows of from.
func NewScan(from store.Querier, p Program, at store.Snapshot) *Scan {
	at.After = 0
	return &Scan{program: p, from: from, at: at}
}

// Known reports for each tuple whether an event of the program held it within span.
func (s *Scan) Known(ctx context.Context, tuples []store.Tuple, span Span) (map[store.Tuple]bool, error) {
	first, err := s.first(ctx, tuples, span)
	known := make(map[store.Tuple]bool, len(first))
	for t := range first {
		known[t] = true
	}
	return known, err
}

// first returns for each of tuples that was seen within span the first sight.
func (s *Scan) first(ctx context.Context, tuples []store.Tuple, span Span) (map[store.Tuple]Sight, error) {
	if span.To.Before(span.From) || len(tuples) == 0 {
		return nil, nil
	}
	asked := make(map[store.Tuple]bool, len(tuples))
	for _, t := range tuples {
		asked[t] = true
	}
	first := map[store.Tuple]Sight{}
	err := s.program.each(ctx, s.from, &span, s.at, func(o Occurrence, e seen) {
		if !asked[o.Tuple] || !span.holds(e.Time) {
			return
		}
		if known, ok := first[o.Tuple]; !ok || e.before(known) {
			first[o.Tuple] = e.Sight
		}
	})
	if err != nil {
		return nil, fmt.Errorf("scan the history of %s: %w", s.program.ID(), err)
	}
	return first, nil
}

// LookedAt is the number of sightings, of whatever tuple, on the days that span touches.
func (s *Scan) LookedAt(ctx context.Context, span Span) (int64, error) {
	if span.To.Before(span.From) {
		return 0, nil
	}
	var n int64
	whole := span.days()
	err := s.program.each(ctx, s.from, &whole, s.at, func(_ Occurrence, e seen) {
		if whole.holds(e.Time) {
			n++
		}
	})
	if err != nil {
		return 0, fmt.Errorf("count the history of %s: %w", s.program.ID(), err)
	}
	return n, nil
}

// Before returns when each tuple was seen first and last before t; tuples that were not are left out.
func (s *Scan) Before(ctx context.Context, tuples []store.Tuple, t time.Time) (map[store.Tuple]Span, error) {
	asked := make(map[store.Tuple]bool, len(tuples))
	for _, tuple := range tuples {
		asked[tuple] = true
	}
	out := map[store.Tuple]Span{}
	past := Span{time.Time{}, t.Add(-time.Millisecond)}
	err := s.program.each(ctx, s.from, &past, s.at, func(o Occurrence, e seen) {
		if asked[o.Tuple] && e.Time.Before(t) {
			out[o.Tuple] = include(out[o.Tuple], e.Time)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("scan what came before the history of %s: %w", s.program.ID(), err)
	}
	return out, nil
}

// include widens span, the zero Span being empty, to hold t.
func include(span Span, t time.Time) Span {
	if span.From.IsZero() || t.Before(span.From) {
		span.From = t
	}
	if span.To.IsZero() || t.After(span.To) {
		span.To = t
	}
	return span
}
