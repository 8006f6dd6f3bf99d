package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// segmented is a store that drops what is old.
type segmented interface {
	DropSegments(ctx context.Context, before store.Day, streams []string) (int, error)
}

func dropSegments(t *testing.T, s *suite) {
	db, ok := s.Store.(segmented)
	if !ok {
		t.Skip("the engine drops no segments")
	}
	drop := func(before store.Day, want int, patterns ...string) {
		t.Helper()
		n, err := db.DropSegments(context.Background(), before, patterns)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("segments of %q dropped before %d", patterns, before-march+1), want, n)
	}
	at := func(stream string, on int) *event.Event {
		return doc(stream, fmt.Sprintf("%s%d", stream[len(stream)-1:], on), fmt.Sprintf(`{"@timestamp":%q}`, day(on)))
	}
	other := seen("p", 1, 3, 1, 5)
	other.Stream = "logs-b"
	fill := &store.Change{
		Events: []*event.Event{at("logs-a", 1), at("logs-a", 2), at("logs-a", 3), at("logs-b", 1), at("logs-b", 3)},
		Alerts: []*event.Event{doc("", "old", fmt.Sprintf(`{"@timestamp":%q}`, day(1))), doc("", "new", fmt.Sprintf(`{"@timestamp":%q}`, day(3)))},
		// The second is of a late event: seen on the third, in the segment of the first.
		Sightings: []store.Sighting{seen("p", 1, 1, 1, 1), seen("p", 1, 3, 1, 2), seen("p", 1, 3, 3, 3), other},
		Records:   []store.RecordWrite{{Kind: "rule", ID: "r", Data: []byte(`{}`)}},
	}
	s.apply(1, fill)
	// landed is in which commits what is left landed, by stream.
	landed := func(want string) {
		t.Helper()
		list, err := s.List(context.Background(), store.LandingKind, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range list {
			l, err := store.ParseLanding(r)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s/%d", l.Stream, l.Seq))
		}
		equal(t, "landings", want, strings.Join(got, " "))
	}
	const everywhere = ".alerts-security.alerts-default/1 logs-a/1 logs-b/1"
	landed(everywhere)
	old := s.latest()
	drop(march, 0)
	s.finds("scan", "a1 a2 a3 b1 b3")
	drop(march+2, 2, "logs-a") // the first and the second
	s.finds("scan", "a3 b1 b3")
	s.finds(alertScan, "new old")
	equal(t, "sightings", "1 on 3 in logs-a/3: 03:00:00.000-03:00:00.000 ×1 h03\n1 on 3 in logs-b/1: 05:00:00.000-05:00:00.000 ×1 h05",
		strings.Join(s.sightings("p", nil), "\n"))
	equal(t, "rows of an older snapshot", 3, len(s.rows(parsed(t, "scan"), old)))
	landed(everywhere) // which tell of the third, too
	drop(march+2, 0, "logs-a")
	drop(march+1, 1) // all but alerts: what is left of the first
	s.finds("scan", "a3 b3")
	s.finds(alertScan, "new old")
	drop(march+2, 1, ".alerts-*")
	s.finds(alertScan, "new")
	list, err := s.Streams(context.Background(), []string{"*"})
	if err != nil || len(list) != 2 || list[0].Events != 1 || list[1].Events != 1 {
		t.Errorf("streams afterwards: %+v, %v", list, err)
	}
	// What was dropped is not remembered: it may come again.
	c := s.apply(2, &store.Change{Events: []*event.Event{at("logs-a", 1), at("logs-a", 3)}})
	equal(t, "outcome", "stored 1 duplicates 1 conflicts 0 misfits 0 alerts []", outcome(c))
	s.finds("scan", "a1 a3 b3")
	landed(everywhere + " logs-a/2")
	drop(march+1, 1, "logs-a") // what came again, and its landing
	landed(everywhere)
	drop(march+5, 2)
	landed(".alerts-security.alerts-default/1")
	if _, err := s.Get(context.Background(), "rule", "r"); err != nil {
		t.Errorf("records are kept: %v", err)
	}
}

func reopened(t *testing.T, s *suite) {
	if !s.engine.Persistent {
		t.Skip("the engine keeps nothing")
	}
	s.apply(1, good("first"))
	s.apply(2, &store.Change{Live: true, Events: []*event.Event{doc("logs-b", "2", `{"@timestamp":"2026-03-02T00:00:00Z","new":"field"}`)}})
	for range 2 {
		before := s.everything()
		s.close()
		s.open()
		equal(t, "after it was opened again", before, s.everything())
	}
	ctx := context.Background()
	if err := s.Apply(ctx, &store.Change{At: commitTime(1)}); !errors.Is(err, store.ErrClock) {
		t.Errorf("an earlier stamp after it was opened again: %v", err)
	}
	seq := s.latest().Seq
	again := good("first")
	again.Events = append(again.Events, doc("logs-a", "first", `{"n":2}`), doc("logs-a", "3", `{"n":3}`))
	again.Alerts = append(again.Alerts, doc("", "alert-new", `{}`))
	s.apply(3, again)
	equal(t, "outcome", `stored 2 duplicates 1 conflicts 1 misfits 0 alerts ["alert-new"]`, outcome(again))
	if again.Outcome.Seq <= seq {
		t.Errorf("sequence number %d after %d", again.Outcome.Seq, seq)
	}
	s.finds("filter (in n:long 3)", "3")
	r, err := s.Get(ctx, "rule", "first")
	if err != nil || r.Version != 2 {
		t.Errorf("the record is at version %d: %v", r.Version, err)
	}
}
