// Package regex reads the regular expressions of Lucene, which EQL and Lucene queries hold, as those of Go. It bounds what
// matching may take.
//
//	re, steps, err := regex.Compile([]string{`2[0-9]{3}`}, false)
//
// The syntax is . ? + * | {n,m} [abc] [^a-z] ( ) "as it is" @ (anything) # (nothing), \d \D \s \S \w \W, and a backslash
// before any other character for itself. ^ and $ are ordinary characters, and there is no lazy form: a+? is an optional
// a+. What the operators ~ & and <n-m> say cannot be said in linear time and is refused.
package regex

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds on a regular expression, in bytes and in steps of the compiled program. Matching takes at most steps times the
// value's length.
const (
	MaxLength = 20_000
	MaxSteps  = 10_000
	maxDepth  = 100
	maxRepeat = 1_000
)

// Error is what is wrong with a regular expression, and what to write instead.
type Error struct{ Message, Hint string }

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Compile reads patterns, of which a whole value has to match one, without regard to case where fold is true. It returns
// the number of their steps, MaxSteps at most.
func Compile(patterns []string, fold bool) (*regexp.Regexp, int, *Error) {
	parts := make([]string, len(patterns))
	for i, p := range patterns {
		if len(p) > MaxLength {
			return nil, 0, &Error{fmt.Sprintf("the regular expression has %d bytes, more than %d", len(p), MaxLength), ""}
		}
		r := reader{text: p}
		parts[i] = r.alternatives()
		if r.err == nil && r.at < len(p) {
			r.fail(fmt.Sprintf("%q closes nothing", p[r.at:r.at+1]), `write \) for the character`)
		}
		if r.err != nil {
			return nil, 0, r.err
		}
	}
	flags := "s"
	if fold {
		flags = "si"
	}
	text := "^(?" + flags + ":" + strings.Join(parts, "|") + ")$"
	tree, err := syntax.Parse(text, syntax.Perl)
	if err == nil {
		var prog *syntax.Prog
		if prog, err = syntax.Compile(tree.Simplify()); err == nil && len(prog.Inst) > MaxSteps {
			return nil, 0, tooLarge()
		} else if err == nil {
			if re, compileErr := regexp.Compile(text); compileErr == nil {
				return re, len(prog.Inst), nil
			}
		}
	}
	return nil, 0, tooLarge()
}

func tooLarge() *Error {
	return &Error{fmt.Sprintf("the regular expression comes to more than %d steps", MaxSteps),
		"repeat fewer times, or fewer characters"}
}

// reader translates an expression from left to right.
type reader struct {
	text  string
	at    int
	depth int
	err   *Error
}

func (r *reader) fail(message, hint string) string {
	if r.err == nil {
		r.err = &Error{fmt.Sprintf("%s (position %d of the regular expression)", message, r.at+1), hint}
	}
	r.at = len(r.text)
	return ""
}

func (r *reader) alternatives() string {
	out := r.sequence()
	for r.take('|') {
		out += "|" + r.sequence()
	}
	return out
}

func (r *reader) take(c byte) bool {
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *reader) sequence() string {
	var b strings.Builder
	for r.at < len(r.text) && r.text[r.at] != '|' && r.text[r.at] != ')' {
		b.WriteString(r.repeated())
	}
	return b.String()
}

// repeated reads one part with what repeats it. Each repetition is put in a group, so that none becomes a lazy one.
func (r *reader) repeated() string {
	out := r.single()
	for n := 0; r.at < len(r.text) && r.err == nil; n++ {
		times := ""
		switch r.text[r.at] {
		case '?', '*', '+':
			times = r.text[r.at : r.at+1]
			r.at++
		case '{':
			times = r.times()
		default:
			return out
		}
		if n == maxDepth {
			return r.fail("too many repetitions of one part", "")
		}
		out = "(?:" + out + ")" + times
	}
	return out
}

// times reads {n}, {n,} or {n,m}.
func (r *reader) times() string {
	const hint = `write a{2}, a{2,} or a{2,5}; \{ for the character`
	end := strings.IndexByte(r.text[r.at:], '}')
	if end < 0 {
		return r.fail(`"{" is never closed`, hint)
	}
	inner := r.text[r.at+1 : r.at+end]
	least, most, ranged := strings.Cut(inner, ",")
	n, err := strconv.Atoi(least)
	if err != nil || n < 0 || strings.ContainsAny(inner, "+- ") {
		return r.fail(fmt.Sprintf("{%.40s} is no number of repetitions", inner), hint)
	}
	m := n
	if ranged && most != "" {
		if m, err = strconv.Atoi(most); err != nil || m < n {
			return r.fail(fmt.Sprintf("{%.40s} is no number of repetitions", inner), hint)
		}
	}
	if m > maxRepeat {
		return r.fail(fmt.Sprintf("more than %d repetitions", maxRepeat), "")
	}
	r.at += end + 1
	if ranged && most == "" {
		return fmt.Sprintf("{%d,}", n)
	}
	return fmt.Sprintf("{%d,%d}", n, m)
}

func (r *reader) single() string {
	switch c := r.text[r.at]; c {
	case '(':
		return r.group()
	case '[':
		return r.class()
	case '"':
		end := strings.IndexByte(r.text[r.at+1:], '"')
		if end < 0 {
			return r.fail("a quote is never closed", `write \" for the character`)
		}
		out := regexp.QuoteMeta(r.text[r.at+1 : r.at+1+end])
		r.at += end + 2
		return "(?:" + out + ")"
	case '.':
		r.at++
		return "."
	case '@':
		r.at++
		return "(?:.*)"
	case '#':
		r.at++
		return `[^\x00-\x{10FFFF}]`
	case '~', '&', '<':
		return r.fail(fmt.Sprintf("the operator %q is not supported", string(c)), fmt.Sprintf(`write \%c for the character`, c))
	case '?', '*', '+', '{':
		return r.fail(fmt.Sprintf("nothing stands before %q", string(c)), fmt.Sprintf(`write \%c for the character`, c))
	case '\\':
		set, char, isSet := r.escaped()
		if isSet {
			return "[" + set + "]"
		}
		return quoteRune(char)
	}
	char, n := utf8.DecodeRuneInString(r.text[r.at:])
	r.at += n
	return quoteRune(char)
}

func quoteRune(r rune) string { return regexp.QuoteMeta(string(r)) }

func (r *reader) group() string {
	if r.depth++; r.depth > maxDepth {
		return r.fail("too many parentheses inside each other", "")
	}
	r.at++
	inner := r.alternatives()
	if r.err == nil && !r.take(')') {
		return r.fail("a parenthesis is never closed", `write \( for the character`)
	}
	r.depth--
	return "(?:" + inner + ")"
}

// sets are the classes that a letter after a backslash stands for.
var sets = map[byte]string{'d': `0-9`, 'D': `\x00-/:-\x{10FFFF}`, 's': ` \t\n\r`,
	'S': `\x00-\x08\x0b\x0c\x0e-\x1f!-\x{10FFFF}`, 'w': `0-9A-Za-z_`,
	'W': "\\x00-/:-@\\[-\\^`{-\\x{10FFFF}"}

// escaped reads a backslash and what follows: a class, or a character that stands for itself.
func (r *reader) escaped() (set string, char rune, isSet bool) {
	r.at++
	if r.at == len(r.text) {
		r.fail("a backslash ends the expression", `write \\ for the character`)
		return "", 0, false
	}
	if set, isSet = sets[r.text[r.at]]; isSet {
		r.at++
		return set, 0, true
	}
	char, n := utf8.DecodeRuneInString(r.text[r.at:])
	r.at += n
	return "", char, false
}

// class reads [abc], [^a-z].
func (r *reader) class() string {
	r.at++
	var b strings.Builder
	b.WriteByte('[')
	if r.take('^') {
		b.WriteByte('^')
	}
	for first := true; ; first = false {
		if r.at >= len(r.text) {
			return r.fail("a bracket is never closed", `write \[ for the character`)
		}
		if r.text[r.at] == ']' {
			if first {
				return r.fail("a class without characters", `write \[ and \] for the characters`)
			}
			r.at++
			b.WriteByte(']')
			return b.String()
		}
		set, from, isSet := r.member()
		if isSet {
			b.WriteString(set)
			continue
		}
		to := from
		if r.at+1 < len(r.text) && r.text[r.at] == '-' && r.text[r.at+1] != ']' {
			r.at++
			if _, to, isSet = r.member(); isSet || to < from {
				return r.fail("a range that ends before it begins", `write \- for the character`)
			}
		}
		if r.err != nil {
			return ""
		}
		fmt.Fprintf(&b, `\x{%x}-\x{%x}`, from, to)
	}
}

func (r *reader) member() (set string, char rune, isSet bool) {
	if r.text[r.at] == '\\' {
		return r.escaped()
	}
	char, n := utf8.DecodeRuneInString(r.text[r.at:])
	r.at += n
	return "", char, false
}

// Plain returns the text that alone matches an expression without operators, false where there are any.
func Plain(pattern string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case strings.IndexByte(`.?+*|{}[]()"@#~&<`, c) >= 0:
			return "", false
		case c == '\\':
			if i++; i == len(pattern) || sets[pattern[i]] != "" {
				return "", false
			}
			c = pattern[i]
		}
		b.WriteByte(c)
	}
	return b.String(), true
}
