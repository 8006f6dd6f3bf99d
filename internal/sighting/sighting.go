// Package sighting remembers who did what first and last, so that "never seen before" costs the same on the first day
// and on the ninetieth.
//
// It folds committed events into one row per (program, tuple, day) and answers whether a tuple was seen in a span. It
// decides nothing about alerts: that is package detect. It writes nothing either: the rows that Fold makes travel in the
// same Change as the alerts that rest on them.
//
//	rows, marks, err := idx.Fold(ctx, at)                     // late events too
//	known, err := idx.Known(ctx, tuples, sighting.Span{From: h, To: f}, at)
package sighting

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
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
}

// ID is the hash of everything that decides which sightings there are.
func (p Program) ID() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %t\n%q\n%s\n", p.Streams, p.Streams == nil, p.Time.Paths(), expr.String(p.Cond))
	for _, f := range p.Fields {
		fmt.Fprintf(h, "%q\n", f.String())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// matching is the plan of the program's events within span, or of all where span is nil, with the fields that tuples,
// times and segments are read from.
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

// Span is a stretch of time, both ends included, at millisecond resolution.
type Span struct{ From, To time.Time }

func (s Span) holds(t time.Time) bool { return !t.Before(s.From) && !t.After(s.To) }

// days returns the span widened to whole UTC days.
func (s Span) days() Span {
	return Span{store.DayOf(s.From).Start(), (store.DayOf(s.To) + 1).Start().Add(-time.Millisecond)}
}

// Sight is one event that holds a tuple.
type Sight struct {
	Time  time.Time
	Event string // its ID
}

// before orders sights by time, then by event.
func (s Sight) before(o Sight) bool {
	return s.Time.Before(o.Time) || s.Time.Equal(o.Time) && s.Event < o.Event
}

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
		if n *= len(values[i]); n == 0 {
			return nil, nil
		}
		if n > MaxTuples {
			return nil, fmt.Errorf("event %s has more than %d combinations of the new-terms fields", e.ID, MaxTuples)
		}
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.String()
	}
	out := make([]Occurrence, 0, n)
	all := make([]event.Value, n*len(fields)) // one allocation for all tuples
	pick := make([]int, len(fields))
	for {
		tuple := all[:len(fields):len(fields)]
		all = all[len(fields):]
		for i, k := range pick {
			tuple[i] = values[i][k]
		}
		out = append(out, Occurrence{Tuple: hash(names, tuple), Values: tuple})
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

// distinct drops values that occurred before. Values of one field are of one type, so the same text is the same value.
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

// hash names a tuple by its fields and values. Each part has its length before it, so that ("ab","c") and ("a","bc")
// differ. It is a cryptographic hash: whoever writes logs chooses the values, and must find no two tuples that are one.
func hash(names []string, tuple []event.Value) store.Tuple {
	var buffer [256]byte
	text := buffer[:0]
	for i, v := range tuple {
		text = appendFramed(text, names[i])
		text = append(text, byte(v.Kind()))
		text = appendFramed(text, v.Text())
	}
	sum := sha256.Sum256(text)
	return store.Tuple(sum[:16])
}

func appendFramed(dst []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(dst, uint64(len(s))), s...)
}
