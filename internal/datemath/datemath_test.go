package datemath_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tocsin-sec/tocsin/internal/datemath"
	"pgregory.net/rapid"
)

const layout = "2006-01-02T15:04:05.000Z"

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// A Tuesday in a leap year.
const now = "2024-03-05T14:35:47.123Z"

func TestRuleMath(t *testing.T) {
	f := func(now, text, want, wantEnd string) {
		t.Helper()
		e, err := datemath.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		got := []string{e.At(instant(t, now)).Format(layout), e.AtEnd(instant(t, now)).Format(layout)}
		if diff := cmp.Diff([]string{want, wantEnd}, got); diff != "" {
			t.Errorf("%s at %s (-want +got):\n%s", text, now, diff)
		}
		if e.String() != text {
			t.Errorf("%s prints as %s", text, e)
		}
	}
	same := func(now, text, want string) { t.Helper(); f(now, text, want, want) }

	// Shifts; a missing number is 1.
	same(now, "now", "2024-03-05T14:35:47.123Z")
	same(now, "now-6m", "2024-03-05T14:29:47.123Z")
	same(now, "now-9m", "2024-03-05T14:26:47.123Z")
	same(now, "now-d", "2024-03-04T14:35:47.123Z")
	same(now, "now+1d", "2024-03-06T14:35:47.123Z")
	same(now, "now-15d", "2024-02-19T14:35:47.123Z")
	same(now, "now-2w", "2024-02-20T14:35:47.123Z")
	same(now, "now-h", "2024-03-05T13:35:47.123Z")
	same(now, "now-30s", "2024-03-05T14:35:17.123Z")
	same(now, "now-5ms", "2024-03-05T14:35:47.118Z")
	same(now, "now-ms", "2024-03-05T14:35:47.122Z")
	same(now, "now-5m-5s", "2024-03-05T14:30:42.123Z")
	same(now, "now-0d", "2024-03-05T14:35:47.123Z")
	same(now, "now-1M", "2024-02-05T14:35:47.123Z")
	same(now, "now-1m", "2024-03-05T14:34:47.123Z")
	same(now, "now-1y", "2023-03-05T14:35:47.123Z")

	// Ends of months and leap years.
	same("2024-03-31T10:00:00Z", "now-1M", "2024-02-29T10:00:00.000Z")
	same("2023-03-31T10:00:00Z", "now-1M", "2023-02-28T10:00:00.000Z")
	same("2024-01-31T10:00:00Z", "now+1M", "2024-02-29T10:00:00.000Z")
	same("2024-01-31T10:00:00Z", "now+1M+1M", "2024-03-29T10:00:00.000Z")
	same("2024-01-31T10:00:00Z", "now+13M", "2025-02-28T10:00:00.000Z")
	same("2024-02-29T10:00:00Z", "now-1y", "2023-02-28T10:00:00.000Z")
	same("2024-02-29T10:00:00Z", "now-4y", "2020-02-29T10:00:00.000Z")
	same("2024-12-31T23:59:59.999Z", "now+1M", "2025-01-31T23:59:59.999Z")
	same("2024-01-15T00:00:00Z", "now-1M", "2023-12-15T00:00:00.000Z")
	same("2024-03-01T00:00:00Z", "now-1d", "2024-02-29T00:00:00.000Z")
	same("2023-03-01T00:00:00Z", "now-1d", "2023-02-28T00:00:00.000Z")
	same("2100-02-28T00:00:00Z", "now+1d", "2100-03-01T00:00:00.000Z")
	// No zone has its clocks changed: a day is 24 hours also where Europe's had 23.
	same("2024-03-31T12:00:00Z", "now-1d", "2024-03-30T12:00:00.000Z")
	same("2024-03-31T12:00:00Z", "now-24h", "2024-03-30T12:00:00.000Z")

	// Rounding: down, up to the last millisecond for AtEnd. Weeks begin on Sunday.
	f(now, "now/y", "2024-01-01T00:00:00.000Z", "2024-12-31T23:59:59.999Z")
	f(now, "now/M", "2024-03-01T00:00:00.000Z", "2024-03-31T23:59:59.999Z")
	f("2024-02-10T00:00:00Z", "now/M", "2024-02-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z")
	f(now, "now/w", "2024-03-03T00:00:00.000Z", "2024-03-09T23:59:59.999Z")
	f("2024-03-03T00:00:00Z", "now/w", "2024-03-03T00:00:00.000Z", "2024-03-09T23:59:59.999Z")
	f("2024-03-02T23:59:59.999Z", "now/w", "2024-02-25T00:00:00.000Z", "2024-03-02T23:59:59.999Z")
	f("1969-12-31T00:00:00Z", "now/w", "1969-12-28T00:00:00.000Z", "1970-01-03T23:59:59.999Z")
	f(now, "now/d", "2024-03-05T00:00:00.000Z", "2024-03-05T23:59:59.999Z")
	f(now, "now/h", "2024-03-05T14:00:00.000Z", "2024-03-05T14:59:59.999Z")
	f(now, "now/m", "2024-03-05T14:35:00.000Z", "2024-03-05T14:35:59.999Z")
	f(now, "now/s", "2024-03-05T14:35:47.000Z", "2024-03-05T14:35:47.999Z")
	same(now, "now/ms", "2024-03-05T14:35:47.123Z")
	f(now, "now/1d", "2024-03-05T00:00:00.000Z", "2024-03-05T23:59:59.999Z")
	f("1969-12-31T23:59:59.999Z", "now/h", "1969-12-31T23:00:00.000Z", "1969-12-31T23:59:59.999Z")

	// From left to right.
	f(now, "now-1d/d+8h", "2024-03-04T08:00:00.000Z", "2024-03-05T07:59:59.999Z")
	f(now, "now-1d/d+8h+50m", "2024-03-04T08:50:00.000Z", "2024-03-05T08:49:59.999Z")
	f(now, "now/d-1d", "2024-03-04T00:00:00.000Z", "2024-03-04T23:59:59.999Z")

	// Instants. In a rule they are not rounded, however short.
	same(now, "2019-02-19T20:42:00.000Z", "2019-02-19T20:42:00.000Z")
	same(now, "2019-02-19T20:42:00.000Z||", "2019-02-19T20:42:00.000Z")
	same(now, "2019-02-19T20:42:00.000Z||-1d", "2019-02-18T20:42:00.000Z")
	same(now, "2024-01-31||+1M", "2024-02-29T00:00:00.000Z")
	f(now, "2019-02-19T20:42:00+02:00||/d", "2019-02-19T00:00:00.000Z", "2019-02-19T23:59:59.999Z")
	same(now, "2019-02-19", "2019-02-19T00:00:00.000Z")
	same(now, "2019-02-19T20:42:00.1239999Z", "2019-02-19T20:42:00.123Z")
	same(now, "2019-02-19T20:42:00-0130", "2019-02-19T22:12:00.000Z")
	same(now, "2019-02-19T00:30:00+02", "2019-02-18T22:30:00.000Z")
	same(now, "2024", "2024-01-01T00:00:00.000Z")

	// A part of a millisecond of now is dropped, before 1970 too.
	same("2024-03-05T14:35:47.123999999Z", "now", "2024-03-05T14:35:47.123Z")
	same("1969-12-31T23:59:59.9995Z", "now", "1969-12-31T23:59:59.999Z")
	// Results stay within the years 0 to 9999.
	same(now, "now-1000000000y", "0000-01-01T00:00:00.000Z")
	same(now, "now+1000000000y", "9999-12-31T23:59:59.999Z")
	same(now, "now+1000000000w-1000000000w", "0000-01-01T00:00:00.000Z")
	f("9999-12-31T12:00:00Z", "now/y", "9999-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z")
}

func TestQueryMath(t *testing.T) {
	f := func(text, want, wantEnd string) {
		t.Helper()
		e, err := datemath.ParseQuery(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		got := []string{e.At(instant(t, now)).Format(layout), e.AtEnd(instant(t, now)).Format(layout)}
		if diff := cmp.Diff([]string{want, wantEnd}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	same := func(text, want string) { t.Helper(); f(text, want, want) }

	same("now-30d", "2024-02-04T14:35:47.123Z")
	f("now-30d/d", "2024-02-04T00:00:00.000Z", "2024-02-04T23:59:59.999Z")
	same("now-2H", "2024-03-05T12:35:47.123Z")
	f("now/H", "2024-03-05T14:00:00.000Z", "2024-03-05T14:59:59.999Z")
	// Weeks begin on Monday.
	f("now/w", "2024-03-04T00:00:00.000Z", "2024-03-10T23:59:59.999Z")
	f("2024-03-03||/w", "2024-02-26T00:00:00.000Z", "2024-03-03T23:59:59.999Z")
	f("1970-01-01||/w", "1969-12-29T00:00:00.000Z", "1970-01-04T23:59:59.999Z")

	// A missing month or day is the first; a missing time is rounded.
	f("2024", "2024-01-01T00:00:00.000Z", "2024-01-01T23:59:59.999Z")
	f("2024-05", "2024-05-01T00:00:00.000Z", "2024-05-01T23:59:59.999Z")
	f("2024-05-07", "2024-05-07T00:00:00.000Z", "2024-05-07T23:59:59.999Z")
	f("2024-05-07T", "2024-05-07T00:00:00.000Z", "2024-05-07T23:59:59.999Z")
	f("2024-05-07T10", "2024-05-07T10:00:00.000Z", "2024-05-07T10:59:59.999Z")
	f("2024-05-07T10Z", "2024-05-07T10:00:00.000Z", "2024-05-07T10:59:59.999Z")
	f("2024-05-07T10:20+01:00", "2024-05-07T09:20:00.000Z", "2024-05-07T09:20:59.999Z")
	f("2024-05-07T10:20:30Z", "2024-05-07T10:20:30.000Z", "2024-05-07T10:20:30.999Z")
	same("2024-05-07T10:20:30.1Z", "2024-05-07T10:20:30.100Z")
	// Before math it is the first millisecond; then / alone rounds.
	same("2024-05-07||", "2024-05-07T00:00:00.000Z")
	same("2024-05-07||+1d", "2024-05-08T00:00:00.000Z")
	f("2024-05-07||/M", "2024-05-01T00:00:00.000Z", "2024-05-31T23:59:59.999Z")

	// Milliseconds since 1970; four digits are a year.
	same("1715077230000", "2024-05-07T10:20:30.000Z")
	same("1715077230000.7", "2024-05-07T10:20:30.000Z")
	same("1715077230000||+1h", "2024-05-07T11:20:30.000Z")
	same("0", "1970-01-01T00:00:00.000Z")
	same("-1", "1969-12-31T23:59:59.999Z")
	same("-0.5", "1969-12-31T23:59:59.999Z")
	same("-2000", "1969-12-31T23:59:58.000Z")
	f("1999", "1999-01-01T00:00:00.000Z", "1999-01-01T23:59:59.999Z")
}

func TestRelative(t *testing.T) {
	f := func(text string, relative, steady bool) {
		t.Helper()
		e, err := datemath.Parse(text)
		if err != nil || e.Relative() != relative || e.Steady() != steady {
			t.Errorf("%s: relative %t, steady %t, error %v", text, e.Relative(), e.Steady(), err)
		}
	}
	f("now", true, true)
	f("now-6m", true, true)
	f("now/M", true, true)
	f("now-1d/d", true, true)
	f("now-1M", true, false)
	f("now-1y/d", true, false)
	f("2024-01-01", false, true)
	f("2024-01-01||+1M", false, true)
	if zero := (datemath.Expr{}); !zero.Relative() || zero.String() != "now" || !zero.At(instant(t, now)).Equal(instant(t, now)) {
		t.Errorf("the zero Expr is not now: %s", zero)
	}
}

// Any math, as rules write it.
func anyMath(units ...string) *rapid.Generator[string] {
	step := rapid.Custom(func(t *rapid.T) string {
		op := rapid.SampledFrom([]string{"+", "-", "/"}).Draw(t, "op")
		n := ""
		if op != "/" {
			n = rapid.SampledFrom([]string{"", "0", "1", "2", "7", "12", "30", "59", "400"}).Draw(t, "n")
		}
		return op + n + rapid.SampledFrom(units).Draw(t, "unit")
	})
	return rapid.Custom(func(t *rapid.T) string {
		out := "now"
		for _, s := range rapid.SliceOfN(step, 0, 4).Draw(t, "steps") {
			out += s
		}
		return out
	})
}

func anyTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMilli(rapid.Int64Range(-2e12, 5e12).Draw(t, "ms")).UTC()
	})
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := anyMath("y", "M", "w", "d", "h", "m", "s", "ms").Draw(t, "text")
		e, err := datemath.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		a, b := anyTime().Draw(t, "a"), anyTime().Draw(t, "b")
		if rapid.Bool().Draw(t, "near") {
			b = a.Add(time.Duration(rapid.Int64Range(0, 4*86_400_000).Draw(t, "later")) * time.Millisecond)
		}
		if b.Before(a) {
			a, b = b, a
		}
		at := e.At(a)
		if at.Nanosecond()%1_000_000 != 0 || at.Location() != time.UTC {
			t.Fatalf("%s at %s is %s: not a whole millisecond of UTC", text, a, at)
		}
		if e.Steady() && e.AtEnd(a).Before(at) {
			t.Fatalf("%s at %s ends at %s, before it begins", text, a, e.AtEnd(a))
		}
		loA, hiA := e.Bounds(a)
		loB, hiB := e.Bounds(b)
		if at.Before(loA) || at.After(hiA) {
			t.Fatalf("%s at %s: %s is not within [%s, %s]", text, a, at, loA, hiA)
		}
		if loB.Before(loA) || hiB.Before(hiA) {
			t.Fatalf("%s: the bounds go back between %s [%s, %s] and %s [%s, %s]", text, a, loA, hiA, b, loB, hiB)
		}
		if e.Steady() && (!loA.Equal(at) || !hiA.Equal(at) || e.At(b).Before(at)) {
			t.Fatalf("%s is said to be steady: %s at %s, %s at %s", text, at, a, e.At(b), b)
		}
	})
}

// Shifting there and back by units of fixed length changes nothing, and rounding twice is rounding once.
func TestInverses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.StringMatching(`[1-9][0-9]{0,3}`).Draw(t, "n")
		unit := rapid.SampledFrom([]string{"w", "d", "h", "m", "s", "ms"}).Draw(t, "unit")
		now := anyTime().Draw(t, "now")
		at := func(text string) time.Time {
			e, err := datemath.Parse(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			return e.At(now)
		}
		if got := at("now+" + n + unit + "-" + n + unit); !got.Equal(now) {
			t.Fatalf("there and back by %s%s from %s: %s", n, unit, now, got)
		}
		for _, u := range []string{"y", "M", unit} {
			if once, twice := at("now/"+u), at("now/"+u+"/"+u); !once.Equal(twice) || once.After(now) {
				t.Fatalf("/%s of %s: once %s, twice %s", u, now, once, twice)
			}
		}
	})
}
