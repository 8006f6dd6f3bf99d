package expr_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/expr"
)

// pattern reads * and ? as wildcards.
func pattern(s string) expr.Pattern {
	var p expr.Pattern
	for _, c := range s {
		switch n := len(p.Parts) - 1; {
		case c == '*' || c == '?':
			p.Parts = append(p.Parts, expr.PatternPart{One: c == '?'})
		case n >= 0 && p.Parts[n].Literal != "":
			p.Parts[n].Literal += string(c)
		default:
			p.Parts = append(p.Parts, expr.PatternPart{Literal: string(c)})
		}
	}
	return p
}

func TestFits(t *testing.T) {
	f := func(p, fits, fitsNot string) {
		t.Helper()
		for _, s := range strings.Split(fits, "|") {
			if !pattern(p).Fits(s, false) {
				t.Errorf("%q does not fit %s", s, p)
			}
		}
		for _, s := range strings.Split(fitsNot, "|") {
			if fitsNot != "-" && pattern(p).Fits(s, false) {
				t.Errorf("%q fits %s", s, p)
			}
		}
	}
	f("", "", "a")
	f("a", "a", "|A|aa|ba")
	f("a*", "a|ab|a*", "|ba|A")
	f("*a", "a|ba|aa", "|ab")
	f("*a*", "a|bab|aa", "|b")
	f("a*b", "ab|aab|abb|acb", "a|b|abc|ba")
	f("a*b*c", "abc|aXbYc|abbcc", "acb|ab|bc")
	f("*ab", "ab|aab|abab", "aba")
	f("a**b", "ab|aXb", "a")
	f("?", "a|ü|日", "|ab")
	f("??", "ab|üb", "a|abc|ü")
	f("*", "|a|ab|\n", "-")
	f("?*", "a|ab", "")
	f("*?", "a|ab", "")
	f("a?c", "abc|aüc", "ac|abbc")
	f("?*?", "ab|abc", "a|")
	f("*a?b*", "acb|xacbx|aacbb|aab", "ab|ba")
	f("*é", "é|aé", "e|è")
}

func TestPatternText(t *testing.T) {
	f := func(p expr.Pattern, want string, everything bool) {
		t.Helper()
		if got := p.String(); got != want || p.Everything() != everything {
			t.Errorf("%s, want %s; everything: %t", got, want, p.Everything())
		}
	}
	f(expr.Pattern{}, "", false)
	f(expr.Stars(), "", false)
	f(expr.Stars(""), "", false)
	f(expr.Stars("a"), "a", false)
	f(expr.Stars("", ""), "*", true)
	f(expr.Stars("", "", ""), "*", true)
	f(expr.Stars("a", ""), "a*", false)
	f(expr.Stars("a", "", "b"), "a*b", false)
	f(expr.Stars(`a*b?c\d`, "x"), `a\*b\?c\\d*x`, false)
	f(pattern("a?*"), "a?*", false)
	f(pattern("?"), "?", false)
}

// TestFitsAsRegexp holds patterns against another matcher: the regular expression that says the same.
func TestFitsAsRegexp(t *testing.T) {
	hits := 0
	rapid.Check(t, func(t *rapid.T) {
		alphabet := []rune{'a', 'A', 'b', 'ü', 'Ü', 'ß', 'ẞ', 'k', '\u212a', 's', 'ſ', 'σ', 'ς', '\n', '.'}
		text := rapid.StringOf(rapid.SampledFrom(alphabet))
		var p expr.Pattern
		source := ""
		for range rapid.IntRange(0, 6).Draw(t, "parts") {
			switch rapid.IntRange(0, 3).Draw(t, "part") {
			case 0:
				p.Parts, source = append(p.Parts, expr.PatternPart{}), source+".*"
			case 1:
				p.Parts, source = append(p.Parts, expr.PatternPart{One: true}), source+"."
			default:
				if l := text.Draw(t, "literal"); l != "" {
					p.Parts, source = append(p.Parts, expr.PatternPart{Literal: l}), source+regexp.QuoteMeta(l)
				}
			}
		}
		// A text that fits, to begin with, then a little off.
		s := ""
		for _, part := range p.Parts {
			switch {
			case part.Literal != "":
				s += part.Literal
			case part.One:
				s += string(rapid.SampledFrom(alphabet).Draw(t, "one"))
			default:
				s += text.Draw(t, "run")
			}
		}
		if rapid.Bool().Draw(t, "swap case") {
			s = strings.ToUpper(s)
		}
		if rapid.Bool().Draw(t, "off") {
			s += text.Draw(t, "more")
		}
		for flags, fold := range map[string]bool{"(?s)": false, "(?si)": true} {
			want := regexp.MustCompile(flags + `\A(?:` + source + `)\z`).MatchString(s)
			if got := p.Fits(s, fold); got != want {
				t.Fatalf("%q fits %s (fold %t): %t, the regular expression says %t", s, p, fold, got, want)
			}
			if want {
				hits++
			}
		}
	})
	if hits == 0 {
		t.Error("nothing ever fitted")
	}
}

// TestFitsIsNotExponential would run for years if stars were tried against each other.
func TestFitsIsNotExponential(t *testing.T) {
	p := pattern(strings.Repeat("a*", 2000) + "b")
	if p.Fits(strings.Repeat("a", 20_000), false) {
		t.Error("there is no b")
	}
	if !p.Fits(strings.Repeat("a", 20_000)+"b", true) {
		t.Error("there is a b")
	}
}

// TestFold holds that characters fold to the same one exactly if they differ in case alone, over all of Unicode.
func TestFold(t *testing.T) {
	classOf := map[string]rune{}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r >= 0xD800 && r <= 0xDFFF {
			continue
		}
		least := r
		for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
			least = min(least, c)
		}
		folded := expr.Fold(string(r))
		if first, seen := classOf[folded]; seen && first != least {
			t.Fatalf("%U and %U fold to the same %q", first, least, folded)
		}
		classOf[folded] = least
		if again := expr.Fold(folded); again != folded {
			t.Fatalf("%U folds to %q, then to %q", r, folded, again)
		}
		if same := expr.Fold(string(unicode.SimpleFold(r))); same != folded {
			t.Fatalf("%U folds to %q, its other case to %q", r, folded, same)
		}
	}
	f := func(s, want string) {
		t.Helper()
		if got := expr.Fold(s); got != want {
			t.Errorf("%q folds to %q, want %q", s, got, want)
		}
	}
	f("Root 123 _-", "root 123 _-") // ASCII is in lower case
	f("\u212aſ", "ks")
	f("ß", expr.Fold("ẞ"))
	f("ss", "ss")
	f("İ", "İ") // no simple folding
	f("ı", "ı")
}
