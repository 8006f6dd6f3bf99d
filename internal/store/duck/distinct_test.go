package duck_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// TestRemembered holds that segments which are known to hold none of the values asked for are left out, and no others: not
// after a commit that adds one, and not where a value stands beside its column.
func TestRemembered(t *testing.T) {
	db := open(t)
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	n := 0
	add := func(all ...map[string]event.Value) {
		t.Helper()
		c := &store.Change{At: day}
		for _, fields := range all {
			n++
			e := &event.Event{ID: fmt.Sprintf("%03d", n), Stream: "logs-a"}
			e.Set("@timestamp", event.String(event.FormatTime(day)))
			for path, v := range fields {
				e.Set(path, v)
			}
			c.Events = append(c.Events, e)
		}
		if err := db.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	f := func(name string, cond expr.Cond, scans int, want ...string) {
		t.Helper()
		last := -1
		for range 5 { // by then what it asks for is remembered
			at, err := db.Latest(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			rows, err := exec.Query(t.Context(), db, plan.Filter{Cond: cond, In: plan.Scan{}}, at)
			if err != nil {
				t.Fatal(err)
			}
			got, left := []string{}, duck.Scans(rows)
			for rows.Next() {
				got = append(got, rows.Event().ID)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			if !slices.Equal(got, append([]string{}, want...)) {
				t.Fatalf("%s: %q, expected %q", name, got, want)
			}
			last = left
		}
		if last != scans {
			t.Errorf("%s: %d segments are read, expected %d", name, last, scans)
		}
	}
	is := func(path string, values ...string) expr.Cond {
		in := expr.In{Field: expr.Field{Path: path, Type: event.Keyword}}
		for _, v := range values {
			in.Values = append(in.Values, event.String(v))
		}
		return in
	}
	add(map[string]event.Value{"event.action": event.String("ListBuckets"), "event.category": event.Strings("a", "b"), "user.name": event.String("ann")})
	f("a value that is there", is("event.action", "ListBuckets"), 1, "001")
	f("one that is not", is("event.action", "GetObject"), 0)
	f("one in a list", is("event.category", "b", "x"), 1, "001")
	f("none in a list", is("event.category", "c"), 0)
	f("neither of two", expr.Or{Conds: []expr.Cond{is("event.action", "x"), is("event.category", "y")}}, 0)
	f("not one that is not there", expr.Not{Cond: is("event.action", "GetObject")}, 1, "001")
	f("a path without a column", is("free.text", "x"), 1)
	add(map[string]event.Value{"event.action": event.String("GetObject")})
	f("one that came since", is("event.action", "GetObject"), 1, "002")
	add(map[string]event.Value{"event.action": event.Strings("a", "b")}) // stands beside the column
	f("one of several in a column of single values", is("event.action", "b"), 1, "003")
	var many []map[string]event.Value
	for i := range 300 {
		many = append(many, map[string]event.Value{"user.name": event.String(fmt.Sprintf("user-%d", i))})
	}
	add(many...)
	f("of too many values", is("user.name", "nobody"), 1)
}
