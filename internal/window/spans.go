package window

import (
	"slices"
	"time"
)

// Span is a stretch of time, both ends included, in whole milliseconds. The zero Span is empty, and so is one that ends
// before it begins.
type Span struct{ From, To time.Time }

// Empty reports whether s holds no instant.
func (s Span) Empty() bool { return s.From.IsZero() && s.To.IsZero() || s.To.Before(s.From) }

// Contains reports whether t lies in s.
func (s Span) Contains(t time.Time) bool { return !s.Empty() && !t.Before(s.From) && !t.After(s.To) }

// Overlaps reports whether s and o have an instant in common.
func (s Span) Overlaps(o Span) bool {
	return !s.Empty() && !o.Empty() && !s.To.Before(o.From) && !o.To.Before(s.From)
}

// Intersect returns what s and o have in common, the zero Span if nothing.
func (s Span) Intersect(o Span) Span {
	if !s.Overlaps(o) {
		return Span{}
	}
	if s.From.Before(o.From) {
		s.From = o.From
	}
	if s.To.After(o.To) {
		s.To = o.To
	}
	return s
}

// Spans is a set of instants: spans in order of time, none empty, with a millisecond at least between two of them. Make one
// with NewSpans; methods return new sets and change none.
type Spans []Span

// NewSpans returns the set of all instants of spans, which may overlap and stand in any order.
func NewSpans(spans ...Span) Spans {
	sorted := make(Spans, 0, len(spans))
	for _, s := range spans {
		if !s.Empty() {
			sorted = append(sorted, Span{whole(s.From), whole(s.To)})
		}
	}
	slices.SortFunc(sorted, func(a, b Span) int { return a.From.Compare(b.From) })
	out := sorted[:0]
	for _, s := range sorted {
		if n := len(out) - 1; n >= 0 && !out[n].To.Add(time.Millisecond).Before(s.From) {
			if out[n].To.Before(s.To) {
				out[n].To = s.To
			}
			continue
		}
		out = append(out, s)
	}
	return slices.Clip(out)
}

// Union returns what is in s, in o or in both.
func (s Spans) Union(o Spans) Spans { return NewSpans(slices.Concat(s, o)...) }

// Intersect returns what is both in s and in o.
func (s Spans) Intersect(o Spans) Spans {
	var out Spans
	for i, j := 0, 0; i < len(s) && j < len(o); {
		if both := s[i].Intersect(o[j]); !both.Empty() {
			out = append(out, both)
		}
		if s[i].To.Before(o[j].To) {
			i++
		} else {
			j++
		}
	}
	return out
}

// Subtract returns what is in s and not in o.
func (s Spans) Subtract(o Spans) Spans {
	var out Spans
	j := 0
	for _, rest := range s {
		for j < len(o) && o[j].To.Before(rest.From) {
			j++
		}
		for k := j; k < len(o) && !o[k].From.After(rest.To) && !rest.Empty(); k++ {
			if before := (Span{rest.From, o[k].From.Add(-time.Millisecond)}); !before.Empty() {
				out = append(out, before)
			}
			rest.From = o[k].To.Add(time.Millisecond)
		}
		if !rest.Empty() {
			out = append(out, rest)
		}
	}
	return out
}

// Overlaps reports whether s and span have an instant in common.
func (s Spans) Overlaps(span Span) bool {
	if span.Empty() {
		return false
	}
	i := s.after(span.From)
	return i < len(s) && s[i].Overlaps(span)
}

// Contains reports whether t is in s.
func (s Spans) Contains(t time.Time) bool {
	i := s.after(t)
	return i < len(s) && s[i].Contains(t)
}

// after is the index of the first span that does not end before t.
func (s Spans) after(t time.Time) int {
	i, _ := slices.BinarySearchFunc(s, t, func(span Span, t time.Time) int { return span.To.Compare(t) })
	return i
}
