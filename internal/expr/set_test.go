package expr_test

import (
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// setOf makes a set of texts, as a field of type t reads them; "a..b" is a range.
func setOf(t testing.TB, typ event.Type, values ...string) *expr.Set {
	t.Helper()
	read := func(s string) event.Value {
		v, ok := event.Coerce(typ, event.String(s))
		if !ok {
			t.Fatalf("%q is no %v", s, typ)
		}
		return v
	}
	b := expr.NewSet(typ)
	for _, s := range values {
		added := false
		if from, to, isRange := strings.Cut(s, ".."); isRange {
			added = b.AddRange(read(from), read(to))
		} else {
			added = b.Add(read(s))
		}
		if !added {
			t.Fatalf("%q was not added", s)
		}
	}
	set, err := b.Set()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestSetHas(t *testing.T) {
	f := func(set *expr.Set, value string, want bool) {
		t.Helper()
		v, ok := event.Coerce(set.Type(), event.String(value))
		if !ok {
			t.Fatalf("%q is no %v", value, set.Type())
		}
		if got := set.Has(v); got != want {
			t.Errorf("has %q: %t", value, got)
		}
	}
	names := setOf(t, event.Keyword, "anna", "", "bert jan", "anna")
	f(names, "anna", true)
	f(names, "", true)
	f(names, "Anna", false)
	f(names, "bert", false)
	f(setOf(t, event.Caseless, "Anna"), "ANNA", true)
	f(setOf(t, event.Keyword), "anna", false)

	addresses := setOf(t, event.IPType, "10.0.0.1", "10.1.0.0..10.1.0.255", "10.1.0.200..10.1.1.7", "::1")
	f(addresses, "10.0.0.1", true)
	f(addresses, "::ffff:10.0.0.1", true)
	f(addresses, "10.0.0.2", false)
	f(addresses, "10.0.255.255", false)
	f(addresses, "10.1.0.0", true)
	f(addresses, "10.1.1.7", true) // the last of two ranges that meet
	f(addresses, "10.1.1.8", false)
	f(addresses, "::1", true)
	f(addresses, "0.0.0.1", false)

	numbers := setOf(t, event.Double, "-1.5", "-0", "2..3", "-9..-8")
	for value, want := range map[string]bool{"-1.5": true, "1.5": false, "0": true, "-0.0": true, "2": true, "3": true,
		"3.0000001": false, "1.9999999": false, "-8.5": true, "-9": true, "-7.9": false} {
		f(numbers, value, want)
	}
	f(setOf(t, event.Long, "-3..5"), "-3", true)
	f(setOf(t, event.Long, "-3..5"), "-4", false)
	f(setOf(t, event.Long, "9223372036854775807"), "9223372036854775807", true)
	f(setOf(t, event.Date, "2026-03-01..2026-03-02"), "2026-03-01T12:00:00Z", true)
	f(setOf(t, event.Date, "1960-01-01..1980-01-01"), "1970-01-01", true)
	f(setOf(t, event.Boolean, "true"), "false", false)

	texts := setOf(t, event.Text, "word one additional wording", "Two words")
	f(texts, "word one", true) // all its words stand in one text
	f(texts, "one WORD", true)
	f(texts, "two", true)
	f(texts, "two additional", false) // but not in different ones
	f(texts, "words words", true)
	f(texts, "one two", false)
	f(texts, "--- !", false)
	f(texts, "", false)
}

func TestSetRefuses(t *testing.T) {
	b := expr.NewSet(event.Long)
	for _, ok := range []bool{b.Add(event.String("1")), b.Add(event.Float(1)), b.AddRange(event.Int(2), event.Int(1)),
		expr.NewSet(event.Keyword).AddRange(event.String("a"), event.String("b")), expr.NewSet(event.Double).Add(event.Float(math.NaN())),
		expr.NewSet(event.Text).Add(event.String("—"))} {
		if ok {
			t.Error("what is no value of the set's type was added")
		}
	}
	set, err := b.Set()
	if err != nil || set.Len() != 0 || set.Has(event.Int(1)) || set.Has(event.String("1")) {
		t.Errorf("%d %v", set.Len(), err)
	}
}

// TestSetID holds that the order does not count, and everything else does.
func TestSetID(t *testing.T) {
	a := setOf(t, event.IPType, "10.0.0.1", "10.0.0.9..10.0.0.12", "10.0.0.2", "10.0.0.1", "10.0.0.10..10.0.0.14")
	b := setOf(t, event.IPType, "10.0.0.9..10.0.0.14", "10.0.0.2", "10.0.0.1")
	if a.ID() != b.ID() || a.Len() != 3 || b.Len() != 3 {
		t.Errorf("%s with %d, %s with %d", a.ID(), a.Len(), b.ID(), b.Len())
	}
	seen := map[string]bool{}
	for _, set := range []*expr.Set{b, setOf(t, event.IPType), setOf(t, event.Keyword), setOf(t, event.IPType, "10.0.0.1", "10.0.0.2"),
		setOf(t, event.IPType, "10.0.0.1..10.0.0.2"), setOf(t, event.Keyword, "ab", "c"), setOf(t, event.Keyword, "a", "bc"),
		setOf(t, event.Caseless, "a", "bc"), setOf(t, event.Text, "a bc"), setOf(t, event.Text, "a", "bc")} {
		if seen[set.ID()] {
			t.Errorf("a set of %v has the ID of another", set.Type())
		}
		seen[set.ID()] = true
	}
	c := expr.Member{Field: expr.Field{Path: "x", Type: event.IPType}, Set: b}
	if got := expr.String(c); got != "(member x:ip "+b.ID()+")" {
		t.Error(got)
	}
	if paths, whole := expr.Paths(expr.Not{Cond: c}); whole || !slices.Equal(paths, []string{"x"}) {
		t.Error(paths, whole)
	}
}

func TestMember(t *testing.T) {
	e := decode(t, `{"k":["anna","bert"],"ip":["x","10.0.0.9"],"msg":"Failed login for anna","n":7}`)
	f := func(path string, typ event.Type, set *expr.Set, want bool) {
		t.Helper()
		c := expr.Member{Field: expr.Field{Path: path, Type: typ}, Set: set}
		if got := expr.Matches(c, e); got != want {
			t.Errorf("%s is %t", expr.String(c), got)
		}
		if got := expr.Matches(expr.Not{Cond: c}, e); got == want {
			t.Errorf("not %s is %t", expr.String(c), got)
		}
	}
	f("k", event.Keyword, setOf(t, event.Keyword, "bert"), true) // any value
	f("k", event.Keyword, setOf(t, event.Keyword, "carl"), false)
	f("missing", event.Keyword, setOf(t, event.Keyword, "bert"), false)
	f("ip", event.IPType, setOf(t, event.IPType, "10.0.0.0..10.0.0.10"), true)
	f("msg", event.Text, setOf(t, event.Keyword, "login"), true) // a token
	f("msg", event.Text, setOf(t, event.Keyword, "Failed"), false)
	f("msg", event.Text, setOf(t, event.Text, "a failed login for user anna"), true)
	f("msg", event.Text, setOf(t, event.Text, "failed login"), false)
	f("n", event.Long, setOf(t, event.Long, "7"), true)
}

// TestSetProperty holds a set to a list that is searched through.
func TestSetProperty(t *testing.T) {
	small := rapid.Uint32Range(0, 300)
	address := func(n uint32) event.Value {
		return event.IP(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}))
	}
	rapid.Check(t, func(t *rapid.T) {
		b := expr.NewSet(event.IPType)
		var spans [][2]uint32
		for range rapid.IntRange(0, 40).Draw(t, "n") {
			from := small.Draw(t, "from")
			to := from
			if rapid.Bool().Draw(t, "range") {
				to += rapid.Uint32Range(0, 20).Draw(t, "length")
			}
			if !b.AddRange(address(from), address(to)) {
				t.Fatal("not added")
			}
			spans = append(spans, [2]uint32{from, to})
		}
		set, err := b.Set()
		if err != nil {
			t.Fatal(err)
		}
		again := expr.NewSet(event.IPType)
		for v := range set.Points() {
			again.Add(v)
		}
		for least, greatest := range set.Ranges() {
			again.AddRange(least, greatest)
		}
		copied, err := again.Set()
		if err != nil || copied.ID() != set.ID() {
			t.Fatal("a set made of a set's values is another")
		}
		for n := range uint32(330) {
			want := slices.ContainsFunc(spans, func(s [2]uint32) bool { return s[0] <= n && n <= s[1] })
			if set.Has(address(n)) != want || copied.Has(address(n)) != want {
				t.Fatalf("has %v: %t", address(n).Text(), !want)
			}
		}
	})
}

// BenchmarkSet looks values up in a set of a million, and says what the set takes.
func BenchmarkSet(b *testing.B) {
	const n = 1_000_000
	name := func(i int) event.Value { return event.String(fmt.Sprintf("host-%07d.example.com", i)) }
	before := heap()
	builder := expr.NewSet(event.Keyword)
	for i := range n {
		builder.Add(name(i))
	}
	set, err := builder.Set()
	if err != nil {
		b.Fatal(err)
	}
	size := float64(heap()-before) / n
	in, out := name(n/2), name(n)
	b.ResetTimer()
	for b.Loop() {
		if !set.Has(in) || set.Has(out) {
			b.Fatal("wrong")
		}
	}
	b.ReportMetric(size, "B/value")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
