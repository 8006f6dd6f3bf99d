package window_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tocsin-sec/tocsin/internal/window"
	"pgregory.net/rapid"
)

func TestFloorCeil(t *testing.T) {
	f := func(s string, every time.Duration, floor, ceil string) {
		t.Helper()
		read := func(s string) time.Time {
			v, err := time.Parse(time.RFC3339Nano, s)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if got := window.Floor(read(s), every); !got.Equal(read(floor)) || got.Location() != time.UTC {
			t.Errorf("floor of %s by %s: %s, want %s", s, every, got, floor)
		}
		if got := window.Ceil(read(s), every); !got.Equal(read(ceil)) || got.Location() != time.UTC {
			t.Errorf("ceil of %s by %s: %s, want %s", s, every, got, ceil)
		}
	}
	f("2024-03-05T10:00:00Z", 5*time.Minute, "2024-03-05T10:00:00Z", "2024-03-05T10:00:00Z")
	f("2024-03-05T10:00:00.001Z", 5*time.Minute, "2024-03-05T10:00:00Z", "2024-03-05T10:05:00Z")
	f("2024-03-05T10:00:00.0000001Z", 5*time.Minute, "2024-03-05T10:00:00Z", "2024-03-05T10:05:00Z")
	f("2024-03-05T10:04:59.999Z", 5*time.Minute, "2024-03-05T10:00:00Z", "2024-03-05T10:05:00Z")
	f("2024-03-05T12:04:00+02:00", time.Hour, "2024-03-05T10:00:00Z", "2024-03-05T11:00:00Z")
	f("1969-12-31T23:59:00Z", 5*time.Minute, "1969-12-31T23:55:00Z", "1970-01-01T00:00:00Z")
	// Counted since 1970, which was 474,898 = 4 mod 7 = 8 mod 13 hours before: not from midnight.
	f("2024-03-05T10:00:00Z", 7*time.Hour, "2024-03-05T06:00:00Z", "2024-03-05T13:00:00Z")
	f("2024-03-05T10:00:00Z", 13*time.Hour, "2024-03-05T02:00:00Z", "2024-03-05T15:00:00Z")
}

func TestOver(t *testing.T) {
	s := schedule(t, "5m", "now-6m", "now", "")
	f := func(from, to, want string, n int64) {
		t.Helper()
		got := s.Over(window.Span{From: at(t, from), To: at(t, to)})
		if text := fmt.Sprintf("%s … %s", show(got.First), show(got.Last)); text != want || got.Len() != n {
			t.Errorf("%s … %s: %s (%d), want %s (%d)", from, to, text, got.Len(), want, n)
		}
	}
	f("mar 5 10:01", "mar 5 10:14", "mar 5 10:05 … mar 5 10:15", 3)
	f("mar 5 10:00", "mar 5 10:15", "mar 5 10:05 … mar 5 10:15", 3) // after the start, at the end
	f("mar 5 10:00:00.001", "mar 5 10:15:00.001", "mar 5 10:05 … mar 5 10:20", 4)
	f("mar 5 10:01", "mar 5 10:01", "mar 5 10:05 … mar 5 10:05", 1)
	f("mar 5 10:00", "mar 5 10:00", "mar 5 10:05 … mar 5 10:05", 1) // the only event lies on a slot
	f("mar 5 10:00", "mar 5 09:00", "- … -", 0)
	f("-", "-", "- … -", 0)
}

func TestSlotsAll(t *testing.T) {
	s := window.Slots{First: at(t, "mar 5 10:00"), Last: at(t, "mar 5 10:10"), Every: 5 * time.Minute}
	var got []string
	for slot := range s.All() {
		got = append(got, show(slot))
	}
	if diff := cmp.Diff([]string{"mar 5 10:00", "mar 5 10:05", "mar 5 10:10"}, got); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	for range (window.Slots{}).All() {
		t.Error("the zero Slots has a slot")
	}
	// Millennia of slots cost nothing until they are walked.
	ages := schedule(t, "1s", "now-6m", "now", "").Over(window.Span{From: time.Unix(-62167219200, 0), To: time.Unix(253402300799, 0)})
	if ages.Len() != 315569519999 {
		t.Errorf("ten millennia have %d seconds", ages.Len())
	}
	// No slot is later than a document can say.
	end := window.AllTime().To
	last := schedule(t, "5m", "now-6m", "now", "").Over(window.Span{From: end.Add(-time.Hour), To: end})
	if last.Len() != 12 || last.Last.Year() != 9999 {
		t.Errorf("the last hour has %d slots up to %s", last.Len(), last.Last)
	}
	if n := schedule(t, "5m", "now-6m", "now", "").Over(window.Span{From: end, To: end}).Len(); n != 0 {
		t.Errorf("the last moment has %d slots", n)
	}
}

// runs prints runs of slots.
func runs(list []window.Slots) []string {
	out := []string{}
	for _, r := range list {
		out = append(out, show(r.First)+" … "+show(r.Last))
	}
	return out
}

func TestHolding(t *testing.T) {
	f := func(interval, from, to, event string, want ...string) {
		t.Helper()
		s := schedule(t, interval, from, to, "")
		within := s.Over(window.Span{From: at(t, "mar 1"), To: at(t, "mar 31")})
		if diff := cmp.Diff(append([]string{}, want...), runs(s.Holding(at(t, event), within))); diff != "" {
			t.Errorf("every %s, %s … %s, event at %s (-want +got):\n%s", interval, from, to, event, diff)
		}
	}
	f("5m", "now-5m", "now", "mar 5 10:01", "mar 5 10:05 … mar 5 10:05")
	f("5m", "now-5m", "now", "mar 5 10:00", "mar 5 10:00 … mar 5 10:05") // both ends included
	f("5m", "now-5m", "now", "mar 5 10:00:00.001", "mar 5 10:05 … mar 5 10:05")
	f("5m", "now-9m", "now", "mar 5 10:01", "mar 5 10:05 … mar 5 10:10")
	f("5m", "now-9m", "now", "mar 5 10:00:59.999", "mar 5 10:05 … mar 5 10:05")
	f("1h", "now-5m", "now", "mar 5 10:01") // between two windows
	f("5m", "now-16m", "now-10m", "mar 5 10:01", "mar 5 10:15 … mar 5 10:15")
	f("1h", "now-1d/d", "now/d", "mar 5 10:01", "mar 6 00:00 … mar 6 23:00")
	f("1d", "2024-03-03", "now", "mar 29 10:01", "mar 30 00:00 … mar 31 00:00")
	f("5m", "now-5m", "now", "apr 5 10:01")
	f("5m", "now-5m", "now", "feb 5 10:01")
	// 29, 30 and 31 March - 1M are all 29 February: the window comes back to the same event every day.
	f("1h", "now-1M", "now-1M+2h", "feb 29 10:30",
		"mar 29 09:00 … mar 29 10:00", "mar 30 09:00 … mar 30 10:00")
}

func TestTouching(t *testing.T) {
	s := schedule(t, "5m", "now-9m", "now", "")
	within := s.Over(window.Span{From: at(t, "mar 5"), To: at(t, "mar 6")})
	f := func(from, to string, want ...string) {
		t.Helper()
		got := runs(s.Touching(window.Span{From: at(t, from), To: at(t, to)}, within))
		if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
			t.Errorf("%s … %s (-want +got):\n%s", from, to, diff)
		}
	}
	f("mar 5 10:01", "mar 5 10:30", "mar 5 10:05 … mar 5 10:35")
	f("mar 4", "mar 5 00:02", "mar 5 00:05 … mar 5 00:10")
	f("mar 4", "mar 8", "mar 5 00:05 … mar 6 00:00")
	f("mar 3", "mar 4")
}

func TestSplit(t *testing.T) {
	s := schedule(t, "5m", "now-6m", "now", "")
	within := s.Over(window.Span{From: at(t, "mar 5 10:00"), To: at(t, "mar 5 12:00")})
	f := func(held, empty []string, times ...string) {
		t.Helper()
		var list []time.Time
		for _, s := range times {
			list = append(list, at(t, s))
		}
		gotHeld, gotEmpty := s.Split(list, within)
		if diff := cmp.Diff(held, runs(gotHeld)); diff != "" {
			t.Errorf("held with %v (-want +got):\n%s", times, diff)
		}
		if diff := cmp.Diff(empty, runs(gotEmpty)); diff != "" {
			t.Errorf("empty with %v (-want +got):\n%s", times, diff)
		}
	}
	all := "mar 5 10:05 … mar 5 12:00"
	f([]string{}, []string{all})
	f([]string{"mar 5 10:35 … mar 5 10:35"}, []string{"mar 5 10:05 … mar 5 10:30", "mar 5 10:40 … mar 5 12:00"}, "mar 5 10:32", "mar 5 10:32")
	f([]string{"mar 5 10:35 … mar 5 10:45"}, []string{"mar 5 10:05 … mar 5 10:30", "mar 5 10:50 … mar 5 12:00"}, "mar 5 10:32", "mar 5 10:36", "mar 5 10:43")
	f([]string{"mar 5 10:35 … mar 5 10:50"}, []string{"mar 5 10:05 … mar 5 10:30", "mar 5 10:55 … mar 5 12:00"}, "mar 5 10:32", "mar 5 10:36", "mar 5 10:44")
	// One at the very start of a window, and one at the very end.
	f([]string{"mar 5 10:40 … mar 5 10:45"}, []string{"mar 5 10:05 … mar 5 10:35", "mar 5 10:50 … mar 5 12:00"}, "mar 5 10:36", "mar 5 10:39")
	f([]string{"mar 5 10:40 … mar 5 10:40"}, []string{"mar 5 10:05 … mar 5 10:35", "mar 5 10:45 … mar 5 12:00"}, "mar 5 10:36", "mar 5 10:38:59.999")
	f([]string{"mar 5 10:40 … mar 5 10:50"}, []string{"mar 5 10:05 … mar 5 10:35", "mar 5 10:55 … mar 5 12:00"}, "mar 5 10:39", "mar 5 10:40", "mar 5 10:40:00.001", "mar 5 10:44")
	f([]string{"mar 5 10:05 … mar 5 10:05", "mar 5 12:00 … mar 5 12:00"}, []string{"mar 5 10:10 … mar 5 11:55"}, "mar 5 09:59", "mar 5 11:58")
}

func TestMerge(t *testing.T) {
	var slots []time.Time
	for _, s := range []string{"mar 5 10:00", "mar 5 10:05", "mar 5 10:15", "mar 5 10:20", "mar 5 11:00"} {
		slots = append(slots, at(t, s))
	}
	want := []string{"mar 5 10:00 … mar 5 10:05", "mar 5 10:15 … mar 5 10:20", "mar 5 11:00 … mar 5 11:00"}
	if diff := cmp.Diff(want, runs(window.Merge(slots, 5*time.Minute))); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
}

func TestWithout(t *testing.T) {
	every := 5 * time.Minute
	slots := func(list ...string) []window.Slots {
		var out []window.Slots
		for i := 0; i < len(list); i += 2 {
			out = append(out, window.Slots{First: at(t, "mar 5 "+list[i]), Last: at(t, "mar 5 "+list[i+1]), Every: every})
		}
		return out
	}
	f := func(from, taken []window.Slots, want ...string) {
		t.Helper()
		full := []string{}
		for _, r := range slots(want...) {
			full = append(full, runs([]window.Slots{r})...)
		}
		if diff := cmp.Diff(full, runs(window.Without(from, taken))); diff != "" {
			t.Errorf("%v without %v (-want +got):\n%s", runs(from), runs(taken), diff)
		}
	}
	hour := slots("10:00", "11:00")
	f(hour, nil, "10:00", "11:00")
	f(nil, hour)
	f(hour, hour)
	f(hour, slots("09:00", "12:00"))
	f(hour, slots("10:30", "10:30"), "10:00", "10:25", "10:35", "11:00")
	f(hour, slots("10:50", "12:00", "09:00", "10:05"), "10:10", "10:45")
	f(hour, slots("10:10", "10:30", "10:20", "10:40"), "10:00", "10:05", "10:45", "11:00")
	f(hour, slots("11:05", "12:00"), "10:00", "11:00")
	f(hour, slots("10:30", "10:00"), "10:00", "11:00") // no slots
	f(slots("10:30", "11:00", "10:00", "10:25"), nil, "10:00", "11:00")
	f(slots("12:00", "12:10", "10:00", "10:10"), slots("10:05", "12:05"), "10:00", "10:00", "12:10", "12:10")
}

// Asking where an event belongs gives the same slots as trying every one of them.
func TestHoldingIsEverySlotTried(t *testing.T) {
	bounds := []string{"now", "now-5m", "now-6m", "now-119m", "now-1d", "now/d", "now-1d/d", "now-1w/w", "now+3h", "now-1M",
		"now-1M/d", "now-1M+1M", "now-1y/M", "2024-03-05T10:00:00Z", "now-2M/y+1M"}
	starts := []string{"2024-03-05T10:00:00Z", "2024-03-29T00:00:00Z", "2024-12-31T20:00:00Z", "2023-02-27T00:00:00Z", "1969-12-31T00:00:00Z"}
	held := 0
	rapid.Check(t, func(t *rapid.T) {
		spec := window.Spec{
			Interval: rapid.SampledFrom([]string{"7m", "1h", "5h", "1d"}).Draw(t, "interval"),
			From:     rapid.SampledFrom(bounds).Draw(t, "from"), To: rapid.SampledFrom(bounds).Draw(t, "to"),
		}
		s, err := window.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		start, _ := time.Parse(time.RFC3339, rapid.SampledFrom(starts).Draw(t, "start"))
		within := window.Slots{First: window.Ceil(start, s.Interval()), Every: s.Interval()}
		within.Last = within.First.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "slots")) * s.Interval())
		var times []time.Time
		for range rapid.IntRange(1, 5).Draw(t, "events") {
			near, err := s.Window(within.First.Add(time.Duration(rapid.IntRange(-5, 205).Draw(t, "near")) * s.Interval()))
			if err != nil {
				t.Fatal(err)
			}
			base := rapid.SampledFrom([]time.Time{near.From, near.To, near.Slot}).Draw(t, "base")
			times = append(times, base.Add(time.Duration(rapid.SampledFrom([]int{-3_600_000, -1, 0, 1, 3_600_000}).Draw(t, "ms"))*time.Millisecond))
		}
		slices.SortFunc(times, time.Time.Compare)

		var wantHeld, wantEmpty []time.Time
		for slot := range within.All() {
			w, err := s.Window(slot)
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(times, w.Span().Contains) {
				wantHeld = append(wantHeld, slot)
			} else {
				wantEmpty = append(wantEmpty, slot)
			}
		}
		gotHeld, gotEmpty := s.Split(times, within)
		if diff := cmp.Diff(runs(window.Merge(wantHeld, s.Interval())), runs(gotHeld)); diff != "" {
			t.Fatalf("%+v, events at %v: held (-want +got):\n%s", spec, times, diff)
		}
		if diff := cmp.Diff(runs(window.Merge(wantEmpty, s.Interval())), runs(gotEmpty)); diff != "" {
			t.Fatalf("%+v, events at %v: empty (-want +got):\n%s", spec, times, diff)
		}
		held += len(wantHeld)
	})
	if held < 100 {
		t.Errorf("only %d slots held an event: the test shows nothing", held)
	}
}

// What Over gives looks at all data of the span when windows reach back by an interval at least.
func TestOverLooksAtEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := window.New(window.Spec{Interval: "5m", From: rapid.SampledFrom([]string{"now-5m", "now-6m", "now-1h"}).Draw(t, "from"), To: "now"})
		if err != nil {
			t.Fatal(err)
		}
		from := time.UnixMilli(rapid.Int64Range(-1e9, 2e12).Draw(t, "begin") / 1000 * 1000)
		span := window.Span{From: from, To: from.Add(time.Duration(rapid.Int64Range(0, 1e7).Draw(t, "length")) * time.Millisecond)}
		var seen []window.Span
		for slot := range s.Over(span).All() {
			w, err := s.Window(slot)
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, w.Span())
		}
		if missed := window.NewSpans(span).Subtract(window.NewSpans(seen...)); len(missed) > 0 {
			t.Fatalf("%v: nobody looks at %v", span, missed)
		}
	})
}
