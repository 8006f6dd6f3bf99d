// Package sighting remembers who did what first and last, so that "never seen before" costs the same on the first day
// and on the ninetieth.
//
// It folds committed events into one row per (program, tuple, day) and answers whether a tuple was seen in a span. It
// decides nothing about alerts: that is package detect. It writes nothing either: the rows that Fold makes travel in the
// same Change as the alerts that rest on them.
//
//	folded, err := idx.Fold(ctx, at)                          // late events too
//	known, err := idx.Known(ctx, tuples, sighting.Span{From: h, To: f}, at)
package sighting

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Program says whose sightings of what are remembered: the tuples of Fields in the events of Streams that match Cond.
// Two programs with the same ID have the same sightings; a changed query, exception or list is another program.
type Program struct {
	Streams []string
	Cond    expr.Cond
	Fields  []expr.Field
	Time    plan.TimeField
	// Volatile says that Cond depends on the time of the run (date math): nothing is remembered, every question scans.
	Volatile bool
}

// ID is the hash of everything that decides which sightings there are.
func (p Program) ID() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n%q\n%s\n", p.Streams, p.Time.Paths(), expr.String(p.Cond))
	for _, f := range p.Fields {
		fmt.Fprintf(h, "%q\n", f.String())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Span is a stretch of time, both ends included, at millisecond resolution.
type Span struct{ From, To time.Time }

func (s Span) holds(t time.Time) bool { return !t.Before(s.From) && !t.After(s.To) }

// MaxTuples bounds the tuples of one event; an event with more is an error, never a silent cut.
const MaxTuples = 1 << 20

// Occurrence is a tuple of values in an event.
type Occurrence struct {
	Tuple  store.Tuple
	Values []event.Value
}

// Tuples returns every combination of the values of fields in e, each once, in order of the values in the document; none
// where a field has no value.
func Tuples(fields []expr.Field, e *event.Event) ([]Occurrence, error) {
	values := make([][]event.Value, len(fields))
	n := 1
	for i, f := range fields {
		values[i] = distinct(expr.Read(f, e))
		n *= len(values[i])
		if n == 0 {
			return nil, nil
		}
		if n > MaxTuples {
			return nil, fmt.Errorf("event %s has more than %d combinations of the new-terms fields", e.ID, MaxTuples)
		}
	}
	out := make([]Occurrence, 0, n)
	pick := make([]int, len(fields))
	for {
		tuple := make([]event.Value, len(fields))
		for i, k := range pick {
			tuple[i] = values[i][k]
		}
		out = append(out, Occurrence{Tuple: hash(tuple), Values: tuple})
		i := len(pick) - 1
		for ; i >= 0; i-- {
			if pick[i]++; pick[i] < len(values[i]) {
				break
			}
			pick[i] = 0
		}
		if i < 0 {
			return out, nil
		}
	}
}

func distinct(values []event.Value) []event.Value {
	if len(values) < 2 {
		return values
	}
	seen := make(map[string]bool, len(values))
	out := values[:0]
	for _, v := range values {
		if key := v.Text(); !seen[key] {
			seen[key] = true
			out = append(out, v)
		}
	}
	return out
}

// hash frames each value with its length, so that ("ab","c") and ("a","bc") differ.
func hash(tuple []event.Value) store.Tuple {
	h := sha256.New()
	var frame [9]byte
	for _, v := range tuple {
		text := v.Text()
		frame[0] = byte(v.Kind())
		binary.LittleEndian.PutUint64(frame[1:], uint64(len(text)))
		h.Write(frame[:])
		h.Write([]byte(text))
	}
	return store.Tuple(h.Sum(nil)[:16])
}

// matching is the plan of the program's events in span, or of all where span is nil, with what Fold needs of them.
func (p Program) matching(span *Span) plan.Node {
	cond := p.Cond
	if span != nil {
		cond = expr.All(p.Time.Within(span.From, span.To), cond)
	}
	paths := append(p.Time.Paths(), plan.Timestamp)
	for _, f := range p.Fields {
		paths = append(paths, f.Path)
	}
	return plan.Project{Paths: paths, In: plan.Filter{Cond: cond, In: plan.Scan{Streams: p.Streams}}}
}

// Fold returns the sightings of the program in the events that at shows, one row per tuple, day of the time field and
// segment, sorted. Nothing is stored: the caller commits the rows together with the mark at.Seq.
func (p Program) Fold(ctx context.Context, q store.Querier, at store.Snapshot) ([]store.Sighting, error) {
	rows, err := exec.Query(ctx, q, p.matching(nil), at)
	if err != nil {
		return nil, fmt.Errorf("fold seq %d..%d: %w", at.After, at.Seq, err)
	}
	defer rows.Close()
	id := p.ID()
	folded := map[store.Sighting]*store.Sighting{}
	for rows.Next() {
		e := rows.Event()
		t, timed := p.Time.Of(e)
		if !timed {
			continue
		}
		segment, _ := plan.TimeField{Primary: plan.Timestamp}.Of(e)
		tuples, err := Tuples(p.Fields, e)
		if err != nil {
			return nil, fmt.Errorf("fold seq %d..%d: %w", at.After, at.Seq, err)
		}
		for _, o := range tuples {
			key := store.Sighting{Program: id, Tuple: o.Tuple, Day: store.DayOf(t), Stream: e.Stream, Segment: store.DayOf(segment)}
			s := folded[key]
			if s == nil {
				fresh := key
				s = &fresh
				folded[key] = s
			}
			s.Merge(store.Sighting{First: t, Last: t, Count: 1, FirstEvent: e.ID})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("fold seq %d..%d: %w", at.After, at.Seq, err)
	}
	out := make([]store.Sighting, 0, len(folded))
	for _, s := range folded {
		out = append(out, *s)
	}
	sort.Slice(out, func(i, j int) bool { return less(out[i], out[j]) })
	return out, nil
}

func less(a, b store.Sighting) bool {
	if c := strings.Compare(string(a.Tuple[:]), string(b.Tuple[:])); c != 0 {
		return c < 0
	}
	if a.Day != b.Day {
		return a.Day < b.Day
	}
	if a.Stream != b.Stream {
		return a.Stream < b.Stream
	}
	return a.Segment < b.Segment
}
