package eql

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// The codes of the diagnostics. Those that begin with EQL01 come from Parse: the query is none of the language. Those
// with EQL02 are Check's warnings, those with EQL03 come from Lower: the query is one, and cannot be run on these fields.
const (
	CodeTooLong    = "EQL0101" // more than MaxLength bytes
	CodeTooDeep    = "EQL0102" // more than MaxDepth parentheses inside each other
	CodeNotText    = "EQL0103" // not UTF-8
	CodeTooMany    = "EQL0104" // more than MaxTerms, or MaxStages
	CodeUnfinished = "EQL0105" // the query ends where something must follow
	CodeUnexpected = "EQL0106" // something that cannot stand there
	CodeUnclosed   = "EQL0107" // a quote or comment that is never closed, or not on its line
	CodeBracket    = "EQL0108" // a parenthesis or bracket without its counterpart
	CodeEscape     = "EQL0109" // a backslash before a character that has no such form
	CodeEquals     = "EQL0110" // = for ==
	CodeForeign    = "EQL0111" // an operator or a word of another language
	CodeChain      = "EQL0112" // a < b < c
	CodeIndex      = "EQL0113" // a[0]
	CodeQuotes     = "EQL0114" // '…' and ?"…"
	CodeNumber     = "EQL0115" // a number that is too large, or runs into letters
	CodeReserved   = "EQL0116" // a word of the language as a name
	CodePipe       = "EQL0117" // an unknown pipe, or what it takes
	CodeSpan       = "EQL0118" // no length of time
	CodeKeys       = "EQL0119" // keys that are no fields, or too few
	CodeRuns       = "EQL0120" // no number of runs
	CodeFewTerms   = "EQL0121" // a sequence or sample of too few terms
	CodeMissing    = "EQL0122" // a missing event where none can stand
	CodeNoWhere    = "EQL0123" // a category without where
	CodeNoOperator = "EQL0124" // two conditions side by side
)

// unexpected refuses the present token, where only the expected could stand.
func (p *parser) unexpected(expected ...string) {
	d := p.diagnose(expected)
	if d.Message == "" {
		d = p.plain(expected)
	}
	if d.Span == (diag.Span{}) {
		d.Span = p.tok.at
	}
	d.Expected, d.Text = expected, p.text
	panic(stop{d})
}

// strange refuses a character that begins no token.
func (p *parser) strange(at int) {
	rest := p.text[at:]
	r, n := utf8.DecodeRuneInString(rest)
	span := diag.Span{Start: at, End: at + n}
	two := diag.Span{Start: at, End: min(at+2, len(p.text))}
	switch {
	case r == '\'':
		p.fail(CodeQuotes, span, "a text stands in double quotes", `write "…"`)
	case strings.HasPrefix(rest, "&&"):
		p.fail(CodeForeign, two, `"&&" is no operator`, `write "and"`)
	case r == '!':
		p.fail(CodeForeign, span, `"!" is no operator`, `write "not"`)
	case r == '~':
		p.fail(CodeUnexpected, span, "a ~ stands directly after the name of a function, or after in, like or regex", "")
	case r == '“' || r == '”' || r == '„' || r == '‘' || r == '’':
		p.fail(CodeQuotes, span, "typographic quotes are no quotes", `write "…"`)
	case r == ';':
		p.fail(CodeForeign, span, "a query has no semicolon at its end", "take it away")
	}
	p.fail(CodeUnexpected, span, fmt.Sprintf("%q cannot stand here", string(r)),
		"a name with other characters than letters, digits, _ and @ stands in backquotes: `a-b`")
}

// plain says what stands there and what was expected.
func (p *parser) plain(expected []string) diag.Diagnostic {
	words := map[string]string{"field": "a field name", "value": "a value", "constant": "a constant",
		"category": "an event category", "end of the query": "the end of the query"}
	var list strings.Builder
	for i, e := range expected {
		switch {
		case i > 0 && i == len(expected)-1:
			list.WriteString(" or ")
		case i > 0:
			list.WriteString(", ")
		}
		if w, ok := words[e]; ok {
			e = w
		} else {
			e = `"` + e + `"`
		}
		list.WriteString(e)
	}
	if p.tok.kind == endToken {
		return diag.Diagnostic{Code: CodeUnfinished, Message: "the query ends where " + list.String() + " is expected"}
	}
	shown := p.text[p.tok.at.Start:p.tok.at.End]
	if len(shown) > 60 {
		shown = strings.ToValidUTF8(shown[:60], "") + "…"
	}
	return diag.Diagnostic{Code: CodeUnexpected, Message: fmt.Sprintf("%s cannot stand here; expected %s", quoteShown(shown), list.String())}
}

func quoteShown(s string) string {
	if strings.HasPrefix(s, `"`) {
		return s
	}
	return `"` + s + `"`
}

// diagnose names the mistake behind the present token where it is one of the usual ones; the result has no message where
// it is not.
func (p *parser) diagnose(expected []string) diag.Diagnostic {
	one := func(code, message, hint string) diag.Diagnostic {
		return diag.Diagnostic{Code: code, Message: message, Hint: hint}
	}
	t := p.tok
	adjacent := p.before.at.End == t.at.Start
	switch {
	case p.shouted(expected):
		d := one(CodeForeign, fmt.Sprintf("words of the language are in lower case, not %q", p.before.text),
			"write "+strings.ToLower(p.before.text))
		d.Span = p.before.at
		return d
	case t.kind == endToken && len(p.open) > 0 && !oneOf(expected, "value", "where", "field", "category", "any"):
		return p.neverClosed()
	case t.kind == endToken && oneOf(expected, "where"):
		return one(CodeNoWhere, "the query ends where \"where\" is expected", "write category where condition, or any where condition")
	case t.kind == endToken && p.before.at.End > 0 && oneOf(expected, "value"):
		return one(CodeUnfinished, fmt.Sprintf("the query ends after %q", p.text[p.before.at.Start:p.before.at.End]),
			"write what is to follow, or take it away")
	case t.is("=") && p.before.is("!"), t.is("=") && p.before.is("==") && adjacent:
		return one(CodeEquals, `"===" is no operator`, "write ==")
	case t.is("="):
		return one(CodeEquals, `"=" is no operator`, `write ==, or : to compare without regard to case`)
	case t.is("|") && p.before.is("|") && adjacent, t.is("|") && p.peek().is("|"):
		return one(CodeForeign, `"||" is no operator`, `write "or"`)
	case t.is(">") && p.before.is("<") && adjacent:
		return one(CodeForeign, `"<>" is no operator`, "write !=")
	case p.before.is("?") && t.kind == textToken:
		return one(CodeQuotes, `?"…" was a text of an older dialect`, `write """…""" for a text in which no backslash is special`)
	case t.is(")") || t.is("]"):
		return p.strayClosing()
	case t.kind == nameToken:
		return p.strayName(expected)
	case t.is("[") && (p.before.is("of")):
		return one(CodeForeign, "a condition on a process's relatives was part of an older dialect", "write a sequence by process.entity_id")
	case t.is("[") && oneOf(expected, "where"):
		return one(CodeNoWhere, `"where" is missing before "["`, "")
	case oneOf(expected, "where"):
		return one(CodeNoWhere, `"where" is missing after the category`, "write category where condition, or any where condition")
	case (t.kind == textToken || t.kind == numberToken || t.kind == quotedToken || t.is("(")) && oneOf(expected, "and"):
		return one(CodeNoOperator, "two values stand side by side", `put an operator between them: == : in like, or "and", "or"`)
	case t.is(",") && oneOf(expected, "and"):
		return one(CodeUnexpected, "a comma stands only between the values of a list", `write field in ("a", "b")`)
	case t.kind == signToken && oneOf(expected, "constant"):
		return one(CodeUnexpected, fmt.Sprintf("%q is followed by a constant, not by %q", p.before.text, t.text),
			"")
	}
	return diag.Diagnostic{}
}

// shouted reports whether the name before the present token may be meant as a word of the language.
func (p *parser) shouted(expected []string) bool {
	low := strings.ToLower(p.before.text)
	return p.before.kind == nameToken && low != p.before.text && reserved[low] && oneOf(expected, "where", "and")
}

func oneOf(list []string, words ...string) bool {
	for _, e := range list {
		for _, w := range words {
			if e == w {
				return true
			}
		}
	}
	return false
}

// neverClosed explains the innermost parenthesis or bracket that is still open.
func (p *parser) neverClosed() diag.Diagnostic {
	t := p.open[len(p.open)-1]
	pos := diag.PosAt(p.text, t.at.Start)
	return diag.Diagnostic{Code: CodeBracket, Hint: fmt.Sprintf("add %q", closing(t.text)), Span: diag.At(p.tok.at.Start),
		Message: fmt.Sprintf("the %q of line %d, column %d is never closed", t.text, pos.Line, pos.Column)}
}

func closing(opening string) string {
	if opening == "(" {
		return ")"
	}
	return "]"
}

// strayClosing explains a closing sign that closes nothing, or comes too early.
func (p *parser) strayClosing() diag.Diagnostic {
	t := p.tok
	switch {
	case len(p.open) == 0:
		return diag.Diagnostic{Code: CodeBracket, Message: fmt.Sprintf("this %q closes nothing", t.text), Hint: "take it away"}
	case closing(p.open[len(p.open)-1].text) != t.text:
		d := p.neverClosed()
		d.Span = t.at
		return d
	case p.before.is(","):
		return diag.Diagnostic{Code: CodeUnexpected, Message: "a comma before the end of a list", Hint: "take the comma away", Span: p.before.at}
	case p.before.at == p.open[len(p.open)-1].at:
		return diag.Diagnostic{Code: CodeUnexpected, Message: fmt.Sprintf("nothing stands between %q and %q", p.before.text, t.text)}
	}
	return diag.Diagnostic{Code: CodeUnfinished, Message: fmt.Sprintf("a value is missing before %q", t.text)}
}

// strayName explains a name, or a word of the language, where none can stand.
func (p *parser) strayName(expected []string) diag.Diagnostic {
	t := p.tok
	d := diag.Diagnostic{Code: CodeForeign}
	low := strings.ToLower(t.text)
	switch {
	case t.text != low && (reserved[low] || low == "head" || low == "tail"):
		d.Message, d.Hint = fmt.Sprintf("words of the language are in lower case, not %q", t.text), "write "+low
	case p.before.kind == nameToken && t.is("of") && p.before.text == "event", p.before.kind == nameToken && t.is("of"):
		d.Message = "a condition on a process's relatives was part of an older dialect"
		d.Hint = "write a sequence by process.entity_id"
	case t.is("is"):
		d.Message, d.Hint = `"is" is no operator`, "write field == null, or field != null"
	case t.is("contains"), t.is("matches"), t.is("startswith"), t.is("endswith"), t.is("wildcard"), t.is("match"):
		d.Message = fmt.Sprintf("%q is no operator", t.text)
		d.Hint = `write field : "*text*", or field regex """expression"""`
	case t.is("fork"):
		d.Message, d.Hint = "fork was part of an older dialect", "take fork=true away: a sequence always forks"
	case t.is("where") && oneOf(expected, "and"):
		d.Message, d.Hint = `a second "where"`, `write "and" between conditions`
	case t.is("not") && oneOf(expected, "and") && p.peek().kind == nameToken:
		next := p.peek()
		d.Code, d.Span = CodeUnexpected, t.at
		d.Message = fmt.Sprintf(`"not" cannot stand before %q here`, next.text)
		d.Hint = fmt.Sprintf("write not field %s …", next.text)
		if next.text == "and" || next.text == "or" || !reserved[next.text] {
			d.Hint = `"and" or "or" is missing before it`
		}
	case t.is("with") && oneOf(expected, "["):
		d.Code, d.Message, d.Hint = CodeUnexpected, `"with" stands here only as with runs=3`, ""
	case oneOf(expected, "where"):
		d.Code, d.Message = CodeNoWhere, `"where" is missing after the category`
		d.Hint = "write category where condition, or any where condition"
		if near, ok := diag.Nearest(t.text, []string{"where"}); ok {
			d.Hint = fmt.Sprintf("did you mean %s?", near)
		}
	case reserved[t.text] && oneOf(expected, "value", "field") && !t.is("and") && !t.is("or"):
		d.Code = CodeReserved
		d.Message = fmt.Sprintf("%q is a word of the language and cannot stand here", t.text)
		d.Hint = fmt.Sprintf("put it in backquotes if it is a name: `%s`", t.text)
	case (t.is("and") || t.is("or")) && oneOf(expected, "value"):
		d.Code, d.Message, d.Hint = CodeUnfinished, fmt.Sprintf("a condition is missing before %q", t.text), ""
	case oneOf(expected, "constant"):
		d.Code = CodeUnexpected
		d.Message = fmt.Sprintf("%q is followed by a constant, not by a field", p.before.text)
		d.Hint = "put it in quotes if it is a text"
	case !reserved[t.text] && oneOf(expected, "and"):
		d.Code, d.Message = CodeNoOperator, "two conditions stand side by side"
		d.Hint = `put "and" or "or" between them`
		if near, ok := diag.Nearest(t.text, []string{"and", "or", "in", "like", "regex", "not"}); ok && len(t.text) > 1 {
			d.Hint = fmt.Sprintf("did you mean %s?", near)
		}
	default:
		return diag.Diagnostic{}
	}
	return d
}
