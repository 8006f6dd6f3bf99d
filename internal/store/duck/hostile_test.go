package duck_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// TestHostilePatterns holds that no pattern makes a query last: a matcher that tries every star at every place would not
// come to the end of one of these. Each finds what the Go evaluation finds.
func TestHostilePatterns(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	db, err := duck.Open(ctx, filepath.Join(t.TempDir(), "store"), duck.Options{Types: types})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var events []*event.Event
	for i := range 50 {
		e := &event.Event{ID: fmt.Sprint(i), Stream: "logs-a-default"}
		e.Set("@timestamp", event.String(event.FormatTime(base.Add(time.Duration(i)*time.Second))))
		e.Set("user.name", event.String(strings.Repeat("a", 2000+i)))
		e.Set("host.name", event.List(event.String(strings.Repeat("ab", 1000+i)), event.String("x")))
		e.Set("elsewhere.name", event.String(strings.Repeat("a", 2000+i)))
		events = append(events, e)
	}
	if err := db.Apply(ctx, &store.Change{At: base.Add(time.Hour), Events: events}); err != nil {
		t.Fatal(err)
	}
	star, one := expr.PatternPart{}, expr.PatternPart{One: true}
	repeat := func(n int, parts ...expr.PatternPart) (out []expr.PatternPart) {
		for range n {
			out = append(out, parts...)
		}
		return out
	}
	lit := func(s string) expr.PatternPart { return expr.PatternPart{Literal: s} }
	some := 0
	for name, parts := range map[string][]expr.PatternPart{
		"stars, then what is not there":    append(repeat(30, star, lit("a")), lit("b")),
		"stars and one":                    append(repeat(30, star, lit("a"), one), lit("c")),
		"ten thousand stars":               repeat(10_000, star, lit("a")),
		"ten thousand stars and ones":      repeat(10_000, star, one),
		"two thousand stars that fit":      append(repeat(1000, star, lit("a")), star),
		"stars before each other":          append(repeat(10_000, star), lit("b")),
		"half a value that is not at last": {star, lit(strings.Repeat("a", 1000) + "b"), star},
		"stars with percent signs":         append(repeat(30, star, lit("%_!")), lit("b")),
		"stars that DuckDB reads as such":  append(repeat(12, star, lit("a"), one, star, lit("a")), star),
	} {
		for _, path := range []string{"user.name", "host.name", "elsewhere.name"} {
			for _, fold := range []bool{false, true} {
				c := expr.Like{Field: expr.Field{Path: path}, Pattern: expr.Pattern{Parts: parts}, Fold: fold}
				want := 0
				started := time.Now()
				for _, e := range events {
					if expr.Matches(c, e) {
						want++
					}
				}
				gone := time.Since(started)
				started = time.Now()
				rows, err := db.Query(ctx, plan.Filter{In: plan.Scan{Streams: []string{"logs-*"}}, Cond: c}, store.Snapshot{Seq: 1})
				if err != nil {
					t.Fatalf("%s of %s: %v", name, path, err)
				}
				got := 0
				for rows.Next() {
					got++
				}
				if err := rows.Err(); err != nil || got != want {
					t.Errorf("%s of %s, fold %t: %d events (%v), want %d", name, path, fold, got, err, want)
				}
				rows.Close()
				some += got
				t.Logf("%-34s %-15s fold %-5t Go %v, DuckDB %v", name, path, fold, gone.Round(time.Microsecond), time.Since(started).Round(time.Microsecond))
			}
		}
	}
	if some == 0 {
		t.Error("no pattern fits anything")
	}
}
