package eql_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// TestPlan holds which events the pipes keep, always in ascending order.
func TestPlan(t *testing.T) {
	var events []*event.Event
	for i := range 20 { // two of each second, the later one first
		e := &event.Event{ID: fmt.Sprintf("%02d", i^1), Stream: "s"}
		e.Set("@timestamp", event.String(event.FormatTime(time.Unix(int64(i/2), 0))))
		e.Set("n", event.Int(int64(i^1)))
		events = append(events, e)
	}
	slices.Reverse(events)
	run := func(query string, o eql.Order) string {
		t.Helper()
		p, err := eql.Lower(parse(t, query), eql.Options{})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := exec.Query(context.Background(), exec.Over(events), p.Plan(plan.Scan{}, o), store.Snapshot{})
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var got []string
		for rows.Next() {
			got = append(got, rows.Event().ID)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return strings.Join(got, " ")
	}
	n := expr.Field{Path: "n", Type: event.Long}
	f := func(query, want string) {
		t.Helper()
		if got := run(query, eql.Order{Tiebreaker: &n}); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	f("any where n < 4", "00 01 02 03")
	f("any where true | head 3", "00 01 02")
	f("any where true | tail 3", "17 18 19")
	f("any where true | tail 10 | head 7", "10 11 12 13 14 15 16")
	f("any where true | head 5 | tail 2", "03 04")
	f("any where true | head 0", "")
	f("any where true | tail 0", "")
	f("any where true | tail 3 | tail 2 | head 1", "18")
	if got := run("any where true | head 3", eql.Order{}); got != "00 01 02" {
		t.Errorf("without a tiebreaker: %s", got)
	}
	if got := run("any where true | tail 4", eql.Order{}); got != "16 17 18 19" {
		t.Errorf("without a tiebreaker: %s", got)
	}
}

// TestManyTerms holds the bound on terms that a plan has: what is lowered can be run.
func TestManyTerms(t *testing.T) {
	f := func(terms int, until string, ok bool) {
		t.Helper()
		p, err := eql.Lower(parse(t, "sequence by a"+strings.Repeat(" [any where true]", terms)+until), eql.Options{})
		if (err == nil) != ok {
			t.Errorf("%d terms%s: %v", terms, until, err)
		}
		if err != nil {
			return
		}
		rows, err := exec.Query(context.Background(), exec.Over(nil), p.Plan(plan.Scan{}, eql.Order{}), store.Snapshot{})
		if err != nil {
			t.Errorf("%d terms%s cannot be run: %v", terms, until, err)
			return
		}
		rows.Close()
	}
	f(plan.MaxStages, "", true)
	f(plan.MaxStages+1, "", false)
	f(plan.MaxStages-1, " until [any where true]", true)
	f(plan.MaxStages, " until [any where true]", false)
}

// TestAbsentKey holds that a key that nothing declares is null even in events that hold a value there.
func TestAbsentKey(t *testing.T) {
	var events []*event.Event
	for i, key := range []string{"one", "another"} {
		e := &event.Event{ID: key, Stream: "s"}
		e.Set("@timestamp", event.String(event.FormatTime(time.Unix(int64(i), 0))))
		e.SetString("undeclared", key)
		events = append(events, e)
	}
	f := func(o eql.Options, want int) {
		t.Helper()
		p, err := eql.Lower(parse(t, "sequence by ?undeclared [any where true] [any where true]"), o)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := exec.Query(context.Background(), exec.Over(events), p.Plan(plan.Scan{}, eql.Order{}), store.Snapshot{})
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			n++
		}
		if err := rows.Err(); err != nil || n != want {
			t.Errorf("%d sequences (%v), want %d", n, err, want)
		}
	}
	f(eql.Options{Resolver: fields(t)}, 1)                // null is the key of both
	f(eql.Options{Resolver: fields(t), Lenient: true}, 0) // the key is read
}

// TestLongQueries holds that queries at the limits of what Parse takes mean something, and in bounded time: what they
// cost is in the report alone.
func TestLongQueries(t *testing.T) {
	f := func(name, query string) {
		t.Helper()
		start := time.Now()
		q, err := eql.Parse(query)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		p, err := eql.Lower(q, eql.Options{Resolver: fields(t)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		expr.Eval(p.Events, &event.Event{})
		t.Logf("%s: %d bytes in %v", name, len(query), time.Since(start))
	}
	list := func(n int) string { return "(" + strings.Repeat(`"value", `, n) + `"x")` }
	f("in", "any where user.name in "+list(60_000))
	f("in~", "any where user.name in~ "+list(60_000))
	f("patterns", "any where user.name : "+strings.ReplaceAll(list(60_000), "value", "*a*b*"))
	f("computed", "any where substring(user.name, 1) in "+list(60_000))
	f("or", "any where "+strings.Repeat("error or ", 60_000)+"error")
	f("numbers", "any where source.port + 1 in ("+strings.Repeat("1, ", 60_000)+"1)")
	f("concat", "any where concat("+strings.Repeat("user.name, ", 60_000)+"user.name) == null")
	f("fields", "any where concat("+strings.Repeat("user.name, event.action, ", 30_000)+"user.name) == null")
	f("parentheses", "any where "+strings.Repeat("not (", 120)+"error"+strings.Repeat(")", 120))
	var many strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&many, "?f%d, ", i)
	}
	f("unknown fields", "any where concat("+many.String()+"user.name) == null")
	var wrong strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&wrong, "f%d or ", i)
	}
	if _, err := eql.Lower(parse(t, "any where "+wrong.String()+"error"), eql.Options{Resolver: fields(t)}); err == nil {
		t.Error("20,000 unknown fields are accepted")
	}
}
