package expr_test

import (
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// Leaves are rewritten wherever they stand, once, and the condition itself stays as it was.
func TestRewrite(t *testing.T) {
	is := func(path string) expr.Cond {
		return expr.In{Field: expr.Field{Path: path, Type: event.Keyword}, Values: []event.Value{event.String("x")}}
	}
	f := func(c expr.Cond, want string) {
		t.Helper()
		before := expr.String(c)
		leaves := 0
		got := expr.Rewrite(c, func(leaf expr.Cond) expr.Cond {
			leaves++
			if in, ok := leaf.(expr.In); ok && in.Field.Path == "a" {
				return expr.Not{Cond: is("z")}
			}
			return leaf
		})
		if expr.String(got) != want || expr.String(c) != before || leaves == 0 {
			t.Errorf("%s becomes %s (now %s, %d leaves), want %s", before, expr.String(got), expr.String(c), leaves, want)
		}
	}
	z := expr.Not{Cond: is("z")}
	f(is("a"), expr.String(z))
	f(is("b"), expr.String(is("b")))
	f(expr.Const{Value: true}, expr.String(expr.Const{Value: true}))
	f(expr.And{Conds: []expr.Cond{is("a"), expr.Or{Conds: []expr.Cond{is("b"), expr.Not{Cond: is("a")}}}}},
		expr.String(expr.And{Conds: []expr.Cond{z, expr.Or{Conds: []expr.Cond{is("b"), expr.Not{Cond: z}}}}}))
	f(expr.Nested{Path: "n", Cond: expr.And{Conds: []expr.Cond{is("a"), is("c")}}},
		expr.String(expr.Nested{Path: "n", Cond: expr.And{Conds: []expr.Cond{z, is("c")}}}))
}
