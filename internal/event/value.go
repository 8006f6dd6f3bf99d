package event

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// Kind says what a Value holds.
type Kind uint8

// The kinds. Null to Object are what JSON can say; Time and IP exist only after Coerce.
const (
	KindNull Kind = iota
	KindBool
	KindInt
	KindFloat
	KindString
	KindTime
	KindIP
	KindList
	KindObject
)

// Value is one JSON value, or a scalar that Coerce typed. The zero Value is null. Values are immutable: whoever holds a
// list or an object must not write to it.
//
// An event has a hundred of them, and a load a million at a time: a Value takes three words, not seven.
type Value struct {
	kind Kind
	num  uint64         // of a number, a boolean or an instant; else the length of what ptr leads to
	ptr  unsafe.Pointer // to the bytes of a text or an address, the elements of a list or the members of an object
}

// str is the text that v holds; the literal of a Float that has one.
func (v Value) str() string {
	switch v.kind {
	case KindString, KindIP:
		return unsafe.String((*byte)(v.ptr), int(v.num))
	case KindFloat:
		if v.ptr != nil {
			return *(*string)(v.ptr)
		}
	}
	return ""
}

func listOf(items []Value) Value {
	return Value{kind: KindList, num: uint64(len(items)), ptr: unsafe.Pointer(unsafe.SliceData(items))}
}

func objectOf(members []Member) Value {
	return Value{kind: KindObject, num: uint64(len(members)), ptr: unsafe.Pointer(unsafe.SliceData(members))}
}

func (v Value) items() []Value    { return unsafe.Slice((*Value)(v.ptr), int(v.num)) }
func (v Value) members() []Member { return unsafe.Slice((*Member)(v.ptr), int(v.num)) }

// Member is one key of an object, in the order in which it was read.
type Member struct {
	Key   string
	Value Value
}

// Null returns the null value.
func Null() Value { return Value{} }

// Bool returns a boolean.
func Bool(b bool) Value {
	v := Value{kind: KindBool}
	if b {
		v.num = 1
	}
	return v
}

// Int returns an integer.
func Int(n int64) Value { return Value{kind: KindInt, num: uint64(n)} }

// Float returns a floating-point number without a literal of its own.
func Float(f float64) Value { return Value{kind: KindFloat, num: math.Float64bits(f)} }

// Literal returns the number that the JSON literal text says: an Int where it is a plain integer of 64 bits, else a
// Float that remembers its text (integers beyond 64 bits included).
func Literal(text string) (Value, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && text != "-0" {
		return Int(n), true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(f, 0) {
		return Value{}, false
	}
	return Value{kind: KindFloat, num: math.Float64bits(f), ptr: unsafe.Pointer(&text)}, true
}

// String returns a text.
func String(s string) Value {
	return Value{kind: KindString, num: uint64(len(s)), ptr: unsafe.Pointer(unsafe.StringData(s))}
}

// Time returns an instant, cut to the millisecond.
func Time(t time.Time) Value { return Millis(t.UnixMilli()) }

// Millis returns the instant ms milliseconds after the Unix epoch.
func Millis(ms int64) Value { return Value{kind: KindTime, num: uint64(ms)} }

// IP returns an address; IPv4 and its IPv6-mapped form are the same value.
func IP(a netip.Addr) Value {
	b := a.As16()
	return Value{kind: KindIP, num: uint64(len(b)), ptr: unsafe.Pointer(&b)}
}

// List returns a list; it keeps the slice.
func List(items ...Value) Value { return listOf(items) }

// Strings returns a list of texts.
func Strings(items ...string) Value {
	list := make([]Value, len(items))
	for i, s := range items {
		list[i] = String(s)
	}
	return List(list...)
}

// Object returns an object; it keeps the slice. Keys must be unique.
func Object(members ...Member) Value {
	return objectOf(members)
}

// Kind says what v holds.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return v.kind == KindNull }

// Bool returns the boolean that v holds, false for other kinds.
func (v Value) Bool() bool { return v.kind == KindBool && v.num == 1 }

// Int returns the integer that v holds, or the milliseconds of a Time; 0 for other kinds.
func (v Value) Int() int64 {
	if v.kind == KindInt || v.kind == KindTime {
		return int64(v.num)
	}
	return 0
}

// Float returns the number that v holds as a float64, 0 for other kinds.
func (v Value) Float() float64 {
	switch v.kind {
	case KindFloat:
		return math.Float64frombits(v.num)
	case KindInt:
		return float64(int64(v.num))
	}
	return 0
}

// Str returns the text of a String, and "" for other kinds (Text prints every scalar).
func (v Value) Str() string {
	if v.kind == KindString {
		return v.str()
	}
	return ""
}

// Time returns the instant that v holds, in UTC; the zero time for other kinds.
func (v Value) Time() time.Time {
	if v.kind == KindTime {
		return time.UnixMilli(int64(v.num)).UTC()
	}
	return time.Time{}
}

// Addr returns the address that v holds (an IPv4 one unmapped), the zero address for other kinds.
func (v Value) Addr() netip.Addr {
	if v.kind != KindIP {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte([]byte(v.str()))).Unmap()
}

// Items returns the elements of a list, nil for other kinds.
func (v Value) Items() []Value {
	if v.kind == KindList {
		return v.items()
	}
	return nil
}

// Members returns the members of an object in their order, nil for other kinds.
func (v Value) Members() []Member {
	if v.kind == KindObject {
		return v.members()
	}
	return nil
}

// Member returns the value of key in an object; null when v is no object or has no such key.
func (v Value) Member(key string) Value {
	for _, m := range v.Members() {
		if m.Key == key {
			return m.Value
		}
	}
	return Value{}
}

// At walks the objects of v along keys and returns what stands there, null when the way ends early.
func (v Value) At(keys ...string) Value {
	for _, k := range keys {
		v = v.Member(k)
	}
	return v
}

// IsScalar reports whether v is neither null nor a list nor an object.
func (v Value) IsScalar() bool { return v.kind != KindNull && v.kind < KindList }

// Text prints a scalar as a keyword field reads it: strings as they are, numbers by their literal, booleans true and
// false, instants as 2006-01-02T15:04:05.000Z, addresses in their short form; "" for null, lists and objects.
func (v Value) Text() string {
	switch v.kind {
	case KindString:
		return v.str()
	case KindBool:
		return strconv.FormatBool(v.num == 1)
	case KindInt:
		return strconv.FormatInt(int64(v.num), 10)
	case KindFloat:
		if v.ptr != nil {
			return v.str()
		}
		return formatFloat(math.Float64frombits(v.num))
	case KindTime:
		return FormatTime(v.Time())
	case KindIP:
		return v.Addr().String()
	}
	return ""
}

func formatFloat(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".eIN") {
		s += ".0"
	}
	return s
}

// Equal reports whether a and b are the same value: the same kind and content, numbers by literal, objects by their
// members whatever the order.
func Equal(a, b Value) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case KindFloat:
		return a.Text() == b.Text()
	case KindList:
		if len(a.items()) != len(b.items()) {
			return false
		}
		for i := range a.items() {
			if !Equal(a.items()[i], b.items()[i]) {
				return false
			}
		}
		return true
	case KindObject:
		if len(a.members()) != len(b.members()) {
			return false
		}
		for _, m := range a.members() {
			found := false
			for _, n := range b.members() {
				if n.Key == m.Key {
					found = Equal(m.Value, n.Value)
					break
				}
			}
			if !found {
				return false
			}
		}
		return true
	}
	return a.num == b.num && a.str() == b.str()
}

// Compare orders two typed scalars: numbers by size (Int and Float together), instants by time, addresses by their 16
// bytes, texts by their bytes, false before true. Values of kinds that do not compare are ordered by kind.
func Compare(a, b Value) int {
	if numeric(a.kind) && numeric(b.kind) {
		if a.kind == KindInt && b.kind == KindInt {
			return order(int64(a.num), int64(b.num))
		}
		return compareNumbers(a, b)
	}
	if a.kind != b.kind {
		return order(a.kind, b.kind)
	}
	switch a.kind {
	case KindTime:
		return order(int64(a.num), int64(b.num))
	case KindBool:
		return order(a.num, b.num)
	case KindString, KindIP:
		return strings.Compare(a.str(), b.str())
	}
	return 0
}

func numeric(k Kind) bool { return k == KindInt || k == KindFloat }

// compareNumbers compares an Int with a Float exactly: a float64 cannot hold every int64.
func compareNumbers(a, b Value) int {
	if a.kind == KindFloat && b.kind == KindFloat {
		return order(a.Float(), b.Float())
	}
	if a.kind == KindFloat {
		return -compareNumbers(b, a)
	}
	n, f := int64(a.num), b.Float()
	switch {
	case f != f:
		return 1
	case f >= 1<<63:
		return -1
	case f < -(1 << 63):
		return 1
	}
	whole := math.Trunc(f)
	if c := order(n, int64(whole)); c != 0 {
		return c
	}
	return order(whole, f)
}

func order[T int64 | uint64 | float64 | Kind](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
