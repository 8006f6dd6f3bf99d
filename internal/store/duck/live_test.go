package duck_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// load stores n events a day of the given number of days in one commit.
func loadDays(t testing.TB, db store.Store, days, n int) store.Snapshot {
	t.Helper()
	ctx := context.Background()
	at, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := &store.Change{At: base.Add(time.Duration(at.Seq) * time.Second)}
	for day := range days {
		for i := range n {
			e := &event.Event{ID: fmt.Sprint(at.Seq, "-", day, "-", i), Stream: "logs"}
			e.SetString("@timestamp", event.FormatTime(base.AddDate(0, 0, day).Add(time.Duration(i)*time.Millisecond)))
			e.SetString("user.name", fmt.Sprint("user ", i%50))
			c.Events = append(c.Events, e)
		}
	}
	if err := db.Apply(ctx, c); err != nil {
		t.Fatal(err)
	}
	if at, err = db.Latest(ctx); err != nil {
		t.Fatal(err)
	}
	return at
}

// TestReadersAndWriters holds that an open query goes on to show its snapshot while events are stored, and while the
// segments that it reads are dropped, and that neither waits for the other.
func TestReadersAndWriters(t *testing.T) {
	ctx := context.Background()
	db := open(t)
	const days, each = 4, 3000
	at := loadDays(t, db, days, each)
	rows, err := db.Query(ctx, plan.Scan{}, at)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for n < 100 && rows.Next() {
		n++
	}
	loadDays(t, db, days, each)
	if dropped, err := db.DropSegments(ctx, store.DayOf(base)+days, nil); err != nil || dropped != days {
		t.Fatalf("dropped %d days: %v", dropped, err)
	}
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil || n != days*each {
		t.Errorf("the open query gave %d of %d events: %v", n, days*each, err)
	}
	if left := query(t, db, plan.Scan{}); len(left) != 0 {
		t.Errorf("%d events are left", len(left))
	}

	// Many at once: every reader sees whole commits alone.
	at = loadDays(t, db, 2, 500)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 15 {
				at, err := db.Latest(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				rows, err := exec.Query(ctx, db, plan.Aggregate{In: plan.Scan{}, Aggs: []plan.Agg{{Name: "n", Fn: plan.Count}}}, at)
				if err != nil {
					t.Error(err)
					return
				}
				if !rows.Next() || rows.Event().Get("n").Int()%1000 != 0 || rows.Event().Get("n").Int() == 0 {
					t.Errorf("a reader at %d counts %v events: %v", at.Seq, rows.Event(), rows.Err())
				}
				rows.Close()
			}
		})
	}
	for range 5 {
		at = loadDays(t, db, 2, 500)
	}
	wg.Wait()
	if n := len(query(t, db, plan.Scan{})); n != 6000 {
		t.Errorf("%d events at the end, commit %d", n, at.Seq)
	}
}

// TestCancel holds that a cancelled query ends with the context's error, wherever it is, and leaves the store in use.
func TestCancel(t *testing.T) {
	db := open(t)
	at := loadDays(t, db, 3, 20_000)
	name := expr.Field{Path: "user.name"}
	for i, p := range []plan.Node{
		plan.Scan{},
		plan.Aggregate{In: plan.Scan{}, By: []plan.Group{{Name: "u", Each: name}}, Aggs: []plan.Agg{{Name: "n", Fn: plan.Count}}},
		plan.Limit{N: 5000, In: plan.Sort{In: plan.Scan{}, Keys: []plan.SortKey{{Value: expr.One{Field: name}}}}},
		plan.Filter{In: plan.Scan{}, Cond: expr.Words{Field: expr.Field{Path: "user.name", Type: event.Text}, Tokens: []string{"user"}}},
	} {
		for _, after := range []int{-1, 0, 1, 10} {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if after < 0 {
				cancel()
			}
			rows, err := db.Query(ctx, p, at)
			if after < 0 {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("plan %d started with a cancelled context: %v", i, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for n < after && rows.Next() {
				n++
			}
			cancel()
			for rows.Next() {
				n++
			}
			if err := rows.Err(); n != after || !errors.Is(err, context.Canceled) {
				t.Errorf("plan %d cancelled after %d rows: %d rows, %v", i, after, n, err)
			}
			rows.Close()
			rows.Close()
		}
	}
	// A cancelled change leaves nothing behind.
	ctx, cancel := context.WithCancel(context.Background())
	c := crashChange(at.Seq)
	go cancel()
	if err := db.Apply(ctx, c); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled change: %v", err)
	}
	now, err := db.Latest(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(query(t, db, plan.Scan{})); n != 60_000+int(now.Seq-at.Seq)*crashEvents {
		t.Errorf("%d events at commit %d", n, now.Seq)
	}
}

// TestAlertStates holds that queries see the present state of alerts, whatever the plan becomes in SQL.
func TestAlertStates(t *testing.T) {
	ctx := context.Background()
	db := open(t)
	c := &store.Change{At: base}
	for i := range 10 {
		e := &event.Event{ID: fmt.Sprint("alert ", i)}
		e.SetString("@timestamp", event.FormatTime(base.Add(time.Duration(i)*time.Hour)))
		e.SetString("kibana.alert.workflow_status", "open")
		e.SetString("kibana.alert.rule.name", fmt.Sprint("rule ", i%2))
		c.Alerts = append(c.Alerts, e)
	}
	c.States = []store.AlertState{{Alert: "alert 3", Path: "kibana.alert.workflow_status", Value: event.String("closed")},
		{Alert: "alert 4", Path: "note.text", Value: event.String("looked at")}}
	if err := db.Apply(ctx, c); err != nil {
		t.Fatal(err)
	}
	alerts := plan.Scan{Streams: []string{".alerts-*"}}
	is := func(path, value string) expr.Cond {
		return expr.In{Field: expr.Field{Path: path}, Values: []event.Value{event.String(value)}}
	}
	newest := []plan.SortKey{{Value: expr.One{Field: expr.Field{Path: plan.Timestamp, Type: event.Date}}, Desc: true}}
	f := func(p plan.Node, want ...string) {
		t.Helper()
		var got []string
		for _, e := range query(t, db, p) {
			got = append(got, e.ID)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(plan.Filter{In: alerts, Cond: is("kibana.alert.workflow_status", "closed")}, "alert 3")
	f(plan.Filter{In: alerts, Cond: is("note.text", "looked at")}, "alert 4")
	f(plan.Limit{N: 2, In: plan.Sort{In: plan.Filter{In: alerts, Cond: is("kibana.alert.rule.name", "rule 1")}, Keys: newest}}, "alert 9", "alert 7")
	f(plan.Limit{N: 3, In: plan.Sort{In: plan.Filter{In: alerts, Cond: expr.Not{Cond: is("kibana.alert.workflow_status", "open")}}, Keys: newest}}, "alert 3")
	by := func(path string) map[string]int64 {
		out := map[string]int64{}
		for _, e := range query(t, db, plan.Aggregate{In: alerts, By: []plan.Group{{Name: "g", Each: expr.Field{Path: path}}},
			Aggs: []plan.Agg{{Name: "n", Fn: plan.Count}}}) {
			out[e.Text("g")] = e.Get("n").Int()
		}
		return out
	}
	if got := fmt.Sprint(by("kibana.alert.workflow_status"), by("kibana.alert.rule.name")); got != "map[closed:1 open:9] map[rule 0:5 rule 1:5]" {
		t.Error(got)
	}
	if e := query(t, db, plan.Filter{In: alerts, Cond: is("note.text", "looked at")})[0]; e.Text("note.text") != "looked at" {
		t.Error("the row does not carry its state")
	}
}

// TestGroupsOfLists holds that an event counts once in the group of a value that it has twice.
func TestGroupsOfLists(t *testing.T) {
	ctx := context.Background()
	db := open(t)
	c := &store.Change{At: base}
	for i, users := range [][]string{{"ann", "bob", "ann"}, {"bob"}, {"ann", "ann"}, {}} {
		e := &event.Event{ID: fmt.Sprint(i), Stream: "logs"}
		e.SetString("@timestamp", event.FormatTime(base))
		e.Set("related.user", event.Strings(users...))
		e.Set("related.entity", event.Strings("x", "y"))
		c.Events = append(c.Events, e)
	}
	if err := db.Apply(ctx, c); err != nil {
		t.Fatal(err)
	}
	p := plan.Aggregate{In: plan.Scan{}, Aggs: []plan.Agg{{Name: "n", Fn: plan.Count}},
		By: []plan.Group{{Name: "u", Each: expr.Field{Path: "related.user"}}, {Name: "e", Each: expr.Field{Path: "related.entity"}}}}
	at, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(ctx, p, at)
	if err != nil {
		t.Fatal(err) // it must be one that SQL groups
	}
	defer rows.Close()
	got := map[string]int64{}
	for rows.Next() {
		e := rows.Event()
		got[e.Text("u")+" "+e.Text("e")] = e.Get("n").Int()
	}
	if want := "map[ann x:2 ann y:2 bob x:2 bob y:2]"; rows.Err() != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, want %s (%v)", got, want, rows.Err())
	}
}
