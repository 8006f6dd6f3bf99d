package kql

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// The codes of the diagnostics. Those that begin with KQL01 come from Parse, with KQL02 from Check, with KQL03 from
// Lower.
const (
	CodeTooLong         = "KQL0101" // more than MaxLength bytes
	CodeTooDeep         = "KQL0102" // more than MaxDepth parentheses inside each other
	CodeNotText         = "KQL0103" // not UTF-8
	CodeLeadingWildcard = "KQL0104" // a star at the beginning of a value, where that is not allowed
	CodeUnfinished      = "KQL0105" // the query ends where something must follow
	CodeUnexpected      = "KQL0106" // something that cannot stand there
	CodeQuote           = "KQL0107" // a quote that is never closed, or one inside a bare value
	CodeParenthesis     = "KQL0108" // a parenthesis or brace without its counterpart
	CodeEscape          = "KQL0109" // a backslash before a character that needs none
	CodeColon           = "KQL0110" // a colon inside a bare value
	CodeNoOperator      = "KQL0111" // two conditions without and, or between them
	CodeNot             = "KQL0112" // "not" where it cannot stand
)

// unexpected refuses the character at the parser's place, where only the expected could stand.
func (p *parser) unexpected(expected ...string) {
	if p.err != nil {
		return
	}
	d := p.diagnose()
	if d.Message == "" {
		d = p.plain(expected)
	}
	if d.Span == (diag.Span{}) {
		_, n := utf8.DecodeRuneInString(p.text[p.at:])
		d.Span = diag.Span{Start: p.at, End: p.at + n}
	}
	d.Expected = expected
	p.refuse(d)
}

// plain says what stands there and what was expected.
func (p *parser) plain(expected []string) diag.Diagnostic {
	var list strings.Builder
	for i, e := range expected {
		switch {
		case i > 0 && i == len(expected)-1:
			list.WriteString(" or ")
		case i > 0:
			list.WriteString(", ")
		}
		switch e {
		case "field":
			e = "a field name"
		case "value":
			e = "a value"
		case "end of the query":
			e = "the " + e
		default:
			e = `"` + e + `"`
		}
		list.WriteString(e)
	}
	if p.at == len(p.text) {
		return diag.Diagnostic{Code: CodeUnfinished, Message: "the query ends where " + list.String() + " is expected"}
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	return diag.Diagnostic{Code: CodeUnexpected,
		Message: fmt.Sprintf("%q cannot stand here; expected %s", string(r), list.String())}
}

// diagnose names the mistake behind the character at the parser's place where it is one of the usual ones; the result
// has no message where it is not.
func (p *parser) diagnose() diag.Diagnostic {
	if p.at == len(p.text) {
		return p.ended()
	}
	before := strings.TrimRightFunc(p.text[:p.at], trimmed)
	switch c := p.text[p.at]; c {
	case '"':
		return p.strayQuote(before)
	case '\\':
		return p.strayBackslash()
	case ':':
		return p.strayColon(before)
	case ')', '}':
		return p.strayClosing(c, before)
	case '<', '>', '=':
		return p.strayComparison(before)
	case '(', '{':
		return p.strayOpening(c, before)
	case '*':
		if strings.HasSuffix(p.text[:p.at], `"`) {
			return diag.Diagnostic{Code: CodeUnexpected, Message: "a wildcard cannot follow a quoted value",
				Hint: `leave the quotes out, as in abc*, and put \ before signs like : ( ) and \`}
		}
	}
	if _, not := negation(p.text, p.at); not {
		return p.strayNot(before)
	}
	if strings.HasSuffix(before, `"`) {
		return p.afterQuoted()
	}
	if strings.HasSuffix(before, ")") || strings.HasSuffix(before, "}") {
		return diag.Diagnostic{Code: CodeNoOperator, Message: "two conditions stand side by side",
			Hint: `put "and" or "or" between them, with blanks on both sides`}
	}
	return diag.Diagnostic{}
}

// ended explains a query that ends too early.
func (p *parser) ended() diag.Diagnostic {
	before := strings.TrimRightFunc(p.text, trimmed)
	d := diag.Diagnostic{Code: CodeUnfinished, Span: diag.At(p.at)}
	switch last := lastSign(before); {
	case last == ":":
		d.Message = "the query ends where a value is expected"
		d.Hint = "write a value after the colon, or * to ask whether the field has one"
	case last == "<" || last == ">" || last == "<=" || last == ">=":
		d.Message = fmt.Sprintf("the query ends where a value is expected after %q", last)
	case p.afterWord(before, "and"), p.afterWord(before, "or"), p.afterWord(before, "not"):
		word := before[strings.LastIndexFunc(before, func(r rune) bool { return trimmed(r) || r == '(' || r == ')' || r == '"' })+1:]
		d.Message = fmt.Sprintf("the query ends after %q", word)
		d.Hint = "write the condition that is to follow, or take the word away"
	case len(p.open) > 0:
		return p.neverClosed()
	}
	return d
}

// lastSign returns the operator that before ends with.
func lastSign(before string) string {
	for _, sign := range []string{"<=", ">=", "<", ">", ":"} {
		if strings.HasSuffix(before, sign) && !strings.HasSuffix(before, `\`+sign) {
			return sign
		}
	}
	return ""
}

// afterWord reports whether before ends with the word and the parser's place is where its operand should begin.
func (p *parser) afterWord(before, word string) bool {
	at := len(before) - len(word)
	if at < 0 || !wordAt(before, at, word) || blank(p.text, len(before)) == 0 {
		return false
	}
	if at == 0 {
		return true
	}
	r, _ := utf8.DecodeLastRuneInString(before[:at])
	return trimmed(r) || r == '('
}

// neverClosed explains the innermost parenthesis or brace that is still open.
func (p *parser) neverClosed() diag.Diagnostic {
	at := p.open[len(p.open)-1]
	pos := diag.PosAt(p.text, at)
	closing := ")"
	if p.text[at] == '{' {
		closing = "}"
	}
	return diag.Diagnostic{Code: CodeParenthesis, Span: diag.At(p.at),
		Message: fmt.Sprintf("the %q of line %d, column %d is never closed", p.text[at:at+1], pos.Line, pos.Column),
		Hint:    fmt.Sprintf("add %q", closing)}
}

// strayQuote explains a quote that opens nothing.
func (p *parser) strayQuote(before string) diag.Diagnostic {
	rest := p.text[p.at+1:]
	if _, _, ok := quoted(p.text, p.at); !ok && p.expectsText(before) {
		d := diag.Diagnostic{Code: CodeQuote, Message: "this quoted text is never closed",
			Hint: `add the closing "`}
		if strings.HasSuffix(strings.TrimRightFunc(rest, trimmed), `\"`) || strings.Contains(rest, `\"`) {
			d.Hint = `add the closing "; a \" does not close the text: write \\" where it ends with a backslash`
		}
		return d
	}
	if strings.HasSuffix(before, `"`) || strings.HasSuffix(before, ")") || strings.HasSuffix(before, "}") {
		return p.afterQuoted()
	}
	return diag.Diagnostic{Code: CodeQuote, Message: "a quote inside a value that does not begin with one",
		Hint: `put the whole value in quotes, with \" for a quote inside it; or "and" / "or" is missing before it`}
}

// expectsText reports whether a field or value is to begin at the parser's place.
func (p *parser) expectsText(before string) bool {
	switch {
	case before == "", lastSign(before) != "", strings.HasSuffix(before, "("), strings.HasSuffix(before, "{"):
		return true
	}
	return p.afterWord(before, "and") || p.afterWord(before, "or") || p.afterWord(before, "not")
}

// afterQuoted explains what follows a quoted value, or a closing parenthesis, without a word between.
func (p *parser) afterQuoted() diag.Diagnostic {
	d := diag.Diagnostic{Code: CodeNoOperator, Message: "two values stand side by side",
		Hint: `put "and" or "or" between them; several values of one field go into a list: field : ("a" or "b")`}
	switch {
	case p.text[p.at] == ',':
		d.Message = "a comma does not separate values"
		d.Hint = `put "or" between the values of a list: field : ("a" or "b")`
	case wordAt(p.text, p.at, "or") && blank(p.text, p.at+2) > 0, wordAt(p.text, p.at, "and") && blank(p.text, p.at+3) > 0:
		d.Message, d.Hint = "a blank is missing before this word", "and, or stand between blanks"
	case strings.HasPrefix(p.text[p.at:], "&&"):
		d.Message, d.Hint = `"&&" is no operator`, `write "and", with blanks on both sides`
	case strings.HasPrefix(p.text[p.at:], "||"):
		d.Message, d.Hint = `"||" is no operator`, `write "or", with blanks on both sides`
	case strings.HasPrefix(p.text[p.at:], "=="), strings.HasPrefix(p.text[p.at:], "!="), p.text[p.at] == '=':
		d.Code, d.Message, d.Hint = CodeUnexpected, "\"=\" is no operator", "write field : value, or not field : value"
	case strings.HasSuffix(p.text[:p.at], `"`) && p.text[p.at] != '"':
		d.Code = CodeQuote
		d.Message = "the quoted text ends before this character"
		d.Hint = `write \" for a quote inside the text; or "and" / "or" is missing here`
	}
	return d
}

// strayBackslash explains a backslash that escapes nothing.
func (p *parser) strayBackslash() diag.Diagnostic {
	d := diag.Diagnostic{Code: CodeEscape, Span: diag.Span{Start: p.at, End: min(p.at+2, len(p.text))},
		Message: "a backslash stands before a character that has no such form",
		Hint:    `write \\ for a backslash, or put the whole value in quotes`}
	if strings.HasPrefix(p.text[p.at:], `\u`) {
		d.Message = `\u needs four hexadecimal digits`
	}
	if blank(p.text, p.at+1) > 0 {
		d.Hint = "a blank needs no backslash: values may hold blanks"
	}
	for d.Span.End < len(p.text) && !utf8.RuneStart(p.text[d.Span.End]) {
		d.Span.End++
	}
	return d
}

// strayColon explains a colon after a value: one that belongs to the value, or a second condition.
func (p *parser) strayColon(before string) diag.Diagnostic {
	if p.expectsText(before) {
		if lastSign(before) == ":" {
			return diag.Diagnostic{Code: CodeUnexpected, Message: "a second colon stands where a value is expected",
				Hint: "one colon is enough"}
		}
		return diag.Diagnostic{Code: CodeUnexpected, Message: "a field name is missing before the colon"}
	}
	from := p.last
	value := p.text[from:len(before)]
	word := value[strings.LastIndexFunc(value, trimmed)+1:]
	switch {
	case p.inList():
		return diag.Diagnostic{Code: CodeColon, Message: "a colon in a list of values",
			Hint: `close the list before the next field; a colon that belongs to the value is written \: or in quotes`}
	case strings.Contains(value, "&&"), strings.Contains(value, "||"):
		sign, instead := "&&", "and"
		if strings.LastIndex(value, "||") > strings.LastIndex(value, "&&") {
			sign, instead = "||", "or"
		}
		at := from + strings.LastIndex(p.text[from:p.at], sign)
		pos := diag.PosAt(p.text, at)
		return diag.Diagnostic{Code: CodeNoOperator, Message: fmt.Sprintf("a second condition begins inside the value %q", value),
			Hint: fmt.Sprintf("%q (line %d, column %d) is no operator: write %q", sign, pos.Line, pos.Column, instead)}
	case word != value && fieldLike(word):
		return diag.Diagnostic{Code: CodeNoOperator,
			Message: fmt.Sprintf("a second condition begins inside the value %q", value),
			Hint:    fmt.Sprintf(`put "and" or "or" before %s; a colon that belongs to the value is written \: or in quotes`, word)}
	}
	whole := p.text[from:]
	if n := strings.IndexAny(whole, " \t\r\n)}"); n >= 0 {
		whole = whole[:n]
	}
	if len(whole) > 80 {
		whole = value
	}
	d := diag.Diagnostic{Code: CodeColon, Message: "a colon inside a value",
		Hint: fmt.Sprintf(`put the value in quotes: "%s"`, whole)}
	if strings.Contains(whole, "*") {
		d.Hint = `write \: for a colon and \\ for a backslash in a value with a wildcard`
	} else if _, err := netip.ParsePrefix(whole); err == nil {
		d.Message = "an IPv6 network has to stand in quotes"
	} else if _, err := netip.ParseAddr(whole); err == nil {
		d.Message = "an IPv6 address has to stand in quotes"
	}
	return d
}

// inList reports whether the parser's place is in a list of values.
func (p *parser) inList() bool {
	for i := len(p.open) - 1; i >= 0 && p.text[p.open[i]] == '('; i-- {
		if lastSign(strings.TrimRightFunc(p.text[:p.open[i]], trimmed)) == ":" {
			return true
		}
	}
	return false
}

// fieldLike reports whether word may well be a field name.
func fieldLike(word string) bool {
	return word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("@._-*", r)
	})
}

// strayClosing explains a closing sign without an opening one, or before a value.
func (p *parser) strayClosing(c byte, before string) diag.Diagnostic {
	opening := map[byte]string{')': "(", '}': "{"}[c]
	switch {
	case strings.HasSuffix(before, opening) && len(p.open) > 0:
		return diag.Diagnostic{Code: CodeUnexpected, Message: fmt.Sprintf("nothing stands between %q and %q", opening, string(c))}
	case p.expectsText(before):
		return diag.Diagnostic{} // what is missing is worth more than what is there
	case len(p.open) == 0:
		return diag.Diagnostic{Code: CodeParenthesis, Message: fmt.Sprintf("this %q closes nothing", string(c)),
			Hint: fmt.Sprintf(`take it away, add a %q before it, or write \%s if it belongs to a value`, opening, string(c))}
	case p.text[p.open[len(p.open)-1]] != opening[0]:
		d := p.neverClosed()
		d.Span = diag.Span{Start: p.at, End: p.at + 1}
		return d
	}
	return diag.Diagnostic{}
}

// strayComparison explains < and > where they cannot stand.
func (p *parser) strayComparison(before string) diag.Diagnostic {
	d := diag.Diagnostic{Code: CodeUnexpected, Span: diag.Span{Start: p.at, End: p.at + 1}}
	if strings.HasPrefix(p.text[p.at+1:], "=") {
		d.Span.End++
	}
	sign := p.text[d.Span.Start:d.Span.End]
	last := lastSign(before)
	switch {
	case last == ":":
		d.Message = fmt.Sprintf("a colon cannot stand before %q", sign)
		d.Hint = fmt.Sprintf("leave the colon out: field %s value", sign)
	case last == "<" && sign == ">":
		d.Message, d.Hint = `"<>" is no operator`, "write not field : value"
	case p.inList():
		d.Message = fmt.Sprintf("%q cannot stand in a list of values", sign)
		d.Hint = fmt.Sprintf("write a condition of its own: field %s value", sign)
	case p.expectsText(before) && last == "":
		d.Message = fmt.Sprintf("a field name is missing before %q", sign)
	case sign[0] == '=':
		d.Message, d.Hint = `"=" is no operator`, "write field : value"
	default:
		d.Message = fmt.Sprintf("%q cannot stand here", sign)
		d.Hint = fmt.Sprintf(`join two comparisons by "and"; a %s that belongs to the value is written \%s or in quotes`, sign[:1], sign[:1])
	}
	return d
}

// strayOpening explains an opening sign after a value.
func (p *parser) strayOpening(c byte, before string) diag.Diagnostic {
	last := lastSign(before)
	switch {
	case last == "<" || last == ">" || last == "<=" || last == ">=":
		return diag.Diagnostic{Code: CodeUnexpected, Message: fmt.Sprintf("%q compares with one value, not with a list", last),
			Hint: fmt.Sprintf(`write a condition for each value: field %s 1 or field %s 2`, last, last)}
	case p.expectsText(before) && c == '{':
		return diag.Diagnostic{Code: CodeUnexpected, Message: `"{" stands only after a field and a colon`,
			Hint: "write path : { conditions }"}
	case c == '{':
		return diag.Diagnostic{Code: CodeUnexpected, Message: `"{" stands only after a field and a colon`,
			Hint: `write path : { conditions }; a { that belongs to a value is written \{ or in quotes`}
	}
	return diag.Diagnostic{Code: CodeNoOperator, Message: "a parenthesis follows a value directly",
		Hint: `a colon, "and" or "or" is missing before it; a ( that belongs to the value is written \( or in quotes`}
}

// strayNot explains the word not where it cannot stand.
func (p *parser) strayNot(before string) diag.Diagnostic {
	d := diag.Diagnostic{Code: CodeNot, Span: diag.Span{Start: p.at, End: p.at + 3}}
	r, _ := utf8.DecodeLastRuneInString(p.text[:p.at])
	switch {
	case p.afterWord(before, "not"):
		d.Message = `"not" cannot follow "not"`
		d.Hint = "two of them cancel out: leave both away, or write not (not …)"
	case lastSign(before) == ":":
		d.Message = `"not" cannot follow a colon directly`
		d.Hint = "write not field : value, or field : (not value)"
	case lastSign(before) != "":
		d.Message = `"not" cannot follow a comparison`
		d.Hint = "write not field > value"
	case p.at > 0 && !trimmed(r) && !strings.ContainsRune(`"()}`, r):
		d.Message = `the letters "not" with a blank after them end a value`
		d.Hint = `put the value in quotes`
	default:
		d.Message = `"and" or "or" is missing before "not"`
		d.Hint = `write and not …; put the value in quotes if "not" belongs to it`
	}
	return d
}
