package lucene

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// Limits of a query; beyond them Parse reports an error.
const (
	MaxLength = 1 << 20 // bytes
	MaxDepth  = 200     // parentheses inside each other
	maxTokens = 200_000 // words and signs
)

// The codes of what Parse refuses.
const (
	CodeTooLong     = "LUC0101" // more than MaxLength
	CodeNotText     = "LUC0102" // no UTF-8
	CodeTooDeep     = "LUC0103" // more than MaxDepth
	CodeTooMany     = "LUC0104" // too many words and signs, or more than MaxConditions
	CodeUnclosed    = "LUC0105" // a quote, parenthesis, range or regular expression that is never closed
	CodeEscape      = "LUC0106" // a backslash before what it cannot make
	CodeUnexpected  = "LUC0107" // a sign where none can stand
	CodeMissing     = "LUC0108" // nothing where a value or a clause must stand
	CodeBound       = "LUC0109" // a range without a bound, or with more than one where one stands
	CodeUnsupported = "LUC0110" // fuzzy words and loose phrases
)

// Parse reads a query; one of blanks alone is All. The error is a diag.Diagnostic. It takes time in proportion to the
// query's length.
func Parse(query string) (Node, error) {
	p := parser{lexer: lexer{text: query}}
	n := p.all()
	if p.err != nil {
		return nil, *p.err
	}
	return n, nil
}

// parser reads the tokens from left to right, looking two ahead.
type parser struct {
	lexer
	at    int
	depth int
}

func (p *parser) all() Node {
	if len(p.text) > MaxLength {
		p.refuse(MaxLength, MaxLength, CodeTooLong, fmt.Sprintf("the query has %d bytes, more than %d", len(p.text), MaxLength),
			"keep long lists of values in a value list, outside the query")
		p.err.Text = ""
		return nil
	}
	if !utf8.ValidString(p.text) {
		at := 0
		for r, n := utf8.DecodeRuneInString(p.text); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRuneInString(p.text[at:]) {
			at += n
		}
		p.refuse(at, at+1, CodeNotText, "the query is not UTF-8 text", "")
		return nil
	}
	if p.run(); p.err != nil {
		return nil
	}
	if len(p.tokens) == 0 {
		return &All{}
	}
	n := p.query(nil)
	if p.err == nil && p.at < len(p.tokens) {
		p.unexpected()
	}
	return n
}

// peek is the n-th token from here.
func (p *parser) peek(n int) token {
	if p.at+n < len(p.tokens) {
		return p.tokens[p.at+n]
	}
	return token{atEnd, len(p.text), len(p.text)}
}

// take eats the next token if it is of the kind.
func (p *parser) take(k kind) bool {
	if p.err == nil && p.peek(0).kind == k {
		p.at++
		return true
	}
	return false
}

// value is the literal that a token is.
func (p *parser) value(t token) Literal {
	l := Literal{At: diag.Span{Start: t.start, End: t.end}, query: p.text}
	switch {
	case t.kind == quoted || t.kind == bound && t.end-t.start > 1 && p.text[t.start] == '"' && p.text[t.end-1] == '"':
		l.Text, l.Quoted = p.resolve(t.start+1, t.end-1), true
	case t.kind == regular:
		l.Text = p.text[t.start+1 : t.end-1]
	case t.kind == bare:
		l.Text = p.text[t.start:t.end]
	default:
		l.Text = p.resolve(t.start, t.end)
	}
	return l
}

// joins reports whether the n-th token from here is a word that belongs to the value of the words before it.
func (p *parser) joins(n int) bool {
	if p.peek(n).kind != word {
		return false
	}
	switch p.peek(n + 1).kind {
	case colon, star, tilde, caret, and, or:
		return false
	}
	return true
}

// query reads clauses; those without a field of their own are about field.
func (p *parser) query(field *Literal) Node {
	b := &Bool{}
	start := p.peek(0).start
	for p.err == nil {
		joined := p.peek(0)
		switch joined.kind {
		case and, or:
			if len(b.Clauses) == 0 {
				p.refuse(joined.start, joined.end, CodeMissing, fmt.Sprintf("nothing stands before %s", p.text[joined.start:joined.end]),
					`write a clause there; in quotes it is the word itself`)
				return nil
			}
			p.at++
		case closing, atEnd:
			if len(b.Clauses) == 0 {
				p.missing("a clause")
				return nil
			}
			b.At = diag.Span{Start: start, End: p.tokens[p.at-1].end}
			return b.simple()
		}
		c := Clause{afterOr: joined.kind == or}
		switch {
		case p.take(plus):
			c.Occur = Must
		case p.take(minus), p.take(not):
			c.Occur = MustNot
		case joined.kind == and:
			c.Occur = Must
		}
		if before := len(b.Clauses) - 1; joined.kind == and && b.Clauses[before].Occur != MustNot {
			b.Clauses[before].Occur = Must
		}
		if c.Occur == Should && p.peek(0).kind == word && p.joins(1) && joined.kind != or {
			c.Node = p.words(field)
		} else {
			c.Node = p.clause(field)
		}
		b.Clauses = append(b.Clauses, c)
	}
	return nil
}

// simple is b without what it does not need.
func (b *Bool) simple() Node {
	if len(b.Clauses) == 1 && b.Clauses[0].Occur != MustNot {
		return b.Clauses[0].Node
	}
	return b
}

// words reads words side by side: one value.
func (p *parser) words(field *Literal) Node {
	v := p.value(p.peek(0))
	p.at++
	for p.joins(0) {
		next := p.value(p.peek(0))
		v.Text, v.At = v.Text+" "+next.Text, v.At.Join(next.At)
		p.at++
	}
	return p.term(field, v)
}

// clause reads a value or a query in parentheses, with the name of a field before it or without.
func (p *parser) clause(field *Literal) Node {
	if first := p.peek(0); p.peek(1).kind == colon && (first.kind == word || first.kind == star) {
		name := p.value(first)
		if name.Text == "" {
			p.refuse(first.start, first.end, CodeMissing, "the name of a field is empty", "")
		}
		field = &name
		p.at += 2
	}
	t := p.peek(0)
	if !p.take(open) {
		n := p.single(field)
		p.boosted()
		return n
	}
	if p.depth++; p.depth > MaxDepth {
		p.refuse(t.start, t.end, CodeTooDeep, fmt.Sprintf("more than %d parentheses inside each other", MaxDepth), "")
		return nil
	}
	n := p.query(field)
	if p.err == nil && !p.take(closing) {
		pos := diag.PosAt(p.text, t.start)
		p.refuse(len(p.text), len(p.text), CodeUnclosed, fmt.Sprintf("the \"(\" of line %d, column %d is never closed", pos.Line, pos.Column), `add ")"`)
	}
	p.depth--
	p.boosted()
	return n
}

// boosted passes over what only orders hits, and refuses what loosens them.
func (p *parser) boosted() {
	if p.take(caret) {
		p.take(number)
	}
	if t := p.peek(0); p.err == nil && t.kind == tilde {
		hint := "write the words out, or a pattern with * and ?"
		if p.tokens[p.at-1].kind == quoted {
			hint = "words near each other cannot be asked: ask for each word, joined by AND"
		}
		p.refuse(t.start, t.end, CodeUnsupported, "~ is not supported: fuzzy words and loose phrases are not searched", hint)
	}
}

// single reads a value.
func (p *parser) single(field *Literal) Node {
	if p.err != nil {
		return nil
	}
	t := p.peek(0)
	at := diag.Span{Start: t.start, End: t.end}
	p.at++
	switch t.kind {
	case word, quoted, bare:
		return p.term(field, p.value(t))
	case star, pattern:
		n := &Pattern{Field: field, Parts: p.parts(t), At: at, query: p.text}
		switch {
		case field != nil && field.Text == existence && t.kind == star:
			p.refuse(t.start, t.end, CodeMissing, existence+": needs the name of a field", "write "+existence+":user.name")
		case field != nil && field.Text == existence:
			p.refuse(t.start, t.end, CodeUnexpected, "a wildcard in the name of a field", `write it behind a backslash: `+existence+`:user.\*`)
		case n.exists() && field.any():
			return &All{At: n.Span()}
		case n.exists():
			return &Exists{Field: *field, At: n.Span()}
		}
		return n
	case regular:
		return &Regexp{Field: field, Value: p.value(t)}
	case bounds:
		return p.bounded(field, t)
	}
	p.at--
	p.unexpected()
	return nil
}

// existence is the field that asks for others.
const existence = "_exists_"

// term is what a value asks: in the field _exists_ whether there is one, behind < or > a range.
func (p *parser) term(field *Literal, v Literal) Node {
	if field == nil {
		return &Term{Value: v}
	}
	if field.Text == existence {
		if v.Text == "" || v.Text == existence {
			p.refuse(v.At.Start, v.At.End, CodeMissing, existence+": needs the name of a field", "write "+existence+":user.name")
		}
		v.Quoted = false
		return &Exists{Field: v, At: from(field, v.At)}
	}
	if v.Quoted || v.Text == "" || v.Text[0] != '<' && v.Text[0] != '>' {
		return &Term{Field: field, Value: v}
	}
	limit := v
	sign := v.Text[:1]
	limit.Text = v.Text[1:]
	if rest, equal := strings.CutPrefix(limit.Text, "="); equal {
		sign, limit.Text = sign+"=", rest
	}
	if limit.Text == "" || strings.Contains(limit.Text, " ") {
		message, hint := fmt.Sprintf("nothing stands after %q", sign), fmt.Sprintf("write the value next to it: %s:%s5", field.Text, sign)
		if limit.Text != "" {
			message = fmt.Sprintf("%q is one value here, with its blanks", limit.Text)
			hint = fmt.Sprintf("write AND between comparisons: %s:(>=1 AND <5)", field.Text)
		}
		p.refuse(v.At.Start, v.At.End, CodeBound, message, hint)
		return nil
	}
	r := &Range{Field: field, At: v.At, query: p.text}
	if sign[0] == '>' {
		r.Min, r.MinInclusive = &limit, sign == ">="
	} else {
		r.Max, r.MaxInclusive = &limit, sign == "<="
	}
	return r
}

// parts cuts a word with wildcards.
func (p *parser) parts(t token) []Part {
	var out []Part
	begin := t.start
	for i := t.start; i <= t.end; i++ {
		if i < t.end && p.text[i] == '\\' {
			i++
			continue
		}
		if i < t.end && p.text[i] != '*' && p.text[i] != '?' {
			continue
		}
		if text := p.resolve(begin, min(i, t.end)); text != "" {
			out = append(out, Part{Text: text})
		}
		begin = i + 1
		if i >= t.end {
			break
		}
		run := p.text[i] == '*'
		if last := len(out) - 1; run && last >= 0 && out[last] == (Part{}) {
			continue // ** is *
		}
		out = append(out, Part{One: !run})
	}
	return out
}

// bounded reads what stands behind [ or {.
func (p *parser) bounded(field *Literal, opening token) Node {
	r := &Range{Field: field, MinInclusive: p.text[opening.start] == '[', query: p.text}
	limit := func() *Literal {
		t := p.peek(0)
		if t.kind != bound && t.kind != to {
			p.refuse(t.start, t.end, CodeBound, "a bound is missing", "write [1 TO 5]; a star is an open end: [1 TO *]")
			return nil
		}
		p.at++
		v := p.value(t)
		if !v.Quoted && p.text[t.start:t.end] == "*" {
			return nil
		}
		v.Quoted = false
		return &v
	}
	r.Min = limit()
	if t := p.peek(0); p.err == nil && !p.take(to) {
		p.refuse(t.start, t.end, CodeBound, "TO must stand between the bounds of a range", "write [1 TO 5], in capitals; quotes round a bound with blanks")
	}
	r.Max = limit()
	end := p.peek(0)
	if p.err == nil && !p.take(endOfBounds) {
		p.refuse(end.start, end.end, CodeBound, "a range has two bounds", "write [1 TO 5]; quotes round a bound with blanks")
	}
	r.MinInclusive = r.MinInclusive && r.Min != nil
	r.MaxInclusive = p.text[min(end.start, len(p.text)-1)] == ']' && r.Max != nil
	r.At = diag.Span{Start: opening.start, End: end.end}
	if p.err == nil && field != nil && field.Text == existence {
		p.refuse(opening.start, end.end, CodeUnexpected, "a range is no name of a field", "write "+existence+":user.name")
	}
	return r
}

// missing refuses the end of the text, or of parentheses.
func (p *parser) missing(what string) {
	t := p.peek(0)
	p.refuse(t.start, t.end, CodeMissing, what+" is missing here", "")
}

// unexpected refuses the next token.
func (p *parser) unexpected() {
	t := p.peek(0)
	text := p.text[t.start:t.end]
	message, hint := fmt.Sprintf("%s cannot stand here", text), fmt.Sprintf(`write \%s if it belongs to a value, or put the value in quotes`, text)
	switch t.kind {
	case atEnd, closing:
		if t.kind == closing && p.depth == 0 {
			message, hint = `this ")" closes nothing`, `take it away, or write \) if it belongs to a value`
			break
		}
		p.missing("a value")
		return
	case and, or:
		hint = "write a clause between the two; in quotes it is the word itself"
	case not:
		hint = "once is enough; a ! with a blank after it, and one in quotes, is the word itself"
	case colon:
		hint = `put a value that holds a colon in quotes, or write \: for it`
		if before := p.tokens[max(p.at-1, 0)].kind; before == pattern {
			hint = `the name of a field holds a star behind a backslash: user.\*:x`
		}
	case minus, plus:
		hint = fmt.Sprintf(`write \%s5 or "%s5" for a number with a sign`, text, text)
	case tilde:
		message = "~ is not supported: fuzzy words and loose phrases are not searched"
	}
	p.refuse(t.start, t.end, CodeUnexpected, message, hint)
}
