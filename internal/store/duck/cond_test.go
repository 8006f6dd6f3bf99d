package duck_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// hard are texts that one form of storage or another finds hard.
var hard = []string{"", "ann", "ANN", "Ann", "ſ", "S", "s", "K", "k", "İ", "é", "É", "a\x00b", "\xff", `a"b\`, "a\nb", "%", "_", "a%b", "true", "false", "443",
	"443.0", "1.50", "-0", "198.51.100.7", "::ffff:198.51.100.7", "2001:db8::1", "2024-03-01T12:00:00.000Z", "2024-03-01T12:00:00Z",
	"ann bob", "the-ann_1", "1709294400000"}

func hardValue() *rapid.Generator[event.Value] {
	return rapid.OneOf(rapid.Map(rapid.SampledFrom(hard), event.String), rapid.Map(rapid.SampledFrom(hard), event.String), scalar())
}

// hardDocument draws events whose values meet those of the conditions.
func hardDocument(i int) *rapid.Generator[*event.Event] {
	return rapid.Custom(func(t *rapid.T) *event.Event {
		e := document(i).Draw(t, "document")
		for range rapid.IntRange(0, 4).Draw(t, "more") {
			path := rapid.SampledFrom(paths).Draw(t, "path")
			v := hardValue().Draw(t, "value")
			switch rapid.IntRange(0, 5).Draw(t, "form") {
			case 0:
				v = event.List(v, hardValue().Draw(t, "second"))
			case 1: // a tree at the parent
				for k := len(path) - 1; k > 0; k-- {
					if path[k] == '.' {
						v = event.List(event.Object(event.Member{Key: path[k+1:], Value: v}))
						path = path[:k]
						break
					}
				}
			}
			e.Set(path, v)
		}
		e.Set("@timestamp", event.String(event.FormatTime(base.Add(time.Duration(i)*time.Hour))))
		return e
	})
}

func condField(t *rapid.T) expr.Field {
	f := expr.Field{Path: rapid.SampledFrom(paths).Draw(t, "path"), Root: rapid.IntRange(0, 9).Draw(t, "root") == 0}
	if declared, ok := types(f.Path); ok && rapid.IntRange(0, 2).Draw(t, "as declared") > 0 {
		f.Type = declared
	} else {
		f.Type = event.Type(rapid.IntRange(0, int(event.Flattened)).Draw(t, "type"))
	}
	return f
}

// condValue draws a value as a condition on f has it, now and then one that is not of its type.
func condValue(t *rapid.T, f expr.Field) event.Value {
	v := hardValue().Draw(t, "value")
	if typed, ok := event.Coerce(f.Type, v); ok && rapid.IntRange(0, 9).Draw(t, "raw") > 0 {
		return typed
	}
	return v
}

func pattern(t *rapid.T) expr.Pattern {
	var p expr.Pattern
	for range rapid.IntRange(0, 5).Draw(t, "parts") {
		switch rapid.IntRange(0, 3).Draw(t, "part") {
		case 0:
			p.Parts = append(p.Parts, expr.PatternPart{One: true})
		case 1:
			p.Parts = append(p.Parts, expr.PatternPart{})
		default:
			if s := rapid.SampledFrom(hard).Draw(t, "literal"); s != "" {
				p.Parts = append(p.Parts, expr.PatternPart{Literal: s})
			}
		}
	}
	return p
}

func operand(t *rapid.T) expr.Value {
	f := condField(t)
	switch rapid.IntRange(0, 6).Draw(t, "operand") {
	case 0:
		return expr.Lit{Value: condValue(t, f)}
	case 1:
		return expr.Call{Fn: "coalesce", Args: []expr.Value{expr.One{Field: f}, expr.Lit{Value: condValue(t, f)}}}
	case 2:
		return expr.Call{Fn: rapid.SampledFrom([]string{"day", "length", "to_lower", "to_upper"}).Draw(t, "fn"), Args: []expr.Value{expr.One{Field: f}}}
	}
	return expr.One{Field: f}
}

func condition(t *rapid.T, depth int) expr.Cond {
	kind := rapid.IntRange(0, 13).Draw(t, "kind")
	if depth == 0 && kind > 9 {
		kind -= 6
	}
	f := condField(t)
	switch kind {
	case 0, 1:
		c := expr.In{Field: f}
		for range rapid.IntRange(0, 3).Draw(t, "values") {
			c.Values = append(c.Values, condValue(t, f))
		}
		return c
	case 2:
		c := expr.Range{Field: f}
		if rapid.Bool().Draw(t, "min") {
			c.Min = expr.Bound{Value: condValue(t, f), Inclusive: rapid.Bool().Draw(t, "inclusive")}
		}
		if rapid.Bool().Draw(t, "max") {
			c.Max = expr.Bound{Value: condValue(t, f), Inclusive: rapid.Bool().Draw(t, "inclusive")}
		}
		return c
	case 3, 4:
		return expr.Like{Field: f, Pattern: pattern(t), Fold: rapid.Bool().Draw(t, "fold")}
	case 5:
		f.Type = rapid.SampledFrom([]event.Type{event.Text, event.PatternText}).Draw(t, "text")
		return expr.Words{Field: f, Tokens: expr.Tokens(f.Type, rapid.SampledFrom(hard).Draw(t, "words")), Phrase: rapid.Bool().Draw(t, "phrase")}
	case 6:
		if rapid.IntRange(0, 3).Draw(t, "object") == 0 {
			f.Type = event.ObjectType
		}
		return expr.Exists{Field: f}
	case 7:
		return expr.Cmp{Op: expr.CmpOp(rapid.IntRange(0, 5).Draw(t, "op")), Left: operand(t), Right: operand(t)}
	case 8:
		return expr.IsNull{Value: operand(t)}
	case 9:
		c := expr.Anywhere{Text: rapid.SampledFrom(hard).Draw(t, "anywhere"), Phrase: rapid.Bool().Draw(t, "phrase")}
		if rapid.IntRange(0, 2).Draw(t, "patterned") == 0 {
			p := pattern(t)
			c.Pattern = &p
		}
		if rapid.Bool().Draw(t, "analysed") {
			c.Analyse = func(path string) (event.Type, bool) { return event.Text, path > "e" }
		}
		return c
	case 10:
		return expr.Not{Cond: condition(t, depth-1)}
	case 11:
		return expr.And{Conds: []expr.Cond{condition(t, depth-1), condition(t, depth-1)}}
	case 12:
		return expr.Or{Conds: []expr.Cond{condition(t, depth-1), condition(t, depth-1)}}
	}
	return expr.Nested{Path: rapid.SampledFrom(paths).Draw(t, "nested"), Cond: condition(t, depth-1)}
}

// TestConditions holds that a filter keeps the events that it keeps in mem, whatever form their values have: trees above
// columns, texts that no column holds, fields read as other types than theirs.
func TestConditions(t *testing.T) {
	ctx := context.Background()
	some, all := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		db, err := duck.Open(ctx, filepath.Join(t.TempDir(), "store"), duck.Options{Types: types})
		if err != nil {
			rt.Fatal(err)
		}
		defer db.Close()
		ref := mem.New(types)
		n := rapid.IntRange(5, 25).Draw(rt, "events")
		var events, copies []*event.Event
		for i := range n {
			e := hardDocument(i).Draw(rt, "event")
			events, copies = append(events, e), append(copies, e.Clone())
		}
		c := store.Change{At: base, Events: events}
		if err := db.Apply(ctx, &c); err != nil {
			rt.Fatal(err)
		}
		if err := ref.Apply(ctx, &store.Change{At: base, Events: copies}); err != nil {
			rt.Fatal(err)
		}
		ids := func(s store.Store, p plan.Node) (out []string) {
			for _, e := range query(rt, s, p) {
				out = append(out, e.ID)
			}
			sort.Strings(out)
			return out
		}
		for range 40 {
			cond := condition(rt, 3)
			p := plan.Project{In: plan.Filter{In: plan.Scan{}, Cond: cond}, Paths: []string{"@timestamp"}}
			got, want := ids(db, p), ids(ref, p)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				rt.Fatalf("%s: got %q, want %q", expr.String(cond), got, want)
			}
			all++
			if len(want) > 0 && len(want) < n {
				some++
			}
		}
	})
	if some < all/10 {
		t.Errorf("%d of %d conditions keep some events and not all: they tell nothing", some, all)
	}
}

// TestFoldBeyondASCII holds that case does not matter to a folding pattern in any script, where lower case alone would.
func TestFoldBeyondASCII(t *testing.T) {
	ctx := context.Background()
	db := open(t)
	c := store.Change{At: base}
	for i, name := range []string{"ſ", "\u212a", "É", "İ", "Σ", "ς"} {
		e := &event.Event{ID: fmt.Sprint(i), Stream: "logs"}
		e.SetString("@timestamp", event.FormatTime(base))
		e.SetString("user.name", name)
		c.Events = append(c.Events, e)
	}
	if err := db.Apply(ctx, &c); err != nil {
		t.Fatal(err)
	}
	f := func(literal string, want ...string) {
		t.Helper()
		var got []string
		cond := expr.Like{Field: expr.Field{Path: "user.name"}, Pattern: expr.Stars(literal), Fold: true}
		for _, e := range query(t, db, plan.Filter{In: plan.Scan{}, Cond: cond}) {
			got = append(got, e.Text("user.name"))
		}
		sort.Strings(got)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, want %q", literal, got, want)
		}
	}
	f("S", "ſ")
	f("k", "\u212a")
	f("é", "É")
	f("i")
	f("σ", "Σ", "ς")
}
