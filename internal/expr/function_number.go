package expr

import (
	"math"
	"math/bits"

	"github.com/tocsin-sec/tocsin/internal/event"
)

var numberFunctions = map[string]Function{
	"add":      {2, 2, "the sum of two numbers: whole ones if both are; null beyond 64 bits", arithmetic(addWhole, func(a, b float64) float64 { return a + b })},
	"subtract": {2, 2, "the difference of two numbers: whole if both are; null beyond 64 bits", arithmetic(subtractWhole, func(a, b float64) float64 { return a - b })},
	"multiply": {2, 2, "the product of two numbers: whole if both are; null beyond 64 bits", arithmetic(multiplyWhole, func(a, b float64) float64 { return a * b })},
	"divide": {2, 2, "the quotient of two numbers: whole, without the fraction, if both are; null if the second is 0",
		arithmetic(divideWhole, func(a, b float64) float64 { return a / b })},
	"modulo": {2, 2, "what divide leaves, with the sign of the first number; null if the second is 0",
		arithmetic(moduloWhole, math.Mod)},
	"negate": {1, 1, "a number with the other sign; null beyond 64 bits", func(args []event.Value) event.Value {
		switch v := args[0]; {
		case v.Kind() == event.KindFloat:
			return event.Float(-v.Float())
		case v.Kind() == event.KindInt && v.Int() != math.MinInt64:
			return event.Int(-v.Int())
		}
		return event.Null()
	}},
}

func arithmetic(whole func(a, b int64) (int64, bool), float func(a, b float64) float64) func([]event.Value) event.Value {
	isNumber := func(v event.Value) bool { return v.Kind() == event.KindInt || v.Kind() == event.KindFloat }
	return func(args []event.Value) event.Value {
		a, b := args[0], args[1]
		if !isNumber(a) || !isNumber(b) {
			return event.Null()
		}
		if a.Kind() == event.KindInt && b.Kind() == event.KindInt {
			if n, ok := whole(a.Int(), b.Int()); ok {
				return event.Int(n)
			}
			return event.Null()
		}
		f := float(a.Float(), b.Float())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return event.Null()
		}
		return event.Float(f)
	}
}

func addWhole(a, b int64) (int64, bool) {
	c := a + b
	return c, (c > a) == (b > 0)
}

func subtractWhole(a, b int64) (int64, bool) {
	c := a - b
	return c, (c < a) == (b > 0)
}

func multiplyWhole(a, b int64) (int64, bool) {
	size := func(n int64) uint64 {
		if n < 0 {
			return -uint64(n)
		}
		return uint64(n)
	}
	high, low := bits.Mul64(size(a), size(b))
	if (a < 0) != (b < 0) {
		return int64(-low), high == 0 && low <= 1<<63
	}
	return int64(low), high == 0 && low < 1<<63
}

func divideWhole(a, b int64) (int64, bool) {
	if b == 0 || a == math.MinInt64 && b == -1 {
		return 0, false
	}
	return a / b, true
}

func moduloWhole(a, b int64) (int64, bool) {
	if b == 0 || b == -1 {
		return 0, b == -1
	}
	return a % b, true
}
