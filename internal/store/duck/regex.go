package duck

import (
	"regexp"
	"regexp/syntax"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// DuckDB's regular expressions are RE2's, like Go's. What the two could see differently is not handed on: which letters beyond
// ASCII are the same without regard to case, and what one of them finds too large.
const (
	maxRegexBytes = 2_000
	maxRegexSteps = 5_000 // instructions of Go's
)

func (w *whereWriter) regexp(c expr.Regexp) *test {
	fits, read, ok := readable(c.Field.Type)
	if !ok || !isPlain(c.Field.Type) && c.Field.Type != event.Caseless {
		return nil
	}
	text, ok := regexText(c.Expr)
	if !ok {
		return nil
	}
	l, ok := quote(text)
	if !ok {
		return nil
	}
	return &test{fits: fits, exact: true, sql: func(value string) string { return "regexp_matches(" + read(value) + ", " + l + ")" }}
}

// regexText is e as DuckDB reads it; false where it could mean something else there. It is written anew from what Go makes of
// it, with classes as ranges and flags where they hold.
func regexText(e *regexp.Regexp) (string, bool) {
	re, err := syntax.Parse(e.String(), syntax.Perl)
	if err != nil || !sameEverywhere(re) {
		return "", false
	}
	text := re.String()
	if len(text) > maxRegexBytes {
		return "", false
	}
	prog, err := syntax.Compile(re.Simplify())
	return text, err == nil && len(prog.Inst) <= maxRegexSteps
}

func sameEverywhere(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpNoMatch:
		return false
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if r == 0 || !utf8.ValidRune(r) || re.Flags&syntax.FoldCase != 0 && r >= utf8.RuneSelf {
				return false
			}
		}
	}
	for _, sub := range re.Sub {
		if !sameEverywhere(sub) {
			return false
		}
	}
	return true
}

func regexRest(c expr.Regexp) restClause {
	re, err := syntax.Parse(c.Expr.String(), syntax.Perl)
	if err != nil || !isPlain(c.Field.Type) {
		return restClause{}
	}
	needle, ok := escaped(literalOfAll(re))
	if !ok || needle == "" {
		return restClause{}
	}
	return restClause{needles: []string{needle}}
}

// literalOfAll is the longest text that is known to stand in everything that re matches.
func literalOfAll(re *syntax.Regexp) string {
	longest := ""
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return string(re.Rune)
		}
	case syntax.OpConcat, syntax.OpCapture, syntax.OpPlus:
		for _, sub := range re.Sub {
			if l := literalOfAll(sub); len(l) > len(longest) {
				longest = l
			}
		}
	case syntax.OpRepeat:
		if re.Min > 0 {
			return literalOfAll(re.Sub[0])
		}
	}
	return longest
}
