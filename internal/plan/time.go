package plan

import (
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// The two fields that windows are cut on.
const (
	Timestamp = "@timestamp"
	Ingested  = "event.ingested"
)

// TimeField is the field by which a rule cuts its windows: Primary, and in events that lack it Fallback, if that is set.
// (rule-execution.md §1.5.)
type TimeField struct{ Primary, Fallback string }

// Within is the condition that an event's time lies in [from, to], both ends included.
func (f TimeField) Within(from, to time.Time) expr.Cond {
	span := func(path string) expr.Cond {
		return expr.Range{Field: dateField(path),
			Min: expr.Bound{Value: event.Time(from), Inclusive: true},
			Max: expr.Bound{Value: event.Time(to), Inclusive: true}}
	}
	if f.Fallback == "" {
		return span(f.Primary)
	}
	return expr.Some(span(f.Primary),
		expr.All(span(f.Fallback), expr.Not{Cond: expr.Exists{Field: dateField(f.Primary)}}))
}

// Value is the event's time as a value to sort and aggregate by: of several the first that the event has.
func (f TimeField) Value() expr.Value {
	primary := expr.One{Field: dateField(f.Primary)}
	if f.Fallback == "" {
		return primary
	}
	return expr.Call{Fn: "coalesce", Args: []expr.Value{primary, expr.One{Field: dateField(f.Fallback)}}}
}

// Of returns the time of e, the least where the field has several values; false where it has none.
func (f TimeField) Of(e *event.Event) (time.Time, bool) {
	for _, path := range []string{f.Primary, f.Fallback} {
		if path == "" {
			continue
		}
		var least event.Value
		for _, v := range expr.Read(dateField(path), e) {
			if least.IsNull() || event.Compare(v, least) < 0 {
				least = v
			}
		}
		if !least.IsNull() {
			return least.Time(), true
		}
	}
	return time.Time{}, false
}

// Paths returns the paths that the time is read from.
func (f TimeField) Paths() []string {
	if f.Fallback == "" {
		return []string{f.Primary}
	}
	return []string{f.Primary, f.Fallback}
}

func dateField(path string) expr.Field { return expr.Field{Path: path, Type: event.Date} }
