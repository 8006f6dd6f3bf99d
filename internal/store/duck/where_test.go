package duck_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// TestSegmentBounds holds that a segment is left out only where a range of time lies wholly beside it: both ends of what
// it holds belong to it, in both time fields and under Not.
func TestSegmentBounds(t *testing.T) {
	db := open(t)
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	made := func(id string, at, ingested time.Duration) *event.Event {
		e := &event.Event{ID: id, Stream: "logs-test-default"}
		e.Set("@timestamp", event.String(event.FormatTime(day.Add(at))))
		e.Set("event.ingested", event.String(event.FormatTime(day.Add(ingested))))
		return e
	}
	c := &store.Change{At: day, Events: []*event.Event{
		made("first", time.Hour, 2*time.Hour), made("last", 5*time.Hour, 6*time.Hour),
		made("next day", 30*time.Hour, 31*time.Hour)}}
	if err := db.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	at, err := db.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := func(path string, from, to time.Duration, not bool, want ...string) {
		t.Helper()
		cond := plan.TimeField{Primary: path}.Within(day.Add(from), day.Add(to))
		if not {
			cond = expr.Not{Cond: cond}
		}
		rows, err := exec.Query(t.Context(), db, plan.Filter{Cond: cond, In: plan.Scan{}}, at)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var got []string
		for rows.Next() {
			got = append(got, rows.Event().ID)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s within %v to %v (not: %t): %q, want %q", path, from, to, not, got, want)
		}
	}
	const ms = time.Millisecond
	f("@timestamp", time.Hour, 30*time.Hour, false, "first", "last", "next day") // and where all of a segment lies within
	f("@timestamp", time.Hour, 5*time.Hour, false, "first", "last")
	f("@timestamp", time.Hour+ms, 5*time.Hour-ms, false)
	f("event.ingested", 2*time.Hour, 6*time.Hour, false, "first", "last")
	f("event.ingested", 2*time.Hour+ms, 6*time.Hour, false, "last")
	f("event.ingested", 2*time.Hour, 6*time.Hour, true, "next day")
	f("@timestamp", 5*time.Hour, 6*time.Hour, false, "last")
	f("@timestamp", 5*time.Hour+ms, 6*time.Hour, false)
	f("@timestamp", 0, time.Hour, false, "first")
	f("@timestamp", 0, time.Hour-ms, false)
	f("@timestamp", time.Hour, 5*time.Hour, true, "next day")
	f("@timestamp", 6*time.Hour, 7*time.Hour, true, "first", "last", "next day")
	f("event.ingested", 6*time.Hour, 7*time.Hour, false, "last")
	f("event.ingested", 6*time.Hour+ms, 7*time.Hour, false)
	f("event.ingested", 0, 2*time.Hour, false, "first")
	f("event.ingested", 0, 2*time.Hour-ms, false)
	f("event.ingested", 0, 40*time.Hour, true)
}
