package event

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// Type is the type of a field: it says how a stored value is read for queries. The set is Elasticsearch's, as far as
// rules use it.
type Type uint8

// The types. Unknown fields are Keyword.
const (
	Keyword         Type = iota
	ConstantKeyword      // one value for a whole stream; reads as Keyword
	Wildcard             // reads as Keyword
	Caseless             // keyword with a lower-case normaliser: values are folded when read
	Text                 // analysed by the standard analyser (match_only_text too)
	PatternText          // analysed by splitting at everything but ASCII letters, digits, _ and -
	Long                 // every integer type
	Double               // every floating-point type
	Boolean
	IPType // ip: IPv4 or IPv6
	Date   // millisecond resolution
	Flattened
	Nested
	ObjectType
	GeoPoint
)

var typeNames = [...]string{"keyword", "constant_keyword", "wildcard", "keyword_lowercase", "text", "text_pattern",
	"long", "double", "boolean", "ip", "date", "flattened", "nested", "object", "geo_point"}

// String returns the name of the type as mappings write it.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "type(" + strconv.Itoa(int(t)) + ")"
}

// TypeNamed returns the type that a mapping calls name: integer types are Long, floating-point types Double, version
// and match_only_text fall to their nearest kin. False for a name that no mapping uses.
func TypeNamed(name string) (Type, bool) {
	switch name {
	case "integer", "short", "byte", "unsigned_long":
		return Long, true
	case "float", "half_float", "scaled_float":
		return Double, true
	case "match_only_text":
		return Text, true
	case "version":
		return Keyword, true
	case "date_nanos":
		return Date, true
	}
	for i, n := range typeNames {
		if n == name {
			return Type(i), true
		}
	}
	return Keyword, false
}

// IsKeyword reports whether values of t are read as exact texts (Caseless folded).
func (t Type) IsKeyword() bool { return t <= Caseless || t == Flattened }

// IsText reports whether values of t are analysed.
func (t Type) IsText() bool { return t == Text || t == PatternText }

// Coerce reads the scalar v as a field of type t does: the typed value, or false where v does not fit and is therefore
// stored but not matched. Rules of Elasticsearch's mappings: texts of numbers are numbers, decimals in a Long lose their
// fraction, "" is false in a Boolean, a Date is strict_date_optional_time or epoch_millis, numbers and booleans in a
// keyword are their literal text. Lists, objects and null never fit.
func Coerce(t Type, v Value) (Value, bool) {
	if !v.IsScalar() {
		return Value{}, false
	}
	switch t {
	case Keyword, ConstantKeyword, Wildcard, Flattened, Text, PatternText:
		if v.kind == KindString {
			return v, true
		}
		return String(v.Text()), true
	case Caseless:
		return String(strings.ToLower(v.Text())), true
	case Long:
		return toLong(v)
	case Double:
		return toDouble(v)
	case Boolean:
		return toBoolean(v)
	case IPType:
		if v.kind == KindIP {
			return v, true
		}
		a, err := netip.ParseAddr(v.Str())
		if err != nil || a.Zone() != "" {
			return Value{}, false
		}
		return IP(a), true
	case Date:
		return toDate(v)
	}
	return Value{}, false
}

func toLong(v Value) (Value, bool) {
	switch v.kind {
	case KindInt:
		return v, true
	case KindFloat:
		f := math.Trunc(v.Float())
		if f >= 1<<63 || f < -(1<<63) || f != f {
			return Value{}, false
		}
		return Int(int64(f)), true
	case KindString:
		n, ok := numberText(v.str())
		if !ok {
			return Value{}, false
		}
		return toLong(n)
	}
	return Value{}, false
}

func toDouble(v Value) (Value, bool) {
	switch v.kind {
	case KindInt:
		return Float(float64(v.Int())), true
	case KindFloat:
		f := v.Float() + 0 // -0 becomes 0: the two are one value
		return Float(f), !math.IsInf(f, 0) && f == f
	case KindString:
		n, ok := numberText(v.str())
		if !ok {
			return Value{}, false
		}
		return toDouble(n)
	}
	return Value{}, false
}

// numberText reads a number written as text; Go's extra forms (hex, underscores, inf) are no numbers here.
func numberText(s string) (Value, bool) {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			return Value{}, false
		}
	}
	return Literal(s)
}

func toBoolean(v Value) (Value, bool) {
	if v.kind == KindBool {
		return v, true
	}
	switch {
	case v.kind != KindString:
	case v.str() == "true":
		return Bool(true), true
	case v.str() == "false" || v.str() == "":
		return Bool(false), true
	}
	return Value{}, false
}

func toDate(v Value) (Value, bool) {
	switch v.kind {
	case KindTime:
		return v, true
	case KindInt: // as its text: four digits are a year
		return toDate(String(v.Text()))
	case KindFloat:
		n, ok := toLong(v)
		return dateMillis(n.Int(), ok)
	case KindString:
		if t, ok := ParseTime(v.str()); ok {
			return dateMillis(t.UnixMilli(), true)
		}
		n, err := strconv.ParseInt(v.str(), 10, 64)
		return dateMillis(n, err == nil)
	}
	return Value{}, false
}

// dateMillis returns an instant of the years 0 to 9999; others have no text that documents could carry.
func dateMillis(ms int64, ok bool) (Value, bool) {
	const first, last = -62167219200000, 253402300799999
	return Millis(ms), ok && first <= ms && ms <= last
}
