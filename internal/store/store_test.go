package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

func TestSelects(t *testing.T) {
	f := func(patterns, selected, others string) {
		t.Helper()
		list := strings.Fields(patterns)
		if patterns == "nil" {
			list = nil
		}
		for _, s := range strings.Fields(selected) {
			if !store.Selects(list, s) {
				t.Errorf("%q does not select %s", list, s)
			}
		}
		for _, s := range strings.Fields(others) {
			if store.Selects(list, s) {
				t.Errorf("%q selects %s", list, s)
			}
		}
	}
	f("nil", "logs-a .hidden", store.AlertStream)
	f("", "", "logs-a .hidden "+store.AlertStream)
	f("logs-a", "logs-a", "logs-aa Logs-a alogs-a")
	f("*", "logs-a x", ".hidden "+store.AlertStream)
	f("logs-*", "logs- logs-a logs-a-b", "log xlogs-a .logs-a")
	f("logs-*-prod", "logs-a-prod logs--prod", "logs-prod logs-a-prod2")
	f("*a*b*", "ab xaxbx", "ba")
	f(".alerts-*", store.AlertStream, "alerts-x .hidden")
	f(".*", store.AlertStream+" .hidden", "logs-a")
	f("logs-* -logs-a", "logs-b", "logs-a")
	f("-logs-a logs-*", "logs-a logs-b", "") // a minus takes from those before it
	f("logs-* -logs-* logs-a", "logs-a", "logs-b")
	f("-logs-a", "", "logs-a logs-b")
	f(".* -*", store.AlertStream, "logs-a") // no wildcard takes a dotted stream away either
	f(".* -.alerts*", ".hidden", store.AlertStream)
	f("logs-? [l]ogs", "", "logs-a logs") // only the star is wild
	f("logs-a metrics", "logs-a metrics", "logs-b")
}

// TestCluster holds that the spans hold every time and little else.
func TestCluster(t *testing.T) {
	base := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f := func(minutes, want string) {
		t.Helper()
		var times []time.Time
		for _, m := range strings.Fields(minutes) {
			var n int
			if _, err := fmt.Sscan(m, &n); err != nil {
				t.Fatal(err)
			}
			times = append(times, base.Add(time.Duration(n)*time.Minute))
		}
		var got []string
		for _, s := range store.Cluster(times) {
			got = append(got, fmt.Sprintf("%v-%v", s.From.Sub(base).Minutes(), s.To.Sub(base).Minutes()))
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: %s, want %s", minutes, text, want)
		}
	}
	f("", "")
	f("5", "5-5")
	f("5 5 5", "5-5")
	f("0 15 30", "0-30")
	f("0 16", "0-0 16-16")
	f("100 0 10 90", "0-10 90-100") // in any order
	f("0 15 31 46 62", "0-15 31-46 62-62")

	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 0))
		times := make([]time.Time, 1+r.IntN(300))
		spread := []int{10_000, 100_000, 300_000, 10_000_000}[r.IntN(4)]
		for i := range times {
			times[i] = base.Add(time.Duration(r.IntN(spread)) * time.Second)
		}
		if why := badlyClustered(times, store.Cluster(slices.Clone(times))); why != "" {
			t.Errorf("seed %d: %s", seed, why)
		}
	}
}

// badlyClustered says what is wrong with the spans, or nothing.
func badlyClustered(times []time.Time, spans []store.Span) string {
	if len(spans) > store.MaxLandingSpans {
		return fmt.Sprintf("%d spans", len(spans))
	}
	slices.SortFunc(times, time.Time.Compare)
	within := func(a, b time.Time) bool { // whether one span holds both
		return slices.ContainsFunc(spans, func(s store.Span) bool { return !a.Before(s.From) && !b.After(s.To) })
	}
	if !within(times[0], times[0]) {
		return fmt.Sprintf("no span holds %s", times[0])
	}
	var bridged, open time.Duration = 0, 1 << 62 // the widest gap within a span, the narrowest between two
	for i := 1; i < len(times); i++ {
		if !within(times[i], times[i]) {
			return fmt.Sprintf("no span holds %s", times[i])
		}
		if gap := times[i].Sub(times[i-1]); within(times[i-1], times[i]) {
			bridged = max(bridged, gap)
		} else {
			open = min(open, gap)
		}
	}
	switch {
	case bridged >= open:
		return fmt.Sprintf("a gap of %s is bridged, one of %s is not", bridged, open)
	case bridged > 15*time.Minute && len(spans) < store.MaxLandingSpans/2:
		return fmt.Sprintf("a gap of %s is bridged though there are only %d spans", bridged, len(spans))
	case open <= 15*time.Minute:
		return fmt.Sprintf("a gap of %s is not bridged", open)
	}
	for i := range spans {
		if spans[i].Empty() || !slices.ContainsFunc(times, spans[i].From.Equal) || !slices.ContainsFunc(times, spans[i].To.Equal) {
			return fmt.Sprintf("span %v does not begin and end at a time", spans[i])
		}
		if i > 0 && !spans[i].From.After(spans[i-1].To) {
			return fmt.Sprintf("spans %v and %v overlap", spans[i-1], spans[i])
		}
	}
	return ""
}

func TestLanding(t *testing.T) {
	when := time.Date(2026, 3, 1, 1, 2, 3, 4_000_000, time.UTC)
	l := store.Landing{Seq: 77, Stream: "logs-a", Time: []store.Span{{From: when, To: when.Add(time.Hour)}}, Ingested: []store.Span{{From: when, To: when}}}
	w, err := l.Record()
	if err != nil {
		t.Fatal(err)
	}
	if w.Kind != store.LandingKind || w.ID != store.LandingID(77, "logs-a") || w.IfVersion != 0 {
		t.Errorf("the record is %s/%s if %d", w.Kind, w.ID, w.IfVersion)
	}
	got, err := store.ParseLanding(store.Record{Kind: w.Kind, ID: w.ID, Data: w.Data})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if _, err := store.ParseLanding(store.Record{ID: "x", Data: []byte("{")}); err == nil || !strings.Contains(err.Error(), "decode landing x") {
		t.Errorf("a broken record: %v", err)
	}
	// IDs sort by sequence number, and those after one are found by the ID of the next without a stream.
	if ids := []string{store.LandingID(9, "z"), store.LandingID(10, ""), store.LandingID(10, "a"), store.LandingID(255, "a"),
		store.LandingID(256, ""), store.LandingID(1<<40, "a"), store.LandingID(1<<63, "a")}; !slices.IsSorted(ids) {
		t.Errorf("out of order: %q", ids)
	}
}

func TestDay(t *testing.T) {
	f := func(when string, want store.Day, start string) {
		t.Helper()
		at, err := time.Parse(time.RFC3339Nano, when)
		if err != nil {
			t.Fatal(err)
		}
		got := store.DayOf(at)
		if got != want || got.Start().Format(time.RFC3339) != start {
			t.Errorf("%s is of day %d, which begins %s; want %d, %s", when, got, got.Start().Format(time.RFC3339), want, start)
		}
	}
	f("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z")
	f("1970-01-01T23:59:59.999999999Z", 0, "1970-01-01T00:00:00Z")
	f("1970-01-02T00:00:00Z", 1, "1970-01-02T00:00:00Z")
	f("1969-12-31T23:59:59.999Z", -1, "1969-12-31T00:00:00Z")
	f("1969-12-31T00:00:00Z", -1, "1969-12-31T00:00:00Z")
	f("1969-12-30T23:59:59Z", -2, "1969-12-30T00:00:00Z")
	f("2026-03-01T23:30:00-01:00", 20514, "2026-03-02T00:00:00Z") // the day in UTC
	f("0000-01-01T00:00:00Z", -719528, "0000-01-01T00:00:00Z")
	f("9999-12-31T23:59:59Z", 2932896, "9999-12-31T00:00:00Z")
}

func TestSpan(t *testing.T) {
	a, b, c := time.Unix(1, 0).UTC(), time.Unix(2, 0).UTC(), time.Unix(3, 0).UTC()
	f := func(s store.Span, empty bool) {
		t.Helper()
		if s.Empty() != empty {
			t.Errorf("%v is empty: %t", s, s.Empty())
		}
	}
	f(store.Span{}, true)
	f(store.Span{From: a, To: a}, false)
	f(store.Span{From: a, To: b}, false)
	f(store.Span{From: b, To: a}, true)
	for _, order := range [][]time.Time{{a, b, c}, {c, b, a}, {b, a, c}, {b, c, a}} {
		var s store.Span
		for _, x := range order {
			s = s.Include(x)
		}
		if s != (store.Span{From: a, To: c}) {
			t.Errorf("%v included: %v", order, s)
		}
	}
}

// TestMerge holds that sightings come to the same whatever the order in which they are merged, and in whatever parts.
func TestMerge(t *testing.T) {
	base := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "events")
		events := make([]store.Sighting, n)
		for i := range events {
			at := base.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "at")) * time.Second)
			events[i] = store.Sighting{First: at, Last: at, Count: 1, FirstEvent: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "id")}
		}
		want := store.Sighting{First: events[0].First, Last: events[0].Last, FirstEvent: "z", Count: int64(n)}
		for _, e := range events {
			if e.First.Before(want.First) {
				want.First = e.First
			}
			if e.Last.After(want.Last) {
				want.Last = e.Last
			}
		}
		for _, e := range events {
			if e.First.Equal(want.First) {
				want.FirstEvent = min(want.FirstEvent, e.FirstEvent)
			}
		}
		// Merge random neighbours until one is left.
		parts := rapid.Permutation(events).Draw(t, "order")
		parts = append([]store.Sighting{{}}, parts...) // one of nothing changes nothing
		for len(parts) > 1 {
			i := rapid.IntRange(0, len(parts)-2).Draw(t, "which")
			parts[i].Merge(parts[i+1])
			parts = slices.Delete(parts, i+1, i+2)
		}
		if parts[0] != want {
			t.Fatalf("merged %+v, want %+v", parts[0], want)
		}
		before := parts[0]
		parts[0].Merge(store.Sighting{})
		if parts[0] != before {
			t.Fatal("a sighting of nothing changed it")
		}
	})
}

func TestConflictID(t *testing.T) {
	a, b := store.ConflictID("id", []byte("a")), store.ConflictID("id", []byte("b"))
	if a == b || a != store.ConflictID("id", []byte("a")) || a == store.ConflictID("di", []byte("a")) || !strings.HasPrefix(a, "id-") {
		t.Errorf("conflict IDs %s and %s", a, b)
	}
	if got := (store.Tuple{0: 0xab, 15: 1}).String(); got != "ab000000000000000000000000000001" {
		t.Errorf("a tuple prints as %s", got)
	}
}

func TestUnsupported(t *testing.T) {
	err := fmt.Errorf("query: %w", &store.Unsupported{Node: plan.Limit{}, Why: "it is no use"})
	var no *store.Unsupported
	if !errors.As(err, &no) || err.Error() != "query: unsupported plan node plan.Limit: it is no use" {
		t.Error(err)
	}
}
