package storetest

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// march is the first of March 2026.
const march store.Day = 20513

// seen is one sighting of the tuple on a day of March, at an hour, in the segment of the day that the event was of.
func seen(program string, tuple byte, on, segment, hour int) store.Sighting {
	at := (march + store.Day(on-1)).Start().Add(time.Duration(hour) * time.Hour)
	return store.Sighting{Program: program, Tuple: store.Tuple{0: tuple}, Day: march + store.Day(on-1), Stream: "logs-a",
		Segment: march + store.Day(segment-1), First: at, Last: at, Count: 1, FirstEvent: fmt.Sprintf("h%02d", hour)}
}

// sightings returns the sorted rows of the program, printed.
func (s *suite) sightings(program string, tuples []store.Tuple) []string {
	s.t.Helper()
	rows, err := s.Sightings(context.Background(), program, tuples)
	if err != nil {
		s.t.Fatal(err)
	}
	out := make([]string, len(rows))
	for i, r := range rows {
		if r.Program != program {
			s.t.Errorf("sightings of %s: one of %s", program, r.Program)
		}
		out[i] = fmt.Sprintf("%d on %d in %s/%d: %s-%s ×%d %s", r.Tuple[0], r.Day-march+1, r.Stream, r.Segment-march+1,
			r.First.UTC().Format("15:04:05.000"), r.Last.UTC().Format("15:04:05.000"), r.Count, r.FirstEvent)
	}
	sort.Strings(out)
	return out
}

func sightings(t *testing.T, s *suite) {
	if got := march.Start(); !got.Equal(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)) {
		t.Fatalf("the first of March is taken for %s", got)
	}
	n := 0
	add := func(rows ...store.Sighting) {
		t.Helper()
		n++
		s.apply(n, &store.Change{Sightings: rows})
	}
	f := func(program string, tuples []store.Tuple, want string) {
		t.Helper()
		equal(t, "sightings of "+program, want, strings.Join(s.sightings(program, tuples), "\n"))
	}
	days := func(program string, want map[store.Day]int64) {
		t.Helper()
		got, err := s.SightingDays(context.Background(), program)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 && len(want) == 0 {
			return
		}
		equal(t, "sightings a day of "+program, want, got)
	}
	f("p", nil, "")
	days("p", nil)
	add(seen("p", 1, 1, 1, 10))
	f("p", nil, "1 on 1 in logs-a/1: 10:00:00.000-10:00:00.000 ×1 h10")
	// Later, earlier, between, and at the same instant with a lesser ID.
	add(seen("p", 1, 1, 1, 12))
	f("p", nil, "1 on 1 in logs-a/1: 10:00:00.000-12:00:00.000 ×2 h10")
	add(seen("p", 1, 1, 1, 9), seen("p", 1, 1, 1, 11))
	f("p", nil, "1 on 1 in logs-a/1: 09:00:00.000-12:00:00.000 ×4 h09")
	lesser, greater := seen("p", 1, 1, 1, 9), seen("p", 1, 1, 1, 9)
	lesser.FirstEvent, greater.FirstEvent = "a", "z"
	add(greater, lesser)
	f("p", nil, "1 on 1 in logs-a/1: 09:00:00.000-12:00:00.000 ×6 a")
	// Rows of many, to the millisecond.
	many := seen("p", 1, 1, 1, 20)
	many.Last, many.Count = many.Last.Add(time.Hour+time.Millisecond), 1_000_000_000_000
	add(many)
	f("p", nil, "1 on 1 in logs-a/1: 09:00:00.000-21:00:00.001 ×1000000000006 a")
	// Apart by tuple, day, segment, stream and program.
	other := seen("p", 3, 2, 1, 5)
	other.Stream = "logs-b"
	last := seen("p", 3, 2, 1, 6)
	last.Tuple = store.Tuple{0: 3, 15: 1}
	add(seen("p", 2, 1, 1, 1), seen("p", 2, 2, 1, 2), seen("p", 2, 2, 2, 3), seen("p", 3, 2, 1, 4), other, last, seen("q", 2, 1, 1, 7))
	f("q", nil, "2 on 1 in logs-a/1: 07:00:00.000-07:00:00.000 ×1 h07")
	f("p", []store.Tuple{{0: 2}}, `2 on 1 in logs-a/1: 01:00:00.000-01:00:00.000 ×1 h01
2 on 2 in logs-a/1: 02:00:00.000-02:00:00.000 ×1 h02
2 on 2 in logs-a/2: 03:00:00.000-03:00:00.000 ×1 h03`)
	f("p", []store.Tuple{{0: 3}, {0: 9}, {0: 1}}, `1 on 1 in logs-a/1: 09:00:00.000-21:00:00.001 ×1000000000006 a
3 on 2 in logs-a/1: 04:00:00.000-04:00:00.000 ×1 h04
3 on 2 in logs-b/1: 05:00:00.000-05:00:00.000 ×1 h05`)
	f("p", []store.Tuple{{0: 9}}, "")
	f("p", []store.Tuple{}, "")
	days("p", map[store.Day]int64{march: 1_000_000_000_007, march + 1: 5})
	days("q", map[store.Day]int64{march: 1})
	days("r", nil)
	// Many tuples, asked for all at once.
	var rows []store.Sighting
	var tuples []store.Tuple
	for i := range 3000 {
		r := seen("many", 0, 1, 1, i%24)
		r.Tuple = store.Tuple{0: byte(i), 1: byte(i >> 8)}
		rows = append(rows, r)
		tuples = append(tuples, r.Tuple)
	}
	add(rows...)
	add(rows...)
	equal(t, "rows of many tuples", 3000, len(s.sightings("many", tuples)))
	equal(t, "rows of some tuples", 1500, len(s.sightings("many", tuples[1500:])))
	days("many", map[store.Day]int64{march: 6000})
}

func forget(t *testing.T, s *suite) {
	f := func(program, want string) {
		t.Helper()
		equal(t, "sightings of "+program, want, strings.Join(s.sightings(program, nil), "\n"))
	}
	s.apply(1, &store.Change{Sightings: []store.Sighting{seen("p", 1, 1, 1, 10), seen("q", 1, 1, 1, 10)}})
	s.apply(2, &store.Change{Forget: []string{"p", "nothing"}})
	f("p", "")
	f("q", "1 on 1 in logs-a/1: 10:00:00.000-10:00:00.000 ×1 h10")
	// Forgotten first, then added.
	s.apply(3, &store.Change{Sightings: []store.Sighting{seen("q", 1, 1, 1, 12)}, Forget: []string{"q"}})
	f("q", "1 on 1 in logs-a/1: 12:00:00.000-12:00:00.000 ×1 h12")
	got, err := s.SightingDays(context.Background(), "q")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "days of q", map[store.Day]int64{march: 1}, got)
}
