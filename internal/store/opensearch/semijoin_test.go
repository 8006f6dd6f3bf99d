package opensearch_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// TestSemiJoin holds that a set is looked up in what the cluster finds by the filters, and that the cluster is not asked for
// everything because of a set alone. Here it finds one document, whose k is a.
func TestSemiJoin(t *testing.T) {
	k := expr.Field{Path: "k", Type: event.Keyword}
	some := plan.Filter{In: plan.Scan{}, Cond: expr.Exists{Field: k}}
	f := func(in plan.Node, value string, anti bool, want int) {
		t.Helper()
		b := expr.NewSet(event.Keyword)
		b.Add(event.String(value))
		set, err := b.Set()
		if err != nil {
			t.Fatal(err)
		}
		c := &faulty{search: says(200, `{`+whole+`,'hits':{'hits':[`+doc+`]}}`)}
		n, err := answer(t, c, plan.SemiJoin{In: in, Field: k, Set: set, Anti: anti}, time.Minute)
		var no *store.Unsupported
		switch {
		case want < 0 && !errors.As(err, &no):
			t.Errorf("a set alone: %d rows, %v", n, err)
		case want >= 0 && (err != nil || n != want):
			t.Errorf("%q, anti %t: %d rows, %v; want %d", value, anti, n, err, want)
		}
	}
	f(some, "a", false, 1)
	f(some, "b", false, 0)
	f(some, "a", true, 0)
	f(some, "b", true, 1)
	f(plan.Scan{}, "a", false, -1)
}
