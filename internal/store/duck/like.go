package duck

import (
	"regexp"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// DuckDB matches LIKE in one of two ways: a pattern of texts and stars alone by looking for one text after the other; with
// _ or ESCAPE by trying every star at every place, which for ten stars ends in no lifetime. What is not of the first kind, and
// holds several stars, is therefore written as a regular expression, which takes one pass; what is too large for that is
// looked for by its longest text, and checked row by row.

// Bounds on a pattern as a regular expression.
const (
	maxLikeParts = 100
	maxLikeBytes = 2_000
)

func (w *whereWriter) like(c expr.Like) *test {
	fits, read, ok := readable(c.Field.Type)
	if !ok || !isPlain(c.Field.Type) && c.Field.Type != event.Caseless {
		return nil
	}
	if c.Fold {
		if i, held := w.seg.layout.byPath[c.Field.Path]; held && w.seg.wide.has(i) {
			return nil
		}
		read = func(value string) string { return "lower(" + value + ")" }
	}
	call, exact := likeSQL(c)
	return &test{fits: fits, exact: exact, sql: func(value string) string {
		if call == nil { // no column holds such a text
			return sqlFalse
		}
		return call(read(value))
	}}
}

// likeSQL writes that a value fits the pattern of c, or, where it is not exact, could; nil: no value can.
func likeSQL(c expr.Like) (call func(value string) string, exact bool) {
	var like, escaped, regex strings.Builder
	stars, size, longest := 0, 0, ""
	plain := true // as LIKE without ESCAPE
	for _, part := range c.Pattern.Parts {
		switch l := part.Literal; {
		case l != "":
			if c.Fold {
				l = expr.Fold(l)
			}
			plain = plain && !strings.ContainsAny(l, `%_\`)
			for _, r := range []byte(l) {
				if r == '%' || r == '_' || r == '!' {
					escaped.WriteByte('!')
				}
				escaped.WriteByte(r)
			}
			like.WriteString(l)
			regex.WriteString(regexp.QuoteMeta(l))
			size += len(l)
			if len(l) > len(longest) {
				longest = l
			}
		case part.One:
			plain = false
			escaped.WriteByte('_')
			regex.WriteByte('.')
		default:
			stars++
			like.WriteByte('%')
			escaped.WriteByte('%')
			regex.WriteString(".*")
		}
	}
	form := func(before, text, between, after string) func(string) string {
		l, held := quote(text)
		if !held {
			return nil
		}
		return func(value string) string { return before + value + between + l + after }
	}
	switch {
	case plain:
		return form("", like.String(), " LIKE ", ""), true
	case stars < 2:
		return form("", escaped.String(), " LIKE ", " ESCAPE '!'"), true
	case len(c.Pattern.Parts) <= maxLikeParts && size <= maxLikeBytes:
		return form("regexp_full_match(", regex.String(), ", ", ", 's')"), true
	case longest == "":
		return func(value string) string { return value + " IS NOT NULL" }, false
	}
	return form("contains(", longest, ", ", ")"), false
}

func likeRest(c expr.Like) restClause {
	if c.Fold || !isPlain(c.Field.Type) {
		return restClause{}
	}
	longest := ""
	for _, part := range c.Pattern.Parts {
		if n, ok := escaped(part.Literal); !ok {
			return restClause{}
		} else if len(n) > len(longest) {
			longest = n
		}
	}
	if longest == "" {
		return restClause{}
	}
	return restClause{needles: []string{longest}}
}
