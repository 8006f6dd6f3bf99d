package expr

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// Positions in texts count UTF-16 units, as the languages do that name these functions. A text that is cut inside a pair
// of units gets U+FFFD there.
var textFunctions = map[string]Function{
	"between": {3, 4, "the text between the first occurrence of the second argument and the next one of the third (if the fourth " +
		"is true: the last one); null where they do not occur, \"\" of \"\"", between(same)},
	"between_fold": {3, 4, "what between gives, without regard to case", between(Fold)},
	"cidr_match":   {2, -1, "whether an address, or the text of one, lies in one of the networks that follow", cidrMatch},
	"concat":       {1, -1, "the texts of all arguments (to_text) one after the other; null beyond 16 MiB", concat},
	"contains":     {2, 2, "whether a text holds another one, neither of them empty", onTexts(contains, same)},
	"contains_fold": {2, 2, "whether a text holds another one without regard to case, neither of them empty",
		onTexts(contains, Fold)},
	"ends_with":      {2, 2, "whether a text ends with another one", onTexts(strings.HasSuffix, same)},
	"ends_with_fold": {2, 2, "whether a text ends with another one without regard to case", onTexts(strings.HasSuffix, Fold)},
	"index_of": {2, 3, "the position, from 0, at which a text holds another one, from the position in the third argument on " +
		"(null or less than 0: from 0); null where it does not", indexOf(same)},
	"index_of_fold":    {2, 3, "what index_of gives, without regard to case", indexOf(Fold)},
	"starts_with":      {2, 2, "whether a text begins with another one", onTexts(strings.HasPrefix, same)},
	"starts_with_fold": {2, 2, "whether a text begins with another one without regard to case", onTexts(strings.HasPrefix, Fold)},
	"substring": {2, 3, "a text from one position (null: 0) to before another (null or missing: its end); what is less than 0 " +
		"counts from the end, what lies outside is cut", substring},
	"to_number": {1, 2, "the number that a text says in the base of the second argument, 2 to 36 (null or missing: 16 after 0x, " +
		"else 10); blanks round it are left out, null of anything else", toNumber},
	"to_text":      {1, 1, "the text of a value", func(args []event.Value) event.Value { return text(args[0]) }},
	"utf16_length": {1, 1, "the number of UTF-16 units of a text", utf16Length},
}

func same(s string) string { return s }

func contains(s, sub string) bool { return sub != "" && strings.Contains(s, sub) }

// onTexts applies test to two texts that fold has changed.
func onTexts(test func(s, t string) bool, fold func(string) string) func([]event.Value) event.Value {
	return func(args []event.Value) event.Value {
		if !texts(args) {
			return event.Null()
		}
		return event.Bool(test(fold(args[0].Str()), fold(args[1].Str())))
	}
}

func texts(args []event.Value) bool {
	for _, a := range args {
		if a.Kind() != event.KindString {
			return false
		}
	}
	return true
}

// units is a text of which positions count. Of ASCII bytes are units.
type units struct {
	ascii string
	wide  []uint16 // nil: ascii
}

func unitsOf(s string) units {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return units{wide: utf16.Encode([]rune(s))}
		}
	}
	return units{ascii: s}
}

func (u units) len() int { return max(len(u.ascii), len(u.wide)) }

func (u units) cut(from, to int) string {
	if u.wide == nil {
		return u.ascii[from:to]
	}
	return string(utf16.Decode(u.wide[from:to]))
}

// position is the number of units before byte offset at of s.
func position(s string, at int) int { return unitsOf(s[:at]).len() }

// offset is the byte offset of position at of s, or of the next character where it lies inside of one.
func offset(s string, at int) int {
	for i, r := range s {
		if at <= 0 {
			return i
		}
		at -= utf16.RuneLen(r)
	}
	return len(s)
}

func utf16Length(args []event.Value) event.Value {
	if !texts(args) {
		return event.Null()
	}
	return event.Int(int64(unitsOf(args[0].Str()).len()))
}

// place reads an optional position.
func place(args []event.Value, i int, missing int64) (int64, bool) {
	if i >= len(args) || args[i].IsNull() {
		return missing, true
	}
	return args[i].Int(), args[i].Kind() == event.KindInt
}

func substring(args []event.Value) event.Value {
	if !texts(args[:1]) {
		return event.Null()
	}
	u := unitsOf(args[0].Str())
	n := int64(u.len())
	from, ok := place(args, 1, 0)
	to, also := place(args, 2, n)
	if !ok || !also {
		return event.Null()
	}
	clip := func(at int64) int64 {
		if at < 0 {
			at = max(at, -n) + n
		}
		return min(at, n)
	}
	if from, to = clip(from), clip(to); from >= to {
		return event.String("")
	}
	return event.String(u.cut(int(from), int(to)))
}

func indexOf(fold func(string) string) func([]event.Value) event.Value {
	return func(args []event.Value) event.Value {
		start, ok := place(args, 2, 0)
		if !texts(args[:2]) || !ok {
			return event.Null()
		}
		s, sub := fold(args[0].Str()), fold(args[1].Str())
		from := len(s)
		if start <= int64(len(s)) {
			from = offset(s, int(max(start, 0)))
		}
		at := strings.Index(s[from:], sub)
		if at < 0 {
			return event.Null()
		}
		return event.Int(int64(position(s, from+at)))
	}
}

func between(fold func(string) string) func([]event.Value) event.Value {
	return func(args []event.Value) event.Value {
		if !texts(args[:3]) {
			return event.Null()
		}
		greedy := len(args) > 3 && args[3].Bool()
		if args[0].Str() == "" {
			return event.String("")
		}
		s, left, right := fold(args[0].Str()), fold(args[1].Str()), fold(args[2].Str())
		from := strings.Index(s, left)
		if from < 0 {
			return event.Null()
		}
		from += len(left)
		n := strings.Index(s[from:], right)
		if greedy {
			n = strings.LastIndex(s[from:], right)
		}
		if n < 0 {
			return event.Null()
		}
		return event.String(unitsOf(args[0].Str()).cut(position(s, from), position(s, from+n)))
	}
}

// maxConcat bounds what nested concats of large fields come to, in bytes.
const maxConcat = 16 << 20

func concat(args []event.Value) event.Value {
	var b strings.Builder
	for _, a := range args {
		t := text(a)
		if t.IsNull() || b.Len()+len(t.Str()) > maxConcat {
			return event.Null()
		}
		b.WriteString(t.Str())
	}
	return event.String(b.String())
}

// text is the text of a value: that of a float always with a fraction, and from 10⁷ on, and below 10⁻³, with an exponent.
func text(v event.Value) event.Value {
	switch {
	case v.Kind() == event.KindFloat:
		return event.String(floatText(v.Float()))
	case v.IsScalar():
		return event.String(v.Text())
	}
	return event.Null()
}

func floatText(f float64) string {
	if a := math.Abs(f); a != 0 && (a < 1e-3 || a >= 1e7) {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, err := strconv.Atoi(exponent)
		if err != nil { // NaN, infinite
			return mantissa
		}
		return mantissa + "E" + strconv.Itoa(n)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func toNumber(args []event.Value) event.Value {
	base, ok := place(args, 1, 0)
	if !texts(args[:1]) || !ok || base != 0 && (base < 2 || base > 36) {
		return event.Null()
	}
	s := strings.TrimSpace(args[0].Str())
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 {
		return event.Null()
	}
	hex, prefixed := strings.CutPrefix(digits, "0x")
	switch {
	case prefixed && (base == 0 || base == 16):
		digits, base = hex, 16
	case base == 0:
		base = 10
	}
	if s = s[:len(s)-len(strings.TrimLeft(s, "+-"))] + digits; strings.ContainsAny(digits, "+-_") && base != 10 {
		return event.Null()
	}
	if n, err := strconv.ParseInt(s, int(base), 64); err == nil {
		return event.Int(n)
	}
	if base != 10 || strings.ContainsAny(digits, "xXpPnNiI_") {
		return event.Null()
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return event.Null()
	}
	return event.Float(f)
}

func cidrMatch(args []event.Value) event.Value {
	addr, ok := event.Coerce(event.IPType, args[0])
	if !ok || !texts(args[1:]) {
		return event.Null()
	}
	found := false
	for _, a := range args[1:] {
		network, ok := Network(a.Str())
		if !ok {
			return event.Null()
		}
		a := addr.Addr()
		if network.Addr().Is6() { // ::/0 holds IPv4 addresses too, by their mapped form
			a = netip.AddrFrom16(a.As16())
		}
		found = found || network.Contains(a)
	}
	return event.Bool(found)
}

// Network reads a network: an address and the length of its prefix, or an address alone. IPv4 networks mapped into IPv6
// are none.
func Network(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, false
	}
	return p.Masked(), true
}
