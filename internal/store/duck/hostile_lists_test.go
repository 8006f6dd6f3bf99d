package duck_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// resolver reads fields as the stores of these tests do.
type resolver struct{}

// Field implements plan.Resolver.
func (resolver) Field(path string) (expr.Field, bool) {
	t, ok := types(path)
	return expr.Field{Path: path, Type: t}, ok
}

// Expand implements plan.Resolver.
func (resolver) Expand(expr.Pattern) []expr.Field { return nil }

// TestHostileLists holds that queries with ten thousand values, patterns or addresses are answered, as Go answers them.
func TestHostileLists(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	db, err := duck.Open(ctx, filepath.Join(t.TempDir(), "store"), duck.Options{Types: types})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var events []*event.Event
	for i := range 500 {
		e := &event.Event{ID: fmt.Sprint(i), Stream: "logs-a-default"}
		e.Set("@timestamp", event.String(event.FormatTime(base.Add(time.Duration(i)*time.Second))))
		e.Set("user.name", event.String(fmt.Sprintf("Value-%d", 68*i)))
		e.Set("elsewhere.name", event.String(fmt.Sprintf("Value-%d", 68*i)))
		e.Set("source.ip", event.String(fmt.Sprintf("10.0.%d.%d", i/256, i%256)))
		events = append(events, e)
	}
	if err := db.Apply(ctx, &store.Change{At: base.Add(time.Hour), Events: events}); err != nil {
		t.Fatal(err)
	}
	list := func(form, between string) string {
		var parts []string
		for i := range 10_000 {
			parts = append(parts, fmt.Sprintf(form, i))
		}
		return strings.Join(parts, between)
	}
	const n = 148 // of the 500 events have one of the 10,000 values
	f := func(name string, want int, lower func() (expr.Cond, error)) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		started := time.Now()
		c, err := lower()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lowered := time.Since(started)
		runtime.ReadMemStats(&after)
		started = time.Now()
		inGo, indexed := 0, expr.Indexed(c, 100)
		for _, e := range events {
			if expr.Matches(indexed, e) {
				inGo++
			}
		}
		gone := time.Since(started)
		started = time.Now()
		rows, err := db.Query(ctx, plan.Filter{In: plan.Scan{Streams: []string{"logs-*"}}, Cond: c}, store.Snapshot{Seq: 1})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer rows.Close()
		inDB := 0
		for rows.Next() {
			inDB++
		}
		if err := rows.Err(); err != nil || inGo != want || inDB != want {
			t.Errorf("%s: %d events in Go, %d in DuckDB (%v), want %d", name, inGo, inDB, err, want)
		}
		t.Logf("%-34s read in %v and %d KiB, Go %v, DuckDB %v", name, lowered.Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)>>10, gone.Round(time.Millisecond), time.Since(started).Round(time.Millisecond))
	}
	inKQL := func(text string) func() (expr.Cond, error) {
		return func() (expr.Cond, error) {
			q, err := kql.Parse(text)
			if err != nil {
				return nil, err
			}
			return kql.Lower(q, kql.Options{Resolver: resolver{}})
		}
	}
	inEQL := func(text string) func() (expr.Cond, error) {
		return func() (expr.Cond, error) {
			q, err := eql.Parse("any where " + text)
			if err != nil {
				return nil, err
			}
			p, err := eql.Lower(q, eql.Options{Resolver: resolver{}, Lenient: true})
			if err != nil {
				return nil, err
			}
			return p.Events, nil
		}
	}
	inLucene := func(text string) func() (expr.Cond, error) {
		return func() (expr.Cond, error) {
			q, err := lucene.Parse(text)
			if err != nil {
				return nil, err
			}
			return lucene.Lower(q, lucene.Options{Resolver: resolver{}})
		}
	}
	for _, field := range []string{"user.name", "elsewhere.name"} {
		f("KQL values of "+field, n, inKQL(field+" : ("+list("Value-%d", " or ")+")"))
		f("KQL not of "+field, 500-n, inKQL("not "+field+" : ("+list("Value-%d", " or ")+")"))
		f("KQL conditions on "+field, n, inKQL(list(field+" : Value-%d", " or ")))
		f("KQL patterns of "+field, n, inKQL(field+" : ("+list("V*e-%d", " or ")+")"))
		f("EQL in of "+field, n, inEQL(field+" in ("+list(`"Value-%d"`, ", ")+")"))
		f("EQL in~ of "+field, n, inEQL(field+" in~ ("+list(`"VALUE-%d"`, ", ")+")"))
		f("EQL not in of "+field, 500-n, inEQL(field+" not in ("+list(`"Value-%d"`, ", ")+")"))
		f("EQL : of "+field, n, inEQL(field+" : ("+list(`"value-%d"`, ", ")+")"))
		f("EQL like~ of "+field, n, inEQL(field+" like~ ("+list(`"v*e-%d"`, ", ")+")"))
		f("EQL regex of "+field, n, inEQL(field+" regex (\""+strings.Repeat("x|", 1000)+"Value-[0-9]{1,4}\")"))
		f("Lucene values of "+field, n, inLucene(field+":("+list("Value-%d", " OR ")+")"))
		f("Lucene patterns of "+field, n, inLucene(field+":("+list("V*e-%d", " OR ")+")"))
		f("Lucene expression on "+field, n, inLucene(field+":/("+strings.Repeat("x|", 1000)+"(V+)+alue-[0-9]{1,4})/"))
	}
}
