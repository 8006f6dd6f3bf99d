package duck

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

const setEvents = 30_000

// withUsers opens a store of events over three days, each of a user of its own; some have it where no column is.
func withUsers(t *testing.T, threads int) (*Store, store.Snapshot) {
	t.Helper()
	types := func(path string) (event.Type, bool) {
		if path == "source.ip" {
			return event.IPType, true
		}
		return event.Keyword, false
	}
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "s.db"), Options{Types: types, Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var events []*event.Event
	for i := range setEvents {
		e := &event.Event{ID: fmt.Sprint(i), Stream: "logs-test-default"}
		e.Set("@timestamp", event.Time(from.Add(time.Duration(i)*8*time.Second)))
		user := fmt.Sprintf("user %d, whose name is a long one", i)
		e.Set("user.name", event.String(user))
		e.Set("file.owner", event.String(user))
		e.Set("source.ip", event.String(fmt.Sprintf("10.0.%d.%d", i>>8, i&255)))
		e.Set("related.user", event.List(event.String("x"), event.String(user)))
		events = append(events, e)
	}
	if err := db.Apply(t.Context(), &store.Change{At: from, Events: events}); err != nil {
		t.Fatal(err)
	}
	at, err := db.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return db, at
}

// users is the set of every nth user.
func users(t *testing.T, n int) *expr.Set {
	t.Helper()
	b := expr.NewSet(event.Keyword)
	for i := 0; i < setEvents; i += n {
		b.Add(event.String(fmt.Sprintf("user %d, whose name is a long one", i)))
	}
	set, err := b.Set()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// in are the events that have a value of a field in a set.
func in(path string, set *expr.Set) plan.SemiJoin {
	return plan.SemiJoin{In: plan.Scan{}, Field: expr.Field{Path: path, Type: set.Type()}, Set: set}
}

// count counts the rows of p by the engine's own aggregate, which it does where the conditions are exact alone.
func count(t *testing.T, db *Store, p plan.Node, at store.Snapshot) int {
	t.Helper()
	rows, err := db.Query(t.Context(), plan.Aggregate{In: p, Aggs: []plan.Agg{{Name: "n", Fn: plan.Count}}}, at)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() {
		t.Fatal("no count", rows.Err())
	}
	return int(rows.Event().Get("n").Int())
}

// inUse is the number of lookups that queries have.
func inUse() (n int) {
	running.Range(func(any, any) bool { n++; return true })
	return n
}

// TestSetsAreCounted counts by sets in columns, in lists and in the column of all others, in SQL alone, on several threads
// and in several queries at once.
func TestSetsAreCounted(t *testing.T) {
	db, at := withUsers(t, 4)
	third := users(t, 3)
	b := expr.NewSet(event.IPType)
	least, _ := event.Coerce(event.IPType, event.String("10.0.1.0"))
	greatest, _ := event.Coerce(event.IPType, event.String("10.0.2.255"))
	single, _ := event.Coerce(event.IPType, event.String("10.0.0.7"))
	b.AddRange(least, greatest)
	b.Add(single)
	addresses, err := b.Set()
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	f := func(p plan.Node, want int) {
		t.Helper()
		wait.Go(func() {
			if got := count(t, db, p, at); got != want {
				t.Errorf("%d events, want %d: %v", got, want, p)
			}
		})
	}
	for _, path := range []string{"user.name", "file.owner", "related.user"} {
		join := in(path, third)
		f(join, setEvents/3)
		join.Anti = true
		f(join, setEvents-setEvents/3)
		f(plan.Filter{In: plan.Scan{}, Cond: expr.Some(in(path, third).Cond(), in("user.name", users(t, 2)).Cond())}, setEvents/2+setEvents/6)
	}
	f(in("source.ip", addresses), 513)
	wait.Wait()
}

// TestSetsEndWithTheirQuery holds that nothing of a set is left behind by queries that end, are closed early, fail, are
// refused or are cancelled.
func TestSetsEndWithTheirQuery(t *testing.T) {
	db, at := withUsers(t, 1)
	join := in("user.name", users(t, 2))
	f := func(name string, run func(ctx context.Context, cancel func())) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		run(ctx, cancel)
		if n := inUse(); n != 0 {
			t.Fatalf("%s: %d sets are in use", name, n)
		}
	}
	start := func(ctx context.Context, p plan.Node) store.Rows {
		t.Helper()
		rows, err := db.Query(ctx, p, at)
		if err != nil {
			t.Fatal(err)
		}
		if !rows.Next() || inUse() == 0 {
			rows.Close()
			t.Fatal("no row, or the set is not in use", rows.Err())
		}
		return rows
	}
	sorted := plan.Limit{N: 5, In: plan.Sort{In: join, Keys: []plan.SortKey{{Value: expr.One{Field: join.Field}}}}}
	inOrder := plan.Prune(plan.Project{Paths: []string{"user.name"}, In: plan.Sort{In: join, Keys: []plan.SortKey{{Value: plan.Order{}.Value()}}}})
	groups := plan.Aggregate{In: join, By: []plan.Group{{Name: "g", Each: join.Field}}}
	for name, p := range map[string]plan.Node{"rows": join, "top": sorted, "in order": inOrder, "groups": groups} {
		f(name+" to the end", func(ctx context.Context, cancel func()) {
			rows := start(ctx, p)
			for rows.Next() {
			}
			if err := rows.Err(); err != nil {
				t.Error(err)
			}
		})
		f(name+" closed", func(ctx context.Context, cancel func()) { start(ctx, p).Close() })
		f(name+" cancelled", func(ctx context.Context, cancel func()) {
			rows := start(ctx, p)
			cancel()
			for rows.Next() {
			}
			if !errors.Is(rows.Err(), context.Canceled) {
				t.Errorf("%s: the error is %v", name, rows.Err())
			}
		})
		f(name+" not begun", func(ctx context.Context, cancel func()) {
			cancel()
			if _, err := db.Query(ctx, p, at); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: the error is %v", name, err)
			}
		})
	}
	f("refused", func(ctx context.Context, cancel func()) {
		var no *store.Unsupported
		_, err := db.Query(ctx, plan.Aggregate{In: plan.Filter{In: join, Cond: expr.Words{Field: expr.Field{Path: "message", Type: event.Text}, Tokens: []string{"a"}}},
			Aggs: []plan.Agg{{Name: "n"}}}, at)
		if !errors.As(err, &no) {
			t.Errorf("the error is %v", err)
		}
	})
	f("cancelled meanwhile", func(context.Context, func()) {
		for i := range 200 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*50*time.Microsecond)
			if rows, err := db.Query(ctx, groups, at); err == nil {
				for rows.Next() {
				}
				rows.Close()
			}
			cancel()
		}
	})
	if got := count(t, db, join, at); got != setEvents/2 {
		t.Errorf("%d events afterwards, want %d", got, setEvents/2)
	}
}

// TestSetFails holds that what goes wrong in a lookup is the error of its statement, and nothing more.
func TestSetFails(t *testing.T) {
	db, at := withUsers(t, 2)
	c, done, err := db.connection()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	f := func(sql, want string) {
		t.Helper()
		if err := c.exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want one of %q", sql, err, want)
		}
	}
	table := db.catalog.Load().segments[0].table()
	f("SELECT in_set(0, rest) FROM "+table, "its query has ended")
	running.Store(int64(-1), lookup(func(*vector, int, []bool) error { panic("boom") }))
	running.Store(int64(-2), lookup(func(*vector, int, []bool) error { return errRest }))
	defer running.Delete(int64(-1))
	defer running.Delete(int64(-2))
	f("SELECT in_set(-1, rest) FROM "+table, "boom")
	f("SELECT in_set(-2, rest) FROM "+table, errRest.Error())
	if got := count(t, db, in("user.name", users(t, 2)), at); got != setEvents/2 {
		t.Errorf("%d events afterwards, want %d", got, setEvents/2)
	}
}
