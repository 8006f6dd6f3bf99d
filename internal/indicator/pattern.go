package indicator

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// Bounds of a pattern.
const (
	maxPattern      = 256 << 10 // bytes
	maxPatternDepth = 100
	maxAlternatives = 1000 // indicators that it becomes
	maxAsked        = 200  // values of each
)

// The grammar of STIX patterns (STIX 2.1 §9), as far as its meaning is kept:
//
//	pattern     = observed { ("FOLLOWEDBY" | "OR" | "AND") observed }        AND binds strongest, FOLLOWEDBY least
//	observed    = ( "[" condition "]" | "(" pattern ")" ) { qualifier }
//	qualifier   = "WITHIN" number "SECONDS" | "REPEATS" number "TIMES" | "START" t'…' "STOP" t'…'
//	condition   = all { "OR" all }
//	all         = test { "AND" test }
//	test        = "(" condition ")" | [ "NOT" ] "EXISTS" path | path [ "NOT" ] operator constant
//	operator    = "=" | "!=" | "<" … | "IN" | "LIKE" | "MATCHES" | "ISSUBSET" | "ISSUPERSET"
//	path        = type ":" step { "." step | "[" ( number | "*" ) "]" }
//	constant    = "(" constant { "," constant } ")" for IN | 'text' | number | true | false | t'…' | h'…' | b'…'
//
// node is one of allOf, anyOf, test, and cannot, which stands for what has no meaning in a single event.
type node interface{ span() diag.Span }

type allOf struct{ nodes []node }
type anyOf struct{ nodes []node }

// test compares the values at a path.
type test struct {
	object string   // ipv4-addr
	path   []string // value
	op     string   // in capital letters
	not    bool
	values []constant
	at     diag.Span
}

type cannot struct {
	why string
	at  diag.Span
}

// constant is a value; kind is 's' for a text, 'n' for a number, else the letter of its form or 'w' for a word.
type constant struct {
	kind byte
	text string
	at   diag.Span
}

func (n allOf) span() diag.Span  { return n.nodes[0].span().Join(n.nodes[len(n.nodes)-1].span()) }
func (n anyOf) span() diag.Span  { return n.nodes[0].span().Join(n.nodes[len(n.nodes)-1].span()) }
func (n test) span() diag.Span   { return n.at }
func (n cannot) span() diag.Span { return n.at }

// parsePattern reads a pattern. The error is a diag.Diagnostic with its place in it.
func parsePattern(text string) (n node, err error) {
	if len(text) > maxPattern {
		return nil, diag.Diagnostic{Code: CodePattern, Message: fmt.Sprintf("the pattern is longer than %d KiB", maxPattern>>10)}
	}
	p := &patternParser{text: text}
	defer func() {
		if failed := recover(); failed != nil {
			d, ours := failed.(diag.Diagnostic)
			if !ours {
				panic(failed)
			}
			n, err = nil, d
		}
	}()
	p.advance()
	n = p.pattern(0, 0)
	if p.tok.kind != 0 {
		p.fail("the end of the pattern, or AND, OR, FOLLOWEDBY")
	}
	return n, nil
}

// token is a piece of a pattern: kind is 0 at the end, 'w' a word, 's' a text, 'n' a number, t, h, b such a constant, else
// the sign itself (with '≠' for !=, '≤', '≥').
type token struct {
	kind rune
	text string
	at   diag.Span
}

type patternParser struct {
	text string
	pos  int
	tok  token
}

// fail ends the parsing.
func (p *patternParser) fail(expected string) {
	found := "the end of the pattern"
	if p.tok.kind != 0 {
		found = quoted(p.text[p.tok.at.Start:p.tok.at.End])
	}
	panic(diag.Diagnostic{Code: CodePattern, Text: p.text, Span: p.tok.at, Message: fmt.Sprintf("%s is expected, not %s", expected, found)})
}

func (p *patternParser) wrong(from, to int, format string, args ...any) {
	panic(diag.Diagnostic{Code: CodePattern, Text: p.text, Span: diag.Span{Start: from, End: to}, Message: fmt.Sprintf(format, args...)})
}

// advance reads the next token.
func (p *patternParser) advance() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
	begin := p.pos
	set := func(kind rune, text string) {
		p.tok = token{kind, text, diag.Span{Start: begin, End: p.pos}}
	}
	if p.pos == len(p.text) {
		set(0, "")
		return
	}
	c := p.text[p.pos]
	rest := p.text[p.pos:]
	switch {
	case c == '\'':
		set('s', p.quoted())
	case (c == 't' || c == 'h' || c == 'b') && len(rest) > 1 && rest[1] == '\'':
		p.pos++
		set(rune(c), p.quoted())
	case isLetter(c):
		for p.pos < len(p.text) && (isLetter(p.text[p.pos]) || isDigit(p.text[p.pos]) || p.text[p.pos] == '-') {
			p.pos++
		}
		set('w', p.text[begin:p.pos])
	case isDigit(c), (c == '-' || c == '+') && len(rest) > 1 && isDigit(rest[1]):
		p.pos++
		for p.pos < len(p.text) && (isDigit(p.text[p.pos]) || p.text[p.pos] == '.') {
			p.pos++
		}
		set('n', p.text[begin:p.pos])
	case strings.HasPrefix(rest, "!="), strings.HasPrefix(rest, "<>"):
		p.pos += 2
		set('≠', "!=")
	case strings.HasPrefix(rest, "=="):
		p.pos += 2
		set('=', "=")
	case strings.HasPrefix(rest, "<="):
		p.pos += 2
		set('≤', "<=")
	case strings.HasPrefix(rest, ">="):
		p.pos += 2
		set('≥', ">=")
	case strings.IndexByte("[]()=<>:.,*", c) >= 0:
		p.pos++
		set(rune(c), string(c))
	default:
		_, size := utf8.DecodeRuneInString(rest)
		p.wrong(begin, begin+size, "%s has no meaning here", quoted(rest[:size]))
	}
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// quoted reads a text in single quotes: a backslash stands before a quote or a backslash.
func (p *patternParser) quoted() string {
	begin := p.pos
	var b strings.Builder
	for p.pos++; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; {
		case c == '\'':
			p.pos++
			return b.String()
		case c == '\\' && p.pos+1 < len(p.text) && (p.text[p.pos+1] == '\'' || p.text[p.pos+1] == '\\'):
			p.pos++
			b.WriteByte(p.text[p.pos])
		default:
			b.WriteByte(c)
		}
	}
	p.wrong(begin, len(p.text), "the text is not closed: a ' is missing")
	return ""
}

// word reports whether the present token is the word, in any case.
func (p *patternParser) word(w string) bool {
	return p.tok.kind == 'w' && strings.EqualFold(p.tok.text, w)
}

func (p *patternParser) expect(kind rune, what string) token {
	t := p.tok
	if t.kind != kind {
		p.fail(what)
	}
	p.advance()
	return t
}

func (p *patternParser) deep(depth int) {
	if depth > maxPatternDepth {
		p.wrong(p.tok.at.Start, p.tok.at.End, "the pattern is nested deeper than %d", maxPatternDepth)
	}
}

// The operators between observations, weakest first.
var between = []string{"FOLLOWEDBY", "OR", "AND"}

// pattern reads observations joined by the operators from level on.
func (p *patternParser) pattern(level, depth int) node {
	p.deep(depth)
	if level == len(between) {
		return p.observed(depth)
	}
	n := []node{p.pattern(level+1, depth)}
	var at diag.Span
	for p.word(between[level]) {
		at = p.tok.at
		p.advance()
		n = append(n, p.pattern(level+1, depth))
	}
	switch {
	case len(n) == 1:
		return n[0]
	case level == 0:
		return cannot{"one event after another (FOLLOWEDBY)", at}
	case level == 1:
		return anyOf{n}
	}
	return allOf{n}
}

// observed reads one observation with its qualifiers.
func (p *patternParser) observed(depth int) node {
	var n node
	switch p.tok.kind {
	case '[':
		p.advance()
		n = p.condition(depth + 1)
		p.expect(']', "] or AND, OR")
	case '(':
		p.advance()
		n = p.pattern(0, depth+1)
		p.expect(')', ") or AND, OR, FOLLOWEDBY")
	default:
		p.fail("[ or (")
	}
	for {
		at := p.tok.at
		switch {
		case p.word("WITHIN"), p.word("REPEATS"):
			name := strings.ToUpper(p.tok.text)
			p.advance()
			p.expect('n', "a number")
			if !p.word("SECONDS") && !p.word("TIMES") {
				p.fail("SECONDS or TIMES")
			}
			n = cannot{"several events (" + name + ")", at.Join(p.tok.at)}
			p.advance()
		case p.word("START"):
			p.advance()
			p.expect('t', "an instant, t'2026-03-01T12:00:00Z'")
			if !p.word("STOP") {
				p.fail("STOP")
			}
			p.advance()
			end := p.expect('t', "an instant, t'2026-03-01T12:00:00Z'")
			n = cannot{"when the events are (START … STOP)", at.Join(end.at)}
		default:
			return n
		}
	}
}

func (p *patternParser) condition(depth int) node {
	p.deep(depth)
	some := []node{p.all(depth)}
	for p.word("OR") {
		p.advance()
		some = append(some, p.all(depth))
	}
	if len(some) == 1 {
		return some[0]
	}
	return anyOf{some}
}

func (p *patternParser) all(depth int) node {
	some := []node{p.test(depth)}
	for p.word("AND") {
		p.advance()
		some = append(some, p.test(depth))
	}
	if len(some) == 1 {
		return some[0]
	}
	return allOf{some}
}

// test reads one comparison.
func (p *patternParser) test(depth int) node {
	begin := p.tok.at
	switch {
	case p.tok.kind == '(':
		p.advance()
		n := p.condition(depth + 1)
		p.expect(')', ") or AND, OR")
		return n
	case p.word("NOT"), p.word("EXISTS"):
		not := p.word("NOT")
		p.advance()
		if not {
			if !p.word("EXISTS") {
				p.fail("EXISTS")
			}
			p.advance()
		}
		t := p.object()
		t.op, t.not, t.at = "EXISTS", not, begin.Join(t.at)
		return t
	}
	t := p.object()
	if p.word("NOT") {
		t.not = true
		p.advance()
	}
	switch {
	case strings.ContainsRune("=≠<>≤≥", p.tok.kind) && p.tok.kind != 0:
		t.op = p.tok.text
	case p.word("IN"), p.word("LIKE"), p.word("MATCHES"), p.word("ISSUBSET"), p.word("ISSUPERSET"):
		t.op = strings.ToUpper(p.tok.text)
	default:
		p.fail("=, IN or another comparison")
	}
	p.advance()
	if t.op != "IN" {
		t.values = []constant{p.constant()}
	} else {
		p.expect('(', "( and the values")
		for t.values = append(t.values, p.constant()); p.tok.kind == ','; {
			p.advance()
			t.values = append(t.values, p.constant())
		}
		p.expect(')', ") or , and one more value")
	}
	t.at = begin.Join(diag.Span{Start: begin.Start, End: p.before()})
	return t
}

// before is where what was read ends.
func (p *patternParser) before() int {
	return len(strings.TrimRight(p.text[:p.tok.at.Start], " \t\r\n"))
}

// object reads a path.
func (p *patternParser) object() test {
	first := p.expect('w', "an object such as ipv4-addr:value")
	t := test{object: first.text, at: first.at}
	p.expect(':', ": and what of the object")
	step := func() {
		switch p.tok.kind {
		case 'w', 's':
			t.path = append(t.path, p.tok.text)
			t.at = t.at.Join(p.tok.at)
			p.advance()
		default:
			p.fail("the name of a property")
		}
	}
	step()
	for {
		switch p.tok.kind {
		case '.':
			p.advance()
			step()
		case '[':
			p.advance()
			if p.tok.kind != '*' && p.tok.kind != 'n' {
				p.fail("a number or *")
			}
			p.advance()
			p.expect(']', "]")
		default:
			return t
		}
	}
}

func (p *patternParser) constant() constant {
	t := p.tok
	switch {
	case strings.ContainsRune("snthb", t.kind) && t.kind != 0:
	case p.word("true"), p.word("false"):
	default:
		p.fail("a value in single quotes, or a number")
	}
	p.advance()
	return constant{byte(t.kind), t.text, t.at}
}
