package duck_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
	"github.com/tocsin-sec/tocsin/internal/store/storetest"
)

// TestRandomStretches holds the rows of random plans equal to mem's where rows are sorted a few at a time.
func TestRandomStretches(t *testing.T) {
	e := engine()
	e.Open = func(t testing.TB, dir string, types storetest.Types) store.Store {
		t.Helper()
		db, err := duck.Open(context.Background(), filepath.Join(dir, "store.db"), duck.Options{Types: types})
		if err != nil {
			t.Fatal(err)
		}
		duck.SortAtOnce(db, 3)
		return db
	}
	storetest.Random(t, e, storetest.RandomOptions{Plans: 3_000, Seed: 3})
}

// TestSorted holds that rows sorted stretch by stretch come in the order that exec gives them: over days and streams, of equal
// times, and without a first key at last.
func TestSorted(t *testing.T) {
	db := open(t)
	duck.SortAtOnce(db, 4)
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var all []*event.Event
	for i := range 60 {
		e := &event.Event{ID: fmt.Sprintf("%02d", i*37%60), Stream: []string{"logs-b", "logs-a"}[i%2]}
		e.Set("@timestamp", event.String(event.FormatTime(day.Add(time.Duration(i*i%23)*5*time.Hour))))
		if i%5 > 0 {
			e.Set("event.ingested", event.String(event.FormatTime(day.Add(time.Duration(i*7%31)*4*time.Hour))))
		}
		e.Set("user.name", event.String([]string{"ann", "bob", "cleo"}[i%3]))
		all = append(all, e)
	}
	if err := db.Apply(t.Context(), &store.Change{At: day, Events: all}); err != nil {
		t.Fatal(err)
	}
	at, err := db.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := func(rows store.Rows, err error) (out []string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			out = append(out, rows.Event().Stream+"/"+rows.Event().ID)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return out
	}
	f := func(name string, stretches, want int, keys ...plan.SortKey) {
		t.Helper()
		cond := expr.In{Field: expr.Field{Path: "user.name", Type: event.Keyword}, Values: []event.Value{event.String("ann"), event.String("bob")}}
		p := plan.Prune(plan.Project{Paths: []string{"user.name"}, In: plan.Sort{Keys: keys, In: plan.Filter{Cond: cond, In: plan.Scan{}}}})
		rows, err := db.Query(t.Context(), p, at)
		if n := duck.Stretches(rows); err == nil && n < stretches {
			t.Errorf("%s: %d stretches, expected at least %d", name, n, stretches)
		}
		got, right := ids(rows, err), ids(exec.Query(t.Context(), exec.Over(all), p, store.Snapshot{}))
		if len(right) != want || !slices.Equal(got, right) {
			t.Errorf("%s: %d rows\n%v\nexpected %d\n%v", name, len(got), got, want, right)
		}
	}
	key := func(paths ...string) expr.Value {
		var args []expr.Value
		for _, path := range paths {
			args = append(args, expr.One{Field: expr.Field{Path: path, Type: event.Date}})
		}
		if len(args) == 1 {
			return args[0]
		}
		return expr.Call{Fn: "coalesce", Args: args}
	}
	name := plan.SortKey{Value: expr.One{Field: expr.Field{Path: "user.name", Type: event.Keyword}}, Desc: true}
	f("by time", 4, 40, plan.SortKey{Value: key("@timestamp")})
	f("by time, latest first", 4, 40, plan.SortKey{Value: key("@timestamp"), Desc: true}, name)
	f("by ingest stamp, which some lack", 4, 40, plan.SortKey{Value: key("event.ingested")}, name)
	f("by ingest stamp, latest first", 4, 40, plan.SortKey{Value: key("event.ingested"), Desc: true})
	f("by ingest stamp or time", 4, 40, plan.SortKey{Value: key("event.ingested", "@timestamp")}, plan.SortKey{Value: key("@timestamp")})
	f("by no time", 1, 40, name, plan.SortKey{Value: key("@timestamp")})
}
