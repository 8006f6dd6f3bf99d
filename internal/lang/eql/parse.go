package eql

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// Limits of a query; beyond them Parse reports an error.
const (
	MaxLength = 1 << 20 // bytes
	MaxDepth  = 250     // parentheses, calls and signs inside each other, values joined by + - * / %
	MaxTerms  = 65_536  // conditions joined by "and" and "or", and values of lists
	MaxStages = 100     // terms of a sequence, each counted as often as it runs
)

// Parse reads a query. The error is a diag.Diagnostic with the place of what cannot stand there. It takes time in
// proportion to the query's length.
func Parse(query string) (*Query, error) {
	var q *Query
	err := run(query, func(p *parser) { q = p.query() })
	return q, err
}

// ParseExpr reads a condition or value alone. The error is as Parse's.
func ParseExpr(condition string) (Expr, error) {
	var n Expr
	err := run(condition, func(p *parser) {
		n = p.or()
		p.end("and", "or")
	})
	return n, err
}

// stop is what the parser panics with at the first error, and run recovers.
type stop struct{ diag.Diagnostic }

func run(query string, read func(p *parser)) (err error) {
	p := &parser{text: query}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case stop:
			err = r.Diagnostic
		default:
			panic(r)
		}
	}()
	p.begin()
	read(p)
	return nil
}

// parser reads tokens from left to right, the present one and the one before it in hand.
type parser struct {
	text   string
	tok    token
	before token
	open   []token // brackets and parentheses that are open
	depth  int
	terms  int
}

func (p *parser) begin() {
	if len(p.text) > MaxLength {
		p.fail(CodeTooLong, diag.At(MaxLength), fmt.Sprintf("the query has %d bytes, more than %d", len(p.text), MaxLength),
			"keep long lists of values in a value list, outside the query")
	}
	if !utf8.ValidString(p.text) {
		at := 0
		for r, n := utf8.DecodeRuneInString(p.text); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRuneInString(p.text[at:]) {
			at += n
		}
		p.fail(CodeNotText, diag.Span{Start: at, End: at + 1}, "the query is not UTF-8 text", "")
	}
	p.tok = p.scan(0)
}

// fail ends parsing with an error.
func (p *parser) fail(code string, at diag.Span, message, hint string) {
	panic(stop{diag.Diagnostic{Code: code, Span: at, Message: message, Hint: hint, Text: p.text}})
}

func (p *parser) next() {
	p.before = p.tok
	p.tok = p.scan(p.tok.at.End)
}

// peek returns the token after the present one.
func (p *parser) peek() token { return p.scan(p.tok.at.End) }

// take eats the sign or word s if it comes next.
func (p *parser) take(s string) bool {
	if !p.tok.is(s) {
		return false
	}
	p.next()
	return true
}

// expect eats the sign or word s, which must come next.
func (p *parser) expect(s string) {
	if !p.take(s) {
		p.unexpected(s)
	}
}

// enter notes an opening sign, which it eats; leave eats the closing one.
func (p *parser) enter() {
	p.open = append(p.open, p.tok)
	p.deeper()
	p.next()
}

func (p *parser) leave(closing string, expected ...string) {
	if !p.take(closing) {
		p.unexpected(append(expected, closing)...)
	}
	p.open = p.open[:len(p.open)-1]
	p.depth--
}

func (p *parser) deeper() {
	if p.depth++; p.depth > MaxDepth {
		p.fail(CodeTooDeep, p.tok.at, fmt.Sprintf("more than %d parentheses, calls, signs or sums inside each other", MaxDepth), "")
	}
}

// count counts one more condition or value.
func (p *parser) count() {
	if p.terms++; p.terms > MaxTerms {
		p.fail(CodeTooMany, p.tok.at, fmt.Sprintf("the query holds more than %d conditions and values", MaxTerms),
			"keep long lists of values in a value list, outside the query")
	}
}

func (p *parser) end(expected ...string) {
	if p.tok.kind != endToken {
		p.unexpected(append(expected, "|", "end of the query")...)
	}
}

func (p *parser) query() *Query {
	q := &Query{Text: p.text}
	switch {
	case p.tok.is("sequence"):
		q.Body = p.sequence()
	case p.tok.is("sample"):
		q.Body = p.sample()
	case p.tok.is("join"):
		q.Body = p.join()
	default:
		q.Body = p.events()
	}
	if !p.tok.is("|") {
		p.end("and", "or")
	}
	for p.take("|") {
		q.Pipes = append(q.Pipes, p.pipe())
	}
	p.end()
	return q
}

func (p *parser) events() *Events {
	n := &Events{CategoryAt: p.tok.at}
	switch {
	case p.take("any"):
		n.Any = true
	case p.tok.kind == textToken,
		p.tok.kind == nameToken && !p.tok.tilde && !reserved[p.tok.text]:
		n.Category = p.tok.text
		p.next()
	default:
		p.unexpected("any", "category", "sequence", "sample")
	}
	if !p.take("where") {
		p.unexpected("where")
	}
	n.Where = p.or()
	n.At = diag.Span{Start: n.CategoryAt.Start, End: p.before.at.End}
	return n
}

func (p *parser) sequence() *Sequence {
	n := &Sequence{}
	start := p.tok.at.Start
	p.next()
	switch {
	case p.tok.is("by"):
		if n.By = p.by(); p.tok.is("with") {
			n.MaxSpan = p.maxSpan()
		}
	case p.tok.is("with"):
		if n.MaxSpan = p.maxSpan(); p.tok.is("by") {
			n.By = p.by()
		}
	}
	n.Terms = p.someTerms()
	if p.take("until") {
		n.Until = p.until()
	}
	n.At = diag.Span{Start: start, End: p.before.at.End}
	stages, positive := 0, 0
	for _, t := range n.Terms {
		if stages += max(t.Runs, 1); !t.Missing {
			positive++
		}
	}
	switch {
	case stages < 2:
		p.fail(CodeFewTerms, n.At, "a sequence needs at least two terms, or one that runs several times",
			"add a term, or write the condition without sequence [ ]")
	case stages > MaxStages:
		p.fail(CodeTooMany, n.At, fmt.Sprintf("the sequence has %d terms, each counted as often as it runs, more than %d", stages, MaxStages), "")
	case positive == 0:
		p.fail(CodeMissing, n.At, "a sequence of missing events alone", "add a term [ … ] for an event that is there")
	}
	for _, t := range n.Terms {
		if t.Missing && n.MaxSpan == nil {
			p.fail(CodeMissing, t.At, "a missing event needs a bound of time", "write sequence … with maxspan=5m")
		}
	}
	return n
}

func (p *parser) sample() *Sample {
	n := &Sample{}
	start := p.tok.at.Start
	p.next()
	n.By = p.optionalBy()
	if p.tok.is("with") {
		p.fail(CodeUnexpected, p.tok.at, "a sample has no maxspan: its events are in any order, at any distance", `take "with …" away`)
	}
	n.Terms = p.someTerms()
	n.At = diag.Span{Start: start, End: p.before.at.End}
	if p.tok.is("until") {
		p.fail(CodeUnexpected, p.tok.at, "a sample has no until: its events are in any order", "")
	}
	if len(n.Terms) < 2 {
		p.fail(CodeFewTerms, n.At, "a sample needs at least two terms", "add a term, or write the condition without sample [ ]")
	}
	for _, t := range n.Terms {
		switch {
		case t.Missing:
			p.fail(CodeMissing, t.At, "a sample has no missing events", "")
		case t.Runs > 0:
			p.fail(CodeRuns, t.RunsAt, "a term of a sample runs once", "")
		}
	}
	if p.tok.is("|") {
		p.fail(CodePipe, p.tok.at, "a sample has no pipes", "")
	}
	return n
}

func (p *parser) join() *Join {
	n := &Join{}
	start := p.tok.at.Start
	p.next()
	n.By = p.optionalBy()
	n.Terms = p.someTerms()
	if p.take("until") {
		n.Until = p.until()
	}
	n.At = diag.Span{Start: start, End: p.before.at.End}
	if len(n.Terms) < 2 {
		p.fail(CodeFewTerms, n.At, "a join needs at least two terms", "")
	}
	return n
}

func (p *parser) optionalBy() []*Field {
	if !p.tok.is("by") {
		return nil
	}
	return p.by()
}

// by reads the keys of a query or term.
func (p *parser) by() []*Field {
	p.next()
	var keys []*Field
	for {
		p.count()
		n := p.operand()
		f, ok := n.(*Field)
		if !ok {
			p.fail(CodeKeys, n.Span(), "a key can only be a field", "")
		}
		keys = append(keys, f)
		if !p.take(",") {
			return keys
		}
	}
}

func (p *parser) maxSpan() *Span {
	p.next()
	if !p.take("maxspan") {
		p.unexpected("maxspan")
	}
	if p.tok.is("==") {
		p.fail(CodeUnexpected, p.tok.at, `"==" compares two values; a setting has one "="`, "write maxspan=5m")
	}
	p.expect("=")
	const hint = "write a whole number and ms, s, m, h or d directly after it: maxspan=5m"
	if p.tok.kind != numberToken {
		p.fail(CodeSpan, p.tok.at, "a length of time is expected", hint)
	}
	t := p.tok
	amount, err := strconv.ParseInt(t.text, 10, 64)
	switch {
	case strings.ContainsAny(t.text, ".eE"):
		p.fail(CodeSpan, t.at, "a length of time is a whole number of units", hint)
	case err != nil || amount > 1<<31:
		p.fail(CodeSpan, t.at, "this length of time is too long", "")
	}
	p.next()
	switch {
	case p.tok.kind != nameToken || p.tok.tilde:
		p.fail(CodeSpan, t.at, "a length of time needs a unit", hint)
	case p.tok.at.Start != t.at.End:
		p.fail(CodeSpan, t.at.Join(p.tok.at), "the unit stands directly after the number", "write "+t.text+p.tok.text)
	}
	s := &Span{Amount: amount, Unit: p.tok.text, At: t.at.Join(p.tok.at)}
	unit, ok := units[s.Unit]
	switch {
	case !ok:
		p.fail(CodeSpan, p.tok.at, fmt.Sprintf("%q is no unit of time", p.tok.text), hint)
	case amount == 0:
		p.fail(CodeSpan, s.At, "a maxspan has to be longer than nothing", "")
	case amount > int64(1<<63-1)/int64(unit):
		p.fail(CodeSpan, s.At, "this length of time is too long", "")
	}
	p.next()
	return s
}

func (p *parser) someTerms() []*Term {
	var terms []*Term
	for p.tok.is("[") || p.tok.is("![") {
		p.count()
		terms = append(terms, p.term())
	}
	if len(terms) == 0 {
		p.unexpected("by", "with", "[")
	}
	return terms
}

func (p *parser) term() *Term {
	n := &Term{Missing: p.tok.is("![")}
	start := p.tok.at.Start
	p.enter()
	n.Events = p.events()
	p.leave("]", "and", "or")
	n.By = p.optionalBy()
	if p.tok.is("with") && p.peek().is("runs") {
		n.RunsAt = p.tok.at
		p.next()
		p.next()
		p.expect("=")
		const hint = "write with runs=3"
		runs, err := strconv.Atoi(p.tok.text)
		if p.tok.kind != numberToken || err != nil {
			p.fail(CodeRuns, p.tok.at, "a number of runs is a whole number", hint)
		}
		if runs < 1 || runs > MaxStages {
			p.fail(CodeRuns, p.tok.at, fmt.Sprintf("a term runs from 1 to %d times", MaxStages), hint)
		}
		n.Runs, n.RunsAt = runs, n.RunsAt.Join(p.tok.at)
		p.next()
	}
	n.At = diag.Span{Start: start, End: p.before.at.End}
	return n
}

// until reads the term after the word until.
func (p *parser) until() *Term {
	switch {
	case p.tok.is("!["):
		p.fail(CodeMissing, p.tok.at, "until ends a sequence with an event that is there", "write until [ … ]")
	case !p.tok.is("["):
		p.unexpected("[")
	}
	n := p.term()
	if n.Runs > 0 {
		p.fail(CodeRuns, n.RunsAt, "the term after until runs once", "")
	}
	return n
}

func (p *parser) pipe() Pipe {
	t := p.tok
	if t.kind != nameToken || t.tilde {
		p.unexpected("head", "tail")
	}
	n := Pipe{Tail: t.text == "tail"}
	if t.text != "head" && t.text != "tail" {
		hint := "the pipes are head and tail"
		if near, ok := diag.Nearest(t.text, []string{"head", "tail"}); ok {
			hint = fmt.Sprintf("did you mean %s?", near)
		}
		p.fail(CodePipe, t.at, fmt.Sprintf("there is no pipe %q", t.text), hint)
	}
	p.next()
	number, err := strconv.Atoi(p.tok.text)
	switch {
	case p.tok.kind == endToken:
		p.fail(CodeUnfinished, p.tok.at, fmt.Sprintf("the query ends where the number of %s is expected", t.text),
			fmt.Sprintf("write %s 10", t.text))
	case p.tok.kind != numberToken || err != nil:
		p.fail(CodePipe, p.tok.at, fmt.Sprintf("%s takes a whole number", t.text), fmt.Sprintf("write %s 10", t.text))
	}
	n.N, n.At = number, t.at.Join(p.tok.at)
	p.next()
	if p.tok.is(",") {
		p.fail(CodePipe, p.tok.at, fmt.Sprintf("%s takes one number", t.text), "")
	}
	return n
}
