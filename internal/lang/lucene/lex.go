package lucene

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// kind is what a token is.
type kind uint8

const (
	atEnd kind = iota
	and
	or
	not // NOT and !
	plus
	minus
	open
	closing
	colon
	caret
	tilde
	quoted
	word    // without wildcards
	pattern // a word with * or ?
	star    // a * alone
	bare    // + - ! with a blank after it, which is a word
	regular // /…/
	bounds  // [ or {
	number  // after ^
	to      // within bounds
	bound   // within bounds; quoted there too
	endOfBounds
)

// token is a piece of the text.
type token struct {
	kind       kind
	start, end int
}

// lexer cuts a text into tokens: the longest that fits, at each place.
type lexer struct {
	text   string
	tokens []token
	err    *diag.Diagnostic
}

// refuse notes the first mistake.
func (l *lexer) refuse(start, end int, code, message, hint string) {
	if l.err == nil {
		l.err = &diag.Diagnostic{Code: code, Message: message, Hint: hint, Text: l.text, Span: diag.Span{Start: start, End: min(end, len(l.text))}}
	}
}

// blank returns the length of the blank at offset at, 0 where there is none.
func blank(s string, at int) int {
	switch {
	case at >= len(s):
		return 0
	case s[at] == ' ', s[at] == '\t', s[at] == '\n', s[at] == '\r':
		return 1
	case strings.HasPrefix(s[at:], "\u3000"):
		return len("\u3000")
	}
	return 0
}

// signs end a word, and stand in one behind a backslash alone. + and - do so where a word begins.
const signs = "!():^[]\"{}~*?\\/"

// wordEnd returns the offset after the word, with or without wildcards, at offset at.
func (l *lexer) wordEnd(at int) (end int, wild bool) {
	s, i := l.text, at
	for i < len(s) && blank(s, i) == 0 {
		switch c := s[i]; {
		case c == '\\':
			if i+1 == len(s) {
				l.refuse(i, i+1, CodeEscape, "a backslash ends the query", `write \\ for a backslash`)
				return len(s), wild
			}
			_, n := utf8.DecodeRuneInString(s[i+1:])
			i += 1 + n
			continue
		case c == '*' || c == '?':
			wild = true
		case i == at && (c == '+' || c == '-') || strings.IndexByte(signs, c) >= 0:
			return i, wild
		}
		i++
	}
	return i, wild
}

func (l *lexer) add(k kind, start, end int) int {
	l.tokens = append(l.tokens, token{k, start, end})
	return end
}

// run cuts the text.
func (l *lexer) run() {
	s := l.text
	for at := 0; at < len(s) && l.err == nil; {
		if n := blank(s, at); n > 0 {
			at += n
			continue
		}
		if len(l.tokens) >= maxTokens {
			l.refuse(at, at+1, CodeTooMany, fmt.Sprintf("the query has more than %d words and signs", maxTokens),
				"keep long lists of values in a value list, outside the query")
			return
		}
		switch c := s[at]; c {
		case '(':
			at = l.add(open, at, at+1)
		case ')':
			at = l.add(closing, at, at+1)
		case ':':
			at = l.add(colon, at, at+1)
		case '~':
			at = l.add(tilde, at, at+1)
		case '^':
			at = l.boost(l.add(caret, at, at+1))
		case '+', '-', '!':
			k := map[byte]kind{'+': plus, '-': minus, '!': not}[c]
			if blank(s, at+1) > 0 {
				k = bare
			}
			at = l.add(k, at, at+1)
		case '"':
			at = l.quote(at)
		case '/':
			at = l.regular(at)
		case '[', '{':
			at = l.bounds(l.add(bounds, at, at+1))
		case ']', '}':
			l.refuse(at, at+1, CodeUnexpected, fmt.Sprintf("this %q closes nothing", string(c)), fmt.Sprintf(`write \%c if it belongs to a value`, c))
		default:
			end, wild := l.wordEnd(at)
			k := word
			switch text := s[at:end]; {
			case text == "AND" || text == "&&":
				k = and
			case text == "OR" || text == "||":
				k = or
			case text == "NOT":
				k = not
			case text == "*":
				k = star
			case wild:
				k = pattern
			}
			at = l.add(k, at, end)
		}
	}
}

func (l *lexer) quote(at int) int {
	for i := at + 1; i < len(l.text); i++ {
		switch l.text[i] {
		case '\\':
			i++
		case '"':
			return l.add(quoted, at, i+1)
		}
	}
	l.refuse(at, at+1, CodeUnclosed, "a quote is never closed", `close it, or write \" for a quote that belongs to a value`)
	return len(l.text)
}

func (l *lexer) regular(at int) int {
	for i := at + 1; i < len(l.text); i++ {
		switch l.text[i] {
		case '\\':
			i++
		case '/':
			return l.add(regular, at, i+1)
		}
	}
	l.refuse(at, at+1, CodeUnclosed, "a slash begins a regular expression, which is never closed",
		`write \/ for a slash that belongs to a value, or put the value in quotes`)
	return len(l.text)
}

// boost reads the number after ^.
func (l *lexer) boost(at int) int {
	for blank(l.text, at) > 0 {
		at += blank(l.text, at)
	}
	digits := func(i int) int {
		for i < len(l.text) && '0' <= l.text[i] && l.text[i] <= '9' {
			i++
		}
		return i
	}
	end := digits(at)
	if end == at {
		l.refuse(at, at+1, CodeUnexpected, "a number must follow ^", `write \^ for the sign itself`)
		return len(l.text)
	}
	if end < len(l.text) && l.text[end] == '.' {
		if fraction := digits(end + 1); fraction > end+1 {
			end = fraction
		}
	}
	return l.add(number, at, end)
}

// bounds reads what stands between brackets.
func (l *lexer) bounds(at int) int {
	s, opening := l.text, at-1
	for at < len(s) {
		if n := blank(s, at); n > 0 {
			at += n
			continue
		}
		if s[at] == ']' || s[at] == '}' {
			return l.add(endOfBounds, at, at+1)
		}
		end := at
		for end < len(s) && s[end] != ']' && s[end] != '}' && blank(s, end) == 0 {
			end++
		}
		if s[at] == '"' {
			for i := at + 1; i < len(s); i++ {
				if s[i] == '"' && s[i-1] != '\\' {
					end = max(end, i+1)
					break
				}
			}
		}
		k := bound
		if s[at:end] == "TO" {
			k = to
		}
		if len(l.tokens) >= maxTokens {
			break
		}
		at = l.add(k, at, end)
	}
	l.refuse(opening, opening+1, CodeUnclosed, fmt.Sprintf("the range that %q begins is never closed", s[opening:opening+1]),
		fmt.Sprintf(`write [1 TO 5]; \%s for the character`, s[opening:opening+1]))
	return len(s)
}

// resolve returns what a text with escapes stands for: \uXXXX is a character, and any other one behind a backslash itself.
func (l *lexer) resolve(start, end int) string {
	s := l.text[start:end]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			i++
			continue
		}
		r, n := l.escape(start, s, i)
		b.WriteRune(r)
		i += n
	}
	return b.String()
}

// escape is the character that the backslash at i of s, which begins at offset start, makes, and its length.
func (l *lexer) escape(start int, s string, i int) (rune, int) {
	if i+1 >= len(s) {
		l.refuse(start+i, start+i+1, CodeEscape, "a backslash stands before nothing", `write \\ for a backslash`)
		return utf8.RuneError, 1
	}
	if s[i+1] != 'u' {
		r, n := utf8.DecodeRuneInString(s[i+1:])
		return r, 1 + n
	}
	high, ok := hex4(s, i+2)
	if !ok {
		l.refuse(start+i, start+i+2, CodeEscape, `\u needs four hexadecimal digits`, `write u for the letter, \\u for a backslash before it`)
		return utf8.RuneError, 2
	}
	if !utf16.IsSurrogate(high) {
		return high, 6
	}
	if strings.HasPrefix(s[i+6:], `\u`) {
		if low, ok := hex4(s, i+8); ok {
			if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
				return r, 12
			}
		}
	}
	return utf8.RuneError, 6
}

func hex4(s string, at int) (rune, bool) {
	if at+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[at:at+4], 16, 16)
	return rune(n), err == nil
}
