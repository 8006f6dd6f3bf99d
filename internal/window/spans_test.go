package window_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tocsin-sec/tocsin/internal/window"
	"pgregory.net/rapid"
)

func TestSpan(t *testing.T) {
	span := func(from, to string) window.Span { t.Helper(); return window.Span{From: at(t, from), To: at(t, to)} }
	f := func(a, b window.Span, overlaps bool) {
		t.Helper()
		if a.Overlaps(b) != overlaps || b.Overlaps(a) != overlaps || a.Intersect(b).Empty() == overlaps {
			t.Errorf("%v and %v: overlap %t, in common %v", a, b, a.Overlaps(b), a.Intersect(b))
		}
	}
	f(span("mar 1", "mar 2"), span("mar 2", "mar 3"), true) // both ends included
	f(span("mar 1", "mar 2"), span("mar 2 00:00:00.001", "mar 3"), false)
	f(span("mar 1", "mar 5"), span("mar 2", "mar 3"), true)
	f(span("mar 1", "mar 1"), span("mar 1", "mar 1"), true)
	f(span("mar 2", "mar 1"), span("mar 1", "mar 2"), false)
	f(window.Span{}, span("mar 1", "mar 2"), false)
	s := span("mar 1", "mar 2")
	if !s.Contains(s.From) || !s.Contains(s.To) || s.Contains(s.To.Add(time.Millisecond)) || s.Contains(s.From.Add(-time.Millisecond)) {
		t.Error("the ends of a span are not both included")
	}
	if (window.Span{}).Contains(time.Time{}) {
		t.Error("the zero Span holds an instant")
	}
}

func TestSpans(t *testing.T) {
	show := func(s window.Spans) []string {
		out := []string{}
		for _, p := range s {
			out = append(out, show(p.From)+" … "+show(p.To))
		}
		return out
	}
	set := func(list ...string) window.Spans {
		t.Helper()
		var spans []window.Span
		for i := 0; i < len(list); i += 2 {
			spans = append(spans, window.Span{From: at(t, list[i]), To: at(t, list[i+1])})
		}
		return window.NewSpans(spans...)
	}
	f := func(got window.Spans, want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), show(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	f(set("mar 5", "mar 6", "mar 1", "mar 2"), "mar 1 00:00 … mar 2 00:00", "mar 5 00:00 … mar 6 00:00")
	f(set("mar 1", "mar 3", "mar 2", "mar 4"), "mar 1 00:00 … mar 4 00:00")
	f(set("mar 1", "mar 9", "mar 2", "mar 4"), "mar 1 00:00 … mar 9 00:00")
	f(set("mar 1", "mar 2", "mar 2 00:00:00.001", "mar 4"), "mar 1 00:00 … mar 4 00:00") // neighbours
	f(set("mar 1", "mar 2", "mar 2 00:00:00.002", "mar 4"), "mar 1 00:00 … mar 2 00:00", "mar 2 00:00:00.002 … mar 4 00:00")
	f(set("mar 2", "mar 1", "-", "-"))
	f(set("mar 1", "mar 4").Subtract(set("mar 2", "mar 3")), "mar 1 00:00 … mar 1 23:59:59.999", "mar 3 00:00:00.001 … mar 4 00:00")
	f(set("mar 1", "mar 4").Subtract(set("mar 1", "mar 4")))
	f(set("mar 1", "mar 4").Subtract(set("mar 1", "mar 1")), "mar 1 00:00:00.001 … mar 4 00:00")
	f(set("mar 1", "mar 4", "mar 6", "mar 8").Subtract(set("mar 3", "mar 7")), "mar 1 00:00 … mar 2 23:59:59.999", "mar 7 00:00:00.001 … mar 8 00:00")
	f(set("mar 1", "mar 4").Union(set("mar 3", "mar 7")), "mar 1 00:00 … mar 7 00:00")
	f(set("mar 1", "mar 4", "mar 6", "mar 8").Intersect(set("mar 4", "mar 7")), "mar 4 00:00 … mar 4 00:00", "mar 6 00:00 … mar 7 00:00")
}

// Sets of spans behave as sets of instants.
func TestSpansAreSets(t *testing.T) {
	const size = 40
	instant := func(i int) time.Time { return time.UnixMilli(int64(i)).UTC() }
	anySpans := rapid.Custom(func(t *rapid.T) window.Spans {
		var spans []window.Span
		for range rapid.IntRange(0, 6).Draw(t, "n") {
			a := rapid.IntRange(0, size).Draw(t, "a")
			spans = append(spans, window.Span{From: instant(a), To: instant(a + rapid.IntRange(-1, 9).Draw(t, "length"))})
		}
		return window.NewSpans(spans...)
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := anySpans.Draw(t, "a"), anySpans.Draw(t, "b")
		union, both, less := a.Union(b), a.Intersect(b), a.Subtract(b)
		for i := -1; i < size+12; i++ {
			in := instant(i)
			inA, inB := a.Contains(in), b.Contains(in)
			if union.Contains(in) != (inA || inB) || both.Contains(in) != (inA && inB) || less.Contains(in) != (inA && !inB) {
				t.Fatalf("%d: in a %t, in b %t, union %v, intersection %v, difference %v", i, inA, inB, union, both, less)
			}
			span := window.Span{From: in, To: instant(i + 3)}
			if a.Overlaps(span) != (len(a.Intersect(window.NewSpans(span))) > 0) {
				t.Fatalf("%v overlaps %v: %t", a, span, a.Overlaps(span))
			}
		}
		for _, s := range []window.Spans{union, both, less} {
			if diff := cmp.Diff(append(window.Spans{}, window.NewSpans(s...)...), append(window.Spans{}, s...)); diff != "" {
				t.Fatalf("the result is not in order and apart:\n%s", diff)
			}
		}
	})
}
