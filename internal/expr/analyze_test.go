package expr_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

func TestTokens(t *testing.T) {
	f := func(typ event.Type, s, want string) {
		t.Helper()
		if got := strings.Join(expr.Tokens(typ, s), "|"); got != want {
			t.Errorf("%v cuts %q into %s, want %s", typ, s, got, want)
		}
	}
	standard := func(s, want string) { t.Helper(); f(event.Text, s, want) }
	standard("", "")
	standard(" \t\n", "")
	standard("!!! --- ???", "")
	standard("Failed login for ROOT", "failed|login|for|root")
	standard("x.login y,z 3.14 1,000 10.0.0.1", "x.login|y|z|3.14|1,000|10.0.0.1")
	standard("don't it’s 'quoted'", "don't|it’s|quoted")
	standard("snake_case kebab-case a/b a:b a@b", "snake_case|kebab|case|a|b|a:b|a|b")
	standard("_ __x x__", "__x|x__")
	standard("arn:aws:iam::111122223333:user/bert-jan", "arn:aws:iam|111122223333|user|bert|jan")
	standard("日本語 テスト", "日|本|語|テスト")
	standard("한국어 test", "한국어|test")
	standard("ÄÖÜ ß É", "äöü|ß|é")
	standard("①②", "")
	standard("Ⅷ", "ⅷ")
	standard("ไทยไทย abc", "ไทยไทย|abc") // a run of a script without blanks is one
	standard("٣٤", "٣٤")
	standard("a\u00adb e\u0301", "a\u00adb|e\u0301")
	standard("👍 ok", "👍|ok")
	standard(strings.Repeat("x", 255), strings.Repeat("x", 255))
	standard(strings.Repeat("x", 256), strings.Repeat("x", 255)+"|x")
	standard(strings.Repeat("ü", 600), strings.Repeat("ü", 255)+"|"+strings.Repeat("ü", 255)+"|"+strings.Repeat("ü", 90))

	byPattern := func(s, want string) { t.Helper(); f(event.PatternText, s, want) }
	byPattern("", "")
	byPattern("[System.Reflection.Assembly]::Load($x)", "system|reflection|assembly|load|x")
	byPattern("Naïve", "na|ve")
	byPattern("-EncodedCommand a_b --", "-encodedcommand|a_b|--")
	byPattern("\u212aelvin", "elvin") // the Kelvin sign is no ASCII letter, though its lower case is
	byPattern("a\x00b", "a|b")
}

// TestPatternTokens holds the pattern analyser against the regular expression that defines it.
func TestPatternTokens(t *testing.T) {
	cut := regexp.MustCompile(`[^A-Za-z0-9_-]+`)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9_ .:-]*`)).Draw(t, "text")
		want := strings.TrimSpace(strings.ToLower(strings.Join(cut.Split(strings.ToValidUTF8(s, " "), -1), " ")))
		if got := strings.Join(expr.Tokens(event.PatternText, s), " "); got != want {
			t.Fatalf("%q is cut into %q, want %q", s, got, want)
		}
	})
}

// TestTokensOfTokens holds that each token of the standard analyser is a part of its lower-case text, in order, and that
// analysing a token again gives the token.
func TestTokensOfTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`([a-zA-Z0-9]+[ .,'_:-])*`)).Draw(t, "text")
		rest := strings.ToLower(s)
		for _, token := range expr.Tokens(event.Text, s) {
			at := strings.Index(rest, token)
			if token == "" || at < 0 {
				t.Fatalf("%q: the token %q is not in %q", s, token, rest)
			}
			rest = rest[at+len(token):]
			if again := expr.Tokens(event.Text, token); len(again) != 1 || again[0] != token {
				t.Fatalf("%q: the token %q is cut into %q", s, token, again)
			}
		}
	})
}
