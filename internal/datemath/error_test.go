package datemath_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tocsin-sec/tocsin/internal/datemath"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

func TestErrors(t *testing.T) {
	f := func(read func(string) error, text, code string, offset int, message string) {
		t.Helper()
		var d diag.Diagnostic
		if err := read(text); !errors.As(err, &d) {
			t.Errorf("%q: no diagnostic but %v", text, err)
			return
		}
		type facts struct {
			Code    string
			Offset  int
			Message string
		}
		if diff := cmp.Diff(facts{code, offset, message}, facts{d.Code, d.Span.Start, d.Message}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
		if d.Text != text {
			t.Errorf("%q: the diagnostic speaks of %q", text, d.Text)
		}
	}
	rule := func(s string) error { _, err := datemath.Parse(s); return err }
	query := func(s string) error { _, err := datemath.ParseQuery(s); return err }
	duration := func(s string) error { _, err := datemath.ParseDuration(s); return err }

	const anchor = "expected now or an ISO 8601 instant, found "
	f(rule, "", datemath.CodeAnchor, 0, anchor+"the end")
	f(rule, "yesterday", datemath.CodeAnchor, 0, anchor+`"yesterday"`)
	f(rule, "now-1q", datemath.CodeUnit, 5, `expected ms, y, M, w, d, h, m or s, found "q"`)
	f(rule, "now-1H", datemath.CodeUnit, 5, `expected ms, y, M, w, d, h, m or s, found "H"`)
	f(query, "now-5ms", datemath.CodeStep, 6, `expected +, - or /, found "s"`)
	f(rule, "now-5", datemath.CodeUnit, 5, "expected ms, y, M, w, d, h, m or s, found the end")
	f(rule, "now-0", datemath.CodeUnit, 5, "expected ms, y, M, w, d, h, m or s, found the end")
	f(rule, "now-", datemath.CodeUnit, 4, "expected ms, y, M, w, d, h, m or s, found the end")
	f(rule, "now- 5m", datemath.CodeUnit, 4, `expected ms, y, M, w, d, h, m or s, found " 5m"`)
	f(rule, "now*5m", datemath.CodeStep, 3, `expected +, - or /, found "*5m"`)
	f(rule, "now-5mm", datemath.CodeStep, 6, `expected +, - or /, found "m"`)
	f(rule, "now/2d", datemath.CodeRound, 4, "rounding goes to one whole unit: / is followed by the unit alone")
	f(rule, "now/0d", datemath.CodeRound, 4, "rounding goes to one whole unit: / is followed by the unit alone")
	f(rule, "now-1000000001d", datemath.CodeNumber, 4, "1000000001 is too large a number")
	f(rule, "now-"+strings.Repeat("9", 100)+"d", datemath.CodeNumber, 4, "99999999999999999999… is too large a number")
	f(rule, "now"+strings.Repeat("+d", 101), datemath.CodeStep, 203, "more than 100 steps")
	f(rule, "2024-13-01", datemath.CodeAnchor, 5, `expected a month of two digits, found "13-01"`)
	f(rule, "2023-02-29", datemath.CodeAnchor, 8, `expected a day of this month, of two digits, found "29"`)
	f(rule, "2024-2-3", datemath.CodeAnchor, 5, `expected a month of two digits, found "2-3"`)
	f(rule, "2024-05-07T24:00", datemath.CodeAnchor, 11, `expected an hour of two digits, found "24:00"`)
	f(rule, "2024-05-07T10:60", datemath.CodeAnchor, 14, `expected a minute of two digits, found "60"`)
	f(rule, "2024-05-07T10:20:30.Z", datemath.CodeAnchor, 20, `expected digits of a part of a second, found "Z"`)
	f(rule, "2024-05-07T10:20:30+25", datemath.CodeAnchor, 20, `expected hours of an offset, 00 to 18, found "25"`)
	f(rule, "2024-05-07T10:20:30X", datemath.CodeAnchor, 19, `expected the end, found "X"`)
	f(rule, "2024-05-07-1d", datemath.CodeAnchor, 10, `expected the end, found "-1d"`)
	f(rule, "2024-05-07||1d", datemath.CodeStep, 12, `expected +, - or /, found "1d"`)
	f(rule, "2024-05-07||-1", datemath.CodeUnit, 14, "expected ms, y, M, w, d, h, m or s, found the end")
	f(rule, "||+1d", datemath.CodeAnchor, 0, anchor+`"||+1d"`)
	f(rule, "1715077230000", datemath.CodeAnchor, 4, `expected the end, found "077230000"`)
	f(query, "x", datemath.CodeAnchor, 0, `expected now, an ISO 8601 instant or milliseconds since 1970, found "x"`)
	f(query, "99999999999999999999", datemath.CodeAnchor, 4, `expected the end, found "9999999999999999"`)

	f(duration, "", datemath.CodeDuration, 0, "expected a positive whole number, found the end")
	f(duration, "0m", datemath.CodeDuration, 0, `expected a positive whole number, found "0m"`)
	f(duration, "-5m", datemath.CodeDuration, 0, `expected a positive whole number, found "-5m"`)
	f(duration, "05m", datemath.CodeDuration, 0, `expected a positive whole number, found "05m"`)
	f(duration, "5", datemath.CodeUnit, 1, "expected s, m, h or d, found the end")
	f(duration, "5w", datemath.CodeUnit, 1, `expected s, m, h or d, found "w"`)
	f(duration, "5m ", datemath.CodeDuration, 2, `expected the end, found " "`)
	f(duration, "1.5h", datemath.CodeUnit, 1, `expected s, m, h or d, found ".5h"`)
	f(duration, "200000d", datemath.CodeNumber, 0, "200000d is too long")
	f(duration, "99999999999999999999s", datemath.CodeNumber, 0, "99999999999999999999 is too large a number")
}

func TestParseDuration(t *testing.T) {
	f := func(text string, want time.Duration) {
		t.Helper()
		if got, err := datemath.ParseDuration(text); got != want || err != nil {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	f("1s", time.Second)
	f("5m", 5*time.Minute)
	f("90m", 90*time.Minute)
	f("24h", 24*time.Hour)
	f("15d", 15*24*time.Hour)
	f("106751d", 106751*24*time.Hour)
	f("1000000000s", 1_000_000_000*time.Second)
}

// Queries and documents must read the same instant from the same text.
func TestInstantsAreTheDocuments(t *testing.T) {
	texts := []string{"2024", "2024-05", "2024-02-29", "2023-02-29", "2024-05-07T", "2024-05-07T10", "2024-05-07T10:20",
		"2024-05-07T10:20:30", "2024-05-07T10:20:30.5", "2024-05-07T10:20:30,25Z", "2024-05-07T10:20:30.123456789012+02:00",
		"2024-05-07T10:20:30-0130", "2024-05-07T10Z", "2024T10", "2024-05T10:30", "0000-01-01", "9999-12-31T23:59:59.999Z",
		"2024-05-07Z", "2024-05-07 10:20", "2024-05-07T10:20:60Z", "24-05-07", "2024-05-07T1:20", "2024-04-31", "2024-00-01",
		"2024-05-00", "2024-05-07T10:20:30+19:00", "2024-05-07T10:20:30+1", "2024-05-07T10:20:30.", "20240507", "+2024", ""}
	read := 0
	for _, text := range texts {
		want, ok := event.ParseTime(text)
		e, err := datemath.Parse(text)
		if ok != (err == nil) {
			t.Errorf("%q: event.ParseTime says %t, Parse %v", text, ok, err)
			continue
		}
		if !ok {
			continue
		}
		read++
		if got := e.At(time.Time{}); !got.Equal(want.Truncate(time.Millisecond)) {
			t.Errorf("%q: %s, event.ParseTime says %s", text, got, want)
		}
	}
	if read < 15 {
		t.Errorf("only %d texts were instants", read)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"now", "now-6m", "now-1d/d+8h", "2024-05-07T10:20:30.123+02:00||/M", "1715077230000", "-0.5",
		"now-99999999999999999999d", "||", "now/\xff", "5m", "2024-05-07T10:20:30,"} {
		f.Add(s, int64(1_700_000_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, ms int64) {
		now := time.UnixMilli(ms)
		for _, parse := range []func(string) (datemath.Expr, error){datemath.Parse, datemath.ParseQuery} {
			e, err := parse(text)
			var d diag.Diagnostic
			if errors.As(err, &d) {
				if d.Span.Start < 0 || d.Span.Start > len(text) || d.Message == "" {
					t.Errorf("%q: %+v", text, d)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			lo, hi := e.Bounds(now)
			if at := e.At(now); at.Before(lo) || at.After(hi) || e.Steady() && e.AtEnd(now).Before(at) || at.Year() < 0 || at.Year() > 9999 {
				t.Errorf("%q at %s: %s within [%s, %s], end %s", text, now, at, lo, hi, e.AtEnd(now))
			}
		}
		if d, err := datemath.ParseDuration(text); err == nil && d < time.Second {
			t.Errorf("%q: %s", text, d)
		}
	})
}
