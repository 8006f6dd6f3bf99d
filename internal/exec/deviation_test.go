package exec

import (
	"slices"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// TestDeviationTies holds what sequences of events with one time come to, where the rule names no tie-breaker: Elastic takes
// the events as they arrived, so that the same events loaded anew in another order give another answer; Tocsin takes them by
// stream and ID, whatever the order in which they came.
func TestDeviationTies(t *testing.T) {
	f := func(sequence, arrived, elastic, tocsin string) {
		t.Helper()
		p := sequenceOf(t, sequence)
		if p.Order.Ties = []expr.Value{one("place")}; foundBy(t, Over(happenings(t, arrived)), p) != elastic {
			t.Errorf("%s of %s, as they arrived: %q, expected %q", sequence, arrived, foundBy(t, Over(happenings(t, arrived)), p), elastic)
		}
		p.Order = plan.Order{}
		events := happenings(t, arrived)
		for range 2 {
			if got := foundBy(t, Over(events), p); got != tocsin {
				t.Errorf("%s of %s, by ID: %q, expected %q", sequence, arrived, got, tocsin)
			}
			slices.Reverse(events)
		}
	}
	f("A B", "A1 B1", "A1 B1", "A1 B1")
	f("A B", "B1 A1", "", "A1 B1")
	f("B A", "B1 A1", "B1 A1", "")
	f("B A", "A1 B1", "", "")
	f("A B", "B1 A1 B2", "A1 B2", "A1 B1") // each sequence takes the next event
	f("A B", "B2 A1", "A1 B2", "A1 B2")    // other times leave nothing open
}
