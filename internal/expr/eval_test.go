package expr_test

import (
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

var (
	yes     = expr.Const{Value: true}
	no      = expr.Const{Value: false}
	neither = expr.Cmp{Op: expr.Equal, Left: expr.Lit{}, Right: expr.Lit{Value: event.Int(1)}}
)

// TestTruthTables is Kleene's logic, written out.
func TestTruthTables(t *testing.T) {
	const T, N, F = expr.True, expr.Null, expr.False
	of := map[expr.Truth]expr.Cond{T: yes, N: neither, F: no}
	for value, c := range of {
		if got := expr.Eval(c, &event.Event{}); got != value {
			t.Fatalf("%s is %d, want %d", expr.String(c), got, value)
		}
	}
	f := func(a, b, and, or expr.Truth) {
		t.Helper()
		check := func(c expr.Cond, want expr.Truth) {
			t.Helper()
			if got := expr.Eval(c, &event.Event{}); got != want {
				t.Errorf("%s is %d, want %d", expr.String(c), got, want)
			}
			if got := expr.Matches(c, &event.Event{}); got != (want == T) {
				t.Errorf("%s matches: %t", expr.String(c), got)
			}
		}
		check(expr.And{Conds: []expr.Cond{of[a], of[b]}}, and)
		check(expr.Or{Conds: []expr.Cond{of[a], of[b]}}, or)
		check(expr.All(of[a], of[b]), and)
		check(expr.Some(of[a], of[b]), or)
	}
	//  a  b  and or
	f(T, T, T, T)
	f(T, N, N, T)
	f(T, F, F, T)
	f(N, T, N, T)
	f(N, N, N, N)
	f(N, F, F, N)
	f(F, T, F, T)
	f(F, N, F, N)
	f(F, F, F, F)
	for value, want := range map[expr.Truth]expr.Truth{T: F, N: N, F: T} {
		if got := expr.Eval(expr.Not{Cond: of[value]}, &event.Event{}); got != want {
			t.Errorf("not %d is %d, want %d", value, got, want)
		}
	}
	if expr.Eval(expr.And{}, &event.Event{}) != T || expr.Eval(expr.Or{}, &event.Event{}) != F {
		t.Error("a conjunction of nothing is true, a disjunction of nothing false")
	}
}

// TestEval holds what conditions say of one event: all three outcomes where a condition has three.
func TestEval(t *testing.T) {
	e := decode(t, `{"k":"Root","l":["a","b"],"n":7,"ns":[1,9],"d":1.5,"b":true,"ip":"10.0.0.1","t":"2026-03-01T00:00:00Z",
		"msg":"Failed login for root","empty":"","null":null,"none":[],"bad":"x",
		"o":[{"x":1,"y":2},{"x":3,"y":4}],"deep":{"er":{"k":"v"}}}`)
	f := func(c expr.Cond, want expr.Truth) {
		t.Helper()
		if got := expr.Eval(c, e); got != want {
			t.Errorf("%s is %d, want %d", expr.String(c), got, want)
		}
	}
	const T, N, F = expr.True, expr.Null, expr.False
	str := event.String
	in := func(path string, typ event.Type, values ...event.Value) expr.Cond {
		return expr.In{Field: expr.Field{Path: path, Type: typ}, Values: values}
	}
	f(in("k", event.Keyword, str("Root")), T)
	f(in("k", event.Keyword, str("root")), F)
	f(in("k", event.Caseless, str("root")), T)
	f(in("l", event.Keyword, str("x"), str("b")), T)
	f(in("n", event.Long, event.Int(7)), T)
	f(in("n", event.Keyword, str("7")), T)
	f(in("missing", event.Keyword, str("")), F)
	f(in("null", event.Keyword, str("")), F)
	f(in("empty", event.Keyword, str("")), T)
	f(in("bad", event.Long, event.Int(0)), F)
	f(in("k", event.Keyword), F)

	between := func(path string, typ event.Type, min, max event.Value, inclusive bool) expr.Cond {
		return expr.Range{Field: expr.Field{Path: path, Type: typ}, Min: expr.Bound{Value: min, Inclusive: inclusive},
			Max: expr.Bound{Value: max, Inclusive: inclusive}}
	}
	f(between("n", event.Long, event.Int(7), event.Int(7), true), T)
	f(between("n", event.Long, event.Int(7), event.Int(8), false), F)
	f(between("n", event.Long, event.Int(6), event.Int(8), false), T)
	f(between("ns", event.Long, event.Int(2), event.Int(8), true), F) // 1 and 9, but neither alone
	f(between("d", event.Double, event.Float(1), event.Null(), false), T)
	f(between("k", event.Keyword, str("A"), str("S"), true), T)
	f(between("missing", event.Long, event.Null(), event.Null(), true), F)
	f(between("bad", event.Long, event.Null(), event.Null(), true), F)

	f(expr.Like{Field: expr.Field{Path: "k"}, Pattern: expr.Stars("R", "t")}, T)
	f(expr.Like{Field: expr.Field{Path: "k"}, Pattern: expr.Stars("r", "t")}, F)
	f(expr.Like{Field: expr.Field{Path: "k"}, Pattern: expr.Stars("r", "t"), Fold: true}, T)
	f(expr.Like{Field: expr.Field{Path: "msg", Type: event.Text}, Pattern: expr.Stars("log", "")}, T)
	f(expr.Like{Field: expr.Field{Path: "msg", Type: event.Text}, Pattern: expr.Stars("failed", "root")}, F)
	f(expr.Like{Field: expr.Field{Path: "missing"}, Pattern: expr.Stars("", "")}, F)

	words := func(phrase bool, tokens ...string) expr.Cond {
		return expr.Words{Field: expr.Field{Path: "msg", Type: event.Text}, Tokens: tokens, Phrase: phrase}
	}
	f(words(false, "root", "nothing"), T)
	f(words(false, "nothing"), F)
	f(words(true, "failed", "login"), T)
	f(words(true, "failed", "for"), F)
	f(words(true, "for", "root", "more"), F)
	f(words(false), F)
	f(words(true), F)

	exists := func(path string, typ event.Type) expr.Cond {
		return expr.Exists{Field: expr.Field{Path: path, Type: typ}}
	}
	f(exists("k", event.Keyword), T)
	f(exists("empty", event.Keyword), T)
	f(exists("null", event.Keyword), F)
	f(exists("none", event.Keyword), F)
	f(exists("bad", event.Long), F)
	f(exists("deep", event.Keyword), F)
	f(exists("deep", event.ObjectType), T)
	f(exists("deep.er", event.ObjectType), T)
	f(exists("de", event.ObjectType), F)
	f(exists("o", event.Nested), T)

	x, y := expr.Field{Path: "o.x", Type: event.Long}, expr.Field{Path: "o.y", Type: event.Long}
	pair := func(a, b int64) expr.Cond {
		return expr.And{Conds: []expr.Cond{expr.In{Field: x, Values: []event.Value{event.Int(a)}}, expr.In{Field: y, Values: []event.Value{event.Int(b)}}}}
	}
	f(pair(1, 4), T)
	f(expr.Nested{Path: "o", Cond: pair(1, 4)}, F)
	f(expr.Nested{Path: "o", Cond: pair(3, 4)}, T)
	f(expr.Nested{Path: "o", Cond: neither}, F) // Null is not True, and nested itself never Null
	f(expr.Nested{Path: "missing", Cond: yes}, F)
	f(expr.Nested{Path: "deep", Cond: expr.In{Field: expr.Field{Path: "deep.er.k"}, Values: []event.Value{str("v")}}}, T)

	one := func(path string, typ event.Type) expr.Value {
		return expr.One{Field: expr.Field{Path: path, Type: typ}}
	}
	cmp := func(op expr.CmpOp, a, b expr.Value) expr.Cond { return expr.Cmp{Op: op, Left: a, Right: b} }
	seven := expr.Lit{Value: event.Int(7)}
	f(cmp(expr.Equal, one("n", event.Long), seven), T)
	f(cmp(expr.NotEqual, one("n", event.Long), seven), F)
	f(cmp(expr.Less, one("n", event.Long), seven), F)
	f(cmp(expr.LessEqual, one("n", event.Long), seven), T)
	f(cmp(expr.Greater, one("n", event.Long), seven), F)
	f(cmp(expr.GreaterEqual, one("n", event.Long), seven), T)
	f(cmp(expr.Greater, one("d", event.Double), expr.Lit{Value: event.Int(1)}), T)
	f(cmp(expr.Equal, one("ns", event.Long), seven), N)
	f(cmp(expr.NotEqual, one("ns", event.Long), seven), N)
	f(cmp(expr.Equal, one("missing", event.Long), one("missing", event.Long)), N)
	f(cmp(expr.Equal, one("bad", event.Long), seven), N)
	f(cmp(expr.Equal, seven, expr.Lit{}), N)
	f(expr.IsNull{Value: one("n", event.Long)}, F)
	f(expr.IsNull{Value: one("ns", event.Long)}, T)
	f(expr.IsNull{Value: one("missing", event.Long)}, T)
	f(expr.IsNull{Value: expr.Lit{}}, T)

	f(expr.Anywhere{Text: "v"}, T)
	f(expr.Anywhere{Text: "7"}, T)
	f(expr.Anywhere{Text: "4"}, T)
	f(expr.Anywhere{Text: "login"}, F)
	analyse := func(path string) (event.Type, bool) { return event.Text, path == "msg" }
	f(expr.Anywhere{Text: "LOGIN", Analyse: analyse}, T)
	f(expr.Anywhere{Text: "login failed", Analyse: analyse}, T)
	f(expr.Anywhere{Text: "login failed", Analyse: analyse, Phrase: true}, F)
	p := expr.Stars("", "ogi", "")
	f(expr.Anywhere{Pattern: &p}, T) // in the whole text
	p2 := expr.Stars("logi", "")
	f(expr.Anywhere{Pattern: &p2}, F)
	f(expr.Anywhere{Pattern: &p2, Analyse: analyse}, T)
}

// TestOne holds what one value of a field is.
func TestOne(t *testing.T) {
	f := func(doc string, typ event.Type, root bool, want string) {
		t.Helper()
		got := expr.Compute(expr.One{Field: expr.Field{Path: "f", Type: typ, Root: root}}, decode(t, doc))
		if text := got.Text(); text != want || got.IsNull() != (want == "") {
			t.Errorf("%s as %v: %q, want %q", doc, typ, text, want)
		}
	}
	f(`{"f":"a"}`, event.Keyword, false, "a")
	f(`{"f":["a"]}`, event.Keyword, false, "a")
	f(`{"f":[["a"],null]}`, event.Keyword, false, "a")
	f(`{"f":["a","a"]}`, event.Keyword, false, "")
	f(`{"f":[1,"x"]}`, event.Long, false, "") // two values, though one of them does not fit
	f(`{"f":"x"}`, event.Long, false, "")
	f(`{"f":7.9}`, event.Long, false, "7")
	f(`{"f":[]}`, event.Keyword, false, "")
	f(`{"f":null}`, event.Keyword, false, "")
	f(`{"f":{"k":"a"}}`, event.Keyword, false, "")
	f(`{"f":[{"k":"a"}]}`, event.Flattened, true, "a")
	f(`{"f":[{"k":["a","b"]}]}`, event.Flattened, true, "")
	f(`{"f.k":"a"}`, event.Keyword, false, "")
}

func TestFunctions(t *testing.T) {
	covered := map[string]bool{}
	f := func(fn string, want event.Value, args ...event.Value) {
		t.Helper()
		covered[fn] = true
		c := expr.Call{Fn: fn}
		for _, a := range args {
			c.Args = append(c.Args, expr.Lit{Value: a})
		}
		if got := expr.Compute(c, &event.Event{}); !event.Equal(got, want) {
			t.Errorf("%s%v is %q (%d), want %q", fn, args, got.Text(), got.Kind(), want.Text())
		}
	}
	str, null := event.String, event.Null()
	f("coalesce", str("a"), null, str("a"), str("b"))
	f("coalesce", event.Bool(false), event.Bool(false), str("b"))
	f("coalesce", str(""), str(""), str("b"))
	f("coalesce", null, null)
	at := func(s string) event.Value {
		v, _ := event.Coerce(event.Date, str(s))
		return v
	}
	f("day", at("2026-03-01"), at("2026-03-01T23:59:59.999Z"))
	f("day", at("2026-03-01"), at("2026-03-01"))
	f("day", at("1969-12-31"), at("1969-12-31T23:59:59.999Z"))
	f("day", at("0000-01-01"), at("0000-01-01T00:00:00.001Z"))
	f("day", at("9999-12-31"), at("9999-12-31T23:59:59.999Z"))
	f("day", null, str("2026-03-01"))
	f("day", null, null)
	f("length", event.Int(0), str(""))
	f("length", event.Int(4), str("日本ü "))
	f("length", null, event.Int(12))
	f("length", null, null)
	f("to_lower", str("äß root σ"), str("Äẞ ROOT Σ"))
	f("to_lower", null, event.Bool(true))
	f("to_upper", str("ÄROOT"), str("äroot"))
	f("to_upper", null, null)
	textFunctions(f)
	numberFunctions(f)
	for name, fn := range expr.Functions {
		if !covered[name] {
			t.Errorf("nothing is held of %s", name)
		}
		if fn.Doc == "" || fn.MinArgs < 0 || fn.MaxArgs >= 0 && fn.MaxArgs < fn.MinArgs {
			t.Errorf("%s: a doc %q, %d to %d arguments", name, fn.Doc, fn.MinArgs, fn.MaxArgs)
		}
	}
}

func TestAllAndSome(t *testing.T) {
	f := func(got expr.Cond, want string) {
		t.Helper()
		if text := expr.String(got); text != want {
			t.Errorf("%s, want %s", text, want)
		}
	}
	a, b, c := expr.Exists{Field: expr.Field{Path: "a"}}, expr.Exists{Field: expr.Field{Path: "b"}}, expr.Exists{Field: expr.Field{Path: "c"}}
	f(expr.All(), "true")
	f(expr.Some(), "false")
	f(expr.All(a), "(exists a:keyword)")
	f(expr.Some(a), "(exists a:keyword)")
	f(expr.All(a, nil, yes), "(exists a:keyword)")
	f(expr.Some(nil, a, no), "(exists a:keyword)")
	f(expr.All(a, no, b), "false")
	f(expr.Some(a, yes, b), "true")
	f(expr.All(a, expr.All(b, c)), "(and (exists a:keyword) (exists b:keyword) (exists c:keyword))")
	f(expr.Some(expr.Some(a, b), c), "(or (exists a:keyword) (exists b:keyword) (exists c:keyword))")
	f(expr.All(a, expr.Some(b, c)), "(and (exists a:keyword) (or (exists b:keyword) (exists c:keyword)))")
}

// TestForeignNodes holds that a node that nobody knows is a mistake in the program, and loud.
func TestForeignNodes(t *testing.T) {
	f := func(what string, run func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", what)
			}
		}()
		run()
	}
	f("a condition", func() { expr.Eval(nil, &event.Event{}) })
	f("a value", func() { expr.Compute(nil, &event.Event{}) })
	f("a function", func() { expr.Compute(expr.Call{Fn: "nothing"}, &event.Event{}) })
	f("a condition's text", func() { _ = expr.String(nil) })
	f("a value's text", func() { _ = expr.String(expr.IsNull{}) })
}

func decode(t testing.TB, doc string) *event.Event {
	t.Helper()
	e, err := event.Decode([]byte(doc), event.DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}
