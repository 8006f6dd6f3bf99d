package exec

import (
	"context"
	"slices"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// TestAggregateOfEqualValues holds that of values that are equal and yet not the same one stands for all, in whatever order
// they come.
func TestAggregateOfEqualValues(t *testing.T) {
	value := expr.Call{Fn: "to_number", Args: []expr.Value{expr.One{Field: expr.Field{Path: "n"}}}}
	f := func(want string, texts ...string) {
		t.Helper()
		for range len(texts) {
			texts = append(texts[1:], texts[0])
			var events []*event.Event
			for _, text := range texts {
				e := &event.Event{}
				e.Set("n", event.String(text))
				events = append(events, e)
			}
			for range 2 {
				slices.Reverse(events)
				rows, err := Over(events).Query(context.Background(), plan.Aggregate{In: plan.Scan{},
					By:   []plan.Group{{Name: "by", Value: value}},
					Aggs: []plan.Agg{{Name: "least", Fn: plan.Min, Value: value}, {Name: "most", Fn: plan.Max, Value: value}}}, store.Snapshot{})
				if err != nil {
					t.Fatal(err)
				}
				if !rows.Next() {
					t.Fatal("no row", rows.Err())
				}
				for _, name := range []string{"by", "least", "most"} {
					if got := rows.Event().Get(name).Text(); got != want {
						t.Errorf("%q: %s is %s, want %s", texts, name, got, want)
					}
				}
				if rows.Next() {
					t.Errorf("%q: more than one group", texts)
				}
			}
		}
	}
	f("7", "7", "7.0")
	f("7", "7.0", "7", "7.00")
	f("7.0", "7.00", "7.0")
	f("7.5", "7.5", "7.50")
}
