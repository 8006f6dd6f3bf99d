package duck_test

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// regexTexts are texts on which regular expressions could differ: lines, letters that are the same without regard to case
// (the long s, the Kelvin sign), what is no ASCII, and what ends or begins like something else.
var regexTexts = []string{"", "a", "A", "abc", "ABC", "aBc", "xabcx", "ab", "abab", "a\nb", "\n", "abc\n", "a b", "a.b", "a\\b", "a'b", "a%b", "a_b",
	"K", "k", "\u212a", "s", "S", "\u017f", "\u00e9", "\u00c9", "e\u0301", "\u0130", "i", "I", "\u0131", "\u65e5\u672c", "\U0001f600", "user-17@example.com", "198.51.100.7",
	"cmd.exe /c whoami", "CMD.EXE", "\t", "\u2028", "\u0085", "a\u00a0b", "aaa", "aaaa", "zzz", "0", "09", "_", "-", "[", "$", "^"}

// TestRegexp holds that SQL decides regular expressions as Go does, on every text.
func TestRegexp(t *testing.T) {
	ctx, db := t.Context(), open(t)
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	c := &store.Change{At: day}
	for i, text := range regexTexts {
		e := &event.Event{ID: fmt.Sprintf("%02d", i), Stream: "logs-a"}
		e.Set("@timestamp", event.String(event.FormatTime(day)))
		e.Set("user.name", event.String(text))
		e.Set("event.category", event.Strings("other", text))
		c.Events = append(c.Events, e)
	}
	if err := db.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	at, err := db.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := func(t interface {
		Helper()
		Fatalf(string, ...any)
	}, path string, typ event.Type, expression string, inSQL bool) {
		t.Helper()
		re, err := regexp.Compile(expression)
		if err != nil {
			t.Fatalf("%v", err)
		}
		cond := expr.Regexp{Field: expr.Field{Path: path, Type: typ}, Expr: re}
		p := plan.Filter{Cond: cond, In: plan.Scan{}}
		if left := len(db.Checks(p)) > 0; left == inSQL {
			t.Fatalf("%q is left to Go: %t", expression, left)
		}
		rows, err := exec.Query(ctx, db, p, at)
		if err != nil {
			t.Fatalf("%q: %v", expression, err)
		}
		defer rows.Close()
		var got, want []string
		for rows.Next() {
			got = append(got, rows.Event().ID)
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%q: %v", expression, err)
		}
		for _, e := range c.Events {
			if expr.Matches(cond, e) {
				want = append(want, e.ID)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("%q on %s: %q, expected %q", expression, path, got, want)
		}
	}
	for _, expression := range []string{"", "a", "^a", "a$", "^a$", "^abc", "abc$", "a.c", "(?s)a.b", "a.b", "(?m)^b$", "(?m)^$", "^$", `\Aa\z`, "(?i)abc",
		"(?i)k", "(?i)s", "(?i:[a-k])", "[^a]", "[[:word:]]+", `\w+`, `\W`, `\d+`, `\bb\b`, `\s`, `\p{Greek}`, `\.`, `\\`, "'", "%", "_", "(a|b)+c?", "a{2,3}", "^a{3}$", "(?U)a+",
		"(?P<name>a)b", "a|", "(?:)", "[\u00e9-\u65e5]", "\u00e9", ".*", "^.*$", "(?s)^.*$", "x*", "^(?:a|ab)$", `\x{212a}`, `[\x00-\x7f]`, "(?i)user-[0-9]+@", "^198\\.", "[a-z&&b]", "\\Qa.b\\E", "(?i)cmd\\.exe",
		`[^\x00-\x{10FFFF}]`} {
		f(t, "user.name", event.Keyword, expression, true)
		f(t, "user.name", event.Caseless, expression, true)
		f(t, "event.category", event.Keyword, expression, true)
	}
	f(t, "user.name", event.Keyword, "(?i)\u00e9", false)
	f(t, "user.name", event.Keyword, "(?:a{100}){10}b", true)
	f(t, "user.name", event.Keyword, `\pL`, false)
	atom := rapid.SampledFrom([]string{"a", "b", "k", "S", ".", "\\w", "\\d", "\\s", "[^a]", "[a-c]", "\\.", "\u00e9", "\n", "@", "[[:alpha:]]"})
	var form func(depth int) *rapid.Generator[string]
	form = func(depth int) *rapid.Generator[string] {
		if depth == 0 {
			return atom
		}
		sub := form(depth - 1)
		return rapid.OneOf(atom, sub,
			rapid.Map(rapid.SliceOfN(sub, 1, 3), func(s []string) string { return strings.Join(s, "") }),
			rapid.Map(rapid.SliceOfN(sub, 1, 3), func(s []string) string { return "(?:" + strings.Join(s, "|") + ")" }),
			rapid.Custom(func(t *rapid.T) string {
				return "(" + sub.Draw(t, "of") + ")" + rapid.SampledFrom([]string{"*", "+", "?", "{2}", "{0,3}", "*?", "+?"}).Draw(t, "repeat")
			}),
			rapid.Map(sub, func(s string) string { return "^" + s }), rapid.Map(sub, func(s string) string { return s + "$" }),
			rapid.Map(sub, func(s string) string { return "(?s:" + s + ")" }), rapid.Map(sub, func(s string) string { return "(?m:^" + s + "$)" }))
	}
	rapid.Check(t, func(t *rapid.T) {
		expression := form(3).Draw(t, "expression")
		if _, err := syntax.Parse(expression, syntax.Perl); err == nil {
			f(t, "user.name", event.Keyword, expression, true)
		}
	})
}
