package eql

import (
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// Options is what a query's meaning depends on besides its text.
type Options struct {
	// Resolver gives the fields' types. Nil: nothing declares any field, and none is an error.
	Resolver plan.Resolver
	// Lenient reads fields that nothing declares as what they are compared with, texts, numbers or booleans, with a warning
	// from Check, where they are errors otherwise, or missing everywhere if they are written ?field.
	Lenient bool
	// Category is the field that categories are compared with; "" is event.category.
	Category string
}

// The codes of what Lower refuses.
const (
	CodeUnknownField = "EQL0301" // a field that nothing declares; with Lenient a warning
	CodeType         = "EQL0302" // values of kinds that cannot be compared, or that a function does not take
	CodeFunction     = "EQL0303" // an unknown function
	CodeArity        = "EQL0304" // too few or too many arguments
	CodeNoFold       = "EQL0305" // a ~ after a function that has no such form
	CodeFieldCompare = "EQL0306" // a comparison of two values of which none is constant
	CodeNoExact      = "EQL0307" // an analysed field without an exact form
	CodeUnsupported  = "EQL0308" // a field whose values cannot be compared
	CodeValue        = "EQL0309" // a constant that is no date, no address, no number
	CodeRegex        = "EQL0310" // a regular expression that cannot be read, or is too large
	CodeJoin         = "EQL0311" // a join
	CodeKeyCount     = "EQL0312" // terms with different numbers of keys, a sample without any
	CodeKeyType      = "EQL0313" // keys of kinds that are never equal
	CodeNotCondition = "EQL0314" // a value where a condition is needed
)

// Program is what a query means. One of Events, Sequence and Sample is set.
type Program struct {
	Events   expr.Cond
	Sequence *Stages
	Sample   *Stages
	Pipes    []Pipe
}

// Stages are the terms of a sequence or sample.
type Stages struct {
	Stages  []Stage
	Until   *Stage        // nil: none
	MaxSpan time.Duration // from the first event to the last; 0: any
}

// Stage is one term: the events that fulfil Cond, of which those with equal Keys belong together.
type Stage struct {
	Cond    expr.Cond
	Keys    []Key // as many in every stage, those of the whole query first
	Missing bool  // no such event may lie there
	Runs    int   // how often the stage is repeated, from 1
}

// Key is a field by which events belong together. A field with several values gives one key for each.
type Key struct {
	Name     string // as the query names it
	Field    expr.Field
	Optional bool // null is a key too; else an event without a value is none of the stage
	Absent   bool // nothing declares the field: the key is null

	open bool // nothing declares the field, and it is read as a keyword
}

// Lower returns what q means. The error is a diag.List of everything that makes the query unusable on these fields.
func Lower(q *Query, o Options) (*Program, error) {
	b := binder{Options: o, text: q.Text}
	p := b.program(q)
	b.found.Sort()
	if err := b.found.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// LowerExpr returns the condition that n means, read from text. The error is as Lower's.
func LowerExpr(n Expr, text string, o Options) (expr.Cond, error) {
	b := binder{Options: o, text: text}
	c := b.where(n)
	b.found.Sort()
	if err := b.found.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (b *binder) program(q *Query) *Program {
	p := &Program{Pipes: q.Pipes}
	switch n := q.Body.(type) {
	case *Events:
		p.Events = b.events(n)
	case *Sequence:
		p.Sequence = b.stages(n.By, n.Terms, n.Until)
		if n.MaxSpan != nil {
			p.Sequence.MaxSpan = n.MaxSpan.Duration()
		}
	case *Sample:
		p.Sample = b.stages(n.By, n.Terms, nil)
		if len(p.Sample.Stages[0].Keys) == 0 {
			b.refuse(CodeKeyCount, n.At, "a sample needs keys that its events share", "write sample by host.id [ … ] [ … ]")
		}
	case *Join:
		b.refuse(CodeJoin, n.At, "nothing runs a join", "write a sequence, or a sample where the order does not matter")
	}
	return p
}

func (b *binder) stages(by []*Field, terms []*Term, until *Term) *Stages {
	s := &Stages{}
	for _, t := range terms {
		s.Stages = append(s.Stages, b.stage(by, t))
	}
	all := terms
	if until != nil {
		u := b.stage(by, until)
		s.Until, all = &u, append(terms[:len(terms):len(terms)], until)
	}
	if len(all) > plan.MaxStages {
		b.refuse(CodeTooMany, all[plan.MaxStages].At, fmt.Sprintf("more than %d terms", plan.MaxStages), "")
	}
	first := terms[0]
	for _, t := range all {
		if len(t.By) != len(first.By) {
			b.refuse(CodeKeyCount, t.At, fmt.Sprintf("this term has %d keys, the first one %d", len(by)+len(t.By), len(by)+len(first.By)),
				"every term, and until, needs as many keys after by")
			return s
		}
	}
	b.checkKeys(s, all, len(by))
	return s
}

// checkKeys holds that the terms' own keys can be equal to those of the first.
func (b *binder) checkKeys(s *Stages, terms []*Term, shared int) {
	stages := s.Stages
	if s.Until != nil {
		stages = append(stages[:len(stages):len(stages)], *s.Until)
	}
	for i, st := range stages {
		for k := shared; k < len(st.Keys); k++ {
			first := stages[0].Keys[k]
			a, _ := classOf(first.Field.Type)
			c, _ := classOf(st.Keys[k].Field.Type)
			if a != c && !first.Absent && !st.Keys[k].Absent && !first.open && !st.Keys[k].open {
				b.refuse(CodeKeyType, terms[i].By[k-shared].At, fmt.Sprintf("the key %s is %v, and %s is %v: they are never equal",
					st.Keys[k].Name, c, first.Name, a), "")
			}
		}
	}
}

func (b *binder) stage(by []*Field, t *Term) Stage {
	s := Stage{Cond: b.events(t.Events), Missing: t.Missing, Runs: max(t.Runs, 1)}
	for _, list := range [][]*Field{by, t.By} {
		for _, n := range list {
			f, how, _ := b.resolve(n)
			s.Keys = append(s.Keys, Key{Name: n.Path, Field: f, Optional: n.Optional, Absent: how == isAbsent, open: how == isOpen})
		}
	}
	return s
}

// events is the condition on the category and what follows it.
func (b *binder) events(n *Events) expr.Cond {
	c := b.where(n.Where)
	if n.Any {
		return c
	}
	path := b.Category
	if path == "" {
		path = "event.category"
	}
	f, _, ok := b.resolve(&Field{Path: path, At: n.CategoryAt})
	if !ok {
		return c
	}
	category, _ := event.Coerce(f.Type, event.String(n.Category))
	return expr.All(expr.In{Field: f, Values: []event.Value{category}}, c)
}

// where is a whole condition: what is unknown as a whole is false.
func (b *binder) where(n Expr) expr.Cond {
	c := b.cond(n)
	if c == unknown {
		return expr.Const{Value: false}
	}
	return c
}

// cond binds a condition: true or false for every event, but for constants that are null.
func (b *binder) cond(n Expr) expr.Cond {
	switch n := n.(type) {
	case *And:
		return expr.All(b.conds(n.Exprs)...)
	case *Or:
		return expr.Some(expr.JoinIns(b.conds(n.Exprs))...)
	case *Not:
		return opposite(b.cond(n.Expr))
	case *Const:
		switch v := n.Value; v.Kind() {
		case event.KindNull:
			return unknown
		case event.KindBool:
			return expr.Const{Value: v.Bool()}
		}
	case *Compare:
		if c, ok := b.sameAs(n); ok {
			return c
		}
	case *In:
		if n.Not {
			in := *n
			in.Not = false
			return opposite(b.cond(&in))
		}
	}
	reads, seen, absent := b.reads, b.seen, b.absent
	b.reads, b.seen, b.absent = nil, nil, false
	defer func() { b.reads, b.seen, b.absent = reads, seen, absent }()
	if c := b.query(n); c != nil {
		return c
	}
	return b.script(b.leaf(n))
}

func (b *binder) conds(list []Expr) []expr.Cond {
	out := make([]expr.Cond, len(list))
	for i, n := range list {
		out[i] = b.cond(n)
	}
	return out
}

// opposite negates a condition.
func opposite(c expr.Cond) expr.Cond {
	switch known := c.(type) {
	case expr.Const:
		return expr.Const{Value: !known.Value}
	case expr.Not:
		return known.Cond
	case expr.Cmp:
		if c == unknown {
			return c
		}
	}
	return expr.Not{Cond: c}
}

// sameAs binds a condition that is compared with true or false: it, or its opposite.
func (b *binder) sameAs(n *Compare) (expr.Cond, bool) {
	if n.Op != Equal && n.Op != NotEqual {
		return nil, false
	}
	left, right := n.Left, n.Right
	if _, ok := left.(*Const); ok {
		left, right = right, left
	}
	c, ok := right.(*Const)
	if !ok || c.Value.Kind() != event.KindBool || !isCondition(left) {
		return nil, false
	}
	cond := b.cond(left)
	if c.Value.Bool() != (n.Op == Equal) {
		cond = opposite(cond)
	}
	return cond, true
}

// isCondition reports whether n is true or false by its form.
func isCondition(n Expr) bool {
	switch n := n.(type) {
	case *And, *Or, *Not, *Compare, *In, *Match:
		return true
	case *Call:
		f, ok := functionNamed(n.Name)
		return ok && f.gives == booleans
	}
	return false
}

// script makes a leaf of a condition over least values: where it reads one field it is true if it is for one value.
func (b *binder) script(c expr.Cond) expr.Cond {
	switch len(b.reads) {
	case 0:
		switch expr.Eval(c, &event.Event{}) {
		case expr.True:
			return expr.Const{Value: true}
		case expr.Null:
			if !b.absent {
				return unknown
			}
		}
		return expr.Const{Value: false}
	case 1:
		return expr.Each{Field: b.reads[0], Cond: onThis(c)}
	}
	return expr.Holds{Cond: c}
}

// onThis returns c reading This in place of a field's least value.
func onThis(c expr.Cond) expr.Cond {
	return expr.Rewrite(c, func(c expr.Cond) expr.Cond {
		switch c := c.(type) {
		case expr.Cmp:
			return expr.Cmp{Op: c.Op, Left: valueOnThis(c.Left), Right: valueOnThis(c.Right)}
		case expr.IsNull:
			return expr.IsNull{Value: valueOnThis(c.Value)}
		case expr.Fits:
			c.Value = valueOnThis(c.Value)
			return c
		case expr.Matching:
			c.Value = valueOnThis(c.Value)
			return c
		}
		return c
	})
}

func valueOnThis(x expr.Value) expr.Value {
	switch x := x.(type) {
	case expr.Least:
		return expr.This{}
	case expr.Test:
		return expr.Test{Cond: onThis(x.Cond)}
	case expr.Call:
		args := make([]expr.Value, len(x.Args))
		for i, a := range x.Args {
			args[i] = valueOnThis(a)
		}
		return expr.Call{Fn: x.Fn, Args: args}
	}
	return x
}

// Order is how events follow each other.
type Order struct {
	Time       string      // the field of an event's time; "" is @timestamp
	Tiebreaker *expr.Field // of events with one time; nil: stream and ID, of which tail too takes the least
}

// Plan returns the plan of the query over the events that in gives. Of an event query the rows are the events that fulfil
// the condition, in ascending order, of a sequence or sample they are plan.Found; the pipes cut them.
func (p *Program) Plan(in plan.Node, o Order) plan.Node {
	if p.Events != nil {
		return p.cut(o.sort(plan.Filter{In: in, Cond: p.Events}, false), o.sort)
	}
	order := plan.Order{Time: o.Time}
	if o.Tiebreaker != nil {
		order.Ties = []expr.Value{expr.One{Field: *o.Tiebreaker}}
	}
	if p.Sample != nil {
		return plan.Sample{In: p.Sample.candidates(in), Order: order, Stages: p.Sample.plan()}
	}
	s := plan.Sequence{In: p.Sequence.candidates(in), Order: order, Stages: p.Sequence.plan(), MaxSpan: p.Sequence.MaxSpan}
	if p.Sequence.Until != nil {
		until := p.Sequence.Until.plan()
		s.Until = &until
	}
	return p.cut(s, byNumber)
}

// cut puts the pipes above rows in ascending order, which sort turns round.
func (p *Program) cut(n plan.Node, sort func(in plan.Node, desc bool) plan.Node) plan.Node {
	for _, pipe := range p.Pipes {
		if !pipe.Tail {
			n = plan.Limit{In: n, N: pipe.N}
			continue
		}
		n = sort(plan.Limit{In: sort(n, true), N: pipe.N}, false)
	}
	return n
}

// byNumber orders the sequences that were found.
func byNumber(in plan.Node, desc bool) plan.Node {
	number := expr.One{Field: expr.Field{Path: plan.FoundNumber, Type: event.Long}}
	return plan.Sort{In: in, Keys: []plan.SortKey{{Value: number, Desc: desc}}}
}

// candidates are the events of in that fulfil any stage: others play no part, and an engine can leave them out.
func (s *Stages) candidates(in plan.Node) plan.Node {
	conds := make([]expr.Cond, 0, len(s.Stages)+1)
	for _, st := range s.Stages {
		conds = append(conds, st.Cond)
	}
	if s.Until != nil {
		conds = append(conds, s.Until.Cond)
	}
	return plan.Filter{In: in, Cond: expr.Some(conds...)}
}

func (s *Stages) plan() []plan.Stage {
	out := make([]plan.Stage, len(s.Stages))
	for i, st := range s.Stages {
		out[i] = st.plan()
	}
	return out
}

func (s Stage) plan() plan.Stage {
	out := plan.Stage{Cond: s.Cond, Missing: s.Missing, Runs: s.Runs}
	for _, k := range s.Keys {
		key := plan.Key{Field: k.Field, Optional: k.Optional}
		if k.Absent {
			key = plan.Key{}
		}
		out.Keys = append(out.Keys, key)
	}
	return out
}

func (o Order) sort(in plan.Node, desc bool) plan.Node {
	path := o.Time
	if path == "" {
		path = plan.Timestamp
	}
	s := plan.Sort{In: in, Keys: []plan.SortKey{{Value: expr.One{Field: expr.Field{Path: path, Type: event.Date}}, Desc: desc}}}
	if o.Tiebreaker != nil {
		s.Keys = append(s.Keys, plan.SortKey{Value: expr.One{Field: *o.Tiebreaker}, Desc: desc})
	}
	return s
}
