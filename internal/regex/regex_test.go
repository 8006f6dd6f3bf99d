package regex_test

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/regex"
)

// TestRegex holds which whole values expressions match.
func TestRegex(t *testing.T) {
	f := func(pattern, yes, no string) {
		t.Helper()
		re, _, err := regex.Compile([]string{pattern}, false)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			return
		}
		for _, s := range strings.Split(yes, "|") {
			if !re.MatchString(s) {
				t.Errorf("%s (%s) does not match %q", pattern, re, s)
			}
		}
		for _, s := range strings.Split(no, "|") {
			if re.MatchString(s) {
				t.Errorf("%s (%s) matches %q", pattern, re, s)
			}
		}
	}
	f("a.c", "abc|a\nc|aüc", "ac|abbc|xabc|abcx|ABC")
	f("a?b*c+", "abc|c|bbcc", "ab|aac")
	f("a+?", "|a|aa", "b") // an optional a+, not a lazy one
	f("a*?b", "b|aab", "a")
	f("a{2}{2}", "aaaa", "aa|aaa")
	f("a{2,}", "aa|aaa", "a")
	f("a{0,1}", "|a", "aa")
	f("(ab|c)d", "abd|cd", "ab|d")
	f("ab|cd", "ab|cd", "abd|acd|abcd")
	f("()", "", "a")
	f("a|", "a|", "b")
	f("[a-c]x", "ax|cx", "dx|x|-x")
	f("[^a-c]x", "dx|\nx", "ax|x")
	f("[a-]", "a|-", "b")
	f("[-a]", "a|-", "b")
	f(`[\]\-a]`, "]|-|a", `\`)
	f("[[.*]", "[|.|*", "a")
	f(`[\dx]`, "5|x", "d")
	f(`\d\D\s\S\w\W`, "1a b_-", "aa b_-|11 b_-|1ab_-")
	f(`[^\W]`, "a|_|7", "-|\n")
	f("^a$", "^a$", "a")
	f(`a\.b`, "a.b", "axb")
	f(`\(\)\[\]\{\}\?\*\+\"\@\#\~\&\<\>\^\$\/\-\:`, `()[]{}?*+"@#~&<>^$/-:`, "x")
	f(`"a.*b"`, "a.*b", "axb")
	f(`"a"+`, "a|aa", "")
	f("a@", "a|abc\n", "b")
	f("a#|b", "b", "a|ab|") // matches nothing, not even ""
	f("a>b-c:d/e", "a>b-c:d/e", "a")
	f("é+", "éé", "e")
}

// TestRegexEscaped holds that every character stands for itself behind a backslash, but for the letters of classes.
func TestRegexEscaped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune(`.?+*|{}[]()"@#~&<>^$\-/`)))).Draw(t, "text")
		var b strings.Builder
		for _, r := range s {
			if !unicode.IsLetter(r) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
		re, _, err := regex.Compile([]string{b.String()}, false)
		if err != nil {
			t.Fatalf("%q: %v", b.String(), err)
		}
		if !re.MatchString(s) || re.MatchString(s+"x") || re.MatchString("x"+s) {
			t.Fatalf("%q (%q) matches %q: %t, and more: %t", b.String(), re, s, re.MatchString(s), re.MatchString(s+"x"))
		}
	})
}

// TestRegexBounds holds that an expression of any size ends with an answer.
func TestRegexBounds(t *testing.T) {
	f := func(pattern string) {
		t.Helper()
		if re, _, err := regex.Compile([]string{pattern}, true); err == nil {
			t.Errorf("%.40s… is accepted as %.60s", pattern, re)
		}
	}
	f(strings.Repeat("a", 30_000))
	f(strings.Repeat("(", 19_000))
	f(strings.Repeat("(", 200) + "a" + strings.Repeat(")", 200))
	f("a" + strings.Repeat("*", 19_000))
	f("a" + strings.Repeat("{1000}", 3_000))
	f(strings.Repeat("a{1000}", 100))
	f("((a{1000}){1000}){1000}")
	f("a{99999999999999999999}")
}
