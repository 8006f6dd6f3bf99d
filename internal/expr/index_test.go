package expr_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// TestIndexed holds that lists of values mean the same as sets, whatever their field's type and the event.
func TestIndexed(t *testing.T) {
	texts := []string{"", "a", "A", "b", "é", "7", "7.0", "-0", "10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "2026-03-01", "2026-03-01T00:00:00Z", "true"}
	values := rapid.OneOf(rapid.Map(rapid.SampledFrom(texts), event.String), rapid.Map(rapid.IntRange(-2, 8), func(n int) event.Value { return event.Int(int64(n)) }),
		rapid.Map(rapid.SampledFrom([]float64{0, 7, 7.5}), event.Float))
	fields := []expr.Field{{Path: "a"}, {Path: "b", Type: event.Caseless}, {Path: "c", Type: event.Long}, {Path: "d", Type: event.Double}, {Path: "e", Type: event.IPType},
		{Path: "f", Type: event.Date}, {Path: "g", Type: event.Boolean}, {Path: "h", Type: event.Flattened, Root: true}}
	sets, joined, found := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		e := &event.Event{}
		for _, f := range fields {
			path := f.Path
			if f.Root {
				path += ".x"
			}
			if n := rapid.IntRange(0, 2).Draw(t, "values"); n > 0 {
				e.Set(path, event.List(rapid.SliceOfN(values, n, n).Draw(t, "list")...))
			}
		}
		var conds []expr.Cond
		for range rapid.IntRange(1, 3).Draw(t, "conditions") {
			f := rapid.SampledFrom(fields).Draw(t, "field")
			in := expr.In{Field: f}
			for _, v := range rapid.SliceOfN(values, 0, 8).Draw(t, "in") {
				if typed, ok := event.Coerce(f.Type, v); ok {
					in.Values = append(in.Values, typed)
				}
			}
			fold := rapid.Bool().Draw(t, "fold")
			for range rapid.SampledFrom([]int{0, 2, 4}).Draw(t, "patterns") {
				if f.Type.IsKeyword() {
					p := expr.Stars(rapid.SliceOfN(rapid.SampledFrom(texts), 1, 2).Draw(t, "pattern")...)
					conds = append(conds, expr.Like{Field: f, Pattern: p, Fold: fold})
				}
			}
			conds = append(conds, rapid.SampledFrom([]expr.Cond{in, expr.Not{Cond: in}, expr.Holds{Cond: in}, expr.Exists{Field: f}}).Draw(t, "form"))
		}
		c := rapid.SampledFrom([]expr.Cond{expr.And{Conds: conds}, expr.Or{Conds: conds}, expr.Or{Conds: conds}, expr.Not{Cond: expr.Or{Conds: conds}}}).Draw(t, "condition")
		before := expr.String(c)
		indexed := expr.Indexed(c, 2)
		if expr.String(c) != before {
			t.Fatalf("%s was changed to %s", before, expr.String(c))
		}
		if expr.String(indexed) != before {
			sets++
		}
		if strings.Contains(expr.String(indexed), "each") {
			joined++
		}
		got, want := expr.Eval(indexed, e), expr.Eval(c, e)
		if got != want {
			t.Fatalf("%s is %d of %s, %s %d", expr.String(indexed), got, e.AppendJSON(nil, nil), before, want)
		}
		if want == expr.True {
			found++
		}
	})
	if sets < 10 || joined < 10 || found < 10 {
		t.Errorf("%d conditions were changed, %d by joining patterns, %d were true: they tell nothing", sets, joined, found)
	}
}
