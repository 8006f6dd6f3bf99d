package expr_test

import (
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// randomCond is a condition on a few fields, at most depth joins deep.
func randomCond(r *rand.Rand, depth int) expr.Cond {
	fields := []expr.Field{{Path: "a"}, {Path: "b", Type: event.Long}, {Path: "c", Type: event.Text}}
	f := fields[r.IntN(len(fields))]
	word := event.String([]string{"x", "y", "1", "2"}[r.IntN(4)])
	if typed, ok := event.Coerce(f.Type, word); ok {
		word = typed
	} else {
		word = event.Int(1)
	}
	if depth > 0 && r.IntN(3) > 0 {
		list := make([]expr.Cond, r.IntN(4))
		for i := range list {
			list[i] = randomCond(r, depth-1)
		}
		switch r.IntN(4) {
		case 0:
			return expr.And{Conds: list}
		case 1:
			return expr.Or{Conds: list}
		case 2:
			return expr.Holds{Cond: randomCond(r, depth-1)}
		}
		return expr.Not{Cond: randomCond(r, depth-1)}
	}
	switch r.IntN(8) {
	case 0:
		return expr.Const{Value: r.IntN(2) == 0}
	case 1:
		return expr.Exists{Field: f}
	case 2:
		return expr.Range{Field: f, Min: expr.Bound{Value: word, Inclusive: r.IntN(2) == 0}}
	case 3:
		return expr.Cmp{Op: expr.CmpOp(r.IntN(6)), Left: expr.One{Field: f}, Right: expr.Lit{Value: word}}
	case 4:
		return expr.IsNull{Value: expr.One{Field: f}}
	case 5:
		return expr.Matching{Value: expr.One{Field: fields[0]}, Expr: regexp.MustCompile("^x")}
	case 6:
		return expr.Like{Field: fields[0], Pattern: expr.Stars("x", "")}
	}
	return expr.In{Field: f, Values: []event.Value{word}}
}

func randomEvent(r *rand.Rand) *event.Event {
	e := &event.Event{}
	for _, path := range []string{"a", "b", "c"} {
		var list []event.Value
		for range r.IntN(3) {
			list = append(list, event.String([]string{"x", "xy", "y", "1", "2"}[r.IntN(5)]))
		}
		switch len(list) {
		case 0:
		case 1:
			e.Set(path, list[0])
		default:
			e.Set(path, event.List(list...))
		}
	}
	return e
}

// Every part of an explanation is what Eval says of it, whichever way the condition is built.
func TestExplain(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	var outcomes [3]int
	var check func(x expr.Explained, e *event.Event)
	check = func(x expr.Explained, e *event.Event) {
		if want := expr.Eval(x.Cond, e); x.Truth != want {
			t.Fatalf("%s is explained as %d, and is %d", expr.String(x.Cond), x.Truth, want)
		}
		for _, part := range x.Parts {
			check(part, e)
		}
	}
	for range 20_000 {
		e := randomEvent(r)
		x := expr.Explain(randomCond(r, 4), e)
		outcomes[x.Truth]++
		check(x, e)
	}
	if outcomes[expr.True] < 1000 || outcomes[expr.False] < 1000 || outcomes[expr.Null] < 1000 {
		t.Errorf("false, null and true came up %v times", outcomes)
	}
}
