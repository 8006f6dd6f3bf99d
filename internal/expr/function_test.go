package expr_test

import (
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// fact holds what a function gives.
type fact = func(fn string, want event.Value, args ...event.Value)

func textFunctions(f fact) {
	str, num, null := event.String, event.Int, event.Null()
	yes, no := event.Bool(true), event.Bool(false)
	f("starts_with", yes, str("Root"), str("Ro"))
	f("starts_with", no, str("Root"), str("ro"))
	f("starts_with", yes, str(""), str(""))
	f("starts_with", null, null, str("a"))
	f("starts_with", null, str("a"), null)
	f("starts_with", null, num(12), str("1"))
	f("starts_with_fold", yes, str("Root"), str("rO"))
	f("starts_with_fold", yes, str("ÄB\u212a"), str("äbk"))
	f("starts_with_fold", null, str("a"), null)
	f("ends_with", yes, str("Root"), str("ot"))
	f("ends_with", no, str("Root"), str("OT"))
	f("ends_with", null, null, null)
	f("ends_with_fold", yes, str("Root"), str("OT"))
	f("contains", yes, str("Root"), str("oo"))
	f("contains", no, str("Root"), str("OO"))
	f("contains", no, str("Root"), str(""))
	f("contains", no, str(""), str(""))
	f("contains", null, str("Root"), null)
	f("contains_fold", yes, str("Root"), str("OO"))
	f("contains_fold", no, str("Root"), str(""))
	f("index_of", num(1), str("Root"), str("o"))
	f("index_of", num(2), str("Root"), str("o"), num(2))
	f("index_of", num(1), str("Root"), str("o"), num(-9))
	f("index_of", num(1), str("Root"), str("o"), null)
	f("index_of", null, str("Root"), str("o"), num(3))
	f("index_of", null, str("Root"), str("o"), num(math.MaxInt64))
	f("index_of", num(3), str("Root"), str(""), num(3))
	f("index_of", num(4), str("Root"), str(""), num(9))
	f("index_of", num(3), str("ü👍x"), str("x"))
	f("index_of", num(3), str("ü👍x"), str("x"), num(3))
	f("index_of", null, str("Root"), str("o"), str("1"))
	f("index_of", null, null, str("o"))
	f("index_of_fold", num(1), str("rOOt"), str("o"))
	f("index_of_fold", num(2), str("\u212aÄx"), str("X")) // K, the Kelvin sign, folds to a shorter letter
	f("between", str("b"), str("abc"), str("a"), str("c"))
	f("between", str("bc"), str("abcc"), str("a"), str("c"), yes)
	f("between", str("b"), str("abcc"), str("a"), str("c"), no)
	f("between", str("b"), str("abcc"), str("a"), str("c"), null)
	f("between", null, str("abc"), str("c"), str("a"))
	f("between", null, str("abc"), str("c"), str("a"), yes)
	f("between", str(""), str(""), str("c"), str("a"))
	f("between", null, null, str("c"), str("a"))
	f("between_fold", str("BÄ"), str("aBÄc"), str("A"), str("C"))
	f("between_fold", str("Ä"), str("\u212aÄc"), str("k"), str("C"))
	f("substring", str("oo"), str("Root"), num(1), num(3))
	f("substring", str("oot"), str("Root"), num(1))
	f("substring", str("ot"), str("Root"), num(-2))
	f("substring", str("o"), str("Root"), num(-2), num(-1))
	f("substring", str("Root"), str("Root"), null, null)
	f("substring", str("Root"), str("Root"), num(math.MinInt64), num(math.MaxInt64))
	f("substring", str(""), str("Root"), num(3), num(1))
	f("substring", str("👍"), str("ü👍x"), num(1), num(3))
	f("substring", str("\ufffdx"), str("👍x"), num(1)) // half a pair
	f("substring", null, str("Root"), str("1"))
	f("substring", null, null, num(1))
	f("utf16_length", num(4), str("ü👍x"))
	f("utf16_length", num(0), str(""))
	f("utf16_length", null, num(12))
	f("concat", str("a1true"), str("a"), num(1), yes)
	f("concat", null, str("a"), null)
	f("concat", null, str(strings.Repeat("x", 9<<20)), str(strings.Repeat("x", 9<<20)))
	f("to_text", str("42"), num(42))
	f("to_text", str("42.5"), event.Float(42.5))
	f("to_text", str("42.0"), event.Float(42))
	f("to_text", str("1.5E10"), event.Float(1.5e10))
	f("to_text", str("1.0E7"), event.Float(1e7))
	f("to_text", str("9999999.0"), event.Float(9999999))
	f("to_text", str("1.0E-4"), event.Float(1e-4))
	f("to_text", str("0.001"), event.Float(1e-3))
	f("to_text", str("0.0"), event.Float(0))
	f("to_text", null, null)
	f("to_text", null, event.Strings("a"))
	f("to_number", num(42), str(" 42 "))
	f("to_number", num(-42), str("-42"))
	f("to_number", event.Float(-4.5), str("-4.5"))
	f("to_number", event.Float(1e3), str("1e3"))
	f("to_number", num(255), str("0xff"))
	f("to_number", num(-255), str("-0xff"), num(16))
	f("to_number", num(5), str("101"), num(2))
	for _, bad := range []string{"", "x", "+-1", "--1", "1_0", "0x", "inf", "NaN", "0x1p4", "1 2", "1e999", "٣"} {
		f("to_number", null, str(bad))
	}
	f("to_number", null, str("4.5"), num(16))
	f("to_number", null, str("+-1"), num(16))
	f("to_number", null, str("1"), num(1))
	f("to_number", null, str("1"), num(37))
	f("to_number", null, num(1))
	f("cidr_match", yes, str("10.1.2.3"), str("192.168.0.0/16"), str("10.0.0.0/8"))
	f("cidr_match", no, str("10.1.2.3"), str("192.168.0.0/16"))
	f("cidr_match", yes, str("2001:db8::1"), str("2001:db8::/32"))
	f("cidr_match", no, str("2001:db8::1"), str("0.0.0.0/0"))
	f("cidr_match", yes, str("::ffff:10.0.0.1"), str("10.0.0.1"))
	f("cidr_match", yes, str("10.0.0.1"), str("::/0"))
	f("cidr_match", no, str("10.0.0.1"), str("2001:db8::/32"))
	f("cidr_match", null, str("somewhere"), str("10.0.0.0/8"))
	f("cidr_match", null, str("10.0.0.1"), str("10.0.0.0/33"))
	f("cidr_match", null, str("10.0.0.1"), str("10.0.0.0/8"), null)
	f("cidr_match", null, null, str("10.0.0.0/8"))
}

func numberFunctions(f fact) {
	num, float, null := event.Int, event.Float, event.Null()
	const least, most = math.MinInt64, math.MaxInt64
	f("add", num(9), num(4), num(5))
	f("add", float(4.5), num(4), float(0.5))
	f("add", null, num(most), num(1))
	f("add", null, num(least), num(-1))
	f("add", num(-1), num(most), num(least))
	f("add", null, null, num(1))
	f("add", null, event.String("1"), num(1))
	f("subtract", num(-1), num(4), num(5))
	f("subtract", null, num(least), num(1))
	f("subtract", null, num(0), num(least))
	f("subtract", num(most), num(-1), num(least))
	f("multiply", num(-20), num(-4), num(5))
	f("multiply", num(0), num(-4), num(0))
	f("multiply", num(least), num(least), num(1))
	f("multiply", null, num(least), num(-1))
	f("multiply", null, num(most), num(2))
	f("multiply", float(2), num(4), float(0.5))
	f("divide", num(-1), num(-5), num(4))
	f("divide", float(-1.25), num(-5), float(4))
	f("divide", null, num(1), num(0))
	f("divide", null, num(1), float(0))
	f("divide", null, num(least), num(-1))
	f("modulo", num(4), num(10), num(-6))
	f("modulo", num(-4), num(-10), num(-6))
	f("modulo", num(0), num(least), num(-1))
	f("modulo", null, num(1), num(0))
	f("modulo", float(0.5), num(2), float(1.5))
	f("negate", num(-1), num(1))
	f("negate", float(-1.5), float(1.5))
	f("negate", null, num(least))
	f("negate", null, event.String("1"))
}

// TestWholeNumbers holds the bounds of 64 bits against numbers that have none.
func TestWholeNumbers(t *testing.T) {
	whole := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-9, 9), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, 1 << 32, -1 << 31}))
	rapid.Check(t, func(t *rapid.T) {
		a, b := whole.Draw(t, "a"), whole.Draw(t, "b")
		for fn, want := range wide(a, b) {
			got := expr.Compute(expr.Call{Fn: fn, Args: []expr.Value{expr.Lit{Value: event.Int(a)}, expr.Lit{Value: event.Int(b)}}}, &event.Event{})
			if got.IsNull() == want.IsInt64() || !got.IsNull() && got.Int() != want.Int64() {
				t.Fatalf("%s(%d, %d) is %q, want %v", fn, a, b, got.Text(), want)
			}
		}
	})
}

// TestEach holds that an Each looks at one value after the other, and at null where there is none.
func TestEach(t *testing.T) {
	e := decode(t, `{"l":["a","bb","ccc"],"n":[5,1,9],"k":"Root","bad":["x","y"],"o":[{"x":1,"y":2},{"x":3,"y":4}]}`)
	f := func(c expr.Cond, want expr.Truth) {
		t.Helper()
		if got := expr.Eval(c, e); got != want {
			t.Errorf("%s is %d, want %d", expr.String(c), got, want)
		}
	}
	const T, N, F = expr.True, expr.Null, expr.False
	l, missing := expr.Field{Path: "l"}, expr.Field{Path: "missing"}
	length := func(x expr.Value) expr.Value { return expr.Call{Fn: "length", Args: []expr.Value{x}} }
	is := func(op expr.CmpOp, x expr.Value, n int64) expr.Cond {
		return expr.Cmp{Op: op, Left: x, Right: expr.Lit{Value: event.Int(n)}}
	}
	this := expr.This{}
	each := func(field expr.Field, c expr.Cond) expr.Cond { return expr.Each{Field: field, Cond: c} }
	f(each(l, is(expr.Equal, length(this), 2)), T)
	f(each(l, is(expr.Equal, length(this), 4)), F)
	f(each(l, is(expr.NotEqual, length(this), 2)), T)
	f(expr.Not{Cond: each(l, is(expr.Greater, length(this), 0))}, F)
	// Both conditions on one value, not one each.
	f(each(l, expr.And{Conds: []expr.Cond{is(expr.Less, length(this), 2), is(expr.Greater, length(this), 2)}}), F)
	f(each(missing, is(expr.Greater, length(this), 0)), F)
	f(expr.Not{Cond: each(missing, is(expr.Greater, length(this), 0))}, T)
	f(each(missing, expr.IsNull{Value: length(this)}), T)
	f(each(l, expr.IsNull{Value: length(this)}), F)
	f(each(expr.Field{Path: "bad", Type: event.Long}, expr.IsNull{Value: this}), T) // no value that fits
	f(expr.IsNull{Value: this}, T)
	f(each(l, each(expr.Field{Path: "n", Type: event.Long}, is(expr.Equal, this, 9))), T)                                 // the inner one
	f(each(l, expr.And{Conds: []expr.Cond{each(missing, expr.IsNull{Value: this}), is(expr.Equal, length(this), 3)}}), T) // and back
	f(expr.Nested{Path: "o", Cond: each(expr.Field{Path: "o.x", Type: event.Long}, is(expr.Equal, this, 3))}, T)          // one object at a time
	f(each(l, expr.Nested{Path: "o", Cond: is(expr.Equal, length(this), 3)}), T)                                          // This from round it
	f(is(expr.Equal, expr.Least{Field: expr.Field{Path: "n", Type: event.Long}}, 1), T)
	f(is(expr.Equal, expr.Least{Field: expr.Field{Path: "n", Type: event.Keyword}}, 1), F) // a text
	f(is(expr.Equal, expr.Least{Field: missing}, 1), N)
	f(expr.Holds{Cond: is(expr.Equal, expr.Least{Field: missing}, 1)}, F)
	f(expr.Not{Cond: expr.Holds{Cond: is(expr.Equal, expr.Least{Field: missing}, 1)}}, T)
	f(expr.Holds{Cond: yes}, T)
	test := func(c expr.Cond) expr.Value { return expr.Test{Cond: c} }
	f(expr.IsNull{Value: test(neither)}, T)
	f(expr.Cmp{Left: test(yes), Right: expr.Lit{Value: event.Bool(true)}}, T)
	f(expr.Cmp{Left: test(no), Right: expr.Lit{Value: event.Bool(false)}}, T)

	k := expr.Field{Path: "k"}
	re := regexp.MustCompile("^(?:R.*t)$")
	f(expr.Regexp{Field: k, Expr: re}, T)
	f(expr.Regexp{Field: l, Expr: regexp.MustCompile("^(?:c+)$")}, T)
	f(expr.Regexp{Field: missing, Expr: re}, F)
	f(expr.Matching{Value: expr.One{Field: k}, Expr: re}, T)
	f(expr.Matching{Value: expr.Lit{Value: event.String("rot")}, Expr: re}, F)
	f(expr.Matching{Value: expr.One{Field: missing}, Expr: re}, N)
	f(expr.Matching{Value: expr.Lit{Value: event.Int(1)}, Expr: re}, N)
	patterns := []expr.Pattern{expr.Stars("x"), expr.Stars("r", "t")}
	f(expr.Fits{Value: expr.One{Field: k}, Patterns: patterns, Fold: true}, T)
	f(expr.Fits{Value: expr.One{Field: k}, Patterns: patterns}, F)
	f(expr.Fits{Value: expr.One{Field: k}}, F)
	f(expr.Fits{Value: expr.One{Field: missing}, Patterns: patterns}, N)
}

// wide computes with numbers of any size; what cannot be computed is beyond 64 bits.
func wide(a, b int64) map[string]*big.Int {
	x, y, beyond := big.NewInt(a), big.NewInt(b), new(big.Int).Lsh(big.NewInt(1), 70)
	out := map[string]*big.Int{"add": new(big.Int).Add(x, y), "subtract": new(big.Int).Sub(x, y),
		"multiply": new(big.Int).Mul(x, y), "divide": beyond, "modulo": beyond}
	if b != 0 {
		out["divide"], out["modulo"] = new(big.Int).Quo(x, y), new(big.Int).Rem(x, y)
	}
	return out
}
