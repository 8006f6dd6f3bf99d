package window_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// at reads "mar 5 10:00", "mar 5 10:00:00.001" and "mar 5" as times of 2024, and "-" as the zero time.
func at(t testing.TB, s string) time.Time {
	t.Helper()
	if s == "-" {
		return time.Time{}
	}
	for _, layout := range []string{"Jan 2", "Jan 2 15:04", "Jan 2 15:04:05.000"} {
		if v, err := time.Parse(layout, strings.ToUpper(s[:1])+s[1:]); err == nil {
			return v.AddDate(2024, 0, 0)
		}
	}
	t.Fatalf("%q is no time", s)
	return time.Time{}
}

func show(v time.Time) string {
	switch {
	case v.IsZero():
		return "-"
	case v.Nanosecond() == 0 && v.Second() == 0:
		return strings.ToLower(v.Format("Jan 2 15:04"))
	}
	return strings.ToLower(v.Format("Jan 2 15:04:05.000"))
}

func schedule(t testing.TB, interval, from, to, history string) window.Schedule {
	t.Helper()
	s, err := window.New(window.Spec{Interval: interval, From: from, To: to, History: history})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWindow(t *testing.T) {
	f := func(from, to, history, slot, want string) {
		t.Helper()
		w, err := schedule(t, "5m", from, to, history).Window(at(t, slot))
		if err != nil {
			t.Errorf("%s … %s, history %s, at %s: %v", from, to, history, slot, err)
			return
		}
		got := fmt.Sprintf("%s | %s … %s", show(w.History), show(w.From), show(w.To))
		if got != want || show(w.Slot) != slot || w.Clamped {
			t.Errorf("%s … %s, history %s, at %s: %s, want %s", from, to, history, slot, got, want)
		}
	}
	f("now-6m", "now", "", "mar 5 10:00", "- | mar 5 09:54 … mar 5 10:00")
	f("now-9m", "now", "now-15d", "mar 5 10:00", "feb 19 10:00 | mar 5 09:51 … mar 5 10:00")
	f("now-1d/d", "now/d", "now-7d", "mar 5 10:00", "feb 27 00:00 | mar 4 00:00 … mar 5 00:00")
	// The history is counted from the window's end, not from the slot.
	f("now-70m", "now-1h", "now-1d", "mar 5 10:00", "mar 4 09:00 | mar 5 08:50 … mar 5 09:00")
	f("now-5m", "now", "2024-01-01", "mar 5 10:00", "jan 1 00:00 | mar 5 09:55 … mar 5 10:00")
	f("2024-02-19T20:42:00.000Z", "now", "2024-01-19T20:42:00.000Z", "mar 5 10:00", "jan 19 20:42 | feb 19 20:42 … mar 5 10:00")
	// A window may be empty; that is no mistake.
	f("2024-04-01", "now", "", "mar 5 10:00", "- | apr 1 00:00 … mar 5 10:00")
}

func TestHistoryMustBeginBefore(t *testing.T) {
	f := func(from, to, history string, ok bool) {
		t.Helper()
		_, err := schedule(t, "5m", from, to, history).Window(at(t, "mar 5 10:00"))
		if ok != (err == nil) || err != nil && !errors.Is(err, window.ErrHistory) {
			t.Errorf("%s … %s, history %s: %v", from, to, history, err)
		}
	}
	f("now-5m", "now", "now-6m", true)
	f("now-5m", "now", "now-301s", true)
	f("now-5m", "now", "now-300001ms", true)
	f("now-5m", "now", "now-5m", false) // strictly
	f("now-5m", "now", "now-4m", false)
	f("now-5m", "now", "now", false)
	// Both with now = the slot and with now = the window's end.
	f("now-5m", "now+1h", "now-30m", false)
	f("now-2d", "now-1d", "now-36h", false)
	f("now-1d/d", "now", "now-20h", false)

	_, err := schedule(t, "5m", "now-5m", "now", "now-4m").Window(at(t, "mar 5 10:00"))
	const want = "the history must begin before the window does: at 2024-03-05T10:00:00.000Z the history (now-4m) begins at " +
		"2024-03-05T09:56:00.000Z, the window (now-5m) at 2024-03-05T09:55:00.000Z"
	if err == nil || err.Error() != want {
		t.Errorf("the error reads\n%v, want\n%s", err, want)
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	f := func(spec window.Spec, want string) {
		t.Helper()
		_, err := window.New(spec)
		var d diag.Diagnostic
		if err == nil || !errors.As(err, &d) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want %s…", spec, err, want)
		}
	}
	f(window.Spec{From: "now-5m", To: "now"}, "read the interval: ")
	f(window.Spec{Interval: "0m", From: "now-5m", To: "now"}, "read the interval: 1:1: ")
	f(window.Spec{Interval: "5m", From: "now-5x", To: "now"}, "read the window's start: 1:6: ")
	f(window.Spec{Interval: "5m", From: "now-5m", To: "later"}, "read the window's end: 1:1: ")
	f(window.Spec{Interval: "5m", From: "now-5m", To: "now", History: "now-15D"}, "read the start of the history: 1:7: ")
}

func TestClamp(t *testing.T) {
	w, err := schedule(t, "5m", "now-9m", "now", "now-1d").Window(at(t, "mar 5 10:00"))
	if err != nil {
		t.Fatal(err)
	}
	f := func(from, to, want string, clamped bool) {
		t.Helper()
		c := w.Clamp(at(t, from), at(t, to))
		got := fmt.Sprintf("%s | %s … %s", show(c.History), show(c.From), show(c.To))
		if got != want || c.Clamped != clamped || !c.Slot.Equal(w.Slot) {
			t.Errorf("clamped to %s … %s: %s (%t), want %s (%t)", from, to, got, c.Clamped, want, clamped)
		}
	}
	f("-", "-", "mar 4 10:00 | mar 5 09:51 … mar 5 10:00", false)
	f("mar 5 09:51", "mar 5 10:00", "mar 4 10:00 | mar 5 09:51 … mar 5 10:00", false)
	f("mar 5 09:50", "mar 5 10:01", "mar 4 10:00 | mar 5 09:51 … mar 5 10:00", false)
	f("mar 5 09:55", "-", "mar 4 10:00 | mar 5 09:55 … mar 5 10:00", true)
	f("-", "mar 5 09:58", "mar 4 10:00 | mar 5 09:51 … mar 5 09:58", false)
	f("mar 5 10:00", "mar 5 10:00", "mar 4 10:00 | mar 5 10:00 … mar 5 10:00", true)
	f("mar 5 11:00", "-", "mar 4 10:00 | mar 5 11:00 … mar 5 10:00", true)
	if c := w.Clamp(at(t, "mar 5 11:00"), time.Time{}); !c.Span().Empty() {
		t.Errorf("a window cut away is not empty: %v", c)
	}
}

func TestCoverage(t *testing.T) {
	f := func(history, from, begin string, want float64) {
		t.Helper()
		if got := window.Coverage(at(t, history), at(t, from), at(t, begin)); math.Abs(got-want) > 1e-12 {
			t.Errorf("history %s … %s, data from %s: %v, want %v", history, from, begin, got, want)
		}
	}
	f("mar 1", "mar 11", "feb 1", 1)
	f("mar 1", "mar 11", "mar 1", 1)
	f("mar 1", "mar 11", "mar 6", 0.5)
	f("mar 1", "mar 11", "mar 10", 0.1)
	f("mar 1", "mar 11", "mar 11", 0)
	f("mar 1", "mar 11", "mar 20", 0)
	f("mar 1", "mar 11", "-", 0) // no data
	f("mar 11", "mar 11", "mar 1", 0)
	f("mar 12", "mar 11", "mar 1", 0)
}

// The worked examples of the specification: interval 5m, from now-6m, to now.
func TestCatchUp(t *testing.T) {
	started := at(t, "mar 5 10:00")
	f := func(s window.Schedule, since string, gap string, want ...string) {
		t.Helper()
		var previous time.Time
		if since != "-" {
			d, err := time.ParseDuration(since)
			if err != nil {
				t.Fatal(err)
			}
			previous = started.Add(-d)
		}
		c, err := s.CatchUp(started, previous)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range c.Windows {
			got = append(got, fmt.Sprintf("[%gm,%gm]", w.From.Sub(started).Minutes(), w.To.Sub(started).Minutes()))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s since the previous run (-want +got):\n%s", since, diff)
		}
		gapGot := "-"
		if !c.Gap.Empty() {
			gapGot = c.Gap.To.Sub(c.Gap.From).String()
			if !c.Gap.From.Equal(previous) {
				t.Errorf("%s since the previous run: the gap begins at %s", since, c.Gap.From)
			}
		}
		if gapGot != gap {
			t.Errorf("%s since the previous run: gap %s, want %s", since, gapGot, gap)
		}
	}
	s := schedule(t, "5m", "now-6m", "now", "")
	f(s, "-", "-", "[-6m,0m]")
	f(s, "5m", "-", "[-6m,0m]")
	f(s, "6m", "-", "[-6m,0m]")
	f(s, "6m0.001s", "-", "[-11m,-5m]", "[-6m,0m]")
	f(s, "8m", "-", "[-11m,-5m]", "[-6m,0m]")
	f(s, "11m", "-", "[-11m,-5m]", "[-6m,0m]")
	f(s, "14m", "-", "[-16m,-10m]", "[-11m,-5m]", "[-6m,0m]")
	f(s, "26m", "-", "[-26m,-20m]", "[-21m,-15m]", "[-16m,-10m]", "[-11m,-5m]", "[-6m,0m]")
	f(s, "36m", "10m0s", "[-26m,-20m]", "[-21m,-15m]", "[-16m,-10m]", "[-11m,-5m]", "[-6m,0m]")
	f(s, "26m0.001s", "1ms", "[-26m,-20m]", "[-21m,-15m]", "[-16m,-10m]", "[-11m,-5m]", "[-6m,0m]")
	// A long look-back hides a pause.
	f(schedule(t, "5m", "now-1h", "now", ""), "55m", "-", "[-60m,0m]")

	// The history moves with the window; slot and end of window differ by what to says.
	c, err := schedule(t, "5m", "now-16m", "now-10m", "now-1d").CatchUp(started, started.Add(-8*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Windows {
		got = append(got, fmt.Sprintf("%s: %s | %s … %s", show(w.Slot), show(w.History), show(w.From), show(w.To)))
	}
	want := []string{"mar 5 09:55: mar 4 09:45 | mar 5 09:39 … mar 5 09:45", "mar 5 10:00: mar 4 09:50 | mar 5 09:44 … mar 5 09:50"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with history (-want +got):\n%s", diff)
	}
	if _, err := schedule(t, "5m", "now-6m", "now", "now-1m").CatchUp(started, time.Time{}); !errors.Is(err, window.ErrHistory) {
		t.Errorf("a history within the window: %v", err)
	}
}
