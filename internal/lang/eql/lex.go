package eql

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// kind says what a token is.
type kind uint8

const (
	endToken    kind = iota
	nameToken        // an identifier or a word of the language
	quotedToken      // `…`
	textToken        // "…" or """…"""
	numberToken
	signToken // an operator or a bracket
)

// token is a word of a query. Text is the sign, the name or the text with its escapes resolved, a number as written.
type token struct {
	kind  kind
	text  string
	tilde bool // of a name: a ~ follows directly, and belongs to it
	at    diag.Span
}

// is reports whether t is the sign or word s.
func (t token) is(s string) bool {
	return (t.kind == signToken || t.kind == nameToken && !t.tilde) && t.text == s
}

// isFold reports whether t is the word s with a tilde.
func (t token) isFold(s string) bool { return t.kind == nameToken && t.tilde && t.text == s }

// reserved are the words that are no names of fields, functions or categories.
var reserved = map[string]bool{"and": true, "any": true, "by": true, "false": true, "in": true, "join": true, "like": true,
	"maxspan": true, "not": true, "null": true, "or": true, "regex": true, "sample": true, "sequence": true, "true": true,
	"until": true, "where": true, "with": true}

// signs are the operators and brackets, the longer before those that they begin with.
var signs = []string{"![", "==", "!=", "<=", ">=", "<", ">", ":", "=", "(", ")", "[", "]", ",", ".", "+", "-", "*", "/",
	"%", "|", "?"}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func begins(c byte) bool   { return isLetter(c) || c == '_' || c == '@' }
func continues(c byte) bool {
	return begins(c) || isDigit(c)
}

// plainName reports whether s can stand as a name without backquotes.
func plainName(s string) bool {
	if s == "" || !begins(s[0]) || reserved[s] {
		return false
	}
	for i := range len(s) {
		if !continues(s[i]) {
			return false
		}
	}
	return true
}

// skip returns the offset after the blanks and comments at offset at.
func (p *parser) skip(at int) int {
	for at < len(p.text) {
		switch c := p.text[at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			at++
		case strings.HasPrefix(p.text[at:], "//"):
			n := strings.IndexByte(p.text[at:], '\n')
			if n < 0 {
				return len(p.text)
			}
			at += n + 1
		case strings.HasPrefix(p.text[at:], "/*"):
			n := strings.Index(p.text[at+2:], "*/")
			if n < 0 {
				p.fail(CodeUnclosed, diag.Span{Start: at, End: at + 2}, "this comment is never closed", `add "*/"`)
			}
			at += 2 + n + 2
		default:
			return at
		}
	}
	return at
}

// scan reads the token at or after offset at.
func (p *parser) scan(at int) token {
	at = p.skip(at)
	if at == len(p.text) {
		return token{at: diag.At(at)}
	}
	rest := p.text[at:]
	switch c := rest[0]; {
	case begins(c):
		return p.scanName(at)
	case isDigit(c), c == '.' && len(rest) > 1 && isDigit(rest[1]):
		return p.scanNumber(at)
	case c == '`':
		return p.scanQuotedName(at)
	case c == '"':
		return p.scanText(at)
	}
	for _, s := range signs {
		if strings.HasPrefix(rest, s) {
			return token{kind: signToken, text: s, at: diag.Span{Start: at, End: at + len(s)}}
		}
	}
	p.strange(at)
	return token{}
}

func (p *parser) scanName(at int) token {
	end := at + 1
	for end < len(p.text) && continues(p.text[end]) {
		end++
	}
	t := token{kind: nameToken, text: p.text[at:end], at: diag.Span{Start: at, End: end}}
	if end < len(p.text) && p.text[end] == '~' {
		t.tilde = true
		t.at.End++
	}
	return t
}

// scanNumber reads digits, a fraction and an exponent. A unit of time may follow directly.
func (p *parser) scanNumber(at int) token {
	s, end := p.text, at
	digits := func() {
		for end < len(s) && isDigit(s[end]) {
			end++
		}
	}
	digits()
	if end < len(s) && s[end] == '.' {
		end++
		digits()
	}
	if end < len(s) && (s[end] == 'e' || s[end] == 'E') {
		mark := end
		end++
		if end < len(s) && (s[end] == '+' || s[end] == '-') {
			end++
		}
		first := end
		if digits(); end == first {
			end = mark
		}
	}
	return token{kind: numberToken, text: s[at:end], at: diag.Span{Start: at, End: end}}
}

func (p *parser) scanQuotedName(at int) token {
	var b strings.Builder
	for i := at + 1; i < len(p.text); i++ {
		if p.text[i] != '`' {
			b.WriteByte(p.text[i])
			continue
		}
		if i+1 < len(p.text) && p.text[i+1] == '`' {
			b.WriteByte('`')
			i++
			continue
		}
		span := diag.Span{Start: at, End: i + 1}
		if b.Len() == 0 {
			p.fail(CodeUnexpected, span, "a name between backquotes is empty", "")
		}
		return token{kind: quotedToken, text: b.String(), at: span}
	}
	p.fail(CodeUnclosed, diag.Span{Start: at, End: at + 1}, "this name is never closed", "add the closing `")
	return token{}
}

func (p *parser) scanText(at int) token {
	if strings.HasPrefix(p.text[at:], `"""`) {
		return p.scanRaw(at)
	}
	var b strings.Builder
	for i := at + 1; i < len(p.text); {
		switch c := p.text[i]; c {
		case '"':
			return token{kind: textToken, text: b.String(), at: diag.Span{Start: at, End: i + 1}}
		case '\n', '\r':
			p.fail(CodeUnclosed, diag.Span{Start: at, End: i}, "this text is not closed on its line",
				`add the closing ", or write \n for the end of a line`)
		case '\\':
			i += p.escape(&b, i)
		default:
			b.WriteByte(c)
			i++
		}
	}
	hint := `add the closing "`
	if strings.HasSuffix(strings.TrimRight(p.text, " \t\r\n])"), `\"`) {
		hint += `; a \" does not close the text: write \\" where it ends with a backslash`
	}
	p.fail(CodeUnclosed, diag.Span{Start: at, End: at + 1}, "this text is never closed", hint)
	return token{}
}

// scanRaw reads a text in which nothing is special. Up to two quotes before the closing ones belong to it.
func (p *parser) scanRaw(at int) token {
	from := at + 3
	n := strings.Index(p.text[from:], `"""`)
	if line := strings.IndexAny(p.text[from:], "\r\n"); line >= 0 && (n < 0 || line < n) {
		p.fail(CodeUnclosed, diag.Span{Start: at, End: from}, "this text is not closed on its line", `add the closing """`)
	}
	if n < 0 {
		p.fail(CodeUnclosed, diag.Span{Start: at, End: from}, "this text is never closed", `add the closing """`)
	}
	end := from + n
	for more := 0; more < 2 && end+3 < len(p.text) && p.text[end+3] == '"'; more++ {
		end++
	}
	return token{kind: textToken, text: p.text[from:end], at: diag.Span{Start: at, End: end + 3}}
}

var escapes = map[byte]byte{'b': '\b', 't': '\t', 'n': '\n', 'f': '\f', 'r': '\r', '"': '"', '\'': '\'', '\\': '\\'}

// escape writes what the backslash at offset at means and returns its length.
func (p *parser) escape(b *strings.Builder, at int) int {
	rest := p.text[at+1:]
	if rest == "" {
		p.fail(CodeEscape, diag.Span{Start: at, End: at + 1}, "a backslash ends the query", `write \\ for a backslash`)
	}
	if c, ok := escapes[rest[0]]; ok {
		b.WriteByte(c)
		return 2
	}
	if rest[0] == 'u' {
		digits, _, closed := strings.Cut(strings.TrimPrefix(rest[1:min(len(rest), 12)], "{"), "}")
		n, err := strconv.ParseUint(digits, 16, 32)
		if strings.HasPrefix(rest, "u{") && closed && err == nil && 2 <= len(digits) && len(digits) <= 8 {
			r := rune(n)
			if n > utf8.MaxRune || !utf8.ValidRune(r) {
				p.fail(CodeEscape, diag.Span{Start: at, End: at + 4 + len(digits)}, "there is no character with this number", "")
			}
			b.WriteRune(r)
			return 4 + len(digits)
		}
		p.fail(CodeEscape, diag.Span{Start: at, End: at + 2}, `\u needs braces and 2 to 8 hexadecimal digits`, `write \u{202E}`)
	}
	_, n := utf8.DecodeRuneInString(rest)
	p.fail(CodeEscape, diag.Span{Start: at, End: at + 1 + n}, "a backslash stands before a character that has no such form",
		`write \\ for a backslash, or the text in three quotes: """C:\x"""`)
	return 0
}
