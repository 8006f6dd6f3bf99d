package kql

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// special are the signs that a bare text holds only behind a backslash.
const special = `\():<>"*{}`

// blank returns the length of the blank at offset at, 0 where there is none.
func blank(s string, at int) int {
	if at >= len(s) {
		return 0
	}
	switch s[at] {
	case ' ', '\t', '\r', '\n':
		return 1
	case 0xC2: // U+00A0
		if at+1 < len(s) && s[at+1] == 0xA0 {
			return 2
		}
	}
	return 0
}

// skipBlanks returns the offset after the blanks at offset at.
func skipBlanks(s string, at int) int {
	for {
		n := blank(s, at)
		if n == 0 {
			return at
		}
		at += n
	}
}

// wordAt reports whether the lower-case ASCII word stands at offset at, in any case.
func wordAt(s string, at int, word string) bool {
	return len(s)-at >= len(word) && strings.EqualFold(s[at:at+len(word)], word)
}

// joint returns the offset after the word "and" or "or" with blanks on both sides, false where it does not stand there.
func joint(s string, at int, word string) (int, bool) {
	from := skipBlanks(s, at)
	if from == at || !wordAt(s, from, word) {
		return at, false
	}
	after := skipBlanks(s, from+len(word))
	return after, after > from+len(word)
}

// negation returns the offset after the word "not" and its blanks, false where it does not stand there.
func negation(s string, at int) (int, bool) {
	if !wordAt(s, at, "not") || blank(s, at+3) == 0 {
		return at, false
	}
	return skipBlanks(s, at+3), true
}

// literal reads the quoted or bare text at offset at and returns the offset after it, blanks that follow a bare text
// included; false where none begins there or a quoted one does not end.
func literal(s string, at int) (Literal, int, bool) {
	if at < len(s) && s[at] == '"' {
		return quoted(s, at)
	}
	return bare(s, at)
}

func quoted(s string, at int) (Literal, int, bool) {
	var text strings.Builder
	for i := at + 1; i < len(s); {
		if s[i] == '"' {
			l := Literal{Parts: []string{text.String()}, Quoted: true, At: diag.Span{Start: at, End: i + 1}, query: s}
			return l, i + 1, true
		}
		if s[i] == '\\' {
			if r, n := escape(s, i); n > 0 {
				text.WriteRune(r)
				i += n
				continue
			}
			if i+1 < len(s) && (s[i+1] == '\\' || s[i+1] == '"') {
				i++
			}
		}
		text.WriteByte(s[i])
		i++
	}
	return Literal{}, at, false
}

func bare(s string, at int) (Literal, int, bool) {
	l := Literal{query: s}
	var text strings.Builder
	i, end := at, at // end: after the last character that is no blank
	for i < len(s) {
		if next := skipBlanks(s, i); next > i {
			if _, and := joint(s, i, "and"); and {
				break
			}
			if _, or := joint(s, i, "or"); or {
				break
			}
			text.WriteString(s[i:next])
			i = next
			continue
		}
		if _, not := negation(s, i); not {
			break
		}
		if s[i] == '*' {
			l.Parts = append(l.Parts, text.String())
			text.Reset()
			i++
			end = i
			continue
		}
		if s[i] == '\\' {
			t, n := bareEscape(s, i)
			if n == 0 {
				break
			}
			text.WriteString(t)
			i += n
			end = i
			continue
		}
		if strings.IndexByte(special, s[i]) >= 0 {
			break
		}
		text.WriteByte(s[i])
		i++
		end = i
	}
	if i == at {
		return Literal{}, at, false
	}
	l.Parts = append(l.Parts, text.String())
	l.Parts[0] = strings.TrimLeftFunc(l.Parts[0], trimmed)
	last := len(l.Parts) - 1
	l.Parts[last] = strings.TrimRightFunc(l.Parts[last], trimmed)
	l.At = diag.Span{Start: at, End: end}
	return l, i, true
}

// trimmed reports whether r is left out at the ends of a bare text: more kinds of blanks than separate words.
func trimmed(r rune) bool {
	switch {
	case r >= '\t' && r <= '\r', r == ' ', r == 0xA0, r == 0x1680, r >= 0x2000 && r <= 0x200A, r == 0x2028, r == 0x2029,
		r == 0x202F, r == 0x205F, r == 0x3000, r == 0xFEFF:
		return true
	}
	return false
}

// bareEscape resolves the escape at offset at of a bare text and returns its length, 0 where it is none.
func bareEscape(s string, at int) (string, int) {
	if r, n := escape(s, at); n > 0 {
		return string(r), n
	}
	if at+1 < len(s) && strings.IndexByte(special, s[at+1]) >= 0 {
		return s[at+1 : at+2], 2
	}
	for _, word := range []string{"or", "and", "not"} {
		if wordAt(s, at+1, word) {
			return s[at+1 : at+1+len(word)], 1 + len(word)
		}
	}
	return "", 0
}

// escape resolves \t, \r, \n and \uXXXX (a pair of surrogates is one character) at offset at and returns the length,
// 0 where none stands there.
func escape(s string, at int) (rune, int) {
	if at+1 >= len(s) {
		return 0, 0
	}
	switch s[at+1] {
	case 't':
		return '\t', 2
	case 'r':
		return '\r', 2
	case 'n':
		return '\n', 2
	case 'u':
		high, ok := hex4(s, at+2)
		if !ok {
			return 0, 0
		}
		if utf16.IsSurrogate(high) {
			if strings.HasPrefix(s[at+6:], `\u`) {
				if low, ok := hex4(s, at+8); ok {
					if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
						return r, 12
					}
				}
			}
			return utf8.RuneError, 6
		}
		return high, 6
	}
	return 0, 0
}

func hex4(s string, at int) (rune, bool) {
	if at+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[at:at+4], 16, 16)
	return rune(n), err == nil
}
