package storetest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// parsePlan reads a plan in the notation of testdata: a node a line, in the order in which rows pass them. Without a
// scan at its beginning it reads all streams but alerts.
//
//	scan logs-* -logs-b
//	filter (and (in user.name:keyword "a" "b") (not (exists source.ip:ip)))
//	semijoin anti (member user.name:keyword "a" "b")
//	eval low (to_lower user.name:keyword) n 3
//	aggregate (each who user.name:keyword) (by day (day @timestamp:date)) (count n) (min first @timestamp:date)
//	sort n:long (desc who:keyword)
//	limit 3
//	project who n
//	sequence (span 5m) (stage (in event.action:keyword "a") (key user.name:keyword)) (missing true (optional user.name:keyword))
//	sample (per 2) (stage true (key user.name:keyword)) (stage (exists source.ip:ip) (key user.id:keyword))
//
// A field is written path:type, a flattened field itself with a star behind; where a value is expected it is read by One.
// Literals are as in JSON, instants date"…", addresses ip"…". Those that a field is compared with are read by its type.
func parsePlan(text string) (plan.Node, error) {
	var p plan.Node
	for _, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		n, err := parseNode(line, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		p = n
	}
	if p == nil {
		return plan.Scan{}, nil
	}
	return p, nil
}

// parseNode reads one node over in; nil: over a scan of everything.
func parseNode(line string, in plan.Node) (n plan.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			bad, ok := r.(badNotation)
			if !ok {
				panic(r)
			}
			n, err = nil, bad
		}
	}()
	r := &reader{tokens: tokenise(line)}
	head := r.take()
	if head == "scan" {
		if in != nil {
			r.fail("a scan is the first node")
		}
		s := plan.Scan{}
		for r.more() {
			s.Streams = append(s.Streams, r.name())
		}
		return s, nil
	}
	if in == nil {
		in = plan.Scan{}
	}
	switch head {
	case "filter":
		n = plan.Filter{In: in, Cond: r.cond()}
	case "semijoin":
		n = r.semiJoin(in)
	case "eval":
		e := plan.Eval{In: in}
		for r.more() {
			e.Cols = append(e.Cols, plan.Column{Name: r.name(), Value: r.value()})
		}
		n = e
	case "aggregate":
		n = r.aggregate(in)
	case "sort":
		s := plan.Sort{In: in}
		for r.more() {
			if len(r.tokens) > 1 && r.tokens[0] == "(" && r.tokens[1] == "desc" {
				r.tokens = r.tokens[2:]
				s.Keys = append(s.Keys, plan.SortKey{Value: r.value(), Desc: true})
				r.expect(")")
			} else {
				s.Keys = append(s.Keys, plan.SortKey{Value: r.value()})
			}
		}
		n = s
	case "limit":
		count, err := strconv.Atoi(r.take())
		if err != nil {
			r.fail("a limit is a number")
		}
		n = plan.Limit{In: in, N: count}
	case "project":
		p := plan.Project{In: in}
		for r.more() {
			p.Paths = append(p.Paths, r.name())
		}
		n = p
	case "sequence":
		n = r.sequence(in)
	case "sample":
		n = r.sample(in)
	default:
		r.fail("no node is called " + head)
	}
	if r.more() {
		r.fail("too much: " + strings.Join(r.tokens, " "))
	}
	return n, nil
}

// badNotation is how the reader gives up.
type badNotation string

// Error says what is wrong.
func (b badNotation) Error() string { return string(b) }

// reader takes tokens from the left.
type reader struct{ tokens []string }

func (r *reader) fail(why string) { panic(badNotation(why)) }
func (r *reader) more() bool      { return len(r.tokens) > 0 && r.tokens[0] != ")" }

func (r *reader) peek() string {
	if len(r.tokens) == 0 {
		r.fail("it ends too early")
	}
	return r.tokens[0]
}

func (r *reader) take() string {
	t := r.peek()
	r.tokens = r.tokens[1:]
	return t
}

func (r *reader) expect(token string) {
	if got := r.take(); got != token {
		r.fail("expected " + token + ", found " + got)
	}
}

// name takes a name, plain or quoted.
func (r *reader) name() string {
	t := r.take()
	if t == "(" || t == ")" {
		r.fail("expected a name, found " + t)
	}
	return r.unquote(t)
}

func (r *reader) unquote(t string) string {
	if !strings.HasPrefix(t, `"`) {
		return t
	}
	s, err := strconv.Unquote(t)
	if err != nil {
		r.fail("a bad quoted text: " + t)
	}
	return s
}

func (r *reader) aggregate(in plan.Node) plan.Node {
	a := plan.Aggregate{In: in}
	for r.more() {
		r.expect("(")
		switch head := r.take(); head {
		case "each":
			a.By = append(a.By, plan.Group{Name: r.name(), Each: r.field()})
		case "by":
			a.By = append(a.By, plan.Group{Name: r.name(), Value: r.value()})
		default:
			fn := -1
			for i, name := range aggNames {
				if name == head {
					fn = i
				}
			}
			if fn < 0 {
				r.fail("no aggregate is called " + head)
			}
			agg := plan.Agg{Name: r.name(), Fn: plan.AggFn(fn)}
			if r.more() {
				agg.Value = r.value()
			}
			a.Aggs = append(a.Aggs, agg)
		}
		r.expect(")")
	}
	return a
}

func (r *reader) cond() expr.Cond {
	switch t := r.take(); t {
	case "true", "false":
		return expr.Const{Value: t == "true"}
	case "(":
	default:
		r.fail("expected a condition, found " + t)
	}
	c := r.within(r.take())
	r.expect(")")
	return c
}

// within reads what stands behind the head of a condition.
func (r *reader) within(head string) expr.Cond {
	for op, name := range cmpNames {
		if name == head {
			return expr.Cmp{Op: expr.CmpOp(op), Left: r.value(), Right: r.value()}
		}
	}
	switch head {
	case "and", "or":
		var conds []expr.Cond
		for r.more() {
			conds = append(conds, r.cond())
		}
		if head == "and" {
			return expr.And{Conds: conds}
		}
		return expr.Or{Conds: conds}
	case "not":
		return expr.Not{Cond: r.cond()}
	case "in":
		c := expr.In{Field: r.field()}
		for r.more() {
			c.Values = append(c.Values, r.typed(c.Field.Type))
		}
		return c
	case "member":
		return r.member()
	case "range":
		c := expr.Range{Field: r.field()}
		for r.more() {
			op := r.take()
			b := expr.Bound{Value: r.typed(c.Field.Type), Inclusive: strings.HasSuffix(op, "=")}
			switch op {
			case ">", ">=":
				c.Min = b
			case "<", "<=":
				c.Max = b
			default:
				r.fail("expected a comparison, found " + op)
			}
		}
		return c
	case "like", "like-fold":
		return expr.Like{Field: r.field(), Pattern: parsePattern(r.unquote(r.take())), Fold: head == "like-fold"}
	case "words", "phrase":
		c := expr.Words{Field: r.field(), Phrase: head == "phrase"}
		for r.more() {
			c.Tokens = append(c.Tokens, r.unquote(r.take()))
		}
		return c
	case "exists":
		return expr.Exists{Field: r.field()}
	case "nested":
		return expr.Nested{Path: r.name(), Cond: r.cond()}
	case "anywhere":
		return r.anywhere()
	case "null":
		return expr.IsNull{Value: r.value()}
	case "holds":
		return expr.Holds{Cond: r.cond()}
	case "regexp":
		return expr.Regexp{Field: r.field(), Expr: r.regexp()}
	case "for-each":
		return expr.Each{Field: r.field(), Cond: r.cond()}
	case "fits", "fits-fold":
		c := expr.Fits{Value: r.value(), Fold: head == "fits-fold"}
		for r.more() {
			c.Patterns = append(c.Patterns, parsePattern(r.unquote(r.take())))
		}
		return c
	case "matching":
		return expr.Matching{Value: r.value(), Expr: r.regexp()}
	}
	r.fail("no condition is called " + head)
	return nil
}

func (r *reader) anywhere() expr.Cond {
	c := expr.Anywhere{}
	for {
		switch t := r.take(); t {
		case "analysed":
			c.Analyse = analysed
		case "phrase":
			c.Phrase = true
		case "like":
			p := parsePattern(r.unquote(r.take()))
			c.Pattern = &p
			return c
		default:
			c.Text = r.unquote(t)
			return c
		}
	}
}

func (r *reader) regexp() *regexp.Regexp {
	re, err := regexp.Compile(r.unquote(r.take()))
	if err != nil {
		r.fail(err.Error())
	}
	return re
}

func (r *reader) value() expr.Value {
	t := r.peek()
	if t == "this" {
		r.take()
		return expr.This{}
	}
	if t == "(" {
		r.take()
		c := expr.Call{Fn: r.take()}
		switch c.Fn {
		case "least":
			x := expr.Least{Field: r.field()}
			r.expect(")")
			return x
		case "test":
			x := expr.Test{Cond: r.cond()}
			r.expect(")")
			return x
		}
		fn, known := expr.Functions[c.Fn]
		for r.more() {
			c.Args = append(c.Args, r.value())
		}
		r.expect(")")
		if n := len(c.Args); !known || n < fn.MinArgs || fn.MaxArgs >= 0 && n > fn.MaxArgs {
			r.fail(fmt.Sprintf("no function %s of %d arguments", c.Fn, n))
		}
		return c
	}
	if isField(t) {
		return expr.One{Field: r.field()}
	}
	return expr.Lit{Value: r.literal()}
}

// isField reports whether the token is path:type; neither instants nor addresses are.
func isField(t string) bool {
	if strings.HasPrefix(t, `"`) {
		quoted, err := strconv.QuotedPrefix(t)
		return err == nil && len(quoted) < len(t)
	}
	return strings.Contains(t, ":") && !strings.Contains(t, `"`)
}

func (r *reader) field() expr.Field {
	t := r.take()
	at := strings.LastIndexByte(t, ':')
	if at < 0 {
		r.fail("expected path:type, found " + t)
	}
	f := expr.Field{Path: r.unquote(t[:at])}
	name, root := strings.CutSuffix(t[at+1:], "*")
	f.Root = root
	var ok bool
	if f.Type, ok = event.TypeNamed(name); !ok {
		r.fail("no type is called " + name)
	}
	return f
}

// typed takes a literal as a field of type t reads it.
func (r *reader) typed(t event.Type) event.Value {
	v := r.literal()
	typed, ok := event.Coerce(t, v)
	if !ok {
		r.fail(fmt.Sprintf("%q is no value of the type %v", v.Text(), t))
	}
	return typed
}

func (r *reader) literal() event.Value {
	t := r.take()
	switch {
	case strings.HasPrefix(t, `"`):
		return event.String(r.unquote(t))
	case strings.HasPrefix(t, `date"`):
		return r.coerced(event.Date, t[len("date"):])
	case strings.HasPrefix(t, `ip"`):
		return r.coerced(event.IPType, t[len("ip"):])
	}
	switch t {
	case "null":
		return event.Null()
	case "true", "false":
		return event.Bool(t == "true")
	}
	v, ok := event.Literal(t)
	if !ok {
		r.fail("expected a value, found " + t)
	}
	return v
}

func (r *reader) coerced(t event.Type, quoted string) event.Value {
	v, ok := event.Coerce(t, event.String(r.unquote(quoted)))
	if !ok {
		r.fail(fmt.Sprintf("%s is no value of the type %v", quoted, t))
	}
	return v
}

// tokenise cuts a line into parentheses, quoted texts with what stands close before and behind them, and words.
func tokenise(line string) []string {
	var out []string
	for i := 0; i < len(line); {
		switch c := line[i]; c {
		case ' ', '\t':
			i++
		case '(', ')':
			out = append(out, string(c))
			i++
		default:
			from := i
			for i < len(line) && !strings.ContainsRune(" \t()", rune(line[i])) {
				if line[i] != '"' {
					i++
					continue
				}
				quoted, err := strconv.QuotedPrefix(line[i:])
				if err != nil {
					quoted = line[i:]
				}
				i += len(quoted)
			}
			out = append(out, line[from:i])
		}
	}
	return out
}

// parsePattern reads a pattern as Pattern.String writes it.
func parsePattern(s string) expr.Pattern {
	var p expr.Pattern
	literal := ""
	flush := func() {
		if literal != "" {
			p.Parts = append(p.Parts, expr.PatternPart{Literal: literal})
		}
		literal = ""
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '*' || s[i] == '?':
			flush()
			p.Parts = append(p.Parts, expr.PatternPart{One: s[i] == '?'})
		case s[i] == '\\' && i+1 < len(s):
			i++
			literal += s[i : i+1]
		default:
			literal += s[i : i+1]
		}
	}
	flush()
	return p
}
