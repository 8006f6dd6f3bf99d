package expr_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// nodes are conditions of every kind with their text, all of which differ.
func nodes() map[string]expr.Cond {
	k, n := expr.Field{Path: "k"}, expr.Field{Path: "n", Type: event.Long}
	str, num := event.String, event.Int
	p := expr.Stars("a", "b")
	when := event.Time(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	return map[string]expr.Cond{
		"true":                           expr.Const{Value: true},
		"false":                          expr.Const{},
		"(and)":                          expr.And{},
		"(or)":                           expr.Or{},
		"(and true false)":               expr.And{Conds: []expr.Cond{yes, no}},
		"(and false true)":               expr.And{Conds: []expr.Cond{no, yes}},
		"(or true (and false true))":     expr.Or{Conds: []expr.Cond{yes, expr.And{Conds: []expr.Cond{no, yes}}}},
		"(not true)":                     expr.Not{Cond: yes},
		`(in k:keyword)`:                 expr.In{Field: k},
		`(in k:keyword 4:"a" 4:"b")`:     expr.In{Field: k, Values: []event.Value{str("a"), str("b")}},
		`(in k:keyword 4:"a\" 4:\"b")`:   expr.In{Field: k, Values: []event.Value{str(`a" 4:"b`)}},
		`(in n:long 2:"1")`:              expr.In{Field: n, Values: []event.Value{num(1)}},
		`(in n:keyword 4:"1")`:           expr.In{Field: expr.Field{Path: "n"}, Values: []event.Value{str("1")}},
		`(in n:double 3:"1.0")`:          expr.In{Field: expr.Field{Path: "n", Type: event.Double}, Values: []event.Value{event.Float(1)}},
		`(in f:flattened* 4:"a")`:        expr.In{Field: expr.Field{Path: "f", Type: event.Flattened, Root: true}, Values: []event.Value{str("a")}},
		`(in f:flattened 4:"a")`:         expr.In{Field: expr.Field{Path: "f", Type: event.Flattened}, Values: []event.Value{str("a")}},
		`(in "a b":keyword 4:"a")`:       expr.In{Field: expr.Field{Path: "a b"}, Values: []event.Value{str("a")}},
		`(in "k:keyword":keyword 4:"a")`: expr.In{Field: expr.Field{Path: "k:keyword"}, Values: []event.Value{str("a")}},
		`(in "":keyword 4:"a")`:          expr.In{Values: []event.Value{str("a")}},
		`(range n:long)`:                 expr.Range{Field: n},
		`(range n:long >2:"1")`:          expr.Range{Field: n, Min: expr.Bound{Value: num(1)}},
		`(range n:long >=2:"1" <2:"9")`:  expr.Range{Field: n, Min: expr.Bound{Value: num(1), Inclusive: true}, Max: expr.Bound{Value: num(9)}},
		`(range n:long <=2:"1")`:         expr.Range{Field: n, Max: expr.Bound{Value: num(1), Inclusive: true}},
		`(range t:date >5:"2026-03-01T00:00:00.000Z")`: expr.Range{Field: expr.Field{Path: "t", Type: event.Date}, Min: expr.Bound{Value: when}},
		`(like k:keyword "a*b" fold=false)`:            expr.Like{Field: k, Pattern: p},
		`(like k:keyword "a*b" fold=true)`:             expr.Like{Field: k, Pattern: p, Fold: true},
		`(like k:keyword "a\\*b" fold=false)`:          expr.Like{Field: k, Pattern: expr.Stars("a*b")},
		`(like k:keyword "a?b" fold=false)`:            expr.Like{Field: k, Pattern: pattern("a?b")},
		`(words k:text ["a" "b"] phrase=false)`:        expr.Words{Field: expr.Field{Path: "k", Type: event.Text}, Tokens: []string{"a", "b"}},
		`(words k:text ["a" "b"] phrase=true)`:         expr.Words{Field: expr.Field{Path: "k", Type: event.Text}, Tokens: []string{"a", "b"}, Phrase: true},
		`(words k:text ["a\" \"b"] phrase=true)`:       expr.Words{Field: expr.Field{Path: "k", Type: event.Text}, Tokens: []string{`a" "b`}, Phrase: true},
		`(exists k:keyword)`:                           expr.Exists{Field: k},
		`(exists k:object)`:                            expr.Exists{Field: expr.Field{Path: "k", Type: event.ObjectType}},
		`(nested "o" (exists k:keyword))`:              expr.Nested{Path: "o", Cond: expr.Exists{Field: k}},
		`(anywhere "a" phrase=false)`:                  expr.Anywhere{Text: "a"},
		`(anywhere "a" phrase=true)`:                   expr.Anywhere{Text: "a", Phrase: true},
		`(anywhere "" phrase=false like "a*b")`:        expr.Anywhere{Pattern: &p},
		`(== n:long 2:"1")`:                            expr.Cmp{Op: expr.Equal, Left: expr.One{Field: n}, Right: expr.Lit{Value: num(1)}},
		`(!= n:long 4:"1")`:                            expr.Cmp{Op: expr.NotEqual, Left: expr.One{Field: n}, Right: expr.Lit{Value: str("1")}},
		`(< n:long 0:"")`:                              expr.Cmp{Op: expr.Less, Left: expr.One{Field: n}, Right: expr.Lit{}},
		`(<= n:long 4:"")`:                             expr.Cmp{Op: expr.LessEqual, Left: expr.One{Field: n}, Right: expr.Lit{Value: str("")}},
		`(> (length k:keyword) 2:"1")`:                 expr.Cmp{Op: expr.Greater, Left: expr.Call{Fn: "length", Args: []expr.Value{expr.One{Field: k}}}, Right: expr.Lit{Value: num(1)}},
		`(>= n:long n:long)`:                           expr.Cmp{Op: expr.GreaterEqual, Left: expr.One{Field: n}, Right: expr.One{Field: n}},
		`(holds true)`:                                 expr.Holds{Cond: yes},
		`(regexp k:keyword "^(?:a)$")`:                 expr.Regexp{Field: k, Expr: regexp.MustCompile("^(?:a)$")},
		`(each k:keyword (is-null this))`:              expr.Each{Field: k, Cond: expr.IsNull{Value: expr.This{}}},
		`(fits (least k:keyword) "a*b" "c" fold=true)`: expr.Fits{Value: expr.Least{Field: k}, Patterns: []expr.Pattern{p, expr.Stars("c")}, Fold: true},
		`(matching k:keyword "a")`:                     expr.Matching{Value: expr.One{Field: k}, Expr: regexp.MustCompile("a")},
		`(is-null (test (exists k:keyword)))`:          expr.IsNull{Value: expr.Test{Cond: expr.Exists{Field: k}}},
		`(is-null (coalesce k:keyword n:long))`:        expr.IsNull{Value: expr.Call{Fn: "coalesce", Args: []expr.Value{expr.One{Field: k}, expr.One{Field: n}}}},
	}
}

func TestString(t *testing.T) {
	for want, c := range nodes() {
		if got := expr.String(c); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestPaths(t *testing.T) {
	f := func(c expr.Cond, want string, whole bool) {
		t.Helper()
		paths, all := expr.Paths(c)
		if got := strings.Join(paths, " "); got != want || all != whole {
			t.Errorf("%s reads %q (everything: %t), want %q (%t)", expr.String(c), got, all, want, whole)
		}
	}
	for text, c := range nodes() {
		paths, whole := expr.Paths(c)
		if whole != strings.Contains(text, "anywhere") {
			t.Errorf("%s reads everything: %t", text, whole)
		}
		if len(paths) == 0 != !strings.Contains(text, ":") && !whole {
			t.Errorf("%s reads %q", text, paths)
		}
	}
	a, b := expr.Exists{Field: expr.Field{Path: "a"}}, expr.Exists{Field: expr.Field{Path: "b"}}
	f(expr.And{Conds: []expr.Cond{b, expr.Not{Cond: a}, expr.Or{Conds: []expr.Cond{a, b}}}}, "a b", false)
	f(expr.Nested{Path: "o", Cond: a}, "a o", false)
	f(expr.Or{Conds: []expr.Cond{a, expr.Anywhere{Text: "x"}}}, "a", true)
	f(expr.Cmp{Left: expr.One{Field: expr.Field{Path: "x"}}, Right: expr.Call{Fn: "coalesce", Args: []expr.Value{
		expr.Lit{Value: event.String("l")}, expr.One{Field: expr.Field{Path: "y"}}}}}, "x y", false)
	f(expr.IsNull{Value: expr.One{Field: expr.Field{Path: "x"}}}, "x", false)
	f(expr.Each{Field: expr.Field{Path: "x"}, Cond: expr.Cmp{Left: expr.This{}, Right: expr.Least{Field: expr.Field{Path: "y"}}}}, "x y", false)
	f(expr.Each{Field: expr.Field{Path: "x"}, Cond: expr.Anywhere{}}, "x", true)
	f(expr.Const{}, "", false)

	// Walk gives fields in order, as often as they are read, with their types.
	var got []string
	expr.Walk(expr.And{Conds: []expr.Cond{b, expr.Nested{Path: "o", Cond: a}, b}},
		func(f expr.Field) { got = append(got, f.String()) }, func() { got = append(got, "*") })
	if diff := cmp.Diff([]string{"b:keyword", "o:nested", "a:keyword", "b:keyword"}, got); diff != "" {
		t.Errorf("walk (-want +got):\n%s", diff)
	}
}
