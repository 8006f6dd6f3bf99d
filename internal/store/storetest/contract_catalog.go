package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

func streams(t *testing.T, s *suite) {
	ctx := context.Background()
	names := func(want string, patterns ...string) {
		t.Helper()
		list, err := s.Streams(ctx, patterns)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, x := range list {
			got += x.Name + " "
		}
		equal(t, fmt.Sprintf("streams of %q", patterns), want, got)
	}
	names("")
	s.apply(1, &store.Change{Events: []*event.Event{
		doc("logs-b", "1", `{"n":1,"@timestamp":"2026-03-03T00:00:00.001Z"}`),
		doc("logs-a", "2", `{"user":{"name":"x","none":null},"tags":["a"],"e":"","o":{},"l":[],"event.ingested":"2026-03-02T00:00:00Z"}`),
	}})
	second := s.apply(2, &store.Change{
		Events: []*event.Event{
			doc("logs-b", "3", `{"@timestamp":"2026-03-01T23:59:59.999Z","event":{"ingested":"2026-03-05T00:00:00.500Z"}}`),
			doc("logs-b", "4", `{"@timestamp":"2026-03-02T00:00:00Z","event":{"ingested":"2026-03-04T00:00:00Z"},
				"aws.cloudtrail.flattened.request_parameters":{"a":{"b":1},"c.d":[{"e":2}]},"files":[{"name":"x"},{"size":1}]}`),
			doc(".hidden", "5", `{"event.ingested":["2026-03-07T00:00:00Z",["never",1772359200123]]}`),
		},
		Alerts: []*event.Event{doc("", "6", `{}`)},
	})
	names(".hidden logs-a logs-b ", "logs-*", ".h*", "-nothing")
	names(".hidden logs-a logs-b ")
	names("logs-b ", "*-b")
	names("logs-a ", "logs-*", "-logs-b")
	names(store.AlertStream+" ", ".alerts*")
	list, err := s.Streams(ctx, []string{"logs-*"})
	if err != nil || len(list) != 2 {
		t.Fatalf("streams: %v, %v", list, err)
	}
	a, b := list[0], list[1]
	equal(t, "events", []int64{1, 3}, []int64{a.Events, b.Events})
	equal(t, "paths of logs-a", []string{"@timestamp", "e", "event.ingested", "tags", "user.name"}, a.Paths)
	equal(t, "paths of logs-b", []string{"@timestamp",
		"aws.cloudtrail.flattened.request_parameters.a.b", "aws.cloudtrail.flattened.request_parameters.c.d.e",
		"event.ingested", "files.name", "files.size", "n"}, b.Paths)
	holds := func(what string, span store.Span, from, to string) {
		t.Helper()
		first, _ := event.ParseTime(from)
		last, _ := event.ParseTime(to)
		if span.Empty() || span.From.After(first) || span.To.Before(last) {
			t.Errorf("%s: %s to %s does not hold %s to %s", what, span.From, span.To, from, to)
		}
	}
	holds("time of logs-a", a.Time, defaultTime, defaultTime)
	holds("time of logs-b", b.Time, "2026-03-01T23:59:59.999Z", "2026-03-03T00:00:00.001Z")
	holds("ingested of logs-a", a.Ingested, "2026-03-02", "2026-03-02")
	holds("ingested of logs-b", b.Ingested, "2026-03-04", "2026-03-05T00:00:00.500Z")
	list, err = s.Streams(ctx, []string{".hidden"})
	if err != nil || len(list) != 1 {
		t.Fatalf("streams: %v, %v", list, err)
	}
	holds("ingested of several values", list[0].Ingested, "2026-03-01T10:00:00.123Z", "2026-03-07")
	seq := second.Outcome.Seq
	if a.Seq.First == 0 || a.Seq.First > a.Seq.Last || b.Seq.Last != seq || b.Seq.First >= seq || a.Seq.Last >= seq {
		t.Errorf("sequence numbers of the streams: %v and %v, the last commit is %d", a.Seq, b.Seq, seq)
	}
}

func snapshots(t *testing.T, s *suite) {
	var at []store.Snapshot
	for n := 1; n <= 4; n++ {
		// The third commit is of an earlier day than the others.
		when := day(10)
		if n == 3 {
			when = day(2)
		}
		s.apply(n, &store.Change{Events: []*event.Event{doc("logs-a", fmt.Sprint(n), fmt.Sprintf(`{"@timestamp":%q}`, when))}})
		at = append(at, s.latest())
	}
	f := func(after, upTo int, want string) {
		t.Helper()
		snap := at[upTo-1]
		if after > 0 {
			snap.After = at[after-1].Seq
		}
		var got []string
		for _, e := range s.rows(plan.Scan{}, snap) {
			got = append(got, e.ID)
		}
		slices.Sort(got)
		equal(t, fmt.Sprintf("after %d, up to %d", after, upTo), want, fmt.Sprint(got))
	}
	f(0, 4, "[1 2 3 4]")
	f(0, 1, "[1]")
	f(0, 3, "[1 2 3]")
	f(2, 4, "[3 4]")
	f(2, 3, "[3]")
	f(3, 3, "[]")
	equal(t, "the empty snapshot", 0, len(s.rows(plan.Scan{}, store.Snapshot{})))
	for i, snap := range at {
		if !snap.Committed.Equal(commitTime(i+1)) || i > 0 && snap.Seq <= at[i-1].Seq {
			t.Errorf("snapshot %d: %+v", i+1, snap)
		}
	}
}

func landings(t *testing.T, s *suite) {
	ctx := context.Background()
	after := ""
	// next returns the landings since it was asked last.
	next := func() (out []store.Landing) {
		t.Helper()
		list, err := s.List(ctx, store.LandingKind, after, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			l, err := store.ParseLanding(r)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "ID of a landing", store.LandingID(l.Seq, l.Stream), r.ID)
			out, after = append(out, l), r.ID
		}
		return out
	}
	span := func(from, to string) store.Span {
		f, _ := event.ParseTime(from)
		u, _ := event.ParseTime(to)
		return store.Span{From: f, To: u}
	}
	c := s.apply(1, &store.Change{Events: []*event.Event{
		doc("logs-b", "1", `{"@timestamp":"2026-03-01T10:00:00Z"}`),
		doc("logs-a", "2", `{"@timestamp":"2026-03-01T10:00:00Z","event":{"ingested":"2026-03-01T11:00:00Z"}}`),
		doc("logs-a", "3", `{"@timestamp":"2026-03-01T10:14:59.999Z","event":{"ingested":"2026-03-01T11:00:00.001Z"}}`),
		doc("logs-a", "4", `{"@timestamp":"2026-03-05T00:00:00Z"}`),
	}})
	equal(t, "landings of the first commit", []store.Landing{
		{Seq: c.Outcome.Seq, Stream: "logs-a",
			Time:     []store.Span{span("2026-03-01T10:00:00Z", "2026-03-01T10:14:59.999Z"), span("2026-03-05", "2026-03-05")},
			Ingested: []store.Span{span("2026-03-01T11:00:00Z", "2026-03-01T11:00:00.001Z"), span("2026-03-05", "2026-03-05")}},
		{Seq: c.Outcome.Seq, Stream: "logs-b",
			Time:     []store.Span{span("2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z")},
			Ingested: []store.Span{span("2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z")}},
	}, next())
	// What is not stored lands nowhere.
	s.apply(2, &store.Change{Events: []*event.Event{doc("logs-b", "1", `{"@timestamp":"2026-03-01T10:00:00Z"}`)}})
	equal(t, "landings of duplicates", 0, len(next()))
	s.apply(3, &store.Change{Records: []store.RecordWrite{{Kind: "rule", ID: "r", Data: []byte(`{}`)}}})
	equal(t, "landings of records", 0, len(next()))
	// A conflict does; a live event lands at the stamp; alerts land as well.
	s.apply(4, &store.Change{Live: true, Events: []*event.Event{doc("logs-b", "1", `{"n":2,"@timestamp":"2026-03-01T10:00:00Z"}`)},
		Alerts: []*event.Event{doc("", "a", `{"@timestamp":"2026-03-02T00:00:00Z"}`)}})
	got := next()
	if len(got) != 2 || got[0].Stream != store.AlertStream || got[1].Stream != "logs-b" {
		t.Fatalf("landings of a conflict and an alert: %+v", got)
	}
	equal(t, "the landing of a live event", []store.Span{{From: commitTime(4), To: commitTime(4)}}, got[1].Ingested)
	// Of several times of ingestion each counts, in whatever form; where none can be read, the event's time does.
	c = s.apply(5, &store.Change{Events: []*event.Event{
		doc("logs-d", "1", `{"@timestamp":"2026-03-02T00:00:00Z","event":{"ingested":[1772359200123,["2026-03-09"],"never"]}}`),
		doc("logs-d", "2", `{"@timestamp":"2026-03-04T00:00:00Z","event":{"ingested":"never"}}`),
	}})
	equal(t, "the landing of several times", []store.Landing{{Seq: c.Outcome.Seq, Stream: "logs-d",
		Time: []store.Span{span("2026-03-02", "2026-03-02"), span("2026-03-04", "2026-03-04")},
		Ingested: []store.Span{span("2026-03-01T10:00:00.123Z", "2026-03-01T10:00:00.123Z"), span("2026-03-04", "2026-03-04"),
			span("2026-03-09", "2026-03-09")}}}, next())
	// Many far apart are covered by a bounded number of spans.
	var many []*event.Event
	for i := range 300 {
		when := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Hour)
		many = append(many, doc("logs-c", fmt.Sprint(i), fmt.Sprintf(`{"@timestamp":%q}`, event.FormatTime(when))))
	}
	s.apply(6, &store.Change{Events: many})
	got = next()
	if len(got) != 1 || len(got[0].Time) == 0 || len(got[0].Time) > store.MaxLandingSpans {
		t.Fatalf("landings of many hours: %d", len(got))
	}
	for _, e := range many {
		when, _ := event.ParseTime(e.Text(plan.Timestamp))
		if !slices.ContainsFunc(got[0].Time, func(s store.Span) bool { return !when.Before(s.From) && !when.After(s.To) }) {
			t.Errorf("no span of the landing holds %s", when)
		}
	}
}
